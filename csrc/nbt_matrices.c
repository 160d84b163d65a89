#include "nbt_matrices.h"

NBT_LOCAL size_t nbt_block_index(size_t row, size_t col, size_t rows, size_t cols)
{
    /* Blocks of the same width are contiguous. */
    size_t start = 0;
    size_t width = nbt_block_width(0, rows);
    while (row >= start + (rows - start) / width * width) {
        start += (rows - start) / width * width;
        width = nbt_block_width(start, rows);
    }
    size_t block = start + (row - start) / width * width;
    return block * cols + col * width + (row - block);
}
