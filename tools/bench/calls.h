/* The two calls of one sample without Python: the machine code is that of the installed package. */
#ifndef CALLS_H
#define CALLS_H

#include <stddef.h>
#include <stdint.h>

/* <declarations> */
/* Calls predict(learner, y, x) and learn(learner, label), given as addresses, `steps` times. */
void call_pairs(uintptr_t predict, uintptr_t learn, void *learner, float *y, const float *x,
                const float *label, size_t inputs, size_t outputs, size_t steps);
/* </declarations> */

#endif
