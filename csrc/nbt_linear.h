/* The linear expert: for every output its own recursive least squares (nbt_rls.h) on
 *     f = [1; x(t), x(t - 1), ..., x(t - T + 1)],   T = linear_lags,
 * the applied values of the input to which the output is anchored. Without an anchor, f is the
 * constant alone. */
#ifndef NBT_LINEAR_H
#define NBT_LINEAR_H

#include "nbt_delay.h"
#include "nbt_layout.h"
#include "nbt_rls.h"

/* The readout of output o. */
NBT_LOCAL nbt_rls nbt_linear_of(const nbt_layout *l, size_t o);

/* Computes f (T + 1) of output o for the sample of that age in `taps`, in the layout's
 * workspace. */
NBT_LOCAL float *nbt_linear_features(const nbt_layout *l, const nbt_ring *taps, size_t o,
                                     size_t age);

/* The forecast V f of output o for the newest sample. */
NBT_LOCAL float nbt_linear_read(const nbt_layout *l, const nbt_ring *taps, size_t o);

/* The values of the input are now x' = a x + b: converts the readout. */
NBT_LOCAL void nbt_linear_move(const nbt_layout *l, size_t o, float a, float b);

#endif
