--
-- queries unlike the rows, here in directions that these hardly use: the recall curve
-- was not measured with such, but the search sees that the last list is too near, and
-- goes on
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE FUNCTION skewed(n bigint, kind text) RETURNS f32vec LANGUAGE sql IMMUTABLE AS $$
	SELECT vec(n, 24) * (SELECT array_agg(CASE kind WHEN 'like' THEN pow(0.8, i) WHEN 'even' THEN 0.3 WHEN 'turned' THEN pow(0.8, 25 - i) END::real) FROM generate_series(1, 24) i)::f32vec
$$;
CREATE TABLE t (id int, v f32vec(24)) WITH (autovacuum_enabled = off);
INSERT INTO t SELECT n, skewed(n, 'like') FROM generate_series(1, 12000) n;

-- mean recall of scans and of a batch, and rows scanned by the scans
CREATE FUNCTION look(metric text, kind text, target float8, OUT recall float8, OUT batch float8, OUT scanned bigint)
LANGUAGE plpgsql AS $$
DECLARE
	queries f32vec[] := (SELECT array_agg(skewed(-n, kind) ORDER BY n) FROM generate_series(1, 20) n);
BEGIN
	recall := 0;
	scanned := 0;
	FOR n IN 1 .. 20 LOOP
		recall := recall + recall('t', metric, queries[n], 10, target) / 20;
		PERFORM nearest(true, 't', metric, queries[n], 10, target);
		scanned := scanned + (SELECT s.scanned / 20 FROM vk_last_scan() s);
	END LOOP;
	batch := (SELECT avg((found.distance <= truth.last)::int) FROM vk_knn_batch('t_ivf', queries, 10, target) found
			  JOIN (SELECT query, max(distance) AS last FROM vk_knn_batch('t_ivf', queries, 10, 1) GROUP BY 1) truth USING (query));
END
$$;
CREATE FUNCTION kept(recall float8, target float8) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN recall >= target - 0.07 THEN 'kept' ELSE recall::numeric(3, 2)::text END
$$;
CREATE TABLE looks (metric text, kind text, target float8, recall float8, batch float8, scanned bigint);
DO $$
DECLARE
	metric text;
BEGIN
	FOREACH metric IN ARRAY ARRAY['l2', 'cosine', 'ip'] LOOP
		EXECUTE format('CREATE INDEX t_ivf ON t USING vkivf (v %s) WITH (lists = 120)', class_of(metric));
		INSERT INTO looks SELECT metric, kind, target, l.* FROM unnest(ARRAY['like', 'even', 'turned']) kind, unnest(ARRAY[0.8, 0.95]) target, look(metric, kind, target) l;
		DROP INDEX t_ivf;
	END LOOP;
END
$$;
SELECT metric, kind, target, kept(recall, target) AS recall, kept(batch, target) AS batch FROM looks ORDER BY metric, kind, target;
-- queries like the rows pay next to nothing
SELECT kind, bool_and(scanned < 1000) AS few, bool_and(scanned > 250) AS more FROM looks GROUP BY kind ORDER BY kind;

-- a number of probes is the user's; what the search aimed at is what it tells
CREATE INDEX t_ivf ON t USING vkivf (v) WITH (lists = 120);
SET enable_seqscan = off;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> skewed(-1, 'turned') LIMIT 10) s;
SELECT estimated_recall, rounds FROM vk_last_scan();
SET vkindex.probes = 3;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> skewed(-1, 'turned') LIMIT 10) s;
SELECT lists, rounds FROM vk_last_scan();
SELECT count(*) FROM vk_knn_batch('t_ivf', ARRAY[skewed(-1, 'turned')], 10);
SELECT lists, rounds FROM vk_last_scan();
RESET vkindex.probes;
RESET enable_seqscan;

-- measured with the curve, at build and by upkeep; without it nothing is known
SELECT array_dims(fringe), fringe[3][5] <> 0 AS known, fringe[3][5] > fringe[3][8] AS falling FROM vk_page_meta('t_ivf');
CREATE TABLE before AS SELECT fringe FROM vk_page_meta('t_ivf');
INSERT INTO t SELECT n, skewed(n, 'even') FROM generate_series(20001, 32000) n;
SELECT recall_measured FROM vk_tune('t_ivf');
SELECT fringe <> (SELECT fringe FROM before) AS anew, fringe[3][5] <> 0 AS known FROM vk_page_meta('t_ivf');
ALTER INDEX t_ivf SET (calibrate = 0);
REINDEX INDEX t_ivf;
SELECT (SELECT count(*) FROM unnest(fringe) f WHERE f <> 0) FROM vk_page_meta('t_ivf');

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
