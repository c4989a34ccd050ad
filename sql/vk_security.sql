--
-- whoever may not see a row or a column learns nothing of it from an index
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE ROLE vk_test_reader;
CREATE ROLE vk_test_columns;
CREATE ROLE vk_test_owner;
GRANT USAGE, CREATE ON SCHEMA vk_test TO vk_test_reader, vk_test_columns, vk_test_owner;
CREATE TABLE t (id int, v f32vec(8), tenant int, kind int, note text);
INSERT INTO t SELECT n, CASE WHEN n % 50 > 0 THEN vec(n % 12, 8) + vec(n, 8, 0.3) END, n / 12 % 4, n / 7 % 10, 'note ' || n FROM generate_series(1, 2000) n;
CREATE INDEX t_flat ON t USING vkflat (v, tenant, kind);
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops, tenant, kind) WITH (lists = 20, calibrate = 100);
ANALYZE t;
CREATE TABLE centre (c f32vec(8));
INSERT INTO centre VALUES (vec(5, 8));
GRANT SELECT ON t, centre TO vk_test_reader;
GRANT ALL ON t, centre TO vk_test_owner;
ALTER TABLE t OWNER TO vk_test_owner;
SET vkindex.target_recall = 1;

-- Leaky: tells what it has been shown.
CREATE TABLE leaked (id int);
CREATE FUNCTION leak(int) RETURNS boolean LANGUAGE plpgsql COST 0.0001 SECURITY DEFINER SET search_path = vk_test AS 'BEGIN INSERT INTO leaked VALUES ($1); RETURN true; END';
CREATE FUNCTION leak(f32vec) RETURNS f32vec LANGUAGE plpgsql STABLE COST 0.0001 AS 'BEGIN RAISE NOTICE ''%'', $1; RETURN $1; END';

-- what a role sees, by the index and without
CREATE FUNCTION seen() RETURNS TABLE (condition text, by_index text, in_order text, by_bitmap text, plan_has_range boolean) LANGUAGE plpgsql AS $$
BEGIN
	FOREACH condition IN ARRAY ARRAY['true', 'v <-> vec(5, 8) < 1', 'vec(5, 8) <=> v <= 0.1 AND kind > 3', 'v <<->> vk_sphere(vec(5, 8), 1)', 'v <<=>> vk_sphere(vec(5, 8), 0.1) AND kind = 3', 'kind = 3', 'kind IN (3, 4) AND tenant <> 1', 'tenant IS NOT NULL', 'v IS NULL'] LOOP
		by_index := regexp_replace(agree('index', 'SELECT * FROM t WHERE ' || condition, ''), ', by no index scan', ' (no index)');
		in_order := agree('index', format('SELECT v <-> vec(5, 8) FROM t WHERE %s ORDER BY v <-> vec(5, 8) LIMIT 15', condition), 'Order By', true);
		by_bitmap := regexp_replace(agree('bitmap', 'SELECT * FROM t WHERE ' || condition, ''), ', by no bitmap scan', ' (no index)');
		plan_has_range := (rows_by('index', format('SELECT id FROM t WHERE %s ORDER BY v <-> vec(5, 8)', condition), 'Index Cond: [^\n]*<<')).note = '';
		RETURN NEXT;
	END LOOP;
END
$$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vk_test TO PUBLIC;
SET ROLE vk_test_reader;
SELECT * FROM seen();
RESET ROLE;

-- row-level security: no range is pushed down below the policy; operators that
-- leak nothing may be
CREATE POLICY own ON t USING (tenant = 2);
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
SET ROLE vk_test_reader;
SELECT * FROM seen();
SELECT count(*), count(*) FILTER (WHERE tenant <> 2) FROM t WHERE v <-> vec(5, 8) < 1;
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> (SELECT c FROM centre) < 1 ORDER BY v <-> (SELECT c FROM centre) LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <<->> vk_sphere((SELECT c FROM centre), 1) ORDER BY v <-> (SELECT c FROM centre) LIMIT 5;
RESET enable_seqscan;
RESET enable_sort;
RESET enable_bitmapscan;
-- functions of the user's are shown allowed rows only, whatever plan there is
CREATE FUNCTION shown(statement text, OUT rows bigint, OUT shown boolean, OUT forbidden bigint) LANGUAGE plpgsql SECURITY INVOKER AS $$
BEGIN
	PERFORM clear_leaked();
	EXECUTE 'SELECT count(*) FROM (' || statement || ') s' INTO rows;
	SELECT l.shown >= rows, l.forbidden INTO shown, forbidden FROM read_leaked() l;
END
$$;
RESET ROLE;
CREATE FUNCTION clear_leaked() RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = vk_test AS 'DELETE FROM leaked';
CREATE FUNCTION read_leaked(OUT shown bigint, OUT forbidden bigint) LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = vk_test AS
	'SELECT count(*), count(*) FILTER (WHERE (SELECT tenant FROM t WHERE t.id = l.id) <> 2) FROM leaked l';
SET ROLE vk_test_reader;
SET enable_seqscan = off;
SELECT path, s.* FROM unnest(ARRAY['on', 'off']) path, set_config('enable_indexscan', path, false) a, set_config('enable_bitmapscan', CASE path WHEN 'on' THEN 'off' ELSE 'on' END, false) b,
	unnest(ARRAY['SELECT id FROM t WHERE leak(id) AND v <-> vec(5, 8) < 1', 'SELECT id FROM t WHERE leak(id) AND v <<->> vk_sphere(vec(5, 8), 1)', 'SELECT id FROM t WHERE leak(id) ORDER BY v <=> vec(5, 8) LIMIT 10',
	'SELECT id FROM t WHERE kind = 3 AND leak(id)', 'SELECT id FROM t WHERE kind = 3 AND leak(id) AND v <-> vec(5, 8) < 1 ORDER BY v <-> vec(5, 8)']) statement, shown(statement) s;
RESET enable_indexscan;
RESET enable_bitmapscan;
RESET enable_seqscan;
-- a policy that refers to the vector, or is itself a range
RESET ROLE;
DROP POLICY own ON t;
CREATE POLICY own ON t USING (v <-> '[0,0,0,0,0,0,0,0]' < 1.4 AND tenant < 3);
SET ROLE vk_test_reader;
SELECT * FROM seen();
SELECT agree('index', 'SELECT id FROM t'), agree('index', 'SELECT id FROM t WHERE v <<->> vk_sphere(vec(5, 8), 2)', '');
RESET ROLE;
DROP POLICY own ON t;
CREATE POLICY own ON t USING (tenant = current_setting('vk_test.tenant')::int) WITH CHECK (tenant = current_setting('vk_test.tenant')::int);
GRANT INSERT, UPDATE, DELETE ON t TO vk_test_reader;
SET vk_test.tenant = 3;
SET ROLE vk_test_reader;
SELECT * FROM seen();
SET vk_test.tenant = 1;
SELECT agree('index', 'SELECT id FROM t WHERE kind < 4 ORDER BY v <=> vec(5, 8) LIMIT 10', 'Order By');
BEGIN;
UPDATE t SET note = 'mine' WHERE v <-> vec(5, 8) < 1.5;
UPDATE t SET note = 'mine' WHERE v <<->> vk_sphere(vec(7, 8), 1.5);
DELETE FROM t WHERE v <=> vec(6, 8) < 0.2;
RESET ROLE;
SELECT tenant, count(*) FILTER (WHERE note = 'mine') AS changed, count(*) AS left FROM t GROUP BY tenant ORDER BY tenant;
ROLLBACK;
-- a rollback takes back RESET ROLE, too
RESET ROLE;
SELECT tenant, count(*) FROM t GROUP BY tenant ORDER BY tenant;
-- the planner's estimates tell nothing of the rows either
CREATE FUNCTION estimate(query f32vec) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE format('EXPLAIN (FORMAT JSON) SELECT FROM t WHERE v <<->> vk_sphere(%L, 1)', query) INTO plan;
	RETURN plan->0->'Plan'->'Plan Rows';
END
$$;
SET ROLE vk_test_reader;
SELECT estimate(vec(5, 8)) = estimate(flat_vec(1000, 8)) AS secret;
RESET ROLE;
SELECT estimate(vec(5, 8)) = estimate(flat_vec(1000, 8)) AS secret;
-- its owner is not held by it, unless it is forced
SET ROLE vk_test_owner;
SELECT count(*), count(DISTINCT tenant) FROM t WHERE v <-> vec(5, 8) < 1;
SELECT (rows_by('index', 'SELECT id FROM t WHERE v <-> vec(5, 8) < 1', 'Index Cond: .*<<')).note AS owner;
ALTER TABLE t FORCE ROW LEVEL SECURITY;
SELECT count(*), count(DISTINCT tenant) FROM t WHERE v <-> vec(5, 8) < 1;
SELECT (rows_by('index', 'SELECT id FROM t WHERE v <-> vec(5, 8) < 1 ORDER BY v <-> vec(5, 8)', 'Index Cond: [^\n]*<<')).note AS forced;
ALTER TABLE t NO FORCE ROW LEVEL SECURITY;
RESET ROLE;
ALTER TABLE t DISABLE ROW LEVEL SECURITY;

-- a policy that is a range in the index: other conditions see no row beyond it
CREATE TABLE ring (id int, v f32vec(8), inside int);
INSERT INTO ring SELECT n, vec(n, 8), (vec(n, 8) <-> vec(5, 8) < 2)::int FROM generate_series(1, 4000) n;
CREATE INDEX ring_flat ON ring USING vkflat (v) WITH (bits = 4);
ANALYZE ring;
GRANT SELECT ON ring TO vk_test_reader;
CREATE POLICY near ON ring USING (v <-> vec(5, 8) < 2);
ALTER TABLE ring ENABLE ROW LEVEL SECURITY;
SET ROLE vk_test_reader;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT FROM ring WHERE 1 / inside = 1;
SELECT count(*) > 100 AS some FROM ring WHERE 1 / inside = 1;
SELECT count(*) FROM (SELECT FROM ring WHERE 1 / inside = 1 ORDER BY v <-> vec(5, 8) LIMIT 5) s;
RESET enable_bitmapscan;
RESET enable_seqscan;
RESET ROLE;
DROP TABLE ring;

-- views with a security barrier
CREATE VIEW behind WITH (security_barrier) AS SELECT * FROM t WHERE tenant = 2 AND kind < 8;
GRANT SELECT ON behind TO vk_test_reader;
SET ROLE vk_test_reader;
SELECT agree('index', 'SELECT id FROM behind WHERE v <-> vec(5, 8) < 1', ''), agree('index', 'SELECT id FROM behind WHERE v <<->> vk_sphere(vec(5, 8), 1)', ''),
	agree('index', 'SELECT v <-> vec(5, 8) FROM behind WHERE v <-> vec(5, 8) < 1 ORDER BY 1', '', true), agree('bitmap', 'SELECT id FROM behind WHERE kind = 3 AND v <-> vec(5, 8) < 1', '');
SELECT (rows_by('index', 'SELECT id FROM behind WHERE v <-> vec(5, 8) < 1 ORDER BY v <-> vec(5, 8)', 'Index Cond: [^\n]*<<')).note AS range, (rows_by('index', 'SELECT id FROM behind WHERE kind = 3', 'Index Cond: [^\n]*kind = 3')).note AS attribute;
SET enable_seqscan = off;
SELECT s.* FROM unnest(ARRAY['SELECT id FROM behind WHERE leak(id) AND v <-> vec(5, 8) < 1', 'SELECT id FROM behind WHERE leak(id) AND v <<->> vk_sphere(vec(5, 8), 1)', 'SELECT id FROM behind WHERE leak(id) ORDER BY v <=> vec(5, 8) LIMIT 10']) statement, shown(statement) s;
RESET enable_seqscan;
RESET ROLE;

-- columns that one may not read
GRANT SELECT (id, kind), UPDATE (note), DELETE ON t TO vk_test_columns;
GRANT SELECT ON centre TO vk_test_columns;
SET ROLE vk_test_columns;
SET enable_seqscan = off;
SELECT count(*) FROM t WHERE kind = 3;
SELECT id FROM t ORDER BY v <-> vec(5, 8) LIMIT 1;
SELECT id FROM t WHERE v <-> vec(5, 8) < 1;
SELECT id FROM t WHERE v <<->> vk_sphere(vec(5, 8), 1);
SELECT id FROM t WHERE kind = 3 AND v <<=>>= vk_sphere(vec(5, 8), 1);
SELECT id FROM t WHERE tenant = 3;
SELECT id FROM t WHERE v IS NULL;
SELECT count(*) FROM centre JOIN t ON t.v <<->> vk_sphere(c, 1);
UPDATE t SET note = '' WHERE v <-> vec(5, 8) < 1;
DELETE FROM t WHERE v <<->> vk_sphere(vec(5, 8), 1);
DELETE FROM t WHERE tenant = 3;
RESET enable_seqscan;
RESET ROLE;
GRANT SELECT (v) ON t TO vk_test_columns;
SET ROLE vk_test_columns;
SELECT agree('index', 'SELECT id FROM t WHERE v <-> vec(5, 8) < 1 AND kind = 3');
SELECT id FROM t WHERE tenant = 3 ORDER BY v <-> vec(5, 8) LIMIT 1;
RESET ROLE;

-- partitions: a policy holds where it is asked through
CREATE TABLE p (id int, v f32vec(8), tenant int) PARTITION BY LIST (tenant);
CREATE TABLE p_0 PARTITION OF p FOR VALUES IN (0, 1);
CREATE TABLE p_2 PARTITION OF p FOR VALUES IN (2, 3);
CREATE INDEX p_flat ON p USING vkflat (v, tenant);
INSERT INTO p SELECT id, v, tenant FROM t;
ANALYZE p;
GRANT SELECT ON p, p_0 TO vk_test_reader;
ALTER TABLE p ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON p USING (tenant IN (1, 2));
ALTER TABLE p_0 ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON p_0 USING (tenant = 0 AND id % 2 = 0);
SET ROLE vk_test_reader;
SELECT tenant, count(*) FROM p WHERE v <-> vec(5, 8) < 1.3 GROUP BY tenant ORDER BY tenant;
SELECT tenant, count(*) FROM p_0 WHERE v <-> vec(8, 8) < 1.3 GROUP BY tenant ORDER BY tenant;
SELECT * FROM p_2 WHERE v <-> vec(5, 8) < 1.3;
SELECT x, agree('index', format('SELECT v <-> vec(5, 8) FROM %s WHERE v <-> vec(5, 8) < 1.3 ORDER BY v <-> vec(5, 8) LIMIT 9', x), 'Order By', true),
	(rows_by('index', format('SELECT v <-> vec(5, 8) FROM %s WHERE v <-> vec(5, 8) < 1.3 ORDER BY v <-> vec(5, 8) LIMIT 9', x), 'Index Cond: [^\n]*<<')).note FROM unnest(ARRAY['p', 'p_0']) x;
SET enable_seqscan = off;
SELECT agree('index', 'SELECT id FROM p ORDER BY v <-> vec(5, 8) LIMIT 9', 'Order By');
SELECT tenant, count(*) FROM (SELECT tenant FROM p ORDER BY v <-> vec(5, 8) LIMIT 900) s GROUP BY tenant ORDER BY tenant;
RESET enable_seqscan;
RESET ROLE;

-- an index's expression is its owner's: functions that somebody else calls run it as
-- the table's owner, and in a session that it can change nothing of
SET ROLE vk_test_owner;
CREATE TABLE e (id int, v f32vec);
INSERT INTO e SELECT n, vec(n, 8) FROM generate_series(1, 60) n;
CREATE FUNCTION own(f32vec) RETURNS f32vec LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
CREATE INDEX e_flat ON e USING vkflat ((own(v)::f32vec(8)));
CREATE OR REPLACE FUNCTION own(f32vec) RETURNS f32vec LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF current_user <> 'vk_test_owner' THEN
		RAISE 'the expression is run by %', current_user;
	END IF;
	RETURN $1;
END
$$;
RESET ROLE;
SELECT query, rank FROM vk_knn_batch('e_flat', ARRAY[vec(1, 8)], 2);
SELECT count(*) FROM vk_range_batch('e_flat', ARRAY[vec(1, 8)], 0.1);
SELECT count(*) FROM vk_knn_graph('e_flat', 1);
SELECT count(*) > 0 AS pairs FROM vk_similarity_graph('e_flat', 1.5);
SELECT count(*) FROM vk_similarity_degree('e_flat', 0.1);
SELECT vk_check('e_flat', true);
SELECT vk_recall('e_flat', 3, 5);
SET ROLE vk_test_reader;
SELECT vk_recall('e_flat', 3, 5);
RESET ROLE;
SELECT current_user = session_user AS as_before;
-- and finds none of the caller's functions in it
SET ROLE vk_test_owner;
CREATE OR REPLACE FUNCTION own(f32vec) RETURNS f32vec LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	RETURN CASE WHEN lower('A') = 'a' THEN $1 END;
END
$$;
GRANT SELECT ON e TO vk_test_reader;
SET ROLE vk_test_reader;
CREATE FUNCTION vk_test.lower(text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RAISE 'a function of the caller is run by %', current_user;
END
$$;
SELECT current_setting('search_path') AS path \gset
SET search_path = vk_test, pg_catalog, public;
SELECT query, rank FROM vk_knn_batch('e_flat', ARRAY[vec(1, 8)], 2);
SELECT vk_recall('e_flat', 3, 5);
RESET ROLE;
SET search_path = :path;
SELECT current_setting('search_path') = :'path' AS as_before;

-- a security barrier through which rows are deleted: what lies beyond the distance is
-- not shown either
CREATE TABLE u (id int, v f32vec(64));
INSERT INTO u SELECT n, vec(n, 64) FROM generate_series(1, 3000) n;
CREATE INDEX u_flat ON u USING vkflat (v) WITH (bits = 1);
CREATE VIEW near WITH (security_barrier) AS SELECT * FROM u WHERE v <-> flat_vec(0.1, 64) < 4.6;
GRANT SELECT, DELETE ON near TO vk_test_reader;
CREATE TABLE visible AS SELECT id FROM near;
CREATE FUNCTION see(int) RETURNS boolean LANGUAGE plpgsql STABLE COST 0.0001 SECURITY DEFINER SET search_path = vk_test AS
	'BEGIN IF NOT EXISTS (SELECT FROM visible WHERE id = $1) THEN RAISE ''row % is shown'', $1; END IF; RETURN true; END';
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET ROLE vk_test_reader;
DELETE FROM near WHERE see(id);
RESET ROLE;
RESET enable_seqscan;
RESET enable_bitmapscan;
SELECT count(*) AS not_deleted, (SELECT count(*) FROM visible) BETWEEN 500 AND 2500 AS some FROM near;

RESET vkindex.target_recall;
SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
DROP OWNED BY vk_test_reader, vk_test_columns, vk_test_owner;
DROP ROLE vk_test_reader, vk_test_columns, vk_test_owner;
