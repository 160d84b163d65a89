#include "nbt_delay.h"

static size_t slot_of(const nbt_ring *ring, size_t age)
{
    return ring->head >= age ? ring->head - age : ring->head + ring->capacity - age;
}

NBT_LOCAL float *nbt_ring_slot(const nbt_ring *ring, size_t age)
{
    return ring->data + slot_of(ring, age) * ring->n_in;
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

NBT_LOCAL void nbt_ring_channel(const nbt_ring *ring, float *x, size_t channel, size_t age,
                                size_t lags)
{
    size_t n_in = ring->n_in, back = (ring->capacity - 1) * n_in;
    size_t at = slot_of(ring, age) * n_in + channel;
    for (size_t lag = 0; lag < lags; lag++) {
        x[lag] = ring->data[at];
        at = at < n_in ? at + back : at - n_in;
    }
}
