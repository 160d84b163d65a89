/* A readout that learns independently of the network: recursive least squares with forgetting, and
 * with a gate that limits outliers.
 *
 *     e_o = gated(target_o - V_o f),   |e_o| <= gate sqrt(r_o (1 + c)),   c = f^T C f
 *     V_o += C f e_o / (1 + c),   C <- C - C f f^T C / (1 + c), then forgetting (nbt_ud.h)
 *     r_o += max(noise_rate, 1 / (n + 1)) (e_o^2 / (1 + c) - r_o)
 * C is in units of the noise r, one for all outputs. The first feature is the constant 1.
 *
 * A label is learnt in one call, or in NBT_RLS_PARTS calls of about equal cost. The label in
 * progress is then part of the learner's state, and V and r change in the last part. */
#ifndef NBT_RLS_H
#define NBT_RLS_H

#include <stddef.h>
#include <stdint.h>

#include "nbt_math.h"
#include "nbt_simd.h"

typedef struct nbt_rls {
    float *readout; /* V (O, n) */
    float *ud;      /* C, nbt_ud.h */
    float *noise;   /* (O) r */
    float *labels;  /* (O) labels counted */
    size_t n;
    size_t O;
    size_t hidden; /* features at the end that have their own prior */
    float prior;
    float prior_hidden;
    float forget;
    float noise_rate;
    float gate;    /* 0: no gate */
    int by_target; /* prior_units */
    float *turn;   /* the label in progress, NBT_RLS_TURN_ floats; NULL if learnt in one call */
    float *kept;   /* the label to learn next, 1 + O + n floats; NULL as above */
} nbt_rls;

NBT_LOCAL void nbt_rls_init(const nbt_rls *self);

/* Learns target (O), NaN for none, with the features f (n). A step whose results would not be
 * finite is skipped. f and target are overwritten; b (n) is scratch. */
NBT_LOCAL void nbt_rls_learn(const nbt_rls *self, float *f, float *target, float *b);

/* Learning in parts. nbt_rls_offer receives each label with its features f (n) and targets (O), and
 * keeps one of NBT_RLS_PARTS labels, each with the same probability (reservoir sampling: Vitter
 * 1985, Random sampling with a reservoir). A fixed choice of every fourth label would cover a
 * single phase of a stream with that period. The draw depends only on the number of the label.
 * nbt_rls_learn_part then learns one part of the label that was kept before.
 *
 * turn holds: the next part, 0 for the first one; the column of U^T f or the row of U that it
 * starts from, n if C is complete; f^T C f; the target, then e (O); f, then K (n); U^T f (n). kept
 * holds: whether a label is kept, its targets (O) and features (n). */
#define NBT_RLS_PARTS 4
NBT_LOCAL void nbt_rls_offer(const nbt_rls *self, const float *f, const float *target,
                             uint32_t label);
NBT_LOCAL void nbt_rls_learn_part(const nbt_rls *self);

NBT_INLINE size_t nbt_rls_part(const nbt_rls *self)
{
    return (size_t)self->turn[0];
}

NBT_INLINE int nbt_rls_is_under_way(const nbt_rls *self)
{
    return self->turn != NULL && nbt_rls_part(self) > 0;
}

NBT_INLINE float *nbt_rls_target(const nbt_rls *self)
{
    return self->turn + 3;
}

NBT_INLINE float *nbt_rls_features(const nbt_rls *self)
{
    return self->turn + 3 + self->O;
}

/* Updates r and the number of labels counted in it with one more error. */
NBT_LOCAL void nbt_rls_count_noise(float *noise, float *labels, float noise_rate, float error,
                                   float c);

/* Lift: the factor of the prior under prior_units, 1 / mean noise of the n outputs, limited to 1 to
 * 1e8. */
NBT_LOCAL float nbt_rls_lift(const float *noise, size_t n);

/* The features at first, first + step, ... (count of them) are now x' = a x + b: converts V so that
 * V f does not change. A readout with a weight beyond 1024 is reset. */
NBT_LOCAL void nbt_rls_move(const nbt_rls *self, size_t first, size_t step, size_t count, float a,
                            float b);

/* The same for one row of any readout, whose constant feature has the index `constant`. Returns
 * whether all its weights are within 1024. */
NBT_LOCAL int nbt_rls_move_row(float *row, size_t n, size_t constant, size_t first, size_t step,
                               size_t count, float a, float b);

/* The target of output o is now y' = a y + b: converts the readout and the noise. The same for one
 * row of any readout, and for any noise. */
NBT_LOCAL void nbt_rls_rescale(const nbt_rls *self, size_t o, float a, float b);
NBT_LOCAL void nbt_rls_rescale_row(float *row, size_t n, size_t constant, float a, float b);
NBT_LOCAL void nbt_rls_rescale_noise(float *noise, float a);

#endif
