/*-------------------------------------------------------------------------
 *
 * neon_dense.h
 *	  Part of neon.c: tiles of float and bfloat16 vectors in free order.
 *
 * NOTES
 *	  Queries are packed so that 16 of them (the last group: as many as are
 *	  left, rounded up to 4) stand side by side for each dimension.  16 queries
 *	  x 5 rows accumulate in 20 registers by FMLA with one element of the row,
 *	  so that no sum is taken across lanes.  Bfloat16 is widened on the way: the
 *	  error of both is g(dim), of one chain of fused steps.
 *
 *	  BFMMLA takes 2 rows x 2 queries x 4 dimensions; here 8 x 8 accumulate in
 *	  16 registers.  Queries stand in groups of 8 (the last rounded up to 2), by
 *	  4 dimensions.  Each product, sum of two and accumulation is rounded to
 *	  odd, off by 2^-23 at most, and a product passes through no more than
 *	  dim / 2 + 4 of them; denormals are flushed to zero.  Both are within what
 *	  kernels.h allows.
 *
 * IDENTIFICATION
 *	  src/kernels/neon_dense.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_NEON_DENSE_H
#define VK_NEON_DENSE_H

#define DENSE_VECTORS	4		/* of 4 queries */
#define DENSE_GROUP		(4 * DENSE_VECTORS)
#define DENSE_ROWS		5

/* ---------- fused multiply-add by element ---------- */

static inline void
pack_dense(const uint8_t *queries, size_t query_stride, int m, int dim,
		   uint8_t *packed, size_t element_size)
{
	const size_t depth = VK_ROUND_UP(dim, 4);

	for (int first = 0; first < m; first += DENSE_GROUP)
	{
		const int	rows = m - first < DENSE_GROUP ? m - first : DENSE_GROUP;
		const size_t width = VK_ROUND_UP(rows, 4);
		uint8_t    *group = packed + first * depth * element_size;

		memset(group, 0, width * depth * element_size);
		for (int i = 0; i < rows; i++)
			for (int k = 0; k < dim; k++)
				memcpy(group + (k * width + i) * element_size,
					   queries + ((first + i) * query_stride + k) * element_size,
					   element_size);
	}
}

static void
pack_dense_f32(const void *queries, size_t query_stride, int m, int dim,
			   void *packed)
{
	pack_dense(queries, query_stride, m, dim, packed, sizeof(float));
}

static void
pack_dense_bf16(const void *queries, size_t query_stride, int m, int dim,
				void *packed)
{
	pack_dense(queries, query_stride, m, dim, packed, sizeof(uint16_t));
}

typedef float32x4_t DenseSums[DENSE_ROWS][DENSE_VECTORS];

/* element of four dimensions; vfmaq_laneq_f32 wants a constant */
#define DENSE_STEP(element) \
	for (int v = 0; v < vectors; v++) \
	{ \
		float32x4_t q = load(packed, (k + (element)) * 4 * vectors + 4 * v); \
\
		for (int j = 0; j < n; j++) \
			sum[j][v] = vfmaq_laneq_f32(sum[j][v], q, x[j], element); \
	}

/* dimensions k .. k + 3 of n rows, those of x; vectors, n: constants here */
static inline __attribute__((always_inline)) void
dense_step(DenseSums sum, const void *packed, size_t k, int vectors,
		   const float32x4_t *x, int n, LoadFour load)
{
	DENSE_STEP(0)
	DENSE_STEP(1)
	DENSE_STEP(2)
	DENSE_STEP(3)
}

#undef DENSE_STEP

/* m queries of one group, in so many vectors, with n rows (both constants) */
static inline __attribute__((always_inline)) void
dense_part(const void *packed, int m, int vectors, int dim,
		   const uint8_t *rows, size_t row_stride, int n, bool add, float *out,
		   size_t out_stride, LoadFour load, size_t element_size)
{
	const int	whole = dim / 4 * 4;
	DenseSums	sum;
	float32x4_t x[DENSE_ROWS];

	for (int j = 0; j < n; j++)
		for (int v = 0; v < vectors; v++)
			sum[j][v] = vdupq_n_f32(0.0f);
	for (int k = 0; k < whole; k += 4)
	{
		for (int j = 0; j < n; j++)
			x[j] = load(rows + j * row_stride, k);
		dense_step(sum, packed, k, vectors, x, n, load);
	}
	if (whole < dim)
	{
		for (int j = 0; j < n; j++)
		{
			Tail		tail = copy_tail(rows + j * row_stride, element_size,
										 whole, dim - whole);

			x[j] = load(tail.bytes, 0);
		}
		dense_step(sum, packed, whole, vectors, x, n, load);
	}
	for (int j = 0; j < n; j++)
	{
		float		dots[DENSE_GROUP];

		for (int v = 0; v < vectors; v++)
			vst1q_f32(dots + 4 * v, sum[j][v]);
		for (int i = 0; i < m; i++)
			out[i * out_stride + j] = add ? out[i * out_stride + j] + dots[i] :
				dots[i];
	}
}

/* one group of queries with all rows; vectors is a constant */
static inline __attribute__((always_inline)) void
dense_group(const void *packed, int m, int vectors, int dim,
			const uint8_t *rows, size_t row_stride, int n, bool add, float *out,
			LoadFour load, size_t element_size)
{
	int			j = 0;

	for (; j + DENSE_ROWS <= n; j += DENSE_ROWS)
		dense_part(packed, m, vectors, dim, rows + j * row_stride, row_stride,
				   DENSE_ROWS, add, out + j, n, load, element_size);
	for (; j < n; j++)
		dense_part(packed, m, vectors, dim, rows + j * row_stride, row_stride, 1,
				   add, out + j, n, load, element_size);
}

static inline __attribute__((always_inline)) void
tile_dense(const uint8_t *packed, int m, int dim, const uint8_t *rows,
		   size_t row_stride, int n, bool add, float *out, LoadFour load,
		   size_t element_size)
{
	const size_t depth = VK_ROUND_UP(dim, 4);

	for (int first = 0; first < m; first += DENSE_GROUP)
	{
		const int	left = m - first < DENSE_GROUP ? m - first : DENSE_GROUP;
		const uint8_t *group = packed + first * depth * element_size;
		float	   *group_out = out + (size_t) first * n;

		if (left > 12)
			dense_group(group, left, 4, dim, rows, row_stride, n, add, group_out,
						load, element_size);
		else if (left > 8)
			dense_group(group, left, 3, dim, rows, row_stride, n, add, group_out,
						load, element_size);
		else if (left > 4)
			dense_group(group, left, 2, dim, rows, row_stride, n, add, group_out,
						load, element_size);
		else
			dense_group(group, left, 1, dim, rows, row_stride, n, add, group_out,
						load, element_size);
	}
}

static void
tile_dense_f32(const void *packed, int m, int dim, const void *rows,
			   size_t row_stride, int n, bool add, float *out)
{
	tile_dense(packed, m, dim, rows, row_stride * sizeof(float), n, add, out,
			   four_f32, sizeof(float));
}

static void
tile_dense_bf16(const void *packed, int m, int dim, const void *rows,
				size_t row_stride, int n, bool add, float *out)
{
	tile_dense(packed, m, dim, rows, row_stride * sizeof(uint16_t), n, add, out,
			   four_bf16, sizeof(uint16_t));
}

/* ---------- BFMMLA ---------- */

#define BF16_TARGET		__attribute__((target("arch=armv8.2-a+bf16")))
#define PAIRS			4		/* of queries, and of rows */

/* for each 4 dimensions those of each query, two queries together */
static void
pack_dense_bfmmla(const void *queries, size_t query_stride, int m, int dim,
				  void *packed)
{
	const size_t depth = VK_ROUND_UP(dim, 8);

	for (int first = 0; first < m; first += 2 * PAIRS)
	{
		const int	rows = m - first < 2 * PAIRS ? m - first : 2 * PAIRS;
		const size_t width = VK_ROUND_UP(rows, 2);
		uint16_t   *group = (uint16_t *) packed + first * depth;

		memset(group, 0, width * depth * sizeof(uint16_t));
		for (int i = 0; i < rows; i++)
			for (int k = 0; k < dim; k += 4)
				memcpy(group + k * width + 4 * i,
					   (const uint16_t *) queries + (first + i) * query_stride + k,
					   (dim - k < 4 ? dim - k : 4) * sizeof(uint16_t));
	}
}

/*
 * sum += 8 dimensions of query pairs with row pairs, both numbers constants; the
 * elements of row j begin at rows[j] + k.
 */
static inline __attribute__((always_inline)) BF16_TARGET void
bfmmla_step(float32x4_t sum[PAIRS][PAIRS], const uint16_t *packed,
			int query_pairs, const uint16_t *const *rows, size_t k, int row_pairs)
{
	uint64x2_t	x[PAIRS][2];	/* 4 dimensions of both rows, and 4 more */

	for (int j = 0; j < row_pairs; j++)
	{
		uint64x2_t	first = vreinterpretq_u64_u16(vld1q_u16(rows[2 * j] + k));
		uint64x2_t	second = vreinterpretq_u64_u16(vld1q_u16(rows[2 * j + 1] + k));

		x[j][0] = vzip1q_u64(first, second);
		x[j][1] = vzip2q_u64(first, second);
	}
	for (int half = 0; half < 2; half++)
		for (int i = 0; i < query_pairs; i++)
		{
			bfloat16x8_t q = vreinterpretq_bf16_u16(vld1q_u16(packed));

			for (int j = 0; j < row_pairs; j++)
				sum[i][j] = vbfmmlaq_f32(sum[i][j], q,
										 vreinterpretq_bf16_u64(x[j][half]));
			packed += 8;
		}
}

/* query pairs with row pairs, both numbers constants; dots: 8 queries x 8 rows */
static inline __attribute__((always_inline)) BF16_TARGET void
bfmmla_part(const uint16_t *packed, int query_pairs, int dim,
			const uint16_t *const rows[2 * PAIRS], int row_pairs,
			float dots[2 * PAIRS][2 * PAIRS])
{
	const int	whole = dim / 8 * 8;
	float32x4_t sum[PAIRS][PAIRS];

	for (int i = 0; i < query_pairs; i++)
		for (int j = 0; j < row_pairs; j++)
			sum[i][j] = vdupq_n_f32(0.0f);
	for (int k = 0; k < whole; k += 8)
		bfmmla_step(sum, packed + (size_t) 2 * query_pairs * k, query_pairs, rows,
					k, row_pairs);
	if (whole < dim)
	{
		uint16_t	last[2 * PAIRS][8] = {{0}};
		const uint16_t *last_rows[2 * PAIRS];

		for (int j = 0; j < 2 * row_pairs; j++)
		{
			memcpy(last[j], rows[j] + whole, (dim - whole) * sizeof(uint16_t));
			last_rows[j] = last[j];
		}
		bfmmla_step(sum, packed + (size_t) 2 * query_pairs * whole, query_pairs,
					last_rows, 0, row_pairs);
	}
	for (int i = 0; i < query_pairs; i++)
		for (int j = 0; j < row_pairs; j++)
		{
			vst1_f32(dots[2 * i] + 2 * j, vget_low_f32(sum[i][j]));
			vst1_f32(dots[2 * i + 1] + 2 * j, vget_high_f32(sum[i][j]));
		}
}

/* rows j .. j + count - 1 of n, the last one again for those past it */
static inline __attribute__((always_inline)) BF16_TARGET void
bfmmla_rows(const uint16_t *packed, int m, int dim, const uint16_t *rows,
			size_t row_stride, int j, int count, int n, bool add, float *out)
{
	const uint16_t *row[2 * PAIRS];
	float		dots[2 * PAIRS][2 * PAIRS];
	const int	columns = n - j < count ? n - j : count;

	for (int i = 0; i < count; i++)
		row[i] = rows + (j + i < n ? j + i : n - 1) * row_stride;
	if (m > 6)
		bfmmla_part(packed, 4, dim, row, count / 2, dots);
	else if (m > 4)
		bfmmla_part(packed, 3, dim, row, count / 2, dots);
	else if (m > 2)
		bfmmla_part(packed, 2, dim, row, count / 2, dots);
	else
		bfmmla_part(packed, 1, dim, row, count / 2, dots);
	for (int i = 0; i < m; i++)
		for (int column = 0; column < columns; column++)
		{
			float	   *at = out + (size_t) i * n + j + column;

			*at = add ? *at + dots[i][column] : dots[i][column];
		}
}

static BF16_TARGET void
tile_dense_bfmmla(const void *packed, int m, int dim, const void *rows,
				  size_t row_stride, int n, bool add, float *out)
{
	const size_t depth = VK_ROUND_UP(dim, 8);

	for (int first = 0; first < m; first += 2 * PAIRS)
	{
		const int	left = m - first < 2 * PAIRS ? m - first : 2 * PAIRS;
		const uint16_t *group = (const uint16_t *) packed + first * depth;
		int			j = 0;

		for (; j + 2 * PAIRS <= n; j += 2 * PAIRS)
			bfmmla_rows(group, left, dim, rows, row_stride, j, 2 * PAIRS, n, add,
						out + (size_t) first * n);
		for (; j < n; j += 2)
			bfmmla_rows(group, left, dim, rows, row_stride, j, 2, n, add,
						out + (size_t) first * n);
	}
}

#endif							/* VK_NEON_DENSE_H */
