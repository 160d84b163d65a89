#include "sweep.h"

#include "nbt_quasi.c"
#include "nbt_sweep.c"

void sweep_passes(float *theta, float *w, float *g, float *cov, const float *vector, float *sums,
                  size_t rows, size_t cols, size_t hidden, size_t passes)
{
    nbt_matrices m = {theta, w, g, cov, NULL, rows, cols, hidden, 0};
    const float *u = vector + rows;
    float *a = sums;
    nbt_change change = {{vector, vector, vector, vector, vector},
                         {vector, vector, 0.999f, vector, vector, vector, 1e-4f},
                         u};
    nbt_look look = {{a, a + rows, a + 2 * rows, a + 3 * rows, a + 4 * rows, a + 5 * rows,
                      a + 6 * rows, a + 7 * rows},
                     u,
                     u,
                     vector,
                     vector};
    for (size_t pass = 0; pass < passes; pass++) {
        nbt_sweep(&m, &change, &look);
    }
}
