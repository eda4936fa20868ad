"""The bench's own C programs: built when they are not there or older than their source."""

import os
import shutil
import subprocess
import sys

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(BENCH)
BUILD = os.path.join(ROOT, "build-bench")

SOURCES = {
    "mock": (["mock.c", "answers.c", "messages.c", "render.c", "pace.c", "peer.c", "request.c", "common.c", "hist.c"], ["-lssl", "-lcrypto"]),
    "load": (["load.c", "reply.c", "cpu.c", "common.c", "hist.c"], []),
    "start": (["start.c", "reply.c", "common.c", "hist.c"], []),
}


class BenchError(Exception):
    """What the user can do something about; printed without a trace."""


def find_program(name, variable):
    """The path of a program: from the environment's variable, PATH or the sbin folders."""
    places = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin"
    wanted = os.environ.get(variable) or name
    found = shutil.which(wanted, path=places)
    if found is None:
        raise BenchError(f"{wanted} is not installed (scripts/setup bench installs it; or set {variable})")
    return found


def _is_stale(target, sources):
    if not os.path.exists(target):
        return True
    inputs = [os.path.join(BENCH, name) for name in os.listdir(BENCH) if name.endswith(".h")] + sources
    return max(map(os.path.getmtime, inputs)) > os.path.getmtime(target)


def build():
    """Compiles what is stale. Returns {name: path}."""
    os.makedirs(BUILD, exist_ok=True)
    paths = {}
    for name, (files, libraries) in SOURCES.items():
        target = os.path.join(BUILD, "bench-" + name)
        sources = [os.path.join(BENCH, file) for file in files]
        if _is_stale(target, sources):
            command = [os.environ.get("CC", "cc"), "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra",
                       *sources, *libraries, "-o", target + ".new"]
            print("bench: compiling", name, file=sys.stderr)
            if subprocess.run(command, check=False).returncode != 0:
                raise BenchError(f"{name} does not compile")
            os.replace(target + ".new", target)
        paths[name] = target
    return paths
