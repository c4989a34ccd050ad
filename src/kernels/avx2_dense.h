/*-------------------------------------------------------------------------
 *
 * avx2_dense.h
 *	  Part of avx2.c: tiles of vectors, and MaxSim.
 *
 * NOTES
 *	  Canonical tiles take 3 x 2 pairs, half of their 32 lanes at a time: twelve
 *	  of the sixteen registers.  Free order: lanes are queries, packed 16
 *	  abreast, and one element of a row is broadcast to them; 6 rows are twelve
 *	  chains again (4 of bfloat16, which takes more registers).  Queries that
 *	  do not fill a group (DENSE_FULL) stay rows, and are taken in canonical
 *	  order.  A sum has dim roundings a chain, below the bounds of kernels.h.
 *
 * IDENTIFICATION
 *	  src/kernels/avx2_dense.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AVX2_DENSE_H
#define VK_AVX2_DENSE_H

#define TILE_A			3
#define TILE_B			2
#define PANEL_SIZE		(100 * 1024)	/* bytes of b that a tile passes, / TILE_B */
#define DEPTH			512		/* dimensions of a canonical tile taken at a time */
#define DENSE_ROWS		6		/* f32 */
#define DENSE_ROWS_BF16	4
#define DENSE_FULL		10		/* queries that make a group worth its while */

/* vectors, one after another */
typedef struct VectorRows
{
	const char *base;
	size_t		stride;			/* in bytes */
} VectorRows;

static inline VectorRows
rows_from(VkElement element, const void *base, size_t stride, size_t first)
{
	VectorRows	rows;

	rows.stride = stride * vk_element_size[element];
	rows.base = (const char *) base + first * rows.stride;
	return rows;
}

/* ---------- canonical tiles ---------- */

/* 8 lanes from k on; element, m and n are constants where it inlines */
static inline __attribute__((always_inline)) void
float_step(__m256 sum[TILE_A][TILE_B][2], VkElement element, VectorRows a, int m,
		   VectorRows b, int n, size_t k, int part, int left)
{
	__m256		b_part[TILE_B];

	for (int j = 0; j < n; j++)
		b_part[j] = load_8_lanes(element, b.base + j * b.stride, k, left);
	for (int i = 0; i < m; i++)
	{
		__m256		a_part = load_8_lanes(element, a.base + i * a.stride, k, left);

		/* gcc loads it again for each product otherwise */
		__asm__("" : "+x"(a_part));
		for (int j = 0; j < n; j++)
			sum[i][j][part] = _mm256_fmadd_ps(a_part, b_part[j], sum[i][j][part]);
	}
}

/* lanes 16 half .. 16 half + 15 of m x n sums += dimensions k .. end - 1 */
static inline __attribute__((always_inline)) void
float_half(VkElement element, VectorRows a, int m, VectorRows b, int n, int k,
		   int end, int half, __m256 sums[TILE_A][TILE_B][2])
{
	__m256		sum[TILE_A][TILE_B][2];

	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++)
			for (int part = 0; part < 2; part++)
				sum[i][j][part] = sums[i][j][part];
	for (k += 16 * half; k + 16 <= end; k += 32)
	{
		float_step(sum, element, a, m, b, n, k, 0, 8);
		float_step(sum, element, a, m, b, n, k + 8, 1, 8);
	}
	if (k < end)
	{
		float_step(sum, element, a, m, b, n, k, 0, end - k);
		float_step(sum, element, a, m, b, n, k + 8, 1, end - k - 8);
	}
	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++)
			for (int part = 0; part < 2; part++)
				sums[i][j][part] = sum[i][j][part];
}

/*
 * The dots of m rows of a with n of b.  The second half of the lanes finds what
 * the first has brought into the first-level cache.
 */
static inline __attribute__((always_inline)) void
float_part(VkElement element, VectorRows a, int m, VectorRows b, int n, int dim,
		   double dots[TILE_A][TILE_B])
{
	__m256		sums[2][TILE_A][TILE_B][2];

	for (int half = 0; half < 2; half++)
		for (int i = 0; i < m; i++)
			for (int j = 0; j < n; j++)
				sums[half][i][j][0] = sums[half][i][j][1] = _mm256_setzero_ps();
	for (int k = 0; k < dim; k += DEPTH)
	{
		const int	end = dim - k < DEPTH ? dim : k + DEPTH;

		float_half(element, a, m, b, n, k, end, 0, sums[0]);
		float_half(element, a, m, b, n, k, end, 1, sums[1]);
	}
	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++)
		{
			Sum32		sum = {{sums[0][i][j][0], sums[0][i][j][1],
			sums[1][i][j][0], sums[1][i][j][1]}};

			dots[i][j] = sum32_add_lanes(&sum);
		}
}

static inline __attribute__((always_inline)) void
put_float_part(VkElement element, VectorRows a, int m, VectorRows b, int n,
			   int dim, bool add, float *out, size_t out_stride)
{
	double		dots[TILE_A][TILE_B];

	float_part(element, a, m, b, n, dim, dots);
	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++)
		{
			float	   *to = out + i * out_stride + j;

			*to = add ? *to + (float) dots[i][j] : (float) dots[i][j];
		}
}

/* one row of tiles: m (TILE_A or 1) rows of a with rows j .. end - 1 of b */
static inline __attribute__((always_inline)) void
tile_row(VkElement element, VectorRows a, int m, const void *b, size_t b_stride,
		 int j, int end, int dim, bool add, float *out, size_t out_stride)
{
	for (; j + TILE_B <= end; j += TILE_B)
		put_float_part(element, a, m, rows_from(element, b, b_stride, j), TILE_B,
					   dim, add, out + j, out_stride);
	for (; j < end; j++)
		put_float_part(element, a, m, rows_from(element, b, b_stride, j), 1, dim,
					   add, out + j, out_stride);
}

/*
 * As many rows of b as stay in the second-level cache (and are read from memory
 * once) pass by each few rows of a, which stay in the first.
 */
static inline __attribute__((always_inline)) void
tile_rows(VkElement element, const void *a, size_t a_stride, int m,
		  const void *b, size_t b_stride, int n, int dim, bool add, float *out)
{
	const int	row_size = (dim + 1) * vk_element_size[element];
	const int	width = (PANEL_SIZE / row_size + 1) * TILE_B;
	const int	whole = m / TILE_A * TILE_A;

	for (int j = 0; j < n; j += width)
	{
		const int	end = n - j < width ? n : j + width;

		for (int i = 0; i < m; i += i < whole ? TILE_A : 1)
		{
			VectorRows	left = rows_from(element, a, a_stride, i);
			float	   *to = out + (size_t) i * n;

			if (i < whole)
				tile_row(element, left, TILE_A, b, b_stride, j, end, dim, add,
						 to, n);
			else
				tile_row(element, left, 1, b, b_stride, j, end, dim, add, to,
						 n);
		}
	}
}

static void
tile_f32(const float *a, size_t a_stride, int m, const float *b,
		 size_t b_stride, int n, int dim, float *out)
{
	tile_rows(VK_F32, a, a_stride, m, b, b_stride, n, dim, false, out);
}

/* ---------- MaxSim ---------- */

static inline __attribute__((always_inline)) void
byte_part(VectorRows a, int m, VectorRows b, int n, int dim,
		  double dots[TILE_A][TILE_B])
{
	__m256i		sum[TILE_A][TILE_B];

	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++)
			sum[i][j] = _mm256_setzero_si256();
	for (int k = 0; k < dim; k += 32)
	{
		__m256i		low[TILE_B];
		__m256i		high[TILE_B];

		for (int j = 0; j < n; j++)
		{
			__m256i		bytes = load_32_bytes(b.base + j * b.stride, k, dim);

			low[j] = widen_low(bytes);
			high[j] = widen_high(bytes);
		}
		for (int i = 0; i < m; i++)
		{
			__m256i		bytes = load_32_bytes(a.base + i * a.stride, k, dim);
			__m256i		a_low = widen_low(bytes);
			__m256i		a_high = widen_high(bytes);

			for (int j = 0; j < n; j++)
				sum[i][j] = _mm256_add_epi32(sum[i][j],
											 _mm256_add_epi32(_mm256_madd_epi16(a_low, low[j]),
															  _mm256_madd_epi16(a_high, high[j])));
		}
	}
	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++)
			dots[i][j] = add_int_lanes(sum[i][j]);
}

/*
 * The greatest dots of m queries with all documents, the last of which may be
 * taken twice: that changes no maximum.  NaN stays once it is there.
 */
static inline __attribute__((always_inline)) void
greatest_dots(VkElement element, VectorRows query, int m, const void *document,
			  size_t document_stride, int n, int width, int dim,
			  double greatest[TILE_A])
{
	for (int i = 0; i < m; i++)
		greatest[i] = -INFINITY;
	for (int j = 0; j < n; j += width)
	{
		VectorRows	rows = rows_from(element, document, document_stride,
									 j + width <= n ? j : n - width);
		double		dots[TILE_A][TILE_B];

		if (element == VK_I8)
			byte_part(query, m, rows, width, dim, dots);
		else
			float_part(element, query, m, rows, width, dim, dots);
		for (int i = 0; i < m; i++)
			for (int w = 0; w < width; w++)
				if (!(dots[i][w] <= greatest[i]))
					greatest[i] = greatest[i] == greatest[i] ? dots[i][w] : greatest[i];
	}
}

static inline __attribute__((always_inline)) double
maxsim(VkElement element, const void *query, size_t query_stride, int m,
	   const void *document, size_t document_stride, int n, int dim)
{
	const int	step = m >= TILE_A ? TILE_A : 1;
	double		sum = 0.0;

	for (int i = 0; i < m;)
	{
		const int	first = i + step <= m ? i : m - step;
		VectorRows	queries = rows_from(element, query, query_stride, first);
		double		greatest[TILE_A];

		if (step == TILE_A && n >= TILE_B)
			greatest_dots(element, queries, TILE_A, document, document_stride, n,
						  TILE_B, dim, greatest);
		else if (step == TILE_A)
			greatest_dots(element, queries, TILE_A, document, document_stride, n,
						  1, dim, greatest);
		else
			greatest_dots(element, queries, 1, document, document_stride, n, 1,
						  dim, greatest);
		for (; i < first + step; i++)
			sum += greatest[i - first];
	}
	return canonical_f64(sum);
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
DEFINE_MAXSIM(f16, VK_F16)
DEFINE_MAXSIM(bf16, VK_BF16)
DEFINE_MAXSIM(i8, VK_I8)

/* ---------- free order ---------- */

/* how m queries are packed: groups of 16, then rows */
typedef struct DensePacked
{
	const char *groups;
	const char *rows;
	int			group_count;
	int			row_count;
	size_t		group_size;
} DensePacked;

static inline DensePacked
dense_packed(const void *packed, int m, int dim, VkElement element)
{
	const int	rest = m % VK_LANES;
	const int	dwords = (dim * vk_element_size[element] + 3) / 4;
	DensePacked form;

	form.row_count = rest >= DENSE_FULL ? 0 : rest;
	form.group_count = m / VK_LANES + (rest >= DENSE_FULL);
	form.group_size = (size_t) VK_LINE_SIZE * dwords;
	form.groups = packed;
	form.rows = form.groups + form.group_count * form.group_size;
	return form;
}

/* of a group, dword k of 16 queries lies together */
static void
pack_dense(VkElement element, const void *queries, size_t query_stride, int m,
		   int dim, void *packed)
{
	const int	size = dim * vk_element_size[element];
	const DensePacked form = dense_packed(packed, m, dim, element);

	memset(packed, 0, form.group_count * form.group_size);
	for (int i = 0; i < m; i++)
	{
		const char *query = rows_from(element, queries, query_stride, i).base;
		char	   *group = (char *) packed + i / VK_LANES * form.group_size;
		const int	lane = i % VK_LANES;

		if (i / VK_LANES >= form.group_count)
			memcpy(group + (size_t) lane * size, query, size);
		else
			for (int k = 0; k < size; k += 4)
				memcpy(group + k / 4 * (size_t) VK_LINE_SIZE + 4 * lane, query + k,
					   size - k < 4 ? size - k : 4);
	}
}

/* what a tile of dense vectors is made of */
typedef struct Dense
{
	DensePacked form;
	VectorRows	rows;
	int			m;
	int			n;
	int			bytes;			/* a row */
	bool		add;
	float	   *out;
} Dense;

/*
 * One dword of rows, of which size bytes are there: a float or two bfloat16, the
 * second of which may be missing.  All but group and row are constants where it
 * inlines.
 */
static inline __attribute__((always_inline)) void
dense_dword(VkElement element, const char *group, VectorRows row, int rows,
			size_t k, int size, __m256 sum[DENSE_ROWS][2])
{
	__m256i		low = load_bytes(group + k / 4 * VK_LINE_SIZE);
	__m256i		high = load_bytes(group + k / 4 * VK_LINE_SIZE + 32);

	for (int r = 0; r < rows; r++)
	{
		uint32_t	dword = 0;
		__m256i		elements;
		__m256		x;

		memcpy(&dword, row.base + r * row.stride + k, size);
		elements = _mm256_set1_epi32((int32_t) dword);
		if (element == VK_F32)
		{
			x = _mm256_castsi256_ps(elements);
			sum[r][0] = _mm256_fmadd_ps(_mm256_castsi256_ps(low), x, sum[r][0]);
			sum[r][1] = _mm256_fmadd_ps(_mm256_castsi256_ps(high), x, sum[r][1]);
			continue;
		}
		x = low_bf16(elements);
		sum[r][0] = _mm256_fmadd_ps(low_bf16(low), x, sum[r][0]);
		sum[r][1] = _mm256_fmadd_ps(low_bf16(high), x, sum[r][1]);
		x = high_bf16(elements);
		sum[r][0] = _mm256_fmadd_ps(high_bf16(low), x, sum[r][0]);
		sum[r][1] = _mm256_fmadd_ps(high_bf16(high), x, sum[r][1]);
	}
}

/* one group of queries and count rows from j on */
static inline __attribute__((always_inline)) void
dense_part(VkElement element, const Dense *dense, int group, int j, int count)
{
	const char *queries = dense->form.groups + group * dense->form.group_size;
	const size_t whole = dense->bytes / 4 * 4;
	const int	left = dense->m - VK_LANES * group;
	VectorRows	row = {dense->rows.base + j * dense->rows.stride,
	dense->rows.stride};
	__m256		sum[DENSE_ROWS][2];
	float		dots[DENSE_ROWS][VK_LANES];
	float	   *out = dense->out + (size_t) VK_LANES * group * dense->n + j;

	for (int r = 0; r < count; r++)
		sum[r][0] = sum[r][1] = _mm256_setzero_ps();
	for (size_t k = 0; k < whole; k += 4)
		dense_dword(element, queries, row, count, k, 4, sum);
	if (whole < (size_t) dense->bytes)
		dense_dword(element, queries, row, count, whole, 2, sum);
	for (int r = 0; r < count; r++)
	{
		_mm256_storeu_ps(dots[r], sum[r][0]);
		_mm256_storeu_ps(dots[r] + 8, sum[r][1]);
	}
	for (int q = 0; q < left && q < VK_LANES; q++, out += dense->n)
		for (int r = 0; r < count; r++)
			out[r] = dense->add ? out[r] + dots[r][q] : dots[r][q];
}

/* each row is read from memory once */
static inline __attribute__((always_inline)) void
tile_dense(VkElement element, const void *packed, int m, int dim,
		   const void *rows, size_t row_stride, int n, bool add, float *out)
{
	const DensePacked form = dense_packed(packed, m, dim, element);
	Dense		dense = {form, rows_from(element, rows, row_stride, 0), m, n,
	dim * vk_element_size[element], add, out};

	for (int j = 0; j < n && form.group_count > 0;)
	{
		const int	most = element == VK_F32 ? DENSE_ROWS : DENSE_ROWS_BF16;
		const int	count = n - j >= most ? most : 1;

		for (int group = 0; group < form.group_count; group++)
			if (count == most)
				dense_part(element, &dense, group, j, most);
			else
				dense_part(element, &dense, group, j, 1);
		j += count;
	}
	if (form.row_count > 0)
		tile_rows(element, form.rows, dim, form.row_count, rows, row_stride, n,
				  dim, add, out + (size_t) VK_LANES * form.group_count * n);
}

#define DEFINE_DENSE(name, element) \
static void \
pack_dense_##name(const void *queries, size_t query_stride, int m, int dim, \
				  void *packed) \
{ \
	pack_dense(element, queries, query_stride, m, dim, packed); \
} \
static void \
tile_dense_##name(const void *packed, int m, int dim, const void *rows, \
				  size_t row_stride, int n, bool add, float *out) \
{ \
	tile_dense(element, packed, m, dim, rows, row_stride, n, add, out); \
}

DEFINE_DENSE(f32, VK_F32)
DEFINE_DENSE(bf16, VK_BF16)

#endif							/* VK_AVX2_DENSE_H */
