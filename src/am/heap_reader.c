/*-------------------------------------------------------------------------
 *
 * heap_reader.c
 *	  Exact distances: rows of the table, fetched under a scan's snapshot.
 *
 * NOTES
 *	  Expression indexes evaluate their expression on the fetched row.
 *
 *	  The conditions of the plan's scan node that the index does not know may be
 *	  evaluated here, before a vector is read: a vector costs twenty times what
 *	  its row does where it lies in the TOAST table.
 *
 * IDENTIFICATION
 *	  src/am/heap_reader.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "storage/bufmgr.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "utils/spccache.h"

#include "am/heap_reader.h"
#include "am/toast_reader.h"
#include "types/distance_memo.h"

struct VkHeapReader
{
	MemoryContext context;
	MemoryContext row_context;	/* of one fetched row */
	Relation	index;
	const VkSupport *support;
	int			dim;
	AttrNumber	attribute;		/* of the heap, 0: expression */

	/* once open */
	Relation	heap;
	Snapshot	snapshot;
	IndexFetchTableData *fetch;
	TupleTableSlot *slot;
	VkToastReader *toast;
	IndexInfo  *info;			/* expression indexes: else NULL */
	EState	   *estate;
	BlockNumber heap_blocks;	/* when we last looked */

	/* conditions of the plan, NULL: none */
	IndexScanState *node;
	ExprContext *filter_context;
	bool		recheck;		/* those of the index too, and first */

	/* the query */
	FmgrInfo	operator;
	Datum		query;
	DistanceMemo *memo;

	float	   *floats;			/* of vk_heap_reader_vector */
};

VkHeapReader *
vk_heap_reader_create(Relation index, const VkSupport *support, int dim)
{
	VkHeapReader *reader = palloc0(sizeof(VkHeapReader));

	reader->context = CurrentMemoryContext;
	reader->row_context = AllocSetContextCreate(CurrentMemoryContext,
												"vkindex row",
												ALLOCSET_DEFAULT_SIZES);
	reader->index = index;
	reader->support = support;
	reader->dim = dim;
	reader->attribute = index->rd_index->indkey.values[0];
	reader->floats = palloc(sizeof(float) * dim);
	vk_support_operator(index, &reader->operator, CurrentMemoryContext);
	return reader;
}

/* what FormIndexDatum needs for the vector alone, the first expression */
static IndexInfo *
vector_info(Relation index)
{
	IndexInfo  *info = BuildIndexInfo(index);

	info->ii_NumIndexAttrs = 1;
	info->ii_Expressions = list_make1(linitial(info->ii_Expressions));
	return info;
}

void
vk_heap_reader_open(VkHeapReader *reader, Relation heap, Snapshot snapshot)
{
	MemoryContext old;

	reader->snapshot = snapshot;
	if (reader->fetch != NULL)
		return;
	old = MemoryContextSwitchTo(reader->context);
	reader->heap = heap;
	reader->fetch = vk_table_index_fetch_begin(heap);
	reader->slot = table_slot_create(heap, NULL);
	reader->toast = vk_toast_reader_create(heap);
	if (reader->attribute == 0)
	{
		reader->info = vector_info(reader->index);
		reader->estate = CreateExecutorState();
	}
	MemoryContextSwitchTo(old);
}

void
vk_heap_reader_query(VkHeapReader *reader, MemoryContext context,
					 Datum query)
{
	reader->query = query;
	reader->memo = distance_memo_create(context, reader->operator.fn_addr, query);
}

/* The value of the fetched row that is indexed, in row_context. */
static Datum
row_value(VkHeapReader *reader, bool *isnull)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		isnulls[INDEX_MAX_KEYS];

	if (reader->attribute != 0)
		return slot_getattr(reader->slot, reader->attribute, isnull);
	ResetPerTupleExprContext(reader->estate);
	GetPerTupleExprContext(reader->estate)->ecxt_scantuple = reader->slot;
	FormIndexDatum(reader->info, reader->slot, reader->estate, values, isnulls);
	*isnull = isnulls[0];
	return values[0];
}

/*
 * vk_check_heap_tid -- raise an error where no row of the table can be
 *
 * The executor does not expect such.  *heap_blocks are the table's when we last
 * looked: it may have grown since.
 */
void
vk_check_heap_tid(Relation index, Relation heap, BlockNumber *heap_blocks,
				  ItemPointer tid)
{
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(tid);
	OffsetNumber offset = ItemPointerGetOffsetNumberNoCheck(tid);

	if (unlikely(block >= *heap_blocks))
		*heap_blocks = RelationGetNumberOfBlocks(heap);
	if (unlikely(block >= *heap_blocks ||
				 offset < FirstOffsetNumber || offset > MaxHeapTuplesPerPage))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" refers to row (%u,%u) of its table, which cannot exist",
						RelationGetRelationName(index), block, offset),
				 errhint("Please REINDEX it.")));
}

void
vk_heap_reader_check(VkHeapReader *reader, ItemPointer tid)
{
	vk_check_heap_tid(reader->index, reader->heap, &reader->heap_blocks, tid);
}

void
vk_heap_reader_filter(VkHeapReader *reader, IndexScanState *node, bool recheck)
{
	if (node != NULL && reader->filter_context == NULL)
		reader->filter_context = CreateExprContext(node->ss.ps.state);
	reader->node = node;
	reader->recheck = recheck;
}

/*
 * Does the fetched row pass the plan's conditions?  Where the index may return
 * rows that do not meet its own conditions, those come first, as they do in the
 * executor: a function must not see a row that a security policy hides.
 */
static bool
row_passes(VkHeapReader *reader)
{
	ExprContext *context = reader->filter_context;
	bool		passes;

	if (reader->node == NULL)
		return true;
	context->ecxt_scantuple = reader->slot;
	if (reader->recheck && !ExecQualAndReset(reader->node->indexqualorig, context))
		return false;
	passes = ExecQualAndReset(reader->node->ss.ps.qual, context);
	if (!passes)
		InstrCountFiltered1(reader->node, 1);
	return passes;
}

bool
vk_heap_reader_fetch(VkHeapReader *reader, const ItemPointerData *tid,
					 Snapshot snapshot)
{
	ItemPointerData found = *tid;
	bool		again = false;
	bool		dead = false;

	vk_heap_reader_check(reader, &found);
	return table_index_fetch_tuple(reader->fetch, &found, snapshot,
								   reader->slot, &again, &dead);
}

/* was a version made by a transaction that did not commit, and never will? */
static bool
was_taken_back(HeapTupleHeader version)
{
	TransactionId xmin = HeapTupleHeaderGetRawXmin(version);

	if (HeapTupleHeaderXminCommitted(version))
		return false;
	return HeapTupleHeaderXminInvalid(version) ||
		(!TransactionIdIsCurrentTransactionId(xmin) &&
		 !TransactionIdIsInProgress(xmin) && !TransactionIdDidCommit(xmin));
}

/*
 * The last of the HOT chain that begins there which was not taken back, or the first
 * of all; 0 where there is none.  The page is locked.
 */
static OffsetNumber
newest_version(Page page, OffsetNumber offset)
{
	OffsetNumber newest = InvalidOffsetNumber;
	TransactionId updater = InvalidTransactionId;
	bool		redirected = false;

	while (offset >= FirstOffsetNumber && offset <= PageGetMaxOffsetNumber(page))
	{
		ItemId		item = PageGetItemId(page, offset);
		HeapTupleHeader version;

		if (ItemIdIsRedirected(item) && !redirected)
		{
			redirected = true;
			offset = ItemIdGetRedirect(item);
			continue;
		}
		if (!ItemIdIsNormal(item))
			break;
		version = (HeapTupleHeader) PageGetItem(page, item);
		if (TransactionIdIsValid(updater) ?
			!TransactionIdEquals(HeapTupleHeaderGetXmin(version), updater) :
			HeapTupleHeaderIsHeapOnly(version) && !redirected)
			break;
		if (newest == InvalidOffsetNumber || !was_taken_back(version))
			newest = offset;
		if (!HeapTupleHeaderIsHotUpdated(version))
			break;
		updater = HeapTupleHeaderGetUpdateXid(version);
		offset = ItemPointerGetOffsetNumber(&version->t_ctid);
	}
	return newest;
}

/* has whoever deleted a version committed, or whoever made it not? */
static bool
is_deleted(HeapTuple version, Buffer buffer)
{
	TransactionId dead_after;
	HTSV_Result state = HeapTupleSatisfiesVacuumHorizon(version, buffer, &dead_after);

	return state == HEAPTUPLE_DEAD || state == HEAPTUPLE_RECENTLY_DEAD;
}

bool
vk_heap_reader_computes(const VkHeapReader *reader)
{
	return reader->attribute == 0;
}

bool
vk_heap_reader_newest(VkHeapReader *reader, const ItemPointerData *tid, bool *deleted)
{
	ItemPointerData place = *tid;
	BufferHeapTupleTableSlot *slot = (BufferHeapTupleTableSlot *) reader->slot;
	HeapTuple	tuple = &slot->base.tupdata;
	OffsetNumber newest;
	Buffer		buffer;

	*deleted = false;
	/* another table access method's */
	if (!TTS_IS_BUFFERTUPLE(reader->slot))
		return vk_heap_reader_fetch(reader, tid, SnapshotAny);

	vk_heap_reader_check(reader, &place);
	ExecClearTuple(reader->slot);
	buffer = ReadBuffer(reader->heap, ItemPointerGetBlockNumber(&place));
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	newest = newest_version(BufferGetPage(buffer), ItemPointerGetOffsetNumber(&place));
	if (newest != InvalidOffsetNumber)
	{
		ItemId		item = PageGetItemId(BufferGetPage(buffer), newest);

		ItemPointerSetOffsetNumber(&place, newest);
		tuple->t_self = place;
		tuple->t_tableOid = RelationGetRelid(reader->heap);
		tuple->t_data = (HeapTupleHeader) PageGetItem(BufferGetPage(buffer), item);
		tuple->t_len = ItemIdGetLength(item);
		*deleted = is_deleted(tuple, buffer);
		ExecStoreBufferHeapTuple(tuple, reader->slot, buffer);
	}
	UnlockReleaseBuffer(buffer);
	return newest != InvalidOffsetNumber;
}

/*
 * vk_heap_reader_ask -- ask for the pages of rows that are fetched soon
 *
 * Of the disk, where they are in no buffer; else of memory.  What a line pointer says
 * is read without a pin: it may be of another page by now, and serves to ask for
 * lines of it, nothing else.  All pages are asked for before one is looked at: a CPU
 * waits for an address to be translated even where it only prefetches, but for
 * several at once.
 */
void
vk_heap_reader_ask(VkHeapReader *reader, const uint64 *numbers, int count)
{
	Page		pages[VK_ASK_MOST];
	OffsetNumber offsets[VK_ASK_MOST];
	int			found = 0;

	Assert(count <= VK_ASK_MOST);
	for (int i = 0; i < count; i++)
	{
		ItemPointerData tid;
		Buffer		buffer;

		vk_tid_decode(numbers[i], &tid);
		vk_heap_reader_check(reader, &tid);
		buffer = PrefetchBuffer(reader->heap, MAIN_FORKNUM,
								ItemPointerGetBlockNumber(&tid)).recent_buffer;
		if (!BufferIsValid(buffer))
			continue;
		pages[found] = BufferGetPage(buffer);
		offsets[found++] = ItemPointerGetOffsetNumber(&tid);
	}
	for (int i = 0; i < found; i++)
		__builtin_prefetch(PageGetItemId(pages[i], offsets[i]));
	for (int i = 0; i < found; i++)
	{
		const ItemIdData *item = PageGetItemId(pages[i], offsets[i]);

		__builtin_prefetch((const char *) pages[i] + item->lp_off % BLCKSZ);
	}
}

int
vk_heap_reader_window(const VkHeapReader *reader)
{
	return get_tablespace_io_concurrency(reader->heap->rd_rel->reltablespace);
}

/* Fetch the row into the slot; false where the snapshot does not see it. */
static bool
fetch_row(VkHeapReader *reader, uint64 number)
{
	ItemPointerData tid;

	vk_tid_decode(number, &tid);
	return vk_heap_reader_fetch(reader, &tid, reader->snapshot);
}

static void
report_null(const VkHeapReader *reader)
{
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\" has a code for a null value",
					RelationGetRelationName(reader->index)),
			 errdetail("Heap TID is (%u,%u).",
					   ItemPointerGetBlockNumberNoCheck(&reader->slot->tts_tid),
					   ItemPointerGetOffsetNumberNoCheck(&reader->slot->tts_tid)),
			 errhint("Please REINDEX it.")));
}

/*
 * The vector of the fetched row, detoasted; *value as the table has it.  NULL
 * where its TOAST is missing and that is all right.
 */
static Datum
row_vector(VkHeapReader *reader, bool missing_ok, Datum *value)
{
	bool		isnull;
	struct varlena *plain;

	*value = row_value(reader, &isnull);
	if (isnull)
		report_null(reader);
	plain = missing_ok ? vk_toast_reader_try(reader->toast, *value) :
		vk_toast_reader_value(reader->toast, *value);
	/* the operator looks at the dimensions of a document's vectors */
	if (plain == NULL || reader->support->documents)
		return PointerGetDatum(plain);
	vk_support_check_dims(reader->support,
						  reader->support->layout->dim(PointerGetDatum(plain)),
						  reader->dim);
	return PointerGetDatum(plain);
}

const float *
vk_heap_reader_vector(VkHeapReader *reader)
{
	MemoryContext old;
	Datum		vector;
	Datum		value;

	MemoryContextReset(reader->row_context);
	old = MemoryContextSwitchTo(reader->row_context);
	vector = row_vector(reader, true, &value);
	MemoryContextSwitchTo(old);
	if (DatumGetPointer(vector) == NULL)
		return NULL;
	return reader->support->layout->floats(vector, reader->floats);
}

bool
vk_heap_reader_passes(VkHeapReader *reader, uint64 number)
{
	return fetch_row(reader, number) && row_passes(reader);
}

bool
vk_heap_reader_distance(VkHeapReader *reader, uint64 number, bool checked,
						double *distance)
{
	Datum		value;
	Datum		vector;
	MemoryContext old;

	if (!fetch_row(reader, number) || (!checked && !row_passes(reader)))
		return false;

	MemoryContextReset(reader->row_context);
	old = MemoryContextSwitchTo(reader->row_context);
	vector = row_vector(reader, false, &value);
	*distance = DatumGetFloat8(FunctionCall2(&reader->operator, vector, reader->query));
	distance_memo_put(reader->memo, value, *distance);
	MemoryContextSwitchTo(old);
	return true;
}

bool
vk_heap_reader_place(VkHeapReader *reader, uint64 number, ItemPointer tid)
{
	if (!fetch_row(reader, number))
		return false;
	*tid = reader->slot->tts_tid;
	return true;
}

bool
vk_heap_reader_value(VkHeapReader *reader, uint64 number, Datum *vector,
					 ItemPointer tid)
{
	MemoryContext old;
	Datum		value;

	if (!fetch_row(reader, number))
		return false;
	MemoryContextReset(reader->row_context);
	old = MemoryContextSwitchTo(reader->row_context);
	*vector = row_vector(reader, false, &value);
	MemoryContextSwitchTo(old);
	*tid = reader->slot->tts_tid;
	return true;
}

bool
vk_heap_reader_measure(VkHeapReader *reader, uint64 number, Datum vector,
					   double *distance, ItemPointer tid)
{
	MemoryContext old;
	bool		isnull;
	Datum		value;

	if (!fetch_row(reader, number))
		return false;
	MemoryContextReset(reader->row_context);
	old = MemoryContextSwitchTo(reader->row_context);
	value = row_value(reader, &isnull);
	if (isnull)
		report_null(reader);
	*distance = DatumGetFloat8(FunctionCall2(&reader->operator, value, vector));
	MemoryContextSwitchTo(old);
	*tid = reader->slot->tts_tid;
	return true;
}

void
vk_heap_reader_unpin(VkHeapReader *reader)
{
	ExecClearTuple(reader->slot);
}

void
vk_heap_reader_reset(VkHeapReader *reader)
{
	MemoryContextReset(reader->row_context);
	if (reader->fetch == NULL)
		return;
	ExecClearTuple(reader->slot);
	table_index_fetch_reset(reader->fetch);
}

void
vk_heap_reader_close(VkHeapReader *reader)
{
	if (reader->fetch != NULL)
	{
		vk_toast_reader_close(reader->toast);
		ExecDropSingleTupleTableSlot(reader->slot);
		table_index_fetch_end(reader->fetch);
	}
	if (reader->estate != NULL)
		FreeExecutorState(reader->estate);
}
