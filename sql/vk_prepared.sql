--
-- prepared statements
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE t (id int, v f32vec(8));
INSERT INTO t SELECT n, vec(n, 8) FROM generate_series(1, 2000) n;
ANALYZE t;
SET enable_seqscan = off;

CREATE FUNCTION expected(query f32vec, k bigint, skip bigint) RETURNS int[]
LANGUAGE sql AS $$
	SELECT array_agg(id) FROM (SELECT id FROM t ORDER BY l2_distance(v, query), id LIMIT k OFFSET skip) s
$$;

CREATE INDEX t_idx ON t USING vkflat (v);
PREPARE nearest (f32vec, bigint, bigint) AS
	SELECT array_agg(id) FROM (SELECT id FROM t ORDER BY v <-> $1 LIMIT $2 OFFSET $3) s;

SET plan_cache_mode = force_custom_plan;
EXPLAIN (COSTS OFF) EXECUTE nearest ('[1,0,0,0,0,0,0,0]', 5, 0);
EXECUTE nearest (vec(7, 8), 5, 0) \gset custom_
SELECT :'custom_array_agg' = expected(vec(7, 8), 5, 0) AS custom;

SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE nearest (vec(7, 8), 5, 0);
EXECUTE nearest (vec(7, 8), 5, 0) \gset generic_
SELECT :'generic_array_agg' = expected(vec(7, 8), 5, 0) AS generic;
-- the same plan, other limits
EXECUTE nearest (vec(8, 8), 1, 0) \gset one_
SELECT :'one_array_agg' = expected(vec(8, 8), 1, 0) AS one;
EXECUTE nearest (vec(9, 8), 300, 100) \gset many_
SELECT :'many_array_agg' = expected(vec(9, 8), 300, 100) AS many;
EXECUTE nearest (vec(9, 8), NULL, 1990) \gset last_
SELECT :'last_array_agg' = expected(vec(9, 8), NULL, 1990) AS last;
EXECUTE nearest (vec(9, 8), 0, 0);
-- what is no query
EXECUTE nearest (NULL, 5, 0) \gset null_
SELECT cardinality(:'null_array_agg'::int[]) AS any_five;
EXECUTE nearest ('[1,2,3]', 5, 0);
EXECUTE nearest (vec(9, 8), -1, 0);
EXECUTE nearest (vec(9, 8), 1, -1);
EXECUTE nearest (vec(7, 8), 5, 0) \gset after_
SELECT :'after_array_agg' = expected(vec(7, 8), 5, 0) AS after_errors;

-- six times: the server chooses
RESET plan_cache_mode;
DO $$
BEGIN
	EXECUTE 'PREPARE auto (f32vec) AS SELECT id FROM t ORDER BY v <-> $1 LIMIT 3';
END
$$;
CREATE FUNCTION six_times() RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
	query f32vec;
	ids int[];
	good int := 0;
BEGIN
	-- a static statement of plpgsql: custom plans first, then a generic one
	FOR n IN 1..12 LOOP
		query := vec(-n, 8);
		ids := ARRAY(SELECT id FROM t ORDER BY v <-> query LIMIT n);
		good := good + (ids = expected(query, n, 0))::int;
	END LOOP;
	RETURN good;
END
$$;
SELECT six_times();
DEALLOCATE auto;

-- a plan outlives its index, and takes up the next one
SET plan_cache_mode = force_generic_plan;
DROP INDEX t_idx;
EXECUTE nearest (vec(7, 8), 5, 0) \gset none_
SELECT :'none_array_agg' = expected(vec(7, 8), 5, 0) AS without_index;
CREATE INDEX t_idx ON t USING vkivf (v) WITH (lists = 10);
SET vkindex.target_recall = 1;
EXPLAIN (COSTS OFF) EXECUTE nearest (vec(7, 8), 5, 0);
EXECUTE nearest (vec(7, 8), 5, 0) \gset ivf_
SELECT :'ivf_array_agg' = expected(vec(7, 8), 5, 0) AS vkivf;
REINDEX INDEX t_idx;
EXECUTE nearest (vec(7, 8), 5, 0) \gset reindexed_
SELECT :'reindexed_array_agg' = expected(vec(7, 8), 5, 0) AS reindexed;
INSERT INTO t SELECT n, vec(n, 8) FROM generate_series(2001, 2100) n;
EXECUTE nearest (vec(2050, 8), 5, 0) \gset inserted_
SELECT :'inserted_array_agg' = expected(vec(2050, 8), 5, 0) AS inserted;
SELECT six_times();
DEALLOCATE nearest;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
