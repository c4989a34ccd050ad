/*-------------------------------------------------------------------------
 *
 * distance_memo.c
 *	  Distances that an index scan leaves for the executor.
 *
 * NOTES
 *	  A scan finds the exact distance of every row that it returns.  Then the
 *	  executor computes it again, for the ORDER BY expression is a column of
 *	  the plan's output, and fetching a vector from TOAST a second time costs
 *	  more than all that the search spends on the row.  So the scan notes what
 *	  it found under the identity of the TOAST value, and the operator looks
 *	  there first.
 *
 *	  A TOAST value never changes; and while the scan's snapshot is in use, its
 *	  number is not given to another value.  The memo is part of the scan's
 *	  memory and goes with it, however the scan ends.
 *
 * IDENTIFICATION
 *	  src/types/distance_memo.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/detoast.h"

#include "types/distance_memo.h"

/* a scan emits a row soon after it has fetched it */
#define MEMO_ENTRIES	256

typedef struct MemoEntry
{
	Oid			toast_table;	/* InvalidOid: empty */
	Oid			value;
	double		distance;
} MemoEntry;

struct DistanceMemo
{
	MemoryContextCallback callback;
	PGFunction	function;
	const struct varlena *query;
	MemoEntry	entries[MEMO_ENTRIES];
};

/* the memo of the scan that fetched a row last */
static DistanceMemo *current = NULL;

static void
forget(void *arg)
{
	if (current == arg)
		current = NULL;
}

DistanceMemo *
distance_memo_create(MemoryContext context, PGFunction function,
					 Datum query)
{
	DistanceMemo *memo = MemoryContextAllocZero(context, sizeof(DistanceMemo));

	memo->function = function;
	memo->query = (struct varlena *) DatumGetPointer(query);
	memo->callback.func = forget;
	memo->callback.arg = memo;
	MemoryContextRegisterResetCallback(context, &memo->callback);
	return memo;
}

static bool
is_toasted(Datum value)
{
	return VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(value));
}

/* the entry of a TOAST value, or the one to be replaced by it */
static MemoEntry *
find_entry(DistanceMemo *memo, Datum value, struct varatt_external *pointer)
{
	VARATT_EXTERNAL_GET_POINTER(*pointer, (struct varlena *) DatumGetPointer(value));
	return &memo->entries[pointer->va_valueid % MEMO_ENTRIES];
}

void
distance_memo_put(DistanceMemo *memo, Datum value, double distance)
{
	struct varatt_external pointer;
	MemoEntry  *entry;

	if (!is_toasted(value))
		return;
	entry = find_entry(memo, value, &pointer);
	entry->toast_table = pointer.va_toastrelid;
	entry->value = pointer.va_valueid;
	entry->distance = distance;
	current = memo;
}

/* is that the memo's query? */
static bool
is_query(const DistanceMemo *memo, Datum value)
{
	const struct varlena *vector = (struct varlena *) DatumGetPointer(value);

	return !VARATT_IS_EXTENDED(vector) && VARSIZE(vector) == VARSIZE(memo->query) &&
		memcmp(vector, memo->query, VARSIZE(vector)) == 0;
}

bool
distance_memo_find(FunctionCallInfo fcinfo, PGFunction function, double *distance)
{
	Datum		row = PG_GETARG_DATUM(0);
	Datum		query = PG_GETARG_DATUM(1);
	struct varatt_external pointer;
	const MemoEntry *entry;

	if (current == NULL || current->function != function)
		return false;
	if (!is_toasted(row))
	{
		row = PG_GETARG_DATUM(1);
		query = PG_GETARG_DATUM(0);
		if (!is_toasted(row))
			return false;
	}
	entry = find_entry(current, row, &pointer);
	if (entry->toast_table != pointer.va_toastrelid ||
		entry->value != pointer.va_valueid || !is_query(current, query))
		return false;
	*distance = entry->distance;
	return true;
}
