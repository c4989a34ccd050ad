/*-------------------------------------------------------------------------
 *
 * am.h
 *	  What the files of the access methods share.
 *
 * IDENTIFICATION
 *	  src/am/am.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AM_H
#define VK_AM_H

#include <math.h>

#include "am/attributes.h"
#include "am/page.h"
#include "am/row_mask.h"

#include "access/amapi.h"
#include "access/generic_xlog.h"
#include "access/relscan.h"
#include "common/hashfn.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "vk_compat.h"

/*
 * Room for one more element in an array that doubles: the array as it is now.
 * It is NULL at first, its capacity 0.
 */
static inline void *
vk_array_grow(MemoryContext context, void *array, int64 count, int64 *capacity,
			  Size element_size)
{
	if (count < *capacity)
		return array;
	*capacity = Max(*capacity * 2, 64);
	return array == NULL ?
		MemoryContextAllocHuge(context, *capacity * element_size) :
		repalloc_huge(array, *capacity * element_size);
}

/* build_parallel.c: can shared memory of this size be had now? */
extern bool vk_shared_memory_left(Size size);

/* ---- operator classes ---- */

/* of the vector column */
#define VK_STRATEGY_DISTANCE	1	/* ordering operator */
#define VK_STRATEGY_WITHIN		2	/* distance < radius of a sphere */
#define VK_STRATEGY_WITHIN_EQUAL	3	/* distance <= radius of a sphere */
/* of attribute columns: btree's five, and <> */
#define VK_STRATEGY_NOT_EQUAL	6
#define VK_STRATEGIES			6

#define VK_PROC_SUPPORT			1	/* returns a const VkSupport * */
#define VK_PROC_SPHERE			2	/* makes a sphere: (center, radius, exact) */
#define VK_PROCS				2

/* A layout of vectors, which several SQL types may have */
typedef struct VkLayout
{
	VkStoredElement element;
	int			max_dim;
	/* dimensions of a detoasted datum */
	int			(*dim) (Datum value);
	/* its elements as floats: in the datum itself, or written to buffer (dim floats) */
	const float *(*floats) (Datum value, float *buffer);
	/* what the type's functions say of two that have different dimensions */
	const char *mismatch;		/* of two %d */
} VkLayout;

/*
 * What an operator class tells its access method: support function 1.
 *
 * Exact distances are those of the ordering operator's own function: ours or
 * another extension's, whose sums run in an order of its own.
 */
typedef struct VkSupport
{
	const VkLayout *layout;
	VkMetric	metric;
	/* values are arrays of such vectors, each of which has an entry (documents.c) */
	bool		documents;
	/* relative rounding of the operator's sum over dim terms (quant.h) */
	double		(*operator_error) (int dim);
	/* score (quant.h) of the operator's result */
	double		(*score) (double distance);
	/* and the way back: the distance that has a score, 0 for one that none has */
	double		(*distance) (double score);
} VkSupport;

/* the score of a distance, which may be NaN */
static inline double
vk_exact_score(const VkSupport *support, double distance)
{
	return isnan(distance) ? distance : support->score(distance);
}

extern const VkSupport *vk_support(Relation index);
/*
 * The vectors of a detoasted value of the first column: of an array those that are
 * not NULL, else the value itself, to which *vectors may point.
 */
extern int	vk_support_vectors(const VkSupport *support, Datum *value,
							   Datum **vectors);
/* an error, as the type's own functions have it, unless dimensions are the same */
extern void vk_support_check_dims(const VkSupport *support, int dim_a, int dim_b);
/* is a value of the first column's type an array of vectors? */
extern bool vk_type_has_documents(Oid type);
/* the function of the ordering operator, for calls from context */
extern void vk_support_operator(Relation index, FmgrInfo *operator,
								MemoryContext context);

/* ---- options.c ---- */

typedef struct VkOptions
{
	int32		vl_len_;
	int			lists;			/* 0 = automatic */
	int			bits;			/* 0 = automatic */
	int			refine;			/* VkRefineOption */
	int			calibrate;		/* rows; 0 = off */
	int			seed;
	int			centroids;		/* string offset: table to take centres from */
} VkOptions;

typedef enum VkRefineOption
{
	VK_REFINE_AUTO = -1,
	VK_REFINE_NONE = 0,
	VK_REFINE_4 = 4,
	VK_REFINE_8 = 8
} VkRefineOption;

#define VK_DEFAULT_SEED			42
#define VK_DEFAULT_CALIBRATE	1000

extern bytea *vkflat_options(Datum reloptions, bool validate);
extern bytea *vkivf_options(Datum reloptions, bool validate);
/* options of an index with defaults filled in (rd_options may be NULL) */
extern VkOptions vk_options_get(Relation index);
extern const char *vk_option_centroids(Relation index);	/* NULL: none */
extern void vk_options_init(void);
/* automatic choices for an index, resolved (bits -> format, refine -> bits) */
extern void vk_choose_codes(Relation index, bool flat, int dim, VkFormat *format,
							int *refine_bits);

/* ---- settings (vkindex.c) ---- */

extern double vk_target_recall;
extern int	vk_probes;
extern bool vk_log_scans;
extern bool vk_enable_batch;
extern int	vk_max_scan_rows;	/* 0: no limit */

typedef enum VkRangePushdown
{
	VK_RANGE_EXACT,
	VK_RANGE_APPROXIMATE,
	VK_RANGE_OFF
} VkRangePushdown;

extern int	vk_range_pushdown;

typedef enum VkPrefilter
{
	VK_PREFILTER_AUTO,			/* by cost */
	VK_PREFILTER_ON,			/* wherever there is one */
	VK_PREFILTER_OFF
} VkPrefilter;

extern int	vk_prefilter;

/* ---- index.c: what a backend knows of one index ---- */

/*
 * Facts of an index, kept in rd_amcache as one chunk.  Mean and step are those
 * of VkMeta.coded, the rest stays as it is while the relfilenode does.  The chunk
 * may vanish at any invalidation, so users copy it into their own context.
 */
typedef struct VkIndex
{
	Size		size;			/* of the whole chunk */
	uint64		serial;			/* in this backend, of facts read from a file: the same
								 * number, the same facts; 0: vk_index_make's */
	VkCoder		coder;			/* rotation.signs and mean point into the chunk */
	uint64		seed;
	uint64		coded;			/* VkMeta.coded: mean and step are those since then */
	int			head_lines;		/* lines of a block before its code */
	int			block_lines;	/* lines of a block */
	int			annotation_line;	/* line offset of the annotation in a block: 2 */
	int			attributes;		/* attribute columns */
	int			attribute_bytes;	/* of a row, all columns */
	VkAttribute attribute[VK_MAX_ATTRIBUTES];
	float	   *rotated_mean;	/* R mean, dim floats */
} VkIndex;

/*
 * Read the meta page, and return facts that go with it (`coded` is the same).
 * Who keeps them compares their `coded` with that of each meta page that it reads;
 * the layout of pages never changes.
 */
extern VkIndex *vk_index_current(Relation index, VkMeta *meta,
								 MemoryContext context);
/* the relation cache's own, which any invalidation may free */
extern const VkIndex *vk_index_cached(Relation index, VkMeta *meta);
extern VkIndex *vk_index_copy(Relation index, MemoryContext context);
/* from explicit parts, for the build; mean NULL = zero; step: L1, else 0 */
extern VkIndex *vk_index_make(Relation index, int dim, VkMetric metric,
							  VkFormat format, int refine_bits, bool flat,
							  uint64 seed, const float *mean, float step,
							  MemoryContext context);
extern int	vk_attribute_widths(Relation index, uint8 *widths);
/* the centre list's coder: refine codes are always 8 bits there */
extern VkCoder vk_center_coder(const VkIndex *vk);
/* center_entries.c: the entry of a centre a * signed_code; values: dim floats */
extern void vk_center_row(const VkCoder *coder, uint32 number,
						  const int8 *signed_code, float a, float *values,
						  void *scratch, ItemPointer tid, VkRowCode *code);

/* rows of a list without centroid, about */
#define VK_SEGMENT_ROWS		4096

/* build.c: rows that a list should have, and lists that so many rows get */
extern double vk_rows_a_list(const VkIndex *vk, double rows);
extern int	vk_choose_lists(const VkIndex *vk, int wanted, double rows);
/* centres are means: of Jaccard distance they say nothing, and dimensions of means
 * are limited as those of vectors are */
static inline bool
vk_may_have_lists(VkMetric metric, int dim)
{
	return metric != VK_METRIC_JACCARD && dim <= VK_MAX_DIM;
}

/* ---- page.c: pages, meta; directory.c: slots ---- */

extern void vk_page_init(Page page, uint16 kind, uint32 slot, uint64 born,
						 uint32 position);
/*
 * Every page read goes through these.  A page that is not what the caller
 * expects raises ERRCODE_INDEX_CORRUPTED with the block number (or
 * ERRCODE_T_R_SERIALIZATION_FAILURE for a list page in recovery, protocol 7).
 * vk_read_page: any kind; the buffer comes back pinned and locked in mode.
 */
extern Buffer vk_read_page(Relation index, BlockNumber block, uint16 kind,
						   int mode);
extern Buffer vk_read_chain_page(Relation index, BlockNumber block, uint16 kind,
								 uint32 slot, uint64 born, uint32 position,
								 int mode);
/* the same for who reads all pages: by a strategy, which spares other pages' buffers */
extern Buffer vk_read_chain_page_once(Relation index, BlockNumber block, uint16 kind,
									  uint32 slot, uint64 born, uint32 position,
									  int mode, BufferAccessStrategy strategy);
/* any page, pinned and not locked; only the block number is checked */
extern Buffer vk_pin_page(Relation index, BlockNumber block);
/* address to prefetch a page from that will be read soon, or NULL */
extern const char *vk_page_ahead(Relation index, BlockNumber block);
/* the checks alone, for a buffer that is locked already */
extern void vk_check_page(Relation index, Buffer buffer, uint16 kind);
extern void vk_check_chain_page(Relation index, Buffer buffer, uint16 kind,
								uint32 slot, uint64 born, uint32 position);
pg_noreturn extern void vk_corrupt(Relation index, BlockNumber block,
								   const char *what);
/* what a standby has recycled may be missed, README, List operations, "Standby" */
extern bool vk_began_in_recovery(void);
pg_noreturn extern void vk_report_recycled(Relation index);
extern bool vk_block_exists(Relation index, BlockNumber block);
/* its file may have been emptied: what is known of how long it is holds no more */
extern void vk_block_forget(void);
/* only the block number is checked: the page may be of any kind, or zeros */
extern Buffer vk_read_any_page(Relation index, BlockNumber block, int mode);
/* a new or recycled page, exclusively locked, contents to be initialised */
extern Buffer vk_new_page(Relation index);

/* does this page belong to that list? */
static inline bool
vk_page_is(Page page, uint16 kind, uint32 slot, uint64 born)
{
	VkPageHead *head = vk_page_head(page);

	return head->kind == kind && head->slot == slot && head->born == born;
}

/* copy of the meta page's contents; checks magic and version */
extern void vk_meta_read(Relation index, VkMeta *meta);
extern void vk_meta_test_snapshot(Relation index, Snapshot snapshot);
extern const char *vk_meta_damage(const VkMeta *meta);
extern void vk_meta_check(Relation index, const VkMeta *meta);
extern const char *vk_metric_name(int metric);	/* "unknown" where there is none */

/* the directory page of a slot, locked in mode; *slot points into the page.
 * meta may be NULL: it is read then. */
extern Buffer vk_slot_lock(Relation index, const VkMeta *meta, uint32 number,
						   int mode, VkSlot **slot);
extern void vk_slot_read(Relation index, const VkMeta *meta, uint32 number,
						 VkSlot *slot);
extern void vk_slot_init(VkSlot *slot, uint64 born);	/* no page yet */
/* make it unused: all but the page of its summaries is forgotten */
extern void vk_slot_clear(VkSlot *slot);
/* copy the slots of the directory page on which `first` is the first; how many */
extern int	vk_directory_page(Relation index, const VkMeta *meta, uint32 first,
							  VkSlot *slots);
static inline VkSlot *
vk_slot_on_page(Page page, uint32 number)
{
	return (VkSlot *) vk_page_line(page, 1 + number % VK_PAGE_LINES);
}

/* the first from that number on that no list uses, 0: there is none */
extern uint32 vk_slot_unused(Relation index, const VkMeta *meta, uint32 from);
/* give an unused slot to a list without pages; its summaries hold no rows */
extern void vk_slot_reuse(Relation index, const VkIndex *vk, const VkMeta *meta,
						  uint32 number, uint64 born, uint16 flags);
/* add a slot to the directory for such a list, which is not seen yet; its number */
extern uint32 vk_slot_add(Relation index, const VkIndex *vk, uint64 born,
						  uint16 flags);
/* make a new segment as open segment number `tail`, in place of one that is full
 * (0 = none yet); does nothing where another inserter has done it; read meta
 * again afterwards */
extern void vk_segment_open(Relation index, const VkIndex *vk, int tail,
							uint32 full);

/*
 * Directory pages never move, so who reads many slots may remember where they
 * are: a few block numbers, by directory page, direct-mapped.
 */
#define VK_DIRECTORY_CACHE	256

typedef struct VkDirectory
{
	struct
	{
		uint32		page;		/* number of the directory page, plus 1 */
		BlockNumber block;
	}			known[VK_DIRECTORY_CACHE];
} VkDirectory;

/* vk_slot_read through such a memory, zeroed at first */
extern void vk_directory_slot(Relation index, const VkMeta *meta,
							  VkDirectory *directory, uint32 number,
							  VkSlot *slot);

static inline bool
vk_slot_visible(const VkSlot *slot, uint64 epoch)
{
	return slot->born != 0 && slot->born <= epoch &&
		(slot->retired == 0 || slot->retired > epoch);
}

/* flags of a list of rows with a centre */
static inline uint16
vk_list_flags(const VkCoder *coder)
{
	return !coder->flat && vk_metric_centered(coder->metric) &&
		coder->format < VK_INT_FORMATS ?
		VK_SLOT_CENTER_DOTS : 0;
}

/* are its entries centres, not rows? */
static inline bool
vk_slot_has_centers(uint32 number, const VkSlot *slot)
{
	return number == VK_SLOT_CENTERS || (slot->flags & VK_SLOT_GROUP) != 0;
}

/*
 * Heads on a block page: first line, then vk_next_head until 0.  Raises
 * corruption where the page's head lines do not fit its layout.
 */
extern int	vk_first_head(Relation index, const VkIndex *layout, Buffer buffer);
static inline int
vk_next_head(const VkIndex *layout, Page page, int line)
{
	int			next = line + layout->block_lines;

	return next <= vk_page_head(page)->last_head ? next : 0;
}

static inline VkBlockTop *
vk_block_top(Page page, int line)
{
	return (VkBlockTop *) vk_page_line(page, line);
}

/* a heap TID as one number, in TID order */
static inline uint64
vk_tid_encode(const ItemPointerData *tid)
{
	return (uint64) ItemPointerGetBlockNumberNoCheck(tid) << 16 |
		ItemPointerGetOffsetNumberNoCheck(tid);
}

static inline void
vk_tid_decode(uint64 number, ItemPointer tid)
{
	ItemPointerSet(tid, (BlockNumber) (number >> 16), (OffsetNumber) (number & 0xFFFF));
}

/* the hash of such a number, for tables of rows */
static inline uint32
vk_tid_hash(uint64 number)
{
	return murmurhash32((uint32) number ^ (uint32) (number >> 32) * 0x9E3779B9U);
}

/* ---- list.c: append to a list (README, Concurrency) ---- */

typedef struct VkRow
{
	ItemPointerData tid;
	VkRowCode	code;
	VkAttributes attributes;
} VkRow;

typedef enum VkAppended
{
	VK_APPENDED,
	VK_APPEND_BUSY,				/* somebody else is appending */
	VK_APPEND_REFUSED			/* it is CLOSED, retired, recycled or full */
} VkAppended;

/*
 * Append one row to the list in slot number, of which slot is a copy, maybe an
 * old one; its tail hint is renewed.  Never more than max_rows rows, rounded to
 * blocks; never busy where the caller waits.  What is refused goes elsewhere.
 */
extern VkAppended vk_list_try_append(Relation index, const VkIndex *vk,
									 uint32 number, VkSlot *slot,
									 const VkRow *row, int64 max_rows, bool wait);
/* the same with waiting, and without an end; false: refused */
extern bool vk_list_append(Relation index, const VkIndex *vk, uint32 number,
						   const VkRow *row);
extern void vk_rest_append(Relation index, uint32 number, ItemPointer tid);

/*
 * Refine code of one row: size bytes that begin `bytes` bytes after the start
 * of the payload of refine page `page`, whose position in the chain of (slot,
 * born) is `position`.  Built chains are contiguous, so page + n is tried
 * first, then next is followed.
 */
extern void vk_refine_read(Relation index, uint32 slot, uint64 born,
						   BlockNumber page, uint32 position, uint32 bytes,
						   int size, uint8 *out);

/* ---- entry points (handler.c and their files) ---- */

extern IndexBuildResult *vkflat_build(Relation heap, Relation index,
									  IndexInfo *info);
extern IndexBuildResult *vkivf_build(Relation heap, Relation index,
									 IndexInfo *info);
extern void vkflat_buildempty(Relation index);
extern void vkivf_buildempty(Relation index);
extern bool vk_insert(Relation index, Datum *values, bool *isnull,
					  ItemPointer tid, Relation heap,
					  IndexUniqueCheck check, bool unchanged, IndexInfo *info);
extern IndexBulkDeleteResult *vk_bulkdelete(IndexVacuumInfo *info,
											IndexBulkDeleteResult *stats,
											IndexBulkDeleteCallback callback,
											void *state);
extern IndexBulkDeleteResult *vk_vacuumcleanup(IndexVacuumInfo *info,
											   IndexBulkDeleteResult *stats);
extern void vk_costestimate(PlannerInfo *root, IndexPath *path,
							double loop_count, Cost *startup, Cost *total,
							Selectivity *selectivity, double *correlation,
							double *pages);
/*
 * What each of so many processes saves of a path's costs, or one where a mask tells
 * of some conditions (RestrictInfo) which rows meet them; false: it is refused
 */
extern bool vk_cost_saved(PlannerInfo *root, IndexPath *path, double processes,
						  List *masked, Cost *startup, Cost *total);
/* the meta page of an index, without an error for what is on it: false */
extern bool vk_meta_peek(Relation index, VkMeta *meta);
extern bool vkflat_validate(Oid opclass);
extern bool vkivf_validate(Oid opclass);
extern IndexScanDesc vk_beginscan(Relation index, int nkeys, int norderbys);
extern void vk_rescan(IndexScanDesc scan, ScanKey keys, int nkeys,
					  ScanKey orderbys, int norderbys);
extern bool vk_gettuple(IndexScanDesc scan, ScanDirection direction);
extern int64 vk_getbitmap(IndexScanDesc scan, TIDBitmap *bitmap);
extern void vk_endscan(IndexScanDesc scan);
extern Size vk_estimateparallelscan(VK_ESTIMATE_PARALLEL_PARAMETERS);
extern void vk_initparallelscan(void *target);
extern void vk_parallelrescan(IndexScanDesc scan);
/* how parallel safe an index's expressions and predicate are: PROPARALLEL_SAFE and so on */
extern char vk_parallel_hazard(List *expressions, List *predicate);
extern char *vk_buildphasename(int64 phase);

/* build phases (progress) */
#define VK_PHASE_SAMPLE		2
#define VK_PHASE_KMEANS		3
#define VK_PHASE_ASSIGN		4
#define VK_PHASE_WRITE		5
#define VK_PHASE_CALIBRATE	6
#define VK_PHASE_LOG		7

/* ---- planner.c: what an executor hook tells a scan of the plan ---- */

extern void vk_planner_init(void);

typedef struct VkScanHint VkScanHint;

/* k where the plan tells no LIMIT */
#define VK_DEFAULT_WANTED	10

extern const VkScanHint *vk_scan_hint(IndexScanDesc scan);
extern void *vk_scan_hint_rows(int64 rows);
extern int64 vk_hint_limit(const VkScanHint *hint);
extern bool vk_hint_ordered(const VkScanHint *hint);
extern bool vk_hint_strict(const VkScanHint *hint, bool dropped);
extern bool vk_hint_conditions(const VkScanHint *hint);
extern IndexScanState *vk_hint_filter(const VkScanHint *hint);
extern bool vk_hint_leaks(const VkScanHint *hint);

/* a row, by the version that the snapshot sees, and its exact distance */
typedef struct VkNeighbor
{
	double		distance;
	uint64		tid;
} VkNeighbor;

/* what a scan would find, found before it begins, with the TIDs of the index */
typedef struct VkAnswer
{
	const VkNeighbor *rows;
	int64		count;
} VkAnswer;

/* who has searched for the queries of a scan; false: the answer is not known */
typedef struct VkAnswerSource
{
	/* the nearest rows of a query, as many as are wanted, in order */
	bool		(*nearest) (struct VkAnswerSource *source, Datum query,
							int64 wanted, VkAnswer *answer);
	/* all within a radius, and perhaps others, in no order */
	bool		(*within) (struct VkAnswerSource *source, Datum query,
						   double radius, VkAnswer *answer);
} VkAnswerSource;

/* sees each node of a plan that has been initialised; set once a process */
extern void (*vk_plan_visitor) (PlanState *node);

/* of an index scan or a bitmap's; false where it is of another index */
extern bool vk_hint_set_source(PlanState *scan, Oid index,
							   VkAnswerSource *source);

/*
 * Rows that may meet conditions of the scan's node, or, where it is complete, all
 * of them; NULL: nothing is known
 */
extern void vk_hint_set_mask(PlanState *scan, const VkRowMask *mask, bool complete);
extern const VkRowMask *vk_hint_mask(const VkScanHint *hint);
extern bool vk_hint_nearest(const VkScanHint *hint, Datum query, int64 wanted,
							VkAnswer *answer);
extern bool vk_hint_within(const VkScanHint *hint, Datum query, double radius,
						   VkAnswer *answer);

/* ---- prefilter_path.c, prefilter.c: a scan with a bitmap of other indexes ---- */

/* the best bitmap of other indexes for a relation's own conditions; NULL: none */
extern BitmapHeapPath *vk_prefilter_bitmap(PlannerInfo *root, RelOptInfo *rel);
/* an ordered scan with it; NULL: it tells of no condition that our index does not */
extern Path *vk_prefilter_path(PlannerInfo *root, RelOptInfo *rel,
							   BitmapHeapPath *bitmap, IndexPath *ordered);
/* the scan below such a node; NULL: it is another node */
extern PlanState *vk_prefilter_scan(PlanState *node);
extern void vk_prefilter_init(void);

/* ---- paths.c: the planner hook that adds what core does not build ---- */

extern void vk_paths_init(void);

/* ---- search.c: lists -> candidates (no heap access) ---- */

#define VK_PATH_SIZE	24

typedef struct VkScanStats
{
	int64		lists;			/* lists visited */
	int64		skipped;		/* lists whose summary excludes a match */
	int64		rows;			/* live lanes seen */
	int64		matched;		/* of them by the conditions in the index */
	int64		checked;		/* heap rows checked by other conditions */
	int64		refined;		/* refine codes read */
	int64		fetched;		/* exact vectors fetched from the heap */
	int64		pages;			/* index pages read */
	int64		rounds;
	int64		emitted;
	double		rank_us;		/* ranking centroids */
	double		scan_us;		/* scanning and refining lists */
	double		fetch_us;		/* fetching and ordering exact rows */
	bool		exhaustive;
	int64		wanted;			/* k of the first round */
	double		budget;			/* rows, of the last round */
	double		work_for;		/* neighbors that the budget is for */
	double		seen;			/* rows that it has seen */
	double		reach;			/* share of the answer likely found; 0: not known */
	char		path[VK_PATH_SIZE];		/* how rows were scored */
	int			workers;		/* of a batch function; what they did is counted */
	bool		valid;
	Oid			index;
} VkScanStats;

extern VkScanStats vk_last_stats;	/* of the session's last finished scan */

/* scan.c: rows in an index, about */
extern double vk_estimate_rows(Relation index, const VkIndex *vk,
							   const VkMeta *meta);
/* where more rows are asked for, a scan fetches and sorts them all */
extern int64 vk_scan_round_limit(void);

typedef struct VkSearch VkSearch;

/* state for queries against one index, in the current memory context */
extern VkSearch *vk_search_create(Relation index, const VkIndex *vk);
/*
 * Begin a query.  Returns false where every distance is NaN (cosine, zero
 * norm).  meta, vector and stats are kept by reference.
 */
extern bool vk_search_reset(VkSearch *search, const VkMeta *meta,
							const float *vector, VkScanStats *stats);
/*
 * For inserts: slot of the nth nearest list (0 = nearest) of a row; center is
 * its centre (code valid until the next call).  vector is normalised already
 * for cosine.  Returns 0 where there are no more lists.  nth must count up
 * from 0 for one vector.
 */
extern uint32 vk_search_nearest(VkSearch *search, const VkMeta *meta,
								const float *vector, int nth,
								VkCenter *center);

/* rank.c: entries that ranking looks at for a query that wants few lists */
extern double vk_rank_seen(const VkMeta *meta);

/* ---- estimate.c ---- */

/* share of the index's rows within a radius of a vector, about */
extern double vk_estimate_within(Relation index, const float *vector,
								 double radius);

/* ---- inspect.c ---- */

/* open an index for a function of ours: refuses what is not ours, is gone, or was never built */
extern Relation vk_index_open(Oid index, LOCKMODE mode);
pg_noreturn extern void vk_index_gone(Oid index);
/* an error where a concurrent build failed, or is still running */
extern void vk_index_require_valid(Relation index);
/* May the user read a column of a table; 0: all of them, or if any is enough, any? */
extern bool vk_may_select(Oid table, AttrNumber column, bool any);
/*
 * May the user read what the first columns of an index, that many, and its choice of
 * rows depend on?
 */
extern bool vk_index_may_read(Relation index, int columns);
/* an error where not */
extern void vk_index_require_read(Relation index, int columns);

/* what a process ran as before it took a table owner's rights; zero: it has not */
typedef struct VkCaller
{
	Oid			user;
	int			security;
	int			settings;		/* nest level of those that have changed since */
} VkCaller;

/*
 * Whoever owns a table may have functions of its indexes do anything: run them as the
 * owner, in a security-restricted operation, up to vk_become_caller or an error.
 */
extern void vk_become_owner(Relation relation, VkCaller *caller);
extern void vk_become_caller(const VkCaller *caller);

#endif							/* VK_AM_H */
