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
};

/* Arrays as pointers into one block; NULL where the configuration has none. Shapes in symbols. */
typedef struct nbt_layout {
    size_t I, H, O, S, R, D, parts; /* sizes, docs/design.md section 1 */
    nbt_matrices m;                 /* theta (R, D), w (R, D), cov (R, D) in block storage */
    float *readout;                 /* (O, D) */
    float *v;                       /* (S) */
    float *ud;                      /* (D (D + 1) / 2) */
    float *noise;                   /* (2, O): variance, labels counted */
    float *state;                   /* (S) */
    float *learning_state;          /* (S) */
    float *leak;                    /* (H) */
    float *ring;                    /* (max_delay + lags, n_in) */
    float *input_scale;             /* (3, n_in) */
    float *label_scale;             /* (3, O) */
    /* workspace of one call */
    float *u;                       /* (D) [h before; x; 1] */
    float *f;                       /* (D) [h after; x; 1] */
    float *act;                     /* (R) pre-activations, then gains of part 0 */
    float *carry;                   /* (S) */
    float *gain2;                   /* (R) gains of part 1 */
    float *da, *wu, *uu;            /* (R) row products; da becomes u_scale */
    float *cf, *uf;                 /* (D) C f, U^T f */
    float *chol;                    /* (O (O + 1) / 2) */
    float *y, *label;               /* (O) prediction and label in scaled units */
    float *x, *factor;              /* (O) innovation and its solution, curvature factor */
    float *alpha, *f_alpha;         /* (O) V_h v_h and F^T of it */
    nbt_breakdown bytes;
} nbt_layout;

/* base: the learner's first byte, or NULL to ask for sizes only. */
nbt_layout nbt_layout_of(const nbt_config *config, void *base);

#endif
