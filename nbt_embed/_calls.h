/* The kernel's calls for Python, with protection against concurrent calls on the same learner.
 *
 * The kernel runs without Python's global lock, so two threads could call the same learner at once.
 * Every Python call on a learner therefore acquires it first and releases it before it returns to
 * Python. No signal handler and no exception can run in between and leave a learner acquired. A
 * thread that has to exclude others between its calls (a replay) holds the learner. No call ever
 * waits. A firmware does not need this, so it is not part of csrc/. */
#ifndef NBT_CALLS_H
#define NBT_CALLS_H

#include "nbt.h"

/* The declarations between the two marker lines are also read by the Python wrapper. */
/* <declarations> */

/* In addition to the numbers of nbt_status; the call had no effect. */
enum {
    NBT_CALL_BUSY = -100, /* another thread is in a call of the learner, or holds it */
    NBT_CALL_TORN = -101  /* a thread was in a call when this process was forked, and does not exist
                             here */
};

/* A learner that several threads may use, and its owner. A thread is a number that is unique in
 * this process and in those from which it was forked; 0 is no thread. */
typedef struct nbt_shared {
    nbt_learner *learner;
    uintptr_t owner; /* twice the owning thread, plus 1 while it is in a call of the kernel */
    uintptr_t holds; /* how many holds the owner has; 0: it owns the learner for one call only */
} nbt_shared;

/* One hold of a learner by a thread. */
typedef struct nbt_hold {
    uintptr_t thread; /* 0: not begun, or ended */
} nbt_hold;

/* Purpose: exclude other threads until nbt_hold_end. A thread may hold a learner several times.
 * Returns: NBT_OK, NBT_CALL_BUSY or NBT_CALL_TORN. Cost: O(1), never waits. */
int nbt_hold_begin(nbt_shared *shared, nbt_hold *hold);

/* Purpose: end a hold, from any thread; no effect if it has not begun or has ended. */
void nbt_hold_end(nbt_shared *shared, nbt_hold *hold);

/* Purpose: call this in the child after a fork, where only the calling thread exists. Holds of
 * other threads are released; a learner that they were in a call of is refused with
 * NBT_CALL_TORN. */
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

/* Purpose: the same for nbt_peek, and for nbt_interval of its forecast.
 * Arguments: bounds may be NULL. */
int nbt_shared_peek(nbt_shared *shared, float *y, const float *x, void *scratch, size_t bytes,
                    float *bounds);

/* Purpose: the same for nbt_run.
 * Arguments: *waiting receives the number of forecasts that waited for labels at the start,
 * *skipped the number of steps that returned NBT_SKIPPED. */
int nbt_shared_run(nbt_shared *shared, const nbt_rows *rows, const float *x, const float *label,
                   size_t steps, size_t horizon, size_t *done, size_t *waiting, uint64_t *skipped);

/* Purpose: the same for nbt_anchor_set; NBT_ERR_CONFIG if a sample has been predicted. */
int nbt_shared_anchor_set(nbt_shared *shared, const int32_t *channel);

/* Purpose: the same for nbt_pending.
 * Returns: at most 1048577, or a negative number as above. */
int nbt_shared_pending(nbt_shared *shared);

/* </declarations> */

#endif
