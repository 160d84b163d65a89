/* The kernel; written by `make ecosystems`. */
/* A multiplication and an addition in one instruction would give other bits than Python's. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
/* With constant sizes some versions take a loop that has no rounds for an endless one. */
#pragma GCC diagnostic ignored "-Waggressive-loop-optimizations"
#endif
#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wmissing-braces" /* {0} is C's way to clear a structure */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#endif

#include "../csrc/nbt_anomaly.c"
#include "../csrc/nbt_assess.c"
#include "../csrc/nbt_cell.c"
#include "../csrc/nbt_checkpoint.c"
#include "../csrc/nbt_columns.c"
#include "../csrc/nbt_config.c"
#include "../csrc/nbt_correct.c"
#include "../csrc/nbt_delay.c"
#include "../csrc/nbt_dispatch.c"
#include "../csrc/nbt_estimate.c"
#include "../csrc/nbt_experts.c"
#include "../csrc/nbt_follow.c"
#include "../csrc/nbt_gate.c"
#include "../csrc/nbt_gradient.c"
#include "../csrc/nbt_head.c"
#include "../csrc/nbt_init.c"
#include "../csrc/nbt_innovation.c"
#include "../csrc/nbt_inspect.c"
#include "../csrc/nbt_intake.c"
#include "../csrc/nbt_interval.c"
#include "../csrc/nbt_jacobian.c"
#include "../csrc/nbt_layout.c"
#include "../csrc/nbt_learner.c"
#include "../csrc/nbt_linear.c"
#include "../csrc/nbt_link.c"
#include "../csrc/nbt_math.c"
#include "../csrc/nbt_matrices.c"
#include "../csrc/nbt_mixture.c"
#include "../csrc/nbt_nobacktrack.c"
#include "../csrc/nbt_quasi.c"
#include "../csrc/nbt_rank_one.c"
#include "../csrc/nbt_residual.c"
#include "../csrc/nbt_resonator.c"
#include "../csrc/nbt_rls.c"
#include "../csrc/nbt_rng.c"
#include "../csrc/nbt_rows.c"
#include "../csrc/nbt_rtrl.c"
#include "../csrc/nbt_sgd.c"
#include "../csrc/nbt_soft_float.c"
#include "../csrc/nbt_store.c"
#include "../csrc/nbt_sweep.c"
#include "../csrc/nbt_tail.c"
#include "../csrc/nbt_traces.c"
#include "../csrc/nbt_ud.c"
#include "../csrc/nbt_units.c"
#include "../csrc/nbt_unitwise.c"
#include "../csrc/nbt_walk.c"
#include "../csrc/nbt_watch.c"
