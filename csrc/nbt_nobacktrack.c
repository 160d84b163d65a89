#include "nbt_nobacktrack.h"

#include "nbt_jacobian.h"
#include "nbt_math.h"
#include "nbt_rank_one.h"
#include "nbt_rng.h"
#include "nbt_sweep.h"

/* Added to squared norms: e of a saturated unit may be 0, and the quotient has to be finite. */
#define SQUARE_TINY 1e-20f

/* For the rows of one gate: v_scale (H) <- sign_r rho_r and u_scale (H), the signs, <- sign_r /
 * rho_r. ||u||_r^2 = uu[r * uu_stride]: stride 0 for a norm that all rows share. */
NBT_INLINE_LANES void balance_gate(const nbt_layout *l, size_t row, size_t parts,
                                   float *NBT_RESTRICT v_scale, float *NBT_RESTRICT u_scale,
                                   const float *uu, size_t uu_stride)
{
    const float *gain = nbt_gain(l) + row;
    for (size_t i = 0; i < l->H; i++) {
        float squared = gain[i] * gain[i];
        if (parts == 2) {
            squared += NBT_OF(l, gain2)[row + i] * NBT_OF(l, gain2)[row + i];
        }
        /* sqrt(|u| / |e|) from the squares */
        float root =
            nbt_sqrt(nbt_sqrt((uu[i * uu_stride] + SQUARE_TINY) / (squared + SQUARE_TINY)));
        v_scale[i] = u_scale[i] * root;
        u_scale[i] /= root;
    }
}

/* v <- decay rho0 v + sum_r sign_r rho_r e_r; u_scale, which holds the signs, <- sign_r / rho_r.
 * Returns 1 / rho0. */
static float add_step(const nbt_layout *l, const float *uu, size_t uu_stride, float w_norm)
{
    float *v_scale = nbt_v_scale(l); /* the carry and theta_h v are no longer needed */
    float *u_scale = nbt_u_scale(l);
    float v_norm = nbt_sqrt(nbt_dot(l->v, l->v, l->S));
    float rho = nbt_sqrt((w_norm + NBT_TINY) / (v_norm + NBT_TINY));
    float keep = l->config->decay * rho;
    for (size_t i = 0; i < l->S; i++) {
        l->v[i] *= keep;
    }
    for (size_t row = 0; row < l->R; row += l->H) {
        /* Constants, so that each case is a loop that vectorises. */
        if (l->parts == 2 && uu_stride == 1) {
            balance_gate(l, row, 2, v_scale, u_scale + row, uu + row, 1);
        } else if (uu_stride == 1) {
            balance_gate(l, row, 1, v_scale, u_scale + row, uu + row, 1);
        } else {
            balance_gate(l, row, l->parts, v_scale, u_scale + row, uu, 0);
        }
        for (size_t part = 0; part < l->parts; part++) {
            const float *gain = part == 0 ? nbt_gain(l) : NBT_OF(l, gain2);
            for (size_t i = 0; i < l->H; i++) {
                l->v[part * l->H + i] += v_scale[i] * gain[row + i];
            }
        }
    }
    return nbt_sqrt((v_norm + NBT_TINY) / (w_norm + NBT_TINY));
}

NBT_LOCAL void nbt_nobacktrack_clear(const nbt_layout *l)
{
    nbt_rank_one_clear(l);
}

NBT_LOCAL void nbt_nobacktrack_advance(nbt_learner *learner, const nbt_layout *l)
{
    nbt_jacobian_push(l, l->v, l->v + l->S - l->H);
    float *u_scale = nbt_u_scale(l);
    nbt_rng_signs(learner->rng, u_scale, l->R);
    int plain = l->config->norm == NBT_NORM_EUCLIDEAN;
    int is_plain = !nbt_has_cov(&l->m); /* the metric is Euclidean too */
    float w_norm = nbt_sqrt(plain && !is_plain ? nbt_sweep_square(&l->m) : l->w_square[0]);
    float u_plain = nbt_dot(l->u, l->u, l->Z);
    float scale = add_step(l, plain ? &u_plain : l->uu, plain ? 0 : 1, w_norm);
    /* sum P w w of the new w, from the sums of the old one. */
    nbt_w_scale(l)[0] = scale;
    float twice = 2.0f * scale;
    for (size_t r = 0; r < l->R; r++) {
        l->uu[r] = twice * nbt_wu(l)[r] + u_scale[r] * l->uu[r];
    }
    float ww = scale * scale * l->w_square[0] + nbt_dot(u_scale, l->uu, l->R);
    l->w_square[0] = nbt_moved_square(ww);
}

NBT_LOCAL int nbt_nobacktrack_is_bounded(const nbt_layout *l)
{
    return nbt_rank_one_is_bounded(l);
}
