#include "nbt_resonator.h"

#include "nbt_block.h"
#include "nbt_kalman.h"
#include "nbt_math.h"

#define OMEGA_MAX 3.14159265f
/* Far more than a sum of bounded inputs: with lambda inside the unit circle nothing else grows. */
#define STATE_LIMIT 1e4f

/* Place of the resonators in the matrices. */
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

/* Where p of resonator `unit`, its row a, and q of it lie in a state; row b in a (R) lies H on. */
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
    const float *theta = m->theta + unit * m->cols, *end = tail + (l->Z - l->E);
    for (size_t row = place_p(l, unit); row < l->R; row += l->H) {
        float sum[NBT_LANES] = {0};
        theta += width; /* nu, omega */
        for (const float *x = tail; x < end; x++, theta += width) {
            for (size_t lane = 0; lane < width; lane++) {
                sum[lane] += theta[lane] * *x;
            }
        }
        nbt_copy(a + row, sum, width);
    }
}

NBT_LOCAL void nbt_resonator_forward(const nbt_layout *l, float *a, const float *u)
{
    nbt_matrices m = resonators_of(l);
#define BODY(width, row, unit) forward_resonators(width, row, l, &m, a, u + l->E)
    NBT_FOR_EACH_BLOCK(&m, BODY)
#undef BODY
}

/* What a step with carry leaves to the advance that follows it (3, C): e^nu, n, dn / dnu. */
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

/* lambda of a block of resonators. */
typedef struct turn {
    float cosine[NBT_LANES], sine[NBT_LANES];
} turn;

/* g <- lambda g + (along_p + i along_q) for one complex trace of a block. */
NBT_INLINE void turn_traces(size_t width, const turn *by, float *NBT_RESTRICT g_p,
                            float *NBT_RESTRICT g_q, const float *along_p, const float *along_q)
{
    for (size_t lane = 0; lane < width; lane++) {
        float p = g_p[lane], q = g_q[lane];
        g_p[lane] = by->cosine[lane] * p - by->sine[lane] * q + along_p[lane];
        g_q[lane] = by->sine[lane] * p + by->cosine[lane] * q + along_q[lane];
    }
}

/* The sums of a block of resonators. */
typedef struct squares {
    float pp[NBT_LANES], qq[NBT_LANES], pq[NBT_LANES];
} squares;

/* Adds those of a weight with the variances p and the derivative g_p + i g_q. */
NBT_INLINE void add_squares(size_t width, int metric, squares *sum, const float *p,
                            const float *g_p, const float *g_q)
{
    for (size_t lane = 0; lane < width; lane++) {
        float variance = metric ? p[lane] : 1.0f;
        float by_p = variance * g_p[lane], by_q = variance * g_q[lane];
        sum->pp[lane] += by_p * g_p[lane];
        sum->qq[lane] += by_q * g_q[lane];
        sum->pq[lane] += by_p * g_q[lane];
    }
}

NBT_INLINE void advance_resonators(size_t width, size_t unit, const nbt_layout *l,
                                   const nbt_matrices *m)
{
    size_t at = unit * m->cols, half = l->D * width;
    size_t at_p = place_p(l, unit), at_q = place_q(l, unit);
    int metric = nbt_has_cov(m);
    const float *tail = l->u + l->E;
    const float *cov = (metric ? m->cov : m->theta) + at; /* of no use without a metric */
    const float *cov_b = cov + half;
    float *g_p = l->m.g + first_resonator(l) + at, *g_q = g_p + half;
    float *angle_p = NBT_OF(l, angle_traces) + unit, *angle_q = angle_p + l->C;
    turn by = {{0}, {0}};
    squares sum = {{0}, {0}, {0}};
    float n[NBT_LANES], zero[NBT_LANES] = {0}, minus[NBT_LANES];
    float nu_p[NBT_LANES], nu_q[NBT_LANES], omega_p[NBT_LANES], omega_q[NBT_LANES];
    nbt_copy(by.cosine, l->carry + at_p, width);
    nbt_copy(by.sine, l->carry + at_q, width);
    nbt_copy(n, left_by_step(l, 1) + unit, width);
    for (size_t lane = 0; lane < width; lane++) {
        float rate = left_by_step(l, 0)[unit + lane], widens = left_by_step(l, 2)[unit + lane];
        float p = l->u[at_p + lane], q = l->u[at_q + lane];
        float turned_p = by.cosine[lane] * p - by.sine[lane] * q;
        float turned_q = by.sine[lane] * p + by.cosine[lane] * q;
        nu_p[lane] = widens * l->act[at_p + lane] - rate * turned_p;
        nu_q[lane] = widens * l->act[l->H + at_p + lane] - rate * turned_q;
        omega_p[lane] = -turned_q;
        omega_q[lane] = turned_p;
    }
    turn_traces(width, &by, angle_p, angle_q, omega_p, omega_q);
    add_squares(width, metric, &sum, cov_b, angle_p, angle_q);
    turn_traces(width, &by, g_p, g_q, nu_p, nu_q);
    add_squares(width, metric, &sum, cov, g_p, g_q);
    for (size_t j = 1; j < l->D; j++) {
        float along[NBT_LANES];
        size_t i = j * width;
        for (size_t lane = 0; lane < width; lane++) {
            along[lane] = n[lane] * tail[j - 1];
        }
        turn_traces(width, &by, g_p + i, g_q + i, along, zero);
        for (size_t lane = 0; lane < width; lane++) {
            minus[lane] = -g_q[i + lane];
        }
        add_squares(width, metric, &sum, cov + i, g_p + i, g_q + i);
        add_squares(width, metric, &sum, cov_b + i, minus, g_p + i);
    }
    nbt_copy(nbt_g_square(l) + at_p, sum.pp, width);
    nbt_copy(nbt_g_square(l) + at_q, sum.qq, width);
    nbt_copy(NBT_OF(l, pq_square) + unit, sum.pq, width);
}

NBT_LOCAL void nbt_resonator_advance(const nbt_layout *l)
{
    nbt_matrices m = resonators_of(l);
#define BODY(width, row, unit) advance_resonators(width, row, l, &m)
    NBT_FOR_EACH_BLOCK(&m, BODY)
#undef BODY
}

/* What a label says of a block of resonators: steps along p and q, curvatures. */
typedef struct bend {
    float step_p[NBT_LANES], step_q[NBT_LANES];
    float pp[NBT_LANES], qq[NBT_LANES], pq[NBT_LANES];
    float keep, rate_floor;
    int metric;
} bend;

/* A weight with the derivative g_p + i g_q and, with a metric, its variance, if it has its turn. */
NBT_INLINE void change_weight(size_t width, const bend *by, int has_turn, float *NBT_RESTRICT theta,
                              float *NBT_RESTRICT p, const float *g_p, const float *g_q)
{
    for (size_t lane = 0; lane < width; lane++) {
        float step = by->step_p[lane] * g_p[lane] + by->step_q[lane] * g_q[lane];
        float cross = by->pq[lane] * (g_p[lane] * g_q[lane]);
        float curvature = by->pp[lane] * (g_p[lane] * g_p[lane]) +
                          by->qq[lane] * (g_q[lane] * g_q[lane]) + 2.0f * cross;
        curvature = nbt_select(curvature > 0.0f, curvature, 0.0f);
        if (!by->metric) {
            theta[lane] += step;
            continue;
        }
        float variance = p[lane];
        theta[lane] += variance * step;
        p[lane] = has_turn ? nbt_kalman_shrink(variance, by->keep,
                                               variance * curvature + by->rate_floor * variance)
                           : variance;
    }
}

NBT_INLINE void change_resonators(size_t width, size_t unit, const nbt_layout *l,
                                  const nbt_matrices *m, const nbt_update *update)
{
    size_t at = unit * m->cols, half = l->D * width;
    size_t at_p = place_p(l, unit), at_q = place_q(l, unit);
    const float *g_p = l->m.g + first_resonator(l) + at, *g_q = g_p + half;
    const float *angle_p = NBT_OF(l, angle_traces) + unit, *angle_q = angle_p + l->C;
    float *row_a = m->theta + at, *row_b = row_a + half;
    bend by;
    by.metric = nbt_has_cov(m);
    by.keep = update->keep;
    by.rate_floor = update->rate_floor;
    float *p_a = by.metric ? m->cov + at : row_a, *p_b = p_a + half; /* of no use without one */
    nbt_copy(by.step_p, update->step_g + at_p, width);
    nbt_copy(by.step_q, update->step_g + at_q, width);
    nbt_copy(by.pp, update->curvature_g + at_p, width);
    nbt_copy(by.qq, update->curvature_g + at_q, width);
    nbt_copy(by.pq, update->tilt + unit, width);
    int has_turn = nbt_kalman_has_turn(update, 0);
    change_weight(width, &by, has_turn, row_a, p_a, g_p, g_q);
    change_weight(width, &by, has_turn, row_b, p_b, angle_p, angle_q);
    for (size_t lane = 0; lane < width; lane++) {
        row_a[lane] = nbt_clamp(row_a[lane], NBT_NU_MIN, NBT_NU_MAX);
        row_b[lane] = nbt_clamp(row_b[lane], 0.0f, OMEGA_MAX);
    }
    for (size_t i = width, j = 1; i < half; i += width, j++) {
        float minus[NBT_LANES];
        for (size_t lane = 0; lane < width; lane++) {
            minus[lane] = -g_q[i + lane];
        }
        has_turn = nbt_kalman_has_turn(update, j);
        change_weight(width, &by, has_turn, row_a + i, p_a + i, g_p + i, g_q + i);
        change_weight(width, &by, has_turn, row_b + i, p_b + i, minus, g_p + i);
    }
}

NBT_LOCAL void nbt_resonator_change(const nbt_layout *l, const nbt_update *update)
{
    nbt_matrices m = resonators_of(l);
#define BODY(width, row, unit) change_resonators(width, row, l, &m, update)
    NBT_FOR_EACH_BLOCK(&m, BODY)
#undef BODY
}
