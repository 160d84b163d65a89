/* What Python asks when it loads the kernel and later: does this build compute the bits of every
 * other one, and does this thread let it? A firmware has the self-test of its export instead. */
#ifndef NBT_SELFCHECK_H
#define NBT_SELFCHECK_H

#include "nbt.h"

/* The declarations between the two marker lines are also read by the Python wrapper. */
/* <declarations> */

/* What can be wrong with the float arithmetic of a thread; any library may have set it so. */
enum {
    NBT_FLOATS_FLUSHED = 1, /* denormal numbers become zero */
    NBT_FLOATS_ROUNDED = 2  /* results are not rounded to the nearest number */
};

/* Purpose: what is wrong in the calling thread now. Returns: the sum of the above, 0 for nothing.
 * Cost: a few operations. */
int nbt_floats_of_thread(void);

/* Purpose: a few steps of a learner of `simd` (NBT_SIMD_*; a wider one than the processor has is
 * the widest) and refused numbers, in IEEE's default arithmetic whatever the thread's is, which is
 * kept.
 * Returns: the hash of the learner, the same on every target (KNOWN_HASH of _selfcheck.py); 0 if
 * the kernel failed or took what it has to refuse. Cost: some ten microseconds; 4 KB of stack. */
uint64_t nbt_selfcheck(uint32_t simd);

/* </declarations> */

#endif
