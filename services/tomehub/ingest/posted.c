/* Documents as frames, by the same module that the extractor's readers write to. */
#include "ingest/posted.h"

#include <errno.h>
#include <openssl/evp.h>

#include "extract/document.h"

#define FRAMES_BYTES_MAX (UINT64_C(1) << 30)

/* ---- Hash ---- */

/* Length first, so that no two documents run together to the same bytes. */
static bool hash_text(EVP_MD_CTX *const digest, const struct bh_str text)
{
    const uint64_t size = text.size;
    return EVP_DigestUpdate(digest, &size, sizeof(size)) == 1 &&
           (size == 0 || EVP_DigestUpdate(digest, text.data, text.size) == 1);
}

static bool hash_number(EVP_MD_CTX *const digest, const int64_t number)
{
    return EVP_DigestUpdate(digest, &number, sizeof(number)) == 1;
}

int tome_posted_hash(const struct tome_posted *const posted, uint8_t ret_hash[TOME_HASH_BYTES],
                     struct bh_error *const reterr)
{
    EVP_MD_CTX *const digest = EVP_MD_CTX_new();
    bool ok = digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
              hash_text(digest, posted->title) && hash_text(digest, posted->author) &&
              hash_text(digest, posted->text) && hash_number(digest, (int64_t)posted->page_count);
    for (size_t i = 0; ok && i < posted->page_count; i++) {
        const struct tome_posted_page *const page = &posted->pages[i];
        ok = hash_number(digest, page->number) && hash_text(digest, page->label) &&
             hash_text(digest, page->chapter) && hash_text(digest, page->text);
    }
    ok = ok && EVP_DigestFinal_ex(digest, ret_hash, NULL) == 1;
    EVP_MD_CTX_free(digest);
    return ok ? 0 : bh_error_set(reterr, BH_ENOMEM, "cannot compute a SHA-256");
}

/* ---- Frames ---- */

static enum tome_page_kind kind_of(const struct tome_posted *const posted)
{
    for (size_t i = 0; i < posted->page_count; i++)
        if (posted->pages[i].label.size > 0)
            return TOME_PAGES_LIST;
    return posted->page_count > 0 ? TOME_PAGES_REAL : TOME_PAGES_SECTIONS;
}

static void write_pages(const struct tome_posted *const posted,
                        struct tome_document *const document)
{
    struct bh_str chapter = BH_STR("");
    int64_t number = 0;
    for (size_t i = 0; i < posted->page_count; i++) {
        const struct tome_posted_page *const page = &posted->pages[i];
        while (++number < page->number)
            tome_document_page(document, BH_STR("")); /* pages that were left out */
        tome_document_page(document, page->label);
        if (!bh_str_equal(page->chapter, chapter))
            tome_document_chapter(document, page->chapter);
        chapter = page->chapter;
        tome_document_verbatim(document, page->text);
        tome_document_end_paragraph(document);
    }
}

static int write_document(const struct tome_posted *const posted,
                          struct tome_frame_writer *const writer, struct bh_error *const reterr)
{
    struct tome_document *BH_CLEANUP(tome_document_destroy_cleanup) document = NULL;
    if (tome_document_create(writer, kind_of(posted), &document) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to take in a document");
    if (posted->page_count > 0)
        write_pages(posted, document);
    else
        tome_document_verbatim(document, posted->text);
    tome_document_finish(document);
    int result = tome_document_error(document);
    if (result == 0 && !tome_document_has_text(document))
        return bh_error_set(reterr, BH_EUNSUPPORTED, "there is no text in it");
    if (result == 0) {
        tome_frame_write_end(writer);
        result = tome_frame_writer_flush(writer);
    }
    return result;
}

int tome_posted_write(const struct tome_posted *const posted, const int fd,
                      struct bh_error *const reterr)
{
    struct tome_frame_writer writer;
    struct bh_error detail = { 0 };
    tome_frame_writer_init(&writer, fd, FRAMES_BYTES_MAX);
    errno = 0;
    const int result = write_document(posted, &writer, &detail);
    const int errno_value = errno;
    tome_frame_writer_fini(&writer);
    if (result == 0)
        return 0;
    if (detail.code == result) {
        *reterr = detail;
        return result;
    }
    if (result == BH_EIO && errno_value != 0)
        return bh_error_errno(reterr, errno_value, "cannot write the document down");
    return bh_error_set(reterr, result, "cannot write the document down: %s",
                        bh_error_text(result));
}
