/* QEMU plugin: how often each block of instructions runs in the measured parts of a program.
 * Arguments: begin=ADDRESS and end=ADDRESS, the functions around a measured part; next=ADDRESS, the
 * function after which the counts so far are printed and set to 0; own=FILE, pairs of hexadecimal
 * addresses, first and behind the last, of the functions that are looked at. Instructions of other
 * code (a library's) are counted where the last of those functions left off.
 *
 * Prints "run", lines "BLOCK TIMES OTHERS" with what ran, and at the end "at BLOCK ADDRESS..." for
 * every block. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

typedef struct block {
    size_t number, n;
    int own;
    uint64_t times, others, *at;
    struct block *next;
} block;

static block *blocks, *last;
static size_t block_count;
static uint64_t marks[3]; /* begin, end, next */
static uint64_t (*ranges)[2];
static size_t range_count;
static int measuring;

static void on_executed(unsigned cpu, void *data)
{
    block *b = data;
    (void)cpu;
    if (!measuring) {
        return;
    }
    if (b->own) {
        b->times++;
        last = b;
    } else if (last != NULL) {
        last->others += b->n;
    }
}

static void on_begin(unsigned cpu, void *data)
{
    (void)cpu;
    (void)data;
    last = NULL;
    measuring = 1;
}

static void on_end(unsigned cpu, void *data)
{
    (void)cpu;
    (void)data;
    measuring = 0;
}

static void on_next(unsigned cpu, void *data)
{
    (void)cpu;
    (void)data;
    fprintf(stderr, "run\n");
    for (block *b = blocks; b != NULL; b = b->next) {
        if (b->times > 0) {
            fprintf(stderr, "%zu %" PRIu64 " %" PRIu64 "\n", b->number, b->times, b->others);
        }
        b->times = b->others = 0;
    }
}

static int is_own(uint64_t at)
{
    for (size_t i = 0; i < range_count; i++) {
        if (ranges[i][0] <= at && at < ranges[i][1]) {
            return 1;
        }
    }
    return 0;
}

static void on_translated(plugin_id id, struct qemu_plugin_tb *tb)
{
    static void (*const call[])(unsigned, void *) = {on_begin, on_end, on_next};
    enum { NO_REGISTERS = 0 };
    block *b = calloc(1, sizeof *b);
    (void)id;
    b->number = block_count++;
    b->n = qemu_plugin_tb_n_insns(tb);
    b->at = calloc(b->n, sizeof *b->at);
    for (size_t i = 0; i < b->n; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(tb, i);
        b->at[i] = qemu_plugin_insn_vaddr(instruction);
        for (size_t m = 0; m < 3; m++) {
            if (b->at[i] == marks[m]) {
                qemu_plugin_register_vcpu_insn_exec_cb(instruction, call[m], NO_REGISTERS, NULL);
            }
        }
    }
    b->own = is_own(b->at[0]);
    b->next = blocks;
    blocks = b;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_executed, NO_REGISTERS, b);
}

static void on_ended(plugin_id id, void *data)
{
    (void)id;
    (void)data;
    for (block *b = blocks; b != NULL; b = b->next) {
        if (b->own) {
            fprintf(stderr, "at %zu", b->number);
            for (size_t i = 0; i < b->n; i++) {
                fprintf(stderr, " %" PRIx64, b->at[i]);
            }
            fprintf(stderr, "\n");
        }
    }
    fflush(stderr);
}

static int read_ranges(const char *path)
{
    FILE *file = fopen(path, "r");
    uint64_t low, high;
    if (file == NULL) {
        return 1;
    }
    while (fscanf(file, "%" SCNx64 " %" SCNx64, &low, &high) == 2) {
        ranges = realloc(ranges, (range_count + 1) * sizeof *ranges);
        ranges[range_count][0] = low;
        ranges[range_count++][1] = high;
    }
    return fclose(file);
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info,
                                                               int argc, char **argv)
{
    static const char *const names[] = {"begin=", "end=", "next="};
    (void)info;
    for (int i = 0; i < argc; i++) {
        for (size_t m = 0; m < 3; m++) {
            if (strncmp(argv[i], names[m], strlen(names[m])) == 0) {
                marks[m] = strtoull(argv[i] + strlen(names[m]), NULL, 0);
            }
        }
        if (strncmp(argv[i], "own=", 4) == 0 && read_ranges(argv[i] + 4) != 0) {
            return 1;
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    qemu_plugin_register_atexit_cb(id, on_ended, NULL);
    return 0;
}
