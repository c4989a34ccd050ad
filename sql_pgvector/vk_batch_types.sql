-- batches and LATERAL joins over every type and operator, as by the sequential plan
SET max_parallel_workers_per_gather = 0;
SET vkindex.target_recall = 1;
SET jit = off;

CREATE FUNCTION numbers(i int) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$
	SELECT array_agg((i * 7919 + k * 104729 + i * k * 31) % 41 - 20 ORDER BY k)::real[] FROM generate_series(1, 40) k
$$;
CREATE FUNCTION bits(i int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT string_agg(((i * 7919 + k * 104729 + i * k * 31) % 5 < 2)::int::text, '' ORDER BY k) FROM generate_series(1, 40) k
$$;

-- distances of the ten nearest to 40 of the rows: by a batch, a join, and no index;
-- and pairs within a radius that half of those have
CREATE FUNCTION differ(type text, operator text, class text, method text, maker text,
	OUT answers bigint, OUT batch bigint, OUT joined bigint, OUT planned int, OUT pairs bigint, OUT within bigint)
LANGUAGE plpgsql AS $$
DECLARE
	ranged text;
	line text;
	nearest CONSTANT text := format('SELECT q.n AS query, row_number() OVER (PARTITION BY q.n ORDER BY t.d) AS rank, t.d AS distance
		FROM questions q CROSS JOIN LATERAL (SELECT r.v %1$s q.v AS d FROM rows r ORDER BY r.v %1$s q.v LIMIT 10) t', operator);
BEGIN
	EXECUTE format('CREATE TEMP TABLE rows AS SELECT i AS id, %s(i)::%s(40) AS v FROM generate_series(1, 1000) i', maker, type);
	EXECUTE 'CREATE TEMP TABLE questions AS SELECT (id / 25)::int AS n, v FROM rows WHERE id % 25 = 0';
	EXECUTE 'CREATE TEMP TABLE right_ones AS ' || nearest;
	ranged := format('SELECT q.n, r.id, r.v %1$s q.v AS d FROM questions q JOIN rows r ON r.v %1$s q.v <= %2$L', operator,
		(SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY distance) FROM right_ones));
	EXECUTE 'CREATE TEMP TABLE right_pairs AS ' || ranged;
	EXECUTE format('CREATE INDEX rows_v ON rows USING %s (v %s)', method, class);
	ANALYZE rows, questions;
	SET LOCAL enable_seqscan = off;
	EXECUTE 'CREATE TEMP TABLE joined AS ' || nearest;
	EXECUTE 'CREATE TEMP TABLE batch AS SELECT query, rank, distance
		FROM vk_knn_batch(''rows_v'', ARRAY(SELECT v FROM questions ORDER BY n), 10)';
	EXECUTE 'CREATE TEMP TABLE joined_pairs AS ' || ranged;
	planned := 0;
	FOR line IN EXECUTE 'EXPLAIN ' || ranged LOOP
		planned := planned + (line LIKE '%vkindex batch%')::int;
	END LOOP;
	SELECT count(*) INTO answers FROM right_ones;
	SELECT count(*) INTO batch FROM right_ones a FULL JOIN batch b USING (query, rank)
		WHERE a.distance IS DISTINCT FROM b.distance;
	SELECT count(*) INTO joined FROM right_ones a FULL JOIN joined b USING (query, rank)
		WHERE a.distance IS DISTINCT FROM b.distance;
	SELECT count(a.n), count(*) FILTER (WHERE a.d IS DISTINCT FROM b.d) INTO pairs, within
		FROM right_pairs a FULL JOIN joined_pairs b USING (n, id);
	DROP TABLE rows, questions, right_ones, right_pairs, joined, joined_pairs, batch;
END
$$;

SELECT count(*) AS cases, sum(answers) AS answers, sum(batch) AS batch, sum(joined) AS joined,
	sum(planned) AS planned, min(pairs) > 100 AS pairs, sum(within) AS within
FROM (SELECT t AS type, o.symbol, t || '_' || o.name || '_ops' AS class, 'numbers' AS maker
	  FROM unnest('{f32vec,f16vec,bf16vec,i8vec,vector,halfvec}'::text[]) t,
		   (VALUES ('<->', 'l2'), ('<#>', 'ip'), ('<=>', 'cosine'), ('<+>', 'l1')) o (symbol, name)
	  UNION ALL
	  VALUES ('bit', '<~>', 'bit_hamming_ops', 'bits'), ('bit', '<%>', 'bit_jaccard_ops', 'bits')) c,
	 unnest('{vkflat,vkivf}'::text[]) method,
	 LATERAL differ(type, symbol, class, method, maker);

DROP FUNCTION numbers, bits, differ;
