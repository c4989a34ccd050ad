/*-------------------------------------------------------------------------
 *
 * avx2.c
 *	  Kernels for AVX2 with FMA and F16C: Haswell, Zen 1 and later.
 *
 * NOTES
 *	  Codes of 1 to 4 bits meet the int8 query in VPMADDUBSW, whose 16-bit
 *	  sums cannot saturate there: 15 x 127 x 2 fields x 2 is below 2^15.  Codes
 *	  of 8 bits could, so they are split into even and odd bytes, widened to 16
 *	  bits, and go through VPMADDWD, which is exact.
 *
 *	  Packed queries: the int8 query padded with zeros (scans of 1 to 4 bits,
 *	  8-bit rows); for each line of an 8-bit scan q0, q2, q1, q3 as int16; for
 *	  each 32 bytes of a 4-bit row 32 even and then 32 odd dimensions.
 *
 * IDENTIFICATION
 *	  src/kernels/avx2.c
 *
 *-------------------------------------------------------------------------
 */
#include "isa.h"

#if defined(__x86_64__) && !defined(VK_NO_AVX2)

#include <immintrin.h>
#include <math.h>
#include <string.h>

static inline void
half_to_float_16(const uint16_t *h, float *f)
{
	_mm256_storeu_ps(f, _mm256_cvtph_ps(_mm_loadu_si128((const void *) h)));
	_mm256_storeu_ps(f + 8,
					 _mm256_cvtph_ps(_mm_loadu_si128((const void *) (h + 8))));
}

static inline uint32_t
mask_not_above(const float *lower, float threshold)
{
	__m256		limit = _mm256_set1_ps(threshold);
	__m256		low = _mm256_cmp_ps(_mm256_loadu_ps(lower), limit, _CMP_NGT_UQ);
	__m256		high = _mm256_cmp_ps(_mm256_loadu_ps(lower + 8), limit,
									 _CMP_NGT_UQ);

	return (uint32_t) _mm256_movemask_ps(low) |
		(uint32_t) _mm256_movemask_ps(high) << 8;
}

#include "template_bound.h"
#include "template_vector.h"

/* up to 8 floats of which n are there, zeros after them */
static inline __m256
load_floats(const float *p, int n)
{
	static const int32_t masks[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

	if (n >= 8)
		return _mm256_loadu_ps(p);
	if (n <= 0)
		return _mm256_setzero_ps();
	return _mm256_maskload_ps(p, _mm256_loadu_si256((const void *) (masks + 8 - n)));
}

/* ---------- canonical sums: part i is lanes 8 i .. 8 i + 7 ---------- */

typedef struct Sum32
{
	__m256		part[4];
} Sum32;

static inline Sum32
sum32_zero(void)
{
	Sum32		sum;

	for (int i = 0; i < 4; i++)
		sum.part[i] = _mm256_setzero_ps();
	return sum;
}

static inline float
sum32_add_lanes(const Sum32 *sum)
{
	__m256		sum8 = _mm256_add_ps(_mm256_add_ps(sum->part[0], sum->part[2]),
									 _mm256_add_ps(sum->part[1], sum->part[3]));
	__m128		sum4 = _mm_add_ps(_mm256_castps256_ps128(sum8),
								  _mm256_extractf128_ps(sum8, 1));
	__m128		sum2 = _mm_add_ps(sum4, _mm_movehl_ps(sum4, sum4));

	return canonical_f32(_mm_cvtss_f32(_mm_add_ss(sum2,
												  _mm_movehdup_ps(sum2))));
}

static inline __m256
absolute(__m256 x)
{
	return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

/* ---------- pairs ---------- */

/* n floats left of both, 32 or more in the loop, where it is a constant */
static inline void
add_l2(Sum32 *sum, const float *a, const float *b, int n)
{
	for (int i = 0; i < 4; i++)
	{
		__m256		diff = _mm256_sub_ps(load_floats(a + 8 * i, n - 8 * i),
										 load_floats(b + 8 * i, n - 8 * i));

		sum->part[i] = _mm256_fmadd_ps(diff, diff, sum->part[i]);
	}
}

static inline void
add_dot(Sum32 *sum, const float *a, const float *b, int n)
{
	for (int i = 0; i < 4; i++)
		sum->part[i] = _mm256_fmadd_ps(load_floats(a + 8 * i, n - 8 * i),
									   load_floats(b + 8 * i, n - 8 * i),
									   sum->part[i]);
}

static inline void
add_l1(Sum32 *sum, const float *a, const float *b, int n)
{
	for (int i = 0; i < 4; i++)
		sum->part[i] = _mm256_add_ps(sum->part[i],
									 absolute(_mm256_sub_ps(load_floats(a + 8 * i, n - 8 * i),
															load_floats(b + 8 * i, n - 8 * i))));
}

static float
pair_l2_f32(const float *a, const float *b, int dim)
{
	Sum32		sum = sum32_zero();
	int			i = 0;

	for (; i + 32 <= dim; i += 32)
		add_l2(&sum, a + i, b + i, 32);
	if (i < dim)
		add_l2(&sum, a + i, b + i, dim - i);
	return sum32_add_lanes(&sum);
}

static float
pair_dot_f32(const float *a, const float *b, int dim)
{
	Sum32		sum = sum32_zero();
	int			i = 0;

	for (; i + 32 <= dim; i += 32)
		add_dot(&sum, a + i, b + i, 32);
	if (i < dim)
		add_dot(&sum, a + i, b + i, dim - i);
	return sum32_add_lanes(&sum);
}

static float
pair_l1_f32(const float *a, const float *b, int dim)
{
	Sum32		sum = sum32_zero();
	int			i = 0;

	for (; i + 32 <= dim; i += 32)
		add_l1(&sum, a + i, b + i, 32);
	if (i < dim)
		add_l1(&sum, a + i, b + i, dim - i);
	return sum32_add_lanes(&sum);
}

static void
pair_cosine_f32(const float *a, const float *b, int dim, float out[3])
{
	Sum32		dot = sum32_zero();
	Sum32		a_norm = sum32_zero();
	Sum32		b_norm = sum32_zero();
	int			i = 0;

	for (; i + 32 <= dim; i += 32)
	{
		add_dot(&dot, a + i, b + i, 32);
		add_dot(&a_norm, a + i, a + i, 32);
		add_dot(&b_norm, b + i, b + i, 32);
	}
	if (i < dim)
	{
		add_dot(&dot, a + i, b + i, dim - i);
		add_dot(&a_norm, a + i, a + i, dim - i);
		add_dot(&b_norm, b + i, b + i, dim - i);
	}
	out[0] = sum32_add_lanes(&dot);
	out[1] = sum32_add_lanes(&a_norm);
	out[2] = sum32_add_lanes(&b_norm);
}

/* ---------- double sums: part i is lanes 4 i .. 4 i + 3 ---------- */

typedef struct Sum64
{
	__m256d		part[8];
} Sum64;

static inline Sum64
sum64_zero(void)
{
	Sum64		sum;

	for (int i = 0; i < 8; i++)
		sum.part[i] = _mm256_setzero_pd();
	return sum;
}

static inline void
sum64_store(const Sum64 *sum, double *lane)
{
	for (int i = 0; i < 8; i++)
		_mm256_storeu_pd(lane + 4 * i, sum->part[i]);
}

static inline __m256d
load_wide(const float *p)
{
	return _mm256_cvtps_pd(_mm_loadu_ps(p));
}

static double
pair_dot_f64(const float *a, const float *b, int dim)
{
	Sum64		sum = sum64_zero();
	double		lane[SUM_LANES];
	int			i = 0;

	for (; i + SUM_LANES <= dim; i += SUM_LANES)
		for (int j = 0; j < 8; j++)
			sum.part[j] = _mm256_fmadd_pd(load_wide(a + i + 4 * j),
										  load_wide(b + i + 4 * j), sum.part[j]);
	sum64_store(&sum, lane);
	for (; i < dim; i++)
		lane[i % SUM_LANES] += (double) a[i] * (double) b[i];
	return add_lanes_f64(lane);
}

#include "avx2_scan.h"
#include "avx2_vector.h"

/* ---------- the table ---------- */

const bool	vk_avx2_built = true;

void
vk_avx2_fill(VkKernels *kernels, uint64_t cpu_features)
{
	(void) cpu_features;

	kernels->pair_l2_f32 = pair_l2_f32;
	kernels->pair_dot_f32 = pair_dot_f32;
	kernels->pair_l1_f32 = pair_l1_f32;
	kernels->pair_cosine_f32 = pair_cosine_f32;
	kernels->pair_dot_f64 = pair_dot_f64;
	kernels->pack_query[VK_FORMAT_B1] = pack_plain;
	kernels->pack_query[VK_FORMAT_B2] = pack_plain;
	kernels->pack_query[VK_FORMAT_B4] = pack_plain;
	kernels->pack_query[VK_FORMAT_B8] = pack_scan_b8;
	kernels->scan[VK_FORMAT_B1] = scan_b1;
	kernels->scan[VK_FORMAT_B2] = scan_b2;
	kernels->scan[VK_FORMAT_B4] = scan_b4;
	kernels->scan[VK_FORMAT_B8] = scan_b8;
	kernels->scan_float[0] = scan_f16;
	kernels->scan_float[1] = scan_f32;
	kernels->pack_row[0] = pack_row_b4;
	kernels->pack_row[1] = pack_plain;
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

const bool	vk_avx2_built = false;

void
vk_avx2_fill(VkKernels *kernels, uint64_t cpu_features)
{
	(void) kernels;
	(void) cpu_features;
}

#endif
