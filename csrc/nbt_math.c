#include "nbt_math.h"

#include "nbt.h"

/* Digit-by-digit square root: every iteration finds one bit, from the highest on. The remainder is
 * exact, so one comparison rounds the result. The 24-bit root Q of a mantissa m, 2^23 m or 2^24 m =
 * Q^2 + remainder, has `twice` = 2 Q and `rest`, the remainder over the bit that is tried: (Q +
 * bit)^2 fits if 2 Q + bit <= rest. A tie cannot occur, since (Q + 1/2)^2 is no integer. NaN or a
 * number below 0 gives the quiet NaN. Cost: about 200 instructions. */
float nbt_math_root(float x)
{
    uint32_t bits = nbt_bits(x);
    uint32_t exponent = bits >> 23;
    uint32_t rest = bits & 0x007fffffu;
    if (bits << 1 == 0u || bits == 0x7f800000u) {
        return x;
    }
    if (bits > 0x7f800000u) {
        return nbt_from_bits(0x7fc00000u);
    }
    if (exponent != 0u) {
        rest |= 0x00800000u;
    } else {
        for (exponent = 1; rest < 0x00800000u;
             exponent--) { /* may wrap: only its lowest bits and sums count */
            rest <<= 1;
        }
    }
    if ((exponent & 1u) == 0u) {
        rest <<= 1;
    }
    uint32_t twice = 0;
    for (uint32_t bit = 0x00800000u; bit != 0u; bit >>= 1) {
        uint32_t tried = twice + bit;
        if (tried <= rest) {
            rest -= tried;
            twice = tried + bit;
        }
        rest <<= 1;
    }
    /* The lowest bit of the exponent field receives the highest bit of the root. */
    return nbt_from_bits(((((exponent + 127u) >> 1) - 1u) << 23) + (twice >> 1) +
                         (uint32_t)(rest > twice));
}

float nbt_expf(float x)
{
    return nbt_exp(x);
}

float nbt_logf(float x)
{
    return nbt_log(x);
}

float nbt_tanhf(float x)
{
    return nbt_tanh(x);
}

float nbt_sigmoidf(float x)
{
    return nbt_sigmoid(x);
}
