#include "nbt_rls.h"

#include "nbt_math.h"
#include "nbt_ud.h"

#define STEP_LIMIT 1e6f
#define NOISE_MIN 1e-8f
#define NOISE_MAX 1e30f
/* Weights of features of size one that are larger cancel one another: float32 has no digits left for
 * what they say together. */
#define WEIGHT_MAX 1024.0f

/* The prior, `lift` times. */
static nbt_ud_prior rls_prior(const nbt_rls *self, float lift)
{
    nbt_ud_prior prior = {self->n - self->hidden, self->prior * lift, self->prior_hidden * lift};
    return prior;
}

static void start_covariance(const nbt_rls *self)
{
    nbt_ud_prior prior = rls_prior(self, 1.0f);
    nbt_ud_init(self->ud, self->n, &prior);
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

/* From f to b and from target to the errors. Returns whether there is something to learn. */
static int look(const nbt_rls *self, const float *f, float *b, float *target, float *c)
{
    *c = nbt_ud_project(self->ud, b, f, self->n);
    float largest = gate_errors(self, f, target, *c);
    return largest >= 0.0f && *c < NBT_HUGE && largest < NBT_HUGE;
}

static void start_gains(const nbt_rls *self, float *gain, float *b)
{
    nbt_ud_prior prior =
        rls_prior(self, self->by_target ? nbt_rls_lift(self->noise, self->O) : 1.0f);
    nbt_ud_gains(self->ud, gain, b, 1.0f, &prior, self->forget, self->n);
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

/* V and r, once the gains are there. */
static void move_readout(const nbt_rls *self, const float *gain, const float *error, float c)
{
    size_t n = self->n;
    float length = nbt_sqrt(nbt_dot(gain, gain, n));
    int good = 1;
    for (size_t o = 0; o < self->O; o++) {
        good &= nbt_is_nan(error[o]) || nbt_abs(error[o]) * length < STEP_LIMIT;
    }
    if (!good) {
        start_covariance(self);
        return;
    }
    for (size_t o = 0; o < self->O; o++) {
        if (nbt_is_nan(error[o])) {
            continue;
        }
        float *NBT_RESTRICT row = self->readout + o * n;
        for (size_t j = 0; j < n; j++) {
            row[j] += error[o] * gain[j];
        }
        count_noise(self, o, error[o], c);
    }
}

NBT_LOCAL void nbt_rls_learn(const nbt_rls *self, float *f, float *target, float *b)
{
    float c;
    if (look(self, f, b, target, &c)) {
        start_gains(self, f, b);
        nbt_ud_turn(self->ud, f, b, 0, self->n, self->n);
        move_readout(self, f, target, c);
    }
}

/* The first row of a part, a multiple of 4: row i has n - 1 - i entries, and the parts 1 to 3 a third
 * of all each, with a little less for the first one, which has the scalars too. */
static size_t first_row(size_t part, size_t n)
{
    size_t row = part == 2 ? n * 3 / 16 : part == 3 ? n * 27 / 64 : 0;
    return part == NBT_RLS_PARTS ? n : (row + 2) / 4 * 4;
}

NBT_LOCAL void nbt_rls_learn_part(const nbt_rls *self, const nbt_rls_turn *turn)
{
    size_t part = (size_t)*turn->part;
    if (part == 0) {
        *turn->part = look(self, turn->gain, turn->b, turn->error, turn->c) ? 1.0f : 0.0f;
        return;
    }
    if (part == 1) {
        start_gains(self, turn->gain, turn->b);
    }
    nbt_ud_turn(self->ud, turn->gain, turn->b, first_row(part, self->n),
                first_row(part + 1, self->n), self->n);
    *turn->part = part + 1 < NBT_RLS_PARTS ? (float)(part + 1) : 0.0f;
    if (part + 1 == NBT_RLS_PARTS) {
        move_readout(self, turn->gain, turn->error, *turn->c);
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
