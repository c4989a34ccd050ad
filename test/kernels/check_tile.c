/*-------------------------------------------------------------------------
 *
 * check_tile.c
 *	  Tiles of integer codes: matrices and masks, over blocks wherever they lie.
 *
 * NOTES
 *	  The blocks of a case lie flat, on page images, or in pieces of any length
 *	  at any address; the rest of the memory holds ones, so that a line too
 *	  much shows.  The matrix is taken in one call or in parts.
 *
 * IDENTIFICATION
 *	  test/kernels/check_tile.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

typedef enum Layout
{
	LAYOUT_FLAT,
	LAYOUT_PAGES,
	LAYOUT_PIECES,
	LAYOUTS
} Layout;

typedef struct Tile
{
	VkFormat	format;
	Layout		layout;
	int			m;
	int			blocks;
	int			dim;
	int			lines;
	int			trial;			/* 0: largest sums; 1: smallest; else random */
	const uint8_t **line;		/* blocks x lines */
	VkLineRun  *runs;			/* of one call */
	uint8_t    *numbers;		/* blocks x 16 x dim: u */
	int8_t	   *queries;
	size_t		stride;
	void	   *packed;
	int32_t    *expected;		/* m x blocks x 16 */
} Tile;

static void *
take(size_t size)
{
	void	   *memory = calloc(size + 1, 1);

	if (memory == NULL)
		abort();
	return memory;
}

/* ---------- blocks ---------- */

static void
lay_flat(VkCheckRun *run, Tile *t)
{
	const size_t stride = ((size_t) t->lines + vk_random_below(run, 2)) *
		VK_LINE_SIZE;
	const size_t size = t->blocks * stride;
	uint8_t    *memory = vk_buffer(1, size, true, 0);

	memset(memory, 0xff, size);
	for (int b = 0; b < t->blocks; b++)
		for (int g = 0; g < t->lines; g++)
			t->line[b * t->lines + g] = memory + b * stride +
				(size_t) g * VK_LINE_SIZE;
}

static void
lay_pages(VkCheckRun *run, Tile *t)
{
	const int	head_lines = vk_random_below(run, 7);
	const int	pages = vk_page_count(t->blocks, head_lines, t->lines);
	const size_t size = (size_t) pages * VK_PAGE_SIZE;
	VkPageCursor cursor = {0};

	cursor.pages = vk_buffer(1, size, true, 0);
	memset(cursor.pages, 0xff, size);
	for (int b = 0; b < t->blocks; b++)
	{
		int			count = vk_page_block(&cursor, head_lines, t->lines, t->runs);
		int			g = 0;

		for (int i = 0; i < count; i++)
			for (int j = 0; j < t->runs[i].lines; j++)
				t->line[b * t->lines + g++] = t->runs[i].code +
					(size_t) j * VK_LINE_SIZE;
	}
}

/* pieces with a gap of a few bytes between them, the last one at the end */
static void
lay_pieces(VkCheckRun *run, Tile *t)
{
	const size_t most = (size_t) t->blocks * t->lines * (VK_LINE_SIZE + 16);
	uint8_t    *memory = vk_buffer(1, most, true, 0);
	uint8_t    *end = memory + most;

	memset(memory, 0xff, most);
	for (int i = t->blocks * t->lines - 1; i >= 0; i--)
	{
		end -= VK_LINE_SIZE;
		t->line[i] = end;
		if (vk_random_below(run, 3) == 0)
			end -= 1 + vk_random_below(run, 15);
	}
}

/* lines first .. first + lines - 1 of each block as runs */
static void
find_runs(const Tile *t, int first, int lines, VkLineRun *runs)
{
	for (int b = 0; b < t->blocks; b++)
		for (int g = first; g < first + lines; g++)
		{
			const uint8_t *line = t->line[b * t->lines + g];

			if (g > first && line == runs[-1].code +
				(size_t) runs[-1].lines * VK_LINE_SIZE)
				runs[-1].lines++;
			else
				*runs++ = (VkLineRun) {line, 1};
		}
}

/* ---------- queries, codes, truth ---------- */

static void
fill_lines(VkCheckRun *run, Tile *t)
{
	const int	bits = vk_format_bits[t->format];
	const int	line_dims = vk_format_line_dims[t->format];

	for (int i = 0; i < t->blocks * t->lines; i++)
		for (int j = 0; j < VK_LINE_SIZE; j++)
			((uint8_t *) t->line[i])[j] = (uint8_t) (t->trial < 2 ? 0xff :
													 vk_random(run));
	for (int row = 0; row < t->blocks * VK_LANES; row++)
		for (int i = 0; i < t->dim; i++)
			t->numbers[(size_t) row * t->dim + i] =
				(uint8_t) vk_stored(t->line[row / VK_LANES * t->lines + i / line_dims],
									bits, row % VK_LANES, i);
}

static void
fill_queries(VkCheckRun *run, Tile *t)
{
	const size_t size = t->m == 0 ? 0 : (t->m - 1) * t->stride + t->dim;

	t->queries = vk_place(run, 0, size, 1);
	for (size_t i = 0; i < size; i++)
		t->queries[i] = (int8_t) (t->trial == 0 ? 127 : t->trial == 1 ? -127 :
								  vk_random_below(run, 255) - 127);
}

/* sums over lines first .. of the blocks, added to expected */
static void
add_expected(Tile *t, int first_line)
{
	const int	first = first_line * vk_format_line_dims[t->format];
	int32_t    *out = t->expected;

	for (int i = 0; i < t->m; i++)
		for (int row = 0; row < t->blocks * VK_LANES; row++)
		{
			const int8_t *query = t->queries + i * t->stride;
			const uint8_t *u = t->numbers + (size_t) row * t->dim;
			int32_t		sum = 0;

			for (int j = first; j < t->dim; j++)
				sum += query[j] * u[j];
			*out++ += sum;
		}
}

static const char *
describe(const Tile *t)
{
	static const char *const layouts[] = {"flat", "pages", "pieces"};
	static char words[100];

	snprintf(words, sizeof(words), "%d bits, %d x %d blocks, dim %d, %s, trial %d",
			 vk_format_bits[t->format], t->m, t->blocks, t->dim,
			 layouts[t->layout], t->trial);
	return words;
}

/* ---------- the matrix ---------- */

/*
 * Parts of a random number of steps.  At times the first part is left out and
 * the sums are added to what is there.
 */
static void
check_matrix(VkCheckRun *run, Tile *t)
{
	const int	step = VK_TILE_STEP / vk_format_line_dims[t->format];
	const size_t count = (size_t) t->m * t->blocks * VK_LANES;
	const bool	whole = vk_random_below(run, 3) == 0;
	int32_t    *out = vk_place(run, 2, count * sizeof(int32_t), 4);
	int			first = 0;
	size_t		wrong = 0;

	if (!whole && t->lines > step && vk_random_below(run, 4) == 0)
		first = step * (1 + vk_random_below(run, (t->lines - 1) / step));
	for (size_t i = 0; i < count; i++)
	{
		out[i] = (int32_t) vk_random_below(run, 1000) - 500;
		t->expected[i] = first > 0 ? out[i] : 0;
	}
	add_expected(t, first);
	do
	{
		int			lines = t->lines - first;
		int			part = step * (1 + vk_random_below(run, 20));

		lines = whole || lines < part ? lines : part;
		find_runs(t, first, lines, t->runs);
		VK_CALL(run, tile[t->format]) (t->packed, t->m, t->dim, t->runs,
									   t->blocks, first, lines, out);
		first += lines;
	} while (first < t->lines);

	vk_check(run, vk_buffer_intact(2, out, count * sizeof(int32_t)),
			 "tile %s writes around its output", describe(t));
	while (wrong < count && out[wrong] == t->expected[wrong])
		wrong++;
	vk_check(run, wrong == count, "tile %s at element %d: %d, should be %d",
			 describe(t), (int) wrong, wrong < count ? out[wrong] : 0,
			 wrong < count ? t->expected[wrong] : 0);
}

/* ---------- masks ---------- */

static float
positive(VkCheckRun *run)
{
	return ldexpf(1 + (float) vk_random_unit(run), vk_random_below(run, 12) - 6);
}

/* rows and a query such that masks mix, and some lanes meet the threshold */
static void
fill_screen(VkCheckRun *run, const Tile *t, VkScreenRows *rows,
			VkScreenQuery *queries)
{
	for (int b = 0; b < t->blocks; b++)
		for (int lane = 0; lane < VK_LANES; lane++)
		{
			const bool	unbound = vk_random_below(run, 20) == 0;

			rows[b].norm2[lane] = unbound ? 0 : positive(run);
			rows[b].a[lane] = unbound ? 0 : (float) vk_random_normal(run);
			rows[b].a_error[lane] = unbound ? 0 : positive(run) / 1000;
			rows[b].error[lane] = unbound ? 0 : positive(run) / 100;
			rows[b].norm[lane] = unbound ? INFINITY : positive(run);
		}
	for (int i = 0; i < t->m; i++)
	{
		VkScreenQuery *q = &queries[i];
		const int32_t *dots = t->expected + (size_t) i * t->blocks * VK_LANES;
		const int	row = vk_random_below(run, t->blocks * VK_LANES);

		q->dot_mult = 1 + vk_random_below(run, 2);
		q->dot_offset = vk_random_below(run, 200000) - 100000;
		q->scale = 1 / (1000 * positive(run));
		q->base = (float) vk_random_normal(run);
		q->weight_norm2 = (float) vk_random_below(run, 2);
		q->weight_error = positive(run);
		q->weight_norm = positive(run) / 100;
		q->threshold = vk_screen_lower(q, &rows[row / VK_LANES], row % VK_LANES,
									   dots[row]);
		if (vk_random_below(run, 4) == 0)
			q->threshold = nextafterf(q->threshold, INFINITY);
	}
}

static void
check_masks(VkCheckRun *run, Tile *t)
{
	const size_t count = (size_t) t->m * t->blocks;
	VkScreenRows *rows = vk_buffer(4, t->blocks * sizeof(*rows), true, 0);
	VkScreenQuery *queries = vk_buffer(5, t->m * sizeof(*queries), true, 0);
	uint16_t   *masks = vk_place(run, 6, count * sizeof(*masks), 2);

	memset(t->expected, 0, count * VK_LANES * sizeof(int32_t));
	add_expected(t, 0);
	fill_screen(run, t, rows, queries);
	find_runs(t, 0, t->lines, t->runs);
	VK_CALL(run, tile_screen[t->format]) (t->packed, t->m, t->dim, t->runs,
										  t->blocks, rows, queries, masks);
	vk_check(run, vk_buffer_intact(6, masks, count * sizeof(*masks)),
			 "tile_screen %s writes around its masks", describe(t));
	for (size_t i = 0; i < count; i++)
	{
		const VkScreenRows *block = &rows[i % t->blocks];
		const VkScreenQuery *query = &queries[i / t->blocks];
		uint16_t	want = 0;

		for (int lane = 0; lane < VK_LANES; lane++)
			want |= (uint16_t) (!(vk_screen_lower(query, block, lane,
												  t->expected[i * VK_LANES + lane]) >
								  query->threshold) << lane);
		vk_check(run, masks[i] == want, "tile_screen %s at %d, %d: %04x, should "
				 "be %04x", describe(t), (int) (i / t->blocks),
				 (int) (i % t->blocks), masks[i], want);
	}
}

/* ---------- all ---------- */

static void
check_tile(VkCheckRun *run, VkFormat format, int m, int blocks, int dim,
		   Layout layout, int trial)
{
	static void (*const lay[LAYOUTS]) (VkCheckRun *run, Tile *t) = {
		lay_flat, lay_pages, lay_pieces,
	};
	const size_t packed_size = VK_PACKED_TILE_SIZE(format, m, dim);
	Tile		t = {format, layout, m, blocks, dim, 0, trial, NULL, NULL, NULL,
	NULL, 0, NULL, NULL};

	t.lines = vk_format_lines(format, dim);
	t.line = take((size_t) blocks * t.lines * sizeof(*t.line));
	t.runs = take((size_t) (blocks * t.lines + 2) * sizeof(VkLineRun));
	t.numbers = take((size_t) blocks * VK_LANES * dim);
	t.expected = take((size_t) m * blocks * VK_LANES * sizeof(int32_t));
	t.stride = dim + vk_random_below(run, 3);
	t.packed = vk_buffer(3, packed_size, true, 0);
	lay[layout] (run, &t);
	fill_lines(run, &t);
	fill_queries(run, &t);
	VK_CALL(run, pack_tile[format]) (t.queries, t.stride, m, dim, t.packed);
	vk_check(run, vk_buffer_intact(3, t.packed, packed_size),
			 "pack_tile %s writes outside its buffer", describe(&t));
	check_matrix(run, &t);
	if (blocks > 0)
		check_masks(run, &t);
	free(t.line);
	free(t.runs);
	free(t.numbers);
	free(t.expected);
}

/* of no lines every sum is 0 */
static void
check_no_lines(VkCheckRun *run, VkFormat format, int m)
{
	enum
	{
		DIM = 37,
		BLOCKS = 3,
		MOST = 40
	};
	const size_t size = (size_t) m * BLOCKS * VK_LANES * sizeof(int32_t);
	const VkLineRun none = {NULL, 0};
	int8_t		queries[MOST * DIM] = {0};
	void	   *packed = vk_buffer(3, VK_PACKED_TILE_SIZE(format, m, DIM), true, 0);
	int32_t    *out = vk_buffer(4, size, true, 0);
	int			left = 0;

	VK_CALL(run, pack_tile[format]) (queries, DIM, m, DIM, packed);
	memset(out, 0x55, size);
	VK_CALL(run, tile[format]) (packed, m, DIM, &none, BLOCKS, 0, 0, out);
	for (size_t i = 0; i < size / sizeof(int32_t); i++)
		left += out[i] != 0;
	vk_check(run, left == 0, "tile of no lines, format %d, %d queries: %d sums are not 0",
			 (int) format, m, left);
}

/* every shape, at a dimension of one odd line and of several steps */
static void
check_shapes(VkCheckRun *run, VkFormat format)
{
	static const int ms[] = {0, 1, 2, 15, 16, 17, 33, 64, 96, 97, 128, 145};
	static const int dims[] = {37, 200};

	for (size_t i = 0; i < sizeof(ms) / sizeof(ms[0]); i++)
		for (int blocks = 0; blocks <= 9; blocks++)
			check_tile(run, format, ms[i], blocks, dims[(i + blocks) % 2],
					   (Layout) ((i + blocks) % LAYOUTS), 2);
}

void
vk_check_tiles(VkCheckRun *run)
{
	/* of one kernel call, in products; an emulated one takes long */
	const double most = run->slow ? 1e5 : 2e6;

	for (int format = 0; format < VK_INT_FORMATS; format++)
	{
		check_no_lines(run, (VkFormat) format, 5);
		check_no_lines(run, (VkFormat) format, 33);
		if (!run->slow)
			check_shapes(run, (VkFormat) format);
		for (int d = vk_check_first(run); d < vk_check_dim_count;
			 d += vk_check_step(run))
			for (int trial = 0; trial < 4; trial++)
			{
				const int	dim = vk_check_dims[d];
				int			blocks = 1 + vk_random_below(run, 6);
				int			m = 1 + vk_random_below(run, 40);

				while ((double) m * blocks * VK_LANES * dim > most && m > 1)
					m /= 2;
				while ((double) m * blocks * VK_LANES * dim > most && blocks > 1)
					blocks /= 2;
				check_tile(run, (VkFormat) format, m, blocks, dim,
						   (Layout) vk_random_below(run, LAYOUTS), trial);
			}
		/* deep tiles of several queries and blocks: K blocking */
		check_tile(run, (VkFormat) format, 17, 3, 1537, LAYOUT_PAGES, 2);
		check_tile(run, (VkFormat) format, 33, 2, 1100, LAYOUT_PIECES, 0);
		check_tile(run, (VkFormat) format, 16, 1, 16000, LAYOUT_PAGES, 1);
	}
}
