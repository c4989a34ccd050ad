/*-------------------------------------------------------------------------
 *
 * bound_query.c
 *	  A query's numbers, brought into the form that bound kernels use.
 *
 * NOTES
 *	  In double, rounded once, towards the wider interval.  The screen's
 *	  formula is in template_bound.h; its terms follow from bound_lane there
 *	  with the sine of the angle taken as 1:
 *
 *	  bound		 = F n^ + (e n^ UP + rho (n^ + M)) (|q'| + F)
 *				   + r (n^ + M) + the error of the dot + 2^-120 (1 + n^)
 *	  half width = weight_dot bound + slack_norm n^^2 + slack_base
 *				   + roundings,
 *
 *	  sorted by what they multiply (1, n^, n^^2, e n^) and inflated by
 *	  1 + 2^-18, 2^-19 being for the half width's own roundings.
 *
 * IDENTIFICATION
 *	  src/kernels/bound_query.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>

#include "kernels.h"

#define INFLATE		(1 + 0x1p-18)
#define TINY		0x1p-120
#define ROUNDINGS	0x1p-20		/* of a score's terms, 16 units each */

static float
round_up(double v)
{
	float		f = (float) v;

	return f < v ? nextafterf(f, INFINITY) : f;
}

static float
round_down(double v)
{
	float		f = (float) v;

	return f > v ? nextafterf(f, -INFINITY) : f;
}

void
vk_bound_query_finish(VkBoundQuery *query)
{
	const double weight = query->weight_dot;
	const double code_norm = sqrt((double) query->code_norm2);
	const double far = code_norm + query->query_error;	/* W + F */
	const double row_error = query->row_error * far + query->round_factor;

	query->code_norm = round_up(code_norm);
	query->inv_code_norm = round_down(sqrt((double) query->inv_code_norm2));
	query->screen_dot = query->weight_dot * query->query_scale * query->code_unit;
	query->screen_error = round_up(weight * far * INFLATE);
	query->screen_norm = round_up(weight * (query->query_error + row_error + TINY) *
								  INFLATE);
	query->screen_norm2 = round_up((query->slack_norm +
									query->weight_norm * ROUNDINGS) * INFLATE);
	query->screen_base = round_down(query->base - INFLATE *
									(weight * (query->center_norm * row_error + TINY) +
									 query->slack_base +
									 fabs((double) query->base) * ROUNDINGS));
}
