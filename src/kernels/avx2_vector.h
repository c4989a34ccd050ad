/*-------------------------------------------------------------------------
 *
 * avx2_vector.h
 *	  Part of avx2.c: vector operations for codes.
 *
 * IDENTIFICATION
 *	  src/kernels/avx2_vector.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AVX2_VECTOR_H
#define VK_AVX2_VECTOR_H

/* ---------- Hadamard ---------- */

/* sums in lanes whose partner is higher, differences in the others */
#define BUTTERFLY(x, partner, high) \
	_mm256_blend_ps(_mm256_add_ps(x, partner), _mm256_sub_ps(partner, x), high)

/* the three stages within 8 elements */
static inline __m256
hadamard_8(__m256 x)
{
	x = BUTTERFLY(x, _mm256_permute_ps(x, 0xb1), 0xaa);
	x = BUTTERFLY(x, _mm256_permute_ps(x, 0x4e), 0xcc);
	return BUTTERFLY(x, _mm256_permute2f128_ps(x, x, 0x01), 0xf0);
}

static void
hadamard(float *x, int n, float scale)
{
	if (n < 8)
	{
		template_hadamard(x, n, scale);
		return;
	}
	for (int i = 0; i < n; i += 8)
		_mm256_storeu_ps(x + i, hadamard_8(_mm256_loadu_ps(x + i)));
	for (int half = 8; half < n; half *= 2)
		for (int start = 0; start < n; start += 2 * half)
			for (int i = start; i < start + half; i += 8)
			{
				__m256		low = _mm256_loadu_ps(x + i);
				__m256		high = _mm256_loadu_ps(x + i + half);

				_mm256_storeu_ps(x + i, _mm256_add_ps(low, high));
				_mm256_storeu_ps(x + i + half, _mm256_sub_ps(low, high));
			}
	for (int i = 0; i < n; i += 8)
		_mm256_storeu_ps(x + i, _mm256_mul_ps(_mm256_loadu_ps(x + i),
											  _mm256_set1_ps(scale)));
}

/* ---------- codes: whole 32s here, the rest by the templates ---------- */

static inline __m256i
round_clamped(__m256 x, float low, float high)
{
	/* NaN is the first operand: both give the second, low */
	x = _mm256_max_ps(x, _mm256_set1_ps(low));
	x = _mm256_min_ps(x, _mm256_set1_ps(high));
	return _mm256_cvtps_epi32(x);
}

/* the low bytes of 8 int32 lanes */
static inline void
store_low_bytes(void *out, __m256i values)
{
	__m128i		words = _mm_packs_epi32(_mm256_castsi256_si128(values),
										_mm256_extracti128_si256(values, 1));
	const __m128i low = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14,
									  -1, -1, -1, -1, -1, -1, -1, -1);

	_mm_storel_epi64(out, _mm_shuffle_epi8(words, low));
}

static inline __m256d
low_pd(__m256i values)
{
	return _mm256_cvtepi32_pd(_mm256_castsi256_si128(values));
}

static inline __m256d
high_pd(__m256i values)
{
	return _mm256_cvtepi32_pd(_mm256_extracti128_si256(values, 1));
}

/* parts 2 j and 2 j + 1 of sum += p c */
static inline void
add_code_products(Sum64 *sum, int j, const float *p, __m256i c)
{
	sum->part[2 * j] = _mm256_fmadd_pd(load_wide(p), low_pd(c),
									   sum->part[2 * j]);
	sum->part[2 * j + 1] = _mm256_fmadd_pd(load_wide(p + 4), high_pd(c),
										   sum->part[2 * j + 1]);
}

static inline __m256d
add_square(__m256d sum, __m256d p, __m256d scale, __m256d c)
{
	__m256d		diff = _mm256_fnmadd_pd(scale, c, p);

	return _mm256_add_pd(sum, _mm256_mul_pd(diff, diff));
}

static inline void
add_code_errors(Sum64 *sum, int j, const float *p, __m256d scale, __m256i c)
{
	sum->part[2 * j] = add_square(sum->part[2 * j], load_wide(p), scale,
								  low_pd(c));
	sum->part[2 * j + 1] = add_square(sum->part[2 * j + 1], load_wide(p + 4),
									  scale, high_pd(c));
}

static float
max_magnitude(const float *p, int dim)
{
	__m256		max = _mm256_setzero_ps();
	float		lane[8];

	/* NaN as first operand leaves max as it is */
	for (int i = 0; i < dim; i += 8)
		max = _mm256_max_ps(absolute(load_floats(p + i, dim - i)), max);
	_mm256_storeu_ps(lane, max);
	return max_abs(lane, 8);
}

static void
quantize_i8(const float *p, int dim, int8_t *code, VkQuantized *out)
{
	const int	whole = dim / SUM_LANES * SUM_LANES;
	const float inverse = quantize_inverse(max_magnitude(p, dim));
	CodeSums	sums;
	Sum64		dot = sum64_zero();
	Sum64		norm2 = sum64_zero();
	__m256i		code_sum = _mm256_setzero_si256();
	__m256i		code_norm2 = code_sum;

	for (int i = 0; i < whole; i += SUM_LANES)
		for (int j = 0; j < 4; j++)
		{
			const float *at = p + i + 8 * j;
			__m256		x = _mm256_mul_ps(_mm256_loadu_ps(at), _mm256_set1_ps(inverse));
			__m256i		c = round_clamped(x, -127.0f, 127.0f);

			store_low_bytes(code + i + 8 * j, c);
			code_sum = _mm256_add_epi32(code_sum, c);
			code_norm2 = _mm256_add_epi32(code_norm2, _mm256_mullo_epi32(c, c));
			add_code_products(&dot, j, at, c);
			norm2.part[2 * j] = _mm256_fmadd_pd(load_wide(at), load_wide(at),
												norm2.part[2 * j]);
			norm2.part[2 * j + 1] = _mm256_fmadd_pd(load_wide(at + 4),
													load_wide(at + 4),
													norm2.part[2 * j + 1]);
		}
	sum64_store(&dot, sums.dot);
	sum64_store(&norm2, sums.norm2);
	sums.code_sum = add_int_lanes(code_sum);
	sums.code_norm2 = add_int_lanes(code_norm2);
	quantize_span(p, whole, dim, inverse, code, &sums);
	quantize_result(add_lanes_f64(sums.dot), add_lanes_f64(sums.norm2),
					sums.code_sum, sums.code_norm2, out);
}

/* the values that u stands for */
static inline __m256i
code_values(__m256i u, VkFormat format)
{
	if (format != VK_FORMAT_B8)
		u = _mm256_add_epi32(u, u);
	return _mm256_sub_epi32(u, _mm256_set1_epi32(vk_format_offset(format)));
}

static void
code_trial(const float *y, int dim, VkFormat format, float inv_step,
		   uint8_t *codes, VkTrial *out)
{
	const int	whole = dim / SUM_LANES * SUM_LANES;
	const CodeGrid grid = code_grid(format, inv_step);
	CodeSums	sums;
	Sum64		dot = sum64_zero();
	__m256i		norm2 = _mm256_setzero_si256();

	for (int i = 0; i < whole; i += SUM_LANES)
		for (int j = 0; j < 4; j++)
		{
			const float *at = y + i + 8 * j;
			__m256		x = _mm256_mul_ps(_mm256_loadu_ps(at), _mm256_set1_ps(grid.scale));
			__m256i		u = round_clamped(_mm256_add_ps(x, _mm256_set1_ps(grid.shift)),
										  grid.low, grid.high);
			__m256i		c = code_values(u, format);

			store_low_bytes(codes + i + 8 * j, u);
			norm2 = _mm256_add_epi32(norm2, _mm256_mullo_epi32(c, c));
			add_code_products(&dot, j, at, c);
		}
	sum64_store(&dot, sums.dot);
	sums.code_norm2 = add_int_lanes(norm2);
	code_trial_span(y, whole, dim, &grid, codes, &sums);
	out->dot = add_lanes_f64(sums.dot);
	out->norm2 = sums.code_norm2;
}

static double
code_error2(const float *y, int dim, VkFormat format, float a,
			const uint8_t *codes)
{
	const int	whole = dim / SUM_LANES * SUM_LANES;
	const __m256d scale = _mm256_set1_pd((double) a);
	Sum64		error = sum64_zero();
	double		error2[SUM_LANES];

	for (int i = 0; i < whole; i += SUM_LANES)
		for (int j = 0; j < 4; j++)
		{
			__m128i		bytes = _mm_loadl_epi64((const void *) (codes + i + 8 * j));

			add_code_errors(&error, j, y + i + 8 * j, scale,
							code_values(_mm256_cvtepu8_epi32(bytes), format));
		}
	sum64_store(&error, error2);
	code_error_span(y, whole, dim, format, a, codes, error2);
	return error_or_nan(a, add_lanes_f64(error2));
}

/* ---------- half precision ---------- */

static void
half_to_float(const uint16_t *h, int n, float *f)
{
	int			i = 0;

	for (; i + 8 <= n; i += 8)
		_mm256_storeu_ps(f + i, _mm256_cvtph_ps(_mm_loadu_si128((const void *) (h + i))));
	for (; i < n; i++)
		f[i] = _cvtsh_ss(h[i]);
}

static void
float_to_half(const float *f, int n, uint16_t *h)
{
	int			i = 0;

	for (; i + 8 <= n; i += 8)
		_mm_storeu_si128((void *) (h + i),
						 _mm256_cvtps_ph(_mm256_loadu_ps(f + i),
										 _MM_FROUND_TO_NEAREST_INT));
	for (; i < n; i++)
		h[i] = _cvtss_sh(f[i], _MM_FROUND_TO_NEAREST_INT);
}

/* ---------- bfloat16: whole 8s here, the rest by the templates ---------- */

static inline __m256i
bits_of_nan(__m256i bits)
{
	return _mm256_cmpgt_epi32(_mm256_and_si256(bits, _mm256_set1_epi32(0x7fffffff)),
							  _mm256_set1_epi32(0x7f800000));
}

static void
bf16_to_float(const uint16_t *b, int n, float *f)
{
	int			i = 0;

	for (; i + 8 <= n; i += 8)
	{
		__m128i		words = _mm_loadu_si128((const void *) (b + i));
		__m256i		bits = _mm256_slli_epi32(_mm256_cvtepu16_epi32(words), 16);
		__m256i		quiet = _mm256_and_si256(bits_of_nan(bits),
											 _mm256_set1_epi32(0x400000));

		_mm256_storeu_si256((void *) (f + i), _mm256_or_si256(bits, quiet));
	}
	for (; i < n; i++)
		f[i] = bf16_to_float_1(b[i]);
}

static void
float_to_bf16(const float *f, int n, uint16_t *b)
{
	int			i = 0;

	for (; i + 8 <= n; i += 8)
	{
		__m256i		bits = load_bytes(f + i);
		__m256i		high = _mm256_srli_epi32(bits, 16);
		__m256i		odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
		__m256i		rounded = _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(bits, odd),
																 _mm256_set1_epi32(0x7fff)),
												16);
		__m256i		words;

		rounded = _mm256_blendv_epi8(rounded,
									 _mm256_or_si256(high, _mm256_set1_epi32(0x40)),
									 bits_of_nan(bits));
		words = _mm256_permute4x64_epi64(_mm256_packus_epi32(rounded, rounded), 0xd8);
		_mm_storeu_si128((void *) (b + i), _mm256_castsi256_si128(words));
	}
	for (; i < n; i++)
		b[i] = float_to_bf16_1(f[i]);
}

/* ---------- screen ---------- */

/* the mask of 8 lanes from one on */
static inline int
screen_half(const int32_t *dots, const VkScreenRows *row, int lane,
			const VkScreenQuery *query)
{
	/* a multiplication by 1 or 2 */
	__m256i		sum = _mm256_sub_epi32(_mm256_sll_epi32(load_bytes(dots + lane),
														_mm_cvtsi32_si128(query->dot_mult - 1)),
									   _mm256_set1_epi32(query->dot_offset));
	__m256		t = _mm256_mul_ps(_mm256_set1_ps(query->scale),
								  _mm256_cvtepi32_ps(sum));
	__m256		lower = _mm256_fmadd_ps(_mm256_set1_ps(query->weight_norm2),
										_mm256_loadu_ps(row->norm2 + lane),
										_mm256_set1_ps(query->base));

	lower = _mm256_fnmadd_ps(t, _mm256_loadu_ps(row->a + lane), lower);
	lower = _mm256_fnmadd_ps(absolute(t), _mm256_loadu_ps(row->a_error + lane),
							 lower);
	lower = _mm256_fnmadd_ps(_mm256_set1_ps(query->weight_error),
							 _mm256_loadu_ps(row->error + lane), lower);
	lower = _mm256_fnmadd_ps(_mm256_set1_ps(query->weight_norm),
							 _mm256_loadu_ps(row->norm + lane), lower);
	return _mm256_movemask_ps(_mm256_cmp_ps(lower,
											_mm256_set1_ps(query->threshold),
											_CMP_NGT_UQ));
}

static void
screen(const int32_t *dots, const VkScreenRows *rows, int blocks,
	   const VkScreenQuery *query, uint16_t *masks)
{
	for (int block = 0; block < blocks; block++, dots += VK_LANES)
		masks[block] = (uint16_t) (screen_half(dots, rows + block, 0, query) |
								   screen_half(dots, rows + block, 8, query) << 8);
}

#endif							/* VK_AVX2_VECTOR_H */
