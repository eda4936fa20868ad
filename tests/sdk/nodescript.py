"""The scripts of node/: each runs once, and prints a line of JSON for each of its checks."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "node"


def text_of(script):
    return (FOLDER / script).read_text()


def played(script, *arguments, count):
    """What went wrong in each check, by its name; None where nothing did. There must be `count` of them."""
    if not shutil.which("node"):
        pytest.fail("node is not installed")
    command = ["node", str(FOLDER / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and len(lines) == count, done.stdout + done.stderr
    return {line["check"]: line["error"] for line in lines}


def expect_none(error):
    if error:
        pytest.fail(error, pytrace=False)
