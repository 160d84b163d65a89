/* A board for an exported firmware: recorded samples, and the debugger's console where there is
 * one. */
#include <string.h>

#include "board.h"
#include "nbt_model.h"
#include "samples.h"

int read_sensor(float *x, float *label)
{
    static uint32_t step;
    if (step == SAMPLES) {
        return 0;
    }
    memcpy(x, sample_bits[step], NBT_MODEL_INPUTS * sizeof(float));
    memcpy(label, sample_bits[step] + NBT_MODEL_INPUTS, NBT_MODEL_LABELS * sizeof(float));
    step++;
    return 1;
}

#ifdef SEMIHOSTING
#include "semihosting.h"

void write_text(const char *text)
{
    print(text);
}
#endif
