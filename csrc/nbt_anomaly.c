#include "nbt_anomaly.h"

#include "nbt_math.h"
#include "nbt_tail.h"

#define SQUARE_RATE 0.005f
#define SQUARES_MAX 64.0f
#define Z_MAX 10.0f
#define FAST_LEVEL 5.0f
#define SLOW_LEVEL 24.0f
#define BURST_VALUES 8.0f
#define BIAS_VALUES 16.0f
#define LONG_LEVEL 4000.0f
#define WARM 50.0f   /* values before a tail is used */
#define KNOWN 100.0f /* values before records and runs are used */
#define RECORD_RATE 1e-3f
#define RECORDS_MIN 5e-4f
#define GAP_VALUES 2.0f
#define STUCK 4.0f
#define HOLD 0.99723126f /* 2^(-1/250): half of it is gone after 250 values */
#define DISTURBED 6.0f
#define DISTURBED_VALUES 60.0f
#define CALM_VALUES 100.0f
#define SLOW_PACE 0.3f

/* The statistics that have a tail, in the order of their tails. */
enum { INNOVATION, LEVEL_OFF, SLOW_OFF, BURSTS, BIASED, STATISTICS };
NBT_ASSERT(nbt_anomaly_has_its_tails, NBT_ANOMALY_END - NBT_ANOMALY_TAILS == 2 * (int)STATISTICS &&
                                          (unsigned)NBT_ANOMALY_END == NBT_USUAL_FLOATS);

static float larger_of(float a, float b)
{
    return a > b ? a : b;
}

/* Rate of a mean over about N values, at value n + 1. */
static float mean_rate(float n, float N)
{
    return 1.0f / (n + 1.0f < N ? n + 1.0f : N);
}

/* The deviation to divide by. Variation within the rounding of the value does not count. */
static float root_off(float square, float value)
{
    return nbt_sqrt(square) + 1e-6f * nbt_abs(value) + 1e-15f;
}

/* Whether the forecast and the value before it are older than usual. Always 0 for the first values,
 * which all count. */
static int follows_gap(const float *c)
{
    return c[NBT_ANOMALY_GAP] > 0.0f && c[NBT_ANOMALY_COUNT] >= 20.0f;
}

/* The five statistics of the newest value. Their running means are updated. */
static void measure_channel(float *c, float value, float e, float *statistic)
{
    float n = c[NBT_ANOMALY_COUNT];
    float ratio = e / root_off(c[NBT_ANOMALY_SQUARE], value);
    float z = !follows_gap(c) ? nbt_clamp(ratio, -Z_MAX, Z_MAX) : ratio < 0.0f ? -1.0f : 1.0f;
    float deviation = root_off(c[NBT_ANOMALY_VARIANCE], value);
    c[NBT_ANOMALY_BURST] += mean_rate(n, BURST_VALUES) * (z * z - c[NBT_ANOMALY_BURST]);
    c[NBT_ANOMALY_BIAS] += mean_rate(n, BIAS_VALUES) * (z - c[NBT_ANOMALY_BIAS]);
    c[NBT_ANOMALY_LEVEL] += mean_rate(n, FAST_LEVEL) * (value - c[NBT_ANOMALY_LEVEL]);
    c[NBT_ANOMALY_SLOW] += mean_rate(n, SLOW_LEVEL) * (value - c[NBT_ANOMALY_SLOW]);
    statistic[INNOVATION] = nbt_abs(ratio);
    statistic[LEVEL_OFF] = nbt_abs(c[NBT_ANOMALY_LEVEL] - c[NBT_ANOMALY_MEAN]) / deviation;
    statistic[SLOW_OFF] = nbt_abs(c[NBT_ANOMALY_SLOW] - c[NBT_ANOMALY_MEAN]) / deviation;
    statistic[BURSTS] = c[NBT_ANOMALY_BURST];
    statistic[BIASED] = nbt_abs(c[NBT_ANOMALY_BIAS]);
}

/* The number of repetitions above which a run is unusual. */
static float long_run(const float *c)
{
    return 1.5f * c[NBT_ANOMALY_LONGEST] + 5.0f;
}

/* Whether the channel has repeated its value for longer than in any run before. */
static int is_stuck(float *c, float d)
{
    float *run = &c[NBT_ANOMALY_RUN], *longest = &c[NBT_ANOMALY_LONGEST];
    if (d != 0.0f) { /* one long run raises the limit only a little */
        float most = 2.0f * *longest + 8.0f;
        *longest = larger_of(*longest, *run < most ? *run : most);
    }
    *longest *= 1.0f - 2e-4f;
    *run = d != 0.0f ? 0.0f : *run < 16777216.0f ? *run + 1.0f : *run;
    return c[NBT_ANOMALY_COUNT] >= KNOWN && *run > long_run(c);
}

/* Whether the channel became stuck with this value. */
static int has_just_stuck(const float *c)
{
    float run = c[NBT_ANOMALY_RUN], most = long_run(c);
    return c[NBT_ANOMALY_COUNT] >= KNOWN && run > most && run <= most + 1.0f;
}

/* The surprise of a value above or below all values before; 0 for other values. */
static float surprise_of_record(float *c, float value)
{
    float n = c[NBT_ANOMALY_COUNT], *share = &c[NBT_ANOMALY_RECORDS];
    int is_record = value > c[NBT_ANOMALY_HIGH] || value < c[NBT_ANOMALY_LOW];
    if (n < KNOWN) {
        return 0.0f;
    }
    float before = larger_of(*share, RECORDS_MIN), rate = 1.0f / (n - KNOWN + 1.0f);
    *share += larger_of(rate, RECORD_RATE) * ((is_record ? 1.0f : 0.0f) - *share);
    return is_record ? nbt_log(before) * -0.43429448f : 0.0f;
}

/* The surprise of the newest value. Updates the tails. */
static float surprise_of(float *c, float value, float e, float d, float pace)
{
    float statistic[STATISTICS], surprise[STATISTICS] = {0.0f}, n = c[NBT_ANOMALY_COUNT];
    measure_channel(c, value, e, statistic);
    for (size_t i = follows_gap(c) ? LEVEL_OFF : INNOVATION; i < STATISTICS; i++) {
        nbt_tail tail = {c + NBT_ANOMALY_TAILS + 2 * i, c + NBT_ANOMALY_TAILS + 2 * i + 1};
        surprise[i] = nbt_tail_count(&tail, statistic[i], n - 2.0f, pace);
        surprise[i] = n < WARM ? 0.0f : surprise[i];
    }
    float together = surprise[INNOVATION] + surprise[LEVEL_OFF] + surprise[SLOW_OFF] +
                     2.0f * surprise_of_record(c, value);
    float alone = 2.5f * larger_of(larger_of(surprise[INNOVATION], surprise[SLOW_OFF]),
                                   larger_of(surprise[BURSTS], surprise[BIASED]));
    float stuck = is_stuck(c, d) ? 3.0f * STUCK : 0.0f;
    return larger_of(together, larger_of(alone, stuck));
}

static void count_bounded_square(float *mean, float x, float n, float pace)
{
    float square = x * x, most = SQUARES_MAX * *mean;
    square = n > 20.0f && square > most ? most : square;
    float rate = 1.0f / (n + 1.0f);
    *mean += pace * larger_of(rate, SQUARE_RATE) * (square - *mean);
}

/* Updates mean, deviation and range of the values, and the pace of the next value. */
static void count_range(float *c, float value, float pace)
{
    float n = c[NBT_ANOMALY_COUNT], rate = pace * mean_rate(n, LONG_LEVEL);
    float off = value - c[NBT_ANOMALY_MEAN];
    c[NBT_ANOMALY_MEAN] += rate * off;
    c[NBT_ANOMALY_VARIANCE] += rate * (off * off - c[NBT_ANOMALY_VARIANCE]);
    /* The range at most doubles, so that one outlier does not hide all later records. */
    float range = n < KNOWN ? NBT_HUGE : c[NBT_ANOMALY_HIGH] - c[NBT_ANOMALY_LOW];
    float high = c[NBT_ANOMALY_HIGH] + range, low = c[NBT_ANOMALY_LOW] - range;
    c[NBT_ANOMALY_HIGH] = larger_of(c[NBT_ANOMALY_HIGH], value < high ? value : high);
    c[NBT_ANOMALY_LOW] = -larger_of(-c[NBT_ANOMALY_LOW], value > low ? -value : -low);
    c[NBT_ANOMALY_COUNT] = n < 16777216.0f ? n + 1.0f : n;
}

static void count_calm(float *calm, float surprise)
{
    if (*calm > 1.0f) {
        *calm -= 1.0f;
    } else if (*calm > 0.0f) {
        *calm = -CALM_VALUES;
    } else if (*calm < 0.0f) {
        *calm += 1.0f;
    } else if (surprise > DISTURBED) {
        *calm = DISTURBED_VALUES;
    }
}

/* The first value of a channel. */
static void begin_channel(float *c, float reading, float value)
{
    c[NBT_ANOMALY_LEVEL] = c[NBT_ANOMALY_SLOW] = value;
    c[NBT_ANOMALY_LOW] = c[NBT_ANOMALY_HIGH] = value;
    c[NBT_ANOMALY_LAST] = reading;
}

NBT_LOCAL float nbt_anomaly_count(float *channel, float reading, float value, float forecast)
{
    float n = channel[NBT_ANOMALY_COUNT];
    if (n < 1.0f) {
        begin_channel(channel, reading, value);
    }
    float e = n < 1.0f ? 0.0f : value - forecast, d = reading - channel[NBT_ANOMALY_LAST];
    float pace = channel[NBT_ANOMALY_CALM] > 0.0f ? SLOW_PACE : 1.0f;
    float surprise = n < 2.0f ? 0.0f : surprise_of(channel, value, e, d, pace);
    float *hold = &channel[NBT_ANOMALY_HOLD];
    int tells = surprise > *hold || has_just_stuck(channel);
    *hold = larger_of(*hold * HOLD, surprise);
    count_calm(&channel[NBT_ANOMALY_CALM], surprise);
    if (!follows_gap(channel)) {
        count_bounded_square(&channel[NBT_ANOMALY_SQUARE], e, n, pace);
    }
    channel[NBT_ANOMALY_GAP] -= channel[NBT_ANOMALY_GAP] > 0.0f ? 1.0f : 0.0f;
    count_range(channel, value, pace);
    channel[NBT_ANOMALY_LAST] = reading;
    return tells ? 1.0f - nbt_exp(-0.76752836f * surprise) : 0.0f; /* log(10) / 3 */
}

NBT_LOCAL void nbt_anomaly_miss(float *channel)
{
    channel[NBT_ANOMALY_GAP] = GAP_VALUES;
}

NBT_LOCAL void nbt_anomaly_rescale(float *channel, float a, float b)
{
    static const unsigned char values[] = {NBT_ANOMALY_LEVEL, NBT_ANOMALY_SLOW, NBT_ANOMALY_MEAN,
                                           NBT_ANOMALY_LOW, NBT_ANOMALY_HIGH};
    static const unsigned char squares[] = {NBT_ANOMALY_SQUARE, NBT_ANOMALY_VARIANCE};
    for (size_t i = 0; i < sizeof values; i++) {
        float *x = &channel[values[i]];
        *x = nbt_clamp(a * *x + b, -NBT_HUGE, NBT_HUGE);
    }
    for (size_t i = 0; i < sizeof squares; i++) {
        float *x = &channel[squares[i]];
        *x = nbt_clamp(*x * a * a, 0.0f, 1e37f);
    }
}
