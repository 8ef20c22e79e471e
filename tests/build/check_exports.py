#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares what the public headers declare DX_API with what the shared library exports: neither has more.

usage: check_exports.py INCLUDE_DIR LIBRARY [PRIVATE_HEADER...]

Private headers, by their paths below the source's root, declare what is exported for programs of ours alone.
"""

import os
import re
import shlex
import subprocess
import sys


def declared(include, private, compiler):
    """Names declared with default visibility, and the header each stands in."""
    headers = sorted(h for h in os.listdir(os.path.join(include, "dextral")) if h.endswith(".h"))
    source = "".join(f"#include <dextral/{h}>\n" for h in headers) + "".join(f'#include "{h}"\n' for h in private)
    text = subprocess.run(compiler + ["-E", "-xc", "-std=gnu17", "-I", include, "-I", os.path.dirname(include), "-"],
                          input=source, capture_output=True, text=True, check=True).stdout
    where, lines = "", []
    names = {}
    for line in text.splitlines():
        marker = re.match(r'# \d+ "([^"]*)"', line)
        if marker:
            where = marker.group(1)
        elif "/dextral/" in where or where.endswith(tuple(private)):
            lines.append((where, line))
    code = "\n".join(line for _, line in lines)
    mark = r'__attribute__\s*\(\s*\(\s*visibility\s*\(\s*"default"\s*\)\s*\)\s*\)'
    for match in re.finditer(mark + r"([^;{]*)[;{]", code):
        declaration = match.group(1)
        # Other attributes may stand anywhere in it.
        declaration = re.sub(r"__attribute__\s*\(\(.*?\)\)", " ", declaration, flags=re.S)
        name = re.search(r"(\w+)\s*(?:\(|\[|=|$)", declaration.strip())
        names[name.group(1)] = declaration
    return names


def exported(library):
    out = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1].split("@")[0] for line in out.splitlines() if line.split()[-2] not in ("A", "w")}


def main():
    include, library, *private = sys.argv[1:]
    in_headers = set(declared(include, private, shlex.split(os.environ.get("CC", "cc"))))
    in_library = exported(library)
    missing = sorted(in_headers - in_library)
    extra = sorted(in_library - in_headers)
    for name in missing:
        print(f"declared, not in the library: {name}")
    for name in extra:
        print(f"in the library, not declared: {name}")
    print(f"{len(in_headers)} names declared, {len(in_library)} exported")
    return 1 if missing or extra or not in_headers else 0


if __name__ == "__main__":
    sys.exit(main())
