/* nbt_embed: online learning of a small recurrent network in a fixed number of bytes.
 *
 * One learner lives in one block of memory that the caller owns:
 *
 *     static NBT_ARENA(arena, NBT_DEFAULT_BYTES(3, 1, 16, 0, NBT_LINK_GAUSSIAN));
 *     nbt_config config = nbt_config_default(3, 1, 16, NBT_LINK_GAUSSIAN);
 *     nbt_learner *learner = NULL;
 *     float x[3], label, forecast;
 *     const int32_t anchor[1] = {0};                      // the label is the next x[0]
 *     nbt_status status = nbt_init(arena, sizeof arena, &config, &learner);
 *     if (status >= 0) {
 *         status = nbt_anchor_set(learner, anchor);
 *     }
 *     while (status >= 0 && read_sensor(x, &label)) {
 *         if (nbt_pending(learner) > 0) {
 *             status = nbt_learn(learner, &label);            // of the last forecast
 *         }
 *         if (status >= 0) {
 *             status = nbt_predict(learner, &forecast, x);    // one sample ahead
 *         }
 *     }
 *     write_text(nbt_status_text(status));
 *
 * Symbols, as in docs/design.md: I = n_in * lags inputs, H = n_hidden units, O = n_out outputs,
 * R = H * (number of gates) pre-activations. Head and readout see E = H + resonators state floats,
 * h for short; S = E state floats, or 2 H for the lstm. Z = E + I + 1 values [h; x; 1]; D columns
 * of theta: I + 2 in a columnar layer (columnar, resonator), whose rows see the state of their own
 * unit alone, Z for the dense cells (tanh to lstm). phi is what the head gives, and the readout has
 * F = Z + head features [h; phi; x; 1]. All arrays are float32; matrices given to the caller are
 * row-major.
 *
 * No function allocates, does input or output, recurses or keeps hidden state: a learner is
 * touched only by calls that receive it, so different learners may be used from different threads.
 * Errors are negative status codes, and a call refused with one leaves the learner as it was.
 */
#ifndef NBT_H
#define NBT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Most floats S R D that the exact derivative of the rtrl estimator may hold; a build for a small
 * device sets 0, which leaves the estimator out. */
#ifndef NBT_RTRL_FLOATS_MAX
#define NBT_RTRL_FLOATS_MAX 4194304u
#endif

/* The declarations between the two marker lines are also read by the Python wrapper. */
/* <declarations> */

/* The comment after a name defines it. */
/* clang-format off */

typedef enum nbt_status {
    NBT_OK = 0,
    NBT_SKIPPED = 1,         /* the step ran, but an update would not have been finite: the
                                parameters stayed, the estimate was cleared
                                (nbt_counters.skipped) */
    NBT_LIMITED = 2,         /* the step ran with a limited value (gate, input_limit) */
    NBT_STUCK = 3,           /* a channel has repeated its value for stuck_steps samples: nothing is
                                learnt from it until it changes */
    NBT_REOPENED = 4,        /* the loss has risen permanently, or an input has jumped: scalers,
                                readouts, rates and covariances were reset, recurrent weights and
                                head stay (drift_steps) */
    NBT_ROLLED_BACK = 5,     /* the loss has risen: the last good parameters were restored
                                (rollback_steps) */
    NBT_NOT_FINITE = 6,      /* the step ran, but one of its results is NaN or infinite: use none of
                                them. The cause is parameters that were not learnt (a modified
                                checkpoint), or labels near 1e18: reset the state, or load an older
                                checkpoint */
    NBT_ERR_NULL = -1,       /* a required pointer is NULL */
    NBT_ERR_CONFIG = -2,     /* a config field is out of range: nbt_config_check names it */
    NBT_ERR_BYTES = -3,      /* the block is smaller than nbt_bytes(&config) */
    NBT_ERR_ALIGN = -4,      /* the block is not aligned to 8 bytes */
    NBT_ERR_INPUT = -5,      /* an input is NaN (hold_missing is 0), infinite, or more than 1e6
                                standard deviations, or 1e18, from the running mean (input_limit > 0
                                limits it instead) */
    NBT_ERR_LABEL = -6,      /* a label is infinite, too far from the running mean, outside [0, 1]
                                (bernoulli) or no class index (categorical) */
    NBT_ERR_FULL = -7,       /* max_delay + 1 predictions wait for labels: learn one first */
    NBT_ERR_EMPTY = -8,      /* no prediction waits for a label: predict first */
    NBT_ERR_HORIZON = -9,    /* the horizon of nbt_run does not fit max_delay or the waiting predictions */
    NBT_ERR_LINK = -10,      /* the variance is defined for the gaussian link only */
    NBT_ERR_ARRAY = -11,     /* no array of this name in this configuration */
    NBT_ERR_MAGIC = -12,     /* the bytes are no checkpoint */
    NBT_ERR_VERSION = -13,   /* the checkpoint was written by a newer, incompatible version */
    NBT_ERR_LENGTH = -14,    /* the checkpoint is truncated: load the one before */
    NBT_ERR_CRC = -15,       /* the checkpoint is damaged: load the one before */
    NBT_ERR_STATE = -16,     /* a number of the learner or checkpoint is NaN or out of range */
    NBT_ERR_WRITE = -17,     /* the writing callback failed */
    NBT_ERR_READ = -18,      /* the reading callback failed, or returned other bytes a second time;
                                flash: a slot that may hold the newest checkpoint cannot be read.
                                Try again */
    NBT_ERR_FLASH = -19,     /* nbt_flash has invalid fields, or no slot could be written */
    NBT_ERR_NOTHING = -20    /* no slot of the flash holds a whole checkpoint: call nbt_init */
} nbt_status;

enum { /* nbt_config.cell: how the unit's state follows from its pre-activations a */
    NBT_CELL_TANH = 0,       /* h = tanh(a)                                       R = H,  S = H  */
    NBT_CELL_LEAKY = 1,      /* h = (1 - 1/tau) h + (1/tau) tanh(a), tau fixed    R = H,  S = H  */
    NBT_CELL_GATED = 2,      /* h = (1 - z) h + z tanh(a_c), z = sigmoid(a_z)     R = 2H, S = H  */
    NBT_CELL_LSTM = 3,       /* c = f c + i g, h = o tanh(c)                      R = 4H, S = 2H */
    NBT_CELL_COLUMNAR = 4,   /* as gated, but a row sees of h only its own unit,  R = 2H, S = E
                                and units may be resonators: s = p + i q,
                                s = l s + n (a + i b), l = exp(-exp nu + i omega),
                                n = sqrt(1 - |l|^2); the state is [h; p; q]      */
    NBT_CELL_RESONATOR = 5,  /* columnar with resonators alone                    R = 2H, S = 2H */
    NBT_CELL_END             /* one past the last, as in the following lists */
};
enum { /* nbt_config.estimator: where the gradient of the recurrent weights comes from */
    NBT_EST_FROZEN = 0,      /* nowhere: the recurrent weights keep their initial values */
    NBT_EST_NOBACKTRACK = 1, /* rank-one random estimate v w^T of ds/dtheta (unbiased at decay 1) */
    NBT_EST_SNAP1 = 2,       /* exact traces g inside each unit, nothing between units (SnAp-1):
                                columnar, resonator: the exact derivative */
    NBT_EST_RESIDUAL = 3,    /* traces g, and v w^T for the terms they omit (unbiased at decay 1) */
    NBT_EST_UNITWISE = 4,    /* traces g, and for every unit its own v_i w_i^T for the terms they
                                omit (unbiased at decay 1, least variance) */
    NBT_EST_RTRL = 5,        /* exact ds/dtheta, S R D floats, which the others estimate; for
                                hosts */
    NBT_EST_END
};
enum { /* nbt_config.norm: in which norms v and w are balanced (nobacktrack) */
    NBT_NORM_EUCLIDEAN = 0,  /* plain */
    NBT_NORM_METRIC = 1,     /* the filter's own metric (Euclidean under the sgd filter) */
    NBT_NORM_END
};
enum { /* nbt_config.filter: how a gradient becomes a step */
    NBT_FILTER_SGD = 0,      /* stochastic gradient steps of size sgd_rate */
    NBT_FILTER_KALMAN = 1,   /* diagonal recurrent block, full readout block, one innovation */
    NBT_FILTER_QUASI = 2,    /* the same, and the covariances of recurrent weights and bias */
    NBT_FILTER_END
};
enum { /* nbt_config.link: the meaning of the outputs */
    NBT_LINK_GAUSSIAN = 0,   /* real values; labels are n_out reals */
    NBT_LINK_CATEGORICAL = 1,/* class probabilities; the label is one class index in [0, n_out) */
    NBT_LINK_BERNOULLI = 2,  /* independent probabilities; labels are n_out values in [0, 1] */
    NBT_LINK_END
};
enum { /* arrays that nbt_array_get copies out, row-major */
    NBT_ARRAY_THETA = 0,      /* (R, D) recurrent parameters on [h; x; 1], columnar [own h; x; 1];
                                 gates stacked by rows. Resonator i: rows i and H + i, the first
                                 column nu and omega */
    NBT_ARRAY_READOUT = 1,    /* (O, F) readout weights on [h; phi; x; 1] */
    NBT_ARRAY_W = 2,          /* (R, D) right factor of the estimate v w^T */
    NBT_ARRAY_V = 3,          /* (S)    left factor of the estimate; unitwise: (H, H), v_i in row
                                 i */
    NBT_ARRAY_COVARIANCE = 4, /* (R, D) 1 / (information + info_floor) of theta, under quasi of its
                                 residual after the bias (not sgd, not frozen) */
    NBT_ARRAY_READOUT_COVARIANCE = 5, /* (F, F) covariance of the readout (not sgd) */
    NBT_ARRAY_STATE = 6,      /* (S)    live state; lstm: h then c; resonators: [h; p; q] */
    NBT_ARRAY_LEARNING_STATE = 7, /* (S) the state that lags by the labels not yet seen */
    NBT_ARRAY_NOISE = 8,      /* (O)    running innovation variance, scaled units (gaussian) */
    NBT_ARRAY_INPUT_SCALE = 9,/* (2, n_in) running mean and variance, caller's units */
    NBT_ARRAY_LABEL_SCALE = 10,/* (2, O) the same of the labels (gaussian) */
    NBT_ARRAY_TRACES = 11,    /* (R, D) own-unit traces g (snap1, residual, unitwise); of a
                                 resonator's a row Re, of its b row Im of ds/dnu, ds/dw_a */
    NBT_ARRAY_BALANCE = 12,   /* (1 + 2H) remembered ||w||^2, ||g_i||^2, kappa_i (residual) */
    NBT_ARRAY_RTRL = 13,      /* (S, R D) exact ds/dtheta, theta row-major (rtrl) */
    NBT_ARRAY_COUPLING = 14,  /* (R, D) information shared with the bias, over the bias's; the bias
                                 column is 0 (quasi, not frozen) */
    NBT_ARRAY_UNITS = 15,     /* (6, n_in) reference, applied mean (relative to it) and deviation
                                 (0: has not varied, -1: taken as it is), mean, variance and count
                                 of a block (follow) */
    NBT_ARRAY_LABEL_UNITS = 16, /* (6, O) the same of labels without anchor (follow, gaussian) */
    NBT_ARRAY_ANCHOR = 17,    /* (O)    input channel of each output, or -1 (anchored) */
    NBT_ARRAY_WEIGHT = 18,    /* (O, K) weights of the forecasts: last value, linear, readout, slow
                                 readout */
    NBT_ARRAY_MIX_ERROR = 19, /* (2, O) mean squared error of the mixture in units of the output,
                                 labels */
    NBT_ARRAY_SLOW = 20,      /* (O, F) slow readout on [1; x; h; phi]; a label changes it three
                                 labels later */
    NBT_ARRAY_SLOW_NOISE = 21, /* (2, O) its innovation variance, labels */
    NBT_ARRAY_LINEAR = 22,    /* (O, linear_lags + 1) linear expert on [1; newest, ..., oldest
                                 value] */
    NBT_ARRAY_LINEAR_NOISE = 23, /* (2, O) its innovation variance, labels */
    NBT_ARRAY_HEAD = 24,      /* (head, Z) weights of the head on [h; x; 1] */
    NBT_ARRAY_HEAD_COVARIANCE = 25, /* (head, Z) 1 / (information + info_floor) of them (not sgd) */
    NBT_ARRAY_ANGLE_TRACES = 26, /* (2, resonators) ds/domega of the resonators, real and imaginary
                                 parts (snap1) */
    NBT_ARRAY_LEVEL = 27,     /* (intervals) levels of the prediction intervals */
    NBT_ARRAY_REACH = 28,     /* (O, 2 intervals) distances of the lower and the upper bound of each
                                 level from a forecast, in mean absolute errors */
    NBT_ARRAY_ERROR = 29,     /* (3, O) mean absolute error of the forecasts in units of the output,
                                 of about 20 and of about 200 labels; labels */
    NBT_ARRAY_END
};

enum { /* versions of the step in a build with NBT_DISPATCH (x86-64); others have only the first */
    NBT_SIMD_BASE = 0,        /* the instruction set of the compiler options */
    NBT_SIMD_AVX2 = 1,
    NBT_SIMD_AVX512 = 2
};

/* The settings of a learner. Zero is a value, never "default". Start from nbt_config_default and
 * change what you need; nbt_config_check names the first field out of range. A field without a cost
 * changes neither bytes nor operations. */
typedef struct nbt_config {
    uint64_t seed;        /* seed of the initial weights and of the signs of the estimator;
                             nbt_reseed sets another one for the signs. Default 0 */
    uint32_t n_in;        /* input channels. Range 1..65535. Cost per channel and lag:
                             12 R + 8 head + 4 n_out + 4 F bytes */
    uint32_t n_out;       /* outputs; categorical: classes, at least 2. Range 1..4096. Cost:
                             4 F bytes */
    uint32_t n_hidden;    /* recurrent units; with 0 and no head the learner is recursive least
                             squares on the lags, and the estimator is frozen. Range 0..4096, and
                             what size_t can address. Cost: in a columnar layer 24 (I + 2) bytes per
                             unit, else quadratic; one column of head and readout per unit, two per
                             resonator */
    uint32_t lags;        /* latest samples of every input that the learner sees. Default 2
                             (gaussian) or 1. Range 1..1024. Cost: as n_in */
    uint32_t max_delay;   /* one less than the predictions that may wait for a label. Default 0.
                             Range 0..1048576. Cost per prediction: 4 n_in bytes; with follow 4 n_in
                             more, and for every output up to 20 for the mixture and
                             4 + 8 intervals */
    uint32_t cell;        /* NBT_CELL_*. Default columnar. Cost: R rows of D columns */
    uint32_t estimator;   /* NBT_EST_*. columnar and resonator take snap1, which is exact there, or
                             frozen; snap1, residual and unitwise need one state float per unit (not
                             lstm); rtrl ignores decay and needs S R D <= NBT_RTRL_FLOATS_MAX.
                             Default snap1 (columnar, resonator), nobacktrack (lstm) or unitwise;
                             frozen with n_hidden 0. Cost: 4 R D bytes each for w (nobacktrack,
                             residual, unitwise) and for traces (snap1, residual, unitwise);
                             unitwise 8 H^2 more and H^3 operations per step; rtrl
                             4 (S + O) R D bytes and S^2 R D operations per step */
    uint32_t norm;        /* NBT_NORM_*, which balances v and w of nobacktrack. Default metric */
    uint32_t filter;      /* NBT_FILTER_*. Default kalman. Cost: 4 R D (not frozen) + 4 head Z +
                             2 F (F + 1) bytes; kalman_quasi, not for columnar and resonator, 4 R D
                             more; sgd none */
    uint32_t link;        /* NBT_LINK_*. Default gaussian */
    uint32_t scale_steps; /* inputs and gaussian labels are standardised with the running mean and
                             variance of the first scale_steps samples (follow: of all); 0 leaves
                             them unscaled. Unit: samples. Default 300. Range 0..16777216 */
    uint32_t hold_missing;/* 1: a NaN input repeats the last value of its channel; 0: it is refused.
                             Default 0 */
    uint32_t anneal_steps;/* after n labels the recurrent step (sgd: every step) is multiplied by
                             1/sqrt(1 + n/anneal_steps), at least 0.1; 0 keeps it constant. Unit:
                             labels. Default 100000. Range 0..1073741824 */
    float scale_rate;     /* rate of the scaler after scale_steps samples (follow: after
                             1/scale_rate); 0 freezes it. Unit: 1/samples. Default 2e-3. Range
                             [0, 1] */
    float tau_min;        /* shortest initial time constant; those of the units of a kind are
                             log-spaced. Unit: samples. Default 1.6 (gaussian) or 2.2. Range
                             (1, 1e9] */
    float tau_max;        /* longest initial time constant, at least tau_min. Unit: samples. Default
                             64 (gaussian) or 32, for dense cells 16. Range (1, 1e9] */
    float recurrent_gain; /* standard deviation of the initial recurrent weights times sqrt(H), in a
                             columnar layer of a unit's weights on itself. Default 0.6. Range
                             [0, 100] */
    float input_gain;     /* standard deviation of the initial input weights times sqrt(I). Default
                             1.2 (gaussian) or 0.97 sqrt(n_in), at most 100 and in dense cells at
                             least 3.5. Range [0, 100] */
    float decay;          /* lambda, factor on the random estimate at each step; 1 has no bias,
                             smaller values less variance and a bias. Default 0.95. Range [0, 1] */
    float rate;           /* eta, factor on the Kalman step of the recurrent weights and the head,
                             which is also divided by the number of waiting predictions. Default 0.6
                             (gaussian) or 0.4, for dense cells 0.4 or 0.15. Range [0, 100] */
    float info_rate;      /* gamma, adaptation rate of the information of the recurrent weights and
                             the head. Unit: 1/samples. Default 1e-3. Range (0, 0.5] */
    float info_floor;     /* delta, smallest and initial information of each of these weights; a
                             larger value gives smaller and safer steps. Default 0.005 (gaussian) or
                             0.003. Range [1e-6, 1e6] */
    float forget;         /* forgetting factor of the readout. Unit: per sample. Default 0.9985
                             (gaussian) or 0.99995. Range (0.5, 1] */
    float prior;          /* initial variance of the readout's weights on inputs and bias. Unit: the
                             noise variance (prior_units: variance of the target). Default 3
                             (gaussian) or 1. Range [1e-6, 1e6] */
    float prior_hidden;   /* the same for the weights on h and phi. Default 0.05 (gaussian) or 0.12.
                             Range [1e-6, 1e6] */
    float noise_rate;     /* rate of the running variance of the innovations. Unit: 1/samples.
                             Default 0.01. Range (0, 1] */
    float sgd_rate;       /* step size of the sgd filter. Default 0.003. Range [0, 100] */
    /* Guards, docs/design.md section 10. */
    uint32_t stuck_steps; /* an input that repeats its value for more samples is stuck: until it
                             changes, the labels of all waiting predictions count as missing. A
                             gaussian label that repeats its value for as long is missing too. 0 is
                             off. Unit: samples. Default 0. Range 0..16777215 */
    uint32_t drift_steps; /* after so many labels with four times the usual loss, or more labels
                             with at least twice the usual loss, scalers, readout, rates and
                             covariances are reset; recurrent weights and head stay. With mix_forget
                             the mixture adapts to such a loss, and any number but 0 makes the
                             readouts, except the slow one, reset after a lasting jump of an input.
                             0 is off. Unit: labels. Default 300. Range 0..1048576 */
    uint32_t rollback_steps; /* keep a copy of the parameters every so many labels while the loss is
                             usual, and restore it before a reset; with mix_forget, after a jump,
                             the recurrent weights, the head and their information of the copy.
                             Needs drift_steps, and mix_forget or follow 0. 0 is off. Unit: labels.
                             Default 0. Range 0..1073741824. Cost: NBT_ROLLBACK_BYTES */
    float gate;           /* a gaussian label further from its forecast is limited to this distance
                             before it is learnt; 0 is off. Unit: standard deviations of the
                             innovation. Default 5 (gaussian) or 20. Range [0, 1e6] */
    float input_limit;    /* an input further from the running mean is limited to this distance,
                             once the scaler has scale_steps samples (follow: 20); 0 is off. Unit:
                             standard deviations of the channel. Default 10. Range [0, 1e6] */
    /* Streams, docs/design.md section 11; each is off at 0. */
    uint32_t follow;      /* 1: the units of inputs and gaussian labels adapt to the stream at
                             scale_rate without end (scale_steps 0: values stay unscaled), and the
                             learnt parameters are re-expressed. For the other links a channel that
                             has only been 0 or 1 is left unscaled. Values up to 1e18 are accepted
                             (scale_steps 0: up to 1e6). Default 1. Cost: NBT_STREAM_BYTES with the
                             other arguments 0 */
    uint32_t anchored;    /* 1: an output whose future is that of an input learns the difference
                             from the input's last value (gaussian, needs follow). nbt_anchor_set
                             names these inputs; an output has none until then. Default 1 (gaussian)
                             or 0. Cost: 4 bytes per output */
    uint32_t linear_lags; /* T, the latest samples of an output's anchor in a linear forecast that
                             joins the mixture; 0 is off. Needs anchored and mix_forget. Unit:
                             samples. Default 10 (gaussian) or 0. Range 0..1024. Cost:
                             2 (T + 1) (T + 4) bytes per output, and 4 n_in (T - lags) if T >
                             lags */
    uint32_t prior_units; /* 1: the priors are in units of the target instead of the noise
                             (gaussian, kalman filters). Default 1 (gaussian) or 0 */
    float linear_forget;  /* forgetting factor of the linear forecast. Unit: per sample. Default
                             0.999. Range (0.5, 1]; 0 without linear_lags */
    float slow_forget;    /* forgetting factor of a second readout that joins the mixture and learns
                             from one label in four; 0 is off. Needs mix_forget. Unit: per label.
                             Default 0.9998 (gaussian) or 0. Range [0, 1]. Cost:
                             2 F (F + 7) + 4 n_out F bytes */
    float mix_forget;     /* forgetting factor of the mixture, which weights the forecasts by their
                             recent losses; 0 is off: the readout alone. Gaussian, needs follow.
                             Unit: per label. Default 0.998 (gaussian) or 0. Range [0, 1]. Cost:
                             12 K + 12 bytes per output for K forecasts, and 4 K + 4 per waiting
                             prediction and output */
    uint32_t resonators;  /* how many units of a columnar layer, counted from the last, are
                             resonators. Default half of n_hidden (gaussian) or 0; n_hidden for the
                             cell resonator, 0 for dense cells. Range 0..n_hidden. Cost: 8 bytes of
                             traces and one more column of head and readout per unit */
    uint32_t head;        /* units of a learnt layer phi = tanh(U [h; x; 1]) before the readout,
                             which then sees [h; phi; x; 1]. It works with every cell and learns
                             with every estimator. Default n_hidden (gaussian) or half of it for
                             columnar and resonator, 0 (none) for dense cells. Range 0..4096. Cost
                             per unit: 8 Z bytes, 20 Z operations and a column of the readout */
    float head_gain;      /* standard deviation of the head's initial weights times sqrt(E). Default
                             2 (gaussian) or 1; 0 without head. Range [0, 100] */
    /* Uncertainty of a forecast, docs/design.md section 13. Gaussian, needs follow. */
    uint32_t intervals;   /* prediction intervals of every output: nbt_interval, nbt_student;
                             nbt_levels_set sets their levels. Default 3 (gaussian) or 0. Range
                             0..8. Cost: 44 + 8 intervals bytes per output, and 4 + 8 intervals per
                             waiting prediction and output */
    uint32_t anomaly;     /* 1: a score of every label, nbt_anomaly. Default 1 (gaussian) or 0.
                             Cost: 112 bytes per output */
} nbt_config;

/* Health counters, all since nbt_init; at its largest value a counter stops. */
typedef struct nbt_counters {
    uint64_t predictions; /* accepted nbt_predict calls */
    uint64_t labels;      /* accepted nbt_learn calls that carried at least one label */
    uint64_t missing;     /* accepted nbt_learn calls without any label */
    uint64_t skipped;     /* steps that returned NBT_SKIPPED */
    uint64_t clipped;     /* predictions with an input limited by input_limit */
    uint64_t limited;     /* labels limited by the gate */
    uint64_t stuck;       /* predictions with a stuck input, and labels of stuck outputs */
    uint64_t reopened;    /* steps that returned NBT_REOPENED */
    uint64_t rolled_back; /* steps that returned NBT_ROLLED_BACK */
    uint64_t moved;       /* changes of the units of an input or a label (follow) */
    uint64_t restarted;   /* resets of the readouts because a stream's first values were not like
                             the ones after them (follow) */
} nbt_counters;

/* Bytes of a learner by purpose; the sum of the fields is nbt_bytes. */
typedef struct nbt_breakdown {
    size_t header;     /* config and counters */
    size_t parameters; /* theta and readout */
    size_t estimate;   /* v, w, traces, the exact derivative */
    size_t covariance; /* recurrent block, readout factor and running noise */
    size_t state;      /* live and learning state, time constants */
    size_t ring;       /* inputs that wait for labels, lag taps */
    size_t scaler;     /* running means and variances */
    size_t guard;      /* runs of equal values, last good copy */
    size_t workspace;  /* scratch of one step */
} nbt_breakdown;

typedef struct nbt_learner nbt_learner;

/* clang-format on */

/* Purpose: the default configuration for n_in inputs, n_out outputs, n_hidden units and a link
 * (NBT_LINK_*). Inputs and gaussian labels are scaled in units that adapt to the stream; for
 * the other links an input that has only been 0 or 1 is left unscaled. The gaussian link mixes
 * several forecasts and forgets within about 700 samples; the others forget within about 20000.
 * The cell is columnar, in a build without it (NBT_CELLS) the last one that the build has. A part
 * that the build omits (NBT_FOLLOW, NBT_MIXTURE, NBT_HEAD, NBT_RESONATORS) is off, and without
 * NBT_FOLLOW also input_limit and scale_rate. Cost: O(1). */
nbt_config nbt_config_default(uint32_t n_in, uint32_t n_out, uint32_t n_hidden, uint32_t link);

/* Purpose: the same for any cell (NBT_CELL_*): estimator, tau_max, rate, resonators, head and
 * head_gain are those of the cell. Setting config.cell afterwards does not change them, and
 * nbt_config_check may then refuse the configuration. Cost: O(1). */
nbt_config nbt_config_for(uint32_t n_in, uint32_t n_out, uint32_t n_hidden, uint32_t cell,
                          uint32_t link);

/* Purpose: check every field against its range.
 * Arguments: config; field receives the index of the first bad field in declaration order
 *   (seed is 0), low and high its permitted range; each of the three may be NULL.
 * Returns: NBT_OK, NBT_ERR_NULL or NBT_ERR_CONFIG. Cost: O(fields). */
nbt_status nbt_config_check(const nbt_config *config, uint32_t *field, double *low, double *high);

/* Purpose: bytes of a learner, equal to NBT_BYTES of the same values.
 * Returns: bytes, or 0 if the configuration is refused by nbt_config_check. Cost: O(1). */
size_t nbt_bytes(const nbt_config *config);

/* Purpose: the same by purpose. Errors: NBT_ERR_NULL, NBT_ERR_CONFIG. Cost: O(1). */
nbt_status nbt_bytes_breakdown(const nbt_config *config, nbt_breakdown *breakdown);

/* Purpose: sizes of a learner: state floats S, pre-activations R, columns D; pointers may be NULL.
 * Errors: NBT_ERR_NULL (config), NBT_ERR_CONFIG. Cost: O(1). */
nbt_status nbt_shape(const nbt_config *config, size_t *S, size_t *R, size_t *D);

/* Purpose: build a learner in memory[bytes] (aligned to 8) with seeded weights and zero state.
 * Arguments: *learner receives the address (equal to memory). The block holds no pointers: it may
 *   be copied byte for byte, and the copy is a learner too.
 * Errors: NBT_ERR_NULL, NBT_ERR_CONFIG, NBT_ERR_BYTES, NBT_ERR_ALIGN. Cost: O(bytes). */
nbt_status nbt_init(void *memory, size_t bytes, const nbt_config *config, nbt_learner **learner);

/* Purpose: draw the random directions of the estimate (nobacktrack, residual, unitwise; the others
 *   draw none) from another seed from now on. config.seed, the seed of the initial weights, stays.
 *   To compare learners with the same initial weights: nbt_init, then nbt_reseed.
 * Errors: NBT_ERR_NULL. Cost: O(1). */
nbt_status nbt_reseed(nbt_learner *learner, uint64_t seed);

/* Purpose: set for each output the input channel whose future it is, -1 for none (anchored).
 * Arguments: channel (n_out).
 * Errors: NBT_ERR_NULL, NBT_ERR_ARRAY (not anchored), NBT_ERR_CONFIG (no such channel, or a sample
 *   has been predicted already); the learner is then unchanged. Cost: O(n_out). */
nbt_status nbt_anchor_set(nbt_learner *learner, const int32_t *channel);

/* Purpose: set the levels of the prediction intervals; until then they are the first of 0.5, 0.8,
 *   0.95, 0.99, 0.995, 0.998, 0.999 and 0.9995.
 * Arguments: level (intervals), ascending, each above 0 and below 1.
 * Errors: NBT_ERR_NULL, NBT_ERR_ARRAY (no intervals), NBT_ERR_CONFIG (a level is out of
 *   range, they do not ascend, or a sample has been predicted already); the learner is then unchanged.
 * Cost: O(n_out intervals). */
nbt_status nbt_levels_set(nbt_learner *learner, const float *level);

/* Purpose: advance the live state by one sample and forecast:
 *   u = [h; x; 1],  s = cell(theta u, s),  phi = tanh(U [h; x; 1]),  y = link(V [h; phi; x; 1]).
 * Arguments: y (n_out), caller's units or probabilities; x (n_in), caller's units.
 * Returns: NBT_OK; NBT_NOT_FINITE; or what a guard did: NBT_LIMITED, NBT_STUCK, NBT_REOPENED.
 * Errors: NBT_ERR_NULL, NBT_ERR_INPUT, NBT_ERR_FULL; the learner is then unchanged.
 * Cost: R D + head Z + O F multiply-adds; with mix_forget those of the other forecasts, about as
 *   many as the readout's; where the units of inputs move (counters.moved) some F^2 more. */
nbt_status nbt_predict(nbt_learner *learner, float *y, const float *x);

/* Purpose: the forecast that nbt_predict would give, with the learner unchanged: what if x came
 *   next? Also while max_delay + 1 predictions wait, where nbt_predict is refused. It is made on a
 *   copy, because a sample may move the units of everything that was learnt.
 * Arguments: y (n_out); x (n_in); scratch [bytes], at least nbt_bytes, aligned to 8 and apart from
 *   the learner, x and y. Its content is overwritten. If the status is not negative, it then is a
 *   learner (cast it) that has predicted x: nbt_interval, nbt_student and nbt_variance of it belong to y,
 *   and nbt_peek or nbt_predict with it look further ahead. Do not let it learn.
 * Returns: what nbt_predict would. Errors: NBT_ERR_NULL, NBT_ERR_BYTES (scratch is too small, or
 *   overlaps the learner), NBT_ERR_ALIGN, NBT_ERR_INPUT.
 * Cost: a copy of nbt_bytes, and that of nbt_predict. */
nbt_status nbt_peek(const nbt_learner *learner, float *y, const float *x, void *scratch,
                    size_t bytes);

/* Purpose: learn the label of the oldest prediction that still waits (docs/design.md, sections
 * 2-4).
 * Arguments: label, n_out values, or one class index (categorical). NaN means missing: an output
 *   without label learns nothing; with no label at all only the state and the estimate advance.
 * Returns: NBT_OK, NBT_SKIPPED, or what a guard did: NBT_LIMITED, NBT_STUCK, NBT_REOPENED,
 *   NBT_ROLLED_BACK (the last of them that holds, in the order of their numbers).
 * Errors: NBT_ERR_NULL, NBT_ERR_LABEL, NBT_ERR_EMPTY; the learner is then unchanged.
 * Cost: about 20 (R D + head Z) + 3 F^2 + O^3 / 6 operations, the same every step (but for a copy
 *   every rollback_steps); slow_forget: 3/4 F^2 more; unitwise: H^3 + O H^2 more; rtrl: about
 *   2 (S^2 + O H + O^2) R D instead of 20 R D. */
nbt_status nbt_learn(nbt_learner *learner, const float *label);

/* Purpose: predictive variance of the last nbt_predict, r_o (1 + f^T C f), f = [h; phi; x; 1]; with
 *   mix_forget, once there is one, the mean square of the mixture's errors.
 * Arguments: variance (n_out), caller's units squared; before any prediction the prior's.
 * Returns: NBT_OK; NBT_NOT_FINITE if one is beyond float32. The learner is unchanged.
 * Errors: NBT_ERR_NULL, NBT_ERR_LINK. Cost: F^2 / 2 multiply-adds. */
nbt_status nbt_variance(nbt_learner *learner, float *variance);

/* Purpose: prediction intervals of the last nbt_predict, whatever the distribution of the errors:
 *   over a long run a share `level` of the labels is inside, and half of the others is on each side
 *   (nbt_interval.h). Their width follows the recent labels; before the first label it is that of
 *   the output itself, and 0 while the output has not varied.
 * Arguments: bounds (n_out, intervals, 2), lower and upper of each level, caller's units.
 * Returns: NBT_OK; NBT_NOT_FINITE if one is beyond float32. The learner is unchanged.
 * Errors: NBT_ERR_NULL, NBT_ERR_ARRAY (no intervals). Cost: O(n_out intervals). */
nbt_status nbt_interval(const nbt_learner *learner, float *bounds);

/* Purpose: predictive distribution of the last nbt_predict with tails as heavy as those of the
 *   errors: Student's t around the forecast, scale times sqrt(freedom / (freedom - 2)) its standard
 *   deviation (nbt_interval.h). The density of a label is
 *   t_freedom((label - y) / scale) / scale.
 * Arguments: scale (n_out), caller's units; freedom (n_out), degrees of freedom: 2.5, 4, 8 or 50.
 * Returns: NBT_OK; NBT_NOT_FINITE if one is beyond float32. The learner is unchanged.
 * Errors: NBT_ERR_NULL, NBT_ERR_ARRAY (no intervals). Cost: O(n_out). */
nbt_status nbt_student(const nbt_learner *learner, float *scale, float *freedom);

/* Purpose: anomaly score of the last label, 0 (usual) to near 1 (unprecedented), nbt_anomaly.h.
 *   On streams without faults a share of about 1 - t of the labels, or fewer, scores above a
 *   threshold t up to 0.999 (docs/evidence/uncertainty.md has measurements).
 * Arguments: score (n_out), NaN for an output without label.
 * Errors: NBT_ERR_NULL, NBT_ERR_ARRAY (no anomaly). The learner is unchanged. Cost: O(n_out). */
nbt_status nbt_anomaly(const nbt_learner *learner, float *score);

/* Events instead of scores: an alarm that is reported once. A new one has `left` 0. */
typedef struct nbt_alarm {
    float threshold;   /* scores above it are events, 0..1 */
    uint32_t hold_off; /* scores after an event during which no other is reported; each score above
                          the threshold restarts the count */
    uint32_t left;     /* of these scores, those still to come */
} nbt_alarm;

/* Purpose: take one score, NaN for none. Returns: 1 at an event, else 0. alarm may be NULL.
 * Cost: O(1). */
int nbt_alarm_count(nbt_alarm *alarm, float score);

/* The results of nbt_run for every row; NULL for those not wanted. */
typedef struct nbt_rows {
    float *y;       /* (steps, n_out) forecasts; not NULL */
    float *bounds;  /* (steps, n_out, intervals, 2) nbt_interval of them */
    float *anomaly; /* (steps, n_out) nbt_anomaly of the label that was learnt in the row; NaN where
                         there was none */
    uint32_t *guards; /* (steps) counters that increased in it: bit i, counter i of nbt_counters */
} nbt_rows;

/* Purpose: feed a whole stream; bit for bit the loop over nbt_learn and nbt_predict.
 *   horizon 0: for each t predict(x_t), then learn(label_t).
 *   horizon h: for each t learn(label_t) if h predictions wait, then predict(x_t); row t of y is
 *   the forecast for t + h. A stream may be fed in pieces.
 * Arguments: rows; x (steps, n_in); label (steps, n_out) or (steps, 1) categorical;
 *   *done receives the number of completed steps, skipped ones included. Rows from the
 *   first one that was not begun stay as they are.
 * Returns: NBT_OK, or NBT_NOT_FINITE if a forecast was not finite; all steps ran.
 * Errors: NBT_ERR_NULL, NBT_ERR_HORIZON (horizon > max_delay + 1, or more predictions wait than the
 *   horizon), and those of predict and learn: the steps before row *done stay done. At row *done
 *   itself, horizon h, the label may have been learnt and only the input refused. */
nbt_status nbt_run(nbt_learner *learner, const nbt_rows *rows, const float *x, const float *label,
                   size_t steps, size_t horizon, size_t *done);

/* Purpose: forget the recent past and keep the parameters: states, estimate, lag taps and waiting
 * predictions are cleared; weights, covariances and scalers stay. Errors: NBT_ERR_NULL. */
nbt_status nbt_reset_state(nbt_learner *learner);

/* Purpose: how many predictions wait for a label; 0 for NULL. */
size_t nbt_pending(const nbt_learner *learner);

/* Purpose: health counters. Errors: NBT_ERR_NULL. */
nbt_status nbt_counters_get(const nbt_learner *learner, nbt_counters *counters);

/* Purpose: copy an array (NBT_ARRAY_*) out, row-major; *rows and *cols receive its shape.
 * Arguments: out may be NULL to ask for the shape only. Errors: NBT_ERR_NULL, NBT_ERR_ARRAY. */
nbt_status nbt_array_get(const nbt_learner *learner, uint32_t array, float *out, size_t *rows,
                         size_t *cols);

/* Purpose: set parameters: theta, readout, head, slow, linear, covariance, head_covariance or
 *   coupling (NBT_ARRAY_*), for a warm start, for ablation, or to bring weights over from a learner
 *   of another size. The learner continues like one loaded from a checkpoint with these
 *   numbers; states, estimate and scalers stay (nbt_reset_state forgets the first two).
 * Arguments: values (rows, cols), row-major, NULL to ask only whether the array may be set; rows
 *   and cols as in nbt_array_get.
 * Errors: NBT_ERR_NULL, NBT_ERR_ARRAY (this configuration has no such array, it may not be set, or
 *   has another shape), NBT_ERR_STATE (a number is not finite, or nbt_load would refuse it); the
 *   learner is then unchanged. Cost: O(rows cols). */
nbt_status nbt_array_set(nbt_learner *learner, uint32_t array, const float *values, size_t rows,
                         size_t cols);

/* Purpose: dimensions of an array (NBT_ARRAY_*): 1 (it then has one row) or 2; 0 where
 * nbt_array_get gives NBT_ERR_ARRAY, and for NULL. Cost: O(1). */
uint32_t nbt_array_dimensions(const nbt_learner *learner, uint32_t array);

/* Purpose: the NBT_SIMD_* version of the step that the learner uses: the widest that this
 * processor, the build and nbt_simd_limit allow. All give the same bits. Cost: O(1). */
uint32_t nbt_simd(const nbt_learner *learner);

/* Purpose: use no wider version than `most` (NBT_SIMD_*) from now on, for comparisons and tests.
 * Errors: NBT_ERR_NULL. Cost: O(1). */
nbt_status nbt_simd_limit(nbt_learner *learner, uint32_t most);

/* Purpose: 64-bit FNV-1a hash of all data that affect later results, in canonical
 * (row-major, little-endian) order: equal on every target, for every NBT_LANES. 0 for NULL. */
uint64_t nbt_hash(const nbt_learner *learner);

/* Purpose: bytes of a checkpoint (docs/reference/checkpoint.md) of a learner with this
 * configuration, at most NBT_BYTES + 32; 0 if the configuration is refused. Cost: O(1). */
size_t nbt_checkpoint_bytes(const nbt_config *config);

/* Takes the next n bytes (1..64) of a checkpoint; returns 0, or anything else to stop. */
typedef int (*nbt_write)(void *context, const unsigned char *bytes, size_t n);

/* Purpose: write all that a resumed run needs to have the same bits, on every target.
 * Arguments: out [bytes], at least nbt_checkpoint_bytes; or a callback that receives the pieces
 *   in order, all of 64 bytes except the last, so that they can be written to flash directly.
 * Errors: NBT_ERR_NULL, NBT_ERR_BYTES, NBT_ERR_STATE (a number is not finite: nothing was written,
 *   keep the last checkpoint), NBT_ERR_WRITE. The learner is unchanged. Cost: O(bytes). */
nbt_status nbt_save(const nbt_learner *learner, unsigned char *out, size_t bytes);
nbt_status nbt_save_stream(const nbt_learner *learner, nbt_write write, void *context);

/* Gives n bytes (1..64) of a checkpoint from an offset on; returns 0, or anything else to
 * stop. */
typedef int (*nbt_read)(void *context, size_t offset, unsigned char *out, size_t n);

/* Purpose: build the learner of a checkpoint in memory[bytes], as nbt_init does.
 * Arguments: data [n], the checkpoint, or a callback that returns the n bytes, three times; bytes
 *   after the checkpoint's end are ignored. *learner receives the address (equal to memory).
 *   Everything is checked before memory is touched.
 * Errors: NBT_ERR_NULL, NBT_ERR_MAGIC, NBT_ERR_VERSION, NBT_ERR_LENGTH, NBT_ERR_CRC,
 *   NBT_ERR_CONFIG, NBT_ERR_STATE, NBT_ERR_BYTES, NBT_ERR_ALIGN, NBT_ERR_READ (if the callback
 *   fails only in the third round, memory is zero). Cost: O(bytes). */
nbt_status nbt_load(void *memory, size_t bytes, const unsigned char *data, size_t n,
                    nbt_learner **learner);
nbt_status nbt_load_stream(void *memory, size_t bytes, nbt_read read, void *context, size_t n,
                           nbt_learner **learner);

/* Purpose: the configuration in a checkpoint, from which nbt_bytes gives the memory for nbt_load.
 * Errors: those of nbt_load up to NBT_ERR_CONFIG, and NBT_ERR_STATE. Cost: O(n). */
nbt_status nbt_load_config(const unsigned char *data, size_t n, nbt_config *config);

/* Raw flash without a file system: n_slots (2..32) slots of slot_bytes, each a whole number of
 * erase blocks. The callbacks return 0, or anything else for a failure.
 *   read: n bytes (1..64) from any offset of a slot.
 *   program: n = 64 bytes at a multiple of 64, each place once after an erase, in ascending order.
 *     The exception is the second to last piece (the mark), which a later save writes.
 *   erase: all bytes of a slot become 0xff. */
typedef struct nbt_flash {
    void *context;
    uint32_t n_slots;
    size_t slot_bytes;
    int (*read)(void *context, uint32_t slot, size_t offset, unsigned char *out, size_t n);
    int (*program)(void *context, uint32_t slot, size_t offset, const unsigned char *bytes,
                   size_t n);
    int (*erase)(void *context, uint32_t slot);
} nbt_flash;

/* Purpose: smallest slot_bytes for this configuration; 0 if it is refused. Cost: O(1). */
size_t nbt_store_slot_bytes(const nbt_config *config);

/* Purpose: save the learner into the slot after the newest whole checkpoint, which is kept. After
 * a power cut at any moment, that one or the new one can be loaded. The slots wear evenly, and the
 * written bytes are verified. After NBT_OK no load returns an older checkpoint
 * (docs/reference/checkpoint.md lists the faults that this covers).
 * Errors: NBT_ERR_NULL, NBT_ERR_FLASH (no slot takes it), NBT_ERR_BYTES (slots too small),
 *   NBT_ERR_STATE, NBT_ERR_READ (a slot that may hold the newest checkpoint cannot be read:
 *   nothing was written; try again, and leave a slot that fails permanently out of nbt_flash).
 *   After an error, the newest checkpoint before and all older ones except one still exist.
 * Cost: two readings of all slots and one erase; two erases in the first save, and if the newest
 * slot cannot be marked. */
nbt_status nbt_store_save(const nbt_flash *flash, const nbt_learner *learner);

/* Purpose: build the learner of the newest whole checkpoint in memory[bytes], as nbt_load does.
 * Errors: NBT_ERR_NULL, NBT_ERR_FLASH, NBT_ERR_NOTHING, NBT_ERR_BYTES, NBT_ERR_ALIGN, NBT_ERR_READ
 *   (a slot that may hold the newest checkpoint cannot be read: try again, and leave a slot that
 *   fails permanently out of nbt_flash). */
nbt_status nbt_store_load(const nbt_flash *flash, void *memory, size_t bytes,
                          nbt_learner **learner);

/* Purpose: a short English sentence for a status. Never NULL. */
const char *nbt_status_text(nbt_status status);

/* Purpose: the numeric building blocks, for tests and for code around the learner. Only + - * /
 * and integer operations, so the same bits everywhere. Largest errors over all finite float32
 * arguments (tests/test_math.py): exp 2 ulp, log 2 ulp, tanh 3 ulp, sigmoid 3 ulp.
 * exp saturates at exp(-87) and exp(88); log takes x below the smallest normal number for that
 * number; NaN gives NaN. */
float nbt_expf(float x);
float nbt_logf(float x);
float nbt_tanhf(float x);
float nbt_sigmoidf(float x);

/* </declarations> */

#include "nbt_tables.h"

/* ---- Memory at compile time ---------------------------------------------------------------------
 * NBT_ARENA(name, bytes) declares an array of so many bytes, aligned to 8, for nbt_init and
 * nbt_load: in C99 and C++11, at file scope, in a function or in a structure. `static` or `extern`
 * may stand before it; `name` is an array of unsigned char, and `sizeof name` is `bytes`. An
 * integer type for the array is not sufficient: AVR aligns uint64_t to 1, and 32-bit x86 to 4.
 * Compilers without an alignment attribute use the alignment of uint64_t, and nbt_init
 * returns NBT_ERR_ALIGN if that is not enough. */
#if defined(__GNUC__) || defined(__CC_ARM) || defined(__TI_COMPILER_VERSION__)
#define NBT_ARENA(name, bytes) unsigned char name[bytes] __attribute__((aligned(8)))
#elif defined(__cplusplus) && __cplusplus >= 201103L
#define NBT_ARENA(name, bytes) unsigned char name alignas(8)[bytes]
#elif defined(_MSC_VER)
#define NBT_ARENA(name, bytes) __declspec(align(8)) unsigned char name[bytes]
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define NBT_ARENA(name, bytes) _Alignas(8) unsigned char name[bytes]
#else
#define NBT_ARENA(name, bytes) uint64_t name[((bytes) + 7u) / 8u]
#endif

/* ---- Bytes at compile time ----------------------------------------------------------------------
 * NBT_BYTES(n_in, n_out, n_hidden, resonators, head, lags, max_delay, cell, estimator, filter,
 * link) is an integer constant expression equal to nbt_bytes of the same configuration without
 * follow, on every target. With follow add NBT_STREAM_BYTES, with rollback_steps
 * NBT_ROLLBACK_BYTES. All are sums over the arrays of nbt_tables.h.
 * NBT_DEFAULT_BYTES(n_in, n_out, n_hidden, max_delay, link) is the sum of both for the config of
 * nbt_config_default with max_delay, in a build that has its cell. */
#define NBT_DEFAULT_BYTES(n_in, n_out, n_hidden, max_delay, link)                                  \
    (NBT_BYTES(n_in, n_out, n_hidden, NBT_USUAL_RESONATORS(n_hidden, NBT_USUAL_CELL, link),        \
               NBT_USUAL_HEAD(n_hidden, NBT_USUAL_CELL, link), NBT_USUAL_LAGS(link), max_delay,    \
               NBT_USUAL_CELL, (n_hidden) > 0 ? NBT_EST_SNAP1 : NBT_EST_FROZEN, NBT_FILTER_KALMAN, \
               link) +                                                                             \
     NBT_STREAM_BYTES(                                                                             \
         n_in, n_out, n_hidden, NBT_USUAL_RESONATORS(n_hidden, NBT_USUAL_CELL, link),              \
         NBT_USUAL_HEAD(n_hidden, NBT_USUAL_CELL, link), NBT_USUAL_LAGS(link), max_delay, link, 1, \
         NBT_IN(NBT_LINKS_REAL, link), NBT_IN(NBT_LINKS_REAL, link) * NBT_USUAL_LINEAR_LAGS,       \
         NBT_IN(NBT_LINKS_REAL, link), NBT_IN(NBT_LINKS_REAL, link),                               \
         NBT_IN(NBT_LINKS_REAL, link) * NBT_USUAL_INTERVALS, NBT_IN(NBT_LINKS_REAL, link)))
#define NBT_BYTES(n_in, n_out, n_hidden, resonators, head, lags, max_delay, cell, estimator,      \
                  filter, link)                                                                   \
    (NBT_HEADER_BYTES +                                                                           \
     sizeof(float) *                                                                              \
         NBT_EVEN_(                                                                               \
             NBT_SUM_SAVED_(NBT_FLOATS_SAVED_, NBT_FLOATS_SAVED_, n_in, n_out, n_hidden,          \
                            resonators, head, lags, max_delay, cell, estimator, filter, link) +   \
             NBT_SUM_SCRATCH_(NBT_FLOATS_SCRATCH_, n_in, n_out, n_hidden, resonators, head, lags, \
                              max_delay, cell, estimator, filter, link) +                         \
             (NBT_SUM_SAVED_(NBT_ONE_, NBT_SKIP, n_in, n_out, n_hidden, resonators, head, lags,   \
                             max_delay, cell, estimator, filter, link) -                          \
              1u) *                                                                               \
                 NBT_APART_(NBT_ROWS(n_hidden, cell) * NBT_COLS(n_in, n_hidden, lags, cell))))

/* Additional bytes of follow, with the anchor, the mixture, intervals and anomaly. slow is 1 if
 * slow_forget is above 0, mix if mix_forget is, else 0. */
#define NBT_STREAM_BYTES(n_in, n_out, n_hidden, resonators, head, lags, max_delay, link, follow, \
                         anchored, linear_lags, slow, mix, intervals, anomaly)                   \
    (sizeof(float) *                                                                             \
     NBT_EVEN_(0u NBT_STREAM_ARRAYS(                                                             \
         NBT_FLOATS_SAVED_, NBT_IN(NBT_LINKS_REAL, link), (size_t)(follow), (size_t)(anchored),  \
         (size_t)(slow), (size_t)(mix), (size_t)(n_in), (size_t)(n_out), (size_t)(lags),         \
         (size_t)(max_delay), NBT_FEATURES(n_in, n_hidden, resonators, head, lags),              \
         (size_t)(linear_lags), (size_t)(intervals), (size_t)(anomaly))                          \
                   NBT_STREAM_SCRATCH(NBT_FLOATS_SCRATCH_, NBT_IN(NBT_LINKS_REAL, link),         \
                                      (size_t)(follow), (size_t)(n_out), (size_t)(linear_lags))))

/* Additional bytes of a last good copy: theta, readout, their covariances, noise and scalers. */
#define NBT_ROLLBACK_BYTES(n_in, n_out, n_hidden, resonators, head, lags, cell, estimator, filter, \
                           link)                                                                   \
    (sizeof(float) *                                                                               \
     NBT_EVEN_(NBT_SUM_SAVED_(NBT_FLOATS_COPIED_, NBT_FLOATS_COPIED_, n_in, n_out, n_hidden,       \
                              resonators, head, lags, 0, cell, estimator, filter, link)))

#define NBT_ROWS(n_hidden, cell)                                               \
    ((size_t)(n_hidden) *                                                      \
     (NBT_IN(NBT_CELLS_GATES_1, cell) + 2u * NBT_IN(NBT_CELLS_GATES_2, cell) + \
      4u * NBT_IN(NBT_CELLS_GATES_4, cell)))
#define NBT_PARTS(cell) (1u + NBT_IN(NBT_CELLS_TWO_PARTS, cell))
#define NBT_STATES(n_hidden, resonators, cell) \
    ((size_t)(n_hidden) * NBT_PARTS(cell) + (size_t)(resonators))
#define NBT_SEEN(n_hidden, resonators) ((size_t)(n_hidden) + (size_t)(resonators))
#define NBT_CONTEXT(n_in, n_hidden, resonators, lags) \
    ((size_t)(n_hidden) + (size_t)(resonators) + (size_t)(n_in) * (size_t)(lags) + 1u)
#define NBT_COLS(n_in, n_hidden, lags, cell)                                   \
    (NBT_IN(NBT_CELLS_ALONE, cell) != 0 ? (size_t)(n_in) * (size_t)(lags) + 2u \
                                        : NBT_CONTEXT(n_in, n_hidden, 0, lags))
#define NBT_FEATURES(n_in, n_hidden, resonators, head, lags) \
    (NBT_CONTEXT(n_in, n_hidden, resonators, lags) + (size_t)(head))

/* Bytes of the learner's header, a multiple of 8; nbt_layout.c checks it at compile time. */
#define NBT_HEADER_BYTES                                                                 \
    (((size_t)8u + (size_t)4u * NBT_FIELDS + 7u) / 8u * 8u + (size_t)8u * NBT_COUNTERS + \
     ((size_t)4u * (0u NBT_WORD_LIST(NBT_WORDS_OF_)) + 7u) / 8u * 8u)

/* Floats between the matrices of the sweep, so that no two of them are close to a multiple of 4096
 * bytes apart: processors with caches would then take loads from one matrix for loads of values
 * just stored to another (4K aliasing), and wait. Small matrices do not need it. The distance from
 * one matrix to the next is 208 floats modulo 512, whose first four multiples are at least 112
 * floats away from those of 1024. */
#define NBT_APART_(n) ((n) < 65536u ? (size_t)0 : (208u + 512u - (n) % 512u) % 512u)

#define NBT_EVEN_(n) (((n) + 1u) / 2u * 2u)

/* The rows of the tables of arrays with the sizes of a configuration. */
#define NBT_EACH_SAVED_(xm, x, n_in, n_out, n_hidden, resonators, head, lags, max_delay, cell,   \
                        estimator, filter, link)                                                 \
    NBT_SAVED_ARRAYS(xm, x, NBT_IN, cell, estimator, filter, link, (size_t)(n_in),               \
                     (size_t)(n_out), (size_t)(n_hidden), (size_t)(lags), (size_t)(max_delay),   \
                     NBT_STATES(n_hidden, resonators, cell), NBT_ROWS(n_hidden, cell),           \
                     NBT_COLS(n_in, n_hidden, lags, cell), NBT_SEEN(n_hidden, resonators),       \
                     NBT_CONTEXT(n_in, n_hidden, resonators, lags),                              \
                     NBT_FEATURES(n_in, n_hidden, resonators, head, lags), (size_t)(resonators), \
                     (size_t)(head))
#define NBT_EACH_SCRATCH_(x, n_in, n_out, n_hidden, resonators, head, lags, max_delay, cell,       \
                          estimator, filter, link)                                                 \
    NBT_SCRATCH_ARRAYS(x, NBT_IN, cell, estimator, filter, link, (size_t)(n_in), (size_t)(n_out),  \
                       (size_t)(n_hidden), (size_t)(lags), (size_t)(max_delay),                    \
                       NBT_STATES(n_hidden, resonators, cell), NBT_ROWS(n_hidden, cell),           \
                       NBT_COLS(n_in, n_hidden, lags, cell), NBT_SEEN(n_hidden, resonators),       \
                       NBT_CONTEXT(n_in, n_hidden, resonators, lags),                              \
                       NBT_FEATURES(n_in, n_hidden, resonators, head, lags), (size_t)(resonators), \
                       (size_t)(head))

/* Sums over them; a term begins with its sign. */
#define NBT_SUM_SAVED_(xm, x, n_in, n_out, n_hidden, resonators, head, lags, max_delay, cell,  \
                       estimator, filter, link)                                                \
    (0u NBT_EACH_SAVED_(xm, x, n_in, n_out, n_hidden, resonators, head, lags, max_delay, cell, \
                        estimator, filter, link))
#define NBT_SUM_SCRATCH_(x, n_in, n_out, n_hidden, resonators, head, lags, max_delay, cell,  \
                         estimator, filter, link)                                            \
    (0u NBT_EACH_SCRATCH_(x, n_in, n_out, n_hidden, resonators, head, lags, max_delay, cell, \
                          estimator, filter, link))
#define NBT_FLOATS_SAVED_(where, name, purpose, content, since, copied, brought, floats) \
    +(brought) * (floats)
#define NBT_FLOATS_COPIED_(where, name, purpose, content, since, copied, brought, floats) \
    +(copied) * (brought) * (floats)
#define NBT_ONE_(where, name, purpose, content, since, copied, brought, floats) +(brought)
#define NBT_FLOATS_SCRATCH_(where, name, brought, floats) +(brought) * (floats)

#ifdef __cplusplus
}
#endif

#endif
