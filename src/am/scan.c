/*-------------------------------------------------------------------------
 *
 * scan.c
 *	  Index scans: rounds of candidates, exact vectors from the heap, order.
 *
 * NOTES
 *	  A round asks search.c for the rows that may be among the nearest k, and
 *	  emits best first: the entry with the smallest lower bound is fetched from
 *	  the heap; once an exact one is on top it is the answer.  Rows that were
 *	  dropped on the way leave the smallest of their lower bounds as watermark
 *	  (POSTGRES.md, rule 13): an exact row beyond it is not emitted, the round
 *	  is repeated for twice as many rows, skipping what was emitted.  When the
 *	  next round would not fit in work_mem, or would want most of the index,
 *	  all that is left is fetched, sorted and streamed.  So every row of the
 *	  table comes out once, however many are asked for.
 *
 *	  Order of a whole scan: finite distances, then NaN, then NULL.
 *
 * IDENTIFICATION
 *	  src/am/scan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "lib/binaryheap.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplesort.h"

#include "am/heap_reader.h"
#include "am/search.h"

/* k of a scan whose plan tells no LIMIT */
#define DEFAULT_WANTED	10

/* candidates that memory must allow even where work_mem is tiny */
#define LEAST_CANDIDATES	4096

VkScanStats vk_last_stats;

/* set of TIDs that earlier rounds emitted */
typedef struct TidEntry
{
	uint64		tid;
	char		status;
} TidEntry;

#define SH_PREFIX tidset
#define SH_ELEMENT_TYPE TidEntry
#define SH_KEY_TYPE uint64
#define SH_KEY tid
#define SH_HASH_KEY(tb, key) murmurhash32((uint32) (key) ^ (uint32) ((key) >> 32) * 0x9E3779B9U)
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

/* An entry of the heap: a candidate, then a row with its exact distance */
typedef struct Entry
{
	double		lower;			/* score; exact rows: the score itself */
	uint64		tid;
	bool		exact;
} Entry;

typedef enum Phase
{
	PHASE_START,				/* nothing read yet */
	PHASE_ROUND,				/* emitting from the heap */
	PHASE_SORTED,				/* streaming what is left from the tuplesort */
	PHASE_DONE
} Phase;

typedef struct VkScan
{
	/* Unchanging state */
	MemoryContext context;		/* of the scan */
	MemoryContext query_context;	/* of one rescan */
	VkIndex    *vk;
	const VkSupport *support;
	VkSearch   *search;
	VkHeapReader *reader;

	/* Mutable state: one query */
	Phase		phase;
	VkMeta		meta;
	const float *vector;		/* NULL: no distance, every order is right */
	bool		unordered;		/* distances are all NaN or NULL */
	int64		wanted;			/* new rows this round is for */
	int64		round_emitted;	/* rows emitted in it, not yet in emitted_set */
	bool		strict;			/* proven bounds over all lists */
	bool		exhaustive;		/* this round saw every list */
	double		total;			/* rows in the index, about */
	double		watermark;		/* smallest lower bound dropped */
	Entry	   *entries;
	int64		entry_capacity;
	binaryheap *heap;
	uint64	   *emitted;		/* TIDs in the order of emission */
	int64		emitted_count;
	int64		emitted_capacity;
	tidset_hash *emitted_set;	/* from the second round on */
	Tuplesortstate *sort;
	TupleTableSlot *sort_slot;
	VkScanStats stats;
} VkScan;

/* ---- exact distances ---- */

static bool
fetch_distance(IndexScanDesc scan, uint64 tid, double *distance)
{
	VkScan	   *so = scan->opaque;

	so->stats.fetched++;
	return vk_heap_reader_distance(so->reader, tid, distance);
}

static double
exact_score(const VkScan *so, double distance)
{
	return isnan(distance) ? distance : so->support->score(distance);
}

/* ---- exact scores while a round collects ---- */

/* Find one candidate's score; false: its row is not visible. */
static bool
score_candidate(IndexScanDesc scan, VkCandidate *entry)
{
	double		distance;
	double		score;

	CHECK_FOR_INTERRUPTS();
	if (!fetch_distance(scan, entry->tid, &distance))
		return false;
	score = exact_score(scan->opaque, distance);
	entry->lower = isnan(score) ? get_float4_infinity() :
		nextafterf((float) score, -INFINITY);
	entry->upper = isnan(score) ? get_float4_infinity() :
		nextafterf((float) score, INFINITY);
	entry->slot |= VK_REFINED | VK_EXACT;
	entry->score = score;
	return true;
}

/* VkRound.sharpen: the nearest by their lower bounds */
static void
sharpen(void *arg, VkCandidates *candidates)
{
	VkCandidate *entries = candidates->entries;
	int64		left = candidates->wanted;
	int64		open = 0;
	int64		kept = 0;
	float		last = get_float4_infinity();

	for (int64 i = 0; i < candidates->count; i++)
		if (!(entries[i].slot & VK_EXACT))
			candidates->scratch[open++] = entries[i].lower;
	if (open > left)
		last = vk_select_float(candidates->scratch, open, left - 1);
	for (int64 i = 0; i < candidates->count; i++)
	{
		VkCandidate entry = entries[i];

		if (!(entry.slot & VK_EXACT) && entry.lower <= last && left > 0)
		{
			left--;
			if (!score_candidate(arg, &entry))
				continue;
		}
		entries[kept++] = entry;
	}
	candidates->count = kept;
}

static int
compare_tids(const void *a, const void *b)
{
	const VkCandidate *x = a;
	const VkCandidate *y = b;

	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

static int
compare_lowers(const void *a, const void *b)
{
	float		x = ((const VkCandidate *) a)->lower;
	float		y = ((const VkCandidate *) b)->lower;

	return x < y ? -1 : x > y;
}

/* VkRound.tighten: all of them, in heap order; those that are wanted stay */
static void
tighten(void *arg, VkCandidates *candidates)
{
	VkCandidate *entries = candidates->entries;
	int64		kept = 0;

	qsort(entries, candidates->count, sizeof(VkCandidate), compare_tids);
	for (int64 i = 0; i < candidates->count; i++)
	{
		VkCandidate entry = entries[i];

		if ((entry.slot & VK_EXACT) || score_candidate(arg, &entry))
			entries[kept++] = entry;
	}
	candidates->count = kept;
	qsort(entries, kept, sizeof(VkCandidate), compare_lowers);
	if (kept > candidates->wanted)
	{
		candidates->count = candidates->wanted;
		candidates->dropped = Min(candidates->dropped,
								  entries[candidates->wanted].lower);
		candidates->threshold = Min(candidates->threshold,
									entries[candidates->wanted - 1].upper);
	}
}

/* ---- the heap of entries ---- */

/* smallest lower bound first; NaN last; ties: exact first, then TID */
static int
compare_entries(Datum a, Datum b, void *arg)
{
	const Entry *x = (const Entry *) DatumGetPointer(a);
	const Entry *y = (const Entry *) DatumGetPointer(b);
	int			order = float8_cmp_internal(x->lower, y->lower);

	if (order == 0)
		order = (int) y->exact - (int) x->exact;
	if (order == 0)
		order = x->tid < y->tid ? -1 : x->tid > y->tid;
	return -order;
}

static void
load_heap(VkScan *so, const VkCandidates *candidates)
{
	MemoryContext old = MemoryContextSwitchTo(so->query_context);

	if (so->entry_capacity < candidates->count)
	{
		if (so->entries != NULL)
			pfree(so->entries);
		if (so->heap != NULL)
			binaryheap_free(so->heap);
		so->entry_capacity = candidates->count;
		so->entries = MemoryContextAllocHuge(so->query_context,
											 sizeof(Entry) * so->entry_capacity);
		so->heap = binaryheap_allocate((int) so->entry_capacity, compare_entries, NULL);
	}
	if (so->heap != NULL)
		binaryheap_reset(so->heap);
	for (int64 i = 0; i < candidates->count; i++)
	{
		const VkCandidate *candidate = &candidates->entries[i];
		Entry	   *entry = &so->entries[i];

		entry->exact = (candidate->slot & VK_EXACT) != 0;
		entry->lower = entry->exact ? candidate->score : candidate->lower;
		entry->tid = candidate->tid;
		binaryheap_add_unordered(so->heap, PointerGetDatum(entry));
	}
	if (so->heap != NULL)
		binaryheap_build(so->heap);
	MemoryContextSwitchTo(old);
}

/* ---- rounds ---- */

/* Enter what this round emitted into the set that later rounds skip. */
static void
update_emitted_set(VkScan *so)
{
	bool		present;

	if (so->emitted_count == 0)
		return;
	if (so->emitted_set == NULL)
		so->emitted_set = tidset_create(so->query_context,
										(uint32) so->emitted_count * 2, NULL);
	for (int64 i = 0; i < so->round_emitted; i++)
		tidset_insert(so->emitted_set,
					  so->emitted[so->emitted_count - 1 - i], &present);
	so->round_emitted = 0;
}

static bool
was_emitted(const VkScan *so, uint64 tid)
{
	return so->emitted_set != NULL && tidset_lookup(so->emitted_set, tid) != NULL;
}

static bool
skip_emitted(void *arg, uint64 tid)
{
	return was_emitted(((IndexScanDesc) arg)->opaque, tid);
}

/* half of work_mem: arrays are copied where they grow */
static int64
most_candidates(void)
{
	int64		most = (int64) work_mem * 1024 / 2 /
		(sizeof(VkCandidate) + sizeof(float) + sizeof(Entry) + sizeof(Datum));

	return Max(most, LEAST_CANDIDATES);
}

/* rows that a round may be for; for more, all rows are fetched and sorted */
int64
vk_scan_round_limit(void)
{
	return most_candidates() / 4;
}

/* would a round for this many rows leave the memory that it may have? */
static bool
round_too_large(const VkScan *so, int64 wanted)
{
	return wanted > vk_scan_round_limit() ||
		(double) wanted * 2 >= so->total;
}

static void
start_round(IndexScanDesc scan, int64 wanted)
{
	VkScan	   *so = scan->opaque;
	VkRound		round = {0};
	VkCandidates *found;
	double		total = so->emitted_count + wanted;

	update_emitted_set(so);
	round.wanted = wanted;
	round.proven = so->strict;
	round.probes = so->strict ? 0 : vk_probes;
	round.budget = so->strict ? get_float8_infinity() :
		vk_curve_budget(&so->meta.curve, total, vk_target_recall,
						so->total);
	if (!so->strict && round.probes > 0 && so->stats.rounds > 0)
		round.probes *= (int64) ceil(total / so->stats.wanted);
	round.skip = so->emitted_set != NULL ? skip_emitted : NULL;
	round.sharpen = sharpen;
	round.tighten = tighten;
	round.arg = scan;
	round.max_candidates = most_candidates();
	found = vk_search_collect(so->search, &round, &so->exhaustive);

	so->wanted = wanted;
	so->round_emitted = 0;
	so->watermark = found->dropped;
	load_heap(so, found);
	so->stats.rounds++;
	if (so->stats.rounds == 1)
		so->stats.wanted = wanted;
	so->stats.budget = Min(round.budget, so->total);
	so->stats.exhaustive = so->exhaustive;
	so->phase = PHASE_ROUND;
}

static void
remember_emitted(VkScan *so, uint64 tid)
{
	if (so->emitted_count == so->emitted_capacity)
	{
		Size		size;

		so->emitted_capacity = Max(so->emitted_capacity * 2, 64);
		size = so->emitted_capacity * sizeof(uint64);
		so->emitted = so->emitted == NULL ?
			MemoryContextAllocHuge(so->query_context, size) :
			repalloc_huge(so->emitted, size);
	}
	so->emitted[so->emitted_count++] = tid;
	so->round_emitted++;
}

/*
 * The next row of this round; false where the round has no more to say.
 */
static bool
next_of_round(IndexScanDesc scan, uint64 *tid)
{
	VkScan	   *so = scan->opaque;

	/* below target 1, more rows deserve more work first (rule 15) */
	if (!so->strict && so->round_emitted >= so->wanted)
		return false;

	while (so->heap != NULL && !binaryheap_empty(so->heap))
	{
		Entry	   *top = (Entry *) DatumGetPointer(binaryheap_first(so->heap));
		double		distance;

		if (top->exact)
		{
			if (so->watermark < top->lower ||
				(isnan(top->lower) && so->watermark != get_float8_infinity()))
				return false;
			binaryheap_remove_first(so->heap);
			*tid = top->tid;
			return true;
		}
		CHECK_FOR_INTERRUPTS();
		if (fetch_distance(scan, top->tid, &distance))
		{
			top->exact = true;
			top->lower = exact_score(so, distance);
			binaryheap_replace_first(so->heap, PointerGetDatum(top));
		}
		else
			binaryheap_remove_first(so->heap);
	}
	return false;
}

/* ---- all the rest: fetched, sorted, streamed ---- */

static void
sort_row(IndexScanDesc scan, uint64 tid, double distance, int group)
{
	VkScan	   *so = scan->opaque;
	TupleTableSlot *slot = so->sort_slot;

	ExecClearTuple(slot);
	slot->tts_values[0] = Int32GetDatum(group);
	slot->tts_values[1] = Float8GetDatum(distance);
	slot->tts_values[2] = Int64GetDatum((int64) tid);
	memset(slot->tts_isnull, false, 3 * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(so->sort, slot);
}

static void
sort_list_row(void *arg, uint64 tid)
{
	IndexScanDesc scan = arg;
	VkScan	   *so = scan->opaque;
	double		distance = 0;

	if (was_emitted(so, tid))
		return;
	CHECK_FOR_INTERRUPTS();
	if (so->unordered || fetch_distance(scan, tid, &distance))
		sort_row(scan, tid, distance, 0);
}

static void
sort_nan_row(void *arg, uint64 tid)
{
	sort_row(arg, tid, get_float8_nan(), 0);
}

static void
sort_null_row(void *arg, uint64 tid)
{
	sort_row(arg, tid, 0, 1);
}

/* Sort every row not emitted yet: (NULL last, distance, TID). */
static void
start_sorted(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;
	MemoryContext old;
	TupleDesc	desc;
	AttrNumber	keys[] = {1, 2, 3};
	Oid			operators[] = {Int4LessOperator, Float8LessOperator, Int8LessOperator};
	Oid			collations[] = {InvalidOid, InvalidOid, InvalidOid};
	bool		nulls_first[] = {false, false, false};

	update_emitted_set(so);
	old = MemoryContextSwitchTo(so->query_context);
	desc = CreateTemplateTupleDesc(3);
	TupleDescInitEntry(desc, 1, "group", INT4OID, -1, 0);
	TupleDescInitEntry(desc, 2, "distance", FLOAT8OID, -1, 0);
	TupleDescInitEntry(desc, 3, "tid", INT8OID, -1, 0);
	vk_tuple_desc_finalize(desc);
	so->sort_slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	so->sort = tuplesort_begin_heap(desc, 3, keys, operators, collations,
									nulls_first, work_mem, NULL, TUPLESORT_NONE);
	vk_list_tids(scan->indexRelation, so->vk, &so->meta, sort_list_row, scan);
	vk_rest_tids(scan->indexRelation, so->vk, &so->meta, VK_SLOT_REST_NAN,
				 sort_nan_row, scan);
	vk_rest_tids(scan->indexRelation, so->vk, &so->meta, VK_SLOT_REST_NULL,
				 sort_null_row, scan);
	tuplesort_performsort(so->sort);
	/* nothing is fetched any more: keep no heap page pinned meanwhile */
	vk_heap_reader_reset(so->reader);
	ExecDropSingleTupleTableSlot(so->sort_slot);
	so->sort_slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	so->stats.exhaustive = true;
	so->phase = PHASE_SORTED;
	MemoryContextSwitchTo(old);
}

static bool
next_sorted(VkScan *so, uint64 *tid)
{
	bool		isnull;

	if (!tuplesort_gettupleslot(so->sort, true, false, so->sort_slot, NULL))
		return false;
	*tid = (uint64) DatumGetInt64(slot_getattr(so->sort_slot, 3, &isnull));
	return true;
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
	so->vk = vk_index_copy(index, context);
	so->support = vk_support(index);
	so->search = vk_search_create(index, so->vk);
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
	so->entries = NULL;
	so->entry_capacity = 0;
	so->heap = NULL;
	so->emitted = NULL;
	so->emitted_count = so->emitted_capacity = 0;
	so->round_emitted = 0;
	so->emitted_set = NULL;
	so->vector = NULL;
	so->unordered = false;
	so->phase = PHASE_START;
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
	if (orderbys != NULL && norderbys > 0)
		memmove(scan->orderByData, orderbys, norderbys * sizeof(ScanKeyData));
}

/* Take the query vector out of the scan key; none: any order is right. */
static void
take_vector(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;
	ScanKey		key = scan->orderByData;
	const float *values;
	int			dim;

	so->unordered = true;
	if (scan->numberOfOrderBys == 0 || (key->sk_flags & SK_ISNULL))
		return;
	values = so->support->values(PointerGetDatum(PG_DETOAST_DATUM(key->sk_argument)),
								 &dim);
	if (dim != so->vk->coder.dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different vector dimensions %d and %d",
						so->vk->coder.dim, dim)));
	so->vector = memcpy(palloc(dim * sizeof(float)), values, dim * sizeof(float));
	vk_heap_reader_query(so->reader, so->query_context, so->vector);
	so->unordered = !vk_search_reset(so->search, &so->meta, so->vector, &so->stats);
}

/*
 * Rows in the index: what the last build or vacuum counted, or what its pages
 * can hold where it has grown since.
 */
static double
estimate_rows(Relation index, const VkIndex *vk, const VkMeta *meta)
{
	double		bytes = (double) RelationGetNumberOfBlocks(index) * VK_PAYLOAD_SIZE;
	double		row_bytes = (double) vk->block_lines * VK_LINE_SIZE / VK_LANES +
		vk->coder.refine_size;

	/* a list's last page is half empty */
	return Max(meta->live_rows, bytes / row_bytes / 2);
}

/* another round, or all the rest */
static void
go_on(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;
	bool		finished = so->exhaustive &&
		(so->heap == NULL || binaryheap_empty(so->heap)) &&
		so->watermark == get_float8_infinity();
	int64		next = Max(so->emitted_count,
						   so->round_emitted == 0 ? so->wanted * 2 : so->wanted);

	if (finished || round_too_large(so, next + so->emitted_count))
		start_sorted(scan);
	else
		start_round(scan, next);
}

static void
start_scan(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;
	MemoryContext old;
	int64		wanted;

	if (!IsMVCCSnapshot(scan->xs_snapshot))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" can be scanned with an MVCC snapshot only",
						RelationGetRelationName(scan->indexRelation))));
	vk_heap_reader_open(so->reader, scan->heapRelation, scan->xs_snapshot);
	pgstat_count_index_scan(scan->indexRelation);
	vk_meta_read(scan->indexRelation, &so->meta);
	so->total = estimate_rows(scan->indexRelation, so->vk, &so->meta);
	so->stats.valid = true;
	so->stats.index = RelationGetRelid(scan->indexRelation);
	so->strict = so->vk->coder.flat || so->meta.lists == 0 ||
		(vk_target_recall >= 1.0 && vk_probes == 0);
	vk_search_snapshot(so->search, scan->xs_snapshot);

	old = MemoryContextSwitchTo(so->query_context);
	take_vector(scan);
	MemoryContextSwitchTo(old);

	wanted = vk_limit_hint(scan->orderByData, scan->numberOfOrderBys);
	if (wanted <= 0)
		wanted = DEFAULT_WANTED;
	if (so->unordered || vk_search_wild(so->search) || round_too_large(so, wanted))
		start_sorted(scan);
	else
		start_round(scan, wanted);
}

bool
vk_gettuple(IndexScanDesc scan, ScanDirection direction)
{
	VkScan	   *so = scan->opaque;
	uint64		tid = 0;

	Assert(ScanDirectionIsForward(direction));
	if (so->phase == PHASE_START)
		start_scan(scan);
	while (so->phase == PHASE_ROUND)
	{
		instr_time	start;
		instr_time	end;
		bool		found;

		INSTR_TIME_SET_CURRENT(start);
		found = next_of_round(scan, &tid);
		INSTR_TIME_SET_CURRENT(end);
		INSTR_TIME_SUBTRACT(end, start);
		so->stats.fetch_us += INSTR_TIME_GET_DOUBLE(end) * 1e6;
		if (found)
		{
			remember_emitted(so, tid);
			break;
		}
		go_on(scan);
	}
	if (so->phase == PHASE_SORTED && !next_sorted(so, &tid))
		so->phase = PHASE_DONE;
	if (so->phase == PHASE_DONE)
		return false;

	vk_heap_reader_unpin(so->reader);
	so->stats.emitted++;
	vk_tid_decode(tid, &scan->xs_heaptid);
	scan->xs_recheck = false;
	scan->xs_recheckorderby = false;
	return true;
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
						" rows scored, " INT64_FORMAT " refined, " INT64_FORMAT
						" fetched, " INT64_FORMAT " emitted, " INT64_FORMAT " rounds",
						RelationGetRelationName(scan->indexRelation),
						vk_last_stats.lists, vk_last_stats.rows,
						vk_last_stats.refined, vk_last_stats.fetched,
						vk_last_stats.emitted, vk_last_stats.rounds)));
	vk_heap_reader_close(so->reader);
	MemoryContextDelete(so->context);
	scan->opaque = NULL;
}
