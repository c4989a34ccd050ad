/*-------------------------------------------------------------------------
 *
 * resolve.c
 *	  Exact distances of the candidates of a batch.
 *
 * NOTES
 *	  Rows are fetched in the order of the table, each once for all queries that
 *	  want it.  First come as many of each query's most promising candidates as
 *	  it wants rows; these mostly are the answer, and leave of the others those
 *	  few that may be nearer.
 *
 * IDENTIFICATION
 *	  src/batch/resolve.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/float.h"

#include "batch/batch.h"

#define ST_SORT sort_pairs
#define ST_ELEMENT_TYPE VkBatchPair
#define ST_COMPARE(a, b) \
	((a)->tid != (b)->tid ? ((a)->tid < (b)->tid ? -1 : 1) : (a)->query - (b)->query)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* times as many candidates as rows wanted are too many */
#define DOUBTFUL		3

/* pairs ahead whose queries are asked for, and whose vectors are: lines of them */
#define QUERY_AHEAD		12
#define VECTOR_AHEAD	3
#define VECTOR_LINES	48

/*
 * Ask the CPU for what the next pairs need: the vectors of all queries together do
 * not fit in its cache.  Always inline: see vk_prefetch_lines.
 */
static pg_attribute_always_inline void
prefetch_pairs(const VkBatch *batch, const VkBatchPair *pairs, int64 i, int64 count,
			   int lines)
{
	if (i + QUERY_AHEAD < count)
		__builtin_prefetch(&batch->queries[pairs[i + QUERY_AHEAD].query]);
	if (i + VECTOR_AHEAD < count)
	{
		const char *vector = DatumGetPointer(batch->queries[pairs[i + VECTOR_AHEAD].query].value);

		for (int line = 0; line < lines; line++)
			__builtin_prefetch(vector + line * VK_LINE_SIZE);
	}
}

/* Ask for the pages of the next rows; returns the place of the first pair behind them. */
static int64
ask_rows(VkHeapReader *reader, const VkBatchPair *pairs, int64 i, int64 count)
{
	uint64		numbers[VK_ASK_MOST];
	int			asked = 0;

	for (uint64 last = 0; i < count; i++)
	{
		if (pairs[i].tid == last)
			continue;
		if (asked == VK_ASK_MOST)
			break;
		numbers[asked++] = last = pairs[i].tid;
	}
	vk_heap_reader_ask(reader, numbers, asked);
	return i;
}

/* Find the distances of pairs, in the order of the table. */
static void
resolve_pairs(VkBatch *batch, VkBatchPair *pairs, int64 count)
{
	VkBatchTarget *target = batch->target;
	int			lines = Min(VECTOR_LINES,
							VARSIZE_ANY(DatumGetPointer(batch->queries[0].value)) / VK_LINE_SIZE + 1);
	int64		asked = vk_heap_reader_window(target->reader) > 0 ? 0 : count;
	uint64		tid = 0;
	bool		visible = false;
	Datum		vector = 0;
	ItemPointerData place;

	sort_pairs(pairs, count);
	for (int64 i = 0; i < count; i++)
	{
		VkBatchQuery *query = &batch->queries[pairs[i].query];
		double		distance;

		prefetch_pairs(batch, pairs, i, count, lines);
		if (i == asked)
			asked = ask_rows(target->reader, pairs, i, count);
		if (pairs[i].lower > query->threshold)
		{
			query->dropped = Min(query->dropped, pairs[i].lower);
			continue;
		}
		if (pairs[i].tid != tid)
		{
			CHECK_FOR_INTERRUPTS();
			tid = pairs[i].tid;
			visible = vk_heap_reader_value(target->reader, tid, &vector, &place);
			target->stats.fetched++;
		}
		if (!visible)
			continue;
		distance = DatumGetFloat8(FunctionCall2(&target->operator, vector, query->value));
		if (batch->found == NULL)
			vk_nearest_add(batch, query, distance, vk_batch_tid(target, tid, &place));
		else if (float8_lt(distance, vk_batch_radius(batch, query)))
			batch->found(batch->arg, query, vk_batch_tid(target, tid, &place), distance);
	}
	vk_heap_reader_unpin(target->reader);
}

/* Move a query's most promising candidates, as many as it wants, to pairs. */
static int64
take_first(VkBatch *batch, int32 number, VkBatchPair *pairs)
{
	VkBatchQuery *query = &batch->queries[number];
	int64		taken = 0;
	int64		kept = 0;
	float		last;

	vk_nearest_prune(batch, query);
	if (query->open_count == 0)
		return 0;
	/* pruning has made room for as many floats if there are more than are wanted */
	last = query->threshold;
	if (query->open_count > query->wanted)
	{
		for (int64 i = 0; i < query->open_count; i++)
			batch->scratch[i] = query->open[i].lower;
		last = vk_select_float(batch->scratch, query->open_count, query->wanted - 1);
	}
	for (int64 i = 0; i < query->open_count; i++)
	{
		VkBatchCandidate *entry = &query->open[i];

		if (entry->lower <= last && taken < query->wanted)
			pairs[taken++] = (VkBatchPair) {entry->tid, entry->lower, number};
		else
			query->open[kept++] = *entry;
	}
	query->open_count = kept;
	return taken;
}

/* The same where bounds leave so many that distances would tell far more. */
static int64
take_doubtful(VkBatch *batch, int32 number, VkBatchPair *pairs)
{
	VkBatchQuery *query = &batch->queries[number];

	vk_nearest_prune(batch, query);
	return query->open_count / DOUBTFUL >= query->wanted ?
		take_first(batch, number, pairs) : 0;
}

/*
 * May a candidate be among the nearest?  One whose score is known already, as that
 * of bits is, and as great as that of the last row, need not be: bits have many of
 * those.
 */
static inline bool
may_be_nearer(const VkBatchQuery *query, const VkBatchCandidate *entry)
{
	if (entry->lower == query->threshold && entry->upper == entry->lower)
		return query->row_count < query->wanted;
	return entry->lower <= query->threshold;
}

/* Move the others to pairs, but for those that the threshold excludes by now. */
static int64
take_rest(VkBatch *batch, int32 number, VkBatchPair *pairs)
{
	VkBatchQuery *query = &batch->queries[number];
	int64		taken = 0;

	for (int64 i = 0; i < query->open_count; i++)
	{
		VkBatchCandidate *entry = &query->open[i];

		if (may_be_nearer(query, entry))
			pairs[taken++] = (VkBatchPair) {entry->tid, entry->lower, number};
		else
			query->dropped = Min(query->dropped, entry->lower);
	}
	query->open_count = 0;
	return taken;
}

/* room for as many pairs as there are candidates; NULL: there are none */
static VkBatchPair *
allocate_pairs(const VkBatch *batch)
{
	int64		open = 0;

	for (int i = 0; i < batch->count; i++)
		open += batch->queries[i].open_count;
	if (open == 0)
		return NULL;
	return MemoryContextAllocHuge(batch->context, open * sizeof(VkBatchPair));
}

/* which candidates of a query become pairs; how many */
typedef int64 (*TakePairs) (VkBatch *batch, int32 number, VkBatchPair *pairs);

static void
resolve_taken(VkBatch *batch, TakePairs take, VkBatchPair *pairs)
{
	int64		count = 0;

	for (int i = 0; i < batch->count; i++)
		count += take(batch, i, pairs + count);
	resolve_pairs(batch, pairs, count);
}

void
vk_batch_sharpen(VkBatch *batch)
{
	VkBatchPair *pairs = allocate_pairs(batch);

	if (pairs == NULL)
		return;
	resolve_taken(batch, take_doubtful, pairs);
	pfree(pairs);
}

void
vk_batch_resolve(VkBatch *batch)
{
	VkBatchPair *pairs = allocate_pairs(batch);

	if (pairs == NULL)
		return;
	if (batch->found == NULL)
		resolve_taken(batch, take_first, pairs);
	resolve_taken(batch, take_rest, pairs);
	pfree(pairs);
}
