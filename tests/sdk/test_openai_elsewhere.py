"""OpenAI's own Python client at providers of other dialects: what the matrix does not look at."""

import openai
import pytest
from harness.expect import content, embedding
from matrix import providers, told

TEXT = told.TEXT
MESSAGES = [{"role": "user", "content": TEXT}]
CLAUDE, GEMINI, DEEPSEEK = "anthropic/claude-opus-4-6", "gemini/gemini-3-flash", "deepseek/deepseek-flash"


@pytest.fixture(scope="module")
def client(shared_stage):
    gateway = providers.gateway(shared_stage, providers.simulator(shared_stage))
    with openai.OpenAI(base_url=gateway.base_url, api_key="any", max_retries=0, timeout=20) as made:
        yield made


def refused(act):
    with pytest.raises(openai.BadRequestError) as caught:
        act()
    return caught.value


@pytest.mark.parametrize("model", [CLAUDE, GEMINI, DEEPSEEK])
def test_what_the_provider_would_have_to_store(client, model):
    error = refused(lambda: client.responses.create(model=model, input=TEXT, previous_response_id="resp_1"))
    assert error.param == "previous_response_id"
    assert error.code == "unsupported_parameter"


def test_a_parameter_without_counterpart_is_refused_by_its_name(client):
    for name, value in (("n", 2), ("logprobs", True), ("logit_bias", {"1": 1})):
        error = refused(lambda more={name: value}: client.chat.completions.create(model=CLAUDE, messages=MESSAGES, **more))
        assert (error.param, error.code) == (name, "unsupported_parameter")


def test_a_parameter_that_changes_nothing_is_dropped_and_told(client):
    raw = client.chat.completions.with_raw_response.create(model=CLAUDE, messages=MESSAGES, seed=1, metadata={"a": "b"})
    dropped = raw.headers["x-bellwether-dropped-params"]
    assert "seed" in dropped and "metadata" in dropped
    assert raw.parse().choices[0].message.content == content(TEXT)


def test_several_choices_where_both_sides_have_them(client):
    answer = client.chat.completions.create(model=GEMINI, messages=MESSAGES, n=2)
    assert [choice.message.content for choice in answer.choices] == [content(TEXT), content(TEXT) + " choice-1"]
    chunks = list(client.chat.completions.create(model=GEMINI, messages=MESSAGES, n=2, stream=True))
    for index in range(2):
        texts = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices if choice.index == index]
        assert "".join(texts) == answer.choices[index].message.content


@pytest.mark.parametrize("model", [CLAUDE, GEMINI])
def test_legacy_completions(client, model):
    answer = client.completions.create(model=model, prompt="Once upon", max_tokens=50)
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == (content("Once upon"), "stop")
    chunks = client.completions.create(model=model, prompt="Once upon", max_tokens=50, stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == content("Once upon")


@pytest.mark.parametrize("encoding", [openai.NOT_GIVEN, "float"], ids=["base64", "float"])
def test_embeddings(client, encoding):
    answer = client.embeddings.create(
        model="gemini/gemini-embedding-001", input=["one", "two"], dimensions=8, encoding_format=encoding
    )
    assert [item.embedding for item in answer.data] == [pytest.approx(embedding(text, 8)) for text in ("one", "two")]
    with pytest.raises(openai.APIStatusError) as caught:
        client.embeddings.create(model=CLAUDE, input="one")
    assert caught.value.status_code in (400, 404), "Anthropic has no embeddings"


@pytest.mark.parametrize("model", [CLAUDE, GEMINI])
def test_a_custom_tool(client, model):
    """Free text for a tool that elsewhere can only take JSON."""
    tool = {"type": "custom", "custom": {"name": "look_up", "description": "Takes a text."}}
    answer = client.chat.completions.create(model=model, messages=MESSAGES, tools=[tool])
    call = answer.choices[0].message.tool_calls[0]
    assert (call.type, call.custom.name) == ("custom", "look_up")
    assert call.custom.input


@pytest.mark.parametrize("model", [CLAUDE, GEMINI, DEEPSEEK])
def test_a_conversation_of_several_turns(client, model):
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "It is one."},
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Two"},
    ]
    answer = client.chat.completions.create(model=model, messages=messages)
    assert answer.choices[0].message.content == content("Two")


def test_an_image_that_cannot_be_fetched(client):
    """Gemini wants the bytes themselves, and a private address is never asked for them."""
    part = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/a.png"}}
    error = refused(lambda: client.chat.completions.create(model=GEMINI, messages=[{"role": "user", "content": [part]}]))
    assert error.param.startswith("messages[0].content[0]")
