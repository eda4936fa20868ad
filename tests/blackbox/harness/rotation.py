"""A provider whose keys are replaced: the simulator's own key API is the issuer. What tests of rotation share."""

import json
import time

ADMIN = "sk-sim-admin"


def rotation(sim, **settings):
    root = sim.base_url.removesuffix("/v1")
    bearer = {"Authorization": f"Bearer {ADMIN}"}
    issuer = {
        "kind": "http",
        "create": {"url": f"{root}/v1/keys", "headers": bearer, "body": {"name": "{name}", "expires_in_days": 30},
                   "key": "/api_key", "id": "/key_id", "expires": "/expires_at"},
        "revoke": {"url": f"{root}/v1/keys/{{id}}", "headers": bearer},
        "list": {"url": f"{root}/v1/keys", "headers": bearer, "items": "/keys", "name": "/name", "id": "/key_id"},
    }
    canary = {"initial": "25%", "steps": 4, "every": "300ms", "min_requests": 10}
    return {"issuer": issuer, "overlap": "1s", "canary": canary, "validate": {"attempts": 3, "base_delay": "100ms"}, **settings}


def rotations(gateway):
    return {row["name"]: row for row in gateway.admin("/v1/admin/rotations").json["rotations"]}


def wait_step(gateway, step, name=None, within=90):
    """The key of that name, or the one that was made last, has come to that step. Each step waits for the disk, which may be long where
    others write gigabytes."""
    until = time.monotonic() + within
    while True:
        rows = rotations(gateway)
        made = [row for row in rows.values() if row["rotation"] and name in (None, row["name"])] or [rows.get(name)]
        newest = max((row for row in made if row), key=lambda row: (row["rotation"], row["name"]), default=None)
        if newest and newest["step"] == step:
            return newest
        assert time.monotonic() < until, f"not {step}: {json.dumps(rows, indent=1)}\n{gateway.output[-3000:]}"
        time.sleep(0.02)


def issuer(sim):
    return sim.call("GET", "/sim/issuer")
