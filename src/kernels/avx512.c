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
 *	  Packed scan queries of 2 to 8 bits are the int8 query padded with zeros,
 *	  those of 1 bit tables; packed rows hold, for each 64 bytes of a 4-bit
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
#include <stdlib.h>
#include <string.h>

static inline void
half_to_float_16(const uint16_t *h, float *f)
{
	_mm512_storeu_ps(f, _mm512_cvtph_ps(_mm256_loadu_si256((const void *) h)));
}

static inline void
short_to_float_16(const uint16_t *u, float *f)
{
	_mm512_storeu_ps(f, _mm512_cvtepi32_ps(
							_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *) u))));
}

static inline uint32_t
mask_not_above(const float *lower, float threshold)
{
	return _mm512_cmp_ps_mask(_mm512_loadu_ps(lower),
							  _mm512_set1_ps(threshold), _CMP_NGT_UQ);
}

#include "template_bound.h"
#include "template_screen.h"
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

#include "avx512_pair.h"
#include "avx512_scan.h"
#include "avx512_bits.h"
#include "avx512_vector.h"
#include "template_tile.h"
#include "avx512_tile.h"
#include "avx512_dense.h"
#include "avx512_maxsim.h"

/* ---------- the table ---------- */

const bool	vk_avx512_built = true;

static const VkKernels avx512_kernels = {
	.pair_l2 = {pair_l2_f32, pair_l2_f16, pair_l2_bf16, pair_l2_i8},
	.pair_dot = {pair_dot_f32, pair_dot_f16, pair_dot_bf16, pair_dot_i8},
	.pair_l1 = {pair_l1_f32, pair_l1_f16, pair_l1_bf16, pair_l1_i8},
	.pair_cosine = {pair_cosine_f32, pair_cosine_f16, pair_cosine_bf16,
	pair_cosine_i8},
	.pair_dot_f64 = pair_dot_f64,
	.pair_hamming = pair_hamming,
	.pair_jaccard = pair_jaccard,
	.pack_query = {pack_query_b1, pack_plain, pack_plain, pack_plain},
	.scan = {scan_b1, scan_b2, scan_b4, scan_b8},
	.scan_float = {scan_f16, scan_f32, scan_bf16},
	.scan_l1 = scan_l1,
	.scan_hamming = scan_hamming,
	.scan_common = scan_common,
	.pack_row = {pack_row_b4, pack_row_b8},
	.row = {row_b4, row_b8},
	.pack_tile = {pack_tile_b1, pack_tile, pack_tile, pack_tile},
	.tile = {tile_b1, tile_b2, tile_b4, tile_b8},
	.tile_screen = {tile_screen_b1, tile_screen_b2, tile_screen_b4,
	tile_screen_b8},
	.tile_f32 = tile_f32,
	.pack_dense = {pack_dense_f32, pack_dense_bf16},
	.tile_dense = {tile_dense_f32, tile_dense_bf16_wide},
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
	.screen_blocks = screen_blocks,
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

/* every slot, so nothing of the table's is kept */
void
vk_avx512_fill(VkKernels *kernels, uint64_t cpu_features)
{
	*kernels = avx512_kernels;
	if (cpu_features & VK_CPU_AVX512_BF16)
		kernels->tile_dense[VK_DENSE_BF16] = tile_dense_bf16;
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
