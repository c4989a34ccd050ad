/*-------------------------------------------------------------------------
 *
 * documents.h
 *	  Documents of which a search for entries has found some.
 *
 * IDENTIFICATION
 *	  src/am/documents.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_DOCUMENTS_H
#define VK_DOCUMENTS_H

#include "am/scan.h"

/* stands for an entry without a bound */
#define VK_NO_BOUND			1e300

typedef enum VkDocumentState
{
	VK_DOCUMENT_OPEN,				/* not fetched */
	VK_DOCUMENT_EXACT,				/* its distance is known */
	VK_DOCUMENT_GONE				/* not visible, or it does not pass */
} VkDocumentState;

/* a document of which an entry was found */
typedef struct VkDocument
{
	uint64		tid;
	double		gain;			/* by its entries it may be so much nearer than one
								 * without: 0 or less */
	double		own_gain;		/* part of it, by vector number `vector` */
	double		distance;
	int			vector;			/* of the query, that it was met by last */
	int			met;			/* vectors that it was met by */
	VkDocumentState state;
	char		status;			/* of the hash table */
} VkDocument;

/* a document in the order of the least distances */
typedef struct VkRankedDocument
{
	double		lower;
	VkDocument *document;
} VkRankedDocument;

struct documents_hash;

typedef struct VkDocuments
{
	/* Unchanging state */
	IndexScanDesc scan;
	VkScan	   *so;
	double		entries;		/* in the index, about */
	uint64		most;			/* documents that memory allows */
	struct documents_hash *table;

	/* what the last searches found */
	int64		depth;			/* entries looked for, a vector of the query */
	double		base;			/* the sum of all bounds */
	double		magnitude;		/* and of their absolute values */
	bool		complete;		/* there is no document that they did not find */
	VkRankedDocument *ranked;	/* those that are not gone */
	int64		ranked_count;
} VkDocuments;

/* none yet; in the current memory context */
extern void vk_documents_init(VkDocuments *found, IndexScanDesc scan);
/*
 * Search for so many entries for each vector of the query, of which so many
 * documents are wanted, and rank the documents found, those of earlier searches
 * too.  Returns false where no bounds hold for one of the vectors.
 */
extern bool vk_documents_search(VkDocuments *found, int64 depth, int64 wanted);
extern uint64 vk_documents_count(const VkDocuments *found);
/* what documents that were not found are no nearer than */
extern double vk_documents_unseen(const VkDocuments *found);

#endif							/* VK_DOCUMENTS_H */
