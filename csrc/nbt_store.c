/* Checkpoints on raw flash. A slot consists of a record of 20 bytes in a piece of NBT_CHUNK bytes,
 * a checkpoint, the mark, and the seal. The mark is a piece that stays erased until a newer
 * checkpoint is whole. The seal is a copy of the record, written once the previous checkpoint is
 * marked. So the newest slot is the only one that is open, that is sealed and not marked, unless a
 * mark fails. An erase that is interrupted by a power cut, in either direction, does not undo a
 * mark and leave the seal. Record: "NBTS", sequence number, bytes of the checkpoint, CRC-32 of
 * these twelve, flags; little-endian. docs/reference/checkpoint.md, "Slots on raw flash", has the
 * proof that no acknowledged save is lost. There, a cover is a slot that is written and marked in
 * order to show that an older slot, which cannot be marked, is not the newest; the head is the open
 * slot that is not covered. */
#include "nbt_checkpoint.h"
#include "nbt_layout.h"

#include <string.h>

enum {
    SLOTS_MAX = 32,
    RECORD_BYTES = 20,
    SEALED =
        1, /* flag: the slot has a mark and a seal; in slots of the first format all flags are ff */
    STALE = 2,          /* flag of a seal: an older slot may be open too */
    READS_MAX = 8,      /* of one piece, until two agree */
    ROUNDS_MAX = 3,     /* of one slot, until its CRCs are right */
    SEQUENCE_JUMP = 256 /* an unreadable slot may be ahead by 2 for each failed save before */
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

/* Offset of the mark of a slot with a checkpoint of `bytes` bytes. */
static size_t mark_at(size_t bytes)
{
    return NBT_CHUNK + whole_pieces(bytes);
}

size_t nbt_store_slot_bytes(const nbt_config *config)
{
    size_t bytes = nbt_checkpoint_bytes(config);
    return bytes == 0 ? 0 : mark_at(bytes) + 2 * (size_t)NBT_CHUNK;
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
    int has_record; /* if 1, sequence and bytes are those of its record */
    int open;       /* whole, sealed and not marked */
    int marked;     /* whole, sealed and marked */
    int stale;      /* its seal has the flag STALE */
} slot;

/* Reads until two consecutive readings agree, so that neither a read error nor a transient bit
 * error matters. Returns 0, or 1 if they never agree. */
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

typedef enum piece { BLANK, PROGRAMMED, LOST } piece;

/* Whether a piece is erased. A mark counts if any of its bits is written, so an interrupted write
 * of the mark counts as well. */
static piece piece_at(const slot *self, size_t at)
{
    unsigned char bytes[NBT_CHUNK];
    if (read_piece(self, at, bytes, NBT_CHUNK) != 0) {
        return LOST;
    }
    unsigned char all = 0xff;
    for (size_t i = 0; i < NBT_CHUNK; i++) {
        all &= bytes[i];
    }
    return all == 0xff ? BLANK : PROGRAMMED;
}

/* Fills in the mark and the seal of a whole checkpoint with this record. */
static void look_at_marks(slot *self, const unsigned char *record)
{
    unsigned char seal[RECORD_BYTES];
    size_t at = mark_at(self->bytes);
    if (get_word(record + 16) == SEALED && at + NBT_CHUNK <= self->flash->slot_bytes - NBT_CHUNK &&
        read_piece(self, at + NBT_CHUNK, seal, RECORD_BYTES) == 0 &&
        memcmp(seal, record, 16) == 0 && (get_word(seal + 16) & ~(uint32_t)STALE) == SEALED) {
        piece mark = piece_at(self, at);
        self->marked = mark == PROGRAMMED;
        self->open = mark == BLANK;
        self->stale = get_word(seal + 16) != SEALED;
    }
}

typedef enum content { NO_CHECKPOINT, WHOLE, UNREADABLE } content;

/* One attempt of content_of. */
static content read_slot(slot *self)
{
    unsigned char record[RECORD_BYTES];
    nbt_config config;
    self->has_record = self->open = self->marked = self->stale = 0;
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
    look_at_marks(self, record);
    return WHOLE;
}

/* Returns the content of the slot and fills in its other fields. */
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
    slot self = {flash, index, 0, 0, 0, 0, 0, 0};
    return self;
}

/* ---- all slots ------------------------------------------------------------------------------- */

/* The state of all slots. Sets of slots are bit masks. */
typedef struct survey {
    uint32_t sequence[SLOTS_MAX]; /* of those with a record */
    uint32_t bytes[SLOTS_MAX];    /* of the checkpoint, of those that are whole */
    uint32_t recorded;            /* have a record */
    uint32_t whole;               /* hold a whole checkpoint */
    uint32_t open;                /* ... that is sealed and not marked */
    uint32_t marked;              /* ... that is sealed and marked */
    uint32_t stale;               /* ... whose seal says that an older slot may be open too */
    uint32_t unreadable;
    uint32_t doubtful; /* ... and not known to be older than the newest */
    uint32_t newest;   /* as a set: the open one; with none, the whole one that was written last */
    uint32_t before; /* as a set: the last of the marked ones; with none, of the other whole ones */
    int has_head;    /* whether the newest is an open one */
} survey;

static uint32_t only(uint32_t index)
{
    return (uint32_t)1 << index;
}

/* Whether a set has at most one slot. */
static int is_single(uint32_t set)
{
    return (set & (set - 1)) == 0;
}

/* Sequence numbers may wrap: the newer of two is less than 2^31 ahead. Of two equal numbers, which
 * no save writes, the later slot counts. */
static int is_newer(uint32_t a, uint32_t b)
{
    return a - b < 0x80000000u;
}

/* Index of the slot with the newest sequence number in a set, 0 for an empty set. */
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

/* Reads all slots except those of a set. */
static survey survey_of(const nbt_flash *flash, uint32_t without)
{
    survey seen;
    memset(&seen, 0, sizeof seen);
    for (uint32_t i = 0; i < flash->n_slots; i++) {
        slot self = slot_at(flash, i);
        content holds = (without & only(i)) == 0 ? content_of(&self) : NO_CHECKPOINT;
        seen.sequence[i] = self.sequence;
        seen.bytes[i] = (uint32_t)self.bytes;
        seen.recorded |= (uint32_t)self.has_record << i;
        seen.whole |= (uint32_t)(holds == WHOLE) << i;
        seen.open |= (uint32_t)self.open << i;
        seen.marked |= (uint32_t)self.marked << i;
        seen.stale |= (uint32_t)self.stale << i;
        seen.unreadable |= (uint32_t)(holds == UNREADABLE) << i;
    }
    /* A newest slot that took no more writes could not be marked. A newer marked slot shows that it
     * is no longer the newest. */
    uint32_t newest = newest_of(&seen, seen.open);
    int is_head = seen.open != 0 &&
                  (seen.marked == 0 ||
                   !is_newer(seen.sequence[newest_of(&seen, seen.marked)], seen.sequence[newest]));
    newest = is_head ? newest : newest_of(&seen, seen.whole);
    seen.newest = seen.whole & only(newest);
    seen.before = (seen.marked != 0 ? seen.marked : seen.whole) & ~seen.newest;
    seen.before &= only(newest_of(&seen, seen.before));
    seen.has_head = is_head;
    for (uint32_t i = 0; i < flash->n_slots; i++) {
        int is_older = seen.newest != 0 && (seen.recorded & only(i)) != 0 &&
                       !is_newer(seen.sequence[i], seen.sequence[newest]);
        seen.doubtful |= is_older ? 0 : seen.unreadable & only(i);
    }
    return seen;
}

/* Whether the newest of the readable slots is the newest of all slots. If no slot is readable:
 * whether no save was ever acknowledged (docs/reference/checkpoint.md). */
static int is_certain(const nbt_flash *flash, const survey *seen)
{
    return seen->doubtful == 0 ||
           (is_single(seen->doubtful) && (seen->whole == 0 ? flash->n_slots >= 4 : seen->has_head));
}

/* Whether a slot other than these two may be open because it could not be marked. */
static int has_stale(const survey *seen)
{
    int is_sure = seen->has_head && (seen->stale & seen->newest) == 0;
    return (seen->open & ~(seen->newest | seen->before)) != 0 ||
           (seen->unreadable != 0 && !is_sure);
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
        slot newest = slot_at(flash, newest_of(&seen, seen.newest));
        nbt_status status = nbt_load_stream(memory, bytes, read_checkpoint, &newest,
                                            seen.bytes[newest.index], learner);
        if (status ==
            NBT_ERR_STATE) { /* a whole checkpoint with invalid numbers: not written by nbt_save */
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

/* The last piece of a checkpoint is padded with the value of erased flash. */
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

/* Erases the slot and verifies it: the record of a new checkpoint must not be written over the
 * remains of an old one. */
static int erase_slot(const slot *self, size_t end)
{
    int is_blank = self->flash->erase(self->flash->context, self->index) == 0;
    for (size_t at = 0; at < end && is_blank; at += NBT_CHUNK) {
        is_blank = piece_at(self, at) == BLANK;
    }
    return is_blank;
}

static void make_record(unsigned char *record, uint32_t sequence, const nbt_learner *learner)
{
    memcpy(record, record_magic, sizeof record_magic);
    put_word(record + 4, sequence);
    put_word(record + 8, (uint32_t)nbt_checkpoint_bytes(&learner->config));
    put_word(record + 12, nbt_crc32(record, 12));
    put_word(record + 16, SEALED);
}

/* Returns whether the slot certainly holds the learner. It is not sealed yet. */
static int write_slot(const nbt_flash *flash, uint32_t index, const unsigned char *record,
                      const nbt_learner *learner)
{
    programmer self = {flash, index, 0};
    slot written = slot_at(flash, index);
    return erase_slot(&written, mark_at(get_word(record + 8)) + 2 * (size_t)NBT_CHUNK) &&
           program_piece(&self, record, RECORD_BYTES) == 0 &&
           nbt_save_stream(learner, program_piece, &self) == NBT_OK &&
           content_of(&written) == WHOLE && written.sequence == get_word(record + 4);
}

static void make_mark(programmer at)
{
    static const unsigned char zeros[NBT_CHUNK] = {0};
    (void)program_piece(&at, zeros, sizeof zeros);
}

/* Seals the slot: writes the record with a flag. A cover is marked first, so that it is never open.
 * Returns whether the slot is certainly sealed. */
static int seal_slot(const nbt_flash *flash, uint32_t index, unsigned char *record, int is_stale,
                     int is_cover)
{
    programmer self = {flash, index, mark_at(get_word(record + 8))};
    slot sealed = slot_at(flash, index);
    if (is_cover) {
        make_mark(self);
    }
    self.at += NBT_CHUNK;
    put_word(record + 16, is_stale ? SEALED | STALE : SEALED);
    (void)program_piece(&self, record, RECORD_BYTES);
    return content_of(&sealed) == WHOLE && (is_cover ? sealed.marked : sealed.open) &&
           sealed.stale == is_stale;
}

/* Marks the slots of a set. Returns those that could not be marked. */
static uint32_t make_marks(const nbt_flash *flash, const survey *seen, uint32_t set)
{
    for (uint32_t i = 0; i < flash->n_slots; i++) {
        if ((set & only(i)) != 0) {
            slot self = slot_at(flash, i);
            self.bytes = seen->bytes[i];
            programmer at = {flash, i, mark_at(self.bytes)};
            if (piece_at(&self, at.at) == BLANK) {
                make_mark(at);
            }
            set &= piece_at(&self, mark_at(self.bytes)) == PROGRAMMED ? ~only(i) : ~(uint32_t)0;
        }
    }
    return set;
}

/* Whether a slot may be erased. The one before the newest is kept, since it shows that no older one
 * is the newest. With fewer than four slots it may be erased if no older slot can appear to be the
 * newest. */
static int may_erase(const nbt_flash *flash, const survey *seen, uint32_t slot_set)
{
    return (slot_set & (seen->unreadable | seen->newest)) == 0 &&
           ((slot_set & seen->before) == 0 || (flash->n_slots < 4 && !has_stale(seen)));
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
    if (!is_certain(flash, &seen)) {
        return NBT_ERR_READ;
    }
    uint32_t first = seen.newest != 0 ? newest_of(&seen, seen.newest) + 1 : 0;
    uint32_t sequence = seen.recorded != 0 ? seen.sequence[newest_of(&seen, seen.recorded)] : 0;
    sequence += seen.doubtful != 0 ? SEQUENCE_JUMP : 1;
    uint32_t kept = seen.newest;
    uint32_t unmarked = seen.open; /* to be marked, or covered, before this save is sealed */
    int was_stale = seen.unreadable != 0 && has_stale(&seen);
    /* Without a head, an unreadable slot may be the newest; it would be older than the remains of a
     * failed save. */
    int needs_no_cover = seen.has_head || (seen.newest != 0 && seen.unreadable == 0);
    int is_lost = 0; /* a whole checkpoint was erased in vain: do not erase another */
    uint32_t n_failed =
        0;              /* failed slots; above half of all, something else fails, and no whole one
                           is erased */
    uint32_t cover = 0; /* as a set: slots written to be sealed as marked ones */
    unsigned char cover_record[RECORD_BYTES];
    nbt_status failure = NBT_ERR_READ; /* nothing was written */
    /* The slot after the newest, so that all slots wear evenly; a failing slot is skipped. */
    for (uint32_t step = 0; step < flash->n_slots; step++) {
        uint32_t index = (first + step) % flash->n_slots;
        unsigned char record[RECORD_BYTES];
        int is_whole = (seen.whole & only(index)) != 0;
        if ((kept & only(index)) != 0 || !may_erase(flash, &seen, only(index)) ||
            (is_whole && (is_lost || 2 * n_failed >= flash->n_slots))) {
            continue;
        }
        failure = NBT_ERR_FLASH;
        make_record(record, sequence, learner);
        if (!write_slot(flash, index, record, learner)) {
            slot left = slot_at(flash, index);
            n_failed++;
            is_lost |= content_of(&left) != WHOLE && is_whole;
            unmarked &= left.open ? ~(uint32_t)0 : ~only(index);
            continue;
        }
        unmarked = make_marks(flash, &seen, unmarked & ~only(index));
        int is_stale = was_stale || unmarked != 0;
        int is_covered = needs_no_cover && (unmarked & seen.newest) == 0;
        is_covered = is_covered || (cover != 0 && seal_slot(flash, newest_of(&seen, cover),
                                                            cover_record, is_stale, 1));
        if (is_covered && seal_slot(flash, index, record, is_stale, 0)) {
            return NBT_OK;
        }
        seen.bytes[index] = get_word(record + 8);
        seen.sequence[index] = sequence++;
        if (is_covered) { /* perhaps sealed */
            seen.newest = only(index);
            unmarked |= only(index);
            needs_no_cover = 1;
            cover = 0;
        } else {
            cover = only(index);
            memcpy(cover_record, record, RECORD_BYTES);
        }
    }
    return failure;
}
