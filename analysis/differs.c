/* SPDX-License-Identifier: MIT */
/*
 * "What still differs": the table, made by machine, of the facts in which the platforms of a run
 * are not alike.
 *
 * Every guest reports the same keys; a key whose value is the same everywhere is left out.
 * Values are shown once, with the platforms that have them. Of long lists (processor flags,
 * command lines) only the members that some platform lacks.
 * Does not: judge whether a difference matters.
 */
#include <stdlib.h>
#include <string.h>

#include "analysis/tables.h"

#define LIST_MEMBERS 6 /* a value of so many words is shown as a difference of sets */
#define VALUE_MAX    4096
#define PLATFORM_MAX 32
#define KEY_MAX      136

/* The platforms of a run that reported facts, in table order. */
struct platform {
    const char *name;
    enum run_class class;
};

static const char *value_of(const struct run *run, const struct platform *platform, const char *key)
{
    for (size_t i = 0; i < run->nr_facts; i++)
        if (run->facts[i].class == platform->class &&
            !strcmp(run->facts[i].platform, platform->name) && !strcmp(run->facts[i].key, key))
            return run->facts[i].value;
    return "(not reported)";
}

static int platform_cmp(const void *left, const void *right)
{
    const struct platform *a = left, *b = right;
    int order = stats_platform_rank(a->name) - stats_platform_rank(b->name);

    if (!order)
        order = strcmp(a->name, b->name);
    return order ? order : (int)a->class - (int)b->class;
}

static size_t platforms_of(const struct run *run, struct platform *platforms)
{
    size_t count = 0;

    for (size_t i = 0; i < run->nr_facts; i++) {
        const struct run_fact *fact = &run->facts[i];
        size_t at = 0;

        while (at < count &&
               (platforms[at].class != fact->class || strcmp(platforms[at].name, fact->platform)))
            at++;
        if (at == count && count < PLATFORM_MAX)
            platforms[count++] = (struct platform){fact->platform, fact->class};
    }
    qsort(platforms, count, sizeof(*platforms), platform_cmp);
    return count;
}

static int text_cmp(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static size_t words_in(const char *text)
{
    size_t words = 0;

    for (const char *at = text; *at; at++)
        words += *at != ' ' && (at == text || at[-1] == ' ');
    return words;
}

static bool has_word(const char *text, const char *word, size_t length)
{
    for (const char *at = text; (at = strstr(at, word)); at++)
        if ((at == text || at[-1] == ' ') && (!at[length] || at[length] == ' '))
            return true;
    return false;
}

/* The words of `value` that not all the values have, into `shown`. */
static void rare_words(const char *value, const char *const *values, size_t count, char *shown)
{
    char *words = strdup(value), *rest = NULL;
    size_t used = 0;

    *shown = 0;
    for (char *word = words ? strtok_r(words, " ", &rest) : NULL; word;
         word = strtok_r(NULL, " ", &rest)) {
        bool everywhere = true;

        for (size_t i = 0; i < count; i++)
            everywhere &= has_word(values[i], word, strlen(word));
        if (!everywhere && used + strlen(word) + 2 < VALUE_MAX)
            used += sprintf(shown + used, "%s%s", used ? " " : "", word);
    }
    if (!used)
        strcpy(shown, "(none of these)");
    free(words);
}

/* Print `text` broken at blanks, `width` columns wide, each further line indented by `indent`. */
static void print_wrapped(FILE *out, const char *text, int width, int indent)
{
    while ((int)strlen(text) > width) {
        int cut = width;

        while (cut > 0 && text[cut] != ' ')
            cut--;
        cut = cut ? cut : width;
        fprintf(out, "%.*s\n%*s", cut, text, indent, "");
        text += cut + (text[cut] == ' ');
    }
    fprintf(out, "%s\n", text);
}

/* Whether the name alone tells the class. */
static bool says_class(const struct platform *platform)
{
    return platform->class == RUN_DEFAULT || strstr(platform->name, "tuned");
}

/* The key in front of its values, runs of blanks as one; a long one gets a line of its own. */
static void print_title(FILE *out, const char *key)
{
    char title[KEY_MAX];
    size_t used = 0;

    for (; *key && used < sizeof(title) - 1; key++)
        if (*key != ' ' || (used && title[used - 1] != ' '))
            title[used++] = *key;
    title[used] = 0;
    if (used > 26)
        fprintf(out, "%s\n%27s", title, "");
    else
        fprintf(out, "%-26s ", title);
}

/* One key: each value that occurs, with the platforms that have it in front. */
static void print_key(FILE *out, const char *key, const struct platform *platforms,
                      const char *const *values, size_t count)
{
    bool done[PLATFORM_MAX] = {false};
    bool list = false;
    const char *title = key;

    for (size_t i = 0; i < count; i++)
        list |= words_in(values[i]) >= LIST_MEMBERS;
    for (size_t i = 0; i < count; i++) {
        char who[512] = "", shown[VALUE_MAX];

        if (done[i])
            continue;
        for (size_t j = i; j < count; j++) {
            if (strcmp(values[i], values[j]))
                continue;
            done[j] = true;
            size_t used = strlen(who);

            snprintf(who + used, sizeof(who) - used, "%s%s%s", used ? ", " : "", platforms[j].name,
                     says_class(&platforms[j]) ? "" : "/tuned");
        }
        if (list)
            rare_words(values[i], values, count, shown);
        else
            snprintf(shown, sizeof(shown), "%s", *values[i] ? values[i] : "(empty)");
        print_title(out, title);
        if (strlen(who) > 44)
            fprintf(out, "%s\n%*s", who, 27 + 45, "");
        else
            fprintf(out, "%-44s ", who);
        print_wrapped(out, shown, 140 - 27 - 45, 27 + 45);
        title = "";
    }
}

void print_differences(FILE *out, const struct run *run)
{
    struct platform platforms[PLATFORM_MAX];
    const char *values[PLATFORM_MAX];
    size_t count = platforms_of(run, platforms);
    const char **keys = calloc(run->nr_facts + 1, sizeof(*keys));
    size_t alike = 0, shown = 0;

    if (!keys || count < 2) {
        free(keys);
        return;
    }
    for (size_t i = 0; i < run->nr_facts; i++)
        keys[i] = run->facts[i].key;
    qsort(keys, run->nr_facts, sizeof(*keys), text_cmp);
    fprintf(out, "\nWhat still differs between the platforms, as their guests report it\n");
    for (size_t i = 0; i < run->nr_facts; i++) {
        bool differs = false;

        if ((i && !strcmp(keys[i], keys[i - 1])) || !strcmp(keys[i], REPEAT_FACT))
            continue;
        for (size_t j = 0; j < count; j++) {
            values[j] = value_of(run, &platforms[j], keys[i]);
            differs |= strcmp(values[j], values[0]) != 0;
        }
        if (differs)
            print_key(out, keys[i], platforms, values, count);
        shown += differs;
        alike += !differs;
    }
    fprintf(out, "%zu facts differ, %zu are the same on all %zu platforms\n", shown, alike, count);
    free(keys);
}
