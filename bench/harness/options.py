"""What bench/run and bench/profile have in common: options, the folder of a run, how a run ends."""

import contextlib
import os
import resource
import shutil
import signal
import sys
import tempfile

from .programs import ROOT, BenchError, find_program
from .subjects import KINDS, Bellwether, Nginx


def add_common(parser):
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "bellwether"),
                        help="the gateway (default build/bellwether)")
    parser.add_argument("--cores", metavar="PROXY,LOAD", help="default: the first and the last that may be used")
    parser.add_argument("--nice", type=int, default=0, metavar="N", help="priority of all that is measured")
    parser.add_argument("--open", action="store_true", help="bellwether without client keys and their limits")
    parser.add_argument("--limit-headers", action="store_true",
                        help="the mock upstream sends the six x-ratelimit fields with answers that are no stream")
    parser.add_argument("--keep", action="store_true", help="keep the folder with configurations and logs")


def complete(options, subjects):
    """Fills in what depends on the machine, and finds the programs that are not ours."""
    options.subjects = subjects
    usable = sorted(os.sched_getaffinity(0))
    options.proxy_core, options.load_core = (
        map(int, options.cores.split(",")) if options.cores else (usable[0], usable[-1]))
    if set(subjects) - set(KINDS):
        raise BenchError("subjects are " + ", ".join(KINDS))
    if options.proxy_core == options.load_core:
        raise BenchError("the bench needs two cores: one for the proxy, one for load and mock upstream")
    for name in ("taskset", "setpriv"):
        find_program(name, name.upper())
    if "nginx" in subjects:
        Nginx.binary = find_program("nginx", "NGINX")
    Bellwether.binary = os.path.abspath(options.binary)
    if "bellwether" in subjects and not os.access(Bellwether.binary, os.X_OK):
        raise BenchError(f"{options.binary} is not there: scripts/build makes it, or measure the others with "
                         "--only none,nginx")


def raise_descriptors():
    """As many descriptors as may be had: root may have more than the hard limit says."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for limit in (max(hard, 65536), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return
        except (ValueError, OSError):
            continue


@contextlib.contextmanager
def run_folder(keep):
    """A folder for the configurations, logs and complaints of a run."""
    folder = tempfile.mkdtemp(prefix="bellwether-bench-")
    try:
        yield folder
    finally:
        if keep:
            print("kept", folder, file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _interrupted(signal_number, _frame):
    raise KeyboardInterrupt(signal_number)


def run_main(main):
    """Runs it so that whatever ends it, its processes and its folder go first."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupted)
    raise_descriptors()
    try:
        sys.exit(main())
    except BenchError as problem:
        sys.exit(f"bench: {problem}")
    except KeyboardInterrupt:
        sys.exit(130)
