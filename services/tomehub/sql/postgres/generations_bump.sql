-- Of all owners: what is kept with a generation is void.
UPDATE owners SET generation = generation + 1, stamp = (random() * 9007199254740991)::bigint;
