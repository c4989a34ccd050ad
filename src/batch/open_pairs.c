/*-------------------------------------------------------------------------
 *
 * open_pairs.c
 *	  Pairs of a graph whose distance must be known: rows fetched, in order.
 *
 * NOTES
 *	  A pair is a row's number among the visible ones and the number of a query,
 *	  8 bytes.  Rows are taken a window at a time, each fetched once for all
 *	  queries that ask for it; the vectors of a window stay in the second-level
 *	  cache, and each query passes by once.  Neither all rows nor all queries
 *	  would fit there, and to get vectors from memory costs far more than their
 *	  distances.
 *
 *	  Where the operator is one of ours its sums are called for directly; under
 *	  cosine distance that saves the two norms, which are known for each query
 *	  and each row.  The bits are the operator's.
 *
 * IDENTIFICATION
 *	  src/batch/open_pairs.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "miscadmin.h"
#include "utils/float.h"

#include "batch/graph.h"
#include "types/vec_distance.h"

/* share of work_mem that pairs take, with room to sort them */
#define MEMORY_SHARE	4
#define FEWEST_PAIRS	1024

/* bytes of vectors in a window at most, and the logarithm of how many there are */
#define WINDOW_SIZE		(2 * 1024 * 1024)
#define MOST_WINDOW_BITS	10

/* bits that one pass of sorting looks at */
#define DIGIT_BITS		11
#define DIGITS			(1 << DIGIT_BITS)

/* pairs ahead whose query is asked for: lines of it at most */
#define QUERY_AHEAD		4
#define QUERY_LINES		64

typedef struct OpenPair
{
	uint32		row;			/* number in the row set */
	uint32		query;			/* place in the batch */
} OpenPair;

/* an operator of ours, by its C function */
typedef struct KnownOperator
{
	PGFunction	function;
	VkElement	element;
	VkMetric	metric;
} KnownOperator;

#define KNOWN_OPERATORS(type, element) \
	{type##_l2_distance, element, VK_METRIC_L2}, \
	{type##_negative_inner_product, element, VK_METRIC_IP}, \
	{type##_cosine_distance, element, VK_METRIC_COSINE}, \
	{type##_l1_distance, element, VK_METRIC_L1},

static const KnownOperator known_operators[] = {VEC_TYPES(KNOWN_OPERATORS)};

struct VkOpenPairs
{
	VkGraph    *graph;
	const VkBatchQuery *queries;
	const KnownOperator *known; /* NULL: another one */
	int			dim;
	Size		size;			/* bytes of a vector */
	int			lines;			/* of it */
	const char **vectors;		/* of the queries: their elements */
	double	   *norms2;			/* cosine of ours: of the queries */
	OpenPair   *pairs;
	OpenPair   *sorted;			/* room */
	int64		count;
	int64		capacity;
	/* the window at hand: row i is number (window << window_bits) + i */
	int			window_bits;
	char	   *window;			/* vectors */
	struct
	{
		bool		asked;		/* for some query */
		uint64		place;
		double		norm2;		/* as of the queries */
	}			rows[1 << MOST_WINDOW_BITS];
};

/* ---- distances ---- */

static const KnownOperator *
find_operator(PGFunction function)
{
	for (size_t i = 0; i < lengthof(known_operators); i++)
		if (known_operators[i].function == function)
			return &known_operators[i];
	return NULL;
}

static const char *
elements_of(Datum vector)
{
	return ((const Vec *) DatumGetPointer(vector))->x;
}

/* what a distance needs to know of one vector */
static double
norm2_of(const VkOpenPairs *open, const char *elements)
{
	if (open->known == NULL || open->known->metric != VK_METRIC_COSINE)
		return 0;
	return vk_kernels->pair_dot[open->known->element] (elements, elements, open->dim);
}

/* of a query and a row of the window */
static double
distance_of(const VkOpenPairs *open, uint32 query, uint32 row)
{
	const KnownOperator *known = open->known;
	char	   *vector = open->window + row * open->size;
	const char *a;
	const char *b;

	if (known == NULL)
		return DatumGetFloat8(FunctionCall2(&open->graph->target->operator,
											PointerGetDatum(vector),
											open->queries[query].value));
	a = elements_of(PointerGetDatum(vector));
	b = open->vectors[query];
	switch (known->metric)
	{
		case VK_METRIC_L2:
			return vec_finish_l2(vk_kernels->pair_l2[known->element] (a, b, open->dim));
		case VK_METRIC_IP:
			return vec_finish_ip(vk_kernels->pair_dot[known->element] (a, b, open->dim));
		case VK_METRIC_COSINE:
			return vec_finish_cosine(vk_kernels->pair_dot[known->element] (a, b, open->dim),
									 open->rows[row].norm2, open->norms2[query]);
		default:
			return vec_finish_l1(vk_kernels->pair_l1[known->element] (a, b, open->dim));
	}
}

/* ---- pairs ---- */

VkOpenPairs *
vk_open_pairs_create(VkGraph *graph, const VkBatchQuery *queries, int count)
{
	VkOpenPairs *open = palloc0(sizeof(VkOpenPairs));
	VkBatchTarget *target = graph->target;

	open->graph = graph;
	open->queries = queries;
	open->known = find_operator(target->operator.fn_addr);
	open->dim = target->vk->coder.dim;
	open->vectors = palloc(count * sizeof(char *));
	open->norms2 = palloc(count * sizeof(double));
	for (int i = 0; i < count; i++)
	{
		open->vectors[i] = elements_of(queries[i].value);
		open->norms2[i] = norm2_of(open, open->vectors[i]);
	}
	/* vectors of one dimension have one size */
	open->size = MAXALIGN(VARSIZE(DatumGetPointer(queries[0].value)));
	open->lines = (int) Min(QUERY_LINES, (open->size + VK_LINE_SIZE - 1) / VK_LINE_SIZE);
	while (open->window_bits < MOST_WINDOW_BITS &&
		   open->size << (open->window_bits + 1) <=
		   Min(WINDOW_SIZE, (Size) work_mem * 1024 / MEMORY_SHARE))
		open->window_bits++;
	open->window = palloc(open->size << open->window_bits);
	open->capacity = Max((int64) work_mem * 1024 / MEMORY_SHARE / (2 * sizeof(OpenPair)),
						 FEWEST_PAIRS);
	open->pairs = MemoryContextAllocHuge(CurrentMemoryContext, open->capacity * sizeof(OpenPair));
	open->sorted = MemoryContextAllocHuge(CurrentMemoryContext, open->capacity * sizeof(OpenPair));
	return open;
}

static inline uint32
window_of(const VkOpenPairs *open, const OpenPair *pair)
{
	Assert(open->window_bits <= MOST_WINDOW_BITS);
	return pair->row >> open->window_bits;
}

static inline uint32
digit_of(const OpenPair *pair, bool by_row, int shift)
{
	return (by_row ? pair->row : pair->query) >> shift & (DIGITS - 1);
}

/* one pass of sorting, by a digit of the row or of the query */
static void
sort_by_digit(VkOpenPairs *open, bool by_row, int shift)
{
	OpenPair   *swap = open->sorted;
	int64		starts[DIGITS] = {0};
	int64		start = 0;

	for (int64 i = 0; i < open->count; i++)
		starts[digit_of(&open->pairs[i], by_row, shift)]++;
	for (int digit = 0; digit < DIGITS; digit++)
	{
		int64		count = starts[digit];

		starts[digit] = start;
		start += count;
	}
	for (int64 i = 0; i < open->count; i++)
		open->sorted[starts[digit_of(&open->pairs[i], by_row, shift)]++] = open->pairs[i];
	open->sorted = open->pairs;
	open->pairs = swap;
}

/* Sort by window, then by query: the last digits first. */
static void
sort_pairs(VkOpenPairs *open)
{
	uint32		queries = 0;
	uint32		rows = 0;

	for (int64 i = 0; i < open->count; i++)
	{
		queries |= open->pairs[i].query;
		rows |= open->pairs[i].row;
	}
	for (int shift = 0; shift < 32 && queries >> shift != 0; shift += DIGIT_BITS)
		sort_by_digit(open, false, shift);
	for (int shift = open->window_bits; shift < 32 && rows >> shift != 0; shift += DIGIT_BITS)
		sort_by_digit(open, true, shift);
}

/* place of the row with a number above that of the last one asked for */
static uint64
advance(const VkRowSet *set, int64 row, int64 *number, uint64 *place)
{
	for (; *number < row; (*number)++)
		*place = vk_row_set_next(set, *place + 1);
	return *place;
}

/* Fetch the rows of a window that pairs, first to end, ask for. */
static void
fetch_window(VkOpenPairs *open, int64 first, int64 end, int64 *number, uint64 *place)
{
	VkBatchTarget *target = open->graph->target;
	uint32		mask = (1U << open->window_bits) - 1;
	int64		start = (int64) window_of(open, &open->pairs[first]) << open->window_bits;

	for (uint32 row = 0; row <= mask; row++)
		open->rows[row].asked = false;
	for (int64 i = first; i < end; i++)
		open->rows[open->pairs[i].row & mask].asked = true;
	for (uint32 row = 0; row <= mask; row++)
	{
		char	   *vector = open->window + row * open->size;
		Datum		value;
		ItemPointerData tid;

		if (!open->rows[row].asked)
			continue;
		CHECK_FOR_INTERRUPTS();
		open->rows[row].place = advance(open->graph->visible, start + row, number, place);
		if (!vk_heap_reader_value(target->reader, *place, &value, &tid) ||
			VARSIZE(DatumGetPointer(value)) > open->size)
			elog(ERROR, "a row has changed that the snapshot sees");
		memcpy(vector, DatumGetPointer(value), VARSIZE(DatumGetPointer(value)));
		open->rows[row].norm2 = norm2_of(open, elements_of(PointerGetDatum(vector)));
		target->stats.fetched++;
	}
}

/*
 * Ask the CPU for a query that comes soon.  Always inline: see vk_prefetch_lines in
 * list_scan.c.
 */
static pg_attribute_always_inline void
prefetch_query(const VkOpenPairs *open, int64 i)
{
	const char *vector;

	if (i >= open->count || open->pairs[i].query == open->pairs[i - 1].query)
		return;
	vector = open->vectors[open->pairs[i].query];
	for (int line = 0; line < open->lines; line++)
		__builtin_prefetch(vector + line * VK_LINE_SIZE);
}

/* the pairs of a window whose rows have been fetched */
static void
take_window(VkOpenPairs *open, int64 first, int64 end)
{
	VkGraph    *graph = open->graph;
	uint32		mask = (1U << open->window_bits) - 1;

	for (int64 i = first; i < end; i++)
	{
		const OpenPair *pair = &open->pairs[i];
		const VkBatchQuery *query = &open->queries[pair->query];
		double		distance;

		prefetch_query(open, i + QUERY_AHEAD);
		distance = distance_of(open, pair->query, pair->row & mask);
		if (!float8_lt(distance, graph->radius))
			continue;
		if (graph->counting)
			vk_graph_count(graph, query->number, pair->row);
		else
			vk_graph_put(graph, query->self_place, open->rows[pair->row & mask].place,
						 distance);
	}
}

void
vk_open_pairs_resolve(VkOpenPairs *open)
{
	uint64		place = 0;
	int64		number = -1;
	int64		end;

	sort_pairs(open);
	for (int64 first = 0; first < open->count; first = end)
	{
		uint32		window = window_of(open, &open->pairs[first]);

		for (end = first + 1; end < open->count; end++)
			if (window_of(open, &open->pairs[end]) != window)
				break;
		fetch_window(open, first, end, &number, &place);
		CHECK_FOR_INTERRUPTS();
		take_window(open, first, end);
	}
	vk_heap_reader_unpin(open->graph->target->reader);
	open->count = 0;
}

void
vk_open_pairs_add(VkOpenPairs *open, int64 row, const VkBatchQuery *query)
{
	if (open->count == open->capacity)
		vk_open_pairs_resolve(open);
	open->pairs[open->count++] = (OpenPair) {(uint32) row, (uint32) (query - open->queries)};
}
