/*-------------------------------------------------------------------------
 *
 * attribute_types.c
 *	  Types that attribute columns may have, and their values as keys.
 *
 * NOTES
 *	  Everything that depends on a type is in the two tables: types, by the
 *	  input type of the operator class, and the pairs of types that operators
 *	  may compare besides a type with itself.
 *
 * IDENTIFICATION
 *	  src/am/attribute_types.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include <math.h>

#include "access/stratnum.h"
#include "catalog/pg_type_d.h"
#include "utils/date.h"
#include "utils/float.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

#include "am/am.h"

struct VkAttributeType
{
	Oid			type;			/* input type of the operator class */
	int			width;			/* bytes of a key */
	uint32		strategies;		/* bit s: there is an operator of strategy s */
	bool		hashed;			/* unequal values may have equal keys */
	VkKey		(*key) (const VkAttribute *attribute, Datum value);
};

/* a column of type left compared with a constant of type right */
typedef struct TypePair
{
	Oid			left;
	Oid			right;
	void		(*place) (Datum value, VkPlace *place);
} TypePair;

#define EQUAL		(1 << BTEqualStrategyNumber)
#define UNEQUAL		(1 << VK_STRATEGY_NOT_EQUAL)
#define ORDERED		(EQUAL | UNEQUAL | \
					 1 << BTLessStrategyNumber | \
					 1 << BTLessEqualStrategyNumber | \
					 1 << BTGreaterEqualStrategyNumber | \
					 1 << BTGreaterStrategyNumber)

/* ---- values as keys ---- */

static VkKey
key_bool(const VkAttribute *attribute, Datum value)
{
	return DatumGetBool(value);
}

/* "char" is ordered as unsigned bytes are */
static VkKey
key_char(const VkAttribute *attribute, Datum value)
{
	return (uint8) DatumGetChar(value);
}

static VkKey
key_int16(const VkAttribute *attribute, Datum value)
{
	return DatumGetInt16(value);
}

static VkKey
key_int32(const VkAttribute *attribute, Datum value)
{
	return DatumGetInt32(value);
}

static VkKey
key_int64(const VkAttribute *attribute, Datum value)
{
	return DatumGetInt64(value);
}

/* unsigned, moved into the range of the signed integers of that width */
static VkKey
key_oid(const VkAttribute *attribute, Datum value)
{
	return (VkKey) DatumGetObjectId(value) + PG_INT32_MIN;
}

/*
 * The bits of a number at or above zero rise with it; those below zero fall,
 * so they are turned over.  Infinity and NaN are where they belong by their
 * bits, once all NaN have the same ones.
 */
static VkKey
float_key(float4 number)
{
	union
	{
		float4		number;
		int32		bits;
	}			u;

	u.number = number == 0 ? 0 : isnan(number) ? get_float4_nan() : number;
	return u.bits < 0 ? u.bits ^ PG_INT32_MAX : u.bits;
}

static VkKey
double_key(float8 number)
{
	union
	{
		float8		number;
		int64		bits;
	}			u;

	u.number = number == 0 ? 0 : isnan(number) ? get_float8_nan() : number;
	return u.bits < 0 ? u.bits ^ PG_INT64_MAX : u.bits;
}

static VkKey
key_float4(const VkAttribute *attribute, Datum value)
{
	return float_key(DatumGetFloat4(value));
}

static VkKey
key_float8(const VkAttribute *attribute, Datum value)
{
	return double_key(DatumGetFloat8(value));
}

/* ordered as unsigned numbers, most significant byte first, are */
static VkKey
key_uuid(const VkAttribute *attribute, Datum value)
{
	const pg_uuid_t *uuid = DatumGetUUIDP(value);
	uint128		number = 0;

	for (int i = 0; i < UUID_LEN; i++)
		number = number << 8 | uuid->data[i];
	return (VkKey) (number ^ (uint128) 1 << 127);
}

static VkKey
key_hash(const VkAttribute *attribute, Datum value)
{
	TypeCacheEntry *entry = lookup_type_cache(attribute->type->type,
											  TYPECACHE_HASH_PROC_FINFO);

	return DatumGetInt32(FunctionCall1Coll(&entry->hash_proc_finfo,
										   attribute->collation, value));
}

static const VkAttributeType types[] = {
	{BOOLOID, 4, ORDERED, false, key_bool},
	{CHAROID, 4, ORDERED, false, key_char},
	{INT2OID, 4, ORDERED, false, key_int16},
	{INT4OID, 4, ORDERED, false, key_int32},
	{INT8OID, 8, ORDERED, false, key_int64},
	{FLOAT4OID, 4, ORDERED, false, key_float4},
	{FLOAT8OID, 8, ORDERED, false, key_float8},
	{DATEOID, 4, ORDERED, false, key_int32},
	{TIMEOID, 8, ORDERED, false, key_int64},
	{TIMESTAMPOID, 8, ORDERED, false, key_int64},
	{TIMESTAMPTZOID, 8, ORDERED, false, key_int64},
	{UUIDOID, 16, ORDERED, false, key_uuid},
	{OIDOID, 4, ORDERED, false, key_oid},
	/* an enum's order is in the catalogs and may change */
	{ANYENUMOID, 4, EQUAL | UNEQUAL, false, key_oid},
	{TEXTOID, 4, EQUAL, true, key_hash},
	{BPCHAROID, 4, EQUAL, true, key_hash},
	{NUMERICOID, 4, EQUAL, true, key_hash},
	{BYTEAOID, 4, EQUAL, true, key_hash}
};

/* ---- constants of another type ---- */

static void
place_at(VkPlace *place, VkKey key)
{
	place->below = place->above = key;
}

static void
place_int16(Datum value, VkPlace *place)
{
	place_at(place, DatumGetInt16(value));
}

static void
place_int32(Datum value, VkPlace *place)
{
	place_at(place, DatumGetInt32(value));
}

static void
place_int64(Datum value, VkPlace *place)
{
	place_at(place, DatumGetInt64(value));
}

static void
place_float4_in_float8(Datum value, VkPlace *place)
{
	place_at(place, double_key((float8) DatumGetFloat4(value)));
}

/*
 * Between a number and what it is rounded to there is no other float4, so its
 * place is that key, or between it and the next key on its other side.  (Too
 * large a number is rounded to infinity, which is above it as it should be.)
 */
static void
place_float8_in_float4(Datum value, VkPlace *place)
{
	float8		number = DatumGetFloat8(value);
	float4		rounded = (float4) number;

	place_at(place, float_key(rounded));
	if ((float8) rounded > number)
		place->below--;
	else if ((float8) rounded < number)
		place->above++;
}

static void
place_timestamp_in_date(Datum value, VkPlace *place)
{
	Timestamp	timestamp = DatumGetTimestamp(value);
	int64		day;

	if (TIMESTAMP_IS_NOBEGIN(timestamp))
		place_at(place, DATEVAL_NOBEGIN);
	else if (TIMESTAMP_IS_NOEND(timestamp))
		place_at(place, DATEVAL_NOEND);
	else
	{
		day = timestamp / USECS_PER_DAY;
		if (timestamp % USECS_PER_DAY < 0)
			day--;
		place->below = day;
		place->above = day + (timestamp % USECS_PER_DAY != 0);
	}
}

static void
place_date_in_timestamp(Datum value, VkPlace *place)
{
	DateADT		date = DatumGetDateADT(value);
	VkKey		midnight = (VkKey) date * USECS_PER_DAY;

	if (DATE_IS_NOBEGIN(date))
		place_at(place, DT_NOBEGIN);
	else if (DATE_IS_NOEND(date))
		place_at(place, DT_NOEND);
	else if (midnight < END_TIMESTAMP)
		place_at(place, midnight);
	else
	{
		/* after every timestamp but infinity */
		place->below = DT_NOEND - 1;
		place->above = DT_NOEND;
	}
}

static const TypePair pairs[] = {
	{INT2OID, INT4OID, place_int32},
	{INT2OID, INT8OID, place_int64},
	{INT4OID, INT2OID, place_int16},
	{INT4OID, INT8OID, place_int64},
	{INT8OID, INT2OID, place_int16},
	{INT8OID, INT4OID, place_int32},
	{FLOAT4OID, FLOAT8OID, place_float8_in_float4},
	{FLOAT8OID, FLOAT4OID, place_float4_in_float8},
	{DATEOID, TIMESTAMPOID, place_timestamp_in_date},
	{TIMESTAMPOID, DATEOID, place_date_in_timestamp}
};

static const TypePair *
find_pair(Oid left, Oid right)
{
	for (int i = 0; i < (int) lengthof(pairs); i++)
		if (pairs[i].left == left && pairs[i].right == right)
			return &pairs[i];
	return NULL;
}

/* ---- what the other files ask ---- */

const VkAttributeType *
vk_attribute_type(Oid type)
{
	for (int i = 0; i < (int) lengthof(types); i++)
		if (types[i].type == type)
			return &types[i];
	return NULL;
}

int
vk_attribute_width(const VkAttributeType *type)
{
	return type->width;
}

bool
vk_attribute_hashed(const VkAttributeType *type)
{
	return type->hashed;
}

uint32
vk_attribute_strategies(const VkAttributeType *type, Oid right)
{
	if (right == type->type || find_pair(type->type, right) != NULL)
		return type->strategies;
	return 0;
}

VkKey
vk_attribute_key(const VkAttribute *attribute, Datum value)
{
	return attribute->type->key(attribute, value);
}

void
vk_attribute_place(const VkAttribute *attribute, Oid right, Datum value,
				   VkPlace *place)
{
	const VkAttributeType *type = attribute->type;
	const TypePair *pair;

	if (!OidIsValid(right) || right == type->type)
	{
		place_at(place, type->key(attribute, value));
		return;
	}
	pair = find_pair(type->type, right);
	if (pair == NULL)
		elog(ERROR, "no comparison of type %u with type %u in an attribute column",
			 type->type, right);
	pair->place(value, place);
}
