--
-- i8vec: what all types have, and its own elements
--
\getenv top PG_ABS_SRCDIR
\set cases :top /sql/include/vec_type.psql
\set type i8vec
\set wide f32vec
\set type_cmp i8vec_cmp
\set type_l2_squared_distance i8vec_l2_squared_distance
\set type_accum i8vec_accum
\set type_combine i8vec_combine
\set type_avg i8vec_avg
\set type_sum i8vec_sum
\i :cases

-- integers from -128 to 127, written as such
SELECT '[127,-128,-0,007]'::i8vec;
SELECT '[128]'::i8vec;
SELECT '[1,-129]'::i8vec;
SELECT '[99999999999999999999]'::i8vec;
SELECT '[1.5]'::i8vec;
SELECT '[1.0]'::i8vec;
SELECT '[1e1]'::i8vec;
SELECT '[0x10]'::i8vec;
SELECT '[nan]'::i8vec;
SELECT '[inf]'::i8vec;

-- every element there is, by its binary form, text and arrays
SELECT count(*), count(*) FILTER (WHERE ('[' || n || ']')::i8vec::integer[] = ARRAY[n]) AS text,
	count(*) FILTER (WHERE ARRAY[n]::i8vec::text = '[' || n || ']') AS array,
	count(*) FILTER (WHERE encode(substr(i8vec_send(ARRAY[n]::i8vec), 5), 'hex') = lpad(to_hex(n & 255), 2, '0')) AS binary
FROM generate_series(-128, 127) n;
SELECT i8vec_send('[1,-2,127,-128]');

-- floats are rounded, ties to even
SELECT '{0.5,1.5,2.5,-0.5,-1.5,126.5,-127.5,-128.5}'::real[]::i8vec, '{0.49,0.51,-0.51,127.4999}'::numeric[]::i8vec,
	'[0.5,1.5,2.5,-128.5]'::f32vec::i8vec;
SELECT '{127.5}'::real[]::i8vec;
SELECT '{-128.6}'::double precision[]::i8vec;
SELECT '{1,128}'::integer[]::i8vec;
SELECT '{-129}'::numeric[]::i8vec;
SELECT '[300.5]'::f32vec::i8vec;
SELECT '[65504]'::f16vec::i8vec;
SELECT '[-1e30]'::bf16vec::i8vec;

-- arithmetic stays within
SELECT '[100,-100]'::i8vec + '[27,-28]', '[100,-100]'::i8vec - '[-27,28]', '[64,-64,11]'::i8vec * '[-2,2,11]';
SELECT '[100]'::i8vec + '[28]';
SELECT '[-100]'::i8vec - '[29]';
SELECT '[64]'::i8vec * '[2]';
SELECT '[-128]'::i8vec * '[-128]';
SELECT '[0,5,0]'::i8vec * '[5,0,0]';
SELECT l2_normalize('[3,4]'::i8vec), l2_normalize('[-128]'::i8vec), vector_norm('[-128,127]'::i8vec) ^ 2;

-- distances are exact, beyond what a float can hold
SELECT i8vec_l2_squared_distance(a, b), inner_product(a, a), a <#> b, a <+> b, a <=> b, a <-> b = sqrt(i8vec_l2_squared_distance(a, b))
FROM (SELECT array_fill(-128, ARRAY[16000])::i8vec a, array_fill(127, ARRAY[15999])::i8vec || '[126]' b) s;
SELECT i8vec_l2_squared_distance(a, b) - i8vec_l2_squared_distance(a, c)
FROM (SELECT array_fill(-128, ARRAY[16000])::i8vec a, array_fill(127, ARRAY[15999])::i8vec || '[-127]' b, array_fill(127, ARRAY[15999])::i8vec || '[-128]' c) s;

-- sums and averages are vectors of floats
SELECT sum(v), avg(v) FROM unnest('{"[127,-128]","[127,-128]","[126,-128]"}'::i8vec[]) v;
SELECT sum(v) FROM (SELECT '[127]'::i8vec v FROM generate_series(1, 10000)) s;
SELECT i8vec_avg('{1,65520}'), i8vec_sum('{1,65520}');
