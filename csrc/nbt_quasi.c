#include "nbt_quasi.h"

#include "nbt_block.h"
#include "nbt_kalman.h"
#include "nbt_math.h"
#include "nbt_sums.h"

/* The bias of the rows of a block, and the scalars that the other columns need. t = w + tilt g is
 * the direction of curvature_w. */
typedef struct bias {
    float w[NBT_LANES], g[NBT_LANES], t[NBT_LANES];
    float gain_t[NBT_LANES]; /* P_0' curvature_w t_0 */
    float gain_g[NBT_LANES]; /* P_0' curvature_g g_0 */
    float floor[NBT_LANES];  /* P_0' gamma delta */
    float kept[NBT_LANES];   /* (1 - gamma) / P_0 */
    float step[NBT_LANES];   /* db */
} bias;

NBT_INLINE void update_bias(bias *b, nbt_kind kind, size_t at, const nbt_matrices *m,
                            const nbt_update *update, const nbt_lanes *lanes)
{
    for (size_t lane = 0; lane < kind.width; lane++) {
        float p = m->cov[at + lane];
        float g = kind.g ? m->g[at + lane] : 0.0f;
        b->w[lane] = kind.w ? nbt_lanes_move_w(lanes, lane, kind, m->w[at + lane], g, 1.0f) : 0.0f;
        b->g[lane] = kind.g ? nbt_lanes_move_g(lanes, lane, g, 1.0f) : 0.0f;
        if (kind.w) {
            m->w[at + lane] = b->w[lane];
        }
        if (kind.g) {
            m->g[at + lane] = b->g[lane];
        }
        b->t[lane] = kind.g ? b->w[lane] + lanes->tilt[lane] * b->g[lane] : b->w[lane];
        float square = lanes->curvature_w[lane] * ((p * b->t[lane]) * b->t[lane]) +
                       lanes->curvature_g[lane] * ((p * b->g[lane]) * b->g[lane]);
        float shrunk = nbt_kalman_shrink(p, update->keep, square + update->rate_floor * p);
        b->gain_t[lane] = lanes->curvature_w[lane] * (shrunk * b->t[lane]);
        b->gain_g[lane] = lanes->curvature_g[lane] * (shrunk * b->g[lane]);
        b->floor[lane] = update->rate_floor * shrunk;
        b->kept[lane] = update->keep / p;
        b->step[lane] =
            lanes->step_w[lane] * (p * b->w[lane]) + lanes->step_g[lane] * (p * b->g[lane]);
        m->cov[at + lane] = shrunk;
    }
}

/* Updates one parameter other than a bias after the change of its step with u_j. */
NBT_INLINE void update_coupled(nbt_entry *at, bias *b, const nbt_lanes *lanes, size_t lane,
                               nbt_kind kind, const nbt_update *update, float u_j)
{
    float p = at->p;
    float c = at->c;
    at->w = kind.w ? nbt_lanes_move_w(lanes, lane, kind, at->w, at->g, u_j) : 0.0f;
    at->g = kind.g ? nbt_lanes_move_g(lanes, lane, at->g, u_j) : 0.0f;
    float w = at->w - c * b->w[lane];
    float g = at->g - c * b->g[lane];
    float t = kind.g ? w + lanes->tilt[lane] * g : w;
    float step = lanes->step_w[lane] * (p * w) + lanes->step_g[lane] * (p * g);
    at->theta += step;
    b->step[lane] -= c * step;
    float c_new =
        nbt_kalman_bound(c + (b->gain_t[lane] * t + b->gain_g[lane] * g - b->floor[lane] * c));
    float turn = c_new - c;
    t -= turn * b->t[lane];
    g -= turn * b->g[lane];
    float gained =
        lanes->curvature_w[lane] * ((p * t) * t) + lanes->curvature_g[lane] * ((p * g) * g) +
        p * (update->rate_floor * (1.0f + c_new * c_new) + b->kept[lane] * (turn * turn));
    at->c = c_new;
    at->p = nbt_kalman_shrink(p, update->keep, gained);
}

NBT_INLINE nbt_entry load_entry(const nbt_matrices *m, nbt_kind kind, size_t at)
{
    nbt_entry entry = nbt_entry_load(at, kind, m->theta, m->w, m->g, m->cov);
    entry.c = m->coupling[at];
    return entry;
}

/* The inputs of one column: u of the change, u and the tangent of the sums. */
typedef struct column {
    float u_before;
    float u;
    float tangent;
} column;

/* One column of a block other than the bias: the change, the sums, or both. The parameters theta to
 * coupling are separate arguments for the reason given at sweep_column in nbt_sweep.c. */
NBT_INLINE void quasi_column(nbt_kind kind, nbt_pass pass, column of, bias *b,
                             const nbt_lanes *lanes, const nbt_update *update, nbt_block_sums *sums,
                             float *NBT_RESTRICT theta, float *NBT_RESTRICT w,
                             float *NBT_RESTRICT g, float *NBT_RESTRICT cov,
                             float *NBT_RESTRICT coupling)
{
    for (size_t lane = 0; lane < kind.width; lane++) {
        nbt_entry at = nbt_entry_load(lane, kind, theta, w, g, cov);
        at.c = coupling[lane];
        if (pass.changes) {
            update_coupled(&at, b, lanes, lane, kind, update, of.u_before);
            nbt_entry_store(&at, lane, kind, theta, w, g, cov);
            coupling[lane] = at.c;
        }
        if (pass.looks) {
            nbt_sums_add(sums, lane, kind, &at, of.u, 0.0f, 1, of.tangent);
        }
    }
}

/* As block_sweep of nbt_sweep.c. The bias column is changed first and summed last. */
NBT_INLINE void quasi_block(nbt_kind kind, int fused, size_t row, size_t unit,
                            const nbt_matrices *m, const nbt_change *change, const nbt_look *look)
{
    nbt_lanes lanes;
    nbt_block_sums sums;
    bias b = {{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}};
    nbt_update update = {0};
    size_t last = m->cols - 1, H = m->hidden, at = row * m->cols, at_bias = at + last * kind.width;
    const float *u_before = NULL, *u = NULL, *tangent = NULL;
    nbt_lanes_gather(&lanes, kind, row, unit, H, change);
    if (fused || change != NULL) {
        update = change->update;
        u_before = change->u;
        update_bias(&b, kind, at_bias, m, &update, &lanes);
    }
    nbt_sums_start(&sums, kind, unit, H, look);
    if (fused || look != NULL) {
        u = look->u;
        tangent = look->tangent;
        for (size_t lane = 0; lane < kind.width; lane++) {
            nbt_entry entry = load_entry(m, kind, at_bias + lane);
            nbt_sums_bias(&sums, lane, kind, entry.w, entry.g);
        }
    }
    for (size_t j = 0; j < last; j++, at += kind.width) {
        float *theta = m->theta + at, *w = kind.w ? m->w + at : NULL,
              *g = kind.g ? m->g + at : NULL;
        float *cov = m->cov + at, *coupling = m->coupling + at;
        column of = {0.0f, 0.0f, 0.0f};
        if (fused || change != NULL) {
            of.u_before = u_before[j];
        }
        if (fused || look != NULL) {
            of.u = u[j];
            of.tangent = kind.w == NBT_W_SHARED && j < H ? tangent[j] : 0.0f;
        }
        if (fused) {
            quasi_column(kind, nbt_pass_of(1, 1, 0), of, &b, &lanes, &update, &sums, theta, w, g,
                         cov, coupling);
            continue;
        }
        if (change != NULL) {
            quasi_column(kind, nbt_pass_of(1, 0, 0), of, &b, &lanes, &update, &sums, theta, w, g,
                         cov, coupling);
        }
        if (look != NULL) {
            quasi_column(kind, nbt_pass_of(0, 1, 0), of, &b, &lanes, &update, &sums, theta, w, g,
                         cov, coupling);
        }
    }
    for (size_t lane = 0; (fused || change != NULL) && lane < kind.width; lane++) {
        m->theta[at_bias + lane] += b.step[lane];
    }
    if (fused || look != NULL) {
        for (size_t lane = 0; lane < kind.width; lane++) {
            nbt_entry entry = load_entry(m, kind, at_bias + lane);
            nbt_sums_add(&sums, lane, kind, &entry, look->u[last], 0.0f, 0, 0.0f);
        }
        nbt_sums_store(&sums, kind, row, unit, H, &look->out);
    }
}

#define QUASI(width, fused)                                                                      \
    quasi_block(nbt_kind_of(width, has_w, has_g, NBT_METRIC_QUASI), fused, row, unit, m, change, \
                look)
#define BODY(width, row, unit)                                  \
    if (width == NBT_LANES && change != NULL && look != NULL) { \
        QUASI(width, 1);                                        \
    } else {                                                    \
        QUASI(width, 0);                                        \
    }
#define DEFINE_SWEEP(name, w, g, metric)                                           \
    static NBT_NOINLINE void name(const nbt_matrices *m, const nbt_change *change, \
                                  const nbt_look *look)                            \
    {                                                                              \
        enum { has_w = w, has_g = g };                                             \
        NBT_FOR_EACH_BLOCK(m, BODY)                                                \
    }
NBT_FOR_EACH_FACTORS(DEFINE_SWEEP, sweep_quasi, NBT_METRIC_QUASI)
#undef DEFINE_SWEEP
#undef BODY
#undef QUASI

NBT_LOCAL void nbt_quasi_sweep(const nbt_matrices *m, const nbt_change *change,
                               const nbt_look *look)
{
    NBT_CALL_FOR_FACTORS(sweep_quasi, m, change, look)
}
