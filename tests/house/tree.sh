# SPDX-License-Identifier: MIT
# Sourced by the house checks: the tree and its files. Sets root (the top of the tree) and changes into it.
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root" || exit 2
LC_ALL=C
export LC_ALL

# All files of the tree but what is built, fetched or measured; one a line, without ./ before it.
tree_files() {
    find . -type d \( -name .git -o -name 'build*' -o -name cache -o -name out \) -prune -o -type f -print |
        sed 's,^\./,,' | sort
}
