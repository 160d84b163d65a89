#include "_nlms.h"

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static void learn(const nbt_nlms *n, const double *features, const double *label)
{
    double rate = n->step / (1.0 + dot(features, features, n->width));
    for (size_t o = 0; o < n->outputs; o++) {
        double *weights = n->weights + o * n->width;
        double error = label[o] - dot(weights, features, n->width);
        if (error != error) { /* no label */
            continue;
        }
        for (size_t i = 0; i < n->width; i++) {
            weights[i] += rate * error * features[i];
        }
    }
}

void nbt_nlms_run(const nbt_nlms *n, double *out)
{
    for (size_t t = 0; t < n->rows; t++) {
        size_t row = n->waiting + t;
        const double *features = n->features + row * n->width;
        const double *label = n->labels + t * n->outputs;
        if (n->horizon > 0 && row >= n->horizon) {
            learn(n, features - n->horizon * n->width, label);
        }
        for (size_t o = 0; o < n->outputs; o++) {
            out[t * n->outputs + o] = dot(n->weights + o * n->width, features, n->width);
        }
        if (n->horizon == 0) {
            learn(n, features, label);
        }
    }
}
