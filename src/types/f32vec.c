/*-------------------------------------------------------------------------
 *
 * f32vec.c
 *	  The type f32vec: input and output, type modifier, casts.
 *
 * IDENTIFICATION
 *	  src/types/f32vec.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "types/f32vec.h"

PG_FUNCTION_INFO_V1(f32vec_in);
PG_FUNCTION_INFO_V1(f32vec_out);
PG_FUNCTION_INFO_V1(f32vec_typmod_in);
PG_FUNCTION_INFO_V1(f32vec_recv);
PG_FUNCTION_INFO_V1(f32vec_send);
PG_FUNCTION_INFO_V1(f32vec_enforce_typmod);
PG_FUNCTION_INFO_V1(array_to_f32vec);
PG_FUNCTION_INFO_V1(f32vec_to_int4);
PG_FUNCTION_INFO_V1(f32vec_to_float4);
PG_FUNCTION_INFO_V1(f32vec_to_float8);
PG_FUNCTION_INFO_V1(f32vec_to_numeric);

Datum
f32vec_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	F32Vec	   *vec = f32vec_alloc(vec_text_max_dim(text));
	int			dim = vec_text_parse(F32VEC_NAME, text, vec->x);

	/* every comma of a well-formed text separates two elements */
	Assert(dim == vec->dim);
	vec_check_typmod(typmod, dim);

	PG_RETURN_F32VEC_P(vec);
}

Datum
f32vec_out(PG_FUNCTION_ARGS)
{
	F32Vec	   *vec = PG_GETARG_F32VEC_P(0);
	char	   *text = vec_text_format(vec->x, vec->dim);

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_CSTRING(text);
}

Datum
f32vec_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(vec_typmod_in(F32VEC_NAME, PG_GETARG_ARRAYTYPE_P(0)));
}

/*
 * f32vec_recv -- read the wire form: dimensions (int16), zero (int16), then
 * the elements (float4), all in network byte order
 */
Datum
f32vec_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	int			dim = (int) pq_getmsgint(buf, sizeof(int16));
	int			unused = (int) pq_getmsgint(buf, sizeof(int16));
	F32Vec	   *vec;

	vec_check_dim(F32VEC_NAME, dim);
	vec_check_typmod(typmod, dim);

	if (unused != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected unused to be 0, not %d", unused)));

	vec = f32vec_alloc(dim);
	for (int i = 0; i < dim; i++)
		vec->x[i] = vec_check_element(F32VEC_NAME, pq_getmsgfloat4(buf));

	PG_RETURN_F32VEC_P(vec);
}

Datum
f32vec_send(PG_FUNCTION_ARGS)
{
	F32Vec	   *vec = PG_GETARG_F32VEC_P(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint16(&buf, (uint16) vec->dim);
	pq_sendint16(&buf, (uint16) vec->unused);
	for (int i = 0; i < vec->dim; i++)
		pq_sendfloat4(&buf, vec->x[i]);

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/*
 * f32vec_enforce_typmod -- the cast of f32vec to itself: only the number of
 * dimensions is checked
 */
Datum
f32vec_enforce_typmod(PG_FUNCTION_ARGS)
{
	F32Vec	   *vec = PG_GETARG_F32VEC_P(0);
	int32		typmod = PG_GETARG_INT32(1);

	vec_check_typmod(typmod, vec->dim);

	PG_RETURN_F32VEC_P(vec);
}

Datum
array_to_f32vec(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int32		typmod = PG_GETARG_INT32(1);
	F32Vec	   *vec = f32vec_alloc(vec_array_check(F32VEC_NAME, array, typmod));

	vec_array_read(F32VEC_NAME, array, vec->x);

	PG_FREE_IF_COPY(array, 0);
	PG_RETURN_F32VEC_P(vec);
}

static Datum
f32vec_to_array(FunctionCallInfo fcinfo, Oid element_type)
{
	F32Vec	   *vec = PG_GETARG_F32VEC_P(0);
	ArrayType  *array = vec_array_write(element_type, vec->x, vec->dim);

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_ARRAYTYPE_P(array);
}

Datum
f32vec_to_int4(PG_FUNCTION_ARGS)
{
	return f32vec_to_array(fcinfo, INT4OID);
}

Datum
f32vec_to_float4(PG_FUNCTION_ARGS)
{
	return f32vec_to_array(fcinfo, FLOAT4OID);
}

Datum
f32vec_to_float8(PG_FUNCTION_ARGS)
{
	return f32vec_to_array(fcinfo, FLOAT8OID);
}

Datum
f32vec_to_numeric(PG_FUNCTION_ARGS)
{
	return f32vec_to_array(fcinfo, NUMERICOID);
}
