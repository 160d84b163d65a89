/* Checkpoints from any source, for the store. */
#ifndef NBT_CHECKPOINT_H
#define NBT_CHECKPOINT_H

#include "nbt.h"

/* Bytes that are handed over at once. */
#define NBT_CHUNK 64u

/* CRC-32 of ISO 3309. */
uint32_t nbt_crc32(const unsigned char *bytes, size_t n);

/* Whether no number of the learner is NaN, infinite or outside its range. */
int nbt_is_sound(const nbt_learner *learner);

/* The configuration of a checkpoint whose lengths, CRC and configuration are right. */
nbt_status nbt_checkpoint_check(nbt_read read, void *context, size_t n, nbt_config *config);

#endif
