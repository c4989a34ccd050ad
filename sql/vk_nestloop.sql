--
-- the index on the inner side of a nested loop
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE t (id int, v f32vec(8));
INSERT INTO t SELECT n, vec(n, 8) FROM generate_series(1, 3000) n;
CREATE TABLE q (id int, k int, v f32vec(8));
INSERT INTO q SELECT n, n, vec(-n, 8) FROM generate_series(1, 30) n;
ANALYZE t, q;

CREATE FUNCTION expected(query f32vec, k bigint) RETURNS int[]
LANGUAGE sql AS $$
	SELECT array_agg(id) FROM (SELECT id FROM t ORDER BY l2_distance(v, query), id LIMIT k) s
$$;
CREATE TABLE answers AS SELECT id, expected(v, 5) AS five, expected(v, k) AS as_many FROM q;

CREATE INDEX t_idx ON t USING vkflat (v);
SET enable_seqscan = off;
SET vkindex.target_recall = 1;

EXPLAIN (COSTS OFF) SELECT q.id, s.id FROM q, LATERAL (SELECT id FROM t ORDER BY t.v <-> q.v LIMIT 5) s;
SELECT count(*) FROM answers a JOIN
	(SELECT q.id, array_agg(s.id) AS ids FROM q, LATERAL (SELECT id FROM t ORDER BY t.v <-> q.v LIMIT 5) s GROUP BY q.id) b
	ON a.id = b.id AND five = ids;

-- a limit of each query's own
EXPLAIN (COSTS OFF) SELECT q.id, s.id FROM q, LATERAL (SELECT id FROM t ORDER BY t.v <-> q.v LIMIT q.k) s;
SELECT count(*) FROM answers a JOIN
	(SELECT q.id, array_agg(s.id) AS ids FROM q, LATERAL (SELECT id FROM t ORDER BY t.v <-> q.v LIMIT q.k) s GROUP BY q.id) b
	ON a.id = b.id AND as_many = ids;

-- in the target list
EXPLAIN (COSTS OFF) SELECT q.id, ARRAY(SELECT id FROM t ORDER BY t.v <-> q.v LIMIT 5) FROM q;
SELECT count(*) FROM answers a JOIN
	(SELECT q.id, ARRAY(SELECT id FROM t ORDER BY t.v <-> q.v LIMIT 5) AS ids FROM q) b ON a.id = b.id AND five = ids;

-- a left join; queries that are NULL, and of the wrong dimensions
SELECT count(s.id), count(*) FROM (SELECT * FROM q UNION ALL SELECT 31, 31, NULL) q
	LEFT JOIN LATERAL (SELECT id FROM t ORDER BY t.v <-> q.v LIMIT 2) s ON true;
SELECT count(*) FROM (SELECT v::f32vec AS v FROM q UNION ALL SELECT '[1,2]') q, LATERAL (SELECT id FROM t ORDER BY t.v <-> q.v LIMIT 2) s;

-- two indexes in one plan, one inside the other
EXPLAIN (COSTS OFF)
SELECT a.id, b.id FROM (SELECT id, v FROM t ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 4) a,
	LATERAL (SELECT id FROM t ORDER BY t.v <-> a.v LIMIT 3) b;
SELECT count(*), count(*) FILTER (WHERE a.id = b.id) AS itself
FROM (SELECT id, v FROM t ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 4) a, LATERAL (SELECT id FROM t ORDER BY t.v <-> a.v LIMIT 3) b;

-- stopped early by a row limit above
SELECT count(*) FROM (SELECT q.id FROM q, LATERAL (SELECT id FROM t ORDER BY t.v <-> q.v LIMIT 50) s LIMIT 77) x;

-- the same by lists
DROP INDEX t_idx;
CREATE INDEX t_idx ON t USING vkivf (v) WITH (lists = 30);
SELECT count(*) FROM answers a JOIN
	(SELECT q.id, array_agg(s.id) AS ids FROM q, LATERAL (SELECT id FROM t ORDER BY t.v <-> q.v LIMIT 5) s GROUP BY q.id) b
	ON a.id = b.id AND five = ids;
SELECT count(*) FROM answers a JOIN
	(SELECT q.id, array_agg(s.id) AS ids FROM q, LATERAL (SELECT id FROM t ORDER BY t.v <-> q.v LIMIT q.k) s GROUP BY q.id) b
	ON a.id = b.id AND as_many = ids;
-- locked, and changed by way of the index
BEGIN;
SELECT array_agg(id) = (SELECT five FROM answers WHERE id = 3) AS locked
FROM (SELECT id FROM t ORDER BY v <-> (SELECT v FROM q WHERE id = 3) LIMIT 5 FOR UPDATE) s;
DELETE FROM t WHERE id IN (SELECT id FROM t ORDER BY v <-> (SELECT v FROM q WHERE id = 3) LIMIT 2);
SELECT array_agg(id) = (SELECT five[3:5] FROM answers WHERE id = 3) AS deleted
FROM (SELECT id FROM t ORDER BY v <-> (SELECT v FROM q WHERE id = 3) LIMIT 3) s;
ROLLBACK;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
