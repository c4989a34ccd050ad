/*-------------------------------------------------------------------------
 *
 * vec_agg.c
 *	  The aggregates avg and sum of vectors.
 *
 * NOTES
 *	  The state of both is a float8 array of the count and then the sum of each
 *	  dimension; before the first value it is {0}.  Sums are rounded to elements
 *	  once, at the end.
 *
 *	  Users can call these functions with arrays of their own, so each checks
 *	  what it is given.
 *
 * IDENTIFICATION
 *	  src/types/vec_agg.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "catalog/pg_type.h"
#include "types/vec.h"
#include "utils/float.h"

/* a checked view of a state array */
typedef struct SumState
{
	ArrayType  *array;
	int			dim;			/* 0 before the first value */
	float8	   *count;
	float8	   *sums;			/* dim of them */
} SumState;

static SumState
view_state(ArrayType *array)
{
	SumState	state;

	state.array = array;
	state.dim = ARR_DIMS(array)[0] - 1;
	state.count = (float8 *) ARR_DATA_PTR(array);
	state.sums = state.count + 1;
	return state;
}

static SumState
get_state_arg(FunctionCallInfo fcinfo, int arg, const VecType *type,
			  const char *caller)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(arg);

	if (ARR_NDIM(array) != 1 ||
		ARR_DIMS(array)[0] < 1 ||
		ARR_HASNULL(array) ||
		ARR_ELEMTYPE(array) != FLOAT8OID)
		elog(ERROR, "%s_%s: expected state array", type->name, caller);

	return view_state(array);
}

static SumState
make_state(int dim, float8 count)
{
	SumState	state = view_state(vec_array_alloc(FLOAT8OID, sizeof(float8),
												   dim + 1));

	*state.count = count;
	return state;
}

static inline float8
add_checked(float8 a, float8 b)
{
	float8		sum = a + b;

	if (unlikely(isinf(sum)))
		float_overflow_error();
	return sum;
}

/*
 * vec_accum -- add a vector to the state
 *
 * Inside an aggregate the state is ours to change, so it is updated in place
 * once it has its size.
 */
static Datum
vec_accum(FunctionCallInfo fcinfo, const VecType *type)
{
	SumState	old = get_state_arg(fcinfo, 0, type, "accum");
	Vec		   *vec = PG_GETARG_VEC_P(1);
	float		buffer[VEC_BLOCK];
	SumState	new;

	if (old.dim != 0)
		vec_check_typmod(old.dim, vec->dim);

	if (old.dim != 0 && AggCheckCallContext(fcinfo, NULL))
	{
		new = old;
		*new.count += 1.0;
	}
	else
		new = make_state(vec->dim, *old.count + 1.0);

	for (int first = 0; first < new.dim; first += VEC_BLOCK)
	{
		int			n = Min(new.dim - first, VEC_BLOCK);
		const float *values = vec_floats(type, vec, first, n, buffer);

		for (int i = 0; i < n; i++)
			new.sums[first + i] = old.dim == 0 ? values[i] :
				add_checked(old.sums[first + i], values[i]);
	}

	PG_FREE_IF_COPY(vec, 1);
	PG_RETURN_ARRAYTYPE_P(new.array);
}

/*
 * vec_combine -- merge the states of two workers
 */
static Datum
vec_combine(FunctionCallInfo fcinfo, const VecType *type)
{
	SumState	a = get_state_arg(fcinfo, 0, type, "combine");
	SumState	b = get_state_arg(fcinfo, 1, type, "combine");
	SumState	merged;

	if (a.dim == 0 || b.dim == 0)
	{
		/* one of the two has all the sums there are */
		SumState	filled = a.dim != 0 ? a : b;

		if (filled.dim != 0)
			vec_check_dim(type, filled.dim);
		merged = make_state(filled.dim, *a.count + *b.count);
		memcpy(merged.sums, filled.sums, filled.dim * sizeof(float8));
	}
	else
	{
		vec_check_dim(type, a.dim);
		vec_check_typmod(a.dim, b.dim);
		merged = make_state(a.dim, *a.count + *b.count);
		for (int i = 0; i < merged.dim; i++)
			merged.sums[i] = add_checked(a.sums[i], b.sums[i]);
	}

	PG_RETURN_ARRAYTYPE_P(merged.array);
}

/*
 * divide_sums -- a vector of the sums divided; NULL if none were added
 *
 * A sum that is too large for the type is an overflow, a state's average that is
 * no number an element that is not allowed.
 */
static Datum
divide_sums(FunctionCallInfo fcinfo, const VecType *type, SumState state,
			float8 divisor, bool may_overflow)
{
	const VecType *wide = &vec_types[type->wide];
	Vec		   *result;
	float	   *values;

	if (*state.count == 0.0)
		PG_RETURN_NULL();

	vec_check_dim(wide, state.dim);
	result = vec_alloc(wide, state.dim);
	values = vec_all_room(wide, result);
	for (int i = 0; i < state.dim; i++)
	{
		values[i] = (float) (state.sums[i] / divisor);
		if (may_overflow && !vec_in_range(wide, values[i]) && !isnan(values[i]))
			float_overflow_error();
	}
	vec_put_all(wide, result, values);

	PG_RETURN_VEC_P(result);
}

/*
 * vec_avg -- the average of the vectors added
 */
static Datum
vec_avg(FunctionCallInfo fcinfo, const VecType *type)
{
	SumState	state = get_state_arg(fcinfo, 0, type, "avg");

	return divide_sums(fcinfo, type, state, *state.count, false);
}

/*
 * vec_sum -- the sum of the vectors added
 */
static Datum
vec_sum(FunctionCallInfo fcinfo, const VecType *type)
{
	SumState	state = get_state_arg(fcinfo, 0, type, "sum");

	return divide_sums(fcinfo, type, state, 1.0, true);
}

#define VEC_AGGREGATES(type, element) \
	VEC_FUNCTION(type, element, accum) \
	VEC_FUNCTION(type, element, combine) \
	VEC_FUNCTION(type, element, avg) \
	VEC_FUNCTION(type, element, sum)

VEC_TYPES(VEC_AGGREGATES)
