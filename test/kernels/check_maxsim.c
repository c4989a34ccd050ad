/*-------------------------------------------------------------------------
 *
 * check_maxsim.c
 *	  MaxSim of every element: the bits that pair dots and their greatest give.
 *
 * IDENTIFICATION
 *	  test/kernels/check_maxsim.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>

#include "check.h"

/* the sum of the greatest dots, as kernels.h words it */
static double
find_maxsim(const VkCheckRun *run, VkElement element, const char *query,
			size_t query_stride, int m, const char *document,
			size_t document_stride, int n, int dim)
{
	const size_t size = vk_element_size[element];
	double		sum = 0;

	for (int i = 0; i < m; i++)
	{
		double		greatest = -INFINITY;

		for (int j = 0; j < n; j++)
		{
			double		dot = run->ref->pair_dot[element] (query + i * query_stride * size,
														   document + j * document_stride * size,
														   dim);

			if (dot != dot)
				return (double) NAN;
			greatest = dot > greatest ? dot : greatest;
		}
		sum += greatest;
	}
	return sum;
}

/* make every dot negative or zero: rows are queries' opposites */
static void
oppose(VkElement element, char *query, char *document, size_t count)
{
	const size_t size = vk_element_size[element];

	for (size_t i = 0; i < count; i++)
		if (element == VK_I8)
		{
			query[i] = (char) (1 + i % 128 % 127);
			document[i] = -128;
		}
		else
		{
			/* the sign is the top bit of a float and of a half */
			((unsigned char *) query)[(i + 1) * size - 1] &= 0x7f;
			((unsigned char *) document)[(i + 1) * size - 1] |= 0x80;
		}
}

static void
check_maxsim(VkCheckRun *run, VkElement element, int m, int n, int dim,
			 int pattern, bool negative)
{
	const int	size = vk_element_size[element];
	const size_t query_stride = dim + vk_random_below(run, 3);
	const size_t document_stride = dim + vk_random_below(run, 3);
	const size_t query_count = m == 0 ? 0 : (m - 1) * query_stride + dim;
	const size_t document_count = (n - 1) * document_stride + dim;
	char	   *query = vk_place(run, 0, query_count * size, size);
	char	   *document = vk_place(run, 1, document_count * size, size);
	double		want;
	double		got;

	vk_fill_elements(run, element, pattern, query, (int) query_count);
	vk_fill_elements(run, element, pattern, document, (int) document_count);
	if (negative)
		oppose(element, query, document, query_count < document_count ?
			   query_count : document_count);
	got = VK_CALL(run, maxsim[element]) (query, query_stride, m, document,
										 document_stride, n, dim);
	want = find_maxsim(run, element, query, query_stride, m, document,
					   document_stride, n, dim);
	vk_check(run, vk_same_f64(got, want),
			 "maxsim_%s %d x %d dim %d %s: %.17g, should be %.17g",
			 vk_element_names[element], m, n, dim, vk_pattern_names[pattern], got,
			 want);
}

void
vk_check_maxsim(VkCheckRun *run)
{
	static const int ms[] = {0, 1, 2, 5, 15, 16, 17, 32, 33, 48};

	for (int element = 0; element < VK_ELEMENTS; element++)
	{
		for (int d = vk_check_first(run); d < vk_check_dim_count;
			 d += vk_check_step(run))
			for (int pattern = 0; pattern < VK_PATTERNS; pattern++)
			{
				const int	dim = vk_check_dims[d];
				const int	most = dim > 4097 ? 2 : dim > 130 ? 5 :
					vk_random_below(run, 16) ? 20 : 150;

				check_maxsim(run, (VkElement) element, vk_random_below(run, most + 1),
							 1 + vk_random_below(run, most), dim, pattern,
							 pattern == 0 && d % 2 == 0);
			}
		for (size_t i = 0; i < sizeof(ms) / sizeof(ms[0]); i++)
			for (int n = 1; n <= 40; n += n < 18 ? 1 : 7)
				check_maxsim(run, (VkElement) element, ms[i], n, 128, 0, n % 3 == 0);
	}
}
