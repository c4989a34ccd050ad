/*-------------------------------------------------------------------------
 *
 * kmeans.c
 *	  K-means over int8 rows: two-level start, Lloyd steps, empty lists.
 *
 * NOTES
 *	  Every sum is an integer and centroids are quantised after each step, so
 *	  the lists depend on the rows and the seed alone: not on the ISA, nor on
 *	  the order in which rows are taken.
 *
 *	  A cell is a set of rows with centroids of its own: the sample behind the
 *	  coarse centroids, each coarse cell, and in the end all rows.  One routine
 *	  (lloyd_step) serves them all.
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

/* everything that one run works with; carved out of one allocation */
typedef struct Work
{
	VkKmeans   *input;
	size_t		stride;			/* of our own copies: no caller's padding */
	VkRandom	random;
	double		weight_unit;	/* row scale = weight * weight_unit */
	int64_t		done;			/* progress, in row-centroid pairs */
	int64_t		total;

	int32_t    *order;			/* rows, cell by cell */
	int32_t    *list;			/* a row's list, by row */
	int64_t    *sums;			/* lists x dim */
	int64_t    *counts;			/* lists */
	int32_t    *cell_rows;		/* rows of each coarse cell */
	int32_t    *cell_lists;		/* lists of each coarse cell */
	int8_t	   *coarse_codes;
	float	   *coarse_scales;
	float	   *vector;			/* dim */
	int8_t	   *batch;			/* VK_ASSIGN_ROWS rows */
	void	   *assigner;
} Work;

/* rows with centroids of their own */
typedef struct Cell
{
	const int32_t *rows;		/* NULL: all, in order */
	int64_t		count;
	int8_t	   *codes;			/* centroids */
	size_t		stride;
	float	   *scales;
	int			lists;
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
carve_work(Work *work, char *base, int dim, int lists, int64_t rows)
{
	const size_t coarse = coarse_count(lists);
	const size_t stride = own_stride(dim);
	size_t		used = 0;

	work->stride = stride;
	work->order = carve(base, &used, sizeof(int32_t) * rows);
	work->list = carve(base, &used, sizeof(int32_t) * rows);
	work->sums = carve(base, &used, sizeof(int64_t) * lists * dim);
	work->counts = carve(base, &used, sizeof(int64_t) * lists);
	work->cell_rows = carve(base, &used, sizeof(int32_t) * (coarse + 1));
	work->cell_lists = carve(base, &used, sizeof(int32_t) * coarse);
	work->coarse_codes = carve(base, &used, coarse * stride);
	work->coarse_scales = carve(base, &used, sizeof(float) * coarse);
	work->vector = carve(base, &used, sizeof(float) * dim);
	work->batch = carve(base, &used, VK_ASSIGN_ROWS * stride);
	work->assigner = carve(base, &used, vk_assigner_size(dim, lists));
	return used;
}

size_t
vk_kmeans_memory(int dim, int lists, int64_t rows)
{
	Work		work;

	return carve_work(&work, NULL, dim, lists, rows);
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
row_weight(const Work *work, int64_t row)
{
	double		weight = work->input->scales[row] / work->weight_unit;

	return weight < INFINITY ? (int64_t) (weight + 0.5) : 0;
}

static void
report(Work *work, int64_t pairs)
{
	work->done += pairs;
	if (work->input->progress != NULL)
		work->input->progress(work->input->arg,
							  work->done < work->total ? work->done : work->total,
							  work->total);
}

static int64_t
cell_row(const Cell *cell, int64_t i)
{
	return cell->rows == NULL ? i : cell->rows[i];
}

/*
 * work->list of every row of the cell.
 */
static void
assign_cell(Work *work, const Cell *cell)
{
	const VkKmeans *input = work->input;
	const int	dim = input->dim;
	VkAssigner	assigner;

	vk_assigner_init(&assigner, dim, cell->lists, cell->codes, cell->stride,
					 cell->scales, work->assigner);
	for (int64_t first = 0; first < cell->count; first += VK_ASSIGN_ROWS)
	{
		int64_t		left = cell->count - first;
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
		vk_assign(&assigner, work->batch, work->stride, scales, m, lists);
		for (int i = 0; i < m; i++)
			work->list[cell_row(cell, first + i)] = lists[i];
		report(work, (int64_t) m * cell->lists);
	}
}

/*
 * Sums and counts of the lists that the cell's rows are in.
 */
static void
sum_cell(Work *work, const Cell *cell)
{
	const VkKmeans *input = work->input;
	const int	dim = input->dim;

	memset(work->sums, 0, sizeof(int64_t) * cell->lists * dim);
	memset(work->counts, 0, sizeof(int64_t) * cell->lists);
	for (int64_t i = 0; i < cell->count; i++)
	{
		int64_t		row = cell_row(cell, i);
		int64_t		weight = row_weight(work, row);
		const int8_t *restrict code = input->codes + row * input->stride;
		int64_t    *restrict sum = work->sums + (int64_t) work->list[row] * dim;

		work->counts[work->list[row]]++;
		for (int j = 0; j < dim; j++)
			sum[j] += weight * code[j];
		if (i % 4096 == 4095)
			report(work, 0);
	}
}

/* centroids become the means of their rows; those without rows stay */
static void
move_centroids(Work *work, const Cell *cell)
{
	const int	dim = work->input->dim;

	for (int list = 0; list < cell->lists; list++)
	{
		const int64_t *sum = work->sums + (int64_t) list * dim;
		double		factor;

		if (work->counts[list] == 0)
			continue;
		factor = work->weight_unit / (double) work->counts[list];
		for (int i = 0; i < dim; i++)
			work->vector[i] = (float) ((double) sum[i] * factor);
		vk_center_encode(work->vector, dim, cell->codes + list * cell->stride,
						 &cell->scales[list]);
	}
}

static void
lloyd_step(Work *work, const Cell *cell)
{
	assign_cell(work, cell);
	sum_cell(work, cell);
	move_centroids(work, cell);
}

static void
copy_centroid(const Work *work, const Cell *cell, int list, int64_t row)
{
	const VkKmeans *input = work->input;

	memset(cell->codes + list * cell->stride, 0, cell->stride);
	memcpy(cell->codes + list * cell->stride, input->codes + row * input->stride,
		   input->dim);
	cell->scales[list] = input->scales[row];
}

/*
 * Move a random choice of n of count rows to the front of rows.
 */
static void
choose_rows(VkRandom *random, int32_t *rows, int64_t count, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
	{
		int64_t		j = i + vk_seeded_below(random, count - i);
		int32_t		swap = rows[i];

		rows[i] = rows[j];
		rows[j] = swap;
	}
}

/* random rows of the cell as its centroids, then steps inside it */
static void
cluster_cell(Work *work, int32_t *rows, const Cell *cell, int steps)
{
	choose_rows(&work->random, rows, cell->count, cell->lists);
	for (int list = 0; list < cell->lists; list++)
		copy_centroid(work, cell, list, rows[list]);
	for (int step = 0; step < steps; step++)
		lloyd_step(work, cell);
}

/*
 * Sort order by coarse cell; cell_rows gets where each begins.
 */
static void
sort_by_cell(Work *work, int coarse)
{
	const int64_t rows = work->input->rows;
	int32_t		sum = 0;

	memset(work->cell_rows, 0, sizeof(int32_t) * (coarse + 1));
	for (int64_t i = 0; i < rows; i++)
		work->cell_rows[work->list[i]]++;
	for (int cell = 0; cell <= coarse; cell++)
	{
		int32_t		count = work->cell_rows[cell];

		work->cell_rows[cell] = sum;
		sum += count;
	}
	/* filling moves each start to its end, which is the next one's start */
	for (int64_t i = 0; i < rows; i++)
		work->order[work->cell_rows[work->list[i]]++] = (int32_t) i;
	memmove(work->cell_rows + 1, work->cell_rows, sizeof(int32_t) * coarse);
	work->cell_rows[0] = 0;
}

/*
 * Share lists out to coarse cells by their rows: as many as the rows so far
 * are worth, less what was given.  No cell gets more lists than rows, as
 * lists <= rows.
 */
static void
share_lists(Work *work, int coarse)
{
	const int64_t rows = work->input->rows;
	const int64_t lists = work->input->lists;
	int64_t		given = 0;

	for (int cell = 0; cell < coarse; cell++)
	{
		int64_t		due = work->cell_rows[cell + 1] * lists / rows;

		work->cell_lists[cell] = (int32_t) (due - given);
		given = due;
	}
}

static Cell
all_rows(Work *work, int lists)
{
	VkKmeans   *input = work->input;

	return (Cell) {NULL, input->rows, input->center_codes, input->stride,
		input->center_scales, lists};
}

static void
two_level_start(Work *work)
{
	VkKmeans   *input = work->input;
	const int	coarse = coarse_count(input->lists);
	int64_t		sample = (int64_t) coarse * COARSE_SAMPLE;
	int			list = 0;
	Cell		cell = {work->order, 0, work->coarse_codes, work->stride,
		work->coarse_scales, coarse};

	for (int64_t i = 0; i < input->rows; i++)
		work->order[i] = (int32_t) i;
	cell.count = sample < input->rows ? sample : input->rows;
	choose_rows(&work->random, work->order, input->rows, cell.count);
	cluster_cell(work, work->order, &cell, COARSE_STEPS);
	cell.rows = NULL;
	cell.count = input->rows;
	assign_cell(work, &cell);
	sort_by_cell(work, coarse);
	share_lists(work, coarse);

	for (int i = 0; i < coarse; i++)
	{
		int32_t    *rows = work->order + work->cell_rows[i];

		cell = all_rows(work, work->cell_lists[i]);
		cell.rows = rows;
		cell.count = work->cell_rows[i + 1] - work->cell_rows[i];
		cell.codes += list * cell.stride;
		cell.scales += list;
		if (cell.lists > 0)
			cluster_cell(work, rows, &cell, CELL_STEPS);
		list += cell.lists;
	}
}

/*
 * Give each empty list a random row of a list above SPLIT_ABOVE times the
 * mean, the largest share of rows first: rows are drawn at random and taken if
 * their list is that large.  Returns how many were given.
 */
static int
reseed_empty_lists(Work *work, const Cell *cell)
{
	const int64_t limit = SPLIT_ABOVE * (cell->count / cell->lists + 1);
	int64_t		from_large = 0;
	int			given = 0;

	for (int64_t i = 0; i < cell->count; i++)
		if (work->counts[work->list[i]] > limit)
			work->order[from_large++] = (int32_t) i;
	for (int list = 0; list < cell->lists && given < from_large; list++)
	{
		if (work->counts[list] != 0)
			continue;
		choose_rows(&work->random, work->order + given, from_large - given, 1);
		copy_centroid(work, cell, list, work->order[given++]);
	}
	return given;
}

/* close the gaps that lists without rows leave */
static int
drop_empty_lists(Work *work, const Cell *cell)
{
	int			kept = 0;

	for (int list = 0; list < cell->lists; list++)
	{
		if (work->counts[list] == 0)
			continue;
		if (kept != list)
		{
			memcpy(cell->codes + kept * cell->stride,
				   cell->codes + list * cell->stride, cell->stride);
			cell->scales[kept] = cell->scales[list];
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
normalize_centroids(Work *work, int lists)
{
	VkKmeans   *input = work->input;
	const int	dim = input->dim;

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

/* what progress counts up to: pairs of rows and centroids, of all steps */
static int64_t
total_pairs(const VkKmeans *input)
{
	const int64_t coarse = coarse_count(input->lists);

	return input->rows * input->lists * (FULL_STEPS + 1) +
		input->rows * coarse * (1 + CELL_STEPS) +
		coarse * coarse * COARSE_SAMPLE * COARSE_STEPS;
}

int
vk_kmeans(VkKmeans *kmeans)
{
	Work		work;
	Cell		cell;
	void	   *memory;
	int			lists;

	if (kmeans->rows <= 0)
		return 0;
	if (kmeans->lists > kmeans->rows)
		kmeans->lists = (int) kmeans->rows;
	memory = kmeans->alloc(kmeans->arg,
						   vk_kmeans_memory(kmeans->dim, kmeans->lists,
											kmeans->rows));
	carve_work(&work, memory, kmeans->dim, kmeans->lists, kmeans->rows);
	work.input = kmeans;
	work.random.state = kmeans->seed;
	work.weight_unit = weight_unit(kmeans);
	work.done = 0;
	work.total = total_pairs(kmeans);
	cell = all_rows(&work, kmeans->lists);
	memset(cell.codes, 0, cell.stride * cell.lists);

	two_level_start(&work);
	for (int step = 0; step < FULL_STEPS; step++)
		lloyd_step(&work, &cell);
	if (reseed_empty_lists(&work, &cell) > 0)
		lloyd_step(&work, &cell);
	lists = drop_empty_lists(&work, &cell);
	if (kmeans->metric == VK_METRIC_COSINE)
		normalize_centroids(&work, lists);
	kmeans->release(kmeans->arg, memory);
	return lists;
}
