-- Word.
UPDATE index_merging SET word = $1;
