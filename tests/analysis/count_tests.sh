#!/bin/sh
# SPDX-License-Identifier: MIT
# Run a Criterion program and demand that it passes and that exactly so many tests ran.
# Usage: count_tests.sh PROGRAM NUMBER
set -u
summary=$("$1" 2>&1) || { echo "$summary"; exit 1; }
echo "$summary" | tail -1
echo "$summary" | grep -q "Tested: $2 " || { echo "FAILED: not $2 tests"; exit 1; }
