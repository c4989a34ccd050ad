/*-------------------------------------------------------------------------
 *
 * attack.c
 *	  The proven bounds under attack: rows, queries and scales that hurt.
 *
 * NOTES
 *	  A case is one coder (dimension, metric, formats, layout), a mean, a
 *	  centre and a block of 16 rows.  Queries are first drawn at random, then
 *	  bent: towards the error vectors of the codes, in which the true dot
 *	  leaves its estimate fastest, and by hill climbing on how much of the
 *	  interval is used.  Truth is what the SQL operator computes.
 *
 * IDENTIFICATION
 *	  test/kernels/attack.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attack.h"

/* bounds of the case's rows for one query, and how much of them it uses */
typedef struct Outcome
{
	double		scan_use;
	double		refine_use;
	int			worst_lane;
} Outcome;

/* the closest that any query of the run came to a bound */
static Outcome tightest;
static double tightest_l1;

/* lanes that bounds kept, and screens at the same thresholds */
static long bound_kept;
static long screen_kept;

static const char *const metric_names[] = {"l2", "ip", "cosine", "l1"};
static const int dims[] = {1, 2, 3, 17, 31, 32, 33, 64, 100, 128, 384, 768,
1536, 4096};

#define DIM_COUNT	((int) (sizeof(dims) / sizeof(dims[0])))

/* ---------- one query ---------- */

static double
operator_score(const VkAttackSetting *s, const float *x, const float *q)
{
	double		parts[3];
	double		cosine;

	if (s->metric == VK_METRIC_L2)
		return vk_kernels->pair_l2[VK_F32] (x, q, s->dim);
	if (s->metric == VK_METRIC_IP)
		return -vk_kernels->pair_dot[VK_F32] (x, q, s->dim);
	if (s->metric == VK_METRIC_L1)
		return vk_kernels->pair_l1[VK_F32] (x, q, s->dim);
	vk_kernels->pair_cosine[VK_F32] (x, q, s->dim, parts);
	cosine = parts[0] / sqrt(parts[1] * parts[2]);
	cosine = cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
	return 2 * (1 - cosine);
}

/* share of the half width that the truth is away from the middle */
static double
bound_use(VkCheckRun *run, VkAttackCase *c, int lane, const char *what, double truth,
		  double lower, double upper)
{
	const VkAttackSetting *s = &c->setting;

	vk_check(run, truth >= lower && truth <= upper,
			 "%s of %s, dim %d, format %d, refine %d, flat %d, scale %g, "
			 "lane %d: %.17g not in [%.17g, %.17g]", what,
			 metric_names[s->metric], s->dim, (int) s->format, s->refine_bits,
			 s->flat, c->scale, lane, truth, lower, upper);
	if (!(upper - lower > 0 && upper - lower < INFINITY))
		return 0;
	return fabs(truth - (lower + upper) / 2) / ((upper - lower) / 2);
}

static void
scan_block(VkCheckRun *run, VkAttackCase *c, VkDots *dots)
{
	const VkFormat format = c->setting.format;
	const int	half = c->coder.lines / 2;
	const int	rest = c->coder.lines - half;
	const uint8_t *second = c->lines + (size_t) half * VK_LINE_SIZE;

	memset(dots, 0, sizeof(*dots));
	if (c->setting.metric == VK_METRIC_L1)
	{
		const uint8_t *code = (const uint8_t *) c->code.code;

		VK_CALL(run, scan_l1) (code, 0, c->lines, half, dots);
		VK_CALL(run, scan_l1) (code, half, second, rest, dots);
	}
	else if (format < VK_INT_FORMATS)
	{
		VK_CALL(run, scan[format]) (c->code.packed_scan, 0, c->lines, half, dots);
		VK_CALL(run, scan[format]) (c->code.packed_scan, half, second, rest, dots);
	}
	else
	{
		const int	which = format - VK_FORMAT_F16;

		VK_CALL(run, scan_float[which]) (c->code.values, 0, c->lines, half, dots);
		VK_CALL(run, scan_float[which]) (c->code.values, half, second, rest, dots);
	}
}

static uint32_t
bound_l1_block(VkCheckRun *run, VkAttackCase *c, const VkDots *dots,
			   float threshold, VkScores *scores)
{
	if (c->setting.flat)
		return VK_CALL(run, bound_flat_l1) (&c->code.bound, &c->flat, dots,
											threshold, scores);
	return VK_CALL(run, bound_list_l1_proven) (&c->code.bound, &c->list,
											   c->block_scale, dots, threshold,
											   scores);
}

static uint32_t
bound_block(VkCheckRun *run, VkAttackCase *c, bool proven, const VkDots *dots,
			float threshold, VkScores *scores)
{
	if (c->setting.metric == VK_METRIC_L1)
		return bound_l1_block(run, c, dots, threshold, scores);
	if (c->setting.flat)
		return VK_CALL(run, bound_flat) (&c->code.bound, &c->flat, dots, threshold,
										 scores);
	return (proven ? VK_CALL(run, bound_list_proven) :
			VK_CALL(run, bound_list)) (&c->code.bound, &c->list, c->block_scale,
									   dots, threshold, scores);
}

/*
 * The screen keeps what the bound does, at thresholds that lie on or just below
 * the bound of a lane.
 */
static void
check_screen(VkCheckRun *run, VkAttackCase *c, bool proven, const VkDots *dots)
{
	VkScreenRows rows;
	VkScores	scores;
	VkScores	unused;

	if (c->setting.flat)
		VK_CALL(run, screen_flat) (&c->flat, &rows);
	else if (proven)
		VK_CALL(run, screen_list_proven) (&c->list, c->block_scale, &rows);
	else
		VK_CALL(run, screen_list) (&c->list, c->block_scale, &rows);
	bound_block(run, c, proven, dots, INFINITY, &scores);
	for (int i = 0; i < 4; i++)
	{
		const float lower = scores.lower[vk_random_below(run, VK_LANES)];
		const float threshold = i % 2 == 0 ? lower : nextafterf(lower, -INFINITY);
		const uint32_t candidates = bound_block(run, c, proven, dots, threshold,
												&unused);
		VkScreenQuery query;
		VkScreenBlocks group;
		uint16_t	mask;
		uint16_t	block;

		vk_screen_query(&c->code.bound, proven, threshold, &query);
		VK_CALL(run, screen) (dots->i, &rows, 1, &query, &mask);
		vk_screen_blocks_fill(&rows, &mask, 1, &group);
		VK_CALL(run, screen_blocks) (dots->i, &group, 1, &query, &block);
		vk_check(run, mask == 0 || block == 1,
				 "screen_blocks of %s, dim %d, format %d, flat %d, proven %d, "
				 "scale %g: lanes %x of the screen are left out",
				 metric_names[c->setting.metric], c->setting.dim,
				 (int) c->setting.format, c->setting.flat, proven, c->scale, mask);
		vk_check(run, (candidates & ~(uint32_t) mask) == 0,
				 "screen of %s, dim %d, format %d, flat %d, proven %d, scale %g: "
				 "lanes %x of the bound's candidates are left out",
				 metric_names[c->setting.metric], c->setting.dim,
				 (int) c->setting.format, c->setting.flat, proven, c->scale,
				 candidates & ~(uint32_t) mask);
		screen_kept += __builtin_popcount(mask);
		bound_kept += __builtin_popcount(candidates);
	}
}

/*
 * Bounds of all rows for q; false where no bound is claimed or the operator
 * has no answer.
 */
static bool
try_query(VkCheckRun *run, VkAttackCase *c, const float *q, Outcome *out)
{
	const VkAttackSetting *s = &c->setting;
	float	   *seen = malloc(sizeof(float) * 2 * s->dim);
	float	   *rotated = seen + s->dim;
	VkScores	scores;
	VkDots		dots;
	VkQuery		query;
	bool		wild = false;

	memset(out, 0, sizeof(*out));
	memcpy(seen, q, sizeof(float) * s->dim);
	if (s->metric == VK_METRIC_COSINE && !vk_normalize(q, s->dim, seen, &wild))
	{
		free(seen);
		return false;
	}
	vk_query_init(&c->coder, seen, rotated, &query, c->scratch);
	if (!wild && !query.wild)
	{
		vk_query_code_set(&c->coder, &query, &c->center, true, &c->code);
		/* a kernel may bound lanes above the threshold more loosely */
		scan_block(run, c, &dots);
		bound_block(run, c, true, &dots,
					vk_random_below(run, 4) == 0 ? 0 : INFINITY, &scores);
		if (s->format < VK_INT_FORMATS && s->metric != VK_METRIC_L1)
			check_screen(run, c, s->flat || vk_random_below(run, 2), &dots);
		for (int lane = 0; lane < VK_LANES; lane++)
		{
			double		truth = operator_score(s, c->rows + (size_t) lane * s->dim, q);
			double		use;

			if (c->skip[lane] || isnan(truth))
				continue;
			use = bound_use(run, c, lane, "scan", truth, scores.lower[lane],
							scores.upper[lane]);
			if (use > out->scan_use)
			{
				out->scan_use = use;
				out->worst_lane = lane;
			}
			if (s->refine_bits != 0)
			{
				double		lower;
				double		upper;

				vk_refine_bounds(&c->coder, &c->code, c->refine +
								 (size_t) lane * c->coder.refine_size, true,
								 &lower, &upper);
				use = bound_use(run, c, lane, "refine", truth, lower, upper);
				if (use > out->refine_use)
					out->refine_use = use;
			}
		}
	}
	if (s->metric == VK_METRIC_L1)
		tightest_l1 = fmax(tightest_l1, out->scan_use);
	else if (out->scan_use > tightest.scan_use)
		tightest.scan_use = out->scan_use;
	if (out->refine_use > tightest.refine_use)
		tightest.refine_use = out->refine_use;
	free(seen);
	return !wild && !query.wild;
}

/* ---------- attacks ---------- */

/* the transpose of vk_rotate, by its definition; error is of no matter here */
static void
rotate_back(const VkRotation *rotation, float *x)
{
	const int	dim = rotation->dim;
	const int	power = rotation->power;

	if (rotation->identity)
		return;
	for (int round = 3; round >= 0; round--)
	{
		vk_kernels->hadamard(round % 2 == 0 ? x : x + (dim - power), power,
							 (float) (1 / sqrt((double) power)));
		for (int i = 0; i < dim; i++)
			if (rotation->signs[round * dim + i] != 0)
				x[i] = -x[i];
	}
}

/* the value that lane's code holds at dimension i, in the rotated space */
static double
decoded_value(const VkAttackCase *c, int lane, int i)
{
	const int	bits = vk_format_bits[c->setting.format];
	const int	fields = 8 / bits;
	const int	group = i / (4 * fields);
	const uint8_t byte = c->lines[(size_t) group * VK_LINE_SIZE + 4 * lane + i % 4];
	const int	u = (byte >> (bits * (i / 4 % fields))) & ((1 << bits) - 1);

	return c->setting.format == VK_FORMAT_B8 ? u - 128 : 2 * u - ((1 << bits) - 1);
}

/* the direction in which all dimensions of lane's error add up */
static void
grid_error_direction(VkAttackCase *c, int lane, float *direction)
{
	const int	dim = c->setting.dim;
	double		norm2;

	vk_row_rotate(&c->coder, c->seen + (size_t) lane * dim, direction, &norm2,
				  c->scratch);
	for (int i = 0; i < dim; i++)
		direction[i] = copysignf(1, (float) (direction[i] - (double) c->coder.step *
											 decoded_value(c, lane, i)));
}

/*
 * The query whose own error is opposite to lane's, and which lies beyond it in
 * the direction of that error: both errors count in full.
 */
static void
mirror_query(VkAttackCase *c, int lane, int steps, float *q)
{
	const int	dim = c->setting.dim;
	const float *row = c->seen + (size_t) lane * dim;
	const double step = c->coder.step;

	for (int i = 0; i < dim; i++)
	{
		double		code = step * decoded_value(c, lane, i);
		double		error = (double) row[i] - c->mean[i] - code;

		q[i] = (float) (c->mean[i] + code + copysign(steps * step, error) - error);
	}
}

/*
 * The error vector of lane's code, back in the space of vectors; its scale is
 * found anew by projection.
 */
static void
error_direction(VkAttackCase *c, int lane, float *direction)
{
	const int	dim = c->setting.dim;
	double		norm2;
	double		dot = 0;
	double		code2 = 0;

	vk_row_rotate(&c->coder, c->seen + (size_t) lane * dim, direction, &norm2,
				  c->scratch);
	if (c->setting.metric == VK_METRIC_L1)
	{
		grid_error_direction(c, lane, direction);
		return;
	}
	if (c->center.code != NULL)
		for (int i = 0; i < dim; i++)
			direction[i] -= c->center.a * c->center.code[i];
	if (c->setting.format < VK_INT_FORMATS)
	{
		for (int i = 0; i < dim; i++)
		{
			double		value = decoded_value(c, lane, i);

			dot += direction[i] * value;
			code2 += value * value;
		}
		for (int i = 0; i < dim && code2 > 0; i++)
			direction[i] -= (float) (dot / code2 * decoded_value(c, lane, i));
	}
	rotate_back(&c->coder.rotation, direction);
}

/* q's own quantisation error, back in the space of vectors */
static void
query_error_direction(VkAttackCase *c, float *direction)
{
	const int	dim = c->setting.dim;

	if (c->setting.metric == VK_METRIC_L1)
	{
		for (int i = 0; i < dim; i++)
			direction[i] = 1;
		return;
	}
	for (int i = 0; i < dim; i++)
		direction[i] = c->code.values[i] -
			c->code.quantized.scale * c->code.code[i];
	rotate_back(&c->coder.rotation, direction);
}

static double
vector_norm(const float *x, int dim)
{
	return sqrt(vk_kernels->pair_dot_f64(x, x, dim));
}

/* bend q along direction by several lengths, keeping what uses more */
static void
bend_query(VkAttackCase *c, VkCheckRun *run, float *q, const float *direction,
		   double length, Outcome *best)
{
	const int	dim = c->setting.dim;
	double		norm = vector_norm(direction, dim);
	float	   *moved = malloc(sizeof(float) * dim);

	for (int i = 0; i < 4 && norm > 0; i++)
	{
		double		t = (vk_random_unit(run) * 4 - 2) * length / norm;
		Outcome		outcome;

		vk_move_vector(moved, q, direction, t, dim);
		if (try_query(run, c, moved, &outcome) && outcome.scan_use > best->scan_use)
		{
			*best = outcome;
			memcpy(q, moved, sizeof(float) * dim);
		}
	}
	free(moved);
}

static void
attack_query(VkAttackCase *c, VkCheckRun *run, float *q, int rounds)
{
	const int	dim = c->setting.dim;
	float	   *direction = malloc(sizeof(float) * dim);
	Outcome		best;

	if (try_query(run, c, q, &best))
		for (int round = 0; round < rounds; round++)
		{
			double		length = c->scale * pow(10, -vk_random_unit(run) * 3);

			if (round % 3 == 0)
				error_direction(c, best.worst_lane, direction);
			else if (round % 3 == 1)
				query_error_direction(c, direction);
			else
				vk_draw_gaussian(run, direction, dim, 1);
			bend_query(c, run, q, direction, length, &best);
		}
	free(direction);
}

/*
 * A query of a kind: drawn alone, a row itself, a row and a little, the mean,
 * a row's opposite, or far away.
 */
static void
draw_query(VkAttackCase *c, VkCheckRun *run, float *q)
{
	const int	dim = c->setting.dim;
	const float *row = c->rows + vk_random_below(run, VK_LANES) * dim;
	int			kind = vk_random_below(run, 7);

	vk_draw_vector(run, q, dim, c->scale);
	if (c->setting.metric == VK_METRIC_L1 && vk_random_below(run, 3) == 0)
		mirror_query(c, vk_random_below(run, VK_LANES), vk_random_below(run, 4), q);
	else if (kind == 0)
		memcpy(q, row, sizeof(float) * dim);
	else if (kind == 1)
		vk_move_vector(q, row, q, pow(10, -vk_random_unit(run) * 7), dim);
	else if (kind == 2)
		memcpy(q, c->mean, sizeof(float) * dim);
	else if (kind == 3)
		vk_move_vector(q, c->mean, q, 1, dim);
	else if (kind == 4)
		for (int i = 0; i < dim; i++)
			q[i] = 2 * c->mean[i] - row[i];
	else if (kind == 5)
		for (int i = 0; i < dim; i++)
			q[i] *= 1000;
}

static void
attack_case(const VkAttackSetting *setting, VkCheckRun *run)
{
	/* norms from one end of the range to the other, half of them ordinary */
	double		scale = vk_random_below(run, 2) == 0 ? 1 + vk_random_unit(run) * 100 :
		pow(10, vk_random_unit(run) * 36 - 18);
	float	   *q = malloc(sizeof(float) * setting->dim);
	VkAttackCase		c;

	vk_case_alloc(&c, setting);
	vk_case_draw(&c, run, scale);
	for (int i = 0; i < 8; i++)
	{
		draw_query(&c, run, q);
		attack_query(&c, run, q, i % 2 == 0 ? 0 : 6);
	}
	free(q);
	vk_case_free(&c);
}

/*
 * Cases of random settings; the reference, being slow, gets fewer of them.
 */
void
vk_attack_bounds(VkCheckRun *run)
{
	static const int refine_bits[] = {0, 4, 8};
	const bool	slow = strcmp(run->isa, "ref") == 0;
	const long	cases = (long) (run->scale * (slow ? 100 : 800)) + 1;

	memset(&tightest, 0, sizeof(tightest));
	tightest_l1 = 0;
	bound_kept = 0;
	screen_kept = 0;
	for (long i = 0; i < cases; i++)
	{
		VkAttackSetting		setting;

		setting.dim = dims[vk_random_below(run, DIM_COUNT)];
		setting.metric = (VkMetric) vk_random_below(run, 4);
		setting.format = (VkFormat) vk_random_below(run, VK_FORMAT_F32 + 1);
		setting.refine_bits = refine_bits[vk_random_below(run, 3)];
		setting.flat = vk_random_below(run, 2) == 1;
		if (setting.metric == VK_METRIC_L1)
		{
			setting.format = VK_FORMAT_B8;
			setting.refine_bits = 0;
		}
		attack_case(&setting, run);
	}
	printf("%-8s bounds: the attack used %.4f of a scan bound, %.4f of a refine "
		   "bound, %.4f of one of L1; screens kept %.2f lanes for one\n", run->isa,
		   tightest.scan_use, tightest.refine_use, tightest_l1, (double) screen_kept / (double) (bound_kept + 1));
}
