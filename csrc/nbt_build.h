/* Which choices of nbt_config this build has. A firmware for one model leaves the others out: bit i of a
 * mask keeps choice i of NBT_CELL_*, NBT_EST_*, NBT_FILTER_*, NBT_LINK_*. nbt_config_check refuses the
 * rest, so that a learner never has a choice that was left out.
 *
 * What a learner is and has is asked here and in nbt_sweep.h. Where the masks leave one answer, it is a
 * constant, and compilers drop what belongs to the other. */
#ifndef NBT_BUILD_H
#define NBT_BUILD_H

#include "nbt.h"
#include "nbt_math.h"

#define NBT_CELLS_ALL 0xfu
#define NBT_ESTIMATORS_ALL 0x3fu
#define NBT_FILTERS_ALL 0x7u
#define NBT_LINKS_ALL 0x7u

#ifndef NBT_CELLS
#define NBT_CELLS NBT_CELLS_ALL
#endif
#ifndef NBT_ESTIMATORS
#define NBT_ESTIMATORS NBT_ESTIMATORS_ALL
#endif
#ifndef NBT_FILTERS
#define NBT_FILTERS NBT_FILTERS_ALL
#endif
#ifndef NBT_LINKS
#define NBT_LINKS NBT_LINKS_ALL
#endif
/* 0: without rollback_steps. */
#ifndef NBT_ROLLBACK
#define NBT_ROLLBACK 1
#endif
/* 0: nbt_status_text knows errors and successes only. */
#ifndef NBT_TEXTS
#define NBT_TEXTS 1
#endif

/* The estimators that keep w, and those that keep g. */
#define NBT_ESTIMATORS_W (1u << NBT_EST_NOBACKTRACK | 1u << NBT_EST_RESIDUAL | 1u << NBT_EST_UNITWISE)
#define NBT_ESTIMATORS_G (1u << NBT_EST_SNAP1 | 1u << NBT_EST_RESIDUAL | 1u << NBT_EST_UNITWISE)
#define NBT_ESTIMATORS_SWEPT (NBT_ESTIMATORS_W | 1u << NBT_EST_SNAP1) /* w or g */

/* Whether some choices are built at all. */
#define NBT_BUILDS_LEAKY ((NBT_CELLS & 1u << NBT_CELL_LEAKY) != 0)
#define NBT_BUILDS_LSTM ((NBT_CELLS & 1u << NBT_CELL_LSTM) != 0)
#define NBT_BUILDS_RESIDUAL ((NBT_ESTIMATORS & 1u << NBT_EST_RESIDUAL) != 0)
#define NBT_BUILDS_UNITWISE ((NBT_ESTIMATORS & 1u << NBT_EST_UNITWISE) != 0)
#define NBT_BUILDS_G ((NBT_ESTIMATORS & NBT_ESTIMATORS_G) != 0)

/* For #if, which knows no enumerations: whether rtrl (bit 5) is built. */
#define NBT_HAS_RTRL (NBT_RTRL_FLOATS_MAX > 0 && (NBT_ESTIMATORS & 0x20u) != 0)

/* Fail to compile for a mask without a choice. */
typedef char nbt_build_has_a_cell[(NBT_CELLS & NBT_CELLS_ALL) != 0 ? 1 : -1];
typedef char nbt_build_has_an_estimator[(NBT_ESTIMATORS & NBT_ESTIMATORS_ALL) != 0 ? 1 : -1];
typedef char nbt_build_has_a_filter[(NBT_FILTERS & NBT_FILTERS_ALL) != 0 ? 1 : -1];
typedef char nbt_build_has_a_link[(NBT_LINKS & NBT_LINKS_ALL) != 0 ? 1 : -1];
typedef char nbt_build_knows_rtrl[NBT_EST_RTRL == 5 ? 1 : -1];

/* Whether a choice from the mask is number i, which is the one left where it is the mask's last. */
NBT_INLINE int nbt_is_choice(uint32_t mask, uint32_t i, uint32_t choice)
{
    return mask >> i == 1u || ((mask >> i & 1u) != 0 && choice == i);
}

/* A choice from the mask; unless the mask is full, written as one of few constants. */
NBT_INLINE uint32_t nbt_choice(uint32_t mask, uint32_t all, uint32_t choice)
{
    mask &= all;
    return mask == all                     ? choice
           : nbt_is_choice(mask, 0, choice) ? 0u
           : nbt_is_choice(mask, 1, choice) ? 1u
           : nbt_is_choice(mask, 2, choice) ? 2u
           : nbt_is_choice(mask, 3, choice) ? 3u
           : nbt_is_choice(mask, 4, choice) ? 4u
                                            : 5u;
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

/* Whether the estimator of a config that need not be good is the exact one. */
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

/* Whether a learner has what the choices `having` bring: `here`, unless all or none of those built do. */
NBT_INLINE int nbt_has(uint32_t mask, uint32_t all, uint32_t having, int here)
{
    mask &= all;
    return (mask & having) == mask || ((mask & having) != 0 && here);
}

#endif
