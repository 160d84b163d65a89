#include "nbt_units.h"

#include "nbt_math.h"

#define AS_IT_IS (-1.0f)
#define COUNTED_MAX 16777216.0f /* floats count so far */
#define START_VARIANCE 64.0f    /* how much less a block has to vary to replace the start */
#define FAR_VALUE 6.0f          /* live deviations from the mean: the channel may have jumped */
#define JUMP_VARIANCE 8.0f      /* how much less the block after it has to vary than all */
#define JUMP_DISTANCE 4.0f      /* and how many variances it has to be away */
#define OUTGROWN 100.0f   /* live deviations: so far off, a value is not what units were for */
#define ONE_FAR 0.03125f  /* of a run of far values in block_count; exact */
#define OUTGROWN_RUN 0.5f /* sixteen of them */
#define FAR_OFF 1024.0f   /* deviations from the reference after which it moves */

static int has_spread(nbt_scale live)
{
    return live.variance > 1e-12f * live.mean * live.mean + 1e-37f;
}

/* The live deviation; where rounding has taken it, the applied one. */
static float deviation_of(nbt_scale live, const nbt_unit *unit)
{
    return has_spread(live) ? nbt_sqrt(live.variance) : unit->deviation;
}

/* The reference comes nearer by `by`. What is relative to it stays where it is. */
static void move_reference(nbt_scale *live, nbt_unit *unit, float by)
{
    float before = unit->reference;
    unit->reference = before + by;
    float moved = unit->reference - before;
    live->mean -= moved;
    unit->mean -= moved;
    unit->block_mean -= moved;
}

/* One more value at rate k. */
static void count_value(float *mean, float *variance, float x, float k)
{
    float before = x - *mean;
    *mean += k * before;
    float after = *variance + k * (before * (x - *mean) - *variance);
    *variance = after > 0.0f ? after : 0.0f;
}

/* The live statistics become those of the block. */
static void take_block(nbt_scale *live, const nbt_unit *unit)
{
    live->mean = unit->block_mean;
    live->variance = unit->block_variance;
}

/* A block of the start has ended: whether it replaces all before. */
static int end_start_block(nbt_scale *live, nbt_unit *unit)
{
    int replaces = live->count >= 8.0f && unit->block_variance > 0.0f &&
                   unit->block_variance * START_VARIANCE < live->variance;
    if (replaces) {
        take_block(live, unit);
    }
    /* Seen from far away, values that differ are the same float. */
    if (nbt_abs(unit->block_mean) > FAR_OFF * nbt_sqrt(unit->block_variance)) {
        move_reference(live, unit, unit->block_mean);
    }
    return replaces;
}

/* Value n of a start, in its block. Returns whether that replaced all before. */
static int count_start(nbt_scale *live, nbt_unit *unit, float x)
{
    uint32_t n = (uint32_t)live->count,
             before = 1; /* the block: as many values as there are before it */
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

/* The run of far values with one more. */
static float far_run(const nbt_unit *unit)
{
    float before = unit->block_count < 1.0f ? unit->block_count : 0.0f;
    return before < OUTGROWN_RUN ? before + ONE_FAR : before;
}

/* A later value in the block that the last far one began, if there is one. Returns whether the
 * channel has jumped permanently: it then counts from that block. */
static int count_later(nbt_scale *live, nbt_unit *unit, float x, int is_far)
{
    if (is_far) { /* a block of one; how many there are in a row is counted below 1 */
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

/* The applied units after the live ones have moved; `before` is the mean until then. */
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
    int again = 0; /* the value before was far, too */
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
    /* Units grow towards values far outside them: what was learnt in them says nothing. */
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
