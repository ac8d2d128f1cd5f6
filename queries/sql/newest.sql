-- The end of the last stretch in which somebody received.
SELECT max(to_ts) AS newest FROM coverage WHERE state IN ('receiving', 'lagging')
