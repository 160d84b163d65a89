/* A board for an exported firmware on an ATmega2560: recorded samples, and the serial port. */
#include <string.h>

#include "avr_console.h"
#include "board.h"
#include "nbt_model.h"
#include "samples.h"

int read_sensor(float *x, float *label)
{
    static uint32_t step;
    if (step == SAMPLES) {
        avr_end();
    }
    memcpy(x, sample_bits[step], NBT_MODEL_INPUTS * sizeof(float));
    memcpy(label, sample_bits[step] + NBT_MODEL_INPUTS, NBT_MODEL_LABELS * sizeof(float));
    step++;
    return 1;
}

void write_text(const char *text)
{
    avr_begin();
    avr_text(text);
}
