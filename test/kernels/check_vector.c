/*-------------------------------------------------------------------------
 *
 * check_vector.c
 *	  Vector operations for codes: the reference's bits, and their meaning.
 *
 * IDENTIFICATION
 *	  test/kernels/check_vector.c
 *
 *-------------------------------------------------------------------------
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* one vector in, the same through the reference */
typedef struct Vectors
{
	float	   *x;				/* input */
	float	   *got;			/* output of the kernel under test */
	float	   *want;			/* output of the reference */
	int			dim;
	const char *words;			/* name of the pattern */
} Vectors;

static void
check_hadamard(VkCheckRun *run, int pattern)
{
	for (int n = 1; n <= 16384; n *= 2)
	{
		size_t		size = n * sizeof(float);
		float	   *got = vk_buffer(0, size, vk_random_below(run, 2), 4);
		float	   *want = vk_buffer(1, size, true, 0);
		double		norm2;

		vk_fill_pattern(run, pattern, got, n);
		memcpy(want, got, size);
		norm2 = run->ref->pair_dot_f64(got, got, n);
		VK_CALL(run, hadamard) (got, n, 1 / sqrtf((float) n));
		run->ref->hadamard(want, n, 1 / sqrtf((float) n));
		vk_check(run, vk_same_floats(got, want, n) && vk_buffer_intact(0, got, size),
				 "hadamard %d %s differs from ref", n, vk_pattern_names[pattern]);
		if (pattern != 0)
			continue;
		vk_check(run, fabs(run->ref->pair_dot_f64(got, got, n) / norm2 - 1) < 1e-5,
				 "hadamard %d does not keep the norm", n);
		VK_CALL(run, hadamard) (got, n, 1.0f);
		VK_CALL(run, hadamard) (got, n, 1.0f / (float) n);
		for (int i = 0; i < n; i++)
			vk_check(run, fabsf(got[i] - want[i]) <= 1e-4f,
					 "hadamard %d twice is not the identity at %d", n, i);
	}
}

/* dots in a small range, so that there are ties */
static void
check_nearest(VkCheckRun *run)
{
	for (int count = 0; count <= 200; count++)
	{
		int32_t    *dots = vk_buffer(0, count * sizeof(int32_t), vk_random_below(run, 2), 4);
		float	   *scales = vk_buffer(1, count * sizeof(float), vk_random_below(run, 2), 4);
		float	   *norms2 = vk_buffer(2, count * sizeof(float), vk_random_below(run, 2), 4);
		int32_t		correction = (int32_t) vk_random_below(run, 100);
		float		distance = INFINITY;
		int32_t		nearest = -1;
		float		want = INFINITY;
		int32_t		want_nearest = -1;

		for (int i = 0; i < count; i++)
		{
			float		got;

			dots[i] = (int32_t) vk_random_below(run, 50);
			scales[i] = 0.25f * (float) (1 + vk_random_below(run, 3));
			norms2[i] = (float) vk_random_below(run, 20);
			got = norms2[i] - (float) (dots[i] - correction) * (1.5f * scales[i]);
			if (got < want)
			{
				want = got;
				want_nearest = 1000 + i;
			}
		}
		VK_CALL(run, nearest) (dots, scales, norms2, count, correction, 1.5f, 1000,
							  &distance, &nearest);
		vk_check(run, vk_same_f32(distance, want) && nearest == want_nearest,
				 "nearest of %d: %d, not %d", count, nearest, want_nearest);
	}
}

static void
check_quantize(VkCheckRun *run, const Vectors *v, int pattern)
{
	int8_t	   *got_code = vk_buffer(3, v->dim, vk_random_below(run, 2),
									 vk_random_below(run, 64));
	int8_t	   *want_code = malloc(v->dim + 1);
	VkQuantized got;
	VkQuantized want;
	VkWide		error = {0, 0};

	VK_CALL(run, quantize_i8) (v->x, v->dim, got_code, &got);
	run->ref->quantize_i8(v->x, v->dim, want_code, &want);
	vk_check(run, memcmp(got_code, want_code, v->dim) == 0 &&
			 vk_buffer_intact(3, got_code, v->dim),
			 "quantize_i8 dim %d %s: codes differ from ref", v->dim, v->words);
	vk_check(run, vk_same_f32(got.scale, want.scale) && got.sum == want.sum &&
			 got.norm2 == want.norm2 && vk_same_f64(got.error2, want.error2) &&
			 vk_same_f64(got.vector_norm2, want.vector_norm2),
			 "quantize_i8 dim %d %s: sums differ from ref", v->dim, v->words);
	for (int i = 0; i < v->dim; i++)
	{
		double		diff = v->x[i] - (double) got.scale * got_code[i];

		vk_check(run, got_code[i] >= -127, "quantize_i8 gives -128");
		vk_wide_add_product(&error, diff, diff);
	}
	if (pattern < VK_PATTERN_FINITE && fabsf(got.scale) <= FLT_MAX)
		vk_check(run, got.error2 >= error.high &&
				 got.error2 - error.high <= 0x1p-39 * got.vector_norm2,
				 "quantize_i8 dim %d %s: error %.17g, truth %.17g", v->dim,
				 v->words, got.error2, error.high);
	free(want_code);
}

static void
check_code(VkCheckRun *run, const Vectors *v, VkFormat format)
{
	const int	bits = vk_format_bits[format];
	const float inv_step = (float) exp2(4 * vk_random_unit(run) - 2) *
		(float) (1 << bits) / 4;
	const float a = (float) vk_random_normal(run);
	uint8_t    *got_code = vk_buffer(3, v->dim, vk_random_below(run, 2),
									 vk_random_below(run, 64));
	uint8_t    *want_code = malloc(v->dim + 1);
	VkTrial		got;
	VkTrial		want;
	int64_t		norm2 = 0;

	VK_CALL(run, code_trial) (v->x, v->dim, format, inv_step, got_code, &got);
	run->ref->code_trial(v->x, v->dim, format, inv_step, want_code, &want);
	vk_check(run, memcmp(got_code, want_code, v->dim) == 0 &&
			 vk_buffer_intact(3, got_code, v->dim),
			 "code_trial %d bits dim %d %s: codes differ from ref", bits, v->dim,
			 v->words);
	vk_check(run, vk_same_f64(got.dot, want.dot) && got.norm2 == want.norm2,
			 "code_trial %d bits dim %d %s: sums differ from ref", bits, v->dim,
			 v->words);
	for (int i = 0; i < v->dim; i++)
	{
		int			c = bits == 8 ? got_code[i] - 128 :
			2 * got_code[i] - ((1 << bits) - 1);
		float		step = bits == 8 ? 1 : 2;
		float		limit = bits == 8 ? 127 : (float) ((1 << bits) - 1);
		float		t = fminf(fmaxf(v->x[i] * inv_step, -limit), limit);

		norm2 += c * c;
		vk_check(run, abs(c) <= (int) limit &&
				 (t != t || fabsf(t - (float) c) <= step / 2 + 1e-4f),
				 "code_trial %d bits dim %d %s: %g became %d", bits, v->dim,
				 v->words, t, c);
	}
	vk_check(run, got.norm2 == norm2, "code_trial %d bits dim %d: wrong norm",
			 bits, v->dim);
	vk_check(run, vk_same_f64(VK_CALL(run, code_error2) (v->x, v->dim, format, a, got_code),
							  run->ref->code_error2(v->x, v->dim, format, a, got_code)),
			 "code_error2 %d bits dim %d %s differs from ref", bits, v->dim,
			 v->words);
	free(want_code);
}

static void
check_elementwise(VkCheckRun *run, const Vectors *v)
{
	const size_t size = v->dim * sizeof(float);
	int8_t	   *code = vk_buffer(3, v->dim, true, 0);
	float		a = (float) vk_random_normal(run);

	for (int i = 0; i < v->dim; i++)
		code[i] = (int8_t) (vk_random_below(run, 255) - 127);
	VK_CALL(run, subtract_code) (v->x, a, code, v->dim, v->got);
	for (int i = 0; i < v->dim; i++)
	{
		volatile float product = a * (float) code[i];

		v->want[i] = v->x[i] - product;
	}
	vk_check(run, vk_same_floats(v->got, v->want, v->dim) &&
			 vk_buffer_intact(1, v->got, size),
			 "subtract_code dim %d %s", v->dim, v->words);
	VK_CALL(run, subtract) (v->x, v->want, v->dim, v->got);
	run->ref->subtract(v->x, v->want, v->dim, v->want);
	vk_check(run, vk_same_floats(v->got, v->want, v->dim) &&
			 vk_buffer_intact(1, v->got, size),
			 "subtract dim %d %s", v->dim, v->words);
}

void
vk_check_vectors(VkCheckRun *run)
{
	check_nearest(run);
	for (int pattern = 0; pattern < VK_PATTERNS; pattern++)
	{
		check_hadamard(run, pattern);
		for (int d = vk_check_first(run); d < vk_check_dim_count;
			 d += vk_check_step(run))
		{
			Vectors		v;
			size_t		size = vk_check_dims[d] * sizeof(float);

			v.dim = vk_check_dims[d];
			v.words = vk_pattern_names[pattern];
			v.x = vk_buffer(0, size, vk_random_below(run, 2), 4);
			v.got = vk_buffer(1, size, vk_random_below(run, 2), 8);
			v.want = vk_buffer(2, size, true, 0);
			vk_fill_pattern(run, pattern, v.x, v.dim);
			check_quantize(run, &v, pattern);
			for (int format = 0; format < VK_INT_FORMATS; format++)
				check_code(run, &v, (VkFormat) format);
			check_elementwise(run, &v);
		}
	}
}
