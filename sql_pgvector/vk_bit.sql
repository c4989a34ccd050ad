--
-- Bit vectors: Hamming and Jaccard distance, both methods, against the
-- sequential plan.
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/bits.psql
\set ECHO none
\i :helpers
\set ECHO all

-- any number of dimensions; rows with no bit set, NULL and equal rows among them
SELECT dims, every_dim('vkflat', dims) FROM unnest('{1,7,8,9,32,33,64,127,768,2040,16000,64000}'::int[]) dims;
SELECT dims, every_dim('vkivf', dims) FROM unnest('{1,9,64,768,16001}'::int[]) dims;

-- a query of another length
SET enable_seqscan = off;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <~> B'101' LIMIT 1) s;
RESET enable_seqscan;
CREATE TABLE varying (v varbit(8));
CREATE INDEX ON varying USING vkflat (v bit_hamming_ops);
INSERT INTO varying VALUES (B'10101010'), (B'101');
DROP TABLE varying;
CREATE TABLE long (v bit(64001));
CREATE INDEX ON long USING vkflat (v);

-- codes are the bits; options that would make others
ALTER TABLE long ALTER v TYPE bit(16) USING v::bit(16);
CREATE INDEX ON long USING vkflat (v) WITH (bits = 4);
CREATE INDEX ON long USING vkflat (v bit_jaccard_ops) WITH (refine = 8);
CREATE INDEX ON long USING vkivf (v bit_jaccard_ops) WITH (lists = 10);
CREATE INDEX long_1 ON long USING vkflat (v) WITH (bits = 1, refine = none);
CREATE INDEX long_2 ON long USING vkivf (v);
CREATE INDEX long_3 ON long USING vkivf (v bit_jaccard_ops);
SELECT s.method, s.metric, s.dimensions, s.bits, s.refine_bits, m.flat, m.element
FROM unnest('{long_1,long_2,long_3}'::regclass[]) i, vk_stats(i) s, vk_page_meta(i) m;
DROP TABLE long;

-- many equal distances, more than a round takes
CREATE TABLE ties (id int, v bit(4));
INSERT INTO ties SELECT i, i::bit(4) FROM generate_series(1, 20000) i;
CREATE INDEX ON ties USING vkflat (v);
SET work_mem = '64kB';
SELECT k, same('ties', '<~>', B'1010', k) FROM unnest('{1,100,5000,19999,NULL}'::int[]) k;
DELETE FROM ties WHERE id % 16 IN (10, 11, 2, 8, 14) AND id > 20;
SELECT k, same('ties', '<~>', B'1010', k) FROM unnest('{1,3,100,5000,NULL}'::int[]) k;
RESET work_mem;
DROP TABLE ties;

-- conditions: on attribute columns, on others, within a radius
CREATE TABLE conditions (id int, v bit(100), kind int, word text);
INSERT INTO conditions SELECT i, CASE WHEN i % 97 <> 0 THEN bits(i, 100, 1 + i % 2) END, i % 10, 'word ' || i % 7
FROM generate_series(1, 3000) i;
CREATE INDEX conditions_hamming ON conditions USING vkflat (v, kind);
CREATE INDEX conditions_jaccard ON conditions USING vkivf (v bit_jaccard_ops, kind);
SELECT operator, condition, same('conditions', operator, bits(5, 100), 20, condition)
FROM unnest('{<~>,<%>}'::text[]) operator,
	unnest('{kind = 3,"kind < 2 AND word = ''word 1''","word = ''word 2''","v IS NOT NULL"}'::text[]) condition;
SELECT operator, compare, radius, agree(format('SELECT id FROM conditions WHERE v %s %L::bit(100) %s %s', operator, bits(5, 100), compare, radius))
FROM (VALUES ('<~>', 40), ('<~>', 41), ('<~>', 39.5), ('<~>', 0), ('<~>', -1), ('<~>', 1000),
			 ('<%>', 0.6), ('<%>', 2 / 3.0), ('<%>', 1)) s (operator, radius), unnest('{<,<=}'::text[]) compare;
SELECT operator, same('conditions', operator, bits(5, 100), 50, format('v %s %L < %s', operator, bits(5, 100), radius))
FROM (VALUES ('<~>', 42), ('<%>', 0.62)) s (operator, radius);

-- what pages hold
SELECT count(*), sum(round(norm ^ 2)) AS "bits set", count(scale) AS scales, max(error) AS error
FROM codes('conditions_hamming');
SELECT count(v), sum(bit_count(v)) FROM conditions;
SELECT sound('conditions_hamming'), sound('conditions_jaccard');
DROP TABLE conditions;

-- expressions: of a float vector the signs
CREATE TABLE signs (id int, v bit(64), e vector(64));
INSERT INTO signs SELECT i, NULL, (SELECT array_agg(hashint8extended(i * 100 + j, 1) / 1e18) FROM generate_series(1, 64) j)::real[]::vector
FROM generate_series(1, 500) i;
UPDATE signs SET v = binary_quantize(e)::bit(64);
CREATE INDEX signs_index ON signs USING vkflat ((binary_quantize(e)::bit(64)));
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM signs ORDER BY binary_quantize(e)::bit(64) <~> B'1'::bit(64) LIMIT 3;
SELECT array_agg(d) = (SELECT array_agg(d) FROM (SELECT v <~> bits(1, 64)::bit(64) AS d FROM signs ORDER BY 1 LIMIT 9) s)
FROM (SELECT v <~> bits(1, 64)::bit(64) AS d FROM signs ORDER BY binary_quantize(e)::bit(64) <~> bits(1, 64)::bit(64) LIMIT 9) s;
RESET enable_seqscan;
DROP TABLE signs;

-- several processes
CREATE TABLE several (id int, v bit(200));
INSERT INTO several SELECT i, bits(i, 200) FROM generate_series(1, 9000) i;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SET max_parallel_maintenance_workers = 2;
CREATE INDEX several_flat ON several USING vkflat (v);
CREATE INDEX several_jaccard ON several USING vkflat (v bit_jaccard_ops);
CREATE INDEX several_ivf ON several USING vkivf (v);
SET max_parallel_maintenance_workers = 0;
CREATE INDEX several_alone ON several USING vkflat (v);
SELECT a.pages = b.pages AND a.rows = b.rows AS "as built alone" FROM vk_stats('several_flat') a, vk_stats('several_alone') b;
SELECT sound('several_flat'), sound('several_jaccard'), sound('several_ivf');
DROP INDEX several_alone, several_ivf;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT id FROM several ORDER BY v <~> B'1'::bit(200) LIMIT 5;
SELECT operator, bool_and(same('several', operator, bits(q, 200), k))
FROM unnest('{<~>,<%>}'::text[]) operator, unnest('{7,10001}'::int[]) q, unnest('{1,40}'::int[]) k
GROUP BY 1 ORDER BY 1;
SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
