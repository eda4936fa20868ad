"""Bodies that are not what they should be: each gets a 400 whose message and `param` name the field, in OpenAI's
shape, and the connection lives on. What the gateway need not understand it leaves to the provider."""

import json

import pytest
from harness.expect import chat, content
from harness.fixtures import provider
from harness.wire import post

GOOD = post(chat("hello"))


@pytest.fixture(scope="module")
def gateway(shared_stage):
    sim = shared_stage.simulator()
    return shared_stage.gateway({"providers": {"sim": provider(sim.base_url, ["sk-body-1"])}})


def refused(gateway, body, code, target="/v1/chat/completions", pieces=None):
    """The 400 with this code, and its error; afterwards the connection works."""
    if isinstance(body, dict):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()
    with gateway.connect() as connection:
        data = post(body, target)
        if pieces:
            connection.send_slowly(data, pieces)
            answer = connection.answer()
        else:
            answer = connection.ask(data)
        assert (answer.status, answer.error["code"]) == (400, code)
        assert answer.error["type"] == "invalid_request_error"
        assert "connection" not in answer.names
        assert "retry-after" not in answer.names
        assert connection.ask(GOOD).content == content("hello")
    return answer.error


# -- no JSON ---------------------------------------------------------------------------------------

NOT_JSON = {
    "a cut word": '{"model": nul}',
    "an open object": "{",
    "an open string": '{"model": "gpt',
    "an open array": '{"model": "m", "messages": [',
    "a comma too many": '{"model": "m",}',
    "a comma too few": '{"model": "m" "stream": true}',
    "no value": '{"model":}',
    "no colon": '{"model" "m"}',
    "single quotes": "{'model': 'm'}",
    "no quotes": '{model: "m"}',
    "a comment": '{"model": "m" /* mine */}',
    "NaN": '{"model": "m", "top_p": NaN}',
    "Infinity": '{"model": "m", "top_p": -Infinity}',
    "a leading zero": '{"model": "m", "n": 01}',
    "a plus": '{"model": "m", "n": +1}',
    "a bare point": '{"model": "m", "top_p": .5}',
    "a hexadecimal number": '{"model": "m", "n": 0x1}',
    "True": '{"model": "m", "stream": True}',
    "a line break in a string": '{"model": "m\n"}',
    "a tab in a string": '{"model": "m\t"}',
    "NUL": '{"model": "m"\0}',
    "an unknown escape": '{"model": "\\x41"}',
    "half an escape": '{"model": "\\u00"}',
    "a byte order mark": "\ufeff{}",
}

NOT_AN_OBJECT = {"an array": "[]", "a string": '"gpt"', "a number": "17", "null": "null", "true": "true"}

NOT_UTF8 = {
    "a lone byte": b'{"model": "\xff"}',
    "a lone continuation": b'{"model": "\x80"}',
    "a cut sequence": b'{"model": "\xe2\x82"}',
    "an overlong slash": b'{"model": "\xc0\xaf"}',
    "an overlong of three": b'{"model": "\xe0\x80\xaf"}',
    "a surrogate": b'{"model": "\xed\xa0\x80"}',
    "beyond U+10FFFF": b'{"model": "\xf4\x90\x80\x80"}',
    "in a name": b'{"mod\xffel": "m"}',
    "Latin-1 in a message": '{"model": "m", "messages": [{"role": "user", "content": "é"}]}'.encode("latin-1"),
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
@pytest.mark.parametrize("pieces", [None, 1], ids=["whole", "byte by byte"])
def test_not_json(gateway, body, pieces):
    error = refused(gateway, body, "invalid_json", pieces=pieces)
    assert "not valid JSON" in error["message"] and "byte" in error["message"], "says where"


@pytest.mark.parametrize("body", NOT_AN_OBJECT.values(), ids=NOT_AN_OBJECT.keys())
def test_not_an_object(gateway, body):
    assert "must be a JSON object" in refused(gateway, body, "invalid_json")["message"]


@pytest.mark.parametrize("body", NOT_UTF8.values(), ids=NOT_UTF8.keys())
def test_not_utf8(gateway, body):
    assert "UTF-8" in refused(gateway, body, "invalid_json")["message"]


def test_empty(gateway):
    assert "empty" in refused(gateway, b"", "invalid_json")["message"]
    with gateway.connect() as connection:
        answer = connection.ask(post(b"", headers={"Content-Length": "0"}))
        assert answer.status == 400 and "empty" in answer.error["message"]
        assert connection.ask(GOOD).content == content("hello")


def test_blanks_alone(gateway):
    assert "empty" in refused(gateway, b" \r\n\t ", "invalid_json")["message"]


def test_something_behind_the_object(gateway):
    assert "follows" in refused(gateway, '{"model": "m"} {}', "invalid_json")["message"]


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_nesting(gateway, opening):
    assert "deep" in refused(gateway, '{"x":' + opening * 100_000, "invalid_json")["message"]


def test_nesting_that_is_allowed(gateway):
    deep = "[" * 200 + "]" * 200
    assert gateway.ask(post(f'{{"metadata": {deep}, {json.dumps(chat("hello"))[1:]}'.encode())).content == content(
        "hello"
    )


# -- fields ----------------------------------------------------------------------------------------

WRONG_TYPES = [
    ("chat/completions", "model", 5, "a string"),
    ("chat/completions", "model", ["m"], "a string"),
    ("chat/completions", "model", {"name": "m"}, "a string"),
    ("chat/completions", "model", True, "a string"),
    ("chat/completions", "stream", "true", "a boolean"),
    ("chat/completions", "stream", 1, "a boolean"),
    ("chat/completions", "stream", {}, "a boolean"),
    ("chat/completions", "stream_options", True, "an object"),
    ("chat/completions", "stream_options", [], "an object"),
    ("chat/completions", "stream_options", {"include_usage": "yes"}, "a boolean"),
    ("chat/completions", "stream_options", {"include_usage": 1}, "a boolean"),
    ("chat/completions", "messages", "hello", "an array"),
    ("chat/completions", "messages", {"role": "user"}, "an array"),
    ("chat/completions", "n", "2", "an integer"),
    ("chat/completions", "max_tokens", "100", "an integer"),
    ("chat/completions", "max_completion_tokens", [100], "an integer"),
    ("completions", "prompt", 5, "a string"),
    ("completions", "prompt", {}, "a string"),
    ("completions", "stream", "no", "a boolean"),
    ("embeddings", "input", 5, "a string"),
    ("embeddings", "input", None, "a string"),
    ("embeddings", "model", 5, "a string"),
]


@pytest.mark.parametrize(("path", "field", "value", "wanted"), WRONG_TYPES, ids=lambda value: json.dumps(value))
def test_wrong_type(gateway, path, field, value, wanted):
    error = refused(gateway, {**chat("hello"), field: value}, "invalid_type", f"/v1/{path}")
    name = "stream_options.include_usage" if isinstance(value, dict) and "include_usage" in value else field
    assert error["param"] == name
    assert f"'{name}'" in error["message"] and wanted in error["message"]


TWICE = {
    "model": '{"model": "m", "model": "n", "messages": []}',
    "stream": '{"model": "m", "stream": true, "messages": [], "stream": false}',
    "stream_options": '{"model": "m", "stream": true, "stream_options": {}, "stream_options": {"include_usage": true}}',
    "stream_options.include_usage": '{"model": "m", "stream_options": {"include_usage": true, "include_usage": false}}',
}


@pytest.mark.parametrize(("field", "body"), TWICE.items(), ids=TWICE.keys())
@pytest.mark.parametrize("pieces", [None, 1], ids=["whole", "byte by byte"])
def test_given_twice(gateway, field, body, pieces):
    """Which of the two the provider would take is not ours to guess."""
    error = refused(gateway, body, "duplicate_parameter", pieces=pieces)
    assert error["param"] == field and f"'{field}'" in error["message"]


ESCAPED = {
    "model": r'{"mod\u0065l": "m", "messages": []}',
    "stream": r'{"model": "m", "\u0073tream": true}',
    "stream_options": r'{"model": "m", "stream\u005foptions": {}}',
    "stream_options.include_usage": r'{"model": "m", "stream_options": {"include\u005Fusage": true}}',
}


@pytest.mark.parametrize(("field", "body"), ESCAPED.items(), ids=ESCAPED.keys())
def test_escaped_name(gateway, field, body):
    error = refused(gateway, body, "invalid_parameter")
    assert error["param"] == field and f"'{field}'" in error["message"]


def test_twice_by_an_escape(gateway):
    refused(gateway, r'{"model": "m", "mod\u0065l": "n"}', "invalid_parameter")


def test_same_names_elsewhere_are_no_matter(gateway):
    """Only the top level speaks to the gateway."""
    inner = r'{"model": 1, "model": 2, "stream": "x", "stream_options": 5, "mod\u0065l": 2}'
    tools = '[{"type": "function", "function": {"name": "f", "parameters": %s}}]' % inner
    rest = json.dumps(chat("hello"))[1:]
    body = '{"metadata": %s, "tools": %s, "tool_choice": "none", %s' % (inner, tools, rest)
    assert gateway.ask(post(body.encode())).content == content("hello")


@pytest.mark.parametrize(
    "body",
    [{"messages": []}, {"model": None, "messages": []}, {"model": "", "messages": []}],
    ids=["absent", "null", "empty"],
)
def test_no_model(gateway, body):
    error = refused(gateway, body, "missing_required_parameter")
    assert error["param"] == "model" and "model" in error["message"]


def test_null_is_as_absent(gateway):
    body = {**chat("hello"), "stream": None, "stream_options": None, "n": None, "max_tokens": None}
    assert gateway.post(body).content == content("hello")


@pytest.mark.parametrize(
    "name", ["nobody", "x" * 300, 'a"b', "\u0001", "../../etc", "ü" * 10], ids=lambda name: ascii(name)[:12]
)
def test_a_model_that_nobody_serves(stage, sim, name):
    """404 names it; the name stands in the message as valid JSON, whatever it holds."""
    gateway = stage.gateway(
        {"providers": {"sim": provider(sim.base_url, ["sk-body-1"])}, "models": {"known": "sim/gpt-4.1"}}
    )
    with gateway.connect() as connection:
        answer = connection.ask(post(chat("hello", model=name)))
        assert (answer.status, answer.error["code"], answer.error["param"]) == (404, "model_not_found", "model")
        assert name[:200] in answer.error["message"]
        assert connection.ask(post(chat("hello", model="known"))).content == content("hello")


def test_the_first_mistake_answers(gateway):
    """A request is refused as soon as it is known to be wrong; what is left of its body is read and dropped."""
    with gateway.connect() as connection:
        body = b'{"model": 5, "messages": ["' + b"x" * 500_000 + b'"]}'
        connection.send(post(body)[:2000])
        answer = connection.answer()
        assert (answer.status, answer.error["param"]) == (400, "model")
        connection.send(post(body)[2000:])
        assert connection.ask(GOOD).content == content("hello")


# -- bytes that must arrive ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["naïve 雪 🦜", "tab\tand\nline", 'quote " and \\', "\u2028", "\u007f", "<script>", "", "   ", "x" * 60_000],
    ids=lambda text: ascii(text)[:16],
)
def test_any_text(gateway, text):
    for body in (json.dumps(chat(text)), json.dumps(chat(text), ensure_ascii=False)):
        assert gateway.ask(post(body.encode())).content == content(text)


def test_large_body(gateway):
    text = "x" * 20_000_000
    answer = gateway.post(chat(text))
    assert answer.status == 200
    assert answer.content.startswith("echo: xxx")
