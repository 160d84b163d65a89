/* Checkpoints on raw flash. A slot is a record of 16 bytes in a piece of NBT_CHUNK, then a checkpoint:
 *   "NBTS", sequence number, bytes of the checkpoint, CRC-32 of these twelve; little-endian.
 * The newest whole checkpoint is never erased, so a power cut can only hurt an older one; nor is a slot
 * that cannot be read just now, since it may hold it. */
#include "nbt_checkpoint.h"
#include "nbt_layout.h"

#include <string.h>

enum { SLOTS_MAX = 32, RECORD_BYTES = 16 };

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

size_t nbt_store_slot_bytes(const nbt_config *config)
{
    size_t bytes = nbt_checkpoint_bytes(config);
    return bytes == 0 ? 0 : NBT_CHUNK + whole_pieces(bytes);
}

static int is_described(const nbt_flash *flash)
{
    return flash->read != NULL && flash->program != NULL && flash->erase != NULL &&
           flash->n_slots >= 2 && flash->n_slots <= SLOTS_MAX && flash->slot_bytes >= NBT_CHUNK;
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct slot {
    const nbt_flash *flash;
    uint32_t index;
    uint32_t sequence;
    size_t bytes; /* of the checkpoint */
} slot;

static int read_slot(void *context, size_t at, unsigned char *out, size_t n)
{
    const slot *self = (const slot *)context;
    return self->flash->read(self->flash->context, self->index, NBT_CHUNK + at, out, n);
}

typedef enum content { NO_CHECKPOINT, WHOLE, UNREADABLE } content;

/* What the slot holds; fills in the rest of it if that is a whole checkpoint. */
static content content_of(slot *self)
{
    unsigned char record[RECORD_BYTES];
    nbt_config config;
    if (self->flash->read(self->flash->context, self->index, 0, record, RECORD_BYTES) != 0) {
        return UNREADABLE;
    }
    self->sequence = get_word(record + 4);
    self->bytes = get_word(record + 8);
    if (memcmp(record, record_magic, sizeof record_magic) != 0 ||
        get_word(record + 12) != nbt_crc32(record, 12) ||
        self->bytes > self->flash->slot_bytes - NBT_CHUNK) {
        return NO_CHECKPOINT;
    }
    nbt_status status = nbt_checkpoint_check(read_slot, self, self->bytes, &config);
    return status == NBT_OK ? WHOLE : status == NBT_ERR_READ ? UNREADABLE : NO_CHECKPOINT;
}

/* The newest whole checkpoint outside the slots of a bit mask, which then has the unreadable ones too;
 * 0 if there is none. Sequence numbers may wrap: the newer of two is less than half a turn ahead. */
static int find_newest(const nbt_flash *flash, uint32_t *without, slot *newest)
{
    int found = 0;
    for (uint32_t i = 0; i < flash->n_slots; i++) {
        slot candidate = {flash, i, 0, 0};
        content holds = (*without >> i & 1u) == 0 ? content_of(&candidate) : NO_CHECKPOINT;
        *without |= (uint32_t)(holds == UNREADABLE) << i;
        if (holds == WHOLE && (!found || candidate.sequence - newest->sequence < 0x80000000u)) {
            *newest = candidate;
            found = 1;
        }
    }
    return found;
}

nbt_status nbt_store_load(const nbt_flash *flash, void *memory, size_t bytes, nbt_learner **learner)
{
    if (flash == NULL || memory == NULL || learner == NULL) {
        return NBT_ERR_NULL;
    }
    if (!is_described(flash)) {
        return NBT_ERR_FLASH;
    }
    slot newest;
    uint32_t without = 0;
    while (find_newest(flash, &without, &newest)) {
        nbt_status status = nbt_load_stream(memory, bytes, read_slot, &newest, newest.bytes, learner);
        if (status != NBT_ERR_STATE && status != NBT_ERR_READ && status != NBT_ERR_CRC) {
            return status;
        }
        without |= 1u << newest.index;
    }
    return NBT_ERR_NOTHING;
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

static int write_slot(const slot *to, const nbt_learner *learner)
{
    unsigned char record[RECORD_BYTES];
    memcpy(record, record_magic, sizeof record_magic);
    put_word(record + 4, to->sequence);
    put_word(record + 8, (uint32_t)to->bytes);
    put_word(record + 12, nbt_crc32(record, 12));
    programmer self = {to->flash, to->index, 0};
    slot written = {to->flash, to->index, 0, 0};
    return to->flash->erase(to->flash->context, to->index) == 0 &&
           program_piece(&self, record, RECORD_BYTES) == 0 &&
           nbt_save_stream(learner, program_piece, &self) == NBT_OK && content_of(&written) == WHOLE &&
           written.sequence == to->sequence;
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
    slot newest = {flash, flash->n_slots - 1, 0, 0};
    uint32_t unreadable = 0;
    int found = find_newest(flash, &unreadable, &newest);
    /* Whatever the unreadable slots hold, SLOTS_MAX ahead is newer. */
    uint32_t sequence = newest.sequence + (unreadable == 0 ? 1u : (uint32_t)SLOTS_MAX);
    /* The slot after the newest wears all evenly; a slot that fails is passed over. */
    for (uint32_t step = 1; step < flash->n_slots + (found ? 0u : 1u); step++) {
        slot to = {flash, (newest.index + step) % flash->n_slots, sequence,
                   nbt_checkpoint_bytes(&learner->config)};
        if ((unreadable >> to.index & 1u) == 0 && write_slot(&to, learner)) {
            return NBT_OK;
        }
    }
    return NBT_ERR_FLASH;
}
