/* The interface of the kernel; written by `make ecosystems`. */
#include "../csrc/nbt.h"
