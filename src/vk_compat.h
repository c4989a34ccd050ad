/*-------------------------------------------------------------------------
 *
 * vk_compat.h
 *	  Differences between the supported PostgreSQL versions (15 and later).
 *
 * NOTES
 *	  The only file that looks at PG_VERSION_NUM.  Include it right after
 *	  postgres.h.
 *
 * IDENTIFICATION
 *	  src/vk_compat.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_COMPAT_H
#define VK_COMPAT_H

#include "fmgr.h"

#if PG_VERSION_NUM < 150000
#error "vkindex requires PostgreSQL 15 or later"
#endif

/* the VARSIZE family left postgres.h in 16 */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 18 lets a module tell its name and version (pg_get_loaded_modules) */
#if PG_VERSION_NUM >= 180000
#define VK_MODULE_MAGIC(module, module_version) \
	PG_MODULE_MAGIC_EXT(.name = (module), .version = (module_version))
#else
#define VK_MODULE_MAGIC(module, module_version) PG_MODULE_MAGIC
#endif

/* snapshots too old are told by the reader of a page up to 16 */
#if PG_VERSION_NUM < 170000
#include "storage/bufmgr.h"
#include "utils/snapmgr.h"
#define vk_test_old_snapshot(snapshot, relation, page) \
	TestForOldSnapshot(snapshot, relation, page)
#else
#define vk_test_old_snapshot(snapshot, relation, page) ((void) 0)
#endif

/* 19 wants a static IndexAmRoutine, the others one that they may free */
#if PG_VERSION_NUM >= 190000
#define VK_RETURN_ROUTINE(routine)	PG_RETURN_POINTER(&(routine))
#else
#define VK_RETURN_ROUTINE(routine) \
	do { \
		IndexAmRoutine *copy_ = makeNode(IndexAmRoutine); \
		*copy_ = (routine); \
		PG_RETURN_POINTER(copy_); \
	} while (0)
#endif

/* from 18 disabled plan nodes are counted, and the count outranks the cost */
#if PG_VERSION_NUM >= 180000
#define VK_DISABLE_PATH(path_)	((path_)->disabled_nodes += 2)
#else
#define VK_DISABLE_PATH(path_)	((void) 0)
#endif

#endif							/* VK_COMPAT_H */
