/*-------------------------------------------------------------------------
 *
 * read_ahead_queries.c
 *	  The queries of rows that have been read ahead, and their answers.
 *
 * NOTES
 *	  An answer is a help that a scan can do without.  So queries that make no
 *	  sense are not searched for: their scan says what is wrong, or finds nothing,
 *	  as it does without batches.  And where the answers within spheres do not fit
 *	  in memory, the largest of them are forgotten: their scans return the rows
 *	  one by one.
 *
 *	  Rows are searched for up to the radius and on it.  Those on it, the scan
 *	  drops where it is asked for nearer ones only.
 *
 * IDENTIFICATION
 *	  src/batch/read_ahead_queries.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "batch/batch.h"
#include "batch/read_ahead.h"
#include "types/sphere.h"

/* rows of an answer that there is room for at first */
#define FIRST_CAPACITY	16

/* bytes that all answers may take */
static Size
most_memory(void)
{
	return (Size) work_mem * 1024 / 2;
}

/* ---- queries ---- */

void
vk_ahead_reset(VkAheadBatch *batch)
{
	MemoryContextReset(batch->context);
	batch->count = 0;
	batch->memory = 0;
	batch->found = 0;
}

static void
read_sphere(VkAheadBatch *batch, VkAheadQuery *query, Datum value)
{
	VkSphere	sphere;
	MemoryContext old;

	if (!vk_sphere_read(value, batch->type, &sphere) || isnan(sphere.radius))
		return;
	query->radius = sphere.radius;
	query->exact = sphere.exact;
	old = MemoryContextSwitchTo(batch->context);
	query->vector = PointerGetDatum(PG_DETOAST_DATUM_COPY(sphere.center));
	MemoryContextSwitchTo(old);
}

void
vk_ahead_add(VkAheadBatch *batch, Datum value, bool isnull)
{
	VkAheadQuery *query = &batch->queries[batch->count++];
	MemoryContext old;

	memset(query, 0, sizeof(VkAheadQuery));
	if (isnull)
		return;
	if (batch->wanted == 0)
	{
		read_sphere(batch, query, value);
		return;
	}
	old = MemoryContextSwitchTo(batch->context);
	query->vector = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	MemoryContextSwitchTo(old);
}

/* ---- answers ---- */

/* an answer counts where all of it are numbers */
static void
take_nearest(VkAheadBatch *batch, const VkBatchQuery *found)
{
	VkAheadQuery *query = &batch->queries[found->number - 1];

	if (found->row_count < batch->wanted ||
		isnan(found->rows[batch->wanted - 1].distance))
		return;
	query->rows = MemoryContextAlloc(batch->context, batch->wanted * sizeof(VkNeighbor));
	memcpy(query->rows, found->rows, batch->wanted * sizeof(VkNeighbor));
	query->count = batch->wanted;
	query->answered = true;
}

/* VkBatchAnswer */
static void
answer_nearest(void *arg, VkBatch *found)
{
	VkAheadBatch *batch = arg;

	vk_batch_nearest(found, batch->wanted);
	for (int i = 0; i < found->count; i++)
		take_nearest(batch, &found->queries[i]);
}

static void
forget_largest(VkAheadBatch *batch)
{
	VkAheadQuery *largest = &batch->queries[0];

	for (int i = 1; i < batch->count; i++)
		if (batch->queries[i].capacity > largest->capacity)
			largest = &batch->queries[i];
	batch->memory -= largest->capacity * sizeof(VkNeighbor);
	batch->forgotten++;
	pfree(largest->rows);
	largest->rows = NULL;
	largest->count = largest->capacity = 0;
	largest->answered = false;
}

/* make room for more rows, or forget the answer */
static void
grow(VkAheadBatch *batch, VkAheadQuery *query)
{
	int64		more = Max(query->capacity, FIRST_CAPACITY);

	query->capacity += more;
	batch->memory += more * sizeof(VkNeighbor);
	query->rows = query->rows == NULL ?
		MemoryContextAllocHuge(batch->context, query->capacity * sizeof(VkNeighbor)) :
		repalloc_huge(query->rows, query->capacity * sizeof(VkNeighbor));
	while (batch->memory > most_memory() && batch->memory > 0)
		forget_largest(batch);
}

/* VkBatchFound */
static void
take_within(void *arg, const VkBatchQuery *found, uint64 tid, double distance)
{
	VkAheadBatch *batch = arg;
	VkAheadQuery *query = &batch->queries[found->number - 1];

	batch->found++;
	if (!query->answered)
		return;
	if (query->count == query->capacity)
		grow(batch, query);
	if (query->answered)
		query->rows[query->count++] = (VkNeighbor) {distance, tid};
}

/* VkBatchAnswer */
static void
answer_within(void *arg, VkBatch *found)
{
	VkAheadBatch *batch = arg;

	found->own_radii = true;
	for (int i = 0; i < found->count; i++)
	{
		VkAheadQuery *query = &batch->queries[found->queries[i].number - 1];

		/* rows are found below a radius; NaN is above all numbers */
		found->queries[i].radius = isinf(query->radius) && query->radius > 0 ?
			get_float8_nan() : nextafter(query->radius, get_float8_infinity());
		query->answered = true;
	}
	vk_batch_within(found, 0, take_within, batch);
}

/* Which queries are left to their scans; how many are not. */
static int
leave_out(const VkAheadBatch *batch, const VkBatchTarget *target, Datum *vectors,
		  bool *left_out)
{
	bool		approximate = batch->wanted == 0 && !vk_batch_strict(target);
	int			searched = 0;

	for (int i = 0; i < batch->count; i++)
	{
		const VkAheadQuery *query = &batch->queries[i];

		vectors[i] = query->vector;
		left_out[i] = query->vector == (Datum) 0 ||
			target->support->layout->dim(query->vector) != target->vk->coder.dim ||
			(approximate && !query->exact);
		searched += !left_out[i];
	}
	return searched;
}

bool
vk_ahead_search(VkAheadBatch *batch, Snapshot snapshot)
{
	Datum		vectors[VK_MOST_AHEAD];
	bool		left_out[VK_MOST_AHEAD];
	VkBatchTarget *target;
	MemoryContext old;
	bool		searched;

	if (batch->count < 2)
		return false;
	old = MemoryContextSwitchTo(batch->context);
	PushActiveSnapshot(snapshot);
	target = vk_batch_open_planned(batch->index);
	searched = leave_out(batch, target, vectors, left_out) > 1 &&
		(batch->wanted > 0 || vk_batch_collectable(target));
	if (searched)
		vk_batch_run(target, vectors, left_out, batch->count, batch->wanted,
					 batch->wanted > 0 ? answer_nearest : answer_within, batch);
	vk_batch_close(target);
	PopActiveSnapshot();
	MemoryContextSwitchTo(old);
	return searched;
}

int
vk_ahead_fitting(const VkAheadBatch *batch)
{
	double		rows = batch->wanted;

	/* arrays that grow are half empty */
	if (batch->wanted == 0)
		rows = 2.0 * batch->found / Max(batch->count, 1);
	return (int) Max(Min(most_memory() / Max(rows * sizeof(VkNeighbor), 1.0),
						 VK_MOST_AHEAD), 1);
}

/* ---- what scans ask ---- */

static bool
same_vector(Datum a, Datum b)
{
	const struct varlena *x = (struct varlena *) DatumGetPointer(a);
	const struct varlena *y = (struct varlena *) DatumGetPointer(b);

	return VARSIZE(x) == VARSIZE(y) && memcmp(x, y, VARSIZE(x)) == 0;
}

bool
vk_ahead_nearest(const VkAheadQuery *query, Datum vector, int64 wanted, VkAnswer *answer)
{
	if (!query->answered || query->count != wanted || !same_vector(query->vector, vector))
		return false;
	*answer = (VkAnswer) {query->rows, query->count};
	return true;
}

bool
vk_ahead_within(const VkAheadQuery *query, Datum vector, double radius, VkAnswer *answer)
{
	if (!query->answered || !(radius <= query->radius) ||
		!same_vector(query->vector, vector))
		return false;
	*answer = (VkAnswer) {query->rows, query->count};
	return true;
}
