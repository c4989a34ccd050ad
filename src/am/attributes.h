/*-------------------------------------------------------------------------
 *
 * attributes.h
 *	  Attribute columns: values as keys, conditions on them, summaries.
 *
 * NOTES
 *	  A value of an attribute column is stored as a key, an integer of 4, 8 or
 *	  16 bytes.  Where the type is ordered, keys are ordered as its values are
 *	  (by the type's default btree class), and equal values have equal keys.
 *	  A hashed type's key is a hash: equal values have equal keys, but unequal
 *	  ones may too, so a match must be checked again.
 *
 * IDENTIFICATION
 *	  src/am/attributes.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_ATTRIBUTES_H
#define VK_ATTRIBUTES_H

#include "am/page.h"

#include "access/skey.h"
#include "storage/buf.h"
#include "utils/relcache.h"

#ifndef PG_INT128_TYPE
#error "vkindex needs a compiler with 128-bit integers"
#endif

typedef int128 VkKey;

#define VK_KEY_MIN		((VkKey) ((uint128) 1 << 127))
#define VK_KEY_MAX		((VkKey) ~((uint128) 1 << 127))

struct VkIndex;
typedef struct VkAttributeType VkAttributeType;

/* one attribute column of an index */
typedef struct VkAttribute
{
	const VkAttributeType *type;
	Oid			collation;
	int			width;			/* bytes a lane: 4, 8, 16 */
	int			line;			/* its first line in a block */
	int			offset;			/* of its key among VkAttributes.keys */
} VkAttribute;

/* the attribute values of one row; key i is width bytes at attribute[i].offset */
typedef struct VkAttributes
{
	uint32		nulls;			/* bit a column */
	char		keys[VK_MAX_ATTRIBUTES * sizeof(VkKey)];
} VkAttributes;

/* a key as summaries store it */
static inline VkKey
vk_stored_key(const VkStoredKey *stored)
{
	return (VkKey) ((uint128) (uint64) stored->high << 64 | stored->low);
}

/* ---- attributes.c: columns and rows ---- */

/* columns 2.. of an index, into attribute[]; refuses types that it does not
 * know; lines begin at first_line; returns the line after the last */
extern int	vk_attributes_describe(Relation index, int first_line,
								   VkAttribute *attribute, int *count,
								   int *bytes);
/* the keys of a row; values[0] is the vector, values[1] attribute 0 */
extern void vk_attributes_form(const struct VkIndex *vk, const Datum *values,
							   const bool *isnull, VkAttributes *out);
/* write a row's keys and null bits into its lane of a block */
extern void vk_attributes_put(const struct VkIndex *vk, VkBlockTop *block,
							  int lane, const VkAttributes *attributes);
/* the other way; for checks */
extern void vk_attributes_get(const struct VkIndex *vk, const VkBlockTop *block,
							  int lane, VkAttributes *attributes);
/* a stored key: width bytes, of any alignment */
static inline VkKey
vk_key_load(const void *from, int width)
{
	int32		narrow;
	int64		wide;
	VkKey		key;

	if (width == sizeof(narrow))
	{
		memcpy(&narrow, from, sizeof(narrow));
		return narrow;
	}
	if (width == sizeof(wide))
	{
		memcpy(&wide, from, sizeof(wide));
		return wide;
	}
	memcpy(&key, from, sizeof(key));
	return key;
}

/* key i of a row */
extern VkKey vk_attributes_key(const struct VkIndex *vk, int i,
							   const VkAttributes *attributes);

/* ---- attribute_types.c: values as keys ---- */

/* what the operator class's input type is stored as; NULL: it cannot be */
extern const VkAttributeType *vk_attribute_type(Oid type);
extern int	vk_attribute_width(const VkAttributeType *type);
/* may unequal values have equal keys? */
extern bool vk_attribute_hashed(const VkAttributeType *type);
/* the operators that compare it with a value of type right: bit s is strategy s */
extern uint32 vk_attribute_strategies(const VkAttributeType *type, Oid right);
/* key of a value of the column's own type */
extern VkKey vk_attribute_key(const VkAttribute *attribute, Datum value);

/*
 * Where a constant lies among the keys of a column: the greatest key at or below
 * it and the least at or above it, which are the same where a value of the
 * column can be equal to it.
 */
typedef struct VkPlace
{
	VkKey		below;
	VkKey		above;
} VkPlace;

/* right: the constant's type as its operator has it; InvalidOid: the column's */
extern void vk_attribute_place(const VkAttribute *attribute, Oid right,
							   Datum value, VkPlace *place);

/* ---- filter.c: conditions of a scan ---- */

typedef struct VkInterval		/* both ends are in it */
{
	VkKey		low;
	VkKey		high;
} VkInterval;

typedef struct VkCondition
{
	int			column;			/* attribute, from 0 */
	bool		null;			/* IS NULL; there are no intervals then */
	bool		points;			/* every interval is a single key */
	int			count;
	VkInterval *intervals;		/* rising, none touching another */
} VkCondition;

typedef struct VkFilter
{
	const struct VkIndex *vk;
	int			count;
	VkCondition *conditions;	/* a row matches where all of them hold */
	bool		never;			/* no row can match */
	bool		recheck;		/* a row that matches need not be one */
} VkFilter;

/*
 * Conditions on attribute columns among a scan's keys; those on the vector
 * column are left alone.  NULL where there are none.  In the current memory
 * context.
 */
extern VkFilter *vk_filter_create(Relation index, const struct VkIndex *vk,
								  ScanKey keys, int nkeys);
/* those of the given lanes that match; block points at its first line on the
 * page (all head lines of a block lie on one page) */
extern uint32 vk_filter_lanes(const VkFilter *filter, const VkBlockTop *block,
							  uint32 lanes);
/* may a list with these summaries, one a column, hold a row that matches? */
extern bool vk_filter_list(const VkFilter *filter, const VkSummary *summaries);

/* ---- summary.c ---- */

extern void vk_summary_init(VkSummary *summary);	/* of no rows */
/* does the summary change where a row is added?  It is changed then. */
extern bool vk_summary_add(VkSummary *summary, VkKey key, bool isnull);
/* the same for all summaries of a list, one a column */
extern bool vk_summary_add_row(const struct VkIndex *vk, VkSummary *summaries,
							   const VkAttributes *attributes);
/* for a row that is inserted: ranges by a little more than it asks for */
extern void vk_summary_widen_row(const struct VkIndex *vk, VkSummary *summaries,
								 const VkAttributes *attributes);
extern bool vk_summary_has_key(const VkSummary *summary, VkKey key);
/* does a summary allow all that another one does? */
extern bool vk_summary_covers(const VkSummary *summary, const VkSummary *other);
/*
 * Copy the summaries of a list, vk->attributes of them.  Returns false where it
 * has none (anything may be in the list).
 */
extern bool vk_summary_read(Relation index, const struct VkIndex *vk,
							uint32 number, const VkSlot *slot,
							VkSummary *summaries);
/* write those of a list that nobody sees yet */
extern void vk_summary_write(Relation index, const struct VkIndex *vk,
							 uint32 number, const VkSlot *slot,
							 const VkSummary *summaries);
/* may a list hold a row that a filter lets through? */
extern bool vk_summary_may_match(Relation index, const struct VkIndex *vk,
								 uint32 number, const VkSlot *slot,
								 const VkFilter *filter);
/* would a row widen those of a list? */
extern bool vk_summary_lacks(Relation index, const struct VkIndex *vk,
							 uint32 number, const VkSlot *slot,
							 const VkAttributes *attributes);
/* their page, exclusively locked, to widen them in the record that appends it */
extern Buffer vk_summary_lock(Relation index, const struct VkIndex *vk,
							  uint32 number, const VkSlot *slot);
/* those of an unused slot: as of a list without rows */
extern void vk_summary_empty(Relation index, const struct VkIndex *vk,
							 uint32 number, const VkSlot *slot);
/* pages: the first slot on the page of a slot; a new page; a slot's place */
extern uint32 vk_summary_first(const struct VkIndex *vk, uint32 number);
extern void vk_summary_page_init(const struct VkIndex *vk, Page page,
								 uint32 first);
extern VkSummary *vk_summary_on_page(const struct VkIndex *vk, Page page,
									 uint32 number);

#endif							/* VK_ATTRIBUTES_H */
