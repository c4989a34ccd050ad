-- indexes over arrays of vectors: the documents of greatest MaxSim
SET client_min_messages = warning;

-- i mod 7 vectors of small integers, so that every distance is exact
CREATE FUNCTION document(i int) RETURNS f32vec[] LANGUAGE sql AS
	$$ SELECT array_agg(ARRAY[i * 7 % 11 - 5, (i + j) * 5 % 13 - 6, j * i % 9 - 4, (i / 7 + j) % 5 - 2]::f32vec ORDER BY j)
		FROM generate_series(1, i % 7) j $$;
CREATE TABLE docs (id int PRIMARY KEY, kind int, tokens f32vec(4)[]);
INSERT INTO docs SELECT i, i % 3, document(i) FROM generate_series(1, 700) i;
INSERT INTO docs VALUES (1001, 0, NULL), (1002, 0, '{}'), (1003, 1, '{NULL}'),
	(1004, 1, '{"[9,9,9,9]",NULL,"[-9,-9,-9,-9]"}'), (1005, 2, '{"[9,9,9,9]","[9,9,9,9]","[9,9,9,9]"}');
-- one of a thousand vectors, out of line
INSERT INTO docs SELECT 1006, 2, array_agg(ARRAY[j % 7 - 3, j % 5 - 2, j % 3 - 1, 1]::f32vec) FROM generate_series(1, 1000) j;

CREATE TABLE queries (id int, q f32vec[]);
INSERT INTO queries SELECT i, document(i) FROM generate_series(2, 30, 7) i;
INSERT INTO queries VALUES (31, '{"[0,0,0,0]"}'), (32, '{"[1,-1,2,-2]",NULL,"[1,-1,2,-2]"}');
INSERT INTO queries SELECT 33, array_agg(ARRAY[j % 5 - 2, j % 3 - 1, j % 7 - 3, j % 4]::f32vec) FROM generate_series(1, 32) j;
INSERT INTO queries VALUES (34, '{}'), (35, NULL), (36, '{NULL}');

-- distances in the order of the index, and of a sort
CREATE FUNCTION distances(q f32vec[], k int, kinds int[], index_used boolean) RETURNS float8[]
LANGUAGE plpgsql AS $$
DECLARE
	result float8[];
BEGIN
	PERFORM set_config('enable_indexscan', index_used::text, true),
		set_config('enable_bitmapscan', 'off', true),
		set_config('enable_sort', (NOT index_used)::text, true),
		set_config('enable_seqscan', (NOT index_used)::text, true);
	SELECT array_agg(d) INTO result FROM (
		SELECT tokens @# q AS d FROM docs WHERE kind = ANY (kinds) ORDER BY tokens @# q LIMIT k) t;
	RETURN result;
END $$;
CREATE VIEW differences AS
	SELECT queries.id, k, kinds FROM queries, unnest('{1,7,2000}'::int[]) k,
		(VALUES ('{0,1,2}'::int[]), ('{1}')) t (kinds)
	WHERE distances(q, k, kinds, true) IS DISTINCT FROM distances(q, k, kinds, false);

CREATE INDEX docs_tokens ON docs USING vkflat (tokens f32vec_maxsim_ops, kind);
SELECT vk_check('docs_tokens', true);
SELECT rows, rest_rows FROM vk_stats('docs_tokens');
SELECT * FROM differences;

-- plans
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM docs ORDER BY tokens @# '{"[1,2,3,4]"}' LIMIT 5;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT id FROM docs WHERE kind = 1 ORDER BY tokens @# '{"[1,2,3,4]"}' LIMIT 5;
RESET enable_sort;
EXPLAIN (COSTS OFF) SELECT count(*) FROM docs WHERE tokens @# '{"[1,2,3,4]"}' < -10;
SELECT vk_maxsim(tokens, '{"[1,2,3,4]","[4,3,2,1]"}') FROM docs
	ORDER BY tokens @# '{"[1,2,3,4]","[4,3,2,1]"}' LIMIT 4;

-- rows come once each without an order, too
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM docs WHERE kind = 1;
SELECT count(*), count(DISTINCT id) FROM docs WHERE kind = 1;
SELECT count(*), count(DISTINCT id) FROM docs WHERE tokens IS NOT NULL;
SELECT count(*) FROM docs WHERE tokens IS NULL;
SET enable_bitmapscan = on;
SET enable_indexscan = off;
SELECT count(*), count(DISTINCT id) FROM docs WHERE kind = 1;
SELECT count(*), count(DISTINCT id) FROM docs WHERE tokens IS NOT NULL;
RESET enable_indexscan;

-- a cursor goes on as far as it is asked to
BEGIN;
DECLARE c CURSOR FOR SELECT vk_maxsim(tokens, '{"[1,2,3,4]","[4,3,2,1]"}') FROM docs ORDER BY tokens @# '{"[1,2,3,4]","[4,3,2,1]"}';
FETCH 3 FROM c;
MOVE 600 FROM c;
FETCH 1 FROM c;
MOVE ALL FROM c;
COMMIT;

-- and what it reads is in order, without a limit
CREATE FUNCTION first_ones(q f32vec[], index_used boolean) RETURNS float8[] LANGUAGE plpgsql AS $$
DECLARE
	d float8;
	result float8[] := '{}';
BEGIN
	PERFORM set_config('enable_indexscan', index_used::text, true), set_config('enable_bitmapscan', 'off', true),
		set_config('enable_sort', (NOT index_used)::text, true), set_config('enable_seqscan', (NOT index_used)::text, true);
	FOR d IN SELECT tokens @# q FROM docs ORDER BY tokens @# q LOOP
		result := result || d;
		EXIT WHEN cardinality(result) = 150;
	END LOOP;
	RETURN result;
END $$;
SELECT id FROM queries WHERE first_ones(q, true) IS DISTINCT FROM first_ones(q, false);

-- a limit on the work: those found come out, nothing is known of the others
SET vkindex.max_scan_rows = 100;
SET client_min_messages = error;
SELECT count(d) > 0 AS found, bool_and(d IS NOT NULL) AS near FROM (SELECT tokens @# '{"[1,2,3,4]","[4,3,2,1]"}' AS d FROM docs ORDER BY 1 LIMIT 3) t;
SELECT exhaustive FROM vk_last_scan();
RESET vkindex.max_scan_rows;
SET client_min_messages = warning;

-- a search for each row of another table, which is none for batches
SELECT count(*) FROM (
	(SELECT q.id, t.d FROM queries q CROSS JOIN LATERAL (SELECT tokens @# q.q AS d FROM docs ORDER BY tokens @# q.q LIMIT 3) t WHERE q.id <= 33)
	EXCEPT ALL
	(SELECT q.id, t.d FROM queries q CROSS JOIN LATERAL (SELECT -vk_maxsim(tokens, q.q) AS d FROM docs ORDER BY 1 LIMIT 3) t WHERE q.id <= 33)) x;

-- conditions that the index does not know
SELECT vk_maxsim(tokens, '{"[1,2,3,4]","[4,3,2,1]"}') FROM docs WHERE id % 50 = 7 ORDER BY tokens @# '{"[1,2,3,4]","[4,3,2,1]"}' LIMIT 3;

-- a query of other dimensions, an array of arrays
SELECT id FROM docs ORDER BY tokens @# '{"[1,2,3]"}' LIMIT 1;
SELECT id FROM docs ORDER BY tokens @# '{{"[1,2,3,4]"},{"[1,2,3,4]"}}' LIMIT 1;
INSERT INTO docs VALUES (2000, 0, '{{"[1,2,3,4]"},{"[1,2,3,4]"}}');
RESET enable_seqscan;

-- inserts, updates of other columns, deletes, vacuum: all entries of a row go
INSERT INTO docs SELECT i + 2000, i % 3, document(i) FROM generate_series(701, 900) i;
INSERT INTO docs VALUES (2901, 0, '{}'), (2902, 0, NULL);
UPDATE docs SET kind = 2 - kind WHERE id < 50;
SELECT vk_check('docs_tokens', true);
SELECT * FROM differences;
DELETE FROM docs WHERE id % 2 = 0;
SELECT * FROM differences;
VACUUM docs;
SELECT vk_check('docs_tokens', true);
SELECT count(*) = sum(least(cardinality(tokens), 1)) FROM docs WHERE cardinality(tokens) > 0;
SELECT rows = (SELECT sum(cardinality(array_remove(tokens, NULL))) FROM docs) AS rows, dead_rows > 0 AS dead
	FROM vk_stats('docs_tokens');
SELECT reltuples = (SELECT count(*) FROM docs) AS counts_rows FROM pg_class WHERE relname = 'docs_tokens';
SELECT * FROM differences;
REINDEX INDEX CONCURRENTLY docs_tokens;
SELECT vk_check('docs_tokens', true);
SELECT * FROM differences;
DROP INDEX docs_tokens;

-- in order without a limit, by codes that leave little open
CREATE INDEX docs_tokens ON docs USING vkflat (tokens) WITH (bits = 32);
SELECT id FROM queries WHERE first_ones(q, true) IS DISTINCT FROM first_ones(q, false);
DROP INDEX docs_tokens;

-- the nearest document is far down in the search for each vector of the query, where its documents have many
-- vectors; also with memory for few entries
CREATE TABLE far (id int, tokens f32vec(2)[]);
INSERT INTO far VALUES (0, '{"[5,5]"}');
INSERT INTO far SELECT i, array_agg(CASE WHEN i % 2 = 0 THEN ARRAY[10 + i / 16.0, -10] ELSE ARRAY[-10, 10 + i / 16.0] END::f32vec)
	FROM generate_series(1, 120) i, generate_series(1, 60) j GROUP BY i;
CREATE INDEX far_tokens ON far USING vkflat (tokens) WITH (bits = 32);
SET enable_seqscan = off;
SELECT id, tokens @# '{"[1,0]","[0,1]"}' AS distance FROM far ORDER BY 2 LIMIT 1;
SET work_mem = '64kB';
SELECT id, tokens @# '{"[1,0]","[0,1]"}' AS distance FROM far ORDER BY 2 LIMIT 1;
RESET work_mem;
RESET enable_seqscan;

-- lists: at target 1 the same, below it nearly
CREATE INDEX docs_tokens ON docs USING vkivf (tokens, kind) WITH (lists = 20);
SELECT vk_check('docs_tokens', true);
SET vkindex.target_recall = 1;
SELECT * FROM differences;
SET vkindex.target_recall = 0.95;
SELECT vk_recall('docs_tokens', 10, 50) > 0.9 AS recall;
SELECT count(*) = 0 AS all_rows FROM differences WHERE k = 2000;
INSERT INTO docs SELECT i + 3000, i % 3, document(i) FROM generate_series(1, 300) i;
DELETE FROM docs WHERE id < 100;
VACUUM docs;
SELECT vk_check('docs_tokens', true);
SELECT lists_before, lists_after, rows_rewritten FROM vk_tune('docs_tokens');
SELECT vk_check('docs_tokens', true);
SELECT vk_recall('docs_tokens', 10, 50) > 0.9 AS recall;
SET vkindex.target_recall = 1;
SELECT * FROM differences;
RESET vkindex.target_recall;

-- what is not to be had
SELECT * FROM vk_knn_graph('docs_tokens', 3);
SELECT * FROM vk_knn_batch('docs_tokens', (SELECT array_agg('[1,2,3,4]'::f32vec)), 3);
CREATE TABLE bare (tokens f32vec[]);
CREATE INDEX ON bare USING vkflat (tokens);
INSERT INTO bare VALUES ('{"[1,2]","[1,2,3]"}');
CREATE INDEX ON bare USING vkflat ((tokens::f32vec(2)[]));

-- expressions, partial indexes, the other types
DROP TABLE bare;
CREATE TABLE bare (id int, tokens real[]);
INSERT INTO bare SELECT i, ARRAY[i % 5, i % 3] FROM generate_series(1, 50) i;
CREATE INDEX bare_expression ON bare USING vkflat ((ARRAY[tokens::f32vec(2), tokens::f32vec(2)]::f32vec(2)[])) WHERE id > 10;
SELECT vk_check('bare_expression', true);
SET enable_seqscan = off;
SELECT id FROM bare WHERE id > 10 AND id < 40
	ORDER BY ARRAY[tokens::f32vec(2), tokens::f32vec(2)]::f32vec(2)[] @# '{"[1,-1]"}', id LIMIT 3;

CREATE TABLE typed (id int, a f16vec(3)[], b bf16vec(3)[], c i8vec(3)[]);
INSERT INTO typed SELECT i, v::f16vec[], v::bf16vec[], v::i8vec[] FROM
	(SELECT i, array_agg(ARRAY[i * j % 7 - 3, i % 5 - 2, j]::f32vec) v
		FROM generate_series(1, 200) i, generate_series(1, 3) j GROUP BY i) t;
CREATE INDEX typed_a ON typed USING vkflat (a);
CREATE INDEX typed_b ON typed USING vkivf (b) WITH (lists = 5);
CREATE INDEX typed_c ON typed USING vkflat (c);
SELECT vk_check('typed_a', true), vk_check('typed_b', true), vk_check('typed_c', true);
SET vkindex.target_recall = 1;
SELECT array_agg(d) FROM (SELECT a @# '{"[1,2,3]","[-3,1,0]"}' AS d FROM typed ORDER BY 1 LIMIT 5) t;
SELECT array_agg(d) FROM (SELECT b @# '{"[1,2,3]","[-3,1,0]"}' AS d FROM typed ORDER BY 1 LIMIT 5) t;
SELECT array_agg(d) FROM (SELECT c @# '{"[1,2,3]","[-3,1,0]"}' AS d FROM typed ORDER BY 1 LIMIT 5) t;
SET enable_indexscan = off;
SELECT array_agg(d) FROM (SELECT c @# '{"[1,2,3]","[-3,1,0]"}' AS d FROM typed ORDER BY 1 LIMIT 5) t;

-- an index on an empty table
RESET enable_indexscan;
RESET vkindex.target_recall;
TRUNCATE docs;
SELECT count(*) FROM (SELECT id FROM docs ORDER BY tokens @# '{"[1,2,3,4]"}' LIMIT 5) t;
INSERT INTO docs SELECT i, i % 3, document(i) FROM generate_series(1, 300) i;
SELECT vk_check('docs_tokens', true);
SELECT * FROM differences;

DROP TABLE docs, queries, bare, typed, far CASCADE;
DROP FUNCTION document, distances, first_ones;
