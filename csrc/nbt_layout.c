#include "nbt_layout.h"

#include <string.h>

#include "nbt_cell.h"

/* Fails to compile when NBT_HEADER_BYTES in nbt.h is not the size of the header. */
typedef char nbt_header_is_as_stated[sizeof(struct nbt_learner) == NBT_HEADER_BYTES ? 1 : -1];

uint32_t nbt_config_word(const nbt_config *config, size_t index)
{
    uint32_t word;
    memcpy(&word, (const unsigned char *)config + offsetof(nbt_config, n_in) + 4 * index, 4);
    return word;
}

int nbt_config_has_guards(const nbt_config *config)
{
    uint32_t any = 0;
    for (size_t i = NBT_CONFIG_WORDS - NBT_GUARD_WORDS; i < NBT_CONFIG_WORDS; i++) {
        any |= nbt_config_word(config, i);
    }
    return any != 0;
}

void nbt_config_set_word(nbt_config *config, size_t index, uint32_t word)
{
    memcpy((unsigned char *)config + offsetof(nbt_config, n_in) + 4 * index, &word, 4);
}

/* Takes n floats off the block and counts them in *bytes; NULL for none or without a block. */
static float *place(float *base, size_t *next, size_t *bytes, size_t n)
{
    float *array = base != NULL && n > 0 ? base + *next : NULL;
    *next += n;
    *bytes += n * sizeof(float);
    return array;
}

/* The same for an array that not every build has. */
#define PLACE_OPTIONAL(name, bytes, count)                                      \
    do {                                                                        \
        if (NBT_LAST_##name >= NBT_AT_##name) {                                 \
            l->optional[NBT_LAST_##name] = place(floats, &n, bytes, count);     \
        }                                                                       \
    } while (0)

/* The layout, and its bytes by purpose. Returns the floats of the guards without the filling. */
static size_t lay_out(const nbt_config *config, void *base, nbt_layout *l, nbt_breakdown *b)
{
    uint32_t cell = nbt_cell_of(config);
    l->config = config;
    l->H = config->n_hidden;
    l->O = config->n_out;
    l->parts = nbt_cell_parts(cell);
    l->S = l->H * l->parts;
    l->R = l->H * nbt_cell_gates(cell);
    l->D = l->H + (size_t)config->n_in * config->lags + 1;
    l->m.rows = l->R;
    l->m.cols = l->D;
    l->m.hidden = l->H;

    uint32_t estimator = nbt_estimator_of(config), filter = nbt_filter_of(config);
    size_t residual = estimator == NBT_EST_RESIDUAL;
    size_t unitwise = estimator == NBT_EST_UNITWISE;
    size_t has_w = residual || unitwise || estimator == NBT_EST_NOBACKTRACK;
    size_t has_g = residual || unitwise || estimator == NBT_EST_SNAP1;
    l->m.by_unit = (int)unitwise;
    size_t exact = NBT_HAS_RTRL && estimator == NBT_EST_RTRL;
    l->N = unitwise ? l->H : has_w + exact;
    size_t swept = has_w || has_g;
    size_t kalman = filter != NBT_FILTER_SGD;
    size_t quasi = filter == NBT_FILTER_QUASI;
    size_t gaussian = nbt_link_of(config) == NBT_LINK_GAUSSIAN;
    size_t slots = (size_t)config->max_delay + config->lags;
    float *floats = base == NULL ? NULL : (float *)((unsigned char *)base + NBT_HEADER_BYTES);
    size_t n = 0;

    memset(b, 0, sizeof *b);
    b->header = NBT_HEADER_BYTES;
    /* The matrices of the sweep come first and side by side: with 16 rows, or a multiple, all start on a
     * cache line if the first one does. */
    size_t weights = l->R * l->D, has_p = (swept || exact) * kalman, has_c = (swept || exact) * quasi;
    size_t apart = NBT_APART_(weights);
    l->m.theta = place(floats, &n, &b->parameters, weights);
    place(floats, &n, &b->workspace, has_w * apart);
    l->m.w = place(floats, &n, &b->estimate, has_w * weights);
    place(floats, &n, &b->workspace, has_g * apart);
    l->m.g = place(floats, &n, &b->estimate, has_g * weights);
    place(floats, &n, &b->workspace, has_p * apart);
    l->m.cov = place(floats, &n, &b->covariance, has_p * weights);
    place(floats, &n, &b->workspace, has_c * apart);
    l->m.coupling = place(floats, &n, &b->covariance, has_c * weights);
    l->readout = place(floats, &n, &b->parameters, l->O * l->D);
    l->v = place(floats, &n, &b->estimate, has_w * l->N * l->S);
    PLACE_OPTIONAL(balance, &b->estimate, residual * (1 + 2 * l->H));
    PLACE_OPTIONAL(exact, &b->estimate, exact * l->S * l->R * l->D);
    l->ud = place(floats, &n, &b->covariance, kalman * (l->D * (l->D + 1) / 2));
    l->noise = place(floats, &n, &b->covariance, gaussian * 2 * l->O);
    l->state = place(floats, &n, &b->state, 2 * l->S);
    PLACE_OPTIONAL(leak, &b->state, cell == NBT_CELL_LEAKY ? l->H : 0);
    l->ring = place(floats, &n, &b->ring, slots * config->n_in);
    l->input_scale = place(floats, &n, &b->scaler, 3 * (size_t)config->n_in);
    l->label_scale = place(floats, &n, &b->scaler, gaussian * 3 * l->O);
    l->input_run = place(floats, &n, &b->guard, 2 * (size_t)config->n_in);
    l->label_run = place(floats, &n, &b->guard, gaussian * 2 * l->O);
    l->u = place(floats, &n, &b->workspace, l->D);
    l->f = place(floats, &n, &b->workspace, l->D);
    l->act = place(floats, &n, &b->workspace, l->R);
    l->carry = place(floats, &n, &b->workspace, l->S);
    PLACE_OPTIONAL(gain2, &b->workspace, (l->parts - 1) * l->R);
    l->da = place(floats, &n, &b->workspace, (has_w - unitwise) * l->R);
    l->uu = place(floats, &n, &b->workspace, (swept + has_w) * l->R);
    PLACE_OPTIONAL(gu, &b->workspace, has_g * l->R);
    PLACE_OPTIONAL(gg, &b->workspace, has_g * l->R);
    PLACE_OPTIONAL(wg, &b->workspace, has_w * has_g * l->R);
    PLACE_OPTIONAL(jacobian, &b->workspace, (unitwise + exact) * l->S * l->H);
    l->w_square = place(floats, &n, &b->workspace, 2 * l->N);
    PLACE_OPTIONAL(tangent, &b->workspace, has_w * has_g * l->H);
    l->step_w = place(floats, &n, &b->workspace, 2 * l->N);
    PLACE_OPTIONAL(step_g, &b->workspace, has_g * 3 * l->H);
    PLACE_OPTIONAL(white, &b->workspace, (has_g + exact) * l->H * l->O);
    l->alpha = place(floats, &n, &b->workspace, l->N * l->O);
    PLACE_OPTIONAL(g_scale, &b->workspace, has_w * has_g * l->H);
    PLACE_OPTIONAL(g_keep, &b->workspace, has_g * l->H);
    PLACE_OPTIONAL(g_square, &b->workspace, has_g * l->H);
    PLACE_OPTIONAL(g_cross, &b->workspace, has_g * l->H);
    PLACE_OPTIONAL(slopes, &b->workspace, exact * l->O * l->R * l->D);
    PLACE_OPTIONAL(past, &b->workspace, exact * l->S * l->D);
    PLACE_OPTIONAL(p_row, &b->workspace, exact * l->D);
    PLACE_OPTIONAL(weighted, &b->workspace, exact * l->D);
    l->cf = place(floats, &n, &b->workspace, kalman || swept ? 2 * l->D : 0);
    l->chol = place(floats, &n, &b->workspace, kalman * (l->O * (l->O + 1) / 2));
    l->y = place(floats, &n, &b->workspace, 4 * l->O);
    l->live = place(floats, &n, &b->workspace, config->max_delay > 0 ? l->R : 0);
    place(floats, &n, &b->workspace, n % 2); /* whole multiples of 8 bytes */

    size_t copied = NBT_ROLLBACK && config->rollback_steps > 0;
    l->copy = place(floats, &n, &b->guard,
                   copied * (swept || exact) * weights * (1 + kalman + quasi) +
                       copied * (l->O * l->D + kalman * (l->D * (l->D + 1) / 2) +
                                 3 * (size_t)config->n_in + gaussian * 5 * l->O));
    size_t guard_floats = b->guard / sizeof(float);
    place(floats, &n, &b->guard, n % 2);
    return guard_floats;
}

size_t nbt_layout_of(nbt_layout *l, const nbt_config *config, void *base)
{
    nbt_breakdown b;
    (void)lay_out(config, base, l, &b);
    return b.header + b.parameters + b.estimate + b.covariance + b.state + b.ring + b.scaler + b.guard +
           b.workspace;
}

size_t nbt_layout_bytes(const nbt_config *config, nbt_breakdown *bytes)
{
    nbt_layout l;
    return lay_out(config, NULL, &l, bytes);
}
