/*-------------------------------------------------------------------------
 *
 * bench.c
 *	  vkcheck --bench: every slot, from the second-level cache and from memory.
 *
 * NOTES
 *	  The tables that have code of their own for a slot take turns, round by
 *	  round over the same rows; the best round of each counts.  Sets from
 *	  memory have one more turn, that of plain reading, so that "of read"
 *	  compares with what this core could read at that time.  Flat sets are
 *	  arrays of rows or blocks; page sets have blocks on 8-kB page images in
 *	  random order.
 *
 *	  GMAC/s are useful products (dimensions x rows x queries), Mcodes/s rows x
 *	  queries, GB/s the bytes of rows.  A row of bounds and screens is a block,
 *	  a row of packing a call.
 *
 * IDENTIFICATION
 *	  test/kernels/bench.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

#define L2_SIZE			((size_t) 384 << 10)
#define MEMORY_SIZE		((size_t) 128 << 20)
#define CALLS			1024	/* rows of a slot that has none */
#define ROUNDS			5		/* at least */
#define ROUNDS_MOST		40
#define ROUNDS_TIME		0.02	/* seconds a table, unless ROUNDS take longer */
#define SAMPLE_TIME		0.0005	/* seconds a sample, at least */
#define TABLES_MOST		16

typedef struct Place
{
	const char *name;
	size_t		size;
	bool		pages;
} Place;

static const Place places[] = {
	{"L2", L2_SIZE, false},
	{"L2 pages", L2_SIZE, true},
	{"memory", MEMORY_SIZE, false},
	{"memory pages", MEMORY_SIZE, true},
};

/* one line of the report for each table */
typedef struct Shape
{
	int			slot;
	const VkBenchFamily *family;
	const VkBenchData *data;
	const Place *place;
	int			dim;
	int			queries;
	int			rows;
} Shape;

static void *memory;
static size_t filled_size;
static VkElement filled;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

static double
time_of(VkBenchCase *c, int repeats)
{
	const double start = now();

	for (int i = 0; i < repeats; i++)
		vk_bench_run(c);
	return (now() - start) / repeats;
}

/* passes that make a sample long enough to be timed */
static int
sample_repeats(VkBenchCase *c)
{
	const double once = time_of(c, 1);

	return once >= SAMPLE_TIME ? 1 : (int) (SAMPLE_TIME / (once + 1e-9)) + 1;
}

static double
time_of_read(size_t size)
{
	static const struct
	{
		int			ahead;
		int			streams;
	}			ways[] = {{0, 1}, {512, 1}, {2048, 1}, {0, 4}, {0, 8}, {2048, 8}};
	double		best = INFINITY;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
	{
		const double start = now();

		(void) vk_bench_read(memory, size, ways[i].ahead, ways[i].streams);
		best = fmin(best, now() - start);
	}
	return best;
}

/* best times of all tables, and seconds a byte of reading, in paired rounds */
static void
time_cases(VkBenchCase **cases, int count, const Shape *shape, double *best,
		   double *read)
{
	const size_t size = shape->place->size;
	int			repeats[TABLES_MOST];
	double		spent = 0;

	*read = INFINITY;
	for (int i = 0; i < count; i++)
	{
		best[i] = INFINITY;
		repeats[i] = sample_repeats(cases[i]);
	}
	for (int round = 0; round < ROUNDS ||
		 (round < ROUNDS_MOST && spent < ROUNDS_TIME * count); round++)
	{
		for (int i = 0; i < count; i++)
		{
			const double time = time_of(cases[i], repeats[i]);

			best[i] = fmin(best[i], time);
			spent += time * repeats[i];
		}
		if (shape->data->bits > 0 && size == MEMORY_SIZE)
			*read = fmin(*read, time_of_read(size) / (double) size);
	}
}

static void
print_line(const Shape *shape, const char *isa, double seconds, double read)
{
	const double codes = (double) shape->rows * shape->queries;
	const double bytes = shape->rows * vk_bench_row_size(shape->slot, shape->dim);

	printf("%-19s %-12s %3d %5d  %-7s %11.2f", vk_slot_names[shape->slot],
		   shape->data->bits == 0 ? "-" : shape->place->name, shape->queries,
		   shape->dim, isa, seconds / shape->rows * 1e9);
	if (!shape->family->any_dim)
		printf(" %8.1f", codes * shape->dim / seconds * 1e-9);
	if (shape->data->bits > 0)
		printf(" %9.1f %7.1f", codes / seconds * 1e-6, bytes / seconds * 1e-9);
	if (read < INFINITY)
		printf(" %5.0f%%", 100 * read * bytes / seconds);
	printf("\n");
	fflush(stdout);
}

/* has the table code of its own, or the first of all? */
static bool
own_code(const VkBenchTable *tables, int table, int slot)
{
	const size_t size = sizeof(void (*) (void));
	const char *mine = (const char *) tables[table].kernels + slot * size;

	for (int i = 0; i < table; i++)
		if (memcmp((const char *) tables[i].kernels + slot * size, mine, size) == 0)
			return false;
	return true;
}

/* the reference's code, whoever uses it, only where that takes no time */
static bool
worth_it(const Shape *shape, const VkBenchTable *tables, int table)
{
	return own_code(tables, table, shape->slot) &&
		(strcmp(tables[table].isa, "ref") != 0 ||
		 (shape->queries == 1 && shape->place == &places[0]));
}

static void
bench_shape(const Shape *shape, const VkBenchTable *tables, int count)
{
	VkBenchCase *cases[TABLES_MOST];
	double		best[TABLES_MOST];
	int			own[TABLES_MOST];
	double		read;
	int			n = 0;

	for (int i = 0; i < count && i < TABLES_MOST; i++)
		if (worth_it(shape, tables, i))
			own[n++] = i;
	if (n == 0)
		return;
	if (filled_size < shape->place->size || filled != shape->data->element)
	{
		filled_size = shape->place->size;
		filled = shape->data->element;
		vk_bench_fill(shape->slot, memory, filled_size);
	}
	for (int i = 0; i < n; i++)
		cases[i] = vk_bench_open_table(tables[own[i]].kernels, shape->slot,
									   shape->dim, shape->rows, shape->queries,
									   shape->place->pages, memory);
	time_cases(cases, n, shape, best, &read);
	for (int i = 0; i < n; i++)
	{
		print_line(shape, tables[own[i]].isa, best[i], read);
		vk_bench_close(cases[i]);
	}
}

/* as many rows as the place has room for, on whole blocks */
static int
count_rows(const Shape *shape)
{
	const double row = vk_bench_row_size(shape->slot, shape->dim);
	double		rows = (double) shape->place->size / row;

	if (shape->data->bits == 0)
		return CALLS;
	rows = (double) (int) (rows / VK_LANES) * VK_LANES;
	while (vk_bench_memory(shape->slot, shape->dim, (int) rows,
						   shape->place->pages) > shape->place->size)
		rows = (double) (int) (rows * 0.98 / VK_LANES) * VK_LANES;
	return (int) rows;
}

static void
bench_slot(int slot, const VkBenchTable *tables, int count)
{
	static const int dims[] = {128, 768, 1536};
	Shape		shape = {.slot = slot};
	int			index;

	shape.family = vk_bench_family(slot, &index);
	if (shape.family == NULL)
		return;
	shape.data = &shape.family->data[index];
	for (size_t p = 0; p < sizeof(places) / sizeof(places[0]); p++)
		for (int many = 0; many <= shape.family->many; many++)
			for (size_t d = 0; d < sizeof(dims) / sizeof(dims[0]); d++)
			{
				shape.place = &places[p];
				shape.queries = many ? VK_BENCH_QUERIES : 1;
				shape.dim = dims[d];
				if ((shape.place->pages && !shape.family->blocks) ||
					(p > 0 && shape.data->bits == 0) ||
					(d > 0 && shape.family->any_dim))
					continue;
				shape.rows = count_rows(&shape);
				bench_shape(&shape, tables, count);
			}
}

void
vk_bench(const VkBenchTable *tables, int count, const char *filter)
{
	memory = aligned_alloc(VK_PAGE_SIZE, MEMORY_SIZE);
	if (memory == NULL)
	{
		fprintf(stderr, "vkcheck: out of memory\n");
		exit(2);
	}
	filled_size = 0;
	printf("%-19s %-12s %3s %5s  %-7s %11s %8s %9s %7s %6s\n", "slot", "from", "q",
		   "dim", "isa", "ns a row", "GMAC/s", "Mcodes/s", "GB/s", "of read");
	for (int slot = 0; slot < vk_slot_count; slot++)
		if (strstr(vk_slot_names[slot], filter) != NULL)
			bench_slot(slot, tables, count);
	free(memory);
}
