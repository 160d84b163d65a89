#include "nbt_quasi.h"

#include "nbt_block.h"
#include "nbt_math.h"
#include "nbt_metric.h"
#include "nbt_sums.h"

/* The bias of the rows of a block, and what the other columns need of it. t = w + tilt g is the
 * direction of curvature_w. */
typedef struct bias {
    float w[NBT_LANES], g[NBT_LANES], t[NBT_LANES];
    float gain_t[NBT_LANES]; /* P_0' curvature_w t_0 */
    float gain_g[NBT_LANES]; /* P_0' curvature_g g_0 */
    float floor[NBT_LANES];  /* P_0' gamma delta */
    float kept[NBT_LANES];   /* (1 - gamma) / P_0 */
    float step[NBT_LANES];   /* db */
} bias;

NBT_INLINE void update_bias(bias *b, size_t width, int has_w, int has_g, size_t at,
                            const nbt_matrices *m, const nbt_update *k, const nbt_lanes *by)
{
    for (size_t l = 0; l < width; l++) {
        float p = m->cov[at + l];
        float g = has_g ? m->g[at + l] : 0.0f;
        b->w[l] = has_w ? nbt_lanes_move_w(by, l, has_g, m->w[at + l], g, 1.0f) : 0.0f;
        b->g[l] = has_g ? nbt_lanes_move_g(by, l, g, 1.0f) : 0.0f;
        if (has_w) {
            m->w[at + l] = b->w[l];
        }
        if (has_g) {
            m->g[at + l] = b->g[l];
        }
        b->t[l] = has_g ? b->w[l] + by->tilt[l] * b->g[l] : b->w[l];
        float square = by->curvature_w[l] * ((p * b->t[l]) * b->t[l]) +
                       by->curvature_g[l] * ((p * b->g[l]) * b->g[l]);
        float shrunk = nbt_metric_shrink(p, k->keep, square + k->rate_floor * p);
        b->gain_t[l] = by->curvature_w[l] * (shrunk * b->t[l]);
        b->gain_g[l] = by->curvature_g[l] * (shrunk * b->g[l]);
        b->floor[l] = k->rate_floor * shrunk;
        b->kept[l] = k->keep / p;
        b->step[l] = by->step_w[l] * (p * b->w[l]) + by->step_g[l] * (p * b->g[l]);
        m->cov[at + l] = shrunk;
    }
}

/* One parameter but a bias after the change of its step with u_j. */
NBT_INLINE void update_coupled(nbt_entry *at, bias *b, const nbt_lanes *by, size_t l, int has_w,
                               int has_g, const nbt_update *k, float u_j)
{
    float p = at->p;
    float c = at->c;
    at->w = has_w ? nbt_lanes_move_w(by, l, has_g, at->w, at->g, u_j) : 0.0f;
    at->g = has_g ? nbt_lanes_move_g(by, l, at->g, u_j) : 0.0f;
    float w = at->w - c * b->w[l];
    float g = at->g - c * b->g[l];
    float t = has_g ? w + by->tilt[l] * g : w;
    float step = by->step_w[l] * (p * w) + by->step_g[l] * (p * g);
    at->theta += step;
    b->step[l] -= c * step;
    float c_new = nbt_metric_bound(c + (b->gain_t[l] * t + b->gain_g[l] * g - b->floor[l] * c));
    float turn = c_new - c;
    t -= turn * b->t[l];
    g -= turn * b->g[l];
    float gained = by->curvature_w[l] * ((p * t) * t) + by->curvature_g[l] * ((p * g) * g) +
                   p * (k->rate_floor * (1.0f + c_new * c_new) + b->kept[l] * (turn * turn));
    at->c = c_new;
    at->p = nbt_metric_shrink(p, k->keep, gained);
}

NBT_INLINE nbt_entry load_entry(const nbt_matrices *m, int has_w, int has_g, size_t at)
{
    nbt_entry entry =
        nbt_entry_load(at, has_w, has_g, NBT_METRIC_QUASI, m->theta, m->w, m->g, m->cov);
    entry.c = m->coupling[at];
    return entry;
}

/* One column of a block but the bias: the change, the sums, or both. */
NBT_INLINE void quasi_column(size_t width, int has_w, int has_g, int changes, int looks, bias *b,
                             const nbt_lanes *by, const nbt_update *k, float u_before,
                             nbt_block_sums *sums, float u, float tangent,
                             float *NBT_RESTRICT theta, float *NBT_RESTRICT w,
                             float *NBT_RESTRICT g, float *NBT_RESTRICT cov,
                             float *NBT_RESTRICT coupling)
{
    for (size_t l = 0; l < width; l++) {
        nbt_entry at = nbt_entry_load(l, has_w, has_g, NBT_METRIC_QUASI, theta, w, g, cov);
        at.c = coupling[l];
        if (changes) {
            update_coupled(&at, b, by, l, has_w, has_g, k, u_before);
            nbt_entry_store(&at, l, has_w, has_g, NBT_METRIC_QUASI, theta, w, g, cov);
            coupling[l] = at.c;
        }
        if (looks) {
            nbt_sums_add(sums, l, has_w, has_g, NBT_METRIC_QUASI, &at, u, 0.0f, tangent);
        }
    }
}

/* As block_sweep of nbt_sweep.c, with the bias first where it changes and last where it is summed. */
NBT_INLINE void quasi_block(size_t width, int has_w, int has_g, int fused, size_t row, size_t unit,
                            const nbt_matrices *m, const nbt_change *change, const nbt_look *look)
{
    nbt_lanes by;
    nbt_block_sums sums;
    bias b = {{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}};
    nbt_update k = {0};
    size_t last = m->cols - 1, H = m->hidden, at = row * m->cols, at_bias = at + last * width;
    const float *u_before = NULL, *u = NULL, *tangent = NULL;
    nbt_lanes_gather(&by, width, has_w, has_g, row, unit, H, change);
    if (fused || change != NULL) {
        k = change->update;
        u_before = change->u;
        update_bias(&b, width, has_w, has_g, at_bias, m, &k, &by);
    }
    nbt_sums_start(&sums, width, has_w, has_g, NBT_METRIC_QUASI, unit, H, look);
    if (fused || look != NULL) {
        u = look->u;
        tangent = look->tangent;
        for (size_t l = 0; l < width; l++) {
            nbt_entry entry = load_entry(m, has_w, has_g, at_bias + l);
            nbt_sums_bias(&sums, l, has_w, has_g, entry.w, entry.g);
        }
    }
    for (size_t j = 0; j < last; j++, at += width) {
        float *theta = m->theta + at, *w = has_w ? m->w + at : NULL, *g = has_g ? m->g + at : NULL;
        float *cov = m->cov + at, *coupling = m->coupling + at;
        float tangent_j = has_w == NBT_W_SHARED && (fused || look != NULL) && j < H ? tangent[j] : 0.0f;
        if (fused) {
            quasi_column(width, has_w, has_g, 1, 1, &b, &by, &k, u_before[j], &sums, u[j],
                         tangent_j, theta, w, g, cov, coupling);
            continue;
        }
        if (change != NULL) {
            quasi_column(width, has_w, has_g, 1, 0, &b, &by, &k, u_before[j], &sums, 0.0f, 0.0f,
                         theta, w, g, cov, coupling);
        }
        if (look != NULL) {
            quasi_column(width, has_w, has_g, 0, 1, &b, &by, &k, 0.0f, &sums, u[j], tangent_j,
                         theta, w, g, cov, coupling);
        }
    }
    for (size_t l = 0; (fused || change != NULL) && l < width; l++) {
        m->theta[at_bias + l] += b.step[l];
    }
    if (fused || look != NULL) {
        for (size_t l = 0; l < width; l++) {
            nbt_entry entry = load_entry(m, has_w, has_g, at_bias + l);
            nbt_sums_add(&sums, l, has_w, has_g, NBT_METRIC_QUASI, &entry, look->u[last], 0.0f, 0.0f);
        }
        nbt_sums_store(&sums, width, has_w, has_g, row, unit, H, &look->out);
    }
}

#define BODY(width, row, unit)                                           \
    if (width == NBT_LANES && change != NULL && look != NULL) {          \
        quasi_block(width, has_w, has_g, 1, row, unit, m, change, look); \
    } else {                                                             \
        quasi_block(width, has_w, has_g, 0, row, unit, m, change, look); \
    }
#define DEFINE_SWEEP(name, has, traces, metric)                                    \
    static NBT_NOINLINE void name(const nbt_matrices *m, const nbt_change *change, \
                                  const nbt_look *look)                            \
    {                                                                              \
        enum { has_w = has, has_g = traces };                                      \
        NBT_FOR_EACH_BLOCK(m, BODY)                                                \
    }
NBT_FOR_EACH_FACTORS(DEFINE_SWEEP, sweep_quasi, NBT_METRIC_QUASI)
#undef DEFINE_SWEEP
#undef BODY

NBT_LOCAL void nbt_quasi_sweep(const nbt_matrices *m, const nbt_change *change, const nbt_look *look)
{
    NBT_CALL_FOR_FACTORS(sweep_quasi, m, change, look)
}
