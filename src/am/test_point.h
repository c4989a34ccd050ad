/*-------------------------------------------------------------------------
 *
 * test_point.h
 *	  Places where a test can stop, crash or fail a process.
 *
 * NOTES
 *	  PostgreSQL's injection points, for versions and builds that have none.  A
 *	  superuser sets vkindex.test_point to 'name action'; actions are `error`,
 *	  `crash` (the process kills itself with SIGKILL) and `wait` (until nobody
 *	  holds the advisory lock 8191 of the database).
 *
 * IDENTIFICATION
 *	  src/am/test_point.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_TEST_POINT_H
#define VK_TEST_POINT_H

/* no buffer lock may be held */
extern void vk_test_point(const char *name);
extern void vk_test_point_init(void);

#endif							/* VK_TEST_POINT_H */
