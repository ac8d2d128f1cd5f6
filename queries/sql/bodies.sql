-- The response bodies of a few transactions, found by their times and then by their numbers.
SELECT t.recorder, t.session, t.seq, t.res_content_type, t.res_body, t.res_body_bytes
FROM transactions AS t
JOIN chosen AS c ON c.recorder = t.recorder AND c.session = t.session AND c.seq = t.seq
WHERE t.ts IN (SELECT ts FROM chosen)
