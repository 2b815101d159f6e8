#!/bin/sh
# SPDX-License-Identifier: MIT
# The commands report, export, compare and gate on synthetic runs: output, exit statuses, snapshot of the tables, h5dump.
# Usage: commands.sh RESULTS_TOOL SOURCE_FOLDER
set -eu
tool=$1
source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
checks=0

# expect STATUS COMMAND...: run it, keep its output in out and err, and demand this exit status.
expect() {
    wanted=$1
    shift
    status=0
    "$@" >out 2>err || status=$?
    checks=$((checks + 1))
    if [ "$status" -ne "$wanted" ]; then
        echo "FAILED: $* gave $status, not $wanted"
        cat err
        exit 1
    fi
}
# has FILE PATTERN: demand that some line matches.
has() {
    checks=$((checks + 1))
    grep -Eq -- "$2" "$1" || { echo "FAILED: no /$2/ in:"; cat "$1"; exit 1; }
}
one_message() {
    checks=$((checks + 1))
    [ "$(wc -l <err)" -eq 1 ] || { echo "FAILED: not one message:"; cat err; exit 1; }
}

expect 0 "$tool" make a.h5 3 0
expect 0 "$tool" make same.h5 3 0
expect 0 "$tool" make worse.h5 3 20
expect 0 "$tool" make better.h5 3 -20
expect 0 "$tool" make quick.h5 1 0
expect 0 cmp a.h5 same.h5

# The tables of the reference file, byte by byte.
expect 0 "$tool" report --no-figure "$source/tests/analysis/reference-1.0.h5"
mv out tables
expect 0 diff -u "$source/tests/analysis/tables.txt" tables

expect 0 "$tool" report a.h5
[ -s a.svg ] && [ -s a.png ]
expect 0 "$tool" report --no-figure --json a.h5
mv out object
expect 0 /usr/bin/python3 -m json.tool object
expect 0 "$tool" report --no-figure quick.h5
has out 'QUICK: one seed'
expect 2 "$tool" report
expect 2 "$tool" report --nonsense a.h5
expect 0 "$tool" report --help
has out 'Exit status'
expect 2 "$tool" report absent.h5
one_message
"$tool" rewrite a.h5 part.h5 complete 0
expect 4 "$tool" report --no-figure part.h5
has out 'INCOMPLETE'

expect 0 "$tool" export a.h5
has out '^workload,kind,platform,class,set,seed,iter,flags,ops,user,kernel,hypervisor,cr3_load'
[ "$(wc -l <out)" -eq 1891 ]
expect 0 "$tool" export --what rows -o rows.csv a.h5
[ "$(wc -l <rows.csv)" -eq 246 ]
has rows.csv ',ratio_to_native_median,'
expect 0 "$tool" export --what environment a.h5
has out '^pv,tuned,clocksource,xen'
expect 2 "$tool" export --what nothing a.h5
expect 4 "$tool" export -o no/such/folder/x.csv a.h5
one_message
expect 4 sh -c "'$tool' export a.h5 >/dev/full"
one_message

expect 0 "$tool" compare a.h5 same.h5
has out ' 0 grew|^0 grew'
expect 1 "$tool" compare a.h5 worse.h5
has out '^getppid +pv +default .*GREW'
expect 0 "$tool" compare a.h5 better.h5
has out '^getppid +pv +default .*fell'
expect 0 "$tool" compare quick.h5 a.h5
for key in mode cpu_model suite_sha256; do
    "$tool" rewrite a.h5 other.h5 $key something-else
    expect 3 "$tool" compare a.h5 other.h5
    one_message
    has err 'not comparable'
done
"$tool" rewrite a.h5 less.h5 samples 1400
expect 4 "$tool" compare a.h5 less.h5
expect 2 "$tool" compare a.h5
expect 2 "$tool" compare a.h5 absent.h5
one_message

expect 2 "$tool" gate --baseline none.h5 a.h5 # a baseline that is not there
one_message
mkdir results
cp a.h5 results/baseline-overhead.h5
expect 0 "$tool" gate same.h5
expect 0 "$tool" gate better.h5
expect 1 "$tool" gate worse.h5
has out '^gzip|^getppid'
expect 0 "$tool" gate --baseline worse.h5 a.h5
expect 3 "$tool" gate other.h5

# h5dump reads the numbers as they are: the first sample against the exported one.
expect 0 "$tool" export a.h5
exported=$(sed -n 2p out | cut -d, -f10)
expect 0 h5dump -m %.0f -d /samples -s 0 -c 1 a.h5
has out "^ +$exported,"
expect 0 h5dump -H a.h5

echo "$checks checks passed"
