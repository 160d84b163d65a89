/* What the machine can do at most: memory traffic, and the method's arithmetic where all is in
 * L1. */
#ifndef LIMIT_H
#define LIMIT_H

#include <stddef.h>

/* <declarations> */
/* Reads and writes `arrays` (3 or 4) arrays of n floats each, `passes` times over. */
void limit_move(float *a, float *b, float *c, float *d, size_t arrays, size_t n, size_t passes);

/* The operations of a step, 16 rows by `cols` columns, `passes` times over, in loops in which nothing
 * waits for a sum. What has rows is (cols, 16), what has none (cols). All return a number that
 * depends on all of it.
 *
 * limit_directed: a parameter of nobacktrack with kalman. uu: the squares u u. */
float limit_directed(float *theta, float *w, float *P, const float *u, const float *uu,
                     const float *v, size_t cols, size_t passes);

/* limit_traced: a weight of a columnar cell, and its exact trace g. */
float limit_traced(float *theta, float *g, float *P, const float *u, size_t cols, size_t passes);

/* limit_head: a weight of the layer between the network and its readout. */
float limit_head(float *U, float *P, const float *z, size_t cols, size_t passes);

/* limit_factor: an entry of a factor U of least squares: read for U^T f, changed, and read for C f.
 */
float limit_factor(float *U, const float *f, const float *back, const float *gain, size_t cols,
                   size_t passes);

/* limit_squash: the kernel's tanh of x (n), `passes` times over, each of what the last one gave. */
void limit_squash(float *x, size_t n, size_t passes);
/* </declarations> */

#endif
