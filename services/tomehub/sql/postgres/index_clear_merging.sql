-- All is to be merged anew. Waits for the step at hand.
UPDATE index_merging SET first_book = 1, last_book = NULL;
