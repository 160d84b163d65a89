/* Normalised least mean squares, for comparisons on a host; not part of the kernel. */
#ifndef NBT_NLMS_H
#define NBT_NLMS_H

#include <stddef.h>

/* The declarations between the two marker lines are also read by the Python wrapper. */
/* <declarations> */

/* One pass of  W <- W + step e f' / (1 + |f|^2),  e = label - W f,  over rows of features f.
 * Shapes, row by row: weights (outputs, width), changed; features (waiting + rows, width), the
 * first ones of forecasts that wait for a label; labels (rows, outputs), NaN where missing. */
typedef struct nbt_nlms {
    double *weights;
    const double *features;
    const double *labels;
    size_t width;
    size_t outputs;
    size_t waiting; /* at most horizon */
    size_t rows;
    size_t horizon; /* rows between a forecast and its label; 0: learn after the forecast */
    double step;
} nbt_nlms;

/* Purpose: write the forecasts (rows, outputs) to out, and learn. Cost: 4 outputs width operations
 * per row. */
void nbt_nlms_run(const nbt_nlms *nlms, double *out);

/* </declarations> */

#endif
