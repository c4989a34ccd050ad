/*-------------------------------------------------------------------------
 *
 * row_batch.c
 *	  Rows of the table on their way to lists: assigned, encoded, sorted.
 *
 * NOTES
 *	  Index builds and list operations share this.  Rows are handled in
 *	  batches: rotated, assigned to the nearest centre (quant/assign.c) by the int8 tile,
 *	  encoded against it and sorted by list.
 *
 * IDENTIFICATION
 *	  src/am/row_batch.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "am/row_batch.h"

#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "commands/vacuum.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "vk_compat.h"

#define SEGMENT_BYTES		(8 * 1024 * 1024)	/* of one segment at most */
#define MIN_SORT_KILOBYTES	64		/* what tuplesort makes do with */

/* columns of the tuples that are sorted */
#define SORT_KEY			1	/* list << 32 | heap block */
#define SORT_PLACE			2	/* place among the block's rows << 16 | offset */
#define SORT_ROW			3	/* packed row; rest rows: their slot, one byte */
#define SORT_COLUMNS		3

void *
vk_aligned_alloc(Size size)
{
	return (void *) TYPEALIGN(VK_ALIGNMENT,
							  MemoryContextAllocHuge(CurrentMemoryContext,
													 size + VK_ALIGNMENT));
}

void
vk_pause(void)
{
	VK_VACUUM_DELAY_POINT();
}

/* ---- vectors as int8 rows ---- */

/*
 * A row out of the range in which arithmetic on it is safe counts as the mean.
 */
void
vk_row_quantize(const VkIndex *vk, const float *vector, float *rotated,
				double *norm2, int8 *code, float *scale, void *scratch)
{
	VkQuantized quantized;
	int			dim = vk->coder.dim;

	vk_row_rotate(&vk->coder, vector, rotated, norm2, scratch);
	memset(code, 0, vk_row_stride(dim));
	*scale = 0;
	if (*norm2 < 0x1p120)
	{
		vk_kernels->quantize_i8(rotated, dim, code, &quantized);
		*scale = quantized.scale;
	}
}

/* ---- packed rows ---- */

/* bytes of a row's attribute values */
static Size
attributes_size(const VkIndex *vk)
{
	return vk->attributes == 0 ? 0 :
		offsetof(VkAttributes, keys) + vk->attribute_bytes;
}

Size
vk_packed_row_size(const VkIndex *vk)
{
	return vk_packed_size(&vk->coder) + attributes_size(vk);
}

void
vk_packed_row(const VkIndex *vk, ItemPointer tid, char *packed, VkRow *row)
{
	VkPackedHead head;

	memcpy(&head, packed, sizeof(head));
	row->tid = *tid;
	row->code.norm2 = head.norm2;
	row->code.norm = head.norm;
	row->code.a = head.a;
	row->code.error = head.error;
	row->code.center = head.center;
	vk_packed_point(&vk->coder, packed, &row->code);
	memcpy(&row->attributes, packed + vk_packed_size(&vk->coder),
		   attributes_size(vk));
}

int
vk_segment_rows(const VkIndex *vk)
{
	int			rows = Min(SEGMENT_BYTES / vk_packed_row_size(vk),
						   VK_SEGMENT_ROWS);

	return Max(rows - rows % VK_LANES, VK_LANES);
}

/* ---- batches ---- */

Size
vk_batch_size(int dim, int lists)
{
	return lists * sizeof(VkCenter) + vk_assigner_size(dim, lists) +
		VK_ASSIGN_ROWS * (dim * sizeof(float) + vk_row_stride(dim));
}

void
vk_batch_init(VkRowBatch *batch, const VkIndex *vk, void *scratch, int lists,
			  const int8 *center_codes, const float *center_scales)
{
	int			dim = vk->coder.dim;

	memset(batch, 0, sizeof(VkRowBatch));
	batch->vk = vk;
	batch->scratch = scratch;
	batch->stride = vk_row_stride(dim);
	batch->rotated = palloc_extended((Size) VK_ASSIGN_ROWS * dim * sizeof(float),
									 MCXT_ALLOC_HUGE);
	batch->codes = palloc0((Size) VK_ASSIGN_ROWS * batch->stride);
	batch->lists = lists;
	if (lists == 0)
		return;

	batch->centers = MemoryContextAllocHuge(CurrentMemoryContext,
											lists * sizeof(VkCenter));
	for (int i = 0; i < lists; i++)
	{
		VkCenter   *center = &batch->centers[i];

		center->code = center_codes + i * batch->stride;
		center->a = center_scales[i];
		center->norm = vk_center_norm(center->code, center->a, dim);
	}
	vk_assigner_init(&batch->assigner, dim, lists, center_codes, batch->stride,
					 center_scales, vk_pause,
					 vk_aligned_alloc(vk_assigner_size(dim, lists)));
}

int
vk_batch_add(VkRowBatch *batch, ItemPointer tid, const float *vector, bool wild)
{
	int			i = batch->count++;

	Assert(i < VK_ASSIGN_ROWS);
	batch->tids[i] = *tid;
	batch->places[i] = 0;
	batch->wild[i] = wild;
	batch->blank[i] = vector == NULL;
	if (vector != NULL)
		vk_row_quantize(batch->vk, vector,
						batch->rotated + (Size) i * batch->vk->coder.dim,
						&batch->norm2[i], batch->codes + i * batch->stride,
						&batch->scales[i], batch->scratch);
	else
	{
		memset(batch->codes + i * batch->stride, 0, batch->stride);
		batch->scales[i] = 0;
	}
	return i;
}

/* make a row without a vector one of some list, lists taking turns */
static void
place_blank(VkRowBatch *batch, int i)
{
	int			dim = batch->vk->coder.dim;
	float	   *rotated = batch->rotated + (Size) i * dim;

	memset(rotated, 0, dim * sizeof(float));
	batch->norm2[i] = 0;
	batch->wild[i] = true;
	if (batch->lists > 0)
	{
		const VkCenter *center;

		batch->list[i] = batch->blanks++ % batch->lists;
		center = &batch->centers[batch->list[i]];
		for (int j = 0; j < dim; j++)
			rotated[j] = center->a * center->code[j];
	}
}

void
vk_batch_assign(VkRowBatch *batch)
{
	if (batch->count == 0)
		return;
	if (batch->lists > 0)
		vk_assign(&batch->assigner, batch->codes, batch->stride, batch->scales,
				  batch->count, batch->list);
	else
		memset(batch->list, 0, batch->count * sizeof(int32));
	for (int i = 0; i < batch->count; i++)
	{
		if (batch->blank[i])
			place_blank(batch, i);
	}
}

void
vk_batch_pack(VkRowBatch *batch, int i, char *packed)
{
	static const VkCenter mean = {.a = 0, .norm = 0, .code = NULL};
	const VkIndex *vk = batch->vk;
	VkPackedHead head;
	VkRowCode	code;

	vk_packed_point(&vk->coder, packed, &code);
	vk_row_encode(&vk->coder, batch->rotated + (Size) i * vk->coder.dim,
				  batch->norm2[i],
				  batch->lists > 0 ? &batch->centers[batch->list[i]] : &mean,
				  batch->wild[i], &code, batch->scratch);
	head.norm2 = code.norm2;
	head.norm = code.norm;
	head.a = code.a;
	head.error = code.error;
	head.center = code.center;
	memcpy(packed, &head, sizeof(head));
	memcpy(packed + vk_packed_size(&vk->coder), &batch->attributes[i],
		   attributes_size(vk));
}

/* ---- the sort ---- */

static TupleDesc
sort_descriptor(void)
{
	TupleDesc	desc = CreateTemplateTupleDesc(SORT_COLUMNS);

	TupleDescInitEntry(desc, SORT_KEY, "key", INT8OID, -1, 0);
	TupleDescInitEntry(desc, SORT_PLACE, "place", INT4OID, -1, 0);
	TupleDescInitEntry(desc, SORT_ROW, "row", BYTEAOID, -1, 0);
	vk_tuple_desc_finalize(desc);
	return desc;
}

static bytea *
make_bytea(Size size)
{
	bytea	   *value = palloc0(VARHDRSZ + size);

	SET_VARSIZE(value, VARHDRSZ + size);
	return value;
}

void
vk_sort_init(VkRowSort *sort, const VkIndex *vk)
{
	TupleDesc	desc = sort_descriptor();

	sort->vk = vk;
	sort->state = NULL;
	sort->in = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	sort->out = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	sort->packed = make_bytea(vk_packed_row_size(vk));
	sort->rest = make_bytea(1);
}

void
vk_sort_begin(VkRowSort *sort, Size memory, SortCoordinate coordinate)
{
	AttrNumber	columns[] = {SORT_KEY, SORT_PLACE};
	Oid			operators[] = {Int8LessOperator, Int4LessOperator};
	Oid			collations[] = {InvalidOid, InvalidOid};
	bool		nulls_first[] = {false, false};
	int			kilobytes = (int) Min(Max(memory / 1024, MIN_SORT_KILOBYTES),
									  MAX_KILOBYTES);

	sort->state = tuplesort_begin_heap(sort->in->tts_tupleDescriptor,
									   lengthof(columns), columns, operators,
									   collations, nulls_first, kilobytes,
									   coordinate, TUPLESORT_NONE);
}

static void
put_tuple(VkRowSort *sort, int list, ItemPointer tid, int place, bytea *row)
{
	TupleTableSlot *slot = sort->in;

	ExecClearTuple(slot);
	slot->tts_values[SORT_KEY - 1] =
		Int64GetDatum((int64) list << 32 | ItemPointerGetBlockNumber(tid));
	slot->tts_values[SORT_PLACE - 1] =
		Int32GetDatum(place << 16 | ItemPointerGetOffsetNumber(tid));
	slot->tts_values[SORT_ROW - 1] = PointerGetDatum(row);
	memset(slot->tts_isnull, false, SORT_COLUMNS * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(sort->state, slot);
}

void
vk_sort_add(VkRowSort *sort, VkRowBatch *batch, int i)
{
	vk_batch_pack(batch, i, VARDATA(sort->packed));
	put_tuple(sort, batch->list[i], &batch->tids[i], batch->places[i],
			  sort->packed);
}

void
vk_sort_add_rest(VkRowSort *sort, int list, ItemPointer tid, int place,
				 uint32 slot)
{
	*VARDATA(sort->rest) = (char) slot;
	put_tuple(sort, list, tid, place, sort->rest);
}

void
vk_sort_perform(VkRowSort *sort)
{
	tuplesort_performsort(sort->state);
}

bool
vk_sort_next(VkRowSort *sort, ItemPointer tid, char **packed, uint32 *rest_slot)
{
	TupleTableSlot *slot = sort->out;
	bool		isnull;
	bytea	   *value;

	CHECK_FOR_INTERRUPTS();
	if (!tuplesort_gettupleslot(sort->state, true, false, slot, NULL))
		return false;
	ItemPointerSet(tid,
				   (BlockNumber) DatumGetInt64(slot_getattr(slot, SORT_KEY, &isnull)),
				   (OffsetNumber) DatumGetInt32(slot_getattr(slot, SORT_PLACE, &isnull)));
	value = (bytea *) DatumGetPointer(slot_getattr(slot, SORT_ROW, &isnull));
	*packed = VARDATA_ANY(value);
	if (VARSIZE_ANY_EXHDR(value) == 1)
	{
		*rest_slot = (uint8) **packed;
		*packed = NULL;
	}
	return true;
}

void
vk_sort_write(VkRowSort *sort, VkListWriter *writer, int64 rows)
{
	for (int64 i = 0; i < rows; i++)
	{
		ItemPointerData tid;
		char	   *packed;
		uint32		rest_slot;
		VkRow		row;

		if (!vk_sort_next(sort, &tid, &packed, &rest_slot) || packed == NULL)
			elog(ERROR, "sorted rows end early");
		vk_packed_row(sort->vk, &tid, packed, &row);
		vk_list_writer_add(writer, &row.tid, &row.code, &row.attributes);
	}
}

void
vk_sort_end(VkRowSort *sort)
{
	tuplesort_end(sort->state);
	sort->state = NULL;
}

void
vk_sort_drop(VkRowSort *sort)
{
	ExecDropSingleTupleTableSlot(sort->in);
	ExecDropSingleTupleTableSlot(sort->out);
}
