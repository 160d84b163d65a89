/* Versions of the step for wider vector units, chosen at run time (nbt_dispatch.c).
 *
 * With NBT_DISPATCH defined, on x86-64, gcc or clang, the files of one step (nbt_step.inc) are
 * compiled once as they are and once more for every instruction set below; all give the same bits.
 * Everywhere else there is one version, for the compiler's target options. */
#ifndef NBT_SIMD_H
#define NBT_SIMD_H

#include "nbt.h"
#include "nbt_float.h"

#if defined(NBT_DISPATCH) && defined(__GNUC__) && defined(__x86_64__)
#define NBT_SIMD_VERSIONS 1
#else
#define NBT_SIMD_VERSIONS 0
#endif

/* Linkage of the functions shared by the files of the step: static in each version where a program
 * has several. */
#ifndef NBT_LOCAL
#define NBT_LOCAL
#endif

/* Name of a function of nbt.h in this version. */
#ifndef NBT_VERSION
#if NBT_SIMD_VERSIONS
#define NBT_VERSION(name) name##_base
#else
#define NBT_VERSION(name) name
#endif
#endif

#if NBT_SIMD_VERSIONS
#define NBT_SIMD_DECLARE(suffix)                                                           \
    nbt_status nbt_predict##suffix(nbt_learner *learner, float *y, const float *x);        \
    nbt_status nbt_learn##suffix(nbt_learner *learner, const float *label);                \
    nbt_status nbt_variance##suffix(nbt_learner *learner, float *variance);                \
    nbt_status nbt_run##suffix(nbt_learner *learner, const nbt_rows *rows, const float *x, \
                               const float *label, size_t steps, size_t horizon, size_t *done)
NBT_SIMD_DECLARE(_base);
NBT_SIMD_DECLARE(_avx2);
NBT_SIMD_DECLARE(_avx512);

/* The code up to NBT_SIMD_END is compiled for an instruction set. */
#define NBT_SIMD_PRAGMA(text) _Pragma(#text)
#define NBT_SIMD_SETS_512 "avx2,avx512f,avx512vl,avx512bw,avx512dq"
#if defined(__clang__)
#define NBT_SIMD_TARGET_512 NBT_SIMD_SETS_512
#define NBT_SIMD_BEGIN(set) \
    NBT_SIMD_PRAGMA(clang attribute push(__attribute__((target(set))), apply_to = function))
#define NBT_SIMD_END NBT_SIMD_PRAGMA(clang attribute pop)
#else
#define NBT_SIMD_TARGET_512 NBT_SIMD_SETS_512 ",prefer-vector-width=512"
#define NBT_SIMD_BEGIN(set) NBT_SIMD_PRAGMA(GCC push_options) NBT_SIMD_PRAGMA(GCC target(set))
#define NBT_SIMD_END NBT_SIMD_PRAGMA(GCC pop_options)
#endif
#endif

#endif
