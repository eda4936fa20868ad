"""The table that a person reads, and the comparison with an earlier run."""

import json

COLUMNS = (("what", 60), ("none", 10), ("nginx", 10), ("bellwether", 11), ("ratio", 7), ("target", 8), ("", 5))


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}"


def _row(cells):
    return "  ".join(str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                     for i, (cell, (_, width)) in enumerate(zip(cells, COLUMNS))).rstrip()


def header():
    return _row([name for name, _ in COLUMNS])


def _target(line):
    if line.target is None:
        return ""
    return ("<= " if line.at_most else ">= ") + f"{line.target:g}"


def _spread(line):
    """The lowest and highest ratio of single rounds: how far one round alone might have led astray."""
    ours, theirs = line.rounds.get("bellwether"), line.rounds.get(line.reference)
    if not ours or not theirs or len(ours) != len(theirs) or not all(theirs):
        return ""
    ratios = [a / b for a, b in zip(ours, theirs)]
    return f"ratio by round {min(ratios):.2f} to {max(ratios):.2f}"


def _bottleneck(line):
    """Per subject: whose core was full, and what each side took of its core."""
    said = []
    for label, found in line.bottleneck.items():
        sides = [f"proxy {found['proxy']:.0%}"] if found["proxy"] else []
        sides += [f"load {found['load']:.0%}", f"mock {found['mock']:.0%}"]
        noise = found["others_on_proxy_core"] + found["others_on_load_core"]
        sides += [f"others {noise:.0%}"] if noise > 0.05 else []
        sides += [f"stolen {found['stolen']:.0%}"] if found["stolen"] > 0.02 else []
        said.append(f"    {'no proxy' if label == 'none' else label}: {found['is']} was full ({', '.join(sides)})")
    return said


def show(line, with_bottleneck):
    """The line of the table and what has to be known about it, as text."""
    reference = line.reference or "nginx"
    verdict = {True: "holds", False: "FAILS", None: ""}[line.holds]
    text = [_row([f"{line.what} [{line.unit}]", number(line.median("none")), number(line.median(reference)),
                  number(line.median("bellwether")), number(line.compared if line.reference else None), _target(line),
                  verdict])]
    spread = _spread(line)
    text += [f"    {spread}"] if spread else []
    text += _bottleneck(line) if with_bottleneck else []
    return "\n".join(text + [f"    {note}" for note in line.notes])


def compare(old_path, lines):
    """This run beside an earlier one (written by --json)."""
    with open(old_path, encoding="utf-8") as file:
        old = {(line["row"], line["what"]): line for line in json.load(file)["lines"]}
    text = [f"\nagainst {old_path} (a value below 1 is less of it now; nginx says how far the machine itself moved)"]
    for line in lines:
        then = old.get((line.row, line.what))
        if then is None:
            continue
        parts = []
        for subject in ("nginx", "bellwether"):
            before, now = then["medians"].get(subject), line.median(subject)
            if before and now:
                parts.append(f"{subject} {number(before)} -> {number(now)} (x{now / before:.2f})")
        if then["compared"] and line.compared and line.reference:
            parts.append(f"ratio {then['compared']:.2f} -> {line.compared:.2f}")
        text.append(f"{line.what} [{line.unit}]: " + ", ".join(parts))
    return "\n".join(text)
