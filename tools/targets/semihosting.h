/* Printing and ending through the debugger that QEMU plays. */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

void print(const char *text);

#endif
