/*-------------------------------------------------------------------------
 *
 * page.c
 *	  Pages as a whole: reading with checks, new pages, the meta page.
 *
 * NOTES
 *	  A damaged index must never crash the server nor read outside a page, so
 *	  every page is checked here before anybody looks at its contents, and
 *	  block numbers that were read from a page are compared with the size of
 *	  the relation before they are used.
 *
 *	  Chains cannot loop for ever: each page holds its position in its chain,
 *	  and readers expect it to grow by one with every step.
 *
 * IDENTIFICATION
 *	  src/am/page.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "am/am.h"

#include "access/xlog.h"
#include "pgstat.h"
#include "storage/buf_internals.h"
#include "storage/freespace.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"
#include "utils/snapmgr.h"

/* pages of which a backend remembers the buffer */
#define RECENT_PAGES	32768

/* pages added at once for each process that waits to add some, and at most */
#define PAGES_A_WAITER	8
#define MAX_PAGES_ADDED	64

/* pages that the free space map names, looked at for one that is free */
#define FREE_PAGES_TRIED	32

/* more than a table of 2^32 pages has */
#define ROWS_LIMIT		1e13

/* more than list operations can be made: the epoch that follows is none there is */
#define EPOCH_LIMIT		(UINT64CONST(1) << 62)

/*
 * vk_page_init -- format a page and its head; the caller logs it
 *
 * There is no hole: full-page images and generic WAL keep every byte.
 */
void
vk_page_init(Page page, uint16 kind, uint32 slot, uint64 born, uint32 position)
{
	VkPageHead *head;

	PageInit(page, BLCKSZ, 0);
	((PageHeader) page)->pd_lower = BLCKSZ;

	head = vk_page_head(page);
	head->kind = kind;
	head->slot = slot;
	head->born = born;
	head->next = InvalidBlockNumber;
	head->position = position;
	head->refine_page = InvalidBlockNumber;
}

/*
 * vk_corrupt -- report a damaged page; what is a full sentence
 */
void
vk_corrupt(Relation index, BlockNumber block, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\" contains corrupted page at block %u",
					RelationGetRelationName(index), block),
			 errdetail_internal("%s", what),
			 errhint("Please REINDEX it.")));
}

/*
 * vk_block_exists -- does a block number lie within the index?
 *
 * The size of the relation last looked at is remembered, since asking the
 * operating system costs a system call: an index only grows while its file
 * stays, unless it is built anew in it (vk_block_forget).
 */
static Oid	known_index = InvalidOid;
static Oid	known_file = InvalidOid;
static BlockNumber known_blocks = 0;

bool
vk_block_exists(Relation index, BlockNumber block)
{
	if (likely(block < known_blocks &&
			   known_index == RelationGetRelid(index) &&
			   known_file == index->rd_rel->relfilenode))
		return true;

	known_index = RelationGetRelid(index);
	known_file = index->rd_rel->relfilenode;
	known_blocks = RelationGetNumberOfBlocks(index);

	return block < known_blocks;
}

/*
 * vk_block_forget -- an index is built
 *
 * TRUNCATE of a table that the same transaction made, and ON COMMIT DELETE ROWS of a
 * temporary one, empty the files and keep them.  Nobody else can have looked at them.
 */
void
vk_block_forget(void)
{
	known_index = InvalidOid;
}

/* what is wrong with a page's frame, or NULL */
static const char *
page_damage(Page page)
{
	PageHeader	header = (PageHeader) page;

	if (PageIsNew(page))
		return "The page is all zeros.";
	if (header->pd_special != BLCKSZ || header->pd_upper != BLCKSZ ||
		header->pd_lower != BLCKSZ)
		return "The page header is not that of a vkindex page.";
	return NULL;
}

/*
 * vk_check_page -- the checks of vk_read_page, for a locked buffer
 */
void
vk_check_page(Relation index, Buffer buffer, uint16 kind)
{
	Page		page = BufferGetPage(buffer);
	const char *damage = page_damage(page);

	if (unlikely(damage != NULL))
		vk_corrupt(index, BufferGetBlockNumber(buffer), damage);
	if (unlikely(vk_page_head(page)->kind != kind))
		vk_corrupt(index, BufferGetBlockNumber(buffer),
				   psprintf("The page is of kind 0x%04X, expected 0x%04X.",
							vk_page_head(page)->kind, kind));
}

/*
 * vk_began_in_recovery -- does the statement see the data as a standby did?
 *
 * Recycling emits no conflict there.  A statement that was running while its
 * server was promoted has read what nothing held back.
 */
bool
vk_began_in_recovery(void)
{
	return RecoveryInProgress() ||
		(ActiveSnapshotSet() && GetActiveSnapshot()->takenDuringRecovery);
}

/*
 * vk_report_recycled -- a list was recycled that the statement may need
 */
void
vk_report_recycled(Relation index)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("canceling statement due to conflict with recovery"),
			 errdetail("A page of index \"%s\" was recycled while the query was reading it.",
					   RelationGetRelationName(index)),
			 errhint("Retry the query, or set hot_standby_feedback on.")));
}

/*
 * report_stranger -- a page belongs to another list than the one expected
 *
 * On a standby this may be a list's page that was recycled while the query
 * ran: the query can be tried again.
 */
static void
report_stranger(Relation index, Buffer buffer, uint16 kind, uint32 slot,
				uint64 born, uint32 position)
{
	VkPageHead *head = vk_page_head(BufferGetPage(buffer));

	if (vk_began_in_recovery())
		vk_report_recycled(index);

	vk_corrupt(index, BufferGetBlockNumber(buffer),
			   psprintf("The page is of kind 0x%04X, slot %u, birth epoch " UINT64_FORMAT ", position %u; "
						"expected kind 0x%04X, slot %u, birth epoch " UINT64_FORMAT ", position %u.",
						head->kind, head->slot, head->born, head->position,
						kind, slot, born, position));
}

/*
 * vk_check_chain_page -- the checks of vk_read_chain_page, for a locked buffer
 */
void
vk_check_chain_page(Relation index, Buffer buffer, uint16 kind, uint32 slot,
					uint64 born, uint32 position)
{
	const char *damage = page_damage(BufferGetPage(buffer));

	if (unlikely(damage != NULL))
		vk_corrupt(index, BufferGetBlockNumber(buffer), damage);
	if (unlikely(!vk_page_is(BufferGetPage(buffer), kind, slot, born) ||
				 vk_page_head(BufferGetPage(buffer))->position != position))
		report_stranger(index, buffer, kind, slot, born, position);
}

/*
 * Where this backend saw pages last.  A query reads hundreds of pages, the same
 * ones as the query before it, and finding a page in the buffer mapping table
 * costs more than scoring its rows.  ReadRecentBuffer verifies that a page
 * still is where it was.  But it leaves the usage count of the buffer alone, so
 * that hot pages would be evicted first: where the count is not at its most,
 * the next read goes the usual way, which raises it.
 */
typedef struct RecentPage
{
	Oid			file;
	BlockNumber block;
	Buffer		buffer;
} RecentPage;

static RecentPage recent_pages[RECENT_PAGES];

static RecentPage *
recent_page(Relation index, BlockNumber block)
{
	return &recent_pages[(block + VK_FILE_NUMBER(index) * 0x9E3779B1U) % RECENT_PAGES];
}

/* must the clock sweep pass a pinned page as often as it may have to? */
static bool
is_hot(Buffer buffer)
{
	return BufferIsLocal(buffer) ||
		BUF_STATE_GET_USAGECOUNT(vk_buffer_state(GetBufferDescriptor(buffer - 1))) ==
		BM_MAX_USAGE_COUNT;
}

/* a page pinned by the server; strategy NULL: to be kept like any other */
static Buffer
pin_block(Relation index, BlockNumber block, BufferAccessStrategy strategy)
{
	if (unlikely(!vk_block_exists(index, block)))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" refers to block %u, which does not exist",
						RelationGetRelationName(index), block),
				 errhint("Please REINDEX it.")));
	return ReadBufferExtended(index, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
}

/*
 * vk_pin_page -- a page pinned, not locked
 *
 * Only the block number is checked.
 */
Buffer
vk_pin_page(Relation index, BlockNumber block)
{
	RecentPage *recent = recent_page(index, block);
	Buffer		buffer;

	/* a temporary index may have the number of another's file */
	if (recent->file == VK_FILE_NUMBER(index) && recent->block == block &&
		BufferIsLocal(recent->buffer) == RelationUsesLocalBuffers(index) &&
		ReadRecentBuffer(VK_FILE_LOCATOR(index), MAIN_FORKNUM, block,
						 recent->buffer))
	{
		pgstat_count_buffer_read(index);
		pgstat_count_buffer_hit(index);
		if (VacuumCostActive)
			VacuumCostBalance += VacuumCostPageHit;
		if (!is_hot(recent->buffer))
			recent->file = InvalidOid;
		return recent->buffer;
	}

	buffer = pin_block(index, block, NULL); /* may fail, so nothing is noted yet */
	recent->file = VK_FILE_NUMBER(index);
	recent->block = block;
	recent->buffer = buffer;
	return buffer;
}

/*
 * vk_page_ahead -- where a page that will be read soon probably is
 *
 * For prefetching into the CPU's caches only: the page is not pinned, and may
 * have been replaced by another.  NULL where nothing is known.  Its buffer's
 * header, which pinning and locking write to, is asked for here.
 */
const char *
vk_page_ahead(Relation index, BlockNumber block)
{
	const RecentPage *recent = recent_page(index, block);

	if (recent->file != VK_FILE_NUMBER(index) || recent->block != block ||
		recent->buffer <= 0)
		return NULL;
	__builtin_prefetch(GetBufferDescriptor(recent->buffer - 1), 1);
	return BufferGetBlock(recent->buffer);
}

static void
lock_page(Relation index, BlockNumber block, Buffer buffer, int mode)
{
	/* a process that waits for its own lock hears nothing any more */
	if (unlikely(vk_buffer_is_locked(buffer)))
		vk_corrupt(index, block, "The page is referred to twice.");
	LockBuffer(buffer, mode);
}

/*
 * vk_read_any_page -- a page that may be of any kind, or all zeros
 *
 * Only the block number is checked.  The buffer comes back pinned and locked.
 */
Buffer
vk_read_any_page(Relation index, BlockNumber block, int mode)
{
	Buffer		buffer = vk_pin_page(index, block);

	lock_page(index, block, buffer, mode);
	return buffer;
}

/*
 * vk_read_page -- a page of a known kind, pinned and locked
 */
Buffer
vk_read_page(Relation index, BlockNumber block, uint16 kind, int mode)
{
	Buffer		buffer = vk_read_any_page(index, block, mode);

	vk_check_page(index, buffer, kind);
	return buffer;
}

/*
 * vk_read_chain_page -- a page of a known list and position, pinned and locked
 */
Buffer
vk_read_chain_page(Relation index, BlockNumber block, uint16 kind,
				   uint32 slot, uint64 born, uint32 position, int mode)
{
	Buffer		buffer = vk_read_any_page(index, block, mode);

	vk_check_chain_page(index, buffer, kind, slot, born, position);
	return buffer;
}

/*
 * vk_read_chain_page_once -- the same, by a strategy
 */
Buffer
vk_read_chain_page_once(Relation index, BlockNumber block, uint16 kind, uint32 slot,
						uint64 born, uint32 position, int mode,
						BufferAccessStrategy strategy)
{
	Buffer		buffer = pin_block(index, block, strategy);

	lock_page(index, block, buffer, mode);
	vk_check_chain_page(index, buffer, kind, slot, born, position);
	return buffer;
}

/*
 * A page that the free space map names, exclusively locked, or InvalidBuffer.  After
 * a crash the map may name many pages that have been taken since: the caller holds
 * locks, so it gives up soon, and who comes next goes on.
 */
static Buffer
take_free_page(Relation index)
{
	for (int tried = 0; tried < FREE_PAGES_TRIED; tried++)
	{
		BlockNumber block = GetFreeIndexPage(index);
		Buffer		buffer;

		if (block == InvalidBlockNumber)
			break;

		/* the map of a standby may tell of pages that were never written there */
		if (!vk_block_exists(index, block))
			continue;
		buffer = ReadBuffer(index, block);
		if (ConditionalLockBuffer(buffer))
		{
			Page		page = BufferGetPage(buffer);

			if (PageIsNew(page) ||
				(page_damage(page) == NULL &&
				 vk_page_head(page)->kind == VK_PAGE_FREE))
				return buffer;
			LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		}
		ReleaseBuffer(buffer);
	}
	return InvalidBuffer;
}

/*
 * Add pages for those who wait to add one, as the table does for its own: without
 * it each of several writers would wait for all the others at every page.
 */
static void
extend_for_waiters(Relation index)
{
	int			count = Min(RelationExtensionLockWaiterCount(index) * PAGES_A_WAITER,
							MAX_PAGES_ADDED);
	BlockNumber first = InvalidBlockNumber;
	BlockNumber last = InvalidBlockNumber;

	for (int i = 0; i < count; i++)
	{
		Buffer		buffer = ReadBuffer(index, P_NEW);

		last = BufferGetBlockNumber(buffer);
		if (i == 0)
			first = last;
		ReleaseBuffer(buffer);
		RecordFreeIndexPage(index, last);
	}
	if (count > 0)
		FreeSpaceMapVacuumRange(index, first, last + 1);
}

/*
 * Add a page, and lock it.  Somebody may have been quicker, and have made one of it:
 * where a standby became the primary, the free space map may name pages that are
 * yet to be added.
 */
static Buffer
add_page(Relation index)
{
	for (;;)
	{
		Buffer		buffer = ReadBuffer(index, P_NEW);

		/* who has the lock may wait for ours, on the extension of the file */
		if (ConditionalLockBuffer(buffer))
		{
			if (PageIsNew(BufferGetPage(buffer)))
				return buffer;
			LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		}
		ReleaseBuffer(buffer);
	}
}

/*
 * vk_new_page -- a page to be initialised, pinned and exclusively locked
 *
 * The free space map is not WAL-logged and may name pages that are in use, so
 * a page from there is taken only if it says itself that it is free, and if
 * nobody holds its lock (we hold others: waiting could deadlock).
 */
Buffer
vk_new_page(Relation index)
{
	Buffer		buffer = take_free_page(index);
	bool		need_lock = !RELATION_IS_LOCAL(index);

	if (BufferIsValid(buffer))
		return buffer;

	if (need_lock && !ConditionalLockRelationForExtension(index, ExclusiveLock))
	{
		LockRelationForExtension(index, ExclusiveLock);
		buffer = take_free_page(index);
		if (BufferIsValid(buffer))
		{
			UnlockRelationForExtension(index, ExclusiveLock);
			return buffer;
		}
		extend_for_waiters(index);
	}
	buffer = add_page(index);
	if (need_lock)
		UnlockRelationForExtension(index, ExclusiveLock);

	return buffer;
}

static bool
open_slots_valid(const VkMeta *meta)
{
	for (int i = 0; i < VK_OPEN_SEGMENTS; i++)
	{
		uint32		slot = meta->open_slot[i];

		if (slot != 0 && (slot < VK_SLOT_FIRST_LIST || slot >= meta->slots))
			return false;
	}
	return true;
}

const char *
vk_metric_name(int metric)
{
	static const char *const names[VK_METRICS] = {
		[VK_METRIC_L2] = "l2", [VK_METRIC_IP] = "ip",
		[VK_METRIC_COSINE] = "cosine", [VK_METRIC_L1] = "l1",
		[VK_METRIC_HAMMING] = "hamming", [VK_METRIC_JACCARD] = "jaccard"
	};

	return metric < VK_METRICS ? names[metric] : "unknown";
}

/*
 * vk_meta_damage -- what is wrong with the meta page of this format, or NULL
 *
 * Whatever later code divides by, allocates by or indexes tables with is
 * checked here.
 */
const char *
vk_meta_damage(const VkMeta *meta)
{
	bool		bits = vk_metric_of_bits((VkMetric) meta->metric);

	if (meta->metric >= VK_METRICS)
		return "The metric is unknown.";
	if (meta->dim < 1 || meta->dim > (bits ? VK_MAX_BITS : VK_MAX_DIM))
		return "The number of dimensions is out of range.";
	if (meta->format > VK_FORMAT_F32)
		return "The format of scan codes is unknown.";
	if (meta->refine_bits != 0 && meta->refine_bits != 4 && meta->refine_bits != 8)
		return "The number of bits of refine codes is unknown.";
	if (meta->metric == VK_METRIC_L1 &&
		(meta->format != VK_FORMAT_B8 || meta->refine_bits != 0 ||
		 !vk_grid_step_valid(meta->step)))
		return "The grid of codes is unknown.";
	if (bits && (meta->format != VK_FORMAT_B1 || meta->refine_bits != 0))
		return "The codes are not those of bit vectors.";
	if (meta->flat == 0 && !vk_may_have_lists((VkMetric) meta->metric, meta->dim))
		return "There can be no lists.";
	if (bits != (meta->element == VK_ELEMENT_BIT))
		return "The metric is not one of the elements.";
	if (meta->flat > 1 || meta->element < VK_ELEMENT_F32 ||
		meta->element > VK_ELEMENT_LAST || meta->attributes > VK_MAX_ATTRIBUTES)
		return "The layout of blocks is unknown.";
	/* who adds rows waits for the list that they belong to to be of today's mean */
	if (meta->coded < 1 || meta->coded > meta->epoch || meta->epoch >= EPOCH_LIMIT)
		return "The epochs do not fit together.";
	if (!(meta->live_rows >= 0 && meta->live_rows < ROWS_LIMIT) ||
		!(meta->dead_rows >= 0 && meta->dead_rows < ROWS_LIMIT))
		return "The number of rows is out of range.";
	if (meta->maps < 1 || meta->maps > VK_META_MAPS ||
		meta->slots < VK_SLOT_FIRST_LIST || meta->slots > VK_MAX_SLOTS ||
		meta->lists > meta->slots - VK_SLOT_FIRST_LIST ||
		meta->centers > meta->slots - VK_SLOT_FIRST_LIST ||
		meta->groups > meta->slots - VK_SLOT_FIRST_LIST ||
		meta->root >= meta->slots ||
		!open_slots_valid(meta))
		return "The numbers of lists and slots do not fit together.";
	return NULL;
}

/*
 * vk_meta_check -- is this the meta page of an index that we can read?
 */
void
vk_meta_check(Relation index, const VkMeta *meta)
{
	const char *damage;

	if (meta->magic != VK_MAGIC)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" is not a vkindex index",
						RelationGetRelationName(index)),
				 errhint("Please REINDEX it.")));
	if (meta->version != VK_FORMAT_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("version mismatch in index \"%s\": file version %u, current version %u",
						RelationGetRelationName(index), meta->version,
						VK_FORMAT_VERSION),
				 errhint("Please REINDEX it.")));
	damage = vk_meta_damage(meta);
	if (damage != NULL)
		vk_corrupt(index, VK_META_BLOCK, damage);
}

/*
 * vk_meta_read -- copy of the meta page's contents, checked
 */
void
vk_meta_read(Relation index, VkMeta *meta)
{
	Buffer		buffer = vk_read_page(index, VK_META_BLOCK, VK_PAGE_META,
									  BUFFER_LOCK_SHARE);

	*meta = *vk_page_meta(BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	vk_meta_check(index, meta);
}

/*
 * vk_meta_test_snapshot -- "snapshot too old" where vacuum may have taken rows away
 *
 * Lists whose rows are all gone are not there any more to tell of it, but what makes
 * them disappear changes the meta page.
 */
void
vk_meta_test_snapshot(Relation index, Snapshot snapshot)
{
	Buffer		buffer;

	if (!vk_snapshots_expire())
		return;
	buffer = vk_read_page(index, VK_META_BLOCK, VK_PAGE_META, BUFFER_LOCK_SHARE);
	vk_test_old_snapshot(snapshot, index, BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
}

/*
 * vk_first_head -- line of the first block head on a page, 0 for none
 *
 * From here vk_next_head leads to last_head in equal steps, and every head's
 * lines lie on the page: both are checked.
 */
int
vk_first_head(Relation index, const VkIndex *layout, Buffer buffer)
{
	VkPageHead *head = vk_page_head(BufferGetPage(buffer));
	int			first = head->first_head;
	int			last = head->last_head;

	if (first == 0 && last == 0)
		return 0;
	if (unlikely(first == 0 || last < first ||
				 (last - first) % layout->block_lines != 0 ||
				 last + layout->head_lines - 1 > VK_PAGE_LINES))
		vk_corrupt(index, BufferGetBlockNumber(buffer),
				   psprintf("Block heads at lines %d to %d do not fit the page.",
							first, last));
	return first;
}
