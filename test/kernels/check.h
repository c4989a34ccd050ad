/*-------------------------------------------------------------------------
 *
 * check.h
 *	  What the parts of vkcheck share: groups, buffers, random numbers.
 *
 * IDENTIFICATION
 *	  test/kernels/check.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_CHECK_H
#define VK_CHECK_H

#include "kernels/kernels.h"

/* one run of a group: an ISA's whole table against the reference */
typedef struct VkCheckRun
{
	const char *group;
	const char *isa;
	const VkKernels *kernels;	/* under test; vk_kernels points at it too */
	const VkKernels *ref;
	uint64_t	seed;
	double		scale;			/* amount of random work, 1 by default */
	uint64_t	random;			/* state, seeded from seed for each run */
	long		passed;
	long		failed;
} VkCheckRun;

typedef struct VkCheckGroup
{
	const char *name;
	void		(*run) (VkCheckRun *run);
} VkCheckGroup;

extern void vk_check_pairs(VkCheckRun *run);	/* check_pair.c */
extern void vk_check_scans(VkCheckRun *run);	/* check_scan.c */
extern void vk_check_tiles(VkCheckRun *run);
extern void vk_check_vectors(VkCheckRun *run);	/* check_vector.c */
extern void vk_check_lanes(VkCheckRun *run);	/* check_bound.c */
extern void vk_attack_bounds(VkCheckRun *run);	/* attack.c */
extern void vk_attack_quant(VkCheckRun *run);	/* attack_quant.c */

extern void vk_bench(const VkKernels *kernels, const char *isa,
					 const char *filter);	/* bench.c */

/* count one check; a failure prints its words, the group, ISA and seed */
extern void vk_check(VkCheckRun *run, bool passed, const char *format,...)
			__attribute__((format(printf, 3, 4)));

extern uint64_t vk_random(VkCheckRun *run);
extern int	vk_random_below(VkCheckRun *run, int n);
extern double vk_random_unit(VkCheckRun *run);	/* [0, 1) */
extern double vk_random_normal(VkCheckRun *run);

/*
 * Buffers between inaccessible pages.  Buffer number `buffer` is reused by
 * every call that names it: filled with canary bytes, and then size bytes lie
 * at its very end (so that reading past them faults) or, where at_end is
 * false, `offset` bytes after its very start.
 */
#define VK_BUFFERS		8
#define VK_BUFFER_SIZE	(1 << 20)
extern void *vk_buffer(int buffer, size_t size, bool at_end, int offset);
/* whether the canary bytes around are as they were */
extern bool vk_buffer_intact(int buffer, const void *start, size_t size);

/* dimensions that every group walks: 0 .. 130 and around the usual sizes */
extern const int vk_check_dims[];
extern const int vk_check_dim_count;

/* hostile float vectors */
#define VK_PATTERNS		10
#define VK_PATTERN_FINITE	8	/* patterns below this are finite */
extern const char *const vk_pattern_names[VK_PATTERNS];
extern void vk_fill_pattern(VkCheckRun *run, int pattern, float *v, int n);

/* a sum carried to about 106 bits */
typedef struct VkWide
{
	double		high;
	double		low;
} VkWide;

extern void vk_wide_add(VkWide *sum, double term);
extern void vk_wide_add_product(VkWide *sum, double a, double b);

extern bool vk_same_f32(float a, float b);	/* bits; any NaN equals any NaN */
extern bool vk_same_f64(double a, double b);

#endif							/* VK_CHECK_H */
