--
-- a WHERE that few rows pass still fills the LIMIT
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE t (id int, v f32vec(24), tag int);
INSERT INTO t SELECT n, CASE WHEN n % 40 > 0 THEN vec(n % 30, 24) + vec(n, 24, 0.3) END, n % 250 FROM generate_series(1, 5000) n;
CREATE FUNCTION compare(metric text) RETURNS TABLE (condition text, passing bigint, is_exact boolean, found_at text)
LANGUAGE plpgsql AS $$
BEGIN
	FOREACH condition IN ARRAY ARRAY['tag = 7', 'tag = 80', 'id = 4321', 'id % 2 = 0', 'tag IN (3, 4) AND id > 2500', 'id < 0', 'v IS NULL',
			'v IS NOT NULL AND tag = 13', 'random() < 0'] LOOP
		EXECUTE format('SELECT count(*) FROM t WHERE %s', condition) INTO passing;
		is_exact := (SELECT bool_and(same('t', metric, vec(n, 24), k, 1, condition))
				  FROM generate_series(1, 3) n, unnest(ARRAY[1, 10, 30]) k);
		-- ten rows where there are ten, whatever the target
		found_at := (SELECT string_agg(coalesce(cardinality(ids), 0)::text, ' ')
				  FROM unnest(ARRAY[0.5, 0.95]) target, nearest(true, 't', metric, vec(2, 24), 10, target, condition));
		RETURN NEXT;
	END LOOP;
END
$$;
CREATE INDEX t_idx ON t USING vkflat (v);
SELECT * FROM compare('l2');
DROP INDEX t_idx;
CREATE INDEX t_idx ON t USING vkivf (v f32vec_ip_ops) WITH (lists = 40);
SELECT * FROM compare('ip');
DROP INDEX t_idx;
CREATE INDEX t_idx ON t USING vkivf (v f32vec_cosine_ops) WITH (lists = 40, bits = 1, refine = 4);
SELECT * FROM compare('cosine');

-- through a join that throws most rows away, and row security
CREATE TABLE wanted AS SELECT n * 500 + 1 AS id FROM generate_series(0, 9) n;
SET enable_seqscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT count(*) FROM (SELECT t.id FROM t WHERE EXISTS (SELECT FROM wanted w WHERE w.id = t.id OR w.id = -t.id)
	ORDER BY v <=> vec(1, 24) LIMIT 10) s;
CREATE ROLE vk_test_role;
GRANT USAGE ON SCHEMA vk_test TO vk_test_role;
GRANT SELECT ON t TO vk_test_role;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON t USING (tag = 9);
SET ROLE vk_test_role;
SELECT count(*), min(tag), max(tag) FROM (SELECT tag FROM t ORDER BY v <=> vec(1, 24) LIMIT 12) s;
RESET ROLE;
DROP OWNED BY vk_test_role;
DROP ROLE vk_test_role;
RESET enable_seqscan;
RESET enable_hashjoin;
RESET enable_mergejoin;

-- a volatile condition is asked once of each row that the executor sees
CREATE SEQUENCE calls;
SET enable_seqscan = off;
SELECT count(*) FROM (SELECT id FROM t WHERE nextval('calls') > 0 ORDER BY v <=> vec(1, 24) LIMIT 10) s;
SELECT last_value FROM calls;
RESET enable_seqscan;

-- all that pass lie elsewhere than what is near the query: of 200 clusters, those
-- that are not the query's own; as many of them are found as elsewhere
CREATE TABLE apart AS SELECT n AS id, (vec(n % 200, 24) + vec(n, 24, 0.15))::f32vec(24) AS v, n % 200 AS cluster, n % 200 AS unindexed
	FROM generate_series(1, 6000) n;
CREATE INDEX ON apart USING vkivf (v f32vec_ip_ops, cluster);
CREATE FUNCTION recall_apart(k int, target float8, condition text) RETURNS float8 LANGUAGE sql AS $$
	SELECT avg(f) FROM generate_series(1, 30) n, LATERAL (SELECT vec(n * 5 % 200, 24) + vec(-n, 24, 0.15) AS q, format(condition, n * 5 % 200) AS c) s,
		nearest(false, 'apart', 'ip', q, k, target, c) t, nearest(true, 'apart', 'ip', q, k, target, c) i,
		LATERAL (SELECT count(*) / k::float8 AS f FROM (SELECT unnest(t.ids) INTERSECT SELECT unnest(i.ids)) x) y
$$;
SELECT target, condition, recall_apart(1, target, condition) >= target - 0.05 AS of_1, recall_apart(10, target, condition) >= target - 0.02 AS of_10
FROM unnest('{0.8,0.95}'::float8[]) target, unnest('{cluster <> %s,unindexed <> %s}'::text[]) condition;
-- what a search knows of its recall then, at the worst, and how many of 85 lists it visits
CREATE FUNCTION effort_apart(target float8, condition text, OUT recall float8, OUT lists float8) LANGUAGE plpgsql AS $$
DECLARE
	scan record;
BEGIN
	recall := 1;
	lists := 0;
	FOR n IN 1..30 LOOP
		PERFORM nearest(true, 'apart', 'ip', vec(n * 5 % 200, 24) + vec(-n, 24, 0.15), 10, target, format(condition, n * 5 % 200));
		SELECT * INTO scan FROM vk_last_scan();
		recall := least(recall, scan.estimated_recall);
		lists := lists + scan.lists / 30.0;
	END LOOP;
END
$$;
SELECT target, condition, recall BETWEEN target - 0.15 AND target + 0.04 AS recall, lists < 20 AS few_lists
FROM unnest('{0.8,0.95}'::float8[]) target, unnest('{cluster <> %s,unindexed <> %s}'::text[]) condition, effort_apart(target, condition);

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
