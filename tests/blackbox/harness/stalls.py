"""Whether the machine kept time: on a shared one all processes may stand still for seconds, and what was timed meanwhile says
nothing about the program."""

import threading
import time

STEP = 0.02  # seconds


class StallWatch:
    """Within the `with`, looks at the clock each STEP; `longest` is by how many seconds it was kept from doing so at most."""

    def __init__(self):
        self.longest = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _watch(self):
        last = time.monotonic()
        while not self._ended.wait(STEP):
            now = time.monotonic()
            self.longest = max(self.longest, now - last - STEP)
            last = now
