#include "nbt_tangent.h"

#include "nbt_math.h"

void nbt_tangent_push(const nbt_jacobian *jacobian, float *out, const float *memory,
                      const float *da)
{
    size_t H = jacobian->hidden;
    /* Part 0 before part 1: where out is v, the memory is overwritten last. */
    for (size_t part = 0; part < jacobian->parts; part++) {
        for (size_t i = 0; i < H; i++) {
            float sum = jacobian->carry[part * H + i] * memory[i];
            for (size_t row = i; row < jacobian->rows; row += H) {
                sum += jacobian->gain[part][row] * da[row];
            }
            out[part * H + i] = sum;
        }
    }
}

float nbt_tangent_add(const nbt_jacobian *jacobian, float *v, float *u_scale, const float *uu,
                      size_t uu_stride, float w_norm, float decay)
{
    size_t H = jacobian->hidden;
    size_t n_state = H * jacobian->parts;
    float v_norm = nbt_sqrt(nbt_dot(v, v, n_state));
    float rho = nbt_sqrt((w_norm + NBT_TINY) / (v_norm + NBT_TINY));
    for (size_t i = 0; i < n_state; i++) {
        v[i] *= decay * rho;
    }
    for (size_t row = 0, i = 0; row < jacobian->rows; row++) {
        float squared = jacobian->gain[0][row] * jacobian->gain[0][row];
        if (jacobian->parts == 2) {
            squared += jacobian->gain[1][row] * jacobian->gain[1][row];
        }
        float e_norm = nbt_sqrt(squared);
        float u_norm = nbt_sqrt(uu[row * uu_stride]);
        float sign = u_scale[row];
        float sign_rho = sign * nbt_sqrt((u_norm + NBT_TINY) / (e_norm + NBT_TINY));
        for (size_t part = 0; part < jacobian->parts; part++) {
            v[part * H + i] += sign_rho * jacobian->gain[part][row];
        }
        u_scale[row] = sign * nbt_sqrt((e_norm + NBT_TINY) / (u_norm + NBT_TINY));
        i = i + 1 < H ? i + 1 : 0;
    }
    return nbt_sqrt((v_norm + NBT_TINY) / (w_norm + NBT_TINY));
}

float nbt_residual_aim(float *tangent, float *g_scale, const float *balance, const float *v,
                       size_t H)
{
    float w_norm = nbt_sqrt(balance[0]);
    float v_norm = nbt_sqrt(nbt_dot(v, v, H));
    float rho = nbt_sqrt((w_norm + NBT_TINY) / (v_norm + NBT_TINY));
    const float *g_squared = balance + 1;
    const float *kappa = balance + 1 + H;
    for (size_t i = 0; i < H; i++) {
        float sign = g_scale[i];
        float g_norm = nbt_sqrt(g_squared[i]) + NBT_TINY;
        float column = kappa[i] + NBT_TINY;
        tangent[i] = rho * v[i] + sign * nbt_sqrt(g_norm / column);
        g_scale[i] = sign * nbt_sqrt(column / g_norm);
    }
    return nbt_sqrt((v_norm + NBT_TINY) / (w_norm + NBT_TINY));
}

/* J_ik without the direct carry: sum over the rows of unit i of e_r theta_rk. */
static float through_unit(const nbt_jacobian *jacobian, const nbt_matrices *m, size_t i, size_t k)
{
    float sum = 0.0f;
    for (size_t row = i; row < jacobian->rows; row += jacobian->hidden) {
        sum += jacobian->gain[0][row] * m->theta[nbt_block_index(row, k, m->rows, m->cols)];
    }
    return sum;
}

void nbt_residual_keep(const nbt_jacobian *jacobian, const nbt_matrices *m, float *g_keep)
{
    for (size_t i = 0; i < jacobian->hidden; i++) {
        g_keep[i] = nbt_clamp(jacobian->carry[i] + through_unit(jacobian, m, i, i), -1.0f, 1.0f);
    }
}

void nbt_residual_rest(float *v, const float *g_keep, const float *g_scale, float decay, size_t H)
{
    for (size_t i = 0; i < H; i++) {
        v[i] = decay * (v[i] - g_keep[i] / g_scale[i]);
    }
}

float nbt_residual_column(const nbt_jacobian *jacobian, const nbt_matrices *m, size_t k)
{
    float squared = 0.0f;
    for (size_t i = 0; i < jacobian->hidden; i++) {
        float entry = i == k ? 0.0f : through_unit(jacobian, m, i, k);
        squared += entry * entry;
    }
    return nbt_sqrt(squared);
}
