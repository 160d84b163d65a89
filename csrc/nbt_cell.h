/* The cells: s = cell(a, s), their gains and their direct carry.
 *
 * A cell has `gates` rows and `parts` state floats per unit: rows are stacked by gate (row = gate *
 * H + unit), the state by part (lstm: h, then c). Its Jacobian-vector product is, per part k and
 * unit i,
 *     (J v)_k,i = carry_k,i v_memory,i + sum over the unit's rows r of gain_k,r (theta_h v_h)_r
 * where the memory is the last part. A gain is the derivative of a state float with respect to a
 * pre-activation; the carry is its derivative with respect to the unit's own memory at fixed
 * pre-activations. Estimators need nothing else from a cell. */
#ifndef NBT_CELL_H
#define NBT_CELL_H

#include <stddef.h>
#include <stdint.h>

#include "nbt_simd.h"

NBT_LOCAL size_t nbt_cell_gates(uint32_t cell);
NBT_LOCAL size_t nbt_cell_parts(uint32_t cell);

/* Steps the first n of H units. a (gates * H): pre-activations, not changed. state (parts * H) is
 * advanced in place. leak (H) is used by the leaky cell. */
NBT_LOCAL void nbt_cell_forward(uint32_t cell, size_t n, size_t H, float *a, float *state,
                                const float *leak);

/* The same with the derivatives. a (gates * H) holds the pre-activations and receives the gains of
 * part 0; gain2 (gates * H) receives those of part 1 (lstm); carry (parts * H) the carry. */
NBT_LOCAL void nbt_cell_linearise(uint32_t cell, size_t n, size_t H, float *a, float *state,
                                  const float *leak, float *gain2, float *carry);

#endif
