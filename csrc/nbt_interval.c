#include "nbt_interval.h"

#include "nbt_math.h"

#define FAST_RATE 0.05f
#define SLOW_RATE 0.005f
#define ABSOLUTES_MAX 8.0f   /* an error counts as at most this many mean absolute errors */
#define LABELS_SETTLED 20.0f /* labels before the scale can be used */
#define REACH_RATE 0.02f
#define REACH_START 0.3f
#define REACH_MIN 1e-3f
#define REACH_MAX 1e3f
#define START_WIDE 1.25f
#define WIDER 1.5f
#define STUDENT_RATE 0.005f
#define LOGARITHM_MAX 7.0f /* limit of the log of a scale relative to s */

/* Degrees of freedom; log of the density's factor, lgamma((nu + 1) / 2) - lgamma(nu / 2) -
 * log(nu pi) / 2. */
static const float freedoms[NBT_STUDENTS] = {2.5f, 4.0f, 8.0f, 50.0f};
static const float factors[NBT_STUDENTS] = {-1.0166396f, -0.98082925f, -0.95010861f, -0.9239382f};

/* The quantile of the normal distribution at 1 - tail, 0 < tail < 1/2, to 4.5e-4 (Abramowitz and
 * Stegun 1964, 26.2.23). */
static float normal_quantile(float tail)
{
    float t = nbt_sqrt(-2.0f * nbt_log(tail));
    return t - (2.515517f + t * (0.802853f + t * 0.010328f)) /
                   (1.0f + t * (1.432788f + t * (0.189269f + t * 0.001308f)));
}

static float tail_of(const nbt_interval_state *self, size_t l)
{
    return 0.5f * (1.0f - self->level[l]);
}

NBT_LOCAL void nbt_interval_init(const nbt_interval_state *self)
{
    *self->fast = *self->slow = *self->labels = 0.0f;
    for (size_t l = 0; l < self->L; l++) {
        float reach = START_WIDE * normal_quantile(tail_of(self, l));
        self->reach[2 * l] = self->reach[2 * l + 1] = nbt_clamp(reach, REACH_MIN, REACH_MAX);
    }
    nbt_fill(self->student, 0.0f, 2 * (size_t)NBT_STUDENTS);
}

NBT_LOCAL float nbt_interval_scale(const nbt_interval_state *self)
{
    float n = *self->labels;
    float mean = 0.5f * (*self->fast + *self->slow);
    float scale = 1.2533141f * mean * (1.0f + 2.0f / (n + 1.0f));
    return n > 0.0f ? nbt_clamp(scale, 0.0f, NBT_HUGE) : 1.0f;
}

NBT_LOCAL void nbt_interval_bounds(const nbt_interval_state *self, float forecast, float scale,
                                   float *bounds)
{
    for (size_t l = 0; l < self->L; l++) {
        float lower = forecast - scale * self->reach[2 * l];
        float upper = forecast + scale * self->reach[2 * l + 1];
        bounds[2 * l] = nbt_clamp(lower, -NBT_HUGE, NBT_HUGE);
        bounds[2 * l + 1] = nbt_clamp(upper, -NBT_HUGE, NBT_HUGE);
    }
}

/* ---- learn ----------------------------------------------------------------------------------- */

static void learn_reach(const nbt_interval_state *self, float truth, const float *bounds, float n)
{
    float eta = nbt_clamp(REACH_START / n, REACH_RATE, REACH_START);
    for (size_t l = 0; l < self->L; l++) {
        float tail = tail_of(self, l), *reach = self->reach + 2 * l;
        float beyond[2] = {truth < bounds[2 * l] ? 1.0f : 0.0f,
                           truth > bounds[2 * l + 1] ? 1.0f : 0.0f};
        for (size_t side = 0; side < 2; side++) {
            float moved = reach[side] * (1.0f + eta * (beyond[side] - tail));
            float inner = l > 0 ? self->reach[2 * l + side - 2] : REACH_MIN;
            reach[side] = nbt_clamp(moved, inner, REACH_MAX);
        }
    }
}

static void learn_student(const nbt_interval_state *self, float ratio, float n)
{
    float eta = nbt_clamp(0.5f / n, STUDENT_RATE, 0.2f);
    for (size_t i = 0; i < NBT_STUDENTS; i++) {
        float nu = freedoms[i], *k = self->student + 2 * i, *score = k + 1;
        float u = nbt_clamp(ratio * nbt_exp(-*k), -NBT_HUGE, NBT_HUGE), square = u * u;
        float likelihood = factors[i] - *k - 0.5f * (nu + 1.0f) * nbt_log(1.0f + square / nu);
        *score += STUDENT_RATE * (nbt_clamp(likelihood, -30.0f, 30.0f) - *score);
        float slope = (nu + 1.0f) * (square / (nu + square)) - 1.0f;
        *k = nbt_clamp(*k + eta * slope * (nu + 3.0f) / (2.0f * nu), -LOGARITHM_MAX, LOGARITHM_MAX);
    }
}

static void count_absolute(float *mean, float error, float n, float rate)
{
    float step = 1.0f / n > rate ? 1.0f / n : rate;
    float most = ABSOLUTES_MAX * *mean;
    *mean += step * ((n > LABELS_SETTLED && error > most && *mean > 0.0f ? most : error) - *mean);
}

NBT_LOCAL void nbt_interval_learn(const nbt_interval_state *self, float truth, float forecast,
                                  float scale, const float *bounds)
{
    float n = *self->labels < 16777216.0f ? *self->labels + 1.0f : *self->labels;
    float error = truth - forecast;
    *self->labels = n;
    if (n > LABELS_SETTLED && scale > 0.0f) {
        learn_reach(self, truth, bounds, n - LABELS_SETTLED);
        learn_student(self, error / scale, n - LABELS_SETTLED);
    }
    count_absolute(self->fast, nbt_abs(error), n, FAST_RATE);
    count_absolute(self->slow, nbt_abs(error), n, SLOW_RATE);
}

NBT_LOCAL void nbt_interval_widen(const nbt_interval_state *self)
{
    nbt_interval_rescale(self, WIDER);
    *self->labels = *self->labels > LABELS_SETTLED ? LABELS_SETTLED : *self->labels;
}

NBT_LOCAL void nbt_interval_rescale(const nbt_interval_state *self, float a)
{
    *self->fast = nbt_clamp(*self->fast * a, 0.0f, NBT_HUGE);
    *self->slow = nbt_clamp(*self->slow * a, 0.0f, NBT_HUGE);
}

NBT_LOCAL float nbt_interval_student(const nbt_interval_state *self, float scale, float *freedom)
{
    size_t best = NBT_STUDENTS - 1;
    for (size_t i = 0; i < NBT_STUDENTS; i++) {
        best = self->student[2 * i + 1] > self->student[2 * best + 1] ? i : best;
    }
    *freedom = freedoms[best];
    return scale * nbt_exp(self->student[2 * best]);
}
