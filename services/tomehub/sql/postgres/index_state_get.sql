-- primary: it decides whether the index is made anew.
-- The analysis the index was made by (NULL while it is being made), and whether there is anything
-- in it.
SELECT (SELECT analysis_version FROM index_state), EXISTS (SELECT 1 FROM chunks);
