/* SPDX-License-Identifier: MIT */
/* What a result says about where it comes from (provenance.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/kernel.h"
#include "bench/paths.h"
#include "bench/provenance.h"

/* The first line a command prints; NULL when it fails or prints nothing. */
static char *first_line(const char *command)
{
    FILE *in = popen(command, "re");
    char line[512] = "";
    int status;

    if (!in)
        return NULL;
    if (!fgets(line, sizeof line, in))
        line[0] = '\0';
    while (fgets((char[512]){0}, 512, in))
        ;
    status = pclose(in);
    line[strcspn(line, "\n")] = '\0';
    return status == 0 && *line ? format("%s", line) : NULL;
}

static void add(struct run *run, const char *key, char *value)
{
    if (value)
        run_add_provenance(run, key, value);
    free(value);
}

static char *processor(void)
{
    FILE *in = fopen("/proc/cpuinfo", "re");
    char line[512], *value = NULL;

    while (in && !value && fgets(line, sizeof line, in))
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
            line[strcspn(line, "\n")] = '\0';
            value = format("%s", strchr(line, ':') + 2);
        }
    if (in)
        fclose(in);
    return value;
}

static void add_revision(struct run *run)
{
    char *command = format("git -C '%s' rev-parse HEAD 2>/dev/null", paths_get()->root);

    add(run, "git.revision", first_line(command));
    free(command);
    command = format("git -C '%s' status --porcelain --untracked-files=no 2>/dev/null",
                     paths_get()->root);
    add(run, "git.changed", first_line(command) ? format("yes") : format("no"));
    free(command);
}

/* A file that this build made, or that was unpacked: by hash. */
static void add_file(struct run *run, const char *name, const char *path)
{
    char hex[65];

    if (path && sha256_file_hex(path, hex) == 0)
        run_add_input(run, name, "", hex);
}

void provenance_add(struct run *run, const struct measurement *m, bool keep_local)
{
    char *build_id = kernel_build_id(m->hypervisor), *path, host[256];

    run_text(&run->hv_build_id, build_id);
    free(build_id);
    add_revision(run);
    add(run, "host.processor", processor());
    add(run, "host.compiler", format("%s", __VERSION__));
    for (size_t i = 0; i < m->inputs.nr; i++) {
        const struct input *item = &m->inputs.item[i];
        char *name = format("%s (%s)", item->role, item->package);

        run_add_input(run, name, item->version, item->sha256);
        free(name);
    }
    add_file(run, "kernel image", m->kernel);
    add_file(run, "hypervisor image", m->hypervisor);
    add_file(run, "counting plugin", m->plugin);
    for (size_t i = 0; i < m->nr; i++) {
        char *key = format("command.%s", m->boots[i].name);

        add(run, key,
            keep_local ? format("%s", m->boots[i].shown) : paths_neutral(m->boots[i].shown));
        free(key);
    }
    for (size_t i = 0; i < 2; i++) {
        static const char *const images[] = {"initrd-micro.cpio", "initrd.cpio"};

        path = format("%s/guests/linux/%s", paths_get()->build, images[i]);
        add_file(run, images[i], path);
        free(path);
    }
    if (keep_local && gethostname(host, sizeof host) == 0)
        run_add_provenance(run, "host.name", host);
}

void provenance_run_id(struct run *run)
{
    char fingerprint[65], hex[65], *text;

    run_fingerprint(run, fingerprint);
    text = format("%s %s %s %s", fingerprint, run->plan, run->hv_build_id, run->inputs_sha256);
    sha256_hex(text, strlen(text), hex);
    hex[12] = '\0';
    run_text(&run->run_id, hex);
    free(text);
}
