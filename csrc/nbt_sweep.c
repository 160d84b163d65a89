#include "nbt_sweep.h"

#include "nbt_block.h"
#include "nbt_math.h"
#include "nbt_metric.h"
#include "nbt_quasi.h"
#include "nbt_sums.h"

NBT_LOCAL size_t nbt_block_index(size_t row, size_t col, size_t rows, size_t cols)
{
    /* The blocks of one width lie together. */
    size_t start = 0;
    size_t width = nbt_block_width(0, rows);
    while (row >= start + (rows - start) / width * width) {
        start += (rows - start) / width * width;
        width = nbt_block_width(start, rows);
    }
    size_t block = start + (row - start) / width * width;
    return block * cols + col * width + (row - block);
}

NBT_INLINE void block_forward(size_t width, size_t row, const nbt_matrices *m, float *a,
                              const float *u)
{
    const float *theta = m->theta + row * m->cols;
    float sum[NBT_LANES] = {0};
    for (size_t j = 0; j < m->cols; j++, theta += width) {
        for (size_t l = 0; l < width; l++) {
            sum[l] += theta[l] * u[j];
        }
    }
    for (size_t l = 0; l < width; l++) {
        a[row + l] = sum[l];
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
    for (size_t l = 0; l < width; l++) {
        out[row + l] = theta[(col < m->cols ? col : unit) * width + l];
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
            for (size_t l = 0; l < width; l++) {
                jt[unit + l] += own[l] * theta[l];
            }
            continue;
        }
        if (unit == 0 && 2 * H == width) {
            for (size_t l = 0; l < width / 2; l++) {
                jt[l] = jt[l] + own[l] * theta[l] + own[width / 2 + l] * theta[width / 2 + l];
            }
            continue;
        }
        for (size_t l = 0, k = unit; l < width; l++, k = k + 1 < H ? k + 1 : 0) {
            jt[k] += own[l] * theta[l];
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
        for (size_t l = 0; l < width; l++) {
            sum[l] += w[l] * w[l];
        }
    }
    for (size_t l = 0; l < width; l++) {
        total += sum[l];
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

/* One parameter after the change of its step with u_j. */
NBT_INLINE void update_entry(nbt_entry *at, const nbt_lanes *by, size_t l, int has_w, int has_g,
                             int metric, const nbt_update *k, float u_j)
{
    float p = metric ? at->p : 1.0f;
    float step = 0.0f;
    float curvature; /* times P; (P w) stays finite where w w would not */
    if (has_w) {
        at->w = nbt_lanes_move_w(by, l, has_g, at->w, at->g, u_j);
        step = by->step_w[l] * (p * at->w);
    }
    if (has_g) {
        at->g = nbt_lanes_move_g(by, l, at->g, u_j);
        float tilted = at->w + by->tilt[l] * at->g;
        step += by->step_g[l] * (p * at->g);
        curvature = by->curvature_g[l] * ((p * at->g) * at->g);
        curvature += has_w ? by->curvature_w[l] * ((p * tilted) * tilted) : 0.0f;
    } else {
        curvature = by->curvature_w[l] * ((p * at->w) * at->w);
    }
    at->theta += step;
    if (metric) {
        at->p = nbt_metric_shrink(p, k->keep, curvature + k->rate_floor * p);
    }
}

/* One column of a block: the change ... */
NBT_INLINE void change_column(size_t width, int has_w, int has_g, int metric, const nbt_lanes *by,
                              const nbt_update *k, float u_before, float *NBT_RESTRICT theta,
                              float *NBT_RESTRICT w, float *NBT_RESTRICT g, float *NBT_RESTRICT cov)
{
    for (size_t l = 0; l < width; l++) {
        nbt_entry at = nbt_entry_load(l, has_w, has_g, metric, theta, w, g, cov);
        update_entry(&at, by, l, has_w, has_g, metric, k, u_before);
        nbt_entry_store(&at, l, has_w, has_g, metric, theta, w, g, cov);
    }
}

/* ... and the sums. */
NBT_INLINE void look_column(size_t width, int has_w, int has_g, int metric, nbt_block_sums *sums,
                            float u, float u_squared, float tangent, const float *theta, const float *w,
                            const float *g, const float *cov)
{
    for (size_t l = 0; l < width; l++) {
        nbt_entry at = nbt_entry_load(l, has_w, has_g, metric, theta, w, g, cov);
        nbt_sums_add(sums, l, has_w, has_g, metric, &at, u, u_squared, tangent);
    }
}

/* Where both are to be done in one loop, the change is that many columns ahead of the sums: they need not
 * wait for its division, and all is still in the fastest cache. */
#define AHEAD 4

/* changes and looks: whether there is a change, a look, which are NULL otherwise. fused: both are there,
 * and known to be. theta to cov: the block's own parameters. As arguments, since only there compilers
 * believe that they do not overlap. */
NBT_INLINE void block_sweep(size_t width, int has_w, int has_g, int metric, int fused, int changes,
                            int looks, size_t row, size_t unit, const nbt_matrices *m,
                            const nbt_change *change, const nbt_look *look,
                            float *NBT_RESTRICT theta, float *NBT_RESTRICT w, float *NBT_RESTRICT g,
                            float *NBT_RESTRICT cov)
{
    nbt_lanes by;
    nbt_block_sums sums;
    nbt_update k = {0};
    size_t cols = m->cols, H = m->hidden;
    const float *u_before = NULL, *u = NULL, *u_squared = NULL, *tangent = NULL;
    if (changes) {
        k = change->update;
        u_before = change->u;
    }
    nbt_lanes_gather(&by, width, has_w, has_g, row, unit, H, change);
    if (looks) {
        u = look->u;
        u_squared = look->u + cols;
        tangent = look->tangent;
    }
    nbt_sums_start(&sums, width, has_w, has_g, metric, unit, H, look);
    size_t ahead = fused ? AHEAD : 0;
/* Without lanes a product is cheaper than another load. */
#define SQUARE(j) (width == 1 ? u[j] * u[j] : u_squared[j])
#define COLUMN(array, has, j) (has ? array + (j) * width : NULL)
#define CHANGE(j)                                                                             \
    change_column(width, has_w, has_g, metric, &by, &k, u_before[j], theta + (j) * width,     \
                  COLUMN(w, has_w, j), COLUMN(g, has_g, j), COLUMN(cov, metric, j))
#define LOOK(j, tangent_j)                                                                    \
    look_column(width, has_w, has_g, metric, &sums, u[j], SQUARE(j), tangent_j,               \
                theta + (j) * width, COLUMN(w, has_w, j), COLUMN(g, has_g, j), COLUMN(cov, metric, j))
    for (size_t j = 0; j < ahead && j < cols; j++) {
        CHANGE(j);
    }
    /* The tangent is that of the units; after them it stands still at 0. */
    const float none = 0.0f;
    int turns = has_w == NBT_W_SHARED && looks;
    const float *tangent_at = turns ? tangent : &none;
    size_t tangent_step = turns ? 1 : 0;
    for (size_t j = 0, end = turns ? H : cols; j < cols;
         end = cols, tangent_at = &none, tangent_step = 0) {
        for (; j < end; j++, tangent_at += tangent_step) {
            if (changes && (!fused || j + ahead < cols)) {
                CHANGE(j + ahead);
            }
            if (looks) {
                LOOK(j, *tangent_at);
            }
        }
    }
#undef SQUARE
#undef COLUMN
#undef CHANGE
#undef LOOK
    if (looks) {
        nbt_sums_store(&sums, width, has_w, has_g, row, unit, H, &look->out);
    }
}

/* Only the widest blocks have a loop of their own for change and look together; one that has to ask in
 * every column is smaller than three. Without lanes two small loops, one after the other, are as fast: a row
 * is still in the cache, if there is one. */
NBT_INLINE void sweep_block(size_t width, int has_w, int has_g, int metric, size_t row, size_t unit,
                            const nbt_matrices *m, const nbt_change *change, const nbt_look *look)
{
    size_t at = row * m->cols;
    float *theta = m->theta + at, *w = has_w ? m->w + at : NULL, *g = has_g ? m->g + at : NULL;
    float *cov = metric ? m->cov + at : NULL;
#define SWEEP(fused, changes, looks)                                                          \
    block_sweep(width, has_w, has_g, metric, fused, changes, looks, row, unit, m, change, look, \
                theta, w, g, cov)
    if (NBT_LANES > 1 && width == NBT_LANES && change != NULL && look != NULL) {
        SWEEP(1, 1, 1);
    } else if (NBT_LANES > 1) {
        SWEEP(0, change != NULL, look != NULL);
    } else {
        if (change != NULL) {
            SWEEP(0, 1, 0);
        }
        if (look != NULL) {
            SWEEP(0, 0, 1);
        }
    }
#undef SWEEP
}

#define BODY(width, row, unit) sweep_block(width, has_w, has_g, metric, row, unit, m, change, look)
#define DEFINE_SWEEP(name, has, traces, kind)                                                     \
    static NBT_NOINLINE void name(const nbt_matrices *m, const nbt_change *change,                \
                                  const nbt_look *look)                                           \
    {                                                                                             \
        enum { has_w = has, has_g = traces, metric = kind };                                      \
        NBT_FOR_EACH_BLOCK(m, BODY)                                                               \
    }
NBT_FOR_EACH_FACTORS(DEFINE_SWEEP, sweep_plain, NBT_METRIC_NONE)
NBT_FOR_EACH_FACTORS(DEFINE_SWEEP, sweep_diagonal, NBT_METRIC_DIAGONAL)
#undef DEFINE_SWEEP
#undef BODY

NBT_LOCAL void nbt_sweep(const nbt_matrices *m, const nbt_change *change, const nbt_look *look)
{
    for (size_t n = 0; look != NULL && nbt_has_w(m) && n < (nbt_is_by_unit(m) ? m->hidden : 1); n++) {
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
