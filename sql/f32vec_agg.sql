--
-- f32vec: avg and sum
--

SELECT avg(v), sum(v) FROM unnest('{"[1,2,3]","[3,5,7]"}'::f32vec[]) v;
SELECT avg(v), sum(v) FROM unnest('{"[1,2,3]",NULL,"[3,5,7]",NULL}'::f32vec[]) v;
SELECT avg(v), sum(v) FROM unnest('{"[-0,1.5]"}'::f32vec[]) v;
SELECT avg(v), sum(v) FROM unnest('{NULL}'::f32vec[]) v;
SELECT avg(v), sum(v) FROM unnest('{}'::f32vec[]) v;
SELECT avg(v) FROM unnest('{"[1,2]","[3]"}'::f32vec[]) v;
SELECT sum(v) FROM unnest('{"[1,2]","[3]"}'::f32vec[]) v;
SELECT avg(v) FROM unnest('{"[3e38]","[3e38]"}'::f32vec[]) v;
SELECT sum(v) FROM unnest('{"[3e38]","[3e38]"}'::f32vec[]) v;
SELECT vector_dims(avg(v)), vector_dims(sum(v)) FROM (SELECT array_fill(1, ARRAY[16000])::f32vec v) s;

-- sums of doubles, rounded at the end
SELECT avg(v) FROM unnest('{"[16777216]","[1]","[1]","[1]"}'::f32vec[]) v;

-- groups, DISTINCT, FILTER, as a window (the state outlives each result)
CREATE TABLE f32vec_agg (id int, grp int, v f32vec(3));
INSERT INTO f32vec_agg SELECT i, i % 3, ARRAY[i, -i, i % 10]::f32vec FROM generate_series(1, 30) i;
SELECT grp, count(*), avg(v), sum(v) FROM f32vec_agg GROUP BY grp ORDER BY grp;
SELECT avg(DISTINCT subvector(v, 3, 1)), sum(v) FILTER (WHERE id < 4), avg(v) FILTER (WHERE id < 0) FROM f32vec_agg;
SELECT id, avg(v) OVER w, sum(v) OVER w FROM f32vec_agg WHERE id < 6
WINDOW w AS (ORDER BY id) ORDER BY id;
SELECT id, avg(v) OVER w, sum(v) OVER w FROM f32vec_agg WHERE id < 6
WINDOW w AS (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) ORDER BY id;
-- both aggregates read the same state once
SELECT avg(v), avg(v) FROM f32vec_agg;

-- grouping sets keep several states at once
SELECT grp, id % 2 AS odd, avg(v) FROM f32vec_agg WHERE id <= 6
GROUP BY GROUPING SETS ((grp), (odd), ()) ORDER BY 1, 2;

-- parallel: workers' states are combined
TRUNCATE f32vec_agg;
INSERT INTO f32vec_agg SELECT i, i % 3, ARRAY[i % 100, -(i % 50), 1]::f32vec FROM generate_series(1, 20000) i;
ANALYZE f32vec_agg;
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT avg(v), sum(v) FROM f32vec_agg;
SELECT avg(v), sum(v) FROM f32vec_agg;
-- workers that saw no row bring an empty state
SELECT avg(v), sum(v) FROM f32vec_agg WHERE id = 7;
SELECT avg(v), sum(v) FROM f32vec_agg WHERE id = -1;
COMMIT;
SELECT avg(v), sum(v) FROM f32vec_agg;
DROP TABLE f32vec_agg;

-- the functions below the aggregates check what they are given
SELECT f32vec_accum('{0}', '[1,2,3]'), f32vec_accum('{1,1,2,3}', '[1,2,3]');
SELECT f32vec_accum('{1,0,0}', '[1]');
SELECT f32vec_accum('{1,1.7e308}', '[3e38]');
SELECT f32vec_accum('{1,Infinity}', '[1]');
SELECT f32vec_accum('{}', '[1]');
SELECT f32vec_accum('{{0}}', '[1]');
SELECT f32vec_accum('{NULL,1}', '[1]');
SELECT f32vec_combine('{1,2}', '{3,4}'), f32vec_combine('{0}', '{3,4}'), f32vec_combine('{3,4}', '{0}'),
	f32vec_combine('{0}', '{0}');
SELECT f32vec_combine('{1,2}', '{3,4,5}');
SELECT f32vec_combine('{1,1.7e308}', '{1,1.7e308}');
SELECT f32vec_combine('{}', '{0}');
SELECT f32vec_combine('{0}', '{}');
SELECT f32vec_combine('{{1,2}}', '{3,4}');
SELECT f32vec_combine('{1,2}', '{3,NULL}');
SELECT f32vec_combine('{0}', array_fill(1::float8, ARRAY[16002]));
SELECT f32vec_combine(array_fill(1::float8, ARRAY[16002]), '{0}');
SELECT f32vec_combine(array_fill(1::float8, ARRAY[16002]), array_fill(1::float8, ARRAY[16002]));
SELECT f32vec_avg('{2,2,4,7}'), f32vec_avg('{0}'), f32vec_avg('{0,1,2}');
SELECT f32vec_avg('{1}');
SELECT f32vec_avg('{}');
SELECT f32vec_avg('{{2,2}}');
SELECT f32vec_avg('{2,NULL}');
SELECT f32vec_avg('{1,NaN}');
SELECT f32vec_avg('{1,1e300}');
SELECT f32vec_avg(array_fill(1::float8, ARRAY[16002]));
-- a state given by hand is not changed
SELECT f32vec_accum(s, '[5]'), s FROM (VALUES ('{1,2}'::float8[])) t (s);
\set VERBOSITY sqlstate
SELECT f32vec_avg('{}');
SELECT f32vec_accum('{1,0,0}', '[1]');
SELECT f32vec_combine('{1,1.7e308}', '{1,1.7e308}');
\set VERBOSITY default
