/*-------------------------------------------------------------------------
 *
 * plan.h
 *	  Which lists with a centroid the queries of a batch visit.
 *
 * IDENTIFICATION
 *	  src/batch/plan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_PLAN_H
#define VK_PLAN_H

#include "batch/batch.h"

/* visits come in two turns, each by the lists' places in the index */
typedef enum VkVisitTurn
{
	VK_FIRST_TURN,				/* lists that are among the first of the query */
	VK_OTHER_TURN,
	VK_VISIT_TURNS
} VkVisitTurn;

/* a list with a centroid that some query visits */
typedef struct VkPlannedVisit
{
	uint32		number;			/* of its slot */
	VkSlot		slot;
	VkCandidate entry;			/* of its centroid */
	VkCenterChain chain;		/* which lies there */
} VkPlannedVisit;

typedef struct VkVisitPlan VkVisitPlan;

/* Choose each query's lists: the visits of them all, in batch->context. */
extern VkVisitPlan *vk_visits_plan(VkBatch *batch);
/*
 * The lists that some query visits in a turn, by their place in the index: the first
 * one, the next; NULL behind the last.
 */
extern const VkPlannedVisit *vk_visits_next(const VkVisitPlan *plan, VkVisitTurn turn,
											const VkPlannedVisit *list);
/* these queries; returns how many they are */
extern int	vk_visits_queries(const VkVisitPlan *plan, const VkPlannedVisit *list,
							  VkVisitTurn turn, VkBatchQuery **queries);

/* ---- rank.c: the centroids of all lists by their distance from many queries ---- */

typedef struct VkBatchRanking VkBatchRanking;

/* NULL: queries are ranked for one by one */
extern VkBatchRanking *vk_ranking_create(VkBatch *batch);
/* queries ranked for together at most, and bytes for each where so many are wanted */
#define VK_RANKED_QUERIES	VK_GROUP_QUERIES
extern int64 vk_ranking_query_size(int64 wanted);
/* the wanted nearest centroids of these queries of the batch */
extern void vk_ranking_make(VkBatchRanking *ranking, int first, int count, int64 wanted);
/* hand those of one of them, by its place in the batch, to the batch's search */
extern void vk_ranking_take(VkBatchRanking *ranking, int query);
extern void vk_ranking_free(VkBatchRanking *ranking);

#endif							/* VK_PLAN_H */
