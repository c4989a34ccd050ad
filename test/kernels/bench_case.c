/*-------------------------------------------------------------------------
 *
 * bench_case.c
 *	  One slot made ready to be measured: its rows, queries and packed forms.
 *
 * NOTES
 *	  Page images are in random order, as buffers of a server that has run for
 *	  a while are.  Queries are packed once, beforehand.
 *
 * IDENTIFICATION
 *	  test/kernels/bench_case.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define SAMPLE_SIZE		((size_t) 1 << 20)	/* drawn, then repeated */
#define SLOT_SIZE		sizeof(void (*) (void))
#define CALL_ROWS		512		/* rows of one call, at most (bench_slots.c) */

static void *
take(size_t size)
{
	void	   *memory = aligned_alloc(64, (size + 64) / 64 * 64);

	if (memory == NULL)
	{
		fprintf(stderr, "vkcheck: out of memory\n");
		exit(2);
	}
	memset(memory, 0, size);
	return memory;
}

/* ---------- slots ---------- */

const VkBenchFamily *
vk_bench_family(int slot, int *index)
{
	for (int i = 0; i < vk_bench_family_count; i++)
	{
		const VkBenchFamily *family = &vk_bench_families[i];
		const int	first = (int) (family->offset / SLOT_SIZE);

		if (slot >= first && slot < first + family->count)
		{
			*index = slot - first;
			return family;
		}
	}
	return NULL;
}

int
vk_bench_slot(const char *name)
{
	int			index;

	for (int slot = 0; slot < vk_slot_count; slot++)
		if (strcmp(vk_slot_names[slot], name) == 0)
			return vk_bench_family(slot, &index) == NULL ? -1 : slot;
	return -1;
}

double
vk_bench_row_size(int slot, int dim)
{
	int			index;
	const VkBenchFamily *family = vk_bench_family(slot, &index);

	return family->data[index].bits * (double) dim / 8;
}

/* lines of a block of 16 rows */
static int
block_lines(int slot, int dim)
{
	return (int) (vk_bench_row_size(slot, dim) * VK_LANES + VK_LINE_SIZE - 1) /
		VK_LINE_SIZE;
}

size_t
vk_bench_memory(int slot, int dim, int rows, int pages)
{
	const int	lines = block_lines(slot, dim);

	if (pages)
		return (size_t) vk_page_count(rows / VK_LANES, VK_BENCH_HEAD_LINES, lines) *
			VK_PAGE_SIZE;
	return (size_t) (rows / VK_LANES) * lines * VK_LINE_SIZE;
}

/* ---------- numbers ---------- */

static void
draw_elements(VkElement element, uint64_t seed, void *memory, size_t count)
{
	VkCheckRun	run = {.random = seed};

	for (size_t i = 0; i < count; i++)
	{
		float		f = (float) vk_random_unit(&run) - 0.5f;

		if (element == VK_F32)
			((float *) memory)[i] = f;
		else if (element == VK_F16)
			vk_kernels->float_to_half(&f, 1, (uint16_t *) memory + i);
		else if (element == VK_BF16)
			vk_kernels->float_to_bf16(&f, 1, (uint16_t *) memory + i);
		else
			((uint8_t *) memory)[i] = (uint8_t) vk_random(&run);
	}
}

void
vk_bench_fill(int slot, void *memory, size_t size)
{
	const size_t sample = size < SAMPLE_SIZE ? size : SAMPLE_SIZE;
	int			index;
	const VkBenchFamily *family = vk_bench_family(slot, &index);
	const VkElement element = family->data[index].element;

	draw_elements(element, 1, memory, sample / vk_element_size[element]);
	for (size_t done = sample; done < size; done += sample)
		memcpy((char *) memory + done, memory,
			   size - done < sample ? size - done : sample);
}

/*
 * As many values as the queries have.  Those of int8 are normal variates coded as
 * queries are: a scan by tables depends on how their magnitudes are spread.
 */
static void
draw_queries(VkBenchCase *c, VkElement element, size_t count)
{
	VkCheckRun	run = {.random = 2};
	float	   *values;

	if (element != VK_I8)
	{
		draw_elements(element, 2, c->query, count);
		return;
	}
	values = take(count * sizeof(float));
	for (size_t i = 0; i < count; i++)
		values[i] = (float) vk_random_normal(&run);
	for (int i = 0; i < c->queries; i++)
	{
		const size_t first = (size_t) i * c->dim;
		VkQuantized quantized;

		vk_kernels->quantize_i8(values + first, c->dim,
								(int8_t *) c->query + first, &quantized);
	}
	free(values);
}

/* a screen that most lanes do not pass */
static void
prepare_screen(VkBenchCase *c)
{
	c->screen_rows = take(CALL_ROWS / VK_LANES * sizeof(VkScreenRows));
	c->screen_queries = take(c->queries * sizeof(VkScreenQuery));
	for (int row = 0; row < CALL_ROWS; row++)
	{
		VkScreenRows *rows = &c->screen_rows[row / VK_LANES];

		rows->norm2[row % VK_LANES] = 1;
		rows->a[row % VK_LANES] = 1e-6f;
		rows->norm[row % VK_LANES] = 1;
	}
	for (int i = 0; i < c->queries; i++)
		c->screen_queries[i] = (VkScreenQuery) {2, 100, 0.01f, 1, 1, 1, 0.01f, 0.5f};
}

/* ---------- cases ---------- */

static int *
shuffled(int count)
{
	VkCheckRun	run = {.random = 3};
	int		   *order = take(count * sizeof(int));

	for (int i = 0; i < count; i++)
	{
		int			j = vk_random_below(&run, i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	return order;
}

VkBenchCase *
vk_bench_open_table(const VkKernels *kernels, int slot, int dim, int rows,
					int queries, int pages, void *memory)
{
	VkBenchCase *c = take(sizeof(*c));
	const size_t wide = (size_t) queries * dim;
	VkElement	element;

	c->kernels = *kernels;
	c->family = vk_bench_family(slot, &c->index);
	c->dim = dim;
	c->queries = queries;
	c->rows = rows / VK_LANES * VK_LANES;
	c->lines = block_lines(slot, dim);
	c->data = memory;
	if (pages)
	{
		c->pages = vk_page_count(rows / VK_LANES, VK_BENCH_HEAD_LINES, c->lines);
		c->order = shuffled(c->pages);
	}
	element = c->family->query == VK_ELEMENTS ?
		c->family->data[c->index].element : c->family->query;
	c->query = take((wide + 64) * sizeof(float));
	draw_queries(c, element, wide);
	/* 1 bit has the largest packed form of all, dense ones aside */
	c->packed = take(VK_PACKED_TILE_SIZE(VK_FORMAT_B1, queries, dim) +
					 VK_PACKED_DENSE_SIZE(4, queries, dim));
	/* a matrix of one call, or what one row becomes */
	c->out = take(((size_t) queries * CALL_ROWS + dim + 64) * sizeof(float));
	prepare_screen(c);
	if (c->family->prepare != NULL)
		c->family->prepare(c);
	return c;
}

VkBenchCase *
vk_bench_open(const char *isa, int slot, int dim, int rows, int queries,
			  int pages, void *memory)
{
	VkKernels	kernels;

	for (int i = vk_isa_count - 1; i >= 0; i--)
		if ((strcmp(isa, "auto") == 0 || strcmp(isa, vk_isas[i].name) == 0) &&
			vk_kernels_fill(&kernels, i))
			return vk_bench_open_table(&kernels, slot, dim, rows, queries, pages,
									   memory);
	return NULL;
}

void
vk_bench_run(VkBenchCase *c)
{
	c->family->run(c);
}

void
vk_bench_close(VkBenchCase *c)
{
	free(c->order);
	free(c->query);
	free(c->packed);
	free(c->out);
	free(c->screen_rows);
	free(c->screen_queries);
	free(c);
}

/* loads as wide as the CPU has; several builds, chosen when the library loads */
#if defined(__x86_64__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
uint64_t
vk_bench_read(const void *memory, size_t size, int ahead, int streams)
{
	typedef uint64_t Line __attribute__((vector_size(VK_LINE_SIZE)));
	const size_t part = size / VK_LINE_SIZE / streams;
	Line		even = {0};
	Line		odd = {0};
	uint64_t	sum = 0;

	for (size_t i = 0; i + 2 <= part; i += 2)
		for (int stream = 0; stream < streams; stream++)
		{
			const Line *lines = (const Line *) memory + stream * part + i;

			if (ahead > 0)
			{
				__builtin_prefetch((const char *) &lines[0] + ahead, 0, 2);
				__builtin_prefetch((const char *) &lines[1] + ahead, 0, 2);
			}
			even ^= lines[0];
			odd ^= lines[1];
		}
	even ^= odd;
	for (int i = 0; i < VK_LINE_SIZE / 8; i++)
		sum ^= even[i];
	return sum;
}
