/*-------------------------------------------------------------------------
 *
 * bandwidth.c
 *	  How fast one core reads memory, with nothing else to do.
 *
 *	  Prints the best rate of several passes over a buffer that no cache
 *	  holds, in bytes a second, as a JSON object.
 *
 * IDENTIFICATION
 *	  bench/bandwidth.c
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define BUFFER_SIZE		((size_t) 512 << 20)
#define HUGE_PAGE		((size_t) 2 << 20)
#define PASSES			7
#define STREAMS			4
#define LINE			64		/* bytes */
#define AHEAD			2048	/* bytes that are asked for before they are read */

typedef uint64_t Words __attribute__((vector_size(LINE)));

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec * 1e-9;
}

/* adds up all of the buffer, in sums that do not wait for each other */
static uint64_t
read_all(const char *buffer)
{
	Words		sums[STREAMS] = {0};
	uint64_t	total = 0;

	for (size_t place = 0; place < BUFFER_SIZE; place += STREAMS * LINE)
	{
		for (int i = 0; i < STREAMS; i++)
		{
			const char *line = buffer + place + (size_t) i * LINE;

			__builtin_prefetch(line + AHEAD);
			sums[i] += *(const Words *) line;
		}
	}
	for (int i = 0; i < STREAMS; i++)
		for (size_t j = 0; j < LINE / sizeof(uint64_t); j++)
			total += sums[i][j];
	return total;
}

int
main(void)
{
	char	   *buffer = aligned_alloc(HUGE_PAGE, BUFFER_SIZE);
	volatile uint64_t sink;
	double		best = 0;

	if (buffer == NULL)
	{
		fprintf(stderr, "bandwidth: not enough memory\n");
		return 1;
	}
	madvise(buffer, BUFFER_SIZE, MADV_HUGEPAGE);
	memset(buffer, 1, BUFFER_SIZE);
	for (int pass = 0; pass < PASSES; pass++)
	{
		double		begin = now();
		double		rate;

		sink = read_all(buffer);
		rate = BUFFER_SIZE / (now() - begin);
		if (rate > best)
			best = rate;
	}
	(void) sink;
	free(buffer);
	printf("{\"bytes_per_second\": %.0f}\n", best);
	return 0;
}
