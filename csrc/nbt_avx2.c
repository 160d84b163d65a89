/* The step for x86-64 processors with AVX2; empty without NBT_DISPATCH. */
#define NBT_LOCAL static __attribute__((unused))
#define NBT_VERSION(name) name##_avx2
#include "nbt_simd.h"

#if NBT_SIMD_VERSIONS
#include <string.h>

NBT_SIMD_BEGIN("avx2")
#include "nbt_step.inc"
NBT_SIMD_END
#endif
