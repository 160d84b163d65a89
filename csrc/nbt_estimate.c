#include "nbt_estimate.h"

#include "nbt_cell.h"
#include "nbt_columns.h"
#include "nbt_intake.h"
#include "nbt_math.h"
#include "nbt_nobacktrack.h"
#include "nbt_residual.h"
#include "nbt_resonator.h"
#include "nbt_rtrl.h"
#include "nbt_sweep.h"
#include "nbt_traces.h"
#include "nbt_unitwise.h"

/* A new estimator needs a case in every switch of this file. */
NBT_COVERS(nbt_estimate_covers_all, NBT_ESTIMATORS_ALL,
           1u << NBT_EST_FROZEN | 1u << NBT_EST_NOBACKTRACK | 1u << NBT_EST_SNAP1 |
               1u << NBT_EST_RESIDUAL | 1u << NBT_EST_UNITWISE | 1u << NBT_EST_RTRL);

NBT_LOCAL void nbt_estimate_clear(const nbt_layout *l)
{
    switch (nbt_estimator(l)) {
    case NBT_EST_FROZEN: break;
    case NBT_EST_NOBACKTRACK: nbt_nobacktrack_clear(l); break;
    case NBT_EST_SNAP1: nbt_traces_clear(l); break;
    case NBT_EST_RESIDUAL: nbt_residual_clear(l); break;
    case NBT_EST_UNITWISE: nbt_unitwise_clear(l); break;
    case NBT_EST_RTRL:
        if (NBT_IS_EXACT(l)) {
            nbt_rtrl_clear(l);
        }
        break;
    }
}

/* ---- passes over the matrices, by the kind of cell ---- */

NBT_LOCAL void nbt_estimate_forward(const nbt_layout *l, float *a, const float *u)
{
    if (nbt_is_columnar(l)) {
        nbt_columns_forward(l, a, u);
    } else {
        nbt_sweep_forward(&l->m, a, u);
    }
}

NBT_LOCAL void nbt_estimate_change(const nbt_layout *l, const nbt_change *change)
{
    if (change != NULL && nbt_is_columnar(l)) {
        nbt_columns_change(l, &change->update);
    } else if (change != NULL) {
        nbt_sweep(&l->m, change, NULL);
    }
}

/* ---- looking ahead --------------------------------------------------------------------------- */

NBT_LOCAL void nbt_estimate_look(nbt_learner *learner, const nbt_layout *l, size_t age,
                                 const nbt_change *change)
{
    learner->looked = NBT_LOOK_SUMS;
    if (!nbt_is_swept(l)) {
        nbt_intake_gather(learner, l, l->u, nbt_learning_state(l), age);
        nbt_estimate_forward(l, l->act, l->u);
        return;
    }
    if (nbt_is_columnar(l)) {
        nbt_estimate_change(l, change);
        nbt_intake_gather(learner, l, l->u, nbt_learning_state(l), age);
        nbt_columns_forward(l, l->act, l->u);
        return;
    }
    /* A change still needs its own u, g_scale and w_scale. */
    float *u = nbt_next_u(l);
    float *g_scale = change == NULL ? NBT_OF(l, g_scale) : nbt_next_g_scale(l);
    float w_scale = 0.0f;
    int is_residual = nbt_is_residual(l);
    nbt_intake_gather(learner, l, u, nbt_learning_state(l), age);
    for (size_t j = 0; NBT_LANES > 1 && j < l->Z; j++) {
        u[l->Z + j] = u[j] * u[j];
    }
    if (is_residual) {
        w_scale = nbt_residual_look(learner, l, g_scale);
    }
    nbt_look look = {
        {l->act, l->da, l->uu, nbt_wu(l), NBT_OF(l, gu), NBT_OF(l, gg), NBT_OF(l, wg), l->w_square},
        u,
        is_residual ? NBT_OF(l, tangent) : l->v,
        &w_scale,
        g_scale};
    nbt_sweep(&l->m, change, &look);
    nbt_copy(l->u, u, l->Z);
    if (is_residual) {
        nbt_w_scale(l)[0] = w_scale;
    }
    if (is_residual && change != NULL) {
        nbt_copy(NBT_OF(l, g_scale), g_scale, l->H);
    }
}

/* ---- one step -------------------------------------------------------------------------------- */

NBT_LOCAL void nbt_estimate_move(const nbt_layout *l, float *a, float *state)
{
    nbt_cell_forward(nbt_cell(l), l->H - nbt_resonators(l), l->H, a, state, NBT_OF(l, leak));
    if (nbt_resonators(l) > 0) {
        nbt_resonator_step(l, a, state, NULL);
    }
}

NBT_LOCAL void nbt_estimate_step(const nbt_layout *l, float *state)
{
    if (nbt_estimator(l) == NBT_EST_FROZEN) {
        nbt_estimate_move(l, l->act, state);
        return;
    }
    nbt_cell_linearise(nbt_cell(l), l->H - nbt_resonators(l), l->H, l->act, state, NBT_OF(l, leak),
                       NBT_OF(l, gain2), l->carry);
    if (nbt_resonators(l) > 0) {
        nbt_resonator_step(l, l->act, state, l->carry);
    }
}

NBT_OWN_FRAME NBT_LOCAL void nbt_estimate_advance(nbt_learner *learner, const nbt_layout *l)
{
    if (learner->looked == NBT_LOOK_STEP) {
        nbt_copy(nbt_learning_state(l), l->state, l->S);
    } else {
        nbt_estimate_step(l, nbt_learning_state(l));
    }
    learner->looked = NBT_LOOK_NONE;
    switch (nbt_estimator(l)) {
    case NBT_EST_FROZEN: break;
    case NBT_EST_NOBACKTRACK: nbt_nobacktrack_advance(learner, l); break;
    case NBT_EST_SNAP1:
        if (nbt_is_columnar(l)) {
            nbt_columns_advance(l);
        } else {
            nbt_traces_advance(l);
        }
        break;
    case NBT_EST_RESIDUAL: nbt_residual_advance(learner, l); break;
    case NBT_EST_UNITWISE: nbt_unitwise_advance(learner, l); break;
    case NBT_EST_RTRL:
        if (NBT_IS_EXACT(l)) {
            nbt_rtrl_advance(l);
        }
        break;
    }
}

NBT_LOCAL int nbt_estimate_is_bounded(const nbt_layout *l)
{
    switch (nbt_estimator(l)) {
    case NBT_EST_FROZEN: return 1;
    case NBT_EST_NOBACKTRACK: return nbt_nobacktrack_is_bounded(l);
    case NBT_EST_SNAP1: return nbt_traces_is_bounded(l);
    case NBT_EST_RESIDUAL: return nbt_residual_is_bounded(l);
    case NBT_EST_UNITWISE: return nbt_unitwise_is_bounded(l);
    case NBT_EST_RTRL: return NBT_IS_EXACT(l) && nbt_rtrl_is_bounded(l);
    }
    return 0;
}
