/*-------------------------------------------------------------------------
 *
 * round.c
 *	  Ordered scans: rounds of candidates, exact vectors from the heap, order.
 *
 * NOTES
 *	  A round asks search.c for the rows that may be among the nearest k, and
 *	  emits best first: the entry with the smallest lower bound is fetched from
 *	  the heap; once an exact one is on top it is the answer.  Rows that were
 *	  dropped on the way leave the smallest of their lower bounds as watermark,
 *	  since those that set the threshold may be dead or filtered out: an exact row
 *	  beyond it is not emitted, the round is repeated for twice as many rows,
 *	  skipping what was emitted.  When the
 *	  next round would not fit in work_mem, or would want most of the index,
 *	  all that is left is sorted (sorted.c).  So every row of the table comes out
 *	  once, however many are asked for.
 *
 *	  Below target 1 bounds are statistical, so an exact row on top may lie behind
 *	  one whose bound was too high: rows are found and sorted, as many as the LIMIT
 *	  wants or a few at a time, before the first is emitted.  What a kernel leaves out
 *	  then has no bound that anybody knows, and no part in the watermark; but while
 *	  there is such a row, the end of a round is not the end of the rows.
 *
 *	  Within a radius the rounds end with the last row inside it.
 *
 * IDENTIFICATION
 *	  src/am/round.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"
#include "utils/float.h"
#include "utils/memutils.h"

#include "am/scan.h"
#include "am/upkeep.h"

/* rows that a search under conditions looks for at least: it goes on until they
 * change no more, and one or two may stay the same by chance */
#define LEAST_SELECTED	10

/* rows of a round that the snapshot does not see, so many and half of those fetched,
 * from which on it looks for those that it sees */
#define MANY_GONE		10

/* candidates that memory must allow even where work_mem is tiny */
#define LEAST_CANDIDATES	4096

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
#define SH_HASH_KEY(tb, key) vk_tid_hash(key)
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

/* ---- exact scores while a round collects ---- */

/* Find one candidate's score; false: its row is not visible. */
static bool
score_candidate(IndexScanDesc scan, VkCandidate *entry)
{
	double		distance;
	double		score;

	CHECK_FOR_INTERRUPTS();
	if (!vk_scan_distance(scan, entry->tid, (entry->slot & VK_CHECKED) != 0, &distance))
		return false;
	score = vk_exact_score(((VkScan *) scan->opaque)->support, distance);
	/* what a prune drops must show in the watermark */
	entry->lower = isnan(score) ? FLT_MAX : nextafterf((float) score, -INFINITY);
	entry->upper = isnan(score) ? get_float4_infinity() :
		nextafterf((float) score, INFINITY);
	entry->slot |= VK_REFINED | VK_CHECKED | VK_EXACT;
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
	vk_candidates_order(entries, kept);
	if (kept > candidates->wanted)
	{
		candidates->count = candidates->wanted;
		candidates->dropped = Min(candidates->dropped,
								  entries[candidates->wanted].lower);
		candidates->threshold = Min(candidates->threshold,
									entries[candidates->wanted - 1].upper);
	}
}

/* VkRound.check */
static bool
check(void *arg, uint64 tid)
{
	VkScan	   *so = ((IndexScanDesc) arg)->opaque;

	so->stats.checked++;
	return vk_heap_reader_passes(so->reader, tid);
}

/* ---- rows of a round, nearest first ---- */

/*
 * Candidates wait in the order of their lower bounds, of which as much is sorted as is
 * looked at; rows whose exact scores are known wait in a heap.  The next row is the
 * first of the heap, once all bounds of candidates are above its score.
 */

/* smallest score first; NaN last; ties: TID */
static int
compare_entries(Datum a, Datum b, void *arg)
{
	const VkEntry *x = (const VkEntry *) DatumGetPointer(a);
	const VkEntry *y = (const VkEntry *) DatumGetPointer(b);
	int			order = float8_cmp_internal(x->score, y->score);

	if (order == 0)
		order = x->tid < y->tid ? -1 : x->tid > y->tid;
	return -order;
}

/* no rows, and room for count of them */
static void
make_heap(VkScan *so, int64 count)
{
	MemoryContext old = MemoryContextSwitchTo(so->query_context);

	if (so->entry_capacity < count)
	{
		if (so->entries != NULL)
		{
			pfree(so->entries);
			pfree(so->settled);
		}
		if (so->heap != NULL)
			binaryheap_free(so->heap);
		so->entry_capacity = count;
		so->entries = MemoryContextAllocHuge(so->query_context,
											 sizeof(VkEntry) * so->entry_capacity);
		so->settled = MemoryContextAllocHuge(so->query_context,
											 sizeof(VkEntry *) * so->entry_capacity);
		so->heap = binaryheap_allocate((int) so->entry_capacity, compare_entries, NULL);
	}
	if (so->heap != NULL)
		binaryheap_reset(so->heap);
	so->entry_count = 0;
	MemoryContextSwitchTo(old);
}

static void
add_entry(VkScan *so, double score, uint64 tid, bool checked)
{
	VkEntry    *entry = &so->entries[so->entry_count++];

	entry->score = score;
	entry->tid = tid;
	entry->checked = checked;
	binaryheap_add(so->heap, PointerGetDatum(entry));
}

static void
load_candidates(VkScan *so, VkCandidates *candidates)
{
	make_heap(so, candidates->count);
	so->candidates = candidates;
	so->sorted = so->taken = so->asked = so->ahead = 0;
	so->window = vk_heap_reader_window(so->reader);
}

static void
load_rows(VkScan *so, const VkNeighbor *rows, int64 count)
{
	make_heap(so, count);
	so->candidates = NULL;
	for (int64 i = 0; i < count; i++)
		add_entry(so, vk_exact_score(so->support, rows[i].distance), rows[i].tid, true);
}

/* a candidate by its place in the order, NULL behind the last */
static const VkCandidate *
candidate_at(VkScan *so, int64 place)
{
	if (so->candidates == NULL ||
		(place == so->sorted && !vk_candidates_sort(so->candidates, &so->sorted)))
		return NULL;
	return &so->candidates->entries[place];
}

/*
 * Ask for the pages of the rows that are fetched after this one, whose own was asked
 * for unless it is the first.
 */
static void
ask_ahead(VkScan *so)
{
	uint64		numbers[VK_ASK_MOST];
	const VkCandidate *candidate;
	int64		most;
	int			count = 0;

	if (so->ahead > 0)
		so->ahead--;
	if (so->ahead > so->window / 2 || so->window == 0)
		return;
	most = Min(Max(so->window - so->ahead, so->asked / 4), VK_ASK_MOST);
	so->asked = Max(so->asked, so->taken);
	while (count < most && (candidate = candidate_at(so, so->asked)) != NULL)
	{
		if (!(candidate->slot & VK_EXACT))
			numbers[count++] = candidate->tid;
		so->asked++;
	}
	vk_heap_reader_ask(so->reader, numbers, count);
	so->ahead += count;
}

/* ---- rounds ---- */

/* Enter what this round emitted into the set that later rounds skip. */
void
vk_round_note_emitted(VkScan *so)
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

bool
vk_round_was_emitted(const VkScan *so, uint64 tid)
{
	return so->emitted_set != NULL && tidset_lookup(so->emitted_set, tid) != NULL;
}

static bool
skip_emitted(void *arg, uint64 tid)
{
	return vk_round_was_emitted(((IndexScanDesc) arg)->opaque, tid);
}

/* half of work_mem, as arrays are copied where they grow; the heap is no huge one */
static int64
most_candidates(void)
{
	int64		most = (int64) work_mem * 1024 / 2 /
		(sizeof(VkCandidate) + sizeof(float) + sizeof(VkEntry) + sizeof(Datum) +
		 sizeof(VkEntry *));

	most = Min(most, (int64) (MaxAllocSize / sizeof(Datum) / 2));
	return Max(most, LEAST_CANDIDATES);
}

/* rows that a round may be for; for more, all rows are fetched and sorted */
int64
vk_scan_round_limit(void)
{
	return most_candidates() / 4;
}

bool
vk_round_too_large(const VkScan *so, int64 wanted)
{
	return wanted > vk_scan_round_limit() ||
		(double) wanted * 2 >= so->total;
}

void
vk_round_init(IndexScanDesc scan, int64 wanted, VkRound *round)
{
	VkScan	   *so = scan->opaque;

	vk_scan_init_round(scan, round);
	round->total = so->emitted_count + wanted;
	if (so->stats.rounds > 0)
		round->probes *= (int64) ceil(round->total / so->stats.wanted);
	round->skip = so->emitted_set != NULL ? skip_emitted : NULL;
}

/* rows are there for the round: they can be emitted */
static void
enter_round(VkScan *so, int64 wanted)
{
	int64		limit = vk_hint_limit(so->hint);

	so->wanted = wanted;
	so->round_emitted = 0;
	so->settled_count = so->settled_next = 0;
	so->step = Min(wanted, limit > so->emitted_count ? limit - so->emitted_count :
				   VK_DEFAULT_WANTED);
	so->stats.rounds++;
	if (so->stats.rounds == 1)
		so->stats.wanted = wanted;
	so->stats.exhaustive = so->exhaustive;
	so->phase = VK_PHASE_ROUND;
}

void
vk_round_start(IndexScanDesc scan, int64 wanted)
{
	VkScan	   *so = scan->opaque;
	VkRound		round;
	VkCandidates *found;

	vk_round_note_emitted(so);
	so->fetched = so->gone = 0;
	if (so->support->documents)
	{
		if (!vk_documents_round(scan, wanted))
			vk_sorted_start(scan, true);
		return;
	}
	vk_round_init(scan, wanted, &round);
	round.check = so->filtered || so->gone_near ? check : NULL;
	round.wanted = round.check != NULL || vk_round_selects(&round) ?
		Max(wanted, LEAST_SELECTED) : wanted;
	round.sharpen = sharpen;
	round.tighten = tighten;
	round.max_candidates = most_candidates();
	found = vk_search_collect(so->search, &round, &so->exhaustive);
	vk_check_not_recycled(scan->indexRelation, so->meta.epoch);
	vk_scan_note_cut(scan);
	if (so->share != NULL)
		so->total = vk_search_rows(so->search);

	/* what lies outside the radius is not missed; just on it rows may be inside */
	so->watermark = so->keys.ranged &&
		(found->dropped > round.radius || found->threshold >= round.radius) ?
		get_float8_infinity() : found->dropped;
	so->left_out = found->left_out < round.radius;
	load_candidates(so, found);
	enter_round(so, wanted);
}

void
vk_round_load(VkScan *so, const VkNeighbor *rows, int64 count, double watermark,
			  int64 wanted)
{
	load_rows(so, rows, count);
	so->watermark = watermark;
	so->left_out = false;
	so->exhaustive = watermark == get_float8_infinity();
	enter_round(so, wanted);
}

/*
 * vk_round_answer -- a first round whose rows somebody has found before
 */
void
vk_round_answer(VkScan *so, const VkNeighbor *rows, int64 wanted)
{
	vk_round_load(so, rows, wanted, vk_exact_score(so->support, rows[wanted - 1].distance),
				  wanted);
	so->exhaustive = so->stats.exhaustive = false;
}

static void
remember_emitted(VkScan *so, uint64 tid)
{
	so->emitted = vk_array_grow(so->query_context, so->emitted, so->emitted_count,
								&so->emitted_capacity, sizeof(uint64));
	so->emitted[so->emitted_count++] = tid;
	so->round_emitted++;
}

/* did the round take all rows of the lists that it visited? */
static bool
holds_all(const VkScan *so)
{
	return so->watermark == get_float8_infinity() && !so->left_out;
}

/* and did it visit all lists? */
static bool
holds_index(const VkScan *so)
{
	return so->exhaustive && holds_all(so);
}

/* are neither rows nor candidates left of the round? */
static bool
is_used_up(VkScan *so)
{
	return (so->heap == NULL || binaryheap_empty(so->heap)) &&
		candidate_at(so, so->taken) == NULL;
}

/*
 * Scores of bits are exact without a look at the row.  Below target 1 it must be there:
 * else a round would have fewer rows than the LIMIT wants.
 */
static bool
is_there(IndexScanDesc scan, const VkEntry *entry)
{
	VkScan	   *so = scan->opaque;
	bool		there = check(scan, entry->tid);

	so->fetched++;
	so->gone += !there;
	return there;
}

/* The next candidate becomes a row with its exact score, if the query sees it. */
static void
take_candidate(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;
	const VkCandidate *candidate = candidate_at(so, so->taken++);
	bool		checked = (candidate->slot & VK_CHECKED) != 0;
	double		distance;

	if (candidate->slot & VK_EXACT)
	{
		add_entry(so, candidate->score, candidate->tid, checked);
		return;
	}
	ask_ahead(so);
	if (vk_scan_distance(scan, candidate->tid, checked, &distance))
		add_entry(so, vk_exact_score(so->support, distance), candidate->tid, true);
}

/*
 * Take the nearest row; NULL where there is none, or it must wait for a later round.
 */
static VkEntry *
take_nearest(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;

	while (!is_used_up(so))
	{
		VkEntry    *top = binaryheap_empty(so->heap) ? NULL :
			(VkEntry *) DatumGetPointer(binaryheap_first(so->heap));
		const VkCandidate *candidate = candidate_at(so, so->taken);

		CHECK_FOR_INTERRUPTS();
		if (candidate != NULL &&
			(top == NULL || float8_ge(top->score, candidate->lower)))
		{
			take_candidate(scan);
			continue;
		}
		if (so->watermark < top->score || (isnan(top->score) && !holds_all(so)))
			return NULL;
		binaryheap_remove_first(so->heap);
		if (so->strict || top->checked || is_there(scan, top))
			return top;
	}
	return NULL;
}

static int
compare_settled(const void *a, const void *b)
{
	return -compare_entries(PointerGetDatum(*(VkEntry *const *) a),
							PointerGetDatum(*(VkEntry *const *) b), NULL);
}

/*
 * Below target 1: are rows left that might be nearer than those that this round has?
 * Within a radius the search for rows has ended with those.
 */
static bool
has_more(VkScan *so)
{
	return !is_used_up(so) ||
		(!so->keys.ranged && !holds_index(so));
}

/*
 * Below target 1: the next rows of this round, no more than it is for, since more
 * rows deserve more work first (rule 15).  Where the first of them are too few, a
 * round for more rows finds these again, and sorts in what it finds late.
 */
static void
settle(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;
	int64		most = Min(so->step, so->wanted - so->round_emitted);
	VkEntry    *entry;

	so->settled_count = so->settled_next = 0;
	while (so->settled_count < most && (entry = take_nearest(scan)) != NULL)
		so->settled[so->settled_count++] = entry;
	if (so->settled_count < most && so->round_emitted == 0 && has_more(so) &&
		!vk_search_cut(so->search))
		so->settled_count = 0;
	qsort(so->settled, so->settled_count, sizeof(VkEntry *), compare_settled);
	so->step *= 2;
}

/*
 * Have most rows near the query turned out to be deleted ones, which no vacuum has
 * cleared yet?  Then the lists visited were enough for those.  The round is done
 * again as under a condition, that of being visible, unless it took all rows, or
 * visited as many lists as the user wants, or what is left of vkindex.max_scan_rows
 * would not do.
 */
static bool
many_are_gone(const VkScan *so)
{
	return so->gone >= MANY_GONE && so->gone * 2 >= so->fetched && !so->gone_near &&
		so->round_emitted == 0 && !so->filtered && !so->support->documents &&
		!holds_index(so) && vk_probes == 0 &&
		!vk_search_cut(so->search) &&
		(vk_max_scan_rows == 0 || so->stats.rows * 2 <= vk_max_scan_rows);
}

/*
 * The next row of this round; NULL where the round has no more to say.
 */
static VkEntry *
next_of_round(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;

	if (so->strict)
		return take_nearest(scan);
	if (so->settled_next == so->settled_count)
	{
		settle(scan);
		if (many_are_gone(so))
			return NULL;
	}
	return so->settled_next < so->settled_count ? so->settled[so->settled_next++] : NULL;
}

bool
vk_round_is_late(const VkScan *so, double score)
{
	return !so->strict && vk_hint_ordered(so->hint) && float8_lt(score, so->last);
}

void
vk_round_go_on(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;
	bool		empty = is_used_up(so) && holds_all(so);
	bool		redo = !so->strict && many_are_gone(so);
	int64		next = Max(so->emitted_count, so->round_emitted == 0 && !redo ?
						   so->wanted * 2 : so->wanted);

	so->gone_near |= redo;
	if (so->answered)
	{
		vk_scan_begin_search(so);
		/* without bounds there are no rounds */
		if (so->unordered || vk_search_wild(so->search))
		{
			vk_sorted_start(scan, true);
			return;
		}
	}
	if (vk_search_cut(so->search) ||
		(empty && so->keys.ranged && !redo &&
		 (so->exhaustive || so->round_emitted < so->wanted)))
		so->phase = VK_PHASE_DONE;
	else if (empty && so->exhaustive)
		vk_sorted_start(scan, false);
	else if (vk_round_too_large(so, next + so->emitted_count))
		vk_sorted_start(scan, true);
	else
		vk_round_start(scan, next);
}

bool
vk_round_next(IndexScanDesc scan, uint64 *tid, bool *recheck)
{
	VkScan	   *so = scan->opaque;
	VkEntry    *entry;

	while ((entry = next_of_round(scan)) != NULL)
	{
		remember_emitted(so, entry->tid);
		if (vk_round_is_late(so, entry->score))
			continue;
		so->last = entry->score;
		*tid = entry->tid;
		*recheck = so->keys.recheck;
		return true;
	}
	return false;
}
