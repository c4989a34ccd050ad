/*-------------------------------------------------------------------------
 *
 * parallel.c
 *	  Scans that several processes share: who reads which segment.
 *
 * NOTES
 *	  All processes see the index at one epoch: that of the first to ask
 *	  (README, Parallel scans).  Slots are handed out by a counter, one at a
 *	  time, so a process that comes late, or is slow, takes fewer.  What a
 *	  process has taken it keeps: when it searches again, for more rows, it
 *	  visits the same segments.  The rows of the rest lists belong to whoever asks
 *	  for them first.  So each row comes from one process, and none is left as
 *	  long as every process takes slots until there are no more, which a scan
 *	  that is read to its end does.
 *
 * IDENTIFICATION
 *	  src/am/parallel.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/relscan.h"
#include "optimizer/clauses.h"
#include "port/atomics.h"
#include "utils/memutils.h"

#include "am/search.h"

/* in shared memory */
typedef struct VkSharedScan
{
	pg_atomic_uint64 epoch;		/* 0: nobody has asked yet */
	pg_atomic_uint32 next_slot;
	pg_atomic_uint32 rest_taken;	/* 1: some process reads the rest lists */
} VkSharedScan;

struct VkShare
{
	VkSharedScan *shared;
	MemoryContext context;
	uint32	   *slots;			/* taken so far, in this order */
	int64		count;
	int64		capacity;
	int64		next;			/* of them, in this search */
	bool		ended;			/* there are no more to take */
};

char
vk_parallel_hazard(List *expressions, List *predicate)
{
	Query		query = {
		.type = T_Query, .targetList = expressions, .havingQual = (Node *) predicate
	};

	return max_parallel_hazard(&query);
}

/* ---- the access method's entry points ---- */

Size
vk_estimateparallelscan(VK_ESTIMATE_PARALLEL_PARAMETERS)
{
	return sizeof(VkSharedScan);
}

void
vk_initparallelscan(void *target)
{
	VkSharedScan *shared = target;

	pg_atomic_init_u64(&shared->epoch, 0);
	pg_atomic_init_u32(&shared->next_slot, VK_SLOT_FIRST_LIST);
	pg_atomic_init_u32(&shared->rest_taken, 0);
}

/* No process scans: this comes between two runs of the workers. */
void
vk_parallelrescan(IndexScanDesc scan)
{
	VkSharedScan *shared = VK_PARALLEL_TARGET(scan);

	pg_atomic_write_u64(&shared->epoch, 0);
	pg_atomic_write_u32(&shared->next_slot, VK_SLOT_FIRST_LIST);
	pg_atomic_write_u32(&shared->rest_taken, 0);
}

/* ---- one process ---- */

/*
 * Take part in a parallel scan, with memory from the context; NULL where this
 * scan is not one.  The meta page becomes that of the epoch that counts.
 *
 * Where rows have been coded about another mean since then, this process cannot
 * know about which they were before, and leaves the lists to the others.
 */
VkShare *
vk_share_join(IndexScanDesc scan, VkMeta *meta, MemoryContext context)
{
	VkShare    *share;
	uint64		coded = meta->coded;
	uint64		epoch = 0;

	if (scan->parallel_scan == NULL)
		return NULL;
	share = MemoryContextAllocZero(context, sizeof(VkShare));
	share->shared = VK_PARALLEL_TARGET(scan);
	share->context = context;
	if (!pg_atomic_compare_exchange_u64(&share->shared->epoch, &epoch, meta->epoch))
	{
		/* what was read may be older: it need not know all slots of that epoch */
		vk_meta_read(scan->indexRelation, meta);
		share->ended = meta->coded != coded || coded > epoch;
		meta->coded = coded;
		meta->epoch = epoch;
	}
	return share;
}

void
vk_share_begin(VkShare *share)
{
	share->next = 0;
}

/*
 * The next slot for this process to look at, below the end; false where there is
 * none.  First come those that it has taken before.
 */
bool
vk_share_next(VkShare *share, uint32 end, uint32 *slot)
{
	if (share->next == share->count && !share->ended)
	{
		uint32		number = pg_atomic_fetch_add_u32(&share->shared->next_slot, 1);

		share->ended = number >= end;
		if (!share->ended)
		{
			share->slots = vk_array_grow(share->context, share->slots,
										 share->count, &share->capacity,
										 sizeof(uint32));
			share->slots[share->count++] = number;
		}
	}
	if (share->next == share->count)
		return false;
	*slot = share->slots[share->next++];
	return true;
}

/* Do the rest lists fall to this process?  To be asked once; NULL: it is alone. */
bool
vk_share_take_rest(VkShare *share)
{
	return share == NULL ||
		pg_atomic_exchange_u32(&share->shared->rest_taken, 1) == 0;
}
