/* The choices compiled into this build. A firmware for one model omits the others: bit i of a mask
 * keeps choice i of NBT_CELL_*, NBT_EST_*, NBT_FILTER_*, NBT_LINK_*. nbt_config_check refuses all
 * omitted choices, so no learner has one.
 *
 * The functions here and in nbt_sweep.h return the properties of a learner. Where the masks leave
 * one answer, it is a constant, and compilers drop the code for the others. */
#ifndef NBT_BUILD_H
#define NBT_BUILD_H

#include "nbt.h"
#include "nbt_math.h"

#ifndef NBT_CELLS
#define NBT_CELLS 0xffffffffu
#endif
#ifndef NBT_ESTIMATORS
#define NBT_ESTIMATORS 0xffffffffu
#endif
#ifndef NBT_FILTERS
#define NBT_FILTERS 0xffffffffu
#endif
#ifndef NBT_LINKS
#define NBT_LINKS 0xffffffffu
#endif
/* 0: without rollback_steps. */
#ifndef NBT_ROLLBACK
#define NBT_ROLLBACK 1
#endif
/* 0: without follow and all that needs it, and without prior_units. */
#ifndef NBT_FOLLOW
#define NBT_FOLLOW 1
#endif
/* 0: without mix_forget and all that needs it. */
#ifndef NBT_MIXTURE
#define NBT_MIXTURE 1
#endif
/* 0: without head. */
#ifndef NBT_HEAD
#define NBT_HEAD 1
#endif
/* 0: without resonators. */
#ifndef NBT_RESONATORS
#define NBT_RESONATORS 1
#endif
/* 0: without intervals; without anomaly. */
#ifndef NBT_INTERVALS
#define NBT_INTERVALS 1
#endif
#ifndef NBT_ANOMALY
#define NBT_ANOMALY 1
#endif
/* 1: for one configuration, in an exported kernel (nbt_fixed.h). */
#ifndef NBT_FIXED
#define NBT_FIXED 0
#endif
#define NBT_MIXES (NBT_FOLLOW && NBT_MIXTURE)
#define NBT_HAS_INTERVALS (NBT_FOLLOW && NBT_INTERVALS)
#define NBT_HAS_ANOMALY (NBT_FOLLOW && NBT_ANOMALY)
/* 0: nbt_status_text only distinguishes errors from successes. */
#ifndef NBT_TEXTS
#define NBT_TEXTS 1
#endif

/* For #if, which cannot use enumerators: whether rtrl (bit 5) is built. */
#define NBT_HAS_RTRL (NBT_RTRL_FLOATS_MAX > 0 && (NBT_ESTIMATORS & 0x20u) != 0)
NBT_ASSERT(nbt_build_knows_rtrl, NBT_ESTIMATORS_EXACT == 0x20 && NBT_EST_RTRL == 5);

/* The choices of a field that this build has. */
#define NBT_BUILT_cell                     \
    ((uint32_t)NBT_CELLS & NBT_CELLS_ALL & \
     ~(NBT_RESONATORS ? 0u : (uint32_t)1 << NBT_CELL_RESONATOR))
#define NBT_BUILT_estimator                          \
    ((uint32_t)NBT_ESTIMATORS & NBT_ESTIMATORS_ALL & \
     ~(NBT_HAS_RTRL ? 0u : (uint32_t)NBT_ESTIMATORS_EXACT))
#define NBT_BUILT_norm ((uint32_t)NBT_NORMS_ALL)
#define NBT_BUILT_filter ((uint32_t)NBT_FILTERS & NBT_FILTERS_ALL)
#define NBT_BUILT_link ((uint32_t)NBT_LINKS & NBT_LINKS_ALL)

/* Whether any choice of a set is built, for the tables of arrays. */
#define NBT_BUILDS(set, field) ((NBT_BUILT_##field & (uint32_t)(set)) != 0)
#define NBT_BUILDS_G NBT_BUILDS(NBT_ESTIMATORS_G, estimator)

NBT_ASSERT(nbt_build_has_a_cell, NBT_BUILT_cell != 0);
NBT_ASSERT(nbt_build_has_an_estimator, NBT_BUILT_estimator != 0);
NBT_ASSERT(nbt_build_has_a_filter, NBT_BUILT_filter != 0);
NBT_ASSERT(nbt_build_has_a_link, NBT_BUILT_link != 0);

/* Every enumerator of nbt.h has its row in nbt_tables.h, in the same order, and a bit that
 * nbt_choice handles. */
#define NBT_ROW_CELL(NAME, ...) NBT_ROW_CELL_##NAME,
#define NBT_ROW_EST(NAME, ...) NBT_ROW_EST_##NAME,
#define NBT_ROW_NORM(NAME, ...) NBT_ROW_NORM_##NAME,
#define NBT_ROW_FILTER(NAME, ...) NBT_ROW_FILTER_##NAME,
#define NBT_ROW_LINK(NAME, ...) NBT_ROW_LINK_##NAME,
enum { NBT_CELL_LIST(NBT_ROW_CELL) NBT_ROW_CELL_END };
enum { NBT_ESTIMATOR_LIST(NBT_ROW_EST) NBT_ROW_EST_END };
enum { NBT_NORM_LIST(NBT_ROW_NORM) NBT_ROW_NORM_END };
enum { NBT_FILTER_LIST(NBT_ROW_FILTER) NBT_ROW_FILTER_END };
enum { NBT_LINK_LIST(NBT_ROW_LINK) NBT_ROW_LINK_END };
#define NBT_IN_ORDER_(KIND, NAME)              \
    NBT_ASSERT(nbt_##KIND##_##NAME##_in_order, \
               (int)NBT_ROW_##KIND##_##NAME == (int)NBT_##KIND##_##NAME)
#define NBT_CELL_IN_ORDER_(NAME, ...) NBT_IN_ORDER_(CELL, NAME);
#define NBT_EST_IN_ORDER_(NAME, ...) NBT_IN_ORDER_(EST, NAME);
#define NBT_NORM_IN_ORDER_(NAME, ...) NBT_IN_ORDER_(NORM, NAME);
#define NBT_FILTER_IN_ORDER_(NAME, ...) NBT_IN_ORDER_(FILTER, NAME);
#define NBT_LINK_IN_ORDER_(NAME, ...) NBT_IN_ORDER_(LINK, NAME);
NBT_CELL_LIST(NBT_CELL_IN_ORDER_)
NBT_CELL_IN_ORDER_(END, 0)
NBT_ESTIMATOR_LIST(NBT_EST_IN_ORDER_)
NBT_EST_IN_ORDER_(END, 0)
NBT_NORM_LIST(NBT_NORM_IN_ORDER_)
NBT_NORM_IN_ORDER_(END, 0)
NBT_FILTER_LIST(NBT_FILTER_IN_ORDER_)
NBT_FILTER_IN_ORDER_(END, 0)
NBT_LINK_LIST(NBT_LINK_IN_ORDER_)
NBT_LINK_IN_ORDER_(END, 0)
NBT_ASSERT(nbt_choice_knows_all,
           NBT_CELL_END <= 8 && NBT_EST_END <= 8 && NBT_FILTER_END <= 8 && NBT_LINK_END <= 8);

/* Whether a choice from the mask is number i. Constant where the mask has one choice. */
NBT_INLINE int nbt_is_choice(uint32_t mask, uint32_t i, uint32_t choice)
{
    return mask >> i == 1u || ((mask >> i & 1u) != 0 && choice == i);
}

/* A choice from the mask. Unless the mask is full, the result is one of a few constants. */
NBT_INLINE uint32_t nbt_choice(uint32_t mask, uint32_t all, uint32_t choice)
{
    mask &= all;
    return mask == all                      ? choice
           : nbt_is_choice(mask, 0, choice) ? 0u
           : nbt_is_choice(mask, 1, choice) ? 1u
           : nbt_is_choice(mask, 2, choice) ? 2u
           : nbt_is_choice(mask, 3, choice) ? 3u
           : nbt_is_choice(mask, 4, choice) ? 4u
           : nbt_is_choice(mask, 5, choice) ? 5u
           : nbt_is_choice(mask, 6, choice) ? 6u
                                            : 7u;
}

NBT_INLINE uint32_t nbt_built_cell(uint32_t cell)
{
    return nbt_choice(NBT_CELLS, NBT_CELLS_ALL, cell);
}

NBT_INLINE uint32_t nbt_built_link(uint32_t link)
{
    return nbt_choice(NBT_LINKS, NBT_LINKS_ALL, link);
}

NBT_INLINE uint32_t nbt_cell_of(const nbt_config *config)
{
    return nbt_built_cell(config->cell);
}

NBT_INLINE uint32_t nbt_estimator_of(const nbt_config *config)
{
    return nbt_choice(NBT_ESTIMATORS, NBT_ESTIMATORS_ALL, config->estimator);
}

/* Whether a config that may be invalid has the exact estimator. */
NBT_INLINE int nbt_is_exact(const nbt_config *config)
{
    return NBT_HAS_RTRL && config->estimator == NBT_EST_RTRL;
}

NBT_INLINE uint32_t nbt_filter_of(const nbt_config *config)
{
    return nbt_choice(NBT_FILTERS, NBT_FILTERS_ALL, config->filter);
}

NBT_INLINE uint32_t nbt_link_of(const nbt_config *config)
{
    return nbt_built_link(config->link);
}

/* 1 if the learner has one of the choices of a set, else 0. `here` is used only if some but not all
 * built choices are in the set. */
NBT_INLINE int nbt_has(uint32_t built, uint32_t set, int here)
{
    return (built & set) == built || ((built & set) != 0 && here);
}

/* The same for a choice, in the tables of arrays; the name of a field stands for its choice. */
#define NBT_BRINGS(set, field) nbt_brings(NBT_BUILT_##field, (uint32_t)(set), field)
NBT_INLINE size_t nbt_brings(uint32_t built, uint32_t set, uint32_t choice)
{
    return (built & set) == built ? 1u : (built & set) == 0 ? 0u : (size_t)(set >> choice & 1u);
}

#endif
