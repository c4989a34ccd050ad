/*-------------------------------------------------------------------------
 *
 * dense.c
 *	  Pairs of rows within a radius, by tiles of the vectors themselves.
 *
 * NOTES
 *	  Where codes leave many pairs open, or many pairs belong, it is cheaper to
 *	  read each vector a few times than to look pairs up.  As many rows as
 *	  work_mem holds lie in memory; those behind them pass by, DENSE_QUERIES at a
 *	  time, packed for tiles (tile_dense, free order of sums).  A tile stays in
 *	  the second-level cache; no larger matrix is made.
 *
 *	  A tile's dot products are off by at most c |a| |b|.  With |a| |b| <= (|a|^2 +
 *	  |b|^2) / 2 every metric becomes one comparison with a number of each row:
 *
 *		  dot * scale_j - offset_j > limit_i
 *
 *	  says that the pair is within the radius for certain, and, with another
 *	  offset and limit and the other way round, that it is not.  Where neither
 *	  holds, and for rows without a sane norm, the operator decides, by its own
 *	  function.  What a tile errs by is in the margin, with the operator's own
 *	  rounding and that of the comparison.
 *
 *	  On AMX floats are split, x = hi + lo with bfloat16 parts, and three products
 *	  give the dot: lo lo is 2^-18 of it.
 *
 *	  Of L1 distances dot products tell nothing: the operator looks at each pair,
 *	  of vectors that are in memory.
 *
 * IDENTIFICATION
 *	  src/batch/dense.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/float.h"

#include "batch/graph.h"
#include "kernels/rounding.h"
#include "types/vec_type.h"

#define DENSE_QUERIES	64		/* rows that pass by together */
#define DENSE_ROWS		512		/* rows in memory that a tile takes */

/* squares of norms in which the margin covers what underflows and overflows */
#define NORM2_MIN		0x1p-80
#define NORM2_MAX		0x1p80

/* roundings of the comparison */
#define COMPARISON		0x1p-20

/* ---- ways to make dot products ---- */

#define MOST_PARTS		2

typedef struct DenseWay
{
	const char *name;			/* for vk_last_scan */
	VkDense		kind;
	int			parts;			/* that a vector is split into */
	int			products;
	struct
	{
		int			query;
		int			row;
	}			product[3];		/* of their parts, the small ones first */
	/* |error of the dot| / (|a| |b|): kernels.h, tile_dense */
	double		(*error) (int dim);
} DenseWay;

static double
float_error(int dim)
{
	return (dim + 64) * 0x1p-24;
}

/* lo lo and what both parts leave: 3.02 2^-18; sums: a hundredth is of small parts */
static double
split_error(int dim)
{
	return 3.2 * 0x1p-18 + 1.05 * (dim + 64) * 0x1p-23;
}

static const DenseWay float_way = {
	"f32", VK_DENSE_F32, 1, 1, {{0, 0}}, float_error
};
static const DenseWay split_way = {
	"bf16", VK_DENSE_BF16, 2, 3, {{1, 0}, {0, 1}, {0, 0}}, split_error
};

static const char *
slot_isa(const char *name)
{
	for (int slot = 0; slot < vk_slot_count; slot++)
		if (strcmp(vk_slot_names[slot], name) == 0)
			return vk_slot_isa(slot);
	return NULL;
}

/* three products of bfloat16 are faster than one of floats on AMX alone */
static const DenseWay *
choose_way(const VkSupport *support)
{
	const char *isa = slot_isa("tile_dense_bf16");

	if (support->metric == VK_METRIC_L1)
		return NULL;
	return isa != NULL && strcmp(isa, "amx") == 0 ? &split_way : &float_way;
}

/* ---- rows with their vectors ---- */

typedef struct DenseRows
{
	int			capacity;
	int			count;
	uint64	   *places;
	int64	   *numbers;		/* to count neighbors by */
	char	   *values;			/* as the operator takes them */
	void	   *parts[MOST_PARTS];	/* operands of tiles */
	double	   *norms2;
	/* numbers of the comparison: in the role of a row, and in that of a query */
	float	   *scale;
	float	   *inside_offset;
	float	   *outside_offset;
	float	   *inside_limit;
	float	   *outside_limit;
} DenseRows;

struct VkDenseGraph
{
	VkGraph    *graph;
	VkBatchTarget *target;
	const VkSupport *support;
	const DenseWay *way;		/* NULL: the operator looks at each pair */
	int			dim;
	Size		value_size;
	Size		part_stride;	/* elements of an operand */
	bool		parts_in_values;	/* vectors are floats */
	double		margin;			/* |error| of everything / (|a| |b|) */
	DenseRows	kept;			/* in memory */
	DenseRows	passing;
	void	   *packed[MOST_PARTS]; /* queries */
	const VkKernels *kernels;	/* that packed them, and so must read */
	float	   *dots;			/* of a tile */
	float	   *floats;			/* of one row */
	int32		columns[DENSE_ROWS];	/* neighbors of the rows of a tile */
};

/* bytes that a row takes */
static Size
row_size(const VkDenseGraph *dense)
{
	Size		size = dense->value_size + sizeof(uint64) + sizeof(int64) +
		sizeof(double) + 5 * sizeof(float);

	if (dense->way != NULL && !dense->parts_in_values)
		size += dense->part_stride * sizeof(float);
	return size;
}

static void *
allocate(Size size)
{
	return MemoryContextAllocHuge(CurrentMemoryContext, size);
}

static void
create_rows(const VkDenseGraph *dense, DenseRows *rows, int capacity)
{
	Size		padded = TYPEALIGN(VK_LANES, capacity);

	rows->capacity = capacity;
	rows->places = allocate(capacity * sizeof(uint64));
	rows->numbers = allocate(capacity * sizeof(int64));
	rows->norms2 = allocate(capacity * sizeof(double));
	rows->values = allocate(capacity * dense->value_size);
	rows->scale = allocate(padded * sizeof(float));
	rows->inside_offset = allocate(padded * sizeof(float));
	rows->outside_offset = allocate(padded * sizeof(float));
	rows->inside_limit = allocate(padded * sizeof(float));
	rows->outside_limit = allocate(padded * sizeof(float));
	if (dense->way == NULL)
		return;
	for (int part = 0; part < dense->way->parts; part++)
		rows->parts[part] = dense->parts_in_values ?
			rows->values + offsetof(Vec, x) :
			allocate(capacity * dense->part_stride *
					 (sizeof(float) / dense->way->parts));
}

static Size
part_size(const VkDenseGraph *dense)
{
	return sizeof(float) / dense->way->parts;
}

static void *
part_of(const VkDenseGraph *dense, const DenseRows *rows, int part, int row)
{
	return (char *) rows->parts[part] + row * dense->part_stride * part_size(dense);
}

static Datum
value_of(const VkDenseGraph *dense, const DenseRows *rows, int row)
{
	return PointerGetDatum(rows->values + row * dense->value_size);
}

/* x = hi + lo, with an error that split_error has */
static void
split_floats(const VkDenseGraph *dense, DenseRows *rows, int row, const float *x)
{
	uint16	   *hi = part_of(dense, rows, 0, row);
	uint16	   *lo = part_of(dense, rows, 1, row);
	float	   *rest = dense->floats + dense->dim;

	vk_kernels->float_to_bf16(x, dense->dim, hi);
	vk_kernels->bf16_to_float(hi, dense->dim, rest);
	for (int i = 0; i < dense->dim; i++)
		rest[i] = x[i] - rest[i];
	vk_kernels->float_to_bf16(rest, dense->dim, lo);
}

/* ---- numbers of the comparison ---- */

/* a row that the margin does not cover: the operator decides */
static void
set_wild(DenseRows *rows, int row)
{
	rows->scale[row] = 1;
	rows->inside_offset[row] = rows->inside_limit[row] = get_float4_infinity();
	rows->outside_offset[row] = rows->outside_limit[row] = -get_float4_infinity();
}

/* 1 - dot / (|a| |b|) < r */
static void
set_cosine(DenseRows *rows, int row, double margin, double radius)
{
	double		norm = sqrt(rows->norms2[row]);

	rows->scale[row] = (float) (1 / norm);
	rows->inside_offset[row] = rows->outside_offset[row] = 0;
	rows->inside_limit[row] = vk_round_up((1 - radius + margin) * norm);
	rows->outside_limit[row] = vk_round_down((1 - radius - margin) * norm);
}

/* -dot < r */
static void
set_ip(DenseRows *rows, int row, double margin, double radius)
{
	double		error = margin * rows->norms2[row] / 2;

	rows->scale[row] = 1;
	rows->inside_offset[row] = vk_round_up(error);
	rows->inside_limit[row] = vk_round_up(error - radius);
	rows->outside_offset[row] = -rows->inside_offset[row];
	rows->outside_limit[row] = vk_round_down(-error - radius);
}

/* |a|^2 + |b|^2 - 2 dot < r^2, which is negative where r is */
static void
set_l2(DenseRows *rows, int row, double margin, double radius)
{
	double		half = rows->norms2[row] / 2;
	double		square = radius * fabs(radius) / 2;
	double		sign = radius < 0 ? -1 : 1;

	rows->scale[row] = 1;
	rows->inside_offset[row] = vk_round_up(half * (1 + margin));
	rows->inside_limit[row] = vk_round_up(half * (1 + margin) -
										  square * (1 - sign * margin));
	rows->outside_offset[row] = vk_round_down(half * (1 - margin));
	rows->outside_limit[row] = vk_round_down(half * (1 - margin) -
											 square * (1 + sign * margin));
}

static void
set_comparison(const VkDenseGraph *dense, DenseRows *rows, int row, const float *x)
{
	VkMetric	metric = dense->support->metric;
	double		norm2 = vk_kernels->pair_dot_f64(x, x, dense->dim);
	double		radius = dense->graph->radius;

	rows->norms2[row] = norm2;
	if (!(norm2 >= NORM2_MIN && norm2 <= NORM2_MAX) &&
		(norm2 != 0 || metric == VK_METRIC_COSINE))
		set_wild(rows, row);
	else if (metric == VK_METRIC_COSINE)
		set_cosine(rows, row, dense->margin, radius);
	else if (metric == VK_METRIC_IP)
		set_ip(rows, row, dense->margin, radius);
	else
		set_l2(rows, row, dense->margin, radius);
}

/* ---- reading ---- */

static void
take_row(VkDenseGraph *dense, DenseRows *rows, const VkGraphRow *row, int64 number)
{
	int			i = rows->count++;
	const float *x;

	rows->places[i] = row->place;
	rows->numbers[i] = number;
	memcpy(rows->values + i * dense->value_size, DatumGetPointer(row->vector),
		   VARSIZE(DatumGetPointer(row->vector)));
	if (dense->way == NULL)
		return;
	x = dense->support->layout->floats(value_of(dense, rows, i), dense->floats);
	if (dense->way->parts > 1)
		split_floats(dense, rows, i, x);
	else if (!dense->parts_in_values)
		memcpy(part_of(dense, rows, 0, i), x, dense->dim * sizeof(float));
	set_comparison(dense, rows, i, x);
}

/* The next rows before a position, as many as there is room for; false: none. */
static bool
read_rows(VkDenseGraph *dense, DenseRows *rows, int64 end)
{
	VkGraph    *graph = dense->graph;
	VkGraphRow	row;

	rows->count = 0;
	while (rows->count < rows->capacity && vk_graph_next(graph, end, &row))
	{
		if (VARSIZE(DatumGetPointer(row.vector)) > dense->value_size)
			elog(ERROR, "unexpected size of a vector");
		take_row(dense, rows, &row,
				 vk_graph_number(graph, row.place, rows == &dense->kept ? rows->count : -1));
	}
	dense->target->stats.fetched += rows->count;
	vk_heap_reader_unpin(dense->target->reader);
	return rows->count > 0;
}

/* ---- pairs ---- */

/* which pairs a tile is about */
typedef struct DenseTile
{
	const DenseRows *queries;
	const DenseRows *rows;
	int			query;			/* the first */
	int			query_count;
	int			row;
	int			row_count;
} DenseTile;

static void
count_pair(VkDenseGraph *dense, const DenseTile *tile, int query, int row)
{
	int64	   *neighbors = dense->graph->neighbors;
	int64		a = tile->queries->numbers[query];
	int64		b = tile->rows->numbers[row];

	if (a >= 0)
		neighbors[a]++;
	if (b >= 0)
		neighbors[b]++;
}

/* a pair that the operator decides on, or whose distance it is to tell */
static void
take_exactly(VkDenseGraph *dense, const DenseTile *tile, int query, int row)
{
	VkGraph    *graph = dense->graph;
	double		distance = DatumGetFloat8(FunctionCall2(&dense->target->operator,
														value_of(dense, tile->rows, row),
														value_of(dense, tile->queries, query)));

	if (!float8_lt(distance, graph->radius))
		return;
	if (graph->counting)
		count_pair(dense, tile, query, row);
	else
		vk_graph_put(graph, tile->queries->places[query], tile->rows->places[row], distance);
}

/* a pair within the radius, to be returned */
static void
take_inside(VkDenseGraph *dense, const DenseTile *tile, int query, int row, double dot)
{
	double		a = tile->queries->norms2[query];
	double		b = tile->rows->norms2[row];
	double		score;
	double		error;

	switch (dense->support->metric)
	{
		case VK_METRIC_COSINE:
			score = 2 - 2 * dot / sqrt(a * b);
			error = 2 * dense->margin;
			break;
		case VK_METRIC_IP:
			score = -dot;
			error = dense->margin * (a + b) / 2;
			break;
		default:
			score = a + b - 2 * dot;
			error = dense->margin * (a + b);
			break;
	}
	if (!vk_graph_put_between(dense->graph, tile->queries->places[query],
							  tile->rows->places[row],
							  dense->support->distance(score - error),
							  dense->support->distance(score + error)))
		take_exactly(dense, tile, query, row);
}

static const uint32 lane_bits[VK_LANES] = {
	1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 8, 1 << 9,
	1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15
};

/* the rows of which dot * scale - offset is above (below) a limit */
static inline uint32
lanes_above(const float *dots, const float *scale, const float *offset, float limit)
{
	uint32		lanes = 0;

	for (int lane = 0; lane < VK_LANES; lane++)
		lanes |= dots[lane] * scale[lane] - offset[lane] > limit ? lane_bits[lane] : 0;
	return lanes;
}

static inline uint32
lanes_below(const float *dots, const float *scale, const float *offset, float limit)
{
	uint32		lanes = 0;

	for (int lane = 0; lane < VK_LANES; lane++)
		lanes |= dots[lane] * scale[lane] - offset[lane] < limit ? lane_bits[lane] : 0;
	return lanes;
}

/* of the rows from one on those that a tile has, and that the query looks at */
static inline uint32
lanes_asked(const DenseTile *tile, int query, int first)
{
	int			left = tile->row + tile->row_count - first;
	uint32		lanes = left >= VK_LANES ? 0xFFFF : (1U << left) - 1;

	/* of rows in memory each asks for those behind it */
	if (tile->queries == tile->rows && first <= query)
		lanes &= query - first >= VK_LANES ? 0 : 0xFFFFU << (query - first + 1);
	return lanes;
}

static void
take_query(VkDenseGraph *dense, const DenseTile *tile, int query, const float *dots)
{
	const DenseRows *rows = tile->rows;
	float		inside_limit = tile->queries->inside_limit[query];
	float		outside_limit = tile->queries->outside_limit[query];
	bool		counting = dense->graph->counting;
	int64		neighbors = 0;

	for (int i = 0; i < tile->row_count; i += VK_LANES)
	{
		int			first = tile->row + i;
		uint32		lanes = lanes_asked(tile, query, first);
		uint32		inside = lanes & lanes_above(dots + i, rows->scale + first,
												 rows->inside_offset + first, inside_limit);
		uint32		open = lanes & ~inside & ~lanes_below(dots + i, rows->scale + first,
														  rows->outside_offset + first,
														  outside_limit);

		for (; open != 0; open &= open - 1)
			take_exactly(dense, tile, query, first + pg_rightmost_one_pos32(open));
		if (counting)
		{
			neighbors += pg_popcount32(inside);
			for (int lane = 0; lane < VK_LANES; lane++)
				dense->columns[i + lane] += inside >> lane & 1;
		}
		else
			for (; inside != 0; inside &= inside - 1)
			{
				int			lane = pg_rightmost_one_pos32(inside);

				take_inside(dense, tile, query, first + lane, dots[i + lane]);
			}
	}
	if (counting && tile->queries->numbers[query] >= 0)
		dense->graph->neighbors[tile->queries->numbers[query]] += neighbors;
}

/* the neighbors that a tile has counted to its rows */
static void
add_columns(VkDenseGraph *dense, const DenseTile *tile)
{
	for (int i = 0; i < tile->row_count; i++)
	{
		int64		number = tile->rows->numbers[tile->row + i];

		if (number >= 0)
			dense->graph->neighbors[number] += dense->columns[i];
	}
}

/* ---- tiles ---- */

static void
pack_queries(VkDenseGraph *dense, const DenseRows *queries, int first, int count)
{
	const VkKernels *k = dense->kernels = vk_kernels;

	for (int part = 0; part < dense->way->parts; part++)
		k->pack_dense[dense->way->kind] (part_of(dense, queries, part, first),
										 dense->part_stride, count, dense->dim,
										 dense->packed[part]);
}

static void
take_tile(VkDenseGraph *dense, const DenseTile *tile)
{
	const DenseWay *way = dense->way;

	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < way->products; i++)
		dense->kernels->tile_dense[way->kind] (dense->packed[way->product[i].query],
											   tile->query_count, dense->dim,
											   part_of(dense, tile->rows,
													   way->product[i].row, tile->row),
											   dense->part_stride,
											   tile->row_count, i > 0, dense->dots);
	if (dense->graph->counting)
		memset(dense->columns, 0, sizeof(dense->columns));
	for (int i = 0; i < tile->query_count; i++)
		take_query(dense, tile, tile->query + i, dense->dots + (Size) i * tile->row_count);
	if (dense->graph->counting)
		add_columns(dense, tile);
}

/* the same where tiles do not serve */
static void
take_pairs(VkDenseGraph *dense, const DenseTile *tile)
{
	for (int i = 0; i < tile->query_count; i++)
	{
		int			query = tile->query + i;
		int			first = tile->queries == tile->rows ? Max(tile->row, query + 1) : tile->row;

		CHECK_FOR_INTERRUPTS();
		for (int row = first; row < tile->row + tile->row_count; row++)
			take_exactly(dense, tile, query, row);
	}
}

/* some queries with all rows in memory; those among them with the ones behind */
static void
take_queries(VkDenseGraph *dense, const DenseRows *queries, int first, int count)
{
	const DenseRows *rows = &dense->kept;
	DenseTile	tile = {.queries = queries, .rows = rows, .query = first, .query_count = count};

	if (dense->way != NULL)
		pack_queries(dense, queries, first, count);
	for (int row = queries == rows ? first : 0; row < rows->count; row += DENSE_ROWS)
	{
		tile.row = row;
		tile.row_count = Min(rows->count - row, DENSE_ROWS);
		if (dense->way != NULL)
			take_tile(dense, &tile);
		else
			take_pairs(dense, &tile);
	}
}

/* ---- what others call ---- */

bool
vk_dense_serves(const VkBatchTarget *target)
{
	return !vk_metric_of_bits(target->support->metric);
}

VkDenseGraph *
vk_dense_create(VkGraph *graph)
{
	VkDenseGraph *dense = palloc0(sizeof(VkDenseGraph));
	VkBatchTarget *target = graph->target;
	const VkLayout *layout = target->support->layout;
	int			dim = target->vk->coder.dim;
	VkElement	element = layout->element - VK_ELEMENT_F32 + VK_F32;
	int64		memory = (int64) work_mem * 1024;

	dense->graph = graph;
	dense->target = target;
	dense->support = target->support;
	dense->dim = dim;
	dense->way = choose_way(target->support);
	dense->value_size = MAXALIGN(offsetof(Vec, x) + dim * vk_element_size[element]);
	dense->floats = palloc(2 * dim * sizeof(float));
	dense->part_stride = dim;
	if (dense->way != NULL)
	{
		dense->parts_in_values = element == VK_F32 && dense->way->parts == 1;
		if (dense->parts_in_values)
			dense->part_stride = dense->value_size / sizeof(float);
		dense->margin = dense->way->error(dim) + 3 * target->support->operator_error(dim) +
			COMPARISON;
		for (int part = 0; part < dense->way->parts; part++)
			dense->packed[part] = (void *)
				TYPEALIGN(VK_LINE_SIZE,
						  allocate(VK_PACKED_DENSE_SIZE(part_size(dense), DENSE_QUERIES, dim) +
								   VK_LINE_SIZE));
		/* the last rows of a tile are looked at in whole blocks */
		dense->dots = allocate((DENSE_QUERIES * DENSE_ROWS + VK_LANES) * sizeof(float));
		memory -= VK_PACKED_DENSE_SIZE(sizeof(float), DENSE_QUERIES, dim);
	}
	memory -= DENSE_QUERIES * row_size(dense);
	create_rows(dense, &dense->kept,
				(int) Max(Min(Min(memory / (int64) row_size(dense), graph->row_count),
							  PG_INT32_MAX / 2), DENSE_QUERIES));
	create_rows(dense, &dense->passing, DENSE_QUERIES);
	return dense;
}

int64
vk_dense_capacity(const VkDenseGraph *dense)
{
	return dense->kept.capacity;
}

/* rows that pass by, up to a position */
static void
take_passing(VkDenseGraph *dense, int64 end)
{
	while (read_rows(dense, &dense->passing, end))
		take_queries(dense, &dense->passing, 0, dense->passing.count);
}

void
vk_dense_answer(VkDenseGraph *dense, int64 first, int64 end)
{
	VkGraph    *graph = dense->graph;

	vk_graph_seek(graph, first);
	if (!read_rows(dense, &dense->kept, end))
		return;
	for (int i = 0; i < dense->kept.count; i += DENSE_QUERIES)
		take_queries(dense, &dense->kept, i, Min(dense->kept.count - i, DENSE_QUERIES));
	if (!graph->once)
	{
		vk_graph_seek(graph, 0);
		take_passing(dense, first);
	}
	vk_graph_seek(graph, end);
	take_passing(dense, graph->row_count);
	dense->target->stats.rounds++;
}

void
vk_dense_path(const VkDenseGraph *dense, char *path)
{
	if (dense->way == NULL)
		strlcpy(path, "pairs", VK_PATH_SIZE);
	else
		snprintf(path, VK_PATH_SIZE, "dense %s %s", dense->way->name,
				 slot_isa(dense->way->kind == VK_DENSE_BF16 ? "tile_dense_bf16" : "tile_dense_f32"));
}
