DELETE FROM index_lengths;
