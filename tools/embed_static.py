#!/usr/bin/python3
"""Makes a C header and source with a `struct bh_static_site` from folders of static files.

    embed_static.py --symbol tomehub_site --root web --index tomehub/index.html \\
        OUT.h OUT.c tomehub shared

A file is served under its path below the root ("/tomehub/app.js"), the index also under "/" (and
only there). Each file carries its ETag (from its content), and gzip and brotli encodings where
they are clearly smaller; brotli needs the program of that name and is left out without it.
Markdown files are notes of ours and stay out.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
LEFT_OUT = {".md"}
WORTH_IT = 0.9  # an encoding is kept when it is at most this part of the original
BYTES_A_LINE = 32


class Refused(Exception):
    """What is wrong with the input, for one line on standard error."""


@dataclass(frozen=True)
class StaticFile:
    """One file as it will be served."""

    path: str
    content_type: str
    content: bytes
    gzip: bytes
    brotli: bytes

    @property
    def etag(self) -> str:
        return '"' + hashlib.sha256(self.content).hexdigest()[:20] + '"'


def if_worth_it(encoded: bytes, content: bytes) -> bytes:
    return encoded if len(encoded) <= len(content) * WORTH_IT else b""


def brotli_of(content: bytes) -> bytes:
    program = shutil.which("brotli")
    if not program:
        return b""
    command = [program, "--quality=11", "--stdout", "-"]
    return subprocess.run(command, input=content, stdout=subprocess.PIPE, check=True).stdout


def read_file(file: Path, path: str) -> StaticFile:
    content_type = CONTENT_TYPES.get(file.suffix)
    if content_type is None:
        known = " ".join(sorted(CONTENT_TYPES))
        raise Refused(f"{file}: no content type for {file.suffix or 'it'}; known: {known}")
    content = file.read_bytes()
    return StaticFile(
        path,
        content_type,
        content,
        if_worth_it(gzip.compress(content, 9, mtime=0), content),
        if_worth_it(brotli_of(content), content),
    )


def files_below(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from files_below(entry)
        elif entry.suffix not in LEFT_OUT:
            yield entry


def read_site(root: Path, folders: list[str], index: str) -> list[StaticFile]:
    site = []
    for folder in folders:
        for file in files_below(root / folder):
            name = file.relative_to(root).as_posix()
            site.append(read_file(file, "/" if name == index else f"/{name}"))
    if index and all(file.path != "/" for file in site):
        raise Refused(f"{root / index} is not among the files")
    return sorted(site, key=lambda file: file.path.encode())


def c_string(data: bytes) -> str:
    """A C string literal, over several lines if it is long."""
    lines = []
    for start in range(0, len(data), BYTES_A_LINE):
        line = data[start : start + BYTES_A_LINE]
        lines.append('"' + "".join(f"\\{byte:03o}" for byte in line) + '"')
    return "\n        ".join(lines) or '""'


def c_str(data: bytes) -> str:
    if not data:
        return "{ .data = NULL, .size = 0 }"
    return f"{{ .data =\n        {c_string(data)},\n      .size = {len(data)} }}"


def c_source(symbol: str, header: str, site: list[StaticFile]) -> str:
    entries = []
    for file in site:
        etag = file.etag.replace('"', '\\"')
        entries.append(
            f'    {{ .path = "{file.path}",\n'
            f'      .content_type = "{file.content_type}",\n'
            f'      .etag = "{etag}",\n'
            f"      .content = {c_str(file.content)},\n"
            f"      .gzip = {c_str(file.gzip)},\n"
            f"      .brotli = {c_str(file.brotli)} }},\n"
        )
    return (
        "/* Made by tools/embed_static.py from static files; do not edit. */\n"
        f'#include "{header}"\n\n'
        f"static const struct bh_static_file files[] = {{\n{''.join(entries)}}};\n\n"
        f"const struct bh_static_site {symbol} = {{ .files = files, .count = {len(site)} }};\n"
    )


def c_header(symbol: str) -> str:
    return (
        "/* Made by tools/embed_static.py from static files; do not edit. */\n"
        '#pragma once\n\n#include "bulkhead/http/static.h"\n\n'
        f"extern const struct bh_static_site {symbol};\n"
    )


def depfile_text(output: Path, root: Path, folders: list[str]) -> str:
    """The files, and the folders too: a new file must be seen."""
    needed: set[Path] = set()
    for folder in folders:
        for file in files_below(root / folder):
            needed.add(file)
            needed.update(parent for parent in file.parents if root in parent.parents)
    escaped = (str(path).replace(" ", "\\ ") for path in sorted(needed))
    return f"{output}: {' '.join(escaped)}\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Embed static files into C.")
    parser.add_argument("--symbol", required=True, help="name of the struct bh_static_site")
    parser.add_argument("--root", required=True, type=Path, help="folder that paths begin at")
    parser.add_argument("--index", default="", help='file below the root that is served as "/"')
    parser.add_argument("--depfile", type=Path, help="Make-style list of what was read")
    parser.add_argument("header", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("folders", nargs="+", help="folders below the root")
    arguments = parser.parse_args()
    try:
        site = read_site(arguments.root, arguments.folders, arguments.index)
    except (Refused, OSError) as refused:
        print(f"embed_static: {refused}", file=sys.stderr)
        return 1
    arguments.header.write_text(c_header(arguments.symbol))
    arguments.source.write_text(c_source(arguments.symbol, arguments.header.name, site))
    if arguments.depfile:
        text = depfile_text(arguments.source, arguments.root, arguments.folders)
        arguments.depfile.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
