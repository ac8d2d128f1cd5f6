-- Keys of an hour's recorders, file by file; recorders of a group, and sessions, are one.
SELECT file_index AS file, * REPLACE ('' AS session, coalesce(population, recorder) AS recorder)
FROM {files}
LEFT JOIN groups USING (recorder)
