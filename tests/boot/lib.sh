# SPDX-License-Identifier: MIT
#
# What the boot tests share: finding QEMU and the guests, booting, and judging what the console says. Sourced by the
# scripts beside it, not run. Each takes -b FOLDER (the build folder), -k FOLDER (keep the consoles' logs there) and
# -n (the nightly, longer form); "$@" is what remains.
#
# QEMU and Debian's kernel are those of inputs.lock (in $PARANGON_CACHE, else cache/). What is missing makes a test
# answer 77, which ctest shows as skipped.
set -u
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${PARANGON_CACHE:-$root/cache}
build=${PARANGON_BUILD:-$root/build}
keep='' nightly=''
while getopts b:k:n option; do
    case $option in
    b) build=$OPTARG ;; k) keep=$OPTARG ;; n) nightly=1 ;;
    *) echo "usage: $0 [-b BUILD] [-k LOGS] [-n]" >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))

missing() { echo "tests/boot: $*" >&2; exit 77; }

. "$root/tests/qemu.sh"
hypervisor=$build/hv/parangon
micro=$build/guests/micro/micro
[ -f "$hypervisor" ] || missing "$hypervisor is not built"
[ -f "$micro" ] || missing "$micro is not built"

# Sets linux and ramdisk, or skips the test.
need_linux() {
    linux=$(input kernel)/vmlinux ramdisk=$build/guests/linux/initrd-micro.cpio
    [ -f "$linux" ] || missing "Debian's kernel is not in $cache"
    [ -f "$ramdisk" ] || missing "$ramdisk is not built"
    quiet='console=hvc0 quiet loglevel=1'
}

# Time by instructions: the same machine runs the same way each time.
counted='-icount shift=0,sleep=off -rtc base=2026-01-01T00:00:00,clock=vm -seed 1'

work=$(mktemp -d)
[ -z "$keep" ] || mkdir -p "$keep"
pid=
finish() { [ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$work"; }
trap finish EXIT
trap 'exit 130' INT TERM

passed=0 failed=0
pass() { passed=$((passed + 1)); }
fail() {
    failed=$((failed + 1))
    echo "FAIL $now: $*"
    grep -v '^MICRO\|^(d[0-9]*) MICRO' "$log" | tail -n 12 | sed 's/^/    | /'
}
# Close a script: its verdict and exit status.
verdict() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
    exit
}

# boot NAME QEMU-ARGUMENT...: run until the machine ends, or for $limit seconds. Its console is then in $log; $ended says
# whether it ended by itself. Options for all boots of a script stand in $machine.
limit=120 machine='-cpu qemu64 -m 256'
boot() {
    now=$1 log=$work/$1.log
    shift
    : >"$log.raw"
    # shellcheck disable=SC2086  # firmware and machine are words
    nice -n 10 timeout "$limit" "$qemu" $firmware -M pc -accel tcg -nodefaults -no-user-config -display none -no-reboot \
        -serial "file:$log.raw" $machine "$@" >"$log.qemu" 2>&1 </dev/null &
    pid=$!
    if wait "$pid"; then ended=1; else ended=; fi
    pid=
    tr -d '\r' <"$log.raw" >"$log"
    [ -z "$keep" ] || cp "$log" "$keep/"
    [ -s "$log" ] || cat "$log.qemu" >&2
}

# boot_bochs NAME SECONDS MIB PROCESSORS FILE STRING...: the same in Bochs, which has VMX (tests/bochs/run): the hypervisor with these
# modules, until the last domain has ended.
boot_bochs() {
    now=$1 log=$work/$1.log seconds=$2 memory=$3 processors=$4
    shift 4
    "$root/hv/iso/make-iso" "$work/$now.iso" "$hypervisor" console=com1 "$@" || missing 'no GRUB image can be made'
    "$root/tests/bochs/run" -m "$memory" -n "$processors" -t "$seconds" -e '^\(prg\) memory: .* 0 in boot modules|PANIC' "$work/$now.iso" "$log.raw" \
        >"$log.bochs" 2>&1 &
    pid=$!
    wait "$pid"
    status=$?
    pid=
    [ "$status" != 77 ] || missing "$(cat "$log.bochs")"
    ended=
    [ "$status" != 0 ] || ended=1
    tr -d '\r' <"$log.raw" >"$log"
    [ -z "$keep" ] || cp "$log" "$keep/"
}

# Of the last boot: the console has a line like this, and none like that.
says() { if grep -qE -- "$1" "$log"; then pass; else fail "the console does not say: $1"; fi; }
never_says() { if grep -qE -- "$1" "$log"; then fail "the console says: $(grep -E -m 1 -- "$1" "$log")"; else pass; fi; }
# How often it has such a line.
says_times() {
    n=$(grep -cE -- "$2" "$log")
    if [ "$n" = "$1" ]; then pass; else fail "$n times instead of $1: $2"; fi
}

# The machine powered off by itself, and nothing in the hypervisor went wrong.
ended_well() {
    if [ -n "$ended" ]; then pass; else fail "the machine did not end within $limit s"; fi
    never_says 'PANIC|Assertion|BUG'
}

# After the last domain there is as much memory as before the first: frames and objects, exactly.
memory_is_back() {
    memory=$(sed -n '/^(prg) memory: [0-9]* frames free,/s/[^0-9]\{1,\}/ /gp' "$log" |
        awk '{ sum[NR] = $1 + $2 + $3 + $4; objects[NR] = $5 }
             END { if (NR == 2 && sum[1] == sum[2] && objects[1] == objects[2]) print "same"
                   else print NR " lines: frames " sum[1] " then " sum[2] ", objects " objects[1] " then " objects[2] }')
    if [ "$memory" = same ]; then pass; else fail "memory did not come back: $memory"; fi
}

# All tests of all micro domains passed; the argument: how many such domains.
micro_passed() {
    says_times "$1" 'MICRO done pass=[0-9]+ fail=0 skip='
    never_says 'MICRO test [^ ]* fail'
}
