"""`adaptive.concurrency` before a provider that serves so many at once, lets the others wait, and tells nothing of it."""

import threading
import time
from collections import deque

from harness import load
from harness.expect import chat
from harness.keyed import OVERLOADED
from harness.upstream import serve

CAPACITY = 4
SERVICE_S = 0.05


class Server:
    """Serves CAPACITY requests at once, who came first before the others, and knows how many it had. A semaphore would
    let others in before those who wait, the more so the busier the machine is."""

    def __init__(self):
        self.lock = threading.Lock()
        self.waiting = deque()
        self.here = self.most = 0

    def __call__(self, peer):
        place = threading.Event()
        with self.lock:
            self.here += 1
            self.most = max(self.most, self.here)
            if self.here <= CAPACITY:
                place.set()
            else:
                self.waiting.append(place)
        place.wait()
        time.sleep(SERVICE_S)
        with self.lock:
            self.here -= 1
            if self.waiting:
                self.waiting.popleft().set()
        serve(peer)


def found(gateway):
    return gateway.metrics().get("bellwether_key_adaptive_concurrency", provider="up", key="k1")


def shown(gateway):
    limits = gateway.admin("/v1/admin/keys").json["keys"][0]["limits"]
    return {limit["scope"]: limit["limit"] for limit in limits}


def start(keyed, server, **concurrency):
    return keyed(
        1, behave={"sk-pool-1": server}, adaptive={"concurrency": concurrency}, config={"retry": {"wait": "30s"}}
    )


def test_it_comes_down_to_what_the_provider_can_do(keyed):
    """Forty clients, of whom a provider can serve four: without a limit all would stand in its queue."""
    server = Server()
    gateway = start(keyed, server, initial=32, max=64)
    assert found(gateway) == 32
    assert not load.failures(load.exchanges(gateway.address, 800, clients=40))
    assert 24 <= server.most <= 32
    server.most = 0
    started = time.monotonic()
    assert not load.failures(load.exchanges(gateway.address, 400, clients=40))
    lasted = time.monotonic() - started
    # Nothing is lost by it: the provider has all it can do, within what a busy machine leaves of it.
    assert lasted < 400 / CAPACITY * SERVICE_S * 2
    assert server.most <= 4 * CAPACITY
    assert CAPACITY / 2 <= found(gateway) <= 3 * CAPACITY
    assert shown(gateway) == {"concurrent": found(gateway)}


def test_overload_cuts_it_at_once(keyed):
    gateway = keyed(
        1, behave={"sk-pool-1": [OVERLOADED, serve]}, adaptive={"concurrency": {"initial": 30}, "backoff": 0.7}
    )
    assert gateway.post(chat("hello")).status == 200
    assert found(gateway) == 21
