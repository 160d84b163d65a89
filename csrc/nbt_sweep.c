#include "nbt_sweep.h"

#include "nbt_block.h"
#include "nbt_kalman.h"
#include "nbt_math.h"
#include "nbt_quasi.h"
#include "nbt_sums.h"

NBT_INLINE void block_forward(size_t width, size_t row, const nbt_matrices *m, float *a,
                              const float *u)
{
    const float *theta = m->theta + row * m->cols;
    float sum[NBT_LANES] = {0};
    for (size_t j = 0; j < m->cols; j++, theta += width) {
        for (size_t lane = 0; lane < width; lane++) {
            sum[lane] += theta[lane] * u[j];
        }
    }
    for (size_t lane = 0; lane < width; lane++) {
        a[row + lane] = sum[lane];
    }
}

NBT_LOCAL void nbt_sweep_forward(const nbt_matrices *m, float *a, const float *u)
{
#define BODY(width, row, unit) block_forward(width, row, m, a, u)
    NBT_FOR_EACH_BLOCK(m, BODY)
#undef BODY
}

NBT_INLINE void block_column(size_t width, size_t row, size_t unit, const nbt_matrices *m,
                             float *out, size_t col)
{
    const float *theta = m->theta + row * m->cols;
    for (size_t lane = 0; lane < width; lane++) {
        out[row + lane] = theta[(col < m->cols ? col : unit) * width + lane];
        unit = unit + 1 < m->hidden ? unit + 1 : 0;
    }
}

NBT_LOCAL void nbt_sweep_column(const nbt_matrices *m, float *out, size_t col)
{
#define BODY(width, row, unit) block_column(width, row, unit, m, out, col)
    NBT_FOR_EACH_BLOCK(m, BODY)
#undef BODY
}

NBT_INLINE void block_jacobian(size_t width, size_t row, size_t unit, const nbt_matrices *m,
                               float *NBT_RESTRICT jt, const float *gain)
{
    size_t H = m->hidden;
    const float *theta = m->theta + row * m->cols;
    float own[NBT_LANES];
    nbt_copy(own, gain + row, width);
    for (size_t col = 0; col < H; col++, theta += width, jt += H) {
        if (unit + width <= H) {
            for (size_t lane = 0; lane < width; lane++) {
                jt[unit + lane] += own[lane] * theta[lane];
            }
            continue;
        }
        if (unit == 0 && 2 * H == width) {
            for (size_t lane = 0; lane < width / 2; lane++) {
                jt[lane] = jt[lane] + own[lane] * theta[lane] +
                           own[width / 2 + lane] * theta[width / 2 + lane];
            }
            continue;
        }
        for (size_t lane = 0, k = unit; lane < width; lane++, k = k + 1 < H ? k + 1 : 0) {
            jt[k] += own[lane] * theta[lane];
        }
    }
}

NBT_LOCAL void nbt_sweep_jacobian(const nbt_matrices *m, float *jt, const float *gain)
{
#define BODY(width, row, unit) block_jacobian(width, row, unit, m, jt, gain)
    NBT_FOR_EACH_BLOCK(m, BODY)
#undef BODY
}

NBT_INLINE float block_square(size_t width, size_t row, const nbt_matrices *m, float total)
{
    const float *w = m->w + row * m->cols;
    float sum[NBT_LANES] = {0};
    for (size_t j = 0; j < m->cols; j++, w += width) {
        for (size_t lane = 0; lane < width; lane++) {
            sum[lane] += w[lane] * w[lane];
        }
    }
    for (size_t lane = 0; lane < width; lane++) {
        total += sum[lane];
    }
    return total;
}

NBT_LOCAL float nbt_sweep_square(const nbt_matrices *m)
{
    float total = 0.0f;
#define BODY(width, row, unit) total = block_square(width, row, m, total)
    NBT_FOR_EACH_BLOCK(m, BODY)
#undef BODY
    return total;
}

/* ---- change and sums ------------------------------------------------------------------------- */

/* One column of a block: the change ... */
NBT_INLINE void change_column(nbt_kind kind, const nbt_lanes *lanes, const nbt_update *update,
                              int has_turn, float u_before, float *NBT_RESTRICT theta,
                              float *NBT_RESTRICT w, float *NBT_RESTRICT g, float *NBT_RESTRICT cov)
{
    for (size_t lane = 0; lane < kind.width; lane++) {
        nbt_entry at = nbt_entry_load(lane, kind, theta, w, g, cov);
        nbt_kalman_update(&at, lanes, lane, kind, update, has_turn, u_before);
        nbt_entry_store(&at, lane, kind, theta, w, g, cov);
    }
}

/* ... and the sums. Many arguments, since all are of the column or are its matrices. */
NBT_INLINE void look_column(nbt_kind kind, nbt_block_sums *sums, float u, float u_squared,
                            float tangent, const float *theta, const float *w, const float *g,
                            const float *cov)
{
    for (size_t lane = 0; lane < kind.width; lane++) {
        nbt_entry at = nbt_entry_load(lane, kind, theta, w, g, cov);
        nbt_sums_add(sums, lane, kind, &at, u, u_squared, tangent);
    }
}

/* Where both are to be done in one loop, the change is that many columns ahead of the sums: they
 * need not wait for its division, and all is still in the fastest cache. */
#define AHEAD 4

/* change and look are NULL unless the pass has them. theta to cov: the block's own parameters. As
 * arguments, since only there compilers believe that they do not overlap. */
NBT_INLINE void block_sweep(nbt_kind kind, nbt_pass pass, size_t row, size_t unit,
                            const nbt_matrices *m, const nbt_change *change, const nbt_look *look,
                            float *NBT_RESTRICT theta, float *NBT_RESTRICT w, float *NBT_RESTRICT g,
                            float *NBT_RESTRICT cov)
{
    nbt_lanes lanes;
    nbt_block_sums sums;
    nbt_update update = {0};
    size_t cols = m->cols, H = m->hidden;
    const float *u_before = NULL, *u = NULL, *u_squared = NULL, *tangent = NULL;
    if (pass.changes) {
        update = change->update;
        u_before = change->u;
    }
    nbt_lanes_gather(&lanes, kind, row, unit, H, change);
    if (pass.looks) {
        u = look->u;
        u_squared = look->u + cols;
        tangent = look->tangent;
    }
    nbt_sums_start(&sums, kind, unit, H, look);
    size_t ahead = pass.fused ? AHEAD : 0;
/* Without lanes a product is cheaper than another load. */
#define SQUARE(j) (kind.width == 1 ? u[j] * u[j] : u_squared[j])
#define COLUMN(array, has, j) (has ? array + (j) * kind.width : NULL)
#define CHANGE(j)                                                                       \
    change_column(kind, &lanes, &update, nbt_kalman_has_turn(&update, j), u_before[j],  \
                  theta + (j) * kind.width, COLUMN(w, kind.w, j), COLUMN(g, kind.g, j), \
                  COLUMN(cov, kind.metric, j))
#define LOOK(j, tangent_j)                                                         \
    look_column(kind, &sums, u[j], SQUARE(j), tangent_j, theta + (j) * kind.width, \
                COLUMN(w, kind.w, j), COLUMN(g, kind.g, j), COLUMN(cov, kind.metric, j))
    for (size_t j = 0; j < ahead && j < cols; j++) {
        CHANGE(j);
    }
    /* The tangent is that of the units; after them it stands still at 0. */
    const float none = 0.0f;
    int turns = kind.w == NBT_W_SHARED && pass.looks;
    const float *tangent_at = turns ? tangent : &none;
    size_t tangent_step = turns ? 1 : 0;
    for (size_t j = 0, end = turns ? H : cols; j < cols;
         end = cols, tangent_at = &none, tangent_step = 0) {
        for (; j < end; j++, tangent_at += tangent_step) {
            if (pass.changes && (!pass.fused || j + ahead < cols)) {
                CHANGE(j + ahead);
            }
            if (pass.looks) {
                LOOK(j, *tangent_at);
            }
        }
    }
#undef SQUARE
#undef COLUMN
#undef CHANGE
#undef LOOK
    if (pass.looks) {
        nbt_sums_store(&sums, kind, row, unit, H, &look->out);
    }
}

/* Only the widest blocks have a loop of their own for change and look together; one that has to ask
 * in every column is smaller than three. Without lanes two small loops, one after the other, are as
 * fast: a row is still in the cache, if there is one. */
NBT_INLINE void sweep_block(nbt_kind kind, size_t row, size_t unit, const nbt_matrices *m,
                            const nbt_change *change, const nbt_look *look)
{
    size_t at = row * m->cols;
    float *theta = m->theta + at, *w = kind.w ? m->w + at : NULL, *g = kind.g ? m->g + at : NULL;
    float *cov = kind.metric ? m->cov + at : NULL;
#define SWEEP(changes, looks, fused)                                                               \
    block_sweep(kind, nbt_pass_of(changes, looks, fused), row, unit, m, change, look, theta, w, g, \
                cov)
    if (NBT_LANES > 1 && kind.width == NBT_LANES && change != NULL && look != NULL) {
        SWEEP(1, 1, 1);
    } else if (NBT_LANES > 1) {
        SWEEP(change != NULL, look != NULL, 0);
    } else {
        if (change != NULL) {
            SWEEP(1, 0, 0);
        }
        if (look != NULL) {
            SWEEP(0, 1, 0);
        }
    }
#undef SWEEP
}

#define BODY(width, row, unit) \
    sweep_block(nbt_kind_of(width, has_w, has_g, has_metric), row, unit, m, change, look)
#define DEFINE_SWEEP(name, w, g, metric)                                           \
    static NBT_NOINLINE void name(const nbt_matrices *m, const nbt_change *change, \
                                  const nbt_look *look)                            \
    {                                                                              \
        enum { has_w = w, has_g = g, has_metric = metric };                        \
        NBT_FOR_EACH_BLOCK(m, BODY)                                                \
    }
NBT_FOR_EACH_FACTORS(DEFINE_SWEEP, sweep_plain, NBT_METRIC_NONE)
NBT_FOR_EACH_FACTORS(DEFINE_SWEEP, sweep_diagonal, NBT_METRIC_DIAGONAL)
#undef DEFINE_SWEEP
#undef BODY

NBT_LOCAL void nbt_sweep(const nbt_matrices *m, const nbt_change *change, const nbt_look *look)
{
    for (size_t n = 0; look != NULL && nbt_has_w(m) && n < (nbt_is_by_unit(m) ? m->hidden : 1);
         n++) {
        look->out.ww[n] = 0.0f;
    }
    if (!nbt_has_cov(m)) {
        NBT_CALL_FOR_FACTORS(sweep_plain, m, change, look)
    } else if (!nbt_has_coupling(m)) {
        NBT_CALL_FOR_FACTORS(sweep_diagonal, m, change, look)
    } else {
        nbt_quasi_sweep(m, change, look);
    }
}
