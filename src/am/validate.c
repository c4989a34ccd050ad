/*-------------------------------------------------------------------------
 *
 * validate.c
 *	  amvalidate: is an operator class what the access methods need?
 *
 * IDENTIFICATION
 *	  src/am/validate.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/amvalidate.h"
#include "access/htup_details.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type_d.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "am/am.h"

typedef struct ClassCheck
{
	const char *method;
	const char *family_name;
	const char *class_name;
	Oid			family;
	Oid			key_type;
	bool		valid;
} ClassCheck;

/* report one fault, and go on: all of them are of interest */
#define REPORT(check, ...) \
	do { \
		ereport(INFO, \
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION), \
				 errmsg(__VA_ARGS__))); \
		(check)->valid = false; \
	} while (0)

static void
validate_function(ClassCheck *check, Form_pg_amproc function)
{
	if (function->amproclefttype != function->amprocrighttype)
		REPORT(check, "operator family \"%s\" of access method %s contains support function %s with different left and right input types",
			   check->family_name, check->method,
			   format_procedure(function->amproc));

	if (function->amprocnum != VK_PROC_SUPPORT)
		REPORT(check, "operator family \"%s\" of access method %s contains function %s with invalid support number %d",
			   check->family_name, check->method,
			   format_procedure(function->amproc), function->amprocnum);
	else if (!check_amproc_signature(function->amproc, INTERNALOID, true,
									 1, 1, INTERNALOID))
		REPORT(check, "operator family \"%s\" of access method %s contains function %s with wrong signature for support number %d",
			   check->family_name, check->method,
			   format_procedure(function->amproc), function->amprocnum);
}

static void
validate_operator(ClassCheck *check, Form_pg_amop operator)
{
	Oid			result = get_op_rettype(operator->amopopr);

	if (operator->amopstrategy < 1 || operator->amopstrategy > VK_STRATEGIES)
		REPORT(check, "operator family \"%s\" of access method %s contains operator %s with invalid strategy number %d",
			   check->family_name, check->method,
			   format_operator(operator->amopopr), operator->amopstrategy);

	/* distances are compared as float8, in their usual order */
	if (operator->amoppurpose != AMOP_ORDER || result != FLOAT8OID ||
		!opfamily_can_sort_type(operator->amopsortfamily, result))
		REPORT(check, "operator family \"%s\" of access method %s contains invalid ORDER BY specification for operator %s",
			   check->family_name, check->method,
			   format_operator(operator->amopopr));

	if (!check_amop_signature(operator->amopopr, result,
							  operator->amoplefttype,
							  operator->amoprighttype))
		REPORT(check, "operator family \"%s\" of access method %s contains operator %s with wrong signature",
			   check->family_name, check->method,
			   format_operator(operator->amopopr));
}

/*
 * validate_members -- everything in the operator family
 *
 * What belongs to the class itself, by its input type, must be complete.
 */
static void
validate_members(ClassCheck *check)
{
	CatCList   *operators = SearchSysCacheList1(AMOPSTRATEGY,
												ObjectIdGetDatum(check->family));
	CatCList   *functions = SearchSysCacheList1(AMPROCNUM,
												ObjectIdGetDatum(check->family));
	bool		has_distance = false;
	bool		has_support = false;

	for (int i = 0; i < functions->n_members; i++)
	{
		Form_pg_amproc function = (Form_pg_amproc)
			GETSTRUCT(&functions->members[i]->tuple);

		validate_function(check, function);
		has_support |= function->amprocnum == VK_PROC_SUPPORT &&
			function->amproclefttype == check->key_type &&
			function->amprocrighttype == check->key_type;
	}

	for (int i = 0; i < operators->n_members; i++)
	{
		Form_pg_amop operator = (Form_pg_amop)
			GETSTRUCT(&operators->members[i]->tuple);

		validate_operator(check, operator);
		has_distance |= operator->amopstrategy == VK_STRATEGY_DISTANCE &&
			operator->amoplefttype == check->key_type &&
			operator->amoprighttype == check->key_type;
	}

	ReleaseCatCacheList(functions);
	ReleaseCatCacheList(operators);

	if (!has_distance)
		REPORT(check, "operator class \"%s\" of access method %s is missing operator(s)",
			   check->class_name, check->method);
	if (!has_support)
		REPORT(check, "operator class \"%s\" of access method %s is missing support function %d",
			   check->class_name, check->method, VK_PROC_SUPPORT);
}

static char *
family_name(Oid family)
{
	HeapTuple	tuple = SearchSysCache1(OPFAMILYOID, ObjectIdGetDatum(family));
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator family %u", family);
	name = pstrdup(NameStr(((Form_pg_opfamily) GETSTRUCT(tuple))->opfname));
	ReleaseSysCache(tuple);
	return name;
}

static bool
validate(Oid opclass, const char *method)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	Form_pg_opclass form;
	ClassCheck	check;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclass);
	form = (Form_pg_opclass) GETSTRUCT(tuple);

	check.method = method;
	check.class_name = NameStr(form->opcname);
	check.family = form->opcfamily;
	check.family_name = family_name(form->opcfamily);
	check.key_type = form->opcintype;
	check.valid = true;

	if (OidIsValid(form->opckeytype) && form->opckeytype != form->opcintype)
		REPORT(&check, "operator class \"%s\" of access method %s has a storage type, which the method does not support",
			   check.class_name, check.method);
	validate_members(&check);

	ReleaseSysCache(tuple);
	return check.valid;
}

bool
vkflat_validate(Oid opclass)
{
	return validate(opclass, "vkflat");
}

bool
vkivf_validate(Oid opclass)
{
	return validate(opclass, "vkivf");
}
