"""Google's own Python client against the gateway: what the matrix does not look at."""

import asyncio
from contextlib import ExitStack, closing

import pytest
from google import genai
from google.genai import errors, types
from harness.expect import embedding
from matrix import providers, told
from pydantic import BaseModel

TEXT = told.TEXT
MODELS = ["gemini/gemini-3-flash", "openai/gpt-5.2", "anthropic/claude-opus-4-6", "deepseek/deepseek-flash"]


@pytest.fixture(scope="module")
def gateway(shared_stage):
    clients = providers.clients("web", "narrow", "limited", prefix="AIza-client-")
    models = {"gemini-of-ours": "gemini/gemini-3-flash", "gpt-of-ours": "openai/gpt-5.2"}
    sim = providers.simulator(shared_stage)
    return providers.gateway(shared_stage, sim, clients=clients, names={"direct": True}, models=models)


@pytest.fixture(scope="module")
def connect(gateway):
    options = types.HttpOptions(base_url=gateway.base_url.removesuffix("/v1"), timeout=20000)
    with ExitStack() as made:

        def make(key="AIza-client-web"):
            return made.enter_context(closing(genai.Client(api_key=key, http_options=options)))

        yield make


@pytest.fixture(params=MODELS)
def model(request):
    """A native one, and one of each foreign dialect."""
    return request.param


def test_automatic_function_calling(connect, model):
    """The client calls the function and asks again by itself."""
    calls = []

    def look_up(text: str, hash: str) -> str:
        """Looks something up."""
        calls.append((text, hash))
        return "It is blue."

    config = types.GenerateContentConfig(tools=[look_up])
    answer = connect().models.generate_content(model=model, contents=TEXT, config=config)
    assert calls == [(TEXT, told.hash_of(TEXT))]
    assert answer.text == told.content(TEXT)


def test_a_chat_keeps_its_history(connect, model):
    chat = connect().chats.create(model=model)
    assert chat.send_message("Tell me of the sea").text == told.content("Tell me of the sea")
    streamed = "".join(chunk.text or "" for chunk in chat.send_message_stream("And of the ships?"))
    assert streamed == told.content("And of the ships?")
    assert [content.role for content in chat.get_history(curated=True)][:2] == ["user", "model"]


def test_forced_functions(connect):
    """One of two, by name. DeepSeek, which thinks, is not forced."""
    declarations = [
        types.FunctionDeclaration(name=name, description="A tool.", parameters_json_schema=told.parameters())
        for name in told.RESULTS
    ]
    calling = types.FunctionCallingConfig(mode="ANY", allowed_function_names=["write_down"])
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=declarations)],
        tool_config=types.ToolConfig(function_calling_config=calling),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    for model in MODELS[:3]:
        answer = connect().models.generate_content(model=model, contents=TEXT, config=config)
        assert [call.name for call in answer.function_calls] == ["write_down"]


def test_lists_and_nested_schemas(connect):
    class Port(BaseModel):
        name: str
        depth: float | None = None

    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=list[Port])
    for model in ("gemini/gemini-3-flash",):
        answer = connect().models.generate_content(model=model, contents=TEXT, config=config)
        assert answer.parsed == [Port(name=told.content(TEXT))]


def test_several_candidates(connect):
    config = types.GenerateContentConfig(candidate_count=2)
    for model in MODELS[:2]:
        answer = connect().models.generate_content(model=model, contents=TEXT, config=config)
        texts = [candidate.content.parts[0].text for candidate in answer.candidates]
        assert texts == [told.content(TEXT), told.content(TEXT) + " choice-1"]
    with pytest.raises(errors.ClientError) as caught:
        connect().models.generate_content(model=MODELS[2], contents=TEXT, config=config)
    assert (caught.value.code, "candidateCount" in caught.value.message) == (400, True)


def test_count_tokens(connect):
    for model in MODELS[:1] + MODELS[2:3]:
        count = connect().models.count_tokens(model=model, contents=TEXT).total_tokens
        assert count == 3 + 4 + -(-len(TEXT) // 4)
    estimate = connect().models.count_tokens(model=MODELS[1], contents=TEXT).total_tokens
    assert 15 < estimate < 60, "OpenAI has nothing like it, so that it is estimated"


def test_embeddings(connect):
    config = types.EmbedContentConfig(output_dimensionality=8)
    for model in ("gemini/gemini-embedding-001", "openai/text-embedding-3-small"):
        answer = connect().models.embed_content(model=model, contents=["one", "two"], config=config)
        vectors = [item.values for item in answer.embeddings]
        assert vectors == [pytest.approx(embedding("one", 8)), pytest.approx(embedding("two", 8))]
    with pytest.raises(errors.ClientError) as caught:
        connect().models.embed_content(model="anthropic/claude-opus-4-6", contents="one")
    assert caught.value.code in (400, 404), "Anthropic has no embeddings"


def test_models(connect):
    names = sorted(model.name for model in connect().models.list(config={"query_base": True}))
    assert names == ["models/gemini-of-ours", "models/gpt-of-ours"]
    assert connect().models.get(model="gemini-of-ours").name == "models/gemini-of-ours"
    with pytest.raises(errors.ClientError) as caught:
        connect().models.get(model="nobody")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


def test_errors_of_the_gateway(connect):
    def fails(key, **request):
        with pytest.raises(errors.ClientError) as caught:
            connect(key).models.generate_content(**{"model": "gemini-of-ours", "contents": TEXT, **request})
        return caught.value

    refused = fails("AIza-nobody")
    assert (refused.code, refused.status) == (400, "INVALID_ARGUMENT")
    assert refused.details["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    refused = fails("AIza-client-narrow")
    assert (refused.code, refused.status) == (403, "PERMISSION_DENIED")
    connect("AIza-client-limited").models.generate_content(model="gemini-of-ours", contents=TEXT)
    refused = fails("AIza-client-limited")
    assert (refused.code, refused.status) == (429, "RESOURCE_EXHAUSTED")
    delays = [detail["retryDelay"] for detail in refused.details["error"]["details"] if "retryDelay" in detail]
    assert len(delays) == 1 and 50 < float(delays[0].rstrip("s")) <= 60
    refused = fails("AIza-client-web", model="absent")
    assert (refused.code, refused.status) == (404, "NOT_FOUND")


def test_what_a_provider_cannot_do_is_refused(connect):
    config = types.GenerateContentConfig(response_modalities=["AUDIO"])
    with pytest.raises(errors.ClientError) as caught:
        connect().models.generate_content(model="openai/gpt-5.2", contents=TEXT, config=config)
    assert caught.value.code == 400
    assert "responseModalities" in caught.value.message


def test_the_asynchronous_client(connect, model):
    async def run():
        client = connect().aio
        answer = await client.models.generate_content(model=model, contents=TEXT)
        texts = [chunk.text or "" async for chunk in await client.models.generate_content_stream(model=model, contents=TEXT)]
        await client.aclose()
        return answer.text, texts

    whole, pieces = asyncio.run(run())
    assert whole == "".join(pieces) == told.content(TEXT)
    assert len(pieces) > 10
