/*-------------------------------------------------------------------------
 *
 * bits.c
 *	  Bit vectors: Hamming and Jaccard distances, from the bits themselves.
 *
 * NOTES
 *	  Whoever samples, averages or clusters vectors sees floats of 0 and 1.  The
 *	  code of one is its bits, in the order of PostgreSQL's type bit, so what a
 *	  scan finds is no bound but the distance.  How many bits are set, which
 *	  Jaccard distance is relative to, stands where other codes have the square
 *	  of the norm; for bits it is one.
 *
 *	  Rows whose bits nobody knew when they were written are marked as those are
 *	  that have no bound.
 *
 *	  Centres of lists are none of bits, but means: floats, with codes as for
 *	  Euclidean distance.
 *
 * IDENTIFICATION
 *	  src/quant/bits.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <string.h>

#include "quant/quant.h"

#define HALF_INFINITY		0x7C00
#define TANGENT_MAX			65535
#define ALL_LANES			0xFFFFU

/* shares of a union are compared as floats, with this much room */
#define SHARE_MARGIN		0x1p-20f

/* the bits of y + mean, which are 0 and 1 but for roundings; how many are set */
static int
pack_bits(const VkCoder *coder, const float *y, uint8_t *bytes)
{
	const int	dim = coder->dim;
	int			set = 0;

	memset(bytes, 0, 4 * (size_t) coder->lines);
	for (int i = 0; i < dim; i++)
	{
		const int	bit = y[i] + coder->mean[i] > 0.5f;

		bytes[i / 8] |= (uint8_t) (bit << (7 - i % 8));
		set += bit;
	}
	return set;
}

void
vk_bits_row(const VkCoder *coder, const float *y, bool known, VkRowCode *out)
{
	int			set = pack_bits(coder, y, out->lane);

	if (!coder->flat)
		set = 0;
	out->norm2 = known ? set : 1.0f;
	out->norm = sqrtf(out->norm2);
	out->a = out->center = 0;
	out->error = known ? 0 : INFINITY;
}

void
vk_bits_query(const VkCoder *coder, const VkQuery *query, VkQueryCode *code)
{
	VkBoundQuery *bound = &code->bound;

	memset(bound, 0, sizeof(*bound));
	bound->query_norm2 = pack_bits(coder, query->rotated, (uint8_t *) code->code);
	bound->epsilon = VK_EPSILON;
	bound->screen.base = NAN;
	code->norm2 = bound->query_norm2;
	code->base = 0;
	code->center_norm = 0;
	code->centered = false;
}

uint32_t
vk_bits_unknown(const VkCoder *coder, const void *annotation)
{
	const VkFlatAnnotation *flat = annotation;
	const VkListAnnotation *list = annotation;
	const uint16_t *marks = coder->flat ? flat->error : list->tangent;
	const int	unknown = coder->flat ? HALF_INFINITY : TANGENT_MAX;
	uint64_t	words[VK_LANES / 4];
	uint32_t	lanes = 0;

	memcpy(words, marks, sizeof(words));
	if ((words[0] | words[1] | words[2] | words[3]) == 0)
		return 0;
	for (int lane = 0; lane < VK_LANES; lane++)
		lanes |= (uint32_t) (marks[lane] == unknown) << lane;
	return lanes;
}

/* ---- Hamming: dots are the bits that differ ---- */

static uint32_t
hamming_screen(const VkQueryCode *code, const VkFlatAnnotation *annotation,
			   const VkDots *dots, float threshold)
{
	uint32_t	lanes = 0;

	if (!(threshold < VK_MAX_BITS))
		return ALL_LANES;
	for (int lane = 0; lane < VK_LANES; lane++)
		lanes |= (uint32_t) ((float) dots->i[lane] <= threshold) << lane;
	return lanes;
}

static double
hamming_score(const VkQueryCode *code, const VkFlatAnnotation *annotation,
			  const VkDots *dots, int lane)
{
	return dots->i[lane];
}

/* ---- Jaccard: dots are the bits that are set in both ---- */

/* bits set in either, an integer below 2^24 */
static float
in_either(const VkQueryCode *code, const VkFlatAnnotation *annotation,
		  const VkDots *dots, int lane)
{
	return code->bound.query_norm2 + annotation->norm2[lane] - (float) dots->i[lane];
}

/*
 * What is in both must be a share of 1 - threshold of what is in either.
 */
static uint32_t
jaccard_screen(const VkQueryCode *code, const VkFlatAnnotation *annotation,
			   const VkDots *dots, float threshold)
{
	const float share = 1.0f - threshold - SHARE_MARGIN;
	uint32_t	lanes = 0;

	if (!(share > 0))
		return ALL_LANES;
	for (int lane = 0; lane < VK_LANES; lane++)
		lanes |= (uint32_t) ((float) dots->i[lane] >=
							 share * in_either(code, annotation, dots, lane)) << lane;
	return lanes;
}

/* two vectors with nothing in common, both empty too, are at distance 1 */
static double
jaccard_score(const VkQueryCode *code, const VkFlatAnnotation *annotation,
			  const VkDots *dots, int lane)
{
	if (dots->i[lane] == 0)
		return 1;
	return 1 - dots->i[lane] / (double) in_either(code, annotation, dots, lane);
}

const VkBitScore *
vk_bit_score(VkMetric metric)
{
	static const VkBitScore hamming = {hamming_screen, hamming_score};
	static const VkBitScore jaccard = {jaccard_screen, jaccard_score};

	if (metric == VK_METRIC_HAMMING)
		return &hamming;
	return metric == VK_METRIC_JACCARD ? &jaccard : NULL;
}
