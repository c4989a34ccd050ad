/*-------------------------------------------------------------------------
 *
 * check_table.c
 *	  The table of kernels: complete, filled alike each time, chosen by name.
 *
 * IDENTIFICATION
 *	  test/kernels/check_table.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "check.h"

static bool
slot_empty(const VkKernels *kernels, int slot)
{
	void		(*pointer) (void);

	memcpy(&pointer, (const char *) kernels + slot * sizeof(pointer),
		   sizeof(pointer));
	return pointer == NULL;
}

static void
check_choice(VkCheckRun *run)
{
	const VkKernels before = *vk_kernels;
	const VkKernels *const table = vk_kernels;

	vk_check(run, !vk_kernels_choose("nonsense") && vk_kernels == table &&
			 memcmp(&before, vk_kernels, sizeof(before)) == 0,
			 "an unknown name was taken");
	for (int isa = 0; isa < vk_isa_count; isa++)
	{
		const bool	available = vk_isa_available(isa);
		VkKernels	filled;

		memset(&filled, 0, sizeof(filled));
		vk_check(run, vk_kernels_fill(&filled, isa) == available &&
				 vk_kernels_choose(vk_isas[isa].name) == available,
				 "%s is %savailable, but not so to fill or choose",
				 vk_isas[isa].name, available ? "" : "not ");
		if (available)
			vk_check(run, memcmp(&filled, vk_kernels, sizeof(filled)) == 0,
					 "%s is another table when chosen", vk_isas[isa].name);
		for (int slot = 0; available && slot < vk_slot_count; slot++)
			vk_check(run, vk_slot_isa(slot) != NULL, "%s has no ISA",
					 vk_slot_names[slot]);
	}
	vk_check(run, memcmp(&before, table, sizeof(before)) == 0,
			 "a table changed when another one was chosen");
	vk_check(run, vk_kernels_choose("auto"), "\"auto\" cannot be chosen");
	vk_kernels = run->kernels;
}

void
vk_check_table(VkCheckRun *run)
{
	for (int slot = 0; slot < vk_slot_count; slot++)
		vk_check(run, !slot_empty(run->kernels, slot), "slot %s is empty",
				 vk_slot_names[slot]);
	for (int isa = 0; isa < vk_isa_count; isa++)
	{
		VkKernels	once;
		VkKernels	twice;

		if ((run->features & vk_isas[isa].required) != vk_isas[isa].required)
			continue;
		memset(&once, 0, sizeof(once));
		vk_isas[isa].fill(&once, run->features);
		twice = once;
		vk_isas[isa].fill(&twice, run->features);
		vk_check(run, memcmp(&once, &twice, sizeof(once)) == 0,
				 "%s fills a table differently the second time",
				 vk_isas[isa].name);
		twice = *run->ref;
		vk_isas[isa].fill(&twice, run->features);
		for (int slot = 0; slot < vk_slot_count; slot++)
		{
			const size_t at = slot * sizeof(void (*) (void));

			vk_check(run, slot_empty(&once, slot) ||
					 memcmp((char *) &once + at, (char *) &twice + at,
							sizeof(void (*) (void))) == 0,
					 "%s fills %s by what stands in the table", vk_isas[isa].name,
					 vk_slot_names[slot]);
		}
	}
	if (run->features == vk_cpu_features())
		check_choice(run);
}
