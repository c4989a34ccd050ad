--
-- WHERE v <-> q < r and spheres over pgvector's types: every form, both methods,
-- the rows of the sequential plan and no other
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
-- @ is the middle of an operator, q, p and r two vectors and a radius; how the
-- index is used: by a bitmap scan, or in the order of the distance
CREATE TABLE forms (n serial, form text, path text);
INSERT INTO forms (form, path) VALUES
	('v <@> {q} < {r}', 'bitmap'),
	('v <@> {q} <= {r}', 'bitmap'),
	('{r} > v <@> {q}', 'bitmap'),
	('{r} >= {q} <@> v', 'bitmap'),
	('v <@> {q} < (SELECT {r}::real)', 'bitmap'),
	('v <@> (SELECT {q}) < {r}', 'bitmap'),
	('v <@> {q} < {r} AND tag = 3', 'bitmap'),
	('v <@> {q} < {r} AND id % 3 = 0', 'bitmap'),
	('(v <@> {q} < {r} OR v <@> {p} < {r})', 'bitmap'),
	('NOT v <@> {q} >= {r}', 'bitmap'),
	('v <<@>> vk_sphere({q}, {r})', 'bitmap'),
	('v <<@>>= vk_sphere({q}, {r})', 'bitmap'),
	('v <<@>> ROW({q}, {r}, true)::vk_sphere_{type}', 'bitmap'),
	('v <<@>> ANY (ARRAY[vk_sphere({q}, {r}), vk_sphere({p}, {r})])', 'bitmap'),
	('v <<@>> (SELECT vk_sphere(NULL::{type}, {r}))', 'bitmap'),
	('v <<@>> (SELECT ROW({q}, NULL, false)::vk_sphere_{type})', 'bitmap'),
	('v <@> {q} < {r}', 'index'),
	('v <@> {q} <= {r} AND tag <> 3', 'index'),
	('v <@> {p} < {r}', 'index'),
	('v <<@>>= vk_sphere({q}, {r})', 'index');

CREATE FUNCTION ranges(type text, method text, metric text) RETURNS SETOF forms
LANGUAGE plpgsql AS $$
DECLARE
	form record;
	query text := format('%L::%s', vec(3, 24), type);
	other text := format('%L::%s', vec(5, 24), type);
	condition text;
	radius float8;
	result text;
BEGIN
	DROP TABLE IF EXISTS t;
	EXECUTE format('CREATE TABLE t (id int, v %s(24), tag int)', type);
	INSERT INTO t SELECT n, CASE WHEN n % 40 = 0 THEN NULL WHEN n % 40 = 1 THEN flat_vec(0, 24)
		ELSE vec(n % 12, 24) + vec(n, 24, 0.3) END, n % 7 FROM generate_series(1, 800) n;
	EXECUTE format('CREATE INDEX t_idx ON t USING %s (v %s, tag)', method, class_of(metric, type));
	ANALYZE t;
	EXECUTE format('SELECT v %s %s AS d FROM t ORDER BY d LIMIT 1 OFFSET 60', operator_of(metric), query) INTO radius;
	FOR form IN SELECT * FROM forms f ORDER BY n LOOP
		condition := replace(replace(replace(replace(replace(form.form, '@', substr(operator_of(metric), 2, 1)),
			'{q}', query), '{p}', other), '{r}', format('%L::float8', radius)), '{type}', type);
		result := CASE form.path WHEN 'bitmap' THEN agree('bitmap', 'SELECT id FROM t WHERE ' || condition)
			ELSE agree('index', format('SELECT v %1$s %2$s FROM t WHERE %3$s ORDER BY v %1$s %2$s', operator_of(metric), query, condition), 'Index Cond', true) END;
		RETURN NEXT (form.n, form.form, form.path || ': ' || result)::forms;
	END LOOP;
END
$$;
SET client_min_messages = warning;
SET vkindex.target_recall = 1;
-- the index agrees with the sequential plan, whatever the number of rows
SELECT r.form, regexp_replace(r.path, '[1-9]\d* rows', 'some rows') AS result, count(*) AS of_16
FROM unnest('{vector,halfvec}'::text[]) type, unnest('{vkflat,vkivf}'::text[]) method, unnest('{l2,ip,cosine,l1}'::text[]) metric, ranges(type, method, metric) r
GROUP BY r.n, 1, 2 ORDER BY r.n, 2;
RESET client_min_messages;
RESET vkindex.target_recall;

-- a condition becomes a sphere, and an explicit one is taken as it is
DROP TABLE t;
CREATE TABLE t (id int, v vector(24));
INSERT INTO t SELECT n, vec(n % 12, 24) + vec(n, 24, 0.3) FROM generate_series(1, 800) n;
CREATE INDEX t_idx ON t USING vkivf (v);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]'::vector < 0.5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2]' < 0.5 ORDER BY v <-> '[1,2]' LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <<->> vk_sphere('[1,2]'::vector, 0.5);
PREPARE within(vector, float8) AS SELECT id FROM t WHERE v <-> $1 <= $2;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE within('[1,2]', 0.5);
RESET plan_cache_mode;
-- of another type, it is none of the index's
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <<->> vk_sphere('[1,2]'::f32vec, 0.5);
RESET enable_seqscan;
-- in joins
SET enable_seqscan = off;
SELECT count(*) > 40 AS found, count(*) = (SELECT count(*) FROM t a, t b WHERE a.id <= 40 AND (a.v <-> b.v) + 0 < 1.5) AS same
FROM t a, t b WHERE a.id <= 40 AND a.v <-> b.v < 1.5;
RESET enable_seqscan;

-- errors, not crashes
SELECT count(*) FROM t WHERE v <<->> vk_sphere('[1,2]'::vector, 1);
SELECT count(*) FROM t WHERE v <-> '[1,2]' < 1;
SELECT '[1,2]'::vector <<->> vk_sphere('[1,2,3]'::vector, 1);
CREATE TABLE s AS SELECT vk_sphere('[1,2]'::vector, 1) AS s;
ALTER TYPE vk_sphere_vector ALTER ATTRIBUTE center TYPE text;
DROP TABLE s;
SET enable_seqscan = off;
BEGIN;
ALTER TYPE vk_sphere_vector ALTER ATTRIBUTE center TYPE text;
SELECT '[1,2]'::vector <<->> ROW('[1,2]', 1, false)::vk_sphere_vector;
ROLLBACK;
BEGIN;
ALTER TYPE vk_sphere_vector ALTER ATTRIBUTE center TYPE text;
SELECT vk_sphere('[1,2]'::vector, 1);
ROLLBACK;
BEGIN;
ALTER TYPE vk_sphere_vector ALTER ATTRIBUTE center TYPE text;
SELECT count(*) FROM t WHERE v <<->> ROW('[1,2]', 1, false)::vk_sphere_vector;
ROLLBACK;
BEGIN;
ALTER TYPE vk_sphere_vector ALTER ATTRIBUTE center TYPE text;
SELECT count(*) FROM t WHERE v <<->> (SELECT ROW('[1,2]', 1, false)::vk_sphere_vector);
ROLLBACK;
BEGIN;
ALTER TYPE vk_sphere_vector DROP ATTRIBUTE exact;
SELECT '[1,2]'::vector <<->> ROW('[1,2]', 1)::vk_sphere_vector;
ROLLBACK;
RESET enable_seqscan;
SELECT '[1,2]'::vector <<->> ROW('[1,2]', 2, false)::vk_sphere_vector AS same_call_site, '[0,0]'::vector <<->>= vk_sphere('[3,4]'::vector, 5) AS at_the_edge, '[0,0]'::vector <<->> vk_sphere('[3,4]'::vector, 5) AS not_inside;
SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
