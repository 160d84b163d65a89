#include "nbt_rls.h"

#include "nbt_math.h"
#include "nbt_ud.h"

#define STEP_LIMIT 1e6f
#define NOISE_MIN 1e-8f
#define NOISE_MAX 1e30f
/* Weights of features of size one that are larger cancel one another: float32 has no digits left for
 * what they say together. */
#define WEIGHT_MAX 1024.0f

static void start_covariance(const nbt_rls *self)
{
    nbt_ud_init(self->ud, self->n, self->n - self->hidden, self->prior, self->prior_hidden);
}

NBT_LOCAL void nbt_rls_init(const nbt_rls *self)
{
    nbt_fill(self->readout, 0.0f, self->O * self->n);
    start_covariance(self);
    nbt_fill(self->noise, 1.0f, self->O);
    nbt_fill(self->labels, 0.0f, self->O);
}

NBT_LOCAL float nbt_rls_read(const nbt_rls *self, size_t o, const float *f)
{
    return nbt_dot(self->readout + o * self->n, f, self->n);
}

NBT_LOCAL float nbt_rls_lift(const float *noise, size_t n)
{
    float sum = 0.0f;
    for (size_t o = 0; o < n; o++) {
        sum += noise[o];
    }
    return 1.0f / nbt_clamp(sum / (float)n, NOISE_MIN, 1.0f);
}

/* From target (O) to the errors within the gate. Returns the largest, NaN or infinity included,
 * and -1 without any. */
static float gate_errors(const nbt_rls *self, const float *f, float *target, float c)
{
    float largest = -1.0f;
    for (size_t o = 0; o < self->O; o++) {
        if (nbt_is_nan(target[o])) {
            continue;
        }
        float error = target[o] - nbt_rls_read(self, o, f);
        float reach = self->gate * nbt_sqrt(self->noise[o] * (1.0f + c));
        target[o] = self->gate > 0.0f ? nbt_clamp(error, -reach, reach) : error;
        largest = !(nbt_abs(target[o]) <= largest) ? nbt_abs(target[o]) : largest;
    }
    return largest;
}

static void count_noise(const nbt_rls *self, size_t o, float error, float c)
{
    float *count = &self->labels[o];
    *count += *count < 16777216.0f ? 1.0f : 0.0f;
    float rate = 1.0f / (*count + 1.0f); /* the start value counts as one sample */
    rate = rate < self->noise_rate ? self->noise_rate : rate;
    float noise = self->noise[o] + rate * (error * error / (1.0f + c) - self->noise[o]);
    self->noise[o] = nbt_clamp(noise, NOISE_MIN, NOISE_MAX);
}

NBT_LOCAL void nbt_rls_learn(const nbt_rls *self, float *f, float *target, float *work)
{
    size_t n = self->n;
    float *cf = work, *uf = work + n;
    float c = nbt_ud_project(self->ud, uf, f, n);
    float largest = gate_errors(self, f, target, c);
    if (largest < 0.0f || !(c < NBT_HUGE && largest < NBT_HUGE)) {
        return;
    }
    float lift = self->by_target ? nbt_rls_lift(self->noise, self->O) : 1.0f;
    float sum = nbt_ud_measure(self->ud, cf, uf, 1.0f, f, n);
    int finite = nbt_ud_forget(self->ud, n, n - self->hidden, self->prior * lift,
                               self->prior_hidden * lift, self->forget, sum);
    float length = nbt_sqrt(nbt_dot(cf, cf, n));
    if (!finite || !(largest / (1.0f + c) * length < STEP_LIMIT)) {
        start_covariance(self);
        return;
    }
    for (size_t o = 0; o < self->O; o++) {
        if (nbt_is_nan(target[o])) {
            continue;
        }
        float *row = self->readout + o * n;
        float scale = target[o] / (1.0f + c);
        for (size_t j = 0; j < n; j++) {
            row[j] += scale * cf[j];
        }
        count_noise(self, o, target[o], c);
    }
}

/* Whether all of a row are within a bound; NaN is not. */
static int is_within(const float *row, size_t n, float bound)
{
    int good = 1;
    for (size_t j = 0; j < n; j++) {
        good &= nbt_abs(row[j]) < bound;
    }
    return good;
}

NBT_LOCAL int nbt_rls_move_row(float *row, size_t n, size_t constant, size_t first, size_t step,
                               size_t count, float a, float b)
{
    for (size_t k = 0, i = first; k < count; k++, i += step) {
        row[i] /= a;
        row[constant] -= row[i] * b;
    }
    return is_within(row, n, WEIGHT_MAX);
}

NBT_LOCAL void nbt_rls_move(const nbt_rls *self, size_t first, size_t step, size_t count, float a,
                            float b)
{
    int good = 1;
    for (size_t o = 0; o < self->O; o++) {
        good &= nbt_rls_move_row(self->readout + o * self->n, self->n, 0, first, step, count, a, b);
    }
    nbt_ud_move(self->ud, self->n, first, step, count, a, b);
    if (!good) {
        nbt_rls_init(self);
    } else if (!nbt_ud_is_finite(self->ud, self->n)) {
        start_covariance(self);
    }
}

NBT_LOCAL void nbt_rls_rescale_row(float *row, size_t n, size_t constant, float a, float b)
{
    for (size_t j = 0; j < n; j++) {
        row[j] *= a;
    }
    row[constant] += b;
    nbt_fill(row, 0.0f, is_within(row, n, NBT_HUGE) ? 0 : n); /* says nothing any more */
}

NBT_LOCAL void nbt_rls_rescale_noise(float *noise, float a)
{
    *noise = nbt_clamp(*noise * a * a, NOISE_MIN, NOISE_MAX);
}
