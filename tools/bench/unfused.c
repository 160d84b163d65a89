#include "unfused.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TINY 1e-12f

struct unfused {
    size_t I, H, O, R, D;
    float decay, eta_gamma, gamma, delta, phi, prior, prior_hidden, noise_rate, anneal_steps;
    float labels;
    uint32_t rng[4];
    float *theta, *w, *P;          /* (R, D) */
    float *V;                      /* (O, D) */
    float *U, *d, *d0;             /* (D, D) unit upper triangular, (D), (D) */
    float *noise;                  /* (O) */
    float *h, *c, *v;              /* (H), (H), (2, H) */
    float *u, *f;                  /* (D) */
    float *a, *da, *sign, *u_norm; /* (R) */
    float *e, *carry, *z;          /* (2, R), (2, H), (2, H) */
    float *p, *g, *Cf;             /* (D) U^T f, d p, C f */
    float *raw, *t, *alpha, *S;    /* (O), (O), (O), (O, O) */
};

/* ---- Signs: section 4 ---- */

static void seed_rng(uint32_t state[4], uint64_t seed)
{
    for (size_t half = 0; half < 2; half++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        z ^= z >> 31;
        state[2 * half] = (uint32_t)z;
        state[2 * half + 1] = (uint32_t)(z >> 32);
    }
}

static uint32_t rotate(uint32_t x, int bits)
{
    return (x << bits) | (x >> (32 - bits));
}

static uint32_t next_word(uint32_t s[4])
{
    uint32_t result = rotate(s[0] + s[3], 7) + s[0];
    uint32_t shifted = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 11);
    return result;
}

static void draw_signs(unfused *n)
{
    for (size_t r = 0; r < n->R; r += 32) {
        uint32_t word = next_word(n->rng);
        for (size_t bit = 0; bit < 32 && r + bit < n->R; bit++) {
            n->sign[r + bit] = 1.0f - 2.0f * (float)(word >> bit & 1u);
        }
    }
}

/* ---- Section 2 ---- */

static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

/* out = M x for M (rows, cols) with rows `stride` apart. */
static void multiply(float *out, const float *M, const float *x, size_t rows, size_t cols,
                     size_t stride)
{
    for (size_t r = 0; r < rows; r++) {
        float sum = 0.0f;
        for (size_t j = 0; j < cols; j++) {
            sum += M[r * stride + j] * x[j];
        }
        out[r] = sum;
    }
}

static float length(const float *x, size_t n)
{
    float sum = 0.0f;
    for (size_t i = 0; i < n; i++) {
        sum += x[i] * x[i];
    }
    return sqrtf(sum);
}

/* u, a = theta u, the LSTM with its derivatives, f, V f. At horizon 0 learning has the same state,
 * input and parameters, so that one forward pass is enough. */
static void forward(unfused *n, float *y, const float *x)
{
    size_t H = n->H, R = n->R, D = n->D;
    memcpy(n->u, n->h, H * sizeof(float));
    memcpy(n->u + H, x, n->I * sizeof(float));
    n->u[D - 1] = 1.0f;
    multiply(n->a, n->theta, n->u, R, D, D);
    for (size_t k = 0; k < H; k++) {
        float i = sigmoid(n->a[k]);
        float f = sigmoid(n->a[H + k]);
        float g = tanhf(n->a[2 * H + k]);
        float o = sigmoid(n->a[3 * H + k]);
        float before = n->c[k];
        float c = f * before + i * g;
        float squashed = tanhf(c);
        float slope = o * (1.0f - squashed * squashed);
        float *of_h = n->e + k, *of_c = n->e + R + k;
        of_c[0] = i * (1.0f - i) * g;
        of_c[H] = f * (1.0f - f) * before;
        of_c[2 * H] = i * (1.0f - g * g);
        of_c[3 * H] = 0.0f;
        of_h[0] = slope * of_c[0];
        of_h[H] = slope * of_c[H];
        of_h[2 * H] = slope * of_c[2 * H];
        of_h[3 * H] = o * (1.0f - o) * squashed;
        n->carry[k] = slope * f;
        n->carry[H + k] = f;
        n->c[k] = c;
        n->h[k] = o * squashed;
    }
    memcpy(n->f, n->h, H * sizeof(float));
    memcpy(n->f + H, n->u + H, (D - H) * sizeof(float));
    multiply(n->raw, n->V, n->f, n->O, D, D);
    memcpy(y, n->raw, n->O * sizeof(float));
}

/* ---- Section 3: estimate ---- */

static void advance_estimate(unfused *n)
{
    size_t H = n->H, R = n->R, D = n->D;
    /* z = J v */
    multiply(n->da, n->theta, n->v, R, H, D);
    for (size_t part = 0; part < 2; part++) {
        for (size_t i = 0; i < H; i++) {
            float sum = n->carry[part * H + i] * n->v[H + i];
            for (size_t r = i; r < R; r += H) {
                sum += n->e[part * R + r] * n->da[r];
            }
            n->z[part * H + i] = sum;
        }
    }
    /* norms in the filter's metric */
    float w_square = 0.0f;
    for (size_t k = 0; k < R * D; k++) {
        w_square += n->P[k] * n->w[k] * n->w[k];
    }
    for (size_t r = 0; r < R; r++) {
        float sum = 0.0f;
        for (size_t j = 0; j < D; j++) {
            sum += n->P[r * D + j] * n->u[j] * n->u[j];
        }
        n->u_norm[r] = sqrtf(sum);
    }
    float rho0 = sqrtf((sqrtf(w_square) + TINY) / (length(n->z, 2 * H) + TINY));
    for (size_t k = 0; k < 2 * H; k++) {
        n->v[k] = n->decay * rho0 * n->z[k];
    }
    draw_signs(n);
    for (size_t r = 0; r < R; r++) {
        float e_h = n->e[r], e_c = n->e[R + r];
        float rho = sqrtf((n->u_norm[r] + TINY) / (sqrtf(e_h * e_h + e_c * e_c) + TINY));
        n->v[r % H] += n->sign[r] * rho * e_h;
        n->v[H + r % H] += n->sign[r] * rho * e_c;
        n->sign[r] /= rho;
    }
    for (size_t r = 0; r < R; r++) {
        for (size_t j = 0; j < D; j++) {
            n->w[r * D + j] = n->w[r * D + j] / rho0 + n->sign[r] * n->u[j];
        }
    }
}

/* ---- Section 3: innovation and steps ---- */

/* c = f^T C f with C = U diag(d) U^T; p = U^T f and g = d p stay for the update. */
static float project(unfused *n)
{
    size_t D = n->D;
    float c = 0.0f;
    memset(n->p, 0, D * sizeof(float));
    for (size_t i = 0; i < D; i++) {
        for (size_t j = i; j < D; j++) {
            n->p[j] += n->U[i * D + j] * n->f[i];
        }
    }
    for (size_t j = 0; j < D; j++) {
        n->g[j] = n->d[j] * n->p[j];
        c += n->p[j] * n->g[j];
    }
    return c;
}

/* t <- S^-1 t by Cholesky, in place. */
static void solve(float *S, float *t, size_t O)
{
    for (size_t i = 0; i < O; i++) {
        for (size_t j = 0; j <= i; j++) {
            float entry = S[i * O + j];
            for (size_t k = 0; k < j; k++) {
                entry -= S[i * O + k] * S[j * O + k];
            }
            S[i * O + j] = i == j ? sqrtf(entry) : entry / S[j * O + j];
        }
    }
    for (size_t i = 0; i < O; i++) {
        for (size_t k = 0; k < i; k++) {
            t[i] -= S[i * O + k] * t[k];
        }
        t[i] /= S[i * O + i];
    }
    for (size_t i = O; i-- > 0;) {
        for (size_t k = i + 1; k < O; k++) {
            t[i] -= S[k * O + i] * t[k];
        }
        t[i] /= S[i * O + i];
    }
}

/* Bierman's update of U and d, column by column, which also gives C f; then forgetting. */
static void update_readout_covariance(unfused *n)
{
    size_t D = n->D;
    float before = 1.0f;
    memset(n->Cf, 0, D * sizeof(float));
    for (size_t j = 0; j < D; j++) {
        float after = before + n->p[j] * n->g[j];
        float back = n->p[j] / before;
        for (size_t i = 0; i < j; i++) {
            float old = n->U[i * D + j];
            n->U[i * D + j] = old - back * n->Cf[i];
            n->Cf[i] += n->g[j] * old;
        }
        n->Cf[j] = n->g[j];
        n->d[j] *= before / after;
        before = after;
    }
    for (size_t j = 0; j < D; j++) {
        n->d[j] /= n->phi + (1.0f - n->phi) * n->d[j] / n->d0[j];
    }
}

static void correct(unfused *n, const float *label)
{
    size_t O = n->O, R = n->R, D = n->D;
    float anneal = 1.0f / sqrtf(1.0f + n->labels / n->anneal_steps);
    float gain = (anneal < 0.1f ? 0.1f : anneal) * n->eta_gamma;
    float c = project(n);
    /* whitened innovation and directions */
    multiply(n->alpha, n->V, n->v, O, n->H, D);
    for (size_t o = 0; o < O; o++) {
        float factor = 1.0f / sqrtf(n->noise[o]);
        n->t[o] = factor * (label[o] - n->raw[o]);
        n->alpha[o] *= factor;
    }
    float w_square = 0.0f;
    for (size_t k = 0; k < R * D; k++) {
        w_square += n->P[k] * n->w[k] * n->w[k];
    }
    for (size_t i = 0; i < O; i++) {
        for (size_t j = 0; j < O; j++) {
            n->S[i * O + j] =
                (i == j ? 1.0f + c : 0.0f) + gain * w_square * n->alpha[i] * n->alpha[j];
        }
    }
    solve(n->S, n->t, O);
    float along = 0.0f, curvature = 0.0f;
    for (size_t o = 0; o < O; o++) {
        along += n->alpha[o] * n->t[o];
        curvature += n->alpha[o] * n->alpha[o];
    }
    /* theta and its covariance */
    for (size_t k = 0; k < R * D; k++) {
        n->theta[k] += gain * along * n->P[k] * n->w[k];
    }
    float rate_of_turn = 2.0f * n->gamma; /* of the even or the odd columns, by Thue and Morse */
    size_t turn = 0;
    for (size_t bits = (size_t)n->labels; bits != 0; bits >>= 1) {
        turn ^= bits & 1;
    }
    for (size_t r = 0; r < R; r++) {
        for (size_t k = r * D + turn; k < (r + 1) * D; k += 2) {
            float seen = curvature * n->w[k] * n->w[k] + n->delta;
            n->P[k] /= (1.0f - rate_of_turn) + rate_of_turn * n->P[k] * seen;
        }
    }
    /* readout, its covariance, noise */
    update_readout_covariance(n);
    for (size_t o = 0; o < O; o++) {
        float step = sqrtf(n->noise[o]) * n->t[o];
        for (size_t j = 0; j < D; j++) {
            n->V[o * D + j] += step * n->Cf[j];
        }
    }
    n->labels += 1.0f;
    float rate = 1.0f / (n->labels + 1.0f);
    rate = rate < n->noise_rate ? n->noise_rate : rate;
    for (size_t o = 0; o < O; o++) {
        float error = label[o] - n->raw[o];
        n->noise[o] += rate * (error * error / (1.0f + c) - n->noise[o]);
        n->noise[o] = n->noise[o] < 1e-8f ? 1e-8f : n->noise[o];
    }
}

/* ---- The learner ---- */

void unfused_run(unfused *n, float *y, const float *x, const float *label, size_t steps)
{
    for (size_t t = 0; t < steps; t++) {
        forward(n, y + t * n->O, x + t * n->I);
        advance_estimate(n);
        correct(n, label + t * n->O);
    }
}

/* The next array of a block; NULL while only its size is counted. */
static float *next_array(float *block, size_t *used, size_t count)
{
    float *here = block == NULL ? NULL : block + *used;
    *used += (count + 15) / 16 * 16; /* every array starts on a cache line */
    return here;
}

/* Where everything lies in the block, or nowhere for NULL. Returns its floats. */
static size_t place(unfused *n, float *block)
{
    size_t H = n->H, O = n->O, R = n->R, D = n->D, used = 0;
    float **const matrices[] = {&n->theta, &n->w, &n->P};
    float **const rows[] = {&n->a, &n->da, &n->sign, &n->u_norm};
    float **const columns[] = {&n->d, &n->d0, &n->u, &n->f, &n->p, &n->g, &n->Cf};
    float **const states[] = {&n->h, &n->c, &n->v, &n->carry, &n->z};
    float **const outputs[] = {&n->noise, &n->raw, &n->t, &n->alpha};
    for (size_t k = 0; k < 3; k++) {
        *matrices[k] = next_array(block, &used, R * D);
    }
    for (size_t k = 0; k < 4; k++) {
        *rows[k] = next_array(block, &used, R);
        *outputs[k] = next_array(block, &used, O);
    }
    for (size_t k = 0; k < 7; k++) {
        *columns[k] = next_array(block, &used, D);
    }
    for (size_t k = 0; k < 5; k++) {
        *states[k] = next_array(block, &used, 2 * H);
    }
    n->V = next_array(block, &used, O * D);
    n->U = next_array(block, &used, D * D);
    n->e = next_array(block, &used, 2 * R);
    n->S = next_array(block, &used, O * O);
    return used;
}

unfused *unfused_new(size_t inputs, size_t hidden, size_t outputs, uint64_t seed,
                     const float *theta, const float *numbers)
{
    unfused sizes = {0};
    sizes.I = inputs;
    sizes.H = hidden;
    sizes.O = outputs;
    sizes.R = 4 * hidden;
    sizes.D = hidden + inputs + 1;
    size_t head = (sizeof sizes + 63) / 64 * 64;
    size_t bytes = head + place(&sizes, NULL) * sizeof(float);
    unfused *n = aligned_alloc(64, bytes);
    if (n == NULL) {
        return NULL;
    }
    memset(n, 0, bytes);
    n->I = inputs;
    n->H = hidden;
    n->O = outputs;
    n->R = sizes.R;
    n->D = sizes.D;
    place(n, (float *)((unsigned char *)n + head));
    n->decay = numbers[0];
    n->eta_gamma = numbers[1];
    n->gamma = numbers[2];
    n->delta = numbers[3];
    n->phi = numbers[4];
    n->prior = numbers[5];
    n->prior_hidden = numbers[6];
    n->noise_rate = numbers[7];
    n->anneal_steps = numbers[8];
    seed_rng(n->rng, seed);
    for (size_t k = 0; k < n->R * n->D; k++) {
        next_word(n->rng); /* the kernel drew theta with these */
        n->theta[k] = theta[k];
        n->P[k] = 1.0f / n->delta;
    }
    for (size_t j = 0; j < n->D; j++) {
        n->d0[j] = j < hidden ? n->prior_hidden : n->prior;
        n->d[j] = n->d0[j];
        n->U[j * n->D + j] = 1.0f;
    }
    for (size_t o = 0; o < outputs; o++) {
        n->noise[o] = 1.0f;
    }
    return n;
}

void unfused_free(unfused *n)
{
    free(n);
}
