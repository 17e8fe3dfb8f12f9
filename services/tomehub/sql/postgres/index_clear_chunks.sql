TRUNCATE postings;
