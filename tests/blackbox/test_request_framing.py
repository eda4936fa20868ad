"""Requests that are not what they should be, up to the body: each gets the exact 4xx in OpenAI's shape. What cannot be
delimited ends the connection, by lingering; anything else leaves it usable."""

import json
import socket
import time

import pytest
from harness.expect import chat, content
from harness.fixtures import provider
from harness.wire import Wire, post, request

BODY = json.dumps(chat("hello")).encode()
GOOD = post(BODY)
LINES = b"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.fixture(scope="module")
def gateway(shared_stage):
    sim = shared_stage.simulator()
    return shared_stage.gateway(
        {
            "server": {
                "max_body": "256KiB",
                "timeouts": {"header": "400ms", "body": "400ms", "write": "1s", "idle": "5s"},
            },
            "providers": {"sim": provider(sim.base_url, ["sk-frame-1"])},
        }
    ).settle()


def refused(gateway, data, status, code, closes=True):
    """The answer to these bytes: an error with this status and code; then the connection's end, or not."""
    with gateway.connect() as connection:
        answer = connection.ask(data)
        assert (answer.status, answer.error["code"]) == (status, code)
        assert answer.get("content-type") == "application/json"
        assert answer.get("date") and answer.get("x-request-id")
        if closes:
            assert answer.get("connection") == "close"
            assert connection.is_closed()
        else:
            assert "connection" not in answer.names
            assert connection.ask(GOOD).content == content("hello"), "the connection lives on"
    return answer


def chunked(*chunks, end=b"0\r\n\r\n"):
    return LINES + CHUNKED + b"\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(data), data) for data in chunks) + end


def with_fields(fields, body=BODY):
    return LINES + fields + b"\r\n" + body


# -- smuggling: two readers may cut these differently ----------------------------------------------

UNCLEAR_LENGTH = {
    "length and chunked": with_fields(LENGTH + CHUNKED, b"0\r\n\r\n"),
    "chunked and length": with_fields(CHUNKED + LENGTH, b"0\r\n\r\n"),
    "two lengths": with_fields(LENGTH + b"Content-Length: 5\r\n"),
    "the same length twice": with_fields(LENGTH + LENGTH),
    "a list of lengths": with_fields(b"Content-Length: 5, 5\r\n"),
    "a signed length": with_fields(b"Content-Length: +5\r\n"),
    "a negative length": with_fields(b"Content-Length: -5\r\n"),
    "a hexadecimal length": with_fields(b"Content-Length: 0x10\r\n"),
    "a length with a space": with_fields(b"Content-Length: 1 0\r\n"),
    "no number as length": with_fields(b"Content-Length: many\r\n"),
    "an empty length": with_fields(b"Content-Length:\r\n"),
    "a length beyond 64 bits": with_fields(b"Content-Length: 18446744073709551617\r\n"),
    "chunked twice": with_fields(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"),
    "two Transfer-Encoding": with_fields(CHUNKED + CHUNKED, b"0\r\n\r\n"),
    "chunked is not the last": with_fields(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n"),
    "an unknown coding": with_fields(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"),
    "a quoted coding": with_fields(b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n"),
    "identity": with_fields(b"Transfer-Encoding: identity\r\n" + LENGTH),
    "chunked in HTTP/1.0": chunked(BODY).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "a chunk's size is no number": chunked(end=b"zz\r\n"),
    "a chunk's size is missing": chunked(end=b"\r\n0\r\n\r\n"),
    "a negative chunk": chunked(end=b"-1\r\n"),
    "a chunk's size with 0x": chunked(end=b"0x5\r\nhello\r\n"),
    "a chunk's size with a space before": chunked(end=b" 5\r\nhello\r\n"),
    "a chunk's size beyond 64 bits": chunked(end=b"10000000000000005\r\nhello\r\n"),
    "a chunk that is longer than it says": chunked(end=b'3\r\n{"a":1}\r\n0\r\n\r\n'),
    "bare LF behind a chunk's size": chunked(end=b"5\nhello\r\n0\r\n\r\n"),
    "bare LF behind a chunk": chunked(end=b"1\r\n{\n0\r\n\r\n"),
    "bare CR behind a chunk's size": chunked(end=b"5\rhello\r\n0\r\n\r\n"),
}

MALFORMED_HEAD = {
    "obs-fold": with_fields(b"X-Note: one\r\n two\r\n" + LENGTH),
    "obs-fold by a tab": with_fields(b"X-Note: one\r\n\ttwo\r\n" + LENGTH),
    "a folded length": with_fields(b"Content-Length:\r\n 5\r\n", b"hello"),
    "bare LF": GOOD.replace(b"\r\n", b"\n"),
    "bare LF behind one field": with_fields(b"X-Note: one\n" + LENGTH),
    "bare LF at the head's end": LINES + LENGTH + b"\n" + BODY,
    "bare CR in a value": with_fields(b"X-Note: one\rtwo\r\n" + LENGTH),
    "NUL in a value": with_fields(b"X-Note: o\0ne\r\n" + LENGTH),
    "NUL in a name": with_fields(b"X-\0Note: one\r\n" + LENGTH),
    "NUL in the target": request("GET", "/v1/mo\0dels"),
    "no colon": with_fields(b"X-Note\r\n" + LENGTH),
    "no name": with_fields(b": one\r\n" + LENGTH),
    "a space in a name": with_fields(b"X Note: one\r\n" + LENGTH),
    "a space before the colon": with_fields(b"Content-Length : 5\r\n", b"hello"),
    "a space before the first field": b"GET /v1/models HTTP/1.1\r\n Host: gateway.test\r\n\r\n",
    "no Host": request("GET", "/v1/models", {"Host": None}),
    "two Hosts": request("GET", "/v1/models", [("Host", "one.test"), ("Host", "two.test")]),
    "a space in the target": request("GET", "/v1/mod els"),
    "two spaces": b"GET  /v1/models HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
    "a method of small letters": request("get", "/v1/models"),
    "no method": b" /v1/models HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
    "another protocol": request("GET", "/v1/models", version="ICAP/1.0"),
    "TLS": bytes.fromhex("160301020001000001fc0303") + bytes(60),
    "noise": b"\xff\xfe\x00\x01" * 20,
}


@pytest.mark.parametrize("data", UNCLEAR_LENGTH.values(), ids=UNCLEAR_LENGTH.keys())
def test_unclear_length(gateway, data):
    answer = refused(gateway, data, 400, "bad_request")
    assert "length" in answer.error["message"] or "Transfer-Encoding" in answer.error["message"]


@pytest.mark.parametrize("data", MALFORMED_HEAD.values(), ids=MALFORMED_HEAD.keys())
def test_malformed_head(gateway, data):
    refused(gateway, data, 400, "bad_request")


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/3.7"])
def test_unknown_version(gateway, version):
    answer = refused(gateway, request("GET", "/v1/models", version=version), 505, "unsupported_http_version")
    assert "HTTP/1.1" in answer.error["message"]


def test_no_version(gateway):
    """That was HTTP/0.9."""
    refused(gateway, b"GET /v1/models\r\nHost: gateway.test\r\n\r\n", 505, "unsupported_http_version")


def test_http2_with_prior_knowledge(gateway):
    refused(gateway, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "unsupported_http_version")


def test_unknown_coding_before_chunked(gateway):
    data = with_fields(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n")
    refused(gateway, data, 501, "unsupported_transfer_coding")


# -- what is odd and right -------------------------------------------------------------------------


def test_chunked_body_in_any_pieces(gateway):
    with gateway.connect() as connection:
        for size in (1, 2, 7, 1000):
            pieces = [BODY[i : i + size] for i in range(0, len(BODY), size)]
            assert connection.ask(chunked(*pieces)).content == content("hello")


def test_chunk_extensions_and_trailers_are_dropped(gateway):
    body = b'%x;name=value;other="a;b"\r\n%s\r\n' % (len(BODY), BODY)
    data = LINES + CHUNKED + b"Trailer: X-Sum\r\n\r\n" + body + b"0;last\r\nX-Sum: 5\r\n\r\n"
    with gateway.connect() as connection:
        assert connection.ask(data).content == content("hello")
        assert connection.ask(GOOD).content == content("hello")


def test_endless_chunk_extensions_are_not_read(gateway):
    with gateway.connect() as connection:
        connection.send(LINES + CHUNKED + b"\r\n" + b"5;" + b"x" * 300_000)
        assert connection.answer().status in (400, 413)
        assert connection.is_closed()


def test_byte_by_byte(gateway):
    with gateway.connect() as connection:
        assert connection.send_slowly(GOOD).answer().content == content("hello")
        assert connection.send_slowly(chunked(BODY[:10], BODY[10:])).answer().content == content("hello")


def test_any_cut_of_a_request(gateway):
    """Wherever the segments are cut."""
    with gateway.connect() as connection:
        for at in range(1, len(GOOD), 3):
            connection.send(GOOD[:at])
            time.sleep(0.001)
            assert connection.ask(GOOD[at:]).content == content("hello")


def test_upper_and_lower_case(gateway):
    data = with_fields(b"TRANSFER-ENCODING: CHUNKED\r\n", b"%X\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY))
    assert gateway.ask(data).content == content("hello")


def test_blanks_around_values(gateway):
    assert gateway.ask(with_fields(b"Content-Length: \t %d  \r\n" % len(BODY))).content == content("hello")


def test_empty_lines_before_a_request(gateway):
    """RFC 9112 2.2."""
    with gateway.connect() as connection:
        assert connection.ask(b"\r\n" + GOOD).content == content("hello")
        assert connection.ask(b"\r\n\r\n" + GOOD).content == content("hello")


def test_absolute_target(gateway):
    assert gateway.get("http://elsewhere.test/v1/models").status == 200


def test_query_is_ignored(gateway):
    assert gateway.get("/v1/models?api-version=1&x=%00").status == 200
    assert gateway.ask(post(BODY, "/v1/chat/completions?api-version=1")).content == content("hello")


def test_upgrade_is_not_taken(gateway):
    data = post(BODY, headers={"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"})
    with gateway.connect() as connection:
        assert connection.ask(data).content == content("hello")
        assert connection.ask(GOOD).content == content("hello")


# -- paths and methods -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/v1",
        "/v1/chat/completions/",
        "/v2/models",
        "/v1/models/",
        "//v1/models",
        "*",
        "/metrics",
        "/v1/admin/keys",
        "/v1/chat%2Fcompletions",
        "/v1/x/../models",
    ],
)
def test_unknown_path(gateway, target):
    answer = refused(gateway, request("GET", target), 404, "unknown_url", closes=False)
    assert target in answer.error["message"]


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        ("GET", "/v1/chat/completions", {"POST"}),
        ("PUT", "/v1/embeddings", {"POST"}),
        ("DELETE", "/v1/completions", {"POST"}),
        ("OPTIONS", "/v1/chat/completions", {"POST"}),
        ("PATCH", "/v1/models/gpt-4.1", {"GET", "HEAD"}),
        ("POST", "/v1/models", {"GET", "HEAD"}),
        ("POST", "/health", {"GET", "HEAD"}),
        ("TRACE", "/v1/models", {"GET", "HEAD"}),
        ("CONNECT", "gateway.test:443", None),
    ],
)
def test_method_not_allowed(gateway, method, target, allowed):
    with gateway.connect() as connection:
        answer = connection.ask(request(method, target), method)
        if allowed is None:
            assert answer.status in (400, 404, 405)
            return
        assert (answer.status, answer.error["code"]) == (405, "method_not_allowed")
        assert set(answer.get("allow").replace(" ", "").split(",")) == allowed
        assert connection.ask(GOOD).content == content("hello")


@pytest.mark.parametrize("target", ["/v1/models", "/v1/models/gpt-4.1", "/health", "/ready"])
def test_head_is_get_without_a_body(gateway, target):
    with gateway.connect() as connection:
        whole = connection.ask(request("GET", target), "GET")
        bare = connection.ask(request("HEAD", target), "HEAD")
        assert bare.status == whole.status == 200
        assert bare.body == b"" and bare.get("content-length") == whole.get("content-length")
        assert connection.ask(GOOD).content == content("hello")


def test_head_of_an_error_has_no_body(gateway):
    with gateway.connect() as connection:
        assert connection.ask(request("HEAD", "/nowhere"), "HEAD").status == 404
        assert connection.ask(GOOD).content == content("hello")


# -- too large -------------------------------------------------------------------------------------


def test_target_too_long(gateway):
    refused(gateway, request("GET", "/v1/models?" + "x" * 9000), 414, "uri_too_long")


def test_field_too_large(gateway):
    answer = refused(gateway, with_fields(b"X-Note: " + b"x" * 70_000 + b"\r\n" + LENGTH), 431, "headers_too_large")
    assert "64 KiB" in answer.error["message"]


def test_too_many_fields(gateway):
    fields = b"".join(b"X-%d: y\r\n" % i for i in range(200))
    answer = refused(gateway, with_fields(fields + LENGTH), 431, "headers_too_large")
    assert "128 fields" in answer.error["message"]


def test_a_head_without_end(gateway):
    """It is not waited for its end to be refused."""
    with gateway.connect() as connection:
        connection.send(LINES + b"X-Note: " + b"x" * 70_000)
        assert connection.answer().status == 431
        assert connection.is_closed()


def test_as_much_head_as_is_allowed(gateway):
    assert gateway.ask(with_fields(b"X-Note: " + b"x" * 60_000 + b"\r\n" + LENGTH)).content == content("hello")


def test_body_too_large(gateway):
    answer = refused(gateway, post(b" " * 300_000 + BODY), 413, "request_too_large")
    assert "larger" in answer.error["message"]


def test_body_too_large_is_refused_by_its_head(gateway):
    """Nothing of it is waited for."""
    with gateway.connect() as connection:
        answer = connection.ask(with_fields(b"Content-Length: 300000\r\n", b""))
        assert answer.status == 413
        assert connection.is_closed()


def test_chunked_body_too_large(gateway):
    """Its length is known when it is passed, not before."""
    with gateway.connect() as connection:
        connection.send(LINES + CHUNKED + b"\r\n")
        for _ in range(30):
            connection.send(b"%x\r\n%s\r\n" % (10_000, b" " * 10_000))
        answer = connection.answer()
        assert (answer.status, answer.error["code"]) == (413, "request_too_large")
        assert connection.is_closed()


def test_as_much_body_as_is_allowed(gateway):
    text = "x" * (255 * 1024 - len(BODY))
    assert gateway.post(chat(text)).status == 200


# -- lingering -------------------------------------------------------------------------------------


def test_lingering_lets_the_answer_arrive(gateway):
    """A client that goes on sending its body still reads the 413: the connection isn't reset under its eyes."""
    with gateway.connect() as connection:
        connection.send(with_fields(b"Content-Length: 900000\r\n", b" " * 100_000))
        time.sleep(0.1)
        connection.send(b" " * 700_000)
        answer = connection.answer()
        assert answer.status == 413
        assert connection.is_closed()


def test_lingering_has_an_end(gateway):
    """Two seconds, then the connection goes even where the client says nothing."""
    with gateway.connect() as connection:
        connection.ask(with_fields(LENGTH + CHUNKED, b""))
        started = time.monotonic()
        connection.fill()  # the end of what it sends
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while time.monotonic() < started + 5:
                connection.send(b"x")
                time.sleep(0.05)
        assert 1.5 < time.monotonic() - started < 4


def test_what_follows_a_framing_error_is_no_request(gateway):
    with gateway.connect() as connection:
        connection.send(with_fields(LENGTH + CHUNKED, b"0\r\n\r\n") + GOOD + GOOD)
        assert connection.answer().status == 400
        assert connection.is_closed(), "a second answer: smuggled"


# -- too slow --------------------------------------------------------------------------------------


def test_slow_head(gateway):
    with gateway.connect() as connection:
        started = time.monotonic()
        connection.send(b"POST /v1/chat")
        answer = connection.answer()
        assert (answer.status, answer.error["code"]) == (408, "request_timeout")
        assert 0.3 < time.monotonic() - started < 1.5
        assert connection.is_closed()


def test_a_head_that_drips_has_no_longer_time(gateway):
    with gateway.connect() as connection:
        started = time.monotonic()
        with pytest.raises((BrokenPipeError, ConnectionResetError, AssertionError)):
            for byte in GOOD:
                connection.send(bytes([byte]))
                time.sleep(0.05)
                assert time.monotonic() < started + 2 or not connection.fill()
        assert time.monotonic() - started < 6


def test_slow_body(gateway):
    with gateway.connect() as connection:
        started = time.monotonic()
        connection.send(GOOD[:-5])
        answer = connection.answer()
        assert (answer.status, answer.error["code"]) == (408, "request_timeout")
        assert 0.3 < time.monotonic() - started < 1.5
        assert connection.is_closed()


def test_idle_connection_is_closed_without_words(stage, sim):
    gateway = stage.gateway(
        {"server": {"timeouts": {"idle": "300ms"}}, "providers": {"sim": provider(sim.base_url, ["sk-frame-1"])}}
    )
    with gateway.connect() as connection:
        connection.ask(GOOD)
        started = time.monotonic()
        assert connection.is_closed(3)
        assert time.monotonic() - started > 0.2
        assert connection.buffer == b""


def test_a_connection_that_never_speaks_is_closed(gateway):
    with gateway.connect() as connection:
        assert connection.is_closed(8)
        assert connection.buffer == b""


# -- Content-Encoding, Expect ----------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "unknown"])
def test_coded_body(gateway, coding):
    refused(gateway, post(BODY, headers={"Content-Encoding": coding}), 415, "unsupported_media_type", closes=False)


def test_identity_is_no_coding(gateway):
    assert gateway.ask(post(BODY, headers={"Content-Encoding": "identity"})).content == content("hello")


def test_unknown_expectation(gateway):
    answer = gateway.ask(post(BODY, headers={"Expect": "200-maybe"}))
    assert (answer.status, answer.error["code"]) == (417, "expectation_failed")


def test_expect_continue(gateway):
    with gateway.connect() as connection:
        connection.send(with_fields(LENGTH + b"Expect: 100-Continue\r\n", b""))
        assert connection.take(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert connection.ask(BODY).content == content("hello")
        assert connection.ask(GOOD).content == content("hello")


def test_expect_continue_where_the_body_comes_at_once(gateway):
    with gateway.connect() as connection:
        answer = connection.ask(with_fields(LENGTH + b"Expect: 100-continue\r\n"))
        assert answer.content == content("hello")
        assert connection.ask(GOOD).content == content("hello")


def test_expect_continue_is_not_answered_where_the_body_is_not_wanted(gateway):
    """The final answer comes at once; the body may never come, so the connection is not used again."""
    with gateway.connect() as connection:
        answer = connection.ask(with_fields(b"Content-Length: 300000\r\nExpect: 100-continue\r\n", b""))
        assert answer.status == 413 and not answer.interim
        assert connection.is_closed()
    with gateway.connect() as connection:
        fields = LENGTH + b"Expect: 100-continue\r\nContent-Encoding: gzip\r\n"
        answer = connection.ask(with_fields(fields, b""))
        assert answer.status == 415 and not answer.interim
        assert answer.get("connection") == "close"
        assert connection.is_closed()


# -- one after the other ---------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order(gateway):
    texts = [f"question {i}" for i in range(20)]
    with gateway.connect() as connection:
        connection.send(b"".join(post(chat(text, stream=i % 3 == 0)) for i, text in enumerate(texts)))
        assert [connection.answer().content for _ in texts] == [content(text) for text in texts]


def test_pipelined_mixture(gateway):
    """Good, bad and local ones in one segment, and half of another."""
    with gateway.connect() as connection:
        connection.send(GOOD + request("GET", "/nowhere") + post(b"{") + request("HEAD", "/health") + GOOD[:50])
        assert connection.answer().content == content("hello")
        assert connection.answer().status == 404
        assert connection.answer().status == 400
        assert connection.answer("HEAD").status == 200
        assert connection.ask(GOOD[50:]).content == content("hello")


def test_the_client_ends_a_connection_by_its_wish(gateway):
    with gateway.connect() as connection:
        answer = connection.ask(post(BODY, headers={"Connection": "close"}) + GOOD)
        assert answer.content == content("hello") and answer.get("connection") == "close"
        assert connection.is_closed()


def test_http10(gateway):
    with gateway.connect() as connection:
        answer = connection.ask(post(BODY, version="HTTP/1.0"))
        assert answer.content == content("hello")
        assert connection.is_closed()


def test_http10_without_host(gateway):
    with gateway.connect() as connection:
        assert connection.ask(b"GET /v1/models HTTP/1.0\r\n\r\n", "GET").status == 200
        assert connection.is_closed()


def test_http10_stream_ends_with_the_connection(gateway):
    with gateway.connect() as connection:
        answer = connection.ask(post(chat("hello", stream=True), version="HTTP/1.0"))
        assert not {"transfer-encoding", "content-length"} & answer.names
        assert answer.content == content("hello") and answer.events[-1] == "[DONE]"


# -- half-closed -----------------------------------------------------------------------------------


def test_half_close_aborts(stage, sim):
    """As with nginx: who ends its sending side has left, and the provider is told."""
    sim.scenario({"defaults": {"latency": "5s"}})
    gateway = stage.gateway({"providers": {"sim": provider(sim.base_url, ["sk-frame-1"])}})
    with gateway.connect() as connection:
        connection.send(GOOD)
        time.sleep(0.1)
        connection.end_sending()
        assert connection.is_closed(2)
    gateway.wait_access(cancelled_by="client")
    until = time.monotonic() + 2
    while sim.stats("sk-frame-1")["cancelled"] != 1:
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("stream", [False, True])
def test_half_close_is_answered_where_wished(stage, sim, stream):
    sim.scenario({"defaults": {"latency": "200ms"}})
    gateway = stage.gateway(
        {"server": {"half_close": "answer"}, "providers": {"sim": provider(sim.base_url, ["sk-frame-1"])}}
    )
    with gateway.connect() as connection:
        connection.send(post(chat("hello", stream=stream))).end_sending()
        assert connection.answer().content == content("hello")
        assert connection.is_closed()


def test_half_a_request_then_the_end(gateway):
    for part in (GOOD[:20], GOOD[:-5]):
        with gateway.connect() as connection:
            connection.send(part).end_sending()
            assert connection.is_closed(3) or connection.head().status == 400


def test_the_process_lives_on(gateway):
    """After all of the above, and after resets at every point of a request."""
    for at in range(0, len(GOOD), 20):
        with gateway.connect() as connection:
            connection.send(GOOD[:at])
            connection.reset()
    with gateway.connect() as connection:
        assert connection.ask(GOOD).content == content("hello")
    assert gateway.process.poll() is None


# -- how it listens --------------------------------------------------------------------------------


def test_unix_socket(stage, sim, tmp_path):
    path = str(tmp_path / "gateway.sock")
    gateway = stage.gateway(
        {"server": {"listen": f"unix:{path}"}, "providers": {"sim": provider(sim.base_url, ["sk-frame-1"])}}
    )
    for _ in range(20):
        with Wire(path) as connection:
            assert connection.ask(GOOD).content == content("hello")
    assert gateway.address == path


def test_ipv6_and_several_addresses(stage, sim, tmp_path):
    path = str(tmp_path / "gateway.sock")
    gateway = stage.gateway(
        {
            "server": {"listen": ["[::1]:0", f"unix:{path}"]},
            "providers": {"sim": provider(sim.base_url, ["sk-frame-1"])},
        }
    )
    assert gateway.address[0] == "::1"
    for address in (gateway.address, path):
        with Wire(address) as connection:
            assert connection.ask(GOOD).content == content("hello")


def test_a_unix_socket_that_was_left_behind(stage, sim, tmp_path):
    """A process that was killed leaves its socket's file; the next one takes it over."""
    path = str(tmp_path / "gateway.sock")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    stage.gateway({"server": {"listen": f"unix:{path}"}, "providers": {"sim": provider(sim.base_url, ["sk-frame-1"])}})
    with Wire(path) as connection:
        assert connection.ask(GOOD).content == content("hello")


def test_no_more_connections_than_declared(stage, sim):
    """Further ones wait at the door until one leaves."""
    gateway = stage.gateway(
        {"server": {"workers": 1, "max_connections": 2}, "providers": {"sim": provider(sim.base_url, ["sk-frame-1"])}}
    )
    first, second, third = (gateway.connect() for _ in range(3))
    assert first.ask(GOOD).content == second.ask(GOOD).content == content("hello")
    third.send(GOOD)
    assert third.is_open(0.3), "not served, and not refused"
    first.close()
    assert third.answer().content == content("hello")
    second.close()
    third.close()


@pytest.mark.parametrize(
    ("trusted", "sent", "shown"),
    [
        ([], "203.0.113.7", "127.0.0.1"),
        (["127.0.0.0/8"], "203.0.113.7", "203.0.113.7"),
        (["127.0.0.0/8"], "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        (["127.0.0.0/8", "203.0.113.0/24"], "198.51.100.1, 203.0.113.7", "198.51.100.1"),
        (["10.0.0.0/8"], "203.0.113.7", "127.0.0.1"),
        (["127.0.0.0/8"], "nonsense", "127.0.0.1"),
        (["127.0.0.0/8"], "2001:db8::7", "2001:db8::7"),
    ],
)
def test_whose_forwarded_for_counts(stage, sim, trusted, sent, shown):
    """The address that stands in the log is the last one that no trusted proxy could have made up."""
    gateway = stage.gateway(
        {"server": {"trusted_proxies": trusted}, "providers": {"sim": provider(sim.base_url, ["sk-frame-1"])}}
    )
    gateway.get("/v1/models", {"X-Forwarded-For": sent})
    assert gateway.wait_access(path="/v1/models")["remote"] == shown
