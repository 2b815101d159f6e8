/* SPDX-License-Identifier: MIT */
/*
 * Facts about the guest which could make two platforms differ, read from /proc and /sys: the
 * harness prints the difference between platforms from these, made by machine.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "runner.h"

#define SUITE_DIR "/etc/parangon"

/* CPU flags that change a path through the kernel, or that tell a platform */
static const char *const flags_of_interest[] = {
    "pse",
    "pge",
    "pcid",
    "invpcid",
    "nx",
    "pdpe1gb",
    "rdtscp",
    "constant_tsc",
    "nonstop_tsc",
    "tsc_reliable",
    "tsc_known_freq",
    "fsgsbase",
    "smep",
    "smap",
    "umip",
    "pku",
    "la57",
    "xsave",
    "avx",
    "erms",
    "fsrm",
    "rep_good",
    "nopl",
    "syscall",
    "lm",
    "svm",
    "vmx",
    "hypervisor",
    "pti",
    "ibrs",
    "ibpb",
    "stibp",
    "ssbd",
    "retpoline",
    "rdrand",
    "clflush",
    "clflushopt",
    "apic",
    "x2apic",
    "arat",
    "cpuid_fault",
    "xenpv",
};

static int has_word(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = list; (p = strstr(p, word)); p += n)
        if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == 0))
            return 1;
    return 0;
}

/* The value after `key` and its colon, up to the end of the line; empty where there is none. */
static const char *field(const char *text, const char *key, char *buf, size_t size)
{
    const char *p = strstr(text, key);
    size_t n;

    buf[0] = 0;
    if (!p || !(p = strchr(p, ':')))
        return buf;
    p += 1 + strspn(p + 1, " \t");
    n = strcspn(p, "\n");
    if (n >= size)
        n = size - 1;
    memcpy(buf, p, n);
    buf[n] = 0;
    return buf;
}

static void add_cpu(struct line *l)
{
    static char text[8192], value[4096];
    char present[1024] = "";

    slurp("/proc/cpuinfo", text, sizeof(text));
    line_string(l, "cpu_model", field(text, "model name", value, sizeof(value)));
    line_string(l, "cpu_bugs", field(text, "bugs", value, sizeof(value)));
    field(text, "flags", value, sizeof(value));
    for (size_t i = 0; i < sizeof(flags_of_interest) / sizeof(flags_of_interest[0]); i++)
        if (has_word(value, flags_of_interest[i])) {
            if (present[0])
                strcat(present, " ");
            strcat(present, flags_of_interest[i]);
        }
    line_string(l, "cpu_flags", present);
    line_number(l, "cpus", sysconf(_SC_NPROCESSORS_ONLN));
}

static void add_memory(struct line *l)
{
    static const char *const keys[] = {"MemTotal", "AnonHugePages", "DirectMap4k", "DirectMap2M",
                                       "DirectMap1G"};
    static char text[4096];
    char value[64];

    slurp("/proc/meminfo", text, sizeof(text));
    line_object_begin(l, "meminfo_kb");
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strstr(text, keys[i]))
            line_number(l, keys[i], atoll(field(text, keys[i], value, sizeof(value))));
    line_object_end(l);
    line_string(l, "thp",
                slurp("/sys/kernel/mm/transparent_hugepage/enabled", value, sizeof(value)));
}

/* One member per file of a folder of /sys; names are sorted, as the kernel's order is not fixed. */
static void add_folder(struct line *l, const char *key, const char *folder)
{
    struct dirent **entry;
    int n = scandir(folder, &entry, NULL, alphasort);
    char path[512], value[256];

    line_object_begin(l, key);
    for (int i = 0; i < n; i++) {
        if (entry[i]->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s", folder, entry[i]->d_name);
            line_string(l, entry[i]->d_name, slurp(path, value, sizeof(value)));
        }
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    line_object_end(l);
}

/* The identity of each frozen suite in the image: NAME.json there names its hash. */
static void add_suites(struct line *l)
{
    struct dirent **entry;
    int n = scandir(SUITE_DIR, &entry, NULL, alphasort);
    static char path[512], text[65536], hash[128];

    line_object_begin(l, "suites");
    for (int i = 0; i < n; i++) {
        char *dot = strstr(entry[i]->d_name, ".json");

        if (dot) {
            snprintf(path, sizeof(path), SUITE_DIR "/%s", entry[i]->d_name);
            slurp(path, text, sizeof(text));
            field(text, "\"sha256_of_suite\"", hash, sizeof(hash));
            hash[strcspn(hash, ",")] = 0;
            *dot = 0;
            line_json(l, entry[i]->d_name, hash[0] ? hash : "null");
        }
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    line_object_end(l);
}

void env_report(void)
{
    static struct line l;
    static char text[4096];
    struct utsname uts;

    line_begin(&l, "env");
    if (uname(&uts) == 0) {
        line_string(&l, "kernel", uts.release);
        line_string(&l, "kernel_build", uts.version);
    }
    line_string(&l, "cmdline", slurp("/proc/cmdline", text, sizeof(text)));
    line_string(&l, "hypervisor", slurp("/sys/hypervisor/type", text, sizeof(text)));
    line_string(&l, "hypervisor_guest_type",
                slurp("/sys/hypervisor/guest_type", text, sizeof(text)));
    line_string(&l, "hypervisor_extraversion",
                slurp("/sys/hypervisor/version/extra", text, sizeof(text)));
    line_string(&l, "clocksource",
                slurp("/sys/devices/system/clocksource/clocksource0/current_clocksource", text,
                      sizeof(text)));
    line_string(&l, "clocksources",
                slurp("/sys/devices/system/clocksource/clocksource0/available_clocksource", text,
                      sizeof(text)));
    line_string(
        &l, "clockevent",
        slurp("/sys/devices/system/clockevents/clockevent0/current_device", text, sizeof(text)));
    add_cpu(&l);
    add_memory(&l);
    add_folder(&l, "vulnerabilities", "/sys/devices/system/cpu/vulnerabilities");
    add_suites(&l);
    line_send(&l);
}

void env_report_interrupts(void)
{
    static struct line l;
    static char text[16384];

    slurp("/proc/interrupts", text, sizeof(text));
    line_begin(&l, "interrupts");
    line_object_begin(&l, "count");
    for (char *save = NULL, *row = strtok_r(text, "\n", &save); row;
         row = strtok_r(NULL, "\n", &save)) {
        char *colon = strchr(row, ':');
        char *end, name[128];
        long long count;

        if (!colon)
            continue;
        count = strtoll(colon + 1, &end, 10);
        if (!count)
            continue;
        *colon = 0;
        end += strspn(end, " ");
        snprintf(name, sizeof(name), "%s %s", row + strspn(row, " "), end);
        line_number(&l, name, count);
    }
    line_object_end(&l);
    line_send(&l);
}
