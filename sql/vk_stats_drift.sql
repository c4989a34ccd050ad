--
-- vk_stats: how far an index has drifted from what it was built as
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
-- two places, one with nine times the rows of the other: 1800 and 200
CREATE TABLE t (id int, v f32vec(2));
INSERT INTO t SELECT n, CASE n % 10 WHEN 0 THEN ARRAY[10, n % 7] ELSE ARRAY[-10, n % 7] END::real[]::f32vec FROM generate_series(1, 2000) n;
CREATE TABLE centers AS SELECT '[10,3]'::f32vec AS v UNION ALL SELECT '[-10,3]';
CREATE INDEX t_uneven ON t USING vkivf (v) WITH (centroids = 'vk_test.centers', calibrate = 100);
CREATE INDEX t_flat ON t USING vkflat (v);
CREATE INDEX t_plain ON t USING vkivf (v f32vec_ip_ops) WITH (lists = 1, calibrate = 0);
-- standard deviation of (200, 1800) over its mean; one list has none
SELECT lists, segments, retired_lists, list_min, list_avg, list_max, round(list_spread::numeric, 6) AS spread FROM vk_stats('t_uneven');
SELECT segments, list_spread FROM vk_stats('t_flat');
SELECT lists, list_spread, curve_age FROM vk_stats('t_plain');
-- nothing has changed since the curve was measured
SELECT curve_age FROM vk_stats('t_uneven');
SELECT CASE WHEN residual > 0 AND build_residual > 0 THEN residual / build_residual END IS NOT DISTINCT FROM residual_drift AS residual,
	CASE WHEN curve_rows > 0 THEN changed_rows / curve_rows END IS NOT DISTINCT FROM curve_age AS curve
FROM unnest('{t_uneven,t_flat,t_plain}'::text[]) name, vk_page_meta(name::regclass), vk_stats(name::regclass);
-- empty
CREATE TABLE e (v f32vec(2));
CREATE INDEX e_flat ON e USING vkflat (v);
SELECT rows, list_min, list_avg, list_spread, residual_drift, curve_age FROM vk_stats('e_flat');

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
