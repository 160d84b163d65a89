/* The requirements on float arithmetic: every operation rounds once, to float32, as IEEE 754
 * defines it, and none is reordered, merged or omitted. Compiler options that violate this are
 * refused here, since their results differ from those of other builds. Contraction to fused
 * multiply-add defines no macro and cannot be refused: compile with -ffp-contract=off. */
#ifndef NBT_FLOAT_H
#define NBT_FLOAT_H

#include <float.h>

#if defined(__FAST_MATH__)
#error "nbt: compile without -ffast-math and -Ofast (or add -fno-fast-math): they change the bits"
#endif
#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ > 0
#error "nbt: compile with -fno-finite-math-only: a NaN has to be seen"
#endif
#if defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error "nbt: compile with -fno-unsafe-math-optimizations: they change the bits"
#endif
/* 16 only affects _Float16. */
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "nbt: float is not evaluated as float here; on x86 compile with -msse2 -mfpmath=sse"
#endif

#endif
