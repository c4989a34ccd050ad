--
-- what the extension brings, and that pgvector is used as before beside it
--
CREATE SCHEMA vk_test;
SET search_path = vk_test, public;
-- classes, named as pgvector's; defaults too
SELECT opcname, format_type(opcintype, NULL) AS type, string_agg(amname || CASE WHEN opcdefault THEN ' (default)' ELSE '' END, ', ' ORDER BY amname) AS methods,
	bool_and(amvalidate(c.oid)) AS valid
FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod JOIN pg_depend d ON d.classid = 'pg_opclass'::regclass AND d.objid = c.oid AND d.deptype = 'e'
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'vkindex_pgvector')
GROUP BY 1, 2 ORDER BY 2, 1;
-- each of pgvector's own is there, under both methods, save for sparsevec's
SELECT opcname, count(*) FROM (
	SELECT DISTINCT c.opcname, b.amname FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod AND a.amname IN ('ivfflat', 'hnsw'), (VALUES ('vkflat'), ('vkivf')) b(amname)
	EXCEPT SELECT opcname, amname FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod) s
GROUP BY 1 ORDER BY 1;
-- casts: only one is implicit, and those of the same layout cost nothing
SELECT castsource::regtype, casttarget::regtype, castcontext, castmethod FROM pg_cast c JOIN pg_depend d ON d.classid = 'pg_cast'::regclass AND d.objid = c.oid AND d.deptype = 'e'
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'vkindex_pgvector')
ORDER BY castmethod, castsource::regtype::text, casttarget::regtype::text;
SELECT '[1,2.5]'::vector::f32vec, '[1,2.5]'::f32vec::vector, '[1,2.5]'::halfvec::f16vec, '[1,2.5]'::f16vec::halfvec;
SELECT '[1,2.5]'::vector::f16vec, '[1,2.5]'::vector::bf16vec, '[1,2.5]'::vector::i8vec, '[1,2.5]'::halfvec::f32vec, '[1,2.5]'::halfvec::bf16vec, '[1,3.5]'::halfvec::i8vec;
SELECT '[1,2.5]'::f16vec::vector, '[1,2.5]'::bf16vec::vector, '[1,2]'::i8vec::vector, '[1,2.5]'::f32vec::halfvec, '[1,2.5]'::bf16vec::halfvec, '[1,2]'::i8vec::halfvec;
SELECT '[1,70000]'::vector::f16vec;
SELECT '[1,128]'::vector::i8vec;
SELECT '[1,2,3]'::f32vec::vector(2);
CREATE TABLE c (a vector(2), b halfvec(2), c f32vec(2), d f16vec(2), e i8vec(2));
INSERT INTO c (a, b, c, d, e) SELECT c, d, a, b, a FROM (SELECT '[1,2]'::vector a, '[3,4]'::halfvec b, '[5,6]'::f32vec c, '[7,8]'::f16vec d) s;
TABLE c;
INSERT INTO c (a) VALUES ('[1,2,3]'::f32vec);
INSERT INTO c (c) VALUES ('[1,2,3]'::vector);
-- a table's columns become ours, and back, without being written anew
CREATE TABLE moved (id int, v vector(3), h halfvec(3));
INSERT INTO moved VALUES (1, '[1,2,3]', '[4,5,6]'), (2, NULL, NULL);
SELECT pg_relation_filenode('moved') AS node \gset
ALTER TABLE moved ALTER v TYPE f32vec, ALTER h TYPE f16vec;
SELECT *, pg_relation_filenode('moved') = :node AS as_it_was FROM moved;
ALTER TABLE moved ALTER v TYPE vector, ALTER h TYPE halfvec;
SELECT *, pg_relation_filenode('moved') = :node AS as_it_was FROM moved;

-- pgvector's users call its operators and functions as ever, and reach its own
CREATE FUNCTION meaning(expression text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	type text;
BEGIN
	EXECUTE format('SELECT pg_typeof(%s) FROM t', expression) INTO type;
	RETURN type;
EXCEPTION WHEN others THEN
	RETURN SQLERRM;
END
$$;
CREATE TABLE t (v vector(3), h halfvec(3), s sparsevec(3), b bit(3), f f32vec(3));
INSERT INTO t VALUES ('[1,2,3]', '[1,2,3]', '{1:1}/3', '101', '[1,2,3]');
SELECT expression, meaning(expression) FROM unnest(ARRAY[
	'v + v', 'v - ''[1,2,3]''', 'v * v', 'v || v', 'v || ''[1]''', 'h + h', 'h || ''[1]''',
	'v = ''[1,2,3]''', 'v < v', 'v::real[]', 'v::float8[]', 'ARRAY[1,2]::vector', 'avg(v)', 'sum(v)', 'avg(h)', 'sum(h)', 'max(v)',
	'l2_normalize(v)', 'subvector(v, 1, 2)', 'binary_quantize(v)', 'vector_dims(v)', 'vector_norm(v)', 'l2_norm(h)',
	'vector_norm(''[3,4]'')', 'v::halfvec', 'h::vector', 'v::sparsevec', 'coalesce(v, h)', 'coalesce(v, f)', 'ARRAY[v, ''[1,2]'']',
	'v IN (''[1,2,3]'', ''[1,2]'')', 'v = ANY (ARRAY[''[1,2,3]'']::vector[])', 'h <-> v', 's <-> v', 'f <-> v', 'v <-> f', 'f + v'
]) WITH ORDINALITY e(expression, n) ORDER BY n;
-- which operators are in a plan: those of the column's type
CREATE FUNCTION operators_of(query text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE 'CREATE VIEW w AS ' || query;
	SELECT string_agg(DISTINCT format('%s(%s, %s)', oprname, oprleft::regtype, oprright::regtype), ' ') INTO result
	FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND d.refobjid = o.oid
	WHERE r.ev_class = 'w'::regclass;
	DROP VIEW w;
	RETURN result;
EXCEPTION WHEN others THEN
	RETURN SQLERRM;
END
$$;
SELECT query, operators_of('SELECT 1 AS x FROM t WHERE (' || query || ') IS NOT NULL') FROM unnest(ARRAY[
	'v <-> ''[1,2,3]''', '''[1,2,3]'' <-> v', 'v <#> ''[1,2,3]''', 'v <=> ''[1,2,3]''', 'v <+> ''[1,2,3]''', 'h <-> ''[1,2,3]''', 'h <=> v', 'v <-> h',
	's <-> ''{1:1}/3''', 'b <~> ''101''', 'b <%> ''101''', '''101'' <~> ''110''', 'v <-> f', 'f <-> v', 'f <-> ''[1,2,3]''', 'v <-> ARRAY[1,2,3]', 'v = ''[1,2,3]''', 'v = f']) query;
-- parameters without a type are pgvector's too
PREPARE by_vector AS SELECT v <-> $1, $2 <=> v, v + $3 FROM t;
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'by_vector';
PREPARE by_halfvec AS SELECT h <-> $1, h = $2 FROM t;
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'by_halfvec';
-- sorting, grouping, joining, unique: pgvector's class for btree
SELECT v FROM (VALUES ('[2]'::vector), ('[1]'), ('[2]')) s(v) GROUP BY v ORDER BY v DESC;
SELECT count(*) FROM t a JOIN t b ON a.v = b.v;
CREATE UNIQUE INDEX ON t (v);
INSERT INTO t (v) VALUES ('[1,2,3]');

-- VectorChord's types and operators in the same schema
CREATE TYPE sphere_vector AS (center vector, radius real);
CREATE FUNCTION sphere(vector, real) RETURNS sphere_vector LANGUAGE sql IMMUTABLE AS 'SELECT ROW($1, $2)::sphere_vector';
CREATE FUNCTION in_sphere(vector, sphere_vector) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 <-> ($2).center < ($2).radius';
CREATE OPERATOR public.<<->> (LEFTARG = vector, RIGHTARG = sphere_vector, PROCEDURE = in_sphere);
SELECT v <<->> sphere('[1,2,3]', 1) AS theirs, v <<->> sphere('[1,2,3]', 1)::sphere_vector AS theirs_too, v <<->> vk_sphere('[1,2,3]'::vector, 1) AS ours,
	v <<->> ROW('[1,2,3]', 1)::sphere_vector AS their_row, v <<->> ROW('[1,2,3]', 1, false)::vk_sphere_vector AS our_row FROM t;
DROP OPERATOR public.<<->> (vector, sphere_vector);

-- a literal center that nothing gives a type is ours, as without pgvector
SELECT pg_typeof(vk_sphere('[1,2]', 3)), pg_typeof(vk_sphere('[1,2]'::vector, 3)), pg_typeof(vk_sphere('[1,2]'::halfvec, 3)), pg_typeof(vk_bit_sphere('10', 3));

-- an operator of the same name elsewhere is not what a sphere asks
CREATE FUNCTION liar(vector, vector) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT 0::float8';
CREATE OPERATOR vk_test.<-> (LEFTARG = vector, RIGHTARG = vector, PROCEDURE = liar);
SELECT '[1]'::vector <-> '[5]' AS lie, '[1]'::vector <<->> vk_sphere('[5]'::vector, 1) AS within;

-- sparsevec has no class
CREATE INDEX ON t USING vkflat (s);
CREATE INDEX ON t USING vkivf (s sparsevec_l2_ops);
-- nor has another type one of these
CREATE INDEX ON t USING vkflat (f vector_l2_ops);
CREATE INDEX ON t USING vkflat (v halfvec_l2_ops);
SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
