/* The step for x86-64 processors with AVX-512; empty without NBT_DISPATCH. */
#define NBT_LOCAL static __attribute__((unused))
#define NBT_VERSION(name) name##_avx512
#include "nbt_simd.h"

#if NBT_SIMD_VERSIONS
#include <string.h>

NBT_SIMD_BEGIN(NBT_SIMD_TARGET_512)
#include "nbt_step.inc"
NBT_SIMD_END
#endif
