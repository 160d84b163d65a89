#include "nbt_gate.h"

#include "nbt_innovation.h"
#include "nbt_math.h"

/* Limits the label of output o to the gate. Returns whether it was beyond. */
static int limit(const nbt_layout *l, size_t o, float variance)
{
    float reach = l->config->gate * nbt_sqrt(variance * l->noise[o]);
    float error = nbt_label(l)[o] - l->y[o];
    /* Written so that NaN, a missing label, is not limited. */
    if (!(nbt_abs(error) > reach)) {
        return 0;
    }
    nbt_label(l)[o] = l->y[o] + (error < 0.0f ? -reach : reach);
    return 1;
}

NBT_LOCAL int nbt_gate_limit(const nbt_layout *l, float gain)
{
    int limited = 0;
    for (size_t o = 0; o < l->O && nbt_is_gaussian(l) && l->config->gate > 0.0f; o++) {
        limited |= limit(l, o, nbt_is_kalman(l) ? nbt_innovation_variance(l, gain, o) : 1.0f);
    }
    return limited;
}
