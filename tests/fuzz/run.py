#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a libFuzzer program for a while and says how long it has been run in all, and when it last found an edge.

What it finds is kept in a folder, so that the next run goes on from there: the inputs in corpus/, the times in
state.json, and an input that crashed beside them.
"""

import argparse
import hashlib
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

LINES_SHOWN = 60  # of what the program said before it failed


def read_state(path, program):
    """The state of an earlier run. Edges of another build are not counted on: they are other ones."""
    state = {"cpu_s": 0.0, "last_edge_cpu_s": 0.0, "edges": 0, "program": ""}
    if path.exists():
        state.update(json.loads(path.read_text()))
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    if state["program"] != digest:
        state.update(program=digest, edges=0)
    return state


def cpu_seconds_of(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def follow(process, state, base_s):
    """Notes when each edge is found; returns the last lines."""
    lines = []
    for line in process.stderr:
        lines = lines[1 - LINES_SHOWN :] + [line]
        found = re.match(r"#\d+\s+(\w+)\s+cov: (\d+)", line)
        if not found or found[1] == "READ" or int(found[2]) <= state["edges"]:
            continue
        # Those of the inputs that were there are none of this run's.
        if found[1] != "INITED" or state["edges"]:
            state["last_edge_cpu_s"] = base_s + cpu_seconds_of(process.pid)
        state["edges"] = int(found[2])
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("seeds", type=Path, help="the folder with the seeds")
    parser.add_argument("folder", type=Path, help="where to keep what is found")
    parser.add_argument("--seconds", type=int, required=True, help="how long to run")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers; 0: another one each time")
    arguments = parser.parse_args()

    corpus = arguments.folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    state_file = arguments.folder / "state.json"
    state = read_state(state_file, arguments.program)
    base_s = state["cpu_s"]
    process = subprocess.Popen(
        [
            arguments.program.resolve(),
            f"-max_total_time={arguments.seconds}",
            f"-seed={arguments.seed}",
            "-timeout=30",
            "-rss_limit_mb=2048",
            f"-artifact_prefix={arguments.folder}/",
            corpus,
            arguments.seeds,
        ],
        env=os.environ | {"ASAN_OPTIONS": "detect_leaks=0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    lines = follow(process, state, base_s)
    status = process.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    state["cpu_s"] = base_s + used.ru_utime + used.ru_stime
    state_file.write_text(json.dumps(state) + "\n")
    print(
        f"{arguments.program.name.removeprefix('fuzz_'):16} {state['cpu_s'] / 60:6.1f} min of CPU time in all, "
        f"{(state['cpu_s'] - state['last_edge_cpu_s']) / 60:6.1f} min since the last new edge, {state['edges']} edges",
        flush=True,
    )
    if status != 0:
        sys.stdout.writelines(lines)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
