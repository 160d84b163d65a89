/* Everything a learner has to remember beside its config and counters, word by word in one canonical
 * order (docs/checkpoint.md): matrices row-major whatever NBT_LANES, samples newest first wherever
 * the ring stands. The hash, save and load walk the same way. */
#ifndef NBT_WALK_H
#define NBT_WALK_H

#include "nbt_layout.h"

/* What a word may be. */
typedef enum nbt_word_kind {
    NBT_WORD_ANY,         /* 32 bits */
    NBT_WORD_FINITE,      /* a float that is finite */
    NBT_WORD_NONNEGATIVE, /* ... and at least 0 */
    NBT_WORD_POSITIVE     /* ... and above 0 */
} nbt_word_kind;

typedef struct nbt_walker nbt_walker;
struct nbt_walker {
    /* Sees the word that the learner holds and returns the one that it shall hold. */
    uint32_t (*visit)(nbt_walker *self, uint32_t word, nbt_word_kind kind);
    int reads;  /* 0: the learner's words are not looked at, visit gets 0 */
    int writes; /* 0: what visit returns is not stored */
    int guards; /* 0: stops before what only the guards remember */
};

/* A walker. Its fields are stored one by one: an initialiser with the address of a function would be data that
 * has to be relocated, in a section that can be written. */
static inline nbt_walker nbt_walker_of(uint32_t (*visit)(nbt_walker *, uint32_t, nbt_word_kind), int reads,
                                       int writes, int guards)
{
    nbt_walker walker;
    walker.visit = visit;
    walker.reads = reads;
    walker.writes = writes;
    walker.guards = guards;
    return walker;
}

/* Visits generator, waiting predictions, the turn of the residual estimator, then every array, then
 * what the guards remember. The ring of a learner that is written has to stand at slot 0. */
void nbt_walk(nbt_walker *walker, nbt_learner *learner, const nbt_layout *l);

#endif
