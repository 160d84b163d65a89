#include "nbt_sgd.h"

#include "nbt_gate.h"
#include "nbt_gradient.h"
#include "nbt_link.h"

NBT_LOCAL int nbt_sgd_innovate(const nbt_layout *l, float rate)
{
    nbt_gradient_directions(l);
    int limited = nbt_gate_limit(l, 0.0f);
    nbt_link_score(l);
    for (size_t o = 0; o < l->O; o++) {
        nbt_innovation(l)[o] *= rate;
    }
    nbt_gradient_step(l, 1.0f);
    return limited;
}
