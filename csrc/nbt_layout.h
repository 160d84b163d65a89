/* Where everything of a learner lies in its block. The block holds no pointers, so that it can be
 * copied byte for byte; a layout is worked out from the config in each call. */
#ifndef NBT_LAYOUT_H
#define NBT_LAYOUT_H

#include "nbt.h"
#include "nbt_matrices.h"

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

/* Arrays that only some choices have, in symbols and with the choices that bring them; a build without
 * those has no pointer to them in its layout. Use: NBT_OF(l, name), NULL where there is none. */
#define NBT_W_AND_G (NBT_BUILDS_RESIDUAL || NBT_BUILDS_UNITWISE)
#define NBT_G_OR_RTRL (NBT_BUILDS_G || NBT_HAS_RTRL)
#define NBT_OPTIONAL_ARRAYS(X)                                                                     \
    X(balance, NBT_BUILDS_RESIDUAL)  /* (1 + 2H) ||w||^2, ||g_i||^2, kappa_i */                    \
    X(exact, NBT_HAS_RTRL)           /* (S, R, D) row-major ds/dtheta */                           \
    X(leak, NBT_BUILDS_LEAKY)        /* (H) */                                                     \
    /* workspace */                                                                                \
    X(gain2, NBT_BUILDS_LSTM)        /* (R) gains of part 1 */                                     \
    X(gu, NBT_BUILDS_G)              /* (R) row products */                                        \
    X(gg, NBT_BUILDS_G)                                                                            \
    X(wg, NBT_W_AND_G)                                                                             \
    X(jacobian, NBT_BUILDS_UNITWISE || NBT_HAS_RTRL) /* (H, H) transposed J_t; rtrl: (S, H) J_t */ \
    X(tangent, NBT_W_AND_G)          /* (H) rho0 v + y (residual) */                               \
    X(step_g, NBT_BUILDS_G)          /* (3, H) step, tilt, curvature */                            \
    X(white, NBT_G_OR_RTRL)          /* (H, O) F^T V_h, unit by unit */                            \
    X(g_scale, NBT_W_AND_G)          /* (H) factor of the old g in the new w */                    \
    X(g_keep, NBT_BUILDS_G)          /* (H) d */                                                   \
    X(g_square, NBT_BUILDS_G)        /* (H) sum P g g of a unit */                                 \
    X(g_cross, NBT_BUILDS_G)         /* (H) sum P g w of a unit */                                 \
    X(slopes, NBT_HAS_RTRL)          /* (O, R, D) F^T H, row-major */                              \
    X(past, NBT_HAS_RTRL)            /* (S, D) a row of the exact derivative before the step */    \
    X(p_row, NBT_HAS_RTRL)           /* (D) P of a row */                                          \
    X(weighted, NBT_HAS_RTRL)        /* (D) its product with a slope */

/* Places of the pointers: an array takes one if it is built, and none otherwise. */
enum {
#define NBT_PLACE(name, built) NBT_AT_##name, NBT_LAST_##name = NBT_AT_##name + ((built) ? 1 : 0) - 1,
    NBT_OPTIONAL_ARRAYS(NBT_PLACE)
#undef NBT_PLACE
    NBT_OPTIONAL
};

/* Arrays as pointers into one block; NULL where the configuration has none. Shapes in symbols. */
typedef struct nbt_layout {
    const nbt_config *config;
    size_t H, O, S, R, D, parts;    /* sizes, docs/design.md section 1 */
    size_t N;                       /* directions of the gradient besides g: 0, 1 or (unitwise) H */
    nbt_matrices m;                 /* theta, w, g, cov, coupling (R, D) in blocks */
    float *readout;                 /* (O, D) */
    float *v;                       /* (N, S) */
    float *ud;                      /* (D (D + 1) / 2) */
    float *noise;                   /* (2, O): variance, labels counted */
    float *state;                   /* (2, S) state, learning state */
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
    float *da;                      /* (R) theta_h v, then u_scale */
    float *uu;                      /* (2, R) row products u u, w u */
    float *w_square;                /* (2, N) sum P w w (rtrl: of the slopes), factor of the old w */
    /* tangent, these, step_g, white, and alpha lie one after the other: before the correction fills
     * them, scratch of the estimate (unitwise: (8, H) from tangent on). */
    float *step_w;                  /* (2, N) step, curvature */
    float *alpha;                   /* (N, O) V_h v_h, whitened by F^T under kalman; rtrl: its step */
    float *cf;                      /* (2, D) C f, U^T f; while looking, u and u^2 */
    float *chol;                    /* (O (O + 1) / 2) */
    float *y;                       /* (4, O) prediction and label in scaled units, innovation and its
                                       solution, curvature factor */
    float *live;                    /* (R) pre-activations of the live state, where it leads */
    float *optional[NBT_OPTIONAL > 0 ? NBT_OPTIONAL : 1];
} nbt_layout;

/* Where one pointer stands for several arrays, the later ones. Only of what there is. */
NBT_INLINE float *nbt_learning_state(const nbt_layout *l)
{
    return l->state + l->S;
}

NBT_INLINE float *nbt_wu(const nbt_layout *l)
{
    return l->uu + l->R;
}

NBT_INLINE float *nbt_w_scale(const nbt_layout *l)
{
    return l->N > 0 ? l->w_square + l->N : l->w_square;
}

NBT_INLINE float *nbt_curvature_w(const nbt_layout *l)
{
    return l->N > 0 ? l->step_w + l->N : l->step_w;
}

NBT_INLINE float *nbt_uf(const nbt_layout *l)
{
    return l->cf + l->D;
}

NBT_INLINE float *nbt_label(const nbt_layout *l)
{
    return l->y + l->O;
}

NBT_INLINE float *nbt_innovation(const nbt_layout *l)
{
    return l->y + 2 * l->O;
}

NBT_INLINE float *nbt_factor(const nbt_layout *l)
{
    return l->y + 3 * l->O;
}

#define NBT_OF(l, name) nbt_optional(l, (int)NBT_AT_##name, (int)NBT_LAST_##name)
NBT_INLINE float *nbt_optional(const nbt_layout *l, int at, int last)
{
    return last >= at ? l->optional[last] : NULL;
}

/* What a learner has beside nbt_matrices.h; constants where the build leaves no choice. */
NBT_INLINE int nbt_is_swept(const nbt_layout *l) /* has w or g, and sums of them */
{
    return nbt_has(NBT_ESTIMATORS, NBT_ESTIMATORS_ALL, NBT_ESTIMATORS_SWEPT,
                   l->uu != NULL);
}

NBT_INLINE int nbt_has_copy(const nbt_layout *l)
{
    return NBT_ROLLBACK && l->copy != NULL;
}

NBT_INLINE int nbt_is_residual(const nbt_layout *l)
{
    return nbt_has(NBT_ESTIMATORS, NBT_ESTIMATORS_ALL, 1u << NBT_EST_RESIDUAL, NBT_OF(l, balance) != NULL);
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

/* Whether nbt_config_check accepts a config. */
int nbt_config_is_good(const nbt_config *config);

/* The layout of a learner whose first byte is `base`, or NULL to ask for sizes only. Returns nbt_bytes. */
size_t nbt_layout_of(nbt_layout *l, const nbt_config *config, void *base);

/* Its bytes by purpose. Returns how many floats of `guard` are in use: one may be left to fill up. */
size_t nbt_layout_bytes(const nbt_config *config, nbt_breakdown *bytes);

/* ---- choices of the learner -------------------------------------------------------------------
 * Constants where the build leaves no choice. */
NBT_INLINE uint32_t nbt_cell(const nbt_layout *l)
{
    return nbt_cell_of(l->config);
}

NBT_INLINE uint32_t nbt_estimator(const nbt_layout *l)
{
    return nbt_estimator_of(l->config);
}

NBT_INLINE uint32_t nbt_link(const nbt_layout *l)
{
    return nbt_link_of(l->config);
}

/* Fails to compile when a choice is added: then every switch of the file that says this needs its case. */
#define NBT_COVERS(name, all, covered) typedef char name[(all) == (covered) ? 1 : -1]

/* step_g (3, H): step, tilt and curvature; NULL without traces. */
NBT_INLINE float *nbt_tilt(const nbt_layout *l)
{
    return nbt_has_g(&l->m) ? NBT_OF(l, step_g) + l->H : NULL;
}

NBT_INLINE float *nbt_curvature_g(const nbt_layout *l)
{
    return nbt_has_g(&l->m) ? NBT_OF(l, step_g) + 2 * l->H : NULL;
}

/* ---- what a place holds -----------------------------------------------------------------------
 * Memory is dear, so some arrays hold one thing early in a step and another late. Each meaning has a name. */

/* act (R): pre-activations, and after the cell the gains of part 0. */
NBT_INLINE float *nbt_gain(const nbt_layout *l)
{
    return l->act;
}

/* da (R): theta_h v, and for nobacktrack after J v is made the factors of u in w. */
NBT_INLINE float *nbt_u_scale(const nbt_layout *l)
{
    return l->da;
}

/* carry (S), after J v is made: the factors of the gains in v, of one gate at a time (H). */
NBT_INLINE float *nbt_v_scale(const nbt_layout *l)
{
    return l->carry;
}

/* cf (2, D), while a change of the matrices may still need u: the next u and its squares. */
NBT_INLINE float *nbt_next_u(const nbt_layout *l)
{
    return l->cf;
}

/* white (H), while a change may still need g_scale: that of the next step. */
NBT_INLINE float *nbt_next_g_scale(const nbt_layout *l)
{
    return NBT_OF(l, white);
}

/* y (O): the prediction, and for probabilities after nbt_link_innovate its midpoint with the label. */
NBT_INLINE float *nbt_midpoint(const nbt_layout *l)
{
    return l->y;
}

/* rtrl: w_square is the sum of P h h over all slopes, alpha (O) the step along those of each output. */
NBT_INLINE float *nbt_slope_square(const nbt_layout *l)
{
    return l->w_square;
}

NBT_INLINE float *nbt_slope_step(const nbt_layout *l)
{
    return l->alpha;
}

/* Scratch of estimators with traces before the correction fills it: step_g (3, H). */
NBT_INLINE float *nbt_scratch(const nbt_layout *l)
{
    return NBT_OF(l, step_g);
}

/* Scratch of unitwise, from tangent to alpha (8, H). */
NBT_INLINE float *nbt_unit_scratch(const nbt_layout *l)
{
    return NBT_OF(l, tangent);
}

#endif
