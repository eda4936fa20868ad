"""The providers of the matrix: what the gateway is told of each, and how the simulator plays it."""

from dataclasses import dataclass

from .told import CACHED


@dataclass(frozen=True)
class Provider:
    name: str
    title: str
    kind: str
    path: str  # behind the simulator's address
    key: str
    model: str
    error: str  # whose words its errors are in: openai, anthropic or gemini
    settings: tuple = ()
    refuses: tuple = ()  # fields that it does not know
    is_always_thinking: bool = False
    codes: tuple = ()  # (trouble, code): of its own, that OpenAI's clients see
    absent_as: str = "absent"  # the trouble as which it tells that a model does not exist


# What Mistral says 422 to; its other quirks are the golden transcripts' matter.
MISTRAL_REFUSES = (
    "max_completion_tokens",
    "seed",
    "stream_options",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "user",
    "store",
    "service_tier",
)

AZURE_CODES = (("absent", "DeploymentNotFound"), ("busy", "ServiceUnavailable"))

ALL = (
    Provider("openai", "OpenAI", "openai", "/v1", "sk-openai", "gpt-5.2", "openai"),
    Provider("azure", "Azure, v1", "azure", "/openai/v1", "azure-key", "gpt-5.2", "openai", codes=AZURE_CODES),
    Provider(
        "azure-classic",
        "Azure, deployments",
        "azure",
        "",
        "azure-classic-key",
        "gpt-5.2",
        "openai",
        settings=(("api_version", "2024-10-21"),),
        codes=AZURE_CODES,
    ),
    Provider("anthropic", "Anthropic", "anthropic", "", "sk-ant-matrix", "claude-opus-4-6", "anthropic"),
    Provider("gemini", "Gemini", "gemini", "", "AIza-matrix", "gemini-3-flash", "gemini"),
    Provider(
        "deepseek",
        "DeepSeek",
        "deepseek",
        "/deepseek",
        "sk-deepseek",
        "deepseek-flash",
        "openai",
        is_always_thinking=True,
        codes=tuple((trouble, "invalid_request_error") for trouble in ("long", "absent", "busy", "limited")),
        absent_as="long",
    ),
    Provider("openrouter", "OpenRouter", "openrouter", "/v1", "sk-or-matrix", "qwen/qwen3-max", "openai"),
    Provider(
        "mistral",
        "Mistral",
        "mistral",
        "/v1",
        "mistral-key",
        "mistral-large-latest",
        "openai",
        refuses=MISTRAL_REFUSES,
    ),
    Provider("compatible", "any compatible one", "compatible", "/v1", "compatible-key", "llama-4", "openai"),
)

# One cell's failures must not close the way for the next: no breaker opens, no key cools down but by a 429.
UNMOVED = {"breaker": {"failures": 100000}, "health": {"max_failures": 100000}}

# What goes wrong, each at a provider of its own, so that no cell sees another's breaker or cooling key.
TROUBLES = {
    "absent": ["model_not_found"],
    "busy": ["overloaded"],
    "limited": [{"fault": "rate_limit", "retry_after": "60s"}],
    "long": ["context_length"],
    "cut": [{"fault": "cut", "after": 6}],
}


def scenario():
    """The simulator's part."""
    keys = {}
    for provider in ALL:
        facts = {"cached_tokens": CACHED, "tool_calls": 2}
        if provider.refuses:
            facts |= {"refuse_fields": list(provider.refuses), "refuse_status": 422, "tells_usage": True}
        keys[provider.key] = facts
        for name, faults in TROUBLES.items():
            keys[f"{provider.key}-{name}"] = {**facts, "faults": faults}
    return {"keys": keys}


def config(root):
    """The gateway's; `root`: http://host:port of the simulator."""
    providers = {}
    for provider in ALL:
        for trouble in ("", *TROUBLES):
            ending = f"-{trouble}" if trouble else ""
            providers[provider.name + ending] = {
                "kind": provider.kind,
                "base_url": root + provider.path,
                "keys": [provider.key + ending],
                **UNMOVED,
                **dict(provider.settings),
            }
    return {"providers": providers, "retry": {"base_delay": "1ms", "budget": "100%"}}


def simulator(stage):
    """One that plays them all."""
    return stage.simulator(scenario())


def gateway(stage, sim, **settings):
    """One that has them all, and these settings besides."""
    return stage.gateway(config(sim.base_url.removesuffix("/v1")) | settings).settle()


# Who may ask the gateway: for anything, for few models, seldom, and often but one at a time.
CLIENTS = {
    "web": {},
    "narrow": {"models": ["small-*"]},
    "limited": {"limits": {"rpm": 1}},
    "bursting": {"limits": {"rpm": 100, "burst": 1}},
}


def clients(*names, prefix="sk-client-"):
    """The gateway's `clients`; each one's secret is its name behind the prefix."""
    return {"keys": [{"name": name, "secret": prefix + name, **CLIENTS[name]} for name in names]}
