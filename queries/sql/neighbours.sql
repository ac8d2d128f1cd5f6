-- The transactions of a recorder with the numbers nearest to one, for a hint.
SELECT recorder, session, seq
FROM transactions
WHERE recorder = $recorder AND seq BETWEEN $seq - 100 AND $seq + 100
ORDER BY abs(seq - $seq), seq
LIMIT 1
