/*-------------------------------------------------------------------------
 *
 * avx512_scan.h
 *	  Part of avx512.c: one query against lines or a row.
 *
 * NOTES
 *	  Scans mask fields in place and let the accumulator of field k of b bits
 *	  collect 2^(bk) times its sum, shifted back at the end; that is exact, and
 *	  saves a shift a field and line.  Eight accumulators hide the latency of
 *	  VPDPBUSD (4-5 cycles, 1-2 a cycle).  1-bit codes usually go another way:
 *	  avx512_bits.h.
 *
 *	  Nothing is prefetched here: callers know where a scan goes on, and the
 *	  hardware follows lines as well as software does (Zen 4: prefetching 0.5
 *	  to 4 KB ahead slows scans from memory by a tenth).
 *
 * IDENTIFICATION
 *	  src/kernels/avx512_scan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AVX512_SCAN_H
#define VK_AVX512_SCAN_H

static void
pack_plain(const int8_t *query, int dim, void *packed)
{
	memset((int8_t *) packed + dim / 32 * 32, 0,
		   VK_ROUND_UP(dim, 32) - dim / 32 * 32);
	memcpy(packed, query, dim);
}

static inline __m512i
broadcast_dword(const void *query)
{
	int32_t		dword;

	memcpy(&dword, query, sizeof(dword));
	return _mm512_set1_epi32(dword);
}

/* in a register: gcc loads a line again for each of its fields otherwise */
static inline __attribute__((always_inline)) __m512i
load_once(const uint8_t *code)
{
	__m512i		line = _mm512_loadu_si512(code);

	__asm__("" : "+v"(line));
	return line;
}

/* sum += field i (counted over lines) of the code times its query dword */
static inline __attribute__((always_inline)) __m512i
scan_field(__m512i sum, const int8_t *query, const __m512i *lines, int bits,
		   int i)
{
	int			fields = 8 / bits;
	int			mask = ((1 << bits) - 1) << (bits * (i % fields));
	__m512i		line = lines[i / fields];

	if (bits < 8)
		line = _mm512_and_si512(line, _mm512_set1_epi8((char) mask));
	return _mm512_dpbusd_epi32(sum, line, broadcast_dword(query + 4 * i));
}

static inline __attribute__((always_inline)) __m512i
field_sum(__m512i sum, int bits, int i)
{
	return _mm512_srai_epi32(sum, bits * (i % (8 / bits)));
}

/*
 * Eight fields a step: one line of 1-bit codes, 2 of 2, 4 of 4, 8 of 8 bits.
 * bits is a constant where this inlines.
 */
static inline __attribute__((always_inline)) void
scan_masks(const void *packed, int first_line, const uint8_t *code, int lines,
		   VkDots *dots, int bits)
{
	int			line_query = 32 / bits;
	const int8_t *query = (const int8_t *) packed + first_line * line_query;
	__m512i		sum0 = _mm512_setzero_si512();
	__m512i		sum1 = sum0;
	__m512i		sum2 = sum0;
	__m512i		sum3 = sum0;
	__m512i		sum4 = sum0;
	__m512i		sum5 = sum0;
	__m512i		sum6 = sum0;
	__m512i		sum7 = sum0;

	for (; lines >= bits; lines -= bits)
	{
		__m512i		line[8];

		for (int i = 0; i < bits; i++)
			line[i] = load_once(code + VK_LINE_SIZE * i);
		sum0 = scan_field(sum0, query, line, bits, 0);
		sum1 = scan_field(sum1, query, line, bits, 1);
		sum2 = scan_field(sum2, query, line, bits, 2);
		sum3 = scan_field(sum3, query, line, bits, 3);
		sum4 = scan_field(sum4, query, line, bits, 4);
		sum5 = scan_field(sum5, query, line, bits, 5);
		sum6 = scan_field(sum6, query, line, bits, 6);
		sum7 = scan_field(sum7, query, line, bits, 7);
		query += 32;
		code += VK_LINE_SIZE * bits;
	}
	for (; lines > 0; lines--)
	{
		const __m512i line[1] = {load_once(code)};

		sum0 = scan_field(sum0, query, line, bits, 0);
		if (bits <= 4)
			sum1 = scan_field(sum1, query, line, bits, 1);
		if (bits <= 2)
		{
			sum2 = scan_field(sum2, query, line, bits, 2);
			sum3 = scan_field(sum3, query, line, bits, 3);
		}
		query += line_query;
		code += VK_LINE_SIZE;
	}

	sum0 = _mm512_add_epi32(sum0, field_sum(sum1, bits, 1));
	sum2 = _mm512_add_epi32(field_sum(sum2, bits, 2), field_sum(sum3, bits, 3));
	sum4 = _mm512_add_epi32(field_sum(sum4, bits, 4), field_sum(sum5, bits, 5));
	sum6 = _mm512_add_epi32(field_sum(sum6, bits, 6), field_sum(sum7, bits, 7));
	sum0 = _mm512_add_epi32(_mm512_add_epi32(sum0, sum2),
							_mm512_add_epi32(sum4, sum6));
	_mm512_storeu_si512(dots->i, _mm512_add_epi32(sum0,
												  _mm512_loadu_si512(dots->i)));
}

static void
scan_b2(const void *packed, int first_line, const uint8_t *code, int lines,
		VkDots *dots)
{
	scan_masks(packed, first_line, code, lines, dots, 2);
}

static void
scan_b4(const void *packed, int first_line, const uint8_t *code, int lines,
		VkDots *dots)
{
	scan_masks(packed, first_line, code, lines, dots, 4);
}

static void
scan_b8(const void *packed, int first_line, const uint8_t *code, int lines,
		VkDots *dots)
{
	scan_masks(packed, first_line, code, lines, dots, 8);
}

/* ---------- float codes: their order leaves one chain of additions ---------- */

static void
scan_f16(const float *query, int first_line, const uint8_t *code, int lines,
		 VkDots *dots)
{
	__m512		sum = _mm512_loadu_ps(dots->f);
	const __m512i low_half = _mm512_set1_epi32(0xffff);

	query += 2 * (size_t) first_line;
	for (int line = 0; line < lines; line++)
	{
		__m512i		pairs = _mm512_loadu_si512(code + VK_LINE_SIZE * (size_t) line);
		__m256i		even = _mm512_cvtepi32_epi16(_mm512_and_si512(pairs, low_half));
		__m256i		odd = _mm512_cvtepi32_epi16(_mm512_srli_epi32(pairs, 16));

		sum = _mm512_fmadd_ps(_mm512_set1_ps(query[2 * line]),
							  _mm512_cvtph_ps(even), sum);
		sum = _mm512_fmadd_ps(_mm512_set1_ps(query[2 * line + 1]),
							  _mm512_cvtph_ps(odd), sum);
	}
	_mm512_storeu_ps(dots->f, sum);
}

/* pairs of bfloat16 as floats: the low ones, the high ones */
static inline __m512
low_bf16(__m512i pairs)
{
	return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
}

static inline __m512
high_bf16(__m512i pairs)
{
	return _mm512_castsi512_ps(_mm512_and_si512(pairs,
												_mm512_set1_epi32((int) 0xffff0000)));
}

static void
scan_bf16(const float *query, int first_line, const uint8_t *code, int lines,
		  VkDots *dots)
{
	__m512		sum = _mm512_loadu_ps(dots->f);

	query += 2 * (size_t) first_line;
	for (int line = 0; line < lines; line++)
	{
		__m512i		pairs = _mm512_loadu_si512(code + VK_LINE_SIZE * (size_t) line);

		sum = _mm512_fmadd_ps(_mm512_set1_ps(query[2 * line]), low_bf16(pairs),
							  sum);
		sum = _mm512_fmadd_ps(_mm512_set1_ps(query[2 * line + 1]),
							  high_bf16(pairs), sum);
	}
	_mm512_storeu_ps(dots->f, sum);
}

static void
scan_f32(const float *query, int first_line, const uint8_t *code, int lines,
		 VkDots *dots)
{
	__m512		sum = _mm512_loadu_ps(dots->f);

	query += first_line;
	for (int line = 0; line < lines; line++)
		sum = _mm512_fmadd_ps(_mm512_set1_ps(query[line]),
							  _mm512_loadu_ps(code + VK_LINE_SIZE * (size_t) line),
							  sum);
	_mm512_storeu_ps(dots->f, sum);
}

/* ---------- scans of bytes ---------- */

/* what a line and the query's four bytes for it add to the lanes */
typedef __m512i (*AddLine) (__m512i sum, __m512i query, __m512i line);

static inline __m512i
add_distances(__m512i sum, __m512i query, __m512i line)
{
	__m512i		distance = _mm512_or_si512(_mm512_subs_epu8(query, line),
										   _mm512_subs_epu8(line, query));

	return _mm512_dpbusd_epi32(sum, distance, _mm512_set1_epi8(1));
}

static inline __m512i
add_different_bits(__m512i sum, __m512i query, __m512i line)
{
	return _mm512_add_epi32(sum, _mm512_popcnt_epi32(_mm512_xor_si512(query,
																	  line)));
}

static inline __m512i
add_common_bits(__m512i sum, __m512i query, __m512i line)
{
	return _mm512_add_epi32(sum, _mm512_popcnt_epi32(_mm512_and_si512(query,
																	  line)));
}

/* add is a constant where this inlines */
static inline __attribute__((always_inline)) void
scan_bytes(AddLine add, const uint8_t *query, int first_line,
		   const uint8_t *code, int lines, VkDots *dots)
{
	__m512i		even = _mm512_loadu_si512(dots->i);
	__m512i		odd = _mm512_setzero_si512();

	query += 4 * (size_t) first_line;
	for (; lines >= 2; lines -= 2)
	{
		even = add(even, broadcast_dword(query), _mm512_loadu_si512(code));
		odd = add(odd, broadcast_dword(query + 4),
				  _mm512_loadu_si512(code + VK_LINE_SIZE));
		query += 8;
		code += 2 * VK_LINE_SIZE;
	}
	if (lines > 0)
		even = add(even, broadcast_dword(query), _mm512_loadu_si512(code));
	_mm512_storeu_si512(dots->i, _mm512_add_epi32(even, odd));
}

static void
scan_l1(const uint8_t *query, int first_line, const uint8_t *code, int lines,
		VkDots *dots)
{
	scan_bytes(add_distances, query, first_line, code, lines, dots);
}

static void
scan_hamming(const uint8_t *query, int first_line, const uint8_t *code,
			 int lines, VkDots *dots)
{
	scan_bytes(add_different_bits, query, first_line, code, lines, dots);
}

static void
scan_common(const uint8_t *query, int first_line, const uint8_t *code,
			int lines, VkDots *dots)
{
	scan_bytes(add_common_bits, query, first_line, code, lines, dots);
}

/* ---------- rows ---------- */

/* even dimensions of 128, then odd ones: two byte permutations of two loads */
static void
pack_row_b4(const int8_t *query, int dim, void *packed)
{
	int8_t	   *out = packed;
	/* 0, 2, 4 .. 126 */
	const __m512i even = _mm512_add_epi8(_mm512_set1_epi64(0x0e0c0a0806040200),
										 _mm512_setr_epi64(0x0000000000000000,
														   0x1010101010101010,
														   0x2020202020202020,
														   0x3030303030303030,
														   0x4040404040404040,
														   0x5050505050505050,
														   0x6060606060606060,
														   0x7070707070707070));
	const __m512i odd = _mm512_or_si512(even, _mm512_set1_epi8(1));

	for (int i = 0; i < dim; i += 128)
	{
		__m512i		low = _mm512_maskz_loadu_epi8(first_bytes(dim - i), query + i);
		__m512i		high = _mm512_maskz_loadu_epi8(first_bytes(dim - i - 64),
												   query + i + 64);

		_mm512_storeu_si512(out + i, _mm512_permutex2var_epi8(low, even, high));
		_mm512_storeu_si512(out + i + 64,
							_mm512_permutex2var_epi8(low, odd, high));
	}
}

static void
pack_row_b8(const int8_t *query, int dim, void *packed)
{
	memset((int8_t *) packed + dim / 64 * 64, 0, (dim + 63) / 64 * 64 - dim / 64 * 64);
	memcpy(packed, query, dim);
}

static int32_t
row_b4(const void *packed, const uint8_t *code, int dim)
{
	const int8_t *query = packed;
	const __m512i low = _mm512_set1_epi8(0x0f);
	const __m512i high = _mm512_set1_epi8((char) 0xf0);
	__m512i		even = _mm512_setzero_si512();
	__m512i		odd = even;
	int			bytes = (dim + 1) / 2;

	for (int i = 0; i < bytes; i += 64)
	{
		__m512i		line = _mm512_maskz_loadu_epi8(first_bytes(bytes - i), code + i);

		even = _mm512_dpbusd_epi32(even, _mm512_and_si512(line, low),
								   _mm512_loadu_si512(query + 2 * i));
		odd = _mm512_dpbusd_epi32(odd, _mm512_and_si512(line, high),
								  _mm512_loadu_si512(query + 2 * i + 64));
	}
	return _mm512_reduce_add_epi32(_mm512_add_epi32(even,
													_mm512_srai_epi32(odd, 4)));
}

static int32_t
row_b8(const void *packed, const uint8_t *code, int dim)
{
	const int8_t *query = packed;
	__m512i		sum0 = _mm512_setzero_si512();
	__m512i		sum1 = sum0;
	int			i = 0;

	for (; i + 128 <= dim; i += 128)
	{
		sum0 = _mm512_dpbusd_epi32(sum0, _mm512_loadu_si512(code + i),
								   _mm512_loadu_si512(query + i));
		sum1 = _mm512_dpbusd_epi32(sum1, _mm512_loadu_si512(code + i + 64),
								   _mm512_loadu_si512(query + i + 64));
	}
	for (; i < dim; i += 64)
		sum0 = _mm512_dpbusd_epi32(sum0,
								   _mm512_maskz_loadu_epi8(first_bytes(dim - i), code + i),
								   _mm512_loadu_si512(query + i));
	return _mm512_reduce_add_epi32(_mm512_add_epi32(sum0, sum1));
}

#endif							/* VK_AVX512_SCAN_H */
