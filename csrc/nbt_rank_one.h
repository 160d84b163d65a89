/* The factors v (N, S) and w (R, D) of rank-one estimates v_n w_n^T, and the sums of P w w. Used by
 * nobacktrack, residual (N = 1) and unitwise (N = H). */
#ifndef NBT_RANK_ONE_H
#define NBT_RANK_ONE_H

#include "nbt_layout.h"
#include "nbt_math.h"

/* Limit of sum P w w and of sum P g g. With P >= 1e-20 (nbt_kalman.h), entries stay below 1e16. */
#define NBT_NORM_LIMIT 1e12f

/* A sum of squares that was updated together with its factors; rounding may have brought it below
 * 0. */
NBT_INLINE float nbt_moved_square(float x)
{
    return nbt_select(x < 0.0f, 0.0f, x);
}

/* v = w = 0. */
NBT_LOCAL void nbt_rank_one_clear(const nbt_layout *l);

/* 0 if v, or w after the motion in the next sweep, is out of bounds or NaN. */
NBT_LOCAL int nbt_rank_one_is_bounded(const nbt_layout *l);

#endif
