"""The settings of the configuration file as rows for the documents, out of src/tables/settings.def."""

import re

import csource
import xmacro

PATH = "src/tables/settings.def"

# What a reader calls the types whose names say more to the program than to a person.
TYPES = {
    "addresses": "address or list", "large": "number", "signed": "number", "path": "file", "networks": "list of networks",
    "boolean": "true or false", "share": "share, `5%`", "duration": "duration", "after": "`p95` or duration", "size": "size", "patterns": "list of patterns", "windows": "list of hours", "aliases": "list of names",
    "client_secret": "secret", "client_sha256": "hex digits", "open": "true or false", "direct": "true or false",
    "never": "false", "time": "date or time", "keys_from": "list of references", "field_names": "list of names", "regions": "map of URLs", "zones": "map of names",
    "headers": "map", "url_path": "path", "target": "PROVIDER/MODEL", "fallback": "list of PROVIDER/MODEL",
    "model": "model", "use": "model or PROVIDER/MODEL", "uses": "list of models", "able": "true or false", "decimal": "number", "signed_decimal": "number", "pool": "name", "log_file": "file", "workers": "number or `auto`", "token_url": "URL", "scope": "text", "issuer_url": "URL", "body": "map", "pointer": "JSON pointer",
    "argv": "list", "environment": "map", "issuer_find": "true or false", "usd": "number", "key_name": "name", "ratio": "number", "seal_key": "`file:PATH`", "store": "`sqlite:PATH` or `none`", "above": "number",
    "service_account": "secret", "kind": "word",
}


def groups():
    """{group: [(macro, arguments)]} in the order of the file."""
    found = {}
    for macro in ("ROW", "WORD", "WORD_TEXT", "WORDS", "PART", "PARTS", "LATER"):
        for position, row in xmacro.placed_rows(PATH, macro):
            found.setdefault(row[0], []).append((position, macro, row))
    return {group: [row[1:] for row in sorted(rows)] for group, rows in found.items()}


def words():
    """{list: its words that are built}, as the tables of struct conf_word in src/conf/schema.c say."""
    text = csource.without_comments(csource.read(csource.ROOT, "src/conf/schema.c"))
    tables = re.findall(r"struct conf_word (\w+)_words\[\] = \{(.*?)\n\};", text, re.DOTALL)
    return {name: re.findall(r'TEXT\("([^"]*)"\), \w+, true', body) for name, body in tables}


def flat(part=None):
    """(path, type, default, meaning) of every setting that is built below the root's `part`."""
    table, lists = groups(), words()

    def walk(group, prefix):
        for macro, row in table[group]:
            name = prefix + row[1]
            if macro == "ROW":
                _, _, _, kind, default, _, _, meaning = row
                yield name, TYPES.get(kind, kind.replace("_", " ")), default, meaning
            elif macro in ("WORD", "WORD_TEXT", "WORDS"):
                _, _, _, kind, default, meaning = row
                known = ", ".join(f"`{word}`" for word in lists[kind])
                yield name, ("some of " if macro == "WORDS" else "") + known, default, meaning
            elif macro in ("PART", "PARTS"):
                kind, inner, meaning = row[3], row[4], row[-1]
                yield name, {"group": "map", "optional": "map", "several": "map, or list of maps", "revoke": "map, or true or false", "map": "map by name"}.get(kind, "list"), "NULL", meaning
                if kind in ("group", "optional", "several", "revoke"):
                    yield from walk(inner, name + ".")
                elif kind == "map":
                    yield from walk(inner, name + ".NAME.")
                else:
                    yield from walk(inner, name + "[].")

    return [row for row in walk("root", "") if part is None or row[0].split(".")[0].rstrip("[]") == part]


def later():
    """The names of the settings that are recognised and not built yet, as paths."""
    table = groups()

    def walk(group, prefix):
        for macro, row in table[group]:
            if macro == "LATER":
                yield prefix + row[1]
            elif macro in ("PART", "PARTS"):
                middle = {"group": ".", "optional": ".", "several": ".", "revoke": ".", "map": ".NAME."}.get(row[3], "[].")
                yield from walk(row[4], prefix + row[1] + middle)

    return list(walk("root", ""))


def parts():
    return [row[1] for macro, row in groups()["root"] if macro == "PART"]
