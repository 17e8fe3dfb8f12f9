"""EPUB files for tests, written from scratch with zipfile."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

CONTAINER = """<?xml version="1.0"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
<rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/>
</rootfiles></container>"""


def chapter_xhtml(title: str, body: str) -> str:
    """A chapter; `body` is markup."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">'
        f"<head><title>{escape(title)}</title></head>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>"
    )


def paragraphs(*texts: str) -> str:
    return "".join(f"<p>{escape(text)}</p>" for text in texts)


class EpubWriter:
    """Writes EPUB 3 files into one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(
        self,
        name: str,
        chapters: Sequence[tuple[str, str]],
        title: str = "A Test Book",
        author: str = "A. Writer",
        language: str = "en",
        pages: Sequence[tuple[str, str]] = (),
        extra: Mapping[str, bytes] | None = None,
    ) -> Path:
        """`chapters`: (title, markup). `pages`: (label, "chapter-1.xhtml#id") of a page list.
        `extra`: more ZIP entries, or replacements of the usual ones, by name."""
        files = [f"chapter-{number}.xhtml" for number in range(1, len(chapters) + 1)]
        entries: dict[str, bytes] = {
            "META-INF/container.xml": CONTAINER.encode(),
            "OEBPS/content.opf": package(title, author, language, files).encode(),
            "OEBPS/nav.xhtml": navigation(files, [c[0] for c in chapters], pages).encode(),
        }
        for file, (chapter_title, body) in zip(files, chapters):
            entries[f"OEBPS/{file}"] = chapter_xhtml(chapter_title, body).encode()
        path = self.folder / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
            for entry, content in (entries | dict(extra or {})).items():
                archive.writestr(entry, content)
        return path


def package(title: str, author: str, language: str, files: Sequence[str]) -> str:
    items = "".join(
        f'<item id="c{i}" href="{file}" media-type="application/xhtml+xml"/>'
        for i, file in enumerate(files)
    )
    spine = "".join(f'<itemref idref="c{i}"/>' for i in range(len(files)))
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<dc:identifier id="id">test</dc:identifier><dc:title>{escape(title)}</dc:title>'
        f"<dc:creator>{escape(author)}</dc:creator><dc:language>{language}</dc:language></metadata>"
        '<manifest><item id="nav" href="nav.xhtml" media-type="application/xhtml+xml"'
        f' properties="nav"/>{items}</manifest><spine>{spine}</spine></package>'
    )


def navigation(
    files: Sequence[str], titles: Sequence[str], pages: Sequence[tuple[str, str]]
) -> str:
    links = "".join(f'<li><a href="{f}">{escape(t)}</a></li>' for f, t in zip(files, titles))
    page_links = "".join(f'<li><a href="{href}">{label}</a></li>' for label, href in pages)
    page_list = f'<nav epub:type="page-list"><ol>{page_links}</ol></nav>' if pages else ""
    return chapter_xhtml("Contents", f'<nav epub:type="toc"><ol>{links}</ol></nav>{page_list}')
