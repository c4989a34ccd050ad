/*-------------------------------------------------------------------------
 *
 * regroup.c
 *	  The centre list written anew: in groups when it has grown, and without the
 *	  lanes that nobody looks for.
 *
 * NOTES
 *	  A list operation like any other: a new centre list, or a new list of groups
 *	  and new groups, are born in the next epoch, those that there were retire in
 *	  it, and the record that begins the epoch also names the new root
 *	  (VkMeta.root).  Whoever began before it goes on with the old ones, which are
 *	  recycled like lists.
 *
 *	  Entries of retired lists are left behind: who sees these lists sees the old
 *	  entries too.  Free lanes are left behind with them, and so a search ranks as
 *	  many entries as in a fresh index.
 *
 * IDENTIFICATION
 *	  src/am/regroup.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "commands/vacuum.h"
#include "miscadmin.h"

#include "am/operation_pages.h"
#include "am/row_batch.h"
#include "am/search.h"
#include "am/test_point.h"
#include "am/upkeep.h"

/* groups are made anew at so many times the lists that they were made for */
#define GROWN			2

/* the centre list is written anew where of its lanes this part is of no use */
#define WASTED_SHARE	0.25

typedef struct Regroup
{
	Relation	index;
	const VkIndex *vk;
	VkOperation op;
	VkCenters	centers;		/* of all lists */
	uint32	   *numbers;		/* their slots */
	VkGrouping	grouping;
	uint32	   *groups;			/* slots */
	VkOperationPages pages;
	VkListWriter writer;
} Regroup;

/* VkCenterCallback */
static void
note_center(void *arg, uint32 number, const int8 *code, float a)
{
	Regroup    *regroup = arg;

	if (regroup->centers.count < regroup->op.meta.lists)
	{
		regroup->numbers[regroup->centers.count] = number;
		vk_centers_add(&regroup->centers, code, a);
	}
}

static void
read_centers(Regroup *regroup)
{
	vk_centers_init(&regroup->centers, regroup->vk->coder.dim);
	regroup->numbers = palloc_extended(regroup->op.meta.lists * sizeof(uint32),
									   MCXT_ALLOC_HUGE);
	vk_center_list_read(regroup->index, regroup->vk, &regroup->op.meta, note_center,
						regroup);
}

static void
make_groups(Regroup *regroup)
{
	VkGrouping *grouping = &regroup->grouping;
	VkCenters  *centers = &regroup->centers;
	int			dim = regroup->vk->coder.dim;

	grouping->dim = dim;
	grouping->lists = (int) centers->count;
	grouping->stride = centers->stride;
	grouping->center_codes = centers->codes;
	grouping->center_scales = centers->scales;
	grouping->seed = regroup->vk->seed;
	grouping->pause = vk_pause;
	grouping->groups = vk_group_count(grouping->lists);
	vk_group_centers(grouping,
					 MemoryContextAllocHuge(CurrentMemoryContext,
											vk_grouping_size(dim, grouping->lists,
															 grouping->groups,
															 grouping->stride)));
}

/*
 * Write a new list of entries: of the given centres, or of all of them, each with
 * the slot that goes with it.  Returns its own slot.
 */
static uint32
write_entries(Regroup *regroup, const int8 *codes, const float *scales,
			  const uint32 *numbers, const int32 *members, int count)
{
	VkCoder		coder = vk_center_coder(regroup->vk);
	uint32		slot = vk_operation_new_list(&regroup->op, VK_SLOT_GROUP);
	VkListWriter *writer = &regroup->writer;
	float	   *values = palloc(coder.dim * sizeof(float));
	void	   *scratch = palloc(vk_scratch_size(coder.dim));
	char	   *packed = palloc0(vk_packed_size(&coder));

	vk_list_writer_begin(writer, &coder, slot, count, NULL);
	for (int i = 0; i < count; i++)
	{
		int			center = members == NULL ? i : members[i];
		ItemPointerData tid;
		VkRowCode	code;

		vk_packed_point(&coder, packed, &code);
		vk_center_row(&coder, numbers[center],
					  codes + center * regroup->centers.stride, scales[center],
					  values, scratch, &tid, &code);
		vk_list_writer_add(writer, &tid, &code, NULL);
	}
	vk_list_writer_end(writer);
	vk_operation_pages_end(&regroup->pages, &writer->list);
	vk_operation_set_list(&regroup->op, slot, &writer->list);
	pfree(packed);
	pfree(scratch);
	pfree(values);
	return slot;
}

/* new groups, and the list of them */
static uint32
write_groups(Regroup *regroup)
{
	const VkGrouping *grouping = &regroup->grouping;

	regroup->groups = palloc_extended(grouping->groups * sizeof(uint32),
									  MCXT_ALLOC_HUGE);
	for (int group = 0; group < grouping->groups; group++)
	{
		int			first = grouping->starts[group];

		VK_VACUUM_DELAY_POINT();
		regroup->groups[group] =
			write_entries(regroup, regroup->centers.codes, regroup->centers.scales,
						  regroup->numbers, grouping->members + first,
						  grouping->starts[group + 1] - first);
	}
	return write_entries(regroup, grouping->codes, grouping->scales,
						 regroup->groups, NULL, grouping->groups);
}

/* the lists of entries that there were */
static void
close_old(Regroup *regroup)
{
	VkOperation *op = &regroup->op;
	VkCenterTree *tree = vk_center_tree_read(regroup->index, regroup->vk, &op->meta);

	if (op->meta.groups > 0)
		(void) vk_operation_add_old(op, op->meta.root);
	for (int part = 0; part < tree->count; part++)
		(void) vk_operation_add_old(op, tree->slots[part]);
	for (int64 i = 0; i < op->old_count; i++)
		vk_operation_close(op, &op->old[i]);
	vk_center_tree_free(tree);
}

/* write all entries anew, and say in the change where they are */
static void
write_anew(Regroup *regroup, VkOperationChange *change)
{
	const VkCenters *centers = &regroup->centers;

	read_centers(regroup);
	vk_operation_pages_init(&regroup->pages, regroup->index);
	vk_list_writer_init(&regroup->writer, regroup->vk, &vk_operation_sink,
						&regroup->pages, regroup->op.epoch);
	if (vk_group_count((int) centers->count) > 0)
	{
		make_groups(regroup);
		change->root = write_groups(regroup);
		change->groups = regroup->grouping.groups;
	}
	else
		change->root = write_entries(regroup, centers->codes, centers->scales,
									 regroup->numbers, NULL, (int) centers->count);
	change->centers = (uint32) centers->count;
}

/* are there many lists for the groups that there are, or lanes of no use? */
static bool
is_due(Relation index, const VkIndex *vk, const VkMeta *meta)
{
	double		lanes;
	double		wasted;

	if (meta->lists == 0)
		return false;
	if (vk_group_count(meta->lists) > 0 &&
		(meta->groups == 0 || meta->lists >= GROWN * (double) meta->grouped))
		return true;
	lanes = vk_center_list_lanes(index, vk, meta);
	wasted = lanes - meta->lists;
	return wasted >= vk_page_lanes(vk) && wasted > WASTED_SHARE * lanes;
}

bool
vk_regroup(VkUpkeep *upkeep)
{
	MemoryContext context,
				old;
	Regroup    *regroup;
	VkOperationChange change = {.live_rows = -1};
	VkMeta		meta;

	vk_meta_read(upkeep->index, &meta);
	if (!is_due(upkeep->index, upkeep->vk, &meta))
		return false;
	vk_test_point("regroup-due");

	context = AllocSetContextCreate(CurrentMemoryContext, "vkindex regroup",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	regroup = palloc0(sizeof(Regroup));
	regroup->index = upkeep->index;
	regroup->vk = upkeep->vk;
	vk_operation_begin(&regroup->op, upkeep->index, upkeep->heap, upkeep->vk);
	write_anew(regroup, &change);
	vk_test_point("operation-made");
	close_old(regroup);
	vk_operation_commit(&regroup->op, &change);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return meta.groups > 0 || change.groups > 0;
}
