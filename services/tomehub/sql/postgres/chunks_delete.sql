-- $1 first and $2 last chunk id.
DELETE FROM chunks WHERE id BETWEEN $1 AND $2;
