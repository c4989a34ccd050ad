/*-------------------------------------------------------------------------
 *
 * cpu.c
 *	  The only file that asks the CPU what it can do.
 *
 * NOTES
 *	  A feature counts only where the operating system saves its registers
 *	  (XCR0), so CPUID alone is never believed.  On architectures without a
 *	  probe the answer is no feature, which leaves the reference kernels.
 *
 * IDENTIFICATION
 *	  src/kernels/cpu.c
 *
 *-------------------------------------------------------------------------
 */
#include "kernels.h"

#if defined(__x86_64__) || defined(__i386__)

#include <cpuid.h>

#define XCR0_YMM	0x06		/* SSE and AVX state */
#define XCR0_ZMM	0xe6		/* and opmask, upper halves, upper registers */

/* One feature: all of these CPUID bits, with these registers saved */
typedef struct CpuFeature
{
	uint64_t	feature;
	unsigned	xcr0;
	unsigned	leaf1_ecx;
	unsigned	leaf7_ebx;
	unsigned	leaf7_ecx;
} CpuFeature;

static const CpuFeature features[] = {
	{VK_CPU_AVX2, XCR0_YMM, bit_FMA, bit_AVX2, 0},
	{VK_CPU_F16C, XCR0_YMM, bit_F16C, 0, 0},
	{VK_CPU_AVX512, XCR0_ZMM, 0,
	bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ, 0},
	{VK_CPU_VNNI, XCR0_ZMM, 0, bit_AVX512F, bit_AVX512VNNI},
	{VK_CPU_VBMI, XCR0_ZMM, 0, bit_AVX512F, bit_AVX512VBMI},
	{VK_CPU_VPOPCNTDQ, XCR0_ZMM, 0, bit_AVX512F, bit_AVX512VPOPCNTDQ},
};

static unsigned
read_xcr0(void)
{
	unsigned	low;
	unsigned	high;

	__asm__		volatile("xgetbv":"=a"(low), "=d"(high):"c"(0));

	return low;
}

uint64_t
vk_cpu_features(void)
{
	unsigned	eax;
	unsigned	ebx;
	unsigned	ecx;
	unsigned	edx;
	unsigned	leaf1_ecx;
	unsigned	xcr0;
	uint64_t	found = 0;

	if (!__get_cpuid(1, &eax, &ebx, &leaf1_ecx, &edx) ||
		!(leaf1_ecx & bit_OSXSAVE))
		return 0;
	xcr0 = read_xcr0();
	if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
		ebx = ecx = 0;

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
	{
		const CpuFeature *f = &features[i];

		if ((xcr0 & f->xcr0) == f->xcr0 &&
			(leaf1_ecx & f->leaf1_ecx) == f->leaf1_ecx &&
			(ebx & f->leaf7_ebx) == f->leaf7_ebx &&
			(ecx & f->leaf7_ecx) == f->leaf7_ecx)
			found |= f->feature;
	}
	return found;
}

#else

uint64_t
vk_cpu_features(void)
{
	return 0;
}

#endif
