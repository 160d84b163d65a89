#include "nbt_gradient.h"

#include "nbt_head.h"
#include "nbt_kalman.h"
#include "nbt_link.h"
#include "nbt_math.h"
#include "nbt_rows.h"
#include "nbt_rtrl.h"

/* F^T times each of n rows of O entries, in place. */
static void whiten(const nbt_layout *l, float *rows, size_t n)
{
    if (NBT_UNIT_LOOPS && l->O == 1) {
        float factor = nbt_factor(l)[0];
        for (size_t k = 0; k < n; k++) {
            rows[k] = factor * rows[k];
        }
        return;
    }
    for (size_t k = 0; k < n; k++, rows += l->O) {
        nbt_link_factor_transposed(l, rows);
    }
}

NBT_LOCAL void nbt_gradient_directions(const nbt_layout *l)
{
    for (size_t o = 0; o < l->O; o++) {
        const float *slopes = l->readout + o * l->F; /* (E) of (V f)_o along h */
        if (nbt_has_head(l)) {
            nbt_head_slopes(l, l->cf, o);
            slopes = l->cf;
        }
        for (size_t n = 0; n < l->N && nbt_has_w(&l->m); n++) {
            l->alpha[n * l->O + o] = nbt_dot(slopes, l->v + n * l->S, l->H);
        }
        for (size_t i = 0; i < l->E && (nbt_has_g(&l->m) || NBT_IS_EXACT(l)); i++) {
            NBT_OF(l, white)[i * l->O + o] = slopes[i];
        }
    }
    if (nbt_has_head(l)) {
        nbt_head_directions(l);
    }
    if (nbt_is_kalman(l)) {
        whiten(l, NBT_OF(l, head_white), l->Q);
        whiten(l, l->alpha, nbt_has_w(&l->m) ? l->N : 0);
        whiten(l, NBT_OF(l, white), nbt_has_g(&l->m) || NBT_IS_EXACT(l) ? l->E : 0);
    }
    if (NBT_IS_EXACT(l)) {
        nbt_slope_square(l)[0] = nbt_rtrl_slopes(l);
    }
}

NBT_LOCAL void nbt_gradient_step(const nbt_layout *l, float gain)
{
    const float *innovation = nbt_innovation(l);
    if (nbt_has_head(l)) {
        nbt_head_step(l, gain);
    }
    if (NBT_IS_EXACT(l)) {
        float *step = nbt_slope_step(l);
        for (size_t o = 0; o < l->O; o++) {
            step[o] = gain * innovation[o];
        }
        l->step_w[0] = nbt_sqrt(nbt_dot(step, step, l->O));
        return;
    }
    size_t G = nbt_has_g(&l->m) ? l->E : 0;
    nbt_rows_dots(l->step_w, l->alpha, innovation, 0, l->N, l->O, gain);
    nbt_rows_dots(nbt_step_g(l), NBT_OF(l, white), innovation, 0, G, l->O, gain);
}

/* From the products w w, w g and g g of the whitened directions: the tilt, and the curvature along
 * g that remains after the tilted direction (nbt_update). */
static void split_curvature(const nbt_layout *l, float gamma, float *NBT_RESTRICT tilt,
                            float *NBT_RESTRICT rest)
{
    for (size_t i = 0; i < l->H; i++) {
        float ww = l->N == 0 ? 0.0f : nbt_curvature_w(l)[nbt_is_by_unit(&l->m) ? i : 0];
        float quotient = tilt[i] / ww;
        float turn = nbt_select(ww > NBT_SPLIT_MIN, quotient, 0.0f);
        float left = rest[i] - turn * turn * ww;
        tilt[i] = turn;
        rest[i] = nbt_select(left > 0.0f, gamma * left, 0.0f);
    }
}

/* The same for columns, which have no w: the products g g are the curvature. Resonators have a
 * third product, that of p with q. */
static void columns_curvature(const nbt_layout *l, float gamma)
{
    if (!nbt_has_g(&l->m)) {
        return;
    }
    size_t C = nbt_resonators(l);
    const float *white = NBT_OF(l, white), *q = white + l->H * l->O, *p = q - C * l->O;
    float *curvature = nbt_curvature_g(l), *tilt = nbt_tilt(l); /* addresses are computed before any
                                                                   store */
    nbt_rows_dots(curvature, white, white, l->O, l->E, l->O, gamma);
    nbt_rows_dots(tilt, p, q, l->O, C, l->O, gamma);
}

NBT_LOCAL void nbt_gradient_curvature(const nbt_layout *l, nbt_update *update)
{
    float gamma = nbt_kalman_rate(l->config->info_rate, update->stride);
    update->keep = 1.0f - gamma;
    update->rate_floor = gamma * l->config->info_floor;
    if (nbt_has_head(l)) {
        nbt_head_curvature(l, gamma);
    }
    if (NBT_IS_EXACT(l)) {
        nbt_curvature_w(l)[0] = gamma;
        return;
    }
    if (nbt_is_columnar(l)) {
        columns_curvature(l, gamma);
        return;
    }
    size_t G = nbt_has_g(&l->m) ? l->E : 0;
    size_t alpha_step = nbt_is_by_unit(&l->m) ? l->O : 0;
    nbt_rows_dots(nbt_curvature_w(l), l->alpha, l->alpha, l->O, l->N, l->O, 1.0f);
    nbt_rows_dots(nbt_curvature_g(l), NBT_OF(l, white), NBT_OF(l, white), l->O, G, l->O, 1.0f);
    if (l->N == 0) {
        nbt_fill(nbt_tilt(l), 0.0f, G);
    } else {
        nbt_rows_dots(nbt_tilt(l), NBT_OF(l, white), l->alpha, alpha_step, G, l->O, 1.0f);
    }
    if (nbt_has_g(&l->m)) {
        split_curvature(l, gamma, nbt_tilt(l), nbt_curvature_g(l));
    }
    for (size_t n = 0; n < l->N; n++) {
        nbt_curvature_w(l)[n] *= gamma;
    }
}
