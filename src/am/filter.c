/*-------------------------------------------------------------------------
 *
 * filter.c
 *	  Conditions of a scan on attribute columns.
 *
 * NOTES
 *	  Every condition, whatever its operator, becomes a set of intervals of
 *	  keys, and all those on one column become one: BETWEEN is one interval, IN
 *	  a set of points.  Blocks and lists are tested against these only.
 *
 * IDENTIFICATION
 *	  src/am/filter.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/stratnum.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

#include "am/am.h"

/* more intervals than these are searched, lane by lane; measured */
#define FEW_INTERVALS(width)	(64 / (width))

/* keys looked for in a list's Bloom filter: more cost what the list would */
#define BLOOM_TRIES			256

/* ---- sets of intervals ---- */

typedef struct IntervalSet
{
	int			count;
	VkInterval *intervals;
} IntervalSet;

/* the keys that a column may have */
static VkInterval
width_range(int width)
{
	VkInterval	range = {VK_KEY_MIN, VK_KEY_MAX};

	if (width < (int) sizeof(VkKey))
	{
		range.low = -((VkKey) 1 << (8 * width - 1));
		range.high = -range.low - 1;
	}
	return range;
}

static IntervalSet
set_create(int capacity)
{
	IntervalSet set;

	set.count = 0;
	set.intervals = MemoryContextAllocHuge(CurrentMemoryContext,
										   Max(capacity, 1) * sizeof(VkInterval));
	return set;
}

static void
set_add(IntervalSet *set, VkKey low, VkKey high)
{
	if (low <= high)
		set->intervals[set->count++] = (VkInterval) {low, high};
}

static int
compare_intervals(const void *a, const void *b)
{
	VkKey		left = ((const VkInterval *) a)->low;
	VkKey		right = ((const VkInterval *) b)->low;

	return (left > right) - (left < right);
}

/* rising, none touching another */
static void
set_normalize(IntervalSet *set)
{
	int			count = 0;

	qsort(set->intervals, set->count, sizeof(VkInterval), compare_intervals);
	for (int i = 0; i < set->count; i++)
	{
		VkInterval	next = set->intervals[i];
		VkInterval *last = &set->intervals[Max(count - 1, 0)];

		if (count > 0 && (last->high == VK_KEY_MAX || next.low <= last->high + 1))
			last->high = Max(last->high, next.high);
		else
			set->intervals[count++] = next;
	}
	set->count = count;
}

/* of two sets in order */
static IntervalSet
set_intersect(const IntervalSet *a, const IntervalSet *b)
{
	IntervalSet both = set_create(a->count + b->count);
	int			i = 0;
	int			j = 0;

	while (i < a->count && j < b->count)
	{
		const VkInterval *x = &a->intervals[i];
		const VkInterval *y = &b->intervals[j];

		set_add(&both, Max(x->low, y->low), Min(x->high, y->high));
		if (x->high < y->high)
			i++;
		else
			j++;
	}
	return both;
}

/* ---- scan keys as sets of intervals ---- */

/* the keys that an operator accepts, seen from its constant */
#define ACCEPTS_LESS	1
#define ACCEPTS_EQUAL	2
#define ACCEPTS_GREATER	4

static const int accepts[VK_STRATEGIES + 1] = {
	[BTLessStrategyNumber] = ACCEPTS_LESS,
	[BTLessEqualStrategyNumber] = ACCEPTS_LESS | ACCEPTS_EQUAL,
	[BTEqualStrategyNumber] = ACCEPTS_EQUAL,
	[BTGreaterEqualStrategyNumber] = ACCEPTS_EQUAL | ACCEPTS_GREATER,
	[BTGreaterStrategyNumber] = ACCEPTS_GREATER,
	[VK_STRATEGY_NOT_EQUAL] = ACCEPTS_LESS | ACCEPTS_GREATER
};

/*
 * Add the keys that `column OPERATOR constant` accepts: at most two intervals.
 *
 * Where the constant is none of the keys, place.above is place.below + 1: then
 * none is equal, and those less than it touch those greater.
 */
static void
add_operator(IntervalSet *set, const VkAttribute *attribute, ScanKey key,
			 Datum constant)
{
	VkInterval	range = width_range(attribute->width);
	int			accepted = accepts[key->sk_strategy];
	VkPlace		place;

	vk_attribute_place(attribute, key->sk_subtype, constant, &place);
	if ((accepted & ACCEPTS_LESS) && place.above > range.low)
		set_add(set, range.low, Min(place.above - 1, range.high));
	if (accepted & ACCEPTS_EQUAL)
		set_add(set, Max(place.above, range.low), Min(place.below, range.high));
	if ((accepted & ACCEPTS_GREATER) && place.below < range.high)
		set_add(set, Max(place.below + 1, range.low), range.high);
}

static IntervalSet
set_of_value(const VkAttribute *attribute, ScanKey key)
{
	IntervalSet set = set_create(2);

	add_operator(&set, attribute, key, key->sk_argument);
	set_normalize(&set);
	return set;
}

/* column OPERATOR ANY (array) */
static IntervalSet
set_of_array(const VkAttribute *attribute, ScanKey key)
{
	ArrayType  *array = DatumGetArrayTypeP(key->sk_argument);
	IntervalSet set;
	int16		length;
	bool		by_value;
	char		align;
	Datum	   *values;
	bool	   *isnull;
	int			count;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align,
					  &values, &isnull, &count);
	set = set_create(2 * count);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!isnull[i])
			add_operator(&set, attribute, key, values[i]);
	}
	set_normalize(&set);
	return set;
}

/* the keys that a scan key accepts; IS NULL accepts none */
static IntervalSet
set_of_key(const VkAttribute *attribute, ScanKey key)
{
	IntervalSet set;

	if (key->sk_flags & SK_SEARCHNOTNULL)
	{
		VkInterval	range = width_range(attribute->width);

		set = set_create(1);
		set_add(&set, range.low, range.high);
		return set;
	}
	if (key->sk_flags & (SK_ISNULL | SK_SEARCHNULL))
		return set_create(0);	/* operators are strict */
	if (key->sk_flags & SK_SEARCHARRAY)
		return set_of_array(attribute, key);
	return set_of_value(attribute, key);
}

/* AND a scan key to what is known of its column */
static void
condition_add(VkCondition *condition, const VkAttribute *attribute, ScanKey key)
{
	IntervalSet before = {condition->count, condition->intervals};
	IntervalSet accepted = set_of_key(attribute, key);

	accepted = set_intersect(&before, &accepted);
	condition->null &= (key->sk_flags & SK_SEARCHNULL) != 0;
	condition->count = accepted.count;
	condition->intervals = accepted.intervals;
}

static VkCondition *
condition_of_column(VkFilter *filter, int column)
{
	VkInterval	range = width_range(filter->vk->attribute[column].width);
	VkCondition *condition;

	for (int i = 0; i < filter->count; i++)
		if (filter->conditions[i].column == column)
			return &filter->conditions[i];

	condition = &filter->conditions[filter->count++];
	condition->column = column;
	condition->null = true;		/* anything, so far */
	condition->count = 1;
	condition->intervals = palloc(sizeof(VkInterval));
	condition->intervals[0] = range;
	return condition;
}

/* nothing more is added: what is to be known of the condition before it is used */
static void
condition_finish(VkFilter *filter, VkCondition *condition)
{
	condition->points = true;
	for (int i = 0; i < condition->count; i++)
		if (condition->intervals[i].low != condition->intervals[i].high)
			condition->points = false;
	if (condition->count == 0 && !condition->null)
		filter->never = true;
}

VkFilter *
vk_filter_create(Relation index, const VkIndex *vk, ScanKey keys, int nkeys)
{
	VkFilter   *filter = palloc0(sizeof(VkFilter));

	filter->vk = vk;
	filter->conditions = palloc(VK_MAX_ATTRIBUTES * sizeof(VkCondition));
	for (int i = 0; i < nkeys; i++)
	{
		int			column = keys[i].sk_attno - 2;
		const VkAttribute *attribute;

		if (column < 0)
			continue;
		if (column >= vk->attributes)
			elog(ERROR, "index \"%s\" has no column %d",
				 RelationGetRelationName(index), column + 2);
		attribute = &vk->attribute[column];
		condition_add(condition_of_column(filter, column), attribute, &keys[i]);
		if (!(keys[i].sk_flags & (SK_SEARCHNULL | SK_SEARCHNOTNULL)))
			filter->recheck |= vk_attribute_hashed(attribute->type);
	}
	if (filter->count == 0)
		return NULL;
	for (int i = 0; i < filter->count; i++)
		condition_finish(filter, &filter->conditions[i]);
	return filter;
}

/* ---- the lanes of a block ---- */

/* a byte a lane, 0 or 1, as a bit a lane */
static inline uint32
lane_bits(const uint8 *lanes)
{
	uint64		half[2];

	memcpy(half, lanes, sizeof(half));
	/* the product's top byte has bit i of byte i */
	return (uint32) (half[0] * UINT64CONST(0x0102040810204080) >> 56) |
		(uint32) (half[1] * UINT64CONST(0x0102040810204080) >> 56) << 8;
}

/*
 * Lanes whose key lies in an interval.  One unsigned comparison does for both
 * ends; compilers make vector instructions of the 4-byte loop.
 */
static uint32
lanes_within(const char *keys, int width, const VkInterval *interval)
{
	uint8		in[VK_LANES];

	if (width == sizeof(int32))
	{
		const uint32 *key = (const uint32 *) keys;
		uint32		low = (uint32) interval->low;
		uint32		span = (uint32) interval->high - low;

		for (int lane = 0; lane < VK_LANES; lane++)
			in[lane] = key[lane] - low <= span;
	}
	else if (width == sizeof(int64))
	{
		const uint64 *key = (const uint64 *) keys;
		uint64		low = (uint64) interval->low;
		uint64		span = (uint64) interval->high - low;

		for (int lane = 0; lane < VK_LANES; lane++)
			in[lane] = key[lane] - low <= span;
	}
	else
	{
		uint128		low = (uint128) interval->low;
		uint128		span = (uint128) interval->high - low;

		for (int lane = 0; lane < VK_LANES; lane++)
			in[lane] = (uint128) vk_key_load(keys + lane * width, width) - low <= span;
	}
	return lane_bits(in);
}

/* the first interval that ends at or after a key; count: there is none */
static int
first_ending_after(const VkCondition *condition, VkKey key)
{
	int			low = 0;
	int			high = condition->count;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (condition->intervals[middle].high < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* those of the given lanes whose key lies in one of many intervals */
static uint32
lanes_searched(const VkCondition *condition, const char *keys, int width,
			   uint32 lanes)
{
	VkInterval	hull = {condition->intervals[0].low,
	condition->intervals[condition->count - 1].high};
	uint32		found = 0;

	for (lanes &= lanes_within(keys, width, &hull); lanes != 0; lanes &= lanes - 1)
	{
		int			lane = pg_rightmost_one_pos32(lanes);
		VkKey		key = vk_key_load(keys + lane * width, width);
		int			i = first_ending_after(condition, key);

		if (condition->intervals[i].low <= key)
			found |= 1U << lane;
	}
	return found;
}

static uint32
condition_lanes(const VkCondition *condition, const VkAttribute *attribute,
				const VkBlockTop *block, uint32 lanes)
{
	const char *keys = (const char *) block + attribute->line * VK_LINE_SIZE;
	uint32		nulls = block->head.nulls[condition->column];
	uint32		found = 0;

	if (condition->null)
		return lanes & nulls;
	lanes &= ~nulls;
	if (condition->count > FEW_INTERVALS(attribute->width))
		return lanes_searched(condition, keys, attribute->width, lanes);
	for (int i = 0; i < condition->count; i++)
		found |= lanes_within(keys, attribute->width, &condition->intervals[i]);
	return lanes & found;
}

uint32
vk_filter_lanes(const VkFilter *filter, const VkBlockTop *block, uint32 lanes)
{
	for (int i = 0; i < filter->count && lanes != 0; i++)
	{
		const VkCondition *condition = &filter->conditions[i];

		lanes = condition_lanes(condition,
								&filter->vk->attribute[condition->column],
								block, lanes);
	}
	return lanes;
}

/* ---- the rows of a list ---- */

static bool
condition_list(const VkCondition *condition, const VkSummary *summary)
{
	VkKey		least = vk_stored_key(&summary->least);
	VkKey		greatest = vk_stored_key(&summary->greatest);
	int			first;

	if (condition->null)
		return summary->nulls != 0;
	if (least > greatest)
		return false;

	first = first_ending_after(condition, least);
	for (int i = first; i < condition->count; i++)
	{
		const VkInterval *interval = &condition->intervals[i];

		if (interval->low > greatest)
			break;
		if (interval->low != interval->high || i - first >= BLOOM_TRIES ||
			vk_summary_has_key(summary, interval->low))
			return true;
	}
	return false;
}

bool
vk_filter_list(const VkFilter *filter, const VkSummary *summaries)
{
	for (int i = 0; i < filter->count; i++)
		if (!condition_list(&filter->conditions[i],
							&summaries[filter->conditions[i].column]))
			return false;
	return true;
}
