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

/* 18 says before a function's type that it does not return, not after it */
#if PG_VERSION_NUM < 180000
#define pg_noreturn	__attribute__((noreturn))
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
#define vk_snapshots_expire()	(old_snapshot_threshold >= 0)
#else
#define vk_test_old_snapshot(snapshot, relation, page) ((void) 0)
#define vk_snapshots_expire()	false
#endif

/* 18 may log that a lock was not to be had */
#if PG_VERSION_NUM >= 180000
#define vk_try_lock_tuple(relation, tid, mode) \
	ConditionalLockTuple(relation, tid, mode, false)
#else
#define vk_try_lock_tuple(relation, tid, mode) \
	ConditionalLockTuple(relation, tid, mode)
#endif

/* 16 renamed what identifies a relation's file */
#if PG_VERSION_NUM >= 160000
#define VK_FILE_LOCATOR(relation)	((relation)->rd_locator)
#define VK_FILE_NUMBER(relation)	((relation)->rd_locator.relNumber)
#else
#define VK_FILE_LOCATOR(relation)	((relation)->rd_node)
#define VK_FILE_NUMBER(relation)	((relation)->rd_node.relNode)
#endif

/* 16 made one function of all checks of ownership, and one of those of rights */
#if PG_VERSION_NUM >= 160000
#define vk_owns_relation(relation, role) \
	object_ownercheck(RelationRelationId, relation, role)
#define vk_namespace_aclcheck(schema, user, mode) \
	object_aclcheck(NamespaceRelationId, schema, user, mode)
#else
#define vk_owns_relation(relation, role)	pg_class_ownercheck(relation, role)
#define vk_namespace_aclcheck(schema, user, mode) \
	pg_namespace_aclcheck(schema, user, mode)
#endif

/* does this process hold the lock of a buffer's contents?  Local ones have none. */
#if PG_VERSION_NUM >= 190000
#define vk_buffer_is_locked(buffer) \
	(!BufferIsLocal(buffer) && BufferIsLockedByMe(buffer))
#else
#include "storage/buf_internals.h"
#define vk_buffer_is_locked(buffer) \
	(!BufferIsLocal(buffer) && \
	 LWLockHeldByMe(BufferDescriptorGetContentLock(GetBufferDescriptor((buffer) - 1))))
#endif

/* from 18 what EXPLAIN prints properties with has a header of its own */
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#else
#include "commands/explain.h"
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

/* makes a path one that the planner takes only where there is no other, and before 18
 * adds this to its cost */
#define VK_DEAR_COST	1.0e10
#if PG_VERSION_NUM >= 180000
#define vk_make_path_dear(path_)	((path_)->disabled_nodes += 1)
#else
#define vk_make_path_dear(path_) \
	((path_)->startup_cost += VK_DEAR_COST, (path_)->total_cost += VK_DEAR_COST)
#endif

/* 19 tells the planner for which EXPLAIN it works */
#if PG_VERSION_NUM >= 190000
#define vk_plan_query(query, text, options, params) \
	pg_plan_query(query, text, options, params, NULL)
#else
#define vk_plan_query(query, text, options, params) \
	pg_plan_query(query, text, options, params)
#endif

/* 16 took the privileges that a plan needs out of its range table */
#if PG_VERSION_NUM >= 160000
#define vk_check_permissions(plan) \
	ExecCheckPermissions((plan)->rtable, (plan)->permInfos, true)
#else
#define vk_check_permissions(plan)	ExecCheckRTPerms((plan)->rtable, true)
#endif

/* from 19 a tuple descriptor made by hand must be finished */
#if PG_VERSION_NUM >= 190000
#define vk_tuple_desc_finalize(desc)	TupleDescFinalize(desc)
#else
#define vk_tuple_desc_finalize(desc)	((void) 0)
#endif

/* 18 asks whether the delay is on behalf of ANALYZE */
#if PG_VERSION_NUM >= 180000
#define VK_VACUUM_DELAY_POINT()	vacuum_delay_point(false)
#else
#define VK_VACUUM_DELAY_POINT()	vacuum_delay_point()
#endif

/* 18 counts searches of a scan for EXPLAIN, too */
#if PG_VERSION_NUM >= 180000
#define vk_count_index_scan(scan) \
	do { \
		pgstat_count_index_scan((scan)->indexRelation); \
		if ((scan)->instrument != NULL) \
			(scan)->instrument->nsearches++; \
	} while (0)
#else
#define vk_count_index_scan(scan)	pgstat_count_index_scan((scan)->indexRelation)
#endif

/* 17 renamed it and moved it to miscadmin.h */
#if PG_VERSION_NUM < 170000
#include "postmaster/autovacuum.h"
#define AmAutoVacuumWorkerProcess()	IsAutoVacuumWorkerProcess()
#endif

/*
 * Code run with an owner's rights sees a safe search_path; before 17 the owner himself
 * keeps his own, as in core's commands
 */
#if PG_VERSION_NUM >= 170000
#define VK_OWNER_KEEPS_PATH	false
#define vk_restrict_search_path()	RestrictSearchPath()
#else
#define VK_OWNER_KEEPS_PATH	true
#define vk_restrict_search_path() \
	((void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, \
							  PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false))
#endif

/* 16 may save the error instead of raising it */
#if PG_VERSION_NUM >= 160000
#define vk_qualified_name_list(name)	stringToQualifiedNameList(name, NULL)
#else
#define vk_qualified_name_list(name)	stringToQualifiedNameList(name)
#endif

/* 16 asks whether the datum is to be copied; 15 copies */
#if PG_VERSION_NUM >= 160000
#define vk_tuplesort_getdatum(state, value, isnull) \
	tuplesort_getdatum(state, true, false, value, isnull, NULL)
#else
#define vk_tuplesort_getdatum(state, value, isnull) \
	tuplesort_getdatum(state, true, value, isnull, NULL)
#endif

/* from 18 members of child relations are kept apart */
#if PG_VERSION_NUM >= 180000
#define vk_foreach_member(member, ec, relids) \
	for (EquivalenceMemberIterator iterator_, \
		 *next_ = (setup_eclass_member_iterator(&iterator_, ec, relids), &iterator_); \
		 ((member) = eclass_member_iterator_next(next_)) != NULL;)
#else
#define vk_foreach_member(member, ec, relids) \
	for (int member_ = 0; \
		 member_ < list_length((ec)->ec_members) && \
		 ((member) = list_nth((ec)->ec_members, member_), true); \
		 member_++)
#endif

/* from 16 on an aggregate may want its input sorted; before, it sorts by itself */
#if PG_VERSION_NUM >= 160000
#define VK_AGGREF_PRESORTED(aggref)	((aggref)->aggpresorted)
#else
#define VK_AGGREF_PRESORTED(aggref)	((void) (aggref), false)
#endif

/* 18 names the order of a path key by what it compares as */
#if PG_VERSION_NUM >= 180000
#define VK_PATHKEY_RISES(key)	((key)->pk_cmptype == COMPARE_LT)
#else
#define VK_PATHKEY_RISES(key)	((key)->pk_strategy == BTLessStrategyNumber)
#endif

/* 17 tells how many keys a parallel scan has, 18 the index too */
#if PG_VERSION_NUM >= 180000
#define VK_ESTIMATE_PARALLEL_PARAMETERS \
	struct RelationData *index, int keys, int orderbys
#elif PG_VERSION_NUM >= 170000
#define VK_ESTIMATE_PARALLEL_PARAMETERS int keys, int orderbys
#else
#define VK_ESTIMATE_PARALLEL_PARAMETERS void
#endif

/* where the shared memory of a parallel scan has the method's part */
#if PG_VERSION_NUM >= 180000
#define VK_PARALLEL_OFFSET	ps_offset_am
#else
#define VK_PARALLEL_OFFSET	ps_offset
#endif
#define VK_PARALLEL_TARGET(scan) \
	((void *) ((char *) (scan)->parallel_scan + \
			   (scan)->parallel_scan->VK_PARALLEL_OFFSET))

/* until 17 who runs a plan says whether that is the only time */
#if PG_VERSION_NUM >= 180000
#define VK_RUN_PARAMETERS	QueryDesc *query, ScanDirection direction, uint64 count
#define VK_RUN_ARGUMENTS	query, direction, count
#else
#define VK_RUN_PARAMETERS \
	QueryDesc *query, ScanDirection direction, uint64 count, bool execute_once
#define VK_RUN_ARGUMENTS	query, direction, count, execute_once
#endif

/* from 18 there is one snapshot for TOAST, before it is made in *room */
#if PG_VERSION_NUM >= 180000
#define vk_toast_snapshot(room)	((void) (room), get_toast_snapshot())
#else
#define vk_toast_snapshot(room)	(init_toast_snapshot(room), (room))
#endif

/* 18 may count what the scan does for EXPLAIN ANALYZE, 19 takes flags */
#if PG_VERSION_NUM >= 190000
#define vk_index_beginscan_ordered(table, index, snapshot, key_count, order_count) \
	index_beginscan(table, index, snapshot, NULL, key_count, order_count, SO_NONE)
#elif PG_VERSION_NUM >= 180000
#define vk_index_beginscan_ordered(table, index, snapshot, key_count, order_count) \
	index_beginscan(table, index, snapshot, NULL, key_count, order_count)
#else
#define vk_index_beginscan_ordered(table, index, snapshot, key_count, order_count) \
	index_beginscan(table, index, snapshot, key_count, order_count)
#endif
#define vk_index_beginscan(table, index, snapshot, key_count) \
	vk_index_beginscan_ordered(table, index, snapshot, key_count, 0)

/* before 17 core plans workers for the index builds of its own methods only */
#if PG_VERSION_NUM >= 170000
#define VK_CAN_BUILD_PARALLEL	.amcanbuildparallel = true,
#define vk_index_workers(heap, index, info)	((info)->ii_ParallelWorkers)
#else
#define VK_CAN_BUILD_PARALLEL
#include "optimizer/optimizer.h"
#define vk_index_workers(heap, index, info) \
	plan_create_index_workers(RelationGetRelid(heap), RelationGetRelid(index))
#endif

/* 19 takes flags */
#if PG_VERSION_NUM >= 190000
#define vk_table_index_fetch_begin(heap) \
	table_index_fetch_begin(heap, SO_NONE)
#define vk_table_beginscan_parallel(heap, scan) \
	table_beginscan_parallel(heap, scan, SO_NONE)
#else
#define vk_table_index_fetch_begin(heap)	table_index_fetch_begin(heap)
#define vk_table_beginscan_parallel(heap, scan) \
	table_beginscan_parallel(heap, scan)
#endif

/* 19 asks what must be enabled for it */
#if PG_VERSION_NUM >= 190000
#define vk_initial_cost_nestloop(root, workspace, type, outer, inner, extra) \
	initial_cost_nestloop(root, workspace, type, PGS_NESTLOOP_PLAIN, outer, inner, extra)
#else
#define vk_initial_cost_nestloop(root, workspace, type, outer, inner, extra) \
	initial_cost_nestloop(root, workspace, type, outer, inner, extra)
#endif

/* 19 keeps the content lock of a buffer in its state */
#if PG_VERSION_NUM >= 190000
#define vk_buffer_state(buffer)	pg_atomic_read_u64(&(buffer)->state)
#else
#define vk_buffer_state(buffer)	pg_atomic_read_u32(&(buffer)->state)
#endif

/* 18 may leave room before a tuple */
#if PG_VERSION_NUM >= 180000
#define vk_form_minimal_tuple(desc, values, nulls) \
	heap_form_minimal_tuple(desc, values, nulls, 0)
#else
#define vk_form_minimal_tuple(desc, values, nulls) \
	heap_form_minimal_tuple(desc, values, nulls)
#endif

/* from 18 on columns may be computed when they are read */
#if PG_VERSION_NUM >= 180000
#include "rewrite/rewriteHandler.h"
#define VK_HAS_VIRTUAL(desc) \
	((desc)->constr != NULL && (desc)->constr->has_generated_virtual)
#define vk_virtual_expression(relation, number)	build_generation_expression(relation, number)
#define VK_IS_VIRTUAL(attribute) \
	((attribute)->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
#else
#define VK_HAS_VIRTUAL(desc)	false
#define vk_virtual_expression(relation, number)	((Node *) NULL)
#define VK_IS_VIRTUAL(attribute)	false
#endif

/* from 16 on a Var says below which outer joins it is NULL */
#include "nodes/primnodes.h"
#if PG_VERSION_NUM >= 160000
#define VK_COPY_NULLING(to, from, field)	((to)->field = bms_copy((from)->field))
#else
#define VK_COPY_NULLING(to, from, field)	((void) 0)
#endif

/* 16 renamed what is known of a session by its place */
#if PG_VERSION_NUM >= 160000
#define vk_local_backend_entry(place)	pgstat_get_local_beentry_by_index(place)
#else
#define vk_local_backend_entry(place)	pgstat_fetch_stat_local_beentry(place)
#endif

/*
 * One page of a bitmap after the other: its rows, and how many; -1: any; and whether
 * all of them are right.  18 gave the iterator of one process a name of its own, and
 * takes offsets apart on demand.
 */
#include "access/htup_details.h"
#include "nodes/tidbitmap.h"
#if PG_VERSION_NUM >= 180000
typedef TBMPrivateIterator VkBitmapIterator;
#define vk_bitmap_begin(bitmap)		tbm_begin_private_iterate(bitmap)
#define vk_bitmap_end(iterator)		tbm_end_private_iterate(iterator)
static inline bool
vk_bitmap_next(VkBitmapIterator *iterator, BlockNumber *block, OffsetNumber *offsets,
			   int *count, bool *exact)
{
	TBMIterateResult page;

	if (!tbm_private_iterate(iterator, &page))
		return false;
	*block = page.blockno;
	*count = page.lossy ? -1 :
		tbm_extract_page_tuple(&page, offsets, MaxHeapTuplesPerPage);
	*exact = !page.lossy && !page.recheck;
	return true;
}
#else
typedef TBMIterator VkBitmapIterator;
#define vk_bitmap_begin(bitmap)		tbm_begin_iterate(bitmap)
#define vk_bitmap_end(iterator)		tbm_end_iterate(iterator)
static inline bool
vk_bitmap_next(VkBitmapIterator *iterator, BlockNumber *block, OffsetNumber *offsets,
			   int *count, bool *exact)
{
	const TBMIterateResult *page = tbm_iterate(iterator);

	if (page == NULL)
		return false;
	*block = page->blockno;
	*count = page->ntuples;
	*exact = page->ntuples >= 0 && !page->recheck;
	if (page->ntuples > 0)
		memcpy(offsets, page->offsets, page->ntuples * sizeof(OffsetNumber));
	return true;
}
#endif

#endif							/* VK_COMPAT_H */
