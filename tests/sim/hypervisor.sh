#!/bin/sh
# SPDX-License-Identifier: MIT
# Decisions of the hypervisor, recorded in QEMU, replayed by the simulator: on one processor every one the same, under each policy.
# Under another policy the first that differs is found. On four processors one may find a runqueue locked and idle for a moment,
# which a trace does not say: there the replay ends at such a race, and only who ran where is checked. Runs are counted (icount).
#   hypervisor.sh BUILD-FOLDER PARANGON SOURCE-FOLDER
# Exit status 77 (skipped) with a reason where QEMU, the hypervisor or the micro kernel is missing.
set -eu
build=$1 parangon=$2 here=$3
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

domain() { printf 'domain %s\n    kernel = micro\n    memory = 8M\n    cmdline = %s\n    weight = %s\n    cap = %s\n' "$@"; }
{
    echo 'parangon-plan 1'
    domain heavy 'tests=none spin=200-700' 512 0
    domain light 'tests=none spin=200-700' 128 0
    domain capped 'tests=none spin=200-700' 256 30
    domain waits1 'tests=timer+sched' 256 0
    domain waits2 'tests=timer+sched+evtchn-2l' 64 0
} > plan

for cpus in 1 4; do
    for policy in credit credit2 smt rr; do
        [ $cpus = 1 ] || [ $policy = credit ] || [ $policy = smt ] || continue
        name=$policy-$cpus
        truncate -s 64M $name.mem
        # shellcheck disable=SC2086
        nice -n 10 timeout 280 "$qemu" $firmware -M pc -cpu qemu64 -smp $cpus -m 256 -accel tcg -icount shift=3,sleep=off \
            -rtc base=2026-01-01T00:00:00,clock=vm -seed 1 -nodefaults -no-user-config -display none -no-reboot -serial file:$name.log \
            -kernel "$build/hv/parangon" -append "trace sched=$policy" -initrd plan,micro \
            -object memory-backend-file,id=trace,mem-path=$name.mem,share=on,size=64M -device ivshmem-plain,memdev=trace > $name.qemu 2>&1 ||
            { cat $name.qemu; tail -5 $name.log; fail "$name: QEMU failed"; }
        grep -q 'the last domain has ended' $name.log || { tail -5 $name.log; fail "$name did not end well"; }
        "$parangon" sim --replay $name.mem --sched $policy > $name.said || [ $? = 1 -a $cpus = 4 ] ||
            { cat $name.said; fail "$name: other decisions"; }
        echo "$name: $(tr '\n' ' ' < $name.said)"
        [ $cpus = 4 ] || [ "$(sed -n 's/.*: \([0-9]*\) decisions.*/\1/p' $name.said)" -gt 50 ] || fail "$name: so few decisions prove nothing"
        "$parangon" trace who $name.mem --json > $name.json
        python3 -c '
import json, sys
who = json.load(open(sys.argv[1]))
cpus = int(sys.argv[2])
assert who["cpus"] == cpus and len(who["vcpus"]) == 5
assert sum(v["run"] for v in who["vcpus"]) <= cpus * (who["last"] - who["first"])
assert all(v["run"] > 0 for v in who["vcpus"])
' $name.json $cpus || fail "$name: who ran where"
    done
done
code=0
"$parangon" sim --replay credit-1.mem --sched rr > other.said || code=$?
[ $code = 1 ] && grep -q '^decision [0-9]* differs: ' other.said || { cat other.said; fail "rr decides as credit"; }
sed -n 2p other.said

# As bursts and causes: under its own policy each domain works as long as it was recorded to run; under another it does so in another order.
for policy in credit rr credit2; do
    "$parangon" sim --bursts credit-1.mem --sched $policy --switch-cost 0 --seconds 5 --json > bursts.json 2> /dev/null || fail "bursts under $policy"
    python3 -c '
import json, sys
ran = [v["run"] * 1e9 / json.load(open("credit-1.json"))["tsc_hz"] for v in json.load(open("credit-1.json"))["vcpus"]]
sim = json.load(open("bursts.json"))
work = [l["work"] * sim["seconds"] * 1e9 for l in sim["loads"]]
assert len(ran) == len(work) == 5
for r, w in zip(ran, work):
    assert abs(w - r) <= 0.02 * r + 1e5, (ran, work)
' || fail "bursts under $policy: other work"
done
echo "bursts and causes: the recorded work, under three policies"
