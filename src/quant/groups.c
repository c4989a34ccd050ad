/*-------------------------------------------------------------------------
 *
 * groups.c
 *	  Centroids in groups of near ones, where there are too many to look at all.
 *
 * NOTES
 *	  The centre of a group is the mean of its centroids, which are clustered as
 *	  rows are (kmeans.c), so the groups depend on the centroids and the seed
 *	  alone.  Those of the centre list grow with their number: below some 65,000
 *	  centroids they have 256 each, so that few pages are read of a group that has
 *	  little to give; above, the centres of all groups must not take longer than the
 *	  groups.  Assignment (assign.c) has groups of its own.
 *
 * IDENTIFICATION
 *	  src/quant/groups.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <string.h>

#include "quant/quant.h"

#define GROUP_CENTERS	256		/* centroids of a group at least, on average */
#define GROUPS_ROOT		4		/* groups at most, times the root of all centroids */

int
vk_group_count(int lists)
{
	double		groups = (double) lists / GROUP_CENTERS;
	double		most = GROUPS_ROOT * sqrt(lists);

	if (lists <= VK_GROUPED_LISTS)
		return 0;
	return (int) ceil(groups < most ? groups : most);
}

static size_t
aligned(size_t size)
{
	return (size + 63) / 64 * 64;
}

static void *
carve(char *base, size_t *used, size_t size)
{
	void	   *piece = base == NULL ? NULL : base + *used;

	*used += aligned(size);
	return piece;
}

/* what is given back first, then what k-means needs on the way */
static size_t
carve_groups(VkGrouping *grouping, char *base, VkKmeans *kmeans, int32_t **list)
{
	const int	groups = grouping->groups;
	const size_t lists = grouping->lists;
	size_t		used = 0;

	grouping->codes = carve(base, &used, groups * grouping->stride);
	grouping->scales = carve(base, &used, sizeof(float) * groups);
	grouping->starts = carve(base, &used, sizeof(int32_t) * (groups + 1));
	grouping->members = carve(base, &used, sizeof(int32_t) * lists);
	*list = carve(base, &used, sizeof(int32_t) * lists);
	kmeans->shared = carve(base, &used, vk_kmeans_memory(grouping->dim, groups, lists));
	kmeans->scratch = carve(base, &used, vk_kmeans_scratch(grouping->dim, groups));
	return used;
}

size_t
vk_grouping_size(int dim, int lists, int groups, size_t stride)
{
	VkGrouping	grouping = {.dim = dim, .lists = lists, .stride = stride, .groups = groups};
	VkKmeans	kmeans;
	int32_t    *list;

	return 64 + carve_groups(&grouping, NULL, &kmeans, &list);
}

/* the group of each centroid; the assigner's memory is that of k-means */
static void
assign_centers(const VkGrouping *grouping, void *memory, int32_t *list)
{
	VkAssigner	assigner;

	vk_assigner_init(&assigner, grouping->dim, grouping->groups, grouping->codes,
					 grouping->stride, grouping->scales, grouping->pause, memory);
	for (int first = 0; first < grouping->lists; first += VK_ASSIGN_ROWS)
	{
		int			left = grouping->lists - first;

		vk_assign(&assigner, grouping->center_codes + first * grouping->stride,
				  grouping->stride, grouping->center_scales + first,
				  left < VK_ASSIGN_ROWS ? left : VK_ASSIGN_ROWS, list + first);
		if (grouping->pause != NULL)
			grouping->pause();
	}
}

/* put the centroids in the order of their groups; groups without any go */
static void
sort_members(VkGrouping *grouping, const int32_t *list)
{
	int32_t    *starts = grouping->starts;
	int			kept = 0;
	int32_t		sum = 0;

	memset(starts, 0, sizeof(int32_t) * (grouping->groups + 1));
	for (int i = 0; i < grouping->lists; i++)
		starts[list[i]]++;
	for (int group = 0; group <= grouping->groups; group++)
	{
		int32_t		count = starts[group];

		starts[group] = sum;
		sum += count;
	}
	/* filling moves each start to its end, which is the next one's start */
	for (int i = 0; i < grouping->lists; i++)
		grouping->members[starts[list[i]]++] = i;

	sum = 0;
	for (int group = 0; group < grouping->groups; group++)
	{
		int32_t		end = starts[group];

		if (end == sum)
			continue;
		memmove(grouping->codes + kept * grouping->stride,
				grouping->codes + group * grouping->stride, grouping->stride);
		grouping->scales[kept] = grouping->scales[group];
		starts[kept++] = sum;
		sum = end;
	}
	starts[kept] = sum;
	grouping->groups = kept;
}

void
vk_group_centers(VkGrouping *grouping, void *memory)
{
	VkKmeans	kmeans = {0};
	int32_t    *list;

	carve_groups(grouping, (char *) aligned((uintptr_t) memory), &kmeans, &list);
	kmeans.dim = grouping->dim;
	kmeans.metric = VK_METRIC_L2;
	kmeans.lists = grouping->groups;
	kmeans.rows = grouping->lists;
	kmeans.codes = grouping->center_codes;
	kmeans.stride = grouping->stride;
	kmeans.scales = grouping->center_scales;
	kmeans.seed = grouping->seed;
	kmeans.center_codes = grouping->codes;
	kmeans.center_scales = grouping->scales;
	kmeans.pause = grouping->pause;
	grouping->groups = vk_kmeans(vk_kmeans_join(&kmeans));

	assign_centers(grouping, kmeans.scratch, list);
	sort_members(grouping, list);
}
