--
-- indexes over every type of vectors: exactly what the sequential plan gives
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all

-- The greatest element of a type, the smallest one, and one that data are made of.
CREATE TABLE types (ord int, type text, greatest real, smallest real, unit real);
INSERT INTO types VALUES (1, 'f32vec', 3.4028235e38, 1e-45, 1), (2, 'f16vec', 65504, 5.9604645e-08, 1),
	(3, 'bf16vec', 3.3895314e38, 9.1835e-41, 1), (4, 'i8vec', 127, 1, 100);

-- Kinds of data: uniform; with many equal distances; with all of the smallest and
-- the greatest elements that there are, or one of them, among others.
CREATE FUNCTION data(kind text, t types, n int) RETURNS f32vec
LANGUAGE sql AS $$
	SELECT CASE kind
		WHEN 'uniform' THEN vec(n, 24, t.unit)
		WHEN 'ties' THEN (SELECT array_agg(abs(hashint4(n * 64 + i)) % 3 - 1) FROM generate_series(1, 24) i)::f32vec
		ELSE (SELECT array_agg(CASE abs(hashint4(n * 64 + i)) % CASE n % 4 WHEN 0 THEN 2 WHEN 1 THEN 5 ELSE 40 END
				WHEN 0 THEN t.smallest * (-1) ^ i WHEN 1 THEN -t.smallest WHEN 2 THEN t.greatest WHEN 3 THEN -t.greatest
				WHEN 4 THEN -t.greatest - (t.type = 'i8vec')::int ELSE t.unit * (hashint4(n * 64 + i) / 2147483648.0) END)
			FROM generate_series(1, 24) i)::real[]::f32vec END
$$;
-- The same, as elements of the type, which are floats too.
CREATE FUNCTION elements(kind text, t types, n int) RETURNS f32vec
LANGUAGE plpgsql AS $$
DECLARE
	v f32vec;
BEGIN
	EXECUTE format('SELECT $1::%s::f32vec', t.type) INTO v USING data(kind, t, n);
	RETURN v;
END
$$;

-- Comparisons with the sequential plan, and how many are equal: nearest rows, and
-- ranges at a row's own distance, with and without it, by each kind of plan and
-- by spheres.
CREATE FUNCTION compare(kind text, t types, method text, options text,
						OUT compared int, OUT equal int, OUT ranges int, OUT agreed int, OUT sound int)
LANGUAGE plpgsql AS $$
DECLARE
	metric text;
	k int;
	query f32vec;
	distance text;
	radius float8;
	condition text;
	path text;
BEGIN
	compared := 0;
	equal := 0;
	ranges := 0;
	agreed := 0;
	sound := 0;
	DROP TABLE r;
	EXECUTE format('CREATE TABLE r (id int, v %s(24))', t.type);
	EXECUTE format('INSERT INTO r SELECT n, CASE n %% 20 WHEN 7 THEN NULL WHEN 8 THEN flat_vec(0, 24) ELSE elements($1, $2, n) END::%s FROM generate_series(1, 300) n',
				   t.type) USING kind, t;
	FOREACH metric IN ARRAY ARRAY['l2', 'ip', 'cosine', 'l1'] LOOP
		EXECUTE format('CREATE INDEX r_idx ON r USING %s (v %s) %s', method, class_of(metric, t.type), options);
		sound := sound + sound('r_idx')::int;
		-- a row of the table, and one that is none
		FOREACH query IN ARRAY ARRAY[elements(kind, t, 2), elements(kind, t, -1)] LOOP
			FOREACH k IN ARRAY ARRAY[1, 10, NULL] LOOP
				compared := compared + 1;
				equal := equal + same('r', metric, query, k)::int;
			END LOOP;
		END LOOP;
		distance := format('v OPERATOR(public.%s) %L::public.%s', operator_of(metric), query, t.type);
		EXECUTE format('SELECT %s FROM r ORDER BY 1 OFFSET 40 LIMIT 1', distance) INTO radius;
		FOREACH condition IN ARRAY ARRAY[format('%s < %L', distance, radius), format('%s <= %L', distance, radius),
				format('v OPERATOR(public.<%s>) public.vk_sphere(%L::public.%s, %L)', operator_of(metric), query, t.type, radius)] LOOP
			FOREACH path IN ARRAY ARRAY['index', 'bitmap'] LOOP
				ranges := ranges + 1;
				agreed := agreed + (agree(path, 'SELECT id FROM r WHERE ' || condition) !~ ',')::int;
			END LOOP;
		END LOOP;
		DROP INDEX r_idx;
	END LOOP;
END
$$;
CREATE TABLE r ();
SET vkindex.target_recall = 1;
SELECT type, kind, method, options, c.*
FROM types t, (VALUES ('uniform'), ('ties'), ('extremes')) d(kind),
	(VALUES (1, 'vkflat', ''), (2, 'vkflat', 'WITH (bits = 8)'), (3, 'vkivf', 'WITH (lists = 5)')) m(n, method, options),
	compare(kind, t, method, options) c
WHERE n <> 2 OR kind = 'extremes'
ORDER BY t.ord, kind, n;
DROP TABLE r;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
