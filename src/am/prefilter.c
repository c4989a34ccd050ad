/*-------------------------------------------------------------------------
 *
 * prefilter.c
 *	  The node that gives an index scan the rows that other indexes know.
 *
 * NOTES
 *	  The bitmap is made before the first row, and again only where a parameter
 *	  has changed that it depends on: a scan that is repeated for other vectors
 *	  under the same conditions keeps it.  Where the rows do not fit in memory,
 *	  the scan goes without.
 *
 *	  The scan's rows are handed through in its own slot, in which they are also
 *	  for WHERE CURRENT OF.
 *
 * IDENTIFICATION
 *	  src/am/prefilter.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "executor/executor.h"
#include "utils/memutils.h"

#include "am/am.h"
#include "am/prefilter.h"

typedef struct Prefilter
{
	CustomScanState css;
	MemoryContext context;		/* of the mask */
	bool		complete;
	bool		ready;			/* the scan knows the rows, or goes without */
	int64		rows;			/* for EXPLAIN; -1: of some pages all */
	bool		given_up;		/* they do not fit in memory */
} Prefilter;

static PlanState *
scan_of(const Prefilter *node)
{
	return linitial(node->css.custom_ps);
}

static PlanState *
bitmap_of(const Prefilter *node)
{
	return lsecond(node->css.custom_ps);
}

static void
make_mask(Prefilter *node)
{
	TIDBitmap  *bitmap;
	VkRowMask  *mask;

	vk_hint_set_mask(scan_of(node), NULL, false);
	MemoryContextReset(node->context);
	bitmap = (TIDBitmap *) MultiExecProcNode(bitmap_of(node));
	if (bitmap == NULL || !IsA(bitmap, TIDBitmap))
		elog(ERROR, "unrecognized result from subplan");
	mask = vk_row_mask_create(node->context, bitmap);
	tbm_free(bitmap);
	node->given_up = mask == NULL;
	if (mask != NULL)
	{
		node->rows = vk_row_mask_rows(mask);
		vk_hint_set_mask(scan_of(node), mask, node->complete && vk_row_mask_exact(mask));
	}
	node->ready = true;
}

static TupleTableSlot *
exec_prefilter(CustomScanState *css)
{
	Prefilter  *node = (Prefilter *) css;

	/* a row that is looked at anew (EvalPlanQual) has been found already */
	if (!node->ready && css->ss.ps.state->es_epq_active == NULL)
		make_mask(node);
	return ExecProcNode(scan_of(node));
}

static void
begin_prefilter(CustomScanState *css, EState *estate, int eflags)
{
	Prefilter  *node = (Prefilter *) css;
	CustomScan *plan = (CustomScan *) css->ss.ps.plan;
	PlanState  *scan = ExecInitNode(linitial(plan->custom_plans), estate, eflags);
	PlanState  *bitmap = ExecInitNode(lsecond(plan->custom_plans), estate, eflags);

	css->custom_ps = list_make2(scan, bitmap);
	css->ss.ss_ScanTupleSlot = ((ScanState *) scan)->ss_ScanTupleSlot;
	css->ss.ps.resultops = ExecGetResultSlotOps(scan, &css->ss.ps.resultopsfixed);
	css->ss.ps.resultopsset = true;
	node->context = AllocSetContextCreate(estate->es_query_cxt, "vkindex prefilter",
										  ALLOCSET_DEFAULT_SIZES);
}

static void
rescan_prefilter(CustomScanState *css)
{
	Prefilter  *node = (Prefilter *) css;
	PlanState  *scan = scan_of(node);
	PlanState  *bitmap = bitmap_of(node);

	if (css->ss.ps.chgParam != NULL)
	{
		UpdateChangedParamSet(scan, css->ss.ps.chgParam);
		UpdateChangedParamSet(bitmap, css->ss.ps.chgParam);
	}
	if (scan->chgParam == NULL)
		ExecReScan(scan);
	if (bitmap->chgParam != NULL)
		node->ready = false;
}

static void
end_prefilter(CustomScanState *css)
{
	ExecEndNode(scan_of((Prefilter *) css));
	ExecEndNode(bitmap_of((Prefilter *) css));
	MemoryContextDelete(((Prefilter *) css)->context);
}

static void
explain_prefilter(CustomScanState *css, List *ancestors, ExplainState *es)
{
	Prefilter  *node = (Prefilter *) css;

	if (!es->analyze || !node->ready)
		return;
	if (node->given_up)
		ExplainPropertyText("Rows", "too many for work_mem", es);
	else if (node->rows < 0)
		ExplainPropertyText("Rows", "lossy", es);
	else
		ExplainPropertyInteger("Rows", NULL, node->rows, es);
}

static const CustomExecMethods prefilter_methods = {
	.CustomName = VK_PREFILTER_NAME,
	.BeginCustomScan = begin_prefilter,
	.ExecCustomScan = exec_prefilter,
	.EndCustomScan = end_prefilter,
	.ReScanCustomScan = rescan_prefilter,
	.ExplainCustomScan = explain_prefilter
};

static Node *
create_prefilter(CustomScan *plan)
{
	Prefilter  *node = (Prefilter *) newNode(sizeof(Prefilter), T_CustomScanState);

	node->css.methods = &prefilter_methods;
	node->complete = linitial_int(plan->custom_private) != 0;
	return (Node *) node;
}

const CustomScanMethods vk_prefilter_scan_methods = {
	.CustomName = VK_PREFILTER_NAME,
	.CreateCustomScanState = create_prefilter
};

PlanState *
vk_prefilter_scan(PlanState *node)
{
	CustomScanState *css = (CustomScanState *) node;

	return css->methods == &prefilter_methods ? scan_of((Prefilter *) css) : NULL;
}

/*
 * vk_prefilter_init -- make the node known, once a process
 */
void
vk_prefilter_init(void)
{
	RegisterCustomScanMethods(&vk_prefilter_scan_methods);
}
