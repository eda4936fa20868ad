"""Reads tables of the form NAME(argument, "text " "in pieces", ...) out of *.def files."""

import os
import re

import csource


def _arguments(text, start):
    """The arguments of the parenthesis that opens at `start`, and where it closes."""
    arguments, depth, begin, index = [], 0, start + 1, start
    while index < len(text):
        if text[index] in "\"'":
            index = csource.string_end(text, index)
            continue
        if text[index] in "([{":
            depth += 1
        elif text[index] in ")]}":
            depth -= 1
        if depth == 0 or (depth == 1 and text[index] == ","):
            arguments.append(text[begin:index].strip())
            begin = index + 1
        if depth == 0:
            return arguments, index
        index += 1
    raise ValueError(f"unbalanced parentheses after {text[start:start + 60]!r}")


_PIECE = re.compile(r'"((?:\\.|[^"\\])*)"')


def value(argument):
    """A string literal's text, joined from its pieces; anything else as it stands."""
    if argument.startswith('"'):
        joined = "".join(_PIECE.findall(argument))
        return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match.group(1), match.group(1)), joined)
    return re.sub(r"\s+", " ", argument)


def placed_rows(path, macro, root=csource.ROOT, in_directives=False):
    """(position, row) of each row MACRO(...) of a table; comments are passed over.

    `in_directives` looks for them inside directives (a list that is itself a macro) and nowhere else.
    """
    text = csource.without_comments(csource.read(root, path))
    text = csource.directives_only(text) if in_directives else csource.without_directives(text)
    found, index = [], 0
    pattern = re.compile(rf"\b{macro}\s*\(")
    while match := pattern.search(text, index):
        arguments, index = _arguments(text, match.end() - 1)
        found.append((match.start(), [value(argument) for argument in arguments]))
    return found


def rows(path, macro, root=csource.ROOT, in_directives=False):
    """The rows MACRO(...) of a table, each a list of texts, in their order."""
    return [row for _, row in placed_rows(path, macro, root, in_directives)]


def columns(path, macro, root=csource.ROOT):
    """The names of a table's columns, as the comment at its head gives them: MACRO(name, name, ...)."""
    for comment in csource.comments(csource.read(root, path)):
        if match := re.search(rf"(?<!\w){macro}\(([^()]*)\)", comment):
            return [re.sub(r"[\s*]+", " ", name).strip().strip('"') for name in match.group(1).split(",")]
    raise ValueError(f"{path}: no comment names the columns of {macro}(...)")


def records(path, macro, root=csource.ROOT):
    """The rows of a table as dictionaries by the names of its columns."""
    names = columns(path, macro, root)
    found = []
    for row in rows(path, macro, root):
        if len(row) != len(names):
            raise ValueError(f"{path}: {macro}({row[0]}, ...) has {len(row)} columns, its comment names {len(names)}")
        found.append(dict(zip(names, row)))
    return found


def exists(path, root=csource.ROOT):
    return os.path.exists(os.path.join(root, path))
