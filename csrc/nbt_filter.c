#include "nbt_filter.h"

#include "nbt.h"
#include "nbt_build.h"
#include "nbt_math.h"

NBT_LOCAL void nbt_ud_init(float *ud, size_t n, size_t H, float prior_hidden, float prior)
{
    for (size_t j = 0; j < n; j++) {
        for (size_t i = 0; i < j; i++) {
            ud[i] = 0.0f;
        }
        ud[j] = j < H ? prior_hidden : prior;
        ud += j + 1;
    }
}

NBT_LOCAL float nbt_ud_project(const float *ud, float *uf, const float *f, size_t n)
{
    float variance = 0.0f;
    for (size_t j = 0; j < n; j++) {
        uf[j] = f[j] + nbt_dot(ud, f, j);
        variance += ud[j] * uf[j] * uf[j];
        ud += j + 1;
    }
    return variance;
}

NBT_LOCAL void nbt_ud_measure(float *ud, float *cf, const float *uf, float weight, size_t n)
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

NBT_LOCAL void nbt_ud_forget(float *ud, size_t n, size_t H, float prior_hidden, float prior,
                             float forget)
{
    for (size_t j = 0; j < n; j++) {
        float start = j < H ? prior_hidden : prior;
        ud[j] /= forget + (1.0f - forget) * (ud[j] / start);
        ud += j + 1;
    }
}

NBT_LOCAL int nbt_ud_is_finite(const float *ud, size_t n)
{
    int bad = 0;
    for (size_t i = 0; i < n * (n + 1) / 2; i++) {
        bad |= !nbt_is_finite(ud[i]);
    }
    return !bad;
}

NBT_LOCAL void nbt_ud_expand(const float *ud, float *C, size_t n)
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

/* Entry (i, j) of F^T diag(scale) F; for gaussian the scale makes it 1 on labelled outputs. */
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

NBT_LOCAL void nbt_innovation_start(uint32_t link, float *S, const float *factor, const float *p,
                                    float c, size_t O)
{
    link = nbt_built_link(link);
    float p_squared = link == NBT_LINK_CATEGORICAL ? nbt_dot(p, p, O) : 0.0f;
    for (size_t i = 0; i < O; i++) {
        for (size_t j = 0; j <= i; j++) {
            *S++ = (i == j ? 1.0f : 0.0f) + c * readout_term(link, i, j, factor, p, p_squared);
        }
    }
}

NBT_LOCAL void nbt_innovation_add(float *S, const float *a, const float *b, float aa, float ab,
                                  size_t O)
{
    for (size_t i = 0; i < O; i++) {
        float for_a = aa * a[i] + (b == NULL ? 0.0f : ab * b[i]);
        float for_b = b == NULL ? 0.0f : ab * a[i];
        for (size_t j = 0; j <= i; j++) {
            *S++ += for_a * a[j] + (b == NULL ? 0.0f : for_b * b[j]);
        }
    }
}

NBT_LOCAL void nbt_innovation_solve(float *S, float *x, size_t O)
{
    float *row = S;
    for (size_t i = 0; i < O; row += ++i) {
        const float *other = S;
        for (size_t j = 0; j <= i; other += ++j) {
            float entry = row[j];
            for (size_t k = 0; k < j; k++) {
                entry -= row[k] * other[k];
            }
            /* A pivot of I plus a non-negative matrix is at least 1; rounding must not hide it. */
            row[j] = i == j ? nbt_sqrt(entry < 1.0f ? 1.0f : entry) : entry / other[j];
        }
        for (size_t k = 0; k < i; k++) {
            x[i] -= row[k] * x[k];
        }
        x[i] /= row[i];
    }
    for (size_t i = O; i-- > 0;) {
        row -= i + 1;
        x[i] /= row[i];
        for (size_t k = 0; k < i; k++) {
            x[k] -= row[k] * x[i];
        }
    }
}
