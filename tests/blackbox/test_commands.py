"""The program from its command line: what each command says, how it ends, and what a running gateway does on signals."""

import json
import re
import signal
import time

import pytest
from harness import wire
from harness.fixtures import provider
from harness.processes import run

COMMANDS = ("serve", "check-config", "sim", "demo", "healthcheck", "keys", "clients", "shadow", "migrate", "secrets", "help")


def wait_for(condition, within=5):
    until = time.monotonic() + within
    while not condition():
        assert time.monotonic() < until, "did not come to pass"
        time.sleep(0.02)


# -- the command line ---------------------------------------------------------------------------------------------------------


def test_version():
    done = run(["--version"])
    assert done.returncode == 0 and re.fullmatch(r"bellwether \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"]])
def test_help_names_every_command(arguments):
    done = run(arguments)
    assert done.returncode == 0 and not done.stderr
    assert all(f"bellwether {name}" in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(command):
    told = run(["help", command])
    assert told.returncode == 0 and told.stdout.startswith(f"bellwether {command}")
    asked = run([command, "--help"])
    assert asked.returncode == 0 and asked.stdout == told.stdout
    assert run([command, "add", "--help"]).stdout == told.stdout


def test_help_of_the_file():
    done = run(["help", "config"])
    assert done.returncode == 0 and "shutdown_grace" in done.stdout


@pytest.mark.parametrize("arguments", [["keys"], ["help", "nothing"], ["serve", "file.yaml"], ["serve", "--config"], ["check-config"],
                                       ["demo", "--twice"], ["healthcheck", "now"], ["sim", "--speed", "3"], ["keys", "add"], ["keys", "drain"],
                                       ["keys", "list", "x"], ["keys", "rotate", "a/b", "--leak"], ["keys", "--address"],
                                       ["keys", "--address", "nowhere", "list"], ["migrate", "start"], ["migrate", "nothing", "chat"],
                                       ["shadow"], ["clients", "add", "--rpm", "5"], ["secrets", "seal", "--name"]], ids=" ".join)
def test_bad_usage(arguments):
    done = run(arguments)
    assert done.returncode == 2 and done.stderr and not done.stdout
    assert done.stderr.startswith("bellwether")


@pytest.mark.parametrize(("arguments", "word"), [(["keys", "add"], "'add' takes PROVIDER"), (["keys", "drian", "a/b"], "no 'drian'"),
                                                 (["migrate", "start"], "'start' takes MODEL")], ids=str)
def test_bad_usage_says_what_is_wrong(arguments, word):
    assert word in run(arguments).stderr


@pytest.mark.parametrize("command", ["keys", "clients", "shadow", "migrate", "secrets"])
def test_a_file_that_is_not_there_is_no_bad_usage(command, tmp_path):
    word = {"shadow": "report"}.get(command, "list")
    done = run([command, "--config", str(tmp_path / "none.yaml"), word])
    assert done.returncode == 1 and "there is no such file" in done.stderr


def test_without_any_configuration(tmp_path):
    done = run(["serve"], env={"CONFIG_PATH": ""})
    assert done.returncode == 1 and "OPENAI_API_KEY" in done.stderr
    missing = run(["serve"], env={"CONFIG_PATH": str(tmp_path / "none.yaml")})
    assert missing.returncode == 1 and "none.yaml: there is no such file" in missing.stderr


# -- a running gateway --------------------------------------------------------------------------------------------------------


def test_healthcheck(stage, sim):
    gateway = stage.gateway({"providers": {"sim": provider(sim.base_url, ["sk-pool-1"])}}).settle()
    host, port = gateway.address
    wait_for(lambda: gateway.get("/ready").status == 200)
    assert run(["healthcheck", "--address", f"{host}:{port}"]).returncode == 0
    assert run(["healthcheck", "--address", f"localhost:{port}"]).returncode == 0
    gateway.stop()
    done = run(["healthcheck", "--address", f"{host}:{port}"])
    assert done.returncode == 1 and "refused" in done.stderr


def test_options_stand_anywhere(stage, sim, tmp_path):
    config = {"admin": {"listen": f"unix:{tmp_path}/admin"}, "providers": {"sim": provider(sim.base_url, ["sk-pool-1"])}}
    gateway = stage.gateway(config).settle()
    path = str(gateway.path)
    first = run(["keys", "--config", path, "list"])
    assert first.returncode == 0 and "sim/sim-1" in first.stdout
    assert run(["keys", "list", "--config", path]).returncode == 0
    assert run(["keys", "drain", f"--config={path}", "sim/sim-1"]).stdout == "sim/sim-1: drained, weight 1\n"


def test_the_token_is_asked_for(stage, sim):
    """Who lacks it is told where the command takes it from."""
    gateway = stage.gateway({"admin": {"token": "a-good-token"}, "providers": {"sim": provider(sim.base_url, ["sk-pool-1"])}}).settle()
    host, port = gateway.admin_address
    command = ["keys", "list", "--address", f"{host}:{port}"]
    done = run(command)
    assert done.returncode == 1 and "ADMIN_TOKEN" in done.stderr and "a-good-token" not in done.stderr
    assert run(command, env={"ADMIN_TOKEN": "wrong"}).returncode == 1
    assert run(command, env={"ADMIN_TOKEN": "a-good-token"}).returncode == 0


def test_healthcheck_by_configuration(stage, sim, tmp_path):
    """By the admin address, also where the data plane speaks TLS or listens elsewhere."""
    config = {"admin": {"listen": f"unix:{tmp_path}/admin"}, "providers": {"sim": provider(sim.base_url, ["sk-pool-1"])}}
    gateway = stage.gateway(config).settle()
    assert run(["healthcheck", "--config", str(gateway.path)]).returncode == 0
    assert run(["healthcheck"], env={"CONFIG_PATH": str(gateway.path)}).returncode == 0
    gateway.stop()
    assert run(["healthcheck", "--config", str(gateway.path)]).returncode == 1


def test_every_address(stage, sim, tmp_path):
    listen = ["127.0.0.1:0", "[::1]:0", f"unix:{tmp_path}/data"]
    gateway = stage.gateway({"server": {"listen": listen}, "providers": {"sim": provider(sim.base_url, ["sk-pool-1"])}})
    assert len(gateway.addresses) == 3
    for address in gateway.addresses:
        with wire.Wire(address) as connection:
            assert connection.ask(wire.request("GET", "/health"), "GET").status == 200
    gateway.stop()
    assert not (tmp_path / "data").exists()


def test_address_in_use(stage, sim):
    config = {"providers": {"sim": provider(sim.base_url, ["sk-pool-1"])}}
    first = stage.gateway(config)
    second = first.directory / "second.yaml"
    second.write_text(first.path.read_text().replace('"listen": "127.0.0.1:0"', f'"listen": "127.0.0.1:{first.address[1]}"', 1))
    done = run(["serve", "--config", str(second)])
    assert done.returncode == 1 and "in use" in done.stderr


def test_log_file_is_opened_anew(stage, sim, tmp_path):
    log, config = tmp_path / "gateway.log", tmp_path / "gateway.yaml"
    config.write_text(json.dumps({
        "server": {"listen": "127.0.0.1:0"}, "admin": {"listen": "127.0.0.1:0"}, "log": {"file": str(log)},
        "providers": {"sim": provider(sim.base_url, ["sk-pool-1"])},
    }))
    process = stage.process(["serve", "--config", str(config)])
    wait_for(lambda: log.exists() and "listening" in log.read_text(), 20)
    port = int(re.search(r'"listen":"127\.0\.0\.1:(\d+)"', log.read_text())[1])
    log.rename(tmp_path / "old.log")
    process.send_signal(signal.SIGUSR1)
    wait_for(log.exists)
    with wire.Wire(("127.0.0.1", port)) as connection:
        assert connection.ask(wire.request("GET", "/v1/models"), "GET").status == 200
    wait_for(lambda: '"path":"/v1/models"' in log.read_text())
    assert '"path"' not in (tmp_path / "old.log").read_text()


def test_client_behind_a_trusted_proxy(stage, sim):
    config = {"server": {"trusted_proxies": ["127.0.0.0/8"]}, "providers": {"sim": provider(sim.base_url, ["sk-pool-1"])}}
    gateway = stage.gateway(config)
    gateway.get("/v1/models", {"X-Request-ID": "far", "X-Forwarded-For": "6.6.6.6, 192.0.2.7, 127.0.0.9"})
    assert gateway.wait_access(request_id="far")["remote"] == "192.0.2.7"
    gateway.get("/v1/models", {"X-Request-ID": "near"})
    assert gateway.wait_access(request_id="near")["remote"] == "127.0.0.1"


# -- the providers' own models ------------------------------------------------------------------------------------------------


def listed(gateway):
    return [model["id"] for model in gateway.get("/v1/models").json["data"]]


def test_models_that_the_providers_tell(stage, sim):
    sim.scenario({"models": ["gpt-4.1", "o4-mini"]})
    gateway = stage.gateway({"providers": {"sim": provider(sim.base_url, ["sk-pool-1"])}})
    wait_for(lambda: listed(gateway) == ["gpt-4.1", "o4-mini"])
    model = gateway.get("/v1/models/o4-mini").json
    assert model["object"] == "model" and model["created"] > 0 and model["owned_by"]
    assert gateway.get("/v1/models/sim/o4-mini").json["id"] == "sim/o4-mini"
    missing = gateway.get("/v1/models/nobody")
    assert missing.status == 404 and missing.error["code"] == "model_not_found"


def test_models_where_probes_ask_for_something_else(stage, sim):
    """As with OpenRouter, whose probes ask for the key: the list is asked for without one."""
    sim.scenario({"models": ["gpt-4.1"], "missing_keys": "accept"})
    gateway = stage.gateway({"providers": {"sim": provider(sim.base_url, ["sk-pool-1"], probe={"path": "/models/gpt-4.1"})}})
    wait_for(lambda: listed(gateway) == ["gpt-4.1"])
