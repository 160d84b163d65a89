/* Selects the version of the step for every call (nbt_simd.h). */
#include "nbt_simd.h"

#include "nbt_layout.h"

#if NBT_SIMD_VERSIONS

uint32_t nbt_simd(const nbt_learner *learner)
{
    uint32_t most = learner == NULL || learner->simd == 0 ? NBT_SIMD_AVX512 : learner->simd - 1;
    /* Tested in every call, since the block of a learner may be moved to another machine. */
    if (most >= NBT_SIMD_AVX512 && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq")) {
        return NBT_SIMD_AVX512;
    }
    return most >= NBT_SIMD_AVX2 && __builtin_cpu_supports("avx2") ? NBT_SIMD_AVX2 : NBT_SIMD_BASE;
}

#define DISPATCH(name, arguments)                         \
    switch (nbt_simd(learner)) {                          \
    case NBT_SIMD_AVX512: return name##_avx512 arguments; \
    case NBT_SIMD_AVX2: return name##_avx2 arguments;     \
    default: return name##_base arguments;                \
    }

nbt_status nbt_predict(nbt_learner *learner, float *y, const float *x)
{
    DISPATCH(nbt_predict, (learner, y, x))
}

nbt_status nbt_learn(nbt_learner *learner, const float *label)
{
    DISPATCH(nbt_learn, (learner, label))
}

nbt_status nbt_variance(nbt_learner *learner, float *variance)
{
    DISPATCH(nbt_variance, (learner, variance))
}

nbt_status nbt_run(nbt_learner *learner, const nbt_rows *rows, const float *x, const float *label,
                   size_t steps, size_t horizon, size_t *done)
{
    DISPATCH(nbt_run, (learner, rows, x, label, steps, horizon, done))
}

#else

uint32_t nbt_simd(const nbt_learner *learner)
{
    (void)learner;
    return NBT_SIMD_BASE;
}

#endif

nbt_status nbt_simd_limit(nbt_learner *learner, uint32_t most)
{
    if (learner == NULL) {
        return NBT_ERR_NULL;
    }
    learner->simd = most < NBT_SIMD_AVX512 ? most + 1 : 0;
    return NBT_OK;
}
