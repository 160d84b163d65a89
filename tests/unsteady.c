/* A source of a checkpoint whose bytes change while it is read: every byte, in every reading, by
 * several masks; and one that gives another checkpoint from some reading on. Each load gives an
 * error and memory of zeros or as it was, or a learner that is one of the checkpoints whole. Built
 * with sanitizers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nbt.h"
#include "require.h"
#include "still.h"

enum { ROUNDS = 4, BYTES_MAX = 1 << 14 };

typedef struct source {
    const unsigned char *data, *other; /* other: from reading `first` on; may be NULL */
    unsigned char readings[BYTES_MAX]; /* of every byte so far */
    size_t at;                         /* the byte that changes */
    unsigned first, last;              /* in these readings of it */
    unsigned char mask;
} source;

static int give(void *context, size_t at, unsigned char *out, size_t n)
{
    source *self = (source *)context;
    for (size_t i = 0; i < n; i++) {
        unsigned reading = ++self->readings[at + i];
        int changes = reading >= self->first && reading <= self->last;
        out[i] = changes && self->other != NULL ? self->other[at + i] : self->data[at + i];
        out[i] ^= changes && at + i == self->at ? self->mask : 0;
    }
    return 0;
}

static nbt_config config_of(uint32_t kind)
{
    nbt_config config = still_config(1, 2, 2, kind % 3);
    config.cell = kind % NBT_CELL_END;
    config.filter = kind % 3;
    config.estimator = config.cell == NBT_CELL_LSTM ? NBT_EST_NOBACKTRACK : 1 + kind % 5;
    if (NBT_IN(NBT_CELLS_ALONE, config.cell) != 0) {
        config.filter = kind % 2;
        config.estimator = NBT_EST_SNAP1;
        config.resonators = config.cell == NBT_CELL_RESONATOR ? 2 : kind / NBT_CELL_END % 2;
        config.head = 2;
    }
    config.max_delay = kind % 4;
    config.lags = 1 + kind % 2;
    config.rollback_steps = kind % 2 == 1 ? 3 : 0;
    config.stuck_steps = kind % 2 == 1 ? 9 : 0;
    return config;
}

static void live_on(nbt_learner *learner, unsigned steps)
{
    for (unsigned t = 0; t < steps; t++) {
        float x = (float)(t % 7) / 7.0f, y[2], label[2] = {(float)(t % 2), 0.5f};
        if (nbt_predict(learner, y, &x) == NBT_ERR_FULL) {
            REQUIRE(nbt_learn(learner, label) >= 0);
        }
    }
}

static int is_all(const unsigned char *bytes, size_t n, unsigned char value)
{
    int same = 1;
    for (size_t i = 0; i < n; i++) {
        same &= bytes[i] == value;
    }
    return same;
}

int main(int argc, char **argv)
{
    static source from;
    uint32_t kinds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 12;
    size_t step = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    static const unsigned char masks[] = {0x01, 0x80, 0x7f, 0xff};
    unsigned long loads = 0, good = 0;
    for (uint32_t kind = 0; kind < kinds; kind++) {
        nbt_config config = config_of(kind);
        size_t bytes = nbt_bytes(&config), n = nbt_checkpoint_bytes(&config);
        REQUIRE(bytes > 0 && n <= BYTES_MAX);
        unsigned char *block = malloc(bytes), *memory = malloc(bytes), *data = malloc(n),
                      *later = malloc(n);
        REQUIRE(block != NULL && memory != NULL && data != NULL && later != NULL);
        nbt_learner *learner = NULL;
        REQUIRE(nbt_init(block, bytes, &config, &learner) == NBT_OK);
        live_on(learner, 20);
        uint64_t hash = nbt_hash(learner);
        REQUIRE(nbt_save(learner, data, n) == NBT_OK);
        live_on(learner, 1);
        uint64_t hash_later = nbt_hash(learner);
        REQUIRE(nbt_save(learner, later, n) == NBT_OK);
        for (unsigned way = 0; way < 3 * ROUNDS * sizeof masks; way++) {
            unsigned first = 1 + way % ROUNDS, mode = way / ROUNDS % 3;
            unsigned char mask = masks[way / ROUNDS / 3];
            for (size_t at = 0; at < (mode == 2 ? 1 : n); at += step) {
                memset(&from, 0, sizeof from);
                from.data = data;
                from.other = mode == 2 ? later : NULL;
                from.at = at;
                from.first = first;
                from.last = mode == 0 ? first : 255;
                from.mask = mode == 2 ? 0 : mask;
                nbt_learner *loaded = NULL;
                memset(memory, 0x5a, bytes);
                nbt_status status = nbt_load_stream(memory, bytes, give, &from, n, &loaded);
                loads++;
                if (status == NBT_OK) {
                    REQUIRE(nbt_hash(loaded) == hash ||
                            (mode == 2 && nbt_hash(loaded) == hash_later));
                    good++;
                    live_on(loaded, 3); /* reaches outside the block if an index is wrong */
                } else {
                    REQUIRE(status < 0 && loaded == NULL);
                    REQUIRE(is_all(memory, bytes, 0x5a) || is_all(memory, bytes, 0));
                }
            }
        }
        free(block);
        free(memory);
        free(data);
        free(later);
    }
    printf("%lu loads, %lu of them good\n", loads, good);
    return 0;
}
