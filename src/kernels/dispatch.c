/*-------------------------------------------------------------------------
 *
 * dispatch.c
 *	  The table of kernels in use, and which ISA gave each of its slots.
 *
 * NOTES
 *	  VkKernels consists of function pointers only, so it is also an array of
 *	  slots; reports and the checker walk it as one.  A level's table starts
 *	  with the reference and is overwritten by each ISA up to that level.
 *
 * IDENTIFICATION
 *	  src/kernels/dispatch.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "isa.h"

typedef void (*Slot) (void);

const int	vk_element_size[VK_ELEMENTS] = {4, 2, 2, 1};
const int	vk_format_bits[VK_FORMATS] = {1, 2, 4, 8, 16, 32, 16};
const int	vk_format_line_dims[VK_FORMATS] = {32, 16, 8, 4, 2, 1, 2};

#define AVX2_REQUIRED	(VK_CPU_AVX2 | VK_CPU_F16C)
#define AVX512_REQUIRED	(AVX2_REQUIRED | VK_CPU_AVX512 | VK_CPU_VNNI | \
						 VK_CPU_VBMI | VK_CPU_VPOPCNTDQ)

/* worst first; a later row overwrites the slots that it fills */
const VkIsa vk_isas[] = {
	{"ref", 0, vk_ref_fill},
	{"avx2", AVX2_REQUIRED, vk_avx2_fill},
	{"avx512", AVX512_REQUIRED, vk_avx512_fill},
	{"amx", AVX512_REQUIRED | VK_CPU_AMX_INT8, vk_amx_fill},
	{"neon", VK_CPU_NEON, vk_neon_fill},
	{"sve", VK_CPU_NEON | VK_CPU_SVE, vk_sve_fill},
	{"sme", VK_CPU_NEON | VK_CPU_SME, vk_sme_fill},
};

const int	vk_isa_count = sizeof(vk_isas) / sizeof(vk_isas[0]);

/* whether the build has the ISA, in the order of vk_isas */
static const bool *const isa_built[] = {
	NULL, &vk_avx2_built, &vk_avx512_built, &vk_amx_built,
	&vk_neon_built, &vk_sve_built, &vk_sme_built,
};

_Static_assert(sizeof(isa_built) / sizeof(isa_built[0]) ==
			   sizeof(vk_isas) / sizeof(vk_isas[0]),
			   "every ISA needs to say whether it is built");

/* in the order of VkKernels */
const char *const vk_slot_names[] = {
	"pair_l2_f32", "pair_l2_f16", "pair_l2_bf16", "pair_l2_i8",
	"pair_dot_f32", "pair_dot_f16", "pair_dot_bf16", "pair_dot_i8",
	"pair_l1_f32", "pair_l1_f16", "pair_l1_bf16", "pair_l1_i8",
	"pair_cosine_f32", "pair_cosine_f16", "pair_cosine_bf16",
	"pair_cosine_i8",
	"pair_dot_f64", "pair_hamming", "pair_jaccard",
	"pack_query_b1", "pack_query_b2", "pack_query_b4", "pack_query_b8",
	"scan_b1", "scan_b2", "scan_b4", "scan_b8",
	"scan_f16", "scan_f32", "scan_bf16",
	"scan_l1", "scan_hamming", "scan_common",
	"pack_row_b4", "pack_row_b8", "row_b4", "row_b8",
	"pack_tile_b1", "pack_tile_b2", "pack_tile_b4", "pack_tile_b8",
	"tile_b1", "tile_b2", "tile_b4", "tile_b8",
	"tile_screen_b1", "tile_screen_b2", "tile_screen_b4", "tile_screen_b8",
	"tile_f32",
	"pack_dense_f32", "pack_dense_bf16", "tile_dense_f32", "tile_dense_bf16",
	"maxsim_f32", "maxsim_f16", "maxsim_bf16", "maxsim_i8",
	"nearest",
	"bound_flat", "bound_list", "bound_list_proven",
	"bound_flat_l1", "bound_list_l1", "bound_list_l1_proven",
	"screen_flat", "screen_list", "screen_list_proven", "screen",
	"screen_blocks",
	"hadamard", "subtract_code", "subtract", "quantize_i8", "code_trial",
	"code_error2", "half_to_float", "float_to_half",
	"bf16_to_float", "float_to_bf16",
};

#define SLOT_COUNT	(sizeof(vk_slot_names) / sizeof(vk_slot_names[0]))

_Static_assert(sizeof(VkKernels) == SLOT_COUNT * sizeof(Slot),
			   "every slot of VkKernels needs a name");

const int	vk_slot_count = SLOT_COUNT;

/* a table for each level: what packs and what reads must be of one, so none changes */
static VkKernels tables[sizeof(vk_isas) / sizeof(vk_isas[0])];
static int	chosen_isa = 0;

const VkKernels *vk_kernels = &vk_ref_kernels;

static bool
slot_filled(const VkKernels *kernels, int slot)
{
	Slot		pointer;

	memcpy(&pointer, (const char *) kernels + slot * sizeof(Slot),
		   sizeof(Slot));
	return pointer != NULL;
}

bool
vk_isa_available(int isa)
{
	uint64_t	required;

	if (isa < 0 || isa >= vk_isa_count)
		return false;
	required = vk_isas[isa].required;
	return (isa_built[isa] == NULL || *isa_built[isa]) &&
		(vk_cpu_features() & required) == required &&
		((required & VK_CPU_AMX_INT8) == 0 || vk_amx_permitted());
}

bool
vk_kernels_fill(VkKernels *kernels, int isa)
{
	uint64_t	cpu_features = vk_cpu_features();

	if (!vk_isa_available(isa))
		return false;
	for (int level = 0; level <= isa; level++)
		if (vk_isa_available(level))
			vk_isas[level].fill(kernels, cpu_features);
	return true;
}

bool
vk_kernels_choose(const char *isa)
{
	bool		automatic = strcmp(isa, "auto") == 0;

	for (int level = vk_isa_count - 1; level >= 0; level--)
	{
		if (!automatic && strcmp(isa, vk_isas[level].name) != 0)
			continue;
		if (vk_kernels_fill(&tables[level], level))
		{
			chosen_isa = level;
			vk_kernels = &tables[level];
			return true;
		}
	}
	return false;
}

const char *
vk_slot_available(int slot, int isa)
{
	VkKernels	alone;

	if (slot < 0 || slot >= vk_slot_count || !vk_isa_available(isa))
		return NULL;
	memset(&alone, 0, sizeof(alone));
	vk_isas[isa].fill(&alone, vk_cpu_features());
	return slot_filled(&alone, slot) ? vk_isas[isa].name : NULL;
}

const char *
vk_slot_isa(int slot)
{
	for (int isa = chosen_isa; isa > 0; isa--)
	{
		const char *name = vk_slot_available(slot, isa);

		if (name != NULL)
			return name;
	}
	return vk_isas[0].name;
}
