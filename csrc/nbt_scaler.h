/* Running standardisation of one channel (docs/design.md, section 5). */
#ifndef NBT_SCALER_H
#define NBT_SCALER_H

#include <stddef.h>
#include <stdint.h>

#include "nbt_simd.h"

typedef struct nbt_scale {
    float mean;
    float variance; /* population variance of what was counted */
    float count;    /* values counted, up to scale_steps */
} nbt_scale;

/* The statistics after counting z: rate 1 / n up to steps values, then `rate`. */
NBT_LOCAL nbt_scale nbt_scale_count(nbt_scale scale, float z, uint32_t steps, float rate);

/* Standard deviation; 1 for a channel that has not varied yet. */
NBT_LOCAL float nbt_scale_deviation(nbt_scale scale);

/* z within `limit` deviations of the mean once `steps` values were counted; limit 0, NaN and infinities
 * leave it. */
NBT_LOCAL float nbt_scale_clip(nbt_scale scale, float z, uint32_t steps, float limit);

/* stats (3, n): mean, variance, count rows. */
NBT_LOCAL nbt_scale nbt_scale_load(const float *stats, size_t channel, size_t n);
NBT_LOCAL void nbt_scale_store(float *stats, nbt_scale scale, size_t channel, size_t n);

/* *scaled = (z - mean) / deviation after counting z. Returns 0 and writes nothing that matters if
 * z is not finite, beyond 1e18, or beyond 1e6 deviations; *scale is the new statistics. */
NBT_LOCAL int nbt_scale_try(nbt_scale *scale, float *scaled, float z, uint32_t steps, float rate);

#endif
