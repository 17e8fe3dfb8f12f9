-- The owner's generation in which what readers see of the book changed last: tells a cache what to
-- forget. Not 'updated_at': two changes may have one time, and clocks go back.
ALTER TABLE books ADD COLUMN changed bigint NOT NULL DEFAULT 0;
CREATE INDEX books_by_change ON books (owner_id, changed);
