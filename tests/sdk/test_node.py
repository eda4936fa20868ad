"""The Node clients of OpenAI, Anthropic and Google, and Vercel's framework, against the gateway. Each script of node/ runs once; each of its
checks, at each model where it takes one, is a test here."""

import re

import nodescript
import pytest
from matrix import providers

MODELS = [f"{provider.name}/{provider.model}" for provider in providers.ALL if provider.name != "azure-classic"]


def checks_of(script):
    """As the script names them."""
    found = re.findall(r"^  async (\w+)\((\w*)\) \{", nodescript.text_of(script), re.MULTILINE)
    return [f"{name} {model}".strip() for name, takes in found for model in (MODELS if takes else [""])]


CHECKS = [(script, check) for script in ("openai.mjs", "anthropic.mjs", "google.mjs", "framework.mjs") for check in checks_of(script)]


@pytest.fixture(scope="module")
def results(shared_stage):
    """A script's results, by the checks' names: it runs when the first of them is asked for."""
    sim = providers.simulator(shared_stage)
    done = {}

    def results_of(script):
        if script not in done:
            models = {"one-of-ours": MODELS[0], "other-of-ours": MODELS[1]}
            clients = providers.clients("web", "limited")
            gateway = providers.gateway(shared_stage, sim, clients=clients, names={"direct": True}, models=models)
            root = gateway.base_url.removesuffix("/v1")
            done[script] = nodescript.played(script, root, *MODELS, count=len(checks_of(script)))
        return done[script]

    return results_of


@pytest.mark.parametrize(("script", "check"), CHECKS)
def test_node(results, script, check):
    nodescript.expect_none(results(script)[check])
