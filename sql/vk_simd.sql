--
-- every instruction set gives the same bytes
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE levels (name text);
INSERT INTO levels SELECT DISTINCT level FROM vk_simd(), unnest(available) level;
SELECT bool_or(name = 'ref') AS reference FROM levels;

-- lengths around those that vector units take at once
CREATE TABLE t (id int, a f32vec(13), b f32vec(129));
INSERT INTO t SELECT n, vec(n, 13), vec(n % 40, 129) + vec(n + 10000, 129, 0.3) FROM generate_series(1, 1200) n;

-- A digest of an index's pages, less the headers of pages (LSN, checksum).
CREATE FUNCTION digest(index regclass) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	bytes bytea;
BEGIN
	CHECKPOINT;
	bytes := pg_read_binary_file(pg_relation_filepath(index));
	RETURN md5((SELECT string_agg(substr(bytes, i * 8192 + 25, 8168), '' ORDER BY i)
				FROM generate_series(0, length(bytes) / 8192 - 1) i));
END
$$;

-- A digest of what an index is, and of what it answers.
CREATE TABLE results (level text, method text, col text, metric text, options text, pages text, answers text);
CREATE FUNCTION run(level text, method text, col text, metric text, options text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	answers text := '';
	pages text;
	dim int := CASE col WHEN 'a' THEN 13 ELSE 129 END;
	row record;
BEGIN
	PERFORM set_config('vkindex.simd', level, true), set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true);
	EXECUTE format('CREATE INDEX t_idx ON t USING %s (%I %s) %s', method, col, class_of(metric), options);
	pages := digest('t_idx');
	FOR n IN 0..5 LOOP
		-- below target 1 too: the same lists are visited
		PERFORM set_config('vkindex.target_recall', (ARRAY['0.5', '0.95', '1'])[1 + n % 3], true);
		EXECUTE format('SELECT string_agg(id || float8send(d)::text, '','') FROM (SELECT id, %1$I OPERATOR(public.%2$s) %3$L AS d FROM t ORDER BY %1$I OPERATOR(public.%2$s) %3$L::f32vec LIMIT 40) s',
			col, operator_of(metric), vec(-n, dim)) INTO row;
		answers := answers || row::text;
	END LOOP;
	INSERT INTO results VALUES (level, method, col, metric, options, pages, md5(answers));
	DROP INDEX t_idx;
END
$$;

SELECT count(run(name, method, col, metric, options)) > 0 AS done
FROM levels, unnest(ARRAY['a', 'b']) col, unnest(ARRAY['l2', 'ip', 'cosine', 'l1']) metric,
	(VALUES ('vkflat', ''), ('vkflat', 'WITH (bits = 8)'), ('vkivf', 'WITH (lists = 15, bits = 4, calibrate = 100)'),
		('vkivf', 'WITH (lists = 15, bits = 1, refine = 4, calibrate = 100)'), ('vkivf', 'WITH (lists = 15, bits = 2, refine = 8, calibrate = 100)'),
		('vkivf', 'WITH (lists = 15, bits = 8, calibrate = 100)')) m(method, options)
WHERE CASE metric WHEN 'l2' THEN options !~ 'lists = 15, bits = 8' WHEN 'l1' THEN options !~ 'bits = [124]'
	ELSE col = 'b' AND options !~ 'lists = 15, bits = 8' END;
-- levels that differ from the reference
SELECT r.method, r.col, r.metric, r.options, r.pages = x.pages AS pages, r.answers = x.answers AS answers
FROM results r, results x
WHERE x.level = 'ref' AND (x.method, x.col, x.metric, x.options) = (r.method, r.col, r.metric, r.options)
	AND (r.pages <> x.pages OR r.answers <> x.answers);
SELECT count(*) FROM results WHERE level = 'ref';

-- an index that one wrote and another reads, and adds to
CREATE FUNCTION mixed() RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
	good int := 0;
	level text;
	last int := 1200;
BEGIN
	ALTER TABLE t RENAME COLUMN b TO v;
	PERFORM set_config('vkindex.simd', 'ref', true);
	CREATE INDEX t_idx ON t USING vkivf (v) WITH (lists = 15, bits = 2, refine = 4);
	FOR level IN SELECT name FROM levels LOOP
		PERFORM set_config('vkindex.simd', level, true);
		INSERT INTO t SELECT n, vec(n, 13), vec(n, 129) FROM generate_series(last + 1, last + 100) n;
		last := last + 100;
		good := good + (same('t', 'l2', vec(last, 129), 50) AND same('t', 'l2', vec(-1, 129), 50))::int;
	END LOOP;
	PERFORM set_config('vkindex.simd', 'auto', true);
	RETURN (SELECT count(*) FROM levels) - good + (NOT sound('t_idx'))::int;
END
$$;
SELECT mixed() AS bad;
DROP INDEX t_idx;

-- a scan that one began and another goes on with
CREATE FUNCTION switched(method text, options text) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
	bad int := 0;
	first text;
	later text;
	answer refcursor;
	found int;
	ids int[];
	expected int[];
BEGIN
	EXECUTE format('CREATE INDEX t_idx ON t USING %s (v) %s', method, options);
	SET LOCAL enable_seqscan = off;
	SET LOCAL enable_sort = off;
	SET LOCAL vkindex.target_recall = 1;
	expected := ARRAY(SELECT id FROM t ORDER BY v <-> vec(-1, 129) LIMIT 400);
	FOR first, later IN SELECT a.name, b.name FROM levels a, levels b WHERE a.name <> b.name LOOP
		PERFORM set_config('vkindex.simd', first, true);
		OPEN answer NO SCROLL FOR SELECT id FROM t ORDER BY v <-> vec(-1, 129);
		ids := '{}';
		FOR n IN 1..400 LOOP
			IF n = 5 THEN
				PERFORM set_config('vkindex.simd', later, true);
			END IF;
			FETCH answer INTO found;
			ids := ids || found;
		END LOOP;
		CLOSE answer;
		bad := bad + (ids <> expected)::int;
	END LOOP;
	DROP INDEX t_idx;
	RETURN bad;
END
$$;
SELECT method, options, switched(method, options) AS bad
FROM (VALUES ('vkflat', 'WITH (bits = 1)'), ('vkflat', 'WITH (bits = 8)'), ('vkflat', 'WITH (bits = 2, refine = 4)'),
	('vkivf', 'WITH (lists = 15, bits = 1, refine = 4)'), ('vkivf', 'WITH (lists = 15, bits = 4, refine = 8)')) m(method, options);

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
