#include "nbt_assess.h"

#include "nbt_anomaly.h"
#include "nbt_experts.h"
#include "nbt_interval.h"
#include "nbt_math.h"

static const float usual_levels[] = {0.5f, 0.8f, 0.95f, 0.99f, 0.995f, 0.998f, 0.999f, 0.9995f};
NBT_ASSERT(nbt_levels_are_all, sizeof usual_levels == NBT_INTERVALS_MAX * sizeof(float));

#define NO_SCORE (-1.0f)

static nbt_interval_state interval_of(const nbt_layout *l, size_t o)
{
    size_t V = nbt_intervals(l);
    float *error = NBT_OF(l, error);
    nbt_interval_state state = {error + o,
                                error + l->O + o,
                                error + 2 * l->O + o,
                                NBT_OF(l, reach) + o * 2 * V,
                                NBT_OF(l, student) + o * 2 * (size_t)NBT_STUDENTS,
                                NBT_OF(l, level),
                                V};
    return state;
}

static float *usual_of(const nbt_layout *l, size_t o)
{
    return NBT_OF(l, usual) + o * NBT_USUAL_FLOATS;
}

/* ---- start ----------------------------------------------------------------------------------- */

NBT_LOCAL void nbt_assess_levels(const nbt_layout *l, const float *level)
{
    if (nbt_intervals(l) > 0) {
        nbt_copy(NBT_OF(l, level), level, nbt_intervals(l));
    }
    for (size_t o = 0; o < l->O && nbt_intervals(l) > 0; o++) {
        nbt_interval_state interval = interval_of(l, o);
        nbt_interval_init(&interval);
    }
}

NBT_LOCAL void nbt_assess_init(const nbt_layout *l)
{
    nbt_assess_levels(l, usual_levels);
    for (size_t o = 0; o < l->O && nbt_has_anomaly(l); o++) {
        nbt_fill(usual_of(l, o), 0.0f, NBT_USUAL_FLOATS);
        NBT_OF(l, score)[o] = NO_SCORE;
    }
}

/* ---- forecast -------------------------------------------------------------------------------- */

NBT_OWN_FRAME NBT_LOCAL void nbt_assess_forecast(const nbt_learner *learner, const nbt_layout *l)
{
    for (size_t o = 0; o < l->O && nbt_intervals(l) > 0; o++) {
        nbt_interval_state interval = interval_of(l, o);
        float *scale, *answer = nbt_experts_waits(learner, l, o, 0, &scale);
        int has_varied = nbt_experts_unit(l, o).deviation != 0.0f;
        *scale = has_varied ? nbt_interval_scale(&interval) : 0.0f;
        nbt_interval_bounds(&interval, *answer, *scale, scale + 1);
    }
}

/* ---- learn ----------------------------------------------------------------------------------- */

NBT_OWN_FRAME NBT_LOCAL void nbt_assess_learn(const nbt_learner *learner, const nbt_layout *l,
                                              const float *label, int learns)
{
    for (size_t o = 0; o < l->O && nbt_assesses(l); o++) {
        float truth = nbt_label(l)[o], score = NO_SCORE;
        float *scale, *answer = nbt_experts_waits(learner, l, o, learner->pending - 1, &scale);
        int is_there = !nbt_is_nan(truth);
        if (is_there && learns && nbt_intervals(l) > 0) {
            nbt_interval_state interval = interval_of(l, o);
            nbt_interval_learn(&interval, truth, *answer, *scale, scale + 1);
        }
        if (nbt_has_anomaly(l)) {
            if (is_there) {
                score = nbt_anomaly_count(usual_of(l, o), label[o], truth, *answer);
            } else {
                nbt_anomaly_miss(usual_of(l, o));
            }
            NBT_OF(l, score)[o] = score;
        }
    }
}

/* ---- changes of units ------------------------------------------------------------------------ */

/* Re-expresses the scales and bounds stored with the waiting forecasts of output o. */
static void move_bounds(const nbt_learner *learner, const nbt_layout *l, size_t o, float a, float b)
{
    for (size_t age = 0; age <= l->config->max_delay; age++) {
        float *scale;
        nbt_experts_waits(learner, l, o, age, &scale);
        *scale = nbt_clamp(a * *scale, 0.0f, NBT_HUGE);
        for (size_t i = 1; i <= 2 * nbt_intervals(l); i++) {
            scale[i] = nbt_clamp(a * scale[i] + b, -NBT_HUGE, NBT_HUGE);
        }
    }
}

NBT_LOCAL void nbt_assess_move(const nbt_learner *learner, const nbt_layout *l, size_t o,
                               const nbt_unit_change *change)
{
    if (nbt_intervals(l) > 0) {
        nbt_interval_state interval = interval_of(l, o);
        move_bounds(learner, l, o, change->a, change->b);
        nbt_interval_rescale(&interval, change->a);
    }
    if (nbt_has_anomaly(l)) {
        nbt_anomaly_rescale(usual_of(l, o), change->a, change->b);
    }
}

NBT_LOCAL void nbt_assess_begin(const nbt_learner *learner, const nbt_layout *l, size_t o)
{
    if (nbt_intervals(l) > 0) {
        move_bounds(learner, l, o, 0.0f, 0.0f);
    }
    if (nbt_has_anomaly(l)) {
        nbt_fill(usual_of(l, o), 0.0f, NBT_USUAL_FLOATS);
    }
}

NBT_LOCAL void nbt_assess_open(const nbt_layout *l)
{
    for (size_t o = 0; o < l->O && nbt_intervals(l) > 0; o++) {
        nbt_interval_state interval = interval_of(l, o);
        nbt_interval_widen(&interval);
    }
}

/* ---- for the caller -------------------------------------------------------------------------- */

NBT_LOCAL void nbt_assess_bounds(const nbt_learner *learner, const nbt_layout *l, float *bounds)
{
    for (size_t o = 0; o < l->O; o++) {
        nbt_unit unit = nbt_experts_unit(l, o);
        float *scale;
        nbt_experts_waits(learner, l, o, 0, &scale);
        for (size_t i = 1; i <= 2 * nbt_intervals(l); i++) {
            *bounds++ = nbt_units_restore(&unit, scale[i]);
        }
    }
}

NBT_LOCAL void nbt_assess_student(const nbt_learner *learner, const nbt_layout *l, float *scale,
                                  float *freedom)
{
    for (size_t o = 0; o < l->O; o++) {
        nbt_unit unit = nbt_experts_unit(l, o);
        nbt_interval_state interval = interval_of(l, o);
        float *of_forecast, unit_size = unit.deviation > 0.0f ? unit.deviation : 1.0f;
        nbt_experts_waits(learner, l, o, 0, &of_forecast);
        scale[o] = unit_size * nbt_interval_student(&interval, *of_forecast, &freedom[o]);
    }
}

NBT_LOCAL void nbt_assess_scores(const nbt_layout *l, float *score)
{
    for (size_t o = 0; o < l->O; o++) {
        float last = NBT_OF(l, score)[o];
        score[o] = last < 0.0f ? nbt_from_bits(0x7fc00000u) : last;
    }
}
