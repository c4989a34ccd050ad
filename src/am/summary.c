/*-------------------------------------------------------------------------
 *
 * summary.c
 *	  Summaries of lists: what their rows' attribute values have in common.
 *
 * NOTES
 *	  A summary says what a list may hold, never what it does: it is widened
 *	  not later than a row is appended and never made narrower, so a reader who
 *	  finds a value excluded finds no row with it that its snapshot sees.
 *
 *	  Slots whose numbers follow each other share a summary page.  It is made
 *	  with the first of them, all its entries being those of lists without
 *	  rows, and never moves; the slots that come later name it too.  Inserts
 *	  into different lists meet at its lock, which comes after those of a list's
 *	  own pages; they take it in exclusive mode only where a summary changes.
 *
 * IDENTIFICATION
 *	  src/am/summary.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "am/am.h"
#include "quant/random.h"

#define BLOOM_WORDS		(VK_BLOOM_SIZE / sizeof(uint32))
#define BLOOM_PROBES	4

/* part of its width by which a range that a row widens is widened further */
#define RANGE_SLACK		8

/* ---- one summary ---- */

static inline void
store_key(VkStoredKey *stored, VkKey key)
{
	stored->low = (uint64) key;
	stored->high = (int64) (key >> 64);
}

/*
 * The word of the Bloom filter that a key belongs to, and its bits there.  They
 * are side by side so that a row that widens a summary changes a few bytes in one
 * place, which is all that is logged of it.
 */
static int
bloom_place(VkKey key, uint32 *bits)
{
	VkRandom	mix = {(uint64) (key >> 64)};
	uint64		hash;

	mix.state = vk_seeded_next(&mix) ^ (uint64) key;
	hash = vk_seeded_next(&mix);
	*bits = 0;
	for (int i = 0; i < BLOOM_PROBES; i++)
		*bits |= 1U << (hash >> (32 + 5 * i) & 31);
	return (int) ((uint32) hash % BLOOM_WORDS);
}

/*
 * vk_summary_init -- the summary of no rows
 */
void
vk_summary_init(VkSummary *summary)
{
	memset(summary, 0, sizeof(VkSummary));
	store_key(&summary->least, VK_KEY_MAX);
	store_key(&summary->greatest, VK_KEY_MIN);
}

/*
 * vk_summary_add -- widen a summary by a row; tells whether that changed it
 */
bool
vk_summary_add(VkSummary *summary, VkKey key, bool isnull)
{
	uint32		bits;
	uint32	   *word;
	bool		changed = false;

	if (isnull)
	{
		changed = summary->nulls == 0;
		summary->nulls = 1;
		return changed;
	}

	if (key < vk_stored_key(&summary->least))
	{
		store_key(&summary->least, key);
		changed = true;
	}
	if (key > vk_stored_key(&summary->greatest))
	{
		store_key(&summary->greatest, key);
		changed = true;
	}
	word = &summary->bloom[bloom_place(key, &bits)];
	changed |= (bits & ~*word) != 0;
	*word |= bits;
	return changed;
}

/*
 * vk_summary_has_key -- may a row have this key?
 */
bool
vk_summary_has_key(const VkSummary *summary, VkKey key)
{
	uint32		bits;
	int			word;

	if (key < vk_stored_key(&summary->least) || key > vk_stored_key(&summary->greatest))
		return false;
	word = bloom_place(key, &bits);
	return (bits & ~summary->bloom[word]) == 0;
}

/*
 * vk_summary_covers -- does a summary allow all that another one does?
 */
bool
vk_summary_covers(const VkSummary *summary, const VkSummary *other)
{
	if (vk_stored_key(&other->least) <= vk_stored_key(&other->greatest) &&
		(vk_stored_key(&other->least) < vk_stored_key(&summary->least) ||
		 vk_stored_key(&other->greatest) > vk_stored_key(&summary->greatest)))
		return false;
	if (other->nulls && !summary->nulls)
		return false;
	for (size_t i = 0; i < BLOOM_WORDS; i++)
		if (other->bloom[i] & ~summary->bloom[i])
			return false;
	return true;
}

/*
 * vk_summary_add_row -- widen the summaries of a list, one a column, by a row;
 * tells whether that changed any
 */
bool
vk_summary_add_row(const VkIndex *vk, VkSummary *summaries,
				   const VkAttributes *attributes)
{
	bool		changed = false;

	for (int i = 0; i < vk->attributes; i++)
		changed |= vk_summary_add(&summaries[i],
								  vk_attributes_key(vk, i, attributes),
								  (attributes->nulls & 1U << i) != 0);
	return changed;
}

/* by how much more than the row asks for; of a range of one key by nothing */
static uint128
range_slack(const VkSummary *before)
{
	VkKey		least = vk_stored_key(&before->least);
	VkKey		greatest = vk_stored_key(&before->greatest);

	return least > greatest ? 0 : ((uint128) greatest - (uint128) least) / RANGE_SLACK;
}

/*
 * vk_summary_widen_row -- the same for a row that is inserted
 *
 * Where it lies outside of a range, the next ones often do too, a little farther
 * off: with some slack not each of them changes the page.
 */
void
vk_summary_widen_row(const VkIndex *vk, VkSummary *summaries,
					 const VkAttributes *attributes)
{
	for (int i = 0; i < vk->attributes; i++)
	{
		VkSummary  *summary = &summaries[i];
		VkKey		key = vk_attributes_key(vk, i, attributes);
		uint128		slack = range_slack(summary);
		VkKey		lower = (VkKey) ((uint128) key - slack);
		VkKey		upper = (VkKey) ((uint128) key + slack);

		if ((attributes->nulls & 1U << i) == 0 && slack > 0)
		{
			if (key < vk_stored_key(&summary->least))
				store_key(&summary->least, lower < key ? lower : VK_KEY_MIN);
			if (key > vk_stored_key(&summary->greatest))
				store_key(&summary->greatest, upper > key ? upper : VK_KEY_MAX);
		}
		(void) vk_summary_add(summary, key, (attributes->nulls & 1U << i) != 0);
	}
}

/* ---- pages ---- */

static inline uint32
slots_a_page(const VkIndex *vk)
{
	return VK_PAGE_LINES / (vk->attributes * VK_SUMMARY_LINES);
}

/*
 * vk_summary_first -- the first slot on the summary page of a slot
 */
uint32
vk_summary_first(const VkIndex *vk, uint32 number)
{
	return number - (number - VK_SLOT_FIRST_LIST) % slots_a_page(vk);
}

/*
 * vk_summary_on_page -- the summaries of a slot on their page
 */
VkSummary *
vk_summary_on_page(const VkIndex *vk, Page page, uint32 number)
{
	return (VkSummary *) vk_page_payload(page) +
		(number - vk_summary_first(vk, number)) * vk->attributes;
}

/*
 * vk_summary_page_init -- format the page whose first slot is `first`
 */
void
vk_summary_page_init(const VkIndex *vk, Page page, uint32 first)
{
	VkSummary  *summaries = vk_page_payload(page);

	vk_page_init(page, VK_PAGE_SUMMARY, first, 0, 0);
	for (uint32 i = 0; i < slots_a_page(vk) * vk->attributes; i++)
		vk_summary_init(&summaries[i]);
}

/* the summary page of a slot, pinned and locked */
static Buffer
lock_page(Relation index, const VkIndex *vk, uint32 number, BlockNumber block,
		  int mode)
{
	uint32		first = vk_summary_first(vk, number);
	Buffer		buffer = vk_read_page(index, block, VK_PAGE_SUMMARY, mode);
	VkPageHead *head = vk_page_head(BufferGetPage(buffer));

	if (head->slot != first)
		vk_corrupt(index, block,
				   psprintf("The summaries on the page begin at slot %u, expected slot %u.",
							head->slot, first));
	return buffer;
}

/*
 * vk_summary_read -- copy the summaries of a list; false where it has none
 */
bool
vk_summary_read(Relation index, const VkIndex *vk, uint32 number,
				const VkSlot *slot, VkSummary *summaries)
{
	Buffer		buffer;

	if (vk->attributes == 0 || !BlockNumberIsValid(slot->summary))
		return false;

	buffer = lock_page(index, vk, number, slot->summary, BUFFER_LOCK_SHARE);
	memcpy(summaries, vk_summary_on_page(vk, BufferGetPage(buffer), number),
		   vk->attributes * sizeof(VkSummary));
	UnlockReleaseBuffer(buffer);
	return true;
}

/*
 * vk_summary_write -- write all summaries of a list that nobody sees yet
 */
void
vk_summary_write(Relation index, const VkIndex *vk, uint32 number,
				 const VkSlot *slot, const VkSummary *summaries)
{
	Buffer		buffer;
	GenericXLogState *state;
	Page		page;

	if (vk->attributes == 0)
		return;

	buffer = lock_page(index, vk, number, slot->summary, BUFFER_LOCK_EXCLUSIVE);
	state = GenericXLogStart(index);
	page = GenericXLogRegisterBuffer(state, buffer, 0);
	memcpy(vk_summary_on_page(vk, page, number), summaries,
		   vk->attributes * sizeof(VkSummary));
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

/*
 * vk_summary_may_match -- may a list hold a row that a filter lets through?
 */
bool
vk_summary_may_match(Relation index, const VkIndex *vk, uint32 number,
					 const VkSlot *slot, const VkFilter *filter)
{
	Buffer		buffer;
	bool		match;

	if (!BlockNumberIsValid(slot->summary))
		return true;

	buffer = lock_page(index, vk, number, slot->summary, BUFFER_LOCK_SHARE);
	match = vk_filter_list(filter,
						   vk_summary_on_page(vk, BufferGetPage(buffer), number));
	UnlockReleaseBuffer(buffer);
	return match;
}

/*
 * vk_summary_lacks -- would a row widen the summaries of a list?
 *
 * The caller holds no lock.
 */
bool
vk_summary_lacks(Relation index, const VkIndex *vk, uint32 number,
				 const VkSlot *slot, const VkAttributes *attributes)
{
	VkSummary	summaries[VK_MAX_ATTRIBUTES];

	return vk_summary_read(index, vk, number, slot, summaries) &&
		vk_summary_add_row(vk, summaries, attributes);
}

/*
 * vk_summary_lock -- the summary page of a list, exclusively locked
 *
 * The caller may hold locks on pages of the list.
 */
Buffer
vk_summary_lock(Relation index, const VkIndex *vk, uint32 number,
				const VkSlot *slot)
{
	return lock_page(index, vk, number, slot->summary, BUFFER_LOCK_EXCLUSIVE);
}

/*
 * vk_summary_empty -- make the summaries of a slot those of a list without rows
 *
 * No list may be in the slot.
 */
void
vk_summary_empty(Relation index, const VkIndex *vk, uint32 number,
				 const VkSlot *slot)
{
	Buffer		buffer;
	GenericXLogState *state;
	VkSummary  *summaries;

	if (vk->attributes == 0)
		return;

	buffer = lock_page(index, vk, number, slot->summary, BUFFER_LOCK_EXCLUSIVE);
	state = GenericXLogStart(index);
	summaries = vk_summary_on_page(vk, GenericXLogRegisterBuffer(state, buffer, 0),
								   number);
	for (int i = 0; i < vk->attributes; i++)
		vk_summary_init(&summaries[i]);
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}
