/* The position of every array of a learner in its block. The block contains no pointers, so that it
 * can be copied byte for byte; every call computes the layout from the config. */
#ifndef NBT_LAYOUT_H
#define NBT_LAYOUT_H

#include "nbt.h"
#include "nbt_fixed.h"
#include "nbt_matrices.h"

/* The header of the block; the arrays follow it. */
struct nbt_learner {
    nbt_config config;
    nbt_counters counters;
#define NBT_WORD_MEMBER(kind, name, most, since) NBT_WORD_MEMBER_##kind(name)
#define NBT_WORD_MEMBER_GENERATOR(name) uint32_t name[NBT_WORDS_GENERATOR];
#define NBT_WORD_MEMBER_COUNT(name) uint32_t name;
#define NBT_WORD_MEMBER_UNSAVED(name) uint32_t name;
#define NBT_WORD_MEMBER_PAIR(name) uint64_t name;
#define NBT_WORD_MEMBER_LEVEL(name) float name;
#define NBT_WORD_MEMBER_SUM(name) float name;
    NBT_WORD_LIST(NBT_WORD_MEMBER)
};

enum { NBT_COPY_NONE, NBT_COPY_READY, NBT_COPY_TAKEN }; /* taken: restored since */

enum {
    NBT_LOOK_NONE,
    NBT_LOOK_SUMS, /* u and the row sums */
    NBT_LOOK_STEP  /* also the gains and the carry, f and y; the live state is the one after the
                      step */
};

#if !NBT_FIXED

/* An array that nbt_tables.h marks as OPTIONAL has no pointer in a layout of a build that cannot
 * have it. Use NBT_OF(l, name), which is NULL if the learner does not have the array. */
#define NBT_OPTIONAL_SAVED(where, name, purpose, content, since, copied, brought, floats) \
    NBT_OPTIONAL_##where(name, brought)
#define NBT_OPTIONAL_SCRATCH(where, name, brought, floats) NBT_OPTIONAL_##where(name, brought)
#define NBT_OPTIONAL_POINTER(name, built)
/* Indices of the pointers: one for every array that is built. */
#define NBT_OPTIONAL_OPTIONAL(name, built) \
    NBT_AT_##name, NBT_LAST_##name = NBT_AT_##name + ((built) != 0 ? 1 : 0) - 1,
/* clang-format off */
enum {
    NBT_SAVED_ARRAYS(NBT_SKIP, NBT_OPTIONAL_SAVED, NBT_BUILDS, cell, estimator, filter, link,
                     , , , , , , , , , , , NBT_RESONATORS, NBT_HEAD)
    NBT_SCRATCH_ARRAYS(NBT_OPTIONAL_SCRATCH, NBT_BUILDS, cell, estimator, filter, link,
                       , , , , , , , , , , , NBT_RESONATORS, NBT_HEAD)
    NBT_STREAM_ARRAYS(NBT_OPTIONAL_SAVED, 1, NBT_FOLLOW, NBT_FOLLOW, NBT_MIXES, NBT_MIXES,
                      , , , , , NBT_MIXES, NBT_HAS_INTERVALS, NBT_HAS_ANOMALY)
    NBT_STREAM_SCRATCH(NBT_OPTIONAL_SCRATCH, 1, NBT_FOLLOW, , NBT_MIXES)
    NBT_OPTIONAL
};
/* clang-format on */

/* The arrays as pointers into one block; NULL for those that the configuration does not have. */
typedef struct nbt_layout {
    const nbt_config *config;
    size_t H, O, S, R, D, parts; /* sizes, docs/design.md section 1 */
    int alone;                   /* whether the gates see only their own unit */
    size_t C, E;    /* resonators, the last of the units; state floats that are features:
                                    h, or [h; p; q] (nbt_columns.h) */
    size_t Z;       /* entries of u = [h; x; 1] */
    size_t Q;       /* units of the head */
    size_t F, B;    /* features of the readout, and hidden ones among them: [h; phi;
                                    x; 1] and [h; phi] */
    size_t N;       /* directions of the gradient besides g: 0, 1 or (unitwise) H */
    nbt_matrices m; /* theta, w, g, cov, coupling (R, D) in blocks */
#define NBT_MEMBER_SAVED(where, name, purpose, content, since, copied, brought, floats) \
    NBT_MEMBER_##where(name)
#define NBT_MEMBER_SCRATCH(where, name, brought, floats) NBT_MEMBER_##where(name)
#define NBT_MEMBER_POINTER(name) float *name;
#define NBT_MEMBER_OPTIONAL(name)
    NBT_SAVED_ARRAYS(NBT_SKIP, NBT_MEMBER_SAVED, NBT_BUILDS, , , , , , , , , , , , , , , , , )
    NBT_SCRATCH_ARRAYS(NBT_MEMBER_SCRATCH, NBT_BUILDS, , , , , , , , , , , , , , , , , )
    float *copy; /* the last good copy: the arrays marked `copied`, matrices first; NULL without
                    one */
    float *optional[NBT_OPTIONAL > 0 ? NBT_OPTIONAL : 1];
} nbt_layout;

#define NBT_OF(l, name) nbt_optional(l, (int)NBT_AT_##name, (int)NBT_LAST_##name)
NBT_INLINE float *nbt_optional(const nbt_layout *l, int at, int last)
{
    return last >= at ? l->optional[last] : NULL;
}

#define NBT_FIND_POINTER(l, name) ((l)->name)

#else

#define NBT_OF(l, name) nbt_fixed_##name(l)
#define NBT_FIND_POINTER(l, name) NBT_OF(l, name)

#endif

/* The second and later arrays where one pointer is shared by several. Only for arrays that the
 * learner has. */
NBT_INLINE float *nbt_learning_state(const nbt_layout *l)
{
    return l->state + l->S;
}

NBT_INLINE float *nbt_wu(const nbt_layout *l)
{
    return l->uu + l->R;
}

NBT_INLINE float *nbt_w_scale(const nbt_layout *l)
{
    return l->N > 0 ? l->w_square + l->N : l->w_square;
}

NBT_INLINE float *nbt_curvature_w(const nbt_layout *l)
{
    return l->N > 0 ? l->step_w + l->N : l->step_w;
}

NBT_INLINE float *nbt_uf(const nbt_layout *l)
{
    return l->cf + l->F;
}

NBT_INLINE float *nbt_label(const nbt_layout *l)
{
    return l->y + l->O;
}

NBT_INLINE float *nbt_innovation(const nbt_layout *l)
{
    return l->y + 2 * l->O;
}

NBT_INLINE float *nbt_factor(const nbt_layout *l)
{
    return l->y + 3 * l->O;
}

/* Properties of a learner that nbt_matrices.h does not have; constants where the build leaves no
 * choice. */
NBT_INLINE int nbt_is_swept(const nbt_layout *l) /* has w or g, and their sums */
{
    return nbt_has(NBT_BUILT_estimator, NBT_ESTIMATORS_SWEPT, l->m.w != NULL || l->m.g != NULL);
}

NBT_INLINE int nbt_has_copy(const nbt_layout *l)
{
    return NBT_ROLLBACK && l->copy != NULL;
}

NBT_INLINE int nbt_is_residual(const nbt_layout *l)
{
    return nbt_has(NBT_BUILT_estimator, NBT_ESTIMATORS_RESIDUAL, NBT_OF(l, balance) != NULL);
}

NBT_INLINE int nbt_is_kalman(const nbt_layout *l)
{
    return nbt_has(NBT_BUILT_filter, NBT_FILTERS_KALMAN, l->ud != NULL);
}

NBT_INLINE int nbt_is_columnar(const nbt_layout *l) /* nbt_columns.h */
{
    return nbt_has(NBT_BUILT_cell, NBT_CELLS_ALONE, l->alone);
}

NBT_INLINE size_t nbt_resonators(const nbt_layout *l) /* nbt_resonator.h */
{
    return NBT_RESONATORS && NBT_BUILDS(NBT_CELLS_ALONE, cell) ? l->C : 0;
}

NBT_INLINE int nbt_has_head(const nbt_layout *l) /* nbt_head.h */
{
    return NBT_HEAD && l->Q > 0;
}

NBT_INLINE int nbt_is_gaussian(const nbt_layout *l)
{
    return nbt_has(NBT_BUILT_link, NBT_LINKS_REAL, l->noise != NULL);
}

/* Properties of units that follow the stream, the anchor and the mixture. */
NBT_INLINE int nbt_follows(const nbt_layout *l)
{
    return NBT_FOLLOW && l->config->follow != 0;
}

NBT_INLINE int nbt_lifts(const nbt_layout *l) /* its priors are in units of the target */
{
    return NBT_FOLLOW && NBT_BUILDS(NBT_FILTERS_KALMAN, filter) && l->config->prior_units != 0;
}

NBT_INLINE int nbt_is_anchored(const nbt_layout *l)
{
    return NBT_FOLLOW && NBT_BUILDS(NBT_LINKS_REAL, link) && l->config->anchored != 0;
}

NBT_INLINE int nbt_mixes(const nbt_layout *l)
{
    return NBT_MIXES && NBT_BUILDS(NBT_LINKS_REAL, link) && l->config->mix_forget > 0.0f;
}

NBT_INLINE int nbt_is_slow(const nbt_layout *l) /* has the slow readout */
{
    return NBT_MIXES && NBT_BUILDS(NBT_FILTERS_KALMAN, filter) && l->config->slow_forget > 0.0f;
}

NBT_INLINE size_t nbt_linear_lags(const nbt_layout *l) /* 0 without the linear expert */
{
    return NBT_MIXES && NBT_BUILDS(NBT_FILTERS_KALMAN, filter) ? l->config->linear_lags : 0;
}

NBT_INLINE size_t nbt_experts(const nbt_layout *l) /* forecasts of an output that are mixed */
{
    return NBT_EXPERTS_((size_t)nbt_is_slow(l), nbt_linear_lags(l));
}

NBT_INLINE size_t nbt_intervals(const nbt_layout *l) /* of an output */
{
    return NBT_HAS_INTERVALS && NBT_BUILDS(NBT_LINKS_REAL, link) ? l->config->intervals : 0;
}

NBT_INLINE int nbt_has_anomaly(const nbt_layout *l)
{
    return NBT_HAS_ANOMALY && NBT_BUILDS(NBT_LINKS_REAL, link) && l->config->anomaly != 0;
}

NBT_INLINE int nbt_assesses(const nbt_layout *l) /* computes intervals or scores of its answers */
{
    return nbt_intervals(l) > 0 || nbt_has_anomaly(l);
}

NBT_INLINE int nbt_waits(const nbt_layout *l) /* forecasts are stored with the inputs until their
                                                 labels */
{
    return nbt_is_anchored(l) || nbt_mixes(l) || nbt_assesses(l);
}

/* The fields of a config after seed are words of 32 bits, without padding between them
 * (NBT_FIELD_LIST). */
uint32_t nbt_config_word(const nbt_config *config, size_t index);
void nbt_config_set_word(nbt_config *config, size_t index, uint32_t word);

/* Minor version of the checkpoints that introduced the word. */
uint32_t nbt_config_since(size_t index);

/* Set of the versions whose fields, words and arrays affect the learner: bit i is minor version i.
 * A version that added fields is in the set if one of them is not 0. */
uint32_t nbt_config_versions(const nbt_config *config);

/* Whether nbt_config_check accepts a config. */
int nbt_config_is_good(const nbt_config *config);

/* Fills in the layout of a learner whose first byte is `base`, or only the sizes if base is NULL.
 * Returns nbt_bytes. */
size_t nbt_layout_of(nbt_layout *l, const nbt_config *config, void *base);

/* Index of element (row, col) of a matrix (R, D) in storage. */
size_t nbt_layout_index(const nbt_layout *l, size_t row, size_t col);

/* Index of element (k, j) of U or its covariance (Q, Z) in storage (nbt_head.h). */
size_t nbt_layout_head_index(const nbt_layout *l, size_t k, size_t j);

/* The bytes of a learner by purpose. */
void nbt_layout_bytes(const nbt_config *config, nbt_breakdown *bytes);

/* ---- choices of the learner ---------------------------------------------------------------------
 * Constants where the build leaves no choice. */
NBT_INLINE uint32_t nbt_cell(const nbt_layout *l)
{
    return nbt_cell_of(l->config);
}

NBT_INLINE uint32_t nbt_estimator(const nbt_layout *l)
{
    return nbt_estimator_of(l->config);
}

NBT_INLINE uint32_t nbt_filter(const nbt_layout *l)
{
    return nbt_filter_of(l->config);
}

NBT_INLINE uint32_t nbt_link(const nbt_layout *l)
{
    return nbt_link_of(l->config);
}

/* The saved arrays of the learner whose layout is `l`, and those of units that follow; the pointer
 * to one. */
#define NBT_SAVED_OF(XM, X, l)                                                               \
    NBT_SAVED_ARRAYS(XM, X, NBT_BRINGS_TO_L, cell, estimator, filter, link,                  \
                     (size_t)(l)->config->n_in, (l)->O, (l)->H, (size_t)(l)->config->lags,   \
                     (size_t)(l)->config->max_delay, (l)->S, (l)->R, (l)->D, (l)->E, (l)->Z, \
                     (l)->F, (l)->C, (l)->Q)
#define NBT_STREAM_OF(X, l)                                                                     \
    NBT_STREAM_ARRAYS(X, NBT_BRINGS_TO_L(NBT_LINKS_REAL, link), (size_t)nbt_follows(l),         \
                      (size_t)nbt_is_anchored(l), (size_t)nbt_is_slow(l), (size_t)nbt_mixes(l), \
                      (size_t)(l)->config->n_in, (l)->O, (size_t)(l)->config->lags,             \
                      (size_t)(l)->config->max_delay, (l)->F, nbt_linear_lags(l),               \
                      nbt_intervals(l), (size_t)nbt_has_anomaly(l))
#define NBT_BRINGS_TO_L(set, field) nbt_brings(NBT_BUILT_##field, (uint32_t)(set), nbt_##field(l))
#define NBT_FIND_MATRIX(l, name) ((l)->m.name)
#define NBT_FIND_OPTIONAL(l, name) NBT_OF(l, name)

/* Compilation fails when a choice is added: every switch in the file that uses this needs a case
 * for it. */
#define NBT_COVERS(name, all, covered) NBT_ASSERT(name, (all) == (covered))

/* The scalars of a label for the traces: step (E), curvature (E), and tilt (H), or for resonators
 * the curvature of p with q (C); NULL without traces. With gated columns only, the first two are
 * stored in act, whose gains are no longer needed then. */
NBT_INLINE float *nbt_step_g(const nbt_layout *l)
{
    return nbt_is_columnar(l) && nbt_resonators(l) == 0 && nbt_has_g(&l->m) ? l->act
                                                                            : NBT_OF(l, step_g);
}

NBT_INLINE float *nbt_curvature_g(const nbt_layout *l)
{
    return nbt_has_g(&l->m) ? nbt_step_g(l) + l->E : NULL;
}

NBT_INLINE float *nbt_tilt(const nbt_layout *l)
{
    return nbt_has_g(&l->m) ? nbt_step_g(l) + 2 * l->E : NULL;
}

/* (E) sum P g g of a unit, or of p and of q; with columns in the place of the carry. */
NBT_INLINE float *nbt_g_square(const nbt_layout *l)
{
    return nbt_is_columnar(l) ? l->carry : NBT_OF(l, g_square);
}

/* ---- shared arrays ------------------------------------------------------------------------- To
 * save memory, some arrays hold one quantity early in a step and another one late. Each quantity
 * has its own function. */

/* act (R): pre-activations, and after the cell the gains of part 0. */
NBT_INLINE float *nbt_gain(const nbt_layout *l)
{
    return l->act;
}

/* da (R): theta_h v; for nobacktrack, once J v is computed, the factors of u in w. */
NBT_INLINE float *nbt_u_scale(const nbt_layout *l)
{
    return l->da;
}

/* carry (S), once J v is computed: the factors of the gains in v, of one gate at a time (H). */
NBT_INLINE float *nbt_v_scale(const nbt_layout *l)
{
    return l->carry;
}

/* cf (2, F), while a pending change of the matrices still needs u: the next u and its squares. */
NBT_INLINE float *nbt_next_u(const nbt_layout *l)
{
    return l->cf;
}

/* white (H), while a pending change still needs g_scale: that of the next step. */
NBT_INLINE float *nbt_next_g_scale(const nbt_layout *l)
{
    return NBT_OF(l, white);
}

/* y (O): the prediction; for probabilities, after nbt_link_innovate, its midpoint with the
 * label. */
NBT_INLINE float *nbt_midpoint(const nbt_layout *l)
{
    return l->y;
}

/* rtrl: w_square is the sum of P h h over all slopes, alpha (O) the step along the slopes of each
 * output. */
NBT_INLINE float *nbt_slope_square(const nbt_layout *l)
{
    return l->w_square;
}

NBT_INLINE float *nbt_slope_step(const nbt_layout *l)
{
    return l->alpha;
}

/* Scratch of estimators with traces before the correction fills it: step_g (3, H). */
NBT_INLINE float *nbt_scratch(const nbt_layout *l)
{
    return nbt_step_g(l);
}

/* Scratch of unitwise, from tangent to alpha (8, H). */
NBT_INLINE float *nbt_unit_scratch(const nbt_layout *l)
{
    return NBT_OF(l, tangent);
}

#endif
