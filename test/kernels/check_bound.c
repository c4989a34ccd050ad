/*-------------------------------------------------------------------------
 *
 * check_bound.c
 *	  Bound kernels lane by lane: the reference's bits, masks, and no bound
 *	  where none holds.
 *
 * NOTES
 *	  Whether true scores lie inside is the matter of attack.c.
 *
 * IDENTIFICATION
 *	  test/kernels/check_bound.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <string.h>

#include "check.h"

#define HALF_INFINITY	0x7c00

float
vk_draw_number(VkCheckRun *run)
{
	static const float hostile[] = {
		0.0f, -0.0f, 1.0e-45f, 1.0e-38f, 3.0e38f, INFINITY, -INFINITY, NAN,
		0x1p-100f, 0x1p120f, 0x1p-101f, 0x1p121f,
	};

	if (vk_random_below(run, 40) == 0)
		return hostile[vk_random_below(run, sizeof(hostile) / sizeof(hostile[0]))];
	return ldexpf((float) vk_random_unit(run), vk_random_below(run, 16) - 8);
}

static uint16_t
half(VkCheckRun *run)
{
	static const uint16_t hostile[] = {
		0, 1, 0x3ff, 0x400, 0x7bff, HALF_INFINITY, 0x7e00, 0x8001, 0xfc00,
	};

	if (vk_random_below(run, 10) == 0)
		return hostile[vk_random_below(run, sizeof(hostile) / sizeof(hostile[0]))];
	return (uint16_t) (0x3000 + vk_random_below(run, 0x1000));
}

void
vk_draw_bound_query(VkCheckRun *run, VkBoundQuery *query)
{
	query->dot_mult = vk_random_below(run, 3);
	query->dot_offset = query->dot_mult == 0 ? 0 :
		vk_random_below(run, 100000) - 50000;
	query->query_scale = query->dot_mult == 0 ? 1.0f : vk_draw_number(run) / 100;
	query->code_unit = 0.125f;
	query->base = vk_draw_number(run);
	query->weight_norm = (float) vk_random_below(run, 2);
	query->weight_dot = 1 + query->weight_norm;
	query->query_norm2 = vk_draw_number(run);
	query->query_norm2 *= query->query_norm2;
	query->code_norm2 = vk_draw_number(run);
	query->inv_code_norm2 = query->code_norm2 == 0 ? 0 : 1 / query->code_norm2;
	query->query_error = vk_draw_number(run) / 100;
	query->row_error = 1e-6f;
	query->center_norm = vk_random_below(run, 2) ? vk_draw_number(run) : 0;
	query->round_factor = 1e-6f;
	query->slack_norm = 1e-6f;
	query->slack_base = 1e-6f;
	query->gamma = vk_random_below(run, 2) ? 1e-6f : 0;
	query->inv_dim_1 = 0.01f;
	query->epsilon = 2.5f;
	query->center_weight = vk_random_below(run, 2) ? vk_draw_number(run) : 0;
	vk_bound_query_finish(query);
}

void
vk_draw_flat(VkCheckRun *run, VkFlatAnnotation *annotation)
{
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		annotation->norm2[lane] = vk_draw_number(run);
		annotation->a[lane] = half(run);
		annotation->error[lane] = half(run);
	}
}

void
vk_draw_list(VkCheckRun *run, VkListAnnotation *annotation)
{
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		annotation->norm[lane] = half(run);
		annotation->a[lane] = half(run);
		annotation->tangent[lane] = vk_random_below(run, 6) == 0 ? UINT16_MAX :
			(uint16_t) vk_random(run);
		annotation->center[lane] = half(run);
	}
}

void
vk_draw_dots(VkCheckRun *run, const VkBoundQuery *query, VkDots *dots)
{
	for (int lane = 0; lane < VK_LANES; lane++)
		if (query->dot_mult == 0)
			dots->f[lane] = vk_draw_number(run);
		else
			dots->i[lane] = vk_random_below(run, 200000) - 100000;
}

static void
compare(VkCheckRun *run, const char *name, uint32_t mask,
		const VkScores *got, uint32_t ref_mask, const VkScores *want,
		float threshold)
{
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		bool		candidate = (mask >> lane) & 1;

		vk_check(run, vk_same_f32(got->lower[lane], want->lower[lane]) &&
				 vk_same_f32(got->upper[lane], want->upper[lane]),
				 "%s lane %d: [%.9g, %.9g], ref [%.9g, %.9g]", name, lane,
				 got->lower[lane], got->upper[lane], want->lower[lane],
				 want->upper[lane]);
		vk_check(run, got->lower[lane] <= got->upper[lane],
				 "%s lane %d: [%.9g, %.9g]", name, lane, got->lower[lane],
				 got->upper[lane]);
		vk_check(run, candidate == !(got->lower[lane] > threshold),
				 "%s lane %d: mask %d, lower %.9g, threshold %.9g", name, lane,
				 candidate, got->lower[lane], threshold);
	}
	vk_check(run, mask == ref_mask && mask <= 0xffff, "%s masks %x, ref %x",
			 name, mask, ref_mask);
}

static void
check_unbounded(VkCheckRun *run, const char *name, const VkScores *scores,
				int lane)
{
	vk_check(run, scores->lower[lane] == -INFINITY &&
			 scores->upper[lane] == INFINITY,
			 "%s lane %d has no bound, but got [%g, %g]", name, lane,
			 scores->lower[lane], scores->upper[lane]);
}

static void
check_flat(VkCheckRun *run, const VkBoundQuery *query, const VkDots *dots,
		   float threshold)
{
	VkFlatAnnotation *annotation = vk_buffer(0, sizeof(*annotation), true, 0);
	VkScores   *got = vk_buffer(1, sizeof(*got), false,
								4 * vk_random_below(run, 16));
	VkScores	want;
	uint32_t	mask;
	uint32_t	ref_mask;

	vk_draw_flat(run, annotation);
	mask = VK_CALL(run, bound_flat) (query, annotation, dots, threshold, got);
	ref_mask = run->ref->bound_flat(query, annotation, dots, threshold, &want);
	vk_check(run, vk_buffer_intact(1, got, sizeof(*got)),
			 "bound_flat writes around its scores");
	compare(run, "bound_flat", mask, got, ref_mask, &want, threshold);
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		float		n = annotation->norm2[lane];

		if ((annotation->error[lane] & 0x7c00) == HALF_INFINITY ||
			!(n == 0 || (n >= 0x1p-100f && n <= 0x1p120f)))
			check_unbounded(run, "bound_flat", got, lane);
	}
}

static void
check_list(VkCheckRun *run, const VkBoundQuery *query, const VkDots *dots,
		   float threshold)
{
	VkListAnnotation *annotation = vk_buffer(0, sizeof(*annotation), true, 0);
	VkScores   *got = vk_buffer(1, sizeof(*got), true, 0);
	VkScores	want;
	float		scale = vk_draw_number(run);
	uint32_t	mask;
	uint32_t	ref_mask;

	vk_draw_list(run, annotation);
	for (int proven = 0; proven < 2; proven++)
	{
		const char *name = proven ? "bound_list_proven" : "bound_list";

		mask = (proven ? VK_CALL(run, bound_list_proven) :
				VK_CALL(run, bound_list)) (query, annotation, scale, dots,
										   threshold, got);
		ref_mask = (proven ? run->ref->bound_list_proven :
					run->ref->bound_list) (query, annotation, scale, dots,
										   threshold, &want);
		compare(run, name, mask, got, ref_mask, &want, threshold);
		for (int lane = 0; lane < VK_LANES; lane++)
			if (annotation->tangent[lane] == UINT16_MAX)
				check_unbounded(run, name, got, lane);
	}
}

static void
check_flat_l1(VkCheckRun *run, const VkBoundQuery *query, const VkDots *dots,
			  float threshold)
{
	VkFlatAnnotation *annotation = vk_buffer(0, sizeof(*annotation), true, 0);
	VkScores   *got = vk_buffer(1, sizeof(*got), false,
								4 * vk_random_below(run, 16));
	VkScores	want;
	uint32_t	mask;
	uint32_t	ref_mask;

	vk_draw_flat(run, annotation);
	mask = VK_CALL(run, bound_flat_l1) (query, annotation, dots, threshold, got);
	ref_mask = run->ref->bound_flat_l1(query, annotation, dots, threshold, &want);
	vk_check(run, vk_buffer_intact(1, got, sizeof(*got)),
			 "bound_flat_l1 writes around its scores");
	compare(run, "bound_flat_l1", mask, got, ref_mask, &want, threshold);
	for (int lane = 0; lane < VK_LANES; lane++)
		if (!isfinite(annotation->norm2[lane]))
			check_unbounded(run, "bound_flat_l1", got, lane);
}

static void
check_list_l1(VkCheckRun *run, const VkBoundQuery *query, const VkDots *dots,
			  float threshold)
{
	VkListAnnotation *annotation = vk_buffer(0, sizeof(*annotation), true, 0);
	VkScores   *got = vk_buffer(1, sizeof(*got), true, 0);
	VkScores	want;
	float		scale = vk_draw_number(run);

	vk_draw_list(run, annotation);
	for (int proven = 0; proven < 2; proven++)
	{
		const char *name = proven ? "bound_list_l1_proven" : "bound_list_l1";
		const uint16_t *errors = proven ? annotation->norm : annotation->a;
		uint32_t	mask = (proven ? VK_CALL(run, bound_list_l1_proven) :
							VK_CALL(run, bound_list_l1)) (query, annotation, scale,
														  dots, threshold, got);
		uint32_t	ref_mask = (proven ? run->ref->bound_list_l1_proven :
								run->ref->bound_list_l1) (query, annotation, scale,
														  dots, threshold, &want);

		compare(run, name, mask, got, ref_mask, &want, threshold);
		for (int lane = 0; lane < VK_LANES; lane++)
			if ((errors[lane] & HALF_INFINITY) == HALF_INFINITY)
				check_unbounded(run, name, got, lane);
	}
}

void
vk_check_lanes(VkCheckRun *run)
{
	for (int trial = 0; trial < 5000 * run->scale; trial++)
	{
		VkBoundQuery query;
		float		threshold = vk_draw_number(run);
		VkDots		dots;

		vk_draw_bound_query(run, &query);
		vk_draw_dots(run, &query, &dots);
		check_flat(run, &query, &dots, threshold);
		check_list(run, &query, &dots, threshold);
		check_flat_l1(run, &query, &dots, threshold);
		check_list_l1(run, &query, &dots, threshold);
	}
}
