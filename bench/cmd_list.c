/* SPDX-License-Identifier: MIT */
/* `parangon list`: platforms, experiments and workloads of this build. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/command.h"
#include "bench/paths.h"
#include "bench/plan.h"

static const char doc[] =
    "Show what can be measured, booted and chosen: platforms, experiments, workloads, event "
    "counters.";

/* The trace events and what each is, out of their one definition. */
struct event {
    const char *class, *name, *what;
};
#define CLASS(...)
#define ENUM_DEF(...)
#define EVENT(class, name, what, ...) {#class, #name, what},
#define SPAN(class, name, what, ...)  {#class, #name, what},
static const struct event events[] = {
#include "trace/events.def"
};
#undef CLASS
#undef ENUM_DEF
#undef EVENT
#undef SPAN

/* A name as users write it: identifiers with dashes. */
static void print_dashed(const char *id)
{
    for (; *id; id++)
        putchar(*id == '_' ? '-' : *id);
}

int cmd_list(int argc, char **argv)
{
    command_parse_none(doc, argc, argv);
    printf("Platforms\n");
    for (size_t i = 0; platform_table[i]; i++)
        printf("  %-16s %-16s %s\n", platform_table[i]->name,
               platform_has_class(platform_table[i], RUN_DEFAULT)
                   ? platform_has_class(platform_table[i], RUN_TUNED) ? "default, tuned" : "default"
                   : "tuned",
               platform_table[i]->what);
    printf("\nExperiments\n");
    for (size_t i = 0; experiment_table[i]; i++)
        printf("  %-16s %s\n", experiment_table[i]->name, experiment_table[i]->what);
    printf("\nSuites\n ");
    for (size_t i = 0; suite_names[i]; i++)
        printf(" %s", suite_names[i]);
    printf("\n\nWorkloads");
    for (size_t i = 0; workload_names[i]; i++) {
        printf("%s", i % 8 ? " " : "\n  ");
        print_dashed(workload_names[i]);
    }
    printf("\n\nEvent counters\n");
    for (size_t i = 0; i < COUNTER_NR; i++)
        printf("  %-16s %s\n", counter_names[i], counter_whats[i]);
    printf("\nTrace events\n");
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        printf("  %-18s %-10s %s\n", events[i].name, events[i].class, events[i].what);
    return STATUS_DONE;
}
