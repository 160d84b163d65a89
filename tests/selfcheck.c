/* Prints what Python asks of the kernel when it is loaded: the hash of each version, and what is
 * wrong with this thread's float arithmetic. */
#include <inttypes.h>
#include <stdio.h>

#include "../nbt_embed/_selfcheck.c"

int main(void)
{
    for (uint32_t simd = 0; simd <= NBT_SIMD_AVX512; simd++) {
        printf("%016" PRIx64 "\n", nbt_selfcheck(simd));
    }
    printf("%d\n", nbt_floats_of_thread());
    return 0;
}
