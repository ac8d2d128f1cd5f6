-- Requests of a window that got no response, and so have no duration.
SELECT count(*) AS requests
FROM matching
WHERE outcome = 'no_response'
