--
-- every size of codes
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE t (id int, v f32vec(64));
INSERT INTO t SELECT n, vec(n % 60, 64) + vec(n + 10000, 64, 0.4) FROM generate_series(1, 1200) n;

CREATE FUNCTION bits(method text, bits text, refine text, metric text, options text,
					 OUT stored text, OUT exact boolean, OUT recall boolean, OUT inserted boolean, OUT sound boolean)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE INDEX t_idx ON t USING %s (v %s) WITH (bits = %s, refine = %s %s)',
				   method, class_of(metric), bits, refine, options);
	stored := (SELECT s.bits || '+' || s.refine_bits FROM vk_stats('t_idx') s);
	exact := same('t', metric, vec(-1, 64), 10) AND same('t', metric, vec(3, 64) + vec(-3, 64, 0.4), 100)
		AND same('t', metric, vec(-4, 64), NULL);
	recall := (SELECT avg(recall('t', metric, vec(n, 64) + vec(-n, 64, 0.4), 10, 0.95)) >= 0.85 FROM generate_series(1, 12) n);
	INSERT INTO t SELECT n, vec(n, 64) FROM generate_series(1201, 1250) n;
	inserted := same('t', metric, vec(1225, 64), 10);
	sound := sound('t_idx');
	DROP INDEX t_idx;
	DELETE FROM t WHERE id > 1200;
END
$$;

SELECT bits, refine, b.* FROM
	(VALUES (1, '1'), (2, '2'), (3, '4'), (4, '8'), (5, '16'), (6, '32')) x(ord, bits), (VALUES (1, 'none'), (2, '4'), (3, '8')) y(ord, refine),
	bits('vkflat', bits, refine, CASE x.ord % 3 WHEN 0 THEN 'l2' WHEN 1 THEN 'ip' ELSE 'cosine' END, '') b
WHERE refine = 'none' OR refine::int > bits::int
ORDER BY x.ord, y.ord;
SELECT bits, refine, b.* FROM
	(VALUES (1, '1'), (2, '2'), (3, '4'), (4, '8'), (5, '16'), (6, '32')) x(ord, bits), (VALUES (1, 'none'), (2, '4'), (3, '8')) y(ord, refine),
	bits('vkivf', bits, refine, CASE (x.ord + y.ord) % 3 WHEN 0 THEN 'l2' WHEN 1 THEN 'ip' ELSE 'cosine' END, ', lists = 24') b
WHERE refine = 'none' OR refine::int > bits::int
ORDER BY x.ord, y.ord;

-- what is left to the index; finer codes take more room
CREATE FUNCTION stored(method text, bits text, refine text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	stored text;
BEGIN
	EXECUTE format('CREATE INDEX t_idx ON t USING %s (v) WITH (bits = %s, refine = %s)', method, bits, refine);
	stored := (SELECT s.bits || '+' || s.refine_bits FROM vk_stats('t_idx') s);
	DROP INDEX t_idx;
	RETURN stored;
END
$$;
SELECT bits, refine, stored('vkflat', bits, refine) AS vkflat, stored('vkivf', bits, refine) AS vkivf
FROM (VALUES ('auto', 'auto'), ('auto', 'none'), ('auto', '4'), ('auto', '8'), ('1', 'auto'), ('2', 'auto'), ('8', 'auto')) x(bits, refine);
CREATE INDEX t_1 ON t USING vkflat (v) WITH (bits = 1, refine = none);
CREATE INDEX t_4 ON t USING vkflat (v) WITH (bits = 4);
CREATE INDEX t_1_8 ON t USING vkflat (v) WITH (bits = 1, refine = 8);
CREATE INDEX t_16 ON t USING vkflat (v) WITH (bits = 16);
CREATE INDEX t_32 ON t USING vkflat (v) WITH (bits = 32);
SELECT string_agg(relname, ' < ' ORDER BY pg_relation_size(oid)) FROM pg_class WHERE relname ~ '^t_[0-9_]+$' AND relnamespace = 'vk_test'::regnamespace;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
