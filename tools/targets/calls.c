/* What a firmware calls of the kernel, and nothing else, to know how much flash that takes. */
#include "nbt.h"

extern nbt_config config;
extern float numbers[];
nbt_config config;
float numbers[16];

int main(void)
{
    static NBT_ARENA(arena, 64);
    nbt_learner *learner;
    if (nbt_init(arena, sizeof arena, &config, &learner) != NBT_OK) {
        return 1;
    }
    return nbt_learn(learner, numbers) < 0 || nbt_predict(learner, numbers, numbers) < 0;
}
