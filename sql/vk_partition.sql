--
-- partitioned tables: Merge Append of one index each
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE t (id int, v f32vec(4)) PARTITION BY RANGE (id);
CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (1000);
CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (1000) TO (2000);
CREATE INDEX t_v ON t USING vkflat (v);
INSERT INTO t SELECT n, vec(n, 4) FROM generate_series(0, 1999) n;
-- a partition to come, with rows and an index already
CREATE TABLE t_3 (id int, v f32vec(4));
INSERT INTO t_3 SELECT n, vec(n, 4) FROM generate_series(2000, 2999) n;
CREATE INDEX t_3_mine ON t_3 USING vkflat (v);
ALTER TABLE t ATTACH PARTITION t_3 FOR VALUES FROM (2000) TO (3000);
CREATE TABLE t_rest PARTITION OF t DEFAULT;
ANALYZE t;
SELECT indexrelid::regclass FROM pg_index JOIN pg_class c ON c.oid = indrelid WHERE relname LIKE 't%' AND relnamespace = 'vk_test'::regnamespace ORDER BY indexrelid::regclass::text COLLATE "C";

SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '[1,0,0,0]' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE id < 1500 ORDER BY v <-> '[1,0,0,0]' LIMIT 10;
SELECT count(*) FILTER (WHERE same('t', 'l2', vec(-n, 4), n)) FROM generate_series(1, 20) n;
SELECT same('t', 'l2', vec(-1, 4), NULL);
-- the condition is the executor's in the partition that it cuts
SELECT same('t', 'l2', vec(-1, 4), 20, 1, 'id < 1500'), same('t', 'l2', vec(-1, 4), 20, 1, 'id < 1000');

-- partitions of which each has its own method, one of them none: Sort where it must be
CREATE TABLE m (id int, v f32vec(4)) PARTITION BY HASH (id);
CREATE TABLE m_0 PARTITION OF m FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE m_1 PARTITION OF m FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE m_2 PARTITION OF m FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO m TABLE t;
CREATE INDEX m_0_flat ON m_0 USING vkflat (v);
CREATE INDEX m_1_ivf ON m_1 USING vkivf (v) WITH (lists = 8);
ANALYZE m;
SET vkindex.target_recall = 1;
EXPLAIN (COSTS OFF) SELECT id FROM m ORDER BY v <-> '[1,0,0,0]' LIMIT 10;
SELECT array_agg(d) = (SELECT array_agg(d) FROM (SELECT l2_distance(v, '[1,0,0,0]') AS d FROM m ORDER BY 1 LIMIT 50) s) AS same
FROM (SELECT v <-> '[1,0,0,0]' AS d FROM m ORDER BY v <-> '[1,0,0,0]' LIMIT 50) s;

-- rows move and partitions go
UPDATE t SET id = id + 1000 WHERE id % 7 = 0 AND id < 2000;
SELECT same('t', 'l2', vec(-2, 4), 30), sound('t_1_v_idx'), sound('t_2_v_idx'), sound('t_3_mine'), sound('t_rest_v_idx');
ALTER TABLE t DETACH PARTITION t_2;
DROP TABLE t_1;
SELECT same('t', 'l2', vec(-2, 4), 30), same('t_2', 'l2', vec(-2, 4), 30);
REINDEX TABLE t;
SELECT same('t', 'l2', vec(-2, 4), 30);
DROP INDEX t_v;
SELECT count(*) FROM pg_index JOIN pg_class c ON c.oid = indrelid WHERE relname IN ('t', 't_3', 't_rest') AND relnamespace = 'vk_test'::regnamespace;

-- ranges go into each partition's scan, conditions that rule a partition out too
CREATE TABLE r (id int, day int, v f32vec(4)) PARTITION BY RANGE (day);
CREATE TABLE r_1 PARTITION OF r FOR VALUES FROM (0) TO (10);
CREATE TABLE r_2 PARTITION OF r FOR VALUES FROM (10) TO (20);
INSERT INTO r SELECT n, n % 20, vec(n, 4) FROM generate_series(1, 9000) n;
CREATE TABLE centers AS SELECT vec(-n, 4) AS c FROM generate_series(1, 30) n;
CREATE INDEX r_v ON r USING vkivf (v, day) WITH (centroids = 'vk_test.centers');
ANALYZE r;
SET enable_seqscan = off;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT id FROM r WHERE day < 8 AND v <<->> vk_sphere('[0,0,0,0]', 0.5) ORDER BY v <-> '[0,0,0,0]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM r WHERE v <-> '[0,0,0,0]' < 0.5 ORDER BY v <-> '[0,0,0,0]' LIMIT 5;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM r WHERE v <-> '[0,0,0,0]' < 0.5 AND day IN (3, 13);
SELECT count(*), sum(id) FROM r WHERE v <-> '[0,0,0,0]' < 0.5 AND day IN (3, 13);
SELECT count(*), sum(id) FROM r WHERE l2_distance(v, '[0,0,0,0]') < 0.5 AND day IN (3, 13);
RESET enable_bitmapscan;
-- the LIMIT reaches the scan of each partition
SELECT count(*) FROM (SELECT id FROM r ORDER BY v <-> '[0,0,0,0]' LIMIT 7) s;
SELECT wanted FROM vk_last_scan();
-- partitions have the same centers, those to come and those that come with an index too
CREATE TABLE r_3 PARTITION OF r FOR VALUES FROM (20) TO (30);
CREATE TABLE r_4 (LIKE r);
INSERT INTO r_4 SELECT n, 35, vec(n, 4) FROM generate_series(9001, 12000) n;
CREATE INDEX r_4_mine ON r_4 USING vkivf (v, day) WITH (centroids = 'vk_test.centers');
ALTER TABLE r ATTACH PARTITION r_4 FOR VALUES FROM (30) TO (40);
SELECT i.indexrelid::regclass AS index, c.reloptions, s.lists,
	(SELECT max(near) < 0.01 FROM (SELECT (SELECT min(f <-> c) FROM vk_centroids(i.indexrelid) f) AS near FROM centers) n) AS same
FROM pg_inherits h JOIN pg_index i ON i.indexrelid = h.inhrelid JOIN pg_class c ON c.oid = i.indexrelid, vk_stats(i.indexrelid) s
WHERE inhparent = 'r_v'::regclass ORDER BY 1;
SELECT same('r', 'l2', vec(-2, 4), 30), same('r', 'l2', vec(-3, 4), 30, 1, 'day IN (5, 35)');

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
