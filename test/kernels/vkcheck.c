/*-------------------------------------------------------------------------
 *
 * vkcheck.c
 *	  Kernel checker and benchmark; needs no server.
 *
 *	  vkcheck [--seed N] [--filter WORD] [--isa NAME] [--scale X]
 *			  [--under WORDS] [--bench]
 *
 * NOTES
 *	  Every ISA of the build that this CPU can run is checked as the table
 *	  that it would give, against the reference table and against exact truth;
 *	  then once more without each sub-feature that makes a difference.  Where
 *	  the CPU has no AMX but all else that the level needs, its instructions
 *	  are emulated (amx_emulate.c).  A failure names the seed; the same seed,
 *	  filter and ISA repeat it.  --under names the emulator that the program
 *	  runs under, for the summary.
 *
 * IDENTIFICATION
 *	  test/kernels/vkcheck.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __aarch64__
#include <sys/prctl.h>
#endif

#include "kernels/isa.h"
#include "check.h"

#define MAX_PRINTED		20		/* failures a group and table */
#define MAX_TABLES		32
#define AMX_FEATURES	(VK_CPU_AMX_INT8 | VK_CPU_AMX_BF16)

static const VkCheckGroup groups[] = {
	{"table", vk_check_table, false, false},
	{"pairs", vk_check_pairs, false, false},
	{"bits", vk_check_bits, false, false},
	{"scans", vk_check_scans, false, false},
	{"floats", vk_check_floats, false, false},
	{"tiles", vk_check_tiles, false, true},
	{"dense", vk_check_dense, false, true},
	{"maxsim", vk_check_maxsim, false, true},
	{"vectors", vk_check_vectors, false, false},
	{"convert", vk_check_convert, false, false},
	{"lanes", vk_check_lanes, false, false},
	{"screens", vk_check_screens, false, false},
	{"bounds", vk_attack_bounds, true, false},
	{"quant", vk_attack_quant, true, false},
	{"moved", vk_attack_moved, true, false},
};

#define GROUPS	(sizeof(groups) / sizeof(groups[0]))

/* what an ISA file may use beyond what its level requires */
typedef struct SubFeature
{
	const char *name;
	uint64_t	feature;
} SubFeature;

static const SubFeature sub_features[] = {
	{"avx-vnni", VK_CPU_AVX_VNNI},
	{"avx512-bf16", VK_CPU_AVX512_BF16},
	{"amx-bf16", VK_CPU_AMX_BF16},
	{"dotprod", VK_CPU_DOTPROD},
	{"bf16", VK_CPU_BF16},
	{"i8mm", VK_CPU_I8MM},
	{"sve-i8mm", VK_CPU_SVE_I8MM},
};

#define SUB_FEATURES	(sizeof(sub_features) / sizeof(sub_features[0]))

/* one table to check, or why there is none */
typedef struct Table
{
	char		name[40];
	const char *absent;			/* NULL: it is there */
	bool		variant;		/* of a level that has a full table, too */
	bool		emulated;
	uint64_t	features;
	VkKernels	kernels;
	int			own_slots;		/* that the level itself fills */
	int			slots_ran;
	long		passed;
	long		failed;
} Table;

static Table tables[MAX_TABLES];
static int	table_count = 0;

typedef struct Options
{
	uint64_t	seed;
	double		scale;
	const char *filter;
	const char *isa;
	const char *under;
	bool		bench;
} Options;

static Options options = {1, 1.0, "", "", "", false};

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
	printf("FAILED %s on %s (--isa \"%s\" --filter %s --seed %llu --scale %g): ",
		   run->group, run->isa, run->isa, run->group,
		   (unsigned long long) run->seed, run->scale);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

static void
usage(void)
{
	fprintf(stderr, "usage: vkcheck [--seed N] [--filter WORD] [--isa NAME] "
			"[--scale X] [--under WORDS] [--bench]\n");
	exit(2);
}

static void
read_options(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
	{
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--bench") == 0)
		{
			options.bench = true;
			continue;
		}
		if (value == NULL)
			usage();
		if (strcmp(argv[i], "--seed") == 0)
			options.seed = strtoull(value, NULL, 0);
		else if (strcmp(argv[i], "--scale") == 0)
			options.scale = atof(value);
		else if (strcmp(argv[i], "--filter") == 0)
			options.filter = value;
		else if (strcmp(argv[i], "--isa") == 0)
			options.isa = value;
		else if (strcmp(argv[i], "--under") == 0)
			options.under = value;
		else
			usage();
		i++;
	}
}

/* ---------- tables ---------- */

static bool
isa_built(int isa)
{
	static const struct
	{
		const char *name;
		const bool *built;
	}			built[] =
	{
		{"avx2", &vk_avx2_built}, {"avx512", &vk_avx512_built},
		{"amx", &vk_amx_built}, {"neon", &vk_neon_built},
		{"sve", &vk_sve_built}, {"sme", &vk_sme_built},
	};

	for (size_t i = 0; i < sizeof(built) / sizeof(built[0]); i++)
		if (strcmp(built[i].name, vk_isas[isa].name) == 0)
			return *built[i].built;
	return true;
}

static int
count_own_slots(int isa, uint64_t features)
{
	VkKernels	alone;
	int			count = 0;

	memset(&alone, 0, sizeof(alone));
	vk_isas[isa].fill(&alone, features);
	for (int slot = 0; slot < vk_slot_count; slot++)
	{
		void		(*pointer) (void);

		memcpy(&pointer, (char *) &alone + slot * sizeof(pointer), sizeof(pointer));
		count += pointer != NULL;
	}
	return count;
}

/* the levels up to isa that a CPU of these features has, one over the other */
static void
fill_table(Table *table, int isa, uint64_t features)
{
	table->features = features;
	for (int level = 0; level <= isa; level++)
		if (isa_built(level) &&
			(features & vk_isas[level].required) == vk_isas[level].required)
			vk_isas[level].fill(&table->kernels, features);
	table->own_slots = count_own_slots(isa, features);
}

/*
 * A place for a table, taken only where --isa asks for its name or its level;
 * NULL: it does not.
 */
static Table *
new_table(const char *isa, const char *without)
{
	Table	   *table = &tables[table_count];

	memset(table, 0, sizeof(*table));
	snprintf(table->name, sizeof(table->name), "%s%s%s", isa,
			 without[0] == '\0' ? "" : " without ", without);
	if (options.isa[0] != '\0' && strcmp(options.isa, isa) != 0 &&
		strcmp(options.isa, table->name) != 0)
		return NULL;
	if (++table_count > MAX_TABLES - 1)
		abort();
	return table;
}

static bool
known_table(const Table *table, int first)
{
	for (int i = first; i < table_count; i++)
		if (tables + i != table &&
			memcmp(&tables[i].kernels, &table->kernels, sizeof(VkKernels)) == 0)
			return true;
	return false;
}

/* the level without each sub-feature, and without all, where that differs */
static void
add_variants(int isa, uint64_t features)
{
	const int	first = table_count - 1;
	uint64_t	all = 0;

	for (size_t i = 0; i <= SUB_FEATURES; i++)
	{
		const bool	last = i == SUB_FEATURES;
		const uint64_t without = last ? all : sub_features[i].feature;
		Table	   *table;

		all |= without;
		if ((features & without) == 0)
			continue;
		table = new_table(vk_isas[isa].name, last ? "any" : sub_features[i].name);
		if (table == NULL)
			continue;
		fill_table(table, isa, features & ~without);
		table->variant = true;
		if (known_table(table, first < 0 ? 0 : first))
			table_count--;
	}
}

static void
add_tables(int isa)
{
	const uint64_t required = vk_isas[isa].required;
	const uint64_t features = vk_cpu_features();
	const bool	amx = (required & VK_CPU_AMX_INT8) != 0;
	const uint64_t missing = required & ~features;
	Table	   *table = new_table(vk_isas[isa].name, "");

	if (table == NULL)
		add_variants(isa, isa_built(isa) && missing == 0 ? features : 0);
	else if (!isa_built(isa))
		table->absent = "not in this build";
	else if (amx && missing == VK_CPU_AMX_INT8 && !options.bench &&
			 vk_amx_emulate_install())
	{
		table->emulated = true;
		fill_table(table, isa, features | AMX_FEATURES);
	}
	else if (missing != 0)
		table->absent = "this CPU lacks it";
	else if (!vk_isa_available(isa))
		table->absent = "this system refuses it";
	else
	{
		fill_table(table, isa, features);
		add_variants(isa, features);
	}
}

/* ---------- runs ---------- */

static void
run_table(Table *table, const VkKernels *ref)
{
	vk_kernels = &table->kernels;
	memset(vk_slot_ran, 0, sizeof(vk_slot_ran));
	for (size_t g = 0; g < GROUPS; g++)
	{
		VkCheckRun	run = {.group = groups[g].name,.isa = table->name,
			.kernels = &table->kernels,.ref = ref,.features = table->features,
			.seed = options.seed,.random = options.seed * 2 + 1,
		.scale = options.scale,.slow = table->emulated};

		if (strstr(groups[g].name, options.filter) == NULL ||
			(groups[g].whole && table->variant) ||
			(table->emulated && !groups[g].amx))
			continue;
		vk_run_group(&groups[g], &run);
		printf("%-8s %-8s %-8s %9ld passed, %ld failed\n", run.isa,
			   table->emulated ? "emulated" : "native", run.group, run.passed,
			   run.failed);
		fflush(stdout);
		table->passed += run.passed;
		table->failed += run.failed;
	}
	for (int slot = 0; slot < vk_slot_count; slot++)
	{
		table->slots_ran += vk_slot_ran[slot];
		if (!vk_slot_ran[slot] && options.filter[0] == '\0' && !table->emulated)
		{
			printf("FAILED on %s: nothing checks slot %s\n", table->name,
				   vk_slot_names[slot]);
			table->failed++;
		}
	}
}

#ifdef __aarch64__
/* as prctl gives it, flags included; negative where there are no such vectors */
static void
print_vector_length(const char *what, int length)
{
	if (length >= 0)
		printf(", %s of %d bytes", what, length & 0xffff);
}
#endif

/* what an emulator is known to do wrong is judged by who reads this */
static void
print_machine(void)
{
	printf("\nvkcheck, seed %llu, ", (unsigned long long) options.seed);
	if (options.under[0] != '\0')
		printf("under %s", options.under);
	else
		printf("on this machine's CPU");
#if defined(__aarch64__) && defined(PR_SVE_GET_VL)
	print_vector_length("vectors", prctl(PR_SVE_GET_VL));
#endif
#if defined(__aarch64__) && defined(PR_SME_GET_VL)
	print_vector_length("streaming vectors", prctl(PR_SME_GET_VL));
#endif
	printf("\n");
}

static long
print_summary(void)
{
	long		passed = 0;
	long		failed = 0;

	print_machine();
	for (int i = 0; i < table_count; i++)
	{
		const Table *t = &tables[i];

		if (t->absent != NULL)
		{
			printf("%-24s could not run: %s\n", t->name, t->absent);
			continue;
		}
		printf("%-24s %-8s  %2d slots of its own, %2d of %d checked, %9ld passed, "
			   "%ld failed\n", t->name, t->emulated || options.under[0] != '\0' ?
			   "emulated" : "native", t->own_slots, t->slots_ran, vk_slot_count,
			   t->passed, t->failed);
		passed += t->passed;
		failed += t->failed;
	}
	printf("vkcheck: %ld passed, %ld failed\n", passed, failed);
	return failed;
}

static void
bench_tables(void)
{
	VkBenchTable present[MAX_TABLES];
	int			count = 0;

	for (int i = 0; i < table_count; i++)
		if (tables[i].absent == NULL && !tables[i].variant)
			present[count++] = (VkBenchTable) {tables[i].name, &tables[i].kernels};
	vk_bench(present, count, options.filter);
}

int
main(int argc, char **argv)
{
	VkKernels	ref;

	read_options(argc, argv);
	vk_kernels_fill(&ref, 0);
	vk_catch_crashes();
	for (int isa = 0; isa < vk_isa_count; isa++)
		add_tables(isa);
	if (table_count == 0)
	{
		fprintf(stderr, "vkcheck: no ISA is named \"%s\"\n", options.isa);
		return 2;
	}
	if (options.bench)
	{
		bench_tables();
		return 0;
	}
	for (int i = 0; i < table_count; i++)
		if (tables[i].absent == NULL)
			run_table(&tables[i], &ref);
	return print_summary() == 0 ? 0 : 1;
}
