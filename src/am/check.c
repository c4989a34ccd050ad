/*-------------------------------------------------------------------------
 *
 * check.c
 *	  vk_check: is every page of an index what it should be, and does the index
 *	  hold every row of its table exactly once?
 *
 * NOTES
 *	  The upkeep lock is held in share mode: without vacuum no TID is freed and
 *	  used again, so one that is seen twice really is in the index twice.
 *	  Inserts go on; see check_list.c.  On a standby vacuum's records are
 *	  replayed all the same, so repeated TIDs are not reported there.  Documents
 *	  (documents.c) are in the index once for each of their vectors, which are
 *	  counted in the table.
 *
 *	  Rows are those of the lists that are visible now.  Of a retired list it is
 *	  checked that its pages are its own; those of an operation that did not end
 *	  are not looked at, the next one takes them back.
 *
 *	  What codes say of the rows is compared in check_codes.c.
 *
 *	  TIDs go through tuplesorts, so memory stays within maintenance_work_mem
 *	  whatever the size of the index.  A TID takes 48 bits of a sorted number;
 *	  the rest but the sign holds a digest of the row's attribute values, so
 *	  that one with wrong values passes with a probability of 1 in 32,767.
 *
 * IDENTIFICATION
 *	  src/am/check.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "am/check.h"
#include "am/test_point.h"
#include "am/upkeep.h"

/* low bits of a sorted number, below the TID */
#define DIGEST_BITS		15

PG_FUNCTION_INFO_V1(vk_check);

/* ---- what check_list.c reports to ---- */

/*
 * The upkeep of a standby's primary is not held back by the lock of the check: what
 * contradicts itself may be lists of before and after.
 */
static void
ask_for_changes(VkCheck *check)
{
	VkMeta		meta;

	if (!vk_began_in_recovery())
		return;
	vk_meta_read(check->index, &meta);
	if (meta.epoch != check->meta.epoch || meta.recycled != check->meta.recycled)
		vk_report_recycled(check->index);
}

/* the caller holds no lock on a page */
void
vk_check_fail(VkCheck *check, BlockNumber block, const char *format,...)
{
	StringInfoData message;
	va_list		args;
	int			needed;

	initStringInfo(&message);
	for (;;)
	{
		va_start(args, format);
		needed = appendStringInfoVA(&message, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&message, needed);
	}
	ask_for_changes(check);
	vk_corrupt(check->index, block, message.data);
}

void
vk_check_claim(VkCheck *check, BlockNumber block)
{
	uint8		bit = 1 << (block % 8);

	/* a page added since the check began */
	if (block >= check->blocks)
		return;
	if (check->claimed[block / 8] & bit)
		vk_check_fail(check, block, "The page is in two chains.");
	check->claimed[block / 8] |= bit;
}

/*
 * entry_of -- what is sorted and compared for one row: its TID, and in the low
 * bits a digest of its attribute values, 0 where there are none
 */
static int64
entry_of(const VkIndex *layout, ItemPointer tid, const VkAttributes *attributes)
{
	uint64		entry = vk_tid_encode(tid) << DIGEST_BITS;

	if (attributes != NULL && layout->attributes > 0)
	{
		uint32		hash = hash_bytes((const unsigned char *) attributes,
									  offsetof(VkAttributes, keys) +
									  layout->attribute_bytes);

		entry |= 1 + hash % ((1 << DIGEST_BITS) - 1);
	}
	return (int64) entry;
}

static inline uint64
entry_row(int64 entry)
{
	return (uint64) entry >> DIGEST_BITS;
}

void
vk_check_tid(VkCheck *check, BlockNumber block, ItemPointer tid,
			 const VkAttributes *attributes)
{
	if (!ItemPointerIsValid(tid) ||
		ItemPointerGetOffsetNumber(tid) > MaxHeapTuplesPerPage)
		vk_check_fail(check, block, "The page names the invalid row (%u,%u).",
					  ItemPointerGetBlockNumberNoCheck(tid),
					  ItemPointerGetOffsetNumberNoCheck(tid));
	tuplesort_putdatum(check->tids,
					   Int64GetDatum(entry_of(check->layout, tid, attributes)),
					   false);
}

/* ---- pages that are in no list ---- */

/*
 * check_mean -- the pages of the mean hold as many numbers as there are
 * dimensions
 */
static void
check_mean(VkCheck *check)
{
	BlockNumber block = check->meta.mean_head;
	int			count = 0;

	for (uint32 position = 0; BlockNumberIsValid(block); position++)
	{
		Buffer		buffer;

		CHECK_FOR_INTERRUPTS();
		vk_check_claim(check, block);
		buffer = vk_read_chain_page(check->index, block, VK_PAGE_MEAN, 0, 0,
									position, BUFFER_LOCK_SHARE);
		count += vk_page_head(BufferGetPage(buffer))->count;
		block = vk_page_head(BufferGetPage(buffer))->next;
		UnlockReleaseBuffer(buffer);
	}
	if (count != 0 && count != check->meta.dim)
		vk_check_fail(check, check->meta.mean_head,
					  "The mean has %d dimensions, the index has %u.",
					  count, check->meta.dim);
}

/*
 * check_directory -- map pages and the directory pages that they name
 */
static void
check_directory(VkCheck *check)
{
	uint32		pages = (check->meta.slots + VK_PAGE_LINES - 1) / VK_PAGE_LINES;
	PGAlignedBlock copy;

	vk_check_claim(check, VK_META_BLOCK);
	for (uint32 page = 0; page < pages; page++)
	{
		uint32		map = page / VK_MAP_ENTRIES;
		BlockNumber block;

		CHECK_FOR_INTERRUPTS();
		if (page % VK_MAP_ENTRIES == 0)
		{
			Buffer		buffer;

			if (map >= check->meta.maps)
				vk_check_fail(check, VK_META_BLOCK,
							  "There are %u slots, but only %u map pages.",
							  check->meta.slots, check->meta.maps);
			vk_check_claim(check, check->meta.map[map]);
			buffer = vk_read_chain_page(check->index, check->meta.map[map],
										VK_PAGE_MAP, 0, 0, map,
										BUFFER_LOCK_SHARE);
			memcpy(copy.data, BufferGetPage(buffer), BLCKSZ);
			UnlockReleaseBuffer(buffer);
		}
		block = ((BlockNumber *) vk_page_payload((Page) copy.data))[page % VK_MAP_ENTRIES];
		vk_check_claim(check, block);
		UnlockReleaseBuffer(vk_read_chain_page(check->index, block,
											   VK_PAGE_DIRECTORY, 0, 0, page,
											   BUFFER_LOCK_SHARE));
	}
}

/*
 * is_left_over -- does a page belong to an operation that did not end?
 *
 * A mean that is no more may be left by one that did.
 */
static bool
is_left_over(const VkCheck *check, const VkPageHead *head)
{
	return head->kind == VK_PAGE_MEAN ||
		(check->unsettled && head->born > check->meta.epoch);
}

/*
 * check_unclaimed -- pages that are in no chain are free, empty, or were put
 * into a chain after it was walked
 */
static void
check_unclaimed(VkCheck *check)
{
	int64		orphans = 0;

	for (BlockNumber block = 0; block < check->blocks; block++)
	{
		Buffer		buffer;
		VkPageHead	head;
		bool		used;

		if (check->claimed[block / 8] & (1 << (block % 8)))
			continue;
		CHECK_FOR_INTERRUPTS();
		buffer = vk_read_any_page(check->index, block, BUFFER_LOCK_SHARE);
		used = !PageIsNew(BufferGetPage(buffer));
		head = *vk_page_head(BufferGetPage(buffer));
		if (used)
			vk_check_page(check->index, buffer, head.kind);
		UnlockReleaseBuffer(buffer);

		if (!used || head.kind == VK_PAGE_FREE || is_left_over(check, &head))
			continue;
		if (head.kind < VK_PAGE_META || head.kind > VK_PAGE_SUMMARY)
			vk_check_fail(check, block, "The page is of unknown kind 0x%04X.",
						  head.kind);
		if (head.slot < check->meta.slots &&
			head.position < (head.kind == VK_PAGE_REFINE ?
							 check->lengths[head.slot].refine :
							 check->lengths[head.slot].blocks))
			orphans++;
	}
	if (orphans > 0)
		ereport(WARNING,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" has " INT64_FORMAT " pages that nothing refers to",
						RelationGetRelationName(check->index), orphans),
				 errhint("They do no harm; REINDEX frees them.")));
}

/* ---- lists ---- */

/* a slot without a list */
static void
check_unused(VkCheck *check, uint32 number, const VkSlot *slot)
{
	if (BlockNumberIsValid(slot->head) || BlockNumberIsValid(slot->refine_head))
		vk_check_fail(check, VK_DIRECTORY_BLOCK,
					  "Slot %u is unused, but has a list.", number);
	if (check->centered[number] != 0 && !check->unsettled)
		vk_check_fail(check, VK_DIRECTORY_BLOCK,
					  "Slot %u is unused, but has a centroid.", number);
}

/* a list that is seen today, if only for a while */
static void
check_not_retiring(VkCheck *check, uint32 number, const VkSlot *slot)
{
	if (slot->retired != 0 && !check->unsettled)
		vk_check_fail(check, VK_DIRECTORY_BLOCK,
					  "The list of slot %u retires in epoch " UINT64_FORMAT ", which has not begun.",
					  number, slot->retired);
}

/*
 * check_entries -- entries of the centre list: all in the root, or the root names
 * the groups and these have the others
 */
static void
check_entries(VkCheck *check, uint32 number, const VkSlot *slot)
{
	bool		root = number == check->meta.root;

	if (!vk_slot_visible(slot, check->meta.epoch))
		return;
	check_not_retiring(check, number, slot);
	if (!root && check->meta.groups == 0)
		vk_check_fail(check, VK_DIRECTORY_BLOCK,
					  "Slot %u is a group of centroids, but slot %u has them all.",
					  number, check->meta.root);
	vk_check_list(check, number, slot);
	if (!root)
		check->groups++;
}

/* a list of rows that is seen today */
static void
check_visible(VkCheck *check, uint32 number, const VkSlot *slot)
{
	bool		segment = (slot->flags & VK_SLOT_SEGMENT) != 0;

	check_not_retiring(check, number, slot);
	vk_check_list(check, number, slot);

	if (segment)
		check->segments++;
	else
		check->lists++;
	if (check->centered[number] != (segment ? 0 : 1))
		vk_check_fail(check, VK_DIRECTORY_BLOCK,
					  "The list of slot %u %s.", number,
					  segment ? "is a segment, but has a centroid" :
					  "has no centroid");
}

/* is a group named where it should be, by entries that have all been read? */
static void
check_named(VkCheck *check, uint32 number, const VkSlot *slot)
{
	bool		named = number != check->meta.root && number >= VK_SLOT_FIRST_LIST;

	if (vk_slot_visible(slot, check->meta.epoch) &&
		check->centered[number] != (named ? 2 : 0))
		vk_check_fail(check, VK_DIRECTORY_BLOCK,
					  "Slot %u is a group of centroids that the list of groups %s.",
					  number, named ? "does not name" : "names");
}

static void
check_slot(VkCheck *check, uint32 number)
{
	bool		fixed = number < VK_SLOT_FIRST_LIST;
	VkSlot		slot;

	vk_slot_read(check->index, &check->meta, number, &slot);
	if (fixed && number != VK_SLOT_CENTERS)
	{
		vk_check_rest(check, number, &slot);
		return;
	}

	if (!fixed)
		vk_check_summary_page(check, number, &slot);
	if (slot.born == 0)
		check_unused(check, number, &slot);
	else if (slot.born > check->meta.epoch)
	{
		if (!check->unsettled)
			vk_check_fail(check, VK_DIRECTORY_BLOCK,
						  "The list of slot %u is born in epoch " UINT64_FORMAT ", which has not begun.",
						  number, slot.born);
	}
	else if (!vk_slot_visible(&slot, check->meta.epoch))
		vk_check_retired(check, number, &slot);
	else if (vk_slot_has_centers(number, &slot))
		check_named(check, number, &slot);
	else
		check_visible(check, number, &slot);
}

/* what the meta page counts; entries of the centre list may have come since */
static void
check_count(VkCheck *check, const char *what, uint32 expected, int64 count)
{
	if (count != expected && !(check->unsettled && count > expected))
		vk_check_fail(check, VK_META_BLOCK,
					  "There should be %u %s, but there are " INT64_FORMAT ".",
					  expected, what, count);
}

/* before the lists: what the entries say is compared with these */
static void
check_center_list(VkCheck *check)
{
	VkDirectory *directory = palloc0(sizeof(VkDirectory));

	for (uint32 number = 0; number < check->meta.slots; number++)
	{
		VkSlot		slot;

		CHECK_FOR_INTERRUPTS();
		vk_directory_slot(check->index, &check->meta, directory, number, &slot);
		if (vk_slot_has_centers(number, &slot))
			check_entries(check, number, &slot);
	}
	pfree(directory);
	check_count(check, "groups of centroids", check->meta.groups, check->groups);
	check_count(check, "centroids", check->meta.centers, check->centers);
}

static void
check_lists(VkCheck *check)
{
	check_center_list(check);
	for (uint32 number = 0; number < check->meta.slots; number++)
	{
		CHECK_FOR_INTERRUPTS();
		check_slot(check, number);
	}
	check_count(check, "lists with a centroid", check->meta.lists, check->lists);
	check_count(check, "segments", check->meta.segments, check->segments);
}

/* ---- TIDs ---- */

static Tuplesortstate *
begin_tids(void)
{
	return tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false,
								 maintenance_work_mem / 2, NULL,
								 TUPLESORT_NONE);
}

/* sorted entries, of which those of one row come together */
typedef struct SortedRows
{
	Tuplesortstate *entries;	/* NULL: there are none */
	bool		more;			/* there is a next entry: */
	int64		next;

	/* the row at hand */
	bool		found;			/* there is one */
	int64		entry;			/* the first of its entries */
	bool		alike;			/* all of them are the same */
	int64		count;			/* of them */
} SortedRows;

static void
next_entry(SortedRows *rows)
{
	Datum		value;
	bool		is_null;

	CHECK_FOR_INTERRUPTS();
	rows->more = rows->entries != NULL &&
		vk_tuplesort_getdatum(rows->entries, &value, &is_null);
	if (rows->more)
		rows->next = DatumGetInt64(value);
}

static void
next_row(SortedRows *rows)
{
	rows->found = rows->more;
	if (!rows->found)
		return;
	rows->entry = rows->next;
	rows->alike = true;
	for (rows->count = 0; rows->more && entry_row(rows->next) == entry_row(rows->entry);
		 rows->count++)
	{
		rows->alike &= rows->next == rows->entry;
		next_entry(rows);
	}
}

void
vk_check_report_row(VkCheck *check, uint64 row, const char *message)
{
	ItemPointerData tid;

	vk_tid_decode(row, &tid);
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg(message, ItemPointerGetBlockNumberNoCheck(&tid),
					ItemPointerGetOffsetNumberNoCheck(&tid),
					RelationGetRelationName(check->heap),
					RelationGetRelationName(check->index)),
			 errhint("Please REINDEX it.")));
}

/* on a standby vacuum's records are replayed meanwhile */
static void
report_repeated(VkCheck *check, uint64 row)
{
	if (!RecoveryInProgress())
		vk_check_report_row(check, row, "row (%u,%u) of table \"%s\" is in index \"%s\" more than once");
}

/* the scan of the table */
typedef struct HeapRows
{
	const VkIndex *layout;
	const VkSupport *support;
	Tuplesortstate *entries;
	MemoryContext context;		/* reset after each row */
} HeapRows;

/* entries that a row has: of a document one a vector, but one at least */
static int
count_entries(const VkSupport *support, Datum value, bool isnull)
{
	Datum	   *vectors;

	if (!support->documents || isnull)
		return 1;
	value = PointerGetDatum(PG_DETOAST_DATUM(value));
	return Max(vk_support_vectors(support, &value, &vectors), 1);
}

static void
note_heap_row(Relation index, ItemPointer tid, Datum *values, bool *isnull,
			  bool alive, void *state)
{
	HeapRows   *rows = state;
	MemoryContext old = MemoryContextSwitchTo(rows->context);
	int			count = count_entries(rows->support, values[0], isnull[0]);
	VkAttributes attributes;

	vk_attributes_form(rows->layout, values, isnull, &attributes);
	MemoryContextSwitchTo(old);
	MemoryContextReset(rows->context);
	for (int i = 0; i < count; i++)
		tuplesort_putdatum(rows->entries,
						   Int64GetDatum(entry_of(rows->layout, tid, &attributes)),
						   false);
}

/*
 * scan_heap -- sorted entries of the rows that the index must hold
 *
 * As amcheck does: the scan that builds an index, under a snapshot that was
 * taken before the index was read.
 */
static Tuplesortstate *
scan_heap(VkCheck *check, Snapshot snapshot)
{
	HeapRows	rows = {check->layout, vk_support(check->index), begin_tids()};
	IndexInfo  *info = BuildIndexInfo(check->index);
	TableScanDesc scan = table_beginscan_strat(check->heap, snapshot, 0, NULL,
											   true, true);

	rows.context = AllocSetContextCreate(CurrentMemoryContext,
										 "vkindex check row",
										 ALLOCSET_DEFAULT_SIZES);
	info->ii_Concurrent = true;
	info->ii_Unique = false;
	info->ii_ExclusionOps = NULL;
	info->ii_ExclusionProcs = NULL;
	info->ii_ExclusionStrats = NULL;
	table_index_build_scan(check->heap, check->index, info, true, false,
						   note_heap_row, &rows, scan);
	MemoryContextDelete(rows.context);
	tuplesort_performsort(rows.entries);
	return rows.entries;
}

/*
 * check_values -- the row that both have has the same attribute values in both, and
 * as many entries
 *
 * Rows on rest lists have no values, which is no fault of theirs.
 */
static void
check_values(VkCheck *check, const SortedRows *index, const SortedRows *table)
{
	const int64 digest = (1 << DIGEST_BITS) - 1;

	if ((index->entry != table->entry && (index->entry & digest) != 0) || !index->alike)
		vk_check_report_row(check, entry_row(table->entry), "row (%u,%u) of table \"%s\" has other attribute values in index \"%s\"");
	if (index->count < table->count)
		vk_check_report_row(check, entry_row(table->entry), "row (%u,%u) of table \"%s\" lacks an entry in index \"%s\"");
	if (index->count > table->count)
		report_repeated(check, entry_row(table->entry));
}

/*
 * check_rows -- no row is in the index more often than it has vectors or past the
 * end of the table, and (entries of the table not NULL) none of the table's is
 * missing, or has other values there
 */
static void
check_rows(VkCheck *check, Tuplesortstate *table_entries)
{
	bool		once = !vk_support(check->index)->documents;
	BlockNumber heap_blocks = RelationGetNumberOfBlocks(check->heap);
	SortedRows	index = {check->tids};
	SortedRows	table = {table_entries};

	tuplesort_performsort(check->tids);
	next_entry(&index);
	next_entry(&table);
	next_row(&table);
	for (next_row(&index); index.found; next_row(&index))
	{
		uint64		tid = entry_row(index.entry);

		if (once && index.count > 1)
			report_repeated(check, tid);
		if ((tid >> 16) >= heap_blocks)
			vk_check_report_row(check, tid, "row (%u,%u) lies past the end of table \"%s\", but is in index \"%s\"");
		if (table.found && entry_row(table.entry) < tid)
			break;
		if (table.found && entry_row(table.entry) == tid)
		{
			check_values(check, &index, &table);
			next_row(&table);
		}
	}
	if (table.found)
		vk_check_report_row(check, entry_row(table.entry), "row (%u,%u) of table \"%s\" lacks an entry in index \"%s\"");
}

/* ---- vk_check ---- */

static void
check_index(VkCheck *check, bool heap_all_indexed)
{
	Snapshot	snapshot = InvalidSnapshot;
	Tuplesortstate *rows = NULL;

	vk_upkeep_lock(check->index, ShareLock);

	/* before anything is read: what it sees was inserted before */
	if (heap_all_indexed)
		snapshot = RegisterSnapshot(GetLatestSnapshot());
	check->layout = vk_index_current(check->index, &check->meta, CurrentMemoryContext);
	check->unsettled = check->meta.op_in_progress != 0 || RecoveryInProgress();
	check->blocks = RelationGetNumberOfBlocks(check->index);
	check->claimed = palloc0(check->blocks / 8 + 1);
	check->centered = palloc0(check->meta.slots);
	check->lengths = MemoryContextAllocExtended(CurrentMemoryContext,
												check->meta.slots * sizeof(VkChainLengths),
												MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	check->tids = begin_tids();
	vk_test_point("check-begun");

	check_directory(check);
	check_mean(check);
	check_lists(check);
	check_unclaimed(check);
	if (heap_all_indexed)
		vk_check_codes(check, snapshot);
	vk_check_not_recycled(check->index, check->meta.epoch);
	if (heap_all_indexed)
		rows = scan_heap(check, snapshot);
	check_rows(check, rows);

	tuplesort_end(check->tids);
	if (heap_all_indexed)
	{
		tuplesort_end(rows);
		UnregisterSnapshot(snapshot);
	}
	vk_upkeep_unlock(check->index, ShareLock);
}

/*
 * vk_check -- raise an error for the first fault found
 *
 * Expressions and predicates of the index run as the table's owner, in a
 * restricted context, as they do in amcheck.
 */
Datum
vk_check(PG_FUNCTION_ARGS)
{
	Oid			index_oid = PG_GETARG_OID(0);
	bool		heap_all_indexed = PG_GETARG_BOOL(1);
	Oid			heap_oid = IndexGetRelation(index_oid, true);
	VkCheck		check = {0};
	VkCaller	caller;

	/* table before index, so as not to deadlock */
	if (OidIsValid(heap_oid))
	{
		check.heap = try_table_open(heap_oid, AccessShareLock);
		if (check.heap == NULL)
			vk_index_gone(index_oid);
	}
	check.index = vk_index_open(index_oid, AccessShareLock);
	if (check.heap == NULL || heap_oid != IndexGetRelation(index_oid, false))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("could not open parent table of index \"%s\"",
						RelationGetRelationName(check.index))));
	if (heap_all_indexed)
		vk_index_require_valid(check.index);

	vk_become_owner(check.heap, &caller);
	check_index(&check, heap_all_indexed);
	vk_become_caller(&caller);
	index_close(check.index, AccessShareLock);
	table_close(check.heap, AccessShareLock);
	PG_RETURN_VOID();
}
