-- graphs over every type and operator, as by the sequential plan
SET max_parallel_workers_per_gather = 0;

CREATE FUNCTION numbers(i int) RETURNS real[] LANGUAGE sql IMMUTABLE AS $$
	SELECT array_agg((i * 7919 + k * 104729 + i * k * 31) % 41 - 20 ORDER BY k)::real[] FROM generate_series(1, 20) k
$$;
CREATE FUNCTION bits(i int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT string_agg(((i * 7919 + k * 104729 + i * k * 31) % 5 < 2)::int::text, '' ORDER BY k) FROM generate_series(1, 20) k
$$;

-- pairs and degrees that only one side has, where few pairs are within and where most are
CREATE FUNCTION differ(type text, operator text, class text, method text, maker text,
	OUT pairs bigint, OUT different bigint, OUT degrees bigint)
LANGUAGE plpgsql AS $$
DECLARE
	radius float8;
	share float8;
	more bigint;
	unequal bigint;
	miscounted bigint;
BEGIN
	EXECUTE format('CREATE TEMP TABLE rows AS SELECT i AS id, %s(i)::%s(20) AS v FROM generate_series(1, 160) i', maker, type);
	EXECUTE format('CREATE TEMP TABLE pairs AS SELECT a.ctid AS a, b.ctid AS b, a.v %s b.v AS distance
		FROM rows a, rows b WHERE a.ctid <> b.ctid', operator);
	EXECUTE format('CREATE INDEX rows_v ON rows USING %s (v %s)', method, class);
	pairs := 0;
	different := 0;
	degrees := 0;
	FOREACH share IN ARRAY '{0.01, 0.6}'::float8[] LOOP
		radius := (SELECT percentile_disc(share) WITHIN GROUP (ORDER BY p.distance) FROM pairs p);
		SELECT count(*), count(*) FILTER (WHERE g.distance IS DISTINCT FROM p.distance) INTO more, unequal
		FROM vk_similarity_graph('rows_v', radius, true, 0) g
			FULL JOIN (SELECT * FROM pairs p WHERE p.distance < radius) p ON g."row" = p.a AND g.neighbor = p.b;
		SELECT count(*) INTO miscounted FROM (SELECT * FROM vk_similarity_degree('rows_v', radius) WHERE neighbors > 0) d
			FULL JOIN (SELECT a, count(*) FROM pairs p WHERE p.distance < radius GROUP BY a) p ON d."row" = p.a AND d.neighbors = p.count
		WHERE d."row" IS NULL OR p.a IS NULL;
		pairs := pairs + more;
		different := different + unequal;
		degrees := degrees + miscounted;
	END LOOP;
	DROP TABLE rows, pairs;
END
$$;

SELECT count(*) AS cases, sum(pairs) > 100000 AS many, sum(different) AS different, sum(degrees) AS degrees
FROM (SELECT t AS type, o.symbol, t || '_' || o.name || '_ops' AS class, 'numbers' AS maker
	  FROM unnest('{f32vec,f16vec,bf16vec,i8vec,vector,halfvec}'::text[]) t,
		   (VALUES ('<->', 'l2'), ('<#>', 'ip'), ('<=>', 'cosine'), ('<+>', 'l1')) o (symbol, name)
	  UNION ALL
	  VALUES ('bit', '<~>', 'bit_hamming_ops', 'bits'), ('bit', '<%>', 'bit_jaccard_ops', 'bits')) c,
	 unnest('{vkflat,vkivf}'::text[]) method,
	 LATERAL differ(type, symbol, class, method, maker);

DROP FUNCTION numbers, bits, differ;
