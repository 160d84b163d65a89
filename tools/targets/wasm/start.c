/* Start and print for WebAssembly: the module imports nothing, so what the program prints waits in
 * memory until host.mjs reads it. */
#include <stddef.h>
#include "semihosting.h"

#define EXPORT(name) __attribute__((export_name(name)))

static char text[65536];
static size_t length;

int main(void);

void print(const char *more)
{
    for (; *more != '\0'; more++) {
        if (length == sizeof text) {
            __builtin_trap();
        }
        text[length++] = *more;
    }
}

EXPORT("run") int run(void)
{
    return main();
}

EXPORT("text") const char *printed(void)
{
    return text;
}

EXPORT("length") size_t printed_length(void)
{
    return length;
}
