"""What an operator wants of a key, by the admin API and by bellwether keys: at once, under load, and through reloads."""

import json
from collections import Counter

import pytest
from harness.callers import Load
from harness.expect import chat
from harness.processes import run
from harness.wire import post


def keys(gateway, *arguments, env=None):
    return run(["keys", "--config", str(gateway.path), *arguments], env=env)


def by_key(gateway, count=20):
    with gateway.connect() as connection:
        answers = [connection.ask(post(chat("hello"))) for _ in range(count)]
    assert {answer.status for answer in answers} == {200}
    return Counter(answer.get("x-bellwether-key") for answer in answers)


@pytest.fixture(params=["tcp", "unix"])
def gateway(request, pool, tmp_path):
    listen = "127.0.0.1:0" if request.param == "tcp" else f"unix:{tmp_path}/admin"
    return pool(2, config={"server": {"workers": 1}, "admin": {"listen": listen, "token": "admin-token-4711"}})


def ask(gateway, *arguments):
    """By address, as the configuration does not say which free port was taken."""
    address = gateway.admin_address
    text = f"unix:{address}" if isinstance(address, str) else f"{address[0]}:{address[1]}"
    return run(["keys", "--address", text, *arguments], env={"ADMIN_TOKEN": "admin-token-4711"})


def test_drain_and_enable(gateway):
    done = ask(gateway, "drain", "sim/k1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "sim/k1: drained, weight 1\n", "")
    assert by_key(gateway) == {"k2": 20}
    assert gateway.key_states()["k1"]["wish"] == "drained"
    assert gateway.reload()
    assert by_key(gateway) == {"k2": 20}
    assert ask(gateway, "enable", "sim/k1").returncode == 0
    assert set(by_key(gateway)) == {"k1", "k2"}
    gateway.wait_line(r'"message":"operator\'s order","order":"drain","provider":"sim","key":"k1"')


def test_weight(gateway):
    assert ask(gateway, "weight", "sim/k1", "0").stdout == "sim/k1: enabled, weight 0\n"
    assert by_key(gateway) == {"k2": 20}
    assert ask(gateway, "disable", "sim/k2").returncode == 0
    assert by_key(gateway) == {"k1": 20}  # a standby serves where no other can


def test_list(gateway):
    by_key(gateway, 4)
    lines = ask(gateway, "list").stdout.splitlines()
    assert lines[0].split() == ["KEY", "STEP", "WISH", "HEALTH", "WEIGHT", "REQUESTS", "ERRORS"]
    assert [line.split()[:5] for line in lines[1:]] == [["sim/k1", "active", "enabled", "healthy", "1"],
                                                        ["sim/k2", "active", "enabled", "healthy", "1"]]
    assert sum(int(line.split()[5]) for line in lines[1:]) == 4


@pytest.mark.parametrize("arguments, status, words", [
    (["drain", "sim/none"], 1, "There is no such key."), (["drain", "sim"], 2, "PROVIDER/KEY"), (["drain", "sim/k1/x"], 2, "PROVIDER/KEY"),
    (["weight", "sim/k1"], 2, "a number"), (["weight", "sim/k1", "-1"], 2, "0 to 1000000"), (["melt", "sim/k1"], 2, "takes list"), ([], 2, "takes list"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_refused(pool, arguments, status, words):
    done = ask(pool(1, config={"admin": {"token": "admin-token-4711"}}), *arguments)
    assert done.returncode == status and words in done.stderr and not done.stdout


def test_without_token(pool):
    gateway = pool(1, config={"admin": {"token": "admin-token-4711"}})
    host, port = gateway.admin_address
    done = run(["keys", "--address", f"{host}:{port}", "list"], env={"ADMIN_TOKEN": ""})
    assert done.returncode == 1 and "The admin API needs its token." in done.stderr


def test_nobody_there(pool, tmp_path):
    gateway = pool(1, config={"admin": {"listen": f"unix:{tmp_path}/admin", "token": "admin-token-4711"}})
    assert keys(gateway, "list").returncode == 0  # the token of the file
    gateway.stop()
    done = keys(gateway, "list")
    assert done.returncode == 1 and done.stderr.startswith("bellwether keys: unix:")


def test_no_request_is_lost(pool):
    """Keys are drained, weighed and enabled without pause while requests come."""
    gateway = pool(3)
    with Load(gateway) as load:
        for turn in range(60):
            name = f"k{turn % 3 + 1}"
            for order in ("drain", "enable") if turn % 2 else ("disable", "enable"):
                assert gateway.admin(f"/v1/admin/keys/sim/{name}/{order}", method="POST").status == 202
    assert len(load.statuses) > 60 and set(load.statuses) == {200}
    assert {json.dumps(row["wish"]) for row in gateway.key_states().values()} == {'"enabled"'}
