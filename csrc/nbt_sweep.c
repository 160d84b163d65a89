#include "nbt_sweep.h"

#include "nbt_block.h"
#include "nbt_kalman.h"
#include "nbt_math.h"
#include "nbt_quasi.h"
#include "nbt_rows.h"
#include "nbt_sums.h"

/* In the order of the sums of nbt_sweep: over the even columns, over the odd ones, then the
 * total. */
NBT_INLINE void block_forward(size_t width, size_t row, const nbt_matrices *m, float *a,
                              const float *u)
{
    const float *theta = m->theta + row * m->cols;
    float even[NBT_LANES] = {0}, odd[NBT_LANES] = {0};
    for (size_t j = 0; j < m->cols; j += 2, theta += 2 * width) {
        for (size_t lane = 0; lane < width; lane++) {
            even[lane] += theta[lane] * u[j];
        }
        for (size_t lane = 0; j + 1 < m->cols && lane < width; lane++) {
            odd[lane] += theta[width + lane] * u[j + 1];
        }
    }
    for (size_t lane = 0; lane < width; lane++) {
        a[row + lane] = even[lane] + odd[lane];
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

/* The columns of a block are processed in pairs: one whose variances have their turn
 * (nbt_kalman.h), and one whose variances have not. Even and odd columns of a row have separate
 * sums, which are added at the end. The sums of a pair thus do not depend on each other. */

/* Without lanes, the loop overhead is a large part of the cost of one pair. */
#if NBT_LANES == 1 && !defined(__OPTIMIZE_SIZE__)
#define SWEEP_UNROLLS 1
#else
#define SWEEP_UNROLLS 0
#endif

/* The inputs of a column; NULL if the pass does not need them. */
typedef struct sources {
    const float *u_before; /* of the change */
    const float *u;        /* of the sums */
    const float *u_squared;
    const float *tangent;
} sources;

NBT_INLINE const float *source_at(int has, const float *values, size_t j)
{
    return has ? values + j : NULL;
}

NBT_INLINE sources sources_at(nbt_pass pass, sources of, size_t j)
{
    sources there = {source_at(pass.changes, of.u_before, j), source_at(pass.looks, of.u, j),
                     source_at(pass.looks, of.u_squared, j),
                     source_at(pass.looks && pass.follows, of.tangent, j)};
    return there;
}

/* One column: the change, the sums, or both. Its parameters theta to cov are separate arguments,
 * since only then compilers assume that they do not overlap. */
NBT_INLINE void sweep_column(nbt_kind kind, nbt_pass pass, sources of, const nbt_lanes *lanes,
                             const nbt_update *update, nbt_block_sums *sums,
                             float *NBT_RESTRICT theta, float *NBT_RESTRICT w,
                             float *NBT_RESTRICT g, float *NBT_RESTRICT cov)
{
    float u_before = pass.changes ? *of.u_before : 0.0f;
    float u = pass.looks ? *of.u : 0.0f;
    /* Without lanes, a multiplication is cheaper than a load. */
    float u_squared = !pass.looks ? 0.0f : kind.width == 1 ? u * u : *of.u_squared;
    float tangent = pass.looks && pass.follows ? *of.tangent : 0.0f;
    for (size_t lane = 0; lane < kind.width; lane++) {
        nbt_entry entry = nbt_entry_load(lane, kind, theta, w, g, cov);
        if (pass.changes) {
            nbt_kalman_update(&entry, lanes, lane, kind, update, pass.turns, u_before);
            nbt_entry_store(&entry, lane, kind, theta, w, g, cov);
        }
        if (pass.looks) {
            nbt_sums_add(sums, lane, kind, &entry, u, u_squared, pass.follows, tangent);
        }
    }
}

/* Columns j to j + count of a block; j and count are even. sums: of the even columns, of the odd
 * ones. first: which of a pair has its turn. */
NBT_INLINE void sweep_pairs(nbt_kind kind, nbt_pass pass, size_t first, size_t j, size_t count,
                            sources of, const nbt_lanes *lanes, const nbt_update *update,
                            nbt_block_sums *sums, float *NBT_RESTRICT theta, float *NBT_RESTRICT w,
                            float *NBT_RESTRICT g, float *NBT_RESTRICT cov)
{
    size_t width = kind.width;
    nbt_pass even = pass, odd = pass;
    even.turns = pass.turns && first == 0;
    odd.turns = pass.turns && first == 1;
#define STEP(j)                        \
    of = sources_at(pass, of, j);      \
    theta += j * width;                \
    w = kind.w ? w + j * width : NULL; \
    g = kind.g ? g + j * width : NULL; \
    cov = kind.metric ? cov + j * width : NULL
#define PIN(has, pointer)         \
    if (SWEEP_UNROLLS && (has)) { \
        NBT_PIN(pointer);         \
    }
#define NEXT()                                 \
    STEP(1);                                   \
    PIN(pass.changes, of.u_before)             \
    PIN(pass.looks, of.u)                      \
    PIN(pass.looks &&pass.follows, of.tangent) \
    PIN(1, theta)                              \
    PIN(kind.w, w)                             \
    PIN(kind.g, g)                             \
    PIN(kind.metric, cov)
#define PAIR()                                                                   \
    do {                                                                         \
        sweep_column(kind, even, of, lanes, update, &sums[0], theta, w, g, cov); \
        NEXT()                                                                   \
        sweep_column(kind, odd, of, lanes, update, &sums[1], theta, w, g, cov);  \
        NEXT()                                                                   \
    } while (0)
    STEP(j);
#if SWEEP_UNROLLS
    for (size_t left = count / 4; left > 0; left--) {
        PAIR();
        PAIR();
    }
    if ((count & 2) != 0) {
        PAIR();
    }
#else
    for (; count >= 2; count -= 2) {
        PAIR();
    }
#endif
#undef PAIR
#undef NEXT
#undef PIN
#undef STEP
}

/* The last of an odd number of columns. The work of a turn is done in every step and discarded if
 * the column does not have its turn, so that every step costs the same. */
NBT_INLINE void sweep_last(nbt_kind kind, nbt_pass pass, size_t j, sources of,
                           const nbt_lanes *lanes, const nbt_update *update, nbt_block_sums *sums,
                           float *NBT_RESTRICT theta, float *NBT_RESTRICT w, float *NBT_RESTRICT g,
                           float *NBT_RESTRICT cov)
{
    for (size_t lane = 0; lane < kind.width; lane++) {
        size_t at = j * kind.width + lane;
        nbt_entry entry = nbt_entry_load(at, kind, theta, w, g, cov);
        if (pass.changes) {
            float p = entry.p;
            nbt_kalman_update(&entry, lanes, lane, kind, update, pass.turns, of.u_before[j]);
            entry.p = pass.turns ? nbt_select(update->first == 0, entry.p, p) : p;
            nbt_entry_store(&entry, at, kind, theta, w, g, cov);
        }
        if (pass.looks) {
            nbt_sums_add(sums, lane, kind, &entry, of.u[j], of.u[j] * of.u[j], 0, 0.0f);
        }
    }
}

/* All columns in pairs. */
NBT_INLINE void sweep_all(nbt_kind kind, nbt_pass pass, size_t first, size_t H, size_t cols,
                          sources of, const nbt_lanes *lanes, const nbt_update *update,
                          nbt_block_sums *sums, float *NBT_RESTRICT theta, float *NBT_RESTRICT w,
                          float *NBT_RESTRICT g, float *NBT_RESTRICT cov)
{
    size_t j = 0, paired = cols - cols % 2;
#define PAIRS(count) \
    sweep_pairs(kind, pass, first, j, count, of, lanes, update, sums, theta, w, g, cov)
    if (kind.w == NBT_W_SHARED && pass.looks) { /* the tangents belong to the columns of the units
                                                   only */
        pass.follows = 1;
        PAIRS(H - H % 2);
        pass.follows = 0;
        j = H - H % 2;
    }
    PAIRS(paired - j);
#undef PAIRS
    for (size_t lane = 0; pass.looks && kind.w == NBT_W_SHARED && H % 2 == 1 && lane < kind.width;
         lane++) {
        sums[0].da[lane] += theta[(H - 1) * kind.width + lane] * of.tangent[H - 1];
    }
    if (paired < cols) {
        sweep_last(kind, pass, paired, of, lanes, update, sums, theta, w, g, cov);
    }
}

/* The same with the smallest code: one column after the other, the even ones first. */
NBT_INLINE void sweep_each(nbt_kind kind, nbt_pass pass, size_t first, size_t H, size_t cols,
                           sources of, const nbt_lanes *lanes, const nbt_update *update,
                           nbt_block_sums *sums, float *NBT_RESTRICT theta, float *NBT_RESTRICT w,
                           float *NBT_RESTRICT g, float *NBT_RESTRICT cov)
{
    const float none = 0.0f;
    nbt_pass one = pass;
    one.follows = kind.w == NBT_W_SHARED && pass.looks;
    for (size_t parity = 0; parity < 2; parity++) {
        nbt_block_sums total = sums[parity];
        one.turns = pass.turns && parity == first;
        for (size_t j = parity; j < cols; j += 2) {
            size_t at = j * kind.width;
            sources there = sources_at(pass, of, j);
            there.tangent = one.follows && j < H ? of.tangent + j : &none;
            sweep_column(kind, one, there, lanes, update, &total, theta + at,
                         kind.w ? w + at : NULL, kind.g ? g + at : NULL,
                         kind.metric ? cov + at : NULL);
        }
        sums[parity] = total;
    }
}

/* change and look are NULL if the pass does not have them. */
NBT_INLINE void block_sweep(nbt_kind kind, nbt_pass pass, size_t row, size_t unit,
                            const nbt_matrices *m, const nbt_change *change, const nbt_look *look,
                            float *NBT_RESTRICT theta, float *NBT_RESTRICT w, float *NBT_RESTRICT g,
                            float *NBT_RESTRICT cov)
{
    nbt_lanes lanes;
    nbt_block_sums sums[2];
    nbt_update update = {0};
    size_t cols = m->cols, H = m->hidden;
    sources of = {NULL, NULL, NULL, NULL};
    if (pass.changes) {
        update = change->update;
        of.u_before = change->u;
    }
    nbt_lanes_gather(&lanes, kind, row, unit, H, change);
    if (pass.looks) {
        of.u = look->u;
        of.u_squared = look->u + cols;
        of.tangent = look->tangent;
    }
    pass.turns = pass.changes && kind.metric != NBT_METRIC_NONE;
    nbt_sums_start(&sums[0], kind, unit, H, look);
    nbt_sums_start(&sums[1], kind, unit, H, look);
    if (!pass.pairs) {
        sweep_each(kind, pass, update.first, H, cols, of, &lanes, &update, sums, theta, w, g, cov);
    } else if (!pass.turns || update.first == 0) {
        sweep_all(kind, pass, 0, H, cols, of, &lanes, &update, sums, theta, w, g, cov);
    } else {
        sweep_all(kind, pass, 1, H, cols, of, &lanes, &update, sums, theta, w, g, cov);
    }
    if (pass.looks) {
        nbt_sums_join(&sums[0], &sums[1], kind);
        nbt_sums_store(&sums[0], kind, row, unit, H, &look->out);
    }
}

/* Only the widest blocks are processed in pairs, with change and look in one loop. Without lanes,
 * change and look are separate loops, which are as fast: a row is still in the cache, if there is
 * one. */
NBT_INLINE void sweep_block(nbt_kind kind, size_t row, size_t unit, const nbt_matrices *m,
                            const nbt_change *change, const nbt_look *look)
{
    size_t at = row * m->cols;
    float *theta = m->theta + at, *w = kind.w ? m->w + at : NULL, *g = kind.g ? m->g + at : NULL;
    float *cov = kind.metric ? m->cov + at : NULL;
#define SWEEP(changes, looks, pairs)                                                               \
    block_sweep(kind, nbt_pass_of(changes, looks, pairs), row, unit, m, change, look, theta, w, g, \
                cov)
    if (NBT_LANES > 1 && kind.width == NBT_LANES && change != NULL && look != NULL) {
        SWEEP(1, 1, 1);
        return;
    }
    if (change != NULL) {
        SWEEP(1, 0, SWEEP_UNROLLS);
    }
    if (look != NULL) {
        SWEEP(0, 1, SWEEP_UNROLLS);
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
