/*-------------------------------------------------------------------------
 *
 * sphere.h
 *	  Spheres: composite values (center, radius, exact) of every vector type.
 *
 * IDENTIFICATION
 *	  src/types/sphere.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SPHERE_H
#define SPHERE_H

#include "access/tupdesc.h"
#include "fmgr.h"
#include "nodes/nodes.h"

typedef struct VkSphere
{
	Datum		center;			/* of a vector type, not detoasted */
	double		radius;
	bool		exact;			/* an approximate index must not answer it */
} VkSphere;

/* is it a type of spheres whose centers are of that other type? */
extern bool vk_is_sphere(Oid type, Oid center);

/* does an expression call a function that makes a sphere of its arguments? */
extern bool vk_makes_sphere(const Node *expression);
/* and do these ask for an exact answer? */
extern bool vk_makes_exact_sphere(const Node *expression);

/*
 * The fields of a sphere whose center is of that type.  Returns false where one of them is NULL.  The center
 * points into the sphere, or into a copy in the current memory context.
 */
extern bool vk_sphere_read(Datum sphere, Oid center, VkSphere *out);

/* what a call site remembers in fn_extra */
typedef struct VkSphereSite
{
	Oid			type;
	int32		typmod;
	TupleDesc	desc;
	FmgrInfo	distance;		/* of another extension, see sphere_foreign.c */
} VkSphereSite;

/*
 * The fields of an argument of a function, as above; NULL where one of them is
 * NULL.
 */
extern VkSphereSite *vk_sphere_argument(FunctionCallInfo fcinfo, int argument,
										VkSphere *out);

/*
 * SQL functions `name` and `name`_equal, nearer than and as near as the radius, by
 * the file's own within(fcinfo, distance, comparison).
 */
#define VK_SPHERE_FUNCTIONS(name, distance) \
	PG_FUNCTION_INFO_V1(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		return within(fcinfo, distance, float8_lt); \
	} \
	PG_FUNCTION_INFO_V1(name##_equal); \
	Datum \
	name##_equal(PG_FUNCTION_ARGS) \
	{ \
		return within(fcinfo, distance, float8_le); \
	}

#endif							/* SPHERE_H */
