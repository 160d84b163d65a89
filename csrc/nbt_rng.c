#include "nbt_rng.h"

NBT_LOCAL void nbt_rng_seed(uint32_t state[4], uint64_t seed)
{
    for (size_t half = 0; half < 2; half++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t mixed = seed;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
        mixed ^= mixed >> 31;
        state[2 * half] = (uint32_t)mixed;
        state[2 * half + 1] = (uint32_t)(mixed >> 32);
    }
}

static uint32_t rotate(uint32_t x, unsigned bits)
{
    return (x << bits) | (x >> (32u - bits));
}

NBT_LOCAL uint32_t nbt_rng_next(uint32_t state[4])
{
    uint32_t result = rotate(state[0] + state[3], 7) + state[0];
    uint32_t shifted = state[1] << 9;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate(state[3], 11);
    return result;
}

NBT_LOCAL float nbt_rng_uniform(uint32_t state[4])
{
    return (float)(nbt_rng_next(state) >> 8) * (1.0f / 8388608.0f) - 1.0f;
}

NBT_LOCAL void nbt_rng_skip_signs(uint32_t state[4], size_t n)
{
    for (size_t i = 0; i < n; i += 32) {
        nbt_rng_next(state);
    }
}

NBT_LOCAL void nbt_rng_signs(uint32_t state[4], float *sign, size_t n)
{
    for (size_t i = 0; i < n; i += 32) {
        uint32_t word = nbt_rng_next(state);
        uint32_t left = n - i < 32 ? (uint32_t)(n - i) : 32u;
        for (uint32_t bit = 0; bit < left; bit++) {
            sign[i + bit] = 1.0f - 2.0f * (float)(int32_t)(word >> bit & 1u);
        }
    }
}
