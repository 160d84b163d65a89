/* Everything a learner has to remember apart from its config and counters, word by word in one
 * canonical order (docs/reference/checkpoint.md): matrices row-major whatever NBT_LANES, samples newest first
 * wherever the ring stands. The hash, save and load walk the same way. */
#ifndef NBT_WALK_H
#define NBT_WALK_H

#include "nbt_layout.h"

typedef struct nbt_walker nbt_walker;
struct nbt_walker {
    /* Sees the word that the learner holds and returns the one that it shall hold. */
    uint32_t (*visit)(nbt_walker *self, uint32_t word);
    int reads;         /* 0: the learner's words are not looked at, visit gets 0 */
    int writes;        /* 0: what visit returns is not stored */
    uint32_t versions; /* bit i: visits what minor version i of the checkpoints brought */
    int sound; /* turns 0 when visit returns a word that cannot be; one of an index or a count is
                   then stored as 0: no walk leaves a learner that reaches outside its block */
};

/* A walker. Its fields are stored one by one: an initialiser with the address of a function would
 * be data that has to be relocated, in a section that can be written. */
static inline nbt_walker nbt_walker_of(uint32_t (*visit)(nbt_walker *, uint32_t), int reads,
                                       int writes, uint32_t versions)
{
    nbt_walker walker;
    walker.visit = visit;
    walker.reads = reads;
    walker.writes = writes;
    walker.versions = versions;
    walker.sound = 1;
    return walker;
}

/* Visits generator, waiting predictions, the turn of the residual estimator, then every array, then
 * what the guards remember. The ring of a learner that is written has to stand at slot 0; its
 * config and counters have to be there. */
void nbt_walk(nbt_walker *walker, nbt_learner *learner, const nbt_layout *l);

/* Visits the n floats of the saved array at `data` alone, if a caller may set them: weights and
 * variances that were learnt, but not the estimate, whose parts have to fit each other. Returns
 * whether it is such an array. */
int nbt_walk_learnt(nbt_walker *walker, nbt_learner *learner, const nbt_layout *l,
                    const float *data, size_t n);

/* How many words a walk over the minor versions up to this one visits; no learner is needed. */
size_t nbt_walk_words(const nbt_layout *l, uint32_t minor);

#endif
