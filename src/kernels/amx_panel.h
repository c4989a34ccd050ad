/*-------------------------------------------------------------------------
 *
 * amx_panel.h
 *	  Part of amx.c: lines of blocks, wherever they are cut, as B tiles.
 *
 * NOTES
 *	  A B tile is a step of 64 dimensions: 16 lines by 16 lanes of 4 bytes,
 *	  which is how 8-bit codes lie on a page; those are used where they are,
 *	  unless a run ends within the step.  Field k of line g of a smaller code
 *	  becomes 8-bit line (8/b) g + k.
 *
 * IDENTIFICATION
 *	  src/kernels/amx_panel.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AMX_PANEL_H
#define VK_AMX_PANEL_H

#define CHUNK_STEPS		8		/* of a depth that is cut, and of four blocks */
#define WHOLE_STEPS		12		/* of two blocks, where the depth is not cut */
#define PANEL_BLOCKS	4
#define PANEL_TILES		(PANEL_BLOCKS * CHUNK_STEPS)

_Static_assert(PANEL_TILES >= 2 * WHOLE_STEPS, "a panel holds two whole blocks");

/* makes the lines of one step 8-bit lines */
typedef void (*Expand) (const uint8_t *code, uint8_t *out);

/* a place in the lines of consecutive blocks */
typedef struct Cursor
{
	const uint8_t *code;
	int			left;			/* lines of this run; 0: the next run begins */
	const VkLineRun *runs;		/* those that follow */
} Cursor;

/* a chunk of consecutive blocks, walked step by step */
typedef struct Walk
{
	Cursor		next[PANEL_BLOCKS];	/* the next step of each block */
	int			blocks;			/* that there are */
	int			steps;			/* left of the chunk */
	int			lines;			/* of a block, from the next step on */
} Walk;

/*
 * B tiles of a chunk.  Those of the next chunk replace them one by one: a tile
 * load waits for fresh stores to be done, so tiles are made a chunk ahead.
 */
typedef struct Panel
{
	Expand		expand;			/* NULL: lines are tiles */
	int			step_lines;
	int			width;			/* blocks there is room for: 2 or 4 */
	const uint8_t *tile[WHOLE_STEPS][PANEL_BLOCKS];
	uint8_t		own[PANEL_TILES][TILE_SIZE] __attribute__((aligned(64)));
} Panel;

/* before lines are read, which must be there */
static inline void
cursor_enter_run(Cursor *cursor)
{
	if (cursor->left == 0)
	{
		cursor->code = cursor->runs->code;
		cursor->left = cursor->runs->lines;
		cursor->runs++;
	}
}

static inline void
cursor_move(Cursor *cursor, int lines)
{
	cursor->code += VK_LINE_SIZE * (size_t) lines;
	cursor->left -= lines;
}

static inline void
cursor_skip(Cursor *cursor, int lines)
{
	while (lines > 0)
	{
		int			part;

		cursor_enter_run(cursor);
		part = min_int(lines, cursor->left);
		cursor_move(cursor, part);
		lines -= part;
	}
}

/* copy lines that several runs may hold, zeros behind them up to full lines */
static void
gather_lines(Cursor *cursor, int lines, int full, uint8_t *out)
{
	memset(out + VK_LINE_SIZE * lines, 0, VK_LINE_SIZE * (full - lines));
	while (lines > 0)
	{
		int			part;

		cursor_enter_run(cursor);
		part = min_int(lines, cursor->left);
		memcpy(out, cursor->code, VK_LINE_SIZE * (size_t) part);
		out += VK_LINE_SIZE * (size_t) part;
		cursor_move(cursor, part);
		lines -= part;
	}
}

/* the lines of one step as one B tile; bits is a constant where it inlines */
static inline __attribute__((always_inline)) void
expand_step(const uint8_t *code, int bits, uint8_t *out)
{
	const __m512i field = _mm512_set1_epi8((char) ((1 << bits) - 1));

	for (int line = 0; line < 2 * bits; line++)
	{
		__m512i		fields = _mm512_loadu_si512(code + VK_LINE_SIZE * line);

		for (int k = 0; k < 8 / bits; k++)
		{
			_mm512_store_si512(out, _mm512_and_si512(fields, field));
			fields = _mm512_srli_epi16(fields, bits);
			out += VK_LINE_SIZE;
		}
	}
}

static void
expand_b1(const uint8_t *code, uint8_t *out)
{
	expand_step(code, 1, out);
}

static void
expand_b2(const uint8_t *code, uint8_t *out)
{
	expand_step(code, 2, out);
}

static void
expand_b4(const uint8_t *code, uint8_t *out)
{
	expand_step(code, 4, out);
}

static const Expand expand[VK_INT_FORMATS] = {
	expand_b1, expand_b2, expand_b4, NULL,
};

/* lines a step takes: 2, 4, 8, 16 */
static inline int
step_lines(VkFormat format)
{
	return 2 * vk_format_bits[format];
}

/* a step that runs cut, or the last one */
static __attribute__((noinline)) const uint8_t *
read_cut_step(const Panel *panel, int lines, Cursor *cursor, uint8_t *own)
{
	uint8_t		cut[TILE_SIZE];

	if (panel->expand == NULL)
		gather_lines(cursor, lines, panel->step_lines, own);
	else
	{
		gather_lines(cursor, lines, panel->step_lines, cut);
		panel->expand(cut, own);
	}
	return own;
}

/* one step of one block, of so many lines, as a B tile; own may hold it */
static inline const uint8_t *
read_step(const Panel *panel, int lines, Cursor *cursor, uint8_t *own)
{
	const uint8_t *code;

	cursor_enter_run(cursor);
	if (cursor->left < panel->step_lines)
		return read_cut_step(panel, lines, cursor, own);
	code = cursor->code;
	cursor_move(cursor, panel->step_lines);
	if (panel->expand == NULL)
		return code;
	panel->expand(code, own);
	return own;
}

/* the next step of the walk becomes this one of the panel, if there is one */
static inline void
read_panel(Panel *panel, Walk *walk, int step)
{
	const uint8_t **tile = panel->tile[step];
	const int	lines = min_int(walk->lines, panel->step_lines);

	if (walk->steps == 0)
		return;
	for (int b = 0; b < walk->blocks; b++)
		tile[b] = read_step(panel, lines, &walk->next[b],
							panel->own[step * panel->width + b]);
	/* where there is no block, that of another */
	for (int b = walk->blocks; b < panel->width; b++)
		tile[b] = tile[0];
	walk->lines -= lines;
	walk->steps--;
}

/*
 * The second-level cache gets the next step of the walk, if there is one.
 * Inlined by force: gcc 12 drops calls of functions that only prefetch.
 */
static inline __attribute__((always_inline)) void
prefetch_walk(const Panel *panel, Walk *walk)
{
	const int	lines = min_int(walk->lines, panel->step_lines);

	if (walk->steps == 0)
		return;
	for (int b = 0; b < walk->blocks; b++)
		for (int left = lines; left > 0;)
		{
			Cursor	   *cursor = &walk->next[b];
			int			part;

			cursor_enter_run(cursor);
			part = min_int(left, cursor->left);
			for (int line = 0; line < part; line++)
				_mm_prefetch((const char *) cursor->code +
							 VK_LINE_SIZE * (size_t) line, _MM_HINT_T1);
			cursor_move(cursor, part);
			left -= part;
		}
	walk->lines -= lines;
	walk->steps--;
}

#endif							/* VK_AMX_PANEL_H */
