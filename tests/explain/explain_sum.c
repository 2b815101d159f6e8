/* SPDX-License-Identifier: MIT */
/*
 * Runs `parangon explain OPERATION --on PLATFORM --json` and holds it to its word: the functions'
 * instructions add up to those of the interval, class by class, one operation was found that
 * repeats, every function of kernel and hypervisor has its name, and FUNCTION, where given, ran.
 *
 * Usage: explain_sum PARANGON OPERATION PLATFORM [FUNCTION]
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const classes[] = {"user", "kernel", "hypervisor"};

static json_int_t sum(const json_t *functions, const char *class)
{
    json_int_t total = 0;
    json_t *f;
    size_t i;

    json_array_foreach (functions, i, f)
        if (strcmp(json_string_value(json_object_get(f, "class")), class) == 0)
            total += json_integer_value(json_object_get(f, "instructions"));
    return total;
}

/* Functions without a symbol show as an address in brackets, programs as "(program)". */
static int check_names(const json_t *functions, const char *wanted)
{
    bool found = !wanted;
    int failed = 0;
    const json_t *f;
    size_t i;

    json_array_foreach (functions, i, f) {
        const char *name = json_string_value(json_object_get(f, "name"));

        found |= wanted && strcmp(name, wanted) == 0;
        if (name[0] == '(' && strcmp(json_string_value(json_object_get(f, "class")), "user") != 0) {
            printf("%s has no name\n", name);
            failed = 1;
        }
    }
    if (!found)
        printf("%s did not run\n", wanted);
    return failed + !found;
}

static int check(const json_t *platform, const char *wanted)
{
    const json_t *instructions = json_object_get(platform, "instructions");
    int failed = check_names(json_object_get(platform, "functions"), wanted);

    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        json_int_t path = sum(json_object_get(platform, "functions"), classes[i]);
        json_int_t interval = json_integer_value(json_object_get(instructions, classes[i]));

        printf("%s: %" JSON_INTEGER_FORMAT " in the path, %" JSON_INTEGER_FORMAT
               " in the interval\n",
               classes[i], path, interval);
        failed += path != interval;
    }
    if (json_integer_value(json_object_get(platform, "typical_times")) < 2) {
        printf("no operation repeats\n");
        failed++;
    }
    return failed;
}

int main(int argc, char **argv)
{
    char command[4096];
    json_t *object;
    int failed;
    FILE *in;

    if (argc != 4 && argc != 5)
        return 2;
    snprintf(command, sizeof command, "'%s' explain %s --on %s --json", argv[1], argv[2], argv[3]);
    in = popen(command, "r");
    object = in ? json_loadf(in, 0, NULL) : NULL;
    if (!object || pclose(in) != 0) {
        printf("%s: no JSON, or not its exit status 0\n", command);
        return 1;
    }
    failed = check(json_array_get(json_object_get(object, "platforms"), 0), argv[4]);
    json_decref(object);
    printf("%d passed, %d failed\n", 6 - failed, failed);
    return failed ? 1 : 0;
}
