-- joins within a distance, in batches
\set QUIET 1
SET max_parallel_workers_per_gather = 0;
SET jit = off;
\getenv top PG_ABS_SRCDIR
\set plans :top /sql/include/plans.psql
\set ECHO none
\i :plans
\set ECHO all

CREATE TABLE items (id int PRIMARY KEY, kind int, note text, v f32vec(8)) WITH (fillfactor = 70);
INSERT INTO items
	SELECT i, i % 10, '',
		   (SELECT array_agg((i * (k * 37 + 11) + i / 7 * k) % 23 ORDER BY k)::real[]::f32vec(8)
			FROM generate_series(1, 8) k)
	FROM generate_series(1, 1500) i;
INSERT INTO items VALUES (0, 0, '', NULL);
CREATE TABLE questions (id int, r float8, v f32vec(8));
INSERT INTO questions
	SELECT i, 8 + i % 7, (SELECT array_agg((i * (k * 41 + 3)) % 23 ORDER BY k)::real[]::f32vec(8)
			   FROM generate_series(1, 8) k)
	FROM generate_series(1, 60) i;
INSERT INTO questions SELECT 60 + n, r, '[5,4,9,3,7,1,12,8]'
	FROM unnest('{NULL,NaN,infinity,-infinity,-1,0,1e-300,1e300,15}'::float8[]) WITH ORDINALITY u(r, n);
INSERT INTO questions VALUES (70, 12, NULL), (71, 15, '[1,1,1,1,1,1,1,1]'), (72, 15, '[1,1,1,1,1,1,1,1]');
CREATE INDEX items_flat ON items USING vkflat (v, kind);
ANALYZE items, questions;

EXPLAIN (COSTS OFF) SELECT q.id, i.id FROM questions q JOIN items i ON i.v <-> q.v < 12;
EXPLAIN (COSTS OFF) SELECT q.id, i.id FROM questions q JOIN items i ON i.v <-> q.v <= q.r AND i.kind = 3 AND i.id <> q.id;
EXPLAIN (COSTS OFF) SELECT q.id, t.n FROM questions q
	CROSS JOIN LATERAL (SELECT count(*) AS n FROM items i WHERE i.v <-> q.v < 12) t;

-- a sphere that a function without arguments makes is not known to be exact
CREATE FUNCTION somewhere() RETURNS vk_sphere_f32vec STABLE LANGUAGE plpgsql AS 'BEGIN RETURN vk_sphere(''[5,4,9,3,7,1,12,8]''::f32vec, 12); END';
CREATE INDEX items_ivf ON items USING vkivf (v, kind) WITH (lists = 20);
EXPLAIN (COSTS OFF) SELECT q.id, i.id FROM questions q JOIN items i ON i.v <<->> somewhere() AND i.kind = q.id;
EXPLAIN (COSTS OFF) SELECT q.id, i.id FROM questions q JOIN items i ON i.v <<->> somewhere() AND i.v <<->> vk_sphere(q.v, 12);
DROP INDEX items_ivf;
DROP FUNCTION somewhere;

-- what ANALYZE adds
SELECT counts('SELECT q.id, i.id FROM questions q JOIN items i ON i.v <-> q.v < 12');
-- a limit further up: a few at first
SELECT counts('SELECT q.id, i.id FROM questions q JOIN items i ON i.v <<->> vk_sphere(q.v, 12) LIMIT 1900');
SELECT path FROM vk_last_scan();

-- the same rows as without batches
CREATE TABLE cases (n serial, name text, query text);
INSERT INTO cases (name, query) VALUES
	('nearer than', 'SELECT q.id, i.id AS item FROM questions q JOIN items i ON i.v <-> q.v < 12'),
	('or as near', 'SELECT q.id, i.id AS item FROM questions q JOIN items i ON i.v <-> q.v <= 12'),
	('the sides reversed', 'SELECT q.id, i.v <-> q.v AS d FROM questions q, items i WHERE 12 > q.v <-> i.v'),
	('both', 'SELECT q.id, i.v <-> q.v AS d FROM questions q, items i WHERE 12 >= q.v <-> i.v'),
	('a radius of each', 'SELECT q.id, i.id AS item FROM questions q JOIN items i ON i.v <-> q.v < q.r'),
	('or as near', 'SELECT q.id, i.id AS item FROM questions q JOIN items i ON q.r >= q.v <-> i.v'),
	('an expression', 'SELECT q.id, i.id AS item FROM questions q JOIN items i ON i.v <-> (q.v + q.v) < ((SELECT max(id) / 2 FROM questions) + q.id % 3)::real'),
	('other conditions', 'SELECT q.id, i.id AS item FROM questions q JOIN items i ON i.v <-> q.v < 15 AND i.id <> q.id WHERE i.kind = 3 AND q.id > 20'),
	('two ranges', 'SELECT q.id, i.id AS item FROM questions q JOIN items i ON i.v <-> q.v < 15 AND i.v <-> q.v <= q.r'),
	('a range and one about another', 'SELECT q.id, i.id AS item FROM questions q JOIN items i ON i.v <-> q.v < 15 AND i.v <-> ''[9,9,9,9,9,9,9,9]'' < 16'),
	('two tables', 'SELECT q.id, p.id AS other, i.id AS item FROM questions q JOIN questions p ON p.id = q.id + 1 JOIN items i ON i.v <-> (q.v + p.v) < 14 + p.id % 5'),
	('left join', 'SELECT q.id, i.id AS item FROM questions q LEFT JOIN items i ON i.v <-> q.v < q.r AND i.kind < 2'),
	('with itself', 'SELECT a.id, b.id AS other, a.v <-> b.v AS d FROM items a JOIN items b ON a.v <-> b.v < 7 AND a.id < b.id WHERE a.kind = 1'),
	('lateral', 'SELECT q.id, t.* FROM questions q CROSS JOIN LATERAL (SELECT i.id AS item, i.v <-> q.v AS d FROM items i WHERE i.v <-> q.v < q.r) t'),
	('counted', 'SELECT q.id, t.* FROM questions q CROSS JOIN LATERAL (SELECT count(*), sum(i.id) FROM items i WHERE i.v <-> q.v < q.r) t'),
	('by kind', 'SELECT q.id, t.* FROM questions q LEFT JOIN LATERAL (SELECT i.kind, count(*) FROM items i WHERE i.v <-> q.v <= 13 GROUP BY 1) t ON count > 1'),
	('counted within what is computed there', 'SELECT o.id, t.* FROM (SELECT id, v, (SELECT max(id) / 5 FROM questions) AS r FROM questions) o
		CROSS JOIN LATERAL (SELECT count(*) FROM items i WHERE i.v <-> o.v < o.r) t'),
	('in order', 'SELECT q.id, i.id AS item, row_number() OVER (ORDER BY q.id, i.id) FROM questions q JOIN items i ON i.v <-> q.v < 12'),
	('rescanned', 'SELECT o.n, (SELECT sum(i.id * q.id) FROM questions q JOIN items i ON i.v <-> q.v < o.n WHERE q.id > o.n) AS s FROM generate_series(10, 14) o (n)'),
	('twice', 'SELECT q.id, i.id AS item, j.id AS next FROM questions q JOIN items i ON i.v <-> q.v < 10 JOIN items j ON j.v <-> i.v < 6 WHERE q.id < 20'),
	('of the whole row', 'SELECT q AS question, i AS item FROM questions q JOIN items i ON i.v <-> q.v < 12'),
	('counted, of a kind', 'SELECT q.id, t.* FROM questions q CROSS JOIN LATERAL (SELECT count(*), sum(i.id) FROM items i WHERE i.v <-> q.v < q.r AND i.kind = 3) t'),
	('with rows on the radius', 'SELECT q.id, i.id AS item FROM questions q JOIN items i ON i.v <-> q.v < 18 WHERE q.id < 20'),
	('and these', 'SELECT q.id, i.id AS item FROM questions q JOIN items i ON i.v <-> q.v <= 18 WHERE q.id < 20'),
	('which is nothing', 'SELECT q.id, i.id AS item FROM questions q JOIN items i ON i.v <-> q.v <= 0');
SELECT c.name, r.* FROM cases c, LATERAL compare(c.query) r ORDER BY c.n;
-- spheres
SELECT (SELECT count(*) FROM questions q JOIN items i ON i.v <<->> vk_sphere(q.v, 12)) AS nearer,
	(SELECT count(*) FROM questions q JOIN items i ON i.v <<->>= vk_sphere(q.v, 12)) AS or_as_near,
	nodes('SELECT q.id FROM questions q JOIN items i ON i.v <<->> vk_sphere(q.v, 12)'),
	nodes('SELECT q.id FROM questions q JOIN items i ON i.v <<->>= vk_sphere(q.v, 12)');
-- answers that do not fit in memory are left to the scans
SET work_mem = '64kB';
SELECT compare('SELECT q.id, i.id AS item FROM questions q JOIN items i ON i.v <-> q.v < q.r + 4');
SELECT compare('SELECT q.id, i.id AS item FROM questions q JOIN items i ON i.v <-> q.v < 1e5 WHERE q.id < 20');
SELECT regexp_replace(c, '\d+', 'N') FROM counts('SELECT q.id, i.id FROM questions q JOIN items i ON i.v <-> q.v < q.r + 4') c;
RESET work_mem;

-- rows of its own transaction, deleted ones, and versions that the index does not have
BEGIN;
INSERT INTO items SELECT 5000 + id, 0, '', v FROM questions WHERE v IS NOT NULL;
DELETE FROM items WHERE id % 3 = 0 AND id < 5000;
UPDATE items SET note = 'new' WHERE id % 2 = 0;
SELECT * FROM compare('SELECT q.id, i.id AS item, i.note FROM questions q JOIN items i ON i.v <-> q.v < 12');
ROLLBACK;

-- a cursor that outlives its transaction, after others have changed the rows
BEGIN;
SET LOCAL cursor_tuple_fraction = 0.9;
SELECT nodes('DECLARE held CURSOR WITH HOLD FOR SELECT q.id, i.id FROM questions q JOIN items i ON i.v <-> q.v < 12');
DECLARE held CURSOR WITH HOLD FOR SELECT q.id, i.id FROM questions q JOIN items i ON i.v <-> q.v < 12;
MOVE 3 FROM held;
CREATE TABLE before AS SELECT count(*) FROM questions q JOIN items i ON i.v <-> q.v < 12;
DELETE FROM items WHERE id % 3 = 0;
COMMIT;
MOVE ALL FROM held;
\echo :ROW_COUNT
SELECT count - 3 AS left FROM before;
CLOSE held;

-- what is changed or locked
BEGIN;
CREATE TABLE near AS SELECT DISTINCT i.id FROM questions q JOIN items i ON i.v <-> q.v < 12;
SELECT nodes('UPDATE items i SET note = q.id FROM questions q WHERE i.v <-> q.v < 12'),
	nodes('DELETE FROM items i USING questions q WHERE i.v <-> q.v < 12'),
	nodes('SELECT FROM questions q JOIN items i ON i.v <-> q.v < 12 FOR UPDATE');
SELECT count(*) FROM (SELECT i.id FROM questions q JOIN items i ON i.v <-> q.v < 12 FOR UPDATE) s;
UPDATE items i SET note = 'near' FROM questions q WHERE i.v <-> q.v < 12;
SELECT count(*), count(*) = (SELECT count(*) FROM near) AS same FROM items WHERE note = 'near';
DELETE FROM items i USING questions q WHERE i.v <-> q.v < 12;
SELECT count(*) FROM items JOIN near USING (id);
ROLLBACK;

-- plans without
SELECT nodes('SELECT q.id FROM questions q WHERE EXISTS (SELECT FROM items i WHERE i.v <-> q.v < 12)') AS first_only,
	nodes('SELECT i.id FROM items i WHERE i.v <-> (SELECT v FROM questions WHERE id = 1) < 12') AS one,
	nodes('SELECT q.id FROM questions q JOIN items i ON i.v <-> q.v > 12') AS farther,
	nodes('SELECT q.id, t.n FROM questions q CROSS JOIN LATERAL (SELECT count(*) AS n FROM items i WHERE i.id = q.id) t') AS equal,
	nodes('SELECT q.id, t.id FROM questions q CROSS JOIN LATERAL (SELECT i.id FROM items i WHERE i.v <-> q.v < 12 LIMIT 1) t') AS some_row;
SET vkindex.enable_batch = off;
SELECT nodes('SELECT q.id FROM questions q JOIN items i ON i.v <-> q.v < 12') AS turned_off;
RESET vkindex.enable_batch;
SET vkindex.range_pushdown = off;
SELECT nodes('SELECT q.id FROM questions q JOIN items i ON i.v <-> q.v < 12') AS not_pushed_down;
RESET vkindex.range_pushdown;
SET vkindex.max_scan_rows = 1000;
SELECT nodes('SELECT q.id FROM questions q JOIN items i ON i.v <-> q.v < 12') AS may_end_early;
RESET vkindex.max_scan_rows;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_seqscan = off;
SELECT nodes('SELECT q.id, i.id FROM questions q JOIN items i ON i.kind = q.id') AS attribute;
SELECT count(*) FROM questions q JOIN items i ON i.kind = q.id;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_seqscan;
-- with attributes few rows may be enough
SELECT nodes('SELECT q.id FROM questions q JOIN items i ON i.v <-> q.v < 12 AND i.kind = 3 WHERE q.id = 2') AS few;

-- a setting that has changed since the plan was made
PREPARE within(float8) AS SELECT count(*), sum(i.id) FROM questions q JOIN items i ON i.v <-> q.v <= $1;
SET plan_cache_mode = force_generic_plan;
SELECT nodes('EXECUTE within(12)');
EXECUTE within(12);
SET vkindex.max_scan_rows = 1000000;
EXECUTE within(12);
RESET vkindex.max_scan_rows;
EXECUTE within(NULL);
EXECUTE within('NaN');
SELECT count(*), sum(i.id) FROM questions q JOIN items i ON (i.v <-> q.v) + 0 <= 'NaN';
RESET plan_cache_mode;

-- under row security no distance is computed ahead of the policy
CREATE ROLE regress_vk_batch_join;
GRANT SELECT ON items, questions TO regress_vk_batch_join;
CREATE POLICY even ON items USING (id % 2 = 0);
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
SET ROLE regress_vk_batch_join;
SELECT nodes('SELECT q.id FROM questions q JOIN items i ON i.v <-> q.v < 12');
SELECT count(*), count(*) FILTER (WHERE i.id % 2 = 1) AS hidden FROM questions q JOIN items i ON i.v <-> q.v < 12;
RESET ROLE;
ALTER TABLE items DISABLE ROW LEVEL SECURITY;
REVOKE ALL ON items, questions FROM regress_vk_batch_join;
DROP POLICY even ON items;
DROP ROLE regress_vk_batch_join;

-- a vector of the wrong length, as without batches
CREATE TABLE wrong (v f32vec);
INSERT INTO wrong VALUES ('[1,2,3]'), ('[1,2]');
ANALYZE wrong;
SELECT i.id FROM wrong q JOIN items i ON i.v <-> q.v < 3;

-- the inverted file: ranges are exact, spheres only where they say so
DROP INDEX items_flat;
CREATE INDEX items_ivf ON items USING vkivf (v, kind) WITH (lists = 30);
EXPLAIN (COSTS OFF) SELECT q.id, i.id FROM questions q JOIN items i ON i.v <-> q.v < 12;
SELECT c.name, r.* FROM cases c, LATERAL compare(c.query) r WHERE c.n IN (1, 5, 6, 8, 12, 13, 15, 20) ORDER BY c.n;
SET vkindex.range_pushdown = approximate;
SELECT nodes('SELECT q.id FROM questions q JOIN items i ON i.v <-> q.v < 12'),
	nodes('SELECT q.id FROM questions q JOIN items i ON i.v <<->> vk_sphere(q.v, 12)'),
	nodes('SELECT q.id FROM questions q JOIN items i ON i.v <<->> vk_sphere(q.v, 12, true)') AS exact,
	nodes('DELETE FROM items i USING questions q WHERE i.v <-> q.v < 12') AS deleted;
SET vkindex.target_recall = 1;
SELECT nodes('SELECT q.id FROM questions q JOIN items i ON i.v <-> q.v < 12');
SELECT count(*) FROM questions q JOIN items i ON i.v <<->> vk_sphere(q.v, 12);
RESET vkindex.range_pushdown;
RESET vkindex.target_recall;

-- every metric
CREATE TABLE centred AS SELECT id, CASE WHEN id % 400 = 5 THEN '[0,0,0,0,0,0,0,0]' ELSE v - '[11,11,11,11,11,11,11,11]' END::f32vec(8) AS v FROM items;
ANALYZE centred;
CREATE TABLE results (metric text, method text, nodes bigint, batched bigint, single bigint, differ bigint);
DO $$
DECLARE
	metric text;
	operator text;
	radius float8;
	method text;
BEGIN
	FOR metric, operator, radius IN VALUES ('l2', '<->', 15), ('ip', '<#>', -300), ('cosine', '<=>', 0.5), ('l1', '<+>', 40) LOOP
		FOREACH method IN ARRAY '{vkflat,vkivf}'::text[] LOOP
			EXECUTE format('CREATE INDEX centred_v ON centred USING %s (v f32vec_%s_ops)', method, metric);
			INSERT INTO results SELECT metric, method, (compare(format('SELECT q.id, i.id AS item FROM centred q JOIN centred i ON i.v %s q.v < %s WHERE q.id < 200', operator, radius))).*;
			DROP INDEX centred_v;
		END LOOP;
	END LOOP;
END
$$;
SELECT * FROM results;

-- what may raise an error is not looked at before its time, however the radius is told
CREATE TABLE words AS SELECT id, CASE WHEN id = 50 THEN 'oops' ELSE r::text END AS r, v FROM questions WHERE id < 60;
ANALYZE words;
SELECT nodes('SELECT i.id FROM words q JOIN items i ON i.v <-> q.v < q.r::float8');
SELECT nodes('SELECT i.id FROM words q JOIN items i ON i.v <-> q.v < q.id');
SELECT count(*) FROM (SELECT i.id FROM words q JOIN items i ON i.v <-> q.v < q.r::float8 LIMIT 20) s;
DROP TABLE words;

-- below another outer join than the clause is about
CREATE TABLE numbers AS SELECT n AS id FROM generate_series(1, 10) n;
SELECT count(*) FROM numbers n LEFT JOIN questions q ON q.id = n.id LEFT JOIN items i ON i.v <-> q.v < 12;
SET vkindex.enable_batch = off;
SELECT count(*) FROM numbers n LEFT JOIN questions q ON q.id = n.id LEFT JOIN items i ON i.v <-> q.v < 12;
RESET vkindex.enable_batch;
-- and with what is not NULL there
SELECT count(*) FROM numbers n LEFT JOIN (SELECT id, coalesce(v, '[5,4,9,3,7,1,12,8]') AS v FROM questions) q ON q.id = n.id
	LEFT JOIN items i ON i.v <-> q.v < 12;
SET vkindex.enable_batch = off;
SELECT count(*) FROM numbers n LEFT JOIN (SELECT id, coalesce(v, '[5,4,9,3,7,1,12,8]') AS v FROM questions) q ON q.id = n.id
	LEFT JOIN items i ON i.v <-> q.v < 12;
RESET vkindex.enable_batch;
DROP TABLE numbers;

-- a radius that there is none of where a condition on the outer row alone fails
SELECT count(*), count(*) FILTER (WHERE s.n > 0) > 0 AS found FROM questions q, LATERAL (SELECT count(*) AS n FROM items i
	WHERE q.id <> 5 AND i.v <-> q.v < 12.0 / (q.id - 5)) s;

-- a query that raises an error, of a row that no EXISTS comes to
CREATE FUNCTION failing(x f32vec, id int) RETURNS f32vec LANGUAGE plpgsql STABLE AS
	'BEGIN IF id = 30 THEN RAISE ''row 30 was not to be computed''; END IF; RETURN x; END';
CREATE TABLE one AS SELECT 1 AS id;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SET enable_memoize = off;
SET enable_seqscan = off;
SELECT id FROM one WHERE EXISTS (SELECT FROM questions q JOIN items i ON i.v <-> failing(q.v, q.id) < 12 WHERE q.id >= one.id);
SELECT id FROM one WHERE EXISTS (SELECT FROM questions q, LATERAL (SELECT i.id FROM items i ORDER BY i.v <-> failing(q.v, q.id) LIMIT 2) t WHERE q.id >= one.id);
RESET ALL;
DROP FUNCTION failing;
DROP TABLE one;

DROP FUNCTION compare, nodes, counts, run_lines, plan_lines;
DROP TABLE items, questions, centred, wrong, cases, results, before;
