--
-- taxicab distance: one grid of 8-bit codes for a whole index
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all

CREATE TABLE t (id int, v f32vec(30));
INSERT INTO t SELECT n, vec(n % 40, 30) + vec(1000 + n, 30, 0.4) FROM generate_series(1, 2000) n;
SELECT opcname, amname, opcdefault, amvalidate(c.oid) FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod
WHERE opcname = 'f32vec_l1_ops' ORDER BY amname;

-- nothing but 8 bits
CREATE INDEX t_idx ON t USING vkflat (v f32vec_l1_ops) WITH (bits = 4);
\echo :SQLSTATE
CREATE INDEX t_idx ON t USING vkivf (v f32vec_l1_ops) WITH (bits = 32);
CREATE INDEX t_idx ON t USING vkivf (v f32vec_l1_ops) WITH (refine = 8);
CREATE INDEX t_idx ON t USING vkflat (v f32vec_l1_ops) WITH (bits = 8, refine = none);
SELECT metric, bits, refine_bits FROM vk_stats('t_idx');
-- read at the next build
ALTER INDEX t_idx SET (bits = 1);
INSERT INTO t SELECT n, vec(n, 30) FROM generate_series(2001, 2010) n;
REINDEX INDEX t_idx;
ALTER INDEX t_idx RESET (bits);
REINDEX INDEX t_idx;

-- few rows are fetched for an exact answer
SET enable_seqscan = off;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <+> vec(7, 30) LIMIT 10) s;
SELECT scanned, fetched < 60 AS few FROM vk_last_scan();
DROP INDEX t_idx;

-- either side of the operator; the index knows no other distance
CREATE TABLE few (id int, v f32vec(2));
INSERT INTO few SELECT n, vec(n, 2) FROM generate_series(1, 50) n;
CREATE INDEX few_idx ON few USING vkivf (v f32vec_l1_ops);
EXPLAIN (COSTS OFF) SELECT id FROM few ORDER BY v <+> '[1,2]' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM few ORDER BY '[1,2]' <+> v LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM few ORDER BY v <-> '[1,2]' LIMIT 10;
RESET enable_seqscan;

-- insert, delete, vacuum; vectors inside the grid of the build and far outside it
CREATE FUNCTION good(index regclass) RETURNS boolean
LANGUAGE sql AS $$
	SELECT bool_and(same('t', 'l1', q, 10) AND same('t', 'l1', q, 100)) AND same('t', 'l1', vec(-1, 30), NULL) AND sound(index)
	FROM (SELECT vec(n, 30, f) AS q FROM unnest(ARRAY[-1, 5, 2100]) n, unnest(ARRAY[0, 0.001, 1, 50, 1e9]::real[]) f) s
$$;
CREATE FUNCTION live(method text, options text, OUT built boolean, OUT inserted boolean, OUT deleted boolean,
					 OUT rebuilt boolean)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE INDEX t_idx ON t USING %s (v f32vec_l1_ops) %s', method, options);
	built := good('t_idx');
	INSERT INTO t SELECT n, CASE n % 10 WHEN 0 THEN NULL WHEN 1 THEN flat_vec(0, 30) WHEN 2 THEN vec(n, 30, 100)
		WHEN 3 THEN vec(n, 30, 1e-5) WHEN 4 THEN vec(n, 30, 1e12) WHEN 5 THEN vec(5, 30) ELSE vec(n, 30) END
	FROM generate_series(3001, 3300) n;
	inserted := good('t_idx');
	DELETE FROM t WHERE id % 3 = 0;
	deleted := good('t_idx');
	REINDEX INDEX t_idx;
	rebuilt := good('t_idx');
	DROP INDEX t_idx;
	DELETE FROM t;
	INSERT INTO t SELECT n, vec(n % 40, 30) + vec(1000 + n, 30, 0.4) FROM generate_series(1, 2000) n;
END
$$;
SELECT m.*, l.* FROM (VALUES (1, 'vkflat', ''), (2, 'vkivf', ''), (3, 'vkivf', 'WITH (lists = 20)')) m(ord, method, options),
	live(method, options) l ORDER BY ord;
VACUUM t;

-- rows that come to an index without any
TRUNCATE t;
CREATE INDEX t_idx ON t USING vkflat (v f32vec_l1_ops);
INSERT INTO t SELECT n, vec(n, 30) FROM generate_series(1, 500) n;
SELECT good('t_idx');
DROP INDEX t_idx;
-- equal rows; then others
TRUNCATE t;
INSERT INTO t SELECT n, flat_vec(3, 30) FROM generate_series(1, 300) n;
CREATE INDEX t_idx ON t USING vkivf (v f32vec_l1_ops) WITH (lists = 3);
SELECT good('t_idx');
INSERT INTO t SELECT n, vec(n, 30, 5) FROM generate_series(301, 600) n;
SELECT good('t_idx');
DELETE FROM t WHERE id % 2 = 0;
DROP INDEX t_idx;
-- on the grid exactly; one dimension a thousand times the others
TRUNCATE t;
INSERT INTO t SELECT n, (SELECT array_agg(abs(hashint4(n * 64 + i)) % 256) FROM generate_series(1, 30) i)::f32vec
FROM generate_series(1, 1000) n;
CREATE INDEX t_idx ON t USING vkflat (v f32vec_l1_ops);
SELECT good('t_idx');
DROP INDEX t_idx;
UPDATE t SET v = vec(id, 30) * array_prepend(1000::real, array_fill(1::real, ARRAY[29]))::f32vec;
CREATE INDEX t_idx ON t USING vkflat (v f32vec_l1_ops);
SELECT good('t_idx');
DROP INDEX t_idx;

-- lists: vacuum, recall, and centroids in the space of the rows
TRUNCATE t;
INSERT INTO t SELECT n, flat_vec(10, 30) + vec(n % 40, 30) + vec(1000 + n, 30, 0.2) FROM generate_series(1, 4000) n;
CREATE INDEX t_idx ON t USING vkivf (v f32vec_l1_ops) WITH (lists = 60);
SELECT metric, bits, refine_bits, lists > 20 AS lists FROM vk_stats('t_idx');
SELECT vk_recall('t_idx', 10, 200) >= 0.9 AS recall;
SELECT avg((SELECT min(c <+> v) FROM vk_centroids('t_idx') c)) < 5 AS near FROM t WHERE id <= 50;
SELECT avg(recall('t', 'l1', flat_vec(10, 30) + vec(n, 30) + vec(-n, 30, 0.2), 10, 0.95)) >= 0.9 AS at_95,
	min(recall('t', 'l1', flat_vec(10, 30) + vec(n, 30) + vec(-n, 30, 0.2), 10, 1)) = 1 AS at_1
FROM generate_series(1, 25) n;
SELECT cardinality(ids) FROM nearest(true, 't', 'l1', flat_vec(10, 30) + vec(1, 30), 10, 0.95);
SELECT scanned < 4000 AS some_lists, fetched < 100 AS few FROM vk_last_scan();
DELETE FROM t WHERE id % 4 = 0;
VACUUM t;
INSERT INTO t SELECT n, flat_vec(10, 30) + vec(n % 40, 30) + vec(1000 + n, 30, 0.2) FROM generate_series(4001, 5000) n;
SELECT good('t_idx');
SELECT avg(recall('t', 'l1', flat_vec(10, 30) + vec(n, 30) + vec(-n, 30, 0.2), 10, 0.95)) >= 0.9 AS at_95
FROM generate_series(1, 25) n;
CREATE TABLE centers AS SELECT c FROM vk_centroids('t_idx') c;
CREATE INDEX t_same ON t USING vkivf (v f32vec_l1_ops) WITH (centroids = 'vk_test.centers');
SELECT count(*) = (SELECT lists FROM vk_stats('t_idx')) AS one_a_list, max(near) < 0.1 AS same
FROM (SELECT (SELECT min(c <+> d) FROM centers) AS near FROM vk_centroids('t_same') d) s;
SELECT good('t_same');

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
