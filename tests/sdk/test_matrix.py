"""Every client dialect against every provider, with the dialect's own client: what an application notices is the same
everywhere, or matrix/reasons.toml says why it cannot be. The run is written down in docs/matrix.md: scripts/matrix."""

import pytest
from matrix import providers, table, told
from matrix.chat import Chat
from matrix.generate import Generate
from matrix.messages import Messages
from matrix.responses import Responses

TEXT = told.TEXT
CLIENTS = {client.name: client for client in (Chat, Responses, Messages, Generate)}
PROVIDERS = {provider.name: provider for provider in providers.ALL}
FEATURES = {}
RUN = table.Run(CLIENTS.values(), PROVIDERS.values())


def feature(check):
    FEATURES[check.__name__] = check
    return check


@pytest.fixture(scope="module")
def stage_of_all(shared_stage):
    """The simulator, and a gateway with all providers."""
    sim = providers.simulator(shared_stage)
    return sim, providers.gateway(shared_stage, sim)


@pytest.fixture(scope="module")
def clients(stage_of_all):
    """Each twice: as it comes, and without its own retries, for it would wait as long as a 429 tells it to."""
    root = stage_of_all[1].base_url.removesuffix("/v1")
    made = {name: (kind(root), kind(root, retries=0)) for name, kind in CLIENTS.items()}
    yield made
    for pair in made.values():
        for client in pair:
            client.close()


class Cell:
    """One client at one provider."""

    def __init__(self, clients, provider, sim, reason):
        self.client, self.hasty = clients
        self.provider = provider
        self.sim = sim
        self.how = reason.how if reason else None
        self.model = f"{provider.name}/{provider.model}"

    def troubled(self, trouble):
        """The same model at a provider where this goes wrong, and that provider's key."""
        return f"{self.provider.name}-{trouble}/{self.provider.model}", f"{self.provider.key}-{trouble}"

    def expected(self, trouble):
        """The error's class and status, and the codes that are right. A client of the provider's own dialect sees that one's
        code, unless the gateway has learned what is wrong and says it itself."""
        kind, status, code = getattr(self.client, self.provider.absent_as if trouble == "absent" else trouble)
        own = dict(self.provider.codes).get(trouble) if isinstance(self.client, Chat) else None
        return kind, status, {code, own or code}

    def is_thinking(self, is_asked):
        return is_asked or self.provider.is_always_thinking

    def expect_usage(self, answer, words, is_asked=False):
        thoughts = told.THOUGHTS if self.is_thinking(is_asked) else 0
        assert (answer.completion, answer.thoughts) == (words + thoughts, thoughts)
        assert answer.cached == told.CACHED
        assert answer.prompt > told.CACHED

    def expect_echo(self, answer, is_asked=False):
        words = told.content(TEXT)
        assert (answer.text, answer.finish, answer.calls) == (words, "stop", [])
        self.expect_usage(answer, told.pieces_of(words), is_asked)

    def refusal(self, act):
        with pytest.raises(self.client.error) as caught:
            act()
        return self.client.refusal(caught.value)


def expected_prompt(*texts):
    """By docs/simulator.md: 3, and for each message 4 and a quarter of its bytes."""
    return 3 + sum(4 + -(-len(text) // 4) for text in texts)


ASKED = expected_prompt("Answer in one sentence.", TEXT)


@feature
def plain(cell):
    answer = cell.client.say(cell.model, TEXT)
    cell.expect_echo(answer)
    assert answer.prompt == ASKED
    cut = cell.client.say(cell.model, TEXT, told.LIMIT)
    left = told.LIMIT - (told.THOUGHTS if cell.is_thinking(False) else 0)
    assert (cut.text, cut.finish) == (told.content(TEXT, left), "length")
    cell.expect_usage(cut, left)


@feature
def stream(cell):
    answer = cell.client.say_streamed(cell.model, TEXT)
    cell.expect_echo(answer)
    assert answer.prompt == ASKED
    assert answer.pieces >= told.pieces_of(answer.text), "it comes as it is made"


@feature
def tools(cell):
    for is_streamed in (False, True):
        first, second = cell.client.loop(cell.model, TEXT, is_streamed)
        assert first.finish == "calls"
        assert first.calls == [(name, told.arguments_of(TEXT)) for name in told.RESULTS]
        assert second.text == told.content(TEXT)
        assert (second.finish, second.calls) == ("stop", [])
        assert second.prompt > first.prompt, "the calls and their results went along"
        assert not is_streamed or first.pieces > 1


@feature
def image(cell):
    picture = told.picture()
    answer = cell.client.see(cell.model, TEXT, picture)
    cell.expect_echo(answer)
    assert answer.prompt == expected_prompt(TEXT) + 85 + len(picture) // 16, "the picture was seen, and whole"


@feature
def structured(cell):
    answer = cell.client.fill(cell.model, TEXT)
    assert answer.parsed == told.ship_of(TEXT)
    assert answer.finish == "stop"


@feature
def reasoning(cell):
    for is_streamed in (False, True):
        answer = cell.client.think(cell.model, TEXT, is_streamed)
        cell.expect_echo(answer, is_asked=True)
        if cell.how != "counted":
            assert answer.thought == told.thought_of(TEXT)


@feature
def error(cell):
    for trouble in ("long", "absent", "busy", "limited"):
        model, key = cell.troubled(trouble)
        before = cell.sim.stats(key)["failed"]
        client = cell.hasty if trouble == "limited" else cell.client
        refusal = cell.refusal(lambda: client.say(model, TEXT))
        kind, status, codes = cell.expected(trouble)
        assert (refusal.kind, refusal.status, refusal.code in codes) == (kind, status, True), refusal
        assert refusal.message
        if trouble == "busy":
            assert cell.sim.stats(key)["failed"] == before + 3, "three tries of the gateway's, and none of the client's"
        if trouble == "limited":
            assert refusal.retry_after and 0 < int(refusal.retry_after) <= 60, refusal
    pieces = cell.client.pieces(cell.troubled("cut")[0], TEXT)
    seen = []
    with pytest.raises(cell.client.error):
        for piece in pieces:
            seen.append(piece)
    assert seen, "what came before the end is seen"
    assert told.content(TEXT).startswith("".join(seen))


@pytest.mark.parametrize("feature_name", FEATURES)
@pytest.mark.parametrize("provider_name", PROVIDERS)
@pytest.mark.parametrize("client_name", CLIENTS)
def test_cell(stage_of_all, clients, client_name, provider_name, feature_name):
    reason = table.reason_for(client_name, provider_name, feature_name)
    cell = Cell(clients[client_name], PROVIDERS[provider_name], stage_of_all[0], reason)
    if reason and reason.how == "refused":
        refusal = cell.refusal(lambda: FEATURES[feature_name](cell))
        assert (refusal.status, reason.names in refusal.message) == (400, True), refusal
    else:
        FEATURES[feature_name](cell)
    RUN.note(client_name, provider_name, feature_name, reason)


def test_the_document_says_what_ran():
    """scripts/matrix writes it anew."""
    RUN.check(FEATURES)
