/* QEMU plugin: instructions of each function between the first call of one function and the end of
 * the program. Arguments: begin=ADDRESS of that function; shared=FIRST-LAST, as often as needed: what
 * runs there counts for whoever called it. Prints "at ADDRESS INSTRUCTIONS" for every block. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

/* A block of instructions, and how many have run in it and in what it called of the shared ones. */
struct block {
    struct block *next;
    uint64_t at, length, executed;
    int shared;
};

enum { SHARED = 64 };

static struct block *blocks, *owner;
static uint64_t begin, first[SHARED], last[SHARED];
static size_t ranges;
static int counting;

static void on_block(unsigned cpu, void *data)
{
    struct block *block = data;
    (void)cpu;
    counting |= block->at == begin;
    if (!block->shared || owner == NULL) {
        owner = block;
    }
    owner->executed += counting ? block->length : 0;
}

static void on_translated(plugin_id id, struct qemu_plugin_tb *code)
{
    enum { NO_REGISTERS = 0 };
    struct block *block = calloc(1, sizeof *block);
    (void)id;
    if (block == NULL) {
        abort();
    }
    block->at = qemu_plugin_tb_vaddr(code);
    block->length = qemu_plugin_tb_n_insns(code);
    for (size_t i = 0; i < ranges; i++) {
        block->shared |= first[i] <= block->at && block->at <= last[i];
    }
    block->next = blocks;
    blocks = block;
    qemu_plugin_register_vcpu_tb_exec_cb(code, on_block, NO_REGISTERS, block);
}

static void on_ended(plugin_id id, void *data)
{
    (void)id;
    (void)data;
    for (const struct block *block = blocks; block != NULL; block = block->next) {
        if (block->executed > 0) {
            fprintf(stderr, "at %#" PRIx64 " %" PRIu64 "\n", block->at, block->executed);
        }
    }
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info,
                                                               int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=') + 1, *after = NULL;
        if (strncmp(argv[i], "begin=", 6) == 0) {
            begin = strtoull(value, NULL, 0);
        } else if (strncmp(argv[i], "shared=", 7) == 0 && ranges < SHARED) {
            first[ranges] = strtoull(value, &after, 0);
            last[ranges++] = strtoull(after + 1, NULL, 0);
        } else {
            return 1;
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    qemu_plugin_register_atexit_cb(id, on_ended, NULL);
    return 0;
}
