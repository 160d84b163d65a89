/* What Python calls for one sample: the kernel, and the refusal of a second thread, in a single call.
 *
 * The kernel runs without Python's global lock, so two threads could meet inside one learner. Every
 * call of Python on a learner therefore takes its turn first. A turn belongs to a thread: it may be
 * taken again by the thread that has it, and nobody waits for one. A firmware needs none of this,
 * so it is no part of csrc/.
 */
#ifndef NBT_CALLS_H
#define NBT_CALLS_H

#include "nbt.h"

/* The declarations between the two marker lines are also read by the Python wrapper. */
/* <declarations> */

/* Beside the numbers of nbt_status: another thread has the turn, nothing has happened. */
enum { NBT_CALL_BUSY = -100 };

/* Whose turn it is; all zero: nobody's. */
typedef struct nbt_turn {
    uintptr_t owner; /* the thread */
    size_t depth;    /* how often it has taken the turn; touched by the owner alone */
} nbt_turn;

/* A learner and the buffers of one sample. */
typedef struct nbt_sample {
    nbt_learner *learner;
    nbt_turn *turn; /* the learner's: all its samples share it */
    float *x;       /* (n_in) */
    float *label;   /* (n_out), categorical (1) */
    float *y;       /* (n_out) */
} nbt_sample;

/* Purpose: take the turn, or take it once more. Returns: 1, or 0 if another thread has it.
 * Cost: O(1), never waits. */
int nbt_turn_take(nbt_turn *turn);

/* Purpose: give back what was taken; what this thread has written is then seen by the next one. */
void nbt_turn_return(nbt_turn *turn);

/* Purpose: nbt_predict and nbt_learn on the sample's buffers, in a turn of their own.
 * Returns: an nbt_status, or NBT_CALL_BUSY. Cost: that of the kernel's call. */
int nbt_sample_predict(const nbt_sample *sample);
int nbt_sample_learn(const nbt_sample *sample);

/* Purpose: nbt_pending in a turn of its own. Returns: at most 1048577, or NBT_CALL_BUSY. */
int nbt_sample_pending(const nbt_sample *sample);

/* </declarations> */

#endif
