--
-- what people do with pgvector: expression and partial indexes, rows without a
-- vector or a direction, settings of its index methods, and our functions over it
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE items (id int, embedding vector(64), tag int);
INSERT INTO items SELECT n, CASE WHEN n % 100 = 0 THEN NULL WHEN n % 100 = 1 THEN flat_vec(0, 64)
	ELSE vec(n % 25, 64) + vec(n, 64, 0.4) END, n % 5 FROM generate_series(1, 2500) n;
ANALYZE items;

-- The answer of a query by its index and by the sequential plan, which reads the
-- same distances; what orders it is the only column.
CREATE FUNCTION by_index(index_name text, query text) RETURNS text
LANGUAGE sql AS $$
	SELECT agree('index', query, 'Index Scan using ' || index_name || '\M', true)
$$;
SET client_min_messages = warning;
SET vkindex.target_recall = 1;
-- half precision
CREATE INDEX half_idx ON items USING vkivf ((embedding::halfvec(64)) halfvec_cosine_ops);
SELECT by_index('half_idx', format('SELECT embedding::halfvec(64) <=> %1$L FROM items ORDER BY embedding::halfvec(64) <=> %1$L LIMIT 20', vec(7, 64)));
SELECT by_index('half_idx', format('SELECT embedding::halfvec(64) <=> %1$L FROM items WHERE embedding::halfvec(64) <=> %1$L < 0.4 ORDER BY embedding::halfvec(64) <=> %1$L', vec(7, 64)));
-- bits, and rows put in order by the vectors themselves
CREATE INDEX bits_idx ON items USING vkflat ((binary_quantize(embedding)::bit(64)) bit_hamming_ops);
SELECT by_index('bits_idx', format('SELECT binary_quantize(embedding)::bit(64) <~> binary_quantize(%1$L::vector) FROM items ORDER BY binary_quantize(embedding)::bit(64) <~> binary_quantize(%1$L::vector) LIMIT 20', vec(7, 64)));
SELECT by_index('bits_idx', format('SELECT embedding <=> %1$L FROM (SELECT embedding FROM items ORDER BY binary_quantize(embedding)::bit(64) <~> binary_quantize(%1$L::vector) LIMIT 2500) s ORDER BY 1 LIMIT 10', vec(7, 64)));
CREATE INDEX jaccard_idx ON items USING vkivf ((binary_quantize(embedding)::bit(64)) bit_jaccard_ops);
SELECT by_index('jaccard_idx', format('SELECT binary_quantize(embedding)::bit(64) <%%> binary_quantize(%1$L::vector) FROM items ORDER BY binary_quantize(embedding)::bit(64) <%%> binary_quantize(%1$L::vector) LIMIT 20', vec(7, 64)));
SELECT form, agree('bitmap', format('SELECT id FROM items WHERE ' || replace(replace(form, '{v}', 'binary_quantize(embedding)::bit(64)'), '{q}', 'binary_quantize(%L::vector)'), vec(7, 64)))
FROM unnest(ARRAY['{v} <~> {q} < 24', '24 >= {v} <~> {q}', '{v} <<~>> vk_bit_sphere({q}, 24)', '{v} <%%> {q} < 0.55', '{v} <<%%>>= vk_bit_sphere({q}, 0.55)']) form;
-- a part of the vector, and one of several tenants
CREATE INDEX part_idx ON items USING vkflat ((subvector(embedding, 1, 16)::vector(16)) vector_cosine_ops);
SELECT by_index('part_idx', format('SELECT subvector(embedding, 1, 16)::vector(16) <=> subvector(%1$L::vector, 1, 16) FROM items ORDER BY subvector(embedding, 1, 16)::vector(16) <=> subvector(%1$L::vector, 1, 16) LIMIT 20', vec(7, 64)));
CREATE INDEX three_idx ON items USING vkivf (embedding) WHERE tag = 3;
SELECT by_index('three_idx', format('SELECT embedding <-> %1$L FROM items WHERE tag = 3 ORDER BY embedding <-> %1$L LIMIT 20', vec(8, 64)));
SELECT by_index('three_idx', format('SELECT embedding <-> %1$L FROM items WHERE tag = 3 AND embedding <-> %1$L < 3 ORDER BY embedding <-> %1$L', vec(8, 64)));
CREATE INDEX tag_idx ON items USING vkivf (embedding vector_ip_ops, tag);
SELECT by_index('tag_idx', format('SELECT embedding <#> %1$L FROM items WHERE tag IN (1, 4) ORDER BY embedding <#> %1$L LIMIT 20', vec(7, 64)));
CREATE INDEX l1_idx ON items USING vkflat (embedding vector_l1_ops);
SELECT by_index('l1_idx', format('SELECT embedding <+> %1$L FROM items ORDER BY embedding <+> %1$L LIMIT 20', vec(7, 64)));
RESET vkindex.target_recall;

-- changed rows are in all of them, and the functions know these types
UPDATE items SET embedding = (vec(id % 25, 64) + vec(id, 64, 0.5))::vector WHERE id % 3 = 0;
DELETE FROM items WHERE id % 7 = 0;
VACUUM items;
SELECT c.relname, sound(c.oid::regclass), s.method, s.metric, s.dimensions AS dims, s.rows,
	vk_recall(c.oid::regclass, 10, 20) >= 0.8 AS recall
FROM pg_index i JOIN pg_class c ON c.oid = indexrelid, vk_stats(c.oid::regclass) s WHERE indrelid = 'items'::regclass ORDER BY 1;
RESET client_min_messages;

-- pgvector's own methods lose rows that are NULL or, for cosine, zero: ours do not
CREATE TABLE odd (id int, v vector(2));
INSERT INTO odd VALUES (1, '[1,0]'), (2, '[0,1]'), (3, '[0,0]'), (4, NULL);
CREATE INDEX odd_idx ON odd USING hnsw (v vector_cosine_ops);
SET enable_seqscan = off;
SELECT array_agg(id) AS by_hnsw FROM (SELECT id FROM odd ORDER BY v <=> '[1,0.5]') s;
DROP INDEX odd_idx;
CREATE INDEX odd_idx ON odd USING vkflat (v vector_cosine_ops);
SELECT array_agg(id) AS by_vkflat FROM (SELECT id FROM odd ORDER BY v <=> '[1,0.5]') s;
DROP INDEX odd_idx;
CREATE INDEX odd_idx ON odd USING vkivf (v vector_cosine_ops);
SELECT array_agg(id) AS by_vkivf FROM (SELECT id FROM odd ORDER BY v <=> '[1,0.5]') s;
SELECT array_agg(id ORDER BY id) AS for_zero FROM (SELECT id FROM odd ORDER BY v <=> '[0,0]') s;
SELECT array_agg(id ORDER BY id) AS for_null FROM (SELECT id FROM odd ORDER BY v <=> NULL) s;
RESET enable_seqscan;

-- Vectors out of line: the planner is told what pgvector's functions do not tell it,
-- for as many of them as a plan without the index would read.
CREATE TABLE docs (id int, v vector(768), tag int);
INSERT INTO docs SELECT n, flat_vec(n % 97, 768), n % 500 FROM generate_series(1, 2000) n;
CREATE INDEX docs_idx ON docs USING vkflat (v);
ANALYZE docs;
EXPLAIN (COSTS OFF) SELECT id FROM docs ORDER BY v <-> (SELECT v FROM docs WHERE id = 7) LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM docs WHERE v <-> (SELECT v FROM docs WHERE id = 7) < 1;
EXPLAIN (COSTS OFF) SELECT id FROM docs WHERE tag = 3 ORDER BY v <-> (SELECT v FROM docs WHERE id = 7) LIMIT 10;

-- columns need a number of dimensions, as with pgvector's methods
CREATE TABLE loose (v vector);
CREATE INDEX ON loose USING vkflat (v);
CREATE INDEX ON loose USING vkivf ((v::vector(3)));
INSERT INTO loose VALUES ('[1,2]');
INSERT INTO loose VALUES ('[1,2,3]');
-- more of them than pgvector's methods take
CREATE TABLE wide (v vector(16000));
CREATE INDEX ON wide USING hnsw (v vector_l2_ops);
CREATE INDEX ON wide USING vkflat (v);
-- applications may go on setting what theirs have
SET hnsw.ef_search = 100;
SET ivfflat.probes = 10;
-- no plan of a scan that the index cannot do
EXPLAIN (COSTS OFF) SELECT count(*) FROM items;
SELECT * FROM vk_explain_refusal('SELECT id FROM odd ORDER BY v <-> ''[1,2]'' LIMIT 1');
SELECT * FROM vk_explain_refusal('SELECT id FROM odd ORDER BY v::f32vec <=> ''[1,2]'' LIMIT 1');
SELECT * FROM vk_explain_refusal('SELECT id FROM odd WHERE v <<=>> vk_sphere(''[1,2]'', 1)');
SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
