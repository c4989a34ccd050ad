/*-------------------------------------------------------------------------
 *
 * amx_rows.h
 *	  Part of amx.c: vectors against vectors, bfloat16 and int8.
 *
 * NOTES
 *	  Rows are the A operand as they lie in memory, 64 bytes a step, and sums
 *	  have a line a row.  Queries are packed as B tiles: line r of a step holds
 *	  bytes 4r .. 4r + 3 of 16 queries.  Since the B operand is what is copied,
 *	  the side with the fewer vectors is the query.
 *
 *	  Sums of bfloat16: within a step 16 fused steps for even and odd dimensions
 *	  each and one addition of the two, then one to the sum; denormals count
 *	  as zero.  That is at most dim + 16 roundings for a product.
 *
 * IDENTIFICATION
 *	  src/kernels/amx_rows.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AMX_ROWS_H
#define VK_AMX_ROWS_H

/*
 * Queries below which the level below is faster.  Measured at 768 dimensions,
 * from the second-level cache, GMAC/s here and there: dense with 1 and 2 queries
 * 17, 33 and 16, 17; MaxSim with 2, 3 and 6 61, 91, 181 and 65, 70, 103.
 */
#define DENSE_FROM		2
#define MAXSIM_FROM		3

/* products of vectors below which packing the queries does not pay */
#define MAXSIM_PRODUCTS	256

/* dimensions whose packed queries, 32 at a time, fit in 32 kB of stack */
#define MAXSIM_STEPS	16

/* vectors of int8 or bfloat16; sizes in bytes */
typedef struct Rows
{
	const uint8_t *start;
	size_t		stride;
	int			count;
	int			size;			/* of one row */
} Rows;

/* the sums of 32 rows and 32 queries: first rows, then queries of a tile */
typedef union SumBlock
{
	int32_t		i[2][2][TILE_ROWS][VK_LANES];
	float		f[2][2][TILE_ROWS][VK_LANES];
	uint8_t		tile[2][2][TILE_SIZE];
} SumBlock __attribute__((aligned(64)));

/* 16 x 16 numbers of 4 bytes, rows become columns */
static inline __attribute__((always_inline)) void
transpose_16(__m512i r[16])
{
	__m512i		t[16];

	for (int i = 0; i < 16; i += 2)
	{
		t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
		t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
	}
	for (int i = 0; i < 16; i += 4)
		for (int j = 0; j < 2; j++)
		{
			r[i + 2 * j] = _mm512_unpacklo_epi64(t[i + j], t[i + 2 + j]);
			r[i + 2 * j + 1] = _mm512_unpackhi_epi64(t[i + j], t[i + 2 + j]);
		}
	/* r[i + c] holds, in quarter q, column 4q + c of rows i .. i + 3 */
	for (int c = 0; c < 4; c++)
	{
		t[c] = _mm512_shuffle_i32x4(r[c], r[4 + c], 0x88);
		t[4 + c] = _mm512_shuffle_i32x4(r[c], r[4 + c], 0xdd);
		t[8 + c] = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0x88);
		t[12 + c] = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0xdd);
	}
	for (int c = 0; c < 4; c++)
	{
		r[c] = _mm512_shuffle_i32x4(t[c], t[8 + c], 0x88);
		r[4 + c] = _mm512_shuffle_i32x4(t[4 + c], t[12 + c], 0x88);
		r[8 + c] = _mm512_shuffle_i32x4(t[c], t[8 + c], 0xdd);
		r[12 + c] = _mm512_shuffle_i32x4(t[4 + c], t[12 + c], 0xdd);
	}
}

/* 64 bytes of a row from byte first on, zeros past its end */
static inline __m512i
load_row(const Rows *rows, int row, int first)
{
	if (row >= rows->count)
		return _mm512_setzero_si512();
	return _mm512_maskz_loadu_epi8(first_bytes(rows->size - first),
								   rows->start + row * rows->stride + first);
}

/* B tiles of the 16 queries from first on, step by step */
static uint8_t *
pack_group(const Rows *queries, int first, uint8_t *out)
{
	for (int at = 0; at < queries->size; at += 64)
	{
		__m512i		r[TILE_ROWS];

		for (int i = 0; i < TILE_ROWS; i++)
			r[i] = load_row(queries, first + i, at);
		transpose_16(r);
		for (int i = 0; i < TILE_ROWS; i++)
			_mm512_store_si512(out + 64 * i, r[i]);
		out += TILE_SIZE;
	}
	return out;
}

/* A tile of 16 rows: as they lie, or where they are cut a copy */
static inline const uint8_t *
row_tile(const Rows *rows, int first, int at, uint8_t *copy, size_t *stride)
{
	if (first + TILE_ROWS <= rows->count && at + 64 <= rows->size)
	{
		*stride = rows->stride;
		return rows->start + first * rows->stride + at;
	}
	for (int i = 0; i < TILE_ROWS; i++)
		_mm512_store_si512(copy + 64 * i, load_row(rows, first + i, at));
	*stride = 64;
	return copy;
}

/* into the second-level cache; see prefetch_step */
static inline __attribute__((always_inline)) void
prefetch_rows(const Rows *rows, int first, int at)
{
	int			end = min_int(first + 2 * TILE_ROWS, rows->count);

	for (int row = first; row < end; row++)
		_mm_prefetch((const char *) rows->start + row * rows->stride + at,
					 _MM_HINT_T1);
}

/*
 * 32 rows from first on and 32 packed queries, the second 16 other_group bytes
 * on; rows and queries that do not exist give sums of no meaning.  bf16 is a
 * constant where it inlines.
 */
static inline __attribute__((always_inline)) void
multiply_rows(const Rows *rows, int first, const uint8_t *queries,
			  size_t other_group, bool bf16, bool prefetch, SumBlock *sums)
{
	uint8_t		copies[2][TILE_SIZE] __attribute__((aligned(64)));

	zero_sums();
	for (int at = 0; at < rows->size; at += 64)
	{
		size_t		stride;
		const uint8_t *tile = row_tile(rows, first, at, copies[0], &stride);

		TILE_LOAD(4, tile, stride);
		TILE_LOAD(6, queries, VK_LINE_SIZE);
		TILE_LOAD(7, queries + other_group, VK_LINE_SIZE);
		if (first + TILE_ROWS < rows->count)
			tile = row_tile(rows, first + TILE_ROWS, at, copies[1], &stride);
		TILE_LOAD(5, tile, stride);
		if (bf16)
		{
			TILE_MULTIPLY(BF16_BF16, 0, 4, 6);
			TILE_MULTIPLY(BF16_BF16, 1, 4, 7);
			TILE_MULTIPLY(BF16_BF16, 2, 5, 6);
			TILE_MULTIPLY(BF16_BF16, 3, 5, 7);
		}
		else
		{
			TILE_MULTIPLY(SIGNED_SIGNED, 0, 4, 6);
			TILE_MULTIPLY(SIGNED_SIGNED, 1, 4, 7);
			TILE_MULTIPLY(SIGNED_SIGNED, 2, 5, 6);
			TILE_MULTIPLY(SIGNED_SIGNED, 3, 5, 7);
		}
		if (prefetch)
			prefetch_rows(rows, first + 2 * TILE_ROWS, at);
		queries += TILE_SIZE;
	}
	TILE_STORE(0, sums->tile[0][0], VK_LINE_SIZE);
	TILE_STORE(1, sums->tile[0][1], VK_LINE_SIZE);
	TILE_STORE(2, sums->tile[1][0], VK_LINE_SIZE);
	TILE_STORE(3, sums->tile[1][1], VK_LINE_SIZE);
}

/* ---------- dense ---------- */

static void
pack_dense_bf16(const void *queries, size_t query_stride, int m, int dim,
				void *packed)
{
	Rows		rows = {queries, 2 * query_stride, m, 2 * dim};
	uint8_t    *out = packed;

	if (m < DENSE_FROM)
	{
		lower.pack_dense[VK_DENSE_BF16] (queries, query_stride, m, dim, packed);
		return;
	}
	for (int group = 0; group < m; group += TILE_ROWS)
		out = pack_group(&rows, group, out);
}

/* sums[row][query] to out[query * n + row], which points at the first of both */
static void
write_dense(float sums[TILE_ROWS][VK_LANES], int queries, int rows, int n,
			bool add, float *out)
{
	const __mmask16 exist = (__mmask16) first_bytes(min_int(rows, TILE_ROWS));
	__m512i		r[TILE_ROWS];

	for (int i = 0; i < TILE_ROWS; i++)
		r[i] = _mm512_load_si512(sums[i]);
	transpose_16(r);
	for (int i = 0; i < TILE_ROWS; i++)
		_mm512_store_si512(sums[i], r[i]);
	for (int i = 0; i < min_int(queries, TILE_ROWS); i++)
	{
		__m512		sum = _mm512_load_ps(sums[i]);
		float	   *to = out + i * (size_t) n;

		if (add)
			sum = _mm512_add_ps(_mm512_maskz_loadu_ps(exist, to), sum);
		_mm512_mask_storeu_ps(to, exist, sum);
	}
}

static void
tile_dense_bf16(const void *packed, int m, int dim, const void *rows,
				size_t row_stride, int n, bool add, float *out)
{
	const Rows	all = {rows, 2 * row_stride, n, 2 * dim};
	const size_t group_size = (dim + 31) / 32 * (size_t) TILE_SIZE;
	const bool	far = (size_t) n * all.size > PREFETCH_ABOVE;
	SumBlock	sums;

	if (m < DENSE_FROM)
	{
		lower.tile_dense[VK_DENSE_BF16] (packed, m, dim, rows, row_stride, n, add,
										 out);
		return;
	}
	TILES_BEGIN();
	for (int row = 0; row < n; row += 2 * TILE_ROWS)
		for (int query = 0; query < m; query += 2 * TILE_ROWS)
		{
			multiply_rows(&all, row,
						  (const uint8_t *) packed + query / TILE_ROWS * group_size,
						  query + TILE_ROWS < m ? group_size : 0, true,
						  far && query == 0, &sums);
			for (int j = row; j < min_int(row + 2 * TILE_ROWS, n); j += TILE_ROWS)
				for (int i = query; i < min_int(query + 2 * TILE_ROWS, m);
					 i += TILE_ROWS)
					write_dense(sums.f[j > row][i > query], m - i, n - j, n, add,
								out + i * (size_t) n + j);
		}
	TILES_END();
}

/* ---------- MaxSim ---------- */

/* the greatest sums of 16 queries over the rows that exist */
static inline __m512i
max_rows(__m512i best, int32_t sums[TILE_ROWS][VK_LANES], int rows)
{
	for (int i = 0; i < min_int(rows, TILE_ROWS); i++)
		best = _mm512_max_epi32(best, _mm512_load_si512(sums[i]));
	return best;
}

/* best[i]: the greatest product of packed query i, of 32, and a row */
static void
maxsim_queries(const Rows *document, const uint8_t *packed, size_t other_group,
			   int32_t best[2 * TILE_ROWS])
{
	__m512i		best0 = _mm512_set1_epi32(INT_MIN);
	__m512i		best1 = best0;
	SumBlock	sums;

	for (int row = 0; row < document->count; row += 2 * TILE_ROWS)
	{
		int			left = document->count - row;

		multiply_rows(document, row, packed, other_group, false, false, &sums);
		best0 = max_rows(best0, sums.i[0][0], left);
		best0 = max_rows(best0, sums.i[1][0], left - TILE_ROWS);
		best1 = max_rows(best1, sums.i[0][1], left);
		best1 = max_rows(best1, sums.i[1][1], left - TILE_ROWS);
	}
	_mm512_storeu_si512(best, best0);
	_mm512_storeu_si512(best + TILE_ROWS, best1);
}

static double
maxsim_i8(const void *query, size_t query_stride, int m, const void *document,
		  size_t document_stride, int n, int dim)
{
	const Rows	queries = {query, query_stride, m, dim};
	const Rows	rows = {document, document_stride, n, dim};
	uint8_t		packed[2 * MAXSIM_STEPS * TILE_SIZE] __attribute__((aligned(64)));
	double		total = 0;

	if (m < MAXSIM_FROM || (size_t) m * n < MAXSIM_PRODUCTS ||
		dim > MAXSIM_STEPS * 64)
		return lower.maxsim[VK_I8] (query, query_stride, m, document,
									document_stride, n, dim);
	TILES_BEGIN();
	for (int first = 0; first < m; first += 2 * TILE_ROWS)
	{
		uint8_t    *other = pack_group(&queries, first, packed);
		size_t		other_group = 0;
		int32_t		best[2 * TILE_ROWS];

		if (first + TILE_ROWS < m)
		{
			pack_group(&queries, first + TILE_ROWS, other);
			other_group = other - packed;
		}
		maxsim_queries(&rows, packed, other_group, best);
		for (int i = 0; i < min_int(m - first, 2 * TILE_ROWS); i++)
			total += best[i];
	}
	TILES_END();
	return total;
}

#endif							/* VK_AMX_ROWS_H */
