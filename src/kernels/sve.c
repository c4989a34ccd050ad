/*-------------------------------------------------------------------------
 *
 * sve.c
 *	  Kernels for SVE, where its vectors are longer than NEON's.
 *
 * NOTES
 *	  The kernels are right for vectors of any length.  The table takes them
 *	  from 32 bytes on: with 16, NEON does the same in fewer instructions.  Nor
 *	  does it take tiles of codes with 32 bytes on a CPU with I8MM: there NEON
 *	  has as many multipliers and twice the products an instruction.
 *
 *	  A function is compiled for SVE by an attribute, the others for plain
 *	  arm64: the fill runs everywhere.
 *
 * IDENTIFICATION
 *	  src/kernels/sve.c
 *
 *-------------------------------------------------------------------------
 */
#include "isa.h"

#if defined(__aarch64__) && !defined(VK_NO_SVE)

#include <arm_neon.h>
#include <arm_sve.h>
#include <math.h>
#include <string.h>

#define SVE		__attribute__((target("arch=armv8.2-a+sve")))

#include "arm_common.h"
#include "template_vector.h"

/* what this level does not have itself */
static VkKernels below;

#include "sve_float.h"

/* ---------- integers ---------- */

#define GROUP			8		/* queries of a tile packed together */
#define CHUNK_LINES		64		/* that all queries multiply in turn: 4 kB */

/* packed queries of the group that begins with query first */
static inline int
group_rows(int m, int first)
{
	const int	left = m - first;

	return left > 4 ? 8 : left > 2 ? 4 : left;
}

static void
pack_tile(const int8_t *queries, size_t query_stride, int m, int dim,
		  void *packed)
{
	int8_t	   *group = packed;

	for (int first = 0; first < m; first += GROUP)
	{
		const int	rows = group_rows(m, first);

		pack_group(queries + first * query_stride, query_stride, m - first, rows,
				   dim, 4, group);
		group += rows * VK_ROUND_UP(dim, VK_TILE_STEP);
	}
	pack_step_sums(queries, query_stride, m, dim, packed);
}

#define LEVEL_NUMBER	0
#define LEVEL_TARGET	SVE
#define LEVEL(name)		name##_sve
#include "sve_integer.h"
#undef LEVEL_NUMBER
#undef LEVEL_TARGET
#undef LEVEL

#define LEVEL_NUMBER	1
#define LEVEL_TARGET	__attribute__((target("arch=armv8.2-a+sve+i8mm")))
#define LEVEL(name)		name##_i8mm
#include "sve_integer.h"
#undef LEVEL_NUMBER
#undef LEVEL_TARGET
#undef LEVEL

/* ---------- the table ---------- */

const bool	vk_sve_built = true;

static SVE size_t
vector_bytes(void)
{
	return svcntb();
}

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
	kernels->tile_f32 = tile_f32;
	kernels->maxsim[VK_F32] = maxsim_f32;
	kernels->maxsim[VK_F16] = maxsim_f16;
	kernels->maxsim[VK_BF16] = maxsim_bf16;
}

void
vk_sve_fill(VkKernels *kernels, uint64_t cpu_features)
{
	const size_t bytes = vector_bytes();

	if (bytes <= 16)
		return;
	vk_neon_fill(&below, cpu_features);
	fill_floats(kernels);
	for (int format = 0; format < VK_INT_FORMATS; format++)
		kernels->pack_query[format] = pack_plain;
	kernels->pack_row[1] = pack_row_b8;
	if (cpu_features & VK_CPU_SVE_I8MM)
		fill_scans_i8mm(kernels);
	else
		fill_scans_sve(kernels);
	if ((cpu_features & VK_CPU_I8MM) && bytes < VK_LINE_SIZE)
		return;
	for (int format = 0; format < VK_INT_FORMATS; format++)
		kernels->pack_tile[format] = pack_tile;
	if (cpu_features & VK_CPU_SVE_I8MM)
		fill_tiles_i8mm(kernels);
	else
		fill_tiles_sve(kernels);
}

#else

const bool	vk_sve_built = false;

void
vk_sve_fill(VkKernels *kernels, uint64_t cpu_features)
{
	(void) kernels;
	(void) cpu_features;
}

#endif
