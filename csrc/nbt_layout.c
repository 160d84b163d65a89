#include "nbt_layout.h"

#include <string.h>

#include "nbt_cell.h"

/* Compilation fails if NBT_HEADER_BYTES in nbt.h is not the size of the header, or if the header
 * has gaps. */
#define WORD_PLACE(kind, name, most, since) \
    WORD_AT_##name, WORD_LAST_##name = WORD_AT_##name + NBT_WORDS_##kind - 1,
enum { NBT_WORD_LIST(WORD_PLACE) WORDS };
#define WORD_ASSERT(kind, name, most, since)         \
    NBT_ASSERT(nbt_word_##name,                      \
               offsetof(struct nbt_learner, name) == \
                   sizeof(nbt_config) + sizeof(nbt_counters) + (size_t)4u * WORD_AT_##name);
NBT_WORD_LIST(WORD_ASSERT)
NBT_ASSERT(nbt_header_is_as_stated, sizeof(struct nbt_learner) <= NBT_HEADER_BYTES);

/* Compilation fails if nbt_config and nbt_counters do not have the fields of nbt_tables.h, in their
 * order and with their types. */
#define IS_A(type, structure, name) (sizeof((type *)0 == &((structure *)0)->name) > 0)
#define IS_COUNT(name) IS_A(uint32_t, nbt_config, name)
#define IS_CHOICE(name) IS_A(uint32_t, nbt_config, name)
#define IS_REAL(name) IS_A(float, nbt_config, name)
#define IS_ABOVE(name) IS_A(float, nbt_config, name)
#define FIELD_ASSERT(name, kind, low, high, gaussian, other, since)                         \
    NBT_ASSERT(nbt_field_##name, offsetof(nbt_config, name) - offsetof(nbt_config, n_in) == \
                                         (size_t)4u * NBT_FIELD_##name &&                   \
                                     IS_##kind(name));
NBT_FIELD_LIST(FIELD_ASSERT)
NBT_ASSERT(nbt_fields_are_all,
           sizeof(nbt_config) - offsetof(nbt_config, n_in) - (size_t)4u * NBT_FIELDS < 8u);
#define COUNTER_ASSERT(name, since)                                               \
    NBT_ASSERT(nbt_counter_##name,                                                \
               offsetof(nbt_counters, name) == (size_t)8u * NBT_COUNTER_##name && \
                   IS_A(uint64_t, nbt_counters, name));
NBT_COUNTER_LIST(COUNTER_ASSERT)
NBT_ASSERT(nbt_counters_are_all, sizeof(nbt_counters) == (size_t)8u * NBT_COUNTERS);

uint32_t nbt_config_word(const nbt_config *config, size_t index)
{
    uint32_t word;
    memcpy(&word, (const unsigned char *)config + offsetof(nbt_config, n_in) + 4 * index, 4);
    return word;
}

void nbt_config_set_word(nbt_config *config, size_t index, uint32_t word)
{
    memcpy((unsigned char *)config + offsetof(nbt_config, n_in) + 4 * index, &word, 4);
}

uint32_t nbt_config_since(size_t index)
{
#define SINCE(name, kind, low, high, gaussian, other, since) since,
    static const unsigned char versions[NBT_FIELDS] = { NBT_FIELD_LIST(SINCE) };
#undef SINCE
    return versions[index];
}

uint32_t nbt_config_versions(const nbt_config *config)
{
    uint32_t used = 0, brought_fields = 0;
    for (size_t i = 0; i < NBT_FIELDS; i++) {
        uint32_t version = 1u << nbt_config_since(i);
        brought_fields |= version;
        used |= nbt_config_word(config, i) != 0 ? version : 0;
    }
    return used | (NBT_ALL_VERSIONS & ~brought_fields);
}

/* Floats of the last good copy, a multiple of 8 bytes; 0 without one. */
#define FLOATS_COPIED(where, name, purpose, content, since, copied, brought, floats_) \
    +(size_t)(copied) * (brought) * (floats_)
static size_t copied_floats(const nbt_layout *l)
{
    if (!NBT_ROLLBACK || l->config->rollback_steps == 0) {
        return 0;
    }
    size_t n = NBT_SAVED_OF(FLOATS_COPIED, FLOATS_COPIED, l);
    return n + n % 2;
}

#if NBT_FIXED

#define KEEP_MATRIX(where, name, purpose, content, since, copied, brought, floats_) \
    m->name = base == NULL ? NULL : NBT_OF(l, name);

size_t nbt_layout_of(nbt_layout *l, const nbt_config *config, void *base)
{
    nbt_matrices *m = &l->m;
    l->config = config;
    l->floats = base == NULL ? NULL : (float *)((unsigned char *)base + NBT_HEADER_BYTES);
    NBT_FIXED_SAVED_ARRAYS(KEEP_MATRIX, NBT_SKIP)
    m->rows = nbt_fixed_rows(l);
    m->cols = nbt_fixed_cols(l);
    m->hidden = nbt_fixed_H(l);
    m->by_unit = (int)NBT_FIXED_IN(NBT_ESTIMATORS_BY_UNIT, estimator);
    return NBT_HEADER_BYTES + (size_t)NBT_FIXED_FLOATS * sizeof(float);
}

#else

/* Places an array of n floats in the block if `brought` is 1. Returns NULL if it is 0, or if there
 * is no block. */
static float *place(float *base, size_t *next, size_t brought, size_t n)
{
    float *array = base != NULL && brought != 0 ? base + *next : NULL;
    *next += brought * n;
    return array;
}

/* Stores the pointer to an array. */
#define KEEP_MATRIX(name, array) l->m.name = (array);
#define KEEP_POINTER(name, array) l->name = (array);
#define KEEP_OPTIONAL(name, array)                                         \
    if (NBT_LAST_##name >= NBT_AT_##name) {                                \
        l->optional[NBT_LAST_##name >= 0 ? NBT_LAST_##name : 0] = (array); \
    }
#define PLACE_SAVED(where, name, purpose, content, since, copied, brought, floats_) \
    KEEP_##where(name, place(floats, &n, brought, floats_))
#define PLACE_SCRATCH(where, name, brought, floats_) \
    KEEP_##where(name, place(floats, &n, brought, floats_))

/* The matrices of the sweep come first and next to each other, with a gap before all but the first.
 * With a multiple of 16 rows, all start on a cache line if the first one does. */
#define PLACE_MATRIX(where, name, purpose, content, since, copied, brought, floats_) \
    n += n > 0 ? (brought) * NBT_APART_(floats_) : 0;                                \
    PLACE_SAVED(where, name, purpose, content, since, copied, brought, floats_)

size_t nbt_layout_of(nbt_layout *l, const nbt_config *config, void *base)
{
    uint32_t cell = nbt_cell_of(config), estimator = nbt_estimator_of(config);
    uint32_t filter = nbt_filter_of(config), link = nbt_link_of(config);
    size_t n_in = config->n_in, L = config->lags, M = config->max_delay;
    size_t H = config->n_hidden, O = config->n_out, parts = nbt_cell_parts(cell);
    size_t C = NBT_RESONATORS ? config->resonators : 0, E = H + C, S = H * parts + C;
    size_t R = H * nbt_cell_gates(cell), Z = E + n_in * L + 1;
    size_t alone = NBT_BRINGS(NBT_CELLS_ALONE, cell), D = alone != 0 ? n_in * L + 2 : Z;
    size_t Q = NBT_HEAD ? config->head : 0, B = E + Q, F = Z + Q;
    l->config = config;
    l->H = H;
    l->O = O;
    l->S = S;
    l->C = C;
    l->E = E;
    l->R = R;
    l->D = D;
    l->Z = Z;
    l->F = F;
    l->B = B;
    l->Q = Q;
    l->parts = parts;
    l->N = NBT_BRINGS(NBT_ESTIMATORS_DIRECTED, estimator) * NBT_N_(NBT_BRINGS, estimator, H);
    l->alone = (int)alone;
    l->m.rows = alone != 0 ? H : R;
    l->m.cols = alone != 0 ? nbt_cell_gates(cell) * D : D;
    l->m.hidden = H;
    l->m.by_unit = (int)NBT_BRINGS(NBT_ESTIMATORS_BY_UNIT, estimator);
    float *floats = base == NULL ? NULL : (float *)((unsigned char *)base + NBT_HEADER_BYTES);
    size_t n = 0;
    NBT_SAVED_ARRAYS(PLACE_MATRIX, NBT_SKIP, NBT_BRINGS, cell, estimator, filter, link, n_in, O, H,
                     L, M, S, R, D, E, Z, F, C, Q)
    NBT_SAVED_ARRAYS(NBT_SKIP, PLACE_SAVED, NBT_BRINGS, cell, estimator, filter, link, n_in, O, H,
                     L, M, S, R, D, E, Z, F, C, Q)
    NBT_SCRATCH_ARRAYS(PLACE_SCRATCH, NBT_BRINGS, cell, estimator, filter, link, n_in, O, H, L, M,
                       S, R, D, E, Z, F, C, Q)
    n += n % 2; /* a multiple of 8 bytes */
    size_t T = nbt_linear_lags(l);
    NBT_STREAM_ARRAYS(PLACE_SAVED, NBT_BRINGS(NBT_LINKS_REAL, link), (size_t)nbt_follows(l),
                      (size_t)nbt_is_anchored(l), (size_t)nbt_is_slow(l), (size_t)nbt_mixes(l),
                      n_in, O, L, M, F, T, nbt_intervals(l), (size_t)nbt_has_anomaly(l))
    NBT_STREAM_SCRATCH(PLACE_SCRATCH, NBT_BRINGS(NBT_LINKS_REAL, link), (size_t)nbt_follows(l), O,
                       T)
    n += n % 2;
    size_t copied = copied_floats(l);
    l->copy = place(floats, &n, copied > 0, copied);
    return NBT_HEADER_BYTES + n * sizeof(float);
}

#endif

size_t nbt_layout_index(const nbt_layout *l, size_t row, size_t col)
{
    if (!nbt_is_columnar(l)) {
        return nbt_block_index(row, col, l->R, l->D);
    }
    /* Each kind of units has its own blocks. */
    size_t unit = row % l->H, gated = l->H - nbt_resonators(l), at = row / l->H * l->D + col;
    return unit < gated
               ? nbt_block_index(unit, at, gated, l->m.cols)
               : gated * l->m.cols + nbt_block_index(unit - gated, at, l->H - gated, l->m.cols);
}

size_t nbt_layout_head_index(const nbt_layout *l, size_t k, size_t j)
{
    return nbt_block_index(k, j, l->Q, l->Z);
}

#define COUNT_BYTES(where, name, purpose, content, since, copied, brought, floats_) \
    bytes->purpose += (brought) * (floats_) * sizeof(float);

void nbt_layout_bytes(const nbt_config *config, nbt_breakdown *bytes)
{
    nbt_layout sizes;
    const nbt_layout *l = &sizes;
    size_t total = nbt_layout_of(&sizes, config, NULL);
    memset(bytes, 0, sizeof *bytes);
    bytes->header = NBT_HEADER_BYTES;
    NBT_SAVED_OF(COUNT_BYTES, COUNT_BYTES, l)
    NBT_STREAM_OF(COUNT_BYTES, l)
    bytes->guard += copied_floats(l) * sizeof(float);
    /* The remaining bytes, with the gaps between matrices. */
    bytes->workspace = total - bytes->header - bytes->parameters - bytes->estimate -
                       bytes->covariance - bytes->state - bytes->ring - bytes->scaler -
                       bytes->guard;
}
