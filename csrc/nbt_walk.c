#include "nbt_walk.h"

#include "nbt_intake.h"
#include "nbt_math.h"
#include "nbt_rtrl.h"
#include "nbt_scaler.h"

/* What a float may be. */
typedef enum word_kind {
    ANY_SIGN,    /* finite */
    NONNEGATIVE, /* ... and at least 0 */
    POSITIVE     /* ... and above 0 */
} word_kind;

/* Bounds that no step of the kernel leaves, with room to spare, in scaled units where nothing else is said.
 * A checkpoint beyond them was made by hand. */
#define LIMIT NBT_HUGE           /* parameters, estimate: a step of them is at most 1e6 */
#define H_LIMIT 2.0f             /* a unit's state is a mean of values of tanh */
#define C_LIMIT 33554432.0f      /* the lstm's c grows by at most 1 a step, and a float only to 2^24 */
#define COVARIANCE_LIMIT 1e7f    /* info_floor is at least 1e-6, the priors at most 1e6 */
#define VALUE_LIMIT 2e18f        /* caller's units: twice NBT_VALUE_LIMIT */
#define VARIANCE_LIMIT 1e37f     /* its square */
#define LARGEST 3.40282347e38f   /* any finite number */

/* An integer of at most `most`. Returns it. */
static uint32_t walk_count(nbt_walker *walker, uint32_t *count, uint32_t most)
{
    uint32_t after = walker->visit(walker, walker->reads ? *count : 0);
    int good = after <= most;
    walker->sound &= good;
    after = good ? after : 0;
    if (walker->writes) {
        *count = after;
    }
    return after;
}

/* The same with 64 bits, low word first. */
static void walk_pair(nbt_walker *walker, uint64_t *count, uint64_t most)
{
    uint32_t low = walker->visit(walker, walker->reads ? (uint32_t)*count : 0);
    uint32_t high = walker->visit(walker, walker->reads ? (uint32_t)(*count >> 32) : 0);
    uint64_t after = (uint64_t)high << 32 | low;
    int good = after <= most;
    walker->sound &= good;
    if (walker->writes) {
        *count = good ? after : 0;
    }
}

/* The state of the generator: one of all zeros would stay so. */
static void walk_generator(nbt_walker *walker, uint32_t *rng)
{
    uint32_t any = 0;
    for (size_t i = 0; i < 4; i++) {
        uint32_t after = walker->visit(walker, walker->reads ? rng[i] : 0);
        any |= after;
        if (walker->writes) {
            rng[i] = after;
        }
    }
    walker->sound &= any != 0;
}

/* A number of at most `most` in size. NaN is smaller than nothing. */
static void walk_float(nbt_walker *walker, float *value, word_kind kind, float most)
{
    uint32_t after = walker->visit(walker, walker->reads ? nbt_bits(*value) : 0);
    float number = nbt_from_bits(after);
    walker->sound &= nbt_abs(number) <= most &&
                     (kind == ANY_SIGN || number > 0.0f || (kind == NONNEGATIVE && number >= 0.0f));
    if (walker->writes) {
        *value = number;
    }
}

/* NULL for an array that the configuration does not have. */
static void walk_array(nbt_walker *walker, float *data, size_t n, word_kind kind, float most)
{
    for (size_t i = 0; i < n && data != NULL; i++) {
        walk_float(walker, data + i, kind, most);
    }
}

static void walk_matrix(nbt_walker *walker, const nbt_layout *l, float *data, word_kind kind, float most)
{
    for (size_t row = 0; row < l->R && data != NULL; row++) {
        for (size_t col = 0; col < l->D; col++) {
            walk_float(walker, data + nbt_block_index(row, col, l->R, l->D), kind, most);
        }
    }
}

/* Packed columns: the entries above the diagonal, then d_j. */
static void walk_ud(nbt_walker *walker, float *ud, size_t n)
{
    for (size_t col = 0; col < n && ud != NULL; col++) {
        walk_array(walker, ud, col, ANY_SIGN, LIMIT);
        walk_float(walker, ud + col, NONNEGATIVE, COVARIANCE_LIMIT);
        ud += col + 1;
    }
}

/* stats (3, n): mean, variance, count. */
static void walk_scaler(nbt_walker *walker, float *stats, size_t n)
{
    if (stats != NULL) {
        walk_array(walker, stats, n, ANY_SIGN, VALUE_LIMIT);
        walk_array(walker, stats + n, n, NONNEGATIVE, VARIANCE_LIMIT);
        walk_array(walker, stats + 2 * n, n, NONNEGATIVE, LARGEST);
    }
}

/* stats (2, n): the innovation variance, and how many labels it has seen. */
static void walk_noise(nbt_walker *walker, float *stats, size_t n)
{
    if (stats != NULL) {
        walk_array(walker, stats, n, POSITIVE, VARIANCE_LIMIT);
        walk_array(walker, stats + n, n, NONNEGATIVE, LARGEST);
    }
}

/* stats (2, n): a value, and how often it was seen. */
static void walk_counted(nbt_walker *walker, float *stats, size_t n)
{
    if (stats != NULL) {
        walk_array(walker, stats, n, ANY_SIGN, LARGEST);
        walk_array(walker, stats + n, n, NONNEGATIVE, LARGEST);
    }
}

/* state (S): h, and under the lstm c. */
static void walk_state(nbt_walker *walker, const nbt_layout *l, float *state)
{
    walk_array(walker, state, l->H, ANY_SIGN, H_LIMIT);
    walk_array(walker, state + l->H, l->S - l->H, ANY_SIGN, C_LIMIT);
}

/* The arrays of the last good copy, one after the other (nbt_layout.h). */
static void walk_copy(nbt_walker *walker, const nbt_layout *l, size_t n_in)
{
    float *kept = l->copy;
    size_t weights = l->R * l->D;
    if (nbt_is_swept(l) || NBT_IS_EXACT(l)) {
        walk_matrix(walker, l, kept, ANY_SIGN, LIMIT);
        kept += weights;
    }
    if (nbt_has_cov(&l->m)) {
        walk_matrix(walker, l, kept, POSITIVE, COVARIANCE_LIMIT);
        kept += weights;
    }
    if (nbt_has_coupling(&l->m)) {
        walk_matrix(walker, l, kept, ANY_SIGN, LIMIT);
        kept += weights;
    }
    walk_array(walker, kept, l->O * l->D, ANY_SIGN, LIMIT);
    kept += l->O * l->D;
    if (nbt_is_kalman(l)) {
        walk_ud(walker, kept, l->D);
        kept += l->D * (l->D + 1) / 2;
    }
    if (nbt_is_gaussian(l)) {
        walk_noise(walker, kept, l->O);
        kept += 2 * l->O;
    }
    walk_scaler(walker, kept, n_in);
    if (nbt_is_gaussian(l)) {
        walk_scaler(walker, kept + 3 * n_in, l->O);
    }
}

static void walk_guards(nbt_walker *walker, nbt_learner *learner, const nbt_layout *l, uint32_t pending)
{
    const nbt_config *config = &learner->config;
    walk_count(walker, &learner->quarantine, pending);
    walk_count(walker, &learner->copy, config->rollback_steps > 0 ? NBT_COPY_TAKEN : NBT_COPY_NONE);
    walk_float(walker, &learner->level, POSITIVE, LARGEST);
    walk_float(walker, &learner->seen, NONNEGATIVE, LARGEST);
    walk_float(walker, &learner->alarm, NONNEGATIVE, LARGEST);
    walk_pair(walker, &learner->opened, learner->counters.labels);
    walk_counted(walker, l->input_run, config->n_in);
    walk_counted(walker, l->label_run, l->O);
    if (nbt_has_copy(l)) {
        walk_copy(walker, l, config->n_in);
    }
}

void nbt_walk(nbt_walker *walker, nbt_learner *learner, const nbt_layout *l)
{
    walk_generator(walker, learner->rng);
    uint32_t pending = walk_count(walker, &learner->pending, learner->config.max_delay + 1);
    walk_count(walker, &learner->column, learner->config.n_hidden - 1);
    walk_matrix(walker, l, l->m.theta, ANY_SIGN, LIMIT);
    walk_array(walker, l->readout, l->O * l->D, ANY_SIGN, LIMIT);
    walk_matrix(walker, l, l->m.w, ANY_SIGN, LIMIT);
    walk_array(walker, l->v, l->N * l->S, ANY_SIGN, LIMIT);
    walk_matrix(walker, l, l->m.g, ANY_SIGN, LIMIT);
    walk_array(walker, NBT_OF(l, balance), 1 + 2 * l->H, NONNEGATIVE, LARGEST);
    walk_array(walker, NBT_OF(l, exact), l->S * l->R * l->D, ANY_SIGN, LIMIT);
    walk_matrix(walker, l, l->m.cov, POSITIVE, COVARIANCE_LIMIT);
    walk_matrix(walker, l, l->m.coupling, ANY_SIGN, LIMIT);
    walk_ud(walker, l->ud, l->D);
    walk_noise(walker, l->noise, l->O);
    walk_state(walker, l, l->state);
    walk_state(walker, l, nbt_learning_state(l));
    walk_array(walker, NBT_OF(l, leak), l->H, POSITIVE, 1.0f);
    nbt_ring ring = nbt_intake_ring(learner, l);
    for (size_t age = 0; age < ring.capacity; age++) {
        walk_array(walker, nbt_ring_slot(&ring, age), ring.n_in, ANY_SIGN, NBT_SCALED_LIMIT);
    }
    walk_scaler(walker, l->input_scale, ring.n_in);
    walk_scaler(walker, l->label_scale, l->O);
    if (walker->guards) {
        walk_guards(walker, learner, l, pending);
    }
}
