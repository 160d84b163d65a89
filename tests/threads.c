/* Two learners in two threads know nothing of each other (run under ThreadSanitizer), and each
 * gives the hash that it gives alone. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "nbt.h"
#include "still.h"

enum { STEPS = 3000, LEARNERS = 4 };

typedef struct job {
    NBT_ARENA(memory, 32768);
    uint64_t seed;
    uint64_t hash;
} job;

static void *work(void *argument)
{
    job *self = (job *)argument;
    static const uint32_t links[3] = {NBT_LINK_GAUSSIAN, NBT_LINK_CATEGORICAL, NBT_LINK_BERNOULLI};
    nbt_config config = still_config(2, 2, 6, links[self->seed % 3]);
    nbt_learner *learner;
    unsigned char *checkpoint = malloc(nbt_checkpoint_bytes(&config));
    config.seed = self->seed;
    if (checkpoint == NULL ||
        nbt_init(self->memory, sizeof self->memory, &config, &learner) != NBT_OK) {
        exit(1);
    }
    for (uint32_t step = 0; step < STEPS; step++) {
        float x[2] = {(float)(step % 13u), (float)(step % 7u)};
        float label[2] = {(float)(step % 2u), (float)(step % 5u) / 4.0f};
        float y[2];
        if (nbt_predict(learner, y, x) < 0 || nbt_learn(learner, label) < 0) {
            exit(1);
        }
    }
    size_t n = nbt_checkpoint_bytes(&config);
    if (nbt_save(learner, checkpoint, n) != NBT_OK ||
        nbt_load(self->memory, sizeof self->memory, checkpoint, n, &learner) != NBT_OK) {
        exit(1);
    }
    self->hash = nbt_hash(learner);
    free(checkpoint);
    return NULL;
}

int main(void)
{
    static job together[LEARNERS], alone[LEARNERS];
    pthread_t threads[LEARNERS];
    for (size_t i = 0; i < LEARNERS; i++) {
        together[i].seed = alone[i].seed = i;
        work(&alone[i]);
    }
    for (size_t i = 0; i < LEARNERS; i++) {
        if (pthread_create(&threads[i], NULL, work, &together[i]) != 0) {
            return 1;
        }
    }
    for (size_t i = 0; i < LEARNERS; i++) {
        if (pthread_join(threads[i], NULL) != 0 || together[i].hash != alone[i].hash) {
            fprintf(stderr, "learner %lu differs\n", (unsigned long)i);
            return 1;
        }
    }
    return 0;
}
