--
-- vk_range_batch: all rows within a radius of many queries
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set batch :top /sql/include/batch.psql
\set ECHO none
\i :helpers
\i :batch
\set ECHO all

-- every metric, both methods
CREATE TABLE results (metric text, method text, options text, rows bigint, different bigint);
DO $$
DECLARE
	metric text;
	method text;
	options text;
BEGIN
	FOREACH metric IN ARRAY ARRAY['l2', 'ip', 'cosine', 'l1'] LOOP
		FOREACH method IN ARRAY ARRAY['vkflat', 'vkivf'] LOOP
			FOREACH options IN ARRAY CASE WHEN metric = 'l1' THEN (ARRAY['', 'WITH (lists = 20)'])[1:1 + (method = 'vkivf')::int]
				WHEN method = 'vkflat' THEN ARRAY['', 'WITH (bits = 8)', 'WITH (bits = 32)']
				ELSE ARRAY['WITH (lists = 20, bits = 1, refine = 4)'] END LOOP
				PERFORM fill(1200);
				EXECUTE format('CREATE INDEX t_idx ON t USING %s (v %s) %s', method, class_of(metric), options);
				PERFORM change();
				INSERT INTO results SELECT metric, method, options, d.*
				FROM range_differ('t_idx', queries(17), CASE metric WHEN 'l2' THEN 4.3 WHEN 'ip' THEN -3 WHEN 'cosine' THEN 0.75 ELSE 22 END) d;
				DROP INDEX t_idx;
			END LOOP;
		END LOOP;
	END LOOP;
END
$$;
SELECT * FROM results ORDER BY metric, method, options;

SELECT fill(1000);
CREATE INDEX t_idx ON t USING vkflat (v);
-- a row on the radius is not within it
SELECT rows, different FROM unnest(ARRAY[0, -1, 1e-30, 5.1, 1e30, 'infinity', 'NaN']) radius, range_differ('t_idx', queries(12), radius) ORDER BY 1;
SET work_mem = '64kB';
SELECT * FROM range_differ('t_idx', queries(70), 5);
RESET work_mem;
SELECT * FROM range_differ('t_idx', queries(1), 5);
SELECT * FROM range_differ('t_idx', '{}', 5);
SELECT count(*), count(DISTINCT query) FROM vk_range_batch('t_idx', ARRAY[NULL, vec(1, 40)]::f32vec[], 4);
SELECT count(*) FROM vk_range_batch('t_idx', queries(5), NULL);
SELECT exhaustive FROM vk_last_scan();
-- what ends scans early ends none of these
SET vkindex.max_scan_rows = 10;
SELECT * FROM range_differ('t_idx', queries(5), 5);
RESET vkindex.max_scan_rows;
DROP INDEX t_idx;
CREATE INDEX t_idx ON t USING vkivf (v) WITH (lists = 20);
SET vkindex.target_recall = 0.5;
SELECT * FROM range_differ('t_idx', queries(5), 5);
SELECT exhaustive FROM vk_last_scan();
RESET vkindex.target_recall;
TRUNCATE t;
SELECT * FROM range_differ('t_idx', queries(5), 5);
SELECT fill(50);
SELECT count(*) FROM vk_range_batch('t_idx', ARRAY[vec(1, 41)], 4);

\set ECHO none
SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
