--
-- vkivf finds the declared share of the nearest rows
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all

-- 6,000 rows in 100 clusters
CREATE TABLE t (id int, v f32vec(48));
INSERT INTO t SELECT n, vec(n % 100, 48) + vec(1000 + n, 48, 0.4) FROM generate_series(1, 6000) n;

CREATE FUNCTION mean_recall(metric text, k int, target float8) RETURNS float8
LANGUAGE sql AS $$
	SELECT avg(recall('t', metric, vec(n, 48) + vec(-1 - n, 48, 0.4), k, target)) FROM generate_series(0, 24) n
$$;

CREATE INDEX t_l2 ON t USING vkivf (v);
CREATE INDEX t_ip ON t USING vkivf (v f32vec_ip_ops);
CREATE INDEX t_cosine ON t USING vkivf (v f32vec_cosine_ops);
CREATE INDEX t_l1 ON t USING vkivf (v f32vec_l1_ops);

-- the bounds leave room for 25 queries
SELECT metric, k, mean_recall(metric, k, 0.95) >= 0.90 AS at_95, mean_recall(metric, k, 0.99) >= 0.96 AS at_99,
	mean_recall(metric, k, 1) = 1 AS at_1
FROM unnest(ARRAY['l2', 'ip', 'cosine', 'l1']) metric, unnest(ARRAY[1, 10, 100]) k
ORDER BY metric, k;

-- a lower target reads fewer rows
CREATE FUNCTION rows_scored(target float8) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
	total bigint := 0;
BEGIN
	FOR n IN 0..19 LOOP
		PERFORM nearest(true, 't', 'l2', vec(n, 48) + vec(-1 - n, 48, 0.4), 10, target);
		total := total + (SELECT scanned FROM vk_last_scan());
	END LOOP;
	RETURN total;
END
$$;
SELECT rows_scored(0.5) <= rows_scored(0.95) AS half, rows_scored(0.95) < rows_scored(1) AS most,
	rows_scored(1) AS every_row;

-- lists by number: one is not enough for everything, all of them nearly are
SET vkindex.probes = 1;
SELECT avg(recall('t', 'l2', vec(n, 48) + vec(-1 - n, 48, 0.4), 100, 0.95)) < 1 AS one
FROM generate_series(0, 24) n;
SET vkindex.probes = 1000000;
SELECT avg(recall('t', 'l2', vec(n, 48) + vec(-1 - n, 48, 0.4), 100, 0.95)) > 0.99 AS nearly_every_one
FROM generate_series(0, 24) n;
RESET vkindex.probes;

-- no calibration: a guess that is still fair
DROP INDEX t_l2;
CREATE INDEX t_l2 ON t USING vkivf (v) WITH (calibrate = 0);
SELECT mean_recall('l2', 10, 0.95) >= 0.8 AS uncalibrated;

-- the same seed, the same lists
DROP INDEX t_l2;
CREATE INDEX t_l2 ON t USING vkivf (v) WITH (seed = 7);
CREATE TEMP TABLE first_time AS SELECT * FROM vk_centroids('t_l2');
REINDEX INDEX t_l2;
CREATE TEMP TABLE second_time AS SELECT * FROM vk_centroids('t_l2');
ALTER INDEX t_l2 SET (seed = 8);
REINDEX INDEX t_l2;
CREATE TEMP TABLE other_seed AS SELECT * FROM vk_centroids('t_l2');
SELECT count(*) > 0 AS lists FROM first_time;
SELECT count(*) AS differences FROM
	((TABLE first_time EXCEPT ALL TABLE second_time) UNION ALL (TABLE second_time EXCEPT ALL TABLE first_time)) d;
SELECT count(*) > 0 AS other_seed_differs FROM (TABLE first_time EXCEPT ALL TABLE other_seed) d;
DROP TABLE first_time, second_time, other_seed;

-- tight clusters, whose rows differ by less than the norm of a row as a half
CREATE TABLE clusters (id int, v f32vec(8));
INSERT INTO clusters SELECT n, vec(-(n % 500) - 1, 8, 10) + vec(n, 8, 0.05) FROM generate_series(1, 8000) n;
SET enable_seqscan = off;
CREATE INDEX clusters_ivf ON clusters USING vkivf (v);
SELECT bits FROM vk_stats('clusters_ivf');
SELECT vk_recall('clusters_ivf', 10, 50) >= 0.93 AS floats;
DROP INDEX clusters_ivf;
CREATE INDEX clusters_ivf ON clusters USING vkivf (v) WITH (bits = 16);
SELECT vk_recall('clusters_ivf', 10, 50) >= 0.93 AS halves;
RESET enable_seqscan;

-- a parallel plan, of which this process does nothing itself
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SET parallel_leader_participation = off;
DROP INDEX clusters_ivf;
CREATE INDEX clusters_flat ON clusters USING vkflat (v);
ANALYZE clusters;
SELECT vk_recall('clusters_flat', 10, 3) AS by_workers;
RESET ALL;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
