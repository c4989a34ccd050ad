--
-- vkindex.prefilter: an ordered scan with the rows that other indexes know
--
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS vk_test CASCADE;
CREATE SCHEMA vk_test;
SET search_path = vk_test, public;
RESET client_min_messages;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
\getenv top PG_ABS_SRCDIR
\set plans :top /sql/include/plans.psql
\set ECHO none
\i :plans
\set ECHO all

CREATE TABLE t (id int, a int, b int, c int, v f32vec(8)) WITH (autovacuum_enabled = off);
INSERT INTO t SELECT i, i % 100, i % 7, i % 3, array[i % 13, i % 17, i % 5, i % 11, i % 19, i % 23, i % 3, i % 29]::real[]::f32vec
FROM generate_series(1, 6000) i;
CREATE INDEX t_v ON t USING vkivf (v);
CREATE INDEX t_a ON t (a);
CREATE INDEX t_b ON t (b);
CREATE INDEX t_c ON t USING brin (c);
ANALYZE t;
SET enable_seqscan = off;
SET enable_sort = off;

-- plans
SET vkindex.prefilter = on;
EXPLAIN (COSTS OFF) SELECT id, v <-> '[1,2,3,4,5,6,1,8]' FROM t WHERE a = 5 ORDER BY v <-> '[1,2,3,4,5,6,1,8]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE a = 5 AND id > 7 ORDER BY v <-> '[1,2,3,4,5,6,1,8]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE a = 5 OR b = 2 ORDER BY v <-> '[1,2,3,4,5,6,1,8]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE a = 5 AND v <-> '[1,2,3,4,5,6,1,8]' < 9 ORDER BY v <-> '[1,2,3,4,5,6,1,8]' LIMIT 5;
-- there is nothing to tell
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE id > 7 ORDER BY v <-> '[1,2,3,4,5,6,1,8]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '[1,2,3,4,5,6,1,8]' LIMIT 5;
SET vkindex.prefilter = off;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE a = 5 ORDER BY v <-> '[1,2,3,4,5,6,1,8]' LIMIT 5;

-- by cost: where few rows pass, and there is a LIMIT; not where most do
SET vkindex.prefilter = auto;
SELECT (SELECT count(*) FROM plan_lines('SELECT id FROM t WHERE a = 5 ORDER BY v <-> ''[1,2,3,4,5,6,1,8]'' LIMIT 5', 'vkindex prefilter')) AS few,
	(SELECT count(*) FROM plan_lines('SELECT id FROM t WHERE a > 5 ORDER BY v <-> ''[1,2,3,4,5,6,1,8]'' LIMIT 5', 'vkindex prefilter')) AS most;

-- answers, each beside that of a plan without indexes
CREATE FUNCTION wrong(condition text, k int, target float8) RETURNS TABLE (wrong bigint, scored bool) LANGUAGE plpgsql AS $$
DECLARE
	query text := format('SELECT array_agg(d ORDER BY n) FROM generate_series(1, 20) g, LATERAL (SELECT v FROM t WHERE id = g * 31) q,
		LATERAL (SELECT row_number() OVER () AS n, d FROM (SELECT t.v <-> q.v AS d FROM t WHERE %s ORDER BY t.v <-> q.v LIMIT %s) s) x GROUP BY g ORDER BY g', condition, k);
	ours text;
	theirs text;
BEGIN
	PERFORM set_config('vkindex.target_recall', target::text, true), set_config('vkindex.prefilter', 'on', true),
		set_config('enable_indexscan', 'on', true), set_config('enable_bitmapscan', 'on', true), set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true);
	EXECUTE format('SELECT string_agg(a::text, '';'') FROM (%s) a', replace(query, 'SELECT array_agg', 'SELECT g, array_agg')) INTO ours;
	scored := (SELECT path = 'prefilter' AND matched < s.scanned / 10 FROM vk_last_scan() s);
	PERFORM set_config('enable_indexscan', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'on', true), set_config('enable_sort', 'on', true);
	EXECUTE format('SELECT string_agg(a::text, '';'') FROM (%s) a', replace(query, 'SELECT array_agg', 'SELECT g, array_agg')) INTO theirs;
	SELECT count(*) INTO wrong FROM unnest(string_to_array(ours, ';'), string_to_array(theirs, ';')) u (o, t) WHERE o IS DISTINCT FROM t;
	RETURN NEXT;
END $$;
SELECT * FROM wrong('a = 5', 10, 1);
SELECT * FROM wrong('a = 5 AND b < 3', 10, 1);
SELECT * FROM wrong('(a = 5 OR a = 17 AND b = 1)', 10, 1);
SELECT * FROM wrong('a = 5 AND c = 1', 25, 1);
SELECT * FROM wrong('a = 5', 100, 1);
SELECT * FROM wrong('a = -1', 10, 1);
SELECT wrong < 4 AS recalled, scored FROM wrong('a = 5', 10, 0.99);

-- the rows that the LIMIT wants are found at once
SET vkindex.prefilter = on;
SELECT count(*) FROM (SELECT id FROM t WHERE a = 5 ORDER BY v <-> '[1,2,3,4,5,6,1,8]' LIMIT 30) s;
SELECT wanted, emitted, rounds, path, checked, matched < 61 AS matched FROM vk_last_scan();
-- what the bitmap does not tell for certain is asked of the rows
SELECT count(*) FROM (SELECT id FROM t WHERE a = 5 AND b < 5 ORDER BY v <-> '[1,2,3,4,5,6,1,8]' LIMIT 5) s;
SELECT path, checked > 0 AS checked FROM vk_last_scan();
SELECT count(*) FROM (SELECT id FROM t WHERE a = 5 OR a = 17 AND b = 1 ORDER BY v <-> '[1,2,3,4,5,6,1,8]' LIMIT 5) s;
SELECT path, checked > 0 AS checked FROM vk_last_scan();
-- without a LIMIT all come
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t WHERE a = 5 ORDER BY v <-> '[1,2,3,4,5,6,1,8]') s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t WHERE a = 5 AND c = 2 ORDER BY v <-> '[1,2,3,4,5,6,1,8]' OFFSET 3) s;

-- for another vector the bitmap stays, for another value it is made anew
SELECT substring(run_lines('SELECT g, s.id FROM generate_series(1, 3) g, LATERAL (SELECT id FROM t WHERE a = 5 ORDER BY v <-> array_fill(g::real, ''{8}'')::f32vec LIMIT 2) s', 'Bitmap Index Scan') FROM 'loops=(\d+)') AS vectors,
	substring(run_lines('SELECT g, s.id FROM generate_series(1, 3) g, LATERAL (SELECT id FROM t WHERE a = g ORDER BY v <-> ''[1,2,3,4,5,6,1,8]'' LIMIT 2) s', 'Bitmap Index Scan') FROM 'loops=(\d+)') AS values;
SELECT g, s.id, s.a FROM generate_series(1, 3) g, LATERAL (SELECT id, a FROM t WHERE a = g ORDER BY v <-> '[1,2,3,4,5,6,1,8]', id LIMIT 1) s;
SET plan_cache_mode = force_generic_plan;
PREPARE by_value(int, f32vec) AS SELECT id, a FROM t WHERE a = $1 ORDER BY v <-> $2 LIMIT 1;
EXPLAIN (COSTS OFF) EXECUTE by_value(5, '[1,2,3,4,5,6,1,8]');
EXECUTE by_value(5, '[1,2,3,4,5,6,1,8]');
EXECUTE by_value(6, '[1,2,3,4,5,6,1,8]');
DEALLOCATE by_value;
RESET plan_cache_mode;

-- cursors, locked and changed rows
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, a FROM t WHERE a = 5 ORDER BY v <-> '[1,2,3,4,5,6,1,8]';
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
CLOSE c;
DECLARE c CURSOR FOR SELECT id, a FROM t WHERE a = 5 ORDER BY v <-> '[1,2,3,4,5,6,1,8]';
FETCH 1 FROM c;
UPDATE t SET c = 99 WHERE CURRENT OF c RETURNING id, c;
ROLLBACK;
SELECT id, a FROM t WHERE a = 5 ORDER BY v <-> '[1,2,3,4,5,6,1,8]' LIMIT 1 FOR UPDATE;
BEGIN;
DELETE FROM t WHERE id IN (SELECT id FROM t WHERE a = 5 ORDER BY v <-> '[1,2,3,4,5,6,1,8]' LIMIT 50);
SELECT count(*) FROM (SELECT id FROM t WHERE a = 5 ORDER BY v <-> '[1,2,3,4,5,6,1,8]' LIMIT 20) s;
UPDATE t SET a = 5 WHERE a = 6;
SELECT count(*) FROM (SELECT id FROM t WHERE a = 5 ORDER BY v <-> '[1,2,3,4,5,6,1,8]' LIMIT 80) s;
ROLLBACK;

-- rows without a distance come last, as from any scan
INSERT INTO t SELECT 10000 + i, 5, 1, 1, NULL FROM generate_series(1, 3) i;
SELECT count(*), count(v) FROM (SELECT id, v FROM t WHERE a = 5 ORDER BY v <-> '[1,2,3,4,5,6,1,8]' LIMIT 100) s;

-- a bitmap that knows pages only, and one that has no room
CREATE TABLE wide (id int, a int, pad text, v f32vec(2)) WITH (autovacuum_enabled = off, fillfactor = 10);
ALTER TABLE wide ALTER pad SET STORAGE PLAIN;
INSERT INTO wide SELECT i, i % 2, repeat('x', 400), array[i % 61, i % 67]::real[]::f32vec FROM generate_series(1, 4000) i;
CREATE INDEX ON wide USING vkflat (v);
CREATE INDEX ON wide (a);
ANALYZE wide;
SELECT run_lines('SELECT id FROM wide WHERE a = 1 ORDER BY v <-> ''[1,2]'' LIMIT 5', '^ *Rows: ');
SET work_mem = '64kB';
SELECT run_lines('SELECT id FROM wide WHERE a = 1 ORDER BY v <-> ''[1,2]'' LIMIT 5', '^ *Rows: ');
SELECT count(*), sum(a) FROM (SELECT id, a FROM wide WHERE a = 1 ORDER BY v <-> '[1,2]' LIMIT 500) s;
RESET work_mem;
CREATE INDEX ON wide USING brin (id) WITH (pages_per_range = 4);
SELECT run_lines('SELECT id FROM wide WHERE id < 100 ORDER BY v <-> ''[1,2]'' LIMIT 5', '^ *Rows: ');
SELECT count(*), max(id) FROM (SELECT id FROM wide WHERE id < 100 ORDER BY v <-> '[1,2]' LIMIT 500) s;

-- partitions: each with its own bitmap
CREATE TABLE p (id int, a int, v f32vec(2)) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (500);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (500) TO (1000);
INSERT INTO p SELECT i, i % 10, array[i % 31, i % 37]::real[]::f32vec FROM generate_series(0, 999) i;
CREATE INDEX ON p USING vkflat (v);
CREATE INDEX ON p (a);
ANALYZE p;
EXPLAIN (COSTS OFF) SELECT id FROM p WHERE a = 3 ORDER BY v <-> '[1,2]' LIMIT 5;
SELECT a, v <-> '[1,2]' AS distance FROM p WHERE a = 3 ORDER BY v <-> '[1,2]' LIMIT 5;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
