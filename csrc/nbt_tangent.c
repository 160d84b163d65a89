#include "nbt_tangent.h"

#include "nbt_math.h"
#include "nbt_sweep.h"

/* Added to squared norms: e of a saturated unit may be 0, and the quotient stays finite. */
#define SQUARE_TINY 1e-20f

NBT_LOCAL void nbt_tangent_push(const nbt_jacobian *jacobian, float *out, const float *memory,
                      const float *da)
{
    size_t H = jacobian->hidden;
    /* Part 0 before part 1: where out is v, the memory is overwritten last. */
    for (size_t part = 0; part < jacobian->parts; part++, out += H) {
        for (size_t i = 0; i < H; i++) {
            out[i] = jacobian->carry[part * H + i] * memory[i];
        }
        for (size_t row = 0; row < jacobian->rows; row += H) {
            for (size_t i = 0; i < H; i++) {
                out[i] += jacobian->gain[part][row + i] * da[row + i];
            }
        }
    }
}

/* For the rows of one gate: rho (H) <- sign_r rho_r and u_scale (H), the signs, <- sign_r / rho_r. */
NBT_INLINE_LANES void balance_gate(const nbt_jacobian *jacobian, size_t row, size_t parts,
                             float *NBT_RESTRICT rho, float *NBT_RESTRICT u_scale, const float *uu,
                             size_t uu_stride)
{
    for (size_t i = 0; i < jacobian->hidden; i++) {
        float squared = jacobian->gain[0][row + i] * jacobian->gain[0][row + i];
        if (parts == 2) {
            squared += jacobian->gain[1][row + i] * jacobian->gain[1][row + i];
        }
        /* sqrt(|u| / |e|) from the squares */
        float root = nbt_sqrt(nbt_sqrt((uu[i * uu_stride] + SQUARE_TINY) / (squared + SQUARE_TINY)));
        rho[i] = u_scale[i] * root;
        u_scale[i] /= root;
    }
}

NBT_LOCAL float nbt_tangent_add(const nbt_jacobian *jacobian, float *v, float *u_scale,
                                float *scratch, const float *uu, size_t uu_stride, float w_norm,
                                float decay)
{
    size_t H = jacobian->hidden;
    size_t n_state = H * jacobian->parts;
    float v_norm = nbt_sqrt(nbt_dot(v, v, n_state));
    float rho = nbt_sqrt((w_norm + NBT_TINY) / (v_norm + NBT_TINY));
    for (size_t i = 0; i < n_state; i++) {
        v[i] *= decay * rho;
    }
    for (size_t row = 0; row < jacobian->rows; row += H) {
        /* Constants, so that each case is a loop that vectorises. */
        if (jacobian->parts == 2 && uu_stride == 1) {
            balance_gate(jacobian, row, 2, scratch, u_scale + row, uu + row, 1);
        } else if (uu_stride == 1) {
            balance_gate(jacobian, row, 1, scratch, u_scale + row, uu + row, 1);
        } else {
            balance_gate(jacobian, row, jacobian->parts, scratch, u_scale + row, uu, 0);
        }
        for (size_t part = 0; part < jacobian->parts; part++) {
            for (size_t i = 0; i < H; i++) {
                v[part * H + i] += scratch[i] * jacobian->gain[part][row + i];
            }
        }
    }
    return nbt_sqrt((v_norm + NBT_TINY) / (w_norm + NBT_TINY));
}

NBT_LOCAL float nbt_residual_aim(float *tangent, float *g_scale, const float *balance,
                                 const float *v, size_t H)
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

/* out (H): for every unit the sum over its rows of e_r x_r. */
static void through_units(const nbt_jacobian *jacobian, float *out, const float *x)
{
    nbt_fill(out, 0.0f, jacobian->hidden);
    for (size_t row = 0; row < jacobian->rows; row += jacobian->hidden) {
        for (size_t i = 0; i < jacobian->hidden; i++) {
            out[i] += jacobian->gain[0][row + i] * x[row + i];
        }
    }
}

NBT_LOCAL void nbt_residual_keep(const nbt_jacobian *jacobian, const nbt_matrices *m, float *g_keep,
                                 float *scratch)
{
    nbt_sweep_column(m, scratch, m->cols);
    through_units(jacobian, g_keep, scratch);
    for (size_t i = 0; i < jacobian->hidden; i++) {
        g_keep[i] = nbt_clamp(jacobian->carry[i] + g_keep[i], -1.0f, 1.0f);
    }
}

NBT_LOCAL void nbt_residual_rest(float *v, const float *g_keep, const float *g_scale, float decay,
                                 size_t H)
{
    for (size_t i = 0; i < H; i++) {
        v[i] = decay * (v[i] - g_keep[i] / g_scale[i]);
    }
}

NBT_LOCAL float nbt_residual_column(const nbt_jacobian *jacobian, const nbt_matrices *m, size_t k,
                                    float *scratch)
{
    float *entry = scratch + m->rows;
    float squared = 0.0f;
    nbt_sweep_column(m, scratch, k);
    through_units(jacobian, entry, scratch);
    entry[k] = 0.0f;
    for (size_t i = 0; i < jacobian->hidden; i++) {
        squared += entry[i] * entry[i];
    }
    return nbt_sqrt(squared);
}
