#!/bin/sh
# SPDX-License-Identifier: MIT
# LTTng-UST: the same calls, compiled with -DTRACE_LTTNG, give the same events in an LTTng session; and so does republishing a trace.
#   lttng_check.sh SYNTHETIC SYNTHETIC-LTTNG TRACE-COMMAND SOURCE-FOLDER [SCENARIO SCENARIO-LTTNG]
# SCENARIO: the hypervisor's portable sources at work on the simulated machine, built both ways.
# Exit status 77 (skipped) with a reason where no session daemon can run. A session daemon that runs already is used and left alone.
set -eu
synthetic=$1 lttng_synthetic=$2 trace=$3 here=$4 scenario=${5:-} lttng_scenario=${6:-}
session=parangon-test-$$
daemon=
work=$(mktemp -d)
cleanup() {
    lttng --no-sessiond destroy $session > /dev/null 2>&1 || :
    [ -z "$daemon" ] || { kill $daemon 2> /dev/null; wait $daemon 2> /dev/null || :; }
    rm -rf "$work"
}
trap cleanup EXIT
cd "$work"
export LTTNG_HOME="$work" LTTNG_UST_REGISTER_TIMEOUT=-1

for program in lttng lttng-sessiond; do
    command -v $program > /dev/null || { echo "skipped: $program is not installed"; exit 77; }
done
if ! lttng --no-sessiond list > /dev/null 2>&1; then
    lttng-sessiond --no-kernel > daemon.log 2>&1 &
    daemon=$!
    for i in 1 2 3 4 5 6 7 8 9 10; do
        sleep 0.3
        lttng --no-sessiond list > /dev/null 2>&1 && break
    done
    lttng --no-sessiond list > /dev/null 2>&1 || { echo "skipped: no session daemon can run here: $(tail -1 daemon.log)"; exit 77; }
fi

# name, then a program that fires events into the session
run() {
    name=$1; shift
    lttng --no-sessiond create $session --output="$work/$name" > /dev/null
    lttng --no-sessiond enable-channel -u -s $session --subbuf-size=4M --num-subbuf=4 all > /dev/null
    lttng --no-sessiond enable-event -u -s $session -c all 'parangon:*' > /dev/null
    lttng --no-sessiond start $session > /dev/null
    "$@" > $name.written
    lttng --no-sessiond stop $session > /dev/null
    lttng --no-sessiond destroy $session > /dev/null
    babeltrace2 --no-delta "$name" 2> $name.warnings | sed -f "$here/lines.sed" |
        sed 's/^\[[^]]*\] [^ ]* parangon:\([a-z_]*\): { cpu_id = [0-9]* }, { time = \([0-9]*\), \(.*\) }$/[\2] \1: \3/' > $name.events
    [ ! -s $name.warnings ] || { cat $name.warnings; exit 1; }
}

"$synthetic" ring.mem 4096 2 5000 11 record > ring.written
sed 's/ cpu [0-9]*//' ring.written > ring.expected

run calls "$lttng_synthetic" none.mem 64 2 5000 11 record
cmp ring.expected calls.events
echo "the same calls: $(wc -l < calls.events) LTTng events equal the records of the ring"

run republished "$trace" export --lttng ring.mem
sort -s -t'[' -k2n ring.expected | cmp - republished.events
echo "republished: $(wc -l < republished.events) LTTng events equal the records of the ring"

# A machine that runs meanwhile; the order is that in which the relay looks at the rings.
live() {
    truncate -s 4M live.mem
    "$synthetic" live.mem 4096 2 5000 11 record 300 > live.ring &
    machine=$!
    "$trace" relay --lttng --pid $machine -o live.trace live.mem
    wait $machine
}
run live live
"$trace" show --events live.trace | sed 's/ cpu [0-9]*//' | sort > live.expected
same() { diff live.expected - > live.diff || { echo "the relay's copy (<) and $1 (>):"; head -6 live.diff; exit 1; }; }
sort live.events | same "LTTng's events"
sed 's/ cpu [0-9]*//' live.ring | sort | same "what the machine wrote"
echo "live, by the relay: $(wc -l < live.events) LTTng events equal the records of the ring"

if [ -n "$scenario" ]; then
    "$scenario" scenario.mem
    "$trace" show --events scenario.mem | sed 's/ cpu [0-9]*//' > scenario.expected
    [ "$(wc -l < scenario.expected)" -gt 1000 ]
    run hypervisor "$lttng_scenario" none.mem
    cmp scenario.expected hypervisor.events
    echo "the hypervisor's scheduler and event channels on the host: $(wc -l < hypervisor.events) LTTng events equal the records of the ring"
fi
