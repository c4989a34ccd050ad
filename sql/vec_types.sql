--
-- the vector types beside each other: casts, overloads, one set of objects
--
CREATE TEMPORARY TABLE types (type text);
INSERT INTO types VALUES ('f32vec'), ('f16vec'), ('bf16vec'), ('i8vec');

-- casts, all of them in an assignment, none elsewhere
SELECT a.type AS source, b.type AS target, castcontext, obj_description(c.oid, 'pg_cast')
FROM types a, types b, pg_cast c
WHERE castsource = a.type::regtype AND casttarget = b.type::regtype AND a.type <> b.type ORDER BY 1, 2;
SELECT a.type AS source, b.type AS target, castcontext, obj_description(c.oid, 'pg_cast')
FROM types a, unnest('{integer[],real[],double precision[],numeric[]}'::text[]) b (type), pg_cast c
WHERE castsource = a.type::regtype AND casttarget = b.type::regtype ORDER BY 1, 2;
SELECT a.type AS source, b.type AS target, castcontext, obj_description(c.oid, 'pg_cast')
FROM unnest('{integer[],real[],double precision[],numeric[]}'::text[]) a (type), types b, pg_cast c
WHERE castsource = a.type::regtype AND casttarget = b.type::regtype ORDER BY 1, 2;
SELECT '[1,-2.5,0.1,0.3,-100.5]'::f32vec AS f32, '[1,-2.5,0.1,0.3,-100.5]'::f32vec::f16vec AS f16,
	'[1,-2.5,0.1,0.3,-100.5]'::f32vec::bf16vec AS bf16, '[1,-2.5,0.1,0.3,-100.5]'::f32vec::i8vec AS i8;
SELECT '[0.1,70.25]'::f16vec::f32vec, '[0.1,70.25]'::f16vec::bf16vec, '[0.1,70.25]'::f16vec::i8vec,
	'[0.1,70.25]'::bf16vec::f32vec, '[0.1,70.25]'::bf16vec::f16vec, '[0.1,70.25]'::bf16vec::i8vec,
	'[-128,127]'::i8vec::f32vec, '[-128,127]'::i8vec::f16vec, '[-128,127]'::i8vec::bf16vec;
SELECT '[65520]'::f32vec::f16vec;
SELECT '[1e-10,3.4e38]'::f32vec::bf16vec;
SELECT '[1,70000]'::bf16vec::f16vec;
SELECT '[1,2]'::f32vec::f16vec(3);
SELECT '[1,2]'::i8vec::f32vec(3);
CREATE TABLE assigned (a f32vec(2), b f16vec(2), c bf16vec(2), d i8vec(2));
INSERT INTO assigned SELECT v, v, v, v FROM (SELECT '[1,2]'::f32vec) s (v);
INSERT INTO assigned SELECT d, d, d, d FROM assigned;
INSERT INTO assigned SELECT b, c, d, a FROM assigned;
INSERT INTO assigned (b) VALUES ('[1,2,3]'::f32vec);
SELECT DISTINCT * FROM assigned;
SELECT count(*) FROM assigned WHERE a = b;
DROP TABLE assigned;
SELECT '[1,2]'::f32vec <-> '[1,2]'::f16vec;
-- every length of the loops, there and back
SELECT count(*) FROM generate_series(1, 600, 7) dim,
	LATERAL (SELECT array_agg(n * 37 % 255 - 127 ORDER BY n)::i8vec v FROM generate_series(1, dim) n) s
WHERE v::f32vec::i8vec = v AND v::f16vec::bf16vec::i8vec = v AND v::bf16vec::f16vec::f32vec::real[] = v::real[];

-- a literal without a type is taken for an f32vec, where nothing else tells
SELECT pg_typeof(l2_normalize('[3,4]')), pg_typeof(subvector('[3,4]', 1, 1)), vector_norm('[3,4]'), l2_distance('[1,2]', '[4,6]'),
	pg_typeof(vk_sphere('[1,2]', 3)), pg_typeof('[1,2]'::f16vec + '[3,4]'), vector_dims('[1,2,3]');

-- one set of objects, with the same names, options and comments but for the type's
-- own: how many each type has, and what is not as that of f16vec
CREATE FUNCTION pg_temp.same_for_all(query text) RETURNS TABLE (type text, objects bigint, others text)
LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format(
		'WITH o AS (SELECT t.type, replace(d, t.type, ''<type>'') AS d FROM types t, LATERAL (%s) s (d))
		 SELECT o.type, count(*), string_agg(o.d, E''\n'' ORDER BY o.d) FILTER (WHERE NOT EXISTS (SELECT FROM o f WHERE f.type = ''f16vec'' AND f.d = o.d))
		 FROM o GROUP BY o.type ORDER BY o.type', query);
END
$$;
SELECT * FROM pg_temp.same_for_all($$
	SELECT concat_ws(' ', p.oid::regprocedure, 'returns', prorettype::regtype, prokind, provolatile, proparallel, proisstrict, procost, prosupport, obj_description(p.oid, 'pg_proc'))
	FROM pg_proc p WHERE (p.proname ~ ('^' || type || '_') OR type::regtype = ANY (proargtypes)) AND p.proname !~ '_to_'
	AND p.oid IN (SELECT objid FROM pg_depend WHERE deptype = 'e') $$);
SELECT * FROM pg_temp.same_for_all($$
	SELECT concat_ws(' ', oid::regoperator, oprcode, oprcom::regoperator, oprnegate::regoperator, oprrest, oprjoin, oprcanmerge, obj_description(oid, 'pg_operator'))
	FROM pg_operator WHERE oprleft = type::regtype $$);
SELECT * FROM pg_temp.same_for_all($$
	SELECT concat_ws(' ', amname, opcname, opfname, opcdefault, obj_description(c.oid, 'pg_opclass'), obj_description(f.oid, 'pg_opfamily'),
		(SELECT string_agg(concat_ws(' ', amopstrategy, amoppurpose, amopopr::regoperator), ',' ORDER BY amopstrategy) FROM pg_amop WHERE amopfamily = f.oid),
		(SELECT string_agg(concat_ws(' ', amprocnum, amproc), ',' ORDER BY amprocnum) FROM pg_amproc WHERE amprocfamily = f.oid))
	FROM pg_opclass c JOIN pg_opfamily f ON f.oid = opcfamily JOIN pg_am a ON a.oid = opcmethod WHERE opcintype = type::regtype $$);
SELECT t.type, obj_description(t.type::regtype, 'pg_type'), typstorage, typalign, typispreferred, typmodin, typreceive
FROM types t JOIN pg_type p ON p.oid = t.type::regtype;
DROP TABLE types;
