/* The Kalman filter of the recurrent parameters: its update, one parameter at a time.
 *
 * With the innovation t of a label, its covariance S (nbt_innovation.h) and the slopes H of the
 * whitened outputs, an extended Kalman filter whose covariance is a diagonal P makes
 *     theta_i += P_i H_i^T S^-1 t,   1/P_i <- (1 - gamma) / P_i + gamma (H_i^T H_i + delta)
 * (docs/design.md, section 3). The slopes are sums of w and g (nbt_gradient.h), so both follow from
 * a few scalars per unit (nbt_update). nbt_quasi.h has the filter with the bias column kept
 * exactly, nbt_sgd.h plain gradient steps. */
#ifndef NBT_KALMAN_H
#define NBT_KALMAN_H

#include "nbt_block.h"
#include "nbt_math.h"

/* Added to P in every update. P thus never falls below it, and a bound on sum P w w bounds w
 * itself. It is far below the rounding of any P in use. */
#define NBT_COV_MIN 1e-20f

/* The bits of 1e6: the coupling c stays below it, so that c^2 P and all products with c are
 * finite. */
#define NBT_COUPLING_END 0x49742400u

/* Turns: a label changes every weight, but only the variances P of every second column, with twice
 * the rate. Variances change slowly, over about a thousand labels, and their division is a large
 * part of the cost of a step. With the bias column kept exactly all columns have their turn at
 * every label, since each row needs all of its columns. */
#define NBT_KALMAN_TURNS 2u

/* Which columns have their turn at a label: the even (0) or the odd ones (1). This is the
 * Thue-Morse sequence, the parity of the bits of n: with a periodic stream, no column is updated at
 * one half of the phases only. */
NBT_INLINE size_t nbt_kalman_turn(uint64_t labels)
{
    uint32_t bits = (uint32_t)labels;
    bits ^= bits >> 16;
    bits ^= bits >> 8;
    bits ^= bits >> 4;
    bits ^= bits >> 2;
    bits ^= bits >> 1;
    return bits & 1u;
}

/* The rate of the variances that have their turn. info_rate is at most 1/2. */
NBT_INLINE float nbt_kalman_rate(float info_rate, size_t stride)
{
    return stride == 1 ? info_rate : 2.0f * info_rate;
}

/* Whether P of column j moves. */
NBT_INLINE int nbt_kalman_has_turn(const nbt_update *update, size_t j)
{
    return update->stride == 1 || j % NBT_KALMAN_TURNS == update->first;
}

/* P / (keep + gained). With P = 1 / (J + delta), the information J decays by `keep` = 1 - gamma and
 * gains gamma (curvature + delta); gained is this gain times P. */
NBT_INLINE float nbt_kalman_shrink(float p, float keep, float gained)
{
    return p / (keep + gained) + NBT_COV_MIN;
}

/* c, or 0 if it is NaN or beyond its bound: without coupling, a weight is filtered as in the
 * diagonal metric. Written as a bit mask, since compilers turn a conditional into a branch and then
 * do not vectorise the loop. */
NBT_INLINE float nbt_kalman_bound(float c)
{
    uint32_t size = nbt_bits(c) & 0x7fffffffu;
    return nbt_from_bits(nbt_bits(c) & (0u - (uint32_t)(size < NBT_COUPLING_END)));
}

/* Updates one parameter after the change of its step with u_j: w and g move, then theta and P
 * follow. Without a metric, theta takes a gradient step. */
NBT_INLINE void nbt_kalman_update(nbt_entry *at, const nbt_lanes *lanes, size_t lane, nbt_kind kind,
                                  const nbt_update *update, int has_turn, float u_j)
{
    float p = kind.metric ? at->p : 1.0f;
    float step = 0.0f;
    float curvature; /* times P; (P w) stays finite where w w would overflow */
    if (kind.w) {
        at->w = nbt_lanes_move_w(lanes, lane, kind, at->w, at->g, u_j);
        step = lanes->step_w[lane] * (p * at->w);
    }
    if (kind.g) {
        at->g = nbt_lanes_move_g(lanes, lane, at->g, u_j);
        float tilted = at->w + lanes->tilt[lane] * at->g;
        step += lanes->step_g[lane] * (p * at->g);
        curvature = lanes->curvature_g[lane] * ((p * at->g) * at->g);
        curvature += kind.w ? lanes->curvature_w[lane] * ((p * tilted) * tilted) : 0.0f;
    } else {
        curvature = lanes->curvature_w[lane] * ((p * at->w) * at->w);
    }
    at->theta += step;
    if (kind.metric && has_turn) {
        at->p = nbt_kalman_shrink(p, update->keep, curvature + update->rate_floor * p);
    }
}

#endif
