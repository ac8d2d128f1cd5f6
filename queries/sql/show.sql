-- One transaction by its recorder and number, with every column.
SELECT * FROM transactions WHERE recorder = $recorder AND seq = $seq
