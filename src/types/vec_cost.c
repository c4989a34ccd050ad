/*-------------------------------------------------------------------------
 *
 * vec_cost.c
 *	  What a distance costs, for the planner.
 *
 * NOTES
 *	  A sequential scan that sorts by distance reads every vector, and vectors
 *	  of more than about 500 dimensions lie in the TOAST table, whose pages the
 *	  planner does not count.  Told nothing, it takes a scan of seconds for
 *	  cheaper than an index scan of milliseconds.
 *
 * IDENTIFICATION
 *	  src/types/vec_cost.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heaptoast.h"
#include "catalog/pg_attribute.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/syscache.h"

#include "types/vec.h"

/* a distance, in units of cpu_operator_cost: the call, and the elements */
#define DISTANCE_OPERATORS	25
#define ELEMENTS_AN_OPERATOR	16

/* finding and joining the chunks of one value, in units of cpu_tuple_cost */
#define DETOAST_TUPLES	100

double
vec_toasted_bytes(Oid table, AttrNumber column, double bytes)
{
	HeapTuple	tuple;
	bool		inline_only;

	if (bytes <= TOAST_TUPLE_TARGET)
		return 0;
	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(table),
							Int16GetDatum(column));
	if (!HeapTupleIsValid(tuple))
		return 0;
	inline_only = ((Form_pg_attribute) GETSTRUCT(tuple))->attstorage == TYPSTORAGE_PLAIN;
	ReleaseSysCache(tuple);
	return inline_only ? 0 : bytes;
}

Cost
vec_detoast_cost(double bytes, double page_cost)
{
	return bytes > 0 ? bytes / BLCKSZ * page_cost + DETOAST_TUPLES * cpu_tuple_cost : 0;
}

Cost
vec_distance_cost(int dim)
{
	int			operators = DISTANCE_OPERATORS + dim / ELEMENTS_AN_OPERATOR;

	return operators * cpu_operator_cost;
}

/*
 * column_cost -- what a column adds to the cost of a distance
 */
static Cost
column_cost(PlannerInfo *root, const VecType *type, const Var *var)
{
	int			dim = Max(var->vartypmod, 0);
	int			operators = dim / ELEMENTS_AN_OPERATOR;
	Cost		cost = operators * cpu_operator_cost;
	RangeTblEntry *rte;

	if (root == NULL || var->varlevelsup != 0 || var->varno <= 0 ||
		IS_SPECIAL_VARNO(var->varno))
		return cost;
	rte = planner_rt_fetch(var->varno, root);
	if (rte->rtekind != RTE_RELATION)
		return cost;
	return cost +
		vec_detoast_cost(vec_toasted_bytes(rte->relid, var->varattno,
										   vec_size(type, dim)),
						 seq_page_cost);
}

static List *
call_arguments(Node *node)
{
	if (node == NULL)
		return NIL;
	if (IsA(node, FuncExpr))
		return ((FuncExpr *) node)->args;
	if (IsA(node, OpExpr))
		return ((OpExpr *) node)->args;
	return NIL;
}

/*
 * Planner support of the distance functions of a type: SupportRequestCost.
 */
static Datum
vec_distance_support(FunctionCallInfo fcinfo, const VecType *type)
{
	Node	   *raw = (Node *) PG_GETARG_POINTER(0);
	SupportRequestCost *request;
	ListCell   *cell;

	if (!IsA(raw, SupportRequestCost))
		PG_RETURN_POINTER(NULL);
	request = (SupportRequestCost *) raw;
	request->startup = 0;
	request->per_tuple = DISTANCE_OPERATORS * cpu_operator_cost;
	foreach(cell, call_arguments(request->node))
	{
		Node	   *argument = lfirst(cell);

		if (IsA(argument, Var))
			request->per_tuple += column_cost(request->root, type, (Var *) argument);
	}
	PG_RETURN_POINTER(request);
}

#define VEC_SUPPORT(type, element) \
	VEC_FUNCTION(type, element, distance_support)

VEC_TYPES(VEC_SUPPORT)
