-- Drawn anew with each generation: no two libraries, nor one that was put back from a copy, share
-- both. What servers keep together is known by it.
ALTER TABLE owners ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0;
