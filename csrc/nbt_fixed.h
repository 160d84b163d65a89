/* A kernel for one model: its configuration, all sizes and the places of all arrays are constants.
 * `nbt-embed export` writes such a kernel (nbt_embed/export.py). It defines NBT_FIXED as 1,
 * NBT_FIXED_<field> for every field of nbt_config after seed, and NBT_FIXED_slows and
 * NBT_FIXED_mixes, which are 1 if slow_forget and mix_forget are above 0. Its code has
 * nbt_fixed_H(l), nbt_fixed_u(l) and nbt_setting_gate(l->config) in place of l->H, l->u and
 * l->config->gate. nbt_config_check accepts only this configuration. The results have the same
 * bits. Without NBT_FIXED this file is empty. */
#ifndef NBT_FIXED_LAYOUT_H
#define NBT_FIXED_LAYOUT_H

#include "nbt_build.h"
#include "nbt_matrices.h"

#if NBT_FIXED

/* The settings. */
#define NBT_FIXED_COUNT uint32_t
#define NBT_FIXED_CHOICE uint32_t
#define NBT_FIXED_REAL float
#define NBT_FIXED_ABOVE float
#define NBT_FIXED_SETTING(name, kind, low, high, gaussian, other, since)     \
    NBT_INLINE NBT_FIXED_##kind nbt_setting_##name(const nbt_config *config) \
    {                                                                        \
        (void)config;                                                        \
        return NBT_FIXED_##name;                                             \
    }
NBT_FIELD_LIST(NBT_FIXED_SETTING)

NBT_ASSERT(nbt_fixed_cell_is_built, NBT_BUILDS(1u << NBT_FIXED_cell, cell));
NBT_ASSERT(nbt_fixed_estimator_is_built, NBT_BUILDS(1u << NBT_FIXED_estimator, estimator));
NBT_ASSERT(nbt_fixed_filter_is_built, NBT_BUILDS(1u << NBT_FIXED_filter, filter));
NBT_ASSERT(nbt_fixed_link_is_built, NBT_BUILDS(1u << NBT_FIXED_link, link));

/* The places of arrays are offsets from the floats after the header of the block. */
typedef struct nbt_layout {
    const nbt_config *config;
    float *floats;
    nbt_matrices m;
} nbt_layout;

/* Sizes, as in the layout of a kernel for every model (nbt_layout.h). */
#define NBT_FIXED_SIZES(X)                                                                      \
    X(H, NBT_FIXED_n_hidden)                                                                    \
    X(O, NBT_FIXED_n_out)                                                                       \
    X(C, NBT_FIXED_resonators)                                                                  \
    X(Q, NBT_FIXED_head)                                                                        \
    X(E, NBT_SEEN(NBT_FIXED_n_hidden, NBT_FIXED_resonators))                                    \
    X(S, NBT_STATES(NBT_FIXED_n_hidden, NBT_FIXED_resonators, NBT_FIXED_cell))                  \
    X(R, NBT_ROWS(NBT_FIXED_n_hidden, NBT_FIXED_cell))                                          \
    X(D, NBT_COLS(NBT_FIXED_n_in, NBT_FIXED_n_hidden, NBT_FIXED_lags, NBT_FIXED_cell))          \
    X(Z, NBT_CONTEXT(NBT_FIXED_n_in, NBT_FIXED_n_hidden, NBT_FIXED_resonators, NBT_FIXED_lags)) \
    X(F, NBT_FEATURES(NBT_FIXED_n_in, NBT_FIXED_n_hidden, NBT_FIXED_resonators, NBT_FIXED_head, \
                      NBT_FIXED_lags))                                                          \
    X(B, NBT_SEEN(NBT_FIXED_n_hidden, NBT_FIXED_resonators) + NBT_FIXED_head)                   \
    X(parts, NBT_PARTS(NBT_FIXED_cell))                                                         \
    X(N, NBT_IN(NBT_ESTIMATORS_DIRECTED, NBT_FIXED_estimator) *                                 \
             NBT_N_(NBT_FIXED_IN, estimator, NBT_FIXED_n_hidden))                               \
    X(rows, NBT_IN(NBT_CELLS_ALONE, NBT_FIXED_cell) != 0                                        \
                ? (size_t)NBT_FIXED_n_hidden                                                    \
                : NBT_ROWS(NBT_FIXED_n_hidden, NBT_FIXED_cell))                                 \
    X(cols,                                                                                     \
      NBT_COLS(NBT_FIXED_n_in, NBT_FIXED_n_hidden, NBT_FIXED_lags, NBT_FIXED_cell) *            \
          (NBT_IN(NBT_CELLS_ALONE, NBT_FIXED_cell) != 0 ? NBT_ROWS(1u, NBT_FIXED_cell) : 1u))
#define NBT_FIXED_IN(set, field) NBT_IN(set, NBT_FIXED_##field)
#define NBT_FIXED_SIZE(name, value)                         \
    NBT_INLINE size_t nbt_fixed_##name(const nbt_layout *l) \
    {                                                       \
        (void)l;                                            \
        return (value);                                     \
    }
NBT_FIXED_SIZES(NBT_FIXED_SIZE)
NBT_INLINE int nbt_fixed_alone(const nbt_layout *l)
{
    (void)l;
    return (int)NBT_IN(NBT_CELLS_ALONE, NBT_FIXED_cell);
}

/* The tables of arrays with these sizes. */
#define NBT_FIXED_SAVED_ARRAYS(XM, X)                                                          \
    NBT_EACH_SAVED_(XM, X, NBT_FIXED_n_in, NBT_FIXED_n_out, NBT_FIXED_n_hidden,                \
                    NBT_FIXED_resonators, NBT_FIXED_head, NBT_FIXED_lags, NBT_FIXED_max_delay, \
                    NBT_FIXED_cell, NBT_FIXED_estimator, NBT_FIXED_filter, NBT_FIXED_link)
#define NBT_FIXED_SCRATCH_ARRAYS(X)                                                              \
    NBT_EACH_SCRATCH_(X, NBT_FIXED_n_in, NBT_FIXED_n_out, NBT_FIXED_n_hidden,                    \
                      NBT_FIXED_resonators, NBT_FIXED_head, NBT_FIXED_lags, NBT_FIXED_max_delay, \
                      NBT_FIXED_cell, NBT_FIXED_estimator, NBT_FIXED_filter, NBT_FIXED_link)
#define NBT_FIXED_STREAM_ARRAYS(X)                                                             \
    NBT_STREAM_ARRAYS(                                                                         \
        X, NBT_FIXED_IN(NBT_LINKS_REAL, link), (size_t)NBT_FIXED_follow,                       \
        (size_t)NBT_FIXED_anchored, NBT_FIXED_slows, NBT_FIXED_mixes, (size_t)NBT_FIXED_n_in,  \
        (size_t)NBT_FIXED_n_out, (size_t)NBT_FIXED_lags, (size_t)NBT_FIXED_max_delay,          \
        NBT_FEATURES(NBT_FIXED_n_in, NBT_FIXED_n_hidden, NBT_FIXED_resonators, NBT_FIXED_head, \
                     NBT_FIXED_lags),                                                          \
        (size_t)NBT_FIXED_linear_lags, (size_t)NBT_FIXED_intervals, (size_t)NBT_FIXED_anomaly)
#define NBT_FIXED_STREAM_SCRATCH(X)                                                     \
    NBT_STREAM_SCRATCH(X, NBT_FIXED_IN(NBT_LINKS_REAL, link), (size_t)NBT_FIXED_follow, \
                       (size_t)NBT_FIXED_n_out, (size_t)NBT_FIXED_linear_lags)

/* The end of each array, in the order of nbt_layout_of; the next array starts there. */
#define NBT_FIXED_PLACE(name, brought, floats) \
    NBT_AT_##name, NBT_LAST_##name = NBT_AT_##name + (int)((brought) * (floats)) - 1,
#define NBT_FIXED_PLACE_SAVED(where, name, purpose, content, since, copied, brought, floats) \
    NBT_FIXED_PLACE(name, brought, floats)
#define NBT_FIXED_PLACE_MATRIX(where, name, purpose, content, since, copied, brought, floats)      \
    NBT_GAP_##name,                                                                                \
        NBT_GONE_##name =                                                                          \
            NBT_GAP_##name - 1 + (NBT_GAP_##name > 0 ? (int)((brought) * NBT_APART_(floats)) : 0), \
        NBT_FIXED_PLACE(name, brought, floats)
#define NBT_FIXED_PLACE_SCRATCH(where, name, brought, floats) NBT_FIXED_PLACE(name, brought, floats)
#define NBT_FIXED_PLACE_EVEN(name) name, name##_END = name + name % 2 - 1,
#define NBT_FIXED_COPIED(where, name, purpose, content, since, copied, brought, floats) \
    +(copied) * (brought) * (floats)
#define NBT_FIXED_COPY                 \
    ((NBT_FIXED_rollback_steps > 0u) * \
     NBT_EVEN_(0u NBT_FIXED_SAVED_ARRAYS(NBT_FIXED_COPIED, NBT_FIXED_COPIED)))
/* clang-format off */
enum {
    NBT_FIXED_SAVED_ARRAYS(NBT_FIXED_PLACE_MATRIX, NBT_SKIP)
    NBT_FIXED_SAVED_ARRAYS(NBT_SKIP, NBT_FIXED_PLACE_SAVED)
    NBT_FIXED_SCRATCH_ARRAYS(NBT_FIXED_PLACE_SCRATCH)
    NBT_FIXED_PLACE_EVEN(NBT_FIXED_NETWORK)
    NBT_FIXED_STREAM_ARRAYS(NBT_FIXED_PLACE_SAVED)
    NBT_FIXED_STREAM_SCRATCH(NBT_FIXED_PLACE_SCRATCH)
    NBT_FIXED_PLACE_EVEN(NBT_FIXED_STREAM)
    NBT_AT_copy,
    NBT_FIXED_FLOATS = NBT_AT_copy + (int)NBT_FIXED_COPY
};
/* clang-format on */
NBT_ASSERT(nbt_fixed_places_are_all,
           NBT_HEADER_BYTES + (size_t)NBT_FIXED_FLOATS * sizeof(float) ==
               NBT_BYTES(NBT_FIXED_n_in, NBT_FIXED_n_out, NBT_FIXED_n_hidden, NBT_FIXED_resonators,
                         NBT_FIXED_head, NBT_FIXED_lags, NBT_FIXED_max_delay, NBT_FIXED_cell,
                         NBT_FIXED_estimator, NBT_FIXED_filter, NBT_FIXED_link) +
                   NBT_STREAM_BYTES(NBT_FIXED_n_in, NBT_FIXED_n_out, NBT_FIXED_n_hidden,
                                    NBT_FIXED_resonators, NBT_FIXED_head, NBT_FIXED_lags,
                                    NBT_FIXED_max_delay, NBT_FIXED_link, NBT_FIXED_follow,
                                    NBT_FIXED_anchored, NBT_FIXED_linear_lags, NBT_FIXED_slows,
                                    NBT_FIXED_mixes, NBT_FIXED_intervals, NBT_FIXED_anomaly) +
                   (NBT_FIXED_rollback_steps > 0u) *
                       NBT_ROLLBACK_BYTES(NBT_FIXED_n_in, NBT_FIXED_n_out, NBT_FIXED_n_hidden,
                                          NBT_FIXED_resonators, NBT_FIXED_head, NBT_FIXED_lags,
                                          NBT_FIXED_cell, NBT_FIXED_estimator, NBT_FIXED_filter,
                                          NBT_FIXED_link));

#define NBT_FIXED_ARRAY(name, brought)                            \
    NBT_INLINE float *nbt_fixed_##name(const nbt_layout *l)       \
    {                                                             \
        return (brought) != 0 ? l->floats + NBT_AT_##name : NULL; \
    }
#define NBT_FIXED_ARRAY_SAVED(where, name, purpose, content, since, copied, brought, floats) \
    NBT_FIXED_ARRAY(name, brought)
#define NBT_FIXED_ARRAY_SCRATCH(where, name, brought, floats) NBT_FIXED_ARRAY(name, brought)
NBT_FIXED_SAVED_ARRAYS(NBT_FIXED_ARRAY_SAVED, NBT_FIXED_ARRAY_SAVED)
NBT_FIXED_SCRATCH_ARRAYS(NBT_FIXED_ARRAY_SCRATCH)
NBT_FIXED_STREAM_ARRAYS(NBT_FIXED_ARRAY_SAVED)
NBT_FIXED_STREAM_SCRATCH(NBT_FIXED_ARRAY_SCRATCH)
NBT_FIXED_ARRAY(copy, NBT_FIXED_rollback_steps > 0u)

#endif

#endif
