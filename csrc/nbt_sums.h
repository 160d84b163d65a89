/* The row sums of one block, accumulated column by column during a pass (defined at nbt_sums in
 * nbt_matrices.h). */
#ifndef NBT_SUMS_H
#define NBT_SUMS_H

#include "nbt_block.h"

typedef struct nbt_block_sums {
    float a[NBT_LANES], da[NBT_LANES], uu[NBT_LANES], ww[NBT_LANES];
    float wu[NBT_LANES], gg[NBT_LANES], gu[NBT_LANES], wg[NBT_LANES];
    float w_scale, g_scale[NBT_LANES];          /* residual: the motion of w before the sums */
    float w_bias[NBT_LANES], g_bias[NBT_LANES]; /* quasi-diagonal metric: the bias column after its
                                                   motion */
} nbt_block_sums;

/* Whether the sums are those of w_scale w + g_scale g (residual). */
NBT_INLINE int nbt_sums_move(nbt_kind kind)
{
    return kind.w == NBT_W_SHARED && kind.g;
}

/* Clears the sums. look may be NULL if the pass has no look. */
NBT_INLINE void nbt_sums_start(nbt_block_sums *sums, nbt_kind kind, size_t unit, size_t H,
                               const nbt_look *look)
{
    nbt_fill(sums->a, 0.0f, kind.width);
    nbt_fill(sums->uu, 0.0f, kind.width);
    if (kind.w) {
        nbt_fill(sums->da, 0.0f, kind.width);
        nbt_fill(sums->ww, 0.0f, kind.width);
        nbt_fill(sums->wu, 0.0f, kind.width);
    }
    if (kind.g) {
        nbt_fill(sums->gg, 0.0f, kind.width);
        nbt_fill(sums->gu, 0.0f, kind.width);
    }
    if (kind.w && kind.g) {
        nbt_fill(sums->wg, 0.0f, kind.width);
    }
    if (kind.metric == NBT_METRIC_QUASI) {
        nbt_fill(sums->w_bias, 0.0f, kind.width);
        nbt_fill(sums->g_bias, 0.0f, kind.width);
    }
    int moves = look != NULL && nbt_sums_move(kind);
    sums->w_scale = moves ? look->w_scale[0] : 1.0f;
    nbt_block_gather(sums->g_scale, moves ? look->g_scale : NULL, kind.width, unit, H);
}

/* w of a lane as its sums need it. */
NBT_INLINE float nbt_sums_w(const nbt_block_sums *sums, size_t lane, nbt_kind kind, float w,
                            float g)
{
    return nbt_sums_move(kind) ? sums->w_scale * w + sums->g_scale[lane] * g : w;
}

/* Sets w and g of the bias column. */
NBT_INLINE void nbt_sums_bias(nbt_block_sums *sums, size_t lane, nbt_kind kind, float w, float g)
{
    sums->w_bias[lane] = nbt_sums_w(sums, lane, kind, w, g);
    sums->g_bias[lane] = g;
}

/* Adds one column. Under the quasi-diagonal metric x~ = x - c x_bias replaces x. follows: the look
 * has a tangent. */
NBT_INLINE void nbt_sums_add(nbt_block_sums *sums, size_t lane, nbt_kind kind, const nbt_entry *at,
                             float u_j, float u_squared, int follows, float tangent_j)
{
    float p = kind.metric ? at->p : 1.0f;
    int quasi = kind.metric == NBT_METRIC_QUASI;
    float u_own = quasi ? u_j - at->c : u_j;
    float g_own = quasi ? at->g - at->c * sums->g_bias[lane] : at->g;
    sums->a[lane] += at->theta * u_j;
    sums->uu[lane] += quasi ? (p * u_own) * u_own : p * u_squared;
    if (kind.w) {
        float w = nbt_sums_w(sums, lane, kind, at->w, at->g);
        float w_own = quasi ? w - at->c * sums->w_bias[lane] : w;
        sums->ww[lane] += (p * w_own) * w_own;
        sums->wu[lane] += (p * w_own) * u_own;
        if (kind.g) {
            sums->wg[lane] += (p * w_own) * g_own;
        }
        if (kind.w == NBT_W_SHARED && follows) {
            sums->da[lane] += at->theta * tangent_j;
        }
    }
    if (kind.g) {
        sums->gg[lane] += (p * g_own) * g_own;
        sums->gu[lane] += (p * g_own) * u_own;
    }
}

/* Adds the sums of other columns. */
NBT_INLINE void nbt_sums_join(nbt_block_sums *sums, const nbt_block_sums *others, nbt_kind kind)
{
    for (size_t lane = 0; lane < kind.width; lane++) {
        sums->a[lane] += others->a[lane];
        sums->uu[lane] += others->uu[lane];
        if (kind.w) {
            sums->ww[lane] += others->ww[lane];
            sums->wu[lane] += others->wu[lane];
        }
        if (kind.w == NBT_W_SHARED) {
            sums->da[lane] += others->da[lane];
        }
        if (kind.g) {
            sums->gg[lane] += others->gg[lane];
            sums->gu[lane] += others->gu[lane];
        }
        if (kind.w && kind.g) {
            sums->wg[lane] += others->wg[lane];
        }
    }
}

NBT_INLINE void nbt_sums_store(const nbt_block_sums *sums, nbt_kind kind, size_t row, size_t unit,
                               size_t H, const nbt_sums *out)
{
    for (size_t lane = 0; lane < kind.width; lane++) {
        out->a[row + lane] = sums->a[lane];
        out->uu[row + lane] = sums->uu[lane];
        if (kind.w) {
            out->wu[row + lane] = sums->wu[lane];
        }
        if (kind.w == NBT_W_SHARED) {
            out->da[row + lane] = sums->da[lane];
        }
        if (kind.g) {
            out->gg[row + lane] = sums->gg[lane];
            out->gu[row + lane] = sums->gu[lane];
        }
        if (kind.w && kind.g) {
            out->wg[row + lane] = sums->wg[lane];
        }
    }
    for (size_t lane = 0; lane < kind.width && kind.w; lane++) { /* in the order of the rows */
        out->ww[kind.w == NBT_W_BY_UNIT ? unit : 0] += sums->ww[lane];
        unit = unit + 1 < H ? unit + 1 : 0;
    }
}

#endif
