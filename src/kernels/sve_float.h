/*-------------------------------------------------------------------------
 *
 * sve_float.h
 *	  Part of sve.c: canonical sums and tiles of vectors.
 *
 * NOTES
 *	  Elements differ in how a vector of them is loaded as floats, as in
 *	  neon_pair.h: halves and bfloat16 are loaded into the low half of each
 *	  32-bit element, where FCVT finds them or a shift widens them.
 *
 *	  The 32 lanes of the canonical sum are up to 4 vectors of 8, 2 of 16, or
 *	  one of 32 of which the lanes after the 32nd stay empty.  They are stored
 *	  and added one tree for all lengths of vectors.  A tile takes 4 x 4 pairs,
 *	  one vector of lanes after the other, in 16 accumulators.
 *
 * IDENTIFICATION
 *	  src/kernels/sve_float.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_SVE_FLOAT_H
#define VK_SVE_FLOAT_H

/* elements from i on; the loader is a constant where these inline */
typedef svfloat32_t (*LoadVector) (svbool_t lanes, const void *vector, size_t i);

static inline SVE svfloat32_t
vector_f32(svbool_t lanes, const void *vector, size_t i)
{
	return svld1_f32(lanes, (const float *) vector + i);
}

static inline SVE svfloat32_t
vector_f16(svbool_t lanes, const void *vector, size_t i)
{
	svuint32_t	halves = svld1uh_u32(lanes, (const uint16_t *) vector + i);

	return svcvt_f32_f16_x(lanes, svreinterpret_f16_u32(halves));
}

static inline SVE svfloat32_t
vector_bf16(svbool_t lanes, const void *vector, size_t i)
{
	svuint32_t	halves = svld1uh_u32(lanes, (const uint16_t *) vector + i);

	return svreinterpret_f32_u32(svlsl_n_u32_x(lanes, halves, 16));
}

/* lanes i, i + 1, ... that are below end */
static inline SVE svbool_t
lanes_below(size_t i, size_t end)
{
	return svwhilelt_b32_u64(i, end);
}

/* ---------- pairs ---------- */

/* what a metric adds; lanes that are not there keep their sum */
typedef svfloat32_t (*AddTerms) (svbool_t lanes, svfloat32_t sum, svfloat32_t a,
								 svfloat32_t b);

static inline SVE svfloat32_t
add_l2(svbool_t lanes, svfloat32_t sum, svfloat32_t a, svfloat32_t b)
{
	svfloat32_t diff = svsub_f32_x(lanes, a, b);

	return svmla_f32_m(lanes, sum, diff, diff);
}

static inline SVE svfloat32_t
add_dot(svbool_t lanes, svfloat32_t sum, svfloat32_t a, svfloat32_t b)
{
	return svmla_f32_m(lanes, sum, a, b);
}

static inline SVE svfloat32_t
add_l1(svbool_t lanes, svfloat32_t sum, svfloat32_t a, svfloat32_t b)
{
	return svadd_f32_m(lanes, sum, svabd_f32_x(lanes, a, b));
}

/* sum += elements i .. end - 1, a vector of them */
static inline __attribute__((always_inline)) SVE void
add_vector(svfloat32_t *sum, const void *a, const void *b, size_t i, size_t end,
		   LoadVector load, AddTerms add)
{
	svbool_t	lanes = lanes_below(i, end);

	*sum = add(lanes, *sum, load(lanes, a, i), load(lanes, b, i));
}

/* vectors of 32 lanes: a constant, 1, 2 or 4 */
static inline __attribute__((always_inline)) SVE double
pair_vectors(const void *a, const void *b, size_t dim, LoadVector load,
			 AddTerms add, int vectors)
{
	const size_t width = svcntw();
	svfloat32_t sum0 = svdup_n_f32(0.0f);
	svfloat32_t sum1 = sum0;
	svfloat32_t sum2 = sum0;
	svfloat32_t sum3 = sum0;
	float		lane[SUM_LANES];

	for (size_t i = 0; i < dim; i += SUM_LANES)
	{
		const size_t end = dim - i < SUM_LANES ? dim : i + SUM_LANES;

		add_vector(&sum0, a, b, i, end, load, add);
		if (vectors > 1)
			add_vector(&sum1, a, b, i + width, end, load, add);
		if (vectors > 2)
		{
			add_vector(&sum2, a, b, i + 2 * width, end, load, add);
			add_vector(&sum3, a, b, i + 3 * width, end, load, add);
		}
	}
	svst1_f32(lanes_below(0, SUM_LANES), lane, sum0);
	if (vectors > 1)
		svst1_f32(lanes_below(width, SUM_LANES), lane + width, sum1);
	if (vectors > 2)
	{
		svst1_f32(lanes_below(2 * width, SUM_LANES), lane + 2 * width, sum2);
		svst1_f32(lanes_below(3 * width, SUM_LANES), lane + 3 * width, sum3);
	}
	return add_lanes_f32(lane);
}

static inline __attribute__((always_inline)) SVE double
pair_float(const void *a, const void *b, int dim, LoadVector load, AddTerms add)
{
	const size_t width = svcntw();

	if (width >= SUM_LANES)
		return pair_vectors(a, b, dim, load, add, 1);
	if (width >= SUM_LANES / 2)
		return pair_vectors(a, b, dim, load, add, 2);
	return pair_vectors(a, b, dim, load, add, 4);
}

#define DEFINE_PAIR(metric, type) \
static SVE double \
pair_##metric##_##type(const void *a, const void *b, int dim) \
{ \
	return pair_float(a, b, dim, vector_##type, add_##metric); \
}

/* ---------- tiles: 4 x 4 pairs ---------- */

#define TILE_SIDE	4

#define EACH_COLUMN(X, i)	X(i, 0) X(i, 1) X(i, 2) X(i, 3)
#define EACH_PAIR(X) \
	EACH_COLUMN(X, 0) EACH_COLUMN(X, 1) EACH_COLUMN(X, 2) EACH_COLUMN(X, 3)
#define EACH_SIDE(X)		X(0) X(1) X(2) X(3)

#define ZERO_PAIR(i, j)		svfloat32_t sum##i##j = svdup_n_f32(0.0f);
#define LOAD_B(j)			svfloat32_t b##j = load(lanes, b[j], k);
#define LOAD_A(i)			svfloat32_t a##i = load(lanes, a[i], k);
#define MULTIPLY_PAIR(i, j)	sum##i##j = svmla_f32_m(lanes, sum##i##j, a##i, b##j);
#define STORE_PAIR(i, j)	svst1_f32(kept, lane[i][j] + first, sum##i##j);

/* lanes of the canonical sums of all pairs */
typedef float TileLanes[TILE_SIDE][TILE_SIDE][SUM_LANES];

/* those from first on, a vector of them */
static inline __attribute__((always_inline)) SVE void
tile_lanes(const void *const *a, const void *const *b, size_t dim,
		   size_t first, LoadVector load, TileLanes lane)
{
	const svbool_t kept = lanes_below(first, SUM_LANES);

	EACH_PAIR(ZERO_PAIR)

	for (size_t i = 0; i < dim; i += SUM_LANES)
	{
		const size_t k = i + first;
		const svbool_t lanes = lanes_below(k, dim - i < SUM_LANES ? dim :
										   i + SUM_LANES);

		EACH_SIDE(LOAD_B)
		EACH_SIDE(LOAD_A)
		EACH_PAIR(MULTIPLY_PAIR)
	}
	EACH_PAIR(STORE_PAIR)
}

#undef ZERO_PAIR
#undef LOAD_A
#undef LOAD_B
#undef MULTIPLY_PAIR
#undef STORE_PAIR

/* dots of 4 rows each; rows that are not there are another one again */
static inline __attribute__((always_inline)) SVE void
tile_part(const void *const *a, const void *const *b, int dim, LoadVector load,
		  float dots[TILE_SIDE][TILE_SIDE])
{
	TileLanes	lane;

	for (size_t first = 0; first < SUM_LANES; first += svcntw())
		tile_lanes(a, b, dim, first, load, lane);
	for (int i = 0; i < TILE_SIDE; i++)
		for (int j = 0; j < TILE_SIDE; j++)
			dots[i][j] = add_lanes_f32(lane[i][j]);
}

/* rows first .. first + 3 of n, the last one again for those past it */
static inline void
four_rows(const void *rows, size_t stride, int first, int n,
		  const void *pointers[TILE_SIDE])
{
	for (int i = 0; i < TILE_SIDE; i++)
		pointers[i] = (const char *) rows +
			(first + i < n ? first + i : n - 1) * stride;
}

static SVE void
tile_f32(const float *a, size_t a_stride, int m, const float *b,
		 size_t b_stride, int n, int dim, float *out)
{
	for (int i = 0; i < m; i += TILE_SIDE)
		for (int j = 0; j < n; j += TILE_SIDE)
		{
			const void *a_rows[TILE_SIDE];
			const void *b_rows[TILE_SIDE];
			float		dots[TILE_SIDE][TILE_SIDE];

			four_rows(a, a_stride * sizeof(float), i, m, a_rows);
			four_rows(b, b_stride * sizeof(float), j, n, b_rows);
			tile_part(a_rows, b_rows, dim, vector_f32, dots);
			for (int row = 0; row < TILE_SIDE && i + row < m; row++)
				for (int column = 0; column < TILE_SIDE && j + column < n; column++)
					out[(size_t) (i + row) * n + j + column] = dots[row][column];
		}
}

/* ---------- MaxSim ---------- */

static inline __attribute__((always_inline)) SVE double
maxsim_float(const void *query, size_t query_stride, int m,
			 const void *document, size_t document_stride, int n, int dim,
			 LoadVector load)
{
	double		sum = 0.0;

	for (int i = 0; i < m; i += TILE_SIDE)
	{
		const void *q[TILE_SIDE];
		float		greatest[TILE_SIDE] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};

		four_rows(query, query_stride, i, m, q);
		for (int j = 0; j < n; j += TILE_SIDE)
		{
			const void *d[TILE_SIDE];
			float		dots[TILE_SIDE][TILE_SIDE];

			/* a document vector that counts twice is no greater for it */
			four_rows(document, document_stride, j, n, d);
			tile_part(q, d, dim, load, dots);
			for (int row = 0; row < TILE_SIDE; row++)
				for (int column = 0; column < TILE_SIDE; column++)
					greatest[row] = greater_or_nan(greatest[row],
												   dots[row][column]);
		}
		for (int row = 0; row < TILE_SIDE && i + row < m; row++)
			sum += greatest[row];
	}
	return canonical_f64(sum);
}

#define DEFINE_FLOATS(type, size) \
DEFINE_PAIR(l2, type) \
DEFINE_PAIR(dot, type) \
DEFINE_PAIR(l1, type) \
\
static SVE void \
pair_cosine_##type(const void *a, const void *b, int dim, double out[3]) \
{ \
	out[0] = pair_dot_##type(a, b, dim); \
	out[1] = pair_dot_##type(a, a, dim); \
	out[2] = pair_dot_##type(b, b, dim); \
} \
\
static SVE double \
maxsim_##type(const void *query, size_t query_stride, int m, \
			  const void *document, size_t document_stride, int n, int dim) \
{ \
	return maxsim_float(query, query_stride * (size), m, document, \
						document_stride * (size), n, dim, vector_##type); \
}

DEFINE_FLOATS(f32, 4)
DEFINE_FLOATS(f16, 2)
DEFINE_FLOATS(bf16, 2)

#endif							/* VK_SVE_FLOAT_H */
