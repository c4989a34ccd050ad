--
-- what else an index does, over every type of vectors: upkeep, recall, values out
-- of line, kept centroids, attribute columns, plans
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
-- other types may be asked for
\if :{?types}
\else
\set types '(1, ''f32vec''), (2, ''f16vec''), (3, ''bf16vec''), (4, ''i8vec'')'
\set ECHO all
\endif
CREATE TABLE types (ord int, type text);
INSERT INTO types VALUES :types;

-- Rows in clusters of small integers, which every type has.
CREATE FUNCTION row_vec(n int) RETURNS f32vec
LANGUAGE sql IMMUTABLE AS $$
	SELECT (SELECT array_agg(abs(hashint4(n % 40 * 64 + i)) % 81 - 40 + abs(hashint4(n * 64 + i)) % 17 - 8) FROM generate_series(1, 16) i)::f32vec
$$;
SELECT n AS id, row_vec(n) AS v, n % 7 AS tag INTO base FROM generate_series(1, 1500) n;
UPDATE base SET v = CASE WHEN id % 200 = 0 THEN NULL ELSE flat_vec(0, 16) END WHERE id % 100 = 0;

-- A table of a type, with both indexes of a metric, through its life.
CREATE FUNCTION life(type text, metric text) RETURNS TABLE (stage text, exact boolean, recall boolean, sound boolean)
LANGUAGE plpgsql AS $$
DECLARE
	method text;
BEGIN
	FOREACH stage IN ARRAY ARRAY['built', 'inserted', 'deleted', 'updated', 'tuned', 'reindexed'] LOOP
		CASE stage
			WHEN 'built' THEN
				DROP TABLE IF EXISTS t;
				EXECUTE format('CREATE TABLE t (id int, v %s(16), tag int)', type);
				INSERT INTO t SELECT * FROM base WHERE id <= 1000;
				EXECUTE format('CREATE INDEX t_flat ON t USING vkflat (v %s, tag)', class_of(metric, type));
				EXECUTE format('CREATE INDEX t_ivf ON t USING vkivf (v %s, tag) %s', class_of(metric, type),
							   CASE metric WHEN 'l1' THEN '' ELSE 'WITH (lists = 12)' END);
			WHEN 'inserted' THEN
				INSERT INTO t SELECT * FROM base WHERE id > 1000;
			WHEN 'deleted' THEN
				DELETE FROM t WHERE id % 3 = 0;
			WHEN 'updated' THEN
				UPDATE t SET tag = tag + 1 WHERE id % 5 = 0;
			WHEN 'tuned' THEN
				PERFORM vk_tune('t_flat'), vk_tune('t_ivf');
			WHEN 'reindexed' THEN
				REINDEX TABLE t;
		END CASE;
		sound := sound('t_flat') AND sound('t_ivf');
		exact := true;
		FOREACH method IN ARRAY ARRAY['flat', 'ivf'] LOOP
			-- the other index out of the way
			UPDATE pg_index SET indisvalid = indexrelid = ('t_' || method)::regclass WHERE indrelid = 't'::regclass;
			exact := exact AND same('t', metric, row_vec(11), 10) AND same('t', metric, row_vec(-7), NULL)
				AND same('t', metric, row_vec(25), 10, 1, 'tag = 3');
		END LOOP;
		recall := (SELECT avg(recall('t', metric, row_vec(n * 37), 10, 0.95)) FROM generate_series(1, 8) n) >= 0.85;
		UPDATE pg_index SET indisvalid = true WHERE indrelid = 't'::regclass;
		RETURN NEXT;
	END LOOP;
END
$$;
SET client_min_messages = warning;
SELECT type, metric, string_agg(stage, ' ') FILTER (WHERE exact) AS exact, bool_and(recall) AS recall, bool_and(sound) AS sound
FROM types, unnest(ARRAY['l2', 'cosine']) WITH ORDINALITY m(metric, n), life(type, metric)
GROUP BY type, metric, ord, n ORDER BY ord, n;
RESET client_min_messages;
-- the last of them, vacuumed
DELETE FROM t WHERE id % 2 = 0;
VACUUM t;
SELECT sound('t_flat'), sound('t_ivf'), same('t', 'cosine', row_vec(11), NULL), dead_rows FROM vk_stats('t_ivf');

-- what the functions say of an index of each type
CREATE FUNCTION report(type text, OUT element int, OUT dims int, OUT rows bigint, OUT centroids bigint, OUT centroid_type regtype, OUT measured boolean, OUT kept text)
LANGUAGE plpgsql AS $$
BEGIN
	DROP TABLE IF EXISTS t, centers;
	EXECUTE format('CREATE TABLE t (id int, v %s(16))', type);
	INSERT INTO t SELECT id, v FROM base;
	EXECUTE format('CREATE INDEX t_ivf ON t USING vkivf (v %s) WITH (lists = 20)', class_of('l2', type));
	element := (SELECT m.element FROM vk_page_meta('t_ivf') m);
	SELECT s.dimensions, s.rows INTO dims, rows FROM vk_stats('t_ivf') s;
	SELECT count(*), min(pg_typeof(c)::text)::regtype INTO centroids, centroid_type FROM vk_centroids('t_ivf') c;
	measured := vk_recall('t_ivf', 10, 20) BETWEEN 0.8 AND 1;
	-- centroids have elements that rows cannot have
	CREATE TABLE centers AS SELECT c FROM vk_centroids('t_ivf') c;
	EXECUTE 'CREATE INDEX t_kept ON t USING vkivf (v) WITH (centroids = ''vk_test.centers'')';
	kept := (SELECT format('%s, apart %s', count(*), round(max(near)::numeric)) FROM (
		SELECT (SELECT min(a <-> b.c) FROM centers b) AS near FROM vk_centroids('t_kept') a) s);
	-- a table of the type itself
	EXECUTE format('CREATE TABLE own AS SELECT v FROM t WHERE id IN (11, 12, 13)');
	EXECUTE 'ALTER INDEX t_kept SET (centroids = ''vk_test.own'')';
	REINDEX INDEX t_kept;
	kept := kept || (SELECT format('; %s of its own type, apart %s', count(*), round(max(near)::numeric)) FROM (
		SELECT (SELECT min(a <-> b.v::f32vec) FROM own b) AS near FROM vk_centroids('t_kept') a) s);
	PERFORM vk_check('t_kept', true);
	DROP TABLE own;
END
$$;
SET client_min_messages = warning;
SELECT type, r.* FROM types, report(type) r ORDER BY ord;
RESET client_min_messages;
DROP TABLE t, centers;

-- values out of line: the executor takes over what a scan has found, to the last bit
CREATE TABLE wide_base AS SELECT n AS id, (SELECT array_agg(abs(hashint4(n * 8192 + i)) % 200 - 100) FROM generate_series(1, 2200) i)::f32vec AS v FROM generate_series(1, 60) n;
CREATE FUNCTION out_of_line(type text, OUT sizes text, OUT equal int)
LANGUAGE plpgsql AS $$
DECLARE
	metric text;
BEGIN
	DROP TABLE IF EXISTS t;
	EXECUTE format('CREATE TABLE t (id int, v %s(2200))', type);
	INSERT INTO t SELECT * FROM wide_base;
	sizes := (SELECT format('%s bytes, out of line: %s', max(pg_column_size(v)), (SELECT pg_relation_size(reltoastrelid) > 0 FROM pg_class WHERE oid = 't'::regclass)) FROM t);
	equal := 0;
	FOREACH metric IN ARRAY ARRAY['l2', 'ip', 'cosine', 'l1'] LOOP
		EXECUTE format('CREATE INDEX t_idx ON t USING vkflat (v %s)', class_of(metric, type));
		equal := equal + same('t', metric, (SELECT v FROM wide_base WHERE id = 7), 20)::int + same('t', metric, (SELECT v FROM wide_base WHERE id = 9), NULL)::int;
		DROP INDEX t_idx;
	END LOOP;
END
$$;
SET client_min_messages = warning;
SELECT type, o.* FROM types, out_of_line(type) o ORDER BY ord;

-- plans: nearest, ranges of every form, and why not
CREATE FUNCTION plans(type text) RETURNS TABLE (plan text)
LANGUAGE plpgsql AS $$
DECLARE
	query text;
	line text;
BEGIN
	DROP TABLE IF EXISTS t;
	EXECUTE format('CREATE TABLE t (id int, v %s(16), tag int)', type);
	INSERT INTO t SELECT * FROM base;
	EXECUTE format('CREATE INDEX t_idx ON t USING vkivf (v %s, tag)', class_of('cosine', type));
	ANALYZE t;
	FOREACH query IN ARRAY ARRAY['SELECT id FROM t ORDER BY v <=> Q LIMIT 3', 'SELECT id FROM t WHERE v <=> Q < 0.1 AND tag = 3 ORDER BY v <=> Q LIMIT 3',
			'SELECT id FROM t WHERE v <<=>>= vk_sphere(Q, 0.0001)', 'SELECT id FROM t WHERE 0.1 >= Q <=> v ORDER BY Q <=> v'] LOOP
		FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || replace(query, 'Q', format('%L::%s', row_vec(3), type)) LOOP
			plan := replace(replace(line, row_vec(3)::text, 'Q'), type, '<type>');
			IF line ~ '(Scan|Cond|Order)' THEN
				RETURN NEXT;
			END IF;
		END LOOP;
	END LOOP;
	FOREACH query IN ARRAY ARRAY['SELECT id FROM t ORDER BY v <-> Q LIMIT 3', 'SELECT id FROM t ORDER BY v <=> Q DESC LIMIT 3', 'SELECT id FROM t ORDER BY v <=> Q LIMIT 3'] LOOP
		plan := (SELECT reason FROM vk_explain_refusal(replace(query, 'Q', format('%L::%s', row_vec(3), type))));
		RETURN NEXT;
	END LOOP;
END
$$;
SELECT n, plan, count(*) AS types FROM types, plans(type) WITH ORDINALITY p(plan, n) GROUP BY n, plan ORDER BY n, plan;

-- a vector out of line costs what its bytes do
CREATE TABLE a (id int, v f32vec(900));
CREATE TABLE b (id int, v f16vec(900));
INSERT INTO a SELECT n, flat_vec(n, 900) FROM generate_series(1, 200) n;
INSERT INTO b SELECT id, v FROM a;
ANALYZE a, b;
CREATE FUNCTION cost(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan -> 0 -> 'Plan' ->> 'Total Cost';
END $$;
SELECT cost('SELECT v <-> v FROM a') > 1.5 * cost('SELECT v <-> v FROM b') AS dearer;

DROP SCHEMA vk_test CASCADE;
