/* The watch over the loss (docs/design.md, section 10): when it rises permanently, the learner goes
 * back to its last good parameters or resets its adaptation. */
#ifndef NBT_WATCH_H
#define NBT_WATCH_H

#include "nbt_layout.h"

/* The watch starts: nothing has been seen, nothing is kept. */
NBT_LOCAL void nbt_watch_init(nbt_learner *learner);

/* Fills the last good copy with the parameters as they are, without saying that they are good. */
NBT_LOCAL void nbt_watch_fill(const nbt_layout *l);

/* Counts the loss of a labelled step (nbt_link_loss). Returns whether nbt_watch_act has anything to
 * do, which needs the matrices as the step leaves them. */
NBT_LOCAL int nbt_watch_count(nbt_learner *learner, const nbt_layout *l, float loss);

/* Acts if the losses have risen permanently, and keeps a copy where one is due. From label 2^24 on it
 * also lets the recurrent weights of an old learner decay (Krogh and Hertz 1992), which would
 * wander off in the long run: by 2e-8 a label, 1024 labels at once. Returns NBT_OK, NBT_REOPENED or
 * NBT_ROLLED_BACK. */
NBT_LOCAL nbt_status nbt_watch_act(nbt_learner *learner, const nbt_layout *l);

/* An input has jumped permanently (nbt_units.h). The samples until that was certain have taught the
 * readouts much, and wrongly, since inputs far off weigh most. So the full and the linear forecasts
 * start again, and the recurrent weights learn as fast as at the start. The slow forecast has learnt
 * least of them: it stays, while the others have to show their worth in the mixture. Needs the matrices as
 * the last step leaves them. Returns whether it did anything (drift_steps, mix_forget). */
NBT_LOCAL int nbt_watch_jump(nbt_learner *learner, const nbt_layout *l);

#endif
