/* Checkpoints (docs/reference/checkpoint.md): a header, every word that nbt_walk visits, and a
 * CRC-32. */
#include "nbt_checkpoint.h"

#include "nbt_layout.h"
#include "nbt_math.h"
#include "nbt_walk.h"
#include "nbt_watch.h"

enum {
    MAJOR = 1,
    CONFIG_AT = 44, /* offset of the config in the header */
    CRC_BYTES = 4
};

/* The first bytes reveal transfers in text mode, as those of PNG do. */
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

/* Minor version of the checkpoints that first had a counter (NBT_COUNTER_LIST). */
static uint32_t counter_since(size_t index)
{
#define SINCE(name, since) since,
    static const unsigned char versions[NBT_COUNTERS] = { NBT_COUNTER_LIST(SINCE) };
#undef SINCE
    return versions[index];
}

static uint64_t counter_of(const nbt_counters *counters, size_t index)
{
    uint64_t counter;
    memcpy(&counter, (const unsigned char *)counters + 8 * index, 8);
    return counter;
}

static void set_counter(nbt_counters *counters, size_t index, uint64_t counter)
{
    memcpy((unsigned char *)counters + 8 * index, &counter, 8);
}

/* The last minor version up to `minor` that this kernel supports. */
static uint32_t known(uint32_t minor)
{
    return minor < NBT_MINOR ? minor : (uint32_t)NBT_MINOR;
}

/* Size of the header of a minor version. For each version up to it, in order, the header has the
 * words of the config and then the counters that the version added, after the seed. */
static size_t header_bytes(uint32_t minor)
{
    size_t bytes = CONFIG_AT + 8u;
    for (size_t i = 0; i < NBT_FIELDS; i++) {
        bytes += nbt_config_since(i) <= minor ? 4u : 0u;
    }
    for (size_t i = 0; i < NBT_COUNTERS; i++) {
        bytes += counter_since(i) <= minor ? 8u : 0u;
    }
    return bytes;
}

static size_t payload_bytes(const nbt_config *config, uint32_t minor)
{
    nbt_layout l;
    nbt_layout_of(&l, config, NULL);
    return 4u * nbt_walk_words(&l, minor);
}

size_t nbt_checkpoint_bytes(const nbt_config *config)
{
    return nbt_bytes(config) == 0
               ? 0
               : header_bytes(NBT_MINOR) + payload_bytes(config, NBT_MINOR) + CRC_BYTES;
}

/* ---- save ------------------------------------------------------------------------------------ */

static uint32_t look_at(nbt_walker *walker, uint32_t word)
{
    (void)walker;
    return word;
}

int nbt_is_sound(const nbt_learner *learner)
{
    nbt_layout l;
    nbt_layout_of(&l, &learner->config, (void *)(uintptr_t)learner);
    nbt_walker walker = nbt_walker_of(look_at, 1, 0, NBT_ALL_VERSIONS);
    nbt_walk(&walker, (nbt_learner *)(uintptr_t)learner, &l);
    return walker.sound;
}

typedef struct writer {
    nbt_walker walker; /* first, so that a pointer to it is a pointer to the writer */
    nbt_write write;
    void *context;
    uint32_t crc;
    unsigned n; /* bytes waiting in chunk */
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

static uint32_t put_visited(nbt_walker *walker, uint32_t word)
{
    put((writer *)walker, word, 4);
    return word;
}

static void put_header(writer *self, const nbt_learner *learner, const nbt_layout *l)
{
    const nbt_config *config = &learner->config;
    for (size_t i = 0; i < sizeof magic; i++) {
        put_byte(self, magic[i]);
    }
    put(self, MAJOR, 2);
    put(self, NBT_MINOR, 2);
    put(self, header_bytes(NBT_MINOR), 4);
    put(self, 0, 4);
    put(self, payload_bytes(config, NBT_MINOR), 8);
    put(self, l->S, 4);
    put(self, l->R, 4);
    put(self, l->D, 4);
    put(self, l->N, 4);
    put(self, config->seed, 8);
    for (uint32_t minor = 0; minor <= NBT_MINOR; minor++) {
        for (size_t i = 0; i < NBT_FIELDS; i++) {
            if (nbt_config_since(i) == minor) {
                put(self, nbt_config_word(config, i), 4);
            }
        }
        for (size_t i = 0; i < NBT_COUNTERS; i++) {
            if (counter_since(i) == minor) {
                put(self, counter_of(&learner->counters, i), 8);
            }
        }
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
    nbt_walker walker = nbt_walker_of(put_visited, 1, 0, NBT_ALL_VERSIONS);
    writer self = {walker, write, context, 0xffffffffu, 0, 0, {0}};
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
    nbt_walker walker; /* first, so that a pointer to it is a pointer to the reader */
    nbt_read read;
    void *context;
    size_t n;     /* bytes available */
    size_t next;  /* offset of the next byte to take */
    size_t size;  /* bytes in chunk */
    size_t taken; /* bytes of chunk that were taken */
    uint32_t crc; /* of the bytes taken so far */
    int failed;
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

static uint32_t get_visited(nbt_walker *walker, uint32_t word)
{
    (void)word;
    return (uint32_t)get((reader *)walker, 4);
}

static reader reader_of(nbt_read read, void *context, size_t n)
{
    nbt_walker walker = nbt_walker_of(get_visited, 0, 0, NBT_ALL_VERSIONS);
    reader self = {walker, read, context, n, 0, 0, 0, 0xffffffffu, 0, {0}};
    return self;
}

/* The fields of the header besides config and counters. */
typedef struct header {
    size_t bytes;
    size_t payload;
    uint32_t minor;
    uint32_t sizes[4]; /* S, R, D, N */
    uint32_t crc;      /* of the header's bytes, before the final complement */
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
    if (self->n < header_bytes(0)) {
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
    if (bytes < header_bytes(known(out->minor)) || bytes > self->n || payload > self->n - bytes ||
        self->n - bytes - payload < CRC_BYTES) {
        return NBT_ERR_LENGTH;
    }
    out->bytes = (size_t)bytes;
    out->payload = (size_t)payload;
    for (size_t i = 0; i < 4; i++) {
        out->sizes[i] = (uint32_t)get(self, 4);
    }
    head->config.seed = get(self, 8);
    /* Fields of later versions stay 0 (disabled), since `head` is zero. */
    for (uint32_t minor = 0; minor <= known(out->minor); minor++) {
        for (size_t i = 0; i < NBT_FIELDS; i++) {
            if (nbt_config_since(i) == minor) {
                nbt_config_set_word(&head->config, i, (uint32_t)get(self, 4));
            }
        }
        for (size_t i = 0; i < NBT_COUNTERS; i++) {
            if (counter_since(i) == minor) {
                set_counter(&head->counters, i, get(self, 8));
            }
        }
    }
    nbt_watch_init(head);
    return NBT_OK;
}

/* Takes all bytes before an offset. */
static void skip_to(reader *self, size_t end)
{
    while (self->next < end && !self->failed) {
        get_byte(self);
    }
}

/* Whether the next four bytes are the CRC of all bytes taken. */
static int get_crc(reader *self)
{
    uint32_t crc = self->crc ^ 0xffffffffu;
    return (uint32_t)get(self, CRC_BYTES) == crc && !self->failed;
}

/* Reads header, length, CRC and config. A newer minor version may have fields that this kernel does
 * not know; they are skipped. */
static nbt_status get_frame(reader *self, header *out, nbt_learner *head)
{
    nbt_status status = get_header(self, out, head);
    if (status != NBT_OK) {
        return status;
    }
    skip_to(self, out->bytes);
    out->crc = self->crc;
    skip_to(self, out->bytes + out->payload);
    if (!get_crc(self)) {
        return self->failed ? NBT_ERR_READ : NBT_ERR_CRC;
    }
    if (nbt_bytes(&head->config) == 0) {
        return NBT_ERR_CONFIG;
    }
    nbt_layout l;
    nbt_layout_of(&l, &head->config, NULL);
    size_t expected = payload_bytes(&head->config, out->minor);
    int same = out->sizes[0] == l.S && out->sizes[1] == l.R && out->sizes[2] == l.D &&
               out->sizes[3] == l.N;
    int whole = out->minor > NBT_MINOR
                    ? out->payload >= expected
                    : out->bytes == header_bytes(out->minor) && out->payload == expected;
    return same && whole ? NBT_OK : NBT_ERR_STATE;
}

nbt_status nbt_checkpoint_check(nbt_read read, void *context, size_t n, nbt_config *config)
{
    header frame;
    nbt_learner head = {0};
    reader self = reader_of(read, context, n);
    nbt_status status = get_frame(&self, &frame, &head);
    if (status == NBT_OK) {
        *config = head.config;
    }
    return status;
}

/* Reads the payload a second time, into `learner` if `writes`. config and counters are those of the
 * first reading. The CRC continues from that header, so that a source that returns other bytes is
 * detected. Returns NBT_OK, NBT_ERR_READ (other bytes than before) or NBT_ERR_STATE. */
static nbt_status get_payload(reader *self, const header *frame, nbt_learner *learner,
                              const nbt_layout *l, int writes)
{
    self->next = frame->bytes;
    self->size = self->taken = 0;
    self->crc = frame->crc;
    self->walker.writes = writes;
    self->walker.versions = (2u << known(frame->minor)) - 1u;
    nbt_walk(&self->walker, learner, l);
    skip_to(self, frame->bytes + frame->payload);
    return !get_crc(self) ? NBT_ERR_READ : self->walker.sound ? NBT_OK : NBT_ERR_STATE;
}

nbt_status nbt_load_stream(void *memory, size_t bytes, nbt_read read, void *context, size_t n,
                           nbt_learner **learner)
{
    if (memory == NULL || read == NULL || learner == NULL) {
        return NBT_ERR_NULL;
    }
    header frame;
    nbt_learner head = {0};
    reader self = reader_of(read, context, n);
    nbt_status status = get_frame(&self, &frame, &head);
    if (status != NBT_OK) {
        return status;
    }
    size_t block = nbt_bytes(&head.config);
    if (bytes < block) {
        return NBT_ERR_BYTES;
    }
    if ((uintptr_t)memory % 8 != 0) {
        return NBT_ERR_ALIGN;
    }
    nbt_layout l;
    nbt_layout_of(&l, &head.config, memory);
    status = get_payload(&self, &frame, &head, &l, 0);
    if (status != NBT_OK) {
        return status;
    }
    memset(memory, 0, block);
    nbt_learner *loaded = (nbt_learner *)memory;
    *loaded = head;
    if (get_payload(&self, &frame, loaded, &l, 1) != NBT_OK) { /* the source returned other bytes */
        memset(memory, 0, block);
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
