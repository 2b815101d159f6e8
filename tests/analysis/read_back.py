#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Reads a result file with h5py alone, and with pandas where it is installed: no help of ours is needed.

Usage: read_back.py RESULTS_TOOL REFERENCES (the folder of the reference files). Makes its own synthetic file; also checks what a reader does with a file of a newer
minor (reads it) and of a newer major (refuses it, status 3).
"""
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

import h5py
import numpy

tool = os.path.abspath(sys.argv[1])
references = os.path.abspath(sys.argv[2])


def run(*arguments):
    return subprocess.run([tool, *arguments], capture_output=True, text=True)


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    assert run("make", "a.h5", "3", "0").returncode == 0
    exported = json.loads(run("export", "--json", "a.h5").stdout)

    with h5py.File("a.h5") as file:
        assert file.attrs["format"].decode() == "parangon results"
        assert (file.attrs["schema_major"], file.attrs["schema_minor"]) == (1, 2)
        assert json.loads(file["plan"][()])["experiment"] == "overhead"
        assert b"Linux version" in file["console/pv-default-main"][()]
        samples = file["samples"][...]
        assert len(samples) == len(exported) == 1890
        for ours, theirs in zip(exported, samples):
            for column, value in ours.items():
                cell = theirs[column]
                if value is None:
                    assert numpy.isnan(cell), column
                elif isinstance(value, str):
                    assert cell.decode() == value, column
                else:
                    assert cell == value, column
        gzip = samples[(samples["workload"] == b"gzip") & (samples["set"] == b"main")
                       & (samples["class"] == b"default") & (samples["flags"] == 0)]
        total = gzip["user"] + gzip["kernel"] + gzip["hypervisor"]
        native = numpy.median(total[gzip["platform"] == b"native"])
        ours = numpy.median(total[gzip["platform"] == b"pv"])
        assert 1 < ours / native < 1.01
        for table in ("workloads", "provenance", "inputs", "environment", "errors", "traces", "counters"):
            assert file[table].dtype.names, table
        units = {row["name"].decode(): row["unit"].decode() for row in file["counters"]}
        assert units["rep_bytes"] == "bytes" and units["cr3_load"] == "events"

    rows = {(row["workload"], row["platform"], row["class"]): row
            for row in json.loads(run("export", "--json", "--what", "rows", "a.h5").stdout)}
    assert abs(rows["gzip", "pv", "default"]["median"] - ours) < 1e-6

    # The reference of each schema has the same samples; 1.1 brought /histograms, 1.2 their instructions.
    for minor in (0, 1, 2):
        with h5py.File(f"{references}/reference-1.{minor}.h5") as file:
            assert (file.attrs["schema_major"], file.attrs["schema_minor"]) == (1, minor)
            of_reference = file["samples"][...]
            assert len(of_reference) == len(samples)
            for column in ("workload", "platform", "seed", "user", "kernel", "hypervisor"):
                assert (of_reference[column] == samples[column]).all(), (minor, column)
            assert ("histograms" in file) == (minor >= 1)
            if minor >= 1:
                bars = file["histograms"][...]
                assert bars["entries"].tolist() == [19994, 19993]
                assert ("instructions" in bars.dtype.names) == (minor >= 2)
            if minor >= 2:
                assert bars["instructions"].tolist() == [1600000, 0]

    try:
        import pandas
        with h5py.File("a.h5") as file:
            frame = pandas.DataFrame(file["samples"][...])
        assert frame["user"].sum() == samples["user"].sum()
        print("pandas: read")
    except ModuleNotFoundError:
        print("pandas: not installed, not tried")

    shutil.copy("a.h5", "minor.h5")
    with h5py.File("minor.h5", "r+") as file:
        file.attrs["schema_minor"] = numpy.uint32(7)
        file["novelty"] = numpy.arange(5)
        old = file["samples"][...]
        columns = [(name, old.dtype[name]) for name in old.dtype.names]
        new = numpy.empty(len(old), columns + [("novel_count", "<f8")])
        for name in old.dtype.names:
            new[name] = old[name]
        del file["samples"]
        file["samples"] = new
    assert run("report", "--no-figure", "minor.h5").stdout == run("report", "--no-figure", "a.h5").stdout

    shutil.copy("a.h5", "older.h5")
    with h5py.File("older.h5", "r+") as file:
        old = file["samples"][...]
        keep = [name for name in old.dtype.names if name not in ("rep_bytes",)]
        new = numpy.empty(len(old), [(name, old.dtype[name]) for name in keep])
        for name in keep:
            new[name] = old[name]
        del file["samples"]
        file["samples"] = new
    assert run("report", "--no-figure", "older.h5").returncode == 0

    shutil.copy("a.h5", "changed.h5")
    with h5py.File("changed.h5", "r+") as file:
        changed = file["samples"][...]
        changed["kernel"][3] += 1
        file["samples"][...] = changed
    answer = run("report", "--no-figure", "changed.h5")
    assert answer.returncode == 2 and "damaged" in answer.stderr, answer

    # One character of a console, and of the plan.
    for name in ("console/pv-default-main", "plan"):
        shutil.copy("a.h5", "changed.h5")
        with h5py.File("changed.h5", "r+") as file:
            text = file[name][()]
            assert hashlib.sha256(text).hexdigest() == file[name].attrs["sha256"].decode()
            file[name][()] = numpy.bytes_(text[:9] + b"!" + text[10:])
        answer = run("report", "--no-figure", "changed.h5")
        assert answer.returncode == 2 and "damaged" in answer.stderr, (name, answer)

    shutil.copy("a.h5", "major.h5")
    with h5py.File("major.h5", "r+") as file:
        file.attrs["schema_major"] = numpy.uint32(2)
    answer = run("report", "--no-figure", "major.h5")
    assert answer.returncode == 3 and answer.stderr.count("\n") == 1, answer
    assert "schema 2" in answer.stderr
    with h5py.File("foreign.h5", "w") as file:
        file["x"] = 1
    answer = run("report", "--no-figure", "foreign.h5")
    assert answer.returncode == 2 and "not a Parangon result" in answer.stderr, answer
    os.chdir("/")
print("read back: all agrees")
