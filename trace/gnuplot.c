/* SPDX-License-Identifier: MIT */
/* Running gnuplot on a script: see gnuplot.h. */
#include "trace/gnuplot.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

void gnuplot_quote(FILE *script, const char *text)
{
    fputc('"', script);
    for (; *text; text++)
        fputc(*text == '"' || *text == '\\' || (unsigned char)*text < ' ' ? '\'' : *text, script);
    fputc('"', script);
}

/* @return 0, or -errno; -EIO where gnuplot itself fails (it has said why) */
static int run_gnuplot(FILE *script)
{
    char *arguments[] = {"gnuplot", "-", NULL};
    posix_spawn_file_actions_t actions;
    int status, error;
    pid_t child;

    if (fflush(script) || fseek(script, 0, SEEK_SET))
        return -errno;
    setenv("LC_ALL", "C.UTF-8", 1); /* the script is UTF-8, wherever it is drawn: without one gnuplot warns of signs it does not use */
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fileno(script), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    error = -posix_spawnp(&child, "gnuplot", &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error)
        return error;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

static int draw(const char *terminal, const char *path, int width, int height, void (*put)(FILE *, const void *),
                const void *context)
{
    FILE *script = tmpfile();
    char *partial = NULL;
    int error = !script ? -errno : asprintf(&partial, "%s.partial", path) < 0 ? -ENOMEM : 0;

    if (!error) {
        fprintf(script, "set encoding utf8\nset terminal %s size %d,%d font 'sans,10' noenhanced background rgb 'white'\nset output ",
                terminal, width, height);
        gnuplot_quote(script, partial);
        fputs("\nset border 3 lc rgb '#888888'\nset tics nomirror scale 0.4 textcolor rgb '#000000'\n", script);
        put(script, context);
        fputs("\nunset output\n", script);
        error = run_gnuplot(script);
    }
    if (!error && rename(partial, path))
        error = -errno;
    if (error && partial)
        unlink(partial);
    if (script)
        fclose(script);
    free(partial);
    if (error)
        fprintf(stderr, "parangon: no figure %s: %s\n", path,
                error == -ENOENT ? "gnuplot was not found (install gnuplot-nox)" : strerror(-error));
    return error;
}

int gnuplot_draw(const char *stem, int width, int height, void (*put)(FILE *script, const void *context), const void *context)
{
    static const struct {
        const char *suffix, *terminal;
    } formats[] = {{"svg", "svg fontscale 1.25"}, {"png", "pngcairo"}};
    int error = 0;

    for (int i = 0; i < 2 && !error; i++) {
        char *path;

        if (asprintf(&path, "%s.%s", stem, formats[i].suffix) < 0)
            return -ENOMEM;
        error = draw(formats[i].terminal, path, width, height, put, context);
        free(path);
    }
    return error;
}
