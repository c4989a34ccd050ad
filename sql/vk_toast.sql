--
-- vectors in TOAST: the executor takes over the distances that a scan has found,
-- and they are those of a sequential scan to the last bit
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
SET extra_float_digits = 3;
CREATE TABLE wide (id int, v f32vec(1000));
ALTER TABLE wide ALTER v SET STORAGE EXTERNAL;
INSERT INTO wide SELECT n, vec(n, 1000) FROM generate_series(1, 300) n;
CREATE INDEX ON wide USING vkflat (v f32vec_l2_ops);
CREATE INDEX ON wide USING vkivf (v f32vec_ip_ops) WITH (lists = 4);
CREATE INDEX ON wide USING vkivf (v f32vec_cosine_ops) WITH (lists = 4);
CREATE INDEX ON wide USING vkflat (v f32vec_l1_ops);
VACUUM ANALYZE wide;
SET vkindex.target_recall = 1;
-- the ordering expression, the same for another query, and another operator
CREATE FUNCTION answers(metric text, by_index boolean)
RETURNS TABLE (id int, ordering float8, other_query float8, other_operator float8)
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('enable_seqscan', (NOT by_index)::text, true),
		set_config('enable_sort', (NOT by_index)::text, true),
		set_config('enable_indexscan', by_index::text, true);
	RETURN QUERY EXECUTE format(
		'SELECT w.id, w.v %1$s vec(7, 1000), vec(8, 1000) %1$s w.v, vec(7, 1000) %2$s w.v
		 FROM wide w ORDER BY w.v %1$s vec(7, 1000) LIMIT 20', operator_of(metric), CASE metric WHEN 'l1' THEN '<->' ELSE '<+>' END);
END $$;
SELECT metric, count(*) AS rows, count(*) FILTER (WHERE i = s) AS equal
FROM unnest('{l2,ip,cosine,l1}'::text[]) metric,
	LATERAL (SELECT row_number() OVER () AS n, a AS i FROM answers(metric, true) a) i
	JOIN LATERAL (SELECT row_number() OVER () AS n, a AS s FROM answers(metric, false) a) s USING (n)
GROUP BY metric ORDER BY metric;
-- two scans take turns, each shows the other's distance too
SET enable_seqscan = off;
SET enable_sort = off;
SELECT vec(1, 1000) AS a, vec(2, 1000) AS b \gset
BEGIN;
DECLARE one CURSOR FOR SELECT id, v <-> :'a' AS a, v <-> :'b' AS b FROM wide ORDER BY v <-> :'a';
DECLARE two CURSOR FOR SELECT id, v <-> :'a' AS a, v <-> :'b' AS b FROM wide ORDER BY v <-> :'b';
FETCH 1 FROM one;
FETCH 1 FROM two;
FETCH 1 FROM one;
FETCH 1 FROM two;
-- a new version of the row is a new value
SAVEPOINT s;
UPDATE wide SET v = :'b' WHERE id = 1;
SELECT id, v <-> :'a' > 0 AS moved FROM wide ORDER BY v <-> :'b', id LIMIT 2;
ROLLBACK TO s;
FETCH 1 FROM one;
CLOSE one;
SELECT v <-> :'a' AS a FROM wide WHERE id = 1;
COMMIT;
SELECT id, v <-> :'a' AS a FROM wide ORDER BY v <-> :'a' LIMIT 1;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
