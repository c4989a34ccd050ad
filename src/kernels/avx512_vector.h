/*-------------------------------------------------------------------------
 *
 * avx512_vector.h
 *	  Part of avx512.c: vector operations for codes.
 *
 * IDENTIFICATION
 *	  src/kernels/avx512_vector.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AVX512_VECTOR_H
#define VK_AVX512_VECTOR_H

/* ---------- Hadamard ---------- */

/* low + high in lanes whose partner is higher, low - high in the others */
static inline __m512
butterfly(__m512 x, __m512 partner, __mmask16 high)
{
	return _mm512_mask_sub_ps(_mm512_add_ps(x, partner), high, partner, x);
}

/* the four stages within 16 elements */
static inline __m512
hadamard_16(__m512 x)
{
	x = butterfly(x, _mm512_permute_ps(x, 0xb1), 0xaaaa);
	x = butterfly(x, _mm512_permute_ps(x, 0x4e), 0xcccc);
	x = butterfly(x, _mm512_shuffle_f32x4(x, x, 0xb1), 0xf0f0);
	return butterfly(x, _mm512_shuffle_f32x4(x, x, 0x4e), 0xff00);
}

/* two stages at once: halves of 1 and of 2 times `half` elements */
static inline void
hadamard_pass_4(float *x, int n, int half)
{
	for (int start = 0; start < n; start += 4 * half)
		for (int i = start; i < start + half; i += 16)
		{
			__m512		x0 = _mm512_loadu_ps(x + i);
			__m512		x1 = _mm512_loadu_ps(x + i + half);
			__m512		x2 = _mm512_loadu_ps(x + i + 2 * half);
			__m512		x3 = _mm512_loadu_ps(x + i + 3 * half);
			__m512		sum01 = _mm512_add_ps(x0, x1);
			__m512		diff01 = _mm512_sub_ps(x0, x1);
			__m512		sum23 = _mm512_add_ps(x2, x3);
			__m512		diff23 = _mm512_sub_ps(x2, x3);

			_mm512_storeu_ps(x + i, _mm512_add_ps(sum01, sum23));
			_mm512_storeu_ps(x + i + half, _mm512_add_ps(diff01, diff23));
			_mm512_storeu_ps(x + i + 2 * half, _mm512_sub_ps(sum01, sum23));
			_mm512_storeu_ps(x + i + 3 * half, _mm512_sub_ps(diff01, diff23));
		}
}

static inline void
hadamard_pass_2(float *x, int n, int half)
{
	for (int start = 0; start < n; start += 2 * half)
		for (int i = start; i < start + half; i += 16)
		{
			__m512		low = _mm512_loadu_ps(x + i);
			__m512		high = _mm512_loadu_ps(x + i + half);

			_mm512_storeu_ps(x + i, _mm512_add_ps(low, high));
			_mm512_storeu_ps(x + i + half, _mm512_sub_ps(low, high));
		}
}

static void
hadamard(float *x, int n, float scale)
{
	int			half = 16;

	if (n < 16)
	{
		template_hadamard(x, n, scale);
		return;
	}
	for (int i = 0; i < n; i += 16)
		_mm512_storeu_ps(x + i, hadamard_16(_mm512_loadu_ps(x + i)));
	for (; 4 * half <= n; half *= 4)
		hadamard_pass_4(x, n, half);
	if (half < n)
		hadamard_pass_2(x, n, half);
	for (int i = 0; i < n; i += 16)
		_mm512_storeu_ps(x + i, _mm512_mul_ps(_mm512_loadu_ps(x + i),
											  _mm512_set1_ps(scale)));
}

/* ---------- codes ---------- */

static inline __m512
round_clamped(__m512 x, __m512 low, __m512 high)
{
	/* NaN is the first operand: both give the second, low */
	x = _mm512_min_ps(_mm512_max_ps(x, low), high);
	return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline __m512
load_i8(__mmask16 lanes, const int8_t *code)
{
	return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(lanes, code)));
}

static inline void
store_bytes(uint8_t *out, __mmask16 lanes, __m512i values)
{
	_mm_mask_storeu_epi8(out, lanes, _mm512_cvtepi32_epi8(values));
}

static float
max_magnitude(const float *p, int dim)
{
	__m512		max = _mm512_setzero_ps();

	for (int i = 0; i < dim; i += 16)
	{
		__m512		x = _mm512_maskz_loadu_ps(first_lanes(dim - i), p + i);

		/* NaN as first operand leaves max as it is */
		max = _mm512_max_ps(_mm512_abs_ps(x), max);
	}
	return _mm512_reduce_max_ps(max);
}

static void
quantize_i8(const float *p, int dim, int8_t *code, VkQuantized *out)
{
	Sum64		dot = sum64_zero();
	Sum64		norm2 = sum64_zero();
	__m512i		sum = _mm512_setzero_si512();
	__m512i		code_norm2 = sum;
	float		inverse = quantize_inverse(max_magnitude(p, dim));

	for (int i = 0; i < dim; i += 32)
	{
		__m512		x[2];
		__m512		c[2];

		for (int half = 0; half < 2; half++)
		{
			__mmask16	lanes = first_lanes(dim - i - 16 * half);
			__m512i		values;

			x[half] = _mm512_maskz_loadu_ps(lanes, p + i + 16 * half);
			c[half] = round_clamped(_mm512_mul_ps(x[half], _mm512_set1_ps(inverse)),
									_mm512_set1_ps(-127.0f), _mm512_set1_ps(127.0f));
			c[half] = _mm512_maskz_mov_ps(lanes, c[half]);
			values = _mm512_cvtps_epi32(c[half]);
			store_bytes((uint8_t *) code + i + 16 * half, lanes, values);
			sum = _mm512_add_epi32(sum, values);
			code_norm2 = _mm512_add_epi32(code_norm2,
										  _mm512_mullo_epi32(values, values));
		}
		sum64_add_products(&dot, x[0], c[0], x[1], c[1]);
		sum64_add_products(&norm2, x[0], x[0], x[1], x[1]);
	}
	quantize_result(sum64_add_lanes(dot), sum64_add_lanes(norm2),
					_mm512_reduce_add_epi32(sum),
					_mm512_reduce_add_epi32(code_norm2), out);
}

/* the values that u stands for, 0 past the end */
static inline __m512i
code_values(__mmask16 lanes, __m512i u, VkFormat format)
{
	if (format != VK_FORMAT_B8)
		u = _mm512_add_epi32(u, u);
	return _mm512_maskz_sub_epi32(lanes, u,
								  _mm512_set1_epi32(vk_format_offset(format)));
}

static void
code_trial(const float *y, int dim, VkFormat format, float inv_step,
		   uint8_t *codes, VkTrial *out)
{
	Sum64		dot = sum64_zero();
	__m512i		norm2 = _mm512_setzero_si512();
	CodeGrid	grid = code_grid(format, inv_step);
	__m512		scale = _mm512_set1_ps(grid.scale);
	__m512		shift = _mm512_set1_ps(grid.shift);
	__m512		low = _mm512_set1_ps(grid.low);
	__m512		high = _mm512_set1_ps(grid.high);

	for (int i = 0; i < dim; i += 32)
	{
		__m512		x[2];
		__m512		c[2];

		for (int half = 0; half < 2; half++)
		{
			__mmask16	lanes = first_lanes(dim - i - 16 * half);
			__m512		u;
			__m512i		values;

			x[half] = _mm512_maskz_loadu_ps(lanes, y + i + 16 * half);
			u = _mm512_add_ps(_mm512_mul_ps(x[half], scale), shift);
			values = _mm512_cvtps_epi32(round_clamped(u, low, high));
			store_bytes(codes + i + 16 * half, lanes, values);
			values = code_values(lanes, values, format);
			norm2 = _mm512_add_epi32(norm2, _mm512_mullo_epi32(values, values));
			c[half] = _mm512_cvtepi32_ps(values);
		}
		sum64_add_products(&dot, x[0], c[0], x[1], c[1]);
	}
	out->dot = sum64_add_lanes(dot);
	out->norm2 = _mm512_reduce_add_epi32(norm2);
}

static double
code_error2(const float *y, int dim, VkFormat format, float a,
			const uint8_t *codes)
{
	Sum64		error2 = sum64_zero();
	__m512d		scale = _mm512_set1_pd((double) a);

	for (int i = 0; i < dim; i += 32)
	{
		__m512		x[2];
		__m512		c[2];

		for (int half = 0; half < 2; half++)
		{
			__mmask16	lanes = first_lanes(dim - i - 16 * half);
			__m128i		bytes = _mm_maskz_loadu_epi8(lanes, codes + i + 16 * half);

			x[half] = _mm512_maskz_loadu_ps(lanes, y + i + 16 * half);
			c[half] = _mm512_cvtepi32_ps(code_values(lanes,
													 _mm512_cvtepu8_epi32(bytes),
													 format));
		}
		sum64_add_errors(&error2, scale, x[0], c[0], x[1], c[1]);
	}
	return error_or_nan(a, sum64_add_lanes(error2));
}

/* ---------- half precision ---------- */

static void
half_to_float(const uint16_t *h, int n, float *f)
{
	for (int i = 0; i < n; i += 16)
	{
		__mmask16	lanes = first_lanes(n - i);

		_mm512_mask_storeu_ps(f + i, lanes,
							  _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lanes, h + i)));
	}
}

static void
float_to_half(const float *f, int n, uint16_t *h)
{
	for (int i = 0; i < n; i += 16)
	{
		__mmask16	lanes = first_lanes(n - i);
		__m512		x = _mm512_maskz_loadu_ps(lanes, f + i);

		_mm256_mask_storeu_epi16(h + i, lanes,
								 _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT |
												 _MM_FROUND_NO_EXC));
	}
}

/* ---------- bfloat16 ---------- */

static inline __mmask16
lanes_of_nan(__m512i bits)
{
	return _mm512_cmpgt_epi32_mask(_mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff)),
								   _mm512_set1_epi32(0x7f800000));
}

static void
bf16_to_float(const uint16_t *b, int n, float *f)
{
	for (int i = 0; i < n; i += 16)
	{
		__mmask16	lanes = first_lanes(n - i);
		__m256i		words = _mm256_maskz_loadu_epi16(lanes, b + i);
		__m512i		bits = _mm512_slli_epi32(_mm512_cvtepu16_epi32(words), 16);
		__mmask16	nan = lanes_of_nan(bits);

		bits = _mm512_mask_or_epi32(bits, nan, bits, _mm512_set1_epi32(0x400000));
		_mm512_mask_storeu_epi32(f + i, lanes, bits);
	}
}

static void
float_to_bf16(const float *f, int n, uint16_t *b)
{
	for (int i = 0; i < n; i += 16)
	{
		__mmask16	lanes = first_lanes(n - i);
		__m512i		bits = _mm512_maskz_loadu_epi32(lanes, f + i);
		__mmask16	nan = lanes_of_nan(bits);
		__m512i		odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16),
										   _mm512_set1_epi32(1));
		__m512i		rounded = _mm512_add_epi32(_mm512_add_epi32(bits, odd),
											   _mm512_set1_epi32(0x7fff));

		rounded = _mm512_mask_or_epi32(rounded, nan, bits,
									   _mm512_set1_epi32(0x400000));
		_mm256_mask_storeu_epi16(b + i, lanes,
								 _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
	}
}

/* ---------- screen ---------- */

static inline uint16_t
screen_block(const int32_t *dots, const VkScreenRows *row,
			 const VkScreenQuery *query)
{
	/* a multiplication by 1 or 2 */
	__m512i		sum = _mm512_sub_epi32(_mm512_sll_epi32(_mm512_loadu_si512(dots),
														_mm_cvtsi32_si128(query->dot_mult - 1)),
									   _mm512_set1_epi32(query->dot_offset));
	__m512		t = _mm512_mul_ps(_mm512_set1_ps(query->scale),
								  _mm512_cvtepi32_ps(sum));
	__m512		lower = _mm512_fmadd_ps(_mm512_set1_ps(query->weight_norm2),
										_mm512_loadu_ps(row->norm2),
										_mm512_set1_ps(query->base));

	lower = _mm512_fnmadd_ps(t, _mm512_loadu_ps(row->a), lower);
	lower = _mm512_fnmadd_ps(_mm512_abs_ps(t), _mm512_loadu_ps(row->a_error),
							 lower);
	lower = _mm512_fnmadd_ps(_mm512_set1_ps(query->weight_error),
							 _mm512_loadu_ps(row->error), lower);
	lower = _mm512_fnmadd_ps(_mm512_set1_ps(query->weight_norm),
							 _mm512_loadu_ps(row->norm), lower);
	return _mm512_cmp_ps_mask(lower, _mm512_set1_ps(query->threshold),
							  _CMP_NGT_UQ);
}

static void
screen(const int32_t *dots, const VkScreenRows *rows, int blocks,
	   const VkScreenQuery *query, uint16_t *masks)
{
	for (int block = 0; block < blocks; block++)
		masks[block] = screen_block(dots + (size_t) VK_LANES * block,
									rows + block, query);
}

/* limits by the template; lanes above them by mask, the masks to bits at once */
static void
screen_blocks(const int32_t *dots, const VkScreenBlocks *groups, int blocks,
			  const VkScreenQuery *query, uint16_t *masks)
{
	const ScreenGap gap = screen_gap(query);

	for (int first = 0; first < blocks; first += VK_LANES)
	{
		int			count = blocks - first < VK_LANES ? blocks - first : VK_LANES;
		int32_t		limits[VK_LANES];
		uint16_t	above[VK_LANES] = {0};
		__m256i		lanes;

		block_limits(groups++, query, &gap, limits);
		for (int b = 0; b < count; b++, dots += VK_LANES)
			above[b] = _mm512_cmpgt_epi32_mask(_mm512_loadu_si512(dots),
											   _mm512_set1_epi32(limits[b]));
		memcpy(&lanes, above, sizeof(lanes));
		*masks++ = _mm256_test_epi16_mask(lanes, lanes);
	}
}

#endif							/* VK_AVX512_VECTOR_H */
