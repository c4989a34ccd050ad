/*-------------------------------------------------------------------------
 *
 * parallel.c
 *	  Work of a batch function that several processes share.
 *
 * NOTES
 *	  What is divided are the queries: each process answers those of a chunk, as
 *	  it would answer all of them, and takes the next one when it is done.  So no
 *	  process waits for another, thresholds are those of one process, and an
 *	  answer is the same whoever finds it.  Chunks are taken in order.
 *
 *	  The leader takes part (parallel_leader_participation), so it cannot read what
 *	  workers send meanwhile: each process writes its rows to a file of its own,
 *	  with the chunk that they are of, and the leader puts them into the function's
 *	  result at the end, chunk after chunk.  Their order is that of one process.
 *
 *	  Each process has work_mem for itself, as in a parallel plan.  Snapshot, user
 *	  and settings of workers are the leader's; an error in one of them reaches
 *	  the leader when it next checks for interrupts, and an error in the leader
 *	  ends them.
 *
 * IDENTIFICATION
 *	  src/batch/parallel.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include <math.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "storage/bufmgr.h"
#include "storage/sharedfileset.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"

#include "batch/batch.h"

/* what lies in the parallel context's memory */
enum
{
	CHUNK_SHARED,				/* SharedWork */
	CHUNK_QUERIES,				/* the array; not there for a graph */
	CHUNK_DESC,					/* of the rows */
	CHUNK_STORES,				/* of each process one */
	CHUNK_SUMS,
	CHUNK_QUERY,				/* text */
	CHUNK_BUFFER_USAGE,
	CHUNK_WAL_USAGE,
	CHUNKS
};

#define CHUNK_KEY(chunk)	(UINT64CONST(0xB100000000000000) + (chunk))

/* queries of a process that make a tile of their own */
#define LEAST_QUERIES		16

/*
 * Chunks for each process, so that all end at about the same time: as many as have
 * so many queries, since reading the index takes a chunk the time of 15 queries (8
 * bits) to 45 (4 bits, which must be unpacked).
 */
#define MOST_CHUNKS			16
#define ENOUGH_QUERIES		256

/* a line of codes of one row in a batch, in units of cpu_operator_cost (cost.c has
 * a scan's; a query of a batch takes a quarter of it) */
#define LINE_OPERATORS		0.003

/* finding the exact distance of a row, in units of cpu_tuple_cost: half of a scan's,
 * as rows are fetched in the order of the table */
#define FETCH_TUPLES		25

typedef struct SharedWork
{
	/* fixed from the start */
	VkBatchRequest request;
	int64		units;
	int64		size;			/* units of a chunk */

	pg_atomic_uint64 next;		/* unit that nobody has taken */
	pg_atomic_uint64 done;		/* queries */
	SharedFileSet files;
	VkScanStats stats[FLEXIBLE_ARRAY_MEMBER];	/* of each worker */
} SharedWork;

/* the leader's view */
typedef struct Crew
{
	VkBatchWork *work;
	void	   *state;
	ParallelContext *context;
	SharedWork *shared;
	int			processes;
	SharedTuplestoreAccessor **stores;	/* of each process; the leader's first */
	BufferUsage *buffer_usage;
	WalUsage   *wal_usage;
} Crew;

/* rows of one process, in the order in which it found them */
typedef struct Stream
{
	SharedTuplestoreAccessor *store;
	MinimalTuple tuple;			/* the next one; NULL: there are no more */
	uint64		chunk;			/* it is of */
} Stream;

/* ---- do workers pay? ---- */

/* can workers do what this process does for a row? */
static bool
is_parallel_work(const VkBatchTarget *target)
{
	return func_parallel(target->operator.fn_oid) == PROPARALLEL_SAFE &&
		vk_parallel_hazard(RelationGetIndexExpressions(target->index), NIL) == PROPARALLEL_SAFE;
}

/* workers that the settings allow for a table */
static int
most_workers(Relation heap)
{
	int			own = RelationGetParallelWorkers(heap, -1);
	int			most = Min(max_parallel_workers_per_gather, max_parallel_workers);

	return own >= 0 ? Min(own, most) : most;
}

/* rows that one query is compared with, about, by their codes */
static double
rows_scored(const VkBatchWork *work)
{
	const VkBatchTarget *target = work->target;
	double		rows;

	if (vk_batch_strict(target) || work->request.k == 0)
		return target->rows;
	if (vk_probes > 0)
		rows = Min(target->rows, target->rows / target->meta.lists * vk_probes);
	else
		rows = vk_curve_budget(&target->meta.curve, work->request.k, vk_target_recall,
							   target->rows);
	/* and with centroids; coding it against a list's takes as long as the list */
	return 2 * rows + target->meta.lists;
}

/* in the planner's units, less what handing over the rows costs */
static double
cost_to_share(const VkBatchWork *work)
{
	double		line_cost = LINE_OPERATORS * cpu_operator_cost;
	double		found = Min((double) work->request.k, work->target->rows);

	return work->query_count *
		(rows_scored(work) * work->target->vk->coder.lines * line_cost +
		 found * (FETCH_TUPLES * cpu_tuple_cost - parallel_tuple_cost));
}

int
vk_batch_plan_workers(const VkBatchWork *work)
{
	Relation	heap = work->target->heap;
	int			most = most_workers(heap);
	double		processes;

	if (most <= 0 || IsInParallelMode() || !IsUnderPostmaster ||
		RelationUsesLocalBuffers(heap) || !is_parallel_work(work->target))
		return 0;
	processes = Min((double) work->units, work->query_count / LEAST_QUERIES);
	/* each process is to have work that is worth its start */
	if (parallel_setup_cost > 0)
		processes = Min(processes, cost_to_share(work) / parallel_setup_cost);
	return (int) Max(Min(processes, most + 1), 1) - 1;
}

/* ---- chunks ---- */

/* units of a chunk where so many processes work */
static int64
chunk_size(const VkBatchWork *work, int processes)
{
	double		share = work->query_count / processes;
	double		enough = Max(work->enough, ENOUGH_QUERIES);
	double		chunks = Max(Min(floor(share / enough), MOST_CHUNKS), 1);
	double		queries = Min(ceil(share / chunks), work->capacity);

	return (int64) Max(queries * work->units / work->query_count, 1);
}

/* Take the next chunk; false where there is none. */
static bool
take_chunk(SharedWork *shared, int64 *first, int64 *end)
{
	*first = (int64) pg_atomic_fetch_add_u64(&shared->next, shared->size);
	*end = Min(*first + shared->size, shared->units);
	return *first < shared->units;
}

/* Work until there is no chunk. */
static void
work_on_chunks(SharedWork *shared, VkBatchWork *work, void *state)
{
	const VkBatchRoutine *routine = vk_batch_functions[work->request.function].routine;
	int64		first;
	int64		end;

	while (take_chunk(shared, &first, &end))
	{
		CHECK_FOR_INTERRUPTS();
		work->chunk = first;
		routine->answer(state, first, end);
	}
	if (work->sum_count > 0)
		routine->add_sums(state);
}

/* ---- sums ---- */

Size
vk_batch_sums_size(const VkBatchWork *work)
{
	return work->sum_count * sizeof(pg_atomic_uint64);
}

void
vk_batch_sums_init(VkBatchWork *work, void *memory)
{
	work->sums = memory;
	for (int64 i = 0; i < work->sum_count; i++)
		pg_atomic_init_u64(&work->sums[i], 0);
}

/* ---- the leader: shared memory ---- */

static Size
store_size(void)
{
	return MAXALIGN(sts_estimate(1));
}

static SharedTuplestore *
store_of(char *stores, int process)
{
	return (SharedTuplestore *) (stores + process * store_size());
}

/* Estimate and create it; false where there is none. */
static bool
create_memory(const Crew *crew, Size *sizes)
{
	const VkBatchWork *work = crew->work;
	ParallelContext *context = crew->context;
	int			workers = context->nworkers;

	sizes[CHUNK_SHARED] = offsetof(SharedWork, stats) + workers * sizeof(VkScanStats);
	sizes[CHUNK_QUERIES] = work->queries == NULL ? 0 : VARSIZE(work->queries);
	sizes[CHUNK_DESC] = TupleDescSize(work->desc);
	sizes[CHUNK_STORES] = crew->processes * store_size();
	sizes[CHUNK_SUMS] = vk_batch_sums_size(work);
	sizes[CHUNK_QUERY] = debug_query_string == NULL ? 1 : strlen(debug_query_string) + 1;
	sizes[CHUNK_BUFFER_USAGE] = mul_size(sizeof(BufferUsage), workers);
	sizes[CHUNK_WAL_USAGE] = mul_size(sizeof(WalUsage), workers);
	for (int i = 0; i < CHUNKS; i++)
		shm_toc_estimate_chunk(&context->estimator, sizes[i]);
	shm_toc_estimate_keys(&context->estimator, CHUNKS);
	if (!vk_shared_memory_left(shm_toc_estimate(&context->estimator)))
		return false;
	InitializeParallelDSM(context);
	return context->seg != NULL;
}

static void *
put_chunk(ParallelContext *context, int chunk, const Size *sizes)
{
	void	   *memory = shm_toc_allocate(context->toc, sizes[chunk]);

	shm_toc_insert(context->toc, CHUNK_KEY(chunk), memory);
	return memory;
}

static void
init_shared(Crew *crew, SharedWork *shared)
{
	memset(shared, 0, offsetof(SharedWork, stats) +
		   crew->context->nworkers * sizeof(VkScanStats));
	shared->request = crew->work->request;
	shared->units = crew->work->units;
	shared->size = chunk_size(crew->work, crew->processes);
	pg_atomic_init_u64(&shared->next, 0);
	pg_atomic_init_u64(&shared->done, 0);
	SharedFileSetInit(&shared->files, crew->context->seg);
	crew->shared = shared;
}

static void
fill_memory(Crew *crew, const Size *sizes)
{
	VkBatchWork *work = crew->work;
	ParallelContext *context = crew->context;
	char	   *stores;
	char	   *query;

	init_shared(crew, put_chunk(context, CHUNK_SHARED, sizes));
	if (work->queries != NULL)
		memcpy(put_chunk(context, CHUNK_QUERIES, sizes), work->queries,
			   sizes[CHUNK_QUERIES]);
	TupleDescCopy(put_chunk(context, CHUNK_DESC, sizes), work->desc);
	stores = put_chunk(context, CHUNK_STORES, sizes);
	crew->stores = palloc(crew->processes * sizeof(SharedTuplestoreAccessor *));
	for (int i = 0; i < crew->processes; i++)
		crew->stores[i] = sts_initialize(store_of(stores, i), 1, 0, sizeof(uint64),
										 SHARED_TUPLESTORE_SINGLE_PASS,
										 &crew->shared->files, psprintf("rows%d", i));
	vk_batch_sums_init(work, put_chunk(context, CHUNK_SUMS, sizes));
	query = put_chunk(context, CHUNK_QUERY, sizes);
	strcpy(query, debug_query_string == NULL ? "" : debug_query_string);
	crew->buffer_usage = put_chunk(context, CHUNK_BUFFER_USAGE, sizes);
	crew->wal_usage = put_chunk(context, CHUNK_WAL_USAGE, sizes);
}

/* ---- the leader: rows and statistics of all processes ---- */

static void
next_tuple(Stream *stream)
{
	stream->tuple = sts_parallel_scan_next(stream->store, &stream->chunk);
}

/* the stream with the first chunk; NULL: all are at their end */
static Stream *
first_stream(Stream *streams, int count)
{
	Stream	   *first = NULL;

	for (int i = 0; i < count; i++)
		if (streams[i].tuple != NULL &&
			(first == NULL || streams[i].chunk < first->chunk))
			first = &streams[i];
	return first;
}

/* Put all rows into the result, in the order of the chunks. */
static void
collect_rows(Crew *crew)
{
	VkBatchWork *work = crew->work;
	Stream	   *streams = palloc(crew->processes * sizeof(Stream));
	TupleTableSlot *slot = MakeSingleTupleTableSlot(work->desc, &TTSOpsMinimalTuple);
	Stream	   *stream;

	for (int i = 0; i < crew->processes; i++)
	{
		streams[i].store = crew->stores[i];
		sts_begin_parallel_scan(streams[i].store);
		next_tuple(&streams[i]);
	}
	while ((stream = first_stream(streams, crew->processes)) != NULL)
	{
		uint64		chunk = stream->chunk;

		do
		{
			CHECK_FOR_INTERRUPTS();
			ExecStoreMinimalTuple(stream->tuple, slot, false);
			tuplestore_puttupleslot(work->store, slot);
			next_tuple(stream);
		} while (stream->tuple != NULL && stream->chunk == chunk);
	}
	ExecDropSingleTupleTableSlot(slot);
	for (int i = 0; i < crew->processes; i++)
		sts_end_parallel_scan(streams[i].store);
}

static void
collect_statistics(const Crew *crew)
{
	VkScanStats *total = &crew->work->target->stats;

	total->workers = crew->context->nworkers_launched;
	for (int i = 0; i < total->workers; i++)
	{
		const VkScanStats *part = &crew->shared->stats[i];

		InstrAccumParallelQuery(&crew->buffer_usage[i], &crew->wal_usage[i]);
		/* who came too late to take a chunk has nothing to tell */
		if (part->rounds == 0)
			continue;
		vk_batch_add_statistics(total, part);
		total->emitted += part->emitted;
		if (total->path[0] == '\0')
			strlcpy(total->path, part->path, VK_PATH_SIZE);
	}
}

/* ---- the leader ---- */

/* Launch workers and work with them. */
static bool
work_together(Crew *crew)
{
	VkBatchWork *work = crew->work;
	pg_atomic_uint64 *done = work->done;
	Size		sizes[CHUNKS];

	if (!create_memory(crew, sizes))
		return false;
	fill_memory(crew, sizes);
	LaunchParallelWorkers(crew->context);
	if (crew->context->nworkers_launched == 0)
		return false;
	vk_progress_workers(work, crew->context->nworkers_launched);
	work->shared = crew->stores[0];
	work->done = &crew->shared->done;
	if (parallel_leader_participation)
		work_on_chunks(crew->shared, work, crew->state);
	sts_end_write(work->shared);
	WaitForParallelWorkersToFinish(crew->context);
	vk_progress_update(work);
	work->done = done;
	work->shared = NULL;
	collect_rows(crew);
	if (work->sum_count > 0)
		vk_batch_functions[work->request.function].routine->take_sums(crew->state);
	collect_statistics(crew);
	return true;
}

bool
vk_batch_share(VkBatchWork *work, void *state, int workers)
{
	Crew		crew = {.work = work, .state = state, .processes = workers + 1};
	bool		together;

	EnterParallelMode();
	crew.context = CreateParallelContext("vkindex", "vk_batch_worker", workers);
	together = work_together(&crew);
	DestroyParallelContext(crew.context);
	ExitParallelMode();
	return together;
}

/* ---- workers ---- */

/*
 * vk_batch_worker -- main function of a worker
 */
void
vk_batch_worker(dsm_segment *segment, shm_toc *toc)
{
	SharedWork *shared = shm_toc_lookup(toc, CHUNK_KEY(CHUNK_SHARED), false);
	char	   *stores = shm_toc_lookup(toc, CHUNK_KEY(CHUNK_STORES), false);
	BufferUsage *buffer_usage = shm_toc_lookup(toc, CHUNK_KEY(CHUNK_BUFFER_USAGE), false);
	WalUsage   *wal_usage = shm_toc_lookup(toc, CHUNK_KEY(CHUNK_WAL_USAGE), false);
	const VkBatchRoutine *routine = vk_batch_functions[shared->request.function].routine;
	VkBatchWork work = {.request = shared->request};
	void	   *state;

	debug_query_string = shm_toc_lookup(toc, CHUNK_KEY(CHUNK_QUERY), false);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	SharedFileSetAttach(&shared->files, segment);

	work.queries = shm_toc_lookup(toc, CHUNK_KEY(CHUNK_QUERIES), true);
	work.context = CurrentMemoryContext;
	work.desc = shm_toc_lookup(toc, CHUNK_KEY(CHUNK_DESC), false);
	work.done = &shared->done;
	work.sums = shm_toc_lookup(toc, CHUNK_KEY(CHUNK_SUMS), false);
	work.shared = sts_attach(store_of(stores, ParallelWorkerNumber + 1), 0,
							 &shared->files);
	InstrStartParallelQuery();
	work.target = vk_batch_open_checked(work.request.index);
	state = routine->begin(&work);
	work_on_chunks(shared, &work, state);
	sts_end_write(work.shared);
	routine->end(state);
	shared->stats[ParallelWorkerNumber] = work.target->stats;
	vk_batch_close(work.target);
	InstrEndParallelQuery(&buffer_usage[ParallelWorkerNumber],
						  &wal_usage[ParallelWorkerNumber]);
}
