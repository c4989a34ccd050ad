/*-------------------------------------------------------------------------
 *
 * list_scan.c
 *	  Scan one list: blocks to candidates, and refine what is left.
 *
 * NOTES
 *	  One share lock is held at a time and no pin is kept between pages
 *	  (README, Concurrency).  Kernels run under the page's share lock;
 *	  they are leaf functions.
 *
 * IDENTIFICATION
 *	  src/am/list_scan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/float.h"

#include "am/search.h"
#include "kernels/rounding.h"

/* candidates that are new or newly refined, at least, between two
 * recomputations of the threshold */
#define SETTLE_BATCH	32

/* candidates, beside four times the wanted, from which on exact scores pay */
#define SHARPEN_FIRST	500

/* pages in a row from which on those that follow are taken to go on so */
#define LONG_RUN		6

/* lines scored, and asked for, at a time */
#define PIECE_LINES		64

/* pages of a list asked for together, beforehand */
#define ASK_PAGES		8

/* refine codes asked for before they are read */
#define REFINE_AHEAD	3

/* Must rows be checked before they count for the threshold? */
static inline bool
must_check(const VkListScan *scan)
{
	return scan->round != NULL && scan->round->check != NULL;
}

/*
 * An entry's final bounds.  Where rows must be checked, the upper one counts for
 * the threshold only once this row has been: until then it is kept aside.
 */
static inline void
settle_bounds(const VkListScan *scan, VkCandidate *entry, float lower, float upper)
{
	entry->lower = lower;
	entry->upper = upper;
	entry->slot |= VK_REFINED;
	if (must_check(scan) && !(entry->slot & VK_CHECKED))
	{
		entry->upper = get_float4_infinity();
		entry->checked_upper = upper;
	}
}

/* Add one lane's row to the candidates; NULL: the round skips it. */
static inline VkCandidate *
add_candidate(VkListScan *scan, const VkBlockTop *top, int lane, float lower,
			  float upper)
{
	const VkRound *round = scan->round;
	uint64		tid = vk_tid_encode(&top->tids[lane]);
	VkCandidate *entry;

	if (round != NULL && round->skip != NULL && round->skip(round->arg, tid))
		return NULL;
	entry = vk_candidates_add(scan->out, lower, upper, tid);
	entry->slot = scan->visit;
	return entry;
}

static void
take_lane(VkListScan *scan, const VkBlockTop *top, int lane, float lower,
		  float upper, const VkRefineStart *refine)
{
	VkCandidates *out = scan->out;
	VkCandidate *entry = add_candidate(scan, top, lane, lower, upper);

	if (entry == NULL)
		return;
	entry->position = refine->position;
	if (scan->coder->refine_size > 0 && scan->code != NULL)
	{
		entry->location = (uint64) refine->page << 32 |
			(refine->bytes + (uint64) lane * scan->coder->refine_size);
		if (must_check(scan))
			entry->upper = get_float4_infinity();
	}
	else
		settle_bounds(scan, entry, lower, upper);
	if (out->count >= out->prune_at)
		(void) vk_candidates_prune(out);
}

/*
 * The same of a bit vector.  Its score is that of the operator, so nothing of the
 * row need be fetched, unless conditions must be checked, or it lies just on the
 * radius, where the operator knows whether that counts.  Whether the row is
 * visible is the executor's to see.
 */
static void
take_bits(VkListScan *scan, const VkBlockTop *top, int lane, double score)
{
	VkCandidates *out = scan->out;
	const VkRound *round = scan->round;
	float		lower = vk_round_down(score);
	float		upper = vk_round_up(score);
	VkCandidate *entry = add_candidate(scan, top, lane, lower, upper);

	if (entry == NULL)
		return;
	settle_bounds(scan, entry, lower, upper);
	if (!must_check(scan) && round != NULL && score < round->radius)
	{
		entry->slot |= VK_EXACT;
		entry->score = score;
	}
	if (out->count >= out->prune_at)
		(void) vk_candidates_prune(out);
}

/* Take those of the given lanes of a scored block of bit vectors. */
static void
take_bits_block(VkListScan *scan, const VkBlockTop *top, uint32 wanted,
				const void *annotation, const VkDots *dots,
				const VkRefineStart *refine)
{
	VkCandidates *out = scan->out;
	const VkBitScore *bits = scan->bit_score;
	uint32		unknown = wanted & vk_bits_unknown(scan->coder, annotation);
	uint32		known = wanted & ~unknown;
	uint32		lanes = known & bits->screen(scan->code, annotation, dots,
											 out->threshold);
	bool		dropped = lanes != known;

	for (; unknown != 0; unknown &= unknown - 1)
		take_lane(scan, top, pg_rightmost_one_pos32(unknown),
				  -get_float4_infinity(), get_float4_infinity(), refine);
	for (; lanes != 0; lanes &= lanes - 1)
	{
		int			lane = pg_rightmost_one_pos32(lanes);
		double		score = bits->score(scan->code, annotation, dots, lane);

		if (score > out->threshold)
			dropped = true;
		else
			take_bits(scan, top, lane, score);
	}
	if (dropped)
		out->dropped = Min(out->dropped, out->threshold);
}

/*
 * Take those of the given lanes of a scored block that may be among the
 * nearest; all of them where there is nothing to score.
 */
static void
take_block(VkListScan *scan, const VkBlockTop *top, uint32 wanted,
		   const void *annotation, const VkDots *dots,
		   const VkRefineStart *refine)
{
	VkCandidates *out = scan->out;
	uint32		lanes = wanted;

	if (scan->unbounded)
		for (int lane = 0; lane < VK_LANES; lane++)
		{
			scan->scores.lower[lane] = -get_float4_infinity();
			scan->scores.upper[lane] = get_float4_infinity();
		}
	else if (scan->code == NULL)
		memset(&scan->scores, 0, sizeof(scan->scores));
	else if (scan->bit_score != NULL)
	{
		take_bits_block(scan, top, wanted, annotation, dots, refine);
		return;
	}
	else if (scan->list_bound != NULL)
		lanes &= scan->list_bound(&scan->code->bound, annotation,
								  top->head.scale, dots, out->threshold,
								  &scan->scores);
	else
		lanes &= scan->flat_bound(&scan->code->bound, annotation, dots,
								  out->threshold, &scan->scores);
	/* what the kernel drops lies beyond the threshold of the moment, or probably so */
	if ((wanted & ~lanes) != 0)
	{
		out->left_out = Min(out->left_out, out->threshold);
		if (scan->proven)
			out->dropped = Min(out->dropped, out->threshold);
	}
	for (; lanes != 0; lanes &= lanes - 1)
	{
		int			lane = pg_rightmost_one_pos32(lanes);

		take_lane(scan, top, lane, scan->scores.lower[lane],
				  scan->scores.upper[lane], refine);
	}
}

/* The live lanes of a block that the scan's conditions let through. */
static uint32
matching_lanes(VkListScan *scan, const VkBlockTop *top)
{
	uint32		lanes = top->head.live & ((1U << Min(top->head.count, VK_LANES)) - 1);

	scan->live += pg_popcount32(lanes);
	if (scan->filter != NULL && lanes != 0)
		lanes = vk_filter_lanes(scan->filter, top, lanes);
	if (scan->mask != NULL)
		lanes = vk_row_mask_lanes(scan->mask, top->tids, lanes);
	scan->matched += pg_popcount32(lanes);
	return lanes;
}

/*
 * The query's code against the list's centre is made when the first row is
 * there to be scored: under a filter many lists have none.
 */
static void
prepare_code(VkListScan *scan)
{
	if (scan->prepared || scan->code == NULL)
		return;
	scan->prepared = true;
	scan->prepare(scan);
}

/*
 * vk_prefetch_lines in a long run of pages, of the next VK_STREAMS of them at once: some
 * cores wait for a few lines of one stream only, and page after page is one
 * stream.  While a page is scored, another part is asked for of each of those
 * behind it: the last of the next one, the first of the farthest.
 */
static pg_attribute_always_inline void
prefetch_streams(const char *const *pages, int line, int lines)
{
	const int	part = (VK_PAGE_LINES + 1) / VK_STREAMS;

	for (int i = line / VK_STREAMS; i < (line + lines) / VK_STREAMS; i++)
		for (int k = 0; k < VK_STREAMS; k++)
			__builtin_prefetch(pages[k] +
							   ((VK_STREAMS - 1 - k) * part + i) * VK_LINE_SIZE, 0, 2);
}

/* what is asked for while a page is scored: either of the two, or nothing */
typedef struct Ahead
{
	const char *page;			/* NULL: nothing */
	const char *const *streams; /* NULL: that page alone */
} Ahead;

static pg_attribute_always_inline void
prefetch_ahead(const Ahead *ahead, int line, int lines)
{
	if (ahead->streams != NULL)
		prefetch_streams(ahead->streams, line, lines);
	else
		vk_prefetch_lines(ahead->page, line, lines);
}

/*
 * The pages behind this one in a long run.  One that nothing is known of lies
 * behind the others, if this one lies behind the one before it; else this page
 * stands for it, which costs nothing.
 */
static const char *const *
pages_ahead(VkListScan *scan, const char *page)
{
	bool		adjacent = page == scan->last + BLCKSZ;

	for (int k = 0; k < VK_STREAMS; k++)
	{
		if (scan->run > LONG_RUN && k < VK_STREAMS - 1)
		{
			scan->ahead[k] = scan->ahead[k + 1];
			continue;
		}
		scan->ahead[k] = vk_page_ahead(scan->index, scan->block + 1 + k);
		if (scan->ahead[k] == NULL)
			scan->ahead[k] = adjacent ? page + (size_t) (1 + k) * BLCKSZ : page;
	}
	return scan->ahead;
}

/*
 * Ask for pages from one block on, but not for the end or what lies behind it: for one
 * line in each of the 4 kB that the CPU translates addresses by, of all of them at
 * once.  It waits for a translation even where it only prefetches, but for several
 * together.
 */
static void
ask_pages(Relation index, BlockNumber block, BlockNumber end)
{
	for (int i = 0; i < ASK_PAGES && block + i < end; i++)
	{
		const char *page = vk_page_ahead(index, block + i);

		vk_prefetch_lines(page, 0, 1);
		vk_prefetch_lines(page, VK_PAGE_LINES / 2 + 1, 1);
	}
}

/* what to ask for while this page is scored */
static Ahead
choose_ahead(VkListScan *scan, Page page)
{
	BlockNumber next = vk_page_head(page)->next;
	Ahead		ahead = {0};

	ahead.page = vk_page_ahead(scan->index, BlockNumberIsValid(next) ? next : scan->after);
	if (!(vk_cpu_features() & VK_CPU_STREAMS))
	{
		/* the hardware follows a long run of pages by itself, and better */
		scan->run = ahead.page == (const char *) page + BLCKSZ ? scan->run + 1 : 0;
		if (scan->run >= LONG_RUN)
			ahead.page = NULL;
		else if (scan->position % ASK_PAGES == 0)
			ask_pages(scan->index, scan->block + ASK_PAGES, scan->extent_end);
		return ahead;
	}
	scan->run = next == scan->block + 1 ? scan->run + 1 : 0;
	if (scan->run >= LONG_RUN)
		ahead.streams = pages_ahead(scan, (const char *) page);
	scan->last = (const char *) page;
	return ahead;
}

/* Score code lines of one block: from code, `lines` of them. */
static inline void
score_lines(const VkListScan *scan, int first_line, const uint8 *code, int lines,
			VkDots *dots)
{
	VkFormat	format = scan->coder->format;

	if (scan->byte_scan != NULL)
		scan->byte_scan((const uint8 *) scan->code->code, first_line, code,
						lines, dots);
	else if (format < VK_INT_FORMATS)
		scan->code->kernels->scan[format] (scan->code->packed_scan, first_line, code,
										   lines, dots);
	else
		vk_kernels->scan_float[format - VK_FORMAT_F16] (scan->code->values,
														first_line, code,
														lines, dots);
}

/*
 * Score lines of a block, from first_line on, that lie on a page from `line` on,
 * or only pass them (dots is NULL).  A few at a time, each time asking for as many
 * ahead: more at once hold the CPU up (Sapphire Rapids, 8-bit codes of 1,536
 * dimensions: 19 GB/s by 64 lines, 16 by 128).
 */
static inline void
pass_lines(const VkListScan *scan, const Ahead *ahead, Page page, int line,
		   int first_line, int lines, VkDots *dots)
{
	for (int done = 0; done < lines; done += PIECE_LINES)
	{
		int			piece = Min(PIECE_LINES, lines - done);

		prefetch_ahead(ahead, line + done, piece);
		if (dots != NULL && scan->code != NULL)
			score_lines(scan, first_line + done, vk_page_line(page, line + done),
						piece, dots);
	}
}

/* Finish a block that began on an earlier page, as far as this page goes. */
static void
pass_carried(VkListScan *scan, const Ahead *ahead, Page page)
{
	VkCarry    *carry = &scan->carry;
	int			lines = Min(scan->coder->lines - carry->done, VK_PAGE_LINES);

	pass_lines(scan, ahead, page, 1, carry->done, lines,
			   carry->lanes != 0 ? &carry->dots : NULL);
	carry->done += lines;
	if (carry->done < scan->coder->lines)
		return;
	carry->open = false;
	if (carry->lanes != 0)
		take_block(scan, &carry->top, carry->lanes, carry->annotation,
				   &carry->dots, &carry->refine);
}

/* Begin a block that runs on to the next page: `lines` of its code are here. */
static void
begin_carried(VkListScan *scan, const VkBlockTop *top, uint32 lanes, int lines,
			  const VkRefineStart *refine)
{
	const VkIndex *vk = scan->vk;
	VkCarry    *carry = &scan->carry;
	const char *block = (const char *) top;

	carry->open = true;
	carry->lanes = lanes;
	carry->done = lines;
	carry->refine = *refine;
	if (lanes == 0)
		return;
	memcpy(&carry->top, top, sizeof(VkBlockTop));
	memcpy(carry->annotation, block + vk->annotation_line * VK_LINE_SIZE,
		   sizeof(carry->annotation));
	memset(&carry->dots, 0, sizeof(carry->dots));
}

/* Score the blocks that begin on this page; the last may run on. */
static void
scan_page(VkListScan *scan, Buffer buffer)
{
	const VkIndex *vk = scan->vk;
	Page		page = BufferGetPage(buffer);
	const VkPageHead *head = vk_page_head(page);
	int			code_lines = scan->coder->lines;
	VkRefineStart refine = {head->refine_page, head->refine_position, head->refine_offset};
	bool		last_page = !BlockNumberIsValid(head->next);
	Ahead		ahead = choose_ahead(scan, page);
	const Ahead nothing = {0};
	int			done = 1;
	int			line;

	prefetch_ahead(&ahead, 0, 1);
	if (scan->carry.open)
	{
		pass_carried(scan, &ahead, page);
		if (scan->carry.open && head->first_head != 0)
			vk_corrupt(scan->index, BufferGetBlockNumber(buffer),
					   "A block begins before the one before it ends.");
	}

	for (line = vk_first_head(scan->index, vk, buffer); line != 0;
		 line = vk_next_head(vk, page, line))
	{
		const VkBlockTop *top = vk_block_top(page, line);
		int			first = line + vk->head_lines;
		int			lines = Min(code_lines, VK_PAGE_LINES - first + 1);
		uint32		lanes = matching_lanes(scan, top);
		bool		runs_on = lines < code_lines;
		VkDots		dots = {0};

		prefetch_ahead(&ahead, line, vk->head_lines);
		if (lanes != 0)
			prepare_code(scan);
		/* read after the code: the stream that the CPU sees leaves it out */
		for (int i = vk->annotation_line; i < vk->head_lines; i++)
			__builtin_prefetch(vk_page_line(page, line + i), 0, 3);
		if (runs_on)
			begin_carried(scan, top, lanes, lines, &refine);
		/* codes of rows that a filter drops are not read */
		pass_lines(scan, scan->sparse ? &nothing : &ahead, page, first, 0, lines,
				   lanes == 0 ? NULL : runs_on ? &scan->carry.dots : &dots);
		done = first + lines;
		if (runs_on)
			break;
		if (lanes != 0)
			take_block(scan, top, lanes,
					   vk_page_line(page, line + vk->annotation_line), &dots,
					   &refine);
		refine.bytes += (uint64) VK_LANES * scan->coder->refine_size;
	}
	/* a list's last page is not full, the first of the next may well be */
	if (last_page && !scan->sparse)
		prefetch_ahead(&ahead, done, VK_PAGE_LINES + 1 - done);
}

/* ---- between pages: no lock is held ---- */

/* the first of the candidates at the end that lack a flag */
static int64
first_without(const VkCandidates *candidates, uint32 flag)
{
	int64		first = candidates->count;

	while (first > 0 && !(candidates->entries[first - 1].slot & flag))
		first--;
	return first;
}

/*
 * Ask whether a candidate is a row that the query can have.  One that is not is
 * left without bounds, for the next prune to remove.
 */
static bool
check_candidate(VkListScan *scan, VkCandidate *entry)
{
	const VkRound *round = scan->round;

	CHECK_FOR_INTERRUPTS();
	scan->tally->checked++;
	entry->slot |= VK_CHECKED;
	if (!round->check(round->arg, entry->tid))
	{
		entry->lower = get_float4_nan();
		return false;
	}
	scan->tally->passed++;
	return true;
}

/* The same for one whose bounds are final; its upper bound counts from now on. */
static void
check_settled(VkListScan *scan, VkCandidate *entry)
{
	if (!(entry->slot & VK_CHECKED) && entry->lower <= scan->out->threshold &&
		check_candidate(scan, entry))
		entry->upper = entry->checked_upper;
}

/* Check the candidates that are new, where that pays; no refine codes. */
static void
check_fresh(VkListScan *scan)
{
	VkCandidates *out = scan->out;
	int64		first = first_without(out, VK_CHECKED);

	if (out->count - first < SETTLE_BATCH)
		return;
	for (int64 i = first; i < out->count; i++)
		check_settled(scan, &out->entries[i]);
	(void) vk_candidates_prune(out);
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
	const VkRound *round = scan->round;
	int64		lanes = vk_page_lanes(scan->vk);
	int64		most = PG_INT64_MAX;
	bool		refined = scan->coder->refine_size > 0;

	if (must_check(scan) && !refined)
		check_fresh(scan);
	if (out->count >= out->sharpen_at && !refined &&
		round != NULL && round->sharpen != NULL)
		sharpen(scan);
	if (out->count + lanes <= out->capacity)
		return;
	if (vk_candidates_prune(out) && out->count + lanes <= out->capacity)
		return;
	if (round != NULL && round->tighten != NULL)
		most = round->max_candidates;
	if (out->capacity < most)
	{
		vk_candidates_reserve(scan->context, out,
							  Max(Min(out->capacity * 2, most),
							   out->count + lanes));
		return;
	}
	Assert(round != NULL && round->tighten != NULL);
	round->tighten(round->arg, out);
}

/* where the pages that a list was made with end, if they follow each other */
static BlockNumber
extent_end(const VkSlot *slot)
{
	return slot->extent_length > 0 ? slot->extent_start + slot->extent_length : 0;
}

/* Ask for the first pages of a list that is scanned soon. */
void
vk_list_prefetch(Relation index, const VkSlot *slot)
{
	ask_pages(index, slot->extent_start, extent_end(slot));
}

/* Begin with the first page of a chain of blocks. */
void
vk_list_begin(VkListScan *scan, const VkSlot *slot)
{
	scan->block = slot->head;
	scan->extent_end = extent_end(slot);
	scan->position = 0;
	scan->carry.open = false;
	scan->live = scan->matched = 0;
}

/* Score the live rows of the next page; false where there is none. */
bool
vk_list_step(VkListScan *scan)
{
	Buffer		buffer;
	Page		page;

	if (!BlockNumberIsValid(scan->block))
	{
		if (scan->carry.open)
			ereport(ERROR,
					(errcode(ERRCODE_INDEX_CORRUPTED),
					 errmsg("index \"%s\" contains a list that ends inside a block",
							RelationGetRelationName(scan->index)),
					 errdetail("The list in slot %u has %u pages.",
							   scan->slot, scan->position),
					 errhint("Please REINDEX it.")));
		return false;
	}

	CHECK_FOR_INTERRUPTS();
	make_room(scan);
	buffer = vk_read_chain_page(scan->index, scan->block, VK_PAGE_BLOCK,
								scan->slot, scan->born, scan->position,
								BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	if (scan->snapshot != NULL)
		vk_test_old_snapshot(scan->snapshot, scan->index, page);
	scan_page(scan, buffer);
	scan->block = vk_page_head(page)->next;
	UnlockReleaseBuffer(buffer);
	scan->position++;
	scan->stats->pages++;
	return true;
}

/*
 * Ask for a refine code that is wanted soon, where it lies if its chain is
 * contiguous, as builds leave it.
 */
void
vk_refine_prefetch(Relation index, BlockNumber page_number, uint32 bytes, int size)
{
	const char *page = vk_page_ahead(index, page_number + bytes / VK_PAYLOAD_SIZE);
	int			first = (VK_PAGE_HEAD_SIZE + bytes % VK_PAYLOAD_SIZE) / VK_LINE_SIZE;
	int			lines = (size + VK_LINE_SIZE - 1) / VK_LINE_SIZE + 1;

	vk_prefetch_lines(page, 0, 1);
	vk_prefetch_lines(page, first, Min(lines, VK_PAGE_LINES + 1 - first));
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
	settle_bounds(scan, entry, vk_round_down(lower), vk_round_up(upper));
	scan->stats->refined++;
}

/*
 * Refine and check a candidate.  As long as there is no threshold every row must
 * be checked anyway, and only those that pass need be refined.
 */
static void
settle_candidate(VkListScan *scan, VkCandidate *entry)
{
	bool		check = must_check(scan);

	if (check && !(entry->slot & (VK_REFINED | VK_CHECKED)) &&
		isinf(scan->out->threshold) && !check_candidate(scan, entry))
		return;
	if (!(entry->slot & VK_REFINED))
		refine_candidate(scan, entry);
	if (check)
		check_settled(scan, entry);
}

static void
settle_candidates(VkListScan *scan, int64 first, int64 last)
{
	VkCandidate *entries = scan->out->entries;
	int			size = scan->coder->refine_size;

	for (int64 i = first; i < last; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (size > 0 && i + REFINE_AHEAD < last)
			vk_refine_prefetch_entry(scan->index, &entries[i + REFINE_AHEAD], size);
		settle_candidate(scan, &entries[i]);
	}
}

void
vk_list_settle(VkListScan *scan)
{
	VkCandidates *out = scan->out;
	bool		check = must_check(scan);

	/* a share of what there is, so that the work stays linear */
	if (out->count - out->pruned_count >= Max(SETTLE_BATCH, out->pruned_count / 8))
		(void) vk_candidates_prune(out);
	if (scan->code == NULL || (scan->coder->refine_size == 0 && !check))
		return;
	for (;;)
	{
		int64		first = first_without(out, check ? VK_CHECKED : VK_REFINED);
		int64		last = Min(out->count,
							   first + Max(SETTLE_BATCH, out->count / 8));

		settle_candidates(scan, first, last);
		if (last == out->count)
			break;
		(void) vk_candidates_prune(out);
	}
}
