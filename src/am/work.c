/*-------------------------------------------------------------------------
 *
 * work.c
 *	  How much of an index is enough: when a search below target 1 ends.
 *
 * NOTES
 *	  Work is counted in rows.  The recall curve says how many rows a search for
 *	  k neighbors must see.  Conditions make that more: to find k rows of which a
 *	  share s passes is the work of finding k / s, and s
 *	  is counted on the way; within a radius k is the number of rows found.  The
 *	  curve knows nothing of where the rows lie that meet a condition, so such a
 *	  search also goes on for as long as its answer changes.  One without conditions
 *	  goes on where its query is unlike the rows (reach.c).
 *
 * IDENTIFICATION
 *	  src/am/work.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "utils/float.h"

#include "am/search.h"

/* growth of the rows seen after which the work is estimated again */
#define ESTIMATE_AGAIN	1.1

/*
 * Under conditions: the power of k by which the least work grows past the last k
 * that was measured.  This and LATE_WORK by trial on text768, under six filters
 * of 0.1 to 50 % of the rows.
 */
#define BEYOND_CURVE	0.25

/* share of the work that counts as late; a radius says more of where rows are
 * than a filter does */
#define LATE_WORK		0.5
#define LATE_WORK_WITHIN	0.33

/*
 * Lists that count as late at least, times (1 - target); those that a summary
 * excludes are lists too.  The rows that meet a condition come in clusters as all
 * rows do: what a list brings is one observation, however many rows it is.
 */
#define LATE_LISTS		0.4

/* rows of the answer that may come late, divided by (1 - target) and their number */
#define LATE_ROWS		0.25

/*
 * Rows that meet the conditions, wherever they lie, that late lists must have had to
 * tell of a radius, times (1 - target): lists without such a row say nothing of it.
 * By trial on 1 to 32 dimensions, under filters of 1 and 10 % of the rows.
 */
#define LATE_MATCHED	2.0

/* rows within a radius, below which vk_reach_settled cannot tell */
#define FEW_WITHIN		30

double
vk_work_found(const VkSearch *search)
{
	return search->taken + search->candidates.count;
}

/*
 * What a list counts for: the rows that it had when recall was measured.  Where
 * lists have grown since, as many lists are visited as then, not as many rows.
 */
double
vk_work_list(const VkSearch *search, const VkSlot *slot, double live)
{
	const VkMeta *meta = search->meta;

	if (slot->live == 0)
		return live;
	if (!(meta->curve_rows > 0) || !(meta->live_rows > 0))
		return slot->live;
	return slot->live * (meta->curve_rows / meta->live_rows);
}

bool
vk_work_conditional(const VkRound *round)
{
	return vk_round_selects(round) || round->check != NULL || !isinf(round->radius);
}

/* rows that the recall curve is about */
double
vk_work_total(const VkSearch *search)
{
	return search->meta->curve_rows > 0 ? search->meta->curve_rows : search->round->rows;
}

/*
 * Work (vk_work_list) for what the round asks, by what has been seen so far.  Under
 * conditions it is the least: is_settled decides after it.
 */
double
vk_work_wanted(VkSearch *search)
{
	const VkRound *round = search->round;
	const VkTally *tally = &search->tally;
	const double last = vk_curve_anchors[VK_CURVE_ANCHORS - 1];
	double		k = round->total;
	double		meet = 1;		/* share of rows, as far as is known */
	double		work;

	if (round->exhaustive)
		return get_float8_infinity();
	if (round->budget > 0)
		return round->budget;
	/* those found, and one that may be still to be found */
	if (!isinf(round->radius))
		k = Min(k, vk_work_found(search) + 1);
	if (vk_round_selects(round))
		meet *= (tally->matched + 1) / (tally->seen + 1);
	if (round->check != NULL)
		meet *= (tally->passed + 1) / (tally->checked + 1);
	search->stats->work_for = k / meet;
	if (!vk_reach_known(search))
		k /= meet;
	search->rows_estimated = search->rows;
	if (!vk_work_conditional(round))
		return vk_curve_budget(&search->meta->curve, k, vk_target_recall,
							   vk_work_total(search));

	work = vk_curve_budget(&search->meta->curve, Min(k, last), vk_target_recall,
						   vk_work_total(search));
	return k > last ? work * pow(k / last, BEYOND_CURVE) : work;
}

int64
vk_work_visit_after(const VkSearch *search, double rows, double probed)
{
	int64		low = 0;
	int64		high = search->visit_count;

	while (low < high)
	{
		int64		middle = (low + high) / 2;
		const VkVisit *visit = &search->visits[middle];

		if (visit->rows < rows && visit->probed <= probed)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * The last list, up to that visit, since which so many rows met the conditions; else
 * -1.  Earlier rounds have none of the visits, but their part of the tally.
 */
static int64
visit_of_matched(const VkSearch *search, int64 visit, double least)
{
	visit = Min(visit, search->visit_count - 1);
	while (visit >= 0 && search->tally.matched - search->visits[visit].matched < least)
		visit--;
	return visit;
}

/*
 * Has the late part of the work, and have the last lists, brought next to nothing?
 *
 * The curve was measured with queries like the rows, for the k nearest of all
 * rows.  The nearest of those that meet a condition may all be far away, and
 * those within a radius may be in many places.  The curve then ends the search
 * too early, but the answer still changes with every list.
 */
static bool
is_quiet(const VkSearch *search, double late_share)
{
	const VkRound *round = search->round;
	const VkCandidates *candidates = &search->candidates;
	bool		within = !isinf(round->radius);
	double		early_lists = search->probed - rint(LATE_LISTS / (1 - vk_target_recall));
	int64		late_visit = vk_work_visit_after(search, search->rows * (1 - late_share),
												  early_lists);
	double		found = vk_work_found(search);
	double		late = 0;

	if (within && vk_round_selects(round))
		late_visit = visit_of_matched(search, late_visit,
									  LATE_MATCHED / (1 - vk_target_recall));
	if (early_lists < 0 || late_visit < 0)
		return false;
	if (within && found < round->total)
	{
		if (late_visit < search->visit_count)
			late = found - search->visits[late_visit].found;
	}
	else
	{
		found = round->wanted;
		if (candidates->count < found || isinf(candidates->threshold))
			return false;
		for (int64 i = 0; i < candidates->count; i++)
			late += candidates->entries[i].upper <= candidates->threshold &&
				VK_VISIT(candidates->entries[i].slot) >= late_visit;
	}
	return late <= found * (1 - vk_target_recall) * LATE_ROWS;
}

/*
 * Under conditions, once the least work is done: is the answer complete enough?
 * Where centres and rows found tell how much is left, that decides, and the last
 * lists alone must have been quiet.
 */
static bool
is_settled(VkSearch *search)
{
	bool		within = !isinf(search->round->radius);

	if (vk_reach_known(search) &&
		(!within || vk_work_found(search) >= FEW_WITHIN))
		return is_quiet(search, 0) && vk_reach_settled(search);
	return is_quiet(search, within ? LATE_WORK_WITHIN : LATE_WORK);
}

/*
 * The curve's work is done: more of it for a query unlike the rows.  The curve does
 * not tell the recall of such; once enough is done it is the target, about.
 */
static void
prolong(VkSearch *search)
{
	VkScanStats *stats = search->stats;

	if (!vk_reach_enough(search))
	{
		search->work = Max(search->rows * ESTIMATE_AGAIN, 1);
		stats->work_for = 0;
	}
	else if (stats->work_for == 0)
		stats->reach = vk_target_recall;
}

/*
 * Is there work left?  What conditions let through, or how many rows lie within
 * a radius, is known better the more has been seen: the work is estimated anew
 * when it seems done, and now and then before.  Without them it is what the curve
 * has, and more for a query unlike the rows.
 */
bool
vk_work_left(VkSearch *search)
{
	const VkRound *round = search->round;

	if (round->probes > 0)
		return search->probed < round->probes;
	if (!vk_work_conditional(round))
	{
		if (search->rows >= search->work && round->budget == 0)
			prolong(search);
		return search->rows < search->work;
	}
	if (search->rows >= search->work ||
		search->rows > search->rows_estimated * ESTIMATE_AGAIN)
		search->work = vk_work_wanted(search);
	if (search->rows >= search->work && !is_settled(search))
		search->work = Max(search->rows * ESTIMATE_AGAIN, 1);
	return search->rows < search->work;
}

void
vk_work_note(VkSearch *search)
{
	search->stats->budget = Min(search->work, vk_work_total(search));
	search->stats->seen = search->rows;
}
