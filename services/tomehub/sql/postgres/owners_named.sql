-- $1 how many. Those with a name, in its order.
SELECT identity FROM owners WHERE identity IS NOT NULL ORDER BY identity LIMIT $1;
