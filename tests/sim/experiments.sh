#!/bin/sh
# SPDX-License-Identifier: MIT
# The simulator's experiments: each has its table, result and figure, and says what it should; the largest machine; a matrix measured here.
#   experiments.sh PARANGON
set -eu
parangon=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() { echo "$*"; exit 1; }

experiment() { # NAME OPTIONS...: its table is in the file NAME
    name=$1
    shift
    rm -rf out
    "$parangon" sim "$name" -o out "$@" > "$name" 2> err || fail "$name: $(cat err)"
    set -- out/sim-"$name"-*.h5
    [ $# = 1 ] && [ -s "$1" ] && [ -s "${1%.h5}.png" ] || fail "$name: result or figure is missing"
    xmllint --noout "${1%.h5}.svg"
}

experiment weights --seeds 2
awk '/^credit2? computes/ { rows++; off = $NF + 0; if (off > 1 || off < -1) exit 1 } END { if (rows != 2) exit 1 }' weights || fail "$(cat weights)"
experiment slices --seeds 2
awk '/^slice 5 ms/ && $11 == "7.50%" { rows++ } /^slice 50 ms/ && $11 == "0.75%" { rows++ } END { if (rows != 2) exit 1 }' slices || fail "$(cat slices)"
experiment dom0 --seeds 2
# Requests a second by dom0's weight, 0.25 to 8: with caps, where what each may use is what it needs (2), as many as without.
awk '/^credit2? capped/ { rows++; for (i = 3; i <= NF; i += 3) if (i != 12 && $i >= $12) exit 1; if ($12 < 1150) exit 1 } END { if (rows != 2) exit 1 }' dom0 || fail "$(cat dom0)"
experiment wakeup --seeds 2
awk '/^(credit|credit2|smt) +[0-9]/ { rows++; for (i = 2; i <= 13; i += 2) if ($i * ($(i + 1) == "ms" ? 1000 : $(i + 1) == "ns" ? 0.001 : 1) > 1100) exit 1 }
     END { if (rows != 3) exit 1 }' wakeup || fail "$(cat wakeup)"
experiment decision --seeds 1 --compare credit,rr
awk '/^(credit|rr) / { rows++; for (i = 2; i <= NF; i++) if ($i != "|" && $i <= 0) exit 1 } END { if (rows != 2) exit 1 }' decision || fail "$(cat decision)"
echo "experiments: tables, results, figures"

# Placement costs nothing where siblings do not slow each other down: work and p99 at each load and number of vCPUs, beside credit's.
experiment smt --seeds 3 --matrix 1
awk -F'|' '/^credit +\|/ { for (i = 2; i <= 7; i++) { split($i, at, " "); work[i] = at[1]; late[i] = at[2] } }
           /^smt +\|/ { rows++; for (i = 2; i <= 7; i++) { split($i, at, " "); if (at[1] < 0.98 * work[i] || at[2] > 1.02 * late[i]) exit 1 } }
           /^SMT off/ { off++ } END { if (rows != 4 || off != 4) exit 1 }' smt || fail "$(cat smt)"
echo "placement: not below credit by more than 2 % at S = 1"

for policy in credit credit2 smt; do
    "$parangon" sim --cpus 1024 --load hog*3000 --lag off --sched $policy --seconds 10 --json > large.json 2> /dev/null || fail "1,024 processors under $policy"
    python3 -c '
import json
worst = max(abs(d["got"] / d["feasible"] - 1) for d in json.load(open("large.json"))["domains"])
print("1,024 processors, 3,000 hogs, 10 s: a share is %.2f %% off at most" % (100 * worst))
assert worst <= 0.01
' || fail "$policy: a share is too far off"
done
"$parangon" sim --cpus 1024 --vcpus 10000 --seconds 1 --sched credit2 --json 2> /dev/null |
    python3 -c 'import json, sys; r = json.load(sys.stdin); assert r["machine"]["busy"] > 0.99 and r["setup"]["cpus"] == 1024' || fail "10,000 vCPUs"

code=0
"$parangon" smt-calibrate --cpus 0,1 --repeat 2 -o matrix.json > calibrated 2>&1 || code=$?
case $code in
0)
    "$parangon" sim --cpus 2 --threads 2 --matrix matrix.json --load hog*2 --json 2> /dev/null |
        python3 -c 'import json, sys; assert len(json.load(sys.stdin)["setup"]["S"]) > 1' || fail "the measured matrix is refused"
    echo "smt-calibrate: measured, and taken"
    ;;
4) echo "smt-calibrate measures nothing here: $(tail -n 1 calibrated)" ;;
*) fail "smt-calibrate: $(cat calibrated)" ;;
esac
