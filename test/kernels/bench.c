/*-------------------------------------------------------------------------
 *
 * bench.c
 *	  vkcheck --bench: every slot of one ISA, from L2 and from memory.
 *
 * NOTES
 *	  A bench goes once over a set of rows; the best of several rounds counts.
 *	  The set of "L2" is 256 kB, that of "memory" 128 MB.  GMAC/s are useful
 *	  multiplications (dimensions x rows x queries), GB/s the bytes of codes.
 *
 * IDENTIFICATION
 *	  test/kernels/bench.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"

#define L2_SIZE			(256 << 10)
#define MEMORY_SIZE		(128 << 20)
#define TILE_M			96		/* queries of a tile */
#define TILE_N			64		/* rows of an f32 tile's other side */

typedef struct Bench Bench;

typedef struct Arena
{
	const VkKernels *k;
	const Bench *bench;
	int			dim;
	long		rows;			/* of the set */
	uint8_t    *data;
	float	   *query;			/* TILE_M x VK_MAX_DIM floats */
	int8_t	   *code;			/* the same, int8 */
	float	   *out;
	void	   *packed;
	double		sink;			/* results end here, so that none is dropped */
} Arena;

struct Bench
{
	const char *name;
	void		(*run) (Arena *arena);
	int			bits;			/* of data a dimension */
	int			queries;		/* products a dimension */
	int			argument;		/* format, index or which function */
};

static const float *
float_row(const Arena *arena, long row)
{
	return (const float *) arena->data + row * arena->dim;
}

static void
run_pair(Arena *arena)
{
	float		(*const pair[]) (const float *, const float *, int) = {
		arena->k->pair_l2_f32, arena->k->pair_dot_f32, arena->k->pair_l1_f32,
	};

	for (long row = 0; row < arena->rows; row++)
		arena->sink += pair[arena->bench->argument] (float_row(arena, row),
													 arena->query, arena->dim);
}

static void
run_cosine(Arena *arena)
{
	float		out[3];

	for (long row = 0; row < arena->rows; row++)
	{
		arena->k->pair_cosine_f32(float_row(arena, row), arena->query,
								  arena->dim, out);
		arena->sink += out[0];
	}
}

static void
run_dot_f64(Arena *arena)
{
	for (long row = 0; row < arena->rows; row++)
		arena->sink += arena->k->pair_dot_f64(float_row(arena, row),
											  arena->query, arena->dim);
}

static void
run_pack(Arena *arena)
{
	for (long row = 0; row < arena->rows; row++)
		arena->k->pack_query[arena->bench->argument] (arena->code, arena->dim,
													  arena->packed);
}

static void
run_scan(Arena *arena)
{
	VkFormat	format = (VkFormat) arena->bench->argument;
	int			lines = vk_format_lines(format, arena->dim);
	const uint8_t *code = arena->data;

	if (format < VK_INT_FORMATS)
		arena->k->pack_query[format] (arena->code, arena->dim, arena->packed);
	for (long row = 0; row < arena->rows; row += VK_LANES)
	{
		VkDots		dots = {{0}};

		if (format < VK_INT_FORMATS)
			arena->k->scan[format] (arena->packed, 0, code, lines, &dots);
		else
			arena->k->scan_float[format - VK_FORMAT_F16] (arena->query, 0, code,
														  lines, &dots);
		code += (size_t) lines * VK_LINE_SIZE;
		arena->sink += dots.i[3];
	}
}

static void
run_row(Arena *arena)
{
	int			which = arena->bench->argument;
	size_t		size = which == 0 ? (arena->dim + 1) / 2 : arena->dim;

	arena->k->pack_row[which] (arena->code, arena->dim, arena->packed);
	for (long row = 0; row < arena->rows; row++)
		arena->sink += arena->k->row[which] (arena->packed,
											 arena->data + row * size, arena->dim);
}

static void
run_tile_i8(Arena *arena)
{
	size_t		block = (size_t) vk_format_lines(VK_FORMAT_B8, arena->dim) * VK_LINE_SIZE;
	long		blocks = arena->rows / VK_LANES;

	for (long b = 0; b < blocks; b += 16)
		arena->k->tile_i8(arena->code, arena->dim, TILE_M,
						  arena->data + b * block, block,
						  blocks - b < 16 ? (int) (blocks - b) : 16, arena->dim,
						  (int32_t *) arena->out);
	arena->sink += ((int32_t *) arena->out)[5];
}

static void
run_tile_f32(Arena *arena)
{
	for (long row = 0; row < arena->rows; row += TILE_N)
		arena->k->tile_f32(arena->query, arena->dim, TILE_M,
						   float_row(arena, row), arena->dim,
						   arena->rows - row < TILE_N ? (int) (arena->rows - row) : TILE_N,
						   arena->dim, arena->out);
	arena->sink += arena->out[5];
}

/* one block a row counted: the set's size does not matter here */
static void
run_bound(Arena *arena)
{
	VkBoundQuery query = {
		.dot_mult = 2,.dot_offset = 100,.query_scale = 0.01f,.code_unit = 0.1f,
		.base = 1,.weight_norm = 1,.weight_dot = 2,
		.query_norm2 = 1,.code_norm2 = 0.9f,.inv_code_norm2 = 1.1f,
		.query_error = 0.01f,.row_error = 1e-6f,.round_factor = 1e-6f,
		.slack_norm = 1e-6f,.slack_base = 1e-6f,.gamma = 1e-6f,
		.inv_dim_1 = 0.01f,.epsilon = 2.5f,
	};
	VkFlatAnnotation flat;
	VkListAnnotation list;
	VkDots		dots[4];		/* alternating, so that nothing is hoisted */
	VkScores	scores;

	vk_bound_query_finish(&query);
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		flat.norm2[lane] = 1 + 0.1f * lane;
		flat.a[lane] = list.a[lane] = list.norm[lane] = 0x3c00;
		flat.error[lane] = 0x3000;
		list.tangent[lane] = 20000;
		for (int i = 0; i < 4; i++)
			dots[i].i[lane] = 100 * lane + i;
	}
	for (long row = 0; row < arena->rows; row++)
	{
		const VkDots *dot = &dots[row % 4];

		if (arena->bench->argument == 0)
			arena->sink += arena->k->bound_flat(&query, &flat, dot, -100.0f, &scores);
		else if (arena->bench->argument == 1)
			arena->sink += arena->k->bound_list(&query, &list, 1.0f, dot, -100.0f,
												&scores);
		else
			arena->sink += arena->k->bound_list_proven(&query, &list, 1.0f, dot,
													   -100.0f, &scores);
	}
}

static void
run_hadamard(Arena *arena)
{
	int			power = 1;

	while (2 * power <= arena->dim)
		power *= 2;
	for (long row = 0; row < arena->rows; row++)
		arena->k->hadamard(arena->out, power, 0.0f);
}

static void
run_subtract(Arena *arena)
{
	for (long row = 0; row < arena->rows; row++)
		if (arena->bench->argument == 0)
			arena->k->subtract(float_row(arena, row), arena->query, arena->dim,
							   arena->out);
		else
			arena->k->subtract_code(float_row(arena, row), 0.1f, arena->code,
									arena->dim, arena->out);
}

static void
run_quantize(Arena *arena)
{
	VkQuantized quantized;

	for (long row = 0; row < arena->rows; row++)
	{
		arena->k->quantize_i8(float_row(arena, row), arena->dim, arena->packed,
							  &quantized);
		arena->sink += quantized.error2;
	}
}

static void
run_trial(Arena *arena)
{
	VkTrial		trial;

	for (long row = 0; row < arena->rows; row++)
	{
		arena->k->code_trial(float_row(arena, row), arena->dim, VK_FORMAT_B4,
							 3.0f, arena->packed, &trial);
		arena->sink += trial.dot;
	}
}

static void
run_error(Arena *arena)
{
	for (long row = 0; row < arena->rows; row++)
		arena->sink += arena->k->code_error2(float_row(arena, row), arena->dim,
											 VK_FORMAT_B4, 0.1f, arena->packed);
}

/* one row of a tile against dim centroids */
static void
run_nearest(Arena *arena)
{
	for (long row = 0; row < arena->rows; row++)
	{
		float		distance = INFINITY;
		int32_t		nearest = 0;

		arena->k->nearest((const int32_t *) float_row(arena, row),
						  float_row(arena, 0), float_row(arena, 0), arena->dim,
						  0, 1.0f, 0, &distance, &nearest);
		arena->sink += distance;
	}
}

static void
run_half(Arena *arena)
{
	for (long row = 0; row < arena->rows; row++)
		if (arena->bench->argument == 0)
			arena->k->half_to_float((const uint16_t *) arena->data + row * arena->dim,
									arena->dim, arena->out);
		else
			arena->k->float_to_half(float_row(arena, row), arena->dim,
									arena->packed);
}

static const Bench benches[] = {
	{"pair_l2_f32", run_pair, 32, 1, 0},
	{"pair_dot_f32", run_pair, 32, 1, 1},
	{"pair_l1_f32", run_pair, 32, 1, 2},
	{"pair_cosine_f32", run_cosine, 32, 3, 0},
	{"pair_dot_f64", run_dot_f64, 32, 1, 0},
	{"pack_query_b1", run_pack, 0, 1, VK_FORMAT_B1},
	{"pack_query_b2", run_pack, 0, 1, VK_FORMAT_B2},
	{"pack_query_b4", run_pack, 0, 1, VK_FORMAT_B4},
	{"pack_query_b8", run_pack, 0, 1, VK_FORMAT_B8},
	{"scan_b1", run_scan, 1, 1, VK_FORMAT_B1},
	{"scan_b2", run_scan, 2, 1, VK_FORMAT_B2},
	{"scan_b4", run_scan, 4, 1, VK_FORMAT_B4},
	{"scan_b8", run_scan, 8, 1, VK_FORMAT_B8},
	{"scan_f16", run_scan, 16, 1, VK_FORMAT_F16},
	{"scan_f32", run_scan, 32, 1, VK_FORMAT_F32},
	{"row_b4", run_row, 4, 1, 0},
	{"row_b8", run_row, 8, 1, 1},
	{"tile_i8", run_tile_i8, 8, TILE_M, 0},
	{"tile_f32", run_tile_f32, 32, TILE_M, 0},
	{"nearest", run_nearest, 32, 1, 0},
	{"bound_flat", run_bound, 0, 0, 0},
	{"bound_list", run_bound, 0, 0, 1},
	{"bound_list_proven", run_bound, 0, 0, 2},
	{"hadamard", run_hadamard, 0, 1, 0},
	{"subtract", run_subtract, 32, 1, 0},
	{"subtract_code", run_subtract, 32, 1, 1},
	{"quantize_i8", run_quantize, 32, 1, 0},
	{"code_trial_b4", run_trial, 32, 1, 0},
	{"code_error2_b4", run_error, 32, 1, 0},
	{"half_to_float", run_half, 16, 1, 0},
	{"float_to_half", run_half, 32, 1, 1},
};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

static double
best_time(Arena *arena)
{
	double		best = 1e9;
	double		spent = 0;

	for (int round = 0; round < 2 || (spent < 0.02 && round < 2000); round++)
	{
		double		start = now();
		double		time;

		arena->bench->run(arena);
		time = now() - start;
		spent += time;
		best = time < best ? time : best;
	}
	return best;
}

static void
bench_one(Arena *arena, const char *isa, size_t size, const char *place)
{
	static const int dims[] = {128, 768, 1536};

	printf("%-7s %-18s %-6s", isa, arena->bench->name, place);
	for (int d = 0; d < 3; d++)
	{
		double		row_size = dims[d] * arena->bench->bits / 8.0;
		double		seconds;

		arena->dim = dims[d];
		arena->rows = row_size == 0 ? 1024 : (long) ((double) size / row_size) / 64 * 64;
		if (arena->rows < 64)
			arena->rows = 64;
		seconds = best_time(arena);
		printf(" | %8.1f ns", seconds / (double) arena->rows * 1e9);
		if (arena->bench->queries > 0)
			printf(" %7.1f GMAC/s", (double) arena->rows * dims[d] *
				   arena->bench->queries / seconds * 1e-9);
		if (row_size > 0)
			printf(" %6.1f GB/s", (double) arena->rows * row_size / seconds * 1e-9);
	}
	printf("\n");
	fflush(stdout);
}

static void *
aligned_memory(size_t size)
{
	void	   *memory = aligned_alloc(4096, (size + 4095) / 4096 * 4096);

	if (memory == NULL)
	{
		fprintf(stderr, "vkcheck: out of memory\n");
		exit(2);
	}
	return memory;
}

/* floats near 1 whose bytes also serve as codes */
static void
fill_arena(Arena *arena)
{
	VkCheckRun	run = {.random = 1};
	float	   *data = (float *) arena->data;

	for (size_t i = 0; i < MEMORY_SIZE / sizeof(float); i++)
		data[i] = (float) vk_random_unit(&run) - 0.5f;
	for (int i = 0; i < TILE_M * 1536; i++)
	{
		arena->query[i] = (float) vk_random_unit(&run) - 0.5f;
		arena->code[i] = (int8_t) (vk_random_below(&run, 255) - 127);
	}
	memset(arena->out, 0, TILE_M * 1536 * sizeof(float));
	memset(arena->packed, 3, VK_PACKED_QUERY_SIZE(1536));
}

void
vk_bench(const VkKernels *kernels, const char *isa, const char *filter)
{
	static Arena arena;

	if (arena.data == NULL)
	{
		arena.data = aligned_memory(MEMORY_SIZE);
		arena.query = aligned_memory(TILE_M * 1536 * sizeof(float));
		arena.code = aligned_memory(TILE_M * 1536);
		arena.out = aligned_memory(TILE_M * 1536 * sizeof(float));
		arena.packed = aligned_memory(VK_PACKED_QUERY_SIZE(1536));
		fill_arena(&arena);
	}
	arena.k = kernels;
	printf("%-7s %-18s %-6s | a row (tile: %d queries) at dimension 128 | 768 | 1536\n",
		   "isa", "slot", "from", TILE_M);
	for (size_t b = 0; b < sizeof(benches) / sizeof(benches[0]); b++)
	{
		if (strstr(benches[b].name, filter) == NULL)
			continue;
		arena.bench = &benches[b];
		bench_one(&arena, isa, L2_SIZE, "L2");
		if (benches[b].bits != 0 && strcmp(isa, "ref") != 0)
			bench_one(&arena, isa, MEMORY_SIZE, "memory");
	}
}
