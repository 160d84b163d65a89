/* What the firmware asks of the board. Each has a default (main.c) that lets the firmware run on a
 * PC; to replace one, define a function of the same name in a file of your own, board.c say. */
#ifndef BOARD_H
#define BOARD_H

#include "nbt.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Purpose: wait for the next sample.
 * Arguments: x (NBT_MODEL_INPUTS) receives the inputs; label (NBT_MODEL_LABELS) the label that
 *   belongs to the forecast made NBT_MODEL_HORIZON samples ago, NaN where there is none.
 * Returns: 0 when there are no more samples, which ends the loop; a device returns 1 for ever.
 * Default: the inputs and labels of golden.c. */
int read_sensor(float *x, float *label);

/* Purpose: use the forecast (NBT_MODEL_OUTPUTS). A negative status says what was refused: the label
 * then counted as missing, and the forecast is from the last inputs that were not. A positive one
 * says what a guard did. learnt is NBT_OK where no label was due.
 * Default: nothing. */
void use_forecast(const float *forecast, nbt_status learnt, nbt_status predicted);

/* Purpose: send a piece of text home. Default: standard output. */
void write_text(const char *text);

#ifdef __cplusplus
}
#endif

#endif
