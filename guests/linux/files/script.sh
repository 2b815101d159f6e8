# SPDX-License-Identifier: MIT
# A shell script of the everyday kind: cuts a text into pieces, counts, sorts, edits and compares them with the usual
# tools. About 50 programs. Arguments: the text, and a folder to work in (made and removed here).
set -eu
text=$1
work=$2

rm -rf "$work"
mkdir -p "$work/parts" "$work/out"
head -c 200000 "$text" >"$work/text"
split -l 2000 "$work/text" "$work/parts/"

# the most frequent words
tr -cs 'A-Za-z_' '\n' <"$work/text" | sort | uniq -c | sort -rn | head -n 50 >"$work/out/words"

# a report on every piece
for part in "$work"/parts/*; do
    name=${part##*/}
    lines=$(wc -l <"$part")
    defs=$(grep -c '^ *def ' "$part" || :)
    classes=$(grep -c '^class ' "$part" || :)
    longest=$(mawk '{ if (length($0) > n) n = length($0) } END { print n }' "$part")
    sed -e 's/self\.//g' -e 's/[ 	]*$//' -e '/^#/d' "$part" >"$work/out/$name.edited"
    left=$(wc -c <"$work/out/$name.edited")
    echo "$name $lines $defs $classes $longest $left" >>"$work/out/report"
done

# pure shell: a small loop over words, no process
set --
count=0
while read -r number word rest; do
    case $word in
    self | def | return) count=$((count + number)) ;;
    _*) count=$((count + 1)) ;;
    esac
done <"$work/out/words"

# names, sizes, columns
find "$work/out" -type f | sort >"$work/out/list"
xargs cat <"$work/out/list" | tr 'a-z' 'A-Z' | cut -c 1-40 | sort -u | wc -l >"$work/out/unique"
cut -d ' ' -f 2,3 "$work/out/report" | paste -s -d + >"$work/out/columns"
for i in 1 2 3; do
    cp "$work/out/report" "$work/out/report.$i"
    expr "$count" + "$i" >>"$work/out/report.$i"
    mv "$work/out/report.$i" "$work/out/report.$i.old"
done
cat "$work"/out/*.old | wc -c
tail -n 1 "$work/out/report"
echo "$count"
rm -rf "$work"
