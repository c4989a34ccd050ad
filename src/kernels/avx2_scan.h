/*-------------------------------------------------------------------------
 *
 * avx2_scan.h
 *	  Part of avx2.c: scans, rows and tiles.
 *
 * IDENTIFICATION
 *	  src/kernels/avx2_scan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AVX2_SCAN_H
#define VK_AVX2_SCAN_H

static inline __m256i
load_bytes(const void *p)
{
	return _mm256_loadu_si256(p);
}

static inline __m256i
broadcast_dword(const void *p)
{
	int32_t		dword;

	memcpy(&dword, p, sizeof(dword));
	return _mm256_set1_epi32(dword);
}

static inline int32_t
add_int_lanes(__m256i sum)
{
	__m128i		sum4 = _mm_add_epi32(_mm256_castsi256_si128(sum),
									 _mm256_extracti128_si256(sum, 1));
	__m128i		sum2 = _mm_add_epi32(sum4, _mm_shuffle_epi32(sum4, 0x4e));

	return _mm_cvtsi128_si32(_mm_add_epi32(sum2, _mm_shuffle_epi32(sum2, 0xb1)));
}

/* ---------- scans ---------- */

static void
pack_plain(const int8_t *query, int dim, void *packed)
{
	int			padded = (dim + 31) / 32 * 32;

	memcpy(packed, query, dim);
	memset((int8_t *) packed + dim, 0, padded - dim);
}

/* a line's query as int16: those of even bytes, then those of odd ones */
static inline void
widen_line(const int8_t *query, int16_t *wide)
{
	wide[0] = query[0];
	wide[1] = query[2];
	wide[2] = query[1];
	wide[3] = query[3];
}

static void
pack_scan_b8(const int8_t *query, int dim, void *packed)
{
	int16_t    *wide = packed;
	int8_t		last[4] = {0};
	int			i = 0;

	for (; i + 4 <= dim; i += 4)
		widen_line(query + i, wide + i);
	if (i < dim)
	{
		memcpy(last, query + i, dim - i);
		widen_line(last, wide + i);
	}
}

/* half a line of 1-, 2- or 4-bit codes: all its fields, as int32 lanes */
static inline __m256i
scan_half_line(__m256i code, const int8_t *query, int bits)
{
	const __m256i mask = _mm256_set1_epi8((char) ((1 << bits) - 1));
	__m256i		sum = _mm256_setzero_si256();

	for (int field = 0; field < 8 / bits; field++)
	{
		__m256i		u = _mm256_and_si256(_mm256_srli_epi16(code, bits * field),
										 mask);

		sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(u,
														 broadcast_dword(query + 4 * field)));
	}
	return _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
}

static inline void
scan_int(const void *packed, int first_line, const uint8_t *code, int lines,
		 VkDots *dots, int bits)
{
	const int8_t *query = (const int8_t *) packed + first_line * (32 / bits);
	__m256i		low = load_bytes(dots->i);
	__m256i		high = load_bytes(dots->i + 8);

	for (int line = 0; line < lines; line++)
	{
		low = _mm256_add_epi32(low, scan_half_line(load_bytes(code), query, bits));
		high = _mm256_add_epi32(high, scan_half_line(load_bytes(code + 32),
													 query, bits));
		query += 32 / bits;
		code += VK_LINE_SIZE;
	}
	_mm256_storeu_si256((void *) dots->i, low);
	_mm256_storeu_si256((void *) (dots->i + 8), high);
}

static void
scan_b1(const void *packed, int first_line, const uint8_t *code, int lines,
		VkDots *dots)
{
	scan_int(packed, first_line, code, lines, dots, 1);
}

static void
scan_b2(const void *packed, int first_line, const uint8_t *code, int lines,
		VkDots *dots)
{
	scan_int(packed, first_line, code, lines, dots, 2);
}

static void
scan_b4(const void *packed, int first_line, const uint8_t *code, int lines,
		VkDots *dots)
{
	scan_int(packed, first_line, code, lines, dots, 4);
}

static inline __m256i
even_bytes(__m256i code)
{
	return _mm256_and_si256(code, _mm256_set1_epi16(0x00ff));
}

static inline __m256i
odd_bytes(__m256i code)
{
	return _mm256_srli_epi16(code, 8);
}

/* sum += even and odd bytes times their widened queries */
static inline __m256i
add_widened(__m256i sum, __m256i even, __m256i odd, __m256i even_query,
			__m256i odd_query)
{
	sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even, even_query));
	return _mm256_add_epi32(sum, _mm256_madd_epi16(odd, odd_query));
}

static void
scan_b8(const void *packed, int first_line, const uint8_t *code, int lines,
		VkDots *dots)
{
	const int16_t *query = (const int16_t *) packed + 4 * first_line;
	__m256i		low = load_bytes(dots->i);
	__m256i		high = load_bytes(dots->i + 8);

	for (int line = 0; line < lines; line++)
	{
		__m256i		even_query = broadcast_dword(query);
		__m256i		odd_query = broadcast_dword(query + 2);
		__m256i		low_code = load_bytes(code);
		__m256i		high_code = load_bytes(code + 32);

		low = add_widened(low, even_bytes(low_code), odd_bytes(low_code),
						  even_query, odd_query);
		high = add_widened(high, even_bytes(high_code), odd_bytes(high_code),
						   even_query, odd_query);
		query += 4;
		code += VK_LINE_SIZE;
	}
	_mm256_storeu_si256((void *) dots->i, low);
	_mm256_storeu_si256((void *) (dots->i + 8), high);
}

/* 8 lanes' pairs of halves: dimensions 2 line and 2 line + 1 */
static inline __m256
add_half_pairs(__m256 sum, const uint8_t *code, const float *query)
{
	__m256i		pairs = load_bytes(code);
	__m256i		even = _mm256_and_si256(pairs, _mm256_set1_epi32(0xffff));
	__m256i		odd = _mm256_srli_epi32(pairs, 16);
	/* packs within 128 bits: even 0-3, odd 0-3, even 4-7, odd 4-7 */
	__m256i		halves = _mm256_permute4x64_epi64(_mm256_packus_epi32(even, odd),
												  0xd8);

	sum = _mm256_fmadd_ps(_mm256_set1_ps(query[0]),
						  _mm256_cvtph_ps(_mm256_castsi256_si128(halves)), sum);
	return _mm256_fmadd_ps(_mm256_set1_ps(query[1]),
						   _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1)),
						   sum);
}

static void
scan_f16(const float *query, int first_line, const uint8_t *code, int lines,
		 VkDots *dots)
{
	__m256		low = _mm256_loadu_ps(dots->f);
	__m256		high = _mm256_loadu_ps(dots->f + 8);

	query += 2 * first_line;
	for (int line = 0; line < lines; line++)
	{
		low = add_half_pairs(low, code, query);
		high = add_half_pairs(high, code + 32, query);
		query += 2;
		code += VK_LINE_SIZE;
	}
	_mm256_storeu_ps(dots->f, low);
	_mm256_storeu_ps(dots->f + 8, high);
}

static void
scan_f32(const float *query, int first_line, const uint8_t *code, int lines,
		 VkDots *dots)
{
	__m256		low = _mm256_loadu_ps(dots->f);
	__m256		high = _mm256_loadu_ps(dots->f + 8);

	query += first_line;
	for (int line = 0; line < lines; line++)
	{
		__m256		q = _mm256_set1_ps(query[line]);

		low = _mm256_fmadd_ps(q, _mm256_loadu_ps((const void *) code), low);
		high = _mm256_fmadd_ps(q, _mm256_loadu_ps((const void *) (code + 32)),
							   high);
		code += VK_LINE_SIZE;
	}
	_mm256_storeu_ps(dots->f, low);
	_mm256_storeu_ps(dots->f + 8, high);
}

/* ---------- rows ---------- */

static void
pack_row_b4(const int8_t *query, int dim, void *packed)
{
	int8_t	   *out = packed;
	int			whole = dim / 64 * 64;

	for (int i = 0; i < whole; i += 64)
	{
		__m256i		low = load_bytes(query + i);
		__m256i		high = load_bytes(query + i + 32);
		__m256i		even = _mm256_packs_epi16(_mm256_srai_epi16(_mm256_slli_epi16(low, 8), 8),
											  _mm256_srai_epi16(_mm256_slli_epi16(high, 8), 8));
		__m256i		odd = _mm256_packs_epi16(_mm256_srai_epi16(low, 8),
											 _mm256_srai_epi16(high, 8));

		_mm256_storeu_si256((__m256i *) (out + i),
							_mm256_permute4x64_epi64(even, 0xd8));
		_mm256_storeu_si256((__m256i *) (out + i + 32),
							_mm256_permute4x64_epi64(odd, 0xd8));
	}
	memset(out + whole, 0, (dim + 63) / 64 * 64 - whole);
	for (int i = whole; i < dim; i++)
		out[whole + i % 2 * 32 + i % 64 / 2] = query[i];
}

static inline __m256i
row_b4_part(__m256i code, const int8_t *query)
{
	const __m256i mask = _mm256_set1_epi8(15);
	__m256i		even = _mm256_and_si256(code, mask);
	__m256i		odd = _mm256_and_si256(_mm256_srli_epi16(code, 4), mask);
	__m256i		sum = _mm256_add_epi16(_mm256_maddubs_epi16(even, load_bytes(query)),
									   _mm256_maddubs_epi16(odd, load_bytes(query + 32)));

	return _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
}

static int32_t
row_b4(const void *packed, const uint8_t *code, int dim)
{
	const int8_t *query = packed;
	int			bytes = (dim + 1) / 2;
	__m256i		sum = _mm256_setzero_si256();
	int			i = 0;

	for (; i + 32 <= bytes; i += 32)
		sum = _mm256_add_epi32(sum, row_b4_part(load_bytes(code + i), query + 2 * i));
	if (i < bytes)
	{
		uint8_t		last[32] = {0};

		memcpy(last, code + i, bytes - i);
		sum = _mm256_add_epi32(sum, row_b4_part(load_bytes(last), query + 2 * i));
	}
	return add_int_lanes(sum);
}

static inline __m256i
row_b8_part(const uint8_t *code, const int8_t *query)
{
	__m256i		u = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *) code));
	__m256i		q = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *) query));

	return _mm256_madd_epi16(u, q);
}

static int32_t
row_b8(const void *packed, const uint8_t *code, int dim)
{
	const int8_t *query = packed;
	__m256i		sum0 = _mm256_setzero_si256();
	__m256i		sum1 = sum0;
	int			i = 0;

	for (; i + 32 <= dim; i += 32)
	{
		sum0 = _mm256_add_epi32(sum0, row_b8_part(code + i, query + i));
		sum1 = _mm256_add_epi32(sum1, row_b8_part(code + i + 16, query + i + 16));
	}
	for (; i < dim; i += 16)
	{
		uint8_t		last[16] = {0};

		memcpy(last, code + i, dim - i < 16 ? dim - i : 16);
		sum0 = _mm256_add_epi32(sum0, row_b8_part(last, query + i));
	}
	return add_int_lanes(_mm256_add_epi32(sum0, sum1));
}

/* ---------- tiles ---------- */

#define TILE_QUERIES	4
#define TILE_LINES		64		/* of queries widened at a time */

/* out += widened queries times one block's lines; m is a constant here */
static inline __attribute__((always_inline)) void
tile_i8_part(int16_t (*wide)[4 * TILE_LINES], int m, const uint8_t *code,
			 int lines, int32_t *out, size_t out_stride)
{
	__m256i		low[TILE_QUERIES];
	__m256i		high[TILE_QUERIES];

	for (int i = 0; i < m; i++)
	{
		low[i] = load_bytes(out + i * out_stride);
		high[i] = load_bytes(out + i * out_stride + 8);
	}
	for (int line = 0; line < lines; line++)
	{
		__m256i		low_code = load_bytes(code + VK_LINE_SIZE * line);
		__m256i		high_code = load_bytes(code + VK_LINE_SIZE * line + 32);
		__m256i		low_even = even_bytes(low_code);
		__m256i		low_odd = odd_bytes(low_code);
		__m256i		high_even = even_bytes(high_code);
		__m256i		high_odd = odd_bytes(high_code);

		for (int i = 0; i < m; i++)
		{
			__m256i		even_query = broadcast_dword(&wide[i][4 * line]);
			__m256i		odd_query = broadcast_dword(&wide[i][4 * line + 2]);

			low[i] = add_widened(low[i], low_even, low_odd, even_query, odd_query);
			high[i] = add_widened(high[i], high_even, high_odd, even_query,
								  odd_query);
		}
	}
	for (int i = 0; i < m; i++)
	{
		_mm256_storeu_si256((void *) (out + i * out_stride), low[i]);
		_mm256_storeu_si256((void *) (out + i * out_stride + 8), high[i]);
	}
}

static void
tile_i8(const int8_t *queries, size_t query_stride, int m,
		const uint8_t *code, size_t block_stride, int blocks, int dim,
		int32_t *out)
{
	int16_t		wide[TILE_QUERIES][4 * TILE_LINES];
	const int	lines = vk_format_lines(VK_FORMAT_B8, dim);
	const size_t out_stride = (size_t) VK_LANES * blocks;

	memset(out, 0, m * out_stride * sizeof(int32_t));
	for (int i = 0; i < m; i += TILE_QUERIES)
		for (int first = 0; first < lines; first += TILE_LINES)
		{
			int			part = m - i < TILE_QUERIES ? m - i : TILE_QUERIES;
			int			count = lines - first < TILE_LINES ?
				lines - first : TILE_LINES;

			for (int q = 0; q < part; q++)
				for (int line = 0; line < count; line++)
					widen_line(queries + (i + q) * query_stride +
							   4 * (first + line), &wide[q][4 * line]);
			for (int b = 0; b < blocks; b++)
			{
				const uint8_t *at = code + b * block_stride +
					(size_t) VK_LINE_SIZE * first;
				int32_t    *to = out + i * out_stride + VK_LANES * b;

				if (part == TILE_QUERIES)
				{
					tile_i8_part(wide, TILE_QUERIES, at, count, to, out_stride);
					continue;
				}
				for (int q = 0; q < part; q++)
					tile_i8_part(wide + q, 1, at, count, to + q * out_stride,
								 out_stride);
			}
		}
}

#define TILE_A	3
#define TILE_B	2

/* lanes 16 half .. 16 half + 15 of the sums of m x n pairs */
static inline __attribute__((always_inline)) void
tile_f32_half(const float *a, size_t a_stride, const float *b, size_t b_stride,
			  int dim, int half, __m256 sum[TILE_A][TILE_B][2])
{
	for (int i = 0; i < TILE_A; i++)
		for (int j = 0; j < TILE_B; j++)
			sum[i][j][0] = sum[i][j][1] = _mm256_setzero_ps();
	for (int k = 16 * half; k < dim; k += 32)
		for (int part = 0; part < 2; part++)
		{
			__m256		b_part[TILE_B];
			int			at = k + 8 * part;

			for (int j = 0; j < TILE_B; j++)
				b_part[j] = load_floats(b + j * b_stride + at, dim - at);
			for (int i = 0; i < TILE_A; i++)
			{
				__m256		a_part = load_floats(a + i * a_stride + at, dim - at);

				for (int j = 0; j < TILE_B; j++)
					sum[i][j][part] = _mm256_fmadd_ps(a_part, b_part[j],
													  sum[i][j][part]);
			}
		}
}

static void
tile_f32_part(const float *a, size_t a_stride, const float *b,
			  size_t b_stride, int dim, float *out, size_t out_stride)
{
	__m256		low[TILE_A][TILE_B][2];
	__m256		high[TILE_A][TILE_B][2];

	tile_f32_half(a, a_stride, b, b_stride, dim, 0, low);
	tile_f32_half(a, a_stride, b, b_stride, dim, 1, high);
	for (int i = 0; i < TILE_A; i++)
		for (int j = 0; j < TILE_B; j++)
		{
			Sum32		sum = {{low[i][j][0], low[i][j][1],
			high[i][j][0], high[i][j][1]}};

			out[i * out_stride + j] = sum32_add_lanes(&sum);
		}
}

static void
tile_f32(const float *a, size_t a_stride, int m, const float *b,
		 size_t b_stride, int n, int dim, float *out)
{
	const int	whole_m = m / TILE_A * TILE_A;
	const int	whole_n = n / TILE_B * TILE_B;

	for (int i = 0; i < whole_m; i += TILE_A)
		for (int j = 0; j < whole_n; j += TILE_B)
			tile_f32_part(a + i * a_stride, a_stride, b + j * b_stride, b_stride,
						  dim, out + (size_t) i * n + j, n);
	for (int i = 0; i < m; i++)
		for (int j = i < whole_m ? whole_n : 0; j < n; j++)
			out[(size_t) i * n + j] = pair_dot_f32(a + i * a_stride,
												   b + j * b_stride, dim);
}

#endif							/* VK_AVX2_SCAN_H */
