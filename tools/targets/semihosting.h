/* Printing: through the debugger that QEMU plays, or what a start file has instead. */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

void print(const char *text);

#endif
