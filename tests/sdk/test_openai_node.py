"""OpenAI's own Node client against the gateway. node/checks.mjs runs once; each of its checks is a test here."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from harness.fixtures import provider

SCRIPT = Path(__file__).parent / "node/checks.mjs"
CHECKS = re.findall(r"^  async (\w+)\(\) \{", SCRIPT.read_text(), re.MULTILINE)

# Each model of the gateway stands for a way that a provider behaves.
BEHAVIOURS = {
    "well": {},
    "two-calls": {"tool_calls": 2},
    "overloaded": {"faults": [503]},
    "cut": {"faults": [{"fault": "cut", "after": 3}]},
    "slow": {"latency": "30s"},
    "silent": {"faults": ["timeout"]},
    "long": {"min_tokens": 1000, "event_gap": "20ms"},
}
CLIENTS = [
    {"name": "web", "secret": "sk-client-web"},
    {"name": "narrow", "secret": "sk-client-narrow", "models": ["small-*"]},
    {"name": "limited", "secret": "sk-client-limited", "limits": {"rpm": 1}},
    {"name": "bursting", "secret": "sk-client-bursting", "limits": {"rpm": 100, "burst": 1}},
]


@pytest.fixture(scope="module")
def results(shared_stage):
    """What each check came to, by its name."""
    if not shutil.which("node"):
        pytest.fail("node is not installed")
    sim = shared_stage.simulator({"keys": {f"sk-up-{name}": facts for name, facts in BEHAVIOURS.items()}})
    providers = {name: provider(sim.base_url, [f"sk-up-{name}"]) for name in BEHAVIOURS}
    providers["silent"]["timeouts"] = {"first_byte": "200ms"}
    models = {name: f"{name}/gpt-4.1" for name in BEHAVIOURS}
    gateway = shared_stage.gateway(
        {
            "clients": {"keys": CLIENTS},
            "providers": providers,
            "models": {**models, "team/deep": "well/o4-mini"},
            "retry": {"base_delay": "1ms"},
        }
    )
    command = ["node", str(SCRIPT), gateway.base_url.removesuffix("/v1"), sim.base_url.removesuffix("/v1")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and len(lines) == len(CHECKS), done.stdout + done.stderr
    return {line["check"]: line["error"] for line in lines}


@pytest.mark.parametrize("check", CHECKS)
def test_node(results, check):
    if results[check]:
        pytest.fail(results[check], pytrace=False)
