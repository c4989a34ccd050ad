/*-------------------------------------------------------------------------
 *
 * isa.h
 *	  What the ISA files and the dispatcher share, and nobody else.
 *
 * NOTES
 *	  A build without an ISA (another architecture, or -DVK_NO_AVX2 and so on)
 *	  still compiles its file; vk_*_built is then false.
 *
 * IDENTIFICATION
 *	  src/kernels/isa.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_ISA_H
#define VK_ISA_H

#include "kernels.h"

extern const VkKernels vk_ref_kernels;	/* complete: every slot */

extern const bool vk_avx2_built;
extern const bool vk_avx512_built;
extern const bool vk_amx_built;
extern const bool vk_neon_built;
extern const bool vk_sve_built;
extern const bool vk_sme_built;

extern void vk_ref_fill(VkKernels *kernels, uint64_t cpu_features);
extern void vk_avx2_fill(VkKernels *kernels, uint64_t cpu_features);
extern void vk_avx512_fill(VkKernels *kernels, uint64_t cpu_features);
extern void vk_amx_fill(VkKernels *kernels, uint64_t cpu_features);
extern void vk_neon_fill(VkKernels *kernels, uint64_t cpu_features);
extern void vk_sve_fill(VkKernels *kernels, uint64_t cpu_features);
extern void vk_sme_fill(VkKernels *kernels, uint64_t cpu_features);

#endif							/* VK_ISA_H */
