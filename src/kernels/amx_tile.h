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
 *	  blocks go by (1,817 against 1,367 GMAC/s at 1,536).  A panel is one chunk
 *	  of two blocks (four, where there are 16 queries or less): its B tiles are
 *	  used for all queries.
 *
 *	  Panels overlap: while the last queries of one are multiplied, the tiles of
 *	  the next are found or expanded and the lines of the one after it
 *	  prefetched.  Nothing but sums is left to do between two panels, since all
 *	  that stands there stalls the products.
 *
 * IDENTIFICATION
 *	  src/kernels/amx_tile.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AMX_TILE_H
#define VK_AMX_TILE_H

/*
 * Queries below which the level below is faster.  Here one query costs as much as
 * 16.  Measured at 768 dimensions, from the second-level cache,
 * GMAC/s with 3, 4 and 8 queries here and there: 1 bit 131, 170, 304 and 144,
 * 145, 145; 4 bits 94, 124, 238 and 101, 98, 182; 8 bits 122, 161, 282 and 123,
 * 108, 237.
 */
#define TILE_FROM		4

/*
 * m queries against blocks, over the same lines of each.  A set of blocks is
 * done with all its lines before the next; its sums go to out, or, where there
 * are masks, those of each set do, one after the other, and are screened.
 */
typedef struct TileJob
{
	VkFormat	format;
	const uint8_t *queries;		/* A tile of the first 16 and the first step */
	size_t		group_size;		/* bytes from 16 queries to the next 16 */
	int			m;
	const VkLineRun *runs;		/* of the first block */
	int			blocks;
	int			set;			/* blocks, a multiple of a panel's or all */
	bool		prefetch;
	int			lines;
	bool		add;			/* to what is in out */
	int32_t    *out;
	const VkScreenRows *rows;	/* of the blocks */
	const VkScreenQuery *screen_queries;
	uint16_t   *masks;			/* [m][blocks] */
} TileJob;

/* one panel of a job */
typedef struct Place
{
	int			block;
	int			step;			/* the first of its chunk */
	int			steps;			/* 0: behind the last panel */
	int			set;			/* first block of the set */
	Cursor		blocks;			/* from this block on */
	Cursor		set_blocks;		/* from the set's first block on */
} Place;

/* what does not change from panel to panel */
typedef struct TileRun
{
	const TileJob *job;
	int			depth;			/* steps of a block */
	int			chunk;			/* at most */
	int			queries;		/* of four tiles of sums */
	size_t		stride;			/* bytes from one query's sums to the next's */
	size_t		offset[4];		/* bytes to the four tiles of sums */
	Panel		panel;
	Walk		reading;		/* the panel after this one */
	Walk		fetching;		/* the one after that */
} TileRun;

/* ---------- places ---------- */

static inline int
blocks_of_set(const TileJob *job, const Place *place)
{
	return min_int(job->set, job->blocks - place->set);
}

/* steps of a chunk; chunks of one depth are about equal */
static int
chunk_steps(int steps, int width)
{
	int			chunks = (steps + CHUNK_STEPS - 1) / CHUNK_STEPS;

	if (width == 2 && steps <= WHOLE_STEPS)
		chunks = 1;
	return chunks <= 1 ? steps : (steps + chunks - 1) / chunks;
}

static Place
first_place(const TileRun *run)
{
	Place		place = {.steps = run->job->blocks == 0 ? 0 : run->chunk};

	place.set_blocks.runs = run->job->runs;
	place.blocks = place.set_blocks;
	return place;
}

/* blocks first, then steps, then sets */
static void
next_place(const TileRun *run, Place *place)
{
	const TileJob *job = run->job;
	const int	width = run->panel.width;

	cursor_skip(&place->blocks, job->lines *
				min_int(width, job->blocks - place->block));
	place->block += width;
	if (place->block < place->set + blocks_of_set(job, place))
		return;
	place->step += place->steps;
	if (place->step >= run->depth)
	{
		place->step = 0;
		place->set += job->set;
		place->set_blocks = place->blocks;
	}
	place->block = place->set;
	place->blocks = place->set_blocks;
	place->steps = place->set >= job->blocks ? 0 :
		min_int(run->chunk, run->depth - place->step);
}

static void
start_walk(const TileRun *run, const Place *place, Walk *walk)
{
	const int	first_line = place->step * run->panel.step_lines;
	Cursor		cursor = place->blocks;

	walk->steps = place->steps;
	walk->lines = run->job->lines - first_line;
	walk->blocks = min_int(run->panel.width, run->job->blocks - place->block);
	for (int b = 0; b < walk->blocks && walk->steps > 0; b++)
	{
		walk->next[b] = cursor;
		cursor_skip(&walk->next[b], first_line);
		cursor_skip(&cursor, run->job->lines);
	}
}

/* ---------- products ---------- */

/* between two steps of a panel's last queries: step is free for the next panel */
static inline __attribute__((always_inline)) void
work_ahead(TileRun *run, int step)
{
	if (step >= 0)
		read_panel(&run->panel, &run->reading, step);
	prefetch_walk(&run->panel, &run->fetching);
}

/* two groups of queries, the second other_group bytes on, and two blocks */
static void
multiply_two(const uint8_t *queries, size_t other_group, TileRun *run,
			 int steps, bool last)
{
	const uint8_t *const *tile = run->panel.tile[0];

	TILE_LOAD(6, tile[0], VK_LINE_SIZE);
	TILE_LOAD(4, queries, VK_LINE_SIZE);
	TILE_LOAD(5, queries + other_group, VK_LINE_SIZE);
	TILE_LOAD(7, tile[1], VK_LINE_SIZE);
	for (int s = 1; s < steps; s++)
	{
		tile += PANEL_BLOCKS;
		queries += TILE_SIZE;
		TILE_MULTIPLY(SIGNED_UNSIGNED, 0, 4, 6);
		TILE_MULTIPLY(SIGNED_UNSIGNED, 2, 5, 6);
		TILE_LOAD(6, tile[0], VK_LINE_SIZE);
		TILE_MULTIPLY(SIGNED_UNSIGNED, 1, 4, 7);
		TILE_LOAD(4, queries, VK_LINE_SIZE);
		TILE_MULTIPLY(SIGNED_UNSIGNED, 3, 5, 7);
		TILE_LOAD(5, queries + other_group, VK_LINE_SIZE);
		TILE_LOAD(7, tile[1], VK_LINE_SIZE);
		if (last)
			work_ahead(run, s - 1);
	}
	TILE_MULTIPLY(SIGNED_UNSIGNED, 0, 4, 6);
	TILE_MULTIPLY(SIGNED_UNSIGNED, 2, 5, 6);
	TILE_MULTIPLY(SIGNED_UNSIGNED, 1, 4, 7);
	TILE_MULTIPLY(SIGNED_UNSIGNED, 3, 5, 7);
	if (last)
		prefetch_walk(&run->panel, &run->fetching);
}

/* one group of queries and four blocks */
static void
multiply_four(const uint8_t *queries, TileRun *run, int steps)
{
	for (int s = 0; s < steps; s++)
	{
		const uint8_t *const *tile = run->panel.tile[s];

		TILE_LOAD(4, queries, VK_LINE_SIZE);
		TILE_LOAD(5, tile[0], VK_LINE_SIZE);
		TILE_LOAD(6, tile[1], VK_LINE_SIZE);
		TILE_LOAD(7, tile[2], VK_LINE_SIZE);
		TILE_MULTIPLY(SIGNED_UNSIGNED, 0, 4, 5);
		TILE_LOAD(5, tile[3], VK_LINE_SIZE);
		TILE_MULTIPLY(SIGNED_UNSIGNED, 1, 4, 6);
		TILE_MULTIPLY(SIGNED_UNSIGNED, 2, 4, 7);
		TILE_MULTIPLY(SIGNED_UNSIGNED, 3, 4, 5);
		work_ahead(run, s - 1);
		queries += TILE_SIZE;
	}
}

/* four tiles of sums from or to these addresses */
static inline void
load_sums(uint8_t *const sums[4], size_t stride)
{
	TILE_LOAD(0, sums[0], stride);
	TILE_LOAD(1, sums[1], stride);
	TILE_LOAD(2, sums[2], stride);
	TILE_LOAD(3, sums[3], stride);
}

static inline void
zero_sums(void)
{
	TILE_ZERO(0);
	TILE_ZERO(1);
	TILE_ZERO(2);
	TILE_ZERO(3);
}

static inline void
store_sums(uint8_t *const sums[4], size_t stride)
{
	TILE_STORE(0, sums[0], stride);
	TILE_STORE(1, sums[1], stride);
	TILE_STORE(2, sums[2], stride);
	TILE_STORE(3, sums[3], stride);
}

/* between tiles of sums, some of them cut, and whole copies of them */
static __attribute__((noinline)) void
copy_sums(const TileRun *run, int queries, int blocks, uint8_t *out, bool load,
		  uint8_t copies[4][TILE_SIZE])
{
	const int	width = run->panel.width;

	for (int t = 0; t < 4; t++)
	{
		int			rows = min_int(queries - t / width * TILE_ROWS, TILE_ROWS);

		for (int i = 0; t % width < blocks && i < rows; i++)
		{
			uint8_t    *sums = out + run->offset[t] + run->stride * i;
			uint8_t    *copy = copies[t] + VK_LINE_SIZE * i;

			memcpy(load ? copy : sums, load ? sums : copy, VK_LINE_SIZE);
		}
	}
}

/* the panel at this place for the queries from first on, four tiles of sums */
static void
multiply_queries(TileRun *run, const Place *place, int first, bool last)
{
	const TileJob *job = run->job;
	const int	width = run->panel.width;
	const int	blocks = job->blocks - place->block;
	const bool	add = job->add || place->step > 0;
	const bool	cut = first + run->queries > job->m || blocks < width;
	const size_t stride = cut ? VK_LINE_SIZE : run->stride;
	const uint8_t *queries = job->queries + place->step * (size_t) TILE_SIZE +
		first / TILE_ROWS * job->group_size;
	uint8_t    *out = (uint8_t *) job->out + run->stride * first +
		VK_LINE_SIZE * (size_t) (place->block - place->set);
	uint8_t		copies[4][TILE_SIZE] __attribute__((aligned(64)));
	uint8_t    *sums[4];

	for (int t = 0; t < 4; t++)
		sums[t] = cut ? &copies[t][0] : out + run->offset[t];
	if (cut && add)
		copy_sums(run, job->m - first, blocks, out, true, copies);
	if (add)
		load_sums(sums, stride);
	else
		zero_sums();
	if (width == 4)
		multiply_four(queries, run, place->steps);
	else
		multiply_two(queries, first + TILE_ROWS < job->m ? job->group_size : 0,
					 run, place->steps, last);
	store_sums(sums, stride);
	if (cut)
		copy_sums(run, job->m - first, blocks, out, false, copies);
}

/* ---------- jobs ---------- */

/* of the set that is done */
static void
screen_set(const TileRun *run, const Place *place)
{
	const TileJob *job = run->job;

	for (int i = 0; i < job->m; i++)
		lower.screen(job->out + i * (run->stride / sizeof(int32_t)),
					 job->rows + place->set, blocks_of_set(job, place),
					 &job->screen_queries[i],
					 job->masks + i * (size_t) job->blocks + place->set);
}

static void
start_run(const TileJob *job, TileRun *run)
{
	const int	width = job->m <= TILE_ROWS ? 4 : 2;

	run->job = job;
	run->panel.expand = expand[job->format];
	run->panel.step_lines = step_lines(job->format);
	run->panel.width = width;
	run->queries = 4 / width * TILE_ROWS;
	run->depth = (job->lines + run->panel.step_lines - 1) / run->panel.step_lines;
	run->chunk = chunk_steps(run->depth, width);
	run->stride = VK_LINE_SIZE * (size_t) job->set;
	for (int t = 0; t < 4; t++)
		run->offset[t] = t / width * TILE_ROWS * run->stride +
			t % width * VK_LINE_SIZE;
}

/* a whole panel: one of the first two, before which there are no products */
static void
prefetch_panel(TileRun *run, const Place *place)
{
	start_walk(run, place, &run->fetching);
	while (run->fetching.steps > 0)
		prefetch_walk(&run->panel, &run->fetching);
}

static void
run_job(const TileJob *job)
{
	TileRun		run;
	Place		place;
	Place		next;
	Place		after;

	start_run(job, &run);
	place = first_place(&run);
	next = place;
	next_place(&run, &next);
	after = next;
	run.fetching.steps = 0;
	if (job->prefetch)
	{
		prefetch_panel(&run, &place);
		prefetch_panel(&run, &next);
	}
	start_walk(&run, &place, &run.reading);
	for (int s = 0; s < place.steps; s++)
		read_panel(&run.panel, &run.reading, s);
	while (place.steps > 0)
	{
		start_walk(&run, &next, &run.reading);
		if (next.steps > 0)
			next_place(&run, &after);
		if (job->prefetch)
			start_walk(&run, &after, &run.fetching);
		for (int i = 0; i < job->m; i += run.queries)
			multiply_queries(&run, &place, i, i + run.queries >= job->m);
		for (int s = place.steps - 1; s < next.steps; s++)
			read_panel(&run.panel, &run.reading, s);
		if (job->masks != NULL && next.set != place.set)
			screen_set(&run, &place);
		place = next;
		next = after;
	}
}

/* ---------- slots ---------- */

static void
pack_queries(VkFormat format, const int8_t *queries, size_t query_stride, int m,
			 int dim, void *packed)
{
	uint8_t    *out = packed;

	if (m < TILE_FROM || dim == 0)
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
	TileJob		job = {.format = format,.m = m,.runs = runs,.blocks = blocks};

	job.queries = (const uint8_t *) packed +
		first_line / step_lines(format) * (size_t) TILE_SIZE;
	job.group_size = (dim + 63) / 64 * (size_t) TILE_SIZE;
	job.prefetch = (size_t) blocks * lines * VK_LINE_SIZE > PREFETCH_ABOVE;
	job.lines = lines;
	job.add = first_line != 0;
	return job;
}

static void
tile_sums(VkFormat format, const void *packed, int m, int dim,
		  const VkLineRun *runs, int blocks, int first_line, int lines,
		  int32_t *out)
{
	TileJob		job;

	if (m < TILE_FROM || dim == 0 || lines == 0)
	{
		lower.tile[format] (packed, m, dim, runs, blocks, first_line, lines, out);
		return;
	}
	job = new_job(format, packed, m, dim, runs, blocks, first_line, lines);
	job.set = blocks;
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

	if (m < TILE_FROM || dim == 0)
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

		job.queries += first / TILE_ROWS * job.group_size;
		/* an even number: 2 at least, 16 for one group of queries */
		job.set = SCREEN_LINES / (int) VK_ROUND_UP(job.m, TILE_ROWS) & ~1;
		job.out = sums;
		job.rows = rows;
		job.screen_queries = queries + first;
		job.masks = masks + first * (size_t) blocks;
		run_job(&job);
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
