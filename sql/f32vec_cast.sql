--
-- f32vec: casts
--

-- from arrays
SELECT '{1,2.5,-3}'::real[]::f32vec;
SELECT '{1,2.5,0.1}'::double precision[]::f32vec;
SELECT '{1,-2,16777217,2147483647}'::integer[]::f32vec;
SELECT '{1,2.5,0.1}'::numeric[]::f32vec;
SELECT ARRAY[1,2,3]::f32vec(3);
SELECT '{1,2,3}'::real[]::f32vec(2);

-- rounded once, to the nearest
SELECT ('{1.00000005960464477540}'::numeric[]::f32vec)::text;
SELECT ('{1.0000000596046448}'::double precision[]::f32vec)::text;

-- array bounds do not matter, shapes and nulls do
SELECT '[5:7]={1,2,3}'::real[]::f32vec;
SELECT ('{1,2,NULL}'::real[])[1:2]::f32vec;
SELECT '{{1,2},{3,4}}'::real[]::f32vec;
SELECT '{1,NULL}'::integer[]::f32vec;
SELECT '{}'::numeric[]::f32vec;

-- values that a float or a vector cannot hold
SELECT '{NaN}'::real[]::f32vec;
SELECT '{1,NaN}'::double precision[]::f32vec;
SELECT '{NaN}'::numeric[]::f32vec;
SELECT '{Infinity}'::real[]::f32vec;
SELECT '{-Infinity}'::double precision[]::f32vec;
SELECT '{Infinity}'::numeric[]::f32vec;
SELECT '{1e39}'::double precision[]::f32vec;
SELECT '{1e39}'::numeric[]::f32vec;
SELECT '{1e-50}'::double precision[]::f32vec;
SELECT '{1e-50}'::numeric[]::f32vec;

-- limits
SELECT vector_dims(array_agg(n)::f32vec) FROM generate_series(1, 16000) n;
SELECT array_agg(n)::f32vec FROM generate_series(1, 16001) n;
SELECT array_to_f32vec(array_agg(n), 16001, false) FROM generate_series(1, 16001) n;

-- to arrays
SELECT '[1,2.5,-0.1]'::f32vec::real[];
SELECT '[1,2.5,-0.1]'::f32vec::double precision[];
SELECT '[1,2.5,-0.1]'::f32vec::numeric[];
SELECT '[1.25,-2.75]'::f32vec::numeric(4,1)[];
SELECT '[1,100]'::f32vec::numeric(2)[];
SELECT '[1,2.5,3.5,-0.1,-0.6]'::f32vec::integer[];
SELECT '[2147483520,-2147483648]'::f32vec::integer[];
SELECT '[2147483648]'::f32vec::integer[];
SELECT array_dims('[1,2,3]'::f32vec::real[]), array_lower('[1,2,3]'::f32vec::real[], 1);
SELECT count(*) FROM generate_series(1, 300) dim,
	LATERAL (SELECT array_agg((sin(n) * 1000)::real ORDER BY n) a FROM generate_series(1, dim) n) s
WHERE a::f32vec::real[] = a
	AND a::f32vec::double precision[]::f32vec = a::f32vec
	AND a::f32vec::numeric[]::f32vec::real[] = a::numeric[]::real[]
	AND a::f32vec::integer[] = a::integer[];

-- only the cast to real[] is implicit, only lossless ones serve assignments
CREATE FUNCTION f32vec_cast_first(real[]) RETURNS real LANGUAGE sql RETURN $1[1];
SELECT f32vec_cast_first('[1.5,2]'::f32vec);
DROP FUNCTION f32vec_cast_first;
CREATE TABLE f32vec_cast (v f32vec(2), f4 real[], f8 double precision[], i4 integer[], n numeric[]);
INSERT INTO f32vec_cast (v) VALUES ('{1,2}'::real[]), ('{1,2}'::double precision[]),
	('{1,2}'::integer[]), ('{1,2}'::numeric[]);
INSERT INTO f32vec_cast (v) VALUES ('{1,2,3}'::real[]);
INSERT INTO f32vec_cast (f4, f8) VALUES ('[1.5,2]'::f32vec, '[1.5,2]'::f32vec);
INSERT INTO f32vec_cast (i4) VALUES ('[1.5,2]'::f32vec);
INSERT INTO f32vec_cast (n) VALUES ('[1.5,2]'::f32vec);
SELECT * FROM f32vec_cast;
DROP TABLE f32vec_cast;
SELECT castsource::regtype, casttarget::regtype, castcontext
FROM pg_cast
WHERE 'f32vec'::regtype IN (castsource, casttarget) AND NOT (castsource::regtype::text ~ 'f16|i8' OR casttarget::regtype::text ~ 'f16|i8')
ORDER BY castsource::regtype::text, casttarget::regtype::text;

-- arrays themselves keep their operators
SELECT ARRAY[1,2,3] = ARRAY[1,2,3], ARRAY[1.5] || ARRAY[2.5];

-- the classes of the errors
\set VERBOSITY sqlstate
SELECT '{{1}}'::real[]::f32vec;
SELECT '{NULL}'::real[]::f32vec;
SELECT '{}'::real[]::f32vec;
SELECT '{NaN}'::real[]::f32vec;
SELECT '{1e39}'::double precision[]::f32vec;
SELECT '{1,2}'::real[]::f32vec(3);
SELECT array_agg(n)::f32vec FROM generate_series(1, 16001) n;
SELECT '[3e9]'::f32vec::integer[];
\set VERBOSITY default
