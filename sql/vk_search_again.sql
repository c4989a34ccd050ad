--
-- a scan takes over the search of the last one of its index: unless that has changed,
-- whatever has happened in between
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
SET enable_seqscan = off;
SET vkindex.target_recall = 1;
CREATE TABLE a (id int, v f32vec(8)) WITH (autovacuum_enabled = off);
CREATE TABLE b (id int, v f32vec(40)) WITH (autovacuum_enabled = off);
INSERT INTO a SELECT n, vec(n, 8) FROM generate_series(1, 3000) n;
INSERT INTO b SELECT n, vec(n, 40) FROM generate_series(1, 1000) n;
CREATE INDEX a_idx ON a USING vkivf (v) WITH (lists = 20);
CREATE INDEX b_idx ON b USING vkivf (v) WITH (lists = 10);

-- the nearest of the table, and whether they are those without an index
CREATE FUNCTION same(name text, dims int, nth int, k int DEFAULT 10) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
	found int[];
	wanted int[];
BEGIN
	EXECUTE format('SELECT array_agg(id) FROM (SELECT id FROM %I ORDER BY v <-> $1 LIMIT $2) s', name)
		INTO found USING vec(-nth, dims), k;
	EXECUTE format('SELECT array_agg(id) FROM (SELECT id FROM %I ORDER BY l2_distance(v, $1), id LIMIT $2) s', name)
		INTO wanted USING vec(-nth, dims), k;
	RETURN found = wanted;
END
$$;
CREATE VIEW kept AS SELECT total_bytes FROM pg_backend_memory_contexts WHERE name = 'vkindex scan of index' AND ident = 'kept';

SELECT same('a', 8, 1), same('a', 8, 2), same('a', 8, 3, 100);
SELECT same('b', 40, 1), same('a', 8, 4), same('b', 40, 2), same('b', 40, 3);
SELECT count(*) FROM kept;

-- another file, another index, another type
REINDEX INDEX a_idx;
SELECT same('a', 8, 1), same('a', 8, 2);
DROP INDEX a_idx;
CREATE INDEX a_idx ON a USING vkflat (v) WITH (bits = 8);
SELECT same('a', 8, 1), same('a', 8, 2);
TRUNCATE a;
SELECT same('a', 8, 1) IS NULL AS empty;
INSERT INTO a SELECT n, vec(n, 8) FROM generate_series(5000, 6000) n;
SELECT same('a', 8, 1), same('a', 8, 2);
ALTER TABLE b ALTER v TYPE f32vec(24) USING subvector(v, 1, 24);
SELECT same('b', 24, 1), same('b', 24, 2);

-- rows and lists change under it
INSERT INTO b SELECT n, vec(n, 24) FROM generate_series(1001, 4000) n;
SELECT same('b', 24, 1), same('b', 24, 2);
DELETE FROM b WHERE id % 3 = 0;
VACUUM b;
SELECT same('b', 24, 1), same('b', 24, 2);
SELECT vk_tune('b_idx') IS NOT NULL AS tuned;
SELECT same('b', 24, 1), same('b', 24, 2);

-- left in the middle: by LIMIT, by a cursor, by an error, by a transaction
SELECT count(*) FROM (SELECT id FROM b ORDER BY v <-> vec(-1, 24) LIMIT 3) s;
SELECT same('b', 24, 3);
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM b ORDER BY v <-> vec(-1, 24);
MOVE 7 IN c;
SELECT same('b', 24, 4), same('b', 24, 5);
MOVE 7 IN c;
SAVEPOINT s;
SELECT id FROM b WHERE 1 / (id - id) = 1 ORDER BY v <-> vec(-1, 24) LIMIT 1;
ROLLBACK TO s;
SELECT same('b', 24, 6), same('b', 24, 7);
FETCH 1 FROM c \gset cursor_
ROLLBACK;
SELECT :cursor_id = id AS as_ever FROM (SELECT id FROM b ORDER BY l2_distance(v, vec(-1, 24)) OFFSET 14 LIMIT 1) s;
SELECT same('b', 24, 8), same('b', 24, 9);

-- one within the other
SELECT count(*), bool_and(near.ids = truth.ids)
FROM (SELECT id, v FROM b ORDER BY v <-> vec(-2, 24) LIMIT 20) outside,
	LATERAL (SELECT array_agg(id) AS ids FROM (SELECT id FROM b ORDER BY v <-> outside.v LIMIT 5) s) near,
	LATERAL (SELECT array_agg(id) AS ids FROM (SELECT id FROM b ORDER BY l2_distance(v, outside.v) LIMIT 5) s) truth;

-- a large one is not kept
INSERT INTO a SELECT n, vec(n, 8) FROM generate_series(10000, 40000) n;
VACUUM a;
SET work_mem = '64MB';
SELECT same('a', 8, 1);
SELECT count(*) FROM kept;
SELECT same('a', 8, 1, 10000);
SELECT count(*) FROM kept;
SELECT same('a', 8, 1);
SELECT count(*) FROM kept;
DROP VIEW kept;
DROP FUNCTION same(text, int, int, int);
DROP TABLE a, b;
