/*-------------------------------------------------------------------------
 *
 * progress.c
 *	  How far the batch functions are that run now: vk_progress.
 *
 * NOTES
 *	  The server keeps a few numbers of the command that a session runs, for its
 *	  own pg_stat_progress_* views: which command it is, of which relation, and 20
 *	  parameters.  They are told here under a number that is none of the server's
 *	  commands, so its views do not show them, and the function behind vk_progress
 *	  reads them as those views read theirs.  A session that shows a command of the
 *	  server's, as COPY (SELECT ...) does, is left alone.
 *
 *	  An error ends what is shown: the server sees to that.
 *
 * IDENTIFICATION
 *	  src/batch/progress.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"

#include "batch/batch.h"

PG_FUNCTION_INFO_V1(vk_get_progress);

#define PROGRESS_COMMAND	((ProgressCommandType) 0x766B)

/* parameters */
enum
{
	PARAMETER_FUNCTION,
	PARAMETER_TOTAL,
	PARAMETER_DONE,
	PARAMETER_WORKERS
};

#define PROGRESS_COLUMNS	7

/* ---- the session that works ---- */

void
vk_progress_begin(VkBatchWork *work)
{
	work->shows_progress = MyBEEntry != NULL &&
		MyBEEntry->st_progress_command == PROGRESS_COMMAND_INVALID;
	if (!work->shows_progress)
		return;
	pgstat_progress_start_command(PROGRESS_COMMAND, work->request.index);
	pgstat_progress_update_param(PARAMETER_FUNCTION, work->request.function);
	pgstat_progress_update_param(PARAMETER_TOTAL, (int64) work->query_count);
}

void
vk_progress_workers(const VkBatchWork *work, int workers)
{
	if (work->shows_progress)
		pgstat_progress_update_param(PARAMETER_WORKERS, workers);
}

void
vk_progress_update(const VkBatchWork *work)
{
	if (work->shows_progress)
		pgstat_progress_update_param(PARAMETER_DONE,
									 (int64) pg_atomic_read_u64(work->done));
}

void
vk_progress_end(const VkBatchWork *work)
{
	if (work->shows_progress)
		pgstat_progress_end_command();
}

/* ---- the session that asks ---- */

static void
put_session(const PgBackendStatus *session, ReturnSetInfo *result)
{
	Datum		values[PROGRESS_COLUMNS];
	bool		nulls[PROGRESS_COLUMNS] = {0};
	int64		function = session->st_progress_param[PARAMETER_FUNCTION];
	int			n = 0;

	values[n++] = Int32GetDatum(session->st_procpid);
	values[n++] = ObjectIdGetDatum(session->st_databaseid);
	/* of others' sessions, that there is something */
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) &&
		!has_privs_of_role(GetUserId(), session->st_userid))
		memset(nulls + n, true, PROGRESS_COLUMNS - n);
	values[n++] = ObjectIdGetDatum(session->st_progress_command_target);
	values[n++] = CStringGetTextDatum(function >= 0 && function < VK_BATCH_FUNCTIONS ?
									  vk_batch_functions[function].name : "");
	values[n++] = Int64GetDatum(session->st_progress_param[PARAMETER_TOTAL]);
	values[n++] = Int64GetDatum(session->st_progress_param[PARAMETER_DONE]);
	values[n++] = Int32GetDatum((int32) session->st_progress_param[PARAMETER_WORKERS]);
	Assert(n == PROGRESS_COLUMNS);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
vk_get_progress(PG_FUNCTION_ARGS)
{
	int			count = pgstat_fetch_stat_numbackends();

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 1; i <= count; i++)
	{
		const PgBackendStatus *session = &vk_local_backend_entry(i)->backendStatus;

		if (session->st_progress_command == PROGRESS_COMMAND)
			put_session(session, (ReturnSetInfo *) fcinfo->resultinfo);
	}
	return (Datum) 0;
}
