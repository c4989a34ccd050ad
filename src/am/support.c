/*-------------------------------------------------------------------------
 *
 * support.c
 *	  What operator classes tell the access methods: one VkSupport each.
 *
 * NOTES
 *	  A class is a layout of vectors, a metric, and who sums: our types add in
 *	  the canonical order, pgvector's as its compiler likes.
 *
 * IDENTIFICATION
 *	  src/am/support.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include <math.h>

#include "access/genam.h"
#include "utils/lsyscache.h"
#include "utils/varbit.h"

#include "am/am.h"
#include "types/maxsim.h"
#include "types/vec_type.h"

/* ---- layouts ---- */

static int
vec_dim(Datum value)
{
	return ((Vec *) DatumGetPointer(value))->dim;
}

static const float *
floats_f32(Datum value, float *buffer)
{
	return (const float *) ((Vec *) DatumGetPointer(value))->x;
}

static const float *
widen(Datum value, VkElement element, float *buffer)
{
	const Vec  *vec = (Vec *) DatumGetPointer(value);

	vec_types[element].widen(vec->x, vec->dim, buffer);
	return buffer;
}

static const float *
floats_f16(Datum value, float *buffer)
{
	return widen(value, VK_F16, buffer);
}

static const float *
floats_bf16(Datum value, float *buffer)
{
	return widen(value, VK_BF16, buffer);
}

static const float *
floats_i8(Datum value, float *buffer)
{
	return widen(value, VK_I8, buffer);
}

static const VkLayout layout_f32 = {
	VK_ELEMENT_F32, VK_MAX_DIM, vec_dim, floats_f32, VEC_DIMS_MISMATCH
};
static const VkLayout layout_f16 = {
	VK_ELEMENT_F16, VK_MAX_DIM, vec_dim, floats_f16, VEC_DIMS_MISMATCH
};
static const VkLayout layout_bf16 = {
	VK_ELEMENT_BF16, VK_MAX_DIM, vec_dim, floats_bf16, VEC_DIMS_MISMATCH
};
static const VkLayout layout_i8 = {
	VK_ELEMENT_I8, VK_MAX_DIM, vec_dim, floats_i8, VEC_DIMS_MISMATCH
};

/* pgvector's halfvec */
static const VkLayout layout_half = {
	VK_ELEMENT_F16, VK_MAX_DIM, vec_dim, floats_f16, "different halfvec dimensions %d and %d"
};

/* bits, the first one is the highest of its byte */
static int
bit_dim(Datum value)
{
	return VARBITLEN((const VarBit *) DatumGetPointer(value));
}

static const float *
floats_bit(Datum value, float *buffer)
{
	const VarBit *vec = (const VarBit *) DatumGetPointer(value);
	const uint8 *bytes = VARBITS(vec);
	int			dim = VARBITLEN(vec);

	for (int i = 0; i < dim; i++)
		buffer[i] = (float) (bytes[i / BITS_PER_BYTE] >> (BITS_PER_BYTE - 1 - i % BITS_PER_BYTE) & 1);
	return buffer;
}

static const VkLayout layout_bit = {
	VK_ELEMENT_BIT, VK_MAX_BITS, bit_dim, floats_bit, "different bit lengths %d and %d"
};

/* ---- scores ---- */

/* a radius may be negative, which no distance is within */
static double
score_square(double distance)
{
	return distance * fabs(distance);
}

static double
score_same(double distance)
{
	return distance;
}

static double
distance_root(double score)
{
	return score > 0.0 ? sqrt(score) : 0.0;
}

static double
distance_same(double score)
{
	return score;
}

/* |a - b|^2 of normalised vectors is twice their cosine distance */
static double
score_twice(double distance)
{
	return 2.0 * distance;
}

static double
distance_half(double score)
{
	return Max(0.5 * score, 0.0);
}

/* ---- support functions ---- */

#define VK_SUPPORT_FUNCTION(type, metric_name, layout_, metric_, error, score_, distance_) \
	PG_FUNCTION_INFO_V1(type##_##metric_name##_support); \
	Datum \
	type##_##metric_name##_support(PG_FUNCTION_ARGS) \
	{ \
		static const VkSupport support = { \
			.layout = &(layout_), .metric = (metric_), \
			.operator_error = (error), .score = (score_), .distance = (distance_) \
		}; \
		PG_RETURN_POINTER(&support); \
	}

#define VK_SUPPORT_FUNCTIONS(type, layout, error) \
	VK_SUPPORT_FUNCTION(type, l2, layout, VK_METRIC_L2, error, score_square, distance_root) \
	VK_SUPPORT_FUNCTION(type, ip, layout, VK_METRIC_IP, error, score_same, distance_same) \
	VK_SUPPORT_FUNCTION(type, cosine, layout, VK_METRIC_COSINE, error, score_twice, distance_half) \
	VK_SUPPORT_FUNCTION(type, l1, layout, VK_METRIC_L1, error, score_same, distance_same)

VK_SUPPORT_FUNCTIONS(f32vec, layout_f32, vk_canonical_error)
VK_SUPPORT_FUNCTIONS(f16vec, layout_f16, vk_canonical_error)
VK_SUPPORT_FUNCTIONS(bf16vec, layout_bf16, vk_canonical_error)
VK_SUPPORT_FUNCTIONS(i8vec, layout_i8, vk_canonical_error)

/* of pgvector's types */
VK_SUPPORT_FUNCTIONS(vk_vector, layout_f32, vk_any_order_error)
VK_SUPPORT_FUNCTIONS(vk_halfvec, layout_half, vk_any_order_error)

/* codes are exact, whatever the rounding */
VK_SUPPORT_FUNCTION(vk_bit, hamming, layout_bit, VK_METRIC_HAMMING, vk_canonical_error, score_same, distance_same)
VK_SUPPORT_FUNCTION(vk_bit, jaccard, layout_bit, VK_METRIC_JACCARD, vk_canonical_error, score_same, distance_same)

/*
 * Arrays of vectors, by MaxSim.  Of each vector the inner product counts, and a
 * document's score is a sum of such scores, so nothing is to be converted.
 */
#define VK_DOCUMENT_SUPPORT(type, layout_) \
	PG_FUNCTION_INFO_V1(type##_maxsim_support); \
	Datum \
	type##_maxsim_support(PG_FUNCTION_ARGS) \
	{ \
		static const VkSupport support = { \
			.layout = &(layout_), .metric = VK_METRIC_IP, .documents = true, \
			.operator_error = vk_canonical_error, .score = score_same \
		}; \
		PG_RETURN_POINTER(&support); \
	}

VK_DOCUMENT_SUPPORT(f32vec, layout_f32)
VK_DOCUMENT_SUPPORT(f16vec, layout_f16)
VK_DOCUMENT_SUPPORT(bf16vec, layout_bf16)
VK_DOCUMENT_SUPPORT(i8vec, layout_i8)

void
vk_support_check_dims(const VkSupport *support, int dim_a, int dim_b)
{
	if (dim_a != dim_b)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg(support->layout->mismatch, dim_a, dim_b)));
}

int
vk_support_vectors(const VkSupport *support, Datum *value, Datum **vectors)
{
	if (support->documents)
		return maxsim_vectors(DatumGetArrayTypeP(*value), vectors);
	*vectors = value;
	return 1;
}

bool
vk_type_has_documents(Oid type)
{
	return OidIsValid(get_element_type(type));
}

/*
 * vk_support -- the VkSupport of an index's operator class
 *
 * It is static data: valid for the life of the process.
 */
const VkSupport *
vk_support(Relation index)
{
	FmgrInfo   *function = index_getprocinfo(index, 1, VK_PROC_SUPPORT);

	return (const VkSupport *)
		DatumGetPointer(FunctionCall1(function, PointerGetDatum(NULL)));
}

void
vk_support_operator(Relation index, FmgrInfo *operator, MemoryContext context)
{
	Oid			type = index->rd_opcintype[0];
	Oid			found = get_opfamily_member(index->rd_opfamily[0], type, type,
											VK_STRATEGY_DISTANCE);

	if (!OidIsValid(found))
		elog(ERROR, "missing operator %d(%u,%u) in operator family %u",
			 VK_STRATEGY_DISTANCE, type, type, index->rd_opfamily[0]);
	fmgr_info_cxt(get_opcode(found), operator, context);
}
