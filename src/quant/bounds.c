/*-------------------------------------------------------------------------
 *
 * bounds.c
 *	  Queries: quantisation, and the numbers that make bounds proven.
 *
 * NOTES
 *	  README, "The bound", derives every term below.  Doubles are used
 *	  throughout and rounded once, towards the wider interval, where they
 *	  enter VkBoundQuery.
 *
 * IDENTIFICATION
 *	  src/quant/bounds.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <string.h>

#include "kernels/rounding.h"
#include "quant/quant.h"

/* roundings of scores, relative to Q2 + N: the two subtractions of the mean
 * (4), N and Q2 as floats (2), and the sum itself, with room to spare */
#define SCORE_SLACK			(24 * VK_UNIT)
/* roundings of P, relative to |q'| |x'| (its scales and its arithmetic) */
#define DOT_SLACK			(12 * VK_UNIT)
/* normalising both vectors, on the scale of twice the cosine distance */
#define NORMALIZE_SLACK		(2 * 0x1p-21)
#define DENORMAL_UNIT		0x1p-149

/* how much farther a centre may lie from the mean than from a query, for the query's
 * code against the mean to do for the list too */
#define MOVE_MOST			4

/* of a query's code against one centre, whatever the format of the rows */
typedef struct BoundParts
{
	double		row_error;		/* rho */
	double		span;			/* |q~| + M (IP: |q|), times rho in F */
	double		round_factor;	/* of |x~| + M */
	double		slack_norm;
	double		slack_base;
	double		gamma;
} BoundParts;

void
vk_query_init(const VkCoder *coder, const float *vector, float *rotated,
			  VkQuery *out, void *scratch)
{
	const int	dim = coder->dim;

	out->vector = vector;
	out->rotated = rotated;
	out->dot_mean = 0;
	if (coder->metric == VK_METRIC_IP)
	{
		vk_rotate(&coder->rotation, vector, rotated);
		out->norm2 = vk_kernels->pair_dot_f64(vector, vector, dim);
		out->dot_mean = vk_kernels->pair_dot_f64(vector, coder->mean, dim);
		out->wild = !(coder->mean_norm * coder->mean_norm <= VK_NORM2_MAX);
	}
	else
	{
		vk_row_rotate(coder, vector, rotated, &out->norm2, scratch);
		out->wild = false;
	}
	/* the grid has no square that could vanish */
	if (coder->metric == VK_METRIC_L1)
		out->wild = !(out->norm2 <= VK_NORM2_MAX);
	else if (!vk_norm2_in_range(out->norm2))
		out->wild = true;
}

static size_t
aligned(size_t size)
{
	return (size + 63) / 64 * 64;
}

/* L1 and bits: the kernels take the code as it is */
static bool
packs_scan(const VkCoder *coder)
{
	return coder->format < VK_INT_FORMATS && coder->metric != VK_METRIC_L1 &&
		!vk_metric_of_bits(coder->metric);
}

size_t
vk_query_code_size(const VkCoder *coder)
{
	const size_t dim = coder->dim;
	int			packed = (packs_scan(coder) ? 1 : 0) +
		(coder->refine_bits != 0 ? 1 : 0);

	return 64 + aligned((dim + 1) * sizeof(float)) + aligned(dim) +
		packed * aligned(VK_PACKED_QUERY_SIZE(dim));
}

void
vk_query_code_init(const VkCoder *coder, VkQueryCode *code, void *memory)
{
	const size_t dim = coder->dim;
	char	   *next = (char *) aligned((size_t) (uintptr_t) memory);

	memset(code, 0, sizeof(*code));
	code->values = (float *) next;
	memset(code->values, 0, (dim + 1) * sizeof(float));
	next += aligned((dim + 1) * sizeof(float));
	code->code = (int8_t *) next;
	memset(code->code, 0, aligned(dim));
	next += aligned(dim);
	if (packs_scan(coder))
	{
		code->packed_scan = next;
		next += aligned(VK_PACKED_QUERY_SIZE(dim));
	}
	if (coder->refine_bits != 0)
		code->packed_row = next;
}

void
vk_query_code_pack(const VkCoder *coder, const int8_t *values, VkQueryCode *code)
{
	code->kernels = vk_kernels;
	if (code->packed_row != NULL)
		code->kernels->pack_row[coder->refine_bits == 8] (values, coder->dim,
														  code->packed_row);
	if (code->packed_scan != NULL)
		code->kernels->pack_query[coder->format] (values, coder->dim, code->packed_scan);
}

/* p less the centre (IP: p as it is), its int8 code and the packed forms */
static void
quantize_query(const VkCoder *coder, const VkQuery *query,
			   const VkCenter *center, VkQueryCode *code)
{
	const int	dim = coder->dim;

	if (center->code != NULL && coder->metric != VK_METRIC_IP)
		vk_kernels->subtract_code(query->rotated, center->a, center->code, dim,
								  code->values);
	else
		memcpy(code->values, query->rotated, sizeof(float) * dim);
	vk_kernels->quantize_i8(code->values, dim, code->code, &code->quantized);
	vk_query_code_pack(coder, code->code, code);
}

/* <p, centre> of the decoded centre */
static double
dot_center(const VkQuery *query, const VkCenter *center, int dim)
{
	double		sum = 0;

	if (center->code == NULL)
		return 0;
	for (int i = 0; i < dim; i++)
		sum += (double) query->rotated[i] * (center->a * (float) center->code[i]);
	return sum;
}

static void
bound_parts(const VkCoder *coder, const VkQueryCode *code, BoundParts *out)
{
	const double rho = coder->rho;
	const double gamma = coder->operator_error;
	const double norm = sqrt(code->norm2);
	const double center_norm = code->center_norm;

	out->row_error = rho;
	out->gamma = 0;
	out->slack_base = coder->dim * DENORMAL_UNIT;
	if (coder->metric == VK_METRIC_IP)
	{
		const double slack = (0x1p-20 + gamma) * norm;

		out->span = norm;
		out->round_factor = 3 * rho * norm + slack;
		out->slack_norm = 0;
		out->slack_base += slack * coder->mean_norm;
		return;
	}
	out->span = norm + center_norm;
	out->round_factor = 3 * rho * out->span;
	out->slack_norm = SCORE_SLACK + (code->centered ? 4 * rho : 0);
	out->slack_base += out->slack_norm *
		(code->norm2 + center_norm * center_norm);
	if (coder->metric == VK_METRIC_COSINE)
		out->slack_base += NORMALIZE_SLACK + 4 * gamma;
	else
		out->gamma = gamma;
}

/* |q'| of the int8 code */
static double
quantized_norm(const VkQuantized *quantized)
{
	return quantized->scale * sqrt((double) quantized->norm2);
}

static void
fill_bound(const VkCoder *coder, const VkQueryCode *code,
		   const BoundParts *parts, VkBoundQuery *bound)
{
	const VkQuantized *quantized = &code->quantized;
	const bool	integer = coder->format < VK_INT_FORMATS;
	const bool	ip = coder->metric == VK_METRIC_IP;
	const double code_norm = integer ? quantized_norm(quantized) :
		sqrt(quantized->vector_norm2);
	const double code_norm2 = code_norm * code_norm * (1 + 0x1p-40);
	double		round_factor = parts->round_factor + DOT_SLACK * code_norm;
	double		error = integer ? sqrt(quantized->error2) : 0;

	if (!integer)
		round_factor += (coder->dim + 2) * VK_UNIT * code_norm;
	bound->dot_mult = 0;
	bound->dot_offset = 0;
	if (integer)
	{
		bound->dot_mult = vk_format_mult(coder->format);
		bound->dot_offset = quantized->sum * vk_format_offset(coder->format);
	}
	bound->query_scale = integer ? quantized->scale : 1;
	bound->code_unit = coder->code_unit;
	bound->base = (float) code->base;
	bound->weight_norm = ip ? 0 : 1;
	bound->weight_dot = ip ? 1 : 2;
	bound->query_norm2 = vk_round_up(code->norm2);
	bound->code_norm2 = vk_round_up(code_norm2);
	bound->inv_code_norm2 = code_norm2 > 0 ? vk_round_down(1 / code_norm2) : 0;
	bound->query_error = vk_round_up(error * (1 + 0x1p-40) +
								  parts->row_error * parts->span);
	bound->row_error = vk_round_up(parts->row_error);
	bound->center_norm = vk_round_up(code->center_norm);
	bound->round_factor = vk_round_up(round_factor);
	bound->slack_norm = vk_round_up(parts->slack_norm);
	bound->slack_base = vk_round_up(parts->slack_base);
	bound->gamma = vk_round_up(parts->gamma);
	bound->inv_dim_1 = 1.0f / (coder->dim > 2 ? coder->dim - 1 : 1);
	bound->epsilon = VK_EPSILON;
	bound->center_weight = 0;
}

/* base: Q2, or for inner product -<q, mean + centre> */
static double
score_base(const VkCoder *coder, const VkQuery *query, const VkCenter *center,
		   const VkQueryCode *code)
{
	if (coder->metric != VK_METRIC_IP)
		return code->norm2;
	return -(query->dot_mean + dot_center(query, center, coder->dim));
}

void
vk_query_code_set(const VkCoder *coder, const VkQuery *query,
				  const VkCenter *center, bool requantise, VkQueryCode *code)
{
	BoundParts	parts;

	if (coder->metric == VK_METRIC_L1)
	{
		if (requantise)
			vk_grid_query(coder, query, code);
		return;
	}
	if (vk_metric_of_bits(coder->metric))
	{
		if (requantise)
			vk_bits_query(coder, query, code);
		return;
	}
	if (requantise)
		quantize_query(coder, query, center, code);
	code->centered = center->code != NULL;
	code->center_norm = code->centered ? center->norm : 0;
	code->norm2 = code->centered && coder->metric != VK_METRIC_IP ?
		code->quantized.vector_norm2 : query->norm2;
	code->base = score_base(coder, query, center, code);
	bound_parts(coder, code, &parts);
	fill_bound(coder, code, &parts, &code->bound);
	vk_bound_query_finish(&code->bound);
}

void
vk_mean_code_set(const VkCoder *coder, const VkQuery *query, const VkQueryCode *made,
				 VkMeanCode *mean, float *scratch)
{
	VkQuantized rest;

	mean->quantized = made->quantized;
	mean->code = made->code;
	vk_kernels->subtract_code(query->rotated, mean->quantized.scale, mean->code,
							  coder->dim, scratch);
	vk_kernels->quantize_i8(scratch, coder->dim, mean->rest, &rest);
	mean->rest_scale = rest.scale;
}

/* <p, centre>, by both parts of p */
static double
dot_of_mean_code(const VkMeanCode *mean, const VkCenter *center, int dim)
{
	return center->a *
		(mean->quantized.scale *
		 vk_kernels->pair_dot[VK_I8] (mean->code, center->code, dim) +
		 mean->rest_scale *
		 vk_kernels->pair_dot[VK_I8] (mean->rest, center->code, dim));
}

bool
vk_query_code_move(const VkCoder *coder, const VkQuery *query, const VkMeanCode *mean,
				   const VkCenter *center, VkQueryCode *code)
{
	const double center_norm2 = center->norm * center->norm;
	const double norm2 = query->norm2 + center_norm2 -
		2 * dot_of_mean_code(mean, center, coder->dim);
	BoundParts	parts;

	if (!(norm2 * MOVE_MOST * MOVE_MOST >= center_norm2) || !(norm2 > 0))
		return false;
	code->quantized = mean->quantized;
	code->centered = true;
	code->center_norm = center->norm;
	code->norm2 = code->base = norm2;
	bound_parts(coder, code, &parts);
	/* without vk_bound_query_finish, which is for proven bounds */
	fill_bound(coder, code, &parts, &code->bound);
	code->bound.center_weight = (float) center->norm;
	return true;
}

int64_t
vk_refine_dot(const VkCoder *coder, const VkQueryCode *code, const uint8_t *refine)
{
	const bool	bytes = coder->refine_bits == 8;
	const VkFormat format = bytes ? VK_FORMAT_B8 : VK_FORMAT_B4;
	const int64_t sum = code->quantized.sum;
	const int64_t dot = code->kernels->row[bytes] (code->packed_row,
												   refine + VK_REFINE_HEAD, coder->dim);

	return vk_format_mult(format) * dot - vk_format_offset(format) * sum;
}

/* a refine code, read */
typedef struct RefineRow
{
	double		norm2;
	double		norm;
	double		a;
	double		error;
	double		dot;			/* P */
} RefineRow;

static RefineRow
read_refine(const VkCoder *coder, const VkQueryCode *code,
			const uint8_t *refine)
{
	RefineRow	row;
	float		head[2];
	float		error;
	float		center;
	uint16_t	half;
	int64_t		dot = vk_refine_dot(coder, code, refine);

	memcpy(head, refine, sizeof(head));
	memcpy(&half, refine + 8, sizeof(half));
	vk_kernels->half_to_float(&half, 1, &error);
	row.norm2 = head[0];
	row.norm = sqrt(row.norm2);
	row.a = head[1];
	row.error = row.norm * error;
	row.dot = row.a * (code->quantized.scale * (double) dot);
	if (code->bound.center_weight != 0)
	{
		memcpy(&half, refine + 10, sizeof(half));
		vk_kernels->half_to_float(&half, 1, &center);
		row.dot -= code->bound.center_weight * row.norm * center;
	}
	return row;
}

static double
root_or_zero(double v)
{
	return v > 0 ? sqrt(v) : 0;
}

/* half the width of the proven interval of P (README, "The bound") */
static double
proven_dot_error(const RefineRow *row, const VkQueryCode *code,
				 const BoundParts *parts)
{
	const VkQuantized *quantized = &code->quantized;
	const double code_norm = quantized_norm(quantized);
	const double far = row->norm + code->center_norm;
	const double along = fabs(row->dot) * (1 - 0x1p-10);
	const double query_error = sqrt(quantized->error2) +
		parts->row_error * parts->span;
	const double row_error = row->error + parts->row_error * far;
	const double across_row = row->norm > 0 ? along / row->norm : 0;
	const double across_query = code_norm > 0 ? along / code_norm : 0;
	const double w = root_or_zero(code_norm * code_norm - across_row * across_row);
	const double v = root_or_zero(row->norm2 - across_query * across_query);

	return (query_error * v + row_error * (w + query_error) +
			(parts->round_factor + DOT_SLACK * code_norm) * far) * (1 + 0x1p-19);
}

/* epsilon standard deviations of P over rotations (README, The bound) */
static double
likely_dot_error(const RefineRow *row, const VkQueryCode *code, int dim,
				 double sine2)
{
	const double freedom = dim > 2 ? dim - 1 : 1;
	const double error2 = code->norm2 * sine2 + code->quantized.error2;

	return VK_EPSILON * row->norm * sqrt(error2 / ((1 - sine2) * freedom));
}

/* whatever is not a pair of finite numbers is a candidate */
static void
interval(double score, double width, double *lower, double *upper)
{
	*lower = score - width;
	*upper = score + width;
	if (!(*lower > -INFINITY && *upper < INFINITY))
	{
		*lower = -INFINITY;
		*upper = INFINITY;
	}
}

void
vk_refine_bounds(const VkCoder *coder, const VkQueryCode *code,
				 const uint8_t *refine, bool proven, double *lower,
				 double *upper)
{
	const bool	ip = coder->metric == VK_METRIC_IP;
	RefineRow	row = read_refine(coder, code, refine);
	double		weight = ip ? 1 : 2;
	double		score = code->base + (ip ? 0 : row.norm2);
	BoundParts	parts;
	double		width;

	bound_parts(coder, code, &parts);
	width = parts.slack_norm * row.norm2 + parts.slack_base;
	if (proven)
	{
		width += weight * proven_dot_error(&row, code, &parts);
		score -= weight * row.dot;
		width += parts.gamma * (fabs(score) + width);
	}
	else
	{
		double		share = row.norm > 0 ? row.error / row.norm : 0;
		double		sine2 = share * share;

		width += weight * likely_dot_error(&row, code, coder->dim, sine2);
		score -= weight * row.dot / (1 - sine2);
	}
	interval(score, width, lower, upper);
}
