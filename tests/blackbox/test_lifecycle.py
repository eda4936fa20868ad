"""The end of a process and the change of its configuration: nothing that was begun is lost."""

import json
import signal
import socket
import threading
import time

import pytest
from harness import load
from harness.expect import chat, content
from harness.fixtures import provider
from harness.keyed import limited
from harness.wire import Wire, post, request

GOOD = post(chat("hello"))


def ended(gateway, within=10):
    """Seconds until the process has ended."""
    started = time.monotonic()
    gateway.stop(within=within)
    return time.monotonic() - started


def begin_ending(gateway, seconds=0.1):
    gateway.send_signal(signal.SIGTERM)
    time.sleep(seconds)


def in_thread(function, *arguments):
    """Runs it beside; the returned function waits for the result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function(*arguments)))
    thread.start()

    def join():
        thread.join(30)
        return results[0]

    return join


# -- SIGTERM ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_gateway_ends_at_once(pool, number):
    gateway = pool(1)
    started = time.monotonic()
    gateway.stop(number)
    assert time.monotonic() - started < 2
    with pytest.raises(ConnectionRefusedError):
        gateway.connect()


@pytest.mark.threads
def test_under_load_everything_begun_is_answered(pool):
    gateway = pool(4, {"defaults": {"latency": "20ms"}}, config={"server": {"shutdown_grace": "10s"}})
    stop = threading.Event()

    def before(i):
        if i == 300:
            gateway.send_signal(signal.SIGTERM)
            threading.Timer(1, stop.set).start()

    results = load.exchanges(gateway.address, 100_000, clients=24, stream_share=0.3, before=before, stop=stop.is_set)
    failed = [result for result in load.failures(results) if "ConnectionRefusedError" not in result.error]
    assert failed == [], "only who came to a closed door was not answered"
    closing = [result for result in results if result.is_ok and result.fields.get("connection") == "close"]
    assert len(closing) >= 20
    assert ended(gateway) < 5


def test_ready_says_so_before_listening_ends(pool):
    gateway = pool(1, config={"server": {"shutdown_delay": "700ms"}})
    assert gateway.get("/ready").status == 200
    begin_ending(gateway)
    answer = gateway.get("/ready")
    assert answer.status == 503 and answer.get("retry-after")
    assert gateway.get("/health").status == 200
    assert gateway.post(chat("hello")).content == content("hello"), "all else goes on"
    time.sleep(0.9)
    with pytest.raises(ConnectionRefusedError):
        gateway.connect()
    assert ended(gateway) < 5


def test_idle_connections_stay_for_one_more_request(pool):
    gateway = pool(1, config={"server": {"shutdown_grace": "5s"}})
    with gateway.connect() as connection:
        connection.ask(GOOD)
        begin_ending(gateway, 0.3)
        assert connection.is_open()
        answer = connection.ask(GOOD)
        assert answer.content == content("hello") and answer.get("connection") == "close"
        assert connection.is_closed()
    assert ended(gateway) < 3


def test_idle_connections_end_with_the_grace(pool):
    gateway = pool(1, config={"server": {"shutdown_grace": "600ms"}})
    with gateway.connect() as connection:
        connection.ask(GOOD)
        begin_ending(gateway, 0)
        started = time.monotonic()
        assert connection.is_closed(3)
        assert 0.4 < time.monotonic() - started < 2
    assert ended(gateway) < 3


def test_half_a_request_is_waited_for(pool):
    gateway = pool(1, config={"server": {"shutdown_grace": "5s"}})
    with gateway.connect() as connection:
        connection.send(GOOD[:30])
        time.sleep(0.1)
        begin_ending(gateway, 0.3)
        answer = connection.ask(GOOD[30:])
        assert answer.content == content("hello") and answer.get("connection") == "close"
    assert ended(gateway) < 3


def test_streams_end_well_within_the_grace(pool):
    gateway = pool(
        1, {"defaults": {"min_tokens": 40, "event_gap": "20ms"}}, config={"server": {"shutdown_grace": "10s"}}
    )
    join = in_thread(gateway.post, chat("hello", stream=True))
    time.sleep(0.2)
    begin_ending(gateway, 0)
    answer = join()
    assert answer.events[-1] == "[DONE]" and answer.content.endswith(" w39")
    assert ended(gateway) < 3


def test_a_stream_past_the_grace_is_ended_with_an_error(pool, sim):
    gateway = pool(
        1, {"defaults": {"min_tokens": 1000, "event_gap": "20ms"}}, config={"server": {"shutdown_grace": "500ms"}}
    )
    join = in_thread(gateway.post, chat("hello", stream=True))
    time.sleep(0.2)
    begin_ending(gateway, 0)
    answer = join()
    *events, last = answer.events
    error = json.loads(last)["error"]
    assert error["code"] == "shutting_down" and "[DONE]" not in events
    assert len(events) > 5
    assert ended(gateway) < 3
    line = gateway.wait_access(cancelled_by="shutdown")
    assert line["is_stream"] and line["completion_tokens"] > 0
    until = time.monotonic() + 3
    while sim.stats()["total"]["cancelled"] != 1:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_an_answer_that_did_not_begin_within_the_grace(pool):
    gateway = pool(1, {"defaults": {"latency": "20s"}}, config={"server": {"shutdown_grace": "400ms"}})
    join = in_thread(gateway.post, chat("hello"))
    time.sleep(0.1)
    begin_ending(gateway, 0)
    answer = join()
    assert (answer.status, answer.error["code"]) == (503, "shutting_down")
    assert int(answer.get("retry-after")) >= 1 and answer.get("connection") == "close"
    assert ended(gateway) < 3


def test_a_second_signal_ends_it_at_once(pool):
    gateway = pool(1, {"defaults": {"latency": "20s"}}, config={"server": {"shutdown_grace": "20s"}})
    with gateway.connect() as connection:
        connection.send(GOOD)
        time.sleep(0.1)
        begin_ending(gateway, 0.2)
        started = time.monotonic()
        gateway.send_signal(signal.SIGTERM)
        assert connection.answer().error["code"] == "shutting_down"
        gateway.process.wait(5)
        assert time.monotonic() - started < 2


@pytest.mark.parametrize("pause", [0, 0.001, 0.01])
def test_a_shower_of_signals(pool, pause):
    gateway = pool(1)
    for number in [signal.SIGHUP, signal.SIGTERM, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1] + [
        signal.SIGTERM
    ] * 20:
        if gateway.process.poll() is None:
            gateway.send_signal(number)
            time.sleep(pause)
    assert ended(gateway) < 5


def test_who_connects_while_the_listeners_close_is_served_or_not_let_in(pool):
    """A crowd connects as the signal comes, and after it: whoever got in is answered, nobody is reset."""
    gateway = pool(2, config={"server": {"shutdown_grace": "5s"}})
    connections, refused = [], threading.Event()

    def crowd():
        while not refused.is_set():
            try:
                connections.append(gateway.connect())
            except ConnectionRefusedError:
                refused.set()

    threads = [threading.Thread(target=crowd) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(connections) < 100:
        time.sleep(0.001)
    gateway.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    for connection in connections:
        assert connection.ask(GOOD).content == content("hello")
        connection.close()
    assert ended(gateway) < 5


def test_a_unix_socket_lets_nobody_in_once_it_closes(pool, tmp_path):
    gateway = pool(2, config={"server": {"listen": [f"unix:{tmp_path}/s"], "shutdown_grace": "5s"}})
    before = [gateway.connect() for _ in range(20)]
    gateway.send_signal(signal.SIGTERM)
    while True:
        try:
            before.append(gateway.connect())
        except OSError:
            break
    for connection in before:
        assert connection.ask(GOOD).content == content("hello")
        connection.close()
    assert ended(gateway) < 5


# -- SIGHUP ----------------------------------------------------------------------------------------


@pytest.mark.threads
def test_reloads_under_load_drop_nothing(pool, sim):
    gateway = pool(3, {"defaults": {"latency": "3ms"}}, config={"models": {"m": "sim/a"}})
    reloads = []

    def change():
        for i in range(12):
            config = json.loads(json.dumps(gateway.config))
            config["models"]["m"] = f"sim/{'ab'[i % 2]}"
            config["providers"]["sim"]["keys"] = config["providers"]["sim"]["keys"][: 2 + i % 2]
            config["providers"]["sim"]["keys"][0]["weight"] = 1 + i % 3
            config["retry"] = {"attempts": 3 + i % 2}
            reloads.append(gateway.reload(config))
            time.sleep(0.05)
        stop.set()

    stop = threading.Event()
    gateway.config["providers"]["sim"]["keys"].append({"name": "k4", "secret": "sk-pool-4"})
    changer = threading.Thread(target=change)
    changer.start()
    results = load.exchanges(gateway.address, 100_000, clients=16, stream_share=0.3, stop=stop.is_set, model="m")
    changer.join()
    assert all(reloads) and len(reloads) == 12
    assert load.failures(results) == []
    assert len(results) > 200
    assert 'bellwether_config_reloads_total{result="applied"} 12' in gateway.admin("/metrics").body.decode()


def test_a_bad_file_changes_nothing(pool):
    gateway = pool(2, config={"models": {"m": "sim/a"}})
    before = gateway.key_states()
    seen = len(gateway.lines)
    assert not gateway.reload("providers: {sim: {kind: nonsense}}\nretry: {atempts: 5}\n")
    shown = "\n".join(gateway.lines[seen:])
    assert "nonsense" in shown and "attempts" in shown and ":2:9:" in shown, "all complaints, with their places"
    assert gateway.post(chat("hello", model="m")).content == content("hello")
    assert gateway.key_states().keys() == before.keys()
    assert 'bellwether_config_reloads_total{result="refused"} 1' in gateway.admin("/metrics").body.decode()
    assert gateway.reload(gateway.config), "and a good one is taken again"


def test_what_is_under_way_ends_by_the_old_file(pool):
    gateway = pool(1, {"defaults": {"min_tokens": 30, "event_gap": "20ms"}}, config={"models": {"m": "sim/a"}})
    join = in_thread(gateway.post, chat("hello", model="m", stream=True))
    time.sleep(0.2)
    config = {**gateway.config, "models": {"n": "sim/b"}}
    config["providers"] = {"sim": {**config["providers"]["sim"], "keys": [{"name": "new", "secret": "sk-pool-9"}]}}
    assert gateway.reload(config)
    assert gateway.post(chat("hello", model="m")).status == 404
    answer = gateway.post(chat("hello", model="n", max_tokens=3))
    assert answer.status == 200 and answer.get("x-bellwether-key") == "new"
    old = join()
    assert old.events[-1] == "[DONE]" and old.get("x-bellwether-key") == "k1"


def test_keys_keep_their_state(keyed):
    """Found again by provider and secret, whatever they are called now."""
    gateway = keyed(2, behave={"sk-pool-1": limited(Retry_After="60")}, selection="priority")
    for _ in range(3):
        gateway.post(chat("hello"))
    config = json.loads(json.dumps(gateway.config))
    config["providers"]["up"]["keys"][0]["name"] = "renamed"
    config["providers"]["up"]["keys"].reverse()
    assert gateway.reload(config)
    state = gateway.key_states()
    assert state["renamed"]["health"] == "cooling" and not state["renamed"]["healthy"]
    assert state["k2"]["request_count"] == 3
    assert gateway.post(chat("hello")).get("x-bellwether-key") == "k2"
    assert gateway.keys.asked("sk-pool-1") == 1
    assert gateway.keys.probed("sk-pool-2") == 1, "what is the same need not be validated anew"


def test_limits_of_clients_are_kept(pool):
    clients = {"keys": [{"name": "web", "secret": "sk-client-web", "limits": {"rpm": 60, "burst": 3}}]}
    gateway = pool(1, config={"clients": clients})
    headers = {"Authorization": "Bearer sk-client-web"}
    for _ in range(3):
        assert gateway.post(chat("hello"), headers=headers).status == 200
    assert gateway.reload()
    assert gateway.post(chat("hello"), headers=headers).status == 429


def test_references_are_read_anew(stage, sim, tmp_path):
    key = tmp_path / "key"
    key.write_text("sk-file-1")
    gateway = stage.gateway(
        {"providers": {"sim": provider(sim.base_url, [{"name": "k", "secret": f"${{file:{key}}}"}])}},
        secrets=["sk-file-1", "sk-file-2"],
    ).settle()
    gateway.post(chat("hello"))
    key.write_text("sk-file-2")
    assert gateway.reload()
    gateway.post(chat("hello"))
    assert (sim.generations("sk-file-1"), sim.generations("sk-file-2")) == (1, 1)


@pytest.mark.parametrize(
    ("section", "setting", "value"),
    [("server", "listen", "127.0.0.1:1"), ("server", "workers", 1), ("admin", "listen", "127.0.0.1:1")],
)
def test_what_needs_a_restart(pool, section, setting, value):
    gateway = pool(1)
    seen = len(gateway.lines)
    config = json.loads(json.dumps(gateway.config))
    config[section][setting] = value
    assert gateway.reload(config)
    shown = "\n".join(gateway.lines[seen:])
    assert "restart" in shown and f"{section}.{setting}" in shown
    assert gateway.post(chat("hello")).content == content("hello")


def test_providers_come_and_go(stage):
    one, two = stage.upstream(), stage.upstream()
    gateway = stage.gateway(
        {"models": {"m": "one/a"}, "providers": {"one": provider(one.base_url, ["sk-one-1"])}}
    ).settle()
    for _ in range(3):
        assert gateway.post(chat("hello", model="m")).status == 200
    config = {**gateway.config, "models": {"m": "two/b"}, "providers": {"two": provider(two.base_url, ["sk-two-1"])}}
    assert gateway.reload(config)
    for _ in range(3):
        assert gateway.post(chat("hello", model="m")).status == 200
    assert (len(one.requests), len(two.requests)) == (3, 3)
    assert {state["provider"] for state in gateway.key_states().values()} == {"two"}
    assert gateway.reload(
        {**config, "models": {"m": "one/a"}, "providers": {"one": provider(one.base_url, ["sk-one-1"])}}
    )
    assert gateway.post(chat("hello", model="m")).status == 200


# -- the log's file --------------------------------------------------------------------------------


def test_the_logs_file_is_opened_anew(stage, sim, tmp_path):
    """SIGUSR1, after logrotate has moved it."""
    path, moved = tmp_path / "gateway.log", tmp_path / "gateway.log.1"
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        ports = one.getsockname()[1], two.getsockname()[1]
    process = stage.process(
        [
            "serve",
            "--config",
            str(
                write(
                    tmp_path,
                    {
                        "server": {"listen": f"127.0.0.1:{ports[0]}"},
                        "admin": {"listen": f"127.0.0.1:{ports[1]}"},
                        "providers": {"sim": provider(sim.base_url, ["sk-log-1"])},
                        "log": {"file": str(path)},
                    },
                )
            ),
        ]
    )
    wait_for(lambda: path.exists() and "listening" in path.read_text())
    address = ("127.0.0.1", ports[0])
    ask(address, "first")
    wait_for(lambda: '"first"' in path.read_text())
    path.rename(moved)
    process.send_signal(signal.SIGUSR1)
    wait_for(path.exists)
    ask(address, "second")
    wait_for(lambda: '"second"' in path.read_text())
    assert '"second"' not in moved.read_text() and '"first"' not in path.read_text()
    assert "sk-log-1" not in path.read_text() + moved.read_text()


def write(directory, config):
    path = directory / "log.yaml"
    path.write_text(json.dumps(config))
    return path


def ask(address, name):
    with Wire(address) as connection:
        assert connection.ask(request("GET", "/v1/models", {"X-Request-ID": name})).status == 200


def wait_for(condition, within=5):
    until = time.monotonic() + within
    while not condition():
        assert time.monotonic() < until, "did not come to pass"
        time.sleep(0.02)


def test_upstream_connections_are_closed_at_the_end(stage):
    upstream = stage.upstream()
    gateway = stage.gateway({"providers": {"up": provider(upstream.base_url, ["sk-end-1"])}}).settle()
    gateway.post(chat("hello"))
    gateway.stop()
    wait_for(lambda: all(peer.socket.fileno() < 0 for peer in upstream.peers))


@pytest.mark.parametrize("lost", ["admin", "clients"])
def test_a_reload_opens_nothing(stage, sim, lost):
    """Addresses stay until a restart: a file that is open because of its own loopback addresses is not taken over on others."""
    config = {"providers": {"sim": provider(sim.base_url, ["sk-pool-1"])}}
    public = {"server": {"listen": "0.0.0.0:0"}, "admin": {"listen": "0.0.0.0:0", "token": "token-of-admin"},
              "clients": {"keys": [{"name": "web", "secret": "sk-client-web"}]}}
    gateway = stage.gateway({**config, **public}, secrets=["token-of-admin"]).settle()
    kept = {name: public[name] for name in ("admin", "clients") if name != lost}
    assert not gateway.reload({**config, **kept, "server": {"listen": "127.0.0.1:0"}})
    assert "is not loopback" in gateway.output
    assert gateway.admin("/v1/admin/keys", headers={"Host": "localhost"}).status == 401
    assert gateway.post(chat("hello")).status == 401
