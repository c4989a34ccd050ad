/*-------------------------------------------------------------------------
 *
 * avx512_dense.h
 *	  Part of avx512.c: tiles of vectors.
 *
 * NOTES
 *	  Canonical tiles take 4 x 3 pairs, two registers of lanes each, and add
 *	  the lanes of all twelve together: the tree of the canonical sum, where
 *	  one instruction serves four pairs.
 *
 *	  Free order: lanes are queries, which are packed 16 abreast, and one
 *	  element of a row is broadcast to them: 12 rows x 2 groups of queries are
 *	  24 chains, and nothing is left to add up.  Queries that do not fill a
 *	  group (DENSE_FULL) stay rows, and are taken in canonical order.  An f32 sum
 *	  has dim roundings a chain, below the bound of kernels.h; VDPBF16PS rounds
 *	  and flushes as the bound for bfloat16 allows.  It is used where it is
 *	  there: at twice the rate of f32 on Zen 4, at half of it on Sapphire Rapids,
 *	  which has AMX.
 *
 * IDENTIFICATION
 *	  src/kernels/avx512_dense.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AVX512_DENSE_H
#define VK_AVX512_DENSE_H

#define TILE_A			4
#define TILE_B			3
#define PANEL_SIZE		(100 * 1024)	/* bytes of b that a tile passes, / TILE_B */
#define DENSE_ROWS		12
#define DENSE_GROUPS	2		/* of 16 queries */
#define DENSE_FULL		12		/* queries that make a group worth its while */

/* ---------- adding up lanes of several sums ---------- */

static inline __attribute__((always_inline)) __m512
add_any(bool integer, __m512 x, __m512 y)
{
	return integer ?
		_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(x),
											 _mm512_castps_si512(y))) :
		_mm512_add_ps(x, y);
}

/* the first two levels for four sums: sum i is left in 4 lanes from 4 i */
static inline __attribute__((always_inline)) __m512
add_16_to_4(bool integer, __m512 sum0, __m512 sum1, __m512 sum2, __m512 sum3)
{
	__m512		sum01 = add_any(integer, _mm512_shuffle_f32x4(sum0, sum1, 0x44),
								_mm512_shuffle_f32x4(sum0, sum1, 0xee));
	__m512		sum23 = add_any(integer, _mm512_shuffle_f32x4(sum2, sum3, 0x44),
								_mm512_shuffle_f32x4(sum2, sum3, 0xee));

	return add_any(integer, _mm512_shuffle_f32x4(sum01, sum23, 0x88),
				   _mm512_shuffle_f32x4(sum01, sum23, 0xdd));
}

/* and the last two: lane 4 i + j is the sum whose lanes are 4 i .. of xj */
static inline __attribute__((always_inline)) __m512
add_4_to_1(bool integer, __m512 x0, __m512 x1, __m512 x2, __m512 x3)
{
	__m512		x01 = add_any(integer, _mm512_shuffle_ps(x0, x1, 0x44),
							  _mm512_shuffle_ps(x0, x1, 0xee));
	__m512		x23 = add_any(integer, _mm512_shuffle_ps(x2, x3, 0x44),
							  _mm512_shuffle_ps(x2, x3, 0xee));

	return add_any(integer, _mm512_shuffle_ps(x01, x23, 0x88),
				   _mm512_shuffle_ps(x01, x23, 0xdd));
}

static inline __m512
canonical_lanes(__m512 x)
{
	__mmask16	nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);

	return _mm512_mask_mov_ps(_mm512_add_ps(x, _mm512_setzero_ps()), nan,
							  _mm512_set1_ps(NAN));
}

/* ---------- canonical tiles ---------- */

/* vectors, one after another */
typedef struct VectorRows
{
	const char *base;
	size_t		stride;			/* in bytes */
} VectorRows;

static inline VectorRows
rows_from(VkElement element, const void *base, size_t stride, size_t first)
{
	VectorRows		rows;

	rows.stride = stride * vk_element_size[element];
	rows.base = (const char *) base + first * rows.stride;
	return rows;
}

/*
 * The line at byte k of rows two steps on, for the second-level cache: to the
 * first there are too few fetches at a time (Zen 4: 36 in place of 40 GMAC/s
 * from memory).  Always inlined: gcc drops calls of functions that do nothing
 * else.
 */
static inline __attribute__((always_inline)) void
prefetch_rows(VectorRows row, int count, size_t k)
{
	for (int r = 0; r < count; r++)
		_mm_prefetch(row.base + (r + 2 * count) * row.stride + k, _MM_HINT_T1);
}

/*
 * A half, 16 dimensions, of a step of 32; element, m and n are constants where it
 * inlines, and with a constant full mask it has plain loads.
 */
static inline __attribute__((always_inline)) void
float_step(__m512 sum[TILE_A][TILE_B][2], VkElement element, VectorRows a, int m,
		   VectorRows b, int n, int half, __mmask16 lanes)
{
	const size_t k = 16 * half;
	__m512		b_part[TILE_B];

	for (int j = 0; j < n; j++)
		b_part[j] = load_16_lanes(element, b.base + j * b.stride, k, lanes);
	for (int i = 0; i < m; i++)
	{
		__m512		a_part = load_16_lanes(element, a.base + i * a.stride, k,
										   lanes);

		/* gcc loads it again for each product otherwise */
		__asm__("" : "+v"(a_part));
		for (int j = 0; j < n; j++)
			sum[i][j][half] = _mm512_fmadd_ps(a_part, b_part[j], sum[i][j][half]);
	}
}

/*
 * Lane 4 i + j: the dot of rows i and j; lanes beyond m and n repeat others.
 * ahead: prefetch rows of b that come later.
 */
static inline __attribute__((always_inline)) __m512
float_part(VkElement element, VectorRows a, int m, VectorRows b, int n, int dim,
		   bool ahead)
{
	const size_t step_size = 16 * vk_element_size[element];

	__m512		sum[TILE_A][TILE_B][2];
	__m512		column[TILE_B];
	int			k = 0;

	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++)
			sum[i][j][0] = sum[i][j][1] = _mm512_setzero_ps();
	for (; k + 32 <= dim; k += 32)
	{
		if (ahead)
		{
			prefetch_rows(b, n, 0);
			if (element == VK_F32)
				prefetch_rows(b, n, step_size);
		}
		float_step(sum, element, a, m, b, n, 0, 0xffff);
		float_step(sum, element, a, m, b, n, 1, 0xffff);
		a.base += 2 * step_size;
		b.base += 2 * step_size;
		/* clang counts up a pointer for each row otherwise, some on the stack */
		__asm__("" : "+r"(a.base), "+r"(b.base));
	}
	if (k < dim)
	{
		float_step(sum, element, a, m, b, n, 0, first_lanes(dim - k));
		float_step(sum, element, a, m, b, n, 1, first_lanes(dim - k - 16));
	}
	for (int j = 0; j < n; j++)
	{
		__m512		sum16[TILE_A];

		for (int i = 0; i < TILE_A; i++)
			sum16[i] = _mm512_add_ps(sum[i < m ? i : 0][j][0],
									 sum[i < m ? i : 0][j][1]);
		column[j] = add_16_to_4(false, sum16[0], sum16[1], sum16[2], sum16[3]);
	}
	return add_4_to_1(false, column[0], column[n > 1 ? 1 : 0],
					  column[n - 1], column[n - 1]);
}

static inline __attribute__((always_inline)) void
put_float_part(VkElement element, VectorRows a, int m, VectorRows b, int n,
			   int dim, bool ahead, bool add, float *out, size_t out_stride)
{
	const __mmask8 lanes = (__mmask8) ((1 << n) - 1);
	float		dots[VK_LANES];

	_mm512_storeu_ps(dots, canonical_lanes(float_part(element, a, m, b, n, dim,
														ahead)));
	for (int i = 0; i < m; i++)
	{
		__m128		row = _mm_loadu_ps(dots + 4 * i);

		if (add)
			row = _mm_add_ps(row, _mm_maskz_loadu_ps(lanes, out + i * out_stride));
		_mm_mask_storeu_ps(out + i * out_stride, lanes, row);
	}
}

/* one row of tiles: m (TILE_A or 1) rows of a with rows j .. end - 1 of b */
static inline __attribute__((always_inline)) void
tile_row(VkElement element, VectorRows a, int m, const void *b, size_t b_stride,
		 int j, int end, int dim, bool ahead, bool add, float *out,
		 size_t out_stride)
{
	for (; j + TILE_B <= end; j += TILE_B)
		put_float_part(element, a, m, rows_from(element, b, b_stride, j), TILE_B,
					   dim, ahead, add, out + j, out_stride);
	for (; j < end; j++)
		put_float_part(element, a, m, rows_from(element, b, b_stride, j), 1, dim,
					   false, add, out + j, out_stride);
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
				tile_row(element, left, TILE_A, b, b_stride, j, end, dim, i == 0, add,
						 to, n);
			else
				tile_row(element, left, 1, b, b_stride, j, end, dim, i == 0, add, to,
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

/* ---------- free order ---------- */

/*
 * A dword of a row meets the 16 queries of a group: one float or two bfloat16.
 * The last of an odd dimension is padded with zero.
 */
typedef __m512 (*DenseStep) (__m512 sum, __m512i queries, __m512i row);

static inline __m512
step_f32(__m512 sum, __m512i queries, __m512i row)
{
	return _mm512_fmadd_ps(_mm512_castsi512_ps(queries),
						   _mm512_castsi512_ps(row), sum);
}

static inline __m512
step_bf16_wide(__m512 sum, __m512i queries, __m512i row)
{
	sum = _mm512_fmadd_ps(low_bf16(queries), low_bf16(row), sum);
	return _mm512_fmadd_ps(high_bf16(queries), high_bf16(row), sum);
}

static inline __attribute__((target("avx512bf16"))) __m512
step_bf16(__m512 sum, __m512i queries, __m512i row)
{
	return _mm512_dpbf16_ps(sum, (__m512bh) queries, (__m512bh) row);
}

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
	const int	size = vk_element_size[element];
	const int	dwords = (dim * size + 3) / 4;
	DensePacked form;

	form.row_count = rest >= DENSE_FULL ? 0 : rest;
	form.group_count = m / VK_LANES + (rest >= DENSE_FULL);
	form.group_size = (size_t) VK_LINE_SIZE * dwords;
	form.groups = packed;
	form.rows = form.groups + form.group_count * form.group_size;
	return form;
}

static void
pack_dense(VkElement element, const void *queries, size_t query_stride, int m,
		   int dim, void *packed)
{
	const int	size = vk_element_size[element];
	const DensePacked form = dense_packed(packed, m, dim, element);
	char	   *out = packed;

	memset(packed, 0, form.group_count * form.group_size);
	for (int i = 0; i < m; i++)
	{
		const char *query = (const char *) queries + i * query_stride * size;
		const int	group = i / VK_LANES;

		if (group >= form.group_count)
			memcpy(out + (form.rows - form.groups) +
				   (size_t) (i % VK_LANES) * dim * size, query,
				   (size_t) dim * size);
		else
			for (int k = 0; k < dim * size; k++)
				out[group * form.group_size + (size_t) (k / 4) * VK_LINE_SIZE +
					i % VK_LANES * 4 + k % 4] = query[k];
	}
}

/* one dword, of which size bytes are there; the rest are constants as well */
static inline __attribute__((always_inline)) void
dense_dword(DenseStep step, const char *groups, size_t group_size,
			int group_count, VectorRows row, int rows, size_t k, int size,
			__m512 sum[DENSE_ROWS][DENSE_GROUPS])
{
	__m512i		queries[DENSE_GROUPS];

	for (int g = 0; g < group_count; g++)
		queries[g] = _mm512_load_si512(groups + g * group_size +
									   k / 4 * VK_LINE_SIZE);
	for (int r = 0; r < rows; r++)
	{
		uint32_t	dword = 0;
		__m512i		elements;

		memcpy(&dword, row.base + r * row.stride + k, size);
		elements = _mm512_set1_epi32((int32_t) dword);
		for (int g = 0; g < group_count; g++)
			sum[r][g] = step(sum[r][g], queries[g], elements);
	}
}

/* lanes are 16 queries, columns 4 rows: to out, count queries of it */
static inline void
put_columns(__m512 row0, __m512 row1, __m512 row2, __m512 row3, int count,
			bool add, float *out, size_t out_stride)
{
	__m512		low01 = _mm512_unpacklo_ps(row0, row1);
	__m512		high01 = _mm512_unpackhi_ps(row0, row1);
	__m512		low23 = _mm512_unpacklo_ps(row2, row3);
	__m512		high23 = _mm512_unpackhi_ps(row2, row3);
	float		part[4][VK_LANES];

	_mm512_storeu_ps(part[0], _mm512_shuffle_ps(low01, low23, 0x44));
	_mm512_storeu_ps(part[1], _mm512_shuffle_ps(low01, low23, 0xee));
	_mm512_storeu_ps(part[2], _mm512_shuffle_ps(high01, high23, 0x44));
	_mm512_storeu_ps(part[3], _mm512_shuffle_ps(high01, high23, 0xee));
	for (int q = 0; q < count; q++, out += out_stride)
	{
		__m128		dots = _mm_loadu_ps(part[q % 4] + q / 4 * 4);

		_mm_storeu_ps(out, add ? _mm_add_ps(_mm_loadu_ps(out), dots) : dots);
	}
}

static inline void
put_column(__m512 row, int count, bool add, float *out, size_t out_stride)
{
	float		dots[VK_LANES];

	_mm512_storeu_ps(dots, row);
	for (int q = 0; q < count; q++, out += out_stride)
		*out = add ? *out + dots[q] : dots[q];
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

/* group_count groups from group and count rows (a multiple of 4, or 1) from j */
static inline __attribute__((always_inline)) void
dense_part(DenseStep step, const Dense *dense, int group, int group_count,
		   int j, int count)
{
	const char *groups = dense->form.groups + group * dense->form.group_size;
	const size_t group_size = dense->form.group_size;
	const size_t whole = dense->bytes / 4 * 4;
	VectorRows	row = {dense->rows.base + j * dense->rows.stride,
	dense->rows.stride};
	__m512		sum[DENSE_ROWS][DENSE_GROUPS];

	for (int r = 0; r < count; r++)
		for (int g = 0; g < group_count; g++)
			sum[r][g] = _mm512_setzero_ps();
	for (size_t k = 0; k < whole; k += 4)
	{
		if (k % VK_LINE_SIZE == 0)
			prefetch_rows(row, count, k);
		dense_dword(step, groups, group_size, group_count, row, count, k, 4, sum);
	}
	if (whole < (size_t) dense->bytes)
		dense_dword(step, groups, group_size, group_count, row, count, whole, 2,
					sum);
	for (int g = 0; g < group_count; g++)
	{
		const int	first = VK_LANES * (group + g);
		const int	queries = dense->m - first < VK_LANES ?
			dense->m - first : VK_LANES;
		float	   *out = dense->out + (size_t) first * dense->n + j;

		if (count == 1)
			put_column(sum[0][g], queries, dense->add, out, dense->n);
		else
			for (int r = 0; r < count; r += 4)
				put_columns(sum[r][g], sum[r + 1][g], sum[r + 2][g],
							sum[r + 3][g], queries, dense->add, out + r, dense->n);
	}
}

static inline __attribute__((always_inline)) void
dense_rows(DenseStep step, const Dense *dense, int j, int count)
{
	int			group = 0;

	for (; group + DENSE_GROUPS <= dense->form.group_count; group += DENSE_GROUPS)
		dense_part(step, dense, group, DENSE_GROUPS, j, count);
	if (group < dense->form.group_count)
		dense_part(step, dense, group, 1, j, count);
}

/* each row is read from memory once */
static inline __attribute__((always_inline)) void
tile_dense(DenseStep step, VkElement element, const void *packed, int m,
		   int dim, const void *rows, size_t row_stride, int n, bool add,
		   float *out)
{
	const DensePacked form = dense_packed(packed, m, dim, element);
	Dense		dense = {form, rows_from(element, rows, row_stride, 0), m, n,
	dim * vk_element_size[element], add, out};
	int			j = 0;

	for (; j + DENSE_ROWS <= n && form.group_count > 0; j += DENSE_ROWS)
		dense_rows(step, &dense, j, DENSE_ROWS);
	for (; j + 4 <= n && form.group_count > 0; j += 4)
		dense_rows(step, &dense, j, 4);
	for (; j < n && form.group_count > 0; j++)
		dense_rows(step, &dense, j, 1);
	if (form.row_count > 0)
		tile_rows(element, form.rows, dim, form.row_count, rows, row_stride, n,
				  dim, add, out + (size_t) VK_LANES * form.group_count * n);
}

static void
pack_dense_f32(const void *queries, size_t query_stride, int m, int dim,
			   void *packed)
{
	pack_dense(VK_F32, queries, query_stride, m, dim, packed);
}

static void
pack_dense_bf16(const void *queries, size_t query_stride, int m, int dim,
				void *packed)
{
	pack_dense(VK_BF16, queries, query_stride, m, dim, packed);
}

static void
tile_dense_f32(const void *packed, int m, int dim, const void *rows,
			   size_t row_stride, int n, bool add, float *out)
{
	tile_dense(step_f32, VK_F32, packed, m, dim, rows, row_stride, n, add, out);
}

static void
tile_dense_bf16_wide(const void *packed, int m, int dim, const void *rows,
					 size_t row_stride, int n, bool add, float *out)
{
	tile_dense(step_bf16_wide, VK_BF16, packed, m, dim, rows, row_stride, n, add,
			   out);
}

static __attribute__((target("avx512bf16"))) void
tile_dense_bf16(const void *packed, int m, int dim, const void *rows,
				size_t row_stride, int n, bool add, float *out)
{
	tile_dense(step_bf16, VK_BF16, packed, m, dim, rows, row_stride, n, add, out);
}

#endif							/* VK_AVX512_DENSE_H */
