/*-------------------------------------------------------------------------
 *
 * vkcheck.c
 *	  Kernel checker and benchmark; needs no server.
 *
 *	  vkcheck [--seed N] [--filter WORD] [--isa NAME] [--scale X] [--bench]
 *
 * NOTES
 *	  Every ISA of the build that this CPU can run is checked as the table
 *	  that it would give, against the reference table and against sums of
 *	  exact integers or of 106 bits.  A failure names the seed; the same seed,
 *	  filter and ISA repeat it.
 *
 * IDENTIFICATION
 *	  test/kernels/vkcheck.c
 *
 *-------------------------------------------------------------------------
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

#define MAX_PRINTED	20			/* failures a group and ISA */

static const VkCheckGroup groups[] = {
	{"pairs", vk_check_pairs},
	{"scans", vk_check_scans},
	{"tiles", vk_check_tiles},
	{"vectors", vk_check_vectors},
	{"lanes", vk_check_lanes},
	{"bounds", vk_attack_bounds},
	{"quant", vk_attack_quant},
};

/* what runs, for the words of a crash */
static char running[128];

typedef struct Options
{
	uint64_t	seed;
	double		scale;
	const char *filter;
	const char *isa;
	bool		bench;
} Options;

void
vk_check(VkCheckRun *run, bool passed, const char *format,...)
{
	va_list		args;

	if (passed)
	{
		run->passed++;
		return;
	}
	if (run->failed++ >= MAX_PRINTED)
		return;
	printf("FAILED %s on %s (--seed %llu): ", run->group, run->isa,
		   (unsigned long long) run->seed);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

/* a kernel that leaves its buffers or its CPU: name it, then die of it */
static void
on_crash(int number)
{
	ssize_t		written = write(STDOUT_FILENO, running, strlen(running));

	(void) written;
	signal(number, SIG_DFL);
	raise(number);
}

static void
catch_crashes(void)
{
	static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		signal(numbers[i], on_crash);
}

static Options
read_options(int argc, char **argv)
{
	Options		options = {1, 1.0, "", "", false};

	for (int i = 1; i < argc; i++)
	{
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--bench") == 0)
		{
			options.bench = true;
			continue;
		}
		if (strcmp(argv[i], "--seed") == 0)
			options.seed = strtoull(value, NULL, 0);
		else if (strcmp(argv[i], "--scale") == 0)
			options.scale = atof(value);
		else if (strcmp(argv[i], "--filter") == 0)
			options.filter = value;
		else if (strcmp(argv[i], "--isa") == 0)
			options.isa = value;
		else
		{
			fprintf(stderr, "usage: vkcheck [--seed N] [--filter WORD] "
					"[--isa NAME] [--scale X] [--bench]\n");
			exit(2);
		}
		i++;
	}
	return options;
}

static void
run_isa(const Options *options, int isa, const VkKernels *ref, long *passed,
		long *failed)
{
	VkKernels	kernels;

	if (!vk_kernels_fill(&kernels, isa) ||
		!vk_kernels_choose(vk_isas[isa].name))
	{
		printf("%-8s not on this CPU or not in this build, not checked\n",
			   vk_isas[isa].name);
		return;
	}
	if (options->bench)
	{
		vk_bench(&kernels, vk_isas[isa].name, options->filter);
		return;
	}
	for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++)
	{
		VkCheckRun	run;

		if (strstr(groups[g].name, options->filter) == NULL)
			continue;
		memset(&run, 0, sizeof(run));
		run.group = groups[g].name;
		run.isa = vk_isas[isa].name;
		run.kernels = &kernels;
		run.ref = ref;
		run.seed = options->seed;
		run.random = options->seed * 2 + 1;
		run.scale = options->scale;
		snprintf(running, sizeof(running), "CRASHED in %s on %s (--seed %llu)\n",
				 run.group, run.isa, (unsigned long long) run.seed);
		groups[g].run(&run);
		printf("%-8s native  %-8s %8ld passed, %ld failed\n", run.isa, run.group,
			   run.passed, run.failed);
		fflush(stdout);
		*passed += run.passed;
		*failed += run.failed;
	}
}

int
main(int argc, char **argv)
{
	Options		options = read_options(argc, argv);
	VkKernels	ref;
	long		passed = 0;
	long		failed = 0;
	bool		known = options.isa[0] == '\0';

	catch_crashes();
	vk_kernels_fill(&ref, 0);
	for (int isa = 0; isa < vk_isa_count; isa++)
	{
		if (options.isa[0] != '\0' && strcmp(options.isa, vk_isas[isa].name) != 0)
			continue;
		known = true;
		run_isa(&options, isa, &ref, &passed, &failed);
	}
	if (!known)
	{
		fprintf(stderr, "vkcheck: no ISA is named \"%s\"\n", options.isa);
		return 2;
	}
	if (!options.bench)
		printf("vkcheck: %ld passed, %ld failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}
