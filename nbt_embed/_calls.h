/* What Python calls: the kernel, and the refusal of a second thread, in a single call.
 *
 * The kernel runs without Python's global lock, so two threads could meet inside one learner. Every
 * call of Python on a learner therefore enters it first, and leaves it before it returns to Python:
 * no signal handler and no exception can come in between and leave a learner that nobody gives
 * back. A thread that has to keep others out between its calls (a replay) holds the learner
 * meanwhile. Nobody ever waits. A firmware needs none of this, so it is no part of csrc/.
 */
#ifndef NBT_CALLS_H
#define NBT_CALLS_H

#include "nbt.h"

/* The declarations between the two marker lines are also read by the Python wrapper. */
/* <declarations> */

/* In addition to the numbers of nbt_status; nothing has happened. */
enum {
    NBT_CALL_BUSY = -100, /* another thread is inside, or holds the learner */
    NBT_CALL_TORN = -101  /* a thread was inside when this process was forked, and is not in it */
};

/* A learner that several threads may know, and which of them has it. A thread is a number that no
 * other one has in this process or has had in those that it was forked from; 0 is nobody. */
typedef struct nbt_shared {
    nbt_learner *learner;
    uintptr_t
        owner; /* twice the thread that has it, and 1 more while that is in a call of the kernel */
    uintptr_t holds; /* how often the owner holds it; 0: it has it for the call alone */
} nbt_shared;

/* One of the times that a thread holds a learner. */
typedef struct nbt_hold {
    uintptr_t thread; /* 0: it has not begun, or has ended */
} nbt_hold;

/* Purpose: keep other threads out until nbt_hold_end. A thread may hold a learner several times.
 * Returns: NBT_OK, NBT_CALL_BUSY or NBT_CALL_TORN. Cost: O(1), never waits. */
int nbt_hold_begin(nbt_shared *shared, nbt_hold *hold);

/* Purpose: end a hold, in any thread; nothing happens if it has not begun, or has ended. */
void nbt_hold_end(nbt_shared *shared, nbt_hold *hold);

/* Purpose: to be called in the child after a fork: of all threads only the caller is still there.
 * What others held is free; a learner that they were inside of is refused with NBT_CALL_TORN. */
void nbt_forked(void);

/* Purpose: the kernel's functions of these names, for one thread at a time.
 * Returns: an nbt_status, NBT_CALL_BUSY or NBT_CALL_TORN. Cost: that of the kernel's call. */
int nbt_shared_predict(nbt_shared *shared, float *y, const float *x);
int nbt_shared_learn(nbt_shared *shared, const float *label);
int nbt_shared_variance(nbt_shared *shared, float *variance);
int nbt_shared_interval(nbt_shared *shared, float *bounds);
int nbt_shared_student(nbt_shared *shared, float *scale, float *freedom);
int nbt_shared_anomaly(nbt_shared *shared, float *score);
int nbt_shared_save(nbt_shared *shared, unsigned char *out, size_t bytes);
int nbt_shared_reset_state(nbt_shared *shared);
int nbt_shared_reseed(nbt_shared *shared, uint64_t seed);
int nbt_shared_hash(nbt_shared *shared, uint64_t *hash);
int nbt_shared_counters_get(nbt_shared *shared, nbt_counters *counters);
int nbt_shared_array_get(nbt_shared *shared, uint32_t array, float *out, size_t *rows,
                         size_t *cols);
int nbt_shared_array_set(nbt_shared *shared, uint32_t array, const float *values, size_t rows,
                         size_t cols);

/* Purpose: the same of nbt_peek, and of nbt_interval for its forecast. Arguments: bounds may be
 * NULL. */
int nbt_shared_peek(nbt_shared *shared, float *y, const float *x, void *scratch, size_t bytes,
                    float *bounds);

/* Purpose: the same of nbt_run. Arguments: *waiting receives the forecasts that waited for labels
 * at the start, *skipped the steps that were answered with NBT_SKIPPED. */
int nbt_shared_run(nbt_shared *shared, const nbt_rows *rows, const float *x, const float *label,
                   size_t steps, size_t horizon, size_t *done, size_t *waiting, uint64_t *skipped);

/* Purpose: the same of nbt_anchor_set; NBT_ERR_CONFIG where a sample has been predicted. */
int nbt_shared_anchor_set(nbt_shared *shared, const int32_t *channel);

/* Purpose: the same of nbt_pending. Returns: at most 1048577, or a negative number as above. */
int nbt_shared_pending(nbt_shared *shared);

/* </declarations> */

#endif
