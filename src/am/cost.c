/*-------------------------------------------------------------------------
 *
 * cost.c
 *	  What a scan of an index will cost.
 *
 * NOTES
 *	  A scan with an ORDER BY does nearly all its work before its first row comes
 *	  out: ranking lists, reading codes up to the budget that the declared recall
 *	  asks for, and fetching the exact vectors of the best rows.  That is the
 *	  startup cost; the total adds what reading on to the last row would take,
 *	  so that a LIMIT of few rows costs little more than the startup.  A scan
 *	  without one streams: its cost is that of reading the lists.
 *
 *	  Where conditions drop rows, in the index or above it, the search goes on
 *	  until as many are left as are wanted, so its budget is that of more rows.
 *	  Lists whose summaries show that no row can match are not read.
 *
 *	  Rows that the scan returns are fetched by the executor; core adds that.
 *	  Here counts what the scan itself fetches, to know exact distances.
 *
 *	  Of pgvector's functions the planner knows no more than that they are called.
 *	  It takes a sequential plan for much cheaper than it is; the costs of an
 *	  index over its types are then in that currency.
 *
 *	  Plans that the methods cannot run get a cost that is large but finite:
 *	  the planner subtracts costs, and infinity less infinity is not a number.
 *
 * IDENTIFICATION
 *	  src/am/cost.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include <math.h>

#include "access/genam.h"
#include "catalog/pg_type_d.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/plancat.h"
#include "parser/parsetree.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/spccache.h"
#include "utils/varbit.h"

#include "am/am.h"
#include "types/sphere.h"
#include "types/vec.h"

#define REFUSED_COST		1.0e15

/* One line of codes of one row, as a share of cpu_operator_cost: a row of 128
 * dimensions at 4 bits (16 lines) takes a fifth of what an operator does. */
#define LINE_CPU_SHARE		0.0125

/* Considering one list, in units of cpu_operator_cost: its slot and summaries */
#define LIST_OPERATORS		200

/* Rows whose exact distance an ordered scan needs for each one that is wanted,
 * where proven bounds of coarse codes decide. */
#define PROVEN_FETCHES		10

/* About a radius: rows whose proven bounds do not tell on which side they lie, for one
 * that lies within, divided by the error of a code.  With 4 bits SIFT and text768 have 4
 * to 9 where 10 lie within, 3 to 6 where 1,000, 2 to 4 where it is a hundredth of all to
 * a fifth: so fewer where most rows lie within, down to EDGE_ROWS. */
#define UNSURE_ROWS			24
#define EDGE_ROWS			1

/* by statistical bounds all candidates are looked at, within or not */
#define CANDIDATES			1.4

/* Finding one row's exact distance, in units of cpu_tuple_cost: a page by its
 * number, the visibility of the row, its place in the order. */
#define FETCH_TUPLES		50

/* Of documents: entries looked for, a vector of the query and a row wanted, as most
 * queries end; and vectors of a query that is not known yet. */
#define DOCUMENT_ENTRIES	32
#define DEFAULT_VECTORS		32

/* dimensions of a bit vector that an operator does in the time of one float */
#define BITS_A_FLOAT	32

/* looking one row up in a mask, in units of cpu_operator_cost */
#define MASK_OPERATORS		0.3

/* finding and locking one page, in units of cpu_operator_cost */
#define PAGE_OPERATORS		20

/* what the conditions of a scan let through */
typedef struct Conditions
{
	Selectivity attributes;		/* of those on attribute columns */
	Selectivity all;			/* and spheres */
	Selectivity masked;			/* of those that a mask tells of */
	Selectivity above;			/* of those that neither knows */
	bool		spheres;		/* there are spheres */
	bool		exact;			/* one of which must be answered exactly */
	bool		no_vector;		/* only rows whose vector is NULL match */
	bool		mask;			/* there is a mask */
} Conditions;

typedef struct ScanShape
{
	PlannerInfo *root;
	IndexOptInfo *info;
	Conditions	conditions;
	double		loops;			/* the scan is repeated so often */
	double		rows;			/* in the index */
	double		entries;		/* and entries: of documents, one a vector */
	bool		documents;		/* there may be several a row */
	double		vectors;		/* of the query */
	double		matched;		/* of them by the conditions that it knows */
	double		wanted;			/* rows asked of the scan */
	double		budget;			/* rows in the lists that are considered for them */
	double		whole_budget;	/* and for all rows that match */
	double		lists;			/* in the index, segments included */
	double		list_rows;
	double		centers;		/* lists that are ranked */
	double		read;			/* share of the lists considered that are read */
	double		head_lines;		/* of a block */
	double		code_lines;
	double		unsure;			/* rows whose exact distance must tell whether they
								 * lie within a radius */
	bool		coarse;			/* codes are not the vectors themselves, about */
	bool		exact;			/* codes are, and their scores the distances */
	double		dim;
	bool		scored;			/* codes are read, not heads only */
	double		toasted;		/* bytes of a vector stored out of line */
	double		random_cost;	/* of pages of the index */
	double		page_cost;
	double		currency;		/* cost of the sequential plan for the planner, as a
								 * share of what it is */
} ScanShape;

/*
 * vk_meta_peek -- the meta page of an index, without raising an error for what
 * is on it
 */
bool
vk_meta_peek(Relation index, VkMeta *meta)
{
	bool		usable;
	Buffer		buffer;
	Page		page;

	if (RelationGetNumberOfBlocks(index) <= VK_META_BLOCK)
		return false;

	buffer = ReadBuffer(index, VK_META_BLOCK);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	memcpy(meta, vk_page_meta(page), sizeof(VkMeta));
	usable = vk_page_head(page)->kind == VK_PAGE_META &&
		meta->magic == VK_MAGIC && meta->version == VK_FORMAT_VERSION &&
		vk_meta_damage(meta) == NULL;
	UnlockReleaseBuffer(buffer);
	return usable;
}

/*
 * read_meta -- the meta page of an index, with a warning if it is unusable
 */
static bool
read_meta(Oid index_oid, VkMeta *meta)
{
	Relation	index = index_open(index_oid, NoLock);
	bool		usable = vk_meta_peek(index, meta);

	if (!usable)
		ereport(WARNING,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" cannot be used",
						RelationGetRelationName(index)),
				 errdetail("Its meta page is damaged or was written by another version of vkindex."),
				 errhint("Please REINDEX it.")));

	index_close(index, NoLock);
	return usable;
}

/* ---- conditions ---- */

/*
 * sphere_is_exact -- must a sphere be answered exactly?
 *
 * Where the center or the radius is not known yet, vk_sphere's last argument is.
 */
static bool
sphere_is_exact(PlannerInfo *root, Node *clause)
{
	Node	   *sphere;
	VkSphere	value;
	Oid			vector_type,
				sphere_type;

	if (!IsA(clause, OpExpr))
		return false;
	op_input_types(((OpExpr *) clause)->opno, &vector_type, &sphere_type);
	sphere = estimate_expression_value(root, lsecond(((OpExpr *) clause)->args));
	if (IsA(sphere, FuncExpr))
		return vk_makes_exact_sphere(sphere);
	return IsA(sphere, Const) && !((Const *) sphere)->constisnull &&
		vk_sphere_read(((Const *) sphere)->constvalue, vector_type, &value) &&
		value.exact;
}

/*
 * sort_quals -- what a path asks the index, attribute columns apart
 */
static void
sort_quals(PlannerInfo *root, IndexPath *path, List **attributes, List **all,
		   Conditions *conditions)
{
	ListCell   *cell;
	ListCell   *qual;

	foreach(cell, path->indexclauses)
	{
		const IndexClause *clause = lfirst_node(IndexClause, cell);

		/* the estimate for NOT IN is better than that for its many quals */
		if (clause->indexcol > 0)
		{
			*attributes = lappend(*attributes, clause->rinfo);
			*all = lappend(*all, clause->rinfo);
			continue;
		}
		*all = list_concat(*all, clause->indexquals);
		foreach(qual, clause->indexquals)
		{
			Node	   *node = (Node *) lfirst_node(RestrictInfo, qual)->clause;

			if (!IsA(node, NullTest))
				conditions->spheres = true;
			else if (((NullTest *) node)->nulltesttype == IS_NULL)
				conditions->no_vector = true;
			conditions->exact |= sphere_is_exact(root, node);
		}
	}
}

/* what is left to be checked above the scan, beside what a mask tells */
static List *
quals_above(IndexPath *path, List *masked)
{
	List	   *rinfos = path->indexinfo->indrestrictinfo;
	List	   *above = NIL;
	ListCell   *cell;

	if (path->path.param_info != NULL)
		rinfos = list_concat_copy(rinfos, path->path.param_info->ppi_clauses);
	foreach(cell, rinfos)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (!rinfo->pseudoconstant && !list_member_ptr(masked, rinfo) &&
			!is_redundant_with_indexclauses(rinfo, path->indexclauses))
			above = lappend(above, rinfo);
	}
	return above;
}

static void
read_conditions(PlannerInfo *root, IndexPath *path, List *masked,
				Conditions *conditions)
{
	Index		relid = path->indexinfo->rel->relid;
	List	   *attributes = NIL;
	List	   *all = NIL;

	memset(conditions, 0, sizeof(Conditions));
	sort_quals(root, path, &attributes, &all, conditions);
	conditions->attributes = clauselist_selectivity(root, attributes, relid,
													JOIN_INNER, NULL);
	conditions->all = clauselist_selectivity(root, all, relid,
											 JOIN_INNER, NULL);
	conditions->mask = masked != NIL;
	conditions->masked = clauselist_selectivity(root, masked, relid,
												JOIN_INNER, NULL);
	conditions->above = clauselist_selectivity(root, quals_above(path, masked), relid,
											   JOIN_INNER, NULL);
}

/* ---- the work of a scan ---- */

/* share of the rows of a list that are scored */
static Selectivity
scored_share(const Conditions *conditions)
{
	return Max(conditions->attributes * conditions->masked, 1.0e-9);
}

/*
 * rows_wanted -- rows that the plan will take from the scan
 *
 * Where conditions that the index does not know drop rows, it takes more to
 * fill the limit.
 */
static double
rows_wanted(const ScanShape *shape)
{
	double		wanted = shape->root->limit_tuples > 0 ?
		shape->root->limit_tuples : VK_DEFAULT_WANTED;

	wanted /= Max(shape->conditions.above, 1.0e-9);
	return Max(1.0, Min(wanted, shape->matched));
}

/*
 * scan_budget -- rows in the lists that are considered for those wanted
 */
static double
scan_budget(const ScanShape *shape, const VkMeta *meta, double wanted)
{
	const Conditions *conditions = &shape->conditions;
	double		budget;

	if (meta->lists == 0 || conditions->exact || !shape->scored ||
		wanted > vk_scan_round_limit())
		return shape->entries;
	if (shape->documents)
		wanted *= DOCUMENT_ENTRIES;
	if (vk_probes > 0)
		budget = vk_probes * shape->list_rows;
	else
		budget = vk_curve_budget(&meta->curve,
								 wanted / scored_share(conditions),
								 vk_target_recall, shape->entries);
	return Min(Max(budget, wanted), shape->entries);
}

/* lines that the attribute columns take in a block */
static double
attribute_lines(const VkMeta *meta)
{
	double		bytes = 0;

	for (int i = 0; i < Min(meta->attributes, VK_MAX_ATTRIBUTES); i++)
		bytes += meta->attribute_width[i];
	return bytes * VK_LANES / VK_LINE_SIZE;
}

/* bytes of a vector in the table */
static double
vector_bytes(const VkMeta *meta)
{
	if (meta->element == VK_ELEMENT_BIT)
		return VARBITTOTALLEN(meta->dim);
	return vec_size(&vec_types[meta->element - VK_ELEMENT_F32], meta->dim);
}

/*
 * distances_unseen -- calls of the distance function that a sequential plan makes
 * and the planner sees no more of than that
 *
 * Those in an explicit sphere are ours.
 */
static double
distances_unseen(const IndexPath *path)
{
	const RelOptInfo *rel = path->indexinfo->rel;
	double		calls = path->indexorderbys != NIL ? rel->rows : 0;
	ListCell   *cell;

	foreach(cell, path->indexclauses)
	{
		const IndexClause *clause = lfirst_node(IndexClause, cell);

		if (clause->indexcol == 0 &&
			!list_member_ptr(clause->indexquals, clause->rinfo))
			calls += rel->tuples;
	}
	return calls;
}

/*
 * planner_currency -- see the head of this file; 1 where the distance function
 * tells what it costs, as ours do
 */
static double
planner_currency(const ScanShape *shape, const IndexPath *path)
{
	const IndexOptInfo *info = path->indexinfo;
	const RelOptInfo *rel = info->rel;
	Oid			type = info->opcintype[0];
	Oid			function = get_opcode(get_opfamily_member(info->opfamily[0], type, type,
														  VK_STRATEGY_DISTANCE));
	QualCost	call = {0};
	double		seen;
	double		unseen;

	if (shape->documents || OidIsValid(get_func_support(function)))
		return 1.0;
	add_function_cost(shape->root, function, NULL, &call);
	unseen = vec_distance_cost(shape->exact ? shape->dim / BITS_A_FLOAT : shape->dim) +
		vec_detoast_cost(shape->toasted, seq_page_cost) - call.per_tuple;
	seen = rel->pages * seq_page_cost +
		rel->tuples * (cpu_tuple_cost + rel->baserestrictcost.per_tuple);
	return seen <= 0 ? 1.0 : seen / (seen + distances_unseen(path) * Max(unseen, 0.0));
}

/* vectors of the array that documents are ordered by */
static double
query_vectors(PlannerInfo *root, Expr *order)
{
	Node	   *query = estimate_expression_value(root, lsecond(((OpExpr *) order)->args));
	ArrayType  *array;

	if (!IsA(query, Const) || ((Const *) query)->constisnull)
		return DEFAULT_VECTORS;
	array = DatumGetArrayTypeP(((Const *) query)->constvalue);
	return Max(ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)), 1);
}

/* see ScanShape; each bit of a code halves its error */
static double
unsure_rows(const ScanShape *shape, int bits)
{
	const Conditions *conditions = &shape->conditions;
	double		beyond = 1.0 - Min(shape->matched / shape->rows, 1.0);

	if (shape->exact || !conditions->spheres)
		return 0;
	if (shape->whole_budget < shape->entries)
		return shape->matched * CANDIDATES;
	return Min(shape->matched * 2.0 / exp2(bits) *
			   (EDGE_ROWS + UNSURE_ROWS * pow(beyond, 3)), shape->rows);
}

static void
shape_scan(ScanShape *shape, PlannerInfo *root, IndexPath *path, List *masked,
		   const VkMeta *meta, double loops)
{
	IndexOptInfo *info = path->indexinfo;
	const Conditions *conditions = &shape->conditions;
	bool		ordered = path->indexorderbys != NIL;
	int			bits;

	shape->root = root;
	shape->info = info;
	shape->loops = Max(loops, 1.0);
	read_conditions(root, path, masked, &shape->conditions);

	shape->rows = Max(info->tuples, 1.0);
	shape->documents = vk_type_has_documents(info->opcintype[0]);
	shape->entries = shape->documents ? Max(meta->live_rows, shape->rows) : shape->rows;
	shape->vectors = shape->documents && ordered ?
		query_vectors(root, linitial(path->indexorderbys)) : 1;
	shape->matched = Max(shape->rows * conditions->all * conditions->masked, 1.0);
	shape->wanted = ordered ? rows_wanted(shape) : shape->matched;
	shape->lists = meta->lists > 0 ? meta->lists :
		ceil(shape->entries / VK_SEGMENT_ROWS);
	shape->list_rows = shape->entries / shape->lists;
	shape->scored = ordered || conditions->spheres;
	shape->centers = shape->scored ? Min(meta->lists, vk_rank_seen(meta)) : 0;
	shape->budget = scan_budget(shape, meta, shape->wanted);
	/* an ORDER BY without a radius goes on to the last row */
	shape->whole_budget = conditions->spheres ?
		scan_budget(shape, meta, shape->matched) : shape->entries;
	/* lists with a row that matches, were rows spread evenly */
	shape->read = conditions->no_vector ? 0 :
		1.0 - pow(1.0 - conditions->attributes, shape->list_rows);

	shape->head_lines = VK_BLOCK_HEAD_LINES + attribute_lines(meta);
	shape->dim = meta->dim;
	shape->code_lines = vk_format_lines((VkFormat) meta->format, meta->dim);
	bits = Max(vk_format_bits[meta->format], meta->refine_bits);
	shape->exact = vk_metric_of_bits((VkMetric) meta->metric);
	shape->unsure = unsure_rows(shape, bits);
	shape->coarse = bits < 16;
	shape->toasted = info->indexkeys[0] == 0 ? 0 :
		vec_toasted_bytes(planner_rt_fetch(info->rel->relid, root)->relid,
						  info->indexkeys[0],
						  vector_bytes(meta) * shape->entries / shape->rows);
	get_tablespace_page_costs(info->reltablespace, &shape->random_cost,
							  &shape->page_cost);
	shape->currency = planner_currency(shape, path);
}

/*
 * pages_fetched -- pages that a scan reads of so many, if each is repeated as
 * often as this one and what is read stays in the cache
 */
static double
pages_fetched(const ScanShape *shape, double fetches, double pages)
{
	return index_pages_fetched(ceil(fetches * shape->loops),
							   (BlockNumber) Min(Max(pages, 1.0), MaxBlockNumber),
							   shape->info->pages, shape->root) / shape->loops;
}

/*
 * index_pages_cost -- some pages of the index, in so many runs
 */
static Cost
index_pages_cost(const ScanShape *shape, double pages, double runs)
{
	double		cached = 1.0;

	if (shape->loops > 1)
		cached = Min(pages_fetched(shape, pages, shape->info->pages) /
					 Max(pages, 1.0), 1.0);
	return (pages * shape->page_cost +
			Min(runs, pages) * (shape->random_cost - shape->page_cost)) * cached +
		pages * PAGE_OPERATORS * cpu_operator_cost;
}

/*
 * ranking_cost -- what precedes the first list: the meta page, the query's
 * code, and the centers, which are stored as rows are
 */
static Cost
ranking_cost(const ScanShape *shape)
{
	double		pages = shape->centers / VK_LANES / VK_PAGE_LINES *
		(VK_BLOCK_HEAD_LINES + shape->code_lines);

	return index_pages_cost(shape, 1.0 + ceil(pages), 1.0) +
		shape->centers * shape->code_lines * LINE_CPU_SHARE * cpu_operator_cost +
		(shape->scored ? shape->dim * cpu_operator_cost : 0);
}

/*
 * lists_cost -- considering lists of so many rows
 */
static Cost
lists_cost(const ScanShape *shape, double rows)
{
	double		lists = rows / shape->list_rows;
	double		read = rows * shape->read;
	double		pages = read * (shape->head_lines + shape->code_lines) /
		VK_LANES / VK_PAGE_LINES;
	double		runs = lists * shape->read;
	double		lines = shape->head_lines;

	/* built lists follow each other; where all are visited, so do those read */
	if (shape->whole_budget >= shape->entries)
		runs *= 1.0 - shape->read;

	/* codes are read where a row of the block may match */
	if (shape->scored && read > 0)
		lines += shape->code_lines *
			Min((1.0 - pow(1.0 - scored_share(&shape->conditions), VK_LANES)) /
				shape->read, 1.0);
	if (shape->conditions.mask)
		lines += MASK_OPERATORS / LINE_CPU_SHARE;
	return lists * LIST_OPERATORS * cpu_operator_cost +
		index_pages_cost(shape, pages, ceil(runs)) +
		read * lines * LINE_CPU_SHARE * cpu_operator_cost;
}

/*
 * fetch_cost -- finding the exact distances of so many rows of the table
 *
 * Of these, `returned` are returned; core charges for their pages as it does
 * for all rows that match.  So it does for the distance of each row where there is
 * an ORDER BY, though the operator finds it here: `vectors` counts the others.
 * Detoasting costs what it does in the operators, so that plans differ by the
 * number of vectors that they read.
 */
static Cost
fetch_cost(const ScanShape *shape, double rows, double returned, double vectors)
{
	const RelOptInfo *rel = shape->info->rel;
	double		pages = pages_fetched(shape, rows, rel->pages) -
		pages_fetched(shape, shape->matched, rel->pages) *
		Min(returned / shape->matched, 1.0);
	double		random_cost;
	double		page_cost;

	get_tablespace_page_costs(rel->reltablespace, &random_cost, &page_cost);
	return Max(pages, 0.0) * random_cost + rows * FETCH_TUPLES * cpu_tuple_cost +
		Max(vectors, 0.0) * vec_detoast_cost(shape->toasted, page_cost);
}

/*
 * scan_work -- startup and total cost of a scan, for each process that has part
 * in it
 *
 * Where there is an ORDER BY, each of them finds all rows that are wanted among
 * its own.
 */
static void
scan_work(const ScanShape *shape, bool ordered, double processes,
		  Cost *startup, Cost *total)
{
	double		matched = shape->matched / processes;
	double		unsure = shape->unsure / processes;
	double		fetched;

	*startup = shape->vectors * ranking_cost(shape);
	if (!ordered)
	{
		*total = *startup + lists_cost(shape, shape->budget) / processes +
			matched * cpu_index_tuple_cost +
			fetch_cost(shape, unsure, Min(unsure, matched), unsure);
		return;
	}
	fetched = shape->exact ? 0 : shape->wanted;
	if (shape->documents || (shape->budget >= shape->entries && shape->coarse))
		fetched *= PROVEN_FETCHES;
	if (fetched > matched || shape->wanted > vk_scan_round_limit())
		fetched = matched;
	*startup += shape->vectors * lists_cost(shape, shape->budget) / processes +
		fetch_cost(shape, fetched, shape->wanted, fetched - shape->wanted);
	*total = *startup + matched * cpu_index_tuple_cost;
	if (shape->whole_budget > shape->budget)
		*total += lists_cost(shape, shape->whole_budget - shape->budget) / processes;
	if (matched > fetched)
		*total += fetch_cost(shape, matched - fetched, matched - fetched, 0);
}

static void
scan_cost(const ScanShape *shape, bool ordered, double processes,
		  Cost *startup, Cost *total)
{
	scan_work(shape, ordered, processes, startup, total);
	*startup *= shape->currency;
	*total *= shape->currency;
}

/*
 * vk_cost_saved -- what each of so many processes saves of the costs that a
 * path has for one, or one with a mask; false where it cannot be run
 */
bool
vk_cost_saved(PlannerInfo *root, IndexPath *path, double processes, List *masked,
			  Cost *startup, Cost *total)
{
	bool		ordered = path->indexorderbys != NIL;
	VkMeta		meta;
	ScanShape	shape;
	Cost		shared_startup;
	Cost		shared_total;

	if (!read_meta(path->indexinfo->indexoid, &meta))
		return false;
	shape_scan(&shape, root, path, NIL, &meta, 1.0);
	scan_cost(&shape, ordered, 1.0, startup, total);
	if (masked != NIL)
		shape_scan(&shape, root, path, masked, &meta, 1.0);
	scan_cost(&shape, ordered, processes, &shared_startup, &shared_total);
	*startup -= shared_startup;
	*total -= shared_total;
	return true;
}

/*
 * vk_costestimate -- amcostestimate
 */
void
vk_costestimate(PlannerInfo *root, IndexPath *path, double loop_count,
				Cost *startup, Cost *total, Selectivity *selectivity,
				double *correlation, double *pages)
{
	IndexOptInfo *info = path->indexinfo;
	VkMeta		meta;
	ScanShape	shape;

	*selectivity = 1.0;
	*correlation = 0.0;
	*pages = info->pages;

	if (list_length(path->indexorderbys) > 1 ||
		path->path.pathtype == T_IndexOnlyScan || info->hypothetical ||
		!read_meta(info->indexoid, &meta))
	{
		*startup = *total = REFUSED_COST;
		VK_DISABLE_PATH(&path->path);
		return;
	}

	shape_scan(&shape, root, path, NIL, &meta, loop_count);
	scan_cost(&shape, path->indexorderbys != NIL, 1.0, startup, total);
	*selectivity = shape.conditions.all;
	/* the condition of a partial index is one of its quals */
	if (info->indpred != NIL && info->rel->tuples > 0)
		*selectivity *= Min(shape.rows / info->rel->tuples, 1.0);
}
