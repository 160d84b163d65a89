/* The filter's covariance of the recurrent parameters, one entry at a time. */
#ifndef NBT_METRIC_H
#define NBT_METRIC_H

#include "nbt_math.h"

/* Added to P each time, so that it never falls below and a bound on sum P w w bounds w itself; far below
 * the rounding of any P in use. */
#define NBT_COV_MIN 1e-20f

/* The bits of 1e6: the coupling c stays below, so that c^2 P and every product with c is finite. */
#define NBT_COUPLING_END 0x49742400u

/* P / (keep + gained): P = 1 / (J + delta) when the information J decays by `keep` = 1 - gamma and
 * gains gamma (curvature + delta); gained is that times P. */
NBT_INLINE float nbt_metric_shrink(float p, float keep, float gained)
{
    return p / (keep + gained) + NBT_COV_MIN;
}

/* c, or 0 where it is NaN or beyond its bound: without coupling a weight is filtered as in the diagonal
 * metric. A mask of the bits instead of a choice, which compilers turn into a branch and then do not
 * vectorise. */
NBT_INLINE float nbt_metric_bound(float c)
{
    uint32_t size = nbt_bits(c) & 0x7fffffffu;
    return nbt_from_bits(nbt_bits(c) & (0u - (uint32_t)(size < NBT_COUPLING_END)));
}

#endif
