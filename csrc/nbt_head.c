#include "nbt_head.h"

#include "nbt_kalman.h"
#include "nbt_math.h"

/* The most that a label moves U_k z. Over half a unit the slope of tanh grows e-fold at most, and
 * its mean is below e - 1 < 2 times the slope that the step was computed with: no step takes the
 * forecast further past a label than it was before it. */
#define TURN_MAX 0.5f

/* Row k of U, and of its covariance. */
static float *head_row(const nbt_layout *l, float *rows, size_t k)
{
    return rows + k * l->Z;
}

NBT_LOCAL void nbt_head_forward(const nbt_layout *l, float *phi, const float *state,
                                const float *tail)
{
    for (size_t k = 0; k < l->Q; k++) {
        const float *u = head_row(l, NBT_OF(l, head), k);
        phi[k] = nbt_dot(u, state, l->E) + nbt_dot(u + l->E, tail, l->Z - l->E);
    }
    for (size_t k = 0; k < l->Q; k++) {
        phi[k] = nbt_tanh(phi[k]);
        NBT_OF(l, head_slope)[k] = 1.0f - phi[k] * phi[k];
    }
}

NBT_LOCAL void nbt_head_slopes(const nbt_layout *l, float *row, size_t o)
{
    const float *readout = l->readout + o * l->F;
    nbt_copy(row, readout, l->E);
    for (size_t k = 0; k < l->Q; k++) {
        const float *u = head_row(l, NBT_OF(l, head), k);
        float through = readout[l->E + k] * NBT_OF(l, head_slope)[k];
        for (size_t i = 0; i < l->E; i++) {
            row[i] += through * u[i];
        }
    }
}

/* z (Z) of the learning state, to cf. */
static float *head_inputs(const nbt_layout *l)
{
    float *z = l->cf;
    nbt_copy(z, nbt_learning_state(l), l->E);
    nbt_copy(z + l->E, l->u + l->E, l->Z - l->E);
    return z;
}

NBT_LOCAL void nbt_head_directions(const nbt_layout *l)
{
    size_t Z = l->Z;
    const float *z = head_inputs(l), *weighted = z;
    for (size_t k = 0; k < l->Q; k++) {
        float e = NBT_OF(l, head_slope)[k];
        if (nbt_is_kalman(l)) {
            const float *p = head_row(l, NBT_OF(l, head_cov), k);
            float *NBT_RESTRICT pz = nbt_uf(l);
            for (size_t j = 0; j < Z; j++) {
                pz[j] = p[j] * z[j];
            }
            weighted = pz;
        }
        NBT_OF(l, head_square)[k] = e * e * nbt_dot(weighted, z, Z);
        for (size_t o = 0; o < l->O; o++) {
            NBT_OF(l, head_white)[k * l->O + o] = l->readout[o * l->F + l->E + k];
        }
    }
}

NBT_LOCAL void nbt_head_step(const nbt_layout *l, float gain)
{
    for (size_t k = 0; k < l->Q; k++) {
        const float *white = NBT_OF(l, head_white) + k * l->O;
        float step = gain * nbt_dot(white, nbt_innovation(l), l->O);
        float turn = nbt_abs(step) * NBT_OF(l, head_square)[k]; /* e times how far U_k z moves */
        float most = TURN_MAX * NBT_OF(l, head_slope)[k];
        NBT_OF(l, head_step)[k] = turn > most ? step * (most / turn) : step;
    }
}

NBT_LOCAL void nbt_head_curvature(const nbt_layout *l, float gamma)
{
    for (size_t k = 0; k < l->Q; k++) {
        const float *white = NBT_OF(l, head_white) + k * l->O;
        NBT_OF(l, head_step)[l->Q + k] = gamma * nbt_dot(white, white, l->O);
    }
}

NBT_LOCAL float nbt_head_reach(const nbt_layout *l, float p_max)
{
    float reach = 0.0f;
    for (size_t k = 0; k < l->Q; k++) {
        reach += nbt_abs(NBT_OF(l, head_step)[k]) * nbt_sqrt(NBT_OF(l, head_square)[k] * p_max);
    }
    return reach;
}

NBT_LOCAL float nbt_head_bend(const nbt_layout *l)
{
    return nbt_dot(NBT_OF(l, head_step) + l->Q, NBT_OF(l, head_square), l->Q);
}

NBT_LOCAL void nbt_head_change(const nbt_layout *l, const nbt_update *update)
{
    size_t Z = l->Z;
    float kept = update->keep, floor = update->rate_floor;
    const float *z = head_inputs(l);
    for (size_t k = 0; k < l->Q; k++) {
        float *NBT_RESTRICT u = head_row(l, NBT_OF(l, head), k);
        float e = NBT_OF(l, head_slope)[k];
        float step = NBT_OF(l, head_step)[k];
        if (!nbt_is_kalman(l)) {
            for (size_t j = 0; j < Z; j++) {
                u[j] += step * (e * z[j]);
            }
            continue;
        }
        float *NBT_RESTRICT p = head_row(l, NBT_OF(l, head_cov), k);
        float curvature = NBT_OF(l, head_step)[l->Q + k];
        for (size_t j = 0; j < Z; j++) {
            float variance = p[j], g = e * z[j], pg = variance * g;
            u[j] += step * pg;
            if (nbt_kalman_has_turn(update, j)) {
                p[j] = nbt_kalman_shrink(variance, kept, curvature * (pg * g) + floor * variance);
            }
        }
    }
}
