/* The links: all code that depends on the link (docs/design.md, section 3, table of links).
 *
 * A link turns logits into predictions, and a label into a whitened innovation t with a factor F of
 * the curvature, Lambda = F F^T:
 *     gaussian, bernoulli     F = diag(factor)
 *     categorical             F = diag(factor) - p factor^T,   factor = sqrt(p)
 * Here and below, prediction, label, innovation and factor are the arrays of a layout (O each). A
 * label is a row of nbt_link_labels values, NaN where it is missing. */
#ifndef NBT_LINK_H
#define NBT_LINK_H

#include "nbt_layout.h"

/* Replaces logits by predictions: probabilities; gaussian: unchanged, in scaled units. */
NBT_LOCAL void nbt_link_predict(const nbt_layout *l);

/* The number of values of a label: one for every output, or one class index. */
NBT_LOCAL size_t nbt_link_labels(const nbt_config *config);

/* Whether a value other than NaN is a valid label of this link. The scaler checks gaussian ones. */
NBT_LOCAL int nbt_link_is_label(const nbt_layout *l, float value);

/* The loss of an untrained learner, in the units of nbt_link_loss. */
NBT_LOCAL float nbt_link_start_level(const nbt_config *config);

/* Mean over the labelled outputs, at least one: squared error in scaled units (gaussian), else
 * log-loss in nats. */
NBT_LOCAL float nbt_link_loss(const nbt_layout *l);

/* Computes innovation t and factor from prediction and label. Outputs without label get t =
 * factor = 0. For probabilities, the curvature is evaluated at the midpoint of prediction and
 * label, and the midpoint replaces the prediction (nbt_midpoint): at a confident wrong
 * prediction the curvature is almost 0, and a step based on it would be unbounded. Returns the
 * weight of the sample for the readout covariance, tr(Lambda^2) / tr(Lambda) (gaussian: 1), 0
 * without any label. */
NBT_LOCAL float nbt_link_innovate(const nbt_layout *l);

/* The innovation <- F innovation. */
NBT_LOCAL void nbt_link_factor(const nbt_layout *l);

/* row (O) <- F^T row. */
NBT_LOCAL void nbt_link_factor_transposed(const nbt_layout *l, float *row);

/* The innovation = the score, for plain gradient steps: label - prediction, 0 without label. */
NBT_LOCAL void nbt_link_score(const nbt_layout *l);

/* S = I + c F^T diag(scale) F, the readout's share of the innovation covariance: its packed lower
 * triangle (O (O + 1) / 2). scale is the noise variance (gaussian) or 1, c = f^T C f. */
NBT_LOCAL void nbt_link_spread(const nbt_layout *l, float *S, float c);

/* Whether S is diagonal (every link but the categorical), and then its diagonal s (O). */
NBT_LOCAL int nbt_link_is_independent(const nbt_layout *l);
NBT_LOCAL void nbt_link_spread_diagonal(const nbt_layout *l, float *s, float c);

#endif
