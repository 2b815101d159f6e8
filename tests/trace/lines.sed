# SPDX-License-Identifier: MIT
# Turns a line of `babeltrace2 --clock-cycles --no-delta` into the form of `parangon trace show --events`.
s/^\[0*\([0-9][0-9]*\)\] /[\1] /
s/( <unknown> : container = \([0-9-]*\) )/\1/g
s/( "\([^"]*\)" : container = [0-9-]* )/\1/g
s/^\(\[[0-9]*\]\) \([a-z_0-9]*\): { cpu_id = \([0-9]*\), ring = normal }, { \(.*\) }$/\1 cpu \3 \2: \4/
