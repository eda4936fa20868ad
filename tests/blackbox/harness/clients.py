"""Clients that ask a gateway without pause, each on a connection of its own."""

import threading


class Clients:
    """From the beginning of a `with` to its end: `ask(connection, number)` is called over and over."""

    def __init__(self, gateway, count):
        self.gateway, self.is_over = gateway, threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(number,)) for number in range(count)]

    def ask(self, connection, number):
        raise NotImplementedError

    def _run(self, number):
        with self.gateway.connect() as connection:
            while not self.is_over.is_set():
                self.ask(connection, number)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join(20)
