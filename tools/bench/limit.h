/* What the machine can do at most: memory traffic, and the method's arithmetic where all is in
 * L1. */
#ifndef LIMIT_H
#define LIMIT_H

#include <stddef.h>

/* <declarations> */
/* Reads and writes `arrays` (3 or 4) arrays of n floats each, `passes` times over. */
void limit_move(float *a, float *b, float *c, float *d, size_t arrays, size_t n, size_t passes);

/* The operations that one parameter needs in a step of nobacktrack with kalman, for 16 rows by
 * `cols` columns, `passes` times over: returns a sum that depends on all of it. theta, w, P: 16
 * cols floats; u and
 * v: cols, uu: their squares u u. */
float limit_compute(float *theta, float *w, float *P, const float *u, const float *uu,
                    const float *v, size_t cols, size_t passes);
/* </declarations> */

#endif
