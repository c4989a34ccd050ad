--
-- vkflat over pgvector's types gives what its own functions give, to the last bit:
-- any number of dimensions, and values that overflow, vanish, or are no number
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
-- Sums of these depend on their order.  A row is NULL, one is zero, some are equal.
CREATE FUNCTION dimensions(type text, dim int) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	metric text;
	query f32vec;
	k int;
	asked int := 0;
	wrong text := '';
BEGIN
	DROP TABLE IF EXISTS t;
	EXECUTE format('CREATE TABLE t (id int, v %s(%s))', type, dim);
	INSERT INTO t SELECT n, CASE WHEN n % 20 = 7 THEN NULL WHEN n % 20 = 8 THEN flat_vec(0, dim)
		ELSE vec(n / 2, dim, 0.7 + n % 3) END FROM generate_series(1, 40) n;
	FOREACH metric IN ARRAY ARRAY['l2', 'ip', 'cosine', 'l1'] LOOP
		EXECUTE format('CREATE INDEX t_idx ON t USING vkflat (v %s)', class_of(metric, type));
		FOREACH query IN ARRAY ARRAY[vec(4, dim), vec(1000, dim, 3), flat_vec(0, dim)] LOOP
			-- the column's type has fewer values
			EXECUTE format('SELECT %L::%s', query, type) INTO query;
			FOREACH k IN ARRAY ARRAY[1, 10, NULL] LOOP
				asked := asked + 1;
				IF NOT same('t', metric, query, k) THEN
					wrong := wrong || format(' %s %s', metric, k);
				END IF;
			END LOOP;
		END LOOP;
		PERFORM vk_check('t_idx', true);
		DROP INDEX t_idx;
	END LOOP;
	RETURN coalesce('not the same:' || nullif(wrong, ''), asked || ' the same');
END
$$;
SET client_min_messages = warning;
SELECT type, dim, dimensions(type, dim)
FROM unnest('{vector,halfvec}'::text[]) WITH ORDINALITY t(type, n),
	unnest('{1,2,3,7,8,9,31,64,100,127,384,768,1999,2000}'::int[]) dim
ORDER BY n, dim;
RESET client_min_messages;

-- rows whose distances are infinite, denormal, zero, or not a number
CREATE FUNCTION hostile(type text, great text, small text) RETURNS TABLE (metric text, k_same bigint, ranges_same bigint, infinite boolean, nan boolean)
LANGUAGE plpgsql AS $$
DECLARE
	query text;
	radius float8;
BEGIN
	DROP TABLE IF EXISTS t;
	EXECUTE format('CREATE TABLE t (id serial, v %s(5))', type);
	EXECUTE format('INSERT INTO t (v) SELECT (''['' || concat_ws('','', a, b, c, 1, 0) || '']'')::%s
		FROM unnest($1) a, unnest($1) b, unnest(ARRAY[''0'', ''0.5'']) c', type)
		USING ARRAY['0', '1', '-' || great, great, small, '-' || small];
	EXECUTE format('INSERT INTO t (v) VALUES (NULL), (%L), (%L)', '[0,0,0,0,0]', format('[%1$s,%1$s,%1$s,%1$s,%1$s]', small));
	FOREACH metric IN ARRAY ARRAY['l2', 'ip', 'cosine', 'l1'] LOOP
		EXECUTE format('CREATE INDEX t_idx ON t USING vkflat (v %s)', class_of(metric, type));
		k_same := 0;
		ranges_same := 0;
		infinite := false;
		nan := false;
		FOREACH query IN ARRAY ARRAY['[0,0,0,0,0]', '[1,1,1,1,1]', format('[%1$s,-%1$s,0,0,%1$s]', great), format('[%s,%s,0,0,0]', great, small), format('[%1$s,%1$s,%1$s,%1$s,%1$s]', small)] LOOP
			k_same := k_same + (same('t', metric, query::f32vec, 7) AND same('t', metric, query::f32vec, NULL))::int;
			FOREACH radius IN ARRAY ARRAY['0', '1', 'inf', '-inf', 'nan', '1e-45', great]::float8[] LOOP
				ranges_same := ranges_same + (agree('bitmap', format('SELECT id FROM t WHERE v %s %L::%s <= %L', operator_of(metric), query, type, radius)) ~ '^\d+ rows$')::int;
			END LOOP;
			EXECUTE format('SELECT $1 OR bool_or(abs(d) = ''inf''), $2 OR bool_or(d = ''nan'') FROM (SELECT v %s %L AS d FROM t) s', operator_of(metric), query)
				INTO infinite, nan USING infinite, nan;
		END LOOP;
		PERFORM vk_check('t_idx', true);
		RETURN NEXT;
		DROP INDEX t_idx;
	END LOOP;
END
$$;
SET client_min_messages = warning;
SELECT type, h.* FROM (VALUES (1, 'vector', '3e38', '1e-42'), (2, 'vector', '1.5e19', '1e-23'), (3, 'halfvec', '65504', '6e-8')) t(ord, type, great, small), hostile(type, great, small) h ORDER BY ord, array_position('{l2,ip,cosine,l1}', metric);
DROP SCHEMA vk_test CASCADE;
