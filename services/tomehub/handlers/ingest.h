/* The two ways into POST /api/ingest; handlers/ingest.c chooses by Content-Type. */
#pragma once

#include "handlers/input.h"
#include "service.h"

/* Reads a form with a file, or a document in JSON, into a spool, and describes it in *submission
 * (strings in the request's arena). True: spool and submission are filled. False: refused;
 * *ret_result is what the handler returns (it has answered, or the client is gone). */
bool tome_ingest_read_form(struct bh_request *request, struct tome_spool *spool,
                           struct tome_submission *submission, int *ret_result) BH_MUST_CHECK;
bool tome_ingest_read_json(struct bh_request *request, struct tome_spool *spool,
                           struct tome_submission *submission, int *ret_result) BH_MUST_CHECK;
