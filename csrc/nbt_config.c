#include <stddef.h>

#include "nbt.h"
#include "nbt_build.h"
#include "nbt_cell.h"
#include "nbt_layout.h"
#include "nbt_math.h"

/* Kinds of the fields after seed. */
enum { COUNT, CHOICE, REAL, ABOVE }; /* uint32_t; uint32_t; float; float with low excluded */

/* The reason of a refusal: field `index` permits values from low to high. */
typedef struct refusal {
    uint32_t index;
    float low;
    float high;
} refusal;

static int refuse(refusal *out, uint32_t index, float low, float high)
{
    out->index = index;
    out->low = low;
    out->high = high;
    return 0;
}

#if NBT_FIXED

#define KIND(name, kind, low, high, gaussian, other, since) kind,
static const unsigned char kinds[NBT_FIELDS] = {NBT_FIELD_LIST(KIND)};
#define FIXED(name, kind, low, high, gaussian, other, since) NBT_FIXED_##name,
static const nbt_config fixed = {0 /* seed */, NBT_FIELD_LIST(FIXED)};

nbt_config nbt_config_default(uint32_t n_in, uint32_t n_out, uint32_t n_hidden, uint32_t link)
{
    return nbt_config_for(n_in, n_out, n_hidden, NBT_FIXED_cell, link);
}

nbt_config nbt_config_for(uint32_t n_in, uint32_t n_out, uint32_t n_hidden, uint32_t cell,
                          uint32_t link)
{
    nbt_config config = fixed;
    config.n_in = n_in; /* a value that the fixed model lacks is refused later, with the name of its
                           field */
    config.n_out = n_out;
    config.n_hidden = n_hidden;
    config.cell = cell;
    config.link = link;
    return config;
}

static int is_accepted(const nbt_config *config, refusal *out)
{
    for (uint32_t i = 0; i < NBT_FIELDS; i++) {
        uint32_t word = nbt_config_word(&fixed, i);
        if (nbt_config_word(config, i) != word) {
            int is_whole = kinds[i] <= CHOICE;
            float value = is_whole ? (float)word : nbt_from_bits(word);
            return refuse(out, 1 + i, value, value);
        }
    }
    return 1;
}

#else

/* The initial scale of the weights of one-hot inputs. Only one input is 1 at a time, so the
 * deviation must not fall with the number of inputs. */
static float one_hot_gain(uint32_t n_in, int columns)
{
    float gain = 0.97f * nbt_sqrt((float)n_in);
    return gain < 3.5f && !columns ? 3.5f : gain > 100.0f ? 100.0f : gain;
}

/* The default estimator: none for a network without units, the exact derivative where it is cheap;
 * for the lstm the one that supports two state floats per unit. */
static uint32_t usual_estimator(uint32_t n_hidden, uint32_t cell)
{
    uint32_t usual = n_hidden == 0                            ? NBT_EST_FROZEN
                     : NBT_IN(NBT_CELLS_ALONE, cell) != 0     ? NBT_EST_SNAP1
                     : NBT_IN(NBT_CELLS_TWO_PARTS, cell) != 0 ? NBT_EST_NOBACKTRACK
                                                              : NBT_EST_UNITWISE;
    return nbt_choice(NBT_ESTIMATORS, NBT_ESTIMATORS_ALL, usual);
}

static float head_gain(uint32_t n_hidden, uint32_t cell, float gain)
{
    return n_hidden > 0 && NBT_IN(NBT_CELLS_ALONE, cell) != 0 ? gain : 0.0f;
}

/* Permitted values of the fields after seed. */
typedef struct range {
    float low;
    float high;
    int kind;
} range;

#define RANGE(name, kind, low, high, gaussian, other, since) {low, high, kind},
static const range ranges[NBT_FIELDS] = {NBT_FIELD_LIST(RANGE)};

/* The same for the fields of units that follow the stream: only 0 is permitted if a field that they
 * require is 0. */
static range stream_range_of(const nbt_config *config, size_t index, range r)
{
    int assesses = index == NBT_FIELD_intervals || index == NBT_FIELD_anomaly;
    if ((index < NBT_FIELD_follow || index > NBT_FIELD_mix_forget) && !assesses) {
        return r; /* the choices used below come first in the config, and are already checked */
    }
    if (!NBT_FOLLOW) {
        r.high = r.low = 0.0f;
        return r;
    }
    int real = NBT_IN(NBT_LINKS_REAL, config->link) != 0,
        kalman = NBT_IN(NBT_FILTERS_KALMAN, config->filter) != 0;
    int follows = config->follow != 0;
    int mixes = NBT_MIXES && config->mix_forget > 0.0f;
    int off = (index == NBT_FIELD_anchored && !(follows && real)) ||
              (index == NBT_FIELD_mix_forget && !(follows && real && NBT_MIXES)) ||
              (index == NBT_FIELD_slow_forget && !(mixes && kalman)) ||
              (index == NBT_FIELD_linear_lags && !(mixes && kalman && config->anchored != 0)) ||
              (index == NBT_FIELD_linear_forget && config->linear_lags == 0) ||
              (index == NBT_FIELD_prior_units && !(real && kalman)) ||
              (index == NBT_FIELD_intervals && !(follows && real && NBT_HAS_INTERVALS)) ||
              (index == NBT_FIELD_anomaly && !(follows && real && NBT_HAS_ANOMALY));
    r.high = off ? 0.0f : r.high;
    if (index == NBT_FIELD_linear_forget && config->linear_lags > 0) {
        r.low = 0.5f;
        r.kind = ABOVE;
    }
    return r;
}

/* The permitted range of one field, given the values of the others. */
static range range_of(const nbt_config *config, size_t index)
{
    range r = ranges[index];
    if (index == NBT_FIELD_n_out && config->link == NBT_LINK_CATEGORICAL) {
        r.low = 2; /* a classifier needs two classes */
    } else if (index == NBT_FIELD_estimator && nbt_cell_parts(config->cell) > 1 &&
               (config->estimator >= NBT_EST_END ||
                NBT_IN(NBT_ESTIMATORS_G, config->estimator) != 0)) {
        r.high = NBT_EST_NOBACKTRACK; /* traces require one state float per unit */
    } else if (index == NBT_FIELD_estimator && config->n_hidden == 0) {
        r.high = NBT_EST_FROZEN;
    } else if (index == NBT_FIELD_estimator && config->cell < NBT_CELL_END &&
               NBT_IN(NBT_CELLS_ALONE, config->cell) != 0 && config->estimator != NBT_EST_FROZEN) {
        r.low = r.high = NBT_EST_SNAP1; /* for these cells it is the exact derivative */
    } else if (index == NBT_FIELD_filter && NBT_IN(NBT_CELLS_ALONE, config->cell) != 0) {
        r.high = NBT_FILTER_KALMAN;
    } else if (index == NBT_FIELD_tau_max) {
        r.low = config->tau_min;
        r.kind = REAL;
    } else if (index == NBT_FIELD_rollback_steps &&
               (!NBT_ROLLBACK || config->drift_steps == 0 ||
                (config->follow != 0 && !(config->mix_forget > 0.0f)))) {
        r.high = 0; /* no copy is taken or restored, or its units would be outdated */
    } else if (index == NBT_FIELD_resonators) {
        int columns = NBT_RESONATORS && NBT_IN(NBT_CELLS_ALONE, config->cell) != 0;
        r.high = columns ? (float)config->n_hidden : 0.0f;
        r.low = config->cell == NBT_CELL_RESONATOR ? r.high : 0.0f;
    } else if ((index == NBT_FIELD_head && !NBT_HEAD) ||
               (index == NBT_FIELD_head_gain && config->head == 0)) {
        r.high = 0;
    }
    return stream_range_of(config, index, r);
}

nbt_config nbt_config_default(uint32_t n_in, uint32_t n_out, uint32_t n_hidden, uint32_t link)
{
    return nbt_config_for(n_in, n_out, n_hidden, nbt_built_cell(NBT_USUAL_CELL), link);
}

nbt_config nbt_config_for(uint32_t n_in, uint32_t n_out, uint32_t n_hidden, uint32_t cell,
                          uint32_t link)
{
    /* A build that has only links of real values contains only their defaults. */
    int gaussian_link = NBT_BUILT_link == NBT_LINKS_REAL || link == NBT_LINK_GAUSSIAN;
    uint32_t shape =
        cell < NBT_CELL_END ? cell : (uint32_t)NBT_CELL_GATED; /* an invalid cell is refused later,
                                                                  with the name of its field */
    int columns = NBT_IN(NBT_CELLS_ALONE, shape) != 0;
    /* By position, so that compilers warn about a field without a row. */
#define DEFAULT(name, kind, low, high, gaussian, other, since) \
    gaussian_link ? DEFAULT_##kind(gaussian) : DEFAULT_##kind(other),
#define DEFAULT_COUNT(value) (uint32_t)(value)
#define DEFAULT_CHOICE(value) (uint32_t)(value)
#define DEFAULT_REAL(value) (value)
#define DEFAULT_ABOVE(value) (value)
    nbt_config config = { 0 /* seed */, NBT_FIELD_LIST(DEFAULT) };
#undef DEFAULT
    /* Options that this build omits are disabled. */
    for (uint32_t i = NBT_FIELD_follow; i < NBT_FIELDS && link < NBT_LINK_END; i++) {
        if (range_of(&config, i).high == 0.0f) {
            nbt_config_set_word(&config, i, 0);
        }
    }
    if (config.follow == 0) { /* without re-expression the scaler has to be frozen, and a frozen
                                 scaler may have seen too few values for a limit */
        config.scale_rate = config.input_limit = 0.0f;
    }
    return config;
}

/* The lowest choice of a mask, and the highest. */
static uint32_t first_of(uint32_t mask)
{
    uint32_t i = 0;
    while ((mask >> i & 1u) == 0) {
        i++;
    }
    return i;
}

static uint32_t last_of(uint32_t mask)
{
    uint32_t i = 31;
    while ((mask >> i & 1u) == 0) {
        i--;
    }
    return i;
}

/* The choices of a field in this build; 0 for fields that are no choice. */
static uint32_t built_choices(size_t index)
{
    return index == NBT_FIELD_cell        ? NBT_BUILT_cell
           : index == NBT_FIELD_estimator ? NBT_BUILT_estimator
           : index == NBT_FIELD_filter    ? NBT_BUILT_filter
           : index == NBT_FIELD_link      ? NBT_BUILT_link
                                          : 0u;
}

/* S R D of a configuration with this many units: the floats of the exact derivative. */
static uint64_t exact_floats(const nbt_config *config, uint64_t units)
{
    uint64_t cols = units + (uint64_t)config->n_in * config->lags + 1;
    return units * nbt_cell_parts(config->cell) * units * nbt_cell_gates(config->cell) * cols;
}

/* The largest number of units for which rtrl is permitted, 0 for none. */
static uint32_t exact_units(const nbt_config *config)
{
    uint32_t units = 0;
    for (uint32_t step = 4096; step > 0; step /= 2) {
        units += exact_floats(config, units + step) <= NBT_RTRL_FLOATS_MAX ? step : 0u;
    }
    return units;
}

/* Whether the bytes of a learner fit a size_t of this machine, with a margin for the small
 * arrays. */
static int is_addressable(const nbt_config *config)
{
    uint64_t units = config->n_hidden;
    uint64_t rows = units * nbt_cell_gates(config->cell);
    uint64_t cols = units + config->resonators + (uint64_t)config->n_in * config->lags + 1;
    uint64_t features = cols + config->head;
    uint64_t outputs = config->n_out;
    uint64_t slots = (uint64_t)config->max_delay + config->lags;
    uint64_t copies = config->rollback_steps > 0 ? 2 : 1;
    uint64_t matrices = config->filter == NBT_FILTER_QUASI ? 5 : 4;
    uint64_t taps = config->linear_lags;
    uint64_t waits = (7 + 2 * (uint64_t)config->intervals) * ((uint64_t)config->max_delay + 1);
    uint64_t streams = NBT_FOLLOW && config->follow != 0
                           ? (slots + taps + 8) * config->n_in + features * features +
                                 32 * features +
                                 outputs * (taps * taps + 8 * taps + features + waits + 128)
                           : 0;
    uint64_t floats =
        streams +
        copies * (matrices * rows * cols + features * features + 2 * cols * config->head) +
        2 * units * units + outputs * (copies * features + outputs + 2 * units + config->head) +
        slots * config->n_in + 32 * (rows + features);
    if (nbt_is_exact(config)) {
        uint64_t states = units * nbt_cell_parts(config->cell);
        floats += (states + outputs) * rows * cols + states * (cols + units);
    }
    return floats <= SIZE_MAX / (2 * sizeof(float));
}

static int is_accepted(const nbt_config *config, refusal *out)
{
    for (uint32_t i = 0; i < NBT_FIELDS; i++) {
        range r = range_of(config, i);
        uint32_t word = nbt_config_word(config, i);
        /* Comparisons with NaN are false, so NaN is refused. */
        int good = r.kind <= CHOICE ? word >= (uint32_t)r.low && word <= (uint32_t)r.high
                   : r.kind == ABOVE
                       ? nbt_from_bits(word) > r.low && nbt_from_bits(word) <= r.high
                       : nbt_from_bits(word) >= r.low && nbt_from_bits(word) <= r.high;
        if (!good) {
            return refuse(out, 1 + i, r.low, r.high);
        }
        uint32_t built = built_choices(i);
        if (built != 0 && (built >> word & 1u) == 0) {
            return refuse(out, 1 + i, (float)first_of(built), (float)last_of(built));
        }
    }
    if (nbt_is_exact(config) && exact_floats(config, config->n_hidden) > NBT_RTRL_FLOATS_MAX) {
        uint32_t most = exact_units(config);
        if (most == 0) {
            return refuse(out, 1 + NBT_FIELD_estimator, 0.0f, NBT_EST_UNITWISE);
        }
        return refuse(out, 1 + NBT_FIELD_n_hidden, 1.0f, (float)most);
    }
    if (!is_addressable(config)) {
        return refuse(out, 1 + NBT_FIELD_n_hidden, 0.0f,
                      (float)(config->n_hidden - (config->n_hidden > 0)));
    }
    return 1;
}

#endif

int nbt_config_is_good(const nbt_config *config)
{
    refusal refused;
    return is_accepted(config, &refused);
}

/* The kernel itself does not call this function. A firmware that does not call it either contains
 * no arithmetic in double. */
nbt_status nbt_config_check(const nbt_config *config, uint32_t *field, double *low, double *high)
{
    refusal refused;
    if (config == NULL) {
        return NBT_ERR_NULL;
    }
    if (is_accepted(config, &refused)) {
        return NBT_OK;
    }
    if (field != NULL) {
        *field = refused.index;
    }
    if (low != NULL) {
        *low = (double)refused.low;
    }
    if (high != NULL) {
        *high = (double)refused.high;
    }
    return NBT_ERR_CONFIG;
}

nbt_status nbt_bytes_breakdown(const nbt_config *config, nbt_breakdown *breakdown)
{
    if (config == NULL || breakdown == NULL) {
        return NBT_ERR_NULL;
    }
    if (!nbt_config_is_good(config)) {
        return NBT_ERR_CONFIG;
    }
    nbt_layout_bytes(config, breakdown);
    return NBT_OK;
}

nbt_status nbt_shape(const nbt_config *config, size_t *S, size_t *R, size_t *D)
{
    if (config == NULL) {
        return NBT_ERR_NULL;
    }
    if (!nbt_config_is_good(config)) {
        return NBT_ERR_CONFIG;
    }
    nbt_layout l;
    nbt_layout_of(&l, config, NULL);
    if (S != NULL) {
        *S = l.S;
    }
    if (R != NULL) {
        *R = l.R;
    }
    if (D != NULL) {
        *D = l.D;
    }
    return NBT_OK;
}

size_t nbt_bytes(const nbt_config *config)
{
    nbt_layout l;
    return config != NULL && nbt_config_is_good(config) ? nbt_layout_of(&l, config, NULL) : 0;
}

#if NBT_TEXTS

const char *nbt_status_text(nbt_status status)
{
    switch (status) {
    case NBT_OK: return "ok";
    case NBT_SKIPPED: return "an update would not have been finite and was skipped";
    case NBT_LIMITED: return "a guard limited a value";
    case NBT_STUCK:
        return "a channel has repeated its value for stuck_steps samples: nothing was learnt from "
               "it";
    case NBT_REOPENED:
        return "the loss has risen permanently: scalers, readout and covariances were reset";
    case NBT_ROLLED_BACK:
        return "the loss has risen permanently: the last good parameters were restored";
    case NBT_NOT_FINITE:
        return "the forecast or the variance is not finite: load an older checkpoint";
    case NBT_ERR_NULL: return "a required pointer is NULL";
    case NBT_ERR_CONFIG: return "a config field is out of range: see nbt_config_check";
    case NBT_ERR_BYTES: return "the block is smaller than nbt_bytes(config)";
    case NBT_ERR_ALIGN: return "the block is not aligned to 8 bytes";
    case NBT_ERR_INPUT: return "an input is NaN, infinite or too far from the running mean";
    case NBT_ERR_LABEL:
        return "a label is infinite, too far from the running mean or not in the link's range";
    case NBT_ERR_FULL: return "max_delay + 1 predictions wait for labels: learn one first";
    case NBT_ERR_EMPTY: return "no prediction waits for a label: predict first";
    case NBT_ERR_HORIZON: return "the horizon does not fit max_delay or the waiting predictions";
    case NBT_ERR_LINK: return "the variance is defined for the gaussian link only";
    case NBT_ERR_ARRAY: return "no array of this name in this configuration";
    case NBT_ERR_MAGIC: return "the bytes are not a checkpoint";
    case NBT_ERR_VERSION:
        return "the checkpoint was written by a newer version: update this program";
    case NBT_ERR_LENGTH: return "the checkpoint is truncated: load the one before";
    case NBT_ERR_CRC: return "the checkpoint is damaged: load the one before";
    case NBT_ERR_STATE:
        return "a number in the learner or the checkpoint is invalid: load the checkpoint before";
    case NBT_ERR_WRITE: return "the writing callback failed";
    case NBT_ERR_READ:
        return "the source, or a slot that may hold the newest checkpoint, cannot be read: try "
               "again, or leave the slot out";
    case NBT_ERR_FLASH:
        return "nbt_flash is invalid, or no slot can be written: try again, or leave out the slots "
               "that fail";
    case NBT_ERR_NOTHING:
        return "no slot of the flash holds a whole checkpoint: start with nbt_init";
    }
    return "unknown status";
}

#else

const char *nbt_status_text(nbt_status status)
{
    return status >= 0 ? "ok or a notice" : "error: see nbt.h";
}

#endif
