#include "nbt_correct.h"

#include "nbt_gate.h"
#include "nbt_gradient.h"
#include "nbt_head.h"
#include "nbt_innovation.h"
#include "nbt_kalman.h"
#include "nbt_link.h"
#include "nbt_math.h"
#include "nbt_rls.h"
#include "nbt_sgd.h"
#include "nbt_ud.h"

/* A larger step of a parameter counts as overflow. */
#define STEP_LIMIT 1e6f
/* Annealed steps never fall below this share of the initial ones, so that old learners still
 * adapt. */
#define ANNEAL_MIN 0.1f

/* The annealed rate 1 / sqrt(1 + n / anneal_steps) after n labels: large first steps converge fast,
 * small later ones average the noise out (Robbins and Monro 1951). */
static float annealed(const nbt_config *config, uint64_t labels)
{
    if (config->anneal_steps == 0) {
        return 1.0f;
    }
    float factor = 1.0f / nbt_sqrt(1.0f + nbt_float_of(labels) / (float)config->anneal_steps);
    return nbt_select(factor < ANNEAL_MIN, ANNEAL_MIN, factor);
}

/* The innovation <- F S^-1 t, S being the covariance that both blocks share. Returns f^T C f.
 * *weight is the weight of the sample for the readout covariance. gain is the annealed eta gamma /
 * n. */
static float innovate_kalman(const nbt_layout *l, float gain, nbt_update *update, float *weight,
                             int *limited)
{
    *weight = nbt_link_innovate(l);
    nbt_gradient_directions(l);
    float c = nbt_ud_project(l->ud, nbt_uf(l), nbt_correct_features(l), 0.0f, 0, l->F);
    nbt_innovation_spread(l, c, gain);
    *limited = nbt_gate_limit(l, gain);
    if (*limited) {
        nbt_link_innovate(l);
    }
    nbt_innovation_solve(l, gain);
    nbt_gradient_step(l, gain);
    nbt_gradient_curvature(l, update);
    nbt_link_factor(l);
    return c;
}

/* Whether the recurrent step is within its limit. Written so that NaN fails. */
static int is_bounded(const nbt_layout *l, float c)
{
    /* A step changes a weight by |step P w| <= sqrt(P) sqrt(step^2 sum P w w) along w, and likewise
     * along g. For a resonator, g has the two directions p and q. The change is a sum of at most
     * three such terms, so it is less than twice the root of the sum of their squares. P <= 1 /
     * info_floor (sgd: P = 1). With the bias column kept exactly, a bias moves with all D weights
     * of its row. */
    float p_max = !nbt_is_kalman(l) ? 1.0f : 1.0f / l->config->info_floor;
    p_max *= !nbt_has_coupling(&l->m) ? 1.0f : (float)l->D;
    float reach = 0.0f;
    float curvature = 0.0f;
    for (size_t n = 0; n < l->N; n++) {
        reach += (l->step_w[n] * l->w_square[n]) * l->step_w[n];
        curvature += nbt_curvature_w(l)[n] * l->w_square[n];
    }
    for (size_t i = 0; i < l->E && nbt_has_g(&l->m); i++) {
        float square = nbt_g_square(l)[i], step = nbt_step_g(l)[i];
        float bend = nbt_curvature_g(l)[i];
        if (l->N > 0) {
            float tilt = nbt_tilt(l)[i];
            bend += nbt_curvature_w(l)[nbt_is_by_unit(&l->m) ? i : 0] * tilt * tilt;
        }
        reach += (step * square) * step;
        curvature += bend * square;
    }
    if (nbt_has_head(l)) {
        reach += nbt_head_reach(l);
        curvature += nbt_is_kalman(l) ? nbt_head_bend(l) : 0.0f;
    }
    float error = 0.0f; /* squared, summed over outputs */
    for (size_t o = 0; o < l->O && nbt_is_gaussian(l); o++) {
        float miss = nbt_is_nan(nbt_label(l)[o]) ? 0.0f : nbt_label(l)[o] - l->y[o];
        error += miss * miss;
    }
    return nbt_dot(nbt_innovation(l), nbt_innovation(l), l->O) < NBT_HUGE && c < NBT_HUGE &&
           2.0f * nbt_sqrt(reach * p_max) < STEP_LIMIT && curvature < NBT_HUGE && error < NBT_HUGE;
}

/* The length of the step of V_o along the direction. Under kalman the direction is the gain of the
 * covariance, C f / remains with remains = 1 + weight f^T C f. */
static float readout_scale(const nbt_layout *l, size_t o, float remains)
{
    float scale = remains * nbt_innovation(l)[o];
    return nbt_is_kalman(l) && nbt_is_gaussian(l) ? l->noise[o] * scale : scale;
}

/* Whether the next step of every V_o is within the limit. Written so that NaN fails. */
static int is_readout_bounded(const nbt_layout *l, const float *direction, float remains)
{
    float length = nbt_sqrt(nbt_dot(direction, direction, l->F));
    int good = 1;
    for (size_t o = 0; o < l->O; o++) {
        good &= nbt_abs(readout_scale(l, o, remains)) * length < STEP_LIMIT;
    }
    return good;
}

/* to (n) += scale direction. */
static void add_along(float *NBT_RESTRICT to, const float *direction, float scale, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        to[j] += scale * direction[j];
    }
}

/* V_o += scale_o x_o direction. The direction is in the order of the readout or in that of the
 * covariance. */
static void update_readout(const nbt_layout *l, const float *direction, float remains,
                           int constant_first)
{
    size_t F = l->F, B = l->B;
    for (size_t o = 0; o < l->O; o++) {
        float scale = readout_scale(l, o, remains);
        float *row = l->readout + o * F;
        if (constant_first) {
            add_along(row, direction + F - B, scale, B);
            add_along(row + B, direction + 1, scale, F - 1 - B);
            add_along(row + F - 1, direction, scale, 1);
        } else {
            add_along(row, direction, scale, F);
        }
    }
}

/* Updates the innovation variance of the labelled outputs, a running mean. */
static void update_noise(const nbt_layout *l, float c)
{
    for (size_t o = 0; o < l->O && nbt_is_gaussian(l); o++) {
        if (nbt_is_nan(nbt_label(l)[o])) {
            continue;
        }
        nbt_rls_count_noise(l->noise + o, l->noise + l->O + o, l->config->noise_rate,
                            nbt_label(l)[o] - l->y[o], c);
    }
}

NBT_LOCAL void nbt_correct_nothing(const nbt_layout *l, nbt_change *change)
{
    nbt_motion *motion = &change->motion;
    nbt_update *update = &change->update;
    change->u = l->u;
    motion->w_scale = nbt_w_scale(l);
    motion->u_scale = nbt_u_scale(l);
    motion->g_scale = NBT_OF(l, g_scale);
    motion->g_keep = NBT_OF(l, g_keep);
    motion->gain = nbt_gain(l);
    update->step_w = l->step_w;
    update->step_g = nbt_step_g(l);
    update->keep = 1.0f;
    update->curvature_w = nbt_curvature_w(l);
    update->tilt = nbt_tilt(l);
    update->curvature_g = nbt_curvature_g(l);
    update->rate_floor = 0.0f;
    update->first = 0;
    update->stride = nbt_has_coupling(&l->m) ? 1 : NBT_KALMAN_TURNS;
    nbt_fill(l->step_w, 0.0f, 2 * l->N);
    if (nbt_has_g(&l->m)) {
        nbt_fill(nbt_step_g(l), 0.0f, (nbt_is_columnar(l) ? 2 : 3) * l->E + nbt_resonators(l));
    }
}

NBT_LOCAL int nbt_correct_is_constant_first(const nbt_layout *l)
{
    size_t n_in = l->config->n_in;
    int moves = nbt_follows(l) && nbt_is_gaussian(l);
    for (size_t i = 0; i < n_in && nbt_follows(l) && !moves; i++) {
        moves = NBT_OF(l, units)[2 * n_in + i] >= 0.0f;
    }
    return moves;
}

NBT_LOCAL const float *nbt_correct_features(const nbt_layout *l)
{
    if (!nbt_correct_is_constant_first(l)) {
        return l->f;
    }
    nbt_ud_constant_first(l->cf, l->f, l->F, l->B);
    return l->cf;
}

/* The prior, multiplied by `lift` (nbt_rls_lift), in the order of the covariance. */
static nbt_ud_prior prior_of(const nbt_layout *l, float lift)
{
    float prior = l->config->prior * lift, hidden = l->config->prior_hidden * lift;
    nbt_ud_prior units_first = {l->B, hidden, prior};
    nbt_ud_prior units_last = {l->F - l->B, prior, hidden};
    return nbt_correct_is_constant_first(l) ? units_last : units_first;
}

NBT_LOCAL void nbt_correct_init_covariance(const nbt_layout *l)
{
    nbt_ud_prior prior = prior_of(l, 1.0f);
    nbt_ud_init(l->ud, l->F, &prior);
}

NBT_LOCAL void nbt_correct_init_readout(const nbt_layout *l)
{
    nbt_fill(l->readout, 0.0f, l->O * l->F);
    if (nbt_is_kalman(l)) {
        nbt_correct_init_covariance(l);
    }
    if (nbt_is_gaussian(l)) {
        nbt_fill(l->noise, 1.0f, l->O);
        nbt_fill(l->noise + l->O, 0.0f, l->O);
    }
}

NBT_LOCAL void nbt_correct_init(const nbt_layout *l)
{
    nbt_correct_init_readout(l);
    if (nbt_has_cov(&l->m)) {
        nbt_fill(l->m.cov, 1.0f / l->config->info_floor, l->R * l->D);
    }
    if (nbt_has_head(l) && nbt_is_kalman(l)) {
        nbt_fill(NBT_OF(l, head_cov), 1.0f / l->config->info_floor, l->Q * l->Z);
    }
    if (nbt_has_coupling(&l->m)) {
        nbt_fill(l->m.coupling, 0.0f, l->R * l->D);
    }
}

NBT_OWN_FRAME NBT_LOCAL int nbt_correct(nbt_learner *learner, const nbt_layout *l,
                                        nbt_update *update, int *limited)
{
    const nbt_config *config = l->config;
    int kalman = nbt_is_kalman(l);
    float c = 0.0f;
    float weight = 0.0f;
    float share = annealed(config, learner->counters.labels - learner->opened);
    if (kalman) {
        /* n forecasts wait: their errors overlap, and this step first affects the n-th forecast
         * from now. */
        update->first = update->stride == 1 ? 0 : nbt_kalman_turn(learner->counters.labels);
        float gain = share * config->rate * config->info_rate / (float)learner->pending;
        c = innovate_kalman(l, gain, update, &weight, limited);
    } else {
        *limited = nbt_sgd_innovate(l, share * config->sgd_rate);
    }
    if (!is_bounded(l, c) || (!kalman && !is_readout_bounded(l, l->f, 1.0f))) {
        return 0;
    }
    if (kalman) {
        nbt_ud_prior prior = prior_of(l, nbt_lifts(l) ? nbt_rls_lift(l->noise, l->O) : 1.0f);
        float remains = 1.0f + weight * c;
        nbt_ud_gains(l->ud, l->cf, nbt_uf(l), weight, &prior, config->forget, l->F);
        nbt_ud_turn(l->ud, l->cf, nbt_uf(l), 0, l->F, l->F);
        if (!is_readout_bounded(l, l->cf, remains)) {
            nbt_correct_init_covariance(l);
            return 0;
        }
        update_readout(l, l->cf, remains, nbt_correct_is_constant_first(l));
    } else {
        update_readout(l, l->f, 1.0f, 0);
    }
    update_noise(l, c);
    return 1;
}
