#!/bin/sh
# SPDX-License-Identifier: MIT
# HDF5: what h5py reads is what the decoder reads, record by record and field by field; h5dump reads it too; lost records are said; the
# same trace gives the same bytes; where the file cannot be written nothing is left.
#   hdf5_check.sh SYNTHETIC TRACE-COMMAND SOURCE-FOLDER
set -eu
synthetic=$1 trace=$2 here=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

check() {
    name=$1 lost=$2
    shift 2
    "$synthetic" "$name.mem" "$@" > /dev/null
    "$trace" show --events "$name.mem" 2> /dev/null > "$name.decoded" || [ $? = 4 ]
    "$trace" export "$name.mem" --hdf5 "$name.h5" 2> /dev/null || [ $? = 4 ]
    [ "$lost" = counted ] && lost=$((20000 - $(wc -l < "$name.decoded")))
    /usr/bin/python3 "$here/hdf5_lines.py" "$name.h5" "lost=$lost" > "$name.read"
    sort "$name.decoded" > "$name.a"
    sort "$name.read" | cmp - "$name.a"
    [ "$(wc -l < "$name.read")" -gt 100 ]
    echo "$name: $(wc -l < "$name.read") records of $(cut -d: -f1 "$name.read" | sed 's/.* //' | sort -u | wc -l) events agree"
}

check one 0 4096 1 5000 1 record
check four 0 4096 4 5000 2 record
check lost counted 128 1 20000 5 record
h5dump -H one.h5 | grep -q 'DATASET "sched_switch"'
"$trace" export one.mem --hdf5 again.h5
cmp one.h5 again.h5

if "$trace" export one.mem --hdf5 absent/one.h5 2> said; then
    echo "written into a folder that is not there"
    exit 1
fi
grep -q absent/one.h5 said
[ -z "$(ls ./*.unfinished 2> /dev/null)" ]
