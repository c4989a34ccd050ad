/*-------------------------------------------------------------------------
 *
 * handler.c
 *	  What the access methods vkflat and vkivf tell the server.
 *
 * NOTES
 *	  Both methods are one: they share pages, insert, scan and vacuum, and
 *	  differ in how they are built, in their options and in what they validate,
 *	  and only scans of vkflat are shared among processes.
 *
 * IDENTIFICATION
 *	  src/am/handler.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "commands/progress.h"
#include "commands/vacuum.h"

#include "am/am.h"

PG_FUNCTION_INFO_V1(vkflat_handler);
PG_FUNCTION_INFO_V1(vkivf_handler);

/*
 * What both methods have in common
 *
 * Rows are emitted without a pin on their index page, so nothing here may be
 * offered that relies on one: no index-only scans, no INCLUDE columns.
 */
static const IndexAmRoutine shared_routine = {
	.type = T_IndexAmRoutine,
	.amstrategies = VK_STRATEGIES,
	.amsupport = VK_PROCS,
	.amcanorderbyop = true,
	.amcanmulticol = true,
	.amoptionalkey = true,
	.amsearcharray = true,
	.amsearchnulls = true,
	VK_CAN_BUILD_PARALLEL
	.amparallelvacuumoptions = VACUUM_OPTION_PARALLEL_BULKDEL,
	.amkeytype = InvalidOid,
	.aminsert = vk_insert,
	.ambulkdelete = vk_bulkdelete,
	.amvacuumcleanup = vk_vacuumcleanup,
	.amcostestimate = vk_costestimate,
	.ambuildphasename = vk_buildphasename,
	.ambeginscan = vk_beginscan,
	.amrescan = vk_rescan,
	.amgettuple = vk_gettuple,
	.amgetbitmap = vk_getbitmap,
	.amendscan = vk_endscan
};

Datum
vkflat_handler(PG_FUNCTION_ARGS)
{
	static IndexAmRoutine routine;

	routine = shared_routine;
	routine.ambuild = vkflat_build;
	routine.ambuildempty = vkflat_buildempty;
	routine.amoptions = vkflat_options;
	routine.amvalidate = vkflat_validate;
	routine.amcanparallel = true;
	routine.amestimateparallelscan = vk_estimateparallelscan;
	routine.aminitparallelscan = vk_initparallelscan;
	routine.amparallelrescan = vk_parallelrescan;

	VK_RETURN_ROUTINE(routine);
}

Datum
vkivf_handler(PG_FUNCTION_ARGS)
{
	static IndexAmRoutine routine;

	routine = shared_routine;
	routine.ambuild = vkivf_build;
	routine.ambuildempty = vkivf_buildempty;
	routine.amoptions = vkivf_options;
	routine.amvalidate = vkivf_validate;

	VK_RETURN_ROUTINE(routine);
}

/*
 * vk_buildphasename -- name of a build phase, for pg_stat_progress_create_index
 */
char *
vk_buildphasename(int64 phase)
{
	static const char *const names[] = {
		[PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE] = "initializing",
		[VK_PHASE_SAMPLE] = "sampling table",
		[VK_PHASE_KMEANS] = "computing centroids",
		[VK_PHASE_ASSIGN] = "assigning rows",
		[VK_PHASE_WRITE] = "writing index",
		[VK_PHASE_CALIBRATE] = "calibrating recall",
		[VK_PHASE_LOG] = "logging index"
	};

	if (phase < 1 || phase >= (int64) lengthof(names))
		return NULL;
	return pstrdup(names[phase]);
}
