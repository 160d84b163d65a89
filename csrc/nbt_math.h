/* Inline elementary functions: only + - * / and integer operations on the bits, no data-dependent
 * branch, so that loops over them vectorise and every target gives the same bits.
 * Polynomial coefficients: weighted minimax fits (Lawson iteration), rounded to float32. */
#ifndef NBT_MATH_H
#define NBT_MATH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nbt_float.h"

/* Without optimisation inlining would make functions too long for the branches of Thumb-2. */
#if defined(__GNUC__) && defined(__OPTIMIZE__)
#define NBT_INLINE static inline __attribute__((always_inline, unused))
#elif defined(__GNUC__)
#define NBT_INLINE static inline __attribute__((unused))
#else
#define NBT_INLINE static inline
#endif

#if defined(__GNUC__)
#define NBT_NOINLINE __attribute__((noinline))
#define NBT_RESTRICT __restrict__
#else
#define NBT_NOINLINE
#define NBT_RESTRICT
#endif

/* A small function with many callers: inline, but a normal function in a build for size. */
#if defined(__GNUC__) && defined(__OPTIMIZE_SIZE__)
#define NBT_INLINE_IF_FAST static __attribute__((noinline, unused))
#else
#define NBT_INLINE_IF_FAST NBT_INLINE
#endif

/* A function whose stack frame is released when it returns, in a build for size. If it were inlined
 * into its only caller, its variables would occupy the stack during all later calls. */
#if defined(__GNUC__) && defined(__OPTIMIZE_SIZE__)
#define NBT_OWN_FRAME NBT_NOINLINE
#else
#define NBT_OWN_FRAME
#endif

/* Compilation fails if the condition does not hold. */
#define NBT_ASSERT(name, condition) typedef char name[(condition) ? 1 : -1]

/* Whether the processor has an instruction for the square root of a float; IEEE 754 requires it to
 * round correctly. 0 for processors that are not listed. A build may set 1 if its processor has the
 * instruction and its compiler uses it for sqrtf. */
#ifndef NBT_SQRT_INSTRUCTION
#if defined(__SSE__) || defined(_M_X64) || defined(__aarch64__) || defined(_M_ARM64) || \
    (defined(__ARM_FP) && (__ARM_FP & 4) != 0) ||                                       \
    (defined(__riscv_flen) && defined(__riscv_fsqrt)) || defined(_ARCH_PPCSQ) ||        \
    defined(__s390__) || defined(__wasm__) || defined(__loongarch_single_float)
#define NBT_SQRT_INSTRUCTION 1
#else
#define NBT_SQRT_INSTRUCTION 0
#endif
#endif
#if NBT_SQRT_INSTRUCTION && !defined(__GNUC__)
#include <math.h>
#endif

/* Rows that a vector unit processes at once (nbt_matrices.h). */
#ifndef NBT_LANES
#define NBT_LANES 1
#endif

/* Functions that have to be inline for a loop over them to vectorise; normal functions without
 * lanes. */
#if NBT_LANES > 1
#define NBT_INLINE_LANES NBT_INLINE
#else
#define NBT_INLINE_LANES static inline
#endif

/* Added where a norm is a divisor; far below any norm that matters. */
#define NBT_TINY 1e-12f
/* A scalar of the step beyond this counts as overflow, long before float32 overflows. */
#define NBT_HUGE 1e18f

/* The NaN that is saved; the bits of computed NaN differ between processors. */
#define NBT_NAN_BITS 0x7fc00000u

NBT_INLINE uint32_t nbt_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

NBT_INLINE float nbt_from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* 1 for a finite number, 0 for NaN and infinities. */
NBT_INLINE int nbt_is_finite(float x)
{
    return (nbt_bits(x) & 0x7f800000u) != 0x7f800000u;
}

NBT_INLINE int nbt_is_nan(float x)
{
    return (nbt_bits(x) & 0x7fffffffu) > 0x7f800000u;
}

NBT_INLINE float nbt_abs(float x)
{
    return nbt_from_bits(nbt_bits(x) & 0x7fffffffu);
}

/* yes (0 or 1) ? a : b, with the same number of instructions for both. Without lanes a compiler
 * would use a branch; with lanes it has a better instruction, and with -Os the shorter code is
 * preferred. Only with -Os do steps differ in the instructions that they execute. */
NBT_INLINE float nbt_select(int yes, float a, float b)
{
#if NBT_LANES > 1 || defined(__OPTIMIZE_SIZE__)
    return yes ? a : b;
#elif defined(__GNUC__) && defined(__arm__) && defined(__ARM_FP) && (__ARM_FP & 4) != 0
    /* If both values are in registers, ARM compilers use a conditional move. */
    __asm__("" : "+t"(a), "+t"(b));
    return yes ? a : b;
#else
    uint32_t mask = 0u - (uint32_t)yes;
    return nbt_from_bits(nbt_bits(b) ^ ((nbt_bits(a) ^ nbt_bits(b)) & mask));
#endif
}

/* Increments a counter up to the largest number: it must not wrap to 0. */
NBT_INLINE void nbt_count(uint64_t *counter, int yes)
{
    *counter += (uint64_t)(yes && *counter < UINT64_MAX);
}

/* (float)n, correctly rounded, with 32-bit operations: compilers for small processors have a large
 * routine for 64 bits. */
NBT_INLINE float nbt_float_of(uint64_t n)
{
    uint32_t high = (uint32_t)(n >> 32), low = (uint32_t)n;
    float scale = 1.0f;
    for (; high != 0; high >>= 1) {
        /* The bits shifted out are kept in the lowest bit, far below the 24 bits of the result. */
        low = high << 31 | low >> 1 | (low & 1u);
        scale *= 2.0f;
    }
    return (float)low * scale;
}

/* NaN stays NaN, since both comparisons are false. */
NBT_INLINE_IF_FAST float nbt_clamp(float x, float low, float high)
{
    x = nbt_select(x < low, low, x);
    return nbt_select(x > high, high, x);
}

/* e^x = 2^n e^r, n = round(x / ln 2), |r| <= ln 2 / 2, e^r = 1 + r + r^2 P(r). Adding and
 * subtracting 1.5 * 2^23 rounds to an integer and leaves it in the low bits. */
NBT_INLINE_LANES float nbt_exp(float x)
{
    const float shift = 12582912.0f;
    x = nbt_clamp(x, -87.0f, 88.0f);
    float rounded = x * 1.44269504f + shift;
    uint32_t exponent = nbt_bits(rounded) << 23;
    float n = rounded - shift;
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 0.00139506f * r + 0.00836895f;
    p = p * r + 0.0416662f;
    p = p * r + 0.16666518f;
    p = p * r + 0.50000001f;
    p = (p * r) * r + r + 1.0f;
    float result = nbt_from_bits(nbt_bits(p) + exponent);
    return nbt_select(x == x, result, x); /* adding to the bits of a NaN could make it a number */
}

/* log x = e ln 2 + log(1 + r), 1 + r in [sqrt(1/2), sqrt 2), log(1+r) = r - r^2/2 + r^3 P(r). */
NBT_INLINE_LANES float nbt_log(float x)
{
    x = nbt_select(x < 1.17549435e-38f, 1.17549435e-38f, x);
    uint32_t shifted = nbt_bits(x) - 0x3f3504f3u; /* 0 at sqrt(1/2) */
    float r = nbt_from_bits((shifted & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    float e = (float)((int32_t)(shifted >> 23) - (int32_t)((shifted >> 31) << 9));
    float p = -0.07865448f * r + 0.128792f;
    p = p * r - 0.13125296f;
    p = p * r + 0.1418142f;
    p = p * r - 0.1662497f;
    p = p * r + 0.20002283f;
    p = p * r - 0.25000797f;
    p = p * r + 0.33333317f;
    float square = r * r;
    float result = (p * square) * r - e * 2.12194440e-4f - 0.5f * square + r + e * 0.693359375f;
    return nbt_select(nbt_is_finite(x), result, x);
}

NBT_INLINE_LANES float nbt_sigmoid(float x)
{
    return 1.0f / (1.0f + nbt_exp(-x));
}

/* Near 0 an odd polynomial keeps the relative error; elsewhere 1 - 2 / (e^{2|x|} + 1). */
NBT_INLINE_LANES float nbt_tanh(float x)
{
    uint32_t sign = nbt_bits(x) & 0x80000000u;
    float size = nbt_abs(x);
    float square = x * x;
    float p = -0.00571469f * square + 0.02064857f;
    p = p * square - 0.05374291f;
    p = p * square + 0.13331485f;
    p = p * square - 0.33333284f;
    float inner = x + (x * square) * p;
    float outer = 1.0f - 2.0f / (nbt_exp(2.0f * size) + 1.0f);
    return nbt_select(size < 0.625f, inner, nbt_from_bits(nbt_bits(outer) | sign));
}

/* cos and sin of an angle in [0, pi], by polynomials around pi / 2. */
NBT_INLINE_LANES float nbt_cos(float angle)
{
    float t = angle - 1.57079633f;
    float square = t * t;
    float p = 2.59048852e-6f * square - 1.98008973e-4f;
    p = p * square + 0.0083328998f;
    p = p * square - 0.166666478f;
    return -(t + (t * square) * p);
}

NBT_INLINE_LANES float nbt_sin(float angle)
{
    float t = angle - 1.57079633f;
    float square = t * t;
    float p = -2.60515094e-7f * square + 2.4760162e-5f;
    p = p * square - 0.00138883619f;
    p = p * square + 0.0416666381f;
    p = p * square - 0.5f;
    return p * square + 1.0f;
}

/* The square root by integers (nbt_math.c), for processors without an instruction for it. */
#if defined(__GNUC__)
__attribute__((const, noinline)) /* as compilers declare sqrtf */
#endif
float nbt_math_root(float x);

/* Square root, correctly rounded: the instruction, or nbt_math_root by integers, with the same
 * bits. */
NBT_INLINE float nbt_sqrt(float x)
{
#if NBT_SQRT_INSTRUCTION && defined(__GNUC__)
    return __builtin_sqrtf(x); /* with -fno-math-errno an instruction even at -O0 */
#elif NBT_SQRT_INSTRUCTION
    return sqrtf(x);
#else
    return nbt_math_root(x);
#endif
}

NBT_INLINE_LANES void nbt_copy(float *to, const float *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
    }
}

NBT_INLINE void nbt_fill(float *to, float value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = value;
    }
}

/* Whether all of x (n) are numbers: neither NaN nor infinite. */
NBT_INLINE_LANES int nbt_are_finite(const float *x, size_t n)
{
    int finite = 1;
    for (size_t i = 0; i < n; i++) {
        finite &= nbt_is_finite(x[i]);
    }
    return finite;
}

/* Sum of a_i b_i in a fixed order that a vector unit can follow: eight partial sums over i mod 8,
 * then pairwise. The order is part of the numeric contract. */
#if NBT_LANES > 1
NBT_INLINE float nbt_dot(const float *a, const float *b, size_t n)
{
    float part[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (size_t k = 0; k < 8; k++) {
            part[k] += a[i + k] * b[i + k];
        }
    }
    size_t k = 0;
    if (i + 4 <= n) {
        for (; k < 4; k++) {
            part[k] += a[i + k] * b[i + k];
        }
    }
    for (; i + k < n; k++) {
        part[k] += a[i + k] * b[i + k];
    }
    return ((part[0] + part[4]) + (part[2] + part[6])) +
           ((part[1] + part[5]) + (part[3] + part[7]));
}
#else
/* The same sums in registers. */
static inline float nbt_dot(const float *a, const float *b, size_t n)
{
    float p0 = 0.0f, p1 = 0.0f, p2 = 0.0f, p3 = 0.0f, p4 = 0.0f, p5 = 0.0f, p6 = 0.0f, p7 = 0.0f;
    for (; n >= 8; n -= 8, a += 8, b += 8) {
        p0 += a[0] * b[0];
        p1 += a[1] * b[1];
        p2 += a[2] * b[2];
        p3 += a[3] * b[3];
        p4 += a[4] * b[4];
        p5 += a[5] * b[5];
        p6 += a[6] * b[6];
        p7 += a[7] * b[7];
    }
    if (n > 0) {
        p0 += a[0] * b[0];
    }
    if (n > 1) {
        p1 += a[1] * b[1];
    }
    if (n > 2) {
        p2 += a[2] * b[2];
    }
    if (n > 3) {
        p3 += a[3] * b[3];
    }
    if (n > 4) {
        p4 += a[4] * b[4];
    }
    if (n > 5) {
        p5 += a[5] * b[5];
    }
    if (n > 6) {
        p6 += a[6] * b[6];
    }
    return ((p0 + p4) + (p2 + p6)) + ((p1 + p5) + (p3 + p7));
}
#endif

#endif
