"""One run's means: how a single measurement is made, what it says, and a line of the table."""

import json
import os
import statistics
import subprocess
from dataclasses import dataclass, field

from .programs import BenchError, find_program
from .subjects import KINDS

# A core that is busy for this share of the time is full; the rest is the kernel's own.
FULL = 0.95
# Others may have this share of a core, or the measurement is made again.
QUIET = 0.08


@dataclass
class Line:
    """One line of the table: a number per subject, and what the gateway's has to be."""
    row: str
    what: str
    unit: str
    rounds: dict
    target: float | None          # None: shown, not judged
    at_most: bool = True
    reference: str = "nginx"      # whose median the gateway's is divided by; empty: the target is absolute
    bottleneck: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)

    def median(self, subject):
        values = self.rounds.get(subject)
        return statistics.median(values) if values else None

    @property
    def subject(self):
        return "bellwether" if "bellwether" in self.rounds else None

    @property
    def compared(self):
        """What is held against the target: a ratio, or the median itself. None when there is nothing to compare."""
        ours = self.median(self.subject) if self.subject else None
        if ours is None or not self.reference:
            return ours
        theirs = self.median(self.reference)
        return ours / theirs if theirs else None

    @property
    def holds(self):
        if self.compared is None or self.target is None:
            return None
        return self.compared <= self.target if self.at_most else self.compared >= self.target

    def as_dict(self):
        return {"row": self.row, "what": self.what, "unit": self.unit, "target": self.target,
                "at_most": self.at_most, "reference": self.reference, "rounds": self.rounds,
                "medians": {name: self.median(name) for name in self.rounds}, "compared": self.compared,
                "holds": self.holds, "bottleneck": self.bottleneck, "notes": self.notes}


class Bench:
    """One run: its options, its programs, its folder, and how a single measurement is made."""

    def __init__(self, options, programs, processes):
        self.options, self.programs, self.processes = options, programs, processes
        self.folder = processes.folder
        self.tls_folder = ""
        self.wrap = []                # words before each subject's command

    def start_mock(self, *arguments):
        process = self.processes.start("mock", [self.programs["mock"], *map(str, arguments)],
                                       self.options.load_core, stdout=subprocess.PIPE)
        said = process.stdout.readline()
        if not said:
            raise BenchError("the mock upstream does not start: " + self.processes.complaints("mock"))
        places = json.loads(said)
        process.port, process.second_port = places["port"], places.get("second_port", 0)
        return process

    def start_subjects(self, mock, setting, kinds=None):
        setting.is_open = self.options.open
        kinds = self.options.subjects if kinds is None else [k for k in kinds if k in self.options.subjects]
        subjects = [KINDS[kind](self.processes, self.options.proxy_core, mock.port, setting) for kind in kinds]
        for subject in subjects:
            subject.wrap = self.wrap
            subject.start()
        return subjects

    def stop(self, mock, subjects):
        for subject in subjects:
            subject.stop()
        self.processes.stop(mock)

    def write_requests(self, name, requests):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(b"".join(requests))
        return path

    def load_command(self, subject, requests, connections, *arguments):
        return [self.programs["load"], "--port", str(subject.port), "--requests", requests,
                "--connections", str(connections), *arguments]

    def measure(self, subject, mock, requests, connections):
        """One measurement, the quietest of some when others disturb it; returns the load generator's account of it."""
        tries = []
        while len(tries) < self.options.tries and (not tries or self.disturbance(tries[-1]) > QUIET):
            tries.append(self.measure_once(subject, mock, requests, connections))
        return min(tries, key=self.disturbance)

    def disturbance(self, result):
        """The share of the two cores that neither the bench nor idling had: other processes, the hypervisor."""
        cores = result["cpu"]["cores"].values()
        taken = sum(core["busy_ms"] + core["stolen_ms"] for core in cores) / result["seconds"] / 1e3
        return taken - share(result, *result["cpu"]["groups"])

    def measure_once(self, subject, mock, requests, connections):
        options = self.options
        arguments = ["--warm-up", str(options.warm_up), "--seconds", str(options.seconds),
                     "--cores", f"{options.proxy_core},{options.load_core}", "--watch", f"mock={mock.pid}"]
        if subject.pids:
            arguments += ["--watch", "proxy=" + ",".join(map(str, subject.pids))]
        command = self.load_command(subject, requests, connections, *arguments)
        process = self.processes.start("load", command, options.load_core, stdout=subprocess.PIPE)
        said = process.stdout.read()
        status = process.wait()
        self.processes.stop(process)
        subject.empty_log()
        if status != 0:
            raise BenchError(f"the load on {subject.label} failed: {self.processes.complaints('load')}")
        result = json.loads(said)
        if result["errors"]:
            raise BenchError(f"{result['errors']} of {result['answers']} answers of {subject.label} were wrong; "
                             f"the last status was {result['last_bad_status']}")
        return result

    def interleave(self, subjects, measure):
        """Measures all subjects once a round, each round beginning with another. Returns {label: [result, …]}."""
        results = {subject.label: [] for subject in subjects}
        for turn in range(self.options.rounds):
            first = turn % len(subjects)
            for subject in subjects[first:] + subjects[:first]:
                results[subject.label].append(measure(subject))
        return results

    def tls(self):
        """A CA and a certificate of our own, made for this run alone."""
        if not self.tls_folder:
            folder = os.path.join(self.folder, "tls")
            os.mkdir(folder)
            make_certificates(folder)
            self.tls_folder = folder
        return self.tls_folder


def make_certificates(folder):
    openssl = find_program("openssl", "OPENSSL")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    with open(os.path.join(folder, "names"), "w", encoding="ascii") as file:
        file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    for command in (
            ["req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=bench CA",
             "-addext", "keyUsage=critical,keyCertSign"],
            ["req", *curve, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost"],
            ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
             "-out", "server.pem", "-days", "2", "-extfile", "names"]):
        done = subprocess.run([openssl, *command], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BenchError("openssl: " + done.stderr)


# What a measurement says.

def share(result, *names):
    groups = result["cpu"]["groups"]
    return sum(groups[name]["ran_ns"] for name in names if name in groups) / (result["seconds"] * 1e9)


def proxy_us_per(result, count):
    if "proxy" not in result["cpu"]["groups"] or not count:
        return None
    return result["cpu"]["groups"]["proxy"]["ran_ns"] / count / 1e3


def bottleneck(bench, results):
    """Which core was full, from the medians of a subject's rounds: {side: share, …, "is": words}."""
    median = statistics.median
    proxy = median(share(result, "proxy") for result in results)
    waited = median(result["cpu"]["groups"].get("proxy", {}).get("waited_ns", 0) / result["seconds"] / 1e9
                    for result in results)
    load = median(share(result, "load") for result in results)
    mock = median(share(result, "mock") for result in results)
    cores = (str(bench.options.proxy_core), str(bench.options.load_core))
    busy = [median(result["cpu"]["cores"][core]["busy_ms"] / result["seconds"] / 1e3 for result in results)
            for core in cores]
    stolen = max(result["cpu"]["cores"][core]["stolen_ms"] / result["seconds"] / 1e3
                 for core in cores for result in results)
    others = max(0.0, busy[0] - proxy), max(0.0, busy[1] - load - mock)
    if proxy + waited >= FULL:
        named = "proxy"
    elif load + mock >= FULL:
        named = "load+mock"
    else:
        named = "a core that others used" if max(others) > QUIET else "nothing"
    return {"is": named, "proxy": proxy, "proxy_waited": waited, "load": load, "mock": mock,
            "others_on_proxy_core": others[0], "others_on_load_core": others[1], "stolen": stolen}


def bottlenecks(bench, results):
    return {label: bottleneck(bench, rounds) for label, rounds in results.items()}


def numbers(results, read):
    """{label: [number, …]} of the subjects that have one."""
    rounds = {label: [read(result) for result in list_] for label, list_ in results.items()}
    return {label: values for label, values in rounds.items() if None not in values}


def cpu_line(bench, row, what, unit, results, count, target, **more):
    return Line(row, what, unit, numbers(results, lambda result: proxy_us_per(result, count(result))), target,
                bottleneck=bottlenecks(bench, results), **more)


def rate_line(bench, row, what, unit, results, count, target, **more):
    return Line(row, what, unit, numbers(results, lambda result: count(result) / result["seconds"]), target,
                at_most=False, bottleneck=bottlenecks(bench, results), **more)
