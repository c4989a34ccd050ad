--
-- f16vec: what all types have, and its own elements
--
\getenv top PG_ABS_SRCDIR
\set cases :top /sql/include/vec_type.psql
\set type f16vec
\set wide f16vec
\set type_cmp f16vec_cmp
\set type_l2_squared_distance f16vec_l2_squared_distance
\set type_accum f16vec_accum
\set type_combine f16vec_combine
\set type_avg f16vec_avg
\set type_sum f16vec_sum
\i :cases

-- rounded to the nearest, ties to even; written as the float that it is
SELECT '[1.23456,0.1,2049,2051,1e-8,-1e-8,5.9604645e-08,6.1e-05]'::f16vec;
SELECT '[65519,-65519]'::f16vec, '[65504]'::f16vec, '[65519.99]'::f16vec;
SELECT '[65520]'::f16vec;
SELECT '[1,-65520]'::f16vec;
SELECT '[4e38]'::f16vec;
SELECT '[1e-46,1e-400]'::f16vec;
SELECT '[nan]'::f16vec;
SELECT '[1,inf]'::f16vec;
SELECT '[-Infinity]'::f16vec;
-- smallest number; half of it is even zero, what is more is not
SELECT '[2.9802322e-08]'::f16vec, '[2.9802326e-08]'::f16vec;

-- every half there is, by its binary form and by text
CREATE TABLE f16vec_all AS
SELECT n, CASE WHEN n >= 32768 THEN -1 ELSE 1 END *
	CASE WHEN n % 32768 < 1024 THEN (n % 1024) * 2.0::float8 ^ -24
		ELSE (1024 + n % 1024) * 2.0::float8 ^ (n % 32768 / 1024 - 25) END AS value
FROM generate_series(0, 65535) n WHERE n % 32768 < 31744;
SELECT count(*), count(*) FILTER (WHERE ('[' || value || ']')::f16vec::real[] = ARRAY[value]::real[]) AS text,
	count(*) FILTER (WHERE ARRAY[value]::f16vec::text::f16vec::double precision[] = ARRAY[value]) AS array,
	count(*) FILTER (WHERE encode(substr(f16vec_send(ARRAY[value]::f16vec), 5), 'hex') = lpad(to_hex(n), 4, '0')) AS binary
FROM f16vec_all WHERE n <> 32768;
-- and what lies in the middle of two goes to the even one
SELECT count(*), count(*) FILTER (WHERE ARRAY[(a.value + b.value) / 2]::f16vec::double precision[] =
	ARRAY[CASE WHEN a.n % 2 = 0 THEN a.value ELSE b.value END]) AS even
FROM f16vec_all a JOIN f16vec_all b ON b.n = a.n + 1 WHERE a.n <> 32767 AND a.n < 32768 + 31743;
DROP TABLE f16vec_all;
SELECT f16vec_send('[1,-2.5,0,65504,-0]');

-- arithmetic: rounded once
SELECT '[2048]'::f16vec + '[1]', '[2050]'::f16vec + '[1]', '[0.1]'::f16vec * '[0.1]', '[0.1]'::f16vec - '[0.3]';
SELECT '[65504]'::f16vec + '[65504]';
SELECT '[65504]'::f16vec + '[16]';
SELECT '[65504]'::f16vec + '[15.99]';
SELECT '[-65504]'::f16vec - '[65504]';
SELECT '[65504]'::f16vec * '[65504]';
SELECT '[1e-7]'::f16vec * '[1e-7]';
SELECT '[1e-4]'::f16vec * '[1e-4]';
SELECT '[0,-0,1e-7]'::f16vec * '[1e-7,1e-7,0]';
SELECT l2_normalize('[3,4]'::f16vec), l2_normalize('[65504]'::f16vec), l2_normalize('[0,0.1]'::f16vec), l2_normalize('[6e-8]'::f16vec);
SELECT vector_norm('[65504,65504]'::f16vec), binary_quantize('[0,0.1,-0.2,6e-8,-6e-8]'::f16vec), '[-0]'::f16vec = '[0]', '[0.1]'::f16vec = '[0.1000001]';

-- what a float sums is no half's concern
SELECT inner_product('[65504]'::f16vec, '[65504]'), '[65504]'::f16vec <-> '[-65504]', '[65504,65504]'::f16vec <=> '[65504,-65504]',
	'[65504]'::f16vec <+> '[-65504]', '[6e-8]'::f16vec <-> '[-6e-8]', '[6e-8]'::f16vec <=> '[6e-8]';
SELECT encode(float8send(a <-> b), 'hex') l2, encode(float8send(a <#> b), 'hex') ip,
	encode(float8send(a <=> b), 'hex') cosine, encode(float8send(a <+> b), 'hex') l1,
	a <-> b = a::f32vec <-> b::f32vec AND a <#> b = a::f32vec <#> b::f32vec
		AND a <=> b = a::f32vec <=> b::f32vec AND a <+> b = a::f32vec <+> b::f32vec AS as_floats
FROM (SELECT array_agg((n * 7919 % 10007 / 10007.0)::real ORDER BY n)::f16vec a,
		array_agg((n * 104729 % 10009 / 10009.0)::real ORDER BY n)::f16vec b FROM generate_series(1, 777) n) s;

-- sums beyond an element fail, averages do not
SELECT avg(v) FROM unnest('{"[65504]","[65504]"}'::f16vec[]) v;
SELECT sum(v) FROM unnest('{"[65504]","[65504]"}'::f16vec[]) v;
SELECT sum(v), avg(v) FROM (SELECT '[1]'::f16vec v FROM generate_series(1, 4096)) s;
SELECT f16vec_avg('{1,65520}');
