/* The store on a simulated flash of which a slot fails permanently: what goes on, and what refuses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nbt.h"
#include "still.h"

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: not true: %s (%u slots, fault %u, from save %u, save %u)\n", \
                    __LINE__, #condition, (unsigned)n_slots, (unsigned)fault, (unsigned)start,     \
                    (unsigned)save);                                                               \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

enum { SLOTS = 8, SLOT_BYTES = 1024, SAVES = 24 };
enum { NO_PROGRAM, NO_ERASE, SAYS_IT_DID, NO_READ, FAULTS };

static uint32_t n_slots, fault, start, save;
static unsigned char chip[SLOTS][SLOT_BYTES];
static uint32_t mute, unprogrammable, read_only, lying; /* bit masks of slots */
static uint32_t blurred;                                /* only their records can be read */
static uint32_t left_out; /* slots before the first of the description */

static int chip_read(void *context, uint32_t slot, size_t at, unsigned char *out, size_t n)
{
    (void)context;
    slot += left_out;
    REQUIRE(slot < SLOTS && at + n <= SLOT_BYTES);
    memcpy(out, chip[slot] + at, n);
    return (int)((mute | (at >= 64 ? blurred : 0)) >> slot & 1u);
}

static int chip_program(void *context, uint32_t slot, size_t at, const unsigned char *bytes,
                        size_t n)
{
    (void)context;
    slot += left_out;
    REQUIRE(slot < SLOTS && at + n <= SLOT_BYTES);
    if (((unprogrammable | read_only) >> slot & 1u) != 0) {
        return (lying >> slot & 1u) == 0;
    }
    for (size_t i = 0; i < n; i++) {
        chip[slot][at + i] &= bytes[i];
    }
    return 0;
}

static int chip_erase(void *context, uint32_t slot)
{
    (void)context;
    slot += left_out;
    REQUIRE(slot < SLOTS);
    if ((read_only >> slot & 1u) != 0) {
        return (lying >> slot & 1u) == 0;
    }
    memset(chip[slot], 0xff, SLOT_BYTES);
    return 0;
}

static uint64_t memory[256], loaded_memory[256];
static nbt_learner *learner;
static nbt_flash flash = {NULL, 2, SLOT_BYTES, chip_read, chip_program, chip_erase};

static void begin(uint32_t slots)
{
    nbt_config config = still_config(1, 1, 1, NBT_LINK_GAUSSIAN);
    REQUIRE(nbt_init(memory, sizeof memory, &config, &learner) == NBT_OK);
    memset(chip, 0xff, sizeof chip);
    mute = blurred = unprogrammable = read_only = lying = left_out = 0;
    flash.n_slots = n_slots = slots;
}

static nbt_status live_and_save(void)
{
    float x = (float)(save++ % 5u);
    float y;
    REQUIRE(nbt_predict(learner, &y, &x) == NBT_OK && nbt_learn(learner, &x) == NBT_OK);
    return nbt_store_save(&flash, learner);
}

/* Hash of what is loaded, 0 with an error. */
static uint64_t stored(nbt_status *status)
{
    nbt_learner *loaded = NULL;
    *status = nbt_store_load(&flash, loaded_memory, sizeof loaded_memory, &loaded);
    return *status == NBT_OK ? nbt_hash(loaded) : 0;
}

/* Slot 0 fails from a save on. It is the newest of all when n_slots - 1 or a multiple of them came
 * before. */
static void one_slot_dies(void)
{
    unsigned failed = 0;
    uint64_t acknowledged = 0;
    begin(n_slots);
    for (save = 0; save < SAVES;) {
        if (save == start) {
            unprogrammable = fault == NO_PROGRAM;
            read_only = fault == NO_ERASE || fault == SAYS_IT_DID;
            lying = fault == SAYS_IT_DID;
            mute = fault == NO_READ;
        }
        nbt_status status = live_and_save();
        failed += status != NBT_OK;
        acknowledged = status == NBT_OK ? nbt_hash(learner) : acknowledged;
        REQUIRE(status == NBT_OK || status == (fault == NO_READ ? NBT_ERR_READ : NBT_ERR_FLASH));
        uint64_t found = stored(&status);
        REQUIRE(status != NBT_OK || acknowledged == 0 || found == acknowledged ||
                found == nbt_hash(learner));
        REQUIRE(status == NBT_OK || (status == NBT_ERR_READ && fault == NO_READ));
    }
    int held_newest = start == n_slots;
    if (n_slots < 3 || (n_slots == 3 && held_newest && fault != NO_PROGRAM)) {
        return; /* stops, as docs/reference/checkpoint.md says */
    }
    if (fault != NO_READ) {
        REQUIRE(failed <=
                (fault == NO_PROGRAM)); /* the save that finds out gives up no second checkpoint */
    } else if (held_newest) {
        REQUIRE(failed == SAVES - start);
        left_out = 1; /* what the error asks for */
        flash.n_slots--;
        REQUIRE(live_and_save() == NBT_OK);
    } else {
        REQUIRE(failed == 0 ||
                (start == 0 && n_slots < 4)); /* a blank flash of which a part cannot be read */
    }
}

/* The voltage is too low to program, for many saves: half of the checkpoints stay. */
static void low_voltage(void)
{
    begin(SLOTS);
    for (save = 0; save < 20;) {
        REQUIRE(live_and_save() == NBT_OK);
    }
    uint64_t acknowledged = nbt_hash(learner);
    unprogrammable = ~(uint32_t)0;
    for (save = 0; save < 40;) {
        nbt_status status;
        REQUIRE(live_and_save() == NBT_ERR_FLASH && stored(&status) == acknowledged);
    }
    unsigned whole = 0;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        whole += memcmp(chip[slot], "NBTS", 4) == 0;
    }
    REQUIRE(whole >= SLOTS / 2);
    unprogrammable = 0;
    REQUIRE(live_and_save() == NBT_OK);
}

/* Failed saves leave a checkpoint in a slot that then cannot be read for a while: it does not
 * outrun what is acknowledged meanwhile. */
static void outrun(void)
{
    for (uint32_t tries = 1; tries <= 100; tries++) {
        nbt_status status;
        begin(4);
        unprogrammable = 7u;
        for (save = 0; save < tries;) {
            REQUIRE(live_and_save() != NBT_OK);
        }
        unprogrammable = 0;
        mute = 8u;
        REQUIRE(live_and_save() == NBT_OK);
        mute = 0;
        REQUIRE(stored(&status) == nbt_hash(learner));
    }
}

/* The newest takes no mark, a failed save leaves a later checkpoint without a seal, and then only
 * the record of the newest can be read while the next save is acknowledged. The newest of before
 * does not come back. */
static void out_of_focus(void)
{
    nbt_status status;
    begin(4);
    save = 0;
    REQUIRE(live_and_save() == NBT_OK); /* in slots 0 and 1 */
    unprogrammable = ~(uint32_t)4u;
    REQUIRE(live_and_save() == NBT_ERR_FLASH); /* in slot 2 */
    unprogrammable = 0;
    blurred = 2u;
    int is_saved = live_and_save() == NBT_OK;
    blurred = 0;
    for (uint32_t slot = 0; slot < 4 && is_saved; slot++) {
        mute = (uint32_t)1 << slot;
        uint64_t found = stored(&status);
        REQUIRE(status == NBT_ERR_READ || found == nbt_hash(learner));
    }
    mute = 0;
    REQUIRE(live_and_save() == NBT_OK && stored(&status) == nbt_hash(learner));
}

/* An open slot that took no mark cannot be read: with three slots the one that says so stays. */
static void stale(void)
{
    nbt_status status;
    begin(3);
    save = 0;
    REQUIRE(live_and_save() == NBT_OK); /* in slots 0 and 1 */
    read_only = 2u;
    REQUIRE(live_and_save() == NBT_OK); /* in slots 2 and 0 */
    uint64_t acknowledged = nbt_hash(learner);
    mute = 2u;
    unprogrammable = 4u;
    REQUIRE(live_and_save() == NBT_ERR_READ && stored(&status) == acknowledged);
    mute = 1u;
    REQUIRE(stored(&status) == 0 && status == NBT_ERR_READ);
}

int main(void)
{
    for (n_slots = 2; n_slots <= 6; n_slots++) {
        for (fault = 0; fault < FAULTS; fault++) {
            for (start = 0; start <= n_slots; start++) {
                one_slot_dies();
            }
        }
    }
    low_voltage();
    outrun();
    out_of_focus();
    stale();
    return 0;
}
