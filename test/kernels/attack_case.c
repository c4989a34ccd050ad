/*-------------------------------------------------------------------------
 *
 * attack_case.c
 *	  A case of the attack: rows of all kinds about a mean and a centre, encoded.
 *
 * IDENTIFICATION
 *	  test/kernels/attack_case.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attack.h"

/* ---------- rows and queries ---------- */

void
vk_draw_gaussian(VkCheckRun *run, float *x, int dim, double scale)
{
	for (int i = 0; i < dim; i++)
		x[i] = (float) (vk_random_normal(run) * scale / sqrt((double) dim));
}

/*
 * One vector of a kind: gaussian, one-hot, sparse, flat (all equal), heavy
 * tailed, of widely spread magnitudes, or on a small integer grid.
 */
void
vk_draw_vector(VkCheckRun *run, float *x, int dim, double scale)
{
	int			kind = vk_random_below(run, 8);

	vk_draw_gaussian(run, x, dim, scale);
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
void
vk_move_vector(float *x, const float *base, const float *step, double t, int dim)
{
	for (int i = 0; i < dim; i++)
		x[i] = (float) (base[i] + t * step[i]);
}

/* ---------- cases ---------- */

void
vk_case_alloc(VkAttackCase *c, const VkAttackSetting *setting)
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

void
vk_case_free(VkAttackCase *c)
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
encode_lane(VkAttackCase *c, int lane, float *y, uint8_t *strip)
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
encode_rows(VkAttackCase *c)
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
draw_center(VkAttackCase *c, VkCheckRun *run, const float *near)
{
	const int	dim = c->setting.dim;
	float	   *y = malloc(sizeof(float) * dim);
	float	   *noise = malloc(sizeof(float) * dim);
	double		norm2;

	c->center = (VkCenter) {0, 0, NULL};
	if (!c->setting.flat)
	{
		vk_draw_gaussian(run, noise, dim, c->scale * pow(10, -vk_random_unit(run) * 3));
		vk_move_vector(noise, near, noise, 1, dim);
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
draw_rows(VkAttackCase *c, VkCheckRun *run, const float *common)
{
	const int	dim = c->setting.dim;
	const double tight = pow(10, -vk_random_unit(run) * 6);

	for (int lane = 0; lane < VK_LANES; lane++)
	{
		float	   *x = c->rows + (size_t) lane * dim;
		double		spread = lane % 4 == 0 ? 1 : lane % 4 == 1 ? tight : vk_random_unit(run);

		vk_draw_vector(run, x, dim, c->scale * spread);
		vk_move_vector(x, common, x, 1, dim);
		if (lane == 13)
			memcpy(x, c->mean, sizeof(float) * dim);
		if (lane == 14)
			memcpy(x, common, sizeof(float) * dim);
		if (lane == 15)
			vk_draw_vector(run, x, dim, c->scale * 1000);
	}
}

/*
 * L1: rows on the grid or a bit beside it, about a mean so small that the
 * difference is half way between two floats: nothing but that rounding is
 * wrong with the codes, and rows that are next to each other are equal there.
 */
static void
draw_ties(VkAttackCase *c, VkCheckRun *run)
{
	const int	dim = c->setting.dim;
	const float step = ldexpf(1, vk_random_below(run, 60) - 30);
	const float point = 96 * step;

	for (int i = 0; i < dim; i++)
		c->mean[i] = step * 0x1p-18f;
	for (int lane = 0; lane < VK_LANES; lane++)
		for (int i = 0; i < dim; i++)
			c->rows[(size_t) lane * dim + i] = vk_random_below(run, 16) < lane ?
				nextafterf(point, INFINITY) : point;
	c->coder.step = step;
}

/* a grid that fits the rows, or one that is too coarse or too small */
static void
draw_step(VkAttackCase *c, VkCheckRun *run)
{
	const int	dim = c->setting.dim;
	double		step = c->scale / sqrt((double) dim) / 127 *
		pow(10, vk_random_unit(run) * 6 - 3);

	if (vk_random_below(run, 2) == 0)
		step = vk_grid_step(c->rows, VK_LANES, dim, c->mean);
	c->coder.step = (float) step;
}

void
vk_case_draw(VkAttackCase *c, VkCheckRun *run, double scale)
{
	const VkAttackSetting *s = &c->setting;
	float	   *common = malloc(sizeof(float) * s->dim);
	int			offset = vk_random_below(run, 4);

	c->scale = scale;
	memset(c->mean, 0, sizeof(float) * s->dim);
	if (offset != 0)
		vk_draw_vector(run, c->mean, s->dim,
					s->metric == VK_METRIC_COSINE ? 0.7 :
					offset == 1 ? scale : offset == 2 ? scale * 1000 : scale / 10);
	vk_coder_init(&c->coder, s->dim, s->metric, s->format, s->refine_bits,
				  s->flat, vk_random(run), c->mean, c->signs);
	vk_draw_gaussian(run, common, s->dim, scale * (offset % 2));
	if (s->metric != VK_METRIC_COSINE)
		vk_move_vector(common, c->mean, common, 1, s->dim);
	draw_rows(c, run, common);
	if (s->metric == VK_METRIC_L1 && vk_random_below(run, 8) == 0)
		draw_ties(c, run);
	else if (s->metric == VK_METRIC_L1)
		draw_step(c, run);
	draw_center(c, run, common);
	encode_rows(c);
	if (c->code_memory == NULL)
		c->code_memory = malloc(vk_query_code_size(&c->coder));
	vk_query_code_init(&c->coder, &c->code, c->code_memory);
	free(common);
}
