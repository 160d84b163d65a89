/* Units of one channel that follow the stream. Plain numbers; no learner.
 *
 * A value z is seen relative to a reference that is near it, so that z - reference is exact:
 *     x = z - reference
 * Two units are kept.
 *   live     mean m and variance v of x, with rate max(1 / n, scale_rate) for ever (nbt_scale).
 *            The network sees (x - m) / s. They move with every value; nothing is re-expressed.
 *   applied  mean M and deviation S. The readouts see (x - M) / S. They do not change until s has
 *            left [S / 2, 2 S], or m is more than S away from M. Then they take the live ones,
 *            and whoever has numbers in them re-expresses these:
 *                x' = a x + b,   a = S / s,   b = (M - m) / s
 * A value further than `limit` live deviations from the mean is counted as if it were so far,
 * once more than 20 values have been counted.
 *
 * The first values may be those of a sensor that is not awake yet. Within the first 64,
 * statistics of blocks of doubling length (value 2; 3, 4; 5..8; ...) are kept too. A block
 * whose variance is 64 times smaller than that of all before replaces it.
 *
 * Later a value more than 6 live deviations off begins a block of 64. If the values from the last
 * such one on vary 8 times less than all and lie more than two deviations apart from them, the
 * channel has jumped permanently: its live units restart from the block, and what the readouts
 * have learnt stays as it was relative to the mean. */
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
    float deviation;  /* S; 0: has not varied, all is 0 then; -1: z is taken as it is */
    float block_mean; /* relative to the reference */
    float block_variance;
    float
        block_count; /* values in the block that a far one began; 0 without; while only far ones have
                          come, how many in a row, in 32nds, up to 16 */
} nbt_unit;

typedef struct nbt_unit_rules {
    float rate;  /* scale_rate */
    float limit; /* deviations, 0 for none */
    int flags;   /* 1: a channel of which only 0 and 1 were seen is taken as it is */
} nbt_unit_rules;

typedef enum nbt_unit_event {
    NBT_UNIT_STAYS,
    NBT_UNIT_FIRST, /* the channel has varied for the first time: what it was before is now b */
    NBT_UNIT_MOVES  /* x' = a x + b */
} nbt_unit_event;

/* What one value did. */
typedef struct nbt_unit_change {
    nbt_unit_event event;
    float a;
    float b;
    float shift;  /* b for what was learnt: 0 after a permanent jump */
    int restarts; /* the values before were not like this one, or not like the later ones */
    int jumps;    /* the channel counts again from its last block */
    int limited;  /* the value was brought to the limit */
    float live;   /* the value in live units, and in the applied ones, both within the limit */
    float applied;
} nbt_unit_change;

/* Counts z, a finite number. */
NBT_LOCAL nbt_unit_change nbt_units_count(nbt_scale *live, nbt_unit *unit, float z,
                                          nbt_unit_rules rules);

/* z in applied units; 0 for a channel that has not varied. */
NBT_LOCAL float nbt_units_apply(const nbt_unit *unit, float z);

/* The way back. */
NBT_LOCAL float nbt_units_restore(const nbt_unit *unit, float x);

/* units (6, n): the rows are the members of nbt_unit. */
NBT_LOCAL nbt_unit nbt_units_load(const float *units, size_t channel, size_t n);
NBT_LOCAL void nbt_units_store(float *units, const nbt_unit *unit, size_t channel, size_t n);

#endif
