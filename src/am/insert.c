/*-------------------------------------------------------------------------
 *
 * insert.c
 *	  Insert a row: choose its list, encode it, append it.
 *
 * NOTES
 *	  Rows whose vector is NULL and, under cosine distance, rows of zero norm
 *	  have no distance and go to the rest lists, without their attribute
 *	  values.  With centroids a row goes to the list of the nearest one; where
 *	  that takes no rows at the moment, to the next nearest, and after a few of
 *	  those to an open segment, a list without centroid that every scan visits.
 *	  Without centroids there are segments only.
 *
 *	  Several segments are open at a time, the open tails.  A row goes to the
 *	  first of them that nobody else is appending to, so that one writer alone
 *	  fills one segment after the other, while several do not wait.
 *
 *	  What does not change between the rows of a statement is kept in
 *	  ii_AmCache, the meta page too: the lists that it shows stay whole, or
 *	  refuse the row (README, Concurrency).  After a refusal it is read
 *	  again, and if an operation has committed in between, all is decided again,
 *	  the row's code included: the mean may be another one.  A list born before
 *	  the mean of today (VkMeta.coded) has rows coded by an older one, and gets
 *	  no more.
 *
 *	  Whether an UPDATE has changed the indexed columns (indexUnchanged) makes
 *	  no difference.  The new version has a TID of its own and needs an entry,
 *	  and versions of one row are not found side by side here, as they are in a
 *	  B-tree, which looks for dead ones among them: that is left to vacuum.
 *
 * IDENTIFICATION
 *	  src/am/insert.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "am/am.h"
#include "am/test_point.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#define NEAREST_TRIES	4		/* lists to try before the open segments */

/* kept for the rows of one statement */
typedef struct InsertState
{
	const VkSupport *support;
	VkMeta		meta;			/* as it was read last */
	VkIndex    *vk;				/* goes with it */
	VkSearch   *search;			/* NULL until a centroid is asked for */
	MemoryContext context;		/* of these two */
	MemoryContext row_context;	/* reset after each row */
	VkDirectory directory;

	/* the open segment that was tried last */
	int			tail;			/* its place in VkMeta.open_slot */
	uint32		tail_number;	/* slot; 0: tail_slot is not known */
	VkSlot		tail_slot;

	float	   *floats;			/* of the row, where its elements are no floats */
	float	   *normalized;		/* cosine */
	float	   *rotated;
	void	   *scratch;
	VkRow		row;
} InsertState;

static const VkCenter mean_center = {0};

/* ---- what a statement knows of the index ---- */

/*
 * Read the meta page; what depends on the mean is made anew where that is another.
 * Returns whether a list operation has committed since the page was read last.
 */
static bool
read_meta(Relation index, InsertState *state)
{
	uint64		epoch = state->meta.epoch;

	vk_meta_read(index, &state->meta);
	if (state->vk == NULL || state->vk->coded != state->meta.coded)
	{
		MemoryContextReset(state->context);
		state->search = NULL;
		state->vk = NULL;
		state->vk = vk_index_current(index, &state->meta, state->context);
	}
	return state->meta.epoch != epoch;
}

/*
 * The same where nothing else may change yet: the lists that the ranking of
 * centroids goes by are those of the meta page as it was read.
 */
static bool
read_meta_changed(Relation index, InsertState *state)
{
	VkMeta		meta;

	vk_meta_read(index, &meta);
	return meta.epoch != state->meta.epoch && read_meta(index, state);
}

/*
 * get_state -- the statement's state, made for its first row
 */
static InsertState *
get_state(Relation index, IndexInfo *info)
{
	InsertState *state = (InsertState *) info->ii_AmCache;
	MemoryContext old_context;
	const VkCoder *coder;

	if (state != NULL)
		return state;

	old_context = MemoryContextSwitchTo(info->ii_Context);
	state = palloc0(sizeof(InsertState));
	state->context = AllocSetContextCreate(info->ii_Context, "vkindex insert",
										   ALLOCSET_DEFAULT_SIZES);
	state->row_context = AllocSetContextCreate(info->ii_Context,
											   "vkindex insert row",
											   ALLOCSET_DEFAULT_SIZES);
	state->support = vk_support(index);
	(void) read_meta(index, state);
	coder = &state->vk->coder;
	state->floats = palloc(sizeof(float) * coder->dim);
	state->normalized = palloc(sizeof(float) * coder->dim);
	state->rotated = palloc(sizeof(float) * coder->dim);
	state->scratch = palloc(vk_scratch_size(coder->dim));
	state->row.code.lane = palloc(4 * coder->lines);
	if (coder->refine_size > 0)
		state->row.code.refine = palloc(coder->refine_size);
	MemoryContextSwitchTo(old_context);

	info->ii_AmCache = state;
	return state;
}

/* ---- one row ---- */

/* append the encoded row to a list that the meta page shows */
static VkAppended
append_to(Relation index, InsertState *state, uint32 number, VkSlot *slot,
		  int64 max_rows, bool wait)
{
	if (!vk_slot_visible(slot, state->meta.epoch) ||
		slot->born < state->meta.coded)
		return VK_APPEND_REFUSED;
	vk_test_point("insert");
	return vk_list_try_append(index, state->vk, number, slot, &state->row,
							  max_rows, wait);
}

/*
 * append_nearest -- append to the list of a near centroid
 *
 * Returns false where none of the nearest takes rows, or *changed is set.
 */
static bool
append_nearest(Relation index, InsertState *state, const float *vector,
			   double norm2, bool wild, bool *changed)
{
	if (state->search == NULL)
	{
		MemoryContext old_context = MemoryContextSwitchTo(state->context);

		state->search = vk_search_create(index, state->vk);
		MemoryContextSwitchTo(old_context);
	}

	for (int nth = 0; nth < NEAREST_TRIES; nth++)
	{
		VkCenter	center;
		VkSlot		slot;
		uint32		number = vk_search_nearest(state->search, &state->meta,
											   vector, nth, &center);

		if (number == 0)
			break;
		vk_directory_slot(index, &state->meta, &state->directory, number, &slot);
		if (slot.retired == 0)
		{
			vk_row_encode(&state->vk->coder, state->rotated, norm2, &center, wild,
						  &state->row.code, state->scratch);
			if (append_to(index, state, number, &slot, PG_INT64_MAX, true) == VK_APPENDED)
				return true;
		}
		*changed = read_meta_changed(index, state);
		if (*changed)
			break;
	}
	return false;
}

/*
 * append_tail -- append to one of the open segments, opening it where needed
 *
 * Refused is the row only where an operation has committed meanwhile.
 */
static VkAppended
append_tail(Relation index, InsertState *state, int tail, bool wait)
{
	for (;;)
	{
		uint32		number = state->meta.open_slot[tail];

		if (number != 0)
		{
			VkAppended	result;

			if (number != state->tail_number)
				vk_directory_slot(index, &state->meta, &state->directory, number,
								  &state->tail_slot);
			state->tail = tail;
			state->tail_number = number;
			result = append_to(index, state, number, &state->tail_slot,
							   VK_SEGMENT_ROWS, wait);
			if (result != VK_APPEND_REFUSED)
				return result;
			state->tail_number = 0;
		}
		CHECK_FOR_INTERRUPTS();
		vk_segment_open(index, state->vk, tail, number);
		if (read_meta(index, state))
			return VK_APPEND_REFUSED;
	}
}

/*
 * append_segment -- append to an open segment, if possible without waiting
 *
 * Returns false where an operation has committed meanwhile.
 */
static bool
append_segment(Relation index, InsertState *state)
{
	int			first = state->tail;
	VkAppended	result = VK_APPEND_BUSY;

	for (int i = 0; i < VK_OPEN_SEGMENTS && result == VK_APPEND_BUSY; i++)
		result = append_tail(index, state, (first + i) % VK_OPEN_SEGMENTS, false);
	if (result == VK_APPEND_BUSY)
		result = append_tail(index, state, first, true);
	return result == VK_APPENDED;
}

/*
 * Encode the row and append it.  Returns false where an operation has committed
 * meanwhile: all is to be decided again.
 */
static bool
append_row(Relation index, InsertState *state, const float *vector, bool wild)
{
	bool		changed = false;
	double		norm2;

	vk_row_rotate(&state->vk->coder, vector, state->rotated, &norm2,
				  state->scratch);
	if (state->meta.lists > 0 &&
		append_nearest(index, state, vector, norm2, wild, &changed))
		return true;
	if (changed)
		return false;

	vk_row_encode(&state->vk->coder, state->rotated, norm2, &mean_center, wild,
				  &state->row.code, state->scratch);
	return append_segment(index, state);
}

static void
check_dimensions(const InsertState *state, Datum vector)
{
	int			dim = state->support->layout->dim(vector);

	if (dim != state->vk->coder.dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d",
						state->vk->coder.dim, dim)));
}

/* insert one vector of a row; false: it has no distance */
static bool
insert_vector(Relation index, InsertState *state, Datum value)
{
	const float *vector = state->support->layout->floats(value, state->floats);
	bool		wild = false;

	if (state->vk->coder.metric == VK_METRIC_COSINE)
	{
		if (!vk_normalize(vector, state->vk->coder.dim, state->normalized, &wild))
			return false;
		vector = state->normalized;
	}
	while (!append_row(index, state, vector, wild))
		CHECK_FOR_INTERRUPTS();
	return true;
}

/* insert one row; memory is the row context */
static void
insert_row(Relation index, InsertState *state, const Datum *values,
		   const bool *isnull, ItemPointer tid)
{
	Datum		value = PointerGetDatum(PG_DETOAST_DATUM(values[0]));
	Datum	   *vectors;
	int			count = vk_support_vectors(state->support, &value, &vectors);
	bool		listed = false;

	for (int i = 0; i < count; i++)
		check_dimensions(state, vectors[i]);
	state->row.tid = *tid;
	vk_attributes_form(state->vk, values, isnull, &state->row.attributes);
	for (int i = 0; i < count; i++)
		listed |= insert_vector(index, state, vectors[i]);
	if (!listed)
		vk_rest_append(index, VK_SLOT_REST_NAN, tid);
}

/*
 * vk_insert -- aminsert of both access methods
 */
bool
vk_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid,
		  Relation heap, IndexUniqueCheck check, bool unchanged,
		  IndexInfo *info)
{
	InsertState *state;
	MemoryContext old_context;

	if (isnull[0])
	{
		vk_rest_append(index, VK_SLOT_REST_NULL, tid);
		return false;
	}

	state = get_state(index, info);
	old_context = MemoryContextSwitchTo(state->row_context);
	insert_row(index, state, values, isnull, tid);
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(state->row_context);

	return false;
}
