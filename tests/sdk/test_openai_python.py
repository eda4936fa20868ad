"""OpenAI's own Python client against the gateway: an application changes its base URL and notices nothing else."""

import asyncio
import json
import time
from contextlib import ExitStack, closing

import openai
import pytest
from harness.expect import chat, content, embedding
from harness.fixtures import provider
from harness.upstream import Upstream

MESSAGES = chat("Tell me of the sea")["messages"]
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("look_up", "write_down")
]


@pytest.fixture
def client(pool):
    """The client of a gateway over two keys; `.gateway` is that gateway."""
    with ExitStack() as clients:

        def make(retries=0, api_key="any", **settings):
            gateway = pool(**settings)
            made = openai.OpenAI(base_url=gateway.base_url, api_key=api_key, max_retries=retries, timeout=20)
            made.gateway = gateway
            return clients.enter_context(closing(made))

        yield make


# -- answers ---------------------------------------------------------------------------------------


def test_chat(client):
    answer = client().chat.completions.create(model="gpt-4.1", messages=MESSAGES)
    assert answer.choices[0].message.content == content("Tell me of the sea")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "gpt-4.1"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


def test_chat_stream(client):
    chunks = list(client().chat.completions.create(model="gpt-4.1", messages=MESSAGES, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == content("Tell me of the sea")
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks), "usage that nobody asked for"


def test_chat_stream_with_usage(client):
    options = {"include_usage": True}
    chunks = list(
        client().chat.completions.create(model="gpt-4.1", messages=MESSAGES, stream=True, stream_options=options)
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == len(content("Tell me of the sea").split(" "))


def test_chat_with_several_choices(client):
    answer = client().chat.completions.create(model="gpt-4.1", messages=MESSAGES, n=3)
    text = content("Tell me of the sea")
    assert [choice.message.content for choice in answer.choices] == [text, text + " choice-1", text + " choice-2"]


def test_length_ends_a_chat(client):
    answer = client().chat.completions.create(model="gpt-4.1", messages=MESSAGES, max_completion_tokens=2)
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content == content("Tell me of the sea", 2)


def test_tools(client):
    answer = client().chat.completions.create(model="gpt-4.1", messages=MESSAGES, tools=TOOLS)
    call = answer.choices[0].message.tool_calls[0]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "look_up"
    assert json.loads(call.function.arguments)["text"] == "Tell me of the sea"


def test_tools_streamed(client):
    """Arguments come in pieces, which the client puts together. Two calls are told apart by their index."""
    made = client(scenario={"defaults": {"tool_calls": 2}})
    with made.chat.completions.stream(model="gpt-4.1", messages=MESSAGES, tools=TOOLS) as stream:
        pieces = [event for event in stream if event.type == "tool_calls.function.arguments.delta"]
        calls = stream.get_final_completion().choices[0].message.tool_calls
    assert len(pieces) > 2
    assert [call.function.name for call in calls] == ["look_up", "write_down"]
    assert [json.loads(call.function.arguments)["text"] for call in calls] == ["Tell me of the sea"] * 2


def test_tool_results_come_back(client):
    made = client()
    first = made.chat.completions.create(model="gpt-4.1", messages=MESSAGES, tools=TOOLS).choices[0].message
    result = {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "It is blue."}
    answer = made.chat.completions.create(model="gpt-4.1", messages=[*MESSAGES, first, result], tools=TOOLS)
    assert answer.choices[0].message.content == content("Tell me of the sea")


@pytest.mark.parametrize("encoding", [openai.NOT_GIVEN, "float", "base64"], ids=["default", "float", "base64"])
def test_embeddings(client, encoding):
    """The client asks for base64 by default and decodes it."""
    answer = client().embeddings.create(model="text-embedding-3-small", input=["one", "two"], encoding_format=encoding)
    vectors = [item.embedding for item in answer.data]
    if encoding == "base64":
        assert all(isinstance(vector, str) for vector in vectors)
    else:
        assert vectors == [pytest.approx(embedding("one")), pytest.approx(embedding("two"))]
    assert answer.usage.prompt_tokens > 0


def test_embeddings_of_token_numbers_and_few_dimensions(client):
    answer = client().embeddings.create(model="text-embedding-3-small", input=[1, 2, 3], dimensions=8)
    assert answer.data[0].embedding == pytest.approx(embedding("1,2,3", 8))


def test_completions(client):
    made = client()
    answer = made.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once upon", max_tokens=50)
    assert answer.choices[0].text == content("Once upon")
    chunks = made.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once upon", max_tokens=50, stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == content("Once upon")


def test_models(client):
    made = client(config={"models": {"fast": "sim/gpt-4.1-mini", "team/deep-1": "sim/o4-mini"}})
    assert sorted(model.id for model in made.models.list()) == ["fast", "team/deep-1"]
    assert made.models.retrieve("fast").id == "fast"
    with pytest.raises(openai.NotFoundError) as caught:
        made.models.retrieve("nobody")
    assert caught.value.code == "model_not_found"
    answer = made.chat.completions.create(model="fast", messages=MESSAGES)
    assert answer.choices[0].message.content == content("Tell me of the sea")


def test_a_model_whose_name_holds_a_slash(client):
    """Clients escape the name as one segment of the path."""
    made = client(config={"models": {"team/deep-1": "sim/o4-mini"}})
    assert made.models.retrieve("team/deep-1").id == "team/deep-1"


def test_headers_that_an_application_reads(client):
    raw = client().chat.completions.with_raw_response.create(model="gpt-4.1", messages=MESSAGES)
    assert raw.headers["x-request-id"] == raw.parse()._request_id
    assert raw.headers["openai-processing-ms"].isdigit()
    assert raw.headers["x-bellwether-provider"] == "sim"
    assert raw.headers["x-bellwether-attempts"] == "1"


# -- errors ----------------------------------------------------------------------------------------


def test_bad_request(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client().chat.completions.create(model="gpt-4.1", messages="no list")
    assert (caught.value.param, caught.value.code) == ("messages", "invalid_type")
    assert "messages" in caught.value.message


def test_bad_request_of_the_provider(client, sim):
    """What the gateway does not judge the provider does, and its words arrive; nothing is tried again."""
    with pytest.raises(openai.BadRequestError) as caught:
        client().chat.completions.create(model="gpt-4.1", messages=MESSAGES, n=1000)
    assert caught.value.param == "n"
    assert sim.stats()["total"]["generations"]["rejected"] == 1


def test_authentication_error(client):
    made = client(api_key="sk-nobody", config={"clients": {"keys": [{"name": "web", "secret": "sk-client-web"}]}})
    with pytest.raises(openai.AuthenticationError) as caught:
        made.chat.completions.create(model="gpt-4.1", messages=MESSAGES)
    assert caught.value.code == "invalid_api_key"


def test_permission_denied(client):
    clients = {"keys": [{"name": "web", "secret": "sk-client-web", "models": ["small-*"]}]}
    made = client(api_key="sk-client-web", config={"clients": clients, "models": {"big": "sim/gpt-4.1"}})
    with pytest.raises(openai.PermissionDeniedError) as caught:
        made.chat.completions.create(model="big", messages=MESSAGES)
    assert (caught.value.code, caught.value.param) == ("model_not_allowed", "model")


def test_model_not_found(client):
    made = client(config={"models": {"fast": "sim/gpt-4.1"}})
    with pytest.raises(openai.NotFoundError) as caught:
        made.chat.completions.create(model="absent", messages=MESSAGES)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_rate_limit_error(client):
    clients = {"keys": [{"name": "web", "secret": "sk-client-web", "limits": {"rpm": 1}}]}
    made = client(api_key="sk-client-web", config={"clients": clients})
    made.chat.completions.create(model="gpt-4.1", messages=MESSAGES)
    with pytest.raises(openai.RateLimitError) as caught:
        made.chat.completions.create(model="gpt-4.1", messages=MESSAGES)
    assert caught.value.code == "rate_limit_exceeded"
    assert 55 <= int(caught.value.response.headers["retry-after"]) <= 60


def test_server_error_of_the_provider(client):
    made = client(scenario={"defaults": {"faults": ["server_error"]}}, config={"retry": {"base_delay": "1ms"}})
    with pytest.raises(openai.InternalServerError) as caught:
        made.chat.completions.create(model="gpt-4.1", messages=MESSAGES)
    assert caught.value.status_code == 500
    assert caught.value.type == "server_error"


def test_a_failed_exchange_is_not_begun_anew(client, sim):
    """After three tries of the gateway the client's own two would make nine: x-should-retry says no."""
    made = client(retries=2, scenario={"defaults": {"faults": [503]}}, config={"retry": {"base_delay": "1ms"}})
    with pytest.raises(openai.InternalServerError) as caught:
        made.chat.completions.create(model="gpt-4.1", messages=MESSAGES)
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert sim.stats()["total"]["generations"]["failed"] == 3


def test_an_error_in_the_middle_of_a_stream(client):
    """The client raises, and does not take half an answer for a whole one."""
    made = client(scenario={"defaults": {"faults": [{"fault": "cut", "after": 3}]}})
    stream = made.chat.completions.create(model="gpt-4.1", messages=MESSAGES, stream=True)
    seen = []
    with pytest.raises(openai.APIError) as caught:
        for chunk in stream:
            seen.append(chunk)
    assert len(seen) == 3
    assert caught.value.code == "upstream_failed"


# -- retries and time-outs -------------------------------------------------------------------------


def test_the_client_waits_as_it_is_told(client):
    """A 429's retry-after-ms is the true time: the client's own retry then goes through."""
    clients = {"keys": [{"name": "web", "secret": "sk-client-web", "limits": {"rpm": 100, "burst": 1}}]}
    made = client(retries=1, api_key="sk-client-web", config={"clients": clients})
    started = time.monotonic()
    for _ in range(2):
        made.chat.completions.create(model="gpt-4.1", messages=MESSAGES)
    assert 0.5 < time.monotonic() - started < 2


def test_the_client_times_out(client, sim):
    made = client(scenario={"defaults": {"latency": "30s"}}).with_options(timeout=0.3)
    with pytest.raises(openai.APITimeoutError):
        made.chat.completions.create(model="gpt-4.1", messages=MESSAGES)
    wait_for(lambda: sim.stats()["total"]["cancelled"] == 1)


def test_the_gateway_times_out(client):
    made = client(scenario={"defaults": {"faults": ["timeout"]}}, timeouts={"first_byte": "200ms"})
    with pytest.raises(openai.InternalServerError) as caught:
        made.chat.completions.create(model="gpt-4.1", messages=MESSAGES)
    assert (caught.value.status_code, caught.value.code) == (504, "timeout")


def test_abort_in_mid_stream(client, sim):
    """A client that leaves stops the work at the provider."""
    made = client(scenario={"defaults": {"min_tokens": 1000, "event_gap": "20ms"}})
    stream = made.chat.completions.create(model="gpt-4.1", messages=MESSAGES, stream=True)
    for _ in range(5):
        next(stream)
    stream.close()
    wait_for(lambda: sim.stats()["total"]["cancelled"] == 1)
    line = made.gateway.wait_access(cancelled_by="client")
    assert line["completion_tokens"] >= 4 and line["is_estimated"]


def wait_for(condition, within=5):
    until = time.monotonic() + within
    while not condition():
        assert time.monotonic() < until, "did not come to pass"
        time.sleep(0.02)


# -- async -----------------------------------------------------------------------------------------


def test_async_client(client):
    gateway = client(scenario={"defaults": {"latency": "20ms"}}).gateway

    async def one(made, i):
        text = f"question {i}"
        if i % 2:
            answer = await made.chat.completions.create(model="gpt-4.1", messages=chat(text)["messages"])
            assert answer.choices[0].message.content == content(text)
            return
        stream = await made.chat.completions.create(model="gpt-4.1", messages=chat(text)["messages"], stream=True)
        parts = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert "".join(parts) == content(text)

    async def many():
        async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key="any", max_retries=0, timeout=20) as made:
            await asyncio.gather(*(one(made, i) for i in range(60)))

    asyncio.run(many())


def test_async_abort_in_mid_stream(client, sim):
    gateway = client(scenario={"defaults": {"min_tokens": 1000, "event_gap": "20ms"}}).gateway

    async def abort():
        async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key="any", timeout=20) as made:
            stream = await made.chat.completions.create(model="gpt-4.1", messages=MESSAGES, stream=True)
            async for _ in stream:
                break
            await stream.close()

    asyncio.run(abort())
    wait_for(lambda: sim.stats()["total"]["cancelled"] == 1)


# -- against an upstream that is not ours ----------------------------------------------------------


def test_against_an_independent_upstream(stage):
    upstream: Upstream = stage.upstream()
    gateway = stage.gateway({"providers": {"up": provider(upstream.base_url, ["sk-up-1"])}})
    with openai.OpenAI(base_url=gateway.base_url, api_key="sk-mine-9", max_retries=0) as made:
        answer = made.chat.completions.create(model="m", messages=MESSAGES)
        chunks = list(made.chat.completions.create(model="m", messages=MESSAGES, stream=True))
    assert answer.choices[0].message.content == content("Tell me of the sea")
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == content("Tell me of the sea").replace(" ", "")
    assert [request.key for request in upstream.requests] == ["sk-up-1"] * 2
    assert not any("sk-mine-9" in request.head.decode() for request in upstream.requests)
