/* Integer generator xoshiro128++ (Blackman and Vigna 2018); its state is part of the learner. */
#ifndef NBT_RNG_H
#define NBT_RNG_H

#include <stddef.h>
#include <stdint.h>

#include "nbt_simd.h"

/* state (4) from the splitmix64 sequence of seed: never all zero. */
NBT_LOCAL void nbt_rng_seed(uint32_t state[4], uint64_t seed);

/* The next 32 uniform bits. */
NBT_LOCAL uint32_t nbt_rng_next(uint32_t state[4]);

/* Uniform in [-1, 1), 24 bits. */
NBT_LOCAL float nbt_rng_uniform(uint32_t state[4]);

/* sign (n): independent +1 or -1, one bit each, ceil(n / 32) words. */
NBT_LOCAL void nbt_rng_signs(uint32_t state[4], float *sign, size_t n);

/* Skips the numbers that nbt_rng_signs would draw. */
NBT_LOCAL void nbt_rng_skip_signs(uint32_t state[4], size_t n);

#endif
