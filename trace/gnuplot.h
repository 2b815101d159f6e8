/* SPDX-License-Identifier: MIT */
/* Pictures by gnuplot, for what is drawn of results, traces and simulations. */
#ifndef PARANGON_TRACE_GNUPLOT_H
#define PARANGON_TRACE_GNUPLOT_H

#include <stdio.h>

/**
 * Draw <stem>.svg and <stem>.png; each appears whole or not at all.
 *
 * @param put  writes the script behind the setting of terminal and output: axes, data, plot
 * @return 0; -errno with one message on stderr: -ENOENT where gnuplot is absent, -EIO where it refuses (it has said why), or why the
 *         files cannot be written
 */
int gnuplot_draw(const char *stem, int width, int height, void (*put)(FILE *script, const void *context), const void *context);

/** A text as gnuplot quotes it; what would end a line or the quotes is replaced. */
void gnuplot_quote(FILE *script, const char *text);

#endif
