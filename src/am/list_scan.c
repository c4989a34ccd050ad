/*-------------------------------------------------------------------------
 *
 * list_scan.c
 *	  Scan one list: blocks to candidates, and refine what is left.
 *
 * NOTES
 *	  One share lock is held at a time and no pin is kept between pages
 *	  (POSTGRES.md, protocol 5-9).  Kernels run under the page's share lock;
 *	  they are leaf functions.
 *
 * IDENTIFICATION
 *	  src/am/list_scan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#include "am/search.h"
#include "kernels/rounding.h"

/* candidates that are new or newly refined, at least, between two
 * recomputations of the threshold */
#define SETTLE_BATCH	32

/* candidates, beside four times the wanted, from which on exact scores pay */
#define SHARPEN_FIRST	500

/* pages in a row from which on the hardware's prefetchers are at work */
#define HARDWARE_RUN	6

/* refine codes asked for before they are read */
#define REFINE_AHEAD	3

/* A block whose code runs on to the next page */
typedef struct Carry
{
	bool		open;			/* lines are still to come */
	bool		wanted;			/* it has live lanes */
	int			done;			/* code lines seen */
	VkBlockTop	top;
	char		annotation[2 * VK_LINE_SIZE];
	VkDots		dots;
	BlockNumber refine_page;	/* of lane 0 */
	uint32		refine_position;
	uint64		refine_bytes;
} Carry;

/* Give candidates room for that many entries, keeping what they hold. */
void
vk_candidates_reserve(MemoryContext context, VkCandidates *candidates,
					  int64 capacity)
{
	if (candidates->entries != NULL && candidates->capacity >= capacity)
		return;
	if (candidates->entries == NULL)
	{
		candidates->entries = MemoryContextAllocHuge(context,
													 capacity * sizeof(VkCandidate));
		candidates->scratch = MemoryContextAllocHuge(context,
													 capacity * sizeof(float));
	}
	else
	{
		candidates->entries = repalloc_huge(candidates->entries,
											capacity * sizeof(VkCandidate));
		candidates->scratch = repalloc_huge(candidates->scratch,
											capacity * sizeof(float));
	}
	candidates->capacity = capacity;
}

/* Take the lanes of one scored block that may be among the nearest. */
static void
take_block(VkListScan *scan, const VkBlockTop *top,
		   const void *annotation, const VkDots *dots,
		   BlockNumber refine_page, uint32 refine_position, uint64 refine_bytes)
{
	VkCandidates *out = scan->out;
	uint32		live = top->head.live & ((1U << Min(top->head.count, VK_LANES)) - 1);
	uint32		lanes;

	scan->live += pg_popcount32(live);
	if (scan->list_bound != NULL)
		lanes = scan->list_bound(&scan->code->bound, annotation,
								 top->head.scale, dots, out->threshold,
								 &scan->scores);
	else
		lanes = scan->flat_bound(&scan->code->bound, annotation, dots,
								 out->threshold, &scan->scores);
	/* what the kernel drops lies beyond the threshold of the moment */
	if (scan->proven && (live & ~lanes) != 0)
		out->dropped = Min(out->dropped, out->threshold);
	for (lanes &= live; lanes != 0; lanes &= lanes - 1)
	{
		int			lane = pg_rightmost_one_pos32(lanes);
		uint64		tid = vk_tid_encode(&top->tids[lane]);
		uint64		bytes = refine_bytes + (uint64) lane * scan->coder->refine_size;
		VkCandidate *entry;

		if (scan->round != NULL && scan->round->skip != NULL &&
			scan->round->skip(scan->round->arg, tid))
			continue;
		entry = vk_candidates_add(out, scan->scores.lower[lane],
								  scan->scores.upper[lane], tid);
		entry->location = (uint64) refine_page << 32 | bytes;
		entry->slot = scan->coder->refine_size > 0 ? scan->visit :
			scan->visit | VK_REFINED;
		entry->position = refine_position;
		if (out->count >= out->prune_at)
			(void) vk_candidates_prune(out);
	}
}

/*
 * Ask for lines of the page after this one while this one is scored: pages lie
 * anywhere in the buffer pool, and the hardware's own prefetchers stop at every
 * jump.  Into the second-level cache, which can wait for more lines at once
 * than the first can (Zen 4, 8 kB pages in random order: 28 GB/s so, 13 into
 * the first level, 12 without).  Always inline: gcc 12 takes a function that
 * only prefetches for one without effect, and drops the calls.
 */
static pg_attribute_always_inline void
prefetch_lines(const char *ahead, int line, int lines)
{
	const char *at = ahead + line * VK_LINE_SIZE;

	if (ahead == NULL)
		return;
	for (; lines >= 4; lines -= 4, at += 4 * VK_LINE_SIZE)
	{
		__builtin_prefetch(at, 0, 2);
		__builtin_prefetch(at + VK_LINE_SIZE, 0, 2);
		__builtin_prefetch(at + 2 * VK_LINE_SIZE, 0, 2);
		__builtin_prefetch(at + 3 * VK_LINE_SIZE, 0, 2);
	}
	for (; lines > 0; lines--, at += VK_LINE_SIZE)
		__builtin_prefetch(at, 0, 2);
}

/* Score code lines of one block: from code, `lines` of them. */
static inline void
score_lines(const VkListScan *scan, int first_line, const uint8 *code, int lines,
			VkDots *dots)
{
	VkFormat	format = scan->coder->format;

	if (scan->coder->metric == VK_METRIC_L1)
		vk_kernels->scan_l1((const uint8 *) scan->code->code, first_line, code,
							lines, dots);
	else if (format < VK_INT_FORMATS)
		vk_kernels->scan[format] (scan->code->packed_scan, first_line, code,
								  lines, dots);
	else
		vk_kernels->scan_float[format - VK_FORMAT_F16] (scan->code->values,
														first_line, code,
														lines, dots);
}

/* Finish a block that began on an earlier page, as far as this page goes. */
static void
scan_carried(VkListScan *scan, Buffer buffer, Carry *carry)
{
	Page		page = BufferGetPage(buffer);
	int			lines = Min(scan->coder->lines - carry->done, VK_PAGE_LINES);

	if (carry->wanted)
		score_lines(scan, carry->done, vk_page_line(page, 1), lines, &carry->dots);
	carry->done += lines;
	if (carry->done < scan->coder->lines)
		return;
	carry->open = false;
	if (carry->wanted)
		take_block(scan, &carry->top, carry->annotation, &carry->dots,
				   carry->refine_page, carry->refine_position,
				   carry->refine_bytes);
}

/* Score the blocks that begin on this page; the last may run on. */
static void
scan_page(VkListScan *scan, Buffer buffer, Carry *carry)
{
	const VkIndex *vk = scan->vk;
	Page		page = BufferGetPage(buffer);
	const VkPageHead *head = vk_page_head(page);
	int			code_lines = scan->coder->lines;
	uint64		refine_bytes = head->refine_offset;
	bool		last_page = !BlockNumberIsValid(head->next);
	const char *ahead = vk_page_ahead(scan->index,
									  last_page ? scan->after : head->next);
	int			done = 1;
	int			line;

	/* the hardware follows a long run of pages by itself, and better */
	scan->run = ahead == (const char *) page + BLCKSZ ? scan->run + 1 : 0;
	if (scan->run >= HARDWARE_RUN)
		ahead = NULL;
	prefetch_lines(ahead, 0, 1);

	if (carry->open)
	{
		prefetch_lines(ahead, 1, Min(code_lines - carry->done, VK_PAGE_LINES));
		scan_carried(scan, buffer, carry);
		if (carry->open && head->first_head != 0)
			vk_corrupt(scan->index, BufferGetBlockNumber(buffer),
					   "A block begins before the one before it ends.");
	}

	for (line = vk_first_head(scan->index, vk, buffer); line != 0;
		 line = vk_next_head(vk, page, line))
	{
		const VkBlockTop *top = vk_block_top(page, line);
		int			first = line + vk->head_lines;
		int			lines = Min(code_lines, VK_PAGE_LINES - first + 1);
		bool		wanted = top->head.count > 0 && top->head.live != 0;

		prefetch_lines(ahead, line, vk->head_lines + lines);
		/* read after the code: the stream that the CPU sees leaves it out */
		for (int i = vk->annotation_line; i < vk->head_lines; i++)
			__builtin_prefetch(vk_page_line(page, line + i), 0, 3);
		done = first + lines;
		if (lines < code_lines)
		{
			carry->open = true;
			carry->wanted = wanted;
			carry->done = lines;
			carry->refine_page = head->refine_page;
			carry->refine_position = head->refine_position;
			carry->refine_bytes = refine_bytes;
			memset(&carry->dots, 0, sizeof(carry->dots));
			if (wanted)
			{
				memcpy(&carry->top, top, sizeof(VkBlockTop));
				memcpy(carry->annotation,
					   vk_page_line(page, line + vk->annotation_line),
					   sizeof(carry->annotation));
				score_lines(scan, 0, vk_page_line(page, first), lines,
							&carry->dots);
			}
			break;
		}
		if (wanted)
		{
			VkDots		dots = {0};

			score_lines(scan, 0, vk_page_line(page, first), lines, &dots);
			take_block(scan, top,
					   vk_page_line(page, line + vk->annotation_line), &dots,
					   head->refine_page, head->refine_position, refine_bytes);
		}
		refine_bytes += (uint64) VK_LANES * scan->coder->refine_size;
	}
	/* a list's last page is not full, the first of the next may well be */
	if (last_page)
		prefetch_lines(ahead, done, VK_PAGE_LINES + 1 - done);
}

/*
 * Where bounds leave many candidates, exact scores of the best bring the
 * threshold down by half the width of an interval, for a few fetches that the
 * answer mostly needs anyway.  Each time the candidates have doubled.
 */
static void
sharpen(VkListScan *scan)
{
	VkCandidates *out = scan->out;
	int64		least = SHARPEN_FIRST + 4 * out->wanted;

	(void) vk_candidates_prune(out);
	if (out->count >= Max(out->sharpen_at, least))
	{
		scan->round->sharpen(scan->round->arg, out);
		(void) vk_candidates_prune(out);
	}
	out->sharpen_at = Max(2 * out->count, least);
}

/* Make room for the lanes of one more page; no lock is held. */
static void
make_room(VkListScan *scan)
{
	VkCandidates *out = scan->out;
	int64		lanes = vk_page_lanes(scan->vk);
	int64		most = PG_INT64_MAX;

	if (out->count >= out->sharpen_at && scan->coder->refine_size == 0 &&
		scan->round != NULL && scan->round->sharpen != NULL)
		sharpen(scan);
	if (out->count + lanes <= out->capacity)
		return;
	if (vk_candidates_prune(out) && out->count + lanes <= out->capacity)
		return;
	if (scan->round != NULL && scan->round->tighten != NULL)
		most = scan->round->max_candidates;
	if (out->capacity < most)
	{
		vk_candidates_reserve(scan->context, out,
							  Max(Min(out->capacity * 2, most),
							   out->count + lanes));
		return;
	}
	scan->round->tighten(scan->round->arg, out);
}

/* Score every live row of one chain of blocks. */
void
vk_list_scan(VkListScan *scan, const VkSlot *slot)
{
	BlockNumber block = slot->head;
	uint32		position = 0;
	Carry		carry;

	carry.open = false;
	while (BlockNumberIsValid(block))
	{
		Buffer		buffer;
		Page		page;

		CHECK_FOR_INTERRUPTS();
		make_room(scan);
		buffer = vk_read_chain_page(scan->index, block, VK_PAGE_BLOCK,
									scan->slot, scan->born, position,
									BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		if (scan->snapshot != NULL)
			vk_test_old_snapshot(scan->snapshot, scan->index, page);
		scan_page(scan, buffer, &carry);
		block = vk_page_head(page)->next;
		UnlockReleaseBuffer(buffer);
		position++;
	}
	scan->stats->pages += position;
	if (carry.open)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" contains a list that ends inside a block",
						RelationGetRelationName(scan->index)),
				 errdetail("The list in slot %u has %u pages.", scan->slot, position),
				 errhint("Please REINDEX it.")));
}

/*
 * Ask for a refine code that is wanted soon, where it lies if its chain is
 * contiguous, as builds leave it.
 */
void
vk_refine_prefetch(Relation index, const VkCandidate *entry, int size)
{
	uint32		bytes = (uint32) entry->location;
	BlockNumber block = (BlockNumber) (entry->location >> 32) +
		bytes / VK_PAYLOAD_SIZE;
	const char *page = vk_page_ahead(index, block);
	int			first = (VK_PAGE_HEAD_SIZE + bytes % VK_PAYLOAD_SIZE) / VK_LINE_SIZE;
	int			lines = (size + VK_LINE_SIZE - 1) / VK_LINE_SIZE + 1;

	prefetch_lines(page, 0, 1);
	prefetch_lines(page, first, Min(lines, VK_PAGE_LINES + 1 - first));
}

/* Read one candidate's refine code and narrow its bounds. */
static void
refine_candidate(VkListScan *scan, VkCandidate *entry)
{
	double		lower;
	double		upper;

	vk_refine_read(scan->index, scan->slot, scan->born,
				   (BlockNumber) (entry->location >> 32), entry->position,
				   (uint32) entry->location, scan->coder->refine_size,
				   scan->refine);
	vk_refine_bounds(scan->coder, scan->code, scan->refine, scan->proven,
					 &lower, &upper);
	entry->lower = vk_round_down(lower);
	entry->upper = vk_round_up(upper);
	entry->slot |= VK_REFINED;
	scan->stats->refined++;
}

/* the first of the candidates at the end that are not refined yet */
static int64
first_fresh(const VkCandidates *candidates)
{
	int64		first = candidates->count;

	while (first > 0 && !(candidates->entries[first - 1].slot & VK_REFINED))
		first--;
	return first;
}

void
vk_list_settle(VkListScan *scan)
{
	VkCandidates *out = scan->out;

	/* a share of what there is, so that the work stays linear */
	if (out->count - out->pruned_count >= Max(SETTLE_BATCH, out->pruned_count / 8))
		(void) vk_candidates_prune(out);
	if (scan->coder->refine_size == 0)
		return;
	for (;;)
	{
		int64		first = first_fresh(out);
		int64		last = Min(out->count,
							   first + Max(SETTLE_BATCH, out->count / 8));

		for (int64 i = first; i < last; i++)
		{
			CHECK_FOR_INTERRUPTS();
			if (i + REFINE_AHEAD < last)
				vk_refine_prefetch(scan->index, &out->entries[i + REFINE_AHEAD],
								   scan->coder->refine_size);
			refine_candidate(scan, &out->entries[i]);
		}
		if (last == out->count)
			break;
		(void) vk_candidates_prune(out);
	}
}
