/*-------------------------------------------------------------------------
 *
 * sphere.c
 *	  Spheres of vectors, and which vectors lie within one.
 *
 * NOTES
 *	  "v <<->> vk_sphere(c, r)" is "(v <-> c) < r" as one operator, which an
 *	  index can search by; "<<->>=" is "<=".  The distance comes from the
 *	  function behind <->, so both forms agree to the last bit, NaN included.
 *
 * IDENTIFICATION
 *	  src/types/sphere.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "types/f32vec.h"
#include "types/sphere.h"

PG_FUNCTION_INFO_V1(vk_sphere_make);
PG_FUNCTION_INFO_V1(f32vec_l2_within);
PG_FUNCTION_INFO_V1(f32vec_l2_within_equal);
PG_FUNCTION_INFO_V1(f32vec_ip_within);
PG_FUNCTION_INFO_V1(f32vec_ip_within_equal);
PG_FUNCTION_INFO_V1(f32vec_cosine_within);
PG_FUNCTION_INFO_V1(f32vec_cosine_within_equal);
PG_FUNCTION_INFO_V1(f32vec_l1_within);
PG_FUNCTION_INFO_V1(f32vec_l1_within_equal);

/* fields of the composite type */
enum
{
	SPHERE_CENTER = 1,
	SPHERE_RADIUS,
	SPHERE_EXACT,
	SPHERE_FIELDS = SPHERE_EXACT
};

/* what a call site remembers in fn_extra */
typedef struct SphereType
{
	Oid			type;
	int32		typmod;
	TupleDesc	desc;
} SphereType;

/* the owner of the type may have altered it */
static void
check_fields(TupleDesc desc)
{
	if (desc->natts < SPHERE_FIELDS ||
		TupleDescAttr(desc, SPHERE_RADIUS - 1)->atttypid != FLOAT8OID ||
		TupleDescAttr(desc, SPHERE_EXACT - 1)->atttypid != BOOLOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("type %s is not a type of spheres",
						format_type_be(desc->tdtypeid))));
}

static bool
read_fields(HeapTupleHeader header, TupleDesc desc, VkSphere *out)
{
	HeapTupleData tuple;
	Datum		values[SPHERE_FIELDS];
	bool		isnull;

	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;

	for (int i = 0; i < SPHERE_FIELDS; i++)
	{
		values[i] = heap_getattr(&tuple, i + 1, desc, &isnull);
		if (isnull)
			return false;
	}

	out->center = values[SPHERE_CENTER - 1];
	out->radius = DatumGetFloat8(values[SPHERE_RADIUS - 1]);
	out->exact = DatumGetBool(values[SPHERE_EXACT - 1]);
	return true;
}

bool
vk_sphere_read(Datum sphere, VkSphere *out)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(sphere);
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
											  HeapTupleHeaderGetTypMod(header));
	bool		complete;

	check_fields(desc);
	complete = read_fields(header, desc, out);
	ReleaseTupleDesc(desc);
	return complete;
}

/*
 * call_site_type -- row type of a value, looked up once for a call site
 */
static TupleDesc
call_site_type(FmgrInfo *flinfo, Oid type, int32 typmod)
{
	SphereType *known = flinfo->fn_extra;
	TupleDesc	desc;
	MemoryContext old;

	if (known != NULL && known->type == type && known->typmod == typmod)
		return known->desc;

	desc = lookup_rowtype_tupdesc(type, typmod);
	check_fields(desc);
	old = MemoryContextSwitchTo(flinfo->fn_mcxt);
	known = palloc(sizeof(SphereType));
	known->type = type;
	known->typmod = typmod;
	known->desc = CreateTupleDescCopy(desc);
	MemoryContextSwitchTo(old);
	ReleaseTupleDesc(desc);

	flinfo->fn_extra = known;
	return known->desc;
}

/*
 * vk_sphere(center, radius, exact), for every vector type
 */
Datum
vk_sphere_make(PG_FUNCTION_ARGS)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;
	SphereType *known = flinfo->fn_extra;
	TupleDesc	desc = known != NULL ? known->desc :
		call_site_type(flinfo, get_func_rettype(flinfo->fn_oid), -1);
	Datum		values[SPHERE_FIELDS];
	bool		isnull[SPHERE_FIELDS] = {false};

	for (int i = 0; i < SPHERE_FIELDS; i++)
		values[i] = PG_GETARG_DATUM(i);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, isnull)));
}

/*
 * within -- is a vector within a sphere, as distance_of and float8's operators
 * tell it?
 */
static Datum
within(FunctionCallInfo fcinfo, PGFunction distance_of,
	   bool (*compare) (const float8 distance, const float8 radius))
{
	HeapTupleHeader header = PG_GETARG_HEAPTUPLEHEADER(1);
	TupleDesc	desc = call_site_type(fcinfo->flinfo,
									  HeapTupleHeaderGetTypeId(header),
									  HeapTupleHeaderGetTypMod(header));
	VkSphere	sphere;
	double		distance;

	if (!read_fields(header, desc, &sphere))
		PG_RETURN_NULL();
	distance = DatumGetFloat8(DirectFunctionCall2(distance_of,
												  PG_GETARG_DATUM(0),
												  sphere.center));
	PG_RETURN_BOOL(compare(distance, sphere.radius));
}

Datum
f32vec_l2_within(PG_FUNCTION_ARGS)
{
	return within(fcinfo, f32vec_l2_distance, float8_lt);
}

Datum
f32vec_l2_within_equal(PG_FUNCTION_ARGS)
{
	return within(fcinfo, f32vec_l2_distance, float8_le);
}

Datum
f32vec_ip_within(PG_FUNCTION_ARGS)
{
	return within(fcinfo, f32vec_negative_inner_product, float8_lt);
}

Datum
f32vec_ip_within_equal(PG_FUNCTION_ARGS)
{
	return within(fcinfo, f32vec_negative_inner_product, float8_le);
}

Datum
f32vec_cosine_within(PG_FUNCTION_ARGS)
{
	return within(fcinfo, f32vec_cosine_distance, float8_lt);
}

Datum
f32vec_cosine_within_equal(PG_FUNCTION_ARGS)
{
	return within(fcinfo, f32vec_cosine_distance, float8_le);
}

Datum
f32vec_l1_within(PG_FUNCTION_ARGS)
{
	return within(fcinfo, f32vec_l1_distance, float8_lt);
}

Datum
f32vec_l1_within_equal(PG_FUNCTION_ARGS)
{
	return within(fcinfo, f32vec_l1_distance, float8_le);
}
