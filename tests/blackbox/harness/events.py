"""A plain reader of GET /v1/admin/events, on a thread of its own."""

import json
import threading
import time

from . import wire


class Event:
    def __init__(self, kind, number, data):
        self.kind, self.id, self.data = kind, number, data

    def __getattr__(self, name):
        try:
            return self.data.get(name)
        except AttributeError:
            raise AttributeError(name) from None

    def __repr__(self):
        return f"{self.kind} {self.data}"


class Events:
    """What came so far, in order; the stream ends with the `with`."""

    def __init__(self, gateway, query="", last=None):
        fields = dict(gateway.admin_headers)
        if last is not None:
            fields["Last-Event-ID"] = str(last)
        self.seen, self.comments, self.changed, self.has_ended = [], 0, threading.Condition(), False
        self.secrets, self.text = gateway.secrets, ""
        self.wire = wire.Wire(gateway.admin_address, timeout=60)
        self.wire.send(wire.request("GET", "/v1/admin/events" + query, fields, host="127.0.0.1"))
        self.head = self.wire.head()
        assert self.head.status == 200, self.head
        assert self.head.get("content-type") == "text/event-stream"
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.socket.shutdown(2)
        self.wire.close()
        self.reader.join(5)
        assert not [secret for secret in self.secrets if secret in self.text], self.text

    def read(self):
        text = ""
        try:
            for piece in self.wire.pieces(self.head, "GET"):
                text += piece.decode()
                self.text += piece.decode()
                while "\n\n" in text:
                    frame, _, text = text.partition("\n\n")
                    self.take(frame)
            with self.changed:
                self.has_ended = True
                self.changed.notify_all()
        except (OSError, wire.Cut):
            pass

    def take(self, frame):
        fields = dict(line.split(": ", 1) for line in frame.split("\n") if not line.startswith(":"))
        with self.changed:
            if fields:
                number = fields.get("id")
                self.seen.append(Event(fields["event"], number and int(number), json.loads(fields["data"])))
            else:
                self.comments += 1
            self.changed.notify_all()

    def wait(self, kind, within=20, **facts):
        """The first event of that kind with these members."""
        until = time.monotonic() + within
        with self.changed:
            while True:
                for event in self.seen:
                    if event.kind == kind and all(event.data.get(name) == value for name, value in facts.items()):
                        return event
                assert time.monotonic() < until, f"no {kind} {facts} among {self.seen}"
                self.changed.wait(0.2)

    def wait_end(self, within=10):
        """The stream ends as it should."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.has_ended, within)
