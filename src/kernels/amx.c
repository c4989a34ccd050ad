/*-------------------------------------------------------------------------
 *
 * amx.c
 *	  Kernels for AMX, 8-bit and bfloat16: many queries against many rows.
 *
 * NOTES
 *	  One tile register holds 16 rows of 64 bytes.  A product of two (16 x 16
 *	  sums over 64 bytes) takes 16 cycles, its result 52, and a load 8 at best:
 *	  so every loop keeps four sums, 2 x 2 or 1 x 4, and loads each tile for two
 *	  or four products.  Where a row or column of sums is missing, its place
 *	  repeats another one and the result is dropped; with fewer than four sums
 *	  the loop would only wait for results.
 *
 *	  All tiles have the full size, so that the configuration is one constant,
 *	  loaded and released once a call (54 ns the pair).  What is smaller goes
 *	  through a copy in memory: kernels read nothing outside of their operands.
 *
 *	  Tile instructions are written as assembler: gcc's intrinsics (12 to 14)
 *	  do not say which memory they read, and stores before them get lost.  The
 *	  compiler uses no tile of its own, so it need not be told of registers.
 *
 *	  Shapes too small for a tile go to the level below, packing included.
 *	  Nothing here runs before vk_amx_permitted() (dispatch.c).
 *
 * IDENTIFICATION
 *	  src/kernels/amx.c
 *
 *-------------------------------------------------------------------------
 */
#include "isa.h"

#if defined(__x86_64__) && !defined(VK_NO_AMX)

#include <immintrin.h>
#include <limits.h>
#include <string.h>

#define TILE_ROWS	16
#define TILE_SIZE	1024		/* bytes: 16 rows of 64 */

/* what LDTILECFG reads */
typedef struct TileConfig
{
	uint8_t		palette;
	uint8_t		start_row;
	uint8_t		reserved[14];
	uint16_t	row_bytes[16];
	uint8_t		rows[16];
} TileConfig;

static const TileConfig full_tiles __attribute__((aligned(64))) = {
	.palette = 1,
	.row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
	.rows = {16, 16, 16, 16, 16, 16, 16, 16},
};

/* rows of a tile lie stride bytes apart */
#define TILES_BEGIN() \
	__asm__ volatile("ldtilecfg %0" : : "m" (full_tiles))
#define TILES_END() \
	__asm__ volatile("tilerelease" : : )
#define TILE_ZERO(tile) \
	__asm__ volatile("tilezero %%tmm" #tile : : )
#define TILE_LOAD(tile, base, stride) \
	__asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile \
					 : : "r" (base), "r" ((size_t) (stride)) : "memory")
#define TILE_STORE(tile, base, stride) \
	__asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" \
					 : : "r" (base), "r" ((size_t) (stride)) : "memory")
#define TILE_MULTIPLY(instruction, sum, a, b) \
	__asm__ volatile(instruction " %%tmm" #b ", %%tmm" #a ", %%tmm" #sum : : )

/* a is signed, b unsigned; both signed; both bfloat16 */
#define SIGNED_UNSIGNED	"tdpbsud"
#define SIGNED_SIGNED	"tdpbssd"
#define BF16_BF16		"tdpbf16ps"

/*
 * Operands above this are read ahead, for they come from memory; prefetching
 * what is in the second-level cache costs a sixth.
 */
#define PREFETCH_ABOVE	(512 * 1024)

/* the level below, for the shapes that it does better */
static VkKernels lower;

static inline int
min_int(int a, int b)
{
	return a < b ? a : b;
}

/* mask of the first n of 64 bytes, n clamped to 0 .. 64 */
static inline __mmask64
first_bytes(int n)
{
	return n >= 64 ? ~UINT64_C(0) : n <= 0 ? 0 : (UINT64_C(1) << n) - 1;
}

#include "amx_panel.h"
#include "amx_tile.h"
#include "amx_rows.h"

/* ---------- the table ---------- */

const bool	vk_amx_built = true;

void
vk_amx_fill(VkKernels *kernels, uint64_t cpu_features)
{
	vk_ref_fill(&lower, cpu_features);
	vk_avx2_fill(&lower, cpu_features);
	vk_avx512_fill(&lower, cpu_features);

	for (int format = 0; format < VK_INT_FORMATS; format++)
	{
		kernels->pack_tile[format] = tile_slots[format].pack;
		kernels->tile[format] = tile_slots[format].tile;
		kernels->tile_screen[format] = tile_slots[format].screen;
	}
	kernels->maxsim[VK_I8] = maxsim_i8;
	if (cpu_features & VK_CPU_AMX_BF16)
	{
		kernels->pack_dense[VK_DENSE_BF16] = pack_dense_bf16;
		kernels->tile_dense[VK_DENSE_BF16] = tile_dense_bf16;
	}
}

#else

const bool	vk_amx_built = false;

void
vk_amx_fill(VkKernels *kernels, uint64_t cpu_features)
{
	(void) kernels;
	(void) cpu_features;
}

#endif
