/*-------------------------------------------------------------------------
 *
 * centroids.c
 *	  Option "centroids": centres taken from a table instead of k-means.
 *
 * NOTES
 *	  The table is read by an ordinary query.  The server runs an index build
 *	  with the rights of the table's owner and under security restrictions, so
 *	  this grants nothing to whoever says CREATE INDEX or REINDEX.  The name is
 *	  looked up in the search path of the moment, which may find somebody
 *	  else's table: so it must be one whose reading runs no code of its owner,
 *	  neither a view nor under row security.
 *
 *	  The option outlives the table, and a dump restores rights and the rows of
 *	  materialized views after indexes: where the table is gone, may not be read
 *	  or has no column that fits, a warning is given and k-means takes its place,
 *	  so that REINDEX and a restored dump still work.  It is locked only where it
 *	  may be read.
 *
 * IDENTIFICATION
 *	  src/am/centroids.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "am/build.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class_d.h"
#include "catalog/pg_namespace_d.h"
#include "catalog/pg_type_d.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

#include "types/vec.h"

#define FETCH_ROWS		1000

static void
warn_unusable(VkBuild *build, const char *name, const char *why)
{
	ereport(WARNING,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("could not take centroids of index \"%s\" from table \"%s\"",
					RelationGetRelationName(build->index), name),
			 errdetail_internal("%s", why),
			 errhint("Centroids are computed from the rows instead.")));
}

/* can the table be read without running code that belongs to its owner? */
static bool
runs_no_code(Relation table)
{
	char		kind = table->rd_rel->relkind;

	return (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE ||
			kind == RELKIND_MATVIEW) &&
		check_enable_rls(RelationGetRelid(table), InvalidOid, true) != RLS_ENABLED;
}

/*
 * holds_vectors -- is that real[], or a type of vectors that is cast to it?
 *
 * The cast's function runs with the rights of the index's owner.  Only a
 * superuser makes operator classes, and so the types that have one here.
 */
static bool
holds_vectors(Oid type, Oid method)
{
	Oid			class;
	Oid			function;

	type = getBaseType(type);
	class = GetDefaultOpClass(type, method);

	return type == FLOAT4ARRAYOID ||
		(OidIsValid(class) && get_opclass_input_type(class) == type &&
		 find_coercion_pathway(FLOAT4ARRAYOID, type, COERCION_EXPLICIT,
							   &function) == COERCION_PATH_FUNC);
}

/* Open the table; NULL, with the reason, where it cannot be read. */
static Relation
open_table(const char *name, const char **why)
{
	RangeVar   *range = makeRangeVarFromNameList(vk_qualified_name_list(name));
	Oid			schema = range->schemaname == NULL ? InvalidOid :
		get_namespace_oid(range->schemaname, true);
	Oid			table;
	Relation	relation;

	*why = "Permission denied for its schema.";
	/* to look for a table there would be an error */
	if (OidIsValid(schema) &&
		vk_namespace_aclcheck(schema, GetUserId(), ACL_USAGE) != ACLCHECK_OK)
		return NULL;
	*why = "The table does not exist.";
	table = RangeVarGetRelid(range, NoLock, true);
	if (!OidIsValid(table))
		return NULL;
	if (!vk_may_select(table, 0, true))
	{
		*why = "Permission denied for the table.";
		return NULL;
	}
	relation = try_relation_open(table, AccessShareLock);
	if (relation == NULL)
		return NULL;
	*why = NULL;
	if (!runs_no_code(relation))
		*why = "It is not a table, or row-level security applies to it.";
	else if (!RelationIsScannable(relation))
		*why = "The materialized view has not been populated.";
	if (*why == NULL)
		return relation;
	relation_close(relation, AccessShareLock);
	return NULL;
}

/*
 * Query for the first column that holds vectors, as arrays of floats; NULL,
 * after a warning, where there is none.
 */
static char *
centers_query(VkBuild *build, const char *name)
{
	const char *why;
	Relation	table = open_table(name, &why);
	char	   *query = NULL;

	if (table == NULL)
	{
		warn_unusable(build, name, why);
		return NULL;
	}

	for (int i = 0; i < RelationGetDescr(table)->natts && query == NULL; i++)
	{
		Form_pg_attribute column = TupleDescAttr(RelationGetDescr(table), i);

		if (!column->attisdropped &&
			holds_vectors(column->atttypid, build->index->rd_rel->relam) &&
			vk_may_select(RelationGetRelid(table), column->attnum, false))
			query = psprintf("SELECT %s::pg_catalog.float4[] FROM %s",
							 quote_identifier(NameStr(column->attname)),
							 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(table)),
														RelationGetRelationName(table)));
	}
	relation_close(table, query == NULL ? AccessShareLock : NoLock);

	if (query == NULL)
		warn_unusable(build, name, "The table has no column of vectors or real[].");
	return query;
}

/* move what was read to where all processes find it */
static void
share_centers(VkBuild *build)
{
	int			lists = build->lists;
	int8	   *codes = build->center_codes;
	float	   *scales = build->center_scales;

	vk_centers_make(build, lists);
	vk_centers_set(build, lists);
	memcpy(build->center_codes, codes, lists * build->stride);
	memcpy(build->center_scales, scales, lists * sizeof(float));
	pfree(codes);
	pfree(scales);
}

/* room for one more centre; the context is that of the build's arrays */
static void
reserve_center(VkBuild *build, int *capacity)
{
	/* with what assigns rows to them */
	Size		needed = vk_centers_size(build, build->lists) +
		vk_batch_size(build->dim, build->lists);

	if (needed > build->memory)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("memory required is %zu MB, maintenance_work_mem is %zu MB",
						needed / (1024 * 1024) + 1, build->memory / (1024 * 1024))));
	if (build->lists < *capacity)
		return;

	*capacity *= 2;
	build->center_codes = repalloc_huge(build->center_codes,
										*capacity * build->stride);
	build->center_scales = repalloc_huge(build->center_scales,
										 *capacity * sizeof(float));
}

/* floats of a row of the query as vk_build_floats gives them; NULL: no centre */
static const float *
read_center(VkBuild *build, Datum value)
{
	const VecType *type = &vec_types[VK_F32];
	ArrayType  *array = DatumGetArrayTypeP(value);
	bool		wild = false;

	vec_array_check(type, array, build->dim);
	vec_array_read(array, build->floats);
	for (int i = 0; i < build->dim; i++)
		vec_check_element(type, build->floats[i]);
	if (build->support->metric != VK_METRIC_COSINE)
		return build->floats;
	return vk_normalize(build->floats, build->dim, build->normalized, &wild) && !wild ?
		build->normalized : NULL;
}

/* add the rows that the query has fetched, skipping what is no centre */
static void
add_centers(VkBuild *build, SPITupleTable *rows, int64 count, float *rotated,
			int *capacity)
{
	for (int64 i = 0; i < count; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(build->row_context);
		bool		isnull;
		Datum		value = SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &isnull);
		const float *vector = isnull ? NULL : read_center(build, value);

		if (vector != NULL)
		{
			double		norm2;
			int8	   *code;

			reserve_center(build, capacity);
			code = build->center_codes + build->lists * build->stride;
			vk_row_rotate(&build->vk->coder, vector, rotated, &norm2,
						  build->scratch);
			memset(code, 0, build->stride);
			vk_center_encode(rotated, build->dim, code,
							 &build->center_scales[build->lists]);
			build->lists++;
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(build->row_context);
	}
}

/*
 * vk_load_centers -- take the centres from the table that the option names
 *
 * Returns false, with build->lists 0, where there is no such option or table,
 * or no centre in it.
 */
bool
vk_load_centers(VkBuild *build)
{
	const char *name = build->flat ? NULL : vk_option_centroids(build->index);
	char	   *query = name == NULL ? NULL : centers_query(build, name);
	float	   *rotated;
	int			capacity = FETCH_ROWS;
	Portal		portal;

	if (query == NULL)
		return false;

	build->center_codes = palloc_extended(capacity * build->stride,
										  MCXT_ALLOC_HUGE);
	build->center_scales = palloc(capacity * sizeof(float));
	rotated = palloc(build->dim * sizeof(float));

	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	portal = SPI_cursor_open_with_args(NULL, query, 0, NULL, NULL, NULL, true, 0);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		add_centers(build, SPI_tuptable, SPI_processed, rotated, &capacity);
		SPI_freetuptable(SPI_tuptable);
		CHECK_FOR_INTERRUPTS();
	}
	SPI_cursor_close(portal);
	SPI_finish();
	PopActiveSnapshot();
	pfree(rotated);

	if (build->lists == 0)
	{
		warn_unusable(build, name, "The table holds no centroids.");
		return false;
	}
	share_centers(build);
	return true;
}
