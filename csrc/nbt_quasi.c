#include "nbt_quasi.h"

#include "nbt_block.h"
#include "nbt_math.h"
#include "nbt_metric.h"

/* The bias of the rows of a block, and what the other columns need of it. t = w + tilt g is the
 * direction of curvature_w. */
typedef struct bias {
    float w[16], g[16], t[16];
    float gain_t[16]; /* P_0' curvature_w t_0 */
    float gain_g[16]; /* P_0' curvature_g g_0 */
    float floor[16];  /* P_0' gamma delta */
    float kept[16];   /* (1 - gamma) / P_0 */
    float step[16];   /* db */
} bias;

/* The rows' own share of the motion and of the update. */
typedef struct rows {
    float w_scale[16], step_w[16], curvature_w[16];
    float u_scale[16], g_scale[16], g_keep[16], gain[16], step_g[16], tilt[16], curvature_g[16];
} rows;

NBT_INLINE void gather(rows *r, size_t width, int has_w, int has_g, size_t row,
                       const nbt_matrices *m, const nbt_motion *motion, const nbt_update *k)
{
    for (size_t l = 0; l < width; l++) {
        r->u_scale[l] = has_w && !has_g ? motion->u_scale[row + l] : 0.0f;
        r->gain[l] = has_g ? motion->gain[row + l] : 0.0f;
    }
    nbt_block_gather_w(r->w_scale, motion->w_scale, has_w, width, row, m->hidden);
    nbt_block_gather_w(r->step_w, k->step_w, has_w, width, row, m->hidden);
    nbt_block_gather_w(r->curvature_w, k->curvature_w, has_w, width, row, m->hidden);
    nbt_block_gather(r->g_scale, has_g ? motion->g_scale : NULL, width, row, m->hidden);
    nbt_block_gather(r->g_keep, has_g ? motion->g_keep : NULL, width, row, m->hidden);
    nbt_block_gather(r->step_g, has_g ? k->step_g : NULL, width, row, m->hidden);
    nbt_block_gather(r->tilt, has_g ? k->tilt : NULL, width, row, m->hidden);
    nbt_block_gather(r->curvature_g, has_g ? k->curvature_g : NULL, width, row, m->hidden);
}

/* w of lane l after its move with u_j (nbt_motion). */
NBT_INLINE float moved_w(int has_g, const rows *r, size_t l, float w, float g, float u_j)
{
    return r->w_scale[l] * w + (has_g ? r->g_scale[l] * g : r->u_scale[l] * u_j);
}

/* g of lane l after its move with u_j. */
NBT_INLINE float moved_g(const rows *r, size_t l, float g, float u_j)
{
    return r->g_keep[l] * g + r->gain[l] * u_j;
}

NBT_INLINE void update_bias(bias *b, size_t width, int has_w, int has_g, size_t at,
                            const nbt_matrices *m, const nbt_update *k, const rows *r)
{
    for (size_t l = 0; l < width; l++) {
        float p = m->cov[at + l];
        float g = has_g ? m->g[at + l] : 0.0f;
        b->w[l] = has_w ? moved_w(has_g, r, l, m->w[at + l], g, 1.0f) : 0.0f;
        b->g[l] = has_g ? moved_g(r, l, g, 1.0f) : 0.0f;
        if (has_w) {
            m->w[at + l] = b->w[l];
        }
        if (has_g) {
            m->g[at + l] = b->g[l];
        }
        b->t[l] = has_g ? b->w[l] + r->tilt[l] * b->g[l] : b->w[l];
        float square = r->curvature_w[l] * ((p * b->t[l]) * b->t[l]) +
                       r->curvature_g[l] * ((p * b->g[l]) * b->g[l]);
        float shrunk = nbt_metric_shrink(p, k->keep, square + k->rate_floor * p);
        b->gain_t[l] = r->curvature_w[l] * (shrunk * b->t[l]);
        b->gain_g[l] = r->curvature_g[l] * (shrunk * b->g[l]);
        b->floor[l] = k->rate_floor * shrunk;
        b->kept[l] = k->keep / p;
        b->step[l] = r->step_w[l] * (p * b->w[l]) + r->step_g[l] * (p * b->g[l]);
        m->cov[at + l] = shrunk;
    }
}

NBT_INLINE void quasi_block(size_t width, int has_w, int has_g, size_t row, const nbt_matrices *m,
                             const nbt_motion *motion, const nbt_update *update, const float *u)
{
    const nbt_update k = *update;
    size_t offset = row * m->cols;
    size_t at_bias = offset + (m->cols - 1) * width;
    rows r;
    bias b;
    gather(&r, width, has_w, has_g, row, m, motion, update);
    update_bias(&b, width, has_w, has_g, at_bias, m, &k, &r);
    for (size_t j = 0; j + 1 < m->cols; j++, offset += width) {
        float *NBT_RESTRICT theta = m->theta + offset;
        float *NBT_RESTRICT w_at = has_w ? m->w + offset : NULL;
        float *NBT_RESTRICT g_at = has_g ? m->g + offset : NULL;
        float *NBT_RESTRICT cov = m->cov + offset;
        float *NBT_RESTRICT coupling = m->coupling + offset;
        float u_j = u[j];
        for (size_t l = 0; l < width; l++) {
            float p = cov[l];
            float c = coupling[l];
            float g_old = has_g ? g_at[l] : 0.0f;
            float w = has_w ? moved_w(has_g, &r, l, w_at[l], g_old, u_j) : 0.0f;
            float g = has_g ? moved_g(&r, l, g_old, u_j) : 0.0f;
            if (has_w) {
                w_at[l] = w;
            }
            if (has_g) {
                g_at[l] = g;
            }
            w -= c * b.w[l];
            g -= c * b.g[l];
            float t = has_g ? w + r.tilt[l] * g : w;
            float step = r.step_w[l] * (p * w) + r.step_g[l] * (p * g);
            theta[l] += step;
            b.step[l] -= c * step;
            float c_new = nbt_metric_bound(
                c + (b.gain_t[l] * t + b.gain_g[l] * g - b.floor[l] * c));
            float turn = c_new - c;
            t -= turn * b.t[l];
            g -= turn * b.g[l];
            float gained = r.curvature_w[l] * ((p * t) * t) + r.curvature_g[l] * ((p * g) * g) +
                           p * (k.rate_floor * (1.0f + c_new * c_new) + b.kept[l] * (turn * turn));
            coupling[l] = c_new;
            cov[l] = nbt_metric_shrink(p, k.keep, gained);
        }
    }
    for (size_t l = 0; l < width; l++) {
        m->theta[at_bias + l] += b.step[l];
    }
}

NBT_INLINE void quasi_blocks(int has_w, int has_g, int metric, const nbt_matrices *m,
                           const nbt_motion *motion, const nbt_update *update, const float *u)
{
    (void)metric;
#define BODY(width, row) quasi_block(width, has_w, has_g, row, m, motion, update, u)
    NBT_FOR_EACH_BLOCK(m->rows, BODY)
#undef BODY
}

void nbt_quasi_update(const nbt_matrices *m, const nbt_motion *motion, const nbt_update *update,
                      const float *u)
{
    NBT_WITH_FACTORS(quasi_blocks, NBT_METRIC_QUASI, m, motion, update, u)
}
