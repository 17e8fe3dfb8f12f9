/* Every handler; the routes that lead to them stand in routes.c, what they take and answer in
 * docs/reference/api.md. */
#pragma once

#include "bulkhead/http/router.h"

bh_handler tome_handle_search_get, tome_handle_search_post;
bh_handler tome_handle_search_books_get, tome_handle_search_books_post;
bh_handler tome_handle_search_stream_get, tome_handle_search_stream_post;
bh_handler tome_handle_concepts, tome_handle_concept;
bh_handler tome_handle_content, tome_handle_content_batch;
bh_handler tome_handle_books, tome_handle_book, tome_handle_book_patch, tome_handle_book_delete;
bh_handler tome_handle_page;
bh_handler tome_handle_export;
bh_handler tome_handle_ingest, tome_handle_job, tome_handle_jobs;
bh_handler tome_handle_site;
bh_handler tome_handle_queries;
bh_handler tome_handle_pool;
bh_handler tome_handle_health_database, tome_handle_health_streams;
bh_handler tome_handle_health_memory, tome_handle_health_restart;
bh_handler tome_handle_health, tome_handle_live, tome_handle_ready, tome_handle_metrics;
