-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION vkindex" to load this file. \quit

-- type f32vec

CREATE TYPE f32vec;

CREATE FUNCTION f32vec_in(cstring, oid, integer) RETURNS f32vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION f32vec_in(cstring, oid, integer) IS 'I/O';

CREATE FUNCTION f32vec_out(f32vec) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION f32vec_out(f32vec) IS 'I/O';

CREATE FUNCTION f32vec_typmod_in(cstring[]) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION f32vec_typmod_in(cstring[]) IS 'I/O typmod';

CREATE FUNCTION f32vec_recv(internal, oid, integer) RETURNS f32vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION f32vec_recv(internal, oid, integer) IS 'I/O';

CREATE FUNCTION f32vec_send(f32vec) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION f32vec_send(f32vec) IS 'I/O';

CREATE TYPE f32vec (
	INPUT     = f32vec_in,
	OUTPUT    = f32vec_out,
	TYPMOD_IN = f32vec_typmod_in,
	RECEIVE   = f32vec_recv,
	SEND      = f32vec_send,
	STORAGE   = external
);

COMMENT ON TYPE f32vec IS 'single-precision vector';

-- f32vec functions
--
-- COST 10 marks work on every element: about ten times an integer comparison.

CREATE FUNCTION f32vec_distance_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION f32vec_distance_support(internal) IS 'planner support of distance functions';

CREATE FUNCTION l2_distance(f32vec, f32vec) RETURNS double precision
	AS 'MODULE_PATHNAME', 'f32vec_l2_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT f32vec_distance_support;

COMMENT ON FUNCTION l2_distance(f32vec, f32vec) IS 'Euclidean distance';

CREATE FUNCTION inner_product(f32vec, f32vec) RETURNS double precision
	AS 'MODULE_PATHNAME', 'f32vec_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT f32vec_distance_support;

COMMENT ON FUNCTION inner_product(f32vec, f32vec) IS 'inner product';

CREATE FUNCTION cosine_distance(f32vec, f32vec) RETURNS double precision
	AS 'MODULE_PATHNAME', 'f32vec_cosine_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT f32vec_distance_support;

COMMENT ON FUNCTION cosine_distance(f32vec, f32vec) IS 'cosine distance';

CREATE FUNCTION l1_distance(f32vec, f32vec) RETURNS double precision
	AS 'MODULE_PATHNAME', 'f32vec_l1_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT f32vec_distance_support;

COMMENT ON FUNCTION l1_distance(f32vec, f32vec) IS 'taxicab distance';

CREATE FUNCTION vector_dims(f32vec) RETURNS integer
	AS 'MODULE_PATHNAME', 'f32vec_dims' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION vector_dims(f32vec) IS 'number of dimensions';

CREATE FUNCTION vector_norm(f32vec) RETURNS double precision
	AS 'MODULE_PATHNAME', 'f32vec_norm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION vector_norm(f32vec) IS 'Euclidean norm';

CREATE FUNCTION l2_normalize(f32vec) RETURNS f32vec
	AS 'MODULE_PATHNAME', 'f32vec_l2_normalize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION l2_normalize(f32vec) IS 'normalize with Euclidean norm';

CREATE FUNCTION binary_quantize(f32vec) RETURNS bit
	AS 'MODULE_PATHNAME', 'f32vec_binary_quantize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION binary_quantize(f32vec) IS 'binary quantize';

CREATE FUNCTION subvector(f32vec, integer, integer) RETURNS f32vec
	AS 'MODULE_PATHNAME', 'f32vec_subvector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION subvector(f32vec, integer, integer) IS 'subvector';

-- f32vec private functions

CREATE FUNCTION f32vec_add(f32vec, f32vec) RETURNS f32vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION f32vec_add(f32vec, f32vec) IS 'implementation of + operator';

CREATE FUNCTION f32vec_sub(f32vec, f32vec) RETURNS f32vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION f32vec_sub(f32vec, f32vec) IS 'implementation of - operator';

CREATE FUNCTION f32vec_mul(f32vec, f32vec) RETURNS f32vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION f32vec_mul(f32vec, f32vec) IS 'implementation of * operator';

CREATE FUNCTION f32vec_concat(f32vec, f32vec) RETURNS f32vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION f32vec_concat(f32vec, f32vec) IS 'implementation of || operator';

CREATE FUNCTION f32vec_lt(f32vec, f32vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION f32vec_lt(f32vec, f32vec) IS 'implementation of < operator';

CREATE FUNCTION f32vec_le(f32vec, f32vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION f32vec_le(f32vec, f32vec) IS 'implementation of <= operator';

CREATE FUNCTION f32vec_eq(f32vec, f32vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION f32vec_eq(f32vec, f32vec) IS 'implementation of = operator';

CREATE FUNCTION f32vec_ne(f32vec, f32vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION f32vec_ne(f32vec, f32vec) IS 'implementation of <> operator';

CREATE FUNCTION f32vec_ge(f32vec, f32vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION f32vec_ge(f32vec, f32vec) IS 'implementation of >= operator';

CREATE FUNCTION f32vec_gt(f32vec, f32vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION f32vec_gt(f32vec, f32vec) IS 'implementation of > operator';

CREATE FUNCTION f32vec_cmp(f32vec, f32vec) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION f32vec_cmp(f32vec, f32vec) IS 'less-equal-greater';

CREATE FUNCTION f32vec_l2_squared_distance(f32vec, f32vec) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION f32vec_l2_squared_distance(f32vec, f32vec) IS 'squared Euclidean distance';

CREATE FUNCTION f32vec_negative_inner_product(f32vec, f32vec) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT f32vec_distance_support;

COMMENT ON FUNCTION f32vec_negative_inner_product(f32vec, f32vec) IS 'negative inner product';

CREATE FUNCTION f32vec_accum(double precision[], f32vec) RETURNS double precision[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION f32vec_accum(double precision[], f32vec) IS 'aggregate transition function';

CREATE FUNCTION f32vec_combine(double precision[], double precision[]) RETURNS double precision[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION f32vec_combine(double precision[], double precision[]) IS 'aggregate combine function';

CREATE FUNCTION f32vec_avg(double precision[]) RETURNS f32vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION f32vec_avg(double precision[]) IS 'aggregate final function';

-- f32vec aggregates

CREATE AGGREGATE avg(f32vec) (
	SFUNC = f32vec_accum,
	STYPE = double precision[],
	FINALFUNC = f32vec_avg,
	COMBINEFUNC = f32vec_combine,
	INITCOND = '{0}',
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE avg(f32vec) IS 'the average (arithmetic mean) as f32vec of all f32vec values';

CREATE AGGREGATE sum(f32vec) (
	SFUNC = f32vec_add,
	STYPE = f32vec,
	COMBINEFUNC = f32vec_add,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE sum(f32vec) IS 'sum as f32vec across all f32vec input values';

-- f32vec casts

CREATE FUNCTION f32vec(f32vec, integer, boolean) RETURNS f32vec
	AS 'MODULE_PATHNAME', 'f32vec_enforce_typmod' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION f32vec(f32vec, integer, boolean) IS 'adjust f32vec to typmod';

CREATE FUNCTION array_to_f32vec(integer[], integer, boolean) RETURNS f32vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION array_to_f32vec(integer[], integer, boolean) IS 'convert int4 array to f32vec';

CREATE FUNCTION array_to_f32vec(real[], integer, boolean) RETURNS f32vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION array_to_f32vec(real[], integer, boolean) IS 'convert float4 array to f32vec';

CREATE FUNCTION array_to_f32vec(double precision[], integer, boolean) RETURNS f32vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION array_to_f32vec(double precision[], integer, boolean) IS 'convert float8 array to f32vec';

CREATE FUNCTION array_to_f32vec(numeric[], integer, boolean) RETURNS f32vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION array_to_f32vec(numeric[], integer, boolean) IS 'convert numeric array to f32vec';

CREATE FUNCTION f32vec_to_int4(f32vec, integer, boolean) RETURNS integer[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION f32vec_to_int4(f32vec, integer, boolean) IS 'convert f32vec to int4 array';

CREATE FUNCTION f32vec_to_float4(f32vec, integer, boolean) RETURNS real[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION f32vec_to_float4(f32vec, integer, boolean) IS 'convert f32vec to float4 array';

CREATE FUNCTION f32vec_to_float8(f32vec, integer, boolean) RETURNS double precision[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION f32vec_to_float8(f32vec, integer, boolean) IS 'convert f32vec to float8 array';

CREATE FUNCTION f32vec_to_numeric(f32vec, integer, boolean) RETURNS numeric[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION f32vec_to_numeric(f32vec, integer, boolean) IS 'convert f32vec to numeric array';

CREATE CAST (f32vec AS f32vec)
	WITH FUNCTION f32vec(f32vec, integer, boolean) AS IMPLICIT;

COMMENT ON CAST (f32vec AS f32vec) IS 'checks the number of dimensions';

CREATE CAST (integer[] AS f32vec)
	WITH FUNCTION array_to_f32vec(integer[], integer, boolean) AS ASSIGNMENT;

COMMENT ON CAST (integer[] AS f32vec) IS 'elements rounded to single precision';

CREATE CAST (real[] AS f32vec)
	WITH FUNCTION array_to_f32vec(real[], integer, boolean) AS ASSIGNMENT;

COMMENT ON CAST (real[] AS f32vec) IS 'elements as they are';

CREATE CAST (double precision[] AS f32vec)
	WITH FUNCTION array_to_f32vec(double precision[], integer, boolean) AS ASSIGNMENT;

COMMENT ON CAST (double precision[] AS f32vec) IS 'elements rounded to single precision';

CREATE CAST (numeric[] AS f32vec)
	WITH FUNCTION array_to_f32vec(numeric[], integer, boolean) AS ASSIGNMENT;

COMMENT ON CAST (numeric[] AS f32vec) IS 'elements rounded to single precision';

CREATE CAST (f32vec AS integer[])
	WITH FUNCTION f32vec_to_int4(f32vec, integer, boolean);

COMMENT ON CAST (f32vec AS integer[]) IS 'elements rounded to integers';

CREATE CAST (f32vec AS real[])
	WITH FUNCTION f32vec_to_float4(f32vec, integer, boolean) AS IMPLICIT;

COMMENT ON CAST (f32vec AS real[]) IS 'elements as they are';

CREATE CAST (f32vec AS double precision[])
	WITH FUNCTION f32vec_to_float8(f32vec, integer, boolean) AS ASSIGNMENT;

COMMENT ON CAST (f32vec AS double precision[]) IS 'elements as they are';

CREATE CAST (f32vec AS numeric[])
	WITH FUNCTION f32vec_to_numeric(f32vec, integer, boolean);

COMMENT ON CAST (f32vec AS numeric[]) IS 'elements rounded to 6 significant digits';

-- f32vec operators

CREATE OPERATOR <-> (
	LEFTARG = f32vec, RIGHTARG = f32vec, PROCEDURE = l2_distance,
	COMMUTATOR = <->
);

COMMENT ON OPERATOR <-> (f32vec, f32vec) IS 'Euclidean distance';

CREATE OPERATOR <#> (
	LEFTARG = f32vec, RIGHTARG = f32vec, PROCEDURE = f32vec_negative_inner_product,
	COMMUTATOR = <#>
);

COMMENT ON OPERATOR <#> (f32vec, f32vec) IS 'negative inner product';

CREATE OPERATOR <=> (
	LEFTARG = f32vec, RIGHTARG = f32vec, PROCEDURE = cosine_distance,
	COMMUTATOR = <=>
);

COMMENT ON OPERATOR <=> (f32vec, f32vec) IS 'cosine distance';

CREATE OPERATOR <+> (
	LEFTARG = f32vec, RIGHTARG = f32vec, PROCEDURE = l1_distance,
	COMMUTATOR = <+>
);

COMMENT ON OPERATOR <+> (f32vec, f32vec) IS 'taxicab distance';

CREATE OPERATOR + (
	LEFTARG = f32vec, RIGHTARG = f32vec, PROCEDURE = f32vec_add,
	COMMUTATOR = +
);

COMMENT ON OPERATOR + (f32vec, f32vec) IS 'add';

CREATE OPERATOR - (
	LEFTARG = f32vec, RIGHTARG = f32vec, PROCEDURE = f32vec_sub
);

COMMENT ON OPERATOR - (f32vec, f32vec) IS 'subtract';

CREATE OPERATOR * (
	LEFTARG = f32vec, RIGHTARG = f32vec, PROCEDURE = f32vec_mul,
	COMMUTATOR = *
);

COMMENT ON OPERATOR * (f32vec, f32vec) IS 'multiply';

CREATE OPERATOR || (
	LEFTARG = f32vec, RIGHTARG = f32vec, PROCEDURE = f32vec_concat
);

COMMENT ON OPERATOR || (f32vec, f32vec) IS 'concatenate';

CREATE OPERATOR < (
	LEFTARG = f32vec, RIGHTARG = f32vec, PROCEDURE = f32vec_lt,
	COMMUTATOR = > , NEGATOR = >=,
	RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);

COMMENT ON OPERATOR < (f32vec, f32vec) IS 'less than';

CREATE OPERATOR <= (
	LEFTARG = f32vec, RIGHTARG = f32vec, PROCEDURE = f32vec_le,
	COMMUTATOR = >= , NEGATOR = >,
	RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);

COMMENT ON OPERATOR <= (f32vec, f32vec) IS 'less than or equal';

CREATE OPERATOR = (
	LEFTARG = f32vec, RIGHTARG = f32vec, PROCEDURE = f32vec_eq,
	COMMUTATOR = = , NEGATOR = <>,
	RESTRICT = eqsel, JOIN = eqjoinsel,
	MERGES
);

COMMENT ON OPERATOR = (f32vec, f32vec) IS 'equal';

CREATE OPERATOR <> (
	LEFTARG = f32vec, RIGHTARG = f32vec, PROCEDURE = f32vec_ne,
	COMMUTATOR = <> , NEGATOR = =,
	RESTRICT = neqsel, JOIN = neqjoinsel
);

COMMENT ON OPERATOR <> (f32vec, f32vec) IS 'not equal';

CREATE OPERATOR >= (
	LEFTARG = f32vec, RIGHTARG = f32vec, PROCEDURE = f32vec_ge,
	COMMUTATOR = <= , NEGATOR = <,
	RESTRICT = scalargesel, JOIN = scalargejoinsel
);

COMMENT ON OPERATOR >= (f32vec, f32vec) IS 'greater than or equal';

CREATE OPERATOR > (
	LEFTARG = f32vec, RIGHTARG = f32vec, PROCEDURE = f32vec_gt,
	COMMUTATOR = < , NEGATOR = <=,
	RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);

COMMENT ON OPERATOR > (f32vec, f32vec) IS 'greater than';

-- f32vec btree operator class

CREATE OPERATOR FAMILY f32vec_ops USING btree;

COMMENT ON OPERATOR FAMILY f32vec_ops USING btree IS 'comparison of f32vec';

CREATE OPERATOR CLASS f32vec_ops
	DEFAULT FOR TYPE f32vec USING btree FAMILY f32vec_ops AS
	OPERATOR 1 < ,
	OPERATOR 2 <= ,
	OPERATOR 3 = ,
	OPERATOR 4 >= ,
	OPERATOR 5 > ,
	FUNCTION 1 f32vec_cmp(f32vec, f32vec);

COMMENT ON OPERATOR CLASS f32vec_ops USING btree IS 'comparison of f32vec';

-- spheres of f32vec

CREATE TYPE vk_sphere_f32vec AS (center f32vec, radius double precision, exact boolean);

COMMENT ON TYPE vk_sphere_f32vec IS 'vectors nearer to a center than a radius; exact: an approximate index may not answer';

CREATE FUNCTION vk_sphere(center f32vec, radius double precision, exact boolean DEFAULT false)
	RETURNS vk_sphere_f32vec
	AS 'MODULE_PATHNAME', 'vk_sphere_make' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION vk_sphere(f32vec, double precision, boolean) IS 'sphere of vectors nearer to a center than a radius';

CREATE FUNCTION vk_sphere_sel(internal, oid, internal, integer) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION vk_sphere_sel(internal, oid, internal, integer) IS 'restriction selectivity of sphere operators';

CREATE FUNCTION vk_sphere_joinsel(internal, oid, internal, smallint, internal) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION vk_sphere_joinsel(internal, oid, internal, smallint, internal) IS 'join selectivity of sphere operators';

CREATE FUNCTION f32vec_l2_within(f32vec, vk_sphere_f32vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT f32vec_distance_support;

COMMENT ON FUNCTION f32vec_l2_within(f32vec, vk_sphere_f32vec) IS 'implementation of <<->> operator';

CREATE FUNCTION f32vec_l2_within_equal(f32vec, vk_sphere_f32vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT f32vec_distance_support;

COMMENT ON FUNCTION f32vec_l2_within_equal(f32vec, vk_sphere_f32vec) IS 'implementation of <<->>= operator';

CREATE FUNCTION f32vec_ip_within(f32vec, vk_sphere_f32vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT f32vec_distance_support;

COMMENT ON FUNCTION f32vec_ip_within(f32vec, vk_sphere_f32vec) IS 'implementation of <<#>> operator';

CREATE FUNCTION f32vec_ip_within_equal(f32vec, vk_sphere_f32vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT f32vec_distance_support;

COMMENT ON FUNCTION f32vec_ip_within_equal(f32vec, vk_sphere_f32vec) IS 'implementation of <<#>>= operator';

CREATE FUNCTION f32vec_cosine_within(f32vec, vk_sphere_f32vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT f32vec_distance_support;

COMMENT ON FUNCTION f32vec_cosine_within(f32vec, vk_sphere_f32vec) IS 'implementation of <<=>> operator';

CREATE FUNCTION f32vec_cosine_within_equal(f32vec, vk_sphere_f32vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT f32vec_distance_support;

COMMENT ON FUNCTION f32vec_cosine_within_equal(f32vec, vk_sphere_f32vec) IS 'implementation of <<=>>= operator';

CREATE FUNCTION f32vec_l1_within(f32vec, vk_sphere_f32vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT f32vec_distance_support;

COMMENT ON FUNCTION f32vec_l1_within(f32vec, vk_sphere_f32vec) IS 'implementation of <<+>> operator';

CREATE FUNCTION f32vec_l1_within_equal(f32vec, vk_sphere_f32vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
	SUPPORT f32vec_distance_support;

COMMENT ON FUNCTION f32vec_l1_within_equal(f32vec, vk_sphere_f32vec) IS 'implementation of <<+>>= operator';

CREATE OPERATOR <<->> (
	LEFTARG = f32vec, RIGHTARG = vk_sphere_f32vec, PROCEDURE = f32vec_l2_within,
	RESTRICT = vk_sphere_sel, JOIN = vk_sphere_joinsel
);

COMMENT ON OPERATOR <<->> (f32vec, vk_sphere_f32vec) IS 'Euclidean distance less than radius';

CREATE OPERATOR <<->>= (
	LEFTARG = f32vec, RIGHTARG = vk_sphere_f32vec, PROCEDURE = f32vec_l2_within_equal,
	RESTRICT = vk_sphere_sel, JOIN = vk_sphere_joinsel
);

COMMENT ON OPERATOR <<->>= (f32vec, vk_sphere_f32vec) IS 'Euclidean distance at most radius';

CREATE OPERATOR <<#>> (
	LEFTARG = f32vec, RIGHTARG = vk_sphere_f32vec, PROCEDURE = f32vec_ip_within,
	RESTRICT = vk_sphere_sel, JOIN = vk_sphere_joinsel
);

COMMENT ON OPERATOR <<#>> (f32vec, vk_sphere_f32vec) IS 'negative inner product less than radius';

CREATE OPERATOR <<#>>= (
	LEFTARG = f32vec, RIGHTARG = vk_sphere_f32vec, PROCEDURE = f32vec_ip_within_equal,
	RESTRICT = vk_sphere_sel, JOIN = vk_sphere_joinsel
);

COMMENT ON OPERATOR <<#>>= (f32vec, vk_sphere_f32vec) IS 'negative inner product at most radius';

CREATE OPERATOR <<=>> (
	LEFTARG = f32vec, RIGHTARG = vk_sphere_f32vec, PROCEDURE = f32vec_cosine_within,
	RESTRICT = vk_sphere_sel, JOIN = vk_sphere_joinsel
);

COMMENT ON OPERATOR <<=>> (f32vec, vk_sphere_f32vec) IS 'cosine distance less than radius';

CREATE OPERATOR <<=>>= (
	LEFTARG = f32vec, RIGHTARG = vk_sphere_f32vec, PROCEDURE = f32vec_cosine_within_equal,
	RESTRICT = vk_sphere_sel, JOIN = vk_sphere_joinsel
);

COMMENT ON OPERATOR <<=>>= (f32vec, vk_sphere_f32vec) IS 'cosine distance at most radius';

CREATE OPERATOR <<+>> (
	LEFTARG = f32vec, RIGHTARG = vk_sphere_f32vec, PROCEDURE = f32vec_l1_within,
	RESTRICT = vk_sphere_sel, JOIN = vk_sphere_joinsel
);

COMMENT ON OPERATOR <<+>> (f32vec, vk_sphere_f32vec) IS 'taxicab distance less than radius';

CREATE OPERATOR <<+>>= (
	LEFTARG = f32vec, RIGHTARG = vk_sphere_f32vec, PROCEDURE = f32vec_l1_within_equal,
	RESTRICT = vk_sphere_sel, JOIN = vk_sphere_joinsel
);

COMMENT ON OPERATOR <<+>>= (f32vec, vk_sphere_f32vec) IS 'taxicab distance at most radius';

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

-- operator classes of f32vec

CREATE FUNCTION f32vec_l2_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION f32vec_l2_support(internal) IS 'operator class support of vkflat and vkivf';

CREATE FUNCTION f32vec_ip_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION f32vec_ip_support(internal) IS 'operator class support of vkflat and vkivf';

CREATE FUNCTION f32vec_cosine_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION f32vec_cosine_support(internal) IS 'operator class support of vkflat and vkivf';

CREATE FUNCTION f32vec_l1_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION f32vec_l1_support(internal) IS 'operator class support of vkflat and vkivf';

CREATE OPERATOR FAMILY f32vec_l2_ops USING vkflat;
CREATE OPERATOR FAMILY f32vec_ip_ops USING vkflat;
CREATE OPERATOR FAMILY f32vec_cosine_ops USING vkflat;
CREATE OPERATOR FAMILY f32vec_l1_ops USING vkflat;
CREATE OPERATOR FAMILY f32vec_l2_ops USING vkivf;
CREATE OPERATOR FAMILY f32vec_ip_ops USING vkivf;
CREATE OPERATOR FAMILY f32vec_cosine_ops USING vkivf;
CREATE OPERATOR FAMILY f32vec_l1_ops USING vkivf;

COMMENT ON OPERATOR FAMILY f32vec_l2_ops USING vkflat IS 'Euclidean distance';
COMMENT ON OPERATOR FAMILY f32vec_ip_ops USING vkflat IS 'negative inner product';
COMMENT ON OPERATOR FAMILY f32vec_cosine_ops USING vkflat IS 'cosine distance';
COMMENT ON OPERATOR FAMILY f32vec_l1_ops USING vkflat IS 'taxicab distance';
COMMENT ON OPERATOR FAMILY f32vec_l2_ops USING vkivf IS 'Euclidean distance';
COMMENT ON OPERATOR FAMILY f32vec_ip_ops USING vkivf IS 'negative inner product';
COMMENT ON OPERATOR FAMILY f32vec_cosine_ops USING vkivf IS 'cosine distance';
COMMENT ON OPERATOR FAMILY f32vec_l1_ops USING vkivf IS 'taxicab distance';

CREATE OPERATOR CLASS f32vec_l2_ops
	DEFAULT FOR TYPE f32vec USING vkflat FAMILY f32vec_l2_ops AS
	OPERATOR 1 <-> (f32vec, f32vec) FOR ORDER BY float_ops,
	OPERATOR 2 <<->> (f32vec, vk_sphere_f32vec),
	OPERATOR 3 <<->>= (f32vec, vk_sphere_f32vec),
	FUNCTION 1 f32vec_l2_support(internal),
	FUNCTION 2 vk_sphere(f32vec, double precision, boolean);

COMMENT ON OPERATOR CLASS f32vec_l2_ops USING vkflat IS 'Euclidean distance';

CREATE OPERATOR CLASS f32vec_ip_ops
	FOR TYPE f32vec USING vkflat FAMILY f32vec_ip_ops AS
	OPERATOR 1 <#> (f32vec, f32vec) FOR ORDER BY float_ops,
	OPERATOR 2 <<#>> (f32vec, vk_sphere_f32vec),
	OPERATOR 3 <<#>>= (f32vec, vk_sphere_f32vec),
	FUNCTION 1 f32vec_ip_support(internal),
	FUNCTION 2 vk_sphere(f32vec, double precision, boolean);

COMMENT ON OPERATOR CLASS f32vec_ip_ops USING vkflat IS 'negative inner product';

CREATE OPERATOR CLASS f32vec_cosine_ops
	FOR TYPE f32vec USING vkflat FAMILY f32vec_cosine_ops AS
	OPERATOR 1 <=> (f32vec, f32vec) FOR ORDER BY float_ops,
	OPERATOR 2 <<=>> (f32vec, vk_sphere_f32vec),
	OPERATOR 3 <<=>>= (f32vec, vk_sphere_f32vec),
	FUNCTION 1 f32vec_cosine_support(internal),
	FUNCTION 2 vk_sphere(f32vec, double precision, boolean);

COMMENT ON OPERATOR CLASS f32vec_cosine_ops USING vkflat IS 'cosine distance';

CREATE OPERATOR CLASS f32vec_l1_ops
	FOR TYPE f32vec USING vkflat FAMILY f32vec_l1_ops AS
	OPERATOR 1 <+> (f32vec, f32vec) FOR ORDER BY float_ops,
	OPERATOR 2 <<+>> (f32vec, vk_sphere_f32vec),
	OPERATOR 3 <<+>>= (f32vec, vk_sphere_f32vec),
	FUNCTION 1 f32vec_l1_support(internal),
	FUNCTION 2 vk_sphere(f32vec, double precision, boolean);

COMMENT ON OPERATOR CLASS f32vec_l1_ops USING vkflat IS 'taxicab distance';

CREATE OPERATOR CLASS f32vec_l2_ops
	DEFAULT FOR TYPE f32vec USING vkivf FAMILY f32vec_l2_ops AS
	OPERATOR 1 <-> (f32vec, f32vec) FOR ORDER BY float_ops,
	OPERATOR 2 <<->> (f32vec, vk_sphere_f32vec),
	OPERATOR 3 <<->>= (f32vec, vk_sphere_f32vec),
	FUNCTION 1 f32vec_l2_support(internal),
	FUNCTION 2 vk_sphere(f32vec, double precision, boolean);

COMMENT ON OPERATOR CLASS f32vec_l2_ops USING vkivf IS 'Euclidean distance';

CREATE OPERATOR CLASS f32vec_ip_ops
	FOR TYPE f32vec USING vkivf FAMILY f32vec_ip_ops AS
	OPERATOR 1 <#> (f32vec, f32vec) FOR ORDER BY float_ops,
	OPERATOR 2 <<#>> (f32vec, vk_sphere_f32vec),
	OPERATOR 3 <<#>>= (f32vec, vk_sphere_f32vec),
	FUNCTION 1 f32vec_ip_support(internal),
	FUNCTION 2 vk_sphere(f32vec, double precision, boolean);

COMMENT ON OPERATOR CLASS f32vec_ip_ops USING vkivf IS 'negative inner product';

CREATE OPERATOR CLASS f32vec_cosine_ops
	FOR TYPE f32vec USING vkivf FAMILY f32vec_cosine_ops AS
	OPERATOR 1 <=> (f32vec, f32vec) FOR ORDER BY float_ops,
	OPERATOR 2 <<=>> (f32vec, vk_sphere_f32vec),
	OPERATOR 3 <<=>>= (f32vec, vk_sphere_f32vec),
	FUNCTION 1 f32vec_cosine_support(internal),
	FUNCTION 2 vk_sphere(f32vec, double precision, boolean);

COMMENT ON OPERATOR CLASS f32vec_cosine_ops USING vkivf IS 'cosine distance';

CREATE OPERATOR CLASS f32vec_l1_ops
	FOR TYPE f32vec USING vkivf FAMILY f32vec_l1_ops AS
	OPERATOR 1 <+> (f32vec, f32vec) FOR ORDER BY float_ops,
	OPERATOR 2 <<+>> (f32vec, vk_sphere_f32vec),
	OPERATOR 3 <<+>>= (f32vec, vk_sphere_f32vec),
	FUNCTION 1 f32vec_l1_support(internal),
	FUNCTION 2 vk_sphere(f32vec, double precision, boolean);

COMMENT ON OPERATOR CLASS f32vec_l1_ops USING vkivf IS 'taxicab distance';

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
		SELECT * FROM unnest('{vkflat,vkivf}'::text[]) method, (VALUES
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
		EXECUTE format('CREATE OPERATOR FAMILY %I USING %I', family.name, family.method);
		EXECUTE format('COMMENT ON OPERATOR FAMILY %I USING %I IS %L', family.name, family.method, family.comment);
		FOREACH type IN ARRAY family.types LOOP
			class := replace(type, 'any', '') || '_ops';
			SELECT string_agg(format('OPERATOR %s pg_catalog.%s (pg_catalog.%I, pg_catalog.%I)',
									 strategy, symbols[strategy], type, other), ', ')
				INTO members FROM unnest(family.strategies) strategy, unnest(family.types) other;
			EXECUTE format('CREATE OPERATOR CLASS %I DEFAULT FOR TYPE pg_catalog.%I USING %I FAMILY %I AS %s',
						   class, type, family.method, family.name, members);
			EXECUTE format('COMMENT ON OPERATOR CLASS %I USING %I IS %L', class, family.method, family.comment);
		END LOOP;
	END LOOP;
END
$$;

-- inspection

CREATE FUNCTION vk_check(index regclass, heapallindexed boolean DEFAULT false)
	RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

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
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION vk_stats(regclass) IS 'shape and size of an index; budget_rows is what a search for 10 rows scans at the current vkindex.target_recall';

CREATE FUNCTION vk_last_scan(
	OUT index regclass, OUT isa text, OUT wanted bigint, OUT emitted bigint,
	OUT rounds bigint, OUT exhaustive boolean, OUT budget_rows double precision,
	OUT lists bigint, OUT pages bigint, OUT scanned bigint, OUT refined bigint,
	OUT fetched bigint, OUT rank_us double precision,
	OUT scan_us double precision, OUT fetch_us double precision,
	OUT skipped bigint, OUT matched bigint, OUT checked bigint,
	OUT estimated_recall double precision)
	RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION vk_last_scan() IS 'what the last index scan of this session did';

CREATE FUNCTION vk_simd(OUT kernel text, OUT isa text, OUT available text[])
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE ROWS 32;

COMMENT ON FUNCTION vk_simd() IS 'instruction set in use, and those available, of each distance kernel';

CREATE FUNCTION vk_centroids(index regclass) RETURNS SETOF f32vec
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;

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
	OUT residual double precision, OUT step double precision)
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
	OUT extent_start bigint, OUT extent_length bigint,
	OUT refine_head bigint, OUT refine_tail bigint, OUT summary bigint)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'vk_inspect_slots' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION vk_page_slots(regclass) IS 'slots of the directory of an index: its lists';

CREATE FUNCTION vk_page_blocks(index regclass, block bigint,
	OUT line integer, OUT lane integer, OUT tid tid, OUT live boolean,
	OUT block_scale double precision, OUT norm double precision,
	OUT scale double precision, OUT error double precision,
	OUT keys numeric[])
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'vk_inspect_blocks' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION vk_page_blocks(regclass, bigint) IS 'rows of the blocks that begin on a block page of an index';

CREATE FUNCTION vk_page_codes(index regclass, block bigint,
	OUT item bigint, OUT byte integer, OUT norm double precision,
	OUT scale double precision, OUT error double precision)
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
