# SPDX-License-Identifier: MIT
"""Print a trace that was exported as HDF5 as `parangon trace show --events` does, lines in any order: h5py reads all without help.

    hdf5_lines.py FILE.h5 [NAME=NUMBER...]      and hold attributes of the file to these numbers
"""
import sys

import h5py

file = h5py.File(sys.argv[1], "r")
for wanted in sys.argv[2:]:
    name, number = wanted.split("=")
    if file.attrs[name] != int(number):
        sys.exit(f"attribute {name} is {file.attrs[name]}, not {number}")
for event, table in file["events"].items():
    fields = table.dtype.names[3:]
    labels = {}
    for field in table.dtype.names:
        values = h5py.check_enum_dtype(table.dtype[field])
        labels[field] = {number: label for label, number in values.items()} if values else {}
    hexadecimal = {field for field in fields if table.attrs[f"unit:{field}"] == b"HEX"}
    for row in table[:]:
        text = []
        for field in fields:
            number = int(row[field])
            shown = labels[field].get(number) or (f"0x{number:X}" if field in hexadecimal else str(number))
            text.append(f"{field} = {shown}")
        ring = " nmi" if labels["ring"][int(row["ring"])] == "nmi" else ""
        print(f"[{int(row['time'])}] cpu {row['cpu']}{ring} {event}: {', '.join(text)}")
