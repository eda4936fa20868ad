"""What reaches the provider and what reaches the client: a body byte for byte but for what must change, and the
fields of the two heads as configuration.md says. Recorded by an upstream that shares no code with the gateway."""

import gzip
import json
import re

import pytest
from harness import upstream as up
from harness.expect import chat, content
from harness.fixtures import provider
from harness.wire import post, request


@pytest.fixture
def upstream(stage):
    return stage.upstream()


@pytest.fixture
def gateway(stage, upstream):
    """One provider, no names of models: every model goes there under its own name."""
    return stage.gateway({"providers": {"up": provider(upstream.base_url, ["sk-up-secret-1"])}})


# -- the body --------------------------------------------------------------------------------------

ODD_BODY = (
    b' {\r\n\t"zeta" : [1.0, 1e2, -0, 123456789012345678901234567890, 0.1000],"model":"m"  ,\n'
    b'"messages":[{"role":"user","content":"\\u00e9\\/\xc3\xa9 \\ud83e\\udd9c","name":null}], '
    b'"unknown_field": {"a":{},"b":[]},'
    b'"dup":1,"dup":2, "stream" :false,"seed":42 } '
)


def test_a_body_passes_byte_for_byte(gateway, upstream):
    """Its blanks, its numbers, its escapes, fields that the gateway has never heard of."""
    gateway.ask(post(ODD_BODY))
    assert upstream.request.body == ODD_BODY
    assert upstream.request.target == "/v1/chat/completions"


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_chunked_body_passes_byte_for_byte(gateway, upstream, size):
    pieces = [ODD_BODY[i : i + size] for i in range(0, len(ODD_BODY), size)]
    data = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    gateway.ask(request("POST", "/v1/chat/completions", {"Transfer-Encoding": "chunked"}, data))
    assert upstream.request.body == ODD_BODY
    assert upstream.request.get("content-length") == str(len(ODD_BODY))


def test_a_large_body_passes_byte_for_byte(gateway, upstream):
    body = json.dumps(chat("".join(f"line {i}\n" for i in range(300_000)))).encode()
    assert gateway.ask(post(body)).status == 200
    assert upstream.request.body == body


def test_the_model_is_renamed_and_nothing_else(stage, upstream):
    gateway = stage.gateway(
        {
            "providers": {"up": provider(upstream.base_url, ["sk-up-secret-1"])},
            "models": {"m": "up/upstream/deep:free-1.0"},
        }
    )
    gateway.ask(post(ODD_BODY))
    sent = upstream.request.body
    assert sent == ODD_BODY.replace(b'"m"', b'"upstream/deep:free-1.0"')


def test_a_name_behind_a_large_text(stage, upstream):
    """The edit is found wherever the field stands, and the length is right."""
    gateway = stage.gateway(
        {
            "providers": {"up": provider(upstream.base_url, ["sk-up-secret-1"])},
            "models": {"short": "up/a-much-longer-name-than-before"},
        }
    )
    text = "x" * 300_000
    body = json.dumps({"messages": [{"role": "user", "content": text}], "model": "short", "user": "u"}).encode()
    gateway.ask(post(body))
    assert upstream.request.body == body.replace(b'"short"', b'"a-much-longer-name-than-before"')


def test_direct_names(gateway, upstream):
    """PROVIDER/MODEL goes to that provider under the model's own name."""
    gateway.post(chat("hello", model="up/deep/model-1"))
    assert upstream.request.json["model"] == "deep/model-1"


def test_absent_and_unknown_models_as_configured(stage, upstream):
    gateway = stage.gateway(
        {
            "providers": {"up": provider(upstream.base_url, ["sk-up-secret-1"])},
            "models": {"usual": "up/usual-1"},
            "names": {"absent": "usual", "unknown": "usual"},
        }
    )
    without = {"messages": [{"role": "user", "content": "hello"}]}
    assert gateway.post(without).content == content("hello")
    assert gateway.post({**without, "model": None}).content == content("hello")
    assert gateway.post({**without, "model": "whatever"}).content == content("hello")
    assert [sent.json["model"] for sent in upstream.requests] == ["usual-1"] * 3
    assert all({**sent.json, "model": None} == {**without, "model": None} for sent in upstream.requests)


def test_the_answer_passes_byte_for_byte(stage):
    usage = b'{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}'
    body = b' { "id":1.0, "odd":[ 1e2 ],"usage":%s ,"z":"\\u00e9" }\n' % usage

    def handler(peer):
        peer.read_request()
        peer.answer(body, fields={"X-Own": "1"})

    upstream = stage.upstream(handler)
    gateway = stage.gateway({"providers": {"up": provider(upstream.base_url, ["sk-up-secret-1"])}})
    answer = gateway.post(chat("hello"))
    assert answer.body == body
    assert gateway.wait_access(status=200)["completion_tokens"] == 4


@pytest.mark.parametrize("path", ["completions", "embeddings"])
def test_other_endpoints_pass_byte_for_byte(stage, path):
    body = {
        "embeddings": b'{"input":  "x","model":"m", "encoding_format":"base64"}',
        "completions": b'{"prompt":["a", "b"],"model":"m", "echo":true }',
    }[path]

    def handler(peer):
        peer.read_request()
        peer.answer({"object": "list", "data": []})

    upstream = stage.upstream(handler)
    gateway = stage.gateway({"providers": {"up": provider(upstream.base_url, ["sk-up-secret-1"])}})
    assert gateway.ask(post(body, f"/v1/{path}")).json == {"object": "list", "data": []}
    assert upstream.request.body == body
    assert upstream.request.target == f"/v1/{path}"


# -- usage in streams ------------------------------------------------------------------------------


def stream_with_usage(peer):
    """A provider that tells usage where it is asked to, as OpenAI does."""
    sent = peer.read_request().json
    peer.begin_stream()
    for data in up.stream_events("he", "llo")[:-1]:
        peer.event(data)
    if (sent.get("stream_options") or {}).get("include_usage"):
        peer.event(up.usage_chunk(7, 2))
    peer.event("[DONE]")
    peer.end_stream()


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_obfuscation": False}, "absent"])
def test_usage_is_asked_for_and_hidden(stage, options):
    upstream = stage.upstream(stream_with_usage)
    gateway = stage.gateway({"providers": {"up": provider(upstream.base_url, ["sk-up-secret-1"])}})
    body = chat("hello", stream=True)
    if options != "absent":
        body["stream_options"] = options
    answer = gateway.post(body)
    assert [json.loads(data)["choices"] != [] for data in answer.events[:-1]] == [True] * 4
    assert answer.events[-1] == "[DONE]"
    sent = upstream.request.json
    assert sent["stream_options"].pop("include_usage") is True
    assert {**sent, "stream_options": None} == {**body, "stream_options": None}
    assert sent["stream_options"] == {
        name: value for name, value in (body.get("stream_options") or {}).items() if name != "include_usage"
    }
    line = gateway.wait_access(is_stream=True)
    assert (line["prompt_tokens"], line["completion_tokens"]) == (7, 2)
    assert "is_estimated" not in line


def test_usage_that_was_asked_for_is_shown(stage):
    upstream = stage.upstream(stream_with_usage)
    gateway = stage.gateway({"providers": {"up": provider(upstream.base_url, ["sk-up-secret-1"])}})
    body = json.dumps(chat("hello", stream=True, stream_options={"include_usage": True})).encode()
    answer = gateway.ask(post(body))
    assert json.loads(answer.events[-2])["usage"]["total_tokens"] == 9
    assert upstream.request.body == body, "nothing had to change"


def test_chunks_pass_untouched(stage):
    """Whatever stands in them; only the usage chunk that the gateway asked for is taken out."""
    events = [
        b'{"choices":[{"index":0,"delta":{"content":"a"}}] , "obfuscation":"xyz","usage":null}',
        b'{"odd": 1.0, "choices":[]}',
        b'{"choices":[{"index":1,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\""}}]}}]}',
    ]
    last = [json.dumps(up.usage_chunk()).encode(), b"[DONE]"]

    def handler(peer):
        peer.read_request()
        peer.begin_stream()
        for data in events + last:
            peer.event(data)
        peer.end_stream()

    upstream = stage.upstream(handler)
    gateway = stage.gateway({"providers": {"up": provider(upstream.base_url, ["sk-up-secret-1"])}})
    answer = gateway.post(chat("hello", stream=True))
    assert answer.body == b"".join(up.event(data) for data in [*events, b"[DONE]"])


def picky(status, message):
    """A provider that does not know stream_options."""

    def handler(peer):
        sent = peer.read_request().json
        if "stream_options" in sent:
            peer.answer(up.error_body(message, "invalid_request_error", param="stream_options"), status)
            return
        stream_with_usage(peer)

    return handler


@pytest.mark.parametrize("status", [400, 422])
def test_a_provider_that_refuses_stream_options(stage, status):
    """It is asked once; then that is remembered, and the tokens are estimated and marked so."""
    upstream = stage.upstream(picky(status, "Unknown parameter: 'stream_options'."))
    gateway = stage.gateway(
        {"server": {"workers": 1}, "providers": {"up": provider(upstream.base_url, ["sk-up-secret-1"])}}
    )
    for _ in range(3):
        answer = gateway.post(chat("hello", stream=True))
        assert answer.content == "hello"
        assert answer.get("x-bellwether-key") == "up-1"
    assert ["stream_options" in sent.json for sent in upstream.requests] == [True, False, False, False]
    line = gateway.wait_access(is_stream=True)
    assert line["is_estimated"] and line["completion_tokens"] >= 1


def test_a_400_for_another_reason_is_passed_on(stage):
    def handler(peer):
        peer.read_request()
        peer.answer(up.error_body("Your prompt is bad.", "invalid_request_error"), 400)

    upstream = stage.upstream(handler)
    gateway = stage.gateway({"providers": {"up": provider(upstream.base_url, ["sk-up-secret-1"])}})
    answer = gateway.post(chat("hello", stream=True))
    assert (answer.status, answer.error["message"]) == (400, "Your prompt is bad.")
    assert len(upstream.requests) == 1


def test_a_client_that_asks_for_usage_hears_the_refusal(stage):
    """What the client itself wants is not taken away behind its back."""
    upstream = stage.upstream(picky(400, "Unknown parameter: 'stream_options'."))
    gateway = stage.gateway({"providers": {"up": provider(upstream.base_url, ["sk-up-secret-1"])}})
    answer = gateway.post(chat("hello", stream=True, stream_options={"include_usage": True}))
    assert answer.status == 400 and answer.error["param"] == "stream_options"


def test_openai_is_always_asked_for_usage(stage):
    """Its row says that it can: a 400 that names stream_options is the client's own business there."""
    upstream = stage.upstream(picky(400, "Unknown parameter: 'stream_options'."))
    gateway = stage.gateway(
        {"providers": {"openai": {"kind": "openai", "base_url": upstream.base_url, "keys": ["sk-up-secret-1"]}}}
    )
    for _ in range(2):
        gateway.post(chat("hello", stream=True))
    assert ["stream_options" in sent.json for sent in upstream.requests] == [True, True]


# -- fields of the request -------------------------------------------------------------------------

PASSED = {
    "Accept": "application/json, text/event-stream;q=0.5",
    "User-Agent": "my-app/1.0 (test)",
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "tools-1",
    "OpenAI-Beta": "assistants=v2",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "tracestate": "congo=t61rcWkgMzE",
    "Idempotency-Key": "9b2d-1",
    "Content-Type": "application/json; charset=utf-8",
}
KEPT_BACK = {
    "Authorization": "Bearer sk-mine-secret-7",
    "Proxy-Authorization": "Basic sk-mine-secret-8",
    "X-Api-Key": "sk-mine-secret-9",
    "Api-Key": "sk-mine-secret-10",
    "X-Goog-Api-Key": "sk-mine-secret-11",
    "Cookie": "session=sk-mine-secret-12",
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Host": "inside.test",
    "X-Forwarded-Proto": "https",
    "Forwarded": "for=203.0.113.7",
    "X-Real-IP": "203.0.113.7",
    "OpenAI-Organization": "org-mine",
    "OpenAI-Project": "proj-mine",
    "Connection": "keep-alive, X-Hop",
    "X-Hop": "by hop",
    "Keep-Alive": "timeout=5",
    "TE": "trailers",
    "Via": "1.1 mine",
    "X-Priority": "standard",
    "X-Request-ID": "mine-1",
    "X-Stainless-Lang": "python",
    "Accept-Encoding": "gzip, br",
    "Expect": "100-continue",
    "Referer": "http://inside.test/",
    "Origin": "http://inside.test",
    "Max-Forwards": "3",
    "X-Trace": "t-1",
}


def test_fields_of_a_request(gateway, upstream):
    answer = gateway.ask(post(json.dumps(chat("hello")).encode(), headers={**PASSED, **KEPT_BACK}))
    assert answer.status == 200
    sent = upstream.request
    for name, value in PASSED.items():
        assert sent.get(name) == value
    allowed = {name.lower() for name in PASSED} | {"host", "authorization", "content-length", "accept-encoding"}
    assert sent.names == allowed
    assert sent.get("authorization") == "Bearer sk-up-secret-1"
    assert sent.get("accept-encoding") == "identity"
    assert sent.get("host") == f"127.0.0.1:{upstream.port}"
    assert "sk-mine" not in sent.head.decode()


def test_fields_that_the_gateway_adds_where_the_client_names_none(gateway, upstream):
    body = json.dumps(chat("hello")).encode()
    gateway.ask(request("POST", "/v1/chat/completions", {}, body))
    sent = upstream.request
    assert sent.get("content-type") == "application/json"
    assert sent.get("user-agent").startswith("bellwether/")
    assert sent.names == {"host", "authorization", "content-length", "accept-encoding", "content-type", "user-agent"}


def test_fields_that_the_file_names(stage, upstream):
    gateway = stage.gateway(
        {
            "providers": {
                "up": provider(
                    upstream.base_url,
                    ["sk-up-secret-1"],
                    headers={"X-Team": "search"},
                    forward_headers=["X-Trace", "X-Absent"],
                )
            }
        }
    )
    gateway.ask(post(json.dumps(chat("hello")).encode(), headers={"x-trace": "t-1", "X-Other": "2"}))
    sent = upstream.request
    assert sent.get("x-trace") == "t-1"
    assert sent.get("x-team") == "search"
    assert "x-absent" not in sent.names and "x-other" not in sent.names


def test_a_base_url_with_a_path(stage, upstream):
    gateway = stage.gateway({"providers": {"up": provider(upstream.base_url + "/deep/er/", ["sk-up-secret-1"])}})
    gateway.post(chat("hello"))
    assert upstream.request.target == "/v1/deep/er/chat/completions"


# -- fields of the answer --------------------------------------------------------------------------


def answering(fields, stream=False, body=None):
    def handler(peer):
        peer.read_request()
        if stream:
            peer.begin_stream(fields)
            for data in up.stream_events("hello"):
                peer.event(data)
            peer.end_stream()
        else:
            peer.answer(body or up.completion("hello"), fields=fields)

    return handler


PROVIDERS_OWN = {
    "Server": "upstream/1.0",
    "Set-Cookie": "session=1",
    "openai-organization": "org-theirs",
    "openai-version": "2020-10-01",
    "x-ratelimit-limit-requests": "100",
    "x-ratelimit-remaining-requests": "99",
    "x-ratelimit-reset-requests": "1s",
    "cf-ray": "1",
    "Via": "1.1 theirs",
    "X-Own": "1",
    "Alt-Svc": "h3",
    "Trailer": "X-Sum",
    "Keep-Alive": "timeout=5",
}


@pytest.mark.parametrize("stream", [False, True])
def test_fields_of_an_answer(stage, stream):
    fields = {**PROVIDERS_OWN, "x-request-id": "theirs-1", "openai-processing-ms": "17", "x-should-retry": "true"}
    upstream = stage.upstream(answering(fields, stream))
    gateway = stage.gateway(
        {"providers": {"up": provider(upstream.base_url, [{"name": "first", "secret": "sk-up-secret-1"}])}}
    )
    answer = gateway.ask(post(chat("hello", stream=stream), headers={"X-Request-ID": "mine-1"}))
    assert answer.names == {
        "date",
        "content-type",
        "transfer-encoding" if stream else "content-length",
        "x-request-id",
        "openai-processing-ms",
        "x-should-retry",
        "x-bellwether-provider",
        "x-bellwether-model",
        "x-bellwether-key",
        "x-bellwether-attempts",
        "x-bellwether-overhead-us",
        "x-bellwether-upstream-request-id",
    }
    assert answer.get("x-request-id") == "mine-1"
    assert answer.get("openai-processing-ms") == "17"
    assert answer.get("content-type") == ("text/event-stream; charset=utf-8" if stream else "application/json")
    assert answer.get("x-bellwether-upstream-request-id") == "theirs-1"
    ours = [answer.get(f"x-bellwether-{name}") for name in ("provider", "model", "key", "attempts")]
    assert ours == ["up", "gpt-4.1", "first", "1"]
    assert answer.get("x-bellwether-overhead-us").isdigit()


def test_hints_of_a_provider_that_refuses(stage):
    """A 400 is passed on once, with what the provider says of trying again."""

    def handler(peer):
        peer.read_request()
        peer.answer(up.error_body("No."), 400, {"Retry-After": "7", "x-should-retry": "false"})

    upstream = stage.upstream(handler)
    gateway = stage.gateway({"providers": {"up": provider(upstream.base_url, ["sk-up-secret-1"])}})
    answer = gateway.post(chat("hello"))
    assert answer.status == 400 and answer.json == up.error_body("No.")
    assert answer.get("retry-after") == "7"
    assert answer.get("x-should-retry") == "false"


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_comes_coded_all_the_same(stage, status, stream):
    """It passes unread, and its usage is marked unknown."""
    body = gzip.compress(json.dumps(up.completion("hello")).encode())

    def handler(peer):
        peer.read_request()
        peer.answer(body, status, {"Content-Encoding": "gzip"}, "text/event-stream" if stream else "application/json")

    upstream = stage.upstream(handler)
    gateway = stage.gateway({"providers": {"up": provider(upstream.base_url, ["sk-up-secret-1"])}})
    answer = gateway.post(chat("hello", stream=stream))
    assert (answer.status, answer.body, answer.get("content-encoding")) == (status, body, "gzip")
    assert "completion_tokens" not in gateway.wait_access(status=status)


@pytest.mark.parametrize("own", ["a b", "x" * 200, "line\tbreak", 'quote"', "", "é"])
def test_a_request_id_that_is_not_sane(gateway, own):
    answer = gateway.ask(post(chat("hello"), headers={"X-Request-ID": own}))
    assert re.fullmatch(r"req_[0-9a-f]{32}", answer.get("x-request-id"))


def test_request_ids_differ(gateway):
    ids = {gateway.get("/v1/models").get("x-request-id") for _ in range(20)}
    assert len(ids) == 20
