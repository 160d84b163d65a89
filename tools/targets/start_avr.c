/* ATmega2560, next to avr-libc's start-up code: print, the end of the simulation, the cycles between
 * step_begin and step_end, and the deepest stack from the caller of these two on. */
#include <avr/io.h>
#include <stdint.h>
#include <stdlib.h>

#include "avr_console.h"
#include "semihosting.h"

enum { UNTOUCHED = 0xa5, MARGIN = 16 };

struct moment {
    uint16_t cycles, thousands; /* both wrap */
};

extern uint8_t _end; /* of variables: the stack grows down to it */
static struct moment begun;
static uint32_t times, least = UINT32_MAX, most, sum;
static const uint8_t *caller; /* the top of its callees' stack */

void step_begin(void);
void step_end(void);

void print(const char *text)
{
    avr_begin();
    avr_text(text);
}

/* Before variables are filled in, while nothing is on the stack: no calls, no variables in it. */
__attribute__((naked, used, section(".init3"))) void avr_paint(void)
{
    for (uint8_t *at = &_end; at != (uint8_t *)RAMEND; at++) {
        *at = UNTOUCHED;
    }
}

/* Timer 1 counts cycles, and timer 3 every 1024 of them: together up to 2^26. */
static struct moment now(void)
{
    return (struct moment){TCNT1, TCNT3};
}

static uint32_t cycles_until(struct moment end)
{
    uint32_t about = (uint32_t)(uint16_t)(end.thousands - begun.thousands) * 1024;
    uint16_t exact = end.cycles - begun.cycles;
    return about + (uint32_t)(int16_t)(exact - (uint16_t)about);
}

__attribute__((noinline)) void step_begin(void)
{
    enum { RETURN_ADDRESS = 3 };
    caller = (const uint8_t *)SP + 1 + RETURN_ADDRESS;
    TCCR1B = 1 << CS10;
    TCCR3B = 1 << CS32 | 1 << CS30;
    begun = now();
}

__attribute__((noinline)) void step_end(void)
{
    uint32_t cycles = cycles_until(now());
    times++;
    sum += cycles;
    least = cycles < least ? cycles : least;
    most = cycles > most ? cycles : most;
}

static void print_number(uint32_t number)
{
    char text[12];
    print(" ");
    print(ultoa(number, text, 10));
}

/* After main, whatever it returned. */
__attribute__((used, section(".fini3"))) void avr_report(void)
{
    const uint8_t *deepest = &_end;
    while (*deepest == UNTOUCHED) {
        deepest++;
    }
    if (deepest - &_end < MARGIN) {
        print("the stack has reached the variables\n");
    }
    if (times > 0) {
        print("counted");
        print_number(times);
        print_number(least);
        print_number(most);
        print_number(sum);
        print_number((uint32_t)(caller - deepest));
        print("\n");
    }
    avr_end();
}
