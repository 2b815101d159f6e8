#!/bin/sh
# SPDX-License-Identifier: MIT
# The hot entries in assembly: with all classes left out nothing of tracing is in them, not a time stamp and not a call; each class alone assembles.
#   entry_off.sh COMPILER BUILD-FOLDER ROOT
set -eu
compiler=$1 build=$2 root=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
assemble() { # name, options
    name=$1; shift
    "$compiler" -c "$@" -I "$root/hv/x86" -I "$build/hv/include" -I "$root" -o "$work/$name.o" "$root/hv/x86/entry.S"
    objdump -d "$work/$name.o" > "$work/$name.text"
    nm -u "$work/$name.o" > "$work/$name.wants"
}
assemble all
assemble none -DTRACE_CLASSES=0
assemble hypercall -DTRACE_CLASSES=1
assemble exit -DTRACE_CLASSES=2
for name in all hypercall exit; do # the check can fail: with a class there is something
    grep -q rdtsc "$work/$name.text"
    grep -q trace "$work/$name.wants"
done
! grep -q rdtsc "$work/none.text"
! grep -q trace "$work/none.wants"
# What is entered where nothing is traced is the same bytes, with tracing compiled in or not.
for name in all none; do
    sed -n '/<syscall_stubs>:/,/<restore_all>:/p' "$work/$name.text" | cut -f3 | sed 's/[0-9a-f]* <[^>]*>//' > "$work/$name.plain"
done
[ "$(wc -l < "$work/none.plain")" -gt 300 ]
diff "$work/all.plain" "$work/none.plain"
echo "nothing of tracing in $(wc -l < "$work/none.plain") instructions of the untraced entries"
