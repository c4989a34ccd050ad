--
-- rows without a distance, and rows that are equal
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all

-- of ten rows: NULL, zero, the same vector twice, the same one everywhere
CREATE TABLE t (id int, v f32vec(8));
INSERT INTO t SELECT n, CASE n % 10 WHEN 0 THEN NULL WHEN 1 THEN flat_vec(0, 8) WHEN 2 THEN vec(n + 1, 8)
	WHEN 3 THEN vec(n, 8) WHEN 4 THEN flat_vec(0.5, 8) ELSE vec(n, 8) END FROM generate_series(1, 3000) n;
SELECT count(*), count(v), count(*) FILTER (WHERE vector_norm(v) = 0) AS zero FROM t;

-- The kinds of distance in the order in which the index gives them, with how
-- many rows there are of each.
CREATE FUNCTION kinds(metric text, query f32vec, target float8) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	distances bytea := (nearest(true, 't', metric, query, NULL, target)).distances;
	ids int[] := (nearest(true, 't', metric, query, NULL, target)).ids;
	nan bytea := float8send('NaN');
	known int := length(distances) / 8;
	nans int := (SELECT count(*) FROM generate_series(1, known) i WHERE substr(distances, 8 * i - 7, 8) = nan);
BEGIN
	-- a NULL distance adds nothing to the bytes: NULL rows must be the last
	IF EXISTS (SELECT FROM t WHERE id = ANY (ids[1:known]) AND v IS NULL) THEN
		RETURN 'NULL among the others';
	END IF;
	IF nans > 0 AND substr(distances, 8 * (known - nans) + 1) <> decode(repeat(encode(nan, 'hex'), nans), 'hex') THEN
		RETURN 'NaN among the others';
	END IF;
	IF (SELECT count(DISTINCT id) FROM unnest(ids) id) <> cardinality(ids) THEN
		RETURN 'rows twice';
	END IF;
	RETURN format('%s finite, %s NaN, %s NULL', known - nans, nans, cardinality(ids) - known);
END
$$;

CREATE FUNCTION compare(method text, options text)
RETURNS TABLE (metric text, any_query text, zero_query text, few boolean, "all" boolean,
			   by_zero boolean, default_target text, rows bigint, sound boolean)
LANGUAGE plpgsql AS $$
BEGIN
	FOREACH metric IN ARRAY ARRAY['l2', 'ip', 'cosine', 'l1'] LOOP
		EXECUTE format('CREATE INDEX t_idx ON t USING %s (v %s) %s', method, class_of(metric), options);
		any_query := kinds(metric, vec(-1, 8), 1);
		zero_query := kinds(metric, flat_vec(0, 8), 1);
		few := same('t', metric, vec(-1, 8), 7) AND same('t', metric, vec(3, 8), 2)
			AND same('t', metric, flat_vec(0.5, 8), 310);
		"all" := same('t', metric, vec(-1, 8), NULL);
		by_zero := same('t', metric, flat_vec(0, 8), 50);
		default_target := kinds(metric, vec(-1, 8), 0.95);
		SET LOCAL enable_seqscan = off;
		SET LOCAL enable_sort = off;
		EXECUTE format('SELECT count(*) FROM (SELECT id FROM t ORDER BY v OPERATOR(public.%s) %L::f32vec) s',
					   operator_of(metric), vec(-1, 8)) INTO rows;
		SET LOCAL enable_seqscan = on;
		SET LOCAL enable_sort = on;
		sound := sound('t_idx');
		RETURN NEXT;
		DROP INDEX t_idx;
	END LOOP;
END
$$;

\x
SELECT * FROM compare('vkflat', '');
SELECT * FROM compare('vkivf', '');
SELECT * FROM compare('vkivf', 'WITH (lists = 20)');
\x

-- the same by inserts into an index on an empty table
CREATE TABLE filled AS TABLE t;
TRUNCATE t;
CREATE INDEX t_flat ON t USING vkflat (v);
INSERT INTO t TABLE filled;
SELECT kinds('l2', vec(-1, 8), 1), same('t', 'l2', vec(-1, 8), NULL), sound('t_flat');
DROP INDEX t_flat;
TRUNCATE t;
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops);
INSERT INTO t TABLE filled;
SELECT kinds('cosine', vec(-1, 8), 1), same('t', 'cosine', vec(-1, 8), NULL), sound('t_ivf');
DROP INDEX t_ivf;

-- nothing but rows without a distance
TRUNCATE t;
INSERT INTO t SELECT n, NULL FROM generate_series(1, 100) n;
CREATE INDEX t_flat ON t USING vkflat (v);
SELECT kinds('l2', vec(-1, 8), 1), sound('t_flat');
DROP INDEX t_flat;
INSERT INTO t SELECT n, flat_vec(0, 8) FROM generate_series(101, 300) n;
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops) WITH (lists = 4);
SELECT kinds('cosine', vec(-1, 8), 1), kinds('cosine', vec(-1, 8), 0.95), sound('t_ivf');
DROP INDEX t_ivf;
-- nothing but one vector
TRUNCATE t;
INSERT INTO t SELECT n, vec(1, 8) FROM generate_series(1, 500) n;
CREATE INDEX t_ivf ON t USING vkivf (v) WITH (lists = 4);
SELECT kinds('l2', vec(1, 8), 1), kinds('l2', vec(2, 8), 0.95), same('t', 'l2', vec(1, 8), 10), sound('t_ivf');
DROP INDEX t_ivf;

-- lengths whose squares are no floats, or no normal ones
TRUNCATE t;
INSERT INTO t SELECT n, CASE n % 4 WHEN 0 THEN vec(n, 8, 1e30) WHEN 1 THEN vec(n, 8, 1e-30)
	WHEN 2 THEN vec(n, 8, 1e-42) ELSE vec(n, 8) END FROM generate_series(1, 200) n;
CREATE FUNCTION extremes(method text, options text, metric text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
	result boolean := true;
BEGIN
	EXECUTE format('CREATE INDEX t_idx ON t USING %s (v %s) %s', method, class_of(metric), options);
	FOR n IN 1..4 LOOP
		result := result AND same('t', metric, (SELECT v FROM t WHERE id = n), 10)
			AND same('t', metric, (SELECT v FROM t WHERE id = n), NULL);
	END LOOP;
	result := result AND sound('t_idx');
	DROP INDEX t_idx;
	RETURN result;
END
$$;
SELECT method, options, metric, extremes(method, options, metric)
FROM (VALUES (1, 'vkflat', ''), (2, 'vkflat', 'WITH (bits = 4)'), (3, 'vkivf', 'WITH (lists = 4)'),
	(4, 'vkivf', 'WITH (bits = 1, refine = 4)')) m(ord, method, options),
	(VALUES (1, 'l2'), (2, 'ip'), (3, 'cosine'), (4, 'l1')) c(ord, metric)
WHERE metric <> 'l1' OR options !~ 'bits'
ORDER BY m.ord, c.ord;

-- a distance that is NaN for one query only, found while many others are kept
CREATE TABLE far (id int, v f32vec(2));
CREATE INDEX far_flat ON far USING vkflat (v f32vec_ip_ops);
INSERT INTO far VALUES (0, '[1e30,1e30]');
INSERT INTO far SELECT i, '[1,1]' FROM generate_series(1, 2000) i;
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*), count(*) FILTER (WHERE id = 0) FROM (SELECT id FROM far ORDER BY v <#> '[1e10,-1e10]' OFFSET 0) s;
RESET enable_seqscan;
RESET enable_sort;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
