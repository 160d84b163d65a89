/* nobacktrack: one random rank-one matrix whose expectation is the derivative of the state
 * (Ollivier, Tallec, Charpiat 2015, Training recurrent networks online without backtracking, arXiv
 * 1507.07680).
 *
 * Keeps v (S) and w (R, D), with E[v w^T] = ds/dtheta at decay 1. A step draws a sign for every row
 * r, e_r being the gains of the row and u = [h; x; 1]:
 *     z   = J v
 *     rho0 = sqrt(||w|| / ||z||),   rho_r = sqrt(||u||_r / ||e_r||)
 *     v   <- decay rho0 z + sum_r sign_r rho_r e_r
 *     w_r <- w_r / rho0 + (sign_r / rho_r) u
 * ||w|| and ||u||_r are the filter's norms, or Euclidean ones (norm = euclidean). */
#ifndef NBT_NOBACKTRACK_H
#define NBT_NOBACKTRACK_H

#include "nbt_layout.h"

/* nbt_estimate.h describes these functions. */
NBT_LOCAL void nbt_nobacktrack_clear(const nbt_layout *l);
NBT_LOCAL void nbt_nobacktrack_advance(nbt_learner *learner, const nbt_layout *l);
NBT_LOCAL int nbt_nobacktrack_is_bounded(const nbt_layout *l);

#endif
