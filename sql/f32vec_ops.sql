--
-- f32vec: arithmetic, norm, parts, quantization
--

-- arithmetic
SELECT '[1,2,3]'::f32vec + '[0.5,-2,1e10]', '[1,2,3]'::f32vec - '[0.5,-2,1e10]',
	'[1,2,3]'::f32vec * '[0.5,-2,1e10]';
SELECT '[1,2]'::f32vec + '[1]';
SELECT '[1,2]'::f32vec - '[1]';
SELECT '[1,2]'::f32vec * '[1]';

-- beyond float
SELECT '[0,3e38]'::f32vec + '[0,3e38]';
SELECT '[0,-3e38]'::f32vec - '[0,3e38]';
SELECT '[0,1e20]'::f32vec * '[0,-1e20]';
SELECT '[1,1e-30]'::f32vec * '[1,1e-30]';
SELECT '[1e-30,0,-0]'::f32vec * '[0,1e-30,0]';
-- denormal results are results
SELECT '[1e-20]'::f32vec * '[1e-20]', '[1e-45]'::f32vec - '[3e-45]', '[1e-38]'::f32vec - '[1e-38]';

-- every length around what vector units take at once
SELECT count(*) FROM generate_series(1, 70) dim,
	LATERAL (SELECT array_agg(n)::f32vec a, array_agg(2 * n)::f32vec b, array_agg(n * n)::f32vec c
			 FROM generate_series(1, dim) n) s
WHERE a + a = b AND b - a = a AND a * a = c AND vector_dims(a) = dim
	AND subvector(a || b, dim + 1, dim) = b;

-- concatenation
SELECT '[1,2]'::f32vec || '[3]';
SELECT vector_dims(array_fill(0, ARRAY[8000])::f32vec || array_fill(1, ARRAY[8000])::f32vec);
SELECT array_fill(0, ARRAY[16000])::f32vec || '[1]';

-- dimensions and norm
SELECT vector_dims('[1,2,3]'::f32vec), vector_norm('[3,4]'::f32vec), vector_norm('[0,0]'::f32vec),
	vector_norm('[-2]'::f32vec);
-- squares that only a double can hold
SELECT vector_norm('[2e38,-2e38]'::f32vec)::real, vector_norm('[1e-45]'::f32vec)::real;
SELECT count(*) FROM generate_series(1, 70) dim,
	LATERAL (SELECT array_agg(n)::f32vec a, sqrt(sum(n * n)::double precision) norm
			 FROM generate_series(1, dim) n) s
WHERE vector_norm(a) = norm;

-- normalization
SELECT l2_normalize('[3,4]'::f32vec), l2_normalize('[0,-0]'::f32vec), l2_normalize('[-7]'::f32vec),
	l2_normalize('[3.4028235e38]'::f32vec), l2_normalize('[1e-45,0]'::f32vec);
SELECT l2_normalize('[3e38,3e38,3e38,3e38]'::f32vec), l2_normalize('[1e-44,1e-44,1e-44,1e-44]'::f32vec);

-- parts: positions from 1, cut at the ends
SELECT subvector('[1,2,3,4,5]'::f32vec, 1, 5), subvector('[1,2,3,4,5]'::f32vec, 5, 1),
	subvector('[1,2,3,4,5]'::f32vec, 4, 9), subvector('[1,2,3,4,5]'::f32vec, -1, 4),
	subvector('[1,2,3,4,5]'::f32vec, 0, 2);
SELECT subvector('[1,2,3,4,5]'::f32vec, -2147483648, 2147483647);
SELECT subvector('[1,2,3,4,5]'::f32vec, -2147483645, 2147483647);
SELECT subvector('[1,2,3,4,5]'::f32vec, 2, 2147483647);
SELECT subvector('[1,2,3,4,5]'::f32vec, 2147483647, 2147483647);
SELECT subvector('[1,2,3,4,5]'::f32vec, 6, 1);
SELECT subvector('[1,2,3,4,5]'::f32vec, 0, 1);
SELECT subvector('[1,2,3,4,5]'::f32vec, 3, 0);
SELECT subvector('[1,2,3,4,5]'::f32vec, 3, -1);
SELECT subvector('[1,2,3,4,5]'::f32vec, -2147483648, -2147483648);
-- the same as array slices, for every start and count
SELECT count(*), count(*) FILTER (WHERE part = slice)
FROM generate_series(-2, 6) s, generate_series(1, 8) c,
	LATERAL (SELECT ('{1,2,3,4,5}'::real[])[s:s + c - 1] slice) a,
	LATERAL (SELECT CASE WHEN slice <> '{}' THEN subvector('[1,2,3,4,5]'::f32vec, s, c)::real[] ELSE '{}' END part) b;

-- a bit a dimension, first dimension first
SELECT binary_quantize('[1]'::f32vec), binary_quantize('[0,-0,-1,1e-45]'::f32vec),
	binary_quantize('[1,1,1,1,1,1,1,-1]'::f32vec), binary_quantize('[-1,-1,-1,-1,-1,-1,-1,-1,1]'::f32vec);
SELECT count(*) FROM generate_series(1, 70) dim,
	LATERAL (SELECT array_agg(sin(n * n))::f32vec v, string_agg((sin(n * n) > 0)::int::text, '' ORDER BY n) bits
			 FROM generate_series(1, dim) n) s
WHERE binary_quantize(v)::text = bits AND length(binary_quantize(v)) = dim;
SELECT length(binary_quantize(array_fill(1, ARRAY[16000])::f32vec)),
	bit_count(binary_quantize(array_fill(1, ARRAY[16000])::f32vec));

-- NULL in, NULL out
SELECT NULL::f32vec + '[1]' IS NULL, subvector(NULL::f32vec, 1, 1) IS NULL,
	vector_norm(NULL::f32vec) IS NULL, binary_quantize(NULL::f32vec) IS NULL;

-- out-of-line values
CREATE TABLE f32vec_ops_toast (a f32vec(4000), b f32vec(4000));
INSERT INTO f32vec_ops_toast
	SELECT array_agg(n % 7)::f32vec, array_agg(n % 5)::f32vec FROM generate_series(1, 4000) n;
SELECT vector_dims(a || b), vector_norm(a - a), subvector(a + b, 3999, 2), subvector(a * b, 1, 3),
	a < b, a = a, bit_count(binary_quantize(b))
FROM f32vec_ops_toast;
DROP TABLE f32vec_ops_toast;

-- the classes of the errors
\set VERBOSITY sqlstate
SELECT '[1,2]'::f32vec + '[1]';
SELECT '[3e38]'::f32vec + '[3e38]';
SELECT '[1e-30]'::f32vec * '[1e-30]';
SELECT subvector('[1]'::f32vec, 2, 1);
SELECT array_fill(0, ARRAY[16000])::f32vec || '[1]';
\set VERBOSITY default

-- every object of the type part has a comment; every function is labelled
SELECT p.oid::regprocedure
FROM pg_proc p
WHERE ('f32vec'::regtype = p.prorettype OR 'f32vec'::regtype = ANY (p.proargtypes)
	   OR p.proname ~ '^f32vec') AND p.proname !~ '^vk_'
	AND (p.provolatile <> 'i' OR p.proparallel <> 's' OR p.proisstrict <> (p.prokind = 'f')
		 OR obj_description(p.oid, 'pg_proc') IS NULL);
SELECT o.oid::regoperator
FROM pg_operator o
WHERE 'f32vec'::regtype IN (oprleft, oprright) AND obj_description(o.oid, 'pg_operator') IS NULL;
SELECT castsource::regtype, casttarget::regtype
FROM pg_cast c
WHERE 'f32vec'::regtype IN (castsource, casttarget) AND obj_description(c.oid, 'pg_cast') IS NULL;
SELECT opcname, obj_description(c.oid, 'pg_opclass'), opfname, obj_description(f.oid, 'pg_opfamily')
FROM pg_opclass c JOIN pg_opfamily f ON f.oid = opcfamily JOIN pg_am a ON a.oid = opcmethod
WHERE opcintype = 'f32vec'::regtype AND amname = 'btree';
SELECT obj_description('f32vec'::regtype, 'pg_type');
