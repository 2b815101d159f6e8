#!/bin/sh
# SPDX-License-Identifier: MIT
# What tracing costs Linux, predicted from trace/costs and measured: the sum over the records against traced minus untraced, within 5 %.
#   predicted.sh BUILD-FOLDER PREDICT ROOT
# The costs come from the micro kernel's primitives, another run of another guest. Every entry into the hypervisor must be seen three ways
# (predict.c). Exit status 77 (skipped) with a reason where an input or the image of macro-1 is missing.
set -eu
build=$1 predict=$2 root=$3
workloads=getppid,fault-anon,fork-exit,ctx-2p-0k,gzip,shell
for file in "$build/bench/parangon" "$build/hv/parangon" "$build/bench/plugin/libcount.so" "$build/guests/linux/initrd.cpio"; do
    [ -f "$file" ] || { echo "skipped: $file is not built"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
record() {
    PARANGON_ROOT=$root nice -n 10 "$build/bench/parangon" trace record -w $workloads --memory 1024 --time-limit 600 \
        -o "$work/trace" "$@" > "$work/said" 2>&1 || { cat "$work/said"; exit 1; }
}
record --counts "$work/off" --untraced
record --counts "$work/on"
"$predict" "$root/trace/costs" "$work/trace" "$work/on" "$work/off"
