/* QEMU plugin: instructions between two functions of the emulated program. Arguments:
 * begin=ADDRESS, end=ADDRESS. Prints how often, the least, the most and the sum. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

static uint64_t begin, end, executed, started, times, least = UINT64_MAX, most, sum;

static void on_begin(unsigned cpu, void *data)
{
    (void)cpu;
    (void)data;
    started = executed;
}

static void on_end(unsigned cpu, void *data)
{
    uint64_t n = executed - started;
    (void)cpu;
    (void)data;
    times++;
    sum += n;
    least = n < least ? n : least;
    most = n > most ? n : most;
}

/* A block is counted whole when it begins; those of the two functions are equally long. */
static void on_translated(plugin_id id, struct qemu_plugin_tb *block)
{
    enum { ADD_U64 = 0, NO_REGISTERS = 0 };
    size_t n = qemu_plugin_tb_n_insns(block);
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &executed, n);
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        uint64_t at = qemu_plugin_insn_vaddr(instruction);
        if (at == begin || at == end) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, at == begin ? on_begin : on_end,
                                                   NO_REGISTERS, NULL);
        }
    }
}

static void on_ended(plugin_id id, void *data)
{
    (void)id;
    (void)data;
    fprintf(stderr, "counted %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", times, least, most,
            sum);
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info,
                                                               int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        uint64_t *which = strncmp(argv[i], "begin=", 6) == 0 ? &begin
                          : strncmp(argv[i], "end=", 4) == 0 ? &end
                                                             : NULL;
        if (which == NULL) {
            return 1;
        }
        *which = strtoull(strchr(argv[i], '=') + 1, NULL, 0);
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    qemu_plugin_register_atexit_cb(id, on_ended, NULL);
    return 0;
}
