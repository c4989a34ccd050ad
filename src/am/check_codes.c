/*-------------------------------------------------------------------------
 *
 * check_codes.c
 *	  vk_check of what the codes say: each stands for its row's vector.
 *
 * NOTES
 *	  Every row that the snapshot sees is a query for itself: the proven bounds of
 *	  its score, by its scan code and by its refine code, must hold what the
 *	  operator says of the vector and itself.  A code of another vector promises a
 *	  distance that is not there, and an exact search would pass the row by.  (Of
 *	  bits, whose codes are themselves, the scores must be equal.)
 *
 *	  Where codes know their dot with the list's centre, the centre is a query too,
 *	  and that is its dot.  A search goes by it, and finds too little where it is
 *	  another's.
 *
 *	  Left out are documents, whose entries do not tell which of the vectors they
 *	  are of, rows coded about a mean that is no more, and whatever has no bounds:
 *	  all of these are found by any search that must find them.
 *
 * IDENTIFICATION
 *	  src/am/check_codes.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/float.h"
#include "utils/memutils.h"

#include "am/block_reader.h"
#include "am/check.h"
#include "am/heap_reader.h"
#include "am/upkeep.h"

/* the mean as a centre */
static const VkCenter mean_center = {0};

/* of dots with the centre: they and scales have 11 bits */
#define DOT_ROUNDING	0x1p-9

typedef struct CodeCheck
{
	VkCheck    *check;
	const VkSupport *support;
	const VkCoder *coder;
	FmgrInfo	operator;
	VkHeapReader *heap;
	MemoryContext row_context;	/* reset after each row */
	VkBlockReader reader;
	VkScanStats stats;			/* that nobody reads */
	VkBlocks   *blocks;
	const VkCenter *center;		/* of the list at hand */
	float	   *floats;
	float	   *normalized;		/* cosine */
	void	   *scratch;
	uint8	   *refine;
	VkQuery		query;
	VkQueryCode code;
	bool		center_dots;	/* codes of the list at hand know theirs */
	VkQueryCode center_code;	/* its centre as a query */
} CodeCheck;

static void
begin_codes(CodeCheck *codes, VkCheck *check, Snapshot snapshot)
{
	const VkIndex *vk = check->layout;
	int			dim = vk->coder.dim;

	memset(codes, 0, sizeof(CodeCheck));
	codes->check = check;
	codes->support = vk_support(check->index);
	codes->coder = &vk->coder;
	vk_support_operator(check->index, &codes->operator, CurrentMemoryContext);
	codes->heap = vk_heap_reader_create(check->index, codes->support, dim);
	vk_heap_reader_open(codes->heap, check->heap, snapshot);
	codes->row_context = AllocSetContextCreate(CurrentMemoryContext, "vkindex check code",
											   ALLOCSET_DEFAULT_SIZES);
	codes->reader.index = check->index;
	codes->reader.vk = vk;
	codes->reader.snapshot = snapshot;
	codes->reader.stats = &codes->stats;
	codes->blocks = vk_blocks_create(vk, 0);
	codes->floats = palloc(dim * sizeof(float));
	codes->normalized = palloc(dim * sizeof(float));
	codes->scratch = palloc(vk_scratch_size(dim));
	codes->refine = palloc(vk->coder.refine_size + 1);
	codes->query.rotated = palloc((dim + 1) * sizeof(float));
	vk_query_code_create(codes->coder, &codes->code);
	vk_query_code_create(codes->coder, &codes->center_code);
}

/* the row's vector as a query against its list's centre; false: it has no bounds */
static bool
make_query(CodeCheck *codes, Datum vector)
{
	const VkCoder *coder = codes->coder;
	const float *x = codes->support->layout->floats(vector, codes->floats);
	bool		wild = false;

	if (coder->metric == VK_METRIC_COSINE)
	{
		if (!vk_normalize(x, coder->dim, codes->normalized, &wild))
			return false;
		x = codes->normalized;
	}
	vk_query_init(coder, x, codes->query.rotated, &codes->query, codes->scratch);
	if (wild || codes->query.wild)
		return false;
	vk_query_code_set(coder, &codes->query, codes->center, true, &codes->code);
	return true;
}

static double
score_of_itself(CodeCheck *codes, Datum vector)
{
	MemoryContext old = MemoryContextSwitchTo(codes->row_context);
	double		distance = DatumGetFloat8(FunctionCall2(&codes->operator, vector, vector));

	MemoryContextSwitchTo(old);
	MemoryContextReset(codes->row_context);
	return vk_exact_score(codes->support, distance);
}

/* the list's centre as a query, if its codes know their dots with it */
static void
set_center(CodeCheck *codes, const VkSlot *slot, const VkCenter *center)
{
	VkQuery		query = {.rotated = codes->query.rotated};

	codes->center = center;
	codes->center_dots = (slot->flags & VK_SLOT_CENTER_DOTS) != 0 && center->code != NULL;
	if (!codes->center_dots)
		return;
	for (int i = 0; i < codes->coder->dim; i++)
		query.rotated[i] = center->a * center->code[i];
	query.norm2 = center->norm * center->norm;
	vk_query_code_set(codes->coder, &query, &mean_center, true, &codes->center_code);
}

/* is what a code says of its dot with the centre true?  sum: of its code and the centre's */
static bool
center_dot_holds(const CodeCheck *codes, const VkRowCode *row, double sum)
{
	const VkBoundQuery *bound = &codes->center_code.bound;
	double		norm = codes->center->norm;
	double		dot = row->a * bound->query_scale * sum;

	return isinf(row->error) || fabs(row->center * norm - dot) <=
		(bound->query_error + DOT_ROUNDING * norm) * row->norm;
}

static bool
scan_center_dot_holds(const CodeCheck *codes, int block, int lane)
{
	const VkBlocks *blocks = codes->blocks;
	const VkBoundQuery *bound = &codes->center_code.bound;
	VkDots		dots = {0};
	VkRowCode	row;

	if (!codes->center_dots)
		return true;
	vk_block_dots(codes->coder, &codes->center_code, vk_blocks_code(blocks, block), &dots);
	vk_annotation_get(codes->coder, vk_blocks_annotation(blocks, block),
					  blocks->tops[block].head.scale, lane, &row);
	return center_dot_holds(codes, &row,
							(double) bound->dot_mult * dots.i[lane] - bound->dot_offset);
}

/* of the refine code at hand */
static bool
refine_center_dot_holds(const CodeCheck *codes)
{
	VkRowCode	row;

	if (!codes->center_dots)
		return true;
	vk_refine_head(codes->refine, &row);
	return center_dot_holds(codes, &row, (double) vk_refine_dot(codes->coder,
																&codes->center_code,
																codes->refine));
}

/* does the scan code allow the score? */
static bool
scan_code_holds(CodeCheck *codes, int block, int lane, double score)
{
	const VkBlocks *blocks = codes->blocks;
	const VkBitScore *bits = vk_bit_score(codes->coder->metric);
	const void *annotation = vk_blocks_annotation(blocks, block);
	VkDots		dots = {0};
	VkScores	bounds;

	vk_block_dots(codes->coder, &codes->code, vk_blocks_code(blocks, block), &dots);
	if (bits != NULL)
		return (vk_bits_unknown(codes->coder, annotation) & (1U << lane)) != 0 ||
			bits->score(&codes->code, annotation, &dots, lane) == score;
	(void) vk_blocks_bounds(blocks, block, codes->coder, true, &codes->code.bound, &dots,
							get_float4_infinity(), &bounds);
	return bounds.lower[lane] <= score && score <= bounds.upper[lane] &&
		scan_center_dot_holds(codes, block, lane);
}

static bool
refine_code_holds(CodeCheck *codes, int block, int lane, double score)
{
	const VkRefineStart *start = &codes->blocks->refine[block];
	int			size = codes->coder->refine_size;
	double		lower;
	double		upper;

	if (size == 0)
		return true;
	vk_refine_read(codes->check->index, codes->reader.slot, codes->reader.born,
				   start->page, start->position,
				   (uint32) (start->bytes + (uint64) lane * size), size, codes->refine);
	vk_refine_bounds(codes->coder, &codes->code, codes->refine, true, &lower, &upper);
	return lower <= score && score <= upper && refine_center_dot_holds(codes);
}

static void
check_row(CodeCheck *codes, int block, int lane)
{
	uint64		row = vk_tid_encode(&codes->blocks->tops[block].tids[lane]);
	ItemPointerData seen;
	Datum		vector;
	double		score;

	CHECK_FOR_INTERRUPTS();
	if (!vk_heap_reader_value(codes->heap, row, &vector, &seen) ||
		!make_query(codes, vector))
		return;
	score = score_of_itself(codes, vector);
	if (!isnan(score) &&
		!(scan_code_holds(codes, block, lane, score) &&
		  refine_code_holds(codes, block, lane, score)))
		vk_check_report_row(codes->check, row,
							"row (%u,%u) of table \"%s\" has another vector's code in index \"%s\"");
}

static void
check_list(CodeCheck *codes, uint32 number, const VkSlot *slot, const VkCenter *center)
{
	const VkBlocks *blocks = codes->blocks;

	if (slot->born < codes->check->meta.coded || !BlockNumberIsValid(slot->head))
		return;
	set_center(codes, slot, center);
	vk_block_reader_begin(&codes->reader, number, slot, InvalidBlockNumber);
	while (vk_block_reader_next(&codes->reader, codes->blocks))
		for (int block = 0; block < blocks->count; block++)
			for (uint32 lanes = blocks->live[block]; lanes != 0; lanes &= lanes - 1)
				check_row(codes, block, pg_rightmost_one_pos32(lanes));
}

/* VkCenterCallback */
static void
check_centered(void *arg, uint32 number, const int8 *code, float a)
{
	CodeCheck  *codes = arg;
	int			dim = codes->coder->dim;
	VkCenter	center = {a, vk_center_norm(code, a, dim) * (1 + 2 * VK_UNIT), code};
	VkSlot		slot;

	vk_slot_read(codes->check->index, &codes->check->meta, number, &slot);
	check_list(codes, number, &slot, &center);
}

static void
check_segments(CodeCheck *codes)
{
	VkCheck    *check = codes->check;
	VkDirectory *directory = palloc0(sizeof(VkDirectory));

	for (uint32 number = VK_SLOT_FIRST_LIST; number < check->meta.slots; number++)
	{
		VkSlot		slot;

		CHECK_FOR_INTERRUPTS();
		vk_directory_slot(check->index, &check->meta, directory, number, &slot);
		if ((slot.flags & VK_SLOT_SEGMENT) && vk_slot_visible(&slot, check->meta.epoch))
			check_list(codes, number, &slot, &mean_center);
	}
	pfree(directory);
}

void
vk_check_codes(VkCheck *check, Snapshot snapshot)
{
	CodeCheck	codes;

	if (vk_support(check->index)->documents)
		return;
	begin_codes(&codes, check, snapshot);
	check_segments(&codes);
	if (check->meta.lists > 0)
		vk_center_list_read(check->index, check->layout, &check->meta, check_centered,
							&codes);
	vk_heap_reader_close(codes.heap);
	vk_blocks_free(codes.blocks);
}
