#include "nbt_cell.h"

#include "nbt.h"
#include "nbt_math.h"

size_t nbt_cell_gates(uint32_t cell)
{
    return cell == NBT_CELL_LSTM ? 4 : cell == NBT_CELL_GATED ? 2 : 1;
}

size_t nbt_cell_parts(uint32_t cell)
{
    return cell == NBT_CELL_LSTM ? 2 : 1;
}

/* One unit: its rows' pre-activations, state, gains and carry. A caller that drops the
 * derivatives pays nothing for them: the compiler removes them. */
typedef struct unit {
    float a[4];
    float state[2];
    float gain[2][4];
    float carry[2];
} unit;

NBT_INLINE void unit_tanh(unit *n)
{
    n->state[0] = nbt_tanh(n->a[0]);
    n->gain[0][0] = 1.0f - n->state[0] * n->state[0];
    n->carry[0] = 0.0f;
}

NBT_INLINE void unit_leaky(unit *n, float leak)
{
    float activity = nbt_tanh(n->a[0]);
    n->state[0] += leak * (activity - n->state[0]);
    n->gain[0][0] = leak * (1.0f - activity * activity);
    n->carry[0] = 1.0f - leak;
}

NBT_INLINE void unit_gated(unit *n)
{
    float z = nbt_sigmoid(n->a[0]);
    float candidate = nbt_tanh(n->a[1]);
    float difference = candidate - n->state[0];
    n->state[0] += z * difference;
    n->gain[0][0] = z * (1.0f - z) * difference;
    n->gain[0][1] = z * (1.0f - candidate * candidate);
    n->carry[0] = 1.0f - z;
}

NBT_INLINE void unit_lstm(unit *n)
{
    float i = nbt_sigmoid(n->a[0]);
    float f = nbt_sigmoid(n->a[1]);
    float g = nbt_tanh(n->a[2]);
    float o = nbt_sigmoid(n->a[3]);
    float c_before = n->state[1];
    float c = f * c_before + i * g;
    float squashed = nbt_tanh(c);
    float h_per_c = o * (1.0f - squashed * squashed);
    n->state[0] = o * squashed;
    n->state[1] = c;
    n->gain[1][0] = i * (1.0f - i) * g;
    n->gain[1][1] = f * (1.0f - f) * c_before;
    n->gain[1][2] = i * (1.0f - g * g);
    n->gain[1][3] = 0.0f;
    for (size_t gate = 0; gate < 3; gate++) {
        n->gain[0][gate] = h_per_c * n->gain[1][gate];
    }
    n->gain[0][3] = o * (1.0f - o) * squashed;
    n->carry[1] = f;
    n->carry[0] = h_per_c * f;
}

NBT_INLINE void each_unit(uint32_t cell, size_t gates, size_t parts, size_t H, const float *a,
                          float *state, const float *leak, float *gain1, float *gain2, float *carry)
{
    for (size_t i = 0; i < H; i++) {
        unit n;
        for (size_t gate = 0; gate < gates; gate++) {
            n.a[gate] = a[gate * H + i];
        }
        for (size_t part = 0; part < parts; part++) {
            n.state[part] = state[part * H + i];
        }
        if (cell == NBT_CELL_TANH) {
            unit_tanh(&n);
        } else if (cell == NBT_CELL_LEAKY) {
            unit_leaky(&n, leak[i]);
        } else if (cell == NBT_CELL_GATED) {
            unit_gated(&n);
        } else {
            unit_lstm(&n);
        }
        for (size_t part = 0; part < parts; part++) {
            state[part * H + i] = n.state[part];
        }
        if (gain1 != NULL) {
            for (size_t gate = 0; gate < gates; gate++) {
                gain1[gate * H + i] = n.gain[0][gate];
                if (parts == 2) {
                    gain2[gate * H + i] = n.gain[1][gate];
                }
            }
            for (size_t part = 0; part < parts; part++) {
                carry[part * H + i] = n.carry[part];
            }
        }
    }
}

/* One call per cell with constant gates and parts, so that each becomes its own straight loop. */
NBT_INLINE void each_cell(uint32_t cell, size_t H, const float *a, float *state, const float *leak,
                          float *gain1, float *gain2, float *carry)
{
    switch (cell) {
    case NBT_CELL_TANH:
        each_unit(NBT_CELL_TANH, 1, 1, H, a, state, leak, gain1, gain2, carry);
        break;
    case NBT_CELL_LEAKY:
        each_unit(NBT_CELL_LEAKY, 1, 1, H, a, state, leak, gain1, gain2, carry);
        break;
    case NBT_CELL_GATED:
        each_unit(NBT_CELL_GATED, 2, 1, H, a, state, leak, gain1, gain2, carry);
        break;
    default:
        each_unit(NBT_CELL_LSTM, 4, 2, H, a, state, leak, gain1, gain2, carry);
        break;
    }
}

void nbt_cell_forward(uint32_t cell, size_t H, const float *a, float *state, const float *leak)
{
    each_cell(cell, H, a, state, leak, NULL, NULL, NULL);
}

void nbt_cell_linearise(uint32_t cell, size_t H, float *a, float *state, const float *leak,
                        float *gain2, float *carry)
{
    each_cell(cell, H, a, state, leak, a, gain2, carry);
}
