-- Owner. Until the transaction's end nobody else changes the owner's rows of postings, but for
-- adding new ones: what is found by statements behind this one stays as it is.
SELECT pg_advisory_xact_lock(hashtextextended('tomehub postings', $1));
