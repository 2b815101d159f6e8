/* SPDX-License-Identifier: MIT */
/*
 * The part of QEMU's TCG plugin interface that the counting plugin uses, as QEMU 10.0 exports it
 * (interface version 4).
 *
 * Why it exists: Debian packages no qemu-plugin.h. Names, types and meanings follow QEMU's public
 * plugin API documentation ("QEMU TCG Plugins", docs/devel/tcg-plugins). Every function is declared
 * weak: an older QEMU then still loads the object and refuses it by its version, in one line,
 * instead of failing on a missing symbol. The three GLib types and functions are those that the
 * register and memory calls hand over; QEMU links GLib.
 */
#ifndef PARANGON_QEMU_API_H
#define PARANGON_QEMU_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QEMU_PLUGIN_VERSION 4
#define QEMU_EXPORT         __attribute__((visibility("default")))
#define QEMU_WEAK           __attribute__((weak))

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;
struct qemu_plugin_register;

/* Passed to qemu_plugin_install(); alive during that call only. */
struct qemu_info {
    const char *target_name;
    struct {
        int min, cur;
    } version;
    bool system_emulation;
    struct {
        int smp_vcpus, max_vcpus;
    } system;
};

/* One uint64_t in each vCPU's entry of a scoreboard. */
struct qemu_u64 {
    struct qemu_plugin_scoreboard *score;
    size_t offset;
};

enum qemu_cb_flags { QEMU_CB_NO_REGS, QEMU_CB_R_REGS, QEMU_CB_RW_REGS };
enum qemu_mem_rw { QEMU_MEM_R = 1, QEMU_MEM_W, QEMU_MEM_RW };
enum qemu_mem_value_type { QEMU_MEM_U8, QEMU_MEM_U16, QEMU_MEM_U32, QEMU_MEM_U64, QEMU_MEM_U128 };
enum qemu_op { QEMU_ADD_U64, QEMU_STORE_U64 };

/* Conditions compare unsigned. */
enum qemu_cond {
    QEMU_COND_NEVER,
    QEMU_COND_ALWAYS,
    QEMU_COND_EQ,
    QEMU_COND_NE,
    QEMU_COND_LT,
    QEMU_COND_LE,
    QEMU_COND_GT,
    QEMU_COND_GE,
};

struct qemu_mem_value {
    enum qemu_mem_value_type type;
    union {
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
        struct {
            uint64_t low, high;
        } u128;
    } data;
};

struct qemu_reg_descriptor {
    struct qemu_plugin_register *handle;
    const char *name;
    const char *feature;
};

struct glib_array {
    char *data;
    unsigned len;
};

struct glib_bytes {
    uint8_t *data;
    unsigned len;
};

typedef void (*qemu_tb_trans_cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*qemu_vcpu_cb)(qemu_plugin_id_t id, unsigned vcpu);
typedef void (*qemu_exec_cb)(unsigned vcpu, void *data);
typedef void (*qemu_mem_cb)(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data);
typedef void (*qemu_exit_cb)(qemu_plugin_id_t id, void *data);

QEMU_WEAK void qemu_plugin_register_vcpu_init_cb(qemu_plugin_id_t id, qemu_vcpu_cb cb);
QEMU_WEAK void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_tb_trans_cb cb);
QEMU_WEAK void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, qemu_exit_cb cb, void *data);

QEMU_WEAK void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, qemu_exec_cb cb,
                                                    enum qemu_cb_flags flags, void *data);
QEMU_WEAK void qemu_plugin_register_vcpu_tb_exec_cond_cb(struct qemu_plugin_tb *tb, qemu_exec_cb cb,
                                                         enum qemu_cb_flags flags,
                                                         enum qemu_cond cond, struct qemu_u64 entry,
                                                         uint64_t imm, void *data);
QEMU_WEAK void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb *tb,
                                                                 enum qemu_op op,
                                                                 struct qemu_u64 entry,
                                                                 uint64_t imm);
QEMU_WEAK void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
                                                      qemu_exec_cb cb, enum qemu_cb_flags flags,
                                                      void *data);
QEMU_WEAK void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(struct qemu_plugin_insn *insn,
                                                                   enum qemu_op op,
                                                                   struct qemu_u64 entry,
                                                                   uint64_t imm);
QEMU_WEAK void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, qemu_mem_cb cb,
                                                enum qemu_cb_flags flags, enum qemu_mem_rw rw,
                                                void *data);
QEMU_WEAK void qemu_plugin_register_vcpu_mem_inline_per_vcpu(struct qemu_plugin_insn *insn,
                                                             enum qemu_mem_rw rw, enum qemu_op op,
                                                             struct qemu_u64 entry, uint64_t imm);

QEMU_WEAK size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
QEMU_WEAK uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
QEMU_WEAK struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
                                                           size_t index);
QEMU_WEAK size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *dest, size_t len);
QEMU_WEAK size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

QEMU_WEAK struct qemu_mem_value qemu_plugin_mem_get_value(qemu_plugin_meminfo_t info);
QEMU_WEAK struct glib_array *qemu_plugin_get_registers(void);
QEMU_WEAK int qemu_plugin_read_register(struct qemu_plugin_register *handle,
                                        struct glib_bytes *buf);
QEMU_WEAK bool qemu_plugin_read_memory_vaddr(uint64_t addr, struct glib_bytes *data, size_t len);

QEMU_WEAK struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t element_size);
QEMU_WEAK void *qemu_plugin_scoreboard_find(struct qemu_plugin_scoreboard *score, unsigned vcpu);
QEMU_WEAK int qemu_plugin_num_vcpus(void);

/* Not of the interface: what QEMU exports to its own modules (memory.h). */
QEMU_WEAK void cpu_physical_memory_rw(uint64_t addr, void *buf, uint64_t len, bool is_write);

QEMU_WEAK struct glib_bytes *g_byte_array_new(void);
QEMU_WEAK struct glib_bytes *g_byte_array_set_size(struct glib_bytes *array, unsigned length);
QEMU_WEAK char *g_array_free(struct glib_array *array, int free_segment);

#endif
