/*-------------------------------------------------------------------------
 *
 * inspect_page.c
 *	  SQL functions that show what is on the pages of an index.
 *
 * NOTES
 *	  As pageinspect does for the methods of core: a page is copied under a
 *	  share lock, and decoded when the lock is gone.  A page that is all zeros
 *	  has nothing to show; one of another kind than was asked for is the
 *	  caller's error; one whose structure is damaged raises
 *	  ERRCODE_INDEX_CORRUPTED as everywhere.  The meta page and page heads are
 *	  shown as they are, whatever they hold.
 *
 *	  Who may call them sees vectors' norms and attribute values of all rows,
 *	  whatever the privileges on the table: EXECUTE is granted to those who may
 *	  read the server's files anyway.
 *
 * IDENTIFICATION
 *	  src/am/inspect_page.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/genam.h"
#include "access/transam.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/tuplestore.h"
#include "utils/xid8.h"

#include "am/am.h"

PG_FUNCTION_INFO_V1(vk_inspect_meta);
PG_FUNCTION_INFO_V1(vk_inspect_head);
PG_FUNCTION_INFO_V1(vk_inspect_slots);
PG_FUNCTION_INFO_V1(vk_inspect_blocks);
PG_FUNCTION_INFO_V1(vk_inspect_codes);
PG_FUNCTION_INFO_V1(vk_inspect_entries);
PG_FUNCTION_INFO_V1(vk_inspect_summaries);

#define MOST_COLUMNS	40

static const char *const kind_names[] = {
	[0] = "meta",
	[VK_PAGE_MAP - VK_PAGE_META] = "map",
	[VK_PAGE_DIRECTORY - VK_PAGE_META] = "directory",
	[VK_PAGE_BLOCK - VK_PAGE_META] = "block",
	[VK_PAGE_REFINE - VK_PAGE_META] = "refine",
	[VK_PAGE_REST - VK_PAGE_META] = "rest",
	[VK_PAGE_MEAN - VK_PAGE_META] = "mean",
	[VK_PAGE_FREE - VK_PAGE_META] = "free",
	[VK_PAGE_SUMMARY - VK_PAGE_META] = "summary"
};

static const char *
kind_name(uint16 kind)
{
	uint16		number = kind - VK_PAGE_META;

	return number < lengthof(kind_names) ? kind_names[number] : "unknown";
}

/* ---- rows of a result ---- */

typedef struct Row
{
	FunctionCallInfo call;
	int			count;			/* columns so far */
	Datum		values[MOST_COLUMNS];
	bool		nulls[MOST_COLUMNS];
} Row;

static void
put(Row *row, Datum value)
{
	row->nulls[row->count] = false;
	row->values[row->count++] = value;
}

static void
put_null(Row *row)
{
	row->nulls[row->count] = true;
	row->values[row->count++] = (Datum) 0;
}

static void
put_number(Row *row, int64 value)
{
	put(row, Int64GetDatum(value));
}

/* a number that 0 stands for none of */
static void
put_unless_zero(Row *row, int64 value)
{
	if (value == 0)
		put_null(row);
	else
		put_number(row, value);
}

static void
put_block(Row *row, BlockNumber block)
{
	if (BlockNumberIsValid(block))
		put_number(row, block);
	else
		put_null(row);
}

static void
put_int(Row *row, int32 value)
{
	put(row, Int32GetDatum(value));
}

static void
put_float(Row *row, double value)
{
	put(row, Float8GetDatum(value));
}

static void
put_text(Row *row, const char *value)
{
	put(row, CStringGetTextDatum(value));
}

static void
put_tid(Row *row, const ItemPointerData *tid)
{
	ItemPointer copy = palloc(sizeof(ItemPointerData));

	*copy = *tid;
	put(row, PointerGetDatum(copy));
}

/* bigint[] of so many numbers */
static void
put_numbers(Row *row, const uint32 *numbers, int count)
{
	Datum	   *values = palloc(count * sizeof(Datum));

	for (int i = 0; i < count; i++)
		values[i] = Int64GetDatum(numbers[i]);
	put(row, PointerGetDatum(construct_array(values, count, INT8OID, sizeof(int64),
											 FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)));
}

/* an attribute's key; numeric holds 128 bits */
static Datum
key_datum(VkKey key)
{
	uint128		rest = key < 0 ? -(uint128) key : (uint128) key;
	char		digits[42];
	char	   *at = digits + sizeof(digits);

	*--at = '\0';
	do
	{
		*--at = '0' + (int) (rest % 10);
		rest /= 10;
	} while (rest != 0);
	if (key < 0)
		*--at = '-';
	return DirectFunctionCall3(numeric_in, CStringGetDatum(at),
							   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

/* the row is complete: into the result of a function that returns a set */
static void
give(Row *row)
{
	ReturnSetInfo *result = (ReturnSetInfo *) row->call->resultinfo;

	Assert(row->count == result->setDesc->natts);
	tuplestore_putvalues(result->setResult, result->setDesc, row->values, row->nulls);
	row->count = 0;
}

/* the only row of a function's result */
static Datum
only_row(Row *row)
{
	TupleDesc	description;

	if (get_call_result_type(row->call, NULL, &description) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	Assert(row->count == description->natts);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(description),
											 row->values, row->nulls));
}

/* ---- pages ---- */

typedef struct Inspected
{
	Relation	index;
	BlockNumber block;
	const VkIndex *vk;			/* block and refine pages */
	int			first_head;		/* block pages */
	bool		centers;		/* its entries are centres */
	PGAlignedBlock copy;
} Inspected;

static BlockNumber
block_argument(Relation index, int64 block)
{
	if (block < 0 || block >= RelationGetNumberOfBlocks(index))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("block number " INT64_FORMAT " is out of range for index \"%s\"",
						block, RelationGetRelationName(index))));
	return (BlockNumber) block;
}

static void
report_kind(const Inspected *page, const char *wanted, uint16 found)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("block %u of index \"%s\" is not a %s page",
					page->block, RelationGetRelationName(page->index), wanted),
			 errdetail("It is of kind \"%s\".", kind_name(found))));
}

/*
 * copy_page -- a copy of the page; false where it is all zeros
 *
 * Kind 0: any.  Only that of block 0 is known beforehand.
 */
static bool
copy_page(Inspected *page, uint16 kind)
{
	Buffer		buffer = vk_read_any_page(page->index, page->block, BUFFER_LOCK_SHARE);
	uint16		found = vk_page_head(BufferGetPage(buffer))->kind;
	bool		used = !PageIsNew(BufferGetPage(buffer));

	if (used)
		vk_check_page(page->index, buffer,
					  page->block == VK_META_BLOCK ? VK_PAGE_META : found);
	if (used && kind != 0 && kind != found)
		report_kind(page, kind_name(kind), found);
	if (used && kind == VK_PAGE_BLOCK)
		page->first_head = vk_first_head(page->index, page->vk, buffer);
	memcpy(page->copy.data, BufferGetPage(buffer), BLCKSZ);
	UnlockReleaseBuffer(buffer);
	return used;
}

/* entries that a page's head says it holds */
static int
entry_count(const Inspected *page, int most)
{
	int			count = vk_page_head((Page) page->copy.data)->count;

	if (count > most)
		vk_corrupt(page->index, page->block,
				   psprintf("The page is said to hold %d entries, %d fit on it.",
							count, most));
	return count;
}

/* ---- the meta page ---- */

static void
put_names(Row *row, const VkMeta *meta)
{
	static const char *const formats[] = {
		[VK_FORMAT_B1] = "1", [VK_FORMAT_B2] = "2", [VK_FORMAT_B4] = "4",
		[VK_FORMAT_B8] = "8", [VK_FORMAT_F16] = "16", [VK_FORMAT_F32] = "32"
	};

	put_text(row, vk_metric_name(meta->metric));
	put_text(row, meta->format < lengthof(formats) ? formats[meta->format] : "unknown");
}

static void
put_widths(Row *row, const VkMeta *meta)
{
	uint32		widths[VK_MAX_ATTRIBUTES];

	for (int i = 0; i < VK_MAX_ATTRIBUTES; i++)
		widths[i] = meta->attribute_width[i];
	put_numbers(row, widths, Min(meta->attributes, VK_MAX_ATTRIBUTES));
}

/* real[anchors][levels] */
static void
put_curve(Row *row, const float (*curve)[VK_CURVE_LEVELS])
{
	int			dims[] = {VK_CURVE_ANCHORS, VK_CURVE_LEVELS};
	int			bounds[] = {1, 1};
	Datum		values[VK_CURVE_ANCHORS * VK_CURVE_LEVELS];

	for (int i = 0; i < (int) lengthof(values); i++)
		values[i] = Float4GetDatum(curve[i / VK_CURVE_LEVELS][i % VK_CURVE_LEVELS]);
	put(row, PointerGetDatum(construct_md_array(values, NULL, 2, dims, bounds, FLOAT4OID,
												sizeof(float4), true, TYPALIGN_INT)));
}

/*
 * vk_inspect_meta -- everything on the meta page
 */
Datum
vk_inspect_meta(PG_FUNCTION_ARGS)
{
	Inspected	page = {vk_index_open(PG_GETARG_OID(0), AccessShareLock), VK_META_BLOCK};
	Row			row = {fcinfo};
	VkMeta	   *meta;
	bool		used;

	used = copy_page(&page, VK_PAGE_META);
	index_close(page.index, AccessShareLock);
	if (!used)
		PG_RETURN_NULL();
	meta = vk_page_meta((Page) page.copy.data);

	put_number(&row, meta->magic);
	put_number(&row, meta->version);
	put_int(&row, meta->dim);
	put_names(&row, meta);
	put_int(&row, meta->refine_bits);
	put(&row, BoolGetDatum(meta->flat != 0));
	put_int(&row, meta->element);
	put_int(&row, meta->attributes);
	put_widths(&row, meta);
	put_number(&row, meta->seed);
	put_number(&row, meta->epoch);
	put_number(&row, meta->op_in_progress);
	put_number(&row, meta->slots);
	put_number(&row, meta->lists);
	put_number(&row, meta->centers);
	put_number(&row, meta->segments);
	put_number(&row, meta->groups);
	put_number(&row, meta->root);
	put_number(&row, meta->grouped);
	put_number(&row, meta->coded);
	put_number(&row, meta->recycled);
	put_numbers(&row, meta->open_slot, VK_OPEN_SEGMENTS);
	put_float(&row, meta->build_rows);
	put_float(&row, meta->live_rows);
	put_float(&row, meta->dead_rows);
	put_block(&row, meta->mean_head);
	put_numbers(&row, meta->map, Min(meta->maps, VK_META_MAPS));
	put_curve(&row, meta->curve.rows);
	put_float(&row, meta->curve_rows);
	put_float(&row, meta->changed_rows);
	put_float(&row, meta->build_residual);
	put_float(&row, meta->residual);
	put_float(&row, meta->step);
	put_curve(&row, meta->fringe.deviations);
	return only_row(&row);
}

/* ---- any page ---- */

/*
 * vk_inspect_head -- the head of a page
 */
Datum
vk_inspect_head(PG_FUNCTION_ARGS)
{
	Inspected	page = {vk_index_open(PG_GETARG_OID(0), AccessShareLock)};
	Row			row = {fcinfo};
	const VkPageHead *head;
	bool		used;

	page.block = block_argument(page.index, PG_GETARG_INT64(1));
	used = copy_page(&page, 0);
	index_close(page.index, AccessShareLock);
	if (!used)
		PG_RETURN_NULL();
	head = vk_page_head((Page) page.copy.data);

	put_text(&row, kind_name(head->kind));
	put(&row, BoolGetDatum((head->flags & VK_PAGE_FULL) != 0));
	put(&row, BoolGetDatum((head->flags & VK_PAGE_CLOSED) != 0));
	put_number(&row, head->slot);
	put_number(&row, head->born);
	put_block(&row, head->next);
	put_number(&row, head->position);
	put_block(&row, head->refine_page);
	put_number(&row, head->refine_position);
	put_int(&row, head->refine_offset);
	put_int(&row, head->first_head);
	put_int(&row, head->last_head);
	put_int(&row, head->count);
	return only_row(&row);
}

/* ---- directory ---- */

/* where no list has a centroid, all of them are segments */
static const char *
slot_kind(const VkMeta *meta, uint32 number, const VkSlot *slot)
{
	static const char *const fixed[] = {
		[VK_SLOT_CENTERS] = "centers",
		[VK_SLOT_REST_NAN] = "rest nan",
		[VK_SLOT_REST_NULL] = "rest null"
	};

	if (number < VK_SLOT_FIRST_LIST)
		return fixed[number];
	if (slot->born == 0)
		return "unused";
	if (slot->flags & VK_SLOT_GROUP)
		return "group";
	return meta->lists == 0 || (slot->flags & VK_SLOT_SEGMENT) ? "segment" : "list";
}

static void
put_slot(Row *row, const VkSlot *slot)
{
	put_block(row, slot->head);
	put_block(row, slot->tail);
	put_number(row, slot->born);
	put_unless_zero(row, slot->retired);
	if (slot->retire_xid == 0)
		put_null(row);
	else
		put(row, FullTransactionIdGetDatum(FullTransactionIdFromU64(slot->retire_xid)));
	put_number(row, slot->live);
	put_number(row, slot->dead);
	put_number(row, slot->flags);
	put_number(row, slot->born_blocks);
	put_block(row, slot->extent_start);
	put_number(row, slot->extent_length);
	put_block(row, slot->refine_head);
	put_block(row, slot->refine_tail);
	put_block(row, slot->summary);
}

/*
 * vk_inspect_slots -- the slots of all directory pages
 */
Datum
vk_inspect_slots(PG_FUNCTION_ARGS)
{
	Relation	index = vk_index_open(PG_GETARG_OID(0), AccessShareLock);
	Row			row = {fcinfo};
	VkMeta		meta;

	InitMaterializedSRF(fcinfo, 0);
	vk_meta_read(index, &meta);
	for (uint32 number = 0; number < meta.slots; number++)
	{
		VkSlot	   *stored;
		VkSlot		slot;
		Buffer		buffer;

		CHECK_FOR_INTERRUPTS();
		buffer = vk_slot_lock(index, &meta, number, BUFFER_LOCK_SHARE, &stored);
		slot = *stored;
		put_number(&row, number);
		put_block(&row, BufferGetBlockNumber(buffer));
		UnlockReleaseBuffer(buffer);
		put_text(&row, slot_kind(&meta, number, &slot));
		put(&row, BoolGetDatum(vk_slot_visible(&slot, meta.epoch)));
		put_slot(&row, &slot);
		give(&row);
	}
	index_close(index, AccessShareLock);
	return (Datum) 0;
}

/* ---- what is on a page: sets of rows ---- */

/*
 * belongs_to_centers -- is a page of a list of centres, as far as its slot says?
 */
static bool
belongs_to_centers(const Inspected *page)
{
	const VkPageHead *head = vk_page_head((Page) page->copy.data);
	VkMeta		meta;
	VkSlot		slot;

	vk_meta_read(page->index, &meta);
	if (head->slot >= meta.slots)
		return false;
	vk_slot_read(page->index, &meta, head->slot, &slot);
	return slot.born == head->born && vk_slot_has_centers(head->slot, &slot);
}

/*
 * begin_set -- open the index and copy the page that a function with the
 * arguments (index, block) is about; false where it has nothing to show
 */
static bool
begin_set(FunctionCallInfo fcinfo, Inspected *page, Row *row, uint16 kind)
{
	InitMaterializedSRF(fcinfo, 0);
	row->call = fcinfo;
	row->count = 0;
	page->index = vk_index_open(PG_GETARG_OID(0), AccessShareLock);
	page->block = block_argument(page->index, PG_GETARG_INT64(1));
	page->vk = vk_index_copy(page->index, CurrentMemoryContext);
	if (!copy_page(page, kind))
		return false;
	page->centers = belongs_to_centers(page);
	return true;
}

static Datum
end_set(Inspected *page)
{
	index_close(page->index, AccessShareLock);
	return (Datum) 0;
}

/* norm, scale and error of a row's code, and its dot with the list's centre */
static void
put_row_code(Row *row, bool has_norm, bool has_scale, bool has_center,
			 const VkRowCode *code)
{
	if (has_norm)
		put_float(row, code->norm);
	else
		put_null(row);
	if (has_scale)
		put_float(row, code->a);
	else
		put_null(row);
	put_float(row, code->error);
	if (has_center)
		put_float(row, code->center);
	else
		put_null(row);
}

/* numeric[] of a row's keys, one a column */
static void
put_keys(Row *row, const VkIndex *vk, const VkAttributes *attributes)
{
	int			dims[] = {vk->attributes};
	int			bounds[] = {1};
	Datum		keys[VK_MAX_ATTRIBUTES];
	bool		nulls[VK_MAX_ATTRIBUTES];

	for (int i = 0; i < vk->attributes; i++)
	{
		nulls[i] = (attributes->nulls & 1U << i) != 0;
		keys[i] = nulls[i] ? (Datum) 0 : key_datum(vk_attributes_key(vk, i, attributes));
	}
	put(row, PointerGetDatum(construct_md_array(keys, nulls, 1, dims, bounds, NUMERICOID,
												-1, false, TYPALIGN_INT)));
}

static void
give_block(const Inspected *page, Row *row, int line)
{
	const VkIndex *vk = page->vk;
	const VkCoder coder = page->centers ? vk_center_coder(vk) : vk->coder;
	const bool	bits = vk_metric_of_bits(coder.metric);
	const VkBlockTop *top = (const VkBlockTop *) (page->copy.data + line * VK_LINE_SIZE);

	if (top->head.count > VK_LANES)
		vk_corrupt(page->index, page->block,
				   psprintf("The block at line %d has %d rows.", line, top->head.count));

	for (int lane = 0; lane < top->head.count; lane++)
	{
		VkAttributes attributes;
		VkRowCode	code;

		vk_annotation_get(&coder,
						  (const char *) top + vk->annotation_line * VK_LINE_SIZE,
						  top->head.scale, lane, &code);
		put_int(row, line);
		put_int(row, lane);
		put_tid(row, &top->tids[lane]);
		put(row, BoolGetDatum((top->head.live >> lane & 1) != 0));
		put_float(row, top->head.scale);
		put_row_code(row, coder.metric != VK_METRIC_L1 && !(bits && !coder.flat),
					 coder.format < VK_INT_FORMATS && !bits,
					 !page->centers && vk_list_flags(&coder) != 0, &code);
		if (page->centers)
			put_null(row);
		else
		{
			vk_attributes_get(vk, top, lane, &attributes);
			put_keys(row, vk, &attributes);
		}
		give(row);
	}
}

/*
 * vk_inspect_blocks -- the rows of the blocks that begin on a page
 */
Datum
vk_inspect_blocks(PG_FUNCTION_ARGS)
{
	Inspected	page;
	Row			row;

	if (begin_set(fcinfo, &page, &row, VK_PAGE_BLOCK))
		for (int line = page.first_head; line != 0;
			 line = vk_next_head(page.vk, (Page) page.copy.data, line))
			give_block(&page, &row, line);
	return end_set(&page);
}

/*
 * vk_inspect_codes -- the heads of the refine codes that begin on a page
 *
 * A head that is on the next page, for the most part, is not known.
 */
Datum
vk_inspect_codes(PG_FUNCTION_ARGS)
{
	Inspected	page;
	Row			row;
	const VkPageHead *head;
	int64		start;			/* of the page, in its list's stream of bytes */
	int			size;

	if (!begin_set(fcinfo, &page, &row, VK_PAGE_REFINE))
		return end_set(&page);
	head = vk_page_head((Page) page.copy.data);
	size = page.centers ?
		vk_center_coder(page.vk).refine_size : page.vk->coder.refine_size;
	if (size == 0)
		vk_corrupt(page.index, page.block, "The index has no refine codes.");

	start = (int64) head->position * VK_PAYLOAD_SIZE;
	for (int64 item = (start + size - 1) / size; item * size < start + VK_PAYLOAD_SIZE; item++)
	{
		int			offset = (int) (item * size - start);
		VkRowCode	code;

		put_number(&row, item);
		put_int(&row, offset);
		if (offset + VK_REFINE_HEAD <= VK_PAYLOAD_SIZE)
		{
			vk_refine_head((const uint8 *) page.copy.data + VK_PAGE_HEAD_SIZE + offset, &code);
			put_row_code(&row, true, true,
						 !page.centers && vk_list_flags(&page.vk->coder) != 0, &code);
		}
		else
			for (int i = 0; i < 4; i++)
				put_null(&row);
		give(&row);
	}
	return end_set(&page);
}

/*
 * vk_inspect_entries -- what rest, map and mean pages hold
 */
Datum
vk_inspect_entries(PG_FUNCTION_ARGS)
{
	Inspected	page;
	Row			row;
	uint16		kind;
	int			count;
	union
	{
		void	   *payload;
		ItemPointerData *tids;
		BlockNumber *blocks;
		float4	   *values;
	}			entries;

	if (!begin_set(fcinfo, &page, &row, 0))
		return end_set(&page);
	entries.payload = vk_page_payload((Page) page.copy.data);
	kind = vk_page_head((Page) page.copy.data)->kind;
	if (kind != VK_PAGE_REST && kind != VK_PAGE_MAP && kind != VK_PAGE_MEAN)
		report_kind(&page, "rest, map or mean", kind);

	count = entry_count(&page, kind == VK_PAGE_REST ? VK_REST_ENTRIES : VK_MAP_ENTRIES);
	for (int item = 0; item < count; item++)
	{
		put_int(&row, item);
		if (kind == VK_PAGE_REST)
			put_tid(&row, &entries.tids[item]);
		else
			put_null(&row);
		if (kind == VK_PAGE_MAP)
			put_block(&row, entries.blocks[item]);
		else
			put_null(&row);
		if (kind == VK_PAGE_MEAN)
			put(&row, Float4GetDatum(entries.values[item]));
		else
			put_null(&row);
		give(&row);
	}
	return end_set(&page);
}

static void
give_summary(Row *row, uint32 slot, int attribute, const VkSummary *summary)
{
	VkKey		least = vk_stored_key(&summary->least);
	VkKey		greatest = vk_stored_key(&summary->greatest);

	put_number(row, slot);
	put_int(row, attribute + 1);
	if (least <= greatest)
	{
		put(row, key_datum(least));
		put(row, key_datum(greatest));
	}
	else
	{
		put_null(row);
		put_null(row);
	}
	put(row, BoolGetDatum(summary->nulls != 0));
	put_int(row, (int32) pg_popcount((const char *) summary->bloom, VK_BLOOM_SIZE));
	give(row);
}

/*
 * vk_inspect_summaries -- what the rows of lists have in common
 */
Datum
vk_inspect_summaries(PG_FUNCTION_ARGS)
{
	Inspected	page;
	Row			row;
	const VkSummary *summaries;
	uint32		first;
	int			attributes;
	int			count;

	if (!begin_set(fcinfo, &page, &row, VK_PAGE_SUMMARY))
		return end_set(&page);
	summaries = vk_page_payload((Page) page.copy.data);
	first = vk_page_head((Page) page.copy.data)->slot;
	attributes = page.vk->attributes;
	if (attributes == 0)
		vk_corrupt(page.index, page.block, "The index has no attribute columns.");

	count = VK_PAGE_LINES / (attributes * VK_SUMMARY_LINES) * attributes;
	for (int i = 0; i < count; i++)
		give_summary(&row, first + i / attributes, i % attributes, &summaries[i]);
	return end_set(&page);
}
