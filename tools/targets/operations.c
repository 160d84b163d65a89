/* One operation on two floats of usual size, OPERATION(x, y), between step_begin and step_end, where
 * count.c counts; a processor that counts itself has its own (start_avr.c). */
#include <stdint.h>

enum { PAIRS = 1000 };

static volatile float x, y, result;

__attribute__((noinline, weak)) void step_begin(void)
{
    __asm__ volatile("");
}

__attribute__((noinline, weak)) void step_end(void)
{
    __asm__ volatile("");
}

/* Uniform noise (Numerical Recipes' generator) of either sign, times a power of two. */
static float drawn(uint32_t *noise)
{
    *noise = *noise * 1664525u + 1013904223u;
    float number = (float)(int32_t)*noise * 0x1p-31f;
    for (uint32_t twice = *noise >> 4 & 7u; twice > 0; twice--) {
        number *= 2.0f;
    }
    return number;
}

int main(void)
{
    uint32_t noise = 1;
    for (uint16_t pair = 0; pair < PAIRS; pair++) {
        x = drawn(&noise);
        y = drawn(&noise);
        step_begin();
        result = OPERATION(x, y);
        step_end();
    }
    return 0;
}
