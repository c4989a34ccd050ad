/*-------------------------------------------------------------------------
 *
 * avx2_pair.h
 *	  Part of avx2.c: sums over two vectors.
 *
 * NOTES
 *	  Float elements are widened as they are loaded, so one loop serves all
 *	  three types; bytes are widened to 16 bits and meet in VPMADDWD.  Bits are
 *	  counted by a table of nibbles and added up by VPSADBW.
 *
 * IDENTIFICATION
 *	  src/kernels/avx2_pair.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AVX2_PAIR_H
#define VK_AVX2_PAIR_H

/* what a pair of elements adds to a sum */
typedef enum PairTerm
{
	TERM_L2,
	TERM_DOT,
	TERM_L1
} PairTerm;

/*
 * Elements i .. i + 7 as floats, n of them there, zeros after them.  element is a
 * constant where this inlines, and so is n where it is 8 or more.
 */
static inline __attribute__((always_inline)) __m256
load_8_lanes(VkElement element, const void *vector, size_t i, int n)
{
	uint16_t	last[8] = {0};
	const void *from = (const uint16_t *) vector + i;
	__m128i		bits;

	if (element == VK_F32)
		return load_floats((const float *) vector + i, n);
	if (n < 8)
	{
		if (n > 0)
			memcpy(last, from, n * sizeof(last[0]));
		from = last;
	}
	bits = _mm_loadu_si128(from);
	if (element == VK_F16)
		return _mm256_cvtph_ps(bits);
	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

static inline __attribute__((always_inline)) __m256
add_term(PairTerm term, __m256 sum, __m256 x, __m256 y)
{
	__m256		diff;

	if (term == TERM_DOT)
		return _mm256_fmadd_ps(x, y, sum);
	diff = _mm256_sub_ps(x, y);
	return term == TERM_L2 ? _mm256_fmadd_ps(diff, diff, sum) :
		_mm256_add_ps(sum, absolute(diff));
}

/* n elements from i on, 32 or more in the loop, where it is a constant */
static inline __attribute__((always_inline)) void
add_terms(PairTerm term, VkElement element, Sum32 *sum, const void *a,
		  const void *b, size_t i, int n)
{
	for (int part = 0; part < 4; part++)
		sum->part[part] = add_term(term, sum->part[part],
								   load_8_lanes(element, a, i + 8 * part,
												n - 8 * part),
								   load_8_lanes(element, b, i + 8 * part,
												n - 8 * part));
}

static inline __attribute__((always_inline)) double
pair_sum(PairTerm term, VkElement element, const void *a, const void *b,
		 int dim)
{
	Sum32		sum = sum32_zero();
	int			i = 0;

	for (; i + 32 <= dim; i += 32)
		add_terms(term, element, &sum, a, b, i, 32);
	if (i < dim)
		add_terms(term, element, &sum, a, b, i, dim - i);
	return sum32_add_lanes(&sum);
}

static inline __attribute__((always_inline)) void
pair_cosine(VkElement element, const void *a, const void *b, int dim,
			double out[3])
{
	Sum32		dot = sum32_zero();
	Sum32		a_norm = dot;
	Sum32		b_norm = dot;
	int			i = 0;

	for (; i + 32 <= dim; i += 32)
	{
		add_terms(TERM_DOT, element, &dot, a, b, i, 32);
		add_terms(TERM_DOT, element, &a_norm, a, a, i, 32);
		add_terms(TERM_DOT, element, &b_norm, b, b, i, 32);
	}
	if (i < dim)
	{
		add_terms(TERM_DOT, element, &dot, a, b, i, dim - i);
		add_terms(TERM_DOT, element, &a_norm, a, a, i, dim - i);
		add_terms(TERM_DOT, element, &b_norm, b, b, i, dim - i);
	}
	out[0] = sum32_add_lanes(&dot);
	out[1] = sum32_add_lanes(&a_norm);
	out[2] = sum32_add_lanes(&b_norm);
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

/* ---------- bytes ---------- */

/* 32 bytes from i on, zeros past the end */
static inline __m256i
load_32_bytes(const void *vector, int i, int size)
{
	uint8_t		last[32] = {0};

	if (i + 32 <= size)
		return load_bytes((const uint8_t *) vector + i);
	memcpy(last, (const uint8_t *) vector + i, size - i);
	return load_bytes(last);
}

static inline __m256i
widen_low(__m256i bytes)
{
	return _mm256_cvtepi8_epi16(_mm256_castsi256_si128(bytes));
}

static inline __m256i
widen_high(__m256i bytes)
{
	return _mm256_cvtepi8_epi16(_mm256_extracti128_si256(bytes, 1));
}

static inline __m256i
add_products(__m256i sum, __m256i x, __m256i y)
{
	sum = _mm256_add_epi32(sum, _mm256_madd_epi16(widen_low(x), widen_low(y)));
	return _mm256_add_epi32(sum, _mm256_madd_epi16(widen_high(x), widen_high(y)));
}

static double
pair_dot_i8(const void *a, const void *b, int dim)
{
	__m256i		sum = _mm256_setzero_si256();

	for (int i = 0; i < dim; i += 32)
		sum = add_products(sum, load_32_bytes(a, i, dim),
						   load_32_bytes(b, i, dim));
	return add_int_lanes(sum);
}

static inline __m256i
add_square_16(__m256i sum, __m256i x, __m256i y)
{
	__m256i		diff = _mm256_sub_epi16(x, y);

	return _mm256_add_epi32(sum, _mm256_madd_epi16(diff, diff));
}

static double
pair_l2_i8(const void *a, const void *b, int dim)
{
	__m256i		low = _mm256_setzero_si256();
	__m256i		high = low;

	for (int i = 0; i < dim; i += 32)
	{
		__m256i		x = load_32_bytes(a, i, dim);
		__m256i		y = load_32_bytes(b, i, dim);

		low = add_square_16(low, widen_low(x), widen_low(y));
		high = add_square_16(high, widen_high(x), widen_high(y));
	}
	return add_int_lanes(_mm256_add_epi32(low, high));
}


static double
pair_l1_i8(const void *a, const void *b, int dim)
{
	__m256i		sum = _mm256_setzero_si256();

	for (int i = 0; i < dim; i += 32)
	{
		__m256i		x = load_32_bytes(a, i, dim);
		__m256i		y = load_32_bytes(b, i, dim);
		__m256i		distance = _mm256_sub_epi8(_mm256_max_epi8(x, y),
											   _mm256_min_epi8(x, y));

		sum = _mm256_add_epi64(sum, _mm256_sad_epu8(distance,
													_mm256_setzero_si256()));
	}
	return add_int_lanes(sum);
}

static void
pair_cosine_i8(const void *a, const void *b, int dim, double out[3])
{
	__m256i		dot = _mm256_setzero_si256();
	__m256i		a_norm = dot;
	__m256i		b_norm = dot;

	for (int i = 0; i < dim; i += 32)
	{
		__m256i		x = load_32_bytes(a, i, dim);
		__m256i		y = load_32_bytes(b, i, dim);

		dot = add_products(dot, x, y);
		a_norm = add_products(a_norm, x, x);
		b_norm = add_products(b_norm, y, y);
	}
	out[0] = add_int_lanes(dot);
	out[1] = add_int_lanes(a_norm);
	out[2] = add_int_lanes(b_norm);
}

/* ---------- bits ---------- */

/* bits of each byte */
static inline __m256i
count_bits(__m256i x)
{
	const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3,
											1, 2, 2, 3, 2, 3, 3, 4,
											0, 1, 1, 2, 1, 2, 2, 3,
											1, 2, 2, 3, 2, 3, 3, 4);
	const __m256i nibble = _mm256_set1_epi8(15);
	__m256i		low = _mm256_and_si256(x, nibble);
	__m256i		high = _mm256_and_si256(_mm256_srli_epi16(x, 4), nibble);

	return _mm256_add_epi8(_mm256_shuffle_epi8(counts, low),
						   _mm256_shuffle_epi8(counts, high));
}

static inline __m256i
add_bits(__m256i sum, __m256i x)
{
	return _mm256_add_epi64(sum, _mm256_sad_epu8(count_bits(x),
												 _mm256_setzero_si256()));
}

/* counts stay below 2^31 in all, so the low halves of the lanes hold them */
static int32_t
pair_hamming(const uint8_t *a, const uint8_t *b, int bytes)
{
	__m256i		sum = _mm256_setzero_si256();

	for (int i = 0; i < bytes; i += 32)
		sum = add_bits(sum, _mm256_xor_si256(load_32_bytes(a, i, bytes),
											 load_32_bytes(b, i, bytes)));
	return add_int_lanes(sum);
}

static void
pair_jaccard(const uint8_t *a, const uint8_t *b, int bytes, int32_t out[2])
{
	__m256i		both = _mm256_setzero_si256();
	__m256i		either = both;

	for (int i = 0; i < bytes; i += 32)
	{
		__m256i		x = load_32_bytes(a, i, bytes);
		__m256i		y = load_32_bytes(b, i, bytes);

		both = add_bits(both, _mm256_and_si256(x, y));
		either = add_bits(either, _mm256_or_si256(x, y));
	}
	out[0] = add_int_lanes(both);
	out[1] = add_int_lanes(either);
}

#endif							/* VK_AVX2_PAIR_H */
