-- Owner. Until the transaction's end nobody else changes the owner's words: so that none is
-- forgotten which another transaction is just adding, and no two wait for each other.
SELECT pg_advisory_xact_lock(hashtextextended('tomehub words', $1));
