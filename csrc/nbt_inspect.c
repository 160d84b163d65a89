#include "nbt_assess.h"
#include "nbt_correct.h"
#include "nbt_layout.h"
#include "nbt_math.h"
#include "nbt_ud.h"
#include "nbt_walk.h"

size_t nbt_pending(const nbt_learner *learner)
{
    return learner == NULL ? 0 : learner->pending;
}

nbt_status nbt_counters_get(const nbt_learner *learner, nbt_counters *counters)
{
    if (learner == NULL || counters == NULL) {
        return NBT_ERR_NULL;
    }
    *counters = learner->counters;
    return NBT_OK;
}

/* ---- arrays ---------------------------------------------------------------------------------- */

typedef enum storage {
    VECTOR,  /* one dimension */
    TABLE,   /* two, row-major */
    BLOCKED, /* two, in blocks of rows (nbt_matrices.h) */
    HEAD,    /* the same of the head */
    PACKED   /* the factor of a covariance (nbt_ud.h) */
} storage;

typedef struct view {
    const float *data;
    size_t rows;
    size_t cols;
    storage stored;
} view;

/* X(NAME, data, rows, cols, stored) for NBT_ARRAY_<NAME>, in the order of nbt.h. */
#define VIEW_LIST(X)                                                  \
    X(THETA, l->m.theta, l->R, l->D, BLOCKED)                         \
    X(READOUT, l->readout, l->O, l->F, TABLE)                         \
    X(W, l->m.w, l->R, l->D, BLOCKED)                                 \
    X(V, l->v, l->N, l->S, nbt_is_by_unit(&l->m) ? TABLE : VECTOR)    \
    X(COVARIANCE, l->m.cov, l->R, l->D, BLOCKED)                      \
    X(READOUT_COVARIANCE, l->ud, l->F, l->F, PACKED)                  \
    X(STATE, l->state, 1, l->S, VECTOR)                               \
    X(LEARNING_STATE, nbt_learning_state(l), 1, l->S, VECTOR)         \
    X(NOISE, l->noise, 1, l->O, VECTOR)                               \
    X(INPUT_SCALE, l->input_scale, 2, l->config->n_in, TABLE)         \
    X(LABEL_SCALE, l->label_scale, 2, l->O, TABLE)                    \
    X(TRACES, l->m.g, l->R, l->D, BLOCKED)                            \
    X(BALANCE, NBT_OF(l, balance), 1, 1 + 2 * l->H, VECTOR)           \
    X(RTRL, NBT_OF(l, exact), l->S, l->R * l->D, TABLE)               \
    X(COUPLING, l->m.coupling, l->R, l->D, BLOCKED)                   \
    X(UNITS, NBT_OF(l, units), 6, l->config->n_in, TABLE)             \
    X(LABEL_UNITS, NBT_OF(l, label_units), 6, l->O, TABLE)            \
    X(ANCHOR, NBT_OF(l, anchor), 1, l->O, VECTOR)                     \
    X(WEIGHT, NBT_OF(l, weight), l->O, nbt_experts(l), TABLE)         \
    X(MIX_ERROR, NBT_OF(l, mix_error), 2, l->O, TABLE)                \
    X(SLOW, NBT_OF(l, slow), l->O, l->F, TABLE)                       \
    X(SLOW_NOISE, NBT_OF(l, slow_noise), 2, l->O, TABLE)              \
    X(LINEAR, NBT_OF(l, linear), l->O, nbt_linear_lags(l) + 1, TABLE) \
    X(LINEAR_NOISE, NBT_OF(l, linear_noise), 2, l->O, TABLE)          \
    X(HEAD, NBT_OF(l, head), l->Q, l->Z, HEAD)                        \
    X(HEAD_COVARIANCE, NBT_OF(l, head_cov), l->Q, l->Z, HEAD)         \
    X(ANGLE_TRACES, NBT_OF(l, angle_traces), 2, l->C, TABLE)          \
    X(LEVEL, NBT_OF(l, level), 1, nbt_intervals(l), VECTOR)           \
    X(REACH, NBT_OF(l, reach), l->O, 2 * nbt_intervals(l), TABLE)     \
    X(ERROR, NBT_OF(l, error), 3, l->O, TABLE)

#define VIEW_ROW(NAME, data, rows, cols, stored) VIEW_##NAME,
enum { VIEW_LIST(VIEW_ROW) VIEWS };
NBT_ASSERT(nbt_every_array_has_its_view, (int)VIEWS == (int)NBT_ARRAY_END);

static view view_of(const float *data, size_t rows, size_t cols, storage stored)
{
    view v = {data, rows, cols, stored};
    return v;
}

static view find(const nbt_layout *l, uint32_t array)
{
    switch (array) {
#define CASE(NAME, data, rows, cols, stored) \
    case NBT_ARRAY_##NAME: return view_of(data, rows, cols, stored);
        VIEW_LIST(CASE)
#undef CASE
    default: return view_of(NULL, 0, 0, TABLE);
    }
}

uint32_t nbt_array_dimensions(const nbt_learner *learner, uint32_t array)
{
    if (learner == NULL) {
        return 0;
    }
    nbt_layout l;
    nbt_layout_of(&l, &learner->config, (void *)(uintptr_t)learner);
    view v = find(&l, array);
    return v.data == NULL ? 0 : v.stored == VECTOR ? 1 : 2;
}

nbt_status nbt_array_get(const nbt_learner *learner, uint32_t array, float *out, size_t *rows,
                         size_t *cols)
{
    if (learner == NULL || rows == NULL || cols == NULL) {
        return NBT_ERR_NULL;
    }
    nbt_layout l;
    nbt_layout_of(&l, &learner->config, (void *)(uintptr_t)learner);
    view v = find(&l, array);
    if (v.data == NULL) {
        return NBT_ERR_ARRAY;
    }
    *rows = v.rows;
    *cols = v.cols;
    if (out != NULL && v.stored == PACKED) {
        nbt_ud_expand(v.data, out, v.rows, nbt_correct_is_constant_first(&l) ? l.B : v.rows);
    } else if (out != NULL && (v.stored == BLOCKED || v.stored == HEAD)) {
        for (size_t row = 0; row < v.rows; row++) {
            for (size_t col = 0; col < v.cols; col++) {
                size_t at = v.stored == HEAD ? nbt_layout_head_index(&l, row, col)
                                             : nbt_layout_index(&l, row, col);
                out[row * v.cols + col] = v.data[at];
            }
        }
    } else if (out != NULL) {
        nbt_copy(out, v.data, v.rows * v.cols);
    }
    return NBT_OK;
}

/* A walker that returns the caller's numbers one after the other; without numbers the learner's
 * own. */
typedef struct setter {
    nbt_walker walker; /* first, so that a pointer to it is a pointer to the setter */
    const float *next;
} setter;

static uint32_t take_next(nbt_walker *walker, uint32_t word)
{
    setter *self = (setter *)walker;
    return self->next == NULL ? word : nbt_bits(*self->next++);
}

nbt_status nbt_array_set(nbt_learner *learner, uint32_t array, const float *values, size_t rows,
                         size_t cols)
{
    if (learner == NULL) {
        return NBT_ERR_NULL;
    }
    nbt_layout l;
    nbt_layout_of(&l, &learner->config, learner);
    view v = find(&l, array);
    setter self = {nbt_walker_of(take_next, 0, 0, NBT_ALL_VERSIONS), values};
    if (v.data == NULL || v.rows != rows || v.cols != cols ||
        !nbt_walk_learnt(&self.walker, learner, &l, v.data, rows * cols)) {
        return NBT_ERR_ARRAY;
    }
    if (values == NULL) {
        return NBT_OK;
    }
    if (!self.walker.sound) {
        return NBT_ERR_STATE;
    }
    self.walker.writes = 1;
    self.next = values;
    nbt_walk_learnt(&self.walker, learner, &l, v.data, rows * cols);
    learner->looked = NBT_LOOK_NONE; /* the look was at the old matrices */
    return NBT_OK;
}

/* ---- intervals and anomalies ----------------------------------------------------------------- */

nbt_status nbt_interval(const nbt_learner *learner, float *bounds)
{
    if (learner == NULL || bounds == NULL) {
        return NBT_ERR_NULL;
    }
    nbt_layout l;
    nbt_layout_of(&l, &learner->config, (void *)(uintptr_t)learner);
    if (nbt_intervals(&l) == 0) {
        return NBT_ERR_ARRAY;
    }
    nbt_assess_bounds(learner, &l, bounds);
    return nbt_are_finite(bounds, l.O * 2 * nbt_intervals(&l)) ? NBT_OK : NBT_NOT_FINITE;
}

nbt_status nbt_student(const nbt_learner *learner, float *scale, float *freedom)
{
    if (learner == NULL || scale == NULL || freedom == NULL) {
        return NBT_ERR_NULL;
    }
    nbt_layout l;
    nbt_layout_of(&l, &learner->config, (void *)(uintptr_t)learner);
    if (nbt_intervals(&l) == 0) {
        return NBT_ERR_ARRAY;
    }
    nbt_assess_student(learner, &l, scale, freedom);
    return nbt_are_finite(scale, l.O) ? NBT_OK : NBT_NOT_FINITE;
}

nbt_status nbt_anomaly(const nbt_learner *learner, float *score)
{
    if (learner == NULL || score == NULL) {
        return NBT_ERR_NULL;
    }
    nbt_layout l;
    nbt_layout_of(&l, &learner->config, (void *)(uintptr_t)learner);
    if (!nbt_has_anomaly(&l)) {
        return NBT_ERR_ARRAY;
    }
    nbt_assess_scores(&l, score);
    return NBT_OK;
}

int nbt_alarm_count(nbt_alarm *alarm, float score)
{
    int tells = 0;
    if (alarm != NULL) {
        int above = score > alarm->threshold; /* NaN fails the comparison */
        tells = above && alarm->left == 0;
        alarm->left = above ? alarm->hold_off : alarm->left - (alarm->left > 0);
    }
    return tells;
}

nbt_status nbt_peek(const nbt_learner *learner, float *y, const float *x, void *scratch,
                    size_t bytes)
{
    if (learner == NULL || y == NULL || x == NULL || scratch == NULL) {
        return NBT_ERR_NULL;
    }
    nbt_layout l;
    size_t needed = nbt_layout_of(&l, &learner->config, NULL);
    uintptr_t from = (uintptr_t)learner, to = (uintptr_t)scratch;
    if (bytes < needed || (from < to + needed && to < from + needed)) {
        return NBT_ERR_BYTES;
    }
    if (to % 8 != 0) {
        return NBT_ERR_ALIGN;
    }
    memcpy(scratch, learner, needed);
    nbt_learner *copy = (nbt_learner *)scratch;
    if (copy->pending > copy->config.max_delay) { /* frees a place: no label will come to the
                                                     copy */
        copy->pending = copy->config.max_delay;
        nbt_layout_of(&l, &copy->config, copy);
        /* With max_delay 0 a forecast starts from the learning state, which has to be the live
         * one. */
        nbt_copy(nbt_learning_state(&l), l.state, l.S);
    }
    return nbt_predict(copy, y, x);
}

/* ---- hash ------------------------------------------------------------------------------------ */

typedef struct hasher {
    nbt_walker walker; /* first, so that a pointer to it is a pointer to the hasher */
    uint64_t hash;
} hasher;

/* FNV-1a, 64 bit, over the little-endian bytes of words. */
static uint32_t mix(nbt_walker *walker, uint32_t word)
{
    hasher *self = (hasher *)walker;
    for (unsigned shift = 0; shift < 32; shift += 8) {
        self->hash = (self->hash ^ (word >> shift & 255u)) * 0x100000001b3u;
    }
    return word;
}

static void mix_pair(hasher *self, uint64_t value)
{
    mix(&self->walker, (uint32_t)value);
    mix(&self->walker, (uint32_t)(value >> 32));
}

uint64_t nbt_hash(const nbt_learner *learner)
{
    if (learner == NULL) {
        return 0;
    }
    uint32_t versions = nbt_config_versions(&learner->config);
    hasher self = {nbt_walker_of(mix, 1, 0, versions), 0xcbf29ce484222325u};
    mix_pair(&self, learner->config.seed);
    for (size_t i = 0; i < NBT_FIELDS; i++) {
        if ((versions >> nbt_config_since(i) & 1u) != 0) {
            mix(&self.walker, nbt_config_word(&learner->config, i));
        }
    }
    mix_pair(&self, learner->counters.labels); /* determines the annealed rate */
    nbt_layout l;
    nbt_layout_of(&l, &learner->config, (void *)(uintptr_t)learner);
    nbt_walk(&self.walker, (nbt_learner *)(uintptr_t)learner, &l);
    return self.hash;
}
