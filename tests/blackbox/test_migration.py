"""A model goes over from one target to another while requests come: by a ramp, on evidence, with people's orders and a way back.
Both sides are the simulator's, told apart by their keys."""

import json
import time

import pytest
from harness.callers import Load
from harness.expect import chat
from harness.fixtures import provider
from harness.processes import Gateway, run
from harness.wire import Wire, post

QUICK = {"to": "new/x", "from": "old/y", "initial": "10%", "first_hold": "600ms", "step": "30%", "every": "400ms",
         "min_requests": 20, "revert_window": "1h"}
BODY = {**chat("hello"), "model": "m"}


@pytest.fixture
def migrating(stage, sim):
    """A gateway whose model m goes over from old/y to new/x."""

    def config(**settings):
        return {"providers": {"old": provider(sim.base_url, [{"name": "o", "secret": "sk-old-1"}]),
                              "new": provider(sim.base_url, [{"name": "n", "secret": "sk-new-1"}])},
                "models": {"m": {"targets": [{"to": "old/y"}], "migration": {**QUICK, **settings}}}}

    def start(new=None, old=None, **settings):
        sim.scenario({"keys": {"sk-new-1": new or {}, "sk-old-1": old or {}}})
        return stage.gateway(config(**settings), secrets=["sk-old-1", "sk-new-1"]).settle()

    start.config = config
    return start


def providers(load, last):
    """Who has answered the last of them."""
    return [answer.get("x-bellwether-provider") for answer in load.answers[-last:]]


def migration(gateway, model="m"):
    rows = gateway.admin("/v1/admin/migrations").json["migrations"]
    return next(row for row in rows if row["model"] == model)


def wait_for(gateway, is_there, within=60):
    until = time.monotonic() + within
    while True:
        row = migration(gateway)
        if is_there(row):
            return row
        assert time.monotonic() < until, f"{json.dumps(row, indent=1)}\n{gateway.output[-3000:]}"
        time.sleep(0.02)


def wait_state(gateway, state, within=60):
    return wait_for(gateway, lambda row: row["state"] == state, within)


def order(gateway, what, model="m"):
    return gateway.admin(f"/v1/admin/migrations/{model}/{what}", method="POST")


def asked(gateway, count=20):
    """Who answers so many requests, one after another."""
    return {gateway.post(BODY).get("x-bellwether-provider") for _ in range(count)}


def test_the_whole_way(migrating):
    gateway = migrating(revert_window="1500ms")
    with Load(gateway, body=BODY) as load:
        row = wait_state(gateway, "ramping")
        assert (row["from"], row["to"], row["run"]) == ("old/y", "new/x", 1)
        metrics = gateway.metrics()
        assert 0 < metrics.get("bellwether_migration_share", model="m") <= 1
        wait_state(gateway, "cut_over")
        wait_state(gateway, "ended")
    assert set(load.statuses) == {200}
    assert set(providers(load, 20)) == {"new"}
    assert "old" in providers(load, len(load.answers))
    report = gateway.admin("/v1/admin/migrations/m").json["report"]
    for side in report.values():
        assert side["requests"] >= 20 and side["failures"] == 0 and side["answered"] > 0
        assert side["first_byte_ms"]["p50"] > 0 and side["total_ms"]["p99"] >= side["total_ms"]["p50"]
        assert side["completion_tokens"] > 0
    assert order(gateway, "revert").status == 409, "nobody stands ready any more"


def test_a_bad_one_reverts_by_itself(migrating):
    gateway = migrating(new={"faults": [{"fault": 500, "share": "50%"}]}, first_hold="1h")
    with Load(gateway, body=BODY) as load:
        row = wait_state(gateway, "reverted")
        time.sleep(0.3)
    assert "requests failed" in row["reason"] and "old side" in row["reason"]
    metrics = gateway.metrics()
    report = gateway.admin("/v1/admin/migrations/m").json["report"]
    assert metrics.get("bellwether_migration_state", model="m", state="reverted") == 1
    assert metrics.get("bellwether_migration_share", model="m") == 0
    for side in ("old", "new"):
        assert metrics.get("bellwether_migration_requests_total", model="m", side=side) == report[side]["requests"] > 0
        assert metrics.get("bellwether_migration_errors_total", model="m", side=side) == report[side]["failures"]
    assert report["new"]["failures"] > 0
    assert set(load.statuses) == {200}, "each failure was answered by the old side"
    assert set(providers(load, 40)) == {"old"}


def test_a_request_that_the_new_side_alone_refuses(migrating):
    """A 400 of the new side is the old side's to judge: no client sees it, and it counts."""
    gateway = migrating(new={"faults": [{"fault": 400}]}, first_hold="1h")
    with Load(gateway, body=BODY) as load:
        wait_state(gateway, "reverted")
    assert set(load.statuses) == {200}


def test_slow(migrating):
    gateway = migrating(new={"latency": "150ms"}, old={"latency": "5ms"}, initial="40%", first_hold="1h", max_added_latency="50ms")
    with Load(gateway, 8, BODY) as load:
        row = wait_state(gateway, "reverted")
    assert "first byte" in row["reason"]
    assert set(load.statuses) == {200}


def test_orders(migrating):
    gateway = migrating(start="manual", first_hold="1h", every="1h")
    assert migration(gateway)["state"] == "planned" and asked(gateway) == {"old"}
    assert order(gateway, "resume").status == 409
    answer = order(gateway, "start")
    assert answer.status == 202 and answer.json["state"] == "ramping"
    wait_for(gateway, lambda row: row["share"] == 0.1)
    assert order(gateway, "advance").json["share"] == 0.4
    assert order(gateway, "hold").json["state"] == "held"
    time.sleep(0.3)
    answers = [gateway.post(BODY).get("x-bellwether-provider") for _ in range(50)]
    assert 15 <= answers.count("new") <= 25, "exact to one a worker"
    assert order(gateway, "pause").json["state"] == "paused"
    assert asked(gateway) == {"old"}, "at once"
    assert order(gateway, "resume").json["state"] == "ramping"
    assert order(gateway, "revert").json["state"] == "reverted"
    assert asked(gateway) == {"old"}
    assert order(gateway, "revert").status == 409
    assert order(gateway, "start").json["state"] == "ramping"
    assert order(gateway, "start", model="n").status == 404
    lines = [line for line in gateway.admin("/v1/admin/audit").json["audit"] if line["result"] == "done"]
    assert ("migration_pause", "m") in [(line["action"], line["detail"]) for line in lines]
    assert order(gateway, "jump").status == 404


def test_the_way_back_in_one_call(migrating):
    gateway = migrating(first_hold="20ms", every="20ms", min_requests=0)
    wait_state(gateway, "cut_over")
    wait_for(gateway, lambda row: row["share"] == 1)
    assert asked(gateway) == {"new"}

    def send_back(**body):
        data = post(body, "/v1/config/revert", gateway.admin_headers, host="127.0.0.1")
        with Wire(gateway.admin_address) as connection:
            return connection.ask(data)

    assert send_back(provider="other", percentage=10).status == 404
    assert send_back(provider="old", percentage=0).status == 400
    assert send_back(provider="old").status == 400
    answer = send_back(provider="old", percentage=40, model="m")
    assert answer.status == 202
    assert answer.json["migrations"] == [{"id": "m", "model": "m", "state": "held", "share": 0.6}]
    answers = [gateway.post(BODY).get("x-bellwether-provider") for _ in range(50)]
    assert 15 <= answers.count("old") <= 25
    answer = send_back(provider="new", percentage=100)
    assert answer.json["migrations"][0]["state"] == "reverted"
    assert asked(gateway) == {"old"}, "no request goes to the new side once this is answered"


def test_comparisons_that_nobody_makes(migrating):
    """Who asks for max_divergence does not get a migration without any comparison."""
    gateway = migrating(first_hold="20ms", every="20ms", min_requests=0, max_divergence="2%")
    row = wait_for(gateway, lambda row: row["state"] == "ramping" and row["step_left_ms"] == 0)
    time.sleep(0.3)
    row = migration(gateway)
    assert (row["state"], row["share"], row["gates"]["waits_for"]) == ("ramping", 0.1, "unmeasured")
    assert "not measured" in row["reason"]


def test_reload(migrating):
    """Share and evidence outlive it; other sides are another migration; without one the targets stand as the file says."""
    gateway = migrating(first_hold="1h")
    wait_for(gateway, lambda row: row["share"] == 0.1)
    with Load(gateway, body=BODY) as load:
        time.sleep(0.5)
        before = migration(gateway)
        gateway.reload(migrating.config(first_hold="2h"))
        after = migration(gateway)
        assert after["state"] == "ramping" and after["since"] == before["since"]
        gateway.reload(migrating.config(first_hold="2h", to="new/z"))
        wait_for(gateway, lambda row: row["to"] == "new/z" and row["state"] == "ramping")
        config = migrating.config()
        del config["models"]["m"]["migration"]
        gateway.reload(config)
        assert gateway.admin("/v1/admin/migrations").json == {"migrations": []}
        assert asked(gateway) == {"old"}
    assert set(load.statuses) == {200}


def test_streams(migrating):
    gateway = migrating(first_hold="300ms", every="300ms")
    with Load(gateway, body={**BODY, "stream": True}) as load:
        wait_state(gateway, "cut_over")
    assert set(load.statuses) == {200}


def cli(gateway, *arguments):
    return run(["migrate", "--address", "{}:{}".format(*gateway.admin_address), *arguments], env={"ADMIN_TOKEN": ""})


def test_the_command(migrating):
    gateway = migrating(start="manual", first_hold="1h")
    done = cli(gateway, "list")
    assert done.returncode == 0 and "planned" in done.stdout and "old/y" in done.stdout and "new/x" in done.stdout
    done = cli(gateway, "start", "m")
    assert (done.returncode, done.stdout) == (0, "m: ramping, 10% on the new side\n")
    wait_for(gateway, lambda row: row["share"] == 0.1)
    with Load(gateway, body=BODY):
        time.sleep(0.5)
    done = cli(gateway, "report", "m")
    assert done.returncode == 0 and "first byte, p95" in done.stdout and "old/y" in done.stdout
    done = cli(gateway, "revert", "m")
    assert (done.returncode, done.stdout) == (0, "m: reverted, 0% on the new side\n")
    done = cli(gateway, "revert", "m")
    assert done.returncode == 1 and "'reverted', does not allow" in done.stderr
    assert cli(gateway, "revert").returncode == 2
    assert cli(gateway, "report", "nobody").returncode == 1


def test_a_restart_goes_on_where_it_was(migrating, stage, sim, tmp_path):
    """Killed: state, share and run are as they were; what was reverted stays so."""
    sim.scenario()
    config = {**migrating.config(first_hold="1h", every="1h"), "store": "sqlite:one.db"}
    secrets = ["sk-old-1", "sk-new-1"]
    gateway = Gateway(tmp_path, config, secrets=secrets).settle()
    wait_for(gateway, lambda row: row["share"] == 0.1)
    assert order(gateway, "advance").json["share"] == 0.4
    with Load(gateway, body=BODY):
        time.sleep(0.5)
    before = migration(gateway)
    time.sleep(0.5)
    gateway.kill()
    gateway = Gateway(tmp_path, config, secrets=secrets).settle()
    after = migration(gateway)
    assert (after["state"], after["share"], after["run"], after["since"]) == ("ramping", 0.4, 1, before["since"])
    answers = [gateway.post(BODY).get("x-bellwether-provider") for _ in range(50)]
    assert 15 <= answers.count("new") <= 25
    assert order(gateway, "revert").status == 202
    time.sleep(0.5)
    gateway.kill()
    gateway = stage.gateway(config, secrets=secrets).settle()
    assert migration(gateway)["state"] == "reverted" and asked(gateway) == {"old"}
