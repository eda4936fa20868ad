"""The gates, each shown a small tree that keeps its rule and one that breaks it."""

import os
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts")

LAYERS = """
layer cli
layer road
layer wire choice
layer base
pure choice
outside sim: wire base
only cli includes sim
"""


class Gate(unittest.TestCase):
    """Writes a tree, runs a gate over it, gives its exit status and lines."""

    script = None

    def run_on(self, files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in {"src/layers.txt": LAYERS, **files}.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            done = subprocess.run(
                [sys.executable, os.path.join(SCRIPTS, self.script), root], capture_output=True, text=True, check=False
            )
        self.assertEqual("", done.stderr)
        return done.returncode, done.stdout.splitlines()

    def assert_passes(self, files):
        status, lines = self.run_on(files)
        self.assertEqual((0, 1), (status, sum(line.startswith(self.script[6:]) for line in lines)), lines)

    def assert_refuses(self, files, *expected):
        status, lines = self.run_on(files)
        self.assertEqual(1, status, lines)
        for text in expected:
            self.assertTrue(any(text in line for line in lines), f"{text!r} not in {lines}")


class Layers(Gate):
    script = "check-layers"

    def test_lower_layers_own_folder_and_system_headers_pass(self):
        self.assert_passes(
            {
                "src/road/road.c": '#include "road/road.h"\n#include "base/x.h"\n#include "wire/w.h"\n#include <time.h>\n',
                "src/cli/main.c": '#include "sim/sim.h"\n#include "road/road.h"\n',
                "src/sim/sim.c": '#include "wire/w.h"\n',
            }
        )

    def test_a_layer_above_or_beside_is_refused(self):
        self.assert_refuses(
            {"src/base/x.c": '\n#include "wire/w.h"\n', "src/wire/w.c": '#include "choice/c.h"\n'},
            "src/base/x.c:2: includes wire/w.h: wire/ stands above base/",
            "src/wire/w.c:1: includes choice/c.h: choice/ stands beside wire/",
        )

    def test_an_include_in_a_comment_is_none(self):
        self.assert_passes({"src/base/x.c": '/*\n#include "wire/w.h"\n*/\n// #include "road/road.h"\n'})

    def test_folders_outside_the_layers_keep_to_their_list(self):
        self.assert_refuses(
            {"src/sim/sim.c": '#include "choice/c.h"\n', "src/road/road.c": '#include "sim/sim.h"\n'},
            "sim/ may include only base, wire",
            "only cli may include sim/",
        )

    def test_a_folder_that_no_layer_names_is_refused(self):
        self.assert_refuses({"src/stray/s.c": "int x;\n"}, "stray/ stands in no layer")

    def test_dots_do_not_get_past_it(self):
        self.assert_refuses({"src/base/x.c": '#include "../wire/w.h"\n'}, "without dots")

    def test_a_pure_folder_asks_the_system_for_nothing(self):
        self.assert_refuses(
            {
                "src/choice/c.c": "#include <sys/socket.h>\n"
                "int f(void)\n{\n    return clock_gettime(0, 0) + getrandom(0, 0, 0) + (int)time(0);\n}\n"
            },
            "includes <sys/socket.h>",
            "calls clock_gettime()",
            "calls getrandom()",
            "calls time()",
        )

    def test_a_pure_folder_may_use_such_words(self):
        self.assert_passes(
            {
                "src/choice/c.c": '/* time(0) */\nint f(struct o *o)\n{\n    return o->read(o) + say("time(0)") + time;\n}\n',
                "src/choice/own.c": "static int read(int x)\n{\n    return x;\n}\nint g(int x)\n{\n    return read(x);\n}\n",
            }
        )


class Size(Gate):
    script = "check-size"

    @staticmethod
    def function(lines, line="    x++;\n"):
        return "static int f(int x)\n{\n" + line * (lines - 3) + "}\n"

    def test_a_hundred_lines_pass_and_one_more_does_not(self):
        self.assert_passes({"src/base/x.c": self.function(100)})
        self.assert_refuses({"src/base/x.c": self.function(101)}, "src/base/x.c:1: f() has 101 lines")

    def test_branches_are_counted(self):
        self.assert_passes({"src/base/x.c": self.function(27, "    if (x) x++;\n")})
        self.assert_refuses({"src/base/x.c": self.function(28, "    if (x) x++;\n")}, "f() has 26 branches")

    def test_a_switch_is_one_branch(self):
        cases = "".join(f"    case {n}: return {n};\n" for n in range(40))
        self.assert_passes({"src/base/x.c": "int f(int x)\n{\n    switch (x) {\n" + cases + "    }\n    return 0;\n}\n"})

    def test_a_file_of_a_thousand_lines_passes_and_one_more_does_not(self):
        self.assert_passes({"src/base/x.h": "\n" * 1000})
        self.assert_refuses({"src/base/x.h": "\n" * 1001}, "src/base/x.h: 1001 lines")

    def test_braces_in_strings_comments_and_initialisers_do_not_confuse_it(self):
        text = (
            'static const char *const t[] = {"}", "{{"};\n/* { */\n'
            "__attribute__((format(printf, 1, 2))) int named(const char *f, ...)\n{\n    return t[0][0] == '{';\n}\n"
        )
        self.assert_refuses(
            {"src/base/x.c": text + self.function(101).replace(" f(", " longer(")}, "x.c:7: longer() has 101"
        )


class Style(Gate):
    script = "check-style"

    def test_a_plain_file_passes(self):
        self.assert_passes(
            {
                "src/base/x.h": "/* Numbers. */\n#ifndef X_H\n#define X_H\n\nstruct x {\n    int value;\n};\n\n"
                "/* The value doubled. */\nint x_double(const struct x *x);\n\nvoid x_free(struct x **x);\n\n#endif\n",
                "src/base/x.c": "static const int table[] = {1, 2};\nint x_double(const struct x *x)\n{\n"
                "    return x->system(1) + table[0];\n}\n",
            }
        )

    def test_banned_functions_are_refused(self):
        self.assert_refuses(
            {"src/base/x.c": "int f(char *a, char *b)\n{\n    strcpy(a, b);\n    return atoi(a);\n}\n"},
            "x.c:3: strcpy() is banned",
            "x.c:4: atoi() is banned",
        )

    def test_clock_random_bytes_and_heap_belong_to_base(self):
        body = "int f(void)\n{\n    return clock_gettime(0, 0) + getrandom(0, 0, 0) + !malloc(1);\n}\n"
        self.assert_refuses({"src/wire/x.c": body}, "clock_gettime()", "getrandom()", "malloc()")
        self.assert_passes({"bench/x.c": body})

    def test_state_at_file_scope_needs_a_reason(self):
        self.assert_refuses({"src/base/x.c": "static int count;\n"}, "x.c:1: mutable state")
        self.assert_refuses({"src/base/x.c": "static struct map map = {0};\n"}, "x.c:1: mutable state")
        self.assert_passes({"src/base/x.c": "/* One for all: no owner is at hand. */\nstatic int count;\n"})
        self.assert_passes({"src/server/x.c": "static int count;\n"})

    def test_headers_say_what_they_are(self):
        self.assert_refuses(
            {"src/base/x.h": "#ifndef X_H\n#define X_H\n\nint x_open(int id);\n\nbool x_is_open(int id);\n\n#endif\n"},
            "a header opens with a paragraph",
            "x.h:4: a prototype that can fail",
        )

    def test_a_struct_is_spelled_out(self):
        self.assert_refuses({"src/base/x.c": "typedef struct {\n    int a;\n} x;\n"}, "a typedef hides a struct")

    def test_unfinished_work_is_refused(self):
        self.assert_refuses({"src/base/x.c": "/* TO" "DO: the rest */\n"}, "unfinished work")

    def test_a_reason_lifts_a_rule(self):
        self.assert_passes(
            {"src/base/x.c": "int f(void)\n{\n    /* style: a child process is what this tests */\n    return system(0);\n}\n"}
        )


if __name__ == "__main__":
    unittest.main()
