--
-- every number of dimensions
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
-- Builds with most of the rows, then inserts the others; how many of eight indexes
-- were right at each step.
CREATE FUNCTION compare(dim int, rows int, OUT built int, OUT inserted int, OUT everything int, OUT sound int)
LANGUAGE plpgsql AS $$
DECLARE
	method text;
	metric text;
	options text;
BEGIN
	built := 0;
	inserted := 0;
	everything := 0;
	sound := 0;
	FOREACH method IN ARRAY ARRAY['vkflat', 'vkivf'] LOOP
		FOREACH metric IN ARRAY ARRAY['l2', 'ip', 'cosine', 'l1'] LOOP
			options := CASE WHEN method = 'vkivf' AND metric <> 'ip' THEN 'WITH (lists = 5)' ELSE '' END;
			EXECUTE format('CREATE TABLE t (id int, v f32vec(%s))', dim);
			EXECUTE format('INSERT INTO t SELECT n, vec(n, %s) FROM generate_series(1, %s) n', dim, rows);
			EXECUTE format('CREATE INDEX t_idx ON t USING %s (v %s) %s', method, class_of(metric), options);
			built := built + (same('t', metric, vec(-1, dim), 10) AND same('t', metric, vec(5, dim), 3) AND sound('t_idx'))::int;
			EXECUTE format('INSERT INTO t SELECT n, vec(n, %s) FROM generate_series(%s, %s) n', dim, rows + 1, rows + rows / 2);
			inserted := inserted + (same('t', metric, vec(-1, dim), 10) AND same('t', metric, vec(rows + 1, dim), 3))::int;
			everything := everything + (same('t', metric, vec(-2, dim), NULL))::int;
			sound := sound + (sound('t_idx'))::int;
			DROP TABLE t;
		END LOOP;
	END LOOP;
END
$$;

SELECT dim, c.* FROM (VALUES (1, 200), (2, 200), (3, 200), (17, 200), (31, 100), (32, 100), (33, 100), (257, 100), (513, 100),
		(768, 100), (1536, 48), (2000, 48)) d(dim, rows), compare(dim, rows) c
ORDER BY dim;
SELECT dim, c.* FROM (VALUES (4096, 32), (16000, 18)) d(dim, rows), compare(dim, rows) c
ORDER BY dim;

-- one block of 16,000 dimensions takes many pages
CREATE TABLE t (id int, v f32vec(16000));
CREATE INDEX t_wide ON t USING vkflat (v) WITH (bits = 32);
INSERT INTO t SELECT n, vec(n, 16000) FROM generate_series(1, 20) n;
SELECT same('t', 'l2', vec(3, 16000), 5), same('t', 'l2', vec(3, 16000), NULL), sound('t_wide');
SELECT pg_relation_size('t_wide') / 8192 >= 2 * 16000 / 128 AS pages;
DELETE FROM t WHERE id % 2 = 0;
VACUUM t;
INSERT INTO t SELECT n, vec(n, 16000) FROM generate_series(21, 30) n;
SELECT same('t', 'l2', vec(25, 16000), 5), same('t', 'l2', vec(3, 16000), NULL), sound('t_wide');

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
