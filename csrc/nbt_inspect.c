#include "nbt_filter.h"
#include "nbt_layout.h"
#include "nbt_math.h"
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

typedef struct view {
    const float *data;
    size_t rows;
    size_t cols;
    int blocked; /* in the block storage of nbt_sweep */
} view;

static view view_of(const float *data, size_t rows, size_t cols, int blocked)
{
    view v;
    v.data = data;
    v.rows = rows;
    v.cols = cols;
    v.blocked = blocked;
    return v;
}

static view find(const nbt_layout *l, size_t n_in, uint32_t array)
{
    switch (array) {
    case NBT_ARRAY_THETA:
        return view_of(l->m.theta, l->R, l->D, 1);
    case NBT_ARRAY_READOUT:
        return view_of(l->readout, l->O, l->D, 0);
    case NBT_ARRAY_W:
        return view_of(l->m.w, l->R, l->D, 1);
    case NBT_ARRAY_V:
        return view_of(l->v, l->N, l->S, 0);
    case NBT_ARRAY_COVARIANCE:
        return view_of(l->m.cov, l->R, l->D, 1);
    case NBT_ARRAY_READOUT_COVARIANCE:
        return view_of(l->ud, l->D, l->D, 0);
    case NBT_ARRAY_STATE:
        return view_of(l->state, 1, l->S, 0);
    case NBT_ARRAY_LEARNING_STATE:
        return view_of(nbt_learning_state(l), 1, l->S, 0);
    case NBT_ARRAY_NOISE:
        return view_of(l->noise, 1, l->O, 0);
    case NBT_ARRAY_INPUT_SCALE:
        return view_of(l->input_scale, 2, n_in, 0);
    case NBT_ARRAY_LABEL_SCALE:
        return view_of(l->label_scale, 2, l->O, 0);
    case NBT_ARRAY_TRACES:
        return view_of(l->m.g, l->R, l->D, 1);
    case NBT_ARRAY_BALANCE:
        return view_of(NBT_OF(l, balance), 1, 1 + 2 * l->H, 0);
    case NBT_ARRAY_RTRL:
        return view_of(NBT_OF(l, exact), l->S, l->R * l->D, 0);
    case NBT_ARRAY_COUPLING:
        return view_of(l->m.coupling, l->R, l->D, 1);
    default:
        return view_of(NULL, 0, 0, 0);
    }
}

nbt_status nbt_array_get(const nbt_learner *learner, uint32_t array, float *out, size_t *rows,
                         size_t *cols)
{
    if (learner == NULL || rows == NULL || cols == NULL) {
        return NBT_ERR_NULL;
    }
    nbt_layout l;
    nbt_layout_of(&l, &learner->config, (void *)(uintptr_t)learner);
    view v = find(&l, learner->config.n_in, array);
    if (v.data == NULL) {
        return NBT_ERR_ARRAY;
    }
    *rows = v.rows;
    *cols = v.cols;
    if (out != NULL && array == NBT_ARRAY_READOUT_COVARIANCE) {
        nbt_ud_expand(v.data, out, v.rows);
    } else if (out != NULL && v.blocked) {
        for (size_t row = 0; row < v.rows; row++) {
            for (size_t col = 0; col < v.cols; col++) {
                out[row * v.cols + col] = v.data[nbt_block_index(row, col, v.rows, v.cols)];
            }
        }
    } else if (out != NULL) {
        nbt_copy(out, v.data, v.rows * v.cols);
    }
    return NBT_OK;
}

/* ---- hash ------------------------------------------------------------------------------------ */

typedef struct hasher {
    nbt_walker walker; /* first, so that a visit finds its hasher */
    uint64_t hash;
} hasher;

/* FNV-1a, 64 bit, over the little-endian bytes of words. */
static uint32_t mix(nbt_walker *walker, uint32_t word, nbt_word_kind kind)
{
    hasher *self = (hasher *)walker;
    (void)kind;
    for (unsigned shift = 0; shift < 32; shift += 8) {
        self->hash = (self->hash ^ (word >> shift & 255u)) * 0x100000001b3u;
    }
    return word;
}

static void mix_pair(hasher *self, uint64_t value)
{
    mix(&self->walker, (uint32_t)value, NBT_WORD_ANY);
    mix(&self->walker, (uint32_t)(value >> 32), NBT_WORD_ANY);
}

uint64_t nbt_hash(const nbt_learner *learner)
{
    if (learner == NULL) {
        return 0;
    }
    int guards = nbt_config_has_guards(&learner->config);
    hasher self = {nbt_walker_of(mix, 1, 0, guards), 0xcbf29ce484222325u};
    mix_pair(&self, learner->config.seed);
    for (size_t i = 0; i < NBT_CONFIG_WORDS - (guards ? 0 : NBT_GUARD_WORDS); i++) {
        mix(&self.walker, nbt_config_word(&learner->config, i), NBT_WORD_ANY);
    }
    mix_pair(&self, learner->counters.labels); /* sets the annealed rate */
    nbt_layout l;
    nbt_layout_of(&l, &learner->config, (void *)(uintptr_t)learner);
    nbt_walk(&self.walker, (nbt_learner *)(uintptr_t)learner, &l);
    return self.hash;
}
