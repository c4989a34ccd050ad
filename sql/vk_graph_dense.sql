--
-- vk_similarity_graph and vk_similarity_degree where few pairs, some, and most are
-- within the radius: by codes and by the vectors themselves
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all

CREATE TABLE rows (id int, v f32vec(24));
-- duplicates, zeros, vectors with norms that floats hardly hold, and none at all
INSERT INTO rows SELECT n, CASE WHEN n % 97 = 0 THEN NULL WHEN n % 59 = 0 THEN flat_vec(0, 24)
		WHEN n % 83 = 0 THEN vec(n, 24, 1e-25) WHEN n % 79 = 0 THEN vec(n, 24, 1e13)
		WHEN n % 7 = 0 THEN vec(n % 70, 24) ELSE vec(n, 24) END
FROM generate_series(1, 190) n;

-- t is rows as another type, with an index, then changed; pairs are its pairs
CREATE FUNCTION make(type text, metric text, method text, factor real) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL client_min_messages = warning;
	DROP TABLE IF EXISTS t, pairs;
	EXECUTE format('CREATE TABLE t (id int, v %s(24))', type);
	-- of the narrow types those rows that they can hold
	EXECUTE format('INSERT INTO t SELECT id, (v * array_fill($1, ARRAY[24])::f32vec)::%s FROM rows
		WHERE $2 OR v IS NULL OR v <#> v > -1e6', type) USING factor, type = 'f32vec';
	EXECUTE format('CREATE INDEX t_idx ON t ' || method, class_of(metric, type));
	EXECUTE format('INSERT INTO t SELECT -id, v FROM t WHERE id BETWEEN 11 AND 30', type);
	DELETE FROM t WHERE id % 11 = 3;
	UPDATE t SET id = id + 1000 WHERE id % 5 = 0;
	UPDATE t SET v = o.v FROM t o WHERE t.id % 13 = 4 AND o.id = t.id + 1;
	EXECUTE format('CREATE TABLE pairs AS SELECT a.ctid AS a, b.ctid AS b, a.v OPERATOR(public.%s) b.v AS distance
		FROM t a, t b WHERE a.ctid <> b.ctid', operator_of(metric));
	ANALYZE t, pairs;
END
$$;

-- pairs and degrees that only one side has; distances that are too far off; how
CREATE FUNCTION differ(radius float8, both_ways boolean, tolerance float8,
					   OUT pairs bigint, OUT different bigint, OUT inexact bigint, OUT degrees bigint, OUT path text)
LANGUAGE plpgsql AS $$
BEGIN
	CREATE TEMP TABLE graph AS SELECT * FROM vk_similarity_graph('t_idx', radius, both_ways, tolerance);
	path := (SELECT split_part(l.path, ' ', 1) FROM vk_last_scan() l);
	SELECT count(g."row"), count(*) FILTER (WHERE g."row" IS NULL OR p.a IS NULL),
		count(*) FILTER (WHERE NOT abs(g.distance - p.distance) <= tolerance * abs(radius)) INTO pairs, different, inexact
	FROM graph g FULL JOIN (SELECT * FROM pairs o WHERE o.distance < radius AND (both_ways OR a < b)) p
		ON g."row" = p.a AND g.neighbor = p.b;
	degrees := (SELECT count(*) FROM (
		SELECT "row", neighbors FROM vk_similarity_degree('t_idx', radius) WHERE neighbors > 0) d
		FULL JOIN (SELECT a, count(*) FROM pairs o WHERE o.distance < radius GROUP BY a) p ON d."row" = p.a AND d.neighbors = p.count
		WHERE d."row" IS NULL OR p.a IS NULL);
	DROP TABLE graph;
END
$$;

-- most pairs are found by vectors, and few by codes of 8 bits
CREATE TABLE results (type text, metric text, method text, share numeric, tolerance numeric, both_ways boolean,
					  pairs bigint, different bigint, inexact bigint, degrees bigint, dense boolean);
DO $$
DECLARE
	types text[] := ARRAY['f32vec', 'f32vec', 'f32vec', 'f32vec', 'f16vec', 'bf16vec', 'i8vec'];
	metrics text[] := ARRAY['l2', 'ip', 'cosine', 'l1', 'cosine', 'ip', 'l2'];
	method text;
BEGIN
	SET LOCAL enable_indexscan = off;
	SET LOCAL enable_bitmapscan = off;
	FOR i IN 1 .. cardinality(types) LOOP
		FOREACH method IN ARRAY ARRAY['USING vkflat (v %s)', 'USING vkflat (v %s) WITH (bits = 8)', 'USING vkivf (v %s) WITH (lists = 6, bits = 2, refine = 4)'] LOOP
			CONTINUE WHEN metrics[i] = 'l1' AND method LIKE '%bits = 2%' OR types[i] <> 'f32vec' AND method NOT LIKE '%bits%';
			PERFORM make(types[i], metrics[i], method, CASE types[i] WHEN 'i8vec' THEN 100 ELSE 1 END);
			INSERT INTO results SELECT types[i], metrics[i], method, s, tolerance, s = 0.1, d.pairs, d.different, d.inexact, d.degrees,
				CASE WHEN s = 0.9 AND tolerance = 0 OR s = 0.004 AND method LIKE '%bits = 8%' AND types[i] <> 'f32vec' THEN d.path IN ('dense', 'pairs') END
			FROM unnest(ARRAY[0.004, 0.004, 0.1, 0.1, 0.9, 0.9], ARRAY[0, 0.5, 0, 0.01, 0, 0.01]) AS c (s, tolerance),
				LATERAL (SELECT o.distance AS radius FROM pairs o WHERE o.distance <> 'NaN' ORDER BY 1
						 OFFSET (SELECT (s * count(*))::int FROM pairs) LIMIT 1) r,
				differ(radius, s = 0.1, tolerance) d;
		END LOOP;
	END LOOP;
END
$$;
SELECT type, metric, method, sum(different) AS different, sum(inexact) AS inexact, sum(degrees) AS degrees,
	bool_and(dense) FILTER (WHERE share = 0.9) AS most, bool_or(dense) FILTER (WHERE share = 0.004) AS few
FROM results GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT metric, share, min(pairs), max(pairs) FROM results WHERE type = 'f32vec' AND method = 'USING vkflat (v %s)' GROUP BY 1, 2 ORDER BY 1, 2;

-- radii at the edge of what there is
SELECT make('f32vec', 'cosine', 'USING vkflat (v %s) WITH (bits = 8)', 1);
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SELECT radius, d.pairs, d.different, d.inexact, d.degrees
FROM unnest('{-1, 0, 1e-7, 2, 2.5, Infinity, NaN, -Infinity}'::float8[]) radius, differ(radius, false, 0) d;
SELECT make('f32vec', 'l2', 'USING vkflat (v %s)', 1);
SELECT radius, d.pairs, d.different, d.inexact, d.degrees
FROM unnest('{-1, 0, 1e-20, 1e13, 1e300, Infinity, NaN, -Infinity}'::float8[]) radius, differ(radius, false, 0) d;
SELECT make('f32vec', 'ip', 'USING vkflat (v %s)', 1);
SELECT radius, d.pairs, d.different, d.inexact, d.degrees
FROM unnest('{-1e20, 0, Infinity, NaN, -Infinity}'::float8[]) radius, differ(radius, false, 0) d;
RESET enable_indexscan;
RESET enable_bitmapscan;

-- arguments
SELECT * FROM vk_similarity_graph('t_idx', 1, false, -0.1);
SELECT * FROM vk_similarity_graph('t_idx', 1, false, 'NaN');
SELECT count(*) FROM vk_similarity_graph('t_idx', 1, false, NULL);
SELECT count(*) FROM vk_similarity_degree('t_idx', NULL);
SELECT count(*) > 0 AS any FROM vk_similarity_graph('t_idx', 1, tolerance => 'Infinity');
-- rows without neighbors are told; those without a vector are not
SELECT count(*) = (SELECT count(v) FROM t) AS all_rows, sum(neighbors) FROM vk_similarity_degree('t_idx', '-Infinity');

-- little memory: neighbors of some rows at a time, each pair looked at twice
DROP TABLE t;
CREATE TABLE t (id int, v f32vec(8));
INSERT INTO t SELECT n, vec(n, 8) FROM generate_series(1, 2300) n;
CREATE INDEX t_idx ON t USING vkflat (v) WITH (bits = 8);
DELETE FROM t WHERE id % 10 = 0;
UPDATE t SET id = -id WHERE id % 50 = 1;
SET work_mem = '4MB';
CREATE TABLE degrees AS SELECT radius, d.* FROM unnest('{0.9, 3}'::float8[]) radius, vk_similarity_degree('t_idx', radius) d;
SELECT radius, count(*), sum(neighbors) / 2 = (SELECT count(*) FROM vk_similarity_graph('t_idx', radius)) AS as_pairs
FROM degrees GROUP BY 1 ORDER BY 1;
SET work_mem = '64kB';
SELECT radius, count(*), sum(neighbors) / 2 = (SELECT count(*) FROM vk_similarity_graph('t_idx', radius)) AS as_pairs
FROM degrees GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM (SELECT radius, d.* FROM unnest('{0.9, 3}'::float8[]) radius, vk_similarity_degree('t_idx', radius) d
					  EXCEPT ALL SELECT * FROM degrees) x;
-- the same by the vectors
DROP INDEX t_idx;
CREATE INDEX t_idx ON t USING vkflat (v) WITH (bits = 1, refine = none);
SELECT count(*) FROM (SELECT radius, d.* FROM unnest('{0.9, 3}'::float8[]) radius, vk_similarity_degree('t_idx', radius) d
					  EXCEPT ALL SELECT * FROM degrees) x;
SELECT split_part(path, ' ', 1) AS path FROM vk_last_scan();
-- none at all for the visibility of rows: one row a page
DROP TABLE t;
CREATE TABLE t (id int, v f32vec(8), filler text);
ALTER TABLE t ALTER filler SET STORAGE PLAIN;
INSERT INTO t SELECT n, vec(n, 8), repeat('x', 5000) FROM generate_series(1, 400) n;
CREATE INDEX t_idx ON t USING vkflat (v) WITH (bits = 8);
DELETE FROM t WHERE id % 10 = 0;
SELECT radius, (SELECT count(*) FROM t a, t b WHERE a.ctid < b.ctid AND a.v <-> b.v < radius) AS pairs,
	(SELECT count(*) FROM vk_similarity_graph('t_idx', radius)) AS found,
	(SELECT sum(neighbors) / 2 FROM vk_similarity_degree('t_idx', radius)) AS counted
FROM unnest('{0.9, 3}'::float8[]) radius;
RESET work_mem;
-- it can be stopped
TRUNCATE t;
INSERT INTO t SELECT n, vec(n, 8), '' FROM generate_series(1, 5000) n;
SET statement_timeout = '5ms';
SELECT count(*) FROM vk_similarity_degree('t_idx', 3);
SELECT count(*) FROM vk_similarity_graph('t_idx', 3);
RESET statement_timeout;
-- empty, and one row
TRUNCATE t;
SELECT * FROM vk_similarity_degree('t_idx', 3);
INSERT INTO t VALUES (1, vec(1, 8), '');
SELECT * FROM vk_similarity_degree('t_idx', 3);
SELECT * FROM vk_similarity_graph('t_idx', 3);

\set ECHO none
SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
