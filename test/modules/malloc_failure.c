/*-------------------------------------------------------------------------
 *
 * malloc_failure.c
 *	  malloc that fails when a test says so, in one backend or in workers.
 *
 * NOTES
 *	  Preloaded into a server (LD_PRELOAD) this takes the place of the C
 *	  library's allocator, from which all of palloc comes; the same file is
 *	  the library of two SQL functions that arm it.  One allocation fails, the
 *	  n-th from then on; what the server frees and allocates again without
 *	  malloc does not count.
 *
 *	  It is loaded by programs that are no servers too, so what it takes from
 *	  the server is either a function, which is bound when it is first called,
 *	  or weak.
 *
 * IDENTIFICATION
 *	  test/modules/malloc_failure.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <errno.h>
#include <sys/mman.h>

#include "fmgr.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(malloc_failure_arm);
PG_FUNCTION_INFO_V1(malloc_failure_disarm);

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t number, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

extern int	ParallelWorkerNumber __attribute__((weak));
extern bool InitializingParallelWorker __attribute__((weak));

/* allocations still to come until one fails; not positive: none fails */
typedef struct Countdown
{
	int64		left;
	int64		spared;			/* of those when it was disarmed */
	int64		failed;
} Countdown;

static Countdown of_process;
static Countdown *of_workers;	/* in memory that the postmaster's children share */

static void __attribute__((constructor))
share_countdown(void)
{
	of_workers = mmap(NULL, sizeof(Countdown), PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static bool
fails(Countdown *countdown)
{
	if (likely(__atomic_load_n(&countdown->left, __ATOMIC_RELAXED) <= 0) ||
		__atomic_sub_fetch(&countdown->left, 1, __ATOMIC_RELAXED) != 0)
		return false;
	__atomic_add_fetch(&countdown->failed, 1, __ATOMIC_RELAXED);
	errno = ENOMEM;
	return true;
}

/* what core does at the start of a worker is no concern of ours */
static bool
allocation_fails(void)
{
	if (&ParallelWorkerNumber == NULL || ParallelWorkerNumber < 0)
		return fails(&of_process);
	return !InitializingParallelWorker && fails(of_workers);
}

void *
malloc(size_t size)
{
	return allocation_fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t number, size_t size)
{
	return allocation_fails() ? NULL : __libc_calloc(number, size);
}

void *
realloc(void *memory, size_t size)
{
	return allocation_fails() ? NULL : __libc_realloc(memory, size);
}

/*
 * malloc_failure_arm(nth bigint, workers boolean) -- let the nth allocation
 * from now on fail, of this process or of parallel workers together
 */
Datum
malloc_failure_arm(PG_FUNCTION_ARGS)
{
	Countdown  *countdown = PG_GETARG_BOOL(1) ? of_workers : &of_process;

	countdown->failed = 0;
	countdown->spared = 0;
	countdown->left = PG_GETARG_INT64(0);
	PG_RETURN_VOID();
}

/*
 * malloc_failure_disarm(workers boolean) -- how many allocations were still to
 * come when it was first called; 0: one has failed
 */
Datum
malloc_failure_disarm(PG_FUNCTION_ARGS)
{
	Countdown  *countdown = PG_GETARG_BOOL(0) ? of_workers : &of_process;

	if (countdown->left > 0)
		countdown->spared = countdown->left;
	countdown->left = 0;
	PG_RETURN_INT64(countdown->failed > 0 ? 0 : countdown->spared);
}
