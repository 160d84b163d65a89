/* The serial port of an ATmega2560, which simavr prints, and the end of the simulation. */
#ifndef AVR_CONSOLE_H
#define AVR_CONSOLE_H

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <stdint.h>

static inline void avr_begin(void)
{
    UBRR0 = 8;
    UCSR0B = 1 << TXEN0;
}

static inline void avr_text(const char *text)
{
    for (; *text != '\0'; text++) {
        while (!(UCSR0A & (1 << UDRE0))) {
        }
        UDR0 = (uint8_t)*text;
    }
}

/* A processor that sleeps without interrupts never wakes up; the last characters leave first. */
static inline void avr_end(void)
{
    for (volatile uint16_t wait = 0; wait < 3000; wait++) {
    }
    cli();
    sleep_mode();
}

#endif
