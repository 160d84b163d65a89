/* Storage of the R x D matrices: rows are grouped in blocks of NBT_LANES rows, the rest in narrower
 * blocks (..., 8, 4, 2, 1), each stored as [column][row of the block]. Shared by the passes over them. */
#ifndef NBT_BLOCK_H
#define NBT_BLOCK_H

#include "nbt_math.h"
#include "nbt_sweep.h"

/* Width of the block that starts at `row`. */
NBT_INLINE size_t nbt_block_width(size_t row, size_t rows)
{
    size_t left = rows - row;
    if (NBT_LANES >= 16 && left >= 16) {
        return 16;
    }
    if (NBT_LANES >= 8 && left >= 8) {
        return 8;
    }
    if (NBT_LANES >= 4 && left >= 4) {
        return 4;
    }
    return NBT_LANES >= 4 && left >= 2 ? 2 : 1;
}

/* The unit of the row n rows further on. */
NBT_INLINE size_t nbt_block_unit(size_t unit, size_t n, size_t H)
{
    unit += n;
    while (unit >= H) {
        unit -= H;
    }
    return unit;
}

/* Runs body(width, first row, its unit) over all blocks with the width as a compile-time constant. */
#define NBT_FOR_EACH_BLOCK(m, body)                                                 \
    for (size_t row = 0, unit = 0, width = 0; row < (m)->rows;                      \
         row += width, unit = nbt_block_unit(unit, width, (m)->hidden)) {           \
        width = nbt_block_width(row, (m)->rows);                                    \
        switch (width) {                                                            \
        case 16: body(16, row, unit); break;                                        \
        case 8: body(8, row, unit); break;                                          \
        case 4: body(4, row, unit); break;                                          \
        case 2: body(2, row, unit); break;                                          \
        default: body(1, row, unit); break;                                         \
        }                                                                           \
    }

/* out[l] = value of the unit of lane l, or 0 without values. */
NBT_INLINE void nbt_block_gather(float out[NBT_LANES], const float *value, size_t width, size_t unit,
                                 size_t H)
{
    /* Mostly a block lies within one gate, or is the two gates of a small network. */
    if (value != NULL && unit + width <= H) {
        nbt_copy(out, value + unit, width);
        return;
    }
    if (value != NULL && unit == 0 && 2 * H == width) {
        nbt_copy(out, value, width / 2);
        nbt_copy(out + width / 2, value, width / 2);
        return;
    }
    for (size_t l = 0; l < width; l++) {
        out[l] = value != NULL ? value[unit] : 0.0f;
        unit = unit + 1 < H ? unit + 1 : 0;
    }
}

/* What metric the filter has, how w is kept and whether there is g, as constants, so that each combination
 * is a loop of its own; and in a function of its own, since compilers take more than their share of time
 * over one that holds all. */
#define NBT_METRIC_NONE 0
#define NBT_METRIC_DIAGONAL 1
#define NBT_METRIC_QUASI 2
#define NBT_W_NONE 0
#define NBT_W_SHARED 1  /* all rows share one rank-one estimate */
#define NBT_W_BY_UNIT 2 /* every unit has its own */

/* define(name of a function, has_w, has_g, metric) for every kind of factors. */
#define NBT_FOR_EACH_FACTORS(define, name, metric) \
    define(name##_traces, NBT_W_NONE, 1, metric)   \
    define(name##_shared, NBT_W_SHARED, 0, metric) \
    define(name##_both, NBT_W_SHARED, 1, metric)   \
    define(name##_by_unit, NBT_W_BY_UNIT, 1, metric)

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

/* The same for one value per rank-one estimate. */
NBT_INLINE void nbt_block_gather_w(float out[NBT_LANES], const float *value, int has_w, size_t width,
                                   size_t unit, size_t H)
{
    if (has_w == NBT_W_SHARED) {
        for (size_t l = 0; l < width; l++) {
            out[l] = value[0];
        }
    } else {
        nbt_block_gather(out, has_w ? value : NULL, width, unit, H);
    }
}

/* What a block of rows needs of the motion and of the update, lane by lane. */
typedef struct nbt_lanes {
    float w_scale[NBT_LANES], step_w[NBT_LANES], curvature_w[NBT_LANES];
    float u_scale[NBT_LANES], g_scale[NBT_LANES], g_keep[NBT_LANES], gain[NBT_LANES];
    float step_g[NBT_LANES], tilt[NBT_LANES], curvature_g[NBT_LANES];
} nbt_lanes;

/* All 0 without a change. */
NBT_INLINE void nbt_lanes_gather(nbt_lanes *out, size_t width, int has_w, int has_g, size_t row,
                                 size_t unit, size_t H, const nbt_change *change)
{
    const nbt_change nothing = {{NULL, NULL, NULL, NULL, NULL},
                                {NULL, NULL, 1.0f, NULL, NULL, NULL, 0.0f},
                                NULL};
    const nbt_motion *motion = change != NULL ? &change->motion : &nothing.motion;
    const nbt_update *update = change != NULL ? &change->update : &nothing.update;
    has_w = change != NULL ? has_w : NBT_W_NONE;
    has_g = change != NULL && has_g;
    for (size_t l = 0; l < width; l++) {
        out->u_scale[l] = has_w && !has_g ? motion->u_scale[row + l] : 0.0f;
        out->gain[l] = has_g ? motion->gain[row + l] : 0.0f;
    }
    nbt_block_gather_w(out->w_scale, motion->w_scale, has_w, width, unit, H);
    nbt_block_gather_w(out->step_w, update->step_w, has_w, width, unit, H);
    nbt_block_gather_w(out->curvature_w, update->curvature_w, has_w, width, unit, H);
    nbt_block_gather(out->g_scale, has_w && has_g ? motion->g_scale : NULL, width, unit, H);
    nbt_block_gather(out->g_keep, has_g ? motion->g_keep : NULL, width, unit, H);
    nbt_block_gather(out->step_g, has_g ? update->step_g : NULL, width, unit, H);
    nbt_block_gather(out->tilt, has_g ? update->tilt : NULL, width, unit, H);
    nbt_block_gather(out->curvature_g, has_g ? update->curvature_g : NULL, width, unit, H);
}

/* w of lane l after its move with u_j (nbt_motion). */
NBT_INLINE float nbt_lanes_move_w(const nbt_lanes *by, size_t l, int has_g, float w, float g,
                                  float u_j)
{
    return by->w_scale[l] * w + (has_g ? by->g_scale[l] * g : by->u_scale[l] * u_j);
}

/* g of lane l after its move with u_j. */
NBT_INLINE float nbt_lanes_move_g(const nbt_lanes *by, size_t l, float g, float u_j)
{
    return by->g_keep[l] * g + by->gain[l] * u_j;
}

#endif
