#include "nbt_tail.h"

#include "nbt_math.h"

#define LOG_SHARE 3.912023f /* -log of NBT_TAIL_SHARE */
#define QUANTILE_RATE 0.01f
#define QUANTILE_START 20.0f
#define EXCESS_RATE 0.02f
#define EXCESS_START 0.5f
#define EXCESS_MIN 0.15f
#define EXCESS_MAX 2.0f      /* an excess counts as at most this many mean excesses */
#define VALUE_SMALLEST 1e-9f /* keeps the logarithm of 0 finite */

NBT_LOCAL float nbt_tail_count(const nbt_tail *self, float value, float n, float pace)
{
    float x = nbt_log(value + VALUE_SMALLEST);
    if (n < 1.0f) {
        *self->quantile = x;
        *self->excess = EXCESS_START;
        return 0.0f;
    }
    float q = *self->quantile, m = *self->excess, over = x - q, surprise = 0.0f;
    int beyond = over > 0.0f;
    if (beyond) {
        surprise = (LOG_SHARE + over / (m > EXCESS_MIN ? m : EXCESS_MIN)) * 0.43429448f;
        float rate = 1.0f / (NBT_TAIL_SHARE * (n + 1.0f) + 1.0f);
        float counted = over < EXCESS_MAX * m ? over : EXCESS_MAX * m;
        *self->excess = m + pace * (rate > EXCESS_RATE ? rate : EXCESS_RATE) * (counted - m);
    }
    float step = pace * nbt_clamp(QUANTILE_START / (n + 1.0f), QUANTILE_RATE, 1.0f);
    *self->quantile = q + step * ((beyond ? 1.0f : 0.0f) - NBT_TAIL_SHARE);
    return surprise;
}
