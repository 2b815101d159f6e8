/* SPDX-License-Identifier: MIT */
/*
 * Result files: what goes in comes out, what is damaged is refused with one message and never
 * crashes the reader, and a writer that fails or is killed leaves nothing. Also the tables and
 * the JSON object made of a run.
 *
 * The folder of the sources (for the reference file) comes in PARANGON_SOURCE.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "analysis/report.h"
#include "analysis/results.h"
#include "analysis/tables.h"
#include "synthetic.h"

/* A folder of its own for each test. */
static char folder[64];

static void enter_folder(void)
{
    strcpy(folder, "/tmp/parangon-results-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
}

static void leave_folder(void)
{
    struct dirent *entry;
    DIR *listing = opendir(folder);

    while ((entry = readdir(listing)))
        unlinkat(dirfd(listing), entry->d_name, 0);
    closedir(listing);
    rmdir(folder);
}

TestSuite(files, .init = enter_folder, .fini = leave_folder);

static unsigned files_in_folder(void)
{
    struct dirent *entry;
    unsigned count = 0;
    DIR *listing = opendir(".");

    while ((entry = readdir(listing)))
        count += entry->d_name[0] != '.';
    closedir(listing);
    return count;
}

static unsigned char *slurp(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");

    cr_assert_not_null(file, "%s", path);
    fseek(file, 0, SEEK_END);
    *length = ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*length + 1);

    cr_assert_eq(fread(bytes, 1, *length, file), *length);
    fclose(file);
    return bytes;
}

static void spill(const char *path, const unsigned char *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");

    cr_assert_eq(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

static struct run *full_run(void)
{
    struct run *run = synthetic_run(3, 0);

    run->complete = false;
    run->quick = true;
    run_add_trace(run, "pv-default.trace", "abcd", 123456789012);
    run_add_error(run, "pv", RUN_TUNED, "redis", "no answer after 10 s");
    run_add_console(run, "empty", "", 0);
    run_add_fact(run, "pv", RUN_DEFAULT, "empty", "");
    run_add_provenance(run, "accent", "déjà vu");
    return run;
}

Test(files, round_trip)
{
    struct run *run = full_run();
    char before[65], after[65];
    enum exit_status status = STATUS_USAGE;

    run->samples[5].flags = SAMPLE_UNREPEATED;
    run->samples[5].interval.user = (1ull << 53) - 1;
    run->samples[5].measured = 0;
    memset(run->samples[5].interval.counter, 0, sizeof(run->samples[5].interval.counter));
    cr_assert_eq(run_write(run, "a.h5"), 0);
    struct run *back = run_read("a.h5", &status);

    cr_assert_not_null(back);
    cr_assert_eq(status, STATUS_DONE);
    run_fingerprint(run, before);
    run_fingerprint(back, after);
    cr_assert_str_eq(before, after);
    cr_assert_eq(back->nr_samples, run->nr_samples);
    for (size_t i = 0; i < run->nr_samples; i++)
        cr_assert_eq(memcmp(&run->samples[i], &back->samples[i], sizeof(run->samples[i])), 0,
                     "sample %zu", i);
    cr_assert_eq(back->nr_histograms, 2);
    cr_assert_str_eq(back->histograms[1].workload, "getppid");
    cr_assert_str_eq(back->histograms[1].platform, "pv");
    cr_assert_str_eq(back->histograms[1].cause, "syscall");
    cr_assert(back->histograms[1].class == RUN_TUNED && back->histograms[1].set == RUN_MAIN);
    cr_assert(back->histograms[1].seed == 1 && back->histograms[1].iter == 1);
    cr_assert(back->histograms[0].instructions == 1600000 && back->histograms[1].instructions == 0);
    cr_assert(back->histograms[1].size == 8 && back->histograms[1].entries == 19993);
    cr_assert_str_eq(back->run_id, run->run_id);
    cr_assert_str_eq(back->plan, run->plan);
    cr_assert_str_eq(back->cpu_model, "qemu64");
    cr_assert(!back->complete && back->quick);
    cr_assert_eq(back->nr_workloads, run->nr_workloads);
    cr_assert(back->workloads[0].in_suite && !back->workloads[20].in_suite);
    cr_assert_str_eq(back->workloads[0].params, "{\"requests\":1}");
    cr_assert_eq(back->nr_facts, run->nr_facts);
    cr_assert_str_eq(back->facts[back->nr_facts - 1].value, "");
    cr_assert_str_eq(back->provenance[back->nr_provenance - 1].value, "déjà vu");
    cr_assert_eq(back->nr_consoles, run->nr_consoles);
    cr_assert_str_eq(back->consoles[0].name, "empty");
    cr_assert_eq(back->consoles[0].length, 0);
    cr_assert_eq(back->consoles[1].length, 39);
    cr_assert_eq(back->traces[0].bytes, 123456789012);
    cr_assert_str_eq(back->errors[0].message, "no answer after 10 s");
    cr_assert_str_eq(back->inputs[0].version, "6.1.0-44");
    run_free(back);
    run_free(run);
}

Test(files, same_run_same_bytes)
{
    struct run *run = full_run();
    size_t length_a, length_b;

    cr_assert_eq(run_write(run, "a.h5"), 0);
    sleep(1); /* a time stamp would show */
    cr_assert_eq(run_write(run, "b.h5"), 0);
    unsigned char *a = slurp("a.h5", &length_a), *b = slurp("b.h5", &length_b);

    cr_assert_eq(length_a, length_b);
    cr_assert_eq(memcmp(a, b, length_a), 0);
    free(a);
    free(b);
    run_free(run);
}

Test(files, an_empty_run_is_a_file_too)
{
    struct run *run = run_new();

    cr_assert_eq(run_write(run, "a.h5"), 0);
    struct run *back = run_read("a.h5", NULL);

    cr_assert_not_null(back);
    cr_assert_eq(back->nr_samples, 0);
    cr_assert_eq(back->nr_consoles, 0);
    run_free(back);
    run_free(run);
}

/* One file of each minor of the schema is kept, and read forever. */
static void read_reference(const char *minor, size_t histograms, uint64_t instructions, const char *fingerprint)
{
    char path[4096], hex[65];
    const char *source = getenv("PARANGON_SOURCE");

    cr_assert_not_null(source);
    snprintf(path, sizeof(path), "%s/tests/analysis/reference-%s.h5", source, minor);
    struct run *run = run_read(path, NULL);

    cr_assert_not_null(run);
    cr_assert_eq(run->nr_samples, 1890);
    cr_assert_eq(run->nr_histograms, histograms);
    cr_assert_eq(histograms ? run->histograms[0].instructions : 0, instructions);
    run_fingerprint(run, hex);
    cr_assert_str_eq(hex, fingerprint);
    run_free(run);
}

Test(files, reference_of_schema_1_0_is_read_forever)
{
    read_reference("1.0", 0, 0, REFERENCE_FINGERPRINT);
}

Test(files, reference_of_schema_1_1_is_read_forever)
{
    read_reference("1.1", 2, 0, REFERENCE_FINGERPRINT);
}

Test(files, reference_of_schema_1_2_is_read_forever)
{
    read_reference("1.2", 2, 1600000, REFERENCE_FINGERPRINT_1_2); /* counts nested faults besides */
}

/* Read a file in a child, its stderr caught. @return its exit status, or -1 when it was killed;
 * *lines of message */
static int read_apart(const char *path, int *lines)
{
    int status, caught = open("stderr", O_RDWR | O_CREAT | O_TRUNC, 0600);
    pid_t child = fork();

    if (!child) {
        enum exit_status why = STATUS_DONE;

        dup2(caught, STDERR_FILENO);
        run_free(run_read(path, &why));
        _exit(why);
    }
    waitpid(child, &status, 0);
    char message[4096];
    ssize_t length = pread(caught, message, sizeof(message), 0);

    *lines = 0;
    for (ssize_t i = 0; i < length; i++)
        *lines += message[i] == '\n';
    close(caught);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(files, truncated_files_are_refused)
{
    struct run *run = synthetic_run(1, 0);
    size_t length;
    int lines;

    cr_assert_eq(run_write(run, "a.h5"), 0);
    unsigned char *bytes = slurp("a.h5", &length);

    for (size_t i = 0; i < 60; i++) {
        spill("cut.h5", bytes, length * i / 60);
        cr_assert_eq(read_apart("cut.h5", &lines), STATUS_USAGE, "cut to %zu bytes",
                     length * i / 60);
        cr_assert_eq(lines, 1);
    }
    free(bytes);
    run_free(run);
}

Test(files, damaged_files_never_crash_the_reader)
{
    struct run *run = synthetic_run(1, 0);
    size_t length;
    unsigned refused = 0, intact = 0;
    int lines;

    cr_assert_eq(run_write(run, "a.h5"), 0);
    unsigned char *bytes = slurp("a.h5", &length);

    for (size_t i = 0; i < 160; i++) {
        size_t at = (i * 2654435761u) % length;

        bytes[at] ^= 1u << (i % 8) | 0x10;
        spill("bad.h5", bytes, length);
        bytes[at] ^= 1u << (i % 8) | 0x10;
        int status = read_apart("bad.h5", &lines);

        cr_assert(status == STATUS_USAGE || status == STATUS_DONE ||
                      status == STATUS_NOT_COMPARABLE,
                  "byte %zu: status %d", at, status);
        cr_assert_eq(lines, status != STATUS_DONE, "byte %zu: %d lines", at, lines);
        refused += status != STATUS_DONE;
        intact += status == STATUS_DONE;
    }
    cr_assert_gt(refused, 80, "%u refused, %u taken (free space, console text)", refused, intact);
    free(bytes);
    run_free(run);
}

Test(files, foreign_things_are_refused)
{
    int lines;

    spill("text.h5", (const unsigned char *)"not HDF5\n", 9);
    mkdir("folder.h5", 0700);
    cr_assert_eq(read_apart("text.h5", &lines), STATUS_USAGE);
    cr_assert_eq(lines, 1);
    cr_assert_eq(read_apart("folder.h5", &lines), STATUS_USAGE);
    cr_assert_eq(lines, 1);
    cr_assert_eq(read_apart("absent.h5", &lines), STATUS_USAGE);
    cr_assert_eq(lines, 1);
    rmdir("folder.h5");
}

Test(files, a_full_disk_leaves_what_was_there)
{
    struct run *run = synthetic_run(1, 0), *more = synthetic_run(3, 0);
    struct rlimit limit = {8192, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
    size_t before, after;

    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    cr_assert_eq(run_write(run, "new.h5"), -EFBIG);
    cr_assert_eq(files_in_folder(), 0);
    setrlimit(RLIMIT_FSIZE, &none);
    cr_assert_eq(run_write(run, "old.h5"), 0);
    unsigned char *old = slurp("old.h5", &before);

    setrlimit(RLIMIT_FSIZE, &limit);
    cr_assert_eq(run_write(more, "old.h5"), -EFBIG);
    setrlimit(RLIMIT_FSIZE, &none);
    unsigned char *now = slurp("old.h5", &after);

    cr_assert(before == after && !memcmp(old, now, before));
    cr_assert_eq(files_in_folder(), 1);
    cr_assert_eq(run_write(run, "no/such/folder.h5"), -ENOENT);
    free(old);
    free(now);
    run_free(run);
    run_free(more);
}

Test(files, a_killed_writer_leaves_nothing_broken)
{
    struct run *run = synthetic_run(3, 0);

    for (int i = 0; i < 60; i++) {
        pid_t child = fork();

        if (!child) {
            run_write(run, "a.h5");
            _exit(0);
        }
        usleep(i * 1000);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        unsigned files = files_in_folder();

        cr_assert_leq(files, 1);
        if (files) {
            struct run *back = run_read("a.h5", NULL);

            cr_assert_not_null(back, "killed after %d ms", i);
            run_free(back);
            unlink("a.h5");
        }
    }
    run_free(run);
}

Test(files, figure_is_whole_or_not_there)
{
    struct run *run = synthetic_run(3, 0), *empty = run_new();
    struct stat info;

    cr_assert_eq(report_figure(run, "it's a.h5"), 0);
    cr_assert(!stat("it's a.svg", &info) && info.st_size > 10000);
    cr_assert(!stat("it's a.png", &info) && info.st_size > 10000);
    cr_assert_eq(files_in_folder(), 2);
    cr_assert_eq(report_figure(empty, "none.h5"), -ENODATA);
    setenv("PATH", "/nowhere", 1);
    cr_assert_eq(report_figure(run, "b.h5"), -ENOENT);
    cr_assert_eq(files_in_folder(), 2);
    run_free(run);
    run_free(empty);
}

Test(results, fingerprint)
{
    struct run *run = synthetic_run(2, 0);
    char before[65], after[65];
    struct run_sample first = run->samples[0];

    run_fingerprint(run, before);
    run->samples[0] = run->samples[9];
    run->samples[9] = first;
    run_text(&run->run_id, "another");
    run_add_provenance(run, "date", "today");
    run_fingerprint(run, after);
    cr_assert_str_eq(before, after, "order, names and provenance do not matter");
    run->samples[7].interval.hypervisor++;
    run_fingerprint(run, after);
    cr_assert_str_neq(before, after, "one instruction does");
    run_free(run);
}

Test(results, sha256_of_the_standard)
{
    char hex[65];

    sha256_hex("abc", 3, hex); /* FIPS 180-4's example */
    cr_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    cr_assert_eq(sha256_file_hex("/nowhere/at/all", hex), -ENOENT);
    cr_assert_eq(sha256_file_hex("/dev/null", hex), 0);
    cr_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

Test(results, impossible_samples_are_refused)
{
    struct run *run = run_new();
    struct run_sample sample = {.workload = "w", .platform = "pv"};

    cr_assert_eq(run_add_sample(run, &sample), -EINVAL, "no operation");
    sample.ops = 1;
    sample.interval.user = 1ull << 53;
    cr_assert_eq(run_add_sample(run, &sample), -EINVAL, "2^53");
    sample.interval.user = 1;
    sample.platform[0] = 0;
    cr_assert_eq(run_add_sample(run, &sample), -EINVAL, "no name");
    memset(sample.platform, 'x', sizeof(sample.platform));
    cr_assert_eq(run_add_sample(run, &sample), -EINVAL, "no end of the name");
    cr_assert_eq(run->nr_samples, 0);
    run_free(run);
}

Test(results, facts_from_json)
{
    struct run *run = run_new();
    json_t *facts = json_loads("{\"ev\":\"env\",\"a\":{\"b\":1,\"c\":[\"x\",2,\"y\"]},\"d\":true,"
                               "\"e\":null,\"f\":\"text\",\"g\":[]}",
                               0, NULL);
    const char *const expected[][2] = {{"a.b", "1"},  {"a.c", "x 2 y"}, {"d", "true"},
                                       {"e", "null"}, {"f", "text"},    {"g", ""}};

    run_add_facts_json(run, "pv", RUN_TUNED, facts);
    cr_assert_eq(run->nr_facts, 6);
    for (size_t i = 0; i < 6; i++) {
        cr_assert_str_eq(run->facts[i].key, expected[i][0]);
        cr_assert_str_eq(run->facts[i].value, expected[i][1]);
        cr_assert_eq(run->facts[i].class, RUN_TUNED);
    }
    json_decref(facts);
    run_free(run);
}

Test(tables, cells)
{
    char cell[CELL_MAX];

    cr_assert_str_eq(cell_count(cell, NAN), "-");
    cr_assert_str_eq(cell_count(cell, 0), "0");
    cr_assert_str_eq(cell_count(cell, 12.34), "12.3");
    cr_assert_str_eq(cell_count(cell, 313), "313");
    cr_assert_str_eq(cell_count(cell, 999.6), "1,000");
    cr_assert_str_eq(cell_count(cell, 285693), "285,693");
    cr_assert_str_eq(cell_count(cell, 1084000), "1.084 M");
    cr_assert_str_eq(cell_count(cell, 207300000), "207.3 M");
    cr_assert_str_eq(cell_count(cell, 1649000000), "1.649 G");
    cr_assert_str_eq(cell_percent(cell, -0.00001), "+0.00%");
    cr_assert_str_eq(cell_percent(cell, 0.0073), "+0.73%");
    cr_assert_str_eq(cell_percent(cell, -0.0073), "-0.73%");
    cr_assert_str_eq(cell_ratio(cell, 3.4601), "3.460");
    cr_assert_str_eq(cell_rate(cell, 6390.4), "6390");
    cr_assert_str_eq(cell_rate(cell, 0.25), "0.25");
    cr_assert_str_eq(cell_rate(cell, 123456), "123k");
}

Test(tables, fit_a_terminal)
{
    struct run *run = synthetic_run(5, 0);
    char *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    run_add_fact(run, "pv", RUN_DEFAULT, "a key whose name goes on for quite a while",
                 "console=hvc0 quiet a b c d e f g h i j k l m n o p q r s t u v w x y z");
    report_tables(out, run);
    fclose(out);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        cr_assert_leq(strlen(line), 140, "%s", line);
    free(text);
    run_free(run);
}

/* The keys of a JSON object in their order, with a blank before each. */
static void keys_of(const json_t *object, char *text)
{
    const char *key;
    json_t *value;

    *text = 0;
    json_object_foreach((json_t *)object, key, value) sprintf(text + strlen(text), " %s", key);
}

Test(json, has_exactly_the_documented_keys)
{
    struct run *run = synthetic_run(3, 0);
    json_t *object = report_json(run);
    json_t *row = json_array_get(json_object_get(object, "rows"), 2);
    json_t *mean = json_array_get(json_object_get(object, "aggregates"), 0);
    char keys[1024];

    keys_of(object, keys);
    cr_assert_str_eq(keys, " schema run_id experiment mode suite inputs_sha256 hv_build_id "
                           "fingerprint complete rows aggregates");
    keys_of(row, keys);
    cr_assert_str_eq(keys, " workload kind platform class unit iterations seeds median min max "
                           "ratio_to_native split share events modelled_switch_cycles flags");
    keys_of(json_object_get(row, "ratio_to_native"), keys);
    cr_assert_str_eq(keys, " median min max");
    keys_of(json_object_get(row, "split"), keys);
    cr_assert_str_eq(keys, " user kernel hypervisor");
    keys_of(json_object_get(row, "share"), keys);
    cr_assert_str_eq(keys, " guest hypervisor");
    keys_of(mean, keys);
    cr_assert_str_eq(keys, " name method platform class value guest hypervisor worst members");
    keys_of(json_object_get(mean, "worst"), keys);
    cr_assert_str_eq(keys, " workload value");
    cr_assert_str_eq(json_string_value(json_object_get(object, "schema")), "1.2");
    cr_assert_eq(json_array_size(json_object_get(object, "rows")), 245);
    json_t *events = json_object_get(row, "events");

    cr_assert(json_is_null(json_object_get(events, "rep_bytes")), "not measured is null");
    cr_assert(json_is_number(json_object_get(events, "hv_entry")));
    json_decref(object);
    run_free(run);
}
