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
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "types/sphere.h"
#include "types/vec_distance.h"

PG_FUNCTION_INFO_V1(vk_sphere_make);

/* fields of the composite type */
enum
{
	SPHERE_CENTER = 1,
	SPHERE_RADIUS,
	SPHERE_EXACT,
	SPHERE_FIELDS = SPHERE_EXACT
};

/* the owner of the type may have altered it; a dropped attribute has no type */
static bool
has_fields(TupleDesc desc, Oid center)
{
	return desc->natts == SPHERE_FIELDS &&
		TupleDescAttr(desc, SPHERE_CENTER - 1)->atttypid == center &&
		TupleDescAttr(desc, SPHERE_RADIUS - 1)->atttypid == FLOAT8OID &&
		TupleDescAttr(desc, SPHERE_EXACT - 1)->atttypid == BOOLOID;
}

static void
check_fields(TupleDesc desc, Oid center)
{
	if (!has_fields(desc, center))
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
vk_is_sphere(Oid type, Oid center)
{
	TupleDesc	desc;
	bool		sphere;

	if (get_typtype(type) != TYPTYPE_COMPOSITE)
		return false;
	desc = lookup_rowtype_tupdesc(type, -1);
	sphere = has_fields(desc, center);
	ReleaseTupleDesc(desc);
	return sphere;
}

bool
vk_makes_sphere(const Node *expression)
{
	FmgrInfo	function;

	if (!IsA(expression, FuncExpr))
		return false;
	fmgr_info(((const FuncExpr *) expression)->funcid, &function);
	return function.fn_addr == vk_sphere_make;
}

bool
vk_makes_exact_sphere(const Node *expression)
{
	const Const *exact;

	if (!vk_makes_sphere(expression))
		return false;
	exact = llast(((const FuncExpr *) expression)->args);
	return IsA(exact, Const) && exact->consttype == BOOLOID && !exact->constisnull &&
		DatumGetBool(exact->constvalue);
}

bool
vk_sphere_read(Datum sphere, Oid center, VkSphere *out)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(sphere);
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
											  HeapTupleHeaderGetTypMod(header));
	bool		complete;

	check_fields(desc, center);
	complete = read_fields(header, desc, out);
	ReleaseTupleDesc(desc);
	return complete;
}

/*
 * call_site -- row type of a value, looked up once for a call site
 *
 * The first argument of the function that is called is of the vector type.
 */
static VkSphereSite *
call_site(FmgrInfo *flinfo, Oid type, int32 typmod)
{
	VkSphereSite *known = flinfo->fn_extra;
	TupleDesc	desc;
	Oid		   *arguments;
	int			count;
	MemoryContext old;

	if (known != NULL && known->type == type && known->typmod == typmod)
		return known;

	desc = lookup_rowtype_tupdesc(type, typmod);
	get_func_signature(flinfo->fn_oid, &arguments, &count);
	check_fields(desc, arguments[0]);
	old = MemoryContextSwitchTo(flinfo->fn_mcxt);
	known = palloc0(sizeof(VkSphereSite));
	known->type = type;
	known->typmod = typmod;
	known->desc = CreateTupleDescCopy(desc);
	MemoryContextSwitchTo(old);
	ReleaseTupleDesc(desc);

	flinfo->fn_extra = known;
	return known;
}

VkSphereSite *
vk_sphere_argument(FunctionCallInfo fcinfo, int argument, VkSphere *out)
{
	HeapTupleHeader header = PG_GETARG_HEAPTUPLEHEADER(argument);
	VkSphereSite *site = call_site(fcinfo->flinfo,
								   HeapTupleHeaderGetTypeId(header),
								   HeapTupleHeaderGetTypMod(header));

	return read_fields(header, site->desc, out) ? site : NULL;
}

/*
 * vk_sphere(center, radius, exact), for every vector type
 */
Datum
vk_sphere_make(PG_FUNCTION_ARGS)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;
	VkSphereSite *site = flinfo->fn_extra != NULL ? flinfo->fn_extra :
		call_site(flinfo, get_func_rettype(flinfo->fn_oid), -1);
	Datum		values[SPHERE_FIELDS];
	bool		isnull[SPHERE_FIELDS] = {false};

	for (int i = 0; i < SPHERE_FIELDS; i++)
		values[i] = PG_GETARG_DATUM(i);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(site->desc, values, isnull)));
}

/*
 * within -- is a vector within a sphere, as distance_of and float8's operators
 * tell it?
 */
static Datum
within(FunctionCallInfo fcinfo, PGFunction distance_of,
	   bool (*compare) (const float8 distance, const float8 radius))
{
	VkSphere	sphere;
	double		distance;

	if (vk_sphere_argument(fcinfo, 1, &sphere) == NULL)
		PG_RETURN_NULL();
	distance = DatumGetFloat8(DirectFunctionCall2(distance_of,
												  PG_GETARG_DATUM(0),
												  sphere.center));
	PG_RETURN_BOOL(compare(distance, sphere.radius));
}

#define VEC_SPHERES(type, element) \
	VK_SPHERE_FUNCTIONS(type##_l2_within, type##_l2_distance) \
	VK_SPHERE_FUNCTIONS(type##_ip_within, type##_negative_inner_product) \
	VK_SPHERE_FUNCTIONS(type##_cosine_within, type##_cosine_distance) \
	VK_SPHERE_FUNCTIONS(type##_l1_within, type##_l1_distance)

VEC_TYPES(VEC_SPHERES)
