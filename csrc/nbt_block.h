/* Helpers shared by all passes over the blocks of rows (nbt_matrices.h). A lane is the place of one
 * row in its block, and one element of a vector unit. */
#ifndef NBT_BLOCK_H
#define NBT_BLOCK_H

#include "nbt_math.h"
#include "nbt_matrices.h"

/* The unit of the row that is n rows after a row of `unit`. */
NBT_INLINE size_t nbt_block_unit(size_t unit, size_t n, size_t H)
{
    unit += n;
    while (unit >= H) {
        unit -= H;
    }
    return unit;
}

/* Runs body(width, first row, its unit) over all blocks with the width as a compile-time
 * constant. */
#define NBT_FOR_EACH_BLOCK(m, body)                                       \
    for (size_t row = 0, unit = 0, width = 0; row < (m)->rows;            \
         row += width, unit = nbt_block_unit(unit, width, (m)->hidden)) { \
        width = nbt_block_width(row, (m)->rows);                          \
        switch (width) {                                                  \
        case 16: body(16, row, unit); break;                              \
        case 8: body(8, row, unit); break;                                \
        case 4: body(4, row, unit); break;                                \
        case 2: body(2, row, unit); break;                                \
        default: body(1, row, unit); break;                               \
        }                                                                 \
    }

/* out[lane] = value of the lane's unit; 0 if value is NULL. */
NBT_INLINE void nbt_block_gather(float out[NBT_LANES], const float *value, size_t width,
                                 size_t unit, size_t H)
{
    /* Most blocks lie within one gate; in a small network a block may hold both gates. */
    if (value != NULL && unit + width <= H) {
        nbt_copy(out, value + unit, width);
        return;
    }
    if (value != NULL && unit == 0 && 2 * H == width) {
        nbt_copy(out, value, width / 2);
        nbt_copy(out + width / 2, value, width / 2);
        return;
    }
    for (size_t lane = 0; lane < width; lane++) {
        out[lane] = value != NULL ? value[unit] : 0.0f;
        unit = unit + 1 < H ? unit + 1 : 0;
    }
}

/* The kind of a loop: its fields are compile-time constants, since all functions that receive a
 * kind are inline. The compiler makes one loop per kind, each in a function of its own, since one
 * function with all loops takes long to compile. */
typedef struct nbt_kind {
    size_t width; /* rows of the block */
    int w;        /* NBT_W_*: how w is stored */
    int g;        /* 1 if there are traces, else 0 */
    int metric;   /* NBT_METRIC_*: the metric of the filter */
} nbt_kind;

#define NBT_METRIC_NONE 0
#define NBT_METRIC_DIAGONAL 1
#define NBT_METRIC_QUASI 2
#define NBT_W_NONE 0
#define NBT_W_SHARED 1  /* all rows share one rank-one estimate */
#define NBT_W_BY_UNIT 2 /* every unit has its own rank-one estimate */

NBT_INLINE nbt_kind nbt_kind_of(size_t width, int w, int g, int metric)
{
    nbt_kind kind = {width, w, g, metric};
    return kind;
}

/* The work of a pass: a change of the matrices, a look at the changed matrices (nbt_learner.c), or
 * both. */
typedef struct nbt_pass {
    int changes;
    int looks;
    int pairs;   /* columns are processed in pairs */
    int turns;   /* the change includes the variances (their turn: nbt_kalman.h) */
    int follows; /* the look has tangents */
} nbt_pass;

NBT_INLINE nbt_pass nbt_pass_of(int changes, int looks, int pairs)
{
    nbt_pass pass = {changes, looks, pairs, 0, 0};
    return pass;
}

/* clang-format off */
/* define(name of a function, kind.w, kind.g, metric) for every kind of factors. */
#define NBT_FOR_EACH_FACTORS(define, name, metric) \
    define(name##_traces, NBT_W_NONE, 1, metric)   \
    define(name##_shared, NBT_W_SHARED, 0, metric) \
    define(name##_both, NBT_W_SHARED, 1, metric)   \
    define(name##_by_unit, NBT_W_BY_UNIT, 1, metric)
/* clang-format on */

/* Calls the function for the factors of m. */
#define NBT_CALL_FOR_FACTORS(name, m, ...) \
    if (!nbt_has_w(m)) {                   \
        name##_traces(m, __VA_ARGS__);     \
    } else if (!nbt_has_g(m)) {            \
        name##_shared(m, __VA_ARGS__);     \
    } else if (!nbt_is_by_unit(m)) {       \
        name##_both(m, __VA_ARGS__);       \
    } else {                               \
        name##_by_unit(m, __VA_ARGS__);    \
    }

/* As nbt_block_gather for one value per rank-one estimate. */
NBT_INLINE void nbt_block_gather_w(float out[NBT_LANES], const float *value, nbt_kind kind,
                                   size_t unit, size_t H)
{
    if (kind.w == NBT_W_SHARED) {
        for (size_t lane = 0; lane < kind.width; lane++) {
            out[lane] = value[0];
        }
    } else {
        nbt_block_gather(out, kind.w ? value : NULL, kind.width, unit, H);
    }
}

/* The scalars of a change for a block of rows, lane by lane. */
typedef struct nbt_lanes {
    float w_scale[NBT_LANES], step_w[NBT_LANES], curvature_w[NBT_LANES];
    float u_scale[NBT_LANES], g_scale[NBT_LANES], g_keep[NBT_LANES], gain[NBT_LANES];
    float step_g[NBT_LANES], tilt[NBT_LANES], curvature_g[NBT_LANES];
} nbt_lanes;

/* All 0 without a change. */
NBT_INLINE void nbt_lanes_gather(nbt_lanes *out, nbt_kind kind, size_t row, size_t unit, size_t H,
                                 const nbt_change *change)
{
    const nbt_change nothing = {
        {NULL, NULL, NULL, NULL, NULL}, {NULL, NULL, 1.0f, NULL, NULL, NULL, 0.0f, 0, 1}, NULL};
    const nbt_motion *motion = change != NULL ? &change->motion : &nothing.motion;
    const nbt_update *update = change != NULL ? &change->update : &nothing.update;
    kind.w = change != NULL ? kind.w : NBT_W_NONE;
    kind.g = change != NULL && kind.g;
    for (size_t lane = 0; lane < kind.width; lane++) {
        out->u_scale[lane] = kind.w && !kind.g ? motion->u_scale[row + lane] : 0.0f;
        out->gain[lane] = kind.g ? motion->gain[row + lane] : 0.0f;
    }
    nbt_block_gather_w(out->w_scale, motion->w_scale, kind, unit, H);
    nbt_block_gather_w(out->step_w, update->step_w, kind, unit, H);
    nbt_block_gather_w(out->curvature_w, update->curvature_w, kind, unit, H);
    nbt_block_gather(out->g_scale, kind.w && kind.g ? motion->g_scale : NULL, kind.width, unit, H);
    nbt_block_gather(out->g_keep, kind.g ? motion->g_keep : NULL, kind.width, unit, H);
    nbt_block_gather(out->step_g, kind.g ? update->step_g : NULL, kind.width, unit, H);
    nbt_block_gather(out->tilt, kind.g ? update->tilt : NULL, kind.width, unit, H);
    nbt_block_gather(out->curvature_g, kind.g ? update->curvature_g : NULL, kind.width, unit, H);
}

/* w of a lane after its move with u_j (nbt_motion). */
NBT_INLINE float nbt_lanes_move_w(const nbt_lanes *lanes, size_t lane, nbt_kind kind, float w,
                                  float g, float u_j)
{
    return lanes->w_scale[lane] * w +
           (kind.g ? lanes->g_scale[lane] * g : lanes->u_scale[lane] * u_j);
}

/* g of a lane after its move with u_j. */
NBT_INLINE float nbt_lanes_move_g(const nbt_lanes *lanes, size_t lane, float g, float u_j)
{
    return lanes->g_keep[lane] * g + lanes->gain[lane] * u_j;
}

/* Parameters of one lane and column; c is 0 unless the metric is quasi-diagonal. */
typedef struct nbt_entry {
    float theta, w, g, p, c;
} nbt_entry;

/* Loads the entry at `at`, without c. A factor that the learner lacks is 0; a missing P is 1. */
NBT_INLINE nbt_entry nbt_entry_load(size_t at, nbt_kind kind, const float *theta, const float *w,
                                    const float *g, const float *cov)
{
    nbt_entry entry = {theta[at], kind.w ? w[at] : 0.0f, kind.g ? g[at] : 0.0f,
                       kind.metric ? cov[at] : 1.0f, 0.0f};
    return entry;
}

/* Stores the factors that the learner has, except c. */
NBT_INLINE void nbt_entry_store(const nbt_entry *entry, size_t at, nbt_kind kind, float *theta,
                                float *w, float *g, float *cov)
{
    theta[at] = entry->theta;
    if (kind.w) {
        w[at] = entry->w;
    }
    if (kind.g) {
        g[at] = entry->g;
    }
    if (kind.metric) {
        cov[at] = entry->p;
    }
}

#endif
