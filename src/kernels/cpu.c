/*-------------------------------------------------------------------------
 *
 * cpu.c
 *	  The only file that asks the CPU what it can do.
 *
 * NOTES
 *	  A feature counts only where the operating system saves its registers
 *	  (XCR0), so CPUID alone is never believed.  On arm64 the system is asked
 *	  instead: auxiliary values on Linux, sysctl on macOS; others are believed
 *	  to have what the architecture demands.  On architectures without a
 *	  probe the answer is no feature, which leaves the reference kernels.
 *
 *	  AMX needs more than that: Linux allocates its 8 kB of tile data only to
 *	  processes that ask, and kills one that goes on without.
 *
 * IDENTIFICATION
 *	  src/kernels/cpu.c
 *
 *-------------------------------------------------------------------------
 */
#include "kernels.h"

#if defined(__x86_64__) || defined(__i386__)

#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define XCR0_YMM	0x06		/* SSE and AVX state */
#define XCR0_ZMM	0xe6		/* and opmask, upper halves, upper registers */
#define XCR0_TILE	0x60000		/* tile configuration and tile data */

/* what compilers' headers name differently, or not at all */
#define LEAF7_1_EAX_AVX_VNNI	(1u << 4)
#define LEAF7_1_EAX_AVX512_BF16	(1u << 5)
#define LEAF7_EDX_AMX_BF16		(1u << 22)
#define LEAF7_EDX_AMX_TILE		(1u << 24)
#define LEAF7_EDX_AMX_INT8		(1u << 25)

/* the words of CPUID that features are found in */
typedef enum CpuWord
{
	LEAF1_ECX,
	LEAF7_EBX,
	LEAF7_ECX,
	LEAF7_EDX,
	LEAF7_1_EAX
} CpuWord;

#define CPU_WORDS	5

/* One feature: all of these CPUID bits, with these registers saved */
typedef struct CpuFeature
{
	uint64_t	feature;
	unsigned	xcr0;
	unsigned	words[CPU_WORDS];
} CpuFeature;

static const CpuFeature features[] = {
	{VK_CPU_AVX2, XCR0_YMM,
	{[LEAF1_ECX] = bit_FMA, [LEAF7_EBX] = bit_AVX2}},
	{VK_CPU_F16C, XCR0_YMM,
	{[LEAF1_ECX] = bit_F16C}},
	{VK_CPU_AVX_VNNI, XCR0_YMM,
	{[LEAF7_EBX] = bit_AVX2, [LEAF7_1_EAX] = LEAF7_1_EAX_AVX_VNNI}},
	{VK_CPU_AVX512, XCR0_ZMM,
	{[LEAF7_EBX] = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ}},
	{VK_CPU_VNNI, XCR0_ZMM,
	{[LEAF7_EBX] = bit_AVX512F, [LEAF7_ECX] = bit_AVX512VNNI}},
	{VK_CPU_VBMI, XCR0_ZMM,
	{[LEAF7_EBX] = bit_AVX512F, [LEAF7_ECX] = bit_AVX512VBMI}},
	{VK_CPU_VPOPCNTDQ, XCR0_ZMM,
	{[LEAF7_EBX] = bit_AVX512F, [LEAF7_ECX] = bit_AVX512VPOPCNTDQ}},
	{VK_CPU_AVX512_BF16, XCR0_ZMM,
	{[LEAF7_EBX] = bit_AVX512F, [LEAF7_1_EAX] = LEAF7_1_EAX_AVX512_BF16}},
#ifdef __x86_64__				/* there is no AMX in 32-bit code */
	{VK_CPU_AMX_INT8, XCR0_TILE,
	{[LEAF7_EDX] = LEAF7_EDX_AMX_TILE | LEAF7_EDX_AMX_INT8}},
	{VK_CPU_AMX_BF16, XCR0_TILE,
	{[LEAF7_EDX] = LEAF7_EDX_AMX_TILE | LEAF7_EDX_AMX_BF16}},
#endif
};

static unsigned
read_xcr0(void)
{
	unsigned	low;
	unsigned	high;

	__asm__		volatile("xgetbv":"=a"(low), "=d"(high):"c"(0));

	return low;
}

static bool
has_feature(const CpuFeature *f, unsigned xcr0, const unsigned *words)
{
	for (int i = 0; i < CPU_WORDS; i++)
		if ((words[i] & f->words[i]) != f->words[i])
			return false;
	return (xcr0 & f->xcr0) == f->xcr0;
}

/*
 * A core of Intel's waits for 16 lines of one stream at a time (Sapphire Rapids:
 * 12 GB/s by one, 18 by eight); one of AMD's for more (Zen 4: 35 by one).
 */
static bool
is_intel(void)
{
	unsigned	eax;
	unsigned	ebx;
	unsigned	ecx;
	unsigned	edx;

	return __get_cpuid(0, &eax, &ebx, &ecx, &edx) &&
		ebx == signature_INTEL_ebx && ecx == signature_INTEL_ecx &&
		edx == signature_INTEL_edx;
}

static uint64_t
detect_features(void)
{
	unsigned	eax;
	unsigned	ebx;
	unsigned	ecx;
	unsigned	edx;
	unsigned	xcr0;
	unsigned	words[CPU_WORDS] = {0};
	uint64_t	found = is_intel() ? VK_CPU_STREAMS : 0;

	if (!__get_cpuid(1, &eax, &ebx, &words[LEAF1_ECX], &edx) ||
		!(words[LEAF1_ECX] & bit_OSXSAVE))
		return found;
	xcr0 = read_xcr0();
	/* the first subleaf's EAX is the number of the last one */
	if (__get_cpuid_count(7, 0, &eax, &words[LEAF7_EBX], &words[LEAF7_ECX],
						  &words[LEAF7_EDX]) && eax >= 1)
		__get_cpuid_count(7, 1, &words[LEAF7_1_EAX], &ebx, &ecx, &edx);

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (has_feature(&features[i], xcr0, words))
			found |= features[i].feature;
	return found;
}

#elif defined(__aarch64__)

#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

/* what older headers lack, and what other systems do not name */
#define HWCAP_BIT_ASIMDDP		(UINT64_C(1) << 20)
#define HWCAP_BIT_SVE			(UINT64_C(1) << 22)
#define HWCAP2_BIT_SVEI8MM		(UINT64_C(1) << 9)
#define HWCAP2_BIT_I8MM			(UINT64_C(1) << 13)
#define HWCAP2_BIT_BF16			(UINT64_C(1) << 14)
#define HWCAP2_BIT_SME			(UINT64_C(1) << 23)
#define HWCAP2_BIT_SME_I8I32	(UINT64_C(1) << 26)
#define HWCAP2_BIT_SME_B16F32	(UINT64_C(1) << 28)
#define HWCAP2_BIT_SME_F32F32	(UINT64_C(1) << 29)

#define HWCAP2_BITS_SME \
	(HWCAP2_BIT_SME | HWCAP2_BIT_SME_I8I32 | HWCAP2_BIT_SME_B16F32 | \
	 HWCAP2_BIT_SME_F32F32)

/* One feature: all of these bits of the system, or all of these answers */
typedef struct CpuFeature
{
	uint64_t	feature;
	uint64_t	hwcap;
	uint64_t	hwcap2;
	const char *sysctls[4];		/* macOS */
} CpuFeature;

/* NEON, with scalar and vector FMA, is part of the architecture */
static const CpuFeature features[] = {
	{VK_CPU_DOTPROD, HWCAP_BIT_ASIMDDP, 0,
	{"hw.optional.arm.FEAT_DotProd"}},
	{VK_CPU_BF16, 0, HWCAP2_BIT_BF16,
	{"hw.optional.arm.FEAT_BF16"}},
	{VK_CPU_I8MM, HWCAP_BIT_ASIMDDP, HWCAP2_BIT_I8MM,
	{"hw.optional.arm.FEAT_DotProd", "hw.optional.arm.FEAT_I8MM"}},
	{VK_CPU_SVE, HWCAP_BIT_SVE, 0,
	{"hw.optional.arm.FEAT_SVE"}},
	{VK_CPU_SVE_I8MM, HWCAP_BIT_SVE, HWCAP2_BIT_SVEI8MM,
	{"hw.optional.arm.FEAT_SVE", "hw.optional.arm.FEAT_I8MM"}},
	{VK_CPU_SME, 0, HWCAP2_BITS_SME,
		{"hw.optional.arm.FEAT_SME", "hw.optional.arm.SME_I8I32",
	"hw.optional.arm.SME_B16F32", "hw.optional.arm.SME_F32F32"}},
};

#if defined(__linux__)

static bool
has_feature(const CpuFeature *f)
{
	return (getauxval(AT_HWCAP) & f->hwcap) == f->hwcap &&
		(getauxval(AT_HWCAP2) & f->hwcap2) == f->hwcap2;
}

#elif defined(__APPLE__)

static bool
has_feature(const CpuFeature *f)
{
	const int	most = sizeof(f->sysctls) / sizeof(f->sysctls[0]);

	for (int i = 0; i < most && f->sysctls[i] != NULL; i++)
	{
		int			answer = 0;
		size_t		size = sizeof(answer);

		if (sysctlbyname(f->sysctls[i], &answer, &size, NULL, 0) != 0 ||
			answer == 0)
			return false;
	}
	return true;
}

#else

static bool
has_feature(const CpuFeature *f)
{
	(void) f;
	return false;
}

#endif

static uint64_t
detect_features(void)
{
	uint64_t	found = VK_CPU_NEON;

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (has_feature(&features[i]))
			found |= features[i].feature;
	return found;
}

#else

static uint64_t
detect_features(void)
{
	return 0;
}

#endif

/* asked once a process: under a hypervisor each CPUID costs a trip out and back */
uint64_t
vk_cpu_features(void)
{
	static uint64_t found;
	static bool known = false;

	if (!known)
	{
		found = detect_features();
		known = true;
	}
	return found;
}

/* ---------- permission to use AMX ---------- */

#if defined(__x86_64__) && defined(__linux__)

#ifndef ARCH_GET_XCOMP_PERM
#define ARCH_GET_XCOMP_PERM	0x1022
#define ARCH_REQ_XCOMP_PERM	0x1023
#endif
#define XFEATURE_TILE_DATA	18

static bool
ask_for_tile_data(void)
{
	uint64_t	permitted = 0;

	return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_TILE_DATA) == 0 &&
		syscall(SYS_arch_prctl, ARCH_GET_XCOMP_PERM, &permitted) == 0 &&
		(permitted >> XFEATURE_TILE_DATA & 1) != 0;
}

#else

/* systems that give tile data to any process which touches them */
static bool
ask_for_tile_data(void)
{
	return true;
}

#endif

bool
vk_amx_permitted(void)
{
	static enum
	{
		NOT_ASKED, PERMITTED, REFUSED
	}			answer = NOT_ASKED;

	if (answer == NOT_ASKED)
		answer = (vk_cpu_features() & (VK_CPU_AMX_INT8 | VK_CPU_AMX_BF16)) != 0 &&
			ask_for_tile_data() ? PERMITTED : REFUSED;
	return answer == PERMITTED;
}
