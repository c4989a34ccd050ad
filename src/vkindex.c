/*-------------------------------------------------------------------------
 *
 * vkindex.c
 *	  Module entry point: settings, storage parameters, hooks.
 *
 * IDENTIFICATION
 *	  src/vkindex.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "utils/guc.h"
#include "utils/plancache.h"

#include "am/am.h"
#include "am/test_point.h"
#include "batch/batch.h"
#include "batch/read_ahead.h"
#include "kernels/kernels.h"

VK_MODULE_MAGIC("vkindex", "1.0");

PGDLLEXPORT void _PG_init(void);

double		vk_target_recall = 0.95;
int			vk_probes = 0;
bool		vk_log_scans = false;
bool		vk_enable_batch = true;
int			vk_range_pushdown = VK_RANGE_EXACT;
int			vk_prefilter = VK_PREFILTER_AUTO;
int			vk_max_scan_rows = 0;
static char *simd = NULL;

/* names that vkindex.simd knows; which of them can run is asked of dispatch.c */
static const char *const simd_names[] = {
	"auto", "ref", "avx2", "avx512", "amx", "neon", "sve", "sme"
};

static const struct config_enum_entry range_pushdown_values[] = {
	{"exact", VK_RANGE_EXACT, false},
	{"approximate", VK_RANGE_APPROXIMATE, false},
	{"off", VK_RANGE_OFF, false},
	{NULL, 0, false}
};

static const struct config_enum_entry prefilter_values[] = {
	{"auto", VK_PREFILTER_AUTO, false},
	{"on", VK_PREFILTER_ON, false},
	{"off", VK_PREFILTER_OFF, false},
	{NULL, 0, false}
};

static bool
simd_known(const char *name)
{
	for (size_t i = 0; i < lengthof(simd_names); i++)
		if (strcmp(name, simd_names[i]) == 0)
			return true;
	return false;
}

static bool
simd_runs(const char *name)
{
	for (int isa = 0; isa < vk_isa_count; isa++)
		if (strcmp(name, vk_isas[isa].name) == 0)
			return vk_isa_available(isa);
	return strcmp(name, "auto") == 0;
}

static bool
check_simd(char **value, void **extra, GucSource source)
{
	if (!simd_known(*value))
	{
		GUC_check_errdetail("Valid values are \"auto\", \"ref\", \"avx2\", \"avx512\", \"amx\", \"neon\", \"sve\", and \"sme\".");
		return false;
	}
	if (!simd_runs(*value))
	{
		GUC_check_errcode(ERRCODE_FEATURE_NOT_SUPPORTED);
		GUC_check_errdetail("This CPU, operating system or build of vkindex lacks \"%s\".",
							*value);
		GUC_check_errhint("vk_simd() tells what is available.");
		return false;
	}
	return true;
}

static void
assign_simd(const char *value, void *extra)
{
	vk_kernels_choose(value);
}

/* a plan that was made for another value may answer another question */
static void
assign_range_pushdown(int value, void *extra)
{
	if (value != vk_range_pushdown)
		ResetPlanCache();
}

static void
define_settings(void)
{
	DefineCustomRealVariable("vkindex.target_recall",
							 "Share of the true nearest neighbors that vkivf scans aim to find.",
							 "1 scans every row and is exact.",
							 &vk_target_recall, 0.95, 0.5, 1.0,
							 PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);
	DefineCustomIntVariable("vkindex.probes",
							"Number of lists that a vkivf scan visits first.",
							"0 lets vkindex.target_recall decide.",
							&vk_probes, 0, 0, 1000000,
							PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);
	DefineCustomEnumVariable("vkindex.range_pushdown",
							 "How conditions like \"distance < radius\" may be answered by an index.",
							 "With exact, the result is that of a sequential scan.",
							 &vk_range_pushdown, VK_RANGE_EXACT,
							 range_pushdown_values,
							 PGC_USERSET, GUC_EXPLAIN,
							 NULL, assign_range_pushdown, NULL);
	DefineCustomEnumVariable("vkindex.prefilter",
							 "Whether other indexes tell an index scan which rows meet conditions.",
							 "With auto, the planner decides by cost.",
							 &vk_prefilter, VK_PREFILTER_AUTO, prefilter_values,
							 PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);
	DefineCustomIntVariable("vkindex.max_scan_rows",
							"Number of rows after which an index scan ends, with a warning.",
							"0 sets no limit.",
							&vk_max_scan_rows, 0, 0, INT_MAX,
							PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);
	DefineCustomBoolVariable("vkindex.enable_batch",
							 "Enables the planner's use of plans that search for the neighbors of many rows at once.", NULL,
							 &vk_enable_batch, true,
							 PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);
	DefineCustomBoolVariable("vkindex.log_scans",
							 "Logs what each index scan did.", NULL,
							 &vk_log_scans, false,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("vkindex.simd",
							   "Instruction set of the distance kernels.",
							   "Results are the same with each; this is for tests and comparisons.",
							   &simd, "auto",
							   PGC_USERSET, 0,
							   check_simd, assign_simd, NULL);
	MarkGUCPrefixReserved("vkindex");
}

void
_PG_init(void)
{
	vk_test_point_init();
	define_settings();
	vk_options_init();
	vk_planner_init();
	vk_prefilter_init();
	vk_read_ahead_init();
}
