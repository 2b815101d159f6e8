#!/bin/sh
# SPDX-License-Identifier: MIT
# The hypervisor's own trace, in QEMU with the counting plugin: complete, and the same whatever the relay does.
#   hv_check.sh BUILD-FOLDER TRACE-COMMAND PREDICT SOURCE-FOLDER
# The micro kernel runs its costs four times: without trace, with trace and no relay, with a relay that keeps up, and with one ten
# times slower. The last three must leave the same bytes in the shared memory, the same compact trace and the same counts, and babeltrace2 must
# read the trace without a warning. Twice more in a ring that holds a fraction of the run, the machine being held until that is drained: nothing
# may be lost, counts and records must be those of the large ring, and whether the relay is quick or slow must not change a byte. The trace, the hypervisor's own counts and the plugin's must agree on every entry into the hypervisor, and
# trace/costs must predict what tracing costs each primitive (predict.c). Then all tests of the micro kernel run traced, and agree as well.
# Exit status 77 (skipped) with a reason where QEMU 10, the plugin, the hypervisor or the micro kernel is missing.
set -eu
build=$1 trace=$2 predict=$3 here=$4
root=$(cd "$here/../.." && pwd)
cache=${PARANGON_CACHE:-$root/cache}
hypervisor=$build/hv/parangon kernel=$build/guests/micro/micro plugin=$build/bench/plugin/libcount.so

missing() { echo "skipped: $*"; exit 77; }
for file in "$hypervisor" "$kernel" "$plugin"; do
    [ -f "$file" ] || missing "$file is not built"
done
. "$root/tests/qemu.sh"
case $("$qemu" --version) in *"version "[1-9][0-9].*) ;; *) missing "QEMU 10 is needed for the plugin" ;; esac

work=$(mktemp -d)
machine=
finish() { [ -z "$machine" ] || kill "$machine" 2> /dev/null || :; rm -rf "$work"; }
trap finish EXIT
cd "$work"
ln -s "$kernel" micro # so that its name is as long in every clone

# One processor of the host for both threads of QEMU: with -icount a machine that sleeps wakes by the thread of its devices, and on two
# processors a race between them decides at which instruction.
cpu=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')

# name, hypervisor's options, options of the relay; the micro kernel does what $task says, the ring has $room, the plugin $more
task="tests=none costs=all" room=32M more=
run() {
    name=$1 options=$2; shift 2
    truncate -s $room $name.mem
    # shellcheck disable=SC2086
    nice -n 10 taskset -c "$cpu" timeout 300 "$qemu" $firmware -M pc -cpu qemu64 -m 256 -accel tcg -icount shift=0,sleep=off \
        -rtc base=2026-01-01T00:00:00,clock=vm -seed 1 -nodefaults -no-user-config -display none -no-reboot \
        -serial file:$name.log -plugin "$plugin,out=$name.intervals,entries=$name.entries$more" -kernel "$hypervisor" -append "dom0_mem=64M $options" \
        -initrd "micro $task" \
        -object memory-backend-file,id=trace,mem-path=$name.mem,share=on,size=$room -device ivshmem-plain,memdev=trace \
        > $name.qemu 2>&1 &
    machine=$!
    [ $# = 0 ] || "$trace" relay --pid $machine "$@" -o $name.trace $name.mem
    wait $machine || { echo "$name: QEMU failed"; cat $name.qemu; tail -5 $name.log; exit 1; }
    machine=
    [ -f $name.intervals ] || { echo "$name: no intervals"; tail -5 $name.log; exit 1; }
    mkdir $name
    ln $name.intervals $name/intervals
    ln $name.entries $name/entries
    ln $name.log $name/console
}

run off no-trace
run none trace
"$trace" relay -o none.trace none.mem
grep -v 'power off$' none.log > none.said
run fast trace --poll 1000
run slow trace --poll 10000 --chunk 2000
for name in fast slow; do
    cmp none.mem $name.mem
    cmp none.trace $name.trace
    cmp none.intervals $name.intervals
    # QEMU powers off a moment after it is told to; until then the hypervisor may say that it waits.
    grep -v 'power off$' $name.log > $name.said
    cmp none.said $name.said
done
echo "no relay, fast, slow: the same memory, trace ($(stat -c %s none.trace) bytes) and counts"

# A ring of 1 MiB. Boot differs by the option and the size of the device, so no time of the clock is compared with the large ring's; how many
# records there are of each event is, and the instructions of each primitive, by cause.
room=1M more=,hold=$work/hold
run held "trace trace-hold" --hold $work/hold
run held_slow "trace trace-hold" --hold $work/hold --poll 20000
cmp held.trace held_slow.trace
cmp held.intervals held_slow.intervals
room=32M more=
events() { "$trace" show --events "$1" | sed 's/^[^ ]* *//' | cut -d' ' -f2 | sort | uniq -c; }
events none.trace > none.events
events held.trace > held.events
cmp none.events held.events
for name in none held; do grep '^measured' $name.entries > $name.measured; done
cmp none.measured held.measured
[ "$(stat -c %s held.trace)" -gt $((2 << 20)) ] || { echo "the trace fits into the small ring: nothing was tried"; exit 1; }
echo "a ring of 1 MiB, drained while the machine is held: $(stat -c %s held.trace) bytes, none lost, the same by a slow relay"

"$trace" show --events none.trace > decoded
"$trace" export none.trace -o ctf
babeltrace2 --clock-cycles --no-delta ctf 2> warnings | sed -f "$here/lines.sed" | cmp decoded -
[ ! -s warnings ] || { cat warnings; exit 1; }
echo "babeltrace2 reads the same $(wc -l < decoded) records, from $(head -1 decoded | cut -d' ' -f1) to $(tail -1 decoded | cut -d' ' -f1)"

"$trace" show none.trace
"$predict" "$root/trace/costs" none.trace none off

task="tests=all costs=none"
run tests trace
grep -q '^MICRO done .* fail=0 ' tests.log || { grep ' fail' tests.log; exit 1; }
"$trace" relay -o tests.trace tests.mem
"$predict" "$root/trace/costs" tests.trace tests tests | head -1
"$predict" "$root/trace/costs" tests.trace tests tests > tests.agree || { cat tests.agree; exit 1; }
echo "all tests pass traced, too: $(grep '^MICRO done' tests.log)"
