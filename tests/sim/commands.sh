#!/bin/sh
# SPDX-License-Identifier: MIT
# The simulator's commands: the same run twice, JSON, sweeps with result and figure, traces and what is made of them, refusals.
#   commands.sh PARANGON SOURCE-FOLDER
set -eu
parangon=$1 here=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() { echo "$*"; exit 1; }
status() { expected=$1; shift; code=0; "$@" > status.out 2> status.err || code=$?; [ $code = "$expected" ] || fail "$* gave $code, not $expected: $(cat status.err)"; }

machine="--cpus 4 --threads 2 --matrix 0.65 --load hog*4 --load service:vcpus=2:util=0.4 --load periodic*2 --load barrier:vcpus=3 --seconds 0.5"
# shellcheck disable=SC2086  # options are words
simulate() { "$parangon" sim $machine "$@" 2> /dev/null; }

simulate > a; simulate > b; simulate --seed 2 > c
cmp a b || fail "the same run twice"
! cmp -s a c || fail "another seed gives the same"
[ "$(awk 'length > 160' a | wc -l)" = 0 ] || fail "lines too long"
simulate --json > a.json
python3 -c '
import json, math
r = json.load(open("a.json"))
assert r["schema"] == "parangon-sim-1" and r["setup"]["S"][0][1] == 0.65 and r["setup"]["switch_cost_ns"] == 1500
assert math.isclose(sum(d["got"] for d in r["domains"]) / 4, r["machine"]["busy"], rel_tol=1e-9)
assert r["domains"][0]["behind_ns"] is None, "no fluid schedule with siblings"
assert sum(l["response"]["count"] for l in r["loads"]) > 100
'
echo "one run: repeats, adds up"

"$parangon" sim --cpus 16 --vcpus 64 --mix skewed --seconds 0.2 2> /dev/null | grep -q '^tenant20 ' || fail "skewed tenants"
for vcpus in 3 64 119 237 10000; do
    made=$("$parangon" sim --cpus 16 --vcpus $vcpus --mix skewed --seconds 0.02 --json 2> /dev/null |
        python3 -c 'import json, sys; print(sum(l["domains"] * l["vcpus"] for l in json.load(sys.stdin)["setup"]["loads"]))')
    [ "$made" = $vcpus ] || fail "skewed tenants of $vcpus vCPUs have $made"
done
for policy in $("$parangon" sim --sched nope 2>&1 | sed -n 's/.*there are//p'); do
    simulate --sched "$policy" > /dev/null || fail "$policy"
    policies="${policies:+$policies }$policy"
done
echo "policies: $policies"

"$parangon" sim --cpus 2 --load hog*3 --load service:util=0.5 --sweep service.util=0.2,0.6 --seeds 3 --compare credit,rr --seconds 1 -o out > sweep 2> sweep.err ||
    fail "$(cat sweep.err)"
grep -q '^0.2 *service response-p99 *credit' sweep || fail "no row"
set -- out/*.h5
[ -s "$1" ] && [ -s "${1%.h5}.svg" ] && [ -s "${1%.h5}.png" ] || fail "result or figure is missing"
xmllint --noout "${1%.h5}.svg"
grep -q '>99th percentile of the response time, ms<' "${1%.h5}.svg" || fail "the figure is not in ms"
"$parangon" sim --load hog*3 --load interactive --sweep rate-limit=100us,500us --metric response-p50 --seeds 2 -o short > /dev/null 2>&1
grep -q ', us<' short/*.svg || fail "a figure of short times is not in us"
h5dump -d /points "$1" | grep -q 'response-p99' || fail "no points in the result"
"$parangon" report "$1" > report 2> report.err || fail "report: $(cat report.err)"
grep -q '^simulated: sim-sweep' report || fail "report does not know a simulated result"
mv out first
"$parangon" sim --cpus 2 --load hog*3 --load service:util=0.5 --sweep service.util=0.2,0.6 --seeds 3 --compare credit,rr --seconds 1 -o out > /dev/null 2>&1
cmp first/*.h5 out/*.h5 || fail "the same sweep gives another result"
echo "sweep: table, result, figure; the same bytes again"

# shellcheck disable=SC2086
"$parangon" sim $machine --json --trace run.ptr > run.json 2> /dev/null
"$parangon" trace who run.ptr -o who --json > who.json
xmllint --noout who.svg
[ -s who.png ] || fail "no picture"
"$parangon" trace export run.ptr -o ctf
xmllint --noout --relaxng "$here/tracecompass.rng" ctf.xml 2> rng || { cat rng; fail "the analysis is not as Trace Compass wants it"; }
sed 's/eventName="sched_wake"/name="sched_wake"/' ctf.xml > bad.xml
! xmllint --noout --relaxng "$here/tracecompass.rng" bad.xml 2> /dev/null || fail "the schema takes anything"
babeltrace2 --clock-cycles --no-delta ctf 2> warnings | awk -v idle=32767 -f "$here/runstates.awk" > recomputed
[ ! -s warnings ] || { cat warnings; exit 1; }
python3 -c '
import json
counters = {(v["domid"], v["vcpu_id"]): v for v in json.load(open("run.json"))["runstates"]}
who = {(v["domid"], v["vcpu_id"]): v for v in json.load(open("who.json"))["vcpus"]}
ctf = {(int(d), int(v)): (int(float(r)), int(float(w)), int(float(b))) for d, v, r, w, b in (line.split() for line in open("recomputed"))}
last = json.load(open("who.json"))["last"]
end = 1_000_000_000 + 600_000_000
assert set(counters) == set(who) == set(ctf) and len(counters) == 11
for key, c in counters.items():
    w = who[key]
    assert ctf[key] == (w["run"], w["wait"], w["blocked"]), (key, ctf[key], w)
    # A trace ends with its last record, the counters with the run: the state of that moment lasts on.
    rest = [c["running"] - w["run"], c["runnable"] - w["wait"], c["blocked"] - w["blocked"]]
    assert sorted(rest) == [0, 0, end - last], (key, c, w, rest)
print("trace:", len(counters), "vCPUs: picture, CTF and runstate counters agree to the ns")
'

# The lag that the simulator says, and the same read out of its trace; with a cap and a domain that sleeps.
for cpus in 1 2 4; do
    "$parangon" sim --cpus $cpus --load hog:weight=64:name=a --load hog:weight=512:name=b --load hog*2:name=c --load interactive:run=2ms:period=8ms \
        --load hog:cap=30:name=d --seconds 2 --warmup 0 --lag on --switch-cost 0 --migrate-cost 0 --trace lag.mem --json > lag.json 2> /dev/null
    "$parangon" sim --lag-of lag.mem --domain 1:64 --domain 2:512 --domain 6:256:30 --json > read.json || fail "--lag-of"
    python3 -c '
import json
said, read = json.load(open("lag.json"))["domains"], json.load(open("read.json"))["domains"]
assert len(said) == len(read) == 6
assert max(d["behind_ns"] for d in said) > 1e6 and max(d["ahead_ns"] for d in said) > 1e6
for s, r in zip(said, read):
    for key in "behind_ns", "ahead_ns": # in both the lag is looked at in steps of work, of 2^-16 ns
        assert abs(s[key] - r[key]) < 10, (key, s, r)
' || fail "a trace on $cpus processors says another lag"
done
"$parangon" sim --lag-of lag.mem --window 1000-1500 | grep -q '^0.500 s on 4 processors' || fail "a window of a trace"
status 2 "$parangon" sim --lag-of lag.mem --window 5-4
status 2 "$parangon" sim --lag-of lag.mem --window 90000-91000
"$parangon" sim --bursts lag.mem --json 2> /dev/null | python3 -c 'import json, sys; assert json.load(sys.stdin)["setup"]["cpus"] == 4' || fail "--bursts on other processors"
"$parangon" sim --replay lag.mem --domain 1:64 --domain 2:512 --domain 6:256:30 > same || fail "--replay: $(cat same)"
echo "lag: the same out of a trace"

status 2 "$parangon" sim --cpus 0
status 2 "$parangon" sim --load hog:weight=0
status 2 "$parangon" sim --sweep nope=1,2
status 2 "$parangon" sim --metric nope
# Who works about 1 ms about each 10 ms, less than its share, runs within the rate limit and 100 us.
for policy in credit credit2 smt; do
    for machine in "1 --load hog*5" "4 --load hog*20"; do
        # shellcheck disable=SC2086  # options are words
        "$parangon" sim --sched $policy --cpus $machine --load interactive --seconds 20 --json > late.json 2> /dev/null || fail "$policy, $machine"
        python3 -c '
import json
late = [l["wake"] for l in json.load(open("late.json"))["loads"] if l["load"] == "interactive"][0]
assert late["count"] > 1500 and late["p99_ns"] <= 1.1e6, late
' || fail "$policy, $machine: late"
    done
done
echo "who sleeps most of the time wakes soon"

while read -r named options; do
    # shellcheck disable=SC2086  # options are words
    status 2 "$parangon" sim $options
    grep -q -e "$named" status.err || fail "sim $options: $(cat status.err)"
done << 'END'
--cpus weights --cpus 3
--sweep weights --sweep cpus=1,2
--json weights --json
--cpus --replay lag.mem --cpus 2
--lag-of --replay lag.mem --lag-of lag.mem
experiment --lag-of lag.mem weights
--trace --sweep cpus=1,2 --trace t
--seeds --seeds 3
--metric --metric wake-p99
nope.wake-p99 --load hog --sweep cpus=1,2 --metric nope.wake-p99
machine --load hog --sweep cpus=1,2 --metric hog.work
LOAD.wake-p99 --load hog --sweep cpus=1,2 --metric wake-p99
--window --window 0-5
--domain --domain 1:64
--vcpus --load hog --vcpus 5
--vcpus --load hog --mix skewed
--vcpus --load hog --sweep vcpus=1,2
--load --bursts lag.mem --load hog
--sweep --sweep cpus=1,2 --sweep seed=1,2
twice --sweep cpus=1,1
--compare --sched smt --compare credit,rr
--compare --compare credit,rr --sweep sched=credit,rr
--metric --compare credit,rr --metric hog.work
twice --lag-of lag.mem --domain 1:5 --domain 1:6
nope weights --compare credit,nope
vcpus --vcpus 1000000
--warmup --bursts lag.mem --warmup 1s
END
echo "options that would do nothing: refused"
status 2 "$parangon" smt-calibrate --cpus 0,0
status 4 "$parangon" smt-calibrate --cpus 0,1023
if ! cat /sys/devices/system/cpu/cpu*/topology/thread_siblings_list | grep -q '[,-]'; then
    status 4 "$parangon" smt-calibrate
    grep -q "no core of this machine has two threads" status.err || fail "$(cat status.err)"
    echo "smt-calibrate: refuses, there are no siblings here"
fi
printf '{"S": [[1, 0.5], [0.5]]}' > short.json
status 2 "$parangon" sim --matrix short.json --load hog
printf '{"S": [[1, 0.5], [0.6, 0.7]]}' > matrix.json
"$parangon" sim --matrix matrix.json --cpus 2 --threads 2 --load hog:class=0 --load hog:name=b:class=1 --json 2> /dev/null > m.json
python3 -c '
import json
work = [l["work"] for l in json.load(open("m.json"))["loads"]]
assert abs(work[0] - 0.5) < 1e-3 and abs(work[1] - 0.6) < 1e-3, work
'
echo "refusals; a matrix out of a file"
