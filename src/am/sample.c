/*-------------------------------------------------------------------------
 *
 * sample.c
 *	  Rows sampled for the mean, for k-means and for calibration; k-means.
 *
 * NOTES
 *	  Two samples are taken, each of randomly chosen heap blocks, read through
 *	  the table access method's index build scan so that index expressions and
 *	  predicates apply; a reservoir thins out what the blocks give.  The first
 *	  is small and keeps vectors as they are: it yields the mean, an estimate
 *	  of the number of rows, and the rows for calibration.  The second feeds
 *	  k-means: 64 rows a list, rotated about that mean and quantised at once,
 *	  so that it takes a byte a dimension.  Where memory holds fewer, samples take
 *	  turns.  A table that the first sample holds completely is not read again.
 *
 *	  Only live rows are sampled, in an order fixed by the seed.  The table is
 *	  cut into as many strata as blocks are wanted, one block of each.  The
 *	  second sample has a fixed number of pieces with a reservoir each, so that
 *	  it does not matter which process takes which of them; a piece's blocks
 *	  come from all over the table.
 *
 * IDENTIFICATION
 *	  src/am/sample.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "am/build.h"

#include "access/tableam.h"
#include "miscadmin.h"
#include "optimizer/plancat.h"
#include "quant/random.h"
#include "utils/memutils.h"

#define FIRST_ROWS			10000	/* rows of the first sample */
#define FIRST_BLOCKS		1000	/* blocks of it at least */
#define ROWS_A_LIST			64	/* of the second */
#define FAIR_ROWS_A_LIST	8	/* at a time; below that: a notice */
#define MOST_TURNS			8	/* of samples that take turns */
#define TRAINING_PIECES		64	/* of the second at most */
#define PIECE_ROWS			1024	/* of each at least */
#define GROUP_BLOCKS		16	/* chosen blocks that one piece takes in a row */

/* rotation, k-means and block choice draw from streams of their own */
#define STREAM_FIRST		1
#define STREAM_SECOND		2

/* random blocks of the table */
typedef struct Blocks
{
	BlockNumber total;			/* of the table */
	BlockNumber chosen;			/* one of each of so many strata */
	uint64		seed;
} Blocks;

/* one pass over some of them */
typedef struct TableSample
{
	VkBuild    *build;
	VkRandom	random;
	int64		capacity;
	int64		count;			/* rows kept, at most capacity */
	int64		shown;			/* of these, as progress */
	double		seen;			/* live rows that have a value */
	void		(*keep) (struct TableSample *scan, int64 place,
						 ItemPointer tid, const float *vector);
	void	   *arg;
} TableSample;

/* start of stream number i under a seed */
static uint64
stream_state(uint64 seed, int64 i)
{
	VkRandom	random = {seed + i};

	return vk_seeded_next(&random);
}

/*
 * Reservoir: place of the next row among those kept, or -1.  The caller
 * raises count if the row goes to place count.
 */
static int64
reservoir_place(TableSample *scan)
{
	int64		place;

	scan->seen++;
	if (scan->count < scan->capacity)
		return scan->count;
	place = vk_seeded_below(&scan->random, (int64) scan->seen);
	return place < scan->capacity ? place : -1;
}

static void
sample_vector(TableSample *scan, int64 place, ItemPointer tid, Datum value)
{
	bool		wild;
	const float *vector = vk_build_floats(scan->build, value, &wild);

	if (vector == NULL || wild)
		return;
	scan->keep(scan, place, tid, vector);
	if (place == scan->count)
		scan->count++;
}

static void
sample_row(Relation index, ItemPointer tid, Datum *values, bool *isnull,
		   bool alive, void *state)
{
	TableSample *scan = state;
	VkBuild    *build = scan->build;
	MemoryContext old;
	Datum	   *vectors;
	int			count;
	int64		place;

	if (!alive || isnull[0])
		return;
	/* most rows are not kept, and need not be read */
	place = build->support->documents ? 0 : reservoir_place(scan);
	if (place < 0)
		return;

	old = MemoryContextSwitchTo(build->row_context);
	count = vk_build_vectors(build, values[0], &vectors);
	for (int i = 0; i < count; i++)
	{
		if (build->support->documents)
			place = reservoir_place(scan);
		if (place >= 0)
			sample_vector(scan, place, tid, vectors[i]);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_context);
}

static BlockNumber
chosen_block(const Blocks *blocks, BlockNumber i)
{
	VkRandom	random = {stream_state(blocks->seed, i)};
	BlockNumber first = (uint64) blocks->total * i / blocks->chosen;
	BlockNumber next = (uint64) blocks->total * (i + 1) / blocks->chosen;

	return first + vk_seeded_below(&random, next - first);
}

static Blocks
choose_blocks(VkBuild *build, double wanted, uint64 seed)
{
	Blocks		blocks;

	blocks.total = RelationGetNumberOfBlocks(build->heap);
	blocks.chosen = (BlockNumber) Min(wanted, blocks.total);
	blocks.seed = seed;
	return blocks;
}

/*
 * Read chosen blocks first to end - 1, neighbouring ones in one go.
 */
static void
sample_blocks(TableSample *scan, const Blocks *blocks, BlockNumber first,
			  BlockNumber end)
{
	VkBuild    *build = scan->build;

	while (first < end)
	{
		BlockNumber block = chosen_block(blocks, first++);
		BlockNumber count = 1;

		while (first < end && chosen_block(blocks, first) == block + count)
		{
			first++;
			count++;
		}
		table_index_build_range_scan(build->heap, build->index, build->info,
									 false, false, false, block, count,
									 sample_row, scan, NULL);
		vk_build_progress(build, scan->count - scan->shown);
		scan->shown = scan->count;
	}
}

/* ---- the first sample ---- */

typedef struct FirstHead
{
	int64		capacity;
	int64		count;
	bool		complete;
} FirstHead;

static void
keep_vector(TableSample *scan, int64 place, ItemPointer tid, const float *vector)
{
	VkSample   *sample = scan->arg;
	int			dim = scan->build->dim;

	memcpy(sample->rows + place * dim, vector, dim * sizeof(float));
	sample->tids[place] = *tid;
}

static Size
first_size(const VkBuild *build, int64 capacity)
{
	return MAXALIGN(sizeof(FirstHead)) +
		capacity * (build->dim * sizeof(float) + sizeof(ItemPointerData));
}

Size
vk_sample_size(const VkBuild *build)
{
	return first_size(build, build->sample.count);
}

/* point build->sample into its arena */
static void
map_sample(VkBuild *build, const FirstHead *head)
{
	VkSample   *sample = &build->sample;

	sample->count = head->count;
	sample->complete = head->complete;
	sample->rows = (float *) ((char *) head + MAXALIGN(sizeof(FirstHead)));
	sample->tids = (ItemPointerData *) (sample->rows + head->capacity * build->dim);
}

void
vk_sample_attach(VkBuild *build)
{
	const FirstHead *head = vk_arena(build, VK_ARENA_SAMPLE);

	if (head != NULL)
		map_sample(build, head);
}

void
vk_sample_drop(VkBuild *build)
{
	vk_arena_drop(build, VK_ARENA_SAMPLE);
	memset(&build->sample, 0, sizeof(build->sample));
}

/*
 * vk_sample_table -- take the first sample; sets build->sample and build->rows
 *
 * By the leader alone: it is small, and the workers need its mean.
 */
void
vk_sample_table(VkBuild *build)
{
	Size		row_size = build->dim * sizeof(float) + sizeof(ItemPointerData);
	int64		wanted = Max(FIRST_ROWS, build->calibrate);
	TableSample	scan = {.build = build, .keep = keep_vector,
	.arg = &build->sample};
	Blocks		blocks;
	FirstHead  *head;
	BlockNumber pages;
	double		tuples,
				all_visible;

	/* a fair estimate of rows a block will do: it only sets how many to read */
	estimate_rel_size(build->heap, NULL, &pages, &tuples, &all_visible);
	scan.capacity = Max(Min(wanted, (int64) (build->memory / 4 / row_size)), 64);
	if (!build->support->documents)
		scan.capacity = Min(scan.capacity,
							(int64) pages * MaxHeapTuplesPerPage + 1);
	vk_build_phase(build, VK_PHASE_SAMPLE, scan.capacity);

	head = vk_arena_make(build, VK_ARENA_SAMPLE,
						 first_size(build, scan.capacity), true);
	head->capacity = scan.capacity;
	head->count = 0;
	map_sample(build, head);

	scan.random.state = build->seed + STREAM_FIRST;
	blocks = choose_blocks(build, Max(FIRST_BLOCKS, 1.2 * scan.capacity * pages /
									  Max(tuples, 1.0)),
						   vk_seeded_next(&scan.random));
	sample_blocks(&scan, &blocks, 0, blocks.chosen);

	head->count = scan.count;
	head->complete = blocks.chosen == blocks.total && scan.seen <= scan.capacity;
	map_sample(build, head);
	build->rows = blocks.chosen == 0 ? 0 :
		scan.seen * ((double) blocks.total / blocks.chosen);
}

/*
 * vk_mean_of -- mean of rows, NULL where there are none
 */
float *
vk_mean_of(const float *rows, int64 count, int dim)
{
	float	   *mean;

	if (count == 0)
		return NULL;

	mean = palloc(dim * sizeof(float));
	for (int i = 0; i < dim; i++)
	{
		double		sum = 0;

		CHECK_FOR_INTERRUPTS();
		for (int64 row = 0; row < count; row++)
			sum += rows[row * dim + i];
		mean[i] = (float) (sum / count);
	}
	return mean;
}

/* ---- centres ---- */

typedef struct CentersHead
{
	int			capacity;
	int			lists;
} CentersHead;

Size
vk_centers_size(const VkBuild *build, int lists)
{
	return VK_ALIGNMENT + lists * (sizeof(pg_atomic_uint64) + sizeof(float) +
								   build->stride);
}

static void
map_centers(VkBuild *build, const CentersHead *head)
{
	char	   *next = (char *) head + VK_ALIGNMENT;

	build->lists = head->lists;
	build->list_rows = (pg_atomic_uint64 *) next;
	next += head->capacity * sizeof(pg_atomic_uint64);
	build->center_scales = (float *) next;
	next += head->capacity * sizeof(float);
	build->center_codes = (int8 *) next;
}

void
vk_centers_make(VkBuild *build, int capacity)
{
	CentersHead *head = vk_arena_make(build, VK_ARENA_CENTERS,
									  vk_centers_size(build, capacity), true);

	head->capacity = capacity;
	head->lists = 0;
	map_centers(build, head);
	for (int i = 0; i < capacity; i++)
		pg_atomic_init_u64(&build->list_rows[i], 0);
}

void
vk_centers_set(VkBuild *build, int lists)
{
	CentersHead *head = vk_arena(build, VK_ARENA_CENTERS);

	head->lists = build->lists = lists;
}

void
vk_centers_attach(VkBuild *build)
{
	const CentersHead *head = vk_arena(build, VK_ARENA_CENTERS);

	if (head != NULL)
		map_centers(build, head);
}

/* ---- the second sample ---- */

typedef struct TrainingHead
{
	Blocks		blocks;
	int			lists;
	int			pieces;
	int64		piece_rows;		/* places of each */
	int64		counts[TRAINING_PIECES];	/* rows of each */
	int64		rows;			/* once they lie one behind the other */
	VkKmeansJob job;
} TrainingHead;

typedef struct Training
{
	TrainingHead *head;
	int8	   *codes;
	float	   *scales;
	void	   *kmeans;			/* vk_kmeans_memory */
} Training;

static Size
aligned(Size size)
{
	return TYPEALIGN(VK_ALIGNMENT, size);
}

static Size
training_size(const VkBuild *build, int lists, int64 rows)
{
	return aligned(sizeof(TrainingHead)) + aligned(rows * build->stride) +
		aligned(rows * sizeof(float)) +
		vk_kmeans_memory(build->dim, lists, rows);
}

static Training
map_training(const VkBuild *build, TrainingHead *head)
{
	int64		capacity = head->piece_rows * head->pieces;
	Training	training;
	char	   *next = (char *) head + aligned(sizeof(TrainingHead));

	training.head = head;
	training.codes = (int8 *) next;
	next += aligned(capacity * build->stride);
	training.scales = (float *) next;
	next += aligned(capacity * sizeof(float));
	training.kmeans = next;
	return training;
}

typedef struct SampleState
{
	Training	training;
	float	   *rotated;		/* scratch */
} SampleState;

static void *
sample_begin(VkBuild *build)
{
	SampleState *state = palloc(sizeof(SampleState));

	state->training = map_training(build, vk_arena(build, VK_ARENA_TRAINING));
	state->rotated = palloc(build->dim * sizeof(float));
	return state;
}

static void
keep_code(TableSample *scan, int64 place, ItemPointer tid, const float *vector)
{
	VkBuild    *build = scan->build;
	SampleState *state = scan->arg;
	Training   *training = &state->training;
	double		norm2;

	vk_row_quantize(build->vk, vector, state->rotated, &norm2,
					training->codes + place * build->stride,
					&training->scales[place], build->scratch);
}

/* one piece's places begin at `first`, of which keep_code is not to know */
static void
sample_piece(VkBuild *build, SampleState *state, int64 piece)
{
	TrainingHead *head = state->training.head;
	SampleState own = *state;
	TableSample	scan = {.build = build, .capacity = head->piece_rows,
	.keep = keep_code, .arg = &own};

	own.training.codes += piece * head->piece_rows * build->stride;
	own.training.scales += piece * head->piece_rows;
	scan.random.state = stream_state(head->blocks.seed, -1 - piece);
	for (uint64 group = piece; group * GROUP_BLOCKS < head->blocks.chosen;
		 group += head->pieces)
		sample_blocks(&scan, &head->blocks, group * GROUP_BLOCKS,
					  Min((group + 1) * GROUP_BLOCKS, head->blocks.chosen));
	head->counts[piece] = scan.count;
}

static void
sample_work(VkBuild *build, void *state)
{
	int64		piece;

	while ((piece = vk_stage_piece(build)) >= 0)
		sample_piece(build, state, piece);
}

const VkStageRoutine vk_sample_stage = {sample_begin, sample_work};

/* the pieces' rows, one behind the other */
static void
close_gaps(VkBuild *build, Training *training)
{
	TrainingHead *head = training->head;

	head->rows = 0;
	for (int piece = 0; piece < head->pieces; piece++)
	{
		int64		first = piece * head->piece_rows;

		memmove(training->codes + head->rows * build->stride,
				training->codes + first * build->stride,
				head->counts[piece] * build->stride);
		memmove(training->scales + head->rows, training->scales + first,
				head->counts[piece] * sizeof(float));
		head->rows += head->counts[piece];
	}
}

/* the first sample is all there is */
static void
take_first_sample(VkBuild *build, SampleState *state)
{
	VkSample   *sample = &build->sample;
	TrainingHead *head = state->training.head;
	TableSample	scan = {.build = build, .arg = state};

	head->rows = Min(sample->count, head->piece_rows * head->pieces);
	for (int64 i = 0; i < head->rows; i++)
		keep_code(&scan, i, &sample->tids[i], sample->rows + i * build->dim);
}

/* fill the training arena, which has room for so many rows, by the sample of a turn */
static void
take_training(VkBuild *build, int lists, int64 capacity, bool alone, int turn)
{
	TrainingHead *head = vk_arena(build, VK_ARENA_TRAINING);
	SampleState *state;
	VkRandom	random = {build->seed + STREAM_SECOND};
	double		pages = RelationGetNumberOfBlocks(build->heap);

	for (; turn > 0; turn--)
		(void) vk_seeded_next(&random);
	head->lists = lists;
	head->pieces = Max(Min(capacity / PIECE_ROWS, TRAINING_PIECES), 1);
	head->piece_rows = capacity / head->pieces;
	head->blocks = choose_blocks(build, 1.05 * capacity * pages /
								 Max(build->rows, 1.0) + 1,
								 vk_seeded_next(&random));
	vk_build_phase(build, VK_PHASE_SAMPLE, capacity);
	state = vk_stage_begin(build, VK_STAGE_SAMPLE, alone);
	if (build->sample.complete)
		take_first_sample(build, state);
	else
	{
		vk_stage_run(build, head->pieces);
		close_gaps(build, &state->training);
	}
	vk_stage_end(build);
}

/* ---- k-means ---- */

static void
kmeans_progress(void *arg, int64_t more, int64_t total)
{
	vk_build_total(arg, total);
	vk_build_progress(arg, more);
}

/* the leader has a job done */
static void
kmeans_run(void *arg, const VkKmeansJob *job)
{
	VkBuild    *build = arg;
	TrainingHead *head = vk_arena(build, VK_ARENA_TRAINING);

	head->job = *job;
	vk_stage_run(build, job->pieces);
}

typedef struct KmeansState
{
	const VkKmeansJob *job;
	VkKmeansWork *work;
} KmeansState;

static void *
kmeans_begin(VkBuild *build)
{
	Training	training = map_training(build, vk_arena(build, VK_ARENA_TRAINING));
	KmeansState *state = palloc(sizeof(KmeansState));
	VkKmeans	kmeans = {0};

	vk_centers_attach(build);
	kmeans.dim = build->dim;
	kmeans.metric = build->support->metric;
	kmeans.lists = training.head->lists;
	kmeans.rows = training.head->rows;
	kmeans.codes = training.codes;
	kmeans.stride = build->stride;
	kmeans.scales = training.scales;
	kmeans.rotated_mean = build->vk->rotated_mean;
	kmeans.seed = build->seed;
	kmeans.center_codes = build->center_codes;
	kmeans.center_scales = build->center_scales;
	kmeans.shared = training.kmeans;
	kmeans.scratch = vk_aligned_alloc(vk_kmeans_scratch(build->dim, kmeans.lists));
	kmeans.progress = kmeans_progress;
	kmeans.pause = vk_pause;
	kmeans.run = kmeans_run;
	kmeans.arg = build;

	state->job = &training.head->job;
	state->work = vk_kmeans_join(&kmeans);
	return state;
}

static void
kmeans_work(VkBuild *build, void *arg)
{
	KmeansState *state = arg;
	int64		piece;

	while ((piece = vk_stage_piece(build)) >= 0)
		vk_kmeans_piece(state->work, state->job, piece);
}

const VkStageRoutine vk_kmeans_stage = {kmeans_begin, kmeans_work};

/* ---- memory ---- */

/* bytes that k-means takes in all processes together */
static Size
kmeans_need(const VkBuild *build, int lists, int64 rows, int processes)
{
	return vk_sample_size(build) + vk_centers_size(build, lists) +
		training_size(build, lists, rows) +
		processes * vk_kmeans_scratch(build->dim, lists);
}

/* rows that there is memory for, at best 64 a list; 0: not even one a list */
static int64
rows_that_fit(const VkBuild *build, int lists, int processes)
{
	int64		rows = (int64) Min((double) ROWS_A_LIST * lists, build->rows);

	rows = Max(rows, lists);
	while (rows > lists && kmeans_need(build, lists, rows, processes) > build->memory)
		rows = Max(rows - rows / 16 - 1, lists);
	return kmeans_need(build, lists, rows, processes) > build->memory ? 0 : rows;
}

static void
report_few_rows(VkBuild *build, int lists, int64 rows)
{
	if (rows < (int64) FAIR_ROWS_A_LIST * lists && rows < (int64) build->rows)
		ereport(NOTICE,
				(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg("lists of index \"%s\" are made from few rows",
						RelationGetRelationName(build->index)),
				 errdetail("maintenance_work_mem holds " INT64_FORMAT " rows for %d lists.",
						   rows, lists),
				 errhint("Increase maintenance_work_mem.")));
}

/*
 * Find rows to sample, and whether the leader must do without the workers,
 * each of which needs a copy of the centres.  Automatic lists become fewer
 * where memory holds no fair sample for them.
 */
static int64
fit_memory(VkBuild *build, int *lists, bool *alone)
{
	const int	wanted = *lists;
	int64		rows;

	for (;;)
	{
		rows = rows_that_fit(build, *lists, vk_crew_size(build));
		*alone = rows == 0;
		if (*alone)
			rows = rows_that_fit(build, *lists, 1);
		if (rows > 0 || build->wanted_lists > 0 || *lists == 1)
			break;
		*lists -= (*lists + 15) / 16;
	}
	if (rows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("memory required is %zu MB, maintenance_work_mem is %zu MB",
						kmeans_need(build, *lists, *lists, 1) / (1024 * 1024) + 1,
						build->memory / (1024 * 1024))));
	if (*lists < wanted)
		ereport(NOTICE,
				(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg("index \"%s\" gets fewer lists than its rows ask for",
						RelationGetRelationName(build->index)),
				 errdetail("maintenance_work_mem holds %d lists, %d would be best.",
						   *lists, wanted),
				 errhint("Increase maintenance_work_mem.")));
	else
		report_few_rows(build, *lists, rows);
	return rows;
}

/* samples that take turns: together they are to have 64 rows a list */
static int
count_turns(const VkBuild *build, int lists, int64 capacity)
{
	double		wanted = Min((double) ROWS_A_LIST * lists, build->rows);

	return build->sample.complete ? 1 : (int) Min(ceil(wanted / capacity), MOST_TURNS);
}

/*
 * vk_sample_centers -- take the second sample and cluster it
 *
 * Sets build->lists, center_codes and center_scales; fewer lists than wanted
 * come back where there are fewer rows.
 */
void
vk_sample_centers(VkBuild *build, int lists)
{
	bool		alone;
	int64		capacity = fit_memory(build, &lists, &alone);
	TrainingHead *head = vk_arena_make(build, VK_ARENA_TRAINING,
									   training_size(build, lists, capacity),
									   !alone);
	int			turns = count_turns(build, lists, capacity);

	memset(head, 0, sizeof(TrainingHead));
	vk_centers_make(build, lists);
	for (int turn = 0; turn < turns; turn++)
	{
		KmeansState *state;

		take_training(build, lists, capacity, alone, turn);
		if (head->rows < (turn == 0 ? 1 : lists))
			break;
		vk_build_phase(build, VK_PHASE_KMEANS, 0);
		state = vk_stage_begin(build, VK_STAGE_KMEANS, alone);
		if (turn == 0)
			lists = vk_kmeans(state->work);
		else
			vk_kmeans_more(state->work);
		vk_stage_end(build);
		vk_centers_set(build, lists);
	}
	vk_arena_drop(build, VK_ARENA_TRAINING);
}
