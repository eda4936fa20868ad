"""What outlives a restart: states of keys, an operator's orders, rotations and the audit trail; and what becomes of a store that
cannot be used."""

import json
import os
import resource
import sqlite3
import stat
import time

import pytest
from harness.expect import chat
from harness.fixtures import provider
from harness.keyed import BROKEN, FORBIDDEN, NO_MODEL, REVOKED, UNPAID, Keyed, limited
from harness.processes import Gateway, Process, run
from harness.rotation import ADMIN, rotation, wait_step
from harness.upstream import serve

RETRY = {"base_delay": "1ms", "wait": "50ms", "rotations": 16}
HEALTH = {"max_failures": 100, "depleted": "2h"}
# Of the key that fails: of its endpoint's requests most go well.
BREAKER = {"failures": 3, "ratio": "50%", "open": "40s"}


def wait_for(condition, within=10):
    until = time.monotonic() + within
    while not condition():
        assert time.monotonic() < until, "did not come to pass"
        time.sleep(0.02)


def ready(gateway):
    """Each key that is probed has been; one that an operator has disabled is not."""
    wait_for(lambda: gateway.get("/ready").status == 200)
    wait_for(lambda: all(state["health"] != "new" or state["wish"] == "disabled" for state in gateway.key_states().values()))
    return gateway


class Kept:
    """A gateway that can be killed and started again, over an upstream that stays."""

    def __init__(self, stage, directory):
        self.stage, self.directory = stage, directory
        self.keys = Keyed()
        self.keys.upstream = stage.upstream(self.keys, answers_probes=False)
        self.path = directory / "bellwether.db"
        self.config = {"server": {"workers": 1}, "retry": RETRY, "store": f"sqlite:{self.path}"}
        self.settings = {"health": HEALTH, "breaker": BREAKER, "selection": "round_robin"}
        self.count = 1

    def file(self, key=None, **more):
        keys = [{"name": f"k{i}", "secret": f"sk-pool-{i}", **(key(i) if key else {})} for i in range(1, self.count + 1)]
        return {**self.config, "providers": {"up": provider(self.keys.upstream.base_url, keys, **self.settings)}, **more}

    def start(self, **more):
        """Without waiting: what is told first is what was known before any probe."""
        return self.stage.gateway(self.file(**more))

    def kill(self, gateway):
        gateway.kill()
        self.stage.started.remove(gateway)

    def order(self, gateway, *arguments):
        done = run(["keys", "--address", "{}:{}".format(*gateway.admin_address), *arguments], env={"ADMIN_TOKEN": "", "CONFIG_PATH": ""})
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, query):
        with sqlite3.connect(f"file:{self.path}?mode=ro", uri=True) as connection:
            return connection.execute(query).fetchall()

    def on_disk(self, **names):
        """Each key stands there so."""
        rows = dict(self.rows("SELECT name, health || ' ' || wish || ' ' || breaker FROM key_states"))
        return all(word in rows.get(name, "") for name, word in names.items())


@pytest.fixture
def kept(stage, tmp_path):
    return Kept(stage, tmp_path)


def trouble(kept):
    """One key of each kind of trouble, and two good ones."""
    kept.count = 8
    kept.keys.behave.update({"sk-pool-1": REVOKED, "sk-pool-2": UNPAID, "sk-pool-3": FORBIDDEN, "sk-pool-4": limited(Retry_After="900"),
                             "sk-pool-5": BROKEN})
    kept.keys.probe["sk-pool-1"] = 401
    gateway = ready(kept.start())
    for _ in range(40):
        assert gateway.post(chat("hello")).status == 200
        if gateway.key_states()["k5"]["error_count"] >= 3:
            break
    kept.order(gateway, "disable", "up/k6")
    kept.order(gateway, "weight", "up/k7", "2.5")
    wait_for(lambda: kept.on_disk(k1="invalid", k2="depleted", k3="forbidden", k5="open", k6="disabled"))
    return gateway


def test_what_was_known_of_keys_is_in_force_again(kept):
    gateway = trouble(kept)
    before = gateway.key_states()
    asked = {i: kept.keys.asked(f"sk-pool-{i}") for i in range(1, 9)}
    kept.kill(gateway)

    gateway = ready(kept.start())
    after = gateway.key_states()
    assert after["k1"]["health"] == "invalid"
    assert (after["k2"]["health"], after["k3"]["health"], after["k4"]["health"]) == ("depleted", "forbidden", "cooling")
    assert after["k6"]["wish"] == "disabled"
    assert after["k7"]["weight"] == 2.5
    for name in ("k2", "k3", "k4"):
        assert abs(seconds(after[name]["cooldown_until"]) - seconds(before[name]["cooldown_until"])) < 2
    assert [limit["scope"] for limit in after["k4"]["limits"]] == [limit["scope"] for limit in before["k4"]["limits"]]
    for _ in range(20):
        answer = gateway.post(chat("hello"))
        assert answer.status == 200 and answer.get("x-bellwether-key") in ("k7", "k8")
    for i in range(1, 7):
        assert kept.keys.asked(f"sk-pool-{i}") == asked[i], f"k{i} was asked again"


def seconds(text):
    return time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))


def test_an_invalid_key_stays_so_until_its_probe_says_otherwise(kept):
    kept.count = 2
    kept.keys.behave["sk-pool-1"], kept.keys.probe["sk-pool-1"] = REVOKED, 401
    gateway = ready(kept.start())
    for _ in range(2):
        gateway.post(chat("hello"))
    wait_for(lambda: kept.on_disk(k1="invalid"))
    kept.kill(gateway)
    kept.keys.behave["sk-pool-1"], kept.keys.probe["sk-pool-1"] = serve, 200
    gateway = kept.start()
    wait_for(lambda: gateway.key_states()["k1"]["health"] == "healthy")
    wait_for(lambda: kept.on_disk(k1="healthy"))


def test_a_model_that_is_set_aside_is_so_again(kept):
    kept.count = 2
    kept.keys.behave["sk-pool-1"] = NO_MODEL
    gateway = ready(kept.start())
    for _ in range(3):
        gateway.post(chat("hello"))
    wait_for(lambda: kept.path.exists() and kept.rows("SELECT model, state FROM key_asides"))
    (model, state), = kept.rows("SELECT model, state FROM key_asides")
    assert state == "missing"
    asked = kept.keys.asked("sk-pool-1")
    kept.kill(gateway)
    gateway = ready(kept.start())
    assert f"model:{model}" in [limit["scope"] for limit in gateway.key_states()["k1"]["limits"]]
    for _ in range(6):
        assert gateway.post(chat("hello")).get("x-bellwether-key") == "k2"
    assert kept.keys.asked("sk-pool-1") == asked


def test_what_the_file_says_anew_of_a_weight_is_newer(kept):
    kept.count = 2
    gateway = ready(kept.start())
    kept.order(gateway, "weight", "up/k1", "7")
    wait_for(lambda: kept.rows("SELECT weight_milli FROM key_states WHERE name = 'k1'") == [(7000,)])
    kept.kill(gateway)
    gateway = ready(kept.stage.gateway(kept.file(key=lambda i: {"weight": 3})))
    assert gateway.key_states()["k1"]["weight"] == 3


def test_a_clock_that_jumped_burns_no_key_for_ever(kept):
    gateway = trouble(kept)
    kept.kill(gateway)
    with sqlite3.connect(kept.path) as connection:
        connection.execute("UPDATE key_states SET until_us = 8000000000000000 WHERE until_us > 0")
        connection.execute("UPDATE key_states SET breaker_until_us = 8000000000000000 WHERE breaker_until_us > 0")
        connection.execute("UPDATE key_asides SET until_us = 8000000000000000")
    gateway = ready(kept.start())
    for state in gateway.key_states().values():
        if state["cooldown_until"]:
            assert seconds(state["cooldown_until"]) < time.mktime(time.gmtime()) + 7200 + 5


def test_a_key_that_comes_later_is_given_what_was_known(kept):
    kept.count = 2
    gateway = ready(kept.start())
    kept.order(gateway, "disable", "up/k2")
    wait_for(lambda: kept.on_disk(k2="disabled"))
    kept.kill(gateway)
    kept.count = 1
    gateway = ready(kept.start())
    kept.count = 2
    assert gateway.reload(kept.file())
    assert gateway.key_states()["k2"]["wish"] == "disabled"
    time.sleep(1.2)  # a round of writing has gone by
    assert kept.on_disk(k2="disabled")


def test_ready_though_all_keys_are_disabled(kept):
    gateway = ready(kept.start())
    kept.order(gateway, "disable", "up/k1")
    wait_for(lambda: kept.on_disk(k1="disabled"))
    kept.kill(gateway)
    assert ready(kept.start()).post(chat("hello")).status == 503


# -- who did what ----------------------------------------------------------------------------------


def audit(gateway, query=""):
    return gateway.admin("/v1/admin/audit" + query).json["audit"]


def test_orders_are_on_record(kept):
    kept.count = 2
    gateway = ready(kept.start())
    kept.order(gateway, "drain", "up/k1")
    kept.order(gateway, "weight", "up/k2", "0.5")
    assert gateway.admin("/v1/admin/keys/up/none/enable", method="POST").status == 404
    wait_for(lambda: len(audit(gateway)) == 3)  # what is read is on the disk
    kept.kill(gateway)
    gateway = ready(kept.start())
    lines = audit(gateway)
    told = [(line["actor"], line["action"], line["provider"], line["key"], line["result"], line["detail"]) for line in lines]
    assert told == [("admin", "enable", "up", "none", "refused", "key_not_found"), ("admin", "weight", "up", "k2", "done", "weight 0.5"),
                    ("admin", "drain", "up", "k1", "done", None)]
    assert all(line["from"].startswith("127.0.0.1:") for line in lines)
    assert [line["key"] for line in audit(gateway, "?provider=up&key=k1")] == ["k1"]
    assert [line["key"] for line in audit(gateway, "?limit=1")] == ["none"]
    assert [line["key"] for line in audit(gateway, f"?before={lines[0]['seq']}&limit=1")] == ["k2"]
    shown = kept.order(gateway, "audit", "up/k2")
    assert "weight" in shown and "drain" not in shown and "weight 0.5" in shown


@pytest.mark.parametrize("query", ["?limit=0", "?limit=501", "?limit=x", "?key=k1", "?before=-1", "?colour=red", f"?provider={'x' * 300}"])
def test_what_cannot_be_asked(kept, query):
    gateway = kept.start()
    answer = gateway.admin("/v1/admin/audit" + query)
    assert answer.status == 400 and answer.json["error"]["code"] == "invalid_query"


# -- a store that cannot be used -------------------------------------------------------------------


def start_refused(kept, path):
    """What serve says as it refuses to start; the file stands as it did."""
    before = path.read_bytes() if path.exists() and path.is_file() else None
    config = kept.directory / "refused.yaml"
    config.write_text(json.dumps({**kept.file(), "server": {"listen": "127.0.0.1:0"}, "admin": {"listen": "127.0.0.1:0"}}))
    done = run(["serve", "--config", str(config)])
    assert done.returncode == 1
    if before is not None:
        assert path.read_bytes() == before
    return done.stderr


CORRUPT = {
    "other text": b"not a database at all, but somebody's notes\n" * 40,
    "a damaged database": b"SQLite format 3\0" + bytes(range(256)) * 64,
    "a short file": b"SQLite",
}


@pytest.mark.parametrize("content", CORRUPT.values(), ids=CORRUPT.keys())
@pytest.mark.parametrize("is_given", [True, False])
def test_a_file_that_is_none_of_ours(kept, content, is_given):
    kept.path.write_bytes(content)
    if not is_given:
        del kept.config["store"]
    said = start_refused(kept, kept.path)
    assert "the store: " in said and str(kept.path) in said
    assert sorted(os.listdir(kept.directory)) == ["bellwether.db", "refused.yaml"]


def test_a_newer_version_s_file(kept):
    kept.kill(kept.start())
    with sqlite3.connect(kept.path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA user_version = 99")
    assert "newer version" in start_refused(kept, kept.path)


def test_another_program_s_database(kept):
    with sqlite3.connect(kept.path) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    assert "another program's database" in start_refused(kept, kept.path)


def test_a_folder_that_is_not_there(kept):
    """Named in the file it is an error; by default it could only be the configuration's own."""
    kept.config["store"] = f"sqlite:{kept.directory}/nowhere/x.db"
    said = start_refused(kept, kept.directory / "nowhere/x.db")
    assert "nowhere/x.db" in said and "No such file" in said


def as_nobody():
    os.setgid(65534)
    os.setuid(65534)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_place_that_may_not_be_written(kept, tmp_path_factory):
    """By default it is said aloud what will not outlive a restart, and the gateway serves; a file that was named is an error."""
    directory = tmp_path_factory.mktemp("readonly")
    for folder in (directory, *directory.parents[:2]):
        folder.chmod(0o755)
    del kept.config["store"]
    config = kept.file(store="sqlite:bellwether.db")
    path = directory / "gateway.yaml"
    text = json.dumps({**config, "server": {"listen": "127.0.0.1:0", "workers": 1}, "admin": {"listen": "127.0.0.1:0"}})
    path.write_text(text)
    process = Process(["serve", "--config", str(path)], limits=as_nobody)
    process.wait_line("the store: .*Permission denied")
    assert process.join(10) == 1
    path.write_text(text.replace(', "store": "sqlite:bellwether.db"', ""))
    process = kept.stage.process(["serve", "--config", str(path)], limits=as_nobody)
    process.wait_line('"message":"nothing outlives a restart.*Permission denied')
    process.wait_line('"message":"ready"')
    assert os.listdir(directory) == ["gateway.yaml"]


def test_two_gateways_on_one_store(kept):
    """The second says so, serves, and takes the store over once the first has gone."""
    kept.count = 2
    first = ready(kept.start())
    kept.order(first, "disable", "up/k1")
    second = kept.start()
    second.wait_line('"message":"store is in use by another process')
    ready(second)
    assert second.key_states()["k1"]["wish"] == "enabled"
    assert second.admin("/v1/admin/audit").json["error"]["code"] == "store_trouble"
    assert second.admin("/v1/admin/rotations").json == {"rotations": [], "history": None}
    first.stop()
    second.wait_line('"message":"store opened"', within=15)
    assert second.key_states()["k1"]["wish"] == "disabled"


def test_no_store(kept):
    kept.config["store"] = "none"
    gateway = ready(kept.start())
    gateway.wait_line("store: none")
    kept.order(gateway, "drain", "up/k1")
    answer = gateway.admin("/v1/admin/audit")
    assert (answer.status, answer.json["error"]["code"]) == (409, "store_not_configured")
    assert gateway.admin("/v1/admin/rotations").json == {"rotations": [], "history": None}
    assert not kept.path.exists()


def test_a_full_disk_does_not_stop_serving(kept):
    """The size of a file is bounded, as if the disk were full."""
    kept.count = 2
    gateway = ready(kept.stage.gateway(kept.file(), limits=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))))
    full = r'"message":"store cannot be written: what is new is kept in memory"'
    for i in range(3000):
        gateway.admin(f"/v1/admin/keys/up/{'x' * 100}{i}/drain", method="POST")
        if i % 50 == 0 and any("store cannot be written" in line for line in gateway.lines):
            break
    gateway.wait_line(full)
    kept.order(gateway, "disable", "up/k1")
    for _ in range(20):
        answer = gateway.post(chat("hello"))
        assert answer.status == 200 and answer.get("x-bellwether-key") == "k2"
    assert sum("store cannot be written" in line for line in gateway.lines) == 1


def test_nobody_else_may_read_the_file(kept):
    ready(kept.start())
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600


def test_no_secret_is_kept(kept):
    gateway = trouble(kept)
    gateway.stop()
    for path in kept.directory.glob("bellwether.db*"):
        assert b"sk-pool" not in path.read_bytes()


def test_ten_kills_in_a_row(kept):
    """Whenever it dies: the next one starts, and what was on record is."""
    kept.count = 3
    for i in range(10):
        gateway = Gateway(kept.directory, kept.file())
        kept.order(gateway, "disable" if i % 2 == 0 else "enable", "up/k1")
        time.sleep(0.003 * i)
        gateway.kill()
    gateway = ready(kept.start())
    assert len(audit(gateway)) >= 8
    assert kept.rows("PRAGMA integrity_check") == [("ok",)]


# -- rotations -------------------------------------------------------------------------------------


def rotating(stage, sim, tmp_path, **settings):
    sim.scenario()
    keys = [{"name": "a", "secret": "sk-pool-1"}, {"name": "b", "secret": "sk-pool-2"}]
    return {"secrets": {"seal_key": f"file:{tmp_path}/bellwether.key"}, "store": f"sqlite:{tmp_path}/bellwether.db",
            "providers": {"sim": provider(sim.base_url, keys, rotation=rotation(sim, canary="off", **settings))}}


def history(gateway, query=""):
    return gateway.admin("/v1/admin/rotations" + query).json["history"]


def test_past_rotations_are_told_after_a_restart(stage, sim, tmp_path):
    config = rotating(stage, sim, tmp_path)
    gateway = stage.gateway(config, secrets=[ADMIN]).settle()
    assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").json["rotation"] == 1
    first = wait_step(gateway, "active")["name"]
    wait_step(gateway, "retired", name="a")
    assert gateway.admin(f"/v1/admin/keys/sim/{first}/rotate", method="POST").json["rotation"] == 2
    wait_step(gateway, "revoked", name=first)
    wait_for(lambda: [row["step"] for row in history(gateway)] == ["revoked", "retired"])
    gateway.stop()
    (tmp_path / "bellwether.sealed").unlink()  # it is the store that tells of the past

    gateway = stage.gateway(config, secrets=[ADMIN]).settle()
    second, one = history(gateway)
    assert (second["id"], second["replaces"], second["trigger"], second["step"]) == ("sim-2", first, "operator", "revoked")
    assert second["ended"] and second["started"] and second["name"] not in ("a", "b", first)
    assert (one["id"], one["name"], one["replaces"]) == ("sim-1", first, "a")
    assert [row["id"] for row in history(gateway, "?limit=1")] == ["sim-2"]
    assert [row["id"] for row in history(gateway, f"?provider=sim&before={second['seq']}")] == ["sim-1"]
    assert history(gateway, "?provider=other") == []
    told = gateway.admin("/v1/admin/rotations/sim-2").json
    steps = [move["to"] for move in told["moves"]]
    assert steps[0] == "issuing" and steps[-4:] == ["active", "draining", "retired", "revoked"]
    assert [move["from"] for move in told["moves"]] == [None, *steps[:-1]]
    assert gateway.admin("/v1/admin/rotations/sim-3").status == 404
    done = run(["keys", "--address", "{}:{}".format(*gateway.admin_address), "history"], env={"ADMIN_TOKEN": ""})
    assert "sim-2" in done.stdout and f"sim/{second['name']}" in done.stdout
    actions = {(line["actor"], line["action"]) for line in audit(gateway)}
    assert {("admin", "rotate"), ("rotation", "issuing"), ("rotation", "active"), ("rotation", "revoked")} <= actions
    for path in tmp_path.glob("bellwether.db*"):
        assert b"sk-" not in path.read_bytes()


def test_an_operator_s_wish_for_a_key_that_was_issued(stage, sim, tmp_path):
    """Rotation knows what it wants of the key; what an operator wants besides is kept for it."""
    config = rotating(stage, sim, tmp_path, overlap="1h")
    gateway = stage.gateway(config, secrets=[ADMIN]).settle()
    assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
    name = wait_step(gateway, "active")["name"]
    wait_step(gateway, "retired", name="a")
    assert gateway.admin(f"/v1/admin/keys/sim/{name}/disable", method="POST").status == 202
    done = run(["keys", "--address", "{}:{}".format(*gateway.admin_address), "weight", "sim/b", "3"], env={"ADMIN_TOKEN": ""})
    assert done.returncode == 0
    with sqlite3.connect(f"file:{tmp_path}/bellwether.db?mode=ro", uri=True) as connection:
        wait_for(lambda: len(connection.execute("SELECT 1 FROM key_states").fetchall()) == 2)
    gateway.kill()
    stage.started.remove(gateway)

    gateway = stage.gateway(config, secrets=[ADMIN])
    wait_for(lambda: name in gateway.key_states())
    wait_for(lambda: gateway.key_states()["a"]["wish"] == "disabled")
    assert gateway.key_states()[name]["wish"] == "disabled"
    assert gateway.key_states()["b"]["weight"] == 3
    for _ in range(10):
        assert gateway.post(chat("hello")).get("x-bellwether-key") == "b"
    # The way back of the old one is rotation's own word again.
    assert gateway.admin(f"/v1/admin/keys/sim/{name}/rollback", method="POST").status == 202
    wait_for(lambda: gateway.key_states()["a"]["wish"] == "enabled")
