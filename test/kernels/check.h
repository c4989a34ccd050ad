/*-------------------------------------------------------------------------
 *
 * check.h
 *	  What the parts of vkcheck share: groups, buffers, random numbers, truth.
 *
 * IDENTIFICATION
 *	  test/kernels/check.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_CHECK_H
#define VK_CHECK_H

#include "kernels/kernels.h"

/* one run of a group: a table against the reference and against the truth */
typedef struct VkCheckRun
{
	const char *group;
	const char *isa;			/* "avx512", "neon without dotprod", ... */
	const VkKernels *kernels;	/* under test; vk_kernels points at it too */
	const VkKernels *ref;
	uint64_t	features;		/* of the CPU, as the table was filled for */
	uint64_t	seed;
	double		scale;			/* amount of random work, 1 by default */
	bool		slow;			/* emulated: less of it */
	uint64_t	random;			/* state, seeded from seed for each run */
	long		passed;
	long		failed;
} VkCheckRun;

typedef struct VkCheckGroup
{
	const char *name;
	void		(*run) (VkCheckRun *run);
	bool		whole;			/* more than kernels: run for full tables only */
	bool		amx;			/* has slots that AMX fills: run when emulated */
} VkCheckGroup;

extern void vk_check_table(VkCheckRun *run);	/* check_table.c */
extern void vk_check_pairs(VkCheckRun *run);	/* check_pair.c */
extern void vk_check_bits(VkCheckRun *run); /* check_bits.c */
extern void vk_check_scans(VkCheckRun *run);	/* check_scan.c */
extern void vk_check_floats(VkCheckRun *run);	/* check_scan_float.c */
extern void vk_check_tiles(VkCheckRun *run);	/* check_tile.c */
extern void vk_check_dense(VkCheckRun *run);	/* check_dense.c */
extern void vk_check_maxsim(VkCheckRun *run);	/* check_maxsim.c */
extern void vk_check_vectors(VkCheckRun *run);	/* check_vector.c */
extern void vk_check_convert(VkCheckRun *run);	/* check_convert.c */
extern void vk_check_lanes(VkCheckRun *run);	/* check_bound.c */
extern void vk_check_screens(VkCheckRun *run);	/* check_screen.c */
extern void vk_attack_bounds(VkCheckRun *run);	/* attack.c */
extern void vk_attack_quant(VkCheckRun *run);	/* attack_quant.c */
extern void vk_attack_moved(VkCheckRun *run);	/* attack_moved.c */

/*
 * Tables under test, in rounds of one process, so that their times compare.
 */
typedef struct VkBenchTable
{
	const char *isa;
	const VkKernels *kernels;
} VkBenchTable;

extern void vk_bench(const VkBenchTable *tables, int count,
					 const char *filter);	/* bench.c */

/*
 * amx_emulate.c: catch the SIGILL of AMX instructions from now on and do their
 * work, handing every other SIGILL to the handler that was there before.
 * False where that cannot be done.
 */
extern bool vk_amx_emulate_install(void);

/* count one check; a failure prints its words and how to repeat it */
extern void vk_check(VkCheckRun *run, bool passed, const char *format,...)
			__attribute__((format(printf, 3, 4)));

/* ---------- what runs (crash.c) ---------- */

#define VK_SLOTS_MAX	128
#define VK_SLOT_NONE	(-1)

extern volatile int vk_running_slot;
extern bool vk_slot_ran[VK_SLOTS_MAX];	/* since the table was last changed */

static inline void
vk_calling(size_t offset)
{
	vk_running_slot = (int) (offset / sizeof(void (*) (void)));
	vk_slot_ran[vk_running_slot] = true;
}

/*
 * The kernel under test of a slot, to be called at once: a crash then names
 * the slot, and the summary knows that it ran.
 */
#define VK_CALL(run, member) \
	(vk_calling((size_t) ((const char *) &(run)->kernels->member - \
						  (const char *) (run)->kernels)), \
	 (run)->kernels->member)

extern void vk_catch_crashes(void);
/* run a group; a crash in it counts as a failure and ends it */
extern void vk_run_group(const VkCheckGroup *group, VkCheckRun *run);

/* ---------- random numbers and buffers (support.c) ---------- */

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
#define VK_BUFFER_SIZE	(16 << 20)
extern void *vk_buffer(int buffer, size_t size, bool at_end, int offset);
/* either of the two, at a random multiple of align */
extern void *vk_place(VkCheckRun *run, int buffer, size_t size, int align);
/* whether the canary bytes around are as they were */
extern bool vk_buffer_intact(int buffer, const void *start, size_t size);

/* dimensions that every group walks: 0 .. 130 and around the usual sizes */
extern const int vk_check_dims[];
extern const int vk_check_dim_count;
/* every one of them, or every few where work is to be saved; which, by seed */
extern int	vk_check_first(const VkCheckRun *run);
extern int	vk_check_step(const VkCheckRun *run);

/* hostile float vectors */
#define VK_PATTERNS		10
#define VK_PATTERN_FINITE	8	/* patterns below this are finite */
extern const char *const vk_pattern_names[VK_PATTERNS];
extern void vk_fill_pattern(VkCheckRun *run, int pattern, float *v, int n);

/* the same of any element; with int8, patterns are corners of its range */
extern const char *const vk_element_names[VK_ELEMENTS];
extern void vk_fill_elements(VkCheckRun *run, VkElement element, int pattern,
							 void *v, int n);
/* two vectors whose products nearly cancel; floats and 16-bit elements */
extern void vk_fill_cancelling(VkCheckRun *run, VkElement element, void *a,
							   void *b, int n);

/* ---------- truth (truth.c): shares no code with any kernel ---------- */

/* a sum carried to about 106 bits */
typedef struct VkWide
{
	double		high;
	double		low;
} VkWide;

extern void vk_wide_add(VkWide *sum, double term);
extern void vk_wide_add_product(VkWide *sum, double a, double b);

/* elements as doubles, exactly */
extern void vk_widen(VkElement element, const void *v, int n, double *out);

/* error of n roundings to float, relative: n u / (1 - n u), u = 2^-24 */
extern double vk_rounding(double n);

/* u of one dimension of one lane; line(g) is where the block's line g lies */
static inline int
vk_stored(const uint8_t *line, int bits, int lane, int dim)
{
	int			field = dim % (32 / bits) / 4;

	return (line[lane * 4 + dim % 4] >> (field * bits)) & ((1 << bits) - 1);
}

/* the screen of one lane, by the words of kernels.h */
extern float vk_screen_lower(const VkScreenQuery *query,
							 const VkScreenRows *rows, int lane, int32_t dot);

extern bool vk_same_f32(float a, float b);	/* bits; any NaN equals any NaN */
extern bool vk_same_f64(double a, double b);
extern bool vk_same_bits(double a, double b);	/* every bit, of NaN too */
extern bool vk_same_floats(const float *a, const float *b, int n);

/* ---------- hostile annotations and queries (check_bound.c) ---------- */

/* mostly ordinary, at times hostile */
extern float vk_draw_number(VkCheckRun *run);
extern void vk_draw_bound_query(VkCheckRun *run, VkBoundQuery *query);
extern void vk_draw_flat(VkCheckRun *run, VkFlatAnnotation *annotation);
extern void vk_draw_list(VkCheckRun *run, VkListAnnotation *annotation);
extern void vk_draw_dots(VkCheckRun *run, const VkBoundQuery *query,
						 VkDots *dots);

/* ---------- pages (pages.c) ---------- */

#define VK_PAGE_SIZE	8192
#define VK_PAGE_HEAD	64		/* bytes before the first line */
#define VK_PAGE_LINES	127

/* where the next block goes; page images follow each other in memory */
typedef struct VkPageCursor
{
	uint8_t    *pages;
	const int  *order;			/* of pages; NULL: as they lie */
	int			page;
	int			line;
} VkPageCursor;

/*
 * Lay out or find the next block: head_lines on one page, then lines that run
 * on.  Returns the number of runs written.
 */
extern int	vk_page_block(VkPageCursor *cursor, int head_lines, int lines,
						  VkLineRun *runs);
/* pages that blocks take */
extern int	vk_page_count(int blocks, int head_lines, int lines);
/* runs that one block takes at most */
#define VK_PAGE_RUNS(lines)	((lines) / VK_PAGE_LINES + 2)

#endif							/* VK_CHECK_H */
