/*-------------------------------------------------------------------------
 *
 * check_screen.c
 *	  Screens: the reference's bits, the words of kernels.h, and every lane
 *	  that a bound reports.
 *
 * NOTES
 *	  Annotations, queries and dots are hostile and fit no vectors; attack.c
 *	  does the same with such that do.
 *
 * IDENTIFICATION
 *	  test/kernels/check_screen.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <string.h>

#include "check.h"

#define BLOCKS	9				/* of one call of screen */

typedef enum Reading
{
	FLAT,
	LIST,
	LIST_PROVEN,
	READINGS
} Reading;

static const char *const reading_names[READINGS] = {
	"flat", "list", "list_proven",
};

/* one block's annotation in both layouts */
typedef struct Annotation
{
	VkFlatAnnotation flat;
	VkListAnnotation list;
	float		scale;
} Annotation;

/* the rows by one table, the bound's mask by the table under test */
static void
decode(const VkKernels *kernels, Reading reading, const Annotation *a,
	   VkScreenRows *rows)
{
	if (reading == FLAT)
		kernels->screen_flat(&a->flat, rows);
	else if (reading == LIST)
		kernels->screen_list(&a->list, a->scale, rows);
	else
		kernels->screen_list_proven(&a->list, a->scale, rows);
}

static uint32_t
bound(VkCheckRun *run, Reading reading, const VkBoundQuery *query,
	  const Annotation *a, const VkDots *dots, float threshold,
	  VkScores *scores)
{
	if (reading == FLAT)
		return VK_CALL(run, bound_flat) (query, &a->flat, dots, threshold, scores);
	if (reading == LIST)
		return VK_CALL(run, bound_list) (query, &a->list, a->scale, dots,
										 threshold, scores);
	return VK_CALL(run, bound_list_proven) (query, &a->list, a->scale, dots,
											threshold, scores);
}

static void
check_rows(VkCheckRun *run, Reading reading, const Annotation *a,
		   VkScreenRows *rows)
{
	VkScreenRows want;

	/* named here: decode is for tables of any kind */
	if (reading == FLAT)
		(void) VK_CALL(run, screen_flat);
	else if (reading == LIST)
		(void) VK_CALL(run, screen_list);
	else
		(void) VK_CALL(run, screen_list_proven);
	decode(run->kernels, reading, a, rows);
	decode(run->ref, reading, a, &want);
	vk_check(run, vk_buffer_intact(1, rows, sizeof(*rows)),
			 "screen_%s writes around its rows", reading_names[reading]);
	vk_check(run, vk_same_floats((const float *) rows, (const float *) &want,
								 sizeof(want) / sizeof(float)),
			 "screen_%s differs from ref", reading_names[reading]);
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		const bool	unbound = reading == FLAT ?
			(a->flat.error[lane] & 0x7c00) == 0x7c00 :
			a->list.tangent[lane] == UINT16_MAX;

		vk_check(run, rows->norm[lane] < INFINITY ||
				 (rows->norm2[lane] == 0 && rows->a[lane] == 0 &&
				  rows->a_error[lane] == 0 && rows->error[lane] == 0),
				 "screen_%s lane %d is without a bound, but not zero",
				 reading_names[reading], lane);
		vk_check(run, !unbound || rows->norm[lane] == INFINITY,
				 "screen_%s lane %d has no bound, but got one",
				 reading_names[reading], lane);
	}
}

/* a threshold that meets the bound of some lane, or any other */
static float
draw_threshold(VkCheckRun *run, Reading reading, const VkBoundQuery *query,
			   const Annotation *a, const VkDots *dots)
{
	VkScores	scores;

	if (vk_random_below(run, 4) == 0)
		return vk_draw_number(run);
	bound(run, reading, query, a, dots, INFINITY, &scores);
	return scores.lower[vk_random_below(run, VK_LANES)];
}

static void
check_reading(VkCheckRun *run, Reading reading)
{
	const bool	proven = reading != LIST;
	VkScreenRows *rows = vk_buffer(1, sizeof(*rows), true, 0);
	Annotation	a;
	VkBoundQuery query;
	VkScreenQuery screen;
	VkScreenQuery again;
	VkScores	scores;
	VkDots		dots;
	float		threshold;
	uint16_t	mask;
	uint32_t	candidates;

	vk_draw_bound_query(run, &query);
	if (query.dot_mult == 0)	/* float formats have no screen */
		return;
	query.center_weight = 0;	/* nor has a dot with the centre */
	vk_draw_flat(run, &a.flat);
	vk_draw_list(run, &a.list);
	a.scale = vk_draw_number(run);
	vk_draw_dots(run, &query, &dots);
	check_rows(run, reading, &a, rows);

	threshold = draw_threshold(run, reading, &query, &a, &dots);
	candidates = bound(run, reading, &query, &a, &dots, threshold, &scores);
	vk_screen_query(&query, proven, threshold, &screen);
	VK_CALL(run, screen) (dots.i, rows, 1, &screen, &mask);
	vk_check(run, (candidates & ~(uint32_t) mask) == 0,
			 "screen of %s leaves out lanes %x of the bound's candidates %x",
			 reading_names[reading], candidates & ~(uint32_t) mask, candidates);
	vk_check(run, screen.base != screen.base || screen.weight_norm > 0,
			 "screen query of %s: weight of the norm %g", reading_names[reading],
			 screen.weight_norm);
	vk_screen_query(&query, proven, vk_draw_number(run), &again);
	vk_screen_threshold(&query, proven, threshold, &again);
	vk_check(run, memcmp(&screen, &again, sizeof(screen)) == 0 ||
			 screen.base != screen.base,
			 "screen query of %s depends on an earlier threshold",
			 reading_names[reading]);
}

/* any numbers of rows and query: the formula itself */
static void
check_formula(VkCheckRun *run)
{
	const int	blocks = vk_random_below(run, BLOCKS + 1);
	const int	count = blocks * (int) sizeof(VkScreenRows) / (int) sizeof(float);
	VkScreenRows *rows = vk_buffer(1, blocks * sizeof(*rows), true, 0);
	int32_t    *dots = vk_place(run, 0, blocks * VK_LANES * sizeof(*dots), 4);
	uint16_t   *masks = vk_place(run, 2, blocks * sizeof(*masks), 2);
	VkScreenQuery query;

	for (int i = 0; i < count; i++)
		((float *) rows)[i] = vk_draw_number(run);
	for (int i = 0; i < blocks * VK_LANES; i++)
		dots[i] = vk_random_below(run, 2000000) - 1000000;
	query.dot_mult = 1 + vk_random_below(run, 2);
	query.dot_offset = vk_random_below(run, 100000) - 50000;
	query.scale = vk_draw_number(run) / 10000;
	query.base = vk_draw_number(run);
	query.weight_norm2 = vk_draw_number(run);
	query.weight_error = vk_draw_number(run);
	query.weight_norm = vk_draw_number(run);
	query.threshold = vk_draw_number(run);
	if (blocks > 0 && vk_random_below(run, 2))
		query.threshold = vk_screen_lower(&query, &rows[blocks - 1], 7,
										  dots[(blocks - 1) * VK_LANES + 7]);
	VK_CALL(run, screen) (dots, rows, blocks, &query, masks);
	vk_check(run, vk_buffer_intact(2, masks, blocks * sizeof(*masks)),
			 "screen of %d blocks writes around its masks", blocks);
	for (int i = 0; i < blocks * VK_LANES; i++)
	{
		const float lower = vk_screen_lower(&query, &rows[i / VK_LANES],
											i % VK_LANES, dots[i]);
		const bool	set = (masks[i / VK_LANES] >> (i % VK_LANES)) & 1;

		vk_check(run, set == !(lower > query.threshold),
				 "screen of %d blocks at %d: %d, lower %.9g, threshold %.9g",
				 blocks, i, set, lower, query.threshold);
	}
}

/* rows as an index has them, or any numbers */
static void
draw_rows(VkCheckRun *run, VkScreenRows *rows, bool wild)
{
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		float		norm = 0.5f + (float) vk_random_below(run, 1000) / 1000;

		rows->norm2[lane] = norm * norm;
		rows->norm[lane] = norm;
		rows->a[lane] = norm * (1 + (float) vk_random_below(run, 100) / 1000);
		rows->a_error[lane] = rows->a[lane] / 2000;
		rows->error[lane] = norm * (float) vk_random_below(run, 200) / 1000;
		if (!wild || vk_random_below(run, 8) != 0)
			continue;
		rows->norm2[lane] = fabsf(vk_draw_number(run));
		rows->norm[lane] = vk_random_below(run, 2) ? INFINITY : 0;
		rows->a[lane] = vk_draw_number(run);
		rows->a_error[lane] = fabsf(vk_draw_number(run)) / 100;
	}
}

static void
draw_screen_query(VkCheckRun *run, bool wild, VkScreenQuery *query)
{
	*query = (VkScreenQuery) {
		.dot_mult = 1 + vk_random_below(run, 2),
		.dot_offset = vk_random_below(run, 200000) - 100000,
		.scale = 1e-5f * (float) vk_random_below(run, 3),
		.base = (float) (vk_random_below(run, 2000) - 500) / 500,
		.weight_norm2 = vk_random_below(run, 3) ? 1 - 0x1p-19f : 0,
		.weight_error = (float) vk_random_below(run, 100) / 500,
		.weight_norm = (float) (1 + vk_random_below(run, 100)) / 10000,
	};
	if (wild)
		query->scale = vk_draw_number(run);
	if (wild && vk_random_below(run, 2))
		query->base = vk_draw_number(run);
}

/* one row of a block alone, so that the block's limit is that row's */
static void
leave_one(uint16_t *lanes, int32_t *dots, int lane)
{
	*lanes = (uint16_t) (1 << lane);
	for (int i = 0; i < VK_LANES; i++)
		if (i != lane)
			dots[i] = dots[lane] - 1000000;
}

/* whole blocks: the reference's bits, and every lane that the screen keeps */
static void
check_blocks(VkCheckRun *run)
{
	const int	blocks = vk_random_below(run, 2 * VK_LANES + 4);
	const int	groups = (blocks + VK_LANES - 1) / VK_LANES;
	const bool	wild = vk_random_below(run, 2);
	VkScreenRows *rows = vk_buffer(1, (size_t) groups * VK_LANES * sizeof(*rows), true, 0);
	int32_t    *dots = vk_place(run, 0, blocks * VK_LANES * sizeof(*dots), 4);
	uint16_t   *masks = vk_place(run, 2, groups * sizeof(*masks), 2);
	VkScreenBlocks group[3];
	uint16_t	lanes[3 * VK_LANES];
	uint16_t	want[3];
	VkScreenQuery query;

	draw_screen_query(run, wild, &query);
	for (int b = 0; b < blocks; b++)
	{
		draw_rows(run, &rows[b], wild && vk_random_below(run, 4) == 0);
		lanes[b] = (uint16_t) (vk_random_below(run, 4) ? UINT16_MAX : vk_random_below(run, 65536));
		for (int lane = 0; lane < VK_LANES; lane++)
			dots[b * VK_LANES + lane] = (query.dot_offset +
										 vk_random_below(run, 200000) - 100000) / query.dot_mult;
	}
	if (blocks > 0 && !wild && vk_random_below(run, 4) == 0)
		leave_one(&lanes[blocks - 1], dots + (blocks - 1) * VK_LANES, 7);
	for (int g = 0; g < groups; g++)
		vk_screen_blocks_fill(rows + g * VK_LANES, lanes + g * VK_LANES,
							  blocks - g * VK_LANES < VK_LANES ? blocks - g * VK_LANES : VK_LANES,
							  &group[g]);
	query.threshold = vk_draw_number(run);
	if (blocks > 0 && vk_random_below(run, 4) != 0)
		query.threshold = vk_screen_lower(&query, &rows[blocks - 1], 7,
										  dots[(blocks - 1) * VK_LANES + 7]);
	VK_CALL(run, screen_blocks) (dots, group, blocks, &query, masks);
	vk_check(run, vk_buffer_intact(2, masks, groups * sizeof(*masks)),
			 "screen_blocks of %d blocks writes around its masks", blocks);
	run->ref->screen_blocks(dots, group, blocks, &query, want);
	vk_check(run, memcmp(masks, want, groups * sizeof(*masks)) == 0,
			 "screen_blocks of %d blocks differs from ref", blocks);
	for (int b = 0; b < blocks; b++)
	{
		uint16_t	kept;

		run->ref->screen(dots + b * VK_LANES, &rows[b], 1, &query, &kept);
		vk_check(run, (kept & lanes[b]) == 0 || (masks[b / VK_LANES] >> (b % VK_LANES) & 1),
				 "screen_blocks leaves out block %d of %d, of which screen keeps %x",
				 b, blocks, kept & lanes[b]);
	}
}

void
vk_check_screens(VkCheckRun *run)
{
	for (int trial = 0; trial < 5000 * run->scale; trial++)
	{
		for (int reading = 0; reading < READINGS; reading++)
			check_reading(run, (Reading) reading);
		check_formula(run);
		check_blocks(run);
	}
}
