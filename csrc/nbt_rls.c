#include "nbt_rls.h"

#include "nbt_math.h"
#include "nbt_ud.h"

#define STEP_LIMIT 1e6f
#define NOISE_MIN 1e-8f
#define NOISE_MAX 1e30f
/* Larger weights on features of size one cancel one another, and float32 has no digits left for
 * their sum. */
#define WEIGHT_MAX 1024.0f

/* The prior, multiplied by `lift` (nbt_rls_lift). */
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
    if (self->turn != NULL) {
        self->turn[0] = self->kept[0] = 0.0f;
    }
}

NBT_LOCAL float nbt_rls_lift(const float *noise, size_t n)
{
    float sum = 0.0f;
    for (size_t o = 0; o < n; o++) {
        sum += noise[o];
    }
    return 1.0f / nbt_clamp(sum / (float)n, NOISE_MIN, 1.0f);
}

/* Replaces target (O) by the errors limited to the gate; c is f^T C f. */
static void gate_errors(const nbt_rls *self, const float *f, float *target, float c)
{
    for (size_t o = 0; o < self->O; o++) {
        if (nbt_is_nan(target[o])) {
            continue;
        }
        float error = target[o] - nbt_dot(self->readout + o * self->n, f, self->n);
        float reach = self->gate * nbt_sqrt(self->noise[o] * (1.0f + c));
        target[o] = self->gate > 0.0f ? nbt_clamp(error, -reach, reach) : error;
    }
}

NBT_LOCAL void nbt_rls_count_noise(float *noise, float *labels, float noise_rate, float error,
                                   float c)
{
    *labels += nbt_select(*labels < 16777216.0f, 1.0f, 0.0f);
    float rate = 1.0f / (*labels + 1.0f); /* the start value counts as one sample */
    rate = nbt_select(rate < noise_rate, noise_rate, rate);
    float after = *noise + rate * (error * error / (1.0f + c) - *noise);
    *noise = nbt_clamp(after, NOISE_MIN, NOISE_MAX);
}

/* The scalars of every column, after all b are computed. */
static void start_gains(const nbt_rls *self, float *gain, float *b)
{
    float lift = self->by_target ? nbt_rls_lift(self->noise, self->O) : 1.0f;
    nbt_ud_prior prior = rls_prior(self, lift);
    nbt_ud_gains(self->ud, gain, b, 1.0f, &prior, self->forget, self->n);
}

/* Updates V and r, after all gains are computed. */
static void move_readout(const nbt_rls *self, const float *gain, const float *error, float c)
{
    size_t n = self->n;
    float length = nbt_sqrt(nbt_dot(gain, gain, n));
    for (size_t o = 0; o < self->O; o++) {
        if (nbt_is_nan(error[o])) {
            continue;
        }
        if (!(nbt_abs(error[o]) * length < STEP_LIMIT)) {
            start_covariance(self);
            return;
        }
        float *NBT_RESTRICT readout = self->readout + o * n;
        for (size_t j = 0; j < n; j++) {
            readout[j] += error[o] * gain[j];
        }
        nbt_rls_count_noise(self->noise + o, self->labels + o, self->noise_rate, error[o], c);
    }
}

NBT_LOCAL void nbt_rls_learn(const nbt_rls *self, float *f, float *target, float *b)
{
    size_t n = self->n;
    float c = nbt_ud_project(self->ud, b, f, 0.0f, 0, n);
    if (c < NBT_HUGE) {
        gate_errors(self, f, target, c);
        start_gains(self, f, b);
        nbt_ud_turn(self->ud, f, b, 0, n, n);
        move_readout(self, f, target, c);
    }
}

/* Whether label number `label` is drawn with probability 1 / n: a hash of the number, which needs
 * no memory. */
static int is_drawn(uint32_t label, uint32_t n)
{
    uint32_t bits = label * 0x9e3779b9u;
    bits = (bits ^ bits >> 15) * 0x85ebca6bu;
    return ((bits >> 16) * n) >> 16 == 0;
}

/* Stores targets and features one after the other. */
static void put_label(const nbt_rls *self, float *to, const float *f, const float *target)
{
    nbt_copy(to, target, self->O);
    nbt_copy(to + self->O, f, self->n);
}

NBT_LOCAL void nbt_rls_offer(const nbt_rls *self, const float *f, const float *target,
                             uint32_t label)
{
    float *kept = self->kept;
    size_t part = nbt_rls_part(self);
    if (part == 0 && kept[0] == 0.0f) {
        put_label(self, nbt_rls_target(self), f, target);
        return;
    }
    if (part == 0) {
        nbt_copy(nbt_rls_target(self), kept + 1, self->O + self->n);
    }
    if (part == 0 || kept[0] == 0.0f || is_drawn(label, (uint32_t)part + 1)) {
        put_label(self, kept + 1, f, target);
        kept[0] = 1.0f;
    }
}

/* Updates the rows of U up to `end`, and before the first row the scalars of the columns. */
static void turn_to(const nbt_rls *self, size_t end)
{
    size_t n = self->n, from = (size_t)self->turn[1];
    float *error = nbt_rls_target(self), *gain = nbt_rls_features(self), *b = gain + n;
    float *c = self->turn + 2;
    if (nbt_rls_part(self) == 1 && from < n) {
        *c = nbt_ud_project(self->ud, b, gain, *c, from, n);
        if (*c < NBT_HUGE) {
            gate_errors(self, gain, error, *c);
            start_gains(self, gain, b);
            from = 0;
        } else { /* no label is kept */
            *c = 0.0f;
            nbt_fill(error, nbt_from_bits(NBT_NAN_BITS), self->O);
            from = n;
        }
    }
    end = end < from ? from : end; /* the part is complete already, or the number of features has
                                      grown */
    nbt_ud_turn(self->ud, gain, b, from, end, n);
    self->turn[1] = (float)end;
}

NBT_LOCAL void nbt_rls_learn_part(const nbt_rls *self)
{
    /* The end of each part, in 64ths. Part 0 computes columns of U^T f, of which column j has j
     * entries. Part 1 computes the remaining ones, the scalars, and the first rows of U, of which
     * row i has n - 1 - i entries. The others compute the remaining rows. */
    static const unsigned char share[NBT_RLS_PARTS] = {56, 6, 22, 64};
    size_t part = nbt_rls_part(self), n = self->n, end = n * share[part] / 256 * 4;
    float *gain = nbt_rls_features(self);
    int is_last = part + 1 == NBT_RLS_PARTS;
    if (part == 0) {
        self->turn[1] = (float)end;
        self->turn[2] = nbt_ud_project(self->ud, gain + n, gain, 0.0f, 0, end);
    } else {
        turn_to(self, is_last ? n : end);
    }
    if (is_last) {
        move_readout(self, gain, nbt_rls_target(self), self->turn[2]);
    }
    self->turn[0] = is_last ? 0.0f : (float)(part + 1);
}

/* Called before units change. Completes the update of C by the label in progress; V and r still
 * wait for the last part. The kept label is in the old units and is not learnt. */
static void complete_covariance(const nbt_rls *self)
{
    if (self->kept != NULL) {
        self->kept[0] = 0.0f;
    }
    if (nbt_rls_is_under_way(self)) {
        turn_to(self, self->n);
    }
}

/* Whether all numbers of a row are within a bound; false for NaN. */
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
    complete_covariance(self);
    if (nbt_rls_is_under_way(self)) {
        nbt_rls_move_row(nbt_rls_features(self), self->n, 0, first, step, count, a, b);
    }
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
    nbt_fill(row, 0.0f, is_within(row, n, NBT_HUGE) ? 0 : n); /* a row out of bounds is cleared */
}

NBT_LOCAL void nbt_rls_rescale_noise(float *noise, float a)
{
    *noise = nbt_clamp(*noise * a * a, NOISE_MIN, NOISE_MAX);
}

NBT_LOCAL void nbt_rls_rescale(const nbt_rls *self, size_t o, float a, float b)
{
    complete_covariance(self);
    if (nbt_rls_is_under_way(self)) {
        nbt_rls_target(self)[o] *= a;
    }
    nbt_rls_rescale_row(self->readout + o * self->n, self->n, 0, a, b);
    nbt_rls_rescale_noise(self->noise + o, a);
}
