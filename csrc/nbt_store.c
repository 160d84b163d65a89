/* Checkpoints on raw flash. A slot is a record of 20 bytes in a piece of NBT_CHUNK, a checkpoint, a
 * piece that stays erased as long as nothing newer has been acknowledged (the mark), and the record
 * again (the seal): an erase that a power cut ends, from whichever side it comes, does not undo a
 *   mark and leave the rest. "NBTS", sequence number, bytes of the checkpoint, CRC-32 of these
 * twelve, 1 (has a mark); little-endian. docs/checkpoint.md, "Slots on raw flash", says why no
 * acknowledged save is lost. */
#include "nbt_checkpoint.h"
#include "nbt_layout.h"

#include <string.h>

enum {
    SLOTS_MAX = 32,
    RECORD_BYTES = 20,
    MARKED = 1, /* the format of a slot, in its record; slots of the first format have ff there */
    READS_MAX = 8,      /* of one piece, until two agree */
    ROUNDS_MAX = 3,     /* of one slot, until its CRCs are right */
    SEQUENCE_JUMP = 256 /* more than saves in a row fail on a slot that then cannot be read */
};

static const unsigned char record_magic[4] = {'N', 'B', 'T', 'S'};

static void put_word(unsigned char *out, uint32_t word)
{
    for (unsigned i = 0; i < 4; i++) {
        out[i] = (unsigned char)(word >> 8 * i & 255u);
    }
}

static uint32_t get_word(const unsigned char *bytes)
{
    uint32_t word = 0;
    for (unsigned i = 0; i < 4; i++) {
        word |= (uint32_t)bytes[i] << 8 * i;
    }
    return word;
}

static size_t whole_pieces(size_t bytes)
{
    return (bytes + NBT_CHUNK - 1) / NBT_CHUNK * NBT_CHUNK;
}

/* Offset of the mark of a slot that holds a checkpoint of so many bytes. */
static size_t mark_at(size_t bytes)
{
    return NBT_CHUNK + whole_pieces(bytes);
}

size_t nbt_store_slot_bytes(const nbt_config *config)
{
    size_t bytes = nbt_checkpoint_bytes(config);
    return bytes == 0 ? 0 : mark_at(bytes) + 2 * NBT_CHUNK;
}

static int is_described(const nbt_flash *flash)
{
    return flash->read != NULL && flash->program != NULL && flash->erase != NULL &&
           flash->n_slots >= 2 && flash->n_slots <= SLOTS_MAX && flash->slot_bytes >= NBT_CHUNK;
}

/* ---- one slot -------------------------------------------------------------------------------- */

typedef struct slot {
    const nbt_flash *flash;
    uint32_t index;
    uint32_t sequence;
    size_t bytes;   /* of the checkpoint */
    int has_record; /* then sequence and bytes are those of its record */
    int open;       /* has a mark, which is not made */
} slot;

/* Reads until two readings one after the other agree, so that neither an error nor a wrong bit that
 * comes and goes counts. Returns 0, or 1 if they do not. */
static int read_piece(const slot *self, size_t at, unsigned char *out, size_t n)
{
    unsigned char again[NBT_CHUNK];
    int has_one = 0;
    for (unsigned i = 0; i < READS_MAX; i++) {
        if (self->flash->read(self->flash->context, self->index, at, again, n) != 0) {
            continue;
        }
        if (has_one && memcmp(out, again, n) == 0) {
            return 0;
        }
        memcpy(out, again, n);
        has_one = 1;
    }
    return 1;
}

static int read_checkpoint(void *context, size_t at, unsigned char *out, size_t n)
{
    return read_piece((const slot *)context, NBT_CHUNK + at, out, n);
}

/* Whether the mark can be read and is as erased. Any bit of it makes it, so a torn mark is one
 * too. */
static int is_unmarked(const slot *self)
{
    unsigned char piece[NBT_CHUNK];
    if (read_piece(self, mark_at(self->bytes), piece, NBT_CHUNK) != 0) {
        return 0;
    }
    unsigned char all = 0xff;
    for (size_t i = 0; i < NBT_CHUNK; i++) {
        all &= piece[i];
    }
    return all == 0xff;
}

/* Whether the slot of a whole checkpoint can be marked, is sealed, and has not been marked. */
static int is_open(const slot *self, const unsigned char *record)
{
    unsigned char seal[RECORD_BYTES];
    size_t at = mark_at(self->bytes) + NBT_CHUNK;
    return get_word(record + 16) == MARKED && at <= self->flash->slot_bytes - NBT_CHUNK &&
           read_piece(self, at, seal, RECORD_BYTES) == 0 &&
           memcmp(seal, record, RECORD_BYTES) == 0 && is_unmarked(self);
}

typedef enum content { NO_CHECKPOINT, WHOLE, UNREADABLE } content;

/* One round of content_of. */
static content read_slot(slot *self)
{
    unsigned char record[RECORD_BYTES];
    nbt_config config;
    self->has_record = self->open = 0;
    if (read_piece(self, 0, record, RECORD_BYTES) != 0) {
        return UNREADABLE;
    }
    self->sequence = get_word(record + 4);
    self->bytes = get_word(record + 8);
    if (memcmp(record, record_magic, sizeof record_magic) != 0 ||
        get_word(record + 12) != nbt_crc32(record, 12) ||
        self->bytes > self->flash->slot_bytes - NBT_CHUNK) {
        return NO_CHECKPOINT;
    }
    self->has_record = 1;
    nbt_status status = nbt_checkpoint_check(read_checkpoint, self, self->bytes, &config);
    if (status != NBT_OK) {
        return status == NBT_ERR_READ ? UNREADABLE : NO_CHECKPOINT;
    }
    self->open = is_open(self, record);
    return WHOLE;
}

/* What the slot holds; fills in the rest of it. */
static content content_of(slot *self)
{
    content holds = NO_CHECKPOINT;
    for (unsigned i = 0; i < ROUNDS_MAX && holds == NO_CHECKPOINT; i++) {
        holds = read_slot(self);
    }
    return holds;
}

static slot slot_at(const nbt_flash *flash, uint32_t index)
{
    slot self = {flash, index, 0, 0, 0, 0};
    return self;
}

/* ---- all slots ------------------------------------------------------------------------------- */

/* What a look at all slots has found. Sets of slots are bit masks. */
typedef struct survey {
    uint32_t sequence[SLOTS_MAX]; /* of those with a record */
    uint32_t bytes[SLOTS_MAX];    /* of the checkpoint, of those that are whole */
    uint32_t recorded;            /* have a record */
    uint32_t whole;               /* hold a whole checkpoint */
    uint32_t open;                /* ... that has not been marked */
    uint32_t unreadable;
    uint32_t doubtful; /* ... and not known to be older than the newest */
    uint32_t newest,
        before; /* the whole ones with the highest sequence number and the next, as sets */
} survey;

static uint32_t only(uint32_t index)
{
    return (uint32_t)1 << index;
}

/* Whether a set has one slot at most. */
static int is_single(uint32_t set)
{
    return (set & (set - 1)) == 0;
}

/* Sequence numbers may wrap: the newer of two is less than half a turn ahead. Of two equal ones,
 * which no save makes, the later slot counts. */
static int is_newer(uint32_t a, uint32_t b)
{
    return a - b < 0x80000000u;
}

/* Index of the one with the highest sequence number in a set, 0 for none. */
static uint32_t newest_of(const survey *seen, uint32_t set)
{
    uint32_t newest = 0;
    int has_one = 0;
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        if ((set & only(i)) != 0 &&
            (!has_one || is_newer(seen->sequence[i], seen->sequence[newest]))) {
            newest = i;
            has_one = 1;
        }
    }
    return newest;
}

/* Looks at all slots but those of a set. */
static survey survey_of(const nbt_flash *flash, uint32_t without)
{
    survey seen = {{0}, {0}, 0, 0, 0, 0, 0, 0, 0};
    for (uint32_t i = 0; i < flash->n_slots; i++) {
        slot self = slot_at(flash, i);
        content holds = (without & only(i)) == 0 ? content_of(&self) : NO_CHECKPOINT;
        seen.sequence[i] = self.sequence;
        seen.bytes[i] = (uint32_t)self.bytes;
        seen.recorded |= (uint32_t)self.has_record << i;
        seen.whole |= (uint32_t)(holds == WHOLE) << i;
        seen.open |= (uint32_t)self.open << i;
        seen.unreadable |= (uint32_t)(holds == UNREADABLE) << i;
    }
    uint32_t newest = newest_of(&seen, seen.whole);
    seen.newest = seen.whole & only(newest);
    seen.before = seen.whole & ~seen.newest;
    seen.before &= only(newest_of(&seen, seen.before));
    for (uint32_t i = 0; i < flash->n_slots; i++) {
        int is_older = seen.newest != 0 && (seen.recorded & only(i)) != 0 &&
                       !is_newer(seen.sequence[i], seen.sequence[newest]);
        seen.doubtful |= is_older ? 0 : seen.unreadable & only(i);
    }
    return seen;
}

/* Whether what is the newest of the slots that could be read is the newest of all; without any,
 * whether nothing was ever acknowledged (docs/checkpoint.md). */
static int is_certain(const nbt_flash *flash, const survey *seen)
{
    if (seen->doubtful == 0) {
        return 1;
    }
    if (!is_single(seen->doubtful) || flash->n_slots < 3) {
        return 0;
    }
    if (seen->whole == 0) {
        return flash->n_slots >= 4;
    }
    return (seen->open & seen->newest) != 0;
}

nbt_status nbt_store_load(const nbt_flash *flash, void *memory, size_t bytes, nbt_learner **learner)
{
    if (flash == NULL || memory == NULL || learner == NULL) {
        return NBT_ERR_NULL;
    }
    if (!is_described(flash)) {
        return NBT_ERR_FLASH;
    }
    uint32_t without = 0;
    for (unsigned round = 0; round < SLOTS_MAX + ROUNDS_MAX; round++) {
        survey seen = survey_of(flash, without);
        if (!is_certain(flash, &seen)) {
            return NBT_ERR_READ;
        }
        if (seen.whole == 0) {
            return NBT_ERR_NOTHING;
        }
        slot newest = slot_at(flash, newest_of(&seen, seen.whole));
        nbt_status status = nbt_load_stream(memory, bytes, read_checkpoint, &newest,
                                            seen.bytes[newest.index], learner);
        if (status ==
            NBT_ERR_STATE) { /* a whole checkpoint of numbers that cannot be: by a foreign hand */
            without |= only(newest.index);
        } else if (status != NBT_ERR_READ && status != NBT_ERR_CRC) {
            return status;
        }
    }
    return NBT_ERR_READ;
}

/* ---- writing --------------------------------------------------------------------------------- */

typedef struct programmer {
    const nbt_flash *flash;
    uint32_t index;
    size_t at;
} programmer;

/* The last piece of a checkpoint is filled up with what erased flash holds. */
static int program_piece(void *context, const unsigned char *bytes, size_t n)
{
    programmer *self = (programmer *)context;
    unsigned char piece[NBT_CHUNK];
    memset(piece, 0xff, sizeof piece);
    memcpy(piece, bytes, n);
    size_t at = self->at;
    self->at += NBT_CHUNK;
    return self->flash->program(self->flash->context, self->index, at, piece, NBT_CHUNK);
}

/* Returns whether the slot now holds the learner, for certain. */
static int write_slot(const nbt_flash *flash, uint32_t index, uint32_t sequence,
                      const nbt_learner *learner)
{
    unsigned char record[RECORD_BYTES];
    memcpy(record, record_magic, sizeof record_magic);
    put_word(record + 4, sequence);
    put_word(record + 8, (uint32_t)nbt_checkpoint_bytes(&learner->config));
    put_word(record + 12, nbt_crc32(record, 12));
    put_word(record + 16, MARKED);
    programmer self = {flash, index, 0};
    programmer seal = {flash, index, mark_at(nbt_checkpoint_bytes(&learner->config)) + NBT_CHUNK};
    slot written = slot_at(flash, index);
    return flash->erase(flash->context, index) == 0 &&
           program_piece(&self, record, RECORD_BYTES) == 0 &&
           nbt_save_stream(learner, program_piece, &self) == NBT_OK &&
           program_piece(&seal, record, RECORD_BYTES) == 0 && content_of(&written) == WHOLE &&
           written.sequence == sequence && written.open;
}

/* Marks the open slots of a set. Returns whether slot `last` is marked, or needs no mark. */
static int mark(const nbt_flash *flash, const survey *seen, uint32_t set, uint32_t last)
{
    static const unsigned char zeros[NBT_CHUNK] = {0};
    int is_marked = (set & only(last)) == 0;
    for (uint32_t i = 0; i < flash->n_slots; i++) {
        if ((set & only(i)) != 0) {
            slot self = slot_at(flash, i);
            self.bytes = seen->bytes[i];
            programmer at = {flash, i, mark_at(self.bytes)};
            (void)program_piece(&at, zeros, sizeof zeros);
            is_marked |= i == last && !is_unmarked(&self);
        }
    }
    return is_marked;
}

/* Whether a slot may be erased. One save gives up at most one whole checkpoint. The one before the
 * newest stays; with fewer than four slots it may go if no older one looks like the newest. */
static int may_erase(const nbt_flash *flash, const survey *seen, uint32_t slot_set, int is_lost)
{
    if ((slot_set & (seen->unreadable | seen->newest)) != 0) {
        return 0;
    }
    if ((slot_set & seen->whole) == 0) {
        return 1;
    }
    uint32_t others = seen->whole & ~(seen->newest | seen->before);
    return !is_lost &&
           (slot_set != seen->before || (flash->n_slots < 4 && (others & seen->open) == 0));
}

nbt_status nbt_store_save(const nbt_flash *flash, const nbt_learner *learner)
{
    if (flash == NULL || learner == NULL) {
        return NBT_ERR_NULL;
    }
    if (!is_described(flash)) {
        return NBT_ERR_FLASH;
    }
    if (flash->slot_bytes < nbt_store_slot_bytes(&learner->config)) {
        return NBT_ERR_BYTES;
    }
    if (!nbt_is_sound(learner)) {
        return NBT_ERR_STATE;
    }
    survey seen = survey_of(flash, 0);
    if (!is_certain(flash, &seen) || (seen.doubtful != 0 && flash->n_slots < 4)) {
        return NBT_ERR_READ;
    }
    uint32_t first = seen.newest != 0 ? newest_of(&seen, seen.newest) + 1 : 0;
    uint32_t sequence = seen.recorded != 0 ? seen.sequence[newest_of(&seen, seen.recorded)] : 0;
    sequence += seen.doubtful != 0 ? SEQUENCE_JUMP : 0;
    /* What must be marked before the save counts: the newest so far; where a slot is in doubt or
     * there is no newest, what this save has written first. */
    uint32_t kept = seen.newest;
    uint32_t last = seen.doubtful == 0 ? seen.newest : 0;
    int is_lost = 0;
    /* The slot after the newest wears all evenly; a slot that fails is passed over. */
    for (uint32_t step = 0; step < flash->n_slots; step++) {
        uint32_t index = (first + step) % flash->n_slots;
        int is_whole = (seen.whole & only(index)) != 0;
        if (((kept | seen.newest) & only(index)) != 0 ||
            !may_erase(flash, &seen, only(index), is_lost)) {
            continue;
        }
        sequence++;
        if (!write_slot(flash, index, sequence, learner)) {
            slot left = slot_at(flash, index);
            is_lost |= is_whole && content_of(&left) != WHOLE;
            continue;
        }
        if (last != 0 && mark(flash, &seen, seen.open & ~only(index), newest_of(&seen, last))) {
            return NBT_OK;
        }
        seen.sequence[index] = sequence;
        seen.bytes[index] = (uint32_t)nbt_checkpoint_bytes(&learner->config);
        seen.whole |= only(index);
        seen.open |= only(index);
        seen.before = 0; /* what was written stands for it */
        seen.newest = last = only(index);
    }
    return NBT_ERR_FLASH;
}
