/*-------------------------------------------------------------------------
 *
 * maxsim.c
 *	  MaxSim: how well a document of many vectors answers a query of many
 *	  vectors (Khattab and Zaharia, ColBERT, SIGIR 2020).
 *
 * NOTES
 *	  MaxSim is the sum, over the query's vectors, of the greatest inner product
 *	  with one of the document's.  The operator @# is its negative, so that the
 *	  best documents come first in ascending order.
 *
 *	  NULL elements are left out.  A document without vectors has no MaxSim
 *	  (NULL, which sorts last); one of a query without vectors is 0.
 *
 * IDENTIFICATION
 *	  src/types/maxsim.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "types/distance_memo.h"
#include "types/maxsim.h"
#include "types/vec.h"
#include "utils/float.h"

/* products of one call of the kernel at most: nothing interrupts it */
#define MOST_PRODUCTS	((int64) 1 << 29)

/* elements of a document that stay in a cache while the query's vectors pass by */
#define PIECE_ELEMENTS	(1 << 16)

/* the vectors of an array, all of dim elements, stride elements apart */
typedef struct VectorList
{
	const char *x;
	int			stride;
	int			count;
	int			dim;
} VectorList;

/*
 * Vectors lie in an array as they do in a row, at equal distances; where one of
 * them is compressed they do not, and are copied.
 */
static void
gather(VectorList *list, const Vec **vectors, int element_size)
{
	ptrdiff_t	size = (ptrdiff_t) list->dim * element_size;
	char	   *copy;
	bool		even = true;
	ptrdiff_t	step = list->count > 1 ?
		(const char *) vectors[1] - (const char *) vectors[0] : element_size;

	for (int i = 1; i < list->count; i++)
		even &= (const char *) vectors[i] - (const char *) vectors[i - 1] == step;
	list->x = vectors[0]->x;
	list->stride = step / element_size;
	if (even && step % element_size == 0 && step >= size)
		return;

	copy = palloc(size * list->count);
	for (int i = 0; i < list->count; i++)
		memcpy(copy + i * size, vectors[i]->x, size);
	list->x = copy;
	list->stride = list->dim;
}

int
maxsim_vectors(ArrayType *array, Datum **vectors)
{
	Datum	   *values;
	bool	   *nulls;
	int			count;
	int			kept = 0;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("array must be 1-D")));
	deconstruct_array(array, ARR_ELEMTYPE(array), -1, false, TYPALIGN_INT,
					  &values, &nulls, &count);
	for (int i = 0; i < count; i++)
		if (!nulls[i])
			values[kept++] = PointerGetDatum(PG_DETOAST_DATUM(values[i]));
	*vectors = values;
	return kept;
}

static VectorList
read_vectors(ArrayType *array, VkElement element)
{
	VectorList	list = {0};
	Datum	   *values;
	const Vec **vectors;

	list.count = maxsim_vectors(array, &values);
	if (list.count == 0)
		return list;
	vectors = palloc(sizeof(Vec *) * list.count);
	for (int i = 0; i < list.count; i++)
	{
		vectors[i] = (const Vec *) DatumGetPointer(values[i]);
		vec_check_same_dim(vectors[0]->dim, vectors[i]->dim);
	}
	list.dim = vectors[0]->dim;
	gather(&list, vectors, vk_element_size[element]);
	return list;
}

/* MaxSim of that many of the query's vectors, from the first on, with a document */
static double
maxsim_of(const VectorList *query, int first, int count, const VectorList *document,
		  VkElement element)
{
	const char *x = query->x +
		(ptrdiff_t) first * query->stride * vk_element_size[element];

	return vk_kernels->maxsim[element] (x, query->stride, count, document->x,
										document->stride, document->count,
										document->dim);
}

/*
 * The same bits as those of one call: what is greatest for each vector of the query,
 * with one piece of the document after the other, and then the sum in their order.
 */
static double
maxsim_in_pieces(const VectorList *query, const VectorList *document,
				 VkElement element)
{
	double	   *greatest = palloc(sizeof(double) * query->count);
	int			most = Max(PIECE_ELEMENTS / document->dim, 1);
	double		sum = 0;

	for (int first = 0; first < document->count; first += most)
	{
		VectorList	piece = *document;

		piece.x += (ptrdiff_t) first * document->stride * vk_element_size[element];
		piece.count = Min(most, document->count - first);
		for (int i = 0; i < query->count; i++)
		{
			double		found = maxsim_of(query, i, 1, &piece, element);

			CHECK_FOR_INTERRUPTS();
			if (first == 0 || isnan(found) || found > greatest[i])
				greatest[i] = found;
		}
	}
	for (int i = 0; i < query->count; i++)
		sum += greatest[i];
	pfree(greatest);
	return sum;
}

/*
 * maxsim -- MaxSim times sign
 */
static Datum
maxsim(FunctionCallInfo fcinfo, VkElement element, double sign)
{
	VectorList	document = read_vectors(PG_GETARG_ARRAYTYPE_P(0), element);
	VectorList	query = read_vectors(PG_GETARG_ARRAYTYPE_P(1), element);
	double		sum;

	if (document.count == 0)
		PG_RETURN_NULL();
	if (query.count == 0)
		PG_RETURN_FLOAT8(0.0);
	vec_check_same_dim(document.dim, query.dim);
	if ((int64) query.count * document.count <= MOST_PRODUCTS / document.dim)
		sum = maxsim_of(&query, 0, query.count, &document, element);
	else
		sum = maxsim_in_pieces(&query, &document, element);
	PG_RETURN_FLOAT8(isnan(sum) ? get_float8_nan() : sign * sum);
}

/* has an index scan left the result?  Of these two arguments, in this order. */
static bool
is_noted(FunctionCallInfo fcinfo, PGFunction function, double *distance)
{
	return VARATT_IS_EXTERNAL_ONDISK(PG_GETARG_POINTER(0)) &&
		distance_memo_find(fcinfo, function, distance);
}

#define MAXSIM_FUNCTIONS(type, element) \
	PG_FUNCTION_INFO_V1(type##_maxsim); \
	Datum \
	type##_maxsim(PG_FUNCTION_ARGS) \
	{ \
		return maxsim(fcinfo, element, 1); \
	} \
	PG_FUNCTION_INFO_V1(type##_maxsim_distance); \
	Datum \
	type##_maxsim_distance(PG_FUNCTION_ARGS) \
	{ \
		double		distance; \
		\
		if (is_noted(fcinfo, type##_maxsim_distance, &distance)) \
			PG_RETURN_FLOAT8(distance); \
		return maxsim(fcinfo, element, -1); \
	}

VEC_TYPES(MAXSIM_FUNCTIONS)
