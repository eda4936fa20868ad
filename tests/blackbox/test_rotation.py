"""A key is replaced while requests come: issued, kept, proven, ramped, promoted, drained and revoked; or taken back. The issuer is
the simulator's own key API, which counts requests with a revoked key."""

import time

import pytest
from harness.callers import Load
from harness.fixtures import provider
from harness.processes import Gateway, run
from harness.rotation import ADMIN, issuer, rotation, rotations, wait_step


@pytest.fixture
def rotating(stage, sim, tmp_path):
    """A gateway with two keys, a and b, that are rotated."""

    def config(**settings):
        keys = [{"name": "a", "secret": "sk-pool-1"}, {"name": "b", "secret": "sk-pool-2"}]
        return {"secrets": {"seal_key": f"file:{tmp_path}/bellwether.key"},
                "providers": {"sim": provider(sim.base_url, keys, rotation=rotation(sim, **settings))}}

    def start(scenario=None, **settings):
        sim.scenario(scenario)
        return stage.gateway(config(**settings), secrets=[ADMIN]).settle()

    start.config = config
    return start


def sealed(tmp_path):
    return (tmp_path / "bellwether.sealed").read_bytes()


def test_the_whole_way(rotating, sim, tmp_path):
    gateway = rotating()
    with Load(gateway) as load:
        answer = gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST")
        assert answer.status == 202 and answer.json == {"provider": "sim", "name": "a", "rotation": 1, "id": "sim-1"}
        row = wait_step(gateway, "canary")
        assert row["replaces"] == "a" and row["trigger"] == "operator" and row["expires"]
        assert "requests failed" in row["reason"]  # how it does, and what it waits for
        busy = gateway.admin("/v1/admin/keys/sim/b/rotate", method="POST").json["error"]
        assert busy["code"] == "rotation_under_way" and "sim-1" in busy["message"]
        row = wait_step(gateway, "active")
        wait_step(gateway, "retired", name="a")
        states = gateway.key_states()
        assert states["a"]["step"] == "retired" and states[row["name"]]["step"] == "active"
        # What it has made itself it revokes.
        assert gateway.admin(f"/v1/admin/keys/sim/{row['name']}/rotate", method="POST").status == 202
        wait_step(gateway, "active", name=None)
        wait_step(gateway, "revoked", name=row["name"])
    assert set(load.statuses) == {200}
    facts = issuer(sim)
    assert (facts["issued"], facts["revoked"], facts["revoked_requests"]) == (2, 1, 0)
    assert b"sk-" not in sealed(tmp_path)


def test_a_bad_key_is_taken_back(rotating, sim):
    gateway = rotating({"issuer": {"new_keys": {"faults": [{"fault": 500, "share": "50%"}]}}}, canary={
        "initial": "25%", "steps": 4, "every": "10s", "min_requests": 10})
    with Load(gateway) as load:
        assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
        row = wait_step(gateway, "rolled_back")
    assert set(load.statuses) == {200}  # each of its failures was answered by another key
    assert "failed" in row["reason"]
    assert gateway.key_states()["a"]["step"] == "active"
    facts = issuer(sim)
    assert facts["issued"] == 1 and facts["revoked_requests"] == 0


def test_a_key_that_its_provider_does_not_know(rotating, sim):
    gateway = rotating({"issuer": {"known_after": "1h"}})
    assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
    row = wait_step(gateway, "rolled_back")
    assert row["reason"] == "its provider does not know it (401)"


def test_a_key_that_is_known_a_little_later(rotating):
    gateway = rotating({"issuer": {"known_after": "150ms"}}, canary="off")
    assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
    wait_step(gateway, "active")


def test_leaked(rotating, sim):
    """It is off at once; the others carry the load until its successor has come."""
    gateway = rotating()
    with Load(gateway) as load:
        done = run(["keys", "--address", "{}:{}".format(*gateway.admin_address), "rotate", "sim/a", "--leaked"], env={"ADMIN_TOKEN": ""})
        assert (done.returncode, done.stdout) == (0, "sim/a: rotation sim-1\n")
        assert gateway.key_states()["a"]["wish"] == "disabled"
        wait_step(gateway, "active")
    assert set(load.statuses) == {200}


def test_the_way_back(rotating, sim):
    gateway = rotating(overlap="1h")
    with Load(gateway) as load:
        assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
        row = wait_step(gateway, "active")
        wait_step(gateway, "retired", name="a")
        # By hand it does not come back beside its successor.
        assert gateway.admin("/v1/admin/keys/sim/a/enable", method="POST").json["error"]["code"] == "step_does_not_allow_it"
        assert gateway.key_states()["a"]["wish"] == "disabled"
        back = gateway.admin(f"/v1/admin/keys/sim/{row['name']}/rollback", method="POST")
        assert back.status == 202 and back.json["id"] == row["id"] == "sim-1"
        wait_step(gateway, "active", name="a")
        assert gateway.key_states()["a"]["wish"] == "enabled"
        wait_step(gateway, "rolled_back", name=row["name"])
        again = gateway.admin(f"/v1/admin/keys/sim/{row['name']}/rollback", method="POST").json["error"]
        assert again["code"] == "step_does_not_allow_it" and "'rolled_back'" in again["message"]
    assert set(load.statuses) == {200}
    until = time.monotonic() + 90
    while issuer(sim)["revoked"] == 0 and time.monotonic() < until:
        time.sleep(0.05)
    assert issuer(sim)["revoked"] == 1 and issuer(sim)["revoked_requests"] == 0


def test_the_process_dies(rotating, stage, sim, tmp_path):
    """At any moment: the next one finds in the sealed file alone what there is, and loses no key and leaves none alive."""
    sim.scenario()
    config = rotating.config(validate={"attempts": 10, "base_delay": "100ms"})  # each death may cost a key that is made anew
    for pause in (0.01, 0, 0.005, 0.02, 0.05, 0.3, 0.9):
        gateway = Gateway(tmp_path, config, secrets=[ADMIN]).settle()
        if not rotations(gateway):
            assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
        time.sleep(pause)
        gateway.kill()
    gateway = stage.gateway(config, secrets=[ADMIN]).settle()
    with Load(gateway, 2) as load:
        row = wait_step(gateway, "active")
        wait_step(gateway, "retired", name="a")
    assert set(load.statuses) == {200}
    assert gateway.key_states()[row["name"]]["step"] == "active"
    until = time.monotonic() + 90
    while issuer(sim)["issued"] - issuer(sim)["revoked"] != 1:
        assert time.monotonic() < until, issuer(sim)
        time.sleep(0.05)
    assert issuer(sim)["revoked_requests"] == 0


def test_reload_in_the_midst(rotating):
    gateway = rotating(canary={"initial": "25%", "steps": 4, "every": "1s", "min_requests": 10})
    with Load(gateway) as load:
        assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
        row = wait_step(gateway, "canary")
        assert gateway.reload()
        assert gateway.key_states()[row["name"]]["step"] == "canary"
        wait_step(gateway, "active", name=row["name"])
        assert gateway.reload()
        assert gateway.key_states()[row["name"]]["step"] == "active"
    assert set(load.statuses) == {200}


def leaks(gateway, name):
    done = run(["keys", "--address", "{}:{}".format(*gateway.admin_address), "rotate", f"sim/{name}", "--leaked"], env={"ADMIN_TOKEN": ""})
    assert done.returncode == 0, done


def test_rotation_is_taken_out_of_the_file(rotating, sim):
    """The keys of the file serve as it says, but for one that leaked."""
    gateway = rotating(overlap="1h", canary="off")
    assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
    wait_step(gateway, "retired", name="a")
    leaks(gateway, "b")
    assert gateway.key_states()["b"]["wish"] == "disabled"
    for order in ("drain", "disable", "enable"):  # on its way out it is not the operator's
        assert gateway.admin(f"/v1/admin/keys/sim/a/{order}", method="POST").json["error"]["code"] == "step_does_not_allow_it"
    config = rotating.config()
    del config["providers"]["sim"]["rotation"]
    assert gateway.reload(config)
    assert {name: state["wish"] for name, state in gateway.key_states().items()} == {"a": "enabled", "b": "disabled"}


def test_a_new_secret_under_an_old_name(rotating, sim):
    """What leaked is off; the key that the file has in its place serves, and may leak in its turn."""
    gateway = rotating(canary="off")
    leaks(gateway, "a")
    wait_step(gateway, "active")
    config = rotating.config(canary="off")
    config["providers"]["sim"]["keys"][0]["secret"] = "sk-pool-3"
    assert gateway.reload(config)
    assert gateway.key_states()["a"]["wish"] == "enabled"
    leaks(gateway, "a")
    assert gateway.key_states()["a"]["wish"] == "disabled"


def test_proven_though_new_keys_are_not_validated(rotating, sim, stage):
    config = rotating.config(canary="off")
    config["providers"]["sim"]["health"] = {"validate_new": False}
    gateway = stage.gateway(config, secrets=[ADMIN]).settle()
    assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
    wait_step(gateway, "active")
    assert issuer(sim)["issued"] == 1


def test_one_more(rotating, sim):
    """Nothing is replaced: it ramps to a place of its own beside the others, and no more are made than max_keys allows."""
    gateway = rotating(max_keys=2)
    with Load(gateway) as load:
        done = run(["keys", "--address", "{}:{}".format(*gateway.admin_address), "add", "sim"], env={"ADMIN_TOKEN": ""})
        assert (done.returncode, done.stdout) == (0, "sim: rotation sim-1\n")
        row = wait_step(gateway, "active")
    assert set(load.statuses) == {200}
    assert row["replaces"] is None
    states = gateway.key_states()
    assert {name: (state["step"], state["weight"]) for name, state in states.items()} == {
        name: ("active", 1) for name in ("a", "b", row["name"])}
    assert gateway.admin("/v1/admin/keys/sim", method="POST").status == 202
    with Load(gateway):
        wait_step(gateway, "canary")
        wait_step(gateway, "active")
    assert gateway.admin("/v1/admin/keys/sim", method="POST").json["error"]["code"] == "too_many_keys"
    assert gateway.admin("/v1/admin/keys/none", method="POST").json["error"]["code"] == "provider_not_found"
    assert issuer(sim)["issued"] == 2


def test_an_operator_s_wish_stands(rotating):
    """Neither a reload nor the next rotation undoes what was wished of a key that rotation has made."""
    gateway = rotating(canary="off")
    assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
    name = wait_step(gateway, "active")["name"]
    assert gateway.admin(f"/v1/admin/keys/sim/{name}/disable", method="POST").status == 202
    assert gateway.reload()
    assert gateway.key_states()[name]["wish"] == "disabled"
    assert gateway.admin("/v1/admin/keys/sim/b/rotate", method="POST").status == 202
    assert wait_step(gateway, "active")["replaces"] == "b"
    assert gateway.key_states()[name]["wish"] == "disabled"
    assert gateway.admin(f"/v1/admin/keys/sim/{name}/enable", method="POST").status == 202
    assert gateway.key_states()[name]["wish"] == "enabled"


@pytest.mark.parametrize("path, status, code", [("sim/none/rotate", 404, "key_not_found"), ("sim/a/rollback", 409, "step_does_not_allow_it")])
def test_refused(rotating, path, status, code):
    answer = rotating().admin(f"/v1/admin/keys/{path}", method="POST")
    assert answer.status == status and answer.json["error"]["code"] == code


def test_without_rotation(pool):
    answer = pool(1).admin("/v1/admin/keys/sim/k1/rotate", method="POST")
    assert answer.status == 409 and answer.json["error"]["code"] == "rotation_not_configured"


def test_no_secret_is_shown(rotating, tmp_path):
    gateway = rotating(canary="off")
    assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
    wait_step(gateway, "active")
    shown = gateway.pages() + gateway.admin("/v1/admin/rotations").body.decode() + gateway.output
    assert ADMIN not in shown and "sk-sim" not in shown and "sk-pool" not in shown
