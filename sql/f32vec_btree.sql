--
-- f32vec: comparison and the btree operator class
--

-- by elements, then by length
SELECT a::f32vec, b::f32vec, f32vec_cmp(a::f32vec, b::f32vec) cmp,
	a::f32vec < b::f32vec lt, a::f32vec <= b::f32vec le, a::f32vec = b::f32vec eq,
	a::f32vec <> b::f32vec ne, a::f32vec >= b::f32vec ge, a::f32vec > b::f32vec gt
FROM (VALUES ('[1,2]', '[1,2]'), ('[1,2]', '[1,3]'), ('[2,1]', '[1,3]'), ('[1,2]', '[1,2,-9]'),
	('[1,2,3]', '[1,2]'), ('[2]', '[1,9,9]'), ('[0]', '[-0]'), ('[-3e38]', '[3e38]'), ('[1e-45]', '[0]')) t (a, b);

CREATE TABLE f32vec_btree (id int, v f32vec);
INSERT INTO f32vec_btree VALUES
	(1, '[1,1]'), (2, '[1]'), (3, NULL), (4, '[-1,5]'), (5, '[1,1,0]'), (6, '[0]'), (7, '[1,1]');
SELECT v FROM f32vec_btree ORDER BY v;
SELECT v FROM f32vec_btree ORDER BY v DESC NULLS LAST;
SELECT DISTINCT v FROM f32vec_btree ORDER BY v;
SELECT v, count(*) FROM f32vec_btree GROUP BY v HAVING count(*) > 1;
SELECT max(id), (SELECT v FROM f32vec_btree ORDER BY v LIMIT 1) FROM f32vec_btree WHERE v IN ('[1,1]', '[0]');

-- index: equality, range, order
CREATE INDEX f32vec_btree_idx ON f32vec_btree (v);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT id FROM f32vec_btree WHERE v = '[1,1]';
SELECT id FROM f32vec_btree WHERE v = '[1,1]' ORDER BY id;
EXPLAIN (COSTS OFF) SELECT id FROM f32vec_btree WHERE v > '[0]' AND v <= '[1,1]' ORDER BY v;
SELECT v FROM f32vec_btree WHERE v > '[0]' AND v <= '[1,1]' ORDER BY v;
SELECT v FROM f32vec_btree ORDER BY v DESC;
RESET enable_sort;

-- merge join; what the planner knows of the table's size differs
SET enable_nestloop = off;
SET enable_material = off;
EXPLAIN (COSTS OFF) SELECT a.id, b.id FROM f32vec_btree a JOIN f32vec_btree b USING (v);
SELECT a.id, b.id FROM f32vec_btree a JOIN f32vec_btree b USING (v) WHERE a.id < b.id;
RESET enable_nestloop;
RESET enable_material;

-- unique
DELETE FROM f32vec_btree WHERE id = 7;
DROP INDEX f32vec_btree_idx;
CREATE UNIQUE INDEX f32vec_btree_idx ON f32vec_btree (v);
INSERT INTO f32vec_btree VALUES (8, '[1,1]');
INSERT INTO f32vec_btree VALUES (8, '[-0]');
INSERT INTO f32vec_btree VALUES (8, '[1,1.0000001]');

-- many rows, against the order of arrays
TRUNCATE f32vec_btree;
INSERT INTO f32vec_btree
	SELECT i, ARRAY[i * 7919 % 101, i * 104729 % 997, i]::f32vec FROM generate_series(1, 5000) i;
REINDEX INDEX f32vec_btree_idx;
SELECT count(*) FILTER (WHERE a <> b)
FROM (SELECT id a, row_number() OVER (ORDER BY v) n FROM f32vec_btree) x
JOIN (SELECT id b, row_number() OVER (ORDER BY v::real[]) n FROM f32vec_btree) y USING (n);
SELECT count(*) FROM f32vec_btree WHERE v >= '[50,0]' AND v < '[51]';
SELECT count(*) FROM f32vec_btree WHERE v::real[] >= '{50,0}' AND v::real[] < '{51}';

-- statistics use the operators
ANALYZE f32vec_btree;
SELECT n_distinct FROM pg_stats WHERE tablename = 'f32vec_btree' AND attname = 'v';

-- a vector longer than an index entry
\set VERBOSITY sqlstate
INSERT INTO f32vec_btree VALUES (0, array_fill(1, ARRAY[1000])::f32vec);
\set VERBOSITY default
RESET enable_seqscan;
RESET enable_bitmapscan;
DROP TABLE f32vec_btree;
