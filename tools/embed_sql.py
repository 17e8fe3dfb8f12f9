#!/usr/bin/python3
"""Builds a folder of SQL files into C: one `struct bh_statement` a file, and the migrations.

    sql/sqlite/NAME.sql                       one statement each, called by name
    sql/postgres/NAME.sql                     the same statement for PostgreSQL (may be absent)
    sql/sqlite/migrations/NNNN_name.sql       numbered 0001, 0002 ... without gaps
    sql/postgres/migrations/NNNN_name.sql     the same migration for PostgreSQL (may be absent)

A file may begin with `--` comments that say what it is for; they are not built in, so that editing
one changes neither the binary nor a migration's checksum. One that begins `-- slow:` (and goes on
to say why) marks the statement as one that may run for long, `-- primary:` as one that a replica
must not answer. Anything ambiguous stops the build.
"""

import argparse
import re
import sqlite3
import sys
from itertools import takewhile
from pathlib import Path

BACKENDS = ("sqlite", "postgres")
STATEMENT_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
MARKS = ("slow", "primary")
MIGRATION_NAME = re.compile(r"([0-9]{4})_[a-z][a-z0-9_]*\Z")


Texts = dict[str, dict[str, str]]  # name -> backend -> text


class Refused(Exception):
    """The folder breaks a rule; the message names the file and the cure."""


def is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("--")


def marked_statements(root: Path) -> dict[str, set[str]]:
    """By mark: those whose leading comments have it, in either backend's file."""
    marked: dict[str, set[str]] = {mark: set() for mark in MARKS}
    for path in [path for backend in BACKENDS for path in (root / backend).glob("*.sql")]:
        for line in takewhile(is_comment, path.read_text("utf-8").split("\n")):
            for mark, names in marked.items():
                if re.match(rf"\s*--\s*{mark}:\s*\S", line):
                    names.add(path.stem)
    return marked


def read_sql(path: Path) -> str:
    """The file's text without its leading comments and blank lines."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"{path}: not UTF-8 ({error.reason}); save it as UTF-8") from error
    if "\0" in text:
        raise Refused(f"{path}: holds a NUL byte; save it as plain text")
    lines = text.split("\n")
    while lines and is_comment(lines[0]):
        lines.pop(0)
    text = "\n".join(line.rstrip() for line in lines).strip()
    if not text:
        raise Refused(f"{path}: holds no SQL; write the statement or delete the file")
    return text


def one_statement(path: Path, text: str) -> str:
    """`text` without its closing semicolon; refuses a second statement behind it."""
    for end in (match.end() for match in re.finditer(";", text)):
        if sqlite3.complete_statement(text[:end]):
            if text[end:].strip():
                raise Refused(f"{path}: more than one statement; give each its own file")
            return text[: end - 1].rstrip()
    return text


def read_statements(root: Path) -> Texts:
    """In the order of names."""
    statements: Texts = {}
    for backend in BACKENDS:
        for path in sorted((root / backend).glob("*.sql")):
            if not STATEMENT_NAME.match(path.stem):
                raise Refused(f"{path}: name it in lower case, digits and _ (book_by_id.sql)")
            text = one_statement(path, read_sql(path))
            statements.setdefault(path.stem, {})[backend] = text
    return dict(sorted(statements.items()))


def read_migrations(root: Path) -> Texts:
    """In the order of versions, which have no gap."""
    migrations: Texts = {}
    for backend in BACKENDS:
        for path in sorted((root / backend / "migrations").glob("*.sql")):
            if not MIGRATION_NAME.match(path.stem):
                raise Refused(f"{path}: name it NNNN_what_it_does.sql (0001_library.sql)")
            migrations.setdefault(path.stem, {})[backend] = read_sql(path)
    migrations = dict(sorted(migrations.items()))
    for expected, name in enumerate(migrations, start=1):
        if int(name[:4]) != expected:
            raise Refused(
                f"{root}: migration {name} stands where {expected:04} is due;"
                " number them 0001, 0002 ... each once, without gaps"
            )
    return migrations


def c_string(text: str | None, indent: str) -> str:
    """A C string literal, one source line a line of SQL, or NULL."""
    if text is None:
        return "NULL"
    literals = []
    for line in text.splitlines(keepends=True):
        escaped = "".join(
            chr(byte) if 32 <= byte < 127 and byte not in (34, 92) else f"\\{byte:03o}"
            for byte in line.rstrip("\n").encode()
        )
        escaped = re.sub(r"(?<=\?)\?", r"\\077", escaped)  # no trigraphs
        literals.append(f'"{escaped}' + ('\\n"' if line.endswith("\n") else '"'))
    return ("\n" + indent).join(literals)


def header(symbol: str, statements: Texts, migrations: Texts) -> str:
    names = "".join(
        f"#define {symbol.upper()}_{name.upper()} ({symbol}_statements[{index}])\n"
        for index, name in enumerate(statements)
    )
    return f"""/* Made by tools/embed_sql.py from the SQL files; do not edit. */
#pragma once

#include "bulkhead/db/db.h"
#include "bulkhead/db/migrate.h"

#define {symbol.upper()}_STATEMENT_COUNT {len(statements)}
#define {symbol.upper()}_MIGRATION_COUNT {len(migrations)}

/* For bh_db_options and bh_migrate. */
extern const struct bh_statement {symbol}_statements[];
extern const struct bh_migration {symbol}_migrations[];

/* One for each file; pass the address: &{symbol.upper()}_NAME. */
{names}"""


def source(
    symbol: str, header_name: str, statements: Texts, migrations: Texts, marked: dict[str, set[str]]
) -> str:
    indent = " " * 14
    statement_rows = "".join(
        f'    {{ .name = "{name}",\n'
        f"      .index = {index},\n"
        f"      .is_slow = {'true' if name in marked['slow'] else 'false'},\n"
        f"      .needs_primary = {'true' if name in marked['primary'] else 'false'},\n"
        f'      .sqlite = {c_string(texts.get("sqlite"), indent)},\n'
        f'      .postgres = {c_string(texts.get("postgres"), indent)} }},\n'
        for index, (name, texts) in enumerate(statements.items())
    )
    migration_rows = "".join(
        f'    {{ .name = "{name}",\n'
        f"      .version = {int(name[:4])},\n"
        f'      .sqlite = {c_string(texts.get("sqlite"), indent)},\n'
        f'      .postgres = {c_string(texts.get("postgres"), indent)} }},\n'
        for name, texts in migrations.items()
    )
    # A C array has at least one element; the count tells how many are real.
    empty = "    { .name = NULL },\n"
    return f"""/* Made by tools/embed_sql.py from the SQL files; do not edit. */
#include "{header_name}"

const struct bh_statement {symbol}_statements[] = {{
{statement_rows or empty}}};

const struct bh_migration {symbol}_migrations[] = {{
{migration_rows or empty}}};
"""


def write_if_changed(path: Path, text: str) -> None:
    """Leaves an unchanged file alone, so that nothing behind it is rebuilt."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def dependencies(root: Path, target: Path) -> str:
    """A depfile: the folders too, so that a new or deleted file is noticed."""
    found = [root]
    for backend in BACKENDS:
        for folder in (root / backend, root / backend / "migrations"):
            if folder.is_dir():
                found += [folder, *sorted(folder.glob("*.sql"))]
    escaped = (str(path).replace(" ", "\\ ") for path in found)
    return f"{target}: " + " \\\n  ".join(escaped) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--symbol", required=True, help="prefix of the C names, e.g. tome_sql")
    parser.add_argument("--depfile", type=Path)
    parser.add_argument("root", type=Path, help="folder with sqlite/ and postgres/")
    parser.add_argument("header", type=Path)
    parser.add_argument("source", type=Path)
    arguments = parser.parse_args()
    try:
        if not arguments.root.is_dir():
            raise Refused(f"{arguments.root}: no such folder")
        root = arguments.root
        statements = read_statements(root)
        migrations = read_migrations(root)
    except Refused as refused:
        print(f"embed_sql: {refused}", file=sys.stderr)
        return 1
    symbol = arguments.symbol
    write_if_changed(arguments.header, header(symbol, statements, migrations))
    write_if_changed(
        arguments.source,
        source(symbol, arguments.header.name, statements, migrations, marked_statements(root)),
    )
    if arguments.depfile:
        arguments.depfile.write_text(dependencies(arguments.root, arguments.header))
    return 0


if __name__ == "__main__":
    sys.exit(main())
