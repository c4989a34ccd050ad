/*-------------------------------------------------------------------------
 *
 * avx2_scan.h
 *	  Part of avx2.c: one query against lines or a row.
 *
 * IDENTIFICATION
 *	  src/kernels/avx2_scan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AVX2_SCAN_H
#define VK_AVX2_SCAN_H

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

/* 8 lanes' pairs of bfloat16 */
static inline __m256
add_bf16_pairs(__m256 sum, const uint8_t *code, const float *query)
{
	__m256i		pairs = load_bytes(code);

	sum = _mm256_fmadd_ps(_mm256_set1_ps(query[0]), low_bf16(pairs), sum);
	return _mm256_fmadd_ps(_mm256_set1_ps(query[1]), high_bf16(pairs), sum);
}

static void
scan_bf16(const float *query, int first_line, const uint8_t *code, int lines,
		  VkDots *dots)
{
	__m256		low = _mm256_loadu_ps(dots->f);
	__m256		high = _mm256_loadu_ps(dots->f + 8);

	query += 2 * (size_t) first_line;
	for (int line = 0; line < lines; line++)
	{
		low = add_bf16_pairs(low, code, query);
		high = add_bf16_pairs(high, code + 32, query);
		query += 2;
		code += VK_LINE_SIZE;
	}
	_mm256_storeu_ps(dots->f, low);
	_mm256_storeu_ps(dots->f + 8, high);
}

/* ---------- scans of bytes ---------- */

/* what query and line give in each byte */
typedef __m256i (*CompareBytes) (__m256i query, __m256i line);

static inline __m256i
bytes_distance(__m256i query, __m256i line)
{
	return _mm256_or_si256(_mm256_subs_epu8(query, line),
						   _mm256_subs_epu8(line, query));
}

static inline __m256i
bytes_differ(__m256i query, __m256i line)
{
	return count_bits(_mm256_xor_si256(query, line));
}

static inline __m256i
bytes_common(__m256i query, __m256i line)
{
	return count_bits(_mm256_and_si256(query, line));
}

/* sum += the four bytes of each lane */
static inline __m256i
add_four_bytes(__m256i sum, __m256i bytes)
{
	__m256i		pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1));

	return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* compare is a constant where this inlines */
static inline __attribute__((always_inline)) void
scan_bytes(CompareBytes compare, const uint8_t *query, int first_line,
		   const uint8_t *code, int lines, VkDots *dots)
{
	__m256i		low = load_bytes(dots->i);
	__m256i		high = load_bytes(dots->i + 8);

	query += 4 * (size_t) first_line;
	for (int line = 0; line < lines; line++)
	{
		__m256i		own = broadcast_dword(query);

		low = add_four_bytes(low, compare(own, load_bytes(code)));
		high = add_four_bytes(high, compare(own, load_bytes(code + 32)));
		query += 4;
		code += VK_LINE_SIZE;
	}
	_mm256_storeu_si256((void *) dots->i, low);
	_mm256_storeu_si256((void *) (dots->i + 8), high);
}

static void
scan_l1(const uint8_t *query, int first_line, const uint8_t *code, int lines,
		VkDots *dots)
{
	scan_bytes(bytes_distance, query, first_line, code, lines, dots);
}

static void
scan_hamming(const uint8_t *query, int first_line, const uint8_t *code,
			 int lines, VkDots *dots)
{
	scan_bytes(bytes_differ, query, first_line, code, lines, dots);
}

static void
scan_common(const uint8_t *query, int first_line, const uint8_t *code,
			int lines, VkDots *dots)
{
	scan_bytes(bytes_common, query, first_line, code, lines, dots);
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

/* ---------- AVX-VNNI: no widening ---------- */

/*
 * Eight accumulators, which hide the latency of VPDPBUSD: both halves of bits / 2
 * lines.  Fields are masked in place, as 2^(bits field) times what they are,
 * which is exact.  i counts halves, then fields, then lines.
 */
static inline __attribute__((always_inline, target("avxvnni"))) __m256i
add_field_vnni(__m256i sum, const int8_t *query, const uint8_t *code, int bits,
			   int i)
{
	const int	fields = 8 / bits;
	const int	mask = ((1 << bits) - 1) << (bits * (i / 2 % fields));
	__m256i		u = load_bytes(code + VK_LINE_SIZE * (i / 2 / fields) +
							   32 * (i % 2));

	if (bits < 8)
		u = _mm256_and_si256(u, _mm256_set1_epi8((char) mask));
	return _mm256_dpbusd_avx_epi32(sum, u, broadcast_dword(query + 4 * (i / 2)));
}

/* bits is a constant from 2 on where it inlines */
static inline __attribute__((always_inline, target("avxvnni"))) void
scan_vnni(const void *packed, int first_line, const uint8_t *code, int lines,
		  VkDots *dots, int bits)
{
	const int8_t *query = (const int8_t *) packed + (size_t) first_line * (32 / bits);
	const int	fields = 8 / bits;
	const int	step = bits / 2;
	__m256i		sum[8];
	__m256i		total[2] = {load_bytes(dots->i), load_bytes(dots->i + 8)};

	for (int i = 0; i < 8; i++)
		sum[i] = _mm256_setzero_si256();
	for (; lines >= step; lines -= step, query += 16, code += VK_LINE_SIZE * step)
		for (int i = 0; i < 8; i++)
			sum[i] = add_field_vnni(sum[i], query, code, bits, i);
	for (; lines > 0; lines--, query += 32 / bits, code += VK_LINE_SIZE)
		for (int i = 0; i < 2 * fields; i++)
			sum[i] = add_field_vnni(sum[i], query, code, bits, i);
	for (int i = 0; i < 8; i++)
		total[i % 2] = _mm256_add_epi32(total[i % 2],
										_mm256_srai_epi32(sum[i],
														  bits * (i / 2 % fields)));
	_mm256_storeu_si256((void *) dots->i, total[0]);
	_mm256_storeu_si256((void *) (dots->i + 8), total[1]);
}

#define DEFINE_SCAN_VNNI(name, bits) \
static __attribute__((target("avxvnni"))) void \
name(const void *packed, int first_line, const uint8_t *code, int lines, \
	 VkDots *dots) \
{ \
	scan_vnni(packed, first_line, code, lines, dots, bits); \
}

DEFINE_SCAN_VNNI(scan_b2_vnni, 2)
DEFINE_SCAN_VNNI(scan_b4_vnni, 4)
DEFINE_SCAN_VNNI(scan_b8_vnni, 8)

static __attribute__((target("avxvnni"))) int32_t
row_b8_vnni(const void *packed, const uint8_t *code, int dim)
{
	const int8_t *query = packed;
	__m256i		sum = _mm256_setzero_si256();

	for (int i = 0; i < dim; i += 32)
		sum = _mm256_dpbusd_avx_epi32(sum, load_32_bytes(code, i, dim),
									  load_bytes(query + i));
	return add_int_lanes(sum);
}

#endif							/* VK_AVX2_SCAN_H */
