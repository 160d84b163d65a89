#include "nbt_delay.h"

NBT_LOCAL float *nbt_ring_slot(const nbt_ring *ring, size_t age)
{
    size_t slot = ring->head >= age ? ring->head - age : ring->head + ring->capacity - age;
    return ring->data + slot * ring->n_in;
}

NBT_LOCAL void nbt_ring_taps(const nbt_ring *ring, float *x, size_t age, size_t lags)
{
    for (size_t lag = 0; lag < lags; lag++) {
        const float *sample = nbt_ring_slot(ring, age + lag);
        for (size_t i = 0; i < ring->n_in; i++) {
            x[lag * ring->n_in + i] = sample[i];
        }
    }
}
