-- MaxSim of arrays of vectors, by every type
CREATE FUNCTION pg_temp.by_pairs(document anycompatiblearray, query anycompatiblearray) RETURNS float8
LANGUAGE sql AS $$
	SELECT sum(greatest) FROM (
		SELECT max(inner_product(d::f32vec, q::f32vec)) AS greatest
		FROM unnest(query) WITH ORDINALITY q (q, n), unnest(document) d (d)
		WHERE q IS NOT NULL AND d IS NOT NULL GROUP BY n) s
$$;

-- by hand: (1,0) finds 4, (0,1) finds 5
SELECT vk_maxsim('{"[1,2]","[4,0]","[-1,5]"}'::f32vec[], '{"[1,0]","[0,1]"}') AS maxsim,
	'{"[1,2]","[4,0]","[-1,5]"}'::f32vec[] @# '{"[1,0]","[0,1]"}' AS distance;

-- every type and many shapes as by pairs; integers, so no sum is rounded
CREATE TEMP TABLE shapes AS
	SELECT documents, queries, dim,
		   (SELECT array_agg((SELECT array_agg((n * 7 + k * 5 + n * k) % 9 - 4 ORDER BY k)::i8vec FROM generate_series(1, dim) k) ORDER BY n)
			FROM generate_series(1, documents) n) AS document,
		   (SELECT array_agg((SELECT array_agg((n * 5 + k * 3 + n * k) % 7 - 3 ORDER BY k)::i8vec FROM generate_series(1, dim) k) ORDER BY n)
			FROM generate_series(1, queries) n) AS query
	FROM unnest('{1,2,15,16,17,33}'::int[]) documents, unnest('{1,2,16,33}'::int[]) queries,
		 unnest('{1,3,31,32,33,65}'::int[]) dim;
SELECT count(*), count(*) FILTER (WHERE vk_maxsim(document, query) = by_pairs
	AND vk_maxsim(document::f32vec[], query::f32vec[]) = by_pairs
	AND vk_maxsim(document::f16vec[], query::f16vec[]) = by_pairs
	AND vk_maxsim(document::bf16vec[], query::bf16vec[]) = by_pairs) AS equal
FROM (SELECT *, pg_temp.by_pairs(document, query) FROM shapes) s;

-- vectors that are NULL are left out
SELECT vk_maxsim('{"[1,2]",NULL,"[4,0]"}'::f32vec[], '{NULL,"[1,0]"}');
SELECT vk_maxsim(ARRAY['[1,2]', NULL, '[4,0]', '[1,1]']::f16vec[], ARRAY['[0,1]', '[1,0]', NULL]::f16vec[]);
-- no vectors
SELECT vk_maxsim('{}'::f32vec[], '{"[1,0]"}'), vk_maxsim('{NULL}'::f32vec[], '{"[1,0]"}'),
	vk_maxsim('{"[1,0]"}'::f32vec[], '{}'), vk_maxsim(NULL::f32vec[], '{"[1,0]"}');
-- all products negative
SELECT vk_maxsim('{"[-1,-2]","[-4,-1]"}'::bf16vec[], '{"[1,1]","[2,1]"}');
-- documents without vectors come last
SELECT id FROM (VALUES (1, '{"[1,0]"}'::f32vec[]), (2, '{}'), (3, '{"[3,0]","[0,9]"}'), (4, NULL)) d (id, v)
ORDER BY v @# '{"[1,0]"}', id;
-- compressed vectors within an array
CREATE TEMP TABLE compressed (v f32vec[]);
ALTER TABLE compressed ALTER v SET STORAGE EXTENDED;
INSERT INTO compressed SELECT array_fill(array_fill(1, ARRAY[1000])::f32vec, ARRAY[20]);
SELECT vk_maxsim(v, v[1:2]) FROM compressed;
-- so many products that they are taken in pieces
SELECT vk_maxsim(document, query) = (SELECT sum(greatest ORDER BY n) FROM (
	SELECT n, max(inner_product(d, q)) AS greatest FROM unnest(query) WITH ORDINALITY q (q, n), unnest(document) d (d) GROUP BY n) s) AS equal
FROM (SELECT array_agg(v) FILTER (WHERE n > 400) AS document, array_agg(v) FILTER (WHERE n <= 400) AS query
	FROM (SELECT n, (SELECT array_agg(sin(n * k)) FROM generate_series(1, 1000) k)::f32vec AS v FROM generate_series(1, 1800) n) rows) a;
-- errors
SELECT vk_maxsim('{"[1,2]","[1,2,3]"}'::f32vec[], '{"[1,2]"}');
SELECT vk_maxsim('{"[1,2]"}'::f32vec[], '{"[1,2,3]"}');
SELECT vk_maxsim('{{"[1,2]"},{"[1,2]"}}'::f32vec[], '{"[1,2]"}');
SELECT vk_maxsim('{"[3e38]"}'::f32vec[], '{"[3e38]"}'), '{"[3e38]"}'::f32vec[] @# '{"[3e38]"}';
