--
-- Batches over bit vectors: exact scores block by block, many of them equal
--
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
CREATE SCHEMA vk_test;
SET search_path = vk_test, public;

CREATE FUNCTION bits(seed int) RETURNS bit(40) LANGUAGE sql IMMUTABLE AS $$
	SELECT substr(('x' || md5(seed::text))::bit(128)::text, 1, 40)::bit(40) $$;
CREATE TABLE t (id int, v bit(40), a int);
CREATE FUNCTION queries(count int) RETURNS bit[] LANGUAGE sql AS $$
	SELECT array_agg(CASE WHEN i % 5 = 2 THEN bits(i * 3) WHEN i = 9 THEN 0::bit(40) ELSE bits(50000 + i) END ORDER BY i)
	FROM generate_series(1, count) i $$;

-- queries whose answer is not the sequential plan's, distance by distance; rows
-- must have the distance that is said, and come once
CREATE FUNCTION differ(index regclass, operator text, queries bit[], k int,
					   OUT rows int, OUT different int) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('enable_indexscan', 'off', true);
	EXECUTE format($q$
		WITH batch AS MATERIALIZED (
			SELECT b.query, rank, distance, id, v OPERATOR(public.%1$s) $2[b.query] AS again
			FROM vk_knn_batch($1, $2, $3) b LEFT JOIN t ON t.ctid = b."row")
		SELECT sum(r), sum(wrong::int) FROM (
			SELECT count(batch.id) AS r,
				array_agg(distance ORDER BY rank) FILTER (WHERE rank > 0) IS DISTINCT FROM
				(SELECT array_agg(d ORDER BY d) FROM (SELECT v OPERATOR(public.%1$s) $2[n] AS d FROM t
					WHERE v IS NOT NULL ORDER BY 1 LIMIT $3) s)
				OR coalesce(bool_or(distance <> again), false) OR count(DISTINCT id) <> count(distance) AS wrong
			FROM generate_series(1, cardinality($2)) n LEFT JOIN batch ON batch.query = n GROUP BY n) s
		$q$, operator) INTO rows, different USING index, queries, k;
	PERFORM set_config('enable_indexscan', 'on', true);
END
$$;
CREATE TABLE results (class text, method text, options text, k int, rows int, different int, path text);
DO $$
DECLARE
	class text;
	method text;
	options text;
	k int;
BEGIN
	FOREACH class IN ARRAY ARRAY['bit_hamming_ops', 'bit_jaccard_ops'] LOOP
		FOREACH method IN ARRAY ARRAY['vkflat', 'vkivf'] LOOP
			options := CASE WHEN method = 'vkivf' AND class = 'bit_hamming_ops' THEN 'WITH (lists = 20)' ELSE '' END;
			TRUNCATE t;
			INSERT INTO t SELECT n, CASE WHEN n % 97 = 0 THEN NULL WHEN n % 89 = 0 THEN 0::bit(40)
				WHEN n % 7 = 0 THEN bits(n % 70) ELSE bits(n) END, n FROM generate_series(1, 2000) n;
			EXECUTE format('CREATE INDEX t_idx ON t USING %s (v %s) %s', method, class, options);
			INSERT INTO t SELECT n, bits(n), n FROM generate_series(9001, 9050) n;
			DELETE FROM t WHERE id % 11 = 3;
			UPDATE t SET a = a + 1 WHERE id % 5 = 0;
			UPDATE t SET v = bits(-id) WHERE id % 13 = 4;
			PERFORM set_config('vkindex.target_recall', '1', true);
			FOREACH k IN ARRAY ARRAY[1, 10, 300, 5000] LOOP
				INSERT INTO results SELECT class, method, options, k, d.*, (SELECT path FROM vk_last_scan())
				FROM differ('t_idx', CASE class WHEN 'bit_hamming_ops' THEN '<~>' ELSE '<%>' END, queries(20), k) d;
			END LOOP;
			DROP INDEX t_idx;
		END LOOP;
	END LOOP;
END
$$;
SELECT * FROM results ORDER BY class, method, k;

-- within a radius: equal distances count or not together
CREATE INDEX t_idx ON t USING vkflat (v bit_hamming_ops);
SELECT radius, count(*) AS pairs, count(*) FILTER (WHERE v <~> (queries(20))[query] IS DISTINCT FROM distance) AS wrong,
	(SELECT count(*) FROM t, unnest(queries(20)) q WHERE v <~> q < radius) AS true_pairs
FROM unnest(ARRAY[0, 1, 10, 12.5]::float8[]) radius, vk_range_batch('t_idx', queries(20), radius) b LEFT JOIN t ON t.ctid = b."row"
GROUP BY 1 ORDER BY 1;

-- declared recall: lists by their centres, scores exact all the same
DROP INDEX t_idx;
CREATE INDEX t_idx ON t USING vkivf (v bit_hamming_ops) WITH (lists = 20);
SELECT count(*) AS rows, count(*) FILTER (WHERE v <~> asked[query] IS DISTINCT FROM distance) AS wrong
FROM (SELECT queries(150) AS asked OFFSET 0) q, vk_knn_batch('t_idx', asked, 5, 0.9) b LEFT JOIN t ON t.ctid = b."row";
SELECT path FROM vk_last_scan();
DROP SCHEMA vk_test CASCADE;
