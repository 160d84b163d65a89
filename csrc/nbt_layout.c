#include "nbt_layout.h"

#include <string.h>

#include "nbt_cell.h"

/* Fail to compile when NBT_HEADER_BYTES in nbt.h is not the size of the header, or it has gaps. */
#define WORD_PLACE(kind, name, most, since) \
    WORD_AT_##name, WORD_LAST_##name = WORD_AT_##name + NBT_WORDS_##kind - 1,
enum { NBT_WORD_LIST(WORD_PLACE) WORDS };
#define WORD_ASSERT(kind, name, most, since)                                    \
    NBT_ASSERT(nbt_word_##name, offsetof(struct nbt_learner, name) ==           \
                                    sizeof(nbt_config) + sizeof(nbt_counters) + \
                                        4u * (size_t)WORD_AT_##name);
NBT_WORD_LIST(WORD_ASSERT)
NBT_ASSERT(nbt_header_is_as_stated, sizeof(struct nbt_learner) <= NBT_HEADER_BYTES);

/* Fail to compile when nbt_config and nbt_counters have not the fields of nbt_tables.h, in their
 * order and of their types. */
#define IS_A(type, structure, name) (sizeof((type *)0 == &((structure *)0)->name) > 0)
#define IS_COUNT(name) IS_A(uint32_t, nbt_config, name)
#define IS_CHOICE(name) IS_A(uint32_t, nbt_config, name)
#define IS_REAL(name) IS_A(float, nbt_config, name)
#define IS_ABOVE(name) IS_A(float, nbt_config, name)
#define FIELD_ASSERT(name, kind, low, high, gaussian, other, since)                                \
    NBT_ASSERT(nbt_field_##name,                                                                   \
               offsetof(nbt_config, name) - offsetof(nbt_config, n_in) == 4u * NBT_FIELD_##name && \
                   IS_##kind(name));
NBT_FIELD_LIST(FIELD_ASSERT)
NBT_ASSERT(nbt_fields_are_all,
           sizeof(nbt_config) - offsetof(nbt_config, n_in) - 4u * NBT_FIELDS < 8u);
#define COUNTER_ASSERT(name, since)                                                           \
    NBT_ASSERT(nbt_counter_##name, offsetof(nbt_counters, name) == 8u * NBT_COUNTER_##name && \
                                       IS_A(uint64_t, nbt_counters, name));
NBT_COUNTER_LIST(COUNTER_ASSERT)
NBT_ASSERT(nbt_counters_are_all, sizeof(nbt_counters) == 8u * NBT_COUNTERS);

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
    static const unsigned char versions[NBT_FIELDS] = {NBT_FIELD_LIST(SINCE)};
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

/* Takes n floats off the block and counts them in *bytes; NULL without a block. */
static float *place(float *base, size_t *next, size_t *bytes, size_t n)
{
    float *array = base != NULL ? base + *next : NULL;
    *next += n;
    *bytes += n * sizeof(float);
    return array;
}

/* The same for an array that a learner may lack; one that it has may still have no floats. */
static float *place_if(size_t brought, float *base, size_t *next, size_t *bytes, size_t n)
{
    return brought != 0 ? place(base, next, bytes, n) : NULL;
}

/* Where the pointer to an array is kept. */
#define KEEP_MATRIX(name, array) l->m.name = (array);
#define KEEP_POINTER(name, array) l->name = (array);
#define KEEP_OPTIONAL(name, array)                                                \
    if (NBT_LAST_##name >= NBT_AT_##name) {                                       \
        l->optional[NBT_LAST_##name >= 0 ? NBT_LAST_##name : 0] = (array);        \
    }
#define PLACE_SAVED(where, name, purpose, content, since, copied, brought, floats_) \
    KEEP_##where(name, place_if(brought, floats, &n, &b->purpose, floats_))
#define PLACE_SCRATCH(where, name, brought, floats_) \
    KEEP_##where(name, place_if(brought, floats, &n, &b->workspace, floats_))

/* The matrices of the sweep come first and side by side, with a gap before all but the first: with
 * 16 rows, or a multiple, all start on a cache line if the first one does. */
#define PLACE_MATRIX(where, name, purpose, content, since, copied, brought, floats_) \
    place(floats, &n, &b->workspace, n > 0 ? (brought) * NBT_APART_(floats_) : 0);   \
    PLACE_SAVED(where, name, purpose, content, since, copied, brought, floats_)

#define FLOATS_COPIED(where, name, purpose, content, since, copied, brought, floats_) \
    +(copied) * (brought) * (floats_)

/* The layout, and its bytes by purpose. */
static void lay_out(const nbt_config *config, void *base, nbt_layout *l, nbt_breakdown *b)
{
    uint32_t cell = nbt_cell_of(config), estimator = nbt_estimator_of(config);
    uint32_t filter = nbt_filter_of(config), link = nbt_link_of(config);
    size_t n_in = config->n_in, L = config->lags, M = config->max_delay;
    size_t H = config->n_hidden, O = config->n_out, K = nbt_cell_parts(cell);
    size_t R = H * nbt_cell_gates(cell), D = H + n_in * L + 1;
    l->config = config;
    l->H = H;
    l->O = O;
    l->S = H * K;
    l->R = R;
    l->D = D;
    l->parts = K;
    l->N = NBT_BRINGS(NBT_ESTIMATORS_DIRECTED, estimator) * NBT_N_(NBT_BRINGS, estimator, H);
    l->m.rows = R;
    l->m.cols = D;
    l->m.hidden = H;
    l->m.by_unit = (int)NBT_BRINGS(NBT_ESTIMATORS_BY_UNIT, estimator);
    float *floats = base == NULL ? NULL : (float *)((unsigned char *)base + NBT_HEADER_BYTES);
    size_t n = 0;

    memset(b, 0, sizeof *b);
    b->header = NBT_HEADER_BYTES;
    NBT_SAVED_ARRAYS(PLACE_MATRIX, NBT_SKIP, NBT_BRINGS, cell, estimator, filter, link, n_in, O, H,
                     L, M, K, R, D)
    NBT_SAVED_ARRAYS(NBT_SKIP, PLACE_SAVED, NBT_BRINGS, cell, estimator, filter, link, n_in, O, H,
                     L, M, K, R, D)
    NBT_SCRATCH_ARRAYS(PLACE_SCRATCH, NBT_BRINGS, cell, estimator, filter, link, n_in, O, H, L, M,
                       K, R, D)
    place(floats, &n, &b->workspace, n % 2); /* whole multiples of 8 bytes */

    size_t T = nbt_linear_lags(l);
    NBT_STREAM_ARRAYS(PLACE_SAVED, NBT_BRINGS(NBT_LINKS_REAL, link), (size_t)nbt_follows(l),
                      (size_t)nbt_is_anchored(l), (size_t)nbt_is_slow(l), (size_t)nbt_mixes(l), n_in, O, L, M, D, T)
    NBT_STREAM_SCRATCH(PLACE_SCRATCH, (size_t)nbt_follows(l), O, T)
    place(floats, &n, &b->workspace, n % 2);

    if (NBT_ROLLBACK && config->rollback_steps > 0) {
        l->copy = place(floats, &n, &b->guard,
                        NBT_SAVED_ARRAYS(FLOATS_COPIED, FLOATS_COPIED, NBT_BRINGS, cell, estimator,
                                         filter, link, n_in, O, H, L, M, K, R, D));
        place(floats, &n, &b->guard, n % 2);
    } else {
        l->copy = NULL;
    }
}

size_t nbt_layout_of(nbt_layout *l, const nbt_config *config, void *base)
{
    nbt_breakdown b;
    lay_out(config, base, l, &b);
    return b.header + b.parameters + b.estimate + b.covariance + b.state + b.ring + b.scaler + b.guard +
           b.workspace;
}

void nbt_layout_bytes(const nbt_config *config, nbt_breakdown *bytes)
{
    nbt_layout l;
    lay_out(config, NULL, &l, bytes);
}
