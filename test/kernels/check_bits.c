/*-------------------------------------------------------------------------
 *
 * check_bits.c
 *	  Hamming, Jaccard and L1 of bits and bytes: pairs and scans, all exact.
 *
 * IDENTIFICATION
 *	  test/kernels/check_bits.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define TRIALS	4				/* ways to fill two operands */

/* bytes that differ everywhere, agree everywhere, or are random */
static void
fill_bytes(VkCheckRun *run, int trial, bool second, uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = trial == 0 ? (second ? 0xff : 0) : trial == 1 ? 0xff :
			(uint8_t) vk_random(run);
}

static void
check_pair_bits(VkCheckRun *run, int bytes, int trial)
{
	uint8_t    *a = vk_place(run, 0, bytes, 1);
	uint8_t    *b = vk_place(run, 1, bytes, 1);
	int32_t		counts[2] = {-1, -1};
	int32_t		hamming;
	int64_t		differ = 0;
	int64_t		both = 0;
	int64_t		either = 0;

	fill_bytes(run, trial, false, a, bytes);
	fill_bytes(run, trial, true, b, bytes);
	for (int i = 0; i < bytes; i++)
	{
		differ += __builtin_popcount(a[i] ^ b[i]);
		both += __builtin_popcount(a[i] & b[i]);
		either += __builtin_popcount(a[i] | b[i]);
	}
	hamming = VK_CALL(run, pair_hamming) (a, b, bytes);
	VK_CALL(run, pair_jaccard) (a, b, bytes, counts);
	vk_check(run, hamming == differ, "pair_hamming %d bytes trial %d: %d, "
			 "should be %lld", bytes, trial, hamming, (long long) differ);
	vk_check(run, counts[0] == both && counts[1] == either,
			 "pair_jaccard %d bytes trial %d: %d of %d, should be %lld of %lld",
			 bytes, trial, counts[0], counts[1], (long long) both,
			 (long long) either);
}

/* ---------- scans ---------- */

typedef enum ByteScan
{
	SCAN_L1,
	SCAN_HAMMING,
	SCAN_COMMON
} ByteScan;

static const char *const scan_names[] = {"l1", "hamming", "common"};

static void
call_scan(VkCheckRun *run, ByteScan scan, const uint8_t *query, int first_line,
		  const uint8_t *code, int lines, VkDots *dots)
{
	if (scan == SCAN_L1)
		VK_CALL(run, scan_l1) (query, first_line, code, lines, dots);
	else if (scan == SCAN_HAMMING)
		VK_CALL(run, scan_hamming) (query, first_line, code, lines, dots);
	else
		VK_CALL(run, scan_common) (query, first_line, code, lines, dots);
}

static int
byte_term(ByteScan scan, int q, int u)
{
	return scan == SCAN_L1 ? abs(q - u) :
		__builtin_popcount(scan == SCAN_HAMMING ? q ^ u : q & u);
}

static void
check_scan_at(VkCheckRun *run, ByteScan scan, const uint8_t *query,
			  const uint8_t *code, int lines, int cut, const int64_t *want)
{
	VkDots	   *dots = vk_place(run, 2, sizeof(VkDots), 4);

	for (int lane = 0; lane < VK_LANES; lane++)
		dots->i[lane] = lane - 5;
	call_scan(run, scan, query, 0, code, cut, dots);
	call_scan(run, scan, query, cut, code + (size_t) cut * VK_LINE_SIZE,
			  lines - cut, dots);
	vk_check(run, vk_buffer_intact(2, dots, sizeof(VkDots)),
			 "scan_%s %d lines writes around its sums", scan_names[scan], lines);
	for (int lane = 0; lane < VK_LANES; lane++)
		vk_check(run, dots->i[lane] == want[lane] + lane - 5,
				 "scan_%s %d lines cut at %d lane %d: %d, should be %lld",
				 scan_names[scan], lines, cut, lane, dots->i[lane] - lane + 5,
				 (long long) want[lane]);
}

static void
check_scan(VkCheckRun *run, ByteScan scan, int lines, int trial)
{
	const size_t size = (size_t) lines * VK_LINE_SIZE;
	uint8_t    *query = vk_place(run, 0, (size_t) lines * 4, 1);
	uint8_t    *code = vk_place(run, 1, size, 1);
	int64_t		want[VK_LANES] = {0};

	fill_bytes(run, trial, false, query, (size_t) lines * 4);
	fill_bytes(run, trial, true, code, size);
	for (size_t i = 0; i < size; i++)
		want[i % VK_LINE_SIZE / 4] +=
			byte_term(scan, query[i / VK_LINE_SIZE * 4 + i % 4], code[i]);
	if (lines <= 40)
		for (int cut = 0; cut <= lines; cut++)
			check_scan_at(run, scan, query, code, lines, cut, want);
	else
		for (int i = 0; i < 3; i++)
			check_scan_at(run, scan, query, code, lines,
						  vk_random_below(run, lines + 1), want);
}

void
vk_check_bits(VkCheckRun *run)
{
	/* the last are as long as sums of bytes or words could overflow at */
	static const int sizes[] = {255, 256, 257, 511, 1000, 2000, 8000, 16384,
	65535, 1 << 20};
	/* of L1 at 16,000 dimensions, of 64,000 bits */
	static const int lines[] = {63, 64, 65, 127, 128, 129, 192, 384, 500, 1000,
	2000, VK_MAX_DIM / 4};

	for (int trial = 0; trial < TRIALS; trial++)
	{
		for (int bytes = 0; bytes <= 200; bytes++)
			check_pair_bits(run, bytes, trial);
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			check_pair_bits(run, sizes[i], trial);
		for (int scan = SCAN_L1; scan <= SCAN_COMMON; scan++)
		{
			for (int n = 0; n <= 40; n++)
				check_scan(run, (ByteScan) scan, n, trial);
			for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
				check_scan(run, (ByteScan) scan, lines[i], trial);
		}
	}
}
