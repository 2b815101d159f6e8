/* SPDX-License-Identifier: MIT */
/* `parangon doctor`: what works on this machine, and why not. Looks only; changes nothing. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "analysis/results.h"
#include "bench/command.h"
#include "bench/paths.h"
#include "bench/plan.h"
#include "bench/run.h"

static const char doc[] =
    "Show what works on this machine and, where something does not, why and what to do. "
    "Exit status 4 when the "
    "main job (bench) cannot run.";

/* The platforms with the reason where one cannot run. @return how many can */
static int platforms(FILE *out, const struct inputs *inputs)
{
    char *hypervisor = format("%s/hv/parangon", paths_get()->build);
    char *ramdisk = format("%s/guests/linux/initrd.cpio", paths_get()->build);
    const struct machine machine = {.inputs = inputs,
                                    .hypervisor = hypervisor,
                                    .kernel = inputs->kernel,
                                    .ramdisk = ramdisk,
                                    .console = "stdio"};
    int able = 0;

    for (size_t i = 0; platform_table[i]; i++) {
        const char *why = platform_table[i]->absent(platform_table[i], &machine);

        fprintf(out, "  %-16s %s%s\n", platform_table[i]->name,
                why ? "no: " : "yes, counting instructions (QEMU TCG)", why ? why : "");
        able += !why;
    }
    free(ramdisk);
    free(hypervisor);
    return able;
}

void doctor_summary(FILE *out)
{
    struct inputs inputs;

    if (inputs_get(&inputs, INPUTS_LOOK) == 0)
        platforms(out, &inputs);
}

/* Is the processor's virtualization to be had? /dev/kvm that opens proves nothing without the CPU
 * flag. */
static const char *kvm(void)
{
    FILE *in = fopen("/proc/cpuinfo", "re");
    char line[8192];
    int flag = 0, fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    while (in && fgets(line, sizeof line, in))
        flag |= strncmp(line, "flags", 5) == 0 && (strstr(line, " svm") || strstr(line, " vmx"));
    if (in)
        fclose(in);
    if (fd >= 0)
        close(fd);
    if (fd < 0)
        return "no: /dev/kvm does not open; figures are instructions, which need none";
    return flag ? "present; experiments do not use it yet: figures are instructions"
                : "no: /dev/kvm opens but the processor shows neither svm nor vmx";
}

static void program(const char *name, const char *purpose)
{
    char *path = format("%s", getenv("PATH") ? getenv("PATH") : ""), *save = NULL;
    int found = 0;

    for (char *dir = strtok_r(path, ":", &save); dir && !found; dir = strtok_r(NULL, ":", &save)) {
        char *file = format("%s/%s", dir, name);

        found = access(file, X_OK) == 0;
        free(file);
    }
    printf("  %-16s %s%s\n", name,
           found ? "yes: " : "no: install what packages.list names; it is for ", purpose);
    free(path);
}

int cmd_doctor(int argc, char **argv)
{
    struct inputs inputs;
    struct statvfs space;
    int able;

    command_parse_none(doc, argc, argv);
    if (inputs_get(&inputs, INPUTS_LOOK) < 0)
        return STATUS_INCOMPLETE;
    printf("Machine\n  %-16s %u for this process\n", "cores", run_cores());
    printf("  %-16s %ld MiB free (a machine takes about 1,300)\n", "memory",
           sysconf(_SC_AVPHYS_PAGES) / 256 * (sysconf(_SC_PAGESIZE) / 4096));
    if (statvfs(getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", &space) == 0)
        printf("  %-16s %llu MiB free for temporary files\n", "disk",
               (unsigned long long)space.f_bavail * space.f_frsize >> 20);
    printf("  %-16s %s\n", "virtualization", kvm());

    printf("\nInputs (inputs.lock)\n");
    for (size_t i = 0; i < inputs.nr; i++) {
        const struct input *item = &inputs.item[i];

        printf("  %-16s %s %s%s\n", item->role, item->package, item->version,
               !item->present    ? "  not fetched yet: parangon inputs"
               : item->as_locked ? ""
                                 : "  not as locked");
    }
    printf("\nPlatforms\n");
    able = platforms(stdout, &inputs);
    printf("\nPrograms\n");
    program("gnuplot", "figures");
    program("babeltrace2", "reading traces");
    program("h5dump", "tests of result files");
    program("xorriso", "the GRUB image");
    return able ? STATUS_DONE : STATUS_INCOMPLETE;
}
