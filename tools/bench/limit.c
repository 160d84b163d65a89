#include "limit.h"

#include "nbt_math.h"

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

static float total(rows sums)
{
    float sum = 0.0f;
    for (size_t l = 0; l < 16; l++) {
        sum += sums[l];
    }
    return sum;
}

/* The five sums over the row (theta u for the state, theta v, P u u, P w w, P w u), the new w, the
 * step of theta: 17 additions and multiplications; every second time the new P, 6 and a division. */
float limit_directed(float *theta, float *w, float *P, const float *u, const float *uu,
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
            if (j % 2 == 0) {
                *P_j = p / (0.999f + (0.5f * (moved * after) + 1e-3f * p)) + 1e-20f;
            }
        }
    }
    return total(a + da + uu_sum + ww + wu);
}

/* The sums theta u and P g g, the new g, the step of theta: 11 additions and multiplications; every
 * second time the new P, 5 and a division. */
float limit_traced(float *theta, float *g, float *P, const float *u, size_t cols, size_t passes)
{
    rows a = {0}, gg = {0};
    for (size_t pass = 0; pass < passes; pass++) {
        for (size_t j = 0; j < cols; j++) {
            rows *theta_j = (rows *)(theta + 16 * j);
            rows *g_j = (rows *)(g + 16 * j);
            rows *P_j = (rows *)(P + 16 * j);
            rows weight = *theta_j, p = *P_j;
            rows trace = 0.9f * *g_j + 0.1f * u[j];
            rows moved = p * trace, square = moved * trace;
            a += weight * u[j];
            gg += square;
            *g_j = trace;
            *theta_j = weight + 1e-9f * moved;
            if (j % 2 == 0) {
                *P_j = p / (0.999f + (0.5f * square + 1e-3f * p)) + 1e-20f;
            }
        }
    }
    return total(a + gg);
}

/* The sums U z, P z z and what the unit passes on to the states, the step of U: 9 additions and
 * multiplications; every second time the new P, 5 and a division. */
float limit_head(float *U, float *P, const float *z, size_t cols, size_t passes)
{
    rows a = {0}, zz = {0}, back = {0};
    for (size_t pass = 0; pass < passes; pass++) {
        for (size_t j = 0; j < cols; j++) {
            rows *U_j = (rows *)(U + 16 * j);
            rows *P_j = (rows *)(P + 16 * j);
            rows weight = *U_j, p = *P_j;
            rows moved = p * z[j], square = moved * z[j];
            a += weight * z[j];
            zz += square;
            back += weight * 0.1f;
            *U_j = weight + 1e-9f * moved;
            if (j % 2 == 0) {
                *P_j = p / (0.999f + (0.5f * square + 1e-3f * p)) + 1e-20f;
            }
        }
    }
    return total(a + zz + back);
}

/* Six additions and multiplications. Two columns at once, since nothing else hides the time of a
 * sum. */
float limit_factor(float *U, const float *f, const float *back, const float *gain, size_t cols,
                   size_t passes)
{
    rows projected[2] = {{0}}, own[2] = {{0}};
    rows level = *(const rows *)gain;
    for (size_t pass = 0; pass < passes; pass++) {
        for (size_t j = 0; j + 2 <= cols; j += 2) {
            rows *U_j = (rows *)(U + 16 * j);
            rows first = U_j[0], second = U_j[1];
            projected[0] += first * f[j];
            projected[1] += second * f[j + 1];
            own[0] += first * gain[j];
            own[1] += second * gain[j + 1];
            U_j[0] = first + level * back[j];
            U_j[1] = second + level * back[j + 1];
        }
    }
    return total(projected[0] + projected[1] + own[0] + own[1]);
}

void limit_squash(float *x, size_t n, size_t passes)
{
    for (size_t pass = 0; pass < passes; pass++) {
        for (size_t i = 0; i < n; i++) {
            x[i] = nbt_tanh(x[i]);
        }
    }
}
