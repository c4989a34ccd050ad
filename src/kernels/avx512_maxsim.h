/*-------------------------------------------------------------------------
 *
 * avx512_maxsim.h
 *	  Part of avx512.c: MaxSim, on the parts of tiles of avx512_dense.h.
 *
 * IDENTIFICATION
 *	  src/kernels/avx512_maxsim.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AVX512_MAXSIM_H
#define VK_AVX512_MAXSIM_H

/* as float_part, of bytes: dots of a and b + 128 (avx512_pair.h), as int32 */
static inline __attribute__((always_inline)) __m512
byte_part(VectorRows a, int m, VectorRows b, int n, int dim)
{
	__m512i		sum[TILE_A][TILE_B];
	__m512		column[TILE_B];

	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++)
			sum[i][j] = _mm512_setzero_si512();
	for (int k = 0; k < dim; k += 64)
	{
		__m512i		b_part[TILE_B];

		for (int j = 0; j < n; j++)
			b_part[j] = flip_top_bits(load_bytes(b.base + j * b.stride, k, dim));
		for (int i = 0; i < m; i++)
		{
			__m512i		a_part = load_bytes(a.base + i * a.stride, k, dim);

			for (int j = 0; j < n; j++)
				sum[i][j] = _mm512_dpbusd_epi32(sum[i][j], b_part[j], a_part);
		}
	}
	for (int j = 0; j < n; j++)
	{
		__m512		sum16[TILE_A];

		for (int i = 0; i < TILE_A; i++)
			sum16[i] = _mm512_castsi512_ps(sum[i < m ? i : 0][j]);
		column[j] = add_16_to_4(true, sum16[0], sum16[1], sum16[2], sum16[3]);
	}
	return add_4_to_1(true, column[0], column[n > 1 ? 1 : 0], column[n - 1],
					  column[n - 1]);
}

/* what byte_part gives too much */
static inline int32_t
byte_excess(const char *query, int dim)
{
	__m512i		sum = _mm512_setzero_si512();

	for (int k = 0; k < dim; k += 64)
		sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1),
								  load_bytes(query, k, dim));
	return 128 * _mm512_reduce_add_epi32(sum);
}

/*
 * The greatest dots of m (TILE_A or 1) queries, those of query i in lanes 4 i ..
 * 4 i + 3.  The last documents may be taken twice, which changes no maximum.
 */
static inline __attribute__((always_inline)) __m512
greatest_dots(VkElement element, VectorRows query, int m, const void *document,
			  size_t document_stride, int n, int width, int dim, __mmask16 *nan)
{
	const bool	integer = element == VK_I8;
	__m512		best = integer ?
		_mm512_castsi512_ps(_mm512_set1_epi32(INT32_MIN)) :
		_mm512_set1_ps(-INFINITY);

	for (int j = 0; j < n; j += width)
	{
		VectorRows	rows = rows_from(element, document, document_stride,
									 j + width <= n ? j : n - width);
		__m512		dots = integer ? byte_part(query, m, rows, width, dim) :
			float_part(element, query, m, rows, width, dim, false);

		if (integer)
			best = _mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(dots),
														_mm512_castps_si512(best)));
		else
		{
			*nan |= _mm512_cmp_ps_mask(dots, dots, _CMP_UNORD_Q);
			best = _mm512_max_ps(dots, best);
		}
	}
	return best;
}

/* the greatest of the four lanes of a query in what greatest_dots gives */
static inline __attribute__((always_inline)) double
greatest_dot(VkElement element, const float *lane, const char *query, int dim)
{
	int32_t		dots[4];
	int32_t		greatest = INT32_MIN;
	float		greatest_float = -INFINITY;

	if (element == VK_I8)
	{
		memcpy(dots, lane, sizeof(dots));
		for (int j = 0; j < 4; j++)
			greatest = dots[j] > greatest ? dots[j] : greatest;
		return greatest - byte_excess(query, dim);
	}
	for (int j = 0; j < 4; j++)
		greatest_float = lane[j] > greatest_float ? lane[j] : greatest_float;
	return greatest_float;
}

static inline __attribute__((always_inline)) double
maxsim(VkElement element, const void *query, size_t query_stride, int m,
	   const void *document, size_t document_stride, int n, int dim)
{
	const int	step = m >= TILE_A ? TILE_A : 1;
	__mmask16	nan = 0;
	double		sum = 0.0;

	for (int i = 0; i < m;)
	{
		const int	first = i + step <= m ? i : m - step;
		VectorRows	queries = rows_from(element, query, query_stride, first);
		float		lane[VK_LANES];
		__m512		best;

		if (step == TILE_A && n >= TILE_B)
			best = greatest_dots(element, queries, TILE_A, document,
								 document_stride, n, TILE_B, dim, &nan);
		else if (n >= TILE_B)
			best = greatest_dots(element, queries, 1, document,
								 document_stride, n, TILE_B, dim, &nan);
		else if (step == TILE_A)
			best = greatest_dots(element, queries, TILE_A, document,
								 document_stride, n, 1, dim, &nan);
		else
			best = greatest_dots(element, queries, 1, document,
								 document_stride, n, 1, dim, &nan);
		_mm512_storeu_ps(lane, best);
		for (int j = 0; j < step; j++)
			if (first + j >= i)
				sum += greatest_dot(element, lane + 4 * j,
									queries.base + j * queries.stride, dim);
		i = first + step;
	}
	return nan != 0 ? (double) NAN : canonical_f64(sum);
}

/*
 * Vectors of 16-bit elements are widened once where there are several queries,
 * not by each four of them: so many floats of queries and of documents at a time.
 */
#define WIDE_QUERIES	4096
#define WIDE_DOCUMENTS	8192
#define WIDE_COUNT		64		/* queries at a time */

typedef void (*Widen) (const uint16_t *from, int n, float *to);

static inline void
widen_rows(Widen widen, const void *from, size_t stride, int rows, int dim,
		   float *to)
{
	for (int i = 0; i < rows; i++)
		widen((const uint16_t *) from + i * stride, dim, to + (size_t) i * dim);
}

/* for queries of floats, TILE_A or more: renew the greatest dots of each */
static void
renew_greatest(const float *query, int m, const float *document, int n, int dim,
			   float *greatest, __mmask16 *nan)
{
	for (int i = 0; i < m; i += TILE_A)
	{
		const int	first = i + TILE_A <= m ? i : m - TILE_A;
		VectorRows	queries = rows_from(VK_F32, query, dim, first);
		float		lane[VK_LANES];
		__m512		best;

		if (n >= TILE_B)
			best = greatest_dots(VK_F32, queries, TILE_A, document, dim, n,
								 TILE_B, dim, nan);
		else
			best = greatest_dots(VK_F32, queries, TILE_A, document, dim, n, 1, dim,
								 nan);
		_mm512_storeu_ps(lane, best);
		for (int j = 0; j < TILE_A; j++)
		{
			const float dot = (float) greatest_dot(VK_F32, lane + 4 * j, NULL, dim);

			if (dot > greatest[first + j])
				greatest[first + j] = dot;
		}
	}
}

static double
maxsim_widened(Widen widen, const uint16_t *query, size_t query_stride, int m,
			   const uint16_t *document, size_t document_stride, int n, int dim)
{
	float		queries[WIDE_QUERIES];
	float		documents[WIDE_DOCUMENTS];
	const int	most = WIDE_QUERIES / dim < WIDE_COUNT ? WIDE_QUERIES / dim : WIDE_COUNT;
	const int	width = WIDE_DOCUMENTS / dim;
	__mmask16	nan = 0;
	double		sum = 0.0;

	for (int i = 0; i < m;)
	{
		/* no fewer than TILE_A are left for the last time */
		const int	count = m - i <= most ? m - i :
			m - i < most + TILE_A ? most - TILE_A : most;
		float		greatest[WIDE_COUNT];

		for (int j = 0; j < count; j++)
			greatest[j] = -INFINITY;
		widen_rows(widen, query + i * query_stride, query_stride, count, dim, queries);
		for (int j = 0; j < n; j += width)
		{
			const int	rows = n - j < width ? n - j : width;

			widen_rows(widen, document + j * document_stride, document_stride, rows,
					   dim, documents);
			renew_greatest(queries, count, documents, rows, dim, greatest, &nan);
		}
		for (int j = 0; j < count; j++)
			sum += greatest[j];
		i += count;
	}
	return nan != 0 ? (double) NAN : canonical_f64(sum);
}

/* is it worth it, and is there room? */
static inline bool
widens(int m, int dim)
{
	return m >= 2 * TILE_A && dim > 0 && dim <= WIDE_QUERIES / (2 * TILE_A);
}

#define DEFINE_MAXSIM_16(name, element, widen) \
static double \
maxsim_##name(const void *query, size_t query_stride, int m, \
			  const void *document, size_t document_stride, int n, int dim) \
{ \
	if (widens(m, dim)) \
		return maxsim_widened(widen, query, query_stride, m, document, \
							  document_stride, n, dim); \
	return maxsim(element, query, query_stride, m, document, document_stride, \
				  n, dim); \
}

#define DEFINE_MAXSIM(name, element) \
static double \
maxsim_##name(const void *query, size_t query_stride, int m, \
			  const void *document, size_t document_stride, int n, int dim) \
{ \
	return maxsim(element, query, query_stride, m, document, document_stride, \
				  n, dim); \
}

DEFINE_MAXSIM(f32, VK_F32)
DEFINE_MAXSIM_16(f16, VK_F16, half_to_float)
DEFINE_MAXSIM_16(bf16, VK_BF16, bf16_to_float)
DEFINE_MAXSIM(i8, VK_I8)

#endif							/* VK_AVX512_MAXSIM_H */
