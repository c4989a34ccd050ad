/*-------------------------------------------------------------------------
 *
 * damage.c
 *	  SQL functions by which a test damages an index while the server runs.
 *
 * NOTES
 *	  Damage is written to buffers, as if it had been read from the disk, so
 *	  nothing has to be stopped; only sessions that begin afterwards are
 *	  certain not to remember the page as it was.  Tests compile this file,
 *	  see VkDamage.pm.
 *
 *	  Where things are comes from the format's own header, so that tests need
 *	  no numbers of theirs.
 *
 * IDENTIFICATION
 *	  test/modules/damage.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include <sys/resource.h>

#include "access/relation.h"
#include "catalog/storage.h"
#include "funcapi.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "am/page.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(damage_fields);
PG_FUNCTION_INFO_V1(damage_read);
PG_FUNCTION_INFO_V1(damage_write);
PG_FUNCTION_INFO_V1(damage_truncate);
PG_FUNCTION_INFO_V1(damage_peak_memory);

typedef struct Field
{
	const char *of;
	const char *name;
	int			offset;
	int			size;			/* of one element */
	int			number;			/* of elements */
} Field;

#define FIELD(of, type, name) \
	{of, #name, offsetof(type, name), sizeof(((type *) NULL)->name), 1}
#define ARRAY_FIELD(of, type, name) \
	{of, #name, offsetof(type, name), sizeof(*((type *) NULL)->name), \
		lengthof(((type *) NULL)->name)}
#define SIZE_OF(type)	{"size", #type, 0, sizeof(type), 1}
#define VALUE_OF(value)	{"value", #value, 0, value, 1}

static const Field fields[] = {
	FIELD("page", PageHeaderData, pd_flags),
	FIELD("page", PageHeaderData, pd_lower),
	FIELD("page", PageHeaderData, pd_upper),
	FIELD("page", PageHeaderData, pd_special),
	FIELD("page", PageHeaderData, pd_pagesize_version),

	FIELD("head", VkPageHead, kind),
	FIELD("head", VkPageHead, flags),
	FIELD("head", VkPageHead, slot),
	FIELD("head", VkPageHead, born),
	FIELD("head", VkPageHead, next),
	FIELD("head", VkPageHead, position),
	FIELD("head", VkPageHead, refine_page),
	FIELD("head", VkPageHead, refine_position),
	FIELD("head", VkPageHead, refine_offset),
	FIELD("head", VkPageHead, first_head),
	FIELD("head", VkPageHead, last_head),
	FIELD("head", VkPageHead, count),

	FIELD("block", VkBlockTop, head.live),
	FIELD("block", VkBlockTop, head.count),
	FIELD("block", VkBlockTop, head.flags),
	FIELD("block", VkBlockTop, head.scale),
	ARRAY_FIELD("block", VkBlockTop, head.nulls),

	FIELD("slot", VkSlot, head),
	FIELD("slot", VkSlot, tail),
	FIELD("slot", VkSlot, born),
	FIELD("slot", VkSlot, retired),
	FIELD("slot", VkSlot, retire_xid),
	FIELD("slot", VkSlot, live),
	FIELD("slot", VkSlot, dead),
	FIELD("slot", VkSlot, flags),
	FIELD("slot", VkSlot, born_blocks),
	FIELD("slot", VkSlot, extent_start),
	FIELD("slot", VkSlot, extent_length),
	FIELD("slot", VkSlot, refine_head),
	FIELD("slot", VkSlot, refine_tail),
	FIELD("slot", VkSlot, summary),

	FIELD("summary", VkSummary, least.low),
	FIELD("summary", VkSummary, least.high),
	FIELD("summary", VkSummary, greatest.low),
	FIELD("summary", VkSummary, greatest.high),
	FIELD("summary", VkSummary, nulls),

	FIELD("meta", VkMeta, magic),
	FIELD("meta", VkMeta, version),
	FIELD("meta", VkMeta, dim),
	FIELD("meta", VkMeta, metric),
	FIELD("meta", VkMeta, format),
	FIELD("meta", VkMeta, refine_bits),
	FIELD("meta", VkMeta, flat),
	FIELD("meta", VkMeta, element),
	FIELD("meta", VkMeta, attributes),
	FIELD("meta", VkMeta, seed),
	FIELD("meta", VkMeta, epoch),
	FIELD("meta", VkMeta, op_in_progress),
	FIELD("meta", VkMeta, slots),
	FIELD("meta", VkMeta, lists),
	FIELD("meta", VkMeta, centers),
	FIELD("meta", VkMeta, segments),
	FIELD("meta", VkMeta, coded),
	FIELD("meta", VkMeta, recycled),
	ARRAY_FIELD("meta", VkMeta, open_slot),
	FIELD("meta", VkMeta, build_rows),
	FIELD("meta", VkMeta, live_rows),
	FIELD("meta", VkMeta, dead_rows),
	FIELD("meta", VkMeta, mean_head),
	FIELD("meta", VkMeta, maps),
	ARRAY_FIELD("meta", VkMeta, map),
	{"meta", "curve", offsetof(VkMeta, curve), sizeof(float),
	sizeof(VkCurve) / sizeof(float)},
	FIELD("meta", VkMeta, curve_rows),
	FIELD("meta", VkMeta, changed_rows),
	FIELD("meta", VkMeta, build_residual),
	FIELD("meta", VkMeta, residual),
	FIELD("meta", VkMeta, step),
	ARRAY_FIELD("meta", VkMeta, attribute_width),

	SIZE_OF(VkSlot),
	SIZE_OF(VkSummary),
	VALUE_OF(VK_LINE_SIZE),
	VALUE_OF(VK_PAGE_HEAD_SIZE),
	VALUE_OF(VK_SLOT_FIRST_LIST),
	VALUE_OF(VK_PAGE_META),
	VALUE_OF(VK_PAGE_MAP),
	VALUE_OF(VK_PAGE_DIRECTORY),
	VALUE_OF(VK_PAGE_BLOCK),
	VALUE_OF(VK_PAGE_REFINE),
	VALUE_OF(VK_PAGE_REST),
	VALUE_OF(VK_PAGE_MEAN),
	VALUE_OF(VK_PAGE_FREE),
	VALUE_OF(VK_PAGE_SUMMARY)
};

/*
 * damage_fields() -- names, places and sizes of what is stored on pages
 */
Datum
damage_fields(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < (int) lengthof(fields); i++)
	{
		Datum		values[5];
		bool		nulls[5] = {false};

		values[0] = CStringGetTextDatum(fields[i].of);
		values[1] = CStringGetTextDatum(fields[i].name);
		values[2] = Int32GetDatum(fields[i].offset);
		values[3] = Int32GetDatum(fields[i].size);
		values[4] = Int32GetDatum(fields[i].number);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * damage_read(index regclass) -- all pages of an index, one after the other
 */
Datum
damage_read(PG_FUNCTION_ARGS)
{
	Relation	index = relation_open(PG_GETARG_OID(0), AccessShareLock);
	BlockNumber blocks = RelationGetNumberOfBlocks(index);
	bytea	   *result = (bytea *) palloc(VARHDRSZ + (Size) blocks * BLCKSZ);

	SET_VARSIZE(result, VARHDRSZ + (Size) blocks * BLCKSZ);
	for (BlockNumber block = 0; block < blocks; block++)
	{
		Buffer		buffer = ReadBuffer(index, block);

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		memcpy(VARDATA(result) + (Size) block * BLCKSZ, BufferGetPage(buffer), BLCKSZ);
		UnlockReleaseBuffer(buffer);
	}
	relation_close(index, AccessShareLock);
	PG_RETURN_BYTEA_P(result);
}

/*
 * damage_write(index regclass, block integer, at integer, bytes bytea) --
 * change a page
 */
Datum
damage_write(PG_FUNCTION_ARGS)
{
	Relation	index = relation_open(PG_GETARG_OID(0), AccessExclusiveLock);
	Buffer		buffer = ReadBuffer(index, PG_GETARG_INT32(1));
	int			at = PG_GETARG_INT32(2);
	bytea	   *bytes = PG_GETARG_BYTEA_PP(3);
	int			size = VARSIZE_ANY_EXHDR(bytes);

	if (at < 0 || at + size > BLCKSZ)
		elog(ERROR, "%d bytes at %d do not lie within a page", size, at);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	memcpy((char *) BufferGetPage(buffer) + at, VARDATA_ANY(bytes), size);
	MarkBufferDirty(buffer);
	UnlockReleaseBuffer(buffer);
	relation_close(index, NoLock);
	PG_RETURN_VOID();
}

/*
 * damage_truncate(index regclass, blocks integer)
 */
Datum
damage_truncate(PG_FUNCTION_ARGS)
{
	Relation	index = relation_open(PG_GETARG_OID(0), AccessExclusiveLock);

	RelationTruncate(index, PG_GETARG_INT32(1));
	relation_close(index, NoLock);
	PG_RETURN_VOID();
}

/*
 * damage_peak_memory() -- what this process has had in memory at most, in kB
 */
Datum
damage_peak_memory(PG_FUNCTION_ARGS)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	PG_RETURN_INT64(usage.ru_maxrss);
}
