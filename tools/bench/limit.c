#include "limit.h"

/* Contents stay bounded: every value becomes a mean of two. */
void limit_move(float *a, float *b, float *c, float *d, size_t arrays, size_t n, size_t passes)
{
    float *restrict x = a, *restrict y = b, *restrict z = c, *restrict t = d;
    for (size_t pass = 0; pass < passes; pass++) {
        if (arrays == 3) {
            for (size_t i = 0; i < n; i++) {
                float p = x[i], q = y[i], r = z[i];
                x[i] = 0.5f * p + 0.5f * q;
                y[i] = 0.5f * q + 0.5f * r;
                z[i] = 0.5f * r + 0.5f * p;
            }
        } else {
            for (size_t i = 0; i < n; i++) {
                float p = x[i], q = y[i], r = z[i], s = t[i];
                x[i] = 0.5f * p + 0.5f * q;
                y[i] = 0.5f * q + 0.5f * r;
                z[i] = 0.5f * r + 0.5f * s;
                t[i] = 0.5f * s + 0.5f * p;
            }
        }
    }
}

/* Sixteen rows at once, in registers whatever the compiler thinks of an array of sixteen sums. */
typedef float rows __attribute__((vector_size(64), aligned(4)));

/* One visit of every parameter: the five sums over the row (theta u for the state, theta v, P u u,
 * P w w, P w u), the new w, the step of theta, the new P: 23 additions and multiplications and one
 * division; nothing waits for a sum, which a step has to. */
float limit_compute(float *theta, float *w, float *P, const float *u, const float *uu,
                    const float *v, size_t cols, size_t passes)
{
    rows a = {0}, da = {0}, uu_sum = {0}, ww = {0}, wu = {0};
    for (size_t pass = 0; pass < passes; pass++) {
        for (size_t j = 0; j < cols; j++) {
            rows *theta_j = (rows *)(theta + 16 * j);
            rows *w_j = (rows *)(w + 16 * j);
            rows *P_j = (rows *)(P + 16 * j);
            rows weight = *theta_j, before = *w_j, p = *P_j;
            rows pw = p * before;
            a += weight * u[j];
            da += weight * v[j];
            uu_sum += p * uu[j];
            ww += pw * before;
            wu += pw * u[j];
            rows after = 0.9f * before + 0.1f * u[j];
            rows moved = p * after;
            *w_j = after;
            *theta_j = weight + 1e-9f * moved;
            *P_j = p / (0.999f + (0.5f * (moved * after) + 1e-3f * p)) + 1e-20f;
        }
    }
    float sum = 0.0f;
    for (size_t l = 0; l < 16; l++) {
        sum += a[l] + da[l] + uu_sum[l] + ww[l] + wu[l];
    }
    return sum;
}
