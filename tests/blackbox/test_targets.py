"""Models that choose other models, by size, cost and latency; parameters that models add; the catalogue."""

import json
import time

import pytest
from harness import upstream as up
from harness.expect import chat
from harness.fixtures import provider
from harness.keyed import UNPAID, Keyed
from harness.processes import run

SIZES = {
    "small": "up/small",
    "middle": "up/middle",
    "large": {"targets": ["up/large"], "fallback": ["up/spare"]},
    "auto": {"by_size": [{"below": 200, "use": "small"}, {"below": 1000, "use": "middle"}, {"use": "large"}]},
}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}


def asked(gateway):
    """The bodies of the generations that the upstream was asked for."""
    return [request.json for request in gateway.keys.upstream.requests if request.method == "POST"]


def answers(peer):
    """Whatever it is asked."""
    peer.answer(up.completion("hi"))


def broken(*models):
    """Answers but for these."""

    def behave(peer):
        if peer.request.json["model"] in models:
            return peer.answer(up.error_body("No.", "server_error"), 500)
        return answers(peer)

    return behave


@pytest.fixture
def firms(stage):
    """A gateway over several providers at one upstream, which behaves as it is told."""

    def start(names, behave, **config):
        handler = Keyed()
        handler.upstream = stage.upstream(handler, answers_probes=False)
        handler.behave.update({f"sk-firm-{name}": behave for name in names})
        providers = {name: provider(handler.upstream.base_url, [f"sk-firm-{name}"]) for name in names}
        gateway = stage.gateway({"server": {"workers": 1}, "providers": providers, **config})
        gateway.keys = handler
        return gateway.settle()

    return start


def model_of(gateway, body, **options):
    answer = gateway.post(body, **options)
    assert answer.status == 200, answer.body
    assert answer.get("x-bellwether-model") == asked(gateway)[-1]["model"]
    return asked(gateway)[-1]["model"]


# by_size


@pytest.mark.parametrize(
    ("text", "model"),
    [("a" * 199, "small"), ("a" * 200, "middle"), ("b" * 999, "middle"), ("b" * 1000, "large"), ("", "small"), ("中" * 199, "small"), ("é\n" * 100, "middle")],
)
def test_each_row_by_its_characters(keyed, text, model):
    gateway = keyed(behave={"sk-pool-1": answers}, config={"models": SIZES})
    assert model_of(gateway, chat(text, model="auto")) == model


def test_all_texts_of_a_conversation_count(keyed):
    gateway = keyed(behave={"sk-pool-1": answers}, config={"models": SIZES})
    messages = [{"role": "system", "content": "s" * 150}, {"role": "user", "content": [{"type": "text", "text": "u" * 40}, {"type": "text", "text": "v" * 10}]}]
    assert model_of(gateway, {"model": "auto", "messages": messages}) == "middle"
    assert model_of(gateway, {"model": "auto", "messages": messages[1:]}) == "small"


def test_every_dialect_is_measured(keyed):
    gateway = keyed(behave={"sk-pool-1": answers}, config={"models": SIZES})
    said = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "u" * 100}]}
    assert model_of(gateway, said, target="/v1/messages") == "small"
    assert model_of(gateway, {**said, "system": "s" * 100}, target="/v1/messages") == "middle"
    google = {"contents": [{"role": "user", "parts": [{"text": "g" * 1200}]}]}
    assert model_of(gateway, google, target="/v1beta/models/auto:generateContent") == "large"
    assert model_of(gateway, {"model": "auto", "input": "r" * 150}, target="/v1/responses") == "small"
    assert model_of(gateway, {"model": "auto", "input": "r" * 150, "instructions": "i" * 50}, target="/v1/responses") == "middle"


def test_the_plan_is_that_of_the_model_that_is_used(firms):
    models = {**SIZES, "large": {"targets": ["up/large"], "fallback": ["down/spare"]}, "middle": {"targets": ["up/middle"], "limits": {"rpm": 1}}}
    gateway = firms(["up", "down"], broken("large"), models=models)
    assert gateway.post(chat("a" * 5000, model="auto")).status == 200
    assert [body["model"] for body in asked(gateway)] == ["large", "spare"], "its fallback"
    statuses = [gateway.post(chat("a" * 500, model="auto")).status for _ in range(3)]
    assert statuses == [200, 429, 429], "its limits"
    assert gateway.post(chat("a", model="auto")).status == 200
    metrics = gateway.metrics()
    assert metrics.sum("bellwether_requests_total", model="small") == 1 and metrics.sum("bellwether_requests_total", model="auto") == 0


NEEDS = [
    ("tools", {"tools": [TOOL]}),
    ("vision", {"messages": [{"role": "user", "content": [{"type": "text", "text": "what?"}, PICTURE]}]}),
    ("structured", {"response_format": SCHEMA}),
]


@pytest.mark.parametrize(("ability", "fields"), NEEDS)
def test_who_cannot_do_it_is_passed_over(keyed, ability, fields):
    gateway = keyed(behave={"sk-pool-1": answers}, config={"models": SIZES, "catalogue": {"up/small": {ability: False}, "middle": {ability: False}}})
    assert model_of(gateway, chat("hello", model="auto")) == "small"
    assert model_of(gateway, {**chat("hello", model="auto"), **fields}) == "large"


def test_where_nobody_can_the_size_decides(keyed):
    catalogue = {f"up/{name}": {"tools": False} for name in ("small", "middle", "large")}
    gateway = keyed(behave={"sk-pool-1": answers}, config={"models": SIZES, "catalogue": catalogue})
    assert model_of(gateway, chat("hello", model="auto", tools=[TOOL])) == "small"
    assert model_of(gateway, chat("hello", model="auto", tools=[])) == "small"


def test_functions_are_tools(keyed):
    gateway = keyed(behave={"sk-pool-1": answers}, config={"models": SIZES, "catalogue": {"up/small": {"tools": False}}})
    assert model_of(gateway, chat("hello", model="auto", functions=[TOOL["function"]])) == "middle"
    assert model_of(gateway, chat("hello", model="auto", functions=[])) == "small"


def test_what_does_not_fit_moves_up(keyed):
    gateway = keyed(behave={"sk-pool-1": answers}, config={"models": SIZES, "catalogue": {"up/small": {"context": 1000, "max_output": 500}}})
    assert model_of(gateway, chat("hello", model="auto", max_tokens=500)) == "small"
    assert model_of(gateway, chat("hello", model="auto", max_tokens=501)) == "middle"
    assert model_of(gateway, chat("hello", model="auto", max_tokens=400, n=3)) == "small", "each choice is as long as that"


def test_a_client_needs_leave_for_the_name_that_it_sends(keyed):
    clients = {"keys": [{"name": "a", "secret": "client-a", "models": ["auto"]}]}
    gateway = keyed(behave={"sk-pool-1": answers}, config={"models": SIZES, "clients": clients})
    key = [("Authorization", "Bearer client-a")]
    assert model_of(gateway, chat("hello", model="auto"), headers=key) == "small"
    assert gateway.post(chat("hello", model="small"), headers=key).status == 403
    assert [model["id"] for model in gateway.get("/v1/models", headers=key).json["data"]] == ["auto"]


def test_a_provider_s_model_may_be_used_by_itself(keyed):
    gateway = keyed(config={"models": {"auto": {"by_size": [{"below": 10, "use": "up/a/b"}, {"use": "up/c"}]}}})
    assert model_of(gateway, chat("hello", model="auto")) == "a/b"
    assert model_of(gateway, chat("hello, hello", model="auto")) == "c"
    assert gateway.metrics().sum("bellwether_requests_total", model="auto") == 2


def test_a_reload_changes_the_rows(keyed):
    gateway = keyed(behave={"sk-pool-1": answers}, config={"models": SIZES})
    assert model_of(gateway, chat("a" * 300, model="auto")) == "middle"
    config = json.loads(json.dumps(gateway.config))
    config["models"]["auto"]["by_size"][0]["below"] = 400
    gateway.reload(config)
    assert model_of(gateway, chat("a" * 300, model="auto")) == "small"


# optimise

TRIO = {
    "models": {"cheap": "up/cheap", "dear": "up/dear", "best": {"optimise": "cost", "among": ["dear", "cheap", "up/unpriced"]}},
    "prices": {"up/cheap": {"input": 1, "output": 2}, "up/dear": {"input": 3, "output": 4}},
}


def test_the_cheapest_goes_first_and_the_others_follow_by_cost(firms):
    models = {"cheap": "a/cheap", "dear": "b/dear", "best": {"optimise": "cost", "among": ["c/unpriced", "dear", "cheap"]}}
    gateway = firms("abc", broken("cheap", "dear"), models=models, prices={"cheap": {"input": 1, "output": 2}, "dear": {"input": 3, "output": 4}})
    assert gateway.post(chat("hello", model="best")).status == 200
    assert [body["model"] for body in asked(gateway)] == ["cheap", "dear", "unpriced"]


def test_one_whose_keys_are_gone_is_passed_over(firms):
    models = {"best": {"optimise": "cost", "among": ["a/cheap", "b/dear"]}}
    gateway = firms("ab", answers, models=models, prices={"cheap": {"input": 1, "output": 2}, "dear": {"input": 3, "output": 4}})
    assert model_of(gateway, chat("hello", model="best")) == "cheap"
    gateway.keys.behave["sk-firm-a"] = UNPAID
    assert [gateway.post(chat("hello", model="best")).status for _ in range(3)] == [200] * 3
    assert [body["model"] for body in asked(gateway)] == ["cheap", "cheap", "dear", "dear", "dear"]


def test_prompt_and_answer_are_weighed(keyed):
    prices = {"up/cheap": {"input": 1, "output": 100}, "up/dear": {"input": 10, "output": 1}}
    gateway = keyed(behave={"sk-pool-1": answers}, config={**TRIO, "prices": prices})
    assert model_of(gateway, chat("hello", model="best")) == "dear"
    assert model_of(gateway, chat("hello " * 20000, model="best")) == "cheap"
    assert model_of(gateway, chat("hello " * 400, model="best", max_tokens=1)) == "cheap", "its answer is short"


def test_hours_have_their_own_price(keyed):
    """Dear now, by hours that are always: the other one is chosen."""
    prices = {"up/cheap": {"input": 1, "output": 1, "peak": {"hours": ["00:00-24:00 UTC"], "input": 50, "output": 50}}, "up/dear": {"input": 3, "output": 4}}
    gateway = keyed(behave={"sk-pool-1": answers}, config={**TRIO, "prices": prices})
    gateway.post(chat("hello", model="best"))
    assert [body["model"] for body in asked(gateway)] == ["dear"]


def test_a_longer_prompt_has_its_own_price(keyed):
    prices = {"up/cheap": {"input": 1, "output": 1, "long": {"above": 1000, "input": 50, "output": 50}}, "up/dear": {"input": 3, "output": 4}}
    gateway = keyed(behave={"sk-pool-1": answers}, config={**TRIO, "prices": prices})
    assert model_of(gateway, chat("hello", model="best")) == "cheap"
    assert model_of(gateway, chat("hello " * 2000, model="best")) == "dear"


@pytest.mark.parametrize(("ability", "fields"), NEEDS)
def test_the_cheapest_of_those_that_can(keyed, ability, fields):
    gateway = keyed(behave={"sk-pool-1": answers}, config={**TRIO, "catalogue": {"up/cheap": {ability: False}}})
    assert model_of(gateway, chat("hello", model="best")) == "cheap"
    assert model_of(gateway, {**chat("hello", model="best"), **fields}) == "dear"


def test_latency_is_learned_and_learned_anew(keyed):
    slow = {"one": 0.15}

    def behave(peer):
        time.sleep(slow.get(peer.request.json["model"], 0))
        return answers(peer)

    gateway = keyed(
        config={"models": {"one": "up/one", "two": "up/two", "soon": {"optimise": "latency", "among": ["one", "two"]}}}, behave={"sk-pool-1": behave}
    )
    for _ in range(30):
        assert gateway.post(chat("hello", model="soon")).status == 200
    models = [body["model"] for body in asked(gateway)]
    assert {"one", "two"} <= set(models[:6]) and models.count("two") >= 18, "both are tried, then the quick one serves"
    gateway.reload(gateway.config)
    # Slower than the other ever was: it takes a few answers to see that.
    slow["two"] = 0.5
    for _ in range(20):
        assert gateway.post(chat("hello", model="soon")).status == 200
    models = [body["model"] for body in asked(gateway)][30:]
    assert models.count("one") >= 10 and models[-5:].count("one") >= 3, "the way back"


# set

SET = {"models": {"m": {"targets": ["up/m"], "set": {"max_tokens": 77, "temperature": 0.25, "seed": 5}}, "plain": "up/m"}}


def test_parameters_are_added_where_there_are_none(keyed):
    gateway = keyed(config=SET)
    assert gateway.post(chat("hello", model="m")).status == 200
    sent = asked(gateway)[-1]
    assert (sent["max_tokens"], sent["temperature"], sent["seed"]) == (77, 0.25, 5) and sent["messages"][0]["content"] == "hello"
    gateway.post(chat("hello", model="m", temperature=1, max_completion_tokens=3))
    sent = asked(gateway)[-1]
    assert sent["temperature"] == 1 and sent["max_completion_tokens"] == 3 and sent["seed"] == 5 and "max_tokens" not in sent
    gateway.post(chat("hello", model="plain"))
    assert set(asked(gateway)[-1]) == {"model", "messages"}


def test_the_name_of_the_length_suits_every_target(stage):
    def gateway_of(names, kinds):
        handler = Keyed()
        upstream = handler.upstream = stage.upstream(handler, answers_probes=False)
        handler.behave.update({f"sk-firm-{name}": broken("m-" + names[0]) for name in names})
        providers = {name: {**provider(upstream.base_url, [f"sk-firm-{name}"]), "kind": kind} for name, kind in zip(names, kinds)}
        models = {"m": {"targets": [f"{names[0]}/m-{names[0]}"], "fallback": [f"{names[1]}/m-{names[1]}"], "set": {"max_tokens": 77}}}
        gateway = stage.gateway({"server": {"workers": 1}, "providers": providers, "models": models}).settle()
        assert gateway.post(chat("hello", model="m")).status == 200
        return [next(name for name in request.json if name.startswith("max_")) for request in upstream.requests if request.method == "POST"]

    assert gateway_of(["first", "second"], ["compatible", "openai"]) == ["max_completion_tokens"] * 2
    assert gateway_of(["first", "second"], ["mistral", "openai"]) == ["max_tokens", "max_completion_tokens"]
    assert gateway_of(["first", "second"], ["compatible", "groq"]) == ["max_tokens"] * 2


def test_a_stream_and_a_large_body_get_them_too(keyed):
    gateway = keyed(config=SET)
    gateway.post(chat("hello", model="m", stream=True))
    assert asked(gateway)[-1]["max_tokens"] == 77 and asked(gateway)[-1]["stream_options"]["include_usage"] is True
    gateway.post(chat("a" * 100000, model="m"))
    assert asked(gateway)[-1]["max_tokens"] == 77 and asked(gateway)[-1]["messages"][0]["content"] == "a" * 100000


def test_clients_of_other_dialects_get_them_in_their_place(keyed):
    gateway = keyed(config=SET)
    google = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    for config in ({}, {"generationConfig": {}}, {"generationConfig": {"topK": 3}}):
        gateway.post({**google, **config}, target="/v1beta/models/m:generateContent")
        sent = asked(gateway)[-1]
        assert sent["temperature"] == 0.25 and sent.get("max_tokens", sent.get("max_completion_tokens")) == 77, config
    gateway.post({"contents": google["contents"], "generationConfig": {"maxOutputTokens": 6}}, target="/v1beta/models/m:generateContent")
    assert asked(gateway)[-1].get("max_tokens", asked(gateway)[-1].get("max_completion_tokens")) == 6
    gateway.post({"model": "m", "max_tokens": 4, "messages": [{"role": "user", "content": "hi"}]}, target="/v1/messages")
    sent = asked(gateway)[-1]
    assert sent["temperature"] == 0.25 and sent.get("max_tokens", sent.get("max_completion_tokens")) == 4
    gateway.post({"model": "m", "input": "hi"}, target="/v1/responses")
    sent = asked(gateway)[-1]
    assert sent["temperature"] == 0.25 and sent.get("max_tokens", sent.get("max_completion_tokens")) == 77


def test_what_is_added_is_reserved(keyed):
    models = {"m": {"targets": ["up/m"], "set": {"max_tokens": 5000}, "limits": {"tpm": 6000}}}
    gateway = keyed(config={"models": models})
    assert gateway.post(chat("hello", model="m")).status == 200
    assert gateway.post(chat("hello " * 2000, model="m", max_tokens=1)).status in (200, 429)
    assert gateway.post(chat("hello", model="m", max_tokens=7000)).status == 429


# the catalogue


def test_the_catalogue_is_shown():
    done = run(["catalogue", "claude-sonnet-4-5", "deepseek-v4-pro"])
    assert done.returncode == 0
    for words in ("anthropic/claude-sonnet-4-5", "200000", "prompt above 200000 tokens: in 6", "in peak hours: in 1.32", "ends 2026-11-30"):
        assert words in done.stdout
    assert "gpt" not in done.stdout
    models = json.loads(run(["catalogue", "--json"]).stdout)["models"]
    assert len(models) > 60
    chat_model = next(model for model in models if model["model"] == "deepseek-chat")
    assert chat_model["retired"] and chat_model["successor"] == "deepseek-flash"
    assert run(["catalogue", "no-such-model"]).returncode == 1 and run(["catalogue", "--nonsense"]).returncode == 2


def test_the_file_overrides_it(tmp_path):
    path = tmp_path / "b.yaml"
    path.write_text(
        json.dumps(
            {
                "providers": {"mine": {"kind": "openai", "keys": ["sk-1234567"]}},
                "prices": {"mine/gpt-4.1": {"input": 1.5, "output": 3}, "mine/own": {"input": 1, "output": 1}},
                "catalogue": {"gpt-4.1": {"context": 5000, "vision": False}, "mine/own": {"tools": True}, "mine/o3": {"successor": "none"}, "mine/o4-mini": {"successor": "gpt-5"}},
            }
        )
    )
    models = {row["model"]: row for row in json.loads(run(["catalogue", "--config", str(path), "--json"]).stdout)["models"]}
    assert all(row["provider"] == "mine" and row["kind"] == "openai" for row in models.values())
    row = models["gpt-4.1"]
    assert row["price"]["input"] == 1.5 and row["price_from"] == "file" and row["context"] == 5000
    assert row["vision"] is False and row["max_output"] == 32768 and row["abilities_from"] == "file"
    assert models["own"]["tools"] is True and "context" not in models["own"]
    assert models["gpt-4o"]["price_from"] == "built in"
    assert models["o4-mini"]["successor"] == "gpt-5" and "successor" not in models["o3"]
    assert "lives on" in run(["catalogue", "--config", str(path), "mine/o3"]).stdout
    assert "successor: none" in run(["check-config", str(path)]).stdout
    assert "the file says: its price what it can do" in run(["catalogue", "--config", str(path), "mine/gpt-4.1"]).stdout


def test_all_of_a_price_of_the_file_is_shown(tmp_path):
    path = tmp_path / "b.yaml"
    price = {
        "input": 2,
        "output": 8,
        "long": [{"above": 1000, "input": 4, "output": 12}, {"above": 5000, "input": 6, "output": 16}],
        "peak": {"hours": ["22:00-06:00 Europe/Berlin"], "days": ["sat", "sun"], "input": 1, "output": 4},
        "service_tiers": {"flex": 0.5, "priority": 1.75},
        "later": [{"from": "2027-03-01", "input": 1.5, "output": 6}, {"from": "2027-04-01T06:00:00Z", "input": 3, "output": 9}],
    }
    path.write_text(json.dumps({"providers": {"mine": {"kind": "openai", "keys": ["sk-1234567"]}}, "prices": {"mine/m": price}}))
    text = run(["catalogue", "--config", str(path), "mine/m"]).stdout
    for words in (
        "prompt above 1000 tokens: in 4,",
        "prompt above 5000 tokens: in 6,",
        "off peak: in 1, cached 1, write 1, out 4; 22:00-06:00 Europe/Berlin on sat, sun\n",
        "flex 0.5 times, batch 1 times, priority 1.75 times the price",
        "from 2027-03-01 on: in 1.5,",
        "from 2027-04-01T06:00:00.000Z on: in 3,",
    ):
        assert words in text
    (row,) = json.loads(run(["catalogue", "--config", str(path), "--json", "mine/m"]).stdout)["models"]
    told = row["price"]
    assert [(step["above"], step["output"]) for step in told["long"]] == [(1000, 12), (5000, 16)]
    assert told["peak"][0]["hours"] == ["22:00-06:00 Europe/Berlin"] and told["peak"][0]["days"] == ["sat", "sun"]
    assert told["service_tiers"] == {"flex": 0.5, "batch": 1, "priority": 1.75}
    assert [(step["from"], step["input"]) for step in told["later"]] == [("2027-03-01", 1.5), ("2027-04-01T06:00:00.000Z", 3)]
    printed = run(["check-config", str(path)]).stdout
    assert "priority: 1.75" in printed and 'hours: ["22:00-06:00 Europe/Berlin"]' in printed


def test_aliases_of_the_file_are_shown(tmp_path):
    path = tmp_path / "b.yaml"
    rows = {"mine/gpt-4.1": {"aliases": ["prod-chat"]}, "gpt-4.1": {"aliases": ["chat"]}}
    path.write_text(json.dumps({"providers": {"mine": {"kind": "openai", "keys": ["sk-1234567"]}}, "catalogue": rows}))
    done = run(["catalogue", "--config", str(path), "prod-chat"])
    assert done.returncode == 0
    assert "mine/gpt-4.1" in done.stdout and "also called prod-chat\n" in done.stdout and "its other names" in done.stdout
    (row,) = json.loads(run(["catalogue", "--config", str(path), "--json", "gpt-4.1"]).stdout)["models"]
    assert row["aliases"] == ["prod-chat", "chat"]
    assert "aliases: [prod-chat]" in run(["check-config", str(path)]).stdout
    assert "deepseek/deepseek-flash" in run(["catalogue", "deepseek-v4-flash"]).stdout


def test_an_alias_of_the_file_is_chosen_as_its_model_is(keyed):
    """Its price is found, and so is what it cannot do."""
    models = {"cheap": "up/deployed", "dear": "up/dear", "best": {"optimise": "cost", "among": ["dear", "cheap"]}}
    config = {"models": models, "prices": {"up/real": {"input": 1, "output": 1}, "up/dear": {"input": 3, "output": 4}}, "catalogue": {"up/real": {"aliases": ["deployed"]}}}
    gateway = keyed(behave={"sk-pool-1": answers}, config=config)
    answer = gateway.post(chat("hello", model="best"))
    assert [body["model"] for body in asked(gateway)] == ["deployed"]
    line = gateway.wait_access(model="best")
    assert float(answer.get("x-bellwether-cost-usd")) == pytest.approx((line["prompt_tokens"] + line["completion_tokens"]) / 1e6)
    # Once it can call no tools, one that needs them goes to the other.
    catalogue = {"up/real": {"aliases": ["deployed"], "tools": False}}
    assert gateway.reload(dict(gateway.config, catalogue=catalogue))
    gateway.post(chat("hello", model="best", tools=[TOOL]))
    assert asked(gateway)[-1]["model"] == "dear"
