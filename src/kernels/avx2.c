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

static inline void
short_to_float_16(const uint16_t *u, float *f)
{
	for (int i = 0; i < VK_LANES; i += 8)
		_mm256_storeu_ps(f + i, _mm256_cvtepi32_ps(
									_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *) (u + i)))));
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
#include "template_screen.h"
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

/* ---------- integers ---------- */

static inline __m256i
load_bytes(const void *p)
{
	return _mm256_loadu_si256(p);
}

static inline __m256i
broadcast_dword(const void *p)
{
	int32_t		dword;

	memcpy(&dword, p, sizeof(dword));
	return _mm256_set1_epi32(dword);
}

static inline int32_t
add_int_lanes(__m256i sum)
{
	__m128i		sum4 = _mm_add_epi32(_mm256_castsi256_si128(sum),
									 _mm256_extracti128_si256(sum, 1));
	__m128i		sum2 = _mm_add_epi32(sum4, _mm_shuffle_epi32(sum4, 0x4e));

	return _mm_cvtsi128_si32(_mm_add_epi32(sum2, _mm_shuffle_epi32(sum2, 0xb1)));
}

/* pairs of bfloat16 as floats: the low ones, the high ones */
static inline __m256
low_bf16(__m256i pairs)
{
	return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
}

static inline __m256
high_bf16(__m256i pairs)
{
	return _mm256_castsi256_ps(_mm256_and_si256(pairs,
												_mm256_set1_epi32((int) 0xffff0000)));
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

#include "avx2_pair.h"
#include "avx2_scan.h"
#include "avx2_vector.h"
#include "template_tile.h"
#include "avx2_tile.h"
#include "avx2_dense.h"

/* ---------- the table ---------- */

const bool	vk_avx2_built = true;

static const VkKernels avx2_kernels = {
	.pair_l2 = {pair_l2_f32, pair_l2_f16, pair_l2_bf16, pair_l2_i8},
	.pair_dot = {pair_dot_f32, pair_dot_f16, pair_dot_bf16, pair_dot_i8},
	.pair_l1 = {pair_l1_f32, pair_l1_f16, pair_l1_bf16, pair_l1_i8},
	.pair_cosine = {pair_cosine_f32, pair_cosine_f16, pair_cosine_bf16,
	pair_cosine_i8},
	.pair_dot_f64 = pair_dot_f64,
	.pair_hamming = pair_hamming,
	.pair_jaccard = pair_jaccard,
	.pack_query = {pack_plain, pack_plain, pack_plain, pack_scan_b8},
	.scan = {scan_b1, scan_b2, scan_b4, scan_b8},
	.scan_float = {scan_f16, scan_f32, scan_bf16},
	.scan_l1 = scan_l1,
	.scan_hamming = scan_hamming,
	.scan_common = scan_common,
	.pack_row = {pack_row_b4, pack_plain},
	.row = {row_b4, row_b8},
	.pack_tile = {pack_tile, pack_tile, pack_tile, pack_tile_wide},
	.tile = {tile_b1, tile_b2, tile_b4, tile_b8},
	.tile_screen = {tile_screen_b1, tile_screen_b2, tile_screen_b4,
	tile_screen_b8},
	.tile_f32 = tile_f32,
	.pack_dense = {pack_dense_f32, pack_dense_bf16},
	.tile_dense = {tile_dense_f32, tile_dense_bf16},
	.maxsim = {maxsim_f32, maxsim_f16, maxsim_bf16, maxsim_i8},
	.nearest = template_nearest,
	.bound_flat = template_bound_flat,
	.bound_list = template_bound_list,
	.bound_list_proven = template_bound_list_proven,
	.bound_flat_l1 = template_bound_flat_l1,
	.bound_list_l1 = template_bound_list_l1,
	.bound_list_l1_proven = template_bound_list_l1_proven,
	.screen_flat = template_screen_flat,
	.screen_list = template_screen_list,
	.screen_list_proven = template_screen_list_proven,
	.screen = screen,
	.screen_blocks = template_screen_blocks,
	.hadamard = hadamard,
	.subtract_code = template_subtract_code,
	.subtract = template_subtract,
	.quantize_i8 = quantize_i8,
	.code_trial = code_trial,
	.code_error2 = code_error2,
	.half_to_float = half_to_float,
	.float_to_half = float_to_half,
	.bf16_to_float = bf16_to_float,
	.float_to_bf16 = float_to_bf16,
};

/* 1-bit scans stay: eight masks a line take the time */
static void
fill_vnni(VkKernels *kernels)
{
	kernels->pack_query[VK_FORMAT_B8] = pack_plain;
	kernels->scan[VK_FORMAT_B2] = scan_b2_vnni;
	kernels->scan[VK_FORMAT_B4] = scan_b4_vnni;
	kernels->scan[VK_FORMAT_B8] = scan_b8_vnni;
	kernels->row[1] = row_b8_vnni;
	kernels->pack_tile[VK_FORMAT_B8] = pack_tile;
	kernels->tile[VK_FORMAT_B1] = tile_b1_vnni;
	kernels->tile[VK_FORMAT_B2] = tile_b2_vnni;
	kernels->tile[VK_FORMAT_B4] = tile_b4_vnni;
	kernels->tile[VK_FORMAT_B8] = tile_b8_vnni;
	kernels->tile_screen[VK_FORMAT_B1] = tile_screen_b1_vnni;
	kernels->tile_screen[VK_FORMAT_B2] = tile_screen_b2_vnni;
	kernels->tile_screen[VK_FORMAT_B4] = tile_screen_b4_vnni;
	kernels->tile_screen[VK_FORMAT_B8] = tile_screen_b8_vnni;
}

/* every slot, so nothing of the table's is kept */
void
vk_avx2_fill(VkKernels *kernels, uint64_t cpu_features)
{
	*kernels = avx2_kernels;
	if (cpu_features & VK_CPU_AVX_VNNI)
		fill_vnni(kernels);
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
