--
-- sphere operators: v <<->> vk_sphere(q, r) is v <-> q < r, wherever it stands
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE t (id int, v f32vec(40), tag int);
INSERT INTO t SELECT n, CASE WHEN n % 40 = 0 THEN NULL WHEN n % 40 = 1 THEN flat_vec(0, 40)
	WHEN n % 10 = 3 THEN vec((n - 1) % 12, 40) + vec(n - 1, 40, 0.3) ELSE vec(n % 12, 40) + vec(n, 40, 0.3) END, n % 7
	FROM generate_series(1, 1200) n;
CREATE TABLE q (id int PRIMARY KEY, v f32vec(40), r float8);
INSERT INTO q SELECT n, vec(n, 40) + vec(-n, 40, 0.2), CASE WHEN n % 5 > 0 THEN 1.2 + n % 3 * 0.1 END FROM generate_series(1, 12) n;
INSERT INTO q VALUES (21, NULL, 2), (22, flat_vec(0, 40), 'Infinity'), (23, vec(3, 40), 'NaN'), (24, vec(3, 40), -1), (25, flat_vec(0, 40), 0);
ANALYZE t, q;
-- the four pairs of operators, and a radius that takes some rows in and leaves some out
CREATE TABLE pairs (metric text, distance text, "operator" text, comparison text, radius float8);
INSERT INTO pairs SELECT m, operator_of(m), replace(overlay(operator_of(m) PLACING '<<' FROM 1 FOR 1), '>', '>>') || e, '<' || e, r
	FROM (VALUES ('l2', 1.3), ('ip', -10), ('cosine', 0.06), ('l1', 6.6)) v(m, r), unnest(ARRAY['', '=']) e;
TABLE pairs;

-- as functions of their arguments
CREATE FUNCTION differences(distance text, "operator" text, comparison text, OUT different bigint, OUT within bigint, OUT "null" bigint)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT count(*) FILTER (WHERE a IS DISTINCT FROM b), count(*) FILTER (WHERE a), count(*) FILTER (WHERE a IS NULL)
		FROM t, q, unnest(ARRAY[q.r, t.v %1$s q.v, 0.06, 1.3, 6.6, -10, -1, ''-Infinity'', NULL]::float8[]) s,
			LATERAL (SELECT t.v %2$s vk_sphere(q.v, s), t.v %1$s q.v %3$s s) c(a, b) WHERE t.id <= 120',
		distance, "operator", comparison) INTO different, within, "null";
END
$$;
SELECT "operator", d.* FROM pairs p, differences(p.distance, p."operator", p.comparison) d;
SELECT vk_sphere('[1,2]', 0.5), vk_sphere('[1,2]', 0.5, true), (vk_sphere('[1,2]', 0.5)).radius, vk_sphere(NULL, 1) IS NULL AS no_center, vk_sphere('[1,2]', NULL) IS NULL AS no_radius;
SELECT '[1,2]' <<->> ROW(NULL, 1, false)::vk_sphere_f32vec AS a, '[1,2]' <<=>> ROW('[1,2]', NULL, false)::vk_sphere_f32vec AS b,
	'[1,2]' <<+>>= ROW('[1,2]', 1, NULL)::vk_sphere_f32vec AS c, '[1,2]' <<#>>= NULL::vk_sphere_f32vec AS d, NULL::f32vec <<->> vk_sphere('[1,2]', 1) AS e;
-- the operator looks at the distance alone, exact or not
SELECT '[1,2]' <<->> vk_sphere('[1,4]', 2), '[1,2]' <<->>= vk_sphere('[1,4]', 2), '[1,2]' <<->>= vk_sphere('[1,4]', 2, true), '[1,2]' <<->> vk_sphere('[1,4]', 2.5, true);
SELECT '[1,2]' <<->> vk_sphere('[1,2,3]', 1);
SELECT id FROM t WHERE v <<->> vk_sphere('[1,2,3]', 1);

-- through an index, alone and with an order
SET vkindex.target_recall = 1;
CREATE FUNCTION compare(method text, options text) RETURNS TABLE ("operator" text, rows text, wrong text)
LANGUAGE plpgsql AS $$
DECLARE
	p pairs;
	condition text;
	distance text;
BEGIN
	FOR p IN SELECT * FROM pairs LOOP
		EXECUTE format('CREATE INDEX t_idx ON t USING %s (v %s) %s', method, class_of(p.metric), options);
		"operator" := p."operator";
		distance := format('v %s %L::f32vec', p.distance, (SELECT v FROM q WHERE id = 5));
		condition := format('v %s vk_sphere(%L, %L)', p."operator", (SELECT v FROM q WHERE id = 5), p.radius);
		rows := agree('index', 'SELECT id FROM t WHERE ' || condition);
		wrong := concat_ws('; ',
			nullif(agree('bitmap', 'SELECT id FROM t WHERE ' || condition), rows),
			nullif(agree('index', format('SELECT %s FROM t WHERE %s ORDER BY 1', distance, condition), 'Index Cond: .*Order By', true), rows),
			nullif(agree('index', format('SELECT %s FROM t WHERE %s ORDER BY 1 LIMIT 7 OFFSET 3', distance, condition), 'Index Cond: .*Order By', true), '7 rows'),
			substring(agree('index', format('SELECT id FROM t WHERE NOT %s AND v %s vk_sphere(%L, %L)', condition, p."operator", vec(6, 40), p.radius)) FROM '.*,.*'),
			(SELECT string_agg(q.id || ': ' || a, '; ') FROM q, agree('index', format('SELECT id FROM t WHERE v %s vk_sphere(%L, %L)', p."operator", q.v, q.r), 'Index Cond') a WHERE q.v IS NOT NULL AND q.r IS NOT NULL AND a ~ ','));
		RETURN NEXT;
		DROP INDEX t_idx;
	END LOOP;
END
$$;
SELECT * FROM compare('vkflat', '');
SELECT * FROM compare('vkivf', 'WITH (lists = 20, calibrate = 100)');

-- several of them: OR, AND, ANY, NOT
CREATE INDEX t_flat ON t USING vkflat (v);
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops) WITH (lists = 20);
\set ECHO none
SELECT format('vk_sphere(%L, 1.3)', v) AS s FROM q WHERE id = 5 \gset
SELECT format('vk_sphere(%L, 1.3)', v) AS u FROM q WHERE id = 6 \gset
SELECT format('vk_sphere(%L, 0.06)', v) AS w FROM q WHERE id = 7 \gset
\set ECHO all
CREATE FUNCTION several(path text, suffix text, s text, u text, w text) RETURNS TABLE (condition text, result text) LANGUAGE sql AS $$
	SELECT c, agree(path, replace(replace(replace('SELECT id FROM t WHERE ' || c || suffix, '{s}', s), '{u}', u), '{w}', w), 'Index Cond: .*<<')
	FROM unnest(ARRAY['v <<->> {s} AND v <<->> {u}', 'v <<->> {s} AND v <<->>= {s}', 'v <<->> {s} AND v <<->> vk_sphere(({s}).center, 1.2)', 'v <<->> {s} AND v <<=>> {w}',
		'v <<->> {s} AND (v <<->> {u}) IS NOT TRUE', 'v <<->> {s} AND NOT v <<=>> {w}', 'v <<->> {s} AND tag = 3', 'v <<->> {s} AND v IS NULL', 'v <<->> {s} AND v IS NOT NULL',
		'v <<->> ANY (ARRAY[{s}, {u}])', 'v <<->> ANY (ARRAY[{u}, {s}, {s}, NULL])', 'v <<->>= ANY (ARRAY[{s}, {u}, vk_sphere(({s}).center, 1.4)]) AND tag < 4',
		'v <<->> ANY (ARRAY[NULL]::vk_sphere_f32vec[])', 'v <<->> ANY (''{}''::vk_sphere_f32vec[])', 'v <<->> ANY (ARRAY[{s}, {u}]) AND v <<->> {u}',
		'v <<->> ANY (ARRAY(SELECT vk_sphere(v, 1.3) FROM q WHERE id BETWEEN 5 AND 9))']) c
$$;
SELECT a.condition, a.result, nullif(b.result, a.result) AS by_bitmap, nullif(c.result, a.result) AS in_order
FROM several('index', '', :'s', :'u', :'w') WITH ORDINALITY a JOIN several('bitmap', '', :'s', :'u', :'w') WITH ORDINALITY b USING (ordinality)
	JOIN several('index', ' ORDER BY v <-> vec(5, 40)', :'s', :'u', :'w') WITH ORDINALITY c USING (ordinality) ORDER BY ordinality;
CREATE INDEX t_tag ON t (tag);
SELECT c, agree('bitmap', replace(replace(replace('SELECT id FROM t WHERE ' || c, '{s}', :'s'), '{u}', :'u'), '{w}', :'w'), 'BitmapOr|<<->> ANY')
FROM unnest(ARRAY['v <<->> {s} OR v <<->> {u}', 'v <<->> {s} OR v <<=>> {w} OR tag = 3', 'v <<->> {s} AND tag = 2 OR v <<->>= {u} AND tag = 3', '(v <<->> {s} OR v <<->> {u}) AND tag % 5 > 0 AND NOT v <<=>> {w}']) c;
SET enable_seqscan = off;
SET enable_indexscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM t, (SELECT v AS c FROM q WHERE id = 5 OFFSET 0) s WHERE v <<->> vk_sphere(c, 1.3) OR v <<=>> vk_sphere(c, 0.06) OR tag = 3;
RESET enable_indexscan;
RESET enable_seqscan;

DROP INDEX t_tag;

-- joins
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SET enable_memoize = off;
SELECT agree('index', statement, 'Nested Loop.*Index Cond: .*<<') FROM unnest(ARRAY['SELECT q.id, t.id FROM q JOIN t ON t.v <<->> vk_sphere(q.v, 1.3)',
	'SELECT q.id, t.id FROM q JOIN t ON t.v <<->>= vk_sphere(q.v, q.r) AND t.tag = 3', 'SELECT q.id, t.id FROM q LEFT JOIN t ON t.v <<=>> vk_sphere(q.v, 0.06)',
	'SELECT q.id FROM q WHERE EXISTS (SELECT FROM t WHERE t.v <<->> vk_sphere(q.v, q.r))', 'SELECT q.id FROM q WHERE NOT EXISTS (SELECT FROM t WHERE t.v <<->> vk_sphere(q.v, q.r))',
	'SELECT a.id, b.id FROM t a JOIN t b ON b.v <<->> vk_sphere(a.v, 0.9) AND a.id < b.id']) statement;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT q.id, t.id FROM q JOIN t ON t.v <<->> vk_sphere(q.v, q.r);
RESET enable_seqscan;
SELECT agree('index', 'SELECT q.id, s.d FROM q, LATERAL (SELECT t.v <-> q.v AS d FROM t WHERE t.v <<->> vk_sphere(q.v, q.r) ORDER BY t.v <-> q.v LIMIT 4) s', 'Index Cond: .*<<.*Order By');

-- spheres as parameters
PREPARE within (vk_sphere_f32vec) AS SELECT id FROM t WHERE v <<->> $1;
PREPARE within_any (vk_sphere_f32vec[]) AS SELECT id FROM t WHERE v <<=>>= ANY ($1);
SET plan_cache_mode = force_generic_plan;
SELECT p, agree('index', replace(replace(p, '{s}', :'s'), '{w}', :'w')), agree('bitmap', replace(replace(p, '{s}', :'s'), '{w}', :'w'))
FROM unnest(ARRAY['EXECUTE within ({s})', 'EXECUTE within (NULL)', 'EXECUTE within (ROW(NULL, 1, false))', 'EXECUTE within (vk_sphere(({s}).center, NULL))', 'EXECUTE within (vk_sphere(({s}).center, ''NaN''))',
	'EXECUTE within_any (ARRAY[{s}, {w}])', 'EXECUTE within_any (ARRAY[NULL, {w}, ROW(NULL, NULL, NULL)::vk_sphere_f32vec])', 'EXECUTE within_any (''{}'')', 'EXECUTE within_any (NULL)']) p;
RESET plan_cache_mode;
DEALLOCATE ALL;

-- in the predicate of an index, and in a constraint
DROP INDEX t_flat, t_ivf;
SELECT format('CREATE INDEX t_near ON t USING vkflat (v) WHERE v <<->> %s', :'s') \gexec
SELECT format('CREATE INDEX t_near_tag ON t (tag) WHERE v <<->> %s', :'s') \gexec
SELECT agree('index', format('SELECT v <-> vec(6, 40) FROM t WHERE v <<->> %s ORDER BY v <-> vec(6, 40) LIMIT 9', :'s'), 'Index Scan using t_near on .*Order By', true),
	agree('index', format('SELECT id FROM t WHERE v <<->> %s AND tag = 3', :'s'), 'Index Scan using t_near_tag'),
	agree('index', format('SELECT id FROM t WHERE v <<->> %s AND v <<->> %s', :'s', :'u'), 'Index Scan using t_near'),
	(rows_by('index', format('SELECT id FROM t WHERE v <<->> %s', :'u'), '')).note;
SELECT vk_check('t_near', true);
SELECT rows = (SELECT count(*) FROM t WHERE v <<->> vk_sphere((SELECT v FROM q WHERE id = 5), 1.3)) AS only_those FROM vk_stats('t_near');

-- vkivf: at the declared recall, or exactly where the sphere says so
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops) WITH (lists = 20);
SET vkindex.target_recall = 0.9;
SET vkindex.probes = 6;
CREATE FUNCTION near_and_exact(path text, OUT approximate text, OUT "exact" text) LANGUAGE plpgsql AS $$
DECLARE
	condition text := format('SELECT id FROM t WHERE v <<=>> vk_sphere(%L, 0.9', (SELECT v FROM q WHERE id = 5));
	near record := rows_by(path, condition || ')', 'Index Cond');
	truth record := rows_by('sequential', condition || ')', '');
BEGIN
	approximate := CASE WHEN near.note <> '' THEN near.note WHEN NOT near.result <@ truth.result THEN 'rows too many'
		WHEN cardinality(near.result) = cardinality(truth.result) THEN 'all' WHEN cardinality(near.result) > 30 THEN 'some' ELSE 'few' END;
	"exact" := agree(path, condition || ', true)');
END
$$;
SELECT path, r.* FROM unnest(ARRAY['index', 'bitmap']) path, near_and_exact(path) r;
RESET vkindex.probes;
RESET vkindex.target_recall;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
