/*-------------------------------------------------------------------------
 *
 * neon_vector.h
 *	  Part of neon.c: rotation, codes and half precision.
 *
 * NOTES
 *	  Whole 32s here, the rest by the templates, which other operations are
 *	  left to altogether: compilers vectorise those as well as a hand does.
 *
 * IDENTIFICATION
 *	  src/kernels/neon_vector.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_NEON_VECTOR_H
#define VK_NEON_VECTOR_H

/* ---------- rotation ---------- */

/* the two stages within 4 elements */
static inline float32x4_t
hadamard_4(float32x4_t x)
{
	float32x4_t even = vtrn1q_f32(x, x);
	float32x4_t odd = vtrn2q_f32(x, x);
	float32x4_t pairs = vtrn1q_f32(vaddq_f32(even, odd), vsubq_f32(even, odd));
	float32x2_t low = vget_low_f32(pairs);
	float32x2_t high = vget_high_f32(pairs);

	return vcombine_f32(vadd_f32(low, high), vsub_f32(low, high));
}

static void
hadamard(float *x, int n, float scale)
{
	if (n < 4)
	{
		template_hadamard(x, n, scale);
		return;
	}
	for (int i = 0; i < n; i += 4)
		vst1q_f32(x + i, hadamard_4(vld1q_f32(x + i)));
	for (int half = 4; half < n; half *= 2)
		for (int start = 0; start < n; start += 2 * half)
			for (int i = start; i < start + half; i += 4)
			{
				float32x4_t low = vld1q_f32(x + i);
				float32x4_t high = vld1q_f32(x + i + half);

				vst1q_f32(x + i, vaddq_f32(low, high));
				vst1q_f32(x + i + half, vsubq_f32(low, high));
			}
	for (int i = 0; i < n; i += 4)
		vst1q_f32(x + i, vmulq_n_f32(vld1q_f32(x + i), scale));
}

/* ---------- codes ---------- */

/* the nearest integer in low .. high, ties to even; NaN gives low */
static inline int32x4_t
round_clamped(float32x4_t x, float low, float high)
{
	x = vmaxnmq_f32(x, vdupq_n_f32(low));
	x = vminq_f32(x, vdupq_n_f32(high));
	return vcvtnq_s32_f32(x);
}

/* the low bytes of 8 numbers */
static inline int8x8_t
low_bytes(int32x4_t a, int32x4_t b)
{
	return vmovn_s16(vcombine_s16(vmovn_s32(a), vmovn_s32(b)));
}

static inline float64x2_t
low_f64(int32x4_t x)
{
	return vcvtq_f64_s64(vmovl_s32(vget_low_s32(x)));
}

static inline float64x2_t
high_f64(int32x4_t x)
{
	return vcvtq_f64_s64(vmovl_high_s32(x));
}

/*
 * Parts 2 j and 2 j + 1 of sum += p c.  The products are exact in double: 24
 * bits and 8.
 */
static inline void
add_code_products(Sum64 *sum, int j, float32x4_t p, int32x4_t c)
{
	sum->part[2 * j] = vfmaq_f64(sum->part[2 * j],
								 vcvt_f64_f32(vget_low_f32(p)), low_f64(c));
	sum->part[2 * j + 1] = vfmaq_f64(sum->part[2 * j + 1],
									 vcvt_high_f64_f32(p), high_f64(c));
}

static inline float64x2_t
add_square(float64x2_t sum, float64x2_t p, float64x2_t scale, float64x2_t c)
{
	/* scale c is exact as well, so the fused difference is the plain one */
	float64x2_t diff = vfmsq_f64(p, scale, c);

	return vaddq_f64(sum, vmulq_f64(diff, diff));
}

static inline void
add_code_errors(Sum64 *sum, int j, float32x4_t p, float64x2_t scale,
				int32x4_t c)
{
	sum->part[2 * j] = add_square(sum->part[2 * j],
								  vcvt_f64_f32(vget_low_f32(p)), scale,
								  low_f64(c));
	sum->part[2 * j + 1] = add_square(sum->part[2 * j + 1],
									  vcvt_high_f64_f32(p), scale, high_f64(c));
}

/* where NaN is not greater, it is passed over */
static inline float32x4_t
greater_magnitude(float32x4_t max, float32x4_t x)
{
	x = vabsq_f32(x);
	return vbslq_f32(vcgtq_f32(x, max), x, max);
}

static float
max_magnitude(const float *p, int dim)
{
	float32x4_t max = vdupq_n_f32(0.0f);
	float		lane[4];
	int			i = 0;

	for (; i + 4 <= dim; i += 4)
		max = greater_magnitude(max, vld1q_f32(p + i));
	if (i < dim)
	{
		Tail		tail = copy_tail(p, sizeof(float), i, dim - i);

		max = greater_magnitude(max, four_f32(tail.bytes, 0));
	}
	vst1q_f32(lane, max);
	return max_abs(lane, 4);
}

static void
quantize_i8(const float *p, int dim, int8_t *code, VkQuantized *out)
{
	const int	whole = dim / SUM_LANES * SUM_LANES;
	const float inverse = quantize_inverse(max_magnitude(p, dim));
	CodeSums	sums;
	Sum64		dot = sum64_zero();
	Sum64		norm2 = sum64_zero();
	int32x4_t	code_sum = vdupq_n_s32(0);
	int32x4_t	code_norm2 = code_sum;

	for (int i = 0; i < whole; i += 8)
	{
		int32x4_t	c[2];

		for (int half = 0; half < 2; half++)
		{
			const int	j = i % SUM_LANES / 4 + half;
			float32x4_t x = vld1q_f32(p + i + 4 * half);
			float64x2_t low = vcvt_f64_f32(vget_low_f32(x));
			float64x2_t high = vcvt_high_f64_f32(x);

			c[half] = round_clamped(vmulq_n_f32(x, inverse), -127.0f, 127.0f);
			code_sum = vaddq_s32(code_sum, c[half]);
			code_norm2 = vmlaq_s32(code_norm2, c[half], c[half]);
			add_code_products(&dot, j, x, c[half]);
			norm2.part[2 * j] = vfmaq_f64(norm2.part[2 * j], low, low);
			norm2.part[2 * j + 1] = vfmaq_f64(norm2.part[2 * j + 1], high, high);
		}
		vst1_s8(code + i, low_bytes(c[0], c[1]));
	}
	sum64_store(&dot, sums.dot);
	sum64_store(&norm2, sums.norm2);
	sums.code_sum = vaddvq_s32(code_sum);
	sums.code_norm2 = vaddvq_s32(code_norm2);
	quantize_span(p, whole, dim, inverse, code, &sums);
	quantize_result(add_lanes_f64(sums.dot), add_lanes_f64(sums.norm2),
					sums.code_sum, sums.code_norm2, out);
}

/* the values that u stands for */
static inline int32x4_t
code_values(int32x4_t u, VkFormat format)
{
	if (format != VK_FORMAT_B8)
		u = vaddq_s32(u, u);
	return vsubq_s32(u, vdupq_n_s32(vk_format_offset(format)));
}

static void
code_trial(const float *y, int dim, VkFormat format, float inv_step,
		   uint8_t *codes, VkTrial *out)
{
	const int	whole = dim / SUM_LANES * SUM_LANES;
	const CodeGrid grid = code_grid(format, inv_step);
	CodeSums	sums;
	Sum64		dot = sum64_zero();
	int32x4_t	norm2 = vdupq_n_s32(0);

	for (int i = 0; i < whole; i += 8)
	{
		int32x4_t	u[2];

		for (int half = 0; half < 2; half++)
		{
			float32x4_t x = vld1q_f32(y + i + 4 * half);
			float32x4_t scaled = vaddq_f32(vmulq_n_f32(x, grid.scale),
										   vdupq_n_f32(grid.shift));
			int32x4_t	c;

			u[half] = round_clamped(scaled, grid.low, grid.high);
			c = code_values(u[half], format);
			norm2 = vmlaq_s32(norm2, c, c);
			add_code_products(&dot, i % SUM_LANES / 4 + half, x, c);
		}
		vst1_u8(codes + i, vreinterpret_u8_s8(low_bytes(u[0], u[1])));
	}
	sum64_store(&dot, sums.dot);
	sums.code_norm2 = vaddvq_s32(norm2);
	code_trial_span(y, whole, dim, &grid, codes, &sums);
	out->dot = add_lanes_f64(sums.dot);
	out->norm2 = sums.code_norm2;
}

static double
code_error2(const float *y, int dim, VkFormat format, float a,
			const uint8_t *codes)
{
	const int	whole = dim / SUM_LANES * SUM_LANES;
	const float64x2_t scale = vdupq_n_f64((double) a);
	Sum64		error = sum64_zero();
	double		error2[SUM_LANES];

	for (int i = 0; i < whole; i += 4)
	{
		int32_t		four;
		uint16x8_t	u;

		memcpy(&four, codes + i, sizeof(four));
		u = vmovl_u8(vreinterpret_u8_s32(vdup_n_s32(four)));
		add_code_errors(&error, i % SUM_LANES / 4, vld1q_f32(y + i), scale,
						code_values(vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(u))),
									format));
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

	for (; i + 4 <= n; i += 4)
		vst1q_f32(f + i, four_f16(h, i));
	for (; i < n; i++)
		f[i] = half_to_float_1(h[i]);
}

static void
float_to_half(const float *f, int n, uint16_t *h)
{
	int			i = 0;

	for (; i + 4 <= n; i += 4)
		vst1_u16(h + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(f + i))));
	for (; i < n; i++)
		h[i] = float_to_half_1(f[i]);
}

#endif							/* VK_NEON_VECTOR_H */
