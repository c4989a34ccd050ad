/*-------------------------------------------------------------------------
 *
 * neon.c
 *	  Kernels for arm64's Advanced SIMD: every CPU of the architecture.
 *
 * NOTES
 *	  Products of int8 and of bfloat16 come in levels, since CPUs differ there:
 *	  SMULL on all (Cortex-A72), SDOT from Armv8.2 on (Neoverse N1), USDOT,
 *	  USMMLA and BFMMLA from Armv8.6 on (Neoverse V1, N2).  The fill takes the
 *	  best that the CPU has.  Functions of a level are compiled for it by an
 *	  attribute, everything else for plain arm64.
 *
 *	  FADDP adds neighbours, which the canonical sum does not: it is not used
 *	  for floats.  Halves are widened (FCVTL, part of every arm64 CPU): sums in
 *	  half precision would not be canonical.
 *
 * IDENTIFICATION
 *	  src/kernels/neon.c
 *
 *-------------------------------------------------------------------------
 */
#include "isa.h"

#if defined(__aarch64__) && !defined(VK_NO_NEON)

#include <arm_neon.h>
#include <math.h>
#include <string.h>

static inline void
half_to_float_16(const uint16_t *h, float *f)
{
	for (int i = 0; i < VK_LANES; i += 4)
		vst1q_f32(f + i, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(h + i))));
}

static inline void
short_to_float_16(const uint16_t *u, float *f)
{
	for (int i = 0; i < VK_LANES; i += 4)
		vst1q_f32(f + i, vcvtq_f32_u32(vmovl_u16(vld1_u16(u + i))));
}

/* a bit for each lane that is not above the threshold, NaN included */
static inline uint32_t
mask_not_above(const float *lower, float threshold)
{
	const uint32x4_t bits = {1, 2, 4, 8};
	const float32x4_t limit = vdupq_n_f32(threshold);
	uint32x4_t	mask = vdupq_n_u32(0);

	for (int i = 0; i < 4; i++)
	{
		uint32x4_t	above = vcgtq_f32(vld1q_f32(lower + 4 * i), limit);

		mask = vorrq_u32(mask, vshlq_u32(vbicq_u32(bits, above),
										 vdupq_n_s32(4 * i)));
	}
	return vaddvq_u32(mask);
}

#include "template_bound.h"
#include "template_screen.h"
#include "template_vector.h"

#include "arm_common.h"
#include "neon_pair.h"
#include "neon_bytes.h"
#include "neon_dense.h"
#include "neon_vector.h"

#define LEVEL_NUMBER	0
#define LEVEL_TARGET
#define LEVEL(name)		name##_base
#include "neon_integer.h"
#undef LEVEL_NUMBER
#undef LEVEL_TARGET
#undef LEVEL

#define LEVEL_NUMBER	1
#define LEVEL_TARGET	__attribute__((target("arch=armv8.2-a+dotprod")))
#define LEVEL(name)		name##_dotprod
#include "neon_integer.h"
#undef LEVEL_NUMBER
#undef LEVEL_TARGET
#undef LEVEL

#define LEVEL_NUMBER	2
#define LEVEL_TARGET	__attribute__((target("arch=armv8.2-a+dotprod+i8mm")))
#define LEVEL(name)		name##_i8mm
#include "neon_integer.h"
#undef LEVEL_NUMBER
#undef LEVEL_TARGET
#undef LEVEL

/* ---------- scans of 16 and 32 bits: lanes in the order of dimensions ---------- */

/* sums of the 16 lanes and one dimension of each */
typedef struct LaneFloats
{
	float32x4_t part[4];
} LaneFloats;

static inline LaneFloats
load_lanes(const float *p)
{
	LaneFloats	lanes;

	for (int i = 0; i < 4; i++)
		lanes.part[i] = vld1q_f32(p + 4 * i);
	return lanes;
}

static inline void
store_lanes(float *p, const LaneFloats *lanes)
{
	for (int i = 0; i < 4; i++)
		vst1q_f32(p + 4 * i, lanes->part[i]);
}

static inline void
add_dimension(LaneFloats *sum, float query, const LaneFloats *x)
{
	for (int i = 0; i < 4; i++)
		sum->part[i] = vfmaq_n_f32(sum->part[i], x->part[i], query);
}

static void
scan_f32(const float *query, int first_line, const uint8_t *code, int lines,
		 VkDots *dots)
{
	LaneFloats	sum = load_lanes(dots->f);

	query += first_line;
	for (int line = 0; line < lines; line++)
	{
		LaneFloats	x;

		for (int i = 0; i < 4; i++)
			x.part[i] = vreinterpretq_f32_u8(vld1q_u8(code + 16 * i));
		add_dimension(&sum, query[line], &x);
		code += VK_LINE_SIZE;
	}
	store_lanes(dots->f, &sum);
}

static void
scan_f16(const float *query, int first_line, const uint8_t *code, int lines,
		 VkDots *dots)
{
	LaneFloats	sum = load_lanes(dots->f);

	query += 2 * first_line;
	for (int line = 0; line < lines; line++)
	{
		LaneFloats	x[2];

		for (int i = 0; i < 2; i++)
		{
			uint16x8x2_t dims = vld2q_u16((const uint16_t *) (code + 32 * i));

			for (int j = 0; j < 2; j++)
			{
				float16x8_t halves = vreinterpretq_f16_u16(dims.val[j]);

				x[j].part[2 * i] = vcvt_f32_f16(vget_low_f16(halves));
				x[j].part[2 * i + 1] = vcvt_high_f32_f16(halves);
			}
		}
		add_dimension(&sum, query[2 * line], &x[0]);
		add_dimension(&sum, query[2 * line + 1], &x[1]);
		code += VK_LINE_SIZE;
	}
	store_lanes(dots->f, &sum);
}

static void
scan_bf16(const float *query, int first_line, const uint8_t *code, int lines,
		  VkDots *dots)
{
	LaneFloats	sum = load_lanes(dots->f);

	query += 2 * first_line;
	for (int line = 0; line < lines; line++)
	{
		LaneFloats	x[2];

		for (int i = 0; i < 4; i++)
		{
			uint32x4_t	both = vreinterpretq_u32_u8(vld1q_u8(code + 16 * i));

			x[0].part[i] = vreinterpretq_f32_u32(vshlq_n_u32(both, 16));
			x[1].part[i] = vreinterpretq_f32_u32(vandq_u32(both, vdupq_n_u32(0xffff0000)));
		}
		add_dimension(&sum, query[2 * line], &x[0]);
		add_dimension(&sum, query[2 * line + 1], &x[1]);
		code += VK_LINE_SIZE;
	}
	store_lanes(dots->f, &sum);
}

/* ---------- bfloat16: compilers vectorise these ---------- */

static void
bf16_to_float(const uint16_t *b, int n, float *f)
{
	for (int i = 0; i < n; i++)
		f[i] = bf16_to_float_1(b[i]);
}

static void
float_to_bf16(const float *f, int n, uint16_t *b)
{
	for (int i = 0; i < n; i++)
		b[i] = float_to_bf16_1(f[i]);
}

/* ---------- the table ---------- */

const bool	vk_neon_built = true;

static void
fill_floats(VkKernels *kernels)
{
	kernels->pair_l2[VK_F32] = pair_l2_f32;
	kernels->pair_l2[VK_F16] = pair_l2_f16;
	kernels->pair_l2[VK_BF16] = pair_l2_bf16;
	kernels->pair_dot[VK_F32] = pair_dot_f32;
	kernels->pair_dot[VK_F16] = pair_dot_f16;
	kernels->pair_dot[VK_BF16] = pair_dot_bf16;
	kernels->pair_l1[VK_F32] = pair_l1_f32;
	kernels->pair_l1[VK_F16] = pair_l1_f16;
	kernels->pair_l1[VK_BF16] = pair_l1_bf16;
	kernels->pair_cosine[VK_F32] = pair_cosine_f32;
	kernels->pair_cosine[VK_F16] = pair_cosine_f16;
	kernels->pair_cosine[VK_BF16] = pair_cosine_bf16;
	kernels->pair_dot_f64 = pair_dot_f64;
	/* NOLINTNEXTLINE(misc-redundant-expression): formats are counted from F16 */
	kernels->scan_float[VK_FORMAT_F16 - VK_FORMAT_F16] = scan_f16;
	kernels->scan_float[VK_FORMAT_F32 - VK_FORMAT_F16] = scan_f32;
	kernels->scan_float[VK_FORMAT_BF16 - VK_FORMAT_F16] = scan_bf16;
	kernels->tile_f32 = tile_f32;
	kernels->pack_dense[VK_DENSE_F32] = pack_dense_f32;
	kernels->pack_dense[VK_DENSE_BF16] = pack_dense_bf16;
	kernels->tile_dense[VK_DENSE_F32] = tile_dense_f32;
	kernels->tile_dense[VK_DENSE_BF16] = tile_dense_bf16;
	kernels->maxsim[VK_F32] = maxsim_f32;
	kernels->maxsim[VK_F16] = maxsim_f16;
	kernels->maxsim[VK_BF16] = maxsim_bf16;
}

static void
fill_bytes(VkKernels *kernels)
{
	kernels->pair_l1[VK_I8] = pair_l1_i8;
	kernels->pair_hamming = pair_hamming;
	kernels->pair_jaccard = pair_jaccard;
	for (int format = 0; format < VK_INT_FORMATS; format++)
		kernels->pack_query[format] = pack_plain;
	kernels->scan_l1 = scan_l1;
	kernels->scan_hamming = scan_hamming;
	kernels->scan_common = scan_common;
	kernels->pack_row[0] = pack_row_b4;
	kernels->pack_row[1] = pack_row_b8;
}

static void
fill_codes(VkKernels *kernels)
{
	kernels->nearest = template_nearest;
	kernels->bound_flat = template_bound_flat;
	kernels->bound_list = template_bound_list;
	kernels->bound_list_proven = template_bound_list_proven;
	kernels->bound_flat_l1 = template_bound_flat_l1;
	kernels->bound_list_l1 = template_bound_list_l1;
	kernels->bound_list_l1_proven = template_bound_list_l1_proven;
	kernels->screen_flat = template_screen_flat;
	kernels->screen_list = template_screen_list;
	kernels->screen_list_proven = template_screen_list_proven;
	kernels->screen = template_screen;
	kernels->screen_blocks = template_screen_blocks;
	kernels->hadamard = hadamard;
	kernels->subtract_code = template_subtract_code;
	kernels->subtract = template_subtract;
	kernels->quantize_i8 = quantize_i8;
	kernels->code_trial = code_trial;
	kernels->code_error2 = code_error2;
	kernels->half_to_float = half_to_float;
	kernels->float_to_half = float_to_half;
	kernels->bf16_to_float = bf16_to_float;
	kernels->float_to_bf16 = float_to_bf16;
}

void
vk_neon_fill(VkKernels *kernels, uint64_t cpu_features)
{
	fill_floats(kernels);
	fill_bytes(kernels);
	fill_codes(kernels);
	if (cpu_features & VK_CPU_I8MM)
		fill_i8mm(kernels);
	else if (cpu_features & VK_CPU_DOTPROD)
		fill_dotprod(kernels);
	else
		fill_base(kernels);
	if (cpu_features & VK_CPU_BF16)
	{
		kernels->pack_dense[VK_DENSE_BF16] = pack_dense_bfmmla;
		kernels->tile_dense[VK_DENSE_BF16] = tile_dense_bfmmla;
	}
}

#else

const bool	vk_neon_built = false;

void
vk_neon_fill(VkKernels *kernels, uint64_t cpu_features)
{
	(void) kernels;
	(void) cpu_features;
}

#endif
