/*-------------------------------------------------------------------------
 *
 * attack_moved.c
 *	  A query's code against the mean, for rows coded against a list's centre.
 *
 * NOTES
 *	  What it tells of a row is a statistical reading, as that of the code against
 *	  the centre is.  So the two are compared: their intervals meet, and on the
 *	  average one is hardly farther from the truth than the other.
 *
 * IDENTIFICATION
 *	  test/kernels/attack_moved.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attack.h"

/* of scores: annotations have 11 bits */
#define SCORE_ROUNDING	0x1p-9

/* a query, coded both ways */
typedef struct Pair
{
	float	   *seen;			/* as the operator sees it */
	float	   *rotated;
	int8_t	   *rest;
	VkQuery		query;
	VkQueryCode code[2];		/* against the centre, and moved there */
	void	   *memory[2];
	double		error[2];		/* sums over rows, scan codes and refine codes */
	double		width[2];
	int			rows;
} Pair;

static void
pair_alloc(Pair *pair, const VkCoder *coder)
{
	memset(pair, 0, sizeof(*pair));
	pair->seen = calloc(coder->dim, sizeof(float));
	pair->rotated = calloc(coder->dim, sizeof(float));
	pair->rest = calloc(coder->dim, 1);
	for (int way = 0; way < 2; way++)
	{
		pair->memory[way] = malloc(vk_query_code_size(coder));
		vk_query_code_init(coder, &pair->code[way], pair->memory[way]);
	}
}

static void
pair_free(Pair *pair)
{
	free(pair->seen);
	free(pair->rotated);
	free(pair->rest);
	free(pair->memory[0]);
	free(pair->memory[1]);
}

/* a query about as far from a row as rows are from each other */
static bool
draw_query(VkCheckRun *run, const VkAttackCase *c, Pair *pair)
{
	const int	dim = c->setting.dim;
	const float *near = c->rows + (size_t) dim * vk_random_below(run, 13);
	float	   *x = malloc(sizeof(float) * dim);
	bool		wild = false;
	bool		drawn = true;

	vk_draw_gaussian(run, x, dim, c->scale * vk_random_unit(run));
	vk_move_vector(x, near, x, 1, dim);
	memcpy(pair->seen, x, sizeof(float) * dim);
	if (c->setting.metric == VK_METRIC_COSINE)
		drawn = vk_normalize(x, dim, pair->seen, &wild);
	free(x);
	vk_query_init(&c->coder, pair->seen, pair->rotated, &pair->query, c->scratch);
	return drawn && !wild && !pair->query.wild;
}

/* Code it both ways; false: its code against the mean does not do. */
static bool
code_query(VkCheckRun *run, const VkAttackCase *c, Pair *pair)
{
	const VkCenter mean = {0};
	VkQueryCode *moved = &pair->code[1];
	VkMeanCode	code = {.rest = pair->rest};
	double		distance2 = 0;
	bool		done;

	vk_query_code_set(&c->coder, &pair->query, &c->center, true, &pair->code[0]);
	vk_query_code_set(&c->coder, &pair->query, &mean, true, moved);
	vk_mean_code_set(&c->coder, &pair->query, moved, &code, c->scratch);
	done = vk_query_code_move(&c->coder, &pair->query, &code, &c->center, moved);
	distance2 = pair->code[0].norm2;
	vk_check(run, done || distance2 * 15 < c->center.norm * c->center.norm,
			 "a code was not moved: centre %g from the mean, %g from the query",
			 c->center.norm, sqrt(distance2));
	vk_check(run, !done || fabs(moved->norm2 - distance2) <=
			 0x1p-10 * (distance2 + 0x1p-10 * pair->query.norm2),
			 "a code was moved to %g from the centre, not %g", sqrt(moved->norm2),
			 sqrt(distance2));
	return done;
}

static double
true_score(const VkAttackCase *c, const Pair *pair, int lane)
{
	const int	dim = c->setting.dim;
	const float *x = c->seen + (size_t) lane * dim;
	double		sum = 0;

	for (int i = 0; i < dim; i++)
		sum += ((double) x[i] - pair->seen[i]) * ((double) x[i] - pair->seen[i]);
	return sum;
}

/* the intervals of both ways for one row */
static void
compare(VkCheckRun *run, const VkAttackCase *c, Pair *pair, int lane, const char *what,
		const double *lower, const double *upper)
{
	const double truth = true_score(c, pair, lane);
	/* of the row's norm too */
	const double unit = 2 * (pair->code[0].norm2 + truth);
	const double rounding = SCORE_ROUNDING * unit;

	if (!(lower[0] > -INFINITY && upper[0] < INFINITY))
	{
		vk_check(run, lower[1] == -INFINITY && upper[1] == INFINITY,
				 "%s lane %d has no bound, but one by a moved code", what, lane);
		return;
	}
	vk_check(run, fmax(lower[0], lower[1]) <= fmin(upper[0], upper[1]) + rounding,
			 "%s of dim %d, format %d, refine %d, scale %g, lane %d: [%.9g, %.9g] against "
			 "the centre, [%.9g, %.9g] moved, truth %.9g", what, c->setting.dim,
			 (int) c->setting.format, c->setting.refine_bits, c->scale, lane, lower[0],
			 upper[0], lower[1], upper[1], truth);
	for (int way = 0; way < 2; way++)
	{
		pair->error[way] += fabs((lower[way] + upper[way]) / 2 - truth) / unit;
		pair->width[way] += (upper[way] - lower[way]) / unit;
	}
	pair->rows++;
}

static void
compare_block(VkCheckRun *run, VkAttackCase *c, Pair *pair)
{
	VkScores	scores[2];

	for (int way = 0; way < 2; way++)
	{
		VkDots		dots = {0};

		VK_CALL(run, scan[c->setting.format]) (pair->code[way].packed_scan, 0, c->lines,
											   c->coder.lines, &dots);
		VK_CALL(run, bound_list) (&pair->code[way].bound, &c->list, c->block_scale, &dots,
								  INFINITY, &scores[way]);
	}
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		double		lower[2] = {scores[0].lower[lane], scores[1].lower[lane]};
		double		upper[2] = {scores[0].upper[lane], scores[1].upper[lane]};

		if (c->skip[lane])
			continue;
		compare(run, c, pair, lane, "scan code", lower, upper);
		if (c->setting.refine_bits == 0)
			continue;
		for (int way = 0; way < 2; way++)
			vk_refine_bounds(&c->coder, &pair->code[way],
							 c->refine + (size_t) lane * c->coder.refine_size, false,
							 &lower[way], &upper[way]);
		compare(run, c, pair, lane, "refine code", lower, upper);
	}
}

static void
attack_setting(VkCheckRun *run, const VkAttackSetting *setting)
{
	VkAttackCase c;
	Pair		pair;
	int			moved = 0;

	vk_case_alloc(&c, setting);
	/* a run of few cases needs one at least whose code can be moved */
	for (int i = 0; i < 40 * run->scale || (moved == 0 && i < 40); i++)
	{
		vk_case_draw(&c, run, pow(10, vk_random_unit(run) * 12 - 6));
		if (i == 0)
			pair_alloc(&pair, &c.coder);
		if (!draw_query(run, &c, &pair) || !code_query(run, &c, &pair))
			continue;
		moved++;
		compare_block(run, &c, &pair);
	}
	vk_check(run, moved > 0, "no code of dim %d was moved", setting->dim);
	vk_check(run, pair.error[1] <= 1.5 * pair.error[0] + 0.01 * pair.rows,
			 "dim %d, format %d, refine %d: mean error %g by moved codes, %g against the centre",
			 setting->dim, (int) setting->format, setting->refine_bits,
			 pair.error[1] / pair.rows, pair.error[0] / pair.rows);
	vk_check(run, pair.width[1] <= 2 * pair.width[0] + 0.01 * pair.rows,
			 "dim %d, format %d, refine %d: mean width %g by moved codes, %g against the centre",
			 setting->dim, (int) setting->format, setting->refine_bits,
			 pair.width[1] / pair.rows, pair.width[0] / pair.rows);
	pair_free(&pair);
	vk_case_free(&c);
}

void
vk_attack_moved(VkCheckRun *run)
{
	static const int dims[] = {16, 33, 100, 128, 384, 768};
	static const VkMetric metrics[] = {VK_METRIC_L2, VK_METRIC_COSINE};

	for (size_t i = 0; i < sizeof(dims) / sizeof(dims[0]); i++)
		for (int format = 0; format < VK_INT_FORMATS; format++)
			for (int refine = 0; refine <= 8; refine += 4)
				for (int m = 0; m < 2; m++)
					attack_setting(run, &(VkAttackSetting) {
								   .dim = dims[i], .metric = metrics[m],
								   .format = (VkFormat) format, .refine_bits = refine});
}
