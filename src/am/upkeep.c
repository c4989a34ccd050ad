/*-------------------------------------------------------------------------
 *
 * upkeep.c
 *	  What there is to do to keep an index well: after vacuum, and by vk_tune.
 *
 * NOTES
 *	  - An index that has no lists yet but rows enough gets them: k-means over
 *		its rows, about their mean.  A vkflat index that was made on few rows is
 *		coded anew about the mean of those that it has now.
 *	  - Lists that have grown too large are split by k-means over their rows;
 *		where rows have become so many that lists are too few, those that are
 *		above the average too.  One that was made large and has not grown since is
 *		left alone: clustering made it of rows that lie close.  Lists that have
 *		shrunk to little are given up, smallest first, as long as there are more
 *		lists than the rows ask for.  Lists with many dead lanes are rewritten as
 *		they are.
 *	  - Around a list that is split or given up, the nearest lists take part:
 *		each row of all of these goes to the nearest of their centres (LIRE: Xu
 *		et al., SPFresh, SOSP 2023).
 *	  - Rows of segments go to the lists they belong to.
 *	  - The lists that come out of this may ask for the same once more: it is done
 *		again until nothing is left to do, or that gets no less.
 *	  - Where lists have become very many, the centre list gets groups; where many
 *		of its lanes are of no use any more, it is written anew (regroup.c).
 *	  - Where enough has changed, recall is measured anew.
 *
 *	  Operations are made so large that a neighbor is rarely rewritten twice, and
 *	  small enough for the old pages of one to serve a later one, once nobody can
 *	  see them.
 *
 * IDENTIFICATION
 *	  src/am/upkeep.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_proc_d.h"
#include "miscadmin.h"
#include "postmaster/autovacuum.h"

#include "am/build.h"
#include "am/row_batch.h"
#include "am/upkeep.h"

/* times the rows that a list should have */
#define OVERFULL		3.0
#define THIN			0.125
/* the same where lists are too few, or too many, by CROWDED */
#define OVERFULL_CROWDED	1.5
#define THIN_SPARSE		0.67
#define CROWDED			1.5
/* overfull ones are split where they have so many times the rows that they were made
 * with, or that a list should have */
#define GROWN			1.5
#define FAR_OVERFULL	12.0

#define DEAD_SHARE		0.25	/* of a list's lanes: it is rewritten */
#define NEIGHBORS		8		/* lists that take part around another */
#define OPERATION_ROWS	100000	/* of one operation at least */
#define OPERATION_SHARE 0.25	/* of all rows */
#define LEAST_SHARE		4		/* at least one in so many bytes is left to operations */
#define ROUNDS			10		/* of looking at all lists, at most */
#define VAIN_ROUNDS		2		/* of them without less to do than before */
#define CHANGED_SHARE	0.2		/* of all rows: recall is measured anew */
#define RECODE_GROWTH	4.0		/* rows since the mean was taken */
#define MEAN_ROWS		10000	/* a mean of so many is good for ever */

typedef enum ListFate
{
	FATE_KEEP,
	FATE_SPLIT,
	FATE_GIVE_UP,
	FATE_COMPACT
} ListFate;

typedef struct ListFact
{
	uint32		number;			/* slot */
	uint32		live;
	uint32		dead;
	uint32		made;			/* rows that it was made with, about; 0: not known */
	int64		center;			/* among the centers, -1: none, a segment */
	ListFate	fate;
	bool		done;			/* in an operation already */
	bool		stale;			/* coded about a mean that is not that of now */
} ListFact;

typedef struct UpkeepPlan
{
	VkUpkeep   *upkeep;
	VkUpkeepReport *report;
	VkMeta		meta;
	int			wanted_lists;	/* option */

	ListFact   *lists;			/* visible ones, by slot */
	int64		count;
	int64		capacity;
	VkCenters	centers;		/* of those that have one */
	int64	   *center_lists;	/* their place in lists */
	VkAssigner	assigner;

	double		rows;			/* live ones in all lists and segments */
	double		segment_rows;
	bool		stale;			/* there are lists of another coding */
	double		list_rows;		/* that a list should have */
	double		ideal_lists;

	double		fated;			/* rows in lists that are to change, and these */

	/* the operation being put together */
	uint32	   *members;		/* slots */
	int64	   *queue;			/* their places in lists */
	int64		member_count;
	double		member_rows;
	double		member_dead;

	bool		regrouped;		/* the centre list: it is ranked otherwise */
} UpkeepPlan;

/* ---- looking at the index ---- */

static void
note_list(UpkeepPlan *plan, uint32 number, const VkSlot *slot)
{
	ListFact   *fact;

	plan->lists = vk_array_grow(CurrentMemoryContext, plan->lists, plan->count,
								&plan->capacity, sizeof(ListFact));
	fact = &plan->lists[plan->count++];
	*fact = (ListFact) {.number = number, .live = slot->live, .dead = slot->dead,
		.made = slot->born_blocks * VK_LANES, .center = -1,
	.stale = slot->born < plan->meta.coded};
	plan->stale |= fact->stale;
	plan->rows += slot->live;
	if (slot->flags & VK_SLOT_SEGMENT)
		plan->segment_rows += slot->live;
}

/* their memory is that of a context which is reset */
static void
forget_lists(UpkeepPlan *plan)
{
	plan->lists = NULL;
	plan->capacity = 0;
}

static void
read_lists(UpkeepPlan *plan)
{
	VkUpkeep   *upkeep = plan->upkeep;
	VkDirectory *directory = palloc0(sizeof(VkDirectory));

	vk_meta_read(upkeep->index, &plan->meta);
	plan->count = 0;
	plan->rows = plan->segment_rows = 0;
	plan->stale = false;
	for (uint32 number = VK_SLOT_FIRST_LIST; number < plan->meta.slots; number++)
	{
		VkSlot		slot;

		CHECK_FOR_INTERRUPTS();
		vk_directory_slot(upkeep->index, &plan->meta, directory, number, &slot);
		if (vk_slot_visible(&slot, plan->meta.epoch) &&
			!vk_slot_has_centers(number, &slot))
			note_list(plan, number, &slot);
	}
	plan->list_rows = vk_rows_a_list(upkeep->vk, plan->rows);
	plan->ideal_lists = Max(vk_choose_lists(upkeep->vk, plan->wanted_lists, plan->rows), 1);
	if (plan->wanted_lists > 0)
		plan->list_rows = Max(plan->rows / plan->ideal_lists, 1);
	pfree(directory);
}

/* for all lists as members of one operation */
static void
make_room(UpkeepPlan *plan)
{
	plan->members = palloc_extended((plan->count + 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	plan->queue = palloc_extended((plan->count + 1) * sizeof(int64), MCXT_ALLOC_HUGE);
}

static ListFact *
find_list(UpkeepPlan *plan, uint32 number)
{
	int64		low = 0;
	int64		high = plan->count;

	while (low < high)
	{
		int64		middle = (low + high) / 2;

		if (plan->lists[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < plan->count && plan->lists[low].number == number ?
		&plan->lists[low] : NULL;
}

/* VkCenterCallback */
static void
note_center(void *arg, uint32 number, const int8 *code, float a)
{
	UpkeepPlan *plan = arg;
	ListFact   *list = find_list(plan, number);

	if (list == NULL || plan->centers.count >= plan->count)
		return;
	list->center = plan->centers.count;
	plan->center_lists[plan->centers.count] = list - plan->lists;
	vk_centers_add(&plan->centers, code, a);
}

static Size
memory_limit(void)
{
	bool		autovacuum = AmAutoVacuumWorkerProcess() && autovacuum_work_mem != -1;

	return (Size) (autovacuum ? autovacuum_work_mem : maintenance_work_mem) * 1024;
}

/* what lists and centres leave of it, if they leave a fair part */
static Size
memory_left(const UpkeepPlan *plan)
{
	const VkCenters *centers = &plan->centers;
	Size		limit = memory_limit();
	Size		held = plan->count * (sizeof(ListFact) + sizeof(int64)) +
		centers->count * (centers->stride + sizeof(float)) +
		vk_assigner_size(plan->upkeep->vk->coder.dim, centers->count);

	return held < limit / LEAST_SHARE * (LEAST_SHARE - 1) ? limit - held :
		limit / LEAST_SHARE;
}

/* lists, their centres, and what finds the nearest of these */
static void
read_index(UpkeepPlan *plan)
{
	const VkIndex *vk = plan->upkeep->vk;
	VkCenters  *centers = &plan->centers;

	read_lists(plan);
	plan->center_lists = palloc_extended((plan->count + 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	vk_centers_init(centers, vk->coder.dim);
	vk_center_list_read(plan->upkeep->index, vk, &plan->meta, note_center, plan);
	vk_assigner_init(&plan->assigner, vk->coder.dim, centers->count, centers->codes,
					 centers->stride, centers->scales, vk_pause,
					 vk_aligned_alloc(vk_assigner_size(vk->coder.dim, centers->count)));
	make_room(plan);
	plan->upkeep->memory = memory_left(plan);
}

/* ---- one operation ---- */

static void
add_member(UpkeepPlan *plan, int64 place)
{
	ListFact   *list = &plan->lists[place];

	if (list->done)
		return;
	list->done = true;
	plan->queue[plan->member_count] = place;
	plan->members[plan->member_count++] = list->number;
	plan->member_rows += list->live;
	plan->member_dead += list->dead;
}

static void
begin_members(UpkeepPlan *plan)
{
	plan->member_count = 0;
	plan->member_rows = plan->member_dead = 0;
}

/* the lists around one, itself included */
static void
add_neighbors(UpkeepPlan *plan, const ListFact *list)
{
	const VkCenters *centers = &plan->centers;
	int32		near[NEIGHBORS + 1];
	int			count = vk_assign_several(&plan->assigner,
										  centers->codes + list->center * centers->stride,
										  centers->scales[list->center], NEIGHBORS + 1,
										  near);

	for (int i = 0; i < count; i++)
		add_member(plan, plan->center_lists[near[i]]);
}

/* recycle what is free by now, and add it to the report */
static void
recycle(UpkeepPlan *plan)
{
	VkRecycled *all = &plan->report->recycled;
	VkRecycled	recycled = vk_recycle(plan->upkeep->index, plan->upkeep->heap);

	all->lists += recycled.lists;
	all->pages += recycled.pages;
	all->waiting = recycled.waiting;
}

static void
run_operation(UpkeepPlan *plan, const VkIndex *vk, const VkCenters *centers,
			  VkOperationChange *change)
{
	change->live_rows = plan->meta.live_rows;
	change->dead_rows = Max(plan->meta.dead_rows - plan->member_dead, 0);
	vk_rewrite(plan->upkeep, vk, plan->members, plan->member_count, centers,
			   change, &plan->report->rewritten);
	vk_meta_read(plan->upkeep->index, &plan->meta);
	plan->report->operations++;
	recycle(plan);
}

/*
 * The centres of the lists that take the members' place: those of lists that
 * stay, and new ones for all lists that are split together, which are better
 * than those of each by itself.
 */
static void
replace_centers(UpkeepPlan *plan, VkCenters *centers)
{
	uint32	   *split = palloc_extended(plan->member_count * sizeof(uint32), MCXT_ALLOC_HUGE);
	int64		split_count = 0;
	double		wanted = 0;

	for (int64 i = 0; i < plan->member_count; i++)
	{
		const ListFact *list = &plan->lists[plan->queue[i]];

		if (list->center >= 0 && list->fate == FATE_SPLIT)
		{
			split[split_count++] = list->number;
			wanted += Max(rint(list->live / plan->list_rows), 2);
		}
		/* one must stay */
		else if (list->center >= 0 && (list->fate != FATE_GIVE_UP ||
									   (centers->count == 0 && i == plan->member_count - 1)))
			vk_centers_add(centers,
						   plan->centers.codes + list->center * plan->centers.stride,
						   plan->centers.scales[list->center]);
	}
	if (split_count > 0)
		(void) vk_cluster(plan->upkeep, split, split_count, (int) wanted, centers);
	pfree(split);
}

/*
 * Would the rows come to lie otherwise?  Not where lists were to be split alone, and
 * k-means cannot tell their rows apart.
 */
static bool
changes_members(const UpkeepPlan *plan, const VkCenters *centers)
{
	int64		before = 0;

	for (int64 i = 0; i < plan->member_count; i++)
	{
		const ListFact *list = &plan->lists[plan->queue[i]];

		if (list->center < 0 || list->fate == FATE_GIVE_UP || list->fate == FATE_COMPACT)
			return centers->count > 0;
		before++;
	}
	return centers->count > before;
}

static void
run_members(UpkeepPlan *plan)
{
	VkOperationChange change = {0};
	VkCenters	centers;

	if (plan->member_count == 0)
		return;
	vk_centers_init(&centers, plan->upkeep->vk->coder.dim);
	replace_centers(plan, &centers);
	if (changes_members(plan, &centers))
		run_operation(plan, plan->upkeep->vk, &centers, &change);
	pfree(centers.codes);
	pfree(centers.scales);
}

/* ---- lists: split, give up, compact ---- */

static bool
has_many_dead(const ListFact *list)
{
	return list->dead >= VK_LANES &&
		list->dead > DEAD_SHARE * ((double) list->live + list->dead);
}

static int
compare_live(const void *a, const void *b)
{
	const ListFact *x = *(ListFact *const *) a;
	const ListFact *y = *(ListFact *const *) b;

	if (x->live != y->live)
		return x->live < y->live ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

/* Give up the smallest lists while there are more than the rows ask for. */
static void
give_up_thin(UpkeepPlan *plan, double lists)
{
	double		limit = lists > CROWDED * plan->ideal_lists ? THIN_SPARSE : THIN;
	int64		count = plan->centers.count;
	ListFact  **order = palloc_extended((count + 1) * sizeof(ListFact *), MCXT_ALLOC_HUGE);

	for (int64 i = 0; i < count; i++)
		order[i] = &plan->lists[plan->center_lists[i]];
	qsort(order, count, sizeof(ListFact *), compare_live);
	for (int64 i = 0; i < count && lists > plan->ideal_lists &&
		 order[i]->live < limit * plan->list_rows; i++, lists--)
		order[i]->fate = FATE_GIVE_UP;
	pfree(order);
}

/*
 * Is a list to be split?  Real data has places where rows lie close, and lists there
 * that are many times the average: of 500,000 texts' vectors the largest has 10
 * times as many.  To split those of a new index moved each row 1.4 times and made no
 * search shorter (README.md).
 */
static bool
is_overfull(const UpkeepPlan *plan, const ListFact *list)
{
	bool		crowded = plan->centers.count * CROWDED < plan->ideal_lists;
	double		most = plan->list_rows * (crowded ? OVERFULL_CROWDED : OVERFULL);

	if (list->live < Max(most, 2 * VK_LANES))
		return false;
	return crowded || list->live > GROWN * list->made ||
		list->live >= FAR_OVERFULL * plan->list_rows;
}

static void
decide_fates(UpkeepPlan *plan)
{
	double		lists = plan->centers.count;

	for (int64 i = 0; i < plan->centers.count; i++)
	{
		ListFact   *list = &plan->lists[plan->center_lists[i]];

		if (is_overfull(plan, list) &&
			!vk_list_is_uniform(plan->upkeep, list->number))
		{
			list->fate = FATE_SPLIT;
			lists += Max(rint(list->live / plan->list_rows), 2) - 1;
		}
		else if (has_many_dead(list))
			list->fate = FATE_COMPACT;
	}
	give_up_thin(plan, lists);
	plan->fated = 0;
	for (int64 i = 0; i < plan->centers.count; i++)
	{
		const ListFact *list = &plan->lists[plan->center_lists[i]];

		if (list->fate != FATE_KEEP)
			plan->fated += (double) list->live + list->dead + 1;
	}
}

/*
 * One operation after the other: a list with a fate, its neighbors, and theirs
 * where they have a fate too.
 */
static void
change_lists(UpkeepPlan *plan)
{
	double		most = Max(OPERATION_ROWS, OPERATION_SHARE * plan->rows);
	int64		expanded = 0;

	begin_members(plan);
	for (int64 first = 0; first < plan->count; first++)
	{
		if (plan->lists[first].fate == FATE_KEEP)
			continue;
		add_member(plan, first);
		while (expanded < plan->member_count && plan->member_rows < most)
		{
			const ListFact *list = &plan->lists[plan->queue[expanded++]];

			if (list->fate == FATE_SPLIT || list->fate == FATE_GIVE_UP)
				add_neighbors(plan, list);
		}
		if (plan->member_rows >= most)
		{
			run_members(plan);
			begin_members(plan);
			expanded = 0;
		}
	}
	run_members(plan);
}

/* ---- segments ---- */

/* the lists that the rows of a segment belong to */
static void
add_targets(UpkeepPlan *plan, uint32 number)
{
	VkUpkeep   *upkeep = plan->upkeep;
	const VkIndex *vk = upkeep->vk;
	int			most = VK_SEGMENT_ROWS;
	VkListRow  *rows = palloc_extended(most * sizeof(VkListRow), MCXT_ALLOC_HUGE);
	float	   *rotated = palloc(vk->coder.dim * sizeof(float));
	int8	   *code = palloc0(plan->centers.stride);
	void	   *scratch = vk_aligned_alloc(vk_scratch_size(vk->coder.dim));
	VkListWalk	walk;
	VkSlot		slot;
	int			count;

	vk_slot_read(upkeep->index, &plan->meta, number, &slot);
	vk_list_walk_begin(&walk, vk, number, &slot);
	while ((count = vk_list_walk_next(&walk, upkeep->index, rows, most)) > 0)
		for (int i = 0; i < count; i++)
		{
			const float *vector;
			bool		wild;
			double		norm2;
			VkQuantized quantized;
			int32		list;

			if (vk_row_vector(upkeep, &rows[i].tid, &vector, &wild) != VK_ROW_LIVE || wild)
				continue;
			vk_row_rotate(&vk->coder, vector, rotated, &norm2, scratch);
			vk_kernels->quantize_i8(rotated, vk->coder.dim, code, &quantized);
			vk_assign(&plan->assigner, code, plan->centers.stride, &quantized.scale,
					  1, &list);
			add_member(plan, plan->center_lists[list]);
		}
	pfree(rows);
	pfree(rotated);
	pfree(code);
}

static void
empty_segments(UpkeepPlan *plan)
{
	begin_members(plan);
	for (int64 i = 0; i < plan->count; i++)
		if (plan->lists[i].center < 0)
		{
			add_member(plan, i);
			add_targets(plan, plan->lists[i].number);
		}
	run_members(plan);
}

/* ---- coding anew ---- */

/*
 * How rows are coded about the mean of those that there are now.
 */
static VkIndex *
coder_of_now(UpkeepPlan *plan, VkOperationChange *change)
{
	VkUpkeep   *upkeep = plan->upkeep;
	const VkCoder *old = &upkeep->vk->coder;
	int64		wanted = Max(Min(MEAN_ROWS, upkeep->memory / 4 / (old->dim * sizeof(float))), 64);
	float	   *rows = palloc_extended(wanted * old->dim * sizeof(float), MCXT_ALLOC_HUGE);
	int64		count = vk_sample_lists(upkeep, plan->members, plan->member_count,
										wanted, rows);
	float	   *mean = vk_mean_of(rows, count, old->dim);
	VkIndex    *vk;

	change->coded = true;
	change->step = old->metric == VK_METRIC_L1 ?
		vk_grid_step(rows, count, old->dim, mean) : 0;
	vk = vk_index_make(upkeep->index, old->dim, old->metric, old->format,
					   old->refine_bits, old->flat, upkeep->vk->seed, mean,
					   change->step, CurrentMemoryContext);
	vk->coded = plan->meta.epoch + 1;
	pfree(rows);
	return vk;
}

/* rewrite everything; lists 0: into segments */
static void
code_anew(UpkeepPlan *plan, int lists)
{
	VkOperationChange change = {0};
	VkCenters	centers;

	vk_centers_init(&centers, plan->upkeep->vk->coder.dim);
	begin_members(plan);
	for (int64 i = 0; i < plan->count; i++)
		add_member(plan, i);
	plan->upkeep->vk = coder_of_now(plan, &change);
	if (lists > 0 &&
		vk_cluster(plan->upkeep, plan->members, plan->member_count, lists, &centers) == 0)
		return;
	run_operation(plan, plan->upkeep->vk, lists > 0 ? &centers : NULL, &change);
}

/* segments with many dead lanes, one operation after the other */
static void
compact_segments(UpkeepPlan *plan)
{
	VkOperationChange change = {0};

	begin_members(plan);
	for (int64 i = 0; i < plan->count; i++)
	{
		const ListFact *list = &plan->lists[i];

		if (list->stale || has_many_dead(list))
			add_member(plan, i);
		if (plan->member_count > 0 &&
			(i == plan->count - 1 || plan->member_rows >= OPERATION_ROWS))
		{
			run_operation(plan, plan->upkeep->vk, NULL, &change);
			begin_members(plan);
		}
	}
}

/* was the mean taken of so few rows that it says little of those of now? */
static bool
mean_is_old(const UpkeepPlan *plan)
{
	const VkCoder *coder = &plan->upkeep->vk->coder;

	/* codes of bits are about no mean */
	return !(coder->flat && vk_metric_of_bits(coder->metric)) &&
		plan->rows >= VK_SEGMENT_ROWS &&
		plan->meta.build_rows < MEAN_ROWS &&
		plan->rows > RECODE_GROWTH * plan->meta.build_rows;
}

/* ---- recall ---- */

static void
renew_curve(UpkeepPlan *plan)
{
	VkUpkeep   *upkeep = plan->upkeep;
	VkOptions	options = vk_options_get(upkeep->index);
	double		changed;

	vk_meta_read(upkeep->index, &plan->meta);
	changed = Max(plan->meta.changed_rows, plan->report->rewritten.rows);
	if (plan->meta.lists == 0 || options.calibrate == 0 ||
		(plan->meta.curve_rows > 0 && !plan->regrouped && changed <= CHANGED_SHARE * plan->meta.curve_rows))
		return;
	vk_recalibrate(upkeep->index, upkeep->heap, upkeep->info, upkeep->memory,
				   &plan->meta);
	vk_curve_store(upkeep->index, &plan->meta);
	plan->report->calibrated = true;
}

/* ---- the whole ---- */

/* rows of segments to the lists they belong to */
static void
keep_segments_empty(UpkeepPlan *plan)
{
	read_index(plan);
	if (plan->centers.count > 0 &&
		(plan->segment_rows >= plan->list_rows || plan->stale))
		empty_segments(plan);
}

/*
 * Change the lists that are to be changed, and then those of what has come out of
 * it that are too long or too short themselves, and so on.  Lists that no
 * clustering makes better end this too: where there is no less to do than ever
 * before, twice.
 */
static void
keep_lists(UpkeepPlan *plan)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "vkindex upkeep round",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	double		least = INFINITY;
	int			vain = 0;

	forget_lists(plan);
	keep_segments_empty(plan);
	for (int round = 0; round < ROUNDS; round++)
	{
		MemoryContextReset(context);
		forget_lists(plan);
		read_index(plan);
		decide_fates(plan);
		vain += plan->fated >= least;
		if (plan->fated == 0 || vain == VAIN_ROUNDS)
			break;
		least = Min(least, plan->fated);
		change_lists(plan);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	plan->upkeep->memory = memory_limit();
}

/* an index without lists */
static void
keep_segments(UpkeepPlan *plan)
{
	int			lists;

	read_lists(plan);
	make_room(plan);
	lists = plan->rows < 1 ? 0 :
		vk_choose_lists(plan->upkeep->vk, plan->wanted_lists, plan->rows);
	if (lists > 0 || mean_is_old(plan))
		code_anew(plan, lists);
	else
		compact_segments(plan);
}

/*
 * After coding anew there may be segments that inserts have opened meanwhile, of
 * the coding before: a second look finds them.
 */
static void
do_upkeep(UpkeepPlan *plan)
{
	uint64		coded;

	vk_meta_read(plan->upkeep->index, &plan->meta);
	coded = plan->meta.coded;
	if (plan->meta.lists == 0)
		keep_segments(plan);
	if (plan->meta.lists > 0)
		keep_lists(plan);
	else if (plan->meta.coded != coded)
		keep_segments(plan);
}

/*
 * A vacuum that has workers is in parallel mode, where functions that are marked
 * unsafe may fail.  Rows are left to the next upkeep that is not.
 */
static bool
may_read_rows(const IndexInfo *info)
{
	return !IsInParallelMode() ||
		vk_parallel_hazard(info->ii_Expressions, info->ii_Predicate) != PROPARALLEL_UNSAFE;
}

/*
 * vk_upkeep_run -- do what there is to do for one index
 */
void
vk_upkeep_run(Relation index, Relation heap, VkUpkeepReport *report)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "vkindex upkeep",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	VkUpkeep	upkeep = {.index = index, .heap = heap, .context = context};
	UpkeepPlan		plan = {.upkeep = &upkeep, .report = report};

	memset(report, 0, sizeof(VkUpkeepReport));
	vk_upkeep_lock(index, ExclusiveLock);
	vk_operation_clean_up(index);
	recycle(&plan);

	upkeep.info = BuildIndexInfo(index);
	upkeep.info->ii_Concurrent = true;
	upkeep.support = vk_support(index);
	upkeep.vk = vk_index_copy(index, context);
	upkeep.memory = memory_limit();
	plan.wanted_lists = vk_options_get(index).lists;
	vk_meta_read(index, &plan.meta);
	report->lists_before = plan.meta.lists;
	if (may_read_rows(upkeep.info))
	{
		vk_rows_keep_toast(&upkeep, true);
		/* which of a document's vectors an entry stands for is not known */
		if (!upkeep.support->documents)
			do_upkeep(&plan);
		plan.regrouped = vk_regroup(&upkeep);
		renew_curve(&plan);
		vk_rows_keep_toast(&upkeep, false);
	}
	report->lists_after = plan.meta.lists;
	vk_rows_release(&upkeep);
	vk_upkeep_unlock(index, ExclusiveLock);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
