/* The kernel's square root by integers against the processor's instruction: the bits of every
 * FIRST-th, FIRST + STRIDE-th, ... float32 up to the LAST-th, and of those around every power of two
 * and every short square.
 *
 *     root_sweep FIRST LAST STRIDE
 *
 * prints how many were compared and how many differ. A NaN has to be one; its bits are free. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "nbt_math.h"

#if !NBT_SQRT_INSTRUCTION
#error "nothing to compare with: this processor has no instruction for the square root"
#endif

static uint64_t compared, different;

static void compare(uint32_t bits)
{
    float ours = nbt_math_root(nbt_from_bits(bits));
    float truth = sqrtf(nbt_from_bits(bits));
    int same = isnan(truth) ? isnan(ours) : nbt_bits(ours) == nbt_bits(truth);
    compared++;
    if (!same && different++ < 5) {
        printf("sqrt of %08" PRIx32 ": %08" PRIx32 ", expected %08" PRIx32 "\n", bits,
               nbt_bits(ours), nbt_bits(truth));
    }
}

static void compare_around(uint32_t bits)
{
    for (uint32_t i = 0; i < 9; i++) {
        compare(bits - 4u + i);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4 || strtoul(argv[3], NULL, 10) == 0) {
        fprintf(stderr, "usage: root_sweep FIRST LAST STRIDE\n");
        return 1;
    }
    for (uint32_t sign_and_exponent = 0; sign_and_exponent < 512; sign_and_exponent++) {
        compare_around(sign_and_exponent << 23);
    }
    for (uint32_t denormal = 1; denormal < 1u << 23; denormal <<= 1) {
        compare_around(denormal);
    }
    for (uint32_t root = 1; root < 4096; root++) { /* exact roots, and the closest to them */
        compare_around(nbt_bits((float)root * (float)root));
    }
    uint64_t last = strtoul(argv[2], NULL, 10), stride = strtoul(argv[3], NULL, 10);
    for (uint64_t bits = strtoul(argv[1], NULL, 10); bits <= last; bits += stride) {
        compare((uint32_t)bits);
    }
    printf("%" PRIu64 " compared, %" PRIu64 " different\n", compared, different);
    return different != 0;
}
