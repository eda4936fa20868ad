"""Several regions of one provider: which is near, what happens when one is dead, fails or is slow, and what is told of it."""

import socket
import threading
import time

import pytest
from harness.expect import chat
from harness.processes import run
from harness.upstream import error_body, serve

FAST = {"base_delay": "1ms", "max_delay": "10ms", "wait": "100ms"}
ZONES = {"us-east-1": "us-east", "eu-west-1": "eu-west"}


class Region:
    """An upstream that does as it is told: fails, or takes its time. Its probes do so too."""

    def __init__(self, stage):
        self.fails = False
        self.delay = 0.0
        self.asked = 0
        self.lock = threading.Lock()
        self.upstream = stage.upstream(self.handle, answers_probes=False)

    def handle(self, peer):
        request = peer.read_request()
        is_probe = request.method == "GET"
        if not is_probe:
            with self.lock:
                self.asked += 1
            time.sleep(self.delay)
        if self.fails:
            return peer.answer(error_body(), 500)
        return peer.answer({"object": "list", "data": []}) if is_probe else serve(peer)

    @property
    def url(self):
        return self.upstream.base_url


def dead_url():
    """Nobody listens there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


def config(regions, zone="us-east-1a", keys=("sk-pool-1",), **more):
    provider = {"kind": "compatible", "keys": list(keys), "regions": regions, "zones": ZONES, **more}
    server = {"workers": 2, **({"zone": zone} if zone else {})}
    return {"server": server, "retry": FAST, "providers": {"up": {k: v for k, v in provider.items() if v is not None}}}


@pytest.fixture
def east(stage):
    return Region(stage)


@pytest.fixture
def west(stage):
    return Region(stage)


@pytest.fixture
def both(stage, east, west):
    def start(zone="us-east-1a", **more):
        gateway = stage.gateway(config({"eu-west": west.url, "us-east": east.url}, zone, **more))
        return gateway.settle()

    return start


def rows(gateway):
    return {row["region"]: row for row in gateway.admin("/v1/admin/regions").json["regions"]}


def until(condition, within=15):
    end = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return value


def ask(gateway, times=1):
    answers = [gateway.post(chat("hello")) for _ in range(times)]
    assert {answer.status for answer in answers} == {200}, [answer for answer in answers if answer.status != 200]
    return [answer.get("x-bellwether-region") for answer in answers]


# -- which is near ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "default", "expected", "prior"),
    [
        ("us-east-1a", None, "us-east", "zone"),
        ("eu-west-1c", "us-east", "eu-west", "zone"),
        ("us-east", None, "us-east", "zone"),
        ("sa-east-1a", "us-east", "us-east", "default"),
        (None, None, "eu-west", "file"),
    ],
)
def test_the_nearest_is_used(both, zone, default, expected, prior):
    gateway = both(zone, default_region=default)
    regions = ask(gateway, 20)
    assert regions.count(expected) >= 15
    assert rows(gateway)[expected]["prior"] == prior
    assert rows(gateway)[expected]["order"] == 1
    assert gateway.wait_access(region=expected)


def test_zone_from_the_environment(stage, east, west):
    text = config({"eu-west": west.url, "us-east": east.url})
    text["server"]["zone"] = "${env:AVAILABILITY_ZONE}"
    gateway = stage.gateway(text, env={"AVAILABILITY_ZONE": "us-east-1f"}).settle()
    assert ask(gateway, 10).count("us-east") >= 7
    assert gateway.admin("/v1/admin/regions").json["zone"] == "us-east-1f"


def test_one_base_url_is_no_region(stage, east):
    gateway = stage.gateway(
        {"providers": {"up": {"kind": "compatible", "base_url": east.url, "keys": ["sk-pool-1"]}}}
    ).settle()
    assert ask(gateway) == [None]
    assert gateway.admin("/v1/admin/regions").json == {"zone": None, "regions": []}


# -- what fails --------------------------------------------------------------------------------------


def test_dead_region_is_passed_over(stage, west):
    """Nobody listens there: the next region is asked at once, and no client sees it."""
    gateway = stage.gateway(config({"us-east": dead_url(), "eu-west": west.url})).settle()
    begun = time.monotonic()
    assert set(ask(gateway, 30)) == {"eu-west"}
    assert time.monotonic() - begun < 10, "nobody waits for a time-out or a backoff"
    assert gateway.key_states()["up-1"]["health"] == "healthy"


def test_failing_region_is_left_at_once(both, east):
    """Its 500s go to no client, hurt no key, and after five of them it is ejected."""
    gateway = both()
    east.fails = True
    answers = [gateway.post(chat("hello")) for _ in range(40)]
    assert {answer.status for answer in answers} == {200}
    assert {answer.get("x-bellwether-region") for answer in answers} == {"eu-west"}
    assert {answer.get("x-bellwether-attempts") for answer in answers} <= {"1", "2"}
    row = until(lambda: (row := rows(gateway)["us-east"])["state"] == "ejected" and row)
    assert row["cause"] in ("failures", "errors")
    assert row["share"] == 0
    assert row["ejected_until"]
    assert rows(gateway)["eu-west"]["state"] == "serving"
    assert gateway.key_states()["up-1"]["health"] == "healthy"
    asked = east.asked
    ask(gateway, 20)
    assert east.asked == asked, "what is ejected is asked by nobody"
    page = gateway.admin("/metrics").body.decode().splitlines()
    assert 'bellwether_region_ejections_total{provider="up",region="us-east"} 1' in page
    assert 'bellwether_region_state{provider="up",region="us-east",state="ejected"} 1' in page
    assert 'bellwether_region_share{provider="up",region="eu-west"} 1' in page
    gateway.wait_line(r'"message":"region is ejected[^"]*".*"region":"us-east"')


def test_one_key_serves_all_that_come_at_once(both, east):
    """Many fail in one moment: the key is not to blame."""
    gateway = both()
    east.fails = True
    east.delay = 0.1
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(gateway.post(chat("hello")))) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status for answer in answers} == {200}


def test_all_dead_is_told(stage):
    gateway = stage.gateway(config({"us-east": dead_url(), "eu-west": dead_url()}, health={"validate_new": False}))
    answer = gateway.post(chat("hello"))
    assert answer.status in (502, 503)
    assert answer.error["code"] in ("upstream_open", "upstream_failed")


def test_all_failing_is_told_as_the_provider_does(both, east, west):
    gateway = both()
    east.fails = west.fails = True
    answer = gateway.post(chat("hello"))
    assert answer.status == 500
    assert (east.asked, west.asked) != (0, 0)
    east.fails = west.fails = False
    until(lambda: gateway.post(chat("hello")).status == 200, 60)


# -- what is slow ----------------------------------------------------------------------------------


def test_slow_region_loses_its_traffic(both, east, west):
    gateway = both(health={"probe_interval": "1s"})
    east.delay = 0.3
    is_over = threading.Event()
    failures = []

    def send():
        while not is_over.is_set():
            if (answer := gateway.post(chat("hello"))).status != 200:
                failures.append(answer)

    threads = [threading.Thread(target=send) for _ in range(24)]
    for thread in threads:
        thread.start()
    try:
        row = until(lambda: (row := rows(gateway)["eu-west"])["share"] > 0.9 and row, 60)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert row["state"] == "serving"
    near = rows(gateway)["us-east"]
    assert near["traffic"]["ewma_ms"] > 200
    assert near["traffic"]["p95_ms"] > 200
    assert near["probes"]["samples"] > 0


# -- reloads, and what is told ---------------------------------------------------------------------


def test_reload_keeps_what_is_known(both, east, west, stage):
    third = Region(stage)
    gateway = both(health={"probe_interval": "200ms"})
    ask(gateway, 10)
    until(lambda: rows(gateway)["us-east"]["probes"]["samples"] >= 3)
    before = until(lambda: (row := rows(gateway)["us-east"])["requests"] + rows(gateway)["eu-west"]["requests"] == 10 and row)
    is_over = threading.Event()
    answers = []

    def send():
        while not is_over.is_set():
            answers.append(gateway.post(chat("hello")).status)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for regions in (
        {"us-east": east.url, "eu-west": west.url, "asia": third.url},
        {"us-east": east.url, "asia": third.url},
        {"us-east": east.url},
        {"us-east": east.url, "eu-west": west.url},
    ):
        zones = {"us-east-1": "us-east"}
        assert gateway.reload(config(regions, zones=zones, health={"probe_interval": "200ms"}))
    is_over.set()
    for thread in threads:
        thread.join()
    assert set(answers) == {200}, "no exchange is lost"
    after = rows(gateway)["us-east"]
    assert after["requests"] >= before["requests"]
    assert after["probes"]["samples"] >= 3
    assert set(rows(gateway)) == {"us-east", "eu-west"}


def test_bellwether_regions_prints_the_table(both, east):
    gateway = both(health={"probe_interval": "200ms"})
    ask(gateway, 5)
    until(lambda: rows(gateway)["us-east"]["probes"]["samples"] >= 3)
    address = f"{gateway.admin_address[0]}:{gateway.admin_address[1]}"
    printed = run(["regions", "--address", address])
    assert printed.returncode == 0, printed.stderr
    lines = printed.stdout.splitlines()
    assert lines[0] == "zone: us-east-1a"
    assert lines[1].split()[:4] == ["PROVIDER", "REGION", "PRIOR", "SHARE"]
    assert lines[2].split()[:4] == ["up", "us-east", "zone", "98.0%"]
    assert "serving" in lines[2]
    assert lines[3].split()[:4] == ["up", "eu-west", "file", "2.0%"]
    assert "standby" in lines[3]
    wrong = run(["regions", "all", "--address", address])
    assert wrong.returncode == 2
