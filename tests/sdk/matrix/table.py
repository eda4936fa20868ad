"""The run as a table: docs/matrix.md, and the reasons of what cannot be."""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[3] / "docs/matrix.md"
BEGIN, END = "<!-- matrix -->\n", "<!-- end of matrix -->\n"


@dataclass(frozen=True)
class Reason:
    clients: tuple
    providers: tuple
    features: tuple
    how: str  # what the cell's check makes of it: refused, counted, ...
    says: str
    names: str = ""  # refused: what the message names

    def fits(self, client, provider, feature):
        pairs = ((self.clients, client), (self.providers, provider), (self.features, feature))
        return all("*" in names or name in names for names, name in pairs)


def read_reasons():
    rows = tomllib.loads((Path(__file__).parent / "reasons.toml").read_text()).get("reason", [])
    lists = ("clients", "providers", "features")
    return [Reason(**{name: tuple(value) if name in lists else value for name, value in row.items()}) for row in rows]


REASONS = read_reasons()


def reason_for(client, provider, feature):
    """The first that fits, or None: the cell works."""
    return next((reason for reason in REASONS if reason.fits(client, provider, feature)), None)


class Run:
    """What the cells came to."""

    def __init__(self, clients, providers):
        self.clients = list(clients)
        self.providers = list(providers)
        self.cells = {}

    def note(self, client, provider, feature, reason):
        self.cells[client, provider, feature] = reason.says if reason else "yes"

    def render(self, features):
        lines = []
        for client in self.clients:
            lines += [f"### {client.title}", "", f"| provider | {' | '.join(features)} |", "|---|" + "---|" * len(features)]
            for provider in self.providers:
                cells = [self.cells[client.name, provider.name, feature] for feature in features]
                lines.append(f"| {provider.title} | {' | '.join(cells)} |")
            lines.append("")
        return "\n".join(lines)

    def check(self, features):
        missing = len(self.clients) * len(self.providers) * len(features) - len(self.cells)
        if missing:
            pytest.skip(f"{missing} cells did not run, or failed")
        text = DOCUMENT.read_text()
        head, rest = text.split(BEGIN)
        tail = rest.split(END)[1]
        wanted = head + BEGIN + self.render(features) + END + tail
        if os.environ.get("BELLWETHER_MATRIX") == "write":
            DOCUMENT.write_text(wanted)
        else:
            assert text == wanted, "docs/matrix.md is out of date: scripts/matrix writes it anew"
