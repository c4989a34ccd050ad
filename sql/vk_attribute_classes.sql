--
-- operator classes of attribute columns, and which classes are wrong
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
-- every class of the methods
CREATE VIEW classes AS
SELECT c.oid, amname, opcname, opfname, opcfamily, opcintype::regtype, opcdefault
FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod JOIN pg_opfamily f ON f.oid = opcfamily
WHERE amname IN ('vkflat', 'vkivf');
SELECT opcname, opfname, opcintype, opcdefault, string_agg(amname, ', ' ORDER BY amname) AS methods, bool_and(amvalidate(oid)) AS valid
FROM classes WHERE opcname !~ 'vec_' GROUP BY 1, 2, 3, 4 ORDER BY opfname, opcname;
SELECT opcname, amname FROM classes WHERE NOT amvalidate(oid)
	OR obj_description(oid, 'pg_opclass') IS NULL OR obj_description(opcfamily, 'pg_opfamily') IS NULL;

-- their operators, by strategy
CREATE VIEW members AS
SELECT amname, opfname, amopstrategy AS strategy, amoplefttype::regtype AS left_type, amoprighttype::regtype AS right_type,
	amopopr AS operator, amoppurpose AS purpose
FROM pg_amop o JOIN pg_opfamily f ON f.oid = amopfamily JOIN pg_am a ON a.oid = amopmethod;
SELECT opfname, left_type, right_type, string_agg(strategy || ' ' || oprname, ', ' ORDER BY strategy) AS operators
FROM members JOIN pg_operator o ON o.oid = operator
WHERE amname = 'vkflat' AND opfname !~ 'vec_' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
-- the same in both methods
SELECT count(*) FROM (
	(SELECT opfname, strategy, operator FROM members WHERE amname = 'vkflat' AND opfname !~ 'vec_')
	EXCEPT ALL (SELECT opfname, strategy, operator FROM members WHERE amname = 'vkivf')) s;
-- and those of btree, as far as they do not depend on settings; <> are their negators
SELECT DISTINCT opfname, left_type, right_type, strategy FROM members m JOIN pg_operator o ON o.oid = operator
	JOIN pg_proc p ON p.oid = oprcode
WHERE amname = 'vkflat' AND opfname !~ 'vec_' AND (provolatile <> 'i' OR NOT proisstrict
	OR NOT EXISTS (SELECT FROM members b WHERE b.amname = 'btree' AND purpose = 's'
		AND CASE WHEN m.strategy = 6 THEN b.operator = oprnegate AND b.strategy = 3 ELSE b.operator = m.operator AND b.strategy = m.strategy END));
SELECT DISTINCT b.opfname, b.left_type, b.right_type, provolatile FROM members b JOIN pg_operator o ON o.oid = b.operator
	JOIN pg_proc p ON p.oid = oprcode
WHERE b.amname = 'btree' AND purpose = 's'
	AND EXISTS (SELECT FROM members m WHERE m.amname = 'vkflat' AND m.left_type = b.left_type AND m.strategy = b.strategy)
	AND EXISTS (SELECT FROM members m WHERE m.amname = 'vkflat' AND m.left_type = b.right_type AND m.strategy = b.strategy)
	AND NOT EXISTS (SELECT FROM members m WHERE m.amname = 'vkflat' AND m.operator = b.operator)
	AND b.opfname NOT LIKE '%pattern%' AND b.opfname !~ 'vec_'
ORDER BY 2, 3;

-- an index on each type; of domains and what is as good as a type
CREATE TYPE mood AS ENUM ('sad', 'fine', 'glad');
CREATE DOMAIN small AS int CHECK (VALUE < 1000);
CREATE DOMAIN smaller AS small;
CREATE TABLE t (v f32vec(2), b boolean, c "char", s int2, i int4, l int8, r float4, d float8, da date, ti time, ts timestamp,
	tz timestamptz, u uuid, o oid, e mood, x text, vc varchar(9), bp character(3), n numeric, by bytea, sm small, smr smaller,
	rc regclass);
INSERT INTO t SELECT vec(g, 2), g = 1, 'x', g, g, g, g, g, '2000-01-01', '12:00', '2000-01-01', '2000-01-01', md5(g::text)::uuid,
	g, 'fine', g, g, g, g, 'y', g, g, 'pg_class' FROM generate_series(1, 40) g;
INSERT INTO t (v) SELECT vec(g, 2) FROM generate_series(41, 50) g;
INSERT INTO t (v, x) VALUES ('[1,2]', repeat('long', 100000)), (NULL, repeat('long', 100000));
DO $$
DECLARE
	col name;
BEGIN
	FOR col IN SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 1 LOOP
		EXECUTE format('CREATE INDEX ON t USING vkflat (v, %1$I); CREATE INDEX ON t USING vkivf (v, %1$I)', col);
	END LOOP;
END
$$;
INSERT INTO t SELECT * FROM t;
SELECT attname, atttypid::regtype AS type, string_agg(opcname, ', ' ORDER BY i.indexrelid) AS classes, bool_and(sound(i.indexrelid)) AS sound
FROM pg_index i JOIN pg_opclass o ON o.oid = indclass[1] JOIN pg_attribute a ON attrelid = indrelid AND attnum = indkey[1]
WHERE indrelid = 't'::regclass GROUP BY attnum, attname, atttypid ORDER BY attnum;
DROP TABLE t;

-- what an attribute column cannot be
CREATE TABLE t (v f32vec(2), w f32vec(2), i int, j jsonb, a int[], m money, q interval, z timetz);
CREATE INDEX ON t USING vkflat (v, w);
\echo :SQLSTATE
CREATE INDEX ON t USING vkflat (v, j);
\echo :SQLSTATE
CREATE INDEX ON t USING vkivf (v, a);
CREATE INDEX ON t USING vkivf (v, m);
CREATE INDEX ON t USING vkivf (v, q);
CREATE INDEX ON t USING vkivf (v, z);
CREATE INDEX ON t USING vkivf (i, v);
CREATE INDEX ON t USING vkivf (v, i int8_ops);
CREATE INDEX ON t USING vkivf (v, i int4_ops DESC);
CREATE INDEX ON t USING vkivf (v, i) INCLUDE (i);
CREATE INDEX ON t USING vkflat (v, i, i, i, i, i, i, i, i, i, i, i, i, i);
\echo :SQLSTATE

-- wrong classes of attribute columns
SET client_min_messages = warning;
CREATE OPERATOR CLASS few_ops FOR TYPE int4 USING vkivf AS OPERATOR 1 <, OPERATOR 3 =;
CREATE OPERATOR CLASS hash_ops FOR TYPE text USING vkivf AS OPERATOR 3 =, OPERATOR 1 <;
CREATE OPERATOR CLASS name_ops FOR TYPE text USING vkivf AS OPERATOR 3 =, OPERATOR 3 = (text, name);
CREATE OPERATOR CLASS zone_ops FOR TYPE timestamptz USING vkivf AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =,
	OPERATOR 4 >=, OPERATOR 5 >, OPERATOR 6 <>, OPERATOR 3 = (timestamptz, timestamp);
CREATE OPERATOR CLASS function_ops FOR TYPE uuid USING vkivf AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =,
	OPERATOR 4 >=, OPERATOR 5 >, OPERATOR 6 <>, FUNCTION 1 uuid_hash(uuid), FUNCTION 2 uuid_cmp(uuid, uuid);
CREATE OPERATOR CLASS order_ops FOR TYPE oid USING vkivf AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =,
	OPERATOR 4 >= FOR ORDER BY bool_ops, OPERATOR 5 >, OPERATOR 6 <>;
CREATE OPERATOR CLASS stored_ops FOR TYPE bytea USING vkivf AS OPERATOR 3 =, STORAGE text;
CREATE OPERATOR CLASS interval_ops FOR TYPE interval USING vkivf AS OPERATOR 1 <, OPERATOR 3 =;
-- and of vectors
CREATE TYPE ball AS (center f32vec, radius float8);
CREATE FUNCTION ball(f32vec, float8, boolean) RETURNS ball LANGUAGE sql IMMUTABLE AS 'SELECT $1, $2';
CREATE FUNCTION short_ball(f32vec, float8) RETURNS ball LANGUAGE sql IMMUTABLE AS 'SELECT $1, $2';
CREATE FUNCTION within(f32vec, ball) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 <-> ($2).center < ($2).radius';
CREATE FUNCTION within(f32vec, float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 <-> $1 < $2';
CREATE OPERATOR <<< (FUNCTION = within, LEFTARG = f32vec, RIGHTARG = ball);
CREATE OPERATOR <<< (FUNCTION = within, LEFTARG = f32vec, RIGHTARG = float8);
CREATE OPERATOR CLASS ball_ops FOR TYPE f32vec USING vkivf AS OPERATOR 1 <-> FOR ORDER BY float_ops,
	OPERATOR 2 <<< (f32vec, ball), FUNCTION 1 f32vec_l2_support(internal), FUNCTION 2 ball(f32vec, float8, boolean);
CREATE OPERATOR CLASS no_ball_ops FOR TYPE f32vec USING vkivf AS OPERATOR 1 <-> FOR ORDER BY float_ops,
	OPERATOR 3 <<< (f32vec, ball), FUNCTION 1 f32vec_l2_support(internal);
CREATE OPERATOR CLASS short_ball_ops FOR TYPE f32vec USING vkivf AS OPERATOR 1 <-> FOR ORDER BY float_ops,
	FUNCTION 1 f32vec_l2_support(internal), FUNCTION 2 short_ball(f32vec, float8);
CREATE OPERATOR CLASS other_ball_ops FOR TYPE f32vec USING vkivf AS OPERATOR 1 <-> FOR ORDER BY float_ops,
	OPERATOR 2 <<< (f32vec, ball), OPERATOR 3 <<< (f32vec, float8),
	FUNCTION 1 f32vec_l2_support(internal), FUNCTION 2 ball(f32vec, float8, boolean);
CREATE OPERATOR CLASS swapped_ops FOR TYPE f32vec USING vkivf AS OPERATOR 2 <-> FOR ORDER BY float_ops,
	OPERATOR 1 <<< (f32vec, ball), OPERATOR 4 =, FUNCTION 1 f32vec_l2_support(internal), FUNCTION 2 ball(f32vec, float8, boolean);
RESET client_min_messages;
DO $$
DECLARE
	class record;
BEGIN
	FOR class IN SELECT * FROM pg_opclass WHERE opcnamespace = 'vk_test'::regnamespace ORDER BY oid LOOP
		RAISE INFO '% is %', class.opcname, CASE WHEN amvalidate(class.oid) THEN 'right' ELSE 'wrong' END;
	END LOOP;
END
$$;
CREATE INDEX ON t USING vkivf (v, q interval_ops);
\echo :SQLSTATE

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
