#include "calls.h"

#include "nbt.h"

typedef nbt_status (*forecast_call)(nbt_learner *, float *, const float *);
typedef nbt_status (*label_call)(nbt_learner *, const float *);

void call_pairs(uintptr_t predict, uintptr_t learn, void *learner, float *y, const float *x,
                const float *label, size_t inputs, size_t outputs, size_t steps)
{
    forecast_call forecast = (forecast_call)predict;
    label_call follow = (label_call)learn;
    for (size_t t = 0; t < steps; t++) {
        forecast(learner, y, x + t * inputs);
        follow(learner, label + t * outputs);
    }
}
