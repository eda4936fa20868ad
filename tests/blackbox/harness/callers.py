"""Clients that ask without pause while something else happens."""

import threading

from .expect import chat
from .wire import post


class Load:
    """Each connection asks on until the block ends. `body`: a request, or what makes one of connection and number."""

    def __init__(self, gateway, connections=4, body=None):
        self.gateway, self.is_over = gateway, threading.Event()
        self.body = body or chat("hello")
        self.told = []  # (request, answer), as they came
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(connections)]

    def run(self, i):
        number = 0
        with self.gateway.connect() as connection:
            while not self.is_over.is_set():
                body = self.body(i, number) if callable(self.body) else self.body
                self.told.append((body, connection.ask(post(body))))
                number += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join(20)

    @property
    def answers(self):
        return [answer for _, answer in self.told]

    @property
    def statuses(self):
        return [answer.status for answer in self.answers]
