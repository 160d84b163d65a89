#include "nbt_correct.h"

#include "nbt_filter.h"
#include "nbt_math.h"
#include "nbt_readout.h"
#include "nbt_rtrl.h"

/* Steps in parameters larger than this count as overflow. */
#define STEP_LIMIT 1e6f
#define NOISE_MIN 1e-8f
/* A smaller share of w in the curvature is not split off: the tilt would not be a finite number, times its
 * square. */
#define SPLIT_MIN 1e-20f
/* Steps never fall below this share of the first ones: a device that runs for years still learns. */
#define ANNEAL_MIN 0.1f

/* 1 / sqrt(1 + n / anneal_steps) after n labels: large steps find the way, small ones average the
 * noise out (Robbins and Monro 1951). */
static float annealed(const nbt_config *config, uint64_t labels)
{
    if (config->anneal_steps == 0) {
        return 1.0f;
    }
    float factor = 1.0f / nbt_sqrt(1.0f + nbt_float_of(labels) / (float)config->anneal_steps);
    return nbt_select(factor < ANNEAL_MIN, ANNEAL_MIN, factor);
}

/* Loops over units are worth their own code unless there is one direction for all and no lane. */
#define UNIT_LOOPS (NBT_LANES > 1 || NBT_BUILDS_G)

/* out_k = a_k^T b_k for n rows of O entries, b the same row for all (b_step 0) or one each (O). One output
 * is what most sensors have, and then this is a loop over units that vectorises. */
NBT_INLINE_LANES void row_dots(float *NBT_RESTRICT out, const float *a, const float *b, size_t b_step,
                         size_t n, size_t O)
{
    if (UNIT_LOOPS && O == 1 && b_step == 0) {
        for (size_t k = 0; k < n; k++) {
            out[k] = 0.0f + a[k] * b[0]; /* as nbt_dot adds it up */
        }
    } else if (UNIT_LOOPS && O == 1) {
        for (size_t k = 0; k < n; k++) {
            out[k] = 0.0f + a[k] * b[k];
        }
    } else {
        for (size_t k = 0; k < n; k++) {
            out[k] = nbt_dot(a + k * O, b + k * b_step, O);
        }
    }
}

/* F^T times each of n rows of O entries, in place. */
static void whiten(const nbt_config *config, const nbt_layout *l, float *rows, size_t n)
{
    if (UNIT_LOOPS && l->O == 1) {
        float factor = nbt_factor(l)[0];
        for (size_t k = 0; k < n; k++) {
            rows[k] = factor * rows[k];
        }
        return;
    }
    for (size_t k = 0; k < n; k++, rows += l->O) {
        nbt_link_factor_transposed(nbt_link_of(config), rows, rows, nbt_factor(l), l->y, l->O);
    }
}

/* Along the directions of the recurrent gradient, H_(r, j) = V_unit(r) g_rj + alpha_n w_rj, n = 0 or
 * unit(r): alpha (N, O) for w, white (H, O) for the traces. Under kalman both are whitened by F^T.
 * rtrl: all slopes, and their sum of squares. */
static void directions(const nbt_config *config, const nbt_layout *l)
{
    for (size_t n = 0; n < l->N && nbt_has_w(&l->m); n++) {
        for (size_t o = 0; o < l->O; o++) {
            l->alpha[n * l->O + o] = nbt_dot(l->readout + o * l->D, l->v + n * l->S, l->H);
        }
    }
    for (size_t i = 0; i < l->H && (nbt_has_g(&l->m) || NBT_IS_EXACT(l)); i++) {
        for (size_t o = 0; o < l->O; o++) {
            NBT_OF(l, white)[i * l->O + o] = l->readout[o * l->D + i];
        }
    }
    if (nbt_filter_of(config) != NBT_FILTER_SGD) {
        whiten(config, l, l->alpha, nbt_has_w(&l->m) ? l->N : 0);
        whiten(config, l, NBT_OF(l, white), nbt_has_g(&l->m) || NBT_IS_EXACT(l) ? l->H : 0);
    }
    if (NBT_IS_EXACT(l)) {
        l->w_square[0] = nbt_rtrl_slopes(l);
    }
}

/* The recurrent steps along both directions, `gain` times their product with x (O); rtrl: along
 * every output's slopes, and step_w is their common size. */
static void step_along(const nbt_layout *l, float gain, const float *x)
{
    if (NBT_IS_EXACT(l)) {
        for (size_t o = 0; o < l->O; o++) {
            l->alpha[o] = gain * x[o];
        }
        l->step_w[0] = nbt_sqrt(nbt_dot(l->alpha, l->alpha, l->O));
        return;
    }
    size_t G = nbt_has_g(&l->m) ? l->H : 0;
    row_dots(l->step_w, l->alpha, x, 0, l->N, l->O);
    row_dots(NBT_OF(l, step_g), NBT_OF(l, white), x, 0, G, l->O);
    for (size_t n = 0; n < l->N; n++) {
        l->step_w[n] *= gain;
    }
    for (size_t i = 0; i < G; i++) {
        NBT_OF(l, step_g)[i] *= gain;
    }
}

/* From the products w w, w g and g g of the whitened directions to the tilt and what it leaves of g g. */
static void split_curvature(const nbt_layout *l, float gamma, size_t G)
{
    float *NBT_RESTRICT tilt = NBT_OF(l, tilt);
    float *NBT_RESTRICT rest = NBT_OF(l, curvature_g);
    for (size_t i = 0; i < G; i++) {
        float ww = l->N == 0 ? 0.0f : nbt_curvature_w(l)[nbt_is_by_unit(&l->m) ? i : 0];
        float quotient = tilt[i] / ww;
        float turn = nbt_select(ww > SPLIT_MIN, quotient, 0.0f);
        float left = rest[i] - turn * turn * ww;
        tilt[i] = turn;
        rest[i] = nbt_select(left > 0.0f, gamma * left, 0.0f);
    }
}

/* gamma H^T Lambda H as a sum of squares, curvature_w (w + tilt g)^2 + curvature_g g^2; rtrl:
 * curvature_w times the squared slopes. */
static void set_curvature(const nbt_config *config, const nbt_layout *l, nbt_update *update)
{
    float gamma = config->info_rate;
    update->keep = 1.0f - gamma;
    update->rate_floor = gamma * config->info_floor;
    if (NBT_IS_EXACT(l)) {
        nbt_curvature_w(l)[0] = gamma;
        return;
    }
    size_t G = nbt_has_g(&l->m) ? l->H : 0;
    size_t alpha_step = nbt_is_by_unit(&l->m) ? l->O : 0;
    row_dots(nbt_curvature_w(l), l->alpha, l->alpha, l->O, l->N, l->O);
    row_dots(NBT_OF(l, curvature_g), NBT_OF(l, white), NBT_OF(l, white), l->O, G, l->O);
    if (l->N == 0) {
        nbt_fill(NBT_OF(l, tilt), 0.0f, G);
    } else {
        row_dots(NBT_OF(l, tilt), NBT_OF(l, white), l->alpha, alpha_step, G, l->O);
    }
    split_curvature(l, gamma, G);
    for (size_t n = 0; n < l->N; n++) {
        nbt_curvature_w(l)[n] *= gamma;
    }
}

/* The same as nbt_innovation_add, one direction after the other, for a single output. */
static void add_recurrent_single(const nbt_layout *l, float gain)
{
    float sum = l->chol[0];
    for (size_t n = 0; n < l->N; n++) {
        sum += (gain * l->w_square[n] * l->alpha[n]) * l->alpha[n];
    }
    for (size_t i = 0; i < l->H && nbt_has_g(&l->m); i++) {
        float white = NBT_OF(l, white)[i];
        float alpha = l->N == 0 ? 0.0f : l->alpha[nbt_is_by_unit(&l->m) ? i : 0];
        float cross = gain * NBT_OF(l, g_cross)[i];
        sum += (gain * NBT_OF(l, g_square)[i] * white + cross * alpha) * white + (cross * white) * alpha;
    }
    l->chol[0] = sum;
}

/* l->chol += gain sum_i P_i H_:i H_:i^T, whitened. */
static void add_recurrent(const nbt_layout *l, float gain)
{
    if (NBT_IS_EXACT(l)) {
        nbt_rtrl_innovate(l, l->chol, gain);
        return;
    }
    if (UNIT_LOOPS && l->O == 1) {
        add_recurrent_single(l, gain);
        return;
    }
    nbt_directions along = {l->alpha, NULL, 0, l->w_square, NULL, l->N};
    nbt_innovation_add(l->chol, &along, gain, l->O);
    if (nbt_has_g(&l->m)) {
        along.a = NBT_OF(l, white);
        along.b = l->N == 0 ? NULL : l->alpha;
        along.b_step = nbt_is_by_unit(&l->m) ? l->O : 0;
        along.aa = NBT_OF(l, g_square);
        along.ab = NBT_OF(l, g_cross);
        along.n = l->H;
        nbt_innovation_add(l->chol, &along, gain, l->O);
    }
}

/* Brings the gaussian label of output o within the gate; `variance` is that of its innovation in units
 * of the noise's. Returns whether it had to. */
static int limit_label(const nbt_config *config, const nbt_layout *l, size_t o, float variance)
{
    float reach = config->gate * nbt_sqrt(variance * l->noise[o]);
    float error = nbt_label(l)[o] - l->y[o];
    /* Written so that NaN, a missing label, passes. */
    if (!(nbt_abs(error) > reach)) {
        return 0;
    }
    nbt_label(l)[o] = l->y[o] + (error < 0.0f ? -reach : reach);
    return 1;
}

/* Whether S is diagonal but for one direction. */
static int is_along_one(const nbt_config *config)
{
    return nbt_estimator_of(config) == NBT_EST_NOBACKTRACK &&
           nbt_link_of(config) != NBT_LINK_CATEGORICAL;
}

/* l->chol = S: its lower triangle, or its diagonal before the one direction. */
static void spread(const nbt_config *config, const nbt_layout *l, float c, float gain)
{
    uint32_t link = nbt_link_of(config);
    if (is_along_one(config)) {
        nbt_innovation_diagonal(link, l->chol, nbt_factor(l), c, l->O);
    } else {
        nbt_innovation_start(link, l->chol, nbt_factor(l), l->y, c, l->O);
        add_recurrent(l, gain);
    }
}

/* S_oo of what `spread` left. */
static float spread_of(const nbt_config *config, const nbt_layout *l, float gain, size_t o)
{
    if (is_along_one(config)) {
        return l->chol[o] + (gain * l->w_square[0] * l->alpha[o]) * l->alpha[o];
    }
    return l->chol[o * (o + 1) / 2 + o];
}

/* The innovation gate. */
static int limit_labels(const nbt_config *config, const nbt_layout *l, float gain)
{
    int limited = 0;
    for (size_t o = 0; o < l->O && nbt_is_gaussian(l) && config->gate > 0.0f; o++) {
        int kalman = nbt_filter_of(config) != NBT_FILTER_SGD;
        limited |= limit_label(config, l, o, kalman ? spread_of(config, l, gain, o) : 1.0f);
    }
    return limited;
}

/* nbt_x(l) = F S^-1 t, S the innovation covariance that both blocks share. Returns f^T C f; *weight is
 * the weight of the sample for the readout covariance, gain is the annealed eta gamma / n. */
static float innovate_kalman(const nbt_config *config, const nbt_layout *l, float gain,
                             nbt_update *update, float *weight, int *limited)
{
    uint32_t link = nbt_link_of(config);
    *weight = nbt_link_innovate(link, nbt_x(l), nbt_factor(l), l->y, nbt_label(l), l->noise, l->O);
    directions(config, l);
    float c = nbt_ud_project(l->ud, nbt_uf(l), l->f, l->D);
    spread(config, l, c, gain);
    *limited = limit_labels(config, l, gain);
    if (*limited) {
        nbt_link_innovate(link, nbt_x(l), nbt_factor(l), l->y, nbt_label(l), l->noise, l->O);
    }
    if (is_along_one(config)) {
        nbt_innovation_solve_along(l->chol, l->alpha, gain * l->w_square[0], nbt_x(l), l->O);
    } else {
        nbt_innovation_solve(l->chol, nbt_x(l), l->O);
    }
    step_along(l, gain, nbt_x(l));
    set_curvature(config, l, update);
    nbt_link_factor(link, nbt_x(l), nbt_x(l), nbt_factor(l), l->y, l->O);
    return c;
}

/* nbt_x(l) = rate times score: the paper's first version, a plain gradient step. */
static void innovate_sgd(const nbt_config *config, const nbt_layout *l, float rate, int *limited)
{
    directions(config, l);
    *limited = limit_labels(config, l, 0.0f);
    nbt_link_score(nbt_link_of(config), nbt_x(l), l->y, nbt_label(l), l->O);
    for (size_t o = 0; o < l->O; o++) {
        nbt_x(l)[o] *= rate;
    }
    step_along(l, 1.0f, nbt_x(l));
}

/* Written so that NaN fails. */
static int is_bounded(const nbt_config *config, const nbt_layout *l, float c)
{
    /* |P w| <= sqrt(P) sqrt(sum P w w) and P <= 1 / info_floor (sgd: P = 1); so for g. With the bias
     * column kept exactly, a bias moves with all D weights of its row. */
    float p_max = !nbt_has_cov(&l->m) ? 1.0f : 1.0f / config->info_floor;
    p_max *= !nbt_has_coupling(&l->m) ? 1.0f : (float)l->D;
    float step = 0.0f;
    float curvature = 0.0f;
    for (size_t n = 0; n < l->N; n++) {
        step += nbt_abs(l->step_w[n]) * nbt_sqrt(l->w_square[n] * p_max);
        curvature += nbt_curvature_w(l)[n] * l->w_square[n];
    }
    for (size_t i = 0; i < l->H && nbt_has_g(&l->m); i++) {
        step += nbt_abs(NBT_OF(l, step_g)[i]) * nbt_sqrt(NBT_OF(l, g_square)[i] * p_max);
        float curvature_w = l->N == 0 ? 0.0f : nbt_curvature_w(l)[nbt_is_by_unit(&l->m) ? i : 0];
        float tilt = NBT_OF(l, tilt)[i];
        curvature += (NBT_OF(l, curvature_g)[i] + curvature_w * tilt * tilt) *
                     NBT_OF(l, g_square)[i];
    }
    float error = 0.0f; /* squared, of all outputs */
    for (size_t o = 0; o < l->O && nbt_is_gaussian(l); o++) {
        float miss = nbt_is_nan(nbt_label(l)[o]) ? 0.0f : nbt_label(l)[o] - l->y[o];
        error += miss * miss;
    }
    return nbt_dot(nbt_x(l), nbt_x(l), l->O) < NBT_HUGE && c < NBT_HUGE && step < STEP_LIMIT &&
           curvature < NBT_HUGE && error < NBT_HUGE;
}

/* How far V_o moves along the direction. */
static float readout_scale(const nbt_config *config, const nbt_layout *l, size_t o)
{
    int whitened = nbt_filter_of(config) != NBT_FILTER_SGD && nbt_is_gaussian(l);
    return whitened ? l->noise[o] * nbt_x(l)[o] : nbt_x(l)[o];
}

/* Whether the next step of every V_o is short enough. Written so that NaN fails. */
static int is_readout_bounded(const nbt_config *config, const nbt_layout *l, const float *direction)
{
    float length = nbt_sqrt(nbt_dot(direction, direction, l->D));
    int good = 1;
    for (size_t o = 0; o < l->O; o++) {
        good &= nbt_abs(readout_scale(config, l, o)) * length < STEP_LIMIT;
    }
    return good;
}

/* V_o += scale_o x_o direction. */
static void update_readout(const nbt_config *config, const nbt_layout *l, const float *direction)
{
    for (size_t o = 0; o < l->O; o++) {
        float scale = readout_scale(config, l, o);
        for (size_t j = 0; j < l->D; j++) {
            l->readout[o * l->D + j] += scale * direction[j];
        }
    }
}

/* Running innovation variance of the labelled outputs. */
static void update_noise(const nbt_config *config, const nbt_layout *l, float c)
{
    for (size_t o = 0; o < l->O && nbt_is_gaussian(l); o++) {
        if (nbt_is_nan(nbt_label(l)[o])) {
            continue;
        }
        float *count = &l->noise[l->O + o];
        *count += nbt_select(*count < 16777216.0f, 1.0f, 0.0f);
        float rate = 1.0f / (*count + 1.0f); /* the start value counts as one sample */
        rate = nbt_select(rate < config->noise_rate, config->noise_rate, rate);
        float error = nbt_label(l)[o] - l->y[o];
        float noise = l->noise[o] + rate * (error * error / (1.0f + c) - l->noise[o]);
        l->noise[o] = nbt_select(noise < NOISE_MIN, NOISE_MIN, noise);
    }
}

NBT_LOCAL void nbt_correct_nothing(const nbt_layout *l, nbt_change *change)
{
    nbt_motion *motion = &change->motion;
    nbt_update *update = &change->update;
    change->u = l->u;
    motion->w_scale = nbt_w_scale(l);
    motion->u_scale = l->da;
    motion->g_scale = NBT_OF(l, g_scale);
    motion->g_keep = NBT_OF(l, g_keep);
    motion->gain = l->act;
    update->step_w = l->step_w;
    update->step_g = NBT_OF(l, step_g);
    update->keep = 1.0f;
    update->curvature_w = nbt_curvature_w(l);
    update->tilt = NBT_OF(l, tilt);
    update->curvature_g = NBT_OF(l, curvature_g);
    update->rate_floor = 0.0f;
    nbt_fill(l->step_w, 0.0f, 2 * l->N); /* and curvature_w */
    if (nbt_has_g(&l->m)) {
        nbt_fill(NBT_OF(l, step_g), 0.0f, 3 * l->H); /* and tilt, curvature_g */
    }
}

NBT_LOCAL void nbt_correct_init(const nbt_config *config, const nbt_layout *l)
{
    nbt_fill(l->readout, 0.0f, l->O * l->D);
    if (nbt_has_cov(&l->m)) {
        nbt_fill(l->m.cov, 1.0f / config->info_floor, l->R * l->D);
    }
    if (nbt_has_coupling(&l->m)) {
        nbt_fill(l->m.coupling, 0.0f, l->R * l->D);
    }
    if (nbt_is_kalman(l)) {
        nbt_ud_init(l->ud, l->D, l->H, config->prior_hidden, config->prior);
    }
    if (nbt_is_gaussian(l)) {
        nbt_fill(l->noise, 1.0f, l->O);
        nbt_fill(l->noise + l->O, 0.0f, l->O);
    }
}

NBT_LOCAL int nbt_correct(nbt_learner *learner, const nbt_layout *l, nbt_update *update,
                          int *limited)
{
    const nbt_config *config = &learner->config;
    int kalman = nbt_filter_of(config) != NBT_FILTER_SGD;
    float c = 0.0f;
    float weight = 0.0f;
    float share = annealed(config, learner->counters.labels - learner->opened);
    if (kalman) {
        /* n forecasts wait: their errors overlap, and the step reaches only the n-th from now. */
        float gain = share * config->rate * config->info_rate / (float)learner->pending;
        c = innovate_kalman(config, l, gain, update, &weight, limited);
    } else {
        innovate_sgd(config, l, share * config->sgd_rate, limited);
    }
    if (!is_bounded(config, l, c) || (!kalman && !is_readout_bounded(config, l, l->f))) {
        return 0;
    }
    if (kalman) {
        nbt_ud_measure(l->ud, l->cf, nbt_uf(l), weight, l->f, l->D); /* f is used up */
        nbt_ud_forget(l->ud, l->D, l->H, config->prior_hidden, config->prior, config->forget);
        if (!nbt_ud_is_finite(l->ud, l->D) || !is_readout_bounded(config, l, l->cf)) {
            nbt_ud_init(l->ud, l->D, l->H, config->prior_hidden, config->prior);
            return 0;
        }
    }
    update_readout(config, l, kalman ? l->cf : l->f);
    update_noise(config, l, c);
    return 1;
}
