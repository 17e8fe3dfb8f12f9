TRUNCATE index_lengths;
