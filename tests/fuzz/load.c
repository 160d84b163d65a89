/* Checkpoints from anywhere: as they come, and with the lengths and the CRC made right, so that
 * what lies behind is reached. What is loaded has to work and to save as it was read. */
#include <stdlib.h>
#include <string.h>

#include "nbt.h"
#include "nbt_checkpoint.h"

static uint64_t memory[1 << 16];

/* A source that gives up, or gives other bytes, from some call on. */
typedef struct source {
    const unsigned char *data;
    size_t calls; /* that go well */
    int lies;
} source;

static int unsteady(void *context, size_t at, unsigned char *out, size_t n)
{
    source *self = (source *)context;
    memcpy(out, self->data + at, n);
    if (self->calls > 0) {
        self->calls--;
        return 0;
    }
    out[0] ^= 0x80;
    return !self->lies;
}

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
    if (nbt_save(again, saved, n - 1) != NBT_ERR_BYTES ||
        nbt_save(NULL, saved, n) != NBT_ERR_NULL ||
        nbt_save_stream(again, NULL, NULL) != NBT_ERR_NULL) {
        abort();
    }
    while (nbt_pending(again) > 0) {
        if (nbt_learn(again, y) < 0) {
            y[0] = 0.0f;
            break;
        }
    }
    int is_finite = 1;
    nbt_status status = nbt_predict(again, y, x);
    for (size_t o = 0; o < config->n_out; o++) {
        is_finite &= y[o] - y[o] == 0.0f;
    }
    if (status >= 0 && (status == NBT_NOT_FINITE) == is_finite) {
        abort();
    }
    (void)nbt_reset_state(again);
    memset((unsigned char *)again + NBT_HEADER_BYTES, 0xff, 4); /* a weight is NaN */
    if (nbt_save(again, saved, n) != NBT_ERR_STATE) {
        abort();
    }
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
    if (nbt_load_config(data, n, &config) != NBT_OK ||
        nbt_load_config(NULL, n, &config) == NBT_OK) {
        abort();
    }
    unsigned char *bytes = (unsigned char *)memory;
    source torn = {data, data[n - 1], data[n / 2] % 2};
    (void)nbt_load_stream(memory, sizeof memory, unsteady, &torn, n, &learner);
    if (nbt_load(memory, nbt_bytes(&config) - 1, data, n, &learner) != NBT_ERR_BYTES ||
        nbt_load(bytes + 4, sizeof memory - 4, data, n, &learner) != NBT_ERR_ALIGN ||
        nbt_load(memory, sizeof memory, NULL, n, &learner) != NBT_ERR_NULL ||
        nbt_load(NULL, sizeof memory, data, n, &learner) != NBT_ERR_NULL ||
        nbt_load(memory, sizeof memory, data, n, &learner) != NBT_OK) {
        abort();
    }
    use(learner, &config);
}

/* Any configuration is either refused, with a field and its range, or has a size. */
static void check_config(const unsigned char *data, size_t n)
{
    nbt_config config = {0};
    uint32_t field = 0;
    double low = 0.0, high = 0.0;
    memcpy(&config, data, n < sizeof config ? n : sizeof config);
    nbt_status status = nbt_config_check(&config, &field, &low, &high);
    if ((status == NBT_OK) != (nbt_bytes(&config) > 0) || nbt_status_text(status)[0] == '\0' ||
        (status != NBT_OK && field == 0) || nbt_config_check(NULL, NULL, NULL, NULL) == NBT_OK ||
        nbt_bytes_breakdown(&config, NULL) == NBT_OK) {
        abort();
    }
    for (int code = NBT_ERR_NOTHING - 1; code <= NBT_NOT_FINITE; code++) {
        if (nbt_status_text((nbt_status)code)[0] == '\0') {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
    enum { CRC = 4 };
    static const unsigned char start[10] = {0x89, 'N', 'B', 'T', '\r', '\n', 0x1a, '\n', 1, 0};
    load(data, n);
    check_config(data + (n > 44 ? 44 : 0), n > 44 ? n - 44 : n);
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
