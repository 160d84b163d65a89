#include "nbt_resonator.h"

#include "nbt_block.h"
#include "nbt_math.h"
#include "nbt_rows.h"

#define OMEGA_MAX 3.14159265f
/* Far above any sum of bounded inputs: with lambda inside the unit circle nothing else grows. */
#define STATE_LIMIT 1e4f

/* First row of the resonators in the matrices. */
NBT_INLINE size_t first_resonator(const nbt_layout *l)
{
    return (l->H - l->C) * l->m.cols;
}

/* The resonators' blocks of Theta and P; those of g begin at first_resonator. */
static nbt_matrices resonators_of(const nbt_layout *l)
{
    nbt_matrices m = l->m;
    size_t first = first_resonator(l);
    m.rows = m.hidden = l->C;
    m.theta += first;
    m.cov = m.cov != NULL ? m.cov + first : NULL;
    return m;
}

/* Positions of p of resonator `unit`, of its row a, and of its q in a state. Its row b is H after
 * row a in a (R). */
NBT_INLINE size_t place_p(const nbt_layout *l, size_t unit)
{
    return l->H - l->C + unit;
}

NBT_INLINE size_t place_q(const nbt_layout *l, size_t unit)
{
    return l->H + unit;
}

NBT_INLINE void forward_resonators(size_t width, size_t unit, const nbt_layout *l,
                                   const nbt_matrices *m, float *a, const float *tail)
{
    const float *theta = m->theta + unit * m->cols;
    for (size_t row = place_p(l, unit); row < l->R; row += l->H, theta += l->D * width) {
        float sum[NBT_LANES] = {0};
        nbt_rows_block(width, sum, theta + width, tail, l->D - 1, 0); /* the columns after nu and
                                                                         omega */
        for (size_t lane = 0; lane < width; lane++) {
            a[row + lane] = sum[lane];
        }
    }
}

NBT_LOCAL void nbt_resonator_forward(const nbt_layout *l, float *a, const float *u)
{
    nbt_matrices m = resonators_of(l);
    const float *tail = u + l->E;
    size_t first = 0;
#if NBT_FOUR_ROWS
    for (; first + 2 <= m.rows; first += 2) { /* two units at once */
        float sum[4] = {0}, *to = a + place_p(l, first);
        nbt_rows_four(sum, m.theta + first * m.cols + 1, l->D, tail, l->D - 1, 0);
        to[0] = sum[0];
        to[l->H] = sum[1];
        to[1] = sum[2];
        to[l->H + 1] = sum[3];
    }
    m.rows -= first;
#endif
#define BODY(width, row, unit) forward_resonators(width, first + row, l, &m, a, tail)
    NBT_FOR_EACH_BLOCK(&m, BODY)
#undef BODY
}

/* Values computed by a step with carry for the advance of the traces that follows it (3, C): e^nu,
 * n, dn / dnu. */
NBT_INLINE float *left_by_step(const nbt_layout *l, size_t which)
{
    return nbt_scratch(l) + which * l->C;
}

NBT_INLINE void step_resonators(size_t width, size_t unit, const nbt_layout *l,
                                const nbt_matrices *m, const float *a, float *state, float *carry)
{
    const float *nu = m->theta + unit * m->cols, *omega = nu + l->D * width;
    const float *b = a + l->H + place_p(l, unit);
    float *NBT_RESTRICT p = state + place_p(l, unit), *NBT_RESTRICT q = state + place_q(l, unit);
    a += place_p(l, unit);
    for (size_t lane = 0; lane < width; lane++) {
        float rate = nbt_exp(nu[lane]);
        float rho = nbt_exp(-rate), n = nbt_sqrt((1.0f - rho) * (1.0f + rho));
        float cosine = rho * nbt_cos(omega[lane]), sine = rho * nbt_sin(omega[lane]);
        float turned_p = cosine * p[lane] - sine * q[lane];
        float turned_q = sine * p[lane] + cosine * q[lane];
        p[lane] = nbt_clamp(turned_p + n * a[lane], -STATE_LIMIT, STATE_LIMIT);
        q[lane] = nbt_clamp(turned_q + n * b[lane], -STATE_LIMIT, STATE_LIMIT);
        if (carry != NULL) {
            carry[place_p(l, unit) + lane] = cosine;
            carry[place_q(l, unit) + lane] = sine;
            left_by_step(l, 0)[unit + lane] = rate;
            left_by_step(l, 1)[unit + lane] = n;
            left_by_step(l, 2)[unit + lane] = (rho * rho) * rate / n;
        }
    }
}

NBT_LOCAL void nbt_resonator_step(const nbt_layout *l, const float *a, float *state, float *carry)
{
    nbt_matrices m = resonators_of(l);
#define BODY(width, row, unit) step_resonators(width, row, l, &m, a, state, carry)
    NBT_FOR_EACH_BLOCK(&m, BODY)
#undef BODY
}

/* For a block: lambda, and the sums of P times the products of its traces. */
typedef struct traces {
    float cosine[NBT_LANES], sine[NBT_LANES];
    float pp[NBT_LANES], qq[NBT_LANES], pq[NBT_LANES];
} traces;

/* nu and omega: g <- lambda g + (along_p + i along_q) for a complex trace. The weights have the
 * variances p, or 1 without a metric. */
NBT_INLINE void advance_pole(size_t width, int metric, traces *at, float *NBT_RESTRICT g_p,
                             float *NBT_RESTRICT g_q, const float *along_p, const float *along_q,
                             const float *p)
{
    for (size_t lane = 0; lane < width; lane++) {
        float before_p = g_p[lane], before_q = g_q[lane];
        float moved_p = at->cosine[lane] * before_p - at->sine[lane] * before_q + along_p[lane];
        float moved_q = at->sine[lane] * before_p + at->cosine[lane] * before_q + along_q[lane];
        float variance = metric ? p[lane] : 1.0f;
        float by_p = variance * moved_p, by_q = variance * moved_q;
        g_p[lane] = moved_p;
        g_q[lane] = moved_q;
        at->pp[lane] += by_p * moved_p;
        at->qq[lane] += by_q * moved_q;
        at->pq[lane] += by_p * moved_q;
    }
}

/* Adds the products of the trace G = g_p + i g_q of one input, which is the trace of w_a, and of i
 * G, that of w_b. */
NBT_INLINE void add_input(traces *at, size_t lane, float g_p, float g_q, float p_a, float p_b)
{
    float pp = g_p * g_p, qq = g_q * g_q;
    at->pp[lane] += p_a * pp + p_b * qq;
    at->qq[lane] += p_a * qq + p_b * pp;
    at->pq[lane] += (p_a - p_b) * (g_p * g_q);
}

/* The traces of all inputs x: G <- lambda G + n x, where n is the gain. The version for one lane
 * moves its pointers, and is a function of its own so that registers suffice. */
#if NBT_LANES < 4
static NBT_NOINLINE void advance_inputs(size_t width, int metric, traces *at,
                                        float *NBT_RESTRICT g_p, float *NBT_RESTRICT g_q,
                                        const float *p_a, const float *p_b, const float *gain,
                                        const float *x, size_t n)
{
    traces sums = *at;
    float by = *gain, cosine = sums.cosine[0], sine = sums.sine[0];
    (void)width;
#define COLUMN                                                                                 \
    {                                                                                          \
        float p = g_p[0], q = g_q[0], moved_q = sine * p + cosine * q;                         \
        float moved_p = cosine * p - sine * q + by * x[0];                                     \
        g_p[0] = moved_p;                                                                      \
        g_q[0] = moved_q;                                                                      \
        add_input(&sums, 0, moved_p, moved_q, metric ? p_a[0] : 1.0f, metric ? p_b[0] : 1.0f); \
        g_p++;                                                                                 \
        g_q++;                                                                                 \
        p_a++;                                                                                 \
        p_b++;                                                                                 \
        x++;                                                                                   \
        NBT_PIN(g_p);                                                                          \
        NBT_PIN(g_q);                                                                          \
        NBT_PIN(p_a);                                                                          \
        NBT_PIN(p_b);                                                                          \
        NBT_PIN(x);                                                                            \
    }
    NBT_REPEAT(n, COLUMN)
#undef COLUMN
    *at = sums;
}
#else
NBT_INLINE void advance_inputs(size_t width, int metric, traces *at, float *NBT_RESTRICT g_p,
                               float *NBT_RESTRICT g_q, const float *p_a, const float *p_b,
                               const float *gain, const float *x, size_t n)
{
    traces sums = *at;
    for (size_t j = 0; j < n; j++, g_p += width, g_q += width, p_a += width, p_b += width) {
        float moved_p[NBT_LANES], moved_q[NBT_LANES];
        for (size_t lane = 0; lane < width; lane++) {
            moved_p[lane] = sums.cosine[lane] * g_p[lane] - sums.sine[lane] * g_q[lane];
            moved_q[lane] = sums.sine[lane] * g_p[lane] + sums.cosine[lane] * g_q[lane];
        }
        for (size_t lane = 0; lane < width; lane++) {
            moved_p[lane] += gain[lane] * x[j];
        }
        for (size_t lane = 0; lane < width; lane++) {
            add_input(&sums, lane, moved_p[lane], moved_q[lane], metric ? p_a[lane] : 1.0f,
                      metric ? p_b[lane] : 1.0f);
        }
        nbt_copy(g_p, moved_p, width);
        nbt_copy(g_q, moved_q, width);
    }
    *at = sums;
}
#endif

/* metric is a constant, so that no loop over lanes has a branch. */
NBT_INLINE void advance_resonators(size_t width, int metric, size_t unit, const nbt_layout *l,
                                   const nbt_matrices *m)
{
    size_t first = unit * m->cols, half = l->D * width;
    size_t at_p = place_p(l, unit), at_q = place_q(l, unit);
    const float *p_a = (metric ? m->cov : m->theta) + first, *p_b = p_a + half; /* not used without
                                                                                   a metric */
    const float *before_p = l->u + at_p, *before_q = l->u + at_q;
    const float *a = l->act + at_p, *b = a + l->H, *rate = left_by_step(l, 0) + unit;
    const float *widens = left_by_step(l, 2) + unit;
    float *g_p = l->m.g + first_resonator(l) + first, *g_q = g_p + half;
    float *angle_p = NBT_OF(l, angle_traces) + unit, *angle_q = angle_p + l->C;
    float nu_p[NBT_LANES], nu_q[NBT_LANES], omega_p[NBT_LANES], omega_q[NBT_LANES];
    traces at = {{0}, {0}, {0}, {0}, {0}};
    for (size_t lane = 0; lane < width; lane++) {
        float cosine = l->carry[at_p + lane], sine = l->carry[at_q + lane];
        float turned_p = cosine * before_p[lane] - sine * before_q[lane];
        float turned_q = sine * before_p[lane] + cosine * before_q[lane];
        at.cosine[lane] = cosine;
        at.sine[lane] = sine;
        nu_p[lane] = widens[lane] * a[lane] - rate[lane] * turned_p;
        nu_q[lane] = widens[lane] * b[lane] - rate[lane] * turned_q;
        omega_p[lane] = -turned_q;
        omega_q[lane] = turned_p;
    }
    advance_pole(width, metric, &at, angle_p, angle_q, omega_p, omega_q, p_b);
    advance_pole(width, metric, &at, g_p, g_q, nu_p, nu_q, p_a);
    advance_inputs(width, metric, &at, g_p + width, g_q + width, p_a + width, p_b + width,
                   left_by_step(l, 1) + unit, l->u + l->E, l->D - 1);
    for (size_t lane = 0; lane < width; lane++) {
        nbt_g_square(l)[at_p + lane] = at.pp[lane];
        nbt_g_square(l)[at_q + lane] = at.qq[lane];
        NBT_OF(l, pq_square)[unit + lane] = at.pq[lane];
    }
}

NBT_OWN_FRAME NBT_LOCAL void nbt_resonator_advance(const nbt_layout *l)
{
    nbt_matrices m = resonators_of(l);
#define WITH(width, row, unit) advance_resonators(width, 1, row, l, &m)
#define WITHOUT(width, row, unit) advance_resonators(width, 0, row, l, &m)
    if (nbt_has_cov(&m)) {
        NBT_FOR_EACH_BLOCK(&m, WITH)
    } else {
        NBT_FOR_EACH_BLOCK(&m, WITHOUT)
    }
#undef WITH
#undef WITHOUT
}

/* The scalars of a label for a block. Along an input, row a has the derivative g_p + i g_q, and row
 * b has i times that. P changes in the row that has its turn (nbt_kalman.h):
 *     theta_turn += P (step_p g_p + step_q g_q)     theta_rest += P (rest_p g_p + rest_q g_q)
 *     curvature of theta_turn = first (g_p + tilt g_q)^2 + second g_q^2
 * a sum of squares, which rounding cannot make negative. */
typedef struct bend {
    float step_p[NBT_LANES], step_q[NBT_LANES], rest_p[NBT_LANES], rest_q[NBT_LANES];
    float first[NBT_LANES], tilt[NBT_LANES], second[NBT_LANES];
} bend;

NBT_INLINE void bend_of(bend *by, size_t width, const nbt_layout *l, const nbt_update *update,
                        size_t unit)
{
    /* Row b is row a with q for p and -p for q. */
    size_t turned = update->first * l->C, at = place_p(l, unit) + turned;
    size_t other = place_q(l, unit) - turned;
    float sign = 1.0f - 2.0f * (float)update->first;
    const float *p = update->step_g + at, *q = update->step_g + other;
    const float *first = update->curvature_g + at, *second = update->curvature_g + other;
    for (size_t lane = 0; lane < width; lane++) {
        float cross = sign * update->tilt[unit + lane], quotient = cross / first[lane];
        float tilt = nbt_select(first[lane] > NBT_SPLIT_MIN, quotient, 0.0f);
        float left = second[lane] - tilt * cross;
        by->step_p[lane] = p[lane];
        by->step_q[lane] = sign * q[lane];
        by->rest_p[lane] = q[lane];
        by->rest_q[lane] = -sign * p[lane];
        by->first[lane] = first[lane];
        by->tilt[lane] = tilt;
        by->second[lane] = nbt_select(left > 0.0f, left, 0.0f);
    }
}

/* The weight of one input in the row that has its turn, and in the other row. */
NBT_INLINE void change_input(const bend *by, size_t lane, float keep, float rate_floor,
                             float *theta, float *p, float *theta_rest, const float *p_rest,
                             float g_p, float g_q)
{
    float variance = *p, tilted = g_p + by->tilt[lane] * g_q;
    float curvature =
        (by->first[lane] * tilted) * tilted + (by->second[lane] * g_q) * g_q + rate_floor;
    *theta += variance * (by->step_p[lane] * g_p + by->step_q[lane] * g_q);
    *p = nbt_kalman_shrink(variance, keep, variance * curvature);
    *theta_rest += *p_rest * (by->rest_p[lane] * g_p + by->rest_q[lane] * g_q);
}

/* All inputs of a block, as in advance_inputs. */
#if NBT_LANES < 4
static NBT_NOINLINE void change_inputs(size_t width, const bend *by, float keep, float rate_floor,
                                       float *NBT_RESTRICT theta, float *NBT_RESTRICT p,
                                       float *NBT_RESTRICT theta_rest,
                                       const float *NBT_RESTRICT p_rest, const float *g_p,
                                       const float *g_q, size_t n)
{
    bend with = *by;
    (void)width;
#define COLUMN                                                                              \
    {                                                                                       \
        change_input(&with, 0, keep, rate_floor, theta, p, theta_rest, p_rest, *g_p, *g_q); \
        theta++;                                                                            \
        p++;                                                                                \
        theta_rest++;                                                                       \
        p_rest++;                                                                           \
        g_p++;                                                                              \
        g_q++;                                                                              \
        NBT_PIN(theta);                                                                     \
        NBT_PIN(p);                                                                         \
        NBT_PIN(theta_rest);                                                                \
        NBT_PIN(p_rest);                                                                    \
        NBT_PIN(g_p);                                                                       \
        NBT_PIN(g_q);                                                                       \
    }
    NBT_REPEAT(n, COLUMN)
#undef COLUMN
}
#else
NBT_INLINE void change_inputs(size_t width, const bend *by, float keep, float rate_floor,
                              float *NBT_RESTRICT theta, float *NBT_RESTRICT p,
                              float *NBT_RESTRICT theta_rest, const float *NBT_RESTRICT p_rest,
                              const float *g_p, const float *g_q, size_t n)
{
    for (size_t i = 0; i < n * width; i += width) {
        for (size_t lane = 0; lane < width; lane++) {
            size_t k = i + lane;
            change_input(by, lane, keep, rate_floor, theta + k, p + k, theta_rest + k, p_rest + k,
                         g_p[k], g_q[k]);
        }
    }
}
#endif

/* nu, or omega, whose derivative is g_p + i g_q. */
NBT_INLINE void step_pole(size_t width, const float *step_p, const float *step_q,
                          float *NBT_RESTRICT theta, const float *p, const float *g_p,
                          const float *g_q)
{
    for (size_t lane = 0; lane < width; lane++) {
        theta[lane] += p[lane] * (step_p[lane] * g_p[lane] + step_q[lane] * g_q[lane]);
    }
}

/* P of the one of them that has its turn. Rounding may bring its curvature below 0. */
NBT_INLINE void shrink_pole(size_t width, const nbt_update *update, const float *pp,
                            const float *qq, const float *pq, float *NBT_RESTRICT p,
                            const float *g_p, const float *g_q)
{
    for (size_t lane = 0; lane < width; lane++) {
        float cross = pq[lane] * (g_p[lane] * g_q[lane]);
        float seen = pp[lane] * (g_p[lane] * g_p[lane]) + qq[lane] * (g_q[lane] * g_q[lane]) +
                     (cross + cross);
        seen = nbt_select(seen > 0.0f, seen, 0.0f);
        p[lane] = nbt_kalman_shrink(p[lane], update->keep, p[lane] * (seen + update->rate_floor));
    }
}

/* theta of a block without a metric. */
NBT_INLINE void step_weights(size_t width, size_t unit, const nbt_layout *l,
                             const nbt_update *update, float *row_a, float *row_b, const float *g_p,
                             const float *g_q)
{
    const float *p = update->step_g + place_p(l, unit), *q = update->step_g + place_q(l, unit);
    const float *angle_p = NBT_OF(l, angle_traces) + unit, *angle_q = angle_p + l->C;
    for (size_t lane = 0; lane < width; lane++) {
        row_a[lane] += p[lane] * g_p[lane] + q[lane] * g_q[lane];
        row_b[lane] += p[lane] * angle_p[lane] + q[lane] * angle_q[lane];
    }
    for (size_t i = width; i < l->D * width; i += width) {
        for (size_t lane = 0; lane < width; lane++) {
            row_a[i + lane] += p[lane] * g_p[i + lane] + q[lane] * g_q[i + lane];
            row_b[i + lane] += q[lane] * g_p[i + lane] - p[lane] * g_q[i + lane];
        }
    }
}

/* The rows of a unit take turns, as the gates of other columns do. */
NBT_INLINE void change_resonators(size_t width, size_t unit, const nbt_layout *l,
                                  const nbt_matrices *m, const nbt_update *update)
{
    size_t first = unit * m->cols, half = l->D * width;
    size_t turn = update->first * half, rest = half - turn;
    const float *g_p = l->m.g + first_resonator(l) + first, *g_q = g_p + half;
    const float *angle_p = NBT_OF(l, angle_traces) + unit, *angle_q = angle_p + l->C;
    float *theta = m->theta + first;
    if (!nbt_has_cov(m)) {
        step_weights(width, unit, l, update, theta, theta + half, g_p, g_q);
    } else {
        /* An array instead of a conditional, which would be a branch. */
        const float *poles_p[2] = {g_p, angle_p}, *poles_q[2] = {g_q, angle_q};
        const float *step_p = update->step_g + place_p(l, unit);
        const float *step_q = update->step_g + place_q(l, unit);
        const float *pp = update->curvature_g + place_p(l, unit);
        const float *qq = update->curvature_g + place_q(l, unit);
        float *p = m->cov + first;
        bend by;
        step_pole(width, step_p, step_q, theta, p, g_p, g_q);
        step_pole(width, step_p, step_q, theta + half, p + half, angle_p, angle_q);
        shrink_pole(width, update, pp, qq, update->tilt + unit, p + turn, poles_p[update->first],
                    poles_q[update->first]);
        bend_of(&by, width, l, update, unit);
        turn += width;
        rest += width;
        change_inputs(width, &by, update->keep, update->rate_floor, theta + turn, p + turn,
                      theta + rest, p + rest, g_p + width, g_q + width, l->D - 1);
    }
    for (size_t lane = 0; lane < width; lane++) {
        theta[lane] = nbt_clamp(theta[lane], NBT_NU_MIN, NBT_NU_MAX);
        theta[half + lane] = nbt_clamp(theta[half + lane], 0.0f, OMEGA_MAX);
    }
}

NBT_OWN_FRAME NBT_LOCAL void nbt_resonator_change(const nbt_layout *l, const nbt_update *update)
{
    nbt_matrices m = resonators_of(l);
#define BODY(width, row, unit) change_resonators(width, row, l, &m, update)
    NBT_FOR_EACH_BLOCK(&m, BODY)
#undef BODY
}
