#include "reading.h"

#include "extract/epub.h"
#include "zip.h"

#define CONTAINER                                                                       \
    "<container xmlns='urn:oasis:names:tc:opendocument:xmlns:container'><rootfiles>"    \
    "<rootfile full-path='OEBPS/book.opf' media-type='application/oebps-package+xml'/>" \
    "</rootfiles></container>"
#define XHTML "application/xhtml+xml"
#define PACKAGE(manifest, spine)                                                            \
    "<?xml version='1.0'?><package xmlns='http://www.idpf.org/2007/opf'><metadata "         \
    "xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:title>A  Title</dc:title>"             \
    "<dc:creator>One</dc:creator><dc:creator>Two</dc:creator><dc:language>tr</dc:language>" \
    "</metadata><manifest>" manifest "</manifest><spine>" spine "</spine></package>"
#define ITEM(id, href) "<item id='" id "' href='" href "' media-type='" XHTML "'/>"
#define REF(id) "<itemref idref='" id "'/>"
#define PAGE(body)                                                                        \
    "<html xmlns='http://www.w3.org/1999/xhtml' "                                         \
    "xmlns:epub='http://www.idpf.org/2007/ops'><head><title>no</title></head><body>" body \
    "</body></html>"

static struct reading *read_zip(struct zip *const zip)
{
    zip_close(zip);
    struct reading *const reading = reading_begin();
    struct tome_input input;
    tome_input_memory(&input, zip->bytes, zip->size);
    reading->failure = tome_epub_read(&input, &reading->writer, &reading->detail);
    reading_end(reading);
    zip_free(zip);
    return reading;
}

static void begin(struct zip *const zip, const char *const package)
{
    zip_open(zip);
    zip_text(zip, "mimetype", "application/epub+zip");
    zip_text(zip, "META-INF/container.xml", CONTAINER);
    zip_text(zip, "OEBPS/book.opf", package);
}

static void the_spine_gives_the_order(void **state)
{
    (void)state;
    struct zip zip;
    begin(&zip,
          PACKAGE(ITEM("a", "text/a%20b.xhtml") ITEM("b", "b.xhtml") ITEM("n", "note.xhtml")
                      ITEM("gone", "gone.xhtml"),
                  REF("b") REF("a") "<itemref idref='n' linear='no'/>" REF("gone") REF("unknown")));
    zip_text(&zip, "OEBPS/text/a b.xhtml", PAGE("<h1>Second</h1><p>two</p>"));
    zip_text(&zip, "OEBPS/b.xhtml", PAGE("<h1>First</h1><p>one<br/>more</p>"));
    zip_text(&zip, "OEBPS/note.xhtml", PAGE("<p>beside</p>"));
    struct reading *const reading = read_zip(&zip);
    assert_int_equal(reading->failure, TOME_FAILURE_NONE);
    assert_string_equal(reading->facts[TOME_META_TITLE], "A Title");
    assert_string_equal(reading->facts[TOME_META_AUTHOR], "One, Two");
    assert_string_equal(reading->facts[TOME_META_LANGUAGE], "tr");
    assert_string_equal(reading->facts[TOME_META_PAGE_KIND], "section");
    assert_int_equal(reading->page_count, 2);
    assert_string_equal(reading->pages[0].text, "First\n\none\nmore");
    /* Without a table of contents, headings are chapters. */
    assert_string_equal(reading->pages[0].chapter, "First");
    assert_string_equal(reading->pages[1].text, "Second\n\ntwo");
    reading_free(reading);
}

#define NAV_ITEM "<item id='nav' href='nav.xhtml' media-type='" XHTML "' properties='nav'/>"

static void the_navigation_gives_chapters_and_pages(void **state)
{
    (void)state;
    struct zip zip;
    begin(&zip, PACKAGE(NAV_ITEM ITEM("a", "a.xhtml") ITEM("b", "b.xhtml"),
                        REF("nav") REF("a") REF("b")));
    zip_text(
        &zip, "OEBPS/nav.xhtml",
        PAGE("<nav epub:type='toc'><ol><li><a href='a.xhtml'>Chapter <i>A</i></a><ol>"
             "<li><a href='a.xhtml#two'>II</a></li>"
             "<li><a href='a.xhtml#named'>Part Named</a></li></ol></li>"
             "<li><a href='b.xhtml#here'>Chapter B</a></li></ol></nav>"
             "<nav epub:type='page-list'><ol><li><a href='a.xhtml#p1'>xii</a></li>"
             "<li><a href='a.xhtml#p2'>1</a></li><li><a href='b.xhtml'>2</a></li></ol></nav>"));
    zip_text(&zip, "OEBPS/a.xhtml",
             PAGE("<h2>Heading</h2><p>front<span id='p1'/> twelve</p><p id='two'>second</p>"
                  "<p>a sen<span id='p2' epub:type='pagebreak' title='x'/>tence</p>"
                  "<h3 id='named'>N</h3>"));
    zip_text(&zip, "OEBPS/b.xhtml", PAGE("<p>still</p><div id='here'>at last</div>"));
    struct reading *const reading = read_zip(&zip);
    assert_int_equal(reading->failure, TOME_FAILURE_NONE);
    assert_string_equal(reading->facts[TOME_META_PAGE_KIND], "list");
    static const struct {
        uint32_t number;
        enum tome_joint joint;
        const char *label;
        const char *chapter;
        const char *text;
    } expected[] = {
        { 1, TOME_JOINT_PARAGRAPH, "front", "Chapter A", "Heading\n\nfront" },
        { 2, TOME_JOINT_SPACE, "xii", "Chapter A", "twelve\n\nsecond\n\na sen" },
        { 3, TOME_JOINT_NONE, "1", "Chapter A", "tence" },
        { 3, TOME_JOINT_PARAGRAPH, "1", "Part Named", "N" },
        { 4, TOME_JOINT_PARAGRAPH, "2", "Part Named", "still" },
        { 4, TOME_JOINT_PARAGRAPH, "2", "Chapter B", "at last" },
    };
    assert_int_equal(reading->page_count, BH_COUNT_OF(expected));
    for (size_t i = 0; i < BH_COUNT_OF(expected); i++) {
        assert_int_equal(reading->pages[i].number, expected[i].number);
        assert_int_equal(reading->pages[i].joint, expected[i].joint);
        assert_string_equal(reading->pages[i].label, expected[i].label);
        assert_string_equal(reading->pages[i].chapter, expected[i].chapter);
        assert_string_equal(reading->pages[i].text, expected[i].text);
    }
    reading_free(reading);
}

static void an_ncx_gives_them_too(void **state)
{
    (void)state;
    struct zip zip;
    begin(
        &zip,
        PACKAGE(
            ITEM("a", "a.xhtml") ITEM(
                "b",
                "b.xhtml") "<item id='ncx' href='toc.ncx' media-type='application/x-dtbncx+xml'/>",
            REF("a") REF("b")));
    zip_text(
        &zip, "OEBPS/toc.ncx",
        "<?xml version='1.0'?><!DOCTYPE ncx PUBLIC '-//NISO//DTD ncx 2005-1//EN' "
        "'http://www.daisy.org/z3986/2005/ncx-2005-1.dtd'>"
        "<ncx xmlns='http://www.daisy.org/z3986/2005/ncx/'><navMap><navPoint id='n1'><navLabel>"
        "<text>Alpha</text></navLabel><content src='a.xhtml'/><navPoint id='n2'><navLabel><text>"
        "Beta</text></navLabel><content src='b.xhtml#x'/></navPoint></navPoint></navMap>"
        "<pageList><pageTarget value='7'><navLabel><text/></navLabel><content src='a.xhtml'/>"
        "</pageTarget></pageList></ncx>");
    zip_text(&zip, "OEBPS/a.xhtml", PAGE("<p>one</p>"));
    zip_text(&zip, "OEBPS/b.xhtml", PAGE("<p id='x'>two</p>"));
    struct reading *const reading = read_zip(&zip);
    assert_int_equal(reading->failure, TOME_FAILURE_NONE);
    assert_int_equal(reading->page_count, 2);
    assert_string_equal(reading->pages[0].chapter, "Alpha");
    assert_string_equal(reading->pages[0].label, "7");
    assert_string_equal(reading->pages[1].chapter, "Beta");
    reading_free(reading);
}

static void page_breaks_in_the_text_are_pages(void **state)
{
    (void)state;
    struct zip zip;
    begin(&zip, PACKAGE(ITEM("a", "a.xhtml"), REF("a")));
    zip_text(&zip, "OEBPS/a.xhtml",
             PAGE("<span epub:type=\"pagebreak\" id=\"page_iv\"></span><p>one</p>"
                  "<div role='doc-pagebreak' aria-label='5'>5</div><p>two</p>"));
    struct reading *const reading = read_zip(&zip);
    assert_string_equal(reading->facts[TOME_META_PAGE_KIND], "list");
    assert_int_equal(reading->page_count, 2);
    assert_string_equal(reading->pages[0].label, "iv");
    assert_string_equal(reading->pages[1].label, "5");
    assert_string_equal(reading->pages[1].text, "two");
    reading_free(reading);
}

/* --- hostile and broken archives -------------------------------------------------------------- */

static void expect_failure(struct zip *const zip, const enum tome_extract_failure failure)
{
    struct reading *const reading = read_zip(zip);
    assert_string_equal(tome_extract_failure_name(reading->failure),
                        tome_extract_failure_name(failure));
    reading_free(reading);
}

static void protected_books_are_refused(void **state)
{
    (void)state;
    static const char *const algorithms[] = { "http://www.w3.org/2001/04/xmlenc#aes128-cbc",
                                              "http://www.idpf.org/2008/embedding" };
    for (size_t i = 0; i < BH_COUNT_OF(algorithms); i++) {
        struct zip zip;
        char encryption[1024];
        snprintf(encryption, sizeof(encryption),
                 "<encryption xmlns='urn:oasis:names:tc:opendocument:xmlns:container' "
                 "xmlns:enc='http://www.w3.org/2001/04/xmlenc#'><enc:EncryptedData>"
                 "<enc:EncryptionMethod Algorithm='%s'/><enc:CipherData>"
                 "<enc:CipherReference URI='OEBPS/a.xhtml'/></enc:CipherData></enc:EncryptedData>"
                 "</encryption>",
                 algorithms[i]);
        begin(&zip, PACKAGE(ITEM("a", "a.xhtml"), REF("a")));
        zip_text(&zip, "META-INF/encryption.xml", encryption);
        zip_text(&zip, "OEBPS/a.xhtml", PAGE("<p>text</p>"));
        expect_failure(&zip, i == 0 ? TOME_FAILURE_ENCRYPTED : TOME_FAILURE_NONE);
    }
}

static void names_that_climb_out_reach_nothing(void **state)
{
    (void)state;
    struct zip zip;
    begin(&zip,
          PACKAGE(ITEM("a", "a.xhtml") ITEM("b", "../../../etc/passwd") ITEM("c", "/etc/passwd")
                      ITEM("d", "file:///etc/passwd") ITEM("e", "..%2F..%2Fetc%2Fpasswd"),
                  REF("a") REF("b") REF("c") REF("d") REF("e")));
    zip_text(&zip, "../../../etc/passwd", PAGE("<p>planted</p>"));
    zip_text(&zip, "/etc/passwd", PAGE("<p>planted</p>"));
    zip_text(&zip, "OEBPS/a.xhtml", PAGE("<p>text</p>"));
    struct reading *const reading = read_zip(&zip);
    assert_int_equal(reading->failure, TOME_FAILURE_NONE);
    assert_int_equal(reading->page_count, 1);
    assert_string_equal(reading->pages[0].text, "text");
    reading_free(reading);
}

static void entities_are_not_declared(void **state)
{
    (void)state;
    static const char *const subsets[] = {
        "<!ENTITY x SYSTEM 'file:///etc/passwd'>",
        "<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;'><!ENTITY x '&b;&b;&b;&b;&b;'>",
    };
    for (size_t i = 0; i < BH_COUNT_OF(subsets); i++) {
        struct zip zip;
        char package[2048];
        snprintf(package, sizeof(package), "<?xml version='1.0'?><!DOCTYPE package [%s]>%s",
                 subsets[i],
                 "<package><metadata><title>&x;</title></metadata><manifest>" ITEM(
                     "a", "a.xhtml") "</manifest><spine>" REF("a") "</spine></package>");
        begin(&zip, package);
        zip_text(&zip, "OEBPS/a.xhtml", PAGE("<p>text</p>"));
        struct reading *const reading = read_zip(&zip);
        assert_int_equal(reading->failure, TOME_FAILURE_DAMAGED);
        assert_non_null(strstr(reading->detail.message, "entities"));
        reading_free(reading);
    }
}

static void what_is_no_epub_is_said_so(void **state)
{
    (void)state;
    struct zip zip;
    zip_open(&zip);
    zip_text(&zip, "word/document.xml", "<w/>");
    struct reading *reading = read_zip(&zip);
    assert_int_equal(reading->failure, TOME_FAILURE_UNSUPPORTED);
    assert_non_null(strstr(reading->detail.message, "ZIP"));
    reading_free(reading);

    begin(&zip, "this is not XML");
    expect_failure(&zip, TOME_FAILURE_DAMAGED);
    begin(&zip, PACKAGE("", ""));
    expect_failure(&zip, TOME_FAILURE_DAMAGED);
    begin(&zip, PACKAGE(ITEM("a", "a.xhtml"), REF("a")));
    expect_failure(&zip, TOME_FAILURE_NO_TEXT);
    begin(&zip, PACKAGE(ITEM("a", "a.xhtml"), REF("a")));
    zip_text(&zip, "OEBPS/a.xhtml", PAGE("<img src='scan.png'/>"));
    expect_failure(&zip, TOME_FAILURE_NO_TEXT);
}

static void bombs_are_bounded(void **state)
{
    (void)state;
    struct zip zip;
    /* 64 MB of one letter in 64 kB. */
    const size_t size = (size_t)64 << 20;
    char *const letters = malloc(size);
    memset(letters, 'a', size);
    begin(&zip, PACKAGE(ITEM("a", "a.xhtml"), REF("a")));
    zip_add(&zip, "OEBPS/a.xhtml", letters, size);
    expect_failure(&zip, TOME_FAILURE_TOO_LARGE);
    begin(&zip, PACKAGE(ITEM("a", "a.xhtml"), REF("a")));
    zip_add(&zip, "META-INF/encryption.xml", letters, size);
    expect_failure(&zip, TOME_FAILURE_TOO_LARGE);
    free(letters);

    zip_open(&zip);
    for (unsigned i = 0; i < 20100; i++) {
        char name[32];
        snprintf(name, sizeof(name), "e%u", i);
        zip_text(&zip, name, "");
    }
    expect_failure(&zip, TOME_FAILURE_TOO_LARGE);
}

static void truncated_archives_are_damaged(void **state)
{
    (void)state;
    struct zip zip;
    begin(&zip, PACKAGE(ITEM("a", "a.xhtml"), REF("a")));
    zip_text(&zip, "OEBPS/a.xhtml", PAGE("<p>some text that is long enough to be packed</p>"));
    zip_close(&zip);
    for (size_t size = 4; size < zip.size; size += 3) {
        struct tome_input input;
        struct reading *const reading = reading_begin();
        tome_input_memory(&input, zip.bytes, size);
        reading->failure = tome_epub_read(&input, &reading->writer, &reading->detail);
        assert_string_equal(tome_extract_failure_name(reading->failure), "damaged");
        reading_end(reading);
        reading_free(reading);
    }
    zip_free(&zip);
}

static void broken_bytes_do_no_harm(void **state)
{
    (void)state;
    struct zip zip;
    begin(&zip, PACKAGE(NAV_ITEM ITEM("a", "a.xhtml"), REF("a")));
    zip_text(&zip, "OEBPS/nav.xhtml", PAGE("<nav epub:type='toc'><a href='a.xhtml'>A</a></nav>"));
    zip_text(&zip, "OEBPS/a.xhtml", PAGE("<p>some text that is long enough to be packed</p>"));
    zip_close(&zip);
    for (size_t at = 0; at < zip.size; at++) {
        zip.bytes[at] = (char)(zip.bytes[at] ^ 0x55);
        struct tome_input input;
        struct reading *const reading = reading_begin();
        tome_input_memory(&input, zip.bytes, zip.size);
        reading->failure = tome_epub_read(&input, &reading->writer, &reading->detail);
        reading_end(reading);
        reading_free(reading);
        zip.bytes[at] = (char)(zip.bytes[at] ^ 0x55);
    }
    zip_free(&zip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_spine_gives_the_order),
        cmocka_unit_test(the_navigation_gives_chapters_and_pages),
        cmocka_unit_test(an_ncx_gives_them_too),
        cmocka_unit_test(page_breaks_in_the_text_are_pages),
        cmocka_unit_test(protected_books_are_refused),
        cmocka_unit_test(names_that_climb_out_reach_nothing),
        cmocka_unit_test(entities_are_not_declared),
        cmocka_unit_test(what_is_no_epub_is_said_so),
        cmocka_unit_test(bombs_are_bounded),
        cmocka_unit_test(truncated_archives_are_damaged),
        cmocka_unit_test(broken_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
