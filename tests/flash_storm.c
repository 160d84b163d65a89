/* Saves and loads on a simulated flash with all faults at once, against an oracle that keeps the
 * order of what was acknowledged.
 *
 *     flash_storm SEED SAVES
 *
 * One life is one flash of 2 to 32 slots, blank, with anything on it, or with a checkpoint in the
 * first format whose sequence number soon wraps. In every call each of these may happen: slots that
 * cannot be read, slots that take no program, reads that fail or give a wrong bit, programs that
 * fail, stop half way or write a wrong bit, erases that fail with nothing, a part or all of the
 * slot erased, and a power cut at any byte. Permanently, slots stop taking writes, and one of them can
 * no longer be read.
 *
 * The oracle: a load gives the state of the last acknowledged save, or one that was tried after it,
 * or an error that the faults explain; never anything older. Fault-free calls succeed, with one
 * slot that can never be read too, unless it holds the newest or there are fewer than four. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nbt.h"
#include "nbt_checkpoint.h"
#include "still.h"

static unsigned long line_seed, life_number, saves_done;

#define REQUIRE(condition)                                                                      \
    do {                                                                                        \
        if (!(condition)) {                                                                     \
            fprintf(stderr, "line %d: not true: %s (seed %lu, life %lu, save %lu)\n", __LINE__, \
                    #condition, line_seed, life_number, saves_done);                            \
            exit(1);                                                                            \
        }                                                                                       \
    } while (0)

enum { CHIP_SLOTS = 32, SLOT_BYTES = 1024, PIECE = 64, TRIED_MAX = 4096 };

static uint64_t random_state;

static uint32_t draw(void) /* splitmix64 */
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 32);
}

static uint32_t below(uint32_t n)
{
    return draw() % n;
}

/* Whether what happens once in n times happens; 0: never. */
static int once_in(uint32_t n)
{
    return n > 0 && below(n) == 0;
}

/* ---- the flash ------------------------------------------------------------------------------- */

static unsigned char chip[CHIP_SLOTS][SLOT_BYTES];
static unsigned char used[CHIP_SLOTS]
                         [SLOT_BYTES / PIECE]; /* holds what was programmed since the last erase */
static uint32_t n_slots;
static uint32_t read_only, unprogrammable, dead; /* permanently, bit masks */

/* Of one call. */
static uint32_t mute;              /* slots that cannot be read */
static uint32_t blurred;           /* slots of which only the record can be read */
static uint32_t deaf;              /* slots that take no program */
static uint32_t bad_read, bad_bit; /* once in so many reads; 0: never */
static uint32_t bad_program, wrong_program, bad_erase; /* the same of programs and erases */
static long left; /* bytes until the power goes; negative: it stays */
static int is_off;

static int has_power(void)
{
    is_off |= left == 0;
    left -= left > 0;
    return !is_off;
}

static int chip_read(void *context, uint32_t slot, size_t at, unsigned char *out, size_t n)
{
    (void)context;
    REQUIRE(slot < n_slots && n >= 1 && n <= PIECE && at + n <= SLOT_BYTES);
    memcpy(out, chip[slot] + at, n);
    if (once_in(bad_bit)) {
        out[below((uint32_t)n)] ^= (unsigned char)(1u << below(8));
    }
    if (is_off || ((mute | dead) >> slot & 1u) != 0 ||
        (at >= PIECE && (blurred >> slot & 1u) != 0) || once_in(bad_read)) {
        out[below((uint32_t)n)] = (unsigned char)draw();
        return 1;
    }
    return 0;
}

static int chip_program(void *context, uint32_t slot, size_t at, const unsigned char *bytes,
                        size_t n)
{
    (void)context;
    REQUIRE(slot < n_slots && n == PIECE && at % PIECE == 0 && at + n <= SLOT_BYTES);
    REQUIRE(!used[slot][at / PIECE]);
    if (is_off || ((read_only | unprogrammable | dead | deaf) >> slot & 1u) != 0) {
        return 1;
    }
    size_t stop = once_in(bad_program) ? below(PIECE + 1) : n + 1;
    for (size_t i = 0; i < n && i < stop; i++) {
        if (!has_power()) {
            chip[slot][at + i] &= (unsigned char)(bytes[i] | draw());
            used[slot][at / PIECE] |= chip[slot][at + i] != 0xff;
            return 1;
        }
        chip[slot][at + i] &= bytes[i];
        used[slot][at / PIECE] |= chip[slot][at + i] != 0xff;
    }
    if (once_in(wrong_program)) {
        chip[slot][at + below(PIECE)] &= (unsigned char)~(1u << below(8));
    }
    return stop <= n;
}

/* From the start, from the end, or here and there. */
static int chip_erase(void *context, uint32_t slot)
{
    (void)context;
    REQUIRE(slot < n_slots);
    if (is_off || ((read_only | dead) >> slot & 1u) != 0) {
        return 1;
    }
    memset(used[slot], 0, sizeof used[slot]);
    uint32_t way = below(3);
    uint32_t stop = once_in(bad_erase) ? below(SLOT_BYTES + 1) : SLOT_BYTES + 1;
    int lies = stop <= SLOT_BYTES && once_in(4); /* says that all went well */
    for (uint32_t i = 0; i < SLOT_BYTES && i < stop; i++) {
        uint32_t at = way == 0 ? i : way == 1 ? SLOT_BYTES - 1 - i : i * 389 % SLOT_BYTES;
        if (!has_power()) {
            chip[slot][at] |= (unsigned char)draw();
            return 1;
        }
        chip[slot][at] = 0xff;
    }
    return stop <= SLOT_BYTES && !lies;
}

static void no_faults(void)
{
    mute = blurred = deaf = bad_read = bad_bit = bad_program = wrong_program = bad_erase = 0;
    left = -1;
    is_off = 0;
}

/* What may go wrong in the next call. */
static void any_faults(void)
{
    no_faults();
    for (uint32_t i = 0; i < n_slots; i++) {
        mute |= (uint32_t)once_in(12) << i;
        blurred |= (uint32_t)once_in(6) << i;
        deaf |= (uint32_t)once_in(3) << i;
    }
    blurred = once_in(6) ? blurred : 0;
    deaf = once_in(8) ? deaf : 0;
    mute = once_in(2) ? mute : 0;
    bad_read = once_in(3) ? 4 + below(200) : 0;
    bad_bit = once_in(3) ? 16 + below(200) : 0;
    bad_program = once_in(4) ? 1 + below(60) : 0;
    wrong_program = once_in(8) ? 1 + below(60) : 0;
    bad_erase = once_in(4) ? 1 + below(4) : 0;
    if (once_in(12)) {
        bad_program = 1; /* low voltage: none */
    }
    left = once_in(3) ? (long)below(3000) : -1;
}

/* ---- the learner and the oracle -------------------------------------------------------------- */

static uint64_t memory[256], loaded_memory[256];
static nbt_learner *learner;
static const nbt_flash *flash;

static uint64_t acknowledged; /* hash; 0: nothing yet */
static uint64_t tried[TRIED_MAX];
static size_t n_tried; /* since then */

static int is_allowed(uint64_t hash)
{
    int found = acknowledged != 0 && hash == acknowledged;
    for (size_t i = 0; i < n_tried; i++) {
        found |= hash == tried[i];
    }
    return found;
}

static uint32_t word_at(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The whole checkpoints on the flash, as its bytes are, whether they can be read or not. */
static unsigned whole(void)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < n_slots; i++) {
        nbt_learner *found = NULL;
        const unsigned char *at = chip[i];
        size_t bytes = word_at(at + 8);
        n += memcmp(at, "NBTS", 4) == 0 && nbt_crc32(at, 12) == word_at(at + 12) &&
             bytes <= SLOT_BYTES - PIECE &&
             nbt_load(loaded_memory, sizeof loaded_memory, at + PIECE, bytes, &found) == NBT_OK;
    }
    return n;
}

static void live_on(void)
{
    static float x = 0.1f;
    float y;
    x = 3.7f * x * (1.0f - x);
    REQUIRE(nbt_predict(learner, &y, &x) == NBT_OK);
    REQUIRE(nbt_learn(learner, &x) == NBT_OK);
}

/* Returns whether the state that has to be found was found. */
static int check_load(void)
{
    nbt_learner *found = NULL;
    nbt_status status = nbt_store_load(flash, loaded_memory, sizeof loaded_memory, &found);
    if (status == NBT_OK) {
        REQUIRE(is_allowed(nbt_hash(found)));
        return 1;
    }
    int is_faulty = (mute | blurred | dead) != 0 || bad_read > 0 || bad_bit > 0;
    REQUIRE(status == NBT_ERR_NOTHING ? acknowledged == 0 : status == NBT_ERR_READ && is_faulty);
    return 0;
}

static unsigned long saved, refused, failed, found, missed, clean_saves, clean_refusals;

static void check_save(int is_clean)
{
    live_on();
    unsigned before = whole();
    int is_certain = is_clean && check_load();
    REQUIRE(n_tried < TRIED_MAX);
    tried[n_tried++] = nbt_hash(learner);
    nbt_status status = nbt_store_save(flash, learner);
    saves_done++;
    REQUIRE(status == NBT_OK || status == NBT_ERR_FLASH || status == NBT_ERR_READ);
    if (status == NBT_OK) {
        acknowledged = nbt_hash(learner);
        n_tried = 0;
        saved++;
    } else {
        refused += status == NBT_ERR_READ;
        failed += status == NBT_ERR_FLASH;
        REQUIRE(whole() + 1 >= before); /* one older checkpoint at most is given up */
    }
    REQUIRE(acknowledged == 0 || n_slots < 4 || whole() >= 2);
    if (is_clean) {
        clean_saves++;
        clean_refusals += status != NBT_OK;
        /* All slots take writes: nothing is left of the faults before. */
        REQUIRE(status == NBT_OK || (read_only | unprogrammable) != 0 ||
                (dead != 0 && (n_slots < 4 || !is_certain)));
    }
}

static void set_word(unsigned char *at, uint32_t word)
{
    for (unsigned i = 0; i < 4; i++) {
        at[i] = (unsigned char)(word >> 8 * i & 255u);
    }
}

/* What the first version of the store left: a record and a checkpoint, nothing behind. */
static void store_in_first_format(unsigned char *slot, uint32_t sequence, size_t bytes)
{
    memset(slot, 0xff, SLOT_BYTES);
    memcpy(slot, "NBTS", 4);
    set_word(slot + 4, sequence);
    set_word(slot + 8, (uint32_t)bytes);
    set_word(slot + 12, nbt_crc32(slot, 12));
    REQUIRE(nbt_save(learner, slot + PIECE, bytes) == NBT_OK);
}

static void new_life(void)
{
    nbt_config config = still_config(1, 1, 1, NBT_LINK_GAUSSIAN);
    life_number++;
    n_slots = once_in(2) ? 2 + below(4) : once_in(2) ? 2 + below(8) : 2 + below(31);
    for (uint32_t i = 0; i < CHIP_SLOTS; i++) {
        for (size_t k = 0; k < SLOT_BYTES; k++) {
            chip[i][k] = once_in(2) ? 0xff : (unsigned char)draw();
        }
        if (once_in(2)) {
            memset(chip[i], 0xff, SLOT_BYTES);
        }
    }
    memset(used, 1, sizeof used);
    read_only = unprogrammable = dead = 0;
    acknowledged = 0;
    n_tried = 0;
    REQUIRE(nbt_init(memory, sizeof memory, &config, &learner) == NBT_OK);
    REQUIRE(nbt_store_slot_bytes(&config) <= SLOT_BYTES);
    if (once_in(3)) {
        uint32_t sequence = 0u - below(80);
        for (uint32_t i = 0; i < n_slots; i++) {
            live_on();
            store_in_first_format(chip[i], sequence + i, nbt_checkpoint_bytes(&config));
        }
        acknowledged = nbt_hash(learner);
    }
}

int main(int argc, char **argv)
{
    line_seed = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    unsigned long saves = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
    nbt_flash description = {NULL, 2, SLOT_BYTES, chip_read, chip_program, chip_erase};
    flash = &description;
    random_state = line_seed;
    while (saves_done < saves) {
        new_life();
        description.n_slots = n_slots;
        int dies = once_in(2); /* slots of this flash fail permanently */
        for (uint32_t i = 4 + below(120); i > 0; i--) {
            if (dies && once_in(20)) {
                uint32_t slot = (uint32_t)1 << below(n_slots);
                switch (below(3)) {
                case 0: read_only |= slot; break;
                case 1: unprogrammable |= slot; break;
                default: dead = dead == 0 ? slot : dead; break;
                }
            }
            int is_clean = once_in(4);
            no_faults();
            if (!is_clean) {
                any_faults();
            }
            check_save(is_clean);
            any_faults();
            left = -1;
            int was_found = check_load();
            no_faults();
            was_found = check_load();
            /* What was acknowledged is there, unless it lies in the slot that died. */
            REQUIRE(was_found || acknowledged == 0 || dead != 0);
            found += (unsigned long)was_found;
            missed += (unsigned long)!was_found;
        }
    }
    printf("%lu saves in %lu lives: %lu acknowledged, %lu refused, %lu failed; of %lu without a "
           "passing fault "
           "%lu not acknowledged; %lu loads without one: %lu found none\n",
           saves_done, life_number, saved, refused, failed, clean_saves, clean_refusals,
           found + missed, missed);
    return 0;
}
