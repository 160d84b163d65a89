/* A library that does to its thread what start-up code of -ffast-math, or a call, does. */
#include <fenv.h>

#if defined(__SSE__)
#include <xmmintrin.h>
/* Results below the normal numbers become zero; operands do. */
void flush_results(void)
{
    _mm_setcsr(_mm_getcsr() | 0x8000u);
}
void flush_operands(void)
{
    _mm_setcsr(_mm_getcsr() | 0x0040u);
}
#endif

void round_up(void)
{
    fesetround(FE_UPWARD);
}
void round_down(void)
{
    fesetround(FE_DOWNWARD);
}
void round_to_zero(void)
{
    fesetround(FE_TOWARDZERO);
}
void restore(void)
{
    fesetenv(FE_DFL_ENV);
}
