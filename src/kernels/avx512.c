/*-------------------------------------------------------------------------
 *
 * avx512.c
 *	  Kernels for AVX-512 with VNNI: Ice Lake, Zen 4 and later.
 *
 * NOTES
 *	  Written by hand where the compiler does worse: sums, scans, rows, tiles,
 *	  Hadamard, code trials.  Bounds and element-wise operations are the
 *	  templates, which gcc and clang turn into straight 16-lane code.
 *
 *	  Scans mask fields in place and let the accumulator of field k of b bits
 *	  collect 2^(bk) times its sum, shifted back at the end; that is exact, and
 *	  saves a shift a field and line.  Eight accumulators hide the latency of
 *	  VPDPBUSD (4-5 cycles, 1-2 a cycle).  Packed scan queries are the int8
 *	  query padded with zeros; packed rows hold, for each 64 bytes of a 4-bit
 *	  code, 64 even and then 64 odd dimensions.
 *
 * IDENTIFICATION
 *	  src/kernels/avx512.c
 *
 *-------------------------------------------------------------------------
 */
#include "isa.h"

#if defined(__x86_64__) && !defined(VK_NO_AVX512)

#include <immintrin.h>
#include <math.h>
#include <string.h>

static inline void
half_to_float_16(const uint16_t *h, float *f)
{
	_mm512_storeu_ps(f, _mm512_cvtph_ps(_mm256_loadu_si256((const void *) h)));
}

static inline uint32_t
mask_not_above(const float *lower, float threshold)
{
	return _mm512_cmp_ps_mask(_mm512_loadu_ps(lower),
							  _mm512_set1_ps(threshold), _CMP_NGT_UQ);
}

#include "template_bound.h"
#include "template_vector.h"

/* mask of the first n of 16 lanes, n clamped to 0 .. 16 */
static inline __mmask16
first_lanes(int n)
{
	return n >= 16 ? 0xffff : n <= 0 ? 0 : (__mmask16) ((1u << n) - 1);
}

static inline __mmask64
first_bytes(int n)
{
	return n >= 64 ? ~UINT64_C(0) : n <= 0 ? 0 : (UINT64_C(1) << n) - 1;
}

/* ---------- canonical sums ---------- */

/* lanes 0..15 and 16..31 */
static inline float
add_lanes(__m512 low, __m512 high)
{
	__m512		sum16 = _mm512_add_ps(low, high);
	__m256		sum8 = _mm256_add_ps(_mm512_castps512_ps256(sum16),
									 _mm512_extractf32x8_ps(sum16, 1));
	__m128		sum4 = _mm_add_ps(_mm256_castps256_ps128(sum8),
								  _mm256_extractf128_ps(sum8, 1));
	__m128		sum2 = _mm_add_ps(sum4, _mm_movehl_ps(sum4, sum4));

	return canonical_f32(_mm_cvtss_f32(_mm_add_ss(sum2,
												  _mm_movehdup_ps(sum2))));
}

/* the 32 double lanes of a canonical sum */
typedef struct Sum64
{
	__m512d		lane0;			/* 0 .. 7 */
	__m512d		lane8;
	__m512d		lane16;
	__m512d		lane24;
} Sum64;

static inline Sum64
sum64_zero(void)
{
	Sum64		sum;

	sum.lane0 = sum.lane8 = sum.lane16 = sum.lane24 = _mm512_setzero_pd();
	return sum;
}

static inline double
sum64_add_lanes(Sum64 sum)
{
	__m512d		sum8 = _mm512_add_pd(_mm512_add_pd(sum.lane0, sum.lane16),
									 _mm512_add_pd(sum.lane8, sum.lane24));
	__m256d		sum4 = _mm256_add_pd(_mm512_castpd512_pd256(sum8),
									 _mm512_extractf64x4_pd(sum8, 1));
	__m128d		sum2 = _mm_add_pd(_mm256_castpd256_pd128(sum4),
								  _mm256_extractf128_pd(sum4, 1));

	return canonical_f64(_mm_cvtsd_f64(_mm_add_sd(sum2,
												  _mm_unpackhi_pd(sum2, sum2))));
}

static inline __m512d
low_pd(__m512 x)
{
	return _mm512_cvtps_pd(_mm512_castps512_ps256(x));
}

static inline __m512d
high_pd(__m512 x)
{
	return _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
}

/* sum += a b, the products being exact in double; lanes 0-15, then 16-31 */
static inline void
sum64_add_products(Sum64 *sum, __m512 a0, __m512 b0, __m512 a1, __m512 b1)
{
	sum->lane0 = _mm512_fmadd_pd(low_pd(a0), low_pd(b0), sum->lane0);
	sum->lane8 = _mm512_fmadd_pd(high_pd(a0), high_pd(b0), sum->lane8);
	sum->lane16 = _mm512_fmadd_pd(low_pd(a1), low_pd(b1), sum->lane16);
	sum->lane24 = _mm512_fmadd_pd(high_pd(a1), high_pd(b1), sum->lane24);
}

static inline __m512d
add_square(__m512d sum, __m512d p, __m512d scale, __m512d c)
{
	__m512d		diff = _mm512_fnmadd_pd(scale, c, p);

	return _mm512_add_pd(sum, _mm512_mul_pd(diff, diff));
}

/* sum += (p - scale c)^2; scale c is exact, the square is not */
static inline void
sum64_add_errors(Sum64 *sum, __m512d scale, __m512 p0, __m512 c0, __m512 p1,
				 __m512 c1)
{
	sum->lane0 = add_square(sum->lane0, low_pd(p0), scale, low_pd(c0));
	sum->lane8 = add_square(sum->lane8, high_pd(p0), scale, high_pd(c0));
	sum->lane16 = add_square(sum->lane16, low_pd(p1), scale, low_pd(c1));
	sum->lane24 = add_square(sum->lane24, high_pd(p1), scale, high_pd(c1));
}

/* ---------- pairs ---------- */

static float
pair_l2_f32(const float *a, const float *b, int dim)
{
	__m512		sum0 = _mm512_setzero_ps();
	__m512		sum1 = _mm512_setzero_ps();
	int			i = 0;

	for (; i + 32 <= dim; i += 32)
	{
		__m512		diff0 = _mm512_sub_ps(_mm512_loadu_ps(a + i),
										  _mm512_loadu_ps(b + i));
		__m512		diff1 = _mm512_sub_ps(_mm512_loadu_ps(a + i + 16),
										  _mm512_loadu_ps(b + i + 16));

		sum0 = _mm512_fmadd_ps(diff0, diff0, sum0);
		sum1 = _mm512_fmadd_ps(diff1, diff1, sum1);
	}
	if (i < dim)
	{
		__mmask16	tail0 = first_bytes(dim - i);
		__mmask16	tail1 = first_lanes(dim - i - 16);
		__m512		diff0 = _mm512_sub_ps(_mm512_maskz_loadu_ps(tail0, a + i),
										  _mm512_maskz_loadu_ps(tail0, b + i));
		__m512		diff1 = _mm512_sub_ps(_mm512_maskz_loadu_ps(tail1, a + i + 16),
										  _mm512_maskz_loadu_ps(tail1, b + i + 16));

		sum0 = _mm512_fmadd_ps(diff0, diff0, sum0);
		sum1 = _mm512_fmadd_ps(diff1, diff1, sum1);
	}
	return add_lanes(sum0, sum1);
}

static float
pair_dot_f32(const float *a, const float *b, int dim)
{
	__m512		sum0 = _mm512_setzero_ps();
	__m512		sum1 = _mm512_setzero_ps();
	int			i = 0;

	for (; i + 32 <= dim; i += 32)
	{
		sum0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i),
							   _mm512_loadu_ps(b + i), sum0);
		sum1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16),
							   _mm512_loadu_ps(b + i + 16), sum1);
	}
	if (i < dim)
	{
		__mmask16	tail0 = first_bytes(dim - i);
		__mmask16	tail1 = first_lanes(dim - i - 16);

		sum0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(tail0, a + i),
							   _mm512_maskz_loadu_ps(tail0, b + i), sum0);
		sum1 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(tail1, a + i + 16),
							   _mm512_maskz_loadu_ps(tail1, b + i + 16), sum1);
	}
	return add_lanes(sum0, sum1);
}

/* |a - b| of 16 lanes; a constant full mask makes plain loads */
static inline __m512
distance_16(const float *a, const float *b, __mmask16 lanes)
{
	return _mm512_abs_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(lanes, a),
									   _mm512_maskz_loadu_ps(lanes, b)));
}

static float
pair_l1_f32(const float *a, const float *b, int dim)
{
	__m512		sum0 = _mm512_setzero_ps();
	__m512		sum1 = _mm512_setzero_ps();
	int			i = 0;

	for (; i + 32 <= dim; i += 32)
	{
		sum0 = _mm512_add_ps(sum0, distance_16(a + i, b + i, 0xffff));
		sum1 = _mm512_add_ps(sum1, distance_16(a + i + 16, b + i + 16, 0xffff));
	}
	if (i < dim)
	{
		sum0 = _mm512_add_ps(sum0, distance_16(a + i, b + i,
											   first_bytes(dim - i)));
		sum1 = _mm512_add_ps(sum1, distance_16(a + i + 16, b + i + 16,
											   first_lanes(dim - i - 16)));
	}
	return add_lanes(sum0, sum1);
}

/* 16 of the 32 lanes of the three sums of a cosine distance */
typedef struct Cosine16
{
	__m512		dot;
	__m512		a_norm;
	__m512		b_norm;
} Cosine16;

static inline Cosine16
add_cosine(Cosine16 sum, const float *a, const float *b, __mmask16 lanes)
{
	__m512		x = _mm512_maskz_loadu_ps(lanes, a);
	__m512		y = _mm512_maskz_loadu_ps(lanes, b);

	sum.dot = _mm512_fmadd_ps(x, y, sum.dot);
	sum.a_norm = _mm512_fmadd_ps(x, x, sum.a_norm);
	sum.b_norm = _mm512_fmadd_ps(y, y, sum.b_norm);
	return sum;
}

static void
pair_cosine_f32(const float *a, const float *b, int dim, float out[3])
{
	const __m512 zero = _mm512_setzero_ps();
	Cosine16	low = {zero, zero, zero};
	Cosine16	high = low;
	int			i = 0;

	for (; i + 32 <= dim; i += 32)
	{
		low = add_cosine(low, a + i, b + i, 0xffff);
		high = add_cosine(high, a + i + 16, b + i + 16, 0xffff);
	}
	if (i < dim)
	{
		low = add_cosine(low, a + i, b + i, first_bytes(dim - i));
		high = add_cosine(high, a + i + 16, b + i + 16,
						  first_lanes(dim - i - 16));
	}
	out[0] = add_lanes(low.dot, high.dot);
	out[1] = add_lanes(low.a_norm, high.a_norm);
	out[2] = add_lanes(low.b_norm, high.b_norm);
}

static inline __m512d
load_wide(const float *p)
{
	return _mm512_cvtps_pd(_mm256_loadu_ps(p));
}

static double
pair_dot_f64(const float *a, const float *b, int dim)
{
	Sum64		sum = sum64_zero();
	int			i = 0;

	for (; i + 32 <= dim; i += 32)
	{
		sum.lane0 = _mm512_fmadd_pd(load_wide(a + i), load_wide(b + i),
									sum.lane0);
		sum.lane8 = _mm512_fmadd_pd(load_wide(a + i + 8), load_wide(b + i + 8),
									sum.lane8);
		sum.lane16 = _mm512_fmadd_pd(load_wide(a + i + 16),
									 load_wide(b + i + 16), sum.lane16);
		sum.lane24 = _mm512_fmadd_pd(load_wide(a + i + 24),
									 load_wide(b + i + 24), sum.lane24);
	}
	if (i < dim)
	{
		__mmask16	tail0 = first_bytes(dim - i);
		__mmask16	tail1 = first_lanes(dim - i - 16);

		sum64_add_products(&sum,
						   _mm512_maskz_loadu_ps(tail0, a + i),
						   _mm512_maskz_loadu_ps(tail0, b + i),
						   _mm512_maskz_loadu_ps(tail1, a + i + 16),
						   _mm512_maskz_loadu_ps(tail1, b + i + 16));
	}
	return sum64_add_lanes(sum);
}

/* ---------- scans ---------- */

static void
pack_scan(const int8_t *query, int dim, void *packed)
{
	int			padded = (dim + 31) / 32 * 32;

	memcpy(packed, query, dim);
	memset((int8_t *) packed + dim, 0, padded - dim);
}

static inline __m512i
broadcast_dword(const int8_t *query)
{
	int32_t		dword;

	memcpy(&dword, query, sizeof(dword));
	return _mm512_set1_epi32(dword);
}

/* sum += field i (counted over lines) of the code times its query dword */
static inline __m512i
scan_field(__m512i sum, const int8_t *query, const uint8_t *code, int bits,
		   int i)
{
	int			fields = 8 / bits;
	int			mask = ((1 << bits) - 1) << (bits * (i % fields));
	__m512i		line = _mm512_loadu_si512(code + VK_LINE_SIZE * (i / fields));

	if (bits < 8)
		line = _mm512_and_si512(line, _mm512_set1_epi8((char) mask));
	return _mm512_dpbusd_epi32(sum, line, broadcast_dword(query + 4 * i));
}

static inline __m512i
field_sum(__m512i sum, int bits, int i)
{
	return _mm512_srai_epi32(sum, bits * (i % (8 / bits)));
}

/* eight fields a step: one line of 1-bit codes, 2 of 2, 4 of 4, 8 of 8 bits */
static inline void
scan_int(const void *packed, int first_line, const uint8_t *code, int lines,
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
		sum0 = scan_field(sum0, query, code, bits, 0);
		sum1 = scan_field(sum1, query, code, bits, 1);
		sum2 = scan_field(sum2, query, code, bits, 2);
		sum3 = scan_field(sum3, query, code, bits, 3);
		sum4 = scan_field(sum4, query, code, bits, 4);
		sum5 = scan_field(sum5, query, code, bits, 5);
		sum6 = scan_field(sum6, query, code, bits, 6);
		sum7 = scan_field(sum7, query, code, bits, 7);
		query += 32;
		code += VK_LINE_SIZE * bits;
	}
	for (; lines > 0; lines--)
	{
		sum0 = scan_field(sum0, query, code, bits, 0);
		if (bits <= 4)
			sum1 = scan_field(sum1, query, code, bits, 1);
		if (bits <= 2)
		{
			sum2 = scan_field(sum2, query, code, bits, 2);
			sum3 = scan_field(sum3, query, code, bits, 3);
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

static void
scan_b8(const void *packed, int first_line, const uint8_t *code, int lines,
		VkDots *dots)
{
	scan_int(packed, first_line, code, lines, dots, 8);
}

static void
scan_f16(const float *query, int first_line, const uint8_t *code, int lines,
		 VkDots *dots)
{
	__m512		sum = _mm512_loadu_ps(dots->f);
	const __m512i low_half = _mm512_set1_epi32(0xffff);

	query += 2 * first_line;
	for (int line = 0; line < lines; line++)
	{
		__m512i		pairs = _mm512_loadu_si512(code + VK_LINE_SIZE * line);
		__m256i		even = _mm512_cvtepi32_epi16(_mm512_and_si512(pairs, low_half));
		__m256i		odd = _mm512_cvtepi32_epi16(_mm512_srli_epi32(pairs, 16));

		sum = _mm512_fmadd_ps(_mm512_set1_ps(query[2 * line]),
							  _mm512_cvtph_ps(even), sum);
		sum = _mm512_fmadd_ps(_mm512_set1_ps(query[2 * line + 1]),
							  _mm512_cvtph_ps(odd), sum);
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
							  _mm512_loadu_ps((const void *) (code + VK_LINE_SIZE * line)),
							  sum);
	_mm512_storeu_ps(dots->f, sum);
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

#include "avx512_tile.h"
#include "avx512_vector.h"

/* ---------- the table ---------- */

const bool	vk_avx512_built = true;

void
vk_avx512_fill(VkKernels *kernels, uint64_t cpu_features)
{
	(void) cpu_features;

	kernels->pair_l2_f32 = pair_l2_f32;
	kernels->pair_dot_f32 = pair_dot_f32;
	kernels->pair_l1_f32 = pair_l1_f32;
	kernels->pair_cosine_f32 = pair_cosine_f32;
	kernels->pair_dot_f64 = pair_dot_f64;
	for (int format = 0; format < VK_INT_FORMATS; format++)
		kernels->pack_query[format] = pack_scan;
	kernels->scan[VK_FORMAT_B1] = scan_b1;
	kernels->scan[VK_FORMAT_B2] = scan_b2;
	kernels->scan[VK_FORMAT_B4] = scan_b4;
	kernels->scan[VK_FORMAT_B8] = scan_b8;
	kernels->scan_float[0] = scan_f16;
	kernels->scan_float[1] = scan_f32;
	kernels->pack_row[0] = pack_row_b4;
	kernels->pack_row[1] = pack_row_b8;
	kernels->row[0] = row_b4;
	kernels->row[1] = row_b8;
	kernels->tile_i8 = tile_i8;
	kernels->tile_f32 = tile_f32;
	kernels->nearest = template_nearest;
	kernels->bound_flat = template_bound_flat;
	kernels->bound_list = template_bound_list;
	kernels->bound_list_proven = template_bound_list_proven;
	kernels->hadamard = hadamard;
	kernels->subtract_code = template_subtract_code;
	kernels->subtract = template_subtract;
	kernels->quantize_i8 = quantize_i8;
	kernels->code_trial = code_trial;
	kernels->code_error2 = code_error2;
	kernels->half_to_float = half_to_float;
	kernels->float_to_half = float_to_half;
}

#else

const bool	vk_avx512_built = false;

void
vk_avx512_fill(VkKernels *kernels, uint64_t cpu_features)
{
	(void) kernels;
	(void) cpu_features;
}

#endif
