/* The anomaly score of one channel: a number from 0 to 1 for its newest value, in constant memory.
 * The settings are the same for all streams. Each statistic is compared with its own upper tail in
 * this stream (nbt_tail.h).
 *
 * v is the value, p its forecast, e = v - p the error, and n the number of values before:
 *     innovation   |e| / sqrt(E e^2)
 *     level        |mean of about 5 values - mean of about 4000| / deviation of about 4000
 *     slow level   the same of about 24 values
 *     burst        mean of about 8 of z^2,  z = clamp(e / sqrt(E e^2), 10)
 *     bias         |mean of about 16 of z|
 * A mean of about N values moves by max(1 / (n + 1), 1 / N) (value - mean). E is a mean of about
 * 200 values; from n = 21 on, a square counts as at most 64 times E. A deviation is taken as at
 * least 1e-6 |v|, the size of rounding errors. The tails are not used while n < 50. Two measures
 * have no tail:
 *     record   v is above or below all values before, n >= 100: surprise -log10 max(r, 5e-4), r the
 *              share of records among about 1000 values
 *     stuck    the channel has repeated its value more than 1.5 R + 5 times, n >= 100: surprise 4;
 *              R is the longest such run before, of which at most 2 R + 8 count, less 2e-4 of it a
 *              value
 * Each statistic has a surprise -log10 P. The surprise of the value is the largest of: the sum over
 * innovation, level, slow level and twice the record; 2.5 times the surprise of innovation, burst,
 * bias or slow level alone; three times the surprise of stuck. Three times the geometric mean of
 * several p-values is a valid p-value under any dependence (Vovk and Wang 2020, Combining p-values
 * via averaging). Hence
 *     score = 1 - 10^(-surprise / 3)       if it is above the hold or the channel has just
 *                                          stuck, else 0
 *     hold <- max(hold * 2^(-1/250), surprise)
 * A permanent change is thus reported once; a later one is reported if its surprise exceeds the
 * decaying hold. After a surprise above 6, the statistics move at 0.3 of their rates for up to 60
 * values, so that they do not adapt to a disturbance. They then move at their full rates for at
 * least 100 values. The forecasts of the two values after a missing one are less exact. From n = 20
 * on, the innovation of such a value is not used and does not count in E, and burst and bias take z
 * as 1 in size. This file works on plain numbers, not on a learner. */
#ifndef NBT_ANOMALY_H
#define NBT_ANOMALY_H

#include <stddef.h>

#include "nbt_simd.h"

/* State of a channel. The values that are never negative come first. */
enum {
    NBT_ANOMALY_COUNT,  /* n */
    NBT_ANOMALY_SQUARE, /* E e^2 */
    NBT_ANOMALY_BURST,
    NBT_ANOMALY_VARIANCE, /* of about 4000 values */
    NBT_ANOMALY_RUN,      /* repetitions in a row */
    NBT_ANOMALY_LONGEST,  /* R: longest run, above */
    NBT_ANOMALY_RECORDS,  /* r: share of records, above */
    NBT_ANOMALY_HOLD,
    NBT_ANOMALY_GAP, /* values left for which the last missing value matters */
    NBT_ANOMALY_SIGNED,
    NBT_ANOMALY_LAST = NBT_ANOMALY_SIGNED, /* the previous reading, in the caller's units */
    NBT_ANOMALY_BIAS,
    NBT_ANOMALY_LEVEL, /* mean of about 5 values */
    NBT_ANOMALY_SLOW,  /* mean of about 24 values */
    NBT_ANOMALY_MEAN,  /* mean of about 4000 values */
    NBT_ANOMALY_LOW,   /* smallest and largest value */
    NBT_ANOMALY_HIGH,
    NBT_ANOMALY_CALM,  /* values left at the slow rates; below 0: values until they may come back */
    NBT_ANOMALY_TAILS, /* quantile and mean excess of the five statistics with a tail
                          (nbt_tail.h) */
    NBT_ANOMALY_END = NBT_ANOMALY_TAILS + 10
};

/* Returns the score of a value and counts the value. channel (NBT_ANOMALY_END) starts as all 0.
 * reading is the value as the caller gave it, whose repetitions are counted. All are finite. */
NBT_LOCAL float nbt_anomaly_count(float *channel, float reading, float value, float forecast);

/* Counts a missing value. */
NBT_LOCAL void nbt_anomaly_miss(float *channel);

/* The values of the channel are now v' = a v + b, a > 0. */
NBT_LOCAL void nbt_anomaly_rescale(float *channel, float a, float b);

#endif
