/*-------------------------------------------------------------------------
 *
 * selectivity.c
 *	  How many rows lie within a sphere: estimators of the sphere operators.
 *
 * IDENTIFICATION
 *	  src/am/selectivity.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include <math.h>

#include "access/genam.h"
#include "access/parallel.h"
#include "access/xact.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/selfuncs.h"

#include "am/am.h"
#include "types/sphere.h"

PG_FUNCTION_INFO_V1(vk_sphere_sel);
PG_FUNCTION_INFO_V1(vk_sphere_joinsel);

/* share of the rows, where nothing is known: users ask for few */
#define DEFAULT_WITHIN	0.002

/*
 * is_secured -- are some rows of a relation not for the user to know of?
 *
 * Then no estimate may tell how many there are.
 */
static bool
is_secured(PlannerInfo *root, Index relid)
{
	/* of an inheritance tree, only the top has its conditions */
	while (root->append_rel_array != NULL && root->append_rel_array[relid] != NULL &&
		   root->append_rel_array[relid]->parent_reloid != InvalidOid)
		relid = root->append_rel_array[relid]->parent_relid;
	return planner_rt_fetch(relid, root)->securityQuals != NIL;
}

/*
 * open_index -- an index of ours on the column that is compared, for the metric
 * of the operator; NULL: there is none that can be looked into
 */
static Relation
open_index(PlannerInfo *root, Node *column, Oid operator)
{
	Relids		relids = pull_varnos(root, column);
	RelOptInfo *rel;
	ListCell   *cell;
	int			relid;

	if (!bms_get_singleton_member(relids, &relid) ||
		relid >= root->simple_rel_array_size)
		return NULL;
	rel = root->simple_rel_array[relid];
	if (rel == NULL || is_secured(root, relid))
		return NULL;
	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *info = lfirst_node(IndexOptInfo, cell);

		if (info->amcostestimate == (void *) vk_costestimate &&
			!info->hypothetical && info->indpred == NIL &&
			op_in_opfamily(operator, info->opfamily[0]) &&
			match_index_to_operand(column, 0, info))
			return index_open(info->indexoid, NoLock);
	}
	return NULL;
}

/*
 * estimate_within -- vk_estimate_within of an index that may be damaged
 *
 * A query that is only planned must not fail for it: there is a warning, and
 * the share that is assumed where nothing is known.  What the look into the
 * index holds when it fails is released with a subtransaction, which parallel
 * processes cannot have.
 */
static double
estimate_within(Relation index, const float *vector, double radius)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile damage = NULL;
	volatile double share = DEFAULT_WITHIN;

	if (IsInParallelMode())
		return share;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		share = vk_estimate_within(index, vector, radius);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		damage = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;

	if (damage == NULL)
		return share;
	if (damage->sqlerrcode != ERRCODE_INDEX_CORRUPTED &&
		damage->sqlerrcode != ERRCODE_DATA_CORRUPTED)
		ReThrowError(damage);
	ereport(WARNING,
			(errcode(damage->sqlerrcode),
			 errmsg_internal("%s", damage->message),
			 damage->detail ? errdetail_internal("%s", damage->detail) : 0,
			 errhint("Please REINDEX it.")));
	return share;
}

/* a vector of the wrong length is an error when the query runs, not before */
static double
share_within(Relation index, const VkSphere *sphere)
{
	const VkLayout *layout = vk_support(index)->layout;
	Datum		center = PointerGetDatum(PG_DETOAST_DATUM(sphere->center));
	VkMeta		meta;

	if (!vk_meta_peek(index, &meta) || layout->dim(center) != meta.dim ||
		isnan(sphere->radius))
		return DEFAULT_WITHIN;
	return estimate_within(index,
						   layout->floats(center, palloc(sizeof(float) * meta.dim)),
						   sphere->radius);
}

/* a constant sphere, of the operator's type; NULL: there is none */
static const Const *
constant_sphere(PlannerInfo *root, Node *argument, Oid vector_type, Oid sphere_type)
{
	Node	   *sphere = estimate_expression_value(root, argument);

	/* an element of an array may be of a domain */
	if (!IsA(sphere, Const) ||
		getBaseType(((Const *) sphere)->consttype) != sphere_type ||
		!vk_is_sphere(sphere_type, vector_type))
		return NULL;
	return (const Const *) sphere;
}

/*
 * restrict estimator: "vector operator sphere"
 *
 * Other operators may be declared to have it, too.
 */
Datum
vk_sphere_sel(PG_FUNCTION_ARGS)
{
	PlannerInfo *root = (PlannerInfo *) PG_GETARG_POINTER(0);
	List	   *args = (List *) PG_GETARG_POINTER(2);
	Oid			operator = PG_GETARG_OID(1);
	const Const *sphere;
	Relation	index;
	VkSphere	value;
	Oid			vector_type,
				sphere_type;
	double		share = DEFAULT_WITHIN;

	if (list_length(args) != 2)
		PG_RETURN_FLOAT8(share);
	op_input_types(operator, &vector_type, &sphere_type);
	sphere = constant_sphere(root, lsecond(args), vector_type, sphere_type);
	if (sphere == NULL)
		PG_RETURN_FLOAT8(share);
	if (sphere->constisnull ||
		!vk_sphere_read(sphere->constvalue, vector_type, &value))
		PG_RETURN_FLOAT8(0.0);
	index = open_index(root, linitial(args), operator);
	if (index != NULL)
	{
		share = share_within(index, &value);
		index_close(index, NoLock);
	}
	PG_RETURN_FLOAT8(share);
}

/*
 * join estimator: the sphere is that of another relation's row
 */
Datum
vk_sphere_joinsel(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(DEFAULT_WITHIN);
}
