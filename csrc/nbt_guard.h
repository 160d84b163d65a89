/* The watch over the loss (docs/design.md, section 10): when it rises for good, the learner goes back to
 * its last good parameters or opens again. */
#ifndef NBT_GUARD_H
#define NBT_GUARD_H

#include "nbt_layout.h"

/* The watch starts: nothing has been seen, nothing is kept. */
void nbt_guard_init(nbt_learner *learner);

/* Fills the last good copy with the parameters as they are, without saying that they are good. */
void nbt_guard_fill(const nbt_learner *learner, const nbt_layout *l);

/* Counts the loss of a labelled step (nbt_link_loss), and acts if the losses have risen for good.
 * Returns NBT_OK, NBT_REOPENED or NBT_ROLLED_BACK. */
nbt_status nbt_guard_watch(nbt_learner *learner, const nbt_layout *l, float loss);

/* Weight decay (Krogh and Hertz 1992) of an old learner's recurrent weights, which would wander off in
 * the long run: from label 2^24 on by 2e-8 a label, 1024 labels at once. */
void nbt_guard_age(const nbt_learner *learner, const nbt_layout *l);

#endif
