"""Reads C just well enough for the gates: comments, strings, tokens, functions and file-scope declarations.

No preprocessor and no types: directives are blanked, so of two branches of an #if both are read. That is enough to hold a
tree to its own rules, and it needs nothing but Python.
"""

import os
import re
from dataclasses import dataclass, field

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ("src", "tests", "fuzz", "bench")

_LEXEMES = re.compile(
    r'//(?:\\\n|[^\n])*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL
)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.MULTILINE)
_TOKEN = re.compile(r"[A-Za-z_]\w*|\d[\w.]*|&&|\|\||->|\+\+|--|[-+*/%&|^=!<>]=|<<|>>|\S")


def _blank(text, keep=""):
    """The same number of lines and columns, with nothing on them but `keep` at either end."""
    blanked = re.sub(r"[^\n]", " ", text)
    return keep + blanked[1:-1] + keep if keep and len(text) >= 2 else blanked


def without_comments(text):
    def replace(match):
        lexeme = match.group(0)
        return _blank(lexeme) if lexeme.startswith(("//", "/*")) else lexeme

    return _LEXEMES.sub(replace, text)


def comments(text):
    return [match.group(0) for match in _LEXEMES.finditer(text) if match.group(0).startswith(("//", "/*"))]


def without_directives(text):
    return _DIRECTIVE.sub(lambda match: _blank(match.group(0)), text)


def directives_only(text):
    return "\n".join(match.group(0).replace("\\\n", "\n") for match in _DIRECTIVE.finditer(text))


def string_end(text, start):
    """The index behind the string or character literal that opens at `start`."""
    match = _LEXEMES.match(text, start)
    return match.end() if match else start + 1


def code_only(text):
    """Comments and directives blanked, strings emptied: what is left are the tokens of the language."""

    def replace(match):
        lexeme = match.group(0)
        return _blank(lexeme) if lexeme.startswith(("//", "/*")) else _blank(lexeme, lexeme[0])

    return without_directives(_LEXEMES.sub(replace, text))


@dataclass
class Token:
    text: str
    line: int


def tokens(text):
    """The tokens of `text`, which code_only() has gone over."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        found.extend(Token(match.group(0), number) for match in _TOKEN.finditer(line))
    return found


def calls(stream, names):
    """The tokens that call one of `names` directly, not through a member."""
    for before, token, following in zip([Token("", 0), *stream], stream, stream[1:]):
        if token.text in names and following.text == "(" and before.text not in (".", "->"):
            yield token


@dataclass
class Function:
    name: str
    path: str
    first_line: int
    last_line: int
    body: list = field(repr=False, default_factory=list)

    @property
    def lines(self):
        return self.last_line - self.first_line + 1

    @property
    def complexity(self):
        """McCabe's number, where a switch counts once however many cases it has: a flat table is easy to read."""
        return 1 + sum(
            token.text in ("if", "for", "while", "switch", "&&", "||", "?") for token in self.body
        )


@dataclass
class Declaration:
    """What stands at file scope and is no function with a body: its tokens without the final semicolon."""

    tokens: list
    path: str

    @property
    def line(self):
        return self.tokens[0].line

    @property
    def words(self):
        return [token.text for token in self.tokens]


def _closing(stream, start, opening, closing):
    depth = 0
    for index in range(start, len(stream)):
        if stream[index].text == opening:
            depth += 1
        elif stream[index].text == closing:
            depth -= 1
            if depth == 0:
                return index
    return len(stream) - 1


def _name(head):
    """The name of the function whose head this is: the last word before a parenthesis that is no attribute."""
    depth = 0
    name = None
    for index, token in enumerate(head):
        if token.text == "(":
            before = head[index - 1].text if index else ""
            if depth == 0 and re.match(r"[A-Za-z_]\w*$", before) and not before.startswith("__attr"):
                name = name or before
            depth += 1
        elif token.text == ")":
            depth -= 1
    return name


def parse(path, text):
    """The functions and the declarations of a file."""
    stream = tokens(code_only(text))
    functions, declarations = [], []
    head = []
    index = 0
    while index < len(stream):
        token = stream[index]
        if token.text == "{":
            end = _closing(stream, index, "{", "}")
            words = [part.text for part in head]
            if head and words[-1] == ")" and "=" not in words and _name(head):
                function = Function(_name(head), path, head[0].line, stream[end].line)
                function.body = stream[index : end + 1]
                functions.append(function)
                head = []
            else:
                head.append(Token("{}", token.line))
            index = end + 1
            continue
        if token.text == ";":
            if head:
                declarations.append(Declaration(head, path))
            head = []
        else:
            head.append(token)
        index += 1
    return functions, declarations


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def source_files(root=ROOT, folders=FOLDERS, endings=(".c", ".h")):
    """Paths below `root`, sorted, of the C files in those folders."""
    found = []
    for folder in folders:
        for directory, subdirectories, names in os.walk(os.path.join(root, folder)):
            subdirectories[:] = sorted(d for d in subdirectories if d not in ("node_modules", "__pycache__"))
            found.extend(
                os.path.relpath(os.path.join(directory, name), root)
                for name in sorted(names)
                if name.endswith(endings)
            )
    return found
