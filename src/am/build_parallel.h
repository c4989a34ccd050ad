/*-------------------------------------------------------------------------
 *
 * build_parallel.h
 *	  The processes of an index build, and what they share.
 *
 * NOTES
 *	  A build goes through stages.  In each, the leader posts jobs; a job has
 *	  pieces, taken one after another by whoever is free.  The leader works
 *	  like the others, so a job is done even where no worker ever comes; with
 *	  no workers at all everything here still holds, in one process.
 *
 *	  Memory that the stages share is called an arena: shared memory where
 *	  there are workers, and the leader's own otherwise.
 *
 * IDENTIFICATION
 *	  src/am/build_parallel.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_BUILD_PARALLEL_H
#define VK_BUILD_PARALLEL_H

#include "access/relscan.h"
#include "storage/dsm.h"
#include "storage/shm_toc.h"
#include "utils/tuplesort.h"

struct VkBuild;
typedef struct VkCrew VkCrew;

typedef enum VkStage
{
	VK_STAGE_NONE,
	VK_STAGE_SAMPLE,			/* sample.c: rows for k-means */
	VK_STAGE_KMEANS,			/* sample.c */
	VK_STAGE_SCAN,				/* build_scan.c */
	VK_STAGE_CALIBRATE,			/* calibrate.c */
	VK_STAGE_EXIT
} VkStage;

/* what a process does in a stage */
typedef struct VkStageRoutine
{
	/* makes its state, in a memory context that lasts as long as the stage */
	void	   *(*begin) (struct VkBuild *build);
	/* takes part in a job, until there are no more pieces */
	void		(*work) (struct VkBuild *build, void *state);
} VkStageRoutine;

extern const VkStageRoutine vk_sample_stage;
extern const VkStageRoutine vk_kmeans_stage;
extern const VkStageRoutine vk_scan_stage;
extern const VkStageRoutine vk_calibrate_stage;

typedef enum VkArena
{
	VK_ARENA_SAMPLE,			/* sample.c: the first sample */
	VK_ARENA_TRAINING,			/* sample.c: the second, and k-means */
	VK_ARENA_CENTERS,			/* the centres, and their rows' numbers */
	VK_ARENA_QUERIES,			/* calibrate.c */
	VK_ARENAS
} VkArena;

/* of the heap scan, all processes */
typedef struct VkScanTotals
{
	double		tuples;			/* seen in the table */
	double		rows;			/* of them that the index has */
	double		coded;			/* entries made of them in lists */
	bool		broken_hot;		/* broken HOT chains were seen */
} VkScanTotals;

/* ---- crew: the processes ---- */

/*
 * The leader; workers are not started yet.  alone: there will be none, and no
 * progress is shown (it would be taken for that of another command).
 */
extern void vk_crew_plan(struct VkBuild *build, bool alone);
extern void vk_crew_start(struct VkBuild *build);
extern void vk_crew_end(struct VkBuild *build);
/* processes that there are, or, before the start, will be at most */
extern int	vk_crew_size(const struct VkBuild *build);

extern bool vk_crew_leads(const struct VkBuild *build);
/* main function of a worker */
extern PGDLLEXPORT void vk_build_worker(dsm_segment *segment, shm_toc *toc);

/* ---- arenas ---- */

/* the leader; zeroed unless it is shared, where that costs nothing either */
extern void *vk_arena_make(struct VkBuild *build, VkArena arena, Size size,
						   bool shared);
extern void vk_arena_drop(struct VkBuild *build, VkArena arena);
/* NULL where there is none */
extern void *vk_arena(struct VkBuild *build, VkArena arena);

/* ---- stages ---- */

/* the leader; returns its state.  alone: no worker takes part */
extern void *vk_stage_begin(struct VkBuild *build, VkStage stage, bool alone);
/* the leader: post a job and return when it is done */
extern void vk_stage_run(struct VkBuild *build, int64 pieces);
extern void vk_stage_end(struct VkBuild *build);
/* the next piece of the job, -1 at its end */
extern int64 vk_stage_piece(struct VkBuild *build);

/* ---- the heap scan ---- */

/* do its rows go through a sort?  The leader decides before the stage */
extern void vk_crew_set_sorted(struct VkBuild *build, bool sorted);
extern bool vk_crew_sorted(const struct VkBuild *build);
/* the scan that all take part in, NULL where the leader is alone */
extern TableScanDesc vk_crew_scan(struct VkBuild *build);
/* how a process's sort takes part, NULL where the leader is alone */
extern SortCoordinate vk_crew_sort(struct VkBuild *build);
/* the same for the leader's, which merges what all of them sorted */
extern SortCoordinate vk_crew_merge(struct VkBuild *build);
extern void vk_crew_add_totals(struct VkBuild *build, const VkScanTotals *totals);
extern VkScanTotals vk_crew_totals(struct VkBuild *build);

/* ---- progress ---- */

extern void vk_build_phase(struct VkBuild *build, int phase, int64 total);
extern void vk_build_total(struct VkBuild *build, int64 total);
/* any process: so much more has been done; checks for interrupts */
extern void vk_build_progress(struct VkBuild *build, int64 more);

#endif							/* VK_BUILD_PARALLEL_H */
