"""OpenAI's own Node client against the gateway. node/checks.mjs runs once; each of its checks is a test here."""

import re

import nodescript
import pytest
from harness.fixtures import provider
from matrix.providers import clients

CHECKS = re.findall(r"^  async (\w+)\(\) \{", nodescript.text_of("checks.mjs"), re.MULTILINE)

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


@pytest.fixture(scope="module")
def results(shared_stage):
    """What each check came to, by its name."""
    sim = shared_stage.simulator({"keys": {f"sk-up-{name}": facts for name, facts in BEHAVIOURS.items()}})
    providers = {name: provider(sim.base_url, [f"sk-up-{name}"]) for name in BEHAVIOURS}
    providers["silent"]["timeouts"] = {"first_byte": "200ms"}
    models = {name: f"{name}/gpt-4.1" for name in BEHAVIOURS}
    gateway = shared_stage.gateway(
        {
            "clients": clients("web", "narrow", "limited", "bursting"),
            "providers": providers,
            "models": {**models, "team/deep": "well/o4-mini"},
            "retry": {"base_delay": "1ms"},
        }
    )
    roots = [server.base_url.removesuffix("/v1") for server in (gateway, sim)]
    return nodescript.played("checks.mjs", *roots, count=len(CHECKS))


@pytest.mark.parametrize("check", CHECKS)
def test_node(results, check):
    nodescript.expect_none(results[check])
