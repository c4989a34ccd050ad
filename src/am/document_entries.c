/*-------------------------------------------------------------------------
 *
 * document_entries.c
 *	  From the vectors of a query to documents, each with a bound.
 *
 * NOTES
 *	  See documents.c.
 *
 * IDENTIFICATION
 *	  src/am/document_entries.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "executor/nodeHash.h"
#include "miscadmin.h"
#include "utils/float.h"
#include "utils/memutils.h"

#include "am/documents.h"
#include "am/upkeep.h"

/* documents that memory must allow */
#define LEAST_DOCUMENTS		4096

/* relative error of a sum of scores */
#define SUM_ROUNDING		0x1p-32

#define SH_PREFIX documents
#define SH_ELEMENT_TYPE VkDocument
#define SH_KEY_TYPE uint64
#define SH_KEY tid
#define SH_HASH_KEY(tb, key) vk_tid_hash(key)
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

/* ---- entries ---- */

/* of the candidates' lower bounds; less than any where there are none */
static double
greatest_lower(const VkCandidates *found)
{
	double		greatest = -get_float8_infinity();

	for (int64 i = 0; i < found->count; i++)
		greatest = Max(greatest, found->entries[i].lower);
	return greatest;
}

/*
 * VkRound.tighten: the entries that may be nearest stay.  They are not refined any
 * more, for among them are some of this list, in no order.
 */
static void
tighten(void *arg, VkCandidates *candidates)
{
	VkCandidate *entries = candidates->entries;
	int64		kept = Min(candidates->count, candidates->capacity / 2);

	vk_candidates_order(entries, candidates->count);
	if (kept < candidates->count)
	{
		candidates->dropped = Min(candidates->dropped, entries[kept].lower);
		candidates->threshold = Min(candidates->threshold, entries[kept].lower);
	}
	candidates->count = kept;
	for (int64 i = 0; i < kept; i++)
		entries[i].slot |= VK_REFINED;
}

/*
 * The bound of all entries that are not among the candidates; infinity where every
 * entry is.
 */
static double
bound_of_others(const VkDocuments *documents, const VkCandidates *found, bool exhaustive)
{
	double		bound = found->dropped;

	if (documents->so->strict)
		return bound;
	bound = Min(bound, found->threshold);
	return isinf(bound) && !exhaustive ? greatest_lower(found) : bound;
}

/* Make room for the documents of all candidates; returns the bound of the others. */
static double
enter_documents(VkDocuments *documents, const VkCandidates *found, double bound)
{
	for (int64 i = 0; i < found->count; i++)
	{
		const VkCandidate *entry = &found->entries[i];
		VkDocument *document;
		bool		known;

		if (documents->table->members >= documents->most)
		{
			if (documents_lookup(documents->table, entry->tid) == NULL)
				bound = Min(bound, entry->lower);
			continue;
		}
		document = documents_insert(documents->table, entry->tid, &known);
		if (known)
			continue;
		document->state = VK_DOCUMENT_OPEN;
		document->gain = 0;
		document->vector = -1;
		document->met = 0;
	}
	return bound;
}

/* an entry's part in how near its document may be */
static void
add_gain(VkDocument *document, int vector, double gain)
{
	gain = Max(Min(gain, 0), -VK_NO_BOUND);
	if (document->vector != vector)
	{
		document->vector = vector;
		document->met++;
		document->own_gain = 0;
	}
	if (gain < document->own_gain)
	{
		document->gain += gain - document->own_gain;
		document->own_gain = gain;
	}
}

static void
take_entries(VkDocuments *documents, int vector, const VkCandidates *found,
			 bool exhaustive)
{
	double		bound = enter_documents(documents, found,
										bound_of_others(documents, found, exhaustive));

	if (isinf(bound) && bound > 0)
	{
		documents->complete = true;
		bound = found->count > 0 ? greatest_lower(found) : 0;
	}
	documents->base += bound;
	documents->magnitude += fabs(bound);
	for (int64 i = 0; i < found->count; i++)
	{
		VkDocument *document = documents_lookup(documents->table,
												found->entries[i].tid);

		if (document != NULL)
			add_gain(document, vector, found->entries[i].lower - bound);
	}
}

static void
forget_gains(VkDocuments *documents)
{
	documents_iterator iterator;
	VkDocument *document;

	documents->base = documents->magnitude = 0;
	documents->complete = false;
	documents_start_iterate(documents->table, &iterator);
	while ((document = documents_iterate(documents->table, &iterator)) != NULL)
	{
		document->gain = 0;
		document->vector = -1;
		document->met = 0;
	}
}

static bool
gather(VkDocuments *documents, int64 wanted)
{
	VkScan	   *so = documents->so;
	int			dim = so->vk->coder.dim;
	VkRound		round;

	vk_round_init(documents->scan, wanted, &round);
	round.wanted = documents->depth;
	round.total = documents->depth;
	round.rows = documents->entries;
	round.exhaustive |= documents->depth >= documents->entries && vk_probes == 0;
	round.tighten = tighten;
	round.max_candidates = 4 * vk_scan_round_limit();

	forget_gains(documents);
	for (int i = 0; i < so->keys.vectors; i++)
	{
		VkCandidates *found;
		bool		exhaustive;

		CHECK_FOR_INTERRUPTS();
		(void) vk_search_reset(so->search, &so->meta,
							   so->keys.vector + (Size) i * dim, &so->stats);
		if (vk_search_wild(so->search))
			return false;
		found = vk_search_collect(so->search, &round, &exhaustive);
		take_entries(documents, i, found, exhaustive);
		if (vk_search_cut(so->search))
			break;
	}
	vk_check_not_recycled(documents->scan->indexRelation, so->meta.epoch);
	vk_scan_note_cut(documents->scan);
	return true;
}

/* ---- documents ---- */

static double
least_distance(const VkDocuments *documents, double gain)
{
	return documents->base + gain -
		SUM_ROUNDING * (documents->magnitude - gain);
}

double
vk_documents_unseen(const VkDocuments *documents)
{
	return documents->complete ? get_float8_infinity() : least_distance(documents, 0);
}

static int
compare_ranked(const void *a, const void *b)
{
	const VkRankedDocument *x = a;
	const VkRankedDocument *y = b;

	if (x->lower != y->lower)
		return x->lower < y->lower ? -1 : 1;
	return x->document->tid < y->document->tid ? -1 :
		x->document->tid > y->document->tid;
}

static void
rank_documents(VkDocuments *documents)
{
	documents_iterator iterator;
	VkDocument *document;

	if (documents->ranked != NULL)
		pfree(documents->ranked);
	documents->ranked = MemoryContextAllocHuge(CurrentMemoryContext,
											   (documents->table->members + 1) *
											   sizeof(VkRankedDocument));
	documents->ranked_count = 0;
	documents_start_iterate(documents->table, &iterator);
	while ((document = documents_iterate(documents->table, &iterator)) != NULL)
	{
		VkRankedDocument *ranked = &documents->ranked[documents->ranked_count];

		if (document->state == VK_DOCUMENT_GONE)
			continue;
		ranked->document = document;
		ranked->lower = least_distance(documents, document->gain);
		documents->ranked_count++;
	}
	qsort(documents->ranked, documents->ranked_count, sizeof(VkRankedDocument),
		  compare_ranked);
}

/* ---- the whole ---- */

void
vk_documents_init(VkDocuments *documents, IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;

	memset(documents, 0, sizeof(VkDocuments));
	documents->scan = scan;
	documents->so = so;
	documents->entries = vk_estimate_rows(scan->indexRelation, so->vk, &so->meta);
	documents->most = Max(get_hash_memory_limit() / (2 * sizeof(VkDocument)),
						  LEAST_DOCUMENTS);
	documents->table = documents_create(CurrentMemoryContext, LEAST_DOCUMENTS, NULL);
}

bool
vk_documents_search(VkDocuments *documents, int64 depth, int64 wanted)
{
	documents->depth = depth;
	if (!gather(documents, wanted))
		return false;
	rank_documents(documents);
	return true;
}

uint64
vk_documents_count(const VkDocuments *documents)
{
	return documents->table->members;
}
