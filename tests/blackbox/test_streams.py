"""Streams of each shape, from an upstream that shares no code with the gateway: events leave as they come and
unchanged, an end is told from a break, and a slow reader is waited for without being buffered for."""

import json
import re
import threading
import time

import pytest
from harness import upstream as up
from harness.expect import chat
from harness.fixtures import provider
from harness.wire import post, sse_events

EVENTS = [
    json.dumps(data).encode() if isinstance(data, dict) else data.encode() for data in up.stream_events("he", "llo")
]
ASK = post(chat("hello", stream=True))
FAST = {"retry": {"base_delay": "1ms", "max_delay": "10ms"}}


def raw(events=EVENTS, end=b"\n"):
    """A stream's body."""
    return b"".join(up.event(data, end) for data in events)


def streams(body, size=None, then="end", fields=()):
    """A handler that streams this body, in chunks of a size."""

    def handler(peer):
        peer.read_request()
        peer.begin_stream(fields)
        for i in range(0, len(body), size or len(body)):
            peer.send(up.chunk(body[i : i + (size or len(body))]))
        if then == "end":
            peer.end_stream()
        if then == "late end":
            time.sleep(0.05)
            peer.end_stream()
        if then == "late close":
            time.sleep(0.05)
            peer.close()
        if then == "reset":
            time.sleep(0.05)
            peer.reset()
        if then == "stall":
            peer.wait_end()

    return handler


@pytest.fixture
def serve(stage):
    def start(handler, config=FAST, keys=("sk-stream-1",), **settings):
        upstream = stage.upstream(handler)
        gateway = stage.gateway(
            {
                "server": {"workers": 1, **config.get("server", {})},
                **{name: value for name, value in config.items() if name != "server"},
                "providers": {"up": provider(upstream.base_url, keys, **settings)},
            }
        )
        gateway.upstream = upstream
        return gateway.settle()

    return start


def text_of(events):
    parts = [json.loads(data) for data in events if data != "[DONE]"]
    return "".join(part["choices"][0]["delta"].get("content") or "" for part in parts if part.get("choices"))


# -- shapes ----------------------------------------------------------------------------------------

SHAPES = {
    "LF": raw(),
    "CRLF": raw(end=b"\r\n"),
    "CR": raw(end=b"\r"),
    "a byte order mark": b"\xef\xbb\xbf" + raw(),
    "no blank after the colon": raw().replace(b"data: ", b"data:"),
    "comments between": b"".join(b": keep-alive\n\n" + up.event(data) for data in EVENTS),
    "comments inside": raw().replace(b"data: {", b":note\ndata: {"),
    "names and ids": b"".join(
        b"event: message\nid: %d\nretry: 100\n" % i + up.event(data) for i, data in enumerate(EVENTS)
    ),
    "fields that nobody knows": raw().replace(b"data: {", b"x-note: 1\ndata\ndata: {").replace(b"data\n", b""),
    "data over several lines": raw().replace(b'"choices": ', b'\ndata: "choices": '),
    "blank lines before": b"\n\n\n" + raw(),
    "blank lines between": raw().replace(b"\n\n", b"\n\n\n\n"),
    "comments after the end": raw() + b": bye\n\n",
}


@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("size", [None, 1, 7], ids=["whole", "byte by byte", "in sevens"])
def test_shapes_pass_unchanged(serve, body, size):
    answer = serve(streams(body, size)).ask(ASK)
    assert answer.status == 200
    assert answer.body.rstrip(b"\r\n") == body.rstrip(b"\r\n")
    assert text_of(sse_events(answer.body.removeprefix(b"\xef\xbb\xbf"))) == "hello"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_any_cut_of_a_stream(serve, end):
    """Wherever the two segments are cut."""
    body = raw(EVENTS[:2] + EVENTS[-2:], end)
    cuts = iter(range(1, len(body)))

    def handler(peer):
        peer.read_request()
        at = next(cuts)
        peer.begin_stream()
        peer.send(up.chunk(body[:at]))
        time.sleep(0.001)
        peer.send(up.chunk(body[at:]))
        peer.end_stream()

    gateway = serve(handler)
    with gateway.connect() as connection:
        for _ in range(1, len(body)):
            assert connection.ask(ASK).body == body


def test_a_stream_to_the_connections_end(serve):
    def handler(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", raw())
        peer.close()

    assert serve(handler).ask(ASK).body == raw()


def test_a_stream_of_a_known_length(serve):
    def handler(peer):
        peer.read_request()
        peer.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(raw()), raw()
        )

    gateway = serve(handler)
    with gateway.connect() as connection:
        assert connection.ask(ASK).body == raw()
        assert connection.ask(ASK).body == raw()


def test_a_large_event(serve):
    """Above 64 KiB it flows on unparsed, and whole."""
    large = json.dumps(up.delta("x" * 500_000)).encode()
    body = raw([EVENTS[0], large, *EVENTS[1:]])
    assert serve(streams(body, 10_000)).ask(ASK).body == body


def test_a_large_first_event(serve):
    body = raw([json.dumps(up.delta("x" * 500_000)).encode(), *EVENTS])
    assert serve(streams(body, 10_000)).ask(ASK).body == body


def test_many_small_events(serve):
    body = raw([json.dumps(up.delta(f" {i}")).encode() for i in range(5_000)] + EVENTS[-2:])
    assert serve(streams(body, 30_000)).ask(ASK).body == body


def test_plain_json_where_a_stream_was_asked_for(serve):
    """It passes as what it is."""
    gateway = serve(lambda peer: (peer.read_request(), peer.answer(up.completion("hello")))[1])
    answer = gateway.ask(ASK)
    assert answer.get("content-type") == "application/json"
    assert answer.json == up.completion("hello")


def test_after_done_the_upstream_is_not_waited_for_long(serve):
    """The client has its whole answer though the upstream never ends it."""
    gateway = serve(streams(raw(), then="stall"))
    with gateway.connect() as connection:
        started = time.monotonic()
        assert connection.ask(ASK).body == raw()
        assert time.monotonic() - started < 3
        assert connection.ask(ASK).body == raw()


# -- as it comes -----------------------------------------------------------------------------------


def test_events_leave_as_they_come(serve):
    """The upstream sends the next event only when the client has seen the last one."""
    seen = threading.Semaphore(0)

    def handler(peer):
        peer.read_request()
        peer.begin_stream()
        for data in EVENTS:
            peer.event(data)
            assert seen.acquire(timeout=5), "an event was held back"
        peer.end_stream()

    gateway = serve(handler)
    with gateway.connect() as connection:
        connection.send(ASK)
        answer = connection.head()
        for piece in connection.pieces(answer):
            answer.body += piece
            for _ in re.findall(rb"\n\n", piece):
                seen.release()
    assert answer.body == raw()


def test_a_part_of_an_event_waits_for_its_end(serve):
    """What the client reads are whole events."""
    body = raw()

    def handler(peer):
        peer.read_request()
        peer.begin_stream()
        for i in range(0, len(body), 50):
            peer.send(up.chunk(body[i : i + 50]))
            time.sleep(0.005)
        peer.end_stream()

    answer = serve(handler).ask(ASK)
    assert answer.body == body
    assert all(piece.endswith(b"\n\n") for _, piece in answer.chunks)


def test_comments_hold_the_answer_and_fail_over(serve):
    """A queue's comments are no beginning: what follows them may still be tried on another key."""

    def handler(peer):
        if peer.read_request().key == "sk-stream-1":
            peer.begin_stream()
            peer.send(up.chunk(b": queued\n\n"), up.chunk(b": queued\n\n"))
            time.sleep(0.1)
            peer.close()
        else:
            streams(raw())(peer)

    gateway = serve(handler, keys=["sk-stream-1", "sk-stream-2"], selection="priority")
    answer = gateway.ask(ASK)
    assert answer.body == raw()
    assert answer.get("x-bellwether-key") == "up-2"


def test_comments_are_no_first_byte(serve):
    def handler(peer):
        peer.read_request()
        peer.begin_stream()
        for _ in range(20):
            peer.send(up.chunk(b": queued\n\n"))
            time.sleep(0.05)

    gateway = serve(handler, timeouts={"first_byte": "200ms"}, config={"retry": {"timeouts": 0}})
    answer = gateway.ask(ASK)
    assert (answer.status, answer.error["code"]) == (504, "timeout")


# -- ends and breaks -------------------------------------------------------------------------------


def error_of(answer):
    """The error event that ends a broken stream: the last one, and no [DONE] behind it."""
    *before, last = answer.events
    assert "[DONE]" not in before
    error = json.loads(last)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def test_a_missing_done_is_added_where_all_is_said(serve):
    """Each choice has its finish reason: the terminal event alone is missing."""
    answer = serve(streams(raw(EVENTS[:-1]))).ask(ASK)
    assert answer.body == raw()


@pytest.mark.parametrize("then", ["late end", "late close", "reset"])
def test_a_stream_that_breaks_off_ends_with_an_error(serve, then):
    """And with a proper last chunk, so that the connection lives on."""
    gateway = serve(streams(raw(EVENTS[:2]), then=then))
    with gateway.connect() as connection:
        answer = connection.ask(ASK)
        assert text_of(answer.events[:2]) == "he"
        assert error_of(answer)["code"] == "upstream_failed"
        assert connection.ask(ASK).status == 200
    assert len(gateway.upstream.requests) == 2, "never tried again: it was under way"
    line = gateway.wait_access(failure="upstream_failed")
    assert line["status"] == 200 and line["is_estimated"]


def test_half_an_event_at_the_end_is_not_shown(serve):
    answer = serve(streams(raw(EVENTS[:2]) + b'data: {"choices": [{"ind', size=60, then="late end")).ask(ASK)
    assert error_of(answer)["code"] == "upstream_failed"
    assert text_of(answer.events[:-1]) == "he"


@pytest.mark.parametrize("body", [raw()[:-2], raw()[:-1], raw(EVENTS[:-1])[:-2], raw(EVENTS[:-1])[:-1]])
def test_a_last_event_without_its_blank_line(serve, body):
    """Clients read it all the same; here it gets what it lacks."""
    answer = serve(streams(body, size=60)).ask(ASK)
    assert answer.events == [data.decode() for data in EVENTS]


def test_what_follows_an_event_without_its_blank_line(serve):
    """The error event stands apart from it."""
    answer = serve(streams(raw(EVENTS[:2])[:-2], size=60, then="late end")).ask(ASK)
    assert error_of(answer)["code"] == "upstream_failed"
    assert text_of(answer.events[:-1]) == "he"


def test_a_stream_that_stalls(serve):
    gateway = serve(streams(raw(EVENTS[:2]), then="stall"), timeouts={"idle": "200ms"})
    started = time.monotonic()
    answer = gateway.ask(ASK)
    assert error_of(answer)["code"] == "timeout"
    assert 0.18 < time.monotonic() - started < 1


def test_comments_keep_a_stream_alive(serve):
    def handler(peer):
        peer.read_request()
        peer.begin_stream()
        for data in EVENTS:
            peer.event(data)
            for _ in range(3):
                time.sleep(0.1)
                peer.send(up.chunk(b": still here\n\n"))
        peer.end_stream()

    answer = serve(handler, timeouts={"idle": "250ms"}).ask(ASK)
    assert text_of(answer.events) == "hello" and answer.events[-1] == "[DONE]"


def test_an_error_in_the_middle_passes_and_ends_it(serve):
    """The provider's own words; no [DONE] behind them, though the provider sends one."""
    error = json.dumps(up.error_body("The model broke down.", "server_error")).encode()
    gateway = serve(streams(raw([*EVENTS[:2], error, b"[DONE]"])))
    with gateway.connect() as connection:
        answer = connection.ask(ASK)
        assert error_of(answer)["message"] == "The model broke down."
        assert connection.ask(ASK).status == 200


FIRST_ERRORS = {
    "an unknown one": (up.error_body("It broke."), 502, "upstream_failed"),
    "overloaded": (up.error_body("Busy.", "service_unavailable_error", "server_is_overloaded"), 503, "overloaded"),
}


@pytest.mark.parametrize(("error", "status", "code"), FIRST_ERRORS.values(), ids=FIRST_ERRORS.keys())
def test_an_error_as_the_first_event_is_an_error(serve, error, status, code):
    """Before any text came it is a failure like any other: tried again, then told with a status of its own."""
    gateway = serve(streams(raw([json.dumps(error).encode()])))
    answer = gateway.ask(ASK)
    assert (answer.status, answer.error["code"]) == (status, code)
    assert len(gateway.upstream.requests) == 3


def test_an_error_as_the_first_event_is_made_up_for(serve):
    error = json.dumps(up.error_body("It broke.")).encode()

    def handler(peer):
        first = peer.read_request().key == "sk-stream-1"
        streams(raw([error] if first else EVENTS))(peer)

    gateway = serve(handler, keys=["sk-stream-1", "sk-stream-2"], selection="priority")
    answer = gateway.ask(ASK)
    assert answer.body == raw() and answer.get("x-bellwether-attempts") == "2"


def test_an_error_that_blames_the_key_as_the_first_event(serve):
    """The key is set aside as for a status of its own."""
    error = json.dumps(up.error_body("You exceeded your quota.", "insufficient_quota", "insufficient_quota")).encode()

    def handler(peer):
        first = peer.read_request().key == "sk-stream-1"
        streams(raw([error] if first else EVENTS))(peer)

    gateway = serve(handler, keys=["sk-stream-1", "sk-stream-2"], selection="priority")
    for _ in range(3):
        assert gateway.ask(ASK).body == raw()
    assert [sent.key for sent in gateway.upstream.requests].count("sk-stream-1") == 1
    assert gateway.key_states()["up-1"]["health"] == "depleted"


def test_a_stream_of_nothing(serve):
    """A 200 without any event is no answer."""
    gateway = serve(streams(b"", size=1))
    answer = gateway.ask(ASK)
    assert (answer.status, answer.error["code"]) == (502, "upstream_failed")


def test_only_done(serve):
    answer = serve(streams(b"data: [DONE]\n\n")).ask(ASK)
    assert answer.status in (200, 502)


# -- backpressure ----------------------------------------------------------------------------------


def rss_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"RssAnon:\s+(\d+)", file.read())[1])


def test_a_slow_client_stops_the_upstream(serve):
    """The gateway buffers a bounded window of its stream, and nothing is lost when it reads on."""
    event = up.event(json.dumps(up.delta("x" * 10_000)).encode())
    sent = []

    def handler(peer):
        peer.read_request()
        peer.begin_stream()
        for _ in range(4_000):
            peer.send(up.chunk(event))
            sent.append(len(event))
        peer.send(up.chunk(raw(EVENTS[-2:])))
        peer.end_stream()

    gateway = serve(handler)
    before = rss_kb(gateway.pid)
    with gateway.connect() as connection:
        connection.send(ASK)
        time.sleep(0.5)
        stuck_at = sum(sent)
        time.sleep(0.3)
        assert sum(sent) == stuck_at, "the upstream still gets rid of its bytes"
        assert stuck_at < 20_000_000
        assert rss_kb(gateway.pid) - before < 4_000
        answer = connection.answer()
    assert answer.body == event * 4_000 + raw(EVENTS[-2:])


def test_a_client_that_takes_nothing_is_given_up(serve):
    """server.timeouts.write; the upstream is told."""
    event = up.event(json.dumps(up.delta("x" * 10_000)).encode())

    def handler(peer):
        peer.read_request()
        peer.begin_stream()
        while True:
            peer.send(up.chunk(event))

    gateway = serve(handler, config={"server": {"timeouts": {"write": "500ms"}}})
    with gateway.connect() as connection:
        connection.send(ASK)
        line = gateway.wait_access(within=5, cancelled_by="client")
    assert line["status"] == 200
    assert gateway.ask(post(b"{")).status == 400


def test_a_slow_client_that_reads_a_little_is_served(serve):
    body = raw([json.dumps(up.delta("x" * 10_000)).encode()] * 300 + EVENTS)
    gateway = serve(streams(body, 100_000), config={"server": {"timeouts": {"write": "500ms"}}})
    with gateway.connect() as connection:
        connection.send(ASK)
        answer = connection.head()
        for piece in connection.pieces(answer):
            answer.body += piece
            time.sleep(0.005)
    assert answer.body == body


def test_a_client_that_leaves_in_mid_stream(serve):
    ended = threading.Event()

    def handler(peer):
        peer.read_request()
        peer.begin_stream()
        try:
            for i in range(1000):
                peer.event(up.delta(f" {i}"))
                time.sleep(0.01)
        except up.Gone:
            ended.set()
            raise

    gateway = serve(handler)
    with gateway.connect() as connection:
        connection.send(ASK)
        connection.head()
        connection.line()
    assert ended.wait(2)
    line = gateway.wait_access(cancelled_by="client")
    assert line["status"] == 200 and line["is_estimated"] and line["completion_tokens"] > 0
