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

/* what the members of a family have that belong to the class itself */
typedef struct ClassMembers
{
	uint32		operators;		/* bit s: strategy s, its type on both sides */
	uint32		functions;		/* bit n: support function n */
	Oid			sphere;			/* result of VK_PROC_SPHERE */
} ClassMembers;

/* report one fault, and go on: all of them are of interest */
#define REPORT(check, ...) \
	do { \
		ereport(INFO, \
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION), \
				 errmsg(__VA_ARGS__))); \
		(check)->valid = false; \
	} while (0)

/* ---- members of any family ---- */

static void
report_function(ClassCheck *check, Form_pg_amproc function, const char *fault)
{
	REPORT(check, "operator family \"%s\" of access method %s contains function %s with %s %d",
		   check->family_name, check->method,
		   format_procedure(function->amproc), fault, function->amprocnum);
}

static void
report_strategy(ClassCheck *check, Form_pg_amop operator)
{
	REPORT(check, "operator family \"%s\" of access method %s contains operator %s with invalid strategy number %d",
		   check->family_name, check->method,
		   format_operator(operator->amopopr), operator->amopstrategy);
}

/*
 * An operator that distances are ordered by, or one that rows are searched by;
 * right: its type on that side, InvalidOid where that may be any.
 */
static void
validate_operator(ClassCheck *check, Form_pg_amop operator, bool order, Oid right)
{
	Oid			result = order ? FLOAT8OID : BOOLOID;

	/* distances are compared as float8, in their usual order */
	if (operator->amoppurpose != (order ? AMOP_ORDER : AMOP_SEARCH) ||
		(order && !opfamily_can_sort_type(operator->amopsortfamily, result)))
		REPORT(check, "operator family \"%s\" of access method %s contains invalid ORDER BY specification for operator %s",
			   check->family_name, check->method,
			   format_operator(operator->amopopr));

	if (!check_amop_signature(operator->amopopr, result,
							  operator->amoplefttype,
							  OidIsValid(right) ? right : operator->amoprighttype))
		REPORT(check, "operator family \"%s\" of access method %s contains operator %s with wrong signature",
			   check->family_name, check->method,
			   format_operator(operator->amopopr));
}

/* ---- classes of vectors ---- */

static bool
function_signature_is_right(Form_pg_amproc function)
{
	Oid			proc = function->amproc;

	if (function->amprocnum == VK_PROC_SUPPORT)
		return check_amproc_signature(proc, INTERNALOID, true, 1, 1, INTERNALOID);
	return check_amproc_signature(proc, get_func_rettype(proc), true, 3, 3,
								  function->amproclefttype, FLOAT8OID, BOOLOID);
}

static void
validate_vector_function(ClassCheck *check, Form_pg_amproc function,
						 ClassMembers *members)
{
	if (function->amproclefttype != function->amprocrighttype)
		REPORT(check, "operator family \"%s\" of access method %s contains support function %s with different left and right input types",
			   check->family_name, check->method,
			   format_procedure(function->amproc));

	if (function->amprocnum < 1 || function->amprocnum > VK_PROCS)
		report_function(check, function, "invalid support number");
	else if (!function_signature_is_right(function))
		report_function(check, function, "wrong signature for support number");
	else if (function->amproclefttype == check->key_type)
	{
		members->functions |= 1U << function->amprocnum;
		if (function->amprocnum == VK_PROC_SPHERE)
			members->sphere = get_func_rettype(function->amproc);
	}
}

static void
validate_vector_operator(ClassCheck *check, Form_pg_amop operator,
						 ClassMembers *members)
{
	bool		order = operator->amopstrategy == VK_STRATEGY_DISTANCE;
	bool		own = operator->amoplefttype == check->key_type;
	Oid			right = order ? check->key_type : members->sphere;

	if (operator->amopstrategy < VK_STRATEGY_DISTANCE ||
		operator->amopstrategy > VK_STRATEGY_WITHIN_EQUAL)
	{
		report_strategy(check, operator);
		return;
	}
	validate_operator(check, operator, order, own ? right : InvalidOid);
	if (own)
		members->operators |= 1U << operator->amopstrategy;
}

/* the distance must be there; the operators that search by it need not */
static void
validate_vector_class(ClassCheck *check, const ClassMembers *members)
{
	uint32		spheres = 1U << VK_STRATEGY_WITHIN | 1U << VK_STRATEGY_WITHIN_EQUAL;

	if ((members->operators & 1U << VK_STRATEGY_DISTANCE) == 0)
		REPORT(check, "operator class \"%s\" of access method %s is missing operator(s)",
			   check->class_name, check->method);
	if ((members->functions & 1U << VK_PROC_SUPPORT) == 0)
		REPORT(check, "operator class \"%s\" of access method %s is missing support function %d",
			   check->class_name, check->method, VK_PROC_SUPPORT);
	if ((members->operators & spheres) != 0 &&
		(members->functions & 1U << VK_PROC_SPHERE) == 0)
		REPORT(check, "operator class \"%s\" of access method %s is missing support function %d",
			   check->class_name, check->method, VK_PROC_SPHERE);
}

/* ---- classes of attribute columns: the method knows their types ---- */

static void
validate_attribute_function(ClassCheck *check, Form_pg_amproc function,
							ClassMembers *members)
{
	report_function(check, function, "invalid support number");
}

static void
validate_attribute_operator(ClassCheck *check, Form_pg_amop operator,
							ClassMembers *members)
{
	const VkAttributeType *left = vk_attribute_type(operator->amoplefttype);
	uint32		bit = operator->amopstrategy <= VK_STRATEGIES ?
		1U << operator->amopstrategy : 0;

	if (left == NULL ||
		(vk_attribute_strategies(left, operator->amoprighttype) & bit) == 0)
	{
		report_strategy(check, operator);
		return;
	}
	validate_operator(check, operator, false, operator->amoprighttype);

	if (operator->amoplefttype == check->key_type &&
		operator->amoprighttype == check->key_type)
		members->operators |= bit;
}

/* all operators of the type with itself must be there, others need not */
static void
validate_attribute_class(ClassCheck *check, const ClassMembers *members)
{
	const VkAttributeType *type = vk_attribute_type(check->key_type);

	if (members->operators != vk_attribute_strategies(type, check->key_type))
		REPORT(check, "operator class \"%s\" of access method %s is missing operator(s)",
			   check->class_name, check->method);
}

/* ---- the two kinds of classes ---- */

typedef struct ClassKind
{
	void		(*function) (ClassCheck *check, Form_pg_amproc function,
							 ClassMembers *members);
	void		(*operator) (ClassCheck *check, Form_pg_amop operator,
							 ClassMembers *members);
	void		(*complete) (ClassCheck *check, const ClassMembers *members);
} ClassKind;

static const ClassKind vector_class = {
	validate_vector_function,
	validate_vector_operator,
	validate_vector_class
};

static const ClassKind attribute_class = {
	validate_attribute_function,
	validate_attribute_operator,
	validate_attribute_class
};

/*
 * validate_members -- everything in the operator family
 *
 * What belongs to the class itself, by its input type, must be complete.
 */
static void
validate_members(ClassCheck *check)
{
	const ClassKind *kind = vk_attribute_type(check->key_type) ?
		&attribute_class : &vector_class;
	CatCList   *operators = SearchSysCacheList1(AMOPSTRATEGY,
												ObjectIdGetDatum(check->family));
	CatCList   *functions = SearchSysCacheList1(AMPROCNUM,
												ObjectIdGetDatum(check->family));
	ClassMembers members = {0};

	for (int i = 0; i < functions->n_members; i++)
		kind->function(check,
					   (Form_pg_amproc) GETSTRUCT(&functions->members[i]->tuple),
					   &members);
	for (int i = 0; i < operators->n_members; i++)
		kind->operator(check,
					   (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple),
					   &members);
	kind->complete(check, &members);

	ReleaseCatCacheList(functions);
	ReleaseCatCacheList(operators);
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
