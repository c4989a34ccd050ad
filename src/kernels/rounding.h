/*-------------------------------------------------------------------------
 *
 * rounding.h
 *	  A double as a float that errs to a known side.
 *
 * IDENTIFICATION
 *	  src/kernels/rounding.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_ROUNDING_H
#define VK_ROUNDING_H

#include <math.h>

/* the float at or above v */
static inline float
vk_round_up(double v)
{
	float		f = (float) v;

	return f < v ? nextafterf(f, INFINITY) : f;
}

/* the float at or below v */
static inline float
vk_round_down(double v)
{
	float		f = (float) v;

	return f > v ? nextafterf(f, -INFINITY) : f;
}

#endif							/* VK_ROUNDING_H */
