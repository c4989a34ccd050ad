/*-------------------------------------------------------------------------
 *
 * vec_io.c
 *	  Input and output of the vector types, in both forms; type modifiers.
 *
 * IDENTIFICATION
 *	  src/types/vec_io.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "types/vec.h"

static Datum
vec_in(FunctionCallInfo fcinfo, const VecType *type)
{
	char	   *text = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	Vec		   *vec = vec_text_parse(type, text);

	vec_check_typmod(typmod, vec->dim);

	PG_RETURN_VEC_P(vec);
}

static Datum
vec_out(FunctionCallInfo fcinfo, const VecType *type)
{
	Vec		   *vec = PG_GETARG_VEC_P(0);
	char	   *text = vec_text_format(vec_all_floats(type, vec), vec->dim);

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_CSTRING(text);
}

/*
 * vec_recv -- read the wire form: dimensions (int16), zero (int16), then the
 * elements as they are stored, all in network byte order
 */
static Datum
vec_recv(FunctionCallInfo fcinfo, const VecType *type)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	int			dim = (int16) pq_getmsgint(buf, sizeof(int16));
	int			unused = (int16) pq_getmsgint(buf, sizeof(int16));
	Vec		   *vec;

	vec_check_dim(type, dim);
	vec_check_typmod(typmod, dim);

	if (unused != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected unused to be 0, not %d", unused)));

	vec = vec_alloc(type, dim);
	pq_copymsgbytes(buf, vec->x, dim * vk_element_size[type->element]);
	type->swap(vec->x, dim);
	vec_check_elements(type, vec);

	PG_RETURN_VEC_P(vec);
}

static Datum
vec_send(FunctionCallInfo fcinfo, const VecType *type)
{
	Vec		   *vec = PG_GETARG_VEC_P(0);
	int			size = vec->dim * vk_element_size[type->element];
	StringInfoData buf;
	char	   *elements;

	/* 4 bytes and twice 2 come before the elements: they are aligned */
	pq_begintypsend(&buf);
	pq_sendint16(&buf, (uint16) vec->dim);
	pq_sendint16(&buf, (uint16) vec->unused);
	enlargeStringInfo(&buf, size);
	elements = buf.data + buf.len;
	appendBinaryStringInfo(&buf, vec->x, size);
	type->swap(elements, vec->dim);

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/*
 * vec_typmod_in -- the one modifier is the number of dimensions
 */
static Datum
vec_typmod_in(FunctionCallInfo fcinfo, const VecType *type)
{
	int			nmodifiers;
	int32	   *modifier = ArrayGetIntegerTypmods(PG_GETARG_ARRAYTYPE_P(0),
												  &nmodifiers);

	if (nmodifiers != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid type modifier")));

	if (*modifier < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s must be at least 1",
						type->name)));

	if (*modifier > VK_MAX_DIM)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s cannot exceed %d",
						type->name, VK_MAX_DIM)));

	PG_RETURN_INT32(*modifier);
}

#define VEC_IO(type, element) \
	VEC_FUNCTION(type, element, in) \
	VEC_FUNCTION(type, element, out) \
	VEC_FUNCTION(type, element, recv) \
	VEC_FUNCTION(type, element, send) \
	VEC_FUNCTION(type, element, typmod_in)

VEC_TYPES(VEC_IO)
