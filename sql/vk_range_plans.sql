--
-- plans with ranges: which conditions become index conditions, and how exact
--
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS vk_test CASCADE;
CREATE SCHEMA vk_test;
SET search_path = vk_test, public;
RESET client_min_messages;
SET max_parallel_workers_per_gather = 0;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET jit = off;

CREATE TABLE t (id int, kind int, flag bool, note text, v f32vec(2), w f32vec(2)) WITH (autovacuum_enabled = off);
INSERT INTO t SELECT i, i % 10, i % 3 = 0, 'n' || i % 7, format('[%s,%s]', i % 17, i % 13)::f32vec,
	format('[%s,%s]', i % 11, i % 19)::f32vec
FROM generate_series(1, 2000) i;
CREATE INDEX t_v ON t USING vkflat (v, kind, flag, note);
CREATE INDEX t_w ON t USING vkivf (w f32vec_cosine_ops) WITH (lists = 10);
ANALYZE t;

-- forms
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' <= 3.5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE 3 > v <-> '[1,2]';
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE 3 >= '[1,2]' <-> v;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 0.5::real;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' BETWEEN 1 AND 3;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE NOT v <-> '[1,2]' >= 3;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> (SELECT v FROM t ORDER BY id LIMIT 1) < extract(epoch FROM now() - now()) + 3;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 AND v <-> '[1,2]' <= 2 AND v <-> '[0,5]' < 9;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 AND v <<->> vk_sphere('[0,5]'::f32vec, 9);
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE w <=> '[1,2]' < 0.1;
SET enable_bitmapscan = on;
SET enable_indexscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 AND kind = 4;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <<->> vk_sphere('[1,2]'::f32vec, 3) OR v <<->>= vk_sphere('[9,9]'::f32vec, 3);
RESET enable_indexscan;
SET enable_bitmapscan = off;
-- every metric has its operators
CREATE INDEX t_ip ON t USING vkflat (w f32vec_ip_ops);
CREATE INDEX t_l1 ON t USING vkflat (w f32vec_l1_ops);
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE w <#> '[1,2]' < -30;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE w <#> '[1,2]' <= -30;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE w <+> '[1,2]' < 3;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE w <+> '[1,2]' <= 3;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE w <=> '[1,2]' <= 0.1;
DROP INDEX t_ip, t_l1;

-- other things are left alone
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' > 3;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < random();
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < kind;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> w < 3;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <=> '[1,2]' < 0.1;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE l2_distance(v, '[1,2]') < 3;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE (v <-> '[1,2]') + 1 < 3;

-- inside OR: by bitmaps
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 OR kind = 4;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 OR id = 4;
SET enable_bitmapscan = on;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 0.5 OR v <-> '[9,9]' < 0.5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE (v <-> '[1,2]' < 0.5 OR w <=> '[9,9]' <= 1e-9 AND id > 5) AND flag;
SET vkindex.range_pushdown = off;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 0.5 OR v <-> '[9,9]' < 0.5;
RESET vkindex.range_pushdown;
SET enable_bitmapscan = off;

-- ordered: by the same distance, by another
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 ORDER BY v <-> '[1,2]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 ORDER BY '[1,2]' <-> v;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 AND v <-> '[0,0]' < 4 ORDER BY v <-> '[0,0]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE w <=> '[1,2]' < 0.1 ORDER BY w <=> '[1,2]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE w <=> '[1,2]' < 0.1 ORDER BY w <=> '[2,1]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 ORDER BY v <-> '[1,2]', id LIMIT 5;

-- with conditions on attribute columns
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 AND 4 <= kind AND note = 'n1' AND id < 900;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 AND flag AND kind IS NOT NULL AND kind <> 3::bigint;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 AND NOT flag AND kind IN (1, 2);
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 AND flag IS TRUE AND note IS NOT NULL;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE flag IS FALSE ORDER BY v <-> '[1,2]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE flag IS NOT TRUE ORDER BY v <-> '[1,2]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE kind IN (1, 2) ORDER BY v <-> '[1,2]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE kind = ANY (ARRAY[1, 2]) AND flag ORDER BY v <-> '[1,2]', id LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE kind NOT IN (1, 2) ORDER BY v <-> '[1,2]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE kind <> ALL (ARRAY[1, NULL]::bigint[]) AND v <-> '[1,2]' < 3;
-- none of it: of no elements, of what is not constant, of a hash; another ALL
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE kind <> ALL (ARRAY[]::int[]) ORDER BY v <-> '[1,2]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE kind <> ALL (ARRAY(SELECT 1)) ORDER BY v <-> '[1,2]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE note <> ALL (ARRAY['n1', 'n2']) ORDER BY v <-> '[1,2]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE kind < ALL (ARRAY[1, 2]) ORDER BY v <-> '[1,2]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE kind <> ALL (NULL::int[]) AND v <-> '[1,2]' < 3;
-- beside conditions that are the index's there are those of other columns and
-- operators; a hash of another collation is another hash
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE note = 'n1' COLLATE "C" ORDER BY v <-> '[1,2]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 AND note = 'n1' COLLATE "C" AND note > 'n0' AND note LIKE 'n%';
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 AND 900 > id AND 5 = kind AND 7 <> id % 9;
-- the other way round, and with NULL first, an index is of no help to ORDER BY
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 ORDER BY v <-> '[1,2]' DESC NULLS LAST LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 ORDER BY v <-> '[1,2]' NULLS FIRST LIMIT 5;
-- a sample is not of the index
EXPLAIN (COSTS OFF) SELECT id FROM t TABLESAMPLE system (50) WHERE v <-> '[1,2]' < 3 ORDER BY v <-> '[1,2]' LIMIT 5;

-- vkindex.range_pushdown
SET vkindex.range_pushdown = approximate;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE w <=> '[1,2]' < 0.1;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE w <=> '[1,2]' < 0.1 ORDER BY w <=> '[2,1]' LIMIT 5;
EXPLAIN (COSTS OFF) DELETE FROM t WHERE w <=> '[1,2]' < 0.1;
SET vkindex.range_pushdown = off;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE w <=> '[1,2]' < 0.1;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE w <=> '[1,2]' < 0.1 ORDER BY w <=> '[1,2]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE w <<=>> vk_sphere('[1,2]'::f32vec, 0.1);
RESET vkindex.range_pushdown;

-- what is changed is found exactly
EXPLAIN (COSTS OFF) UPDATE t SET id = id + 1 WHERE w <=> '[1,2]' < 0.1;
EXPLAIN (COSTS OFF) DELETE FROM t WHERE w <=> '[1,2]' < 0.1;
EXPLAIN (COSTS OFF) MERGE INTO t USING (VALUES (1)) s (x) ON w <=> '[1,2]' < 0.1 WHEN MATCHED THEN DELETE;
-- a query inside is a query
EXPLAIN (COSTS OFF) UPDATE t SET id = id + 1
WHERE ctid = ANY (ARRAY(SELECT ctid FROM t WHERE w <=> '[1,2]' < 0.1 ORDER BY w <=> '[1,2]' LIMIT 5));
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE w <=> '[1,2]' < 0.1 ORDER BY w <=> '[1,2]' LIMIT 5 FOR UPDATE;

-- parameters, in a plan for all values of them
SET plan_cache_mode = force_generic_plan;
PREPARE within (f32vec, float8) AS SELECT count(*) FROM t WHERE v <-> $1 < $2;
EXPLAIN (COSTS OFF) EXECUTE within('[1,2]', 3);
EXECUTE within('[1,2]', 3);
EXECUTE within('[1,2]', NULL);
EXECUTE within(NULL, 3);
EXECUTE within('[1,2]', 'NaN');
EXECUTE within('[1,2]', -1);
EXECUTE within('[1,2,3]', 1);
PREPARE nearest_within (f32vec, real, int) AS
	SELECT id, v <-> $1 AS d FROM t WHERE v <-> $1 < $2 AND kind = $3 ORDER BY v <-> $1 LIMIT 3;
EXPLAIN (COSTS OFF) EXECUTE nearest_within('[1,2]', 3, 4);
-- the setting holds for plans that were made before
PREPARE ratio (f32vec) AS SELECT id FROM t WHERE w <=> $1 < 0.1;
EXPLAIN (COSTS OFF) EXECUTE ratio('[1,2]');
SET vkindex.range_pushdown = approximate;
EXPLAIN (COSTS OFF) EXECUTE ratio('[1,2]');
RESET vkindex.range_pushdown;
EXPLAIN (COSTS OFF) EXECUTE ratio('[1,2]');
RESET plan_cache_mode;
EXPLAIN (COSTS OFF) EXECUTE nearest_within('[1,2]', 3, 4);
-- known to be NULL
EXPLAIN (COSTS OFF) EXECUTE nearest_within('[1,2]', NULL, 4);
DEALLOCATE ALL;

-- an index that holds part of the table; one on an expression
CREATE TABLE p (id int, v f32vec(2));
INSERT INTO p SELECT id, v FROM t;
CREATE INDEX p_near ON p USING vkflat (v) WHERE v <<->> vk_sphere('[0,0]'::f32vec, 5);
CREATE INDEX p_low ON p USING vkflat (v) WHERE id < 100;
CREATE INDEX p_sum ON p USING vkflat (((v + v)::f32vec(2)));
ANALYZE p;
EXPLAIN (COSTS OFF) SELECT id FROM p WHERE v <-> '[1,2]' < 3;
EXPLAIN (COSTS OFF) SELECT id FROM p WHERE v <-> '[1,2]' < 3 AND id < 50;
EXPLAIN (COSTS OFF) SELECT id FROM p WHERE v <-> '[1,2]' < 3 AND v <<->> vk_sphere('[0,0]'::f32vec, 5);
EXPLAIN (COSTS OFF) SELECT id FROM p WHERE (v + v)::f32vec(2) <-> '[1,2]' < 3;
DROP TABLE p;

-- partitions and children
CREATE TABLE parted (id int, v f32vec(2)) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (1000);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (1000) TO (3000);
INSERT INTO parted SELECT id, v FROM t;
CREATE INDEX parted_v ON parted USING vkivf (v);
ANALYZE parted;
EXPLAIN (COSTS OFF) SELECT id FROM parted WHERE v <-> '[1,2]' < 3;
EXPLAIN (COSTS OFF) SELECT id FROM parted WHERE v <-> '[1,2]' < 3 ORDER BY v <-> '[1,2]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM parted WHERE v <-> '[1,2]' < 3 AND id < 500 ORDER BY v <-> '[1,2]' LIMIT 5;
EXPLAIN (COSTS OFF) DELETE FROM parted WHERE v <-> '[1,2]' < 3;
CREATE TABLE child () INHERITS (t);
CREATE INDEX child_v ON child USING vkflat (v);
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 ORDER BY v <-> '[1,2]' LIMIT 5;
DROP TABLE parted, child;

-- joins: the center or the radius is another row's
CREATE TABLE q (id int, tenant int, v f32vec(2), r float8);
INSERT INTO q VALUES (1, 1, '[1,2]', 3), (2, 4, '[9,9]', 2), (3, 7, '[5,5]', NULL);
ANALYZE q;
SET vkindex.enable_batch = off;
EXPLAIN (COSTS OFF) SELECT t.id FROM q JOIN t ON t.v <<->> vk_sphere(q.v, 0.3);
EXPLAIN (COSTS OFF) SELECT t.id FROM q JOIN t ON t.v <-> q.v < 0.3;
EXPLAIN (COSTS OFF) SELECT t.id FROM q JOIN t ON q.r >= q.v <-> t.v AND t.kind = q.tenant AND t.flag;
EXPLAIN (COSTS OFF) SELECT t.id FROM q LEFT JOIN t ON t.v <-> q.v < q.r;
EXPLAIN (COSTS OFF) SELECT q.id FROM q WHERE EXISTS (SELECT FROM t WHERE t.v <-> q.v < q.r);
EXPLAIN (COSTS OFF) SELECT n.id FROM q, LATERAL (SELECT id FROM t WHERE t.v <-> q.v < q.r ORDER BY t.v <-> q.v LIMIT 3) n;
EXPLAIN (COSTS OFF) SELECT a.id, b.id FROM t a JOIN t b ON a.v <<->> vk_sphere(b.v, 0.3) WHERE b.id < 10;
SELECT q.id, count(t.id) FROM q LEFT JOIN t ON t.v <-> q.v < q.r GROUP BY 1 ORDER BY 1;
SET enable_indexscan = off;
SET enable_seqscan = on;
SELECT q.id, count(t.id) FROM q LEFT JOIN t ON t.v <-> q.v < q.r GROUP BY 1 ORDER BY 1;
SET enable_seqscan = off;
RESET enable_indexscan;

-- the order of a table that an outer join may leave out makes no range approximate
CREATE TABLE lists AS SELECT n AS id, (SELECT array_agg(n * (k * 7919 + 37) % 1009 / 1009.0 ORDER BY k)
	FROM generate_series(1, 8) k)::f32vec(8) AS v FROM generate_series(1, 10000) n;
CREATE INDEX lists_ivf ON lists USING vkivf (v) WITH (lists = 100);
CREATE TABLE left_side AS SELECT n AS id FROM generate_series(1, 10000) n;
ANALYZE lists, left_side;
SET vkindex.target_recall = 0.5;
EXPLAIN (COSTS OFF) SELECT count(d) FROM (SELECT t.v <-> '[.5,.5,.5,.5,.5,.5,.5,.5]' AS d FROM left_side a
	LEFT JOIN lists t ON t.id = a.id AND t.v <-> '[.5,.5,.5,.5,.5,.5,.5,.5]' < 0.3
	ORDER BY t.v <-> '[.5,.5,.5,.5,.5,.5,.5,.5]' OFFSET 0) s;
SELECT count(d) FROM (SELECT t.v <-> '[.5,.5,.5,.5,.5,.5,.5,.5]' AS d FROM left_side a
	LEFT JOIN lists t ON t.id = a.id AND t.v <-> '[.5,.5,.5,.5,.5,.5,.5,.5]' < 0.3
	ORDER BY t.v <-> '[.5,.5,.5,.5,.5,.5,.5,.5]' OFFSET 0) s;
SELECT count(*) FROM lists WHERE (v <-> '[.5,.5,.5,.5,.5,.5,.5,.5]') + 0 < 0.3;
RESET vkindex.target_recall;
DROP TABLE lists, left_side;

-- under row security no range is pushed; an equality that leaks nothing is
CREATE ROLE regress_vk_plans;
GRANT USAGE ON SCHEMA vk_test TO regress_vk_plans;
GRANT SELECT ON t TO regress_vk_plans;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON t USING (id % 2 = 0);
SET ROLE regress_vk_plans;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 3 AND kind = 4 ORDER BY v <-> '[1,2]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <<->> vk_sphere('[1,2]'::f32vec, 3);
SET enable_bitmapscan = on;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 0.5 OR v <-> '[9,9]' < 0.5;
SET enable_bitmapscan = off;
RESET ROLE;
ALTER TABLE t DISABLE ROW LEVEL SECURITY;
-- nor below a view that is a barrier
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM t WHERE id % 2 = 0;
EXPLAIN (COSTS OFF) SELECT id FROM barrier WHERE v <-> '[1,2]' < 3;
CREATE VIEW plain AS SELECT * FROM t WHERE id % 2 = 0;
EXPLAIN (COSTS OFF) SELECT id FROM plain WHERE v <-> '[1,2]' < 3;

-- no index-only scan
EXPLAIN (COSTS OFF) SELECT count(*) FROM t;
SELECT count(*) FROM t;
EXPLAIN (COSTS OFF) SELECT count(*) FROM t WHERE kind = 4;
SELECT count(*) FROM t WHERE kind = 4;
SET enable_seqscan = on;
EXPLAIN (COSTS OFF) SELECT count(*) FROM t;
SELECT count(*) FROM t;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
DROP ROLE regress_vk_plans;
