--
-- f32vec: distances
--

-- functions and their operators
SELECT l2_distance('[0,0]'::f32vec, '[3,4]'), '[0,0]'::f32vec <-> '[3,4]',
	f32vec_l2_squared_distance('[0,0]', '[3,4]');
SELECT inner_product('[1,2]'::f32vec, '[3,4]'), '[1,2]'::f32vec <#> '[3,4]',
	f32vec_negative_inner_product('[1,2]', '[3,4]');
SELECT cosine_distance('[1,0]'::f32vec, '[0,2]'), '[1,0]'::f32vec <=> '[0,2]';
SELECT l1_distance('[0,0]'::f32vec, '[3,-4]'), '[0,0]'::f32vec <+> '[3,-4]';

-- small integers are exact: every length against SQL
SELECT count(*) FROM generate_series(1, 130) dim,
	LATERAL (SELECT array_agg(n * 37 % 11 - 5 ORDER BY n)::f32vec a, array_agg(n * 53 % 7 - 3 ORDER BY n)::f32vec b,
				sum((n * 37 % 11 - 5 - (n * 53 % 7 - 3)) ^ 2) l2,
				sum((n * 37 % 11 - 5) * (n * 53 % 7 - 3)) dot,
				sum((n * 37 % 11 - 5) ^ 2) aa, sum((n * 53 % 7 - 3) ^ 2) bb,
				sum(abs(n * 37 % 11 - 5 - (n * 53 % 7 - 3))) l1
			 FROM generate_series(1, dim) n) s
WHERE a <-> b = sqrt(l2) AND f32vec_l2_squared_distance(a, b) = l2
	AND inner_product(a, b) = dot AND a <#> b = -dot
	AND a <=> b = 1 - dot / sqrt(aa * bb) AND a <+> b = l1;

-- symmetric, and zero to itself
SELECT count(*), bool_and(a <-> b = b <-> a AND a <#> b = b <#> a AND a <=> b = b <=> a AND a <+> b = b <+> a),
	bool_and(a <-> a = 0 AND a <+> a = 0), bool_and(abs(a <=> a) < 1e-6)
FROM generate_series(1, 200) dim,
	LATERAL (SELECT array_agg(sin(n)::real ORDER BY n)::f32vec a, array_agg(cos(n * n)::real ORDER BY n)::f32vec b
			 FROM generate_series(1, dim) n) s;

-- the canonical sum: the same bits on every CPU
SELECT encode(float8send(a <-> b), 'hex') l2, encode(float8send(a <#> b), 'hex') ip,
	encode(float8send(a <=> b), 'hex') cosine, encode(float8send(a <+> b), 'hex') l1
FROM (SELECT array_agg((n * 7919 % 10007 / 10007.0)::real ORDER BY n)::f32vec a,
		array_agg((n * 104729 % 10009 / 10009.0)::real ORDER BY n)::f32vec b
	  FROM generate_series(1, 777) n) s;

-- cosine: parallel, opposite, zero norm, any length
SELECT '[1,2]'::f32vec <=> '[2,4]', '[1,1]'::f32vec <=> '[-1,-1]', '[1,1]'::f32vec <=> '[1.1,1.1]',
	'[1,2,3,4,5,6,7,8,9]'::f32vec <=> '[-1,-2,-3,-4,-5,-6,-7,-8,-9]';
SELECT '[1,2]'::f32vec <=> '[0,0]', '[0,0]'::f32vec <=> '[1,2]', '[0]'::f32vec <=> '[0]';
-- NaN has one form, the positive one
SELECT encode(float8send('[1,2]'::f32vec <=> '[0,0]'), 'hex');

-- sums beyond float
SELECT '[3e38]'::f32vec <-> '[-3e38]', '[3e38]'::f32vec <#> '[3e38]', '[3e38]'::f32vec <=> '[3e38]',
	'[3e38]'::f32vec <+> '[-3e38]';
SELECT encode(float8send(inner_product('[3e38,3e38]'::f32vec, '[3e38,-3e38]')), 'hex'),
	encode(float8send('[3e38,3e38]'::f32vec <#> '[3e38,-3e38]'), 'hex');
-- and below
SELECT '[1e-30]'::f32vec <-> '[0]', '[1e-30]'::f32vec <=> '[1e-30]', '[1e-45]'::f32vec <+> '[-1e-45]';

-- the most dimensions
SELECT a <-> b, a <#> b, a <=> b, a <+> b
FROM (SELECT array_fill(1, ARRAY[16000])::f32vec a, array_fill(-3, ARRAY[16000])::f32vec b) s;

-- dimensions must agree
SELECT '[1,2]'::f32vec <-> '[3]';
SELECT '[1,2]'::f32vec <#> '[3]';
SELECT '[1,2]'::f32vec <=> '[3]';
SELECT '[1,2]'::f32vec <+> '[3]';
SELECT inner_product('[1,2]'::f32vec, '[3]');
SELECT f32vec_l2_squared_distance('[1,2]', '[3]');
\set VERBOSITY sqlstate
SELECT l2_distance('[1,2]'::f32vec, '[3]');
\set VERBOSITY default

-- ordering a table; out-of-line values too
CREATE TABLE f32vec_distance (id int, v f32vec);
INSERT INTO f32vec_distance VALUES (1, '[0,0]'), (2, '[3,4]'), (3, '[1,1]'), (4, '[-1,2]'), (5, NULL);
SELECT id, v <-> '[0,0]' AS l2 FROM f32vec_distance ORDER BY l2, id;
SELECT id, v <#> '[1,2]' AS ip FROM f32vec_distance ORDER BY ip, id;
SELECT id, round((v <=> '[1,2]')::numeric, 6) AS cosine FROM f32vec_distance ORDER BY v <=> '[1,2]', id;
SELECT id, v <+> '[1,2]' AS l1 FROM f32vec_distance ORDER BY l1, id;
TRUNCATE f32vec_distance;
INSERT INTO f32vec_distance
	SELECT id, array_agg(n % id)::f32vec FROM generate_series(1, 3) id, generate_series(1, 3000) n GROUP BY id;
SELECT a.id, b.id, a.v <-> b.v, a.v <#> b.v, a.v <+> b.v
FROM f32vec_distance a, f32vec_distance b WHERE a.id < b.id ORDER BY a.id, b.id;
DROP TABLE f32vec_distance;
