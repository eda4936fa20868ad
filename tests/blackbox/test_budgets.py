"""Budgets of clients and pools: refused in time, told how long, kept across restarts, freed by a reload."""

import threading
import time

import pytest
from harness.expect import chat
from harness.fixtures import provider
from harness.processes import Gateway

#: One answer of the simulator to "hello" costs some thousandths of a dollar.
PRICES = {"gpt-4.1": {"input": 200, "output": 800}}
CLIENTS = {"web": "web-secret", "app": "app-secret", "free": "free-secret"}


def config_of(budget=None, pool=None, **more):
    keys = [{"name": name, "secret": secret} for name, secret in CLIENTS.items()]
    if budget:
        keys[0]["budget"] = budget
    for key in keys[:2]:
        key["pool"] = "search"
    pools = {"search": {"budget": pool} if pool else {}}
    return {"prices": PRICES, "clients": {"keys": keys}, "pools": pools, "names": {"direct": True}, **more}


def ask(gateway, name, **fields):
    headers = {"Authorization": f"Bearer {CLIENTS[name]}"}
    return gateway.post(chat("hello", model="gpt-4.1", **fields), headers=headers)


def cost(answer):
    assert answer.status == 200, answer.body
    return float(answer.get("x-bellwether-cost-usd"))


def refused(answer, who):
    assert (answer.status, answer.error["code"]) == (429, "rate_limit_exceeded")
    assert answer.error["type"] == "insufficient_quota" and who in answer.error["message"]
    assert answer.get("x-should-retry") == "false"
    return answer


def budget_of(gateway, of, name):
    rows = gateway.admin("/v1/admin/stats").json["budgets"]
    return next(row for row in rows if (row["of"], row["name"]) == (of, name))


def wait_for(check, within=5):
    until = time.monotonic() + within
    while not (value := check()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return value


def test_a_client_past_its_budget_is_refused(pool):
    gateway = pool(1, config=config_of({"usd": 0.001, "per": "month"}))
    spent = cost(ask(gateway, "web"))
    assert spent > 0.001
    answer = refused(ask(gateway, "web"), "The budget of this API key for the month is spent")
    # Until the first of the next month, in UTC: the answer says so in its words, and in seconds.
    left = int(answer.get("retry-after"))
    assert 0 < left <= 31 * 86400
    end = time.strftime("%Y-%m-01T00:00:00", time.gmtime(time.time() + left + 5))
    assert end in answer.error["message"]
    line = gateway.wait_access(failure="client_budget")
    assert (line["status"], line["client"]) == (429, "web") and "key" not in line
    # Nobody else is.
    cost(ask(gateway, "app"))
    row = wait_for(lambda: (row := budget_of(gateway, "client", "web"))["spent"] and row)
    assert row["usd"] == 0.001 and row["per"] == "month" and row["left_usd"] == 0
    assert row["spent_usd"] == pytest.approx(spent) and row["resets_at"].startswith(end)
    gateway.wait_line(r'"message":"client has spent its budget".*"client":"web"')
    # More is given: at once.
    assert gateway.reload(dict(gateway.config, **config_of({"usd": 1000, "per": "month"})))
    cost(ask(gateway, "web"))
    # And what was spent is not forgotten by that.
    assert gateway.reload(dict(gateway.config, **config_of({"usd": round(1.5 * spent, 6), "per": "month"})))
    refused(ask(gateway, "web"), "API key")


def test_a_pool_is_spent_by_all_its_clients(pool):
    gateway = pool(1, config=config_of(pool={"usd": 0.001, "per": "day"}))
    cost(ask(gateway, "app"))
    refused(ask(gateway, "web"), "The budget of the pool search for the day is spent")
    refused(ask(gateway, "app"), "The budget of the pool search")
    cost(ask(gateway, "free"))
    assert wait_for(lambda: budget_of(gateway, "pool", "search")["spent"])
    # Without a budget nobody is refused.
    assert gateway.reload(dict(gateway.config, **config_of()))
    cost(ask(gateway, "web"))
    assert gateway.admin("/v1/admin/stats").json["budgets"] == []


def test_it_is_passed_by_what_is_under_way_alone(pool):
    """Sixteen threads on two workers: whatever they try, no more are served than fit, and those under way."""
    threads = 16
    gateway = pool(
        1,
        {"defaults": {"latency": "20ms"}},
        config=config_of({"usd": 0.2, "per": "month"}, server={"workers": 2}),
    )
    spent, answers = [], []

    def run():
        while (answer := ask(gateway, "web")).status == 200:
            spent.append(cost(answer))
        answers.append(answer)

    workers = [threading.Thread(target=run) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert len(answers) == threads
    for answer in answers:
        refused(answer, "API key")
    assert 0.2 <= sum(spent) <= 0.2 + threads * max(spent)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_what_was_spent_outlives_a_restart(sim, tmp_path, end):
    """Ended in order, to the last request; killed, up to a second before."""
    sim.scenario()

    def start(client, pool):
        config = config_of({"usd": client, "per": "month"}, {"usd": pool, "per": "month"}, store="sqlite:one.db")
        config["providers"] = {"sim": provider(sim.base_url, [{"name": "k1", "secret": "sk-pool-1"}])}
        return Gateway(tmp_path, config, secrets=["sk-pool-1", *CLIENTS.values()]).settle()

    spent = 0
    for _ in range(2):
        gateway = start(1000, 1000)
        spent += cost(ask(gateway, "web"))
        if end == "kill":
            time.sleep(2.5)
            gateway.kill()
        else:
            gateway.stop()
    gateway = start(round(spent * 0.9, 6), 1000)
    refused(ask(gateway, "web"), "API key")
    cost(ask(gateway, "app"))
    gateway.stop()
    gateway = start(1000, round(spent * 1.4, 6))
    refused(ask(gateway, "web"), "the pool search")
    gateway.stop()


def test_taken_away_and_given_back(pool):
    """The store knows what was spent of a budget that the file had not for a while."""
    gateway = pool(1, config=config_of({"usd": 0.001, "per": "month"}))
    cost(ask(gateway, "web"))
    refused(ask(gateway, "web"), "API key")
    time.sleep(1.5)
    assert gateway.reload(dict(gateway.config, **config_of()))
    cost(ask(gateway, "web"))
    assert gateway.reload(dict(gateway.config, **config_of({"usd": 0.001, "per": "month"})))
    wait_for(lambda: budget_of(gateway, "client", "web")["spent"])
    refused(ask(gateway, "web"), "API key")
