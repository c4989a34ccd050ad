/*-------------------------------------------------------------------------
 *
 * row_batch.h
 *	  Rows of the table on their way to lists: assigned, encoded, sorted.
 *
 * IDENTIFICATION
 *	  src/am/row_batch.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_ROW_BATCH_H
#define VK_ROW_BATCH_H

#include "am/list_writer.h"

#include "executor/tuptable.h"
#include "utils/tuplesort.h"

#define VK_ALIGNMENT		64		/* of what kernels work on */

/* aligned memory of the current context; it cannot be freed by itself */
extern void *vk_aligned_alloc(Size size);
/* VkPause: whoever wants this process to end or to go slow is heard */
extern void vk_pause(void);

/* ---- vectors as int8 rows ---- */

/* bytes of an int8 row, zero padded */
static inline size_t
vk_row_stride(int dim)
{
	return TYPEALIGN(4, dim);
}

/* rotate about the mean and quantise; norm2 is what vk_row_rotate says */
extern void vk_row_quantize(const VkIndex *vk, const float *vector,
							float *rotated, double *norm2, int8 *code,
							float *scale, void *scratch);

/* ---- packed rows ---- */

/*
 * A row that is encoded: fixed part, then 4 * coder.lines bytes of lane,
 * coder.refine_size bytes of refine code and, where the index has attribute
 * columns, VkAttributes as far as it is used.
 */
typedef struct VkPackedHead
{
	float4		norm2;
	float4		norm;
	float4		a;
	float4		error;
	float4		center;
} VkPackedHead;

/* without attributes */
static inline Size
vk_packed_size(const VkCoder *coder)
{
	return sizeof(VkPackedHead) + 4 * (Size) coder->lines + coder->refine_size;
}

extern Size vk_packed_row_size(const VkIndex *vk);

/* point a row code's lane and refine code into a packed row */
static inline void
vk_packed_point(const VkCoder *coder, char *packed, VkRowCode *code)
{
	code->lane = (uint8 *) packed + sizeof(VkPackedHead);
	code->refine = coder->refine_size == 0 ? NULL :
		code->lane + 4 * (Size) coder->lines;
}

/* the row that was packed; its codes stay where they are */
extern void vk_packed_row(const VkIndex *vk, ItemPointer tid, char *packed,
						  VkRow *row);

/* rows that a segment made as a whole has at most */
extern int	vk_segment_rows(const VkIndex *vk);

/* ---- batches ---- */

/* rows that are assigned together */
typedef struct VkRowBatch
{
	const VkIndex *vk;
	void	   *scratch;		/* vk_scratch_size */
	size_t		stride;

	int			lists;			/* 0: rows are coded about the mean */
	VkCenter   *centers;
	VkAssigner	assigner;
	int64		blanks;			/* blank rows so far */

	int			count;
	ItemPointerData tids[VK_ASSIGN_ROWS];
	int			places[VK_ASSIGN_ROWS]; /* among the rows of the table's page */
	VkAttributes attributes[VK_ASSIGN_ROWS];
	bool		wild[VK_ASSIGN_ROWS];
	bool		blank[VK_ASSIGN_ROWS];	/* without a vector */
	double		norm2[VK_ASSIGN_ROWS];
	float		scales[VK_ASSIGN_ROWS];
	int32		list[VK_ASSIGN_ROWS];
	float	   *rotated;		/* dim floats a row */
	int8	   *codes;			/* stride bytes a row */
} VkRowBatch;

/* bytes of a batch: its rows and, with lists, their centres */
extern Size vk_batch_size(int dim, int lists);
/* center_codes are kept by reference; in the current memory context */
extern void vk_batch_init(VkRowBatch *batch, const VkIndex *vk, void *scratch,
						  int lists, const int8 *center_codes,
						  const float *center_scales);
/*
 * Add a row; the caller fills in its attributes and, where it knows one, its
 * place, and flushes what is full.  vector NULL: a row without a vector, which is
 * coded as the centre of some list, and as one that bounds say nothing of.
 */
extern int	vk_batch_add(VkRowBatch *batch, ItemPointer tid,
						 const float *vector, bool wild);
/* find the nearest centre of each row; without centres list 0 */
extern void vk_batch_assign(VkRowBatch *batch);
/* encode a row that was assigned */
extern void vk_batch_pack(VkRowBatch *batch, int i, char *packed);

/* ---- sorting by list, within a list in the order of the table ---- */

typedef struct VkRowSort
{
	const VkIndex *vk;
	Tuplesortstate *state;		/* NULL: not begun */
	TupleTableSlot *in;
	TupleTableSlot *out;
	bytea	   *packed;			/* one packed row */
	bytea	   *rest;			/* what stands for a rest row */
} VkRowSort;

extern void vk_sort_init(VkRowSort *sort, const VkIndex *vk);
/* coordinate: of a sort that several processes take part in, or NULL */
extern void vk_sort_begin(VkRowSort *sort, Size memory,
						  SortCoordinate coordinate);
/* row i of a batch that was assigned, encoded here */
extern void vk_sort_add(VkRowSort *sort, VkRowBatch *batch, int i);
/* a row without a distance, behind the rows of lists below `list` */
extern void vk_sort_add_rest(VkRowSort *sort, int list, ItemPointer tid,
							 int place, uint32 slot);
extern void vk_sort_perform(VkRowSort *sort);
/*
 * The next row, false at the end.  *packed is NULL where it is one without a
 * distance, which belongs to *rest_slot.  Valid until the next call.
 */
extern bool vk_sort_next(VkRowSort *sort, ItemPointer tid, char **packed,
						 uint32 *rest_slot);
/* write the next `rows` rows to the list that the writer has begun */
extern void vk_sort_write(VkRowSort *sort, VkListWriter *writer, int64 rows);
/* end what was begun; another may begin */
extern void vk_sort_end(VkRowSort *sort);
extern void vk_sort_drop(VkRowSort *sort);

#endif							/* VK_ROW_BATCH_H */
