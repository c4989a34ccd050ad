/*-------------------------------------------------------------------------
 *
 * calibrate.h
 *	  What a calibration asks of batches (batch/measure.c).
 *
 * IDENTIFICATION
 *	  src/am/calibrate.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_CALIBRATE_H
#define VK_CALIBRATE_H

#include "am/search.h"

/* a query, and what its nearest rows by their finest stored codes took to find */
typedef struct VkMeasuredQuery
{
	const float *vector;
	uint64		self;			/* this row is left out */
	int			wanted;			/* rows, 1 at least */
	double		budget;			/* live rows that are looked at; 0: all */

	/* set; the arrays are the caller's */
	int			found;			/* rows, wanted at most */
	float	   *work;			/* of each, nearest first: live rows in lists begun before
								 * its own, plus 1 */
	float	   *scores;			/* (quant.h) */
	float	   *centers;		/* vk_reach_center at each point; NULL: not wanted */
	double		norm2;			/* for vk_reach_deviations */
} VkMeasuredQuery;

/* an index that is being built, or whose lists stay as they are but for inserts */
typedef struct VkMeasuredIndex
{
	Relation	index;
	VkIndex    *vk;
	const VkMeta *meta;
	const VkSupport *support;
	VkSearch   *search;
	const double *points;		/* work, rising */
	int			point_count;
} VkMeasuredIndex;

/* All queries together; memory is the current context's, to be reset afterwards. */
extern void vk_measure(const VkMeasuredIndex *measured, VkMeasuredQuery *queries,
					   int count);
/* bytes that a query takes, about, which visits so many lists */
extern double vk_measure_query_size(const VkIndex *vk, int wanted, double lists);
/* and each list that any of the queries visits: planned (collect.c), in an array that
 * grows */
#define VK_MEASURED_LIST_SIZE	320

#endif							/* VK_CALIBRATE_H */
