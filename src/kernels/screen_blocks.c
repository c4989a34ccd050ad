/*-------------------------------------------------------------------------
 *
 * screen_blocks.c
 *	  What the screen asks of the dots of whole blocks.
 *
 * NOTES
 *	  Most blocks hold nothing that a query may want, and one limit for all dots
 *	  of a block shows it at a third of the screen's cost.  What is computed here
 *	  serves all queries of a batch; in double, so that the margin, 2^-16 of
 *	  N, is left to the kernel (template_screen.h).
 *
 * IDENTIFICATION
 *	  src/kernels/screen_blocks.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <string.h>

#include "kernels.h"

#define NORM2_MARGIN	0x1p-16

/* of one block: see VkScreenBlocks */
typedef struct BlockLimits
{
	double		start;			/* least norm2 / (a + a_error) */
	double		start_pivot;	/* least (norm2 + pivot) / (a + a_error) */
	double		slope_least;	/* 1 / (a + a_error) */
	double		slope_most;
	double		error;
	double		norm;
} BlockLimits;

static double
lesser(double a, double b)
{
	return a < b ? a : b;
}

static double
greater(double a, double b)
{
	return a > b ? a : b;
}

/* can a limit for its dot exclude the lane? */
static bool
has_limit(const VkScreenRows *rows, int lane)
{
	return rows->norm[lane] < INFINITY && rows->a[lane] > 0 &&
		rows->a[lane] >= rows->a_error[lane];
}

/* the mean of norm2: gaps are below it, or hardly above */
static double
mean_norm2(const VkScreenRows *rows, const uint16_t *lanes, int blocks)
{
	double		sum = 0;
	int			count = 0;

	for (int b = 0; b < blocks; b++)
		for (int lane = 0; lane < VK_LANES; lane++)
			if ((lanes[b] >> lane & 1) && has_limit(&rows[b], lane))
			{
				sum += rows[b].norm2[lane];
				count++;
			}
	return count > 0 ? sum / count : 0;
}

/* false: there is none */
static bool
find_limits(const VkScreenRows *rows, uint32_t lanes, double pivot,
			BlockLimits *limits)
{
	*limits = (BlockLimits) {INFINITY, INFINITY, INFINITY, 0, 0, 0};
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		double		share;
		double		norm2;

		if ((lanes >> lane & 1) == 0)
			continue;
		if (!has_limit(rows, lane))
			return false;
		share = 1 / ((double) rows->a[lane] + rows->a_error[lane]);
		norm2 = rows->norm2[lane] - fabs((double) rows->norm2[lane]) * NORM2_MARGIN;
		limits->start = lesser(limits->start, norm2 * share);
		limits->start_pivot = lesser(limits->start_pivot, (norm2 + pivot) * share);
		limits->slope_least = lesser(limits->slope_least, share);
		limits->slope_most = greater(limits->slope_most, share);
		limits->error = greater(limits->error, rows->error[lane] * share);
		limits->norm = greater(limits->norm, rows->norm[lane] * share);
	}
	return lanes != 0 && pivot > 0;
}

void
vk_screen_blocks_fill(const VkScreenRows *rows, const uint16_t *lanes, int blocks,
					  VkScreenBlocks *group)
{
	double		pivot = mean_norm2(rows, lanes, blocks);

	memset(group, 0, sizeof(*group));
	group->pivot = (float) pivot;
	pivot = group->pivot;
	for (int b = 0; b < VK_LANES; b++)
	{
		BlockLimits limits;

		if (b >= blocks || !find_limits(&rows[b], lanes[b], pivot, &limits))
		{
			for (int line = 0; line < VK_SCREEN_LINES; line++)
				group->start[line][b] = -INFINITY;
			continue;
		}
		group->start[0][b] = group->start[1][b] = (float) limits.start;
		group->start[2][b] = (float) (limits.start_pivot - pivot * limits.slope_least);
		group->slope[0][b] = (float) limits.slope_most;
		group->slope[1][b] = (float) ((limits.start_pivot - limits.start) / pivot);
		group->slope[2][b] = (float) limits.slope_least;
		group->error[b] = (float) limits.error;
		group->norm[b] = (float) limits.norm;
	}
}
