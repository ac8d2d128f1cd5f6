-- Columns, bodies among them, of the transactions in `picked`: which ones is found first.
SELECT {columns}
FROM transactions
SEMI JOIN picked USING (ts, recorder, seq)
ORDER BY recorder, seq
