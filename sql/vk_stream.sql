--
-- the scan is a stream: whatever takes rows from it, and throws rows away, gets
-- as many as there are
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
-- rare: one row of a thousand, by a column that is in no index
CREATE TABLE t (id int, v f32vec(24), rare int, half boolean);
INSERT INTO t SELECT n, CASE WHEN n % 50 > 0 THEN vec(n % 40, 24) + vec(n, 24, 0.3) END, (hashint4(n) & 1048575) % 1000, n % 2 = 0 FROM generate_series(1, 12000) n;
CREATE INDEX t_flat ON t USING vkflat (v);
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops) WITH (lists = 100);
CREATE INDEX t_ip ON t USING vkivf (v f32vec_ip_ops, half) WITH (lists = 60, bits = 1, refine = 4);
ANALYZE t;
SELECT count(*) FILTER (WHERE rare = 7) AS one_in_a_thousand, count(*) FILTER (WHERE rare < 10) AS one_in_a_hundred FROM t;

-- as many rows as the LIMIT has, or as there are, at every target; none twice
CREATE FUNCTION filled(metric text) RETURNS TABLE (condition text, rows text, twice boolean, wrong boolean)
LANGUAGE plpgsql AS $$
DECLARE
	target float8;
	ids int[];
	passes boolean;
BEGIN
	FOREACH condition IN ARRAY ARRAY['rare = 7', 'rare < 10', 'rare < 500', 'rare < 10 AND half', 'v IS NULL AND rare < 100', 'rare = 7 AND v IS NOT NULL', 'id < 0', 'id % 4000 = 1 OR rare = -1', 'random() < 0'] LOOP
		rows := '';
		twice := false;
		wrong := false;
		FOREACH target IN ARRAY ARRAY[0.5, 0.95, 1] LOOP
			ids := (nearest(true, 't', metric, vec(-3, 24), 8, target, condition)).ids;
			rows := rows || coalesce(cardinality(ids), 0) || ' ';
			twice := twice OR coalesce(cardinality(ids), 0) <> (SELECT count(DISTINCT i) FROM unnest(ids) i);
			EXECUTE format('SELECT count(*) FILTER (WHERE %s) <> count(*) FROM t WHERE id = ANY ($1)', condition) INTO passes USING ids;
			wrong := wrong OR passes;
		END LOOP;
		RETURN NEXT;
	END LOOP;
END
$$;
SELECT * FROM filled('l2');
SELECT * FROM filled('cosine');
SELECT * FROM filled('ip');
-- few that pass: those that the sequential plan finds, nearly all of them
SELECT metric, avg(recall) > 0.9 AS recall FROM unnest(ARRAY['l2', 'cosine', 'ip']) metric, generate_series(1, 20) n,
	nearest(true, 't', metric, vec(n, 24) + vec(-n, 24, 0.3), 8, 0.95, 'rare < 50') i, nearest(false, 't', metric, vec(n, 24) + vec(-n, 24, 0.3), 8, 0.95, 'rare < 50') s,
	LATERAL (SELECT count(*) / 8.0 AS recall FROM (SELECT unnest(i.ids) INTERSECT SELECT unnest(s.ids)) x) r GROUP BY metric ORDER BY metric;
-- each condition is exact at target 1
SELECT c, bool_and(same('t', m, vec(-3, 24), k, 1, c)) FROM unnest(ARRAY['rare = 7', 'rare < 10', 'half', 'half AND rare < 100', 'NOT half', 'v IS NULL', 'half IS NULL']) c,
	unnest(ARRAY['l2', 'cosine', 'ip']) m, unnest(ARRAY[1, 30, 1000]) k GROUP BY c ORDER BY c;

-- a limit on the work: a warning says that it was reached
SET enable_seqscan = off;
SET enable_sort = off;
SET vkindex.max_scan_rows = 500;
SELECT count(*) FROM (SELECT id FROM t WHERE rare = -1 ORDER BY v <-> vec(-3, 24) LIMIT 8) s;
SELECT count(*) FROM (SELECT id FROM t WHERE rare = -1 ORDER BY v <=> vec(-3, 24) LIMIT 8) s;
-- not where it was not
SET vkindex.max_scan_rows = 1000000;
SELECT count(*) FROM (SELECT id FROM t WHERE rare = -1 ORDER BY v <=> vec(-3, 24) LIMIT 8) s;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <=> vec(-3, 24) LIMIT 8) s;
SET vkindex.max_scan_rows = -1;
RESET vkindex.max_scan_rows;
SHOW vkindex.max_scan_rows;

-- The same rows in the same order, by the index and by the sequential plan.
SET vkindex.target_recall = 1;
RESET enable_seqscan;
RESET enable_sort;
-- to print what is asked for without 24 elements
\set ECHO none
CREATE FUNCTION ordered(statement text, shape text DEFAULT 'Order By') RETURNS text LANGUAGE sql AS $$
	SELECT agree('index', replace(replace(replace(replace(statement, '{d}', '(v <-> vec(-3, 24))'), '{c}', '(v <=> vec(-3, 24))'), '{e}', '(v <-> vec(-9, 24))'), '{i}', '(v <#> vec(-3, 24))'), shape, true)
$$;
\set ECHO all
SELECT s, ordered(s) FROM unnest(ARRAY[
	-- OFFSET, WITH TIES
	'SELECT {d} FROM t ORDER BY {d} LIMIT 10 OFFSET 37', 'SELECT {d} FROM t ORDER BY {d} OFFSET 11950', 'SELECT {c} FROM t WHERE rare < 20 ORDER BY {c} LIMIT 10 OFFSET 37', 'SELECT {c} FROM t ORDER BY {c} LIMIT 5 OFFSET 20000',
	'SELECT {d} FROM t ORDER BY {d} FETCH FIRST 7 ROWS WITH TIES', 'SELECT {i} FROM t WHERE half ORDER BY {i} FETCH FIRST 7 ROWS WITH TIES', 'SELECT {d} FROM t WHERE rare < 10 ORDER BY {d} OFFSET 3 FETCH NEXT ROW WITH TIES',
	'SELECT {d} FROM t WHERE id % 50 = 0 ORDER BY {d} FETCH FIRST 5 ROWS WITH TIES',
	-- views, subqueries, CTEs
	'SELECT d FROM (SELECT {d} AS d, rare FROM t) s WHERE rare < 10 ORDER BY d LIMIT 10', 'SELECT d FROM (SELECT {d} AS d, rare FROM t ORDER BY {d} LIMIT 300) s WHERE rare < 10',
	'WITH s AS (SELECT {d} AS d FROM t WHERE rare < 10 ORDER BY {d} LIMIT 12) SELECT d FROM s', 'WITH s AS MATERIALIZED (SELECT {d} AS d, half FROM t WHERE rare < 10 ORDER BY {d} LIMIT 12) SELECT d FROM s WHERE half',
	'WITH s AS NOT MATERIALIZED (SELECT * FROM t WHERE rare < 10) SELECT {c} FROM s ORDER BY {c} LIMIT 12', 'WITH s AS (SELECT {d} AS d FROM t ORDER BY {d} LIMIT 12) SELECT a.d, b.d FROM s a JOIN s b USING (d) ORDER BY 1, 2',
	-- UNION ALL
	'(SELECT {d} FROM t WHERE half ORDER BY {d} LIMIT 3) UNION ALL (SELECT {c} FROM t WHERE NOT half ORDER BY {c} LIMIT 3)', 'SELECT d FROM (SELECT {d} AS d FROM t UNION ALL SELECT {e} FROM t) s ORDER BY d LIMIT 25',
	-- above it: aggregates, windows, distinct
	'SELECT sum(d) FROM (SELECT {d} AS d FROM t ORDER BY {d} LIMIT 100) s', 'SELECT row_number() OVER (ORDER BY {d}), {d} FROM t LIMIT 20',
	'SELECT DISTINCT ON ({d}) {d} FROM t ORDER BY {d} LIMIT 20']) s;
-- two orders: the distance first
SELECT s, ordered(s, 'Incremental Sort.*Order By') FROM unnest(ARRAY['SELECT {d}, id FROM t ORDER BY {d}, id LIMIT 10', 'SELECT {d}, id FROM t ORDER BY {d}, id DESC LIMIT 10 OFFSET 30', 'SELECT {c}, id FROM t WHERE rare < 10 ORDER BY {c}, half, id LIMIT 10',
	'SELECT {i}, id FROM t WHERE half ORDER BY {i}, id FETCH FIRST 10 ROWS WITH TIES']) s;
-- IN on an attribute keeps the order
SELECT ordered('SELECT {i} FROM t WHERE half IN (true, NULL) ORDER BY {i} LIMIT 10', 'Index Cond.*Order By'), ordered('SELECT {i} FROM t WHERE half = ANY (ARRAY[true, false]) AND rare < 10 ORDER BY {i} LIMIT 10', 'Index Cond.*Order By');
CREATE VIEW near AS SELECT id, v <-> vec(-3, 24) AS d, rare FROM t;
SELECT agree('index', 'SELECT d FROM near WHERE rare < 10 ORDER BY d LIMIT 10', 'Order By', true), agree('index', 'SELECT d FROM near WHERE d < 3 ORDER BY d LIMIT 10', 'Index Cond: .*Order By', true),
	agree('index', 'SELECT id FROM near WHERE d < 3', 'Index Cond: .*<<');

-- one query for every row of another table
CREATE TABLE q (id int, v f32vec(24), k int);
INSERT INTO q SELECT n, CASE n WHEN 9 THEN NULL ELSE vec(-n, 24) END, CASE WHEN n <> 5 THEN n % 4 END FROM generate_series(1, 12) n;
SELECT agree('index', replace(s, '{d}', 't.v <-> q.v'), 'Order By') FROM unnest(ARRAY['SELECT q.id, s.d FROM q, LATERAL (SELECT {d} AS d FROM t ORDER BY {d} LIMIT 5) s WHERE q.v IS NOT NULL',
	'SELECT q.id, s.d FROM q, LATERAL (SELECT {d} AS d FROM t WHERE rare < 20 ORDER BY {d} LIMIT k OFFSET 2) s WHERE q.v IS NOT NULL AND k IS NOT NULL', 'SELECT q.id, s.d FROM q LEFT JOIN LATERAL (SELECT {d} AS d FROM t WHERE rare = k ORDER BY {d} LIMIT 3) s ON true',
	'SELECT q.id, (SELECT {d} FROM t WHERE rare < 10 * k ORDER BY {d} LIMIT 1) FROM q', 'SELECT q.id, ARRAY(SELECT {d} FROM t WHERE rare < 10 ORDER BY {d} LIMIT k) FROM q WHERE k IS NOT NULL AND v IS NOT NULL',
	'SELECT id FROM q WHERE (SELECT {d} FROM t ORDER BY {d} LIMIT 1) < 2.5', 'SELECT q.id, s.d FROM q, LATERAL (SELECT {d} AS d FROM t ORDER BY {d} FETCH FIRST 2 ROWS WITH TIES) s WHERE q.v IS NOT NULL']) s;

-- cursors, that outlive the transaction
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT id FROM t WHERE rare < 10 AND v IS NOT NULL ORDER BY v <-> vec(-3, 24);
COMMIT;
MOVE FORWARD ALL IN h;
CLOSE h;
SELECT count(*) FROM t WHERE rare < 10 AND v IS NOT NULL;

-- prepared statements: LIMIT, filter and query known late
PREPARE p (f32vec, int, bigint, bigint) AS SELECT v <-> $1 FROM t WHERE rare < $2 ORDER BY v <-> $1 LIMIT $3 OFFSET $4;
PREPARE ties (f32vec, int, bigint) AS SELECT v <=> $1, id FROM t WHERE rare < $2 ORDER BY v <=> $1, id FETCH FIRST $3 ROWS ONLY;
SET plan_cache_mode = force_generic_plan;
SELECT agree('index', p, 'Order By', true) FROM unnest(ARRAY['EXECUTE p (vec(-3, 24), 10, 10, 0)', 'EXECUTE p (vec(-3, 24), 10, NULL, 50)', 'EXECUTE p (vec(-3, 24), 0, 10, 0)', 'EXECUTE p (vec(-3, 24), NULL, 10, 0)', 'EXECUTE p (vec(-3, 24), 1000, 1, 777)',
	'EXECUTE p (vec(-4, 24), 1000, 0, 0)', 'EXECUTE ties (vec(-4, 24), 100, 20)', 'EXECUTE ties (vec(-4, 24), 1, 20)']) p;
RESET plan_cache_mode;
DEALLOCATE ALL;

-- FOR UPDATE: rows that are locked, and rows that others hold (test/isolation)
SELECT agree('index', 'SELECT id FROM t WHERE rare < 10 AND v IS NOT NULL ORDER BY v <-> vec(-3, 24) LIMIT 10 FOR UPDATE', 'LockRows.*Order By'), agree('index', 'SELECT id FROM t WHERE rare < 10 AND v IS NOT NULL ORDER BY v <-> vec(-3, 24) LIMIT 10 FOR NO KEY UPDATE SKIP LOCKED', 'LockRows.*Order By');
CREATE TABLE copy AS TABLE t;
SET enable_seqscan = off;
SET enable_sort = off;
UPDATE t SET rare = -5 WHERE id IN (SELECT id FROM t WHERE rare < 10 AND v IS NOT NULL ORDER BY v <-> vec(-3, 24) LIMIT 5 FOR UPDATE);
DELETE FROM t WHERE id = ANY (ARRAY(SELECT id FROM t WHERE half AND v IS NOT NULL ORDER BY v <#> vec(-3, 24) LIMIT 5 OFFSET 2 FOR UPDATE SKIP LOCKED));
RESET enable_seqscan;
RESET enable_sort;
UPDATE copy SET rare = -5 WHERE id IN (SELECT id FROM copy WHERE rare < 10 AND v IS NOT NULL ORDER BY v <-> vec(-3, 24) LIMIT 5);
DELETE FROM copy WHERE id IN (SELECT id FROM copy WHERE half AND v IS NOT NULL ORDER BY v <#> vec(-3, 24) LIMIT 5 OFFSET 2);
SELECT (SELECT count(*) FROM t) AS rows, (SELECT count(*) FROM (SELECT id, rare FROM t EXCEPT SELECT id, rare FROM copy) s) AS different;
DROP VIEW near;
DROP TABLE t, copy;

-- tables that inherit, tables that are partitioned: the order is merged
CREATE TABLE p (id int, v f32vec(24), region int);
CREATE TABLE p_1 (more text) INHERITS (p);
CREATE TABLE p_2 () INHERITS (p);
INSERT INTO p SELECT n, vec(n % 40, 24) + vec(n, 24, 0.3), n % 5 FROM generate_series(1, 900) n;
INSERT INTO p_1 SELECT n, CASE WHEN n % 50 > 0 THEN vec(n % 40, 24) + vec(n, 24, 0.3) END, n % 5 FROM generate_series(1001, 1900) n;
INSERT INTO p_2 SELECT n, vec(n % 40, 24) + vec(n, 24, 0.3), n % 5 FROM generate_series(2001, 2900) n;
CREATE INDEX p_flat ON p USING vkflat (v, region);
CREATE INDEX p_1_ivf ON p_1 USING vkivf (v, region) WITH (lists = 10);
CREATE INDEX p_2_flat ON p_2 USING vkflat (v);
ANALYZE p, p_1, p_2;
CREATE TABLE r (id int, v f32vec(24), region int) PARTITION BY LIST (region);
CREATE TABLE r_0 PARTITION OF r FOR VALUES IN (0, 1);
CREATE TABLE r_2 PARTITION OF r FOR VALUES IN (2, 3) PARTITION BY RANGE (id);
CREATE TABLE r_2a PARTITION OF r_2 FOR VALUES FROM (0) TO (1500);
CREATE TABLE r_2b PARTITION OF r_2 FOR VALUES FROM (1500) TO (3000);
CREATE TABLE r_4 PARTITION OF r DEFAULT;
CREATE INDEX r_flat ON r USING vkflat (v, region, id);
INSERT INTO r SELECT id, v, region FROM p;
ANALYZE r;
CREATE FUNCTION trees(condition text) RETURNS TABLE (tree text, rows text, nearest text, ordered text, sorted text, by_bitmap text) LANGUAGE sql AS $$
	SELECT tree, agree('index', s || where_is), agree('index', d || where_is || o || ' LIMIT 20', 'Order By', true), agree('index', d || where_is || o, 'Merge Append.*Order By|Order By', true),
		agree('index', d || where_is || o || ', id LIMIT 20', 'Order By', true), agree('bitmap', s || where_is)
	FROM unnest(ARRAY['p', 'r']) tree, format('SELECT id FROM %s', tree) s, format('SELECT v <-> vec(-3, 24) FROM %s', tree) d, (VALUES (' WHERE ' || condition, ' ORDER BY v <-> vec(-3, 24)')) c(where_is, o)
$$;
SELECT c, t.* FROM unnest(ARRAY['region = 2', 'region IN (1, 2)', 'region = 3 AND id < 1200', 'v <-> vec(7, 24) < 1.3', 'region > 3 AND v <-> vec(4, 24) < 1.3', 'region IS NULL', 'region <> 2 AND id % 10 = 1']) c, trees(c) t;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM r WHERE region = 2 ORDER BY v <-> (SELECT vec(-3, 24)) LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM r WHERE region IN (1, 2) AND id < 1000 ORDER BY v <-> (SELECT vec(-3, 24)), id LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM r WHERE v <-> (SELECT vec(7, 24)) < 1.3 ORDER BY v <-> (SELECT vec(7, 24));
PREPARE r (f32vec, int, bigint) AS SELECT v <-> $1 FROM r WHERE region = $2 ORDER BY v <-> $1 LIMIT $3;
SET plan_cache_mode = force_generic_plan;
-- pruned when it starts
EXPLAIN (COSTS OFF) EXECUTE r (NULL, 2, 10);
SELECT agree('index', format('EXECUTE r (vec(-3, 24), %L, %L)', region, k), 'Order By', true) FROM unnest(ARRAY[2, 4, 7]) region, unnest(ARRAY[0, 10, 1000]) k;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
