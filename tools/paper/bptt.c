#include "bptt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LANES 8
#define BETA_1 0.9
#define BETA_2 0.999
#define EPSILON 1e-8

/* What one step leaves for the way back. */
typedef struct {
    double *h, *z, *g; /* (H): the state before, the gate, the candidate */
    double *slope;     /* (H): derivative of the step's own loss with respect to the state after */
    size_t x;
} trace;

typedef struct {
    bptt_settings s;
    size_t D, n_theta, n_weights;
    double *theta, *V;                /* the caller's */
    double *gradient, *mean, *square; /* (n_weights) */
    double *h, *a, *p;                /* (H), (2 H), (I) */
    double *along, *before, *da;      /* (H), (H), (2 H): on the way back */
    double *traces;                   /* (span, 4, H) */
    size_t *inputs;                   /* (span) */
    size_t updates;
} network;

/* Partial sums, which a vector unit keeps side by side. */
static double dot(const double *a, const double *b, size_t n)
{
    double part[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            part[lane] += a[i + lane] * b[i + lane];
        }
    }
    double sum = 0;
    for (size_t lane = 0; lane < LANES; lane++) {
        sum += part[lane];
    }
    for (; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static void add(double *to, double factor, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] += factor * x[i];
    }
}

static trace trace_of(const network *n, size_t t)
{
    size_t place = t % n->s.span, H = n->s.hidden;
    double *at = n->traces + place * 4 * H;
    return (trace){at, at + H, at + 2 * H, at + 3 * H, n->inputs[place]};
}

/* out = M [h; x; 1] for M (rows, D). */
static void multiply(const network *n, double *out, const double *M, size_t rows, size_t x)
{
    for (size_t r = 0; r < rows; r++) {
        const double *row = M + r * n->D;
        out[r] = dot(row, n->h, n->s.hidden) + row[n->s.hidden + x] + row[n->D - 1];
    }
}

/* M += error [h; x; 1]^T. */
static void add_outer(const network *n, double *M, const double *error, size_t rows,
                      const double *h, size_t x)
{
    for (size_t r = 0; r < rows; r++) {
        double *row = M + r * n->D;
        add(row, error[r], h, n->s.hidden);
        row[n->s.hidden + x] += error[r];
        row[n->D - 1] += error[r];
    }
}

/* Read x, predict y, and keep what the way back needs. Returns nats. */
static double forward(network *n, size_t t, size_t x, size_t y)
{
    size_t H = n->s.hidden, I = n->s.symbols;
    n->inputs[t % n->s.span] = x;
    trace kept = trace_of(n, t);
    multiply(n, n->a, n->theta, 2 * H, x);
    memcpy(kept.h, n->h, H * sizeof *n->h);
    for (size_t i = 0; i < H; i++) {
        kept.z[i] = 1 / (1 + exp(-n->a[i]));
        kept.g[i] = tanh(n->a[H + i]);
        n->h[i] += kept.z[i] * (kept.g[i] - n->h[i]);
    }

    multiply(n, n->p, n->V, I, x);
    double most = n->p[0], sum = 0;
    for (size_t o = 1; o < I; o++) {
        most = fmax(most, n->p[o]);
    }
    for (size_t o = 0; o < I; o++) {
        n->p[o] = exp(n->p[o] - most);
        sum += n->p[o];
    }
    double nats = log(sum) - log(n->p[y]);
    memset(kept.slope, 0, H * sizeof *kept.slope);
    for (size_t o = 0; o < I; o++) {
        n->p[o] = n->p[o] / sum - (o == y);
        add(kept.slope, n->p[o], n->V + o * n->D, H);
    }
    add_outer(n, n->gradient + n->n_theta, n->p, I, n->h, x);
    return nats;
}

/* The losses of the last `fresh` steps, back through the last `reach` steps, step t - 1 first. */
static void backward(network *n, size_t t, size_t fresh, size_t reach)
{
    size_t H = n->s.hidden;
    memset(n->along, 0, H * sizeof *n->along);
    for (size_t age = 0; age < reach; age++) {
        trace kept = trace_of(n, t - 1 - age);
        if (age < fresh) {
            add(n->along, 1, kept.slope, H);
        }
        for (size_t i = 0; i < H; i++) {
            double z = kept.z[i], g = kept.g[i];
            n->da[i] = n->along[i] * (g - kept.h[i]) * z * (1 - z);
            n->da[H + i] = n->along[i] * z * (1 - g * g);
            n->before[i] = n->along[i] * (1 - z);
        }
        for (size_t r = 0; r < 2 * H; r++) {
            add(n->before, n->da[r], n->theta + r * n->D, H);
        }
        add_outer(n, n->gradient, n->da, 2 * H, kept.h, kept.x);
        memcpy(n->along, n->before, H * sizeof *n->along);
    }
}

/* One step along the mean gradient of `fresh` losses, after t symbols; the gradient restarts at zero. */
static void update(network *n, double *weights, size_t t, size_t fresh)
{
    double *g = n->gradient;
    double factor = 1 / (double)fresh;
    double length = factor * sqrt(dot(g, g, n->n_weights));
    if (length > n->s.clip) {
        factor *= n->s.clip / length;
    }
    double rate = n->s.rate / sqrt(1 + (double)t / n->s.fall);
    n->updates++;
    if (!n->s.adam) {
        add(weights, -rate * factor, g, n->n_weights);
    } else {
        double mean_seen = 1 - pow(BETA_1, (double)n->updates);
        double square_seen = 1 - pow(BETA_2, (double)n->updates);
        for (size_t i = 0; i < n->n_weights; i++) {
            double slope = factor * g[i];
            n->mean[i] += (1 - BETA_1) * (slope - n->mean[i]);
            n->square[i] += (1 - BETA_2) * (slope * slope - n->square[i]);
            double root = sqrt(n->square[i] / square_seen) + EPSILON;
            weights[i] -= rate * (n->mean[i] / mean_seen) / root;
        }
    }
    memset(g, 0, n->n_weights * sizeof *g);
}

int bptt_learn(const bptt_settings *settings, double *weights, const int32_t *text, size_t steps,
               size_t block, double *loss)
{
    size_t H = settings->hidden, I = settings->symbols, span = settings->span;
    network n = {.s = *settings, .D = H + I + 1};
    n.n_theta = 2 * H * n.D;
    n.n_weights = n.n_theta + I * n.D;
    size_t floats = 3 * n.n_weights + 7 * H + I + span * 4 * H;
    double *memory = calloc(floats, sizeof *memory);
    n.inputs = calloc(span, sizeof *n.inputs);
    if (memory == NULL || n.inputs == NULL) {
        free(memory);
        free(n.inputs);
        return 0;
    }
    n.theta = weights;
    n.V = weights + n.n_theta;
    n.gradient = memory;
    n.mean = n.gradient + n.n_weights;
    n.square = n.mean + n.n_weights;
    n.h = n.square + n.n_weights;
    n.along = n.h + H;
    n.before = n.along + H;
    n.a = n.before + H;
    n.da = n.a + 2 * H;
    n.p = n.da + 2 * H;
    n.traces = n.p + I;

    memset(loss, 0, steps / block * sizeof *loss);
    for (size_t t = 0; t < steps; t++) {
        double nats = forward(&n, t, (size_t)text[t], (size_t)text[t + 1]);
        if (t / block < steps / block) {
            loss[t / block] += nats / (double)block;
        }
        if ((t + 1) % settings->stride == 0) {
            backward(&n, t + 1, settings->stride, t + 1 < span ? t + 1 : span);
            update(&n, weights, t, settings->stride);
        }
    }
    free(memory);
    free(n.inputs);
    return 1;
}
