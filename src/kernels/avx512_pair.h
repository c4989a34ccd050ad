/*-------------------------------------------------------------------------
 *
 * avx512_pair.h
 *	  Part of avx512.c: sums over two vectors.
 *
 * NOTES
 *	  Float elements are widened as they are loaded, so one loop serves all
 *	  three types.  Bytes: VPDPBUSD multiplies unsigned by signed, so one
 *	  operand x is taken as x + 128 (its top bit flipped) and 128 times the
 *	  sum of the other is subtracted; a distance d of bytes is unsigned, and
 *	  d^2 = d (d - 128) + 128 d.
 *
 * IDENTIFICATION
 *	  src/kernels/avx512_pair.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AVX512_PAIR_H
#define VK_AVX512_PAIR_H

/* what a pair of elements adds to a sum */
typedef enum PairTerm
{
	TERM_L2,
	TERM_DOT,
	TERM_L1
} PairTerm;

/*
 * Elements i .. i + 15 as floats, zeros where lanes has none.  element is a
 * constant where this inlines, and a constant full mask makes plain loads.
 */
static inline __attribute__((always_inline)) __m512
load_16_lanes(VkElement element, const void *vector, size_t i, __mmask16 lanes)
{
	__m256i		bits;

	if (element == VK_F32)
		return _mm512_maskz_loadu_ps(lanes, (const float *) vector + i);
	bits = _mm256_maskz_loadu_epi16(lanes, (const uint16_t *) vector + i);
	if (element == VK_F16)
		return _mm512_cvtph_ps(bits);
	return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

static inline __attribute__((always_inline)) __m512
add_term(PairTerm term, __m512 sum, __m512 x, __m512 y)
{
	__m512		diff;

	if (term == TERM_DOT)
		return _mm512_fmadd_ps(x, y, sum);
	diff = _mm512_sub_ps(x, y);
	return term == TERM_L2 ? _mm512_fmadd_ps(diff, diff, sum) :
		_mm512_add_ps(sum, _mm512_abs_ps(diff));
}

static inline __attribute__((always_inline)) double
pair_sum(PairTerm term, VkElement element, const void *a, const void *b,
		 int dim)
{
	__m512		low = _mm512_setzero_ps();
	__m512		high = low;
	int			i = 0;

	for (; i + 32 <= dim; i += 32)
	{
		low = add_term(term, low, load_16_lanes(element, a, i, 0xffff),
					   load_16_lanes(element, b, i, 0xffff));
		high = add_term(term, high, load_16_lanes(element, a, i + 16, 0xffff),
						load_16_lanes(element, b, i + 16, 0xffff));
	}
	if (i < dim)
	{
		__mmask16	lanes0 = first_lanes(dim - i);
		__mmask16	lanes1 = first_lanes(dim - i - 16);

		low = add_term(term, low, load_16_lanes(element, a, i, lanes0),
					   load_16_lanes(element, b, i, lanes0));
		high = add_term(term, high, load_16_lanes(element, a, i + 16, lanes1),
						load_16_lanes(element, b, i + 16, lanes1));
	}
	return add_lanes(low, high);
}

/* 16 of the 32 lanes of the three sums of a cosine distance */
typedef struct Cosine16
{
	__m512		dot;
	__m512		a_norm;
	__m512		b_norm;
} Cosine16;

static inline __attribute__((always_inline)) Cosine16
add_cosine(Cosine16 sum, VkElement element, const void *a, const void *b,
		   int i, __mmask16 lanes)
{
	__m512		x = load_16_lanes(element, a, i, lanes);
	__m512		y = load_16_lanes(element, b, i, lanes);

	sum.dot = _mm512_fmadd_ps(x, y, sum.dot);
	sum.a_norm = _mm512_fmadd_ps(x, x, sum.a_norm);
	sum.b_norm = _mm512_fmadd_ps(y, y, sum.b_norm);
	return sum;
}

static inline __attribute__((always_inline)) void
pair_cosine(VkElement element, const void *a, const void *b, int dim,
			double out[3])
{
	const __m512 zero = _mm512_setzero_ps();
	Cosine16	low = {zero, zero, zero};
	Cosine16	high = low;
	int			i = 0;

	for (; i + 32 <= dim; i += 32)
	{
		low = add_cosine(low, element, a, b, i, 0xffff);
		high = add_cosine(high, element, a, b, i + 16, 0xffff);
	}
	if (i < dim)
	{
		low = add_cosine(low, element, a, b, i, first_lanes(dim - i));
		high = add_cosine(high, element, a, b, i + 16,
						  first_lanes(dim - i - 16));
	}
	out[0] = add_lanes(low.dot, high.dot);
	out[1] = add_lanes(low.a_norm, high.a_norm);
	out[2] = add_lanes(low.b_norm, high.b_norm);
}

#define DEFINE_PAIRS(name, element) \
static double \
pair_l2_##name(const void *a, const void *b, int dim) \
{ \
	return pair_sum(TERM_L2, element, a, b, dim); \
} \
static double \
pair_dot_##name(const void *a, const void *b, int dim) \
{ \
	return pair_sum(TERM_DOT, element, a, b, dim); \
} \
static double \
pair_l1_##name(const void *a, const void *b, int dim) \
{ \
	return pair_sum(TERM_L1, element, a, b, dim); \
} \
static void \
pair_cosine_##name(const void *a, const void *b, int dim, double out[3]) \
{ \
	pair_cosine(element, a, b, dim, out); \
}

DEFINE_PAIRS(f32, VK_F32)
DEFINE_PAIRS(f16, VK_F16)
DEFINE_PAIRS(bf16, VK_BF16)

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
		__mmask16	tail0 = first_lanes(dim - i);
		__mmask16	tail1 = first_lanes(dim - i - 16);

		sum64_add_products(&sum,
						   _mm512_maskz_loadu_ps(tail0, a + i),
						   _mm512_maskz_loadu_ps(tail0, b + i),
						   _mm512_maskz_loadu_ps(tail1, a + i + 16),
						   _mm512_maskz_loadu_ps(tail1, b + i + 16));
	}
	return sum64_add_lanes(sum);
}

/* ---------- bytes ---------- */

static inline __m512i
flip_top_bits(__m512i x)
{
	return _mm512_xor_si512(x, _mm512_set1_epi8((char) 0x80));
}

/* |x - y| of signed bytes, unsigned */
static inline __m512i
byte_distances(__m512i x, __m512i y)
{
	return _mm512_sub_epi8(_mm512_max_epi8(x, y), _mm512_min_epi8(x, y));
}

static inline __m512i
load_bytes(const void *vector, int i, int dim)
{
	return _mm512_maskz_loadu_epi8(first_bytes(dim - i),
								   (const int8_t *) vector + i);
}

static double
pair_l2_i8(const void *a, const void *b, int dim)
{
	const __m512i ones = _mm512_set1_epi8(1);
	__m512i		squares = _mm512_setzero_si512();
	__m512i		sum = squares;

	for (int i = 0; i < dim; i += 64)
	{
		__m512i		distance = byte_distances(load_bytes(a, i, dim),
											  load_bytes(b, i, dim));

		squares = _mm512_dpbusd_epi32(squares, distance, flip_top_bits(distance));
		sum = _mm512_dpbusd_epi32(sum, distance, ones);
	}
	return _mm512_reduce_add_epi32(squares) + 128 * _mm512_reduce_add_epi32(sum);
}

static double
pair_l1_i8(const void *a, const void *b, int dim)
{
	const __m512i ones = _mm512_set1_epi8(1);
	__m512i		sum = _mm512_setzero_si512();

	for (int i = 0; i < dim; i += 64)
		sum = _mm512_dpbusd_epi32(sum, byte_distances(load_bytes(a, i, dim),
													  load_bytes(b, i, dim)),
								  ones);
	return _mm512_reduce_add_epi32(sum);
}

static double
pair_dot_i8(const void *a, const void *b, int dim)
{
	const __m512i ones = _mm512_set1_epi8(1);
	__m512i		dot = _mm512_setzero_si512();
	__m512i		b_sum = dot;

	for (int i = 0; i < dim; i += 64)
	{
		__m512i		y = load_bytes(b, i, dim);

		dot = _mm512_dpbusd_epi32(dot, flip_top_bits(load_bytes(a, i, dim)), y);
		b_sum = _mm512_dpbusd_epi32(b_sum, ones, y);
	}
	return _mm512_reduce_add_epi32(dot) - 128 * _mm512_reduce_add_epi32(b_sum);
}

static void
pair_cosine_i8(const void *a, const void *b, int dim, double out[3])
{
	const __m512i ones = _mm512_set1_epi8(1);
	const __m512i zero = _mm512_setzero_si512();
	__m512i		dot = zero;
	__m512i		a_norm = zero;
	__m512i		b_norm = zero;
	__m512i		a_sum = zero;
	__m512i		b_sum = zero;

	for (int i = 0; i < dim; i += 64)
	{
		__m512i		x = load_bytes(a, i, dim);
		__m512i		y = load_bytes(b, i, dim);

		dot = _mm512_dpbusd_epi32(dot, flip_top_bits(x), y);
		a_norm = _mm512_dpbusd_epi32(a_norm, flip_top_bits(x), x);
		b_norm = _mm512_dpbusd_epi32(b_norm, flip_top_bits(y), y);
		a_sum = _mm512_dpbusd_epi32(a_sum, ones, x);
		b_sum = _mm512_dpbusd_epi32(b_sum, ones, y);
	}
	out[0] = _mm512_reduce_add_epi32(dot) - 128 * _mm512_reduce_add_epi32(b_sum);
	out[1] = _mm512_reduce_add_epi32(a_norm) -
		128 * _mm512_reduce_add_epi32(a_sum);
	out[2] = _mm512_reduce_add_epi32(b_norm) -
		128 * _mm512_reduce_add_epi32(b_sum);
}

/* ---------- bits ---------- */

static inline __m512i
add_bits(__m512i sum, __m512i x)
{
	return _mm512_add_epi64(sum, _mm512_popcnt_epi64(x));
}

static int32_t
pair_hamming(const uint8_t *a, const uint8_t *b, int bytes)
{
	__m512i		sum = _mm512_setzero_si512();

	for (int i = 0; i < bytes; i += 64)
		sum = add_bits(sum, _mm512_xor_si512(load_bytes(a, i, bytes),
											 load_bytes(b, i, bytes)));
	return (int32_t) _mm512_reduce_add_epi64(sum);
}

static void
pair_jaccard(const uint8_t *a, const uint8_t *b, int bytes, int32_t out[2])
{
	__m512i		both = _mm512_setzero_si512();
	__m512i		either = both;

	for (int i = 0; i < bytes; i += 64)
	{
		__m512i		x = load_bytes(a, i, bytes);
		__m512i		y = load_bytes(b, i, bytes);

		both = add_bits(both, _mm512_and_si512(x, y));
		either = add_bits(either, _mm512_or_si512(x, y));
	}
	out[0] = (int32_t) _mm512_reduce_add_epi64(both);
	out[1] = (int32_t) _mm512_reduce_add_epi64(either);
}

#endif							/* VK_AVX512_PAIR_H */
