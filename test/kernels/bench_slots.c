/*-------------------------------------------------------------------------
 *
 * bench_slots.c
 *	  How each family of slots is measured: one pass over the rows.
 *
 * IDENTIFICATION
 *	  test/kernels/bench_slots.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <string.h>

#include "bench.h"

#define CALL_BLOCKS		32		/* of a tile */
#define PIECE_LINES		8		/* scanned, and prefetched ahead, at a time */
#define PIECE_STREAMS	64		/* the same where several pages are read at once */
#define PAGE_LINES		(VK_PAGE_SIZE / VK_LINE_SIZE)
#define STREAMS			8		/* pages that are read at once, where that is faster */
#define NEAR_SIZE		((size_t) 1 << 20)	/* a set below is in a cache nearby */
#define CALL_ROWS		256		/* of a tile of vectors */
#define DOCUMENT		128		/* vectors of a MaxSim document */

/* ---------- rows ---------- */

static size_t
row_size(const VkBenchCase *c)
{
	return (size_t) c->dim * c->family->data[c->index].bits / 8;
}

static const void *
row_at(const VkBenchCase *c, int row)
{
	return c->data + row * row_size(c);
}

/* the next block's runs, wherever blocks lie */
static int
next_block(const VkBenchCase *c, VkPageCursor *cursor, int block,
		   VkLineRun *runs)
{
	if (c->order != NULL)
		return vk_page_block(cursor, VK_BENCH_HEAD_LINES, c->lines, runs);
	runs[0].code = c->data + (size_t) block * c->lines * VK_LINE_SIZE;
	runs[0].lines = c->lines;
	return 1;
}

static VkPageCursor
first_block(const VkBenchCase *c)
{
	return (VkPageCursor) {c->data, c->order, 0, 0};
}

/* ---------- pairs ---------- */

typedef double (*PairKernel) (const void *a, const void *b, int dim);

/* several queries take turns with the rows of a document, as in MaxSim */
static void
run_pair(VkBenchCase *c)
{
	const size_t query_size = row_size(c);
	PairKernel	pair;

	memcpy(&pair, (char *) &c->kernels + c->family->offset +
		   c->index * sizeof(pair), sizeof(pair));
	for (int row = 0; row < c->rows; row += DOCUMENT)
	{
		const int	end = row + DOCUMENT < c->rows ? row + DOCUMENT : c->rows;

		for (int i = 0; i < c->queries; i++)
			for (int j = row; j < end; j++)
				c->sink += pair(row_at(c, j), (char *) c->query + i * query_size,
								c->dim);
	}
}

static void
run_cosine(VkBenchCase *c)
{
	double		out[3];

	for (int row = 0; row < c->rows; row++)
	{
		c->kernels.pair_cosine[c->index] (row_at(c, row), c->query, c->dim, out);
		c->sink += out[0];
	}
}

static void
run_dot_f64(VkBenchCase *c)
{
	for (int row = 0; row < c->rows; row++)
		c->sink += c->kernels.pair_dot_f64(row_at(c, row), c->query, c->dim);
}

static void
run_hamming(VkBenchCase *c)
{
	for (int row = 0; row < c->rows; row++)
		c->sink += c->kernels.pair_hamming(row_at(c, row), c->query, c->dim / 8);
}

static void
run_jaccard(VkBenchCase *c)
{
	int32_t		out[2];

	for (int row = 0; row < c->rows; row++)
	{
		c->kernels.pair_jaccard(row_at(c, row), c->query, c->dim / 8, out);
		c->sink += out[0];
	}
}

/* ---------- scans and rows ---------- */

static void
prepare_scan(VkBenchCase *c)
{
	c->kernels.pack_query[c->index] (c->query, c->dim, c->packed);
}

static void
run_pack_query(VkBenchCase *c)
{
	for (int row = 0; row < c->rows; row++)
		prepare_scan(c);
}

typedef void (*ScanKernel) (const void *query, int first_line,
							const uint8_t *code, int lines, VkDots *dots);

static inline size_t
rows_size(const VkBenchCase *c)
{
	return (size_t) c->rows / VK_LANES * c->lines * VK_LINE_SIZE;
}

/* this page, of a flat set these 8 kB; NULL: behind the last */
static inline const char *
page_at(const VkBenchCase *c, int page)
{
	if (c->order != NULL)
		return page >= c->pages ? NULL :
			(const char *) c->data + (size_t) c->order[page] * VK_PAGE_SIZE;
	return (size_t) page * VK_PAGE_SIZE >= rows_size(c) ? NULL :
		(const char *) c->data + (size_t) page * VK_PAGE_SIZE;
}

/* its line on its page */
static inline int
page_line(const VkBenchCase *c, const uint8_t *code)
{
	return (int) ((size_t) (code - c->data) % VK_PAGE_SIZE / VK_LINE_SIZE);
}

/* pages whose lines are asked for while one is scanned */
static inline int
pages_ahead(const VkBenchCase *c)
{
	if (rows_size(c) < NEAR_SIZE)
		return 0;
	if (vk_cpu_features() & VK_CPU_STREAMS)
		return STREAMS;
	return c->order != NULL ? 1 : 0;
}

/*
 * While lines of one page are scored, ask for those of later ones, into the
 * second-level cache, as the scan of an index does: for the same lines of the
 * next, or where the CPU reads several streams, for an eighth of each of the
 * next eight.  Flat sets need it there only, sets in a cache nearby not at all.
 * Always inline: gcc 12 drops calls of functions that only prefetch.
 */
static inline __attribute__((always_inline)) void
prefetch_next(const VkBenchCase *c, int page, int line, int lines)
{
	const int	pages = pages_ahead(c);
	const bool	streams = pages == STREAMS;
	const int	part = PAGE_LINES / STREAMS;

	for (int k = 1; k <= pages; k++)
	{
		const char *ahead = page_at(c, page + k);
		int			first = streams ? (STREAMS - k) * part + line / STREAMS : line;
		int			end = streams ? (STREAMS - k) * part + (line + lines) / STREAMS :
			line + lines;

		for (int i = first; ahead != NULL && i < end; i++)
			__builtin_prefetch(ahead + (size_t) i * VK_LINE_SIZE, 0, 2);
	}
}

/*
 * A run on a page, by a few lines at a time: a page's worth of prefetching at
 * once is more than the cache can wait for (8-bit codes of 1,536 dimensions; Zen
 * 4: 18 GB/s by whole runs, 25 by 8 lines; Sapphire Rapids: 16 by whole runs, 8.5
 * by 8 lines, 18 by 64).
 */
static void
scan_run(const VkBenchCase *c, ScanKernel scan, const void *query, int page,
		 int line, const VkLineRun *run, VkDots *dots)
{
	const int	first = page_line(c, run->code);
	const int	pages = pages_ahead(c);
	const int	most = pages == 0 ? run->lines :
		pages == STREAMS ? PIECE_STREAMS : PIECE_LINES;

	for (int done = 0; done < run->lines; done += most)
	{
		const int	rest = run->lines - done;
		const int	lines = rest < most ? rest : most;
		const uint8_t *code = run->code + (size_t) done * VK_LINE_SIZE;

		prefetch_next(c, page + (first + done) / PAGE_LINES,
					  (first + done) % PAGE_LINES, lines);
		scan(query, line + done, code, lines, dots);
	}
}

static void
scan_blocks(VkBenchCase *c, ScanKernel scan, const void *query)
{
	VkPageCursor cursor = first_block(c);

	for (int block = 0; block < c->rows / VK_LANES; block++)
	{
		VkLineRun	runs[VK_PAGE_RUNS(VK_MAX_DIM)];
		const int	count = next_block(c, &cursor, block, runs);
		VkDots		dots = {{0}};
		int			line = 0;

		/* another block's code may lie where this one's head lines do */
		if (c->order != NULL && count == 1)
			prefetch_next(c, cursor.page, page_line(c, runs[0].code) -
						  VK_BENCH_HEAD_LINES, VK_BENCH_HEAD_LINES);
		for (int i = 0; i < count; i++)
		{
			int			page = c->order != NULL ? cursor.page - (count - 1 - i) :
				(int) ((size_t) (runs[i].code - c->data) / VK_PAGE_SIZE);

			scan_run(c, scan, query, page, line, &runs[i], &dots);
			line += runs[i].lines;
		}
		c->sink += dots.i[3];
	}
}

static void
run_scan(VkBenchCase *c)
{
	scan_blocks(c, c->kernels.scan[c->index], c->packed);
}

static void
run_scan_float(VkBenchCase *c)
{
	ScanKernel	scan;

	/* the same but for the type of the query */
	memcpy(&scan, &c->kernels.scan_float[c->index], sizeof(scan));
	scan_blocks(c, scan, c->query);
}

/* scan_l1, scan_hamming and scan_common */
static void
run_scan_bytes(VkBenchCase *c)
{
	ScanKernel	scan;

	memcpy(&scan, (char *) &c->kernels + c->family->offset, sizeof(scan));
	scan_blocks(c, scan, c->query);
}

static void
prepare_row(VkBenchCase *c)
{
	c->kernels.pack_row[c->index] (c->query, c->dim, c->packed);
}

static void
run_pack_row(VkBenchCase *c)
{
	for (int row = 0; row < c->rows; row++)
		prepare_row(c);
}

static void
run_row(VkBenchCase *c)
{
	for (int row = 0; row < c->rows; row++)
		c->sink += c->kernels.row[c->index] (c->packed, row_at(c, row), c->dim);
}

/* ---------- tiles ---------- */

static void
prepare_tile(VkBenchCase *c)
{
	c->kernels.pack_tile[c->index] (c->query, c->dim, c->queries, c->dim,
									c->packed);
}

/* a row here is a batch */
static void
run_pack_tile(VkBenchCase *c)
{
	for (int row = 0; row < c->rows; row++)
		prepare_tile(c);
}

static void
tile_blocks(VkBenchCase *c, bool screen)
{
	const int	total = c->rows / VK_LANES;
	VkPageCursor cursor = first_block(c);

	for (int block = 0; block < total; block += CALL_BLOCKS)
	{
		VkLineRun	runs[CALL_BLOCKS * VK_PAGE_RUNS(1024)];
		const int	blocks = total - block < CALL_BLOCKS ? total - block :
			CALL_BLOCKS;
		VkLineRun  *end = runs;

		for (int b = 0; b < blocks; b++)
			end += next_block(c, &cursor, block + b, end);
		if (screen)
			c->kernels.tile_screen[c->index] (c->packed, c->queries, c->dim, runs,
											  blocks, c->screen_rows,
											  c->screen_queries, c->out);
		else
			c->kernels.tile[c->index] (c->packed, c->queries, c->dim, runs, blocks,
									   0, c->lines, c->out);
	}
	c->sink += *(uint16_t *) c->out;
}

static void
run_tile(VkBenchCase *c)
{
	tile_blocks(c, false);
}

static void
run_tile_screen(VkBenchCase *c)
{
	tile_blocks(c, true);
}

/* rows first .. of one call */
static int
call_rows(const VkBenchCase *c, int first)
{
	return c->rows - first < CALL_ROWS ? c->rows - first : CALL_ROWS;
}

static void
run_tile_f32(VkBenchCase *c)
{
	for (int row = 0; row < c->rows; row += CALL_ROWS)
		c->kernels.tile_f32(c->query, c->dim, c->queries, row_at(c, row), c->dim,
							call_rows(c, row), c->dim, c->out);
	c->sink += *(float *) c->out;
}

static void
prepare_dense(VkBenchCase *c)
{
	c->kernels.pack_dense[c->index] (c->query, c->dim, c->queries, c->dim,
									 c->packed);
}

static void
run_pack_dense(VkBenchCase *c)
{
	for (int row = 0; row < c->rows; row++)
		prepare_dense(c);
}

static void
run_tile_dense(VkBenchCase *c)
{
	for (int row = 0; row < c->rows; row += CALL_ROWS)
		c->kernels.tile_dense[c->index] (c->packed, c->queries, c->dim,
										 row_at(c, row), c->dim,
										 call_rows(c, row), false, c->out);
	c->sink += *(float *) c->out;
}

static void
run_maxsim(VkBenchCase *c)
{
	for (int row = 0; row < c->rows; row += DOCUMENT)
	{
		const int	n = c->rows - row < DOCUMENT ? c->rows - row : DOCUMENT;

		c->sink += c->kernels.maxsim[c->index] (c->query, c->dim, c->queries,
												row_at(c, row), c->dim, n, c->dim);
	}
}

/* one row of a tile against dim centroids */
static void
run_nearest(VkBenchCase *c)
{
	for (int row = 0; row < c->rows; row++)
	{
		float		distance = INFINITY;
		int32_t		nearest = 0;

		c->kernels.nearest(row_at(c, row), row_at(c, 0), row_at(c, 0), c->dim, 0,
						   1.0f, 0, &distance, &nearest);
		c->sink += distance;
	}
}

/* ---------- bounds and screens: a row here is a block ---------- */

typedef struct Blocks
{
	VkBoundQuery query;
	VkFlatAnnotation flat;
	VkListAnnotation list;
	VkDots		dots[4];		/* alternating, so that nothing is hoisted */
} Blocks;

static void
fill_blocks(Blocks *b)
{
	b->query = (VkBoundQuery) {
		.dot_mult = 2,.dot_offset = 100,.query_scale = 0.01f,.code_unit = 0.1f,
		.base = 1,.weight_norm = 1,.weight_dot = 2,
		.query_norm2 = 1,.code_norm2 = 0.9f,.inv_code_norm2 = 1.1f,
		.query_error = 0.01f,.row_error = 1e-6f,.round_factor = 1e-6f,
		.slack_norm = 1e-6f,.slack_base = 1e-6f,.gamma = 1e-6f,
		.inv_dim_1 = 0.01f,.epsilon = 2.5f,
	};
	vk_bound_query_finish(&b->query);
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		b->flat.norm2[lane] = 1 + 0.1f * (float) lane;
		b->flat.a[lane] = b->list.a[lane] = b->list.norm[lane] = 0x3c00;
		b->flat.error[lane] = 0x3000;
		b->list.tangent[lane] = 20000;
		for (int i = 0; i < 4; i++)
			b->dots[i].i[lane] = 100 * lane + i;
	}
}

static void
run_bound_flat(VkBenchCase *c)
{
	VkScores	scores;
	Blocks		b;

	fill_blocks(&b);
	for (int row = 0; row < c->rows; row++)
		c->sink += c->kernels.bound_flat(&b.query, &b.flat, &b.dots[row % 4],
										 -100.0f, &scores);
}

static void
run_bound_list(VkBenchCase *c)
{
	const bool	proven = c->family->offset == offsetof(VkKernels, bound_list_proven);
	VkScores	scores;
	Blocks		b;

	fill_blocks(&b);
	for (int row = 0; row < c->rows; row++)
		c->sink += (proven ? c->kernels.bound_list_proven :
					c->kernels.bound_list) (&b.query, &b.list, 1.0f,
											&b.dots[row % 4], -100.0f, &scores);
}

static void
run_bound_l1(VkBenchCase *c)
{
	const bool	proven = c->family->offset == offsetof(VkKernels, bound_list_l1_proven);
	VkScores	scores;
	Blocks		b;

	fill_blocks(&b);
	for (int row = 0; row < c->rows; row++)
		c->sink += c->family->offset == offsetof(VkKernels, bound_flat_l1) ?
			c->kernels.bound_flat_l1(&b.query, &b.flat, &b.dots[row % 4], -100.0f,
									 &scores) :
			(proven ? c->kernels.bound_list_l1_proven :
			 c->kernels.bound_list_l1) (&b.query, &b.list, 1.0f,
										&b.dots[row % 4], -100.0f, &scores);
}

static void
run_screen_rows(VkBenchCase *c)
{
	VkScreenRows rows;
	Blocks		b;

	fill_blocks(&b);
	for (int row = 0; row < c->rows; row++)
	{
		if (c->family->offset == offsetof(VkKernels, screen_flat))
			c->kernels.screen_flat(&b.flat, &rows);
		else
			(c->family->offset == offsetof(VkKernels, screen_list) ?
			 c->kernels.screen_list : c->kernels.screen_list_proven) (&b.list, 1.0f,
																	  &rows);
		c->sink += rows.norm2[row % VK_LANES];
	}
}

static void
run_screen(VkBenchCase *c)
{
	uint16_t	masks[CALL_BLOCKS];

	for (int row = 0; row < c->rows; row += CALL_BLOCKS)
	{
		c->kernels.screen(c->out, c->screen_rows, CALL_BLOCKS, c->screen_queries,
						  masks);
		c->sink += masks[row % CALL_BLOCKS];
	}
}

static void
run_screen_blocks(VkBenchCase *c)
{
	VkScreenBlocks groups[CALL_BLOCKS / VK_LANES];
	uint16_t	lanes[CALL_BLOCKS];
	uint16_t	masks[CALL_BLOCKS / VK_LANES];

	memset(lanes, 0xff, sizeof(lanes));
	for (int first = 0; first < CALL_BLOCKS; first += VK_LANES)
		vk_screen_blocks_fill(c->screen_rows + first, lanes, VK_LANES,
							  groups + first / VK_LANES);
	for (int row = 0; row < c->rows; row += CALL_BLOCKS)
	{
		c->kernels.screen_blocks(c->out, groups, CALL_BLOCKS, c->screen_queries,
								 masks);
		c->sink += masks[0];
	}
}

/* ---------- vector operations ---------- */

static void
run_hadamard(VkBenchCase *c)
{
	int			power = 1;

	while (2 * power <= c->dim)
		power *= 2;
	for (int row = 0; row < c->rows; row++)
		c->kernels.hadamard(c->out, power, 0.0f);
}

static void
run_subtract(VkBenchCase *c)
{
	for (int row = 0; row < c->rows; row++)
		c->kernels.subtract(row_at(c, row), c->query, c->dim, c->out);
}

static void
run_subtract_code(VkBenchCase *c)
{
	for (int row = 0; row < c->rows; row++)
		c->kernels.subtract_code(row_at(c, row), 0.1f, c->query, c->dim, c->out);
}

static void
run_quantize(VkBenchCase *c)
{
	VkQuantized quantized;

	for (int row = 0; row < c->rows; row++)
	{
		c->kernels.quantize_i8(row_at(c, row), c->dim, c->packed, &quantized);
		c->sink += quantized.error2;
	}
}

static void
run_code_trial(VkBenchCase *c)
{
	VkTrial		trial;

	for (int row = 0; row < c->rows; row++)
	{
		c->kernels.code_trial(row_at(c, row), c->dim, VK_FORMAT_B4, 3.0f,
							  c->packed, &trial);
		c->sink += trial.dot;
	}
}

static void
run_code_error(VkBenchCase *c)
{
	for (int row = 0; row < c->rows; row++)
		c->sink += c->kernels.code_error2(row_at(c, row), c->dim, VK_FORMAT_B4,
										  0.1f, c->packed);
}

static void
run_widen(VkBenchCase *c)
{
	const bool	half = c->family->offset == offsetof(VkKernels, half_to_float);

	for (int row = 0; row < c->rows; row++)
		(half ? c->kernels.half_to_float : c->kernels.bf16_to_float) (row_at(c, row),
																	  c->dim, c->out);
}

static void
run_narrow(VkBenchCase *c)
{
	const bool	half = c->family->offset == offsetof(VkKernels, float_to_half);

	for (int row = 0; row < c->rows; row++)
		(half ? c->kernels.float_to_half : c->kernels.float_to_bf16) (row_at(c, row),
																	  c->dim, c->out);
}

/* ---------- all of them ---------- */

static const VkBenchData elements[] = {
	{32, VK_F32}, {16, VK_F16}, {16, VK_BF16}, {8, VK_I8},
};
static const VkBenchData codes[] = {
	{1, VK_I8}, {2, VK_I8}, {4, VK_I8}, {8, VK_I8},
};
static const VkBenchData floats[] = {{16, VK_F16}, {32, VK_F32}, {16, VK_BF16}};
static const VkBenchData dense[] = {{32, VK_F32}, {16, VK_BF16}};
static const VkBenchData refine[] = {{4, VK_I8}, {8, VK_I8}};
static const VkBenchData nothing[] = {
	{0, VK_I8}, {0, VK_I8}, {0, VK_I8}, {0, VK_I8},
};
static const VkBenchData bits[] = {{1, VK_I8}};
static const VkBenchData bytes[] = {{8, VK_I8}};
static const VkBenchData f32[] = {{32, VK_F32}};
static const VkBenchData half[] = {{16, VK_F16}};
static const VkBenchData bf16[] = {{16, VK_BF16}};

#define AT(member)	offsetof(VkKernels, member)

const VkBenchFamily vk_bench_families[] = {
	{AT(pair_l2), 4, elements, NULL, run_pair, VK_ELEMENTS, false, false, false},
	{AT(pair_dot), 4, elements, NULL, run_pair, VK_ELEMENTS, false, false, false},
	{AT(pair_l1), 4, elements, NULL, run_pair, VK_ELEMENTS, false, false, false},
	{AT(pair_cosine), 4, elements, NULL, run_cosine, VK_ELEMENTS, false, false, false},
	{AT(pair_dot_f64), 1, f32, NULL, run_dot_f64, VK_F32, false, false, false},
	{AT(pair_hamming), 1, bits, NULL, run_hamming, VK_I8, false, false, false},
	{AT(pair_jaccard), 1, bits, NULL, run_jaccard, VK_I8, false, false, false},
	{AT(pack_query), 4, nothing, NULL, run_pack_query, VK_I8, false, false, false},
	{AT(scan), 4, codes, prepare_scan, run_scan, VK_I8, false, true, false},
	{AT(scan_float), 3, floats, NULL, run_scan_float, VK_F32, false, true, false},
	{AT(scan_l1), 1, bytes, NULL, run_scan_bytes, VK_I8, false, true, false},
	{AT(scan_hamming), 1, bits, NULL, run_scan_bytes, VK_I8, false, true, false},
	{AT(scan_common), 1, bits, NULL, run_scan_bytes, VK_I8, false, true, false},
	{AT(pack_row), 2, nothing, NULL, run_pack_row, VK_I8, false, false, false},
	{AT(row), 2, refine, prepare_row, run_row, VK_I8, false, false, false},
	{AT(pack_tile), 4, nothing, NULL, run_pack_tile, VK_I8, true, false, false},
	{AT(tile), 4, codes, prepare_tile, run_tile, VK_I8, true, true, false},
	{AT(tile_screen), 4, codes, prepare_tile, run_tile_screen, VK_I8, true, true, false},
	{AT(tile_f32), 1, f32, NULL, run_tile_f32, VK_F32, true, false, false},
	{AT(pack_dense), 2, nothing, NULL, run_pack_dense, VK_F32, true, false, false},
	{AT(tile_dense), 2, dense, prepare_dense, run_tile_dense, VK_ELEMENTS, true, false, false},
	{AT(maxsim), 4, elements, NULL, run_maxsim, VK_ELEMENTS, true, false, false},
	{AT(nearest), 1, f32, NULL, run_nearest, VK_F32, false, false, false},
	{AT(bound_flat), 1, nothing, NULL, run_bound_flat, VK_I8, false, false, true},
	{AT(bound_list), 1, nothing, NULL, run_bound_list, VK_I8, false, false, true},
	{AT(bound_list_proven), 1, nothing, NULL, run_bound_list, VK_I8, false, false, true},
	{AT(bound_flat_l1), 1, nothing, NULL, run_bound_l1, VK_I8, false, false, true},
	{AT(bound_list_l1), 1, nothing, NULL, run_bound_l1, VK_I8, false, false, true},
	{AT(bound_list_l1_proven), 1, nothing, NULL, run_bound_l1, VK_I8, false, false, true},
	{AT(screen_flat), 1, nothing, NULL, run_screen_rows, VK_I8, false, false, true},
	{AT(screen_list), 1, nothing, NULL, run_screen_rows, VK_I8, false, false, true},
	{AT(screen_list_proven), 1, nothing, NULL, run_screen_rows, VK_I8, false, false, true},
	{AT(screen), 1, nothing, NULL, run_screen, VK_I8, false, false, true},
	{AT(screen_blocks), 1, nothing, NULL, run_screen_blocks, VK_I8, false, false, true},
	{AT(hadamard), 1, nothing, NULL, run_hadamard, VK_I8, false, false, false},
	{AT(subtract_code), 1, f32, NULL, run_subtract_code, VK_I8, false, false, false},
	{AT(subtract), 1, f32, NULL, run_subtract, VK_F32, false, false, false},
	{AT(quantize_i8), 1, f32, NULL, run_quantize, VK_I8, false, false, false},
	{AT(code_trial), 1, f32, NULL, run_code_trial, VK_I8, false, false, false},
	{AT(code_error2), 1, f32, NULL, run_code_error, VK_I8, false, false, false},
	{AT(half_to_float), 1, half, NULL, run_widen, VK_I8, false, false, false},
	{AT(float_to_half), 1, f32, NULL, run_narrow, VK_I8, false, false, false},
	{AT(bf16_to_float), 1, bf16, NULL, run_widen, VK_I8, false, false, false},
	{AT(float_to_bf16), 1, f32, NULL, run_narrow, VK_I8, false, false, false},
};

const int	vk_bench_family_count =
	sizeof(vk_bench_families) / sizeof(vk_bench_families[0]);
