-- One row 'ok', or what is wrong with the file.
PRAGMA quick_check(1);
