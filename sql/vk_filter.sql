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

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
