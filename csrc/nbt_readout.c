#include "nbt_readout.h"

#include "nbt.h"
#include "nbt_build.h"
#include "nbt_math.h"

/* Probabilities stay off the ends so that log-losses and 1/sqrt(p) are finite. */
#define P_MIN_CATEGORICAL 1e-9f
#define P_MIN_BERNOULLI 1e-6f

NBT_LOCAL void nbt_readout_apply(float *out, const float *V, const float *f, size_t O, size_t D)
{
    for (size_t o = 0; o < O; o++) {
        out[o] = nbt_dot(V + o * D, f, D);
    }
}

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

NBT_LOCAL void nbt_link_predict(uint32_t link, float *y, size_t O)
{
    link = nbt_built_link(link);
    if (link == NBT_LINK_CATEGORICAL) {
        softmax(y, O);
    } else if (link == NBT_LINK_BERNOULLI) {
        for (size_t o = 0; o < O; o++) {
            y[o] = nbt_clamp(nbt_sigmoid(y[o]), P_MIN_BERNOULLI, 1.0f - P_MIN_BERNOULLI);
        }
    }
}

static float innovate_categorical(float *t, float *factor, float *p, float label, size_t O)
{
    int present = !nbt_is_nan(label);
    size_t k = present ? (size_t)label : 0;
    /* Sums of non-negative terms only: with p almost one-hot, a difference of rounded sums would
     * claim information where there is none. */
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

NBT_LOCAL float nbt_link_innovate(uint32_t link, float *t, float *factor, float *y,
                                  const float *label, const float *noise, size_t O)
{
    switch (nbt_built_link(link)) {
    case NBT_LINK_CATEGORICAL:
        return innovate_categorical(t, factor, y, label[0], O);
    case NBT_LINK_BERNOULLI:
        return innovate_bernoulli(t, factor, y, label, O);
    default:
        return innovate_gaussian(t, factor, y, label, noise, O);
    }
}

NBT_LOCAL void nbt_link_factor(uint32_t link, float *out, const float *in, const float *factor,
                               const float *y, size_t O)
{
    float along = nbt_built_link(link) == NBT_LINK_CATEGORICAL ? nbt_dot(factor, in, O) : 0.0f;
    for (size_t o = 0; o < O; o++) {
        out[o] = factor[o] * in[o] - y[o] * along;
    }
}

NBT_LOCAL void nbt_link_factor_transposed(uint32_t link, float *out, const float *in,
                                          const float *factor, const float *y, size_t O)
{
    float along = nbt_built_link(link) == NBT_LINK_CATEGORICAL ? nbt_dot(y, in, O) : 0.0f;
    for (size_t o = 0; o < O; o++) {
        out[o] = factor[o] * (in[o] - along);
    }
}

NBT_LOCAL void nbt_link_score(uint32_t link, float *score, const float *y, const float *label,
                              size_t O)
{
    for (size_t o = 0; o < O; o++) {
        float target = nbt_built_link(link) == NBT_LINK_CATEGORICAL
                           ? (nbt_is_nan(label[0]) ? label[0] : (size_t)label[0] == o ? 1.0f : 0.0f)
                           : label[o];
        score[o] = nbt_is_nan(target) ? 0.0f : target - y[o];
    }
}

NBT_LOCAL float nbt_link_loss(uint32_t link, const float *y, const float *label, size_t O)
{
    link = nbt_built_link(link);
    if (link == NBT_LINK_CATEGORICAL) {
        return -nbt_log(y[(size_t)label[0]]);
    }
    float sum = 0.0f;
    float labelled = 0.0f;
    for (size_t o = 0; o < O; o++) {
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
