/* The loop of a firmware: tests the board, continues to learn where Python stopped, and logs every
 * step for `nbt-embed replay`. It needs no edit: board.h has the functions to replace. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "board.h"
#include "golden.h"
#include "nbt_model.h"

#if defined(__GNUC__)
#define WEAK __attribute__((weak))
#else
#define WEAK /* remove the default of each function that you define */
#endif

/* The hash in the log costs about as much as a step. 1 writes it in every line. */
#ifndef LOG_HASH_EVERY
#define LOG_HASH_EVERY 1u
#endif

/* All the memory that learning needs. */
static NBT_ARENA(arena, NBT_MODEL_BYTES);
static nbt_learner *learner;

static nbt_status load(void)
{
    return nbt_load(arena, sizeof arena, nbt_model_state, sizeof nbt_model_state, &learner);
}

static void golden_sample(uint32_t step, float *x, float *label)
{
    memcpy(x, golden_bits[step], NBT_MODEL_INPUTS * sizeof(float));
    memcpy(label, golden_bits[step] + NBT_MODEL_INPUTS, NBT_MODEL_LABELS * sizeof(float));
}

/* Repeats Python's steps on this board. Returns 0, or the number, from 1, of the first step with
 * other bits. */
static uint32_t self_test(void)
{
    float x[NBT_MODEL_INPUTS], label[NBT_MODEL_LABELS], forecast[NBT_MODEL_OUTPUTS];
    for (uint32_t step = 0; step != GOLDEN_STEPS; step++) {
        golden_sample(step, x, label);
        if (nbt_pending(learner) > 0u) {
            (void)nbt_learn(learner, label);
        }
        (void)nbt_predict(learner, forecast, x);
        if (nbt_hash(learner) != golden_hash[step]) {
            return step + 1u;
        }
    }
    return 0u;
}

WEAK int read_sensor(float *x, float *label)
{
    static uint16_t step;
    if (step + 1u > GOLDEN_STEPS) { /* GOLDEN_STEPS may be 0, and compilers warn about unsigned
                                       >= 0 */
        return 0;
    }
    golden_sample(step++, x, label);
    return 1;
}

WEAK void use_forecast(const float *forecast, nbt_status learnt, nbt_status predicted)
{
    (void)forecast;
    (void)learnt;
    (void)predicted;
}

WEAK void write_text(const char *text)
{
    fputs(text, stdout);
}

/* ---- log: one line per step, numbers as their bits ------------------------------------------- */

static void write_hex(uint64_t word, unsigned digits)
{
    char text[17];
    for (unsigned i = digits; i-- > 0u; word >>= 4) {
        text[i] = "0123456789abcdef"[word & 15u];
    }
    text[digits] = '\0';
    write_text(text);
}

/* Writes a comment line with a failed status: its number, for kernels without texts, and its
 * text. */
static void write_failure(const char *call, nbt_status status)
{
    char digits[4] = "-";
    unsigned number = (unsigned)(-(int)status), n = 1;
    if (status >= 0) {
        return;
    }
    if (number >= 10u) {
        digits[n++] = (char)('0' + number / 10u % 10u);
    }
    digits[n++] = (char)('0' + number % 10u);
    digits[n] = '\0';
    write_text("# ");
    write_text(call);
    write_text(": status ");
    write_text(digits);
    write_text(", ");
    write_text(nbt_status_text(status));
    write_text("\n");
}

/* Writes n cells; empty ones for a call that was not made. */
static void write_floats(const float *values, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (values != NULL) {
            uint32_t bits;
            memcpy(&bits, &values[i], sizeof bits);
            write_text("0x");
            write_hex(bits, 8);
        }
        write_text(",");
    }
}

static void write_header(void)
{
    for (uint32_t i = 0; i < NBT_MODEL_LABELS; i++) {
        write_text("label,");
    }
    for (uint32_t i = 0; i < NBT_MODEL_INPUTS; i++) {
        write_text("x,");
    }
    write_text("hash\n");
}

static void write_log(const float *x, const float *label, int with_hash)
{
    write_floats(label, NBT_MODEL_LABELS);
    write_floats(x, NBT_MODEL_INPUTS);
    if (with_hash) {
        write_hex(nbt_hash(learner), 16);
    }
    write_text("\n");
}

/* A refused label counts as missing, and refused inputs are replaced by the last accepted ones.
 * Every sample thus gives one forecast, so that every label meets the forecast that it belongs
 * to. */
static nbt_status learn(float *label)
{
    nbt_status status = nbt_learn(learner, label);
    if (status < 0) {
        for (uint32_t i = 0; i < NBT_MODEL_LABELS; i++) {
            label[i] = NAN;
        }
        (void)nbt_learn(learner, label);
    }
    return status;
}

static nbt_status predict(float *forecast, float *x)
{
    static float last[NBT_MODEL_INPUTS];
    nbt_status status = nbt_predict(learner, forecast, x);
    if (status < 0) {
        memcpy(x, last, sizeof last);
        (void)nbt_predict(learner, forecast, x);
    }
    memcpy(last, x, sizeof last);
    return status;
}

int main(void)
{
    float x[NBT_MODEL_INPUTS], label[NBT_MODEL_LABELS], forecast[NBT_MODEL_OUTPUTS];
    nbt_status status = load();
    if (status != NBT_OK) {
        write_failure("nbt_load", status);
        return 1;
    }
    uint32_t different = self_test();
    if (different != 0u) {
        write_text("# self-test: other bits than Python's from step ");
        write_hex(different, 8);
        write_text(" on (README.md)\n");
        return 1;
    }
    (void)load(); /* as before the self-test */
    write_text("# self-test: the same bits as Python's\n");
    write_header();
    write_log(NULL, NULL, 1); /* the state from which learning continues */
    for (uint32_t step = 1; read_sensor(x, label); step++) {
        int due = nbt_pending(learner) >= NBT_MODEL_HORIZON; /* the label of the oldest forecast */
        nbt_status learnt = due ? learn(label) : NBT_OK;
        nbt_status predicted = predict(forecast, x);
        use_forecast(forecast, learnt, predicted);
        write_log(x, due ? label : NULL, step % LOG_HASH_EVERY == 0u);
        write_failure("nbt_learn", learnt);
        write_failure("nbt_predict", predicted);
    }
    return 0;
}
