"""Processes of the bench: started on a core, stopped by their own process id, whatever ends the run."""

import os
import signal
import socket
import subprocess
import time

from .programs import BenchError


def free_port():
    """A port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def family(pid):
    """The process and all that descend from it."""
    pids, waiting = [], [pid]
    while waiting:
        pids.append(waiting.pop())
        try:
            for thread in os.listdir(f"/proc/{pids[-1]}/task"):
                with open(f"/proc/{pids[-1]}/task/{thread}/children", encoding="ascii") as file:
                    waiting += map(int, file.read().split())
        except FileNotFoundError:
            pass
    return pids


def rss_anon_bytes(pids):
    """Anonymous resident memory: what the processes hold of their own, no code and no page cache."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            total += sum(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon:"))
    return total


def cpu_ns(pids):
    """CPU time of the processes so far, all threads."""
    total = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            try:
                with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                    total += int(file.read().split()[0])
            except FileNotFoundError:
                pass
    return total


class Processes:
    """All that a run has started. Leaving the `with` block stops every one, the last first."""

    def __init__(self, folder, nice=0):
        self.folder = folder
        self.nice = nice
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        while self.running:
            self.stop(self.running[-1])

    def prefix(self, core):
        """The words before a command that pin it to a core, and end it should bench/run itself be killed."""
        nice = ["nice", "-n", str(self.nice)] if self.nice else []
        return [*nice, "setpriv", "--pdeathsig", "TERM", "taskset", "-c", str(core)]

    def start(self, name, command, core, **streams):
        """Starts the command on a core; what it says on stderr goes to NAME.err of the run's folder."""
        with open(os.path.join(self.folder, name + ".err"), "ab") as complaints:
            # A session of its own: Ctrl-C reaches bench/run alone, which then stops the others in order.
            process = subprocess.Popen([*self.prefix(core), *command], cwd=self.folder, start_new_session=True,
                                       **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL,
                                          "stderr": complaints, **streams})
        process.bench_name = name
        self.running.append(process)
        return process

    def stop(self, process):
        if process in self.running:
            self.running.remove(process)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()

    def complaints(self, name):
        """The last lines that a process printed on stderr."""
        try:
            with open(os.path.join(self.folder, name + ".err"), encoding="utf-8", errors="replace") as file:
                return "".join(file.readlines()[-8:]).strip()
        except FileNotFoundError:
            return ""

    def wait_listening(self, process, port, seconds=20):
        end = time.monotonic() + seconds
        while not accepts(port):
            if process.poll() is not None or time.monotonic() > end:
                raise BenchError(f"{process.bench_name} does not listen: {self.complaints(process.bench_name)}")
            time.sleep(0.02)


def settle(pids, seconds=60):
    """Waits until the processes have nothing left to do (start-up probes, for one)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before = cpu_ns(pids)
        time.sleep(0.3)
        if cpu_ns(pids) - before < 0.02 * 0.3e9:
            return
