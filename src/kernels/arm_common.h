/*-------------------------------------------------------------------------
 *
 * arm_common.h
 *	  What neon.c and sve.c share: packed int8 queries, ways through tiles.
 *
 * NOTES
 *	  A tile goes block by block: an ISA adds the products of one block's lines
 *	  and up to DOTS_QUERIES queries (AddBlock) to dots in the first-level
 *	  cache; here they are put into the matrix or screened.  Queries are packed
 *	  in groups whose size the ISA chooses (a divisor of DOTS_QUERIES); a group
 *	  may hold up to DOTS_SPARE queries of zeros at its end, and dots have room
 *	  for them.
 *
 * IDENTIFICATION
 *	  src/kernels/arm_common.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_ARM_COMMON_H
#define VK_ARM_COMMON_H

#include <string.h>

#include "kernels.h"

#define DOTS_QUERIES	96
#define DOTS_SPARE		8
#define ROW_QUERY		64		/* where the query of an 8-bit row begins */

static inline int32_t
load_four(const void *p)
{
	int32_t		four;

	memcpy(&four, p, sizeof(four));
	return four;
}

static inline int32_t
sum_i8(const int8_t *p, int n)
{
	int32_t		sum = 0;

	for (int i = 0; i < n; i++)
		sum += p[i];
	return sum;
}

/* the greater; NaN, once met, stays */
static inline float
greater_or_nan(float greatest, float x)
{
	return x > greatest || x != x ? (greatest == greatest ? x : greatest) :
		greatest;
}

/* ---------- packed queries ---------- */

static inline void
pack_plain(const int8_t *query, int dim, void *packed)
{
	const size_t padded = VK_ROUND_UP(dim, 64);

	memcpy(packed, query, dim);
	memset((int8_t *) packed + dim, 0, padded - dim);
}

/* the sum, for kernels that flip the top bit of codes, and the query */
static inline void
pack_row_b8(const int8_t *query, int dim, void *packed)
{
	const int32_t sum = sum_i8(query, dim);

	memcpy(packed, &sum, sizeof(sum));
	pack_plain(query, dim, (int8_t *) packed + ROW_QUERY);
}

/* packed queries of a tile, of depth dimensions each, padded */
typedef struct TileQueries
{
	const int8_t *packed;
	int			m;
	size_t		depth;
} TileQueries;

static inline TileQueries
tile_queries(const void *packed, int m, int dim)
{
	TileQueries queries = {packed, m, VK_ROUND_UP(dim, VK_TILE_STEP)};

	return queries;
}

/*
 * A group of rows queries, of which those from m on are zeros: for each unit of
 * dimensions (4 or 8) that of each query.
 */
static inline void
pack_group(const int8_t *queries, size_t query_stride, int m, int rows,
		   int dim, int unit, int8_t *group)
{
	memset(group, 0, rows * VK_ROUND_UP(dim, VK_TILE_STEP));
	for (int i = 0; i < rows && i < m; i++)
		for (int k = 0; k < dim; k += unit)
			memcpy(group + (size_t) k * rows + unit * i,
				   queries + i * query_stride + k,
				   dim - k < unit ? dim - k : unit);
}

/*
 * Behind the groups: for each query depth / VK_TILE_STEP + 1 sums, of its first
 * 0, 64, 128, ... dimensions.
 */
static inline size_t
step_sums_at(int m, size_t depth)
{
	return VK_ROUND_UP(m, VK_LANES) * depth;
}

static inline void
pack_step_sums(const int8_t *queries, size_t query_stride, int m, int dim,
			   int8_t *packed)
{
	const size_t depth = VK_ROUND_UP(dim, VK_TILE_STEP);
	int32_t    *sums = (int32_t *) (packed + step_sums_at(m, depth));

	for (int i = 0; i < m; i++)
	{
		const int8_t *query = queries + i * query_stride;
		int32_t		sum = 0;

		*sums++ = 0;
		for (int k = 0; k < dim; k += VK_TILE_STEP)
		{
			sum += sum_i8(query + k, dim - k < VK_TILE_STEP ? dim - k : VK_TILE_STEP);
			*sums++ = sum;
		}
	}
}

/* what flipped 8-bit codes lack: 128 times the sum of the query's part */
static inline void
add_missing(const TileQueries *queries, int first, int last, int first_line,
			int lines, int32_t *dots)
{
	const int	step_lines = VK_TILE_STEP / 4;
	const size_t steps = queries->depth / VK_TILE_STEP + 1;
	const int32_t *sums = (const int32_t *) (queries->packed +
											 step_sums_at(queries->m, queries->depth));
	const int	from = first_line / step_lines;
	const int	to = (first_line + lines + step_lines - 1) / step_lines;

	for (int i = first; i < last; i++)
		for (int lane = 0; lane < VK_LANES; lane++)
			dots[(i - first) * VK_LANES + lane] += 128 *
				(sums[i * steps + to] - sums[i * steps + from]);
}

/* ---------- tiles ---------- */

/* where one is in the lines of a tile's blocks */
typedef struct LineCursor
{
	const VkLineRun *run;
	int			done;			/* lines of it */
} LineCursor;

/* the next lines, at most so many; returns how many lie at *code */
static inline int
next_lines(LineCursor *cursor, int lines, const uint8_t **code)
{
	const int	left = cursor->run->lines - cursor->done;

	*code = cursor->run->code + (size_t) cursor->done * VK_LINE_SIZE;
	if (lines < left)
	{
		cursor->done += lines;
		return lines;
	}
	cursor->run++;
	cursor->done = 0;
	return left;
}

/*
 * dots += queries first .. last - 1, beginning with a group, with the next lines
 * of a block, which are the block's from first_line on.
 */
typedef void (*AddBlock) (const TileQueries *queries, int first, int last,
						  LineCursor *cursor, int first_line, int lines,
						  int32_t *dots);

/* the last of the queries whose dots are kept together with those of first */
static inline int
dots_end(int m, int first)
{
	return m - first < DOTS_QUERIES ? m : first + DOTS_QUERIES;
}

static inline void
put_dots(const int32_t *dots, int m, bool add, int32_t *out, size_t out_stride)
{
	for (int i = 0; i < m; i++)
		for (int lane = 0; lane < VK_LANES; lane++)
			out[i * out_stride + lane] = dots[i * VK_LANES + lane] +
				(add ? out[i * out_stride + lane] : 0);
}

static inline void
tile_by_blocks(AddBlock add_block, const void *packed, int m, int dim,
			   const VkLineRun *runs, int blocks, int first_line, int lines,
			   int32_t *out)
{
	const TileQueries queries = tile_queries(packed, m, dim);
	LineCursor	start = {runs, 0};

	for (int block = 0; block < blocks; block++)
	{
		LineCursor	cursor = start;

		for (int first = 0; first < m; first += DOTS_QUERIES)
		{
			const int	last = dots_end(m, first);
			int32_t		dots[VK_LANES * (DOTS_QUERIES + DOTS_SPARE)];

			cursor = start;
			memset(dots, 0, sizeof(int32_t) * VK_LANES * (last - first + DOTS_SPARE));
			add_block(&queries, first, last, &cursor, first_line, lines, dots);
			put_dots(dots, last - first, first_line != 0,
					 out + ((size_t) first * blocks + block) * VK_LANES,
					 (size_t) blocks * VK_LANES);
		}
		start = cursor;
	}
}

/* vk_kernels->screen */
typedef void (*Screen) (const int32_t *dots, const VkScreenRows *rows, int blocks,
						const VkScreenQuery *query, uint16_t *masks);

static inline void
screen_by_blocks(AddBlock add_block, Screen screen, const void *packed, int m,
				 int dim, int lines, const VkLineRun *runs, int blocks,
				 const VkScreenRows *rows, const VkScreenQuery *screens,
				 uint16_t *masks)
{
	const TileQueries queries = tile_queries(packed, m, dim);
	LineCursor	start = {runs, 0};

	for (int block = 0; block < blocks; block++)
	{
		LineCursor	cursor = start;

		for (int first = 0; first < m; first += DOTS_QUERIES)
		{
			const int	last = dots_end(m, first);
			int32_t		dots[VK_LANES * (DOTS_QUERIES + DOTS_SPARE)];

			cursor = start;
			memset(dots, 0, sizeof(int32_t) * VK_LANES * (last - first + DOTS_SPARE));
			add_block(&queries, first, last, &cursor, 0, lines, dots);
			for (int i = first; i < last; i++)
				screen(dots + (i - first) * VK_LANES, rows + block, 1,
					   screens + i, masks + (size_t) i * blocks + block);
		}
		start = cursor;
	}
}

/* both kernels of one format; add_block is an AddBlock */
#define DEFINE_TILE_KERNELS(tile, tile_screen, add_block, bits, screen) \
static void \
tile(const void *packed, int m, int dim, const VkLineRun *runs, int blocks, \
	 int first_line, int lines, int32_t *out) \
{ \
	tile_by_blocks(add_block, packed, m, dim, runs, blocks, first_line, lines, \
				   out); \
} \
\
static void \
tile_screen(const void *packed, int m, int dim, const VkLineRun *runs, \
			int blocks, const VkScreenRows *rows, \
			const VkScreenQuery *queries, uint16_t *masks) \
{ \
	screen_by_blocks(add_block, screen, packed, m, dim, \
					 (dim + 32 / (bits) - 1) / (32 / (bits)), runs, blocks, rows, \
					 queries, masks); \
}

#endif							/* VK_ARM_COMMON_H */
