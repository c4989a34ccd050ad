-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION vkindex_pgvector" to load this file. \quit

-- Spheres, operator classes and casts of pgvector's types, and of bit with
-- pgvector's operators.  In a definition <name> stands for the column of that
-- name in the rows below it.
--
-- The script runs with the rights of a superuser in a schema that may be anyone's.
-- So what it uses is named with its schema: of functions those that the search
-- path would choose by their arguments, and everything of the two extensions.

DO $$
DECLARE
	sphere_definition CONSTANT text := $definition$

CREATE TYPE vk_sphere_<name> AS (center <type>, radius double precision, exact boolean);
COMMENT ON TYPE vk_sphere_<name> IS 'vectors nearer to a center than a radius; exact: an approximate index may not answer';

CREATE FUNCTION <sphere>(center <type>, radius double precision, exact boolean DEFAULT false)
	RETURNS vk_sphere_<name>
	AS 'MODULE_PATHNAME', 'vk_sphere_make' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION <sphere>(<type>, double precision, boolean) IS 'sphere of vectors nearer to a center than a radius';

$definition$;

	metric_definition CONSTANT text := $definition$

CREATE FUNCTION <name>_<metric>_within(<type>, vk_sphere_<name>) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vk_<metric>_within' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10 <cost>;
COMMENT ON FUNCTION <name>_<metric>_within(<type>, vk_sphere_<name>) IS 'implementation of <<operator>> operator';

CREATE FUNCTION <name>_<metric>_within_equal(<type>, vk_sphere_<name>) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vk_<metric>_within_equal' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10 <cost>;
COMMENT ON FUNCTION <name>_<metric>_within_equal(<type>, vk_sphere_<name>) IS 'implementation of <<operator>>= operator';

CREATE OPERATOR <<operator>> (
	LEFTARG = <type>, RIGHTARG = vk_sphere_<name>, PROCEDURE = <name>_<metric>_within,
	RESTRICT = <vkindex>.vk_sphere_sel, JOIN = <vkindex>.vk_sphere_joinsel
);
COMMENT ON OPERATOR <<operator>> (<type>, vk_sphere_<name>) IS '<distance> less than radius';

CREATE OPERATOR <<operator>>= (
	LEFTARG = <type>, RIGHTARG = vk_sphere_<name>, PROCEDURE = <name>_<metric>_within_equal,
	RESTRICT = <vkindex>.vk_sphere_sel, JOIN = <vkindex>.vk_sphere_joinsel
);
COMMENT ON OPERATOR <<operator>>= (<type>, vk_sphere_<name>) IS '<distance> at most radius';

CREATE FUNCTION vk_<name>_<metric>_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vk_<name>_<metric>_support(internal) IS 'operator class support of vkflat and vkivf';

$definition$;

	class_definition CONSTANT text := $definition$

CREATE OPERATOR FAMILY <name>_<metric>_ops USING <method>;
COMMENT ON OPERATOR FAMILY <name>_<metric>_ops USING <method> IS '<distance>';

CREATE OPERATOR CLASS <name>_<metric>_ops
	<default> FOR TYPE <type> USING <method> FAMILY <name>_<metric>_ops AS
	OPERATOR 1 <pgvector>.<operator> (<type>, <type>) FOR ORDER BY pg_catalog.float_ops,
	OPERATOR 2 <<operator>> (<type>, vk_sphere_<name>),
	OPERATOR 3 <<operator>>= (<type>, vk_sphere_<name>),
	FUNCTION 1 vk_<name>_<metric>_support(internal),
	FUNCTION 2 <sphere>(<type>, double precision, boolean);
COMMENT ON OPERATOR CLASS <name>_<metric>_ops USING <method> IS '<distance>';

$definition$;

	-- the layout is the same
	relabel_definition CONSTANT text := $definition$

CREATE CAST (<source> AS <target>) WITHOUT FUNCTION <context>;
COMMENT ON CAST (<source> AS <target>) IS 'elements as they are';

$definition$;

	cast_definition CONSTANT text := $definition$

CREATE FUNCTION <from>_to_<to>(<source>, integer, boolean) RETURNS <target>
	AS 'MODULE_PATHNAME', '<symbol>' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION <from>_to_<to>(<source>, integer, boolean) IS 'convert <from> to <to>';

CREATE CAST (<source> AS <target>)
	WITH FUNCTION <from>_to_<to>(<source>, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (<source> AS <target>) IS 'elements rounded where they must be';

$definition$;

	vkindex CONSTANT text := (SELECT pg_catalog.quote_ident(nspname)
		FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
		WHERE extname = 'vkindex');
	pgvector CONSTANT text := (SELECT pg_catalog.quote_ident(nspname)
		FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
		WHERE extname = 'vector');
	object record;
	name text;
	value text;
BEGIN
	FOR object IN
		-- twin: our type of the same layout; first: the metric of the default class.  A
		-- vk_sphere of bits would make vk_sphere('[1,2]', 3) ambiguous: a literal may be
		-- bits as well, and theirs is another category of types.
		WITH types (name, type, twin, sphere, first, metrics) AS (VALUES
			('vector', pgvector || '.vector', 'f32vec', 'vk_sphere', 'l2', '{l2,ip,cosine,l1}'::text[]),
			('halfvec', pgvector || '.halfvec', 'f16vec', 'vk_sphere', 'l2', '{l2,ip,cosine,l1}'),
			('bit', 'pg_catalog.bit', NULL, 'vk_bit_sphere', 'hamming', '{hamming,jaccard}')
		), metrics (metric, operator, distance) AS (VALUES
			('l2', '<->', 'Euclidean distance'),
			('ip', '<#>', 'negative inner product'),
			('cosine', '<=>', 'cosine distance'),
			('l1', '<+>', 'taxicab distance'),
			('hamming', '<~>', 'Hamming distance'),
			('jaccard', '<%>', 'Jaccard distance')
		), pairs AS (
			SELECT t.name, t.type, t.sphere, m.metric, m.operator, m.distance, pgvector, vkindex,
				'SUPPORT ' || vkindex || '.' || t.twin || '_distance_support' AS cost,
				CASE m.metric WHEN t.first THEN 'DEFAULT' END AS "default"
			FROM types t, metrics m WHERE m.metric = ANY (t.metrics)
		), casts ("from", "to", source, target, symbol, same) AS (
			SELECT t.name, u.name, t.type, vkindex || '.' || u.name, t.twin || '_to_' || u.name, t.twin = u.name
			FROM types t, pg_catalog.unnest('{f32vec,f16vec,bf16vec,i8vec}'::text[]) u (name)
			WHERE t.twin IS NOT NULL
			UNION ALL
			SELECT u.name, t.name, vkindex || '.' || u.name, t.type, u.name || '_to_' || t.twin, t.twin = u.name
			FROM types t, pg_catalog.unnest('{f32vec,f16vec,bf16vec,i8vec}'::text[]) u (name)
			WHERE t.twin IS NOT NULL
		)
		SELECT 1 AS turn, sphere_definition AS definition, pg_catalog.to_jsonb(t) AS columns
			FROM types t
		UNION ALL
		SELECT 2, metric_definition, pg_catalog.to_jsonb(p)
			FROM pairs p
		UNION ALL
		SELECT 3, pg_catalog.replace(class_definition, '<method>', method), pg_catalog.to_jsonb(p)
			FROM pairs p, pg_catalog.unnest('{vkflat,vkivf}'::text[]) method
		UNION ALL
		-- implicit from vector alone: more would leave PostgreSQL a choice of operators
		SELECT 4, pg_catalog.replace(relabel_definition, '<context>',
				CASE c."from" WHEN 'vector' THEN 'AS IMPLICIT' ELSE 'AS ASSIGNMENT' END), pg_catalog.to_jsonb(c)
			FROM casts c WHERE same
		UNION ALL
		SELECT 4, cast_definition, pg_catalog.to_jsonb(c)
			FROM casts c WHERE NOT same
		ORDER BY 1
	LOOP
		FOR name, value IN SELECT * FROM pg_catalog.jsonb_each_text(object.columns) LOOP
			object.definition := pg_catalog.replace(object.definition, '<' || name || '>', coalesce(value, ''));
		END LOOP;
		EXECUTE object.definition;
	END LOOP;
END
$$;
