--
-- deleted rows that no vacuum has cleared yet: where they are the nearest ones, the
-- live rows behind them are found with the declared recall all the same
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE t (id int, kind int, v f32vec(8)) WITH (autovacuum_enabled = off);
INSERT INTO t SELECT n, n % 2, vec(n, 8) FROM generate_series(1, 12000) n;
CREATE INDEX t_ivf ON t USING vkivf (v, kind) WITH (lists = 80);
ANALYZE t;

-- recall, and whether the rows near the query were asked whether they are there
CREATE FUNCTION look(query int, k int, target float8 DEFAULT 0.95, condition text DEFAULT 'true',
					 OUT share float8, OUT rows int, OUT asked boolean, OUT rounds bigint)
LANGUAGE plpgsql AS $$
DECLARE
	truth int[] := (nearest(false, 't', 'l2', vec(-query, 8), k, target, condition)).ids;
	found int[] := (nearest(true, 't', 'l2', vec(-query, 8), k, target, condition)).ids;
BEGIN
	share := (SELECT count(*) FROM unnest(found) f WHERE f = ANY (truth)) / k::float8;
	rows := cardinality(found);
	SELECT s.checked > 0, s.rounds INTO asked, rounds FROM vk_last_scan() s;
END
$$;
CREATE FUNCTION summary(k int, target float8 DEFAULT 0.95, condition text DEFAULT 'true',
						OUT recall text, OUT rows int, OUT asked bigint, OUT rounds bigint)
LANGUAGE sql AS $$
	SELECT CASE WHEN avg(share) >= target - 0.07 THEN 'kept' ELSE avg(share)::numeric(3, 2)::text END, min(l.rows), count(*) FILTER (WHERE l.asked), max(l.rounds)
	FROM generate_series(1, 20) q, look(q, k, target, condition) l
$$;
SELECT k, s.* FROM unnest(ARRAY[10, 50]) k, summary(k) s;

-- the 150 nearest of each query
DELETE FROM t USING generate_series(1, 20) q, LATERAL (SELECT id FROM t o ORDER BY o.v <-> vec(-q, 8) LIMIT 150) n WHERE t.id = n.id;
SELECT k, s.* FROM unnest(ARRAY[1, 10, 50]) k, summary(k) s;
SELECT target, s.* FROM unnest(ARRAY[0.9, 0.99]) target, summary(10, target) s;
SELECT s.* FROM summary(10, 0.95, 'kind = 1') s;
SELECT s.* FROM summary(10, 0.95, 'id % 3 = 0') s;

-- in batches, too
SELECT avg((found.distance <= truth.last)::int) > 0.9 AS kept FROM (SELECT array_agg(vec(-q, 8)) AS queries FROM generate_series(1, 20) q) x,
	vk_knn_batch('t_ivf', queries, 10) found JOIN LATERAL (SELECT query, max(distance) AS last FROM vk_knn_batch('t_ivf', queries, 10, 1) GROUP BY 1) truth USING (query);

-- where the user's cap leaves too little for that, what was found is the answer
SET enable_seqscan = off;
SET vkindex.max_scan_rows = 2400;
SET client_min_messages = error;
SELECT count(*) > 0 AS some FROM (SELECT id FROM t ORDER BY v <-> vec(-3, 8) LIMIT 200) s;
RESET client_min_messages;
SELECT checked FROM vk_last_scan();
RESET vkindex.max_scan_rows;

-- within a radius, and in the exhaustive mode, which asks none
SELECT count(*) FROM (SELECT id FROM t WHERE v <-> vec(-3, 8) < 2 ORDER BY v <-> vec(-3, 8) LIMIT 200) s;
SELECT min(share), bool_or(asked) FROM generate_series(1, 5) q, look(q, 10, 1);

-- once they are cleared the rows near a query are far off, and unlike those of others
VACUUM t;
SELECT k, share > 0.75 AS kept FROM unnest(ARRAY[10, 50]) k, LATERAL (SELECT avg(share) AS share FROM generate_series(1, 20) q, look(q, k)) s;
RESET enable_seqscan;

-- the nearest of a list, in whose place those behind them were left out
CREATE TABLE centers (c f32vec(2));
INSERT INTO centers VALUES ('[0,0]'), ('[50,50]');
CREATE TABLE m (id int, kind int, v f32vec(2)) WITH (autovacuum_enabled = off);
INSERT INTO m SELECT n, 1, CASE WHEN n <= 100 THEN '[0,0]' ELSE vec(n, 2) + '[51,51]'::f32vec END FROM generate_series(1, 5000) n;
CREATE INDEX m_ivf ON m USING vkivf (v, kind) WITH (lists = 2, centroids = 'vk_test.centers');
ANALYZE m;
DELETE FROM m WHERE id BETWEEN 4 AND 100;
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*) FROM (SELECT id FROM m WHERE kind = 1 ORDER BY v <-> '[0,0]' LIMIT 10) s;
SELECT exhaustive FROM vk_last_scan();
SELECT count(*) FROM (SELECT id FROM m WHERE kind = 1 ORDER BY v <-> '[0,0]') s;
SELECT count(*) FROM (SELECT id FROM m WHERE kind = 1 AND v <-> '[0,0]' < 1000 ORDER BY v <-> '[0,0]' LIMIT 10) s;
SELECT count(*) FROM (SELECT id FROM m WHERE kind = 1 AND v <-> '[0,0]' < 1000 ORDER BY v <-> '[0,0]') s;
SET vkindex.probes = 2;
SELECT count(*) FROM (SELECT id FROM m ORDER BY v <-> '[0,0]' LIMIT 10) s;
SELECT count(*) FROM (SELECT id FROM m ORDER BY v <-> '[0,0]') s;
RESET vkindex.probes;
-- the same of rows that a condition keeps out which is too dear for the scan
VACUUM m;
INSERT INTO m SELECT 10000 + n, 1, '[0,0]' FROM generate_series(1, 40) n;
CREATE FUNCTION wanted(id int) RETURNS boolean LANGUAGE plpgsql COST 10000 AS 'BEGIN RETURN id <= 10000; END';
SELECT count(*) FROM (SELECT id FROM m WHERE kind = 1 AND wanted(id) ORDER BY v <-> '[0,0]' LIMIT 40) s;
RESET enable_seqscan;
RESET enable_sort;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
