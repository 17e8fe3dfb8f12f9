"""`tomehub extract`: real files through the real sandbox, frames read by a reader of our own."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.epub import EpubWriter, paragraphs
from support.pdf import PdfWriter, greedy_pdf, nested_pdf, scanned_pdf, spinning_pdf

KEYS = ["", "title", "author", "language", "page_kind", "source", "tags"]
FAILURES = [
    "",
    "encrypted",
    "damaged",
    "empty",
    "unsupported",
    "too_large",
    "timed_out",
    "out_of_memory",
    "no_text",
    "canceled",
    "interrupted",
    "internal",
]
STORIES = [
    "A Scandal in Bohemia",
    "The Redheaded League",
    "A Case of Identity",
    "The Boscombe Valley Mystery",
    "The Five Orange Pips",
    "The Man with the Twisted Lip",
    "The Adventure of the Blue Carbuncle",
    "The Adventure of the Speckled Band",
    "The Adventure of the Engineer’s Thumb",
    "The Adventure of the Noble Bachelor",
    "The Adventure of the Beryl Coronet",
    "The Adventure of the Copper Beeches",
]


@dataclass
class Page:
    number: int
    joint: int
    label: str
    chapter: str
    text: str


@dataclass
class Extract:
    status: int
    facts: dict[str, str] = field(default_factory=dict)
    pages: list[Page] = field(default_factory=list)
    percents: list[int] = field(default_factory=list)
    failure: str | None = None
    message: str = ""
    ended: bool = False

    @property
    def text(self) -> str:
        return "\n\n".join(page.text for page in self.pages)


def parse(frames: bytes, status: int) -> Extract:
    extract = Extract(status)
    at = 0
    while at < len(frames):
        size, kind = struct.unpack_from("<IB", frames, at)
        payload = frames[at + 5 : at + 5 + size]
        at += 5 + size
        assert not extract.ended and extract.failure is None, "nothing follows the end"
        if kind == 1:
            assert KEYS[payload[0]] not in extract.facts
            extract.facts[KEYS[payload[0]]] = payload[1:].decode()
        elif kind == 2:
            number, joint, label_size, chapter_size = struct.unpack_from("<IBHH", payload)
            label_end = 9 + label_size
            text_start = label_end + chapter_size
            extract.pages.append(
                Page(
                    number,
                    joint,
                    payload[9:label_end].decode(),
                    payload[label_end:text_start].decode(),
                    payload[text_start:].decode(),
                )
            )
        elif kind == 3:
            extract.percents.append(payload[0])
        elif kind == 4:
            extract.failure = FAILURES[payload[0]]
            extract.message = payload[1:].decode()
        else:
            assert kind == 5 and size == 0
            extract.ended = True
    assert extract.ended == (status == 0)
    return extract


Extractor = Callable[..., Extract]


@pytest.fixture
def extract(tomehub_binary: Path, tmp_path: Path) -> Extractor:
    """`extract(path or bytes, "--kind", "pdf", name="x.pdf")`."""

    def run(source: Path | bytes, *options: str, name: str = "") -> Extract:
        path = source if isinstance(source, Path) else tmp_path / "input"
        if isinstance(source, bytes):
            path.write_bytes(source)
        arguments = ["--name", name or path.name, *options]
        # The shell opens descriptor 3; the extractor sees no path.
        command = ["sh", "-c", 'exec "$0" extract "$@" 3<"$INPUT"', str(tomehub_binary), *arguments]
        done = subprocess.run(
            command,
            env={**os.environ, "INPUT": str(path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
        )
        return parse(done.stdout, done.returncode)

    return run


# --- books that are read ------------------------------------------------------------------------


def test_the_corpus(extract: Extractor, corpus_epub: Path) -> None:
    book = extract(corpus_epub)
    assert book.status == 0
    assert book.facts["title"] == "The Adventures of Sherlock Holmes"
    assert book.facts["author"] == "Arthur Conan Doyle"
    assert book.facts["language"] == "en-GB"
    assert book.facts["page_kind"] == "section"
    chapters = list(dict.fromkeys(page.chapter for page in book.pages))
    assert [chapter for chapter in chapters if chapter in STORIES] == STORIES
    assert set(chapters) - set(STORIES) == {"Titlepage", "Imprint", "Colophon", "Uncopyright"}
    band = "".join(p.text for p in book.pages if p.chapter == STORIES[7])
    assert "It was the band! The speckled band!" in band
    assert "Table of Contents" not in book.text
    numbers = [page.number for page in book.pages]
    assert numbers == sorted(numbers) and len(set(numbers)) == numbers[-1]
    assert all(len(page.text) <= 2400 for page in book.pages)
    assert book.percents == sorted(book.percents) and book.percents[-1] == 100


def test_an_epub_with_a_page_list(extract: Extractor, epub: EpubWriter) -> None:
    body = '<p id="p7">Seven.</p><p>More<span id="p8"/> of eight.</p>'
    pages = [("vii", "chapter-1.xhtml#p7"), ("8", "chapter-1.xhtml#p8")]
    book = extract(epub.write("pages.epub", [("One", body)], pages=pages))
    assert book.facts["page_kind"] == "list"
    assert [(p.number, p.label, p.text) for p in book.pages] == [
        (1, "front", "One"),
        (2, "vii", "Seven.\n\nMore"),
        (3, "8", "of eight."),
    ]


def test_a_pdf(extract: Extractor, tmp_path: Path) -> None:
    pdf = PdfWriter("The Title", "The Author")
    openings = ["Alpha", "Beta", "Gamma", "Delta", "Epsilon", "Zeta"]
    for number, opening in enumerate(openings, 1):
        lines = ["THE RUNNING HEAD", f"{opening} comes first, and it is fol-"]
        lines += ["lowed by the rest of this long sentence.", "- %d -" % number]
        pdf.add_text(*lines)
    pdf.add_text()
    pdf.add_text("The last page.")
    book = extract(pdf.write(tmp_path / "book.txt"))
    assert book.status == 0
    assert book.facts == {
        "source": "pdf",
        "page_kind": "page",
        "title": "The Title",
        "author": "The Author",
    }
    assert [page.number for page in book.pages] == [1, 2, 3, 4, 5, 6, 8]
    first = "Alpha comes first, and it is followed by the rest of this long sentence."
    assert book.pages[0].text == first
    assert "HEAD" not in book.text and "-" not in book.text


def test_the_outline_of_a_pdf_gives_chapters(extract: Extractor) -> None:
    pdf = PdfWriter()
    pdf.add_text("Words in front of everything.")
    pdf.add_text("ONE", "Words of the first chapter.")
    body = [f"Line {word} of the first chapter." for word in "abcdef"]
    pdf.add_text(*body, "2. Two", "Words of the second.")
    pdf.outline = [("One", 1), ("Two", 2)]
    book = extract(pdf.bytes())
    assert [(page.number, page.chapter) for page in book.pages] == [
        (1, ""),
        (2, "One"),
        (3, "One"),
        (3, "Two"),
    ]
    assert book.pages[3].text.startswith("2. Two")


def test_a_paragraph_over_two_pdf_pages(extract: Extractor) -> None:
    pdf = PdfWriter()
    pdf.add_text("A sentence that begins on this page and then goes over to the")
    pdf.add_text("next one, where it ends.")
    book = extract(pdf.bytes())
    assert [page.joint for page in book.pages] == [0, 1]


@pytest.mark.parametrize(
    ("name", "content", "source", "text"),
    [
        ("a.html", b"<h1>Head</h1><p>one<p>two", "html", "Head\n\none\n\ntwo"),
        ("a.md", b"# Head\n\n*one*\ntwo", "markdown", "Head\n\none two"),
        ("a.txt", "Grüße\r\n\r\nan alle".encode("latin-1"), "text", "Grüße\n\nan alle"),
        ("a.txt", "ışık".encode("utf-16"), "text", "ışık"),
        ("a.txt", b"<!doctype html><p>really <b>HTML</b>", "html", "really HTML"),
    ],
)
def test_other_formats(
    extract: Extractor, name: str, content: bytes, source: str, text: str
) -> None:
    book = extract(content, name=name)
    assert (book.status, book.facts["source"], book.text) == (0, source, text)


def test_the_kind_can_be_told(extract: Extractor) -> None:
    book = extract(b"# not a heading", "--kind", "text", name="a.md")
    assert (book.facts["source"], book.text) == ("text", "# not a heading")


# --- files that are refused ---------------------------------------------------------------------


def assert_refused(book: Extract, failure: str) -> None:
    assert (book.status, book.failure) == (1, failure), book


@pytest.mark.parametrize(
    ("content", "failure"),
    [
        (b"", "empty"),
        (b" \n\n ", "empty"),
        (b"\x7fELF\x02\x01\x01\x00" * 50, "unsupported"),
        (b"%PDF-1.7\n1 0 obj\n<< /Type /Cat", "damaged"),
        (b"PK\x03\x04" + b"\x00" * 100, "damaged"),
        (spinning_pdf()[:300], "damaged"),
        (scanned_pdf(), "no_text"),
    ],
)
def test_refused(extract: Extractor, content: bytes, failure: str) -> None:
    assert_refused(extract(content, name="book.txt"), failure)


def test_a_zip_that_is_no_book(extract: Extractor, tmp_path: Path) -> None:
    path = tmp_path / "report.docx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    book = extract(path)
    assert_refused(book, "unsupported")
    assert "ZIP archive" in book.message


def test_an_encrypted_pdf(extract: Extractor, tmp_path: Path) -> None:
    if not shutil.which("qpdf"):
        pytest.fail("qpdf is missing: apt-get install qpdf")
    pdf = PdfWriter("Secret")
    pdf.add_text("Secret words.")
    plain = pdf.write(tmp_path / "plain.pdf")
    locked, readable = tmp_path / "locked.pdf", tmp_path / "readable.pdf"
    encrypt = ["qpdf", "--encrypt"]
    subprocess.run([*encrypt, "user", "owner", "256", "--", plain, locked], check=True)
    subprocess.run([*encrypt, "", "owner", "256", "--", plain, readable], check=True)
    assert_refused(extract(locked), "encrypted")
    assert extract(readable).text == "Secret words."


def test_a_pdf_that_lost_pages(extract: Extractor, tmp_path: Path) -> None:
    """Poppler gives the pages it still finds; part of a book is not the book."""
    if not shutil.which("qpdf"):
        pytest.fail("qpdf is missing: apt-get install qpdf")
    pdf = PdfWriter()
    for word in "one two three four five six seven eight nine ten".split():
        pdf.add_text(f"This is {word}.")
    plain = pdf.write(tmp_path / "plain.pdf")
    packed = tmp_path / "packed.pdf"
    options = ["--linearize", "--object-streams=generate"]
    subprocess.run(["qpdf", *options, plain, packed], check=True)
    whole = packed.read_bytes()
    assert len(extract(whole).pages) == 10
    for share in (0.3, 0.6, 0.9):
        assert_refused(extract(whole[: int(len(whole) * share)]), "damaged")


def test_an_encrypted_epub(extract: Extractor, epub: EpubWriter) -> None:
    encryption = (
        b'<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
        b'xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData>'
        b'<enc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes256-cbc"/>'
        b'<enc:CipherData><enc:CipherReference URI="OEBPS/chapter-1.xhtml"/></enc:CipherData>'
        b"</enc:EncryptedData></encryption>"
    )
    extra = {"META-INF/encryption.xml": encryption}
    path = epub.write("locked.epub", [("One", paragraphs("text"))], extra=extra)
    assert_refused(extract(path), "encrypted")


def test_entities_in_a_package(extract: Extractor, epub: EpubWriter, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("topsecret")
    laughs = '<!ENTITY a0 "ha">' + "".join(
        f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12)
    )
    for declared, used in [(f'<!ENTITY x SYSTEM "file://{secret}">', "x"), (laughs, "a11")]:
        package = (
            f'<?xml version="1.0"?><!DOCTYPE package [{declared}]><package><metadata>'
            f"<title>&{used};</title></metadata><manifest/><spine/></package>"
        )
        path = epub.write("e.epub", [("One", "")], extra={"OEBPS/content.opf": package.encode()})
        book = extract(path)
        assert_refused(book, "damaged")
        assert "entities" in book.message and "topsecret" not in book.message


def test_entities_in_a_chapter_stay_unread(
    extract: Extractor, epub: EpubWriter, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("topsecret")
    chapter = (
        f'<!DOCTYPE html [<!ENTITY x SYSTEM "file://{secret}">]>'
        "<html><body><p>before &x; after</p></body></html>"
    )
    path = epub.write("e.epub", [("One", "")], extra={"OEBPS/chapter-1.xhtml": chapter.encode()})
    book = extract(path)
    assert book.status == 0 and "before" in book.text and "topsecret" not in book.text


# --- files that attack --------------------------------------------------------------------------


def test_a_pdf_that_spins(extract: Extractor) -> None:
    begun = time.monotonic()
    assert_refused(extract(spinning_pdf(), "--cpu-limit", "1"), "timed_out")
    assert time.monotonic() - begun < 60


def test_a_pdf_that_eats_memory(extract: Extractor, sanitizer: str) -> None:
    if sanitizer != "none":
        pytest.skip("sanitizers need more address space than any limit")
    limit = str(96 << 20)
    assert_refused(extract(greedy_pdf(100), "--memory-limit", limit), "out_of_memory")


def test_a_pdf_nested_without_end(extract: Extractor) -> None:
    book = extract(nested_pdf(), "--cpu-limit", "20")
    assert book.status == 1 and book.failure in ("no_text", "damaged", "timed_out")


def test_a_zip_bomb(extract: Extractor, epub: EpubWriter) -> None:
    bomb = b"<html><body><p>" + b"bomb " * (64 << 20 >> 2) + b"</p></body></html>"
    path = epub.write("bomb.epub", [("One", "")], extra={"OEBPS/chapter-1.xhtml": bomb})
    assert path.stat().st_size < 1 << 20
    assert_refused(extract(path), "too_large")


def test_more_text_than_is_wanted(extract: Extractor) -> None:
    assert_refused(extract(b"word " * 100000, "--text-limit", "1000"), "too_large")


def test_memory_is_flat_in_the_size_of_the_file(extract: Extractor, sanitizer: str) -> None:
    if sanitizer != "none":
        pytest.skip("sanitizers need more address space than any limit")
    line = b"A line of words that goes on and on until it is as long as others are.\n"
    for name in ("a.txt", "a.md", "a.html"):
        book = extract(line * (50 << 20 >> 6), "--memory-limit", str(80 << 20), name=name)
        assert book.status == 0, (name, book.failure)
        assert sum(len(page.text) for page in book.pages) > 50 << 20


# --- the command --------------------------------------------------------------------------------


def test_usage(tomehub_binary: Path) -> None:
    wrong: list[list[str]] = [
        ["--kind"],
        ["--kind", "x"],
        ["--cpu-limit", "0"],
        ["--bogus", "1"],
        [],
    ]
    for arguments in wrong:
        command: list[str] = [str(tomehub_binary), "extract", *arguments]
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 2
        assert b"usage: tomehub extract" in done.stderr and done.stdout == b""


def test_a_reader_that_leaves_ends_it(tomehub_binary: Path, tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_bytes(b"word " * (4 << 20))
    reader, writer = os.pipe()
    process = subprocess.Popen(
        ["sh", "-c", 'exec "$0" extract 3<"$1"', tomehub_binary, path], stdout=writer
    )
    os.close(writer)
    os.read(reader, 1)
    os.close(reader)
    assert process.wait(timeout=30) in (4, -signal.SIGPIPE)


def test_the_extractor_is_a_program_of_its_own(tomehub_binary: Path, tmp_path: Path) -> None:
    """It says what `tomehub extract` says, without the database and the server in it."""
    extractor = tomehub_binary.parent / "tomehub-extract"
    path = tmp_path / "story.txt"
    path.write_text("The band was speckled.\n\nIt moved.")
    line = 'exec "$0" extract --kind text 3<"$1"'
    outputs = [
        subprocess.run(["sh", "-c", line, program, path], capture_output=True, check=True).stdout
        for program in (tomehub_binary, extractor)
    ]
    assert outputs[0] == outputs[1] and b"speckled" in outputs[0]
    libraries = subprocess.run(["ldd", str(extractor)], capture_output=True, text=True).stdout
    assert "libxml2" in libraries
    assert "libsqlite3" not in libraries and "libcrypto" not in libraries


def test_without_it_the_program_reads_by_itself(tomehub_binary: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone" / "tomehub"
    alone.parent.mkdir()
    shutil.copy(tomehub_binary.resolve(), alone)
    (tmp_path / "story.txt").write_text("The band was speckled.")
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite:{tmp_path}/library.db"}
    command = [str(alone), "ingest", str(tmp_path / "story.txt")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "added" in done.stdout
