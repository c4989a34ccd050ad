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

#include "quant/quant.h"
#include "check.h"

typedef struct Setting
{
	int			dim;
	VkMetric	metric;
	VkFormat	format;
	int			refine_bits;
	bool		flat;
} Setting;

/* one block of rows and all that is needed to bound them */
typedef struct Case
{
	Setting		setting;
	double		scale;
	VkCoder		coder;
	VkCenter	center;
	float		block_scale;
	float	   *mean;
	int8_t	   *center_code;
	float	   *rows;			/* 16 x dim, as the operator sees them */
	float	   *seen;			/* 16 x dim, normalised for cosine */
	bool		skip[VK_LANES]; /* the operator gives NaN */
	uint8_t    *lines;
	uint8_t    *refine;
	VkFlatAnnotation flat;
	VkListAnnotation list;
	void	   *signs;
	void	   *scratch;
	VkQueryCode code;
	void	   *code_memory;
} Case;

/* bounds of the case's rows for one query, and how much of them it uses */
typedef struct Outcome
{
	double		scan_use;
	double		refine_use;
	int			worst_lane;
} Outcome;

/* the closest that any query of the run came to a bound */
static Outcome tightest;

static const char *const metric_names[] = {"l2", "ip", "cosine"};
static const int dims[] = {1, 2, 3, 17, 31, 32, 33, 64, 100, 128, 384, 768,
1536, 4096};

#define DIM_COUNT	((int) (sizeof(dims) / sizeof(dims[0])))

/* ---------- rows and queries ---------- */

static void
gaussian_vector(VkCheckRun *run, float *x, int dim, double scale)
{
	for (int i = 0; i < dim; i++)
		x[i] = (float) (vk_random_normal(run) * scale / sqrt((double) dim));
}

/*
 * One vector of a kind: gaussian, one-hot, sparse, flat (all equal), heavy
 * tailed, of widely spread magnitudes, or on a small integer grid.
 */
static void
draw_vector(VkCheckRun *run, float *x, int dim, double scale)
{
	int			kind = vk_random_below(run, 8);

	gaussian_vector(run, x, dim, scale);
	if (kind == 1)
	{
		int			hot = vk_random_below(run, dim);

		memset(x, 0, sizeof(float) * dim);
		x[hot] = (float) scale;
	}
	else if (kind == 2)
		for (int i = 0; i < dim; i++)
			x[i] = vk_random_below(run, 16) == 0 ? x[i] * 4 : 0;
	else if (kind == 3)
		for (int i = 0; i < dim; i++)
			x[i] = (float) (scale / sqrt((double) dim));
	else if (kind == 4)
		for (int i = 0; i < dim; i++)
			x[i] *= (float) fabs(vk_random_normal(run) * vk_random_normal(run));
	else if (kind == 5)
		for (int i = 0; i < dim; i++)
			x[i] *= ldexpf(1.0f, -vk_random_below(run, 40));
	else if (kind == 6)
		for (int i = 0; i < dim; i++)
			x[i] = (float) ((vk_random_below(run, 5) - 2) * scale / sqrt(2.0 * dim));
}

/* x = base + t * step, in float */
static void
move_vector(float *x, const float *base, const float *step, double t, int dim)
{
	for (int i = 0; i < dim; i++)
		x[i] = (float) (base[i] + t * step[i]);
}

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

/* ---------- cases ---------- */

static void
case_alloc(Case *c, const Setting *setting)
{
	size_t		dim = setting->dim;

	memset(c, 0, sizeof(*c));
	c->setting = *setting;
	c->mean = calloc(dim, sizeof(float));
	c->center_code = calloc(dim, 1);
	c->rows = calloc(VK_LANES * dim, sizeof(float));
	c->seen = calloc(VK_LANES * dim, sizeof(float));
	c->signs = malloc(vk_rotation_size(setting->dim));
	c->scratch = malloc(vk_scratch_size(setting->dim));
	c->lines = malloc((dim + 32) * VK_LINE_SIZE);
	c->refine = malloc(VK_LANES * (size_t) vk_refine_size(8, setting->dim));
}

static void
case_free(Case *c)
{
	free(c->mean);
	free(c->center_code);
	free(c->rows);
	free(c->seen);
	free(c->signs);
	free(c->scratch);
	free(c->lines);
	free(c->refine);
	free(c->code_memory);
}

/* encode row lane of the case into its block */
static void
encode_lane(Case *c, int lane, float *y, uint8_t *strip)
{
	const int	dim = c->setting.dim;
	const float *x = c->rows + (size_t) lane * dim;
	float	   *seen = c->seen + (size_t) lane * dim;
	VkRowCode	row = {0};
	bool		wild = false;
	double		norm2;

	c->skip[lane] = false;
	memcpy(seen, x, sizeof(float) * dim);
	if (c->setting.metric == VK_METRIC_COSINE &&
		!vk_normalize(x, dim, seen, &wild))
	{
		c->skip[lane] = true;
		memset(seen, 0, sizeof(float) * dim);
	}
	vk_row_rotate(&c->coder, seen, y, &norm2, c->scratch);
	row.lane = strip;
	row.refine = c->coder.refine_size == 0 ? NULL :
		c->refine + (size_t) lane * c->coder.refine_size;
	vk_row_encode(&c->coder, y, norm2, &c->center, wild, &row, c->scratch);
	if (lane == 0)
		c->block_scale = vk_block_scale(&row);
	for (int line = 0; line < c->coder.lines; line++)
		memcpy(c->lines + (size_t) line * VK_LINE_SIZE + 4 * lane,
			   strip + 4 * line, 4);
	vk_annotation_put(&c->coder, c->setting.flat ? (void *) &c->flat :
					  (void *) &c->list, c->block_scale, lane, &row);
}

static void
encode_rows(Case *c)
{
	float	   *y = malloc(sizeof(float) * c->setting.dim);
	uint8_t    *strip = malloc(4 * (size_t) c->coder.lines);

	for (int lane = 0; lane < VK_LANES; lane++)
		encode_lane(c, lane, y, strip);
	free(y);
	free(strip);
}

/* a centre near the rows for vkivf, in the rotated space about the mean */
static void
draw_center(Case *c, VkCheckRun *run, const float *near)
{
	const int	dim = c->setting.dim;
	float	   *y = malloc(sizeof(float) * dim);
	float	   *noise = malloc(sizeof(float) * dim);
	double		norm2;

	c->center = (VkCenter) {0, 0, NULL};
	if (!c->setting.flat)
	{
		gaussian_vector(run, noise, dim, c->scale * pow(10, -vk_random_unit(run) * 3));
		move_vector(noise, near, noise, 1, dim);
		vk_row_rotate(&c->coder, noise, y, &norm2, c->scratch);
		vk_center_encode(y, dim, c->center_code, &c->center.a);
		c->center.code = c->center_code;
		c->center.norm = vk_center_norm(c->center_code, c->center.a, dim);
	}
	free(y);
	free(noise);
}

/*
 * Rows around a common point: spread, near-duplicates of one another, equal to
 * the mean or to the centre, or far from all the others.
 */
static void
draw_rows(Case *c, VkCheckRun *run, const float *common)
{
	const int	dim = c->setting.dim;
	const double tight = pow(10, -vk_random_unit(run) * 6);

	for (int lane = 0; lane < VK_LANES; lane++)
	{
		float	   *x = c->rows + (size_t) lane * dim;
		double		spread = lane % 4 == 0 ? 1 : lane % 4 == 1 ? tight : vk_random_unit(run);

		draw_vector(run, x, dim, c->scale * spread);
		move_vector(x, common, x, 1, dim);
		if (lane == 13)
			memcpy(x, c->mean, sizeof(float) * dim);
		if (lane == 14)
			memcpy(x, common, sizeof(float) * dim);
		if (lane == 15)
			draw_vector(run, x, dim, c->scale * 1000);
	}
}

static void
case_draw(Case *c, VkCheckRun *run, double scale)
{
	const Setting *s = &c->setting;
	float	   *common = malloc(sizeof(float) * s->dim);
	int			offset = vk_random_below(run, 4);

	c->scale = scale;
	memset(c->mean, 0, sizeof(float) * s->dim);
	if (offset != 0)
		draw_vector(run, c->mean, s->dim,
					s->metric == VK_METRIC_COSINE ? 0.7 :
					offset == 1 ? scale : offset == 2 ? scale * 1000 : scale / 10);
	vk_coder_init(&c->coder, s->dim, s->metric, s->format, s->refine_bits,
				  s->flat, vk_random(run), c->mean, c->signs);
	gaussian_vector(run, common, s->dim, scale * (offset % 2));
	if (s->metric != VK_METRIC_COSINE)
		move_vector(common, c->mean, common, 1, s->dim);
	draw_rows(c, run, common);
	draw_center(c, run, common);
	encode_rows(c);
	if (c->code_memory == NULL)
		c->code_memory = malloc(vk_query_code_size(&c->coder));
	vk_query_code_init(&c->coder, &c->code, c->code_memory);
	free(common);
}

/* ---------- one query ---------- */

static double
operator_score(const Setting *s, const float *x, const float *q)
{
	float		parts[3];
	double		cosine;

	if (s->metric == VK_METRIC_L2)
		return vk_kernels->pair_l2_f32(x, q, s->dim);
	if (s->metric == VK_METRIC_IP)
		return -(double) vk_kernels->pair_dot_f32(x, q, s->dim);
	vk_kernels->pair_cosine_f32(x, q, s->dim, parts);
	cosine = parts[0] / sqrt((double) parts[1] * parts[2]);
	cosine = cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
	return 2 * (1 - cosine);
}

/* share of the half width that the truth is away from the middle */
static double
bound_use(VkCheckRun *run, Case *c, int lane, const char *what, double truth,
		  double lower, double upper)
{
	const Setting *s = &c->setting;

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
scan_block(Case *c, float threshold, VkScores *scores)
{
	const VkFormat format = c->setting.format;
	const int	half = c->coder.lines / 2;
	const int	rest = c->coder.lines - half;
	const uint8_t *second = c->lines + (size_t) half * VK_LINE_SIZE;
	VkDots		dots;

	memset(&dots, 0, sizeof(dots));
	if (format < VK_INT_FORMATS)
	{
		vk_kernels->scan[format] (c->code.packed_scan, 0, c->lines, half, &dots);
		vk_kernels->scan[format] (c->code.packed_scan, half, second, rest, &dots);
	}
	else
	{
		vk_kernels->scan_float[format - VK_FORMAT_F16] (c->code.values, 0,
														c->lines, half, &dots);
		vk_kernels->scan_float[format - VK_FORMAT_F16] (c->code.values, half,
														second, rest, &dots);
	}
	if (c->setting.flat)
		vk_kernels->bound_flat(&c->code.bound, &c->flat, &dots, threshold,
							   scores);
	else
		vk_kernels->bound_list_proven(&c->code.bound, &c->list, c->block_scale,
									  &dots, threshold, scores);
}

/*
 * Bounds of all rows for q; false where no bound is claimed or the operator
 * has no answer.
 */
static bool
try_query(VkCheckRun *run, Case *c, const float *q, Outcome *out)
{
	const Setting *s = &c->setting;
	float	   *seen = malloc(sizeof(float) * 2 * s->dim);
	float	   *rotated = seen + s->dim;
	VkScores	scores;
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
		scan_block(c, vk_random_below(run, 4) == 0 ? 0 : INFINITY, &scores);
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
	if (out->scan_use > tightest.scan_use)
		tightest.scan_use = out->scan_use;
	if (out->refine_use > tightest.refine_use)
		tightest.refine_use = out->refine_use;
	free(seen);
	return !wild && !query.wild;
}

/* ---------- attacks ---------- */

/* the value that lane's code holds at dimension i, in the rotated space */
static double
decoded_value(const Case *c, int lane, int i)
{
	const int	bits = vk_format_bits[c->setting.format];
	const int	fields = 8 / bits;
	const int	group = i / (4 * fields);
	const uint8_t byte = c->lines[(size_t) group * VK_LINE_SIZE + 4 * lane + i % 4];
	const int	u = (byte >> (bits * (i / 4 % fields))) & ((1 << bits) - 1);

	return c->setting.format == VK_FORMAT_B8 ? u - 128 : 2 * u - ((1 << bits) - 1);
}

/*
 * The error vector of lane's code, back in the space of vectors; its scale is
 * found anew by projection.
 */
static void
error_direction(Case *c, int lane, float *direction)
{
	const int	dim = c->setting.dim;
	double		norm2;
	double		dot = 0;
	double		code2 = 0;

	vk_row_rotate(&c->coder, c->seen + (size_t) lane * dim, direction, &norm2,
				  c->scratch);
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
query_error_direction(Case *c, float *direction)
{
	const int	dim = c->setting.dim;

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
bend_query(Case *c, VkCheckRun *run, float *q, const float *direction,
		   double length, Outcome *best)
{
	const int	dim = c->setting.dim;
	double		norm = vector_norm(direction, dim);
	float	   *moved = malloc(sizeof(float) * dim);

	for (int i = 0; i < 4 && norm > 0; i++)
	{
		double		t = (vk_random_unit(run) * 4 - 2) * length / norm;
		Outcome		outcome;

		move_vector(moved, q, direction, t, dim);
		if (try_query(run, c, moved, &outcome) && outcome.scan_use > best->scan_use)
		{
			*best = outcome;
			memcpy(q, moved, sizeof(float) * dim);
		}
	}
	free(moved);
}

static void
attack_query(Case *c, VkCheckRun *run, float *q, int rounds)
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
				gaussian_vector(run, direction, dim, 1);
			bend_query(c, run, q, direction, length, &best);
		}
	free(direction);
}

/*
 * A query of a kind: drawn alone, a row itself, a row and a little, the mean,
 * a row's opposite, or far away.
 */
static void
draw_query(Case *c, VkCheckRun *run, float *q)
{
	const int	dim = c->setting.dim;
	const float *row = c->rows + vk_random_below(run, VK_LANES) * dim;
	int			kind = vk_random_below(run, 7);

	draw_vector(run, q, dim, c->scale);
	if (kind == 0)
		memcpy(q, row, sizeof(float) * dim);
	else if (kind == 1)
		move_vector(q, row, q, pow(10, -vk_random_unit(run) * 7), dim);
	else if (kind == 2)
		memcpy(q, c->mean, sizeof(float) * dim);
	else if (kind == 3)
		move_vector(q, c->mean, q, 1, dim);
	else if (kind == 4)
		for (int i = 0; i < dim; i++)
			q[i] = 2 * c->mean[i] - row[i];
	else if (kind == 5)
		for (int i = 0; i < dim; i++)
			q[i] *= 1000;
}

static void
attack_case(const Setting *setting, VkCheckRun *run)
{
	/* norms from one end of the range to the other, half of them ordinary */
	double		scale = vk_random_below(run, 2) == 0 ? 1 + vk_random_unit(run) * 100 :
		pow(10, vk_random_unit(run) * 36 - 18);
	float	   *q = malloc(sizeof(float) * setting->dim);
	Case		c;

	case_alloc(&c, setting);
	case_draw(&c, run, scale);
	for (int i = 0; i < 8; i++)
	{
		draw_query(&c, run, q);
		attack_query(&c, run, q, i % 2 == 0 ? 0 : 6);
	}
	free(q);
	case_free(&c);
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
	for (long i = 0; i < cases; i++)
	{
		Setting		setting;

		setting.dim = dims[vk_random_below(run, DIM_COUNT)];
		setting.metric = (VkMetric) vk_random_below(run, 3);
		setting.format = (VkFormat) vk_random_below(run, VK_FORMATS);
		setting.refine_bits = refine_bits[vk_random_below(run, 3)];
		setting.flat = vk_random_below(run, 2) == 1;
		attack_case(&setting, run);
	}
	printf("%-8s bounds: the attack used %.4f of a scan bound, %.4f of a "
		   "refine bound\n", run->isa, tightest.scan_use, tightest.refine_use);
}
