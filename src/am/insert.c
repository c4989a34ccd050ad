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
 *	  those to the open segment, a list without centroid that every scan
 *	  visits.  Without centroids there are segments only.
 *
 *	  What does not change between the rows of a statement is kept in
 *	  ii_AmCache.
 *
 * IDENTIFICATION
 *	  src/am/insert.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "am/am.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#define NEAREST_TRIES	4		/* lists to try before the open segment */

/* kept for the rows of one statement */
typedef struct InsertState
{
	const VkSupport *support;
	VkIndex    *vk;
	VkSearch   *search;			/* NULL until a centroid is asked for */
	MemoryContext context;		/* of this state */
	MemoryContext row_context;	/* reset after each row */
	float	   *normalized;		/* cosine */
	float	   *rotated;
	void	   *scratch;
	VkRow		row;
} InsertState;

static const VkCenter mean_center = {0};

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
	state->context = info->ii_Context;
	state->row_context = AllocSetContextCreate(info->ii_Context,
											   "vkindex insert row",
											   ALLOCSET_DEFAULT_SIZES);
	state->support = vk_support(index);
	state->vk = vk_index_copy(index, info->ii_Context);
	coder = &state->vk->coder;
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

/* encode the rotated row against a centre */
static void
encode_row(InsertState *state, const VkCenter *center, double norm2, bool wild)
{
	vk_row_encode(&state->vk->coder, state->rotated, norm2, center, wild,
				  &state->row.code, state->scratch);
}

/*
 * append_nearest -- append to the list of a near centroid
 *
 * Returns false where none of the nearest takes rows.
 */
static bool
append_nearest(Relation index, InsertState *state, const VkMeta *meta,
			   const float *vector, double norm2, bool wild)
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
		uint32		number = vk_search_nearest(state->search, meta, vector,
											   nth, &center);

		if (number == 0)
			break;
		encode_row(state, &center, norm2, wild);
		if (vk_list_append(index, state->vk, number, &state->row))
			return true;
	}
	return false;
}

/*
 * append_segment -- append to the open segment, or to a new one
 */
static void
append_segment(Relation index, InsertState *state, VkMeta *meta)
{
	while (meta->open_slot == 0 ||
		   !vk_segment_append(index, state->vk, meta->open_slot, &state->row))
	{
		CHECK_FOR_INTERRUPTS();
		vk_segment_open(index, state->vk, meta->open_slot);
		vk_meta_read(index, meta);
	}
}

/* insert one row; memory is the row context */
static void
insert_row(Relation index, InsertState *state, const Datum *values,
		   const bool *isnull, ItemPointer tid)
{
	const VkCoder *coder = &state->vk->coder;
	const float *vector;
	int			dim;
	bool		wild = false;
	double		norm2;
	VkMeta		meta;

	vector = state->support->values(PointerGetDatum(PG_DETOAST_DATUM(values[0])),
									&dim);
	if (dim != coder->dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", coder->dim, dim)));

	if (coder->metric == VK_METRIC_COSINE)
	{
		if (!vk_normalize(vector, dim, state->normalized, &wild))
		{
			vk_rest_append(index, VK_SLOT_REST_NAN, tid);
			return;
		}
		vector = state->normalized;
	}

	state->row.tid = *tid;
	vk_attributes_form(state->vk, values, isnull, &state->row.attributes);
	vk_row_rotate(coder, vector, state->rotated, &norm2, state->scratch);
	vk_meta_read(index, &meta);

	if (meta.lists > 0 &&
		append_nearest(index, state, &meta, vector, norm2, wild))
		return;

	encode_row(state, &mean_center, norm2, wild);
	append_segment(index, state, &meta);
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
