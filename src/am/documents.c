/*-------------------------------------------------------------------------
 *
 * documents.c
 *	  Ordered scans over arrays of vectors: the documents of least MaxSim
 *	  distance.
 *
 * NOTES
 *	  A document's distance is a sum over the query's vectors, of the least score
 *	  (quant.h: the negative inner product) of one of the document's vectors.  Each
 *	  of these has an entry in the index, so a search for one vector of the query
 *	  gives the entries whose score may lie below a bound.  With b(i) the bound
 *	  of vector i, no document is nearer than the sum of
 *
 *		min(b(i), the least lower bound among its entries that were found)
 *
 *	  and one without any entry found is no nearer than the sum of all b(i).  That
 *	  is the threshold algorithm (Fagin, Lotem, Naor, PODS 2001) with bounds in
 *	  place of scores; b(i) in the place of what was not found is also what XTR
 *	  imputes (Lee et al., NeurIPS 2023).
 *
 *	  Documents are fetched in the order of these sums; the operator's own
 *	  function says how far they are.  Once the k-th of them is nearer than the
 *	  sum of every other document, found or not, the answer is proven.  If the
 *	  documents that were not found stand against it, more entries are looked
 *	  for.
 *
 *	  Below target 1 each search finds its entries at the target; what one misses
 *	  of a document, others mostly find.  And the scan ends earlier: a document is
 *	  farther than its sum, by something for each vector that it was not found by.
 *	  How much that is, documents fetched tell: its mean and deviation a vector.
 *	  So the chance of each of the others to be in the answer is known, about, and
 *	  the scan ends when these chances add up to little.
 *
 * IDENTIFICATION
 *	  src/am/documents.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/float.h"
#include "utils/memutils.h"

#include "am/documents.h"

/* Entries that are looked for at first, a document wanted; at least so many times
 * the square root of all documents, strictly a share of them, for looking at more
 * entries costs less than a fetch.  And then: */
#define FIRST_DEPTH			8
#define LEAST_DEPTH			64
#define ROOTS				4
#define STRICT_SHARE		4
#define DEEPER				4

/* fetches, beside four times the documents wanted, after which more entries are
 * looked for */
#define FIRST_FETCHES		64

/* documents whose excess tells that of the others, at least */
#define LEAST_MEASURED		8

/* shares of what may be missed: by not fetching documents, and by not looking for
 * more entries */
#define FETCH_SHARE			0.25
#define DEPTH_SHARE			0.25

/* how much farther documents are than their lower bounds, for each vector of the
 * query that they were not found by */
typedef struct Excess
{
	double		count;			/* documents that tell */
	double		mean;
	double		deviation;
} Excess;

typedef struct DocumentSearch
{
	VkScan	   *so;
	int64		wanted;
	VkDocuments found;

	double		passed;			/* of the documents fetched */
	double		gone;			/* and the others: of no use */
	int64		compared;		/* whose distance is known, up to the rank at hand */
	int64		next_look;		/* rank at which the chances are added up again */
	bool		vain;			/* there are too many documents to fetch */
	double		next_lower;		/* what those not fetched are no nearer than */
	binaryheap *near;			/* the nearest VkDocument so far, the farthest first */
} DocumentSearch;

/* ---- documents whose distance is known ---- */

static int
compare_distances(Datum left, Datum right, void *arg)
{
	const VkDocument *a = (const VkDocument *) DatumGetPointer(left);
	const VkDocument *b = (const VkDocument *) DatumGetPointer(right);

	return (a->distance > b->distance) - (a->distance < b->distance);
}

/* are there as many as are wanted? */
static bool
is_full(const DocumentSearch *search)
{
	return search->near->bh_size >= search->wanted;
}

static double
farthest(const DocumentSearch *search)
{
	return ((VkDocument *) DatumGetPointer(binaryheap_first(search->near)))->distance;
}

/* distance of the last of the nearest, once there are enough of them */
static double
last_distance(const DocumentSearch *search)
{
	return is_full(search) ? farthest(search) : get_float8_infinity();
}

/* a document whose distance is known may be one of the nearest */
static void
consider(DocumentSearch *search, VkDocument *document)
{
	if (isnan(document->distance))
		return;
	if (!is_full(search))
		binaryheap_add(search->near, PointerGetDatum(document));
	else if (document->distance < farthest(search))
		binaryheap_replace_first(search->near, PointerGetDatum(document));
}

/* ---- chances ---- */

static double
unmet(const DocumentSearch *search, const VkDocument *document)
{
	return search->so->keys.vectors - document->met;
}

static Excess
measure_excess(const DocumentSearch *search)
{
	Excess		excess = {0};
	double		squares = 0;

	for (int64 i = 0; i < search->found.ranked_count; i++)
	{
		const VkRankedDocument *ranked = &search->found.ranked[i];
		double		vectors = unmet(search, ranked->document);
		double		value;
		double		change;

		if (ranked->document->state != VK_DOCUMENT_EXACT || vectors == 0)
			continue;
		value = (ranked->document->distance - ranked->lower) / vectors;
		if (!(value < VK_NO_BOUND / 2))
			continue;
		excess.count++;
		change = value - excess.mean;
		excess.mean += change / excess.count;
		squares += change * (value - excess.mean);
	}
	if (excess.count > 1)
		excess.deviation = sqrt(squares / (excess.count - 1));
	return excess;
}

/* of a document with such a lower bound to be nearer than the last of the answer */
static double
chance(const Excess *excess, double room, double vectors)
{
	double		gap;

	if (room <= 0)
		return 0;
	if (vectors == 0 || isinf(room))
		return 1;
	gap = excess->mean - room / vectors;
	if (excess->deviation == 0)
		return gap <= 0;
	return 0.5 * erfc(gap / (excess->deviation * M_SQRT2));
}

/* of the documents not fetched, those that will pass, as far as is known */
static double
passing_share(const DocumentSearch *search)
{
	return (search->passed + 1) / (search->passed + search->gone + 1);
}

/* documents from this rank on that are in the answer, about */
static double
missed_by_fetching(const DocumentSearch *search, const Excess *excess, int64 rank)
{
	double		last = last_distance(search);
	double		missed = 0;

	for (; rank < search->found.ranked_count && search->found.ranked[rank].lower < last; rank++)
	{
		const VkRankedDocument *ranked = &search->found.ranked[rank];

		if (ranked->document->state == VK_DOCUMENT_OPEN)
			missed += chance(excess, last - ranked->lower,
							 unmet(search, ranked->document));
	}
	return missed * passing_share(search);
}

/* and of those that were not found */
static double
missed_by_depth(const DocumentSearch *search, const Excess *excess)
{
	const VkScan *so = search->so;
	double		others = so->total - so->emitted_count - vk_documents_count(&search->found);

	return Max(others, 1) * passing_share(search) *
		chance(excess, last_distance(search) - vk_documents_unseen(&search->found),
			   so->keys.vectors);
}

/* so many may be, of the share that a rule has */
static double
allowed(const DocumentSearch *search, double share)
{
	return share * (1 - vk_target_recall) * search->wanted;
}

/* Below target 1: are the documents from this rank on hardly in the answer? */
static bool
is_quiet(DocumentSearch *search, int64 rank)
{
	Excess		excess;

	if (!is_full(search) || rank < search->next_look)
		return false;
	search->next_look = rank + Max(rank / 8, LEAST_MEASURED);
	excess = measure_excess(search);
	return excess.count >= LEAST_MEASURED &&
		missed_by_fetching(search, &excess, rank) <= allowed(search, FETCH_SHARE);
}

/* would a search for more entries find no other documents? */
static bool
is_deepest(const DocumentSearch *search)
{
	return search->found.depth >= search->found.entries || vk_probes > 0 ||
		vk_documents_count(&search->found) >= search->found.most;
}

/*
 * Is it time to look for more entries before more documents are fetched?  They tell
 * the documents apart, and take less time.
 */
static bool
is_vain(const DocumentSearch *search)
{
	if (search->compared < 4 * search->wanted + FIRST_FETCHES)
		return false;
	return search->so->strict ? vk_documents_unseen(&search->found) < last_distance(search) :
		!is_deepest(search);
}

/* are the documents from this rank on not in the answer, or hardly? */
static bool
is_done(DocumentSearch *search, int64 rank)
{
	return rank == search->found.ranked_count ||
		search->found.ranked[rank].lower >= last_distance(search) ||
		(!search->so->strict && is_quiet(search, rank));
}

static void
fetch(DocumentSearch *search, int64 rank)
{
	VkDocument *document = search->found.ranked[rank].document;

	if (document->state == VK_DOCUMENT_OPEN)
	{
		CHECK_FOR_INTERRUPTS();
		document->state = VK_DOCUMENT_GONE;
		search->gone++;
		if (!vk_scan_distance(search->found.scan, document->tid, false,
							  &document->distance))
			return;
		search->gone--;
		search->passed++;
		document->state = VK_DOCUMENT_EXACT;
		consider(search, document);
	}
	search->compared++;
}

/* Fetch documents in their order, as far as there is reason to. */
static void
fetch_documents(DocumentSearch *search)
{
	VkScanStats *stats = &search->so->stats;
	instr_time	start;
	instr_time	end;
	int64		rank;

	INSTR_TIME_SET_CURRENT(start);
	binaryheap_reset(search->near);
	search->next_look = 0;
	for (int64 i = 0; i < search->found.ranked_count; i++)
		if (search->found.ranked[i].document->state == VK_DOCUMENT_EXACT)
			consider(search, search->found.ranked[i].document);
	search->vain = false;
	search->compared = 0;
	for (rank = 0; !search->vain && !is_done(search, rank); rank++)
	{
		fetch(search, rank);
		search->vain = is_vain(search);
	}
	search->next_lower = rank < search->found.ranked_count ?
		search->found.ranked[rank].lower : get_float8_infinity();
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	stats->fetch_us += INSTR_TIME_GET_DOUBLE(end) * 1e6;
}

/* ---- when it is enough ---- */

/* no document can be nearer than the answer */
static bool
is_proven(const DocumentSearch *search)
{
	double		last = last_distance(search);

	return !vk_search_cut(search->so->search) &&
		last <= vk_documents_unseen(&search->found) && last <= search->next_lower;
}

/*
 * Below target 1: is hardly a document missing because none of its entries was
 * found?  With a given number of lists to visit more would come from the same.
 */
static bool
is_settled(const DocumentSearch *search)
{
	Excess		excess;

	if (vk_probes > 0)
		return true;
	if (search->vain || !is_full(search))
		return false;
	excess = measure_excess(search);
	return excess.count >= LEAST_MEASURED &&
		missed_by_depth(search, &excess) <= allowed(search, DEPTH_SHARE);
}

static int64
first_depth(const DocumentSearch *search)
{
	const VkScan *so = search->so;
	double		depth = (double) FIRST_DEPTH * (so->emitted_count + search->wanted);

	depth = Max(depth, so->strict ? so->total / STRICT_SHARE : ROOTS * sqrt(so->total));
	return (int64) Max(depth, LEAST_DEPTH);
}

/*
 * Look for entries, ever more of them, and fetch documents until there is an
 * answer.  False: memory does not allow one.
 */
static bool
find_documents(DocumentSearch *search)
{
	bool		strict = search->so->strict;

	for (int64 depth = first_depth(search);; depth *= DEEPER)
	{
		if (!vk_documents_search(&search->found, depth, search->wanted))
			return false;
		fetch_documents(search);
		if (vk_search_cut(search->so->search) || is_proven(search) ||
			(!strict && is_settled(search)))
			return true;
		if (is_deepest(search))
			return !strict;
	}
}

/* ---- the round ---- */

/* All documents whose distance is known are the round's. */
static void
load(DocumentSearch *search)
{
	VkScan	   *so = search->so;
	VkNeighbor *rows = MemoryContextAllocHuge(CurrentMemoryContext,
											  (search->found.ranked_count + 1) *
											  sizeof(VkNeighbor));
	int64		count = 0;
	double		watermark;

	for (int64 i = 0; i < search->found.ranked_count; i++)
	{
		const VkDocument *document = search->found.ranked[i].document;

		if (document->state == VK_DOCUMENT_EXACT)
			rows[count++] = (VkNeighbor) {document->distance, document->tid};
	}
	if (is_proven(search))
		watermark = Min(vk_documents_unseen(&search->found), search->next_lower);
	else
		watermark = binaryheap_empty(search->near) ? -get_float8_infinity() :
			farthest(search);
	vk_round_load(so, rows, count, watermark, search->wanted);
}

bool
vk_documents_round(IndexScanDesc scan, int64 wanted)
{
	VkScan	   *so = scan->opaque;
	MemoryContext context = AllocSetContextCreate(so->query_context,
												  "vkindex documents",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	DocumentSearch search = {.so = so, .wanted = wanted};
	bool		found;

	vk_documents_init(&search.found, scan);
	search.near = binaryheap_allocate((int) wanted, compare_distances, NULL);
	found = find_documents(&search);
	if (found)
		load(&search);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return found;
}
