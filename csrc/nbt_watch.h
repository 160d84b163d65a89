/* The guard over the loss, called watch in the code (docs/design.md, section 10): if the loss rises
 * permanently, it restores the last good parameters or resets the adaptation. */
#ifndef NBT_WATCH_H
#define NBT_WATCH_H

#include "nbt_layout.h"

/* Starts the guard: no loss counted, no copy. */
NBT_LOCAL void nbt_watch_init(nbt_learner *learner);

/* Fills the last good copy with the present parameters, without marking it as good. */
NBT_LOCAL void nbt_watch_fill(const nbt_layout *l);

/* Counts the loss of a labelled step (nbt_link_loss). Returns whether nbt_watch_act has anything to
 * do; that requires the matrices after the step. */
NBT_LOCAL int nbt_watch_count(nbt_learner *learner, const nbt_layout *l, float loss);

/* Acts if the losses have risen permanently, and takes a copy where one is due. From label 2^24 on
 * it also applies weight decay to the recurrent weights, which would otherwise drift over a long
 * run (Krogh and Hertz 1992): 2e-8 per label, for 1024 labels at once. Returns NBT_OK, NBT_REOPENED
 * or NBT_ROLLED_BACK. */
NBT_LOCAL nbt_status nbt_watch_act(nbt_learner *learner, const nbt_layout *l);

/* Reacts to a permanent jump of an input (nbt_units.h). Before the jump was certain, the samples
 * after it have affected the readouts strongly and wrongly, since inputs far off have the largest
 * weights. So the full and the linear readouts restart, and the recurrent weights learn with the
 * initial rate. The slow readout was affected least: it stays, and the mixture weights the others
 * by their new forecasts. Requires the matrices after the last step. Returns whether it did
 * anything (drift_steps, mix_forget). */
NBT_LOCAL int nbt_watch_jump(nbt_learner *learner, const nbt_layout *l);

#endif
