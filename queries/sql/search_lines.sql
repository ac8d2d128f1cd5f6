-- The lines of some transactions, newest first; picked: (recorder, seq).
SELECT
    recorder,
    session,
    seq,
    ts,
    duration_ms,
    status,
    grpc_status,
    direction,
    method,
    scheme,
    host,
    path,
    query,
    route,
    container_name,
    process_exe,
    error_signature,
    req_body_bytes,
    res_body_bytes,
    len(findings) AS findings
FROM transactions
SEMI JOIN picked USING (recorder, seq)
WHERE ts >= $from_ts AND ts <= $to_ts
ORDER BY ts DESC, recorder DESC, seq DESC
