/* The filter's covariance of the recurrent parameters, one entry at a time. */
#ifndef NBT_METRIC_H
#define NBT_METRIC_H

#include "nbt_math.h"

/* P never falls below this, so that a bound on sum P w w bounds w itself. */
#define NBT_COV_MIN 1e-20f

/* P / (keep + gained): P = 1 / (J + delta) when the information J decays by `keep` = 1 - gamma and
 * gains gamma (curvature + delta); gained is that times P. */
NBT_INLINE float nbt_metric_shrink(float p, float keep, float gained)
{
    float shrunk = p / (keep + gained);
    return shrunk < NBT_COV_MIN ? NBT_COV_MIN : shrunk;
}

#endif
