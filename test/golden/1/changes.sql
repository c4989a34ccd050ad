--
-- What happened to the table between CREATE INDEX and the images: rows that were
-- appended, and rows that were removed.
--
SELECT golden_rows(701, 800);
DELETE FROM golden WHERE id % 9 = 4;
VACUUM (INDEX_CLEANUP on) golden;
