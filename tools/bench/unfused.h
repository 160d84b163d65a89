/* The method of docs/design.md, sections 2 to 4, as plain loops: what the fused kernel is compared
 * with. LSTM, nobacktrack with the metric norm, kalman, gaussian, one lag, no scaler, no missing
 * values, no guards. Row-major matrices, one loop nest after the other, an equation each. Same
 * symbols. */
#ifndef UNFUSED_H
#define UNFUSED_H

#include <stddef.h>
#include <stdint.h>

/* <declarations> */
typedef struct unfused unfused;

/* theta (4 H, D) row-major, the kernel's own; numbers: decay, eta gamma, gamma, delta, phi, prior,
 * prior_hidden, noise_rate, anneal_steps. NULL without memory. */
unfused *unfused_new(size_t inputs, size_t hidden, size_t outputs, uint64_t seed,
                     const float *theta, const float *numbers);
void unfused_free(unfused *u);

/* Horizon 0: for each t predict from x (steps, I), then learn label (steps, O); y (steps, O). */
void unfused_run(unfused *u, float *y, const float *x, const float *label, size_t steps);
/* </declarations> */

#endif
