#include "nbt_mixture.h"

#include "nbt_math.h"

#define ERROR_RATE 0.002f
#define ERROR_MIN 1e-11f /* smaller squares are rounding errors, in units of the output */
#define ERRORS_MAX 8.0f  /* an error counts as at most this many root mean squares */
#define SLOPE_MAX 50.0f
#define SHARE 1e-3f /* spread evenly over the weights, so that every forecast can recover */

NBT_LOCAL void nbt_mixture_init(const nbt_mixture *self)
{
    nbt_fill(self->weight, 1.0f / (float)self->K, self->K);
    nbt_fill(self->regret, 0.0f, self->K);
    nbt_fill(self->spread, 0.0f, self->K);
    *self->error = 0.0f;
    *self->labels = 0.0f;
}

NBT_LOCAL float nbt_mixture_answer(const nbt_mixture *self, const float *p)
{
    float sum = 0.0f;
    for (size_t k = 0; k < self->K; k++) {
        sum += self->weight[k] * p[k];
    }
    return sum;
}

/* Updates r with one more error. */
static void count_error(const nbt_mixture *self, float error)
{
    float square = error * error, most = ERRORS_MAX * ERRORS_MAX * *self->error;
    float n = *self->labels < 16777216.0f ? *self->labels + 1.0f : *self->labels;
    float rate = 1.0f / n;
    square = *self->error > ERROR_MIN && square > most ? most : square;
    rate = rate < ERROR_RATE ? ERROR_RATE : rate;
    float after = *self->error + rate * (square - *self->error);
    *self->error = after > ERROR_MIN ? after : ERROR_MIN;
    *self->labels = n;
}

NBT_LOCAL void nbt_mixture_learn(const nbt_mixture *self, const float *p, float answer, float label,
                                 float forget)
{
    size_t K = self->K;
    count_error(self, label - answer);
    if (*self->error <= ERROR_MIN) {
        return; /* all answers were exact except for rounding: the forecasts cannot be ranked */
    }
    float q = nbt_sqrt(*self->error);
    float off = nbt_clamp((label - answer) / q, -ERRORS_MAX, ERRORS_MAX);
    float most = 0.0f, scale = -2.0f * off / q;
    for (size_t k = 0; k < K; k++) {
        float g = nbt_clamp(scale * (p[k] - answer), -SLOPE_MAX, SLOPE_MAX);
        self->weight[k] = g; /* temporary, until the weights are computed */
        self->spread[k] = forget * self->spread[k] + g * g;
        most = self->spread[k] > most ? self->spread[k] : most;
    }
    float eta = nbt_sqrt(1.0f / (most + 1e-12f));
    float best = -NBT_HUGE;
    for (size_t k = 0; k < K; k++) {
        float g = self->weight[k];
        self->regret[k] = forget * self->regret[k] - (g + eta * (g * g));
        best = eta * self->regret[k] > best ? eta * self->regret[k] : best;
    }
    float sum = 0.0f;
    for (size_t k = 0; k < K; k++) {
        self->weight[k] = nbt_exp(eta * self->regret[k] - best);
        sum += self->weight[k];
    }
    float share = (1.0f - SHARE) / sum;
    for (size_t k = 0; k < K; k++) {
        self->weight[k] = share * self->weight[k] + SHARE / (float)K;
    }
}
