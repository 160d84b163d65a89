/* The virtual board's firmware: the kernel behind a few exported functions, for a host such as a web
 * page. It imports nothing. The host writes a reading into sample(), calls learn() where a forecast
 * of it waits and then predict(), and reads what they left where the other functions say. Every
 * function takes the number of a learner; one that there is not, or that has not been started,
 * answers NBT_ERR_NULL. */
#include "nbt.h"

#define EXPORT(name) __attribute__((export_name(name)))

enum { CHANNELS = 3, UNITS_MOST = 32, AHEAD_MOST = 20, STUCK_STEPS = 20 };
/* Of alarms, as the commands have it. */
#define THRESHOLD 0.9999f
#define HOLD_OFF 100u
#define MOST_BYTES \
    NBT_DEFAULT_BYTES(CHANNELS, CHANNELS, UNITS_MOST, AHEAD_MOST - 1, NBT_LINK_GAUSSIAN)

/* COPY is where the host measures the time of a step, so that the learner goes on undisturbed. */
enum { LEARNER, LINEAR, COPY, LEARNERS };

typedef struct place {
    NBT_ARENA(memory, MOST_BYTES);
    nbt_learner *learner; /* NULL until it is started */
    size_t bytes;
    nbt_alarm alarm[CHANNELS];
    nbt_counters counters;
    float y[CHANNELS];
    float bounds[CHANNELS][NBT_USUAL_INTERVALS][2];
    float score[CHANNELS];
    uint32_t alarms;
} place;

static place places[LEARNERS];
static place nowhere; /* is never started */
static float reading[CHANNELS];

static place *place_of(uint32_t which)
{
    return which < LEARNERS ? &places[which] : &nowhere;
}

/* The default learner, told which channel is which, or recursive least squares on the same lags: the
 * default without units, and without intervals and scores, which nobody asks of it. */
static nbt_config config_of(uint32_t which, uint32_t units, uint32_t ahead, uint32_t seed)
{
    nbt_config config =
        nbt_config_default(CHANNELS, CHANNELS, which == LINEAR ? 0u : units, NBT_LINK_GAUSSIAN);
    config.seed = seed;
    config.max_delay = ahead - 1u; /* ahead 0 becomes a number that is refused */
    config.hold_missing = 1;
    if (which == LINEAR) {
        config.intervals = config.anomaly = 0;
    } else {
        config.stuck_steps = STUCK_STEPS;
    }
    return config;
}

/* Start a learner that knows nothing. Returns what nbt_init says; units and ahead (samples from a
 * reading to what is forecast with it) are at most UNITS_MOST and AHEAD_MOST. */
EXPORT("start")
nbt_status board_start(uint32_t which, uint32_t units, uint32_t ahead, uint32_t seed)
{
    static const nbt_alarm fresh = {THRESHOLD, HOLD_OFF, 0};
    static const int32_t anchor[CHANNELS] = {0, 1, 2};
    place *p = place_of(which);
    nbt_config config = config_of(which, units, ahead, seed);
    p->learner = NULL;
    p->bytes = nbt_bytes(&config);
    p->alarms = 0;
    for (size_t i = 0; i < CHANNELS; i++) {
        p->alarm[i] = fresh;
    }
    if (p == &nowhere) {
        return NBT_ERR_NULL;
    }
    nbt_status status = nbt_init(p->memory, sizeof p->memory, &config, &p->learner);
    return status < 0 ? status : nbt_anchor_set(p->learner, anchor);
}

/* Where the host writes a reading (CHANNELS floats, NaN where it is lost). */
EXPORT("sample") float *board_sample(void)
{
    return reading;
}

/* Forecast from the reading. Leaves forecast() (CHANNELS floats) and bounds() (CHANNELS, levels, 2),
 * 0 for a learner without intervals. */
EXPORT("predict") nbt_status board_predict(uint32_t which)
{
    place *p = place_of(which);
    nbt_status status = nbt_predict(p->learner, p->y, reading);
    if (status >= 0) {
        nbt_interval(p->learner, p->bounds[0][0]);
    }
    return status;
}

/* Learn the reading as the label of the oldest forecast. Leaves scores() (CHANNELS floats, NaN for
 * none) and alarms(), whose bit i is an alarm of channel i. */
EXPORT("learn") nbt_status board_learn(uint32_t which)
{
    place *p = place_of(which);
    nbt_status status = nbt_learn(p->learner, reading);
    p->alarms = 0;
    if (status >= 0 && nbt_anomaly(p->learner, p->score) == NBT_OK) {
        for (uint32_t i = 0; i < CHANNELS; i++) {
            p->alarms |= (uint32_t)nbt_alarm_count(&p->alarm[i], p->score[i]) << i;
        }
    }
    return status;
}

EXPORT("forecast") const float *board_forecast(uint32_t which)
{
    return place_of(which)->y;
}

EXPORT("bounds") const float *board_bounds(uint32_t which)
{
    return place_of(which)->bounds[0][0];
}

EXPORT("scores") const float *board_scores(uint32_t which)
{
    return place_of(which)->score;
}

EXPORT("alarms") uint32_t board_alarms(uint32_t which)
{
    return place_of(which)->alarms;
}

EXPORT("pending") size_t board_pending(uint32_t which)
{
    return nbt_pending(place_of(which)->learner);
}

/* nbt_counters, as 64-bit numbers in the order of nbt.h. */
EXPORT("counters") const nbt_counters *board_counters(uint32_t which)
{
    place *p = place_of(which);
    nbt_counters_get(p->learner, &p->counters);
    return &p->counters;
}

EXPORT("hash") uint64_t board_hash(uint32_t which)
{
    return nbt_hash(place_of(which)->learner);
}

/* NBT_BYTES of the learner as it was started; 0 for settings that were refused. */
EXPORT("bytes") size_t board_bytes(uint32_t which)
{
    return place_of(which)->bytes;
}

/* Make COPY what LEARNER is now: a learner's block may be copied byte for byte. */
EXPORT("copy") void board_copy(void)
{
    places[COPY] = places[LEARNER];
    if (places[LEARNER].learner != NULL) {
        places[COPY].learner = (nbt_learner *)(void *)places[COPY].memory;
    }
}

/* The score above which an alarm begins. */
EXPORT("threshold") float board_threshold(void)
{
    return THRESHOLD;
}

EXPORT("text") const char *board_text(nbt_status status)
{
    return nbt_status_text(status);
}
