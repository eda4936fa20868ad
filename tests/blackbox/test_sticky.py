"""selection: sticky: the requests of one session meet on one key, whichever worker reads them."""

import pytest
from harness.expect import chat
from harness.fixtures import provider
from harness.wire import post

KEYS = [{"name": f"k{i}", "secret": f"sk-pool-{i}"} for i in range(1, 6)]


@pytest.fixture
def gateway(stage, sim):
    sim.scenario()
    return stage.gateway({"server": {"workers": 2}, "providers": {"sim": provider(sim.base_url, KEYS, selection="sticky")}}).settle()


def keys_of(gateway, *requests):
    """The keys that these had, each asked on a connection of its own."""
    names = []
    for request in requests:
        with gateway.connect() as connection:
            answer = connection.ask(request)
        assert answer.status == 200
        names.append(answer.get("x-bellwether-key"))
    return names


def expect_sessions(gateway, request_of):
    """request_of(session, turn): each session has one key in all its turns, and they do not all have the same."""
    seen = set()
    for session in range(12):
        names = keys_of(gateway, *(request_of(session, turn) for turn in range(4)))
        assert len(set(names)) == 1
        seen.add(names[0])
    assert len(seen) > 2


@pytest.mark.parametrize("name", ["X-Session-Id", "x-session-id"])
def test_a_field_of_the_request(gateway, name):
    expect_sessions(gateway, lambda session, turn: post(chat(f"turn {turn}"), headers={name: f"s-{session}"}))


@pytest.mark.parametrize("field", ["user", "prompt_cache_key"])
def test_a_member_of_the_body(gateway, field):
    expect_sessions(gateway, lambda session, turn: post(chat(f"turn {turn}", **{field: f"s-{session}"})))


def test_who_asks_by_messages(gateway):
    expect_sessions(gateway, lambda session, turn: post(
        {"model": "gpt-4.1", "max_tokens": 9, "metadata": {"user_id": f"s-{session}"}, "messages": [{"role": "user", "content": f"turn {turn}"}]},
        "/v1/messages"))


def test_how_the_conversation_begins(gateway):
    def request(session, turn):
        messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": f"question {session}"}]
        for i in range(turn):
            messages += [{"role": "assistant", "content": f"answer {i}"}, {"role": "user", "content": f"and {i}?"}]
        return post({"model": "gpt-4.1", "messages": messages})

    expect_sessions(gateway, request)


def test_the_field_goes_before_the_body(gateway):
    names = keys_of(gateway, *(post(chat("hello", user=f"u-{i}"), headers={"X-Session-Id": "one"}) for i in range(8)))
    assert len(set(names)) == 1


def test_a_disabled_key_lends_its_sessions_out(gateway):
    def ask(session):
        return keys_of(gateway, post(chat("hello", user=f"s-{session}")))[0]

    before = [ask(session) for session in range(12)]
    off = before[0]
    assert gateway.admin(f"/v1/admin/keys/sim/{off}/disable", method="POST").status == 202
    meanwhile = [ask(session) for session in range(12)]
    assert off not in meanwhile
    assert [name for name in before if name != off] == [now for now, then in zip(meanwhile, before) if then != off]
    assert gateway.admin(f"/v1/admin/keys/sim/{off}/enable", method="POST").status == 202
    assert [ask(session) for session in range(12)] == before
