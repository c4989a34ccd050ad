/*-------------------------------------------------------------------------
 *
 * crash.c
 *	  Which kernel runs, and what is said and done when it crashes.
 *
 * NOTES
 *	  The handler needs no stack of its own: Linux refuses AMX to processes
 *	  with a small one.  A crash ends its group; the others still run.
 *
 * IDENTIFICATION
 *	  test/kernels/crash.c
 *
 *-------------------------------------------------------------------------
 */
#include <setjmp.h>
#include <signal.h>
#include <string.h>

#include "check.h"

volatile int vk_running_slot = VK_SLOT_NONE;
bool		vk_slot_ran[VK_SLOTS_MAX];

static sigjmp_buf group_start;
static volatile sig_atomic_t in_group;

static void
on_crash(int number)
{
	if (in_group)
	{
		in_group = 0;
		siglongjmp(group_start, number);
	}
	signal(number, SIG_DFL);
	raise(number);
}

void
vk_catch_crashes(void)
{
	static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_crash;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
}

/* the ISA whose code stands in a slot of the table under test */
static const char *
slot_source(const VkCheckRun *run, int slot)
{
	const size_t at = slot * sizeof(void (*) (void));

	for (int isa = vk_isa_count - 1; isa > 0; isa--)
	{
		VkKernels	alone;

		if ((run->features & vk_isas[isa].required) != vk_isas[isa].required)
			continue;
		memset(&alone, 0, sizeof(alone));
		vk_isas[isa].fill(&alone, run->features);
		if (memcmp((const char *) &alone + at,
				   (const char *) run->kernels + at,
				   sizeof(void (*) (void))) == 0)
			return vk_isas[isa].name;
	}
	return vk_isas[0].name;
}

static const char *
signal_name(int number)
{
	return number == SIGSEGV ? "SIGSEGV" : number == SIGBUS ? "SIGBUS" :
		number == SIGILL ? "SIGILL" : "SIGFPE";
}

void
vk_run_group(const VkCheckGroup *group, VkCheckRun *run)
{
	int			number;

	vk_running_slot = VK_SLOT_NONE;
	number = sigsetjmp(group_start, 1);
	if (number == 0)
	{
		in_group = 1;
		group->run(run);
		in_group = 0;
		return;
	}
	if (vk_running_slot == VK_SLOT_NONE)
		vk_check(run, false, "crashed by %s", signal_name(number));
	else
		vk_check(run, false, "crashed by %s in or after slot %s, code of %s",
				 signal_name(number), vk_slot_names[vk_running_slot],
				 slot_source(run, vk_running_slot));
}
