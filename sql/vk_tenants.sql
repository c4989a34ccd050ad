--
-- a selective condition visits only the lists that have such rows
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
-- 100 tenants of a hundred rows, each in a region of its own
CREATE TABLE t (id int, v f32vec(16), tenant int, name text, created date);
INSERT INTO t SELECT n, vec(n % 100, 16, 5) + vec(n, 16, 0.3), n % 100, 'tenant ' || n % 100, '2024-01-01'::date + n % 100 * 3 + n % 3 FROM generate_series(1, 10000) n;
-- of some there are few rows
DELETE FROM t WHERE tenant IN (10, 20) AND id > 300;
ANALYZE t;
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops, tenant, name, created) WITH (lists = 100);
RESET vkindex.target_recall;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
-- the rows of every tenant, nearest to a query of his and of another; lists visited
CREATE FUNCTION tenants(condition text) RETURNS TABLE (tenants bigint, short bigint, wrong bigint, few_lists boolean) LANGUAGE plpgsql AS $$
DECLARE
	n int;
	got int;
	others int;
	visited bigint := 0;
BEGIN
	tenants := 0;
	short := 0;
	wrong := 0;
	FOR n IN 0..100 LOOP
		EXECUTE format('SELECT count(*), count(*) FILTER (WHERE tenant <> %1$s) FROM (SELECT tenant FROM t WHERE %2$s ORDER BY v <=> vec(%3$s, 16) LIMIT 10) s', n, replace(condition, '{n}', n::text), n + n % 2)
			INTO got, others;
		IF n % 10 IN (0, 7) THEN
			visited := visited + (SELECT lists FROM vk_last_scan());
		END IF;
		tenants := tenants + (got > 0)::int;
		short := short + (got < 10)::int;
		wrong := wrong + others;
	END LOOP;
	few_lists := visited < 21 * 10;
	RETURN NEXT;
END
$$;
SELECT * FROM tenants('tenant = {n}');
SELECT * FROM tenants('name = ''tenant {n}''');
SELECT * FROM tenants('created BETWEEN ''2024-01-01''::date + {n} * 3 AND ''2024-01-01''::date + {n} * 3 + 2');
SELECT * FROM tenants('tenant IN ({n}, {n} + 1000)');
-- without an order: every row, and no list that has none
SELECT tenant, count(*) FROM (SELECT tenant FROM t WHERE tenant IN (7, 20) OFFSET 0) s GROUP BY tenant ORDER BY count(*);
SELECT lists < 10 AS few_lists FROM vk_last_scan();
SELECT count(*) FROM t WHERE tenant = 1000;
SELECT lists, scanned, fetched FROM vk_last_scan();
-- a new tenant, and one who moves
INSERT INTO t SELECT -n, vec(n % 100, 16, 5) + vec(-n, 16, 0.3), 1000, 'tenant 1000', '2030-01-01' FROM generate_series(1, 300) n;
UPDATE t SET tenant = 1001 WHERE tenant = 55;
SELECT count(*) FROM t WHERE tenant = 1000;
SELECT count(*), count(*) FILTER (WHERE tenant = 1001) FROM (SELECT tenant FROM t WHERE tenant >= 1001 ORDER BY v <=> vec(3, 16) LIMIT 50) s;
SELECT count(*) FROM (SELECT FROM t WHERE name = 'tenant 1000' ORDER BY v <=> vec(3, 16) LIMIT 200) s;
SELECT count(*) FROM (SELECT FROM t WHERE tenant = 55 ORDER BY v <=> vec(55, 16) LIMIT 10) s;
SELECT sound('t_ivf');

-- ranges that reach over many lists, with a row of the tenant in some of them only
CREATE TABLE wide AS SELECT n AS id, ARRAY[((hashint8extended(n, 7) & 65535) / 655.36)::real]::f32vec(1) AS v, n % 100 AS tenant FROM generate_series(1, 6000) n;
CREATE INDEX wide_ivf ON wide USING vkivf (v, tenant) WITH (lists = 60);
ANALYZE wide;
CREATE FUNCTION found(query f32vec, radius float8) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM (SELECT FROM wide WHERE tenant = 3 AND v <-> query < radius ORDER BY v <-> query) s';
CREATE FUNCTION share(target float8) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('vkindex.target_recall', target::text, true);
	RETURN (SELECT sum(found(q, 30)) > target * sum(rows) FROM (SELECT ARRAY[n * 5]::f32vec AS q FROM generate_series(1, 19) n) x,
		LATERAL (SELECT count(*) AS rows FROM wide WHERE tenant = 3 AND l2_distance(v, q) < 30) y);
END
$$;
SELECT target, share(target) AS kept FROM unnest(ARRAY[0.5, 0.7, 0.8, 0.9]) target;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
