/* Checkpoints, docs/checkpoint.md: a header, every word that nbt_walk visits, and a CRC-32. */
#include "nbt_layout.h"
#include "nbt_math.h"
#include "nbt_walk.h"

enum {
    MAJOR = 1,
    MINOR = 0,
    CHUNK = 64,         /* bytes handed to the caller at once */
    CONFIG_AT = 44,     /* offset of the config in the header */
    COUNTERS = 4,
    CRC_BYTES = 4
};
/* The config's seed, its words, and the counters. */
#define HEADER_BYTES ((size_t)CONFIG_AT + 8u + 4u * NBT_CONFIG_WORDS + 8u * COUNTERS)
#define GENERATOR_WORDS 6u /* generator, pending, column: the words before the arrays */

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

static size_t payload_bytes(const nbt_config *config)
{
    nbt_breakdown b = nbt_layout_of(config, NULL).bytes;
    return 4u * GENERATOR_WORDS + b.parameters + b.estimate + b.covariance + b.state + b.ring +
           b.scaler;
}

size_t nbt_checkpoint_bytes(const nbt_config *config)
{
    return nbt_bytes(config) == 0 ? 0 : HEADER_BYTES + payload_bytes(config) + CRC_BYTES;
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

typedef struct writer {
    nbt_walker walker; /* first, so that a visit finds its writer */
    nbt_write write;
    void *context;
    uint32_t crc;
    unsigned n; /* bytes that wait in chunk */
    int failed;
    int sound;
    unsigned char chunk[CHUNK];
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
    if (self->n == CHUNK) {
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
    writer *self = (writer *)walker;
    self->sound = self->sound && is_sound(word, kind);
    put(self, word, 4);
    return word;
}

static uint32_t only_look(nbt_walker *walker, uint32_t word, nbt_word_kind kind)
{
    writer *self = (writer *)walker;
    self->sound = self->sound && is_sound(word, kind);
    return word;
}

static void put_header(writer *self, const nbt_learner *learner, const nbt_layout *l)
{
    const nbt_config *config = &learner->config;
    const nbt_counters *c = &learner->counters;
    const uint64_t counters[COUNTERS] = {c->predictions, c->labels, c->missing, c->skipped};
    for (size_t i = 0; i < sizeof magic; i++) {
        put_byte(self, magic[i]);
    }
    put(self, MAJOR, 2);
    put(self, MINOR, 2);
    put(self, HEADER_BYTES, 4);
    put(self, 0, 4);
    put(self, payload_bytes(config), 8);
    put(self, l->S, 4);
    put(self, l->R, 4);
    put(self, l->D, 4);
    put(self, l->N, 4);
    put(self, config->seed, 8);
    for (size_t i = 0; i < NBT_CONFIG_WORDS; i++) {
        put(self, nbt_config_word(config, i), 4);
    }
    for (size_t i = 0; i < COUNTERS; i++) {
        put(self, counters[i], 8);
    }
}

nbt_status nbt_save_stream(const nbt_learner *learner, nbt_write write, void *context)
{
    if (learner == NULL || write == NULL) {
        return NBT_ERR_NULL;
    }
    nbt_layout l = nbt_layout_of(&learner->config, (void *)(uintptr_t)learner);
    nbt_learner *read_only = (nbt_learner *)(uintptr_t)learner;
    writer self = {{only_look, 1, 0}, write, context, 0xffffffffu, 0, 0, 1, {0}};
    nbt_walk(&self.walker, read_only, &l);
    if (!self.sound) {
        return NBT_ERR_STATE;
    }
    self.walker.visit = put_visited;
    put_header(&self, learner, &l);
    nbt_walk(&self.walker, read_only, &l);
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
    const unsigned char *next;
    int sound;
} reader;

static uint64_t get(reader *self, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint64_t)self->next[i] << 8 * i;
    }
    self->next += bytes;
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

/* What the header says; head receives config and counters, sizes S, R, D, N. */
typedef struct header {
    size_t bytes;
    size_t payload;
    uint32_t minor;
    uint32_t sizes[4];
} header;

static nbt_status get_header(const unsigned char *data, size_t n, header *out, nbt_learner *head)
{
    if (n < sizeof magic || memcmp(data, magic, sizeof magic) != 0) {
        return NBT_ERR_MAGIC;
    }
    if (n < HEADER_BYTES) {
        return NBT_ERR_LENGTH;
    }
    reader self = {{NULL, 0, 0}, data + sizeof magic, 1};
    if (get(&self, 2) != MAJOR) {
        return NBT_ERR_VERSION;
    }
    out->minor = (uint32_t)get(&self, 2);
    uint64_t bytes = get(&self, 4);
    uint64_t flags = get(&self, 4);
    uint64_t payload = get(&self, 8);
    if (flags != 0) {
        return NBT_ERR_VERSION;
    }
    if (bytes < HEADER_BYTES || bytes > n || payload > n - bytes ||
        n - bytes - payload < CRC_BYTES) {
        return NBT_ERR_LENGTH;
    }
    out->bytes = (size_t)bytes;
    out->payload = (size_t)payload;
    for (size_t i = 0; i < 4; i++) {
        out->sizes[i] = (uint32_t)get(&self, 4);
    }
    head->config.seed = get(&self, 8);
    for (size_t i = 0; i < NBT_CONFIG_WORDS; i++) {
        nbt_config_set_word(&head->config, i, (uint32_t)get(&self, 4));
    }
    head->counters.predictions = get(&self, 8);
    head->counters.labels = get(&self, 8);
    head->counters.missing = get(&self, 8);
    head->counters.skipped = get(&self, 8);
    return NBT_OK;
}

static int crc_is_right(const unsigned char *data, size_t n)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        crc = crc_of(crc, data[i]);
    }
    reader end = {{NULL, 0, 0}, data + n, 1};
    return (crc ^ 0xffffffffu) == get(&end, CRC_BYTES);
}

/* Header, length, CRC and config; a newer minor version may have more than is known here. */
static nbt_status get_frame(const unsigned char *data, size_t n, header *out, nbt_learner *head)
{
    nbt_status status = get_header(data, n, out, head);
    if (status != NBT_OK) {
        return status;
    }
    if (!crc_is_right(data, out->bytes + out->payload)) {
        return NBT_ERR_CRC;
    }
    if (nbt_bytes(&head->config) == 0) {
        return NBT_ERR_CONFIG;
    }
    nbt_layout l = nbt_layout_of(&head->config, NULL);
    size_t expected = payload_bytes(&head->config);
    int same = out->sizes[0] == l.S && out->sizes[1] == l.R && out->sizes[2] == l.D &&
               out->sizes[3] == l.N;
    int whole = out->minor == MINOR ? out->bytes == HEADER_BYTES && out->payload == expected
                                    : out->payload >= expected;
    return same && whole ? NBT_OK : NBT_ERR_STATE;
}

nbt_status nbt_load_config(const unsigned char *data, size_t n, nbt_config *config)
{
    if (data == NULL || config == NULL) {
        return NBT_ERR_NULL;
    }
    header frame;
    nbt_learner head = {0};
    nbt_status status = get_frame(data, n, &frame, &head);
    if (status == NBT_OK) {
        *config = head.config;
    }
    return status;
}

nbt_status nbt_load(void *memory, size_t bytes, const unsigned char *data, size_t n,
                    nbt_learner **learner)
{
    if (memory == NULL || data == NULL || learner == NULL) {
        return NBT_ERR_NULL;
    }
    header frame;
    nbt_learner head = {0};
    nbt_status status = get_frame(data, n, &frame, &head);
    if (status != NBT_OK) {
        return status;
    }
    if (bytes < nbt_bytes(&head.config)) {
        return NBT_ERR_BYTES;
    }
    if ((uintptr_t)memory % 8 != 0) {
        return NBT_ERR_ALIGN;
    }
    nbt_layout l = nbt_layout_of(&head.config, memory);
    reader self = {{get_visited, 0, 0}, data + frame.bytes, 1};
    nbt_walk(&self.walker, &head, &l);
    self.next = data + frame.bytes;
    for (size_t i = 0; i < 4; i++) {
        head.rng[i] = (uint32_t)get(&self, 4);
    }
    uint64_t pending = get(&self, 4);
    uint64_t column = get(&self, 4);
    int runs = (head.rng[0] | head.rng[1] | head.rng[2] | head.rng[3]) != 0;
    if (!self.sound || !runs || pending > (uint64_t)head.config.max_delay + 1 || column >= l.H) {
        return NBT_ERR_STATE;
    }
    memset(memory, 0, nbt_bytes(&head.config));
    nbt_learner *loaded = (nbt_learner *)memory;
    *loaded = head;
    self.walker.writes = 1;
    self.next = data + frame.bytes;
    nbt_walk(&self.walker, loaded, &l);
    *learner = loaded;
    return NBT_OK;
}
