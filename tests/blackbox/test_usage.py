"""A provider's own count of its keys' use: what did not go through the gateway is told, once; the admin key is shown nowhere."""

import re
import time
import urllib.parse

import pytest
from harness.expect import chat
from harness.fixtures import provider
from harness.upstream import completion, error_body
from test_alerts import TOKEN, Hook

ADMIN = "sk-admin-V3RYS3CR3T"
ORGANIZATION = "/v1/organization"
TOKENS = (20000, 5000)


class OpenAI:
    """Chat, and the count of it by key and minute. `beside` is what somebody else uses of the leaked key in each minute."""

    def __init__(self, stage, beside=(0, 0), refusal=None):
        self.beside, self.refusal, self.used, self.asked = beside, refusal, {}, []
        self.upstream = stage.upstream(self.answer)
        self.root = self.upstream.base_url.removesuffix("/v1")

    def answer(self, peer):
        request = peer.read_request()
        path, _, query = request.target.partition("?")
        if not path.startswith(ORGANIZATION):
            minute = int(time.time()) // 60 * 60
            self.used[minute] = self.used.get(minute, 0) + 1
            peer.answer(completion(usage=TOKENS))
            return True
        assert request.method == "GET" and request.key == ADMIN
        self.asked.append(path.removeprefix(ORGANIZATION))
        if self.refusal:
            peer.answer(*self.refusal)
        elif path.endswith("/projects/proj_1/api_keys"):
            peer.answer({"object": "list", "data": [{"id": "key_main"}, {"id": "key_leaked"}], "last_id": "key_leaked", "has_more": False})
        else:
            peer.answer(self.page(path, urllib.parse.parse_qs(query)))
        return True

    def page(self, path, query):
        assert query["bucket_width"] == ["1m"] and query["group_by[]"] == ["api_key_id"] and query["project_ids[]"] == ["proj_1"]
        first, count = int(query.get("page", query["start_time"])[0]), int(query["limit"][0])
        assert first % 60 == 0
        minutes = [first + 60 * i for i in range(count)]
        more = minutes[-1] + 60 <= time.time()
        return {"object": "page", "has_more": more, "next_page": str(minutes[-1] + 60) if more else None,
                "data": [{"object": "bucket", "start_time": minute, "end_time": minute + 60,
                          "results": self.results(minute) if path.endswith("/completions") else []} for minute in minutes]}

    def results(self, minute):
        used = self.used.get(minute, 0)
        counts = {"key_main": (used, used * TOKENS[0], used * TOKENS[1]), "key_leaked": (self.beside[0], self.beside[1], 0), None: (7, 7, 7)}
        return [{"object": "organization.usage.completions.result", "api_key_id": key, "num_model_requests": requests,
                 "input_tokens": tokens_in, "output_tokens": tokens_out} for key, (requests, tokens_in, tokens_out) in counts.items()]


def watched(stage, openai, hook):
    keys = [{"name": "main", "secret": "sk-pool-1", "id": "key_main"},
            {"name": "leaked", "secret": "sk-pool-2", "id": "key_leaked", "priority": 1}]
    issuer = {"kind": "openai", "url": openai.root, "project": "proj_1", "admin_key": ADMIN, "usage": {"per": "minute", "lag": "0s"}}
    return stage.gateway({"alerts": {"webhooks": [{"url": hook.url, "format": "json"}]},
                          "providers": {"up": provider(openai.upstream.base_url, keys, selection="priority", rotation={"issuer": issuer})}},
                         secrets=[ADMIN, TOKEN]).settle()


@pytest.mark.timeout(200)
def test_a_key_used_beside_the_gateway(stage):
    """The minute in which the gateway began is not compared; of the next, one key is explained, and the other is not."""
    hook, openai = Hook(stage), OpenAI(stage, beside=(50, 900000))
    gateway = watched(stage, openai, hook)
    until = time.monotonic() + 150
    while not hook.alerts():
        assert gateway.post(chat()).get("x-bellwether-key") == "main"
        assert time.monotonic() < until, openai.asked
        time.sleep(1)
    alert = hook.alerts()[0]
    assert (alert["kind"], alert["provider"], alert["key"], alert["severity"]) == ("usage_unexplained", "up", "leaked", "warning")
    assert re.fullmatch(r"900000 tokens in 50 requests at the provider, 0 in 0 here, in the minute from \d{4}-\d\d-\d\dT\d\d:\d\d:00Z on",
                        alert["reason"])
    gateway.stop()
    assert len(hook.alerts()) == 1 and hook.alerts()[0]["count"] == 1


def test_an_admin_key_without_the_right(stage):
    """It is said in the log, once, in words without the key; and asked ever more seldom. Requests do not care."""
    hook = Hook(stage)
    openai = OpenAI(stage, refusal=(error_body(f"{ADMIN} may not read usage.", "invalid_request_error"), 403))
    gateway = watched(stage, openai, hook)
    until = time.monotonic() + 30
    while len(openai.asked) < 3:
        assert gateway.post(chat()).status == 200
        assert time.monotonic() < until, openai.asked
        time.sleep(0.2)
    assert set(openai.asked) == {"/projects/proj_1/api_keys"}
    assert gateway.output.count("the provider does not tell how its keys are used") == 1
    gateway.stop()
    assert not hook.alerts()
