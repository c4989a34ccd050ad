--
-- vk_knn_graph, vk_similarity_graph: each row of an index as a query
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set batch :top /sql/include/batch.psql
\set ECHO none
\i :helpers
\i :batch
\set ECHO all

CREATE TABLE results (metric text, method text, options text, pairs bigint, different bigint, rows bigint, knn_different bigint);
DO $$
DECLARE
	metric text;
	method text;
	options text;
BEGIN
	PERFORM set_config('vkindex.target_recall', '1', true);
	FOREACH metric IN ARRAY ARRAY['l2', 'ip', 'cosine', 'l1'] LOOP
		FOREACH method IN ARRAY ARRAY['vkflat', 'vkivf'] LOOP
			FOREACH options IN ARRAY CASE WHEN metric = 'l1' THEN (ARRAY['', 'WITH (lists = 20)'])[1:1 + (method = 'vkivf')::int]
				WHEN method = 'vkflat' THEN ARRAY['', 'WITH (bits = 8)'] ELSE ARRAY['WITH (lists = 8, bits = 1, refine = 4)'] END LOOP
				PERFORM fill(350);
				EXECUTE format('CREATE INDEX t_idx ON t USING %s (v %s) %s', method, class_of(metric), options);
				PERFORM change();
				INSERT INTO results SELECT metric, method, options, d.*, k.*
				FROM pairs_differ(metric, CASE metric WHEN 'l2' THEN 4.3 WHEN 'ip' THEN -3 WHEN 'cosine' THEN 0.75 ELSE 22 END, false) d,
					knn_graph_differ(metric, 3) k;
				DROP INDEX t_idx;
			END LOOP;
		END LOOP;
	END LOOP;
END
$$;
SELECT * FROM results ORDER BY metric, method, options;

-- 0.3 %, 10 % and 90 % of all pairs, once and both ways, with little memory
SELECT fill(350);
CREATE INDEX t_idx ON t USING vkflat (v);
SELECT change();
SET work_mem = '64kB';
WITH d AS (SELECT percentile_cont(ARRAY[0.003, 0.1, 0.9]) WITHIN GROUP (ORDER BY a.v <-> b.v) AS radius FROM t a, t b WHERE a.ctid < b.ctid)
SELECT both_ways, p.* FROM d, unnest(radius) r, unnest(ARRAY[false, true]) both_ways, pairs_differ('l2', r, both_ways) p;
SELECT * FROM knn_graph_differ('l2', 1);
SELECT * FROM knn_graph_differ('l2', 1000);
RESET work_mem;
SELECT count(*) FROM vk_similarity_graph('t_idx', NULL);
SELECT count(*) FROM vk_knn_graph('t_idx', NULL);
SELECT count(*) FROM vk_knn_graph('t_idx', 0);
TRUNCATE t;
SELECT count(*) FROM vk_similarity_graph('t_idx', 3);
SELECT count(*) FROM vk_knn_graph('t_idx', 3);
-- it can be stopped
SELECT fill(3000);
SET statement_timeout = '20ms';
SELECT count(*) FROM vk_knn_graph('t_idx', 100);
RESET statement_timeout;
TRUNCATE t;
-- one row has no neighbor, two equal ones have each other
INSERT INTO t VALUES (1, vec(1, 40));
SELECT * FROM vk_knn_graph('t_idx', 3);
INSERT INTO t VALUES (1, vec(1, 40));
SELECT * FROM vk_knn_graph('t_idx', 3);
SELECT * FROM vk_similarity_graph('t_idx', 1e-9, true);

-- rows in places that others have left: the index has them behind those that follow
DROP INDEX t_idx;
SELECT fill(350);
CREATE INDEX t_idx ON t USING vkflat (v) WITH (bits = 8);
DELETE FROM t WHERE id BETWEEN 20 AND 60;
VACUUM t;
INSERT INTO t SELECT id, v, a FROM t WHERE id BETWEEN 70 AND 80;
SELECT (SELECT min(ctid) FROM t WHERE id = 80) < (SELECT ctid FROM t WHERE id = 61) AS before, p.* FROM pairs_differ('l2', 3.6, false) p;
SELECT split_part(path, ' ', 1) AS path FROM vk_last_scan();
-- a partial index has its rows only
DROP INDEX t_idx;
SELECT fill(100);
CREATE INDEX t_idx ON t USING vkflat (v) WHERE id % 2 = 0;
SELECT count(*), count(*) FILTER (WHERE a.id % 2 + b.id % 2 > 0) AS outside
FROM vk_similarity_graph('t_idx', 5) g JOIN t a ON a.ctid = g."row" JOIN t b ON b.ctid = g.neighbor;

-- one by one, too, each row has k others: it is not one of them itself
DROP INDEX t_idx;
CREATE INDEX t_idx ON t USING vkflat (v);
SET vkindex.max_scan_rows = 1000000;
SELECT count(*), max(rank) FROM vk_knn_graph('t_idx', 5);
SELECT rounds FROM vk_last_scan();
RESET vkindex.max_scan_rows;

\set ECHO none
SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
