/* Flash with any content: the store finds a whole checkpoint or says that there is none, and
 * saves. */
#include <stdlib.h>
#include <string.h>

#include "../still.h"
#include "nbt.h"
#include "nbt_checkpoint.h"

enum { SLOTS = 2, SLOT_BYTES = 1408 };

static unsigned calls; /* that go well before one fails */
static unsigned after; /* calls before the next that fails; 0: never again */

static int fails(void)
{
    if (calls > 0 && --calls == 0) {
        calls = after;
        return 1;
    }
    return 0;
}

static int chip_read(void *context, uint32_t slot, size_t offset, unsigned char *out, size_t n)
{
    memcpy(out, (unsigned char *)context + slot * SLOT_BYTES + offset, n);
    return fails();
}

static int chip_program(void *context, uint32_t slot, size_t offset, const unsigned char *bytes,
                        size_t n)
{
    memcpy((unsigned char *)context + slot * SLOT_BYTES + offset, bytes, n);
    return fails();
}

static int chip_erase(void *context, uint32_t slot)
{
    memset((unsigned char *)context + slot * SLOT_BYTES, 0xff, SLOT_BYTES);
    return fails();
}

/* Two saves, and then bytes changed: data is triples of a position (two bytes) and what to add. */
static void damage(unsigned char *chip, const unsigned char *data, size_t n)
{
    for (size_t i = 0; i + 3 <= n; i += 3) {
        size_t at = (data[i] + 256u * data[i + 1]) % (SLOTS * SLOT_BYTES);
        chip[at] = (unsigned char)(chip[at] + data[i + 2]);
    }
}

/* Makes the records' own CRC right again, so that what they say is believed. */
static void seal(unsigned char *chip)
{
    for (size_t slot = 0; slot < SLOTS; slot++) {
        unsigned char *record = chip + slot * SLOT_BYTES;
        uint32_t crc = nbt_crc32(record, 12);
        for (size_t i = 0; i < 4; i++) {
            record[12 + i] = (unsigned char)(crc >> 8 * i);
        }
    }
}

/* What is described wrongly is refused. */
static void refuse(const nbt_flash *good, const nbt_learner *learner)
{
    static uint64_t memory[512];
    nbt_learner *loaded = NULL;
    nbt_flash bad = *good;
    bad.n_slots = 1;
    if (nbt_store_save(&bad, learner) != NBT_ERR_FLASH ||
        nbt_store_load(&bad, memory, sizeof memory, &loaded) != NBT_ERR_FLASH ||
        nbt_store_save(NULL, learner) != NBT_ERR_NULL ||
        nbt_store_load(NULL, memory, sizeof memory, &loaded) != NBT_ERR_NULL) {
        abort();
    }
    bad = *good;
    bad.slot_bytes = 128;
    if (nbt_store_save(&bad, learner) != NBT_ERR_BYTES) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
    static uint64_t memory[512];
    static unsigned char chip[SLOTS * SLOT_BYTES];
    nbt_flash flash = {chip, SLOTS, SLOT_BYTES, chip_read, chip_program, chip_erase};
    nbt_config config = still_config(1, 1, 1, NBT_LINK_GAUSSIAN);
    nbt_learner *learner = NULL;
    float x = 0.5f;
    float y;
    memset(chip, 0xff, sizeof chip);
    calls = after = 0;
    if (nbt_init(memory, sizeof memory, &config, &learner) != NBT_OK) {
        abort();
    }
    for (int i = 0; i < 2; i++) {
        if (nbt_predict(learner, &y, &x) != NBT_OK || nbt_learn(learner, &x) != NBT_OK ||
            nbt_store_save(&flash, learner) != NBT_OK) {
            abort();
        }
    }
    damage(chip, data, n);
    if (n % 2 == 1) {
        seal(chip);
    }
    nbt_status status = nbt_store_load(&flash, memory, sizeof memory, &learner);
    if (status == NBT_ERR_NOTHING) {
        status = nbt_init(memory, sizeof memory, &config, &learner);
    }
    if (status == NBT_OK) {
        uint64_t hash = nbt_hash(learner);
        if (nbt_store_save(&flash, learner) != NBT_OK ||
            nbt_store_load(&flash, memory, sizeof memory, &learner) != NBT_OK ||
            nbt_hash(learner) != hash) {
            abort();
        }
        refuse(&flash, learner);
        /* A chip that fails now and then: what was saved before is still there. */
        calls = n > 0 ? data[0] : 0;
        after = n > 1 ? data[1] : 0;
        (void)nbt_store_save(&flash, learner);
        calls = after = 0;
        if (nbt_store_load(&flash, memory, sizeof memory, &learner) != NBT_OK ||
            nbt_hash(learner) != hash) {
            abort();
        }
        memset((unsigned char *)learner + NBT_HEADER_BYTES, 0xff, 4); /* a weight is NaN */
        if (nbt_store_save(&flash, learner) != NBT_ERR_STATE) {
            abort();
        }
    }
    return 0;
}
