/* The guard over gaussian labels: an innovation beyond `gate` of its standard deviations is brought
 * to that bound (docs/design.md, section 10). */
#ifndef NBT_GATE_H
#define NBT_GATE_H

#include "nbt_layout.h"

/* Limits the labels against the predictions; the variance of an innovation is that of
 * nbt_innovation_spread in units of the noise's (sgd: 1). Returns whether there was one to
 * limit. */
NBT_LOCAL int nbt_gate_limit(const nbt_layout *l, float gain);

#endif
