/*-------------------------------------------------------------------------
 *
 * sphere_foreign.c
 *	  Which vectors of pgvector's types lie within a sphere.
 *
 * NOTES
 *	  "v <<->> vk_sphere(c, r)" is "(v <-> c) < r" where <-> is pgvector's, so
 *	  the distance is asked of its function: the digits are those of the
 *	  compiler that made it.
 *
 *	  The operator is found by its name and its types, and by the extension that
 *	  it belongs to.  Schemas do not matter: they may be changed, and anyone may
 *	  have an operator of this name in one of his own.
 *
 * IDENTIFICATION
 *	  src/types/sphere_foreign.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type_d.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "types/sphere.h"

static bool
is_of_pgvector(Oid operator)
{
	Oid			extension = getExtensionOfObject(OperatorRelationId, operator);
	char	   *name = OidIsValid(extension) ? get_extension_name(extension) : NULL;

	return name != NULL && strcmp(name, "vector") == 0;
}

/* the function of pgvector's operator between two vectors of a type */
static Oid
distance_function(const char *operator, Oid type)
{
	CatCList   *found = SearchSysCacheList3(OPERNAMENSP,
											CStringGetDatum(operator),
											ObjectIdGetDatum(type),
											ObjectIdGetDatum(type));
	Oid			function = InvalidOid;

	for (int i = 0; i < found->n_members; i++)
	{
		Form_pg_operator form =
			(Form_pg_operator) GETSTRUCT(&found->members[i]->tuple);

		if (form->oprresult == FLOAT8OID && is_of_pgvector(form->oid))
			function = form->oprcode;
	}
	ReleaseCatCacheList(found);
	if (!OidIsValid(function))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("operator does not exist: %s %s %s",
						format_type_be(type), operator, format_type_be(type))));
	return function;
}

/* once for a call site */
static void
find_distance(FmgrInfo *flinfo, VkSphereSite *site, const char *operator)
{
	Oid		   *types;
	int			arguments;

	get_func_signature(flinfo->fn_oid, &types, &arguments);
	fmgr_info_cxt(distance_function(operator, types[0]), &site->distance,
				  flinfo->fn_mcxt);
}

static Datum
within(FunctionCallInfo fcinfo, const char *operator,
	   bool (*compare) (const float8 distance, const float8 radius))
{
	VkSphere	sphere;
	VkSphereSite *site = vk_sphere_argument(fcinfo, 1, &sphere);
	Datum		distance;

	if (site == NULL)
		PG_RETURN_NULL();
	if (!OidIsValid(site->distance.fn_oid))
		find_distance(fcinfo->flinfo, site, operator);
	distance = FunctionCall2(&site->distance, PG_GETARG_DATUM(0), sphere.center);
	PG_RETURN_BOOL(compare(DatumGetFloat8(distance), sphere.radius));
}

/* of every type that has the operator */
VK_SPHERE_FUNCTIONS(vk_l2_within, "<->")
VK_SPHERE_FUNCTIONS(vk_ip_within, "<#>")
VK_SPHERE_FUNCTIONS(vk_cosine_within, "<=>")
VK_SPHERE_FUNCTIONS(vk_l1_within, "<+>")
VK_SPHERE_FUNCTIONS(vk_hamming_within, "<~>")
VK_SPHERE_FUNCTIONS(vk_jaccard_within, "<%>")
