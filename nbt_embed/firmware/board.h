/* The functions that a board provides to the firmware. Each has a default (main.c) with which the
 * firmware runs on a PC. To replace one, define a function of the same name in your own file, for
 * example board.c. */
#ifndef BOARD_H
#define BOARD_H

#include "nbt.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Purpose: wait for the next sample.
 * Arguments: x (NBT_MODEL_INPUTS) receives the inputs; label (NBT_MODEL_LABELS) the label that
 *   belongs to the forecast made NBT_MODEL_HORIZON samples ago, NaN where there is none.
 * Returns: 0 if there are no more samples, which ends the loop; a device always returns 1.
 * Default: the inputs and labels of golden.c. */
int read_sensor(float *x, float *label);

/* Purpose: use the forecast (NBT_MODEL_OUTPUTS). A negative status is an error: the label then
 * counted as missing, and the forecast is from the last accepted inputs. A positive status is a
 * notice of a guard. learnt is NBT_OK if no label was due.
 * Default: nothing. */
void use_forecast(const float *forecast, nbt_status learnt, nbt_status predicted);

/* Purpose: output a piece of text, for example to a serial port.
 * Default: standard output. */
void write_text(const char *text);

#ifdef __cplusplus
}
#endif

#endif
