-- The merged number of each key of a file.
SELECT file, single.key AS old, merged.key AS key
FROM single
JOIN merged USING ({names})
