/*-------------------------------------------------------------------------
 *
 * avx512_tile.h
 *	  Part of avx512.c: tiles, many queries against many rows.
 *
 * NOTES
 *	  24 of the 32 registers accumulate: 6 queries x 4 blocks of VPDPBUSD, or
 *	  4 x 3 pairs of 32 float lanes.  Loops over them have constant bounds and
 *	  are unrolled whole; `make check-kernels VKCHECK_ARGS=--bench` shows at
 *	  once when a compiler spills them instead.
 *
 * IDENTIFICATION
 *	  src/kernels/avx512_tile.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AVX512_TILE_H
#define VK_AVX512_TILE_H

#define TILE_QUERIES	6
#define TILE_BLOCKS		4

/* m <= TILE_QUERIES and blocks <= TILE_BLOCKS are constants where it inlines */
static inline __attribute__((always_inline)) void
tile_i8_part(const int8_t *queries, size_t query_stride, int m,
			 const uint8_t *code, size_t block_stride, int blocks, int lines,
			 int32_t *out, size_t out_stride)
{
	__m512i		sum[TILE_QUERIES][TILE_BLOCKS];

	for (int i = 0; i < m; i++)
		for (int b = 0; b < blocks; b++)
			sum[i][b] = _mm512_setzero_si512();
	for (int line = 0; line < lines; line++)
	{
		__m512i		codes[TILE_BLOCKS];

		for (int b = 0; b < blocks; b++)
			codes[b] = _mm512_loadu_si512(code + b * block_stride +
										  VK_LINE_SIZE * (size_t) line);
		for (int i = 0; i < m; i++)
		{
			__m512i		query = broadcast_dword(queries + i * query_stride +
												4 * line);

			for (int b = 0; b < blocks; b++)
				sum[i][b] = _mm512_dpbusd_epi32(sum[i][b], codes[b], query);
		}
	}
	for (int i = 0; i < m; i++)
		for (int b = 0; b < blocks; b++)
			_mm512_storeu_si512(out + i * out_stride + VK_LANES * b, sum[i][b]);
}

static void
tile_i8(const int8_t *queries, size_t query_stride, int m,
		const uint8_t *code, size_t block_stride, int blocks, int dim,
		int32_t *out)
{
	int			lines = vk_format_lines(VK_FORMAT_B8, dim);
	size_t		out_stride = (size_t) VK_LANES * blocks;

	for (int b = 0; b < blocks;)
	{
		bool		wide = blocks - b >= TILE_BLOCKS;
		int			width = wide ? TILE_BLOCKS : 1;
		const uint8_t *part = code + b * block_stride;
		int32_t    *part_out = out + VK_LANES * b;
		int			i = 0;

		for (; i + TILE_QUERIES <= m && wide; i += TILE_QUERIES)
			tile_i8_part(queries + i * query_stride, query_stride, TILE_QUERIES,
						 part, block_stride, TILE_BLOCKS, lines,
						 part_out + i * out_stride, out_stride);
		for (; i < m && wide; i++)
			tile_i8_part(queries + i * query_stride, query_stride, 1,
						 part, block_stride, TILE_BLOCKS, lines,
						 part_out + i * out_stride, out_stride);
		for (; i + TILE_QUERIES <= m; i += TILE_QUERIES)
			tile_i8_part(queries + i * query_stride, query_stride, TILE_QUERIES,
						 part, block_stride, 1, lines,
						 part_out + i * out_stride, out_stride);
		for (; i < m; i++)
			tile_i8_part(queries + i * query_stride, query_stride, 1,
						 part, block_stride, 1, lines,
						 part_out + i * out_stride, out_stride);
		b += width;
	}
}

#define TILE_A	4
#define TILE_B	3

/* one step of 32 dimensions; with a constant full mask it has plain loads */
static inline __attribute__((always_inline)) void
tile_f32_step(__m512 sum[TILE_A][TILE_B][2], const float *a, size_t a_stride,
			  int m, const float *b, size_t b_stride, int n, int half,
			  __mmask16 lanes)
{
	__m512		b_part[TILE_B];

	for (int j = 0; j < n; j++)
		b_part[j] = _mm512_maskz_loadu_ps(lanes, b + j * b_stride);
	for (int i = 0; i < m; i++)
	{
		__m512		a_part = _mm512_maskz_loadu_ps(lanes, a + i * a_stride);

		for (int j = 0; j < n; j++)
			sum[i][j][half] = _mm512_fmadd_ps(a_part, b_part[j], sum[i][j][half]);
	}
}

static inline __attribute__((always_inline)) void
tile_f32_part(const float *a, size_t a_stride, int m, const float *b,
			  size_t b_stride, int n, int dim, float *out, size_t out_stride)
{
	__m512		sum[TILE_A][TILE_B][2];
	int			k = 0;

	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++)
			sum[i][j][0] = sum[i][j][1] = _mm512_setzero_ps();
	for (; k + 32 <= dim; k += 32)
	{
		tile_f32_step(sum, a + k, a_stride, m, b + k, b_stride, n, 0, 0xffff);
		tile_f32_step(sum, a + k + 16, a_stride, m, b + k + 16, b_stride, n, 1,
					  0xffff);
	}
	if (k < dim)
	{
		tile_f32_step(sum, a + k, a_stride, m, b + k, b_stride, n, 0,
					  first_lanes(dim - k));
		tile_f32_step(sum, a + k + 16, a_stride, m, b + k + 16, b_stride, n, 1,
					  first_lanes(dim - k - 16));
	}
	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++)
			out[i * out_stride + j] = add_lanes(sum[i][j][0], sum[i][j][1]);
}

static void
tile_f32(const float *a, size_t a_stride, int m, const float *b,
		 size_t b_stride, int n, int dim, float *out)
{
	int			i = 0;

	for (; i + TILE_A <= m; i += TILE_A)
	{
		int			j = 0;

		for (; j + TILE_B <= n; j += TILE_B)
			tile_f32_part(a + i * a_stride, a_stride, TILE_A,
						  b + j * b_stride, b_stride, TILE_B, dim,
						  out + (size_t) i * n + j, n);
		for (; j < n; j++)
			tile_f32_part(a + i * a_stride, a_stride, TILE_A,
						  b + j * b_stride, b_stride, 1, dim,
						  out + (size_t) i * n + j, n);
	}
	for (; i < m; i++)
		for (int j = 0; j < n; j++)
			out[(size_t) i * n + j] = pair_dot_f32(a + i * a_stride,
												   b + j * b_stride, dim);
}

#endif							/* VK_AVX512_TILE_H */
