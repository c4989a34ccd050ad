--
-- which queries use an index
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE t (id int, v f32vec(64));
INSERT INTO t SELECT n, vec(n, 64) FROM generate_series(1, 6000) n;
CREATE TABLE tiny AS SELECT * FROM t WHERE id <= 20;
CREATE INDEX t_flat ON t USING vkflat (v);
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops);
CREATE INDEX tiny_flat ON tiny USING vkflat (v);
CREATE INDEX tiny_ivf ON tiny USING vkivf (v f32vec_cosine_ops);
ANALYZE t, tiny;

-- vectors are long: plans show a column for them
CREATE TABLE q (v f32vec(64));
INSERT INTO q VALUES (vec(-1, 64));
ANALYZE q;

-- nearest rows of a larger table, of a tiny one
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> (SELECT v FROM q) LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <=> (SELECT v FROM q) LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY (SELECT v FROM q) <-> v LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM tiny ORDER BY v <-> (SELECT v FROM q) LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM tiny ORDER BY v <=> (SELECT v FROM q) LIMIT 10;

-- not by this class
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <#> (SELECT v FROM q) LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <+> (SELECT v FROM q) LIMIT 10;
-- not in this direction, nor with NULL first
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> (SELECT v FROM q) DESC LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> (SELECT v FROM q) NULLS FIRST LIMIT 10;
-- not by something else than the distance
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY -(v <-> (SELECT v FROM q)) LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v LIMIT 10;

-- two orders: the index has one, the other is sorted
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> (SELECT v FROM q), v <-> (SELECT v FROM q OFFSET 0) LIMIT 10;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> (SELECT v FROM q), v <-> (SELECT v FROM q OFFSET 0) LIMIT 10;
RESET enable_seqscan;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> (SELECT v FROM q), v <-> vec(1, 64) LIMIT 10) s;

-- no order at all: the index has nothing to offer, whatever is switched off, but
-- that it knows rows without a vector
EXPLAIN (COSTS OFF) SELECT count(*) FROM t;
EXPLAIN (COSTS OFF) SELECT v FROM t;
EXPLAIN (COSTS OFF) SELECT count(*) FROM t WHERE v IS NULL;
SELECT count(*) FROM t;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM t;
RESET enable_bitmapscan;
EXPLAIN (COSTS OFF) SELECT v FROM t;
EXPLAIN (COSTS OFF) SELECT count(*) FROM t WHERE v IS NULL;
SELECT count(*) FROM t;
SELECT count(v), count(DISTINCT v) FROM t;
-- a distance that is only a condition
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> (SELECT v FROM q) < 1;
-- all rows in order
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> (SELECT v FROM q);
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> (SELECT v FROM q)) s;
SET enable_bitmapscan = off;
SELECT count(*) FROM t;
SET enable_indexscan = off;
SELECT count(*) FROM t;
RESET enable_seqscan;
RESET enable_bitmapscan;
RESET enable_indexscan;
-- all rows in order is the sort's work where nothing is switched off
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> (SELECT v FROM q);

-- limits that are known late
PREPARE late (bigint) AS SELECT id FROM t ORDER BY v <-> (SELECT v FROM q) LIMIT $1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE late (10);
RESET plan_cache_mode;
EXPLAIN (COSTS OFF) EXECUTE late (10);
SELECT id FROM t ORDER BY v <-> (SELECT v FROM q) LIMIT (SELECT count(*) FROM q) \gset one_
SELECT :one_id = (SELECT id FROM t ORDER BY l2_distance(v, (SELECT v FROM q)) LIMIT 1) AS nearest;
DEALLOCATE late;

-- an index for some of the rows
DROP INDEX t_flat, t_ivf;
CREATE INDEX t_part ON t USING vkivf (v) WHERE id <= 5500;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> (SELECT v FROM q) LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE id <= 5500 ORDER BY v <-> (SELECT v FROM q) LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE id < 5500 ORDER BY v <-> (SELECT v FROM q) LIMIT 10;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM t WHERE id <= 5500;
SELECT count(*) FROM t WHERE id <= 5500;
RESET enable_seqscan;
RESET enable_bitmapscan;
SELECT same('t', 'l2', vec(-3, 64), 20, 1, 'id <= 5500');
INSERT INTO t SELECT n, vec(n, 64) FROM generate_series(-40, 0) n;
UPDATE t SET id = id + 5500 WHERE id BETWEEN 11 AND 20;
SELECT same('t', 'l2', vec(-3, 64), 20, 1, 'id <= 5500'), sound('t_part');
DROP INDEX t_part;

-- an index on an expression
CREATE FUNCTION halved(f32vec) RETURNS f32vec LANGUAGE sql IMMUTABLE STRICT AS 'SELECT public.subvector($1, 1, 32)';
CREATE INDEX t_expression ON t USING vkflat ((halved(v)::f32vec(32)) f32vec_ip_ops);
ANALYZE t;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY halved(v)::f32vec(32) <#> (SELECT halved(v) FROM q) LIMIT 10;
SET enable_seqscan = off;
SET enable_sort = off;
CREATE TABLE by_index AS SELECT halved(v)::f32vec(32) <#> (SELECT halved(v) FROM q) AS d FROM t
	ORDER BY halved(v)::f32vec(32) <#> (SELECT halved(v) FROM q) LIMIT 50;
RESET enable_seqscan;
RESET enable_sort;
SET enable_indexscan = off;
CREATE TABLE by_sort AS SELECT halved(v)::f32vec(32) <#> (SELECT halved(v) FROM q) AS d FROM t
	ORDER BY halved(v)::f32vec(32) <#> (SELECT halved(v) FROM q) LIMIT 50;
RESET enable_indexscan;
SELECT (SELECT array_agg(d) FROM by_index) = (SELECT array_agg(d) FROM by_sort) AS same, sound('t_expression');
UPDATE t SET v = vec(id + 9000, 64) WHERE id % 3 = 0;
SELECT sound('t_expression');

-- plans of queries that cannot work
EXPLAIN (COSTS OFF) SELECT id FROM tiny ORDER BY v <-> NULL::f32vec LIMIT 10;
SELECT id FROM tiny WHERE false ORDER BY v <-> (SELECT v FROM q) LIMIT 10;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
