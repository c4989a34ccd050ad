/*-------------------------------------------------------------------------
 *
 * template_vector.h
 *	  Portable loops of the pair kernels and the vector operations.
 *
 * NOTES
 *	  ref.c compiles these as they stand; an ISA file compiles the ones that
 *	  its compiler vectorises well and writes the rest by hand.  Everything
 *	  here gives the same bits whatever the instructions: sums run over 32
 *	  fixed lanes, nothing is contracted (-ffp-contract=off), and rounding to
 *	  integers is done by adding 1.5 * 2^23 to a value clamped before.
 *
 *	  The includer defines half_to_float_16 (load 16 halves) beforehand.
 *
 * IDENTIFICATION
 *	  src/kernels/template_vector.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_TEMPLATE_VECTOR_H
#define VK_TEMPLATE_VECTOR_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels.h"

#define SUM_LANES	32			/* lanes of the canonical sum */
#define NEAREST_RUN	64			/* centroids that template_nearest looks at together */

/* x87 NaNs differ in sign between CPUs, and a zero sum has no sign to keep */
static inline float
canonical_f32(float x)
{
	return x == x ? x + 0.0f : NAN;
}

static inline double
canonical_f64(double x)
{
	return x == x ? x + 0.0 : (double) NAN;
}

static inline float
add_lanes_f32(float *lane)
{
	for (int width = SUM_LANES / 2; width > 0; width /= 2)
		for (int j = 0; j < width; j++)
			lane[j] += lane[j + width];
	return canonical_f32(lane[0]);
}

static inline double
add_lanes_f64(double *lane)
{
	for (int width = SUM_LANES / 2; width > 0; width /= 2)
		for (int j = 0; j < width; j++)
			lane[j] += lane[j + width];
	return canonical_f64(lane[0]);
}

/* an error by a scale that is not finite says nothing */
static inline double
error_or_nan(float scale, double error2)
{
	return fabsf(scale) <= FLT_MAX ? error2 : (double) NAN;
}

/* nearest integer, ties to even, for |x| < 2^22 */
static inline float
round_even(float x)
{
	const float magic = 12582912.0f;

	return (x + magic) - magic;
}

/* clamp; NaN gives low */
static inline float
clamp_f32(float x, float low, float high)
{
	x = x > low ? x : low;
	return x < high ? x : high;
}

/* ---------- elements, one at a time ---------- */

static inline float
float_of_bits(uint32_t bits)
{
	float		f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

static inline uint32_t
bits_of_float(float f)
{
	uint32_t	bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

static inline float
half_to_float_1(uint16_t h)
{
	uint32_t	sign = (uint32_t) (h & 0x8000) << 16;
	uint32_t	exponent = (h >> 10) & 0x1f;
	uint32_t	fraction = h & 0x3ff;
	uint32_t	bits;

	if (exponent == 31)
		bits = 0x7f800000 | fraction << 13 | (fraction != 0 ? 0x400000 : 0);
	else if (exponent != 0)
		bits = (exponent + 112) << 23 | fraction << 13;
	else
		bits = bits_of_float((float) fraction * 0x1p-24f);
	return float_of_bits(sign | bits);
}

static inline uint16_t
float_to_half_1(float f)
{
	uint32_t	bits = bits_of_float(f);
	uint32_t	sign = (bits >> 16) & 0x8000;
	uint32_t	half;

	bits &= 0x7fffffff;
	if (bits > 0x7f800000)
		half = 0x7e00 | ((bits >> 13) & 0x3ff);
	else if (bits >= 0x477ff000)
		half = 0x7c00;
	else if (bits >= 0x38800000)
	{
		/* a carry out of the fraction raises the exponent, as it should */
		bits += 0xfff + ((bits >> 13) & 1);
		half = (bits - 0x38000000) >> 13;
	}
	else
	{
		/* 0.5 has the spacing of a half's smallest number: the sum rounds */
		half = bits_of_float(float_of_bits(bits) + 0.5f) - 0x3f000000;
	}
	return (uint16_t) (sign | half);
}

static inline float
bf16_to_float_1(uint16_t b)
{
	uint32_t	bits = (uint32_t) b << 16;

	return float_of_bits((b & 0x7fff) > 0x7f80 ? bits | 0x400000 : bits);
}

static inline uint16_t
float_to_bf16_1(float f)
{
	uint32_t	bits = bits_of_float(f);

	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t) (bits >> 16 | 0x40);
	return (uint16_t) ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

/* element i as a float; a constant where the functions below inline */
typedef float (*LoadElement) (const void *vector, int i);

static inline float
load_f32(const void *vector, int i)
{
	float		f;

	memcpy(&f, (const char *) vector + sizeof(f) * i, sizeof(f));
	return f;
}

static inline uint16_t
load_16(const void *vector, int i)
{
	uint16_t	h;

	memcpy(&h, (const char *) vector + sizeof(h) * i, sizeof(h));
	return h;
}

static inline float
load_f16(const void *vector, int i)
{
	return half_to_float_1(load_16(vector, i));
}

static inline float
load_bf16(const void *vector, int i)
{
	return bf16_to_float_1(load_16(vector, i));
}

/* ---------- pairs ---------- */

static inline __attribute__((always_inline)) double
template_pair_l2(const void *a, const void *b, int dim, LoadElement load)
{
	float		lane[SUM_LANES] = {0};

	for (int i = 0; i < dim; i++)
	{
		float		diff = load(a, i) - load(b, i);

		lane[i % SUM_LANES] = fmaf(diff, diff, lane[i % SUM_LANES]);
	}
	return add_lanes_f32(lane);
}

static inline __attribute__((always_inline)) double
template_pair_dot(const void *a, const void *b, int dim, LoadElement load)
{
	float		lane[SUM_LANES] = {0};

	for (int i = 0; i < dim; i++)
		lane[i % SUM_LANES] = fmaf(load(a, i), load(b, i),
								   lane[i % SUM_LANES]);
	return add_lanes_f32(lane);
}

static inline __attribute__((always_inline)) double
template_pair_l1(const void *a, const void *b, int dim, LoadElement load)
{
	float		lane[SUM_LANES] = {0};

	for (int i = 0; i < dim; i++)
		lane[i % SUM_LANES] += fabsf(load(a, i) - load(b, i));
	return add_lanes_f32(lane);
}

static inline double
template_pair_dot_f64(const float *a, const float *b, int dim)
{
	double		lane[SUM_LANES] = {0};

	for (int i = 0; i < dim; i++)
		lane[i % SUM_LANES] += (double) a[i] * (double) b[i];
	return add_lanes_f64(lane);
}

/*
 * dot is the pair kernel of the elements, of element_size bytes; a constant
 * where this inlines.
 */
static inline __attribute__((always_inline)) double
template_maxsim(double (*dot) (const void *, const void *, int),
				size_t element_size, const void *query, size_t query_stride,
				int m, const void *document, size_t document_stride, int n,
				int dim)
{
	double		sum = 0;

	for (int i = 0; i < m; i++)
	{
		const char *q = (const char *) query + i * query_stride * element_size;
		double		greatest = -INFINITY;

		for (int j = 0; j < n; j++)
		{
			double		d = dot(q, (const char *) document +
								j * document_stride * element_size, dim);

			/* once it is NaN it stays so: no comparison holds */
			if (!(d <= greatest))
				greatest = greatest == greatest ? d : greatest;
		}
		sum += greatest;
	}
	return canonical_f64(sum);
}

/* ---------- vector operations ---------- */

static inline void
template_hadamard(float *x, int n, float scale)
{
	for (int half = 1; half < n; half *= 2)
		for (int start = 0; start < n; start += 2 * half)
			for (int i = start; i < start + half; i++)
			{
				float		low = x[i];
				float		high = x[i + half];

				x[i] = low + high;
				x[i + half] = low - high;
			}
	for (int i = 0; i < n; i++)
		x[i] *= scale;
}

static inline void
template_subtract_code(const float *p, float a, const int8_t *code, int dim,
					   float *y)
{
	for (int i = 0; i < dim; i++)
	{
		float		product = a * (float) code[i];

		y[i] = p[i] - product;
	}
}

static inline void
template_subtract(const float *a, const float *b, int dim, float *y)
{
	for (int i = 0; i < dim; i++)
		y[i] = a[i] - b[i];
}

static inline float
max_abs(const float *p, int dim)
{
	float		max = 0.0f;

	for (int i = 0; i < dim; i++)
	{
		float		magnitude = fabsf(p[i]);

		max = magnitude > max ? magnitude : max;
	}
	return max;
}

/* sums of a quantisation or a code trial, over the canonical lanes */
typedef struct CodeSums
{
	double		dot[SUM_LANES];
	double		norm2[SUM_LANES];	/* of the vector; quantisation only */
	int32_t		code_sum;
	int32_t		code_norm2;
} CodeSums;

/* elements first .. dim - 1; an ISA does the whole 32s before them itself */
static inline void
quantize_span(const float *p, int first, int dim, float inverse, int8_t *code,
			  CodeSums *sums)
{
	for (int i = first; i < dim; i++)
	{
		float		c = round_even(clamp_f32(p[i] * inverse, -127.0f, 127.0f));
		double		wide = p[i];

		code[i] = (int8_t) c;
		sums->code_sum += code[i];
		sums->code_norm2 += code[i] * code[i];
		sums->dot[i % SUM_LANES] += wide * (double) c;
		sums->norm2[i % SUM_LANES] += wide * wide;
	}
}

/*
 * A vector so small that 127 / max|p| overflows gets zero codes: its error is
 * then its whole norm, which is safe.  NaN gets -127, and a NaN error.
 */
static inline float
quantize_inverse(float max)
{
	float		inverse = 127.0f / max;

	return inverse <= 3.0e38f ? inverse : 0.0f;
}

/*
 * From the three sums.  |p - s c|^2 = |p|^2 - s (2 <p,c> - s <c,c>): a second
 * pass over the vector would only spare the rounding of three double sums, at
 * most 2^-42 |p|^2 at VK_MAX_DIM, which ERROR_SLACK covers.
 */
#define ERROR_SLACK		0x1p-40

static inline void
quantize_result(double dot, double norm2, int32_t code_sum, int64_t code_norm2,
				VkQuantized *out)
{
	double		error2;

	out->sum = code_sum;
	out->norm2 = code_norm2;
	out->scale = code_norm2 == 0 ? 0.0f : (float) (dot / (double) code_norm2);
	out->vector_norm2 = norm2;
	error2 = norm2 - (double) out->scale *
		(2.0 * dot - (double) out->scale * (double) code_norm2);
	error2 = (error2 > 0.0 ? error2 : 0.0) + ERROR_SLACK * norm2;
	out->error2 = error_or_nan(out->scale, error2);
}

static inline void
template_quantize_i8(const float *p, int dim, int8_t *code, VkQuantized *out)
{
	CodeSums	sums = {{0}, {0}, 0, 0};

	quantize_span(p, 0, dim, quantize_inverse(max_abs(p, dim)), code, &sums);
	quantize_result(add_lanes_f64(sums.dot), add_lanes_f64(sums.norm2),
					sums.code_sum, sums.code_norm2, out);
}

/* what a code trial makes of y: u = round(clamp(scale y + shift)) */
typedef struct CodeGrid
{
	float		scale;
	float		shift;
	float		low;
	float		high;
	int			mult;			/* value = mult u - offset */
	int			offset;
} CodeGrid;

static inline CodeGrid
code_grid(VkFormat format, float inv_step)
{
	CodeGrid	grid;

	grid.mult = vk_format_mult(format);
	grid.offset = vk_format_offset(format);
	grid.scale = inv_step / (float) grid.mult;
	grid.shift = (float) grid.offset / (float) grid.mult;
	grid.low = format == VK_FORMAT_B8 ? 1.0f : 0.0f;
	grid.high = (float) ((1 << vk_format_bits[format]) - 1);
	return grid;
}

static inline void
code_trial_span(const float *y, int first, int dim, const CodeGrid *grid,
				uint8_t *codes, CodeSums *sums)
{
	for (int i = first; i < dim; i++)
	{
		float		u = round_even(clamp_f32(y[i] * grid->scale + grid->shift,
											 grid->low, grid->high));
		int			c = grid->mult * (int) u - grid->offset;

		codes[i] = (uint8_t) (int) u;
		sums->code_norm2 += c * c;
		sums->dot[i % SUM_LANES] += (double) y[i] * (double) c;
	}
}

static inline void
template_code_trial(const float *y, int dim, VkFormat format, float inv_step,
					uint8_t *codes, VkTrial *out)
{
	CodeSums	sums = {{0}, {0}, 0, 0};
	CodeGrid	grid = code_grid(format, inv_step);

	code_trial_span(y, 0, dim, &grid, codes, &sums);
	out->dot = add_lanes_f64(sums.dot);
	out->norm2 = sums.code_norm2;
}

static inline void
code_error_span(const float *y, int first, int dim, VkFormat format, float a,
				const uint8_t *codes, double *error2)
{
	int			mult = vk_format_mult(format);
	int			offset = vk_format_offset(format);

	for (int i = first; i < dim; i++)
	{
		int			c = mult * codes[i] - offset;
		double		diff = (double) y[i] - (double) a * (double) c;

		error2[i % SUM_LANES] += diff * diff;
	}
}

/*
 * The first loop only asks whether any centroid of a run is an improvement,
 * which few runs have: that vectorises where the search for the place of a
 * minimum does not.  A run has pointers of its own: with -fwrapv, gcc takes
 * array[run + i] for a gather.
 */
static inline void
template_nearest(const int32_t *restrict dots, const float *restrict scales,
				 const float *restrict norms2, int count, int32_t correction,
				 float twice_scale, int32_t first, float *restrict distance,
				 int32_t *restrict nearest)
{
	float		best = *distance;
	float		distances[NEAREST_RUN];

	for (int run = 0; run < count; run += NEAREST_RUN)
	{
		const int	n = count - run < NEAREST_RUN ? count - run : NEAREST_RUN;
		const int32_t *restrict dot = dots + run;
		const float *restrict scale = scales + run;
		const float *restrict norm2 = norms2 + run;
		int			improved = 0;

		for (int i = 0; i < n; i++)
		{
			distances[i] = norm2[i] -
				(float) (dot[i] - correction) * (twice_scale * scale[i]);
			improved |= distances[i] < best;
		}
		for (int i = 0; improved && i < n; i++)
			if (distances[i] < best)
			{
				best = distances[i];
				*nearest = first + run + i;
			}
	}
	*distance = best;
}

static inline double
template_code_error2(const float *y, int dim, VkFormat format, float a,
					 const uint8_t *codes)
{
	double		error2[SUM_LANES] = {0};

	code_error_span(y, 0, dim, format, a, codes, error2);
	return error_or_nan(a, add_lanes_f64(error2));
}

#endif							/* VK_TEMPLATE_VECTOR_H */
