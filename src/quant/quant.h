/*-------------------------------------------------------------------------
 *
 * quant.h
 *	  Rotation, codes and their bounds, k-means, recall curve, top-k.
 *
 * NOTES
 *	  Nothing here includes PostgreSQL.  Callers own all memory; functions that
 *	  need scratch take it through a struct or a sized buffer.  Formulas are in
 *	  README.md of this folder.
 *
 *	  Words: q is a query, x a row, m the centre that both are coded against:
 *	  the mean of the index (vkflat, and vkivf's centre list), or a list's
 *	  centre, which *is* its decoded 8-bit code in the rotated space.  "score"
 *	  is what bounds enclose: the squared L2 distance (L2; and cosine, of the
 *	  normalised vectors, so twice the cosine distance), the negative inner
 *	  product, or the L1, Hamming or Jaccard distance.
 *
 * IDENTIFICATION
 *	  src/quant/quant.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_QUANT_H
#define VK_QUANT_H

#include "kernels/kernels.h"

#define VK_UNIT		0x1p-24		/* half a unit in the last place of a float */
/* norms squared beyond these are not bounded (but 0 is) */
#define VK_NORM2_MIN	0x1p-100
#define VK_NORM2_MAX	0x1p120

static inline bool
vk_norm2_in_range(double norm2)
{
	return norm2 == 0 || (norm2 >= VK_NORM2_MIN && norm2 <= VK_NORM2_MAX);
}

typedef enum VkMetric
{
	VK_METRIC_L2,
	VK_METRIC_IP,
	VK_METRIC_COSINE,
	VK_METRIC_L1,
	VK_METRIC_HAMMING,			/* these two of bit vectors */
	VK_METRIC_JACCARD
} VkMetric;

#define VK_METRICS		6

/* are vectors bits?  They are given as floats all the same, of 0 and 1. */
static inline bool
vk_metric_of_bits(VkMetric metric)
{
	return metric >= VK_METRIC_HAMMING;
}

/*
 * The metric that centres are ranked by: centres of bits are none.  Hamming
 * distance is the square of the Euclidean one.
 */
static inline VkMetric
vk_metric_of_centers(VkMetric metric)
{
	return metric == VK_METRIC_HAMMING ? VK_METRIC_L2 : metric;
}

/* does a code of a query or row depend on the centre?  (L1: one grid for all;
 * bits are themselves) */
static inline bool
vk_metric_centered(VkMetric metric)
{
	return metric == VK_METRIC_L2 || metric == VK_METRIC_COSINE;
}

/* ---------------------------------------------------------------------
 * rotation.c: seeded orthogonal transform (README, Rotation).  Four rounds of signs
 * and a fast Hadamard transform over the first p (odd rounds) or last p (even)
 * elements, p = 2^floor(log2 dim).  Same bits on every ISA.  identity: copies.
 */
typedef struct VkRotation
{
	int			dim;
	int			power;			/* p */
	bool		identity;
	uint32_t   *signs;			/* 4 x dim sign masks, 0 or 0x80000000 */
} VkRotation;

extern size_t vk_rotation_size(int dim);	/* bytes of signs */
extern void vk_rotation_init(VkRotation *rotation, int dim, uint64_t seed,
							 bool identity, void *memory);
/* out may not overlap x */
extern void vk_rotate(const VkRotation *rotation, const float *x, float *out);
/* the inverse, in floats: for reports, no bound is kept */
extern void vk_rotate_back(const VkRotation *rotation, const float *y, float *out);
/* rho: relative error of a rotated vector's norm; 0 if identity
 * plus what a float subtraction of the mean costs */
extern double vk_rotation_error(const VkRotation *rotation);

/* ---------------------------------------------------------------------
 * coder: what all rows of one index share
 */
typedef struct VkCoder
{
	int			dim;
	VkMetric	metric;
	VkFormat	format;			/* of scan codes */
	int			refine_bits;	/* 0, 4 or 8 */
	bool		flat;			/* vkflat annotation, else vkivf's */
	VkRotation	rotation;
	const float *mean;			/* dim floats, original space */
	float		step;			/* L1: of the grid; the caller sets it */
	double		operator_error; /* gamma; the caller may set another */
	/* derived by vk_coder_init */
	int			lines;			/* code lines a block */
	int			refine_size;	/* bytes a refine code, 0 for none */
	float		code_unit;		/* scale of the stored a (kernels.h) */
	double		rho;			/* rotation error */
	double		mean_norm;		/* |mean| */
} VkCoder;

/*
 * identity rotation for F32 codes, L1, bits (and dim 1).  L1: 8 bits, no refine
 * codes of rows; bits: one bit, none either.  memory: vk_rotation_size(dim).
 * mean is kept by reference.
 */
extern void vk_coder_init(VkCoder *coder, int dim, VkMetric metric,
						  VkFormat format, int refine_bits, bool flat,
						  uint64_t seed, const float *mean, void *memory);
extern int	vk_refine_size(int refine_bits, int dim);	/* a multiple of 4 bytes */

/* a centre: a decoded 8-bit code in the rotated space about the mean */
typedef struct VkCenter
{
	float		a;				/* centre = fl(a * code) */
	double		norm;			/* |centre| */
	const int8_t *code;			/* dim signed codes; NULL: the mean itself */
} VkCenter;

/*
 * Cosine: x / |x| in float (double arithmetic, rounded once an element).
 * Returns false, out untouched, where all of x is 0 (every distance is NaN: a
 * rest row).  *wild is set where the norm squared lies outside [2^-100, 2^120]:
 * no bound is valid then.  (Where the operator's own float norm is 0 but x is
 * not, distances are 0, 2 or NaN, as the sign of the product says.)
 */
extern bool vk_normalize(const float *x, int dim, float *out, bool *wild);

/* ---------------------------------------------------------------------
 * codes.c: rows
 */
typedef struct VkRowCode
{
	/* absolute; vk_annotation_put makes them relative to what a kernel decodes */
	float		norm2;			/* N = |x~|^2; L1: 0; bits: how many are set
								 * (vkivf with lists: 0) */
	float		norm;			/* |x~| (vkivf: |r|); L1: step * dim */
	float		a;				/* x' = a c; L1: |y - x'|_2; bits: 0 */
	float		error;			/* |y - x'| (L1: |y - x'|_1) rounded up;
								 * infinity: no bound */
	float		center;			/* <centre, x'> / |centre|; 0 where the centre is the
								 * mean */
	/* 4 bytes a line, vk_format_lines(format, dim) lines */
	uint8_t    *lane;
	/* refine_size bytes, NULL where the index has none */
	uint8_t    *refine;
} VkRowCode;

/* scratch for encoding and querying, one a backend or worker: dim floats etc. */
extern size_t vk_scratch_size(int dim);

/*
 * Rotate a row about the mean: y = fl(R (x - mean)); x is normalised already
 * for cosine.  *norm2 = |x - mean|^2 in double, of the unrotated difference.
 */
extern void vk_row_rotate(const VkCoder *coder, const float *x, float *y,
						  double *norm2, void *scratch);

/*
 * Encode a rotated row (vk_row_rotate) against a centre.  norm2 is that of
 * vk_row_rotate.  wild: store "no bound" (always a candidate); also set for
 * rows whose norms leave the range in which bounds hold (README, What the fields hold).
 */
extern void vk_row_encode(const VkCoder *coder, const float *y, double norm2,
						  const VkCenter *center, bool wild, VkRowCode *out,
						  void *scratch);

/*
 * 8-bit code of a rotated vector as a centre: signed codes in [-127,127] and a,
 * fl(a * code) being the centre from now on.
 */
extern void vk_center_encode(const float *y, int dim, int8_t *code, float *a);
/* norm of a decoded centre */
extern double vk_center_norm(const int8_t *code, float a, int dim);

/*
 * Refine code head: N f32, a f32, E half and <centre, x'> half
 * (relative).
 * For the centre list the refine code is 8 bits and decodes to the centre:
 * vk_refine_center reads it (code: dim int8) and returns the centre's norm, not
 * below the true one.
 */
extern double vk_refine_center(const uint8_t *refine, int dim, int8_t *code,
							   float *a);
extern void vk_refine_from_center(const int8_t *code, float a, int dim,
								  uint8_t *refine);

/* store a row's annotation and lane into a block; lines point at the block's
 * annotation line(s) as they lie on the page */
extern void vk_annotation_put(const VkCoder *coder, void *annotation,
							  float block_scale, int lane,
							  const VkRowCode *row);
/* sum of |y| of the rows in those lanes, y being what was coded; 0 for L1 */
extern double vk_annotation_residuals(const VkCoder *coder, const void *annotation,
									  float block_scale, uint32_t lanes);
/* the other way, for reports: all numbers as a reader decodes them */
extern void vk_annotation_get(const VkCoder *coder, const void *annotation,
							  float block_scale, int lane, VkRowCode *out);
#define VK_REFINE_HEAD	12		/* bytes */
/* the same of the head of a refine code */
extern void vk_refine_head(const uint8_t *refine, VkRowCode *out);
/* block_scale for a block opened by this row: |r|, or 1 where that is 0 or
 * not a normal number */
extern float vk_block_scale(const VkRowCode *row);

/* ---------------------------------------------------------------------
 * bounds.c: queries
 */
typedef struct VkQuery
{
	const float *vector;		/* as the operator sees it (cosine: normalised) */
	float	   *rotated;		/* p: R (q - mean); IP: R q */
	double		norm2;			/* |q - mean|^2 (IP: |q|^2), double */
	double		dot_mean;		/* <q, mean>, IP only */
	bool		wild;			/* no bound holds for this query: fetch all */
} VkQuery;

extern void vk_query_init(const VkCoder *coder, const float *vector,
						  float *rotated, VkQuery *out, void *scratch);

/* a query quantised against one centre */
typedef struct VkQueryCode
{
	VkBoundQuery bound;			/* for scan codes */
	VkQuantized quantized;
	double		norm2;			/* Q2 against this centre (IP: |q|^2) */
	double		center_norm;	/* M */
	double		base;			/* Q2, or for IP -<q, mean + centre> */
	bool		centered;		/* the centre is not the mean itself */
	float	   *values;			/* p - centre (IP: p): dim + 1 floats, padded */
	int8_t	   *code;			/* quantised values, padded to a multiple of 32;
								 * L1, bits: bytes as scan_l1, scan_hamming and
								 * scan_common take them */
	void	   *packed_scan;	/* VK_PACKED_QUERY_SIZE, 64-byte aligned; NULL
								 * skips packing for the scan */
	void	   *packed_row;		/* same size; NULL where there are no refine codes */
	const VkKernels *kernels;	/* that packed, and so must read */
} VkQueryCode;

/* bytes of memory for vk_query_code_init, and its set-up of the pointers */
extern size_t vk_query_code_size(const VkCoder *coder);
extern void vk_query_code_init(const VkCoder *coder, VkQueryCode *code,
							   void *memory);

/*
 * Quantise for a centre.  For IP, L1, vkflat and the centre list the query's own
 * code does not change between centres: requantise = false keeps values, code
 * and packed forms and only renews base and slack terms.
 */
extern void vk_query_code_set(const VkCoder *coder, const VkQuery *query,
							  const VkCenter *center, bool requantise,
							  VkQueryCode *code);

/* a query about the mean: quantized.scale * code, and nearly all that leaves */
typedef struct VkMeanCode
{
	VkQuantized quantized;
	const int8_t *code;
	int8_t	   *rest;			/* rest_scale * rest */
	float		rest_scale;
} VkMeanCode;

/*
 * Set all of it from what vk_query_code_set has made against the mean, whose code is
 * kept by reference.  rest: the caller's dim bytes; scratch: dim floats.
 */
extern void vk_mean_code_set(const VkCoder *coder, const VkQuery *query,
							 const VkQueryCode *made, VkMeanCode *mean, float *scratch);

/*
 * Make the bounds of code those of the query's code against the mean, but for rows of
 * a list with a centre; statistical, for L2 and cosine, integer formats.  <q - centre,
 * x'> is <q, x'> less <centre, x'>, which annotations and refine codes hold.  Returns
 * false, with nothing changed, where the mean is so far away that the code of the query
 * against it tells too little.  What is packed stays as it is.
 */
extern bool vk_query_code_move(const VkCoder *coder, const VkQuery *query,
							   const VkMeanCode *mean, const VkCenter *center,
							   VkQueryCode *code);

/* pack another int8 code of the query, in the forms that there is room for */
extern void vk_query_code_pack(const VkCoder *coder, const int8_t *values,
							   VkQueryCode *code);

/* the dot of a query's code with that of a refine code, exact */
extern int64_t vk_refine_dot(const VkCoder *coder, const VkQueryCode *code,
							 const uint8_t *refine);

/* bounds of one row from its refine code; proven or statistical (epsilon) */
extern void vk_refine_bounds(const VkCoder *coder, const VkQueryCode *code,
							 const uint8_t *refine, bool proven,
							 double *lower, double *upper);

#define VK_EPSILON	2.5f		/* standard deviations, statistical reading */
#define VK_NO_SPREAD	0.0f	/* bounds are the estimate itself */

/*
 * Gamma, the relative rounding of an operator's own sum over dim terms: in the
 * canonical order of our types, and in any order.
 */
static inline double
vk_canonical_error(int dim)
{
	return ((dim + 31) / 32 + 8) * VK_UNIT;
}

static inline double
vk_any_order_error(int dim)
{
	return (dim + 8) * VK_UNIT;
}

/* ---------------------------------------------------------------------
 * grid.c: codes of L1
 */

/* step of the grid for rows about their mean; a guess where there are none */
extern float vk_grid_step(const float *rows, int64_t count, int dim,
						  const float *mean);
extern bool vk_grid_step_valid(float step);
/* vk_row_encode and vk_query_code_set of L1 */
extern void vk_grid_row(const VkCoder *coder, const float *y, bool bounded,
						VkRowCode *out);
extern void vk_grid_query(const VkCoder *coder, const VkQuery *query,
						  VkQueryCode *code);

/* ---------------------------------------------------------------------
 * bits.c: bit vectors, whose codes are themselves
 */

/* vk_row_encode and vk_query_code_set of bits */
extern void vk_bits_row(const VkCoder *coder, const float *y, bool known,
						VkRowCode *out);
/* lanes of a block whose rows were not known when they were written */
extern uint32_t vk_bits_unknown(const VkCoder *coder, const void *annotation);
extern void vk_bits_query(const VkCoder *coder, const VkQuery *query,
						  VkQueryCode *code);

/*
 * How a metric makes scores of the dots of one block, but for unknown lanes.  Only
 * Jaccard distance looks at the annotation, which then is vkflat's.
 */
typedef struct VkBitScore
{
	/* the lanes whose score may not be above the threshold, and maybe others */
	uint32_t	(*screen) (const VkQueryCode *code,
						   const VkFlatAnnotation *annotation,
						   const VkDots *dots, float threshold);
	/* that of one lane, as the operator has it */
	double		(*score) (const VkQueryCode *code,
						  const VkFlatAnnotation *annotation,
						  const VkDots *dots, int lane);
} VkBitScore;

/* NULL: vectors of the metric are no bits */
extern const VkBitScore *vk_bit_score(VkMetric metric);

/* ---------------------------------------------------------------------
 * kmeans.c (README, K-means).  Several processes may take part, of which
 * one leads.
 */

/* called from time to time by what may take long, and may longjmp; NULL: it is not */
typedef void (*VkPause) (void);

/* a part of the work, for the processes that take part: plain data */
typedef struct VkKmeansJob
{
	int			kind;
	int			set;
	uint32_t	number;			/* no two jobs of one run have the same */
	int64_t		pieces;
} VkKmeansJob;

typedef struct VkKmeans
{
	int			dim;
	VkMetric	metric;			/* cosine: centroids normalised at the end */
	int			lists;			/* wanted, >= 1; fewer come back if rows < lists */
	int64_t		rows;
	const int8_t *codes;		/* rows x stride, quantised rotated rows */
	size_t		stride;			/* bytes a row: multiple of 4, zero padded */
	const float *scales;		/* row = scale * code */
	const float *rotated_mean;	/* dim floats: R mean (cosine only) */
	uint64_t	seed;
	int8_t	   *center_codes;	/* output: lists x stride, shared like the rows */
	float	   *center_scales;	/* output: lists */
	void	   *shared;			/* vk_kmeans_memory bytes of the same memory for all */
	void	   *scratch;		/* vk_kmeans_scratch bytes of each process's own */
	/* called all the time with what was done since, of a total; may be NULL */
	void		(*progress) (void *arg, int64_t more, int64_t total);
	VkPause		pause;
	/* the leader's: have each piece of the job done once, by whatever process;
	 * NULL: there is no other */
	void		(*run) (void *arg, const VkKmeansJob *job);
	void	   *arg;
} VkKmeans;

typedef struct VkKmeansWork VkKmeansWork;

extern size_t vk_kmeans_memory(int dim, int lists, int64_t rows);
extern size_t vk_kmeans_scratch(int dim, int lists);
/* every process first joins; its work lies in its scratch memory */
extern VkKmeansWork *vk_kmeans_join(const VkKmeans *kmeans);
/* the leader: returns the number of centroids made (<= lists) */
extern int	vk_kmeans(VkKmeansWork *work);
/*
 * The leader, once all have joined again with other rows, the lists that were made,
 * no more than these rows, their centroids and the same shared memory: each centroid
 * becomes the mean of all rows that it has been given.
 */
extern void vk_kmeans_more(VkKmeansWork *work);
extern void vk_kmeans_piece(VkKmeansWork *work, const VkKmeansJob *job,
							int64_t piece);

/* centroids in blocks of 16 */
typedef struct VkCenterBlocks
{
	int			count;
	uint8_t    *lines;			/* 8-bit lines, block after block */
	float	   *scales;			/* 16 x count */
	float	   *norms2;			/* |c|^2; +inf for padding lanes */
	VkLineRun  *runs;			/* one a block */
} VkCenterBlocks;

/* centroids packed for assignment of many rows */
typedef struct VkAssigner
{
	int			dim;
	int			lists;
	VkCenterBlocks all;

	/* where there are many, they lie group after group */
	int			groups;			/* 0: in their own order */
	int32_t    *numbers;		/* 16 x blocks: which centroid it is */
	int32_t    *starts;			/* first block of each group, and the end */
	VkCenterBlocks coarse;		/* the groups' centres */

	/* of the rows of a call */
	int32_t    *dots;			/* VK_ASSIGN_ROWS x 16 x a chunk of blocks */
	void	   *packed;			/* for tiles */
	float	   *group_scores;	/* VK_ASSIGN_ROWS x groups */
	int32_t    *near;			/* groups that a row is compared with, row by row */
	uint8_t    *pairs;			/* rows, by group */
	int32_t    *pair_starts;	/* of each group in pairs, and the end */
	int8_t	   *gathered;		/* the rows of a group */
} VkAssigner;

#define VK_ASSIGN_ROWS	128		/* rows a call of vk_assign at most */
#define VK_ASSIGN_GROUPED 1024	/* so many centroids need no groups */

extern size_t vk_assigner_size(int dim, int lists);
extern void vk_assigner_init(VkAssigner *assigner, int dim, int lists,
							 const int8_t *codes, size_t stride,
							 const float *scales, VkPause pause, void *memory);
/*
 * Nearest centroid of each of m <= VK_ASSIGN_ROWS int8 rows (Euclidean); ties go
 * to the lower number.  Same answer on every ISA.  Above VK_ASSIGN_GROUPED centroids
 * (where stride must be dim, rounded up to 4) one that is nearly as near may be found,
 * and ties are broken otherwise.
 */
extern void vk_assign(VkAssigner *assigner, const int8_t *codes, size_t stride,
					  const float *scales, int m, int32_t *list);
#define VK_ASSIGN_SEVERAL	16
/*
 * The nearest centroids of one row, as many as are wanted (at most
 * VK_ASSIGN_SEVERAL), nearest first; returns how many.  In groups as above.
 */
extern int	vk_assign_several(VkAssigner *assigner, const int8_t *code, float scale,
							  int wanted, int32_t *list);

/* ---------------------------------------------------------------------
 * groups.c: centroids in groups, where there are too many to look at all
 */

/* a centre list of so many lists needs no groups */
#define VK_GROUPED_LISTS	16384

typedef struct VkGrouping
{
	/* the centroids, and what vk_kmeans would like to know */
	int			dim;
	int			lists;
	size_t		stride;			/* bytes a centroid, and a group's centre */
	const int8_t *center_codes;
	const float *center_scales;
	uint64_t	seed;
	VkPause		pause;

	/* the groups: wanted, then made */
	int			groups;
	int8_t	   *codes;			/* their centres */
	float	   *scales;
	int32_t    *starts;			/* of each group in members, and the end */
	int32_t    *members;		/* centroids, group after group */
} VkGrouping;

/* groups that the centre list of so many lists has, about; 0: none */
extern int	vk_group_count(int lists);
extern size_t vk_grouping_size(int dim, int lists, int groups, size_t stride);
/* no group is empty; all that is made lies in memory */
extern void vk_group_centers(VkGrouping *grouping, void *memory);

/* ---------------------------------------------------------------------
 * curve.c: rows to scan for a recall (README, Curve)
 */
#define VK_CURVE_LEVELS		8	/* .5 .7 .8 .9 .95 .98 .99 .995 */
#define VK_CURVE_ANCHORS	7	/* k = 1 3 10 30 100 300 1000 */

typedef struct VkCurve
{
	float		rows[VK_CURVE_ANCHORS][VK_CURVE_LEVELS];	/* 0: unknown */
} VkCurve;

extern const float vk_curve_levels[VK_CURVE_LEVELS];
extern const int vk_curve_anchors[VK_CURVE_ANCHORS];

/*
 * Fill one anchor from the pooled work of its neighbours: work[i] = live rows
 * scanned before the list that holds a neighbour is begun, plus 1.  Monotone over
 * levels; vk_curve_finish makes it monotone over k.
 */
extern void vk_curve_set_anchor(VkCurve *curve, int anchor, const float *work,
								int64_t count);
extern void vk_curve_finish(VkCurve *curve);

/*
 * Budget of live rows for k neighbours at target recall (aimed at
 * t + 0.1 (1 - t)), log-log between anchors and levels, extrapolated past the
 * last anchor; never above total, and total where target >= 1 or the curve is
 * empty for lack of data.
 */
extern double vk_curve_budget(const VkCurve *curve, double k, double target,
							  double total);
/* the other way: the target whose budget is that many rows */
extern double vk_curve_recall(const VkCurve *curve, double k, double rows,
							  double total);

/*
 * How near the last list comes that a search visits for its budget: most queries like
 * the rows have no more than these deviations (reach.c) from its mean row to the k-th
 * neighbour.
 */
typedef struct VkFringe
{
	float		deviations[VK_CURVE_ANCHORS][VK_CURVE_LEVELS];	/* 0: unknown */
	double		residual;		/* mean |row - centre| that they were measured with */
} VkFringe;

/* for k neighbours at target recall, read as the curve is; infinite: not known */
extern double vk_fringe_deviations(const VkFringe *fringe, double k, double target);

/* ---------------------------------------------------------------------
 * candidates.c: the hybrid top-k: a growing batch, pruned now and then
 */
typedef struct VkCandidate
{
	float		lower;			/* score bounds */
	float		upper;
	uint64_t	tid;			/* heap TID as block << 16 | offset */
	union
	{
		uint64_t	location;	/* caller's: where its refine code lies */
		float		checked_upper;	/* caller's: upper, once it counts */
		double		score;		/* caller's: the exact one, once it is known */
	};
	uint32_t	slot;			/* caller's: its list, to check that page by */
	uint32_t	position;		/* caller's: position of that page in its chain */
} VkCandidate;

typedef struct VkCandidates
{
	VkCandidate *entries;		/* capacity entries, caller's */
	float	   *scratch;		/* capacity floats, caller's */
	int64_t		count;
	int64_t		capacity;
	int64_t		reserved;		/* caller's: there is room for as many */
	int64_t		wanted;			/* k: threshold = k-th smallest upper bound */
	int64_t		prune_at;		/* next prune at this count */
	int64_t		pruned_count;	/* count that the last prune left */
	int64_t		sharpen_at;		/* caller's: exact distances pay at this count */
	float		threshold;		/* +inf until k are known */
	float		dropped;		/* smallest lower bound ever dropped: watermark */
	float		left_out;		/* least threshold for which rows never came here; the
								 * caller's, infinite at first */
} VkCandidates;

extern void vk_candidates_init(VkCandidates *candidates, VkCandidate *entries,
							   float *scratch, int64_t capacity, int64_t wanted);
/*
 * Recompute the threshold from upper bounds and drop entries above it, and those
 * whose lower bound is NaN: the caller has given them up.  Called
 * when count reaches prune_at; sets the next prune_at (at most capacity).
 * Returns false where more than half of capacity is left: the caller must
 * tighten by exact distances.
 */
extern bool vk_candidates_prune(VkCandidates *candidates);

/* the value that k of n floats are before in their order (0 <= k < n); no NaN */
extern float vk_select_float(const float *v, int64_t n, int64_t k);

static inline VkCandidate *
vk_candidates_add(VkCandidates *candidates, float lower, float upper,
				  uint64_t tid)
{
	VkCandidate *entry = &candidates->entries[candidates->count++];

	entry->lower = lower;
	entry->upper = upper;
	entry->tid = tid;
	return entry;
}

#endif							/* VK_QUANT_H */
