/*-------------------------------------------------------------------------
 *
 * f32vec_cost.c
 *	  What a distance costs, for the planner.
 *
 * NOTES
 *	  A sequential scan that sorts by distance reads every vector, and vectors
 *	  of more than about 500 dimensions lie in the TOAST table, whose pages the
 *	  planner does not count.  Told nothing, it takes a scan of seconds for
 *	  cheaper than an index scan of milliseconds.
 *
 * IDENTIFICATION
 *	  src/types/f32vec_cost.c
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

#include "types/f32vec.h"

/* a distance, in units of cpu_operator_cost: the COST of the SQL functions */
#define DISTANCE_OPERATORS	10

/* finding and joining the chunks of one value, in units of cpu_tuple_cost */
#define DETOAST_TUPLES	50

/* bytes of a column's vectors that are stored out of line; 0: in the row */
static double
toasted_bytes(PlannerInfo *root, const Var *var)
{
	double		bytes = offsetof(F32Vec, x) +
		Max(var->vartypmod, 0) * sizeof(float);
	RangeTblEntry *rte;
	HeapTuple	tuple;
	bool		inline_only;

	if (root == NULL || var->varlevelsup != 0 || bytes <= TOAST_TUPLE_TARGET ||
		var->varno <= 0 || IS_SPECIAL_VARNO(var->varno))
		return 0;
	rte = planner_rt_fetch(var->varno, root);
	if (rte->rtekind != RTE_RELATION)
		return 0;
	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(rte->relid),
							Int16GetDatum(var->varattno));
	if (!HeapTupleIsValid(tuple))
		return 0;
	inline_only = ((Form_pg_attribute) GETSTRUCT(tuple))->attstorage == TYPSTORAGE_PLAIN;
	ReleaseSysCache(tuple);
	return inline_only ? 0 : bytes;
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
 * Planner support of the distance functions: SupportRequestCost.
 */
PG_FUNCTION_INFO_V1(f32vec_distance_support);
Datum
f32vec_distance_support(PG_FUNCTION_ARGS)
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
		double		bytes = 0;

		if (IsA(argument, Var))
			bytes = toasted_bytes(request->root, (Var *) argument);
		if (bytes > 0)
			request->per_tuple += bytes / BLCKSZ * seq_page_cost +
				DETOAST_TUPLES * cpu_tuple_cost;
	}
	PG_RETURN_POINTER(request);
}
