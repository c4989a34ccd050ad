/*-------------------------------------------------------------------------
 *
 * clauses.c
 *	  Conditions of a query that one of our indexes can answer.
 *
 * NOTES
 *	  Core matches "column operator value" to the operators of an index's
 *	  families, and so finds attribute conditions and explicit spheres.  It
 *	  cannot find "distance < radius", where the column is two levels down, nor
 *	  NOT IN; and before version 16 no bare boolean column of a family that is
 *	  not its own.
 *	  A path with a range must be built whole, so everything that core finds is
 *	  found here once more, by the same tests (match_clause_to_indexcol).
 *
 *	  A range becomes "column <sphere operator> vk_sphere(center, radius,
 *	  exact)".  The sphere operator compares as the condition does, bit for
 *	  bit, so nothing need be checked again above the scan.
 *
 * IDENTIFICATION
 *	  src/am/clauses.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/nbtree.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "am/am.h"
#include "am/clauses.h"

/* a longer array is no list of conditions */
#define MOST_ELEMENTS	100

Relids
vk_joined_relids(const RelOptInfo *rel)
{
	return rel->top_parent_relids != NULL ? rel->top_parent_relids : rel->relids;
}

bool
vk_is_nullable(const PlannerInfo *root, const RelOptInfo *rel)
{
	Relids		table = vk_joined_relids(rel);
	ListCell   *cell;

	foreach(cell, root->join_info_list)
	{
		SpecialJoinInfo *join = lfirst_node(SpecialJoinInfo, cell);

		if (((join->jointype == JOIN_LEFT || join->jointype == JOIN_ANTI ||
			  join->jointype == JOIN_FULL) &&
			 bms_overlap(table, join->syn_righthand)) ||
			(join->jointype == JOIN_FULL && bms_overlap(table, join->syn_lefthand)))
			return true;
	}
	return false;
}

/* index columns without collation match any */
static bool
collation_agrees(IndexOptInfo *index, int column, Oid collation)
{
	return !OidIsValid(index->indexcollations[column]) ||
		index->indexcollations[column] == collation;
}

/* can the index column be compared with this, once a scan? */
static bool
is_comparand(PlannerInfo *root, IndexOptInfo *index, Node *node)
{
	return !bms_is_member(index->rel->relid, pull_varnos(root, node)) &&
		!contain_volatile_functions(node);
}

/*
 * match_sides -- is one of two operands the column, the other a comparand?
 *
 * *commuted: it is the right one.
 */
static bool
match_sides(PlannerInfo *root, IndexOptInfo *index, int column,
			List *operands, bool *commuted)
{
	Node	   *left = linitial(operands);
	Node	   *right = lsecond(operands);

	*commuted = !match_index_to_operand(left, column, index);
	if (!*commuted)
		return is_comparand(root, index, right);
	return match_index_to_operand(right, column, index) &&
		is_comparand(root, index, left);
}

bool
vk_distance_match(PlannerInfo *root, IndexOptInfo *index, Node *expression,
				  VkDistance *distance)
{
	OpExpr	   *op = (OpExpr *) expression;
	bool		commuted;

	if (!IsA(expression, OpExpr) || list_length(op->args) != 2 ||
		op->opresulttype != FLOAT8OID ||
		!collation_agrees(index, 0, op->inputcollid) ||
		!match_sides(root, index, 0, op->args, &commuted))
		return false;

	distance->operator = commuted ? get_commutator(op->opno) : op->opno;
	distance->operand = commuted ? lsecond(op->args) : linitial(op->args);
	distance->center = commuted ? linitial(op->args) : lsecond(op->args);
	return OidIsValid(distance->operator) &&
		OidIsValid(get_op_opfamily_sortfamily(distance->operator,
											  index->opfamily[0]));
}

/*
 * comparison_strategy -- btree strategy of "distance operator radius" in the
 * family that distances are sorted by, 0 if none
 */
static int
comparison_strategy(IndexOptInfo *index, Oid distance_operator, Oid operator,
					bool commuted)
{
	Oid			family = get_op_opfamily_sortfamily(distance_operator,
													index->opfamily[0]);
	int			strategy = get_op_opfamily_strategy(operator, family);

	if (strategy == 0)
		return 0;
	return commuted ? BTCommuteStrategyNumber(strategy) : strategy;
}

/* a radius as float8; NULL where it is nothing like that */
static Expr *
coerce_radius(PlannerInfo *root, Expr *radius)
{
	Oid			type = exprType((Node *) radius);

	if (type == FLOAT8OID)
		return radius;
	if (type != FLOAT4OID)
		return NULL;
	radius = (Expr *) makeFuncExpr(F_FLOAT8_FLOAT4, FLOAT8OID,
								   list_make1(radius), InvalidOid, InvalidOid,
								   COERCE_IMPLICIT_CAST);
	return (Expr *) eval_const_expressions(root, (Node *) radius);
}

/* the sphere operator of an index's family with a strategy, if it has one */
static Oid
sphere_operator(IndexOptInfo *index, int strategy)
{
	Oid			type = index->opcintype[0];
	Oid			maker = get_opfamily_proc(index->opfamily[0], type, type,
										  VK_PROC_SPHERE);

	if (!OidIsValid(maker))
		return InvalidOid;
	return get_opfamily_member(index->opfamily[0], type,
							   get_func_rettype(maker), strategy);
}

/*
 * match_range -- "distance < radius" and its like
 */
static bool
match_range(PlannerInfo *root, IndexOptInfo *index, Expr *condition,
			VkClause *clause)
{
	OpExpr	   *op = (OpExpr *) condition;
	Expr	   *radius;
	Oid			within;
	bool		commuted;
	int			strategy;

	if (vk_range_pushdown == VK_RANGE_OFF || !IsA(op, OpExpr) ||
		list_length(op->args) != 2)
		return false;

	commuted = !vk_distance_match(root, index, linitial(op->args),
								  &clause->distance);
	if (commuted && !vk_distance_match(root, index, lsecond(op->args),
									   &clause->distance))
		return false;

	radius = commuted ? linitial(op->args) : lsecond(op->args);
	if (!is_comparand(root, index, (Node *) radius))
		return false;

	strategy = comparison_strategy(index, clause->distance.operator, op->opno,
								   commuted);
	if (strategy != BTLessStrategyNumber && strategy != BTLessEqualStrategyNumber)
		return false;

	radius = coerce_radius(root, radius);
	within = sphere_operator(index, strategy == BTLessStrategyNumber ?
							 VK_STRATEGY_WITHIN : VK_STRATEGY_WITHIN_EQUAL);
	if (radius == NULL || !OidIsValid(within))
		return false;

	clause->range = true;
	clause->radius = radius;
	clause->within = within;
	clause->beyond_core = true;
	return true;
}

static bool
match_operator(PlannerInfo *root, IndexOptInfo *index, RestrictInfo *rinfo,
			   VkClause *clause)
{
	OpExpr	   *op = (OpExpr *) rinfo->clause;
	Oid			operator;
	bool		commuted;

	if (!IsA(op, OpExpr) || list_length(op->args) != 2 ||
		!collation_agrees(index, clause->column, op->inputcollid) ||
		!match_sides(root, index, clause->column, op->args, &commuted))
		return false;

	operator = commuted ? get_commutator(op->opno) : op->opno;
	if (!OidIsValid(operator) ||
		!op_in_opfamily(operator, index->opfamily[clause->column]))
		return false;
	clause->quals = list_make1(commuted ? commute_restrictinfo(rinfo, operator) : rinfo);
	return true;
}

static bool
match_array(PlannerInfo *root, IndexOptInfo *index, RestrictInfo *rinfo,
			VkClause *clause)
{
	ScalarArrayOpExpr *op = (ScalarArrayOpExpr *) rinfo->clause;

	clause->quals = list_make1(rinfo);
	return IsA(op, ScalarArrayOpExpr) && op->useOr && index->amsearcharray &&
		collation_agrees(index, clause->column, op->inputcollid) &&
		match_index_to_operand(linitial(op->args), clause->column, index) &&
		is_comparand(root, index, lsecond(op->args)) &&
		op_in_opfamily(op->opno, index->opfamily[clause->column]);
}

/* column <operator> each element of a constant array */
static List *
quals_of_elements(PlannerInfo *root, const ScalarArrayOpExpr *op, ArrayType *array)
{
	Oid			type = ARR_ELEMTYPE(array);
	List	   *quals = NIL;
	int16		length;
	bool		by_value;
	char		align;
	Datum	   *values;
	bool	   *isnull;
	int			count;

	get_typlenbyvalalign(type, &length, &by_value, &align);
	deconstruct_array(array, type, length, by_value, align, &values, &isnull, &count);
	for (int i = 0; i < count; i++)
	{
		Expr	   *element = (Expr *)
			makeConst(type, -1, op->inputcollid, length, values[i], isnull[i], by_value);

		quals = lappend(quals, make_simple_restrictinfo(root,
			make_opclause(op->opno, BOOLOID, false, linitial(op->args), element,
						  InvalidOid, op->inputcollid)));
	}
	return quals;
}

/*
 * match_all -- "column <> ALL (constant array)", which NOT IN is, as that many
 * conditions
 *
 * Of an empty array it holds for every row, NULL too: no condition says that.
 */
static bool
match_all(PlannerInfo *root, IndexOptInfo *index, RestrictInfo *rinfo,
		  VkClause *clause)
{
	ScalarArrayOpExpr *op = (ScalarArrayOpExpr *) rinfo->clause;
	Const	   *constant;
	ArrayType  *array;

	if (!IsA(op, ScalarArrayOpExpr) || op->useOr ||
		!IsA(lsecond(op->args), Const) ||
		!collation_agrees(index, clause->column, op->inputcollid) ||
		!match_index_to_operand(linitial(op->args), clause->column, index) ||
		!op_in_opfamily(op->opno, index->opfamily[clause->column]))
		return false;

	constant = lsecond_node(Const, op->args);
	if (constant->constisnull)
		return false;
	array = DatumGetArrayTypeP(constant->constvalue);
	if (ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) > MOST_ELEMENTS)
		return false;
	clause->quals = quals_of_elements(root, op, array);
	clause->beyond_core = true;
	return clause->quals != NIL;
}

static bool
match_null_test(PlannerInfo *root, IndexOptInfo *index, RestrictInfo *rinfo,
				VkClause *clause)
{
	NullTest   *test = (NullTest *) rinfo->clause;

	clause->quals = list_make1(rinfo);
	return IsA(test, NullTest) && !test->argisrow && index->amsearchnulls &&
		match_index_to_operand((Node *) test->arg, clause->column, index);
}

/*
 * match_boolean -- a boolean column as a condition, as "column = constant"
 *
 * Under WHERE a NULL is as good as false, so IS TRUE is "= true".
 */
static bool
match_boolean(PlannerInfo *root, IndexOptInfo *index, RestrictInfo *rinfo,
			  VkClause *clause)
{
	Node	   *node = (Node *) rinfo->clause;
	bool		value = true;

	if (!op_in_opfamily(BooleanEqualOperator, index->opfamily[clause->column]))
		return false;

	if (is_notclause(node))
	{
		value = false;
		node = (Node *) get_notclausearg(node);
	}
	else if (IsA(node, BooleanTest))
	{
		BooleanTest *test = (BooleanTest *) node;

		if (test->booltesttype != IS_TRUE && test->booltesttype != IS_FALSE)
			return false;
		value = test->booltesttype == IS_TRUE;
		node = (Node *) test->arg;
	}
	if (!match_index_to_operand(node, clause->column, index))
		return false;

	clause->quals = list_make1(make_simple_restrictinfo(root,
		make_opclause(BooleanEqualOperator, BOOLOID, false, (Expr *) node,
					  (Expr *) makeBoolConst(value, false),
					  InvalidOid, InvalidOid)));
	clause->beyond_core = true;
	return true;
}

typedef bool (*MatchFunction) (PlannerInfo *root, IndexOptInfo *index,
							   RestrictInfo *rinfo, VkClause *clause);

static const MatchFunction match_functions[] = {
	match_operator, match_array, match_all, match_null_test, match_boolean
};

static bool
match_column(PlannerInfo *root, IndexOptInfo *index, RestrictInfo *rinfo,
			 int column, VkClause *clause)
{
	/* what core asks of any condition for an index, row security included */
	if (rinfo->pseudoconstant ||
		!restriction_is_securely_promotable(rinfo, index->rel))
		return false;

	memset(clause, 0, sizeof(VkClause));
	clause->rinfo = rinfo;
	clause->column = column;
	if (column == 0 && match_range(root, index, rinfo->clause, clause))
		return true;
	for (size_t i = 0; i < lengthof(match_functions); i++)
		if (match_functions[i] (root, index, rinfo, clause))
			return true;
	return false;
}

List *
vk_clauses_match(PlannerInfo *root, IndexOptInfo *index, List *rinfos)
{
	List	   *clauses = NIL;

	for (int column = 0; column < index->nkeycolumns; column++)
	{
		ListCell   *cell;

		foreach(cell, rinfos)
		{
			VkClause	clause;

			if (match_column(root, index, lfirst_node(RestrictInfo, cell),
							 column, &clause))
			{
				VkClause   *copy = palloc(sizeof(VkClause));

				*copy = clause;
				clauses = lappend(clauses, copy);
			}
		}
	}
	return clauses;
}

bool
vk_clause_is_range(PlannerInfo *root, IndexOptInfo *index, RestrictInfo *rinfo)
{
	VkClause	clause;

	return match_column(root, index, rinfo, 0, &clause) && clause.range;
}

/* what the index is asked instead of a range */
static Expr *
make_sphere(IndexOptInfo *index, const VkClause *clause, bool exact)
{
	Oid			type = index->opcintype[0];
	Oid			maker = get_opfamily_proc(index->opfamily[0], type, type,
										  VK_PROC_SPHERE);
	Expr	   *sphere = (Expr *)
		makeFuncExpr(maker, get_func_rettype(maker),
					 list_make3(clause->distance.center, clause->radius,
								makeBoolConst(exact, false)),
					 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);

	return make_opclause(clause->within, BOOLOID, false, clause->distance.operand,
						 sphere, InvalidOid, InvalidOid);
}

List *
vk_clause_quals(PlannerInfo *root, IndexOptInfo *index, VkClause *clause,
				bool exact)
{
	const RestrictInfo *other = clause->spheres[!exact];

	if (!clause->range)
		return clause->quals;
	if (clause->spheres[exact] == NULL)
	{
		RestrictInfo *sphere =
			make_simple_restrictinfo(root, make_sphere(index, clause, exact));

		/* both hold the same rows, and an estimate looks into the index */
		if (other != NULL)
			sphere->norm_selec = other->norm_selec;
		clause->spheres[exact] = sphere;
	}
	return list_make1(clause->spheres[exact]);
}

Expr *
vk_clause_with_spheres(PlannerInfo *root, IndexOptInfo *index, Expr *expression,
					   bool exact)
{
	VkClause	clause = {0};
	List	   *arms = NIL;
	bool		changed = false;
	ListCell   *cell;

	if (!is_orclause(expression) && !is_andclause(expression))
		return match_range(root, index, expression, &clause) ?
			make_sphere(index, &clause, exact) : expression;

	check_stack_depth();
	foreach(cell, ((BoolExpr *) expression)->args)
	{
		Expr	   *arm = vk_clause_with_spheres(root, index, lfirst(cell), exact);

		changed |= arm != lfirst(cell);
		arms = lappend(arms, arm);
	}
	if (!changed)
		return expression;
	return is_orclause(expression) ? make_orclause(arms) : make_andclause(arms);
}
