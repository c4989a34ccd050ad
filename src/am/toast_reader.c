/*-------------------------------------------------------------------------
 *
 * toast_reader.c
 *	  Values of one table's TOAST, many of them one after the other.
 *
 * NOTES
 *	  PG_DETOAST_DATUM opens the TOAST table and its index, begins and ends a
 *	  scan of it and allocates the result for every value.  Here a scan of the
 *	  vectors pays for that once.  A value is read as heap_fetch_toast_slice
 *	  reads it, under the same snapshot and with the same tests.
 *
 *	  Relations and their locks belong to the resource owner under which the
 *	  first value was read, as those of the scan do; pages are pinned while
 *	  one value is read.
 *
 * IDENTIFICATION
 *	  src/am/toast_reader.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/toast_internals.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "am/toast_reader.h"

struct VkToastReader
{
	MemoryContext context;
	Oid			table_id;		/* InvalidOid: every value goes the usual way */

	/* once open */
	Relation	table;			/* NULL before */
	Relation   *indexes;
	int			index_count;
	IndexScanDesc scan;			/* of the valid one */
	ScanKeyData key;			/* chunk_id = the value's number */
	SnapshotData snapshot;		/* room for the one of this value */

	/* the last value */
	struct varlena *value;
	Size		capacity;
};

/* The value being read: what its chunks must look like */
typedef struct ToastValue
{
	Oid			number;
	int32		size;
	int32		chunks;
	char	   *data;
} ToastValue;

VkToastReader *
vk_toast_reader_create(Relation heap)
{
	VkToastReader *reader = palloc0(sizeof(VkToastReader));

	reader->context = CurrentMemoryContext;
	reader->table_id = heap->rd_rel->reltoastrelid;
	return reader;
}

/* false: the table is not one that we can read */
static bool
open_table(VkToastReader *reader)
{
	MemoryContext old;
	int			valid;

	if (reader->table != NULL)
		return true;
	reader->table = table_open(reader->table_id, AccessShareLock);
	if (reader->table->rd_tableam != GetHeapamTableAmRoutine())
	{
		table_close(reader->table, AccessShareLock);
		reader->table = NULL;
		reader->table_id = InvalidOid;
		return false;
	}
	old = MemoryContextSwitchTo(reader->context);
	valid = toast_open_indexes(reader->table, AccessShareLock, &reader->indexes,
							   &reader->index_count);
	reader->scan = vk_index_beginscan(reader->table, reader->indexes[valid],
									  vk_toast_snapshot(&reader->snapshot), 1);
	ScanKeyInit(&reader->key, 1, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(InvalidOid));
	MemoryContextSwitchTo(old);
	return true;
}

static void
reserve(VkToastReader *reader, Size size)
{
	if (size <= reader->capacity)
		return;
	if (reader->value != NULL)
		pfree(reader->value);
	reader->value = NULL;
	reader->capacity = 0;
	reader->value = MemoryContextAlloc(reader->context, size);
	reader->capacity = size;
}

static int32
chunk_number(VkToastReader *reader, HeapTuple tuple)
{
	bool		isnull;

	return DatumGetInt32(fastgetattr(tuple, 2, RelationGetDescr(reader->table),
									 &isnull));
}

/* One visible row of the TOAST table, which must be chunk number expected. */
static void
copy_chunk(VkToastReader *reader, const ToastValue *value, HeapTuple tuple,
		   int32 expected)
{
	TupleDesc	desc = RelationGetDescr(reader->table);
	const char *name = RelationGetRelationName(reader->table);
	bool		isnull;
	int32		number = chunk_number(reader, tuple);
	struct varlena *chunk = (struct varlena *)
		DatumGetPointer(fastgetattr(tuple, 3, desc, &isnull));
	int32		size;

	if (VARATT_IS_EXTENDED(chunk) && !VARATT_IS_SHORT(chunk))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg_internal("found toasted toast chunk for toast value %u in %s",
								 value->number, name)));
	if (number != expected)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg_internal("unexpected chunk number %d (expected %d) for toast value %u in %s",
								 number, expected, value->number, name)));
	if (number >= value->chunks)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg_internal("unexpected chunk number %d (out of range %d..%d) for toast value %u in %s",
								 number, 0, value->chunks - 1, value->number, name)));
	size = Min(value->size - number * (int32) TOAST_MAX_CHUNK_SIZE,
			   (int32) TOAST_MAX_CHUNK_SIZE);
	if ((int32) VARSIZE_ANY_EXHDR(chunk) != size)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg_internal("unexpected chunk size %d (expected %d) in chunk %d of %d for toast value %u in %s",
								 (int32) VARSIZE_ANY_EXHDR(chunk), size, number,
								 value->chunks, value->number, name)));
	memcpy(value->data + number * TOAST_MAX_CHUNK_SIZE, VARDATA_ANY(chunk), size);
}

/*
 * All rows with the value's number, in the order of the index: by chunk.  Where
 * there may be none, or not all of them, false tells that it is so.
 */
static bool
copy_chunks(VkToastReader *reader, const ToastValue *value, bool missing_ok)
{
	IndexScanDesc scan = reader->scan;
	Buffer		buffer = InvalidBuffer;
	int32		expected = 0;
	ItemPointer tid;

	scan->xs_snapshot = vk_toast_snapshot(&reader->snapshot);
	reader->key.sk_argument = ObjectIdGetDatum(value->number);
	index_rescan(scan, &reader->key, 1, NULL, 0);
	while ((tid = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
	{
		HeapTupleData tuple;
		bool		visible;

		CHECK_FOR_INTERRUPTS();
		buffer = ReleaseAndReadBuffer(buffer, reader->table,
									  ItemPointerGetBlockNumber(tid));
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		visible = heap_hot_search_buffer(tid, reader->table, buffer,
										 scan->xs_snapshot, &tuple, NULL, true);
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		if (!visible)
			continue;
		pgstat_count_heap_fetch(scan->indexRelation);
		if (missing_ok && chunk_number(reader, &tuple) > expected)
			break;
		copy_chunk(reader, value, &tuple, expected);
		expected++;
	}
	if (BufferIsValid(buffer))
		ReleaseBuffer(buffer);
	if (expected != value->chunks && !missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg_internal("missing chunk number %d for toast value %u in %s",
								 expected, value->number,
								 RelationGetRelationName(reader->table))));
	return expected == value->chunks;
}

/* core's macro for this compares numbers of different signs */
static bool
is_compressed(const struct varatt_external *pointer)
{
	return (int32) VARATT_EXTERNAL_GET_EXTSIZE(*pointer) <
		pointer->va_rawsize - (int32) VARHDRSZ;
}

/*
 * The value, or NULL where chunks of it are missing and that is all right.  A
 * compressed value is decompressed into the current memory context.
 */
static struct varlena *
read_value(VkToastReader *reader, Datum datum, bool missing_ok)
{
	struct varlena *attribute = (struct varlena *) DatumGetPointer(datum);
	struct varatt_external pointer;
	ToastValue	value;

	if (!VARATT_IS_EXTERNAL_ONDISK(attribute))
		return PG_DETOAST_DATUM(datum);
	VARATT_EXTERNAL_GET_POINTER(pointer, attribute);
	if (pointer.va_toastrelid != reader->table_id || !open_table(reader))
		return PG_DETOAST_DATUM(datum);

	value.number = pointer.va_valueid;
	value.size = VARATT_EXTERNAL_GET_EXTSIZE(pointer);
	value.chunks = (value.size - 1) / (int32) TOAST_MAX_CHUNK_SIZE + 1;
	reserve(reader, value.size + VARHDRSZ);
	if (is_compressed(&pointer))
		SET_VARSIZE_COMPRESSED(reader->value, value.size + VARHDRSZ);
	else
		SET_VARSIZE(reader->value, value.size + VARHDRSZ);
	value.data = VARDATA(reader->value);
	if (!copy_chunks(reader, &value, missing_ok))
		return NULL;
	return PG_DETOAST_DATUM(PointerGetDatum(reader->value));
}

struct varlena *
vk_toast_reader_value(VkToastReader *reader, Datum datum)
{
	return read_value(reader, datum, false);
}

struct varlena *
vk_toast_reader_try(VkToastReader *reader, Datum datum)
{
	return read_value(reader, datum, true);
}

void
vk_toast_reader_close(VkToastReader *reader)
{
	if (reader->table == NULL)
		return;
	index_endscan(reader->scan);
	toast_close_indexes(reader->indexes, reader->index_count, AccessShareLock);
	table_close(reader->table, AccessShareLock);
	reader->table = NULL;
}
