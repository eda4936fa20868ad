"""Reading *.def files, and finding documents that no longer say what the code's tables say."""

import importlib.machinery
import importlib.util
import os
import sys
import tempfile
import unittest
from unittest import mock

SCRIPTS = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
sys.path.insert(0, os.path.join(SCRIPTS, "lib"))
sys.dont_write_bytecode = True

import csource  # noqa: E402
import xmacro  # noqa: E402


def load(script):
    loader = importlib.machinery.SourceFileLoader(script.replace("-", "_"), os.path.join(SCRIPTS, script))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


class Rows(unittest.TestCase):
    def read(self, text, macro="ROW", **options):
        with tempfile.TemporaryDirectory() as root:
            with open(os.path.join(root, "x.def"), "w", encoding="utf-8") as file:
                file.write(text)
            return xmacro.rows("x.def", macro, root, **options)

    def test_strings_in_pieces_are_joined_and_keep_their_commas(self):
        self.assertEqual([["A", "one, (two) \"three\"", "30 * DAY"]], self.read('ROW(A, "one, (two) "\n  "\\"three\\"", 30 *\n DAY)'))

    def test_comments_and_other_macros_are_passed_over(self):
        self.assertEqual([["A"], ["B"]], self.read('/* ROW(X) */ ROW(A) // ROW(Y)\nARROW(Z) ROW_TOO(Q)\nROW(B)'))

    def test_rows_inside_a_directive_are_found_only_when_asked_for(self):
        text = '#define LIST(X) \\\n    X(A, "a") \\\n    X(B, "b")\nX(C, "c")\n'
        self.assertEqual([["C", "c"]], self.read(text, "X"))
        self.assertEqual([["A", "a"], ["B", "b"]], self.read(text, "X", in_directives=True))

    def test_columns_have_the_names_that_the_comment_gives_them(self):
        text = '/* Rows.\n *\n * ROW(id, may go\n *     to, "meaning") */\nROW(A, B | C, "x")\n'
        with tempfile.TemporaryDirectory() as root:
            with open(os.path.join(root, "x.def"), "w", encoding="utf-8") as file:
                file.write(text)
            self.assertEqual([{"id": "A", "may go to": "B | C", "meaning": "x"}], xmacro.records("x.def", "ROW", root))
            with open(os.path.join(root, "x.def"), "a", encoding="utf-8") as file:
                file.write("ROW(A, B)\n")
            with self.assertRaises(ValueError):
                xmacro.records("x.def", "ROW", root)

    def test_an_open_parenthesis_is_an_error(self):
        with self.assertRaises(ValueError):
            self.read("ROW(A, (B)")


class Documents(unittest.TestCase):
    def setUp(self):
        self.tables = load("doc-tables")

    def test_a_region_is_filled_and_the_rest_stays(self):
        text = "before\n<!-- table: failures -->\nold\n<!-- end of table -->\nafter\n"
        filled = self.tables.filled(text)
        self.assertTrue(filled.startswith("before\n<!-- table: failures -->\n| status |"))
        self.assertTrue(filled.endswith("<!-- end of table -->\nafter\n"))
        self.assertNotIn("old", filled)
        self.assertEqual(filled, self.tables.filled(filled))

    def test_an_unknown_table_is_an_error(self):
        with self.assertRaises(SystemExit):
            self.tables.filled("<!-- table: nonesuch -->\n<!-- end of table -->")

    def test_the_picture_has_every_step_and_move(self):
        drawn = self.tables.road.picture()
        for step in self.tables.road.steps():
            if step.name != "end":
                self.assertIn(f">{step.name}", drawn)
        moves = sum(target != "end" for step in self.tables.road.steps() for target in step.targets)
        self.assertEqual(moves, drawn.count('class="move"'))

    def test_a_pipe_does_not_end_a_cell(self):
        self.assertIn("a\\|b", self.tables.markdown(["h"], [["a|b"]]))

    def test_a_stale_document_is_told(self):
        stale = [("docs/x.md", "| old |\n", "| new |\n")]
        with mock.patch.object(self.tables, "wanted", lambda: iter(stale)), mock.patch.object(sys, "argv", ["x", "--check"]):
            with mock.patch.object(sys, "stdout") as out:
                self.assertEqual(1, self.tables.main())
        self.assertIn("-| old |\n", [line for call in out.writelines.call_args_list for line in call.args[0]])

    def test_dead_links_are_told(self):
        text = {"a.md": "[x](b.md) [y](#one-two) [z](https://x.example/) [u](gone.md) [v](#three)\n# One, two\n", "b.md": ""}
        with mock.patch.object(self.tables, "documents", lambda: iter(["a.md"])), \
                mock.patch.object(self.tables.csource, "read", lambda root, path: text.get(path, "")), \
                mock.patch.object(self.tables.xmacro, "exists", lambda path: path in text):
            self.assertEqual(["a.md: gone.md leads nowhere", "a.md: #three names no heading of a.md"],
                             list(self.tables.dead_links()))

    def test_every_table_of_the_code_stands_in_a_document(self):
        text = "".join(csource.read(csource.ROOT, path) for path in self.tables.documents())
        for name in self.tables.TABLES:
            if name != "settings-pools":
                self.assertTrue(f"<!-- table: {name} -->" in text, f"no document has the table {name}")


if __name__ == "__main__":
    unittest.main()
