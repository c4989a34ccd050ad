/*-------------------------------------------------------------------------
 *
 * build_parallel.c
 *	  The processes of an index build: workers, jobs, arenas, progress.
 *
 * NOTES
 *	  A worker joins a job only while it is open, and the leader closes it
 *	  when it finds no more pieces itself; then it waits for those who joined.
 *	  So nobody ever waits for a worker that has not started, and the leader
 *	  knows how many sorts there are to merge.
 *
 *	  Results must not depend on who does a piece, nor on how many processes
 *	  there are: that is up to the stages.
 *
 *	  Workers only read the table and, for calibration, the index, whose pages
 *	  the leader alone writes.  An error in one of them reaches the leader
 *	  when it next checks for interrupts; an error in the leader ends them.
 *
 * IDENTIFICATION
 *	  src/am/build_parallel.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "am/build.h"

#include "access/genam.h"
#include "access/parallel.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "commands/vacuum.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "optimizer/planner.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/dsm.h"
#include "storage/dsm_impl.h"
#include "storage/spin.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"
#include "vk_compat.h"

#ifdef __linux__
#include <sys/statvfs.h>
#endif

/* what lies in the parallel context's memory */
enum
{
	CHUNK_SHARED,				/* CrewShared */
	CHUNK_SCAN,					/* of the table */
	CHUNK_SORT,
	CHUNK_QUERY,				/* text */
	CHUNK_BUFFER_USAGE,
	CHUNK_WAL_USAGE,
	CHUNKS
};

#define CHUNK_KEY(chunk)	(UINT64CONST(0xB000000000000000) + (chunk))

#define REPORT_MS			200 /* the leader reports progress while it waits */

static const VkStageRoutine *const stage_routines[] = {
	[VK_STAGE_SAMPLE] = &vk_sample_stage,
	[VK_STAGE_KMEANS] = &vk_kmeans_stage,
	[VK_STAGE_SCAN] = &vk_scan_stage,
	[VK_STAGE_CALIBRATE] = &vk_calibrate_stage,
};

/* what the processes share, in shared memory or, without workers, not */
typedef struct CrewShared
{
	/* fixed from the start */
	Oid			heap;
	Oid			index;
	bool		concurrent;
	VkMeta		meta;

	/* a stage's, written by the leader while no job is open */
	bool		sorted;
	int			processes;		/* of which each has its share of memory */
	dsm_handle	arenas[VK_ARENAS];

	ConditionVariable posted;	/* workers wait for a job */
	ConditionVariable left;		/* the leader waits for workers to leave it */
	slock_t		mutex;			/* protects the rest, but for the atomics */
	uint64		jobs;			/* posted so far */
	VkStage		stage;			/* of the last one */
	bool		open;			/* may be joined */
	int			active;			/* workers that joined and have not left */
	int			joined;			/* processes that joined */
	VkScanTotals totals;

	int64		pieces;			/* of the job */
	pg_atomic_uint64 next_piece;
	pg_atomic_uint64 done;		/* progress */

	float		mean[FLEXIBLE_ARRAY_MEMBER];
} CrewShared;

/* one process's view */
struct VkCrew
{
	CrewShared *shared;
	CrewShared *own;			/* the leader's, while there are no workers */
	bool		leader;
	int			workers;		/* to be launched, then that were */
	bool		alone;			/* no worker takes part in this stage */
	int64		total;			/* progress */
	bool		silent;			/* it is not shown */

	VkStage		stage;
	void	   *state;
	MemoryContext context;		/* of the stage */

	ParallelTableScanDesc scan;
	Sharedsort *sort;
	struct
	{
		dsm_segment *segment;	/* NULL: own memory, or not attached */
		void	   *memory;		/* as allocated, where it is own */
		void	   *base;
	}			arenas[VK_ARENAS];

	/* the leader's, with workers */
	ParallelContext *context_of_workers;
	Snapshot	snapshot;
	BufferUsage *buffer_usage;
	WalUsage   *wal_usage;
};

static inline CrewShared *
crew_shared(const VkBuild *build)
{
	return build->crew->shared;
}

static void
init_shared(CrewShared *shared, const VkBuild *build)
{
	memset(shared, 0, sizeof(CrewShared));
	shared->heap = RelationGetRelid(build->heap);
	shared->index = RelationGetRelid(build->index);
	shared->concurrent = build->info->ii_Concurrent;
	SpinLockInit(&shared->mutex);
	ConditionVariableInit(&shared->posted);
	ConditionVariableInit(&shared->left);
	pg_atomic_init_u64(&shared->next_piece, 0);
	pg_atomic_init_u64(&shared->done, 0);
}

static VkCrew *
make_crew(CrewShared *shared, bool leader)
{
	VkCrew	   *crew = palloc0(sizeof(VkCrew));

	crew->shared = crew->own = shared;
	crew->leader = leader;
	crew->context = AllocSetContextCreate(CurrentMemoryContext,
										  "vkindex build stage",
										  ALLOCSET_DEFAULT_SIZES);
	return crew;
}

/* ---- arenas ---- */

/*
 * vk_shared_memory_left -- may a segment of this size be had?
 *
 * Containers often have a small /dev/shm, and running out of it is an error.
 */
bool
vk_shared_memory_left(Size size)
{
#ifdef __linux__
	struct statvfs file_system;

	if (dynamic_shared_memory_type == DSM_IMPL_POSIX &&
		statvfs("/dev/shm", &file_system) == 0)
		return size < (double) file_system.f_bavail * file_system.f_frsize;
#endif
	return true;
}

/*
 * Where shared memory cannot be had, the arena is the leader's own, and no
 * worker will take part in anything any more.
 */
void *
vk_arena_make(VkBuild *build, VkArena arena, Size size, bool shared)
{
	VkCrew	   *crew = build->crew;
	dsm_segment *segment = NULL;

	Assert(crew->arenas[arena].base == NULL);
	if (shared && crew->workers > 0)
	{
		if (vk_shared_memory_left(size))
			segment = dsm_create(size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
		if (segment == NULL)
			crew->workers = 0;
	}
	if (segment != NULL)
	{
		crew->arenas[arena].segment = segment;
		crew->arenas[arena].base = dsm_segment_address(segment);
		crew->shared->arenas[arena] = dsm_segment_handle(segment);
	}
	else
	{
		crew->arenas[arena].memory =
			MemoryContextAllocHuge(CurrentMemoryContext, size + VK_ALIGNMENT);
		crew->arenas[arena].base =
			(void *) TYPEALIGN(VK_ALIGNMENT, crew->arenas[arena].memory);
	}
	return crew->arenas[arena].base;
}

void
vk_arena_drop(VkBuild *build, VkArena arena)
{
	VkCrew	   *crew = build->crew;

	if (crew->arenas[arena].segment != NULL)
		dsm_detach(crew->arenas[arena].segment);
	else if (crew->arenas[arena].memory != NULL)
		pfree(crew->arenas[arena].memory);
	memset(&crew->arenas[arena], 0, sizeof(crew->arenas[arena]));
	if (crew->leader)
		crew->shared->arenas[arena] = DSM_HANDLE_INVALID;
}

void *
vk_arena(VkBuild *build, VkArena arena)
{
	VkCrew	   *crew = build->crew;
	dsm_handle	handle = crew->shared->arenas[arena];

	if (crew->arenas[arena].base == NULL && handle != DSM_HANDLE_INVALID)
	{
		dsm_segment *segment = dsm_attach(handle);

		if (segment == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("could not map dynamic shared memory segment")));
		crew->arenas[arena].segment = segment;
		crew->arenas[arena].base = dsm_segment_address(segment);
	}
	return crew->arenas[arena].base;
}

/* ---- stages ---- */

static void
enter_stage(VkBuild *build, VkStage stage)
{
	VkCrew	   *crew = build->crew;
	MemoryContext old = MemoryContextSwitchTo(crew->context);

	crew->stage = stage;
	crew->state = stage_routines[stage]->begin(build);
	MemoryContextSwitchTo(old);
}

/* the leader posts a job, or just tells that a stage has begun or is over */
static void
post(VkCrew *crew, VkStage stage, int64 pieces, bool open)
{
	CrewShared *shared = crew->shared;

	SpinLockAcquire(&shared->mutex);
	shared->jobs++;
	shared->stage = stage;
	shared->pieces = pieces;
	pg_atomic_write_u64(&shared->next_piece, 0);
	shared->open = open;
	shared->active = 0;
	shared->joined = 1;
	SpinLockRelease(&shared->mutex);
	ConditionVariableBroadcast(&shared->posted);
}

void *
vk_stage_begin(VkBuild *build, VkStage stage, bool alone)
{
	build->crew->alone = alone;
	crew_shared(build)->processes = vk_crew_size(build);
	enter_stage(build, stage);
	return build->crew->state;
}

int64
vk_stage_piece(VkBuild *build)
{
	CrewShared *shared = crew_shared(build);
	uint64		piece = pg_atomic_fetch_add_u64(&shared->next_piece, 1);

	return piece < (uint64) shared->pieces ? (int64) piece : -1;
}

static void
show_progress(VkCrew *crew)
{
	int64		done = (int64) pg_atomic_read_u64(&crew->shared->done);

	if (crew->silent)
		return;
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE,
								 Min(done, crew->total));
}

/* close the job and wait until those who joined it have left */
static void
wait_for_workers(VkCrew *crew)
{
	CrewShared *shared = crew->shared;

	for (;;)
	{
		int			active;

		SpinLockAcquire(&shared->mutex);
		shared->open = false;
		active = shared->active;
		SpinLockRelease(&shared->mutex);
		if (active == 0)
			break;
		ConditionVariableTimedSleep(&shared->left, REPORT_MS,
									WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
		show_progress(crew);
	}
	ConditionVariableCancelSleep();
}

void
vk_stage_run(VkBuild *build, int64 pieces)
{
	VkCrew	   *crew = build->crew;

	post(crew, crew->stage, pieces, crew->workers > 0 && !crew->alone);
	stage_routines[crew->stage]->work(build, crew->state);
	wait_for_workers(crew);
	show_progress(crew);
}

void
vk_stage_end(VkBuild *build)
{
	post(build->crew, VK_STAGE_NONE, 0, false);
	build->crew->stage = VK_STAGE_NONE;
	build->crew->alone = false;
	MemoryContextReset(build->crew->context);
}

/* ---- progress ---- */

void
vk_build_phase(VkBuild *build, int phase, int64 total)
{
	const int	params[] = {PROGRESS_CREATEIDX_SUBPHASE,
		PROGRESS_CREATEIDX_TUPLES_TOTAL, PROGRESS_CREATEIDX_TUPLES_DONE};
	const int64 values[] = {phase, total, 0};

	pg_atomic_write_u64(&crew_shared(build)->done, 0);
	build->crew->total = total;
	if (build->crew->silent)
		return;
	pgstat_progress_update_multi_param(lengthof(params), params, values);
}

void
vk_build_total(VkBuild *build, int64 total)
{
	if (build->crew->leader && !build->crew->silent &&
		build->crew->total != total)
	{
		build->crew->total = total;
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, total);
	}
}

void
vk_build_progress(VkBuild *build, int64 more)
{
	pg_atomic_fetch_add_u64(&crew_shared(build)->done, more);
	if (build->crew->leader)
		show_progress(build->crew);
	VK_VACUUM_DELAY_POINT();
}

/* ---- the heap scan ---- */

void
vk_crew_set_sorted(VkBuild *build, bool sorted)
{
	crew_shared(build)->sorted = sorted;
}

bool
vk_crew_sorted(const VkBuild *build)
{
	return crew_shared(build)->sorted;
}

static bool
has_company(const VkCrew *crew)
{
	return !crew->leader || crew->workers > 0;
}

TableScanDesc
vk_crew_scan(VkBuild *build)
{
	return has_company(build->crew) ?
		vk_table_beginscan_parallel(build->heap, build->crew->scan) : NULL;
}

SortCoordinate
vk_crew_sort(VkBuild *build)
{
	SortCoordinate coordinate;

	if (!has_company(build->crew))
		return NULL;
	coordinate = palloc0(sizeof(SortCoordinateData));
	coordinate->isWorker = true;
	coordinate->nParticipants = -1;
	coordinate->sharedsort = build->crew->sort;
	return coordinate;
}

SortCoordinate
vk_crew_merge(VkBuild *build)
{
	SortCoordinate coordinate = vk_crew_sort(build);

	if (coordinate != NULL)
	{
		coordinate->isWorker = false;
		coordinate->nParticipants = crew_shared(build)->joined;
	}
	return coordinate;
}

void
vk_crew_add_totals(VkBuild *build, const VkScanTotals *totals)
{
	CrewShared *shared = crew_shared(build);

	SpinLockAcquire(&shared->mutex);
	shared->totals.tuples += totals->tuples;
	shared->totals.rows += totals->rows;
	shared->totals.coded += totals->coded;
	shared->totals.broken_hot |= totals->broken_hot;
	SpinLockRelease(&shared->mutex);
}

VkScanTotals
vk_crew_totals(VkBuild *build)
{
	return crew_shared(build)->totals;
}

/* ---- the leader: beginning and end ---- */

int
vk_crew_size(const VkBuild *build)
{
	const VkCrew *crew = build->crew;

	if (!crew->leader)
		return crew->shared->processes;
	return crew->alone ? 1 : crew->workers + 1;
}

bool
vk_crew_leads(const VkBuild *build)
{
	return build->crew->leader;
}

/*
 * vk_crew_plan -- make a crew of the leader, and ask core for more
 */
void
vk_crew_plan(VkBuild *build, bool alone)
{
	CrewShared *shared = palloc(offsetof(CrewShared, mean));

	init_shared(shared, build);
	build->crew = make_crew(shared, true);
	build->crew->silent = alone;
	if (!alone && IsNormalProcessingMode() && !IsInParallelMode())
		build->crew->workers = vk_index_workers(build->heap, build->index,
												build->info);
}

/*
 * Estimate and create the context's memory; false where there is none.
 */
static bool
create_memory(VkBuild *build, ParallelContext *context, Size *sizes)
{
	int			workers = context->nworkers;

	sizes[CHUNK_SHARED] = offsetof(CrewShared, mean) + build->dim * sizeof(float);
	sizes[CHUNK_SCAN] = table_parallelscan_estimate(build->heap, build->crew->snapshot);
	sizes[CHUNK_SORT] = tuplesort_estimate_shared(workers + 1);
	sizes[CHUNK_QUERY] = debug_query_string == NULL ? 1 : strlen(debug_query_string) + 1;
	sizes[CHUNK_BUFFER_USAGE] = mul_size(sizeof(BufferUsage), workers);
	sizes[CHUNK_WAL_USAGE] = mul_size(sizeof(WalUsage), workers);
	for (int i = 0; i < CHUNKS; i++)
		shm_toc_estimate_chunk(&context->estimator, sizes[i]);
	shm_toc_estimate_keys(&context->estimator, CHUNKS);
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
fill_memory(VkBuild *build, ParallelContext *context, const Size *sizes)
{
	VkCrew	   *crew = build->crew;
	CrewShared *shared = put_chunk(context, CHUNK_SHARED, sizes);
	char	   *query;

	init_shared(shared, build);
	memcpy(shared->arenas, crew->own->arenas, sizeof(shared->arenas));
	shared->meta = build->meta;
	if (BlockNumberIsValid(shared->meta.mean_head))
		memcpy(shared->mean, build->vk->coder.mean, build->dim * sizeof(float));

	crew->scan = put_chunk(context, CHUNK_SCAN, sizes);
	table_parallelscan_initialize(build->heap, crew->scan, crew->snapshot);
	crew->sort = put_chunk(context, CHUNK_SORT, sizes);
	tuplesort_initialize_shared(crew->sort, context->nworkers + 1, context->seg);
	query = put_chunk(context, CHUNK_QUERY, sizes);
	strcpy(query, debug_query_string == NULL ? "" : debug_query_string);
	crew->buffer_usage = put_chunk(context, CHUNK_BUFFER_USAGE, sizes);
	crew->wal_usage = put_chunk(context, CHUNK_WAL_USAGE, sizes);
	crew->shared = shared;
}

static void
end_context(VkCrew *crew)
{
	if (IsMVCCSnapshot(crew->snapshot))
		UnregisterSnapshot(crew->snapshot);
	DestroyParallelContext(crew->context_of_workers);
	ExitParallelMode();
	crew->context_of_workers = NULL;
	crew->workers = 0;
	crew->shared = crew->own;
}

/*
 * vk_crew_start -- launch the workers planned, as many as there are
 *
 * The mean and the format of the index are known.  From here to vk_crew_end
 * the session is in parallel mode.
 */
void
vk_crew_start(VkBuild *build)
{
	VkCrew	   *crew = build->crew;
	ParallelContext *context;
	Size		sizes[CHUNKS];

	if (crew->workers == 0)
		return;

	EnterParallelMode();
	context = CreateParallelContext("vkindex", "vk_build_worker", crew->workers);
	crew->context_of_workers = context;
	crew->snapshot = build->info->ii_Concurrent ?
		RegisterSnapshot(GetTransactionSnapshot()) : SnapshotAny;
	if (!create_memory(build, context, sizes))
	{
		end_context(crew);
		return;
	}
	fill_memory(build, context, sizes);
	LaunchParallelWorkers(context);
	crew->workers = context->nworkers_launched;
	if (crew->workers == 0)
	{
		end_context(crew);
		return;
	}
	elog(DEBUG1, "index \"%s\" is built by %d processes",
		 RelationGetRelationName(build->index), crew->workers + 1);
}

void
vk_crew_end(VkBuild *build)
{
	VkCrew	   *crew = build->crew;
	ParallelContext *context = crew->context_of_workers;

	for (int arena = 0; arena < VK_ARENAS; arena++)
		vk_arena_drop(build, arena);
	if (context == NULL)
		return;
	post(crew, VK_STAGE_EXIT, 0, false);
	WaitForParallelWorkersToFinish(context);
	for (int i = 0; i < context->nworkers_launched; i++)
		InstrAccumParallelQuery(&crew->buffer_usage[i], &crew->wal_usage[i]);
	end_context(crew);
}

/* ---- workers ---- */

static void
leave_stage(VkBuild *build)
{
	VkCrew	   *crew = build->crew;

	crew->stage = VK_STAGE_NONE;
	MemoryContextReset(crew->context);
	for (int arena = 0; arena < VK_ARENAS; arena++)
		vk_arena_drop(build, arena);
}

/*
 * Wait for a job that is news, and join it if it is open.
 */
static VkStage
next_job(CrewShared *shared, uint64 *seen, bool *joined)
{
	VkStage		stage = VK_STAGE_NONE;
	bool		news = false;

	for (;;)
	{
		SpinLockAcquire(&shared->mutex);
		if (shared->jobs != *seen)
		{
			news = true;
			*seen = shared->jobs;
			stage = shared->stage;
			*joined = shared->open;
			if (*joined)
			{
				shared->active++;
				shared->joined++;
			}
		}
		SpinLockRelease(&shared->mutex);
		if (news)
			break;
		ConditionVariableSleep(&shared->posted,
							   WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	}
	ConditionVariableCancelSleep();
	return stage;
}

static void
work_until_exit(VkBuild *build)
{
	VkCrew	   *crew = build->crew;
	CrewShared *shared = crew->shared;
	uint64		seen = 0;
	bool		joined;
	VkStage		stage;

	while ((stage = next_job(shared, &seen, &joined)) != VK_STAGE_EXIT)
	{
		if (stage != crew->stage)
			leave_stage(build);
		if (!joined)
			continue;
		if (stage != crew->stage)
			enter_stage(build, stage);
		stage_routines[stage]->work(build, crew->state);

		SpinLockAcquire(&shared->mutex);
		shared->active--;
		SpinLockRelease(&shared->mutex);
		ConditionVariableSignal(&shared->left);
	}
	leave_stage(build);
}

/* what the leader made out of the index's definition and the first sample */
static void
init_worker(VkBuild *build, Relation heap, Relation index, CrewShared *shared)
{
	vk_build_init(build, index, &shared->meta);
	build->heap = heap;
	build->info = BuildIndexInfo(index);
	build->info->ii_Concurrent = shared->concurrent;
	vk_build_make_scratch(build);
	build->vk = vk_index_make(index, build->dim, build->support->metric,
							  build->format, build->refine_bits, build->flat,
							  build->seed,
							  BlockNumberIsValid(build->meta.mean_head) ?
							  shared->mean : NULL,
							  build->meta.step, CurrentMemoryContext);
	build->crew = make_crew(shared, false);
}

/*
 * vk_build_worker -- main function of a worker
 */
void
vk_build_worker(dsm_segment *segment, shm_toc *toc)
{
	CrewShared *shared = shm_toc_lookup(toc, CHUNK_KEY(CHUNK_SHARED), false);
	BufferUsage *buffer_usage = shm_toc_lookup(toc, CHUNK_KEY(CHUNK_BUFFER_USAGE), false);
	WalUsage   *wal_usage = shm_toc_lookup(toc, CHUNK_KEY(CHUNK_WAL_USAGE), false);
	/* the locks that the leader holds */
	LOCKMODE	heap_lock = shared->concurrent ? ShareUpdateExclusiveLock : ShareLock;
	LOCKMODE	index_lock = shared->concurrent ? RowExclusiveLock : AccessExclusiveLock;
	Relation	heap,
				index;
	VkBuild		build;

	debug_query_string = shm_toc_lookup(toc, CHUNK_KEY(CHUNK_QUERY), false);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);

	heap = table_open(shared->heap, heap_lock);
	index = index_open(shared->index, index_lock);
	init_worker(&build, heap, index, shared);
	build.crew->scan = shm_toc_lookup(toc, CHUNK_KEY(CHUNK_SCAN), false);
	build.crew->sort = shm_toc_lookup(toc, CHUNK_KEY(CHUNK_SORT), false);
	tuplesort_attach_shared(build.crew->sort, segment);

	InstrStartParallelQuery();
	work_until_exit(&build);
	InstrEndParallelQuery(&buffer_usage[ParallelWorkerNumber],
						  &wal_usage[ParallelWorkerNumber]);

	index_close(index, index_lock);
	table_close(heap, heap_lock);
}
