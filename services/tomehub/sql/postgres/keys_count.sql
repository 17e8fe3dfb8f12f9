-- How many keys there are, revoked ones included.
SELECT count(*) FROM api_keys;
