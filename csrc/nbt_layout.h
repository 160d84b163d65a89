/* Where everything of a learner lies in its block. The block holds no pointers, so that it can be
 * copied byte for byte; a layout is worked out from the config in each call. */
#ifndef NBT_LAYOUT_H
#define NBT_LAYOUT_H

#include "nbt.h"
#include "nbt_sweep.h"

/* The header of the block; the arrays follow it. */
struct nbt_learner {
    nbt_config config;
    nbt_counters counters;
    uint32_t rng[4];
    uint32_t ring_head; /* slot of the newest input */
    uint32_t pending;   /* predictions that wait for a label */
    uint32_t column;    /* the next column whose norm the residual estimator refreshes */
    /* guards */
    uint32_t quarantine; /* waiting predictions that nothing shall be learnt from */
    uint32_t copy;       /* NBT_COPY_* */
    float level;         /* running loss */
    float seen;          /* labels counted in it */
    float alarm;         /* how much the loss has been above the level lately */
    uint64_t opened;     /* labels when the rates last started anew */
    uint32_t looked;     /* NBT_LOOK_*: what the workspace holds of the next learning step */
    uint32_t simd;       /* NBT_SIMD_* that this learner may use at most, plus 1; 0 for any */
};

enum { NBT_COPY_NONE, NBT_COPY_READY, NBT_COPY_TAKEN }; /* taken: since then nothing was kept */

enum {
    NBT_LOOK_NONE,
    NBT_LOOK_SUMS, /* u, and the row sums */
    NBT_LOOK_STEP  /* the gains and the carry too, and f and y; the live state is the one after the step */
};

/* Arrays as pointers into one block; NULL where the configuration has none. Shapes in symbols. */
typedef struct nbt_layout {
    size_t I, H, O, S, R, D, parts; /* sizes, docs/design.md section 1 */
    size_t N;                       /* directions of the gradient besides g: 0, 1 or (unitwise) H */
    nbt_matrices m;                 /* theta, w, g, cov, coupling (R, D) in blocks */
    float *readout;                 /* (O, D) */
    float *v;                       /* (N, S) */
    float *balance;                 /* (1 + 2H) ||w||^2, ||g_i||^2, kappa_i */
    float *exact;                   /* (S, R, D) row-major ds/dtheta */
    float *ud;                      /* (D (D + 1) / 2) */
    float *noise;                   /* (2, O): variance, labels counted */
    float *state;                   /* (S) */
    float *learning_state;          /* (S) */
    float *leak;                    /* (H) */
    float *ring;                    /* (max_delay + lags, n_in) */
    float *input_scale;             /* (3, n_in) */
    float *label_scale;             /* (3, O) */
    float *input_run;               /* (2, n_in) last value, how often in a row */
    float *label_run;               /* (2, O) */
    float *copy;                    /* the last good copy, one after the other those of theta, cov,
                                       coupling, readout, ud, noise, input_scale, label_scale that
                                       there are and that change; NULL without rollback_steps */
    /* workspace of one call */
    float *u;                       /* (D) [h before; x; 1] */
    float *f;                       /* (D) [h after; x; 1] */
    float *act;                     /* (R) pre-activations, then gains of part 0 */
    float *carry;                   /* (S) */
    float *gain2;                   /* (R) gains of part 1 */
    float *da;                      /* (R) theta_h v, then u_scale */
    float *uu, *wu, *gu, *gg, *wg;  /* (R) row products */
    float *jacobian;                /* (H, H) transposed J_t (unitwise); (S, H) J_t (rtrl) */
    float *w_square, *w_scale;      /* (N) sum P w w (rtrl: of the slopes), factor of the old w */
    /* From here to alpha one after the other: before the correction fills them, scratch of the
     * estimate (unitwise: (8, H) from tangent on). */
    float *tangent;                 /* (H) rho0 v + y (residual) */
    float *step_w, *curvature_w;    /* (N) */
    float *step_g, *tilt, *curvature_g;     /* (H) */
    float *white;                   /* (H, O) F^T V_h, unit by unit */
    float *alpha;                   /* (N, O) V_h v_h, whitened by F^T under kalman; rtrl: its step */
    float *g_scale;                 /* (H) factor of the old g in the new w */
    float *g_keep, *g_square, *g_cross;     /* (H) d, sum P g g, sum P g w of a unit */
    float *slopes;                  /* (O, R, D) F^T H, row-major */
    float *past;                    /* (S, D) a row of the exact derivative before the step */
    float *p_row, *weighted;        /* (D) P of a row, and its product with a slope */
    float *cf, *uf;                 /* (D) C f, U^T f */
    float *chol;                    /* (O (O + 1) / 2) */
    float *y, *label;               /* (O) prediction and label in scaled units */
    float *x, *factor;              /* (O) innovation and its solution, curvature factor */
    float *live;                    /* (R) pre-activations of the live state, where it leads */
} nbt_layout;

/* What a learner has beside the matrices of nbt_sweep.h; constants where the build leaves no choice. */
NBT_INLINE int nbt_is_swept(const nbt_layout *l) /* has w or g, and sums of them */
{
    return nbt_has(NBT_ESTIMATORS, NBT_ESTIMATORS_ALL, NBT_ESTIMATORS_W | NBT_ESTIMATORS_G,
                   l->uu != NULL);
}

NBT_INLINE int nbt_is_residual(const nbt_layout *l)
{
    return nbt_has(NBT_ESTIMATORS, NBT_ESTIMATORS_ALL, 1u << NBT_EST_RESIDUAL, l->balance != NULL);
}

NBT_INLINE int nbt_is_kalman(const nbt_layout *l)
{
    return nbt_has(NBT_FILTERS, NBT_FILTERS_ALL, ~(1u << NBT_FILTER_SGD), l->ud != NULL);
}

NBT_INLINE int nbt_is_gaussian(const nbt_layout *l)
{
    return nbt_has(NBT_LINKS, NBT_LINKS_ALL, 1u << NBT_LINK_GAUSSIAN, l->noise != NULL);
}

/* The fields of a config after seed are words of 32 bits, without padding between them. */
#define NBT_CONFIG_WORDS ((offsetof(nbt_config, input_limit) - offsetof(nbt_config, n_in)) / 4u + 1u)
#define NBT_GUARD_WORDS ((size_t)5) /* the last of them: stuck_steps to input_limit */
/* Whether any guard is on; without one, what the guards remember shapes nothing. */
int nbt_config_has_guards(const nbt_config *config);
uint32_t nbt_config_word(const nbt_config *config, size_t index);
void nbt_config_set_word(nbt_config *config, size_t index, uint32_t word);

/* The layout of a learner whose first byte is `base`, or NULL to ask for sizes only. */
void nbt_layout_of(nbt_layout *l, const nbt_config *config, void *base);

/* Its bytes by purpose. Returns how many floats of `guard` are in use: one may be left to fill up. */
size_t nbt_layout_bytes(const nbt_config *config, nbt_breakdown *bytes);

#endif
