/*-------------------------------------------------------------------------
 *
 * test_point.c
 *	  Places where a test can stop, crash or fail a process.
 *
 * IDENTIFICATION
 *	  src/am/test_point.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/guc.h"

#include "am/test_point.h"

#define WAIT_KEY		8191

static char *test_point = NULL;

static void
raise_error(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("test point \"%s\" was reached", name)));
}

static void
crash(const char *name)
{
	kill(getpid(), SIGKILL);
}

/* as pg_advisory_lock(8191) followed by pg_advisory_unlock(8191) */
static void
wait_for_test(const char *name)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, WAIT_KEY, 1);
	(void) LockAcquire(&tag, ExclusiveLock, true, false);
	LockRelease(&tag, ExclusiveLock, true);
}

static const struct
{
	const char *name;
	void		(*act) (const char *point);
}			actions[] = {
	{"error", raise_error},
	{"crash", crash},
	{"wait", wait_for_test}
};

void
vk_test_point(const char *name)
{
	Size		length = strlen(name);

	if (likely(test_point == NULL || *test_point == '\0') ||
		strncmp(test_point, name, length) != 0 || test_point[length] != ' ')
		return;
	for (int i = 0; i < (int) lengthof(actions); i++)
		if (strcmp(test_point + length + 1, actions[i].name) == 0)
			actions[i].act(name);
}

void
vk_test_point_init(void)
{
	DefineCustomStringVariable("vkindex.test_point",
							   "Stops a process for a test at a place in list operations.",
							   "A name and an action (error, crash or wait).",
							   &test_point, "", PGC_SUSET,
							   GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL,
							   NULL, NULL, NULL);
}
