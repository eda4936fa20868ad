"""Client keys that the gateway issues itself: POST /v1/keys on the admin address, and bellwether clients."""

import json
import sqlite3
import threading
import time

import pytest
from harness.expect import chat, content
from harness.processes import run
from harness.wire import Wire, request

TOKEN = {"Authorization": "Bearer admin-token-4711"}


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def call(gateway, method, target, body=None):
    """One call of the admin API with a JSON body."""
    data = request(method, target, {**TOKEN, "Content-Type": "application/json"},
                   json.dumps(body).encode() if body is not None else b"", host="127.0.0.1")
    with Wire(gateway.admin_address) as connection:
        return connection.ask(data, method)


def issue(gateway, name, **more):
    answer = call(gateway, "POST", "/v1/keys", {"name": name, **more})
    assert answer.status == 201, answer.body
    gateway.secrets.add(answer.json["api_key"])
    return answer.json


@pytest.fixture
def gateway(pool, tmp_path):
    return pool(2, config={"clients": {"open": False, "keys": [{"name": "own", "secret": "sk-client-own"}]},
                           "admin": {"listen": "127.0.0.1:0", "token": "admin-token-4711"},
                           "store": f"sqlite:{tmp_path}/keys.db", "server": {"workers": 4}})


def status(gateway, secret, model="sim-model"):
    return gateway.post(chat("hello"), headers=bearer(secret)).status


def on_all_workers(gateway, secret):
    """What connections get that the kernel spreads over all workers."""
    return {status(gateway, secret) for _ in range(40)}


def test_a_key_works_at_once_and_is_refused_at_once(gateway):
    assert status(gateway, "sk-bw-never-issued") == 401
    for i in range(10):
        key = issue(gateway, f"web-{i}")
        assert key["api_key"].startswith("sk-bw-") and len(key["api_key"]) == 49
        assert key["status"] == "active" and key["expires_at"] is None and key["created_at"]
        assert on_all_workers(gateway, key["api_key"]) == {200}
        answer = call(gateway, "DELETE", f"/v1/keys/{key['key_id']}")
        assert answer.status == 200 and answer.json["status"] == "revoked"
        assert on_all_workers(gateway, key["api_key"]) == {401}
    assert gateway.wait_access(client="web-0")["status"] == 200
    assert status(gateway, "sk-client-own") == 200


def test_the_key_stands_in_its_answer_alone(gateway, tmp_path):
    key = issue(gateway, "web")
    secret = key["api_key"]
    for target in ("/v1/keys", f"/v1/keys/{key['key_id']}"):
        answer = call(gateway, "GET", target)
        assert answer.status == 200 and secret not in answer.body.decode() and "api_key" not in answer.body.decode()
    assert [row["key_id"] for row in call(gateway, "GET", "/v1/keys").json["keys"]] == [key["key_id"]]
    assert status(gateway, secret) == 200
    assert secret not in gateway.output
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def test_limits_models_and_end(gateway):
    key = issue(gateway, "web", rate_limit=1, models=["other-*"], expires_in_days=30, **{"class": "batch"})
    secret = key["api_key"]
    shown = call(gateway, "GET", f"/v1/keys/{key['key_id']}").json
    assert (shown["rate_limit"], shown["models"], shown["class"]) == (1, ["other-*"], "batch")
    assert shown["expires_at"] > shown["created_at"]
    assert gateway.post(chat("hello"), headers=bearer(secret)).error["code"] == "model_not_allowed"
    answer = call(gateway, "PATCH", f"/v1/keys/{key['key_id']}", {"models": None})
    assert answer.status == 200 and answer.json["models"] == ["*"] and answer.json["rate_limit"] == 1
    assert gateway.post(chat("hello"), headers=bearer(secret)).status == 200
    limited = gateway.post(chat("hello"), headers=bearer(secret))
    assert limited.status == 429 and int(limited.get("retry-after")) >= 1
    assert call(gateway, "PATCH", f"/v1/keys/{key['key_id']}", {"rate_limit": None}).json["rate_limit"] is None
    assert on_all_workers(gateway, secret) == {200}
    past = {"expires_at": "2020-01-01T00:00:00Z"}
    assert call(gateway, "PATCH", f"/v1/keys/{key['key_id']}", past).json["status"] == "expired"
    answer = gateway.post(chat("hello"), headers=bearer(secret))
    assert answer.status == 401 and "expired" in answer.error["message"]
    assert call(gateway, "GET", f"/v1/keys/{key['key_id']}").json["last_used"]


@pytest.mark.parametrize(
    ("body", "words"),
    [({}, "name"), ({"name": "a b"}, "name"), ({"name": "x", "rate_limit": "many"}, "rate_limit"),
     ({"name": "x", "models": "gpt"}, "models"), ({"name": "x", "colour": 1}, "colour"), ([], "object")],
)
def test_what_is_wrong_is_said(gateway, body, words):
    answer = call(gateway, "POST", "/v1/keys", body)
    assert answer.status == 400 and words in answer.error["message"]
    assert call(gateway, "GET", "/v1/keys").json == {"keys": []}


def test_names_are_taken_once(gateway):
    key = issue(gateway, "web")
    for name in ("web", "own", "anonymous"):
        answer = call(gateway, "POST", "/v1/keys", {"name": name})
        assert (answer.status, answer.error["code"]) == (409, "name_taken")
    assert call(gateway, "DELETE", f"/v1/keys/{key['key_id']}").status == 200
    issue(gateway, "web")
    for method in ("GET", "PATCH", "DELETE"):
        answer = call(gateway, method, f"/v1/keys/{key['key_id']}", {} if method == "PATCH" else None)
        assert (answer.status, answer.error["code"]) == (404, "key_not_found"), method
    assert call(gateway, "PUT", "/v1/keys").get("allow") == "GET, HEAD, POST"


def test_only_the_operator_issues(gateway):
    with Wire(gateway.admin_address) as connection:
        answer = connection.ask(request("POST", "/v1/keys", {}, b'{"name": "x"}', host="127.0.0.1"), "POST")
    assert answer.status == 401
    assert gateway.ask(request("GET", "/v1/keys", TOKEN), "GET").status == 404  # of the data plane it is no path


def test_an_open_gateway_says_that_it_stays_open(pool, tmp_path):
    gateway = pool(1, config={"admin": {"listen": "127.0.0.1:0", "token": "admin-token-4711"},
                              "store": f"sqlite:{tmp_path}/keys.db"})
    key = issue(gateway, "web")
    assert "open" in key["note"]
    assert gateway.post(chat("hello")).content == content("hello")
    assert status(gateway, key["api_key"]) == 200
    assert gateway.wait_access(client="web")
    assert call(gateway, "DELETE", f"/v1/keys/{key['key_id']}").status == 200
    assert status(gateway, key["api_key"]) == 401  # though anybody else is welcome
    assert status(gateway, "whatever") == 200


def test_keys_outlive_the_process_and_reloads(gateway, stage):
    key, gone = issue(gateway, "web", rate_limit=600), issue(gateway, "gone")
    call(gateway, "DELETE", f"/v1/keys/{gone['key_id']}")
    assert gateway.reload()
    assert on_all_workers(gateway, key["api_key"]) == {200}
    gateway.kill()
    gateway.stop = lambda *_: None  # it has ended as it was meant to
    again = stage.gateway(gateway.config)
    # From the first request on, without a wait for it to be ready.
    assert status(again, key["api_key"]) == 200
    assert status(again, gone["api_key"]) == 401
    assert call(again, "GET", f"/v1/keys/{key['key_id']}").json["rate_limit"] == 600
    assert call(again, "POST", "/v1/keys", {"name": "web"}).status == 409


@pytest.mark.threads
def test_keys_come_and_go_under_load(gateway):
    """Not one request on a standing key is refused while others are issued, changed and revoked."""
    standing = issue(gateway, "standing")["api_key"]
    seen, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            with gateway.connect() as connection:
                for _ in range(20):
                    data = request("POST", "/v1/chat/completions",
                                   {**bearer(standing), "Content-Type": "application/json"},
                                   json.dumps(chat("hello")).encode())
                    seen.append(connection.ask(data).status)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i in range(60):
        key = issue(gateway, f"k{i}")
        assert status(gateway, key["api_key"]) == 200
        assert call(gateway, "PATCH", f"/v1/keys/{key['key_id']}", {"rate_limit": 100}).status == 200
        assert call(gateway, "DELETE", f"/v1/keys/{key['key_id']}").status == 200
        assert status(gateway, key["api_key"]) == 401
    stop.set()
    for thread in threads:
        thread.join()
    assert set(seen) == {200} and len(seen) > 50


def test_without_a_store_there_is_a_reason(pool, tmp_path):
    gateway = pool(1, config={"admin": {"listen": "127.0.0.1:0", "token": "admin-token-4711"}, "store": "none"})
    for answer in (call(gateway, "POST", "/v1/keys", {"name": "web"}), call(gateway, "GET", "/v1/keys")):
        assert (answer.status, answer.error["code"]) == (503, "store_unreachable")
        assert "store: none" in answer.error["message"] and answer.get("retry-after")
    assert gateway.post(chat("hello")).status == 200


def test_a_store_that_is_locked(gateway, tmp_path):
    """Nothing is issued that would not outlive a restart; what is revoked is refused all the same."""
    key = issue(gateway, "web")
    other = sqlite3.connect(tmp_path / "keys.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    answer = call(gateway, "POST", "/v1/keys", {"name": "later"})
    assert answer.status == 503 and time.monotonic() - began < 15
    answer = call(gateway, "DELETE", f"/v1/keys/{key['key_id']}")
    assert answer.status in (200, 503)
    assert on_all_workers(gateway, key["api_key"]) == {401}
    other.execute("ROLLBACK")
    other.close()
    until = time.monotonic() + 40
    while (answer := call(gateway, "POST", "/v1/keys", {"name": "later"})).status != 201:
        assert answer.status == 503 and time.monotonic() < until, answer.body
        time.sleep(0.2)
    assert on_all_workers(gateway, answer.json["api_key"]) == {200}


def test_the_command(gateway):
    def ask(*arguments):
        text = f"{gateway.admin_address[0]}:{gateway.admin_address[1]}"
        return run(["clients", "--address", text, *arguments], env={"ADMIN_TOKEN": "admin-token-4711"})

    done = ask("add", "web", "--rpm", "60", "--days", "30", "--model", "sim-*", "--model", "gpt-*")
    secret = done.stdout.strip()
    assert done.returncode == 0 and secret.startswith("sk-bw-") and "this once" in done.stderr
    rows = ask("list").stdout.splitlines()
    assert rows[0].split()[:4] == ["ID", "NAME", "STATUS", "RPM"]
    assert rows[1].split()[1:4] == ["web", "active", "60"] and rows[1].endswith("sim-*,gpt-*")
    assert ask("update", "web", "--rpm", "0", "--model", "*").stdout.splitlines()[1].split()[3] == "-"
    assert status(gateway, secret) == 200
    assert ask("show", "web").stdout.splitlines()[1].split()[1] == "web"
    assert "exists" in ask("add", "web").stderr
    assert ask("add", "b", "--rpm", "many").returncode == 1
    assert ask("revoke", "web").returncode == 0
    assert status(gateway, secret) == 401
    assert ask("revoke", "web").returncode == 1
    for bad in (["list", "x"], ["add"], ["add", "x", "--days"], ["add", "x", "--colour", "red"], ["wash", "x"], []):
        assert ask(*bad).returncode == 2, bad
