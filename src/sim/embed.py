#!/usr/bin/env python3
"""Writes text files as rows {"name", "text"} of a C table: embed.py OUT FILE...

Each line of a file becomes a string of its own, so that the table can be read and a compiler's limit on one token is not met.
"""

import pathlib
import sys


def row(path):
    text = path.read_text(encoding="ascii")
    lines = [line.replace("\\", "\\\\").replace('"', '\\"') for line in text.splitlines()]
    literals = "\n".join(f'     "{line}\\n"' for line in lines)
    return f'    {{"{path.stem}",\n{literals}}},\n'


def main(out, *files):
    pathlib.Path(out).write_text("".join(row(pathlib.Path(name)) for name in files), encoding="ascii")


main(*sys.argv[1:])
