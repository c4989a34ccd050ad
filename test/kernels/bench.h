/*-------------------------------------------------------------------------
 *
 * bench.h
 *	  What the parts of the benchmark share, and what bench/kernels.py calls.
 *
 * IDENTIFICATION
 *	  test/kernels/bench.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_BENCH_H
#define VK_BENCH_H

#include "check.h"

#define VK_BENCH_QUERIES	32	/* of the slots that take many */
#define VK_BENCH_HEAD_LINES 4	/* of a block on a page */

typedef struct VkBenchCase VkBenchCase;

/* what lies in a row: bits a dimension, and which numbers they are */
typedef struct VkBenchData
{
	int			bits;			/* 0: no rows, work is the same for all sizes */
	VkElement	element;		/* VK_I8: any bytes */
} VkBenchData;

/* slots that are measured the same way: an array of VkKernels */
typedef struct VkBenchFamily
{
	size_t		offset;			/* of the array in VkKernels */
	int			count;
	const VkBenchData *data;	/* by index in the array */
	void		(*prepare) (VkBenchCase *c);	/* NULL: nothing to pack */
	void		(*run) (VkBenchCase *c);	/* once over all rows */
	VkElement	query;			/* elements of queries; VK_ELEMENTS: as the rows */
	bool		many;			/* takes several queries */
	bool		blocks;			/* rows lie in blocks, so pages are possible */
	bool		any_dim;		/* the dimension does not matter */
} VkBenchFamily;

extern const VkBenchFamily vk_bench_families[];	/* bench_slots.c */
extern const int vk_bench_family_count;

/* one slot of one table, over rows in memory of the caller's */
struct VkBenchCase
{
	VkKernels	kernels;
	const VkBenchFamily *family;
	int			index;			/* in the family's array */
	int			dim;
	int			queries;
	int			rows;			/* a multiple of 16; the memory may hold more */
	int			lines;			/* of a block */
	uint8_t    *data;
	int			pages;
	int		   *order;			/* of pages; NULL: blocks lie flat */
	void	   *query;			/* queries x dim elements */
	void	   *packed;
	void	   *out;
	VkScreenRows *screen_rows;	/* of the blocks of one call */
	VkScreenQuery *screen_queries;
	double		sink;			/* results end here, so that none is dropped */
};

/* ---------- bench_case.c; plain types only, for ctypes ---------- */

/* number of the slot, -1: no such slot, or none that is measured */
extern int	vk_bench_slot(const char *name);
extern size_t vk_bench_memory(int slot, int dim, int rows, int pages);
/* numbers of the slot's kind, none of them wild */
extern void vk_bench_fill(int slot, void *memory, size_t size);
/* memory: vk_bench_memory bytes, aligned to 64; isa may be "auto"; NULL: it is
 * not here */
extern VkBenchCase *vk_bench_open(const char *isa, int slot, int dim, int rows,
								  int queries, int pages, void *memory);
/* the same of a table that is filled already */
extern VkBenchCase *vk_bench_open_table(const VkKernels *kernels, int slot,
										int dim, int rows, int queries,
										int pages, void *memory);
extern void vk_bench_run(VkBenchCase *c);
extern void vk_bench_close(VkBenchCase *c);
/* read memory by so many streams at once, prefetching so many bytes ahead in each;
 * returns nothing of use */
extern uint64_t vk_bench_read(const void *memory, size_t size, int ahead,
							  int streams);

/* memory that a row takes, blocks and pages aside */
extern double vk_bench_row_size(int slot, int dim);
extern const VkBenchFamily *vk_bench_family(int slot, int *index);

#endif							/* VK_BENCH_H */
