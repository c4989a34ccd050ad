--
-- vkflat, and vkivf at target 1, give exactly what the sequential plan gives
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all

-- Kinds of data: uniform; with many equal distances; far from the origin, so
-- that codes hold little of a vector; lengths from 1e-6 to 1e6.
CREATE FUNCTION data(kind text, n int) RETURNS f32vec
LANGUAGE sql AS $$
	SELECT CASE kind
		WHEN 'uniform' THEN vec(n, 40)
		WHEN 'ties' THEN (SELECT array_agg(abs(hashint4(n * 64 + i)) % 3 - 1) FROM generate_series(1, 40) i)::f32vec
		WHEN 'far' THEN vec(n, 40, 0.5) + flat_vec(100, 40)
		WHEN 'scales' THEN vec(n, 40, (10.0 ^ (n % 13 - 6))::real) END
$$;

CREATE TABLE t (id int, v f32vec(40));

-- Number of comparisons of every metric, and how many of them are equal.
CREATE FUNCTION compare(kind text, rows int, method text, options text,
						OUT compared int, OUT equal int, OUT sound int)
LANGUAGE plpgsql AS $$
DECLARE
	metric text;
	k int;
BEGIN
	compared := 0;
	equal := 0;
	sound := 0;
	TRUNCATE t;
	INSERT INTO t SELECT n, data(kind, n) FROM generate_series(1, rows) n;
	FOREACH metric IN ARRAY ARRAY['l2', 'ip', 'cosine', 'l1'] LOOP
		EXECUTE format('CREATE INDEX t_idx ON t USING %s (v %s) %s', method, class_of(metric), options);
		sound := sound + sound('t_idx')::int;
		-- a row of the table, and two vectors that are none
		FOREACH k IN ARRAY ARRAY[1, 10, 100, NULL] LOOP
			FOR n IN 0..2 LOOP
				compared := compared + 1;
				equal := equal + same('t', metric, CASE n WHEN 0 THEN data(kind, 1)
					ELSE data(kind, -n) END, k)::int;
			END LOOP;
		END LOOP;
		DROP INDEX t_idx;
	END LOOP;
END
$$;

SELECT kind, rows, method, options, c.*
FROM (VALUES (1, 'vkflat', ''), (2, 'vkivf', ''), (3, 'vkivf', 'WITH (lists = 12)')) m(ord, method, options),
	(VALUES (1), (100)) r(rows),
	(VALUES ('uniform'), ('ties'), ('far'), ('scales')) d(kind),
	compare(kind, rows, method, options) c
ORDER BY rows, kind, ord;

SELECT kind, rows, method, options, c.*
FROM (VALUES (1, 'vkflat', ''), (2, 'vkivf', 'WITH (lists = 12)')) m(ord, method, options),
	(VALUES (1000)) r(rows),
	(VALUES ('uniform'), ('ties'), ('far'), ('scales')) d(kind),
	compare(kind, rows, method, options) c
ORDER BY rows, kind, ord;

-- enough rows for several segments, and for lists that nobody asked for
SELECT method, c.*
FROM (VALUES ('vkflat'), ('vkivf')) m(method), compare('uniform', 5000, method, '') c
ORDER BY method;

-- whatever is asked for before it is fetched; a third of the rows are dead
CREATE INDEX t_idx ON t USING vkflat (v f32vec_l2_ops);
DELETE FROM t WHERE id % 3 = 0;
SELECT ahead, set_config('effective_io_concurrency', ahead::text, false) AS set, same('t', 'l2', data('uniform', -1), 100)
FROM (VALUES (0), (1), (7), (1000)) n(ahead);
RESET effective_io_concurrency;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
