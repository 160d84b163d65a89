#include "nbt_walk.h"

#include "nbt_anomaly.h"
#include "nbt_experts.h"
#include "nbt_intake.h"
#include "nbt_math.h"
#include "nbt_rls.h"
#include "nbt_rtrl.h"
#include "nbt_scaler.h"

/* Permitted values of a float. */
typedef enum word_kind {
    ANY_SIGN,    /* finite */
    NONNEGATIVE, /* ... and at least 0 */
    POSITIVE     /* ... and above 0 */
} word_kind;

/* Bounds that no step of the kernel reaches, with a margin; in scaled units unless noted. A
 * checkpoint with a larger number was modified. */
#define LIMIT NBT_HUGE /* parameters, estimate: each step changes them by at most 1e6 */
#define H_LIMIT 2.0f   /* a unit's state is an average of values of tanh */
/* The lstm's c grows by at most 1 per step, and in a float only to 2^24. */
#define C_LIMIT 33554432.0f
#define COVARIANCE_LIMIT 1e7f  /* info_floor is at least 1e-6, the priors at most 1e6 */
#define VALUE_LIMIT 2e18f      /* caller's units: twice NBT_VALUE_LIMIT */
#define VARIANCE_LIMIT 1e37f   /* its square */
#define LARGEST 3.40282347e38f /* any finite number */

/* Visits an integer of at most `most`. Returns it. */
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

/* Visits the state of the generator, which must not be all zeros. */
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

/* Visits a number of magnitude at most `most`. NaN fails every comparison. */
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

static void walk_array(nbt_walker *walker, float *data, size_t n, word_kind kind, float most)
{
    for (size_t i = 0; i < n; i++) {
        walk_float(walker, data + i, kind, most);
    }
}

static void walk_matrix(nbt_walker *walker, const nbt_layout *l, float *data, word_kind kind,
                        float most)
{
    for (size_t row = 0; row < l->R; row++) {
        for (size_t col = 0; col < l->D; col++) {
            walk_float(walker, data + nbt_layout_index(l, row, col), kind, most);
        }
    }
}

/* U or its covariance, row by row. */
static void walk_head(nbt_walker *walker, const nbt_layout *l, float *data, word_kind kind,
                      float most)
{
    for (size_t k = 0; k < l->Q; k++) {
        for (size_t j = 0; j < l->Z; j++) {
            walk_float(walker, data + nbt_layout_head_index(l, k, j), kind, most);
        }
    }
}

/* Packed columns: the entries above the diagonal, then d_j. */
static void walk_factor(nbt_walker *walker, float *ud, size_t n, float most)
{
    for (size_t col = 0; col < n; col++) {
        walk_array(walker, ud, col, ANY_SIGN, LIMIT);
        walk_float(walker, ud + col, NONNEGATIVE, most);
        ud += col + 1;
    }
}

/* A prior in units of the target is up to 1e8 times the prior, and changes of units scale it. */
static float covariance_limit(const nbt_layout *l)
{
    return nbt_lifts(l) || nbt_follows(l) ? LIMIT : COVARIANCE_LIMIT;
}

/* state (S): h, and under the lstm c; of resonators p and q. */
static void walk_state(nbt_walker *walker, const nbt_layout *l, float *state)
{
    size_t bounded = l->H - nbt_resonators(l);
    walk_array(walker, state, bounded, ANY_SIGN, H_LIMIT);
    walk_array(walker, state + bounded, l->S - bounded, ANY_SIGN, C_LIMIT);
}

/* Visits the samples, newest first. */
static void walk_ring(nbt_walker *walker, nbt_ring ring, float most)
{
    for (size_t age = 0; age < ring.capacity; age++) {
        walk_array(walker, nbt_ring_slot(&ring, age), ring.n_in, ANY_SIGN, most);
    }
}

/* The input channel of each output, or -1. */
static void walk_anchor(nbt_walker *walker, float *anchor, size_t n, size_t n_in)
{
    for (size_t o = 0; o < n; o++) {
        float channel =
            nbt_from_bits(walker->visit(walker, walker->reads ? nbt_bits(anchor[o]) : 0));
        int good = nbt_experts_is_channel(channel, n_in);
        walker->sound &= good;
        if (walker->writes) {
            anchor[o] = good ? channel : -1.0f;
        }
    }
}

/* Visits the state of nbt_anomaly.h for each output. */
static void walk_usual(nbt_walker *walker, float *usual, size_t n)
{
    for (size_t at = 0; at < n; at += NBT_ANOMALY_END) {
        walk_array(walker, usual + at, NBT_ANOMALY_SIGNED, NONNEGATIVE, VARIANCE_LIMIT);
        walk_array(walker, usual + at + NBT_ANOMALY_SIGNED, NBT_ANOMALY_END - NBT_ANOMALY_SIGNED,
                   ANY_SIGN, VALUE_LIMIT);
    }
}

/* A whole number below `end`, as a float. */
static void walk_index(nbt_walker *walker, float *index, size_t end)
{
    float after = nbt_from_bits(walker->visit(walker, walker->reads ? nbt_bits(*index) : 0));
    int good = after >= 0.0f && after < (float)end && (float)(size_t)after == after;
    walker->sound &= good;
    if (walker->writes) {
        *index = good ? after : 0.0f;
    }
}

/* Visits numbers of n outputs, NaN without a label. The bits of NaN differ between processors and
 * are normalised. */
static void walk_labels(nbt_walker *walker, float *label, size_t n)
{
    for (size_t o = 0; o < n; o++) {
        uint32_t now = nbt_is_nan(label[o]) ? NBT_NAN_BITS : nbt_bits(label[o]);
        uint32_t after = walker->visit(walker, walker->reads ? now : 0);
        walker->sound &= after == NBT_NAN_BITS || nbt_is_finite(nbt_from_bits(after));
        if (walker->writes) {
            label[o] = nbt_from_bits(after);
        }
    }
}

/* Visits the label in progress and the kept label of nbt_rls.h, with O outputs and F features. */
static void walk_turn(nbt_walker *walker, float *turn, size_t O, size_t F)
{
    walk_index(walker, turn, NBT_RLS_PARTS);
    walk_index(walker, turn + 1, F + 1);
    walk_float(walker, turn + 2, NONNEGATIVE, LARGEST);
    walk_labels(walker, turn + 3, O);
    walk_array(walker, turn + 3 + O, 2 * F, ANY_SIGN, LARGEST);
}

static void walk_kept(nbt_walker *walker, float *kept, size_t O, size_t F)
{
    walk_index(walker, kept, 2);
    walk_labels(walker, kept + 1, O);
    walk_array(walker, kept + 1 + O, F, ANY_SIGN, LARGEST);
}

/* The levels of intervals, ascending. */
static void walk_levels(nbt_walker *walker, float *level, size_t n)
{
    float below = 0.0f;
    for (size_t i = 0; i < n; i++) {
        float after = nbt_from_bits(walker->visit(walker, walker->reads ? nbt_bits(level[i]) : 0));
        walker->sound &= after > below && after < 1.0f;
        below = after;
        if (walker->writes) {
            level[i] = after;
        }
    }
}

/* The contents of NBT_SAVED_ARRAYS. */
typedef enum array_content {
    WEIGHTS,      /* of either sign */
    VARIANCES,    /* of scaled units */
    HEAD_WEIGHTS, /* (Q, Z), in blocks */
    HEAD_VARIANCES,
    SQUARES, /* sums of squares */
    SHARES,  /* above 0, at most 1 */
    FACTOR,  /* of a covariance, nbt_ud.h */
    NOISE,   /* (2, n) the innovation variance and the number of labels counted */
    STATE,   /* (2, S) */
    RING,
    SCALER,    /* (3, n) mean, variance, count */
    COUNTED,   /* (2, n) a value and the number of its repetitions */
    SAMPLES,   /* inputs in units that follow the stream */
    UNIT_ROWS, /* (6, n) reference, mean and deviation that are applied; mean, variance, count of a
                  block */
    ANCHOR,
    FORECASTS, /* forecasts that wait for labels */
    USUAL,
    LEVELS,
    KEPT,   /* a label that will be learnt in parts (nbt_rls.h) */
    TURN,   /* a label that is being learnt in parts */
    FACTORS /* one factor per output, of the linear expert */
} array_content;

static void walk_content(nbt_walker *walker, nbt_learner *learner, const nbt_layout *l, float *data,
                         size_t n, array_content what)
{
    switch (what) {
    case WEIGHTS: walk_array(walker, data, n, ANY_SIGN, LIMIT); break;
    case VARIANCES: walk_array(walker, data, n, POSITIVE, COVARIANCE_LIMIT); break;
    case HEAD_WEIGHTS: walk_head(walker, l, data, ANY_SIGN, LIMIT); break;
    case HEAD_VARIANCES: walk_head(walker, l, data, POSITIVE, COVARIANCE_LIMIT); break;
    case SQUARES: walk_array(walker, data, n, NONNEGATIVE, LARGEST); break;
    case SHARES: walk_array(walker, data, n, POSITIVE, 1.0f); break;
    case FACTOR: walk_factor(walker, data, l->F, covariance_limit(l)); break;
    case FACTORS:
        for (size_t o = 0; o < l->O; o++) {
            size_t features = (size_t)l->config->linear_lags + 1;
            walk_factor(walker, data + o * (features * (features + 1) / 2), features,
                        covariance_limit(l));
        }
        break;
    case NOISE:
        walk_array(walker, data, n / 2, POSITIVE, VARIANCE_LIMIT);
        walk_array(walker, data + n / 2, n / 2, NONNEGATIVE, LARGEST);
        break;
    case STATE:
        walk_state(walker, l, data);
        walk_state(walker, l, data + l->S);
        break;
    case RING: walk_ring(walker, nbt_intake_ring(learner, l), NBT_SCALED_LIMIT); break;
    case SAMPLES: walk_ring(walker, nbt_experts_taps(learner, l), NBT_SCALED_LIMIT); break;
    case FORECASTS: walk_ring(walker, nbt_experts_waiting(learner, l), LIMIT); break;
    case UNIT_ROWS:
        walk_array(walker, data, n / 6 * 4, ANY_SIGN, VALUE_LIMIT);
        walk_array(walker, data + n / 6 * 4, n / 6, NONNEGATIVE, VARIANCE_LIMIT);
        walk_array(walker, data + n / 6 * 5, n / 6, NONNEGATIVE, LARGEST);
        break;
    case KEPT: walk_kept(walker, data, l->O, l->F); break;
    case TURN: walk_turn(walker, data, l->O, l->F); break;
    case USUAL: walk_usual(walker, data, n); break;
    case LEVELS: walk_levels(walker, data, n); break;
    case ANCHOR: walk_anchor(walker, data, n, l->config->n_in); break;
    case SCALER:
        walk_array(walker, data, n / 3, ANY_SIGN, VALUE_LIMIT);
        walk_array(walker, data + n / 3, n / 3, NONNEGATIVE, VARIANCE_LIMIT);
        walk_array(walker, data + n / 3 * 2, n / 3, NONNEGATIVE, LARGEST);
        break;
    case COUNTED:
        walk_array(walker, data, n / 2, ANY_SIGN, LARGEST);
        walk_array(walker, data + n / 2, n / 2, NONNEGATIVE, LARGEST);
        break;
    }
}

/* A matrix, row by row. */
static void walk_rows(nbt_walker *walker, const nbt_layout *l, float *data, array_content what)
{
    int variances = what == VARIANCES;
    walk_matrix(walker, l, data, variances ? POSITIVE : ANY_SIGN,
                variances ? COVARIANCE_LIMIT : LIMIT);
}

#define WALK_MATRIX(data, floats, what) walk_rows(walker, l, data, what)
#define WALK_POINTER(data, floats, what) walk_content(walker, learner, l, data, floats, what)
#define WALK_OPTIONAL(data, floats, what) walk_content(walker, learner, l, data, floats, what)

/* The minor version to which the copy of an array belongs: there are copies since version 1. */
#define COPIED_SINCE(since) ((since) < 1 ? 1u : (since))

/* Visits the arrays of the last good copy, matrices first, in the order of nbt_layout.c. */
static void walk_copy(nbt_walker *walker, nbt_learner *learner, const nbt_layout *l, uint32_t minor)
{
    float *kept = l->copy;
#define WALK_COPIED(where, name, purpose, content, since, copied, brought, floats) \
    if ((copied) * (brought) != 0) {                                               \
        if (COPIED_SINCE(since) == minor) {                                        \
            WALK_##where(kept, floats, content);                                   \
        }                                                                          \
        kept += (floats);                                                          \
    }
    NBT_SAVED_OF(WALK_COPIED, NBT_SKIP, l)
    NBT_SAVED_OF(NBT_SKIP, WALK_COPIED, l)
}

/* The counts visited so far. A walk that does not write does not store them in the learner. */
typedef struct walked {
#define SEEN(kind, name, most, since) SEEN_##kind(name)
#define SEEN_GENERATOR(name)
#define SEEN_COUNT(name) uint32_t name;
#define SEEN_PAIR(name)
#define SEEN_LEVEL(name)
#define SEEN_SUM(name)
#define SEEN_UNSAVED(name)
    NBT_WORD_LIST(SEEN)
} walked;

/* Visits the words of the header and the arrays that a minor version introduced. */
static void walk_version(nbt_walker *walker, nbt_learner *learner, const nbt_layout *l,
                         uint32_t minor, walked *seen)
{
    const nbt_config *config = &learner->config;
    const nbt_counters *counters = &learner->counters;
#define WALK_WORD(kind, name, most, since) \
    if ((since) == minor) {                \
        WALK_##kind(name, most)            \
    }
#define WALK_GENERATOR(name, most) walk_generator(walker, learner->name);
#define WALK_COUNT(name, most) seen->name = walk_count(walker, &learner->name, most);
#define WALK_PAIR(name, most) walk_pair(walker, &learner->name, most);
#define WALK_LEVEL(name, most) walk_float(walker, &learner->name, POSITIVE, LARGEST);
#define WALK_SUM(name, most) walk_float(walker, &learner->name, NONNEGATIVE, LARGEST);
#define WALK_UNSAVED(name, most)
    NBT_WORD_LIST(WALK_WORD)
#define WALK_ARRAY(where, name, purpose, content, since, copied, brought, floats) \
    if ((since) == minor && NBT_FIND_##where(l, name) != NULL) {                  \
        WALK_##where(NBT_FIND_##where(l, name), floats, content);                 \
    }
    NBT_SAVED_OF(WALK_ARRAY, WALK_ARRAY, l)
    NBT_STREAM_OF(WALK_ARRAY, l)
    if (nbt_has_copy(l)) {
        walk_copy(walker, learner, l, minor);
    }
}

void nbt_walk(nbt_walker *walker, nbt_learner *learner, const nbt_layout *l)
{
    walked seen = {0};
    for (uint32_t minor = 0; minor <= NBT_MINOR; minor++) {
        if ((walker->versions >> minor & 1u) != 0) {
            walk_version(walker, learner, l, minor, &seen);
        }
    }
}

/* Whether the caller may set an array of this content, unless it belongs to the estimate. */
static int is_learnt(array_content what)
{
    return what == WEIGHTS || what == VARIANCES || what == HEAD_WEIGHTS || what == HEAD_VARIANCES;
}

/* An empty array has the same address as the next one. */
#define WALK_LEARNT(where, name, purpose, content, since, copied, brought, floats)                 \
    if (is_learnt(content) &&                                                                      \
        offsetof(nbt_breakdown, purpose) != offsetof(nbt_breakdown, estimate) && (brought) != 0 && \
        NBT_FIND_##where(l, name) == data && (floats) == n) {                                      \
        WALK_##where(NBT_FIND_##where(l, name), floats, content);                                  \
        return 1;                                                                                  \
    }

int nbt_walk_learnt(nbt_walker *walker, nbt_learner *learner, const nbt_layout *l,
                    const float *data, size_t n)
{
    NBT_SAVED_OF(WALK_LEARNT, WALK_LEARNT, l)
    NBT_STREAM_OF(WALK_LEARNT, l)
    return 0;
}

size_t nbt_walk_words(const nbt_layout *l, uint32_t minor)
{
    int copies = NBT_ROLLBACK && l->config->rollback_steps > 0;
    uint32_t end = minor + 1;
    size_t words = 0;
#define COUNT_WORDS(kind, name, most, since) words += (since) < end ? SAVED_##kind : 0;
#define SAVED_GENERATOR NBT_WORDS_GENERATOR
#define SAVED_COUNT NBT_WORDS_COUNT
#define SAVED_PAIR NBT_WORDS_PAIR
#define SAVED_LEVEL NBT_WORDS_LEVEL
#define SAVED_SUM NBT_WORDS_SUM
#define SAVED_UNSAVED 0u
#define COUNT_FLOATS(where, name, purpose, content, since, copied, brought, floats) \
    words += (since) < end ? (size_t)(brought) * (floats) : 0;                      \
    words += copies && COPIED_SINCE(since) < end ? (size_t)(copied) * (brought) * (floats) : 0;
    NBT_WORD_LIST(COUNT_WORDS)
    NBT_SAVED_OF(COUNT_FLOATS, COUNT_FLOATS, l)
    NBT_STREAM_OF(COUNT_FLOATS, l)
    return words;
}
