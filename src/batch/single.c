/*-------------------------------------------------------------------------
 *
 * single.c
 *	  One query of a batch, answered by an index scan as a plan would.
 *
 * NOTES
 *	  For queries that no tile can serve, and answers that do not fit in memory.
 *
 * IDENTIFICATION
 *	  src/batch/single.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/genam.h"
#include "access/skey.h"
#include "access/tableam.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/float.h"

#include "batch/batch.h"

/* keys of a scan for rows that have a vector, in the order of their distance */
static void
make_keys(VkBatchTarget *target, const VkBatchQuery *query, ScanKey not_null,
		  ScanKey order)
{
	ScanKeyEntryInitialize(not_null, SK_ISNULL | SK_SEARCHNOTNULL, 1, InvalidStrategy,
						   InvalidOid, InvalidOid, InvalidOid, (Datum) 0);
	ScanKeyEntryInitializeWithInfo(order, SK_ORDER_BY, 1, VK_STRATEGY_DISTANCE,
								   target->index->rd_opcintype[0], InvalidOid,
								   &target->operator, query->value);
	/* a row that asks comes out of the scan, too */
	if (query->wanted < PG_INT64_MAX)
		order->sk_func.fn_extra = vk_scan_hint_rows(query->wanted + (query->self != 0));
}

/*
 * Take the next row of the scan, of which the index has the TID; false where no
 * more are wanted.
 */
static bool
take_row(VkBatch *batch, VkBatchQuery *query, uint64 tid)
{
	VkBatchTarget *target = batch->target;
	ItemPointerData place;
	double		distance;

	if (query->self != 0 && (batch->once ? tid <= query->self : tid == query->self))
		return true;
	if (!vk_heap_reader_measure(target->reader, tid, query->value, &distance, &place))
		return true;
	if (batch->found == NULL)
		vk_nearest_add(batch, query, distance, vk_batch_tid(target, tid, &place));
	else if (!float8_lt(distance, vk_batch_radius(batch, query)))
		return false;
	else
		batch->found(batch->arg, query, vk_batch_tid(target, tid, &place), distance);
	return query->row_count < query->wanted;
}

void
vk_batch_answer_one(VkBatch *batch, VkBatchQuery *query)
{
	VkBatchTarget *target = batch->target;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "vkindex scan of batch",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	ScanKeyData not_null;
	ScanKeyData order;
	IndexScanDesc scan;
	ItemPointer tid;

	query->row_count = query->open_count = 0;
	make_keys(target, query, &not_null, &order);
	scan = vk_index_beginscan_ordered(target->heap, target->index, target->snapshot, 1, 1);
	index_rescan(scan, &not_null, 1, &order, 1);
	do
	{
		CHECK_FOR_INTERRUPTS();
		tid = index_getnext_tid(scan, ForwardScanDirection);
	} while (tid != NULL && take_row(batch, query, vk_tid_encode(tid)));
	index_endscan(scan);
	vk_heap_reader_unpin(target->reader);
	vk_batch_add_statistics(&target->stats, &vk_last_stats);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
