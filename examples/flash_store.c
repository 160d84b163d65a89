/* Save the learner in raw flash, safe against power cuts. Here an array simulates the flash; on a
 * device the three callbacks call its driver.
 * Build, in the folder of the clone:
 * cc -std=c99 -O2 -ffp-contract=off -fno-math-errno -Icsrc examples/flash_store.c csrc/nbt_*.c */
#include <stdio.h>
#include <string.h>

#include "nbt.h"

enum { SLOTS = 2, SLOT_BYTES = 8192 };

static NBT_ARENA(arena, NBT_DEFAULT_BYTES(1, 1, 8, 0, NBT_LINK_GAUSSIAN));
static unsigned char chip[SLOTS][SLOT_BYTES];

static int chip_read(void *context, uint32_t slot, size_t offset, unsigned char *out, size_t n)
{
    (void)context;
    memcpy(out, &chip[slot][offset], n);
    return 0;
}

static int chip_program(void *context, uint32_t slot, size_t offset, const unsigned char *bytes,
                        size_t n)
{
    (void)context;
    memcpy(&chip[slot][offset], bytes, n);
    return 0;
}

static int chip_erase(void *context, uint32_t slot)
{
    (void)context;
    memset(chip[slot], 0xff, SLOT_BYTES);
    return 0;
}

int main(void)
{
    const nbt_flash flash = {NULL, SLOTS, SLOT_BYTES, chip_read, chip_program, chip_erase};
    nbt_config config = nbt_config_default(1, 1, 8, NBT_LINK_GAUSSIAN);
    const int32_t anchor[1] = {0}; /* the output predicts input 0 */
    nbt_learner *learner = NULL;

    for (unsigned boot = 0; boot < 3u; boot++) {
        nbt_status status = nbt_store_load(&flash, arena, sizeof arena, &learner);
        if (status != NBT_OK) {
            printf("boot %u: %s\n", boot, nbt_status_text(status));
            status = nbt_init(arena, sizeof arena, &config, &learner);
            status = status < 0 ? status : nbt_anchor_set(learner, anchor);
        }
        for (unsigned t = 0; t < 500u && status >= 0; t++) {
            float sample = (float)(t % 20u) / 10.0f;
            float forecast;
            status = nbt_pending(learner) > 0 ? nbt_learn(learner, &sample) : NBT_OK;
            if (status >= 0) {
                status = nbt_predict(learner, &forecast, &sample);
            }
        }
        if (status >= 0) {
            status = nbt_store_save(&flash, learner);
        }
        nbt_counters counters;
        if (status < 0 || nbt_counters_get(learner, &counters) < 0) {
            printf("boot %u: %s\n", boot, nbt_status_text(status));
            return 1;
        }
        printf("boot %u: saved after %lu samples\n", boot, (unsigned long)counters.predictions);
        memset(arena, 0, sizeof arena); /* simulates a power cut */
    }
    return 0;
}
