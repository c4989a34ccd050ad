--
-- The table of the golden images: every row in its place, on every version.
--
-- Values come from integer arithmetic alone, rows are inserted in one order and
-- have lengths that no version changes, so that a row has the same TID always.
--
CREATE TABLE golden (id bigint, kind smallint, tag text, stamp bigint, embedding f32vec(24));

CREATE FUNCTION golden_vector(n bigint) RETURNS f32vec LANGUAGE sql IMMUTABLE AS $$
	SELECT array_agg((((n * 7919 + i * 104729 + n * n % 1009 * i * i % 997) % 2003)::real / 1000 - 1)::real
					 ORDER BY i)::f32vec(24)
	FROM generate_series(1, 24) i
$$;

-- every hundredth row has no vector, every hundredth a zero
CREATE FUNCTION golden_rows(first integer, last integer) RETURNS void LANGUAGE sql AS $$
	INSERT INTO golden
	SELECT n, CASE WHEN n % 11 <> 0 THEN n % 5 END, CASE WHEN n % 13 <> 0 THEN 'tag ' || n % 7 END,
		n * 1000000007::bigint,
		CASE n % 100 WHEN 0 THEN NULL WHEN 1 THEN array_fill(0::real, ARRAY[24])::f32vec
			ELSE golden_vector(n) END
	FROM generate_series(first, last) n
$$;

SELECT golden_rows(1, 700);
