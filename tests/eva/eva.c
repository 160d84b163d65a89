/* What Frama-C's Eva is asked to prove free of run-time errors: `make prove` (docs/evidence/security.md).
 *
 * Each entry calls one part of the kernel with everything that a caller may give it. */
#include "__fc_builtin.h"

#include "nbt.h"
#include "nbt_checkpoint.h"
#include "nbt_delay.h"
#include "nbt_math.h"
#include "nbt_rng.h"

enum { BYTES = 260, RING = 12 };

static float any_float(void)
{
    return nbt_from_bits((uint32_t)Frama_C_unsigned_int_interval(0, 0xffffffffu));
}

/* Elementary functions: every bit pattern, NaN and infinities included. */
void prove_math(void)
{
    float x = any_float();
    float sum = nbt_expf(x);
    sum = nbt_logf(x);
    sum = nbt_tanhf(x);
    sum = nbt_sigmoidf(x);
    sum = nbt_clamp(x, any_float(), any_float());
    (void)sum;
}

/* Generator: every state. */
void prove_rng(void)
{
    uint32_t state[4];
    uint64_t seed = (uint64_t)Frama_C_unsigned_long_long_interval(0, UINT64_MAX);
    nbt_rng_seed(state, seed);
    (void)nbt_rng_uniform(state);
    for (size_t i = 0; i < 4; i++) {
        state[i] = (uint32_t)Frama_C_unsigned_int_interval(0, 0xffffffffu);
    }
    (void)nbt_rng_next(state);
    (void)nbt_rng_uniform(state);
}

/* Ring of inputs: every geometry up to RING floats, every place. */
void prove_ring(void)
{
    float data[RING], x[RING];
    for (size_t i = 0; i < RING; i++) {
        data[i] = any_float();
    }
    for (size_t capacity = 1; capacity <= RING; capacity++) {
        for (size_t n_in = 1; n_in * capacity <= RING; n_in++) {
            for (size_t head = 0; head < capacity; head++) {
                for (size_t age = 0; age < capacity; age++) {
                    nbt_ring ring = {data, capacity, n_in, head};
                    nbt_ring_taps(&ring, x, age, capacity - age);
                }
            }
        }
    }
}

/* Header, length, CRC and configuration of a checkpoint: any bytes, of every length around those at
 * which the parser decides. */
void prove_header(void)
{
    static const size_t from[] = {0, 190, 195, 250, 255};
    unsigned char data[BYTES];
    nbt_config config;
    for (size_t i = 0; i < BYTES; i++) {
        data[i] = (unsigned char)Frama_C_interval(0, 255);
    }
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
        for (size_t n = from[i]; n < from[i] + 4; n++) {
            (void)nbt_load_config(data, n, &config);
        }
    }
}
