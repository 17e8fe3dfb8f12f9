/** EPUB and PDF files made from scratch, so that a test knows each word of each page. */

/** @param {Buffer} data */
function crc32(data) {
    let crc = 0xffffffff;
    for (const byte of data) {
        crc ^= byte;
        for (let bit = 0; bit < 8; bit++) {
            crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
        }
    }
    return (crc ^ 0xffffffff) >>> 0;
}

/**
 * What the local and the central header of a stored ZIP entry share.
 *
 * @param {Buffer} name
 * @param {Buffer} data
 */
function zipFields(name, data) {
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt32LE(0x5a210000, 6);
    fields.writeUInt32LE(crc32(data), 10);
    fields.writeUInt32LE(data.length, 14);
    fields.writeUInt32LE(data.length, 18);
    fields.writeUInt16LE(name.length, 22);
    return fields;
}

/**
 * A ZIP archive without compression.
 *
 * @param {[string, string][]} entries
 */
function zip(entries) {
    /** @type {Buffer[]} */
    const files = [];
    /** @type {Buffer[]} */
    const directory = [];
    let offset = 0;
    for (const [path, text] of entries) {
        const name = Buffer.from(path);
        const data = Buffer.from(text);
        const fields = zipFields(name, data);
        const file = Buffer.concat([Buffer.from("PK\x03\x04"), fields, name, data]);
        const rest = Buffer.alloc(14);
        rest.writeUInt32LE(offset, 10);
        directory.push(Buffer.from("PK\x01\x02\x14\x00"), fields, rest, name);
        files.push(file);
        offset += file.length;
    }
    const central = Buffer.concat(directory);
    const end = Buffer.alloc(22);
    end.write("PK\x05\x06");
    end.writeUInt16LE(entries.length, 8);
    end.writeUInt16LE(entries.length, 10);
    end.writeUInt32LE(central.length, 12);
    end.writeUInt32LE(offset, 16);
    return Buffer.concat([...files, central, end]);
}

/** @param {string} text */
function escape(text) {
    return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

const NAMESPACE = {
    container: "urn:oasis:names:tc:opendocument:xmlns:container",
    dublinCore: "http://purl.org/dc/elements/1.1/",
    package: "http://www.idpf.org/2007/opf",
};

const XHTML =
    '<?xml version="1.0" encoding="utf-8"?>\n<html xmlns="http://www.w3.org/1999/xhtml" ' +
    'xmlns:epub="http://www.idpf.org/2007/ops"><head><title>x</title></head><body>';

/**
 * @typedef {object} Chapter
 * @property {string} title
 * @property {[string, string][]} pages label and text; all labels empty: no page list
 */

/**
 * An EPUB 3, with a page list when its pages have labels.
 *
 * @param {{title: string, author: string, chapters: Chapter[]}} book
 */
export function makeEpub({ title, author, chapters }) {
    const names = chapters.map((_, index) => `chapter${index + 1}.xhtml`);
    const items = names.map(
        (name, i) => `<item id="c${i}" href="${name}" media-type="application/xhtml+xml"/>`,
    );
    const spine = names.map((_, i) => `<itemref idref="c${i}"/>`);
    const links = chapters.map(
        (chapter, i) => `<li><a href="${names[i]}">${escape(chapter.title)}</a></li>`,
    );
    const labels = chapters.flatMap((chapter, i) =>
        chapter.pages
            .filter(([label]) => label !== "")
            .map(([label]) => `<li><a href="${names[i]}#p${label}">${label}</a></li>`),
    );
    const pageList =
        labels.length > 0 ? `<nav epub:type="page-list"><ol>${labels.join("")}</ol></nav>` : "";
    /** @type {[string, string][]} */
    const texts = chapters.map((chapter, i) => {
        const pages = chapter.pages.map(([label, text], index) => {
            const start = label
                ? `<span epub:type="pagebreak" id="p${label}" title="${label}"/>`
                : "";
            const heading = index === 0 ? `<h1>${escape(chapter.title)}</h1>` : "";
            return `${start}${heading}<p>${escape(text)}</p>`;
        });
        return [`OEBPS/${names[i]}`, `${XHTML}${pages.join("\n")}</body></html>`];
    });
    return zip([
        ["mimetype", "application/epub+zip"],
        [
            "META-INF/container.xml",
            `<?xml version="1.0"?><container version="1.0" xmlns="${NAMESPACE.container}">` +
                '<rootfiles><rootfile full-path="OEBPS/book.opf" ' +
                'media-type="application/oebps-package+xml"/></rootfiles></container>',
        ],
        [
            "OEBPS/book.opf",
            `<?xml version="1.0"?><package xmlns="${NAMESPACE.package}" version="3.0" ` +
                `unique-identifier="id"><metadata xmlns:dc="${NAMESPACE.dublinCore}">` +
                '<dc:identifier id="id">urn:test:1</dc:identifier>' +
                `<dc:title>${escape(title)}</dc:title><dc:creator>${escape(author)}</dc:creator>` +
                "<dc:language>en</dc:language></metadata><manifest>" +
                '<item id="nav" href="nav.xhtml" properties="nav" ' +
                'media-type="application/xhtml+xml"/>' +
                `${items.join("")}</manifest><spine>${spine.join("")}</spine></package>`,
        ],
        [
            "OEBPS/nav.xhtml",
            `${XHTML}<nav epub:type="toc"><ol>${links.join("")}</ol></nav>${pageList}` +
                "</body></html>",
        ],
        ...texts,
    ]);
}

/**
 * A PDF with one page for each list of lines (ASCII).
 *
 * @param {{title: string, author: string, pages: string[][]}} book
 */
export function makePdf({ title, author, pages }) {
    const quote = (/** @type {string} */ text) => `(${text.replace(/[\\()]/g, "\\$&")})`;
    const kids = pages.map((_, index) => `${5 + 2 * index} 0 R`).join(" ");
    const objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        `<< /Type /Pages /Kids [${kids}] /Count ${pages.length} >>`,
        "<< /Type /Font /Subtype /Type1 /BaseFont /Times-Roman >>",
        `<< /Title ${quote(title)} /Author ${quote(author)} >>`,
    ];
    pages.forEach((lines, index) => {
        const shown = lines.map((line) => `${quote(line)} Tj T*`).join("\n");
        const content = `BT /F1 12 Tf 16 TL 72 720 Td\n${shown}\nET`;
        objects.push(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] " +
                `/Contents ${6 + 2 * index} 0 R /Resources << /Font << /F1 3 0 R >> >> >>`,
            `<< /Length ${content.length} >>\nstream\n${content}\nendstream`,
        );
    });
    let file = "%PDF-1.4\n";
    const offsets = objects.map((object, index) => {
        const offset = file.length;
        file += `${index + 1} 0 obj\n${object}\nendobj\n`;
        return offset;
    });
    const table = offsets
        .map((offset) => `${String(offset).padStart(10, "0")} 00000 n \n`)
        .join("");
    const size = objects.length + 1;
    const trailer = `trailer\n<< /Size ${size} /Root 1 0 R /Info 4 0 R >>\n`;
    const end = `startxref\n${file.length}\n%%EOF\n`;
    const crossReference = `xref\n0 ${size}\n0000000000 65535 f \n${table}`;
    return Buffer.from(file + crossReference + trailer + end, "latin1");
}

/** Enough words that what follows them is found as a passage of its own. */
const FOREST = "Mist hangs between the trunks, and moss drinks from it all morning. ".repeat(40);

/** A bird book: roman numbers before arabic ones, one rare word on a known page. */
export function birdEpub() {
    return makeEpub({
        title: "Birds of the Cloud Forest",
        author: "Ada Quill",
        chapters: [
            {
                title: "Preface",
                pages: [
                    [
                        "xi",
                        "This book was written on a mountain, in the rain, with a borrowed pencil.",
                    ],
                    [
                        "xii",
                        "The resplendent quetzal waited above the porch until the rain had ended.",
                    ],
                ],
            },
            {
                title: "The Toucan",
                pages: [
                    [
                        "1",
                        `A toucan throws each berry into the air before it swallows it. ${FOREST}`,
                    ],
                    [
                        "2",
                        `${FOREST} Two toucans share the berries; three toucans quarrel over them.`,
                    ],
                ],
            },
            {
                title: "The Hummingbird",
                pages: [
                    [
                        "3",
                        "The hummingbird stands still in the air and glows like a green lantern.",
                    ],
                    ["4", "At night the hummingbird sleeps so deeply that it seems to be dead."],
                ],
            },
        ],
    });
}

/** A manual of six pages; the astrolabe is on the fourth. */
export function sailPdf() {
    const pages = Array.from({ length: 6 }, (_, index) => [
        `Page heading number ${index + 1} speaks of ropes and of canvas.`,
        "Every sailor keeps a dry knife and a dry heart, and looks at the sky",
        "before looking at the water.",
        ...(index === 3
            ? ["The brass astrolabe measures the height of the sun above the sea."]
            : []),
        ...(index === 5 ? ["A green lantern is shown on the starboard side."] : []),
    ]);
    return makePdf({ title: "A Manual of Sail", author: "Bartholomew Mast", pages });
}
