/* Storage of the R x D matrices: rows are grouped in blocks of NBT_LANES rows, the rest in narrower
 * blocks (..., 8, 4, 1), each stored as [column][row of the block]. Shared by the passes over them. */
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
    return 1;
}

/* Runs body(width, first row) over all blocks with the width as a compile-time constant. */
#define NBT_FOR_EACH_BLOCK(rows, body)                             \
    for (size_t row = 0, width = 0; row < (rows); row += width) {  \
        width = nbt_block_width(row, (rows));                      \
        switch (width) {                                           \
        case 16: body(16, row); break;                             \
        case 8: body(8, row); break;                               \
        case 4: body(4, row); break;                               \
        default: body(1, row); break;                              \
        }                                                          \
    }

/* out[l] = value[unit of row + l] for the rows of a block, or 0 without values. */
NBT_INLINE void nbt_block_gather(float out[16], const float *value, size_t width, size_t row,
                                 size_t H)
{
    size_t unit = row % H;
    for (size_t l = 0; l < width; l++) {
        out[l] = value != NULL ? value[unit] : 0.0f;
        unit = unit + 1 < H ? unit + 1 : 0;
    }
}

/* What metric the filter has, how w is kept and whether there is g: pass(has_w, has_g, metric, ...) is
 * called with constants, so that each combination is a loop of its own. Needs `m` in scope. */
#define NBT_METRIC_NONE 0
#define NBT_METRIC_DIAGONAL 1
#define NBT_METRIC_QUASI 2
#define NBT_W_NONE 0
#define NBT_W_SHARED 1  /* all rows share one rank-one estimate */
#define NBT_W_BY_UNIT 2 /* every unit has its own */
#define NBT_WITH_FACTORS(pass, metric, ...)          \
    if (m->w == NULL) {                              \
        pass(NBT_W_NONE, 1, metric, __VA_ARGS__);    \
    } else if (m->g == NULL) {                       \
        pass(NBT_W_SHARED, 0, metric, __VA_ARGS__);  \
    } else if (!m->by_unit) {                        \
        pass(NBT_W_SHARED, 1, metric, __VA_ARGS__);  \
    } else {                                         \
        pass(NBT_W_BY_UNIT, 1, metric, __VA_ARGS__); \
    }

/* The same for one value per rank-one estimate. */
NBT_INLINE void nbt_block_gather_w(float out[16], const float *value, int has_w, size_t width,
                                   size_t row, size_t H)
{
    int by_unit = has_w == NBT_W_BY_UNIT;
    nbt_block_gather(out, has_w ? value : NULL, width, by_unit ? row : 0, by_unit ? H : 1);
}

#endif
