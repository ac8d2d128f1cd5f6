-- The bodies of the transactions in `picked`: which ones is found first.
SELECT method, host, route, status, req_body, res_body
FROM transactions
SEMI JOIN picked USING (recorder, seq)
WHERE ts >= $from_ts AND ts < $to_ts
ORDER BY recorder, seq
