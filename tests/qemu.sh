# SPDX-License-Identifier: MIT
# Sourced by tests that boot machines, with $cache set: input ROLE, the folder in which the package of a role of
# inputs.lock is unpacked; qemu and firmware, the pinned QEMU and its folders, else that of the system. Calls missing MESSAGE,
# which the test defines, where there is none.
input() { [ -f "$cache/role-$1" ] && echo "$cache/$(cut -d' ' -f1 "$cache/role-$1")"; }

if folder=$(input qemu) && [ -x "$folder/usr/bin/qemu-system-x86_64" ]; then
    qemu=$folder/usr/bin/qemu-system-x86_64
    firmware="-L $(input qemu-data)/usr/share/qemu -L $(input seabios)/usr/share/seabios"
else
    qemu=$(command -v qemu-system-x86_64) || missing "no QEMU: neither in $cache nor on the system"
    firmware=
fi
