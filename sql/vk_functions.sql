--
-- functions that look into an index
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE t (id int, v f32vec(48));
INSERT INTO t SELECT n, CASE n % 100 WHEN 0 THEN NULL WHEN 1 THEN flat_vec(0, 48) ELSE vec(n, 48) END FROM generate_series(1, 6000) n;
CREATE INDEX t_flat ON t USING vkflat (v) WITH (seed = 5);
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops) WITH (lists = 40, bits = 1, refine = 8);
CREATE INDEX t_automatic ON t USING vkivf (v f32vec_ip_ops);

-- vk_stats
SELECT s.method, metric, dimensions, rows, dead_rows, rest_rows, lists, bits, refine_bits, seed, epoch
FROM unnest(ARRAY['t_flat', 't_ivf', 't_automatic']) name, vk_stats(name::regclass) s;
SELECT pages * 8192 = bytes AS bytes, bytes = pg_relation_size(name::regclass) AS size,
	list_min <= list_avg AND list_avg <= list_p99 AND list_p99 <= list_max AS ordered, list_min >= 0 AS counted
FROM unnest(ARRAY['t_ivf', 't_automatic']) name, vk_stats(name::regclass);
SELECT round(list_avg * lists) AS list_rows, budget_rows > 0 AND budget_rows < rows AS budget FROM vk_stats('t_ivf');
SET vkindex.target_recall = 0.5;
SELECT budget_rows AS half FROM vk_stats('t_ivf') \gset
SET vkindex.target_recall = 0.99;
SELECT budget_rows AS most FROM vk_stats('t_ivf') \gset
SELECT :half < :most AS less_work;
SET vkindex.target_recall = 1;
SELECT budget_rows >= rows AS everything FROM vk_stats('t_ivf');
RESET vkindex.target_recall;
-- a row more, a row less
INSERT INTO t VALUES (6001, vec(6001, 48));
DELETE FROM t WHERE id = 7;
VACUUM (INDEX_CLEANUP on) t;
SELECT rows, dead_rows, rest_rows FROM unnest(ARRAY['t_flat', 't_ivf', 't_automatic']) name, vk_stats(name::regclass) s;

-- vk_centroids: rows
SELECT count(*), count(DISTINCT c), min(vector_dims(c)), max(vector_dims(c)),
	max(abs(vector_norm(c) - 1)) < 0.02 AS unit_length FROM vk_centroids('t_ivf') c;
SELECT count(*) = lists AS one_a_list FROM vk_centroids('t_automatic') c, vk_stats('t_automatic') GROUP BY lists;
SELECT count(*) FROM vk_centroids('t_flat');
SELECT count(*) FROM (SELECT * FROM vk_centroids('t_ivf') LIMIT 3) c;

-- vk_recall
SELECT vk_recall('t_flat'), vk_recall('t_flat', 1, 5), vk_recall('t_flat', 10000, 2);
SELECT vk_recall('t_ivf', 10, 50) BETWEEN 0.85 AND 1 AS at_95;
SET vkindex.target_recall = 1;
SELECT vk_recall('t_ivf'), vk_recall('t_automatic', 100, 20);
SET vkindex.target_recall = 0.5;
SET vkindex.probes = 1;
SELECT vk_recall('t_ivf', 100, 50) < 0.9 AS one_list;
RESET vkindex.target_recall;
RESET vkindex.probes;
-- settings of the session are left as they were
SHOW enable_seqscan;
SHOW enable_indexscan;

-- vk_last_scan
SELECT same('t', 'l2', vec(-1, 48), 10);
SELECT index, wanted, emitted, exhaustive, lists, scanned, fetched >= 10 AND fetched < 500 AS few_fetched, rounds > 0 AS rounds,
	pages > 0 AS pages, rank_us >= 0 AND scan_us > 0 AND fetch_us >= 0 AS times FROM vk_last_scan();
SELECT cardinality(ids) FROM nearest(true, 't', 'cosine', vec(-1, 48), 10, 0.95);
SELECT index, wanted, emitted, exhaustive, lists BETWEEN 1 AND 39 AS lists, scanned BETWEEN 10 AND 5000 AS scanned,
	refined > 0 AS refined, budget_rows > 0 AS budget FROM vk_last_scan();
SELECT cardinality(ids) FROM nearest(true, 't', 'cosine', vec(-1, 48), 10, 1);
SELECT index, exhaustive, lists, scanned FROM vk_last_scan();
-- without a limit ten rows are wanted first, then more
SELECT cardinality(ids) FROM nearest(true, 't', 'ip', vec(-1, 48), NULL, 0.95);
SELECT index, wanted, emitted, exhaustive, rounds > 1 AS rounds FROM vk_last_scan();
SET vkindex.log_scans = on;
SELECT cardinality(ids) FROM nearest(true, 't', 'ip', vec(-1, 48), 1, 0.95);
RESET vkindex.log_scans;
-- a session that has not scanned yet
\c -
SELECT index, emitted FROM vk_last_scan();
SET search_path = vk_test, public;

-- vk_simd: which kernel runs on what
SELECT count(*) > 5 AS kernels, count(*) = count(DISTINCT kernel) AS each_once, bool_and(isa = ANY (available)) AS possible,
	bool_and('ref' = ANY (available)) AS reference FROM vk_simd();
SET vkindex.simd = 'ref';
SELECT DISTINCT isa FROM vk_simd();
RESET vkindex.simd;
-- what may be called by whom: volatility and parallel safety
SELECT DISTINCT proname, provolatile, proparallel, proisstrict FROM pg_proc
WHERE proname ~ '^vk_' AND pronamespace <> 'vk_test'::regnamespace ORDER BY proname;
-- everything of the extension is described (18 counts the row type of a view among what it has)
SELECT count(*) FROM pg_depend d WHERE refclassid = 'pg_extension'::regclass
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'vkindex') AND deptype = 'e'
	AND classid NOT IN ('pg_amop'::regclass, 'pg_amproc'::regclass) AND objid NOT IN (SELECT typarray FROM pg_type)
	AND objid NOT IN (SELECT reltype FROM pg_class WHERE relkind = 'v')
	AND obj_description(objid, classid::regclass::text::name) IS NULL;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
