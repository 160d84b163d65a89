#include "nbt_math.h"

#include "nbt.h"

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
