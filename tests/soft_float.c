/* The kernel's float arithmetic by integers (nbt_soft_float.c, NBT_SOFT_FLOAT=2) against the
 * processor's: + - * / and all comparisons.
 *
 *     soft_float COUNT SEED
 *
 * takes all pairs of special numbers, and for each of COUNT random pairs some made of it: close
 * exponents, short significands, equal fractions, results about the largest and the smallest
 * numbers. It prints how many operations were compared and how many differ. A NaN has to be one; its
 * bits are free. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "nbt_math.h"

uint32_t nbt_soft_add(uint32_t a, uint32_t b);
uint32_t nbt_soft_subtract(uint32_t a, uint32_t b);
uint32_t nbt_soft_multiply(uint32_t a, uint32_t b);
uint32_t nbt_soft_divide(uint32_t a, uint32_t b);
int nbt_soft_eq(uint32_t a, uint32_t b);
int nbt_soft_lt(uint32_t a, uint32_t b);
int nbt_soft_le(uint32_t a, uint32_t b);
int nbt_soft_gt(uint32_t a, uint32_t b);
int nbt_soft_ge(uint32_t a, uint32_t b);
int nbt_soft_order_eq(uint32_t a, uint32_t b);
int nbt_soft_order_ne(uint32_t a, uint32_t b);
int nbt_soft_order_lt(uint32_t a, uint32_t b);
int nbt_soft_order_le(uint32_t a, uint32_t b);
int nbt_soft_order_gt(uint32_t a, uint32_t b);
int nbt_soft_order_ge(uint32_t a, uint32_t b);

static uint64_t compared, different, state;

static void report(const char *operation, uint32_t a, uint32_t b, uint32_t ours, uint32_t truth)
{
    if (different++ < 5) {
        printf("%08" PRIx32 " %s %08" PRIx32 ": %08" PRIx32 ", expected %08" PRIx32 "\n", a,
               operation, b, ours, truth);
    }
}

static void number(const char *operation, uint32_t a, uint32_t b, uint32_t ours, float truth)
{
    int same = isnan(truth) ? isnan(nbt_from_bits(ours)) : ours == nbt_bits(truth);
    compared++;
    if (!same) {
        report(operation, a, b, ours, nbt_bits(truth));
    }
}

static void truth_of(const char *operation, uint32_t a, uint32_t b, int ours, int truth)
{
    compared++;
    if (ours != truth) {
        report(operation, a, b, (uint32_t)ours, (uint32_t)truth);
    }
}

static void compare(uint32_t a, uint32_t b)
{
    volatile float x = nbt_from_bits(a), y = nbt_from_bits(b);
    number("+", a, b, nbt_soft_add(a, b), x + y);
    number("-", a, b, nbt_soft_subtract(a, b), x - y);
    number("*", a, b, nbt_soft_multiply(a, b), x * y);
    number("/", a, b, nbt_soft_divide(a, b), x / y);
    truth_of("==", a, b, nbt_soft_eq(a, b), x == y);
    truth_of("<", a, b, nbt_soft_lt(a, b), x < y);
    truth_of("<=", a, b, nbt_soft_le(a, b), x <= y);
    truth_of(">", a, b, nbt_soft_gt(a, b), x > y);
    truth_of(">=", a, b, nbt_soft_ge(a, b), x >= y);
    truth_of("order ==", a, b, nbt_soft_order_eq(a, b) == 0, x == y);
    truth_of("order !=", a, b, nbt_soft_order_ne(a, b) != 0, x != y);
    truth_of("order <", a, b, nbt_soft_order_lt(a, b) < 0, x < y);
    truth_of("order <=", a, b, nbt_soft_order_le(a, b) <= 0, x <= y);
    truth_of("order >", a, b, nbt_soft_order_gt(a, b) > 0, x > y);
    truth_of("order >=", a, b, nbt_soft_order_ge(a, b) >= 0, x >= y);
}

static void compare_signs(uint32_t a, uint32_t b)
{
    const uint32_t sign = 0x80000000u;
    compare(a, b);
    compare(a, b ^ sign);
    compare(a ^ sign, b);
    compare(a ^ sign, b ^ sign);
}

/* Zero, the ends of the denormal and of the normal numbers, infinity, NaNs, powers of two that the
 * code knows of, 1 and its neighbours, and fractions of zeros, of ones and between. */
static uint32_t special(uint32_t i)
{
    static const uint32_t exponents[] = {0,   1,   2,   24,  25,  26,  31,  32,  33,  63,  64,
                                         65,  102, 103, 125, 126, 127, 128, 129, 150, 151, 152,
                                         190, 191, 192, 227, 228, 229, 252, 253, 254, 255};
    static const uint32_t fractions[] = {0,        1,        2,        0x3fffff, 0x400000, 0x400001,
                                         0x555555, 0x7ffffe, 0x7fffff, 0x000fff, 0x7ff000};
    enum { FRACTIONS = sizeof fractions / sizeof *fractions };
    enum { ALL = sizeof exponents / sizeof *exponents * FRACTIONS };
    return i < ALL ? exponents[i / FRACTIONS] << 23 | fractions[i % FRACTIONS] : UINT32_MAX;
}

/* Marsaglia's xorshift. */
static uint32_t drawn(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static uint32_t with_exponent(uint32_t x, uint32_t exponent)
{
    return (x & 0x807fffffu) | (exponent & 255u) << 23;
}

int main(int argc, char **argv)
{
    if (argc != 3 || (state = strtoull(argv[2], NULL, 10)) == 0) {
        fprintf(stderr, "usage: soft_float COUNT SEED\n");
        return 1;
    }
    for (uint32_t i = 0; special(i) != UINT32_MAX; i++) {
        for (uint32_t j = 0; special(j) != UINT32_MAX; j++) {
            compare_signs(special(i), special(j));
        }
    }
    for (uint64_t count = strtoull(argv[1], NULL, 10); count > 0; count--) {
        uint32_t a = drawn(), b = drawn(), how = drawn(), exponent = a >> 23 & 255u;
        compare(a, b);
        b = with_exponent(b, exponent + (how & 63u) - 32u);
        if ((how >> 6 & 1u) != 0) {
            a &= UINT32_MAX << (how >> 7 & 31u);
            b &= UINT32_MAX << (how >> 12 & 31u);
        }
        if ((how >> 17 & 7u) == 0) { /* their difference is small */
            b = (b & 0xff800000u) | ((a + (how >> 20 & 3u) - 1u) & 0x7fffffu);
        }
        compare(a, b);
        compare(b, a);
        /* Products and quotients about the smallest normal number, and about the largest. */
        uint32_t about = (how >> 22 & 31u) - 16u;
        compare(a, with_exponent(b, 127u - exponent + about));
        compare(a, with_exponent(b, 381u - exponent + about));
        compare(a, with_exponent(b, exponent + 127u + about));
    }
    printf("%" PRIu64 " compared, %" PRIu64 " different\n", compared, different);
    return different != 0;
}
