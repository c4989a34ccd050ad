/*-------------------------------------------------------------------------
 *
 * bound_query.c
 *	  A query's numbers, brought into the form that bounds and screen use.
 *
 * NOTES
 *	  In double, rounded once, towards the wider interval.  The screen's terms
 *	  follow from bound_lane in template_bound.h with the sine of the angle
 *	  taken as 1 (n^ is the row's norm rounded up, e its error):
 *
 *	  bound		 = F n^ + (e + rho (n^ + M)) (|q'| + F) + r (n^ + M)
 *				   + the error of the dot + 2^-120 (1 + n^)
 *	  half width = weight_dot bound + slack_norm n^^2 + slack_base
 *				   + roundings,
 *
 *	  sorted by what they multiply: 1, n^, e and N.  The statistical reading
 *	  has epsilon standard deviations instead.  template_screen.h says what
 *	  the constants cover.
 *
 * IDENTIFICATION
 *	  src/kernels/bound_query.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>

#include "kernels.h"
#include "rounding.h"

#define INFLATE			(1 + 0x1p-17)	/* half widths and their roundings */
#define BASE_ROUNDINGS	0x1p-20
#define NORM2_ROUNDINGS	0x1p-19
#define TINY			0x1p-120
#define ROOT_TINY		0x1p-72	/* a root of what underflowed */

/* queries beyond these, which no sane row needs, have no screen */
#define SCALE_MIN		0x1p-80
#define SCALE_MAX		0x1p36
#define WEIGHT_MAX		0x1p60
#define BASE_MAX		0x1p100
#define SLACK_MAX		0x1p-4

/* what becomes the floats of a VkScreenQuery */
typedef struct ScreenTerms
{
	double		base;			/* less what follows */
	double		base_error;
	double		weight_norm2;
	double		weight_error;
	double		weight_norm;
} ScreenTerms;

static ScreenTerms
proven_terms(const VkBoundQuery *bound)
{
	const double weight = bound->weight_dot;
	const double far = (double) bound->code_norm + bound->query_error;	/* W + F */
	const double row_error = bound->row_error * far + bound->round_factor;
	ScreenTerms terms;

	terms.base = bound->base;
	terms.base_error = weight * (bound->center_norm * row_error + TINY) +
		bound->slack_base;
	terms.weight_norm2 = bound->weight_norm * (1 - NORM2_ROUNDINGS) -
		bound->slack_norm * INFLATE;
	terms.weight_error = weight * far;
	terms.weight_norm = weight * (bound->query_error + row_error + TINY);
	if (!(bound->slack_norm <= SLACK_MAX * bound->weight_norm))
		terms.base = NAN;
	return terms;
}

static ScreenTerms
estimate_terms(const VkBoundQuery *bound)
{
	const double sigmas = (double) bound->epsilon * bound->weight_dot;
	const double weight = sigmas * sqrt((double) bound->inv_dim_1);
	ScreenTerms terms;

	terms.base = bound->base;
	terms.base_error = 0;
	terms.weight_norm2 = bound->weight_norm * (1 - NORM2_ROUNDINGS);
	terms.weight_error = weight * sqrt((double) bound->query_norm2);
	terms.weight_norm = weight * bound->query_error + sigmas * ROOT_TINY;
	return terms;
}

static bool
within(double v, double low, double high)
{
	return v >= low && v <= high;
}

static void
fill_screen(const VkBoundQuery *bound, const ScreenTerms *terms,
			VkScreenQuery *query)
{
	const double magnitude = fabs(terms->base);
	const double base_error = terms->base_error * INFLATE +
		magnitude * BASE_ROUNDINGS + TINY;

	query->dot_mult = bound->dot_mult;
	query->dot_offset = bound->dot_offset;
	query->scale = bound->weight_dot * bound->query_scale * bound->code_unit;
	query->base = vk_round_down(terms->base - base_error);
	query->weight_norm2 = vk_round_down(terms->weight_norm2);
	query->weight_error = vk_round_up(terms->weight_error * INFLATE);
	query->weight_norm = vk_round_up(terms->weight_norm * INFLATE + TINY);
	query->threshold = INFINITY;
	if (!(query->scale == 0 ||
		  within(fabs((double) query->scale), SCALE_MIN, SCALE_MAX)) ||
		!within(terms->weight_norm2, 0, 1) ||
		!within(terms->weight_error, 0, WEIGHT_MAX) ||
		!within(terms->weight_norm, 0, WEIGHT_MAX) ||
		!within(magnitude + base_error, 0, BASE_MAX))
		query->base = NAN;
}

void
vk_bound_query_finish(VkBoundQuery *query)
{
	ScreenTerms terms;

	query->code_norm = vk_round_up(sqrt((double) query->code_norm2));
	query->inv_code_norm = vk_round_down(sqrt((double) query->inv_code_norm2));
	terms = proven_terms(query);
	fill_screen(query, &terms, &query->screen);
}

void
vk_screen_query(const VkBoundQuery *bound, bool proven, float threshold,
				VkScreenQuery *query)
{
	if (proven)
		*query = bound->screen;
	else
	{
		ScreenTerms terms = estimate_terms(bound);

		fill_screen(bound, &terms, query);
	}
	vk_screen_threshold(bound, proven, threshold, query);
}

/*
 * lower - gamma |lower| > T, in floats, follows from lower > what is stored
 * here: the last 2^-22 is for its two roundings and ours.
 */
void
vk_screen_threshold(const VkBoundQuery *bound, bool proven, float threshold,
					VkScreenQuery *query)
{
	const double gamma = proven ? 1.01 * bound->gamma + 0x1p-22 : 0;

	query->threshold = isinf(threshold) ? threshold :
		vk_round_up(threshold + gamma * fabs((double) threshold) + TINY);
}
