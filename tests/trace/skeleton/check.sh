#!/bin/sh
# SPDX-License-Identifier: MIT
# The example of new events: recorded, decoded by a program that was built without them, and read by babeltrace2.
#   check.sh SKELETON TRACE-COMMAND SOURCE-FOLDER
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$1" "$work/memory"
"$2" show --events "$work/memory" | diff "$3/skeleton/expected" -
"$2" export "$work/memory" -o "$work/ctf"
babeltrace2 --clock-cycles --no-delta "$work/ctf" | sed -f "$3/lines.sed" | diff "$3/skeleton/expected" -
