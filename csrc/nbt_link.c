#include "nbt_link.h"

#include "nbt_math.h"

/* A new link needs a case in every switch of this file. */
NBT_COVERS(nbt_link_covers_all, NBT_LINKS_ALL,
           1u << NBT_LINK_GAUSSIAN | 1u << NBT_LINK_CATEGORICAL | 1u << NBT_LINK_BERNOULLI);

/* Probabilities stay away from 0 and 1 so that log-losses and 1/sqrt(p) are finite. */
#define P_MIN_CATEGORICAL 1e-9f
#define P_MIN_BERNOULLI 1e-6f

/* ---- predictions and labels ------------------------------------------------------------------ */

static void softmax(float *y, size_t O)
{
    float top = y[0];
    for (size_t o = 1; o < O; o++) {
        top = y[o] > top ? y[o] : top;
    }
    float sum = 0.0f;
    for (size_t o = 0; o < O; o++) {
        y[o] = nbt_exp(y[o] - top);
        sum += y[o];
    }
    for (size_t o = 0; o < O; o++) {
        float p = y[o] / sum;
        y[o] = p < P_MIN_CATEGORICAL ? P_MIN_CATEGORICAL : p;
    }
}

NBT_LOCAL void nbt_link_predict(const nbt_layout *l)
{
    switch (nbt_link(l)) {
    case NBT_LINK_GAUSSIAN: break;
    case NBT_LINK_CATEGORICAL: softmax(l->y, l->O); break;
    case NBT_LINK_BERNOULLI:
        for (size_t o = 0; o < l->O; o++) {
            l->y[o] = nbt_clamp(nbt_sigmoid(l->y[o]), P_MIN_BERNOULLI, 1.0f - P_MIN_BERNOULLI);
        }
        break;
    }
}

NBT_LOCAL size_t nbt_link_labels(const nbt_config *config)
{
    return nbt_link_of(config) == NBT_LINK_CATEGORICAL ? 1 : config->n_out;
}

NBT_LOCAL int nbt_link_is_label(const nbt_layout *l, float value)
{
    switch (nbt_link(l)) {
    case NBT_LINK_GAUSSIAN: return 1;
    case NBT_LINK_CATEGORICAL:
        return value >= 0.0f && value < (float)l->config->n_out && (float)(size_t)value == value;
    case NBT_LINK_BERNOULLI: return value >= 0.0f && value <= 1.0f;
    }
    return 0;
}

/* ---- losses ---------------------------------------------------------------------------------- */

NBT_LOCAL float nbt_link_start_level(const nbt_config *config)
{
    switch (nbt_link_of(config)) {
    case NBT_LINK_GAUSSIAN: return 1.0f;
    case NBT_LINK_CATEGORICAL: return nbt_log((float)config->n_out);
    case NBT_LINK_BERNOULLI: return nbt_log(2.0f);
    }
    return 1.0f;
}

NBT_LOCAL float nbt_link_loss(const nbt_layout *l)
{
    uint32_t link = nbt_link(l);
    const float *y = l->y;
    const float *label = nbt_label(l);
    if (link == NBT_LINK_CATEGORICAL) {
        return -nbt_log(y[(size_t)label[0]]);
    }
    float sum = 0.0f;
    float labelled = 0.0f;
    for (size_t o = 0; o < l->O; o++) {
        if (nbt_is_nan(label[o])) {
            continue;
        }
        float error = label[o] - y[o];
        sum += link == NBT_LINK_GAUSSIAN
                   ? error * error
                   : -(label[o] * nbt_log(y[o]) + (1.0f - label[o]) * nbt_log(1.0f - y[o]));
        labelled += 1.0f;
    }
    return sum / labelled;
}

/* ---- innovations ----------------------------------------------------------------------------- */

static float innovate_categorical(float *t, float *factor, float *p, float label, size_t O)
{
    int present = !nbt_is_nan(label);
    size_t k = present ? (size_t)label : 0;
    /* Sums of non-negative terms only: if p is almost one-hot, a difference of rounded sums would
     * give information that the label does not contain. */
    float trace = 0.0f;
    float trace_squared = 0.0f;
    float sum_before = 0.0f;
    for (size_t o = 0; o < O; o++) {
        float target = o == k ? 1.0f : 0.0f;
        float middle = 0.5f * (p[o] + target);
        factor[o] = present ? nbt_sqrt(middle) : 0.0f;
        t[o] = present ? (target - p[o]) / factor[o] : 0.0f;
        p[o] = middle;
        float variance = middle * (1.0f - middle);
        float square = middle * middle;
        trace += variance;
        trace_squared += variance * variance + 2.0f * square * sum_before;
        sum_before += square;
    }
    return present ? trace_squared / (trace + NBT_TINY) : 0.0f;
}

static float innovate_bernoulli(float *t, float *factor, float *p, const float *label, size_t O)
{
    float trace = 0.0f;
    float trace_squared = 0.0f;
    for (size_t o = 0; o < O; o++) {
        int present = !nbt_is_nan(label[o]);
        float error = present ? label[o] - p[o] : 0.0f;
        p[o] += 0.5f * error;
        float variance = present ? p[o] * (1.0f - p[o]) : 0.0f;
        factor[o] = nbt_sqrt(variance);
        t[o] = present ? error / factor[o] : 0.0f;
        trace += variance;
        trace_squared += variance * variance;
    }
    return trace_squared / (trace + NBT_TINY);
}

static float innovate_gaussian(float *t, float *factor, const float *y, const float *label,
                               const float *noise, size_t O)
{
    float weight = 0.0f;
    for (size_t o = 0; o < O; o++) {
        int present = !nbt_is_nan(label[o]);
        factor[o] = present ? 1.0f / nbt_sqrt(noise[o]) : 0.0f;
        t[o] = present ? (label[o] - y[o]) * factor[o] : 0.0f;
        weight = present ? 1.0f : weight;
    }
    return weight;
}

NBT_LOCAL float nbt_link_innovate(const nbt_layout *l)
{
    float *t = nbt_innovation(l);
    float *factor = nbt_factor(l);
    const float *label = nbt_label(l);
    switch (nbt_link(l)) {
    case NBT_LINK_GAUSSIAN: return innovate_gaussian(t, factor, l->y, label, l->noise, l->O);
    case NBT_LINK_CATEGORICAL:
        return innovate_categorical(t, factor, nbt_midpoint(l), label[0], l->O);
    case NBT_LINK_BERNOULLI: return innovate_bernoulli(t, factor, nbt_midpoint(l), label, l->O);
    }
    return 0.0f;
}

NBT_LOCAL void nbt_link_factor(const nbt_layout *l)
{
    float *row = nbt_innovation(l);
    const float *factor = nbt_factor(l);
    const float *p = nbt_midpoint(l);
    float along = nbt_link(l) == NBT_LINK_CATEGORICAL ? nbt_dot(factor, row, l->O) : 0.0f;
    for (size_t o = 0; o < l->O; o++) {
        row[o] = factor[o] * row[o] - p[o] * along;
    }
}

NBT_LOCAL void nbt_link_factor_transposed(const nbt_layout *l, float *row)
{
    const float *factor = nbt_factor(l);
    float along = nbt_link(l) == NBT_LINK_CATEGORICAL ? nbt_dot(nbt_midpoint(l), row, l->O) : 0.0f;
    for (size_t o = 0; o < l->O; o++) {
        row[o] = factor[o] * (row[o] - along);
    }
}

NBT_LOCAL void nbt_link_score(const nbt_layout *l)
{
    const float *label = nbt_label(l);
    for (size_t o = 0; o < l->O; o++) {
        float target = nbt_link(l) == NBT_LINK_CATEGORICAL ? (nbt_is_nan(label[0])    ? label[0]
                                                              : (size_t)label[0] == o ? 1.0f
                                                                                      : 0.0f)
                                                           : label[o];
        nbt_innovation(l)[o] = nbt_is_nan(target) ? 0.0f : target - l->y[o];
    }
}

/* ---- the readout's share of the innovation covariance ---------------------------------------- */

NBT_LOCAL int nbt_link_is_independent(const nbt_layout *l)
{
    return nbt_link(l) != NBT_LINK_CATEGORICAL;
}

/* Entry (i, i) of F^T diag(scale) F for independent outputs. The scale of gaussian outputs makes it
 * 1 for those with a label. */
static float own_term(uint32_t link, float factor)
{
    if (factor == 0.0f) {
        return 0.0f;
    }
    return link == NBT_LINK_GAUSSIAN ? 1.0f : factor * factor;
}

NBT_LOCAL void nbt_link_spread(const nbt_layout *l, float *S, float c)
{
    uint32_t link = nbt_link(l);
    const float *factor = nbt_factor(l);
    const float *p = nbt_midpoint(l);
    float p_squared = link == NBT_LINK_CATEGORICAL ? nbt_dot(p, p, l->O) : 0.0f;
    for (size_t i = 0; i < l->O; i++) {
        for (size_t j = 0; j <= i; j++) {
            float one = i == j ? 1.0f : 0.0f;
            float term;
            if (link == NBT_LINK_CATEGORICAL) {
                term = factor[i] * factor[j] * (one - p[i] - p[j] + p_squared);
            } else {
                term = i != j ? 0.0f : own_term(link, factor[i]);
            }
            *S++ = one + c * term;
        }
    }
}

NBT_LOCAL void nbt_link_spread_diagonal(const nbt_layout *l, float *s, float c)
{
    for (size_t i = 0; i < l->O; i++) {
        s[i] = 1.0f + c * own_term(nbt_link(l), nbt_factor(l)[i]);
    }
}
