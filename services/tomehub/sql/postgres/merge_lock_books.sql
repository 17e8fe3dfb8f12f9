-- slow: it waits for writers. Ids below the newest one's are given by transactions that have ended.
LOCK TABLE books IN SHARE MODE;
