/* Checkpoints, docs/checkpoint.md: a header, every word that nbt_walk visits, and a CRC-32. */
#include "nbt_checkpoint.h"

#include "nbt_guard.h"
#include "nbt_layout.h"
#include "nbt_math.h"
#include "nbt_walk.h"

enum {
    MAJOR = 1,
    MINOR = 1,
    CONFIG_AT = 44, /* offset of the config in the header */
    CRC_BYTES = 4
};
#define COUNTERS ((size_t)9)
#define COUNTERS_0 ((size_t)4) /* of them in 1.0 */
/* 1.0: the config's seed, its words, and the counters; then what the guards added to both. */
#define CONFIG_WORDS_0 (NBT_CONFIG_WORDS - NBT_GUARD_WORDS)
#define HEADER_BYTES_0 (CONFIG_AT + 8u + 4u * CONFIG_WORDS_0 + 8u * COUNTERS_0)
#define HEADER_BYTES (HEADER_BYTES_0 + 4u * NBT_GUARD_WORDS + 8u * (COUNTERS - COUNTERS_0))
#define GENERATOR_WORDS ((size_t)6) /* generator, pending, column: the words before the arrays */
#define GUARD_WORDS ((size_t)7)     /* quarantine to opened: those before the guards' arrays */

/* The first bytes tell a file that was taken for text, as those of PNG do. */
static const unsigned char magic[8] = {0x89, 'N', 'B', 'T', '\r', '\n', 0x1a, '\n'};

/* CRC-32 of ISO 3309 (polynomial 0xedb88320, reflected), half a byte at a time. */
static uint32_t crc_of(uint32_t crc, unsigned char byte)
{
    static const uint32_t table[16] = {
        0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u,
        0x4db26158u, 0x5005713cu, 0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu,
        0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu,
    };
    crc = table[(crc ^ byte) & 15u] ^ crc >> 4;
    return table[(crc ^ (uint32_t)byte >> 4) & 15u] ^ crc >> 4;
}

uint32_t nbt_crc32(const unsigned char *bytes, size_t n)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        crc = crc_of(crc, bytes[i]);
    }
    return crc ^ 0xffffffffu;
}

static size_t payload_bytes(const nbt_config *config, uint32_t minor)
{
    nbt_breakdown b;
    size_t guard_floats = nbt_layout_bytes(config, &b);
    size_t bytes = 4u * GENERATOR_WORDS + b.parameters + b.estimate + b.covariance + b.state +
                   b.ring + b.scaler;
    return minor == 0 ? bytes : bytes + 4u * (GUARD_WORDS + guard_floats);
}

size_t nbt_checkpoint_bytes(const nbt_config *config)
{
    return nbt_bytes(config) == 0 ? 0 : HEADER_BYTES + payload_bytes(config, MINOR) + CRC_BYTES;
}

static int is_sound(uint32_t word, nbt_word_kind kind)
{
    float value = nbt_from_bits(word);
    switch (kind) {
    case NBT_WORD_FINITE:
        return nbt_is_finite(value);
    case NBT_WORD_NONNEGATIVE:
        return nbt_is_finite(value) && value >= 0.0f;
    case NBT_WORD_POSITIVE:
        return nbt_is_finite(value) && value > 0.0f;
    default:
        return 1;
    }
}

/* ---- save ------------------------------------------------------------------------------------ */

typedef struct inspector {
    nbt_walker walker; /* first, so that a visit finds its inspector */
    int sound;
} inspector;

static uint32_t inspect(nbt_walker *walker, uint32_t word, nbt_word_kind kind)
{
    inspector *self = (inspector *)walker;
    self->sound = self->sound && is_sound(word, kind);
    return word;
}

int nbt_is_sound(const nbt_learner *learner)
{
    nbt_layout l;
    nbt_layout_of(&l, &learner->config, (void *)(uintptr_t)learner);
    inspector self = {nbt_walker_of(inspect, 1, 0, 1), 1};
    nbt_walk(&self.walker, (nbt_learner *)(uintptr_t)learner, &l);
    return self.sound;
}

typedef struct writer {
    nbt_walker walker; /* first, so that a visit finds its writer */
    nbt_write write;
    void *context;
    uint32_t crc;
    unsigned n; /* bytes that wait in chunk */
    int failed;
    unsigned char chunk[NBT_CHUNK];
} writer;

static void flush(writer *self)
{
    if (self->n > 0 && !self->failed) {
        self->failed = self->write(self->context, self->chunk, self->n) != 0;
    }
    self->n = 0;
}

static void put_byte(writer *self, unsigned char byte)
{
    self->crc = crc_of(self->crc, byte);
    self->chunk[self->n++] = byte;
    if (self->n == NBT_CHUNK) {
        flush(self);
    }
}

static void put(writer *self, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        put_byte(self, (unsigned char)(value >> 8 * i & 255u));
    }
}

static uint32_t put_visited(nbt_walker *walker, uint32_t word, nbt_word_kind kind)
{
    (void)kind;
    put((writer *)walker, word, 4);
    return word;
}

static void put_header(writer *self, const nbt_learner *learner, const nbt_layout *l)
{
    const nbt_config *config = &learner->config;
    const nbt_counters *c = &learner->counters;
    const uint64_t counters[COUNTERS] = {c->predictions, c->labels,  c->missing,
                                         c->skipped,     c->clipped, c->limited,
                                         c->stuck,       c->reopened, c->rolled_back};
    for (size_t i = 0; i < sizeof magic; i++) {
        put_byte(self, magic[i]);
    }
    put(self, MAJOR, 2);
    put(self, MINOR, 2);
    put(self, HEADER_BYTES, 4);
    put(self, 0, 4);
    put(self, payload_bytes(config, MINOR), 8);
    put(self, l->S, 4);
    put(self, l->R, 4);
    put(self, l->D, 4);
    put(self, l->N, 4);
    put(self, config->seed, 8);
    for (size_t i = 0; i < CONFIG_WORDS_0; i++) {
        put(self, nbt_config_word(config, i), 4);
    }
    for (size_t i = 0; i < COUNTERS_0; i++) {
        put(self, counters[i], 8);
    }
    for (size_t i = CONFIG_WORDS_0; i < NBT_CONFIG_WORDS; i++) {
        put(self, nbt_config_word(config, i), 4);
    }
    for (size_t i = COUNTERS_0; i < COUNTERS; i++) {
        put(self, counters[i], 8);
    }
}

nbt_status nbt_save_stream(const nbt_learner *learner, nbt_write write, void *context)
{
    if (learner == NULL || write == NULL) {
        return NBT_ERR_NULL;
    }
    if (!nbt_is_sound(learner)) {
        return NBT_ERR_STATE;
    }
    nbt_layout l;
    nbt_layout_of(&l, &learner->config, (void *)(uintptr_t)learner);
    writer self = {nbt_walker_of(put_visited, 1, 0, 1), write, context, 0xffffffffu, 0, 0, {0}};
    put_header(&self, learner, &l);
    nbt_walk(&self.walker, (nbt_learner *)(uintptr_t)learner, &l);
    put(&self, self.crc ^ 0xffffffffu, CRC_BYTES);
    flush(&self);
    return self.failed ? NBT_ERR_WRITE : NBT_OK;
}

static int append(void *context, const unsigned char *bytes, size_t n)
{
    unsigned char **end = (unsigned char **)context;
    memcpy(*end, bytes, n);
    *end += n;
    return 0;
}

nbt_status nbt_save(const nbt_learner *learner, unsigned char *out, size_t bytes)
{
    if (learner == NULL || out == NULL) {
        return NBT_ERR_NULL;
    }
    if (bytes < nbt_checkpoint_bytes(&learner->config)) {
        return NBT_ERR_BYTES;
    }
    return nbt_save_stream(learner, append, &out);
}

/* ---- load ------------------------------------------------------------------------------------ */

typedef struct reader {
    nbt_walker walker; /* first, so that a visit finds its reader */
    nbt_read read;
    void *context;
    size_t n;     /* bytes there are */
    size_t next;  /* offset of the next byte to take */
    size_t size;  /* bytes in chunk */
    size_t taken; /* of these */
    uint32_t crc; /* of the bytes taken */
    int failed;
    int sound;
    unsigned char chunk[NBT_CHUNK];
} reader;

static unsigned char get_byte(reader *self)
{
    if (self->taken == self->size) {
        self->taken = 0;
        self->size = self->n - self->next < NBT_CHUNK ? self->n - self->next : NBT_CHUNK;
        if (self->size == 0 || self->failed ||
            self->read(self->context, self->next, self->chunk, self->size) != 0) {
            self->failed = 1;
            self->size = 0;
            return 0;
        }
    }
    unsigned char byte = self->chunk[self->taken++];
    self->next++;
    self->crc = crc_of(self->crc, byte);
    return byte;
}

static uint64_t get(reader *self, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint64_t)get_byte(self) << 8 * i;
    }
    return value;
}

static uint32_t get_visited(nbt_walker *walker, uint32_t word, nbt_word_kind kind)
{
    reader *self = (reader *)walker;
    (void)word;
    uint32_t stored = (uint32_t)get(self, 4);
    self->sound = self->sound && is_sound(stored, kind);
    return stored;
}

static reader reader_at(nbt_read read, void *context, size_t n, size_t at)
{
    reader self = {nbt_walker_of(get_visited, 0, 0, 1), read, context, n, at, 0, 0, 0xffffffffu, 0, 1,
                   {0}};
    return self;
}

/* What the header says beside config and counters. */
typedef struct header {
    size_t bytes;
    size_t payload;
    uint32_t minor;
    uint32_t sizes[4]; /* S, R, D, N */
} header;

static nbt_status get_header(reader *self, header *out, nbt_learner *head)
{
    int is_checkpoint = self->n >= sizeof magic;
    for (size_t i = 0; i < sizeof magic && is_checkpoint; i++) {
        is_checkpoint = get_byte(self) == magic[i];
    }
    if (!is_checkpoint) {
        return self->failed ? NBT_ERR_READ : NBT_ERR_MAGIC;
    }
    if (self->n < HEADER_BYTES_0) {
        return NBT_ERR_LENGTH;
    }
    uint64_t major = get(self, 2);
    out->minor = (uint32_t)get(self, 2);
    uint64_t bytes = get(self, 4);
    uint64_t flags = get(self, 4);
    uint64_t payload = get(self, 8);
    if (major != MAJOR || flags != 0) {
        return NBT_ERR_VERSION;
    }
    if (bytes < (out->minor == 0 ? HEADER_BYTES_0 : HEADER_BYTES) || bytes > self->n || payload > self->n - bytes ||
        self->n - bytes - payload < CRC_BYTES) {
        return NBT_ERR_LENGTH;
    }
    out->bytes = (size_t)bytes;
    out->payload = (size_t)payload;
    for (size_t i = 0; i < 4; i++) {
        out->sizes[i] = (uint32_t)get(self, 4);
    }
    head->config.seed = get(self, 8);
    for (size_t i = 0; i < CONFIG_WORDS_0; i++) {
        nbt_config_set_word(&head->config, i, (uint32_t)get(self, 4));
    }
    head->counters.predictions = get(self, 8);
    head->counters.labels = get(self, 8);
    head->counters.missing = get(self, 8);
    head->counters.skipped = get(self, 8);
    nbt_guard_init(head);
    if (out->minor == 0) { /* no guards: they are off, as `head` is zero */
        return NBT_OK;
    }
    for (size_t i = CONFIG_WORDS_0; i < NBT_CONFIG_WORDS; i++) {
        nbt_config_set_word(&head->config, i, (uint32_t)get(self, 4));
    }
    head->counters.clipped = get(self, 8);
    head->counters.limited = get(self, 8);
    head->counters.stuck = get(self, 8);
    head->counters.reopened = get(self, 8);
    head->counters.rolled_back = get(self, 8);
    return NBT_OK;
}

/* Header, length, CRC and config; a newer minor version may have more than is known here. */
static nbt_status get_frame(reader *self, header *out, nbt_learner *head)
{
    nbt_status status = get_header(self, out, head);
    if (status != NBT_OK) {
        return status;
    }
    while (self->next < out->bytes + out->payload && !self->failed) {
        get_byte(self);
    }
    uint32_t crc = self->crc ^ 0xffffffffu;
    uint32_t stored = (uint32_t)get(self, CRC_BYTES);
    if (self->failed) {
        return NBT_ERR_READ;
    }
    if (crc != stored) {
        return NBT_ERR_CRC;
    }
    if (nbt_bytes(&head->config) == 0) {
        return NBT_ERR_CONFIG;
    }
    nbt_layout l;
    nbt_layout_of(&l, &head->config, NULL);
    size_t expected = payload_bytes(&head->config, out->minor);
    int same = out->sizes[0] == l.S && out->sizes[1] == l.R && out->sizes[2] == l.D &&
               out->sizes[3] == l.N;
    int whole = out->minor > MINOR ? out->payload >= expected
                : out->minor == 0  ? out->bytes == HEADER_BYTES_0 && out->payload == expected
                                   : out->bytes == HEADER_BYTES && out->payload == expected;
    return same && whole ? NBT_OK : NBT_ERR_STATE;
}

nbt_status nbt_checkpoint_check(nbt_read read, void *context, size_t n, nbt_config *config)
{
    header frame;
    nbt_learner head = {0};
    reader self = reader_at(read, context, n, 0);
    nbt_status status = get_frame(&self, &frame, &head);
    if (status == NBT_OK) {
        *config = head.config;
    }
    return status;
}

/* The words that are no floats: whether they can be. */
static int is_possible(reader *self, const nbt_learner *head, const header *frame)
{
    uint32_t generator = 0;
    for (size_t i = 0; i < 4; i++) {
        generator |= (uint32_t)get(self, 4);
    }
    uint64_t pending = get(self, 4);
    uint64_t column = get(self, 4);
    int good = generator != 0 && pending <= (uint64_t)head->config.max_delay + 1 &&
               column < head->config.n_hidden;
    if (frame->minor > 0) {
        int failed = self->failed;
        *self = reader_at(self->read, self->context, self->n,
                          frame->bytes + payload_bytes(&head->config, 0));
        self->failed = failed;
        uint64_t quarantine = get(self, 4);
        uint64_t copy = get(self, 4);
        for (size_t i = 0; i < 3; i++) {
            get(self, 4); /* level, seen, alarm */
        }
        uint64_t opened = get(self, 8);
        good &= quarantine <= pending && opened <= head->counters.labels &&
                copy <= (head->config.rollback_steps > 0 ? NBT_COPY_TAKEN : NBT_COPY_NONE);
    }
    return good;
}

nbt_status nbt_load_stream(void *memory, size_t bytes, nbt_read read, void *context, size_t n,
                           nbt_learner **learner)
{
    if (memory == NULL || read == NULL || learner == NULL) {
        return NBT_ERR_NULL;
    }
    header frame;
    nbt_learner head = {0};
    reader self = reader_at(read, context, n, 0);
    nbt_status status = get_frame(&self, &frame, &head);
    if (status != NBT_OK) {
        return status;
    }
    if (bytes < nbt_bytes(&head.config)) {
        return NBT_ERR_BYTES;
    }
    if ((uintptr_t)memory % 8 != 0) {
        return NBT_ERR_ALIGN;
    }
    nbt_layout l;
    nbt_layout_of(&l, &head.config, memory);
    reader words = reader_at(read, context, n, frame.bytes);
    int possible = is_possible(&words, &head, &frame);
    self = reader_at(read, context, n, frame.bytes);
    self.walker.guards = frame.minor > 0;
    nbt_walk(&self.walker, &head, &l);
    if (words.failed || self.failed) {
        return NBT_ERR_READ;
    }
    if (!self.sound || !possible) {
        return NBT_ERR_STATE;
    }
    memset(memory, 0, nbt_bytes(&head.config));
    nbt_learner *loaded = (nbt_learner *)memory;
    *loaded = head;
    self = reader_at(read, context, n, frame.bytes);
    self.walker.writes = 1;
    self.walker.guards = frame.minor > 0;
    nbt_walk(&self.walker, loaded, &l);
    if (self.failed || !self.sound) { /* the source changed its mind */
        memset(memory, 0, nbt_bytes(&head.config));
        return NBT_ERR_READ;
    }
    *learner = loaded;
    return NBT_OK;
}

/* ---- a checkpoint in memory ------------------------------------------------------------------ */

static int copy_out(void *context, size_t at, unsigned char *out, size_t n)
{
    const unsigned char *const *data = (const unsigned char *const *)context;
    memcpy(out, *data + at, n);
    return 0;
}

nbt_status nbt_load_config(const unsigned char *data, size_t n, nbt_config *config)
{
    if (data == NULL || config == NULL) {
        return NBT_ERR_NULL;
    }
    return nbt_checkpoint_check(copy_out, &data, n, config);
}

nbt_status nbt_load(void *memory, size_t bytes, const unsigned char *data, size_t n,
                    nbt_learner **learner)
{
    return data == NULL ? NBT_ERR_NULL
                        : nbt_load_stream(memory, bytes, copy_out, &data, n, learner);
}
