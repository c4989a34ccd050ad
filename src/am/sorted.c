/*-------------------------------------------------------------------------
 *
 * sorted.c
 *	  Ordered scans: all rows that are left, fetched, sorted and streamed.
 *
 * NOTES
 *	  Finite distances come first, then NaN, then rows whose vector is NULL.
 *
 * IDENTIFICATION
 *	  src/am/sorted.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include <math.h>

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/float.h"
#include "utils/memutils.h"

#include "am/scan.h"
#include "am/upkeep.h"

/* columns of the tuples that are sorted, in the order of the sort */
#define SORT_GROUP		1
#define SORT_DISTANCE	2
#define SORT_TID		3
#define SORT_COLUMNS	3

/* values of the first: from a list, from the rest lists */
#define GROUP_LIST		0
#define GROUP_NAN		1
#define GROUP_NULL		2

static void
sort_row(VkScan *so, uint64 tid, double distance, int group)
{
	TupleTableSlot *slot = so->sort_slot;

	ExecClearTuple(slot);
	slot->tts_values[SORT_GROUP - 1] = Int32GetDatum(group);
	slot->tts_values[SORT_DISTANCE - 1] = Float8GetDatum(distance);
	slot->tts_values[SORT_TID - 1] = Int64GetDatum((int64) tid);
	memset(slot->tts_isnull, false, SORT_COLUMNS * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(so->sort, slot);
}

/* a row of the lists, unless it was emitted before */
static void
sort_listed(IndexScanDesc scan, uint64 tid)
{
	VkScan	   *so = scan->opaque;
	double		distance = 0;

	CHECK_FOR_INTERRUPTS();
	if (!vk_round_was_emitted(so, tid) &&
		(so->unordered || vk_scan_distance(scan, tid, false, &distance)) &&
		(isnan(distance) || !vk_round_is_late(so, so->support->score(distance))))
		sort_row(so, tid, distance, GROUP_LIST);
}

/* the rows of many entries, each once */
static void
sort_documents(IndexScanDesc scan, Tuplesortstate *tids)
{
	uint64		last = PG_UINT64_MAX;
	Datum		value;
	bool		isnull;

	tuplesort_performsort(tids);
	while (vk_tuplesort_getdatum(tids, &value, &isnull))
	{
		uint64		tid = (uint64) DatumGetInt64(value);

		if (tid != last)
			sort_listed(scan, tid);
		last = tid;
	}
	tuplesort_end(tids);
}

/*
 * Rows of the lists.  Without a radius all of them are fetched, and no code needs
 * to be read.  Documents have many entries: their TIDs are sorted first.
 */
static void
sort_lists(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;
	VkRound		round;
	VkCandidates *page;
	Tuplesortstate *tids = NULL;

	if (so->support->documents)
		tids = tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false,
									 work_mem, NULL, TUPLESORT_NONE);
	vk_scan_init_round(scan, &round);
	if (!so->scored)
		vk_search_reset_unscored(so->search, &so->meta, &so->stats);
	vk_search_begin(so->search, &round);
	vk_scan_ask_begin(so);
	while (vk_search_step(so->search, Max(so->ask, 1), &page))
		for (int64 i = 0; i < page->count; i++)
		{
			uint64		tid = page->entries[i].tid;

			if (tids != NULL)
				tuplesort_putdatum(tids, Int64GetDatum((int64) tid), false);
			else
			{
				if (!so->unordered)
					vk_scan_ask(so, page, i);
				sort_listed(scan, tid);
			}
		}
	vk_check_not_recycled(scan->indexRelation, so->meta.epoch);
	vk_search_check_complete(so->search);
	vk_scan_note_cut(scan);
	if (tids != NULL)
		sort_documents(scan, tids);
}

static void
sort_rest(IndexScanDesc scan, uint32 number, double distance, int group)
{
	VkScan	   *so = scan->opaque;
	VkRestWalk *walk;

	if (!vk_scan_wants_rest(so, number))
		return;
	walk = palloc(sizeof(VkRestWalk));
	vk_rest_begin(walk, scan->indexRelation, &so->meta, scan->xs_snapshot, number);
	while (vk_rest_step(walk))
		for (int i = 0; i < walk->count; i++)
			sort_row(so, walk->tids[i], distance, group);
	pfree(walk);
}

static TupleDesc
sort_descriptor(void)
{
	TupleDesc	desc = CreateTemplateTupleDesc(SORT_COLUMNS);

	TupleDescInitEntry(desc, SORT_GROUP, "group", INT4OID, -1, 0);
	TupleDescInitEntry(desc, SORT_DISTANCE, "distance", FLOAT8OID, -1, 0);
	TupleDescInitEntry(desc, SORT_TID, "tid", INT8OID, -1, 0);
	vk_tuple_desc_finalize(desc);
	return desc;
}

void
vk_sorted_start(IndexScanDesc scan, bool listed)
{
	VkScan	   *so = scan->opaque;
	MemoryContext old;
	TupleDesc	desc;
	AttrNumber	columns[] = {SORT_GROUP, SORT_DISTANCE, SORT_TID};
	Oid			operators[] = {Int4LessOperator, Float8LessOperator, Int8LessOperator};
	Oid			collations[] = {InvalidOid, InvalidOid, InvalidOid};
	bool		nulls_first[] = {false, false, false};

	vk_round_note_emitted(so);
	old = MemoryContextSwitchTo(so->query_context);
	desc = sort_descriptor();
	so->sort_slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	/* the other half is what the candidates of rounds may take */
	so->sort = tuplesort_begin_heap(desc, SORT_COLUMNS, columns, operators,
									collations, nulls_first, work_mem / 2, NULL,
									TUPLESORT_NONE);
	if (listed && so->keys.other_rows)
		sort_lists(scan);
	if (vk_share_take_rest(so->share))
	{
		sort_rest(scan, VK_SLOT_REST_NAN, get_float8_nan(), GROUP_NAN);
		sort_rest(scan, VK_SLOT_REST_NULL, 0, GROUP_NULL);
	}
	tuplesort_performsort(so->sort);
	/* nothing is fetched any more: keep no heap page pinned meanwhile */
	vk_heap_reader_reset(so->reader);
	ExecDropSingleTupleTableSlot(so->sort_slot);
	so->sort_slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	so->stats.exhaustive = !so->cut;
	so->phase = VK_PHASE_SORTED;
	MemoryContextSwitchTo(old);
}

bool
vk_sorted_next(VkScan *so, uint64 *tid, bool *recheck)
{
	bool		isnull;

	if (!tuplesort_gettupleslot(so->sort, true, false, so->sort_slot, NULL))
	{
		so->phase = VK_PHASE_DONE;
		return false;
	}
	*tid = (uint64) DatumGetInt64(slot_getattr(so->sort_slot, SORT_TID, &isnull));
	/* no attribute is stored for rows of the rest lists */
	*recheck = so->keys.recheck ||
		DatumGetInt32(slot_getattr(so->sort_slot, SORT_GROUP, &isnull)) != GROUP_LIST;
	return true;
}
