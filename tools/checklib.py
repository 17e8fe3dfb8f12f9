"""What the source checks share: the list of our files, C source without comments and strings, the
allow-list, and how findings are printed.

A finding is `path:line: text [rule]`. A check exits 1 when it has any. `tools/allow-list.txt` holds
the exceptions, each with its reason; an entry that no longer excuses anything is a finding itself.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ALLOW_LIST = "tools/allow-list.txt"
C_SUFFIXES = (".c", ".h")


class Check:
    """One run of one check over one tree."""

    def __init__(self, name: str, description: str) -> None:
        parser = argparse.ArgumentParser(prog=f"tools/{name}", description=description)
        parser.add_argument(
            "--root",
            type=Path,
            default=Path(__file__).resolve().parent.parent,
            help="the tree to look at (default: this one)",
        )
        self.name = name
        self.root: Path = parser.parse_args().root.resolve()
        self.findings: list[str] = []
        self.allowed = self._read_allow_list()
        self.used: set[tuple[str, str]] = set()

    def _read_allow_list(self) -> dict[tuple[str, str], int]:
        """(rule, place) → line number, for the entries that name this check."""
        path = self.root / ALLOW_LIST
        entries: dict[tuple[str, str], int] = {}
        if not path.exists():
            return entries
        for number, line in enumerate(path.read_text().splitlines(), 1):
            words, _, reason = line.partition("#")
            fields = words.split()
            if not fields:
                continue
            if len(fields) != 3 or not reason.strip():
                sys.exit(f"{ALLOW_LIST}:{number}: wants `check rule place # reason`")
            if fields[0] == self.name:
                entries[(fields[1], fields[2])] = number
        return entries

    def find(self, path: Path, line: int, rule: str, text: str, symbol: str = "") -> None:
        """Records a finding, unless `path` or `path:symbol` is allowed to break `rule`."""
        relative = path.relative_to(self.root).as_posix()
        for place in (relative, f"{relative}:{symbol}"):
            if (rule, place) in self.allowed:
                self.used.add((rule, place))
                return
        self.findings.append(f"{relative}:{line}: {text} [{rule}]")

    def finish(self) -> None:
        """Prints what was found and ends the program."""
        for (rule, place), number in self.allowed.items():
            if (rule, place) not in self.used:
                self.findings.append(
                    f"{ALLOW_LIST}:{number}: {place} keeps {rule}; remove the entry [stale]"
                )
        for finding in self.findings:
            print(finding)
        if self.findings:
            sys.exit(f"{self.name}: {len(self.findings)} finding(s)")

    def files(self, *suffixes: str) -> list[Path]:
        """Our files with these suffixes (all when none is given): what git tracks or would track;
        without git, what is there outside of build/."""
        git = subprocess.run(
            ["git", "-C", self.root, "ls-files", "-z", "-co", "--exclude-standard"],
            capture_output=True,
            text=True,
        )
        if git.returncode == 0:
            paths = [self.root / name for name in git.stdout.split("\0") if name]
        else:
            paths = [p for p in self.root.rglob("*") if "build" not in p.parts]
        paths = [p for p in paths if p.is_file() and not p.is_symlink()]
        return sorted(p for p in paths if not suffixes or p.name.endswith(suffixes))


def compiled_files(check: Check, build: str) -> list[tuple[Path, dict[str, Any]]]:
    """Our C files of a build folder's compile_commands.json, with their entries."""
    database = check.root / build / "compile_commands.json"
    if not database.exists():
        sys.exit(f"{check.name}: no {database}; `make check` makes that build")
    ours = set(check.files(".c"))
    entries: dict[Path, dict[str, Any]] = {}
    for entry in json.loads(database.read_text()):
        path = (Path(entry["directory"]) / entry["file"]).resolve()
        if path in ours:
            entries.setdefault(path, entry)
    return sorted(entries.items())


C_TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""",
    re.DOTALL,
)


def blank(text: str) -> str:
    """The text as spaces, its line ends kept."""
    return re.sub(r"[^\n]", " ", text)


def c_code(text: str, keep_strings: bool = False) -> str:
    """C source with comments (and strings) blanked; every character keeps its line and column."""

    def replace(match: re.Match[str]) -> str:
        token: str = match.group()
        if token[0] == "/":
            return blank(token)
        return token if keep_strings else token[0] + blank(token[1:-1]) + token[-1]

    return C_TOKEN.sub(replace, text)


def c_functions(code: str) -> list[tuple[str, int, int]]:
    """(name, first line, lines from brace to brace) of each function in blanked C source in our
    format, where a function's braces, and only they, stand alone in the first column."""
    functions = []
    lines = code.splitlines()
    opened = -1
    for number, line in enumerate(lines, 1):
        if line.rstrip() == "{":
            opened = number
        elif line.startswith("}") and opened > 0:
            functions.append((_name_before(lines, opened), opened, number - opened + 1))
            opened = -1
    return functions


def _name_before(lines: list[str], brace_line: int) -> str:
    """The name of the function whose opening brace stands on this line."""
    head = ""
    for line in reversed(lines[max(0, brace_line - 12) : brace_line - 1]):
        if not line.strip() or line.startswith(("}", "#")) or line.rstrip().endswith(";"):
            break
        head = line + " " + head
    head = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", head)
    match = re.search(r"(\w+)\s*\(", head)
    return str(match.group(1)) if match else "?"
