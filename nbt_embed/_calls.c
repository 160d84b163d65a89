#include "_calls.h"

/* C99 has neither atomic operations nor variables of a thread. gcc, clang and what is made of them have the
 * __atomic operations and __thread; any other compiler refuses this file, which Python alone needs. */

/* Its address is another one in every thread that is alive, and never 0. */
static __thread char here;

int nbt_turn_take(nbt_turn *turn)
{
    uintptr_t self = (uintptr_t)&here, nobody = 0;
    /* Only this thread can have written its own address there, so this load needs no order. */
    if (__atomic_load_n(&turn->owner, __ATOMIC_RELAXED) != self &&
        !__atomic_compare_exchange_n(&turn->owner, &nobody, self, 0, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED)) {
        return 0;
    }
    turn->depth++;
    return 1;
}

void nbt_turn_return(nbt_turn *turn)
{
    if (--turn->depth == 0) {
        __atomic_store_n(&turn->owner, (uintptr_t)0, __ATOMIC_RELEASE);
    }
}

int nbt_sample_predict(const nbt_sample *sample)
{
    if (!nbt_turn_take(sample->turn)) {
        return NBT_CALL_BUSY;
    }
    int status = nbt_predict(sample->learner, sample->y, sample->x);
    nbt_turn_return(sample->turn);
    return status;
}

int nbt_sample_learn(const nbt_sample *sample)
{
    if (!nbt_turn_take(sample->turn)) {
        return NBT_CALL_BUSY;
    }
    int status = nbt_learn(sample->learner, sample->label);
    nbt_turn_return(sample->turn);
    return status;
}

int nbt_sample_pending(const nbt_sample *sample)
{
    if (!nbt_turn_take(sample->turn)) {
        return NBT_CALL_BUSY;
    }
    size_t pending = nbt_pending(sample->learner);
    nbt_turn_return(sample->turn);
    return (int)pending; /* max_delay + 1 at most */
}
