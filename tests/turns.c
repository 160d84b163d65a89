/* One learner, two threads that know nothing of each other (run under ThreadSanitizer): each call
 * is done as a whole or refused as a whole. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "../nbt_embed/_calls.c"
#include "still.h"

enum { CALLS = 4000, THREADS = 3 };

typedef struct job {
    nbt_shared *shared;
    float x, label, y;
    uint64_t predictions, labels;
} job;

static void count(uint64_t *done, int status)
{
    if (status >= 0) {
        (*done)++;
    } else if (status != NBT_CALL_BUSY && status != NBT_ERR_FULL && status != NBT_ERR_EMPTY) {
        fprintf(stderr, "status %d\n", status);
        exit(1);
    }
}

static void *work(void *argument)
{
    job *self = (job *)argument;
    for (int i = 0; i < CALLS; i++) {
        self->x = self->label = (float)(i % 7);
        count(&self->predictions, nbt_shared_predict(self->shared, &self->y, &self->x));
        nbt_hold hold = {0};
        if (i % 11 == 0 && nbt_hold_begin(self->shared, &hold) == NBT_OK) {
            int pending = nbt_shared_pending(self->shared);
            int again = nbt_shared_pending(self->shared);
            nbt_hold_end(self->shared, &hold);
            if (pending < 0 ||
                again != pending) { /* nobody came between, and the holder may call */
                exit(1);
            }
        }
        count(&self->labels, nbt_shared_learn(self->shared, &self->label));
    }
    return NULL;
}

int main(void)
{
    static NBT_ARENA(memory, 32768);
    static job jobs[THREADS];
    pthread_t threads[THREADS];
    nbt_config config = still_config(1, 1, 6, NBT_LINK_GAUSSIAN);
    nbt_shared shared = {NULL, 0, 0};
    if (nbt_init(memory, sizeof memory, &config, &shared.learner) != NBT_OK) {
        return 1;
    }
    for (size_t i = 0; i < THREADS; i++) {
        job *one = &jobs[i];
        one->shared = &shared;
        if (pthread_create(&threads[i], NULL, work, one) != 0) {
            return 1;
        }
    }
    uint64_t predictions = 0, labels = 0;
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        predictions += jobs[i].predictions;
        labels += jobs[i].labels;
    }
    nbt_counters counters;
    nbt_counters_get(shared.learner, &counters);
    if (shared.owner != 0 || shared.holds != 0 || counters.predictions != predictions ||
        counters.labels != labels || predictions == 0) {
        fprintf(stderr, "%lu forecasts and %lu labels counted, %lu and %lu given\n",
                (unsigned long)counters.predictions, (unsigned long)counters.labels,
                (unsigned long)predictions, (unsigned long)labels);
        return 1;
    }
    return 0;
}
