/* Host program around the kernel, for the tests that need a compiler of their own choice.
 *
 *     driver hash STEPS [key=value ...]   hashes of one configuration after 1, 10, 100, ... steps
 *     driver grid STEPS                   the same for every kind of learner at two sizes, and for
 *     those whose
 *                                         units follow the stream, fed in two ways
 *     driver abuse CALLS [key=value ...]  random calls with hostile floats; checks the contracts
 *     driver refuse                       calls that must be refused
 *
 * Keys are the fields of nbt_config, values whole numbers. Every learner lives in a block of
 * exactly nbt_bytes, aligned to 8 and not to 16, so that a sanitizer sees the first byte read or
 * written too many.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nbt.h"
#include "still.h"

#define FAIL(...)                               \
    do {                                        \
        fprintf(stderr, "line %d: ", __LINE__); \
        fprintf(stderr, __VA_ARGS__);           \
        fputc('\n', stderr);                    \
        exit(1);                                \
    } while (0)
#define REQUIRE(condition)                    \
    do {                                      \
        if (!(condition)) {                   \
            FAIL("not true: %s", #condition); \
        }                                     \
    } while (0)

static void *need(void *pointer)
{
    if (pointer == NULL) {
        FAIL("out of memory");
    }
    return pointer;
}

/* ---- Learners in blocks of their own ---- */

typedef struct block {
    nbt_config config;
    unsigned char *allocation;
    nbt_learner *learner;
    size_t bytes;
} block;

static block block_new(const nbt_config *config)
{
    block made = {*config, NULL, NULL, nbt_bytes(config)};
    REQUIRE(made.bytes > 0);
    made.allocation = need(malloc(made.bytes + 8));
    /* Not filled: valgrind then sees every read of a byte that nbt_init left as it was. */
    nbt_status status = nbt_init(made.allocation + 8, made.bytes, config, &made.learner);
    if (status != NBT_OK) {
        FAIL("nbt_init: %s", nbt_status_text(status));
    }
    REQUIRE((unsigned char *)made.learner == made.allocation + 8);
    return made;
}

static void block_free(block *old)
{
    free(old->allocation);
    old->allocation = NULL;
}

/* Moves the learner to fresh memory: it may hold no pointer into the old one. */
static void block_move(block *old)
{
    uint64_t hash = nbt_hash(old->learner);
    unsigned char *fresh = need(malloc(old->bytes + 8));
    memcpy(fresh + 8, old->allocation + 8, old->bytes);
    memset(old->allocation, 0x5a, old->bytes + 8);
    free(old->allocation);
    old->allocation = fresh;
    old->learner = (nbt_learner *)(void *)(fresh + 8);
    REQUIRE(nbt_hash(old->learner) == hash);
}

/* Saves and loads into fresh memory; a checkpoint with one wrong bit is refused before that. */
static void block_reload(block *old, uint32_t random)
{
    nbt_config config;
    size_t n = nbt_checkpoint_bytes(&old->config);
    unsigned char *checkpoint = need(malloc(n));
    unsigned char *fresh = need(malloc(old->bytes + 8));
    uint64_t hash = nbt_hash(old->learner);
    nbt_learner *loaded = NULL;
    REQUIRE(nbt_save(old->learner, checkpoint, n - 1) == NBT_ERR_BYTES);
    nbt_status status = nbt_save(old->learner, checkpoint, n);
    if (status != NBT_OK) {
        FAIL("nbt_save: %s", nbt_status_text(status));
    }
    size_t bit = random % (8 * n);
    checkpoint[bit / 8] ^= (unsigned char)(1u << bit % 8);
    REQUIRE(nbt_load_config(checkpoint, n, &config) < 0);
    REQUIRE(nbt_load(fresh + 8, old->bytes, checkpoint, n, &loaded) < 0 && loaded == NULL);
    checkpoint[bit / 8] ^= (unsigned char)(1u << bit % 8);
    REQUIRE(nbt_load(fresh + 8, old->bytes, checkpoint, random % n, &loaded) < 0);
    REQUIRE(nbt_load(fresh + 8, old->bytes - 1, checkpoint, n, &loaded) == NBT_ERR_BYTES);
    REQUIRE(nbt_load_config(checkpoint, n, &config) == NBT_OK);
    REQUIRE(nbt_bytes(&config) == old->bytes);
    REQUIRE(nbt_load(fresh + 8, old->bytes, checkpoint, n, &loaded) == NBT_OK);
    REQUIRE(nbt_hash(loaded) == hash);
    free(checkpoint);
    free(old->allocation);
    old->allocation = fresh;
    old->learner = loaded;
}

/* ---- Deterministic streams: integers first, then floats that hold them exactly ---- */

static uint32_t draw(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float not_a_number(void)
{
    return from_bits(0x7fc00000u);
}

typedef struct stream {
    uint32_t lcg;
    uint32_t memory; /* a slow sum of channel 0, from which the labels follow */
    uint32_t step;
} stream;

/* One sample: inputs in [-2, 2); labels that depend on the past, one in 13 missing. */
static void stream_next(stream *s, const nbt_config *config, float *x, float *label)
{
    for (uint32_t i = 0; i < config->n_in; i++) {
        uint32_t k = draw(&s->lcg) & 1023u;
        if (i == 0) {
            s->memory = s->memory / 2u + k;
        }
        x[i] = ((float)k - 512.0f) / 256.0f;
    }
    uint32_t n_labels = config->link == NBT_LINK_CATEGORICAL ? 1u : config->n_out;
    for (uint32_t o = 0; o < n_labels; o++) {
        if ((s->step + o) % 13u == 12u) {
            label[o] = not_a_number();
        } else if (config->link == NBT_LINK_GAUSSIAN) {
            label[o] = ((float)(s->memory + o) - 1024.0f) / 256.0f;
        } else if (config->link == NBT_LINK_CATEGORICAL) {
            label[o] = (float)((s->memory >> 6) % config->n_out);
        } else {
            label[o] = (float)(((s->memory >> 6) + o) % 5u) / 4.0f;
        }
    }
    s->step++;
}

/* ---- hash and grid ---- */

static void set_field(nbt_config *config, const char *assignment)
{
    const char *equals = strchr(assignment, '=');
    if (equals == NULL) {
        FAIL("expected key=value: %s", assignment);
    }
    size_t length = (size_t)(equals - assignment);
    unsigned long value = strtoul(equals + 1, NULL, 10);
    if (length == 4 && strncmp(assignment, "seed", length) == 0) {
        config->seed = value;
        return;
    }
#define SET(name, kind, low, high, gaussian, other, since)                    \
    if (length == strlen(#name) && strncmp(assignment, #name, length) == 0) { \
        config->name = VALUE_##kind;                                          \
        return;                                                               \
    }
#define VALUE_COUNT (uint32_t)value
#define VALUE_CHOICE (uint32_t)value
#define VALUE_REAL (float)value
#define VALUE_ABOVE (float)value
    NBT_FIELD_LIST(SET)
    FAIL("unknown key: %s", assignment);
}

static nbt_config parse_config(int count, char **assignments)
{
    nbt_config config = still_config(3, 2, 5, NBT_LINK_GAUSSIAN);
    config.seed = 1;
    for (int i = 0; i < count; i++) {
        set_field(&config, assignments[i]);
    }
    return config;
}

/* Runs the stream at horizon max_delay and prints the hash after every power of ten steps. */
static void print_hashes(const nbt_config *config, uint32_t steps)
{
    block owner = block_new(config);
    float *x = need(malloc(config->n_in * sizeof(float)));
    float *y = need(malloc(config->n_out * sizeof(float)));
    float *label = need(malloc(config->n_out * sizeof(float)));
    stream source = {12345u, 0u, 0u};
    uint32_t next = 1;
    for (uint32_t step = 1; step <= steps; step++) {
        nbt_status learnt = NBT_OK;
        stream_next(&source, config, x, label);
        if (config->max_delay > 0 && nbt_pending(owner.learner) == config->max_delay) {
            learnt = nbt_learn(owner.learner, label);
        }
        nbt_status predicted = nbt_predict(owner.learner, y, x);
        if (config->max_delay == 0) {
            learnt = nbt_learn(owner.learner, label);
        }
        if (learnt != NBT_OK || predicted != NBT_OK) {
            FAIL("step %" PRIu32 ": learn: %s; predict: %s", step, nbt_status_text(learnt),
                 nbt_status_text(predicted));
        }
        if (step == next || step == steps) {
            printf(" %016" PRIx64, nbt_hash(owner.learner));
            next *= 10u;
        }
    }
    putchar('\n');
    free(x);
    free(y);
    free(label);
    block_free(&owner);
}

static void print_kind(const nbt_config *config)
{
    printf(" H=%" PRIu32 " cell=%" PRIu32 " estimator=%" PRIu32 " filter=%" PRIu32 " link=%" PRIu32
           " norm=%" PRIu32 " follow=%" PRIu32 " resonators=%" PRIu32 " head=%" PRIu32,
           config->n_hidden, config->cell, config->estimator, config->filter, config->link,
           config->norm, config->follow, config->resonators, config->head);
}

static void print_grid(uint32_t steps)
{
    static const uint32_t sizes[] = {5, 16};
    nbt_config config = still_config(3, 2, 5, NBT_LINK_GAUSSIAN);
    config.seed = 1;
    config.scale_steps = 100; /* so that short runs see a frozen scaler */
    for (size_t size = 0; size < sizeof sizes / sizeof sizes[0]; size++) {
        config.n_hidden = sizes[size];
        config.lags = size == 0 ? 2 : 1;
        config.max_delay = size == 0 ? 3 : 0;
        for (config.cell = 0; config.cell < NBT_CELL_END; config.cell++) {
            for (config.estimator = 0; config.estimator < NBT_EST_END; config.estimator++) {
                for (config.filter = 0; config.filter < NBT_FILTER_END; config.filter++) {
                    for (config.link = 0; config.link < NBT_LINK_END; config.link++) {
                        int has_norm = config.estimator == NBT_EST_NOBACKTRACK;
                        uint32_t norms = has_norm ? NBT_NORM_END : 1u;
                        for (uint32_t kind = 0; kind < 6 * norms; kind++) {
                            const uint32_t resonators[] = {0, 2, config.n_hidden};
                            config.norm = kind / 6;
                            config.resonators = resonators[kind / 2 % 3];
                            config.head = kind % 2 != 0 ? 3 : 0;
                            config.head_gain = kind % 2 != 0 ? 1.0f : 0.0f;
                            config.n_out = config.link == NBT_LINK_CATEGORICAL ? 3 : 2;
                            if (nbt_bytes(&config) == 0 || (config.head > 0 && size == 0)) {
                                continue; /* no such choice, or not for this cell; once is enough
                                             for a head */
                            }
                            print_kind(&config);
                            print_hashes(&config, steps);
                        }
                    }
                }
            }
        }
    }
}

/* ---- Learners whose units follow the stream ---- */

enum { PIECE = 17 };

/* What a learner said of PIECE rows. */
typedef struct said {
    nbt_rows rows;
    size_t n_out;
    size_t n_bounds; /* 0 without intervals */
    size_t n_scores; /* 0 without anomaly */
} said;

static said said_new(const nbt_config *config)
{
    said made = {{NULL, NULL, NULL, NULL},
                 config->n_out,
                 (size_t)2 * config->n_out * config->intervals,
                 (size_t)config->n_out * config->anomaly};
    made.rows.y = need(malloc(PIECE * made.n_out * sizeof(float)));
    if (made.n_bounds > 0) {
        made.rows.bounds = need(malloc(PIECE * made.n_bounds * sizeof(float)));
    }
    if (made.n_scores > 0) {
        made.rows.anomaly = need(malloc(PIECE * made.n_scores * sizeof(float)));
    }
    return made;
}

static void said_free(said *old)
{
    free(old->rows.y);
    free(old->rows.bounds);
    free(old->rows.anomaly);
}

/* Row t as the calls give it: predict, its bounds; and what the label of the row scored. */
static void predict_row(const said *to, nbt_learner *learner, size_t t, const float *x)
{
    REQUIRE(nbt_predict(learner, to->rows.y + t * to->n_out, x) >= 0);
    if (to->n_bounds > 0) {
        REQUIRE(nbt_interval(learner, to->rows.bounds + t * to->n_bounds) >= 0);
    }
}

static void learn_row(const said *to, nbt_learner *learner, size_t t, const float *label)
{
    REQUIRE(nbt_learn(learner, label) >= 0);
    if (to->n_scores > 0) {
        REQUIRE(nbt_anomaly(learner, to->rows.anomaly + t * to->n_scores) == NBT_OK);
    }
}

/* FNV-1a (Fowler, Noll, Vo) of floats. */
static uint64_t mixed(uint64_t hash, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        hash = (hash ^ bits) * 1099511628211u;
    }
    return hash;
}

/* One of the ways to feed a stream: step by step with the learner moved and reloaded on the way, or
 * by nbt_run in pieces. Returns a hash of the learner at the end and of all that it said. */
static uint64_t hash_fed(const nbt_config *config, uint32_t steps, int runs)
{
    block owner = block_new(config);
    size_t n_in = config->n_in, n_out = config->n_out, horizon = config->max_delay;
    float *x = need(malloc(PIECE * n_in * sizeof(float)));
    float *label = need(malloc(PIECE * n_out * sizeof(float)));
    said answers = said_new(config);
    size_t n_label = config->link == NBT_LINK_CATEGORICAL ? 1 : n_out;
    stream source = {12345u, 0u, 0u};
    uint64_t hash = 14695981039346656037u;
    for (uint32_t step = 0; step < steps; step += PIECE) {
        size_t done = 0;
        for (size_t i = 0; i < PIECE; i++) {
            stream_next(&source, config, x + i * n_in, label + i * n_label);
            /* So that units move. */
            for (size_t k = 0; k < n_in; k++) {
                x[i * n_in + k] *= 1.0f + (float)(step / 32u);
            }
            for (size_t k = 0; k < n_label && config->link == NBT_LINK_GAUSSIAN; k++) {
                label[i * n_label + k] += (float)(step / 64u);
            }
        }
        for (size_t i = 0; i < answers.n_scores * PIECE; i++) {
            answers.rows.anomaly[i] = not_a_number(); /* where no label has come yet */
        }
        if (runs) {
            REQUIRE(nbt_run(owner.learner, &answers.rows, x, label, PIECE, horizon, &done) >= 0 &&
                    done == PIECE);
        }
        for (size_t i = 0; i < PIECE && !runs; i++) {
            if (horizon > 0 && nbt_pending(owner.learner) == horizon) {
                learn_row(&answers, owner.learner, i, label + i * n_label);
            }
            if (i == PIECE / 2) {
                block_move(&owner);
                block_reload(&owner, step);
            }
            predict_row(&answers, owner.learner, i, x + i * n_in);
            if (horizon == 0) {
                learn_row(&answers, owner.learner, i, label + i * n_label);
            }
        }
        hash = mixed(hash, answers.rows.y, PIECE * n_out);
        hash = mixed(hash, answers.rows.bounds, PIECE * answers.n_bounds);
        hash = mixed(hash, answers.rows.anomaly, PIECE * answers.n_scores);
    }
    hash ^= nbt_hash(owner.learner);
    free(x);
    free(label);
    said_free(&answers);
    block_free(&owner);
    return hash;
}

/* The hash at the end of a stream that is fed in both ways, with the bytes that the macros say; not
 * of learners that this build or the kernel does not have. */
static void print_checked(const char *grid, uint32_t kind, const nbt_config *config, uint32_t steps)
{
    if (nbt_bytes(config) == 0) {
        return;
    }
    REQUIRE(nbt_bytes(config) ==
            NBT_BYTES(config->n_in, config->n_out, config->n_hidden, config->resonators,
                      config->head, config->lags, config->max_delay, config->cell,
                      config->estimator, config->filter, config->link) +
                NBT_STREAM_BYTES(config->n_in, config->n_out, config->n_hidden, config->resonators,
                                 config->head, config->lags, config->max_delay, config->link,
                                 config->follow, config->anchored, config->linear_lags,
                                 config->slow_forget > 0.0f, config->mix_forget > 0.0f,
                                 config->intervals, config->anomaly));
    uint64_t hash = hash_fed(config, steps, 1);
    REQUIRE(hash == hash_fed(config, steps, 0));
    printf("%s=%" PRIu32, grid, kind);
    print_kind(config);
    printf(" %016" PRIx64 "\n", hash);
}

/* Every mixture of what follows, of anchors and experts; where the learner allows it. */
static void print_streams(uint32_t steps)
{
    for (uint32_t kind = 0; kind < 1024; kind++) {
        nbt_config config = still_config(3, 2, kind & 1u ? 5 : 0, NBT_LINK_GAUSSIAN);
        config.seed = 1;
        config.gate = 0.0f; /* nothing is brought to a bound, so that all steps answer NBT_OK */
        config.follow = 1;
        config.scale_rate = 0.01f;
        config.max_delay = kind & 2u ? 3 : 0;
        config.lags = kind & 4u ? 2 : 1;
        config.anchored = kind >> 3 & 1u;
        config.mix_forget = kind & 16u ? 0.99f : 0.0f;
        config.slow_forget = kind & 32u ? 0.9998f : 0.0f;
        config.linear_lags = kind & 64u ? 4 : 0;
        config.linear_forget = kind & 64u ? 0.99f : 0.0f;
        config.prior_units = kind >> 7 & 1u;
        config.link = kind & 256u ? NBT_LINK_BERNOULLI : NBT_LINK_GAUSSIAN;
        config.head = kind & 512u ? 3 : 0;
        config.head_gain = kind & 512u ? 1.0f : 0.0f;
        config.scale_steps = 1;
        int is_real = config.link == NBT_LINK_GAUSSIAN;
        config.intervals = is_real ? (kind / 4u + kind / 64u) % 4u : 0;
        config.anomaly = is_real && (kind / 8u + kind) % 3u != 0;
        print_checked("streams", kind, &config, steps);
    }
}

/* ---- Layers of columns, and heads ---- */

/* Gated columns and resonators in blocks of all widths, and heads, with every filter and link that
 * the learner allows. */
static void print_columns(uint32_t steps)
{
    static const uint32_t resonators[] = {0, 4, 21};
    /* Every seventh: all pairs of choices are among them, in a seventh of the time. */
    for (uint32_t kind = 0; kind < 3u * 2u * 3u * 64u; kind += 7) {
        nbt_config config = still_config(3, 2, 21, NBT_LINK_GAUSSIAN);
        uint32_t choices = kind / 64u;
        if (choices / 2u % 3u == NBT_LINK_CATEGORICAL && (kind & 32u) != 0) {
            continue; /* as without that bit */
        }
        config.seed = 1;
        config.gate = 0.0f;
        config.scale_steps = 1;
        config.cell = NBT_CELL_COLUMNAR;
        config.filter = choices % 2u;
        config.link = choices / 2u % 3u;
        config.resonators = resonators[choices / 6u];
        config.cell = config.resonators == config.n_hidden ? NBT_CELL_RESONATOR : config.cell;
        config.estimator = kind & 1u ? NBT_EST_SNAP1 : NBT_EST_FROZEN;
        config.head = kind & 2u ? 3 : 0;
        config.head_gain = kind & 2u ? 1.0f : 0.0f;
        config.max_delay = kind & 4u ? 3 : 0;
        config.lags = kind & 8u ? 2 : 1;
        config.follow = kind >> 4 & 1u;
        config.scale_rate = config.follow ? 0.01f : 0.0f;
        config.n_out = config.link == NBT_LINK_CATEGORICAL ? 3 : kind & 32u ? 1 : 2;
        config.anchored = config.follow && config.link == NBT_LINK_GAUSSIAN;
        config.mix_forget = config.anchored && kind & 32u ? 0.99f : 0.0f;
        config.slow_forget = config.mix_forget > 0.0f && config.filter ? 0.9998f : 0.0f;
        print_checked("columns", kind, &config, steps);
    }
}

/* ---- abuse ---- */

/* Mostly ordinary values, so that the learner gets somewhere, and now and then anything at all. */
static float hostile(uint32_t *lcg)
{
    static const uint32_t special[] = {
        0x00000000u, 0x80000000u, 0x00000001u, 0x80000001u, 0x007fffffu, 0x00800000u,
        0x7f7fffffu, 0xff7fffffu, 0x7f800000u, 0xff800000u, 0x7fc00000u, 0x7fa00000u,
        0xffffffffu, 0x3f800000u, 0xbf800000u, 0x5e5e0b6bu, 0x219392efu, 0x40000000u,
    };
    uint32_t kind = draw(lcg) % 64u;
    if (kind == 0) {
        return from_bits(special[draw(lcg) % (sizeof special / sizeof special[0])]);
    }
    if (kind == 1) {
        uint32_t high = draw(lcg);
        return from_bits((high << 16) ^ draw(lcg));
    }
    if (kind == 2) {
        return ((float)(draw(lcg) & 1023u) - 512.0f) * 4096.0f;
    }
    if (kind == 3) {
        return not_a_number();
    }
    if (kind < 24) {
        return (float)(draw(lcg) % 3u);
    }
    return ((float)(draw(lcg) & 1023u) - 512.0f) / 256.0f;
}

static void fill_hostile(float *values, size_t count, uint32_t *lcg)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = hostile(lcg);
    }
}

static void fill_labels(float *values, size_t count, const nbt_config *config, uint32_t *lcg)
{
    fill_hostile(values, count, lcg);
    for (size_t i = 0; i < count && config->link != NBT_LINK_GAUSSIAN; i++) {
        if (draw(lcg) % 8u != 0) {
            uint32_t n = config->link == NBT_LINK_CATEGORICAL ? config->n_out : 2u;
            values[i] = (float)(draw(lcg) % n);
        }
    }
}

/* Copies every array out into a block of exactly its size and looks for non-finite numbers. */
static void check_arrays(const nbt_learner *learner, uint32_t call)
{
    for (uint32_t name = 0; name < NBT_ARRAY_END; name++) {
        size_t rows = 0;
        size_t cols = 0;
        nbt_status status = nbt_array_get(learner, name, NULL, &rows, &cols);
        if (status == NBT_ERR_ARRAY) {
            continue;
        }
        REQUIRE(status == NBT_OK);
        float *values = need(malloc(rows * cols * sizeof(float) + 1));
        REQUIRE(nbt_array_get(learner, name, values, &rows, &cols) == NBT_OK);
        for (size_t i = 0; i < rows * cols; i++) {
            uint32_t bits;
            memcpy(&bits, &values[i], sizeof bits);
            if ((bits & 0x7f800000u) == 0x7f800000u) {
                FAIL("call %" PRIu32 ": array %" PRIu32 " element %zu is not finite", call, name,
                     i);
            }
        }
        free(values);
    }
}

/* Bounds that are numbers and in order, scores from 0 to 1 or NaN; or a refusal without them. */
static void check_assessment(const nbt_learner *learner, const nbt_config *config, float *bounds,
                             float *scores)
{
    size_t n = 2 * config->intervals, n_out = config->n_out;
    int is_told = nbt_interval(learner, bounds) == NBT_OK;
    REQUIRE(n > 0 || nbt_interval(learner, bounds) == NBT_ERR_ARRAY);
    for (size_t i = 0; i < n_out * n && is_told; i += 2) {
        int is_first = i % n == 0; /* of its output */
        REQUIRE(bounds[i] <= bounds[i + 1]);
        REQUIRE(is_first || (bounds[i] <= bounds[i - 2] && bounds[i - 1] <= bounds[i + 1]));
    }
    nbt_status status = nbt_student(learner, scores, bounds);
    REQUIRE(n > 0 ? status >= 0 : status == NBT_ERR_ARRAY);
    for (size_t o = 0; o < n_out && status == NBT_OK; o++) {
        REQUIRE(scores[o] >= 0.0f && bounds[o] >= 2.5f && bounds[o] <= 50.0f);
    }
    status = nbt_anomaly(learner, scores);
    REQUIRE(status == (config->anomaly > 0 ? NBT_OK : NBT_ERR_ARRAY));
    for (size_t o = 0; o < n_out && status == NBT_OK; o++) {
        REQUIRE(!(scores[o] < 0.0f) && !(scores[o] > 1.0f));
    }
}

/* A peek answers as nbt_predict with a copy does, with all that belongs to the forecast; a learner
 * that is full answers too. */
static void check_peek(const block *owner, const nbt_config *config, const float *x, float *y,
                       float *again, float *bounds)
{
    size_t bytes = nbt_bytes(config), n_out = config->n_out;
    void *scratch = need(malloc(bytes)), *copy = need(malloc(bytes));
    int is_full = nbt_pending(owner->learner) > config->max_delay;
    memset(scratch, 0xa5, bytes);
    nbt_status status = nbt_peek(owner->learner, y, x, scratch, bytes);
    memcpy(copy, owner->learner, bytes);
    nbt_status expected = nbt_predict((nbt_learner *)copy, again, x);
    if (is_full) {
        REQUIRE(expected == NBT_ERR_FULL && status != NBT_ERR_FULL);
    } else {
        REQUIRE(status == expected);
        REQUIRE(status < 0 || memcmp(y, again, n_out * sizeof(float)) == 0);
        REQUIRE(status < 0 || nbt_hash((nbt_learner *)scratch) == nbt_hash((nbt_learner *)copy));
    }
    if (status >= 0 && config->intervals > 0) {
        REQUIRE(nbt_interval((nbt_learner *)scratch, bounds) >= 0);
    }
    free(scratch);
    free(copy);
}

/* Sets one array to other numbers, or is refused and changes nothing. */
static void check_set(nbt_learner *learner, uint32_t *lcg)
{
    uint32_t name = draw(lcg) % (NBT_ARRAY_END + 1u);
    size_t rows = 0, cols = 0;
    if (nbt_array_get(learner, name, NULL, &rows, &cols) != NBT_OK) {
        REQUIRE(nbt_array_set(learner, name, NULL, 1, 1) == NBT_ERR_ARRAY);
        return;
    }
    size_t n = rows * cols, bytes = n * sizeof(float);
    float *values = need(malloc(bytes + 1)), *after = need(malloc(bytes + 1));
    uint64_t before = nbt_hash(learner);
    nbt_status asked = nbt_array_set(learner, name, NULL, rows, cols);
    REQUIRE(nbt_array_set(learner, name, values, rows + 1, cols) == NBT_ERR_ARRAY);
    REQUIRE(nbt_array_get(learner, name, values, &rows, &cols) == NBT_OK);
    if (n > 0 && draw(lcg) % 2u == 0) { /* the last one, when all others have been seen */
        values[n - 1] = draw(lcg) % 2u == 0 ? not_a_number() : 2e20f;
        REQUIRE(nbt_array_set(learner, name, values, rows, cols) ==
                (asked == NBT_OK ? NBT_ERR_STATE : NBT_ERR_ARRAY));
        REQUIRE(nbt_hash(learner) == before);
    } else {
        for (size_t i = 0; i < n; i++) {
            values[i] *= 0.5f;
        }
        REQUIRE(nbt_array_set(learner, name, values, rows, cols) == asked);
        REQUIRE(nbt_array_get(learner, name, after, &rows, &cols) == NBT_OK);
        REQUIRE(asked != NBT_OK || memcmp(values, after, bytes) == 0);
        REQUIRE(asked == NBT_OK || nbt_hash(learner) == before);
    }
    free(values);
    free(after);
}

static void abuse(const nbt_config *config, uint32_t calls)
{
    enum { RUN_STEPS = 7 };
    block owner = block_new(config);
    size_t n_in = config->n_in;
    size_t n_out = config->n_out;
    size_t n_label = config->link == NBT_LINK_CATEGORICAL ? 1 : n_out;
    float *x = need(malloc(RUN_STEPS * n_in * sizeof(float)));
    float *label = need(malloc(RUN_STEPS * n_label * sizeof(float)));
    size_t n_bounds = (size_t)2 * n_out * config->intervals;
    float *y = need(malloc(RUN_STEPS * n_out * sizeof(float)));
    float *bounds = need(malloc(RUN_STEPS * (n_bounds + 1) * sizeof(float)));
    float *scores = need(malloc(RUN_STEPS * n_out * sizeof(float)));
    const nbt_rows rows = {y, config->intervals > 0 ? bounds : NULL,
                           config->anomaly > 0 ? scores : NULL, NULL};
    uint32_t lcg = (uint32_t)config->seed;
    for (uint32_t call = 0; call < calls; call++) {
        uint64_t before = nbt_hash(owner.learner);
        nbt_status status = NBT_OK;
        int may_change = 1;
        uint32_t kind = draw(&lcg) % 32u;
        if (kind < 12) {
            fill_hostile(x, n_in, &lcg);
            status = nbt_predict(owner.learner, y, x);
        } else if (kind < 24) {
            fill_labels(label, n_label, config, &lcg);
            status = nbt_learn(owner.learner, label);
        } else if (kind < 28) {
            size_t done = 0;
            size_t horizon = draw(&lcg) % (config->max_delay + 3u);
            fill_hostile(x, RUN_STEPS * n_in, &lcg);
            fill_labels(label, RUN_STEPS * n_label, config, &lcg);
            status = nbt_run(owner.learner, &rows, x, label, RUN_STEPS, horizon, &done);
            REQUIRE(done <= RUN_STEPS);
            REQUIRE((status >= 0) == (done == RUN_STEPS));
            if (status < 0 && status != NBT_ERR_HORIZON) {
                status = NBT_OK; /* the steps before the refused one stay done */
            }
        } else if (kind == 28) {
            may_change = 0;
            status = nbt_variance(owner.learner, y);
            REQUIRE(status == (config->link == NBT_LINK_GAUSSIAN ? NBT_OK : NBT_ERR_LINK));
            check_assessment(owner.learner, config, bounds, scores);
            status = NBT_OK;
        } else if (kind == 29) {
            block_move(&owner);
            block_reload(&owner, draw(&lcg));
        } else if (kind == 30 && draw(&lcg) % 8u == 0) {
            REQUIRE(nbt_reset_state(owner.learner) == NBT_OK);
            REQUIRE(nbt_pending(owner.learner) == 0);
        } else if (kind == 30) {
            check_set(owner.learner, &lcg);
            REQUIRE(nbt_reseed(owner.learner, draw(&lcg)) == NBT_OK);
        } else if (kind == 31) {
            may_change = 0;
            fill_hostile(x, n_in, &lcg);
            check_peek(&owner, config, x, y, scores, bounds);
        } else {
            nbt_counters counters;
            may_change = 0;
            REQUIRE(nbt_counters_get(owner.learner, &counters) == NBT_OK);
            REQUIRE(nbt_pending(owner.learner) <= (size_t)config->max_delay + 1);
            REQUIRE(counters.labels + counters.missing <= counters.predictions);
        }
        REQUIRE(nbt_status_text(status)[0] != '\0');
        if (status < 0 || !may_change) {
            if (nbt_hash(owner.learner) != before) {
                FAIL("call %" PRIu32 " (kind %" PRIu32 ", %s) changed the learner", call, kind,
                     nbt_status_text(status));
            }
        }
        check_arrays(owner.learner, call);
    }
    nbt_counters counters;
    REQUIRE(nbt_counters_get(owner.learner, &counters) == NBT_OK);
    printf("predictions %" PRIu64 " labels %" PRIu64 " missing %" PRIu64 " skipped %" PRIu64 "\n",
           counters.predictions, counters.labels, counters.missing, counters.skipped);
    free(x);
    free(label);
    free(bounds);
    free(scores);
    free(y);
    block_free(&owner);
}

/* ---- refuse ---- */

static void refuse(void)
{
    nbt_config config = still_config(2, 1, 3, NBT_LINK_GAUSSIAN);
    nbt_learner *learner = NULL;
    nbt_breakdown parts;
    nbt_counters counters;
    size_t bytes = nbt_bytes(&config);
    size_t rows;
    size_t cols;
    size_t done;
    float x[2] = {0.5f, -0.5f};
    float label[1] = {1.0f};
    float y[1];
    unsigned char *memory = need(malloc(bytes + 8));

    REQUIRE(bytes > 0 && bytes % 8 == 0);
    REQUIRE(nbt_bytes(NULL) == 0);
    REQUIRE(nbt_bytes_breakdown(NULL, &parts) == NBT_ERR_NULL);
    REQUIRE(nbt_bytes_breakdown(&config, NULL) == NBT_ERR_NULL);
    REQUIRE(nbt_config_check(NULL, NULL, NULL, NULL) == NBT_ERR_NULL);
    REQUIRE(nbt_config_check(&config, NULL, NULL, NULL) == NBT_OK);
    REQUIRE(nbt_init(NULL, bytes, &config, &learner) == NBT_ERR_NULL);
    REQUIRE(nbt_init(memory, bytes, NULL, &learner) == NBT_ERR_NULL);
    REQUIRE(nbt_init(memory, bytes, &config, NULL) == NBT_ERR_NULL);
    REQUIRE(nbt_init(memory, bytes - 1, &config, &learner) == NBT_ERR_BYTES);
    REQUIRE(nbt_init(memory, 0, &config, &learner) == NBT_ERR_BYTES);
    REQUIRE(nbt_init(memory + 4, bytes, &config, &learner) == NBT_ERR_ALIGN);
    nbt_config bad = config;
    bad.n_hidden = 4097;
    uint32_t field = 0;
    double low = 0.0;
    double high = 0.0;
    REQUIRE(nbt_config_check(&bad, &field, &low, &high) == NBT_ERR_CONFIG);
    REQUIRE(field == 3 && low == 0.0 && high == 4096.0);
    bad = config;
    bad.estimator = NBT_EST_RTRL;
    bad.n_hidden = 200;
    REQUIRE(nbt_config_check(&bad, &field, &low, &high) == NBT_ERR_CONFIG);
    REQUIRE(field == (NBT_RTRL_FLOATS_MAX > 0 ? 3 : 7) && high < 200.0);
    REQUIRE(nbt_bytes(&bad) == 0);
    REQUIRE(nbt_bytes_breakdown(&bad, &parts) == NBT_ERR_CONFIG);
    REQUIRE(nbt_init(memory, bytes, &bad, &learner) == NBT_ERR_CONFIG);
    REQUIRE(nbt_init(memory, bytes, &config, &learner) == NBT_OK);

    uint64_t hash = nbt_hash(learner);
    REQUIRE(nbt_hash(NULL) == 0 && nbt_pending(NULL) == 0);
    REQUIRE(nbt_predict(NULL, y, x) == NBT_ERR_NULL);
    REQUIRE(nbt_predict(learner, NULL, x) == NBT_ERR_NULL);
    REQUIRE(nbt_predict(learner, y, NULL) == NBT_ERR_NULL);
    unsigned char *scratch = need(malloc(bytes + 8));
    REQUIRE(nbt_peek(NULL, y, x, scratch, bytes) == NBT_ERR_NULL);
    REQUIRE(nbt_peek(learner, NULL, x, scratch, bytes) == NBT_ERR_NULL);
    REQUIRE(nbt_peek(learner, y, NULL, scratch, bytes) == NBT_ERR_NULL);
    REQUIRE(nbt_peek(learner, y, x, NULL, bytes) == NBT_ERR_NULL);
    REQUIRE(nbt_peek(learner, y, x, scratch, bytes - 1) == NBT_ERR_BYTES);
    REQUIRE(nbt_peek(learner, y, x, scratch, 0) == NBT_ERR_BYTES);
    REQUIRE(nbt_peek(learner, y, x, scratch + 4, bytes) == NBT_ERR_ALIGN);
    REQUIRE(nbt_peek(learner, y, x, learner, bytes) == NBT_ERR_BYTES); /* it overlaps */
    REQUIRE(nbt_peek(learner, y, x, memory + 8, bytes) == NBT_ERR_BYTES);
    REQUIRE(nbt_peek(learner, y, x, scratch, bytes) == NBT_OK);
    REQUIRE(nbt_pending(learner) == 0 && nbt_pending((nbt_learner *)scratch) == 1);
    REQUIRE(nbt_learn(NULL, label) == NBT_ERR_NULL);
    REQUIRE(nbt_learn(learner, NULL) == NBT_ERR_NULL);
    REQUIRE(nbt_learn(learner, label) == NBT_ERR_EMPTY);
    REQUIRE(nbt_variance(NULL, y) == NBT_ERR_NULL);
    REQUIRE(nbt_variance(learner, NULL) == NBT_ERR_NULL);
    nbt_rows told = {y, NULL, NULL, NULL};
    REQUIRE(nbt_run(NULL, &told, x, label, 1, 0, &done) == NBT_ERR_NULL);
    REQUIRE(nbt_run(learner, NULL, x, label, 1, 0, &done) == NBT_ERR_NULL);
    REQUIRE(nbt_run(learner, &told, NULL, label, 1, 0, &done) == NBT_ERR_NULL);
    REQUIRE(nbt_run(learner, &told, x, NULL, 1, 0, &done) == NBT_ERR_NULL);
    REQUIRE(nbt_run(learner, &told, x, label, 1, 0, NULL) == NBT_ERR_NULL);
    REQUIRE(nbt_run(learner, &told, x, label, 1, 2, &done) == NBT_ERR_HORIZON);
    REQUIRE(nbt_run(learner, &told, x, label, 1, SIZE_MAX, &done) == NBT_ERR_HORIZON);
    told.y = NULL;
    REQUIRE(nbt_run(learner, &told, x, label, 1, 0, &done) == NBT_ERR_NULL);
    told = (nbt_rows){y, y, NULL, NULL};
    REQUIRE(nbt_run(learner, &told, x, label, 1, 0, &done) == NBT_ERR_ARRAY && done == 0);
    told = (nbt_rows){y, NULL, y, NULL};
    REQUIRE(nbt_run(learner, &told, x, label, 1, 0, &done) == NBT_ERR_ARRAY && done == 0);
    REQUIRE(nbt_interval(NULL, y) == NBT_ERR_NULL);
    REQUIRE(nbt_interval(learner, NULL) == NBT_ERR_NULL);
    REQUIRE(nbt_interval(learner, y) == NBT_ERR_ARRAY);
    REQUIRE(nbt_student(NULL, y, y) == NBT_ERR_NULL);
    REQUIRE(nbt_student(learner, NULL, y) == NBT_ERR_NULL);
    REQUIRE(nbt_student(learner, y, NULL) == NBT_ERR_NULL);
    REQUIRE(nbt_student(learner, y, y) == NBT_ERR_ARRAY);
    REQUIRE(nbt_anomaly(NULL, y) == NBT_ERR_NULL);
    REQUIRE(nbt_anomaly(learner, NULL) == NBT_ERR_NULL);
    REQUIRE(nbt_anomaly(learner, y) == NBT_ERR_ARRAY);
    REQUIRE(nbt_levels_set(NULL, y) == NBT_ERR_NULL);
    REQUIRE(nbt_levels_set(learner, NULL) == NBT_ERR_NULL);
    REQUIRE(nbt_levels_set(learner, y) == NBT_ERR_ARRAY);
    REQUIRE(nbt_alarm_count(NULL, 1.0f) == 0);
    REQUIRE(nbt_reset_state(NULL) == NBT_ERR_NULL);
    REQUIRE(nbt_counters_get(NULL, &counters) == NBT_ERR_NULL);
    REQUIRE(nbt_counters_get(learner, NULL) == NBT_ERR_NULL);
    REQUIRE(nbt_array_get(NULL, NBT_ARRAY_THETA, NULL, &rows, &cols) == NBT_ERR_NULL);
    REQUIRE(nbt_array_get(learner, NBT_ARRAY_THETA, NULL, NULL, &cols) == NBT_ERR_NULL);
    REQUIRE(nbt_array_get(learner, NBT_ARRAY_THETA, NULL, &rows, NULL) == NBT_ERR_NULL);
    REQUIRE(nbt_array_get(learner, 99, NULL, &rows, &cols) == NBT_ERR_ARRAY);
    float one_row[16] = {0};
    REQUIRE(nbt_array_get(learner, NBT_ARRAY_READOUT, NULL, &rows, &cols) == NBT_OK);
    REQUIRE(rows == 1 && cols <= 16);
    REQUIRE(nbt_array_set(NULL, NBT_ARRAY_READOUT, one_row, rows, cols) == NBT_ERR_NULL);
    REQUIRE(nbt_array_set(learner, NBT_ARRAY_READOUT, one_row, rows, cols - 1) == NBT_ERR_ARRAY);
    REQUIRE(nbt_array_set(learner, NBT_ARRAY_READOUT, one_row, cols, rows) == NBT_ERR_ARRAY);
    REQUIRE(nbt_array_set(learner, NBT_ARRAY_STATE, one_row, 1, 3) == NBT_ERR_ARRAY);
    REQUIRE(nbt_array_set(learner, 99, one_row, 1, 1) == NBT_ERR_ARRAY);
    one_row[cols - 1] = from_bits(0x7f800000u);
    REQUIRE(nbt_array_set(learner, NBT_ARRAY_READOUT, one_row, rows, cols) == NBT_ERR_STATE);
    REQUIRE(nbt_reseed(NULL, 1) == NBT_ERR_NULL);
    REQUIRE(nbt_array_dimensions(NULL, NBT_ARRAY_THETA) == 0);
    REQUIRE(nbt_array_dimensions(learner, 99) == 0);
    REQUIRE(nbt_shape(NULL, &rows, &rows, &cols) == NBT_ERR_NULL);
    x[1] = not_a_number();
    REQUIRE(nbt_predict(learner, y, x) == NBT_ERR_INPUT);
    x[1] = from_bits(0x7f800000u);
    REQUIRE(nbt_predict(learner, y, x) == NBT_ERR_INPUT);
    REQUIRE(nbt_hash(learner) == hash);

    x[1] = -0.5f;
    REQUIRE(nbt_predict(learner, y, x) == NBT_OK);
    hash = nbt_hash(learner);
    REQUIRE(nbt_predict(learner, y, x) == NBT_ERR_FULL);
    label[0] = from_bits(0x7f800000u);
    REQUIRE(nbt_learn(learner, label) == NBT_ERR_LABEL);
    x[1] = from_bits(0x7f800000u);
    REQUIRE(nbt_peek(learner, y, x, scratch, bytes) == NBT_ERR_INPUT);
    x[1] = 0.25f;
    REQUIRE(nbt_peek(learner, y, x, scratch, bytes) == NBT_OK); /* full */
    REQUIRE(nbt_hash(learner) == hash);
    free(scratch);
    for (int status = 1; status >= -21; status--) {
        REQUIRE(nbt_status_text((nbt_status)status)[0] != '\0');
    }
    free(memory);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    uint32_t count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    if (strcmp(mode, "hash") == 0 && count > 0) {
        nbt_config config = parse_config(argc - 3, argv + 3);
        print_hashes(&config, count);
    } else if (strcmp(mode, "grid") == 0 && count > 0) {
        print_grid(count);
        print_streams(count);
        print_columns(count);
    } else if (strcmp(mode, "abuse") == 0 && count > 0) {
        nbt_config config = parse_config(argc - 3, argv + 3);
        abuse(&config, count);
    } else if (strcmp(mode, "refuse") == 0) {
        refuse();
    } else {
        FAIL("usage: driver hash|grid|abuse COUNT [key=value ...], driver refuse");
    }
    return 0;
}
