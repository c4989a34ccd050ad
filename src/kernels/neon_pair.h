/*-------------------------------------------------------------------------
 *
 * neon_pair.h
 *	  Part of neon.c: canonical sums of float, half and bfloat16 vectors.
 *
 * NOTES
 *	  Elements differ only in how four of them become a float32x4_t, so one
 *	  function a metric serves all three; its loader is a constant where it
 *	  inlines.  Widening is exact, hence the bits are those of float vectors.
 *
 *	  Lanes 4 i .. 4 i + 3 of the canonical sum are part i.  A tile cannot hold
 *	  the 8 parts of many pairs in 32 registers, so it walks each 512 elements
 *	  eight times, for one part of 4 x 6 pairs, and adds the lanes at the end: 10
 *	  loads a 24 multiplications, where one pair at a time takes 48.
 *
 *	  The error is that of the canonical sum (kernels.h).
 *
 * IDENTIFICATION
 *	  src/kernels/neon_pair.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_NEON_PAIR_H
#define VK_NEON_PAIR_H

#define PARTS	8				/* of 4 lanes: SUM_LANES */

/* elements i .. i + 3 of a vector as floats; a constant where this inlines */
typedef float32x4_t (*LoadFour) (const void *vector, size_t i);

static inline float32x4_t
four_f32(const void *vector, size_t i)
{
	return vld1q_f32((const float *) vector + i);
}

static inline float32x4_t
four_f16(const void *vector, size_t i)
{
	return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16((const uint16_t *) vector + i)));
}

static inline float32x4_t
four_bf16(const void *vector, size_t i)
{
	return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16((const uint16_t *) vector + i),
											 16));
}

/* elements from first on, n < SUM_LANES of them, and zeros after them */
typedef struct Tail
{
	uint8_t		bytes[SUM_LANES * sizeof(float)];
} Tail;

static inline Tail
copy_tail(const void *vector, size_t element_size, int first, int n)
{
	Tail		tail;

	memset(&tail, 0, sizeof(tail));
	memcpy(tail.bytes, (const uint8_t *) vector + first * element_size,
		   n * element_size);
	return tail;
}

typedef struct Sum32
{
	float32x4_t part[PARTS];
} Sum32;

static inline Sum32
sum32_zero(void)
{
	Sum32		sum;

	for (int i = 0; i < PARTS; i++)
		sum.part[i] = vdupq_n_f32(0.0f);
	return sum;
}

static inline float
sum32_add_lanes(const Sum32 *sum)
{
	float32x4_t even = vaddq_f32(vaddq_f32(sum->part[0], sum->part[4]),
								 vaddq_f32(sum->part[2], sum->part[6]));
	float32x4_t odd = vaddq_f32(vaddq_f32(sum->part[1], sum->part[5]),
								vaddq_f32(sum->part[3], sum->part[7]));
	float32x4_t sum4 = vaddq_f32(even, odd);
	float32x2_t sum2 = vadd_f32(vget_low_f32(sum4), vget_high_f32(sum4));

	return canonical_f32(vget_lane_f32(sum2, 0) + vget_lane_f32(sum2, 1));
}

/* ---------- pairs ---------- */

/* what a metric adds to four lanes; a constant where this inlines */
typedef float32x4_t (*AddTerm) (float32x4_t sum, float32x4_t a, float32x4_t b);

static inline float32x4_t
add_l2(float32x4_t sum, float32x4_t a, float32x4_t b)
{
	float32x4_t diff = vsubq_f32(a, b);

	return vfmaq_f32(sum, diff, diff);
}

static inline float32x4_t
add_dot(float32x4_t sum, float32x4_t a, float32x4_t b)
{
	return vfmaq_f32(sum, a, b);
}

static inline float32x4_t
add_l1(float32x4_t sum, float32x4_t a, float32x4_t b)
{
	return vaddq_f32(sum, vabdq_f32(a, b));
}

/* by value: gcc 12 stores what a pointer points at in every round of a loop */
static inline __attribute__((always_inline)) Sum32
add_32(Sum32 sum, const void *a, const void *b, size_t i, LoadFour load,
	   AddTerm add)
{
	for (int j = 0; j < PARTS; j++)
		sum.part[j] = add(sum.part[j], load(a, i + 4 * j), load(b, i + 4 * j));
	return sum;
}

static inline __attribute__((always_inline)) double
pair_float(const void *a, const void *b, int dim, LoadFour load,
		   size_t element_size, AddTerm add)
{
	const int	whole = dim / SUM_LANES * SUM_LANES;
	Sum32		sum = sum32_zero();

	for (int i = 0; i < whole; i += SUM_LANES)
		sum = add_32(sum, a, b, i, load, add);
	if (whole < dim)
	{
		Tail		a_tail = copy_tail(a, element_size, whole, dim - whole);
		Tail		b_tail = copy_tail(b, element_size, whole, dim - whole);

		sum = add_32(sum, a_tail.bytes, b_tail.bytes, 0, load, add);
	}
	return sum32_add_lanes(&sum);
}

/* the sums of a cosine, which registers hold with one load of each vector */
typedef struct CosineSums
{
	Sum32		dot;
	Sum32		a_norm;
	Sum32		b_norm;
} CosineSums;

static inline __attribute__((always_inline)) CosineSums
add_cosine_32(CosineSums sums, const void *a, const void *b, size_t i,
			  LoadFour load)
{
	for (int j = 0; j < PARTS; j++)
	{
		float32x4_t x = load(a, i + 4 * j);
		float32x4_t y = load(b, i + 4 * j);

		sums.dot.part[j] = vfmaq_f32(sums.dot.part[j], x, y);
		sums.a_norm.part[j] = vfmaq_f32(sums.a_norm.part[j], x, x);
		sums.b_norm.part[j] = vfmaq_f32(sums.b_norm.part[j], y, y);
	}
	return sums;
}

static inline __attribute__((always_inline)) void
pair_cosine_float(const void *a, const void *b, int dim, double out[3],
				  LoadFour load, size_t element_size)
{
	const int	whole = dim / SUM_LANES * SUM_LANES;
	CosineSums	sums = {sum32_zero(), sum32_zero(), sum32_zero()};

	for (int i = 0; i < whole; i += SUM_LANES)
		sums = add_cosine_32(sums, a, b, i, load);
	if (whole < dim)
	{
		Tail		a_tail = copy_tail(a, element_size, whole, dim - whole);
		Tail		b_tail = copy_tail(b, element_size, whole, dim - whole);

		sums = add_cosine_32(sums, a_tail.bytes, b_tail.bytes, 0, load);
	}
	out[0] = sum32_add_lanes(&sums.dot);
	out[1] = sum32_add_lanes(&sums.a_norm);
	out[2] = sum32_add_lanes(&sums.b_norm);
}

#define DEFINE_PAIR(metric, type, size) \
static double \
pair_##metric##_##type(const void *a, const void *b, int dim) \
{ \
	return pair_float(a, b, dim, four_##type, size, add_##metric); \
}

#define DEFINE_PAIRS(type, size) \
DEFINE_PAIR(l2, type, size) \
DEFINE_PAIR(dot, type, size) \
DEFINE_PAIR(l1, type, size) \
\
static void \
pair_cosine_##type(const void *a, const void *b, int dim, double out[3]) \
{ \
	pair_cosine_float(a, b, dim, out, four_##type, size); \
}

DEFINE_PAIRS(f32, 4)
DEFINE_PAIRS(f16, 2)
DEFINE_PAIRS(bf16, 2)

/* ---------- double sums: part i is lanes 2 i and 2 i + 1 ---------- */

typedef struct Sum64
{
	float64x2_t part[SUM_LANES / 2];
} Sum64;

static inline Sum64
sum64_zero(void)
{
	Sum64		sum;

	for (int i = 0; i < SUM_LANES / 2; i++)
		sum.part[i] = vdupq_n_f64(0.0);
	return sum;
}

static inline void
sum64_store(const Sum64 *sum, double *lane)
{
	for (int i = 0; i < SUM_LANES / 2; i++)
		vst1q_f64(lane + 2 * i, sum->part[i]);
}

/* products of floats are exact in double, so fusing changes nothing */
static double
pair_dot_f64(const float *a, const float *b, int dim)
{
	Sum64		sum = sum64_zero();
	double		lane[SUM_LANES];
	int			i = 0;

	for (; i + SUM_LANES <= dim; i += SUM_LANES)
		for (int j = 0; j < SUM_LANES / 4; j++)
		{
			float32x4_t x = vld1q_f32(a + i + 4 * j);
			float32x4_t y = vld1q_f32(b + i + 4 * j);

			sum.part[2 * j] = vfmaq_f64(sum.part[2 * j],
										vcvt_f64_f32(vget_low_f32(x)),
										vcvt_f64_f32(vget_low_f32(y)));
			sum.part[2 * j + 1] = vfmaq_f64(sum.part[2 * j + 1],
											vcvt_high_f64_f32(x),
											vcvt_high_f64_f32(y));
		}
	sum64_store(&sum, lane);
	for (; i < dim; i++)
		lane[i % SUM_LANES] += (double) a[i] * (double) b[i];
	return add_lanes_f64(lane);
}

/* ---------- tiles ---------- */

#define TILE_A		4
#define TILE_B		6
#define TILE_DEPTH	512			/* elements of 10 rows fit the first-level cache */

/* canonical sums of a tile's pairs, by part */
typedef float TileParts[TILE_A][TILE_B][PARTS][4];

/* sums of a row of b with all rows of a, four lanes each */
typedef struct TileColumn
{
	float32x4_t row[TILE_A];
} TileColumn;

static inline TileColumn
load_column(TileParts parts, int part, int j)
{
	TileColumn	column;

	for (int i = 0; i < TILE_A; i++)
		column.row[i] = vld1q_f32(parts[i][j][part]);
	return column;
}

static inline void
store_column(TileParts parts, int part, int j, TileColumn column)
{
	for (int i = 0; i < TILE_A; i++)
		vst1q_f32(parts[i][j][part], column.row[i]);
}

static inline TileColumn
add_column(TileColumn column, TileColumn a, float32x4_t b)
{
	for (int i = 0; i < TILE_A; i++)
		column.row[i] = vfmaq_f32(column.row[i], a.row[i], b);
	return column;
}

#define EACH_COLUMN(X)	X(0) X(1) X(2) X(3) X(4) X(5)
#define LOAD_COLUMN(j)	TileColumn sum##j = load_column(parts, part, j);
#define ADD_COLUMN(j)	sum##j = add_column(sum##j, a_four, load(b + (j) * b_stride, k));
#define STORE_COLUMN(j)	store_column(parts, part, j, sum##j);

/*
 * One pass over dim elements, of which it takes the 4 of one part in each 32;
 * sums come from memory and go back there.  They have names, for gcc 12 would
 * store an array of them in every round.
 */
static inline __attribute__((always_inline)) void
tile_pass(const char *a, size_t a_stride, const char *b, size_t b_stride,
		  int part, int dim, TileParts parts, LoadFour load)
{
	EACH_COLUMN(LOAD_COLUMN)

	for (int k = 4 * part; k < dim; k += SUM_LANES)
	{
		TileColumn	a_four;

		for (int i = 0; i < TILE_A; i++)
			a_four.row[i] = load(a + i * a_stride, k);
		EACH_COLUMN(ADD_COLUMN)
	}
	EACH_COLUMN(STORE_COLUMN)
}

#undef EACH_COLUMN
#undef LOAD_COLUMN
#undef ADD_COLUMN
#undef STORE_COLUMN

/*
 * A function a type, not inlined: 24 accumulators and what they are multiplied
 * by fill the registers, and compilers move them about where more is live.
 */
typedef void (*TilePass) (const char *a, size_t a_stride, const char *b,
						  size_t b_stride, int part, int dim,
						  TileParts parts);

#define DEFINE_TILE_PASS(type) \
static __attribute__((noinline)) void \
tile_pass_##type(const char *a, size_t a_stride, const char *b, \
				 size_t b_stride, int part, int dim, TileParts parts) \
{ \
	tile_pass(a, a_stride, b, b_stride, part, dim, parts, four_##type); \
}

DEFINE_TILE_PASS(f32)
DEFINE_TILE_PASS(f16)
DEFINE_TILE_PASS(bf16)

/* parts += TILE_A x TILE_B rows, dim elements of each */
static inline void
add_passes(const char *a, size_t a_stride, const char *b, size_t b_stride,
		   int dim, TilePass pass, TileParts parts)
{
	for (int part = 0; part < PARTS; part++)
		pass(a, a_stride, b, b_stride, part, dim, parts);
}

static inline float
add_parts(float parts[PARTS][4])
{
	Sum32		sum;

	for (int i = 0; i < PARTS; i++)
		sum.part[i] = vld1q_f32(parts[i]);
	return sum32_add_lanes(&sum);
}

/* TILE_A x TILE_B canonical dots; strides in bytes */
static inline void
tile_part(const char *a, size_t a_stride, const char *b, size_t b_stride,
		  int dim, TilePass pass, size_t element_size, float *out,
		  size_t out_stride)
{
	const int	whole = dim / SUM_LANES * SUM_LANES;
	TileParts	parts;

	memset(parts, 0, sizeof(parts));
	for (int k = 0; k < whole; k += TILE_DEPTH)
		add_passes(a + k * element_size, a_stride, b + k * element_size, b_stride,
				   whole - k < TILE_DEPTH ? whole - k : TILE_DEPTH, pass, parts);
	if (whole < dim)
	{
		Tail		a_tail[TILE_A];
		Tail		b_tail[TILE_B];

		for (int i = 0; i < TILE_A; i++)
			a_tail[i] = copy_tail(a + i * a_stride, element_size, whole, dim - whole);
		for (int j = 0; j < TILE_B; j++)
			b_tail[j] = copy_tail(b + j * b_stride, element_size, whole, dim - whole);
		add_passes((const char *) a_tail, sizeof(Tail), (const char *) b_tail,
				   sizeof(Tail), SUM_LANES, pass, parts);
	}
	for (int i = 0; i < TILE_A; i++)
		for (int j = 0; j < TILE_B; j++)
			out[i * out_stride + j] = add_parts(parts[i][j]);
}

/* up to TILE_A rows of a against n of b, out rows being out_stride apart */
static inline __attribute__((always_inline)) void
tile_rows(const char *a, size_t a_stride, int m, const char *b,
		  size_t b_stride, int n, int dim, LoadFour load, TilePass pass,
		  size_t element_size, float *out, size_t out_stride)
{
	int			j = 0;

	for (; j + TILE_B <= n && m == TILE_A; j += TILE_B)
		tile_part(a, a_stride, b + j * b_stride, b_stride, dim, pass,
				  element_size, out + j, out_stride);
	for (; j < n; j++)
		for (int i = 0; i < m; i++)
			out[i * out_stride + j] = (float) pair_float(a + i * a_stride,
														 b + j * b_stride, dim, load,
														 element_size, add_dot);
}

static void
tile_f32(const float *a, size_t a_stride, int m, const float *b,
		 size_t b_stride, int n, int dim, float *out)
{
	for (int i = 0; i < m; i += TILE_A)
		tile_rows((const char *) (a + i * a_stride), a_stride * sizeof(float),
				  m - i < TILE_A ? m - i : TILE_A, (const char *) b,
				  b_stride * sizeof(float), n, dim, four_f32, tile_pass_f32,
				  sizeof(float), out + (size_t) i * n, n);
}

/* ---------- MaxSim ---------- */

#define MAXSIM_RUN	(16 * TILE_B)	/* document vectors a call of tile_rows */

static inline __attribute__((always_inline)) double
maxsim_float(const void *query, size_t query_stride, int m,
			 const void *document, size_t document_stride, int n, int dim,
			 LoadFour load, TilePass pass, size_t element_size)
{
	double		sum = 0.0;

	query_stride *= element_size;
	document_stride *= element_size;
	for (int i = 0; i < m; i += TILE_A)
	{
		const int	rows = m - i < TILE_A ? m - i : TILE_A;
		float		greatest[TILE_A] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};

		for (int j = 0; j < n; j += MAXSIM_RUN)
		{
			const int	run = n - j < MAXSIM_RUN ? n - j : MAXSIM_RUN;
			float		dots[TILE_A][MAXSIM_RUN];

			tile_rows((const char *) query + i * query_stride, query_stride,
					  rows, (const char *) document + j * document_stride,
					  document_stride, run, dim, load, pass, element_size, dots[0],
					  MAXSIM_RUN);
			for (int row = 0; row < rows; row++)
				for (int column = 0; column < run; column++)
					greatest[row] = greater_or_nan(greatest[row],
												   dots[row][column]);
		}
		for (int row = 0; row < rows; row++)
			sum += greatest[row];
	}
	return canonical_f64(sum);
}

#define DEFINE_MAXSIM(type, size) \
static double \
maxsim_##type(const void *query, size_t query_stride, int m, \
			  const void *document, size_t document_stride, int n, int dim) \
{ \
	return maxsim_float(query, query_stride, m, document, document_stride, n, \
						dim, four_##type, tile_pass_##type, size); \
}

DEFINE_MAXSIM(f32, 4)
DEFINE_MAXSIM(f16, 2)
DEFINE_MAXSIM(bf16, 2)

#endif							/* VK_NEON_PAIR_H */
