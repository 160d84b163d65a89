/* Truncated backpropagation through time, online: the baseline of docs/evidence/paper.md.
 *
 * The gated cell of docs/design.md, section 2, a softmax readout that sees [h; x; 1], one symbol at
 * a time, float64:
 *
 *     a = theta [h; x; 1]   z = sigmoid(a_z)   g = tanh(a_c)   h <- h + z (g - h)
 *     p = softmax(V [h; x; 1])
 *
 * Every `stride` symbols the losses of those symbols go back through the last `span` steps, the
 * activations being those of the forward pass (Williams and Peng 1990, An efficient gradient-based
 * algorithm for on-line training of recurrent network trajectories: h = span, h' = stride). Their
 * mean gradient, brought to the length `clip` where it is longer (Pascanu, Mikolov and Bengio 2013,
 * arXiv 1211.5063), makes one step of SGD, or of Adam (Kingma and Ba 2015, arXiv 1412.6980). */
#ifndef BPTT_H
#define BPTT_H

#include <stddef.h>
#include <stdint.h>

/* <declarations> */
typedef struct {
    size_t symbols, hidden; /* I = O, H */
    size_t span, stride;    /* 1 <= stride <= span */
    double rate, fall;      /* rate / sqrt(1 + symbols seen / fall) */
    double clip;            /* longest gradient; INFINITY: never shortened */
    int adam;               /* 0: SGD */
} bptt_settings;

/* Learn a text (steps + 1) once, every symbol predicted before it is learnt.
 *
 * weights: theta (2 H, H + I + 1), then V (I, H + I + 1), row-major; moved. loss (steps / block):
 * mean nats of each block of symbols. Returns 0 without memory, else 1. Cost: H (H + I) operations
 * a symbol, and span / stride times twice as many to go back. */
int bptt_learn(const bptt_settings *settings, double *weights, const int32_t *text, size_t steps,
               size_t block, double *loss);
/* </declarations> */

#endif
