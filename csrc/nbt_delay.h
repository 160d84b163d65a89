/* The ring of scaled inputs: those that wait for a label, and the lagged values before them. */
#ifndef NBT_DELAY_H
#define NBT_DELAY_H

#include <stddef.h>

#include "nbt_simd.h"

typedef struct nbt_ring {
    float *data;     /* (capacity, n_in) */
    size_t capacity; /* max_delay + lags */
    size_t n_in;
    size_t head; /* slot of the newest sample */
} nbt_ring;

/* The slot of the sample `age` samples before the newest one, (n_in) floats; age < capacity. */
NBT_LOCAL float *nbt_ring_slot(const nbt_ring *ring, size_t age);

/* x (lags * n_in): the sample of that age and the lags - 1 before it, newest first. */
NBT_LOCAL void nbt_ring_taps(const nbt_ring *ring, float *x, size_t age, size_t lags);

/* x (lags): the same of one channel. */
NBT_LOCAL void nbt_ring_channel(const nbt_ring *ring, float *x, size_t channel, size_t age,
                                size_t lags);

#endif
