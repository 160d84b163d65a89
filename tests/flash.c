/* The store on a simulated flash that loses power at every byte of every operation.
 *
 *     flash cuts STEP  two saves after a first one, each cut at every byte and erase: every pair of
 *                      cuts (STEP 1), or every STEP-th with all residues
 *     flash wear       many saves: every slot is erased equally often
 *     flash flips      every bit of the newest slot flipped in turn
 *     flash faults     slots that fail, wrong descriptions, an empty flash
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nbt.h"
#include "require.h"
#include "still.h"

enum { SLOTS = 3, SLOT_BYTES = 1024 };

typedef struct device {
    unsigned char bytes[SLOTS][SLOT_BYTES];
    unsigned erased[SLOTS];
    long left; /* bytes that may still be written before the power goes; negative: no limit */
    int off;
    uint32_t random; /* for what a torn write leaves */
    uint32_t broken; /* bit mask of slots that do not take writes */
    uint32_t mute;   /* bit mask of slots that cannot be read */
} device;

static unsigned char noise(device *d)
{
    d->random = d->random * 1664525u + 1013904223u;
    return (unsigned char)(d->random >> 24);
}

/* Whether one more byte can be written; at the cut the byte in question comes out torn. */
static int powered(device *d, unsigned char *byte)
{
    if (!d->off && d->left == 0) {
        d->off = 1;
        *byte = noise(d);
    }
    d->left -= d->left > 0;
    return !d->off;
}

static int flash_read(void *context, uint32_t slot, size_t at, unsigned char *out, size_t n)
{
    device *d = (device *)context;
    REQUIRE(slot < SLOTS && n >= 1 && n <= 64 && at + n <= SLOT_BYTES);
    memcpy(out, d->bytes[slot] + at, n);
    return d->off || (d->mute >> slot & 1u);
}

static int flash_program(void *context, uint32_t slot, size_t at, const unsigned char *bytes,
                         size_t n)
{
    device *d = (device *)context;
    REQUIRE(slot < SLOTS && n == 64 && at % 64 == 0 && at + n <= SLOT_BYTES);
    if (d->broken >> slot & 1u) {
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char *byte = &d->bytes[slot][at + i];
        REQUIRE(d->off || *byte == 0xff); /* each place once after an erase */
        if (!powered(d, byte)) {
            return 1;
        }
        *byte = bytes[i];
    }
    return 0;
}

/* From the end, so that a cut leaves the record and a damaged checkpoint; then from the start. */
static int flash_erase(void *context, uint32_t slot)
{
    device *d = (device *)context;
    REQUIRE(slot < SLOTS);
    for (size_t i = 0; i < SLOT_BYTES; i++) {
        unsigned char *byte = &d->bytes[slot][d->random & 1u ? i : SLOT_BYTES - 1 - i];
        if (!powered(d, byte)) {
            return 1;
        }
        *byte = 0xff;
    }
    d->erased[slot]++;
    return 0;
}

static nbt_flash flash_of(device *d, uint32_t slots)
{
    nbt_flash flash = {d, slots, SLOT_BYTES, flash_read, flash_program, flash_erase};
    return flash;
}

static device fresh(void)
{
    device d = {{{0}}, {0}, -1, 0, 1u, 0u};
    memset(d.bytes, 0xa5, sizeof d.bytes); /* flash holds anything before its first use */
    return d;
}

static uint64_t memory[256], loaded_memory[256];

static nbt_learner *new_learner(void)
{
    nbt_config config = still_config(1, 1, 1, NBT_LINK_GAUSSIAN);
    nbt_learner *learner = NULL;
    REQUIRE(nbt_init(memory, sizeof memory, &config, &learner) == NBT_OK);
    REQUIRE(nbt_store_slot_bytes(&config) <= SLOT_BYTES);
    return learner;
}

static void live_on(nbt_learner *learner)
{
    static float x = 0.1f;
    float y;
    x = 3.7f * x * (1.0f - x);
    REQUIRE(nbt_predict(learner, &y, &x) == NBT_OK);
    REQUIRE(nbt_learn(learner, &x) == NBT_OK);
}

static uint64_t stored(const nbt_flash *flash)
{
    nbt_learner *loaded = NULL;
    nbt_status status = nbt_store_load(flash, loaded_memory, sizeof loaded_memory, &loaded);
    REQUIRE(status == NBT_OK);
    return nbt_hash(loaded);
}

/* Cuts a save at byte `cut`; afterwards the flash holds `before`, or the learner's state. Returns
 * whether the save was whole. */
static int cut_save(device *d, const nbt_flash *flash, const nbt_learner *learner, long cut,
                    uint64_t before)
{
    d->left = cut;
    d->random = (uint32_t)cut * 2654435761u;
    nbt_status status = nbt_store_save(flash, learner);
    int went_off = d->off;
    d->left = -1;
    d->off = 0;
    uint64_t now = stored(flash);
    REQUIRE(status == NBT_OK || status == NBT_ERR_FLASH);
    REQUIRE((status == NBT_OK) == !went_off);
    REQUIRE(now == (status == NBT_OK ? nbt_hash(learner) : before) || now == nbt_hash(learner));
    return status == NBT_OK;
}

static void cuts(uint32_t slots, long step)
{
    nbt_learner *learner = new_learner();
    device start = fresh();
    nbt_flash flash = flash_of(&start, slots);
    live_on(learner);
    REQUIRE(nbt_store_save(&flash, learner) == NBT_OK);
    uint64_t first = nbt_hash(learner);
    long cases = 0;
    int whole = 0;
    for (long cut = 0; !whole; cut++) {
        device one = start;
        flash.context = &one;
        live_on(learner);
        whole = cut_save(&one, &flash, learner, cut, first);
        uint64_t second = stored(&flash);
        int again = 0;
        for (long next = cut % step; !again; next += step, cases++) {
            device two = one;
            flash.context = &two;
            live_on(learner);
            again = cut_save(&two, &flash, learner, next, second);
        }
    }
    printf("%u slots: %ld pairs of cuts\n", (unsigned)slots, cases);
}

static void wear(void)
{
    nbt_learner *learner = new_learner();
    device d = fresh();
    nbt_flash flash = flash_of(&d, SLOTS);
    for (unsigned i = 0; i < 100u * SLOTS; i++) {
        live_on(learner);
        REQUIRE(nbt_store_save(&flash, learner) == NBT_OK);
        REQUIRE(stored(&flash) == nbt_hash(learner));
    }
    for (size_t i = 0; i < SLOTS; i++) { /* the first save writes two slots */
        REQUIRE(d.erased[i] == (i == 0 ? 101u : 100u));
    }
}

static void flips(void)
{
    nbt_learner *learner = new_learner();
    device d = fresh();
    nbt_flash flash = flash_of(&d, 2);
    uint64_t hashes[2];
    for (size_t i = 0; i < 2; i++) {
        live_on(learner);
        hashes[i] = nbt_hash(learner);
        REQUIRE(nbt_store_save(&flash, learner) == NBT_OK);
    }
    /* The first save went to both slots, the second to the first of them. */
    nbt_config config = still_config(1, 1, 1, NBT_LINK_GAUSSIAN);
    size_t used = 64 + nbt_checkpoint_bytes(&config);
    for (size_t bit = 0; bit < 8u * SLOT_BYTES; bit++) {
        size_t byte = bit / 8;
        int matters = byte < 16 || (byte >= 64 && byte < used);
        d.bytes[0][byte] ^= (unsigned char)(1u << bit % 8);
        REQUIRE(stored(&flash) == hashes[matters ? 0 : 1]);
        d.bytes[0][byte] ^= (unsigned char)(1u << bit % 8);
    }
    d.bytes[0][100] ^= 1u;
    d.bytes[1][100] ^= 1u;
    nbt_learner *loaded = NULL;
    REQUIRE(nbt_store_load(&flash, loaded_memory, sizeof loaded_memory, &loaded) ==
            NBT_ERR_NOTHING);
    REQUIRE(nbt_store_save(&flash, learner) == NBT_OK);
    REQUIRE(stored(&flash) == nbt_hash(learner));
}

static void faults(void)
{
    nbt_learner *learner = new_learner();
    nbt_learner *loaded = NULL;
    device d = fresh();
    nbt_flash flash = flash_of(&d, SLOTS);
    nbt_flash bad = flash;
    REQUIRE(nbt_store_load(&flash, loaded_memory, sizeof loaded_memory, &loaded) ==
            NBT_ERR_NOTHING);
    /* A slot that takes no writes is passed over, the first one as well as a later one. */
    d.broken = 1u;
    for (int i = 0; i < 4; i++) {
        live_on(learner);
        REQUIRE(nbt_store_save(&flash, learner) == NBT_OK);
        REQUIRE(stored(&flash) == nbt_hash(learner));
    }
    uint64_t before = nbt_hash(learner);
    d.broken = 7u;
    live_on(learner);
    REQUIRE(nbt_store_save(&flash, learner) == NBT_ERR_FLASH);
    REQUIRE(stored(&flash) == before);
    d.broken = 0u;

    /* A slot that cannot be read just now may hold the newest: with three slots a save then
     * refuses, and a load gives the newest or says that it cannot. Nothing is written. */
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        device copy = d;
        nbt_flash chip = flash_of(&copy, SLOTS);
        copy.mute = 1u << slot;
        uint64_t newest = before;
        nbt_status status = nbt_store_load(&chip, loaded_memory, sizeof loaded_memory, &loaded);
        REQUIRE(status == NBT_ERR_READ || (status == NBT_OK && nbt_hash(loaded) == newest));
        status = nbt_store_save(&chip, learner);
        REQUIRE(status == NBT_OK || memcmp(copy.bytes, d.bytes, sizeof d.bytes) == 0);
        newest = status == NBT_OK ? nbt_hash(learner) : newest;
        copy.mute = 0u;
        REQUIRE(stored(&chip) == newest);
        copy = d;
        copy.mute = 7u;
        REQUIRE(nbt_store_save(&chip, learner) == NBT_ERR_READ);
        REQUIRE(nbt_store_load(&chip, loaded_memory, sizeof loaded_memory, &loaded) ==
                NBT_ERR_READ);
        REQUIRE(memcmp(copy.bytes, d.bytes, sizeof d.bytes) == 0);
    }

    REQUIRE(nbt_store_load(&flash, loaded_memory, 64, &loaded) == NBT_ERR_BYTES);
    REQUIRE(nbt_store_load(&flash, (char *)loaded_memory + 4, 1024, &loaded) == NBT_ERR_ALIGN);
    REQUIRE(nbt_store_save(NULL, learner) == NBT_ERR_NULL);
    REQUIRE(nbt_store_save(&flash, NULL) == NBT_ERR_NULL);
    REQUIRE(nbt_store_load(NULL, memory, sizeof memory, &loaded) == NBT_ERR_NULL);
    REQUIRE(nbt_store_load(&flash, NULL, 9, &loaded) == NBT_ERR_NULL);
    REQUIRE(nbt_store_load(&flash, memory, sizeof memory, NULL) == NBT_ERR_NULL);
    bad.n_slots = 1;
    REQUIRE(nbt_store_save(&bad, learner) == NBT_ERR_FLASH);
    bad.n_slots = 33;
    REQUIRE(nbt_store_load(&bad, loaded_memory, sizeof loaded_memory, &loaded) == NBT_ERR_FLASH);
    bad = flash;
    bad.erase = NULL;
    REQUIRE(nbt_store_save(&bad, learner) == NBT_ERR_FLASH);
    bad = flash;
    bad.slot_bytes = 256;
    REQUIRE(nbt_store_save(&bad, learner) == NBT_ERR_BYTES);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    long step = argc > 2 ? strtol(argv[2], NULL, 10) : 1;
    if (strcmp(mode, "cuts") == 0 && step > 0) {
        cuts(2, step);
        cuts(SLOTS, step);
    } else if (strcmp(mode, "wear") == 0) {
        wear();
    } else if (strcmp(mode, "flips") == 0) {
        flips();
    } else if (strcmp(mode, "faults") == 0) {
        faults();
    } else {
        fprintf(stderr, "usage: flash cuts STEP, flash wear|flips|faults\n");
        return 2;
    }
    return 0;
}
