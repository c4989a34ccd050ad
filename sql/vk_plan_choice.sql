--
-- the plan that is chosen: 38 queries over tables of three sizes
--
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS vk_test CASCADE;
CREATE SCHEMA vk_test;
SET search_path = vk_test, public;
RESET client_min_messages;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
-- ANALYZE reads every row
SET default_statistics_target = 200;

CREATE PROCEDURE make(name text, n int)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I (id int PRIMARY KEY, tenant int, kind int, flag bool, note text, other int, v f32vec(4)) WITH (autovacuum_enabled = off)', name);
	EXECUTE format('INSERT INTO %I SELECT i, i %% 100, i %% 10, i %% 5 = 0, ''n'' || i %% 50, hashint4(i + 7) %% 1000, ARRAY[hashint4(i), hashint4(-i), hashint4(i * 3), hashint4(i * 7)]::f32vec FROM generate_series(1, %s) i',
				   name, n);
	EXECUTE format('CREATE INDEX %I ON %I USING vkflat (v, tenant, flag)', name || '_flat', name);
	EXECUTE format('CREATE INDEX %I ON %I USING vkivf (v f32vec_cosine_ops, tenant, kind, flag, note) WITH (calibrate = 200)',
				   name || '_ivf', name);
	EXECUTE format('CREATE INDEX %I ON %I (other)', name || '_other', name);
	EXECUTE format('ANALYZE %I', name);
END
$$;
CALL make('small', 200);
CALL make('medium', 5000);
CALL make('large', 50000);
CREATE TABLE q (id int, v f32vec(4));
INSERT INTO q SELECT i, ARRAY[i, 2, 3, 4]::f32vec FROM generate_series(1, 3) i;
ANALYZE q;

-- The nodes of a plan, from the top; TAB stands for the table.
CREATE FUNCTION plan(query text, tab text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	line text;
	nodes text[];
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || replace(replace(query, 'TAB', tab), ':q', '''[1,2,3,4]''::f32vec') LOOP
		IF line ~ '^ *->' OR nodes IS NULL THEN
			nodes := nodes || replace(regexp_replace(regexp_replace(line, '^[ >-]*', ''), ' on ' || tab || '( .*|$)', ''), tab, 'TAB');
		END IF;
	END LOOP;
	RETURN array_to_string(nodes, ' > ');
END
$$;

CREATE TABLE queries (number int GENERATED ALWAYS AS IDENTITY, query text);
INSERT INTO queries (query) VALUES
	-- nearest rows: few, many, all
	('SELECT id FROM TAB ORDER BY v <-> :q LIMIT 10'),
	('SELECT id FROM TAB ORDER BY v <=> :q LIMIT 10'),
	('SELECT id FROM TAB ORDER BY v <=> :q LIMIT 100'),
	('SELECT id FROM TAB ORDER BY v <=> :q'),
	('SELECT id FROM TAB ORDER BY v <-> :q, id LIMIT 10'),
	('SELECT id FROM TAB ORDER BY v <-> :q DESC LIMIT 10'),
	('SELECT id FROM TAB ORDER BY v <+> :q LIMIT 10'),
	-- conditions that the index knows
	('SELECT id FROM TAB WHERE tenant = 7 ORDER BY v <-> :q LIMIT 10'),
	('SELECT id FROM TAB WHERE tenant = 7 ORDER BY v <=> :q LIMIT 10'),
	('SELECT id FROM TAB WHERE tenant IN (7, 8, 9) ORDER BY v <=> :q LIMIT 10'),
	('SELECT id FROM TAB WHERE tenant < 50 AND flag ORDER BY v <-> :q LIMIT 10'),
	('SELECT id FROM TAB WHERE NOT flag AND note = ''n3'' ORDER BY v <=> :q LIMIT 10'),
	('SELECT id FROM TAB WHERE kind <> 3 ORDER BY v <=> :q LIMIT 10'),
	('SELECT id FROM TAB WHERE tenant = 7 AND flag ORDER BY v <=> :q LIMIT 10'),
	-- and that it does not
	('SELECT id FROM TAB WHERE other < 0 ORDER BY v <=> :q LIMIT 10'),
	('SELECT id FROM TAB WHERE other = 7 ORDER BY v <=> :q LIMIT 10'),
	('SELECT id FROM TAB WHERE id = 77 ORDER BY v <=> :q LIMIT 10'),
	('SELECT id FROM TAB WHERE id < 20 ORDER BY v <-> :q LIMIT 10'),
	('SELECT id FROM TAB WHERE tenant = 7 AND other < 0 ORDER BY v <=> :q LIMIT 10'),
	-- conditions alone
	('SELECT id FROM TAB WHERE tenant = 7'),
	('SELECT count(*) FROM TAB WHERE tenant = 7 AND kind = 3'),
	('SELECT id FROM TAB WHERE kind <> 3'),
	('SELECT id FROM TAB WHERE tenant < 10 AND flag'),
	('SELECT id FROM TAB WHERE v IS NULL'),
	('SELECT count(*) FROM TAB'),
	('SELECT id FROM TAB WHERE tenant = 7 AND other = 7'),
	-- ranges
	('SELECT id FROM TAB WHERE v <-> :q < 1e7'),
	('SELECT id FROM TAB WHERE v <=> :q < 0.001'),
	('SELECT id FROM TAB WHERE v <=> :q < 0.001 ORDER BY v <=> :q LIMIT 10'),
	('SELECT id FROM TAB WHERE v <=> :q < 0.001 AND tenant = 7'),
	('SELECT id FROM TAB WHERE v <-> :q < 2e9'),
	('SELECT id FROM TAB WHERE v <-> :q < 2e9 ORDER BY v <-> :q LIMIT 10'),
	('SELECT id FROM TAB WHERE v <-> :q < 1e10'),
	('SELECT id FROM TAB WHERE v <<=>> vk_sphere(:q, 0.001)'),
	('SELECT id FROM TAB WHERE v <-> :q > 1e7'),
	('DELETE FROM TAB WHERE v <-> :q < 1e7'),
	-- joins
	('SELECT n.id FROM q, LATERAL (SELECT id FROM TAB t ORDER BY t.v <=> q.v LIMIT 3) n'),
	('SELECT t.id FROM q JOIN TAB t ON t.v <<=>> vk_sphere(q.v, 0.001)');

\pset expanded on
SELECT query, plan(query, 'small') AS small, plan(query, 'medium') AS medium, plan(query, 'large') AS large
FROM queries ORDER BY number;
\pset expanded off

-- vectors in the TOAST table: reading them all costs more than their rows do
CREATE TABLE wide (id int PRIMARY KEY, v f32vec(600));
INSERT INTO wide SELECT i, array_fill(i, ARRAY[600])::f32vec FROM generate_series(1, 2000) i;
CREATE TABLE wide_plain (id int PRIMARY KEY, v f32vec(600));
ALTER TABLE wide_plain ALTER v SET STORAGE PLAIN;
INSERT INTO wide_plain TABLE wide;
CREATE INDEX wide_v ON wide USING vkflat (v);
CREATE INDEX wide_plain_v ON wide_plain USING vkflat (v);
ANALYZE wide, wide_plain;
SELECT tab, plan('SELECT id FROM TAB ORDER BY v <-> array_fill(1, ARRAY[600])::f32vec LIMIT 10', tab) AS nearest,
	plan('SELECT id FROM TAB WHERE id < 20 ORDER BY v <-> array_fill(1, ARRAY[600])::f32vec LIMIT 10', tab) AS few
FROM unnest(ARRAY['wide', 'wide_plain']) tab;
-- and a scan in order reads each once: no sort of the exact range is cheaper
CREATE TABLE wide_lists AS TABLE wide;
CREATE INDEX wide_lists_v ON wide_lists USING vkivf (v) WITH (calibrate = 200);
ANALYZE wide_lists;
SELECT plan('SELECT id FROM TAB WHERE v <-> array_fill(1, ARRAY[600])::f32vec < 2350 ORDER BY v <-> array_fill(1, ARRAY[600])::f32vec',
	'wide_lists') AS within;

-- the declared recall is part of the price
CREATE FUNCTION cost(query text) RETURNS float8
LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	EXECUTE 'EXPLAIN ' || query INTO line;
	RETURN substring(line FROM '\.\.([0-9.]+)');
END
$$;
SET enable_seqscan = off;
\set nearest 'SELECT id FROM large ORDER BY v <=> ''[1,2,3,4]'' LIMIT 10'
SELECT cost(:'nearest') AS cost \gset
SET vkindex.target_recall = 0.99;
SELECT cost(:'nearest') > :cost AS dearer;
SET vkindex.target_recall = 0.5;
SELECT cost(:'nearest') < :cost AS cheaper;
RESET vkindex.target_recall;
SET vkindex.probes = 1;
SELECT cost(:'nearest') < :cost AS cheaper;
SET vkindex.probes = 500;
SELECT cost(:'nearest') > :cost AS dearer;
RESET vkindex.probes;
-- so are rows that are wanted, and those that a filter drops
SELECT cost('SELECT id FROM large ORDER BY v <=> ''[1,2,3,4]'' LIMIT 100') > :cost AS more,
	cost('SELECT id FROM large WHERE kind < 5 ORDER BY v <=> ''[1,2,3,4]'' LIMIT 10') > :cost AS inside,
	cost('SELECT id FROM large WHERE other % 2 = 0 ORDER BY v <=> ''[1,2,3,4]'' LIMIT 10') > :cost AS above;
-- lists without a row of the tenant are not read
SELECT cost('SELECT id FROM large WHERE tenant = 7') < cost('SELECT id FROM large WHERE kind = 7') AS skipped;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
