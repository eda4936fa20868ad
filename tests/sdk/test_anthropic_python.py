"""Anthropic's own Python client against the gateway: what the matrix does not look at."""

from contextlib import ExitStack, closing

import anthropic
import pytest
from harness.fixtures import provider
from matrix import providers, told

TEXT = told.TEXT
MESSAGES = [{"role": "user", "content": TEXT}]
WEATHER = {
    "name": "look_up",
    "description": "Looks something up.",
    "input_schema": told.parameters(),
}


@pytest.fixture(scope="module")
def gateway(shared_stage):
    clients = providers.clients("web", "narrow", "limited")
    models = {"claude-of-ours": "anthropic/claude-opus-4-6", "gpt-of-ours": "openai/gpt-5.2"}
    sim = providers.simulator(shared_stage)
    return providers.gateway(shared_stage, sim, clients=clients, names={"direct": True}, models=models)


@pytest.fixture(scope="module")
def connect(gateway):
    root = gateway.base_url.removesuffix("/v1")
    with ExitStack() as made:

        def make(key="sk-client-web", retries=0):
            client = anthropic.Anthropic(base_url=root, api_key=key, max_retries=retries, timeout=20)
            return made.enter_context(closing(client))

        yield make


@pytest.fixture(params=["anthropic/claude-opus-4-6", "openai/gpt-5.2", "gemini/gemini-3-flash", "deepseek/deepseek-flash"])
def model(request):
    """A native one, and one of each foreign dialect."""
    return request.param


def test_system_prompts_anywhere(connect, model):
    """Blocks with a cache mark, and a turn of the assistant's between."""
    system = [
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "Be kind."},
    ]
    messages = [*MESSAGES, {"role": "assistant", "content": "It is wide."}, {"role": "user", "content": "And deep?"}]
    answer = connect().messages.create(model=model, max_tokens=1000, system=system, messages=messages)
    assert answer.content[-1].text == told.content("And deep?")
    assert answer.type == "message" and answer.role == "assistant" and answer.model == model.split("/")[1]


def test_the_stream_has_the_order_of_events(connect, model):
    stream = connect().messages.create(model=model, max_tokens=1000, messages=MESSAGES, stream=True)
    types = [event.type for event in stream if event.type != "ping"]
    inner = ["content_block_start", "content_block_delta", "content_block_stop"]
    assert sorted(set(types[1:-2]), key=inner.index) == inner
    assert (types[0], types[-2:]) == ("message_start", ["message_delta", "message_stop"])


def test_the_accumulator_snapshots(connect, model):
    with connect().messages.stream(model=model, max_tokens=1000, messages=MESSAGES) as stream:
        texts = [event.snapshot for event in stream if event.type == "text"]
    assert texts[-1] == told.content(TEXT)
    assert all(later.startswith(earlier) for earlier, later in zip(texts, texts[1:], strict=False))


def test_a_forced_tool(connect):
    """DeepSeek's thinking and Anthropic's own rules forbid it elsewhere."""
    for model in ("anthropic/claude-opus-4-6", "openai/gpt-5.2", "gemini/gemini-3-flash"):
        choice = {"type": "tool", "name": "look_up", "disable_parallel_tool_use": True}
        answer = connect().messages.create(
            model=model, max_tokens=1000, messages=MESSAGES, tools=[WEATHER], tool_choice=choice
        )
        assert [(block.name, block.input) for block in answer.content] == [("look_up", told.arguments_of(TEXT))]
        assert answer.stop_reason == "tool_use"


def test_the_tool_runner(connect, model):
    """The client's own loop. It asks for a thread that the provider keeps, and goes on without where it is told that there
    are none; the simulator keeps none for Anthropic either."""
    calls = []
    more = {"thread": False} if model.startswith("anthropic/") else {}

    @anthropic.beta_tool
    def look_up(text: str, hash: str) -> str:
        """Looks something up.

        Args:
            text: what
            hash: of it
        """
        calls.append((text, hash))
        return "It is blue."

    runner = connect().beta.messages.tool_runner(model=model, max_tokens=1000, messages=MESSAGES, tools=[look_up], **more)
    final = runner.until_done()
    assert calls == [(TEXT, told.hash_of(TEXT))]
    assert "".join(block.text for block in final.content if block.type == "text") == told.content(TEXT)


def test_thinking_in_a_loop_of_tools(connect, model):
    """Thoughts go back with their signatures, in the shape in which they came."""
    thinking = {"type": "enabled", "budget_tokens": 2048}
    request = {"model": model, "max_tokens": 4000, "tools": [WEATHER], "thinking": thinking}
    first = connect().messages.create(messages=MESSAGES, **request)
    use = first.content[-1]
    assert use.type == "tool_use"
    result = {"type": "tool_result", "tool_use_id": use.id, "content": [{"type": "text", "text": "It is blue."}]}
    messages = [*MESSAGES, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = connect().messages.create(messages=messages, **request)
    assert second.content[-1].text == told.content(TEXT)


def test_a_failed_tool(connect, model):
    first = connect().messages.create(model=model, max_tokens=1000, messages=MESSAGES, tools=[WEATHER])
    use = first.content[-1]
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "no such thing", "is_error": True}
    messages = [*MESSAGES, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = connect().messages.create(model=model, max_tokens=1000, messages=messages, tools=[WEATHER])
    assert second.content[-1].text == told.content(TEXT)


def test_count_tokens(connect):
    for model in ("anthropic/claude-opus-4-6", "gemini/gemini-3-flash"):
        count = connect().messages.count_tokens(model=model, messages=MESSAGES).input_tokens
        assert count == 3 + 4 + -(-len(TEXT) // 4)
    estimate = connect().messages.count_tokens(model="openai/gpt-5.2", messages=MESSAGES).input_tokens
    assert 15 < estimate < 60, "OpenAI has nothing like it, so that it is estimated"


def test_models(connect):
    listed = list(connect().models.list())
    assert sorted(model.id for model in listed) == ["claude-of-ours", "gpt-of-ours"]
    assert connect().models.retrieve("claude-of-ours").type == "model"
    with pytest.raises(anthropic.NotFoundError):
        connect().models.retrieve("nobody")


def test_errors_of_the_gateway(connect):
    ask = {"model": "claude-of-ours", "max_tokens": 100, "messages": MESSAGES}
    with pytest.raises(anthropic.AuthenticationError) as caught:
        connect("sk-nobody").messages.create(**ask)
    assert caught.value.body["error"]["type"] == "authentication_error"
    assert caught.value.request_id
    with pytest.raises(anthropic.PermissionDeniedError):
        connect("sk-client-narrow").messages.create(**ask)
    limited = connect("sk-client-limited")
    limited.messages.create(**ask)
    with pytest.raises(anthropic.RateLimitError) as caught:
        limited.messages.create(**ask)
    assert 55 <= int(caught.value.response.headers["retry-after"]) <= 60
    with pytest.raises(anthropic.NotFoundError):
        connect().messages.create(**{**ask, "model": "absent"})
    with pytest.raises(anthropic.BadRequestError) as caught:
        connect().messages.create(**{**ask, "messages": [{"role": "nobody", "content": "x"}]})
    assert "role" in caught.value.message


def test_what_a_provider_cannot_do_is_refused(connect):
    """OpenAI has no server tools of Anthropic's; the refusal names what it is about."""
    tool = {"type": "web_search_20250305", "name": "web_search"}
    with pytest.raises(anthropic.BadRequestError) as caught:
        connect().messages.create(model="openai/gpt-5.2", max_tokens=100, messages=MESSAGES, tools=[tool])
    assert "web_search" in caught.value.message


def test_what_changes_nothing_is_dropped_and_told(connect):
    raw = connect().messages.with_raw_response.create(
        model="gemini/gemini-3-flash", max_tokens=1000, messages=MESSAGES, metadata={"user_id": "u-1"}
    )
    assert "metadata" in raw.headers["x-bellwether-dropped-params"]
    assert raw.parse().content[0].text == told.content(TEXT)


def test_the_client_tries_again_after_a_cut(stage, sim):
    """A connection that breaks before the answer is the gateway's to try again: the client sees none of it."""
    sim.scenario({"keys": {"sk-ant-flaky": {"faults": [{"fault": "reset", "first": 2}]}}})
    root = sim.base_url.removesuffix("/v1")
    config = {
        "providers": {"anthropic": provider(root, ["sk-ant-flaky"], kind="anthropic")},
        "retry": {"base_delay": "1ms"},
    }
    gateway = stage.gateway(config).settle()
    with anthropic.Anthropic(base_url=gateway.base_url.removesuffix("/v1"), api_key="any", max_retries=0) as client:
        answer = client.messages.create(model="anthropic/claude-opus-4-6", max_tokens=1000, messages=MESSAGES)
    assert answer.content[0].text == told.content(TEXT)
    assert sim.stats("sk-ant-flaky")["failed"] == 2
