/*-------------------------------------------------------------------------
 *
 * scan.c
 *	  Index scans: the access method's entry points.
 *
 * NOTES
 *	  Scans with an ORDER BY go by rounds (round.c), then by a sort of what is
 *	  left (sorted.c); scans without one stream (stream.c).  Each of them returns
 *	  one row at a time, and every row of the table that matches comes out once.
 *
 * IDENTIFICATION
 *	  src/am/scan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "am/scan.h"

VkScanStats vk_last_stats;

/* ---- what the ways of scanning share ---- */

bool
vk_scan_distance(IndexScanDesc scan, uint64 tid, bool checked, double *distance)
{
	VkScan	   *so = scan->opaque;

	so->stats.fetched++;
	so->fetched++;
	if (!vk_heap_reader_distance(so->reader, tid, checked, distance))
	{
		so->gone++;
		return false;
	}
	return !so->keys.ranged || vk_within_radius(&so->keys, *distance);
}

void
vk_scan_ask_begin(VkScan *so)
{
	so->ask = Min(vk_heap_reader_window(so->reader), VK_ASK_MOST);
}

/* Few of a scan's first rows, which may be all that are wanted. */
void
vk_scan_ask(VkScan *so, const VkCandidates *page, int64 next)
{
	uint64		numbers[VK_ASK_MOST];
	int			count = 0;

	if (next == 0)
		so->asked = 0;
	if (next < so->asked)
		return;
	while (count < so->ask && so->asked < page->count)
		numbers[count++] = page->entries[so->asked++].tid;
	vk_heap_reader_ask(so->reader, numbers, count);
	so->ask = Min(2 * so->ask, VK_ASK_MOST);
}

void
vk_scan_note_cut(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;

	if (so->cut || !vk_search_cut(so->search))
		return;
	so->cut = true;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("scan of index \"%s\" ended after " INT64_FORMAT " rows",
					RelationGetRelationName(scan->indexRelation), so->stats.rows),
			 errdetail("Rows may be missing from the result."),
			 errhint("Raise \"vkindex.max_scan_rows\", or set it to 0 for no limit.")));
}

bool
vk_scan_wants_rest(const VkScan *so, uint32 number)
{
	/* neither NaN nor NULL is within a radius */
	if (so->keys.ranged)
		return false;
	return number == VK_SLOT_REST_NULL ? so->keys.null_rows : so->keys.other_rows;
}

void
vk_scan_init_round(IndexScanDesc scan, VkRound *round)
{
	VkScan	   *so = scan->opaque;

	memset(round, 0, sizeof(VkRound));
	round->radius = so->scored ? so->support->score(so->keys.radius) :
		get_float8_infinity();
	round->filter = so->keys.filter;
	round->mask = vk_hint_mask(so->hint);
	round->exhaustive = round->proven = so->strict;
	round->probes = so->strict ? 0 : vk_probes;
	round->max_rows = vk_max_scan_rows;
	round->total = round->rows = so->total;
	round->arg = scan;
}

/* ---- what a scan knows of its index ---- */

/*
 * That of the last scan that ended, for the next one.  It has a hundred kB and more,
 * which malloc gives back to the system at the end of each query, and the system
 * clears page by page in the next (text768: an eighth of a query's time).
 */
#define KEPT_MOST	((Size) 1024 * 1024)

static struct
{
	MemoryContext context;
	VkIndex    *vk;
	VkSearch   *search;			/* NULL: none */
}			kept;

/*
 * The last scan's, if it was of this index and that has not changed since.  Then the
 * Relation is the same too; what belongs to a query is set at its start.
 */
static bool
take_search(Relation index, VkScan *so)
{
	if (kept.search == NULL ||
		vk_index_cached(index, &so->meta)->serial != kept.vk->serial)
		return false;
	MemoryContextSetParent(kept.context, so->context);
	MemoryContextSetIdentifier(kept.context, NULL);
	so->index_context = kept.context;
	so->vk = kept.vk;
	so->search = kept.search;
	kept.search = NULL;
	return true;
}

static void
create_search(Relation index, VkScan *so, VkMeta *meta)
{
	MemoryContext old = MemoryContextSwitchTo(so->index_context);

	so->vk = vk_index_current(index, meta, so->index_context);
	so->search = vk_search_create(index, so->vk);
	MemoryContextSwitchTo(old);
}

static void
keep_search(VkScan *so)
{
	if (MemoryContextMemAllocated(so->index_context, true) > KEPT_MOST)
		return;
	if (kept.search != NULL)
		MemoryContextDelete(kept.context);
	MemoryContextSetParent(so->index_context, TopMemoryContext);
	MemoryContextSetIdentifier(so->index_context, "kept");
	kept.context = so->index_context;
	kept.vk = so->vk;
	kept.search = so->search;
}

/* ---- the access method's entry points ---- */

IndexScanDesc
vk_beginscan(Relation index, int nkeys, int norderbys)
{
	IndexScanDesc scan = RelationGetIndexScan(index, nkeys, norderbys);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "vkindex scan",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	VkScan	   *so = palloc0(sizeof(VkScan));

	so->context = context;
	so->query_context = AllocSetContextCreate(context, "vkindex query",
											  ALLOCSET_DEFAULT_SIZES);
	so->support = vk_support(index);
	if (!take_search(index, so))
	{
		so->index_context = AllocSetContextCreate(context, "vkindex scan of index",
												  ALLOCSET_DEFAULT_SIZES);
		create_search(index, so, &so->meta);
	}
	so->reader = vk_heap_reader_create(index, so->support, so->vk->coder.dim);
	MemoryContextSwitchTo(old);
	scan->opaque = so;
	return scan;
}

/* Forget the query at hand. */
static void
reset_query(VkScan *so)
{
	if (so->stats.valid)
		vk_last_stats = so->stats;
	if (so->sort != NULL)
		tuplesort_end(so->sort);
	if (so->sort_slot != NULL)
		ExecDropSingleTupleTableSlot(so->sort_slot);
	so->sort = NULL;
	so->sort_slot = NULL;
	so->candidates = NULL;
	so->entries = NULL;
	so->entry_capacity = 0;
	so->heap = NULL;
	so->settled = NULL;
	so->last = -get_float8_infinity();
	so->emitted = NULL;
	so->emitted_count = so->emitted_capacity = 0;
	so->round_emitted = 0;
	so->emitted_set = NULL;
	so->fetched = so->gone = 0;
	so->gone_near = false;
	memset(&so->keys, 0, sizeof(so->keys));
	so->page = NULL;
	so->rest = NULL;
	so->cut = false;
	so->phase = VK_PHASE_START;
	memset(&so->stats, 0, sizeof(so->stats));
	MemoryContextReset(so->query_context);
	vk_heap_reader_reset(so->reader);
}

void
vk_rescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys,
		  int norderbys)
{
	VkScan	   *so = scan->opaque;

	reset_query(so);
	if (keys != NULL && nkeys > 0)
		memmove(scan->keyData, keys, nkeys * sizeof(ScanKeyData));
	if (orderbys != NULL && norderbys > 0)
		memmove(scan->orderByData, orderbys, norderbys * sizeof(ScanKeyData));
}

/*
 * Rows in the index: what the last build or vacuum counted, or what its pages
 * can hold where it has grown since.
 */
double
vk_estimate_rows(Relation index, const VkIndex *vk, const VkMeta *meta)
{
	double		bytes = (double) RelationGetNumberOfBlocks(index) * VK_PAYLOAD_SIZE;
	double		row_bytes = (double) vk->block_lines * VK_LINE_SIZE / VK_LANES +
		vk->coder.refine_size;

	/* a list's last page is half empty */
	return Max(meta->live_rows, bytes / row_bytes / 2);
}

/* the query's vector into the search */
void
vk_scan_begin_search(VkScan *so)
{
	so->answered = false;
	so->unordered = !vk_search_reset(so->search, &so->meta, so->keys.vector, &so->stats);
}

/*
 * Evaluate the plan's conditions here where that is cheap.  A condition of the
 * index that must be checked again comes before them, which for a sphere would
 * mean to read the vector after all.
 */
static void
take_filter(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;
	IndexScanState *node = vk_hint_filter(so->hint);

	so->filtered = scan->heapRelation != NULL && node != NULL &&
		!so->keys.recheck_sphere &&
		!(so->keys.ranged && (so->keys.recheck || vk_hint_leaks(so->hint)));
	vk_heap_reader_filter(so->reader, so->filtered ? node : NULL, so->keys.recheck);
}

/*
 * Must rows come in order to the last?  May the executor drop some, a LIMIT does not
 * tell how many that is; what shares a hash with a value asked for is too rare to count.
 */
static bool
keeps_order(const VkScan *so)
{
	bool		dropped = so->keys.recheck_sphere ||
		(!so->filtered && vk_hint_conditions(so->hint));

	return so->keys.ordered && vk_hint_strict(so->hint, dropped);
}

/* has somebody found the rows of this very scan? */
static bool
find_answer(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;
	const VkScanKeys *keys = &so->keys;
	int64		wanted = vk_hint_limit(so->hint);

	if (so->share != NULL || keys->never)
		return false;
	if (!keys->ordered)
		return keys->ranged && so->strict &&
			vk_hint_within(so->hint, keys->query, keys->radius, &so->answer);
	return !keys->ranged && !keys->recheck && keys->filter == NULL &&
		keys->other_rows && scan->heapRelation != NULL &&
		vk_hint_filter(so->hint) == NULL && vk_hint_mask(so->hint) == NULL && wanted > 0 &&
		!keeps_order(so) &&
		vk_hint_nearest(so->hint, keys->query, wanted, &so->answer);
}

/*
 * Read what is asked for, and the query's vector into the search, unless somebody
 * has searched for it before.
 */
static void
take_query(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;
	MemoryContext old = MemoryContextSwitchTo(so->query_context);

	vk_scan_keys_read(scan, &so->keys);
	take_filter(scan);
	so->strict = so->vk->coder.flat || so->meta.lists == 0 ||
		(vk_target_recall >= 1.0 && vk_probes == 0) ||
		(so->keys.ranged && so->keys.exact) ||
		keeps_order(so);
	so->unordered = so->keys.vector == NULL;
	so->answered = false;
	if (so->keys.vector != NULL)
	{
		vk_heap_reader_query(so->reader, so->query_context, so->keys.query);
		so->answered = find_answer(scan);
		if (!so->answered)
			vk_scan_begin_search(so);
	}
	so->scored = so->keys.ranged && !so->answered && !so->unordered &&
		!vk_search_wild(so->search);
	MemoryContextSwitchTo(old);
}

static void
start_ordered(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;
	int64		wanted = vk_hint_limit(so->hint);

	if (wanted <= 0)
		wanted = so->keys.ranged ? vk_scan_round_limit() : VK_DEFAULT_WANTED;
	if (so->unordered || vk_search_wild(so->search) || !so->keys.other_rows ||
		vk_round_too_large(so, wanted))
		vk_sorted_start(scan, true);
	else
		vk_round_start(scan, wanted);
}

/*
 * Read the meta page, and what it is about anew where rows have been coded about
 * another mean since the last time.
 */
static void
read_index(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;
	Relation	index = scan->indexRelation;

	vk_meta_read(index, &so->meta);
	vk_meta_test_snapshot(index, scan->xs_snapshot);
	if (so->vk->coded == so->meta.coded)
		return;
	MemoryContextReset(so->index_context);
	create_search(index, so, &so->meta);
}

/* documents in the table, about: the index counts vectors */
static double
table_rows(Relation heap)
{
	BlockNumber pages;
	double		rows;
	double		visible;

	table_relation_estimate_size(heap, NULL, &pages, &rows, &visible);
	return Max(rows, 1);
}

/* What every scan begins with; the table is NULL for a bitmap scan. */
static void
start_scan(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;

	if (!IsMVCCSnapshot(scan->xs_snapshot))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" can be scanned with an MVCC snapshot only",
						RelationGetRelationName(scan->indexRelation))));
	if (scan->heapRelation != NULL)
		vk_heap_reader_open(so->reader, scan->heapRelation, scan->xs_snapshot);
	vk_count_index_scan(scan);
	read_index(scan);
	so->share = vk_share_join(scan, &so->meta, so->query_context);
	vk_search_share(so->search, so->share);
	so->total = vk_estimate_rows(scan->indexRelation, so->vk, &so->meta);
	if (so->support->documents && scan->heapRelation != NULL)
		so->total = Min(so->total, table_rows(scan->heapRelation));
	strlcpy(so->stats.path, "scan", sizeof(so->stats.path));
	so->stats.valid = true;
	so->stats.index = RelationGetRelid(scan->indexRelation);
	vk_search_snapshot(so->search, scan->xs_snapshot);
	so->hint = vk_scan_hint(scan);
	take_query(scan);
	if (so->answered)
		strlcpy(so->stats.path, "batch", sizeof(so->stats.path));
	else if (vk_hint_mask(so->hint) != NULL)
		strlcpy(so->stats.path, "prefilter", sizeof(so->stats.path));

	/* with a query whose distances are all NaN no row is within a radius */
	if (so->keys.never || (so->keys.ranged && so->unordered))
		so->phase = VK_PHASE_DONE;
	else if (so->answered && so->keys.ordered)
		vk_round_answer(so, so->answer.rows, so->answer.count);
	else if (so->answered)
		vk_stream_answer(so);
	else if (so->keys.ordered)
		start_ordered(scan);
	else if (so->support->documents && scan->heapRelation != NULL)
		vk_sorted_start(scan, true);	/* each row once */
	else
		vk_stream_start(scan);
}

/* The next row, in any phase. */
static bool
next_row(IndexScanDesc scan, uint64 *tid, bool *recheck)
{
	VkScan	   *so = scan->opaque;

	if (so->phase == VK_PHASE_START)
		start_scan(scan);
	while (so->phase == VK_PHASE_ROUND)
	{
		instr_time	start;
		instr_time	end;
		bool		found;

		INSTR_TIME_SET_CURRENT(start);
		found = vk_round_next(scan, tid, recheck);
		INSTR_TIME_SET_CURRENT(end);
		INSTR_TIME_SUBTRACT(end, start);
		so->stats.fetch_us += INSTR_TIME_GET_DOUBLE(end) * 1e6;
		if (found)
			return true;
		vk_round_go_on(scan);
	}
	if (so->phase == VK_PHASE_SORTED)
		return vk_sorted_next(so, tid, recheck);
	if (so->phase == VK_PHASE_STREAM)
		return vk_stream_next(scan, tid, recheck);
	if (so->phase == VK_PHASE_ANSWER)
		return vk_stream_answer_next(so, tid, recheck);
	return false;
}

bool
vk_gettuple(IndexScanDesc scan, ScanDirection direction)
{
	VkScan	   *so = scan->opaque;
	uint64		tid;

	Assert(ScanDirectionIsForward(direction));
	if (!next_row(scan, &tid, &scan->xs_recheck))
		return false;
	vk_heap_reader_unpin(so->reader);
	so->stats.emitted++;
	vk_tid_decode(tid, &scan->xs_heaptid);
	vk_heap_reader_check(so->reader, &scan->xs_heaptid);
	scan->xs_recheckorderby = false;
	return true;
}

int64
vk_getbitmap(IndexScanDesc scan, TIDBitmap *bitmap)
{
	VkScan	   *so = scan->opaque;

	start_scan(scan);
	if (so->phase != VK_PHASE_STREAM && so->phase != VK_PHASE_ANSWER)
		return 0;
	so->stats.emitted = vk_stream_bitmap(scan, bitmap);
	return so->stats.emitted;
}

void
vk_endscan(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;
	bool		ran = so->stats.valid;	/* else the last one was of another index */

	reset_query(so);
	if (vk_log_scans && ran)
		ereport(LOG,
				(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg("scan of index \"%s\": " INT64_FORMAT " lists, " INT64_FORMAT
						" skipped, " INT64_FORMAT " rows scored, " INT64_FORMAT
						" matched, " INT64_FORMAT " refined, " INT64_FORMAT
						" checked, " INT64_FORMAT " fetched, " INT64_FORMAT
						" emitted, " INT64_FORMAT " rounds",
						RelationGetRelationName(scan->indexRelation),
						vk_last_stats.lists, vk_last_stats.skipped,
						vk_last_stats.rows, vk_last_stats.matched,
						vk_last_stats.refined, vk_last_stats.checked,
						vk_last_stats.fetched, vk_last_stats.emitted,
						vk_last_stats.rounds)));
	vk_heap_reader_close(so->reader);
	keep_search(so);
	MemoryContextDelete(so->context);
	scan->opaque = NULL;
}
