/*-------------------------------------------------------------------------
 *
 * distance_memo.h
 *	  Distances that an index scan leaves for the executor.
 *
 * IDENTIFICATION
 *	  src/types/distance_memo.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef DISTANCE_MEMO_H
#define DISTANCE_MEMO_H

#include "fmgr.h"

typedef struct DistanceMemo DistanceMemo;

/*
 * A memo of one query of one scan: distances from a detoasted vector, kept by
 * reference, as the operator's C function gives them.  It lives, and is used,
 * until context is reset.
 */
extern DistanceMemo *distance_memo_create(MemoryContext context, PGFunction function,
										  Datum query);
/* note the distance of a stored datum, detoasted or not; only TOAST counts */
extern void distance_memo_put(DistanceMemo *memo, Datum value, double distance);
/* true where a scan has left the result of function on these arguments */
extern bool distance_memo_find(FunctionCallInfo fcinfo, PGFunction function,
							   double *distance);

#endif							/* DISTANCE_MEMO_H */
