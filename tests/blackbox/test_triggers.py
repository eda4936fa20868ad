"""What starts a rotation besides an operator: a schedule, an age, a date, errors, a refusal, a changed secret; and what starts none."""

import datetime
import json
import time

import pytest
from harness.callers import Load
from harness.processes import Gateway
from harness.rotation import ADMIN, issuer, rotations, wait_step
from test_rotation import rotating  # noqa: F401 (a fixture)

QUICK = {"canary": "off", "overlap": "1h"}


def in_seconds(seconds):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def stays_quiet(gateway, sim, seconds):
    """Nothing begins for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert not [row for row in rotations(gateway).values() if row["rotation"]], rotations(gateway)
        time.sleep(0.1)
    assert issuer(sim)["issued"] == 0


def test_a_start_is_no_trigger(rotating, sim):
    gateway = rotating(schedule="0 2 1 1 *", max_age="1s", on=["expiry", "leaked", "error_rate", "secret_changed", "refused"], **QUICK)
    stays_quiet(gateway, sim, 3)


def test_schedule(rotating, sim):
    """Every key, one after the other; and again when it comes round."""
    gateway = rotating(schedule="every 2s", **QUICK)
    with Load(gateway, 2) as load:
        row = wait_step(gateway, "active")
        assert row["trigger"] == "schedule"
        until = time.monotonic() + 30
        while {row["replaces"] for row in rotations(gateway).values() if row["step"] == "active" or row["rotation"]} & {"a", "b"} != {"a", "b"}:
            assert time.monotonic() < until, rotations(gateway)
            time.sleep(0.05)
    assert set(load.statuses) == {200}
    assert issuer(sim)["revoked_requests"] == 0


def with_key(config, name, **settings):
    """The same configuration with more said of one key."""
    for key in config["providers"]["sim"]["keys"]:
        if key["name"] == name:
            key.update(settings)
    return config


def start(stage, config):
    return stage.gateway(config, secrets=[ADMIN]).settle()


def test_expiry(rotating, stage, sim):
    """Its successor lives for thirty days, and is not replaced at once, whatever rotate_before says."""
    sim.scenario()
    gateway = start(stage, with_key(rotating.config(rotate_before="100d", **QUICK), "a", expires=in_seconds(3600)))
    row = wait_step(gateway, "active")
    assert row["trigger"] == "expiry" and row["replaces"] == "a"
    wait_step(gateway, "retired", name="a")
    time.sleep(2)
    assert issuer(sim)["issued"] == 1


def test_an_expired_key_is_pruned(rotating, stage, sim):
    sim.scenario()
    gateway = start(stage, with_key(rotating.config(on=["leaked"], **QUICK), "a", expires=in_seconds(3)))
    with Load(gateway, 2) as load:
        row = wait_step(gateway, "retired", name="a")
        wait_step(gateway, "retired", name="a")
    assert set(load.statuses) == {200}
    assert "was taken out of service" in gateway.output or row["step"] == "retired"
    assert issuer(sim)["issued"] == 0
    assert gateway.key_states()["b"]["wish"] == "enabled"


def test_the_last_key_is_never_pruned(rotating, stage, sim):
    sim.scenario()
    config = rotating.config(on=["leaked"], **QUICK)
    config["providers"]["sim"]["keys"] = [{"name": "a", "secret": "sk-pool-1", "expires": in_seconds(1)}]
    gateway = start(stage, config)
    time.sleep(3)
    assert not rotations(gateway)


ERRORS = {"max": "20%", "min_requests": 20, "window": "10s", "calm": "0s", "prune_after": "2s"}


@pytest.fixture
def failing(rotating, stage, sim):
    """A gateway whose keys are used however badly they do, so that their rates are known soon."""

    def start_it(**settings):
        sim.scenario()
        config = rotating.config(error_rate=ERRORS, **settings, **QUICK)
        config["providers"]["sim"].update(health={"max_failures": 1000000}, breaker={"failures": 1000000})
        config["retry"] = {"budget": "100%"}
        return start(stage, config)

    return start_it


def test_error_rate(failing, sim):
    gateway = failing()
    with Load(gateway) as load:
        sim.set("sk-pool-1", faults=[{"fault": 500, "share": "60%"}])
        row = wait_step(gateway, "active")
        assert row["trigger"] == "error_rate" and row["replaces"] == "a"
        wait_step(gateway, "retired", name="a")
    assert set(load.statuses) == {200}
    assert issuer(sim)["issued"] == 1


def test_errors_of_all_keys_are_nobody_s(failing, sim):
    gateway = failing()
    with Load(gateway):
        for key in ("sk-pool-1", "sk-pool-2"):
            sim.set(key, faults=[{"fault": 500, "share": "60%"}])
        stays_quiet(gateway, sim, 4)


def test_errors_that_stay_prune(failing, sim):
    gateway = failing(on=["leaked"])
    with Load(gateway) as load:
        sim.set("sk-pool-1", faults=[{"fault": 500, "share": "60%"}])
        wait_step(gateway, "retired", name="a")
        assert gateway.key_states()["a"]["wish"] != "enabled"
        # The way back, as nothing has come in its place.
        sim.set("sk-pool-1", faults=[])
        assert gateway.admin("/v1/admin/keys/sim/a/rollback", method="POST").status == 202
        wait_step(gateway, "active", name="a")
        assert gateway.key_states()["a"]["wish"] == "enabled"
    assert set(load.statuses) == {200}
    assert issuer(sim)["issued"] == 0


@pytest.mark.parametrize("on", [["refused"], ["error_rate"]])
def test_a_key_that_is_refused(rotating, sim, on):
    gateway = rotating(on=on, refused_for="500ms", **QUICK)
    with Load(gateway) as load:
        sim.set("sk-pool-1", state="revoked")
        row = wait_step(gateway, "active")
        assert row["trigger"] == "refusal" and row["replaces"] == "a"
        wait_step(gateway, "retired", name="a")
    assert set(load.statuses) == {200}
    assert issuer(sim)["issued"] == 1


def test_a_key_that_never_worked_is_no_cause(rotating, stage, sim):
    sim.scenario({"keys": {"sk-pool-1": {"state": "revoked"}}})
    gateway = start(stage, rotating.config(refused_for="0s", **QUICK))
    stays_quiet(gateway, sim, 3)


def test_age(rotating, sim):
    gateway = rotating(max_age="2s", **QUICK)
    row = wait_step(gateway, "active")
    assert row["trigger"] == "age" and row["replaces"] in ("a", "b")


def test_settings_change_at_a_reload(rotating, stage, sim):
    """An issuer that refuses, then a good one; a schedule where there was none."""
    sim.scenario()
    config = rotating.config(**QUICK)
    config["providers"]["sim"]["rotation"]["issuer"]["create"]["headers"] = {"Authorization": "Bearer sk-wrong"}
    gateway = start(stage, config)
    assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
    wait_step(gateway, "rolled_back")
    assert gateway.reload(rotating.config(schedule="every 1s", **QUICK))
    assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
    assert wait_step(gateway, "active")["trigger"] == "operator"
    until = time.monotonic() + 30
    while not any(row["trigger"] == "schedule" and row["rotation"] for row in rotations(gateway).values()):
        assert time.monotonic() < until, rotations(gateway)
        time.sleep(0.05)


def test_a_rotation_that_fails_waits(rotating, stage, sim, tmp_path):
    """No storm: after one that came to nothing the next waits, over a restart too."""
    sim.scenario({"issuer": {"known_after": "1h"}})
    config = rotating.config(schedule="every 1s", **{**QUICK, "validate": {"attempts": 1, "base_delay": "10ms"}})
    gateway = Gateway(tmp_path, config, secrets=[ADMIN]).settle()
    wait_step(gateway, "rolled_back")
    time.sleep(2.5)
    gateway.kill()
    gateway = start(stage, config)
    time.sleep(2.5)
    assert issuer(sim)["issued"] == 1


def changing(rotating, tmp_path, **settings):
    """The secret of a stands in a file."""
    file = tmp_path / "secret"
    file.write_text("sk-pool-1\n")
    config = with_key(rotating.config(**{**QUICK, **settings}), "a", secret=f"${{file:{file}}}")
    config["providers"]["sim"]["keys"] = config["providers"]["sim"]["keys"][:1]
    return config, file


def test_a_changed_secret(rotating, stage, sim, tmp_path):
    """The new one is ramped in the place of the one before, which serves on meanwhile; no issuer is asked, and need not be there."""
    sim.scenario()
    config, file = changing(rotating, tmp_path, canary={"initial": "25%", "steps": 4, "every": "300ms", "min_requests": 10}, overlap="1s")
    config["providers"]["sim"]["rotation"]["issuer"]["create"]["url"] = "http://127.0.0.1:9/keys"
    gateway = start(stage, config)
    assert gateway.reload()
    stays_quiet(gateway, sim, 2)
    file.write_text("sk-pool-3\n")
    with Load(gateway, 4) as load:
        assert gateway.reload()
        row = wait_step(gateway, "canary", name="a")
        old = row["replaces"]
        assert row["trigger"] == "secret_changed" and old.startswith("a-before-")
        assert gateway.key_states()[old]["step"] == "active"
        wait_step(gateway, "active", name="a")
        wait_step(gateway, "revoked", name=old)
        # Another one, whose proof is told of as the first's was.
        file.write_text("sk-pool-4\n")
        assert gateway.reload()
        wait_step(gateway, "canary", name="a")
        wait_step(gateway, "active", name="a")
    assert set(load.statuses) == {200}
    assert issuer(sim)["issued"] == 0
    assert sim.stats()["keys"]["sk-pool-3"]["answered"] and sim.stats()["keys"]["sk-pool-4"]["answered"]


def test_a_changed_secret_that_is_no_good(rotating, stage, sim, tmp_path):
    """The one before goes on, over a restart too; the next that is put there proves itself in its turn."""
    sim.scenario({"unknown_keys": "refuse", "keys": {"sk-pool-1": {}, "sk-pool-4": {}}})
    config, file = changing(rotating, tmp_path, validate={"attempts": 1, "base_delay": "10ms"})
    gateway = Gateway(tmp_path, config, secrets=[ADMIN]).settle()
    file.write_text("sk-pool-3\n")
    with Load(gateway, 2) as load:
        assert gateway.reload()
        row = wait_step(gateway, "rolled_back", name="a")
        assert row["reason"] == "its provider does not know it (401)"
        time.sleep(0.5)
    assert set(load.statuses) == {200}
    gateway.kill()
    gateway = start(stage, config)
    wait_step(gateway, "active", name=row["replaces"])
    with Load(gateway, 2) as load:
        time.sleep(0.5)
        file.write_text("sk-pool-4\n")
        assert gateway.reload()
        wait_step(gateway, "active", name="a")
        wait_step(gateway, "retired", name=row["replaces"])
    assert set(load.statuses) == {200}


def test_a_changed_secret_that_is_changed_back(rotating, stage, sim, tmp_path):
    sim.scenario()
    config, file = changing(rotating, tmp_path, canary={"initial": "25%", "steps": 4, "every": "1h"})
    gateway = start(stage, config)
    with Load(gateway, 2) as load:
        file.write_text("sk-pool-3\n")
        assert gateway.reload()
        wait_step(gateway, "canary", name="a")
        file.write_text("sk-pool-1\n")
        assert gateway.reload()
        assert wait_step(gateway, "rolled_back", name="a")["reason"] == "the file has it no more"
        assert [key for key in gateway.key_states() if gateway.key_states()[key]["wish"] == "enabled"] == ["a"]
    assert set(load.statuses) == {200}
    answered = sim.stats()["keys"]["sk-pool-3"]["requests"]
    with Load(gateway, 2) as load:
        time.sleep(0.5)
    assert set(load.statuses) == {200} and sim.stats()["keys"]["sk-pool-3"]["requests"] == answered


def test_a_changed_secret_whose_proof_is_forgotten(rotating, stage, sim, tmp_path):
    """Somebody else has written the state meanwhile: the file's secret serves."""
    sim.scenario()
    place = tmp_path / "kept"
    config, file = changing(rotating, tmp_path, keep_in=f"dir:{place}", canary={"initial": "25%", "steps": 4, "every": "1h"})
    gateway = start(stage, config)
    file.write_text("sk-pool-3\n")
    assert gateway.reload()
    wait_step(gateway, "canary", name="a")
    state, others = place / "state", json.dumps({"life": json.dumps({"version": 2, "rotations": 7, "ended_us": 5, "failures": 0, "keys": []})})
    with Load(gateway, 2) as load:
        until = time.monotonic() + 60
        while rotations(gateway):  # it is noticed with the next thing that is written, unless that was under way
            assert time.monotonic() < until
            if state.read_text() != others:
                state.write_text(others)
            time.sleep(0.1)
        time.sleep(0.5)
    assert set(load.statuses) == {200}
    assert {name: key["wish"] for name, key in gateway.key_states().items()} == {"a": "enabled"}


def test_two_changed_secrets_in_one_reload(rotating, stage, sim, tmp_path):
    """Both keys serve on with the secrets before, while the first new one proves itself and the other waits for its turn."""
    sim.scenario()
    files = {"a": tmp_path / "secret-a", "b": tmp_path / "secret-b"}
    config = rotating.config(**{**QUICK, "canary": {"initial": "25%", "steps": 4, "every": "1h"}})
    config["providers"]["sim"]["keys"] = [{"name": name, "secret": f"${{file:{file}}}"} for name, file in files.items()]
    for number, file in enumerate(files.values(), 1):
        file.write_text(f"sk-pool-{number}\n")
    gateway = start(stage, config)
    with Load(gateway, 2) as load:
        for number, file in enumerate(files.values(), 3):
            file.write_text(f"sk-pool-{number}\n")
        assert gateway.reload()
        wait_step(gateway, "canary", name="a")
        wait_step(gateway, "stored", name="b")
        assert gateway.key_states()["b"]["wish"] == "drained"
        assert len([name for name, key in gateway.key_states().items() if name.startswith(("a-before-", "b-before-")) and key["wish"] == "enabled"]) == 2
        # The one that waits is another one by now: when its turn comes it has traffic.
        files["b"].write_text("sk-pool-5\n")
        assert gateway.reload()
        assert gateway.admin("/v1/admin/keys/sim/a/rollback", method="POST").status == 202
        wait_step(gateway, "canary", name="b")
        until = time.monotonic() + 20
        while not sim.stats()["keys"].get("sk-pool-5", {}).get("answered"):
            assert time.monotonic() < until
            time.sleep(0.1)
    assert set(load.statuses) == {200}
    assert "a changed secret is taken without a proof" not in gateway.output


def test_a_changed_secret_of_which_the_one_before_is_lost(rotating, stage, sim, tmp_path):
    """It was no good; but there is no other, so that it is as the file says."""
    sim.scenario({"unknown_keys": "refuse", "keys": {"sk-pool-1": {}}})
    place = tmp_path / "kept"
    config, file = changing(rotating, tmp_path, keep_in=f"dir:{place}", validate={"attempts": 1, "base_delay": "10ms"})
    gateway = Gateway(tmp_path, config, secrets=[ADMIN]).settle()
    file.write_text("sk-pool-3\n")
    assert gateway.reload()
    old = wait_step(gateway, "rolled_back", name="a")["replaces"]
    until = time.monotonic() + 20
    while not (place / old).exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    gateway.kill()
    (place / old).unlink()
    sim.scenario({"unknown_keys": "refuse", "keys": {"sk-pool-3": {}}})
    gateway = start(stage, config)
    until = time.monotonic() + 20
    while gateway.key_states()["a"]["wish"] != "enabled" or old in gateway.key_states():
        assert time.monotonic() < until, gateway.key_states()
        time.sleep(0.1)
    with Load(gateway, 2) as load:
        time.sleep(0.5)
    assert set(load.statuses) == {200}


def test_a_changed_secret_in_place_of_a_dead_one(rotating, stage, sim, tmp_path):
    """Where the one before is refused nothing is to be waited for."""
    sim.scenario({"keys": {"sk-pool-1": {"state": "revoked"}}})
    config, file = changing(rotating, tmp_path)
    gateway = stage.gateway(config, secrets=[ADMIN])
    file.write_text("sk-pool-3\n")
    assert gateway.reload()
    gateway.settle()
    with Load(gateway, 2) as load:
        time.sleep(0.5)
    assert set(load.statuses) == {200}
    assert not rotations(gateway)
    assert "a changed secret is taken without a proof" in gateway.output


def test_a_list_that_is_cut_changes_no_secret(rotating, stage, sim):
    """Keys without names of their own are counted: what moves up is no other key."""
    sim.scenario()
    config = rotating.config(**QUICK)
    config["providers"]["sim"]["keys"] = ["sk-pool-1", "sk-pool-2", "sk-pool-3"]
    gateway = start(stage, config)
    del config["providers"]["sim"]["keys"][0]
    assert gateway.reload(config)
    stays_quiet(gateway, sim, 2.5)
