/* The row sums of one block, added up column by column while a pass goes over it (nbt_sums of
 * nbt_sweep.h says what they are). */
#ifndef NBT_SUMS_H
#define NBT_SUMS_H

#include "nbt_block.h"

/* Parameters of one lane and column as the sums see them. */
typedef struct nbt_entry {
    float theta, w, g, p, c;
} nbt_entry;

/* The one at `at`, without c; what the learner does not have is 0, and P is 1. */
NBT_INLINE nbt_entry nbt_entry_load(size_t at, int has_w, int has_g, int metric, const float *theta,
                                    const float *w, const float *g, const float *cov)
{
    nbt_entry entry = {theta[at], has_w ? w[at] : 0.0f, has_g ? g[at] : 0.0f,
                       metric ? cov[at] : 1.0f, 0.0f};
    return entry;
}

/* Puts back what the learner has, but for c. */
NBT_INLINE void nbt_entry_store(const nbt_entry *entry, size_t at, int has_w, int has_g, int metric,
                                float *theta, float *w, float *g, float *cov)
{
    theta[at] = entry->theta;
    if (has_w) {
        w[at] = entry->w;
    }
    if (has_g) {
        g[at] = entry->g;
    }
    if (metric) {
        cov[at] = entry->p;
    }
}

typedef struct nbt_block_sums {
    float a[NBT_LANES], da[NBT_LANES], uu[NBT_LANES], ww[NBT_LANES];
    float wu[NBT_LANES], gg[NBT_LANES], gu[NBT_LANES], wg[NBT_LANES];
    float w_scale, g_scale[NBT_LANES];     /* residual: the move before the sums */
    float w_bias[NBT_LANES], g_bias[NBT_LANES];   /* quasi-diagonal metric: the bias column, moved */
} nbt_block_sums;

/* residual: its sums are those of w_scale w + g_scale g. */
NBT_INLINE int nbt_sums_move(int has_w, int has_g)
{
    return has_w == NBT_W_SHARED && has_g;
}

/* look may be NULL: then there will be no sums. */
NBT_INLINE void nbt_sums_start(nbt_block_sums *s, size_t width, int has_w, int has_g, int metric,
                               size_t unit, size_t H, const nbt_look *look)
{
    nbt_fill(s->a, 0.0f, width);
    nbt_fill(s->uu, 0.0f, width);
    if (has_w) {
        nbt_fill(s->da, 0.0f, width);
        nbt_fill(s->ww, 0.0f, width);
        nbt_fill(s->wu, 0.0f, width);
    }
    if (has_g) {
        nbt_fill(s->gg, 0.0f, width);
        nbt_fill(s->gu, 0.0f, width);
    }
    if (has_w && has_g) {
        nbt_fill(s->wg, 0.0f, width);
    }
    if (metric == NBT_METRIC_QUASI) {
        nbt_fill(s->w_bias, 0.0f, width);
        nbt_fill(s->g_bias, 0.0f, width);
    }
    int moves = look != NULL && nbt_sums_move(has_w, has_g);
    s->w_scale = moves ? look->w_scale[0] : 1.0f;
    nbt_block_gather(s->g_scale, moves ? look->g_scale : NULL, width, unit, H);
}

/* w of lane l with the move that its sums want. */
NBT_INLINE float nbt_sums_w(const nbt_block_sums *s, size_t l, int has_w, int has_g, float w, float g)
{
    return nbt_sums_move(has_w, has_g) ? s->w_scale * w + s->g_scale[l] * g : w;
}

/* Says what w and g of the bias column are. */
NBT_INLINE void nbt_sums_bias(nbt_block_sums *s, size_t l, int has_w, int has_g, float w, float g)
{
    s->w_bias[l] = nbt_sums_w(s, l, has_w, has_g, w, g);
    s->g_bias[l] = g;
}

/* One column; under the quasi-diagonal metric x~ = x - c x_bias takes the place of x. */
NBT_INLINE void nbt_sums_add(nbt_block_sums *s, size_t l, int has_w, int has_g, int metric,
                             const nbt_entry *at, float u_j, float u_squared, float tangent_j)
{
    float p = metric ? at->p : 1.0f;
    int quasi = metric == NBT_METRIC_QUASI;
    float u_own = quasi ? u_j - at->c : u_j;
    float g_own = quasi ? at->g - at->c * s->g_bias[l] : at->g;
    s->a[l] += at->theta * u_j;
    s->uu[l] += quasi ? (p * u_own) * u_own : p * u_squared;
    if (has_w) {
        float w = nbt_sums_w(s, l, has_w, has_g, at->w, at->g);
        float w_own = quasi ? w - at->c * s->w_bias[l] : w;
        s->ww[l] += (p * w_own) * w_own;
        s->wu[l] += (p * w_own) * u_own;
        if (has_g) {
            s->wg[l] += (p * w_own) * g_own;
        }
        if (has_w == NBT_W_SHARED) {
            s->da[l] += at->theta * tangent_j;
        }
    }
    if (has_g) {
        s->gg[l] += (p * g_own) * g_own;
        s->gu[l] += (p * g_own) * u_own;
    }
}

NBT_INLINE void nbt_sums_store(const nbt_block_sums *s, size_t width, int has_w, int has_g,
                               size_t row, size_t unit, size_t H, const nbt_sums *out)
{
    for (size_t l = 0; l < width; l++) {
        out->a[row + l] = s->a[l];
        out->uu[row + l] = s->uu[l];
        if (has_w) {
            out->wu[row + l] = s->wu[l];
        }
        if (has_w == NBT_W_SHARED) {
            out->da[row + l] = s->da[l];
        }
        if (has_g) {
            out->gg[row + l] = s->gg[l];
            out->gu[row + l] = s->gu[l];
        }
        if (has_w && has_g) {
            out->wg[row + l] = s->wg[l];
        }
    }
    for (size_t l = 0; l < width && has_w; l++) { /* in the order of the rows */
        out->ww[has_w == NBT_W_BY_UNIT ? unit : 0] += s->ww[l];
        unit = unit + 1 < H ? unit + 1 : 0;
    }
}

#endif
