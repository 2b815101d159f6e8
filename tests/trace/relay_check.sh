#!/bin/sh
# SPDX-License-Identifier: MIT
# Relay: its speed, or its absence, changes neither the trace nor what the machine does.
#   relay_check.sh SYNTHETIC TRACE-COMMAND
# The same machine runs without a relay, with one that keeps up, and with one ten times slower that takes little at a look; all three memory
# files are the same bytes, and so are all three compact traces.
set -eu
synthetic=$1 trace=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# name, options of the relay
run() {
    name=$1; shift
    truncate -s 2M $name.mem
    "$synthetic" $name.mem 2048 2 20000 9 record 300 > $name.written &
    machine=$!
    sleep 0.02
    [ $# = 0 ] || "$trace" relay --pid $machine "$@" -o $name.trace $name.mem
    wait $machine
    [ $# != 0 ] || "$trace" relay -o $name.trace $name.mem
}

run none
run fast --poll 1000
run slow --poll 10000 --chunk 4000
for name in fast slow; do
    cmp none.mem $name.mem
    cmp none.trace $name.trace
    cmp none.written $name.written
done
"$trace" show --events none.mem > none.events
"$trace" show --events slow.trace | cmp - none.events
echo "without a relay, fast and slow: the same $(stat -c %s none.mem) bytes of memory, the same $(stat -c %s none.trace) bytes of trace, $(wc -l < none.events) records"
