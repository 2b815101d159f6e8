/* SPDX-License-Identifier: MIT */
/*
 * Synthetic runs. The counts are of the size that real ones have, so that the tables and the
 * figure made of them show what a reader will see; they claim nothing.
 */
#include <stdio.h>
#include <string.h>

#include "synthetic.h"

/* Per operation: native; what PV's guest adds; ours, Xen's and tuned Xen's hypervisor instructions;
 * entries. */
static const struct {
    const char *name;
    enum run_kind kind;
    uint64_t native, guest, ours, xen, xen_tuned, entries;
    unsigned noise; /* what a seed may move it, per 100,000 */
} workloads[] = {
    {"gzip", RUN_MACRO, 207300000, 230000, 590000, 2770000, 2350000, 1200, 40},
    {"xz", RUN_MACRO, 913000000, 1900000, 3100000, 14100000, 12800000, 5200, 60},
    {"gcc", RUN_MACRO, 1420000000, 130000000, 38000000, 201000000, 188000000, 61000, 300},
    {"sqlite", RUN_MACRO, 402000000, 9100000, 8200000, 39000000, 33100000, 24000, 200},
    {"postgresql", RUN_MACRO, 1204000000, 61000000, 49000000, 214000000, 187000000, 160000, 900},
    {"dbench", RUN_MACRO, 655000000, 11000000, 16000000, 74000000, 65000000, 51000, 250},
    {"shell", RUN_MACRO, 166300000, 9800000, 9300000, 40900000, 39200000, 29500, 400},
    {"httpd", RUN_MACRO, 388000000, 17000000, 21000000, 92000000, 83000000, 64000, 500},
    {"redis", RUN_MACRO, 291000000, 15000000, 16900000, 75000000, 66000000, 48000, 450},
    {"python-gc", RUN_MACRO, 822000000, 2100000, 2900000, 12600000, 11400000, 4100, 120},
    {"boot", RUN_MICRO, 1649000000, 1541000000, 58000000, 250000000, 226000000, 131000, 20},
    {"getppid", RUN_MICRO, 313, 5, 168, 788, 680, 2, 0},
    {"read-zero", RUN_MICRO, 669, -1, 168, 788, 680, 2, 0},
    {"write-null", RUN_MICRO, 598, 3, 168, 788, 680, 2, 0},
    {"stat", RUN_MICRO, 4266, 20, 169, 793, 684, 2, 10},
    {"open-close", RUN_MICRO, 7194, 60, 338, 1589, 1369, 4, 20},
    {"select-100", RUN_MICRO, 11900, 12, 169, 792, 683, 2, 10},
    {"signal-install", RUN_MICRO, 812, 2, 168, 788, 680, 2, 0},
    {"signal-catch", RUN_MICRO, 3638, 28, 337, 1579, 1363, 4, 40},
    {"prot-fault", RUN_MICRO, 3286, -2, 371, 1726, 1509, 4, 60},
    {"fault-anon", RUN_MICRO, 3299, 1095, 472, 1973, 1810, 3, 500},
    {"fault-file", RUN_MICRO, 594, 196, 255, 1048, 986, 2, 300},
    {"fault-cow", RUN_MICRO, 4471, 1457, 1004, 4223, 3941, 5, 600},
    {"mmap-1m-touch-64", RUN_MICRO, 285693, 74399, 161000, 736000, 703000, 260, 900},
    {"mprotect-pair", RUN_MICRO, 13085, 2466, 1090, 4865, 4427, 9, 3000},
    {"fork-exit", RUN_MICRO, 331814, 233671, 96000, 609000, 604000, 82, 1500},
    {"fork-exec", RUN_MICRO, 442542, 288186, 171000, 905000, 899000, 130, 1500},
    {"fork-sh", RUN_MICRO, 1082702, 472667, 331000, 1680000, 1650000, 410, 1200},
    {"fork-64m", RUN_MICRO, 9120000, 3910000, 6120000, 31000000, 30600000, 16500, 700},
    {"ctx-2p-0k", RUN_MICRO, 5484, 904, 1012, 4181, 3694, 9, 200},
    {"pipe", RUN_MICRO, 10987, 1844, 2030, 8389, 7415, 18, 200},
    {"unix-socket", RUN_MICRO, 17567, 2350, 2390, 10013, 8871, 20, 150},
    {"tcp-loopback", RUN_MICRO, 41200, 3120, 4210, 17100, 15300, 36, 350},
    {"sem-pair", RUN_MICRO, 6210, 911, 1090, 4510, 4010, 10, 220},
    {"random-256m", RUN_MICRO, 12, 0, 0, 0, 0, 0, 5},
};

static const uint32_t main_seeds[] = {11, 23, 37, 41, 59, 67, 73},
                      null_seeds[] = {101, 211, 307, 401, 503, 601, 701};

void synthetic_add(struct run *run, const char *workload, enum run_kind kind, const char *platform,
                   enum run_class class, enum run_set set, uint32_t seed, uint64_t user,
                   uint64_t kernel, uint64_t hypervisor)
{
    struct run_sample sample = {
        .kind = kind,
        .class = class,
        .set = set,
        .seed = seed,
        .ops = 1,
        .measured = MEASURED_ALL,
        .interval = {.user = user, .kernel = kernel, .hypervisor = hypervisor},
    };

    snprintf(sample.workload, sizeof(sample.workload), "%s", workload);
    snprintf(sample.platform, sizeof(sample.platform), "%s", platform);
    run_add_sample(run, &sample);
}

/* A number that looks random and always is the same: what this seed moves, per 100,000, within
 * +-noise. */
static int64_t jitter(uint32_t seed, size_t workload, unsigned noise)
{
    uint32_t mixed = (seed * 2654435761u) ^ (uint32_t)(workload * 40503u + 977u);

    mixed ^= mixed >> 15;
    mixed *= 2246822519u;
    mixed ^= mixed >> 13;
    return noise ? (int64_t)(mixed % (2 * noise + 1)) - noise : 0;
}

static void add_one(struct run *run, size_t which, const char *platform, enum run_class class,
                    enum run_set set, uint32_t seed, int growth)
{
    uint64_t native = workloads[which].native, hypervisor = 0, entries = 0;
    int64_t guest = 0;
    uint64_t ops = workloads[which].kind == RUN_MACRO ? 1 : native > 1000000 ? 4 : 1000;

    if (class == RUN_TUNED)
        native -= native / 50;
    if (!strcmp(platform, "native-matched"))
        guest = native / 90;
    if (!strcmp(platform, "pv") || !strncmp(platform, "xen", 3))
        guest = workloads[which].guest;
    if (!strcmp(platform, "pv"))
        hypervisor = workloads[which].ours * (100 + growth) / 100;
    if (!strcmp(platform, "xen-pv"))
        hypervisor = workloads[which].xen;
    if (!strcmp(platform, "xen-pv-tuned"))
        hypervisor = workloads[which].xen_tuned;
    if (hypervisor)
        entries = workloads[which].entries;

    struct run_sample sample = {.class = class, .set = set, .seed = seed, .ops = ops};

    sample.kind = workloads[which].kind;
    snprintf(sample.workload, sizeof(sample.workload), "%s", workloads[which].name);
    snprintf(sample.platform, sizeof(sample.platform), "%s", platform);
    uint64_t kernel = native / 3 + guest;

    kernel += (int64_t)(native * jitter(seed, which, workloads[which].noise)) / 100000;
    sample.interval.user = (native - native / 3) * ops;
    sample.interval.kernel = kernel * ops;
    sample.interval.hypervisor = hypervisor * ops;
    sample.interval.counter[COUNTER_hv_entry] = entries * ops;
    sample.interval.counter[COUNTER_cr3_load] = entries * ops / 2 + native / 400000;
    sample.interval.counter[COUNTER_iret] = (native / 90000 + 1) * ops;
    sample.interval.counter[COUNTER_wrmsr] = native / 250000;
    sample.interval.counter[COUNTER_invlpg] = hypervisor ? native / 150000 : native / 120000;
    sample.interval.counter[COUNTER_irq] = native * ops / 4000000;
    sample.measured = MEASURED_ALL & ~(1ull << COUNTER_rep_bytes);
    for (uint32_t iter = 0; iter < 2; iter++) {
        sample.iter = iter;
        sample.flags = iter ? 0 : SAMPLE_WARMUP;
        run_add_sample(run, &sample);
        sample.interval.kernel += 2;
    }
}

static void add_facts(struct run *run, const char *platform, enum run_class class)
{
    bool domain = strncmp(platform, "native", 6) != 0;
    bool matched = domain || !strcmp(platform, "native-matched");
    json_t *facts = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:{s:s, s:s}, s:[s,s,s,s,s,s,s]}", "ev", "env", "kernel",
        "6.1.0-44-amd64", "clocksource",
        domain    ? "xen"
        : matched ? "jiffies"
                  : "tsc",
        "clockevent", domain ? "xen" : "lapic", "thp", matched ? "never" : "always", "mitigations",
        "spectre_v1", class == RUN_TUNED ? "Vulnerable" : "Mitigation: usercopy/swapgs barriers",
        "spectre_v2", class == RUN_TUNED ? "Vulnerable" : "Mitigation: Retpolines", "cpu_flags",
        "fpu", "tsc", "msr", "pae", "cx8", matched ? "nopge" : "pge",
        domain ? "hypervisor" : "apic");

    run_add_facts_json(run, platform, class, facts);
    json_decref(facts);
}

struct run *synthetic_run(unsigned seeds, int growth)
{
    static const struct {
        const char *platform;
        enum run_class class;
    } machines[] = {
        {"native", RUN_DEFAULT},     {"native", RUN_TUNED}, {"native-matched", RUN_DEFAULT},
        {"pv", RUN_DEFAULT},         {"pv", RUN_TUNED},     {"xen-pv", RUN_DEFAULT},
        {"xen-pv-tuned", RUN_TUNED},
    };
    struct run *run = run_new();

    run_text(&run->run_id, "synthetic");
    run_text(&run->experiment, "overhead");
    run_text(&run->cpu_model, "qemu64");
    run_text(&run->suite_id, "macro-1");
    run_text(&run->suite_sha256,
             "53756974652066726f7a656e206265666f72652074756e696e670000000000aa");
    run_text(&run->inputs_sha256,
             "496e70757473206c6f636b20746861742069732073796e7468657469630000aa");
    run_text(&run->hv_build_id, "00112233445566778899aabbccddeeff00112233");
    run_text(&run->plan, "{\"experiment\":\"overhead\",\"synthetic\":true}");
    run->complete = true;
    run->quick = seeds == 1;
    run_add_provenance(run, "qemu", "10.0.2");
    run_add_provenance(run, "command.pv", "$CACHE/qemu-system-x86_64 -M pc -cpu qemu64 -m 1024");
    run_add_input(run, "linux-image-6.1", "6.1.0-44",
                  "7b1f8d7f9c2cb4c1d8c7a6b5e4f3029182736455a6b7c8d9e0f1a2b3c4d5e6f7");
    for (size_t w = 0; w < sizeof(workloads) / sizeof(workloads[0]); w++)
        run_add_workload(run, workloads[w].name, workloads[w].kind, workloads[w].kind == RUN_MACRO,
                         "{\"requests\":1}");
    for (uint32_t size = 7; size < 9; size++)
        run_add_histogram(run, &(struct run_histogram){.workload = "getppid",
                                                       .instructions = size == 7 ? 1600000 : 0,
                                                       .platform = "pv",
                                                       .cause = "syscall",
                                                       .class = RUN_TUNED,
                                                       .set = RUN_MAIN,
                                                       .seed = 1,
                                                       .iter = 1,
                                                       .size = size,
                                                       .entries = 20001 - size});
    for (size_t m = 0; m < sizeof(machines) / sizeof(machines[0]); m++) {
        const char *platform = machines[m].platform;
        enum run_class class = machines[m].class;
        char name[64];

        snprintf(name, sizeof(name), "%s-%s-main", platform, run_class_name(class));
        run_add_console(run, name, "Linux version 6.1.0\n@PGN {\"ev\":\"done\"}\n", 39);
        add_facts(run, platform, class);
        for (size_t w = 0; w < sizeof(workloads) / sizeof(workloads[0]); w++) {
            for (unsigned s = 0; s < seeds && s < 7; s++) {
                add_one(run, w, platform, class, RUN_MAIN, main_seeds[s], growth);
                if (!strcmp(platform, "native"))
                    add_one(run, w, platform, class, RUN_NULL, null_seeds[s], growth);
            }
        }
    }
    return run;
}
