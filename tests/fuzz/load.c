/* Checkpoints from anywhere: as they come, and with the lengths and the CRC made right, so that what
 * lies behind is reached. What is loaded has to work and to save as it was read. */
#include <stdlib.h>
#include <string.h>

#include "nbt.h"
#include "nbt_checkpoint.h"

static uint64_t memory[1 << 16];

static void use(nbt_learner *learner, const nbt_config *config)
{
    size_t n = nbt_checkpoint_bytes(config);
    float *x = calloc(config->n_in, sizeof(float));
    float *y = calloc(config->n_out, sizeof(float));
    unsigned char *saved = malloc(n);
    uint64_t hash = nbt_hash(learner);
    nbt_learner *again = NULL;
    if (nbt_save(learner, saved, n) != NBT_OK ||
        nbt_load(memory, sizeof memory, saved, n, &again) != NBT_OK || nbt_hash(again) != hash) {
        abort();
    }
    while (nbt_pending(again) > 0) {
        if (nbt_learn(again, y) < 0) {
            y[0] = 0.0f;
            break;
        }
    }
    (void)nbt_predict(again, y, x);
    (void)nbt_reset_state(again);
    free(saved);
    free(x);
    free(y);
}

static void load(const unsigned char *data, size_t n)
{
    nbt_config config;
    nbt_learner *learner = NULL;
    memset(memory, 0x5a, 64);
    nbt_status status = nbt_load(memory, sizeof memory, data, n, &learner);
    if (status != NBT_OK) {
        if (learner != NULL || ((unsigned char *)memory)[0] != 0x5a) {
            abort();
        }
        return;
    }
    if (nbt_load_config(data, n, &config) != NBT_OK) {
        abort();
    }
    use(learner, &config);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
    enum { CRC = 4 };
    static const unsigned char start[10] = {0x89, 'N', 'B', 'T', '\r', '\n', 0x1a, '\n', 1, 0};
    load(data, n);
    size_t minor = n > 10 ? data[10] % 2 : 0;
    size_t header = minor == 0 ? 192 : 252;
    if (n > header + CRC && n < 1 << 16) {
        unsigned char *sealed = malloc(n);
        memcpy(sealed, data, n);
        memcpy(sealed, start, sizeof start);
        memset(sealed + 10, 0, 18);
        sealed[10] = (unsigned char)minor;
        sealed[12] = (unsigned char)header;
        for (size_t i = 0; i < 3; i++) {
            sealed[20 + i] = (unsigned char)((n - header - CRC) >> 8 * i);
        }
        uint32_t crc = nbt_crc32(sealed, n - CRC);
        for (size_t i = 0; i < CRC; i++) {
            sealed[n - CRC + i] = (unsigned char)(crc >> 8 * i);
        }
        load(sealed, n);
        free(sealed);
    }
    return 0;
}
