"""The road of an exchange out of src/exchange/steps.def, as a table and as a picture."""

import re
from dataclasses import dataclass
from html import escape

import xmacro

PATH = "src/exchange/steps.def"

BOX, GAP, TOP, HEIGHT = 84, 26, 96, 40
RESPOND, END = "respond", "end"


@dataclass
class Step:
    name: str
    targets: list
    client_gone: str
    deadline: str
    shutdown: str
    settles: str


def steps():
    """The steps in the order of the road."""
    return [
        Step(row["name"], [target.lower() for target in re.findall(r"TO\((\w+)\)", row["may go to"])],
             row["client gone"].lower(), row["deadline"].lower(), row["shutdown"].lower(), row["what it settles"])
        for row in xmacro.records(PATH, "STEP")
    ]


def rows():
    """The road as the cells of a table, below its header."""
    yield ["step", "what it settles", "may go to", "client gone", "deadline", "shutdown"]
    for step in steps():
        yield [step.name, step.settles, ", ".join(step.targets), step.client_gone, step.deadline, step.shutdown]


class Picture:
    """The steps in a row, the step `respond` below them, every allowed move an arrow."""

    def __init__(self, road):
        self.moves = [(step.name, target) for step in road for target in step.targets if target != END]
        self.line = [step.name for step in road if step.name not in (RESPOND, END)]
        self.width = GAP + len(self.line) * (BOX + GAP)
        self.bar = TOP + HEIGHT + 64
        self.parts = []

    def left(self, name):
        return GAP + self.line.index(name) * (BOX + GAP)

    def box(self, x, y, width, text, kind):
        self.parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{HEIGHT}" rx="6"/>')
        self.parts.append(f'<text x="{x + width / 2:g}" y="{y + HEIGHT / 2 + 5:g}">{escape(text)}</text>')

    def arrow(self, path):
        self.parts.append(f'<path class="move" d="{path}"/>')

    def is_back(self, source, target):
        return RESPOND not in (source, target) and self.line.index(target) < self.line.index(source)

    def move(self, source, target):
        middle = TOP + HEIGHT / 2
        if source == RESPOND:
            x = self.left(target) + BOX / 2
            self.arrow(f"M{x:g} {self.bar} V{TOP + HEIGHT + 5}")
        elif target == RESPOND:
            x = self.left(source) + BOX / 2
            self.arrow(f"M{x:g} {TOP + HEIGHT} V{self.bar - 5}")
        elif self.line.index(target) == self.line.index(source) + 1:
            self.arrow(f"M{self.left(source) + BOX} {middle:g} H{self.left(target) - 5}")
        else:
            start, end = self.left(source) + BOX / 2, self.left(target) + BOX / 2
            rise = TOP - 18 - 22 * abs(self.line.index(source) - self.line.index(target))
            self.arrow(f"M{start:g} {TOP} C{start:g} {rise} {end:g} {rise} {end:g} {TOP - 5}")

    def drawn(self):
        for source, target in self.moves:
            self.move(source, target)
        for name in self.line:
            self.box(self.left(name), TOP, BOX, name, "step")
        answered = [self.left(source) for source, target in self.moves if target == RESPOND]
        if answered:
            self.box(min(answered), self.bar, self.width - GAP - min(answered), "respond: an answer made here", "respond")
        back = [self.left(target) for source, target in self.moves if self.is_back(source, target)]
        if back:
            note = "before commit only: another attempt, on another key"
            self.parts.append(f'<text class="note" x="{min(back) + 1.5 * BOX + GAP:g}" y="20">{note}</text>')
        height = self.bar + HEIGHT + 16
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {height}" role="img" '
            f'aria-label="The steps of an exchange and the moves between them">\n'
            "<!-- Made from src/exchange/steps.def by scripts/doc-tables. -->\n"
            "<style>\n"
            "text { font: 14px sans-serif; text-anchor: middle; fill: #1f2933 }\n"
            ".note { font-size: 12px; fill: #52606d }\n"
            ".ground { fill: #ffffff }\n"
            ".step { fill: #e3f0fb; stroke: #2b6cb0 }\n"
            ".respond { fill: #fdf2e0; stroke: #b7791f }\n"
            ".move { fill: none; stroke: #52606d; marker-end: url(#tip) }\n"
            "</style>\n"
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0 L8 4 L0 8 z" fill="#52606d"/></marker></defs>\n'
            f'<rect class="ground" width="{self.width}" height="{height}"/>\n' + "\n".join(self.parts) + "\n</svg>\n"
        )


def picture():
    return Picture(steps()).drawn()
