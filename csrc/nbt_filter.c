#include "nbt_filter.h"

#include "nbt.h"
#include "nbt_math.h"

void nbt_ud_init(float *ud, size_t n, size_t H, float prior_hidden, float prior)
{
    for (size_t j = 0; j < n; j++) {
        for (size_t i = 0; i < j; i++) {
            ud[i] = 0.0f;
        }
        ud[j] = j < H ? prior_hidden : prior;
        ud += j + 1;
    }
}

float nbt_ud_project(const float *ud, float *uf, const float *f, size_t n)
{
    float variance = 0.0f;
    for (size_t j = 0; j < n; j++) {
        uf[j] = f[j] + nbt_dot(ud, f, j);
        variance += ud[j] * uf[j] * uf[j];
        ud += j + 1;
    }
    return variance;
}

void nbt_ud_measure(float *ud, float *cf, const float *uf, float weight, size_t n)
{
    float before = 1.0f;
    for (size_t j = 0; j < n; j++) {
        float gain = ud[j] * uf[j];
        float after = before + weight * uf[j] * gain;
        float back = -weight * uf[j] / before;
        for (size_t i = 0; i < j; i++) {
            float u = ud[i];
            ud[i] = u + back * cf[i];
            cf[i] += u * gain;
        }
        cf[j] = gain;
        ud[j] *= before / after;
        before = after;
        ud += j + 1;
    }
}

void nbt_ud_forget(float *ud, size_t n, size_t H, float prior_hidden, float prior, float forget)
{
    for (size_t j = 0; j < n; j++) {
        float start = j < H ? prior_hidden : prior;
        ud[j] /= forget + (1.0f - forget) * (ud[j] / start);
        ud += j + 1;
    }
}

int nbt_ud_is_finite(const float *ud, size_t n)
{
    int bad = 0;
    for (size_t i = 0; i < n * (n + 1) / 2; i++) {
        bad |= !nbt_is_finite(ud[i]);
    }
    return !bad;
}

void nbt_ud_expand(const float *ud, float *C, size_t n)
{
    for (size_t i = 0; i < n * n; i++) {
        C[i] = 0.0f;
    }
    for (size_t k = 0; k < n; k++) {
        for (size_t i = 0; i <= k; i++) {
            float left = (i == k ? 1.0f : ud[i]) * ud[k];
            for (size_t j = 0; j <= k; j++) {
                C[i * n + j] += left * (j == k ? 1.0f : ud[j]);
            }
        }
        ud += k + 1;
    }
}

/* Row i of the packed lower triangle. */
NBT_INLINE float *chol_row(float *chol, size_t i)
{
    return chol + i * (i + 1) / 2;
}

/* c F^T diag(scale) F, entry (i, j); for gaussian the readout scale makes it c on labelled outputs. */
static float readout_term(uint32_t link, size_t i, size_t j, const float *factor, const float *p,
                          float p_squared)
{
    if (link == NBT_LINK_CATEGORICAL) {
        return factor[i] * factor[j] * ((i == j ? 1.0f : 0.0f) - p[i] - p[j] + p_squared);
    }
    if (i != j || factor[i] == 0.0f) {
        return 0.0f;
    }
    return link == NBT_LINK_GAUSSIAN ? 1.0f : factor[i] * factor[i];
}

void nbt_innovation_solve(uint32_t link, float *x, float *chol, const float *f_alpha,
                          const float *factor, const float *p, float c, float q, size_t O)
{
    float p_squared = link == NBT_LINK_CATEGORICAL ? nbt_dot(p, p, O) : 0.0f;
    /* L L^T = I + c (...) + q f_alpha f_alpha^T, row by row, and L z = t on the way. */
    for (size_t i = 0; i < O; i++) {
        float *row = chol_row(chol, i);
        for (size_t j = 0; j <= i; j++) {
            float entry = c * readout_term(link, i, j, factor, p, p_squared) +
                          q * f_alpha[i] * f_alpha[j];
            const float *other = chol_row(chol, j);
            for (size_t k = 0; k < j; k++) {
                entry -= row[k] * other[k];
            }
            /* A pivot of I plus a non-negative matrix is at least 1; rounding must not hide it. */
            row[j] = i == j ? nbt_sqrt(1.0f + nbt_clamp(entry, 0.0f, entry)) : entry / other[j];
        }
        for (size_t k = 0; k < i; k++) {
            x[i] -= row[k] * x[k];
        }
        x[i] /= row[i];
    }
    for (size_t i = O; i-- > 0;) {
        x[i] /= chol_row(chol, i)[i];
        for (size_t k = 0; k < i; k++) {
            x[k] -= chol_row(chol, i)[k] * x[i];
        }
    }
}
