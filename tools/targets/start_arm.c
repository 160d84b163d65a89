/* Cortex-M from reset to main: vectors, FPU, .data, .bss; semihosting by BKPT 0xAB. */
#include <stdint.h>

#include "semihosting.h"

extern uint32_t stack_top, data_start, data_end, data_image, bss_start, bss_end;
int main(void);

static uint32_t call(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void print(const char *text)
{
    call(0x04, text); /* SYS_WRITE0 */
}

static void end(uint32_t code)
{
    const uint32_t reason[2] = {0x20026, code}; /* application exit */
    call(0x20, reason);                         /* SYS_EXIT_EXTENDED */
    for (;;) {
    }
}

static void fault(void)
{
    end(3);
}

void reset(void)
{
#ifdef __ARM_FP
    *(volatile uint32_t *)0xe000ed88u |= 0xfu << 20; /* CPACR: coprocessors 10 and 11 */
    __asm__ volatile("dsb\nisb");
#endif
    for (uint32_t *to = &data_start, *from = &data_image; to < &data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end;) {
        *to++ = 0;
    }
    end((uint32_t)main());
}

/* clang-format off */
__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))(uintptr_t)&stack_top, reset, fault, fault, fault, fault, fault, fault,
    fault, fault, fault, fault, fault, fault, fault, fault,
};
/* clang-format on */
