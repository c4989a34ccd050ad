/*-------------------------------------------------------------------------
 *
 * curve.c
 *	  Rows to scan for a declared recall: a small table, and its reading.
 *
 * NOTES
 *	  Work follows a power of k, and a power of the share that may be missed
 *	  (1 - recall), so both are read on logarithmic scales.  So is the fringe, how
 *	  near the last list then comes.
 *
 * IDENTIFICATION
 *	  src/quant/curve.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>

#include "quant/quant.h"

/* the aim lies this share of the way from the target to 1 */
#define AIM_MARGIN	0.1

const float vk_curve_levels[VK_CURVE_LEVELS] =
{0.5f, 0.7f, 0.8f, 0.9f, 0.95f, 0.98f, 0.99f, 0.995f};

const int	vk_curve_anchors[VK_CURVE_ANCHORS] =
{1, 3, 10, 30, 100, 300, 1000};

void
vk_curve_set_anchor(VkCurve *curve, int anchor, const float *work, int64_t count)
{
	for (int level = 0; level < VK_CURVE_LEVELS; level++)
	{
		int64_t		rank = (int64_t) ceil((double) vk_curve_levels[level] * count) - 1;

		curve->rows[anchor][level] = count <= 0 ? 0 :
			vk_select_float(work, count, rank);
	}
}

/* more neighbours, or a higher recall, never take less work */
void
vk_curve_finish(VkCurve *curve)
{
	for (int level = 0; level < VK_CURVE_LEVELS; level++)
	{
		float		most = 0;

		for (int anchor = 0; anchor < VK_CURVE_ANCHORS; anchor++)
		{
			float	   *rows = &curve->rows[anchor][level];

			if (*rows == 0)
				continue;
			if (*rows < most)
				*rows = most;
			most = *rows;
		}
	}
}

/* the recall aimed at */
static double
aim(double target)
{
	return target + AIM_MARGIN * (1 - target);
}

/*
 * The level from which to interpolate to the next one, and *part, how much of the
 * way, in log(1 - recall); below the first level none.
 */
static int
level_below(double recall, double *part)
{
	int			level = 0;
	double		x0;
	double		x1;

	while (level < VK_CURVE_LEVELS - 2 && recall > vk_curve_levels[level + 1])
		level++;
	x0 = log(1 - (double) vk_curve_levels[level]);
	x1 = log(1 - (double) vk_curve_levels[level + 1]);
	*part = (log(1 - recall) - x0) / (x1 - x0);
	if (*part < 0)
		*part = 0;
	return level;
}

/* log of the work for one anchor at a recall */
static double
work_at_level(const float *rows, double recall)
{
	double		part;
	int			level = level_below(recall, &part);
	double		y0 = log((double) rows[level]);
	double		y1 = log((double) rows[level + 1]);

	return y0 + (y1 - y0) * part;
}

/*
 * What a table has for k neighbours, of values at the anchors, NaN where unknown:
 * linear in log k, going on beyond the last two.  slope: where only one is known.
 */
static double
at_neighbors(const double *values, double k, double slope)
{
	double		log_k = log(k > 1 ? k : 1);
	double		x0 = 0;
	double		y0 = NAN;

	for (int anchor = 0; anchor < VK_CURVE_ANCHORS; anchor++)
	{
		double		x = log((double) vk_curve_anchors[anchor]);
		double		y = values[anchor];
		bool		first = isnan(y0);

		if (isnan(y))
			continue;
		if (!first)
			slope = (y - y0) / (x - x0);
		else if (log_k < x)
			log_k = x;			/* nothing is known of fewer neighbours */
		x0 = x;
		y0 = y;
		if (!first && log_k <= x)
			break;
	}
	return y0 + slope * (log_k - x0);
}

double
vk_curve_budget(const VkCurve *curve, double k, double target, double total)
{
	double		recall = aim(target);
	double		values[VK_CURVE_ANCHORS];
	double		work;

	if (!(target < 1))
		return total;
	if (!(recall > 0))
		recall = 0;
	for (int anchor = 0; anchor < VK_CURVE_ANCHORS; anchor++)
		values[anchor] = curve->rows[anchor][0] > 0 ?
			work_at_level(curve->rows[anchor], recall) : NAN;
	work = exp(at_neighbors(values, k, 1));
	if (isnan(work))
		return total;
	if (work < k)
		work = k;
	return work < total ? work : total;
}

double
vk_curve_recall(const VkCurve *curve, double k, double rows, double total)
{
	double		low = 0;
	double		high = 1;

	if (rows >= total)
		return 1;
	for (int step = 0; step < 20; step++)
	{
		double		target = (low + high) / 2;

		if (vk_curve_budget(curve, k, target, total) <= rows)
			low = target;
		else
			high = target;
	}
	return low;
}

double
vk_fringe_deviations(const VkFringe *fringe, double k, double target)
{
	double		values[VK_CURVE_ANCHORS];
	double		part;
	double		most;
	int			level;

	if (!(target < 1))
		return INFINITY;
	level = level_below(aim(target), &part);
	for (int anchor = 0; anchor < VK_CURVE_ANCHORS; anchor++)
	{
		const float *known = &fringe->deviations[anchor][level];

		values[anchor] = known[0] == 0 || known[1] == 0 ? NAN :
			known[0] + (known[1] - (double) known[0]) * part;
	}
	most = at_neighbors(values, k, 0);
	return isnan(most) ? INFINITY : most;
}
