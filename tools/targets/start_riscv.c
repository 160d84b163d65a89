/* RISC-V (QEMU virt) from reset to main: stack, FPU, .bss; semihosting by EBREAK. */
#include <stdint.h>

#include "semihosting.h"

extern uint32_t bss_start, bss_end;
int main(void);

__asm__(".section .text.start, \"ax\"\n"
        ".global start\n"
        ".option arch, +zicsr\n"
        "start:\n"
        "    la sp, stack_top\n"
        "    li t0, 0x6000\n" /* mstatus.FS: dirty; ignored without an FPU */
        "    csrs mstatus, t0\n"
        "    la t0, trap\n"
        "    csrw mtvec, t0\n"
        "    j begin\n"
        ".align 4\n"
        "trap:\n"
        "    li a0, 3\n"
        "    j end\n");

static uint32_t call(uint32_t operation, const void *argument)
{
    register uint32_t a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = argument;
    __asm__ volatile(".option push\n.option norvc\n.balign 16\n"
                     "slli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n.option pop"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
    return a0;
}

void print(const char *text)
{
    call(0x04, text); /* SYS_WRITE0 */
}

void end(uint32_t code)
{
    const uint32_t reason[2] = {0x20026, code}; /* application exit */
    call(0x20, reason);                         /* SYS_EXIT_EXTENDED */
    for (;;) {
    }
}

void begin(void)
{
    for (uint32_t *to = &bss_start; to < &bss_end;) {
        *to++ = 0;
    }
    end((uint32_t)main());
}
