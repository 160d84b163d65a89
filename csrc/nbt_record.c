#include "nbt_record.h"

#include "nbt_math.h"

#define PROVEN 0.8f
#define FAILED 1.2f
#define AGE_MIN 8.0f        /* memories */
#define AGE_MAX 16777216.0f /* floats count so far */

NBT_LOCAL void nbt_record_init(const nbt_record *self)
{
    nbt_fill(self->lost, 0.0f, self->K);
    nbt_fill(self->age, 0.0f, self->K);
}

NBT_LOCAL void nbt_record_count(const nbt_record *self, const float *p, float label, float most,
                                float n)
{
    for (size_t k = 0; k < self->K; k++) {
        float error = label - p[k], square = error * error;
        self->lost[k] += ((square < most ? square : most) - self->lost[k]) / n;
        float age = nbt_abs(self->age[k]);
        age += age < AGE_MAX ? 1.0f : 0.0f;
        int proven = self->age[k] > 0.0f || (age > n && self->lost[k] < PROVEN * self->lost[0]);
        self->age[k] = proven ? age : -age;
    }
}

NBT_LOCAL int nbt_record_has_failed(const nbt_record *self, size_t k, float n)
{
    return self->age[k] > AGE_MIN * n && self->lost[k] > FAILED * self->lost[0];
}

NBT_LOCAL void nbt_record_condemn(const nbt_record *self, size_t k)
{
    self->lost[k] = NBT_HUGE;
    self->age[k] = AGE_MAX;
}

NBT_LOCAL void nbt_record_start(const nbt_record *self, size_t k)
{
    self->lost[k] = self->lost[0];
    self->age[k] = 0.0f;
}

NBT_LOCAL void nbt_record_rescale(const nbt_record *self, float a)
{
    for (size_t k = 0; k < self->K; k++) {
        self->lost[k] = nbt_clamp(self->lost[k] * a * a, 0.0f, NBT_HUGE);
    }
}
