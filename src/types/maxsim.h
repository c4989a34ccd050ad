/*-------------------------------------------------------------------------
 *
 * maxsim.h
 *	  Documents and queries of many vectors: arrays of a vector type.
 *
 * IDENTIFICATION
 *	  src/types/maxsim.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAXSIM_H
#define MAXSIM_H

#include "utils/array.h"

/*
 * The vectors of an array but for NULLs, detoasted, of any dimensions each; in the
 * current memory context.  Raises an error for an array of arrays.
 */
extern int	maxsim_vectors(ArrayType *array, Datum **vectors);

#endif							/* MAXSIM_H */
