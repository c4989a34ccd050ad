/*-------------------------------------------------------------------------
 *
 * scan_keys.c
 *	  What a scan's keys ask for: order, radius, conditions on attributes.
 *
 * NOTES
 *	  A sphere about the vector of the ORDER BY becomes a radius of the search;
 *	  so does the first one where there is no ORDER BY.  Others, and those that
 *	  no radius can express (NaN, ANY of an array), are left to the executor: the
 *	  scan returns every row that may match, to be checked again.
 *
 * IDENTIFICATION
 *	  src/am/scan_keys.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "utils/float.h"

#include "am/scan.h"
#include "types/sphere.h"

/*
 * Take a vector as that of the query, or those of an array, in the current memory
 * context.  No row has a distance from an array that has none.
 */
static void
take_vector(const VkScan *so, VkScanKeys *keys, Datum value)
{
	const VkLayout *layout = so->support->layout;
	int			dim = so->vk->coder.dim;
	Datum	   *vectors;
	float	   *all;

	keys->query = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	keys->vectors = vk_support_vectors(so->support, &keys->query, &vectors);
	if (keys->vectors == 0)
		return;
	all = palloc_extended((Size) keys->vectors * dim * sizeof(float), MCXT_ALLOC_HUGE);
	for (int i = 0; i < keys->vectors; i++)
	{
		float	   *place = all + (Size) i * dim;
		const float *floats;

		vk_support_check_dims(so->support, dim, layout->dim(vectors[i]));
		floats = layout->floats(vectors[i], place);
		if (floats != place)
			memcpy(place, floats, dim * sizeof(float));
	}
	keys->vector = all;
}

/* is the query about the same vector? */
static bool
same_vector(const VkScanKeys *keys, Datum value)
{
	const struct varlena *query = (struct varlena *) DatumGetPointer(keys->query);
	const struct varlena *other = PG_DETOAST_DATUM(value);

	return VARSIZE(query) == VARSIZE(other) &&
		memcmp(query, other, VARSIZE(query)) == 0;
}

static void
add_sphere(const VkScan *so, VkScanKeys *keys, const VkSphere *sphere, bool inclusive)
{
	if (!keys->ordered && keys->vector == NULL)
		take_vector(so, keys, sphere->center);
	if (isnan(sphere->radius) || keys->vector == NULL ||
		!same_vector(keys, sphere->center))
	{
		keys->recheck = keys->recheck_sphere = true;
		return;
	}
	keys->exact |= sphere->exact;
	if (!keys->ranged || sphere->radius < keys->radius ||
		(sphere->radius == keys->radius && !inclusive))
	{
		keys->ranged = true;
		keys->radius = sphere->radius;
		keys->inclusive = inclusive;
	}
}

/* a key on the vector column */
static void
read_key(const VkScan *so, VkScanKeys *keys, ScanKey key, Oid type)
{
	bool		is_null = (key->sk_flags & SK_ISNULL) != 0;
	VkSphere	sphere;

	if (key->sk_flags & SK_SEARCHNULL)
	{
		keys->other_rows = false;
		return;
	}
	keys->null_rows = false;
	if (key->sk_flags & SK_SEARCHNOTNULL)
		return;
	if (!is_null && (key->sk_flags & SK_SEARCHARRAY) != 0)
		keys->recheck = keys->recheck_sphere = true;
	else if (is_null || !vk_sphere_read(key->sk_argument, type, &sphere))
		keys->never = true;
	else
		add_sphere(so, keys, &sphere, key->sk_strategy == VK_STRATEGY_WITHIN_EQUAL);
}

void
vk_scan_keys_read(IndexScanDesc scan, VkScanKeys *keys)
{
	const VkScan *so = scan->opaque;

	memset(keys, 0, sizeof(VkScanKeys));
	keys->null_rows = keys->other_rows = true;
	keys->radius = get_float8_infinity();
	keys->ordered = scan->numberOfOrderBys > 0;
	if (keys->ordered && !(scan->orderByData->sk_flags & SK_ISNULL))
		take_vector(so, keys, scan->orderByData->sk_argument);
	for (int i = 0; i < scan->numberOfKeys; i++)
		if (scan->keyData[i].sk_attno == 1)
			read_key(so, keys, &scan->keyData[i],
					 scan->indexRelation->rd_opcintype[0]);
	keys->filter = vk_filter_create(scan->indexRelation, so->vk, scan->keyData,
									scan->numberOfKeys);
	if (keys->filter != NULL)
	{
		keys->never |= keys->filter->never;
		keys->recheck |= keys->filter->recheck;
	}
}
