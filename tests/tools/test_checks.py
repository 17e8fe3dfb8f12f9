"""Each check in tools/ is fed a bad sample and must name it, and a good one and must be silent."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def findings(root: Path, check: str) -> str:
    """What a check prints of the tree at `root`; its exit status must agree with it."""
    command = [str(ROOT / "tools" / check), "--root", str(root)]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == (1 if process.stdout else 0), process.stderr
    return process.stdout


@pytest.mark.parametrize(
    "name, text, rule",
    [
        ("include/bulkhead/base/x.h", "\n" * 151, "file-lines"),
        ("src/base/x.c", "\n" * 801, "file-lines"),
        ("src/base/x.c", "int " + "x" * 100 + ";\n", "columns"),
        ("src/base/x.c", "int f(void)\n{\n" + "    f();\n" * 69 + "}\n", "function-lines"),
    ],
)
def test_sizes_finds_what_is_too_large(tmp_path: Path, name: str, text: str, rule: str) -> None:
    write(tmp_path, name, text)
    assert f"[{rule}]" in findings(tmp_path, "check-sizes")


def test_sizes_accepts_what_is_at_the_limit(tmp_path: Path) -> None:
    write(tmp_path, "include/bulkhead/base/x.h", "\n" * 150)
    write(tmp_path, "src/base/x.c", "int f(void)\n{\n" + "    f();\n" * 68 + "}\n" + "\n" * 729)
    write(tmp_path, "src/base/y.c", "int " + "ö" * 95 + ";\n")
    assert findings(tmp_path, "check-sizes") == ""


def test_sizes_names_the_function(tmp_path: Path) -> None:
    head = (
        'int first(void)\n{\n    return sizeof("}");\n}\n\nstatic int BH_X long_one(int (*f)(int),'
    )
    write(tmp_path, "src/base/x.c", head + "\n    int b)\n{\n" + "    f(0);\n" * 80 + "}\n")
    assert "long_one has 82 lines" in findings(tmp_path, "check-sizes")


def test_an_allowed_exception_is_silent_and_a_stale_one_is_found(tmp_path: Path) -> None:
    write(tmp_path, "src/base/table.c", "\n" * 900)
    write(tmp_path, "src/base/small.c", "\n")
    allowed = "check-sizes file-lines src/base/table.c # generated"
    write(tmp_path, "tools/allow-list.txt", f"{allowed}\n")
    assert findings(tmp_path, "check-sizes") == ""
    stale = "check-sizes file-lines src/base/small.c # was large once"
    write(tmp_path, "tools/allow-list.txt", f"{allowed}\n{stale}\n")
    assert "[stale]" in findings(tmp_path, "check-sizes")


LAYER_FILES = {
    "include/bulkhead/base/str.h": "",
    "include/bulkhead/loop/loop.h": "#include <bulkhead/base/str.h>\n",
    "include/bulkhead/http/server.h": '#include "bulkhead/loop/loop.h"\n',
    "include/bulkhead/db/db.h": '#include "bulkhead/loop/loop.h"\n',
    "include/bulkhead/runtime/health.h": '#include "bulkhead/http/server.h"\n',
    "src/http/parser.h": "",
    "src/http/parser.c": '#include "http/parser.h"\n',
    "services/one/routes.h": "",
    "services/one/sub/handler.c": '#include "bulkhead/http/server.h"\n#include "routes.h"\n',
    "services/two/routes.h": "",
    "tests/unit/http/test_parser.c": '#include "../../../src/http/parser.h"\n',
}


def test_layers_accepts_the_house_order(tmp_path: Path) -> None:
    for name, text in LAYER_FILES.items():
        write(tmp_path, name, text)
    assert findings(tmp_path, "check-layers") == ""


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("src/base/a.c", '#include "bulkhead/loop/loop.h"\n', "base must not include loop"),
        ("src/loop/a.c", '#include "bulkhead/http/server.h"\n', "loop must not include http"),
        ("src/http/a.c", '#include "bulkhead/db/db.h"\n', "http must not include db"),
        ("src/db/a.c", '#include "bulkhead/runtime/health.h"\n', "db must not include runtime"),
        ("src/runtime/a.c", '#include "one/routes.h"\n', ""),
        ("src/db/a.c", '#include "../../services/one/routes.h"\n', "must not include a service"),
        ("services/one/a.c", '#include "http/parser.h"\n', "public headers only"),
        ("services/one/a.c", '#include "two/routes.h"\n', "must not include services/two"),
        ("src/http/a.c", '#include "../../tests/t.h"\n', "must not include tests/t.h"),
        ("src/http/a.c", '# include "parser.c"\n', "includes parser.c"),
        ("src/strange/a.c", '#include "bulkhead/base/str.h"\n', "unknown layer strange"),
        ("src/http/a.c", '/* #include "bulkhead/db/db.h" */\n', ""),
    ],
)
def test_layers_finds_a_wrong_include(tmp_path: Path, name: str, text: str, message: str) -> None:
    for other, content in LAYER_FILES.items():
        write(tmp_path, other, content)
    write(tmp_path, "tests/t.h", "")
    write(tmp_path, name, text)
    output = findings(tmp_path, "check-layers")
    assert message in output if message else output == ""


def test_layers_finds_a_cycle_between_files(tmp_path: Path) -> None:
    write(tmp_path, "src/http/a.h", '#include "http/b.h"\n')
    write(tmp_path, "src/http/b.h", '#include "c.h"\n')
    write(tmp_path, "src/http/c.h", '#include "http/a.h"\n')
    assert "a.h → b.h → c.h → a.h [cycle]" in findings(tmp_path, "check-layers")


@pytest.mark.parametrize(
    "call", ["strcpy(a, b)", "sprintf (a, b)", "return atoi(a)", "(void)localtime(&a)", "usleep(1)"]
)
def test_banned_finds_a_call(tmp_path: Path, call: str) -> None:
    write(tmp_path, "src/base/x.c", f"void f(void)\n{{\n    {call};\n}}\n")
    assert "src/base/x.c:3: " in findings(tmp_path, "check-banned")


def test_banned_ignores_comments_strings_and_members(tmp_path: Path) -> None:
    text = '/* strcpy(a) */ // gets()\nint a = f("system(1)", \'"\', x.rand(), y->signal());\n'
    write(tmp_path, "src/base/x.c", text + "int my_strcpy(int);\n")
    assert findings(tmp_path, "check-banned") == ""


@pytest.mark.parametrize(
    "name, text, rule",
    [
        ("src/x.c", "int  x;\n", "clang-format"),
        ("src/x.c", "int x; \n", "whitespace"),
        ("a.md", "text\t\n", "whitespace"),
        ("a.py", "x = 1", "end-of-file"),
        ("a.sql", "SELECT 1\n\n", "end-of-file"),
    ],
)
def test_format_finds_bad_white_space(tmp_path: Path, name: str, text: str, rule: str) -> None:
    shutil.copy(ROOT / ".clang-format", tmp_path)
    write(tmp_path, name, text)
    assert f"[{rule}]" in findings(tmp_path, "check-format")


def compile_commands(root: Path, name: str) -> None:
    shutil.copy(ROOT / ".clang-tidy", root)
    entry = {"directory": str(root), "file": name, "command": f"clang -c {name}"}
    write(root, "build/fuzz/compile_commands.json", json.dumps([entry]))


@pytest.mark.parametrize(
    "body, rule",
    [
        ("int *p = 0;\n    return *p + a;", "clang-analyzer-core.NullDereference"),
        ("if (a);\n    return 1;", "bugprone-suspicious-semicolon"),
        ("return a; // NOLINT", "nolint"),
        ("return a; // NOLINT(bugprone-x)", "nolint"),
    ],
)
def test_tidy_finds_a_bug(tmp_path: Path, body: str, rule: str) -> None:
    write(tmp_path, "src/x.c", f"int f(int a);\nint f(int a)\n{{\n    {body}\n}}\n")
    compile_commands(tmp_path, "src/x.c")
    assert f"[{rule}" in findings(tmp_path, "check-tidy")


def test_tidy_looks_again_after_a_header_changed(tmp_path: Path) -> None:
    write(tmp_path, "src/x.h", "#define DIVISOR 1\n")
    write(
        tmp_path,
        "src/x.c",
        '#include "x.h"\nint f(int a);\nint f(int a)\n{\n    return a / DIVISOR;\n}\n',
    )
    compile_commands(tmp_path, "src/x.c")
    assert findings(tmp_path, "check-tidy") == ""
    write(tmp_path, "src/x.h", "#define DIVISOR (1 - 1)\n")
    assert "src/x.c:5: " in findings(tmp_path, "check-tidy")


def test_cppcheck_finds_a_bug(tmp_path: Path) -> None:
    write(tmp_path, "src/x.c", "int f(void)\n{\n    int a[2] = { 0, 0 };\n    return a[2];\n}\n")
    compile_commands(tmp_path, "src/x.c")
    assert "[arrayIndexOutOfBounds]" in findings(tmp_path, "check-cppcheck")


@pytest.mark.parametrize(
    "text, rule",
    [("x  =  1\n", "black"), ("def f(x):\n    return x\n", "no-untyped-def"), ("def f(:\n", "")],
)
def test_python_finds_bad_code(tmp_path: Path, text: str, rule: str) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    write(tmp_path, "bench/x.py", text)
    assert f"[{rule}" in findings(tmp_path, "check-python")


@pytest.mark.parametrize(
    "name, text, rule",
    [
        ("a.md", "see /ro" "ot/notes.txt\n", "machine-path"),
        ("src/a.c", 'open("/ho' 'me/me/x");\n', "machine-path"),
        ("src/a.c", "/* TO" "DO: later */\n", "unfinished"),
        ("package-lock.json", '{"resolved": "https://example.com/x.tgz"}\n', "address"),
    ],
)
def test_words_finds_what_has_no_place(tmp_path: Path, name: str, text: str, rule: str) -> None:
    write(tmp_path, name, text)
    assert f"[{rule}]" in findings(tmp_path, "check-words")


def test_words_accepts_ordinary_text(tmp_path: Path) -> None:
    write(
        tmp_path, "a.md", "GET /work, build/root/x, ~/home/x, $HOME/work/x, XXXX, mkstemp(XXXXXX)\n"
    )
    assert findings(tmp_path, "check-words") == ""
