/* The readout V on f = [h; x; 1] and its links (docs/design.md, section 3, table of links).
 *
 * A link turns logits into predictions and a label into a whitened innovation t with a factor
 * F of the curvature, Lambda = F F^T. F is diag(factor) for gaussian and bernoulli and
 * diag(factor) - p factor^T, factor = sqrt(p), for categorical. */
#ifndef NBT_READOUT_H
#define NBT_READOUT_H

#include <stddef.h>
#include <stdint.h>

#include "nbt_simd.h"

/* out (O) = V f;  V (O, D), f (D). */
NBT_LOCAL void nbt_readout_apply(float *out, const float *V, const float *f, size_t O, size_t D);

/* y (O): logits in, predictions out (probabilities; gaussian: unchanged, scaled units). */
NBT_LOCAL void nbt_link_predict(uint32_t link, float *y, size_t O);

/* t, factor (O) from prediction y (O) and label (O, or one class index); noise (O) is the gaussian
 * innovation variance. Outputs without label get t = factor = 0. Probabilities: the curvature is
 * taken midway between prediction and label, and y becomes that midpoint; at a confident wrong
 * prediction the curvature is almost 0, and a step that trusts it overshoots without bound.
 * Returns the weight of the sample for the readout covariance, tr(Lambda^2) / tr(Lambda)
 * (gaussian: 1), 0 without any label. */
NBT_LOCAL float nbt_link_innovate(uint32_t link, float *t, float *factor, float *y,
                                  const float *label, const float *noise, size_t O);

/* out (O) = F in or F^T in; out may be in. */
NBT_LOCAL void nbt_link_factor(uint32_t link, float *out, const float *in, const float *factor,
                               const float *y, size_t O);
NBT_LOCAL void nbt_link_factor_transposed(uint32_t link, float *out, const float *in,
                                          const float *factor, const float *y, size_t O);

/* Mean over the labelled outputs, at least one: squared error in scaled units (gaussian), else
 * log-loss in nats. */
NBT_LOCAL float nbt_link_loss(uint32_t link, const float *y, const float *label, size_t O);

/* score (O) = F t for the plain gradient: label - prediction, 0 without label. */
NBT_LOCAL void nbt_link_score(uint32_t link, float *score, const float *y, const float *label,
                              size_t O);

#endif
