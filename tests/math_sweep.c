/* Largest errors of the kernel's elementary functions over float32 bit patterns.
 *
 *     math_sweep STRIDE [FUNCTION]
 *
 * visits every STRIDE-th of the 2^32 patterns, below 2^-27 where a function is flat or straight to the
 * last bit every 97th at most, and prints one line per function, or that of one:
 * name, its largest error in ulp over finite arguments inside the range where it does not saturate,
 * the argument of that error, and the number of broken rules outside (saturation, NaN, symmetry).
 * An ulp is the distance between float32 numbers at the true value, computed in double.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nbt.h"

#define SMALLEST_NORMAL 1.17549435e-38f
#define EXP_LOW (-87.0f)
#define EXP_HIGH 88.0f
#define STRAIGHT 7.450580597e-9f /* 2^-27: exp(x) = 1 + x and tanh(x) = x beyond all doubt */
#define COARSE 97u

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int same_bits(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* One float32 ulp at a value; below the smallest normal number the distance stays 2^-149. */
static double ulp_at(double value)
{
    uint64_t bits;
    double power;
    value = fabs(value);
    if (value < (double)SMALLEST_NORMAL) {
        return ldexp(1.0, -149);
    }
    memcpy(&bits, &value, sizeof bits);
    bits &= UINT64_C(0x7ff0000000000000); /* the power of two below */
    memcpy(&power, &bits, sizeof power);
    return power * 0x1p-23;
}

static double true_exp(double x)
{
    return exp(x);
}

static double true_log(double x)
{
    return log(x);
}

static double true_tanh(double x)
{
    return tanh(x);
}

static double true_sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

/* Rules for arguments where the error bound does not apply; returns whether one is broken. */
static int exp_is_wrong(float x, float y)
{
    return !same_bits(y, nbt_expf(x < EXP_LOW ? EXP_LOW : EXP_HIGH));
}

static int log_is_wrong(float x, float y)
{
    return x < SMALLEST_NORMAL && !same_bits(y, nbt_logf(SMALLEST_NORMAL));
}

static int tanh_is_wrong(float x, float y)
{
    return !same_bits(y, x < 0.0f ? -1.0f : 1.0f);
}

static int sigmoid_is_wrong(float x, float y)
{
    return !same_bits(y, nbt_sigmoidf(x < 0.0f ? -EXP_HIGH : -EXP_LOW));
}

typedef struct function {
    const char *name;
    float (*ours)(float);
    double (*truth)(double);
    float low; /* the error bound holds for arguments in [low, high] */
    float high;
    float straight; /* nearer to 0 than this nothing happens */
    int (*is_wrong)(float x, float y);
} function;

static void sweep(const function *f, uint32_t stride)
{
    double worst = 0.0;
    float worst_x = 0.0f;
    uint64_t broken = 0;
    uint32_t coarse = stride < COARSE ? COARSE : stride;
    float x;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += fabsf(x) < f->straight ? coarse : stride) {
        x = from_bits((uint32_t)bits);
        float y = f->ours(x);
        if (x >= f->low && x <= f->high) {
            double truth = f->truth((double)x);
            double error = fabs((double)y - truth) / ulp_at(truth);
            if (!(error <= worst)) { /* a NaN is an error too */
                worst = error;
                worst_x = x;
            }
        } else if (isnan(x)) {
            broken += (uint64_t)!isnan(y);
        } else if (isfinite(x)) {
            broken += (uint64_t)(f->is_wrong(x, y) != 0);
        }
    }
    printf("%s %.4f %a %" PRIu64 "\n", f->name, worst, (double)worst_x, broken);
}

int main(int argc, char **argv)
{
    static const function functions[] = {
        {"exp", nbt_expf, true_exp, EXP_LOW, EXP_HIGH, STRAIGHT, exp_is_wrong},
        {"log", nbt_logf, true_log, SMALLEST_NORMAL, 3.40282347e38f, 0.0f, log_is_wrong},
        {"tanh", nbt_tanhf, true_tanh, -16.0f, 16.0f, STRAIGHT, tanh_is_wrong},
        {"sigmoid", nbt_sigmoidf, true_sigmoid, -EXP_HIGH, -EXP_LOW, STRAIGHT, sigmoid_is_wrong},
    };
    uint32_t stride = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    if (stride == 0) {
        fprintf(stderr, "usage: math_sweep STRIDE [FUNCTION]\n");
        return 1;
    }
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (argc == 2 || strcmp(argv[2], functions[i].name) == 0) {
            sweep(&functions[i], stride);
        }
    }
    return 0;
}
