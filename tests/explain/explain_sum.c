/* SPDX-License-Identifier: MIT */
/*
 * Runs `parangon explain OPERATION --on PLATFORM --json` and holds it to its word: the functions'
 * instructions add up to those of the interval, class by class, and one operation was found that
 * repeats.
 *
 * Usage: explain_sum PARANGON OPERATION PLATFORM
 */
#include <inttypes.h>
#include <jansson.h>
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

static int check(const json_t *platform)
{
    const json_t *instructions = json_object_get(platform, "instructions");
    int failed = 0;

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

    if (argc != 4)
        return 2;
    snprintf(command, sizeof command, "'%s' explain %s --on %s --json", argv[1], argv[2], argv[3]);
    in = popen(command, "r");
    object = in ? json_loadf(in, 0, NULL) : NULL;
    if (!object || pclose(in) != 0) {
        printf("%s: no JSON, or not its exit status 0\n", command);
        return 1;
    }
    failed = check(json_array_get(json_object_get(object, "platforms"), 0));
    json_decref(object);
    printf("%d passed, %d failed\n", 4 - failed, failed);
    return failed ? 1 : 0;
}
