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

typedef struct VkSphere
{
	Datum		center;			/* of a vector type, not detoasted */
	double		radius;
	bool		exact;			/* an approximate index must not answer it */
} VkSphere;

/*
 * The fields of a sphere.  Returns false where one of them is NULL.  The center
 * points into the sphere, or into a copy in the current memory context.
 */
extern bool vk_sphere_read(Datum sphere, VkSphere *out);

#endif							/* SPHERE_H */
