"""The suites of scripts/test: builds what each needs, runs it, counts single tests, and stops whatever it started."""

import argparse
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree
from dataclasses import dataclass, field

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOGS = os.path.join(ROOT, "build-test-logs")
VENV = os.path.join(ROOT, ".venv")
REQUIREMENTS = os.path.join(ROOT, "tests/blackbox/requirements.txt")
NODE = os.path.join(ROOT, "tests/sdk/node")
ASAN_BUILD, CLANG_BUILD = "build-test-asan", "build-test-clang"
TSAN_BUILD, FUZZ_BUILD = "build-test-tsan", "build-test-fuzz"
BINARY = "src/cli/bellwether"

# A finding ends the process, so that no test can pass over it.
SANITIZER_ENV = {
    "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:second_deadlock_stack=1:suppressions="
    + os.path.join(ROOT, "tests/tsan.supp"),
}


def say(text):
    print(f"test: {text}", flush=True)


@dataclass
class Result:
    passed: int = 0
    skipped: int = 0
    failures: list = field(default_factory=list)

    def add(self, is_passed, name):
        if is_passed:
            self.passed += 1
        else:
            self.failures.append(name)


class StepFailed(Exception):
    """A step that a suite stands on (a build, an installation) did not work out."""


class Runner:
    """Runs commands in sessions of their own, so that a time-out or an interrupt ends all that they started."""

    def __init__(self):
        self.sessions = set()

    def run(self, command, log, timeout, env=None):
        """The exit status of `command`, its output appended to build-test-logs/LOG; -1 after `timeout` seconds."""
        with open(os.path.join(LOGS, log), "ab") as output:
            output.write(f"\n$ {' '.join(command)}\n".encode())
            output.flush()
            process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )
            self.sessions.add(process.pid)
            try:
                return process.wait(timeout)
            except subprocess.TimeoutExpired:
                output.write(f"\nstopped after {timeout} s\n".encode())
                return -1
            finally:
                self.end_session(process.pid)
                process.wait()

    def end_session(self, session):
        """Also what a command left behind when it ended well."""
        try:
            os.killpg(session, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.sessions.discard(session)

    def end_all(self):
        for session in list(self.sessions):
            self.end_session(session)

    def must(self, what, command, log, timeout=900, env=None):
        if self.run(command, log, timeout, env) != 0:
            raise StepFailed(f"{what} failed: build-test-logs/{log}")


def tail(log, lines=40):
    with open(os.path.join(LOGS, log), encoding="utf-8", errors="replace") as file:
        return "".join(file.readlines()[-lines:])


def digest(*parts):
    sha = hashlib.sha256()
    for part in parts:
        if os.path.isfile(part):
            with open(part, "rb") as file:
                sha.update(file.read())
        else:
            sha.update(part.encode())
    return sha.hexdigest()


def read_or_empty(path):
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as file:
        return file.read()


def starts_threads(test):
    """Whether the unit test FOLDER-NAME, or the folder of src/ that it tests, starts threads."""
    folder, name = test.split("-", 1)
    sources = [f"tests/{folder}/test_{name.replace('-', '_')}.c", *glob.glob(f"src/{folder}/*.c", root_dir=ROOT)]
    return any("pthread_create" in read_or_empty(os.path.join(ROOT, source)) for source in sources)


class Suites:
    def __init__(self, runner, only):
        self.runner = runner
        self.only = only
        self.steady = self.find_steady()
        self.pytest_env = None

    def find_steady(self):
        """Older sanitizer runtimes fail at random where the kernel spreads mappings widely: run without that, if allowed."""
        setarch = shutil.which("setarch")
        if setarch and subprocess.run([setarch, "-R", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return [setarch, "-R"]
        return []

    def selected(self, name):
        return not self.only or self.only in name

    # -- building ---------------------------------------------------------------------------------------------------

    def configure(self, directory, log, options, env):
        """Made anew when its options are others than those that it was made with."""
        path = os.path.join(ROOT, directory)
        stamp, wanted = os.path.join(path, ".options"), digest(*options, *env.values())
        if not os.path.exists(os.path.join(path, "build.ninja")) or read_or_empty(stamp) != wanted:
            shutil.rmtree(path, ignore_errors=True)
            command = ["meson", "setup", directory, "-Db_colorout=never", *options]
            self.runner.must(f"configuring {directory}", command, log, env=env)
            with open(stamp, "w", encoding="ascii") as file:
                file.write(wanted)

    def build(self, directory, log, options, env, targets=()):
        self.configure(directory, log, options, env)
        self.runner.must(f"building {directory}", [*self.steady, "ninja", "-C", directory, *targets], log)

    def build_asan(self, targets=()):
        self.build(
            ASAN_BUILD, "build-asan.log",
            ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dfaults=true",
             "-Dc_args=-fno-omit-frame-pointer -fno-sanitize-recover=undefined"],
            env={"CC": "gcc"}, targets=targets,
        )

    def build_tsan(self):
        self.build(
            TSAN_BUILD, "build-tsan.log", ["-Db_sanitize=thread", "-Db_lundef=false", "-Dc_args=-fno-omit-frame-pointer -Wno-tsan"],
            env={"CC": "gcc"},
        )

    # -- meson's unit tests -----------------------------------------------------------------------------------------

    def unit_tests(self, directory, log, wanted=lambda name: True):
        """Runs meson's tests and counts the single cmocka tests by their TAP lines."""
        names = [name for name in self.meson_tests(directory) if wanted(name) and self.selected(name)]
        result = Result()
        if not names:
            return result
        logfile = os.path.join(ROOT, directory, "meson-logs/testlog.json")
        if os.path.exists(logfile):
            os.remove(logfile)
        command = [*self.steady, "meson", "test", "-C", directory, "--no-rebuild", "--print-errorlogs", *names]
        env = {**SANITIZER_ENV, "CMOCKA_MESSAGE_OUTPUT": "TAP"}
        status = self.runner.run(command, log, 600, env)
        if os.path.exists(logfile):
            with open(logfile, encoding="utf-8") as file:
                for line in file:
                    self.count_tap(json.loads(line), result)
        if status != 0 and not result.failures:
            result.add(False, f"meson test in {directory} (exit status {status})")
        return result

    def meson_tests(self, directory):
        output = subprocess.run(
            ["meson", "introspect", "--tests", directory], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        return sorted({test["name"] for test in json.loads(output)})

    @staticmethod
    def count_tap(test, result):
        lines = re.findall(r"^(not ok|ok) \d+ (?:- )?(.*)$", test.get("stdout", ""), re.MULTILINE)
        is_failed = False
        for verdict, name in lines:
            if "# SKIP" in name:
                result.skipped += 1
            else:
                result.add(verdict == "ok", f"{test['name']}: {name}")
                is_failed |= verdict != "ok"
        # No lines, or all well and the process failed all the same: a leak, a crash.
        if not lines or (test["result"] != "OK" and not is_failed):
            result.add(test["result"] == "OK", f"{test['name']} ({test['result']})")

    # -- the suites -------------------------------------------------------------------------------------------------

    def gates(self):
        """layers, sizes, style, tables against their documents, and the tests of these gates"""
        result = Result()
        checks = {
            "layers": ["scripts/check-layers"],
            "size": ["scripts/check-size", "--quiet"],
            "style": ["scripts/check-style"],
            "document tables": ["scripts/doc-tables", "--check"],
        }
        for name, command in checks.items():
            if self.selected(name):
                status = self.runner.run([sys.executable, *command], "gates.log", 60)
                result.add(status == 0, f"gate {name}")
        if self.selected("gates"):
            self.runner.run([sys.executable, "-m", "unittest", "discover", "-v", "-s", "tests/scripts"], "gates-unit.log", 120)
            for name, verdict in re.findall(r"^(test_\w+) .*\.\.\. (\w+)$", tail("gates-unit.log", 500), re.MULTILINE):
                result.add(verdict == "ok", name)
        return result

    def unit(self):
        """the unit tests under gcc, with the address and the undefined behaviour sanitizers"""
        self.build_asan()
        return self.unit_tests(ASAN_BUILD, "unit.log")

    def clang(self):
        """everything built by clang, the unit tests run"""
        self.build(CLANG_BUILD, "build-clang.log", ["-Dbench=true"], env={"CC": "clang"})
        return self.unit_tests(CLANG_BUILD, "clang.log")

    def release(self):
        """the release binary builds, shows the demo and takes the documents' examples"""
        result = Result()
        checks = {
            "release build": ["scripts/build", "--no-setup"],
            "demo": ["build/bellwether", "demo", "--once"],
            "examples of the documents": [sys.executable, "scripts/check-examples", "build/bellwether"],
        }
        for name, command in checks.items():
            if self.selected(name):
                result.add(self.runner.run(command, "release.log", 900) == 0, name)
        return result

    def threads(self):
        """what runs on several threads, in unit tests and over several workers, with the thread sanitizer"""
        self.build_tsan()
        result = self.unit_tests(TSAN_BUILD, "threads.log", starts_threads)
        return self.pytest("threads", TSAN_BUILD, ["-m", "threads"], result)

    def fuzz(self):
        """every fuzz target over its corpus"""
        options = ["-Dfuzzers=true", "-Dtests=false", "-Db_sanitize=address,undefined", "-Db_lundef=false"]
        env = {"CC": "clang"}
        self.configure(FUZZ_BUILD, "build-fuzz.log", options, env)
        targets = self.fuzz_targets()
        self.build(FUZZ_BUILD, "build-fuzz.log", options, env=env, targets=targets)
        result = Result()
        for target in filter(self.selected, targets):
            name = os.path.basename(target).removeprefix("fuzz_")
            corpus = f"fuzz/corpus/{name}"
            if not os.path.isdir(os.path.join(ROOT, corpus)):
                result.add(False, f"fuzz {name}: no corpus in {corpus}")
                continue
            command = [*self.steady, os.path.join(ROOT, FUZZ_BUILD, target), "-runs=0", corpus]
            result.add(self.runner.run(command, "fuzz.log", 300, SANITIZER_ENV) == 0, f"fuzz {name}")
        return result

    def fuzz_targets(self):
        output = subprocess.run(
            ["meson", "introspect", "--targets", FUZZ_BUILD], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        directory = os.path.realpath(os.path.join(ROOT, FUZZ_BUILD))
        return sorted(
            os.path.relpath(os.path.realpath(target["filename"][0]), directory)
            for target in json.loads(output)
            if target["type"] == "executable" and "/fuzz/" in target["defined_in"]
        )

    def blackbox(self):
        """a running gateway, built with the sanitizers, and the providers' own clients"""
        self.build_asan([BINARY])
        return self.pytest("blackbox", ASAN_BUILD, [], Result())

    def openbao(self):
        """the tests that ask a Vault, against a real OpenBao server"""
        self.build_asan([BINARY])
        return self.pytest("openbao", ASAN_BUILD, ["-m", "vault"], Result(), {"OPENBAO": find_openbao()})

    # -- pytest -----------------------------------------------------------------------------------------------------

    def pytest(self, name, build, options, result, more_env=None):
        folders = [folder for folder in ("tests/blackbox", "tests/sdk") if self.holds_tests(folder)]
        if not folders:
            return result
        self.prepare_pytest()
        report = os.path.join(LOGS, f"{name}.xml")
        if os.path.exists(report):
            os.remove(report)
        only = ["-k", self.only] if self.only else []
        command = [*self.steady, os.path.join(VENV, "bin/python"), "-m", "pytest", "-q", "-p", "no:cacheprovider",
                   f"--junitxml={report}", *options, *only, *folders]
        env = {**SANITIZER_ENV, "BELLWETHER": os.path.join(ROOT, build, BINARY), "PYTHONDONTWRITEBYTECODE": "1",
               "PATH": os.path.join(ROOT, "build-tools/bin") + ":" + os.environ["PATH"], "OPENBAO": "", **(more_env or {})}
        status = self.runner.run(command, f"{name}-pytest.log", 2400, env)
        failures = len(result.failures)
        if os.path.exists(report):
            for case in xml.etree.ElementTree.parse(report).iter("testcase"):
                kinds = {child.tag for child in case}
                if "skipped" in kinds:
                    result.skipped += 1
                else:
                    result.add(not kinds & {"failure", "error"}, f"{case.get('classname')}::{case.get('name')}")
        # 5: nothing was selected.
        if status not in (0, 5) and len(result.failures) == failures:
            result.add(False, f"pytest {name} (exit status {status})")
        return result

    @staticmethod
    def holds_tests(folder):
        for _, subdirectories, names in os.walk(os.path.join(ROOT, folder)):
            subdirectories[:] = [d for d in subdirectories if d != "node_modules"]
            if any(re.match(r"test_.*\.py$", name) for name in names):
                return True
        return False

    def prepare_pytest(self):
        """The pinned Python and Node packages, installed when their lists have changed."""
        wanted = digest(REQUIREMENTS, sys.version)
        self.unless_stamped(os.path.join(VENV, ".stamp"), wanted, "the Python packages of the black-box tests", [
            [sys.executable, "-m", "venv", "--clear", VENV],
            [os.path.join(VENV, "bin/pip"), "install", "--disable-pip-version-check", "--no-input", "-r", REQUIREMENTS],
        ])
        lock = os.path.join(NODE, "package-lock.json")
        if os.path.exists(lock):
            self.unless_stamped(os.path.join(NODE, "node_modules/.stamp"), digest(lock), "the Node packages of the SDK tests", [
                ["npm", "ci", "--prefix", NODE, "--no-audit", "--no-fund", "--ignore-scripts"],
            ])

    def unless_stamped(self, stamp, wanted, what, commands):
        if read_or_empty(stamp) == wanted:
            return
        say(f"  installing {what}")
        for command in commands:
            self.runner.must(f"installing {what}", command, "install.log", 600)
        with open(stamp, "w", encoding="ascii") as file:
            file.write(wanted)


def find_openbao():
    """The path of its server; None where there is none."""
    return shutil.which(os.environ.get("OPENBAO") or "bao")


NAMES = ("gates", "unit", "clang", "release", "threads", "fuzz", "blackbox")


def run_suite(suites, name):
    suite = getattr(suites, name)
    say(f"{name}: {suite.__doc__}")
    started = time.monotonic()
    try:
        result = suite()
    except StepFailed as error:
        result = Result()
        result.add(False, str(error))
        print(tail(re.search(r"build-test-logs/(.*)$", str(error)).group(1)), flush=True)
    for failure in result.failures:
        say(f"  FAILED {name}: {failure}")
    skipped = f", {result.skipped} skipped" if result.skipped else ""
    say(f"  {result.passed} passed, {len(result.failures)} failed{skipped} in {time.monotonic() - started:.0f} s")
    return result


def show_logs(names):
    """What a reader of CI's output needs, since the logs stay behind on its machine."""
    for log in sorted(os.listdir(LOGS)):
        suite = re.match(r"[a-z]+", log).group(0)
        if suite in names and log.endswith(".log"):
            print(f"---- the end of build-test-logs/{log}\n{tail(log, 60)}", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="scripts/test")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=" ".join(NAMES))
    parser.add_argument("--openbao", action="store_true", help="the tests that ask a Vault, against a real OpenBao server")
    parser.add_argument("--only", metavar="NAME", help="only tests whose name holds NAME")
    parser.add_argument("--no-setup", action="store_true", help="install no packages")
    options = parser.parse_args()
    unknown = [name for name in options.suites if name not in NAMES]
    if unknown:
        parser.error(f"unknown suite {unknown[0]}; one of {', '.join(NAMES)}")
    if options.openbao and not find_openbao():
        parser.error("--openbao needs OpenBao's server: install it (openbao.org) as `bao`, or name it in $OPENBAO")
    names = [*options.suites, *(["openbao"] if options.openbao else [])] or NAMES

    os.makedirs(LOGS, exist_ok=True)
    for name in os.listdir(LOGS):
        os.remove(os.path.join(LOGS, name))
    runner = Runner()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        suites = Suites(runner, options.only)
        results = {name: run_suite(suites, name) for name in names}
    finally:
        runner.end_all()
    failed = sum(len(result.failures) for result in results.values())
    if failed:
        show_logs([name for name, result in results.items() if result.failures])
        for name, result in results.items():
            for failure in result.failures:
                say(f"FAILED {name}: {failure}")
    print(f"{sum(result.passed for result in results.values())} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
