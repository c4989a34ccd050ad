/*-------------------------------------------------------------------------
 *
 * reach.c
 *	  How much of the answer the lists not visited yet are likely to hold.
 *
 * NOTES
 *	  The recall curve knows nothing of conditions.  What a search knows under
 *	  them: the score that a row must beat to be in the answer (the k-th best so
 *	  far, or the radius), the scores of all centres, and in which lists the
 *	  rows of the answer so far lie.
 *
 *	  A row of a list at distance D lies at D^2 + r^2 - 2 D r cos from the query,
 *	  with r the mean distance of rows from their centres.  In d dimensions that
 *	  rows fill evenly the cosine is about normal with variance 1/d.  Real rows
 *	  fill fewer: how many is what the places of the rows found tell.  So for
 *	  some numbers of dimensions, and weighted by how likely each makes those
 *	  places: the rows that meet the conditions times their chance to beat the
 *	  score, summed over the lists visited and over those that are left.  Only
 *	  the ratio of the two counts, so what the model makes too small or too great
 *	  everywhere does no harm.
 *
 *	  Without conditions the curve is right for queries like the rows that it was
 *	  measured with.  The others show in how near the last list visited comes to
 *	  the answer: by the deviations above, for any number of dimensions.  At a
 *	  target's budget they are about the same for all queries like the rows, so who
 *	  has more of them than most of these goes on until it has no more.
 *
 * IDENTIFICATION
 *	  src/am/reach.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "utils/float.h"

#include "am/search.h"

/* dimensions that rows may fill; text of 768 dimensions: some 45, SIFT: 25 */
static const double dimensions[] = {8, 15, 25, 40};

#define DIMENSIONS		lengthof(dimensions)

/* rows of the answer that count as so many observations at most */
#define MOST_OBSERVED	10.0

/* added to the chance of any row */
#define LEAST_CHANCE	1e-12

/*
 * What is enough, in shares of the answer that may be missed (1 - target): to have
 * missed no more than ENOUGH; or, where the next list brings no more than WORTH of
 * what the last one does that the curve asks for without conditions, FAIR more than
 * that.  Few lists tell little: FAIR counts in full from MANY_LISTS on.  Where most
 * rows near the query meet the conditions the curve is right by itself: FAIR and
 * WORTH grow with their share, up to MOST_SHARE, WORTH with its square.  By trial on
 * SIFT, text768 and made-up clusters.
 */
#define ENOUGH			1.0
#define FAIR			1.5
#define FAIR_BY_SHARE	14.0
#define MANY_LISTS		100.0
#define WORTH			1.0
#define WORTH_BY_SHARE	24.0
#define MOST_SHARE		0.5
#define MOST_WITHIN		0.25	/* of a radius */

/* the lists whose rows meet the conditions as those near the query do */
#define EARLY_PART		4

/* squared distance from a centre that counts at least, in squares of r */
#define LEAST_CENTER	1e-6

/* a zone has this part of the lists before it, and one list at least */
#define ZONE_PART		8
#define ZONES			128

/* lists that follow each other by rank, taken as one */
typedef struct Zone
{
	int64		first;			/* visit */
	int64		lists;
	double		center;			/* score of a centre */
	double		rows;			/* that meet the conditions */
	double		found;			/* rows of the answer */
} Zone;

typedef struct Reach
{
	const VkSearch *search;
	double		limit;			/* the score to beat */
	int			count;			/* zones visited */
	int			all;			/* with those that are not */
	Zone		zones[ZONES];
} Reach;

/* ---- the score to beat, and the rows that do ---- */

static inline double
middle(const VkCandidate *entry)
{
	return ((double) entry->lower + entry->upper) / 2;
}

/* Is it known of a candidate that its row meets all conditions? */
static inline bool
counts(const VkCandidate *entry)
{
	return !isnan(entry->lower) && !isinf(entry->upper);
}

/* the score of the last row of the answer so far, infinite if there are too few */
static double
last_score(const VkSearch *search)
{
	const VkCandidates *candidates = &search->candidates;
	const VkRound *round = search->round;
	int64		count = 0;

	for (int64 i = 0; i < candidates->count; i++)
		if (counts(&candidates->entries[i]))
			candidates->scratch[count++] = (float) middle(&candidates->entries[i]);
	if (round->wanted <= 0 || search->taken > 0 || count < round->wanted)
		return round->radius;
	return Min(round->radius,
			   vk_select_float(candidates->scratch, count, round->wanted - 1));
}

static Zone *
zone_of_visit(Reach *reach, int64 visit)
{
	int			low = 0;
	int			high = reach->count;

	while (high - low > 1)
	{
		int			half = (low + high) / 2;

		if (reach->zones[half].first <= visit)
			low = half;
		else
			high = half;
	}
	return &reach->zones[low];
}

/* where the rows of the answer so far lie */
static void
count_found(Reach *reach)
{
	const VkSearch *search = reach->search;
	const VkCandidates *candidates = &search->candidates;

	for (int64 i = 0; i < candidates->count; i++)
	{
		const VkCandidate *entry = &candidates->entries[i];
		int64		visit = VK_VISIT(entry->slot);

		if (counts(entry) && middle(entry) <= reach->limit &&
			!isinf(search->visits[visit].center))
			zone_of_visit(reach, visit)->found++;
	}
}

/* ---- zones ---- */

static Zone *
add_zone(Reach *reach, int64 first, double center, double rows)
{
	Zone	   *zone = &reach->zones[reach->all++];

	zone->first = first;
	zone->center = center;
	zone->rows = rows;
	zone->found = 0;
	return zone;
}

/* of the lists visited; segments have no centre, and are left out */
static void
visited_zones(Reach *reach)
{
	const VkSearch *search = reach->search;
	int64		size;

	for (int64 i = 0; i < search->visit_count && reach->all < ZONES / 2; i += size)
	{
		const VkVisit *visit = &search->visits[i];
		int64		next;
		Zone	   *zone;

		size = isinf(visit->center) ? 1 : 1 + i / ZONE_PART;
		if (reach->all == ZONES / 2 - 1)
			size = search->visit_count;
		next = Min(i + size, search->visit_count);
		if (isinf(visit->center))
			continue;
		zone = add_zone(reach, i, search->visits[(i + next) / 2].center,
						(next < search->visit_count ? search->visits[next].matched :
						 search->tally.matched) - visit->matched);
		if (search->taken > 0)
			zone->found = Max((next < search->visit_count ? search->visits[next].found :
							   vk_work_found(search)) - visit->found, 0);
	}
	reach->count = reach->all;
}

/* the share of rows that meet the conditions: of all lists, or of the later half */
static double
matching_share(const VkSearch *search)
{
	const VkTally *tally = &search->tally;
	const VkVisit *half = &search->visits[search->visit_count / 2];
	double		share = tally->matched / Max(tally->seen, 1);

	if (tally->seen > half->seen)
		share = Max(share, (tally->matched - half->matched) / (tally->seen - half->seen));
	return share;
}

/*
 * Of the lists to come.  Not all of the ranking is in order, but any part of the
 * rest is like the whole; what it leaves out is not nearer than its last.
 */
static void
zones_to_come(Reach *reach)
{
	const VkSearch *search = reach->search;
	const VkCandidates *ranked = &search->ranked;
	double		rows = matching_share(search) * search->round->rows / search->meta->lists;
	int64		left = search->meta->lists - search->probed;
	int64		known = Min(ranked->count - search->ranked_next, left);
	double		last = reach->zones[reach->count - 1].center;
	int64		size;

	for (int64 i = 0; i < known; i += size)
	{
		size = Min(1 + (search->probed + i) / ZONE_PART, known - i);
		if (reach->all == ZONES - 2)
			size = known - i;
		last = ranked->entries[search->ranked_next + i + size / 2].lower;
		add_zone(reach, 0, last, rows * size)->lists = size;
	}
	if (left > known)
		add_zone(reach, 0, last, rows * (left - known))->lists = left - known;
}

/* ---- chances ---- */

/*
 * By how many standard deviations the limit lies above the score of a list's mean row,
 * divided by the root of the dimensions.
 */
static double
deviations(const VkSearch *search, double norm2, double r, double limit, double center)
{
	if (search->vk->coder.metric == VK_METRIC_IP)
		return (limit - center) / (sqrt(norm2) * r);
	if (search->vk->coder.metric == VK_METRIC_COSINE)
	{
		center *= 2;
		limit *= 2;
	}
	center = Max(center, LEAST_CENTER * r * r);
	return (limit - center - r * r) / (2 * sqrt(center) * r);
}

/* what a number of dimensions makes of all that is known */
typedef struct Chance
{
	double		left;			/* rows of the answer, per one that has been seen */
	double		next;			/* of them in the next list */
	double		likelihood;		/* of the places of the rows found, its logarithm */
} Chance;

static Chance
chance_of(const Reach *reach, const double *deviation, double dimension)
{
	Chance		chance = {0};
	double		seen = LEAST_CHANCE;
	double		found = 0;

	for (int i = 0; i < reach->all; i++)
	{
		const Zone *zone = &reach->zones[i];
		double		below = erfc(-deviation[i] * sqrt(dimension / 2)) / 2 + LEAST_CHANCE;

		if (i < reach->count)
			seen += zone->rows * below;
		else
			chance.left += zone->rows * below;
		if (i == reach->count)
			chance.next = chance.left / zone->lists;
		if (zone->found > 0)
		{
			found += zone->found;
			chance.likelihood += zone->found * log(below);
		}
	}
	chance.left /= seen;
	chance.next /= seen;
	chance.likelihood -= found * log(seen);
	if (found > MOST_OBSERVED)
		chance.likelihood *= MOST_OBSERVED / found;
	return chance;
}

/*
 * The share of the answer that the lists visited are likely to hold, and *gain, the
 * share that the next list brings; negative where there are too few rows to tell.
 */
static double
reach_now(const VkSearch *search, double *gain)
{
	Reach		reach = {.search = search};
	double		deviation[ZONES];
	Chance		chances[DIMENSIONS];
	double		most = -get_float8_infinity();
	double		weights = 0;
	double		left = 0;
	double		next = 0;

	*gain = 0;
	reach.limit = last_score(search);
	if (isinf(reach.limit))
		return -1;
	visited_zones(&reach);
	if (reach.count == 0)
		return -1;
	if (search->taken == 0)
		count_found(&reach);
	zones_to_come(&reach);

	for (int i = 0; i < reach.all; i++)
		deviation[i] = deviations(search, search->query.norm2, search->meta->residual,
								  reach.limit, reach.zones[i].center);
	for (size_t i = 0; i < DIMENSIONS; i++)
	{
		chances[i] = chance_of(&reach, deviation, dimensions[i]);
		most = Max(most, chances[i].likelihood);
	}
	for (size_t i = 0; i < DIMENSIONS; i++)
	{
		double		weight = exp(chances[i].likelihood - most);

		weights += weight;
		left += weight * chances[i].left;
		next += weight * chances[i].next;
	}
	*gain = next / (weights + left);
	return weights / (weights + left);
}

/* what the last list brings that the curve asks for without conditions */
static double
last_gain(const VkSearch *search, double k)
{
	const VkCurve *curve = &search->meta->curve;
	double		total = vk_work_total(search);
	double		rows = total / search->meta->lists;
	double		miss = (1 - vk_target_recall) / 2;
	double		more = vk_curve_budget(curve, k, 1 - miss, total) -
		vk_curve_budget(curve, k, vk_target_recall, total);

	return miss * rows / Max(more, rows);
}

/*
 * vk_reach_known -- can anything be told of lists from their centres?
 */
bool
vk_reach_known(const VkSearch *search)
{
	VkMetric	metric = search->vk->coder.metric;

	return (metric == VK_METRIC_L2 || metric == VK_METRIC_COSINE ||
			metric == VK_METRIC_IP) && search->meta->residual > 0;
}

/*
 * vk_reach_settled -- do the lists visited hold enough of the answer?
 */
bool
vk_reach_settled(VkSearch *search)
{
	const VkRound *round = search->round;
	const VkTally *tally = &search->tally;
	double		miss = 1 - vk_target_recall;
	const VkVisit *early;
	double		share;
	double		trust = Min(search->probed / MANY_LISTS, 1);
	double		k = round->total;
	double		gain;
	double		reach = reach_now(search, &gain);

	if (reach < 0)
		return false;
	early = &search->visits[search->visit_count / EARLY_PART];
	share = Min(tally->matched / Max(tally->seen, 1),
				early->matched / Max(early->seen, 1));
	if (round->check != NULL)
		share *= tally->passed / Max(tally->checked, 1);
	share = Min(share, isinf(round->radius) ? MOST_SHARE : MOST_WITHIN);
	if (!isinf(round->radius))
		k = Min(k, vk_work_found(search) + 1);
	search->stats->reach = reach;
	return reach >= 1 - ENOUGH * miss ||
		(reach >= 1 - (ENOUGH + (FAIR + FAIR_BY_SHARE * share) * trust) * miss &&
		 gain <= (WORTH + WORTH_BY_SHARE * share * share) * last_gain(search, k));
}

/* the centre of the last list begun before that much work; infinite: it has none */
static double
center_before(const VkSearch *search, double rows)
{
	int64		visit = vk_work_visit_after(search, rows, get_float8_infinity()) - 1;

	return visit < 0 ? get_float8_infinity() : search->visits[visit].center;
}

double
vk_reach_last_center(const VkSearch *search)
{
	return center_before(search, get_float8_infinity());
}

double
vk_reach_center(const VkSearch *search, double rows)
{
	return search->rows < rows ? get_float8_infinity() : center_before(search, rows);
}

double
vk_reach_deviations(const VkSearch *search, double norm2, double center, double limit)
{
	return isinf(center) ? get_float8_nan() :
		deviations(search, norm2, search->meta->residual, limit, center);
}

bool
vk_reach_usual(const VkSearch *search, const VkQuery *query, double k, double center,
			   double limit)
{
	const VkFringe *fringe = &search->meta->fringe;
	double		most;

	if (!vk_reach_known(search) || !(fringe->residual > 0))
		return true;
	most = vk_fringe_deviations(fringe, k, vk_target_recall);
	return isinf(most) || isinf(center) || isinf(limit) ||
		!(deviations(search, query->norm2, fringe->residual, limit, center) > most);
}

bool
vk_reach_enough(const VkSearch *search)
{
	const VkRound *round = search->round;

	return vk_reach_usual(search, &search->query, round->total,
						  vk_reach_last_center(search),
						  round->last != NULL ? *round->last : last_score(search));
}
