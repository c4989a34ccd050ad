/*-------------------------------------------------------------------------
 *
 * check_dense.c
 *	  Tiles of vectors: the canonical one by its bits, the free ones by the
 *	  error that kernels.h states.
 *
 * IDENTIFICATION
 *	  test/kernels/check_dense.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define CANCELLING	VK_PATTERNS /* one more way to draw queries and rows */

static void
check_tile_f32(VkCheckRun *run, int m, int n, int dim, int pattern)
{
	const size_t a_stride = dim + vk_random_below(run, 3);
	const size_t b_stride = dim + vk_random_below(run, 3);
	const size_t a_count = m == 0 ? 0 : (m - 1) * a_stride + dim;
	const size_t b_count = n == 0 ? 0 : (n - 1) * b_stride + dim;
	const size_t out_size = (size_t) m * n * sizeof(float);
	float	   *a = vk_place(run, 0, a_count * sizeof(float), 4);
	float	   *b = vk_place(run, 1, b_count * sizeof(float), 4);
	float	   *out = vk_place(run, 2, out_size, 4);

	vk_fill_pattern(run, pattern, a, (int) a_count);
	vk_fill_pattern(run, pattern, b, (int) b_count);
	VK_CALL(run, tile_f32) (a, a_stride, m, b, b_stride, n, dim, out);
	vk_check(run, vk_buffer_intact(2, out, out_size),
			 "tile_f32 %d x %d dim %d writes around its output", m, n, dim);
	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++)
		{
			const double want = run->ref->pair_dot[VK_F32] (a + i * a_stride,
															b + j * b_stride, dim);

			vk_check(run, vk_same_bits(out[i * n + j], want),
					 "tile_f32 %d x %d dim %d %s at %d, %d: %.9g, ref %.9g", m, n,
					 dim, vk_pattern_names[pattern], i, j, out[i * n + j], want);
		}
}

/* ---------- free order ---------- */

typedef struct Dense
{
	VkDense		kind;
	VkElement	element;
	int			m;
	int			n;
	int			dim;
	const char *words;			/* name of the pattern */
	char	   *queries;
	size_t		query_stride;	/* in elements, as row_stride */
	char	   *rows;
	size_t		row_stride;
	double	   *wide;			/* (m + n) x dim: both, widened */
} Dense;

static void
fill_dense(VkCheckRun *run, Dense *d, int pattern)
{
	const size_t size = vk_element_size[d->element];

	d->words = pattern == CANCELLING ? "cancelling" : vk_pattern_names[pattern];
	for (int i = 0; i < d->m; i++)
		vk_fill_elements(run, d->element, pattern % VK_PATTERNS,
						 d->queries + i * d->query_stride * size, d->dim);
	for (int j = 0; j < d->n; j++)
		vk_fill_elements(run, d->element, pattern % VK_PATTERNS,
						 d->rows + j * d->row_stride * size, d->dim);
	/* the first row against the first query; others as they come */
	if (pattern == CANCELLING && d->m > 0 && d->n > 0)
		vk_fill_cancelling(run, d->element, d->queries, d->rows, d->dim);
	for (int i = 0; i < d->m; i++)
		vk_widen(d->element, d->queries + i * d->query_stride * size, d->dim,
				 d->wide + (size_t) i * d->dim);
	for (int j = 0; j < d->n; j++)
		vk_widen(d->element, d->rows + j * d->row_stride * size, d->dim,
				 d->wide + (size_t) (d->m + j) * d->dim);
}

/* the dot of query i and row j, added to what was there before */
static void
check_element(VkCheckRun *run, const Dense *d, int i, int j, double before,
			  double got)
{
	const double *q = d->wide + (size_t) i * d->dim;
	const double *x = d->wide + (size_t) (d->m + j) * d->dim;
	VkWide		sum = {before, 0};
	double		magnitude = fabs(before);
	double		norms = 0;
	double		slack;

	for (int k = 0; k < d->dim; k++)
	{
		vk_wide_add(&sum, q[k] * x[k]);	/* exact: both were floats */
		magnitude += fabs(q[k] * x[k]);
		norms += fabs(q[k]) + fabs(x[k]);
	}
	if (!(magnitude < 0x1p127))
		return;
	if (d->kind == VK_DENSE_F32)
		slack = (d->dim + 64) * 0x1p-24 * magnitude + d->dim * 0x1p-149;
	else
		slack = (d->dim + 64) * 0x1p-23 * magnitude +
			0x1p-126 * (norms + 2 * d->dim + 64);
	vk_check(run, fabs(got - sum.high) <= slack,
			 "tile_dense_%s %d x %d dim %d %s at %d, %d: %.9g, truth %.9g, slack "
			 "%.3g", vk_element_names[d->element], d->m, d->n, d->dim, d->words, i,
			 j, got, sum.high, slack);
}

static void
check_dense(VkCheckRun *run, VkDense kind, int m, int n, int dim, int pattern)
{
	Dense		d = {kind, kind == VK_DENSE_F32 ? VK_F32 : VK_BF16, m, n, dim};
	const int	size = vk_element_size[d.element];
	const size_t packed_size = VK_PACKED_DENSE_SIZE(size, m, dim);
	const size_t out_size = (size_t) m * n * sizeof(float);
	const bool	add = vk_random_below(run, 2);
	void	   *packed = vk_buffer(3, packed_size, true, 0);
	float	   *out = vk_place(run, 2, out_size, 4);
	float	   *before = malloc(out_size + 1);

	d.query_stride = dim + vk_random_below(run, 3);
	d.row_stride = dim + vk_random_below(run, 3);
	d.queries = vk_place(run, 0, (m == 0 ? 0 : (m - 1) * d.query_stride + dim) * size,
						 size);
	d.rows = vk_place(run, 1, (n == 0 ? 0 : (n - 1) * d.row_stride + dim) * size,
					  size);
	d.wide = malloc((size_t) (m + n) * dim * sizeof(double) + 1);
	fill_dense(run, &d, pattern);
	for (int i = 0; i < m * n; i++)
		out[i] = (float) vk_random_normal(run);
	memcpy(before, out, out_size);
	VK_CALL(run, pack_dense[kind]) (d.queries, d.query_stride, m, dim, packed);
	vk_check(run, vk_buffer_intact(3, packed, packed_size),
			 "pack_dense_%s %d of dim %d writes outside its buffer",
			 vk_element_names[d.element], m, dim);
	VK_CALL(run, tile_dense[kind]) (packed, m, dim, d.rows, d.row_stride, n, add,
									out);
	vk_check(run, vk_buffer_intact(2, out, out_size),
			 "tile_dense_%s %d x %d dim %d writes around its output",
			 vk_element_names[d.element], m, n, dim);
	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++)
			check_element(run, &d, i, j, add ? before[i * n + j] : 0,
						  out[i * n + j]);
	free(before);
	free(d.wide);
}

/* ---------- all ---------- */

/* queries and rows of a shape, few where the dimension is large */
static int
some(VkCheckRun *run, int dim)
{
	return vk_random_below(run, (dim <= 130 ? 40 : dim <= 4097 ? 8 : 3) /
						   (run->slow ? 2 : 1) + 1);
}

void
vk_check_dense(VkCheckRun *run)
{
	static const int ms[] = {0, 1, 2, 15, 16, 17, 33};

	for (int d = vk_check_first(run); d < vk_check_dim_count;
		 d += vk_check_step(run))
		for (int pattern = 0; pattern <= CANCELLING; pattern++)
		{
			const int	dim = vk_check_dims[d];

			if (pattern < VK_PATTERNS)
				check_tile_f32(run, some(run, dim) / 2, some(run, dim) / 2, dim,
							   pattern);
			if (pattern < VK_PATTERN_FINITE || pattern == CANCELLING)
				for (int kind = 0; kind < VK_DENSE_KINDS; kind++)
					check_dense(run, (VkDense) kind, some(run, dim),
								some(run, dim), dim, pattern);
		}
	/* every shape, at an odd dimension */
	for (size_t i = 0; i < sizeof(ms) / sizeof(ms[0]); i++)
		for (int n = 0; n <= 33; n += n < 18 ? 1 : 5)
		{
			check_tile_f32(run, ms[i], n, 77, 0);
			for (int kind = 0; kind < VK_DENSE_KINDS; kind++)
				check_dense(run, (VkDense) kind, ms[i], n, 77, 0);
		}
	check_tile_f32(run, 9, 7, 1537, 5);
	check_dense(run, VK_DENSE_F32, 33, 17, 1537, 5);
	check_dense(run, VK_DENSE_BF16, 33, 17, 1537, 5);
}
