/*-------------------------------------------------------------------------
 *
 * attack_quant.c
 *	  Rotation, codes, k-means, the curve and the candidates: what they promise.
 *
 * NOTES
 *	  Whatever is stored must have the same bits on every ISA, so each part is
 *	  run through the table under test and through the reference.
 *
 * IDENTIFICATION
 *	  test/kernels/attack_quant.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quant/quant.h"
#include "check.h"

static const int dims[] = {1, 2, 3, 5, 31, 32, 33, 100, 128, 384, 768, 1536};

#define DIM_COUNT	((int) (sizeof(dims) / sizeof(dims[0])))

static void
draw(VkCheckRun *run, float *x, int n, double scale)
{
	for (int i = 0; i < n; i++)
		x[i] = (float) (vk_random_normal(run) * scale);
}

static double
dot_of(const float *x, const float *y, int dim)
{
	double		sum = 0;

	for (int i = 0; i < dim; i++)
		sum += (double) x[i] * y[i];
	return sum;
}

/* ---------- rotation ---------- */

static void
check_rotation(VkCheckRun *run, int dim)
{
	float	   *x = malloc(sizeof(float) * dim * 5);
	float	   *y = x + dim;
	float	   *rx = y + dim;
	float	   *ry = rx + dim;
	float	   *ref = ry + dim;
	void	   *memory = malloc(vk_rotation_size(dim));
	uint64_t	seed = vk_random(run);
	VkRotation	rotation;
	double		norms;
	double		off;

	vk_rotation_init(&rotation, dim, seed, false, memory);
	draw(run, x, dim, 1);
	draw(run, y, dim, 1);
	vk_rotate(&rotation, x, rx);
	vk_rotate(&rotation, y, ry);
	vk_kernels = run->ref;
	vk_rotate(&rotation, x, ref);
	vk_kernels = run->kernels;
	vk_check(run, memcmp(rx, ref, sizeof(float) * dim) == 0,
			 "rotation of dim %d differs from the reference", dim);
	norms = sqrt(dot_of(x, x, dim) * dot_of(y, y, dim));
	off = fabs(dot_of(rx, ry, dim) - dot_of(x, y, dim)) / norms;
	vk_check(run, off <= 3 * vk_rotation_error(&rotation),
			 "rotation of dim %d: a dot moved by %g", dim, off);
	vk_rotation_init(&rotation, dim, seed, true, memory);
	vk_rotate(&rotation, x, rx);
	vk_check(run, memcmp(rx, x, sizeof(float) * dim) == 0,
			 "identity of dim %d is not", dim);
	free(x);
	free(memory);
}

/* ---------- codes ---------- */

typedef struct Encoded
{
	VkRowCode	row;
	uint8_t		lane[VK_LINE_SIZE * 128];
	uint8_t		refine[4096];
	VkFlatAnnotation flat;
	VkListAnnotation list;
} Encoded;

static void
encode(const VkCoder *coder, const float *x, const VkCenter *center,
	   void *scratch, float *y, Encoded *out)
{
	double		norm2;

	memset(out, 0, sizeof(*out));
	out->row.lane = out->lane;
	out->row.refine = coder->refine_bits != 0 ? out->refine : NULL;
	vk_row_rotate(coder, x, y, &norm2, scratch);
	vk_row_encode(coder, y, norm2, center, false, &out->row, scratch);
	vk_annotation_put(coder, coder->flat ? (void *) &out->flat : (void *) &out->list,
					  vk_block_scale(&out->row), 3, &out->row);
}

static bool
same_encoding(const Encoded *a, const Encoded *b)
{
	return a->row.norm2 == b->row.norm2 && a->row.norm == b->row.norm &&
		a->row.a == b->row.a && a->row.error == b->row.error &&
		a->row.center == b->row.center &&
		memcmp(a->lane, b->lane, sizeof(a->lane)) == 0 &&
		memcmp(a->refine, b->refine, sizeof(a->refine)) == 0 &&
		memcmp(&a->flat, &b->flat, sizeof(a->flat)) == 0 &&
		memcmp(&a->list, &b->list, sizeof(a->list)) == 0;
}

static void
check_codes(VkCheckRun *run, int dim, VkFormat format)
{
	/* relative errors that a Gaussian row must not exceed by much */
	static const double expected[VK_FORMAT_F32 + 1] = {0.70, 0.45, 0.17, 0.015, 4e-4, 0};
	float	   *x = malloc(sizeof(float) * dim * 3);
	float	   *mean = x + dim;
	float	   *y = mean + dim;
	void	   *signs = malloc(vk_rotation_size(dim));
	void	   *scratch = malloc(vk_scratch_size(dim));
	int8_t	   *code = calloc(dim, 1);
	Encoded    *mine = malloc(2 * sizeof(Encoded));
	Encoded    *ref = mine + 1;
	VkCenter	center = {0, 0, NULL};
	VkCoder		coder;
	bool		flat = vk_random_below(run, 2) == 0;

	draw(run, mean, dim, 1);
	/* halves have no room for more */
	draw(run, x, dim, format == VK_FORMAT_F16 ? 10 :
		 pow(10, vk_random_unit(run) * 20 - 10));
	vk_coder_init(&coder, dim, VK_METRIC_L2, format,
				  4 * vk_random_below(run, 3), flat, vk_random(run), mean, signs);
	if (!flat)
	{
		draw(run, y, dim, 1);
		vk_center_encode(y, dim, code, &center.a);
		center.code = code;
		center.norm = vk_center_norm(code, center.a, dim);
	}
	encode(&coder, x, &center, scratch, y, mine);
	vk_kernels = run->ref;
	encode(&coder, x, &center, scratch, y, ref);
	vk_kernels = run->kernels;
	vk_check(run, same_encoding(mine, ref),
			 "code of format %d, dim %d differs from the reference", (int) format,
			 dim);
	if (dim >= 100)
		vk_check(run, mine->row.error <= expected[format] * mine->row.norm,
				 "code of format %d, dim %d errs by %g of its norm", (int) format,
				 dim, mine->row.error / mine->row.norm);
	free(x);
	free(signs);
	free(scratch);
	free(code);
	free(mine);
}

/* rows on the grid of L1: the reference's codes, and errors that are true */
static void
check_grid(VkCheckRun *run, int dim)
{
	enum
	{
		ROWS = 20
	};
	float	   *rows = malloc(sizeof(float) * dim * (ROWS + 2));
	float	   *mean = rows + (size_t) dim * ROWS;
	float	   *y = mean + dim;
	void	   *signs = malloc(vk_rotation_size(dim));
	void	   *scratch = malloc(vk_scratch_size(dim));
	const double scale = pow(10, vk_random_unit(run) * 20 - 10);
	Encoded    *mine = malloc(2 * sizeof(Encoded));
	Encoded    *ref = mine + 1;
	VkCenter	center = {0, 0, NULL};
	VkCoder		coder;
	double		sum = 0;
	double		length = 0;

	draw(run, mean, dim, scale);
	draw(run, rows, dim * ROWS, scale);
	vk_coder_init(&coder, dim, VK_METRIC_L1, VK_FORMAT_B8, 0,
				  vk_random_below(run, 2) == 0, 1, mean, signs);
	coder.step = vk_grid_step(rows, ROWS, dim, mean);
	vk_check(run, vk_grid_step_valid(coder.step), "step %g for scale %g",
			 coder.step, scale);
	encode(&coder, rows, &center, scratch, y, mine);
	vk_kernels = run->ref;
	encode(&coder, rows, &center, scratch, y, ref);
	vk_kernels = run->kernels;
	vk_check(run, same_encoding(mine, ref),
			 "grid code of dim %d differs from the reference", dim);
	for (int i = 0; i < dim; i++)
	{
		sum += fabs(y[i] - (double) coder.step * (mine->lane[i] - 128));
		length += fabs(y[i]);
	}
	vk_check(run, mine->row.error >= sum && mine->row.error <= sum * 1.001 + length * 1e-6,
			 "grid code of dim %d: error %g, not %g", dim, mine->row.error, sum);
	vk_check(run, dim < 100 || sum <= 0.03 * length,
			 "grid code of dim %d errs by %g of its length", dim, sum / length);
	vk_check(run, vk_grid_step_valid(vk_grid_step(NULL, 0, dim, NULL)) &&
			 vk_grid_step_valid(vk_grid_step(mean, 1, dim, mean)),
			 "no step where there are no rows, or equal ones");
	free(rows);
	free(signs);
	free(scratch);
	free(mine);
}

static void
check_center_codes(VkCheckRun *run, int dim)
{
	float	   *y = malloc(sizeof(float) * dim);
	int8_t	   *code = malloc(2 * (size_t) dim);
	uint8_t    *refine = malloc(vk_refine_size(8, dim));
	float		a;
	float		back;

	draw(run, y, dim, 1);
	vk_center_encode(y, dim, code, &a);
	vk_refine_from_center(code, a, dim, refine);
	vk_refine_center(refine, dim, code + dim, &back);
	vk_check(run, a == back && memcmp(code, code + dim, dim) == 0,
			 "centre of dim %d does not come back from its refine code", dim);
	free(y);
	free(code);
	free(refine);
}

/* ---------- k-means ---------- */

typedef struct Clustering
{
	int			lists;
	int8_t	   *codes;
	float	   *scales;
	double		error;			/* mean squared distance to the nearest */
	int			largest;
} Clustering;

/* pieces of each job from the last to the first, by one process and the other */
static void
run_backwards(void *arg, const VkKmeansJob *job)
{
	VkKmeansWork **members = arg;

	for (int64_t i = 0; i < job->pieces; i++)
	{
		int64_t		piece = job->pieces - 1 - i;

		vk_kmeans_piece(members[piece % 2], job, piece);
	}
}

static double
squared_distance(const int8_t *a, float a_scale, const int8_t *b, float b_scale,
				 int dim)
{
	double		sum = 0;

	for (int i = 0; i < dim; i++)
	{
		double		difference = a_scale * (double) a[i] - b_scale * (double) b[i];

		sum += difference * difference;
	}
	return sum;
}

/* assign all rows, and compare each row's list with a search in double */
static void
measure_clusters(VkCheckRun *run, const VkKmeans *kmeans, Clustering *out)
{
	void	   *memory = malloc(vk_assigner_size(kmeans->dim, out->lists));
	int		   *counts = calloc(out->lists, sizeof(int));
	VkAssigner	assigner;

	vk_assigner_init(&assigner, kmeans->dim, out->lists, out->codes,
					 kmeans->stride, out->scales, NULL, memory);
	out->error = 0;
	out->largest = 0;
	for (int64_t row = 0; row < kmeans->rows; row++)
	{
		const int8_t *code = kmeans->codes + row * kmeans->stride;
		double		best = INFINITY;
		double		found;
		int32_t		list;

		vk_assign(&assigner, code, kmeans->stride, &kmeans->scales[row], 1, &list);
		found = squared_distance(code, kmeans->scales[row],
								 out->codes + list * kmeans->stride,
								 out->scales[list], kmeans->dim);
		for (int i = 0; i < out->lists && row % 16 == 0; i++)
			best = fmin(best, squared_distance(code, kmeans->scales[row],
											   out->codes + i * kmeans->stride,
											   out->scales[i], kmeans->dim));
		vk_check(run, row % 16 != 0 || found <= best + 1e-3 * (1 + best),
				 "row %d is assigned at %g, the nearest is at %g", (int) row,
				 found, best);
		out->error += found / kmeans->rows;
		if (++counts[list] > out->largest)
			out->largest = counts[list];
	}
	free(memory);
	free(counts);
}

/* what two processes work with */
static void
join_members(VkKmeans *kmeans, VkKmeansWork **members, size_t scratch)
{
	for (int i = 0; i < 2; i++)
	{
		kmeans->scratch = malloc(scratch);
		members[i] = vk_kmeans_join(kmeans);
	}
}

static void
free_members(VkKmeansWork **members)
{
	for (int i = 0; i < 2; i++)
		free(members[i]);
}

/*
 * By one process, or by two that each see the jobs' pieces backwards; the first
 * rows, and then those that are left.
 */
static void
cluster(const VkKmeans *kmeans, Clustering *out, bool two)
{
	size_t		scratch = vk_kmeans_scratch(kmeans->dim, kmeans->lists);
	VkKmeans	part = *kmeans;
	VkKmeansWork *members[2];

	out->codes = calloc((size_t) kmeans->lists, kmeans->stride);
	out->scales = calloc((size_t) kmeans->lists, sizeof(float));
	part.rows = (kmeans->rows + 1) / 2;
	part.center_codes = out->codes;
	part.center_scales = out->scales;
	part.shared = malloc(vk_kmeans_memory(kmeans->dim, kmeans->lists, part.rows));
	part.run = two ? run_backwards : NULL;
	part.arg = members;
	join_members(&part, members, scratch);
	out->lists = vk_kmeans(members[0]);
	free_members(members);

	part.lists = out->lists;
	part.codes += part.rows * part.stride;
	part.scales += part.rows;
	part.rows = kmeans->rows - part.rows;
	if (part.lists > 0 && part.rows >= part.lists)
	{
		join_members(&part, members, scratch);
		vk_kmeans_more(members[0]);
		free_members(members);
	}
	free(part.shared);
}

static void
free_clustering(Clustering *clustering)
{
	free(clustering->codes);
	free(clustering->scales);
}

/* the same lists through the table under test and through the reference */
static void
check_same_lists(VkCheckRun *run, VkKmeans *kmeans, Clustering *mine)
{
	Clustering	ref;

	cluster(kmeans, mine, false);
	vk_kernels = run->ref;
	cluster(kmeans, &ref, true);
	vk_kernels = run->kernels;
	vk_check(run, mine->lists == ref.lists &&
			 memcmp(mine->codes, ref.codes, ref.lists * kmeans->stride) == 0 &&
			 memcmp(mine->scales, ref.scales, ref.lists * sizeof(float)) == 0,
			 "k-means of %d rows in %d lists of dim %d differs from the reference",
			 (int) kmeans->rows, kmeans->lists, kmeans->dim);
	free_clustering(&ref);
}

/* the code of a row that lies around a mean; x is room for it */
static void
draw_row(VkCheckRun *run, const float *mean, double spread, int dim, float *x,
		 int8_t *code, float *scale)
{
	VkQuantized quantized;

	for (int i = 0; i < dim; i++)
		x[i] = mean[i] + (spread == 0 ? 0 : (float) (spread * vk_random_normal(run)));
	vk_kernels->quantize_i8(x, dim, code, &quantized);
	*scale = quantized.scale;
}

/* rows drawn around blobs; equal rows where blobs is 0 */
static void
check_kmeans(VkCheckRun *run, int dim, int rows, int lists, int blobs,
			 VkMetric metric)
{
	const size_t stride = ((size_t) dim + 3) / 4 * 4;
	float	   *means = calloc((size_t) (blobs + 1) * dim, sizeof(float));
	float	   *x = calloc(dim, sizeof(float));
	int8_t	   *codes = calloc(rows + 1, stride);
	float	   *scales = calloc(rows + 1, sizeof(float));
	VkKmeans	kmeans = {.dim = dim, .metric = metric, .lists = lists,
		.rows = rows, .codes = codes, .stride = stride, .scales = scales,
	.seed = run->seed};
	Clustering	mine;

	draw(run, means, (blobs + 1) * dim, 10);
	for (int row = 0; row < rows; row++)
		draw_row(run, means + (size_t) (blobs == 0 ? 0 : row % blobs) * dim,
				 blobs == 0 ? 0 : 1, dim, x, codes + row * stride, &scales[row]);
	kmeans.rotated_mean = means;
	check_same_lists(run, &kmeans, &mine);
	vk_check(run, rows == 0 ? mine.lists == 0 :
			 mine.lists >= 1 && mine.lists <= lists && mine.lists <= rows,
			 "k-means of %d rows in %d lists made %d", rows, lists, mine.lists);
	if (rows > 0 && metric == VK_METRIC_L2)
	{
		measure_clusters(run, &kmeans, &mine);
		/* rows vary by 101 a dimension about the mean, by 1 within a blob */
		vk_check(run, lists < blobs || mine.error <= 20 * dim,
				 "k-means of %d rows in %d lists: error %g a dimension", rows,
				 lists, mine.error / dim);
		vk_check(run, blobs == 0 || mine.largest <= 12 * (rows / lists + 1),
				 "k-means of %d rows in %d lists: largest holds %d", rows, lists,
				 mine.largest);
	}
	free_clustering(&mine);
	free(means);
	free(x);
	free(codes);
	free(scales);
}

/* codes of rows around blobs */
static void
draw_codes(VkCheckRun *run, int dim, int blobs, int count, int8_t *codes, float *scales)
{
	float	   *means = calloc((size_t) blobs * dim, sizeof(float));
	float	   *x = calloc(dim, sizeof(float));

	draw(run, means, blobs * dim, 4);
	for (int row = 0; row < count; row++)
		draw_row(run, means + (size_t) (row % blobs) * dim, 3, dim, x, codes + row * dim,
				 &scales[row]);
	free(means);
	free(x);
}

/*
 * Many centroids, which lie in groups: a row's list does not depend on the rows that
 * it is assigned with, nor on the ISA, and few have a nearer one.
 */
static void
check_grouped(VkCheckRun *run, int dim)
{
	enum
	{
		LISTS = VK_ASSIGN_GROUPED + 400, ROWS = VK_ASSIGN_ROWS - 3
	};
	int8_t	   *codes = calloc(LISTS + ROWS, dim);
	float	   *scales = calloc(LISTS + ROWS, sizeof(float));
	const int8_t *rows = codes + (size_t) LISTS * dim;
	void	   *memory = malloc(vk_assigner_size(dim, LISTS));
	int32_t		lists[ROWS];
	VkAssigner	assigner;
	int			missed = 0;

	draw_codes(run, dim, 40, LISTS + ROWS, codes, scales);
	vk_assigner_init(&assigner, dim, LISTS, codes, dim, scales, NULL, memory);
	vk_check(run, assigner.groups > 0, "%d centroids are in no groups", LISTS);
	vk_assign(&assigner, rows, dim, scales + LISTS, ROWS, lists);
	for (int row = 0; row < ROWS; row++)
	{
		const int8_t *code = rows + (size_t) row * dim;
		double		found = squared_distance(code, scales[LISTS + row],
											 codes + (size_t) lists[row] * dim,
											 scales[lists[row]], dim);
		double		best = found;
		int32_t		alone;
		int32_t		several;
		int32_t		reference;

		for (int i = 0; i < LISTS; i++)
			best = fmin(best, squared_distance(code, scales[LISTS + row],
											   codes + (size_t) i * dim, scales[i], dim));
		missed += found > best + 1e-3 * (1 + best);
		vk_assign(&assigner, code, dim, scales + LISTS + row, 1, &alone);
		vk_assign_several(&assigner, code, scales[LISTS + row], 1, &several);
		vk_kernels = run->ref;
		vk_assign(&assigner, code, dim, scales + LISTS + row, 1, &reference);
		vk_kernels = run->kernels;
		vk_check(run, alone == lists[row] && several == alone && reference == alone,
				 "row %d is assigned to %d among others, alone to %d, %d, by the reference to %d",
				 row, lists[row], alone, several, reference);
	}
	vk_check(run, missed <= 2, "%d of %d rows have a nearer centroid", missed, ROWS);
	free(codes);
	free(scales);
	free(memory);
}

/* ---------- curve ---------- */

static void
check_curve(VkCheckRun *run)
{
	enum
	{
		COUNT = 1000
	};
	float		work[COUNT];
	VkCurve		curve;
	double		last = 0;

	memset(&curve, 0, sizeof(curve));
	vk_check(run, vk_curve_budget(&curve, 10, 0.9, 5000) == 5000,
			 "an empty curve does not ask for everything");
	for (int anchor = 0; anchor < VK_CURVE_ANCHORS; anchor++)
	{
		for (int i = 0; i < COUNT; i++)
			work[i] = (float) (1 + exp(3 * vk_random_unit(run) + anchor * vk_random_unit(run)) * 100);
		vk_curve_set_anchor(&curve, anchor, work, anchor == 3 ? 0 : COUNT);
	}
	vk_curve_finish(&curve);
	for (int anchor = 0; anchor < VK_CURVE_ANCHORS; anchor++)
		for (int level = 1; level < VK_CURVE_LEVELS; level++)
			vk_check(run, curve.rows[anchor][level] >= curve.rows[anchor][level - 1],
					 "the curve falls with recall at anchor %d", anchor);
	for (double k = 1; k < 1e5; k *= 1.3)
	{
		double		budget = vk_curve_budget(&curve, k, 0.95, 1e9);

		vk_check(run, budget >= last * (1 - 1e-12) && budget >= k && budget <= 1e9,
				 "the budget falls to %g at k %g", budget, k);
		last = budget;
	}
	last = 0;
	for (double target = 0.1; target < 1; target += 0.003)
	{
		double		budget = vk_curve_budget(&curve, 50, target, 1e9);

		vk_check(run, budget >= last * (1 - 1e-12), "the budget falls to %g at target %g",
				 budget, target);
		last = budget;
	}
	vk_check(run, vk_curve_budget(&curve, 10, 1, 777) == 777 &&
			 vk_curve_budget(&curve, 1e9, 0.99, 777) == 777,
			 "the budget is not limited to the total");
	/* a quantile is a value of the sample: 0.9 of 1 .. 10 is 9 */
	for (int i = 0; i < 10; i++)
		work[i] = (float) (10 - i);
	vk_curve_set_anchor(&curve, 0, work, 10);
	vk_check(run, curve.rows[0][3] == 9 && curve.rows[0][0] == 5,
			 "quantiles .5 and .9 of 1 .. 10 are %g and %g", curve.rows[0][0],
			 curve.rows[0][3]);
}

/* the target whose aim, a tenth of the way nearer to 1, is a level */
static double
target_of(int level)
{
	return (vk_curve_levels[level] - 0.1) / 0.9;
}

static void
check_fringe(VkCheckRun *run)
{
	VkFringe	fringe;
	double		value;

	memset(&fringe, 0, sizeof(fringe));
	vk_check(run, isinf(vk_fringe_deviations(&fringe, 10, 0.9)), "an empty fringe is known");
	/* anchors 0 and 4 are not known, falls with recall, rises with k */
	for (int anchor = 1; anchor < VK_CURVE_ANCHORS; anchor++)
		for (int level = 0; level < VK_CURVE_LEVELS && anchor != 4; level++)
			fringe.deviations[anchor][level] = (float) (0.3 * anchor - 0.2 * level - 2.05);
	for (int anchor = 0; anchor < VK_CURVE_ANCHORS; anchor++)
		for (int level = 0; level < VK_CURVE_LEVELS; level++)
		{
			double		k = vk_curve_anchors[anchor];
			/* anchor 4 by interpolation between 3 and 5, on the same line */
			double		expected = 0.3 * (anchor > 0 ? anchor : 1) - 0.2 * level - 2.05;

			value = vk_fringe_deviations(&fringe, k, target_of(level));
			if (anchor == 4)
				expected = 0.3 * (3 + 2 * log(100.0 / 30) / log(300.0 / 30)) -
					0.2 * level - 2.05;
			vk_check(run, fabs(value - expected) < 1e-4,
					 "the fringe at anchor %d, level %d is %g, not %g", anchor, level, value,
					 expected);
		}
	value = vk_fringe_deviations(&fringe, 1e5, target_of(2));
	vk_check(run, fabs(value - (0.3 * (6 + log(1e5 / 1000) / log(1000.0 / 300)) -
								0.2 * 2 - 2.05)) < 1e-4,
			 "the fringe beyond the last anchor is %g", value);
	vk_check(run, vk_fringe_deviations(&fringe, 10, 0.1) ==
			 vk_fringe_deviations(&fringe, 10, 0.2), "the fringe goes on below the first level");
	vk_check(run, isinf(vk_fringe_deviations(&fringe, 10, 1)), "target 1 has a fringe");
}

/* ---------- candidates ---------- */

static int
compare_floats(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	return (x > y) - (x < y);
}

static void
check_select(VkCheckRun *run, int n, int values)
{
	float	   *v = malloc(sizeof(float) * n * 2);
	float	   *sorted = v + n;
	int			k = vk_random_below(run, n);
	float		found;

	for (int i = 0; i < n; i++)
		v[i] = vk_random_below(run, 50) == 0 ? INFINITY :
			(float) vk_random_below(run, values);
	memcpy(sorted, v, sizeof(float) * n);
	qsort(sorted, n, sizeof(float), compare_floats);
	found = vk_select_float(v, n, k);
	vk_check(run, found == sorted[k], "select of %d: number %d is %g, not %g", n, k,
			 sorted[k], found);
	free(v);
}

/*
 * Rows of known scores inside loose intervals: whatever is dropped lies above
 * the k-th score and not below the watermark.
 */
static void
check_candidates(VkCheckRun *run, int n, int k, int capacity)
{
	float	   *scores = malloc(sizeof(float) * n * 2);
	float	   *sorted = scores + n;
	VkCandidate *entries = malloc(sizeof(VkCandidate) * capacity);
	float	   *scratch = malloc(sizeof(float) * capacity);
	char	   *kept = calloc(n, 1);
	VkCandidates candidates;
	bool		sound = true;

	vk_candidates_init(&candidates, entries, scratch, capacity, k);
	for (int i = 0; i < n; i++)
	{
		float		width = (float) vk_random_unit(run);

		scores[i] = (float) (vk_random_unit(run) * 100);
		vk_candidates_add(&candidates, scores[i] - width, scores[i] + width,
						  (uint64_t) i);
		if (candidates.count >= candidates.prune_at)
			vk_check(run, vk_candidates_prune(&candidates) ||
					 candidates.count > capacity / 2,
					 "prune of %d for %d says full at %d", n, k,
					 (int) candidates.count);
		if (candidates.count >= capacity)
			break;
	}
	vk_candidates_prune(&candidates);
	memcpy(sorted, scores, sizeof(float) * n);
	qsort(sorted, n, sizeof(float), compare_floats);
	for (int64_t i = 0; i < candidates.count; i++)
		kept[entries[i].tid] = 1;
	for (int i = 0; i < n; i++)
		if (!kept[i])
			sound = sound && (k > n || scores[i] >= sorted[k - 1]) &&
				scores[i] + 1e-4f >= candidates.dropped;
	vk_check(run, sound && candidates.count >= (k < n ? k : n),
			 "candidates of %d for %d: a nearest row was dropped", n, k);
	free(scores);
	free(entries);
	free(scratch);
	free(kept);
}

/* ---------- all ---------- */

void
vk_attack_quant(VkCheckRun *run)
{
	for (int i = 0; i < DIM_COUNT; i++)
	{
		check_rotation(run, dims[i]);
		check_center_codes(run, dims[i]);
		for (int n = 0; n < 4; n++)
			check_grid(run, dims[i]);
		for (int format = 0; format <= VK_FORMAT_F32; format++)
			for (int n = 0; n < 8; n++)
				check_codes(run, dims[i], (VkFormat) format);
	}
	check_kmeans(run, 16, 4000, 60, 40, VK_METRIC_L2);
	check_kmeans(run, 33, 1500, 17, 17, VK_METRIC_L2);
	check_kmeans(run, 33, 1500, 17, 17, VK_METRIC_COSINE);
	check_kmeans(run, 3, 500, 500, 9, VK_METRIC_L2);
	check_kmeans(run, 2, 10, 100, 3, VK_METRIC_IP);
	check_kmeans(run, 8, 300, 1, 3, VK_METRIC_L2);
	check_kmeans(run, 8, 1000, 30, 0, VK_METRIC_L2);
	check_kmeans(run, 1, 200, 5, 2, VK_METRIC_IP);
	check_kmeans(run, 8, 0, 4, 1, VK_METRIC_L2);
	check_grouped(run, 24);
	check_grouped(run, 200);
	check_curve(run);
	check_fringe(run);
	for (int n = 1; n < 200; n++)
		check_select(run, n, 1 + vk_random_below(run, 300));
	check_select(run, 100000, 7);
	check_select(run, 100000, 1000000);
	check_candidates(run, 20000, 10, 8192);
	check_candidates(run, 20000, 1000, 8192);
	check_candidates(run, 5, 10, 8192);
	check_candidates(run, 3000, 1, 1024);
}
