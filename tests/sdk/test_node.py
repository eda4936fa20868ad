"""The Node clients of OpenAI, Anthropic and Google, and Vercel's framework, against the gateway. Each script of node/ runs once; each of its
checks, at each model where it takes one, is a test here."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from matrix import providers

FOLDER = Path(__file__).parent / "node"
MODELS = [f"{provider.name}/{provider.model}" for provider in providers.ALL if provider.name != "azure-classic"]
CLIENTS = [
    {"name": "web", "secret": "sk-client-web"},
    {"name": "limited", "secret": "sk-client-limited", "limits": {"rpm": 1}},
]


def checks_of(script):
    """As the script names them."""
    found = re.findall(r"^  async (\w+)\((\w*)\) \{", (FOLDER / script).read_text(), re.MULTILINE)
    return [f"{name} {model}".strip() for name, takes in found for model in (MODELS if takes else [""])]


CHECKS = [(script, check) for script in ("openai.mjs", "anthropic.mjs", "google.mjs", "framework.mjs") for check in checks_of(script)]


@pytest.fixture(scope="module")
def results(shared_stage):
    """A script's results, by the checks' names: it runs when the first of them is asked for."""
    if not shutil.which("node"):
        pytest.fail("node is not installed")
    sim = shared_stage.simulator(providers.scenario())
    done = {}

    def results_of(script):
        if script not in done:
            config = providers.config(sim.base_url.removesuffix("/v1"))
            config["clients"] = {"keys": CLIENTS}
            config["names"] = {"direct": True}
            config["models"] = {"one-of-ours": MODELS[0], "other-of-ours": MODELS[1]}
            gateway = shared_stage.gateway(config).settle()
            done[script] = played(script, gateway.base_url.removesuffix("/v1"))
        return done[script]

    return results_of


def played(script, root):
    command = ["node", str(FOLDER / script), root, *MODELS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and len(lines) == len(checks_of(script)), done.stdout + done.stderr
    return {line["check"]: line["error"] for line in lines}


@pytest.mark.parametrize(("script", "check"), CHECKS)
def test_node(results, script, check):
    if results(script)[check]:
        pytest.fail(results(script)[check], pytrace=False)
