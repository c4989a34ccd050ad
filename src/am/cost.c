/*-------------------------------------------------------------------------
 *
 * cost.c
 *	  What a scan of an index will cost.
 *
 * NOTES
 *	  Nearly all the work of a search is done before its first row comes out:
 *	  ranking lists, reading codes up to the budget that the declared recall
 *	  asks for, and fetching the exact vectors of the best rows.  That is the
 *	  startup cost; the total adds what reading on to the last row would take,
 *	  so that a LIMIT of few rows costs little more than the startup.
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
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/spccache.h"

#include "am/am.h"

#define REFUSED_COST		1.0e15
#define DEFAULT_WANTED		10	/* rows, where the plan has no LIMIT */

/* One line of codes of one row, as a share of cpu_operator_cost: a row of 128
 * dimensions at 4 bits (16 lines) takes a fifth of what an operator does. */
#define LINE_CPU_SHARE		0.0125

/* vectors past this size live in the TOAST table */
#define TOASTED_SIZE		2000

typedef struct ScanShape
{
	double		rows;			/* in the index */
	double		wanted;			/* rows asked of the scan */
	double		budget;			/* rows whose codes are read for them */
	double		fetched;		/* rows whose vectors are read for them */
	double		lists;			/* that hold the budget */
	double		total_lists;
	double		row_lines;		/* code lines of a row */
	double		row_bytes;		/* in its block */
	bool		toasted;
} ScanShape;

/*
 * read_meta -- the meta page of an index, without raising an error for what
 * is on it
 */
static bool
read_meta(Oid index_oid, VkMeta *meta)
{
	Relation	index = index_open(index_oid, NoLock);
	bool		usable = false;

	if (RelationGetNumberOfBlocks(index) > VK_META_BLOCK)
	{
		Buffer		buffer = ReadBuffer(index, VK_META_BLOCK);
		Page		page;

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		memcpy(meta, vk_page_meta(page), sizeof(VkMeta));
		usable = vk_page_head(page)->kind == VK_PAGE_META &&
			meta->magic == VK_MAGIC && meta->version == VK_FORMAT_VERSION &&
			meta->dim >= 1 && meta->dim <= VK_MAX_DIM &&
			meta->format <= VK_FORMAT_F32;
		UnlockReleaseBuffer(buffer);
	}

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

/*
 * rows_wanted -- rows that the plan will take from the scan
 *
 * Where conditions that the index does not know drop rows, it takes more to
 * fill the limit.
 */
static double
rows_wanted(PlannerInfo *root, IndexPath *path, double rows)
{
	RelOptInfo *rel = path->indexinfo->rel;
	double		wanted = root->limit_tuples > 0 ? root->limit_tuples : DEFAULT_WANTED;

	if (rel->tuples > 0 && rel->rows > 0 && rel->rows < rel->tuples)
		wanted *= rel->tuples / rel->rows;
	return Max(1.0, Min(wanted, rows));
}

static double
scan_budget(const VkMeta *meta, const ScanShape *shape)
{
	double		budget;

	if (shape->total_lists == 0 || shape->wanted > vk_scan_round_limit())
		return shape->rows;
	if (vk_probes > 0)
		budget = vk_probes * shape->rows / shape->total_lists;
	else
		budget = vk_curve_budget(&meta->curve, shape->wanted,
								 vk_target_recall, shape->rows);
	return Min(Max(budget, shape->wanted), shape->rows);
}

static void
shape_scan(PlannerInfo *root, IndexPath *path, const VkMeta *meta,
		   ScanShape *shape)
{
	int			code_lines = vk_format_lines((VkFormat) meta->format, meta->dim);

	shape->rows = Max(path->indexinfo->tuples, 1.0);
	shape->wanted = rows_wanted(root, path, shape->rows);
	shape->total_lists = meta->lists;
	shape->budget = scan_budget(meta, shape);
	shape->fetched = shape->wanted > vk_scan_round_limit() ? shape->rows : shape->wanted;
	shape->lists = ceil(shape->total_lists * shape->budget / shape->rows);
	shape->row_lines = code_lines;
	shape->row_bytes = (double) (VK_BLOCK_HEAD_LINES + code_lines) *
		VK_LINE_SIZE / VK_LANES;
	shape->toasted = meta->dim * sizeof(float) > TOASTED_SIZE;
}

/*
 * codes_cost -- reading the codes of some rows
 */
static Cost
codes_cost(const ScanShape *shape, double rows, double page_cost)
{
	return rows * shape->row_bytes / VK_PAYLOAD_SIZE * page_cost +
		rows * shape->row_lines * LINE_CPU_SHARE * cpu_operator_cost;
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
	double		random_cost;
	double		page_cost;
	double		fetch_cost;

	*selectivity = 1.0;
	*correlation = 0.0;
	*pages = info->pages;

	if (list_length(path->indexorderbys) != 1 ||
		path->path.pathtype == T_IndexOnlyScan || info->hypothetical ||
		!read_meta(info->indexoid, &meta))
	{
		*startup = *total = REFUSED_COST;
		VK_DISABLE_PATH(&path->path);
		return;
	}

	shape_scan(root, path, &meta, &shape);
	get_tablespace_page_costs(info->reltablespace, &random_cost, &page_cost);
	fetch_cost = (shape.toasted ? 2 : 1) * random_cost + cpu_tuple_cost;

	*startup = random_cost +
		codes_cost(&shape, shape.total_lists, page_cost) +
		shape.lists * random_cost +
		codes_cost(&shape, shape.budget, page_cost) +
		shape.fetched * fetch_cost;
	*total = *startup +
		codes_cost(&shape, shape.rows - shape.budget, page_cost) +
		(shape.rows - shape.wanted) * cpu_tuple_cost;
}
