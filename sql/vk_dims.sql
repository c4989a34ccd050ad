--
-- every number of dimensions
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE summary (dim int, method text, metric text, built boolean, inserted boolean, everything boolean, sound boolean);

-- build with most of the rows, then insert the others
CREATE FUNCTION compare(dim int, rows int, method text, metric text, options text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	built boolean;
	inserted boolean;
	everything boolean;
BEGIN
	EXECUTE format('CREATE TABLE t (id int, v f32vec(%s))', dim);
	EXECUTE format('INSERT INTO t SELECT n, vec(n, %s) FROM generate_series(1, %s) n', dim, rows);
	EXECUTE format('CREATE INDEX t_idx ON t USING %s (v %s) %s', method, class_of(metric), options);
	built := same('t', metric, vec(-1, dim), 10) AND same('t', metric, vec(5, dim), 3) AND sound('t_idx');
	EXECUTE format('INSERT INTO t SELECT n, vec(n, %s) FROM generate_series(%s, %s) n', dim, rows + 1, rows + rows / 2);
	inserted := same('t', metric, vec(-1, dim), 10) AND same('t', metric, vec(rows + 1, dim), 3);
	everything := same('t', metric, vec(-2, dim), NULL);
	INSERT INTO summary VALUES (dim, method, metric, built, inserted, everything, sound('t_idx'));
	DROP TABLE t;
END
$$;

-- (every statement has a snapshot of its own: the index is newer than none)
DO $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT * FROM (VALUES (1, 200), (2, 200), (3, 200), (17, 200), (31, 100), (32, 100), (33, 100), (257, 100), (513, 100),
			(768, 100), (1536, 60), (2000, 60), (4096, 40), (16000, 20)) d(dim, rows),
		(VALUES ('vkflat', 'l2', ''), ('vkflat', 'ip', ''), ('vkflat', 'cosine', ''),
			('vkivf', 'l2', 'WITH (lists = 5)'), ('vkivf', 'ip', ''), ('vkivf', 'cosine', 'WITH (lists = 5)')) m(method, metric, options)
	LOOP
		PERFORM compare(r.dim, r.rows, r.method, r.metric, r.options);
	END LOOP;
END
$$;
SELECT dim, count(*) AS indexes, count(*) FILTER (WHERE built) AS built, count(*) FILTER (WHERE inserted) AS inserted,
	count(*) FILTER (WHERE everything) AS everything, count(*) FILTER (WHERE sound) AS sound
FROM summary GROUP BY dim ORDER BY dim;
SELECT * FROM summary WHERE NOT (built AND inserted AND everything AND sound);

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
