"""Answers of each wire shape, right and wrong, from an upstream that shares no code with the gateway. What is right
arrives whole. What is wrong before the answer began is tried again and then told as the table of configuration.md
says; what goes wrong later is cut, so that no client takes half an answer for a whole one."""

import json
import socket
import threading
import time

import pytest
from harness import upstream as up
from harness.expect import chat
from harness.fixtures import provider
from harness.wire import Cut, post

BODY = json.dumps(up.completion("hello there")).encode()
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
FAST = {"retry": {"base_delay": "1ms", "max_delay": "10ms"}}


def says(*pieces, then="keep"):
    """A handler that reads the request and sends these bytes."""

    def handler(peer):
        peer.read_request()
        peer.send(*pieces)
        if then == "close":
            peer.close()
        if then == "reset":
            time.sleep(0.05)  # what was sent before it arrives
            peer.reset()
        if then == "stall":
            peer.wait_end()

    return handler


@pytest.fixture
def serve(stage):
    """An upstream with this handler and a gateway over it, one key and one worker."""

    def start(handler, config=FAST, keys=("sk-odd-1",), **settings):
        upstream = stage.upstream(handler)
        gateway = stage.gateway(
            {"server": {"workers": 1}, **config, "providers": {"up": provider(upstream.base_url, keys, **settings)}}
        )
        gateway.upstream = upstream
        return gateway.settle()

    return start


def chunks(body, size):
    return b"".join(up.chunk(body[i : i + size]) for i in range(0, len(body), size)) + b"0\r\n\r\n"


# -- right ones ------------------------------------------------------------------------------------

CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
RIGHT = {
    "Content-Length": says(OK + LENGTH + b"\r\n" + BODY),
    "head and body apart": says(OK + LENGTH, b"\r\n", BODY),
    "chunked": says(CHUNKED + chunks(BODY, 100)),
    "chunks of one byte": says(CHUNKED + chunks(BODY, 1)),
    "chunk extensions": says(CHUNKED + b"%x;a=b\r\n%s\r\n0;last\r\n\r\n" % (len(BODY), BODY)),
    "trailers": says(CHUNKED + b"%x\r\n%s\r\n0\r\nX-Sum: 1\r\nSet-Cookie: a=b\r\n\r\n" % (len(BODY), BODY)),
    "to the connection's end": says(OK + b"\r\n" + BODY, then="close"),
    "Connection: close": says(OK + LENGTH + b"Connection: close\r\n\r\n" + BODY, then="close"),
    "HTTP/1.0": says(OK.replace(b"1.1", b"1.0") + b"\r\n" + BODY, then="close"),
    "HTTP/1.0 with a length": says(OK.replace(b"1.1", b"1.0") + LENGTH + b"\r\n" + BODY, then="close"),
    "1xx before it": says(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK + LENGTH + b"\r\n" + BODY
    ),
    "102 and a pause": says(b"HTTP/1.1 102 Processing\r\n\r\n", OK + LENGTH + b"\r\n" + BODY),
    "no reason phrase": says(b"HTTP/1.1 200 \r\nContent-Type: application/json\r\n" + LENGTH + b"\r\n" + BODY),
    "no content type": says(b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n" + BODY),
    "many fields": says(OK + b"".join(b"X-%d: %s\r\n" % (i, b"y" * 100) for i in range(100)) + LENGTH + b"\r\n" + BODY),
    "small letters": says(OK.lower().replace(b"http/1.1 200 ok", b"HTTP/1.1 200 OK") + LENGTH.lower() + b"\r\n" + BODY),
    "201": says(OK.replace(b"200 OK", b"201 Created") + LENGTH + b"\r\n" + BODY),
}


@pytest.mark.parametrize("handler", RIGHT.values(), ids=RIGHT.keys())
def test_right_answers_arrive(serve, handler):
    gateway = serve(handler)
    with gateway.connect() as connection:
        for _ in range(3):
            answer = connection.ask(post(chat("hello")))
            assert answer.status in (200, 201)
            assert answer.body == BODY
            assert answer.get("x-bellwether-attempts") == "1"
            assert "set-cookie" not in answer.names
    assert len(gateway.upstream.requests) == 3


def test_an_answer_byte_by_byte(serve):
    def handler(peer):
        peer.read_request()
        peer.send_slowly(OK + LENGTH + b"\r\n" + BODY, 1)

    assert serve(handler).post(chat("hello")).body == BODY


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_a_large_answer_arrives_whole(serve, framing):
    """Above what is held back for judgement; it is sent on while it comes."""
    body = json.dumps(up.completion("x" * 3_000_000)).encode()
    heads = {"length": OK + b"Content-Length: %d\r\n\r\n" % len(body), "chunked": CHUNKED, "close": OK + b"\r\n"}

    def handler(peer):
        peer.read_request()
        peer.send(heads[framing], chunks(body, 10_000) if framing == "chunked" else body)
        if framing == "close":
            peer.close()

    gateway = serve(handler)
    assert gateway.post(chat("hello")).body == body
    assert gateway.wait_access(status=200)["completion_tokens"] == 1


def test_kept_connections_are_used_again(serve):
    gateway = serve(says(OK + LENGTH + b"\r\n" + BODY))
    probes = gateway.upstream.connections
    for _ in range(10):
        assert gateway.post(chat("hello")).body == BODY
    assert gateway.upstream.connections <= probes + 1


def test_a_kept_connection_that_closes_is_no_failure(serve):
    """The upstream closes it just when the next request is on its way: a fresh one takes over, and nobody hears of
    it."""

    def handler(peer):
        peer.read_request()
        if getattr(peer, "has_served", False):
            peer.close()
        peer.has_served = True
        peer.send(OK + LENGTH + b"\r\n" + BODY)

    gateway = serve(handler)
    for _ in range(6):
        answer = gateway.post(chat("hello"))
        assert answer.body == BODY and answer.get("x-bellwether-attempts") == "1"
    metrics = gateway.admin("/metrics").body.decode()
    assert 'outcome="reset"' not in metrics


def test_unused_connections_are_closed(serve):
    """connections.keepalive."""
    gateway = serve(
        says(OK + LENGTH + b"\r\n" + BODY), connections={"keepalive": "300ms"}, health={"validate_new": False}
    )
    gateway.post(chat("hello"))
    until = time.monotonic() + 3
    while any(peer.socket.fileno() >= 0 for peer in gateway.upstream.peers):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert gateway.metrics().get("bellwether_upstream_connections", provider="up") == 0
    assert gateway.post(chat("hello")).body == BODY


def test_few_unused_connections_are_kept(serve):
    """connections.idle."""

    def handler(peer):
        peer.read_request()
        time.sleep(0.2)
        peer.send(OK + LENGTH + b"\r\n" + BODY)

    gateway = serve(handler, connections={"idle": 2}, health={"validate_new": False})
    threads = [threading.Thread(target=gateway.post, args=(chat("hello"),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(0.1)
    assert sum(peer.socket.fileno() >= 0 for peer in gateway.upstream.peers) <= 2


def test_an_upstream_over_ipv6(stage):
    upstream = stage.upstream(says(OK + LENGTH + b"\r\n" + BODY), family=socket.AF_INET6)
    gateway = stage.gateway({"providers": {"up": provider(upstream.base_url, ["sk-odd-1"])}})
    assert gateway.post(chat("hello")).body == BODY
    assert upstream.request.get("host") == f"[::1]:{upstream.port}"


def test_a_name_with_several_addresses(stage):
    """localhost is ::1 and 127.0.0.1 on most machines; whichever listens is found."""
    upstream = stage.upstream(says(OK + LENGTH + b"\r\n" + BODY))
    gateway = stage.gateway({"providers": {"up": provider(f"http://localhost:{upstream.port}/v1", ["sk-odd-1"])}})
    assert gateway.post(chat("hello")).body == BODY
    assert upstream.request.get("host") == f"localhost:{upstream.port}"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_blank_lines_before_a_plain_answer(serve, framing):
    """By which some providers keep a queue alive: they belong to the answer, and are no first byte of it."""
    body = b"\n" * 8 + BODY

    def handler(peer):
        peer.read_request()
        if framing == "length":
            peer.send(OK + b"Content-Length: %d\r\n\r\n" % len(body))
            peer.send_slowly(body[:8], 1, 0.05)
            peer.send(body[8:])
        else:
            peer.send(CHUNKED)
            for _ in range(8):
                peer.send(up.chunk(b"\n"))
                time.sleep(0.05)
            peer.send(chunks(BODY, 50))

    gateway = serve(handler, timeouts={"first_byte": "2s"})
    assert gateway.post(chat("hello")).body.lstrip(b"\n") == BODY


def test_blank_lines_are_no_first_byte(serve):
    def handler(peer):
        peer.read_request()
        peer.send(CHUNKED)
        for _ in range(30):
            peer.send(up.chunk(b"\n"))
            time.sleep(0.05)

    gateway = serve(handler, timeouts={"first_byte": "200ms"}, config={"retry": {"timeouts": 0}})
    answer = gateway.post(chat("hello"))
    assert (answer.status, answer.error["code"]) == (504, "timeout")


def test_bytes_behind_an_answer_are_nobodys(serve):
    """A second answer on the wire must not become the next client's."""
    smuggled = json.dumps(up.completion("smuggled")).encode()
    extra = OK + b"Content-Length: %d\r\n\r\n%s" % (len(smuggled), smuggled)
    gateway = serve(says(OK + LENGTH + b"\r\n" + BODY + extra))
    for _ in range(5):
        assert gateway.post(chat("hello")).body == BODY


# -- wrong ones, before anything was sent to the client --------------------------------------------

WRONG = {
    "closes": says(then="close"),
    "resets": says(then="reset"),
    "half a status line": says(b"HTTP/1.1 2", then="close"),
    "half a head": says(OK, then="close"),
    "half a body": says(OK + LENGTH + b"\r\n" + BODY[:50], then="close"),
    "half a body, then reset": says(OK + LENGTH + b"\r\n" + BODY[:50], then="reset"),
    "half a chunk": says(CHUNKED + b"ff\r\nabc", then="close"),
    "no last chunk": says(CHUNKED + up.chunk(BODY), then="close"),
    "a chunk's size is no number": says(CHUNKED + b"zz\r\n" + BODY),
    "half a body to the connection's end": says(OK + b"\r\n" + BODY[:50], then="close"),
    "noise": says(b"\x00\xff\x13\x37 no http\r\n\r\n", then="close"),
    "another protocol": says(b"220 smtp.test ESMTP\r\n", then="close"),
    "no status": says(b"HTTP/1.1 OK\r\n\r\n", then="close"),
    "a status of two digits": says(b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
    "a huge head": says(OK + b"X: " + b"y" * 200_000 + b"\r\n" + LENGTH + b"\r\n" + BODY),
    "length and chunked": says(OK + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(BODY, 100)),
    "two lengths": says(OK + LENGTH + b"Content-Length: 5\r\n\r\n" + BODY),
    "obs-fold": says(OK + b"X-Note: one\r\n two\r\n" + LENGTH + b"\r\n" + BODY),
    "NUL in a field": says(OK + b"X-Note: o\0ne\r\n" + LENGTH + b"\r\n" + BODY),
    "an unknown coding of the transfer": says(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + chunks(BODY, 100)),
    "switching protocols": says(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n" + BODY
    ),
    "no JSON": says(OK + b"Content-Length: 9\r\n\r\nnot json!"),
    "a page": says(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>"),
    "nothing in the body": says(OK + b"Content-Length: 0\r\n\r\n"),
    "a redirect": says(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
    "an unknown error in a 200": says(up.answer(up.error_body("It broke."))),
}


@pytest.mark.parametrize("handler", WRONG.values(), ids=WRONG.keys())
def test_wrong_answers_are_tried_again_and_told(serve, handler):
    gateway = serve(handler, keys=["sk-odd-1", "sk-odd-2"])
    with gateway.connect() as connection:
        answer = connection.ask(post(chat("hello")))
        assert (answer.status, answer.error["code"]) == (502, "upstream_failed")
        assert answer.get("x-should-retry") == "false"
        assert answer.get("x-bellwether-attempts") == "3", "retry.attempts"
    assert len(gateway.upstream.requests) == 3
    assert gateway.wait_access(status=502)["failure"] == "upstream_failed"


@pytest.mark.parametrize("handler", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("stream", [False, True])
def test_the_next_key_makes_up_for_it(serve, handler, stream):
    def first_wrong(peer):
        if peer.upstream.requests:
            up.serve(peer)
        else:
            handler(peer)

    gateway = serve(first_wrong, keys=["sk-odd-1", "sk-odd-2"])
    answer = gateway.post(chat("hello there", stream=stream))
    assert answer.status == 200
    assert answer.content.replace(" ", "").startswith("echo:hellothere")
    assert answer.get("x-bellwether-attempts") == "2"


def test_nobody_listens(stage):
    """Waits for it within retry.wait, a connect each 100 ms, and then says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    gateway = stage.gateway(
        {
            "retry": {"wait": "500ms"},
            "providers": {"up": provider(f"http://127.0.0.1:{port}/v1", ["sk-odd-1"], health={"validate_new": False})},
        }
    )
    started = time.monotonic()
    answer = gateway.post(chat("hello"))
    assert 0.4 < time.monotonic() - started < 2
    assert answer.status in (502, 503)
    assert answer.error["code"] in ("upstream_failed", "upstream_open")


def test_a_name_that_does_not_exist(stage):
    gateway = stage.gateway(
        {
            "retry": {"wait": "300ms"},
            "providers": {"up": provider("http://nowhere.invalid/v1", ["sk-odd-1"], health={"validate_new": False})},
        }
    )
    answer = gateway.post(chat("hello"))
    assert answer.status in (502, 503)
    assert answer.error["code"] in ("upstream_failed", "upstream_open")


# -- time ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("handler", "timeouts"),
    [
        (says(then="stall"), {"first_byte": "150ms"}),
        (says(OK, then="stall"), {"first_byte": "150ms"}),
        (says(OK + LENGTH + b"\r\n" + BODY[:50], then="stall"), {"idle": "150ms"}),
        (says(b"HTTP/1.1 100 Continue\r\n\r\n", then="stall"), {"first_byte": "150ms"}),
    ],
    ids=["no answer", "half a head", "half a body", "only 1xx"],
)
def test_silence(serve, handler, timeouts):
    """A time-out after the request was sent is tried once more (retry.timeouts: 1)."""
    gateway = serve(handler, timeouts=timeouts)
    started = time.monotonic()
    answer = gateway.post(chat("hello"))
    assert (answer.status, answer.error["code"]) == (504, "timeout")
    assert answer.get("x-should-retry") == "false"
    assert 0.28 < time.monotonic() - started < 1
    assert len(gateway.upstream.requests) == 2


def test_total_time(serve):
    gateway = serve(says(then="stall"), timeouts={"total": "300ms"})
    started = time.monotonic()
    answer = gateway.post(chat("hello"))
    assert (answer.status, answer.error["code"]) == (504, "timeout")
    assert 0.28 < time.monotonic() - started < 0.8
    assert len(gateway.upstream.requests) == 1


def test_an_upstream_that_takes_nothing(serve):
    """The request never gets through: the send time-out, which is not the first byte's."""

    def handler(peer):
        time.sleep(5)

    gateway = serve(handler, timeouts={"send": "200ms"}, config={"retry": {"timeouts": 0}})
    gateway.upstream.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    answer = gateway.post(chat("x" * 20_000_000))
    assert (answer.status, answer.error["code"]) == (504, "timeout")
    assert 'outcome="send_timeout"} 1' in gateway.admin("/metrics").body.decode()


def test_a_slow_upstream_is_waited_for(serve):
    """Progress counts, not the whole."""

    def handler(peer):
        peer.read_request()
        peer.send_slowly(OK + LENGTH + b"\r\n" + BODY, len(BODY) // 6, 0.1)

    assert serve(handler, timeouts={"idle": "250ms"}).post(chat("hello")).body == BODY


# -- early answers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("then", ["keep", "close"])
@pytest.mark.parametrize("status", [400, 413])
def test_an_answer_before_the_request_was_sent(serve, then, status):
    """Passed on as it is, though the rest of a large body never leaves."""

    def handler(peer):
        peer.upstream.note(peer.request)
        peer.answer(up.error_body("Enough.", "invalid_request_error"), status)
        if then == "close":
            peer.close()
        peer.wait_end()
        return False

    gateway = serve(handler)
    answer = gateway.post(chat("x" * 20_000_000))
    assert (answer.status, answer.error["message"]) == (status, "Enough.")
    assert len(gateway.upstream.requests) == 1


def test_a_good_answer_before_the_request_was_sent(serve):
    def handler(peer):
        peer.upstream.note(peer.request)
        peer.send(OK + LENGTH + b"\r\n" + BODY)
        peer.wait_end(2)
        return False

    assert serve(handler).post(chat("x" * 5_000_000)).body == BODY


# -- too late for another try ----------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("then", ["close", "reset", "stall"])
def test_a_large_answer_that_breaks_off_is_cut(serve, framing, then):
    """Once the head went out there is no other try, and no proper end."""
    body = json.dumps(up.completion("x" * 3_000_000)).encode()[:2_000_000]
    head = OK + (b"Content-Length: 3000000\r\n\r\n" if framing == "length" else b"Transfer-Encoding: chunked\r\n\r\n")
    handler = says(head, body if framing == "length" else up.chunk(body), then=then)
    gateway = serve(handler, timeouts={"idle": "200ms"})
    with gateway.connect() as connection:
        connection.send(post(chat("hello")))
        with pytest.raises(Cut) as caught:
            connection.answer()
    assert caught.value.answer.status == 200
    assert body.startswith(caught.value.answer.body)
    assert len(gateway.upstream.requests) == 1
    assert gateway.wait_access(status=200)["failure"] in ("upstream_failed", "timeout")


def test_a_slow_client_of_a_large_answer(serve):
    """It stops the upstream; what the gateway holds is bounded."""
    body = json.dumps(up.completion("x" * 40_000_000)).encode()
    sent = []

    def handler(peer):
        peer.read_request()
        peer.send(OK + b"Content-Length: %d\r\n\r\n" % len(body))
        for i in range(0, len(body), 100_000):
            peer.send(body[i : i + 100_000])
            sent.append(i)

    gateway = serve(handler)
    with gateway.connect() as connection:
        connection.send(post(chat("hello")))
        time.sleep(0.5)
        stuck_at = sent[-1]
        time.sleep(0.3)
        assert sent[-1] == stuck_at < 20_000_000
        assert connection.answer().body == body


# -- the client leaves -----------------------------------------------------------------------------


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_client_that_leaves_ends_the_attempt(serve, leave):
    ended = threading.Event()

    def handler(peer):
        peer.read_request()
        if peer.wait_end(5):
            ended.set()

    gateway = serve(handler)
    connection = gateway.connect()
    connection.send(post(chat("hello")))
    gateway.upstream.wait_requests(1)
    getattr(connection, leave)()
    assert ended.wait(2), "the upstream goes on working for nobody"
    line = gateway.wait_access(cancelled_by="client")
    assert "status" not in line
    states = gateway.key_states()["up-1"]
    assert states["healthy"] and states["failures"] == 0, "it says nothing about the key"


def test_a_client_that_leaves_while_it_waits(serve):
    """Nothing is sent upstream for it."""
    gateway = serve(
        says(up.answer(up.error_body("slow down", "requests", "rate_limit_exceeded"), 429, {"Retry-After": "1"}))
    )
    gateway.post(chat("hello"))
    before = len(gateway.upstream.requests)
    with gateway.connect() as connection:
        connection.send(post(chat("hello")))
        time.sleep(0.1)
    gateway.wait_access(cancelled_by="client")
    time.sleep(1.2)
    assert len(gateway.upstream.requests) == before
