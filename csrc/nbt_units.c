#include "nbt_units.h"

#include "nbt_math.h"

#define AS_IT_IS (-1.0f)
#define COUNTED_MAX 16777216.0f /* floats count exactly up to here */
/* A block replaces the start if its variance is smaller by this factor. */
#define START_VARIANCE 64.0f
#define FAR_VALUE 6.0f /* in live deviations from the mean: the channel may have jumped */
/* A jump needs a block whose variance is smaller than that of all values by this factor. */
#define JUMP_VARIANCE 8.0f
#define JUMP_DISTANCE 4.0f /* and whose distance is this many variances */
#define OUTGROWN 100.0f    /* in live deviations: values this far off need other units */
#define ONE_FAR 0.03125f   /* one far value of a run in block_count; exact */
#define OUTGROWN_RUN 0.5f  /* sixteen far values */
#define FAR_OFF 1024.0f    /* distance from the reference, in deviations, at which it moves */

static int has_spread(nbt_scale live)
{
    return live.variance > 1e-12f * live.mean * live.mean + 1e-37f;
}

/* The live deviation; the applied one if rounding has made it 0. */
static float deviation_of(nbt_scale live, const nbt_unit *unit)
{
    return has_spread(live) ? nbt_sqrt(live.variance) : unit->deviation;
}

/* Moves the reference by `by` towards the values. All that is relative to it is adjusted. */
static void move_reference(nbt_scale *live, nbt_unit *unit, float by)
{
    float before = unit->reference;
    unit->reference = before + by;
    float moved = unit->reference - before;
    live->mean -= moved;
    unit->mean -= moved;
    unit->block_mean -= moved;
}

/* Counts one more value at rate k. */
static void count_value(float *mean, float *variance, float x, float k)
{
    float before = x - *mean;
    *mean += k * before;
    float after = *variance + k * (before * (x - *mean) - *variance);
    *variance = after > 0.0f ? after : 0.0f;
}

/* Replaces the live statistics by those of the block. */
static void take_block(nbt_scale *live, const nbt_unit *unit)
{
    live->mean = unit->block_mean;
    live->variance = unit->block_variance;
}

/* At the end of a block of the start: replaces all before it if its variance is much smaller.
 * Returns whether it did. */
static int end_start_block(nbt_scale *live, nbt_unit *unit)
{
    int replaces = live->count >= 8.0f && unit->block_variance > 0.0f &&
                   unit->block_variance * START_VARIANCE < live->variance;
    if (replaces) {
        take_block(live, unit);
    }
    /* Relative to a distant reference, different values round to the same float. */
    if (nbt_abs(unit->block_mean) > FAR_OFF * nbt_sqrt(unit->block_variance)) {
        move_reference(live, unit, unit->block_mean);
    }
    return replaces;
}

/* Counts value n of the start in its block. Returns whether the block has replaced all before
 * it. */
static int count_start(nbt_scale *live, nbt_unit *unit, float x)
{
    uint32_t n = (uint32_t)live->count,
             before = 1; /* start of a block as long as all values before it */
    while (2 * before < n) {
        before *= 2;
    }
    count_value(&unit->block_mean, &unit->block_variance, x, 1.0f / (float)(n - before));
    if (n != 2 * before) {
        return 0;
    }
    int replaces = end_start_block(live, unit);
    unit->block_mean = unit->block_variance = 0.0f;
    return replaces;
}

/* The run of far values after one more. */
static float far_run(const nbt_unit *unit)
{
    float before = unit->block_count < 1.0f ? unit->block_count : 0.0f;
    return before < OUTGROWN_RUN ? before + ONE_FAR : before;
}

/* Counts a later value in the block that began with the last far value, if there is one. Returns
 * whether the channel has jumped permanently: its statistics then restart from that block. */
static int count_later(nbt_scale *live, nbt_unit *unit, float x, int is_far)
{
    if (is_far) { /* a block of one value; the number of far values in a row is stored as a fraction
                     below 1 */
        unit->block_mean = x;
        unit->block_variance = 0.0f;
        unit->block_count = far_run(unit);
        return 0;
    }
    if (unit->block_count == 0.0f) {
        return 0;
    }
    unit->block_count = unit->block_count < 1.0f ? 2.0f : unit->block_count + 1.0f;
    count_value(&unit->block_mean, &unit->block_variance, x, 1.0f / unit->block_count);
    if (unit->block_count < NBT_UNITS_BLOCK) {
        return 0;
    }
    unit->block_count = 0.0f;
    float off = unit->block_mean - live->mean;
    int jumps = unit->block_variance > 0.0f &&
                unit->block_variance * JUMP_VARIANCE < live->variance &&
                off * off > JUMP_DISTANCE * live->variance;
    if (jumps) {
        take_block(live, unit);
        live->count = NBT_UNITS_BLOCK;
    }
    return jumps;
}

/* Updates the applied units after the live ones have changed; `before` is the previous mean. */
static void apply(nbt_scale live, nbt_unit *unit, float before, float z, nbt_unit_change *change)
{
    int is_flag = z == 0.0f || z == 1.0f;
    float S = unit->deviation, M = unit->mean;
    if (!has_spread(live) || (S == AS_IT_IS && is_flag)) {
        return;
    }
    float s = nbt_sqrt(live.variance);
    if (S == AS_IT_IS) {
        S = 1.0f;
        M = -unit->reference;
    } else if (S > 0.0f && s <= 2.0f * S && 2.0f * s >= S && nbt_abs(live.mean - M) <= S) {
        return;
    }
    change->event = S > 0.0f ? NBT_UNIT_MOVES : NBT_UNIT_FIRST;
    change->a = S / s;
    change->b = S > 0.0f ? (M - live.mean) / s : (before - live.mean) / s;
    change->shift = change->jumps ? 0.0f : change->b;
    unit->mean = live.mean;
    unit->deviation = s;
}

/* The first value of a channel. */
static void begin(nbt_scale *live, nbt_unit *unit, float z, nbt_unit_rules rules)
{
    unit->reference = z;
    unit->mean = 0.0f;
    unit->deviation = rules.flags && (z == 0.0f || z == 1.0f) ? AS_IT_IS : 0.0f;
    live->mean = 0.0f;
    live->variance = 0.0f;
    live->count = 1.0f;
}

NBT_LOCAL nbt_unit_change nbt_units_count(nbt_scale *live, nbt_unit *unit, float z,
                                          nbt_unit_rules rules)
{
    nbt_unit_change change = {NBT_UNIT_STAYS, 1.0f, 0.0f, 0.0f, 0, 0, 0, z, z};
    int again = 0; /* whether the previous value was far, too */
    if (live->count == 0.0f) {
        begin(live, unit, z, rules);
    } else {
        float x = z - unit->reference, counted = x, before = live->mean;
        float deviation = deviation_of(*live, unit);
        int is_far = unit->deviation > 0.0f && nbt_abs(x - before) > FAR_VALUE * deviation;
        again = is_far && unit->block_count == OUTGROWN_RUN;
        if (rules.limit > 0.0f && unit->deviation > 0.0f && live->count > NBT_UNITS_SETTLED) {
            float reach = rules.limit * deviation;
            counted = nbt_clamp(x, before - reach, before + reach);
        }
        live->count = live->count < COUNTED_MAX ? live->count + 1.0f : COUNTED_MAX;
        float k = 1.0f / live->count;
        count_value(&live->mean, &live->variance, counted, k < rules.rate ? rules.rate : k);
        float reference = unit->reference;
        if (live->count <= NBT_UNITS_BLOCK) {
            change.restarts = count_start(live, unit, x);
            unit->block_count = is_far && live->count < NBT_UNITS_BLOCK ? far_run(unit) : 0.0f;
        } else {
            change.jumps = count_later(live, unit, x, is_far);
        }
        if (nbt_abs(live->mean) > FAR_OFF * nbt_sqrt(live->variance)) {
            move_reference(live, unit, live->mean);
        }
        before -= unit->reference - reference;
        change.limited = counted != x;
        apply(*live, unit, before, z, &change);
    }
    if (unit->deviation == AS_IT_IS) {
        return change;
    }
    float x = z - unit->reference, s = deviation_of(*live, unit);
    float within = x;
    /* The units grow towards values far outside them: what was learnt in the old units is not
     * valid. */
    change.restarts |= again && change.event == NBT_UNIT_MOVES && change.a < 1.0f &&
                       nbt_abs(x - live->mean) > OUTGROWN * s;
    if (rules.limit > 0.0f && unit->deviation > 0.0f && live->count > NBT_UNITS_SETTLED) {
        within = nbt_clamp(x, live->mean - rules.limit * s, live->mean + rules.limit * s);
        change.limited |= within != x;
    }
    change.live = unit->deviation > 0.0f ? (within - live->mean) / s : 0.0f;
    change.applied = unit->deviation > 0.0f ? (within - unit->mean) / unit->deviation : 0.0f;
    return change;
}

NBT_LOCAL float nbt_units_apply(const nbt_unit *unit, float z)
{
    float x = z - unit->reference;
    return unit->deviation == AS_IT_IS ? z
           : unit->deviation > 0.0f    ? (x - unit->mean) / unit->deviation
                                       : 0.0f;
}

NBT_LOCAL float nbt_units_restore(const nbt_unit *unit, float x)
{
    return unit->deviation == AS_IT_IS ? x : unit->reference + (unit->mean + unit->deviation * x);
}

NBT_LOCAL nbt_unit nbt_units_load(const float *units, size_t channel, size_t n)
{
    const float *at = units + channel;
    nbt_unit unit = {at[0], at[n], at[2 * n], at[3 * n], at[4 * n], at[5 * n]};
    return unit;
}

NBT_LOCAL void nbt_units_store(float *units, const nbt_unit *unit, size_t channel, size_t n)
{
    float *at = units + channel;
    at[0] = unit->reference;
    at[n] = unit->mean;
    at[2 * n] = unit->deviation;
    at[3 * n] = unit->block_mean;
    at[4 * n] = unit->block_variance;
    at[5 * n] = unit->block_count;
}
