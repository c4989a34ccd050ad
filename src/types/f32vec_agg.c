/*-------------------------------------------------------------------------
 *
 * f32vec_agg.c
 *	  The aggregate avg(f32vec).
 *
 * NOTES
 *	  The state is a float8 array of the count and then the sum of each
 *	  dimension; before the first value it is {0}.  sum(f32vec) needs no state
 *	  but a vector, and no function but f32vec_add.
 *
 *	  Users can call these functions with arrays of their own, so each checks
 *	  what it is given.
 *
 * IDENTIFICATION
 *	  src/types/f32vec_agg.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "catalog/pg_type.h"
#include "types/f32vec.h"

PG_FUNCTION_INFO_V1(f32vec_accum);
PG_FUNCTION_INFO_V1(f32vec_combine);
PG_FUNCTION_INFO_V1(f32vec_avg);

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
get_state_arg(FunctionCallInfo fcinfo, int arg, const char *caller)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(arg);

	if (ARR_NDIM(array) != 1 ||
		ARR_DIMS(array)[0] < 1 ||
		ARR_HASNULL(array) ||
		ARR_ELEMTYPE(array) != FLOAT8OID)
		elog(ERROR, "%s: expected state array", caller);

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
 * f32vec_accum -- add a vector to the state
 *
 * Inside an aggregate the state is ours to change, so it is updated in place
 * once it has its size.
 */
Datum
f32vec_accum(PG_FUNCTION_ARGS)
{
	SumState	old = get_state_arg(fcinfo, 0, "f32vec_accum");
	F32Vec	   *vec = PG_GETARG_F32VEC_P(1);
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

	for (int i = 0; i < new.dim; i++)
		new.sums[i] = old.dim == 0 ? vec->x[i] :
			add_checked(old.sums[i], vec->x[i]);

	PG_FREE_IF_COPY(vec, 1);
	PG_RETURN_ARRAYTYPE_P(new.array);
}

/*
 * f32vec_combine -- merge the states of two workers
 */
Datum
f32vec_combine(PG_FUNCTION_ARGS)
{
	SumState	a = get_state_arg(fcinfo, 0, "f32vec_combine");
	SumState	b = get_state_arg(fcinfo, 1, "f32vec_combine");
	SumState	merged;

	if (a.dim == 0 || b.dim == 0)
	{
		/* one of the two has all the sums there are */
		SumState	filled = a.dim != 0 ? a : b;

		if (filled.dim != 0)
			vec_check_dim(F32VEC_NAME, filled.dim);
		merged = make_state(filled.dim, *a.count + *b.count);
		memcpy(merged.sums, filled.sums, filled.dim * sizeof(float8));
	}
	else
	{
		vec_check_dim(F32VEC_NAME, a.dim);
		vec_check_typmod(a.dim, b.dim);
		merged = make_state(a.dim, *a.count + *b.count);
		for (int i = 0; i < merged.dim; i++)
			merged.sums[i] = add_checked(a.sums[i], b.sums[i]);
	}

	PG_RETURN_ARRAYTYPE_P(merged.array);
}

/*
 * f32vec_avg -- the average of the vectors added; NULL if there were none
 */
Datum
f32vec_avg(PG_FUNCTION_ARGS)
{
	SumState	state = get_state_arg(fcinfo, 0, "f32vec_avg");
	F32Vec	   *result;

	if (*state.count == 0.0)
		PG_RETURN_NULL();

	vec_check_dim(F32VEC_NAME, state.dim);
	result = f32vec_alloc(state.dim);
	for (int i = 0; i < state.dim; i++)
		result->x[i] = vec_check_element(F32VEC_NAME,
										 (float) (state.sums[i] / *state.count));

	PG_RETURN_F32VEC_P(result);
}
