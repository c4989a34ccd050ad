/*-------------------------------------------------------------------------
 *
 * refusal_reason.c
 *	  Why an index does not fit a query, as the planner sees the query.
 *
 * NOTES
 *	  Works on what the planner has made of the query: views and sub-selects
 *	  pulled up, SQL functions inlined, constants folded, conditions
 *	  translated for each partition.  Whether an index fits is the planner's
 *	  to say (refusal.c asks it); here is only told what keeps it from fitting.
 *
 * IDENTIFICATION
 *	  src/am/refusal_reason.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_amop.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "rewrite/rewriteManip.h"
#include "utils/catcache.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "am/am.h"
#include "am/clauses.h"
#include "am/refusal.h"

/* what an expression has to do with the distance of an index; best first */
typedef enum DistanceKind
{
	DISTANCE_FITS,				/* operator and column are the index's */
	DISTANCE_OTHER_COLUMN,		/* the column is cast, or part of an expression */
	DISTANCE_FUNCTION,			/* a function is called, not the operator */
	DISTANCE_OTHER_METRIC,		/* an operator of another class of ours */
	DISTANCE_OTHER_TYPE,		/* an operator of the same name, not ours */
	DISTANCE_NONE
} DistanceKind;

/* an index, and what its reasons are made of */
typedef struct Subject
{
	PlannerInfo *root;
	RelOptInfo *rel;
	RangeTblEntry *rte;
	IndexOptInfo *info;
	Oid			operator;		/* its distance operator */
	Bitmapset  *columns;		/* that its first column is made of */
	const char *column;			/* its first column, as SQL */
	const char *distance;		/* as SQL */
} Subject;

/* the distance found in an expression */
typedef struct Distance
{
	const Subject *subject;
	DistanceKind kind;
	Node	   *node;
	Oid			operator;		/* InvalidOid for a function */
	Node	   *vector;			/* what the column is compared with */
} Distance;

/* ---- the index as SQL ---- */

/*
 * index_sql -- an expression of the index, whose Vars are those of rel
 */
static char *
index_sql(const Subject *subject, Node *expression)
{
	Oid			table = subject->rte->relid;
	Node	   *copy = copyObject(expression);

	ChangeVarNodes(copy, subject->rel->relid, 1, 0);
	return deparse_expression(copy, deparse_context_for(get_rel_name(table), table),
							  false, false);
}

static void
describe_column(Subject *subject)
{
	IndexOptInfo *info = subject->info;
	AttrNumber	column = info->indexkeys[0];

	if (column != 0)
	{
		subject->columns = bms_make_singleton(column - FirstLowInvalidHeapAttributeNumber);
		subject->column = get_attname(subject->rte->relid, column, false);
	}
	else
	{
		Node	   *expression = linitial(info->indexprs);

		pull_varattnos(expression, subject->rel->relid, &subject->columns);
		subject->column = psprintf("(%s)", index_sql(subject, expression));
	}
}

static void
describe_index(Subject *subject)
{
	IndexOptInfo *info = subject->info;
	Oid			type = info->opcintype[0];

	subject->operator = get_opfamily_member(info->opfamily[0], type, type,
											VK_STRATEGY_DISTANCE);
	describe_column(subject);
	subject->distance = psprintf("%s %s $1", subject->column,
								 get_opname(subject->operator));
}

/* ---- finding the distance in an expression ---- */

static bool
reads_column(const Subject *subject, Node *node)
{
	Bitmapset  *columns = NULL;

	pull_varattnos(node, subject->rel->relid, &columns);
	return bms_overlap(columns, subject->columns);
}

/*
 * operator_kind -- is the operator the index's, or of another class for the
 * type?
 */
static DistanceKind
operator_kind(const Subject *subject, Oid operator, bool has_column)
{
	const IndexOptInfo *info = subject->info;
	CatCList   *members = SearchSysCacheList1(AMOPOPID, ObjectIdGetDatum(operator));
	DistanceKind kind = DISTANCE_NONE;
	const char *name = get_opname(operator);

	if (name != NULL && strcmp(name, get_opname(subject->operator)) == 0)
		kind = DISTANCE_OTHER_TYPE;
	for (int i = 0; i < members->n_members; i++)
	{
		Form_pg_amop member = (Form_pg_amop) GETSTRUCT(&members->members[i]->tuple);

		if (member->amopfamily == info->opfamily[0])
			kind = has_column ? DISTANCE_FITS : DISTANCE_OTHER_COLUMN;
		else if (member->amopmethod == info->relam &&
				 member->amoplefttype == info->opcintype[0])
			kind = Min(kind, DISTANCE_OTHER_METRIC);
	}
	ReleaseSysCacheList(members);
	return kind;
}

/*
 * consider -- keep a node that is nearer to the index's distance than the last
 */
static void
consider(Distance *found, Node *node, Oid operator, Oid function, List *operands)
{
	const Subject *subject = found->subject;
	DistanceKind kind = DISTANCE_NONE;
	Node	   *vector = NULL;

	if (list_length(operands) != 2 || !reads_column(subject, (Node *) operands))
		return;
	if (match_index_to_operand(linitial(operands), 0, subject->info))
		vector = lsecond(operands);
	else if (match_index_to_operand(lsecond(operands), 0, subject->info))
		vector = linitial(operands);

	if (OidIsValid(operator))
		kind = operator_kind(subject, operator, vector != NULL);
	else if (function == get_opcode(subject->operator))
		kind = DISTANCE_FUNCTION;

	if (kind < found->kind)
	{
		found->kind = kind;
		found->node = node;
		found->operator = operator;
		found->vector = vector;
	}
}

static bool
find_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, OpExpr))
		consider(context, node, ((OpExpr *) node)->opno, InvalidOid,
				 ((OpExpr *) node)->args);
	else if (IsA(node, ScalarArrayOpExpr))
		consider(context, node, ((ScalarArrayOpExpr *) node)->opno, InvalidOid,
				 ((ScalarArrayOpExpr *) node)->args);
	else if (IsA(node, FuncExpr))
		consider(context, node, InvalidOid, ((FuncExpr *) node)->funcid,
				 ((FuncExpr *) node)->args);
	return expression_tree_walker(node, find_walker, context);
}

static Distance
find_distance(const Subject *subject, Node *expression)
{
	Distance	found = {subject, DISTANCE_NONE};

	find_walker(expression, &found);
	return found;
}

/*
 * translate -- an expression of the query, for a partition or other child
 */
static Node *
translate(PlannerInfo *root, Index relid, Node *expression)
{
	AppendRelInfo *child = root->append_rel_array ? root->append_rel_array[relid] : NULL;

	if (child == NULL)
		return expression;
	expression = translate(root, child->parent_relid, expression);
	return adjust_appendrel_attrs(root, expression, 1, &child);
}

/* ---- what is wrong with a distance ---- */

/*
 * kind_reason -- why a distance is not the index's; NULL if it is
 */
static char *
kind_reason(const Subject *subject, const Distance *found)
{
	const char *other = OidIsValid(found->operator) ? get_opname(found->operator) : NULL;
	const char *own = get_opname(subject->operator);

	switch (found->kind)
	{
		case DISTANCE_OTHER_COLUMN:
			return psprintf("the query applies %s to another expression than the index, which is on %s: write %s as it is, without casts or functions that the index does not have, or index the query's expression",
							other, subject->column, subject->column);
		case DISTANCE_FUNCTION:
			return psprintf("the query calls a distance function, and the index knows its operator only: write %s",
							subject->distance);
		case DISTANCE_OTHER_METRIC:
			return psprintf("the query uses %s, but the operator class of the index is for %s: use that, or create an index whose class is for %s",
							other, own, other);
		case DISTANCE_OTHER_TYPE:
			return psprintf("the query's %s is the operator of another type: compare %s, not cast, with a vector of its own type",
							other, subject->column);
		default:
			return NULL;
	}
}

/*
 * vector_reason -- why what the column is compared with (or a radius) cannot
 * be known before the scan; NULL if it can
 */
static char *
vector_reason(const Subject *subject, Node *value, const char *what)
{
	if (contain_volatile_functions(value))
		return psprintf("%s is computed by a volatile function, anew for each row: compute it once, in a sub-select (SELECT ...), or declare the function STABLE if it is",
						what);
	if (bms_is_member(subject->rel->relid, pull_varnos(subject->root, value)))
		return psprintf("%s depends on the row that is searched for: take it from a parameter, or from a sub-select (SELECT ...) of its own",
						what);
	return NULL;
}

/*
 * is_kept -- do the other tables of a condition decide what becomes of each row
 * of this one, so that its rows cannot be looked up by theirs?
 */
static bool
is_kept(const Subject *subject, const RestrictInfo *condition)
{
	Relids		table = vk_joined_relids(subject->rel);
	ListCell   *cell;

	foreach(cell, subject->root->join_info_list)
	{
		SpecialJoinInfo *join = lfirst(cell);

		if (bms_overlap(table, join->syn_lefthand) &&
			bms_overlap(condition->clause_relids, join->syn_righthand))
			return true;
	}
	return false;
}

/* ---- ORDER BY ---- */

/*
 * direction_reason -- why ORDER BY is not the order that the index has
 */
static char *
direction_reason(const Subject *subject, const SortGroupClause *clause, Node *key)
{
	TypeCacheEntry *type = lookup_type_cache(exprType(key), TYPECACHE_LT_OPR);

	if (clause->sortop != type->lt_opr)
		return pstrdup("ORDER BY is not ascending, and an index gives the nearest rows first only: leave DESC out; the farthest rows need a sort");
	if (clause->nulls_first)
		return pstrdup("ORDER BY has NULLS FIRST, and the index gives NULL last: leave that out, and add a query of the rows WHERE the vector IS NULL if you want them");
	return NULL;
}

/*
 * order_reason -- why ORDER BY an expression that holds the distance does not
 * fit; NULL if it does
 */
static char *
order_reason(const Subject *subject, const Distance *found,
			 const SortGroupClause *clause, Node *key, int position)
{
	const Query *parse = subject->root->parse;
	char	   *reason;

	if (position > 0)
		return psprintf("the distance is not the first thing in ORDER BY, it is number %d: order by it alone",
						position + 1);
	if (parse->groupClause || parse->groupingSets || parse->hasAggs ||
		parse->windowClause || parse->distinctClause)
		return pstrdup("GROUP BY, DISTINCT, an aggregate or a window function comes before ORDER BY: put ORDER BY and LIMIT into a sub-select of the plain rows");
	if (vk_is_nullable(subject->root, subject->rel))
		return pstrdup("the table is on the side of an outer join that may be missing, so that its distances are ordered after the join: order and limit it in a sub-select or LATERAL");
	reason = kind_reason(subject, found);
	if (reason != NULL)
		return reason;
	if (found->node != key)
		return psprintf("ORDER BY is an expression around the distance: order by %s itself, and compute the expression in the select list",
						subject->distance);
	reason = vector_reason(subject, found->vector, "the query vector");
	if (reason != NULL)
		return reason;
	if (contain_var_clause(found->vector))
		return pstrdup("the query vector comes from another table of the join: take one vector from a sub-select (SELECT ...), or the nearest rows of each by LATERAL (SELECT ... ORDER BY ... LIMIT ...)");
	return direction_reason(subject, clause, key);
}

/*
 * sight_order -- does ORDER BY have the distance, and does it fit?
 */
static bool
sight_order(const Subject *subject, VkSighting *sighting)
{
	const Query *parse = subject->root->parse;
	ListCell   *cell;

	foreach(cell, parse->sortClause)
	{
		SortGroupClause *clause = lfirst(cell);
		Node	   *key = get_sortgroupclause_expr(clause, parse->targetList);
		Distance	found;

		key = translate(subject->root, subject->rel->relid, key);
		found = find_distance(subject, key);
		if (found.kind == DISTANCE_NONE)
			continue;
		sighting->reason = order_reason(subject, &found, clause, key,
										foreach_current_index(cell));
		sighting->fit = sighting->reason ? VK_FIT_WRONG : VK_FIT_RIGHT;
		sighting->ordered = true;
		sighting->order_lost = vk_is_nullable(subject->root, subject->rel);
		sighting->order_continued = list_length(parse->sortClause) > 1;
		if (sighting->reason == NULL)
			sighting->reason = pstrdup("the order of the index is lost in the rest of the query: put ORDER BY and LIMIT into a sub-select of this table alone");
		return true;
	}
	return false;
}

/* ---- WHERE and JOIN ... ON ---- */

/*
 * is_near_condition -- is it distance < radius, or the like?  Gives the radius.
 */
static bool
is_near_condition(const Distance *found, Node *clause, Node **radius)
{
	OpExpr	   *comparison = (OpExpr *) clause;
	const char *name;
	bool		distance_first;

	if (!IsA(clause, OpExpr) || list_length(comparison->args) != 2)
		return false;
	distance_first = linitial(comparison->args) == found->node;
	if (!distance_first && lsecond(comparison->args) != found->node)
		return false;
	*radius = distance_first ? lsecond(comparison->args) : linitial(comparison->args);
	name = get_opname(comparison->opno);
	return name != NULL &&
		(strcmp(name, distance_first ? "<" : ">") == 0 ||
		 strcmp(name, distance_first ? "<=" : ">=") == 0);
}

static bool
pushdown_is_off(void)
{
	const char *value = GetConfigOption("vkindex.range_pushdown", true, false);

	return value != NULL && strcmp(value, "off") == 0;
}

/*
 * condition_reason -- why a condition that holds the distance does not fit;
 * NULL if it does
 */
static char *
condition_reason(const Subject *subject, const Distance *found, RestrictInfo *condition)
{
	Node	   *clause = (Node *) condition->clause;
	bool		is_sphere = found->node == clause;
	Node	   *radius = NULL;
	char	   *reason = kind_reason(subject, found);

	if (reason != NULL)
		return reason;
	if (is_orclause(clause))
		return pstrdup("the condition on the distance is inside OR, and not every part of the OR is a condition for an index: create an index for the others, or write one SELECT for each part and UNION");
	if (!is_sphere && !is_near_condition(found, clause, &radius))
		return psprintf("the condition on the distance is not of the form %s < radius (or <=): write it as one of its own, outside NOT and expressions",
						subject->distance);
	if (!restriction_is_securely_promotable(condition, subject->rel))
		return pstrdup("under row-level security a condition on the distance is checked after the policy and is not used by an index: add ORDER BY on the distance with LIMIT");
	if (!is_sphere && pushdown_is_off())
		return pstrdup("vkindex.range_pushdown is off: set it to exact or approximate");
	reason = vector_reason(subject, found->vector, is_sphere ? "the sphere" : "the query vector");
	if (reason == NULL && radius != NULL)
		reason = vector_reason(subject, radius, "the radius");
	if (reason == NULL && is_kept(subject, condition))
		return pstrdup("each row of the table is kept or left out by whether another table has one within the distance (by an outer join, EXISTS or NOT EXISTS), so that all are read: use an inner join, or search the other table by an index of its own");
	return reason;
}

/*
 * sight_conditions -- is there a condition on the distance, and does it fit?
 */
static bool
sight_conditions(const Subject *subject, VkSighting *sighting)
{
	List	   *conditions = list_concat_copy(subject->rel->baserestrictinfo,
											  subject->rel->joininfo);
	bool		seen = false;
	ListCell   *cell;

	foreach(cell, conditions)
	{
		RestrictInfo *condition = lfirst(cell);
		Distance	found = find_distance(subject, (Node *) condition->clause);
		char	   *reason;

		if (found.kind == DISTANCE_NONE)
			continue;
		seen = true;
		reason = condition_reason(subject, &found, condition);
		sighting->fit = reason ? VK_FIT_WRONG : VK_FIT_RIGHT;
		sighting->reason = reason;
		if (reason == NULL)
		{
			sighting->reason = psprintf("the condition on the distance cannot be used here: add ORDER BY %s with LIMIT",
										subject->distance);
			break;
		}
	}
	return seen;
}

/* ---- all together ---- */

/*
 * sight_select_list -- what to say where neither of them has the distance
 */
static void
sight_select_list(const Subject *subject, VkSighting *sighting)
{
	Node	   *list = translate(subject->root, subject->rel->relid,
								 (Node *) subject->root->parse->targetList);

	sighting->fit = VK_FIT_NO_DISTANCE;
	if (find_distance(subject, list).kind != DISTANCE_NONE)
		sighting->reason = psprintf("the distance is computed, but the SELECT that does it neither orders by it nor has a condition on it: add ORDER BY %s with LIMIT to that SELECT",
									subject->distance);
	else
		sighting->reason = psprintf("the query has no ORDER BY on the distance and no condition on it: add ORDER BY %s with LIMIT",
									subject->distance);
}

VkSighting *
vk_refusal_sight(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte,
				 IndexOptInfo *info)
{
	VkSighting *sighting = palloc0(sizeof(VkSighting));
	Subject		subject = {root, rel, rte, info};

	sighting->index = info->indexoid;
	sighting->limited = root->parse->limitCount != NULL;
	sighting->fit = VK_FIT_WRONG;
	describe_index(&subject);

	if (IS_DUMMY_REL(rel))
	{
		sighting->fit = VK_FIT_NOT_READ;
		sighting->reason = pstrdup("the table is not read: its constraints or the conditions of the query rule out every row");
	}
	else if (rte->tablesample != NULL)
		sighting->reason = pstrdup("TABLESAMPLE reads the table in its own way: leave it out, or search a table that holds the sample");
	else if (info->indpred != NIL && !info->predOK)
		sighting->reason = psprintf("its predicate does not follow from the WHERE clause: add %s there, with constants, not parameters",
									index_sql(&subject, (Node *) make_ands_explicit(info->indpred)));
	else if (!sight_order(&subject, sighting) &&
			 !sight_conditions(&subject, sighting))
		sight_select_list(&subject, sighting);
	return sighting;
}
