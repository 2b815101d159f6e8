/* SPDX-License-Identifier: MIT */
/* Plans (plan.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/paths.h"
#include "bench/plan.h"

#define PLAN_VERSION 1

void plan_free(struct plan *plan)
{
    for (size_t i = 0; i < plan->nr_parts; i++) {
        words_free(&plan->part[i].workloads);
        free(plan->part[i].name);
        free(plan->part[i].image);
    }
    words_free(&plan->platforms);
    free(plan->experiment);
    *plan = (struct plan){0};
}

int plan_platform(const struct plan *plan, size_t index, enum run_class class,
                  const struct platform **platform)
{
    char *name = format("%s", plan->platforms.word[index]), *only = strchr(name, ':');
    int result = 0;

    if (only)
        *only++ = '\0';
    *platform = platform_find(name);
    if (!*platform || (only && run_class_of(only) < 0))
        result = -1;
    else if (!(plan->classes & (1u << class)) || !platform_has_class(*platform, class) ||
             (only && run_class_of(only) != (int)class))
        *platform = NULL;
    free(name);
    return result;
}

static json_t *json_of_words(const struct words *words)
{
    json_t *array = json_array();

    for (size_t i = 0; i < words->nr; i++)
        json_array_append_new(array, json_string(words->word[i]));
    return array;
}

char *plan_text(const struct plan *plan)
{
    json_t *parts = json_array(), *classes = json_array(), *all;
    char *text;

    for (size_t i = 0; i < plan->nr_parts; i++) {
        const struct plan_part *part = &plan->part[i];
        json_t *seeds = json_array();

        for (size_t k = 0; k < part->nr_seeds; k++)
            json_array_append_new(seeds, json_integer(part->seeds[k]));
        json_array_append_new(parts, json_pack("{s:s, s:s, s:o, s:o, s:i, s:i, s:f}", "name",
                                               part->name, "image", part->image, "workloads",
                                               json_of_words(&part->workloads), "seeds", seeds,
                                               "warmup", part->warmup, "iters", part->iters,
                                               "native_seconds", part->native_seconds));
    }
    for (int class = RUN_DEFAULT; class <= RUN_TUNED; class++)
        if (plan->classes & (1u << class))
            json_array_append_new(classes, json_string(run_class_name(class)));
    all = json_pack("{s:i, s:s, s:b, s:b, s:i, s:o, s:o, s:o}", "plan", PLAN_VERSION, "experiment",
                    plan->experiment, "quick", plan->quick, "null", plan->null_set, "repeat",
                    plan->repeat, "platforms", json_of_words(&plan->platforms), "classes", classes,
                    "parts", parts);
    if (!all)
        abort();
    text = json_dumps(all, JSON_SORT_KEYS | JSON_COMPACT);
    json_decref(all);
    return text;
}

static void words_of_json(struct words *words, const json_t *array)
{
    const json_t *item;
    size_t i;

    json_array_foreach (array, i, item)
        if (json_is_string(item))
            words_add(words, "%s", json_string_value(item));
}

static int parse_part(struct plan_part *part, json_t *object)
{
    const char *name, *image;
    json_t *workloads, *seeds, *seed;
    int warmup, iters;
    size_t i;

    if (json_unpack(object, "{s:s, s:s, s:o, s:o, s:i, s:i, s:F}", "name", &name, "image", &image,
                    "workloads", &workloads, "seeds", &seeds, "warmup", &warmup, "iters", &iters,
                    "native_seconds", &part->native_seconds) < 0 ||
        strchr(image, '/') || json_array_size(seeds) > PLAN_SEEDS_MAX)
        return -1;
    part->name = format("%s", name);
    part->image = format("%s", image);
    part->warmup = warmup;
    part->iters = iters;
    words_of_json(&part->workloads, workloads);
    json_array_foreach (seeds, i, seed)
        part->seeds[part->nr_seeds++] = json_integer_value(seed);
    return 0;
}

int plan_parse(struct plan *plan, const char *text)
{
    json_error_t error;
    json_t *all = json_loads(text, 0, &error), *platforms, *classes, *parts, *item;
    int version, quick, null_set, repeat = 0 /* plans of before it have none */, result = -1;
    const char *experiment;
    size_t i;

    *plan = (struct plan){0};
    if (!all ||
        json_unpack(all, "{s:i, s:s, s:b, s:b, s?i, s:o, s:o, s:o}", "plan", &version, "experiment",
                    &experiment, "quick", &quick, "null", &null_set, "repeat", &repeat, "platforms",
                    &platforms, "classes", &classes, "parts", &parts) < 0 ||
        version != PLAN_VERSION || json_array_size(parts) > PLAN_PARTS_MAX || repeat < 0)
        goto out;
    plan->repeat = repeat;
    plan->experiment = format("%s", experiment);
    plan->quick = quick;
    plan->null_set = null_set;
    words_of_json(&plan->platforms, platforms);
    json_array_foreach (classes, i, item)
        if (run_class_of(json_string_value(item) ? json_string_value(item) : "") >= 0)
            plan->classes |= 1u << run_class_of(json_string_value(item));
    json_array_foreach (parts, i, item)
        if (parse_part(&plan->part[plan->nr_parts++], item) < 0)
            goto out;
    result = 0;
out:
    if (result < 0) {
        fprintf(stderr, "parangon: this result's plan cannot be read (plan version %d expected)\n",
                PLAN_VERSION);
        plan_free(plan);
    }
    json_decref(all);
    return result;
}

#define WORKLOAD(id) #id,
const char *const workload_names[] = {
#include "bench/workloads/workloads.def"
    NULL,
};
#undef WORKLOAD

const char *const suite_names[] = {"micro", "macro-1", NULL};

/* A workload's name is its identifier with dashes. */
static bool same_name(const char *id, const char *name)
{
    for (; *id && *name; id++, name++)
        if (*id != *name && !(*id == '_' && *name == '-'))
            return false;
    return *id == *name;
}

/* Is it a suite of programs, or a member of one? Each such suite has its identity in guests/linux. */
static bool is_program(const char *name)
{
    bool found = false;

    for (size_t i = 0; suite_names[i] && !found; i++) {
        char *path = format("%s/guests/linux/%s.json", paths_get()->root, suite_names[i]);
        json_t *suite = json_load_file(path, 0, NULL), *member;
        size_t k;

        found = suite && strcmp(suite_names[i], name) == 0;
        json_array_foreach (json_object_get(suite, "workloads"), k, member) {
            const char *its = json_string_value(json_object_get(member, "workload"));

            found |= its && strcmp(its, name) == 0;
        }
        json_decref(suite);
        free(path);
    }
    return found;
}

const char *workload_image(const struct words *names)
{
    for (size_t i = 0; i < names->nr; i++)
        if (is_program(names->word[i]))
            return "initrd.cpio";
    return "initrd-micro.cpio";
}

bool workload_known(const char *name)
{
    for (size_t i = 0; suite_names[i]; i++)
        if (strcmp(suite_names[i], name) == 0)
            return true;
    for (size_t i = 0; workload_names[i]; i++)
        if (same_name(workload_names[i], name))
            return true;
    return false;
}
