/* What the forecasts of one output have lost lately, and which of them has failed. Plain numbers;
 * no learner.
 *
 * Forecast 0 is the last value, which cannot fail; the others are judged by what it would have
 * lost. With n labels of memory and the squared error e_k^2 of every forecast, at most `most`,
 *     L_k <- L_k + (min(e_k^2, most) - L_k) / n
 * A forecast that is n labels old has proven itself once L_k < .8 L_0. One that had proven itself
 * fails with L_k > 1.2 L_0, from label 8 n of its life on: it then starts again. */
#ifndef NBT_RECORD_H
#define NBT_RECORD_H

#include <stddef.h>

#include "nbt_simd.h"

typedef struct nbt_record {
    float *lost; /* (K) L */
    float *age;  /* (K) labels since the forecast started; negative until it has proven itself */
    size_t K;
} nbt_record;

NBT_LOCAL void nbt_record_init(const nbt_record *self);

/* Counts the errors of the forecasts p (K) of this label; n > 0. */
NBT_LOCAL void nbt_record_count(const nbt_record *self, const float *p, float label, float most,
                                float n);

/* Whether forecast k > 0 has failed. */
NBT_LOCAL int nbt_record_has_failed(const nbt_record *self, size_t k, float n);

/* Forecast k fails, whatever it has lost. */
NBT_LOCAL void nbt_record_condemn(const nbt_record *self, size_t k);

/* Errors are now a times what they were. */
NBT_LOCAL void nbt_record_rescale(const nbt_record *self, float a);

/* Forecast k starts again, as good as the last value. */
NBT_LOCAL void nbt_record_start(const nbt_record *self, size_t k);

#endif
