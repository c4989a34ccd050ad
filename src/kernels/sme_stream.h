/*-------------------------------------------------------------------------
 *
 * sme_stream.h
 *	  Part of sme.c: what runs in streaming mode.
 *
 * NOTES
 *	  Everything is made of units of 4 bytes: 4 dimensions of int8, 2 of
 *	  bfloat16, 1 of float.  An outer product takes one unit of each of S rows
 *	  (queries) and of each of S columns (stored rows), S = the streaming vector
 *	  length / 4 bytes, and adds S x S dots to one of the four tiles of ZA.
 *	  The four tiles together are 1 x 4, 2 x 2 or 4 x 1 vectors of queries by
 *	  vectors of columns; tile number = vector of queries * (4 / vectors) +
 *	  vector of columns.
 *
 *	  The vector length is any power of two from 16 to 256 bytes.  A line of a
 *	  block is one vector at 64 bytes (all processors so far); longer ones leave
 *	  columns unused, shorter ones take the line in parts.
 *
 *	  Only instructions that are legal without FEAT_SME_FA64 occur, and no call
 *	  to a function of normal mode, so compilers have no reason to ask for the
 *	  SME runtime.  ZA is read and written through vector registers: loads and
 *	  stores of ZA itself are slower on Apple's M4.
 *
 * IDENTIFICATION
 *	  src/kernels/sme_stream.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_SME_STREAM_H
#define VK_SME_STREAM_H

/* the stack protector's call on failure would be one out of streaming mode */
#define SME				__attribute__((target("+sme"), no_stack_protector))
#define SME_INLINE		SME static inline __attribute__((always_inline))
#define STREAMING		__arm_streaming __arm_inout("za")
/* for both modes; inlined, or a call from streaming mode would leave it */
#define BOTH_INLINE		static inline __attribute__((always_inline))
#define BOTH_MODES		__arm_streaming_compatible

#define TILES			4		/* tiles of 32-bit sums in ZA */
#define PACK_GROUP		64		/* queries side by side in a packed form: the most
								 * rows that a tile can have */
#define UNIT			4		/* bytes */

/* rows and columns of an outer product */
typedef enum Product
{
	PRODUCT_CODE,				/* int8 x unsigned code */
	PRODUCT_I8,
	PRODUCT_F32,
	PRODUCT_BF16
} Product;

/* where the four tiles lie in a matrix of 32-bit numbers */
typedef struct Place
{
	int32_t    *out;			/* of the first row and column */
	size_t		stride;			/* numbers from row to row */
	int			rows;			/* rows that exist */
	int			columns;		/* columns that exist, from out on */
	int			step;			/* columns from tile to tile */
	int			width;			/* columns of one tile */
} Place;

BOTH_INLINE int
least(int a, int b) BOTH_MODES
{
	return a < b ? a : b;
}

/* ---------- tiles and memory ---------- */

SME_INLINE svint32_t
tile_row(int tile, int row) STREAMING
{
	svbool_t	all = svptrue_b32();
	svint32_t	none = svundef_s32();

	switch (tile)
	{
		case 0:
			return svread_hor_za32_s32_m(none, all, 0, row);
		case 1:
			return svread_hor_za32_s32_m(none, all, 1, row);
		case 2:
			return svread_hor_za32_s32_m(none, all, 2, row);
		default:
			return svread_hor_za32_s32_m(none, all, 3, row);
	}
}

SME_INLINE void
set_tile_row(int tile, int row, svint32_t numbers) STREAMING
{
	svbool_t	all = svptrue_b32();

	switch (tile)
	{
		case 0:
			svwrite_hor_za32_s32_m(0, row, all, numbers);
			break;
		case 1:
			svwrite_hor_za32_s32_m(1, row, all, numbers);
			break;
		case 2:
			svwrite_hor_za32_s32_m(2, row, all, numbers);
			break;
		default:
			svwrite_hor_za32_s32_m(3, row, all, numbers);
	}
}

/* all four tiles from or to the part of the matrix that exists */
SME_INLINE void
move_tiles(const Place *place, int vectors, bool load) STREAMING
{
	int			side = TILES / vectors;
	int			length = (int) svcntw();

	for (int tile = 0; tile < TILES; tile++)
	{
		int			first_row = tile / side * length;
		int			column = tile % side * place->step;
		int			width = least(place->width, place->columns - column);
		svbool_t	there = svwhilelt_b32_s32(0, width);
		int32_t    *part = place->out + first_row * place->stride + column;

		if (width <= 0)
			continue;
		for (int row = 0; row < length && first_row + row < place->rows; row++)
		{
			if (load)
				set_tile_row(tile, row, svld1_s32(there, part));
			else
				svst1_s32(there, part, tile_row(tile, row));
			part += place->stride;
		}
	}
}

SME_INLINE void
begin_tiles(const Place *place, int vectors, bool add) STREAMING
{
	if (add)
		move_tiles(place, vectors, true);
	else
		svzero_za();
}

/* ---------- outer products ---------- */

#define OUTER(tile, row, column) \
	do { \
		if (product == PRODUCT_CODE) \
			svsumopa_za32_s8_m(tile, all, all, svreinterpret_s8_u8(row), column); \
		else if (product == PRODUCT_I8) \
			svmopa_za32_s8_m(tile, all, all, svreinterpret_s8_u8(row), \
							 svreinterpret_s8_u8(column)); \
		else if (product == PRODUCT_F32) \
			svmopa_za32_f32_m(tile, all, all, svreinterpret_f32_u8(row), \
							  svreinterpret_f32_u8(column)); \
		else \
			svmopa_za32_bf16_m(tile, all, all, svreinterpret_bf16_u8(row), \
							   svreinterpret_bf16_u8(column)); \
	} while (0)

/*
 * One unit of all rows, width bytes, times one of all columns.  Columns past
 * 4 / vectors are not looked at.  product and vectors are constants.
 */
SME_INLINE void
multiply_unit(Product product, int vectors, const uint8_t *rows, size_t width,
			  svuint8_t column0, svuint8_t column1, svuint8_t column2,
			  svuint8_t column3) STREAMING
{
	svbool_t	all = svptrue_b8();
	uint64_t	length = svcntb();
	svuint8_t	row0 = svld1_u8(svwhilelt_b8_u64(0, width), rows);

	OUTER(0, row0, column0);
	if (vectors == 1)
	{
		OUTER(1, row0, column1);
		OUTER(2, row0, column2);
		OUTER(3, row0, column3);
	}
	else
	{
		svuint8_t	row1 = svld1_u8(svwhilelt_b8_u64(length, width),
									rows + length);

		if (vectors == 2)
		{
			OUTER(1, row0, column1);
			OUTER(2, row1, column0);
			OUTER(3, row1, column1);
		}
		else
		{
			OUTER(1, row1, column0);
			OUTER(2, svld1_u8(svwhilelt_b8_u64(2 * length, width),
							  rows + 2 * length), column0);
			OUTER(3, svld1_u8(svwhilelt_b8_u64(3 * length, width),
							  rows + 3 * length), column0);
		}
	}
}

/* units of rows, stride bytes apart and width valid, times those of a panel */
SME_INLINE void
multiply_panel(Product product, int vectors, const uint8_t *rows, size_t stride,
			   size_t width, const uint8_t *panel, int units) STREAMING
{
	svbool_t	all = svptrue_b8();
	uint64_t	length = svcntb();
	int			side = TILES / vectors;

	for (int unit = 0; unit < units; unit++)
	{
		svuint8_t	column0 = svld1_u8(all, panel);
		svuint8_t	column1 = column0;
		svuint8_t	column2 = column0;
		svuint8_t	column3 = column0;

		if (side > 1)
			column1 = svld1_u8(all, panel + length);
		if (side > 2)
		{
			column2 = svld1_u8(all, panel + 2 * length);
			column3 = svld1_u8(all, panel + 3 * length);
		}
		multiply_unit(product, vectors, rows, width, column0, column1, column2,
					  column3);
		rows += stride;
		panel += side * length;
	}
}

/* field number field of each byte of a line */
SME_INLINE svuint8_t
line_field(int bits, int field, svuint8_t line) STREAMING
{
	svbool_t	all = svptrue_b8();

	if (field > 0)
		line = svlsr_n_u8_x(all, line, (uint8_t) (bits * field));
	if (bits * (field + 1) < 8)
		line = svand_n_u8_x(all, line, (uint8_t) ((1 << bits) - 1));
	return line;
}

/* lines of as many blocks as there are vectors of columns */
SME_INLINE void
multiply_lines(int bits, int vectors, const uint8_t *rows, size_t stride,
			   size_t width, const uint8_t *const code[TILES], int lane,
			   int lines) STREAMING
{
	int			side = TILES / vectors;
	const uint8_t *code0 = code[0] + UNIT * lane;
	const uint8_t *code1 = code[1] + UNIT * lane;
	const uint8_t *code2 = code[2] + UNIT * lane;
	const uint8_t *code3 = code[3] + UNIT * lane;
	svbool_t	there = svwhilelt_b8_s32(UNIT * lane, VK_LINE_SIZE);

	for (size_t at = 0; at < (size_t) lines * VK_LINE_SIZE; at += VK_LINE_SIZE)
	{
		svuint8_t	line0 = svld1_u8(there, code0 + at);
		svuint8_t	line1 = line0;
		svuint8_t	line2 = line0;
		svuint8_t	line3 = line0;

		if (side > 1)
			line1 = svld1_u8(there, code1 + at);
		if (side > 2)
		{
			line2 = svld1_u8(there, code2 + at);
			line3 = svld1_u8(there, code3 + at);
		}
#pragma GCC unroll 8
		for (int field = 0; field < 8 / bits; field++)
		{
			multiply_unit(PRODUCT_CODE, vectors, rows, width,
						  line_field(bits, field, line0),
						  line_field(bits, field, line1),
						  line_field(bits, field, line2),
						  line_field(bits, field, line3));
			rows += stride;
		}
	}
}

/* ---------- queries against blocks ---------- */

typedef struct BlockTask
{
	const uint8_t *packed;
	int			m;				/* queries packed */
	int			units;			/* of one query */
	int			first;			/* queries to take, a multiple of PACK_GROUP on */
	int			count;
	const VkLineRun *runs;
	int			blocks;
	int			first_line;
	int			lines;
	int32_t    *out;			/* of query first, stride 16 * blocks */
} BlockTask;

/* the run after the next lines of a block; runs end with their block */
BOTH_INLINE const VkLineRun *
skip_lines(const VkLineRun *run, int lines) BOTH_MODES
{
	while (lines > 0)
		lines -= (run++)->lines;
	return run;
}

/* bytes of one unit of the group of packed queries that first begins */
BOTH_INLINE int
group_stride(int m, int first) BOTH_MODES
{
	return UNIT * least((int) VK_ROUND_UP(m, VK_LANES) - first, PACK_GROUP);
}

/* all lines of up to four blocks, which go on at any line to another run */
SME_INLINE void
multiply_blocks(const BlockTask *task, int bits, int vectors,
				const uint8_t *rows, size_t stride, size_t width,
				const VkLineRun *const start[TILES], int lane) STREAMING
{
	const VkLineRun *run[TILES];
	int			used[TILES];
	int			lines;

	for (int b = 0; b < TILES; b++)
	{
		run[b] = start[b];
		used[b] = 0;
	}
	rows += (size_t) task->first_line * (8 / bits) * stride;
	for (int done = 0; done < task->lines; done += lines)
	{
		const uint8_t *code[TILES];

		lines = task->lines - done;
		for (int b = 0; b < TILES; b++)
		{
			lines = least(lines, run[b]->lines - used[b]);
			code[b] = run[b]->code + (size_t) used[b] * VK_LINE_SIZE;
		}
		multiply_lines(bits, vectors, rows, stride, width, code, lane, lines);
		rows += (size_t) lines * (8 / bits) * stride;
		for (int b = 0; b < TILES; b++)
		{
			used[b] += lines;
			if (used[b] == run[b]->lines)
			{
				run[b]++;
				used[b] = 0;
			}
		}
	}
}

/* all queries of the task against up to four blocks, there of them real */
SME_INLINE void
take_blocks(const BlockTask *task, int bits, int vectors,
			const VkLineRun *const start[TILES], int block, int there) STREAMING
{
	int			length = (int) svcntw();
	int			end = task->first + task->count;

	for (int first = task->first; first < end; first += vectors * length)
	{
		int			group = first / PACK_GROUP * PACK_GROUP;
		size_t		stride = group_stride(task->m, group);
		size_t		skip = (size_t) UNIT * (first - group);
		const uint8_t *rows = task->packed + skip +
			(size_t) group * task->units * UNIT;

		for (int lane = 0; lane < VK_LANES; lane += length)
		{
			size_t		row_size = (size_t) VK_LANES * task->blocks;
			Place		place = {
				task->out + (first - task->first) * row_size +
				VK_LANES * block + lane,
				row_size, least(end - first, vectors * length),
				VK_LANES * there - lane, VK_LANES, least(length, VK_LANES)
			};

			begin_tiles(&place, vectors, task->first_line > 0);
			multiply_blocks(task, bits, vectors, rows, stride, stride - skip,
							start, lane);
			move_tiles(&place, vectors, false);
		}
	}
}

SME_INLINE void
all_blocks(const BlockTask *task, int bits, int vectors) STREAMING
{
	int			side = TILES / vectors;
	const VkLineRun *run = task->runs;

	for (int block = 0; block < task->blocks; block += side)
	{
		int			there = least(side, task->blocks - block);
		const VkLineRun *start[TILES] = {run, run, run, run};

		for (int b = 0; b < there; b++)
		{
			start[b] = run;
			run = skip_lines(run, task->lines);
		}
		take_blocks(task, bits, vectors, start, block, there);
	}
}

/*
 * Small codes are taken apart in registers: with four vectors of queries once
 * for all of them.  8-bit lines need the fewest loads as 2 x 2.
 */
#define BLOCK_KERNEL(bits) \
SME static void \
stream_b##bits(const void *task) STREAMING \
{ \
	int			rows = least(((const BlockTask *) task)->count, PACK_GROUP); \
	int			length = (int) svcntw(); \
\
	if (rows <= length) \
		all_blocks(task, bits, 1); \
	else if (rows <= 2 * length || bits == 8) \
		all_blocks(task, bits, 2); \
	else \
		all_blocks(task, bits, 4); \
}

BLOCK_KERNEL(1)
BLOCK_KERNEL(2)
BLOCK_KERNEL(4)
BLOCK_KERNEL(8)

/* ---------- vectors against vectors ---------- */

/*
 * Units first .. first + units - 1 of count rows as a panel: vectors vectors
 * of rows side by side.  Rows have bytes bytes; units past them are zero, rows
 * past count anything.  Destroys tile 0.
 */
SME_INLINE void
make_panel(const uint8_t *rows, size_t stride, int count, size_t bytes,
		   int first, int units, int vectors, uint8_t *panel) STREAMING
{
	svbool_t	all = svptrue_b32();
	int			length = (int) svcntw();
	size_t		end = (size_t) UNIT * (first + units);

	if (end > bytes)
		end = bytes;
	for (int row = 0; row < least(count, vectors * length); row += length)
		for (int unit = 0; unit < units; unit += length)
		{
			size_t		at = (size_t) UNIT * (first + unit);
			svbool_t	there = svwhilelt_b8_u64(at, end);
			const uint8_t *part = rows + row * stride + at;
			uint8_t    *to = panel + UNIT * ((size_t) unit * vectors * length + row);

			for (int i = 0; i < length && row + i < count; i++)
			{
				svuint8_t	line = svld1_u8(there, part + i * stride);

				svwrite_hor_za32_u32_m(0, i, all, svreinterpret_u32_u8(line));
			}
			for (int i = 0; i < length && unit + i < units; i++)
			{
				svst1_u32(all, (uint32_t *) to,
						  svread_ver_za32_u32_m(svundef_u32(), all, 0, i));
				to += (size_t) UNIT * vectors * length;
			}
		}
}

#define PANEL_SIZE		32768

typedef struct VectorTask
{
	const uint8_t *packed;
	int			m;
	int			units;
	const uint8_t *rows;
	size_t		stride;			/* bytes */
	int			n;
	size_t		bytes;			/* of one row */
	bool		add;
	int32_t    *out;			/* stride n */
	uint8_t    *panel;			/* PANEL_SIZE */
} VectorTask;

/* all queries against one panel of units first .. of rows row .. */
SME_INLINE void
take_panel(const VectorTask *task, Product product, int vectors, int row,
		   int first_unit, int units) STREAMING
{
	int			length = (int) svcntw();

	for (int first = 0; first < task->m; first += vectors * length)
	{
		int			group = first / PACK_GROUP * PACK_GROUP;
		size_t		stride = group_stride(task->m, group);
		size_t		skip = (size_t) UNIT * (first - group);
		const uint8_t *rows = task->packed + skip + first_unit * stride +
			(size_t) group * task->units * UNIT;
		Place		place = {
			task->out + (size_t) first * task->n + row, task->n,
			least(task->m - first, vectors * length), task->n - row, length,
			length
		};

		begin_tiles(&place, vectors, task->add || first_unit > 0);
		multiply_panel(product, vectors, rows, stride, stride - skip,
					   task->panel, units);
		move_tiles(&place, vectors, false);
	}
}

SME_INLINE void
all_vectors(const VectorTask *task, Product product, int vectors) STREAMING
{
	int			side = TILES / vectors;
	int			together = side * (int) svcntw();
	int			depth = PANEL_SIZE / (UNIT * together);

	for (int row = 0; row < task->n; row += together)
	{
		int			unit = 0;

		do
		{
			int			units = least(depth, task->units - unit);

			make_panel(task->rows + row * task->stride, task->stride,
					   task->n - row, task->bytes, unit, units, side,
					   task->panel);
			take_panel(task, product, vectors, row, unit, units);
			unit += units;
		} while (unit < task->units);
	}
}

#define VECTOR_KERNEL(name, product) \
SME static void \
stream_##name(const void *task) STREAMING \
{ \
	int			rows = least(((const VectorTask *) task)->m, PACK_GROUP); \
\
	if (rows <= (int) svcntw()) \
		all_vectors(task, product, 1); \
	else \
		all_vectors(task, product, 2); \
}

VECTOR_KERNEL(f32, PRODUCT_F32)
VECTOR_KERNEL(bf16, PRODUCT_BF16)

/* ---------- MaxSim of int8 ---------- */

#define MAXSIM_PANEL	24576	/* bytes: 768 dimensions of 32 vectors */

typedef struct MaxsimTask
{
	const uint8_t *query;
	size_t		query_stride;
	int			m;
	const uint8_t *document;
	size_t		document_stride;
	int			n;
	int			dim;			/* one panel holds all */
	uint8_t    *panel;			/* two of MAXSIM_PANEL */
	int32_t    *greatest;		/* PACK_GROUP * 2 */
	int64_t    *sum;
} MaxsimTask;

/* the greater of each row's number and those in columns of two tiles */
#define GREATEST(rows, tile0, tile1) \
	do { \
		for (int i = 0; i < least(length, task->n - column); i++) \
			rows = svmax_s32_x(all, rows, \
							   svread_ver_za32_s32_m(svundef_s32(), all, tile0, i)); \
		for (int i = 0; i < least(length, task->n - column - length); i++) \
			rows = svmax_s32_x(all, rows, \
							   svread_ver_za32_s32_m(svundef_s32(), all, tile1, i)); \
	} while (0)

SME static void
stream_maxsim(const void *argument) STREAMING
{
	const MaxsimTask *task = argument;
	svbool_t	all = svptrue_b32();
	int			length = (int) svcntw();
	int			together = 2 * length;
	int			units = (task->dim + UNIT - 1) / UNIT;
	uint8_t    *query_panel = task->panel;
	uint8_t    *panel = task->panel + MAXSIM_PANEL;
	int64_t		sum = 0;

	for (int first = 0; first < task->m; first += together)
	{
		svint32_t	rows0 = svdup_n_s32(INT32_MIN);
		svint32_t	rows1 = rows0;

		make_panel(task->query + first * task->query_stride,
				   task->query_stride, task->m - first, task->dim, 0, units,
				   2, query_panel);
		for (int column = 0; column < task->n; column += together)
		{
			make_panel(task->document + column * task->document_stride,
					   task->document_stride, task->n - column, task->dim, 0,
					   units, 2, panel);
			svzero_za();
			multiply_panel(PRODUCT_I8, 2, query_panel, UNIT * together,
						   UNIT * together, panel, units);
			GREATEST(rows0, 0, 1);
			GREATEST(rows1, 2, 3);
		}
		svst1_s32(all, task->greatest, rows0);
		svst1_s32(all, task->greatest + length, rows1);
		for (int i = 0; i < least(together, task->m - first); i++)
			sum += task->greatest[i];
	}
	*task->sum = sum;
}

#endif							/* VK_SME_STREAM_H */
