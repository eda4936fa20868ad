"""Noise by a seed: requests and answers with random wounds, clients that leave at random. Whatever comes, every
answer is well-formed or cut, the next exchange works, and nothing is left behind."""

import json
import random
import socket
import threading
import time

import pytest
from harness import upstream as up
from harness.expect import chat, content
from harness.fixtures import provider
from harness.wire import Cut, NotHttp, Wire, post

GOOD = post(chat("hello"))
STREAMED = post(chat("hello", stream=True))


def wound(rng, data):
    """One to three random edits: bytes changed, dropped, doubled, or put in; or the end cut off."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data) or 1)
        kind = rng.randrange(6)
        if kind == 0 and data:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + rng.randint(1, 20)]
        elif kind == 2:
            data[at:at] = data[at : at + rng.randint(1, 30)]
        elif kind == 3:
            data[at:at] = rng.choice(
                [
                    b"\r\n",
                    b"\n",
                    b"\0",
                    b"\r\n\r\n",
                    b"0\r\n\r\n",
                    b"Content-Length: 7\r\n",
                    b"data: ",
                    b"[DONE]",
                    b"\xff\xfe",
                    b'"',
                    b"{",
                    b"}",
                ]
            )
        elif kind == 4:
            del data[at:]
        elif data:
            data[at] ^= 1 << rng.randrange(8)
    return bytes(data)


def send_in_pieces(connection, rng, data):
    while data:
        size = rng.choice([1, 5, 50, 5000])
        connection.send(data[:size])
        data = data[size:]
        if rng.random() < 0.1:
            time.sleep(0.002)


@pytest.fixture
def served(stage, sim):
    return stage.gateway(
        {
            "server": {"timeouts": {"header": "200ms", "body": "200ms", "idle": "200ms"}},
            "providers": {"sim": provider(sim.base_url, ["sk-monkey-1", "sk-monkey-2"])},
            "retry": {"base_delay": "1ms"},
        }
    ).settle()


@pytest.mark.threads
@pytest.mark.parametrize("seed", range(4))
def test_wounded_requests(served, seed):
    """Each gets a whole answer with a status that fits, or a closed connection; what came before it on the wire is
    served."""
    rng = random.Random(seed)
    for _ in range(100):
        data = wound(rng, rng.choice([GOOD, STREAMED, GOOD + STREAMED]))
        with served.connect(timeout=5) as connection:
            try:
                send_in_pieces(connection, rng, GOOD if rng.random() < 0.3 else b"")
                send_in_pieces(connection, rng, data)
                if rng.random() < 0.5:
                    connection.end_sending()
                while connection.buffer or connection.fill():
                    answer = connection.answer()
                    assert answer.status in (200, 400, 404, 405, 408, 413, 414, 415, 417, 431, 501, 505), answer
                    if answer.status >= 400:
                        assert answer.error
                    elif rng.random() < 0.5:
                        break
            except (Cut, ConnectionResetError, BrokenPipeError):
                pass
    assert served.ask(GOOD).content == content("hello")
    assert served.metrics().get("bellwether_bugs_total") == 0


PLAIN = up.answer(up.completion("hello"))
STREAM = up.stream_head() + b"".join(up.chunk(up.event(data)) for data in up.stream_events("he", "llo")) + b"0\r\n\r\n"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + up.chunk(json.dumps(up.completion("hello")).encode())
    + b"0\r\n\r\n"
)
REFUSAL = up.answer(up.error_body("Slow down.", "requests", "rate_limit_exceeded"), 429, {"retry-after-ms": "1"})


@pytest.mark.threads
@pytest.mark.parametrize("seed", range(4))
def test_wounded_answers(stage, seed):
    """The client reads HTTP by the book all the same; a stream has a proper end, and an error event where it has no
    [DONE]."""
    rng = random.Random(seed)
    lock = threading.Lock()

    def handler(peer):
        peer.read_request()
        with lock:
            data = rng.choice([PLAIN, STREAM, CHUNKED, REFUSAL])
            data = wound(rng, data) if rng.random() < 0.8 else data
            size = rng.choice([1, 20, 100_000])
            ends = rng.random() < 0.7
        peer.send_slowly(data, size)
        if ends:
            peer.close()

    upstream = stage.upstream(handler)
    gateway = stage.gateway(
        {
            "retry": {"base_delay": "1ms", "max_delay": "5ms", "wait": "50ms"},
            "providers": {
                "up": provider(
                    upstream.base_url,
                    [f"sk-monkey-{i}" for i in range(6)],
                    breaker={"failures": 10**6},
                    health={"max_failures": 10**6, "cooldown": "10ms", "depleted": "10ms", "probe_interval": "50ms"},
                    timeouts={"first_byte": "100ms", "idle": "100ms"},
                )
            },
        }
    ).settle()
    for _ in range(150):
        stream = rng.random() < 0.5
        with gateway.connect(timeout=10) as connection:
            try:
                answer = connection.ask(post(chat("hello", stream=stream)))
            except Cut as cut:
                assert cut.answer is not None and not stream_of(cut.answer), "a stream has a proper end"
                continue
            except NotHttp as error:
                raise AssertionError("what came is no HTTP") from error
            if answer.status == 200 and stream_of(answer) and "[DONE]" not in answer.events:
                assert b'"error"' in answer.body
            if answer.status >= 400:
                assert answer.body
    # The last one's end may be told to its client before it is counted.
    until = time.monotonic() + 10
    while gateway.metrics().get("bellwether_active_requests") and time.monotonic() < until:
        time.sleep(0.01)
    metrics = gateway.metrics()
    assert metrics.get("bellwether_bugs_total") == 0
    assert metrics.get("bellwether_active_requests") == 0


def stream_of(answer):
    return answer.get("content-type", "").startswith("text/event-stream")


@pytest.mark.threads
@pytest.mark.timeout(90)
def test_clients_that_leave_at_random_leave_nothing_behind(pool, sim):
    """In the middle of a head, of a body, of a wait, of an answer, of a stream; by FIN, by RST, by half a close."""
    faults = [
        {"fault": "server_error", "share": "5%"},
        {"fault": "reset", "share": "5%"},
        {"fault": "cut", "share": "5%"},
        {"fault": "rate_limit", "share": "5%", "retry_after": "0.05s"},
    ]
    scenario = {
        "seed": 3,
        "defaults": {"latency": {"uniform": ["0ms", "30ms"]}, "event_gap": "1ms", "min_tokens": 20, "faults": faults},
    }
    clients = {"keys": [{"name": "web", "secret": "sk-client-web", "limits": {"concurrent": 1000}}]}
    gateway = pool(
        4,
        scenario,
        key=lambda i: {"limits": {"concurrent": 4}},
        config={"clients": clients, "retry": {"base_delay": "1ms", "wait": "200ms"}},
        breaker={"failures": 10**6},
        # Few answers get so far as to clear a key of its failures: three in a row would rest it for a minute.
        health={"max_failures": 65536},
    )
    left = []

    def leave_again_and_again(seed):
        rng = random.Random(seed)
        for i in range(120):
            body = chat(f"question {seed} {i}", stream=rng.random() < 0.5)
            data = post(body, headers={"Authorization": "Bearer sk-client-web"})
            with gateway.connect(timeout=10) as connection:
                try:
                    if rng.random() < 0.2:
                        connection.send(data[: rng.randrange(len(data))])
                    elif rng.random() < 0.5:
                        connection.send(data)
                        time.sleep(rng.random() * 0.03)
                    else:
                        connection.ask(data)
                    end = rng.randrange(3)
                    if end == 0:
                        connection.reset()
                    elif end == 1:
                        connection.end_sending()
                        time.sleep(rng.random() * 0.01)
                except (OSError, Cut):
                    pass
            left.append(1)

    threads = [threading.Thread(target=leave_again_and_again, args=(seed,)) for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(left) == 16 * 120
    until = time.monotonic() + 5
    while gateway.metrics().get("bellwether_active_requests") or sim.stats()["total"]["in_flight"]:
        assert time.monotonic() < until, "exchanges are left"
        time.sleep(0.05)
    metrics = gateway.metrics()
    assert metrics.get("bellwether_waiting_requests") == 0
    assert metrics.get("bellwether_client_connections") == 0
    assert metrics.get("bellwether_body_memory_bytes") < 2 << 20
    assert metrics.get("bellwether_bugs_total") == 0
    for state in gateway.key_states().values():
        free = {limit["scope"]: limit["remaining"] for limit in state["limits"]}
        assert free["concurrent"] == 4, "a place was lost"
    sim.scenario()
    headers = {"Authorization": "Bearer sk-client-web"}
    time.sleep(1.1)  # The simulator's last 429 named a whole second.
    assert [gateway.post(chat("hello"), headers=headers).content for _ in range(20)] == [content("hello")] * 20


def test_a_thousand_clients_that_say_nothing(served):
    """They hold nothing up, and go."""
    silent = [socket.create_connection(served.address) for _ in range(1_000)]
    assert served.ask(GOOD).content == content("hello")
    for connection in silent[:500]:
        connection.sendall(b"POST /v1/chat")
    with Wire(served.address) as connection:
        assert connection.ask(GOOD).content == content("hello")
    for connection in silent:
        connection.close()
    until = time.monotonic() + 5
    while served.metrics().get("bellwether_client_connections") > 0:
        assert time.monotonic() < until
        time.sleep(0.05)
