/* Self-check of the Python build: does the kernel compute the same bits as all other builds, with
 * the float settings of this thread? A firmware has the self-test of its export instead. */
#ifndef NBT_SELFCHECK_H
#define NBT_SELFCHECK_H

#include "nbt.h"

/* The declarations between the two marker lines are also read by the Python wrapper. */
/* <declarations> */

/* Settings of a thread's float arithmetic that change results; any library may have set them. */
enum {
    NBT_FLOATS_FLUSHED = 1, /* denormal numbers become zero */
    NBT_FLOATS_ROUNDED = 2  /* results are not rounded to the nearest number */
};

/* Purpose: find such settings in the calling thread.
 * Returns: the sum of the above, 0 for none. Cost: a few operations. */
int nbt_floats_of_thread(void);

/* Purpose: run a few steps of a learner with `simd` (NBT_SIMD_*; limited to the widest of the
 * processor), and calls with invalid numbers. It uses IEEE's default arithmetic and then restores
 * the settings of the thread.
 * Returns: the hash of the learner, the same on every target (KNOWN_HASH of _selfcheck.py); 0 if
 * the kernel failed or accepted an invalid number. Cost: about ten microseconds; 4 KB of stack. */
uint64_t nbt_selfcheck(uint32_t simd);

/* </declarations> */

#endif
