/* Visits the whole state of a learner except its config and counters, word by word in one canonical
 * order (docs/reference/checkpoint.md): matrices row-major for every NBT_LANES, samples newest
 * first for every position of the ring. The hash, save and load use the same walk. */
#ifndef NBT_WALK_H
#define NBT_WALK_H

#include "nbt_layout.h"

typedef struct nbt_walker nbt_walker;
struct nbt_walker {
    /* Receives the word that the learner holds and returns the one to store. */
    uint32_t (*visit)(nbt_walker *self, uint32_t word);
    int reads;         /* 0: the learner's words are not read, visit receives 0 */
    int writes;        /* 0: what visit returns is not stored */
    uint32_t versions; /* bit i: visit the words that minor version i of the checkpoints
                          introduced */
    int sound; /* becomes 0 when visit returns an invalid word. An invalid index or count is then
                  stored as 0: no walk leaves a learner that would access memory outside its
                  block */
};

/* Makes a walker. Its fields are assigned one by one: an initialiser with the address of a function
 * would be relocatable data, in a writable section. */
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

/* Visits the generator, the number of waiting predictions, the position of the residual estimator,
 * then every array, then the state of the guards. If the walk writes, the ring of the learner must
 * be at slot 0, and its config and counters must be set. */
void nbt_walk(nbt_walker *walker, nbt_learner *learner, const nbt_layout *l);

/* Visits the n floats of the saved array at `data` only, if a caller may set them: learnt weights
 * and variances, but not the estimate, whose parts must be consistent. Returns whether it is such
 * an array. */
int nbt_walk_learnt(nbt_walker *walker, nbt_learner *learner, const nbt_layout *l,
                    const float *data, size_t n);

/* The number of words in a walk over the minor versions up to this one; no learner is needed. */
size_t nbt_walk_words(const nbt_layout *l, uint32_t minor);

#endif
