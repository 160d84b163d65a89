/* The filter `sgd`: plain gradient steps without a filter, as in the paper (Ollivier, Tallec,
 * Charpiat 2015, arXiv 1507.07680), theta += rate H^T s and V_o += rate s_o f with the score s of
 * the label. It has no state; P = 1 in all norms. */
#ifndef NBT_SGD_H
#define NBT_SGD_H

#include "nbt_layout.h"

/* The innovation = rate times the score, and the recurrent steps along it. Returns whether the gate
 * limited a label. */
NBT_LOCAL int nbt_sgd_innovate(const nbt_layout *l, float rate);

#endif
