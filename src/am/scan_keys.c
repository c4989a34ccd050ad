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

/* the floats of a query vector, in the current memory context */
static const float *
read_vector(const VkScan *so, Datum value)
{
	const float *values;
	int			dim;

	values = so->support->values(PointerGetDatum(PG_DETOAST_DATUM(value)), &dim);
	if (dim != so->vk->coder.dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different vector dimensions %d and %d",
						so->vk->coder.dim, dim)));
	return memcpy(palloc(dim * sizeof(float)), values, dim * sizeof(float));
}

static void
add_sphere(const VkScan *so, VkScanKeys *keys, const VkSphere *sphere, bool inclusive)
{
	const float *center = read_vector(so, sphere->center);

	if (!keys->ordered && keys->vector == NULL)
		keys->vector = center;
	if (isnan(sphere->radius) || keys->vector == NULL ||
		memcmp(center, keys->vector, so->vk->coder.dim * sizeof(float)) != 0)
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
read_key(const VkScan *so, VkScanKeys *keys, ScanKey key)
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
	else if (is_null || !vk_sphere_read(key->sk_argument, &sphere))
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
		keys->vector = read_vector(so, scan->orderByData->sk_argument);
	for (int i = 0; i < scan->numberOfKeys; i++)
		if (scan->keyData[i].sk_attno == 1)
			read_key(so, keys, &scan->keyData[i]);
	keys->filter = vk_filter_create(scan->indexRelation, so->vk, scan->keyData,
									scan->numberOfKeys);
	if (keys->filter != NULL)
	{
		keys->never |= keys->filter->never;
		keys->recheck |= keys->filter->recheck;
	}
}
