/* The guard against outliers of gaussian labels: an innovation of more than `gate` standard
 * deviations is limited to that size (docs/design.md, section 10). */
#ifndef NBT_GATE_H
#define NBT_GATE_H

#include "nbt_layout.h"

/* Limits the labels against the predictions. The variance of an innovation is that of
 * nbt_innovation_spread in units of the noise variance (sgd: 1). Returns whether any label was
 * limited. */
NBT_LOCAL int nbt_gate_limit(const nbt_layout *l, float gain);

#endif
