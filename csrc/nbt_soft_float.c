/* IEEE 754 single-precision arithmetic in integers, for processors without an FPU: ARMv6-M and
 * ARMv8-M baseline (Cortex-M0, M0+, M1, M23) and RV32 without F. It is faster than the routines of
 * the compilers.
 *
 * NBT_SOFT_FLOAT=1: the functions at the end have the names that compilers call for + - * / and
 * comparisons of floats. The linker uses them instead of those of libgcc or compiler-rt, in the
 * whole program. The bits are the same: round to nearest, ties to even, denormal numbers,
 * infinities. Sign and payload of a NaN are not specified. NBT_SOFT_FLOAT=2: the functions have
 * other names, for tests on a machine with an FPU. NBT_SOFT_FLOAT=0, the default: this file is
 * empty.
 *
 * Every operation has a fast path for usual numbers with a minimum of checks, and a separate
 * function for all others. The bits lost by rounding are computed only if they can matter: if the
 * seven bits below the last place are exactly one half. docs/evidence/size.md has the cost on a
 * Cortex-M0 and an RV32IMAC. Rounding: D. Goldberg, What every computer scientist should know about
 * floating-point arithmetic, ACM Computing Surveys 23(1), 1991. */
#include "nbt_math.h"

#ifndef NBT_SOFT_FLOAT
#define NBT_SOFT_FLOAT 0
#endif

#if NBT_SOFT_FLOAT != 0

#if NBT_SOFT_FLOAT == 2
#define ADD nbt_soft_add
#define SUBTRACT nbt_soft_subtract
#define MULTIPLY nbt_soft_multiply
#define DIVIDE nbt_soft_divide
#define EQUAL nbt_soft_eq
#define LESS nbt_soft_lt
#define LESS_OR_EQUAL nbt_soft_le
#define GREATER nbt_soft_gt
#define GREATER_OR_EQUAL nbt_soft_ge
#define ORDER_EQUAL nbt_soft_order_eq
#define ORDER_NOT_EQUAL nbt_soft_order_ne
#define ORDER_LESS nbt_soft_order_lt
#define ORDER_LESS_OR_EQUAL nbt_soft_order_le
#define ORDER_GREATER nbt_soft_order_gt
#define ORDER_GREATER_OR_EQUAL nbt_soft_order_ge
#elif defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
#define ADD __aeabi_fadd
#define SUBTRACT __aeabi_fsub
#define MULTIPLY __aeabi_fmul
#define DIVIDE __aeabi_fdiv
#define EQUAL __aeabi_fcmpeq
#define LESS __aeabi_fcmplt
#define LESS_OR_EQUAL __aeabi_fcmple
#define GREATER __aeabi_fcmpgt
#define GREATER_OR_EQUAL __aeabi_fcmpge
#elif defined(__riscv) && __riscv_xlen == 32 && !defined(__riscv_flen)
#define ADD __addsf3
#define SUBTRACT __subsf3
#define MULTIPLY __mulsf3
#define DIVIDE __divsf3
#define ORDER_EQUAL __eqsf2
#define ORDER_NOT_EQUAL __nesf2
#define ORDER_LESS __ltsf2
#define ORDER_LESS_OR_EQUAL __lesf2
#define ORDER_GREATER __gtsf2
#define ORDER_GREATER_OR_EQUAL __gesf2
#else
#error "NBT_SOFT_FLOAT=1 is for ARMv6-M, ARMv8-M baseline and RV32 without F: compile without it"
#endif

#if defined(__GNUC__)
#define RARE(condition) __builtin_expect((condition) != 0, 0)
/* With -flto, compilers search for these names only after functions without callers have been
 * removed. */
#define CALLED __attribute__((used))
#else
#define RARE(condition) (condition)
#define CALLED
#endif

#define SIGN 0x80000000u
#define INFINITE 0x7f800000u
#define QUIET 0x7fc00000u
/* The leading bit of a significand that has 7 bits below its last place. */
#define LEADING 0x40000000u

/* The significand of a normal number, from bit 31 on. */
NBT_INLINE uint32_t high_of(uint32_t x)
{
    return x << 8 | SIGN;
}

/* The significand of a normal number without its leading bit, with 7 bits below the last place. */
NBT_INLINE uint32_t fraction_of(uint32_t x)
{
    return (x << 9) >> 2;
}

static int is_nan(uint32_t x)
{
    return x << 1 > INFINITE << 1;
}

/* ---- unusual numbers ---- */

/* The significand of a number other than 0, with its leading bit at 23, and the matching exponent:
 * below 1 for a denormal number. */
static uint32_t normal_of(uint32_t x, int32_t *exponent)
{
    uint32_t m = x & 0x007fffffu;
    int32_t e = (int32_t)(x >> 23 & 255u);
    if (e != 0) {
        m |= 0x00800000u;
    } else {
        for (e = 1; m < 0x00800000u; e--) {
            m <<= 1;
        }
    }
    *exponent = e;
    return m;
}

/* m >> by, with the lowest bit set if a bit is lost. */
static uint32_t shifted(uint32_t m, int32_t by)
{
    return by > 31 ? 1u : m >> by | (uint32_t)(m << ((32 - by) & 31) != 0u && by > 0);
}

/* The number with a sign, any exponent and a significand that has 7 bits below its last place.
 * The lowest bit is set if more bits were lost. The significand is below LEADING only for
 * exponent 1. */
static uint32_t rounded(uint32_t sign, int32_t exponent, uint32_t m)
{
    if (exponent > 254) {
        return sign | INFINITE;
    }
    if (exponent < 1) {
        m = shifted(m, 1 - exponent);
        exponent = 1;
    }
    return sign | ((((uint32_t)exponent - 1u) << 23) + ((m + 0x3fu + (m >> 7 & 1u)) >> 7));
}

/* a + b, |a| >= |b|. */
static NBT_NOINLINE uint32_t add_unusual(uint32_t a, uint32_t b)
{
    if (a << 1 >= INFINITE << 1) {
        return is_nan(a) || (a ^ b) == SIGN ? QUIET : a;
    }
    if (b << 1 == 0u) {
        return a << 1 == 0u ? a & b : a;
    }
    int32_t e = (int32_t)(a >> 23 & 255u), f = (int32_t)(b >> 23 & 255u);
    uint32_t m = fraction_of(a), n = fraction_of(b);
    if (e != 0) {
        m |= LEADING;
    } else {
        e = 1;
    }
    if (f != 0) {
        n |= LEADING;
    } else {
        f = 1;
    }
    n = shifted(n, e - f);
    if (((a ^ b) & SIGN) == 0u) {
        m += n;
        if (m >= SIGN) {
            m = m >> 1 | (m & 1u);
            e++;
        }
    } else {
        m -= n;
        if (m == 0u) {
            return 0u;
        }
    }
    for (; m < LEADING && e > 1; e--) {
        m <<= 1;
    }
    return rounded(a & SIGN, e, m);
}

/* The upper 32 bits of the 48-bit product of two significands with their leading bit at 23, given
 * in parts of 8 and 16 bits. `low` is the product of the lower parts, without its 16 lower bits.
 * All products fit in 32 bits. */
NBT_INLINE uint32_t product(uint32_t a_high, uint32_t a_low, uint32_t b_high, uint32_t b_low,
                            uint32_t low)
{
    return a_high * ((b_high << 16) + b_low) + a_low * b_high + (low >> 16);
}

static NBT_NOINLINE uint32_t multiply_unusual(uint32_t a, uint32_t b)
{
    uint32_t sign = (a ^ b) & SIGN, x = a << 1, y = b << 1;
    int32_t e, f;
    if (is_nan(a) || is_nan(b)) {
        return QUIET;
    }
    if (x == INFINITE << 1 || y == INFINITE << 1) {
        return x == 0u || y == 0u ? QUIET : sign | INFINITE;
    }
    if (x == 0u || y == 0u) {
        return sign;
    }
    uint32_t m = normal_of(a, &e), n = normal_of(b, &f);
    uint32_t low = (m & 0xffffu) * (n & 0xffffu);
    m = product(m >> 16, m & 0xffffu, n >> 16, n & 0xffffu, low);
    m |= (uint32_t)(low << 16 != 0u);
    e += f - 127;
    if (m >= SIGN) {
        m = m >> 1 | (m & 1u);
        e++;
    }
    return rounded(sign, e, m);
}

/* 512 / (1 + (i + 1/2) / 128), rounded, less 256. */
static const uint8_t reciprocals[128] = {
    254, 250, 246, 242, 239, 235, 231, 228, 224, 221, 217, 214, 210, 207, 204, 201, 198, 194, 191,
    188, 185, 182, 179, 177, 174, 171, 168, 165, 163, 160, 157, 155, 152, 150, 147, 145, 142, 140,
    138, 135, 133, 131, 128, 126, 124, 122, 120, 117, 115, 113, 111, 109, 107, 105, 103, 101, 99,
    97,  95,  94,  92,  90,  88,  86,  84,  83,  81,  79,  78,  76,  74,  73,  71,  69,  68,  66,
    64,  63,  61,  60,  58,  57,  55,  54,  52,  51,  50,  48,  47,  45,  44,  43,  41,  40,  39,
    37,  36,  35,  33,  32,  31,  30,  28,  27,  26,  25,  23,  22,  21,  20,  19,  18,  16,  15,
    14,  13,  12,  11,  10,  9,   8,   7,   6,   5,   4,   3,   2,   1,
};

/* The 25 bits of n / d rounded down, for 2^23 <= d < 2^24 and d <= n < 2 d. They are computed as
 * twelve and then thirteen bits with a reciprocal that is never too large: eight bits from the
 * table, 15 after a Newton step. The remainder of n is exact; it is below 2 d after the first part
 * and below 3 d after the second. All products fit in 32 bits, or are needed only modulo 2^32. */
NBT_INLINE uint32_t quotient(uint32_t n, uint32_t d)
{
    uint32_t r = 256u + reciprocals[(d >> 16) & 127u];
    r = (((1u << 25) - ((d >> 8) + 1u) * r) >> 9) * r >> 8;
    uint32_t first = (n >> 9) * r >> 18;
    uint32_t rest = (n << 12) - first * d;
    uint32_t second = (rest >> 10) * r >> 17;
    rest = (rest << 12) - second * d;
    for (; rest >= d; rest -= d) {
        second++;
    }
    return (first << 12) + second;
}

static NBT_NOINLINE uint32_t divide_unusual(uint32_t a, uint32_t b)
{
    uint32_t sign = (a ^ b) & SIGN, x = a << 1, y = b << 1;
    int32_t e, f;
    if (is_nan(a) || is_nan(b) || (x == y && (x == 0u || x == INFINITE << 1))) {
        return QUIET;
    }
    if (x == INFINITE << 1 || y == 0u) {
        return sign | INFINITE;
    }
    if (x == 0u || y == INFINITE << 1) {
        return sign;
    }
    uint32_t m = normal_of(a, &e), n = normal_of(b, &f);
    e += 127 - f;
    if (m < n) {
        m <<= 1;
        e--;
    }
    uint32_t q = quotient(m, n);
    return rounded(sign, e, q << 6 | (uint32_t)(q * n != m << 24));
}

/* ---- usual numbers ---- */

/* Below, |a| >= |b| and both are normal. n is the significand of b shifted to the exponent of a,
 * with 7 bits below the last place of a: high_of(b) >> down. */

/* a + b with equal signs; the sum may need one bit more than a. */
NBT_INLINE uint32_t add_carried(uint32_t a, uint32_t b, uint32_t n, uint32_t down)
{
    uint32_t m = fraction_of(a) + LEADING + n, half = (m >> 1) + 0x40u, result = half >> 7;
    if (RARE(half << 25 == 0u) && (m & 1u) == 0u && n << down == high_of(b)) {
        result &= ~1u;
    }
    /* Adding the leading bit increments the exponent. */
    return ((a >> 23) << 23) + result;
}

/* a + b with different signs; the sum may have fewer bits than a. If it loses more than one bit, b
 * was shifted by at most one, so m is exact. */
NBT_INLINE uint32_t add_cancelled(uint32_t a, uint32_t b, uint32_t n, uint32_t down)
{
    uint32_t m = fraction_of(a) + LEADING - n, result;
    uint32_t exponent = (a >> 23) - 1u; /* with the sign above it */
    if (m == 0u) {
        return 0u;
    }
    if (RARE((exponent & 255u) < 32u)) {
        return add_unusual(a, b); /* the result could be denormal */
    }
    for (; m >> 22 == 0u; m <<= 8) {
        exponent -= 8u;
    }
    do {
        m <<= 1;
        exponent--;
    } while ((m & LEADING) == 0u);
    m += 0x40u;
    result = m >> 7;
    if (RARE(m << 25 == 0u)) {
        result = n << down == high_of(b) ? result & ~1u : result - 1u;
    }
    return (exponent << 23) + result;
}

NBT_INLINE uint32_t add(uint32_t a, uint32_t b)
{
    uint32_t x = a << 1, y = b << 1, down, n, more, result;
    if (x < y) {
        uint32_t other = a;
        a = b;
        b = other;
        other = x;
        x = y;
        y = other;
    }
    y = (y >> 24) - 1u;
    down = (x >> 24) - y;
    if (down > 26u) {
        return a; /* b, possibly 0, is below a quarter of the last place of a */
    }
    if (RARE(y > 227u)) {
        return add_unusual(a, b); /* b is not normal, or neither is a, whose exponent is at most 25
                                     above */
    }
    n = high_of(b) >> down;
    if (((a ^ b) & SIGN) == 0u) {
        more = n + 0x40u;
        result = a + (more >> 7);
        if (((result ^ a) >> 23) != 0u) {
            return add_carried(a, b, n, down);
        }
        if (RARE(more << 25 == 0u) && n << down == high_of(b)) {
            result &= ~1u;
        }
        return result;
    }
    if (fraction_of(a) < n) {
        return add_cancelled(a, b, n, down);
    }
    result = a - ((n + 0x3fu) >> 7);
    if (RARE((n + 0x40u) << 25 == 0u)) {
        result = n << down == high_of(b) ? result & ~1u : result - 1u;
    }
    return result;
}

NBT_INLINE uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t m, low, half, result, exponent;
    /* Fast path for exponents from 64 to 191, where the two upper bits of the field differ. */
    if (RARE(((a << 1 ^ a) & (b << 1 ^ b) & LEADING) == 0u)) {
        return multiply_unusual(a, b);
    }
    exponent = (a >> 23) + (b >> 23) - 128u; /* with the sign above it */
    if (RARE((uint8_t)exponent > 252u)) {
        return multiply_unusual(a, b);
    }
#if defined(__riscv_mul)
    m = (uint32_t)((uint64_t)high_of(a) * high_of(b) >> 32);
    low = (a & 0xffffu) * (b & 0xffffu); /* computed only if it is needed */
#else
    uint32_t a_high = ((a << 9) >> 25) + 128u, b_high = ((b << 9) >> 25) + 128u;
    low = (uint32_t)(uint16_t)a * (uint16_t)b;
    m = product(a_high, (uint16_t)a, b_high, (uint16_t)b, low);
#endif
    half = m;
    if ((m & SIGN) != 0u) {
        half >>= 1;
        exponent++;
    }
    half += 0x40u;
    result = half >> 7;
    if (RARE(half << 25 == 0u)) {
        uint32_t lost = (m & SIGN) != 0u ? m & 1u : 0u;
        if ((low << 16 | lost) == 0u) {
            result &= ~1u;
        }
    }
    return (exponent << 23) + result;
}

/* A quotient of normal numbers is never exactly half-way between two floats: if it had 25 bits with
 * the lowest one set, its product with the significand of b would have more bits than that of a. */
NBT_INLINE uint32_t divide(uint32_t a, uint32_t b)
{
    uint32_t x = (a << 1) >> 24, y = (b << 1) >> 24, n, d;
    if (RARE(x - 1u > 253u || y - 1u > 253u || x - y + 125u > 252u)) {
        return divide_unusual(a, b);
    }
    uint32_t exponent = (a >> 23) - (b >> 23) + 126u; /* with the sign above it */
    n = high_of(a) >> 8;
    d = high_of(b) >> 8;
    if (n < d) {
        n <<= 1;
        exponent--;
    }
    return (exponent << 23) + ((quotient(n, d) + 1u) >> 1);
}

/* Whether a < b, or a <= b with or_equal = 1; 0 if one is NaN. In the order of the bits only NaN
 * is beyond infinity, so of two numbers with equal signs only the one of larger magnitude is
 * tested. */
NBT_INLINE int is_less(uint32_t a, uint32_t b, uint32_t or_equal)
{
    if (((a | b) & SIGN) == 0u) {
        return a < b + or_equal && b <= INFINITE;
    }
    if ((a & b & SIGN) != 0u) {
        return b < a + or_equal && a <= (INFINITE | SIGN);
    }
    if ((a | b) << 1 == 0u) {
        return (int)or_equal;
    }
    return (a & SIGN) != 0u && a <= (INFINITE | SIGN) && b <= INFINITE;
}

NBT_INLINE int is_equal(uint32_t a, uint32_t b)
{
    return a == b ? !is_nan(a) : (a | b) << 1 == 0u;
}

/* ---- under the names of the run-time library ---- */

#if defined(__cplusplus)
extern "C" {
#endif

uint32_t ADD(uint32_t a, uint32_t b);
uint32_t SUBTRACT(uint32_t a, uint32_t b);
uint32_t MULTIPLY(uint32_t a, uint32_t b);
uint32_t DIVIDE(uint32_t a, uint32_t b);

CALLED uint32_t ADD(uint32_t a, uint32_t b)
{
    return add(a, b);
}

CALLED uint32_t SUBTRACT(uint32_t a, uint32_t b)
{
    return ADD(a, b ^ SIGN);
}

CALLED uint32_t MULTIPLY(uint32_t a, uint32_t b)
{
    return multiply(a, b);
}

CALLED uint32_t DIVIDE(uint32_t a, uint32_t b)
{
    return divide(a, b);
}

#if defined(EQUAL)

int EQUAL(uint32_t a, uint32_t b);
int LESS(uint32_t a, uint32_t b);
int LESS_OR_EQUAL(uint32_t a, uint32_t b);
int GREATER(uint32_t a, uint32_t b);
int GREATER_OR_EQUAL(uint32_t a, uint32_t b);

CALLED int EQUAL(uint32_t a, uint32_t b)
{
    return is_equal(a, b);
}

CALLED int LESS(uint32_t a, uint32_t b)
{
    return is_less(a, b, 0);
}

CALLED int LESS_OR_EQUAL(uint32_t a, uint32_t b)
{
    return is_less(a, b, 1);
}

CALLED int GREATER(uint32_t a, uint32_t b)
{
    return is_less(b, a, 0);
}

CALLED int GREATER_OR_EQUAL(uint32_t a, uint32_t b)
{
    return is_less(b, a, 1);
}

#endif

#if defined(ORDER_LESS)

/* The results that compilers expect: below 0 for a < b, at most 0 for a <= b, 0 for a == b, above 0
 * for a > b, at least 0 for a >= b; the opposite if one is NaN. */
int ORDER_EQUAL(uint32_t a, uint32_t b);
int ORDER_NOT_EQUAL(uint32_t a, uint32_t b);
int ORDER_LESS(uint32_t a, uint32_t b);
int ORDER_LESS_OR_EQUAL(uint32_t a, uint32_t b);
int ORDER_GREATER(uint32_t a, uint32_t b);
int ORDER_GREATER_OR_EQUAL(uint32_t a, uint32_t b);

CALLED int ORDER_LESS(uint32_t a, uint32_t b)
{
    return -is_less(a, b, 0);
}

CALLED int ORDER_LESS_OR_EQUAL(uint32_t a, uint32_t b)
{
    return !is_less(a, b, 1);
}

CALLED int ORDER_EQUAL(uint32_t a, uint32_t b)
{
    return !is_equal(a, b);
}

CALLED int ORDER_NOT_EQUAL(uint32_t a, uint32_t b)
{
    return !is_equal(a, b);
}

CALLED int ORDER_GREATER(uint32_t a, uint32_t b)
{
    return is_less(b, a, 0);
}

CALLED int ORDER_GREATER_OR_EQUAL(uint32_t a, uint32_t b)
{
    return is_less(b, a, 1) - 1;
}

#endif

#if defined(__cplusplus)
}
#endif

#endif
