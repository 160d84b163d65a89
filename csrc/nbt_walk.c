#include "nbt_walk.h"

#include "nbt_intake.h"
#include "nbt_math.h"
#include "nbt_rtrl.h"

static void walk_word(nbt_walker *walker, uint32_t *word)
{
    uint32_t after = walker->visit(walker, walker->reads ? *word : 0, NBT_WORD_ANY);
    if (walker->writes) {
        *word = after;
    }
}

static void walk_float(nbt_walker *walker, float *value, nbt_word_kind kind)
{
    uint32_t after = walker->visit(walker, walker->reads ? nbt_bits(*value) : 0, kind);
    if (walker->writes) {
        *value = nbt_from_bits(after);
    }
}

/* NULL for an array that the configuration does not have. */
static void walk_array(nbt_walker *walker, float *data, size_t n, nbt_word_kind kind)
{
    for (size_t i = 0; i < n && data != NULL; i++) {
        walk_float(walker, data + i, kind);
    }
}

static void walk_matrix(nbt_walker *walker, const nbt_layout *l, float *data, nbt_word_kind kind)
{
    for (size_t row = 0; row < l->R && data != NULL; row++) {
        for (size_t col = 0; col < l->D; col++) {
            walk_float(walker, data + nbt_block_index(row, col, l->R, l->D), kind);
        }
    }
}

/* Packed columns: the entries above the diagonal, then d_j. */
static void walk_ud(nbt_walker *walker, float *ud, size_t n)
{
    for (size_t col = 0; col < n && ud != NULL; col++) {
        walk_array(walker, ud, col, NBT_WORD_FINITE);
        walk_float(walker, ud + col, NBT_WORD_NONNEGATIVE);
        ud += col + 1;
    }
}

/* stats (3, n): mean, variance, count. */
static void walk_scaler(nbt_walker *walker, float *stats, size_t n)
{
    if (stats != NULL) {
        walk_array(walker, stats, n, NBT_WORD_FINITE);
        walk_array(walker, stats + n, 2 * n, NBT_WORD_NONNEGATIVE);
    }
}

/* Low word first. */
static void walk_pair(nbt_walker *walker, uint64_t *value)
{
    uint32_t low = (uint32_t)*value;
    uint32_t high = (uint32_t)(*value >> 32);
    walk_word(walker, &low);
    walk_word(walker, &high);
    if (walker->writes) {
        *value = (uint64_t)high << 32 | low;
    }
}

/* stats (2, n): a value, and how often it was seen. */
static void walk_counted(nbt_walker *walker, float *stats, size_t n)
{
    if (stats != NULL) {
        walk_array(walker, stats, n, NBT_WORD_FINITE);
        walk_array(walker, stats + n, n, NBT_WORD_NONNEGATIVE);
    }
}

/* The arrays of the last good copy, one after the other (nbt_layout.h). */
static void walk_copy(nbt_walker *walker, const nbt_layout *l, size_t n_in)
{
    float *kept = l->copy;
    size_t weights = l->R * l->D;
    if (nbt_is_swept(l) || NBT_IS_EXACT(l)) {
        walk_matrix(walker, l, kept, NBT_WORD_FINITE);
        kept += weights;
    }
    if (nbt_has_cov(&l->m)) {
        walk_matrix(walker, l, kept, NBT_WORD_POSITIVE);
        kept += weights;
    }
    if (nbt_has_coupling(&l->m)) {
        walk_matrix(walker, l, kept, NBT_WORD_FINITE);
        kept += weights;
    }
    walk_array(walker, kept, l->O * l->D, NBT_WORD_FINITE);
    kept += l->O * l->D;
    if (nbt_is_kalman(l)) {
        walk_ud(walker, kept, l->D);
        kept += l->D * (l->D + 1) / 2;
    }
    if (nbt_is_gaussian(l)) {
        walk_array(walker, kept, 2 * l->O, NBT_WORD_NONNEGATIVE);
        kept += 2 * l->O;
    }
    walk_scaler(walker, kept, n_in);
    if (nbt_is_gaussian(l)) {
        walk_scaler(walker, kept + 3 * n_in, l->O);
    }
}

static void walk_guards(nbt_walker *walker, nbt_learner *learner, const nbt_layout *l)
{
    walk_word(walker, &learner->quarantine);
    walk_word(walker, &learner->copy);
    walk_float(walker, &learner->level, NBT_WORD_POSITIVE);
    walk_float(walker, &learner->seen, NBT_WORD_NONNEGATIVE);
    walk_float(walker, &learner->alarm, NBT_WORD_NONNEGATIVE);
    walk_pair(walker, &learner->opened);
    walk_counted(walker, l->input_run, learner->config.n_in);
    walk_counted(walker, l->label_run, l->O);
    if (nbt_has_copy(l)) {
        walk_copy(walker, l, learner->config.n_in);
    }
}

void nbt_walk(nbt_walker *walker, nbt_learner *learner, const nbt_layout *l)
{
    for (size_t i = 0; i < 4; i++) {
        walk_word(walker, &learner->rng[i]);
    }
    walk_word(walker, &learner->pending);
    walk_word(walker, &learner->column);
    walk_matrix(walker, l, l->m.theta, NBT_WORD_FINITE);
    walk_array(walker, l->readout, l->O * l->D, NBT_WORD_FINITE);
    walk_matrix(walker, l, l->m.w, NBT_WORD_FINITE);
    walk_array(walker, l->v, l->N * l->S, NBT_WORD_FINITE);
    walk_matrix(walker, l, l->m.g, NBT_WORD_FINITE);
    walk_array(walker, NBT_OF(l, balance), 1 + 2 * l->H, NBT_WORD_NONNEGATIVE);
    walk_array(walker, NBT_OF(l, exact), l->S * l->R * l->D, NBT_WORD_FINITE);
    walk_matrix(walker, l, l->m.cov, NBT_WORD_POSITIVE);
    walk_matrix(walker, l, l->m.coupling, NBT_WORD_FINITE);
    walk_ud(walker, l->ud, l->D);
    walk_array(walker, l->noise, 2 * l->O, NBT_WORD_NONNEGATIVE);
    walk_array(walker, l->state, l->S, NBT_WORD_FINITE);
    walk_array(walker, nbt_learning_state(l), l->S, NBT_WORD_FINITE);
    walk_array(walker, NBT_OF(l, leak), l->H, NBT_WORD_POSITIVE);
    nbt_ring ring = nbt_intake_ring(learner, l);
    for (size_t age = 0; age < ring.capacity; age++) {
        walk_array(walker, nbt_ring_slot(&ring, age), ring.n_in, NBT_WORD_FINITE);
    }
    walk_scaler(walker, l->input_scale, ring.n_in);
    walk_scaler(walker, l->label_scale, l->O);
    if (walker->guards) {
        walk_guards(walker, learner, l);
    }
}
