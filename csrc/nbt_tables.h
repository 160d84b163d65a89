/* The parts of the kernel as tables: cells, estimators, filters, links, config fields, counters,
 * saved words and arrays. Each fact is in one row of one table.
 *
 * A table is a macro that calls X once per row; the user of a column passes an X that selects it.
 * Compilation fails if an enumerator of nbt.h has no row, or a row no enumerator (nbt_build.h).
 * csrc/README.md lists the rows that a new cell, estimator, filter, link, field or array needs.
 *
 * Symbols as in nbt.h; N is the number of rank-one estimates: H (unitwise) or 1. Z: [h; x; 1].
 * F: features of the readout. Q: units of the head. C: resonators. E: state floats that are
 * features. */
#ifndef NBT_TABLES_H
#define NBT_TABLES_H

/* The rows are aligned in columns. */
/* clang-format off */

/* ---- Choices: X(enumerator, name, ...) in the order of their numbers ------------------------- */

/* gates: pre-activations of a unit. parts: state floats of a unit. leaks: the cell uses the array
 * `leak`. slow, fast: the gates whose bias starts so that their sigmoid is 1 / tau, 1 - 1 / tau;
 * bit i is gate i. alone: the gates see only the state of their own unit (nbt_columns.h).
 * nbt_cell.c has the function units_<name>. */
#define NBT_CELL_LIST(X)                                       \
    /*                    gates parts leaks slow fast alone */ \
    X(TANH, tanh,         1,    1,    0,    0,   0,   0)       \
    X(LEAKY, leaky,       1,    1,    1,    0,   0,   0)       \
    X(GATED, gated,       2,    1,    0,    1,   0,   0)       \
    X(LSTM, lstm,         4,    2,    0,    1,   2,   0)       \
    X(COLUMNAR, columnar, 2,    1,    0,    1,   0,   1)       \
    X(RESONATOR, resonator, 2,  1,    0,    0,   0,   1)

/* w: right factors of rank-one estimates. g: traces inside each unit. by_unit: one rank-one
 * estimate for every unit instead of one for all. exact: the exact derivative. */
#define NBT_ESTIMATOR_LIST(X)                         \
    /*                          w  g by_unit exact */ \
    X(FROZEN, frozen,           0, 0, 0,     0)       \
    X(NOBACKTRACK, nobacktrack, 1, 0, 0,     0)       \
    X(SNAP1, snap1,             0, 1, 0,     0)       \
    X(RESIDUAL, residual,       1, 1, 0,     0)       \
    X(UNITWISE, unitwise,       1, 1, 1,     0)       \
    X(RTRL, rtrl,               0, 0, 0,     1)

#define NBT_NORM_LIST(X)    \
    X(EUCLIDEAN, euclidean) \
    X(METRIC, metric)

/* kalman: the filter keeps covariances. quasi: also those with the bias column. */
#define NBT_FILTER_LIST(X)               \
    /*                   kalman quasi */ \
    X(SGD, sgd,             0, 0)        \
    X(KALMAN, kalman,       1, 0)        \
    X(QUASI, kalman_quasi,  1, 1)

/* real: labels are real values, which are scaled and whose noise is estimated. */
#define NBT_LINK_LIST(X)             \
    /*                       real */ \
    X(GAUSSIAN, gaussian,       1)   \
    X(CATEGORICAL, categorical, 0)   \
    X(BERNOULLI, bernoulli,     0)

/* Sets of choices: bit i for choice i. */
#define NBT_SET_CELL_(NAME, name, gates, parts, leaks, slow, fast, alone) | 1 << NBT_CELL_##NAME
#define NBT_SET_GATES_1_(NAME, name, gates, parts, leaks, slow, fast, alone) \
    | ((gates) & 1) << NBT_CELL_##NAME
#define NBT_SET_GATES_2_(NAME, name, gates, parts, leaks, slow, fast, alone) \
    | ((gates) >> 1 & 1) << NBT_CELL_##NAME
#define NBT_SET_GATES_4_(NAME, name, gates, parts, leaks, slow, fast, alone) \
    | ((gates) >> 2 & 1) << NBT_CELL_##NAME
#define NBT_SET_TWO_PARTS_(NAME, name, gates, parts, leaks, slow, fast, alone) \
    | ((parts) == 2) << NBT_CELL_##NAME
#define NBT_SET_LEAKY_(NAME, name, gates, parts, leaks, slow, fast, alone) \
    | (leaks) << NBT_CELL_##NAME
#define NBT_SET_ALONE_(NAME, name, gates, parts, leaks, slow, fast, alone) \
    | (alone) << NBT_CELL_##NAME

#define NBT_SET_ESTIMATOR_(NAME, name, w, g, by_unit, exact) | 1 << NBT_EST_##NAME
#define NBT_SET_W_(NAME, name, w, g, by_unit, exact) | (w) << NBT_EST_##NAME
#define NBT_SET_G_(NAME, name, w, g, by_unit, exact) | (g) << NBT_EST_##NAME
#define NBT_SET_BY_UNIT_(NAME, name, w, g, by_unit, exact) | (by_unit) << NBT_EST_##NAME
#define NBT_SET_EXACT_(NAME, name, w, g, by_unit, exact) | (exact) << NBT_EST_##NAME

#define NBT_SET_NORM_(NAME, name) | 1 << NBT_NORM_##NAME

#define NBT_SET_FILTER_(NAME, name, kalman, quasi) | 1 << NBT_FILTER_##NAME
#define NBT_SET_KALMAN_(NAME, name, kalman, quasi) | (kalman) << NBT_FILTER_##NAME
#define NBT_SET_QUASI_(NAME, name, kalman, quasi) | (quasi) << NBT_FILTER_##NAME

#define NBT_SET_LINK_(NAME, name, real) | 1 << NBT_LINK_##NAME
#define NBT_SET_REAL_(NAME, name, real) | (real) << NBT_LINK_##NAME

enum {
    NBT_CELLS_ALL = 0 NBT_CELL_LIST(NBT_SET_CELL_),
    NBT_CELLS_GATES_1 = 0 NBT_CELL_LIST(NBT_SET_GATES_1_), /* digits of the number of gates */
    NBT_CELLS_GATES_2 = 0 NBT_CELL_LIST(NBT_SET_GATES_2_),
    NBT_CELLS_GATES_4 = 0 NBT_CELL_LIST(NBT_SET_GATES_4_),
    NBT_CELLS_TWO_PARTS = 0 NBT_CELL_LIST(NBT_SET_TWO_PARTS_),
    NBT_CELLS_LEAKY = 0 NBT_CELL_LIST(NBT_SET_LEAKY_),
    NBT_CELLS_ALONE = 0 NBT_CELL_LIST(NBT_SET_ALONE_),
    NBT_CELLS_MIXING = NBT_CELLS_ALL & ~NBT_CELLS_ALONE,

    NBT_ESTIMATORS_ALL = 0 NBT_ESTIMATOR_LIST(NBT_SET_ESTIMATOR_),
    NBT_ESTIMATORS_W = 0 NBT_ESTIMATOR_LIST(NBT_SET_W_),
    NBT_ESTIMATORS_G = 0 NBT_ESTIMATOR_LIST(NBT_SET_G_),
    NBT_ESTIMATORS_BY_UNIT = 0 NBT_ESTIMATOR_LIST(NBT_SET_BY_UNIT_),
    NBT_ESTIMATORS_EXACT = 0 NBT_ESTIMATOR_LIST(NBT_SET_EXACT_),
    NBT_ESTIMATORS_SHARED = NBT_ESTIMATORS_W & ~NBT_ESTIMATORS_BY_UNIT, /* one w for all rows */
    NBT_ESTIMATORS_BOTH = NBT_ESTIMATORS_W & NBT_ESTIMATORS_G,
    NBT_ESTIMATORS_RESIDUAL = NBT_ESTIMATORS_SHARED & NBT_ESTIMATORS_G,
    NBT_ESTIMATORS_SWEPT = NBT_ESTIMATORS_W | NBT_ESTIMATORS_G, /* by nbt_sweep */
    NBT_ESTIMATORS_LEARNING = NBT_ESTIMATORS_SWEPT | NBT_ESTIMATORS_EXACT,
    NBT_ESTIMATORS_DIRECTED = NBT_ESTIMATORS_W | NBT_ESTIMATORS_EXACT, /* N directions next to g */
    NBT_ESTIMATORS_WHITENED = NBT_ESTIMATORS_G | NBT_ESTIMATORS_EXACT,
    NBT_ESTIMATORS_JACOBIAN = NBT_ESTIMATORS_BY_UNIT | NBT_ESTIMATORS_EXACT,

    NBT_NORMS_ALL = 0 NBT_NORM_LIST(NBT_SET_NORM_),

    NBT_FILTERS_ALL = 0 NBT_FILTER_LIST(NBT_SET_FILTER_),
    NBT_FILTERS_KALMAN = 0 NBT_FILTER_LIST(NBT_SET_KALMAN_),
    NBT_FILTERS_QUASI = 0 NBT_FILTER_LIST(NBT_SET_QUASI_),

    NBT_LINKS_ALL = 0 NBT_LINK_LIST(NBT_SET_LINK_),
    NBT_LINKS_REAL = 0 NBT_LINK_LIST(NBT_SET_REAL_)
};

/* Whether a choice is in a set: 0 or 1. */
#define NBT_IN(set, choice) ((size_t)((set) >> (choice) & 1))

/* ---- Fields of nbt_config after seed, in its order ------------------------------------------- */

/* X(name, kind, low, high, gaussian, other, since)
 *   kind: COUNT, a whole number; CHOICE, one of a list above; REAL; ABOVE, a real number above low.
 *   low, high: permitted values; nbt_config.c narrows some of them depending on other fields.
 *   gaussian, other: the default for the gaussian link and for the others; may use the arguments of
 *     nbt_config_default.
 *   since: minor version of the checkpoints that introduced it; a new field gets the present
 *     NBT_MINOR + 1. */
#define NBT_FIELD_LIST(X)                                                                    \
    X(n_in, COUNT, 1, 65535, n_in, n_in, 0)                                                  \
    X(n_out, COUNT, 1, 4096, n_out, n_out, 0) /* categorical: at least 2 */                  \
    X(n_hidden, COUNT, 0, 4096, n_hidden, n_hidden, 0)                                       \
    X(lags, COUNT, 1, 1024, NBT_USUAL_LAGS(NBT_LINK_GAUSSIAN), 1, 0)                         \
    X(max_delay, COUNT, 0, 1048576, 0, 0, 0)                                                 \
    X(cell, CHOICE, 0, NBT_CELL_END - 1, cell, cell, 0)                                      \
    X(estimator, CHOICE, 0, NBT_EST_END - 1, usual_estimator(n_hidden, shape),               \
      usual_estimator(n_hidden, shape), 0)                                                   \
    X(norm, CHOICE, 0, NBT_NORM_END - 1, NBT_NORM_METRIC, NBT_NORM_METRIC, 0)                \
    X(filter, CHOICE, 0, NBT_FILTER_END - 1, NBT_FILTER_KALMAN, NBT_FILTER_KALMAN, 0)        \
    X(link, CHOICE, 0, NBT_LINK_END - 1, link, link, 0)                                      \
    X(scale_steps, COUNT, 0, 16777216, 300, 300, 0)                                          \
    X(hold_missing, COUNT, 0, 1, 0, 0, 0)                                                    \
    X(anneal_steps, COUNT, 0, 1073741824, 100000, 100000, 0)                                 \
    X(scale_rate, REAL, 0.0f, 1.0f, 2e-3f, 2e-3f, 0)                                         \
    X(tau_min, ABOVE, 1.0f, 1e9f, 1.6f, 2.2f, 0)                                             \
    X(tau_max, ABOVE, 1.0f, 1e9f, columns ? 64.0f : 16.0f, columns ? 32.0f : 16.0f,          \
      0) /* at least tau_min */                                                              \
    X(recurrent_gain, REAL, 0.0f, 100.0f, 0.6f, 0.6f, 0)                                     \
    X(input_gain, REAL, 0.0f, 100.0f, 1.2f, one_hot_gain(n_in, columns), 0)                  \
    X(decay, REAL, 0.0f, 1.0f, 0.95f, 0.95f, 0)                                              \
    X(rate, REAL, 0.0f, 100.0f, columns ? 0.6f : 0.4f, columns ? 0.4f : 0.15f, 0)            \
    X(info_rate, ABOVE, 0.0f, 0.5f, 1e-3f, 1e-3f, 0)                                         \
    X(info_floor, REAL, 1e-6f, 1e6f, 0.005f, 0.003f, 0)                                      \
    X(forget, ABOVE, 0.5f, 1.0f, 0.9985f, 0.99995f, 0)                                       \
    X(prior, REAL, 1e-6f, 1e6f, 3.0f, 1.0f, 0)                                               \
    X(prior_hidden, REAL, 1e-6f, 1e6f, 0.05f, 0.12f, 0)                                      \
    X(noise_rate, ABOVE, 0.0f, 1.0f, 0.01f, 0.01f, 0)                                        \
    X(sgd_rate, REAL, 0.0f, 100.0f, 0.003f, 0.003f, 0)                                       \
    X(stuck_steps, COUNT, 0, 16777215, 0, 0, 1)                                              \
    X(drift_steps, COUNT, 0, 1048576, 300, 300, 1)                                           \
    X(rollback_steps, COUNT, 0, 1073741824, 0, 0, 1) /* 0 without drift_steps */             \
    X(gate, REAL, 0.0f, 1e6f, 5.0f, 20.0f, 1)                                                \
    X(input_limit, REAL, 0.0f, 1e6f, 10.0f, 10.0f, 1)                                        \
    X(follow, COUNT, 0, 1, 1, 1, 2)                                                          \
    X(anchored, COUNT, 0, 1, 1, 0, 2)                                                        \
    X(linear_lags, COUNT, 0, 1024, NBT_USUAL_LINEAR_LAGS, 0, 2)                              \
    X(prior_units, COUNT, 0, 1, 1, 0, 2)                                                     \
    X(linear_forget, REAL, 0.0f, 1.0f, 0.999f, 0.0f, 2) /* with linear_lags: above 0.5 */    \
    X(slow_forget, REAL, 0.0f, 1.0f, 0.9998f, 0.0f, 2)                                       \
    X(mix_forget, REAL, 0.0f, 1.0f, 0.998f, 0.0f, 2)                                         \
    X(resonators, COUNT, 0, 4096, NBT_USUAL_RESONATORS(n_hidden, shape, NBT_LINK_GAUSSIAN),  \
      NBT_USUAL_RESONATORS(n_hidden, shape, NBT_LINK_CATEGORICAL), 3) /* at most n_hidden */ \
    X(head, COUNT, 0, 4096, NBT_USUAL_HEAD(n_hidden, shape, NBT_LINK_GAUSSIAN),              \
      NBT_USUAL_HEAD(n_hidden, shape, NBT_LINK_CATEGORICAL), 3)                              \
    X(head_gain, REAL, 0.0f, 100.0f, head_gain(n_hidden, shape, 2.0f),                       \
      head_gain(n_hidden, shape, 1.0f), 3) /* 0 without head */                              \
    X(intervals, COUNT, 0, NBT_INTERVALS_MAX, NBT_USUAL_INTERVALS, 0, 4)                     \
    X(anomaly, COUNT, 0, 1, 1, 0, 4)

/* Defaults that NBT_DEFAULT_BYTES needs too. */
#define NBT_USUAL_LAGS(link) (1u + NBT_IN(NBT_LINKS_REAL, link))
#define NBT_USUAL_LINEAR_LAGS 10u
#define NBT_USUAL_INTERVALS 3u
#define NBT_USUAL_CELL NBT_CELL_COLUMNAR
#define NBT_USUAL_RESONATORS(n_hidden, cell, link)                     \
    ((cell) == NBT_CELL_RESONATOR ? (n_hidden)                         \
                                  : NBT_IN(NBT_CELLS_ALONE, cell) *    \
                                        NBT_IN(NBT_LINKS_REAL, link) * \
                                        ((n_hidden) / 2u))
#define NBT_USUAL_HEAD(n_hidden, cell, link) \
    (NBT_IN(NBT_CELLS_ALONE, cell) *         \
     (NBT_IN(NBT_LINKS_REAL, link) ? (n_hidden) : ((n_hidden) + 1u) / 2u))

/* The index of each field, NBT_FIELD_<name>, and the number of fields. */
#define NBT_FIELD_NUMBER_(name, ...) NBT_FIELD_##name,
enum { NBT_FIELD_LIST(NBT_FIELD_NUMBER_) NBT_FIELDS };

/* ---- Counters of nbt_counters, in its order: X(name, since) ---------------------------------- */

#define NBT_COUNTER_LIST(X) \
    X(predictions, 0)       \
    X(labels, 0)            \
    X(missing, 0)           \
    X(skipped, 0)           \
    X(clipped, 1)           \
    X(limited, 1)           \
    X(stuck, 1)             \
    X(reopened, 1)          \
    X(rolled_back, 1)       \
    X(moved, 2)             \
    X(restarted, 2)

#define NBT_COUNTER_NUMBER_(name, since) NBT_COUNTER_##name,
enum { NBT_COUNTER_LIST(NBT_COUNTER_NUMBER_) NBT_COUNTERS };

/* ---- Other words in the header of a learner (struct nbt_learner) ----------------------------- */

/* X(kind, name, most, since)
 *   kind: GENERATOR, four words of which one is not 0; COUNT, a whole number up to `most`; PAIR,
 *     the same with 64 bits; LEVEL, a number above 0; SUM, a number from 0; UNSAVED, not in
 *     checkpoints.
 *   most: may use config, counters, and seen-> for the value of a COUNT before it.
 *   since: minor version of the checkpoints that introduced it. */
#define NBT_WORD_LIST(X)                                                                          \
    X(GENERATOR, rng, 0, 0)                                                                       \
    X(UNSAVED, ring_head, 0, 0) /* slot of the newest input */                                    \
    X(COUNT, pending, config->max_delay + 1u, 0) /* predictions that wait for a label */          \
    /* the next column whose norm the residual estimator refreshes */                             \
    X(COUNT, column, config->n_hidden > 0 ? config->n_hidden - 1u : 0u, 0)                        \
    /* waiting predictions that are not learnt from */                                            \
    X(COUNT, quarantine, seen->pending, 1)                                                        \
    /* NBT_COPY_* */                                                                              \
    X(COUNT, copy, config->rollback_steps > 0 ? NBT_COPY_TAKEN : NBT_COPY_NONE, 1)                \
    X(LEVEL, level, 0, 1) /* running loss */                                                      \
    X(SUM, seen, 0, 1)    /* labels counted in it */                                              \
    X(SUM, alarm, 0, 1)   /* cumulative sum of the loss above the level */                        \
    X(PAIR, opened, counters->labels, 1) /* labels when the rates were last reset */              \
    X(UNSAVED, taps_head, 0, 0)    /* slot of the newest sample of taps */                        \
    X(UNSAVED, waiting_head, 0, 0) /* slot of the newest forecast that waits */                   \
    X(UNSAVED, looked, 0, 0) /* NBT_LOOK_*: parts of the next learning step in the workspace */   \
    X(UNSAVED, simd, 0, 0)   /* NBT_SIMD_* that this learner may use at most, plus 1; 0 for any */

/* Words of 32 bits of each kind. */
#define NBT_WORDS_GENERATOR 4u
#define NBT_WORDS_COUNT 1u
#define NBT_WORDS_PAIR 2u
#define NBT_WORDS_LEVEL 1u
#define NBT_WORDS_SUM 1u
#define NBT_WORDS_UNSAVED 1u
#define NBT_WORDS_OF_(kind, name, most, since) +NBT_WORDS_##kind

/* ---- Arrays, in the order of checkpoints ----------------------------------------------------- */

/* XM and X(where, name, purpose, content, since, copied, brought, floats) for the saved arrays of a
 * learner: XM for the matrices, X for the others. NBT_SKIP as either omits these rows.
 *   where: MATRIX, in blocks of rows (nbt_layout.m); POINTER; OPTIONAL, without a pointer in a
 *     build that cannot have it (NBT_OF). The matrices come first and contiguous, the
 *     others follow.
 *   purpose: its field of nbt_breakdown.
 *   content: permitted values of its words, and their order in a checkpoint (nbt_walk.c).
 *   since: minor version of the checkpoints that introduced it.
 *   copied: 1 if it is part of the last good copy.
 *   brought: 1 if the learner has it, by in(set of choices, choice), else 0.
 *   floats: its number of floats, at least 1, if the learner has it. */
#define NBT_SAVED_ARRAYS(XM, X, in, cell, estimator, filter, link, n_in, O, H, L, M, S, R, D, E,  \
                         Z, F, C, Q)                                                              \
    XM(MATRIX, theta, parameters, WEIGHTS, 0, in(NBT_ESTIMATORS_LEARNING, estimator), 1u,         \
       (R) * (D))                                                                                 \
    X(POINTER, readout, parameters, WEIGHTS, 0, 1u, 1u, (O) * (F)) /* (O, F) */                   \
    XM(MATRIX, w, estimate, WEIGHTS, 0, 0u, in(NBT_ESTIMATORS_W, estimator), (R) * (D))           \
    X(POINTER, v, estimate, WEIGHTS, 0, 0u, in(NBT_ESTIMATORS_W, estimator), /* (N, S) */         \
      NBT_N_(in, estimator, H) * (S))                                                             \
    XM(MATRIX, g, estimate, WEIGHTS, 0, 0u, in(NBT_ESTIMATORS_G, estimator), (R) * (D))           \
    X(OPTIONAL, balance, estimate, SQUARES, 0, 0u, /* (1 + 2H) ||w||^2, ||g_i||^2, kappa_i */     \
      in(NBT_ESTIMATORS_RESIDUAL, estimator), 2u * (H) + 1u)                                      \
    X(OPTIONAL, exact, estimate, WEIGHTS, 0, 0u, /* (S, R, D) row-major ds/dtheta */              \
      in(NBT_ESTIMATORS_EXACT, estimator), (S) * (R) * (D))                                       \
    XM(MATRIX, cov, covariance, VARIANCES, 0, 1u,                                                 \
      in(NBT_ESTIMATORS_LEARNING, estimator) * in(NBT_FILTERS_KALMAN, filter), (R) * (D))         \
    XM(MATRIX, coupling, covariance, WEIGHTS, 0, 1u,                                              \
      in(NBT_ESTIMATORS_LEARNING, estimator) * in(NBT_FILTERS_QUASI, filter), (R) * (D))          \
    X(POINTER, ud, covariance, FACTOR, 0, 1u, in(NBT_FILTERS_KALMAN, filter),                     \
      (F) * ((F) + 1u) / 2u)                                                                      \
    X(POINTER, noise, covariance, NOISE, 0, 1u, /* (2, O) variance, labels counted */             \
      in(NBT_LINKS_REAL, link), 2u * (O))                                                         \
    X(POINTER, state, state, STATE, 0, 0u, 1u, 2u * (S)) /* (2, S) state, learning state */       \
    X(OPTIONAL, leak, state, SHARES, 0, 0u, in(NBT_CELLS_LEAKY, cell), (H)) /* (H) */             \
    X(POINTER, ring, ring, RING, 0, 0u, 1u, ((M) + (L)) * (n_in)) /* (max_delay + lags, n_in) */  \
    /* (3, n_in), (3, O) mean, variance, count */                                                 \
    X(POINTER, input_scale, scaler, SCALER, 0, 1u, 1u, 3u * (n_in))                               \
    X(POINTER, label_scale, scaler, SCALER, 0, 1u, in(NBT_LINKS_REAL, link), 3u * (O))            \
    /* (2, n_in), (2, O) a value, how often in a row */                                           \
    X(POINTER, input_run, guard, COUNTED, 1, 0u, 1u, 2u * (n_in))                                 \
    X(POINTER, label_run, guard, COUNTED, 1, 0u, in(NBT_LINKS_REAL, link), 2u * (O)) /* (2, O) */ \
    X(OPTIONAL, head, parameters, HEAD_WEIGHTS, 3, 1u, NBT_ANY_(Q), (Q) * (Z)) /* (Q, Z) */       \
    X(OPTIONAL, head_cov, covariance, HEAD_VARIANCES, 3, 1u, /* (Q, Z) */                         \
      NBT_ANY_(Q) * in(NBT_FILTERS_KALMAN, filter), (Q) * (Z))                                    \
    X(OPTIONAL, angle_traces, estimate, WEIGHTS, 3, 0u, /* (2, C) of the angles of resonators */  \
      NBT_ANY_(C) * in(NBT_ESTIMATORS_G, estimator), 2u * (C))

/* X(where, name, brought, floats) for the workspace of a step, which is not saved. */
#define NBT_SCRATCH_ARRAYS(X, in, cell, estimator, filter, link, n_in, O, H, L, M, S, R, D, E, Z,  \
                           F, C, Q)                                                                \
    X(POINTER, u, 1u, (Z)) /* (Z) [h before; x; 1] */                                              \
    X(POINTER, f, 1u, (F)) /* (F) [h after; x; 1] */                                               \
    X(POINTER, act, 1u, (R)) /* (R) pre-activations, then gains of part 0 */                       \
    X(POINTER, carry, 1u, (S)) /* (S) */                                                           \
    X(OPTIONAL, gain2, in(NBT_CELLS_TWO_PARTS, cell), (R)) /* (R) gains of part 1 */               \
    X(POINTER, da, in(NBT_ESTIMATORS_SHARED, estimator), (R)) /* (R) theta_h v, then u_scale */    \
    /* (2, R) row products u u, w u. Sums are taken before the factors move; columns need none */  \
    X(POINTER, uu, in(NBT_ESTIMATORS_SWEPT, estimator) * in(NBT_CELLS_MIXING, cell),               \
      (1u + in(NBT_ESTIMATORS_W, estimator)) * (R))                                                \
    /* (R) row products */                                                                         \
    X(OPTIONAL, gu, in(NBT_ESTIMATORS_G, estimator) * in(NBT_CELLS_MIXING, cell), (R))             \
    X(OPTIONAL, gg, in(NBT_ESTIMATORS_G, estimator) * in(NBT_CELLS_MIXING, cell), (R))             \
    X(OPTIONAL, wg, in(NBT_ESTIMATORS_BOTH, estimator), (R))                                       \
    /* (H, H) transposed J_t; rtrl: (S, H) */                                                      \
    X(OPTIONAL, jacobian, in(NBT_ESTIMATORS_JACOBIAN, estimator), (S) * (H))                       \
    /* (2, N) sum P w w (rtrl: of the slopes), factor of the old w */                              \
    X(POINTER, w_square, in(NBT_ESTIMATORS_DIRECTED, estimator), 2u * NBT_N_(in, estimator, H))    \
    /* tangent, step_w, step_g, white and alpha lie one after the other: before the correction     \
     * fills them, scratch of the estimate (unitwise: (8, H) from tangent on). */                  \
    X(OPTIONAL, tangent, in(NBT_ESTIMATORS_BOTH, estimator), (H)) /* (H) rho0 v + y (residual) */  \
    X(POINTER, step_w, in(NBT_ESTIMATORS_DIRECTED, estimator), /* (2, N) step, curvature */        \
      2u * NBT_N_(in, estimator, H))                                                               \
    /* (3, H) step, curvature, tilt. Resonators: (2, E), and (C) curvature of p with q */          \
    X(OPTIONAL, step_g,                                                                            \
      in(NBT_ESTIMATORS_G, estimator) * (in(NBT_CELLS_MIXING, cell) | NBT_ANY_(C)),                \
      (2u + in(NBT_CELLS_MIXING, cell)) * (E) + (C))                                               \
    X(OPTIONAL, white, in(NBT_ESTIMATORS_WHITENED, estimator), /* (E, O) F^T V_h, unit by unit */  \
      (E) * (O))                                                                                   \
    /* (N, O) V_h v_h, whitened by F^T under kalman; rtrl: its step */                             \
    X(POINTER, alpha, in(NBT_ESTIMATORS_DIRECTED, estimator), NBT_N_(in, estimator, H) * (O))      \
    /* (H) factor of the old g in the new w */                                                     \
    X(OPTIONAL, g_scale, in(NBT_ESTIMATORS_BOTH, estimator), (H))                                  \
    X(OPTIONAL, g_keep, /* (H) d */                                                                \
      in(NBT_ESTIMATORS_G, estimator) * in(NBT_CELLS_MIXING, cell), (H))                           \
    X(OPTIONAL, g_square, in(NBT_ESTIMATORS_G, estimator) * in(NBT_CELLS_MIXING, cell), (H))       \
    X(OPTIONAL, g_cross, in(NBT_ESTIMATORS_BOTH, estimator), (H)) /* (H) sum P g w of a unit */    \
    X(OPTIONAL, pq_square, NBT_ANY_(C) * in(NBT_ESTIMATORS_G, estimator), (C)) /* sum P g_p g_q */ \
    /* (O, R, D) F^T H; (S, D) a row of exact before the step; (D) P of a row, P times a slope */  \
    X(OPTIONAL, slopes, in(NBT_ESTIMATORS_EXACT, estimator), (O) * (R) * (D))                      \
    X(OPTIONAL, past, in(NBT_ESTIMATORS_EXACT, estimator), (S) * (D))                              \
    X(OPTIONAL, p_row, in(NBT_ESTIMATORS_EXACT, estimator), (D))                                   \
    X(OPTIONAL, weighted, in(NBT_ESTIMATORS_EXACT, estimator), (D))                                \
    X(POINTER, cf,                                                                                 \
      (in(NBT_FILTERS_KALMAN, filter) | in(NBT_ESTIMATORS_SWEPT, estimator) | NBT_ANY_(Q)),        \
      2u * (F)) /* (2, F) C f, U^T f; while looking, u and u^2 */                                  \
    X(POINTER, chol, in(NBT_FILTERS_KALMAN, filter), (O) * ((O) + 1u) / 2u) /* (O (O + 1) / 2) */  \
    /* (4, O) prediction, label (scaled units), innovation and its solution, curvature factor */   \
    X(POINTER, y, 1u, 4u * (O))                                                                    \
    /* (R) pre-activations of the live state, where it leads */                                    \
    X(POINTER, live, ((M) > 0u ? 1u : 0u), (R))                                                    \
    /* (Q) 1 - phi^2; (Q, O) F^T V_phi; (Q) its sum P g g; (2, Q) step, curvature */               \
    X(OPTIONAL, head_slope, NBT_ANY_(Q), (Q))                                                      \
    X(OPTIONAL, head_white, NBT_ANY_(Q), (Q) * (O))                                                \
    X(OPTIONAL, head_square, NBT_ANY_(Q), (Q))                                                     \
    X(OPTIONAL, head_step, NBT_ANY_(Q), 2u * (Q))

/* X(where, name, purpose, content, since, copied, brought, floats) for what units that follow the
 * stream, the anchor and the mixture bring, with the columns of NBT_SAVED_ARRAYS. All are OPTIONAL,
 * saved, and lie behind the workspace.
 *   real: of the link. follows, anchors, slows, mixes, scores: 1 with follow, anchored,
 *     slow_forget, mix_forget, anomaly. T: linear_lags. V: intervals. */
#define NBT_STREAM_ARRAYS(X, real, follows, anchors, slows, mixes, n_in, O, L, M, F, T, V, scores) \
    X(OPTIONAL, taps, ring, SAMPLES, 2, 0u, follows, /* (max_delay + max(lags, T), n_in) */        \
      NBT_TAPS_(L, M, T) * (n_in))                                                                 \
    X(OPTIONAL, units, scaler, UNIT_ROWS, 2, 0u, follows, 6u * (n_in)) /* (6, n_in) nbt_units.h */ \
    X(OPTIONAL, label_units, scaler, UNIT_ROWS, 2, 0u, (follows) * (real), 6u * (O)) /* (6, O) */  \
    X(OPTIONAL, anchor, parameters, ANCHOR, 2, 0u, anchors, (O)) /* (O) input channel, or -1 */    \
    X(OPTIONAL, waiting, ring, FORECASTS, 2, 0u, /* (max_delay + 1, O, ...), nbt_experts.h */      \
      (anchors) | (mixes) | NBT_ANY_(V) | (scores),                                                \
      ((M) + 1u) * (O) *                                                                           \
          (NBT_WAITING_(slows, mixes, T, NBT_ANY_(V) | (scores)) + NBT_BOUNDS_(V)))                \
    /* (O, K) */                                                                                   \
    X(OPTIONAL, regret, parameters, WEIGHTS, 2, 0u, mixes, (O) * NBT_EXPERTS_(slows, T))           \
    /* (O, K) */                                                                                   \
    X(OPTIONAL, spread, parameters, SQUARES, 2, 0u, mixes, (O) * NBT_EXPERTS_(slows, T))           \
    /* (O, K) */                                                                                   \
    X(OPTIONAL, weight, parameters, SHARES, 2, 0u, mixes, (O) * NBT_EXPERTS_(slows, T))            \
    /* (2, O) mean square, labels */                                                               \
    X(OPTIONAL, mix_error, parameters, SQUARES, 2, 0u, mixes, 2u * (O))                            \
    X(OPTIONAL, last_label, parameters, WEIGHTS, 2, 0u, mixes, (O)) /* (O) */                      \
    X(OPTIONAL, slow, parameters, WEIGHTS, 2, 0u, slows, (O) * (F)) /* (O, F) */                   \
    X(OPTIONAL, slow_ud, covariance, FACTOR, 2, 0u, slows, (F) * ((F) + 1u) / 2u)                  \
    X(OPTIONAL, slow_noise, covariance, NOISE, 2, 0u, slows, 2u * (O)) /* (2, O) */                \
    /* (O, T + 1) */                                                                               \
    X(OPTIONAL, linear, parameters, WEIGHTS, 2, 0u, (T) > 0u, (O) * NBT_LINEAR_(T))                \
    X(OPTIONAL, linear_ud, covariance, FACTORS, 2, 0u, (T) > 0u, /* (O) factors */                 \
      (O) * (NBT_LINEAR_(T) * (NBT_LINEAR_(T) + 1u) / 2u))                                         \
    X(OPTIONAL, linear_noise, covariance, NOISE, 2, 0u, (T) > 0u, 2u * (O)) /* (2, O) */           \
    X(OPTIONAL, level, parameters, LEVELS, 4, 0u, NBT_ANY_(V), (V)) /* (V) ascending */            \
    /* (3, O) nbt_interval.h: mean absolute error, fast and slow; labels */                        \
    X(OPTIONAL, error, parameters, SQUARES, 4, 0u, NBT_ANY_(V), 3u * (O))                          \
    X(OPTIONAL, reach, parameters, SQUARES, 4, 0u, NBT_ANY_(V), 2u * (O) * (V)) /* (O, V, 2) */    \
    X(OPTIONAL, student, parameters, WEIGHTS, 4, 0u, NBT_ANY_(V), 8u * (O)) /* (O, 4, 2) */        \
    X(OPTIONAL, usual, guard, USUAL, 4, 0u, scores, NBT_USUAL_FLOATS * (O)) /* nbt_anomaly.h */    \
    X(OPTIONAL, score, guard, WEIGHTS, 4, 0u, scores, (O)) /* (O) of the last label; -1: none */  \
    /* the label that is learnt next, and the one under way (nbt_rls.h) */                         \
    X(OPTIONAL, slow_kept, covariance, KEPT, 5, 0u, slows, 1u + (O) + (F))                         \
    X(OPTIONAL, slow_turn, covariance, TURN, 5, 0u, slows, NBT_RLS_TURN_(O, F))

/* Their workspace: X(where, name, brought, floats). */
#define NBT_STREAM_SCRATCH(X, real, follows, O, T)                                         \
    X(OPTIONAL, truth, (follows) * (real), (O)) /* (O) label in the units of its output */ \
    X(OPTIONAL, linear_work, (T) > 0u, 2u * NBT_LINEAR_(T)) /* (2, T + 1) features, U^T f */

/* Samples in taps; features of the linear expert; experts; floats per output that wait for a label,
 * of the forecasts and of the intervals; floats of a label that is learnt in parts. */
#define NBT_TAPS_(L, M, T) ((M) + ((L) > (T) ? (L) : (T)))
#define NBT_LINEAR_(T) ((T) + 1u)
#define NBT_EXPERTS_(slow, T) (2u + ((T) > 0u) + (slow))
#define NBT_WAITING_(slow, mix, T, assess) \
    ((mix) != 0 ? NBT_EXPERTS_(slow, T) + 1u : 1u + (assess))
#define NBT_BOUNDS_(V) (NBT_ANY_(V) * (1u + 2u * (V)))
#define NBT_RLS_TURN_(O, F) (3u + (O) + 2u * (F))

/* 1 where there are any, else 0. */
#define NBT_ANY_(count) ((count) > 0u ? 1u : 0u)

/* Largest number of intervals; floats of the anomaly state of an output (nbt_anomaly.h). */
#define NBT_INTERVALS_MAX 8u
#define NBT_USUAL_FLOATS 27u

#define NBT_SKIP(...)

/* N where there are rank-one estimates. */
#define NBT_N_(in, estimator, H) (in(NBT_ESTIMATORS_BY_UNIT, estimator) != 0 ? (H) : 1u)

/* ---- Versions of the checkpoints ------------------------------------------------------------- */

/* The minor version that this kernel writes: the highest one in any row above. */
#define NBT_SINCE_FIELD_(name, kind, low, high, gaussian, other, since) | 1 << (since)
#define NBT_SINCE_COUNTER_(name, since) | 1 << (since)
#define NBT_SINCE_WORD_(kind, name, most, since) | 1 << (since)
#define NBT_SINCE_ARRAY_(where, name, purpose, content, since, copied, brought, floats) \
    | 1 << (since)
enum {
    NBT_SINCE_ALL_ = 0 NBT_FIELD_LIST(NBT_SINCE_FIELD_) NBT_COUNTER_LIST(NBT_SINCE_COUNTER_)
        NBT_WORD_LIST(NBT_SINCE_WORD_)
            NBT_SAVED_ARRAYS(NBT_SINCE_ARRAY_, NBT_SINCE_ARRAY_, NBT_IN, , , , , , , , , , , , , , ,
                             , , )
                NBT_STREAM_ARRAYS(NBT_SINCE_ARRAY_, , , , , , , , , , , , , ),
    NBT_MINOR = NBT_SINCE_ALL_ < 4     ? 1
                : NBT_SINCE_ALL_ < 8   ? 2
                : NBT_SINCE_ALL_ < 16  ? 3
                : NBT_SINCE_ALL_ < 32  ? 4
                : NBT_SINCE_ALL_ < 64  ? 5
                : NBT_SINCE_ALL_ < 128 ? 6
                                       : -1 /* one more line here */
};
#define NBT_ALL_VERSIONS ((2u << NBT_MINOR) - 1u)

/* clang-format on */

#endif
