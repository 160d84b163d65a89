/* One learner, two threads that know nothing of each other (run under ThreadSanitizer): each call is done as
 * a whole or refused as a whole. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "../tools/kernel_calls.c"

enum { CALLS = 4000, THREADS = 3 };

typedef struct job {
    nbt_sample sample;
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
        count(&self->predictions, nbt_sample_predict(&self->sample));
        if (i % 11 == 0 && nbt_turn_take(self->sample.turn)) {
            size_t pending = nbt_pending(self->sample.learner);
            int within = nbt_sample_pending(&self->sample);
            nbt_turn_return(self->sample.turn);
            if (within != (int)pending) { /* nobody came between, and the thread may call again */
                exit(1);
            }
        }
        count(&self->labels, nbt_sample_learn(&self->sample));
    }
    return NULL;
}

int main(void)
{
    static NBT_ARENA(memory, 32768);
    static job jobs[THREADS];
    pthread_t threads[THREADS];
    nbt_config config = nbt_config_default(1, 1, 6, NBT_LINK_GAUSSIAN);
    nbt_turn turn = {0, 0};
    nbt_learner *learner;
    if (nbt_init(memory, sizeof memory, &config, &learner) != NBT_OK) {
        return 1;
    }
    for (size_t i = 0; i < THREADS; i++) {
        job *one = &jobs[i];
        nbt_sample sample = {learner, &turn, &one->x, &one->label, &one->y};
        one->sample = sample;
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
    nbt_counters_get(learner, &counters);
    if (turn.owner != 0 || turn.depth != 0 || counters.predictions != predictions ||
        counters.labels != labels || predictions == 0) {
        fprintf(stderr, "%lu forecasts and %lu labels counted, %lu and %lu given\n",
                (unsigned long)counters.predictions, (unsigned long)counters.labels,
                (unsigned long)predictions, (unsigned long)labels);
        return 1;
    }
    return 0;
}
