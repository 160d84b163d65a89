/* The kernel's pass over the recurrent parameters without the rest of a step. */
#ifndef SWEEP_H
#define SWEEP_H

#include <stddef.h>

/* <declarations> */
/* One change and one look a pass under the diagonal metric. theta, w, cov, and g or NULL (rows,
 * cols); vector (rows + cols): what a row or a unit is moved and stepped by, and u; sums (9, rows)
 * scratch. */
void sweep_passes(float *theta, float *w, float *g, float *cov, const float *vector, float *sums,
                  size_t rows, size_t cols, size_t hidden, size_t passes);
/* </declarations> */

#endif
