/* Checkpoints from any source, as nbt_store.c uses them. */
#ifndef NBT_CHECKPOINT_H
#define NBT_CHECKPOINT_H

#include "nbt.h"

/* Bytes passed to a callback in one call. */
#define NBT_CHUNK 64u

/* CRC-32 of ISO 3309. */
uint32_t nbt_crc32(const unsigned char *bytes, size_t n);

/* Whether all numbers of the learner are finite and within their ranges. */
int nbt_is_sound(const nbt_learner *learner);

/* Reads the configuration of a checkpoint, and checks its lengths, CRC and configuration. */
nbt_status nbt_checkpoint_check(nbt_read read, void *context, size_t n, nbt_config *config);

#endif
