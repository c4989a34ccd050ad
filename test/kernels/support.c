/*-------------------------------------------------------------------------
 *
 * support.c
 *	  Random numbers, guarded buffers and hostile vectors.
 *
 * IDENTIFICATION
 *	  test/kernels/support.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

#define CANARY	0xa5
#define CANARY_REACH	128		/* bytes looked at on either side */

const int	vk_check_dims[] = {
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
	21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39,
	40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58,
	59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77,
	78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96,
	97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112,
	113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127,
	128, 129, 130, 383, 384, 385, 767, 768, 769, 1535, 1536, 1537, 4095, 4096,
	4097, 16000,
};

const int	vk_check_dim_count = sizeof(vk_check_dims) / sizeof(vk_check_dims[0]);

int
vk_check_step(const VkCheckRun *run)
{
	return run->slow || run->scale < 0.15 ? 7 : run->scale < 1 ? 3 : 1;
}

int
vk_check_first(const VkCheckRun *run)
{
	return (int) (run->seed % (uint64_t) vk_check_step(run));
}

uint64_t
vk_random(VkCheckRun *run)
{
	uint64_t	z = (run->random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

int
vk_random_below(VkCheckRun *run, int n)
{
	return (int) (vk_random(run) % (uint64_t) n);
}

double
vk_random_unit(VkCheckRun *run)
{
	return (double) (vk_random(run) >> 11) * 0x1p-53;
}

double
vk_random_normal(VkCheckRun *run)
{
	double		radius = sqrt(-2 * log(1 - vk_random_unit(run)));

	return radius * cos(6.283185307179586 * vk_random_unit(run));
}

/* of about the same shape, bounded and many times faster */
static float
random_bell(VkCheckRun *run)
{
	uint64_t	z = vk_random(run);
	int			sum = 0;

	for (int i = 0; i < 4; i++)
		sum += (int) (z >> (16 * i) & 0xffff);
	return (float) (sum - 2 * 65536) * (1.7320508f / 65536);
}

/* ---------- buffers ---------- */

static unsigned char *
buffer_start(int buffer)
{
	static unsigned char *start[VK_BUFFERS];
	size_t		page = (size_t) sysconf(_SC_PAGESIZE);
	unsigned char *map;

	if (start[buffer] != NULL)
		return start[buffer];
	map = mmap(NULL, VK_BUFFER_SIZE + 2 * page, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED ||
		mprotect(map + page, VK_BUFFER_SIZE, PROT_READ | PROT_WRITE) != 0)
	{
		perror("vkcheck: could not map a buffer");
		exit(2);
	}
	start[buffer] = map + page;
	return start[buffer];
}

static size_t
reach_before(int buffer, const unsigned char *at)
{
	size_t		room = at - buffer_start(buffer);

	return room < CANARY_REACH ? room : CANARY_REACH;
}

static size_t
reach_after(int buffer, const unsigned char *end)
{
	size_t		room = buffer_start(buffer) + VK_BUFFER_SIZE - end;

	return room < CANARY_REACH ? room : CANARY_REACH;
}

void *
vk_buffer(int buffer, size_t size, bool at_end, int offset)
{
	unsigned char *start = buffer_start(buffer);
	unsigned char *at = at_end ? start + VK_BUFFER_SIZE - size : start + offset;
	size_t		before = reach_before(buffer, at);

	memset(at - before, CANARY,
		   before + size + reach_after(buffer, at + size));
	return at;
}

bool
vk_buffer_intact(int buffer, const void *start, size_t size)
{
	const unsigned char *at = start;
	size_t		before = reach_before(buffer, at);
	size_t		after = reach_after(buffer, at + size);

	for (size_t i = 1; i <= before; i++)
		if (at[-(ptrdiff_t) i] != CANARY)
			return false;
	for (size_t i = 0; i < after; i++)
		if (at[size + i] != CANARY)
			return false;
	return true;
}

void *
vk_place(VkCheckRun *run, int buffer, size_t size, int align)
{
	bool		at_end = vk_random_below(run, 2) && size % align == 0;

	return vk_buffer(buffer, size, at_end,
					 vk_random_below(run, 64) / align * align);
}

/* ---------- vectors ---------- */

const char *const vk_pattern_names[VK_PATTERNS] = {
	"normal", "zeros", "denormal", "huge", "tiny", "mixed magnitudes",
	"equal", "one large", "infinity", "NaN",
};

void
vk_fill_pattern(VkCheckRun *run, int pattern, float *v, int n)
{
	for (int i = 0; i < n; i++)
	{
		float		x = random_bell(run);

		switch (pattern)
		{
			case 1:
				x = vk_random_below(run, 2) ? 0.0f : -0.0f;
				break;
			case 2:
				x *= 0x1p-130f;
				break;
			case 3:
				x = copysignf(3.0e38f, x);
				break;
			case 4:
				x *= 0x1p-70f;
				break;
			case 5:
				x = ldexpf(x, vk_random_below(run, 80) - 40);
				break;
			case 6:
				x = 0.7f;
				break;
			case 7:
				x = i == n / 2 ? 1.0e6f : x;
				break;
			case 8:
				x = i % 37 == 3 ? copysignf(INFINITY, x) : x;
				break;
			case 9:
				x = i % 41 == 5 ? NAN : x;
				break;
			default:
				break;
		}
		v[i] = x;
	}
}

const char *const vk_element_names[VK_ELEMENTS] = {"f32", "f16", "bf16", "i8"};

static void
fill_int8(VkCheckRun *run, int pattern, int8_t *v, int n)
{
	/* by pattern: the same value, or two in turn */
	static const int8_t corners[VK_PATTERNS][2] = {
		{0, 0}, {0, 0}, {-128, -128}, {127, -128}, {127, 127}, {-127, 127},
		{0, 0}, {-128, 127}, {0, -128}, {0, 0},
	};
	const bool	constant = pattern != 0 && pattern != 6 && pattern != 9;

	for (int i = 0; i < n; i++)
		v[i] = constant ? corners[pattern][i % 2] : (int8_t) vk_random(run);
}

/* to nearest even is of no matter here: the upper or rounded half */
static uint16_t
narrow(const VkCheckRun *run, VkElement element, float f)
{
	uint16_t	h;
	uint32_t	bits;

	if (element == VK_F16)
	{
		run->ref->float_to_half(&f, 1, &h);
		return h;
	}
	memcpy(&bits, &f, sizeof(bits));
	return (uint16_t) (bits >> 16);
}

void
vk_fill_elements(VkCheckRun *run, VkElement element, int pattern, void *v,
				 int n)
{
	uint16_t   *halves = v;

	if (element == VK_F32)
		vk_fill_pattern(run, pattern, v, n);
	else if (element == VK_I8)
		fill_int8(run, pattern, v, n);
	else if (pattern == VK_PATTERNS - 1)
		for (int i = 0; i < n; i++)
			halves[i] = (uint16_t) vk_random(run);
	else
		for (int i = 0; i < n; i++)
		{
			float		f;

			vk_fill_pattern(run, pattern == 7 ? 0 : pattern, &f, 1);
			if (pattern == 7 && i == n / 2)
				f = 3.0e4f;
			/* halves have their denormals elsewhere */
			if (element == VK_F16 && pattern == 2)
				f *= 0x1p114f;
			halves[i] = narrow(run, element, f);
		}
}

void
vk_fill_cancelling(VkCheckRun *run, VkElement element, void *a, void *b, int n)
{
	const int	half = n / 2;
	const size_t size = vk_element_size[element];
	char	   *left = a;
	char	   *right = b;

	vk_fill_elements(run, element, 0, a, n);
	vk_fill_elements(run, element, 0, b, n);
	for (int i = 0; i < half; i++)
	{
		/* the sign is the top bit of a float and of a half */
		unsigned char *sign = (unsigned char *) right + (i + half + 1) * size - 1;

		memcpy(left + (i + half) * size, left + i * size, size);
		memcpy(right + (i + half) * size, right + i * size, size);
		*sign ^= 0x80;
	}
}
