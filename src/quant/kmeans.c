/*-------------------------------------------------------------------------
 *
 * kmeans.c
 *	  K-means over int8 rows: two-level start, Lloyd steps, empty lists.
 *
 * NOTES
 *	  Every sum is an integer and centroids are quantised after each step, so
 *	  the lists depend on the rows and the seed alone: not on the ISA, nor on
 *	  the order in which rows are taken, nor on how many processes take part.
 *
 *	  A cell is a set of rows with centroids of its own: the sample behind the
 *	  coarse centroids, each coarse cell, and in the end all rows.  A step
 *	  assigns the cell's rows, sorts them by list, and moves each centroid to
 *	  the mean of its rows.
 *
 *	  Where memory holds few rows a list, others take their place afterwards, and
 *	  each centroid becomes the mean of all that it has been given (mini-batch
 *	  k-means: Sculley, Web-scale k-means clustering, WWW 2010).  The mean of few
 *	  rows lies off the middle of its list: others take rows that are not theirs.
 *
 *	  One process leads: it calls vk_kmeans, which hands out jobs.  The pieces
 *	  of a job touch memory of their own each (a range of rows, a range of
 *	  lists, a coarse cell), so any process may do any of them.  What they
 *	  share lies in one allocation that each of them carves up for itself.
 *
 * IDENTIFICATION
 *	  src/quant/kmeans.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <string.h>

#include "quant/quant.h"
#include "quant/random.h"

#define COARSE_SAMPLE	64		/* rows of the sample a coarse centroid */
#define COARSE_STEPS	4
#define CELL_STEPS		2
#define FULL_STEPS		3
#define SPLIT_ABOVE		4		/* times the mean: such lists give seeds away */

#define PIECE_ROWS		4096	/* rows assigned by one piece of a job */
#define PIECE_LISTS		64		/* centroids moved by one */

/* what the pieces of a job do */
enum
{
	JOB_ASSIGN,					/* rows of a set to its nearest centroids */
	JOB_MOVE,					/* centroids of a set to the means of their rows */
	JOB_MERGE,					/* the same, but of those before too */
	JOB_CELLS					/* cluster a coarse cell */
};

/* the sets of rows that jobs are about */
enum
{
	SET_SAMPLE,					/* some rows, coarse centroids */
	SET_COARSE,					/* all rows, coarse centroids */
	SET_ALL						/* all rows, all centroids */
};

/* the head of what is shared */
typedef struct Shared
{
	double		weight_unit;	/* row scale = weight * weight_unit */
} Shared;

/* what one process works with */
struct VkKmeansWork
{
	VkKmeans	input;
	size_t		stride;			/* of our own copies: no caller's padding */
	int			coarse;			/* coarse centroids */
	int64_t		total;			/* progress, in row-centroid pairs */

	/* shared */
	Shared	   *shared;
	int64_t    *weights;		/* rows that each centroid is the mean of */
	int32_t    *order;			/* rows, coarse cell by coarse cell */
	int32_t    *sorted;			/* rows of a cell, by list */
	int32_t    *list;			/* a row's list, by row */
	int32_t    *starts;			/* of each list of a cell in sorted, and its end */
	int32_t    *cell_starts;	/* of each coarse cell in order, and its end */
	int32_t    *cell_lists;		/* first list of each coarse cell, and the end */
	int8_t	   *coarse_codes;
	float	   *coarse_scales;

	/* this process's */
	int64_t    *sum;			/* dim */
	float	   *vector;			/* dim */
	int8_t	   *batch;			/* VK_ASSIGN_ROWS rows */
	void	   *memory;			/* of the assigner */
	VkAssigner	assigner;
	uint32_t	packed;			/* the job that it was made for */

	/* the leader's */
	VkRandom	random;
	uint32_t	jobs;			/* handed out */
};

/* rows with centroids of their own */
typedef struct Cell
{
	int32_t    *rows;			/* NULL: all, in order */
	int64_t		count;
	int8_t	   *codes;			/* centroids */
	size_t		stride;
	float	   *scales;
	int			lists;
	int32_t    *sorted;			/* its rows by list, once sort_cell has run */
	int32_t    *starts;			/* of each list there, and the end */
} Cell;

static size_t
aligned(size_t size)
{
	return (size + 63) / 64 * 64;
}

static int
coarse_count(int lists)
{
	return (int) ceil(sqrt((double) lists));
}

static size_t
own_stride(int dim)
{
	return ((size_t) dim + 3) / 4 * 4;
}

/* the next piece of an allocation; base may be NULL, to count only */
static void *
carve(char *base, size_t *used, size_t size)
{
	void	   *piece = base == NULL ? NULL : base + *used;

	*used += aligned(size);
	return piece;
}

static size_t
carve_shared(VkKmeansWork *work, char *base, int dim, int lists, int64_t rows)
{
	const size_t coarse = coarse_count(lists);
	size_t		used = 0;

	work->shared = carve(base, &used, sizeof(Shared));
	work->weights = carve(base, &used, sizeof(int64_t) * lists);
	work->order = carve(base, &used, sizeof(int32_t) * rows);
	work->sorted = carve(base, &used, sizeof(int32_t) * rows);
	work->list = carve(base, &used, sizeof(int32_t) * rows);
	work->starts = carve(base, &used, sizeof(int32_t) * (lists + coarse));
	work->cell_starts = carve(base, &used, sizeof(int32_t) * (coarse + 1));
	work->cell_lists = carve(base, &used, sizeof(int32_t) * (coarse + 1));
	work->coarse_codes = carve(base, &used, coarse * own_stride(dim));
	work->coarse_scales = carve(base, &used, sizeof(float) * coarse);
	return used;
}

static size_t
carve_scratch(VkKmeansWork *work, char *base, int dim, int lists)
{
	size_t		used = aligned(sizeof(VkKmeansWork));

	work->sum = carve(base, &used, sizeof(int64_t) * dim);
	work->vector = carve(base, &used, sizeof(float) * dim);
	work->batch = carve(base, &used, VK_ASSIGN_ROWS * own_stride(dim));
	work->memory = carve(base, &used, vk_assigner_size(dim, lists));
	return used;
}

size_t
vk_kmeans_memory(int dim, int lists, int64_t rows)
{
	VkKmeansWork work;

	return carve_shared(&work, NULL, dim, lists, rows);
}

size_t
vk_kmeans_scratch(int dim, int lists)
{
	VkKmeansWork work;

	return carve_scratch(&work, NULL, dim, lists);
}

/* what progress counts up to: pairs of rows and centroids, of all steps */
static int64_t
total_pairs(const VkKmeans *input, int64_t coarse)
{
	return input->rows * input->lists * (FULL_STEPS + 1) +
		input->rows * coarse * (1 + CELL_STEPS) +
		coarse * coarse * COARSE_SAMPLE * COARSE_STEPS;
}

VkKmeansWork *
vk_kmeans_join(const VkKmeans *kmeans)
{
	VkKmeansWork *work = kmeans->scratch;

	memset(work, 0, sizeof(VkKmeansWork));
	work->input = *kmeans;
	if (work->input.lists > kmeans->rows)
		work->input.lists = (int) kmeans->rows;
	work->stride = own_stride(kmeans->dim);
	work->coarse = coarse_count(work->input.lists);
	work->total = total_pairs(&work->input, work->coarse);
	carve_shared(work, kmeans->shared, kmeans->dim, work->input.lists, kmeans->rows);
	carve_scratch(work, kmeans->scratch, kmeans->dim, work->input.lists);
	return work;
}

/*
 * Fixed point: a row's scale as an integer weight, so that the sums of all
 * rows' weighted codes fit 63 bits.
 */
static double
weight_unit(const VkKmeans *input)
{
	float		largest = 0;
	int			bits = 30;

	for (int64_t i = 0; i < input->rows; i++)
		if (input->scales[i] > largest && input->scales[i] < INFINITY)
			largest = input->scales[i];
	while (bits > 8 && input->rows > (INT64_C(1) << (55 - bits)))
		bits--;
	return largest > 0 ? ldexp((double) largest, -bits) : 1;
}

static int64_t
row_weight(const VkKmeansWork *work, int64_t row)
{
	double		weight = work->input.scales[row] / work->shared->weight_unit;

	return weight < INFINITY ? (int64_t) (weight + 0.5) : 0;
}

static void
report(VkKmeansWork *work, int64_t pairs)
{
	if (work->input.progress != NULL)
		work->input.progress(work->input.arg, pairs, work->total);
	if (work->input.pause != NULL)
		work->input.pause();
}

/* ---- cells ---- */

static Cell
set_of(VkKmeansWork *work, int set)
{
	VkKmeans   *input = &work->input;
	int64_t		sample = (int64_t) work->coarse * COARSE_SAMPLE;
	Cell		cell = {NULL, input->rows, work->coarse_codes, work->stride,
		work->coarse_scales, work->coarse, work->order, work->cell_starts};

	switch (set)
	{
		case SET_SAMPLE:
			cell.rows = work->order;
			cell.count = sample < input->rows ? sample : input->rows;
			cell.sorted = work->sorted;
			break;
		case SET_ALL:
			cell.codes = input->center_codes;
			cell.stride = input->stride;
			cell.scales = input->center_scales;
			cell.lists = input->lists;
			cell.sorted = work->sorted;
			cell.starts = work->starts;
			break;
	}
	return cell;
}

/* rows of a coarse cell, with its share of all centroids */
static Cell
coarse_cell(VkKmeansWork *work, int i)
{
	Cell		cell = set_of(work, SET_ALL);
	int			list = work->cell_lists[i];
	int			start = work->cell_starts[i];

	cell.rows = work->order + start;
	cell.count = work->cell_starts[i + 1] - start;
	cell.codes += list * cell.stride;
	cell.scales += list;
	cell.lists = work->cell_lists[i + 1] - list;
	cell.sorted += start;
	cell.starts += list + i;
	return cell;
}

static int64_t
cell_row(const Cell *cell, int64_t i)
{
	return cell->rows == NULL ? i : cell->rows[i];
}

static void
pack_centroids(VkKmeansWork *work, const Cell *cell)
{
	vk_assigner_init(&work->assigner, work->input.dim, cell->lists, cell->codes,
					 cell->stride, cell->scales, work->input.pause, work->memory);
}

/*
 * work->list of rows first to end - 1 of the cell.
 */
static void
assign_rows(VkKmeansWork *work, const Cell *cell, int64_t first, int64_t end)
{
	const VkKmeans *input = &work->input;

	for (; first < end; first += VK_ASSIGN_ROWS)
	{
		int64_t		left = end - first;
		int			m = left < VK_ASSIGN_ROWS ? (int) left : VK_ASSIGN_ROWS;
		float		scales[VK_ASSIGN_ROWS];
		int32_t		lists[VK_ASSIGN_ROWS];

		for (int i = 0; i < m; i++)
		{
			int64_t		row = cell_row(cell, first + i);

			memcpy(work->batch + i * work->stride,
				   input->codes + row * input->stride, work->stride);
			scales[i] = input->scales[row];
		}
		vk_assign(&work->assigner, work->batch, work->stride, scales, m, lists);
		for (int i = 0; i < m; i++)
			work->list[cell_row(cell, first + i)] = lists[i];
		report(work, (int64_t) m * cell->lists);
	}
}

/*
 * Sort the cell's rows by list.
 */
static void
sort_cell(VkKmeansWork *work, const Cell *cell)
{
	int32_t		sum = 0;

	memset(cell->starts, 0, sizeof(int32_t) * (cell->lists + 1));
	for (int64_t i = 0; i < cell->count; i++)
		cell->starts[work->list[cell_row(cell, i)]]++;
	for (int list = 0; list <= cell->lists; list++)
	{
		int32_t		count = cell->starts[list];

		cell->starts[list] = sum;
		sum += count;
	}
	/* filling moves each start to its end, which is the next one's start */
	for (int64_t i = 0; i < cell->count; i++)
	{
		int64_t		row = cell_row(cell, i);

		cell->sorted[cell->starts[work->list[row]]++] = (int32_t) row;
	}
	for (int list = cell->lists; list > 0; list--)
		cell->starts[list] = cell->starts[list - 1];
	cell->starts[0] = 0;
}

static int32_t
list_rows(const Cell *cell, int list)
{
	return cell->starts[list + 1] - cell->starts[list];
}

/* a centroid becomes the mean of rows with this sum, and of those that it was of */
static void
put_centroid(VkKmeansWork *work, const Cell *cell, int list, const int64_t *sum,
			 int64_t before)
{
	int8_t	   *code = cell->codes + list * cell->stride;
	const double rows = (double) list_rows(cell, list) + (double) before;
	const double factor = work->shared->weight_unit / rows;
	const double share = (double) cell->scales[list] * (double) before / rows;

	for (int i = 0; i < work->input.dim; i++)
		work->vector[i] = (float) ((double) sum[i] * factor + share * code[i]);
	vk_center_encode(work->vector, work->input.dim, code, &cell->scales[list]);
}

/*
 * Centroids first to end - 1 become the means of their rows, and of so many that
 * each was the mean of before (NULL: none); those without rows stay.
 */
static void
move_centroids(VkKmeansWork *work, const Cell *cell, int first, int end,
			   const int64_t *before)
{
	const VkKmeans *input = &work->input;
	const int	dim = input->dim;
	int64_t    *restrict sum = work->sum;

	for (int list = first; list < end; list++)
	{
		if (list_rows(cell, list) == 0)
			continue;
		memset(sum, 0, sizeof(int64_t) * dim);
		for (int32_t i = cell->starts[list]; i < cell->starts[list + 1]; i++)
		{
			int64_t		row = cell->sorted[i];
			int64_t		weight = row_weight(work, row);
			const int8_t *restrict code = input->codes + row * input->stride;

			for (int j = 0; j < dim; j++)
				sum[j] += weight * code[j];
		}
		put_centroid(work, cell, list, sum, before == NULL ? 0 : before[list]);
		report(work, 0);
	}
}

static void
copy_centroid(const VkKmeansWork *work, const Cell *cell, int list, int64_t row)
{
	const VkKmeans *input = &work->input;

	memset(cell->codes + list * cell->stride, 0, cell->stride);
	memcpy(cell->codes + list * cell->stride, input->codes + row * input->stride,
		   input->dim);
	cell->scales[list] = input->scales[row];
}

/*
 * Move a random choice of n of the rows, of all if there are fewer, to the front.
 */
static void
choose_rows(VkRandom *random, int32_t *rows, int64_t count, int64_t n)
{
	for (int64_t i = 0; i < n && i < count; i++)
	{
		int64_t		j = i + vk_seeded_below(random, count - i);
		int32_t		swap = rows[i];

		rows[i] = rows[j];
		rows[j] = swap;
	}
}

/* random rows of the cell become its centroids */
static void
seed_cell(VkKmeansWork *work, VkRandom *random, const Cell *cell)
{
	choose_rows(random, cell->rows, cell->count, cell->lists);
	for (int list = 0; list < cell->lists; list++)
		copy_centroid(work, cell, list, cell->rows[list]);
}

/* cluster a coarse cell, with random numbers of its own */
static void
cluster_cell(VkKmeansWork *work, int i)
{
	Cell		cell = coarse_cell(work, i);
	VkRandom	random = {work->input.seed + i};

	if (cell.lists == 0)
		return;
	random.state = vk_seeded_next(&random);
	seed_cell(work, &random, &cell);
	for (int step = 0; step < CELL_STEPS; step++)
	{
		pack_centroids(work, &cell);
		assign_rows(work, &cell, 0, cell.count);
		sort_cell(work, &cell);
		move_centroids(work, &cell, 0, cell.lists, NULL);
	}
}

/* ---- jobs ---- */

void
vk_kmeans_piece(VkKmeansWork *work, const VkKmeansJob *job, int64_t piece)
{
	Cell		cell = set_of(work, job->set);
	int64_t		end;

	switch (job->kind)
	{
		case JOB_ASSIGN:
			if (work->packed != job->number)
				pack_centroids(work, &cell);
			work->packed = job->number;
			end = (piece + 1) * PIECE_ROWS;
			assign_rows(work, &cell, piece * PIECE_ROWS,
						end < cell.count ? end : cell.count);
			break;
		case JOB_MOVE:
		case JOB_MERGE:
			end = (piece + 1) * PIECE_LISTS;
			move_centroids(work, &cell, (int) piece * PIECE_LISTS,
						   end < cell.lists ? (int) end : cell.lists,
						   job->kind == JOB_MERGE ? work->weights : NULL);
			break;
		case JOB_CELLS:
			cluster_cell(work, (int) piece);
			break;
	}
}

static void
run_job(VkKmeansWork *work, int kind, int set, int64_t pieces)
{
	VkKmeansJob job = {kind, set, ++work->jobs, pieces};

	if (work->input.run != NULL)
	{
		work->input.run(work->input.arg, &job);
		return;
	}
	for (int64_t piece = 0; piece < pieces; piece++)
		vk_kmeans_piece(work, &job, piece);
}

static void
assign_set(VkKmeansWork *work, int set)
{
	Cell		cell = set_of(work, set);

	run_job(work, JOB_ASSIGN, set, (cell.count + PIECE_ROWS - 1) / PIECE_ROWS);
	sort_cell(work, &cell);
}

/* JOB_MOVE or JOB_MERGE */
static void
lloyd_step(VkKmeansWork *work, int set, int move)
{
	Cell		cell = set_of(work, set);

	assign_set(work, set);
	run_job(work, move, set, (cell.lists + PIECE_LISTS - 1) / PIECE_LISTS);
}

static void
add_weights(VkKmeansWork *work, const Cell *cell)
{
	for (int list = 0; list < cell->lists; list++)
		work->weights[list] += list_rows(cell, list);
}

/*
 * Share lists out to coarse cells by their rows: as many as the rows so far
 * are worth, less what was given.  No cell gets more lists than rows, as
 * lists <= rows.
 */
static void
share_lists(VkKmeansWork *work)
{
	for (int cell = 0; cell <= work->coarse; cell++)
		work->cell_lists[cell] =
			(int32_t) ((int64_t) work->cell_starts[cell] * work->input.lists /
					   work->input.rows);
}

static void
two_level_start(VkKmeansWork *work)
{
	const int64_t rows = work->input.rows;
	Cell		sample = set_of(work, SET_SAMPLE);

	for (int64_t i = 0; i < rows; i++)
		work->order[i] = (int32_t) i;
	choose_rows(&work->random, work->order, rows, sample.count);
	seed_cell(work, &work->random, &sample);
	for (int step = 0; step < COARSE_STEPS; step++)
		lloyd_step(work, SET_SAMPLE, JOB_MOVE);
	assign_set(work, SET_COARSE);
	share_lists(work);
	run_job(work, JOB_CELLS, SET_ALL, work->coarse);
}

/*
 * Give each empty list a random row of a list above SPLIT_ABOVE times the
 * mean, the largest share of rows first: rows are drawn at random and taken if
 * their list is that large.  Returns how many were given.
 */
static int
reseed_empty_lists(VkKmeansWork *work, const Cell *cell)
{
	const int64_t limit = SPLIT_ABOVE * (cell->count / cell->lists + 1);
	int64_t		from_large = 0;
	int			given = 0;

	for (int64_t i = 0; i < cell->count; i++)
		if (list_rows(cell, work->list[i]) > limit)
			work->order[from_large++] = (int32_t) i;
	for (int list = 0; list < cell->lists && given < from_large; list++)
	{
		if (list_rows(cell, list) != 0)
			continue;
		choose_rows(&work->random, work->order + given, from_large - given, 1);
		copy_centroid(work, cell, list, work->order[given++]);
	}
	return given;
}

/* close the gaps that lists without rows leave */
static int
drop_empty_lists(VkKmeansWork *work, const Cell *cell)
{
	int			kept = 0;

	for (int list = 0; list < cell->lists; list++)
	{
		if (work->weights[list] == 0)
			continue;
		if (kept != list)
		{
			memcpy(cell->codes + kept * cell->stride,
				   cell->codes + list * cell->stride, cell->stride);
			cell->scales[kept] = cell->scales[list];
			work->weights[kept] = work->weights[list];
		}
		kept++;
	}
	return kept;
}

/*
 * Cosine: rows lie on the unit sphere about the origin, and so shall centroids
 * (about the rotated mean's origin they are z = R m + c).
 */
static void
normalize_centroids(VkKmeansWork *work, int lists)
{
	VkKmeans   *input = &work->input;
	const int	dim = input->dim;

	if (input->metric != VK_METRIC_COSINE)
		return;
	for (int list = 0; list < lists; list++)
	{
		int8_t	   *code = input->center_codes + list * input->stride;
		float		scale = input->center_scales[list];
		double		norm2 = 0;
		double		inverse;

		for (int i = 0; i < dim; i++)
		{
			double		z = (double) input->rotated_mean[i] + scale * (float) code[i];

			norm2 += z * z;
		}
		if (!(norm2 > 0))
			continue;
		inverse = 1 / sqrt(norm2);
		for (int i = 0; i < dim; i++)
		{
			double		mean = input->rotated_mean[i];
			double		z = mean + scale * (float) code[i];

			work->vector[i] = (float) (z * inverse - mean);
		}
		vk_center_encode(work->vector, dim, code, &input->center_scales[list]);
		report(work, 0);
	}
}

int
vk_kmeans(VkKmeansWork *work)
{
	VkKmeans   *input = &work->input;
	Cell		cell = set_of(work, SET_ALL);
	int			lists;

	if (input->rows <= 0)
		return 0;
	work->random.state = input->seed;
	work->shared->weight_unit = weight_unit(input);
	memset(cell.codes, 0, cell.stride * cell.lists);
	memset(work->weights, 0, sizeof(int64_t) * cell.lists);

	two_level_start(work);
	for (int step = 0; step < FULL_STEPS; step++)
		lloyd_step(work, SET_ALL, JOB_MOVE);
	if (reseed_empty_lists(work, &cell) > 0)
		lloyd_step(work, SET_ALL, JOB_MOVE);
	add_weights(work, &cell);
	lists = drop_empty_lists(work, &cell);
	normalize_centroids(work, lists);
	return lists;
}

void
vk_kmeans_more(VkKmeansWork *work)
{
	Cell		cell = set_of(work, SET_ALL);

	work->shared->weight_unit = weight_unit(&work->input);
	lloyd_step(work, SET_ALL, JOB_MERGE);
	add_weights(work, &cell);
	normalize_centroids(work, cell.lists);
}
