/*-------------------------------------------------------------------------
 *
 * grid.c
 *	  L1: 8-bit codes on one grid for the whole index.
 *
 * NOTES
 *	  README, "L1", derives the bound.  The grid begins at the mean, has 255
 *	  points a dimension and one step for all of them: sums of |q - u| need no
 *	  weights then, and rows, queries and centres share it.
 *
 * IDENTIFICATION
 *	  src/quant/grid.c
 *
 *-------------------------------------------------------------------------
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/rounding.h"
#include "quant/quant.h"

#define GRID_ZERO		128		/* u of the mean */
#define GRID_REACH		127		/* steps from there to either end */

/* sums of an error are stored this much too large, against all roundings */
#define ERROR_MARGIN	(1 + 0x1p-20)

/* steps tried: a share of the one that reaches every value */
#define STEPS_TRIED		32
#define STEP_RATIO		0.75
#define TRIAL_VALUES	(1 << 17)	/* values that a step is tried on, about */
#define TRIAL_ROWS		64		/* of that many rows at least */

/* rows that come to an index without any have to fit a guess */
#define STEP_UNKNOWN	0x1p-7f
#define STEP_MIN		0x1p-80
#define STEP_MAX		0x1p53

/* how far a vector lies from its code */
typedef struct GridError
{
	double		sum;			/* |y - y'|_1, but for what is beyond */
	double		sum2;			/* sum of squares of the same */
	double		beyond;			/* outward of the ends of the grid */
	double		length;			/* |y|_1 */
} GridError;

/* u of y into codes; apart: sum what lies beyond the grid apart */
static GridError
grid_encode(float step, const float *y, int dim, bool apart, uint8_t *codes)
{
	GridError	error = {0, 0, 0, 0};
	VkTrial		unused;

	vk_kernels->code_trial(y, dim, VK_FORMAT_B8, 1 / step, codes, &unused);
	for (int i = 0; i < dim; i++)
	{
		const int	c = codes[i] - GRID_ZERO;
		const double off = y[i] - (double) step * c;
		const double distance = fabs(off);
		const bool	outward = apart &&
			((c == GRID_REACH && off > 0) || (c == -GRID_REACH && off < 0));

		error.sum += outward ? 0 : distance;
		error.sum2 += outward ? 0 : distance * distance;
		error.beyond += outward ? distance : 0;
		error.length += fabs((double) y[i]);
	}
	return error;
}

/* |y - y'|_1 with the rounding of y = fl(x - mean) */
static double
error_above(const VkCoder *coder, const GridError *error)
{
	return (error->sum + coder->rho * error->length) * ERROR_MARGIN;
}

void
vk_grid_row(const VkCoder *coder, const float *y, bool bounded, VkRowCode *out)
{
	const int	dim = coder->dim;

	memset(out->lane, 0, 4 * (size_t) coder->lines);
	out->norm2 = out->center = 0;
	/* what errors are stored relative to */
	out->norm = coder->step * dim;
	if (bounded)
	{
		GridError	error = grid_encode(coder->step, y, dim, false, out->lane);

		out->a = vk_round_up(sqrt(error.sum2) * ERROR_MARGIN);
		out->error = vk_round_up(error_above(coder, &error));
	}
	else
	{
		memset(out->lane, GRID_ZERO, dim);
		out->a = INFINITY;
		out->error = INFINITY;
	}
}

void
vk_grid_query(const VkCoder *coder, const VkQuery *query, VkQueryCode *code)
{
	const int	dim = coder->dim;
	VkBoundQuery *bound = &code->bound;
	uint8_t    *codes = (uint8_t *) code->code;
	GridError	error = grid_encode(coder->step, query->rotated, dim, true, codes);

	memset(codes + dim, 0, 4 * (size_t) coder->lines - dim);
	code->norm2 = query->norm2;
	code->base = error.beyond;
	code->center_norm = 0;
	code->centered = false;
	memset(bound, 0, sizeof(*bound));
	bound->dot_mult = 1;
	bound->query_scale = coder->step;
	bound->base = (float) error.beyond;
	bound->query_norm2 = vk_round_up(error.sum2);
	bound->query_error = vk_round_up(error_above(coder, &error));
	bound->gamma = vk_round_up(coder->operator_error);
	bound->epsilon = VK_EPSILON;
	bound->screen.base = NAN;
}

/* mean of the squared errors of sampled rows */
static double
trial_error(const float *rows, int64_t count, int64_t stride, int dim,
			const float *mean, double step)
{
	double		total = 0;

	for (int64_t row = 0; row < count; row += stride)
	{
		const float *x = rows + row * dim;
		double		sum = 0;

		for (int i = 0; i < dim; i++)
		{
			double		steps = fabs((double) x[i] - mean[i]) / step;
			double		nearest = steps < GRID_REACH ? floor(steps + 0.5) : GRID_REACH;

			sum += fabs(steps - nearest);
		}
		total += sum * step * sum * step;
	}
	return total;
}

static double
largest_offset(const float *rows, int64_t count, int64_t stride, int dim,
			   const float *mean)
{
	double		largest = 0;

	for (int64_t row = 0; row < count; row += stride)
		for (int i = 0; i < dim; i++)
			largest = fmax(largest, fabs((double) rows[row * dim + i] - mean[i]));
	return largest;
}

/*
 * Squares, so that a few rows far out count: their wide bounds make them
 * candidates of every query.
 */
float
vk_grid_step(const float *rows, int64_t count, int dim, const float *mean)
{
	const int64_t wanted = TRIAL_VALUES / dim > TRIAL_ROWS ?
		TRIAL_VALUES / dim : TRIAL_ROWS;
	const int64_t stride = count > wanted ? count / wanted : 1;
	double		step = count == 0 ? 0 :
		largest_offset(rows, count, stride, dim, mean) / GRID_REACH;
	double		best = step;
	double		least = INFINITY;

	if (step == 0)
		return STEP_UNKNOWN;
	for (int i = 0; i < STEPS_TRIED; i++, step *= STEP_RATIO)
	{
		double		error = trial_error(rows, count, stride, dim, mean, step);

		if (error < least)
		{
			least = error;
			best = step;
		}
	}
	return (float) fmin(fmax(best, STEP_MIN), STEP_MAX);
}

bool
vk_grid_step_valid(float step)
{
	return step >= STEP_MIN && step <= STEP_MAX;
}
