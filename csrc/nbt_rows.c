#include "nbt_rows.h"

/* To the next weight. */
#define NEXT        \
    theta++;        \
    p++;            \
    g++;            \
    NBT_PIN(theta); \
    NBT_PIN(p);     \
    NBT_PIN(g)

NBT_LOCAL NBT_NOINLINE void nbt_rows_turn(float *NBT_RESTRICT theta, float *NBT_RESTRICT p,
                                          const float *g, size_t n, float step, float curvature,
                                          float keep, float rate_floor){
#define WEIGHT                                                                         \
    {                                                                                  \
        float variance = *p, along = variance * *g, gained = curvature * (along * *g); \
        *theta += step * along;                                                        \
        *p = nbt_kalman_shrink(variance, keep, gained + rate_floor * variance);        \
        NEXT;                                                                          \
    }
    NBT_REPEAT(n, WEIGHT)
#undef WEIGHT
}

NBT_LOCAL NBT_NOINLINE void nbt_rows_rest(float *NBT_RESTRICT theta, const float *NBT_RESTRICT p,
                                          const float *g, size_t n, float step){
#define WEIGHT                      \
    {                               \
        *theta += step * (*p * *g); \
        NEXT;                       \
    }
    NBT_REPEAT(n, WEIGHT)
#undef WEIGHT
}
#undef NEXT

NBT_LOCAL NBT_NOINLINE
    float nbt_rows_trace(float *NBT_RESTRICT g, const float *NBT_RESTRICT p, const float *x,
                         size_t n, float keep, float gain, float square)
{
#define WEIGHT                               \
    {                                        \
        float moved = keep * *g + gain * *x; \
        *g = moved;                          \
        square += (*p * moved) * moved;      \
        g++;                                 \
        p++;                                 \
        x++;                                 \
        NBT_PIN(g);                          \
        NBT_PIN(p);                          \
        NBT_PIN(x);                          \
    }
    NBT_REPEAT(n, WEIGHT)
#undef WEIGHT
    return square;
}
