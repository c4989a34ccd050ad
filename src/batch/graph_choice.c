/*-------------------------------------------------------------------------
 *
 * graph_choice.c
 *	  Pairs within a radius: by codes, or by tiles of the vectors?
 *
 * NOTES
 *	  Some rows from all over the table are compared with all others by their
 *	  codes.  The share of pairs that these leave open tells what the whole graph
 *	  would cost by codes; by vectors it always costs the same.
 *
 * IDENTIFICATION
 *	  src/batch/graph_choice.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "batch/graph.h"

/* rows whose pairs with all others are looked at to find out */
#define SAMPLE_ROWS		64

/*
 * The share of pairs whose distance must be computed from which on tiles of the
 * vectors are faster, by the path that codes would take (vk_last_scan).
 * vectors: of distances that dot products tell; pairs: of others.
 */
static const struct
{
	const char *path;
	double		vectors;
	double		pairs;
}			dense_pays[] = {
	{"tile ref", 0.05, 1},
	{"tile avx2", 0.05, 1},
	{"tile avx512", 0.05, 1},
	{"tile amx", 0.015, 1},
	{"tile neon", 0.05, 1},
	{"tile sve", 0.05, 1},
	{"tile sme", 0.015, 1},
	{"blocks", 0, 0.1},
	{"one by one", 0, 0.01},
};

typedef struct Sample
{
	VkGraph    *graph;
	int64		open;			/* pairs that codes do not settle */
} Sample;

/* VkBatchSettle: all pairs are, so that no row is fetched */
static bool
sample_pair(void *arg, VkBatchQuery *query, uint32 slot, uint64 tid, float lower,
			float upper)
{
	Sample	   *sample = arg;
	double		least = lower;
	double		greatest = upper;

	if (!vk_graph_bounds_suffice(sample->graph, &least, &greatest))
		sample->open++;
	return true;
}

/* VkBatchFound: there is nothing to find */
static void
ignore_found(void *arg, const VkBatchQuery *query, uint64 place, double distance)
{
}

/* Take rows from all over the table, of those that bounds hold for. */
static int
sample_queries(VkGraph *graph, VkBatch *batch)
{
	VkBatchQuery *queries = palloc0(SAMPLE_ROWS * sizeof(VkBatchQuery));
	int			count = 0;
	int			bounded = 0;

	for (int i = 0; i < SAMPLE_ROWS; i++)
	{
		int64		position = graph->row_count * i / SAMPLE_ROWS;

		if (position < graph->position)
			continue;
		vk_graph_seek(graph, position);
		count += vk_graph_queries(graph, position + 1, queries + count);
	}
	vk_batch_begin(batch, graph->target, queries, count);
	for (int i = 0; i < count; i++)
		if (!queries[i].single)
			queries[bounded++] = queries[i];
	batch->count = bounded;
	return bounded;
}

/* The share of pairs that codes leave open, and how codes are compared: path. */
static double
sample_share(VkGraph *graph, char *path)
{
	VkBatchTarget *target = graph->target;
	VkScanStats stats = target->stats;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "vkindex graph sample",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Sample		sample = {.graph = graph};
	VkBatch		batch;
	int			count;

	vk_graph_seek(graph, 0);
	count = sample_queries(graph, &batch);
	vk_batch_within_begin(&batch, graph->radius, ignore_found, &sample);
	batch.settle = sample_pair;
	if (!vk_batch_collect(&batch))
		strlcpy(target->stats.path, "one by one", VK_PATH_SIZE);
	strlcpy(path, target->stats.path, VK_PATH_SIZE);
	target->stats = stats;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return count == 0 ? 1 : sample.open / ((double) count * graph->row_count);
}

bool
vk_graph_is_dense(VkGraph *graph)
{
	bool		vectors = graph->target->support->metric != VK_METRIC_L1;
	char		path[VK_PATH_SIZE];
	double		share;

	if (graph->row_count == 0 || !vk_dense_serves(graph->target))
		return false;
	share = sample_share(graph, path);
	for (size_t i = 0; i < lengthof(dense_pays); i++)
		if (strcmp(path, dense_pays[i].path) == 0)
			return share >= (vectors ? dense_pays[i].vectors : dense_pays[i].pairs);
	return true;
}
