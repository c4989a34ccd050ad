/*-------------------------------------------------------------------------
 *
 * amx_tile.h
 *	  Part of amx.c: int8 queries against blocks of integer codes.
 *
 * NOTES
 *	  Packed queries are A tiles of 16 queries by 64 dimensions: those of 16
 *	  queries step by step, then of the next 16.
 *
 *	  Depth is cut into chunks of at most 512 dimensions (one of up to 768), so
 *	  that 32 queries' part of a chunk stays in the first-level cache while all
 *	  blocks go by (1,817 against 1,367 GMAC/s at 1,536).  A panel is
 *	  one chunk of two blocks (four, where there are 16 queries or less): its B
 *	  tiles are expanded once, while the first queries are multiplied, and used
 *	  for all.
 *
 * IDENTIFICATION
 *	  src/kernels/amx_tile.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AMX_TILE_H
#define VK_AMX_TILE_H

/*
 * Queries below which the level below is faster, by format.  Here one query
 * costs as much as 16 (1,120 GMAC/s, from the second-level cache); VNNI has
 * 360 GMAC/s at 8 bits, lookup tables 530 at 1 bit, for any number.
 */
static const int tile_from[VK_INT_FORMATS] = {8, 6, 6, 6};

/* 16 x 16 sums in memory; rows below 16 are those that exist, 0 for none */
typedef struct SumTile
{
	int32_t    *out;
	int			rows;
} SumTile;

/* m queries against blocks, over the same lines of each */
typedef struct TileJob
{
	VkFormat	format;
	const uint8_t *queries;		/* A tile of the first 16 and the first step */
	size_t		group_size;		/* bytes from 16 queries to the next 16 */
	int			m;
	Cursor		start;			/* of the first block */
	int			blocks;
	int			blocks_after;	/* blocks that follow, to read ahead */
	bool		prefetch;
	int			lines;
	bool		add;			/* to what is in out */
	int32_t    *out;
	size_t		out_stride;		/* numbers from one query to the next */
} TileJob;

/* ---------- products ---------- */

/* where the tile of sums is loaded and stored: out, or a whole tile's copy */
static inline uint8_t *
sum_place(const SumTile *sum, uint8_t *copy)
{
	return sum->rows == TILE_ROWS ? (uint8_t *) sum->out : copy;
}

static inline size_t
sum_stride(const SumTile *sum, size_t stride)
{
	return sum->rows == TILE_ROWS ? stride : VK_LINE_SIZE;
}

/* stride in bytes */
static void
load_sums(const SumTile sums[4], size_t stride, uint8_t copies[4][TILE_SIZE])
{
	for (int t = 0; t < 4; t++)
		if (sums[t].rows < TILE_ROWS)
			for (int i = 0; i < sums[t].rows; i++)
				memcpy(copies[t] + VK_LINE_SIZE * i,
					   (uint8_t *) sums[t].out + stride * i, VK_LINE_SIZE);
	TILE_LOAD(0, sum_place(&sums[0], copies[0]), sum_stride(&sums[0], stride));
	TILE_LOAD(1, sum_place(&sums[1], copies[1]), sum_stride(&sums[1], stride));
	TILE_LOAD(2, sum_place(&sums[2], copies[2]), sum_stride(&sums[2], stride));
	TILE_LOAD(3, sum_place(&sums[3], copies[3]), sum_stride(&sums[3], stride));
}

static inline void
zero_sums(void)
{
	TILE_ZERO(0);
	TILE_ZERO(1);
	TILE_ZERO(2);
	TILE_ZERO(3);
}

static void
store_sums(const SumTile sums[4], size_t stride, uint8_t copies[4][TILE_SIZE])
{
	TILE_STORE(0, sum_place(&sums[0], copies[0]), sum_stride(&sums[0], stride));
	TILE_STORE(1, sum_place(&sums[1], copies[1]), sum_stride(&sums[1], stride));
	TILE_STORE(2, sum_place(&sums[2], copies[2]), sum_stride(&sums[2], stride));
	TILE_STORE(3, sum_place(&sums[3], copies[3]), sum_stride(&sums[3], stride));
	for (int t = 0; t < 4; t++)
		if (sums[t].rows < TILE_ROWS)
			for (int i = 0; i < sums[t].rows; i++)
				memcpy((uint8_t *) sums[t].out + stride * i,
					   copies[t] + VK_LINE_SIZE * i, VK_LINE_SIZE);
}

/*
 * The second-level cache gets lines while products of others run.  Inlined by
 * force: gcc 12 drops calls of functions that only prefetch.
 */
static inline __attribute__((always_inline)) void
prefetch_step(const uint8_t *const ahead[4], int blocks, int step, int lines)
{
	for (int b = 0; b < blocks; b++)
		if (ahead[b] != NULL)
		{
			const char *at = (const char *) ahead[b] +
				VK_LINE_SIZE * (size_t) step * lines;

			/* lines are even; half the loop's own instructions */
			for (int line = 0; line < lines; line += 2)
			{
				_mm_prefetch(at + VK_LINE_SIZE * line, _MM_HINT_T1);
				_mm_prefetch(at + VK_LINE_SIZE * (line + 1), _MM_HINT_T1);
			}
		}
}

/* two groups of queries, the second other_group bytes on, and two blocks */
static void
multiply_two(const uint8_t *queries, size_t other_group, Panel *panel,
			 const uint8_t *const ahead[4])
{
	for (int s = 0; s < panel->steps; s++)
	{
		read_panel_ahead(panel, s);
		TILE_LOAD(4, queries, VK_LINE_SIZE);
		TILE_LOAD(6, panel->tile[0][s], VK_LINE_SIZE);
		TILE_LOAD(7, panel->tile[1][s], VK_LINE_SIZE);
		TILE_MULTIPLY(SIGNED_UNSIGNED, 0, 4, 6);
		TILE_MULTIPLY(SIGNED_UNSIGNED, 1, 4, 7);
		TILE_LOAD(5, queries + other_group, VK_LINE_SIZE);
		TILE_MULTIPLY(SIGNED_UNSIGNED, 2, 5, 6);
		TILE_MULTIPLY(SIGNED_UNSIGNED, 3, 5, 7);
		prefetch_step(ahead, 2, s, panel->step_lines);
		queries += TILE_SIZE;
	}
}

/* one group of queries and four blocks */
static void
multiply_four(const uint8_t *queries, Panel *panel, const uint8_t *const ahead[4])
{
	for (int s = 0; s < panel->steps; s++)
	{
		read_panel_ahead(panel, s);
		TILE_LOAD(4, queries, VK_LINE_SIZE);
		TILE_LOAD(5, panel->tile[0][s], VK_LINE_SIZE);
		TILE_LOAD(6, panel->tile[1][s], VK_LINE_SIZE);
		TILE_LOAD(7, panel->tile[2][s], VK_LINE_SIZE);
		TILE_MULTIPLY(SIGNED_UNSIGNED, 0, 4, 5);
		TILE_LOAD(5, panel->tile[3][s], VK_LINE_SIZE);
		TILE_MULTIPLY(SIGNED_UNSIGNED, 1, 4, 6);
		TILE_MULTIPLY(SIGNED_UNSIGNED, 2, 4, 7);
		TILE_MULTIPLY(SIGNED_UNSIGNED, 3, 4, 5);
		prefetch_step(ahead, 4, s, panel->step_lines);
		queries += TILE_SIZE;
	}
}

/* ---------- jobs ---------- */

/* steps of a chunk; chunks of one depth are about equal */
static int
chunk_steps(int steps, int width)
{
	int			chunks = (steps + CHUNK_STEPS - 1) / CHUNK_STEPS;

	if (width == 2 && steps <= WHOLE_STEPS)
		chunks = 1;
	return chunks <= 1 ? steps : (steps + chunks - 1) / chunks;
}

/* addresses from line first_line on of up to blocks blocks from cursor on */
static void
look_ahead(const TileJob *job, Cursor cursor, int first_line, int blocks,
		   const uint8_t *ahead[4])
{
	for (int b = 0; b < blocks; b++)
	{
		Cursor		first = cursor;

		cursor_skip(&first, first_line);
		cursor_enter_run(&first);
		ahead[b] = first.code;
		cursor_skip(&cursor, job->lines);
	}
}

/* one panel, from block b on and at this step of its blocks, for all queries */
static void
multiply_panel(const TileJob *job, Panel *panel, int b, int step,
			   const uint8_t *const ahead[4])
{
	static const uint8_t *const nothing[4] = {NULL};
	const int	width = panel->width;
	const size_t stride = job->out_stride * sizeof(int32_t);
	uint8_t		copies[4][TILE_SIZE] __attribute__((aligned(64)));

	for (int i = 0; i < job->m; i += TILE_ROWS * 4 / width)
	{
		const uint8_t *queries = job->queries + step * (size_t) TILE_SIZE +
			i / TILE_ROWS * job->group_size;
		SumTile		sums[4];

		for (int t = 0; t < 4; t++)
		{
			int			query = i + t / width * TILE_ROWS;
			int			block = t % width;

			sums[t].rows = block < panel->blocks && query < job->m ?
				min_int(job->m - query, TILE_ROWS) : 0;
			sums[t].out = sums[t].rows == 0 ? NULL : job->out +
				query * job->out_stride + VK_LANES * (size_t) (b + block);
		}
		if (job->add || step > 0)
			load_sums(sums, stride, copies);
		else
			zero_sums();
		if (width == 4)
			multiply_four(queries, panel, ahead);
		else
			multiply_two(queries,
						 i + TILE_ROWS < job->m ? job->group_size : 0,
						 panel, i == 0 ? ahead : nothing);
		store_sums(sums, stride, copies);
	}
}

/* the chunk of panel->steps from step on of the blocks from *cursor on */
static void
begin_panel(const TileJob *job, Panel *panel, int blocks, int step,
			Cursor *cursor)
{
	const int	first_line = step * panel->step_lines;

	panel->blocks = min_int(blocks, panel->width);
	panel->read = 0;
	panel->lines = job->lines - first_line;
	for (int b = 0; b < panel->blocks; b++)
	{
		panel->next[b] = *cursor;
		cursor_skip(&panel->next[b], first_line);
		cursor_skip(cursor, job->lines);
	}
}

/* returns the place behind the last block */
static Cursor
run_job(const TileJob *job)
{
	const int	lines = step_lines(job->format);
	const int	depth = (job->lines + lines - 1) / lines;
	Cursor		cursor = job->start;
	Panel		panel;
	int			chunk;
	int			step = 0;

	panel.expand = expand[job->format];
	panel.step_lines = lines;
	panel.width = job->m <= TILE_ROWS ? 4 : 2;
	chunk = chunk_steps(depth, panel.width);
	do
	{
		panel.steps = min_int(chunk, depth - step);
		cursor = job->start;
		for (int b = 0; b < job->blocks; b += panel.width)
		{
			int			left = job->blocks - b;
			int			after = left - panel.width;
			const uint8_t *ahead[4] = {NULL};

			begin_panel(job, &panel, left, step, &cursor);
			if (job->prefetch && after > 0)
				look_ahead(job, cursor, step * lines, min_int(after, panel.width),
						   ahead);
			else if (job->prefetch && step + panel.steps < depth)
				look_ahead(job, job->start, (step + panel.steps) * lines,
						   min_int(job->blocks, panel.width), ahead);
			else if (job->prefetch)
				look_ahead(job, cursor, 0,
						   min_int(job->blocks_after, panel.width), ahead);
			multiply_panel(job, &panel, b, step, ahead);
		}
		step += panel.steps;
	} while (step < depth);
	return cursor;
}

/* ---------- slots ---------- */

static void
pack_queries(VkFormat format, const int8_t *queries, size_t query_stride, int m,
			 int dim, void *packed)
{
	uint8_t    *out = packed;

	if (m < tile_from[format])
	{
		lower.pack_tile[format] (queries, query_stride, m, dim, packed);
		return;
	}
	for (int group = 0; group < m; group += TILE_ROWS)
		for (int first = 0; first < dim; first += 64)
			for (int i = group; i < group + TILE_ROWS; i++)
			{
				__m512i		part = _mm512_setzero_si512();

				if (i < m)
					part = _mm512_maskz_loadu_epi8(first_bytes(dim - first),
												   queries + i * query_stride + first);
				_mm512_store_si512(out, part);
				out += 64;
			}
}

static TileJob
new_job(VkFormat format, const void *packed, int m, int dim,
		const VkLineRun *runs, int blocks, int first_line, int lines)
{
	TileJob		job;

	job.format = format;
	job.queries = (const uint8_t *) packed +
		first_line / step_lines(format) * (size_t) TILE_SIZE;
	job.group_size = (dim + 63) / 64 * (size_t) TILE_SIZE;
	job.m = m;
	job.start.code = NULL;
	job.start.left = 0;
	job.start.runs = runs;
	job.blocks = blocks;
	job.blocks_after = 0;
	job.prefetch = (size_t) blocks * lines * VK_LINE_SIZE > PREFETCH_ABOVE;
	job.lines = lines;
	job.add = first_line != 0;
	job.out = NULL;
	job.out_stride = VK_LANES * (size_t) blocks;
	return job;
}

static void
tile_sums(VkFormat format, const void *packed, int m, int dim,
		  const VkLineRun *runs, int blocks, int first_line, int lines,
		  int32_t *out)
{
	TileJob		job;

	if (m < tile_from[format])
	{
		lower.tile[format] (packed, m, dim, runs, blocks, first_line, lines, out);
		return;
	}
	job = new_job(format, packed, m, dim, runs, blocks, first_line, lines);
	job.out = out;
	TILES_BEGIN();
	run_job(&job);
	TILES_END();
}

/* queries and lines of 16 sums that a screen works on: a third of the cache */
#define SCREEN_QUERIES	128
#define SCREEN_LINES	256

static void
tile_masks(VkFormat format, const void *packed, int m, int dim,
		   const VkLineRun *runs, int blocks, const VkScreenRows *rows,
		   const VkScreenQuery *queries, uint16_t *masks)
{
	int32_t		sums[SCREEN_LINES * VK_LANES] __attribute__((aligned(64)));

	if (m < tile_from[format])
	{
		lower.tile_screen[format] (packed, m, dim, runs, blocks, rows, queries,
								   masks);
		return;
	}
	TILES_BEGIN();
	for (int first = 0; first < m; first += SCREEN_QUERIES)
	{
		TileJob		job = new_job(format, packed, min_int(m - first, SCREEN_QUERIES),
								  dim, runs, blocks, 0,
								  vk_format_lines(format, dim));
		/* an even number: 2 at least, 16 for one group of queries */
		int			set = SCREEN_LINES / (int) VK_ROUND_UP(job.m, TILE_ROWS) & ~1;

		job.queries += first / TILE_ROWS * job.group_size;
		job.out = sums;
		for (int b = 0; b < blocks; b += set)
		{
			job.blocks = min_int(set, blocks - b);
			job.blocks_after = blocks - b - job.blocks;
			job.out_stride = VK_LANES * (size_t) job.blocks;
			job.start = run_job(&job);
			for (int i = 0; i < job.m; i++)
				lower.screen(sums + i * job.out_stride, rows + b, job.blocks,
							 &queries[first + i],
							 masks + (first + i) * (size_t) blocks + b);
		}
	}
	TILES_END();
}

/* the slots of one format */
typedef struct TileSlots
{
	void		(*pack) (const int8_t *queries, size_t query_stride, int m,
						 int dim, void *packed);
	void		(*tile) (const void *packed, int m, int dim,
						 const VkLineRun *runs, int blocks, int first_line,
						 int lines, int32_t *out);
	void		(*screen) (const void *packed, int m, int dim,
						   const VkLineRun *runs, int blocks,
						   const VkScreenRows *rows,
						   const VkScreenQuery *queries, uint16_t *masks);
} TileSlots;

#define DEFINE_TILE_SLOTS(name, format) \
static void \
pack_tile_##name(const int8_t *queries, size_t query_stride, int m, int dim, \
				 void *packed) \
{ \
	pack_queries(format, queries, query_stride, m, dim, packed); \
} \
static void \
tile_##name(const void *packed, int m, int dim, const VkLineRun *runs, \
			int blocks, int first_line, int lines, int32_t *out) \
{ \
	tile_sums(format, packed, m, dim, runs, blocks, first_line, lines, out); \
} \
static void \
tile_screen_##name(const void *packed, int m, int dim, const VkLineRun *runs, \
				   int blocks, const VkScreenRows *rows, \
				   const VkScreenQuery *queries, uint16_t *masks) \
{ \
	tile_masks(format, packed, m, dim, runs, blocks, rows, queries, masks); \
}

DEFINE_TILE_SLOTS(b1, VK_FORMAT_B1)
DEFINE_TILE_SLOTS(b2, VK_FORMAT_B2)
DEFINE_TILE_SLOTS(b4, VK_FORMAT_B4)
DEFINE_TILE_SLOTS(b8, VK_FORMAT_B8)

static const TileSlots tile_slots[VK_INT_FORMATS] = {
	{pack_tile_b1, tile_b1, tile_screen_b1},
	{pack_tile_b2, tile_b2, tile_screen_b2},
	{pack_tile_b4, tile_b4, tile_screen_b4},
	{pack_tile_b8, tile_b8, tile_screen_b8},
};

#endif							/* VK_AMX_TILE_H */
