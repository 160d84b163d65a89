#include "nbt_filter.h"
#include "nbt_intake.h"
#include "nbt_layout.h"
#include "nbt_math.h"

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
        return view_of(l->learning_state, 1, l->S, 0);
    case NBT_ARRAY_NOISE:
        return view_of(l->noise, 1, l->O, 0);
    case NBT_ARRAY_INPUT_SCALE:
        return view_of(l->input_scale, 2, n_in, 0);
    case NBT_ARRAY_LABEL_SCALE:
        return view_of(l->label_scale, 2, l->O, 0);
    case NBT_ARRAY_TRACES:
        return view_of(l->m.g, l->R, l->D, 1);
    case NBT_ARRAY_BALANCE:
        return view_of(l->balance, 1, 1 + 2 * l->H, 0);
    case NBT_ARRAY_RTRL:
        return view_of(l->exact, l->S, l->R * l->D, 0);
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
    nbt_layout l = nbt_layout_of(&learner->config, (void *)(uintptr_t)learner);
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

/* FNV-1a, 64 bit, over the little-endian bytes of words. */
static uint64_t mix(uint64_t hash, uint32_t word)
{
    for (unsigned shift = 0; shift < 32; shift += 8) {
        hash = (hash ^ (word >> shift & 255u)) * 0x100000001b3u;
    }
    return hash;
}

static uint64_t mix_floats(uint64_t hash, const float *data, size_t n)
{
    for (size_t i = 0; i < n && data != NULL; i++) {
        hash = mix(hash, nbt_bits(data[i]));
    }
    return hash;
}

static uint64_t mix_blocked(uint64_t hash, const nbt_matrices *m, const float *data)
{
    for (size_t row = 0; row < m->rows && data != NULL; row++) {
        for (size_t col = 0; col < m->cols; col++) {
            hash = mix(hash, nbt_bits(data[nbt_block_index(row, col, m->rows, m->cols)]));
        }
    }
    return hash;
}

static uint64_t mix_config(uint64_t hash, const nbt_config *config)
{
    hash = mix(hash, (uint32_t)config->seed);
    hash = mix(hash, (uint32_t)(config->seed >> 32));
    /* The fields after seed are 32 bits wide, without padding between them. */
    const unsigned char *bytes = (const unsigned char *)config;
    for (size_t at = offsetof(nbt_config, n_in); at <= offsetof(nbt_config, sgd_rate); at += 4) {
        uint32_t word;
        memcpy(&word, bytes + at, sizeof word);
        hash = mix(hash, word);
    }
    return hash;
}

uint64_t nbt_hash(const nbt_learner *learner)
{
    if (learner == NULL) {
        return 0;
    }
    nbt_layout l = nbt_layout_of(&learner->config, (void *)(uintptr_t)learner);
    uint64_t hash = mix_config(0xcbf29ce484222325u, &learner->config);
    for (size_t i = 0; i < 4; i++) {
        hash = mix(hash, learner->rng[i]);
    }
    hash = mix(hash, learner->pending);
    hash = mix(hash, learner->column);
    hash = mix(hash, (uint32_t)learner->counters.labels); /* sets the annealed rate */
    hash = mix(hash, (uint32_t)(learner->counters.labels >> 32));
    hash = mix_blocked(hash, &l.m, l.m.theta);
    hash = mix_floats(hash, l.readout, l.O * l.D);
    hash = mix_blocked(hash, &l.m, l.m.w);
    hash = mix_floats(hash, l.v, l.N * l.S);
    hash = mix_blocked(hash, &l.m, l.m.g);
    hash = mix_floats(hash, l.balance, 1 + 2 * l.H);
    hash = mix_floats(hash, l.exact, l.S * l.R * l.D);
    hash = mix_blocked(hash, &l.m, l.m.cov);
    hash = mix_blocked(hash, &l.m, l.m.coupling);
    hash = mix_floats(hash, l.ud, l.D * (l.D + 1) / 2);
    hash = mix_floats(hash, l.noise, 2 * l.O);
    hash = mix_floats(hash, l.state, l.S);
    hash = mix_floats(hash, l.learning_state, l.S);
    hash = mix_floats(hash, l.leak, l.H);
    /* Newest sample first, wherever the ring happens to stand. */
    nbt_ring ring = nbt_intake_ring(learner, &l);
    for (size_t age = 0; age < ring.capacity; age++) {
        hash = mix_floats(hash, nbt_ring_slot(&ring, age), ring.n_in);
    }
    hash = mix_floats(hash, l.input_scale, 3 * ring.n_in);
    return mix_floats(hash, l.label_scale, 3 * l.O);
}
