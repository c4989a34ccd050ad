/*-------------------------------------------------------------------------
 *
 * codes.c
 *	  Rows: rotation about the mean, codes of every format, annotations.
 *
 * NOTES
 *	  A code is an integer vector c and one scale a, x' = a c.  The scale is
 *	  the projection <y,c> / <c,c>, so that the error y - x' is orthogonal to
 *	  x': the bounds rest on that (README, "The bound").
 *
 * IDENTIFICATION
 *	  src/quant/codes.c
 *
 *-------------------------------------------------------------------------
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/rounding.h"
#include "quant/quant.h"

#define MAGNITUDE_LANES 16

#define HALF_INFINITY		0x7C00
#define TANGENT_MAX			65535	/* "no bound" */

/* a row's E is stored this much too large, against the roundings of a reader */
#define ERROR_MARGIN		(1 + 0x1p-20)

/*
 * Step sizes tried by the extended-RaBitQ choice of scale: inv_step = factor *
 * sqrt(d) / |y|, around the best one for a Gaussian.  Besides, the step that
 * clips nothing is tried.
 */
typedef struct StepGrid
{
	int			count;
	float		factors[12];
} StepGrid;

static const StepGrid step_grids[VK_INT_FORMATS] = {
	{1, {1}},
	{8, {1.45f, 1.65f, 1.80f, 1.95f, 2.10f, 2.30f, 2.60f, 3.0f}},
	{8, {4.8f, 5.3f, 5.65f, 5.95f, 6.25f, 6.6f, 7.1f, 8.0f}},
	{0, {0}}
};

static const float format_max[VK_INT_FORMATS] = {1, 3, 15, 127};

/* u of c = 0, or the nearest there is: what an empty code holds */
static const uint8_t format_zero[VK_INT_FORMATS] = {1, 2, 8, 128};

/* what vk_row_encode carves out of its scratch */
typedef struct EncodeScratch
{
	float	   *residual;		/* dim */
	float	   *scaled;			/* dim */
	uint8_t    *codes;			/* padded */
	uint8_t    *best;			/* padded */
} EncodeScratch;

static size_t
padded(int dim)
{
	return ((size_t) dim + 31) / 32 * 32;
}

size_t
vk_scratch_size(int dim)
{
	return padded(dim) * (2 * sizeof(float) + 2);
}

static EncodeScratch
carve_scratch(void *scratch, int dim)
{
	EncodeScratch result;

	result.residual = scratch;
	result.scaled = result.residual + padded(dim);
	result.codes = (uint8_t *) (result.scaled + padded(dim));
	result.best = result.codes + padded(dim);
	return result;
}

int
vk_refine_size(int refine_bits, int dim)
{
	if (refine_bits == 0)
		return 0;
	return (VK_REFINE_HEAD + (dim * refine_bits + 7) / 8 + 3) / 4 * 4;
}

void
vk_coder_init(VkCoder *coder, int dim, VkMetric metric, VkFormat format,
			  int refine_bits, bool flat, uint64_t seed, const float *mean,
			  void *memory)
{
	coder->dim = dim;
	coder->metric = metric;
	coder->format = format;
	coder->refine_bits = refine_bits;
	coder->flat = flat;
	vk_rotation_init(&coder->rotation, dim, seed,
					 format == VK_FORMAT_F32 || metric == VK_METRIC_L1 ||
					 vk_metric_of_bits(metric) || dim == 1,
					 memory);
	coder->mean = mean;
	coder->step = 0;
	coder->operator_error = vk_canonical_error(dim);
	coder->lines = vk_format_lines(format, dim);
	coder->refine_size = vk_refine_size(refine_bits, dim);
	/* near 1 / sqrt(d): a / |x~| lies in (2^-7 .. 1] / sqrt(d) */
	coder->code_unit = ldexpf(1.0f, -(ilogb((double) dim) / 2));
	coder->rho = vk_rotation_error(&coder->rotation);
	coder->mean_norm = sqrt(vk_kernels->pair_dot_f64(mean, mean, dim));
}

bool
vk_normalize(const float *x, int dim, float *out, bool *wild)
{
	double		norm2 = vk_kernels->pair_dot_f64(x, x, dim);
	double		inverse;

	*wild = norm2 < VK_NORM2_MIN || !(norm2 <= VK_NORM2_MAX);
	if (norm2 == 0)
		return false;
	inverse = 1 / sqrt(norm2);
	for (int i = 0; i < dim; i++)
		out[i] = (float) (x[i] * inverse);
	return true;
}

void
vk_row_rotate(const VkCoder *coder, const float *x, float *y, double *norm2,
			  void *scratch)
{
	float	   *difference = scratch;

	vk_kernels->subtract(x, coder->mean, coder->dim, difference);
	*norm2 = vk_kernels->pair_dot_f64(difference, difference, coder->dim);
	vk_rotate(&coder->rotation, difference, y);
}

/*
 * The half not below v >= 0.
 */
static uint16_t
half_above(double v)
{
	float		f = (float) v;
	float		back;
	uint16_t	half;

	vk_kernels->float_to_half(&f, 1, &half);
	vk_kernels->half_to_float(&half, 1, &back);
	if (back < v && half < HALF_INFINITY)
		half++;
	return half;
}

static uint16_t
half_nearest(double v)
{
	float		f = (float) v;
	uint16_t	half;

	vk_kernels->float_to_half(&f, 1, &half);
	return half;
}

/* zero or a finite normal half: its relative error is at most 2^-11 */
static bool
half_is_exact_enough(uint16_t half)
{
	return half == 0 || (half >= 0x0400 && half < HALF_INFINITY);
}

/* a code found for a row: integer codes are left in the caller's bytes */
typedef struct FoundCode
{
	float		a;
	double		error;			/* |y - a c| */
} FoundCode;

/*
 * One step size; keeps the better of *best and codes by swapping the buffers.
 */
static void
try_step(const float *y, int dim, VkFormat format, float inv_step,
		 EncodeScratch *work, VkTrial *best)
{
	VkTrial		trial;

	vk_kernels->code_trial(y, dim, format, inv_step, work->codes, &trial);
	if (trial.dot > 0 && trial.norm2 > 0 &&
		(best->norm2 == 0 ||
		 trial.dot * trial.dot * (double) best->norm2 >
		 best->dot * best->dot * (double) trial.norm2))
	{
		uint8_t    *swap = work->best;

		work->best = work->codes;
		work->codes = swap;
		*best = trial;
	}
}

/* by lanes: compilers keep the order of comparisons, one after the other */
static float
largest_magnitude(const float *y, int dim)
{
	float		lane[MAGNITUDE_LANES] = {0};
	int			i;

	for (i = 0; i + MAGNITUDE_LANES <= dim; i += MAGNITUDE_LANES)
		for (int j = 0; j < MAGNITUDE_LANES; j++)
			lane[j] = fabsf(y[i + j]) > lane[j] ? fabsf(y[i + j]) : lane[j];
	for (; i < dim; i++)
		lane[0] = fabsf(y[i]) > lane[0] ? fabsf(y[i]) : lane[0];
	for (int j = 1; j < MAGNITUDE_LANES; j++)
		lane[0] = lane[j] > lane[0] ? lane[j] : lane[0];
	return lane[0];
}

/*
 * Codes of y in an integer format, into work->best, zero past dim.
 */
static FoundCode
find_code(const float *y, double norm2, int dim, VkFormat format,
		  EncodeScratch *work)
{
	const StepGrid *grid = &step_grids[format];
	FoundCode	found = {0, sqrt(norm2)};
	VkTrial		best = {0, 0};

	if (norm2 > 0)
	{
		double		unit = sqrt(dim / norm2);
		float		largest = largest_magnitude(y, dim);

		for (int i = 0; i < grid->count; i++)
			try_step(y, dim, format, (float) (grid->factors[i] * unit), work,
					 &best);
		if (format != VK_FORMAT_B1 && largest > 0)
			try_step(y, dim, format,
					 (float) ((double) format_max[format] / largest), work,
					 &best);
	}
	if (best.norm2 > 0)
	{
		found.a = (float) (best.dot / (double) best.norm2);
		found.error = sqrt(vk_kernels->code_error2(y, dim, format, found.a,
												   work->best));
	}
	else
		memset(work->best, format_zero[format], dim);
	memset(work->best + dim, 0, padded(dim) - dim);
	return found;
}

/*
 * Pack u bytes into a lane: byte j of line g holds, from the low bits up,
 * dimensions (32/b) g + j, + 4, + 8 ...: whole words shifted and joined, as no
 * field leaves its byte.
 */
static void
pack_lane(VkFormat format, const uint8_t *codes, int lines, uint8_t *lane)
{
	const int	bits = vk_format_bits[format];
	const int	fields = 8 / bits;

	for (int line = 0; line < lines; line++)
	{
		uint32_t	word = 0;

		for (int k = 0; k < fields; k++)
		{
			uint32_t	part;

			memcpy(&part, codes + 4 * ((size_t) line * fields + k), 4);
			word |= part << (bits * k);
		}
		memcpy(lane + 4 * (size_t) line, &word, 4);
	}
}

/*
 * F16 and F32: the lane holds the residual itself.  A half that overflows
 * leaves an infinite error, so no bound.
 */
static FoundCode
encode_float(const VkCoder *coder, const float *y, float *work, uint8_t *lane)
{
	const int	dim = coder->dim;
	FoundCode	found = {1, 0};
	double		error2 = 0;

	memset(lane, 0, 4 * (size_t) coder->lines);
	if (coder->format == VK_FORMAT_F32)
	{
		memcpy(lane, y, sizeof(float) * dim);
		return found;
	}
	vk_kernels->float_to_half(y, dim, (uint16_t *) lane);
	vk_kernels->half_to_float((const uint16_t *) lane, dim, work);
	for (int i = 0; i < dim; i++)
	{
		double		error = (double) y[i] - work[i];

		error2 += error * error;
	}
	found.error = sqrt(error2);
	return found;
}

static void
refine_head_put(uint8_t *refine, float norm2, float a, uint16_t error, uint16_t center)
{
	memcpy(refine, &norm2, 4);
	memcpy(refine + 4, &a, 4);
	memcpy(refine + 8, &error, 2);
	memcpy(refine + 10, &center, 2);
}

/* <centre, x'> / |centre| of the code that find_code has left */
static double
dot_with_center(const VkCoder *coder, const VkCenter *center, VkFormat format, float a,
				EncodeScratch *work)
{
	const int	dim = coder->dim;
	const int	mult = vk_format_mult(format);
	const int	offset = vk_format_offset(format);

	if (!vk_metric_centered(coder->metric) || center->code == NULL || !(center->norm > 0))
		return 0;
	for (int i = 0; i < dim; i++)
		work->codes[i] = (uint8_t) (mult * work->best[i] - offset);
	return (double) center->a * a / center->norm *
		vk_kernels->pair_dot[VK_I8] (center->code, work->codes, dim);
}

/* a refine code of 4 or 8 bits: byte order is that of dimensions */
static void
encode_refine(const VkCoder *coder, const float *y, double norm2, bool bounded,
			  const VkCenter *center, EncodeScratch *work, uint8_t *refine)
{
	const int	dim = coder->dim;
	const VkFormat format = coder->refine_bits == 8 ? VK_FORMAT_B8 : VK_FORMAT_B4;
	FoundCode	found = find_code(y, bounded ? norm2 : 0, dim, format, work);
	uint16_t	error = bounded ? 0 : HALF_INFINITY;
	uint16_t	along = 0;
	uint8_t    *code = refine + VK_REFINE_HEAD;

	if (bounded && norm2 > 0)
	{
		double		norm = sqrt((float) norm2);

		error = half_above(found.error / norm * ERROR_MARGIN);
		along = half_nearest(dot_with_center(coder, center, format, found.a, work) / norm);
	}
	memset(refine, 0, coder->refine_size);
	refine_head_put(refine, bounded ? (float) norm2 : 1.0f, found.a, error, along);
	if (format == VK_FORMAT_B8)
		memcpy(code, work->best, dim);
	else
		for (int i = 0; i < (dim + 1) / 2; i++)
			code[i] = (uint8_t) (work->best[2 * i] | work->best[2 * i + 1] << 4);
}

void
vk_row_encode(const VkCoder *coder, const float *y, double norm2,
			  const VkCenter *center, bool wild, VkRowCode *out, void *scratch)
{
	EncodeScratch work = carve_scratch(scratch, coder->dim);
	FoundCode	found;
	bool		bounded;

	/* a NaN or infinity anywhere makes its norm fail these */
	bounded = !wild && norm2 <= VK_NORM2_MAX;
	if (coder->metric == VK_METRIC_L1)
	{
		vk_grid_row(coder, y, bounded, out);
		return;
	}
	if (vk_metric_of_bits(coder->metric))
	{
		vk_bits_row(coder, y, bounded, out);
		return;
	}
	if (center->code != NULL)
	{
		vk_kernels->subtract_code(y, center->a, center->code, coder->dim,
								  work.residual);
		y = work.residual;
		norm2 = vk_kernels->pair_dot_f64(y, y, coder->dim);
	}
	bounded = bounded && vk_norm2_in_range(norm2);
	if (!bounded)
		norm2 = 0;

	if (out->refine != NULL)
		encode_refine(coder, y, norm2, bounded, center, &work, out->refine);
	out->center = 0;
	if (!bounded && coder->format >= VK_INT_FORMATS)
	{
		memset(out->lane, 0, 4 * (size_t) coder->lines);
		found = (FoundCode) {0, 0};
	}
	else if (coder->format >= VK_INT_FORMATS)
		found = encode_float(coder, y, work.scaled, out->lane);
	else
	{
		found = find_code(y, norm2, coder->dim, coder->format, &work);
		pack_lane(coder->format, work.best, coder->lines, out->lane);
		out->center = (float) dot_with_center(coder, center, coder->format, found.a, &work);
	}
	out->norm2 = bounded ? (float) norm2 : 1.0f;
	out->norm = bounded ? (float) sqrt(norm2) : 1.0f;
	out->a = found.a;
	out->error = bounded ? vk_round_up(found.error * ERROR_MARGIN) : INFINITY;
}

void
vk_center_encode(const float *y, int dim, int8_t *code, float *a)
{
	VkQuantized quantized;

	vk_kernels->quantize_i8(y, dim, code, &quantized);
	*a = quantized.scale;
}

double
vk_center_norm(const int8_t *code, float a, int dim)
{
	double		sum = 0;

	for (int i = 0; i < dim; i++)
	{
		double		value = a * (float) code[i];

		sum += value * value;
	}
	return sqrt(sum);
}

double
vk_refine_center(const uint8_t *refine, int dim, int8_t *code, float *a)
{
	float		norm2;
	int			i = 0;

	memcpy(&norm2, refine, 4);
	memcpy(a, refine + 4, 4);
	refine += VK_REFINE_HEAD;
	/* u - 128 flips the top bit; by words, since bytes may alias anything */
	for (; i + 8 <= dim; i += 8)
	{
		uint64_t	word;

		memcpy(&word, refine + i, 8);
		word ^= UINT64_C(0x8080808080808080);
		memcpy(code + i, &word, 8);
	}
	for (; i < dim; i++)
		code[i] = (int8_t) (refine[i] - 128);
	return sqrt((double) norm2) * (1 + 2 * VK_UNIT);
}

void
vk_refine_from_center(const int8_t *code, float a, int dim, uint8_t *refine)
{
	double		norm = vk_center_norm(code, a, dim);

	memset(refine, 0, vk_refine_size(8, dim));
	/* the code is the centre: nothing is lost */
	refine_head_put(refine, (float) (norm * norm), a,
					vk_norm2_in_range(norm * norm) ? 0 : HALF_INFINITY, 0);
	for (int i = 0; i < dim; i++)
		refine[VK_REFINE_HEAD + i] = (uint8_t) (code[i] + 128);
}

double
vk_annotation_residuals(const VkCoder *coder, const void *annotation,
						float block_scale, uint32_t lanes)
{
	double		sum = 0;
	float		norms[VK_LANES];

	if (coder->metric == VK_METRIC_L1 ||
		(vk_metric_of_bits(coder->metric) && !coder->flat))
		return 0;
	if (!coder->flat)
		vk_kernels->half_to_float(((const VkListAnnotation *) annotation)->norm,
								  VK_LANES, norms);
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		double		norm = coder->flat ?
			sqrt(((const VkFlatAnnotation *) annotation)->norm2[lane]) :
			(double) norms[lane] * block_scale;

		if (lanes & (1U << lane) && isfinite(norm))
			sum += norm;
	}
	return sum;
}

float
vk_block_scale(const VkRowCode *row)
{
	return isnormal(row->norm) ? row->norm : 1.0f;
}

/*
 * The share of the norm that a reader decodes, in 65535ths, rounded up.
 */
static uint16_t
tangent_above(double share)
{
	double		steps = ceil(share * ERROR_MARGIN * TANGENT_MAX);

	return steps < TANGENT_MAX ? (uint16_t) steps : TANGENT_MAX;
}

/* a float code has no scale: what is stored for it is not read */
static uint16_t
stored_a(const VkCoder *coder, const VkRowCode *row, double norm)
{
	if (norm == 0 || coder->format >= VK_INT_FORMATS)
		return 0;
	return half_nearest(row->a / (coder->code_unit * norm));
}

static void
flat_annotation_put(const VkCoder *coder, VkFlatAnnotation *annotation,
					int lane, const VkRowCode *row)
{
	double		norm = sqrt((double) row->norm2);
	uint16_t	a = stored_a(coder, row, norm);
	uint16_t	error = norm > 0 ? half_above(row->error / norm) : 0;

	annotation->norm2[lane] = row->norm2;
	annotation->a[lane] = a;
	annotation->error[lane] = half_is_exact_enough(a) ? error : HALF_INFINITY;
}

static void
list_annotation_put(const VkCoder *coder, VkListAnnotation *annotation,
					float block_scale, int lane, const VkRowCode *row)
{
	uint16_t	half = half_nearest((double) row->norm / block_scale);
	uint16_t	a = 0;
	uint16_t	tangent = TANGENT_MAX;
	uint16_t	center = 0;

	if (half_is_exact_enough(half) && (half != 0 || row->norm == 0) &&
		row->error < INFINITY)
	{
		float		decoded;
		double		norm;

		vk_kernels->half_to_float(&half, 1, &decoded);
		norm = (double) decoded * block_scale;
		a = stored_a(coder, row, norm);
		if (half_is_exact_enough(a))
			tangent = norm > 0 ? tangent_above(row->error / norm) : 0;
		if (norm > 0)
			center = half_nearest(row->center / norm);
	}
	else
		half = 0x3C00;			/* 1: any norm will do */
	annotation->norm[lane] = half;
	annotation->a[lane] = a;
	annotation->tangent[lane] = tangent;
	annotation->center[lane] = center;
}

/* L1: |y - x'|_1, and for the statistical reading |y - x'|_2 */
static void
grid_annotation_put(const VkCoder *coder, void *annotation, float block_scale,
					int lane, const VkRowCode *row)
{
	VkFlatAnnotation *flat = annotation;
	VkListAnnotation *list = annotation;

	if (coder->flat)
	{
		flat->norm2[lane] = row->error;
		flat->a[lane] = flat->error[lane] = 0;
		return;
	}
	list->norm[lane] = half_above(row->error / (double) block_scale);
	list->a[lane] = half_above(row->a / (double) block_scale);
	list->tangent[lane] = list->center[lane] = 0;
}

void
vk_annotation_put(const VkCoder *coder, void *annotation, float block_scale,
				  int lane, const VkRowCode *row)
{
	if (coder->metric == VK_METRIC_L1)
		grid_annotation_put(coder, annotation, block_scale, lane, row);
	else if (coder->flat)
		flat_annotation_put(coder, annotation, lane, row);
	else
		list_annotation_put(coder, annotation, block_scale, lane, row);
}

/* what a half stands for */
static float
half_value(uint16_t half)
{
	float		value;

	vk_kernels->half_to_float(&half, 1, &value);
	return value;
}

static void
flat_annotation_get(const VkCoder *coder, const VkFlatAnnotation *annotation,
					int lane, VkRowCode *out)
{
	out->norm2 = annotation->norm2[lane];
	out->norm = sqrtf(out->norm2);
	out->a = half_value(annotation->a[lane]) * coder->code_unit * out->norm;
	out->error = half_value(annotation->error[lane]) * out->norm;
	out->center = 0;
}

static void
list_annotation_get(const VkCoder *coder, const VkListAnnotation *annotation,
					float block_scale, int lane, VkRowCode *out)
{
	uint16_t	tangent = annotation->tangent[lane];

	out->norm = half_value(annotation->norm[lane]) * block_scale;
	out->norm2 = out->norm * out->norm;
	out->a = half_value(annotation->a[lane]) * coder->code_unit * out->norm;
	out->error = tangent == TANGENT_MAX ? INFINITY : tangent * out->norm / TANGENT_MAX;
	out->center = half_value(annotation->center[lane]) * out->norm;
}

static void
grid_annotation_get(const VkCoder *coder, const void *annotation,
					float block_scale, int lane, VkRowCode *out)
{
	const VkFlatAnnotation *flat = annotation;
	const VkListAnnotation *list = annotation;

	out->norm2 = out->center = 0;
	out->norm = coder->step * coder->dim;
	out->a = coder->flat ? 0 : half_value(list->a[lane]) * block_scale;
	out->error = coder->flat ? flat->norm2[lane] : half_value(list->norm[lane]) * block_scale;
}

void
vk_annotation_get(const VkCoder *coder, const void *annotation,
				  float block_scale, int lane, VkRowCode *out)
{
	if (coder->metric == VK_METRIC_L1)
		grid_annotation_get(coder, annotation, block_scale, lane, out);
	else if (coder->flat)
		flat_annotation_get(coder, annotation, lane, out);
	else
		list_annotation_get(coder, annotation, block_scale, lane, out);
}

void
vk_refine_head(const uint8_t *refine, VkRowCode *out)
{
	uint16_t	halves[2];		/* error, center */

	memcpy(&out->norm2, refine, 4);
	memcpy(&out->a, refine + 4, 4);
	memcpy(halves, refine + 8, sizeof(halves));
	out->norm = sqrtf(out->norm2);
	out->error = half_value(halves[0]) * out->norm;
	out->center = half_value(halves[1]) * out->norm;
}
