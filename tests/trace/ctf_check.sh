#!/bin/sh
# SPDX-License-Identifier: MIT
# CTF: what babeltrace2 reads is what was written, record by record and field by field, without a warning.
#   ctf_check.sh SYNTHETIC TRACE-COMMAND SOURCE-FOLDER
# Three listings of each trace are compared: the synthetic machine's own (made from the arguments of the calls), the decoder's, and
# babeltrace2's of the exported CTF; so count, order, first and last time stamp and all values agree. A trace with losses must keep
# the oldest records, and babeltrace2 must report as many discarded as the ring counted. A flight recorder must keep the newest.
set -eu
synthetic=$1 trace=$2 here=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

by_time() { sort -s -t'[' -k2n "$1"; }

# One trace: name, then the arguments of the synthetic machine. Leaves NAME.written, NAME.decoded, NAME.babeltrace, NAME.warnings.
run() {
    name=$1; shift
    "$synthetic" "$name.mem" "$@" > "$name.written"
    "$trace" show --events "$name.mem" > "$name.decoded" 2> "$name.said" || [ $? = 4 ]
    "$trace" export "$name.mem" -o "$name.ctf" 2>> "$name.said" || [ $? = 4 ]
    babeltrace2 --clock-cycles --no-delta "$name.ctf" 2> "$name.warnings" | sed -f "$here/lines.sed" > "$name.babeltrace"
    [ -s "$name.decoded" ] || { echo "$name: no record"; exit 1; }
    cmp "$name.decoded" "$name.babeltrace"
}

for cpus in 1 4; do
    for seed in 1 2 3; do
        name=whole-$cpus-$seed
        run $name 4096 $cpus 5000 $seed record
        by_time $name.written > $name.sorted
        cmp $name.sorted $name.decoded
        [ ! -s $name.warnings ] || { cat $name.warnings; exit 1; }
        [ ! -s $name.said ] || { cat $name.said; exit 1; }
        echo "$name: $(wc -l < $name.babeltrace) records agree, $(head -1 $name.babeltrace | cut -d' ' -f1) to $(tail -1 $name.babeltrace | cut -d' ' -f1)"
    done
done

run lost 128 1 20000 5 record
kept=$(wc -l < lost.decoded) lost=$((20000 - $(wc -l < lost.decoded)))
head -n "$kept" lost.written > lost.first
by_time lost.first | cmp - lost.decoded
grep -q "^$lost records were lost\|: $lost records were lost" lost.said
grep -q "discarded $lost event" lost.warnings || { cat lost.warnings; exit 1; }
"$trace" show lost.mem 2> /dev/null | grep -q "^lost records: $lost\$"
echo "lost: $kept oldest records kept, $lost counted by the ring, by the summary and by babeltrace2"

run flight 128 1 20000 6 flight
tail -n "$(wc -l < flight.decoded)" flight.written > flight.last
by_time flight.last | cmp - flight.decoded
[ ! -s flight.warnings ] || { cat flight.warnings; exit 1; }
echo "flight: the newest $(wc -l < flight.decoded) of 20000 records kept"

"$trace" export whole-1-1.mem -o again.ctf
diff -r whole-1-1.ctf again.ctf
echo "the same trace gives the same bytes"
