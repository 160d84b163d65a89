/* A learner of units that see each other, whose inputs' units are fixed after scale_steps samples
 * and that answers with its readout alone, for the tests of that path; tests/settings.py says the same in Python. */
#ifndef STILL_H
#define STILL_H

#include "nbt.h"

static nbt_config still_config(uint32_t n_in, uint32_t n_out, uint32_t n_hidden, uint32_t link)
{
    nbt_config config = nbt_config_for(n_in, n_out, n_hidden, NBT_CELL_GATED, link);
    config.estimator = n_hidden > 0 ? NBT_EST_UNITWISE : NBT_EST_FROZEN; /* whatever is built */
    config.follow = config.anchored = config.linear_lags = config.prior_units = 0;
    config.linear_forget = config.slow_forget = config.mix_forget = 0.0f;
    config.intervals = config.anomaly = 0;
    config.scale_rate = config.input_limit = 0.0f;
    config.scale_steps = link == NBT_LINK_GAUSSIAN ? 300 : 0;
    config.gate = 20.0f;
    config.lags = 1;
    if (link == NBT_LINK_GAUSSIAN) {
        config.rate = 0.24f;
        config.input_gain = 0.8f;
        config.info_floor = 0.02f;
        config.prior_hidden = 0.03f;
    }
    return config;
}

#endif
