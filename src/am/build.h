/*-------------------------------------------------------------------------
 *
 * build.h
 *	  What the files of an index build share.
 *
 * IDENTIFICATION
 *	  src/am/build.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_BUILD_H
#define VK_BUILD_H

#include "am/am.h"
#include "am/build_parallel.h"
#include "am/row_batch.h"
#include "port/atomics.h"

/* ---- writer.c ---- */

/*
 * Writes an index front to back.  Pages are made in memory and copied into
 * their buffers when complete, so no buffer lock outlives a copy.
 */
typedef struct VkWriter
{
	Relation	index;
	BlockNumber allocated;		/* blocks given out */
	BlockNumber extended;		/* blocks of the relation */
	VkListWriter lists;
	VkChain		summary;		/* the page of summaries being filled */

	VkChain		rest[2];		/* NaN, NULL */
	int64		rest_rows[2];

	/* directory: page 0 and the page being filled */
	VkChain		directory;
	PGAlignedBlock first_directory;
	BlockNumber *directories;	/* block numbers */
	int			ndirectories;
	int			max_directories;
	uint32		slots;			/* used so far */
} VkWriter;

extern void vk_writer_init(VkWriter *writer, const VkIndex *vk, Relation index);
extern BlockNumber vk_writer_mean(VkWriter *writer, const float *mean, int dim);
/* its rows go to writer->lists */
extern void vk_writer_begin(VkWriter *writer, const VkCoder *coder,
							uint32 slot, int64 rows);
extern void vk_writer_end(VkWriter *writer);
extern void vk_writer_rest(VkWriter *writer, uint32 slot, ItemPointer tid);
/* rest, directory, map and meta pages; fills meta's slots and maps */
extern void vk_writer_finish(VkWriter *writer, VkMeta *meta);
extern void vk_writer_meta(Relation index, const VkMeta *meta);
/* an index without rows, in any fork */
extern void vk_writer_empty(Relation index, ForkNumber fork, VkMeta *meta);

/* ---- build.c ---- */

/* rows sampled from the table, as vectors (normalised for cosine) */
typedef struct VkSample
{
	int64		count;
	float	   *rows;
	ItemPointerData *tids;
	bool		complete;		/* every live row of the table is here */
} VkSample;

/* facts of one build, in one of its processes */
typedef struct VkBuild
{
	Relation	heap;
	Relation	index;
	IndexInfo  *info;
	const VkSupport *support;
	bool		flat;
	int			dim;
	int			wanted_lists;	/* option, 0 = automatic */
	int			calibrate;		/* option */
	VkFormat	format;
	int			refine_bits;
	uint64		seed;
	Size		memory;			/* maintenance_work_mem in bytes */
	MemoryContext row_context;	/* reset once a row or batch */
	float	   *floats;			/* scratch of vk_build_floats */
	float	   *normalized;
	void	   *scratch;		/* vk_scratch_size */
	struct VkToastReader *toast;	/* reads rows that may die meanwhile; NULL: none do */
	VkCrew	   *crew;			/* build_parallel.c */

	VkSample	sample;			/* workers: once vk_sample_attach was called */
	double		rows;			/* estimate of live rows with a distance */
	VkIndex    *vk;
	size_t		stride;			/* bytes of an int8 row */

	/* the centres; workers: once vk_centers_attach was called */
	int			lists;
	uint32		first_list;		/* slot of the first of them; the leader's */
	int8	   *center_codes;
	float	   *center_scales;
	pg_atomic_uint64 *list_rows;	/* counted by the heap scan */

	/* the leader's; workers have meta as it was when they were launched */
	VkWriter	writer;
	VkMeta		meta;
} VkBuild;

/*
 * By the meta page, of an index that is to be built (then it counts no rows) or that
 * exists: options that were changed since say what the next one will be.
 */
extern void vk_build_init(VkBuild *build, Relation index, const VkMeta *meta);
/* memory that every process needs */
extern void vk_build_make_scratch(VkBuild *build);

/* ---- build_scan.c ---- */

/*
 * The vectors of a column value, detoasted into the current context; none where
 * the row has died meanwhile.
 */
extern int	vk_build_vectors(VkBuild *build, Datum value, Datum **vectors);
/* floats of one, normalised for cosine; NULL where its distance is NaN */
extern const float *vk_build_floats(VkBuild *build, Datum vector, bool *wild);
/* scan the table and write lists or segments, and the rest lists */
extern VkScanTotals vk_build_rows(VkBuild *build);

/* ---- sample.c ---- */

extern void vk_sample_table(VkBuild *build);
/* nothing, where it has been dropped */
extern void vk_sample_attach(VkBuild *build);
extern void vk_sample_drop(VkBuild *build);
extern Size vk_sample_size(const VkBuild *build);	/* bytes of the sample */
extern float *vk_mean_of(const float *rows, int64 count, int dim);

/* k-means over a second, larger sample: sets lists and centres */
extern void vk_sample_centers(VkBuild *build, int lists);

/*
 * Room for the centres, shared where there will be workers; no lists until the
 * leader has set their number.
 */
extern void vk_centers_make(VkBuild *build, int capacity);
extern void vk_centers_set(VkBuild *build, int lists);
extern void vk_centers_attach(VkBuild *build);
extern Size vk_centers_size(const VkBuild *build, int lists);

/* ---- centroids.c ---- */

extern bool vk_load_centers(VkBuild *build);

/* ---- calibrate.c ---- */

extern void vk_calibrate(VkBuild *build);
/*
 * Measure the curve of an index that exists, from its lists as they are at
 * meta's epoch; meta gets the curve and its rows, the meta page does not.
 * memory: that may be used, in bytes.
 */
extern void vk_recalibrate(Relation index, Relation heap, IndexInfo *info,
						   Size memory, VkMeta *meta);
/* and then it does; nothing has changed since */
extern void vk_curve_store(Relation index, const VkMeta *measured);

#endif							/* VK_BUILD_H */
