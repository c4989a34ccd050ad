/*-------------------------------------------------------------------------
 *
 * score.h
 *	  What group.c and score.c share.
 *
 * IDENTIFICATION
 *	  src/batch/score.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_SCORE_H
#define VK_SCORE_H

#include "batch/batch.h"

/* a lane that its scan code does not exclude, to be refined */
typedef struct FreshLane
{
	float		lower;
	float		upper;
	int			place;			/* block * VK_LANES + lane */
} FreshLane;

typedef struct FreshLanes
{
	FreshLane  *lanes;
	int			count;
} FreshLanes;

struct VkBatchScorer
{
	VkBatch    *batch;
	Relation	index;
	const VkCoder *coder;
	bool		proven;
	float		epsilon;		/* of bounds that are not */
	const char *isa;			/* of tiles; NULL: there are none */
	int			tile_pays;		/* queries */

	uint32		slot;			/* of the list at hand */
	uint64		born;
	VkBlocks   *blocks;			/* of it */
	/* of them those that have rows to be scored: */
	int			count;
	uint64		last;			/* the last of these rows, if pairs come once */
	int		   *places;			/* among the blocks */
	uint16	   *live;
	VkLineRun  *runs;
	VkScreenRows *rows;
	VkScreenBlocks *groups;		/* the same, if by_blocks */
	bool		by_blocks;
	uint16	   *masks;			/* of one query */
	int32	   *dots;			/* of a group */

	int8	   *query_codes;	/* of a group, to be packed */
	size_t		query_stride;
	VkQueryCode code;			/* of one query */
	/* where rows know their dots with the list's centre: */
	bool		center_dots_known;
	float	   *center_dots;	/* of those that are scored: <centre, c> / |centre| over
								 * VkBoundQuery.dot_mult */

	/* where rows have refine codes: */
	FreshLanes	fresh[2];		/* of the query at hand and the one before it, by turns */
	float	   *uppers;			/* of one's fresh lanes */
	uint8	   *refine;			/* refine codes of the blocks, once read */
	bool	   *refine_read;
};

#endif							/* VK_SCORE_H */
