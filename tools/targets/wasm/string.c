/* The three functions of string.h. A compiler must not see a call of memcpy in the loop of memcpy. */
#include <string.h>

#define AS_WRITTEN __attribute__((no_builtin))

AS_WRITTEN void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    unsigned char *out = to;
    const unsigned char *in = from;
    for (size_t i = 0; i < n; i++) {
        out[i] = in[i];
    }
    return to;
}

AS_WRITTEN void *memset(void *to, int value, size_t n)
{
    unsigned char *out = to;
    for (size_t i = 0; i < n; i++) {
        out[i] = (unsigned char)value;
    }
    return to;
}

AS_WRITTEN int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *left = a, *right = b;
    size_t i = 0;
    while (i < n && left[i] == right[i]) {
        i++;
    }
    return i == n ? 0 : left[i] - right[i];
}
