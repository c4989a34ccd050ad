--
-- bf16vec: what all types have, and its own elements
--
\getenv top PG_ABS_SRCDIR
\set cases :top /sql/include/vec_type.psql
\set type bf16vec
\set wide bf16vec
\set type_cmp bf16vec_cmp
\set type_l2_squared_distance bf16vec_l2_squared_distance
\set type_accum bf16vec_accum
\set type_combine bf16vec_combine
\set type_avg bf16vec_avg
\set type_sum bf16vec_sum
\i :cases

-- rounded to the nearest, ties to even; written as the float that it is
SELECT '[1.23456,0.1,257,259,1e-38,1e-40,9.18355e-41]'::bf16vec;
SELECT '[3.3895314e38,-3.3895314e38]'::bf16vec, '[3.39615e38]'::bf16vec;
SELECT '[3.3961775e38]'::bf16vec;
SELECT '[1,-3.4e38]'::bf16vec;
SELECT '[4e38]'::bf16vec;
SELECT '[1e-46,1e-400]'::bf16vec;
SELECT '[nan]'::bf16vec;
SELECT '[1,inf]'::bf16vec;
SELECT '[-Infinity]'::bf16vec;
-- smallest number; half of it is even zero, what is more is not
SELECT '[4.591775e-41]'::bf16vec, '[4.5919e-41]'::bf16vec;

-- every bfloat16 there is, by its binary form and by text
CREATE TABLE bf16vec_all AS
SELECT n, CASE WHEN n >= 32768 THEN -1 ELSE 1 END *
	CASE WHEN n % 32768 < 128 THEN (n % 128) * 2.0::float8 ^ -133
		ELSE (128 + n % 128) * 2.0::float8 ^ (n % 32768 / 128 - 134) END AS value
FROM generate_series(0, 65535) n WHERE n % 32768 < 32640;
SELECT count(*), count(*) FILTER (WHERE ('[' || value || ']')::bf16vec::real[] = ARRAY[value]::real[]) AS text,
	count(*) FILTER (WHERE ARRAY[value]::bf16vec::text::bf16vec::double precision[] = ARRAY[value]) AS array,
	count(*) FILTER (WHERE encode(substr(bf16vec_send(ARRAY[value]::bf16vec), 5), 'hex') = lpad(to_hex(n), 4, '0')) AS binary
FROM bf16vec_all WHERE n <> 32768;
-- and what lies in the middle of two goes to the even one
SELECT count(*), count(*) FILTER (WHERE ARRAY[(a.value + b.value) / 2]::bf16vec::double precision[] =
	ARRAY[CASE WHEN a.n % 2 = 0 THEN a.value ELSE b.value END]) AS even
FROM bf16vec_all a JOIN bf16vec_all b ON b.n = a.n + 1 WHERE a.n <> 32767 AND a.n < 32768 + 32639;
DROP TABLE bf16vec_all;
SELECT bf16vec_send('[1,-2.5,0,3.3895314e38,-0]');

-- arithmetic: rounded once
SELECT '[256]'::bf16vec + '[1]', '[258]'::bf16vec + '[1]', '[0.1]'::bf16vec * '[0.1]', '[0.1]'::bf16vec - '[0.3]';
SELECT '[3.3895314e38]'::bf16vec + '[3.3895314e38]';
SELECT '[3.3895314e38]'::bf16vec + '[6e35]';
SELECT '[-3.3895314e38]'::bf16vec - '[3.3895314e38]';
SELECT '[1e20]'::bf16vec * '[1e20]';
SELECT '[1e-30]'::bf16vec * '[1e-30]';
SELECT '[1e-20]'::bf16vec * '[1e-20]';
SELECT '[0,-0,1e-30]'::bf16vec * '[1e-30,1e-30,0]';
SELECT l2_normalize('[3,4]'::bf16vec), l2_normalize('[3.3895314e38]'::bf16vec), l2_normalize('[1e-40]'::bf16vec);
SELECT round(vector_norm('[3e38,3e38]'::bf16vec)::numeric / 1e38, 4), binary_quantize('[0,0.1,-0.2,1e-40,-1e-40]'::bf16vec), '[-0]'::bf16vec = '[0]', '[0.1]'::bf16vec = '[0.1001]';

-- distances are those of the same floats
SELECT '[3e38]'::bf16vec <-> '[-3e38]', '[3e38]'::bf16vec <#> '[3e38]', '[3e38]'::bf16vec <=> '[3e38]', '[1e-40]'::bf16vec <+> '[-1e-40]';
SELECT encode(float8send(a <-> b), 'hex') l2, encode(float8send(a <#> b), 'hex') ip,
	encode(float8send(a <=> b), 'hex') cosine, encode(float8send(a <+> b), 'hex') l1,
	a <-> b = a::f32vec <-> b::f32vec AND a <#> b = a::f32vec <#> b::f32vec
		AND a <=> b = a::f32vec <=> b::f32vec AND a <+> b = a::f32vec <+> b::f32vec AS as_floats
FROM (SELECT array_agg((n * 7919 % 10007 / 10007.0)::real ORDER BY n)::bf16vec a,
		array_agg((n * 104729 % 10009 / 10009.0)::real ORDER BY n)::bf16vec b FROM generate_series(1, 777) n) s;

-- sums beyond an element fail, averages do not
SELECT avg(v) FROM unnest('{"[3e38]","[3e38]"}'::bf16vec[]) v;
SELECT sum(v) FROM unnest('{"[3e38]","[3e38]"}'::bf16vec[]) v;
SELECT sum(v), avg(v) FROM (SELECT '[1]'::bf16vec v FROM generate_series(1, 4096)) s;
SELECT bf16vec_avg('{1,3.4e38}');
