"""Fixtures: each starts what it names and stops it by pid."""

import json
import os

import pytest

from .keyed import Keyed
from .openbao import OpenBao
from .processes import Gateway, Process, Simulator
from .upstream import Upstream
from .vault import Vault


class Stage:
    """Starts processes and upstreams, and stops them in reverse order, looking at how each ended."""

    def __init__(self, directory):
        self.directory = directory
        self.started = []

    def keep(self, started):
        self.started.append(started)
        return started

    def gateway(self, config, **options):
        return self.keep(Gateway(self.directory, config, **options))

    def simulator(self, scenario=None, **options):
        return self.keep(Simulator(self.directory, scenario, **options))

    def upstream(self, handler=None, **options):
        return self.keep(Upstream(handler, **options))

    def process(self, arguments, **options):
        return self.keep(Process(arguments, **options))

    def end(self):
        errors = []
        for started in reversed(self.started):
            try:
                started.stop()
            except AssertionError as error:
                errors.append(str(error))
        self.started = []
        if errors:
            pytest.fail("\n\n".join(errors), pytrace=False)


def staged(directory):
    stage = Stage(directory)
    yield stage
    stage.end()


@pytest.fixture
def stage(tmp_path):
    """For one test."""
    yield from staged(tmp_path)


@pytest.fixture(scope="module")
def shared_stage(tmp_path_factory):
    """For the tests of a module: what leaves nothing behind."""
    yield from staged(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="session")
def running_simulator(tmp_path_factory):
    simulator = Simulator(tmp_path_factory.mktemp("simulator"))
    yield simulator
    simulator.stop()


@pytest.fixture
def sim(running_simulator):
    """A simulator that has forgotten the last test."""
    running_simulator.scenario()
    return running_simulator


def pytest_collection_modifyitems(items):
    for item in items:
        if "vault" in item.fixturenames:
            item.add_marker("vault")


@pytest.fixture
def vault():
    """The double, or with $OPENBAO the real server."""
    vault = OpenBao() if os.environ.get("OPENBAO") else Vault()
    yield vault
    vault.close()


def provider(base_url, keys, **more):
    """A provider that is asked as any OpenAI-like one; keys: secrets or maps."""
    return {"kind": "compatible", "base_url": base_url, "keys": list(keys), **more}


@pytest.fixture
def pool(stage, sim):
    """A gateway over the simulator with so many keys, sk-pool-1 and so on, named k1 and so on, all validated."""

    def start(count=2, scenario=None, key=None, config=None, **provider_settings):
        sim.scenario(scenario)
        keys = [{"name": f"k{i}", "secret": f"sk-pool-{i}", **(key(i) if key else {})} for i in range(1, count + 1)]
        whole = {"providers": {"sim": provider(sim.base_url, keys, **provider_settings)}}
        whole.update(json.loads(json.dumps(config or {})))
        return stage.gateway(whole).settle()

    return start


@pytest.fixture
def keyed(stage):
    """A gateway over a Python upstream that behaves for each key as it is told; keys sk-pool-1 and so on, named k1
    and so on. One worker, so that one thing follows another; all keys are validated, unless `settle` is False."""

    def start(count=1, key=None, config=None, behave=None, probe=None, workers=1, settle=True, **provider_settings):
        handler = Keyed()
        handler.behave.update(behave or {})
        handler.probe.update(probe or {})
        handler.upstream = stage.upstream(handler, answers_probes=False)
        keys = [{"name": f"k{i}", "secret": f"sk-pool-{i}", **(key(i) if key else {})} for i in range(1, count + 1)]
        whole = {"server": {"workers": workers}, **(config or {})}
        whole["providers"] = {"up": provider(handler.upstream.base_url, keys, **provider_settings)}
        gateway = stage.gateway(whole)
        gateway.keys = handler
        return gateway.settle() if settle else gateway

    return start
