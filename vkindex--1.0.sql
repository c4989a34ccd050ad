-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION vkindex" to load this file. \quit

-- access methods

CREATE FUNCTION vkflat_handler(internal) RETURNS index_am_handler
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT;

COMMENT ON FUNCTION vkflat_handler(internal) IS 'vkflat index access method handler';

CREATE FUNCTION vkivf_handler(internal) RETURNS index_am_handler
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT;

COMMENT ON FUNCTION vkivf_handler(internal) IS 'vkivf index access method handler';

CREATE ACCESS METHOD vkflat TYPE INDEX HANDLER vkflat_handler;

COMMENT ON ACCESS METHOD vkflat IS 'exact nearest neighbors by scanning compact codes';

CREATE ACCESS METHOD vkivf TYPE INDEX HANDLER vkivf_handler;

COMMENT ON ACCESS METHOD vkivf IS 'nearest neighbors at a declared recall by inverted lists';

-- selectivity of spheres

CREATE FUNCTION vk_sphere_sel(internal, oid, internal, integer) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION vk_sphere_sel(internal, oid, internal, integer) IS 'restriction selectivity of sphere operators';

CREATE FUNCTION vk_sphere_joinsel(internal, oid, internal, smallint, internal) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION vk_sphere_joinsel(internal, oid, internal, smallint, internal) IS 'join selectivity of sphere operators';

-- vector types
--
-- Each type has the same objects, which four definitions make: once for a type,
-- for a type and a metric, for two types, for a type and an array type.  In a
-- definition <name> stands for the column of that name in the rows below it.
--
-- COST 10 marks work on every element: about ten times an integer comparison.

DO $$
DECLARE
	type_definition CONSTANT text := $definition$

CREATE TYPE <type>;

CREATE FUNCTION <type>_in(cstring, oid, integer) RETURNS <type>
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION <type>_in(cstring, oid, integer) IS 'I/O';

CREATE FUNCTION <type>_out(<type>) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION <type>_out(<type>) IS 'I/O';

CREATE FUNCTION <type>_typmod_in(cstring[]) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION <type>_typmod_in(cstring[]) IS 'I/O typmod';

CREATE FUNCTION <type>_recv(internal, oid, integer) RETURNS <type>
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION <type>_recv(internal, oid, integer) IS 'I/O';

CREATE FUNCTION <type>_send(<type>) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION <type>_send(<type>) IS 'I/O';

CREATE TYPE <type> (
	INPUT     = <type>_in,
	OUTPUT    = <type>_out,
	TYPMOD_IN = <type>_typmod_in,
	RECEIVE   = <type>_recv,
	SEND      = <type>_send,
	PREFERRED = <preferred>,
	STORAGE   = external
);
COMMENT ON TYPE <type> IS '<comment>';

-- functions

CREATE FUNCTION <type>_distance_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION <type>_distance_support(internal) IS 'planner support of distance functions';

CREATE FUNCTION l2_distance(<type>, <type>) RETURNS double precision
	AS 'MODULE_PATHNAME', '<type>_l2_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT <type>_distance_support;
COMMENT ON FUNCTION l2_distance(<type>, <type>) IS 'Euclidean distance';

CREATE FUNCTION inner_product(<type>, <type>) RETURNS double precision
	AS 'MODULE_PATHNAME', '<type>_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT <type>_distance_support;
COMMENT ON FUNCTION inner_product(<type>, <type>) IS 'inner product';

CREATE FUNCTION cosine_distance(<type>, <type>) RETURNS double precision
	AS 'MODULE_PATHNAME', '<type>_cosine_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT <type>_distance_support;
COMMENT ON FUNCTION cosine_distance(<type>, <type>) IS 'cosine distance';

CREATE FUNCTION l1_distance(<type>, <type>) RETURNS double precision
	AS 'MODULE_PATHNAME', '<type>_l1_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT <type>_distance_support;
COMMENT ON FUNCTION l1_distance(<type>, <type>) IS 'taxicab distance';

CREATE FUNCTION vk_maxsim(document <type>[], query <type>[]) RETURNS double precision
	AS 'MODULE_PATHNAME', '<type>_maxsim' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION vk_maxsim(<type>[], <type>[]) IS 'MaxSim: for each vector of the query the greatest inner product with one of the document, summed';

CREATE FUNCTION <type>_maxsim_distance(<type>[], <type>[]) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION <type>_maxsim_distance(<type>[], <type>[]) IS 'implementation of @# operator';

CREATE OPERATOR @# (
	LEFTARG = <type>[], RIGHTARG = <type>[], PROCEDURE = <type>_maxsim_distance
);
COMMENT ON OPERATOR @# (<type>[], <type>[]) IS 'negative MaxSim of document and query';

CREATE FUNCTION vector_dims(<type>) RETURNS integer
	AS 'MODULE_PATHNAME', '<type>_dims' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_dims(<type>) IS 'number of dimensions';

CREATE FUNCTION vector_norm(<type>) RETURNS double precision
	AS 'MODULE_PATHNAME', '<type>_norm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION vector_norm(<type>) IS 'Euclidean norm';

CREATE FUNCTION l2_norm(<type>) RETURNS double precision
	AS 'MODULE_PATHNAME', '<type>_norm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION l2_norm(<type>) IS 'Euclidean norm';

CREATE FUNCTION l2_normalize(<type>) RETURNS <wide>
	AS 'MODULE_PATHNAME', '<type>_l2_normalize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION l2_normalize(<type>) IS 'normalize with Euclidean norm';

CREATE FUNCTION binary_quantize(<type>) RETURNS bit
	AS 'MODULE_PATHNAME', '<type>_binary_quantize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION binary_quantize(<type>) IS 'binary quantize';

CREATE FUNCTION subvector(<type>, integer, integer) RETURNS <type>
	AS 'MODULE_PATHNAME', '<type>_subvector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION subvector(<type>, integer, integer) IS 'subvector';

-- private functions

CREATE FUNCTION <type>_add(<type>, <type>) RETURNS <type>
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION <type>_add(<type>, <type>) IS 'implementation of + operator';

CREATE FUNCTION <type>_sub(<type>, <type>) RETURNS <type>
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION <type>_sub(<type>, <type>) IS 'implementation of - operator';

CREATE FUNCTION <type>_mul(<type>, <type>) RETURNS <type>
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION <type>_mul(<type>, <type>) IS 'implementation of * operator';

CREATE FUNCTION <type>_concat(<type>, <type>) RETURNS <type>
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION <type>_concat(<type>, <type>) IS 'implementation of || operator';

CREATE FUNCTION <type>_lt(<type>, <type>) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION <type>_lt(<type>, <type>) IS 'implementation of < operator';

CREATE FUNCTION <type>_le(<type>, <type>) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION <type>_le(<type>, <type>) IS 'implementation of <= operator';

CREATE FUNCTION <type>_eq(<type>, <type>) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION <type>_eq(<type>, <type>) IS 'implementation of = operator';

CREATE FUNCTION <type>_ne(<type>, <type>) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION <type>_ne(<type>, <type>) IS 'implementation of <> operator';

CREATE FUNCTION <type>_ge(<type>, <type>) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION <type>_ge(<type>, <type>) IS 'implementation of >= operator';

CREATE FUNCTION <type>_gt(<type>, <type>) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION <type>_gt(<type>, <type>) IS 'implementation of > operator';

CREATE FUNCTION <type>_cmp(<type>, <type>) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION <type>_cmp(<type>, <type>) IS 'less-equal-greater';

CREATE FUNCTION <type>_l2_squared_distance(<type>, <type>) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION <type>_l2_squared_distance(<type>, <type>) IS 'squared Euclidean distance';

CREATE FUNCTION <type>_negative_inner_product(<type>, <type>) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT <type>_distance_support;
COMMENT ON FUNCTION <type>_negative_inner_product(<type>, <type>) IS 'negative inner product';

CREATE FUNCTION <type>_accum(double precision[], <type>) RETURNS double precision[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION <type>_accum(double precision[], <type>) IS 'aggregate transition function';

CREATE FUNCTION <type>_combine(double precision[], double precision[]) RETURNS double precision[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION <type>_combine(double precision[], double precision[]) IS 'aggregate combine function';

CREATE FUNCTION <type>_avg(double precision[]) RETURNS <wide>
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION <type>_avg(double precision[]) IS 'aggregate final function';

CREATE FUNCTION <type>_sum(double precision[]) RETURNS <wide>
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION <type>_sum(double precision[]) IS 'aggregate final function';

-- aggregates

CREATE AGGREGATE avg(<type>) (
	SFUNC = <type>_accum,
	STYPE = double precision[],
	FINALFUNC = <type>_avg,
	COMBINEFUNC = <type>_combine,
	INITCOND = '{0}',
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE avg(<type>) IS 'the average (arithmetic mean) as <wide> of all <type> values';

CREATE AGGREGATE sum(<type>) (
	SFUNC = <type>_accum,
	STYPE = double precision[],
	FINALFUNC = <type>_sum,
	COMBINEFUNC = <type>_combine,
	INITCOND = '{0}',
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE sum(<type>) IS 'sum as <wide> across all <type> input values';

-- the cast of the type to itself

CREATE FUNCTION <type>(<type>, integer, boolean) RETURNS <type>
	AS 'MODULE_PATHNAME', '<type>_enforce_typmod' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION <type>(<type>, integer, boolean) IS 'adjust <type> to typmod';

CREATE CAST (<type> AS <type>)
	WITH FUNCTION <type>(<type>, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (<type> AS <type>) IS 'checks the number of dimensions';

-- operators

CREATE OPERATOR + (
	LEFTARG = <type>, RIGHTARG = <type>, PROCEDURE = <type>_add,
	COMMUTATOR = +
);
COMMENT ON OPERATOR + (<type>, <type>) IS 'add';

CREATE OPERATOR - (
	LEFTARG = <type>, RIGHTARG = <type>, PROCEDURE = <type>_sub
);
COMMENT ON OPERATOR - (<type>, <type>) IS 'subtract';

CREATE OPERATOR * (
	LEFTARG = <type>, RIGHTARG = <type>, PROCEDURE = <type>_mul,
	COMMUTATOR = *
);
COMMENT ON OPERATOR * (<type>, <type>) IS 'multiply';

CREATE OPERATOR || (
	LEFTARG = <type>, RIGHTARG = <type>, PROCEDURE = <type>_concat
);
COMMENT ON OPERATOR || (<type>, <type>) IS 'concatenate';

CREATE OPERATOR < (
	LEFTARG = <type>, RIGHTARG = <type>, PROCEDURE = <type>_lt,
	COMMUTATOR = > , NEGATOR = >=,
	RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (<type>, <type>) IS 'less than';

CREATE OPERATOR <= (
	LEFTARG = <type>, RIGHTARG = <type>, PROCEDURE = <type>_le,
	COMMUTATOR = >= , NEGATOR = >,
	RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (<type>, <type>) IS 'less than or equal';

CREATE OPERATOR = (
	LEFTARG = <type>, RIGHTARG = <type>, PROCEDURE = <type>_eq,
	COMMUTATOR = = , NEGATOR = <>,
	RESTRICT = eqsel, JOIN = eqjoinsel,
	MERGES
);
COMMENT ON OPERATOR = (<type>, <type>) IS 'equal';

CREATE OPERATOR <> (
	LEFTARG = <type>, RIGHTARG = <type>, PROCEDURE = <type>_ne,
	COMMUTATOR = <> , NEGATOR = =,
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (<type>, <type>) IS 'not equal';

CREATE OPERATOR >= (
	LEFTARG = <type>, RIGHTARG = <type>, PROCEDURE = <type>_ge,
	COMMUTATOR = <= , NEGATOR = <,
	RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (<type>, <type>) IS 'greater than or equal';

CREATE OPERATOR > (
	LEFTARG = <type>, RIGHTARG = <type>, PROCEDURE = <type>_gt,
	COMMUTATOR = < , NEGATOR = <=,
	RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (<type>, <type>) IS 'greater than';

CREATE OPERATOR FAMILY <type>_ops USING btree;
COMMENT ON OPERATOR FAMILY <type>_ops USING btree IS 'comparison of <type>';

CREATE OPERATOR CLASS <type>_ops
	DEFAULT FOR TYPE <type> USING btree FAMILY <type>_ops AS
	OPERATOR 1 < ,
	OPERATOR 2 <= ,
	OPERATOR 3 = ,
	OPERATOR 4 >= ,
	OPERATOR 5 > ,
	FUNCTION 1 <type>_cmp(<type>, <type>);
COMMENT ON OPERATOR CLASS <type>_ops USING btree IS 'comparison of <type>';

-- spheres

CREATE TYPE vk_sphere_<type> AS (center <type>, radius double precision, exact boolean);
COMMENT ON TYPE vk_sphere_<type> IS 'vectors nearer to a center than a radius; exact: an approximate index may not answer';

CREATE FUNCTION vk_sphere(center <type>, radius double precision, exact boolean DEFAULT false)
	RETURNS vk_sphere_<type>
	AS 'MODULE_PATHNAME', 'vk_sphere_make' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vk_sphere(<type>, double precision, boolean) IS 'sphere of vectors nearer to a center than a radius';

$definition$;

	metric_definition CONSTANT text := $definition$

CREATE OPERATOR <operator> (
	LEFTARG = <type>, RIGHTARG = <type>, PROCEDURE = <function>,
	COMMUTATOR = <operator>
);
COMMENT ON OPERATOR <operator> (<type>, <type>) IS '<distance>';

CREATE FUNCTION <type>_<metric>_within(<type>, vk_sphere_<type>) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT <type>_distance_support;
COMMENT ON FUNCTION <type>_<metric>_within(<type>, vk_sphere_<type>) IS 'implementation of <<operator>> operator';

CREATE FUNCTION <type>_<metric>_within_equal(<type>, vk_sphere_<type>) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT <type>_distance_support;
COMMENT ON FUNCTION <type>_<metric>_within_equal(<type>, vk_sphere_<type>) IS 'implementation of <<operator>>= operator';

CREATE OPERATOR <<operator>> (
	LEFTARG = <type>, RIGHTARG = vk_sphere_<type>, PROCEDURE = <type>_<metric>_within,
	RESTRICT = vk_sphere_sel, JOIN = vk_sphere_joinsel
);
COMMENT ON OPERATOR <<operator>> (<type>, vk_sphere_<type>) IS '<distance> less than radius';

CREATE OPERATOR <<operator>>= (
	LEFTARG = <type>, RIGHTARG = vk_sphere_<type>, PROCEDURE = <type>_<metric>_within_equal,
	RESTRICT = vk_sphere_sel, JOIN = vk_sphere_joinsel
);
COMMENT ON OPERATOR <<operator>>= (<type>, vk_sphere_<type>) IS '<distance> at most radius';

CREATE FUNCTION <type>_<metric>_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION <type>_<metric>_support(internal) IS 'operator class support of vkflat and vkivf';

$definition$;

	class_definition CONSTANT text := $definition$

CREATE OPERATOR FAMILY <type>_<metric>_ops USING <method>;
COMMENT ON OPERATOR FAMILY <type>_<metric>_ops USING <method> IS '<distance>';

CREATE OPERATOR CLASS <type>_<metric>_ops
	<default> FOR TYPE <type> USING <method> FAMILY <type>_<metric>_ops AS
	OPERATOR 1 <operator> (<type>, <type>) FOR ORDER BY float_ops,
	OPERATOR 2 <<operator>> (<type>, vk_sphere_<type>),
	OPERATOR 3 <<operator>>= (<type>, vk_sphere_<type>),
	FUNCTION 1 <type>_<metric>_support(internal),
	FUNCTION 2 vk_sphere(<type>, double precision, boolean);
COMMENT ON OPERATOR CLASS <type>_<metric>_ops USING <method> IS '<distance>';

$definition$;

	cast_definition CONSTANT text := $definition$

CREATE FUNCTION <function>(<source><modifier>) RETURNS <target>
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION <function>(<source><modifier>) IS 'convert <source> to <target>';

CREATE CAST (<source> AS <target>)
	WITH FUNCTION <function>(<source><modifier>) <context>;
COMMENT ON CAST (<source> AS <target>) IS 'elements <change>';

$definition$;

	-- of casts: what type modifier there is; precision and scale are the server's own affair
	modifier CONSTANT text := ', integer, boolean';

	object record;
	name text;
	value text;
BEGIN
	FOR object IN
		-- preferred: what a literal without a type is taken for
		-- wide: the type of sums, averages and normalized vectors
		-- as_is: whose elements need no rounding; holders: where its own need none
		WITH types (type, comment, preferred, wide, rounded, as_is, holders) AS (VALUES
			('f32vec', 'single-precision vector', true, 'f32vec', 'rounded to single precision',
				'real[]', '{real[],double precision[]}'::text[]),
			('f16vec', 'half-precision vector', false, 'f16vec', 'rounded to half precision',
				NULL, '{real[],double precision[],f32vec}'),
			('bf16vec', 'bfloat16 vector', false, 'bf16vec', 'rounded to bfloat16',
				NULL, '{real[],double precision[],f32vec}'),
			('i8vec', 'vector of 8-bit integers', false, 'f32vec', 'rounded to integers',
				'integer[]', '{integer[],real[],double precision[],numeric[],f32vec,f16vec,bf16vec}')
		), metrics (metric, operator, function, distance) AS (VALUES
			('l2', '<->', 'l2_distance', 'Euclidean distance'),
			('ip', '<#>', '<type>_negative_inner_product', 'negative inner product'),
			('cosine', '<=>', 'cosine_distance', 'cosine distance'),
			('l1', '<+>', 'l1_distance', 'taxicab distance')
		), arrays (type, short, rounded) AS (VALUES
			('integer[]', 'int4', 'rounded to integers'),
			('real[]', 'float4', NULL),
			('double precision[]', 'float8', NULL),
			('numeric[]', 'numeric', 'rounded to 6 significant digits')
		)
		-- f32vec, which is wide, is the first
		SELECT 1 AS turn, t.type <> 'f32vec', type_definition AS definition, pg_catalog.to_jsonb(t) AS columns
			FROM types t
		UNION ALL
		SELECT 2, false, replace(metric_definition, '<function>', m.function), pg_catalog.to_jsonb(t) || pg_catalog.to_jsonb(m)
			FROM types t, metrics m
		UNION ALL
		SELECT 3, false, class_definition, pg_catalog.to_jsonb(t) || pg_catalog.to_jsonb(m) || pg_catalog.jsonb_build_object(
				'method', method, 'default', CASE m.metric WHEN 'l2' THEN 'DEFAULT' ELSE '' END)
			FROM types t, metrics m, pg_catalog.unnest('{vkflat,vkivf}'::text[]) method
		UNION ALL
		SELECT 4, false, cast_definition, pg_catalog.jsonb_build_object(
				'function', a.type || '_to_' || b.type, 'source', a.type, 'target', b.type, 'modifier', modifier,
				'context', 'AS ASSIGNMENT',
				'change', CASE WHEN b.type = ANY (a.holders) THEN 'as they are' ELSE b.rounded END)
			FROM types a, types b WHERE a.type <> b.type
		UNION ALL
		SELECT 4, false, cast_definition, pg_catalog.jsonb_build_object(
				'function', 'array_to_' || t.type, 'source', a.type, 'target', t.type, 'modifier', modifier,
				'context', 'AS ASSIGNMENT',
				'change', CASE WHEN a.type = t.as_is THEN 'as they are' ELSE t.rounded END)
			FROM types t, arrays a
		UNION ALL
		SELECT 4, false, cast_definition, pg_catalog.jsonb_build_object(
				'function', t.type || '_to_' || a.short, 'source', t.type, 'target', a.type,
				'modifier', CASE WHEN a.type = 'numeric[]' THEN '' ELSE modifier END,
				'context', CASE WHEN t.type = 'f32vec' AND a.type = 'real[]' THEN 'AS IMPLICIT'
					WHEN a.type = ANY (t.holders) THEN 'AS ASSIGNMENT' ELSE '' END,
				'change', CASE WHEN a.type = ANY (t.holders) THEN 'as they are' ELSE a.rounded END)
			FROM types t, arrays a
		ORDER BY 1, 2
	LOOP
		FOR name, value IN SELECT * FROM pg_catalog.jsonb_each_text(object.columns) LOOP
			object.definition := replace(object.definition, '<' || name || '>', coalesce(value, ''));
		END LOOP;
		EXECUTE object.definition;
	END LOOP;
END
$$;

-- attribute operator classes
--
-- Columns of an index after its vector are filtered by.  Both methods take the
-- same types, in classes and families that are named as btree's are; operators
-- are numbered by their place in `symbols`.

DO $$
DECLARE
	symbols CONSTANT text[] := '{<,<=,=,>=,>,<>}';
	family record;
	type text;
	class text;
	members text;
BEGIN
	FOR family IN
		SELECT * FROM pg_catalog.unnest('{vkflat,vkivf}'::text[]) method, (VALUES
			('bool_ops', 'comparison of boolean', '{bool}'::text[], '{1,2,3,4,5,6}'::integer[]),
			('char_ops', 'comparison of "char"', '{char}', '{1,2,3,4,5,6}'),
			('integer_ops', 'comparison of integers', '{int2,int4,int8}', '{1,2,3,4,5,6}'),
			('float_ops', 'comparison of floating-point numbers', '{float4,float8}', '{1,2,3,4,5,6}'),
			('datetime_ops', 'comparison of dates and timestamps', '{date,timestamp}', '{1,2,3,4,5,6}'),
			('timestamptz_ops', 'comparison of timestamptz', '{timestamptz}', '{1,2,3,4,5,6}'),
			('time_ops', 'comparison of time', '{time}', '{1,2,3,4,5,6}'),
			('uuid_ops', 'comparison of uuid', '{uuid}', '{1,2,3,4,5,6}'),
			('oid_ops', 'comparison of oid', '{oid}', '{1,2,3,4,5,6}'),
			('enum_ops', 'equality of enums', '{anyenum}', '{3,6}'),
			('text_ops', 'equality of text', '{text}', '{3}'),
			('bpchar_ops', 'equality of character', '{bpchar}', '{3}'),
			('numeric_ops', 'equality of numeric', '{numeric}', '{3}'),
			('bytea_ops', 'equality of bytea', '{bytea}', '{3}')
		) f (name, comment, types, strategies)
	LOOP
		EXECUTE pg_catalog.format('CREATE OPERATOR FAMILY %I USING %I', family.name, family.method);
		EXECUTE pg_catalog.format('COMMENT ON OPERATOR FAMILY %I USING %I IS %L', family.name, family.method, family.comment);
		FOREACH type IN ARRAY family.types LOOP
			class := replace(type, 'any', '') || '_ops';
			SELECT pg_catalog.string_agg(pg_catalog.format('OPERATOR %s pg_catalog.%s (pg_catalog.%I, pg_catalog.%I)',
									 strategy, symbols[strategy], type, other), ', ')
				INTO members FROM pg_catalog.unnest(family.strategies) strategy, pg_catalog.unnest(family.types) other;
			EXECUTE pg_catalog.format('CREATE OPERATOR CLASS %I DEFAULT FOR TYPE pg_catalog.%I USING %I FAMILY %I AS %s',
						   class, type, family.method, family.name, members);
			EXECUTE pg_catalog.format('COMMENT ON OPERATOR CLASS %I USING %I IS %L', class, family.method, family.comment);
		END LOOP;
	END LOOP;
END
$$;

-- inspection

CREATE FUNCTION vk_check(index regclass, heapallindexed boolean DEFAULT false)
	RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION vk_check(regclass, boolean) IS 'verify the structure of an index, and that it holds every row of its table';

REVOKE ALL ON FUNCTION vk_check(regclass, boolean) FROM PUBLIC;

CREATE FUNCTION vk_stats(index regclass,
	OUT method text, OUT metric text, OUT dimensions integer,
	OUT attributes integer,
	OUT rows bigint, OUT dead_rows bigint, OUT rest_rows bigint,
	OUT lists integer, OUT bits integer, OUT refine_bits integer,
	OUT list_min bigint, OUT list_avg double precision,
	OUT list_p99 bigint, OUT list_max bigint,
	OUT pages bigint, OUT bytes bigint, OUT seed bigint, OUT epoch bigint,
	OUT budget_rows double precision, OUT segments integer,
	OUT retired_lists integer, OUT list_spread double precision,
	OUT residual_drift double precision, OUT curve_age double precision)
	RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION vk_stats(regclass) IS 'shape and size of an index; budget_rows is what a search for 10 rows scans at the current vkindex.target_recall';

CREATE FUNCTION vk_last_scan(
	OUT index regclass, OUT isa text, OUT wanted bigint, OUT emitted bigint,
	OUT rounds bigint, OUT exhaustive boolean, OUT budget_rows double precision,
	OUT lists bigint, OUT pages bigint, OUT scanned bigint, OUT refined bigint,
	OUT fetched bigint, OUT rank_us double precision,
	OUT scan_us double precision, OUT fetch_us double precision,
	OUT skipped bigint, OUT matched bigint, OUT checked bigint,
	OUT estimated_recall double precision, OUT path text,
	OUT workers integer)
	RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION vk_last_scan() IS 'what the last index scan of this session did';

CREATE FUNCTION vk_simd(OUT kernel text, OUT isa text, OUT available text[])
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE ROWS 32;

COMMENT ON FUNCTION vk_simd() IS 'instruction set in use, and those available, of each distance kernel';

CREATE FUNCTION vk_centroids(index regclass) RETURNS SETOF f32vec
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION vk_centroids(regclass) IS 'centroids of the lists of an index';

CREATE FUNCTION vk_tune(index regclass,
	OUT lists_before integer, OUT lists_after integer,
	OUT lists_rewritten bigint, OUT rows_rewritten bigint,
	OUT pages_freed bigint, OUT lists_waiting bigint,
	OUT recall_measured boolean)
	RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION vk_tune(regclass) IS 'do the upkeep of an index that vacuum would do: split, merge and rewrite lists, free pages, measure recall anew';

CREATE FUNCTION vk_recall(index regclass, k integer DEFAULT 10, samples integer DEFAULT 100)
	RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION vk_recall(regclass, integer, integer) IS 'recall of an index against exact search, measured with sampled rows at the current settings';

CREATE FUNCTION vk_explain_refusal(query text)
	RETURNS TABLE (index regclass, reason text)
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 10;

COMMENT ON FUNCTION vk_explain_refusal(text) IS 'for each index on the tables of a query, why its plan does not use it, or "used"';

-- pages; for those who may read the server's files anyway

CREATE FUNCTION vk_page_meta(index regclass,
	OUT magic bigint, OUT version bigint, OUT dimensions integer,
	OUT metric text, OUT bits text, OUT refine_bits integer,
	OUT flat boolean, OUT element integer, OUT attributes integer,
	OUT attribute_widths bigint[], OUT seed bigint, OUT epoch bigint,
	OUT op_in_progress bigint, OUT slots bigint, OUT lists bigint,
	OUT centers bigint, OUT segments bigint,
	OUT groups bigint, OUT root bigint, OUT grouped bigint,
	OUT coded bigint,
	OUT recycled bigint, OUT open_slots bigint[],
	OUT build_rows double precision, OUT live_rows double precision,
	OUT dead_rows double precision, OUT mean_head bigint,
	OUT maps bigint[], OUT curve real[], OUT curve_rows double precision,
	OUT changed_rows double precision, OUT build_residual double precision,
	OUT residual double precision, OUT step double precision,
	OUT fringe real[])
	RETURNS record
	AS 'MODULE_PATHNAME', 'vk_inspect_meta' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION vk_page_meta(regclass) IS 'meta page of an index';

CREATE FUNCTION vk_page_head(index regclass, block bigint,
	OUT kind text, OUT is_full boolean, OUT is_closed boolean,
	OUT slot bigint, OUT born bigint, OUT next bigint,
	OUT chain_position bigint,
	OUT refine_page bigint, OUT refine_position bigint,
	OUT refine_offset integer, OUT first_line integer,
	OUT last_line integer, OUT entries integer)
	RETURNS record
	AS 'MODULE_PATHNAME', 'vk_inspect_head' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION vk_page_head(regclass, bigint) IS 'kind of a page of an index, and what its head says';

CREATE FUNCTION vk_page_slots(index regclass,
	OUT slot bigint, OUT directory bigint, OUT kind text, OUT visible boolean,
	OUT head bigint, OUT tail bigint, OUT born bigint, OUT retired bigint,
	OUT retire_xid xid8, OUT live bigint, OUT dead bigint, OUT flags bigint,
	OUT born_blocks bigint, OUT extent_start bigint, OUT extent_length bigint,
	OUT refine_head bigint, OUT refine_tail bigint, OUT summary bigint)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'vk_inspect_slots' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION vk_page_slots(regclass) IS 'slots of the directory of an index: its lists';

CREATE FUNCTION vk_page_blocks(index regclass, block bigint,
	OUT line integer, OUT lane integer, OUT tid tid, OUT live boolean,
	OUT block_scale double precision, OUT norm double precision,
	OUT scale double precision, OUT error double precision,
	OUT center double precision, OUT keys numeric[])
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'vk_inspect_blocks' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION vk_page_blocks(regclass, bigint) IS 'rows of the blocks that begin on a block page of an index';

CREATE FUNCTION vk_page_codes(index regclass, block bigint,
	OUT item bigint, OUT byte integer, OUT norm double precision,
	OUT scale double precision, OUT error double precision,
	OUT center double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'vk_inspect_codes' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION vk_page_codes(regclass, bigint) IS 'refine codes that begin on a refine page of an index';

CREATE FUNCTION vk_page_summaries(index regclass, block bigint,
	OUT slot bigint, OUT attribute integer, OUT low numeric,
	OUT high numeric, OUT nulls boolean, OUT bits integer)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'vk_inspect_summaries' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION vk_page_summaries(regclass, bigint) IS 'summaries of lists on a summary page of an index';

CREATE FUNCTION vk_page_entries(index regclass, block bigint,
	OUT item integer, OUT tid tid, OUT block_number bigint, OUT value real)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'vk_inspect_entries' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION vk_page_entries(regclass, bigint) IS 'entries of a rest, map or mean page of an index';

REVOKE ALL ON FUNCTION vk_page_meta(regclass), vk_page_head(regclass, bigint),
	vk_page_slots(regclass), vk_page_blocks(regclass, bigint),
	vk_page_codes(regclass, bigint), vk_page_summaries(regclass, bigint),
	vk_page_entries(regclass, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vk_page_meta(regclass), vk_page_head(regclass, bigint),
	vk_page_slots(regclass), vk_page_blocks(regclass, bigint),
	vk_page_codes(regclass, bigint), vk_page_summaries(regclass, bigint),
	vk_page_entries(regclass, bigint) TO pg_read_server_files;

-- batch functions

CREATE FUNCTION vk_knn_batch(index regclass, queries anyarray, k integer,
	target_recall double precision DEFAULT NULL)
	RETURNS TABLE (query integer, rank integer, "row" tid, distance double precision)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 1000;

COMMENT ON FUNCTION vk_knn_batch(regclass, anyarray, integer, double precision) IS 'the k nearest rows of each of many queries, numbered from 1; of a partial index, its rows only';

CREATE FUNCTION vk_knn_batch_rows(index regclass, queries anycompatiblearray, k integer,
	row_type anyelement, target_recall double precision DEFAULT NULL)
	RETURNS TABLE (query integer, rank integer, distance double precision, item anyelement)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 1000;

COMMENT ON FUNCTION vk_knn_batch_rows(regclass, anycompatiblearray, integer, anyelement, double precision) IS 'the k nearest rows of each of many queries, as values of the table''s row type, which is that of the fourth argument';

CREATE FUNCTION vk_range_batch(index regclass, queries anyarray, radius double precision)
	RETURNS TABLE (query integer, "row" tid, distance double precision)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 1000;

COMMENT ON FUNCTION vk_range_batch(regclass, anyarray, double precision) IS 'all rows nearer than a radius to each of many queries, numbered from 1, in no order; of a partial index, its rows only';

CREATE FUNCTION vk_knn_graph(index regclass, k integer,
	target_recall double precision DEFAULT NULL)
	RETURNS TABLE ("row" tid, rank integer, neighbor tid, distance double precision)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000000 ROWS 100000;

COMMENT ON FUNCTION vk_knn_graph(regclass, integer, double precision) IS 'the k nearest other rows of each row of an index';

CREATE FUNCTION vk_similarity_graph(index regclass, radius double precision,
	both_ways boolean DEFAULT false, tolerance double precision DEFAULT 0.001)
	RETURNS TABLE ("row" tid, neighbor tid, distance double precision)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000000 ROWS 100000;

COMMENT ON FUNCTION vk_similarity_graph(regclass, double precision, boolean, double precision) IS 'all pairs of rows of an index that are nearer than a radius: once, the row that comes first in the table first, or both ways; distances may be off by the tolerance times the radius';

CREATE FUNCTION vk_similarity_degree(index regclass, radius double precision)
	RETURNS TABLE ("row" tid, neighbors bigint)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000000 ROWS 100000;

COMMENT ON FUNCTION vk_similarity_degree(regclass, double precision) IS 'how many other rows of an index are nearer than a radius to each of its rows';

CREATE FUNCTION vk_get_progress(OUT pid integer, OUT datid oid, OUT relid oid,
	OUT function text, OUT queries_total bigint, OUT queries_done bigint, OUT workers integer)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10;

COMMENT ON FUNCTION vk_get_progress() IS 'the batch functions that run now, in all databases; see the view vk_progress';

CREATE VIEW vk_progress AS
	SELECT p.pid, p.datid, d.datname, p.relid, p.function, p.queries_total, p.queries_done, p.workers
	FROM vk_get_progress() p LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) p.datid;

COMMENT ON VIEW vk_progress IS 'the batch functions that run now, and how many of their queries are answered';

GRANT SELECT ON vk_progress TO PUBLIC;

-- MaxSim: each vector of an array has an entry

DO $$
DECLARE
	class_definition CONSTANT text := $definition$

CREATE OPERATOR FAMILY <type>_maxsim_ops USING <method>;
COMMENT ON OPERATOR FAMILY <type>_maxsim_ops USING <method> IS 'negative MaxSim';

CREATE OPERATOR CLASS <type>_maxsim_ops
	DEFAULT FOR TYPE <type>[] USING <method> FAMILY <type>_maxsim_ops AS
	OPERATOR 1 @# (<type>[], <type>[]) FOR ORDER BY float_ops,
	FUNCTION 1 <type>_maxsim_support(internal);
COMMENT ON OPERATOR CLASS <type>_maxsim_ops USING <method> IS 'negative MaxSim';

$definition$;
	type text;
	method text;
BEGIN
	FOREACH type IN ARRAY '{f32vec,f16vec,bf16vec,i8vec}'::text[] LOOP
		EXECUTE pg_catalog.format('CREATE FUNCTION %I(internal) RETURNS internal'
			' AS ''MODULE_PATHNAME'' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE', type || '_maxsim_support');
		EXECUTE pg_catalog.format('COMMENT ON FUNCTION %I(internal) IS %L', type || '_maxsim_support',
			'operator class support of vkflat and vkivf');
		FOREACH method IN ARRAY '{vkflat,vkivf}'::text[] LOOP
			EXECUTE pg_catalog.replace(pg_catalog.replace(class_definition, '<type>', type), '<method>', method);
		END LOOP;
	END LOOP;
END
$$;
