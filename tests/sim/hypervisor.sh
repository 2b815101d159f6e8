#!/bin/sh
# SPDX-License-Identifier: MIT
# Decisions of the hypervisor, recorded in QEMU, replayed by the simulator: on one, two and four processors every record the same, under each
# policy: hogs with weights, a cap and two vCPUs, domains that sleep and wake, ones that poll and yield. Runs are counted (icount), and (threads)
# two and four processors run on threads of the host. Processors are unplugged and plugged in again under load; domains move between pools of
# two policies; pools are made, changed and unmade. Under another policy, or one of altered code, the first that differs is found.
#   hypervisor.sh BUILD-FOLDER PARANGON SOURCE-FOLDER [threads]
# Exit status 77 (skipped) with a reason where QEMU, the hypervisor or the micro kernel is missing.
set -eu
build=$1 parangon=$2 here=$3 threads=${4:-}
root=$(cd "$here/../.." && pwd)
cache=${PARANGON_CACHE:-$root/cache}
missing() { echo "skipped: $*"; exit 77; }
fail() { echo "$*"; exit 1; }
[ -f "$build/hv/parangon" ] && [ -f "$build/guests/micro/micro" ] || missing "the hypervisor or the micro kernel is not built"
. "$root/tests/qemu.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
ln -s "$build/guests/micro/micro" micro
ln -s "$build/hv/parangon" hypervisor # names lie in the machine: the same everywhere

domain() { printf 'domain %s\n    kernel = micro\n    memory = 8M\n    cmdline = costs=none %s\n    weight = %s\n    cap = %s\n    vcpus = %s\n' "$@"; }
{
    echo 'parangon-plan 1'
    domain heavy 'tests=none spin=200-900' 512 0 1
    domain light 'tests=none spin=200-900' 128 0 1
    domain twice 'tests=none spin-vcpus=2 spin=200-900' 256 0 2
    domain capped 'tests=none spin=200-900' 256 30 1
    domain wakes 'tests=none wake=200-900-300-2000' 256 0 1
    domain periodic 'tests=none wake=200-900-1000-9000' 128 0 1
    domain waits1 'tests=timer+sched' 256 0 1
    domain waits2 'tests=timer+sched+evtchn-2l' 64 0 1
} > plan
{
    printf 'parangon-plan 1\ndomain first\n    kernel = micro\n    memory = 16M\n    privileged = yes\n    cmdline = costs=none tests=pcpu-unplug wake=0-1000-10-20000\n'
    domain light 'tests=none spin=20-900' 100 0 1
    domain heavy 'tests=none spin=20-900' 300 0 1
    domain pinned 'tests=none wake=20-900-300-2000' 256 0 1
    echo '    affinity = 1'
    domain twice 'tests=none spin-vcpus=2 spin=20-900' 256 0 2
} > unplug
{
    printf 'parangon-plan 1\ndomain first\n    kernel = micro\n    memory = 16M\n    privileged = yes\n    cmdline = costs=none tests=pcpu-pools\n'
    for name in a b c d p q; do
        domain $name 'tests=version+mmu+timer+evtchn spin=0-60' 256 0 1
        case $name in p | q) echo '    pool = 1' ;; esac
    done
} > pools

sed 's/pcpu-pools/pcpu-change-pools/; /pool = 1/d' pools > changes

record() { # NAME CPUS OPTIONS [PLAN]
    size=64M classes=all
    clock='-accel tcg -icount shift=3,sleep=off -rtc base=2026-01-01T00:00:00,clock=vm'
    # While the host holds up one processor's thread, a domain on another may poll a hundred thousand times: room for a million.
    [ -z "$threads" ] || { clock='-accel tcg,thread=multi' size=256M classes=SCHED; }
    truncate -s $size $1.mem
    # shellcheck disable=SC2086
    nice -n 10 timeout 280 "$qemu" $firmware -M pc -cpu qemu64 -smp $2 -m 256 $clock -seed 1 -nodefaults -no-user-config -display none \
        -no-reboot -serial file:$1.log -kernel hypervisor -append "trace trace-classes=$classes $3" -initrd ${4:-plan},micro \
        -object memory-backend-file,id=trace,mem-path=$1.mem,share=on,size=$size -device ivshmem-plain,memdev=trace > $1.qemu 2>&1 ||
        { cat $1.qemu; tail -5 $1.log; fail "$1: QEMU failed"; }
    grep -q 'the last domain has ended\|domain 0 has ended: power off' $1.log || { tail -5 $1.log; fail "$1 did not end well"; }
}

replay() { # NAME POLICY: every record as it was made
    "$parangon" sim --replay $1.mem --sched $2 > $1.said || { cat $1.said; fail "$1: other decisions"; }
    echo "$1: $(tr '\n' ' ' < $1.said)"
    [ "$(sed -n 's/.*: \([0-9]*\) decisions.*/\1/p' $1.said)" -gt 100 ] || fail "$1: so few decisions prove nothing"
}

# What the guests with one vCPU that compute read in their runstates, of 200 to 900 ms, is what the decisions on the input say. Who loses its processor
# between such an instant and asking counts a run more, of at most the rate limit: 1 ms.
ran_as_the_guest_says() { # CONSOLE
    python3 -c '
import re, sys
said = {int(d): int(us) for d, us in re.findall(r"\(d([124])\) MICRO share ran (\d+) of 700000 us", open(sys.argv[1]).read())}
ran, since = dict.fromkeys(said, 0), {}
for line in sys.stdin:
    m = re.search(r"cpu (\d+) sched_pick: domid = (\d+), .* now = (\d+)", line)
    if not m:
        continue
    cpu, domid, now = map(int, m.groups())
    before, began = since.get(cpu, (None, 0))
    if before in ran:
        ran[before] += max(0, min(now, 900000000) - max(began, 200000000)) / 1000
    since[cpu] = domid, now
assert len(said) == 3, said
assert all(abs(ran[d] - said[d]) < 1000 for d in said), (said, ran)
' "$1"
}

moving() { # POLICY: processors that go and come back; domains that go to another pool
    record unplug-$1 3 sched=$1 unplug
    [ "$(grep -c 'is unplugged' unplug-$1.log)" -ge 20 ] || fail "so few processors went that it proves nothing"
    replay unplug-$1 $1
    [ $1 = credit ] || return 0
    record pools 4 'sched=credit pools=2-3:rr' pools
    replay pools credit
    moves=$("$parangon" trace show --events pools.mem | grep -c 'sched_told: .*what = pool,')
    [ "$moves" -ge "$([ -n "$threads" ] && echo 5 || echo 50)" ] || fail "$moves moves between pools prove nothing"
    record changes 4 sched=credit changes
    replay changes credit
    for what in created destroyed leaves left joins; do
        "$parangon" trace show --events changes.mem | grep -q "sched_told: .*what = $what," || fail "no pool's change is $what"
    done
}

if [ -n "$threads" ]; then
    for policy in credit credit2 smt; do
        for cpus in 2 4; do
            record $policy-$cpus $cpus sched=$policy
            replay $policy-$cpus $policy
        done
        moving $policy
    done
    exit 0
fi
for cpus in 1 2 4; do
    for policy in credit credit2 smt rr; do
        name=$policy-$cpus
        record $name $cpus sched=$policy
        replay $name $policy
        "$parangon" trace show --events $name.mem | ran_as_the_guest_says $name.log || fail "$name: the trace and a guest's runstate differ"
        "$parangon" trace who $name.mem --json > $name.json
        python3 -c '
import json, sys
who = json.load(open(sys.argv[1]))
cpus = int(sys.argv[2])
assert who["cpus"] == cpus and len(who["vcpus"]) == 9
assert sum(v["run"] for v in who["vcpus"]) <= cpus * (who["last"] - who["first"])
assert all(v["run"] > 0 for v in who["vcpus"])
' $name.json $cpus || fail "$name: who ran where"
    done
done
record slices 4 'sched=credit sched-slice=1000 sched-ratelimit=100' # the trace says so
replay slices credit
record sockets 4 'sched=credit2 topology=2,1,1 sched-slice=1000'
replay sockets credit2
record exclusive 4 'sched=smt topology=2,2 sched-exclusive'
replay exclusive smt
for policy in credit credit2 smt; do
    moving $policy
done

code=0
"$parangon" sim --replay credit-4.mem --sched rr > other.said || code=$?
[ $code = 1 ] && grep -q '^decision [0-9]* differs: ' other.said || { cat other.said; fail "rr decides as credit"; }
grep differs other.said

# The policies as they are, then with one number changed: what is worth a migration, and how long a boost lasts; what resists one.
altered() { # NAME SED-SCRIPT FILE POLICY STATUS
    rm -rf hv && cp -R "$root/hv" hv
    sed -i "$2" hv/sched/$3
    [ -z "$2" ] || ! cmp -s hv/sched/$3 "$root/hv/sched/$3" || fail "$1: nothing is altered"
    # shellcheck disable=SC2046
    cc -std=gnu11 -O1 -fno-strict-aliasing -D_GNU_SOURCE -DPARANGON_HOST -DNR_PCPUS=1024 -DTRACE_CLASSES=TRACE_CLASS_SCHED -DNDEBUG \
        -I"$root/sim/arch" -Ihv -Ihv/core -Ihv/include -I"$root" hv/sched/*.c hv/core/timer.c hv/core/pheap.c hv/core/parse.c \
        $(for f in machine start load fluid hist replay; do echo "$root/sim/$f.c"; done) "$root/tests/sim/replay_altered.c" \
        "$build/sim/libsim_tools.a" "$build/trace/libtrace_tools.a" "$build/trace/libtrace_ring.a" -lm -o $1
    code=0
    ./$1 $4-4.mem $4 > $1.said || code=$?
    echo "$1: $(cat $1.said)"
    [ $code = $5 ] || fail "$1: status $code"
}
if command -v cc > /dev/null; then
    altered as-it-is '' credit.c credit 0
    altered migrations 's/^\(#define BALANCE_PART \) *[0-9]*/\1 2/' fair.h credit 1
    altered boosts 's/^\(#define BOOST_PART \) *[0-9]*/\1 4/' fair.h credit 1
    altered resists 's/^\(#define RESIST \).*/\1 MILLISECS(1)/' credit2.c credit2 1
fi

# As bursts and causes: under its own policy each domain works as long as it was recorded to run; under another it does so in another order.
for policy in credit rr credit2; do
    "$parangon" sim --bursts credit-1.mem --sched $policy --switch-cost 0 --seconds 5 --json > bursts.json 2> /dev/null || fail "bursts under $policy"
    python3 -c '
import json, sys
who = json.load(open("credit-1.json"))
ran = [sum(v["run"] for v in who["vcpus"] if v["domid"] == d) * 1e9 / who["tsc_hz"] for d in sorted({v["domid"] for v in who["vcpus"]})]
sim = json.load(open("bursts.json"))
work = [l["work"] * sim["seconds"] * 1e9 for l in sim["loads"]]
assert len(ran) == len(work) == 8
for r, w in zip(ran, work):
    assert abs(w - r) <= 0.02 * r + 1e5, (ran, work)
' || fail "bursts under $policy: other work"
done
echo "bursts and causes: the recorded work, under three policies"
