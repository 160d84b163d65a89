/* Units of one channel that follow the stream: mean and deviation for the standardisation of its
 * values. This file works on plain numbers, not on a learner.
 *
 * A value z is stored relative to a reference that is near it, so that z - reference is exact:
 *     x = z - reference
 * Every channel has two units:
 *   live     mean m and variance v of x, with rate max(1 / n, scale_rate) permanently (nbt_scale).
 *            The network sees (x - m) / s. They change with every value; nothing is converted.
 *   applied  mean M and deviation S. The readouts see (x - M) / S. They do not change until s has
 *            left [S / 2, 2 S], or m is more than S away from M. Then they become the live
 *            ones, and all numbers in the old units are converted:
 *                x' = a x + b,   a = S / s,   b = (M - m) / s
 * Once more than 20 values have been counted, a value is limited to `limit` live deviations from
 * the mean.
 *
 * The first values may be those of a sensor that is still warming up. For the first 64 values,
 * there are also statistics of blocks of doubling length (value 2; 3, 4; 5..8; ...). If the
 * variance of a block is 64 times smaller than that of all values before it, its statistics replace
 * theirs.
 *
 * Later, a far value, more than 6 live deviations from the mean, starts a block of 64. If the
 * variance of the values since the last far value is 8 times smaller than that of all, and they are
 * more than two deviations away, the channel has jumped permanently: its live units restart from
 * the block, and the readouts keep what they have learnt relative to the mean. */
#ifndef NBT_UNITS_H
#define NBT_UNITS_H

#include <stddef.h>

#include "nbt_scaler.h"
#include "nbt_simd.h"

#define NBT_UNITS_SETTLED 20.0f /* values counted before any is limited */
#define NBT_UNITS_BLOCK 64.0f   /* values of the start, and of the block after a far value */

typedef struct nbt_unit {
    float reference;
    float mean;       /* M, relative to the reference */
    float deviation;  /* S; 0: not varied yet, all scaled values are 0; -1: values are not scaled */
    float block_mean; /* relative to the reference */
    float block_variance;
    /* Values in the block since the last far value; 0 without a block. While only far values have
     * come: their number in a row, up to 16, times 1/32. */
    float block_count;
} nbt_unit;

typedef struct nbt_unit_rules {
    float rate;  /* scale_rate */
    float limit; /* deviations, 0 for none */
    int flags;   /* 1: the channel is not scaled as long as all its values are 0 or 1 */
} nbt_unit_rules;

typedef enum nbt_unit_event {
    NBT_UNIT_STAYS,
    NBT_UNIT_FIRST, /* the channel has varied for the first time: earlier values are now b */
    NBT_UNIT_MOVES  /* x' = a x + b */
} nbt_unit_event;

/* The effects of one value. */
typedef struct nbt_unit_change {
    nbt_unit_event event;
    float a;
    float b;
    float shift;  /* b for what was learnt: 0 after a permanent jump */
    int restarts; /* the values before were unlike this one, or unlike the later ones */
    int jumps;    /* the statistics restart from the last block */
    int limited;  /* the value was limited */
    float live;   /* the value in live units and in applied ones, both limited */
    float applied;
} nbt_unit_change;

/* Counts z, a finite number. */
NBT_LOCAL nbt_unit_change nbt_units_count(nbt_scale *live, nbt_unit *unit, float z,
                                          nbt_unit_rules rules);

/* z in applied units; 0 for a channel that has not varied. */
NBT_LOCAL float nbt_units_apply(const nbt_unit *unit, float z);

/* The inverse. */
NBT_LOCAL float nbt_units_restore(const nbt_unit *unit, float x);

/* units (6, n): the rows are the members of nbt_unit. */
NBT_LOCAL nbt_unit nbt_units_load(const float *units, size_t channel, size_t n);
NBT_LOCAL void nbt_units_store(float *units, const nbt_unit *unit, size_t channel, size_t n);

#endif
