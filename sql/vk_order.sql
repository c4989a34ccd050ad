--
-- the order of rows below target 1: within what a LIMIT wants, and where nodes of
-- the plan compare each row with the one before it
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
-- few dimensions and few bits, so bounds err; and small integers, so distances tie
CREATE TABLE t (id int, v f32vec(8));
INSERT INTO t SELECT n, vec(n, 8) FROM generate_series(1, 12000) n;
CREATE INDEX t_ivf ON t USING vkivf (v) WITH (lists = 80);
CREATE TABLE ties (id int, v i8vec(8));
INSERT INTO ties SELECT n, (SELECT array_agg((hashint8extended(n * 8 + i, 7) & 1023)::int % 7)::i8vec FROM generate_series(1, 8) i) FROM generate_series(1, 12000) n;
CREATE INDEX ties_ivf ON ties USING vkivf (v) WITH (lists = 80);
ANALYZE t;
ANALYZE ties;

-- whatever the target, rows come in order as far as the LIMIT goes; where bounds left
-- too few before others that may be nearer, a second round finds them all
CREATE FUNCTION sorted(tab text, query text, k int, target float8, OUT rows int, OUT late int, OUT rounds bigint)
LANGUAGE plpgsql AS $$
DECLARE
	distances float8[];
BEGIN
	PERFORM set_config('vkindex.target_recall', target::text, true);
	EXECUTE format('SELECT array_agg(d) FROM (SELECT v <-> %L AS d FROM %s ORDER BY d LIMIT %s) s', query, tab, k) INTO distances;
	rows := cardinality(distances);
	late := (SELECT count(*) FROM generate_subscripts(distances, 1) i WHERE distances[i] < distances[i - 1]);
	rounds := (SELECT s.rounds FROM vk_last_scan() s);
END
$$;
SET enable_seqscan = off;
SELECT k, target, min(rows) AS rows, sum(late) AS late, max(rounds) AS rounds
FROM unnest(ARRAY[10, 50, 200]) k, unnest(ARRAY[0.5, 0.9, 0.95, 0.99]) target, generate_series(1, 15) q, sorted('t', vec(-q, 8)::text, k, target) GROUP BY k, target ORDER BY k, target;
SELECT k, target, min(rows) AS rows, sum(late) AS late, max(rounds) AS rounds
FROM unnest(ARRAY[10, 40, 200]) k, unnest(ARRAY[0.5, 0.95]) target, unnest(ARRAY['[3,3,3,3,3,3,3,3]', '[0,1,2,3,4,5,6,6]', '[6,6,0,0,6,6,0,0]']) q, sorted('ties', q, k, target) GROUP BY k, target ORDER BY k, target;

-- nodes that rely on the order get what the sequential plan has, at the default target
SHOW vkindex.target_recall;
RESET enable_seqscan;
\set ECHO none
CREATE FUNCTION same_groups(statement text, shape text) RETURNS text LANGUAGE sql AS $$
	SELECT agree('index', replace(statement, '{d}', '(v <-> ''[3,3,3,3,3,3,3,3]'')'), shape, true)
$$;
\set ECHO all
SET enable_hashagg = off;
SET enable_hashjoin = off;
SET enable_nestloop = off;
SELECT s, same_groups(s, shape) FROM (VALUES
	('SELECT {d}, count(*) FROM ties GROUP BY 1 ORDER BY 1', 'GroupAggregate'),
	('SELECT {d}, count(*) FROM ties GROUP BY 1 ORDER BY 1 LIMIT 12', 'GroupAggregate'),
	('SELECT d, count(*) FROM (SELECT {d} AS d FROM ties ORDER BY 1 OFFSET 7) s GROUP BY d ORDER BY d', 'GroupAggregate'),
	('WITH x AS MATERIALIZED (SELECT {d} AS d FROM ties ORDER BY 1) SELECT d, count(*) FROM x GROUP BY d ORDER BY d', 'CTE Scan'),
	('SELECT DISTINCT {d} FROM ties ORDER BY 1 LIMIT 60', 'Unique'),
	('SELECT {d} FROM ties GROUP BY 1 ORDER BY 1 LIMIT 20', 'Group'),
	('SELECT {d}, rank() OVER (ORDER BY {d}) FROM ties', 'WindowAgg'),
	('SELECT {d}, count(*) OVER (ORDER BY {d} ROWS BETWEEN CURRENT ROW AND 2 FOLLOWING) FROM ties ORDER BY 1 LIMIT 30', 'WindowAgg'),
	('SELECT {d}, id FROM ties ORDER BY 1, 2', 'Incremental Sort'),
	('SELECT count(*) FROM (SELECT {d} AS d FROM ties ORDER BY 1 OFFSET 0) a JOIN (SELECT sqrt(n) AS d FROM generate_series(1, 30) n ORDER BY 1 OFFSET 0) b USING (d)', 'Merge Join')
) s (s, shape);
RESET enable_hashagg;
RESET enable_hashjoin;
RESET enable_nestloop;

-- with a LIMIT, as many rows as that needs: one more than it has, which ranks have
-- read before version 16 only; so tens are shown
SET enable_seqscan = off;
SET enable_sort = off;
CREATE FUNCTION work(statement text) RETURNS TABLE (wanted bigint, emitted bigint, rounds bigint, exhaustive boolean) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE replace(statement, '{d}', format('(v <-> %L)', vec(-3, 8)));
	RETURN QUERY SELECT s.wanted, s.emitted / 10 * 10, s.rounds, s.exhaustive FROM vk_last_scan() s;
END
$$;
SELECT s, (work(s)).* FROM unnest(ARRAY[
	'SELECT id FROM t ORDER BY {d} LIMIT 40',
	'SELECT id, rank() OVER (ORDER BY {d}) FROM t ORDER BY {d} LIMIT 40',
	'SELECT id, row_number() OVER (ORDER BY {d}) FROM t LIMIT 20 OFFSET 20',
	'SELECT id, sum(id) OVER (ORDER BY {d}) FROM t LIMIT 40',
	'SELECT id FROM t ORDER BY {d}, id LIMIT 40',
	'SELECT id, sum(id) OVER (ORDER BY {d} ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) FROM t LIMIT 40']) s;

-- an aggregate of all rows does not compare them: a search inside it stays as it is
CREATE TABLE titles AS SELECT id, 't' || id AS title FROM t;
ALTER TABLE titles ADD PRIMARY KEY (id);
ANALYZE titles;
SELECT s, (work(s)).exhaustive FROM unnest(ARRAY[
	'SELECT json_agg(x) FROM (SELECT id FROM t ORDER BY {d} LIMIT 10) x',
	'SELECT json_agg(x) FROM (SELECT t.id, title FROM t JOIN titles USING (id) ORDER BY {d} LIMIT 10) x']) s;

-- below a LIMIT a scan whose rows are thrown away leaves out what it finds late
CREATE FUNCTION one_in(n int, id int) RETURNS boolean LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN id % n = 0; END';
CREATE FUNCTION rises(statement text) RETURNS TABLE (rows bigint, rises boolean) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE 'SELECT count(*), bool_and(d > before) FROM (SELECT d, lag(d) OVER () AS before FROM (' || replace(statement, '{d}', '(v <-> ''[3,3,3,3,3,3,3,3]'')') || ') a OFFSET 0) b';
END
$$;
CREATE TABLE other AS SELECT id, v FROM t WHERE id <= 3000;
CREATE INDEX other_flat ON other USING vkflat (v);
ANALYZE other;
-- groups, each once
SELECT s, (rises(s)).* FROM unnest(ARRAY[
	'SELECT DISTINCT d FROM (SELECT {d} AS d FROM ties WHERE one_in(10, id) ORDER BY 1 LIMIT 200) x',
	'SELECT d, count(*) FROM (SELECT {d} AS d FROM ties WHERE one_in(10, id) ORDER BY 1 LIMIT 200) x GROUP BY d',
	'SELECT {d} AS d, count(*) FROM ties i, LATERAL (SELECT o.id FROM other o ORDER BY o.v <-> i.v::f32vec LIMIT 2) x GROUP BY 1 LIMIT 20']) s;
-- and ranks, one for each distance
CREATE FUNCTION ranked(statement text) RETURNS TABLE (rows bigint, wrong bigint) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE 'SELECT count(*), count(*) FILTER (WHERE d > d0 AND r <= r0 OR d < d0) FROM (SELECT d, r, lag(d) OVER (), lag(r) OVER () FROM (' || replace(statement, '{d}', '(v <-> ''[3,3,3,3,3,3,3,3]'')') || ') a) b (d, r, d0, r0)';
END
$$;
SELECT s, (ranked(s)).* FROM unnest(ARRAY[
	'SELECT {d} AS d, dense_rank() OVER (ORDER BY {d}) AS r FROM ties WHERE one_in(10, id) LIMIT 60',
	'SELECT d, r FROM (SELECT id, {d} AS d, dense_rank() OVER (ORDER BY {d}) AS r FROM ties) x WHERE id % 10 = 0 LIMIT 60',
	'SELECT {d} AS d, row_number() OVER (ORDER BY {d}, id) AS r FROM ties LIMIT 40']) s;
-- windows that read on
SELECT bool_and(d <= later) AS rises FROM (SELECT d, lead(d, 40) OVER w AS later FROM (SELECT v <-> '[3,3,3,3,3,3,3,3]' AS d FROM ties) x WINDOW w AS (ORDER BY d) LIMIT 20) y;

-- a list whose nearest rows are farther than those of the list behind it
CREATE TABLE centers (c f32vec(1));
INSERT INTO centers VALUES ('[0]'), ('[100]'), ('[200]'), ('[-100]');
CREATE TABLE two (id int, v f32vec(1)) WITH (autovacuum_enabled = off);
INSERT INTO two SELECT n, ARRAY[CASE WHEN n <= 12 THEN 30 + n * 0.1 WHEN n <= 24 THEN 51 + n * 0.01 WHEN n <= 2000 THEN 200 ELSE -100 END]::f32vec FROM generate_series(1, 4000) n;
CREATE INDEX two_ivf ON two USING vkivf (v) WITH (lists = 4, centroids = 'vk_test.centers');
ANALYZE two;
SET vkindex.probes = 1;
CREATE FUNCTION dear(id int) RETURNS boolean LANGUAGE plpgsql COST 10000 AS 'BEGIN RETURN id BETWEEN 13 AND 24; END';
SELECT array_agg(id) FROM (SELECT id FROM two WHERE dear(id) ORDER BY v <-> '[42]', id LIMIT 10) s;
SELECT array_agg(id), max(r) FROM (SELECT id, rank() OVER (ORDER BY v <-> '[42]') AS r FROM two WHERE dear(id) LIMIT 10) s;
SELECT array_agg(id) FROM (SELECT id, r FROM (SELECT id, rank() OVER (ORDER BY v <-> '[42]') AS r FROM two) x WHERE dear(id) LIMIT 10) s;
-- the same where another index tells of blocks only, not of rows
CREATE INDEX two_brin ON two USING brin (id);
SET vkindex.prefilter = on;
SELECT array_agg(id) FROM (SELECT id FROM two WHERE id BETWEEN 13 AND 24 ORDER BY v <-> '[42]', id LIMIT 10) s;
SELECT path FROM vk_last_scan();
RESET vkindex.prefilter;
DROP INDEX two_brin;
-- nor does a range lose them below an aggregate that core plans as an order
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT min(v <-> '[42]') FROM two WHERE v <-> '[42]' < 10.5;
SELECT min(v <-> '[42]')::numeric(6,2) FROM two WHERE v <-> '[42]' < 10.5;
RESET enable_seqscan;
RESET enable_bitmapscan;
-- they are not before these where that list has too few for the LIMIT
DELETE FROM two WHERE id <= 5;
SELECT array_agg(id) FROM (SELECT id FROM two ORDER BY v <-> '[42]' LIMIT 10) s;
SELECT array_agg(id) FROM (SELECT id FROM two ORDER BY v <-> '[42]', id LIMIT 10) s;
-- nor do ties end at a row that is nearer
CREATE TABLE tied AS SELECT n AS id, ARRAY[CASE WHEN n <= 12 THEN 30 WHEN n <= 24 THEN 51 WHEN n <= 2000 THEN 200 ELSE -100 END]::f32vec(1) AS v FROM generate_series(1, 4000) n;
CREATE INDEX tied_ivf ON tied USING vkivf (v) WITH (lists = 4, centroids = 'vk_test.centers');
ANALYZE tied;
SELECT count(*) FROM (SELECT id FROM tied ORDER BY v <-> '[42]' FETCH FIRST 10 ROWS WITH TIES) s;
-- DISTINCT and groups have an order that nobody asked for: all rows within a radius
CREATE TABLE cube AS SELECT n AS id, (SELECT array_agg((hashint8extended(n * 8 + m, 7) & 65535) / 65536.0) FROM generate_series(1, 8) m)::f32vec(8) AS v FROM generate_series(1, 12000) n;
CREATE INDEX cube_ivf ON cube USING vkivf (v);
ANALYZE cube;
RESET enable_sort;
SET enable_bitmapscan = off;
SELECT rows, (SELECT count(*) FROM (SELECT DISTINCT v <-> flat_vec(0.5, 8), id FROM cube WHERE v <-> flat_vec(0.5, 8) < 0.4) s) AS "distinct",
	(SELECT count(*) FROM (SELECT v <-> flat_vec(0.5, 8) FROM cube WHERE v <-> flat_vec(0.5, 8) < 0.4 GROUP BY 1, id) s) AS grouped
FROM (SELECT count(*) AS rows FROM cube WHERE l2_distance(v, flat_vec(0.5, 8)) < 0.4) c;
RESET enable_bitmapscan;
SET enable_sort = off;
RESET vkindex.probes;

-- within a radius with no LIMIT above, not all rows are fetched before the first
SET enable_bitmapscan = off;
SET work_mem = '256kB';
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM t WHERE v <-> vec(-3, 8) < 1.3 ORDER BY v <-> vec(-3, 8);
MOVE 3 FROM c;
CLOSE c;
COMMIT;
SELECT fetched < 100 AS few, emitted FROM vk_last_scan();
RESET enable_bitmapscan;
RESET work_mem;

-- an order that is not the one of numbers is not the index's
CREATE FUNCTION more(float8, float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > $2';
CREATE FUNCTION not_less(float8, float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 >= $2';
CREATE FUNCTION less(float8, float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 < $2';
CREATE FUNCTION not_more(float8, float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 <= $2';
CREATE FUNCTION backward(float8, float8) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btfloat8cmp($2, $1)';
CREATE OPERATOR |< (LEFTARG = float8, RIGHTARG = float8, PROCEDURE = more, COMMUTATOR = |>);
CREATE OPERATOR |> (LEFTARG = float8, RIGHTARG = float8, PROCEDURE = less, COMMUTATOR = |<);
CREATE OPERATOR |<= (LEFTARG = float8, RIGHTARG = float8, PROCEDURE = not_less);
CREATE OPERATOR |>= (LEFTARG = float8, RIGHTARG = float8, PROCEDURE = not_more);
CREATE OPERATOR CLASS float8_backward FOR TYPE float8 USING btree AS OPERATOR 1 |<, OPERATOR 2 |<=, OPERATOR 3 =, OPERATOR 4 |>=, OPERATOR 5 |>, FUNCTION 1 backward(float8, float8);
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '[1,2,3,4,5,6,7,8]' USING |<, id LIMIT 3;
