/*-------------------------------------------------------------------------
 *
 * template_tile.h
 *	  The way of tile kernels through runs of lines, for every ISA.
 *
 * NOTES
 *	  An ISA computes a few blocks against all queries at a time (TileBlocks);
 *	  here its blocks are found and its dots are put or screened.  The includer
 *	  defines screen beforehand.
 *
 * IDENTIFICATION
 *	  src/kernels/template_tile.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_TEMPLATE_TILE_H
#define VK_TEMPLATE_TILE_H

#include <string.h>

#include "kernels.h"

#define BLOCKS_MAX		4		/* that an ISA takes at a time */
#define SCREEN_QUERIES	64		/* whose dots tile_screen holds at a time */

/* a place in a block */
typedef struct BlockCursor
{
	const VkLineRun *run;
	int			done;			/* lines of the run */
} BlockCursor;

/* cursors for the next count blocks; returns the run after them */
static inline const VkLineRun *
start_blocks(const VkLineRun *run, int count, int lines, BlockCursor *cursors)
{
	for (int block = 0; block < count; block++)
	{
		cursors[block].run = run;
		cursors[block].done = 0;
		for (int line = 0; line < lines; run++)
			line += run->lines;
	}
	return run;
}

/*
 * The lines, at most limit, that all blocks have in sequence; code gets where
 * they begin, the cursors move behind them.
 */
static inline int
next_lines(BlockCursor *cursors, int count, int limit, const uint8_t **code)
{
	for (int block = 0; block < count; block++)
	{
		BlockCursor *cursor = cursors + block;

		if (cursor->done == cursor->run->lines)
		{
			cursor->run++;
			cursor->done = 0;
		}
		code[block] = cursor->run->code + (size_t) VK_LINE_SIZE * cursor->done;
		if (cursor->run->lines - cursor->done < limit)
			limit = cursor->run->lines - cursor->done;
	}
	for (int block = 0; block < count; block++)
		cursors[block].done += limit;
	return limit;
}

/* what every part of a tile gets: m packed queries, blocks, and the dots */
typedef struct Tile
{
	const void *packed;
	int			m;
	int			dim;
	int			first_line;
	int			lines;
	int32_t    *out;
	size_t		out_stride;
} Tile;

/* the dots of count blocks, whose cursors are given, with all queries; sums are
 * added to out where first_line is not 0 */
typedef void (*TileBlocks) (const Tile *tile, BlockCursor *cursors, int blocks);

static void
tile_codes(TileBlocks tile_blocks, int width, const void *packed, int m,
		   int dim, const VkLineRun *runs, int blocks, int first_line,
		   int lines, int32_t *out)
{
	Tile		tile = {packed, m, dim, first_line, lines, out,
	(size_t) VK_LANES * blocks};
	BlockCursor cursors[BLOCKS_MAX];

	if (lines == 0 && first_line == 0)
		memset(out, 0, tile.out_stride * m * sizeof(*out));
	for (int b = 0; b < blocks; b += width)
	{
		int			count = blocks - b < width ? blocks - b : width;

		runs = start_blocks(runs, count, lines, cursors);
		tile_blocks(&tile, cursors, count);
		tile.out += VK_LANES * width;
	}
}

static void
tile_and_screen(TileBlocks tile_blocks, int width, size_t query_size,
				VkFormat format, const void *packed, int m, int dim,
				const VkLineRun *runs, int blocks, const VkScreenRows *rows,
				const VkScreenQuery *queries, uint16_t *masks)
{
	int32_t		dots[SCREEN_QUERIES * VK_LANES * BLOCKS_MAX];
	Tile		tile = {packed, m, dim, 0, vk_format_lines(format, dim), dots,
	(size_t) VK_LANES * width};

	if (tile.lines == 0)
		memset(dots, 0, sizeof(dots));
	for (int b = 0; b < blocks; b += width)
	{
		int			count = blocks - b < width ? blocks - b : width;
		const VkLineRun *next = runs;

		for (int i = 0; i < m; i += SCREEN_QUERIES)
		{
			BlockCursor cursors[BLOCKS_MAX];

			next = start_blocks(runs, count, tile.lines, cursors);
			tile.packed = (const uint8_t *) packed + i * query_size;
			tile.m = m - i < SCREEN_QUERIES ? m - i : SCREEN_QUERIES;
			tile_blocks(&tile, cursors, count);
			for (int q = 0; q < tile.m; q++)
				screen(dots + q * tile.out_stride, rows + b, count,
					   queries + i + q, masks + (size_t) (i + q) * blocks + b);
		}
		runs = next;
	}
}

#endif							/* VK_TEMPLATE_TILE_H */
