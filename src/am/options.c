/*-------------------------------------------------------------------------
 *
 * options.c
 *	  Storage parameters of both methods, and what "automatic" means.
 *
 * NOTES
 *	  All of them are read when an index is built; ALTER INDEX ... SET takes
 *	  effect with the next REINDEX.  Upkeep reads lists and calibrate too.
 *
 * IDENTIFICATION
 *	  src/am/options.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/reloptions.h"
#include "utils/builtins.h"
#include "utils/regproc.h"

#include "am/am.h"

#define LISTS_MAX			1000000
#define CALIBRATE_MIN		100
#define CALIBRATE_MAX		100000

static relopt_kind flat_kind;
static relopt_kind ivf_kind;

static relopt_enum_elt_def bits_members[] = {
	{"auto", 0}, {"0", 0}, {"1", 1}, {"2", 2}, {"4", 4}, {"8", 8},
	{"16", 16}, {"32", 32}, {NULL}
};

static relopt_enum_elt_def refine_members[] = {
	{"auto", VK_REFINE_AUTO}, {"none", VK_REFINE_NONE}, {"0", VK_REFINE_NONE},
	{"4", VK_REFINE_4}, {"8", VK_REFINE_8}, {NULL}
};

static const relopt_parse_elt flat_elements[] = {
	{"bits", RELOPT_TYPE_ENUM, offsetof(VkOptions, bits)},
	{"refine", RELOPT_TYPE_ENUM, offsetof(VkOptions, refine)},
	{"seed", RELOPT_TYPE_INT, offsetof(VkOptions, seed)}
};

static const relopt_parse_elt ivf_elements[] = {
	{"bits", RELOPT_TYPE_ENUM, offsetof(VkOptions, bits)},
	{"refine", RELOPT_TYPE_ENUM, offsetof(VkOptions, refine)},
	{"seed", RELOPT_TYPE_INT, offsetof(VkOptions, seed)},
	{"lists", RELOPT_TYPE_INT, offsetof(VkOptions, lists)},
	{"calibrate", RELOPT_TYPE_INT, offsetof(VkOptions, calibrate)},
	{"centroids", RELOPT_TYPE_STRING, offsetof(VkOptions, centroids)}
};

/*
 * check_centroids -- is this the name of a table?  (It need not exist yet.)
 */
static void
check_centroids(const char *value)
{
	if (value != NULL && value[0] != '\0')
		(void) vk_qualified_name_list(value);
}

static void
add_shared_options(relopt_kind kind)
{
	add_enum_reloption(kind, "bits",
					   "Bits a dimension of the code that scans read",
					   bits_members, 0,
					   "Valid values are \"auto\", \"1\", \"2\", \"4\", \"8\", \"16\", and \"32\".",
					   AccessExclusiveLock);
	add_enum_reloption(kind, "refine",
					   "Bits a dimension of the code that candidates are refined by",
					   refine_members, VK_REFINE_AUTO,
					   "Valid values are \"auto\", \"none\", \"4\", and \"8\".",
					   AccessExclusiveLock);
	add_int_reloption(kind, "seed", "Seed of everything random in the build",
					  VK_DEFAULT_SEED, 0, INT_MAX, AccessExclusiveLock);
}

/*
 * vk_options_init -- register the storage parameters, once a process
 */
void
vk_options_init(void)
{
	flat_kind = add_reloption_kind();
	add_shared_options(flat_kind);

	ivf_kind = add_reloption_kind();
	add_shared_options(ivf_kind);
	add_int_reloption(ivf_kind, "lists", "Number of lists, 0 for automatic",
					  0, 0, LISTS_MAX, AccessExclusiveLock);
	add_int_reloption(ivf_kind, "calibrate",
					  "Rows that recall is measured with, 0 for none",
					  VK_DEFAULT_CALIBRATE, 0, CALIBRATE_MAX, AccessExclusiveLock);
	add_string_reloption(ivf_kind, "centroids",
						 "Table to take centroids from", NULL,
						 check_centroids, AccessExclusiveLock);
}

static void
check_refine(const VkOptions *options)
{
	if (options->bits > 0 && options->refine > 0 &&
		options->refine <= options->bits)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %d out of bounds for option \"refine\"",
						options->refine),
				 errdetail("It must be greater than option \"bits\", which is %d.",
						   options->bits)));
}

bytea *
vkflat_options(Datum reloptions, bool validate)
{
	VkOptions  *options = (VkOptions *)
		build_reloptions(reloptions, validate, flat_kind, sizeof(VkOptions),
						 flat_elements, lengthof(flat_elements));

	if (validate && options != NULL)
		check_refine(options);
	return (bytea *) options;
}

bytea *
vkivf_options(Datum reloptions, bool validate)
{
	VkOptions  *options = (VkOptions *)
		build_reloptions(reloptions, validate, ivf_kind, sizeof(VkOptions),
						 ivf_elements, lengthof(ivf_elements));

	if (!validate || options == NULL)
		return (bytea *) options;

	check_refine(options);
	if (options->calibrate > 0 && options->calibrate < CALIBRATE_MIN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %d out of bounds for option \"calibrate\"",
						options->calibrate),
				 errdetail("Valid values are 0 and those between \"%d\" and \"%d\".",
						   CALIBRATE_MIN, CALIBRATE_MAX)));
	return (bytea *) options;
}

/*
 * vk_options_get -- an index's options, defaults filled in
 *
 * The string among them is not usable in this copy: vk_option_centroids.
 */
VkOptions
vk_options_get(Relation index)
{
	VkOptions	options = {
		.refine = VK_REFINE_AUTO,
		.calibrate = VK_DEFAULT_CALIBRATE,
		.seed = VK_DEFAULT_SEED
	};

	if (index->rd_options != NULL)
		memcpy(&options, index->rd_options, sizeof(options));
	return options;
}

/*
 * vk_option_centroids -- name of the table to take centroids from, or NULL
 */
const char *
vk_option_centroids(Relation index)
{
	VkOptions  *options = (VkOptions *) index->rd_options;

	if (options == NULL || options->centroids == 0)
		return NULL;
	return (const char *) options + options->centroids;
}

/*
 * automatic_bits -- scan code for a number of dimensions
 *
 * Below 32 dimensions a vector is hardly larger than its code and the block's
 * head.  An exact scan must prove its skips, which costs 4 bits; lists may
 * go by statistics, and their refine code tells candidates apart.
 */
static int
automatic_bits(bool flat, VkMetric metric, int dim)
{
	if (dim < 32)
		return 32;
	if (flat)
		return metric == VK_METRIC_IP ? 8 : 4;
	if (dim <= 256)
		return 4;
	return dim <= 512 ? 2 : 1;
}

static VkFormat
format_of_bits(int bits)
{
	int			format = 0;

	while (vk_format_bits[format] != bits)
		format++;
	return (VkFormat) format;
}

/*
 * Codes of some metrics are what their kernels and bounds make them.  The options
 * are checked when an index is built, since they do not know its operator class.
 */
typedef struct FixedCodes
{
	int			bits;			/* 0: they are not fixed */
	const char *distance;
	const char *detail;
} FixedCodes;

static const FixedCodes fixed_codes[VK_METRICS] = {
	[VK_METRIC_L1] = {8, "L1",
	"Indexes for L1 distance have codes of 8 bits and no refine codes."},
	[VK_METRIC_HAMMING] = {1, "Hamming",
	"Codes of bit vectors are the bits themselves."},
	[VK_METRIC_JACCARD] = {1, "Jaccard",
	"Codes of bit vectors are the bits themselves."}
};

static void
check_option(const FixedCodes *fixed, const char *name, int value, bool supported)
{
	if (!supported)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %d of option \"%s\" is not supported for %s distance",
						value, name, fixed->distance),
				 errdetail_internal("%s", fixed->detail)));
}

static void
check_fixed_codes(const FixedCodes *fixed, const VkOptions *options)
{
	check_option(fixed, "bits", options->bits,
				 options->bits == 0 || options->bits == fixed->bits);
	check_option(fixed, "refine", options->refine, options->refine <= 0);
}

/*
 * vk_choose_codes -- codes of an index to be built
 *
 * Where one of the two options is given, the other is chosen to suit: a
 * refine code is worth its bytes only where it is finer than the scan code.
 */
void
vk_choose_codes(Relation index, bool flat, int dim, VkFormat *format,
				int *refine_bits)
{
	VkOptions	options = vk_options_get(index);
	int			bits = options.bits;
	int			refine = options.refine;
	VkMetric	metric = vk_support(index)->metric;

	if (fixed_codes[metric].bits != 0)
	{
		check_fixed_codes(&fixed_codes[metric], &options);
		*format = format_of_bits(fixed_codes[metric].bits);
		*refine_bits = VK_REFINE_NONE;
		return;
	}
	if (bits == 0)
	{
		bits = automatic_bits(flat, metric, dim);
		if (refine > 0)
			bits = Min(bits, refine / 2);
		else if (refine == VK_REFINE_NONE)
			bits = Max(bits, 4);
	}
	if (refine == VK_REFINE_AUTO)
		refine = bits <= 2 ? VK_REFINE_4 : VK_REFINE_NONE;

	*format = format_of_bits(bits);
	*refine_bits = refine;
}
