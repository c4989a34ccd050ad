-- k-NN searches for the rows of another table, in batches
\set QUIET 1
SET max_parallel_workers_per_gather = 0;
SET enable_sort = off;
SET jit = off;
\getenv top PG_ABS_SRCDIR
\set plans :top /sql/include/plans.psql
\set ECHO none
\i :plans
\set ECHO all

CREATE TABLE items (id int PRIMARY KEY, kind int, v f32vec(8));
INSERT INTO items
	SELECT i, i % 10,
		   (SELECT array_agg((i * (k * 37 + 11) + i / 7 * k) % 23 ORDER BY k)::real[]::f32vec(8)
			FROM generate_series(1, 8) k)
	FROM generate_series(1, 3000) i;
INSERT INTO items VALUES (0, 0, NULL);
CREATE TABLE questions (id int, v f32vec(8));
INSERT INTO questions
	SELECT i, (SELECT array_agg((i * (k * 41 + 3)) % 23 ORDER BY k)::real[]::f32vec(8)
			   FROM generate_series(1, 8) k)
	FROM generate_series(1, 100) i;
INSERT INTO questions VALUES (101, NULL), (102, '[1,1,1,1,1,1,1,1]'), (103, '[1,1,1,1,1,1,1,1]');
CREATE INDEX items_flat ON items USING vkflat (v);
ANALYZE items, questions;

EXPLAIN (COSTS OFF)
	SELECT q.id, t.id, t.d FROM questions q
	CROSS JOIN LATERAL (SELECT i.id, i.v <-> q.v AS d FROM items i ORDER BY i.v <-> q.v LIMIT 5) t;

-- what ANALYZE adds
SELECT counts('SELECT q.id, t.id, t.d FROM questions q
	CROSS JOIN LATERAL (SELECT i.id, i.v <-> q.v AS d FROM items i ORDER BY i.v <-> q.v LIMIT 5) t');

-- the same rows as without batches
SELECT c.name, r.*
FROM (VALUES
	(1, 'distances', 'SELECT q.id, t.d FROM questions q
		CROSS JOIN LATERAL (SELECT i.v <-> q.v AS d FROM items i ORDER BY i.v <-> q.v LIMIT 5) t'),
	(2, 'rows', 'SELECT q.id, t.id AS item FROM questions q
		CROSS JOIN LATERAL (SELECT i.id FROM items i ORDER BY i.v <-> q.v LIMIT 1) t WHERE q.id <> 102 AND q.v IS NOT NULL'),
	(3, 'left join', 'SELECT q.id, t.d FROM questions q
		LEFT JOIN LATERAL (SELECT i.v <-> q.v AS d FROM items i ORDER BY i.v <-> q.v LIMIT 7) t ON t.d < 20'),
	(4, 'offset', 'SELECT q.id, t.d FROM questions q
		CROSS JOIN LATERAL (SELECT i.v <-> q.v AS d FROM items i ORDER BY i.v <-> q.v LIMIT 4 OFFSET 3) t'),
	(5, 'an expression', 'SELECT q.id, t.d FROM questions q
		CROSS JOIN LATERAL (SELECT i.v <-> (q.v + q.v) AS d FROM items i ORDER BY i.v <-> (q.v + q.v) LIMIT 3) t'),
	(6, 'two tables', 'SELECT q.id, p.id AS other, t.d FROM questions q JOIN questions p ON p.id = q.id + 1
		CROSS JOIN LATERAL (SELECT i.v <-> (q.v + p.v) AS d FROM items i ORDER BY i.v <-> (q.v + p.v) LIMIT 3) t'),
	(7, 'a condition on the table', 'SELECT q.id, t.d FROM questions q
		CROSS JOIN LATERAL (SELECT i.v <-> q.v AS d FROM items i WHERE i.kind = 3 ORDER BY i.v <-> q.v LIMIT 3) t'),
	(8, 'no limit', 'SELECT q.id, t.d FROM questions q
		CROSS JOIN LATERAL (SELECT i.v <-> q.v AS d FROM items i ORDER BY i.v <-> q.v) t WHERE q.id < 4'),
	(9, 'an outer limit', 'SELECT count(*) FROM (SELECT q.id, t.d FROM questions q
		CROSS JOIN LATERAL (SELECT i.v <-> q.v AS d FROM items i ORDER BY i.v <-> q.v LIMIT 5) t LIMIT 317) s'),
	(10, 'all rows', 'SELECT q.id, t.d FROM questions q
		CROSS JOIN LATERAL (SELECT i.v <-> q.v AS d FROM items i ORDER BY i.v <-> q.v LIMIT 1000) t WHERE q.id IN (1, 2, 101, 102)'),
	(11, 'rescanned', 'SELECT o.n, (SELECT sum(t.d) FROM questions q
		CROSS JOIN LATERAL (SELECT i.v <-> q.v AS d FROM items i ORDER BY i.v <-> q.v LIMIT 2) t WHERE q.id > o.n * 20) AS s
		FROM generate_series(0, 4) o (n)')
) c (n, name, query), LATERAL compare(c.query) r ORDER BY c.n;

-- rows of its own transaction, and deleted ones
BEGIN;
INSERT INTO items SELECT 5000 + id, 0, v FROM questions WHERE v IS NOT NULL;
DELETE FROM items WHERE id % 2 = 0 AND id < 5000;
SELECT * FROM compare('SELECT q.id, t.d FROM questions q
	CROSS JOIN LATERAL (SELECT i.v <-> q.v AS d FROM items i ORDER BY i.v <-> q.v LIMIT 5) t');
ROLLBACK;

-- where rows are locked too, not where it is turned off
SELECT nodes('SELECT q.id FROM questions q
	CROSS JOIN LATERAL (SELECT i.id FROM items i ORDER BY i.v <-> q.v LIMIT 2) t FOR UPDATE OF q');
SET vkindex.enable_batch = off;
SELECT nodes('SELECT q.id FROM questions q
	CROSS JOIN LATERAL (SELECT i.id FROM items i ORDER BY i.v <-> q.v LIMIT 2) t');
RESET vkindex.enable_batch;

-- under a LIMIT no more rows are locked, and no more volatile functions called, than without
CREATE SEQUENCE calls;
SELECT nodes('SELECT t.id FROM (SELECT * FROM questions FOR UPDATE SKIP LOCKED) q
	CROSS JOIN LATERAL (SELECT i.id FROM items i ORDER BY i.v <-> q.v LIMIT 2) t') AS all_locked,
	nodes('SELECT t.id FROM (SELECT * FROM questions FOR UPDATE SKIP LOCKED) q
	CROSS JOIN LATERAL (SELECT i.id FROM items i ORDER BY i.v <-> q.v LIMIT 2) t LIMIT 60') AS some_locked,
	nodes('WITH q AS MATERIALIZED (SELECT * FROM (SELECT * FROM questions FOR SHARE) s)
	SELECT t.id FROM q CROSS JOIN LATERAL (SELECT i.id FROM items i ORDER BY i.v <-> q.v LIMIT 2) t LIMIT 60') AS in_a_cte,
	nodes('SELECT t.id FROM (SELECT * FROM questions OFFSET 0) q
	CROSS JOIN LATERAL (SELECT i.id FROM items i ORDER BY i.v <-> q.v LIMIT 2) t LIMIT 60') AS neither;
SELECT count(*) FROM (SELECT t.id FROM (SELECT v, nextval('calls') FROM questions WHERE v IS NOT NULL) q
	CROSS JOIN LATERAL (SELECT i.id FROM items i ORDER BY i.v <-> q.v LIMIT 2) t LIMIT 60) s;
SELECT last_value FROM calls;
SELECT setval('calls', 1, false);
SELECT count(*) FROM (SELECT t.id FROM questions q
	CROSS JOIN LATERAL (SELECT i.id FROM items i ORDER BY i.v <-> q.v LIMIT 2) t
	WHERE q.v IS NOT NULL AND nextval('calls') > q.id - 1000 LIMIT 60) s;
SELECT last_value FROM calls;

-- an answer is asked for more rows, where vkindex.max_scan_rows has ended the search before it
CREATE TABLE steps (id integer, v f32vec(2));
INSERT INTO steps SELECT n, ARRAY[n / 4, 0]::f32vec FROM generate_series(1, 20000) n;
CREATE INDEX steps_flat ON steps USING vkflat (v);
CREATE TABLE places AS SELECT n AS id, ARRAY[n * 10, 0]::f32vec(2) AS v FROM generate_series(1, 100) n;
ANALYZE steps, places;
SET enable_seqscan = off;
SET vkindex.max_scan_rows = 10;
SELECT count(*) FROM (SELECT id FROM steps ORDER BY v <-> '[0,0]' LIMIT 5) s;
RESET vkindex.max_scan_rows;
RESET enable_seqscan;
SELECT nodes('SELECT s.id FROM places q CROSS JOIN LATERAL (SELECT id FROM steps t ORDER BY t.v <-> q.v FETCH FIRST 2 ROWS WITH TIES) s');
SELECT count(*) FROM places q CROSS JOIN LATERAL (SELECT id FROM steps t ORDER BY t.v <-> q.v FETCH FIRST 2 ROWS WITH TIES) s;
DROP TABLE steps, places;

-- a vector of the wrong length, as without batches
CREATE TABLE wrong (v f32vec);
INSERT INTO wrong VALUES ('[1,2,3]'), ('[1,2]');
SELECT t.id FROM wrong q CROSS JOIN LATERAL (SELECT i.id FROM items i ORDER BY i.v <-> q.v LIMIT 2) t;

-- the inverted file
DROP INDEX items_flat;
CREATE INDEX items_ivf ON items USING vkivf (v) WITH (lists = 30);
EXPLAIN (COSTS OFF)
	SELECT q.id, t.d FROM questions q
	CROSS JOIN LATERAL (SELECT i.v <-> q.v AS d FROM items i ORDER BY i.v <-> q.v LIMIT 5) t;
SET vkindex.target_recall = 1;
SELECT * FROM compare('SELECT q.id, t.d FROM questions q
	CROSS JOIN LATERAL (SELECT i.v <-> q.v AS d FROM items i ORDER BY i.v <-> q.v LIMIT 5) t');

-- what may raise an error is not looked at before its time
CREATE TABLE words AS SELECT id, CASE WHEN id = 90 THEN 'oops' ELSE v::text END AS v FROM questions WHERE id <= 100;
ANALYZE words;
SELECT nodes('SELECT t.id FROM words q CROSS JOIN LATERAL (SELECT i.id FROM items i ORDER BY i.v <-> q.v::f32vec LIMIT 3) t LIMIT 60');
SELECT count(*) FROM (SELECT t.id FROM words q CROSS JOIN LATERAL (SELECT i.id FROM items i ORDER BY i.v <-> q.v::f32vec LIMIT 3) t LIMIT 60) s;
DROP TABLE words;

DROP FUNCTION compare, nodes, counts, run_lines, plan_lines;
DROP TABLE items, questions, wrong;
