/*-------------------------------------------------------------------------
 *
 * refusal.c
 *	  vk_explain_refusal: why a query's plan does not use an index.
 *
 * NOTES
 *	  The query is parsed, rewritten and planned as EXPLAIN would, as the
 *	  caller, and never run; nothing is told before the caller's privileges
 *	  have been checked.
 *
 *	  Whether an index that was not used could have been is asked of the planner
 *	  too: the query is planned once more for each such index (for those of the
 *	  partitions of one table together), preferring it.  If that plan has the
 *	  index, it was a matter of cost, and both costs are known; if not, what the
 *	  index looked like to the planner tells why.
 *
 * IDENTIFICATION
 *	  src/am/refusal.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/partition.h"
#include "catalog/pg_inherits.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "am/am.h"
#include "am/refusal.h"

PG_FUNCTION_INFO_V1(vk_explain_refusal);

#define REFUSAL_COLUMNS		2

/* one of our indexes on a table of the query */
typedef struct Suspect
{
	Oid			index;
	Oid			group;			/* its topmost parent, or itself */
	Oid			table;
	bool		is_partition;	/* the table */
	bool		valid;
	bool		too_new;
	bool		damaged;
	bool		used;
	const VkSighting *sighting; /* where it was nearest to being used */
	bool		possible;		/* there is a plan with it */
	bool		by_bitmap;		/* and that plan makes a bitmap */
	Cost		cost;			/* of that plan */
} Suspect;

typedef struct Refusal
{
	VkPlanning	planning;
	VkPlanIndexes chosen;		/* of the plan as it is */
	List	   *tables;			/* OIDs */
	List	   *suspects;		/* Suspect */
} Refusal;

/* ---- reading the query ---- */

static void
error_in_query(void *arg)
{
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(arg);
	}
}

/*
 * analyze_query -- the one statement of text, as rewritten queries
 */
static List *
analyze_query(const char *text)
{
	List	   *statements = pg_parse_query(text);
	Oid		   *types = NULL;
	int			count = 0;
	List	   *queries;
	Query	   *first;

	if (list_length(statements) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("query must be one statement, not %d",
						list_length(statements))));

	queries = pg_analyze_and_rewrite_varparams(linitial(statements), text,
											   &types, &count, NULL);
	first = queries == NIL ? NULL : linitial(queries);
	if (first != NULL && first->commandType == CMD_UTILITY)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s statements are not supported by vk_explain_refusal",
						CreateCommandName(first->utilityStmt)),
				 errhint("Pass the SELECT, INSERT, UPDATE, DELETE or MERGE statement alone.")));
	return queries;
}

/* ---- tables and their indexes ---- */

static void
add_tables(Refusal *state, const RangeTblEntry *rte)
{
	List	   *tables;

	if (rte->rtekind != RTE_RELATION)
		return;
	if (rte->inh || rte->relkind == RELKIND_PARTITIONED_TABLE)
		tables = find_all_inheritors(rte->relid, AccessShareLock, NULL);
	else
		tables = list_make1_oid(rte->relid);
	state->tables = list_concat_unique_oid(state->tables, tables);
}

static bool
find_tables(Node *node, void *context)
{
	Refusal    *state = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		add_tables(state, (RangeTblEntry *) node);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, find_tables, context,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, find_tables, context);
}

static Oid
topmost_parent(Relation index)
{
	List	   *parents = NIL;

	if (index->rd_rel->relispartition)
		parents = get_partition_ancestors(RelationGetRelid(index));
	return parents == NIL ? RelationGetRelid(index) : llast_oid(parents);
}

static const VkSighting *
nearest_sighting(List *sightings, Oid index)
{
	const VkSighting *nearest = NULL;
	ListCell   *cell;

	foreach(cell, sightings)
	{
		const VkSighting *sighting = lfirst(cell);

		if (sighting->index == index &&
			(nearest == NULL || sighting->fit > nearest->fit))
			nearest = sighting;
	}
	return nearest;
}

static void
add_suspect(Refusal *state, Relation table, Relation index)
{
	Suspect    *suspect = palloc0(sizeof(Suspect));
	VkMeta		meta;

	suspect->index = RelationGetRelid(index);
	suspect->group = topmost_parent(index);
	suspect->table = RelationGetRelid(table);
	suspect->is_partition = table->rd_rel->relispartition;
	suspect->valid = index->rd_index->indisvalid;
	suspect->too_new = index->rd_index->indcheckxmin &&
		!TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data),
							   TransactionXmin);
	suspect->damaged = suspect->valid && !vk_meta_peek(index, &meta);
	suspect->used = list_member_oid(state->chosen.used, suspect->index);
	suspect->sighting = nearest_sighting(state->planning.sightings, suspect->index);
	state->suspects = lappend(state->suspects, suspect);
}

static void
add_suspects(Refusal *state, Oid table_oid)
{
	Relation	table = table_open(table_oid, AccessShareLock);
	List	   *indexes = NIL;
	ListCell   *cell;

	/* the indexes of a partitioned table are those of its partitions */
	if ((table->rd_rel->relkind == RELKIND_RELATION ||
		 table->rd_rel->relkind == RELKIND_MATVIEW) && !RELATION_IS_OTHER_TEMP(table))
		indexes = RelationGetIndexList(table);

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (index->rd_indam->amgettuple == vk_gettuple)
			add_suspect(state, table, index);
		index_close(index, AccessShareLock);
	}
	table_close(table, AccessShareLock);
}

/* ---- could they be used? ---- */

static bool
is_open(const Suspect *suspect)
{
	return !suspect->used && suspect->valid && !suspect->too_new &&
		!suspect->damaged && suspect->sighting != NULL &&
		suspect->sighting->fit != VK_FIT_NOT_READ;
}

/*
 * try_group -- plan the query with the indexes of a group
 */
static void
try_group(Refusal *state, Oid group)
{
	VkPlanIndexes found;
	ListCell   *cell;

	state->planning.preferred = NIL;
	foreach(cell, state->suspects)
	{
		Suspect    *suspect = lfirst(cell);

		if (suspect->group == group)
			state->planning.preferred = lappend_oid(state->planning.preferred,
													suspect->index);
	}
	found = vk_refusal_read(vk_refusal_plan(&state->planning));
	foreach(cell, state->suspects)
	{
		Suspect    *suspect = lfirst(cell);

		if (suspect->group != group)
			continue;
		suspect->possible = list_member_oid(found.used, suspect->index);
		suspect->by_bitmap = list_member_oid(found.bitmaps, suspect->index);
		suspect->cost = found.cost;
	}
}

/*
 * try_suspects -- plan the query with each index that might have been used
 */
static void
try_suspects(Refusal *state)
{
	static const char *const settings[] = {
		"enable_indexscan", "enable_bitmapscan", "enable_incremental_sort"
	};
	int			nest_level = NewGUCNestLevel();
	List	   *tried = NIL;
	ListCell   *cell;

	for (size_t i = 0; i < lengthof(settings); i++)
		set_config_option(settings[i], "on", PGC_USERSET, PGC_S_SESSION,
						  GUC_ACTION_SAVE, true, 0, false);
	foreach(cell, state->suspects)
	{
		Suspect    *suspect = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		if (!is_open(suspect) || list_member_oid(tried, suspect->group))
			continue;
		tried = lappend_oid(tried, suspect->group);
		try_group(state, suspect->group);
	}
	AtEOXact_GUC(true, nest_level);
}

/* ---- the answer ---- */

/*
 * rival -- another index of ours that the plan uses for the same table
 */
static const Suspect *
rival(const Refusal *state, const Suspect *suspect)
{
	ListCell   *cell;

	foreach(cell, state->suspects)
	{
		const Suspect *other = lfirst(cell);

		if (other->used && other->table == suspect->table)
			return other;
	}
	return NULL;
}

static const char *
cost_reason(const Refusal *state, const Suspect *suspect)
{
	const Suspect *other = rival(state, suspect);
	const char *costs = "";

	if (other != NULL)
		return psprintf("index %s serves the query instead, at an estimated cost of %.2f, %.2f with this index: drop the one that you do not need",
						quote_identifier(get_rel_name(other->index)),
						state->chosen.cost, suspect->cost);
	if (!suspect->by_bitmap && !enable_indexscan)
		return "enable_indexscan is off: set it to on";
	if (suspect->by_bitmap && !enable_bitmapscan)
		return "enable_bitmapscan is off: set it to on";
	if (suspect->sighting->order_continued && !enable_incremental_sort)
		return "ORDER BY goes on after the distance, and enable_incremental_sort is off: set it to on";
	if (!suspect->by_bitmap && suspect->sighting->ordered && !suspect->sighting->limited)
		return psprintf("there is no LIMIT, and to read and sort all rows is estimated cheaper: cost %.2f, %.2f with the index: add LIMIT to the SELECT that has the ORDER BY",
						state->chosen.cost, suspect->cost);
	/* not where the query reads the table a second time, without an index */
	if (suspect->cost < VK_DEAR_COST)
		costs = psprintf(": cost %.2f, %.2f with the index", state->chosen.cost, suspect->cost);
	return psprintf("another plan is estimated cheaper%s: if it is not, run ANALYZE and look at random_page_cost; to compare, set enable_seqscan and enable_sort to off",
					costs);
}

static const char *
suspect_reason(const Refusal *state, const Suspect *suspect)
{
	if (suspect->used)
		return "used";
	if (!suspect->valid)
		return "the index is not valid, a concurrent build failed or is still running: drop it, or REINDEX";
	if (suspect->too_new)
		return "the index is too new for this transaction, which could still see rows that it lacks: run the query in a later transaction";
	if (suspect->damaged)
		return "its meta page is damaged or was written by another version of vkindex: REINDEX";
	if (suspect->sighting == NULL)
		return suspect->is_partition ?
			"the partition is not read: none of its rows can be in the result, or the statement only writes to it" :
			"the table is not read: the statement only writes to it, or the result does not depend on it";
	if (suspect->possible && !suspect->sighting->order_lost)
		return cost_reason(state, suspect);
	return suspect->sighting->reason;
}

static void
give_reasons(const Refusal *state, ReturnSetInfo *result)
{
	ListCell   *cell;

	foreach(cell, state->suspects)
	{
		const Suspect *suspect = lfirst(cell);
		Datum		values[REFUSAL_COLUMNS];
		bool		nulls[REFUSAL_COLUMNS] = {0};

		values[0] = ObjectIdGetDatum(suspect->index);
		values[1] = CStringGetTextDatum(suspect_reason(state, suspect));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/*
 * explain -- everything but the answer
 */
static void
explain(Refusal *state)
{
	VkPlanning *planning = &state->planning;
	ErrorContextCallback callback;
	List	   *plans;
	ListCell   *cell;

	callback.callback = error_in_query;
	callback.arg = unconstify(char *, planning->text);
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	planning->queries = analyze_query(planning->text);
	planning->mark = makeParamList(0);
	plans = vk_refusal_plan(planning);
	foreach(cell, plans)
		vk_check_permissions(lfirst_node(PlannedStmt, cell));

	state->chosen = vk_refusal_read(plans);
	find_tables((Node *) planning->queries, state);
	foreach(cell, plans)
		find_tables((Node *) lfirst_node(PlannedStmt, cell)->rtable, state);
	foreach(cell, state->tables)
		add_suspects(state, lfirst_oid(cell));
	try_suspects(state);

	error_context_stack = callback.previous;
}

Datum
vk_explain_refusal(PG_FUNCTION_ARGS)
{
	Refusal		state = {0};

	InitMaterializedSRF(fcinfo, 0);
	state.planning.text = text_to_cstring(PG_GETARG_TEXT_PP(0));
	explain(&state);
	give_reasons(&state, (ReturnSetInfo *) fcinfo->resultinfo);
	return (Datum) 0;
}
