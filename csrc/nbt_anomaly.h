/* How unusual the newest value of one channel is, in a number from 0 to 1 and a fixed number of
 * floats. Settings are the same for all streams; each statistic is judged by its own tail in this
 * stream (nbt_tail.h).
 *
 * With v the value, p its forecast, e = v - p, n the values before:
 *     innovation   |e| / sqrt(E e^2)
 *     level        |mean of about 5 values - mean of about 4000| / deviation of about 4000
 *     slow level   the same of about 24 values
 *     burst        mean of about 8 of z^2,  z = clamp(e / sqrt(E e^2), 10)
 *     bias         |mean of about 16 of z|
 * A mean of about N values moves by max(1 / (n + 1), 1 / N) (value - mean). E is one of 200 and
 * counts squares of at most 64 times itself, from n = 21 on. A deviation is taken as at least
 * 1e-6 |v|, which rounding may make of a value. The tails say nothing while n < 50. Two measures
 * need no tail:
 *     record   v is above or below all values before, n >= 100: surprise -log10 max(r, 5e-4), r the
 *              share of records among about 1000 values
 *     stuck    the channel has repeated its value more than 1.5 R + 5 times, n >= 100: surprise 4;
 *              R is the longest such run before, of which at most 2 R + 8 count, less 2e-4 of it a
 *              value
 * Each has a surprise -log10 P. Their sum over innovation, level, slow level and twice the record is
 * one measure; 2.5 times the surprise of innovation, burst, bias and slow level, each alone, and
 * three times that of stuck are others; the largest is the surprise of the value. Three times the
 * geometric mean of several probabilities is again one, however they depend on each other (Vovk and
 * Wang 2020, Combining p-values via averaging): hence
 *     score = 1 - 10^(-surprise / 3)       if it is above the hold or the channel has just
 *                                          stuck, else 0
 *     hold <- max(hold * 2^(-1/250), surprise)
 * A change that stays is thus told once; later ones have to exceed what the hold remembers of it.
 * For up to 60 values after a surprise above 6 the statistics move at 0.3 of their rates, so that
 * a disturbance does not pass for usual; then, for at least 100 values, at their rates.
 * What follows within two values of a missing one is forecast from less: from n = 20 on its
 * innovation says nothing and does not count in E, and burst and bias take z as 1 in size.
 * Plain numbers; no learner. */
#ifndef NBT_ANOMALY_H
#define NBT_ANOMALY_H

#include <stddef.h>

#include "nbt_simd.h"

/* What is remembered of a channel, first what is never negative. */
enum {
    NBT_ANOMALY_COUNT,  /* n */
    NBT_ANOMALY_SQUARE, /* E e^2 */
    NBT_ANOMALY_BURST,
    NBT_ANOMALY_VARIANCE, /* of about 4000 values */
    NBT_ANOMALY_RUN,      /* repetitions in a row */
    NBT_ANOMALY_LONGEST,  /* R */
    NBT_ANOMALY_RECORDS,  /* r */
    NBT_ANOMALY_HOLD,
    NBT_ANOMALY_GAP, /* values left that follow a missing one */
    NBT_ANOMALY_SIGNED,
    NBT_ANOMALY_LAST = NBT_ANOMALY_SIGNED, /* the reading before, in the caller's units */
    NBT_ANOMALY_BIAS,
    NBT_ANOMALY_LEVEL, /* mean of about 5 values */
    NBT_ANOMALY_SLOW,  /* of about 24 */
    NBT_ANOMALY_MEAN,  /* of about 4000 */
    NBT_ANOMALY_LOW,   /* least and largest value */
    NBT_ANOMALY_HIGH,
    NBT_ANOMALY_CALM,  /* values left at the slow rates; below 0: values until they may come back */
    NBT_ANOMALY_TAILS, /* quantile and excess of the five statistics with a tail */
    NBT_ANOMALY_END = NBT_ANOMALY_TAILS + 10
};

/* The score of a value, which is counted then. channel (NBT_ANOMALY_END), all 0 at first; reading:
 * the value as the caller gave it, whose repetitions count; all finite. */
NBT_LOCAL float nbt_anomaly_count(float *channel, float reading, float value, float forecast);

/* A value is missing. */
NBT_LOCAL void nbt_anomaly_miss(float *channel);

/* The values of the channel are now v' = a v + b, a > 0. */
NBT_LOCAL void nbt_anomaly_rescale(float *channel, float a, float b);

#endif
