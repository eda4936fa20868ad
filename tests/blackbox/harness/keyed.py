"""An upstream that behaves for each key as it is told, and may be told otherwise at any time."""

from . import upstream as up


def refuse(status, message="No.", kind="invalid_request_error", code=None, **fields):
    """A behaviour: this error, with these fields in the head (`_` for `-`)."""
    head = {name.replace("_", "-"): value for name, value in fields.items()}

    def behave(peer):
        peer.answer(up.error_body(message, kind, code), status, head)

    return behave


def limited(message="Rate limit reached.", **fields):
    return refuse(429, message, "requests", "rate_limit_exceeded", **fields)


REVOKED = refuse(401, "Incorrect API key provided.", code="invalid_api_key")
UNPAID = refuse(402, "Insufficient Balance", "unknown_error")
QUOTA = refuse(429, "You exceeded your current quota.", "insufficient_quota", "insufficient_quota")
FORBIDDEN = refuse(403, "This API key was blocked.", code="account_deactivated")
NO_MODEL = refuse(404, "The model does not exist or you do not have access to it.", code="model_not_found")
BROKEN = refuse(500, "The server had an error.", "server_error")
OVERLOADED = refuse(503, "The server is overloaded.", "service_unavailable_error", "server_is_overloaded")


class Keyed:
    """The handler of an upstream. `behave[key]` is a behaviour or a list of them, one a request, the last for ever;
    keys that are not named are served. `probe[key]` is the status of a lookup: 200, or silence for None."""

    def __init__(self):
        self.behave, self.probe = {}, {}
        self.upstream = None

    def __call__(self, peer):
        if peer.request.method == "GET":
            return self.answer_probe(peer)
        request = peer.read_request()
        behaviour = self.behave.get(request.key, up.serve)
        if isinstance(behaviour, list):
            behaviour = behaviour.pop(0) if len(behaviour) > 1 else behaviour[0]
        return behaviour(peer)

    def answer_probe(self, peer):
        self.upstream.probes.append(peer.request)
        status = self.probe.get(peer.request.key, 200)
        if status is None:
            peer.wait_end(30)
            return False
        peer.answer(
            {"object": "list", "data": []} if status == 200 else up.error_body("Probed.", code="invalid_api_key"),
            status,
        )
        return True

    def asked(self, key):
        """How many generations this key was asked for."""
        return sum(request.key == key for request in list(self.upstream.requests))

    def probed(self, key):
        return sum(request.key == key for request in list(self.upstream.probes))
