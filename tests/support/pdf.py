"""PDF files for tests, written object by object: honest ones, and some made to do harm."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


def escape(line: str) -> bytes:
    text = line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return text.encode("cp1252")


def content_of(lines: Sequence[str]) -> bytes:
    """A content stream that shows lines below each other."""
    shown = b"".join(b"(" + escape(line) + b") Tj T*\n" for line in lines)
    return b"BT /F1 12 Tf 72 750 Td 14 TL\n" + shown + b"ET"


def stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %s>>\nstream\n%s\nendstream" % (len(content), entries, content)


def deflated(content: bytes) -> bytes:
    return stream(zlib.compress(content, 9), b"/Filter /FlateDecode ")


class PdfWriter:
    """Collects objects; pages show the given content streams."""

    def __init__(self, title: str = "", author: str = "") -> None:
        self.objects: list[bytes] = [b"", b"", FONT]
        self.pages: list[int] = []
        self.outline: list[tuple[str, int]] = []
        self.info = self.add(
            b"<< /Title (" + escape(title) + b") /Author (" + escape(author) + b") >>"
        )

    def add(self, content: bytes) -> int:
        self.objects.append(content)
        return len(self.objects)

    def add_page(self, contents: bytes, resources: bytes = b"") -> None:
        """`contents`: a stream object."""
        number = self.add(contents)
        self.pages.append(
            self.add(
                b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
                b"/Resources << /Font << /F1 3 0 R >> %s >> >>" % (number, resources)
            )
        )

    def add_text(self, *lines: str) -> None:
        self.add_page(stream(content_of(lines)))

    def add_outline(self) -> bytes:
        """The entry of the catalog for `self.outline`: titles, and indexes of pages."""
        if not self.outline:
            return b""
        root = len(self.objects) + 1
        first, last = root + 1, root + len(self.outline)
        self.add(b"<< /Type /Outlines /First %d 0 R /Last %d 0 R >>" % (first, last))
        for number, (title, page) in enumerate(self.outline, first):
            following = b"/Next %d 0 R " % (number + 1) if number < last else b""
            target = b"/Dest [%d 0 R /Fit]" % self.pages[page]
            shown = b"/Title (" + escape(title) + b") "
            self.add(b"<< %s/Parent %d 0 R %s%s >>" % (shown, root, following, target))
        return b"/Outlines %d 0 R " % root

    def bytes(self) -> bytes:
        outline = self.add_outline()
        kids = b" ".join(b"%d 0 R" % page for page in self.pages)
        self.objects[0] = b"<< /Type /Catalog /Pages 2 0 R %s>>" % outline
        self.objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(self.pages))
        written = b"%PDF-1.4\n"
        offsets = []
        for number, content in enumerate(self.objects, 1):
            offsets.append(len(written))
            written += b"%d 0 obj\n%s\nendobj\n" % (number, content)
        table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
        return written + (
            b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\n"
            b"startxref\n%d\n%%%%EOF\n"
            % (len(offsets) + 1, table, len(offsets) + 1, self.info, len(written))
        )

    def write(self, path: Path) -> Path:
        path.write_bytes(self.bytes())
        return path


def spinning_pdf() -> bytes:
    """Forms that draw each other: two to the power of 40 texts from a few kilobytes."""
    pdf = PdfWriter()
    inner = pdf.add(stream(content_of(["spin"]), b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] "))
    for _ in range(40):
        inner = pdf.add(
            stream(
                b"/X Do /X Do",
                b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] "
                b"/Resources << /XObject << /X %d 0 R >> /Font << /F1 3 0 R >> >> " % inner,
            )
        )
    pdf.add_page(stream(b"/X Do"), b"/XObject << /X %d 0 R >>" % inner)
    return pdf.bytes()


def greedy_pdf(megabytes: int = 300) -> bytes:
    """One page on which the same lines are written again and again: packed a thousandfold, and
    each word is held in memory until the page ends."""
    lines = (
        b"BT /F1 6 Tf 1 0 0 1 5 %d Tm (" % y + b"greedy " * 25 + b") Tj ET\n" for y in range(780)
    )
    page = b"".join(lines)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(page) for _ in range(megabytes * (1 << 20) // len(page)))
    packed += packer.flush()
    pdf = PdfWriter()
    pdf.add_page(stream(packed, b"/Filter /FlateDecode "))
    return pdf.bytes()


def nested_pdf(depth: int = 200_000) -> bytes:
    """Arrays in arrays, as deep as a parser that calls itself would go."""
    pdf = PdfWriter()
    pdf.add_page(deflated(b"[" * depth + b"]" * depth + b" TJ"))
    return pdf.bytes()


def scanned_pdf(pages: int = 3) -> bytes:
    """Pictures only."""
    pdf = PdfWriter()
    for _ in range(pages):
        picture = pdf.add(
            stream(
                b"\x00" * 64,
                b"/Type /XObject /Subtype /Image /Width 8 /Height 8 /BitsPerComponent 8 "
                b"/ColorSpace /DeviceGray ",
            )
        )
        pdf.add_page(stream(b"q 600 0 0 700 0 0 cm /I Do Q"), b"/XObject << /I %d 0 R >>" % picture)
    return pdf.bytes()
