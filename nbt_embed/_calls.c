#include "_calls.h"

/* C99 has neither atomic operations nor thread-local variables. gcc, clang and compilers based on
 * them have the __atomic operations and __thread. Other compilers refuse this file, which only
 * Python needs. */

/* Numbers of threads are assigned in order and never reused: a new thread with the stack and
 * address of an ended one has another number. The child of a fork inherits both variables. */
static uintptr_t last_thread;
static __thread uintptr_t this_thread;

/* In the child of a fork: threads up to this number do not exist, except the one that forked. */
static uintptr_t last_before_fork, forking_thread;

static uintptr_t self(void)
{
    if (this_thread == 0) {
        this_thread = __atomic_add_fetch(&last_thread, 1, __ATOMIC_RELAXED);
    }
    return this_thread;
}

static int is_gone(uintptr_t thread)
{
    return thread <= last_before_fork && thread != forking_thread;
}

void nbt_forked(void)
{
    forking_thread = self();
    last_before_fork = last_thread; /* no other thread exists that could change it */
}

/* Returns NBT_OK, NBT_CALL_BUSY or NBT_CALL_TORN. */
static int enter(nbt_shared *shared)
{
    uintptr_t thread = self(), owner = 0;
    if (__atomic_compare_exchange_n(&shared->owner, &owner, 2 * thread + 1, 0, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED)) {
        return NBT_OK;
    }
    int gone = is_gone(owner / 2);
    if (owner % 2 != 0) { /* this thread cannot be in a call twice: the kernel has no callbacks
                             here */
        return gone ? NBT_CALL_TORN : NBT_CALL_BUSY;
    }
    if ((owner / 2 != thread && !gone) ||
        !__atomic_compare_exchange_n(&shared->owner, &owner, 2 * thread + 1, 0, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED)) {
        return NBT_CALL_BUSY;
    }
    if (gone) { /* the holds of that thread have ended */
        __atomic_store_n(&shared->holds, 0, __ATOMIC_RELAXED);
    }
    return NBT_OK;
}

/* Ends a call; the learner is free if no thread holds it. Another thread may end the last hold at
 * the same time: each of the two changes its own word before it reads that of the other, so one of
 * them sees the change. */
static void leave(nbt_shared *shared)
{
    if (__atomic_load_n(&shared->holds, __ATOMIC_RELAXED) == 0) {
        __atomic_store_n(&shared->owner, 0, __ATOMIC_RELEASE);
        return;
    }
    uintptr_t outside = 2 * self();
    __atomic_store_n(&shared->owner, outside, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&shared->holds, __ATOMIC_SEQ_CST) == 0) {
        __atomic_compare_exchange_n(&shared->owner, &outside, 0, 0, __ATOMIC_SEQ_CST,
                                    __ATOMIC_RELAXED);
    }
}

int nbt_hold_begin(nbt_shared *shared, nbt_hold *hold)
{
    int status = enter(shared);
    if (status == NBT_OK) {
        __atomic_store_n(&hold->thread, self(), __ATOMIC_RELAXED);
        __atomic_add_fetch(&shared->holds, 1, __ATOMIC_SEQ_CST);
        leave(shared);
    }
    return status;
}

void nbt_hold_end(nbt_shared *shared, nbt_hold *hold)
{
    uintptr_t thread = __atomic_exchange_n(&hold->thread, 0, __ATOMIC_SEQ_CST);
    uintptr_t outside = 2 * thread;
    /* A thread with a hold owns the learner, unless the thread does not exist after a fork: all its
     * holds have ended then. */
    if (thread != 0 && __atomic_load_n(&shared->owner, __ATOMIC_SEQ_CST) / 2 == thread &&
        __atomic_sub_fetch(&shared->holds, 1, __ATOMIC_SEQ_CST) == 0) {
        __atomic_compare_exchange_n(&shared->owner, &outside, 0, 0, __ATOMIC_SEQ_CST,
                                    __ATOMIC_RELAXED);
    }
}

/* status = call, excluding other threads. */
#define INSIDE(shared, status, call) \
    int status = enter(shared);      \
    if (status == NBT_OK) {          \
        status = (call);             \
        leave(shared);               \
    }

int nbt_shared_predict(nbt_shared *shared, float *y, const float *x)
{
    INSIDE(shared, status, nbt_predict(shared->learner, y, x))
    return status;
}

int nbt_shared_learn(nbt_shared *shared, const float *label)
{
    INSIDE(shared, status, nbt_learn(shared->learner, label))
    return status;
}

int nbt_shared_variance(nbt_shared *shared, float *variance)
{
    INSIDE(shared, status, nbt_variance(shared->learner, variance))
    return status;
}

int nbt_shared_interval(nbt_shared *shared, float *bounds)
{
    INSIDE(shared, status, nbt_interval(shared->learner, bounds))
    return status;
}

int nbt_shared_student(nbt_shared *shared, float *scale, float *freedom)
{
    INSIDE(shared, status, nbt_student(shared->learner, scale, freedom))
    return status;
}

int nbt_shared_anomaly(nbt_shared *shared, float *score)
{
    INSIDE(shared, status, nbt_anomaly(shared->learner, score))
    return status;
}

int nbt_shared_save(nbt_shared *shared, unsigned char *out, size_t bytes)
{
    INSIDE(shared, status, nbt_save(shared->learner, out, bytes))
    return status;
}

int nbt_shared_reset_state(nbt_shared *shared)
{
    INSIDE(shared, status, nbt_reset_state(shared->learner))
    return status;
}

int nbt_shared_reseed(nbt_shared *shared, uint64_t seed)
{
    INSIDE(shared, status, nbt_reseed(shared->learner, seed))
    return status;
}

int nbt_shared_hash(nbt_shared *shared, uint64_t *hash)
{
    INSIDE(shared, status, (*hash = nbt_hash(shared->learner), NBT_OK))
    return status;
}

int nbt_shared_counters_get(nbt_shared *shared, nbt_counters *counters)
{
    INSIDE(shared, status, nbt_counters_get(shared->learner, counters))
    return status;
}

int nbt_shared_array_get(nbt_shared *shared, uint32_t array, float *out, size_t *rows, size_t *cols)
{
    INSIDE(shared, status, nbt_array_get(shared->learner, array, out, rows, cols))
    return status;
}

int nbt_shared_array_set(nbt_shared *shared, uint32_t array, const float *values, size_t rows,
                         size_t cols)
{
    INSIDE(shared, status, nbt_array_set(shared->learner, array, values, rows, cols))
    return status;
}

static int peek(const nbt_learner *learner, float *y, const float *x, void *scratch, size_t bytes,
                float *bounds)
{
    int status = nbt_peek(learner, y, x, scratch, bytes);
    if (status >= 0 && bounds != NULL) {
        int bounded = nbt_interval((const nbt_learner *)scratch, bounds);
        status = bounded == NBT_OK ? status : bounded;
    }
    return status;
}

int nbt_shared_peek(nbt_shared *shared, float *y, const float *x, void *scratch, size_t bytes,
                    float *bounds)
{
    INSIDE(shared, status, peek(shared->learner, y, x, scratch, bytes, bounds))
    return status;
}

static uint64_t skipped_by(const nbt_learner *learner)
{
    nbt_counters counters;
    nbt_counters_get(learner, &counters);
    return counters.skipped;
}

int nbt_shared_run(nbt_shared *shared, const nbt_rows *rows, const float *x, const float *label,
                   size_t steps, size_t horizon, size_t *done, size_t *waiting, uint64_t *skipped)
{
    int status = enter(shared);
    if (status == NBT_OK) {
        nbt_learner *learner = shared->learner;
        uint64_t before = skipped_by(learner);
        *waiting = nbt_pending(learner);
        status = nbt_run(learner, rows, x, label, steps, horizon, done);
        *skipped = skipped_by(learner) - before;
        leave(shared);
    }
    return status;
}

int nbt_shared_anchor_set(nbt_shared *shared, const int32_t *channel)
{
    INSIDE(shared, status, nbt_anchor_set(shared->learner, channel))
    return status;
}

int nbt_shared_pending(nbt_shared *shared)
{
    INSIDE(shared, status, (int)nbt_pending(shared->learner)) /* max_delay + 1 at most */
    return status;
}
