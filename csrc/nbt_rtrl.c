#include "nbt_rtrl.h"

#include "nbt_math.h"
#include "nbt_kalman.h"

#if NBT_HAS_RTRL

/* y (n) += scale x. */
static void add_scaled(float *NBT_RESTRICT y, float scale, const float *NBT_RESTRICT x, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        y[j] += scale * x[j];
    }
}

/* NBT_OF(l, jacobian) (S, H): the derivative of every state with respect to every h through the
 * rows of its unit. */
static void through_rows(const nbt_layout *l)
{
    nbt_fill(NBT_OF(l, jacobian), 0.0f, l->S * l->H);
    for (size_t part = 0; part < l->parts; part++) {
        const float *gain = part == 0 ? nbt_gain(l) : NBT_OF(l, gain2);
        for (size_t row = 0; row < l->R; row++) {
            float *to = NBT_OF(l, jacobian) + (part * l->H + row % l->H) * l->H;
            for (size_t k = 0; k < l->H; k++) {
                to[k] += gain[row] * l->m.theta[nbt_block_index(row, k, l->R, l->D)];
            }
        }
    }
}

NBT_RTRL_LOCAL void nbt_rtrl_clear(const nbt_layout *l)
{
    nbt_fill(NBT_OF(l, exact), 0.0f, l->S * l->R * l->D);
}

NBT_RTRL_LOCAL void nbt_rtrl_advance(const nbt_layout *l)
{
    size_t plane = l->R * l->D;
    const float *memory = NBT_OF(l, past) + (l->S - l->H) * l->D;
    through_rows(l);
    /* One row of theta at a time, with all columns of G that belong to it: no second G is
     * needed. */
    for (size_t row = 0; row < l->R; row++) {
        for (size_t s = 0; s < l->S; s++) {
            nbt_copy(NBT_OF(l, past) + s * l->D, NBT_OF(l, exact) + s * plane + row * l->D, l->D);
        }
        for (size_t s = 0; s < l->S; s++) {
            float *to = NBT_OF(l, exact) + s * plane + row * l->D;
            size_t unit = s % l->H;
            for (size_t j = 0; j < l->D; j++) {
                to[j] = l->carry[s] * memory[unit * l->D + j];
            }
            for (size_t k = 0; k < l->H; k++) {
                add_scaled(to, NBT_OF(l, jacobian)[s * l->H + k], NBT_OF(l, past) + k * l->D, l->D);
            }
            if (unit == row % l->H) {
                add_scaled(to, s < l->H ? nbt_gain(l)[row] : NBT_OF(l, gain2)[row], l->u, l->D);
            }
        }
    }
}

NBT_RTRL_LOCAL int nbt_rtrl_is_bounded(const nbt_layout *l)
{
    return nbt_dot(NBT_OF(l, exact), NBT_OF(l, exact), l->S * l->R * l->D) < NBT_HUGE;
}

/* NBT_OF(l, p_row) (D): the metric of a row. */
static void gather_metric(const nbt_layout *l, size_t row)
{
    for (size_t j = 0; j < l->D; j++) {
        size_t at = nbt_block_index(row, j, l->R, l->D);
        NBT_OF(l, p_row)[j] = !nbt_has_cov(&l->m) ? 1.0f : l->m.cov[at];
    }
}

/* NBT_OF(l, weighted) (D) = P h for the slopes of output o in a row. */
static void weigh(const nbt_layout *l, const float *h)
{
    for (size_t j = 0; j < l->D; j++) {
        NBT_OF(l, weighted)[j] = NBT_OF(l, p_row)[j] * h[j];
    }
}

NBT_RTRL_LOCAL float nbt_rtrl_slopes(const nbt_layout *l)
{
    size_t plane = l->R * l->D;
    float total = 0.0f;
    for (size_t row = 0; row < l->R; row++) {
        gather_metric(l, row);
        for (size_t o = 0; o < l->O; o++) {
            float *h = NBT_OF(l, slopes) + o * plane + row * l->D;
            nbt_fill(h, 0.0f, l->D);
            for (size_t k = 0; k < l->H; k++) {
                add_scaled(h, NBT_OF(l, white)[k * l->O + o],
                           NBT_OF(l, exact) + k * plane + row * l->D, l->D);
            }
            for (size_t j = 0; j + 1 < l->D && nbt_has_coupling(&l->m); j++) {
                h[j] -= l->m.coupling[nbt_block_index(row, j, l->R, l->D)] * h[l->D - 1];
            }
            weigh(l, h);
            total += nbt_dot(NBT_OF(l, weighted), h, l->D);
        }
    }
    return total;
}

NBT_RTRL_LOCAL void nbt_rtrl_innovate(const nbt_layout *l, float *S, float gain)
{
    for (size_t row = 0; row < l->R; row++) {
        const float *slopes = NBT_OF(l, slopes) + row * l->D;
        float *entry = S;
        gather_metric(l, row);
        for (size_t a = 0; a < l->O; a++) {
            weigh(l, slopes + a * l->R * l->D);
            for (size_t b = 0; b <= a; b++) {
                *entry++ += gain * nbt_dot(NBT_OF(l, weighted), slopes + b * l->R * l->D, l->D);
            }
        }
    }
}

/* a^T b over the outputs, `plane` apart. */
static float over_outputs(const nbt_layout *l, const float *a, const float *b)
{
    size_t plane = l->R * l->D;
    float sum = 0.0f;
    for (size_t o = 0; o < l->O; o++) {
        sum += a[o * plane] * b[o * plane];
    }
    return sum;
}

/* h^T alpha. */
static float along_step(const nbt_layout *l, const float *h)
{
    float sum = 0.0f;
    for (size_t o = 0; o < l->O; o++) {
        sum += h[o * l->R * l->D] * nbt_slope_step(l)[o];
    }
    return sum;
}

/* Updates one parameter, whose slopes are h. */
static void update_one(const nbt_layout *l, const nbt_update *update, size_t at, const float *h,
                       int has_turn)
{
    float p = !nbt_has_cov(&l->m) ? 1.0f : l->m.cov[at];
    l->m.theta[at] += p * along_step(l, h);
    if (l->m.cov != NULL && has_turn) {
        float square = p * over_outputs(l, h, h);
        l->m.cov[at] = nbt_kalman_shrink(p, update->keep,
                                         update->curvature_w[0] * square + update->rate_floor * p);
    }
}

/* The update of nbt_quasi.h for a row of theta. The bias is first; its theta changes last. */
static void update_row_quasi(const nbt_layout *l, const nbt_update *update, size_t row)
{
    size_t bias = l->D - 1;
    size_t at_bias = nbt_block_index(row, bias, l->R, l->D);
    float *slopes = NBT_OF(l, slopes) + row * l->D;
    float kept = update->keep / l->m.cov[at_bias];
    update_one(l, update, at_bias, slopes + bias, 1);
    float shrunk = l->m.cov[at_bias];
    float back = 0.0f;
    for (size_t j = 0; j < bias; j++) {
        size_t at = nbt_block_index(row, j, l->R, l->D);
        float *h = slopes + j;
        float p = l->m.cov[at];
        float c = l->m.coupling[at];
        float pull = update->curvature_w[0] * over_outputs(l, slopes + bias, h);
        float c_new = nbt_kalman_bound(c + shrunk * (pull - update->rate_floor * c));
        float turn = c_new - c;
        float step = p * along_step(l, h);
        l->m.theta[at] += step;
        back += c * step;
        for (size_t o = 0; o < l->O; o++) {
            h[o * l->R * l->D] -= turn * slopes[bias + o * l->R * l->D];
        }
        float floor = update->rate_floor * (1.0f + c_new * c_new) + kept * (turn * turn);
        float square = p * over_outputs(l, h, h);
        l->m.coupling[at] = c_new;
        l->m.cov[at] =
            nbt_kalman_shrink(p, update->keep, update->curvature_w[0] * square + p * floor);
    }
    l->m.theta[at_bias] -= back;
}

NBT_RTRL_LOCAL void nbt_rtrl_update(const nbt_layout *l, const nbt_update *update)
{
    for (size_t row = 0; row < l->R; row++) {
        if (nbt_has_coupling(&l->m)) {
            update_row_quasi(l, update, row);
            continue;
        }
        for (size_t j = 0; j < l->D; j++) {
            update_one(l, update, nbt_block_index(row, j, l->R, l->D),
                       NBT_OF(l, slopes) + row * l->D + j, nbt_kalman_has_turn(update, j));
        }
    }
}

#endif
