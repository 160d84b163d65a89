#include "nbt_tangent.h"

#include "nbt_math.h"

void nbt_tangent_push(const nbt_jacobian *jacobian, float *v, const float *da)
{
    size_t H = jacobian->hidden;
    const float *memory = v + (jacobian->parts - 1) * H;
    /* Part 0 first: it still reads the old memory where both are one array (one part) unit by unit,
     * and before part 1 overwrites it (two parts). */
    for (size_t part = 0; part < jacobian->parts; part++) {
        for (size_t i = 0; i < H; i++) {
            float sum = jacobian->carry[part * H + i] * memory[i];
            for (size_t row = i; row < jacobian->rows; row += H) {
                sum += jacobian->gain[part][row] * da[row];
            }
            v[part * H + i] = sum;
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
