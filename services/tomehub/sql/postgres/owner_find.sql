-- primary: another server may just have added the user.
-- $1 identity.
SELECT id FROM owners WHERE identity = $1;
