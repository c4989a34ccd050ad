/*-------------------------------------------------------------------------
 *
 * attack.h
 *	  Cases that bounds and screens are attacked with.
 *
 * IDENTIFICATION
 *	  test/kernels/attack.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_ATTACK_H
#define VK_ATTACK_H

#include "quant/quant.h"
#include "check.h"

typedef struct VkAttackSetting
{
	int			dim;
	VkMetric	metric;
	VkFormat	format;
	int			refine_bits;
	bool		flat;
} VkAttackSetting;

/* one block of rows and all that is needed to bound them */
typedef struct VkAttackCase
{
	VkAttackSetting		setting;
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
} VkAttackCase;

extern void vk_draw_gaussian(VkCheckRun *run, float *x, int dim,
							 double scale);
extern void vk_draw_vector(VkCheckRun *run, float *x, int dim, double scale);
/* x = base + t * step, in float */
extern void vk_move_vector(float *x, const float *base, const float *step,
						   double t, int dim);

extern void vk_case_alloc(VkAttackCase *c, const VkAttackSetting *setting);
extern void vk_case_draw(VkAttackCase *c, VkCheckRun *run, double scale);
extern void vk_case_free(VkAttackCase *c);

#endif							/* VK_ATTACK_H */
