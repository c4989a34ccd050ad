--
-- spheres and the operators on them, without an index
--
\d vk_sphere_f32vec
SELECT vk_sphere('[1,2]'::f32vec, 0.5);
SELECT vk_sphere('[1,2]'::f32vec, 0.5, true);
SELECT vk_sphere(NULL::f32vec, 0.5) IS NULL, vk_sphere('[1,2]'::f32vec, NULL) IS NULL,
	vk_sphere('[1,2]'::f32vec, 0.5, NULL) IS NULL;
SELECT (vk_sphere('[1,2]'::f32vec, 0.5)).*;
SELECT ROW('[1,2]', 0.5, true)::vk_sphere_f32vec = vk_sphere('[1,2]'::f32vec, 0.5, true);

-- below, at and above the radius
SELECT r,
	'[3,4]'::f32vec <<->> vk_sphere('[0,0]'::f32vec, r) AS l2,
	'[3,4]'::f32vec <<->>= vk_sphere('[0,0]'::f32vec, r) AS l2_equal,
	'[1,4]'::f32vec <<+>> vk_sphere('[0,0]'::f32vec, r) AS l1,
	'[1,4]'::f32vec <<+>>= vk_sphere('[0,0]'::f32vec, r) AS l1_equal,
	'[1,4]'::f32vec <<#>> vk_sphere('[-1,-1]'::f32vec, r) AS ip,
	'[1,4]'::f32vec <<#>>= vk_sphere('[-1,-1]'::f32vec, r) AS ip_equal
FROM unnest('{-Infinity,-1,4.999999999999999,5,5.000000000000001,Infinity,NaN}'::float8[]) r;
SELECT r,
	'[0,4]'::f32vec <<=>> vk_sphere('[1,0]'::f32vec, r) AS cosine,
	'[0,4]'::f32vec <<=>>= vk_sphere('[1,0]'::f32vec, r) AS cosine_equal,
	'[0,0]'::f32vec <<=>> vk_sphere('[1,0]'::f32vec, r) AS nan,
	'[0,0]'::f32vec <<=>>= vk_sphere('[1,0]'::f32vec, r) AS nan_equal
FROM unnest('{0,1,2,Infinity,NaN}'::float8[]) r;

-- the same as comparing the distance, bit for bit: radii that are distances
CREATE TABLE sphere_points AS
SELECT i AS id, format('[%s,%s,%s]', hashint4(i) % 7, hashint4(i + 1000) % 7, (hashint4(i + 2000) % 1000) / 7.0)::f32vec(3) AS v
FROM generate_series(1, 30) i;
INSERT INTO sphere_points VALUES (0, '[0,0,0]'), (31, NULL), (32, '[3e38,3e38,3e38]'), (33, '[-3e38,3e38,1e-40]');
SELECT count(*) AS pairs,
	count(*) FILTER (WHERE l2 IS DISTINCT FROM l2_sphere) AS l2,
	count(*) FILTER (WHERE l2e IS DISTINCT FROM l2e_sphere) AS l2_equal,
	count(*) FILTER (WHERE ip IS DISTINCT FROM ip_sphere) AS ip,
	count(*) FILTER (WHERE ipe IS DISTINCT FROM ipe_sphere) AS ip_equal,
	count(*) FILTER (WHERE co IS DISTINCT FROM co_sphere) AS cosine,
	count(*) FILTER (WHERE coe IS DISTINCT FROM coe_sphere) AS cosine_equal,
	count(*) FILTER (WHERE l1 IS DISTINCT FROM l1_sphere) AS l1,
	count(*) FILTER (WHERE l1e IS DISTINCT FROM l1e_sphere) AS l1_equal,
	count(*) FILTER (WHERE l2) > 0 AND count(*) FILTER (WHERE l2e AND NOT l2) > 0 AS some
FROM (SELECT
		a.v <-> b.v < (c.v <-> b.v) AS l2, a.v <<->> vk_sphere(b.v, c.v <-> b.v) AS l2_sphere,
		a.v <-> b.v <= (c.v <-> b.v) AS l2e, a.v <<->>= vk_sphere(b.v, c.v <-> b.v) AS l2e_sphere,
		a.v <#> b.v < (c.v <#> b.v) AS ip, a.v <<#>> vk_sphere(b.v, c.v <#> b.v) AS ip_sphere,
		a.v <#> b.v <= (c.v <#> b.v) AS ipe, a.v <<#>>= vk_sphere(b.v, c.v <#> b.v) AS ipe_sphere,
		a.v <=> b.v < (c.v <=> b.v) AS co, a.v <<=>> vk_sphere(b.v, c.v <=> b.v) AS co_sphere,
		a.v <=> b.v <= (c.v <=> b.v) AS coe, a.v <<=>>= vk_sphere(b.v, c.v <=> b.v) AS coe_sphere,
		a.v <+> b.v < (c.v <+> b.v) AS l1, a.v <<+>> vk_sphere(b.v, c.v <+> b.v) AS l1_sphere,
		a.v <+> b.v <= (c.v <+> b.v) AS l1e, a.v <<+>>= vk_sphere(b.v, c.v <+> b.v) AS l1e_sphere
	FROM sphere_points a, sphere_points b, sphere_points c) s;

-- "exact" changes no answer
SELECT count(*) FROM sphere_points WHERE v <<->> vk_sphere('[0,0,0]'::f32vec, 50);
SELECT count(*) FROM sphere_points WHERE v <<->> vk_sphere('[0,0,0]'::f32vec, 50, true);

-- spheres without a field, and none
SELECT '[1,2]'::f32vec <<->> ROW(NULL, 1, false)::vk_sphere_f32vec AS center,
	'[1,2]'::f32vec <<->> ROW('[1,2]', NULL, false)::vk_sphere_f32vec AS radius,
	'[1,2]'::f32vec <<->> ROW('[1,2]', 1, NULL)::vk_sphere_f32vec AS exact,
	'[1,2]'::f32vec <<->> NULL::vk_sphere_f32vec AS sphere,
	NULL::f32vec <<->> vk_sphere('[1,2]'::f32vec, 1) AS vector;

-- spheres that are stored, their centers too long for a row
CREATE TABLE spheres (s vk_sphere_f32vec);
INSERT INTO spheres SELECT vk_sphere(array_fill(i, ARRAY[3000])::real[]::f32vec, 100) FROM generate_series(1, 3) i;
CREATE TABLE long_vectors (id int, v f32vec(3000));
INSERT INTO long_vectors SELECT i, array_fill(i, ARRAY[3000])::real[]::f32vec FROM generate_series(1, 5) i;
SELECT id, (s).radius, v <-> (s).center AS d FROM long_vectors, spheres WHERE v <<->> s ORDER BY id, d;
SELECT a.id, b.id FROM long_vectors a JOIN long_vectors b ON a.v <<->>= vk_sphere(b.v, sqrt(3000)) ORDER BY 1, 2;

-- not comparable
SELECT '[1,2]'::f32vec <<->> vk_sphere('[1,2,3]'::f32vec, 1);
SELECT '[1,2]'::f32vec <<=>>= vk_sphere('[1,2,3]'::f32vec, 1);

-- a partial index may name one
CREATE INDEX sphere_points_near ON sphere_points (id) WHERE v <<->> vk_sphere('[0,0,0]'::f32vec, 50);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM sphere_points WHERE v <<->> vk_sphere('[0,0,0]'::f32vec, 50) AND id = 3;
RESET enable_seqscan;

-- their estimator, of operators that are not theirs: an assumed share, whatever the arguments are
BEGIN;
CREATE TABLE assumed (a int8, v f32vec(3));
INSERT INTO assumed SELECT i, '[1,2,3]' FROM generate_series(1, 2000) i;
ANALYZE assumed;
CREATE FUNCTION planned_rows(condition text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) SELECT FROM assumed WHERE ' || condition INTO plan;
	RETURN plan->0->'Plan'->'Plan Rows';
END
$$;
CREATE TYPE other_row AS (a int, b int);
CREATE TYPE radius_first AS (radius float8, center f32vec, exact boolean);
CREATE FUNCTION is_odd(int8) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN $1 % 2 = 1; END';
CREATE FUNCTION beside(int8, other_row) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE FUNCTION beside(f32vec, radius_first) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE FUNCTION beside(int8, record) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE OPERATOR ### (LEFTARG = int8, RIGHTARG = int8, PROCEDURE = int8lt, RESTRICT = vk_sphere_sel);
CREATE OPERATOR ### (RIGHTARG = int8, PROCEDURE = is_odd, RESTRICT = vk_sphere_sel);
CREATE OPERATOR ### (LEFTARG = int8, RIGHTARG = other_row, PROCEDURE = beside, RESTRICT = vk_sphere_sel);
CREATE OPERATOR ### (LEFTARG = f32vec, RIGHTARG = radius_first, PROCEDURE = beside, RESTRICT = vk_sphere_sel);
CREATE OPERATOR ### (LEFTARG = int8, RIGHTARG = record, PROCEDURE = beside, RESTRICT = vk_sphere_sel);
SELECT condition, planned_rows(condition) FROM unnest(ARRAY['a ### 1234567::int8', '### a', '### 7::int8 AND a > 0', 'a ### ROW(1, 2)::other_row',
	$$v ### ROW(1, '[1,2,3]', true)::radius_first$$, 'a ### ROW(1, 2)', $$v <<->> vk_sphere('[1,2,3]'::f32vec, 1)$$]) condition;
ROLLBACK;

-- a type of spheres that its owner altered is one no more
BEGIN;
ALTER TYPE vk_sphere_f32vec ADD ATTRIBUTE note text;
SAVEPOINT altered;
SELECT vk_sphere('[1,2]'::f32vec, 3);
ROLLBACK TO altered;
SELECT '[1,2]'::f32vec <<->> ROW('[1,2]', 3, false, 'note')::vk_sphere_f32vec;
ROLLBACK TO altered;
ALTER TYPE vk_sphere_f32vec DROP ATTRIBUTE note;
SELECT vk_sphere('[1,2]'::f32vec, 3);
ROLLBACK;

-- members of the classes
SELECT amname, opfname, amopstrategy, amoppurpose, amopopr::regoperator
FROM pg_amop JOIN pg_opfamily f ON f.oid = amopfamily JOIN pg_am a ON a.oid = amopmethod
WHERE amoprighttype = 'vk_sphere_f32vec'::regtype
ORDER BY 1, 2, 3;

DROP TABLE sphere_points, spheres, long_vectors;
